/*
 * meta_image: see meta_image.h.
 */
#include "broker/meta_image.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "broker/topic.h"
#include "storage/paths.h"
#include "storage/scan.h"

#define WINDOW (64u << 10)

/* ---- records ---- */

int meta_image_init(struct meta_image *m, struct err *e)
{
    *m = (struct meta_image){
        .by_id = map_new(), .by_name = map_new(), .removed = map_new(), .groups = map_new()};
    return m->by_id && m->by_name && m->removed && m->groups ? ERR_OK : err_nomem(e);
}

static void free_topic(void *topic)
{
    struct meta_topic *t = topic;
    if (!t)
        return;
    topic_config_free(t->config, t->config_count);
    mem_free(t->name);
    mem_free(t);
}

static void free_group(void *group)
{
    struct meta_group *g = group;
    topic_config_free(g->config, g->config_count);
    mem_free(g->name);
    mem_free(g);
}

void meta_image_free(struct meta_image *m)
{
    topic_config_free(m->brokers, m->broker_count);
    if (m->groups)
        map_free(m->groups, free_group);
    if (m->by_name)
        map_free(m->by_name, NULL);
    if (m->removed)
        map_free(m->removed, NULL);
    if (m->by_id)
        map_free(m->by_id, free_topic);
    *m = (struct meta_image){0};
}

struct meta_topic *meta_image_topic(const struct meta_image *m, const char *name)
{
    return map_get(m->by_name, name, strlen(name));
}

static int add_topic(struct meta_image *m, const struct meta_record *r, struct err *e)
{
    if (map_get(m->by_id, r->topic_id.b, sizeof r->topic_id.b))
        return err_set(e, ERR_CORRUPT, "topic %.*s comes twice", (int)r->name.n, r->name.p);
    struct meta_topic *t = mem_calloc(1, sizeof *t);
    if (!t || !(t->name = mem_strndup(r->name.p, r->name.n))) {
        free_topic(t);
        return err_nomem(e);
    }
    t->id = r->topic_id;
    int rc = topic_name_check(t->name, e);
    if (!rc)
        rc = map_put(m->by_id, t->id.b, sizeof t->id.b, t, e);
    if (rc) {
        free_topic(t);
        return rc;
    }
    return map_put(m->by_name, t->name, strlen(t->name), t, e);
}

/* NULL: no memory. */
static struct meta_group *group_of(struct meta_image *m, const struct meta_record *r, struct err *e)
{
    struct meta_group *g = map_get(m->groups, r->name.p, r->name.n);
    if (g)
        return g;
    if (!(g = mem_calloc(1, sizeof *g)) || !(g->name = mem_strndup(r->name.p, r->name.n))) {
        mem_free(g);
        err_nomem(e);
        return NULL;
    }
    if (map_put(m->groups, r->name.p, r->name.n, g, e) == ERR_OK)
        return g;
    free_group(g);
    return NULL;
}

static int set_entry(struct topic_config_entry **list, size_t *n, const struct meta_record *r, struct err *e)
{
    size_t i = 0;
    while (i < *n &&
           (strlen((*list)[i].name) != r->key.n || memcmp((*list)[i].name, r->key.p, r->key.n) != 0))
        i++;
    char *value = r->value.p ? mem_strndup(r->value.p, r->value.n) : NULL;
    if (r->value.p && !value)
        return err_nomem(e);
    if (i < *n) {
        mem_free((char *)(uintptr_t)(*list)[i].value);
        (*list)[i].value = value;
        return ERR_OK;
    }
    struct topic_config_entry *config = mem_realloc_array(*list, i + 1, sizeof *config);
    char *name = config ? mem_strndup(r->key.p, r->key.n) : NULL;
    *list = config ? config : *list;
    if (!name) {
        mem_free(value);
        return err_nomem(e);
    }
    (*list)[(*n)++] = (struct topic_config_entry){name, value};
    return ERR_OK;
}

static int set_config(struct meta_image *m, const struct meta_record *r, struct err *e)
{
    if (r->resource == META_RESOURCE_GROUP) {
        if (r->name.n == 0 || memchr(r->name.p, 0, r->name.n)) /* it would be taken for another group's */
            return ERR_OK;
        struct meta_group *g = group_of(m, r, e);
        return g ? set_entry(&g->config, &g->config_count, r, e) : e->code;
    }
    if (r->resource == META_RESOURCE_BROKER && !r->value.p && r->name.n > 0)
        return ERR_OK; /* that one node has none of its own any more says nothing of the others */
    if (r->resource == META_RESOURCE_BROKER)
        return set_entry(&m->brokers, &m->broker_count, r, e);
    struct meta_topic *t =
        r->resource == META_RESOURCE_TOPIC ? map_get(m->by_name, r->name.p, r->name.n) : NULL;
    return t ? set_entry(&t->config, &t->config_count, r, e) : ERR_OK;
}

static int remove_topic(struct meta_image *m, const struct meta_record *r, struct err *e)
{
    struct meta_topic *t = map_remove(m->by_id, r->topic_id.b, sizeof r->topic_id.b);
    int rc = map_put(m->removed, r->topic_id.b, sizeof r->topic_id.b, m, e);
    if (t && map_get(m->by_name, t->name, strlen(t->name)) == t)
        map_remove(m->by_name, t->name, strlen(t->name));
    free_topic(t);
    return rc;
}

static int grow_topic(struct meta_image *m, const struct meta_record *r, struct err *e)
{
    struct meta_topic *t = map_get(m->by_id, r->topic_id.b, sizeof r->topic_id.b);
    if (t && r->partition >= TOPIC_PARTITIONS_MAX)
        return err_set(e, ERR_CORRUPT, "topic %s: partition %d is out of bounds", t->name, r->partition);
    if (t && r->partition >= t->partitions)
        t->partitions = r->partition + 1;
    return ERR_OK;
}

int meta_image_apply(struct meta_image *m, const struct meta_record *r, struct err *e)
{
    m->records++;
    switch (r->kind) {
    case META_TOPIC:
        return add_topic(m, r, e);
    case META_PARTITION:
        return grow_topic(m, r, e);
    case META_CONFIG:
        return set_config(m, r, e);
    case META_REMOVE_TOPIC:
        return remove_topic(m, r, e);
    case META_PRODUCER_IDS:
        if (r->next_producer_id > m->next_producer_id)
            m->next_producer_id = r->next_producer_id;
        return ERR_OK;
    default:
        return ERR_OK;
    }
}

/* ---- files ---- */

struct reading {
    struct meta_image *m;
    const char *path;
    int64_t from;
    meta_bad_fn *bad;
    void *arg;
    struct buf big, scratch;
};

static int tell_bad(const struct reading *r, int64_t byte, int64_t offset, const struct err *why,
                    struct err *e)
{
    if (why->code == ERR_NO_MEMORY)
        return err_nomem(e);
    return r->bad(r->arg, r->path, byte, offset, why, e);
}

static int read_batch(struct reading *r, const uint8_t *data, const struct batch_header *h, int64_t byte,
                      struct err *e)
{
    struct batch_iter it;
    struct record rec;
    struct err why;
    if ((h->attributes & BATCH_CONTROL) || batch_last_offset(h) < r->from)
        return ERR_OK;
    int rc = batch_iter_init(&it, data, batch_size(h), &r->scratch, &why);
    while (!rc && !(rc = batch_iter_next(&it, &rec, &why))) {
        struct meta_record record;
        struct err wrong;
        if (rec.offset < r->from)
            continue;
        rc = meta_decode(rec.value, rec.value ? (size_t)rec.value_len : 0, &record, &wrong);
        if (!rc)
            rc = meta_image_apply(r->m, &record, &wrong);
        if (rc && (rc = tell_bad(r, byte, rec.offset, &wrong, e)))
            return rc;
    }
    return rc == ERR_END ? ERR_OK : tell_bad(r, byte, h->base_offset, &why, e);
}

static int read_batches(struct reading *r, struct scan *s, struct err *e)
{
    struct batch_header h;
    const uint8_t *data;
    struct err why;
    int rc = ERR_OK;
    while (!rc) {
        rc = scan_whole(s, &h, &r->big, &data, &why);
        if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED) {
            rc = tell_bad(r, s->position, s->floor, &why, e);
            if (!rc)
                rc = scan_resync(s, INT64_MAX, &h, &r->big, e);
            continue;
        }
        if (rc) {
            *e = why;
            break;
        }
        rc = read_batch(r, data, &h, s->position, e);
        scan_skip(s, &h);
    }
    return rc == ERR_END ? ERR_OK : rc;
}

int meta_image_file(struct meta_image *m, const char *path, int64_t from, meta_bad_fn *bad, void *arg,
                    struct err *e)
{
    struct reading r = {.m = m, .path = path, .from = from, .bad = bad, .arg = arg};
    struct scan s;
    int64_t size = 0;
    int fd;
    int rc = io_open(&fd, path, O_RDONLY, 0, e);
    if (rc)
        return rc;
    buf_init(&r.big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    buf_init(&r.scratch, BATCH_MAX_INFLATED);
    uint8_t *window = mem_alloc(WINDOW);
    rc = window ? io_size(fd, &size, path, e) : err_nomem(e);
    scan_init(&s, fd, path, 0, size, 0, window, WINDOW);
    if (!rc)
        rc = read_batches(&r, &s, e);
    mem_free(window);
    buf_free(&r.scratch);
    buf_free(&r.big);
    io_close(fd);
    return rc;
}

int meta_image_dir(struct meta_image *m, const char *dir, int64_t from, meta_bad_fn *bad, void *arg,
                   struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int64_t *bases = NULL;
    size_t n = 0;
    int rc = io_exists(dir) ? storage_list(dir, LOG_SUFFIX, &bases, &n, e) : ERR_OK;
    for (size_t i = 0; i < n && !rc; i++)
        rc = meta_image_file(m, storage_path(path, dir, bases[i], LOG_SUFFIX, ""), from, bad, arg, e);
    mem_free(bases);
    return rc;
}
