/*
 * bench: see bench.h.
 */
#include "tests/bench/lib/bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"

const char *bench_dir;

void bench_must(int rc, const struct err *e)
{
    if (rc != ERR_OK) {
        fprintf(stderr, "benchmark: %s\n", e->text);
        exit(1);
    }
}

double bench_since(int64_t start_ns)
{
    return (double)(clock_mono_ns() - start_ns) / 1e9;
}

static void begin_row(const char *name, double value, const char *unit, const char *reference,
                      double reference_value)
{
    printf("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"reference\":\"%s\",\"reference_value\":%.6g,"
           "\"ratio\":%.3f",
           name, value, unit, reference, reference_value, value / reference_value);
}

static void end_row(void)
{
    puts("}");
    fflush(stdout);
}

void bench_row(const char *name, double value, const char *unit, const char *reference,
               double reference_value)
{
    begin_row(name, value, unit, reference, reference_value);
    end_row();
}

void bench_row2(const char *name, double value, const char *unit, const char *reference,
                double reference_value, const char *other, double other_value)
{
    begin_row(name, value, unit, reference, reference_value);
    printf(",\"other_reference\":\"%s\",\"other_reference_value\":%.6g,\"other_ratio\":%.3f", other,
           other_value, value / other_value);
    end_row();
}

uint8_t *bench_noise(size_t n)
{
    uint8_t *p = mem_aligned(4096, n);
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; p && i < n; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        p[i] = (uint8_t)(' ' + x % 90);
    }
    return p;
}

int bench_scratch(char **path)
{
    static int number;
    struct err e;
    int fd;
    *path = mem_printf("%s/limit-%d", bench_dir, number++);
    bench_must(io_open(&fd, *path, O_RDWR | O_CREAT | O_TRUNC, 0600, &e), &e);
    return fd;
}

void bench_warm(size_t bytes)
{
    struct err e;
    char *path;
    uint8_t *data = mem_calloc(1, MIB);
    int fd = bench_scratch(&path);
    for (size_t at = 0; at < bytes; at += MIB)
        bench_must(io_pwrite(fd, data, MIB, (int64_t)at, path, &e), &e);
    io_close(fd);
    bench_must(io_unlink(path, &e), &e);
    mem_free(path);
    mem_free(data);
}

double bench_raw_sync(const uint8_t *data, size_t bytes, bool growing, double seconds)
{
    struct err e;
    char *path;
    int fd = bench_scratch(&path);
    size_t span = growing ? SIZE_MAX : bytes > 4 * MIB ? 4 * bytes : 64 * MIB / bytes * bytes, n = 0;
    for (size_t at = 0; !growing && at < span; at += bytes)
        bench_must(io_pwrite(fd, data, bytes, (int64_t)at, path, &e), &e);
    bench_must(io_sync(fd, path, &e), &e);
    int64_t start = clock_mono_ns();
    for (; bench_since(start) < seconds; n++) {
        bench_must(io_pwrite(fd, data, bytes, (int64_t)(n * bytes % span), path, &e), &e);
        bench_must(io_sync_data(fd, path, &e), &e);
    }
    double rate = (double)n / bench_since(start);
    io_close(fd);
    mem_free(path);
    return rate;
}

double bench_raw_copy(const uint8_t *data, size_t record, size_t bytes, double seconds)
{
    struct err e;
    char *path;
    int fd = bench_scratch(&path);
    uint8_t *batch = mem_alloc(bytes);
    uint32_t crc = 0;
    size_t at = 0;
    int64_t start = clock_mono_ns();
    while (bench_since(start) < seconds) {
        size_t fill = 0;
        for (; fill + record <= bytes; fill += record)
            memcpy(batch + fill, data + (at + fill) % MIB, record);
        crc ^= crc32c(0, batch, fill);
        bench_must(io_pwrite(fd, batch, fill, (int64_t)at, path, &e), &e);
        at += fill;
    }
    double rate = (double)at / bench_since(start);
    if (crc == 42)
        fputs("", stderr); /* so that the CRC is not optimised away */
    io_close(fd);
    mem_free(batch);
    mem_free(path);
    return rate;
}
