/*
 * cdc_notify: notifications of snapshots, into a topic or the log. Their additional data is a HashMap in Debezium, and its order
 * shows; so the pairs are put into the buckets that Java would put them in.
 */
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/uuid.h"
#include "kit/cdc/cdc_impl.h"
#include "kit/cdc/cdc_json.h"

#define PAIRS_MAX 16

#define KEY_SCHEMA                                                                                           \
    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":\"id\"}" \
    "],"                                                                                                     \
    "\"optional\":false,\"name\":\"io.debezium.connector.common.NotificationKey\",\"version\":1},"           \
    "\"payload\":"

#define VALUE_SCHEMA                                                                                         \
    "{\"schema\":{\"type\":\"struct\",\"fields\":["                                                          \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"id\"},"                                             \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"type\"},"                                           \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"aggregate_type\"},"                                 \
    "{\"type\":\"map\",\"keys\":{\"type\":\"string\",\"optional\":false},\"values\":{\"type\":\"string\","   \
    "\"optional\":false},\"optional\":true,\"field\":\"additional_data\"},"                                  \
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"timestamp\"}],"                                      \
    "\"optional\":false,\"name\":\"io.debezium.connector.common.Notification\",\"version\":1},"              \
    "\"payload\":"

struct pair {
    const char *name, *value;
    unsigned bucket;
};

/*
 * A map is made with room for the pairs, and the connector's name put behind them, for which there always is room, too. Returns how
 * many pairs there are.
 */
static size_t arrange(struct cdc *c, const char *const *data, struct pair out[PAIRS_MAX])
{
    size_t n = 0;
    for (; data && data[2 * n] && n < PAIRS_MAX - 1; n++)
        out[n] = (struct pair){.name = data[2 * n], .value = data[2 * n + 1]};
    unsigned buckets = 1;
    while (buckets * 3 < n * 4 + 3)
        buckets *= 2;
    out[n++] = (struct pair){.name = "connector_name", .value = c->config.prefix};
    for (size_t i = 0; i < n; i++) {
        uint32_t h = (uint32_t)java_string_hash(out[i].name, strlen(out[i].name));
        out[i].bucket = (h ^ h >> 16) & (buckets - 1);
    }
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && out[k - 1].bucket > out[k].bucket; k--) {
            struct pair p = out[k];
            out[k] = out[k - 1];
            out[k - 1] = p;
        }
    return n;
}

static int member(struct buf *b, const char *name, const char *value, struct err *e)
{
    int rc = cdc_json_string(b, name, strlen(name), e);
    rc = rc ? rc : CDC_PUT(b, ":", e);
    return rc ? rc : cdc_json_string(b, value, strlen(value), e);
}

static int write_data(struct cdc *c, const char *const *data, struct buf *b, struct err *e)
{
    struct pair pairs[PAIRS_MAX];
    size_t n = arrange(c, data, pairs);
    int rc = CDC_PUT(b, ",\"additional_data\":{", e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        rc = i ? CDC_PUT(b, ",", e) : ERR_OK;
        rc = rc ? rc : member(b, pairs[i].name, pairs[i].value, e);
    }
    return rc ? rc : CDC_PUT(b, "}", e);
}

/* What a notification says, without schema. */
struct notice {
    const char *id, *type, *aggregate;
    const char *const *data;
};

static int write_payload(struct cdc *c, const struct notice *n, struct buf *b, struct err *e)
{
    int rc = CDC_PUT(b, "{", e);
    rc = rc ? rc : member(b, "id", n->id, e);
    rc = rc ? rc : CDC_PUT(b, ",", e);
    rc = rc ? rc : member(b, "type", n->type, e);
    rc = rc ? rc : CDC_PUT(b, ",", e);
    rc = rc ? rc : member(b, "aggregate_type", n->aggregate, e);
    rc = rc ? rc : write_data(c, n->data, b, e);
    rc = rc ? rc : CDC_PUT(b, ",\"timestamp\":", e);
    rc = rc ? rc : cdc_put_int(b, clock_wall_ms(), e);
    return rc ? rc : CDC_PUT(b, "}", e);
}

static int write_notice(struct cdc *c, const struct notice *n, struct cdc_pending *r, struct err *e)
{
    struct buf *b = &c->batch.bytes;
    size_t key = b->len;
    int rc = c->config.key_schemas ? CDC_PUT(b, KEY_SCHEMA, e) : ERR_OK;
    rc = rc ? rc : CDC_PUT(b, "{", e);
    rc = rc ? rc : member(b, "id", n->id, e);
    rc = rc ? rc : c->config.key_schemas ? CDC_PUT(b, "}}", e) : CDC_PUT(b, "}", e);
    size_t value = b->len;
    rc = rc ? rc : c->config.value_schemas ? CDC_PUT(b, VALUE_SCHEMA, e) : ERR_OK;
    rc = rc ? rc : write_payload(c, n, b, e);
    if (rc == ERR_OK && c->config.value_schemas)
        rc = CDC_PUT(b, "}", e);
    r->key = (struct cdc_part){key, value - key};
    r->value = cdc_part_from(c, value);
    return rc;
}

static int to_log(struct cdc *c, const struct notice *n, struct err *e)
{
    buf_reset(&c->scratch);
    int rc = write_payload(c, n, &c->scratch, e);
    if (rc == ERR_OK)
        c->host->log(c->task, LEAT_INFO, "notification: %.*s", (int)c->scratch.len,
                     (const char *)c->scratch.data);
    return rc;
}

static int to_topic(struct cdc *c, const struct notice *n, struct err *e)
{
    struct cdc_mark before = cdc_mark(c);
    struct cdc_pending *r = cdc_record(c, c->config.notify_topic, e);
    int rc = r ? write_notice(c, n, r, e) : e->code;
    if (rc)
        cdc_take_back(c, before);
    return rc;
}

int cdc_notify(struct cdc *c, const char *id, const char *type, const char *aggregate,
               const char *const *data)
{
    if (!c->config.notify_log && !c->config.notify_sink)
        return LEAT_OK;
    int rc = cdc_flush_full(c);
    if (rc)
        return rc;
    struct err e;
    char made[37];
    if (!id)
        cdc_uuid(4, made);
    struct notice n = {id ? id : made, type, aggregate, data};
    int failed = c->config.notify_log ? to_log(c, &n, &e) : ERR_OK;
    if (!failed && c->config.notify_sink)
        failed = to_topic(c, &n, &e);
    return failed ? cdc_fail(c, &e) : LEAT_OK;
}
