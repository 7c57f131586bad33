/*
 * cdc_config: see cdc_config.h. What concerns masks and keys is in cdc_mask.c and cdc_keys.c, what concerns transforms in
 * cdc_transforms.c.
 */
#include "kit/cdc/cdc_config.h"

#include <string.h>

#include "base/mem.h"
#include "kit/cdc/cdc_keys.h"
#include "kit/cdc/cdc_mask.h"
#include "kit/cdc/cdc_transforms.h"

/* What is being read, so that functions need not pass it all. */
struct reader {
    const struct leat_host *host;
    const struct leat_config *c;
    struct cdc_config *out;
    struct err *e;
};

static int text(struct reader *r, const char *name, char **out)
{
    const char *value = r->host->get_str(r->c, name);
    if (value && !(*out = mem_strdup(value)))
        return err_nomem(r->e);
    return ERR_OK;
}

static int filter(struct reader *r, const char *name, struct cdc_filter *out)
{
    const char *const *items;
    size_t n = r->host->get_list(r->c, name, &items);
    return cdc_filter_read(name, items, n, out, r->e);
}

static int filters(struct reader *r)
{
    const struct {
        const char *include, *exclude;
        struct cdc_filter *in, *ex;
    } pairs[] = {
        {"table.include.list", "table.exclude.list", &r->out->tables, &r->out->tables_not},
        {"schema.include.list", "schema.exclude.list", &r->out->schemas, &r->out->schemas_not},
        {"database.include.list", "database.exclude.list", &r->out->databases, &r->out->databases_not},
        {"column.include.list", "column.exclude.list", &r->out->columns, &r->out->columns_not},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        if (filter(r, pairs[i].include, pairs[i].in) || filter(r, pairs[i].exclude, pairs[i].ex))
            return r->e->code;
        if (pairs[i].in->count && pairs[i].ex->count)
            return err_set(r->e, ERR_INVALID_CONFIG, "%s and %s exclude each other", pairs[i].include,
                           pairs[i].exclude);
    }
    return ERR_OK;
}

static int skipped(struct reader *r)
{
    const char *const *items;
    size_t n = r->host->get_list(r->c, "skipped.operations", &items);
    for (size_t i = 0; i < n; i++) {
        const char *o = items[i];
        if (strcmp(o, "none") == 0 && n == 1)
            return ERR_OK;
        if (o[0] == '\0' || o[1] != '\0' || !strchr("cudt", o[0]))
            return err_set(r->e, ERR_INVALID_CONFIG,
                           "skipped.operations: \"%s\" is none of c, u, d, t, or none alone", o);
        r->out->skipped |= 1u << (o[0] - 'a');
    }
    return ERR_OK;
}

static int channels(struct reader *r)
{
    const char *const *items;
    size_t n = r->host->get_list(r->c, "notification.enabled.channels", &items);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(items[i], "sink") == 0)
            r->out->notify_sink = true;
        else if (strcmp(items[i], "log") == 0)
            r->out->notify_log = true;
        else if (strcmp(items[i], "jmx") != 0)
            return err_set(r->e, ERR_INVALID_CONFIG,
                           "notification.enabled.channels: \"%s\" is none of sink, log, jmx", items[i]);
    }
    if (r->out->notify_sink && !r->out->notify_topic)
        return err_set(r->e, ERR_INVALID_CONFIG,
                       "notification.sink.topic.name: the notification channel sink needs it");
    return ERR_OK;
}

static int texts(struct reader *r)
{
    int rc = text(r, "topic.prefix", &r->out->prefix);
    rc = rc ? rc : text(r, "topic.delimiter", &r->out->delimiter);
    rc = rc ? rc : text(r, "topic.heartbeat.prefix", &r->out->heartbeat_prefix);
    rc = rc ? rc : text(r, "topic.transaction", &r->out->transaction_topic);
    rc = rc ? rc : text(r, "notification.sink.topic.name", &r->out->notify_topic);
    rc = rc ? rc : text(r, "signal.data.collection", &r->out->signal_table);
    if (rc == ERR_OK && (!r->out->prefix || !*r->out->prefix))
        rc = err_set(r->e, ERR_INVALID_CONFIG, "topic.prefix: must not be empty");
    for (const char *p = r->out->prefix; rc == ERR_OK && *p; p++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *p))
            rc = err_set(r->e, ERR_INVALID_CONFIG,
                         "topic.prefix: \"%s\" has a character that a topic's name cannot have (letters, "
                         "digits, . _ -)",
                         r->out->prefix);
    return rc;
}

static void switches(struct reader *r)
{
    const struct leat_host *h = r->host;
    r->out->tombstones = h->get_bool(r->c, "tombstones.on.delete");
    r->out->transaction_metadata = h->get_bool(r->c, "provide.transaction.metadata");
    r->out->only_changes = h->get_bool(r->c, "skip.messages.without.change");
    r->out->context_headers = h->get_bool(r->c, "extended.headers.enabled");
    r->out->schema_names = (enum cdc_adjust)h->get_int(r->c, "schema.name.adjustment.mode");
    r->out->field_names = (enum cdc_adjust)h->get_int(r->c, "field.name.adjustment.mode");
    int64_t failure = h->get_int(r->c, "event.processing.failure.handling.mode");
    r->out->failure = failure > CDC_FAILURE_SKIP ? CDC_FAILURE_SKIP : (enum cdc_failure)failure;
    r->out->heartbeat_ms = h->get_int(r->c, "heartbeat.interval.ms");
}

static int propagated(struct reader *r, const char *name, bool by_type)
{
    struct cdc_filter f;
    if (filter(r, name, &f) != ERR_OK)
        return r->e->code;
    if (f.count == 0)
        return ERR_OK;
    return cdc_mask_add(r->out,
                        &(struct cdc_mask_rule){.kind = CDC_MASK_PROPAGATE, .columns = f, .by_type = by_type},
                        name, r->e);
}

static struct cdc_aliases aliases(struct reader *r, const char *name)
{
    struct cdc_aliases a;
    a.count = r->host->get_list(r->c, name, &a.items);
    return a;
}

/* The options with names of their own, those of transforms together, as they are read once all are known. */
static int named_options(struct reader *r)
{
    struct cdc_named *of_transforms = NULL, option;
    size_t cursor = 0, n = 0;
    int rc = ERR_OK;
    while (rc == ERR_OK && r->host->next_option(r->c, &cursor, &option.name, &option.value)) {
        if (strncmp(option.name, "column.", strlen("column.")) == 0)
            rc = cdc_mask_option(r->out, &option, r->e);
        if (strncmp(option.name, "transforms.", strlen("transforms.")) != 0 &&
            strncmp(option.name, "predicates.", strlen("predicates.")) != 0)
            continue; /* the connector's own */
        struct cdc_named *more = mem_realloc_array(of_transforms, n + 1, sizeof(*more));
        if (more) {
            of_transforms = more;
            of_transforms[n++] = option;
        } else {
            rc = err_nomem(r->e);
        }
    }
    rc = rc ? rc
            : cdc_transforms_read(aliases(r, "transforms"), aliases(r, "predicates"), of_transforms, n,
                                  r->out, r->e);
    mem_free(of_transforms);
    return rc;
}

int cdc_config_read(const struct leat_host *host, const struct leat_config *c, struct cdc_config *out,
                    struct err *e)
{
    *out = (struct cdc_config){0};
    struct reader r = {host, c, out, e};
    int rc = texts(&r);
    switches(&r);
    rc = rc ? rc : filters(&r);
    rc = rc ? rc : skipped(&r);
    rc = rc ? rc : channels(&r);
    rc = rc ? rc : cdc_keys_parse(host->get_str(c, "message.key.columns"), &out->keys, e);
    rc = rc ? rc : propagated(&r, "column.propagate.source.type", false);
    rc = rc ? rc : propagated(&r, "datatype.propagate.source.type", true);
    rc = rc ? rc : named_options(&r);
    if (rc)
        cdc_config_free(out);
    return rc;
}

void cdc_config_free(struct cdc_config *c)
{
    struct cdc_filter *all[] = {&c->tables,      &c->tables_not,  &c->schemas,
                                &c->schemas_not, &c->databases,   &c->databases_not,
                                &c->columns,     &c->columns_not, &c->keys};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        cdc_filter_free(all[i]);
    char *texts_of[] = {c->prefix,       c->delimiter,   c->heartbeat_prefix, c->transaction_topic,
                        c->notify_topic, c->signal_table};
    for (size_t i = 0; i < sizeof(texts_of) / sizeof(*texts_of); i++)
        mem_free(texts_of[i]);
    cdc_masks_free(c);
    cdc_transforms_free(c);
    *c = (struct cdc_config){0};
}
