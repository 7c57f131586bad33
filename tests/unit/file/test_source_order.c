/*
 * Rotations that go on while the source looks at the directory, step by step: one rename, copy or new file before each
 * n-th statx of the source, or a whole rotation, for many n. Whatever falls between a listing, the looks at its files and their reading: every
 * line once, in order.
 */
#include <sys/syscall.h>

#include "tests/unit/file/files.h"

enum way { BY_RENAME, BY_COPY, BY_TURNS, WAYS };

#define ROTATIONS 12
#define LINES 4 /* in the first file */
#define LINES_STEP                                                                                           \
    5 /* the next ones have more and fewer, as what is shorter than its sibling might be a part of it */
#define LINES_MAX 7

struct script {
    char *dir;
    enum way way;
    bool running, active; /* active: within a step */
    bool whole;           /* a whole rotation each time */
    unsigned calls, stride, start;
    int rotation;
    int next;  /* step of this rotation: the number of the file to move, then -1 and -2 */
    int lines; /* written */
};

static struct script script;

static void write_lines(void)
{
    int n = 1 + (LINES - 1 + script.rotation * LINES_STEP) % LINES_MAX;
    append_lines(script.dir, "x.log", "some line of the one file ", script.lines, script.lines + n);
    script.lines += n;
}

static const char *old_name(char out[32], int i)
{
    snprintf(out, 32, i ? "x.log.%d" : "x.log", i);
    return out;
}

static bool by_copy(void)
{
    return script.way == BY_COPY || (script.way == BY_TURNS && script.rotation % 2);
}

/* x.log.2 to x.log.3, x.log.1 to x.log.2, x.log to x.log.1, a new x.log; or copied, truncated, and written again. */
static void step(void)
{
    char from[32], to[32];
    int i = script.next--;
    if (i > 0 || (i == 0 && !by_copy())) {
        move(script.dir, old_name(from, i), old_name(to, i + 1));
    } else if (i == 0) {
        copy(script.dir, "x.log", "x.log.1");
    } else if (i == -1 && by_copy()) {
        overwrite(script.dir, "x.log", "");
    } else {
        script.next = ++script.rotation;
        write_lines();
        script.running = script.rotation < ROTATIONS;
    }
}

/* In place of the C library's. */
int statx(int dirfd, const char *restrict path, int flags, unsigned mask, struct statx *restrict out)
{
    if (script.running && !script.active && script.calls++ % script.stride == script.start) {
        script.active = true;
        int rotation = script.rotation;
        do
            step();
        while (script.whole && script.rotation == rotation);
        script.active = false;
    }
    return (int)syscall(SYS_statx, dirfd, path, flags, mask, out);
}

static void run(enum way way, bool whole, unsigned stride, unsigned start, const char *watch,
                size_t poll_bytes)
{
    char paths[512];
    script =
        (struct script){.dir = testkit_dir(), .way = way, .whole = whole, .stride = stride, .start = start};
    bool few = stride % 3; /* open files: the others cannot be looked into while they are moved */
    snprintf(paths, sizeof(paths), "%s/x.log*", script.dir);
    struct leat_task *t = fake_new(paths);
    fake_set(t, "watch", watch);
    fake_set(t, "poll.interval", "1ms");
    fake_set(t, "rescan.interval", "1ms");
    fake_set(t, "rotate.wait", "10s");
    fake_set(t, "open.files.max", few ? "1" : "256");
    t->poll_bytes = poll_bytes;
    write_lines();
    script.running = true;
    fake_start(t);
    int64_t end = clock_mono_ms() + TESTKIT_LIMIT_MS;
    while (script.running || t->records.count < (size_t)script.lines) {
        if (fake_poll(t) != LEAT_OK)
            fail_msg("poll: %s", t->fail_text);
        if (clock_mono_ms() > end)
            fail_msg("%zu of %d lines", t->records.count, script.lines);
    }
    if (getenv("FAKE_LOG"))
        print_message("way %d, whole %d, stride %u from %u\n", (int)way, whole, stride, start);
    assert_lines(t, 0, (size_t)script.lines, "some line of the one file ", 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(fake_poll(t), LEAT_OK);
    assert_int_equal(t->records.count, script.lines);
    fake_free(t);
    testkit_remove_dir(script.dir);
}

static void in_order(void **state)
{
    static const unsigned strides[] = {1, 2, 3, 5, 9};
    for (int way = 0; way < WAYS; way++)
        for (size_t i = 0; i < sizeof(strides) / sizeof(strides[0]); i++)
            for (unsigned start = 0; start < strides[i]; start += 1 + strides[i] / 4)
                for (int whole = 0; whole < 2; whole++)
                    run((enum way)way, whole, strides[i], start, *state, i % 2 ? 100 : 100000);
}

/* What was found is read also if it is removed before its turn. */
static void removed(void **state)
{
    char paths[512];
    script = (struct script){.dir = testkit_dir(), .way = BY_RENAME};
    snprintf(paths, sizeof(paths), "%s/x.log*", script.dir);
    write_lines();
    while (script.rotation < 3)
        step();
    script.running = false;
    struct leat_task *t = fake_new(paths);
    fake_set(t, "watch", *state);
    t->poll_bytes = 1;
    fake_start(t);
    while (t->records.count == 0)
        assert_int_equal(fake_poll(t), LEAT_OK);
    assert_in_range(t->records.count, 1, LINES);
    drop(script.dir, "x.log.2");
    drop(script.dir, "x.log.1");
    drop(script.dir, "x.log");
    fake_until(t, (size_t)script.lines);
    assert_lines(t, 0, (size_t)script.lines, "some line of the one file ", 0);
    fake_free(t);
    testkit_remove_dir(script.dir);
}

/* A source that knows x.log while it is empty, and does not look while the rest is done. */
static struct leat_task *start_empty(const char *watch, const char *gzip)
{
    char paths[512];
    script = (struct script){.dir = testkit_dir()};
    snprintf(paths, sizeof(paths), "%s/x.log*", script.dir);
    struct leat_task *t = fake_new(paths);
    fake_set(t, "watch", watch);
    fake_set(t, "gzip", gzip);
    put(script.dir, "x.log", O_APPEND, "");
    fake_start(t);
    fake_settle(t);
    return t;
}

/* One tick of the clock, in which all is written. */
static void set_tick(const char *name)
{
    const struct timespec tick[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, at(script.dir, name), tick, 0), 0);
}

static void finish(struct leat_task *t)
{
    fake_until(t, (size_t)script.lines);
    assert_lines(t, 0, (size_t)script.lines, "some line of the one file ", 0);
    fake_settle(t);
    assert_int_equal(t->records.count, script.lines);
    fake_free(t);
    testkit_remove_dir(script.dir);
}

/*
 * A file is copied and truncated, then compressed, all unseen and in one tick of the clock: what tells the two apart is that
 * one has an older name than the other, which only its compressed copy shows.
 */
static void same_tick(void **state)
{
    struct leat_task *t = start_empty(*state, "read");
    write_lines();
    copy(script.dir, "x.log", "x.log.1");
    overwrite(script.dir, "x.log", "");
    write_lines();
    move(script.dir, "x.log.1", "x.log.2");
    move(script.dir, "x.log", "x.log.1");
    put(script.dir, "x.log", O_APPEND, "");
    compress_beside(script.dir, "x.log.1");
    set_tick("x.log.2");
    set_tick("x.log.1");
    set_tick("x.log.1.gz");
    drop(script.dir, "x.log.1");
    finish(t);
}

/* The other way round: what was compressed is the older one, though the name under which it was known last was the newest. */
static void stale_name(const char *watch, const char *gzip)
{
    struct leat_task *t = start_empty(watch, gzip);
    write_lines();
    move(script.dir, "x.log", "x.log.2");
    compress_beside(script.dir, "x.log.2");
    set_tick("x.log.2");
    set_tick("x.log.2.gz");
    drop(script.dir, "x.log.2");
    write_lines();
    move(script.dir, "x.log", "x.log.1");
    set_tick("x.log.1");
    put(script.dir, "x.log", O_APPEND, "");
    finish(t);
}

static void stale_names(void **state)
{
    stale_name(*state, "read");
    stale_name(*state, "skip");
}

int main(void)
{
    static char inotify[] = "auto", polling[] = "poll";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(in_order, inotify),    cmocka_unit_test_prestate(removed, inotify),
        cmocka_unit_test_prestate(removed, polling),     cmocka_unit_test_prestate(same_tick, inotify),
        cmocka_unit_test_prestate(same_tick, polling),   cmocka_unit_test_prestate(stale_names, inotify),
        cmocka_unit_test_prestate(stale_names, polling), cmocka_unit_test_prestate(in_order, polling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
