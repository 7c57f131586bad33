/* faults.h: while a broker with one data directory is in use, and while it recovers. */
#include "tests/unit/broker/faults.h"

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fault_in_use),
        cmocka_unit_test(test_each_fault_in_recovery),
    };
    return cmocka_run_group_tests(tests, with_one_directory, NULL);
}
