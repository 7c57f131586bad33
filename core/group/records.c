/*
 * records: a classic group's record in __consumer_offsets: GroupMetadataKey (2) and GroupMetadataValue, in the version that Kafka 4.3 writes.
 * Under the lock of the group's shard, but at a start, when nobody else is there.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "group/consumer_internal.h"
#include "protocol/messages.h"

#define VALUE_WRITTEN 3
#define VALUE_LAST 4
#define RECORD_MAX ((size_t)32 << 20)
#define ARENA_MAX ((size_t)64 << 20)

typedef struct msg_group_metadata_value value;
typedef struct msg_group_metadata_value_member_metadata value_member;

/* ---- writing ---- */

static struct msg_bytes no_bytes(void)
{
    return (struct msg_bytes){(const uint8_t *)"", 0};
}

static value_member member_value(const struct group *g, const struct member *m)
{
    const struct group_protocol *p = member_protocol(m, string_of(g->protocol));
    return (value_member){.member_id = string_of(m->id),
                          .group_instance_id = string_of(m->instance),
                          .client_id = string_of(m->client_id),
                          .client_host = string_of(m->host),
                          .rebalance_timeout = m->rebalance_ms,
                          .session_timeout = m->session_ms,
                          .subscription = p != NULL && p->metadata.n > 0 ? p->metadata : no_bytes(),
                          .assignment = m->assignment != NULL
                                            ? (struct msg_bytes){m->assignment, m->assignment_len}
                                            : no_bytes()};
}

static int encode_value(const struct group *g, value_member *members, struct buf *out, struct err *e)
{
    value v = {.protocol_type = string_of(g->type != NULL ? g->type : ""),
               .generation = g->generation,
               .protocol = string_of(g->protocol),
               .leader = g->leader != NULL ? string_of(g->leader->id) : MSG_NULL_STRING,
               .current_state_timestamp = g->state_ms};
    v.members.items = members;
    for (const struct member *m = g->members; m != NULL; m = m->next)
        members[v.members.count++] = member_value(g, m);
    int rc = buf_i16(out, VALUE_WRITTEN, e);
    return rc != ERR_OK ? rc : msg_encode(&msg_schema_group_metadata_value, VALUE_WRITTEN, &v, out, e);
}

static int encode_key(const struct group *g, struct buf *out, struct err *e)
{
    struct msg_group_metadata_key k = {.group = string_of(g->id)};
    int rc = buf_i16(out, KEY_CLASSIC, e);
    return rc != ERR_OK ? rc : msg_encode(&msg_schema_group_metadata_key, 0, &k, out, e);
}

int16_t group_store_classic(struct groups *all, struct group *g, group_stored_fn *done, void *arg)
{
    struct err e;
    struct buf key, bytes;
    value_member *members = mem_calloc((size_t)g->count + 1, sizeof *members);
    buf_init(&key, RECORD_MAX);
    buf_init(&bytes, RECORD_MAX);
    int16_t error = GROUP_NO_MEMORY;
    if (members != NULL && encode_key(g, &key, &e) == ERR_OK &&
        encode_value(g, members, &bytes, &e) == ERR_OK) {
        struct group_record r = {key.data, key.len, bytes.data, bytes.len};
        error = group_store_records(all, g, &r, 1, done, arg);
    }
    buf_free(&bytes);
    buf_free(&key);
    mem_free(members);
    return error;
}

int16_t group_store_tombstone(struct groups *all, struct group *g)
{
    struct err e;
    struct buf key;
    int16_t error = GROUP_NO_MEMORY;
    if (!g->recorded)
        return GROUP_OK;
    if (g->consumer != NULL)
        return cgroup_bury(all, g->consumer);
    buf_init(&key, RECORD_MAX);
    if (encode_key(g, &key, &e) == ERR_OK) {
        struct group_record r = {key.data, key.len, NULL, 0};
        error = group_store_records(all, g, &r, 1, NULL, NULL);
    }
    buf_free(&key);
    return error;
}

/* ---- reading ---- */

static int add_member(struct groups *all, struct group *g, const value *v, const value_member *from)
{
    struct group_protocol protocol = {v->protocol, from->subscription};
    char *host = string_copy(from->client_host), *id = string_copy(from->member_id);
    struct group_join j = {.instance = from->group_instance_id,
                           .client_id = from->client_id,
                           .host = host,
                           .protocols = &protocol,
                           .protocol_count = v->protocol.n >= 0,
                           .session_ms = from->session_timeout,
                           .rebalance_ms = from->rebalance_timeout >= 0 ? from->rebalance_timeout
                                                                        : from->session_timeout};
    struct member *m = host != NULL && id != NULL ? member_new(&j, id) : NULL;
    mem_free(host);
    mem_free(id);
    if (m == NULL)
        return ERR_NO_MEMORY;
    m->assignment_len = from->assignment.n > 0 ? from->assignment.n : 0;
    m->assignment =
        mem_dup(m->assignment_len > 0 ? from->assignment.p : (const uint8_t *)"", (size_t)m->assignment_len);
    m->synced = true;
    member_append(g, m);
    member_alive(all, g, m); /* it has a session's time from now on */
    return m->assignment != NULL ? ERR_OK : ERR_NO_MEMORY;
}

static int take_value(struct groups *all, struct group *g, const value *v, struct err *e)
{
    g->generation = v->generation;
    g->recorded = true;
    g->state = v->members.count > 0 ? GROUP_STABLE : GROUP_EMPTY;
    g->state_ms = v->current_state_timestamp >= 0 ? v->current_state_timestamp : clock_wall_ms();
    g->round_end = INT64_MAX;
    g->type = string_copy(v->protocol_type);
    g->protocol = v->protocol.n >= 0 && v->members.count > 0 ? string_copy(v->protocol) : NULL;
    if (g->type == NULL || (g->protocol == NULL && v->protocol.n >= 0 && v->members.count > 0))
        return err_nomem(e);
    for (int32_t i = 0; i < v->members.count; i++)
        if (add_member(all, g, v, &v->members.items[i]) != ERR_OK)
            return err_nomem(e);
    g->leader = group_member(g, v->leader);
    if (g->leader == NULL)
        g->leader = g->members;
    return ERR_OK;
}

/* The key's group is locked by its shard. */
static int load_value(struct groups *all, struct msg_string id, const struct group_record *r, struct arena *a,
                      struct err *e)
{
    struct slice in = slice_of(r->value, r->value_len);
    value v;
    int16_t version;
    int rc = slice_i16(&in, &version, e);
    if (rc != ERR_OK)
        return rc;
    if (version < 0 || version > VALUE_LAST)
        return err_set(e, ERR_UNSUPPORTED, "group %.*s: its record has version %d", id.n, id.p, version);
    if ((rc = msg_decode(&msg_schema_group_metadata_value, version, &in, a, &v, e)) != ERR_OK)
        return err_wrap(e, "group %.*s", id.n, id.p);
    struct shard *s = shard_lock(all, id);
    struct group *g = shard_make(all, s, id);
    rc = g != NULL ? take_value(all, g, &v, e) : err_nomem(e);
    shard_unlock(s);
    return rc;
}

int group_load_classic(struct groups *all, const struct group_record *r, struct err *e)
{
    struct slice in = slice_of(r->key, r->key_len);
    struct msg_group_metadata_key k;
    struct arena a;
    int16_t version;
    arena_init(&a, ARENA_MAX, NULL);
    int rc = slice_i16(&in, &version, e);
    if (rc == ERR_OK)
        rc = msg_decode(&msg_schema_group_metadata_key, 0, &in, &a, &k, e);
    if (rc == ERR_OK)
        rc = load_value(all, k.group, r, &a, e);
    arena_free(&a);
    return rc;
}
