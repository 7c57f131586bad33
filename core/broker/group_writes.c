/*
 * group_writes: groups' own records (their members, generations) on their way to __consumer_offsets. Who writes them must not wait, and an append
 * may (for room, for the topic to be made), so they go through a queue and one thread, which begins with the first. It appends what is
 * queued, one batch for each write, without waiting for syncs: so writes that come together share one.
 *
 * What a start finds is kept as bytes until somebody takes it. The bytes are core/group's; here only a classic group's record is looked into,
 * as it tells how long the group's offsets are kept when nobody knows its members (offsets_expire.c).
 */
#include "broker/group_writes.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/group.h"
#include "broker/offsets_cache.h"

#define BATCH_MAX ((size_t)48 << 20)

struct write {
    struct commit_op op; /* first */
    struct write *next;
    struct broker *b;
    char *group;
    struct group_record *records; /* with their bytes, in one block */
    size_t n;
    void (*done)(void *arg, const struct err *e);
    void *arg;
    struct append append;
    struct offset_change
        *changes; /* what it means to the cache; `at` is the place in the batch until it has one */
};

struct found {
    int32_t partition;
    int64_t at;
    struct group_record record; /* with its bytes */
};

struct group_writes {
    pthread_mutex_t lock; /* leaf */
    pthread_cond_t more;
    struct write *first, **last;
    bool started, stop;
    pthread_t thread;
    struct map *found; /* by key; NULL: taken */
};

int group_writes_open(struct broker *b, struct err *e)
{
    struct group_writes *w = mem_calloc(1, sizeof *w);
    if (!w)
        return err_nomem(e);
    mutex_init(&w->lock);
    cond_init(&w->more);
    w->last = &w->first;
    b->group_writes = w;
    return (w->found = map_new()) ? ERR_OK : err_nomem(e);
}

void group_writes_close(struct broker *b)
{
    struct group_writes *w = b->group_writes;
    if (!w)
        return;
    if (w->found)
        map_free(w->found, mem_free);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
    b->group_writes = NULL;
}

/* ---- one write --------------------------------------------------------------------------------------------------- */

static void write_free(struct write *w)
{
    mem_free(w->group);
    mem_free(w->records);
    mem_free(w);
}

static void end(struct commit_op *op)
{
    struct write *w = (struct write *)op;
    for (struct offset_change *c = w->changes; c; c = c->next)
        c->at += w->append.appended.base_offset;
    if (op->error.code)
        offsets_drop(w->b, w->changes);
    else
        offsets_apply(w->b, w->changes);
    w->done(w->arg, &op->error);
    write_free(w);
}

static int note_changes(struct write *w, struct err *e)
{
    struct offset_change **last = &w->changes;
    for (size_t i = 0; i < w->n; i++) {
        struct group_key k;
        const struct group_record *r = &w->records[i];
        int rc = group_key_decode(r->key, r->key_len, &k, e);
        if (!rc && k.kind == GROUP_KEY_OFFSET)
            rc = err_set(e, ERR_INVALID, "a committed offset is no record of a group's members");
        if (!rc && k.kind == GROUP_KEY_GROUP)
            rc = offsets_group_change(w->b, k.group, r->value, r->value_len, (int64_t)i, last, e);
        if (rc)
            return rc;
        if (*last)
            last = &(*last)->next;
    }
    return ERR_OK;
}

static int add_records(struct batch_builder *builder, const struct write *w, struct err *e)
{
    int rc = ERR_OK;
    int64_t now = clock_wall_ms();
    for (size_t i = 0; !rc && i < w->n; i++) {
        const struct group_record *r = &w->records[i];
        rc = batch_builder_add(builder, now, r->key, r->key_len, r->value, r->value_len, NULL, 0, e);
    }
    return rc;
}

static int append_batch(struct write *w, struct partition *p, uint8_t *data, size_t bytes, struct err *e)
{
    size_t room = append_prepare(&w->append, p, data, bytes, LOG_FROM_COORDINATOR);
    int rc = disk_reserve(p->disk, room, COMMIT_COORDINATOR, e);
    if (!rc)
        rc = group_append(w->b, &w->append, 1, room, &w->op, e);
    if (rc)
        partition_release(&w->b->topics, p);
    return rc;
}

static void carry_out(struct write *w)
{
    struct batch_options o = {.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT, .max_bytes = BATCH_MAX};
    struct err e;
    struct partition *p = NULL;
    uint8_t *data;
    size_t bytes;
    struct batch_builder *builder = batch_builder_new(&o, &e);
    int rc = builder ? add_records(builder, w, &e) : e.code;
    if (!rc)
        rc = batch_builder_finish(builder, &BATCH_NO_PRODUCER, &data, &bytes, &e);
    if (!rc)
        rc = note_changes(w, &e);
    if (!rc)
        rc = offsets_partition(w->b, w->group, &p, &e);
    if (!rc)
        rc = append_batch(w, p, data, bytes, &e);
    batch_builder_free(builder);
    commit_op_finish(&w->op, rc ? &e : NULL);
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct group_writes *q = arg;
    pthread_mutex_lock(&q->lock);
    while (q->first || !q->stop) {
        struct write *list = q->first, *next;
        if (!list) {
            pthread_cond_wait(&q->more, &q->lock);
            continue;
        }
        q->first = NULL;
        q->last = &q->first;
        pthread_mutex_unlock(&q->lock);
        for (; list; list = next) {
            next = list->next;
            carry_out(list);
        }
        pthread_mutex_lock(&q->lock);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

void group_writes_stop(struct broker *b)
{
    struct group_writes *q = b->group_writes;
    if (!q || !q->started)
        return;
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_signal(&q->more);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    q->started = false;
}

/* The records with their bytes in one block. NULL: no memory. */
static struct group_record *copy_records(const struct group_record *from, size_t n)
{
    size_t bytes = n * sizeof *from;
    for (size_t i = 0; i < n; i++)
        bytes += from[i].key_len + (from[i].value ? from[i].value_len : 0);
    struct group_record *to = mem_alloc(bytes + 1);
    uint8_t *at = (uint8_t *)(to + n);
    for (size_t i = 0; to && i < n; i++) {
        to[i] = (struct group_record){.key = memcpy(at, from[i].key, from[i].key_len),
                                      .key_len = from[i].key_len};
        at += from[i].key_len;
        if (!from[i].value)
            continue;
        to[i].value = memcpy(at, from[i].value, from[i].value_len);
        to[i].value_len = from[i].value_len;
        at += from[i].value_len;
    }
    return to;
}

static int enqueue(struct group_writes *q, struct write *w, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&q->lock);
    if (!q->started)
        rc = thread_start(&q->thread, "leat-groups", run, q, e);
    q->started = q->started || !rc;
    if (!rc) {
        *q->last = w;
        q->last = &w->next;
        pthread_cond_signal(&q->more);
    }
    pthread_mutex_unlock(&q->lock);
    return rc;
}

int broker_write_group(struct broker *b, const char *group, const struct group_record *records, size_t n,
                       void (*done)(void *arg, const struct err *e), void *arg, struct err *e)
{
    struct write *w = mem_calloc(1, sizeof *w);
    if (!w)
        return err_nomem(e);
    commit_op_init(&w->op, end);
    w->b = b;
    w->done = done;
    w->arg = arg;
    w->n = n;
    w->group = mem_strdup(group);
    w->records = copy_records(records, n);
    int rc = w->group && w->records ? enqueue(b->group_writes, w, e) : err_nomem(e);
    if (rc)
        write_free(w);
    return rc;
}

/* ---- what a start found ------------------------------------------------------------------------------------------- */

int group_writes_found(struct broker *b, int32_t partition, const struct record *r, struct err *e)
{
    struct map *found = b->group_writes->found;
    size_t key_len = (size_t)r->key_len, value_len = r->value ? (size_t)r->value_len : 0;
    mem_free(map_remove(found, r->key, key_len));
    if (!r->value)
        return ERR_OK;
    struct found *f = mem_alloc(sizeof *f + key_len + value_len);
    if (!f)
        return err_nomem(e);
    uint8_t *bytes = (uint8_t *)(f + 1);
    *f = (struct found){.partition = partition,
                        .at = r->offset,
                        .record = {memcpy(bytes, r->key, key_len), key_len,
                                   memcpy(bytes + key_len, r->value, value_len), value_len}};
    int rc = map_put(found, r->key, key_len, f, e);
    if (rc)
        mem_free(f);
    return rc;
}

static int by_place(const void *a, const void *b)
{
    const struct found *x = *(struct found *const *)a, *y = *(struct found *const *)b;
    return x->partition != y->partition ? (x->partition > y->partition) - (x->partition < y->partition)
                                        : (x->at > y->at) - (x->at < y->at);
}

int broker_take_group_records(struct broker *b,
                              int (*each)(void *to, const struct group_record *r, struct err *e), void *to,
                              struct err *e)
{
    struct map *found = b->group_writes->found;
    size_t pos = 0, len, n = 0;
    const void *key;
    void *value;
    if (!found)
        return ERR_OK;
    struct found **list = mem_calloc(map_count(found) + 1, sizeof(struct found *));
    if (!list)
        return err_nomem(e);
    while (map_next(found, &pos, &key, &len, &value))
        list[n++] = value;
    qsort(list, n, sizeof *list, by_place);
    int rc = ERR_OK;
    for (size_t i = 0; !rc && i < n; i++)
        rc = each(to, &list[i]->record, e);
    mem_free(list);
    map_free(found, mem_free);
    b->group_writes->found = NULL;
    return rc;
}
