/*
 * bench_fill: a data directory for the measurements of starts, stops and memory. Usage: bench_fill DIR PARTITIONS BYTES [BATCH]
 *
 * Appends BYTES in all to each of PARTITIONS partitions of the synced topic "bench" in turn, prints "ready", waits for a line
 * (or to be killed), then appends once more to each, so that all are dirty, closes the store and prints the seconds of that.
 * With BATCH, the size of batches, no thread runs that would flush logs: all of it stays in the journal, which is the most that a start
 * can have to read.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "tests/bench/lib/bench.h"

enum { AT_ONCE = 8 };
#define RECORD ((size_t)1024)
#define BATCH ((size_t)256 << 10)

static struct err e;

static uint8_t *build(const uint8_t *data, size_t bytes, size_t *size)
{
    struct batch_options o = {.level = CODEC_LEVEL_DEFAULT, .max_bytes = 2 * MIB};
    struct batch_builder *builder = batch_builder_new(&o, &e);
    uint8_t *built;
    bench_must(builder ? ERR_OK : e.code, &e);
    do
        bench_must(batch_builder_add(builder, clock_wall_ms(), NULL, 0, data, RECORD, NULL, 0, &e), &e);
    while (batch_builder_bytes(builder) + RECORD + 16 <= bytes);
    bench_must(batch_builder_finish(builder, &BATCH_NO_PRODUCER, &built, size, &e), &e);
    built = mem_dup(built, *size);
    batch_builder_free(builder);
    return built;
}

/* One batch to every partition, some with each sync. */
static void append_round(struct broker *b, int partitions, const uint8_t *batch, size_t bytes,
                         uint8_t *copies)
{
    for (int at = 0; at < partitions; at += AT_ONCE) {
        struct produce_request q[AT_ONCE];
        int n = partitions - at < AT_ONCE ? partitions - at : AT_ONCE;
        for (int i = 0; i < n; i++) {
            uint8_t *copy = copies + (size_t)i * bytes;
            for (size_t k = 0; k < bytes; k++)
                copy[k] = batch[k];
            q[i] = (struct produce_request){
                .topic = "bench", .partition = at + i, .data = copy, .bytes = bytes, .built_here = true};
        }
        bench_must(broker_produce(b, q, (size_t)n, false, &e), &e);
    }
}

int main(int argc, char **argv)
{
    struct broker *b;
    if (argc != 4 && argc != 5)
        return 2;
    int partitions = atoi(argv[2]);
    size_t total = (size_t)atoll(argv[3]), bytes, small_bytes;
    struct broker_options o = {.data_dir = argv[1], .no_threads = argc == 5};
    uint8_t *data = bench_noise(MIB);
    uint8_t *batch = build(data, argc == 5 ? (size_t)atoll(argv[4]) : BATCH, &bytes),
            *small = build(data, 1, &small_bytes);
    uint8_t *copies = mem_alloc(AT_ONCE * bytes);
    bench_must(broker_open(&b, &o, &e), &e);
    bench_must(broker_create_topic(b, "bench", partitions, NULL, 0, NULL, &e), &e);
    append_round(b, partitions, small, small_bytes, copies);
    for (size_t done = 0; done + bytes * (size_t)partitions <= total; done += bytes * (size_t)partitions)
        append_round(b, partitions, batch, bytes, copies);
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF)
        return 1;
    append_round(b, partitions, small, small_bytes, copies);
    int64_t start = clock_mono_ns();
    bench_must(broker_close(b, &e), &e);
    printf("%.6f\n", bench_since(start));
    mem_free(copies);
    mem_free(small);
    mem_free(batch);
    mem_free(data);
    return 0;
}
