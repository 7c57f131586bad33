/*
 * groups: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, DescribeGroups, ListGroups, DeleteGroups: messages to core/group and back.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/apis.h"
#include "server/names.h"

/* ---- JoinGroup ---- */

/* Both: *good is false without memory: who is told half of an assignment, or of its members, would act on it. */
static struct msg_bytes own_bytes(struct request *c, struct msg_bytes b, bool *good)
{
    const uint8_t *p = arena_dup(&c->arena, b.n > 0 ? b.p : (const uint8_t *)"", b.n > 0 ? (size_t)b.n : 0);
    *good = *good && p != NULL;
    return p != NULL && b.n > 0 ? (struct msg_bytes){p, b.n} : (struct msg_bytes){(const uint8_t *)"", 0};
}

static struct msg_string own_text(struct request *c, struct msg_string s, bool *good)
{
    const char *p = s.n >= 0 ? request_string(c, s) : NULL;
    *good = *good && (p != NULL || s.n < 0);
    return p != NULL ? msg_text(p, (size_t)s.n) : MSG_NULL_STRING;
}

static struct msg_string or_empty(struct msg_string s)
{
    return s.n >= 0 ? s : msg_text("", 0);
}

static void answer_join(struct request *c)
{
    request_reply(c, c->work);
}

static void joined(void *arg, const struct group_joined *g)
{
    struct request *c = arg;
    struct msg_join_group_response *r = c->work;
    bool good = true;
    r->error_code = g->error;
    r->generation_id = g->generation;
    r->protocol_type = own_text(c, g->type, &good);
    r->protocol_name = or_empty(own_text(c, g->protocol, &good));
    if (r->protocol_name.n == 0 && c->header.version >= 7)
        r->protocol_name = MSG_NULL_STRING;
    r->leader = or_empty(own_text(c, g->leader, &good));
    r->member_id = or_empty(own_text(c, g->member, &good));
    r->skip_assignment = g->skip_assignment;
    r->members.items = arena_alloc(&c->arena, (size_t)g->member_count * sizeof *r->members.items);
    good = good && r->members.items != NULL;
    for (int32_t i = 0; good && i < g->member_count; i++)
        r->members.items[r->members.count++] = (struct msg_join_group_response_member){
            .member_id = own_text(c, g->members[i].member, &good),
            .group_instance_id = own_text(c, g->members[i].instance, &good),
            .metadata = own_bytes(c, g->members[i].metadata, &good)};
    if (!good) {
        r->error_code = GROUP_NOT_AVAILABLE;
        r->members.count = 0;
    }
    request_answer_later(c, answer_join);
}

void api_join_group(struct request *c)
{
    const struct msg_join_group_request *q = c->asked;
    struct group_protocol *protocols = request_alloc(c, (size_t)q->protocols.count, sizeof *protocols);
    struct msg_join_group_response *r = protocols != NULL ? request_alloc(c, 1, sizeof *r) : NULL;
    if (r == NULL)
        return;
    msg_init(&msg_schema_join_group_response, r);
    c->work = r;
    for (int32_t i = 0; i < q->protocols.count; i++)
        protocols[i] = (struct group_protocol){q->protocols.items[i].name, q->protocols.items[i].metadata};
    struct group_join j = {.group = q->group_id,
                           .member = q->member_id,
                           .instance = q->group_instance_id,
                           .client_id = c->header.client_id,
                           .host = c->conn->peer_host,
                           .type = q->protocol_type,
                           .protocols = protocols,
                           .protocol_count = q->protocols.count,
                           .session_ms = q->session_timeout_ms,
                           .rebalance_ms =
                               q->rebalance_timeout_ms >= 0 ? q->rebalance_timeout_ms : q->session_timeout_ms,
                           .id_first = c->header.version >= 4,
                           .skip_assignment = c->header.version >= 9};
    groups_join(c->server->groups, &j, joined, c);
    request_let_go(c); /* it may wait for long, and others for room */
}

/* ---- SyncGroup ---- */

static void synced(void *arg, const struct group_synced *g)
{
    struct request *c = arg;
    struct msg_sync_group_response *r = c->work;
    bool good = true;
    r->protocol_type = own_text(c, g->type, &good);
    r->protocol_name = own_text(c, g->protocol, &good);
    r->assignment = own_bytes(c, g->assignment, &good);
    r->error_code = good ? g->error : GROUP_NOT_AVAILABLE;
    request_answer_later(c, answer_join);
}

void api_sync_group(struct request *c)
{
    const struct msg_sync_group_request *q = c->asked;
    struct group_assignment *list = request_alloc(c, (size_t)q->assignments.count, sizeof *list);
    struct msg_sync_group_response *r = list != NULL ? request_alloc(c, 1, sizeof *r) : NULL;
    if (r == NULL)
        return;
    msg_init(&msg_schema_sync_group_response, r);
    c->work = r;
    if (c->header.version >= 5 && (q->protocol_type.n < 0 || q->protocol_name.n < 0)) { /* KIP-559 */
        r->error_code = GROUP_INCONSISTENT_PROTOCOL;
        request_reply(c, r);
        return;
    }
    for (int32_t i = 0; i < q->assignments.count; i++)
        list[i] =
            (struct group_assignment){q->assignments.items[i].member_id, q->assignments.items[i].assignment};
    struct group_sync s = {.group = q->group_id,
                           .member = q->member_id,
                           .instance = q->group_instance_id,
                           .generation = q->generation_id,
                           .type = q->protocol_type,
                           .protocol = q->protocol_name,
                           .assignments = list,
                           .assignment_count = q->assignments.count};
    groups_sync(c->server->groups, &s, synced, c);
    request_let_go(c);
}

/* ---- Heartbeat, LeaveGroup ---- */

void api_heartbeat(struct request *c)
{
    const struct msg_heartbeat_request *q = c->asked;
    struct msg_heartbeat_response r;
    msg_init(&msg_schema_heartbeat_response, &r);
    r.error_code = groups_heartbeat(c->server->groups, q->group_id, q->member_id, q->group_instance_id,
                                    q->generation_id);
    request_reply(c, &r);
}

#define LEAVE_AT_ONCE 256 /* without giving the group's lock up */

/* Those from `from` on, as many as go at once. */
static void leave_some(struct request *c, int32_t from, struct msg_leave_group_response *r)
{
    const struct msg_leave_group_request *q = c->asked;
    struct group_leaving list[LEAVE_AT_ONCE];
    int32_t left = q->members.count - from, n = left < LEAVE_AT_ONCE ? left : LEAVE_AT_ONCE;
    for (int32_t i = 0; i < n; i++)
        list[i] = (struct group_leaving){.member = q->members.items[from + i].member_id,
                                         .instance = q->members.items[from + i].group_instance_id};
    groups_leave_all(c->server->groups, q->group_id, list, n);
    for (int32_t i = 0; i < n; i++)
        r->members.items[r->members.count++] = (struct msg_leave_group_response_member_response){
            .member_id = list[i].member, .group_instance_id = list[i].instance, .error_code = list[i].error};
}

void api_leave_group(struct request *c)
{
    const struct msg_leave_group_request *q = c->asked;
    struct msg_leave_group_response r;
    bool one = c->header.version < 3;
    msg_init(&msg_schema_leave_group_response, &r);
    r.members.items = request_alloc(c, (size_t)q->members.count, sizeof *r.members.items);
    if (r.members.items == NULL)
        return;
    if (q->group_id.n == 0)
        r.error_code = GROUP_INVALID_ID;
    else if (one)
        r.error_code = groups_leave(c->server->groups, q->group_id, q->member_id, MSG_NULL_STRING);
    for (int32_t i = 0; r.error_code == 0 && !one && i < q->members.count; i += LEAVE_AT_ONCE)
        leave_some(c, i, &r);
    request_reply(c, &r);
}

/* ---- DescribeGroups ---- */

static int16_t describe(struct request *c, struct msg_string id,
                        struct msg_describe_groups_response_described_group *out)
{
    struct group_view v = {.state = MSG_NULL_STRING};
    int16_t error = groups_view(c->server->groups, id, &c->arena, &v);
    bool consumer = error == GROUP_OK && v.consumer; /* ConsumerGroupDescribe tells of it */
    if (consumer)
        error = GROUP_NOT_FOUND;
    const char *name = error == GROUP_NOT_FOUND && !consumer ? request_string(c, id) : NULL;
    bool stored =
        name != NULL && broker_group_shows_offsets(c->server->broker, name); /* and nobody joined since */
    out->group_id = id;
    const struct msg_describe_groups_request *q = c->asked;
    bool stable = v.state.n == 6 && memcmp(v.state.p, "Stable", 6) == 0; /* else there is no protocol yet */
    out->error_message = MSG_NULL_STRING;
    out->group_state = stored ? api_text(c, "Empty") : error != GROUP_OK ? api_text(c, "Dead") : v.state;
    out->protocol_type = error == GROUP_OK ? v.type : msg_text("", 0);
    out->protocol_data = error == GROUP_OK && stable ? v.protocol : msg_text("", 0);
    out->members.items = request_alloc(c, (size_t)v.member_count, sizeof *out->members.items);
    if (out->members.items == NULL)
        return GROUP_NO_MEMORY;
    for (int32_t i = 0; i < v.member_count; i++)
        out->members.items[out->members.count++] =
            (struct msg_describe_groups_response_described_group_member){
                .member_id = v.members[i].member,
                .group_instance_id = v.members[i].instance,
                .client_id = v.members[i].client_id,
                .client_host = v.members[i].host,
                .member_metadata = stable ? v.members[i].metadata : (struct msg_bytes){NULL, 0},
                .member_assignment = v.members[i].assignment};
    if (error == GROUP_NO_MEMORY)
        out->error_code = error;
    bool absent = error == GROUP_NOT_FOUND && !stored;
    if (absent && c->header.version >= 6) { /* KIP-1043 */
        out->error_code = GROUP_NOT_FOUND;
        out->error_message =
            api_text(c, consumer ? "the group is not a classic group" : "there is no such group");
    }
    out->authorized_operations =
        q->include_authorized_operations && out->error_code == 0 ? GROUP_OPERATIONS : NO_OPERATIONS;
    return GROUP_OK;
}

void api_describe_groups(struct request *c)
{
    const struct msg_describe_groups_request *q = c->asked;
    struct msg_describe_groups_response r;
    msg_init(&msg_schema_describe_groups_response, &r);
    r.groups.items = request_alloc(c, (size_t)q->groups.count, sizeof *r.groups.items);
    if (r.groups.items == NULL)
        return;
    for (int32_t i = 0; i < q->groups.count; i++)
        if (describe(c, q->groups.items[i], &r.groups.items[r.groups.count++]) != GROUP_OK)
            return; /* answered */
    request_reply(c, &r);
}

/* ---- ListGroups ---- */

typedef struct msg_list_groups_response_listed_group listed;

static bool wanted(const struct msg_string *filter, int32_t n, struct msg_string value)
{
    for (int32_t i = 0; i < n; i++)
        if (filter[i].n == value.n && strncasecmp(filter[i].p, value.p, (size_t)value.n) == 0)
            return true;
    return n <= 0;
}

#define STATES_MAX 16 /* that groups are in, whatever a filter names */

/* Which groups a request asks for. A filter is gone through once for each state and type, however many groups have it. */
struct listing {
    const struct msg_list_groups_request *q;
    struct msg_list_groups_response *r;
    struct {
        struct msg_string state;
        bool wanted;
    } states[STATES_MAX];
    int state_count;
    bool classic, consumer;
};

static void begin_listing(struct listing *l, const struct msg_list_groups_request *q,
                          struct msg_list_groups_response *r)
{
    *l = (struct listing){.q = q, .r = r};
    l->classic = wanted(q->types_filter.items, q->types_filter.count, msg_text("classic", 7));
    l->consumer = wanted(q->types_filter.items, q->types_filter.count, msg_text("consumer", 8));
}

static bool state_wanted(struct listing *l, struct msg_string state)
{
    for (int i = 0; i < l->state_count; i++)
        if (l->states[i].state.n == state.n && memcmp(l->states[i].state.p, state.p, (size_t)state.n) == 0)
            return l->states[i].wanted;
    bool is = wanted(l->q->states_filter.items, l->q->states_filter.count, state);
    if (l->state_count < STATES_MAX) {
        l->states[l->state_count].state = state;
        l->states[l->state_count++].wanted = is;
    }
    return is;
}

static void list_one(struct listing *l, const struct group_view *v)
{
    struct msg_string kind = v->consumer ? msg_text("consumer", 8) : msg_text("classic", 7);
    if (!(v->consumer ? l->consumer : l->classic) || !state_wanted(l, v->state))
        return;
    l->r->groups.items[l->r->groups.count++] =
        (listed){.group_id = v->id, .protocol_type = v->type, .group_state = v->state, .group_type = kind};
}

static int by_name(const void *key, const void *item)
{
    const struct msg_string *id = key;
    const char *name = *(char *const *)item;
    size_t n = strlen(name), a = (size_t)id->n;
    int order = memcmp(id->p, name, a < n ? a : n);
    return order != 0 ? order : (a > n) - (a < n);
}

/* Those that have members or had, and those of which only offsets are known; `stored` is sorted by name. */
static bool list_all(struct request *c, const struct msg_list_groups_request *q, char *const *stored,
                     size_t n, struct msg_list_groups_response *r)
{
    struct group_view *known;
    struct listing l;
    int32_t count;
    begin_listing(&l, q, r);
    if (groups_list(c->server->groups, &c->arena, &known, &count) != GROUP_OK)
        return false;
    r->groups.items = arena_alloc(&c->arena, (n + (size_t)count) * sizeof *r->groups.items);
    bool *twice = arena_alloc(&c->arena, n + 1);
    if (r->groups.items == NULL || twice == NULL)
        return false;
    memset(twice, 0, n + 1);
    for (int32_t i = 0; i < count; i++) {
        char *const *same = bsearch(&known[i].id, stored, n, sizeof *stored, by_name);
        if (same != NULL)
            twice[same - stored] = true;
        list_one(&l, &known[i]);
    }
    for (size_t i = 0; i < n; i++) {
        if (twice[i])
            continue;
        struct group_view v = {
            .id = api_text(c, stored[i]), .state = msg_text("Empty", 5), .type = msg_text("", 0)};
        list_one(&l, &v);
    }
    return true;
}

void api_list_groups(struct request *c)
{
    struct msg_list_groups_response r;
    char **stored;
    size_t n;
    struct err e;
    if (broker_group_names(c->server->broker, &stored, &n, &e) != ERR_OK) {
        request_close(c, &e);
        return;
    }
    msg_init(&msg_schema_list_groups_response, &r);
    bool made = list_all(c, c->asked, stored, n, &r);
    group_names_free(stored, n);
    if (made)
        request_reply(c, &r);
    else
        request_close(c, (err_nomem(&e), &e));
}

/* ---- DeleteGroups ---- */

static int16_t delete_group(struct request *c, struct msg_string id)
{
    struct err e;
    const char *name = request_string(c, id);
    int16_t error = groups_forget(c->server->groups, id);
    if (error != GROUP_OK && error != GROUP_NOT_FOUND)
        return error;
    int rc = name != NULL ? broker_delete_group(c->server->broker, name, &e) : err_nomem(&e);
    return rc == ERR_UNKNOWN_GROUP && error == GROUP_OK ? GROUP_OK : err_kafka(rc); /* it had no offsets */
}

void api_delete_groups(struct request *c)
{
    const struct msg_delete_groups_request *q = c->asked;
    struct msg_delete_groups_response r;
    struct err e;
    msg_init(&msg_schema_delete_groups_response, &r);
    r.results.items = request_alloc(c, (size_t)q->groups_names.count, sizeof *r.results.items);
    if (r.results.items == NULL)
        return;
    struct names named = {NULL};
    int32_t place = 0;
    for (int32_t i = 0; place >= 0 && i < q->groups_names.count; i++) {
        struct msg_string id = q->groups_names.items[i];
        place = names_place(&named, id.p, (size_t)id.n, r.results.count);
        if (place == r.results.count) /* once each */
            r.results.items[r.results.count++] = (struct msg_delete_groups_response_deletable_group_result){
                .group_id = id, .error_code = delete_group(c, id)};
    }
    names_free(&named);
    if (place >= 0)
        request_reply(c, &r);
    else
        request_close(c, (err_nomem(&e), &e));
}
