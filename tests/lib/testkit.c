/*
 * testkit: see testkit.h.
 */
#include "tests/lib/testkit.h"

#include "base/io.h"

char *testkit_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    char *dir;
    if (asprintf(&dir, "%s/leat-test-XXXXXX", tmp ? tmp : "/tmp") < 0 || !mkdtemp(dir))
        fail_msg("cannot make a private directory");
    return dir;
}

void testkit_remove_dir(char *dir)
{
    struct err e;
    fault_disarm();
    assert_ok(io_remove_tree(dir, &e), &e);
    free(dir);
}

uint64_t testkit_each_fault(enum fault_point point, int errnum, void (*once)(void *arg), void *arg)
{
    for (uint64_t nth = 1;; nth++) {
        fault_arm(point, nth, errnum, false);
        once(arg);
        uint64_t passes = fault_passes(point);
        fault_disarm();
        if (passes < nth)
            return nth - 1;
    }
}
