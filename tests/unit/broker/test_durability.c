/*
 * The change of a topic from page-cache to sync and back: whatever was acknowledged before, while and after it outlives a
 * kill at any moment of it.
 */
#include "tests/unit/broker/helper.h"

#include <pthread.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/io_watch.h"

/* Appends at each sync while the change runs, and keeps what a kill would leave then. */
struct change {
    struct fixture *f, append; /* `append`: the same broker with buffers of its own */
    pthread_t thread;          /* the one that makes the change */
    bool inside;
    int images, acknowledged;
    int expected[64]; /* records in each image */
};

static char *image_path(struct fixture *f, int i)
{
    return mem_printf("%s.%d", f->dir, i);
}

static void at_sync(void *arg, struct io_event *ev)
{
    struct change *c = arg;
    if (!pthread_equal(pthread_self(), c->thread) || ev->op != IO_OP_SYNC || !ev->done || c->inside ||
        c->images == 64)
        return;
    c->inside = true;
    struct produce_request r = make_request(&c->append, "t", 0, "v", c->acknowledged, 1, BATCH_NO_PRODUCER);
    int rc = broker_produce(c->append.b, &r, 1, false, &c->append.e);
    if (!rc)
        c->acknowledged++;
    char *image = image_path(c->f, c->images);
    testkit_copy_running(c->f->dir, image);
    c->expected[c->images++] = c->acknowledged;
    mem_free(image);
    c->inside = false;
}

static void count_record(void *arg, const struct batch_header *h, const struct record *r)
{
    (void)h;
    (void)r;
    (*(int *)arg)++;
}

static void expect_images(struct change *c)
{
    for (int i = 0; i < c->images; i++) {
        struct fixture image = {.dir = image_path(c->f, i)};
        int n = 0;
        fixture_open(&image);
        each_record(&image, "t", 0, 0, READ_UNCOMMITTED, count_record, &n);
        assert_int_equal(n, c->expected[i]);
        fixture_close(&image);
        assert_ok(io_remove_tree(image.dir, &image.e), &image.e);
        mem_free(image.dir);
    }
}

static void alter(struct fixture *f, const char *durability)
{
    struct topic_config_entry config = {"durability", durability};
    assert_ok(broker_alter_topic(f->b, "t", &config, 1, &f->e), &f->e);
}

static void change_from_to(struct fixture *f, const char *from, const char *to)
{
    struct topic_config_entry config = {"durability", from};
    struct change c = {.f = f, .append = {.b = f->b}, .thread = pthread_self()};
    buf_init(&c.append.batch, 1 << 20);
    assert_ok(broker_create_topic(f->b, "t", 1, &config, 1, NULL, &f->e), &f->e);
    for (int i = 0; i < 3; i++)
        produce(f, "t", 0, "v", c.acknowledged++, 1);
    io_watch(at_sync, &c);
    alter(f, to);
    io_watch(NULL, NULL);
    assert_true(c.images > 1);
    assert_true(c.acknowledged > 3);
    expect_images(&c);
    produce(f, "t", 0, "v", c.acknowledged, 1);
    fixture_restart(f);
    buf_free(&c.append.batch);
}

static void test_to_sync(void **state)
{
    change_from_to(*state, "page-cache", "sync");
}

static void test_to_page_cache(void **state)
{
    change_from_to(*state, "sync", "page-cache");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_to_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(test_to_page_cache, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
