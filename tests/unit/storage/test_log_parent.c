/*
 * test_log_parent: one sync of the directory above makes the names of all logs durable that were made before it.
 */
#include <errno.h>
#include <pthread.h>

#include "kit.h"

#include "base/io_watch.h"
#include "storage/log_parent.h"

enum { LOGS = 40 };

struct scene {
    char *dir;
    struct log_parent parent;
    struct log *logs[LOGS];
};

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    s->dir = testkit_dir();
    log_parent_init(&s->parent, s->dir);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    fault_disarm();
    log_parent_free(&s->parent);
    testkit_remove_dir(s->dir);
    free(s);
    return 0;
}

static void make_logs(struct scene *s, int from, int to)
{
    for (int i = from; i < to; i++) {
        char dir[600];
        snprintf(dir, sizeof dir, "%s/t-%d", s->dir, i);
        struct log_open_args a = open_args(dir);
        a.parent = &s->parent;
        s->logs[i] = open_log(&a, NULL);
        append(s->logs[i], 1);
    }
}

static void close_logs(struct scene *s, int from, int to)
{
    for (int i = from; i < to; i++)
        close_log(s->logs[i], false);
}

static char synced_dir[600];
static atomic_int dir_syncs;

/* Of the directory itself, told by its inode. */
static void count_syncs(void *arg, struct io_event *event)
{
    struct stat a, b;
    (void)arg;
    if (event->op == IO_OP_SYNC && event->done && fstat(event->fd, &a) == 0 && stat(synced_dir, &b) == 0)
        atomic_fetch_add(&dir_syncs, a.st_ino == b.st_ino && a.st_dev == b.st_dev);
}

static void watch(struct scene *s)
{
    snprintf(synced_dir, sizeof synced_dir, "%s", s->dir);
    atomic_store(&dir_syncs, 0);
    io_watch(count_syncs, NULL);
}

static void test_one_sync_for_all(void **state)
{
    struct scene *s = *state;
    struct err e = {0};
    make_logs(s, 0, LOGS / 2);
    watch(s);
    for (int i = 0; i < LOGS / 2; i++)
        assert_ok(log_flush(s->logs[i], &e), &e);
    assert_int_equal(atomic_load(&dir_syncs), 1);
    make_logs(s, LOGS / 2, LOGS); /* later ones need another one */
    for (int i = LOGS; i-- > 0;)
        assert_ok(log_flush(s->logs[i], &e), &e);
    assert_int_equal(atomic_load(&dir_syncs), 2);
    io_watch(NULL, NULL);
    close_logs(s, 0, LOGS);
}

static void *flush_some(void *arg)
{
    struct err e = {0};
    struct log **logs = arg;
    for (int i = 0; i < LOGS / 4; i++)
        assert_ok(log_flush(logs[i], &e), &e);
    return NULL;
}

/* Whoever comes while it is being synced waits for that one. */
static void test_many_threads(void **state)
{
    struct scene *s = *state;
    pthread_t threads[4];
    make_logs(s, 0, LOGS);
    watch(s);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, flush_some, &s->logs[i * (LOGS / 4)]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    io_watch(NULL, NULL);
    assert_int_equal(atomic_load(&dir_syncs), 1);
    close_logs(s, 0, LOGS);
}

/* A sync that failed is final for all whose names it would have made durable, and for later ones. */
static void test_a_failed_sync(void **state)
{
    struct scene *s = *state;
    struct err e = {0};
    uint64_t before = log_parent_made(&s->parent);
    assert_ok(log_parent_sync(&s->parent, before, &e), &e);
    uint64_t first = log_parent_made(&s->parent), second = log_parent_made(&s->parent);
    fault_arm_at(FAULT_SYNC, s->dir, 1, EIO, false);
    assert_code(log_parent_sync(&s->parent, second, &e), ERR_IO, &e);
    assert_true(e.fatal);
    fault_disarm();
    assert_code(log_parent_sync(&s->parent, first, &e), ERR_IO, &e);
    assert_code(log_parent_sync(&s->parent, log_parent_made(&s->parent), &e), ERR_IO, &e);
    assert_ok(log_parent_sync(&s->parent, before, &e), &e); /* it was durable by then */
}

/* A log whose directory's name cannot be made durable is out of service. */
static void test_a_log_above_it(void **state)
{
    struct scene *s = *state;
    struct err e = {0};
    uint64_t made = log_parent_made(&s->parent);
    fault_arm_at(FAULT_SYNC, s->dir, 1, EIO, false);
    assert_code(log_parent_sync(&s->parent, made, &e), ERR_IO, &e);
    fault_disarm();
    make_logs(s, 0, 1);
    assert_code(log_flush(s->logs[0], &e), ERR_IO, &e);
    assert_code(log_flush(s->logs[0], &e), ERR_LOG_FAILED, &e);
    close_logs(s, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_sync_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_log_above_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
