/*
 * disks: a broker over two data directories, for tests: killed by copying what it has written and leaving it behind.
 */
#ifndef LEAT_TESTS_BROKER_DISKS_H
#define LEAT_TESTS_BROKER_DISKS_H

#include "tests/unit/broker/helper.h"

#include "base/fault.h"
#include "base/io.h"

struct disks {
    struct fixture f;
    char *second;            /* the second directory as it is made */
    char *second_now;        /* as it is named now */
    char id[UUID_TEXT_SIZE]; /* its directory.id */
    bool named;              /* when it is opened again */
    bool allow_missing;
    int32_t warn_percent; /* of free space; the bytes are no limit then */
    bool no_threads;
};

static inline bool there(const char *dir, const char *name)
{
    char *path = mem_printf("%s/%s", dir, name);
    bool found = io_exists(path);
    mem_free(path);
    return found;
}

static inline int disks_open_again(struct disks *d)
{
    const char *dirs[] = {d->second_now};
    struct broker_options o = {.data_dir = d->f.dir,
                               .data_dirs = dirs,
                               .data_dir_count = d->named ? 1 : 0,
                               .journal_file_bytes = 1 << 20,
                               .offsets_partitions = 1,
                               .txn_partitions = 1,
                               .allow_missing_dirs = d->allow_missing,
                               .space_warn_percent = d->warn_percent,
                               .space_warn_bytes = d->warn_percent ? INT64_MAX : 0,
                               .no_threads = d->no_threads};
    return broker_open(&d->f.b, &o, &d->f.e);
}

/* What was written stays, what was in memory is gone: the files are put back as they were before the stop. */
static inline void disks_kill(struct disks *d)
{
    char *saved[2] = {mem_printf("%s.saved", d->f.dir), mem_printf("%s.saved", d->second)};
    const char *dirs[2] = {d->f.dir, d->second};
    struct err e;
    for (int i = 0; i < 2; i++)
        testkit_copy_running(dirs[i], saved[i]);
    broker_close(d->f.b, &e);
    d->f.b = NULL;
    for (int i = 0; i < 2; i++) {
        assert_ok(io_remove_tree(dirs[i], &e), &e);
        assert_int_equal(rename(saved[i], dirs[i]), 0);
        mem_free(saved[i]);
    }
}

static inline void fixture_restart_disks(struct disks *d)
{
    fixture_close(&d->f);
    assert_ok(disks_open_again(d), &d->f.e);
}

static inline int disks_setup(void **state)
{
    struct disks *d = calloc(1, sizeof *d);
    struct disk_info info;
    d->f.dir = testkit_dir();
    d->second = d->second_now = testkit_dir();
    d->named = true;
    buf_init(&d->f.batch, 64 << 20);
    assert_ok(disks_open_again(d), &d->f.e);
    broker_disk(d->f.b, 1, &info);
    memcpy(d->id, info.id, sizeof d->id);
    *state = d;
    return 0;
}

static inline int disks_teardown(void **state)
{
    struct disks *d = *state;
    struct err e;
    fault_disarm();
    if (d->f.b)
        broker_close(d->f.b, &e);
    buf_free(&d->f.batch);
    testkit_remove_dir(d->f.dir);
    testkit_remove_dir(d->second);
    free(d);
    return 0;
}

static inline struct partition_info partition_of(struct fixture *f, const char *topic, int32_t partition)
{
    struct topic_info t;
    assert_ok(broker_topic(f->b, topic, &t, &f->e), &f->e);
    struct partition_info p = t.partitions[partition];
    topic_info_free(&t);
    return p;
}

static inline int32_t disk_of(struct fixture *f, const char *topic, int32_t partition)
{
    return partition_of(f, topic, partition).disk;
}

static inline bool failed(struct fixture *f, const char *topic, int32_t partition)
{
    return partition_of(f, topic, partition).failed;
}

/* One record to a partition of "t". */
static inline int try_produce(struct fixture *f, int32_t partition, const char *prefix, int i)
{
    struct produce_request r = make_request(f, "t", partition, prefix, i, 1, BATCH_NO_PRODUCER);
    return broker_produce(f->b, &r, 1, false, &f->e);
}

#endif
