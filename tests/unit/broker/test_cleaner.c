/*
 * The cleaner in the broker: what it cleans and when, its checkpoint, what a kill leaves, logs that cannot be cleaned, and
 * that nobody has to wait for it.
 */
#include "tests/unit/broker/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/thread.h"

enum { KEYS = 7, VALUE = 60000 };

static const struct topic_config_entry compacted[] = {{"cleanup.policy", "compact"},
                                                      {"segment.bytes", "1048576"}};

static struct broker_options options(struct fixture *f)
{
    return (struct broker_options){.data_dir = f->dir,
                                   .journal_file_bytes = 64 << 20,
                                   .cleaner_backoff_ms = 1,
                                   .offsets_partitions = 1,
                                   .txn_partitions = 1,
                                   .offsets_segment_bytes = 1 << 20,
                                   .txn_segment_bytes = 1 << 20};
}

static void reopen(struct fixture *f, const struct broker_options *o)
{
    if (f->b)
        fixture_close(f);
    assert_ok(broker_open(&f->b, o, &f->e), &f->e);
}

/* A broker without threads: the cleaner works in broker_step. */
static void reopen_stepped(struct fixture *f)
{
    struct broker_options o = options(f);
    o.no_threads = true;
    reopen(f, &o);
}

static int try_put(struct fixture *f, const char *topic, int key, int n, bool built_here)
{
    static _Thread_local char value[VALUE];
    char name[32];
    struct batch_options o = {.level = CODEC_LEVEL_DEFAULT};
    struct batch_producer none = BATCH_NO_PRODUCER;
    struct batch_builder *b = batch_builder_new(&o, &f->e);
    struct produce_request r = {.topic = topic, .built_here = built_here};
    uint8_t *data;
    size_t key_len = (size_t)snprintf(name, sizeof name, "k%d", key);
    snprintf(value, sizeof value, "%d", n);
    assert_ok(batch_builder_add(b, clock_wall_ms(), key < 0 ? NULL : name, key_len, n < 0 ? NULL : value,
                                VALUE, NULL, 0, &f->e),
              &f->e);
    assert_ok(batch_builder_finish(b, &none, &data, &r.bytes, &f->e), &f->e);
    r.data = data;
    int rc = broker_produce(f->b, &r, 1, false, &f->e);
    batch_builder_free(b);
    return rc;
}

/* Records 0 .. n-1, key i modulo KEYS, value i. */
static void put_many(struct fixture *f, const char *topic, int n)
{
    for (int i = 0; i < n; i++)
        assert_ok(try_put(f, topic, i % KEYS, i, false), &f->e);
}

struct seen {
    int count, last[KEYS]; /* of values; -1: none, -2: a tombstone */
};

static struct seen read_back(struct fixture *f, const char *topic)
{
    struct seen s = {0};
    struct buf data;
    int64_t at, ts;
    buf_init(&data, 256 << 20);
    memset(s.last, 0xff, sizeof s.last);
    assert_ok(broker_list_offset(f->b, topic, 0, -2, READ_COMMITTED, &at, &ts, &f->e), &f->e);
    for (;;) {
        struct log_range r;
        assert_ok(broker_locate(f->b, topic, 0, at, 1 << 20, READ_COMMITTED, &r, &f->e), &f->e);
        buf_reset(&data);
        assert_ok(buf_reserve(&data, r.bytes + 1, &f->e), &f->e);
        assert_ok(log_range_read(&r, 0, data.data, r.bytes, &f->e), &f->e);
        for (size_t i = 0; i < r.bytes;) {
            struct batch_iter it;
            struct record rec;
            assert_ok(batch_iter_init(&it, data.data + i, r.bytes - i, NULL, &f->e), &f->e);
            while (batch_iter_next(&it, &rec, &f->e) == ERR_OK) {
                s.count++;
                s.last[rec.key[1] - '0'] = rec.value ? atoi((const char *)rec.value) : -2;
            }
            i += batch_size(&it.header);
        }
        bool end = r.bytes == 0;
        at = r.next_offset;
        log_range_release(&r);
        if (end)
            break;
    }
    buf_free(&data);
    return s;
}

static void expect_last(const struct seen *s, int n)
{
    for (int i = n - KEYS; i < n; i++)
        assert_int_equal(s->last[i % KEYS], i);
}

static struct broker_stats stats(struct fixture *f)
{
    struct broker_stats s;
    broker_stats(f->b, &s);
    return s;
}

static void step(struct fixture *f, int64_t ms)
{
    static int64_t passed;
    passed += ms;
    broker_step(f->b, clock_mono_ms() + passed);
}

/* ---- what and when -------------------------------------------------------------------------------------------------- */

static void wait_for_passes(struct fixture *f, uint64_t n)
{
    struct waiter *w = waiter_new(f->b, &f->e);
    while (stats(f).cleaner_passes < n)
        waiter_wait(w, 5);
    waiter_free(w);
}

static void test_the_thread_cleans(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = options(f);
    reopen(f, &o);
    assert_ok(broker_create_topic(f->b, "t", 1, compacted, 2, NULL, &f->e), &f->e);
    put_many(f, "t", 100);
    wait_for_passes(f, 1);
    struct broker_stats s = stats(f);
    assert_true(s.cleaner_bytes_freed > 0);
    assert_true(s.cleaner_bytes_read > s.cleaner_bytes_written);
    assert_int_equal(s.uncleanable_partitions, 0);
    struct seen seen = read_back(f, "t");
    expect_last(&seen, 100);
    fixture_close(f);
    char path[600], *text;
    size_t n;
    long long offset;
    snprintf(path, sizeof path, "%s/logs/cleaner-offset-checkpoint", f->dir);
    assert_ok(io_read_file(path, 1 << 20, &text, &n, &f->e), &f->e);
    assert_int_equal(sscanf(text, "0\n1\nt 0 %lld\n", &offset), 1); /* Kafka's format */
    assert_true(offset > 0 && offset <= 100);
    mem_free(text);
    reopen(f, &o);
    seen = read_back(f, "t");
    expect_last(&seen, 100);
}

/* By the dirty ratio, from where the last pass ended, also over a restart; several logs, the dirtiest first. */
static void test_ratio(void **state)
{
    struct fixture *f = *state;
    const struct topic_config_entry config[] = {
        {"cleanup.policy", "compact"}, {"segment.bytes", "1048576"}, {"min.cleanable.dirty.ratio", "0.9"}};
    reopen_stepped(f);
    assert_ok(broker_create_topic(f->b, "t", 1, config, 3, NULL, &f->e), &f->e);
    put_many(f, "t", 60);
    step(f, 10);
    assert_int_equal(stats(f).cleaner_passes, 1);
    struct seen s = read_back(f, "t");
    assert_true(s.count < 30);
    expect_last(&s, 60);
    step(f, 10);
    assert_int_equal(stats(f).cleaner_passes, 1); /* nothing new */
    put_many(f, "t", 10);                         /* too little */
    step(f, 10);
    assert_int_equal(stats(f).cleaner_passes, 1);
    reopen_stepped(f);
    step(f, 10);
    assert_int_equal(stats(f).cleaner_passes, 0);
    const struct topic_config_entry any = {"min.cleanable.dirty.ratio", "0.01"};
    put_many(f, "t", 20);
    assert_ok(broker_alter_topic(f->b, "t", &any, 1, &f->e), &f->e);
    step(f, 10);
    assert_int_equal(stats(f).cleaner_passes, 1);
    s = read_back(f, "t");
    expect_last(&s, 20);
}

/* Tombstones go delete.retention.ms after they were cleaned first; both policies can be had. */
static void test_tombstones(void **state)
{
    struct fixture *f = *state;
    const struct topic_config_entry config[] = {{"cleanup.policy", "compact, delete"},
                                                {"segment.bytes", "1048576"},
                                                {"min.cleanable.dirty.ratio", "0"},
                                                {"delete.retention.ms", "5000"}};
    reopen_stepped(f);
    assert_ok(broker_create_topic(f->b, "t", 1, config, 4, NULL, &f->e), &f->e);
    assert_ok(try_put(f, "t", 6, 1, false), &f->e);
    assert_ok(try_put(f, "t", 6, -1, false), &f->e);
    for (int i = 0; i < 40; i++)
        assert_ok(try_put(f, "t", i % 3, i, false), &f->e);
    step(f, 10);
    assert_int_equal(read_back(f, "t").last[6], -2);
    clock_shift_wall(6000);
    for (int i = 0; i < 40; i++)
        assert_ok(try_put(f, "t", i % 3, i, false), &f->e);
    step(f, 10);
    clock_shift_wall(0);
    assert_int_equal(stats(f).cleaner_passes, 2);
    assert_int_equal(read_back(f, "t").last[6], -1);
}

/* Younger than min.compaction.lag.ms stays; older than max.compaction.lag.ms is cleaned however little it is. */
static void test_lags(void **state)
{
    struct fixture *f = *state;
    const struct topic_config_entry young[] = {
        {"cleanup.policy", "compact"}, {"segment.bytes", "1048576"}, {"min.compaction.lag.ms", "100000"}};
    const struct topic_config_entry old[] = {{"cleanup.policy", "compact"},
                                             {"segment.bytes", "1048576"},
                                             {"min.cleanable.dirty.ratio", "1"},
                                             {"max.compaction.lag.ms", "1000000"}};
    reopen_stepped(f);
    assert_ok(broker_create_topic(f->b, "young", 1, young, 3, NULL, &f->e), &f->e);
    assert_ok(broker_create_topic(f->b, "old", 1, old, 4, NULL, &f->e), &f->e);
    put_many(f, "young", 50);
    put_many(f, "old", 50);
    step(f, 10);
    assert_int_equal(stats(f).cleaner_passes, 0);
    clock_shift_wall(200000);
    step(f, 10);
    assert_int_equal(stats(f).cleaner_passes, 1);
    assert_true(read_back(f, "young").count < 50);
    assert_int_equal(read_back(f, "old").count, 50);
    clock_shift_wall(2000000);
    step(f, 10);
    clock_shift_wall(0);
    assert_int_equal(stats(f).cleaner_passes, 2);
    assert_true(read_back(f, "old").count < 50);
}

static void test_records_need_keys(void **state)
{
    struct fixture *f = *state;
    assert_ok(broker_create_topic(f->b, "t", 1, compacted, 2, NULL, &f->e), &f->e);
    assert_code(try_put(f, "t", -1, 1, false), ERR_INVALID_RECORD, &f->e);
    assert_code(try_put(f, "t", -1, 1, true), ERR_INVALID_RECORD, &f->e);
    assert_non_null(strstr(f->e.text, "key"));
    assert_ok(try_put(f, "t", 1, 1, true), &f->e);
    const struct topic_config_entry keep = {"cleanup.policy", "delete"};
    assert_ok(broker_alter_topic(f->b, "t", &keep, 1, &f->e), &f->e);
    assert_ok(try_put(f, "t", -1, 1, false), &f->e);
}

/* ---- internal topics ----------------------------------------------------------------------------------------------- */

static int64_t size_of(struct fixture *f, const char *topic)
{
    struct topic_info t;
    assert_ok(broker_topic(f->b, topic, &t, &f->e), &f->e);
    int64_t size = t.partitions[0].size;
    topic_info_free(&t);
    return size;
}

static void test_committed_offsets(void **state)
{
    struct fixture *f = *state;
    char metadata[4001];
    memset(metadata, 'm', 4000);
    metadata[4000] = 0;
    reopen_stepped(f);
    create(f, "t", 1);
    for (int i = 0; i < 800; i++) { /* 3 MB in segments of 1 MB */
        char group[32];
        snprintf(group, sizeof group, "group-%d", i % 3);
        struct group_offset o = {.topic = "t", .offset = i, .leader_epoch = -1, .metadata = metadata};
        assert_ok(broker_commit_offsets(f->b, group, &o, 1, &f->e), &f->e);
    }
    assert_true(size_of(f, "__consumer_offsets") > 3000000);
    step(f, 10);
    assert_int_equal(stats(f).cleaner_passes, 1);
    assert_true(size_of(f, "__consumer_offsets") < 1200000);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            char group[32];
            int64_t offset;
            snprintf(group, sizeof group, "group-%d", i);
            assert_ok(broker_fetch_offset(f->b, group, "t", 0, &offset, &f->e), &f->e);
            assert_int_equal(offset, 797 + (i + 1) % 3);
        }
        reopen_stepped(f);
    }
}

/* The coordinator finds its producers, and the next epoch, in what compaction left. */
static void test_transactions(void **state)
{
    struct fixture *f = *state;
    int64_t id, again;
    int16_t epoch;
    char name[1500];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    reopen_stepped(f);
    create(f, "t", 1);
    for (int i = 0; i < 900; i++) { /* each writes the state again: more than a segment */
        name[0] = (char)('a' + i % 3);
        assert_ok(broker_init_producer(f->b, name, 60000, &id, &epoch, &f->e), &f->e);
    }
    step(f, 10);
    assert_int_equal(stats(f).cleaner_passes, 1);
    reopen_stepped(f);
    int16_t next;
    assert_ok(broker_init_producer(f->b, name, 60000, &again, &next, &f->e), &f->e);
    assert_int_equal(again, id);
    assert_int_equal(next, epoch + 1);
}

/* ---- kills --------------------------------------------------------------------------------------------------------- */

/* Killed after a pass: the journal still has all that was cleaned, and must not put it back over what stands there now. */
static void killed(struct fixture *f, bool lose_points)
{
    struct broker_options o = options(f);
    o.no_threads = true;
    char path[600];
    fixture_close(f);
    pid_t child = fork();
    if (child == 0) {
        if (broker_open(&f->b, &o, &f->e) || broker_create_topic(f->b, "t", 1, compacted, 2, NULL, &f->e))
            _exit(1);
        put_many(f, "t", 60); /* less than a journal file: nothing of it is released */
        broker_step(f->b, clock_mono_ms());
        raise(stats(f).cleaner_passes == 1 ? SIGKILL : SIGTERM);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    snprintf(path, sizeof path, "%s/logs/recovery-point-offset-checkpoint", f->dir);
    if (lose_points)
        assert_int_equal(unlink(path), 0);
    o.cleaner_disabled = true; /* it would mend what is wrong */
    for (int i = 0; i < 2; i++) {
        assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
        struct seen s = read_back(f, "t");
        expect_last(&s, 60);
        assert_true(s.count < 30);
        if (i == 0)
            fixture_close(f);
    }
}

static void test_killed_after_cleaning(void **state)
{
    killed(*state, false);
}

static void test_killed_without_recovery_points(void **state)
{
    killed(*state, true);
}

/* ---- what goes wrong ------------------------------------------------------------------------------------------------ */

static void damage(struct fixture *f, const char *topic)
{
    char path[600];
    int fd;
    uint8_t b;
    snprintf(path, sizeof path, "%s/logs/%s-0/00000000000000000000.log", f->dir, topic);
    assert_ok(io_open(&fd, path, O_RDWR, 0, &f->e), &f->e);
    assert_ok(io_pread(fd, &b, 1, 5000, path, &f->e), &f->e);
    b ^= 1;
    assert_ok(io_pwrite(fd, &b, 1, 5000, path, &f->e), &f->e);
    io_close(fd);
}

/* A damaged log is left as it is, and the others are cleaned. */
static void test_uncleanable(void **state)
{
    struct fixture *f = *state;
    reopen_stepped(f);
    for (int i = 0; i < 2; i++) {
        assert_ok(broker_create_topic(f->b, i ? "good" : "bad", 1, compacted, 2, NULL, &f->e), &f->e);
        put_many(f, i ? "good" : "bad", 60);
    }
    damage(f, "bad");
    step(f, 10);
    assert_int_equal(stats(f).uncleanable_partitions, 1);
    assert_int_equal(stats(f).cleaner_passes, 1);
    assert_true(size_of(f, "good") < size_of(f, "bad") / 2);
    step(f, 1000000);
    assert_int_equal(stats(f).cleaner_passes, 1);
    const struct topic_config_entry any = {"min.cleanable.dirty.ratio", "0.2"};
    assert_ok(broker_alter_topic(f->b, "bad", &any, 1, &f->e), &f->e);
    assert_int_equal(stats(f).uncleanable_partitions, 0); /* to be tried again */
    step(f, 10);
    assert_int_equal(stats(f).uncleanable_partitions, 1);
}

/* What may pass, as a full disk, is tried again later. */
static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    reopen_stepped(f);
    assert_ok(broker_create_topic(f->b, "t", 1, compacted, 2, NULL, &f->e), &f->e);
    put_many(f, "t", 60);
    int64_t now = clock_mono_ms() + 100000;
    assert_int_equal(broker_step(f->b, now) > now, true);
    int64_t size = size_of(f, "t");
    assert_int_equal(stats(f).cleaner_passes, 1);
    put_many(f, "t", 60);
    /* The first writes are those of checkpoints. */
    fault_arm(FAULT_WRITE, 3, ENOSPC, true);
    broker_step(f->b, now += 10);
    fault_disarm();
    assert_int_equal(stats(f).cleaner_passes, 1);
    assert_int_equal(stats(f).uncleanable_partitions, 0);
    broker_step(f->b, now += 10);
    assert_int_equal(stats(f).cleaner_passes, 1);
    broker_step(f->b, now += 100000);
    assert_int_equal(stats(f).cleaner_passes, 2);
    assert_true(size_of(f, "t") < 3 * size);
    struct seen s = read_back(f, "t");
    expect_last(&s, 60);
}

/* A pass that would take days at its rate holds up neither the deletion of its topic nor the stop. */
static void test_nobody_waits(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = options(f);
    o.cleaner_io_bytes_per_second = 1;
    reopen(f, &o);
    for (int round = 0; round < 2; round++) {
        assert_ok(broker_create_topic(f->b, "t", 1, compacted, 2, NULL, &f->e), &f->e);
        put_many(f, "t", 60);
        struct waiter *w = waiter_new(f->b, &f->e);
        while (stats(f).cleaner_memory == 0) /* it is at work */
            waiter_wait(w, 5);
        waiter_free(w);
        if (round == 0)
            assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    }
    reopen(f, &o);
    struct seen s = read_back(f, "t");
    expect_last(&s, 60);
    assert_int_equal(s.count, 60);
}

/* A topic that is made anew under a deleted one's name starts dirty, after a kill too. */
static void test_made_anew(void **state)
{
    struct fixture *f = *state;
    reopen_stepped(f);
    for (int round = 0; round < 2; round++) {
        assert_ok(broker_create_topic(f->b, "t", 1, compacted, 2, NULL, &f->e), &f->e);
        put_many(f, "t", 60);
        if (round == 0) {
            step(f, 10);
            assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
        }
    }
    reopen_stepped(f);
    step(f, 10);
    assert_int_equal(stats(f).cleaner_passes, 1);
    assert_true(read_back(f, "t").count < 30);
}

/* ---- beside everything else ----------------------------------------------------------------------------------------- */

struct worker {
    struct broker *b;
    const char *topic;
    atomic_bool *done;
    const char *failure; /* cmocka's assertions belong to the main thread */
};

static void *append_some(void *arg)
{
    struct worker *w = arg;
    struct fixture f = {.b = w->b};
    for (int i = 0; i < 150 && !w->failure; i++) {
        int rc = try_put(&f, w->topic, i % KEYS, i, i % 2);
        if (rc && rc != ERR_UNKNOWN_TOPIC) /* deleted meanwhile */
            w->failure = err_name(rc);
    }
    return NULL;
}

static void *make_and_delete(void *arg)
{
    struct worker *w = arg;
    struct err e;
    while (!atomic_load(w->done) && !w->failure) {
        if (broker_create_topic(w->b, w->topic, 1, compacted, 2, NULL, &e)) {
            w->failure = "create";
            break;
        }
        struct worker appends = {.b = w->b, .topic = w->topic, .done = w->done};
        append_some(&appends);
        w->failure = appends.failure;
        if (broker_delete_topic(w->b, w->topic, &e))
            w->failure = "delete";
    }
    return NULL;
}

static void *read_some(void *arg)
{
    struct worker *w = arg;
    struct err e;
    int64_t at = 0, next = 0;
    while (!atomic_load(w->done) && !w->failure) {
        struct log_range r;
        int rc = broker_locate(w->b, w->topic, 0, at, 100000, READ_COMMITTED, &r, &e);
        if (rc) {
            w->failure = err_name(rc);
            break;
        }
        next = r.next_offset;
        if (r.bytes && next <= at)
            w->failure = "backwards";
        at = r.bytes ? next : 0;
        log_range_release(&r);
    }
    return NULL;
}

static void test_beside_everything(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = options(f);
    atomic_bool done = false;
    o.retention_check_ms = 2;
    reopen(f, &o);
    assert_ok(broker_create_topic(f->b, "t", 1, compacted, 2, NULL, &f->e), &f->e);
    struct worker workers[] = {
        {f->b, "t", &done, NULL}, {f->b, "gone", &done, NULL}, {f->b, "t", &done, NULL}};
    pthread_t threads[3];
    assert_ok(thread_start(&threads[0], "append", append_some, &workers[0], &f->e), &f->e);
    assert_ok(thread_start(&threads[1], "admin", make_and_delete, &workers[1], &f->e), &f->e);
    assert_ok(thread_start(&threads[2], "read", read_some, &workers[2], &f->e), &f->e);
    pthread_join(threads[0], NULL);
    wait_for_passes(f, 2);
    atomic_store(&done, true);
    for (int i = 1; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++)
        if (workers[i].failure)
            fail_msg("thread %d: %s", i, workers[i].failure);
    struct seen s = read_back(f, "t");
    expect_last(&s, 150);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_the_thread_cleans),
        T(test_ratio),
        T(test_tombstones),
        T(test_lags),
        T(test_records_need_keys),
        T(test_committed_offsets),
        T(test_transactions),
        T(test_killed_after_cleaning),
        T(test_killed_without_recovery_points),
        T(test_uncleanable),
        T(test_full_disk),
        T(test_nobody_waits),
        T(test_made_anew),
        T(test_beside_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
