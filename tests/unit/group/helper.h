/*
 * Steps of members in core/group, over a store in memory: joins and syncs whose answers are waited for.
 */
#ifndef LEAT_TESTS_UNIT_GROUP_HELPER_H
#define LEAT_TESTS_UNIT_GROUP_HELPER_H

#include <pthread.h>
#include <semaphore.h>

#include "group/group.h"
#include "tests/lib/testkit.h"
#include "tests/unit/group/store.h"

#define SESSION_MS 60000
#define PEERS_MAX 4

/* What one join or sync was answered. */
struct told {
    sem_t bell;
    int16_t error;
    int32_t generation, member_count;
    char member[128], leader[128], protocol[32], assignment[32];
    char peers[PEERS_MAX][128], metadata[PEERS_MAX][32];
    bool skip;
};

static struct groups *all;
static struct fake_store store;

static inline void start(int32_t delay_ms, int32_t session_min_ms)
{
    struct err e = {0};
    struct group_options o = {.initial_delay_ms = delay_ms,
                              .session_min_ms = session_min_ms,
                              .session_max_ms = SESSION_MS,
                              .store = fake_store_of(&store)};
    all = groups_start(&o, &e);
    assert_non_null(all);
}

static inline int set_up(void **state)
{
    (void)state;
    fake_store_init(&store);
    start(0, 10);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    groups_stop(all);
    fake_store_free(&store);
    return 0;
}

static inline struct msg_string text(const char *s)
{
    return s != NULL ? msg_text(s, strlen(s)) : MSG_NULL_STRING;
}

static inline void keep(char *to, size_t size, const char *p, int32_t n)
{
    snprintf(to, size, "%.*s", n > 0 ? n : 0, n > 0 ? p : "");
}

static inline void joined(void *arg, const struct group_joined *r)
{
    struct told *t = arg;
    t->error = r->error;
    t->generation = r->generation;
    t->member_count = r->member_count;
    t->skip = r->skip_assignment;
    keep(t->member, sizeof t->member, r->member.p, r->member.n);
    keep(t->leader, sizeof t->leader, r->leader.p, r->leader.n);
    keep(t->protocol, sizeof t->protocol, r->protocol.p, r->protocol.n);
    for (int32_t i = 0; i < r->member_count && i < PEERS_MAX; i++) {
        keep(t->peers[i], sizeof t->peers[i], r->members[i].member.p, r->members[i].member.n);
        keep(t->metadata[i], sizeof t->metadata[i], (const char *)r->members[i].metadata.p,
             r->members[i].metadata.n);
    }
    sem_post(&t->bell);
}

static inline void synced(void *arg, const struct group_synced *r)
{
    struct told *t = arg;
    t->error = r->error;
    keep(t->assignment, sizeof t->assignment, (const char *)r->assignment.p, r->assignment.n);
    sem_post(&t->bell);
}

static inline void wait_for(struct told *t)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TESTKIT_LIMIT_MS / 1000;
    if (sem_timedwait(&t->bell, &until) != 0)
        fail_msg("no answer");
}

static inline bool is_waiting(struct told *t)
{
    int n;
    sem_getvalue(&t->bell, &n);
    return n == 0;
}

static inline struct group_join join_of(const char *member, const char *instance,
                                        const struct group_protocol *p, int32_t n)
{
    return (struct group_join){.group = text("g"),
                               .member = text(member),
                               .instance = text(instance),
                               .client_id = text("client"),
                               .host = "/here",
                               .type = text("consumer"),
                               .protocols = p,
                               .protocol_count = n,
                               .session_ms = SESSION_MS,
                               .rebalance_ms = SESSION_MS};
}

static const struct group_protocol range[] = {{{"range", 5}, {(const uint8_t *)"r", 1}}};
static const struct group_protocol both[] = {{{"sticky", 6}, {(const uint8_t *)"s", 1}},
                                             {{"range", 5}, {(const uint8_t *)"r", 1}}};
static const struct group_protocol other[] = {{{"other", 5}, {(const uint8_t *)"o", 1}}};

static inline void join(struct told *t, const struct group_join *j)
{
    memset(t, 0, sizeof *t);
    sem_init(&t->bell, 0, 0);
    groups_join(all, j, joined, t);
}

static inline void join_as(struct told *t, const char *member)
{
    struct group_join j = join_of(member, NULL, range, 1);
    join(t, &j);
}

static inline void sync_as(struct told *t, const char *member, int32_t generation,
                           const struct group_assignment *list, int32_t n)
{
    struct group_sync s = {.group = text("g"),
                           .member = text(member),
                           .instance = MSG_NULL_STRING,
                           .generation = generation,
                           .type = text("consumer"),
                           .protocol = MSG_NULL_STRING,
                           .assignments = list,
                           .assignment_count = n};
    memset(t, 0, sizeof *t);
    sem_init(&t->bell, 0, 0);
    groups_sync(all, &s, synced, t);
}

static inline int16_t beat(const char *member, int32_t generation)
{
    return groups_heartbeat(all, text("g"), text(member), MSG_NULL_STRING, generation);
}

/* Two members, the first one leading, in generation 2. */
static inline void make_two(struct told *a, struct told *b)
{
    struct told s, again;
    join_as(a, "");
    wait_for(a);
    assert_int_equal(a->error, 0);
    sync_as(&s, a->member, 1, NULL, 0);
    wait_for(&s);
    join_as(b, "");
    assert_true(is_waiting(b)); /* until the first has come, too */
    assert_int_equal(beat(a->member, 1), GROUP_REBALANCING);
    join_as(&again, a->member);
    wait_for(&again);
    wait_for(b);
    assert_int_equal(again.generation, 2);
    assert_int_equal(b->generation, 2);
    assert_string_equal(b->leader, a->member);
    assert_int_equal(again.member_count, 2); /* the leader's only */
    assert_int_equal(b->member_count, 0);
}

#endif
