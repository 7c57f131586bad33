/*
 * consumer_protocol: the messages inside of classic groups' bytes: what a member subscribes to and owns, and what it is assigned. They name topics;
 * here they are told by their ids. Under the lock of the group's shard.
 */
#include <string.h>

#include "base/mem.h"
#include "group/consumer_internal.h"
#include "protocol/messages.h"

#define NEWEST 3 /* newer versions are read as this one: they add at the end */

/* The version in front of the message; -1: there is none. */
static int16_t version_of(struct slice *s)
{
    struct err e;
    int16_t version;
    if (slice_i16(s, &version, &e) != ERR_OK || version < 0)
        return -1;
    return version < NEWEST ? version : NEWEST;
}

static struct slice read_of(struct msg_bytes b)
{
    return slice_of(b.n > 0 ? b.p : (const uint8_t *)"", b.n > 0 ? (size_t)b.n : 0);
}

static bool find_topic(const struct groups *all, struct msg_string name, struct group_topic *t)
{
    char text[GROUP_TOPIC_NAME_MAX + 1];
    if (name.n <= 0 || name.n > GROUP_TOPIC_NAME_MAX)
        return false;
    memcpy(text, name.p, (size_t)name.n);
    text[name.n] = '\0';
    return all->o.topics.by_name(all->o.topics.arg, text, t);
}

/* Partitions of a topic; those of one that is no more are left out. */
static void add(const struct groups *all, struct msg_string topic, const int32_t *partitions, int32_t n,
                struct tp_set *to)
{
    struct group_topic t;
    if (!find_topic(all, topic, &t))
        return;
    for (int32_t i = 0; i < n; i++)
        if (partitions[i] >= 0 && partitions[i] < t.partitions)
            to->list[to->n++] = (struct tp){t.id, partitions[i], 0};
}

bool subscription_read(const struct groups *all, struct msg_bytes bytes, struct arena *a,
                       struct csubscription *out)
{
    struct msg_consumer_protocol_subscription m;
    struct slice s = read_of(bytes);
    struct err e;
    int16_t version = version_of(&s);
    size_t n = 0;
    if (version < 0 ||
        msg_decode(&msg_schema_consumer_protocol_subscription, version, &s, a, &m, &e) != ERR_OK)
        return false;
    for (int32_t i = 0; i < m.owned_partitions.count; i++)
        n += (size_t)m.owned_partitions.items[i].partitions.count;
    *out = (struct csubscription){.topics = m.topics.items, .topic_count = m.topics.count, .rack = m.rack_id};
    out->owned.list = arena_alloc(a, n * sizeof *out->owned.list);
    for (int32_t i = 0; out->owned.list != NULL && i < m.owned_partitions.count; i++)
        add(all, m.owned_partitions.items[i].topic, m.owned_partitions.items[i].partitions.items,
            m.owned_partitions.items[i].partitions.count, &out->owned);
    if (out->owned.list == NULL)
        return false;
    tp_set_sort(&out->owned);
    return true;
}

bool assignment_read(const struct groups *all, struct msg_bytes bytes, struct arena *a, struct tp_set *out)
{
    struct msg_consumer_protocol_assignment m;
    struct slice s = read_of(bytes);
    struct err e;
    int16_t version;
    size_t n = 0;
    *out = (struct tp_set){NULL, 0};
    if (bytes.n <= 0) /* none yet */
        return true;
    version = version_of(&s);
    if (version < 0 || msg_decode(&msg_schema_consumer_protocol_assignment, version, &s, a, &m, &e) != ERR_OK)
        return false;
    for (int32_t i = 0; i < m.assigned_partitions.count; i++)
        n += (size_t)m.assigned_partitions.items[i].partitions.count;
    out->list = arena_alloc(a, n * sizeof *out->list);
    for (int32_t i = 0; out->list != NULL && i < m.assigned_partitions.count; i++)
        add(all, m.assigned_partitions.items[i].topic, m.assigned_partitions.items[i].partitions.items,
            m.assigned_partitions.items[i].partitions.count, out);
    if (out->list == NULL)
        return false;
    tp_set_sort(out);
    return true;
}

/* The set by topics' names, in the arena. */
static bool by_topics(const struct groups *all, const struct tp_set *set, struct arena *a,
                      struct msg_consumer_protocol_assignment *m)
{
    m->assigned_partitions.items = arena_alloc(a, (size_t)set->n * sizeof *m->assigned_partitions.items);
    int32_t *partitions = arena_alloc(a, (size_t)set->n * sizeof *partitions);
    if (m->assigned_partitions.items == NULL || partitions == NULL)
        return false;
    for (int32_t i = 0, end; i < set->n; i = end) {
        struct group_topic t;
        bool there = all->o.topics.by_id(all->o.topics.arg, &set->list[i].topic, &t);
        for (end = i; end < set->n && memcmp(&set->list[end].topic, &set->list[i].topic, sizeof t.id) == 0;
             end++)
            partitions[end] = set->list[end].partition;
        const char *name = there ? arena_dup(a, t.name, strlen(t.name)) : NULL;
        if (there && name == NULL)
            return false;
        if (!there)
            continue;
        struct msg_consumer_protocol_assignment_topic_partition *to =
            &m->assigned_partitions.items[m->assigned_partitions.count++];
        to->topic = string_of(name);
        to->partitions.items = partitions + i;
        to->partitions.count = end - i;
    }
    return true;
}

static int write_assignment(int16_t version, const struct msg_consumer_protocol_assignment *m,
                            struct buf *out, struct err *e)
{
    int rc = buf_i16(out, version, e);
    return rc != ERR_OK ? rc : msg_encode(&msg_schema_consumer_protocol_assignment, version, m, out, e);
}

uint8_t *assignment_write(const struct groups *all, const struct cmember *m, int32_t *n)
{
    struct msg_consumer_protocol_assignment message;
    struct arena a;
    struct buf out;
    struct err e;
    uint8_t *copy = NULL;
    struct slice own =
        read_of(m->protocol_count > 0 ? m->protocols[0].metadata : (struct msg_bytes){NULL, 0});
    int16_t version = version_of(&own);
    arena_init(&a, ARENA_MAX_BYTES, NULL);
    buf_init(&out, INT32_MAX);
    msg_init(&msg_schema_consumer_protocol_assignment, &message);
    if (by_topics(all, &m->assigned, &a, &message) &&
        write_assignment(version < 0 ? 0 : version, &message, &out, &e) == ERR_OK) {
        copy = mem_dup(out.data, out.len);
        *n = (int32_t)out.len;
    }
    buf_free(&out);
    arena_free(&a);
    return copy;
}
