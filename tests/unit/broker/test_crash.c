/*
 * A child writes and tells what was acknowledged; it is killed at random moments. Afterwards everything acknowledged is
 * there exactly once, and every transaction is whole or absent across its partitions. Once also with nothing left of the
 * topics but the journal: what a power loss may leave of files that were never synced.
 */
#include "tests/unit/broker/helper.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/io.h"

/* LIFE: transactions of a child, so few that a journal that nobody flushed has all of them. */
enum { ROUNDS = 30, PARTS = 3, LIFE = 200, MAX_TXNS = 100000 };

/* Transaction k writes "k" into every one of these. */
static const struct {
    const char *topic;
    int32_t partition;
} parts[PARTS] = {{"a", 0}, {"a", 1}, {"b", 0}};

static int one_txn(struct fixture *f, int64_t id, int16_t epoch, int32_t sequence, int k)
{
    struct produce_request r[PARTS];
    size_t at[PARTS + 1] = {0};
    buf_reset(&f->batch);
    for (int i = 0; i < PARTS; i++)
        at[i + 1] = at[i] + add_batch(f, "", k, 1, (struct batch_producer){id, epoch, sequence, true});
    for (int i = 0; i < PARTS; i++)
        r[i] = (struct produce_request){.topic = parts[i].topic,
                                        .partition = parts[i].partition,
                                        .data = f->batch.data + at[i],
                                        .bytes = at[i + 1] - at[i],
                                        .built_here = true};
    if (k % 4) /* one group, and the steps of the protocol */
        return broker_txn_commit_all(f->b, "x", id, epoch, r, PARTS, &f->e);
    struct txn_partition join[PARTS];
    for (int i = 0; i < PARTS; i++)
        join[i] = (struct txn_partition){parts[i].topic, parts[i].partition};
    int rc = broker_txn_add_partitions(f->b, "x", id, epoch, join, PARTS, &f->e);
    if (!rc)
        rc = broker_produce(f->b, r, PARTS, false, &f->e);
    return rc ? rc : broker_txn_end(f->b, "x", id, epoch, true, &f->e);
}

static void child_writes(struct fixture *f, int first, int out)
{
    int64_t id;
    int16_t epoch;
    if (try_open(f) || broker_init_producer(f->b, "x", 60000, &id, &epoch, &f->e))
        _exit(1);
    for (int k = first; k < first + LIFE; k++) {
        if (one_txn(f, id, epoch, k - first, k)) {
            fprintf(stderr, "%s\n", f->e.text);
            _exit(2);
        }
        if (write(out, &k, sizeof k) != sizeof k)
            _exit(3);
    }
    for (;;) /* who kills it is late */
        pause();
}

/* Runs a child until some time after its first acknowledgement. Returns the last transaction that it told. */
static int run_and_kill(struct fixture *f, int first, unsigned *seed)
{
    int fds[2], last = first - 1, got;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        close(fds[0]);
        child_writes(f, first, fds[1]);
    }
    close(fds[1]);
    int wanted = rand_r(seed) % 40;
    while (last < first + wanted - 1 && read(fds[0], &got, sizeof got) == sizeof got)
        last = got;
    usleep((useconds_t)(rand_r(seed) % 2000)); /* the moment is random, the outcome does not depend on it */
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(fds[0], &got, sizeof got) == sizeof got)
        last = got;
    close(fds[0]);
    return last;
}

static bool seen[PARTS][MAX_TXNS];

/* Every acknowledged one once and in order, and the same ones in every partition. Returns the next number to use. */
static int verify(struct fixture *f, const bool *acked, int n)
{
    int next = n;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < PARTS; i++) {
        struct buf all;
        char *save, *value;
        int last = -1;
        read_all(f, parts[i].topic, parts[i].partition, 0, READ_COMMITTED, &all);
        for (value = strtok_r((char *)all.data, ",", &save); value; value = strtok_r(NULL, ",", &save)) {
            if (*value == '<')
                continue;
            int k = atoi(value);
            assert_true(k > last && k < MAX_TXNS);
            seen[i][k] = true;
            last = k;
        }
        next = last >= next ? last + 1 : next;
        buf_free(&all);
    }
    for (int k = 0; k < next; k++) {
        assert_true(seen[0][k] || k >= n || !acked[k]);
        for (int i = 1; i < PARTS; i++)
            assert_int_equal(seen[0][k], seen[i][k]);
    }
    return next;
}

static int kill_round(struct fixture *f, bool *acked, int next, unsigned *seed)
{
    int last = run_and_kill(f, next, seed);
    for (int k = next; k <= last; k++)
        acked[k] = true;
    return last + 1;
}

static void abort_open(struct fixture *f)
{
    int64_t id;
    int16_t epoch;
    assert_ok(broker_init_producer(f->b, "x", 60000, &id, &epoch, &f->e), &f->e);
}

static void test_killed_at_random(void **state)
{
    struct fixture *f = *state;
    static bool acked[MAX_TXNS];
    unsigned seed = (unsigned)clock_wall_ms();
    int next = 0;
    print_message("seed %u\n", seed);
    f->key_bytes = 12000; /* journal files fill up and are released meanwhile */
    create(f, "a", 2);
    create(f, "b", 1);
    fixture_close(f);
    for (int round = 0; round < ROUNDS; round++) {
        next = kill_round(f, acked, next, &seed);
        fixture_open(f);
        abort_open(f); /* else readers stop at what the killed one left open */
        next = verify(f, acked, next);
        if (round % 3)
            fixture_close(f);
        else
            fixture_restart(f), next = verify(f, acked, next), fixture_close(f);
    }
    assert_true(next > 0);
}

static void test_only_the_journal_survives(void **state)
{
    struct fixture *f = *state;
    static bool acked[MAX_TXNS];
    char command[600];
    unsigned seed = 4711;
    create(f, "a", 2);
    create(f, "b", 1);
    fixture_close(f);
    int next = kill_round(f, acked, 0, &seed);
    snprintf(command, sizeof command, "rm -r %s/logs/a-0 %s/logs/b-0/*.log", f->dir, f->dir);
    assert_int_equal(system(command), 0);
    fixture_open(f);
    abort_open(f);
    assert_true(verify(f, acked, next) >= next);
}

/* A process that makes a topic, writes to it and perhaps deletes it again is killed. */
static void make_topic_and_die(struct fixture *f, bool delete_it)
{
    pid_t child = fork();
    if (child == 0) {
        fixture_open(f);
        create(f, "t", 1);
        produce(f, "t", 0, "v", 0, 1);
        if (delete_it)
            assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Does the start say so? */
static bool start_says(struct fixture *f, const char *what)
{
    testkit_hear();
    int rc = try_open(f);
    char *text = testkit_heard();
    assert_ok(rc, &f->e);
    bool says = strstr(text, what) != NULL;
    free(text);
    return says;
}

/* The metadata ends at a whole record, so nothing else shows that there was one more. */
static void test_a_topic_that_the_metadata_lost_is_told_of(void **state)
{
    static const char what[] = "the journal has 1 appends to partitions that the metadata does not know";
    struct fixture *f = *state;
    struct stat before;
    struct err e;
    char *metadata = mem_printf("%s/logs/__cluster_metadata-0/00000000000000000000.log", f->dir);
    char *lost = mem_printf("%s/logs/t-0", f->dir);
    fixture_close(f);
    make_topic_and_die(f, true);
    assert_false(start_says(f, what));
    fixture_close(f);
    assert_int_equal(stat(metadata, &before), 0);
    make_topic_and_die(f, false);
    assert_int_equal(truncate(metadata, before.st_size), 0);
    assert_ok(io_remove_tree(lost, &e), &e);
    assert_true(start_says(f, what));
    mem_free(metadata);
    mem_free(lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_at_random, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_the_journal_survives, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_topic_that_the_metadata_lost_is_told_of, setup, teardown),
    };
    diag_setup(DIAG_ERROR, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
