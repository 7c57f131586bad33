/*
 * The cleaner in the broker: what it cleans and when, its checkpoint, what a kill leaves, logs that cannot be cleaned.
 * That nobody has to wait for it, and several threads of it: test_cleaner_threads.
 */
#include "tests/unit/broker/cleaner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "broker/fsck.h"

/* ---- what and when -------------------------------------------------------------------------------------------------- */

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

static int see_finding(void *arg, const struct check_finding *f, struct err *e)
{
    (void)arg, (void)e;
    if (check_kind_severity(f->kind) != CHECK_NOTE)
        fail_msg("%s: %s: %s", check_kind_name(f->kind), f->path, f->text);
    return ERR_OK;
}

/* A snapshot of the producers knows of batches that a compaction took since: that is no damage. */
static void test_fsck_after_cleaning(void **state)
{
    struct fixture *f = *state;
    struct batch_producer p[2] = {{.base_sequence = 0}, {.base_sequence = 0}};
    reopen_stepped(f);
    assert_ok(broker_create_topic(f->b, "t", 1, compacted, 2, NULL, &f->e), &f->e);
    for (int i = 0; i < 2; i++)
        assert_ok(broker_init_producer(f->b, NULL, 60000, &p[i].id, &p[i].epoch, &f->e), &f->e);
    assert_ok(try_put_of(f, "t", 0, 0, false, &p[0]), &f->e);
    p[0].base_sequence++;
    assert_ok(try_put_of(f, "t", 1, 1, false, &p[0]), &f->e);
    assert_ok(try_put_of(f, "t", 1, 2, false, &p[1]), &f->e);
    for (int i = 0; i < 40; i++)
        assert_ok(try_put(f, "t", 2, i, false), &f->e);
    p[0].base_sequence++;
    assert_ok(try_put_of(f, "t", 3, 3, false, &p[0]), &f->e);
    step(f, 10);
    assert_int_equal(stats(f).cleaner_passes, 1);
    fixture_close(f);
    struct fsck_report r;
    struct fsck_options o = {.data_dir = f->dir, .records = true, .found = see_finding};
    assert_ok(broker_fsck(&o, &r, &f->e), &f->e);
    reopen_stepped(f);
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
        T(test_made_anew),
        T(test_fsck_after_cleaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
