/*
 * The file sink under fire: it dies before every single I/O operation in turn, every operation and allocation fails once,
 * and SIGKILL comes at random. Each time every record must be in the visible files exactly once in the end, and a file that
 * was visible once must never change. How files are cut differs from life to life on purpose.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "connectors/file/file.h"

#include "tests/unit/file/fake_sink_host.h"
#include "tests/unit/file/sink_util.h"

#define PARTITIONS 2
#define RECORDS_MAX 4000

/* What the hub would remember: committed offsets, in a file beside the sink's directory. */
struct hub {
    int64_t committed[PARTITIONS];
};

struct rig {
    char *dir; /* private; <dir>/out is the sink's, <dir>/hub the hub's */
    char *out;
    int hub_fd;
    int64_t records; /* of each partition */
    bool growing;    /* `file` instead of `directory` */
    const char *codec;
    enum fault_point point;
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    r->dir = testkit_dir();
    assert_true(asprintf(&r->out, "%s/out", r->dir) > 0);
    char path[512];
    snprintf(path, sizeof(path), "%s/hub", r->dir);
    r->hub_fd = open(path, O_RDWR | O_CREAT, 0600);
    r->codec = "none";
    r->records = 8;
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    close(r->hub_fd);
    testkit_remove_dir(r->dir);
    free(r->out);
    free(r);
    return 0;
}

static void start_over(struct rig *r)
{
    struct err e;
    struct hub h = {{-1, -1}};
    assert_ok(io_remove_tree(r->out, &e), &e);
    assert_int_equal(pwrite(r->hub_fd, &h, sizeof(h), 0), sizeof(h));
}

static struct hub hub_read(struct rig *r)
{
    struct hub h;
    if (pread(r->hub_fd, &h, sizeof(h), 0) != sizeof(h))
        abort();
    return h;
}

/* ---- a life of the task ---------------------------------------------------------------------------------------- */

struct life {
    struct rig *rig;
    struct leat_task task;
    struct leat_config config;
    struct leat_offset assigned[PARTITIONS];
    int flushes;
    void *self;
};

static void configure(struct life *l, int flush_size)
{
    static char size[16], file[600];
    snprintf(size, sizeof(size), "%d", flush_size);
    snprintf(file, sizeof(file), "%s/all.json", l->rig->out);
    l->config = (struct leat_config){
        .options = file_sink_connector.options,
        .option_count = file_sink_connector.option_count,
        .pairs = {{"flush.size", size}, {"format", "json"}, {"directory", l->rig->out}, {NULL, NULL}}};
    struct fake_pair *p = &l->config.pairs[2];
    if (l->rig->growing) {
        *p++ = (struct fake_pair){"file", file};
        *p++ = (struct fake_pair){"sync.interval.ms", "0"};
        return;
    }
    p++;
    *p++ = (struct fake_pair){"partitioner.class", "field"};
    *p++ = (struct fake_pair){"partition.field.name", "c"};
    *p++ = (struct fake_pair){"compression.type", l->rig->codec};
}

static int put_some(struct life *l, int32_t partition, int64_t from, int64_t to)
{
    struct leat_record records[64];
    char text[64][48];
    int n = 0;
    for (int64_t i = from; i < to; i++, n++) {
        snprintf(text[n], sizeof(text[n]), "{\"p\":%d,\"i\":%lld,\"c\":%d}", (int)partition, (long long)i,
                 (int)(i % 3 == 0));
        records[n] = fake_record(partition, i, text[n]);
    }
    return file_sink_connector.sink->put(l->self, records, (size_t)n);
}

/* As the worker does: flush, and commit what was reported now and then, at the end in any case. */
static int flush_and_commit(struct life *l, bool final)
{
    int64_t next_ms;
    int rc = file_sink_connector.sink->flush(l->self, final, l->assigned, PARTITIONS, &next_ms);
    if (rc != LEAT_OK || (!final && ++l->flushes % 3 != 0))
        return rc;
    struct hub h;
    for (int p = 0; p < PARTITIONS; p++) {
        h.committed[p] = l->assigned[p].offset;
        l->task.committed[p] = h.committed[p] + 1;
    }
    return pwrite(l->rig->hub_fd, &h, sizeof(h), 0) == sizeof(h) ? LEAT_OK : LEAT_FAIL;
}

/* Works from the committed offsets to the end. What the sink's first failure returned, or LEAT_OK. */
static int live(struct life *l, struct rig *r, int flush_size, int batch)
{
    *l = (struct life){.rig = r, .task = {.value = LEAT_CONVERTER_JSON}};
    configure(l, flush_size);
    struct hub h = hub_read(r);
    int64_t at[PARTITIONS];
    for (int p = 0; p < PARTITIONS; p++) {
        l->assigned[p] = (struct leat_offset){"t", p, h.committed[p]};
        l->task.committed[p] = h.committed[p] + 1;
        at[p] = h.committed[p] < 0 ? 0 : h.committed[p];
    }
    int rc =
        file_sink_connector.sink->open(&l->task, &fake_host, &l->config, l->assigned, PARTITIONS, &l->self);
    while (rc == LEAT_OK && (at[0] < r->records || at[1] < r->records)) {
        for (int p = 0; p < PARTITIONS && rc == LEAT_OK; p++) {
            int64_t to = at[p] + batch < r->records ? at[p] + batch : r->records;
            rc = put_some(l, p, at[p], to);
            at[p] = to;
        }
        if (rc == LEAT_OK)
            rc = flush_and_commit(l, false);
    }
    return rc == LEAT_OK ? flush_and_commit(l, true) : rc;
}

/* Runs a whole life that nothing disturbs. */
static void live_well(struct rig *r, int flush_size, int batch)
{
    struct life l;
    if (live(&l, r, flush_size, batch) != LEAT_OK)
        fail_msg("an undisturbed life failed: %s", l.task.failure);
    file_sink_connector.sink->close(l.self);
}

/* ---- what must hold -------------------------------------------------------------------------------------------- */

struct tally {
    int count[PARTITIONS][RECORDS_MAX];
};

static void tally_line(struct tally *t, const char *line, const char *name, long long *last)
{
    int p, c;
    long long i;
    if (sscanf(line, "{\"p\":%d,\"i\":%lld,\"c\":%d}\n", &p, &i, &c) != 3 || line[strlen(line) - 1] != '\n')
        fail_msg("%s: a torn line: %s", name, line);
    assert_in_range(p, 0, PARTITIONS - 1);
    assert_in_range(i, 0, RECORDS_MAX - 1);
    if (i <= last[p])
        fail_msg("%s: %lld after %lld", name, i, last[p]);
    last[p] = i;
    t->count[p][i]++;
}

static void tally_file(void *arg, const char *name, const char *path)
{
    gzFile f = gzopen(path, "rb"); /* reads plain files too */
    char line[128];
    long long last[PARTITIONS] = {-1, -1};
    while (gzgets(f, line, sizeof(line)))
        tally_line(arg, line, name, last);
    int err;
    gzerror(f, &err);
    assert_int_equal(err, Z_OK);
    gzclose(f);
}

static void check_once(struct rig *r)
{
    static struct tally t;
    memset(&t, 0, sizeof(t));
    walk_visible(r->out, "", tally_file, &t);
    for (int p = 0; p < PARTITIONS; p++) {
        for (int64_t i = 0; i < r->records; i++) {
            if (t.count[p][i] != 1)
                fail_msg("record %d/%lld is there %d times", p, (long long)i, t.count[p][i]);
        }
    }
}

static void copy_visible(void *arg, const char *name, const char *path)
{
    struct err e;
    const char *to = arg;
    char target[5000], *data;
    size_t n;
    snprintf(target, sizeof(target), "%s/%s", to, name);
    *strrchr(target, '/') = '\0';
    assert_ok(io_mkdirs(target, 0755, &e), &e);
    snprintf(target, sizeof(target), "%s/%s", to, name);
    assert_ok(io_read_file(path, 64u << 20, &data, &n, &e), &e);
    assert_ok(io_replace_file(target, data, n, 0644, &e), &e);
    mem_free(data);
}

static void compare_visible(void *arg, const char *name, const char *path)
{
    struct err e;
    const char *now = arg;
    char other[5000], *a, *b;
    size_t an, bn;
    snprintf(other, sizeof(other), "%s/%s", now, name);
    assert_ok(io_read_file(path, 64u << 20, &a, &an, &e), &e);
    assert_ok(io_read_file(other, 64u << 20, &b, &bn, &e), &e);
    assert_int_equal(an, bn);
    assert_memory_equal(a, b, an);
    mem_free(a);
    mem_free(b);
}

/* ---- dying before each operation ------------------------------------------------------------------------------- */

/* In a child: lives until the n-th pass through the point, then is gone without a word. True if it came that far. */
static bool die_at(struct rig *r, uint64_t nth, int flush_size, int batch)
{
    pid_t child = fork();
    if (child == 0) {
        struct life l;
        fault_arm(r->point, nth, EIO, false);
        int rc = live(&l, r, flush_size, batch);
        if (rc != LEAT_OK)
            _exit(1); /* nothing after the failed operation happened */
        if (fault_passes(r->point) >= nth)
            _exit(2);
        file_sink_connector.sink->close(l.self);
        _exit(fault_passes(r->point) >= nth);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 2); /* a failure was swallowed */
    return WEXITSTATUS(status) == 1;
}

static void die_everywhere(struct rig *r, enum fault_point point)
{
    char before[600];
    struct err e;
    snprintf(before, sizeof(before), "%s/before", r->dir);
    r->point = point;
    uint64_t nth = 1;
    for (;; nth++) {
        start_over(r);
        if (!die_at(r, nth, 3, 4))
            break;
        assert_ok(io_remove_tree(before, &e), &e);
        walk_visible(r->out, "", copy_visible, before);
        live_well(r, 5, 3);
        check_once(r);
        if (!r->growing)
            walk_visible(before, "", compare_visible, r->out);
    }
    check_once(r); /* the run without a failure */
    assert_true(nth > 3);
}

static void test_death_before_each_write(void **state)
{
    die_everywhere(*state, FAULT_WRITE);
}

static void test_death_before_each_sync(void **state)
{
    die_everywhere(*state, FAULT_SYNC);
}

static void test_death_before_each_name(void **state)
{
    die_everywhere(*state, FAULT_META);
}

static void test_death_of_a_growing_file(void **state)
{
    struct rig *r = *state;
    r->growing = true;
    die_everywhere(r, FAULT_WRITE);
    die_everywhere(r, FAULT_SYNC);
    die_everywhere(r, FAULT_META);
}

/* ---- each operation fails once, and the task starts anew ------------------------------------------------------- */

static void fail_once(void *arg)
{
    struct rig *r = arg;
    start_over(r);
    for (int lives = 0; lives < 3; lives++) {
        struct life l;
        int rc = live(&l, r, 3 + lives, 4 - lives);
        if (l.self)
            file_sink_connector.sink->close(l.self);
        if (rc == LEAT_OK) {
            check_once(r);
            return;
        }
    }
    fail_msg("it failed again and again");
}

static void fail_everything(struct rig *r)
{
    static const struct {
        enum fault_point point;
        int errnum;
    } faults[] = {{FAULT_WRITE, ENOSPC},
                  {FAULT_SYNC, EIO},
                  {FAULT_META, ENOSPC},
                  {FAULT_READ, EIO},
                  {FAULT_ALLOC, ENOMEM}};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        r->point = faults[i].point;
        for (uint64_t nth = 1;; nth++) {
            struct err e;
            assert_ok(io_remove_tree(r->out, &e), &e); /* before the fault is armed */
            fault_arm(faults[i].point, nth, faults[i].errnum, false);
            fail_once(r);
            uint64_t passes = fault_passes(faults[i].point);
            fault_disarm();
            if (passes < nth)
                break;
        }
    }
}

static void test_each_failure_is_survived(void **state)
{
    struct rig *r = *state;
    r->records = 4;
    fail_everything(r);
}

static void test_each_failure_of_a_growing_file_is_survived(void **state)
{
    struct rig *r = *state;
    r->records = 4;
    r->growing = true;
    fail_everything(r);
}

/* ---- SIGKILL --------------------------------------------------------------------------------------------------- */

static void kill_at_random(struct rig *r, int kills)
{
    srand(7);
    start_over(r);
    int killed = 0;
    for (int i = 0; killed < kills; i++) {
        int flush_size = 1 + rand() % 9, batch = 1 + rand() % 20;
        r->records = r->records + 20 < RECORDS_MAX ? r->records + 20 : RECORDS_MAX;
        pid_t child = fork();
        if (child == 0) {
            struct life l;
            _exit(live(&l, r, flush_size, batch) == LEAT_OK ? 0 : 1);
        }
        struct timespec pause = {0, (rand() % 40) * 100000};
        nanosleep(&pause, NULL); /* any moment is a good one: this only spreads the kills */
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        killed += WIFSIGNALED(status);
        assert_true(i < kills * 50);
    }
    live_well(r, 4, 16);
    check_once(r);
}

static void test_sigkill(void **state)
{
    kill_at_random(*state, 100);
}

static void test_sigkill_with_gzip(void **state)
{
    struct rig *r = *state;
    r->codec = "gzip";
    kill_at_random(r, 60);
}

static void test_sigkill_of_a_growing_file(void **state)
{
    struct rig *r = *state;
    r->growing = true;
    kill_at_random(r, 60);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_death_before_each_write),
        T(test_death_before_each_sync),
        T(test_death_before_each_name),
        T(test_death_of_a_growing_file),
        T(test_each_failure_is_survived),
        T(test_each_failure_of_a_growing_file_is_survived),
        T(test_sigkill),
        T(test_sigkill_with_gzip),
        T(test_sigkill_of_a_growing_file),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
