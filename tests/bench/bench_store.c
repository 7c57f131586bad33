/*
 * bench_store: the embedded store against what the disk and the memory give in the same run. Prints one JSON object a row;
 * tests/bench/run makes table and file of them. Usage: bench_store DIR
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "client/client.h"

#define MIB (1u << 20)
#define TOTAL ((size_t)512 * MIB)

static struct err e;
static const char *dir;

static void must(int rc)
{
    if (rc != ERR_OK) {
        fprintf(stderr, "bench_store: %s\n", e.text);
        exit(1);
    }
}

static double seconds_since(int64_t start_ns)
{
    return (double)(clock_mono_ns() - start_ns) / 1e9;
}

static void row(const char *name, double value, const char *unit, const char *reference,
                double reference_value)
{
    printf("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"reference\":\"%s\",\"reference_value\":%.6g,"
           "\"ratio\":%.3f}\n",
           name, value, unit, reference, reference_value, value / reference_value);
    fflush(stdout);
}

static uint8_t *noise(size_t n)
{
    uint8_t *p = mem_aligned(4096, n);
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; p && i < n; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        p[i] = (uint8_t)(' ' + x % 90);
    }
    return p;
}

/* ---- limits ------------------------------------------------------------------------------------------------- */

/*
 * A new file for each limit, kept to the end: a store keeps what it is given, so its writes always take fresh memory of the
 * page cache, which is several times slower than that of a file just removed (more so on virtual machines, whose host
 * backs memory at its first use). Limits and store shall meet the same.
 */
static int scratch(char **path)
{
    static int number;
    int fd;
    *path = mem_printf("%s/limit-%d", dir, number++);
    must(io_open(&fd, *path, O_RDWR | O_CREAT | O_TRUNC, 0600, &e));
    return fd;
}

/* Writing 4 KiB and a sync each time into a file written before, as into a journal: operations a second. */
static double limit_small_sync(const uint8_t *data, size_t count)
{
    char *path;
    int fd = scratch(&path);
    size_t span = 8 * MIB;
    for (size_t at = 0; at < span; at += MIB)
        must(io_pwrite(fd, data, MIB, (int64_t)at, path, &e));
    must(io_sync(fd, path, &e));
    int64_t start = clock_mono_ns();
    for (size_t i = 0; i < count; i++) {
        must(io_pwrite(fd, data, 4096, (int64_t)(i * 4096 % span), path, &e));
        must(io_sync_data(fd, path, &e));
    }
    double s = seconds_since(start);
    io_close(fd);
    mem_free(path);
    return (double)count / s;
}

/* Writing 1 MiB and a sync each time, one after another, into a file whose space was reserved: bytes a second. */
static double limit_sequential_sync(const uint8_t *data)
{
    char *path;
    int fd = scratch(&path);
    must(io_allocate(fd, 0, (int64_t)TOTAL, path, &e));
    int64_t start = clock_mono_ns();
    for (size_t at = 0; at < TOTAL; at += MIB) {
        must(io_pwrite(fd, data, MIB, (int64_t)at, path, &e));
        must(io_sync_data(fd, path, &e));
    }
    double s = seconds_since(start);
    io_close(fd);
    mem_free(path);
    return (double)TOTAL / s;
}

/* memcpy into a buffer of 64 KiB, its CRC-32C, a write of it: bytes a second. */
static double limit_copy(const uint8_t *data, size_t record)
{
    char *path;
    int fd = scratch(&path);
    uint8_t *batch = mem_alloc(64 << 10);
    uint32_t crc = 0;
    size_t at = 0;
    int64_t start = clock_mono_ns();
    while (at < TOTAL) {
        size_t fill = 0;
        for (; fill + record <= 64 << 10; fill += record)
            memcpy(batch + fill, data + (at + fill) % MIB, record);
        crc ^= crc32c(0, batch, fill);
        must(io_pwrite(fd, batch, fill, (int64_t)at, path, &e));
        at += fill;
    }
    double s = seconds_since(start);
    if (crc == 42)
        fputs("", stderr); /* so that the CRC is not optimised away */
    io_close(fd);
    mem_free(batch);
    mem_free(path);
    return (double)at / s;
}

/* pread of a file in the page cache: bytes a second. */
static double limit_read(const uint8_t *data)
{
    char *path;
    int fd = scratch(&path);
    uint8_t *to = mem_alloc(MIB);
    for (size_t at = 0; at < TOTAL; at += MIB)
        must(io_pwrite(fd, data, MIB, (int64_t)at, path, &e));
    int64_t start = clock_mono_ns();
    for (size_t at = 0; at < TOTAL; at += MIB)
        must(io_pread(fd, to, MIB, (int64_t)at, path, &e));
    double s = seconds_since(start);
    io_close(fd);
    mem_free(to);
    mem_free(path);
    return (double)TOTAL / s;
}

/* ---- the store ---------------------------------------------------------------------------------------------- */

struct store {
    struct broker *broker;
    struct client *client;
};

static struct store open_store(void)
{
    struct store s;
    char *path = mem_printf("%s/data", dir);
    struct broker_options o = {.data_dir = path};
    must(io_remove_tree(path, &e));
    must(broker_open(&s.broker, &o, &e));
    s.client = client_embedded(s.broker, &e);
    if (!s.client)
        must(e.code);
    mem_free(path);
    return s;
}

static void close_store(struct store *s)
{
    client_close(s->client);
    must(broker_close(s->broker, &e));
}

static void create(struct store *s, const char *topic, const char *durability)
{
    struct topic_config_entry config = {"durability", durability};
    must(client_create_topic(s->client, topic, 1, &config, 1, &e));
}

/* Adds records of `size` bytes, flushing after each `flush` bytes of them: values' bytes a second. */
static double append(struct store *s, const char *topic, const uint8_t *data, size_t size, size_t flush,
                     size_t total)
{
    struct producer_options o = {.codec_level = CODEC_LEVEL_DEFAULT};
    struct producer *p = producer_open(s->client, &o, &e);
    struct producer_target *t;
    if (!p)
        must(e.code);
    must(producer_target(p, topic, 0, &t, &e));
    int64_t start = clock_mono_ns(), now = clock_wall_ms();
    size_t at = 0, pending = 0;
    for (; at < total; at += size) {
        must(producer_add_to(p, t, now, NULL, 0, data + at % (MIB - size), size, NULL, 0, &e));
        pending += size;
        if (pending >= flush) {
            must(producer_flush(p, &e));
            pending = 0;
        }
    }
    must(producer_flush(p, &e));
    double rate = (double)at / seconds_since(start);
    producer_close(p);
    return rate;
}

static double fetch_raw(struct store *s, const char *topic)
{
    uint8_t *to = mem_alloc(MIB * 2);
    int64_t offset = 0, start = clock_mono_ns();
    size_t bytes = 0;
    for (;;) {
        struct log_range r;
        must(broker_locate(s->broker, topic, 0, offset, MIB, READ_COMMITTED, &r, &e));
        if (r.bytes)
            must(log_range_read(&r, 0, to, r.bytes, &e));
        bytes += r.bytes;
        offset = r.next_offset;
        bool more = r.bytes > 0;
        log_range_release(&r);
        if (!more)
            break;
    }
    double rate = (double)bytes / seconds_since(start);
    mem_free(to);
    return rate;
}

/* Records a second, decoded. */
static double consume(struct store *s, const char *topic)
{
    struct consumer_options o = {.isolation = READ_COMMITTED};
    struct consumer *c = consumer_open(s->client, &o, &e);
    if (!c)
        must(e.code);
    must(consumer_assign(c, topic, 0, 0, &e));
    size_t records = 0;
    int64_t start = clock_mono_ns();
    for (;;) {
        struct consumed got;
        must(consumer_poll(c, 0, &got, &e));
        if (got.n == 0)
            break;
        records += got.n;
    }
    double rate = (double)records / seconds_since(start);
    consumer_close(c);
    return rate;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    dir = argv[1];
    uint8_t *data = noise(MIB * 4);
    double sync_4k = limit_small_sync(data, 2000), sync_1m = limit_sequential_sync(data) / MIB;
    double copy_1k = limit_copy(data, 1024), copy_100 = limit_copy(data, 100), read = limit_read(data);

    struct store s = open_store();
    create(&s, "lone", "sync");
    create(&s, "sync1k", "sync");
    create(&s, "sync100", "sync");
    create(&s, "cache1k", "page-cache");
    create(&s, "cache100", "page-cache");
    row("one 1 KiB record a sync", append(&s, "lone", data, 1024, 1024, 2000 * 1024) / 1024, "records/s",
        "write 4 KiB + fdatasync", sync_4k);
    row("append 1 KiB records, 1 MiB a sync", append(&s, "sync1k", data, 1024, MIB, TOTAL) / MIB, "MiB/s",
        "write 1 MiB + fdatasync", sync_1m);
    row("append 100 B records, 1 MiB a sync", append(&s, "sync100", data, 100, MIB, TOTAL / 2) / MIB, "MiB/s",
        "write 1 MiB + fdatasync", sync_1m);
    row("append 1 KiB records, not synced", append(&s, "cache1k", data, 1024, MIB, TOTAL) / MIB, "MiB/s",
        "memcpy + CRC32C + write", copy_1k / MIB);
    row("append 100 B records, not synced", append(&s, "cache100", data, 100, MIB, TOTAL / 2) / MIB, "MiB/s",
        "memcpy + CRC32C + write", copy_100 / MIB);
    row("fetch 1 MiB at a time, page cache", fetch_raw(&s, "cache1k") / MIB, "MiB/s", "pread 1 MiB",
        read / MIB);
    row("consume 100 B records, decoded", consume(&s, "cache100") * 100 / MIB, "MiB/s", "pread 1 MiB",
        read / MIB);
    close_store(&s);
    mem_free(data);
    return 0;
}
