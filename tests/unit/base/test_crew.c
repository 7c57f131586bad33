/* Threads that do a list's jobs: each once, side by side, list after list; and what is left where there are none. */
#include "tests/lib/testkit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/crew.h"

enum { JOBS = 500, LISTS = 200, TOGETHER = 4 };

struct list {
    atomic_int times[JOBS];
    pthread_barrier_t all;
};

static struct crew *make_crew(size_t threads)
{
    struct crew *c;
    struct err e;
    assert_ok(crew_new(&c, "test-crew", threads, &e), &e);
    return c;
}

static void count(void *arg, size_t i)
{
    struct list *l = arg;
    atomic_fetch_add(&l->times[i], 1);
}

static void expect_each(const struct list *l, size_t n, int times)
{
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(atomic_load(&l->times[i]), i < n ? times : 0);
}

static void each_job_is_done_once(void **state)
{
    static const size_t threads[] = {0, 1, TOGETHER};
    (void)state;
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        struct crew *c = make_crew(threads[t]);
        for (size_t n = 0; n <= JOBS; n += n < 3 ? 1 : 97) {
            struct list l = {0};
            crew_do(c, count, &l, n);
            expect_each(&l, n, 1); /* all have returned */
        }
        crew_free(c);
    }
}

static void lists_follow_each_other(void **state)
{
    struct crew *c = make_crew(TOGETHER);
    struct list l = {0};
    (void)state;
    for (int i = 0; i < LISTS; i++)
        crew_do(c, count, &l, 7);
    expect_each(&l, 7, LISTS);
    crew_free(c);
}

/* Returns only when as many are in it. */
static void meet(void *arg, size_t i)
{
    struct list *l = arg;
    pthread_barrier_wait(&l->all);
    count(arg, i);
}

static void jobs_are_done_side_by_side(void **state)
{
    struct crew *c = make_crew(TOGETHER - 1);
    struct list l = {0};
    (void)state;
    pthread_barrier_init(&l.all, NULL, TOGETHER);
    for (int i = 0; i < LISTS; i++)
        crew_do(c, meet, &l, TOGETHER);
    expect_each(&l, TOGETHER, LISTS);
    pthread_barrier_destroy(&l.all);
    crew_free(c);
}

static void none_is_asked_for_anything(void **state)
{
    (void)state;
    crew_free(make_crew(TOGETHER));
    crew_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_job_is_done_once),
        cmocka_unit_test(lists_follow_each_other),
        cmocka_unit_test(jobs_are_done_side_by_side),
        cmocka_unit_test(none_is_asked_for_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
