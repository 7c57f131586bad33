/*
 * bench_fetch: reading from the embedded store: from the page cache and cold, in order and at random, and at the tail while
 * somebody appends; beside pread of a file with the same bytes. Usage: bench_fetch DIR
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "tests/bench/lib/bench.h"

#define TOTAL ((size_t)512 * MIB)
#define BATCH ((size_t)16 << 10)
#define RECORD ((size_t)1024)
enum { RANDOM_READS = 4000, TAIL_RECORDS = 3000 };

static struct err e;
static uint8_t *to; /* 2 MiB */

static void cool(const char *path)
{
    int fd;
    bench_must(io_open(&fd, path, O_RDONLY, 0, &e), &e);
    bench_must(io_sync(fd, path, &e), &e);
    if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        abort();
    io_close(fd);
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    return *x;
}

/* ---- limits -------------------------------------------------------------------------------------------------- */

static double raw_read(const char *path, size_t piece)
{
    int fd;
    bench_must(io_open(&fd, path, O_RDONLY, 0, &e), &e);
    int64_t start = clock_mono_ns();
    for (size_t at = 0; at < TOTAL; at += piece)
        bench_must(io_pread(fd, to, piece, (int64_t)at, path, &e), &e);
    double rate = (double)TOTAL / bench_since(start);
    io_close(fd);
    return rate;
}

static double raw_random(const char *path)
{
    int fd;
    uint64_t x = 88172645463325252u;
    bench_must(io_open(&fd, path, O_RDONLY, 0, &e), &e);
    int64_t start = clock_mono_ns();
    for (int i = 0; i < RANDOM_READS; i++)
        bench_must(io_pread(fd, to, BATCH, (int64_t)(next_random(&x) % (TOTAL / BATCH) * BATCH), path, &e),
                   &e);
    double rate = RANDOM_READS / bench_since(start);
    io_close(fd);
    return rate;
}

/* ---- the store ----------------------------------------------------------------------------------------------- */

static struct batch_builder *builder(void)
{
    struct batch_options o = {.level = CODEC_LEVEL_DEFAULT, .max_bytes = 2 * MIB};
    struct batch_builder *b = batch_builder_new(&o, &e);
    bench_must(b ? ERR_OK : e.code, &e);
    return b;
}

static void append(struct broker *b, const char *topic, struct batch_builder *build, const uint8_t *data,
                   size_t records)
{
    uint8_t *batch;
    size_t bytes;
    for (size_t i = 0; i < records; i++)
        bench_must(batch_builder_add(build, clock_wall_ms(), NULL, 0, data + i * RECORD, RECORD, NULL, 0, &e),
                   &e);
    bench_must(batch_builder_finish(build, &BATCH_NO_PRODUCER, &batch, &bytes, &e), &e);
    struct produce_request q = {.topic = topic, .data = batch, .bytes = bytes, .built_here = true};
    bench_must(broker_produce(b, &q, 1, false, &e), &e);
}

static void fill(struct broker *b, const uint8_t *data)
{
    struct topic_config_entry config = {"durability", "page-cache"};
    struct batch_builder *build = builder();
    bench_must(broker_create_topic(b, "t", 1, &config, 1, NULL, &e), &e);
    for (size_t at = 0; at < TOTAL; at += BATCH)
        append(b, "t", build, data + at % MIB, BATCH / RECORD);
    batch_builder_free(build);
}

/* Bytes fetched; the next offset. */
static size_t fetch(struct broker *b, const char *topic, int64_t offset, size_t max, int64_t *next)
{
    struct log_range r;
    bench_must(broker_locate(b, topic, 0, offset, max, READ_COMMITTED, &r, &e), &e);
    if (r.bytes)
        bench_must(log_range_read(&r, 0, to, r.bytes, &e), &e);
    *next = r.next_offset;
    size_t bytes = r.bytes;
    log_range_release(&r);
    return bytes;
}

static double fetch_all(struct broker *b)
{
    int64_t offset = 0, start = clock_mono_ns();
    size_t bytes = 0, n;
    while ((n = fetch(b, "t", offset, MIB, &offset)))
        bytes += n;
    return (double)bytes / bench_since(start);
}

static double fetch_random(struct broker *b)
{
    uint64_t x = 88172645463325252u;
    int64_t next, start = clock_mono_ns();
    for (int i = 0; i < RANDOM_READS; i++)
        fetch(b, "t", (int64_t)(next_random(&x) % (TOTAL / RECORD)), 1, &next);
    return RANDOM_READS / bench_since(start);
}

/* ---- the tail ------------------------------------------------------------------------------------------------ */

struct tail {
    struct broker *b;
    _Atomic(int64_t) sent_ns;
    atomic_int seen; /* records */
    double us[TAIL_RECORDS];
};

static void *read_tail(void *arg)
{
    struct tail *t = arg;
    struct waiter *w = waiter_new(t->b, &e);
    bench_must(w ? ERR_OK : e.code, &e);
    bench_must(waiter_watch(w, "tail", 0, &e), &e);
    int64_t offset = 0;
    while (offset < TAIL_RECORDS) {
        struct log_range r;
        struct err why;
        uint8_t buffer[4096];
        bench_must(broker_locate(t->b, "tail", 0, offset, 1, READ_COMMITTED, &r, &why), &why);
        if (r.bytes) {
            bench_must(log_range_read(&r, 0, buffer, r.bytes, &why), &why);
            t->us[offset] = (double)(clock_mono_ns() - atomic_load(&t->sent_ns)) / 1e3;
            offset = r.next_offset;
        }
        size_t got = r.bytes;
        log_range_release(&r);
        if (got)
            atomic_store(&t->seen, (int)offset);
        else
            waiter_wait(w, -1);
    }
    waiter_free(w);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One synced record at a time, each sent when the one before was read: from the append's call to the bytes at the reader. */
static void measure_tail(struct broker *b, const uint8_t *data)
{
    static struct tail t;
    pthread_t reader;
    struct batch_builder *build = builder();
    t.b = b;
    bench_must(broker_create_topic(b, "tail", 1, NULL, 0, NULL, &e), &e);
    if (pthread_create(&reader, NULL, read_tail, &t) != 0)
        abort();
    for (int i = 0; i < TAIL_RECORDS; i++) {
        atomic_store(&t.sent_ns, clock_mono_ns());
        append(b, "tail", build, data, 1);
        while (atomic_load(&t.seen) <= i)
            usleep(20);
    }
    pthread_join(reader, NULL);
    qsort(t.us, TAIL_RECORDS, sizeof *t.us, by_value);
    double sync_us = 1e6 / bench_raw_sync(data, 4096, false, 0.5);
    bench_row("tail: from append to reader, median", t.us[TAIL_RECORDS / 2], "us", "write 4 KiB + fdatasync",
              sync_us);
    bench_row("  99 of 100 within", t.us[TAIL_RECORDS * 99 / 100], "us", "write 4 KiB + fdatasync", sync_us);
    batch_builder_free(build);
}

static struct broker *open_store(const char *path)
{
    struct broker *b;
    struct broker_options o = {.data_dir = path};
    bench_must(broker_open(&b, &o, &e), &e);
    return b;
}

int main(int argc, char **argv)
{
    char *raw;
    if (argc != 2)
        return 2;
    bench_dir = argv[1];
    uint8_t *data = bench_noise(2 * MIB);
    to = mem_alloc(2 * MIB);
    char *path = mem_printf("%s/data", bench_dir), *segment = mem_printf("%s/logs/t-0/%020d.log", path, 0);
    bench_warm(2 * TOTAL);
    int fd = bench_scratch(&raw);
    for (size_t at = 0; at < TOTAL; at += MIB)
        bench_must(io_pwrite(fd, data, MIB, (int64_t)at, raw, &e), &e);
    struct broker *b = open_store(path);
    fill(b, data);
    bench_must(broker_close(b, &e), &e);
    b = open_store(path);
    bench_row("fetch 1 MiB at a time, page cache", fetch_all(b) / (double)MIB, "MiB/s", "pread 1 MiB",
              raw_read(raw, MIB) / (double)MIB);
    bench_row("fetch one batch of 16 KiB at random, page cache", fetch_random(b), "fetches/s",
              "pread 16 KiB at random", raw_random(raw));
    cool(segment);
    cool(raw);
    bench_row("fetch 1 MiB at a time, cold", fetch_all(b) / (double)MIB, "MiB/s", "pread 1 MiB, cold",
              raw_read(raw, MIB) / (double)MIB);
    cool(segment);
    cool(raw);
    bench_row("fetch one batch of 16 KiB at random, cold", fetch_random(b), "fetches/s",
              "pread 16 KiB at random, cold", raw_random(raw));
    measure_tail(b, data);
    bench_must(broker_close(b, &e), &e);
    io_close(fd);
    mem_free(raw);
    mem_free(segment);
    mem_free(path);
    mem_free(to);
    mem_free(data);
    return 0;
}
