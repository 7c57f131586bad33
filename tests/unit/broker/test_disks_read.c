/*
 * Data directories that cannot be read any more: Kafka takes one offline for a read that fails (KIP-112).
 */
#include "tests/unit/broker/disks.h"

#include <errno.h>

#include "base/diag.h"

/* Reads the first record; the fault is met while it is found, or else while its bytes are read. */
static int read_first(struct fixture *f, int32_t partition, bool found_first, const char *path)
{
    struct log_range range;
    uint8_t bytes[64];
    if (!found_first)
        fault_arm_at(FAULT_READ, path, 1, EIO, false);
    int rc = broker_locate(f->b, "t", partition, 0, 1 << 20, READ_COMMITTED, &range, &f->e);
    if (rc)
        return rc;
    if (found_first)
        fault_arm_at(FAULT_READ, path, 1, EIO, false);
    rc = broker_read(f->b, "t", partition, &range, 0, bytes, sizeof bytes, &f->e);
    log_range_release(&range);
    return rc;
}

/* As Kafka takes a directory offline: one bad sector is a reason to look at the disk. What can be read is read. */
static void unreadable(struct disks *d, bool found_first)
{
    struct fixture *f = &d->f;
    create(f, "t", 4);
    for (int32_t p = 0; p < 4; p++)
        produce(f, "t", p, "v", 0, 1);
    int32_t bad = 0, beside, good;
    while (disk_of(f, "t", bad) != 1)
        bad++;
    beside = bad + 2; /* they take turns */
    good = (bad + 1) % 2;
    assert_int_equal(disk_of(f, "t", beside), 1);
    assert_int_equal(disk_of(f, "t", good), 0);
    char *path = mem_printf("%s/logs/t-%d/", d->second, bad);
    assert_code(read_first(f, bad, found_first, path), ERR_IO, &f->e);
    fault_disarm();
    for (int32_t p = bad; p <= beside; p += 2) {
        assert_code(try_produce(f, p, "refused", 0), ERR_DISK_FAILED, &f->e);
        assert_non_null(strstr(f->e.text, path));
        expect_all(f, "t", p, READ_COMMITTED, "v0");
    }
    assert_ok(try_produce(f, good, "v", 1), &f->e);
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    assert_ok(try_produce(f, bad, "v", 1), &f->e);
    expect_all(f, "t", bad, READ_COMMITTED, "v0,v1");
    mem_free(path);
}

static void test_unreadable_headers(void **state)
{
    unreadable(*state, false);
}

static void test_unreadable_bytes(void **state)
{
    unreadable(*state, true);
}

/* Of the main one the log alone. */
static void test_unreadable_in_the_main_one(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 4);
    for (int32_t p = 0; p < 4; p++)
        produce(f, "t", p, "v", 0, 1);
    int32_t bad = disk_of(f, "t", 0) == 0 ? 0 : 1;
    char *path = mem_printf("%s/logs/t-%d/", f->dir, bad);
    assert_code(read_first(f, bad, true, path), ERR_IO, &f->e);
    fault_disarm();
    assert_code(try_produce(f, bad, "refused", 0), ERR_LOG_FAILED, &f->e);
    for (int32_t p = 0; p < 4; p++)
        if (p != bad)
            assert_ok(try_produce(f, p, "v", 1), &f->e);
    expect_all(f, "t", bad, READ_COMMITTED, "v0");
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    assert_ok(try_produce(f, bad, "v", 1), &f->e);
    mem_free(path);
}

/* What was located before its topic was made anew is nothing that the new one answers for. */
static void test_unreadable_of_a_former_topic(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    struct log_range range;
    uint8_t byte;
    create(f, "t", 2);
    produce(f, "t", 0, "v", 0, 1);
    assert_ok(broker_locate(f->b, "t", 0, 0, 1 << 20, READ_COMMITTED, &range, &f->e), &f->e);
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    create(f, "t", 2);
    for (int32_t p = 0; p < 2; p++)
        produce(f, "t", p, "w", 0, 1);
    fault_arm_at(FAULT_READ, "/logs/t-0/", 1, EIO, false);
    assert_code(broker_read(f->b, "t", 0, &range, 0, &byte, 1, &f->e), ERR_IO, &f->e);
    fault_disarm();
    log_range_release(&range);
    for (int32_t p = 0; p < 2; p++)
        assert_ok(try_produce(f, p, "w", 1), &f->e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unreadable_headers, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_unreadable_bytes, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_unreadable_in_the_main_one, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_unreadable_of_a_former_topic, disks_setup, disks_teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
