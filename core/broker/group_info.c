/*
 * group_info: describing groups. Copies for the caller, taken under the cache's lock; any thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "broker/offsets_cache.h"

static void *unconst(const char *s)
{
    return (void *)(uintptr_t)s;
}

void group_info_free(struct group_info *g)
{
    for (size_t i = 0; i < g->count; i++) {
        mem_free(unconst(g->offsets[i].topic));
        mem_free(unconst(g->offsets[i].metadata));
    }
    mem_free(g->offsets);
    mem_free(g->group);
    memset(g, 0, sizeof *g);
}

void group_infos_free(struct group_info *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        group_info_free(&list[i]);
    mem_free(list);
}

static int by_partition(const void *a, const void *b)
{
    const struct group_offset *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);
    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static int copy_entry(const struct offset_entry *en, struct group_offset *out, struct err *e)
{
    *out = (struct group_offset){
        .topic = mem_strdup(en->topic),
        .partition = en->partition,
        .offset = en->offset,
        .leader_epoch = en->leader_epoch,
        .metadata = mem_strdup(en->metadata ? en->metadata : ""),
        .commit_ms = en->commit_ms,
        .pending = en->pending > 0,
    };
    return out->topic && out->metadata ? ERR_OK : err_nomem(e);
}

static int describe(const struct group *g, struct group_info *out, struct err *e)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    memset(out, 0, sizeof *out);
    out->group = mem_strdup(g->name);
    out->offsets = mem_calloc(g->live + 1, sizeof *out->offsets);
    int rc = out->group && out->offsets ? ERR_OK : err_nomem(e);
    while (!rc && map_next(g->entries, &pos, &key, &len, &value)) {
        const struct offset_entry *en = value;
        if (en->offset != OFFSET_DELETED)
            rc = copy_entry(en, &out->offsets[out->count++], e);
    }
    if (rc)
        group_info_free(out);
    else
        qsort(out->offsets, out->count, sizeof *out->offsets, by_partition);
    return rc;
}

int broker_group(struct broker *b, const char *group, struct group_info *out, struct err *e)
{
    struct offsets *o = b->offsets;
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&o->lock);
    const struct group *g = offsets_group_find(o, group);
    int rc = g && g->live > 0 ? describe(g, out, e)
                              : err_set(e, ERR_UNKNOWN_GROUP, "there is no group \"%s\"", group);
    pthread_mutex_unlock(&o->lock);
    return rc;
}

static int by_group(const void *a, const void *b)
{
    const struct group_info *x = a, *y = b;
    return strcmp(x->group, y->group);
}

int broker_groups(struct broker *b, struct group_info **list, size_t *n, struct err *e)
{
    struct offsets *o = b->offsets;
    size_t pos = 0, len;
    const void *key;
    void *value;
    *n = 0;
    *list = NULL;
    pthread_mutex_lock(&o->lock);
    struct group_info *all = mem_calloc(map_count(o->groups) + 1, sizeof *all);
    int rc = all ? ERR_OK : err_nomem(e);
    while (!rc && map_next(o->groups, &pos, &key, &len, &value)) {
        const struct group *g = value;
        if (g->live > 0 && !(rc = describe(g, &all[*n], e)))
            (*n)++;
    }
    pthread_mutex_unlock(&o->lock);
    if (rc) {
        group_infos_free(all, *n);
        *n = 0;
        return rc;
    }
    qsort(all, *n, sizeof *all, by_group);
    *list = all;
    return ERR_OK;
}

void group_names_free(char **names, size_t n)
{
    for (size_t i = 0; names && i < n; i++)
        mem_free(names[i]);
    mem_free(names);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int offsets_group_names(struct offsets *o, bool live_only, char ***out, size_t *n, struct err *e)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    *n = 0;
    pthread_mutex_lock(&o->lock);
    char **names = mem_calloc(map_count(o->groups) + 1, sizeof *names);
    int rc = names ? ERR_OK : err_nomem(e);
    while (!rc && map_next(o->groups, &pos, &key, &len, &value)) {
        const struct group *g = value;
        if (live_only && g->live == 0)
            continue;
        if ((names[*n] = mem_strdup(g->name)))
            (*n)++;
        else
            rc = err_nomem(e);
    }
    pthread_mutex_unlock(&o->lock);
    if (rc) {
        group_names_free(names, *n);
        names = NULL;
        *n = 0;
    }
    *out = names;
    return rc;
}

int broker_group_names(struct broker *b, char ***names, size_t *n, struct err *e)
{
    int rc = offsets_group_names(b->offsets, true, names, n, e);
    if (!rc)
        qsort(*names, *n, sizeof(char *), by_text);
    return rc;
}
