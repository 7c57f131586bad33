/*
 * What upkeep does by itself: retention, release of the journal; and what holds once the journal has failed.
 */
#include "tests/unit/broker/helper.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/fault.h"
#include "base/io_watch.h"
#include "broker/store.h"
#include "storage/journal_internal.h"

static int64_t start_of(struct fixture *f, const char *topic)
{
    int64_t offset, ts;
    assert_ok(broker_list_offset(f->b, topic, 0, -2, READ_COMMITTED, &offset, &ts, &f->e), &f->e);
    return offset;
}

static void open_with_quick_checks(struct fixture *f)
{
    struct broker_options o = {.data_dir = f->dir, .retention_check_ms = 1, .journal_file_bytes = 1 << 20};
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
}

static void fill(struct fixture *f, const char *topic, int batches)
{
    f->key_bytes = 60000;
    for (int i = 0; i < batches; i++)
        produce(f, topic, 0, "v", 3 * i, 3);
    f->key_bytes = 0;
}

static void test_retention(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config[] = {{"segment.bytes", "1048576"}, {"retention.bytes", "2000000"}};
    assert_ok(broker_create_topic(f->b, "t", 1, config, 2, NULL, &f->e), &f->e);
    open_with_quick_checks(f);
    fill(f, "t", 60); /* 10 MB */
    struct waiter *w = waiter_new(f->b, &f->e);
    while (start_of(f, "t") < 60 * 3 / 2)
        waiter_wait(w, 5);
    waiter_free(w);
    int64_t start = start_of(f, "t");
    fixture_restart(f);
    assert_true(start_of(f, "t") >= start);
    struct topic_info info;
    assert_ok(broker_topic(f->b, "t", &info, &f->e), &f->e);
    assert_int_equal(info.partitions[0].end_offset, 180);
    topic_info_free(&info);
}

/* A log that is out of service keeps its own old data, and no other's. */
static void test_retention_beside_a_failed_log(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config[] = {{"segment.bytes", "1048576"}, {"retention.bytes", "2000000"}};
    struct topic_config_entry weak[] = {{"durability", "page-cache"}, {"flush.messages", "1"}};
    struct broker_options o = {.data_dir = f->dir, .no_threads = true};
    assert_ok(broker_create_topic(f->b, "t", 1, config, 2, NULL, &f->e), &f->e);
    assert_ok(broker_create_topic(f->b, "bad", 1, weak, 2, NULL, &f->e), &f->e);
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    fill(f, "t", 60);
    struct produce_request r = make_request(f, "bad", 0, "v", 0, 1, BATCH_NO_PRODUCER);
    fault_arm_at(FAULT_SYNC, "/bad-0/", 1, EIO, false);
    assert_int_not_equal(broker_produce(f->b, &r, 1, false, &f->e), ERR_OK);
    fault_disarm();
    broker_step(f->b, clock_mono_ms() + 600000);
    assert_true(start_of(f, "t") >= 60 * 3 / 2);
    assert_int_not_equal(broker_close(f->b, &f->e), ERR_OK); /* says that not all is well */
    fixture_open(f);
}

/* Killed after retention: entries of removed segments are still in the journal and must not come back. */
static void test_killed_after_retention(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config[] = {{"segment.bytes", "1048576"}, {"retention.bytes", "1"}};
    struct broker_options o = {.data_dir = f->dir, .retention_check_ms = 1, .journal_file_bytes = 64 << 20};
    assert_ok(broker_create_topic(f->b, "t", 1, config, 2, NULL, &f->e), &f->e);
    fixture_close(f);
    pid_t child = fork();
    if (child == 0) {
        if (broker_open(&f->b, &o, &f->e))
            _exit(1);
        fill(f, "t", 30);
        struct waiter *w = waiter_new(f->b, &f->e);
        while (start_of(f, "t") < 75)
            waiter_wait(w, 5);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    fixture_open(f);
    assert_true(start_of(f, "t") >= 75);
    struct buf all;
    read_all(f, "t", 0, start_of(f, "t"), READ_COMMITTED, &all);
    assert_non_null(strstr((char *)all.data, "v89"));
    buf_free(&all);
}

static int64_t dir_bytes(const char *path)
{
    DIR *d = opendir(path);
    int64_t bytes = 0;
    struct dirent *en;
    assert_non_null(d);
    while ((en = readdir(d))) {
        char name[1024];
        struct stat st;
        snprintf(name, sizeof name, "%s/%s", path, en->d_name);
        if (stat(name, &st) == 0 && S_ISREG(st.st_mode))
            bytes += st.st_size;
    }
    closedir(d);
    return bytes;
}

static void test_journal_does_not_grow(void **state)
{
    struct fixture *f = *state;
    char path[512];
    create(f, "t", 1);
    fill(f, "t", 400); /* 72 MB through files of a MiB */
    snprintf(path, sizeof path, "%s/journal", f->dir);
    assert_true(dir_bytes(path) < 40 << 20);
}

/* Pages of the staging buffers that are in memory. */
static size_t staging_pages(struct fixture *f)
{
    const struct journal *j = f->b->disks[0]->journal;
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        size_t pages = j->stage[i].cap / JOURNAL_BLOCK;
        unsigned char *there = malloc(pages);
        assert_int_equal(mincore(j->stage[i].data, pages * JOURNAL_BLOCK, there), 0);
        for (size_t k = 0; k < pages; k++)
            n += there[k] & 1;
        free(there);
    }
    return n;
}

/* Large batches need large buffers; some seconds later they are given back, also while small ones go on. */
static void test_staging_memory_is_given_back(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = {
        .data_dir = f->dir, .no_threads = true, .direct_bytes = SIZE_MAX}; /* all in the journal */
    struct topic_config_entry large = {"max.message.bytes", "40000000"};
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    assert_ok(broker_create_topic(f->b, "t", 1, &large, 1, NULL, &f->e), &f->e);
    f->key_bytes = 60000;
    produce(f, "t", 0, "v", 0, 500);
    produce(f, "t", 0, "v", 500, 500);
    f->key_bytes = 0;
    assert_true(staging_pages(f) > (50 << 20) / JOURNAL_BLOCK);
    int64_t now = clock_mono_ms();
    for (int i = 1; i <= 3; i++) {
        produce(f, "t", 0, "v", 999 + i, 1);
        broker_step(f->b, now + 11000 * i);
    }
    assert_true(staging_pages(f) <= (1 << 20) / JOURNAL_BLOCK);
}

static void test_failed_journal(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config = {"durability", "page-cache"};
    create(f, "t", 1);
    assert_ok(broker_create_topic(f->b, "weak", 1, &config, 1, NULL, &f->e), &f->e);
    produce(f, "t", 0, "v", 0, 1);
    produce(f, "weak", 0, "w", 0, 1);
    struct produce_request r = make_request(f, "t", 0, "lost", 0, 1, BATCH_NO_PRODUCER);
    fault_arm_at(FAULT_WRITE, "/journal/", 1, EIO, true); /* the segment is written, the journal is not */
    assert_int_not_equal(broker_produce(f->b, &r, 1, false, &f->e), ERR_OK);
    fault_disarm();
    for (int i = 0; i < 3; i++) {
        r = make_request(f, "t", 0, "refused", i, 1, BATCH_NO_PRODUCER);
        assert_int_not_equal(broker_produce(f->b, &r, 1, false, &f->e), ERR_OK);
        assert_true(f->e.fatal);
    }
    expect_all(f, "t", 0, READ_UNCOMMITTED, "v0");
    produce(f, "weak", 0, "w", 1, 1); /* needs no journal */
    expect_all(f, "weak", 0, READ_UNCOMMITTED, "w0,w1");
    assert_int_not_equal(broker_close(f->b, &f->e), ERR_OK); /* says that not all is well */
    fixture_open(f);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "v0");
    expect_all(f, "weak", 0, READ_UNCOMMITTED, "w0,w1");
    produce(f, "t", 0, "v", 1, 1);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "v0,v1");
}

/* A transaction in a page-cache topic whose coordinator's state was lost with the journal's last record. */
static void test_unknown_transaction_is_aborted(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config = {"durability", "page-cache"};
    int64_t id;
    int16_t epoch;
    char command[600];
    assert_ok(broker_create_topic(f->b, "weak", 1, &config, 1, NULL, &f->e), &f->e);
    assert_ok(broker_init_producer(f->b, "x", 60000, &id, &epoch, &f->e), &f->e);
    fixture_close(f);
    snprintf(command, sizeof command, "cp -r %s/logs %s/saved", f->dir, f->dir);
    assert_int_equal(system(command), 0);
    fixture_open(f);
    struct txn_partition part = {"weak", 0};
    assert_ok(broker_txn_add_partitions(f->b, "x", id, epoch, &part, 1, &f->e), &f->e);
    struct produce_request r =
        make_request(f, "weak", 0, "open", 0, 1, (struct batch_producer){id, epoch, 0, true});
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    fixture_close(f);
    snprintf(command, sizeof command,
             "cd %s && rm -r logs/__transaction_state-* logs/.kafka_cleanshutdown && "
             "mv saved/__transaction_state-* logs",
             f->dir);
    assert_int_equal(system(command), 0);
    fixture_open(f);
    expect_all(f, "weak", 0, READ_UNCOMMITTED, "open0,<A>");
    expect_all(f, "weak", 0, READ_COMMITTED, "<A>");
}

/* Syncs of segments; those of the main log do not count. */
static void count_logs_syncs(void *arg, struct io_event *ev)
{
    char link[64], path[512];
    if (ev->op != IO_OP_SYNC || !ev->done)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", ev->fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    *(int *)arg += strstr(path, "/logs/t-") && strstr(path, ".log");
}

static int64_t synced_end(struct fixture *f, int32_t partition)
{
    struct partition *p;
    assert_ok(topic_acquire(f->b, "t", partition, &p, &f->e), &f->e);
    int64_t at = log_recovery_point(partition_log(p));
    partition_release(&f->b->topics, p);
    return at;
}

enum { LOGS = 8, BATCHES = 40 };

/* A release of the journal, after some appends; how many syncs of logs it took. */
static int release_once(struct fixture *f, int round, bool fails)
{
    int syncs = 0;
    uint64_t before = f->b->disks[0]->released;
    f->key_bytes = 60000;
    for (int i = 0; i < BATCHES; i++)
        produce(f, "t", i % LOGS, "v", i / LOGS, 1);
    f->key_bytes = 0;
    io_watch(count_logs_syncs, &syncs);
    if (fails)
        fault_arm_at(FAULT_SYNC, f->dir, LOGS + 1, EIO, false); /* after each log's beginning */
    broker_step(f->b, clock_mono_ms() + 600000);
    fault_disarm();
    io_watch(NULL, NULL);
    assert_true(f->b->disks[0]->released > before);
    for (int i = 0; i < LOGS; i++)
        assert_int_equal(synced_end(f, i), round * BATCHES / LOGS);
    return syncs;
}

/*
 * Where there are many logs the file system is synced as a whole, and the journal is given back. Where that fails, each of them is synced
 * by itself, and once more the next time.
 */
static void release_together(struct fixture *f, bool fails)
{
    struct broker_options o = {
        .data_dir = f->dir, .no_threads = true, .journal_file_bytes = 1 << 20, .many_holders = LOGS};
    int alone = syncs_together(f) ? 0 : LOGS;
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    create(f, "t", LOGS);
    assert_int_equal(release_once(f, 1, fails), fails ? LOGS : alone);
    assert_int_equal(release_once(f, 2, false), fails ? LOGS : alone);
    assert_int_equal(release_once(f, 3, false), alone);
}

static void test_many_logs_are_synced_together(void **state)
{
    release_together(*state, false);
}

static void test_their_sync_fails(void **state)
{
    release_together(*state, true);
}

/* Of which one log is many. Nothing is given back because it is old. */
static void open_small_journal(struct fixture *f)
{
    struct broker_options o = {.data_dir = f->dir,
                               .no_threads = true,
                               .journal_file_bytes = 1 << 20,
                               .journal_release_ms = 3600000,
                               .many_holders = 1};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
}

/* And a topic of 24. */
static void open_with_small_journal(struct fixture *f)
{
    fixture_close(f);
    open_small_journal(f);
    create(f, "t", 24);
}

/* How many files of the journal were full when it was given back, while so many logs were appended to in turns. */
static uint64_t files_at_release(struct fixture *f, int logs)
{
    struct disk *d = f->b->disks[0];
    uint64_t before = d->released, most = 0;
    f->key_bytes = 10000;
    for (int i = 0; d->released == before; i++) {
        produce(f, "t", i % logs, "v", 0, 3);
        uint64_t sealed = journal_sealed_bytes(d->journal);
        most = sealed > most ? sealed : most;
        broker_step(f->b, clock_mono_ms());
    }
    f->key_bytes = 0;
    return most / journal_file_bytes(d->journal);
}

/* The more logs the last release flushed, the longer the next one waits, for their flushes to be shared by more appends. */
static void test_many_logs_wait_for_more_files(void **state)
{
    struct fixture *f = *state;
    open_with_small_journal(f);
    assert_int_equal(files_at_release(f, 24), 2);
    assert_int_equal(files_at_release(f, 24), 6); /* one for 4 logs */
    assert_int_equal(files_at_release(f, 1), 6);
    assert_int_equal(files_at_release(f, 1), 2);
}

/* After a kill the first release flushes whom the journal has, and waits accordingly. */
static void test_a_start_counts_the_logs_of_the_journal(void **state)
{
    struct fixture *f = *state;
    open_with_small_journal(f);
    fixture_close(f);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        open_small_journal(f);
        f->key_bytes = 10000;
        for (int i = 0; i < 24 || journal_sealed(f->b->disks[0]->journal) == 0; i++)
            produce(f, "t", i % 24, "v", 0, 3);
        _exit(0); /* as if killed */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    open_small_journal(f);
    assert_int_equal(files_at_release(f, 1), 6);
    assert_int_equal(files_at_release(f, 1), 2);
}

static uint64_t journal_files(struct fixture *f)
{
    struct journal *j = f->b->disks[0]->journal;
    struct journal_stats stats;
    journal_stats(j, &stats);
    return stats.file_bytes / journal_file_bytes(j);
}

/* Files that appends needed are kept while there are some, and no longer. */
static void test_an_idle_journal_becomes_small(void **state)
{
    struct fixture *f = *state;
    open_with_small_journal(f);
    files_at_release(f, 24);
    files_at_release(f, 24);
    int64_t now = clock_mono_ms();
    uint64_t most = journal_files(f);
    assert_true(most > 4);
    broker_step(f->b, now + 11000); /* something was appended before it */
    assert_int_equal(journal_files(f), most);
    produce(f, "t", 0, "v", 0, 3);
    broker_step(f->b, now + 22000);
    assert_int_equal(journal_files(f), most);
    broker_step(f->b, now + 33000);
    assert_int_equal(journal_files(f), 4);
}

/* Also where so little is appended that nothing is given back. */
static void test_the_journal_of_a_quiet_hub_becomes_small(void **state)
{
    struct fixture *f = *state;
    open_with_small_journal(f);
    files_at_release(f, 24);
    files_at_release(f, 24);
    int64_t now = clock_mono_ms();
    uint64_t released = f->b->disks[0]->released, most = journal_files(f);
    assert_true(most > 4);
    for (unsigned i = 1; i <= JOURNAL_USES; i++) {
        assert_int_equal(journal_files(f), most);
        produce(f, "t", 0, "v", 0, 3);
        broker_step(f->b, now + 11000 * (int64_t)i);
    }
    assert_int_equal(journal_files(f), 4);
    assert_int_equal(f->b->disks[0]->released, released);
}

/* Where no further file can be made it does not wait for them. */
static void test_a_full_disk_does_not_wait_for_more_files(void **state)
{
    struct fixture *f = *state;
    open_with_small_journal(f);
    assert_int_equal(files_at_release(f, 24), 2);
    fault_arm_at(FAULT_META, "/journal/", 1, ENOSPC, true);
    uint64_t files = files_at_release(f, 24);
    fault_disarm();
    assert_in_range(files, 1, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_retention, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retention_beside_a_failed_log, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed_after_retention, setup, teardown),
        cmocka_unit_test_setup_teardown(test_journal_does_not_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_logs_are_synced_together, setup, teardown),
        cmocka_unit_test_setup_teardown(test_their_sync_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_logs_wait_for_more_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_start_counts_the_logs_of_the_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_idle_journal_becomes_small, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_journal_of_a_quiet_hub_becomes_small, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_disk_does_not_wait_for_more_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_staging_memory_is_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_transaction_is_aborted, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
