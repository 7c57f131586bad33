/*
 * No room for a further journal file: appends are refused and leave no trace, until there is room again. And a journal that is
 * not given back as fast as it is written: appends wait, unless waiting could not help.
 */
#include "tests/unit/broker/helper.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/fault.h"
#include "base/io_watch.h"
#include "broker/commit_internal.h"
#include "broker/store.h"

/* One record to each of "a" and "b", or many. */
static int try_produce_many(struct fixture *f, int value, int records)
{
    struct produce_request r[2];
    buf_reset(&f->batch);
    size_t half = add_batch(f, "a", value, records, BATCH_NO_PRODUCER);
    add_batch(f, "b", value, records, BATCH_NO_PRODUCER);
    for (int i = 0; i < 2; i++)
        r[i] = (struct produce_request){.topic = i ? "b" : "a",
                                        .data = f->batch.data + (i ? half : 0),
                                        .bytes = i ? f->batch.len - half : half};
    return broker_produce(f->b, r, 2, true, &f->e);
}

static int try_produce(struct fixture *f, int value)
{
    return try_produce_many(f, value, 1);
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

/* No further file can be made, or again. */
static void block_files(bool block)
{
    if (block)
        fault_arm_at(FAULT_META, "/journal/", 1, ENOSPC, true);
    else
        fault_disarm();
}

static void expect_ends(struct fixture *f, int64_t n)
{
    assert_int_equal(end_of(f, "a"), n);
    assert_int_equal(end_of(f, "b"), n);
}

static void test_refused_until_there_is_room(void **state)
{
    struct fixture *f = *state;
    int n = 0, rc;
    f->key_bytes = 60000;
    create(f, "a", 1);
    create(f, "b", 1);
    assert_ok(try_produce(f, n++), &f->e);
    block_files(true);
    while (!(rc = try_produce(f, n)))
        n++;
    assert_code(rc, ERR_NO_SPACE, &f->e);
    assert_non_null(strstr(f->e.text, f->dir));
    expect_ends(f, n);
    block_files(false);
    assert_ok(try_produce(f, n), &f->e); /* at once */
    expect_ends(f, n + 1);
    fixture_restart(f);
    expect_ends(f, n + 1);
}

/* The file that is there has room for small records, none for this one: it is refused, and nothing else is. */
static void test_record_larger_than_any_file(void **state)
{
    struct fixture *f = *state;
    f->key_bytes = 60000;
    create(f, "a", 1);
    create(f, "b", 1);
    assert_ok(try_produce(f, 0), &f->e);
    block_files(true);
    assert_code(try_produce_many(f, 1, 17), ERR_NO_SPACE, &f->e); /* 2 MB; files have 1 MiB */
    expect_ends(f, 1);
    assert_ok(try_produce(f, 1), &f->e);
    block_files(false);
    assert_ok(try_produce_many(f, 2, 17), &f->e);
    expect_ends(f, 19);
    fixture_restart(f);
    expect_ends(f, 19);
}

/* Many writers meet the full disk together: each is refused or durable, and the journal stays in service. */
struct writer {
    struct fixture f;
    pthread_t thread;
    int accepted, refused;
    _Atomic bool *stop;
};

static void *write_until_refused(void *arg)
{
    struct writer *w = arg;
    while (w->refused < 20 && !atomic_load(w->stop)) {
        struct produce_request r = make_request(&w->f, "a", 0, "x", 0, 4, BATCH_NO_PRODUCER);
        int rc = broker_produce(w->f.b, &r, 1, false, &w->f.e);
        if (rc && rc != ERR_NO_SPACE)
            atomic_store(w->stop, true);
        else if (rc)
            w->refused++;
        else
            w->accepted++;
    }
    return NULL;
}

static void test_writers_meet_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct writer w[8] = {0};
    _Atomic bool stop = false;
    int accepted = 0;
    create(f, "a", 1);
    create(f, "b", 1);
    f->key_bytes = 60000;
    assert_ok(try_produce(f, 0), &f->e);
    block_files(true);
    for (int i = 0; i < 8; i++) {
        w[i] = (struct writer){.f = {.b = f->b, .key_bytes = 50000}, .stop = &stop};
        buf_init(&w[i].f.batch, 64 << 20);
        assert_int_equal(pthread_create(&w[i].thread, NULL, write_until_refused, &w[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(w[i].thread, NULL);
        accepted += w[i].accepted;
        assert_int_equal(w[i].refused, 20);
        buf_free(&w[i].f.batch);
    }
    assert_false(stop);
    block_files(false);
    assert_int_equal(end_of(f, "a"), 1 + 4 * accepted);
    assert_ok(try_produce(f, 1), &f->e);
    fixture_restart(f);
    assert_int_equal(end_of(f, "a"), 2 + 4 * accepted);
}

/* ---- flushing falls behind ---------------------------------------------------------------------------------------- */

enum { FILE_BYTES = 1 << 20, FILES_LIMIT = 16, BATCHES = 200 }; /* the limit of upkeep.c */

static uint64_t waiting_bytes(struct fixture *f)
{
    return journal_sealed_bytes(f->b->disks[0]->journal);
}

static void write_much(struct fixture *f, const char *topic)
{
    f->key_bytes = 60000;
    for (int i = 0; i < BATCHES; i++) /* 36 MB */
        produce(f, topic, 0, "v", 3 * i, 3);
}

static bool somebody_waits(struct commit *c)
{
    pthread_mutex_lock(&c->lock);
    bool waits = c->room_first;
    pthread_mutex_unlock(&c->lock);
    return waits;
}

struct slow {
    struct fixture *f;
    atomic_int syncs;
    uint64_t waiting; /* bytes of the journal, when an append waited */
};

/* The first sync of the segment goes on once an append waits for it. */
static void sync_late(void *arg, struct io_event *ev)
{
    struct slow *s = arg;
    char link[64], path[512];
    if (ev->op != IO_OP_SYNC || ev->done)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", ev->fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    if (!strstr(path, "/a-0/0") || atomic_fetch_add(&s->syncs, 1) > 0)
        return;
    while (!somebody_waits(s->f->b->disks[0]->commit))
        sched_yield();
    s->waiting = waiting_bytes(s->f);
}

static void test_appends_wait_for_the_flushes(void **state)
{
    struct fixture *f = *state;
    struct slow s = {.f = f};
    create(f, "a", 1);
    io_watch(sync_late, &s);
    write_much(f, "a");
    fixture_close(f); /* the watch is ended when no thread is left */
    io_watch(NULL, NULL);
    assert_true(s.waiting >= FILES_LIMIT * FILE_BYTES);
    assert_true(s.waiting <= (FILES_LIMIT + 1) * FILE_BYTES);
    fixture_open(f);
    assert_int_equal(end_of(f, "a"), 3 * BATCHES);
}

/* Where the journal cannot be given back it grows, and the topics go on. */
static void test_nobody_waits_for_what_cannot_be(void **state)
{
    struct fixture *f = *state;
    create(f, "a", 1);
    create(f, "bad", 1);
    produce(f, "bad", 0, "v", 0, 1);
    fault_arm_at(FAULT_SYNC, "/bad-0/", 1, EIO, true);
    fault_arm_at(FAULT_META, ".aside", 1, EIO, true); /* nor set aside */
    write_much(f, "a");
    fault_disarm();
    assert_true(waiting_bytes(f) > FILES_LIMIT * FILE_BYTES);
    assert_int_not_equal(broker_close(f->b, &f->e), ERR_OK); /* says that not all is well */
    fixture_open(f);
    assert_int_equal(end_of(f, "a"), 3 * BATCHES);
    assert_int_equal(end_of(f, "bad"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refused_until_there_is_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_record_larger_than_any_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writers_meet_a_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_appends_wait_for_the_flushes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_waits_for_what_cannot_be, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
