/*
 * What Kafka's clients ask of transactions: version 2 (KIP-890), producers that come with what they were (KIP-360), markers by hand
 * (KIP-664); and what of all that a restart finds.
 */
#include "tests/unit/broker/helper.h"

#include "base/hash.h"
#include "broker/store.h"
#include "broker/transactions.h"
#include "broker/txn.h"

struct client {
    int64_t producer;
    int16_t epoch;
};

static int claim_as(struct fixture *f, const struct client *was, struct client *is)
{
    struct producer_claim claim = {60000, was->producer, was->epoch};
    return broker_claim_producer(f->b, "x", &claim, &is->producer, &is->epoch, &f->e);
}

static struct client claim(struct fixture *f)
{
    struct client nobody = {-1, -1}, c;
    assert_ok(claim_as(f, &nobody, &c), &f->e);
    return c;
}

static int join(struct fixture *f, const struct client *c, int32_t partition)
{
    struct txn_partition part = {"t", partition};
    return broker_txn_join(f->b, "x", c->producer, c->epoch, &part, 1, &f->e);
}

static int send(struct fixture *f, const struct client *c, int32_t sequence, const char *value)
{
    struct batch_producer by = {c->producer, c->epoch, sequence, true};
    struct produce_request r = make_request(f, "t", 0, value, sequence, 1, by);
    r.transactional_id = "x";
    r.txn_joined = true;
    int rc = join(f, c, 0);
    return rc ? rc : broker_produce(f->b, &r, 1, false, &f->e);
}

static int end(struct fixture *f, const struct client *c, bool commit, struct client *next)
{
    return broker_txn_end_bumped(f->b, "x", c->producer, c->epoch, commit, &next->producer, &next->epoch,
                                 &f->e);
}

static void assert_is(const struct client *c, int64_t producer, int epoch)
{
    assert_int_equal(c->producer, producer);
    assert_int_equal(c->epoch, epoch);
}

static const char *state_of(struct fixture *f)
{
    struct txn_info *t;
    assert_ok(broker_txn(f->b, "x", &t, &f->e), &f->e);
    const char *state = t->state;
    txn_infos_free(t, 1);
    return state;
}

/* As if so many transactions had been. */
static void age(struct fixture *f, struct client *c, int16_t epoch)
{
    struct txn *t = txn_find(f->b, "x");
    pthread_mutex_lock(&t->lock);
    c->epoch = t->epoch = epoch;
    pthread_mutex_unlock(&t->lock);
    txn_put(t);
}

static void each_end_has_an_epoch_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct client next;
    create(f, "t", 2);
    struct client c = claim(f), first = c;
    assert_is(&c, c.producer, 0);
    assert_ok(send(f, &c, 0, "a"), &f->e);
    assert_ok(end(f, &c, true, &c), &f->e);
    assert_is(&c, first.producer, 1);
    for (int round = 0; round < 2; round++) {
        assert_code(send(f, &first, 1, "late"), ERR_PRODUCER_FENCED, &f->e);
        assert_ok(end(f, &first, true, &next), &f->e); /* asked again */
        assert_is(&next, first.producer, 1);
        assert_code(end(f, &first, false, &next), ERR_INVALID_TXN_STATE, &f->e);
        assert_is(&next, -1, -1);
        assert_code(end(f, &c, true, &next), ERR_INVALID_TXN_STATE, &f->e); /* of nothing */
        fixture_restart(f);
    }
    assert_ok(send(f, &c, 0, "b"), &f->e);
    assert_code(end(f, &first, true, &next), ERR_PRODUCER_FENCED, &f->e);
    assert_code(send(f, &first, 1, "late"), ERR_PRODUCER_FENCED, &f->e);
    fixture_restart(f);
    assert_ok(end(f, &c, false, &c), &f->e);
    assert_is(&c, first.producer, 2);
    assert_ok(end(f, &c, false, &c), &f->e); /* nothing may be aborted */
    assert_is(&c, first.producer, 3);
    assert_string_equal(state_of(f), "CompleteAbort");
    expect_all(f, "t", 0, READ_COMMITTED, "a0,<C>,<A>");
}

static void a_batch_in_the_middle_of_nothing_is_refused(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    struct client c = claim(f);
    assert_code(send(f, &c, 3, "a"), ERR_OUT_OF_ORDER_SEQUENCE, &f->e);
    assert_ok(send(f, &c, 0, "a"), &f->e);
}

static void used_up_epochs_bring_another_id(void **state)
{
    struct fixture *f = *state;
    struct client next;
    create(f, "t", 1);
    struct client c = claim(f), last;
    age(f, &c, TXN_EPOCH_LAST);
    assert_ok(send(f, &c, 0, "a"), &f->e);
    last = c;
    assert_ok(end(f, &c, true, &c), &f->e);
    assert_int_equal(c.epoch, 0);
    assert_int_not_equal(c.producer, last.producer);
    for (int round = 0; round < 2; round++) {
        assert_ok(end(f, &last, true, &next), &f->e); /* asked again */
        assert_is(&next, c.producer, 0);
        assert_code(send(f, &last, 1, "late"), ERR_INVALID_PRODUCER_MAPPING, &f->e);
        fixture_restart(f);
    }
    assert_ok(send(f, &c, 0, "b"), &f->e);
    assert_code(end(f, &last, true, &next), ERR_PRODUCER_FENCED, &f->e);
    assert_ok(end(f, &c, true, &c), &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "a0,<C>,b0,<C>");
}

static void a_producer_goes_on_as_its_own_successor(void **state)
{
    struct fixture *f = *state;
    struct client is, other;
    struct client c = claim(f);
    assert_ok(claim_as(f, &c, &is), &f->e);
    assert_is(&is, c.producer, 1);
    assert_ok(claim_as(f, &c, &is), &f->e); /* asked again */
    assert_is(&is, c.producer, 1);
    other = (struct client){c.producer + 1000, 1};
    assert_code(claim_as(f, &other, &other), ERR_PRODUCER_FENCED, &f->e);
    struct client now = claim(f); /* somebody else */
    assert_is(&now, c.producer, 2);
    assert_code(claim_as(f, &is, &other), ERR_PRODUCER_FENCED, &f->e);
    age(f, &now, TXN_EPOCH_LAST);
    assert_ok(claim_as(f, &now, &is), &f->e);
    assert_int_equal(is.epoch, 0);
    assert_int_not_equal(is.producer, c.producer);
    assert_ok(claim_as(f, &now, &other), &f->e); /* asked again */
    assert_is(&other, is.producer, 0);
}

static void what_is_open_is_aborted_first(void **state)
{
    struct fixture *f = *state;
    struct client nobody = {-1, -1}, is;
    create(f, "t", 1);
    struct client c = claim(f);
    assert_ok(send(f, &c, 0, "a"), &f->e);
    assert_code(claim_as(f, &nobody, &is), ERR_CONCURRENT_TRANSACTIONS, &f->e);
    assert_is(&is, -1, -1);
    assert_string_equal(state_of(f), "CompleteAbort");
    assert_ok(claim_as(f, &nobody, &is), &f->e);
    assert_is(&is, c.producer, 2);
    assert_code(send(f, &c, 1, "late"), ERR_PRODUCER_FENCED, &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "<A>");
    struct producer_claim too_long = {900001, -1, -1};
    assert_code(broker_claim_producer(f->b, "x", &too_long, &is.producer, &is.epoch, &f->e),
                ERR_INVALID_TXN_TIMEOUT, &f->e);
}

static void both_versions_in_turn(void **state)
{
    struct fixture *f = *state;
    struct txn_partition part = {"t", 0};
    create(f, "t", 1);
    struct client c = claim(f);
    assert_ok(broker_txn_add_partitions(f->b, "x", c.producer, c.epoch, &part, 1, &f->e), &f->e);
    assert_ok(send(f, &c, 0, "a"), &f->e);
    assert_ok(broker_txn_end(f->b, "x", c.producer, c.epoch, true, &f->e), &f->e);
    assert_ok(send(f, &c, 1, "b"), &f->e);
    assert_ok(end(f, &c, true, &c), &f->e);
    assert_ok(send(f, &c, 0, "c"), &f->e);
    assert_ok(broker_txn_end(f->b, "x", c.producer, c.epoch, false, &f->e), &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "a0,<C>,b1,<C>,<A>");
}

/* ---- markers by hand ---- */

static int mark(struct fixture *f, const struct client *c, const char *topic, bool commit)
{
    int32_t partitions;
    int64_t most;
    struct marker_target target = {.topic = topic};
    if (strcmp(topic, "__consumer_offsets") == 0) {
        assert_ok(broker_topic_limits(f->b, topic, &partitions, &most, &f->e), &f->e);
        target.partition = kafka_coordinator_partition("g", partitions);
    }
    struct marker_request q = {
        .producer_id = c->producer, .epoch = c->epoch, .commit = commit, .targets = &target, .n = 1};
    broker_write_markers(f->b, &q);
    f->e = target.error;
    return target.error.code;
}

static void a_marker_by_hand_ends_it_there(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    struct client c = claim(f);
    assert_ok(send(f, &c, 0, "a"), &f->e);
    assert_code(mark(f, &c, "nowhere", false), ERR_UNKNOWN_TOPIC, &f->e);
    assert_ok(mark(f, &c, "t", false), &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "<A>");
    assert_string_equal(state_of(f), "Ongoing");
    assert_ok(send(f, &c, 1, "b"), &f->e);
    assert_ok(end(f, &c, true, &c), &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "<A>,b1,<C>");
    struct client ahead = {c.producer, 1000};
    assert_ok(mark(f, &ahead, "t", false), &f->e); /* far ahead of its coordinator */
    assert_code(send(f, &c, 0, "c"), ERR_INVALID_PRODUCER_EPOCH, &f->e);
    assert_ok(end(f, &c, false, &c), &f->e); /* which can end it all the same */
    struct client odd = {-1, 0};
    assert_code(mark(f, &odd, "t", false), ERR_INTERNAL, &f->e);
}

static int64_t offset_of(struct fixture *f, const char *group)
{
    int64_t offset;
    assert_ok(broker_fetch_offset(f->b, group, "t", 0, &offset, &f->e), &f->e);
    return offset;
}

/* Its marker decides over the offsets of its partition, now as at the next start. */
static void a_marker_by_hand_settles_offsets(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    for (int commit = 0; commit < 2; commit++) {
        struct client c = claim(f);
        struct group_offset o = {.topic = "t", .offset = 5 + commit, .leader_epoch = -1};
        assert_ok(broker_txn_commit_offsets(f->b, "x", c.producer, c.epoch, "g", &o, 1, &f->e), &f->e);
        assert_ok(mark(f, &c, "__consumer_offsets", commit), &f->e);
        assert_int_equal(offset_of(f, "g"), commit ? 6 : -1);
        assert_ok(end(f, &c, !commit, &c), &f->e);
        assert_int_equal(offset_of(f, "g"), commit ? 6 : -1);
        fixture_restart(f);
        assert_int_equal(offset_of(f, "g"), commit ? 6 : -1);
    }
}

static void offsets_whose_partition_was_not_added(void **state)
{
    struct fixture *f = *state;
    struct group_offset o = {.topic = "t", .offset = 5, .leader_epoch = -1};
    create(f, "t", 1);
    struct client c = claim(f);
    assert_code(broker_txn_commit_added_offsets(f->b, "x", c.producer, c.epoch, "g", &o, 1, &f->e),
                ERR_INVALID_TXN_STATE, &f->e);
    assert_ok(send(f, &c, 0, "a"), &f->e);
    assert_code(broker_txn_commit_added_offsets(f->b, "x", c.producer, c.epoch, "g", &o, 1, &f->e),
                ERR_INVALID_TXN_STATE, &f->e);
    assert_ok(broker_txn_add_offsets(f->b, "x", c.producer, c.epoch, "g", &f->e), &f->e);
    assert_ok(broker_txn_commit_added_offsets(f->b, "x", c.producer, c.epoch, "g", &o, 1, &f->e), &f->e);
    assert_ok(end(f, &c, true, &c), &f->e);
    assert_int_equal(offset_of(f, "g"), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_end_has_an_epoch_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_in_the_middle_of_nothing_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(used_up_epochs_bring_another_id, setup, teardown),
        cmocka_unit_test_setup_teardown(a_producer_goes_on_as_its_own_successor, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_open_is_aborted_first, setup, teardown),
        cmocka_unit_test_setup_teardown(both_versions_in_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(a_marker_by_hand_ends_it_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_marker_by_hand_settles_offsets, setup, teardown),
        cmocka_unit_test_setup_teardown(offsets_whose_partition_was_not_added, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
