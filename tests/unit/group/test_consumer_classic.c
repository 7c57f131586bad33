/*
 * Groups with members of both protocols, and groups that change theirs: up when the first member of the consumer protocol comes, down when the
 * last has gone; what each side is told meanwhile; and that all of it outlasts a restart.
 */
#include "protocol/messages.h"
#include "tests/unit/group/hub.h"

#define PARTITIONS 4

static int set_up_topic(void **state)
{
    set_up(state);
    set_topic(0, PARTITIONS);
    return 0;
}

/* ---- partitions as bits: of one topic ---- */

static unsigned bits_of(const int32_t *partitions, int32_t n)
{
    unsigned bits = 0;
    for (int32_t i = 0; i < n; i++)
        bits |= 1U << partitions[i];
    return bits;
}

static int32_t list_of(unsigned bits, int32_t *list)
{
    int32_t n = 0;
    for (int32_t i = 0; i < PARTITIONS; i++)
        if (bits & 1U << i)
            list[n++] = i;
    return n;
}

/* ---- a classic member ---- */

struct classic {
    char id[64];
    const char *instance, *protocol;
    unsigned owned;
    int32_t generation;
    /* what the last answer said */
    sem_t bell;
    int16_t error;
    unsigned got;
    char leader[64];
};

static void joined(void *arg, const struct group_joined *r)
{
    struct classic *m = arg;
    m->error = r->error;
    if (r->error == 0)
        m->generation = r->generation;
    if (r->member.n > 0)
        snprintf(m->id, sizeof m->id, "%.*s", r->member.n, r->member.p);
    snprintf(m->leader, sizeof m->leader, "%.*s", r->leader.n > 0 ? r->leader.n : 0,
             r->leader.n > 0 ? r->leader.p : "");
    sem_post(&m->bell);
}

static void synced(void *arg, const struct group_synced *r)
{
    struct classic *m = arg;
    struct msg_consumer_protocol_assignment a;
    struct arena arena;
    struct err e;
    int16_t version;
    struct slice in = slice_of(r->assignment.p, r->assignment.n > 0 ? (size_t)r->assignment.n : 0);
    m->error = r->error;
    m->got = 0;
    arena_init(&arena, 1 << 20, NULL);
    if (r->error == 0 && r->assignment.n > 0) {
        assert_ok(slice_i16(&in, &version, &e), &e);
        assert_ok(msg_decode(&msg_schema_consumer_protocol_assignment, version, &in, &arena, &a, &e), &e);
        for (int32_t i = 0; i < a.assigned_partitions.count; i++)
            m->got |= bits_of(a.assigned_partitions.items[i].partitions.items,
                              a.assigned_partitions.items[i].partitions.count);
    }
    arena_free(&arena);
    sem_post(&m->bell);
}

static void wait_for(struct classic *m)
{
    while (sem_wait(&m->bell) != 0)
        ;
    sem_destroy(&m->bell);
}

static void put_subscription(const struct classic *m, struct buf *out)
{
    struct err e;
    int32_t list[PARTITIONS];
    struct msg_string name = text("t0");
    struct msg_consumer_protocol_subscription s;
    struct msg_consumer_protocol_subscription_topic_partition owned = {.topic = name};
    msg_init(&msg_schema_consumer_protocol_subscription, &s);
    s.topics.items = &name;
    s.topics.count = 1;
    owned.partitions.items = list;
    owned.partitions.count = list_of(m->owned, list);
    s.owned_partitions.items = &owned;
    s.owned_partitions.count = 1;
    assert_ok(buf_i16(out, 1, &e), &e);
    assert_ok(msg_encode(&msg_schema_consumer_protocol_subscription, 1, &s, out, &e), &e);
}

/* Does not wait. */
static void begin_join(struct classic *m)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    put_subscription(m, &b);
    struct group_protocol p = {text(m->protocol != NULL ? m->protocol : "range"), {b.data, (int32_t)b.len}};
    struct group_join j = {.group = text("g"),
                           .member = text(m->id),
                           .instance = text(m->instance),
                           .client_id = text("client"),
                           .host = "/here",
                           .type = text("consumer"),
                           .protocols = &p,
                           .protocol_count = 1,
                           .session_ms = 60000,
                           .rebalance_ms = 60000};
    sem_init(&m->bell, 0, 0);
    groups_join(all, &j, joined, m);
    buf_free(&b);
}

static int16_t join(struct classic *m)
{
    begin_join(m);
    wait_for(m);
    return m->error;
}

static int16_t sync_with(struct classic *m, const struct group_assignment *list, int32_t n)
{
    struct group_sync s = {.group = text("g"),
                           .member = text(m->id),
                           .instance = text(m->instance),
                           .generation = m->generation,
                           .type = text("consumer"),
                           .protocol = text("range"),
                           .assignments = list,
                           .assignment_count = n};
    sem_init(&m->bell, 0, 0);
    groups_sync(all, &s, synced, m);
    wait_for(m);
    return m->error;
}

static int16_t beat(const struct classic *m)
{
    return groups_heartbeat(all, text("g"), text(m->id), text(m->instance), m->generation);
}

/* As a cooperative client: it joins, gives back what it is not to have, and takes the rest. */
static void turn(struct classic *m)
{
    int16_t error = beat(m);
    if (error == 0)
        return;
    assert_int_equal(error, GROUP_REBALANCING);
    assert_int_equal(join(m), 0);
    assert_string_equal(m->leader, "");
    if (sync_with(m, NULL, 0) == 0)
        m->owned = m->got;
}

/* ---- one of the consumer protocol ---- */

struct consumer {
    const char *id, *instance;
    int32_t epoch;
    unsigned owned, wanted;
    int16_t error;
};

static int16_t tell(struct consumer *m)
{
    struct arena a;
    struct consumer_beat b;
    struct msg_string name = text("t0");
    int32_t list[PARTITIONS], n = list_of(m->owned, list);
    struct tp owned[PARTITIONS];
    for (int32_t i = 0; i < n; i++)
        owned[i] = (struct tp){topics[0].id, list[i], 0};
    struct consumer_heartbeat q = {.group = text("g"),
                                   .member = text(m->id),
                                   .instance = text(m->instance),
                                   .rack = MSG_NULL_STRING,
                                   .client_id = text("client"),
                                   .host = "/here",
                                   .epoch = m->epoch,
                                   .rebalance_ms = 60000,
                                   .topics = &name,
                                   .topic_count = 1,
                                   .regex = MSG_NULL_STRING,
                                   .assignor = MSG_NULL_STRING,
                                   .owned = owned,
                                   .owned_count = n,
                                   .own_id = true};
    arena_init(&a, 1 << 20, NULL);
    heartbeat(&q, &a, &b);
    m->error = b.error;
    if (b.error == 0)
        m->epoch = b.epoch;
    if (b.error == 0 && b.told) {
        m->wanted = 0;
        for (int32_t i = 0; i < b.assigned.n; i++)
            m->wanted |= 1U << b.assigned.list[i].partition;
    }
    arena_free(&a);
    return m->error;
}

static void go(struct consumer *m)
{
    assert_int_equal(tell(m), 0);
    m->owned &= m->wanted;
    assert_int_equal(tell(m), 0);
    m->owned = m->wanted;
}

/* ---- */

static bool is_consumer(void)
{
    struct arena a;
    struct group_view v;
    arena_init(&a, 1 << 20, NULL);
    assert_int_equal(groups_view(all, text("g"), &a, &v), 0);
    bool is = v.consumer;
    arena_free(&a);
    return is;
}

static const char *state_now(void)
{
    static char word[32];
    struct arena a;
    struct group_view v;
    arena_init(&a, 1 << 20, NULL);
    assert_int_equal(groups_view(all, text("g"), &a, &v), 0);
    snprintf(word, sizeof word, "%.*s", v.state.n, v.state.p);
    arena_free(&a);
    return word;
}

/* A classic group of one, which has all four partitions. */
static void make_classic(struct classic *m)
{
    struct buf b;
    struct err e;
    int32_t list[] = {0, 1, 2, 3};
    struct msg_consumer_protocol_assignment_topic_partition t = {.topic = text("t0")};
    struct msg_consumer_protocol_assignment a;
    msg_init(&msg_schema_consumer_protocol_assignment, &a);
    t.partitions.items = list;
    t.partitions.count = PARTITIONS;
    a.assigned_partitions.items = &t;
    a.assigned_partitions.count = 1;
    buf_init(&b, 1 << 20);
    assert_ok(buf_i16(&b, 1, &e), &e);
    assert_ok(msg_encode(&msg_schema_consumer_protocol_assignment, 1, &a, &b, &e), &e);
    assert_int_equal(join(m), 0);
    struct group_assignment own = {text(m->id), {b.data, (int32_t)b.len}};
    assert_int_equal(sync_with(m, &own, 1), 0);
    assert_int_equal(m->got, 15);
    m->owned = 15;
    buf_free(&b);
}

static int parts(unsigned bits)
{
    return __builtin_popcount(bits);
}

static void test_up_and_down(void **state)
{
    (void)state;
    struct classic a = {.id = ""};
    struct consumer b = {.id = "b"};
    make_classic(&a);
    assert_int_equal(a.generation, 1);
    go(&b); /* the group is another one now */
    assert_true(is_consumer());
    assert_int_equal(b.epoch, 2);
    assert_int_equal(b.owned, 0); /* the other one has all */
    turn(&a);                     /* it is to give two back, */
    assert_int_equal(parts(a.owned), 2);
    assert_int_equal(a.generation, 1);
    turn(&a); /* and says that it has */
    assert_int_equal(a.generation, 2);
    go(&b);
    assert_int_equal(parts(b.owned), 2);
    assert_int_equal(a.owned & b.owned, 0);
    assert_int_equal(beat(&a), 0);
    assert_string_equal(state_now(), "Stable");
    restart();
    assert_true(is_consumer());
    assert_int_equal(beat(&a), 0);
    assert_int_equal(tell(&b), 0);
    b.epoch = CONSUMER_LEAVE; /* the last of its kind */
    assert_int_equal(tell(&b), 0);
    assert_false(is_consumer());
    assert_int_equal(beat(&a), GROUP_REBALANCING);
    assert_int_equal(join(&a), 0);
    assert_string_equal(a.leader, a.id);
    assert_true(a.generation > 2);
    assert_int_equal(sync_with(&a, NULL, 0), 0);
    restart();
    assert_false(is_consumer());
    assert_int_equal(beat(&a), 0);
}

static void test_errors_of_classic_members(void **state)
{
    (void)state;
    struct classic a = {.id = ""}, other = {.id = "", .protocol = "other"}, c = {.id = "who"};
    struct consumer b = {.id = "b"};
    go(&b);
    assert_int_equal(join(&a), 0);
    assert_int_equal(join(&other), GROUP_INCONSISTENT_PROTOCOL);
    struct classic wrong = a;
    wrong.generation++;
    assert_int_equal(beat(&wrong), GROUP_ILLEGAL_GENERATION);
    assert_int_equal(sync_with(&wrong, NULL, 0), GROUP_ILLEGAL_GENERATION);
    assert_int_equal(beat(&c), GROUP_UNKNOWN_MEMBER);
    snprintf(c.id, sizeof c.id, "b"); /* one that speaks the other protocol */
    c.generation = b.epoch;
    assert_int_equal(beat(&c), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(groups_leave(all, text("g"), text("b"), MSG_NULL_STRING), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(groups_may_commit(all, text("g"), text(a.id), MSG_NULL_STRING, a.generation, NULL), 0);
    assert_int_equal(groups_may_commit(all, text("g"), text(a.id), MSG_NULL_STRING, 99, NULL),
                     GROUP_ILLEGAL_GENERATION);
    assert_int_equal(groups_leave(all, text("g"), text(a.id), MSG_NULL_STRING), 0);
    assert_int_equal(beat(&a), GROUP_UNKNOWN_MEMBER);
    b.epoch = CONSUMER_LEAVE;
    assert_int_equal(tell(&b), 0);
    struct classic d = {.id = ""}; /* a group that nobody is in takes any protocol */
    make_classic(&d);
    assert_false(is_consumer());
}

static void test_a_static_member_changes_its_protocol(void **state)
{
    (void)state;
    struct classic a = {.id = "", .instance = "one"};
    struct consumer b = {.id = "b", .instance = "one"};
    make_classic(&a);
    go(&b); /* in the other one's place, with what that had */
    assert_true(is_consumer());
    go(&b);
    assert_int_equal(b.owned, 15);
    assert_int_equal(beat(&a), GROUP_FENCED_INSTANCE);
    struct classic c = {.id = "", .instance = "one"};
    assert_int_equal(join(&c), 0); /* and back */
    assert_false(is_consumer());
    assert_string_equal(c.leader, c.id);
    assert_int_equal(tell(&b), GROUP_NOT_FOUND);
}

static void test_policies(void **state)
{
    static const enum group_migration all_of_them[] = {GROUP_MIGRATE_BOTH, GROUP_MIGRATE_UP,
                                                       GROUP_MIGRATE_DOWN, GROUP_MIGRATE_NOT};
    for (size_t i = 0; i < 4; i++) {
        bool up = all_of_them[i] == GROUP_MIGRATE_BOTH || all_of_them[i] == GROUP_MIGRATE_UP;
        bool down = all_of_them[i] == GROUP_MIGRATE_BOTH || all_of_them[i] == GROUP_MIGRATE_DOWN;
        options.migration = all_of_them[i];
        restart();
        struct classic a = {.id = ""};
        struct consumer b = {.id = "b"}, c = {.id = "c"};
        make_classic(&a);
        assert_int_equal(tell(&b), up ? 0 : GROUP_NOT_FOUND);
        assert_int_equal(is_consumer(), up);
        tear_down(state);
        set_up_topic(state);
        options.migration = all_of_them[i];
        restart();
        a = (struct classic){.id = ""};
        go(&c);
        assert_int_equal(join(&a), 0);
        c.epoch = CONSUMER_LEAVE;
        assert_int_equal(tell(&c), 0);
        assert_int_equal(is_consumer(), !down);
        tear_down(state);
        set_up_topic(state);
    }
}

/* Members that wait for a round when the group changes under them are told to come again. */
static void test_up_in_the_middle_of_a_round(void **state)
{
    (void)state;
    struct classic a = {.id = ""}, b = {.id = ""};
    struct consumer c = {.id = "c"};
    make_classic(&a);
    begin_join(&b);
    go(&c);
    wait_for(&b);
    assert_int_equal(b.error, GROUP_REBALANCING);
    assert_true(is_consumer());
    assert_int_equal(join(&b), 0);
    for (int i = 0; i < 6; i++) {
        turn(&a);
        turn(&b);
        go(&c);
        assert_int_equal((a.owned & b.owned) | (a.owned & c.owned) | (b.owned & c.owned), 0);
    }
    assert_int_equal(a.owned | b.owned | c.owned, 15);
    assert_string_equal(state_now(), "Stable");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_topic, tear_down)
        TEST(test_up_and_down),
        TEST(test_errors_of_classic_members),
        TEST(test_a_static_member_changes_its_protocol),
        TEST(test_policies),
        TEST(test_up_in_the_middle_of_a_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
