/* faults.h: while a broker with two data directories recovers. */
#include "tests/unit/broker/faults.h"

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fault_in_recovery),
    };
    return cmocka_run_group_tests(tests, with_two_directories, NULL);
}
