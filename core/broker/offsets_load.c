/*
 * offsets_load: rebuilding the cache at start by reading __consumer_offsets. Offsets of transactions wait for their
 * marker; those of transactions still open are left for the transaction coordinator.
 */
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "broker/group_writes.h"
#include "broker/offsets_cache.h"
#include "broker/walk.h"

struct load {
    struct broker *b;
    int32_t partition;
    struct buf scratch;
    struct map *open; /* this partition's: producer id -> changes, newest first */
};

static int remember(struct map *open, int64_t producer_id, struct offset_change *c, struct err *e)
{
    c->next = map_remove(open, &producer_id, sizeof producer_id);
    return map_put(open, &producer_id, sizeof producer_id, c, e);
}

static struct offset_change *reversed(struct offset_change *list)
{
    struct offset_change *out = NULL;
    for (struct offset_change *next; list; list = next) {
        next = list->next;
        list->next = out;
        out = list;
    }
    return out;
}

/*
 * Where nobody knows its members, what is said to be in use was used until the hub ended, at the latest. So is what cannot be
 * told: what stays for too long does less harm.
 */
static void read_group(struct offset_change *c, const struct group_value *v)
{
    c->offset = 0;
    c->commit_ms = -1;
    c->generation = v->generation;
    if (v->protocol_type.n == 0)
        c->offset = OFFSET_DELETED; /* it says nothing: only offsets were ever committed */
    else if (v->members == 0)
        c->commit_ms = v->state_ms;
}

int offsets_group_change(struct broker *b, struct text group, const void *value, size_t n, int64_t at,
                         struct offset_change **out, struct err *e)
{
    struct offsets *o = b->offsets;
    struct group_value v = {.protocol_type = text_of("consumer"), .state_ms = -1};
    struct err why;
    if (value && group_value_decode(value, n, &v, &why))
        diag_warn("broker", "group %.*s: %s; it counts as in use until now", (int)group.n, group.p, why.text);
    char *type = value ? mem_strndup(v.protocol_type.p, v.protocol_type.n) : NULL;
    if (value && !type)
        return err_nomem(e);
    pthread_mutex_lock(&o->lock);
    struct group *g = offsets_group_get(o, group, e);
    struct offset_change *c = g ? offsets_change_of(g, NULL, e) : NULL;
    pthread_mutex_unlock(&o->lock);
    if (!c) {
        mem_free(type);
        return e->code;
    }
    c->metadata = type;
    if (value)
        read_group(c, &v);
    c->at = at;
    *out = c;
    return ERR_OK;
}

static int load_group(struct broker *b, const struct group_key *k, const struct record *r, struct err *e)
{
    struct offset_change *c;
    int rc =
        offsets_group_change(b, k->group, r->value, r->value ? (size_t)r->value_len : 0, r->offset, &c, e);
    if (!rc)
        offsets_apply(b, c);
    return rc;
}

/* In use when the hub ended. */
static void note_left(struct offsets *o)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    while (map_next(o->groups, &pos, &key, &len, &value)) {
        struct group *g = value;
        if (g->recorded_use)
            g->left_ms = clock_wall_ms();
    }
}

static int load_record(void *arg, const struct batch_header *h, const struct record *r, struct err *e)
{
    struct load *l = arg;
    struct group_key k;
    struct offset_value v = {.offset = OFFSET_DELETED, .leader_epoch = -1, .expire_ms = -1};
    if (!r->key)
        return ERR_OK;
    int rc = group_key_decode(r->key, (size_t)r->key_len, &k, e);
    if (!rc && k.kind != GROUP_KEY_OFFSET)
        rc = group_writes_found(l->b, l->partition, r, e);
    if (!rc && k.kind == GROUP_KEY_GROUP)
        return load_group(l->b, &k, r, e);
    if (rc || k.kind != GROUP_KEY_OFFSET)
        return rc;
    if (r->value && (rc = offset_value_decode(r->value, (size_t)r->value_len, &v, e)))
        return rc;
    char *metadata = v.metadata.n ? mem_strndup(v.metadata.p, v.metadata.n) : NULL;
    if (v.metadata.n && !metadata)
        return err_nomem(e);
    struct offset_change *c;
    rc = offsets_change_new(l->b->offsets, k.group, k.topic, k.partition, &v, metadata, &c, e);
    if (rc)
        return rc;
    c->at = r->offset;
    if (!(h->attributes & BATCH_TRANSACTIONAL)) {
        offsets_apply(l->b, c);
        return ERR_OK;
    }
    if ((rc = remember(l->open, h->producer_id, c, e)))
        offsets_drop(l->b, c);
    return rc;
}

static int load_marker(struct load *l, const uint8_t *data, const struct batch_header *h, struct err *e)
{
    int16_t type;
    int32_t epoch;
    if (h->record_count == 0) /* emptied by compaction: nothing of its transaction is left */
        return ERR_OK;
    int rc = marker_decode(data, batch_size(h), &type, &epoch, e);
    if (rc || (type != MARKER_COMMIT && type != MARKER_ABORT))
        return rc;
    struct offset_change *list = reversed(map_remove(l->open, &h->producer_id, sizeof h->producer_id));
    if (type == MARKER_COMMIT)
        offsets_apply(l->b, list);
    else
        offsets_drop(l->b, list);
    return ERR_OK;
}

static int load_batch(void *arg, const uint8_t *data, const struct batch_header *h, struct err *e)
{
    struct load *l = arg;
    return h->attributes & BATCH_CONTROL ? load_marker(l, data, h, e)
                                         : walk_records(data, h, &l->scratch, load_record, l, e);
}

/* What is open at the end goes to the list of all partitions. */
static int hand_over(struct load *l, struct err *e)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    int rc = ERR_OK;
    while (map_next(l->open, &pos, &key, &len, &value)) {
        struct offset_change *list = reversed(value), *last = list;
        while (last->next)
            last = last->next;
        offsets_pend(l->b, list);
        last->next = map_remove(l->b->offsets->pending, key, len);
        if (rc || (rc = map_put(l->b->offsets->pending, key, len, list, e)))
            offsets_drop(l->b, list);
    }
    return rc;
}

static int load_partition(struct broker *b, struct partition *p, struct err *e)
{
    struct load l = {.b = b, .partition = p->index, .open = map_new()};
    struct log *log;
    if (!l.open)
        return err_nomem(e);
    buf_init(&l.scratch, BATCH_MAX_INFLATED);
    int rc = partition_open(b, p, false, &log, e);
    if (!rc && log)
        rc = walk_batches(log, load_batch, &l, e);
    struct err ignored;
    int handed = hand_over(&l, rc ? &ignored : e);
    buf_free(&l.scratch);
    map_free(l.open, NULL);
    return rc ? rc : handed;
}

int offsets_load(struct broker *b, struct err *e)
{
    struct topic *t = topics_by_name(&b->topics, OFFSETS_TOPIC);
    int rc = ERR_OK;
    for (int32_t i = 0; !rc && t && i < t->count; i++)
        rc = load_partition(b, t->partitions[i], e);
    note_left(b->offsets);
    return rc;
}
