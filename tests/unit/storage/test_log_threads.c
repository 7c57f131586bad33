/*
 * test_log_threads: one thread appends, others read, look up, flush and delete at the same time. Run it under
 * SANITIZE=thread too. What it checks: readers see every offset between the log's start and its end once and in order.
 */
#include "kit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"

#define APPENDS 3000

struct shared {
    struct log *log;
    atomic_bool done;
    uint8_t *batch;
    size_t n;
    bool retention;
    const char *failure; /* cmocka's assertions belong to the main thread */
    pthread_mutex_t lock;
};

static void complain(struct shared *sh, const char *what)
{
    pthread_mutex_lock(&sh->lock);
    if (!sh->failure)
        sh->failure = what;
    pthread_mutex_unlock(&sh->lock);
    atomic_store(&sh->done, true);
}

static void *append_many(void *arg)
{
    struct shared *sh = arg;
    struct err e = {0};
    struct log_appended out;
    struct log_append_args args = append_args();
    uint8_t *batch = mem_dup(sh->batch, sh->n);
    for (int i = 0; i < APPENDS && !atomic_load(&sh->done); i++) {
        if (log_append(sh->log, batch, sh->n, &args, &out, &e) != ERR_OK)
            complain(sh, "append");
        else
            log_set_high_watermark(sh->log, out.last_offset + 1);
    }
    mem_free(batch);
    atomic_store(&sh->done, true);
    return NULL;
}

static int read_range(struct shared *sh, int64_t *next, struct err *e)
{
    struct log_range r;
    int rc = log_locate(sh->log, *next, 2000, READ_COMMITTED, &r, e);
    uint8_t data[4096];
    if (rc == ERR_OK && r.bytes)
        rc = log_range_read(&r, 0, data, r.bytes, e);
    for (size_t at = 0; rc == ERR_OK && at < r.bytes;) {
        struct batch_header h;
        rc = batch_check(data + at, r.bytes - at, &h, e);
        if (rc == ERR_OK && h.base_offset != *next)
            rc = err_set(e, ERR_INTERNAL, "gap");
        if (rc == ERR_OK) {
            *next = batch_last_offset(&h) + 1;
            at += batch_size(&h);
        }
    }
    log_range_release(&r);
    return rc;
}

static void *read_all(void *arg)
{
    struct shared *sh = arg;
    struct err e = {0};
    int64_t next = 0;
    for (;;) {
        bool done = atomic_load(&sh->done);
        int64_t before = next;
        int rc = read_range(sh, &next, &e);
        if (rc == ERR_OFFSET_OUT_OF_RANGE && sh->retention) {
            next = log_start_offset(sh->log);
        } else if (rc) {
            complain(sh, err_name(rc));
            return NULL;
        }
        if (done && next == before)
            return NULL;
    }
}

static void *upkeep(void *arg)
{
    struct shared *sh = arg;
    struct err e = {0};
    int deleted;
    while (!atomic_load(&sh->done)) {
        int64_t offset, ts;
        struct segment_info *list;
        size_t n;
        if (log_flush(sh->log, &e) || log_apply_retention(sh->log, EPOCH_MS, INT64_MAX, &deleted, &e) ||
            log_offset_for_time(sh->log, EPOCH_MS, &offset, &ts, &e) ||
            log_segments(sh->log, &list, &n, &e)) {
            complain(sh, "upkeep");
            return NULL;
        }
        mem_free(list);
        log_close_idle(sh->log);
    }
    return NULL;
}

static void run(const char *dir, bool retention)
{
    struct err e = {0};
    struct log_open_args a = open_args(dir);
    a.config.segment_bytes = 4000;
    a.config.index_interval_bytes = 500;
    a.config.retention_bytes = retention ? 20000 : -1;
    struct shared sh = {.log = open_log(&a, NULL), .retention = retention};
    mutex_init(&sh.lock);
    sh.batch = make_batch(&(struct batch_spec){0}, &sh.n);
    pthread_t t[4];
    assert_ok(thread_start(&t[0], "append", append_many, &sh, &e), &e);
    assert_ok(thread_start(&t[1], "read", read_all, &sh, &e), &e);
    assert_ok(thread_start(&t[2], "read", read_all, &sh, &e), &e);
    assert_ok(thread_start(&t[3], "upkeep", upkeep, &sh, &e), &e);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    if (sh.failure)
        fail_msg("%s", sh.failure);
    assert_int_equal(log_end_offset(sh.log), APPENDS);
    close_log(sh.log, true);
    a.clean = true;
    a.recovery_point = APPENDS;
    sh.log = open_log(&a, NULL);
    assert_int_equal(log_end_offset(sh.log), APPENDS);
    close_log(sh.log, true);
    mem_free(sh.batch);
    pthread_mutex_destroy(&sh.lock);
}

static void readers_beside_appends(void **state)
{
    (void)state;
    char *dir = testkit_dir();
    run(dir, false);
    testkit_remove_dir(dir);
}

static void readers_beside_retention(void **state)
{
    (void)state;
    char *dir = testkit_dir();
    run(dir, true);
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_beside_appends),
        cmocka_unit_test(readers_beside_retention),
    };
    return cmocka_run_group_tests_name("log threads", tests, NULL, NULL);
}
