/*
 * Transactions over two data directories: all or nothing in both, whatever a loss of power or a kill at any moment leaves,
 * and when one of the disks fails, or is full, in the middle of the end.
 */
#include "tests/unit/broker/disks.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/diag.h"
#include "broker/store.h"
#include "broker/transactions.h"
#include "broker/txn.h"
#include "tests/lib/power.h"

struct sender {
    int64_t producer;
    int16_t epoch;
    int32_t sequence[2];
};

static struct sender init_for(struct fixture *f, int32_t timeout_ms)
{
    struct sender s = {0};
    assert_ok(broker_init_producer(f->b, "x", timeout_ms, &s.producer, &s.epoch, &f->e), &f->e);
    return s;
}

static struct sender init(struct fixture *f)
{
    return init_for(f, 60000);
}

static int join_both(struct fixture *f, const struct sender *s)
{
    static const struct txn_partition parts[] = {{"t", 0}, {"t", 1}};
    return broker_txn_add_partitions(f->b, "x", s->producer, s->epoch, parts, 2, &f->e);
}

/* The same value for both partitions. */
static void make_both(struct fixture *f, struct sender *s, const char *prefix, int i,
                      struct produce_request r[2])
{
    size_t at[3] = {0};
    buf_reset(&f->batch);
    for (int p = 0; p < 2; p++) {
        struct batch_producer by = {s->producer, s->epoch, s->sequence[p]++, true};
        at[p + 1] = at[p] + add_batch(f, prefix, i, 1, by);
    }
    for (int p = 0; p < 2; p++)
        r[p] = (struct produce_request){
            .topic = "t", .partition = p, .data = f->batch.data + at[p], .bytes = at[p + 1] - at[p]};
}

static int send_both(struct fixture *f, struct sender *s, const char *prefix, int i)
{
    struct produce_request r[2];
    make_both(f, s, prefix, i, r);
    return broker_produce(f->b, r, 2, false, &f->e);
}

/* Staged and not waited for: ending the transaction does. */
struct flying {
    struct produce_request r[2];
    sem_t done;
    int code;
};

static void landed(void *arg, const struct err *e)
{
    struct flying *fl = arg;
    fl->code = e->code;
    sem_post(&fl->done);
}

static void launch_both(struct fixture *f, struct sender *s, const char *prefix, int i, struct flying *fl)
{
    assert_int_equal(sem_init(&fl->done, 0, 0), 0);
    make_both(f, s, prefix, i, fl->r);
    broker_produce_async(f->b, fl->r, 2, false, landed, fl);
}

static void await_both(struct flying *fl)
{
    while (sem_wait(&fl->done) != 0)
        ;
    assert_int_equal(fl->code, ERR_OK);
    sem_destroy(&fl->done);
}

/* A transaction in both that has sent "a0" to each. */
static struct sender begin_both(struct fixture *f)
{
    struct sender s = init(f);
    assert_ok(join_both(f, &s), &f->e);
    assert_ok(send_both(f, &s, "a", 0), &f->e);
    return s;
}

/* "t" in both directories of a broker whose every step is the test's. */
static void make_stepped(struct disks *d)
{
    fixture_close(&d->f);
    d->no_threads = true;
    assert_ok(disks_open_again(d), &d->f.e);
    create(&d->f, "t", 2);
}

static int commit_both(struct fixture *f, struct sender *s, const char *prefix, int i)
{
    struct produce_request r[2];
    make_both(f, s, prefix, i, r);
    return broker_txn_commit_all(f->b, "x", s->producer, s->epoch, r, 2, &f->e);
}

static int end(struct fixture *f, const struct sender *s, bool commit)
{
    return broker_txn_end(f->b, "x", s->producer, s->epoch, commit, &f->e);
}

static const char *state_of(struct fixture *f)
{
    struct txn_info *list;
    size_t n;
    assert_ok(broker_txns(f->b, &list, &n, &f->e), &f->e);
    const char *state = n ? list[0].state : "none";
    txn_infos_free(list, n);
    return state;
}

static void expect_both(struct fixture *f, enum isolation isolation, const char *want)
{
    expect_all(f, "t", 0, isolation, want);
    expect_all(f, "t", 1, isolation, want);
}

/* ---- as it should go ------------------------------------------------------------------------------------------------- */

static void test_commit_and_abort(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 2);
    struct sender s = begin_both(f);
    expect_both(f, READ_COMMITTED, "");
    assert_ok(end(f, &s, true), &f->e);
    assert_ok(end(f, &s, true), &f->e); /* asked again */
    assert_string_equal(state_of(f), "CompleteCommit");
    assert_ok(join_both(f, &s), &f->e);
    assert_ok(send_both(f, &s, "b", 0), &f->e);
    assert_ok(end(f, &s, false), &f->e);
    assert_string_equal(state_of(f), "CompleteAbort");
    assert_ok(commit_both(f, &s, "c", 0), &f->e);
    expect_both(f, READ_COMMITTED, "a0,<C>,<A>,c0,<C>");
    assert_ok(join_both(f, &s), &f->e);
    assert_ok(send_both(f, &s, "open", 0), &f->e);
    struct sender next = init(f); /* aborts it */
    assert_int_equal(next.epoch, s.epoch + 2);
    assert_code(send_both(f, &s, "late", 0), ERR_INVALID_PRODUCER_EPOCH, &f->e);
    expect_both(f, READ_COMMITTED, "a0,<C>,<A>,c0,<C>,<A>");
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    expect_both(f, READ_COMMITTED, "a0,<C>,<A>,c0,<C>,<A>");
}

static void test_offsets(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    struct group_offset o = {.topic = "t", .offset = 7, .leader_epoch = -1};
    int64_t stored;
    create(f, "t", 2);
    struct sender s = init(f);
    for (int commit = 0; commit < 2; commit++) {
        assert_ok(join_both(f, &s), &f->e);
        assert_ok(send_both(f, &s, "a", commit), &f->e);
        assert_ok(broker_txn_commit_offsets(f->b, "x", s.producer, s.epoch, "g", &o, 1, &f->e), &f->e);
        assert_ok(broker_fetch_offset(f->b, "g", "t", 0, &stored, &f->e), &f->e);
        assert_int_equal(stored, -1);
        assert_ok(end(f, &s, commit), &f->e);
    }
    for (int round = 0; round < 2; round++) {
        assert_ok(broker_fetch_offset(f->b, "g", "t", 0, &stored, &f->e), &f->e);
        assert_int_equal(stored, 7);
        disks_kill(d);
        assert_ok(disks_open_again(d), &f->e);
    }
}

/* One that let its time pass is aborted, and its producer fenced. */
static void test_timeout(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    make_stepped(d);
    struct sender s = begin_both(f);
    broker_step(f->b, clock_mono_ms() + 120000);
    assert_string_equal(state_of(f), "CompleteAbort");
    expect_both(f, READ_COMMITTED, "<A>");
    assert_code(end(f, &s, true), ERR_PRODUCER_FENCED, &f->e);
}

static int end_bumped(struct fixture *f, struct sender *s, bool commit)
{
    s->sequence[0] = s->sequence[1] = 0;
    return broker_txn_end_bumped(f->b, "x", s->producer, s->epoch, commit, &s->producer, &s->epoch, &f->e);
}

/* Of version 2 (KIP-890): the markers have the next epoch, and the last epoch's another producer id, whatever happens in between. */
static void test_version_2(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 2);
    struct sender s = begin_both(f), first = s;
    assert_ok(end_bumped(f, &s, true), &f->e);
    assert_int_equal(s.epoch, 1);
    struct sender again = first;
    assert_ok(end_bumped(f, &again, true), &f->e);
    assert_int_equal(again.epoch, 1);
    assert_code(send_both(f, &first, "late", 0), ERR_INVALID_PRODUCER_EPOCH, &f->e);
    struct txn *t = txn_find(f->b, "x");
    s.epoch = t->epoch = TXN_EPOCH_LAST;
    txn_put(t);
    assert_ok(join_both(f, &s), &f->e);
    assert_ok(send_both(f, &s, "b", 0), &f->e);
    char *journal = mem_printf("%s/journal/", d->second);
    fault_arm_at(FAULT_WRITE, journal, 1, EIO, true); /* the markers there */
    struct sender last = s;
    assert_ok(end_bumped(f, &s, true), &f->e);
    fault_disarm();
    mem_free(journal);
    assert_string_equal(state_of(f), "PrepareCommit");
    assert_int_equal(s.epoch, 0);
    assert_int_not_equal(s.producer, last.producer);
    assert_code(join_both(f, &s), ERR_CONCURRENT_TRANSACTIONS, &f->e); /* not: unknown */
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    assert_string_equal(state_of(f), "CompleteCommit");
    again = last;
    assert_ok(end_bumped(f, &again, true), &f->e);
    assert_int_equal(again.producer, s.producer);
    assert_int_equal(again.epoch, 0);
    assert_ok(join_both(f, &s), &f->e);
    assert_ok(send_both(f, &s, "c", 0), &f->e);
    assert_ok(end_bumped(f, &s, false), &f->e);
    assert_int_equal(s.epoch, 1);
    int32_t main_disk = disk_of(f, "t", 0) == 0 ? 0 : 1;
    expect_all(f, "t", main_disk, READ_COMMITTED,
               "a0,<C>,b0,<C>,<C>,<A>"); /* a start writes those of a prepared one anew */
    expect_all(f, "t", 1 - main_disk, READ_COMMITTED, "a0,<C>,b0,<C>,<A>");
}

/* ---- a disk fails, or is full, after the decision ---------------------------------------------------------------------- */

static void test_disk_fails_at_the_markers(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 2);
    int32_t bad = disk_of(f, "t", 0) == 1 ? 0 : 1;
    struct sender s = begin_both(f);
    char *journal = mem_printf("%s/journal/", d->second);
    fault_arm_at(FAULT_WRITE, journal, 1, EIO, true);
    assert_ok(end(f, &s, true), &f->e); /* decided, and the data is durable */
    fault_disarm();
    assert_string_equal(state_of(f), "PrepareCommit");
    expect_all(f, "t", 1 - bad, READ_COMMITTED, "a0,<C>");
    expect_all(f, "t", bad, READ_COMMITTED, "");
    assert_code(join_both(f, &s), ERR_CONCURRENT_TRANSACTIONS, &f->e);
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    assert_string_equal(state_of(f), "CompleteCommit");
    expect_all(f, "t", bad, READ_COMMITTED, "a0,<C>");
    s = init(f);
    assert_ok(commit_both(f, &s, "b", 0), &f->e);
    mem_free(journal);
}

static void test_full_at_the_markers(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    make_stepped(d);
    int32_t full = disk_of(f, "t", 0) == 1 ? 0 : 1;
    struct sender s = begin_both(f);
    char *logs = mem_printf("%s/logs/", d->second);
    fault_arm_at(FAULT_WRITE, logs, 1, ENOSPC, true);
    assert_ok(end(f, &s, true), &f->e);
    assert_string_equal(state_of(f), "PrepareCommit");
    broker_step(f->b, clock_mono_ms() + 5000);
    assert_string_equal(state_of(f), "PrepareCommit");
    fault_disarm();
    broker_step(f->b, clock_mono_ms() + 10000);
    assert_string_equal(state_of(f), "CompleteCommit");
    expect_all(f, "t", full, READ_COMMITTED, "a0,<C>");
    expect_all(f, "t", 1 - full, READ_COMMITTED, "a0,<C>"); /* not a second marker */
    mem_free(logs);
}

/* A log that fails by itself keeps the markers from no other partition of its disk. */
static void test_one_log_fails_at_the_markers(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    struct err why;
    struct partition *p;
    create(f, "t", 2);
    create(f, "main", 1);
    assert_int_equal(disk_of(f, "main", 0), 0);
    struct sender s = init(f);
    struct txn_partition part = {"main", 0};
    struct batch_producer by = {s.producer, s.epoch, 0, true};
    assert_ok(join_both(f, &s), &f->e);
    assert_ok(broker_txn_add_partitions(f->b, "x", s.producer, s.epoch, &part, 1, &f->e), &f->e);
    assert_ok(send_both(f, &s, "a", 0), &f->e);
    struct produce_request r = make_request(f, "main", 0, "m", 0, 1, by);
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    assert_ok(topic_acquire(f->b, "main", 0, &p, &f->e), &f->e);
    err_set(&why, ERR_IO, "so that it fails");
    log_fail(partition_log(p), &why);
    partition_release(&f->b->topics, p);
    assert_ok(end(f, &s, true), &f->e);
    assert_string_equal(state_of(f), "PrepareCommit");
    expect_both(f, READ_COMMITTED, "a0,<C>");
    expect_all(f, "main", 0, READ_COMMITTED, "");
    assert_code(join_both(f, &s), ERR_CONCURRENT_TRANSACTIONS, &f->e);
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    assert_string_equal(state_of(f), "CompleteCommit");
    expect_all(f, "main", 0, READ_COMMITTED, "m0,<C>");
    expect_both(f, READ_COMMITTED, "a0,<C>,<C>"); /* a start writes those of a prepared one anew */
}

static void open_one(struct fixture *f, const char *id, const char *topic)
{
    int64_t producer;
    int16_t epoch;
    struct txn_partition part = {topic, 0};
    assert_ok(broker_init_producer(f->b, id, 60000, &producer, &epoch, &f->e), &f->e);
    assert_ok(broker_txn_add_partitions(f->b, id, producer, epoch, &part, 1, &f->e), &f->e);
}

static int count_in_state(struct fixture *f, const char *state)
{
    struct txn_info *list;
    size_t n;
    int found = 0;
    assert_ok(broker_txns(f->b, &list, &n, &f->e), &f->e);
    for (size_t i = 0; i < n; i++)
        found += strcmp(list[i].state, state) == 0;
    txn_infos_free(list, n);
    return found;
}

/* One whose end waits for its disk does not keep the others, which let their time pass, from being aborted. */
static void test_one_that_cannot_end_keeps_no_other(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    char id[16];
    make_stepped(d);
    create(f, "main", 1);
    assert_int_equal(disk_of(f, "main", 0), 0);
    struct sender s = begin_both(f);
    char *logs = mem_printf("%s/logs/", d->second);
    fault_arm_at(FAULT_WRITE, logs, 1, ENOSPC, true);
    assert_ok(end(f, &s, true), &f->e);
    for (int i = 0; i < 8; i++) {
        snprintf(id, sizeof id, "y%d", i);
        open_one(f, id, "main");
    }
    broker_step(f->b, clock_mono_ms() + 120000);
    assert_int_equal(count_in_state(f, "CompleteAbort"), 8);
    assert_int_equal(count_in_state(f, "PrepareCommit"), 1);
    fault_arm_at(FAULT_WRITE, d->second, 1, EIO, true); /* and now the disk is lost */
    broker_step(f->b, clock_mono_ms() + 240000);
    open_one(f, "late", "main");
    broker_step(f->b, clock_mono_ms() + 480000);
    assert_int_equal(count_in_state(f, "CompleteAbort"), 9);
    fault_disarm();
    mem_free(logs);
}

/* Its time passes while its end is under way, in another thread: upkeep leaves it to that. */
static void test_overdue_while_it_ends(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    make_stepped(d);
    struct sender s = init(f);
    assert_ok(join_both(f, &s), &f->e);
    struct txn *t = txn_find(f->b, "x");
    t->ending = true;
    broker_step(f->b, clock_mono_ms() + 120000);
    assert_string_equal(state_of(f), "Ongoing");
    t->ending = false;
    broker_step(f->b, clock_mono_ms() + 240000);
    assert_string_equal(state_of(f), "CompleteAbort");
}

/* Found overdue, or in its way, was another one that has ended since: the next transaction is left alone. */
static void test_not_the_next_one(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    make_stepped(d);
    struct sender s = begin_both(f);
    struct txn *t = txn_find(f->b, "x");
    int64_t deadline = atomic_load(&t->deadline);
    assert_ok(txn_fence_spread(f->b, t, -1, deadline - 1, &f->e), &f->e);
    assert_ok(txn_fence_spread(f->b, t, s.epoch + 1, INT64_MAX, &f->e), &f->e);
    assert_string_equal(state_of(f), "Ongoing");
    assert_ok(end(f, &s, true), &f->e);
    assert_ok(join_both(f, &s), &f->e);
    assert_ok(txn_fence_spread(f->b, t, s.epoch, atomic_load(&t->deadline), &f->e), &f->e);
    assert_string_equal(state_of(f), "CompleteAbort");
    assert_code(end(f, &s, true), ERR_PRODUCER_FENCED, &f->e);
}

/* A whole transaction whose data does not fit on one disk: nothing of it is shown, its sequences are not used twice. */
static void test_data_refused(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 2);
    struct sender s = init(f);
    assert_ok(commit_both(f, &s, "a", 0), &f->e);
    char *logs = mem_printf("%s/logs/", d->second);
    fault_arm_at(FAULT_WRITE, logs, 1, ENOSPC, false);
    assert_code(commit_both(f, &s, "lost", 0), ERR_NO_SPACE, &f->e);
    fault_disarm();
    s.sequence[0]--, s.sequence[1]--; /* as the producer does when nothing was taken */
    assert_int_not_equal(commit_both(f, &s, "again", 0), ERR_OK);
    s = init(f);
    assert_ok(commit_both(f, &s, "b", 0), &f->e);
    for (int32_t p = 0; p < 2; p++) {
        struct buf out;
        read_all(f, "t", p, 0, READ_COMMITTED, &out);
        assert_null(strstr((char *)out.data, "lost"));
        assert_non_null(strstr((char *)out.data, "a0,<C>"));
        assert_non_null(strstr((char *)out.data, "b0,<C>"));
        buf_free(&out);
    }
    mem_free(logs);
}

/* Markers of page-cache topics count for flush.messages, and nobody holds the topic when the end is answered. */
static void test_page_cache_topic_takes_part(void **state)
{
    static const struct topic_config_entry config[] = {{"durability", "page-cache"}, {"flush.messages", "1"}};
    static const struct txn_partition parts[] = {{"t", 0}, {"t", 1}, {"loose", 0}, {"loose", 1}};
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 2);
    assert_ok(broker_create_topic(f->b, "loose", 2, config, 2, NULL, &f->e), &f->e);
    struct sender s = init(f);
    assert_ok(broker_txn_add_partitions(f->b, "x", s.producer, s.epoch, parts, 4, &f->e), &f->e);
    assert_ok(send_both(f, &s, "a", 0), &f->e);
    assert_ok(end(f, &s, true), &f->e);
    for (int32_t i = 0; i < 2; i++) {
        struct partition *p;
        assert_ok(topic_acquire(f->b, "loose", i, &p, &f->e), &f->e);
        assert_int_equal(log_end_offset(partition_log(p)), 1);
        assert_int_equal(log_recovery_point(partition_log(p)), 1);
        partition_release(&f->b->topics, p);
    }
    assert_ok(broker_delete_topic(f->b, "loose", &f->e), &f->e);
}

/* Every request says so. */
static void test_fenced_producer_is_told(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    struct produce_request r[2];
    create(f, "t", 2);
    struct sender s = init(f);
    init(f);
    make_both(f, &s, "a", 0, r);
    assert_code(broker_txn_commit_all(f->b, "x", s.producer, s.epoch, r, 2, &f->e), ERR_PRODUCER_FENCED,
                &f->e);
    for (int i = 0; i < 2; i++)
        assert_code(r[i].error.code, ERR_PRODUCER_FENCED, &r[i].error);
}

/* ---- power ---------------------------------------------------------------------------------------------------------------- */

enum { IMAGES = 400, ROUNDS = 2 };

struct cutter {
    struct power power;
    const char *base;
    atomic_int begun, acknowledged; /* committed transactions */
    int n;
    int sure[IMAGES], tried[IMAGES];
    bool luck_varies;
};

static void cut(void *arg)
{
    struct cutter *c = arg;
    char path[512];
    snprintf(path, sizeof path, "%s/image%d", c->base, c->n);
    c->sure[c->n] = atomic_load(&c->acknowledged);
    power_image(&c->power, c->power.root, path, c->luck_varies ? power_random(&c->power, 9) : 8);
    c->tried[c->n++] = atomic_load(&c->begun);
    if (c->n < IMAGES)
        c->power.cut_at = c->power.events + 1 + power_random(&c->power, 3);
}

static int open_below(struct fixture *f, const char *root, bool threads)
{
    char dirs[2][600];
    snprintf(dirs[0], sizeof dirs[0], "%s/a", root);
    snprintf(dirs[1], sizeof dirs[1], "%s/b", root);
    const char *others[] = {dirs[1]};
    struct broker_options o = {.data_dir = dirs[0],
                               .data_dirs = others,
                               .data_dir_count = 1,
                               .journal_file_bytes = 1 << 20,
                               .offsets_partitions = 1,
                               .txn_partitions = 1,
                               .no_threads = !threads};
    return broker_open(&f->b, &o, &f->e);
}

static void work(struct fixture *f, struct cutter *c)
{
    struct sender s = init_for(f, 900000); /* what a slow machine takes is no timeout */
    struct flying flying;
    for (int round = 0; round < ROUNDS; round++) {
        atomic_fetch_add(&c->begun, 1);
        assert_ok(commit_both(f, &s, "c", 2 * round), &f->e);
        atomic_fetch_add(&c->acknowledged, 1);
        assert_ok(join_both(f, &s), &f->e);
        assert_ok(send_both(f, &s, "bad", round), &f->e);
        assert_ok(end(f, &s, false), &f->e);
        assert_ok(join_both(f, &s), &f->e);
        launch_both(f, &s, "c", 2 * round + 1, &flying);
        atomic_fetch_add(&c->begun, 1);
        assert_ok(end(f, &s, true), &f->e);
        atomic_fetch_add(&c->acknowledged, 1);
        await_both(&flying);
    }
}

struct values {
    int n;
    bool bad;
};

static void take_value(void *arg, const struct batch_header *h, const struct record *r)
{
    struct values *v = arg;
    char want[16];
    if (h->attributes & BATCH_CONTROL)
        return;
    int n = snprintf(want, sizeof want, "c%d", v->n++);
    v->bad = v->bad || r->value_len != n || memcmp(r->value, want, (size_t)n) != 0;
}

/* Committed values 0, 1, ... without a gap, the same in both; those that were acknowledged among them. */
static void expect_image(struct fixture *f, const struct cutter *c, int i)
{
    struct values v[2] = {{0}};
    for (int32_t p = 0; p < 2; p++) {
        struct partition_info info = partition_of(f, "t", p);
        assert_int_equal(info.last_stable_offset, info.high_watermark); /* nothing is left open */
        each_record(f, "t", p, 0, READ_COMMITTED, take_value, &v[p]);
        assert_false(v[p].bad);
    }
    if (v[0].n != v[1].n || v[0].n < c->sure[i] || v[0].n > c->tried[i])
        fail_msg("image %d: %d and %d committed, %d acknowledged, %d tried", i, v[0].n, v[1].n, c->sure[i],
                 c->tried[i]);
}

static void check_images(struct fixture *f, const struct cutter *c)
{
    char path[512];
    for (int i = 0; i < c->n; i++) {
        snprintf(path, sizeof path, "%s/image%d", c->base, i);
        f->b = NULL;
        if (open_below(f, path, true))
            fail_msg("image %d: %s", i, f->e.text);
        struct sender s = init(f); /* aborts what was open */
        expect_image(f, c, i);
        assert_ok(commit_both(f, &s, "more", i), &f->e);
        fixture_close(f);
        assert_ok(io_remove_tree(path, &f->e), &f->e);
    }
}

static void cut_everywhere(unsigned seed, bool luck_varies, bool threads)
{
    char *base = testkit_dir(), data[512];
    struct fixture f = {0};
    static struct cutter c;
    memset(&c, 0, sizeof c);
    c.base = base;
    c.luck_varies = luck_varies;
    snprintf(data, sizeof data, "%s/data", base);
    buf_init(&f.batch, 1 << 20);
    assert_ok(open_below(&f, data, threads), &f.e);
    create(&f, "t", 2);
    assert_int_not_equal(disk_of(&f, "t", 0), disk_of(&f, "t", 1));
    fixture_close(&f);
    power_start(&c.power, data, seed, cut, &c);
    assert_ok(open_below(&f, data, threads), &f.e);
    pthread_mutex_lock(&c.power.lock);
    c.power.cut_at = c.power.events + 1;
    pthread_mutex_unlock(&c.power.lock);
    work(&f, &c);
    power_stop(&c.power);
    fixture_close(&f);
    assert_in_range(c.n, 30, IMAGES - 1);
    check_images(&f, &c);
    buf_free(&f.batch);
    testkit_remove_dir(base);
}

static void test_kill_anywhere(void **state)
{
    (void)state;
    cut_everywhere(1, false, true);
}

static void test_power_loss_anywhere(void **state)
{
    (void)state;
    cut_everywhere(11, true, true);
    cut_everywhere(12, true, false); /* what nobody waits for stays unwritten as long as it can */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commit_and_abort, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_offsets, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_version_2, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_timeout, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_disk_fails_at_the_markers, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_one_log_fails_at_the_markers, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_full_at_the_markers, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_one_that_cannot_end_keeps_no_other, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_overdue_while_it_ends, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_not_the_next_one, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_data_refused, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_page_cache_topic_takes_part, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_fenced_producer_is_told, disks_setup, disks_teardown),
        cmocka_unit_test(test_kill_anywhere),
        cmocka_unit_test(test_power_loss_anywhere),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
