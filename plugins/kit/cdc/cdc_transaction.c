/*
 * cdc_transaction: provide.transaction.metadata: BEGIN and END records, and each event's place in its transaction, counted by
 * the table's name, so that a table that changes within a transaction goes on counting.
 */
#include <string.h>

#include "base/mem.h"
#include "kit/cdc/cdc_impl.h"
#include "kit/cdc/cdc_json.h"

#define KEY_SCHEMA                                                                                           \
    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":\"id\"}" \
    "],"                                                                                                     \
    "\"optional\":false,\"name\":\"io.debezium.connector.common.TransactionMetadataKey\",\"version\":1},"    \
    "\"payload\":"

#define VALUE_SCHEMA                                                                                         \
    "{\"schema\":{\"type\":\"struct\",\"fields\":["                                                          \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"status\"},"                                         \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"id\"},"                                             \
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"event_count\"},"                                      \
    "{\"type\":\"array\",\"items\":{\"type\":\"struct\",\"fields\":["                                        \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"data_collection\"},"                                \
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"event_count\"}],\"optional\":true,"                  \
    "\"name\":\"event.collection\",\"version\":1},\"optional\":true,\"field\":\"data_collections\"},"        \
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"ts_ms\"}],"                                          \
    "\"optional\":false,\"name\":\"io.debezium.connector.common.TransactionMetadataValue\",\"version\":1},"  \
    "\"payload\":"

struct cdc_collection *cdc_collection(struct cdc *c, const char *name, struct err *e)
{
    struct cdc_collection *of = map_get(c->collections, name, strlen(name));
    if (of)
        return of;
    of = mem_calloc(1, sizeof(*of));
    if (of)
        of->name = mem_strdup(name);
    if (!of || !of->name) {
        mem_free(of);
        err_nomem(e);
        return NULL;
    }
    if (map_put(c->collections, name, strlen(name), of, e) != ERR_OK) {
        mem_free(of->name);
        mem_free(of);
        return NULL;
    }
    return of;
}

/* ---- counting ------------------------------------------------------------------------------------------------------------- */

int cdc_count(struct cdc *c, struct cdc_collection *of, struct err *e)
{
    if (of->transaction != c->transaction) {
        if (c->touched_count == c->touched_room) {
            size_t room = c->touched_room ? c->touched_room * 2 : 16;
            struct cdc_collection **touched = mem_realloc_array(c->touched, room, sizeof(*touched));
            if (!touched)
                return err_nomem(e);
            c->touched = touched;
            c->touched_room = room;
        }
        c->touched[c->touched_count++] = of;
        of->transaction = c->transaction;
        of->count = 0;
    }
    of->count++;
    c->total++;
    return ERR_OK;
}

void cdc_uncount(struct cdc *c, struct cdc_collection *of)
{
    c->total--;
    if (--of->count > 0)
        return;
    /* Its first event of the transaction: it was added last. */
    c->touched_count--;
    of->transaction = 0;
}

int cdc_block_write(struct cdc *c, const struct cdc_origin *at, const struct cdc_collection *of,
                    struct buf *out, struct err *e)
{
    int rc = CDC_PUT(out, "{\"id\":\"", e);
    rc = rc ? rc : c->dialect->write_txn_id(at, out, e);
    rc = rc ? rc : CDC_PUT(out, "\",\"total_order\":", e);
    rc = rc ? rc : cdc_put_int(out, (int64_t)c->total, e);
    rc = rc ? rc : CDC_PUT(out, ",\"data_collection_order\":", e);
    rc = rc ? rc : cdc_put_int(out, (int64_t)of->count, e);
    return rc ? rc : CDC_PUT(out, "}", e);
}

/* ---- BEGIN and END -------------------------------------------------------------------------------------------------------- */

static int write_counts(struct cdc *c, struct buf *b, struct err *e)
{
    int rc = cdc_put_int(b, (int64_t)c->total, e);
    rc = rc ? rc : CDC_PUT(b, ",\"data_collections\":[", e);
    for (size_t i = 0; rc == ERR_OK && i < c->touched_count; i++) {
        const struct cdc_collection *of = c->touched[i];
        rc = i ? CDC_PUT(b, ",{\"data_collection\":", e) : CDC_PUT(b, "{\"data_collection\":", e);
        rc = rc ? rc : cdc_json_string(b, of->name, strlen(of->name), e);
        rc = rc ? rc : CDC_PUT(b, ",\"event_count\":", e);
        rc = rc ? rc : cdc_put_int(b, (int64_t)of->count, e);
        rc = rc ? rc : CDC_PUT(b, "}", e);
    }
    return rc ? rc : CDC_PUT(b, "]", e);
}

static int write_id(struct cdc *c, const struct cdc_origin *at, struct buf *b, struct err *e)
{
    int rc = CDC_PUT(b, "\"id\":\"", e);
    rc = rc ? rc : c->dialect->write_txn_id(at, b, e);
    return rc ? rc : CDC_PUT(b, "\"", e);
}

static int write_key(struct cdc *c, const struct cdc_origin *at, struct err *e)
{
    struct buf *b = &c->batch.bytes;
    bool schemas = c->config.key_schemas;
    int rc = schemas ? CDC_PUT(b, KEY_SCHEMA, e) : ERR_OK;
    rc = rc ? rc : CDC_PUT(b, "{", e);
    rc = rc ? rc : write_id(c, at, b, e);
    return rc ? rc : schemas ? CDC_PUT(b, "}}", e) : CDC_PUT(b, "}", e);
}

static int write_value(struct cdc *c, const struct cdc_origin *at, bool begin, struct err *e)
{
    struct buf *b = &c->batch.bytes;
    bool schemas = c->config.value_schemas;
    int rc = schemas ? CDC_PUT(b, VALUE_SCHEMA, e) : ERR_OK;
    rc = rc ? rc : begin ? CDC_PUT(b, "{\"status\":\"BEGIN\",", e) : CDC_PUT(b, "{\"status\":\"END\",", e);
    rc = rc ? rc : write_id(c, at, b, e);
    rc = rc ? rc : CDC_PUT(b, ",\"event_count\":", e);
    rc = rc ? rc : begin ? CDC_PUT(b, "null,\"data_collections\":null", e) : write_counts(c, b, e);
    rc = rc ? rc : CDC_PUT(b, ",\"ts_ms\":", e);
    rc = rc ? rc : cdc_put_int(b, at->ts_us / 1000, e);
    return rc ? rc : schemas ? CDC_PUT(b, "}}", e) : CDC_PUT(b, "}", e);
}

static int boundary(struct cdc *c, const struct cdc_origin *at, bool begin)
{
    int rc = cdc_flush_full(c);
    if (rc)
        return rc;
    struct err e;
    struct cdc_mark before = cdc_mark(c);
    struct cdc_pending *r = cdc_record(c, c->transaction_topic, &e);
    size_t key = c->batch.bytes.len;
    rc = r ? write_key(c, at, &e) : e.code;
    size_t value = c->batch.bytes.len;
    rc = rc ? rc : write_value(c, at, begin, &e);
    if (rc) {
        cdc_take_back(c, before);
        return cdc_fail(c, &e);
    }
    r->key = (struct cdc_part){key, value - key};
    r->value = cdc_part_from(c, value);
    return LEAT_OK;
}

int cdc_begin(struct cdc *c, const struct cdc_origin *at)
{
    c->transaction++;
    c->total = 0;
    c->touched_count = 0;
    return c->config.transaction_metadata && !c->muted ? boundary(c, at, true) : LEAT_OK;
}

int cdc_end(struct cdc *c, const struct cdc_origin *at)
{
    return c->config.transaction_metadata && !c->muted ? boundary(c, at, false) : LEAT_OK;
}

void cdc_mute(struct cdc *c, bool muted)
{
    c->muted = muted;
}
