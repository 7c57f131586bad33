/*
 * The file source: which files there are: patterns, links, directories, rights.
 */
#include <dirent.h>

#include "tests/unit/file/source_rig.h"

static void symbolic_links(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at(dir, "real"), 0755), 0);
    append(dir, "real/a", "one\n");
    assert_int_equal(symlink("real/a", at(dir, "x.log")), 0);
    assert_int_equal(symlink("real/a", at(dir, "y.log")), 0);
    assert_int_equal(symlink("nowhere", at(dir, "z.log")), 0);
    struct leat_task *t = start("*.log");
    fake_start(t);
    fake_until(t, 1); /* one file, read once */
    append(dir, "real/a", "two\n");
    fake_until(t, 2);
    drop(dir, "y.log");
    drop(dir, "x.log");
    append(dir, "real/a", "three\n");
    append(dir, "real/b", "of b\n");
    assert_int_equal(symlink("real/b", at(dir, "x.log")), 0);
    fake_until(t, 4);
    fake_settle(t);
    expect(t, "one", "two", "three", "of b");
    fake_free(t);
}

static void excluded(void **state)
{
    (void)state;
    append(dir, "a.log", "a\n");
    append(dir, "debug.log", "d\n");
    append(dir, "b.log", "b\n");
    struct leat_task *t = start("*.log");
    char exclude[512];
    snprintf(exclude, sizeof(exclude), "debug*,%s/b.*", dir);
    fake_set(t, "exclude", exclude);
    fake_start(t);
    fake_settle(t);
    expect(t, "a");
    fake_free(t);
}

static void directory_comes_later(void **state)
{
    (void)state;
    char paths[512];
    snprintf(paths, sizeof(paths), "%s/later/x.log,%s/s*/deep/*.log", dir, dir);
    struct leat_task *t = start(paths);
    fake_start(t);
    fake_settle(t);
    assert_int_equal(mkdir(at(dir, "later"), 0755), 0);
    append(dir, "later/x.log", "one\n");
    fake_until(t, 1);
    assert_int_equal(mkdir(at(dir, "sub"), 0755), 0);
    assert_int_equal(mkdir(at(dir, "sub/deep"), 0755), 0);
    append(dir, "sub/deep/y.log", "two\n");
    fake_until(t, 2);
    fake_free(t);
}

/* Rights are only worth something to others than root. Returns false where one cannot become such. */
static bool as_nobody(bool nobody)
{
    return getuid() != 0 || seteuid(nobody ? 65534 : 0) == 0;
}

/* As root. */
static void rights(const char *name, mode_t mode)
{
    assert_true(as_nobody(false));
    assert_int_equal(chmod(*name ? at(dir, name) : dir, mode), 0);
    assert_true(as_nobody(true));
}

static void unreadable_file(void **state)
{
    (void)state;
    if (!as_nobody(true))
        skip();
    assert_true(as_nobody(false));
    append(dir, "x.log", "secret\n");
    append(dir, "y.log", "open\n");
    rights("", 0777);
    rights("x.log", 0);
    struct leat_task *t = start("*.log");
    fake_start(t);
    fake_settle(t);
    expect(t, "open");
    assert_int_equal(t->warnings, 1);
    rights("x.log", 0644);
    fake_until(t, 2);
    assert_record(t, 1, "secret");
    fake_free(t);
    assert_true(as_nobody(false));
}

/* Of what is in it nothing is lost or begun anew, whether it may not be listed or not be entered. */
static void unreadable_below(const char *pattern)
{
    assert_true(as_nobody(false));
    char paths[1024];
    assert_int_equal(mkdir(at(dir, "a"), 0777), 0);
    assert_int_equal(mkdir(at(dir, "a/b"), 0777), 0);
    append(dir, "a/b/x.log", "one\n");
    int fd = open(at(dir, "a/b/x.log"), O_WRONLY | O_APPEND); /* who is not root cannot open it later */
    assert_true(fd >= 0);
    rights("", 0777);
    snprintf(paths, sizeof(paths), "%s/%s", dir, pattern);
    struct leat_task *t = start(paths);
    fake_set(t, "forget.after", "1ms");
    fake_set(t, "open.files.max", "1");
    fake_start(t);
    fake_until(t, 1);
    size_t records = 1;
    mode_t modes[] = {0, 0300, 0600};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        rights("a", modes[i]);
        fake_settle(t);
        fake_restart(t);
        fake_settle(t);
        assert_int_equal(t->records.count, records);
        assert_true(t->warnings > 0);
        assert_int_equal(write(fd, "more\n", 5), 5);
        rights("a", 0777);
        fake_until(t, records += 1);
        assert_record(t, records - 1, "more");
    }
    fake_settle(t);
    assert_int_equal(t->records.count, records);
    fake_free(t);
    close(fd);
    assert_true(as_nobody(false));
    drop(dir, "a/b/x.log");
    assert_int_equal(rmdir(at(dir, "a/b")), 0);
    assert_int_equal(rmdir(at(dir, "a")), 0);
}

static void unreadable_directory(void **state)
{
    (void)state;
    if (!as_nobody(true))
        skip();
    unreadable_below("**/x.log");
    unreadable_below("a/*/x.log");
    unreadable_below("*/b/x.log");
}

/* Elsewhere all goes on: what is gone is given up, and `start: end` is over after the first look. */
static void one_unreadable_directory(void **state)
{
    (void)state;
    if (!as_nobody(true))
        skip();
    assert_true(as_nobody(false));
    char paths[1024];
    assert_int_equal(mkdir(at(dir, "a"), 0777), 0);
    assert_int_equal(mkdir(at(dir, "secret"), 0777), 0);
    append(dir, "a/x.log", "old\n");
    append(dir, "secret/x.log", "old\n");
    rights("", 0777);
    rights("secret", 0);
    snprintf(paths, sizeof(paths), "%s/**/*.log", dir);
    struct leat_task *t = start(paths);
    fake_set(t, "start", "end");
    fake_set(t, "forget.after", "1ms");
    fake_start(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 0);
    assert_true(as_nobody(false));
    append(dir, "a/y.log", "new\n");
    assert_true(as_nobody(true));
    fake_until(t, 1);
    fake_restart(t);
    assert_true(as_nobody(false));
    append(dir, "a/z.log", "newer\n");
    assert_true(as_nobody(true));
    fake_until(t, 2);
    size_t positions = t->positions.count;
    assert_true(as_nobody(false));
    drop(dir, "a/x.log");
    assert_true(as_nobody(true));
    int64_t end = clock_mono_ms() + TESTKIT_LIMIT_MS;
    while (t->positions.count == positions && clock_mono_ms() < end)
        assert_int_equal(fake_poll(t), LEAT_OK);
    assert_int_equal(t->positions.count, positions - 1);
    expect(t, "new", "newer");
    fake_free(t);
    rights("secret", 0777); /* so that it can be removed */
    assert_true(as_nobody(false));
}

static void any_depth(void **state)
{
    (void)state;
    char paths[1024], exclude[512];
    snprintf(paths, sizeof(paths), "%s/**/x.log,%s/all/**", dir, dir);
    snprintf(exclude, sizeof(exclude), "%s/**/not/**", dir);
    struct leat_task *t = start(paths);
    fake_set(t, "exclude", exclude);
    fake_set(t, "rescan.interval", "1h"); /* inotify has to tell */
    append(dir, "x.log", "top\n");
    fake_start(t);
    fake_until(t, 1);
    assert_int_equal(mkdir(at(dir, "a"), 0755), 0);
    assert_int_equal(mkdir(at(dir, "a/b"), 0755), 0);
    assert_int_equal(mkdir(at(dir, "a/b/c"), 0755), 0);
    append(dir, "a/b/c/x.log", "three down\n");
    fake_until(t, 2);
    append(dir, "a/x.log", "one down\n");
    append(dir, "a/y.log", "not ours\n");
    fake_until(t, 3);
    assert_int_equal(mkdir(at(dir, "a/.hidden"), 0755), 0);
    append(dir, "a/.hidden/x.log", "not ours\n");
    assert_int_equal(mkdir(at(dir, "a/not"), 0755), 0);
    assert_int_equal(mkdir(at(dir, "a/not/b"), 0755), 0);
    append(dir, "a/not/b/x.log", "not ours\n");
    assert_int_equal(mkdir(at(dir, "all"), 0755), 0);
    assert_int_equal(mkdir(at(dir, "all/below"), 0755), 0);
    append(dir, "all/any", "of all\n");
    fake_until(t, 4);
    append(dir, "all/below/any.txt", "of all below\n");
    fake_until(t, 5);
    move(dir, "a/b", "moved");
    append(dir, "moved/c/x.log", "more\n");
    fake_until(t, 6);
    fake_settle(t);
    expect(t, "top", "three down", "one down", "of all", "of all below", "more");
    fake_free(t);
}

/* Links to directories above are no way down, and there is no end of memory or of time. */
static void depth_has_an_end(void **state)
{
    (void)state;
    char paths[1024], deep[2048];
    assert_int_equal(mkdir(at(dir, "a"), 0755), 0);
    assert_int_equal(symlink("..", at(dir, "a/up")), 0);
    assert_int_equal(symlink("loop", at(dir, "a/loop")), 0);
    append(dir, "a/x.log", "once\n");
    size_t n = (size_t)snprintf(deep, sizeof(deep), "%s", dir);
    for (int i = 0; i < 100; i++) {
        n += (size_t)snprintf(deep + n, sizeof(deep) - n, "/d");
        assert_int_equal(mkdir(deep, 0755), 0);
    }
    snprintf(paths, sizeof(paths), "%s/**/**/*.log,%s/*/*/a/x.log", dir, dir);
    struct leat_task *t = start(paths);
    fake_start(t);
    fake_until(t, 1);
    fake_settle(t);
    expect(t, "once");
    fake_free(t);
}

/* current -> app-1.log, then app-2.log: the old one is read to its end, also what is written to it after the link moved. */
static void link_moves_on(void **state)
{
    (void)state;
    for (int both = 0; both < 2; both++) {
        append(dir, "app-1.log", "one\n");
        assert_int_equal(symlink("app-1.log", at(dir, "current")), 0);
        struct leat_task *t = both ? start("*") : start("current");
        fake_set(t, "rotate.wait", "10s");
        fake_start(t);
        fake_until(t, 1);
        append(dir, "app-1.log", "two\n");
        append(dir, "app-2.log", "four\n");
        assert_int_equal(symlink("app-2.log", at(dir, "next")), 0);
        move(dir, "next", "current");
        append(dir, "app-1.log", "three\n");
        fake_until(t, 4);
        fake_close(t);
        append(dir, "app-2.log", "five\n");
        fake_start(t);
        fake_until(t, 5);
        fake_settle(t);
        assert_int_equal(t->records.count, 5);
        assert_record(t, 0, "one");
        assert_record(t, 4, "five");
        fake_free(t);
        drop(dir, "current");
        drop(dir, "app-1.log");
        drop(dir, "app-2.log");
    }
}

/* The directory goes with its files, and another one takes its name; or it is renamed and comes back. */
static void directory_made_anew(void **state)
{
    (void)state;
    struct leat_task *t = start("sub.d/*.log");
    char paths[512];
    snprintf(paths, sizeof(paths), "%s/sub/*.log", dir);
    fake_free(t);
    t = start(paths);
    assert_int_equal(mkdir(at(dir, "sub"), 0755), 0);
    append(dir, "sub/x.log", "one\n");
    fake_start(t);
    fake_until(t, 1);
    drop(dir, "sub/x.log");
    assert_int_equal(rmdir(at(dir, "sub")), 0);
    fake_settle(t);
    assert_int_equal(mkdir(at(dir, "sub"), 0755), 0);
    append(dir, "sub/x.log", "two\n");
    fake_until(t, 2);
    move(dir, "sub", "away");
    append(dir, "away/x.log", "three\n");
    fake_settle(t);
    move(dir, "away", "sub");
    append(dir, "sub/x.log", "four\n");
    fake_until(t, 4);
    fake_settle(t);
    expect(t, "one", "two", "three", "four");
    fake_free(t);
}

static size_t open_descriptors(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

#define VERY_MANY (10000 / TESTKIT_SAMPLE)

/* Each of them of one family, which is the hardest case: x.log.1, x.log.2, ... */
static void very_many_files(void **state)
{
    (void)state;
    char name[32], line[64];
    bool *seen = calloc(VERY_MANY, sizeof(bool));
    assert_non_null(seen);
    for (int i = 0; i < VERY_MANY; i++) {
        snprintf(name, sizeof(name), "x.log.%d", i);
        snprintf(line, sizeof(line), "of file %d\n", i);
        append(dir, name, line);
    }
    struct leat_task *t = start("x.log*");
    fake_set(t, "open.files.max", "20");
    size_t before = open_descriptors(), most = 0;
    fake_start(t);
    int64_t end = clock_mono_ms() + TESTKIT_LIMIT_MS;
    while (t->records.count < VERY_MANY && clock_mono_ms() < end) {
        assert_int_equal(fake_poll(t), LEAT_OK);
        size_t now = open_descriptors();
        most = now > most ? now : most;
    }
    assert_int_equal(t->records.count, VERY_MANY);
    assert_true(most <= before + 24);
    for (size_t i = 0; i < t->records.count; i++) {
        int file = -1;
        assert_int_equal(sscanf(t->records.items[i].value, "of file %d", &file), 1);
        assert_in_range(file, 0, VERY_MANY - 1);
        assert_false(seen[file]);
        seen[file] = true;
    }
    free(seen);
    fake_free(t);
}

/* The kernel's queue overflows while nobody looks: what was lost is found by looking at everything. */
static void more_events_than_fit(void **state)
{
    (void)state;
    struct leat_task *t = start("*.log");
    fake_set(t, "rescan.interval", "1h");
    append(dir, "x.log", "one\n");
    fake_start(t);
    fake_until(t, 1);
    size_t n;
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    int room = 16384;
    if (f) {
        assert_int_equal(fscanf(f, "%d", &room), 1);
        fclose(f);
    }
    if (room > 1 << 20)
        skip();
    for (n = 0; n <= (size_t)room; n++)
        move(dir, n % 2 ? "z" : "x.log", n % 2 ? "x.log" : "z");
    if (n % 2)
        move(dir, "z", "x.log");
    append(dir, "y.log", "not told of\n");
    append(dir, "x.log", "two\n");
    fake_until(t, 3);
    fake_settle(t);
    assert_int_equal(t->records.count, 3);
    fake_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(symbolic_links),
        T(excluded),
        T(directory_comes_later),
        T(unreadable_file),
        T(unreadable_directory),
        T(one_unreadable_directory),
        T(any_depth),
        T(depth_has_an_end),
        T(link_moves_on),
        T(directory_made_anew),
        T(very_many_files),
        T(more_events_than_fit),
    };
    return run_watching(tests);
}
