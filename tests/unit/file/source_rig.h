/*
 * source_rig: a private directory for each test of the file source, and each test twice: with inotify and with polling.
 */
#ifndef LEAT_TESTS_SOURCE_RIG_H
#define LEAT_TESTS_SOURCE_RIG_H

#include "tests/unit/file/files.h"

static char *dir;

static inline int setup(void **state)
{
    (void)state;
    dir = testkit_dir();
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    testkit_remove_dir(dir);
    return 0;
}

/* Names below the directory, or paths. */
static inline struct leat_task *start(const char *names)
{
    char paths[2048];
    if (strchr(names, '/'))
        snprintf(paths, sizeof(paths), "%s", names);
    else
        snprintf(paths, sizeof(paths), "%s/%s", dir, names);
    struct leat_task *t = fake_new(paths);
    return t;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define run_watching(tests)                                                                                  \
    (cmocka_run_group_tests_name("inotify", tests, NULL, NULL) +                                             \
     (fake_watch = "poll", cmocka_run_group_tests_name("poll", tests, NULL, NULL)))

#endif
