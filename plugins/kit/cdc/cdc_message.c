/*
 * cdc_message: records that are of no table: logical messages and heartbeats. They have no context headers, as Debezium's.
 */
#include <string.h>

#include "kit/cdc/cdc_impl.h"
#include "kit/cdc/cdc_json.h"

#define MESSAGE_FIELDS                                                                                       \
    "{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":true,\"field\":\"prefix\"},"         \
    "{\"type\":\""
#define MESSAGE_FIELDS_END                                                                                   \
    "\",\"optional\":true,\"field\":\"content\"}],\"optional\":false,"                                       \
    "\"name\":\"io.debezium.connector.postgresql.Message\",\"version\":1,\"field\":\"message\"}"

#define HEARTBEAT_KEY_SCHEMA                                                                                 \
    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,"                  \
    "\"field\":\"serverName\"}],\"optional\":false,\"name\":\"io.debezium.connector.common.ServerNameKey\"," \
    "\"version\":1},\"payload\":"

#define HEARTBEAT_VALUE_SCHEMA                                                                               \
    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int64\",\"optional\":false,"                   \
    "\"field\":\"ts_ms\"}],\"optional\":false,\"name\":\"io.debezium.connector.common.Heartbeat\","          \
    "\"version\":1},\"payload\":"

/* ---- logical messages ----------------------------------------------------------------------------------------------------- */

struct message {
    const struct cdc_origin *at;
    const char *prefix;
    size_t prefix_len;
    const struct cdc_content *content;
    struct cdc_collection *of; /* NULL: in no transaction */
};

static int message_key_schema(struct cdc *c, struct buf *b, struct err *e)
{
    int rc = CDC_PUT(b,
                     "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":true,"
                     "\"field\":\"prefix\"}],\"optional\":false,\"name\":\"",
                     e);
    rc = rc ? rc : buf_str(b, c->dialect->message_key_schema, e);
    return rc ? rc : CDC_PUT(b, "\",\"version\":1},\"payload\":", e);
}

static int message_value_schema(struct cdc *c, const struct message *m, struct buf *b, struct err *e)
{
    int rc = CDC_PUT(b,
                     "{\"schema\":{\"type\":\"struct\",\"fields\":["
                     "{\"type\":\"string\",\"optional\":false,\"field\":\"op\"},"
                     "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"},",
                     e);
    rc = rc ? rc : cdc_put_str(b, &c->source_schema, e);
    rc = rc ? rc : CDC_PUT(b, ",", e);
    rc = rc ? rc : cdc_put_str(b, &c->block_schema, e);
    rc = rc ? rc : CDC_PUT(b, "," MESSAGE_FIELDS, e);
    rc = rc ? rc : buf_str(b, m->content->type, e);
    rc = rc ? rc : CDC_PUT(b, MESSAGE_FIELDS_END "],\"optional\":false,\"name\":\"", e);
    rc = rc ? rc : buf_str(b, c->dialect->message_value_schema, e);
    return rc ? rc : CDC_PUT(b, "\",\"version\":1},\"payload\":", e);
}

static int message_key(struct cdc *c, const struct message *m, struct buf *b, struct err *e)
{
    bool schemas = c->config.key_schemas;
    int rc = schemas ? message_key_schema(c, b, e) : ERR_OK;
    rc = rc ? rc : CDC_PUT(b, "{\"prefix\":", e);
    rc = rc ? rc : cdc_json_string(b, m->prefix, m->prefix_len, e);
    return rc ? rc : schemas ? CDC_PUT(b, "}}", e) : CDC_PUT(b, "}", e);
}

static int message_value(struct cdc *c, const struct message *m, struct buf *b, struct err *e)
{
    bool schemas = c->config.value_schemas;
    char now[CDC_DIGITS];
    size_t n = cdc_now(now);
    int rc = schemas ? message_value_schema(c, m, b, e) : ERR_OK;
    rc = rc ? rc : CDC_PUT(b, "{\"op\":\"m\",\"ts_ms\":", e);
    rc = rc ? rc : cdc_put(b, now, n - 6, e);
    rc = rc ? rc : CDC_PUT(b, ",\"source\":", e);
    rc = rc ? rc : cdc_source_write(c, m->at, "\"\"", "\"\"", b, e);
    rc = rc ? rc : CDC_PUT(b, ",\"transaction\":", e);
    rc = rc ? rc : m->of ? cdc_block_write(c, m->at, m->of, b, e) : CDC_PUT(b, "null", e);
    rc = rc ? rc : CDC_PUT(b, ",\"message\":{\"prefix\":", e);
    rc = rc ? rc : cdc_json_string(b, m->prefix, m->prefix_len, e);
    rc = rc ? rc : CDC_PUT(b, ",\"content\":", e);
    rc = rc ? rc : cdc_put(b, m->content->json, m->content->n, e);
    return rc ? rc : schemas ? CDC_PUT(b, "}}}", e) : CDC_PUT(b, "}}", e);
}

static int write_message(struct cdc *c, const struct message *m, struct err *e)
{
    if (m->of && cdc_count(c, m->of, e) != ERR_OK)
        return e->code;
    struct cdc_pending *r = cdc_record(c, c->message_topic, e);
    if (!r)
        return e->code;
    size_t key = c->batch.bytes.len;
    int rc = message_key(c, m, &c->batch.bytes, e);
    r->key = cdc_part_from(c, key);
    size_t value = c->batch.bytes.len;
    rc = rc ? rc : message_value(c, m, &c->batch.bytes, e);
    r->value = cdc_part_from(c, value);
    return rc;
}

int cdc_message(struct cdc *c, const struct cdc_origin *at, bool in_txn, const char *prefix,
                size_t prefix_len, const struct cdc_content *content)
{
    int rc = cdc_flush_full(c);
    if (rc)
        return rc;
    struct err e;
    struct message m = {at, prefix, prefix_len, content, NULL};
    if (in_txn && c->config.transaction_metadata && !(m.of = cdc_collection(c, "message", &e)))
        return cdc_fail(c, &e);
    struct cdc_mark before = cdc_mark(c);
    rc = write_message(c, &m, &e);
    if (rc || c->muted)
        cdc_take_back(c, before);
    if (rc) {
        err_wrap(&e, "a logical message of the prefix %.*s", (int)prefix_len, prefix);
        return cdc_fail(c, &e);
    }
    return LEAT_OK;
}

/* ---- heartbeats ----------------------------------------------------------------------------------------------------------- */

static int heartbeat_key(struct cdc *c, struct buf *b, struct err *e)
{
    bool schemas = c->config.key_schemas;
    int rc = schemas ? CDC_PUT(b, HEARTBEAT_KEY_SCHEMA, e) : ERR_OK;
    rc = rc ? rc : CDC_PUT(b, "{\"serverName\":", e);
    rc = rc ? rc : cdc_json_string(b, c->config.prefix, strlen(c->config.prefix), e);
    return rc ? rc : schemas ? CDC_PUT(b, "}}", e) : CDC_PUT(b, "}", e);
}

static int heartbeat_value(struct cdc *c, struct buf *b, struct err *e)
{
    bool schemas = c->config.value_schemas;
    char now[CDC_DIGITS];
    size_t n = cdc_now(now);
    int rc = schemas ? CDC_PUT(b, HEARTBEAT_VALUE_SCHEMA, e) : ERR_OK;
    rc = rc ? rc : CDC_PUT(b, "{\"ts_ms\":", e);
    rc = rc ? rc : cdc_put(b, now, n - 6, e);
    return rc ? rc : schemas ? CDC_PUT(b, "}}", e) : CDC_PUT(b, "}", e);
}

int cdc_heartbeat(struct cdc *c)
{
    int rc = cdc_flush_full(c);
    if (rc)
        return rc;
    struct err e;
    struct cdc_mark before = cdc_mark(c);
    struct cdc_pending *r = cdc_record(c, c->heartbeat_topic, &e);
    size_t key = c->batch.bytes.len;
    rc = r ? heartbeat_key(c, &c->batch.bytes, &e) : e.code;
    size_t value = c->batch.bytes.len;
    rc = rc ? rc : heartbeat_value(c, &c->batch.bytes, &e);
    if (rc) {
        cdc_take_back(c, before);
        return cdc_fail(c, &e);
    }
    r->key = (struct cdc_part){key, value - key};
    r->value = cdc_part_from(c, value);
    r->partition = 0;
    return LEAT_OK;
}

int64_t cdc_heartbeat_interval_ms(const struct cdc *c)
{
    return c->config.heartbeat_ms;
}
