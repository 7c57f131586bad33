/*
 * faults: every allocation, write, sync, read and change of a name fails once, while a broker is opened, used and closed, and while one
 * recovers after a crash. Whatever was acknowledged is there afterwards, exactly once; groups are whole. In several programs, as it takes minutes.
 */
#ifndef LEAT_TESTS_BROKER_FAULTS_H
#define LEAT_TESTS_BROKER_FAULTS_H

#include "tests/unit/broker/helper.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/diag.h"

enum { APPENDS = 3, TXNS = 2 };

/* What was acknowledged in a run. */
struct acked {
    bool topics[2];
    bool append[APPENDS];
    bool txn[TXNS];
    bool offset;
    bool txn_offset;
};

static const char *const topic_names[] = {"t", "u"};
static bool
    two; /* data directories: then t-1 and u-0, in which the transactions are, lie in different ones */

static inline void append_some(struct fixture *f, struct acked *a)
{
    for (int i = 0; i < APPENDS; i++) {
        struct produce_request r = make_request(f, "t", 0, "p", i, 1, BATCH_NO_PRODUCER);
        r.built_here = i == 1;
        a->append[i] = broker_produce(f->b, &r, 1, false, &f->e) == ERR_OK;
    }
}

static inline void commit_txns(struct fixture *f, struct acked *a)
{
    int64_t id;
    int16_t epoch;
    int32_t sequence = 0;
    if (broker_init_producer(f->b, "x", 60000, &id, &epoch, &f->e))
        return;
    for (int i = 0; i < TXNS; i++) {
        struct batch_producer p = {id, epoch, sequence, true};
        struct produce_request r[2];
        buf_reset(&f->batch);
        size_t n = add_batch(f, "x", i, 1, p);
        add_batch(f, "x", i, 1, p);
        r[0] = (struct produce_request){.topic = "t", .partition = 1, .data = f->batch.data, .bytes = n};
        r[1] = (struct produce_request){.topic = "u", .data = f->batch.data + n, .bytes = f->batch.len - n};
        a->txn[i] = broker_txn_commit_all(f->b, "x", id, epoch, r, 2, &f->e) == ERR_OK;
        if (a->txn[i])
            sequence++;
    }
    struct group_offset o = {.topic = "t", .offset = 2, .leader_epoch = -1};
    a->txn_offset = broker_txn_commit_offsets(f->b, "x", id, epoch, "h", &o, 1, &f->e) == ERR_OK &&
                    broker_txn_end(f->b, "x", id, epoch, true, &f->e) == ERR_OK;
}

static inline void use(struct fixture *f, struct acked *a)
{
    struct group_offset o = {.topic = "t", .offset = 1, .leader_epoch = -1};
    for (int i = 0; i < 2; i++)
        a->topics[i] = broker_create_topic(f->b, topic_names[i], 2, NULL, 0, NULL, &f->e) == ERR_OK;
    append_some(f, a);
    commit_txns(f, a);
    a->offset = broker_commit_offsets(f->b, "g", &o, 1, &f->e) == ERR_OK;
}

static inline int count_of(const char *all, const char *value)
{
    int n = 0;
    size_t len = strlen(value);
    for (const char *at = all; (at = strstr(at, value)); at += len)
        if ((at == all || at[-1] == ',') && (at[len] == '\0' || at[len] == ','))
            n++;
    return n;
}

static inline int count_in(struct fixture *f, const char *topic, int32_t partition, const char *value)
{
    struct topic_info info;
    struct buf all;
    if (broker_topic(f->b, topic, &info, &f->e))
        return 0;
    topic_info_free(&info);
    read_all(f, topic, partition, 0, READ_COMMITTED, &all);
    int n = count_of((char *)all.data, value);
    buf_free(&all);
    return n;
}

static inline void verify(struct fixture *f, const struct acked *a)
{
    char value[16];
    int64_t offset;
    for (int i = 0; i < APPENDS; i++) {
        snprintf(value, sizeof value, "p%d", i);
        int n = count_in(f, "t", 0, value);
        assert_true(n <= 1 && n >= a->append[i]);
    }
    for (int i = 0; i < TXNS; i++) {
        snprintf(value, sizeof value, "x%d", i);
        int n = count_in(f, "t", 1, value);
        assert_true(n <= 1 && n >= a->txn[i]);
        assert_int_equal(count_in(f, "u", 0, value), n);
    }
    assert_ok(broker_fetch_offset(f->b, "g", "t", 0, &offset, &f->e), &f->e);
    assert_true(offset == 1 || (offset == -1 && !a->offset));
    assert_ok(broker_fetch_offset(f->b, "h", "t", 0, &offset, &f->e), &f->e);
    assert_true(offset == 2 || (offset == -1 && !a->txn_offset));
    for (int i = 0; i < 2; i++) {
        struct topic_info info;
        int rc = broker_topic(f->b, topic_names[i], &info, &f->e);
        assert_true(rc == ERR_OK || (rc == ERR_UNKNOWN_TOPIC && !a->topics[i]));
        if (!rc)
            topic_info_free(&info);
    }
}

/* And it works again. */
static inline void verify_usable(struct fixture *f)
{
    int rc = broker_create_topic(f->b, "again", 1, NULL, 0, NULL, &f->e);
    assert_ok(rc, &f->e);
    produce(f, "again", 0, "v", 0, 1);
    expect_all(f, "again", 0, READ_COMMITTED, "v0");
}

static inline void batches_without_faults(struct fixture *f)
{
    buf_init(&f->batch, 1 << 20);
    struct err e;
    buf_reserve(&f->batch, 1 << 16, &e);
}

static inline void open_use_close(void *arg)
{
    struct fixture f = {.dir = testkit_dir(), .two = two};
    struct acked a = {0};
    struct err ignored;
    (void)arg;
    batches_without_faults(&f);
    if (try_open(&f) == ERR_OK) {
        use(&f, &a);
        broker_close(f.b, &ignored); /* the first error of the run may come from here, too */
    }
    fault_disarm();
    assert_ok(try_open(&f), &f.e);
    verify(&f, &a);
    verify_usable(&f);
    assert_ok(broker_close(f.b, &f.e), &f.e);
    buf_free(&f.batch);
    testkit_remove_dir(f.dir);
}

static inline void make_crashed(struct fixture *f, struct acked *a)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        if (try_open(f))
            _exit(1);
        use(f, a);
        if (write(fds[1], a, sizeof *a) != sizeof *a)
            _exit(2);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(read(fds[0], a, sizeof *a), sizeof *a);
    close(fds[0]);
    close(fds[1]);
}

struct crashed {
    char *dir;
    struct acked acked;
};

static inline void recover_once(void *arg)
{
    const struct crashed *c = arg;
    struct fixture f = {.dir = testkit_dir(), .two = two};
    struct err ignored;
    char command[600];
    batches_without_faults(&f);
    snprintf(command, sizeof command, "cp -r %s/. %s", c->dir, f.dir);
    assert_int_equal(system(command), 0);
    if (try_open(&f) == ERR_OK)
        broker_close(f.b, &ignored);
    fault_disarm();
    assert_ok(try_open(&f), &f.e);
    verify(&f, &c->acked);
    verify_usable(&f);
    assert_ok(broker_close(f.b, &f.e), &f.e);
    buf_free(&f.batch);
    testkit_remove_dir(f.dir);
}

static const struct {
    enum fault_point point;
    int errnum;
} faults[] = {{FAULT_ALLOC, ENOMEM}, {FAULT_WRITE, ENOSPC}, {FAULT_WRITE, EIO},
              {FAULT_SYNC, EIO},     {FAULT_READ, EIO},     {FAULT_META, EIO}};

static inline void report(size_t i, uint64_t met)
{
    print_message("point %d, errno %d: %llu faults met\n", faults[i].point, faults[i].errnum,
                  (unsigned long long)met);
    assert_true(met > 0);
}

static inline void test_each_fault_in_use(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        report(i, testkit_each_fault(faults[i].point, faults[i].errnum, open_use_close, NULL));
}

static inline void test_each_fault_in_recovery(void **state)
{
    struct fixture f = {.dir = testkit_dir(), .two = two};
    struct crashed c = {.dir = f.dir};
    (void)state;
    batches_without_faults(&f);
    make_crashed(&f, &c.acked);
    assert_true(c.acked.append[0] && c.acked.txn[1] && c.acked.txn_offset);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        report(i, testkit_each_fault(faults[i].point, faults[i].errnum, recover_once, &c));
    buf_free(&f.batch);
    testkit_remove_dir(f.dir);
}

/* A program's group of tests. */
static inline int with_one_directory(void **state)
{
    (void)state;
    testkit_dirs_in_memory();
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return 0;
}

static inline int with_two_directories(void **state)
{
    two = true;
    return with_one_directory(state);
}

#endif
