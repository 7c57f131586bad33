/*
 * bench_files: what appends to 10,000 files cost the machine beside appends to one, with nothing of a store: the limit that stands beside
 * bench_append's 10,000 partitions. Usage: bench_files DIR
 *
 * One thread writes pieces into the files in turns, by the page cache. Of each ROUND of them a second one writes as many bytes over a journal
 * (O_DIRECT, O_DSYNC). A third one syncs the file system for each RELEASE bytes of that, which may be BEHIND_MAX ahead of it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "tests/bench/lib/bench.h"

enum { FILES = 10000, A_DIRECTORY = 100, ROUND = 32, BLOCK = 4096, SECONDS = 3 };
#define RELEASE ((size_t)128 * MIB)
#define BEHIND_MAX ((size_t)1024 * MIB)
#define WARM ((size_t)768 * MIB)

static struct err e;

/* Counted in rounds, under the lock. */
struct loops {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t written, journaled, released;
    bool stop;
    size_t record; /* bytes of a round in the journal */
    const uint8_t *data;
    int journal, directory;
};

static void change(struct loops *l, uint64_t *what, uint64_t to)
{
    pthread_mutex_lock(&l->lock);
    *what = to;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

/* False: the end. */
static bool await_rounds(struct loops *l, const uint64_t *theirs, uint64_t ours, uint64_t most)
{
    pthread_mutex_lock(&l->lock);
    while (!l->stop && *theirs - ours < most)
        pthread_cond_wait(&l->changed, &l->lock);
    bool go_on = !l->stop;
    pthread_mutex_unlock(&l->lock);
    return go_on;
}

static void *write_journal(void *arg)
{
    struct loops *l = arg;
    struct err why;
    size_t at = 0;
    while (await_rounds(l, &l->written, l->journaled, 1)) {
        at = at + l->record <= BEHIND_MAX ? at : 0;
        bench_must(io_pwrite(l->journal, l->data, l->record, (int64_t)at, "journal", &why), &why);
        at += l->record;
        change(l, &l->journaled, l->journaled + 1);
    }
    return NULL;
}

static void *sync_files(void *arg)
{
    struct loops *l = arg;
    while (await_rounds(l, &l->journaled, l->released, RELEASE / l->record)) {
        pthread_mutex_lock(&l->lock);
        uint64_t to = l->journaled;
        pthread_mutex_unlock(&l->lock);
        if (syncfs(l->directory) != 0)
            abort();
        change(l, &l->released, to);
    }
    return NULL;
}

/* The journal is one round behind at most, as two groups of writers take turns. */
static void write_round(struct loops *l, int *fds, int files, int64_t *ends, size_t piece)
{
    for (int i = 0; i < ROUND; i++) {
        int f = (int)((l->written * ROUND + (uint64_t)i) % (uint64_t)files);
        bench_must(io_pwrite(fds[f], l->data, piece, ends[f], "file", &e), &e);
        ends[f] += (int64_t)piece;
    }
    pthread_mutex_lock(&l->lock);
    l->written++;
    pthread_cond_broadcast(&l->changed);
    while (l->written - l->journaled > 1 || (l->written - l->released) * l->record > BEHIND_MAX)
        pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

/* Bytes a second. */
static double run(struct loops *l, int *fds, int files, size_t piece)
{
    pthread_t journal, syncs;
    int64_t *ends = mem_calloc((size_t)files, sizeof *ends);
    for (int i = 0; i < files; i++)
        bench_must(io_size(fds[i], &ends[i], "file", &e), &e);
    bench_warm(WARM);
    l->written = l->journaled = l->released = 0;
    l->stop = false;
    l->record = (piece * ROUND + BLOCK - 1) / BLOCK * BLOCK;
    if (pthread_create(&journal, NULL, write_journal, l) || pthread_create(&syncs, NULL, sync_files, l))
        abort();
    int64_t start = clock_mono_ns();
    while (bench_since(start) < SECONDS)
        write_round(l, fds, files, ends, piece);
    double bytes = (double)l->written * ROUND * (double)piece / bench_since(start);
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    pthread_join(journal, NULL);
    pthread_join(syncs, NULL);
    mem_free(ends);
    return bytes;
}

static void make_files(int *fds, int files)
{
    for (int i = 0; i < files; i++) {
        char *directory = mem_printf("%s/files-%d", bench_dir, i / A_DIRECTORY);
        char *path = mem_printf("%s/%d", directory, i);
        if (i % A_DIRECTORY == 0)
            bench_must(io_mkdir(directory, 0700, &e), &e);
        bench_must(io_open(&fds[i], path, O_RDWR | O_CREAT | O_TRUNC, 0600, &e), &e);
        bench_must(io_pwrite(fds[i], "first", 5, 0, path, &e), &e);
        mem_free(path);
        mem_free(directory);
    }
    io_sync_fs(bench_dir);
}

static void make_journal(struct loops *l)
{
    char *path = mem_printf("%s/journal", bench_dir);
    bench_must(io_open(&l->journal, path, O_RDWR | O_CREAT | O_DIRECT | O_DSYNC, 0600, &e), &e);
    for (size_t at = 0; at < BEHIND_MAX; at += 4 * MIB)
        bench_must(io_pwrite(l->journal, l->data, 4 * MIB, (int64_t)at, path, &e), &e);
    mem_free(path);
}

/* How many may be open, of FILES. */
static int file_count(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        abort();
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > FILES + A_DIRECTORY)
        return FILES;
    return (int)limit.rlim_cur - A_DIRECTORY;
}

int main(int argc, char **argv)
{
    static const size_t pieces[] = {1100, 16 << 10, 64 << 10};
    static const char *const names[] = {"1,100 B", "16 KiB", "64 KiB"};
    static int fds[FILES];
    if (argc != 2)
        return 2;
    bench_dir = argv[1];
    int files = file_count();
    uint8_t *data = bench_noise(4 * MIB);
    struct loops l = {.data = data, .directory = open(bench_dir, O_RDONLY | O_DIRECTORY)};
    if (l.directory < 0 || pthread_mutex_init(&l.lock, NULL) || pthread_cond_init(&l.changed, NULL))
        abort();
    make_journal(&l);
    make_files(fds, files);
    for (int i = 0; i < 3; i++) {
        char name[96];
        double one = run(&l, fds, 1, pieces[i]), all = run(&l, fds, files, pieces[i]);
        snprintf(name, sizeof name, "bare loops, %s to each of %d files", names[i], files);
        bench_row(name, all / (double)MIB, "MiB/s", "the same to one file", one / (double)MIB);
    }
    mem_free(data);
    return 0;
}
