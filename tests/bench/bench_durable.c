/*
 * bench_durable: ways to make appends to many files durable, measured bare, for docs/design/0002-durable-appends.md.
 * Usage: bench_durable DIR
 *
 * A round appends `bytes` to each of `n` files, one after the other over all `files`, and ends when all of that is durable.
 * Every way but "journal only" leaves the bytes in the files. Files grow and their space is reserved ahead in pieces, as
 * segments do, or they are filled with zeros beforehand and written over ("preallocated").
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "tests/bench/lib/bench.h"

enum { FILES_MAX = 1000, RING = 128, BLOCK = 4096 };
#define RESERVE ((size_t)4 * MIB)
#define SPAN ((size_t)4 * MIB) /* of a preallocated file, written over in turns */
#define JOURNAL_BYTES ((size_t)256 * MIB)

static struct err e;
static uint8_t *data, *stage; /* stage: aligned, what the journal writes */

struct file {
    int fd;
    int64_t size, reserved;
};

static struct set {
    struct file files[FILES_MAX];
    int count, next;
    bool preallocated;
    int journal;
    int64_t journal_at;
} set;

/* ---- files --------------------------------------------------------------------------------------------------- */

static void fill(int fd, size_t bytes, const char *path)
{
    uint8_t *zeros = mem_aligned(BLOCK, MIB);
    memset(zeros, 0, MIB);
    for (size_t at = 0; at < bytes; at += MIB)
        bench_must(io_pwrite(fd, zeros, MIB, (int64_t)at, path, &e), &e);
    bench_must(io_sync(fd, path, &e), &e);
    mem_free(zeros);
}

static void open_set(int count, bool preallocated)
{
    char *path;
    set.count = count;
    set.next = 0;
    set.preallocated = preallocated;
    for (int i = 0; i < count; i++) {
        set.files[i] = (struct file){.fd = bench_scratch(&path)};
        if (preallocated)
            fill(set.files[i].fd, SPAN, path);
        mem_free(path);
    }
    if (set.journal)
        return;
    close(bench_scratch(&path));
    bench_must(io_open(&set.journal, path, O_RDWR | O_DIRECT | O_DSYNC, 0600, &e), &e);
    fill(set.journal, JOURNAL_BYTES, path);
    mem_free(path);
}

static void close_set(void)
{
    for (int i = 0; i < set.count; i++) {
        if (ftruncate(set.files[i].fd, 0) != 0)
            abort();
        close(set.files[i].fd);
    }
}

static struct file *next_file(size_t bytes)
{
    struct file *f = &set.files[set.next++ % set.count];
    if (set.preallocated && f->size + (int64_t)bytes > (int64_t)SPAN)
        f->size = 0;
    if (!set.preallocated && f->size + (int64_t)bytes > f->reserved) {
        if (fallocate(f->fd, FALLOC_FL_KEEP_SIZE, f->reserved, (off_t)RESERVE) != 0)
            abort();
        f->reserved += (int64_t)RESERVE;
    }
    return f;
}

static void write_one(struct file *f, size_t bytes)
{
    bench_must(io_pwrite(f->fd, data, bytes, f->size, "file", &e), &e);
    f->size += (int64_t)bytes;
}

static void write_journal(size_t bytes)
{
    size_t padded = (bytes + BLOCK - 1) / BLOCK * BLOCK;
    if (set.journal_at + (int64_t)padded > (int64_t)JOURNAL_BYTES)
        set.journal_at = 0;
    bench_must(io_pwrite(set.journal, stage, padded, set.journal_at, "journal", &e), &e);
    set.journal_at += (int64_t)padded;
}

/* ---- the ways ------------------------------------------------------------------------------------------------ */

static void sync_each(int n, size_t bytes)
{
    struct file *written[RING];
    for (int i = 0; i < n; i++)
        write_one(written[i] = next_file(bytes), bytes);
    for (int i = 0; i < n; i++)
        bench_must(io_sync_data(written[i]->fd, "file", &e), &e);
}

static void journal_all(int n, size_t bytes)
{
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        write_one(next_file(bytes), bytes);
        memcpy(stage + at, data, bytes);
        at += bytes;
    }
    write_journal(at);
}

static void journal_only(int n, size_t bytes)
{
    for (int i = 0; i < n; i++)
        memcpy(stage + (size_t)i * bytes, data, bytes);
    write_journal((size_t)n * bytes);
}

static void journal_reference(int n, size_t bytes)
{
    sync_each(n, bytes);
    write_journal((size_t)n * 64);
}

/* ---- io_uring, by its system calls ------------------------------------------------------------------------------ */

static struct ring {
    int fd;
    unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
} ring;

static bool open_ring(void)
{
    struct io_uring_params p = {0};
    ring.fd = (int)syscall(SYS_io_uring_setup, RING * 2, &p);
    if (ring.fd < 0)
        return false;
    size_t sq = p.sq_off.array + p.sq_entries * sizeof(unsigned);
    size_t cq = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
    char *s = mmap(NULL, sq, prot, flags, ring.fd, IORING_OFF_SQ_RING);
    char *c = mmap(NULL, cq, prot, flags, ring.fd, IORING_OFF_CQ_RING);
    void *sqes = mmap(NULL, p.sq_entries * sizeof *ring.sqes, prot, flags, ring.fd, IORING_OFF_SQES);
    if (s == MAP_FAILED || c == MAP_FAILED || sqes == MAP_FAILED)
        return false;
    ring.sq_tail = (unsigned *)(void *)(s + p.sq_off.tail);
    ring.sq_mask = (unsigned *)(void *)(s + p.sq_off.ring_mask);
    ring.sq_array = (unsigned *)(void *)(s + p.sq_off.array);
    ring.cq_head = (unsigned *)(void *)(c + p.cq_off.head);
    ring.cq_tail = (unsigned *)(void *)(c + p.cq_off.tail);
    ring.cq_mask = (unsigned *)(void *)(c + p.cq_off.ring_mask);
    ring.sqes = sqes;
    ring.cqes = (struct io_uring_cqe *)(void *)(c + p.cq_off.cqes);
    return true;
}

static struct io_uring_sqe *next_sqe(uint8_t op, int fd, uint8_t flags)
{
    unsigned tail = *ring.sq_tail, i = tail & *ring.sq_mask;
    struct io_uring_sqe *q = &ring.sqes[i];
    memset(q, 0, sizeof *q);
    q->opcode = op;
    q->fd = fd;
    q->flags = flags;
    ring.sq_array[i] = i;
    __atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
    return q;
}

/* Each write is linked to the sync of its file; all are under way at once. */
static void ring_all(int n, size_t bytes)
{
    for (int i = 0; i < n; i++) {
        struct file *f = next_file(bytes);
        struct io_uring_sqe *q = next_sqe(IORING_OP_WRITE, f->fd, IOSQE_IO_LINK);
        q->addr = (uint64_t)(uintptr_t)data;
        q->len = (uint32_t)bytes;
        q->off = (uint64_t)f->size;
        next_sqe(IORING_OP_FSYNC, f->fd, 0)->fsync_flags = IORING_FSYNC_DATASYNC;
        f->size += (int64_t)bytes;
    }
    unsigned wanted = 2 * (unsigned)n;
    if (syscall(SYS_io_uring_enter, ring.fd, wanted, wanted, IORING_ENTER_GETEVENTS, NULL, 0) != (long)wanted)
        abort();
    unsigned head = *ring.cq_head;
    for (unsigned i = 0; i < wanted; i++, head++)
        if (ring.cqes[head & *ring.cq_mask].res < 0)
            abort();
    __atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

typedef void way_fn(int n, size_t bytes);

static double measure(way_fn *way, int files, bool preallocated, int n, size_t bytes)
{
    double seconds = 0.4;
    size_t rounds = 0;
    bench_warm((size_t)1024 * MIB);
    open_set(files, preallocated);
    int64_t start = clock_mono_ns();
    for (; bench_since(start) < seconds && rounds * (size_t)n * bytes < (size_t)400 * MIB; rounds++)
        way(n, bytes);
    double us = bench_since(start) * 1e6 / (double)rounds;
    close_set();
    return us;
}

static void compare(int files, int n, size_t bytes)
{
    static const struct {
        const char *name;
        way_fn *way;
        bool preallocated;
    } ways[] = {
        {"journal only (files later)", journal_only, false},
        {"fdatasync of each file", sync_each, false},
        {"the same, preallocated", sync_each, true},
        {"journal by reference", journal_reference, false},
        {"the same, preallocated", journal_reference, true},
        {"io_uring, write and fdatasync of each", ring_all, false},
        {"the same, preallocated", ring_all, true},
    };
    char name[128];
    double journal = measure(journal_all, files, false, n, bytes);
    snprintf(name, sizeof name, "%d append%s of %zu B to %d file%s: file and journal", n, n > 1 ? "s" : "",
             bytes, files, files > 1 ? "s" : "");
    bench_row(name, journal, "us", "itself", journal);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (ways[i].way == ring_all && !ring.sqes)
            continue;
        if (ways[i].preallocated && files > 100)
            continue; /* 4 GiB of zeros */
        snprintf(name, sizeof name, "  %s", ways[i].name);
        bench_row(name, measure(ways[i].way, files, ways[i].preallocated, n, bytes), "us", "file and journal",
                  journal);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    bench_dir = argv[1];
    data = bench_noise(MIB);
    stage = mem_aligned(BLOCK, (size_t)64 * MIB);
    memset(stage, 1, (size_t)64 * MIB);
    if (!open_ring())
        fputs("no io_uring here\n", stderr);
    compare(1, 1, 1024);
    compare(1, 1, 64 << 10);
    compare(1, 1, MIB);
    compare(100, 32, 1024);
    compare(100, 32, 64 << 10);
    compare(100, 4, MIB);
    compare(1000, 64, 1024);
    return 0;
}
