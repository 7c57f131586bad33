/*
 * consumer_records: a consumer group's records in __consumer_offsets, on their way there, as Kafka 4.3 writes them. What has changed since it was
 * written is marked (`dirty`), and all that is marked goes in one batch, so a restart finds the group as it was after one request
 * or another, never in between. Under the lock of the group's shard. consumer_load.c reads them.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "group/consumer_internal.h"
#include "protocol/messages.h"

#define RECORD_MAX ((size_t)32 << 20)

/* The records of one batch, in an arena. */
struct batch {
    struct arena arena;
    struct group_record *list;
    size_t n, room;
    const char *group;
};

static bool batch_begin(struct batch *b, const struct cgroup *c)
{
    size_t removed = 0, regexes = 0;
    for (const struct cmember *m = c->removed.members; m != NULL; m = m->next_removed)
        removed++;
    for (const struct cregex *r = c->regexes; r != NULL; r = r->next)
        regexes++;
    for (const struct cregex *r = c->removed.regexes; r != NULL; r = r->next)
        regexes++;
    *b = (struct batch){.group = c->group->id};
    b->room = 3 * ((size_t)cgroup_count(c) + removed) + regexes + 2;
    arena_init(&b->arena, ARENA_MAX_BYTES, NULL);
    b->list = arena_alloc(&b->arena, b->room * sizeof *b->list);
    return b->list != NULL;
}

/* ---- bytes ---- */

static bool keep(struct batch *b, struct buf *from, const void **to, size_t *n)
{
    *n = from->len;
    *to = arena_dup(&b->arena, from->data, from->len);
    buf_free(from);
    return *to != NULL;
}

static bool put_key(struct batch *b, int16_t version, const char *member, struct group_record *r)
{
    struct err e;
    struct buf out;
    struct msg_consumer_group_key k = {.group_id = string_of(b->group)};
    struct msg_consumer_group_member_key with = {.group_id = string_of(b->group),
                                                 .member_id = string_of(member)};
    buf_init(&out, RECORD_MAX);
    int rc = buf_i16(&out, version, &e);
    if (rc == ERR_OK)
        rc = member != NULL ? msg_encode(&msg_schema_consumer_group_member_key, 0, &with, &out, &e)
                            : msg_encode(&msg_schema_consumer_group_key, 0, &k, &out, &e);
    if (rc == ERR_OK)
        return keep(b, &out, &r->key, &r->key_len);
    buf_free(&out);
    return false;
}

/* `value` NULL: a tombstone. */
static bool add(struct batch *b, int16_t version, const char *member, const struct msg_schema *schema,
                const void *value)
{
    struct group_record *r = &b->list[b->n];
    struct err e;
    struct buf out;
    *r = (struct group_record){NULL, 0, NULL, 0};
    if (!put_key(b, version, member, r))
        return false;
    b->n++;
    if (value == NULL)
        return true;
    buf_init(&out, RECORD_MAX);
    if (buf_i16(&out, 0, &e) == ERR_OK && msg_encode(schema, 0, value, &out, &e) == ERR_OK)
        return keep(b, &out, &r->value, &r->value_len);
    buf_free(&out);
    return false;
}

/* ---- values ---- */

typedef struct msg_consumer_group_member_metadata_value member_value;
typedef struct msg_consumer_group_current_member_assignment_value current_value;
typedef struct msg_consumer_group_target_assignment_member_value target_value;

static bool add_member(struct batch *b, const struct cmember *m)
{
    member_value v;
    msg_init(&msg_schema_consumer_group_member_metadata_value, &v);
    v.instance_id = string_of(m->instance);
    v.rack_id = string_of(m->rack);
    v.client_id = string_of(m->client_id != NULL ? m->client_id : "");
    v.client_host = string_of(m->host != NULL ? m->host : "");
    v.subscribed_topic_regex = string_of(m->regex);
    v.rebalance_timeout_ms = m->rebalance_ms;
    v.server_assignor = string_of(m->assignor);
    v.subscribed_topic_names.items =
        arena_alloc(&b->arena, (size_t)m->topic_count * sizeof *v.subscribed_topic_names.items);
    v.classic_member_metadata.supported_protocols.items = arena_alloc(
        &b->arena, (size_t)m->protocol_count * sizeof *v.classic_member_metadata.supported_protocols.items);
    if (v.subscribed_topic_names.items == NULL || v.classic_member_metadata.supported_protocols.items == NULL)
        return false;
    for (int32_t i = 0; i < m->topic_count; i++)
        v.subscribed_topic_names.items[v.subscribed_topic_names.count++] = string_of(m->topics[i]);
    v.classic_member_metadata.present = m->classic;
    v.classic_member_metadata.session_timeout_ms = m->classic ? m->session_ms : 0;
    for (int32_t i = 0; m->classic && i < m->protocol_count; i++)
        v.classic_member_metadata.supported_protocols
            .items[v.classic_member_metadata.supported_protocols.count++] =
            (struct msg_consumer_group_member_metadata_value_classic_protocol){m->protocols[i].name,
                                                                               m->protocols[i].metadata};
    return add(b, KEY_MEMBER, m->id, &msg_schema_consumer_group_member_metadata_value, &v);
}

/* A set by topics: their ids, and where each one's partitions begin in `partitions`. */
struct by_topic {
    int32_t n;
    const struct uuid **ids;
    int32_t *first, *partitions, *epochs;
};

static bool by_topic(struct batch *b, const struct tp_set *set, struct by_topic *out)
{
    size_t n = (size_t)set->n + 1;
    out->n = 0;
    out->ids = arena_alloc(&b->arena, n * sizeof(struct uuid *));
    out->first = arena_alloc(&b->arena, n * sizeof *out->first);
    out->partitions = arena_alloc(&b->arena, n * sizeof *out->partitions);
    out->epochs = arena_alloc(&b->arena, n * sizeof *out->epochs);
    if (out->ids == NULL || out->first == NULL || out->partitions == NULL || out->epochs == NULL)
        return false;
    for (int32_t i = 0; i < set->n; i++) {
        const struct tp *p = &set->list[i];
        if (i == 0 || memcmp(&set->list[i - 1].topic, &p->topic, sizeof p->topic) != 0) {
            out->ids[out->n] = &p->topic;
            out->first[out->n++] = i;
        }
        out->partitions[i] = p->partition;
        out->epochs[i] = p->epoch;
    }
    out->first[out->n] = set->n;
    return true;
}

static bool add_target(struct batch *b, const struct cmember *m)
{
    struct by_topic t;
    target_value v = {.topic_partitions = {NULL, 0}};
    if (!by_topic(b, &m->target, &t) ||
        (v.topic_partitions.items = arena_alloc(&b->arena, (size_t)t.n * sizeof *v.topic_partitions.items)) ==
            NULL)
        return false;
    for (; v.topic_partitions.count < t.n; v.topic_partitions.count++) {
        int32_t i = v.topic_partitions.count;
        v.topic_partitions.items[i].topic_id = *t.ids[i];
        v.topic_partitions.items[i].partitions.items = t.partitions + t.first[i];
        v.topic_partitions.items[i].partitions.count = t.first[i + 1] - t.first[i];
    }
    return add(b, KEY_TARGET, m->id, &msg_schema_consumer_group_target_assignment_member_value, &v);
}

typedef struct msg_consumer_group_current_member_assignment_value_topic_partitions current_topic;

static current_topic *current_topics(struct batch *b, const struct tp_set *set, int32_t *n)
{
    struct by_topic t;
    if (!by_topic(b, set, &t))
        return NULL;
    current_topic *list = arena_alloc(&b->arena, (size_t)t.n * sizeof *list);
    for (int32_t i = 0; list != NULL && i < t.n; i++) {
        list[i] = (current_topic){.topic_id = *t.ids[i]};
        list[i].partitions.items = t.partitions + t.first[i];
        list[i].assignment_epochs.items = t.epochs + t.first[i];
        list[i].partitions.count = list[i].assignment_epochs.count = t.first[i + 1] - t.first[i];
    }
    *n = t.n;
    return list;
}

static bool add_current(struct batch *b, const struct cmember *m)
{
    current_value v = {
        .member_epoch = m->epoch, .previous_member_epoch = m->before, .state = (int8_t)m->state};
    v.assigned_partitions.items = current_topics(b, &m->assigned, &v.assigned_partitions.count);
    v.partitions_pending_revocation.items =
        current_topics(b, &m->revoking, &v.partitions_pending_revocation.count);
    return v.assigned_partitions.items != NULL && v.partitions_pending_revocation.items != NULL &&
           add(b, KEY_CURRENT, m->id, &msg_schema_consumer_group_current_member_assignment_value, &v);
}

static bool add_regex(struct batch *b, const struct cregex *r)
{
    struct msg_consumer_group_regular_expression_value v = {.version = (int64_t)r->seen,
                                                            .timestamp = clock_wall_ms()};
    v.topics.items = arena_alloc(&b->arena, (size_t)r->topic_count * sizeof *v.topics.items);
    if (v.topics.items == NULL)
        return false;
    for (int32_t i = 0; i < r->topic_count; i++)
        v.topics.items[v.topics.count++] = string_of(r->topics[i]);
    return add(b, KEY_REGEX, r->text, &msg_schema_consumer_group_regular_expression_value, &v);
}

static bool add_epoch(struct batch *b, const struct cgroup *c)
{
    struct msg_consumer_group_metadata_value v = {c->epoch, c->hash};
    return add(b, KEY_EPOCH, NULL, &msg_schema_consumer_group_metadata_value, &v);
}

static bool add_target_epoch(struct batch *b, const struct cgroup *c)
{
    struct msg_consumer_group_target_assignment_metadata_value v = {c->assignment_epoch, clock_wall_ms()};
    return add(b, KEY_TARGET_EPOCH, NULL, &msg_schema_consumer_group_target_assignment_metadata_value, &v);
}

static bool add_tombstones(struct batch *b, const char *member)
{
    return add(b, KEY_CURRENT, member, NULL, NULL) && add(b, KEY_TARGET, member, NULL, NULL) &&
           add(b, KEY_MEMBER, member, NULL, NULL);
}

/* ---- what is marked ---- */

static bool add_gone(struct batch *b, const struct cgroup *c)
{
    for (const struct cmember *m = c->removed.members; m != NULL; m = m->next_removed)
        if (!add_tombstones(b, m->id))
            return false;
    for (const struct cregex *r = c->removed.regexes; r != NULL; r = r->next)
        if (!add(b, KEY_REGEX, r->text, NULL, NULL))
            return false;
    return true;
}

static bool add_dirty_member(struct batch *b, const struct cmember *m)
{
    return ((m->dirty & CDIRTY_MEMBER) == 0 || add_member(b, m)) &&
           ((m->dirty & CDIRTY_TARGET) == 0 || add_target(b, m)) &&
           ((m->dirty & CDIRTY_CURRENT) == 0 || add_current(b, m));
}

static bool add_dirty(struct batch *b, const struct cgroup *c)
{
    size_t pos = 0;
    if (!add_gone(b, c) || (c->dirty_epoch && !add_epoch(b, c)))
        return false;
    for (const struct cmember *m; (m = cgroup_next(c, &pos)) != NULL;)
        if (!add_dirty_member(b, m))
            return false;
    for (const struct cregex *r = c->regexes; r != NULL; r = r->next)
        if (r->dirty && !add_regex(b, r))
            return false;
    return !c->dirty_target || add_target_epoch(b, c);
}

static void mark(struct cgroup *c, bool dirty)
{
    size_t pos = 0;
    for (struct cmember *m; (m = cgroup_next(c, &pos)) != NULL;)
        m->dirty = dirty ? CDIRTY_MEMBER | CDIRTY_TARGET | CDIRTY_CURRENT : 0;
    for (struct cregex *r = c->regexes; r != NULL; r = r->next)
        r->dirty = dirty;
    c->dirty = c->dirty_epoch = c->dirty_target = dirty;
}

void cgroup_mark_all(struct cgroup *c)
{
    mark(c, true);
}

/* A batch on its way. */
struct saving {
    group_stored_fn *done; /* NULL: nobody waits */
    void *arg;
    struct cremoved removed; /* until it is known that the log has it */
};

static void saved(struct groups *all, struct group *g, void *arg, int16_t error)
{
    struct saving *w = arg;
    if (error != GROUP_OK && g->consumer != NULL) {
        cremoved_join(&g->consumer->removed, &w->removed);
        cgroup_mark_all(g->consumer);
    }
    if (w->done != NULL)
        w->done(all, g, w->arg, error);
    cremoved_free(&w->removed);
    mem_free(w);
}

int16_t cgroup_save(struct groups *all, struct cgroup *c, group_stored_fn *done, void *arg)
{
    struct batch b;
    int16_t error = GROUP_NO_MEMORY;
    struct saving *w = mem_calloc(1, sizeof *w);
    if (batch_begin(&b, c) && w != NULL && add_dirty(&b, c)) {
        *w = (struct saving){.done = done, .arg = arg};
        cremoved_join(&w->removed, &c->removed);
        mark(c, false); /* before: where nothing is stored, `saved` is called at once */
        error = group_store_records(all, c->group, b.list, b.n, saved, w);
        if (error != GROUP_OK) {
            cremoved_join(&c->removed, &w->removed);
            cgroup_mark_all(c);
        }
    }
    if (error != GROUP_OK)
        mem_free(w);
    arena_free(&b.arena);
    return error;
}

void cgroup_save_later(struct groups *all, struct cgroup *c)
{
    if (c->dirty)
        cgroup_save(all, c, NULL, NULL); /* without memory with what comes next */
}

int16_t cgroup_bury(struct groups *all, const struct cgroup *c)
{
    struct batch b;
    size_t pos = 0;
    if (!c->group->recorded)
        return GROUP_OK;
    bool made = batch_begin(&b, c) && add_gone(&b, c);
    for (const struct cmember *m; made && (m = cgroup_next(c, &pos)) != NULL;)
        made = add_tombstones(&b, m->id);
    for (const struct cregex *r = c->regexes; made && r != NULL; r = r->next)
        made = add(&b, KEY_REGEX, r->text, NULL, NULL);
    made = made && add(&b, KEY_TARGET_EPOCH, NULL, NULL, NULL) && add(&b, KEY_EPOCH, NULL, NULL, NULL);
    int16_t error = made ? group_store_records(all, c->group, b.list, b.n, NULL, NULL) : GROUP_NO_MEMORY;
    arena_free(&b.arena);
    return error;
}
