/*
 * Several data directories: where partitions go and are found, what is said of one that is missing, exchanged or foreign,
 * one that fails while the others go on, and what a crash leaves.
 */
#include "tests/unit/broker/disks.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/fault.h"
#include "broker/disk.h"
#include "broker/store.h"

/* ---- placing ------------------------------------------------------------------------------------------------------ */

static void test_fewest_first(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "a", 3);
    create(f, "b", 3);
    int on[2] = {0};
    for (int i = 0; i < 3; i++) {
        on[disk_of(f, "a", i)]++;
        on[disk_of(f, "b", i)]++;
    }
    assert_int_equal(on[0], 3);
    assert_int_equal(on[1], 3);
    assert_ok(broker_delete_topic(f->b, "a", &f->e), &f->e);
    create(f, "c", 1);
    assert_ok(broker_add_partitions(f->b, "c", 3, &f->e), &f->e);
    struct disk_info info[2];
    for (size_t i = 0; i < 2; i++)
        broker_disk(f->b, i, &info[i]);
    assert_int_equal(info[0].partitions + info[1].partitions, 6);
    assert_int_equal(info[0].partitions, 3);
    assert_string_equal(info[1].dir, d->second);
}

/* What was written is read after a clean stop and after a kill, with the directories named and without. */
static void test_restarts(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 2);
    assert_int_not_equal(disk_of(f, "t", 0), disk_of(f, "t", 1));
    for (int round = 0; round < 4; round++) {
        produce(f, "t", 0, "a", round, 1);
        produce(f, "t", 1, "b", round, 1);
        if (round % 2)
            disks_kill(d);
        else
            fixture_close(f);
        d->named = round < 2;
        assert_ok(disks_open_again(d), &f->e);
        assert_int_equal(broker_disk_count(f->b), 2);
    }
    expect_all(f, "t", 0, READ_UNCOMMITTED, "a0,a1,a2,a3");
    expect_all(f, "t", 1, READ_UNCOMMITTED, "b0,b1,b2,b3");
    assert_true(there(d->second, "journal"));
}

static void test_group_over_both(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 2);
    struct produce_request r[2];
    buf_reset(&f->batch);
    size_t half = add_batch(f, "x", 0, 1, BATCH_NO_PRODUCER);
    add_batch(f, "y", 0, 1, BATCH_NO_PRODUCER);
    for (int i = 0; i < 2; i++)
        r[i] = (struct produce_request){.topic = "t",
                                        .partition = i,
                                        .data = f->batch.data + (i ? half : 0),
                                        .bytes = i ? f->batch.len - half : half};
    assert_ok(broker_produce(f->b, r, 2, true, &f->e), &f->e);
    assert_int_equal(r[1].appended.base_offset, 0);
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "x0");
    expect_all(f, "t", 1, READ_UNCOMMITTED, "y0");
}

/* ---- which directories ----------------------------------------------------------------------------------------------- */

static void move(const char *from, const char *to)
{
    assert_int_equal(rename(from, to), 0);
}

/* The mount is gone: nothing is made in the empty mount point. */
static void test_missing(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    char *away = mem_printf("%s.away", d->second);
    create(f, "t", 2);
    int32_t lost = disk_of(f, "t", 0) == 1 ? 0 : 1;
    produce(f, "t", 0, "v", 0, 1);
    produce(f, "t", 1, "v", 0, 1);
    fixture_close(f);
    move(d->second, away);
    for (int empty = 0; empty < 2; empty++) {
        if (empty)
            assert_ok(io_mkdirs(d->second, 0755, &f->e), &f->e);
        assert_code(disks_open_again(d), ERR_DISK_FAILED, &f->e);
        assert_non_null(strstr(f->e.text, d->second));
        assert_non_null(strstr(f->e.text, d->id));
        assert_false(there(d->second, "meta.properties"));
    }
    d->allow_missing = true;
    assert_ok(disks_open_again(d), &f->e);
    expect_all(f, "t", 1 - lost, READ_UNCOMMITTED, "v0");
    struct produce_request r = make_request(f, "t", lost, "w", 0, 1, BATCH_NO_PRODUCER);
    assert_code(broker_produce(f->b, &r, 1, false, &f->e), ERR_DISK_FAILED, &f->e);
    struct log_range range;
    assert_code(broker_locate(f->b, "t", lost, 0, 1 << 20, READ_UNCOMMITTED, &range, &f->e), ERR_DISK_FAILED,
                &f->e);
    assert_true(failed(f, "t", lost));
    assert_false(failed(f, "t", 1 - lost));
    produce(f, "t", 1 - lost, "v", 1, 1);
    broker_produce_push(f->b); /* as an event loop does: there is no stage for what is missing */
    create(f, "new", 2);       /* goes where there is a disk */
    assert_int_equal(disk_of(f, "new", 0), 0);
    assert_int_equal(disk_of(f, "new", 1), 0);
    disks_kill(d);
    assert_int_equal(rmdir(d->second), 0);
    move(away, d->second);
    d->allow_missing = false;
    assert_ok(disks_open_again(d), &f->e);
    expect_all(f, "t", lost, READ_UNCOMMITTED, "v0");
    expect_all(f, "t", 1 - lost, READ_UNCOMMITTED, "v0,v1");
    mem_free(away);
}

static void test_exchanged(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    char *other = mem_printf("%s.other", d->second), *away = mem_printf("%s.away", d->second);
    struct fixture g = {.dir = other};
    create(f, "t", 2);
    fixture_close(f);
    fixture_open(&g); /* another hub's directory */
    fixture_close(&g);
    move(d->second, away);
    move(other, d->second);
    assert_code(disks_open_again(d), ERR_DISK_FAILED, &f->e);
    assert_non_null(strstr(f->e.text, d->id));
    move(d->second, other);
    d->second_now = other; /* as a new one: it is another cluster's */
    assert_code(disks_open_again(d), ERR_INVALID, &f->e);
    assert_non_null(strstr(f->e.text, "cluster.id"));
    d->second_now = away; /* the same disk, mounted elsewhere */
    assert_ok(disks_open_again(d), &f->e);
    fixture_close(f);
    d->named = false; /* it is remembered there */
    assert_ok(disks_open_again(d), &f->e);
    struct disk_info info;
    broker_disk(f->b, 1, &info);
    assert_string_equal(info.dir, away);
    fixture_close(f);
    move(away, d->second);
    d->second_now = d->second;
    d->named = true;
    assert_ok(disks_open_again(d), &f->e);
    assert_ok(io_remove_tree(other, &f->e), &f->e);
    mem_free(away);
    mem_free(other);
}

static void test_refused_lists(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    fixture_close(f);
    char *second = d->second_now, *link = mem_printf("%s/", f->dir);
    d->second_now = link;
    assert_code(disks_open_again(d), ERR_INVALID_CONFIG, &f->e);
    assert_non_null(strstr(f->e.text, "twice"));
    d->second_now = second;
    mem_free(link);
    assert_ok(disks_open_again(d), &f->e);
    struct fixture g = {.dir = d->second}; /* locked as well */
    assert_code(try_open(&g), ERR_LOCKED, &g.e);
}

/* A directory that no partition needs may be left out. */
static void test_no_longer_used(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    fixture_close(f);
    char *third = mem_printf("%s.third", d->second), *second = d->second_now;
    d->second_now = third;
    assert_ok(disks_open_again(d), &f->e);
    assert_int_equal(broker_disk_count(f->b), 2);
    fixture_close(f);
    d->second_now = second;
    assert_ok(disks_open_again(d), &f->e);
    assert_ok(io_remove_tree(third, &f->e), &f->e);
    mem_free(third);
}

static void test_partition_twice(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 1);
    produce(f, "t", 0, "v", 0, 1);
    bool main = disk_of(f, "t", 0) == 0;
    fixture_close(f);
    char *command =
        mem_printf("cp -r %s/logs/t-0 %s/logs/", main ? f->dir : d->second, main ? d->second : f->dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    assert_code(disks_open_again(d), ERR_CORRUPT, &f->e);
    assert_non_null(strstr(f->e.text, d->second));
    assert_non_null(strstr(f->e.text, "t-0"));
    command = mem_printf("rm -r %s/logs/t-0", main ? f->dir : d->second); /* moved, then */
    assert_int_equal(system(command), 0);
    mem_free(command);
    assert_ok(disks_open_again(d), &f->e);
    assert_int_equal(disk_of(f, "t", 0), main ? 1 : 0);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "v0");
}

/* ---- one that fails ---------------------------------------------------------------------------------------------------- */

static void fails_at(struct disks *d, enum fault_point point, const char *part, int errnum)
{
    struct fixture *f = &d->f;
    char *path = mem_printf("%s%s", d->second, part);
    create(f, "t", 2);
    int32_t bad = disk_of(f, "t", 0) == 1 ? 0 : 1, good = 1 - bad;
    struct disk_info info;
    produce(f, "t", bad, "b", 0, 1);
    produce(f, "t", good, "g", 0, 1);
    fault_arm_at(point, path, 1, errnum, true);
    assert_int_not_equal(try_produce(f, bad, "lost", 0), ERR_OK);
    for (int i = 0; i < 3; i++) {
        assert_code(try_produce(f, bad, "refused", i), ERR_DISK_FAILED, &f->e);
        assert_non_null(strstr(f->e.text, d->second));
        assert_ok(try_produce(f, good, "g", 1 + i), &f->e);
    }
    fault_disarm();
    assert_code(try_produce(f, bad, "refused", 9), ERR_DISK_FAILED, &f->e); /* until a restart */
    assert_true(failed(f, "t", bad));
    assert_false(failed(f, "t", good));
    assert_false(broker_failed(f->b, &f->e));
    broker_disk(f->b, 1, &info);
    assert_true(info.failed);
    broker_disk(f->b, 0, &info);
    assert_false(info.failed);
    expect_all(f, "t", bad, READ_UNCOMMITTED, "b0"); /* what is committed can be read */
    create(f, "new", 1);
    assert_int_equal(disk_of(f, "new", 0), 0);
    assert_int_equal(broker_close(f->b, &f->e), ERR_DISK_FAILED);
    f->b = NULL;
    assert_ok(disks_open_again(d), &f->e);
    expect_all(f, "t", bad, READ_UNCOMMITTED, "b0");
    expect_all(f, "t", good, READ_UNCOMMITTED, "g0,g1,g2,g3");
    assert_ok(try_produce(f, bad, "b", 1), &f->e);
    mem_free(path);
}

static void test_journal_fails(void **state)
{
    fails_at(*state, FAULT_WRITE, "/journal/", EIO);
}

static void test_segment_fails(void **state)
{
    fails_at(*state, FAULT_WRITE, "/logs/", EIO);
}

static void test_read_only(void **state)
{
    fails_at(*state, FAULT_WRITE, "/", EROFS);
}

/* A failed sync of a log, met by the upkeep of another partition's topic: the disk is out of service, nothing was lost. */
static void test_log_sync_fails(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 2);
    int32_t bad = disk_of(f, "t", 0) == 1 ? 0 : 1;
    produce(f, "t", bad, "b", 0, 1);
    produce(f, "t", 1 - bad, "g", 0, 1);
    char *path = mem_printf("%s/logs/", d->second);
    int64_t low;
    fault_arm_at(FAULT_SYNC, path, 1, EIO, true);
    assert_int_not_equal(broker_delete_records(f->b, "t", bad, -1, &low, &f->e), ERR_OK); /* flushes first */
    fault_disarm();
    assert_code(try_produce(f, bad, "refused", 0), ERR_DISK_FAILED, &f->e);
    assert_ok(try_produce(f, 1 - bad, "g", 1), &f->e);
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    expect_all(f, "t", bad, READ_UNCOMMITTED, "b0");
    expect_all(f, "t", 1 - bad, READ_UNCOMMITTED, "g0,g1");
    mem_free(path);
}

/*
 * A disk comes back whose checkpoints name a topic that was deleted and made anew without it: what they say is not taken for
 * a partition that the new topic gets there.
 */
static void test_old_checkpoints_of_a_disk_that_comes_back(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 2);
    assert_int_equal(disk_of(f, "t", 1), 1);
    for (int i = 0; i < 50; i++)
        for (int32_t p = 0; p < 2; p++)
            produce(f, "t", p, "old", i, 1);
    fixture_restart_disks(d); /* which writes the checkpoints */
    fault_arm_at(FAULT_WRITE, d->second, 1, EIO, true);
    for (int32_t p = 0; p < 2; p++) {
        struct produce_request r = make_request(f, "t", p, "x", 0, 1, BATCH_NO_PRODUCER);
        broker_produce(f->b, &r, 1, false, &f->e);
    }
    fault_disarm();
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    create(f, "t", 1);
    assert_int_equal(disk_of(f, "t", 0), 0);
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    assert_ok(broker_add_partitions(f->b, "t", 3, &f->e), &f->e);
    for (int32_t p = 1; p < 3; p++)
        produce(f, "t", p, "new", 0, 1);
    assert_int_equal(disk_of(f, "t", 1), 1);
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    for (int32_t p = 1; p < 3; p++) {
        expect_all(f, "t", p, READ_COMMITTED, "new0");
        assert_int_equal(partition_of(f, "t", p).end_offset, 1);
    }
}

/* Whoever asks how the disks are is answered while a topic is being changed, even if that hangs. */
static void test_told_during_a_change(void **state)
{
    struct disks *d = *state;
    struct disk_info info;
    create(&d->f, "t", 4);
    pthread_mutex_lock(&d->f.b->admin);
    broker_disk(d->f.b, 1, &info);
    pthread_mutex_unlock(&d->f.b->admin);
    assert_int_equal(info.partitions, 2);
}

/* Without the main one nothing synced is appended anywhere. */
static void test_main_fails(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    char *path = mem_printf("%s/journal/", f->dir);
    create(f, "t", 2);
    int32_t other = disk_of(f, "t", 0) == 1 ? 0 : 1;
    produce(f, "t", 0, "v", 0, 1);
    produce(f, "t", 1, "v", 0, 1);
    fault_arm_at(FAULT_WRITE, path, 1, EIO, true);
    assert_int_not_equal(try_produce(f, 1 - other, "lost", 0), ERR_OK);
    fault_disarm();
    assert_code(try_produce(f, other, "refused", 0), ERR_DISK_FAILED, &f->e);
    assert_non_null(strstr(f->e.text, f->dir));
    assert_true(broker_failed(f->b, &f->e));
    expect_all(f, "t", 0, READ_UNCOMMITTED, "v0");
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    expect_all(f, "t", other, READ_UNCOMMITTED, "v0");
    assert_ok(try_produce(f, other, "v", 1), &f->e);
    mem_free(path);
}

/* Its full disk refuses, the other one accepts; with room again it works. */
static void test_full(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 2);
    int32_t full = disk_of(f, "t", 0) == 1 ? 0 : 1;
    produce(f, "t", full, "v", 0, 1);
    char *path = mem_printf("%s/", d->second);
    fault_arm_at(FAULT_WRITE, path, 1, ENOSPC, true);
    for (int i = 0; i < 3; i++) {
        assert_code(try_produce(f, full, "refused", i), ERR_NO_SPACE, &f->e);
        assert_non_null(strstr(f->e.text, d->second));
        assert_ok(try_produce(f, 1 - full, "g", i), &f->e);
    }
    struct disk_info info[2];
    for (size_t i = 0; i < 2; i++)
        broker_disk(f->b, i, &info[i]);
    assert_true(info[1].full);
    assert_false(info[0].full);
    assert_false(info[1].failed);
    fault_disarm();
    assert_ok(try_produce(f, full, "v", 1), &f->e);
    expect_all(f, "t", full, READ_UNCOMMITTED, "v0,v1");
    mem_free(path);
}

/* Batches that were sent ahead of one that was refused for want of room are refused for the same reason, not for the gap. */
static void test_full_under_a_pipeline(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    static const int errors[] = {ERR_OK, ERR_NO_SPACE, ERR_NO_SPACE, ERR_OK, ERR_OK, ERR_OK};
    static const int sequences[] = {0, 1, 2, 1, 2, 3};
    create(f, "t", 2);
    int32_t full = disk_of(f, "t", 0) == 1 ? 0 : 1;
    char *path = mem_printf("%s/", d->second);
    struct produce_request r;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (i == 1)
            fault_arm_at(FAULT_WRITE, path, 1, ENOSPC, false);
        r = make_request(f, "t", full, "v", sequences[i], 1,
                         (struct batch_producer){7, 0, sequences[i], false});
        assert_code(broker_produce(f->b, &r, 1, false, &f->e), errors[i], &f->e);
    }
    expect_all(f, "t", full, READ_UNCOMMITTED, "v0,v1,v2,v3");
    mem_free(path);
}

/*
 * Where what the checkpoints say of a deleted topic cannot be written away, no new partition goes; the others take them. With
 * room again it takes some, too.
 */
static void test_full_with_old_checkpoints(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    create(f, "t", 2);
    for (int32_t p = 0; p < 2; p++)
        produce(f, "t", p, "v", 0, 1);
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    fault_arm_at(FAULT_WRITE, d->second, 1, ENOSPC, true);
    create(f, "t", 2);
    for (int32_t p = 0; p < 2; p++)
        assert_int_equal(disk_of(f, "t", p), 0);
    fault_disarm();
    assert_ok(broker_add_partitions(f->b, "t", 4, &f->e), &f->e);
    for (int32_t p = 2; p < 4; p++)
        assert_int_equal(disk_of(f, "t", p), 1);
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    fault_arm_at(FAULT_WRITE, "checkpoint", 1, ENOSPC, true); /* now on both */
    assert_code(broker_create_topic(f->b, "t", 2, NULL, 0, NULL, &f->e), ERR_NO_SPACE, &f->e);
    fault_disarm();
    create(f, "t", 2);
    assert_int_not_equal(disk_of(f, "t", 0), disk_of(f, "t", 1));
}

/* Many writers, each to both disks in one call, while the second one fails: nobody hangs, and what was acknowledged stays. */
struct writer {
    struct fixture f; /* the broker is shared, the rest is its own */
    pthread_t thread;
    int id;
    int acknowledged[2];
};

enum { WRITERS = 6, CALLS = 60 };

static void *write_both(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; i < CALLS; i++) {
        struct produce_request r[2];
        size_t at[3] = {0};
        buf_reset(&w->f.batch);
        for (int p = 0; p < 2; p++)
            at[p + 1] = at[p] + add_batch(&w->f, "w", w->id * CALLS + i, 1, BATCH_NO_PRODUCER);
        for (int p = 0; p < 2; p++)
            r[p] = (struct produce_request){
                .topic = "t", .partition = p, .data = w->f.batch.data + at[p], .bytes = at[p + 1] - at[p]};
        broker_produce(w->f.b, r, 2, i % 2, &w->f.e);
        for (int p = 0; p < 2; p++)
            w->acknowledged[p] += r[p].error.code == ERR_OK;
    }
    return NULL;
}

static void test_writers_while_a_disk_fails(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    static struct writer w[WRITERS];
    int sure[2] = {0};
    create(f, "t", 2);
    int32_t bad = disk_of(f, "t", 0) == 1 ? 0 : 1;
    char *path = mem_printf("%s/journal/", d->second);
    fault_arm_at(FAULT_WRITE, path, 40, EIO, true);
    memset(w, 0, sizeof w);
    for (int i = 0; i < WRITERS; i++) {
        w[i].f.b = f->b;
        w[i].id = i;
        buf_init(&w[i].f.batch, 1 << 20);
        assert_int_equal(pthread_create(&w[i].thread, NULL, write_both, &w[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(w[i].thread, NULL);
        for (int p = 0; p < 2; p++)
            sure[p] += w[i].acknowledged[p];
        buf_free(&w[i].f.batch);
    }
    fault_disarm();
    assert_true(failed(f, "t", bad));
    assert_true(sure[bad] > 0 && sure[bad] < WRITERS * CALLS);
    assert_true(sure[1 - bad] > sure[bad]);
    disks_kill(d);
    assert_ok(disks_open_again(d), &f->e);
    assert_int_equal(partition_of(f, "t", bad).end_offset, sure[bad]);
    assert_int_equal(partition_of(f, "t", 1 - bad).end_offset, sure[1 - bad]);
    mem_free(path);
}

/* ---- room --------------------------------------------------------------------------------------------------------------- */

static void test_low_space(void **state)
{
    enum { MIB = 1 << 20 };
    (void)state;
    assert_false(space_is_low(false, 1000 * MIB, 51 * MIB, 1024 * (int64_t)MIB, 5));
    assert_true(space_is_low(false, 1000 * MIB, 49 * MIB, 1024 * (int64_t)MIB, 5));
    assert_true(
        space_is_low(true, 1000 * MIB, 61 * MIB, 1024 * (int64_t)MIB, 5)); /* a quarter more is asked for */
    assert_false(space_is_low(true, 1000 * MIB, 63 * MIB, 1024 * (int64_t)MIB, 5));
    assert_false(space_is_low(false, 1000 * MIB, 49 * MIB, 48 * MIB, 5)); /* whichever is less */
    assert_true(space_is_low(false, 1000 * MIB, 47 * MIB, 48 * MIB, 5));
}

static void test_told_low(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    struct disk_info info;
    broker_disk(f->b, 1, &info);
    assert_true(info.total_bytes > 0 && info.free_bytes > 0 && info.free_bytes <= info.total_bytes);
    fixture_close(f);
    d->warn_percent = 100;
    assert_ok(disks_open_again(d), &f->e);
    broker_disk(f->b, 1, &info);
    assert_true(info.low);
    fixture_close(f);
    d->warn_percent = -1;
    assert_ok(disks_open_again(d), &f->e);
    broker_disk(f->b, 1, &info);
    assert_false(info.low);
}

/* Old data goes from one disk while another is so full that not even its checkpoints can be written. */
static void test_retention_beside_a_full_disk(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    struct topic_config_entry config[] = {{"segment.bytes", "1048576"}, {"retention.bytes", "1000000"}};
    fixture_close(f);
    d->no_threads = true;
    assert_ok(disks_open_again(d), &f->e);
    assert_ok(broker_create_topic(f->b, "t", 2, config, 2, NULL, &f->e), &f->e);
    int32_t full = disk_of(f, "t", 0) == 1 ? 0 : 1;
    f->key_bytes = 60000;
    for (int i = 0; i < 50; i++)
        for (int32_t p = 0; p < 2; p++)
            produce(f, "t", p, "v", i, 1);
    f->key_bytes = 0;
    char *points = mem_printf("%s/logs/recovery-point", d->second);
    fault_arm_at(FAULT_WRITE, points, 1, ENOSPC, true);
    broker_step(f->b, clock_mono_ms() + 600000);
    assert_int_equal(partition_of(f, "t", full).log_start_offset, 0);
    assert_true(partition_of(f, "t", 1 - full).log_start_offset > 0);
    fault_disarm();
    broker_step(f->b, clock_mono_ms() + 1200000);
    assert_true(partition_of(f, "t", full).log_start_offset > 0);
    mem_free(points);
}

/*
 * Without any room a topic can still be deleted, by the reserve; it comes back when there is room, which here is at once: then
 * it is another file.
 */
static void test_reserve(void **state)
{
    struct disks *d = *state;
    struct fixture *f = &d->f;
    struct disk_info info;
    struct stat before, after;
    char *reserve = mem_printf("%s/reserve", f->dir);
    create(f, "t", 2);
    produce(f, "t", 0, "v", 0, 1);
    broker_disk(f->b, 0, &info); /* looks, and makes it */
    assert_int_equal(stat(reserve, &before), 0);
    char *meta = mem_printf("%s/logs/__cluster_metadata-0/", f->dir);
    fault_arm_at(FAULT_WRITE, meta, 1, ENOSPC, false);
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    fault_disarm();
    if (stat(reserve, &after) == 0) {
        assert_memory_not_equal(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim);
        assert_int_equal(unlink(reserve), 0);
    }
    fault_arm_at(FAULT_WRITE, meta, 1, ENOSPC, false);
    assert_code(broker_create_topic(f->b, "u", 1, NULL, 0, NULL, &f->e), ERR_NO_SPACE,
                &f->e); /* there is no second one */
    fault_disarm();
    create(f, "u", 1);
    broker_disk(f->b, 0, &info);
    assert_true(there(f->dir, "reserve"));
    mem_free(meta);
    mem_free(reserve);
    fixture_restart_disks(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fewest_first, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_restarts, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_group_over_both, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_missing, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_exchanged, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_refused_lists, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_no_longer_used, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_partition_twice, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_journal_fails, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_segment_fails, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_read_only, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_log_sync_fails, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_old_checkpoints_of_a_disk_that_comes_back, disks_setup,
                                        disks_teardown),
        cmocka_unit_test_setup_teardown(test_told_during_a_change, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_main_fails, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_full, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_full_under_a_pipeline, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_full_with_old_checkpoints, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_writers_while_a_disk_fails, disks_setup, disks_teardown),
        cmocka_unit_test(test_low_space),
        cmocka_unit_test_setup_teardown(test_told_low, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_retention_beside_a_full_disk, disks_setup, disks_teardown),
        cmocka_unit_test_setup_teardown(test_reserve, disks_setup, disks_teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
