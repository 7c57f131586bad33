/*
 * What goes when nobody uses it for long: committed offsets with their groups, and transactional ids. Who is in use keeps what it
 * has; a restart forgets none of it. The broker is stepped, the wall clock moved.
 */
#include "tests/unit/broker/helper.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/fault.h"
#include "base/thread.h"
#include "broker/records.h"
#include "broker/store.h"

/* A larger jump of the clock than STEP would be doubted; MARGIN is for the real time that a slow machine takes. */
enum { RETENTION = 300000, HOUR = 3600000, STEP = 400000, MARGIN = 60000 };

static int64_t shifted, mono;

static struct broker_options options(struct fixture *f)
{
    return (struct broker_options){.data_dir = f->dir,
                                   .journal_file_bytes = 1 << 20,
                                   .no_threads = true,
                                   .offsets_retention_ms = RETENTION,
                                   .offsets_check_ms = 1,
                                   .txn_id_expiration_ms = RETENTION,
                                   .txn_id_check_ms = 1,
                                   .offsets_partitions = 1,
                                   .txn_partitions = 1};
}

static void reopen(struct fixture *f)
{
    struct broker_options o = options(f);
    if (f->b)
        fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
}

static int begin(void **state)
{
    shifted = mono = 0;
    clock_shift_wall(0);
    setup(state);
    reopen(*state);
    create(*state, "t", 2);
    broker_step(((struct fixture *)*state)->b, clock_mono_ms()); /* the clock is looked at */
    return 0;
}

static int end(void **state)
{
    clock_shift_wall(0);
    return teardown(state);
}

/* `ms` later everything that is due is done. */
static void pass(struct fixture *f, int64_t ms)
{
    shifted += ms;
    clock_shift_wall(shifted);
    mono += 10;
    broker_step(f->b, clock_mono_ms() + mono);
}

static void commit(struct fixture *f, const char *group, int32_t partition, int64_t offset)
{
    struct group_offset o = {.topic = "t", .partition = partition, .offset = offset, .leader_epoch = -1};
    assert_ok(broker_commit_offsets(f->b, group, &o, 1, &f->e), &f->e);
}

static int64_t fetch(struct fixture *f, const char *group, int32_t partition)
{
    int64_t offset = -2;
    assert_ok(broker_fetch_offset(f->b, group, "t", partition, &offset, &f->e), &f->e);
    return offset;
}

static void hold(struct fixture *f, const char *group)
{
    assert_ok(broker_group_hold(f->b, group, &f->e), &f->e);
}

/* ---- committed offsets ---------------------------------------------------------------------------------------------- */

/* Each by its own commit; the group with the last of them. */
static void test_offsets_expire(void **state)
{
    struct fixture *f = *state;
    struct group_info g;
    commit(f, "g", 0, 5);
    pass(f, 200000);
    commit(f, "g", 1, 6);
    commit(f, "other", 0, 7);
    pass(f, RETENTION - 200000 - MARGIN);
    assert_int_equal(fetch(f, "g", 0), 5);
    pass(f, 2 * MARGIN);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(fetch(f, "g", 0), -1);
        assert_int_equal(fetch(f, "g", 1), 6);
        assert_int_equal(fetch(f, "other", 0), 7);
        reopen(f);
    }
    pass(f, 200000);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(fetch(f, "g", 1), -1);
        assert_code(broker_group(f->b, "g", &g, &f->e), ERR_UNKNOWN_GROUP, &f->e);
        assert_code(broker_group(f->b, "other", &g, &f->e), ERR_UNKNOWN_GROUP, &f->e);
        reopen(f);
    }
    commit(f, "g", 0, 8);
    pass(f, 1000);
    assert_int_equal(fetch(f, "g", 0), 8);
}

static void test_never(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = options(f);
    int64_t id;
    int16_t epoch;
    o.offsets_retention_ms = o.txn_id_expiration_ms = 0;
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    commit(f, "g", 0, 5);
    assert_ok(broker_init_producer(f->b, "x", 60000, &id, &epoch, &f->e), &f->e);
    for (int i = 0; i < 30; i++)
        pass(f, STEP);
    assert_int_equal(fetch(f, "g", 0), 5);
    struct txn_info *list;
    size_t n;
    assert_ok(broker_txns(f->b, &list, &n, &f->e), &f->e);
    assert_int_equal(n, 1);
    txn_infos_free(list, n);
}

/* A clock that jumps is not believed at once. */
static void test_a_jump_of_the_clock(void **state)
{
    struct fixture *f = *state;
    commit(f, "g", 0, 5);
    pass(f, 30 * (int64_t)86400000);
    assert_int_equal(fetch(f, "g", 0), 5);
}

/* While it is held, and then as long as after a commit. */
static void test_in_use(void **state)
{
    struct fixture *f = *state;
    commit(f, "g", 0, 5);
    hold(f, "g");
    hold(f, "g");
    pass(f, STEP);
    broker_group_release(f->b, "g");
    pass(f, STEP);
    assert_int_equal(fetch(f, "g", 0), 5);
    broker_group_release(f->b, "g");
    pass(f, RETENTION - MARGIN);
    assert_int_equal(fetch(f, "g", 0), 5);
    pass(f, 2 * MARGIN);
    assert_int_equal(fetch(f, "g", 0), -1);
    reopen(f);
    assert_int_equal(fetch(f, "g", 0), -1);
}

/* What was in use when the hub ended counts as left when it starts. */
static void test_in_use_at_the_end(void **state)
{
    struct fixture *f = *state;
    commit(f, "g", 0, 5);
    commit(f, "loose", 0, 5);
    hold(f, "g");
    pass(f, STEP);
    assert_int_equal(fetch(f, "loose", 0), -1);
    reopen(f);
    pass(f, 1000);
    assert_int_equal(fetch(f, "g", 0), 5);
    pass(f, RETENTION - MARGIN);
    assert_int_equal(fetch(f, "g", 0), 5);
    pass(f, 2 * MARGIN);
    assert_int_equal(fetch(f, "g", 0), -1);
}

/* When it was left is known after a start, too. */
static void test_left_before_the_end(void **state)
{
    struct fixture *f = *state;
    commit(f, "g", 0, 5);
    hold(f, "g");
    pass(f, STEP);
    broker_group_release(f->b, "g");
    pass(f, 200000);
    reopen(f);
    pass(f, RETENTION - 200000 - MARGIN);
    assert_int_equal(fetch(f, "g", 0), 5);
    pass(f, 2 * MARGIN);
    assert_int_equal(fetch(f, "g", 0), -1);
}

struct last {
    const char *group;
    int values, tombstones; /* of the group's own records, in turn */
    bool gone;
};

static void note_group(void *arg, const struct batch_header *h, const struct record *r)
{
    struct last *l = arg;
    struct group_key k;
    struct group_value v;
    struct err e;
    (void)h;
    assert_ok(group_key_decode(r->key, (size_t)r->key_len, &k, &e), &e);
    if (k.kind != GROUP_KEY_GROUP || k.group.n != strlen(l->group) ||
        memcmp(k.group.p, l->group, k.group.n) != 0)
        return;
    l->gone = r->value == NULL;
    if (l->gone) {
        l->tombstones++;
        return;
    }
    assert_ok(group_value_decode(r->value, (size_t)r->value_len, &v, &e), &e);
    assert_int_equal(v.members, 0);
    assert_int_equal(v.state_ms >= 0, l->values); /* in use, then left */
    l->values++;
}

/* The records of the group itself: in use, left, gone; no more than one of each. */
static void test_records_of_the_group(void **state)
{
    struct fixture *f = *state;
    struct last l = {.group = "g"};
    commit(f, "g", 0, 5);
    for (int i = 0; i < 3; i++) {
        hold(f, "g");
        pass(f, 1000);
        pass(f, 1000);
        if (i < 2) { /* back before anybody has noticed */
            broker_group_release(f->b, "g");
        }
    }
    broker_group_release(f->b, "g");
    pass(f, 1000);
    pass(f, 1000);
    each_record(f, OFFSETS_TOPIC, 0, 0, READ_UNCOMMITTED, note_group, &l);
    assert_int_equal(l.values, 2);
    assert_false(l.gone);
    pass(f, STEP);
    l = (struct last){.group = "g"};
    each_record(f, OFFSETS_TOPIC, 0, 0, READ_UNCOMMITTED, note_group, &l);
    assert_int_equal(l.tombstones, 1);
    assert_true(l.gone);
}

/* Of a group that is deleted while it is in use nothing is left but the use. */
static void test_deleted_in_use(void **state)
{
    struct fixture *f = *state;
    commit(f, "g", 0, 5);
    hold(f, "g");
    pass(f, 1000);
    assert_ok(broker_delete_group(f->b, "g", &f->e), &f->e);
    commit(f, "g", 0, 6);
    pass(f, STEP);
    assert_int_equal(fetch(f, "g", 0), 6);
    broker_group_release(f->b, "g");
    reopen(f);
    pass(f, 1000);
    assert_int_equal(fetch(f, "g", 0), 6); /* it was written down again */
}

/* What a transaction has on its way keeps the offset that it is going to replace. */
static void test_pending(void **state)
{
    struct fixture *f = *state;
    struct group_offset o = {.topic = "t", .partition = 0, .offset = 9, .leader_epoch = -1};
    int64_t id;
    int16_t epoch;
    commit(f, "g", 0, 5);
    commit(f, "g", 1, 6);
    assert_ok(broker_init_producer(f->b, "x", 900000, &id, &epoch, &f->e), &f->e);
    assert_ok(broker_txn_commit_offsets(f->b, "x", id, epoch, "g", &o, 1, &f->e), &f->e);
    pass(f, STEP);
    assert_int_equal(fetch(f, "g", 0), 5);
    assert_int_equal(fetch(f, "g", 1), -1);
    assert_ok(broker_txn_end(f->b, "x", id, epoch, false, &f->e), &f->e);
    pass(f, 1000);
    assert_int_equal(fetch(f, "g", 0), -1);
}

/* More than a batch holds, in one check. */
static void test_many(void **state)
{
    struct fixture *f = *state;
    struct group_info g;
    enum { MANY = 2500 };
    create(f, "wide", MANY);
    struct group_offset *all = calloc(MANY, sizeof *all);
    for (int32_t i = 0; i < MANY; i++)
        all[i] = (struct group_offset){.topic = "wide", .partition = i, .offset = i, .leader_epoch = -1};
    assert_ok(broker_commit_offsets(f->b, "g", all, MANY, &f->e), &f->e);
    free(all);
    pass(f, STEP);
    assert_code(broker_group(f->b, "g", &g, &f->e), ERR_UNKNOWN_GROUP, &f->e);
    reopen(f);
    assert_code(broker_group(f->b, "g", &g, &f->e), ERR_UNKNOWN_GROUP, &f->e);
}

/* An expiry that fails is tried again, and has changed nothing. */
static void test_fails_first(void **state)
{
    struct fixture *f = *state;
    commit(f, "g", 0, 5);
    fault_arm_at(FAULT_WRITE, OFFSETS_TOPIC, 1, ENOSPC, true);
    pass(f, STEP);
    assert_int_equal(fetch(f, "g", 0), 5);
    fault_disarm();
    pass(f, 1000); /* not yet */
    assert_int_equal(fetch(f, "g", 0), 5);
    mono += 60000;
    pass(f, 1000);
    assert_int_equal(fetch(f, "g", 0), -1);
}

static void expire_without_memory(void *arg)
{
    struct fixture *f = arg;
    struct group_offset o = {.topic = "t", .partition = 0, .offset = 5, .leader_epoch = -1};
    struct err e;
    if (broker_commit_offsets(f->b, "g", &o, 1, &e))
        return;
    int rc = broker_group_hold(f->b, "g", &e);
    pass(f, STEP);
    if (!rc) {
        assert_int_equal(fetch(f, "g", 0), 5);
        broker_group_release(f->b, "g");
    }
    pass(f, STEP);
    int64_t there = fetch(f, "g", 0);
    assert_true(there == 5 || there == -1);
}

static void test_without_memory(void **state)
{
    struct fixture *f = *state;
    assert_true(testkit_each_fault(FAULT_ALLOC, 0, expire_without_memory, f) > 10);
    mono += 60000;
    pass(f, STEP);
    assert_int_equal(fetch(f, "g", 0), -1);
    commit(f, "g", 0, 6);
    assert_int_equal(fetch(f, "g", 0), 6);
}

/* As Kafka writes it: "consumer", a generation, a protocol, a leader, a time, a member; and what is cut off is told. */
static void test_group_values(void **state)
{
    static const uint8_t with_member[] = {0, 3, 0, 8, 'c', 'o', 'n', 's', 'u', 'm', 'e', 'r', 0,  0,
                                          0, 7, 0, 5, 'r', 'a', 'n', 'g', 'e', 0,   1,   'm', 0,  0,
                                          1, 0, 0, 0, 0,   9,   0,   0,   0,   1,   0,   1,   'm'};
    static const uint8_t simple[] = {0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    static const uint8_t flexible[] = {0, 4, 2, 'c', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0};
    struct group_value v;
    struct err e;
    (void)state;
    assert_ok(group_value_decode(with_member, sizeof with_member, &v, &e), &e);
    assert_int_equal(v.members, 1);
    assert_int_equal(v.state_ms, 0x10000000009);
    assert_int_equal(v.protocol_type.n, 8);
    for (size_t cut = 0; cut < 38; cut++)
        assert_int_not_equal(group_value_decode(with_member, cut, &v, &e), ERR_OK);
    assert_ok(group_value_decode(simple, sizeof simple, &v, &e), &e);
    assert_true(v.members == 0 && v.state_ms == -1 && v.protocol_type.n == 0);
    assert_ok(group_value_decode(flexible, sizeof flexible, &v, &e), &e);
    assert_true(v.members == 0 && v.state_ms == 5 && v.protocol_type.n == 1);
}

/* ---- beside commits -------------------------------------------------------------------------------------------------- */

struct race {
    struct broker *b;
    atomic_bool done;
    const char *failure;
};

static void *commit_on(void *arg)
{
    struct race *r = arg;
    struct err e;
    for (int i = 0; i < 300 && !r->failure; i++) {
        struct group_offset o = {.topic = "t", .partition = i % 2, .offset = i, .leader_epoch = -1};
        int64_t there;
        if (broker_commit_offsets(r->b, "g", &o, 1, &e) ||
            broker_fetch_offset(r->b, "g", "t", i % 2, &there, &e))
            r->failure = "commit";
        else if (there != i && there != -1)
            r->failure = "an offset that is neither the last one nor expired";
    }
    return NULL;
}

static void *use_now_and_then(void *arg)
{
    struct race *r = arg;
    struct group_offset o = {.topic = "t", .partition = 0, .offset = 7, .leader_epoch = -1};
    struct err e;
    while (!atomic_load(&r->done) && !r->failure) {
        int64_t there;
        if (broker_group_hold(r->b, "used", &e) || broker_commit_offsets(r->b, "used", &o, 1, &e) ||
            broker_fetch_offset(r->b, "used", "t", 0, &there, &e))
            r->failure = "use";
        else if (there != 7)
            r->failure = "an offset of a group in use has expired";
        broker_group_release(r->b, "used");
    }
    return NULL;
}

/* Everything expires at once; what is committed meanwhile is never taken for what was there before. */
static void test_beside_commits(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = options(f);
    struct race r = {0}, use = {0};
    pthread_t committing, using;
    o.no_threads = false;
    o.offsets_retention_ms = o.txn_id_expiration_ms = 1;
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    r.b = use.b = f->b;
    assert_ok(thread_start(&using, "use", use_now_and_then, &use, &f->e), &f->e);
    assert_ok(thread_start(&committing, "commit", commit_on, &r, &f->e), &f->e);
    pthread_join(committing, NULL);
    atomic_store(&use.done, true);
    pthread_join(using, NULL);
    if (r.failure || use.failure)
        fail_msg("%s", r.failure ? r.failure : use.failure);
    hold(f, "g");
    int64_t first = fetch(f, "g", 0), second = fetch(f, "g", 1);
    reopen(f);
    assert_int_equal(fetch(f, "g", 0), first);
    assert_int_equal(fetch(f, "g", 1), second);
}

/* ---- transactional ids ------------------------------------------------------------------------------------------------- */

static size_t count_ids(struct fixture *f)
{
    struct txn_info *list;
    size_t n;
    assert_ok(broker_txns(f->b, &list, &n, &f->e), &f->e);
    txn_infos_free(list, n);
    return n;
}

static int64_t init(struct fixture *f, const char *id, int16_t *epoch)
{
    int64_t producer;
    assert_ok(broker_init_producer(f->b, id, 900000, &producer, epoch, &f->e), &f->e);
    return producer;
}

static void test_ids_expire(void **state)
{
    struct fixture *f = *state;
    struct txn_partition part = {"t", 0};
    int16_t epoch, open_epoch;
    int64_t idle = init(f, "idle", &epoch), open = init(f, "open", &open_epoch);
    assert_ok(broker_txn_add_partitions(f->b, "open", open, open_epoch, &part, 1, &f->e), &f->e);
    pass(f, RETENTION - MARGIN);
    assert_int_equal(count_ids(f), 2);
    pass(f, 2 * MARGIN);
    assert_int_equal(count_ids(f), 1);
    assert_code(broker_txn_add_partitions(f->b, "idle", idle, epoch, &part, 1, &f->e),
                ERR_INVALID_PRODUCER_MAPPING, &f->e);
    struct produce_request r =
        make_request(f, "t", 0, "x", 0, 1, (struct batch_producer){idle, epoch, 0, true});
    assert_code(broker_produce(f->b, &r, 1, false, &f->e), ERR_INVALID_TXN_STATE, &f->e);
    reopen(f);
    assert_int_equal(count_ids(f), 1);
    assert_int_not_equal(init(f, "idle", &epoch), idle);
    assert_int_equal(epoch, 0);
    assert_ok(broker_txn_end(f->b, "open", open, open_epoch, true, &f->e), &f->e);
    pass(f, RETENTION - MARGIN);
    assert_int_equal(count_ids(f), 2);
    pass(f, 2 * MARGIN);
    assert_int_equal(count_ids(f), 0);
}

static void test_ids_in_use(void **state)
{
    struct fixture *f = *state;
    int16_t epoch;
    assert_code(broker_txn_hold(f->b, "x", &f->e), ERR_INVALID_PRODUCER_MAPPING, &f->e);
    int64_t id = init(f, "x", &epoch);
    assert_ok(broker_txn_hold(f->b, "x", &f->e), &f->e);
    pass(f, STEP);
    pass(f, STEP);
    assert_int_equal(count_ids(f), 1);
    broker_txn_release(f->b, "x");
    pass(f, RETENTION - MARGIN);
    assert_int_equal(count_ids(f), 1);
    int16_t next;
    assert_int_equal(init(f, "x", &next), id);
    assert_int_equal(next, epoch + 1);
    pass(f, STEP);
    assert_int_equal(count_ids(f), 0);
}

/* Commits that change nothing are written once an hour: after a start it may have been used until an hour later. */
static void test_ids_of_commits_after_a_start(void **state)
{
    struct fixture *f = *state;
    int16_t epoch;
    int64_t id = init(f, "x", &epoch);
    struct produce_request r =
        make_request(f, "t", 0, "x", 0, 1, (struct batch_producer){id, epoch, 0, true});
    assert_ok(broker_txn_commit_all(f->b, "x", id, epoch, &r, 1, &f->e), &f->e);
    reopen(f);
    for (int64_t left = HOUR + RETENTION - MARGIN; left > 0; left -= STEP)
        pass(f, left < STEP ? left : STEP);
    assert_int_equal(count_ids(f), 1);
    pass(f, 2 * MARGIN);
    assert_int_equal(count_ids(f), 0);
}

static void test_ids_fail_first(void **state)
{
    struct fixture *f = *state;
    int16_t epoch;
    int64_t id = init(f, "x", &epoch);
    fault_arm_at(FAULT_WRITE, TXN_TOPIC, 1, ENOSPC, true);
    pass(f, STEP);
    fault_disarm();
    assert_int_equal(count_ids(f), 1);
    mono += 60000;
    pass(f, 1000);
    assert_int_equal(count_ids(f), 0);
    assert_int_not_equal(init(f, "x", &epoch), id);
}

static void *init_on(void *arg)
{
    struct race *r = arg;
    struct err e;
    for (int i = 0; i < 100 && !r->failure; i++) {
        struct txn_partition part = {"t", 0};
        int64_t id;
        int16_t epoch;
        if (broker_init_producer(r->b, "x", 60000, &id, &epoch, &e) || id < 0 || epoch < 0)
            r->failure = "init";
        int rc = r->failure ? ERR_OK : broker_txn_add_partitions(r->b, "x", id, epoch, &part, 1, &e);
        if (!rc && !r->failure)
            rc = broker_txn_end(r->b, "x", id, epoch, i % 2, &e);
        if (rc && rc != ERR_INVALID_PRODUCER_MAPPING) /* forgotten between the two */
            r->failure = err_name(rc);
    }
    return NULL;
}

/* Ids are forgotten as soon as nobody touches them, beside others who begin with them. */
static void test_ids_beside_inits(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = options(f);
    struct race r = {0};
    pthread_t thread;
    o.no_threads = false;
    o.txn_id_expiration_ms = 1;
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    r.b = f->b;
    assert_ok(thread_start(&thread, "init", init_on, &r, &f->e), &f->e);
    pthread_join(thread, NULL);
    if (r.failure)
        fail_msg("%s", r.failure);
    struct waiter *w = waiter_new(f->b, &f->e);
    while (count_ids(f) > 0)
        waiter_wait(w, 5);
    waiter_free(w);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        T(test_offsets_expire),
        T(test_never),
        T(test_a_jump_of_the_clock),
        T(test_in_use),
        T(test_in_use_at_the_end),
        T(test_left_before_the_end),
        T(test_records_of_the_group),
        T(test_deleted_in_use),
        T(test_pending),
        T(test_many),
        T(test_fails_first),
        T(test_without_memory),
        cmocka_unit_test(test_group_values),
        T(test_beside_commits),
        T(test_ids_expire),
        T(test_ids_in_use),
        T(test_ids_of_commits_after_a_start),
        T(test_ids_fail_first),
        T(test_ids_beside_inits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
