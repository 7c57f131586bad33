/*
 * Every allocation, write, sync and read fails once while a producer commits and a consumer reads. What was committed is
 * read exactly once, a failed commit can be made again, and what a consumer gave out before an error is not repeated.
 */
#include "tests/lib/testkit.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "client/client.h"

enum { TXNS = 3, RECORDS = 40 };

struct run {
    bool overlap; /* the next transaction is built while the last one syncs */
    struct broker *b;
    struct client *c;
    bool committed[TXNS];
    int read[TXNS];
    struct err e;
};

static int add_all(struct run *r, struct producer *p, int txn)
{
    int rc = ERR_OK;
    for (int i = 0; i < RECORDS; i++) {
        char value[16];
        int n = snprintf(value, sizeof value, "%d.%d", txn, i);
        int once = producer_add(p, "t", i % 2, clock_wall_ms(), NULL, 0, value, (size_t)n, NULL, 0, &r->e);
        if (once) /* nothing was added: it can be tried again */
            once = producer_add(p, "t", i % 2, clock_wall_ms(), NULL, 0, value, (size_t)n, NULL, 0, &r->e);
        rc = rc ? rc : once;
    }
    return rc;
}

/* Commits `txn`, seeing the one before it through meanwhile. Once a started commit failed, everything does. */
static void commit_behind(struct run *r, struct producer *p, int txn, int *flying)
{
    struct err e;
    int rc = producer_commit_start(p, &r->e);
    if (rc && producer_pending_records(p) == RECORDS)
        rc = producer_commit_start(p, &r->e);
    if (rc)
        producer_abort(p, &r->e);
    if (*flying >= 0)
        r->committed[*flying] = producer_commit_wait(p, &e) == ERR_OK;
    assert_int_equal(producer_in_flight(p), rc == ERR_OK);
    if (*flying >= 0 && !r->committed[*flying])
        assert_int_not_equal(producer_commit_start(p, &r->e), ERR_OK);
    *flying = rc ? -1 : txn;
}

static void produce_overlapping(struct run *r, struct producer *p)
{
    int flying = -1;
    for (int txn = 0; txn < TXNS; txn++) {
        if (add_all(r, p, txn) == ERR_OK)
            commit_behind(r, p, txn, &flying);
        else
            producer_abort(p, &r->e);
    }
    if (flying >= 0)
        r->committed[flying] = producer_commit_wait(p, &r->e) == ERR_OK;
    assert_int_equal(producer_commit_wait(p, &r->e), ERR_OK); /* nothing is on its way */
}

static void produce_all(struct run *r)
{
    struct producer_options o = {
        .transactional_id = "x", .codec = CODEC_ZSTD, .codec_level = CODEC_LEVEL_DEFAULT};
    struct producer *p = producer_open(r->c, &o, &r->e);
    if (!p && !(p = producer_open(r->c, &o, &r->e)))
        return;
    if (r->overlap)
        produce_overlapping(r, p);
    for (int txn = 0; txn < TXNS && !r->overlap; txn++) {
        int rc = add_all(r, p, txn);
        if (!rc)
            rc = producer_commit(p, &r->e);
        if (rc && producer_pending_records(p) == RECORDS)
            rc = producer_commit(p, &r->e);
        r->committed[txn] = rc == ERR_OK;
        if (rc)
            producer_abort(p, &r->e);
    }
    producer_close(p);
}

static int open_reader(struct run *r, struct consumer **c)
{
    struct consumer_options o = {.isolation = READ_COMMITTED};
    *c = consumer_open(r->c, &o, &r->e);
    int rc = *c ? ERR_OK : r->e.code;
    for (int32_t i = 0; !rc && i < 2; i++)
        if (consumer_assign(*c, "t", i, CONSUMER_EARLIEST, &r->e)) /* a failed one leaves nothing behind */
            rc = consumer_assign(*c, "t", i, CONSUMER_EARLIEST, &r->e);
    return rc;
}

static void consume_all(struct run *r)
{
    struct consumer *c;
    struct consumed got = {.n = 1};
    memset(r->read, 0, sizeof r->read);
    int rc = open_reader(r, &c);
    for (int errors = 0; c && !rc && errors < 3 && got.n;) {
        if (consumer_poll(c, 0, &got, &r->e)) {
            errors++;
            got.n = 1;
            continue;
        }
        for (size_t i = 0; i < got.n; i++)
            r->read[got.records[i].value[0] - '0']++;
    }
    consumer_close(c);
    for (int txn = 0; txn < TXNS; txn++)
        assert_true(r->read[txn] <= RECORDS);
}

static void verify(struct run *r)
{
    consume_all(r);
    for (int txn = 0; txn < TXNS; txn++)
        assert_true(r->read[txn] == RECORDS || (r->read[txn] == 0 && !r->committed[txn]));
}

static int open_broker(struct run *r, const char *dir)
{
    struct broker_options o = {.data_dir = dir, .journal_file_bytes = 1 << 20};
    int rc = broker_open(&r->b, &o, &r->e);
    if (rc)
        return rc;
    r->c = client_embedded(r->b, &r->e);
    if (!r->c)
        broker_close(r->b, &r->e);
    return r->c ? ERR_OK : ERR_NO_MEMORY;
}

static void once(void *arg)
{
    struct run r = {.overlap = *(bool *)arg};
    char *dir = testkit_dir();
    if (open_broker(&r, dir) == ERR_OK) {
        if (client_create_topic(r.c, "t", 2, NULL, 0, &r.e) == ERR_OK)
            produce_all(&r);
        consume_all(&r);
        client_close(r.c);
        broker_close(r.b, &r.e);
    }
    fault_disarm();
    assert_ok(open_broker(&r, dir), &r.e);
    verify(&r);
    client_close(r.c);
    assert_ok(broker_close(r.b, &r.e), &r.e);
    testkit_remove_dir(dir);
}

static void test_each_fault(void **state)
{
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, once, *state) > 0);
    assert_true(testkit_each_fault(FAULT_READ, EIO, once, *state) > 0);
    assert_true(testkit_each_fault(FAULT_WRITE, ENOSPC, once, *state) > 0);
    assert_true(testkit_each_fault(FAULT_SYNC, EIO, once, *state) > 0);
}

int main(void)
{
    static bool in_turns = false, overlapping = true;
    const struct CMUnitTest tests[] = {
        {"in turns", test_each_fault, NULL, NULL, &in_turns},
        {"overlapping", test_each_fault, NULL, NULL, &overlapping},
    };
    testkit_dirs_in_memory();
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
