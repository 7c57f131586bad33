/*
 * Whose directory is it: empty, ours, half made, foreign, Kafka's.
 */
#include "tests/unit/broker/helper.h"

#include <errno.h>

#include "base/diag.h"
#include "base/fault.h"
#include "base/io.h"

static int setup_dir(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->dir = testkit_dir();
    buf_init(&f->batch, 1 << 20);
    *state = f;
    return 0;
}

static void put(struct fixture *f, const char *name, bool dir)
{
    char *path = mem_printf("%s/%s", f->dir, name);
    if (dir)
        assert_ok(io_mkdirs(path, 0755, &f->e), &f->e);
    else
        assert_ok(io_replace_file(path, "x", 1, 0644, &f->e), &f->e);
    mem_free(path);
}

static bool there(struct fixture *f, const char *name)
{
    char *path = mem_printf("%s/%s", f->dir, name);
    bool found = io_exists(path);
    mem_free(path);
    return found;
}

static void test_foreign(void **state)
{
    struct fixture *f = *state;
    put(f, "thesis.tex", false);
    assert_code(try_open(f), ERR_INVALID, &f->e);
    assert_non_null(strstr(f->e.text, "thesis.tex"));
    assert_non_null(strstr(f->e.text, f->dir));
    assert_false(there(f, "lock")); /* nothing was written */
    assert_false(there(f, "logs"));
}

static void test_kafkas(void **state)
{
    struct fixture *f = *state;
    put(f, "orders-0", true);
    assert_code(try_open(f), ERR_INVALID, &f->e);
    assert_non_null(strstr(f->e.text, "Kafka"));
    put(f, "meta.properties", false);
    assert_code(try_open(f), ERR_INVALID, &f->e);
    assert_non_null(strstr(f->e.text, "leat kafka import"));
    assert_false(there(f, "lock"));
}

static void test_mount_point(void **state)
{
    struct fixture *f = *state;
    put(f, "lost+found", true);
    fixture_open(f);
    put(f, "notes of the operator", false); /* in a directory that is ours nobody minds */
    fixture_restart(f);
}

/* A first start that failed at any change of names is no stranger to the next one. */
static void test_half_made(void **state)
{
    struct fixture *f = *state;
    for (uint64_t nth = 1; nth < 40; nth++) {
        fault_arm(FAULT_META, nth, EIO, false);
        int rc = try_open(f);
        fault_disarm();
        if (!rc) {
            fixture_close(f);
            assert_true(nth > 4);
            return;
        }
        fixture_open(f);
        fixture_close(f);
        assert_ok(io_remove_tree(f->dir, &f->e), &f->e);
    }
    fail_msg("every start failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_foreign, setup_dir, teardown),
        cmocka_unit_test_setup_teardown(test_kafkas, setup_dir, teardown),
        cmocka_unit_test_setup_teardown(test_mount_point, setup_dir, teardown),
        cmocka_unit_test_setup_teardown(test_half_made, setup_dir, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
