/*
 * A writer rotates its file in every way while the source reads, is killed and starts again: every line once, in order.
 * The writer runs freely; only it never removes lines that were not read yet, nor gets too far ahead.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/file/files.h"

enum way { BY_RENAME, BY_COPY, BY_GZIP, BY_ALL, WAYS };

#define OLD_MAX 8      /* rotated files kept */
#define STALL_MS 60000 /* nothing came for so long: the rest is lost */
#define AHEAD 200000   /* lines the writer may be ahead of the reader */

struct writer {
    char *dir;
    char name[32];
    enum way way;
    unsigned seed, seed_given;
    int lines;
    atomic_int written, read; /* read: all lines before this one */
    bool *seen;               /* of each line: was it read? */
    int highest;              /* line after the last one seen */
    int twice, early;         /* faults: lines read again, lines read before older ones */
    int ends[OLD_MAX + 2];    /* line after the last one of x.log.i */
    bool packed[OLD_MAX + 2];
    int fd;
};

static unsigned dice(struct writer *w, unsigned sides)
{
    return (unsigned)rand_r(&w->seed) / 7 % sides;
}

static void write_all(int fd, const char *p, size_t n)
{
    if (write(fd, p, n) != (ssize_t)n)
        abort();
}

/* Some lines, in one write or with the last one in two. */
static void write_some(struct writer *w)
{
    char data[8192];
    size_t n = 0, count = 1 + dice(w, 30);
    int next = atomic_load(&w->written);
    for (size_t i = 0; i < count && next < w->lines; i++, next++)
        n += (size_t)snprintf(
            data + n, sizeof(data) - n, "%s %d %.*s\n", w->name, next, (int)dice(w, 120),
            "some text to give lines of different lengths, which go on and on and on, so that they "
            "cross all kinds of borders");
    size_t first = dice(w, 3) == 0 && n > 3 ? n - 3 : n;
    write_all(w->fd, data, first);
    write_all(w->fd, data + first, n - first);
    atomic_store(&w->written, next);
}

static const char *old(struct writer *w, char *out, int i, bool packed)
{
    snprintf(out, 64, i ? "%s.%d%s" : "%s", w->name, i, packed ? ".gz" : "");
    return out;
}

/* x.log.1 becomes x.log.2 and so on. False: the oldest one is still needed. */
static bool shift(struct writer *w)
{
    char from[64], to[64];
    if (w->ends[OLD_MAX] > 0) {
        if (atomic_load(&w->read) < w->ends[OLD_MAX])
            return false;
        drop(w->dir, old(w, from, OLD_MAX, w->packed[OLD_MAX]));
    }
    for (int i = OLD_MAX - 1; i >= 1; i--) {
        w->ends[i + 1] = w->ends[i];
        w->packed[i + 1] = w->packed[i];
        if (w->ends[i] > 0)
            move(w->dir, old(w, from, i, w->packed[i]), old(w, to, i + 1, w->packed[i]));
    }
    w->ends[1] = atomic_load(&w->written);
    w->packed[1] = false;
    return true;
}

static void reopen(struct writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = open(at(w->dir, w->name), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (w->fd < 0)
        abort();
}

static void rotate(struct writer *w)
{
    char one[64];
    struct stat st;
    enum way way = w->way == BY_ALL ? (enum way)dice(w, BY_ALL) : w->way;
    if (fstat(w->fd, &st) != 0 || st.st_size < 2000 || !shift(w))
        return;
    old(w, one, 1, false);
    if (way == BY_COPY) {
        copy(w->dir, w->name, one);
        if (ftruncate(w->fd, 0) != 0)
            abort();
        return;
    }
    move(w->dir, w->name, one);
    if (dice(w, 2))
        write_some(w); /* with the old file still open */
    w->ends[1] = atomic_load(&w->written);
    reopen(w);
    if (way == BY_GZIP) {
        struct stat was;
        char gz[64];
        old(w, gz, 1, true);
        if (stat(at(w->dir, one), &was) != 0)
            abort();
        compress_beside(w->dir, one);
        struct timespec times[2] = {was.st_atim, was.st_mtim};
        utimensat(AT_FDCWD, at(w->dir, gz), times, 0); /* as gzip does */
        drop(w->dir, one);
        w->packed[1] = true;
    }
}

static void *write_lines(void *arg)
{
    struct writer *w = arg;
    reopen(w);
    while (atomic_load(&w->written) < w->lines) {
        if (atomic_load(&w->written) - atomic_load(&w->read) > AHEAD) {
            usleep(1000);
            continue;
        }
        write_some(w);
        if (dice(w, 60) == 0)
            rotate(w); /* and maybe again at once */
        if (dice(w, 50) == 0)
            usleep(dice(w, 2000));
    }
    close(w->fd);
    return NULL;
}

/* A failed check would leave the writers behind, so the program ends. */
static __attribute__((format(printf, 1, 2), noreturn)) void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

/* A line was read: each has to come once and after all the lines written before it. */
static void take_line(struct writer *w, int line)
{
    int read = atomic_load(&w->read);
    if (line < 0 || line >= w->lines)
        die("way %d, seed %u: %s: line %d was never written", (int)w->way, w->seed_given, w->name, line);
    if (w->seen[line]) {
        w->twice++;
        fprintf(stderr, "%s: line %d again\n", w->name, line);
        return;
    }
    w->seen[line] = true;
    if (line > w->highest) {
        w->early++;
        fprintf(stderr, "%s: line %d before line %d\n", w->name, line, read);
    }
    if (line >= w->highest)
        w->highest = line + 1;
    while (read < w->lines && w->seen[read])
        read++;
    atomic_store(&w->read, read);
}

/* Takes what came since the last call and tells the writers. True if something came. */
static bool take(struct leat_task *t, struct writer *writers, int count)
{
    size_t n = t->records.count;
    for (size_t i = 0; i < n; i++) {
        const char *text = t->records.items[i].value;
        struct writer *w = NULL;
        char name[16];
        int line;
        assert_int_equal(sscanf(text, "%15s %d", name, &line), 2);
        for (int k = 0; k < count; k++)
            if (strcmp(writers[k].name, name) == 0)
                w = &writers[k];
        assert_non_null(w);
        take_line(w, line);
    }
    fake_clear(&t->records);
    return n > 0;
}

/* Ends the program if there was a fault, and says of which kind. */
static void report(const struct writer *writers, int count, const char *watch)
{
    bool bad = false;
    for (int i = 0; i < count; i++) {
        const struct writer *w = &writers[i];
        int lost = 0;
        for (int line = 0; line < w->lines; line++)
            lost += !w->seen[line];
        if (lost == 0 && w->twice == 0 && w->early == 0)
            continue;
        fprintf(stderr, "way %d, %s, seed %u: %s: %d lines lost, %d twice, order broken %d times\n",
                (int)w->way, watch, w->seed_given, w->name, lost, w->twice, w->early);
        bad = true;
    }
    if (bad)
        die("faults");
}

static bool all_read(struct writer *writers, int count)
{
    for (int i = 0; i < count; i++)
        if (atomic_load(&writers[i].read) < writers[i].lines)
            return false;
    return true;
}

static void race(enum way way, const char *watch, unsigned seed, int lines)
{
    enum { WRITERS = 2 };
    struct writer writers[WRITERS] = {0};
    pthread_t threads[WRITERS];
    char *dir = testkit_dir(), paths[512];
    snprintf(paths, sizeof(paths), "%s/x?.log*", dir);
    struct leat_task *t = fake_new(paths);
    fake_set(t, "watch", watch);
    fake_set(t, "gzip", "read");
    fake_set(t, "rotate.wait", "10s");
    fake_set(t, "poll.interval", "2ms");
    t->poll_bytes = 100000;
    for (int i = 0; i < WRITERS; i++) {
        struct writer *w = &writers[i];
        w->dir = dir;
        w->way = way;
        w->seed = seed * 100 + (unsigned)i;
        w->seed_given = seed;
        w->lines = lines;
        w->fd = -1;
        w->seen = calloc((size_t)lines, sizeof(bool));
        assert_non_null(w->seen);
        snprintf(w->name, sizeof(w->name), "x%d.log", i);
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, w), 0);
    }
    fake_start(t);
    int64_t end = clock_mono_ms() + STALL_MS;
    unsigned restarts = seed;
    while (!all_read(writers, WRITERS)) {
        unsigned polls = (unsigned)rand_r(&restarts) % 60;
        for (unsigned i = 0; i < polls && !all_read(writers, WRITERS); i++) {
            t->fail_emit = rand_r(&restarts) % 40 == 0 ? 1 + (size_t)rand_r(&restarts) % 50 : 0;
            if (fake_poll(t) != LEAT_OK)
                break; /* and restart */
            if (take(t, writers, WRITERS))
                end = clock_mono_ms() + STALL_MS;
        }
        t->fail_emit = 0;
        fake_close(t);
        if (rand_r(&restarts) % 4 == 0)
            usleep((unsigned)rand_r(&restarts) % 30000);
        fake_start(t);
        if (clock_mono_ms() > end)
            break; /* what has not come by now is lost */
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    fake_settle(t);
    take(t, writers, WRITERS); /* nothing twice */
    report(writers, WRITERS, watch);
    for (int i = 0; i < WRITERS; i++)
        free(writers[i].seen);
    fake_free(t);
    testkit_remove_dir(dir);
}

static void each_way(void **state)
{
    const char *watch = *state;
    const char *seeds = getenv("SEEDS"); /* SEEDS=n: more runs */
    int runs = seeds ? atoi(seeds) : 2, base = getenv("SEED") ? atoi(getenv("SEED")) : 1;
    for (int way = 0; way < WAYS; way++)
        for (int i = 0; i < runs; i++)
            race((enum way)way, watch, (unsigned)(base + i), 20000);
}

int main(void)
{
    static char inotify[] = "auto", polling[] = "poll";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(each_way, inotify),
        cmocka_unit_test_prestate(each_way, polling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
