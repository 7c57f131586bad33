/*
 * No room for a further journal file: appends are refused and leave no trace, until there is room again.
 */
#include "tests/unit/broker/helper.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"

static int try_produce(struct fixture *f, int value)
{
    struct produce_request r[2];
    buf_reset(&f->batch);
    size_t half = add_batch(f, "a", value, 1, BATCH_NO_PRODUCER);
    add_batch(f, "b", value, 1, BATCH_NO_PRODUCER);
    for (int i = 0; i < 2; i++)
        r[i] = (struct produce_request){.topic = i ? "b" : "a",
                                        .data = f->batch.data + (i ? half : 0),
                                        .bytes = i ? f->batch.len - half : half};
    return broker_produce(f->b, r, 2, true, &f->e);
}

static int64_t end_of(struct fixture *f, const char *topic)
{
    struct topic_info t;
    assert_ok(broker_topic(f->b, topic, &t, &f->e), &f->e);
    int64_t end = t.partitions[0].end_offset;
    assert_int_equal(t.partitions[0].high_watermark, end);
    assert_false(t.partitions[0].failed);
    topic_info_free(&t);
    return end;
}

static void test_refused_until_there_is_room(void **state)
{
    struct fixture *f = *state;
    char path[512];
    int n = 0, rc;
    f->key_bytes = 60000;
    create(f, "a", 1);
    create(f, "b", 1);
    assert_ok(try_produce(f, n++), &f->e);
    for (int slot = 0; slot < 50; slot++) { /* the names of further files are taken */
        snprintf(path, sizeof path, "%s/journal/%08d.journal", f->dir, slot);
        mkdir(path, 0700);
    }
    while (!(rc = try_produce(f, n)))
        n++;
    assert_code(rc, ERR_NO_SPACE, &f->e);
    assert_int_equal(end_of(f, "a"), n);
    assert_int_equal(end_of(f, "b"), n);
    for (int slot = 0; slot < 50; slot++) {
        snprintf(path, sizeof path, "%s/journal/%08d.journal", f->dir, slot);
        rmdir(path);
    }
    for (int tries = 0; tries < 10000 && (rc = try_produce(f, n)) == ERR_NO_SPACE; tries++)
        usleep(1000); /* the commit thread makes a file when it was asked in vain */
    assert_ok(rc, &f->e);
    assert_int_equal(end_of(f, "a"), n + 1);
    fixture_restart(f);
    assert_int_equal(end_of(f, "a"), n + 1);
    assert_int_equal(end_of(f, "b"), n + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refused_until_there_is_room, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
