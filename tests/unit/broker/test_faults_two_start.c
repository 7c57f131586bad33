/* faults.h: while a broker with two data directories recovers. */
#include "tests/unit/broker/faults.h"

static void test_each_fault_with_two_directories(void **state)
{
    (void)state;
    two = true;
    each_fault_in_recovery();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fault_with_two_directories),
    };
    testkit_dirs_in_memory();
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
