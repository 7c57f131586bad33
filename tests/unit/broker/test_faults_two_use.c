/* faults.h: while a broker with two data directories is in use. */
#include "tests/unit/broker/faults.h"

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fault_in_use),
    };
    return cmocka_run_group_tests(tests, with_two_directories, NULL);
}
