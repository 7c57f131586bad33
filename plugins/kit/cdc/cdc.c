/*
 * cdc: a capture from its options: what is made once for all tables, and given back at the end.
 */
#include "kit/cdc/cdc.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "kit/cdc/cdc_impl.h"
#include "kit/cdc/cdc_transforms.h"
#include "kit/cdc/cdc_json.h"
#include "kit/options.h"

#define TEXT_MAX ((size_t)1 << 30)

int cdc_fail(struct cdc *c, const struct err *e)
{
    return kit_fail(c->host, c->task, e);
}

void cdc_uuid(int version, char out[37])
{
    struct uuid u = uuid_random();
    if (version == 7) {
        uint64_t ms = (uint64_t)clock_wall_ms();
        for (int i = 0; i < 6; i++)
            u.b[i] = (uint8_t)(ms >> (40 - 8 * i));
        u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x70);
    }
    char *to = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = "0123456789abcdef"[u.b[i] >> 4];
        *to++ = "0123456789abcdef"[u.b[i] & 15];
    }
    *to = '\0';
}

int cdc_topic(struct cdc *c, const char *name, const char **out, struct err *e)
{
    size_t n = strlen(name);
    char *kept = map_get(c->topics, name, n);
    if (!kept) {
        kept = mem_strdup(name);
        int rc = kept ? map_put(c->topics, name, n, kept, e) : err_nomem(e);
        if (rc) {
            mem_free(kept);
            return rc;
        }
    }
    *out = kept;
    return ERR_OK;
}

/* <prefix><delimiter><rest>, or what transforms make of it. */
static int make_topic(struct cdc *c, const char *first, const char *rest, const char **out, struct err *e)
{
    char *plain = mem_printf("%s%s%s", first, c->config.delimiter, rest), *name = NULL, *routed = NULL;
    int rc = plain ? cdc_topic_name(plain, &name, e) : err_nomem(e);
    rc = rc ? rc : cdc_route(&c->config, 0, c->config.route_count, name, &routed, e);
    rc = rc ? rc : cdc_topic(c, routed, out, e);
    mem_free(plain);
    mem_free(name);
    mem_free(routed);
    return rc;
}

static int make_topics(struct cdc *c, struct err *e)
{
    const struct cdc_config *f = &c->config;
    int rc = make_topic(c, f->heartbeat_prefix, f->prefix, &c->heartbeat_topic, e);
    rc = rc ? rc : make_topic(c, f->prefix, f->transaction_topic, &c->transaction_topic, e);
    return rc ? rc : make_topic(c, f->prefix, "message", &c->message_topic, e);
}

static struct leat_header context_header(const char *key, const char *value)
{
    return (struct leat_header){key, strlen(key), value, strlen(value)};
}

static void make_context(struct cdc *c)
{
    cdc_uuid(7, c->run_id);
    snprintf(c->task_id, sizeof(c->task_id), "%d", c->host->task_index(c->task));
    c->context[0] = context_header("__debezium.context.connectorLogicalName", c->config.prefix);
    c->context[1] = context_header("__debezium.context.taskId", c->task_id);
    c->context[2] = context_header("__debezium.context.connectorName", c->dialect->connector);
    c->context[3] = context_header("__debezium.context.runId", c->run_id);
}

static int make_db(struct cdc *c, const char *db, struct err *e)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    int rc = cdc_json_string(&b, db, strlen(db), e);
    rc = rc ? rc : buf_u8(&b, '\0', e);
    c->db_json = rc ? NULL : (char *)b.data;
    if (rc)
        buf_free(&b);
    c->db = mem_strdup(db);
    return rc ? rc : c->db ? ERR_OK : err_nomem(e);
}

static int make(struct cdc *c, const struct leat_config *config, const char *db, struct err *e)
{
    int rc = cdc_config_read(c->host, config, &c->config, e);
    rc = rc ? rc : cdc_batch_init(&c->batch, e);
    if (rc)
        return rc;
    c->config.key_schemas = c->host->schemas_enabled(c->task, true);
    c->config.value_schemas = c->host->schemas_enabled(c->task, false);
    c->topics = map_new();
    c->collections = map_new();
    if (!c->topics || !c->collections)
        return err_nomem(e);
    make_context(c);
    rc = make_db(c, db, e);
    rc = rc ? rc : make_topics(c, e);
    return rc ? rc : cdc_source_init(c, e);
}

struct cdc *cdc_new(struct leat_task *t, const struct leat_host *host, const struct leat_config *config,
                    const struct cdc_dialect *dialect, const char *db)
{
    struct cdc *c = mem_calloc(1, sizeof(*c));
    struct err e;
    if (!c) {
        err_nomem(&e);
        kit_fail(host, t, &e);
        return NULL;
    }
    c->task = t;
    c->host = host;
    c->dialect = dialect;
    buf_init(&c->scratch, TEXT_MAX);
    buf_init(&c->scratch2, TEXT_MAX);
    buf_init(&c->aside, TEXT_MAX);
    buf_init(&c->source_before, 1 << 16);
    buf_init(&c->source_times, 1 << 10);
    if (make(c, config, db, &e) == ERR_OK)
        return c;
    kit_fail(host, t, &e);
    cdc_free(c);
    return NULL;
}

static void collection_free(void *p)
{
    struct cdc_collection *of = p;
    mem_free(of->name);
    mem_free(of);
}

void cdc_free(struct cdc *c)
{
    if (!c)
        return;
    cdc_batch_free(&c->batch);
    if (c->topics)
        map_free(c->topics, mem_free);
    if (c->collections)
        map_free(c->collections, collection_free);
    struct buf *bufs[] = {&c->scratch, &c->scratch2, &c->aside, &c->source_before, &c->source_times};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(*bufs); i++)
        buf_free(bufs[i]);
    struct cdc_str *texts[] = {&c->source_head, &c->source_db, &c->source_schema, &c->block_schema};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        cdc_str_free(texts[i]);
    mem_free(c->touched);
    mem_free(c->db);
    mem_free(c->db_json);
    cdc_config_free(&c->config);
    mem_free(c);
}

int cdc_validate(struct leat_task *t, const struct leat_host *host, const struct leat_config *config)
{
    struct cdc_config read;
    struct err e;
    if (cdc_config_read(host, config, &read, &e) != ERR_OK)
        return kit_fail(host, t, &e);
    cdc_config_free(&read);
    return LEAT_OK;
}
