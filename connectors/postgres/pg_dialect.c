/*
 * pg_dialect: written for every event, so by hand into the buffer. Forms: docs of cdc.h and the events recorded in
 * tests/data/debezium/postgres. Task's thread.
 */
#include "pg_dialect.h"

#include <string.h>

#include "kit/cdc/cdc_put.h"
#include "pg_task.h"

#define NUMBERS_MAX 224 /* constant text and numbers of one call of write_source or write_sequence */

static uint8_t *put(uint8_t *p, const char *text)
{
    size_t n = strlen(text);
    memcpy(p, text, n);
    return p + n;
}

/* As Debezium's, whose numbers are signed; no log is so long. */
static uint8_t *put_number(uint8_t *p, uint64_t v)
{
    return p + cdc_digits((int64_t)v, (char *)p);
}

static void end_at(struct buf *out, const uint8_t *p)
{
    out->len = (size_t)(p - out->data);
}

/* A string that holds JSON: ["<end of the last transaction>","<lsn>"], the first null until there was one. */
static int write_sequence(const struct cdc_origin *o, struct buf *out, struct err *e)
{
    const struct pg_position *own = o->own;
    if (buf_reserve(out, NUMBERS_MAX, e) != ERR_OK)
        return e->code;
    uint8_t *p = out->data + out->len;
    if (own->last_commit) {
        p = put(p, "\"[\\\"");
        p = put_number(p, own->last_commit);
        p = put(p, "\\\",\\\"");
    } else {
        p = put(p, "\"[null,\\\"");
    }
    p = put_number(p, own->lsn);
    p = put(p, "\\\"]\"");
    end_at(out, p);
    return ERR_OK;
}

static uint8_t *put_origin(uint8_t *p, const struct pg_position *own)
{
    p = put(p, ",\"xmin\":");
    p = own->xmin ? put_number(p, own->xmin) : put(p, "null");
    p = put(p, ",\"origin\":");
    p = put(p, own->origin ? own->origin : "null");
    p = put(p, ",\"origin_lsn\":");
    return own->origin ? put_number(p, own->origin_lsn) : put(p, "null");
}

static int write_source(const struct cdc_origin *o, const char *schema, const char *table, struct buf *out,
                        struct err *e)
{
    const struct pg_position *own = o->own;
    size_t schema_len = strlen(schema), table_len = strlen(table);
    size_t origin_len = own->origin ? strlen(own->origin) : 0;
    if (buf_reserve(out, NUMBERS_MAX + schema_len + table_len + origin_len, e) != ERR_OK)
        return e->code;
    uint8_t *p = out->data + out->len;
    p = put(p, ",\"schema\":");
    memcpy(p, schema, schema_len);
    p = put(p + schema_len, ",\"table\":");
    memcpy(p, table, table_len);
    p = put(p + table_len, ",\"txId\":");
    p = own->xid && !own->no_lsn ? put_number(p, own->xid) : put(p, "null");
    p = put(p, ",\"lsn\":");
    p = own->no_lsn ? put(p, "null") : put_number(p, own->lsn);
    if (__builtin_expect(!own->xmin && !own->origin, 1))
        p = put(p, ",\"xmin\":null,\"origin\":null,\"origin_lsn\":null");
    else
        p = put_origin(p, own);
    end_at(out, p);
    return ERR_OK;
}

static int write_txn_id(const struct cdc_origin *o, struct buf *out, struct err *e)
{
    const struct pg_position *own = o->own;
    if (buf_reserve(out, NUMBERS_MAX, e) != ERR_OK)
        return e->code;
    uint8_t *p = put_number(out->data + out->len, own->xid);
    *p++ = ':';
    end_at(out, put_number(p, own->lsn));
    return ERR_OK;
}

const struct cdc_dialect pg_dialect = {
    .connector = "postgresql",
    .source_schema = "io.debezium.connector.postgresql.Source",
    .source_fields = ",{\"type\":\"string\",\"optional\":false,\"field\":\"schema\"}"
                     ",{\"type\":\"string\",\"optional\":false,\"field\":\"table\"}"
                     ",{\"type\":\"int64\",\"optional\":true,\"field\":\"txId\"}"
                     ",{\"type\":\"int64\",\"optional\":true,\"field\":\"lsn\"}"
                     ",{\"type\":\"int64\",\"optional\":true,\"field\":\"xmin\"}"
                     ",{\"type\":\"string\",\"optional\":true,\"field\":\"origin\"}"
                     ",{\"type\":\"int64\",\"optional\":true,\"field\":\"origin_lsn\"}",
    .message_value_schema = "io.debezium.connector.postgresql.MessageValue",
    .message_key_schema = "io.debezium.connector.postgresql.MessageKey",
    .write_sequence = write_sequence,
    .write_source = write_source,
    .write_txn_id = write_txn_id,
};
