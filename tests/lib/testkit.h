/*
 * testkit: what every unit test includes: cmocka with its prerequisites, private directories, fault loops.
 */
#ifndef LEAT_TESTS_TESTKIT_H
#define LEAT_TESTS_TESTKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fault.h"

#define TESTKIT_LIMIT_MS 600000 /* of waiting for what comes in any case: only a hang takes so long */

/* With the thread sanitizer, which is about what threads share and slows all down, loops over very many places take samples. */
#ifdef __SANITIZE_THREAD__
#define TESTKIT_SAMPLE 4
#else
#define TESTKIT_SAMPLE 1
#endif
#define TESTKIT_STEP(nth) ((nth) < 16 ? 1 : TESTKIT_SAMPLE) /* to the next one behind the nth */

/* A fresh private directory below $TMPDIR or /tmp; removed by testkit_remove_dir. Caller frees with free().
 */
char *testkit_dir(void);
void testkit_remove_dir(char *dir); /* also frees */

/* Directories from here on are in memory, where the machine has room: for tests that make hundreds, each with its syncs. */
void testkit_dirs_in_memory(void);

/* Copies a directory that a running store goes on with: begun anew where a file goes meanwhile. `to` is not there yet. */
void testkit_copy_running(const char *from, const char *to);

/* What goes to stderr from here on is kept, until testkit_heard gives it out (free()). Not for several threads' at once. */
void testkit_hear(void);
char *testkit_heard(void);

/* Fails the test with the error's text unless rc is ERR_OK. */
#define assert_ok(rc, e)                                                                                     \
    do {                                                                                                     \
        int assert_ok_rc = (rc);                                                                             \
        if (assert_ok_rc != ERR_OK)                                                                          \
            fail_msg("%s:%d: %s: %s", __FILE__, __LINE__, err_name(assert_ok_rc), (e)->text);                \
    } while (0)

/* Fails the test unless rc is the code named. */
#define assert_code(rc, expected, e)                                                                         \
    do {                                                                                                     \
        int assert_code_rc = (rc);                                                                           \
        if (assert_code_rc != (expected))                                                                    \
            fail_msg("%s:%d: %s instead of %s: %s", __FILE__, __LINE__, err_name(assert_code_rc),            \
                     err_name(expected), assert_code_rc ? (e)->text : "");                                   \
    } while (0)

/*
 * Runs `once(arg)` with the 1st, 2nd, 3rd ... pass through `point` failing, until a run passes the point less
 * often than that (of many, with the thread sanitizer: some). `once` checks for itself what must hold, whether or not the
 * fault was met. Returns how many passes were made to fail, or left out.
 */
uint64_t testkit_each_fault(enum fault_point point, int errnum, void (*once)(void *arg), void *arg);

#endif
