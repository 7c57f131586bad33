/*
 * offsets_commit: committing and deleting offsets: records to the group's partition of __consumer_offsets, one sync,
 * then the cache. Runs in the caller's thread; the cache is changed by the commit stage.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "broker/group.h"
#include "broker/offsets_cache.h"

enum { COMMIT_BATCH_MAX = 8 << 20 };

static int check_offset(struct broker *b, const struct group_offset *g, struct err *e)
{
    struct partition *p;
    if (g->metadata && strlen(g->metadata) > OFFSET_METADATA_MAX)
        return err_set(e, ERR_OFFSET_METADATA_TOO_LARGE,
                       "metadata of a committed offset has at most %d bytes", OFFSET_METADATA_MAX);
    if (g->offset == OFFSET_DELETED)
        return ERR_OK;
    int rc = topic_acquire(b, g->topic, g->partition, &p, e);
    if (!rc)
        partition_release(&b->topics, p);
    return rc;
}

static int prepare_one(struct broker *b, const char *group, const struct group_offset *g, int64_t now,
                       struct offset_change **out, struct err *e)
{
    char *metadata = NULL;
    int rc = check_offset(b, g, e);
    if (rc)
        return rc;
    if (g->metadata && *g->metadata && !(metadata = mem_strdup(g->metadata)))
        return err_nomem(e);
    struct offset_value v = {
        .offset = g->offset,
        .leader_epoch = g->leader_epoch,
        .commit_ms = now,
        .expire_ms = g->retention_ms > 0 && g->retention_ms < INT64_MAX - now ? now + g->retention_ms : -1};
    return offsets_change_new(b->offsets, text_of(group), text_of(g->topic), g->partition, &v, metadata, out,
                              e);
}

int offsets_prepare(struct broker *b, const char *group, const struct group_offset *offsets, size_t n,
                    struct offset_change **list, struct err *e)
{
    struct offset_change *first = NULL, **last = &first;
    int64_t now = clock_wall_ms();
    int checked = offsets_check_group(group, e);
    if (checked)
        return checked;
    for (size_t i = 0; i < n; i++) {
        int rc = prepare_one(b, group, &offsets[i], now, last, e);
        if (rc) {
            offsets_drop(b, first);
            return rc;
        }
        last = &(*last)->next;
    }
    *list = first;
    return ERR_OK;
}

static int encode_offset(const struct offset_change *c, struct buf *key, struct buf *value, struct err *e)
{
    struct offset_value v = {.offset = c->offset,
                             .leader_epoch = c->leader_epoch,
                             .metadata = text_of(c->metadata),
                             .commit_ms = c->commit_ms,
                             .expire_ms = c->expire_ms};
    int rc = group_key_offset(key, text_of(c->group->name), text_of(c->entry->topic), c->entry->partition, e);
    return rc || c->offset == OFFSET_DELETED ? rc : offset_value_encode(value, &v, e);
}

/*
 * As Kafka writes it of a group of consumers that nobody is a member of; in use, it has no time. What members of Kafka's clients left
 * behind, the generation, stays.
 */
static int encode_group(const struct offset_change *c, struct buf *key, struct buf *value, struct err *e)
{
    struct group_value v = {.protocol_type = text_of(c->metadata && *c->metadata ? c->metadata : "consumer"),
                            .generation = c->generation,
                            .state_ms = c->commit_ms};
    int rc = group_key_group(key, text_of(c->group->name), e);
    return rc || c->offset == OFFSET_DELETED ? rc : group_value_encode(value, &v, e);
}

static int add_change(struct batch_builder *builder, const struct offset_change *c, struct buf *key,
                      struct buf *value, struct err *e)
{
    buf_reset(key);
    buf_reset(value);
    int rc = c->entry ? encode_offset(c, key, value, e) : encode_group(c, key, value, e);
    if (!rc)
        rc = batch_builder_add(builder, c->commit_ms >= 0 ? c->commit_ms : clock_wall_ms(), key->data,
                               key->len, c->offset != OFFSET_DELETED ? value->data : NULL, value->len, NULL,
                               0, e);
    return rc;
}

int offsets_build(struct batch_builder *builder, const struct offset_change *list, struct err *e)
{
    struct buf key, value;
    int rc = ERR_OK;
    buf_init(&key, 128 << 10);
    buf_init(&value, 128 << 10);
    for (; !rc && list; list = list->next)
        rc = add_change(builder, list, &key, &value, e);
    buf_free(&value);
    buf_free(&key);
    return rc;
}

int offsets_partition(struct broker *b, const char *group, struct partition **p, struct err *e)
{
    int32_t n;
    int rc = internal_topic(b, OFFSETS_TOPIC, &n, e);
    return rc ? rc : topic_acquire(b, OFFSETS_TOPIC, kafka_coordinator_partition(group, n), p, e);
}

/* ---- a commit on its own ------------------------------------------------------------------------------------------ */

struct committing {
    struct commit_wait wait; /* first */
    struct broker *b;
    struct append append;
    struct offset_change *changes;
};

static void take_effect(struct commit_wait *w)
{
    struct committing *c = (struct committing *)w;
    if (!c->append.staged)
        return; /* the caller does it */
    offsets_set_place(c->changes, c->append.appended.base_offset);
    if (w->op.error.code)
        offsets_drop(c->b, c->changes);
    else
        offsets_apply(c->b, c->changes);
}

static int append_and_wait(struct broker *b, struct partition *p, uint8_t *data, size_t bytes,
                           struct offset_change *changes, struct err *e)
{
    struct committing c = {.b = b, .changes = changes};
    commit_wait_init(&c.wait);
    c.wait.before = take_effect;
    size_t room = append_prepare(&c.append, p, data, bytes, LOG_FROM_COORDINATOR);
    int rc = disk_reserve(p->disk, room, COMMIT_COORDINATOR, e);
    if (!rc)
        rc = group_append(b, &c.append, 1, room, &c.wait.op, e);
    if (rc) {
        struct err ignored;
        c.append.staged = false;
        partition_release(&b->topics, p);
        commit_wait_for(&c.wait, &ignored);
        offsets_drop(b, changes);
        return rc;
    }
    bool staged = c.append.staged;
    rc = commit_wait_for(&c.wait, e);
    if (!staged) {
        offsets_set_place(changes, c.append.appended.base_offset);
        offsets_apply(b, changes);
    }
    return rc;
}

int offsets_commit_changes(struct broker *b, const char *group, struct offset_change *changes, struct err *e)
{
    struct batch_options o = {
        .codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT, .max_bytes = COMMIT_BATCH_MAX};
    struct partition *p = NULL;
    uint8_t *data;
    size_t bytes;
    struct batch_builder *builder = batch_builder_new(&o, e);
    int rc = builder ? offsets_build(builder, changes, e) : e->code;
    if (!rc)
        rc = batch_builder_finish(builder, &BATCH_NO_PRODUCER, &data, &bytes, e);
    if (!rc)
        rc = offsets_partition(b, group, &p, e);
    if (!rc)
        rc = append_and_wait(b, p, data, bytes, changes, e);
    else
        offsets_drop(b, changes);
    batch_builder_free(builder);
    return rc ? err_wrap(e, "offsets of group %s", group) : ERR_OK;
}

int broker_commit_offsets(struct broker *b, const char *group, const struct group_offset *offsets, size_t n,
                          struct err *e)
{
    struct offset_change *changes;
    int rc = offsets_prepare(b, group, offsets, n, &changes, e);
    if (rc || n == 0)
        return rc;
    return offsets_commit_changes(b, group, changes, e);
}

/* ---- deletion ------------------------------------------------------------------------------------------------------- */

typedef bool choose_fn(struct broker *b, const char *topic, const char *arg);

/* Behind the others. */
static int add_group_tombstone(struct broker *b, const char *group, struct offset_change *changes,
                               struct err *e)
{
    struct offsets *o = b->offsets;
    pthread_mutex_lock(&o->lock);
    struct group *g = offsets_group_get(o, text_of(group), e);
    struct offset_change *c = g ? offsets_change_of(g, NULL, e) : NULL;
    pthread_mutex_unlock(&o->lock);
    while (c && changes->next)
        changes = changes->next;
    if (c)
        changes->next = c;
    return c ? ERR_OK : e->code;
}

/* Tombstones for those of a group's offsets that are chosen, and with `choose` NULL for all and the group. */
static int tombstones(struct broker *b, const struct group_info *g, choose_fn *choose, const char *arg,
                      struct err *e)
{
    struct group_offset *gone = mem_calloc(g->count + 1, sizeof *gone);
    size_t n = 0;
    if (!gone)
        return err_nomem(e);
    for (size_t i = 0; i < g->count; i++) {
        if (choose && !choose(b, g->offsets[i].topic, arg))
            continue;
        gone[n] = g->offsets[i];
        gone[n].metadata = NULL;
        gone[n++].offset = OFFSET_DELETED;
    }
    struct offset_change *changes;
    int rc = n ? offsets_prepare(b, g->group, gone, n, &changes, e) : ERR_OK;
    if (!rc && n && !choose && (rc = add_group_tombstone(b, g->group, changes, e)))
        offsets_drop(b, changes);
    if (!rc && n)
        rc = offsets_commit_changes(b, g->group, changes, e);
    mem_free(gone);
    return rc;
}

int broker_delete_group(struct broker *b, const char *group, struct err *e)
{
    struct group_info g;
    int rc = broker_group(b, group, &g, e);
    if (rc)
        return rc;
    rc = tombstones(b, &g, NULL, NULL, e);
    group_info_free(&g);
    return rc;
}

int broker_delete_offsets(struct broker *b, const char *group, const struct group_offset *offsets, size_t n,
                          struct err *e)
{
    struct group_offset *gone = mem_calloc(n + 1, sizeof *gone);
    size_t count = 0;
    int rc = gone ? ERR_OK : err_nomem(e);
    for (size_t i = 0; !rc && i < n; i++) {
        int64_t offset;
        rc = broker_fetch_offset(b, group, offsets[i].topic, offsets[i].partition, &offset, e);
        if (!rc && offset != OFFSET_DELETED)
            gone[count++] = (struct group_offset){.topic = offsets[i].topic,
                                                  .partition = offsets[i].partition,
                                                  .offset = -1,
                                                  .leader_epoch = -1};
    }
    if (!rc)
        rc = broker_commit_offsets(b, group, gone, count, e);
    mem_free(gone);
    return rc;
}

static int forget(struct broker *b, choose_fn *choose, const char *arg, struct err *e)
{
    struct group_info *list;
    size_t n;
    int rc = broker_groups(b, &list, &n, e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = tombstones(b, &list[i], choose, arg, e);
    group_infos_free(list, n);
    return rc;
}

static bool is_this(struct broker *b, const char *topic, const char *arg)
{
    (void)b;
    return strcmp(topic, arg) == 0;
}

static bool is_removed(struct broker *b, const char *topic, const char *arg)
{
    (void)arg;
    return map_get(b->removed_names, topic, strlen(topic)) && !topics_by_name(&b->topics, topic);
}

int offsets_forget_topic(struct broker *b, const char *topic, struct err *e)
{
    return forget(b, is_this, topic, e);
}

int offsets_forget_removed(struct broker *b, struct err *e)
{
    return forget(b, is_removed, NULL, e);
}
