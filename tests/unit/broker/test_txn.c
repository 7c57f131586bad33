/*
 * Transactions: commit, abort, fencing, timeout, offsets within, whole transactions in one call, and what of all that
 * a restart finds.
 */
#include "tests/unit/broker/helper.h"

#include <pthread.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct txn_producer {
    const char *id;
    int64_t producer;
    int16_t epoch;
    int32_t sequence;
};

static struct txn_producer init(struct fixture *f, const char *id, int32_t timeout_ms)
{
    struct txn_producer p = {.id = id};
    assert_ok(broker_init_producer(f->b, id, timeout_ms, &p.producer, &p.epoch, &f->e), &f->e);
    return p;
}

static int join(struct fixture *f, const struct txn_producer *p, const char *topic, int32_t partition)
{
    struct txn_partition part = {topic, partition};
    return broker_txn_add_partitions(f->b, p->id, p->producer, p->epoch, &part, 1, &f->e);
}

static struct batch_producer stamp(struct txn_producer *p, int n)
{
    struct batch_producer b = {p->producer, p->epoch, p->sequence, true};
    p->sequence += n;
    return b;
}

static int send(struct fixture *f, struct txn_producer *p, const char *topic, const char *prefix, int n)
{
    struct produce_request r = make_request(f, topic, 0, prefix, 0, n, stamp(p, n));
    return broker_produce(f->b, &r, 1, false, &f->e);
}

static int end(struct fixture *f, const struct txn_producer *p, bool commit)
{
    return broker_txn_end(f->b, p->id, p->producer, p->epoch, commit, &f->e);
}

static const char *state_of(struct fixture *f, const char *id)
{
    struct txn_info *list;
    size_t n;
    const char *found = "none";
    assert_ok(broker_txns(f->b, &list, &n, &f->e), &f->e);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].transactional_id, id) == 0)
            found = list[i].state;
    txn_infos_free(list, n);
    return found;
}

static void test_commit_and_abort(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    struct txn_producer p = init(f, "x", 60000);
    assert_int_equal(p.epoch, 0);
    assert_code(send(f, &p, "t", "early", 1), ERR_INVALID_TXN_STATE, &f->e);
    p.sequence = 0;
    assert_code(end(f, &p, true), ERR_INVALID_TXN_STATE, &f->e);
    assert_ok(join(f, &p, "t", 0), &f->e);
    assert_string_equal(state_of(f, "x"), "Ongoing");
    assert_ok(send(f, &p, "t", "a", 2), &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "");
    expect_all(f, "t", 0, READ_UNCOMMITTED, "a0,a1");
    assert_ok(end(f, &p, true), &f->e);
    assert_ok(end(f, &p, true), &f->e); /* asked again */
    assert_code(end(f, &p, false), ERR_INVALID_TXN_STATE, &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "a0,a1,<C>");
    assert_ok(join(f, &p, "t", 0), &f->e);
    assert_ok(send(f, &p, "t", "b", 1), &f->e);
    assert_ok(end(f, &p, false), &f->e);
    assert_string_equal(state_of(f, "x"), "CompleteAbort");
    for (int round = 0; round < 2; round++) {
        struct aborted_txn *aborted;
        size_t n;
        expect_all(f, "t", 0, READ_COMMITTED, "a0,a1,<C>,<A>");
        assert_ok(broker_aborted(f->b, "t", 0, 0, 100, &aborted, &n, &f->e), &f->e);
        assert_int_equal(n, 1);
        assert_int_equal(aborted[0].producer_id, p.producer);
        assert_int_equal(aborted[0].first_offset, 3);
        assert_int_equal(aborted[0].last_offset, 4);
        mem_free(aborted);
        fixture_restart(f);
        assert_string_equal(state_of(f, "x"), "CompleteAbort");
    }
}

static void test_unknown_partition(void **state)
{
    struct fixture *f = *state;
    struct txn_partition parts[] = {{"t", 0}, {"t", 1}};
    create(f, "t", 1);
    struct txn_producer p = init(f, "x", 60000);
    assert_code(broker_txn_add_partitions(f->b, "x", p.producer, p.epoch, parts, 2, &f->e), ERR_UNKNOWN_TOPIC,
                &f->e);
    assert_string_equal(state_of(f, "x"), "Empty");
    assert_code(broker_txn_add_partitions(f->b, "x", p.producer + 1, p.epoch, parts, 1, &f->e),
                ERR_INVALID_PRODUCER_MAPPING, &f->e);
    assert_code(broker_txn_add_partitions(f->b, "y", p.producer, p.epoch, parts, 1, &f->e),
                ERR_INVALID_PRODUCER_MAPPING, &f->e);
    assert_code(broker_init_producer(f->b, "x", 0, &p.producer, &p.epoch, &f->e), ERR_INVALID_TXN_TIMEOUT,
                &f->e);
    assert_code(broker_init_producer(f->b, "x", 900001, &p.producer, &p.epoch, &f->e),
                ERR_INVALID_TXN_TIMEOUT, &f->e);
    assert_code(broker_init_producer(f->b, "", 1, &p.producer, &p.epoch, &f->e), ERR_INVALID, &f->e);
}

static void test_fencing(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    struct txn_producer old = init(f, "x", 60000);
    assert_ok(join(f, &old, "t", 0), &f->e);
    assert_ok(send(f, &old, "t", "old", 1), &f->e);
    struct txn_producer fresh = init(f, "x", 60000);
    assert_int_equal(fresh.producer, old.producer);
    assert_int_equal(fresh.epoch, old.epoch + 2);
    assert_code(send(f, &old, "t", "zombie", 1), ERR_INVALID_PRODUCER_EPOCH, &f->e);
    assert_code(end(f, &old, true), ERR_PRODUCER_FENCED, &f->e);
    assert_code(join(f, &old, "t", 0), ERR_PRODUCER_FENCED, &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "<A>");
    assert_ok(join(f, &fresh, "t", 0), &f->e);
    assert_ok(send(f, &fresh, "t", "new", 1), &f->e);
    assert_ok(end(f, &fresh, true), &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "<A>,new0,<C>");
    struct txn_producer next = init(f, "x", 60000); /* nothing open */
    assert_int_equal(next.epoch, fresh.epoch + 1);
}

static void test_open_over_restart(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    struct txn_producer p = init(f, "x", 60000);
    assert_ok(join(f, &p, "t", 0), &f->e);
    assert_ok(send(f, &p, "t", "a", 1), &f->e);
    fixture_restart(f);
    assert_string_equal(state_of(f, "x"), "Ongoing");
    expect_all(f, "t", 0, READ_COMMITTED, "");
    assert_ok(send(f, &p, "t", "b", 1), &f->e);
    assert_ok(end(f, &p, true), &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "a0,b0,<C>");
}

static void test_timeout(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    struct waiter *w = waiter_new(f->b, &f->e);
    assert_ok(waiter_watch(w, "t", 0, &f->e), &f->e);
    struct txn_producer p = init(f, "x", 1);
    assert_ok(join(f, &p, "t", 0), &f->e);
    while (strcmp(state_of(f, "x"), "CompleteAbort") != 0) /* the marker rings the bell */
        waiter_wait(w, 100);
    assert_code(end(f, &p, true), ERR_PRODUCER_FENCED, &f->e);
    struct txn_producer next = init(f, "x", 60000);
    assert_true(next.epoch > p.epoch + 1);
    waiter_free(w);
}

static void test_timeout_after_restart(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    struct txn_producer p = init(f, "x", 60000);
    assert_ok(join(f, &p, "t", 0), &f->e);
    assert_ok(send(f, &p, "t", "a", 1), &f->e);
    fixture_restart(f);
    struct txn_producer next = init(f, "x", 60000);
    assert_int_equal(next.epoch, p.epoch + 2);
    expect_all(f, "t", 0, READ_COMMITTED, "<A>");
}

static void test_commit_all(void **state)
{
    struct fixture *f = *state;
    struct produce_request r[3];
    struct broker_stats before, after;
    create(f, "t", 2);
    create(f, "u", 1);
    struct txn_producer p = init(f, "x", 60000);
    int32_t u_sequence = 0;
    for (int round = 0; round < 2; round++) {
        buf_reset(&f->batch);
        f->batch.len = 0;
        assert_ok(buf_reserve(&f->batch, 1 << 16, &f->e), &f->e);
        size_t a = add_batch(f, "a", 10 * round, 1, stamp(&p, 1));
        size_t b = add_batch(f, "b", 10 * round, 1, stamp(&p, 1));
        size_t c =
            add_batch(f, "c", 10 * round, 2, (struct batch_producer){p.producer, p.epoch, u_sequence, true});
        u_sequence += 2;
        r[0] = (struct produce_request){.topic = "t", .data = f->batch.data, .bytes = a};
        r[1] = (struct produce_request){.topic = "t", .data = f->batch.data + a, .bytes = b};
        r[2] = (struct produce_request){.topic = "u", .data = f->batch.data + a + b, .bytes = c};
        broker_stats(f->b, &before);
        assert_ok(broker_txn_commit_all(f->b, "x", p.producer, p.epoch, r, 3, &f->e), &f->e);
        broker_stats(f->b, &after);
        assert_int_equal(after.syncs - before.syncs, 1);
        assert_int_equal(r[2].appended.base_offset, round * 3);
    }
    r[0].partition = 5;
    assert_code(broker_txn_commit_all(f->b, "x", p.producer, p.epoch, r, 3, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
    assert_code(broker_txn_commit_all(f->b, "x", p.producer, (int16_t)(p.epoch - 1), r, 3, &f->e),
                ERR_PRODUCER_FENCED, &f->e);
    for (int round = 0; round < 2; round++) {
        expect_all(f, "t", 0, READ_COMMITTED, "a0,b0,<C>,a10,b10,<C>");
        expect_all(f, "u", 0, READ_COMMITTED, "c0,c1,<C>,c10,c11,<C>");
        assert_string_equal(state_of(f, "x"), "CompleteCommit");
        fixture_restart(f);
    }
}

static int64_t fetch(struct fixture *f, const char *group)
{
    int64_t offset;
    assert_ok(broker_fetch_offset(f->b, group, "t", 0, &offset, &f->e), &f->e);
    return offset;
}

static int commit_offset(struct fixture *f, const struct txn_producer *p, const char *group, int64_t offset)
{
    struct group_offset o = {.topic = "t", .partition = 0, .offset = offset, .leader_epoch = -1};
    return broker_txn_commit_offsets(f->b, p->id, p->producer, p->epoch, group, &o, 1, &f->e);
}

/* The record written last counts, whichever commit ends last: what compaction keeps, and Kafka's rule. */
static void test_offsets_beside_a_transaction(void **state)
{
    struct fixture *f = *state;
    struct group_offset o = {.topic = "t", .partition = 0, .offset = 9, .leader_epoch = -1};
    create(f, "t", 1);
    struct txn_producer p = init(f, "x", 60000);
    assert_ok(commit_offset(f, &p, "g", 5), &f->e);
    assert_ok(broker_commit_offsets(f->b, "g", &o, 1, &f->e), &f->e);
    assert_ok(end(f, &p, true), &f->e);
    assert_int_equal(fetch(f, "g"), 9);
    fixture_restart(f);
    assert_int_equal(fetch(f, "g"), 9);
    assert_ok(commit_offset(f, &p, "g", 12), &f->e);
    assert_ok(end(f, &p, true), &f->e);
    assert_int_equal(fetch(f, "g"), 12);
    o.offset = 11; /* back, by a reset */
    assert_ok(broker_commit_offsets(f->b, "g", &o, 1, &f->e), &f->e);
    assert_int_equal(fetch(f, "g"), 11);
    fixture_restart(f);
    assert_int_equal(fetch(f, "g"), 11);
}

static void test_offsets_in_transaction(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    struct txn_producer p = init(f, "x", 60000);
    assert_ok(commit_offset(f, &p, "g", 5), &f->e);
    assert_ok(commit_offset(f, &p, "h", 15), &f->e);
    assert_int_equal(fetch(f, "g"), -1);
    assert_ok(end(f, &p, true), &f->e);
    assert_int_equal(fetch(f, "g"), 5);
    assert_int_equal(fetch(f, "h"), 15);
    assert_ok(commit_offset(f, &p, "g", 6), &f->e);
    assert_ok(end(f, &p, false), &f->e);
    assert_int_equal(fetch(f, "g"), 5);
    assert_ok(commit_offset(f, &p, "g", 7), &f->e);
    fixture_restart(f);
    assert_int_equal(fetch(f, "g"), 5);
    assert_ok(commit_offset(f, &p, "g", 8), &f->e);
    assert_ok(end(f, &p, true), &f->e);
    assert_int_equal(fetch(f, "g"), 8);
    assert_int_equal(fetch(f, "h"), 15);
    fixture_restart(f);
    assert_int_equal(fetch(f, "g"), 8);
    assert_int_equal(fetch(f, "h"), 15);
}

static void test_deleted_topic_in_transaction(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    create(f, "gone", 1);
    struct txn_producer p = init(f, "x", 60000);
    assert_ok(join(f, &p, "t", 0), &f->e);
    assert_ok(join(f, &p, "gone", 0), &f->e);
    assert_ok(send(f, &p, "t", "a", 1), &f->e);
    assert_ok(broker_delete_topic(f->b, "gone", &f->e), &f->e);
    assert_ok(end(f, &p, true), &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "a0,<C>");
}

/* A child dies with a transaction open in a page-cache topic whose coordinator's record did not get to the journal. */
static void test_killed_with_open_transaction(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    fixture_close(f);
    pid_t child = fork();
    if (child == 0) {
        if (try_open(f))
            _exit(1);
        struct txn_producer p = init(f, "x", 60000);
        if (join(f, &p, "t", 0) || send(f, &p, "t", "a", 1))
            _exit(2);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    fixture_open(f);
    assert_string_equal(state_of(f, "x"), "Ongoing");
    expect_all(f, "t", 0, READ_COMMITTED, "");
    struct txn_producer p = init(f, "x", 60000);
    expect_all(f, "t", 0, READ_COMMITTED, "<A>");
    assert_ok(join(f, &p, "t", 0), &f->e);
    assert_ok(send(f, &p, "t", "b", 1), &f->e);
    assert_ok(end(f, &p, true), &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "<A>,b0,<C>");
}

enum { INIT_THREADS = 4, INITS = 40 };

struct inits {
    struct fixture *f;
    int16_t epochs[INITS];
};

static void *init_often(void *arg)
{
    struct inits *in = arg;
    struct err e;
    for (int i = 0; i < INITS; i++) {
        int64_t id;
        assert_ok(broker_init_producer(in->f->b, "many", 60000, &id, &in->epochs[i], &e), &e);
    }
    return NULL;
}

/* Each of those who come at once gets an epoch of its own, or two of them would not fence each other. */
static void test_inits_at_once(void **state)
{
    struct inits in[INIT_THREADS];
    pthread_t threads[INIT_THREADS];
    bool taken[INIT_THREADS * INITS] = {false};
    for (int i = 0; i < INIT_THREADS; i++) {
        in[i].f = *state;
        assert_int_equal(pthread_create(&threads[i], NULL, init_often, &in[i]), 0);
    }
    for (int i = 0; i < INIT_THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < INIT_THREADS; i++)
        for (int k = 0; k < INITS; k++) {
            assert_in_range(in[i].epochs[k], 0, INIT_THREADS * INITS - 1);
            assert_false(taken[in[i].epochs[k]]);
            taken[in[i].epochs[k]] = true;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commit_and_abort, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_partition, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fencing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_over_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeout_after_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commit_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_offsets_in_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_offsets_beside_a_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleted_topic_in_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed_with_open_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inits_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
