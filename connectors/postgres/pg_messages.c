/*
 * pg_messages: the prefix filters, over the event kit's lists of expressions.
 */
#include "pg_messages.h"

#include "base/mem.h"
#include "kit/cdc/cdc_filter.h"

#define INCLUDE "message.prefix.include.list"
#define EXCLUDE "message.prefix.exclude.list"

struct pg_messages {
    bool all; /* no list is given */
    bool exclude;
    struct cdc_filter list;
};

struct pg_messages *pg_messages_new(const struct leat_host *host, const struct leat_config *config,
                                    struct err *e)
{
    struct pg_messages *m = mem_calloc(1, sizeof *m);
    if (!m) {
        err_nomem(e);
        return NULL;
    }
    bool include = host->is_set(config, INCLUDE);
    m->exclude = host->is_set(config, EXCLUDE);
    m->all = !include && !m->exclude;
    int rc = ERR_OK;
    if (include && m->exclude) {
        rc = err_set(e, ERR_INVALID_CONFIG, INCLUDE " and " EXCLUDE " exclude each other");
    } else if (!m->all) {
        const char *const *items;
        const char *option = include ? INCLUDE : EXCLUDE;
        size_t n = host->get_list(config, option, &items);
        rc = cdc_filter_read(option, items, n, &m->list, e);
    }
    if (rc != ERR_OK) {
        mem_free(m);
        return NULL;
    }
    return m;
}

void pg_messages_free(struct pg_messages *m)
{
    if (!m)
        return;
    cdc_filter_free(&m->list);
    mem_free(m);
}

bool pg_messages_wants(const struct pg_messages *m, const char *prefix)
{
    return m->all || cdc_filter_matches(&m->list, prefix) != m->exclude;
}
