/*
 * What a killed process wrote and did not sync counts once a start has read it, so the start syncs it first: that it does is
 * seen by letting that sync fail. tests/power shows what would be lost. And what the journal has is put back in few writes.
 */
#include "tests/unit/broker/helper.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io_watch.h"

static const struct batch_producer nobody = {-1, -1, -1, false};

static int append_some(struct fixture *f, int32_t partition, int records)
{
    buf_reset(&f->batch);
    size_t n = add_batch(f, "a", 0, records, nobody);
    struct produce_request r = {.topic = "t", .partition = partition, .data = f->batch.data, .bytes = n};
    return broker_produce(f->b, &r, 1, false, &f->e);
}

/* Another process makes the topic, appends so many batches to its partitions in turns, and goes without a stop; its upkeep has flushed nothing. */
static void leave_unclean(struct fixture *f, int partitions, int batches, int records)
{
    int status;
    fixture_close(f);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct broker_options o = {
            .data_dir = f->dir, .no_threads = true, .direct_bytes = SIZE_MAX}; /* all in the journal */
        struct topic_config_entry largest = {"max.message.bytes", "62914560"};
        bool done = broker_open(&f->b, &o, &f->e) == ERR_OK &&
                    broker_create_topic(f->b, "t", partitions, &largest, 1, NULL, &f->e) == ERR_OK;
        for (int i = 0; done && i < batches; i++)
            done = append_some(f, i % partitions, records) == ERR_OK;
        _exit(done ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void expect_sync(struct fixture *f, const char *file)
{
    leave_unclean(f, 1, 1, 1);
    fault_arm_at(FAULT_SYNC, file, 1, EIO, false);
    int rc = try_open(f);
    fault_disarm();
    assert_code(rc, ERR_IO, &f->e);
    assert_non_null(strstr(f->e.text, file));
    f->b = NULL;
    fixture_open(f);
    assert_ok(append_some(f, 0, 1), &f->e);
}

static void test_metadata_log(void **state)
{
    expect_sync(*state, "__cluster_metadata-0/00000000000000000000.log");
}

static void test_replayed_journal(void **state)
{
    expect_sync(*state, "/journal/0");
}

/* The log's end is cut, which cannot be synced: nor can what was put back, so that nothing may rely on it. */
static void test_a_cut_end(void **state)
{
    struct fixture *f = *state;
    leave_unclean(f, 1, 2, 1);
    char *path = mem_printf("%s/logs/t-0/00000000000000000000.log", f->dir);
    FILE *log = fopen(path, "a");
    assert_non_null(log);
    assert_true(fputs("torn", log) >= 0);
    assert_int_equal(fclose(log), 0);
    mem_free(path);
    fault_arm_at(FAULT_SYNC, "/t-0/", 1, EIO, false);
    int rc = try_open(f);
    fault_disarm();
    assert_ok(rc, &f->e);
    assert_code(append_some(f, 0, 1), ERR_LOG_FAILED, &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "a0,a0");
    assert_int_not_equal(broker_close(f->b, &f->e), ERR_OK); /* the journal stays as it is */
    fixture_open(f);
    assert_ok(append_some(f, 0, 1), &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "a0,a0,a0");
}

/* ---- how entries are put back ---- */

static void count_writes(void *arg, struct io_event *ev)
{
    int *writes = arg;
    char link[64], path[512];
    if (ev->op != IO_OP_WRITE || !ev->done)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", ev->fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    *writes += strstr(path, "/t-0/") && strstr(path, ".log");
}

/* What follows one another is written in runs of a MiB, however large the entries are. */
static void put_back(struct fixture *f, int batches, int records, size_t key_bytes, int expected)
{
    int writes = 0;
    char *path;
    f->key_bytes = key_bytes;
    leave_unclean(f, 1, batches, records);
    path = mem_printf("%s/logs/t-0/00000000000000000000.log", f->dir);
    assert_int_equal(truncate(path, 100), 0); /* what the page cache had is lost but for its beginning */
    mem_free(path);
    struct broker_options o = {.data_dir = f->dir, .no_threads = true}; /* none that would be watched, too */
    io_watch(count_writes, &writes);
    int rc = broker_open(&f->b, &o, &f->e);
    io_watch(NULL, NULL);
    assert_ok(rc, &f->e);
    assert_int_equal(writes, expected);
    struct topic_info t;
    assert_ok(broker_topic(f->b, "t", &t, &f->e), &f->e);
    assert_int_equal(t.partitions[0].end_offset, batches * records);
    topic_info_free(&t);
    struct buf all, want;
    buf_init(&want, 1 << 20);
    for (int i = 0; i < batches * records; i++)
        assert_ok(buf_printf(&want, &f->e, "%sa%d", i ? "," : "", i % records), &f->e);
    read_all(f, "t", 0, 0, READ_COMMITTED, &all);
    assert_string_equal((char *)all.data, (char *)want.data);
    buf_free(&all);
    buf_free(&want);
}

static void test_small_entries(void **state)
{
    put_back(*state, 400, 1, 0, 1);
}

static void test_runs_end(void **state)
{
    put_back(*state, 20, 1, 60000, 2);
}

static void test_large_entries(void **state)
{
    put_back(*state, 4, 5, 60000, 2);
}

/* A batch of nearly 60 MiB. */
static void test_a_very_large_entry(void **state)
{
    put_back(*state, 1, 1048, 60000, 60);
}

/* Of more partitions than may be open, by one thread and by several. */
static void put_back_in_turns(struct fixture *f, bool threads)
{
    enum { PARTITIONS = 40, ROUNDS = 3 };
    leave_unclean(f, PARTITIONS, PARTITIONS * ROUNDS, 1);
    for (int i = 0; i < PARTITIONS; i++) {
        char *path = mem_printf("%s/logs/t-%d/00000000000000000000.log", f->dir, i);
        assert_int_equal(truncate(path, i), 0);
        mem_free(path);
    }
    struct broker_options o = {.data_dir = f->dir, .no_threads = !threads, .open_files_max = 16};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    for (int i = 0; i < PARTITIONS; i++)
        expect_all(f, "t", i, READ_COMMITTED, "a0,a0,a0");
}

static void test_more_files_than_may_be_open(void **state)
{
    put_back_in_turns(*state, false);
}

static void test_more_files_than_may_be_open_by_threads(void **state)
{
    put_back_in_turns(*state, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_metadata_log, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replayed_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cut_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_small_entries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runs_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_entries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_very_large_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_files_than_may_be_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_files_than_may_be_open_by_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
