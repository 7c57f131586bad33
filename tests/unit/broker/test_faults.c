/* faults.h: while a broker with one data directory is in use, and while it recovers. */
#include "tests/unit/broker/faults.h"

static void test_each_fault_in_use(void **state)
{
    (void)state;
    each_fault_in_use();
}

static void test_each_fault_in_recovery(void **state)
{
    (void)state;
    each_fault_in_recovery();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fault_in_use),
        cmocka_unit_test(test_each_fault_in_recovery),
    };
    testkit_dirs_in_memory();
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
