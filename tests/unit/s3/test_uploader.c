/*
 * The uploader: jobs in their order on a thread of its own, what a failure and a stop leave undone, pauses cut short.
 */
#include "tests/lib/testkit.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>

#include "base/clock.h"
#include "connectors/s3/s3_uploader.h"

enum { JOBS = 5 };

struct work {
    struct s3_job job; /* first */
    struct s3_uploader *uploader;
    int number, fails;
    bool *done; /* by number */
    sem_t *begun, *go_on;
};

static int run(struct s3_job *job, struct err *e)
{
    struct work *w = (struct work *)job;

    if (w->begun)
        sem_post(w->begun);
    if (w->go_on)
        sem_wait(w->go_on);
    for (int i = 0; i < w->number; i++)
        assert_true(w->done[i]);
    err_set(e, ERR_IO, "job %d", w->number); /* words that stay although all is well in the end */
    w->done[w->number] = !w->fails;
    return w->fails ? ERR_IO : ERR_OK;
}

static bool wait_readable(void *arg, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    (void)arg;
    assert_int_equal(poll(&p, 1, -1), 1);
    return true;
}

static bool wait_no_more(void *arg, int fd)
{
    (void)fd;
    ++*(int *)arg;
    return false;
}

static struct s3_uploader *give_all(struct work w[JOBS], bool done[JOBS], int fails)
{
    struct s3_uploader *u;
    struct err e;

    assert_ok(uploader_new(&u, &e), &e);
    assert_null(uploader_take(u));
    uploader_await(u, wait_readable, NULL); /* nothing to wait for */
    for (int i = 0; i < JOBS; i++) {
        sem_t *begun = w[i].begun, *go_on = w[i].go_on;

        w[i] = (struct work){{.run = run}, u, i, i == fails, done, begun, go_on};
        assert_ok(uploader_give(u, &w[i].job, &e), &e);
    }
    assert_int_equal(uploader_count(u), JOBS);
    return u;
}

static void test_order(void **state)
{
    struct work w[JOBS] = {0};
    bool done[JOBS] = {0};
    struct s3_uploader *u = give_all(w, done, -1);

    (void)state;
    for (int i = 0; i < JOBS; i++) {
        uploader_await(u, i % 2 ? wait_readable : NULL, NULL);
        assert_ptr_equal(uploader_take(u), &w[i]);
        assert_int_equal(w[i].job.error.code, ERR_OK);
        assert_int_equal(uploader_count(u), JOBS - 1 - i);
    }
    uploader_stop(u);
    uploader_free(u);
}

static void test_failure(void **state)
{
    struct work w[JOBS] = {0};
    bool done[JOBS] = {0};
    struct s3_uploader *u = give_all(w, done, 2);

    (void)state;
    for (int i = 0; i < JOBS; i++) {
        uploader_await(u, wait_readable, NULL);
        assert_ptr_equal(uploader_take(u), &w[i]);
        assert_int_equal(w[i].job.error.code, i < 2 ? ERR_OK : ERR_IO);
        assert_int_equal(done[i], i < 2);
        if (i >= 2)
            assert_string_equal(w[i].job.error.text, "job 2");
    }
    uploader_stop(u);
    uploader_free(u);
}

static void *let_go(void *arg)
{
    sem_post(arg);
    return NULL;
}

/* What runs is seen through, the rest is not begun. */
static void test_stop(void **state)
{
    struct work w[JOBS] = {0};
    bool done[JOBS] = {0};
    sem_t begun, go_on;
    pthread_t thread;
    struct s3_uploader *u;

    (void)state;
    sem_init(&begun, 0, 0);
    sem_init(&go_on, 0, 0);
    w[0].begun = &begun;
    w[0].go_on = &go_on;
    w[1].go_on = &go_on; /* is never reached, or the test hangs */
    u = give_all(w, done, -1);
    sem_wait(&begun);
    assert_null(uploader_take(u));
    assert_int_equal(pthread_create(&thread, NULL, let_go, &go_on), 0);
    uploader_await(u, NULL, NULL);
    pthread_join(thread, NULL);
    assert_ptr_equal(uploader_take(u), &w[0]);
    sem_post(&go_on);
    uploader_stop(u);
    for (int i = 1; i < JOBS; i++) {
        assert_ptr_equal(uploader_take(u), &w[i]);
        assert_int_equal(w[i].job.error.code, done[i] ? ERR_OK : ERR_INTERRUPTED);
    }
    assert_int_equal(uploader_count(u), 0);
    uploader_free(u);
    sem_destroy(&begun);
    sem_destroy(&go_on);
}

static int run_pause(struct s3_job *job, struct err *e)
{
    struct work *w = (struct work *)job;

    (void)e;
    uploader_pause(w->uploader, 1);
    sem_post(w->begun);
    uploader_pause(w->uploader, 3600000);
    return ERR_OK;
}

/* An hour's pause ends when the task is to stop, told by the wait or by stop itself. */
static void test_pause(void **state)
{
    (void)state;
    for (int by_stop = 0; by_stop < 2; by_stop++) {
        struct s3_uploader *u;
        struct err e;
        sem_t begun;
        int asked = 0;

        assert_ok(uploader_new(&u, &e), &e);
        sem_init(&begun, 0, 0);
        struct work w = {.job = {.run = run_pause}, .uploader = u, .begun = &begun};
        assert_ok(uploader_give(u, &w.job, &e), &e);
        sem_wait(&begun);
        if (by_stop)
            uploader_stop(u);
        else
            uploader_await(u, wait_no_more, &asked);
        assert_int_equal(asked, !by_stop);
        assert_ptr_equal(uploader_take(u), &w);
        assert_int_equal(w.job.error.code, ERR_OK);
        uploader_stop(u);
        uploader_free(u);
        sem_destroy(&begun);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
