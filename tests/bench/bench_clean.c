/*
 * bench_clean: a pass of the cleaner over a log, beside a plain copy of the same files with a sync each, in the same run; and the
 * broker's cleaner with two threads over several logs beside one thread.
 * Prints one JSON object a row; tests/bench/run makes table and file of them. Usage: bench_clean DIR
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "storage/clean.h"

#define MIB (1u << 20)
#define TOTAL ((int64_t)192 * MIB) /* of values */
#define SEGMENT ((int64_t)32 * MIB)

static struct err e;

static void must(int rc)
{
    if (rc != ERR_OK) {
        fprintf(stderr, "bench_clean: %s\n", e.text);
        exit(1);
    }
}

static double seconds_since(int64_t start_ns)
{
    return (double)(clock_mono_ns() - start_ns) / 1e9;
}

/* Something that compresses as text does. */
static void fill(char *value, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245 + 12345;
        value[i] = (char)('a' + (i % 3 ? seed >> 28 : i % 16));
    }
}

struct shape {
    const char *name;
    size_t value;
    int keys_of_ten; /* so many of ten records have a key that does not come again */
    enum codec codec;
};

/* Where the batches of a shape go. */
typedef void sink_fn(void *arg, uint8_t *data, size_t n);

static void append(void *arg, uint8_t *data, size_t n)
{
    struct log *log = arg;
    struct log_append_args args = {.origin = LOG_FROM_CLIENT,
                                   .max_message_bytes = MIB,
                                   .timestamp_before_max_ms = INT64_MAX,
                                   .timestamp_after_max_ms = INT64_MAX};
    struct log_appended out;
    must(log_append(log, data, n, &args, &out, &e));
    log_set_high_watermark(log, out.last_offset + 1);
}

static void finish(struct batch_builder *b, sink_fn *sink, void *arg)
{
    struct batch_producer none = BATCH_NO_PRODUCER;
    uint8_t *data;
    size_t n;
    must(batch_builder_finish(b, &none, &data, &n, &e));
    sink(arg, data, n);
}

static void make_records(const struct shape *s, int64_t total, sink_fn *sink, void *arg)
{
    struct batch_options o = {.codec = s->codec, .level = CODEC_LEVEL_DEFAULT, .max_bytes = MIB};
    struct batch_builder *b = batch_builder_new(&o, &e);
    char *value = mem_alloc(s->value), key[32];
    if (!b || !value)
        exit(1);
    int64_t records = total / (int64_t)s->value;
    for (int64_t i = 0; i < records; i++) {
        int64_t k = i % 10 < s->keys_of_ten ? i : i % 10;
        size_t key_len = (size_t)snprintf(key, sizeof key, "key-%012lld", (long long)k);
        fill(value, s->value, (unsigned)i);
        must(batch_builder_add(b, 1700000000000 + i, key, key_len, value, s->value, NULL, 0, &e));
        if (batch_builder_bytes(b) >= 64 << 10)
            finish(b, sink, arg);
    }
    if (batch_builder_count(b))
        finish(b, sink, arg);
    batch_builder_free(b);
    mem_free(value);
}

static struct log *build(const char *dir, const struct shape *s)
{
    struct log_open_args args = {
        .dir = dir, .name = "bench-0", .config = log_config_default(), .durable_end = -1};
    struct log *log;
    args.config.segment_bytes = SEGMENT;
    args.config.cleanup_compact = true;
    must(log_open(&log, &args, NULL, &e));
    make_records(s, TOTAL, append, log);
    must(log_roll(log, true, &e));
    must(log_flush(log, &e));
    return log;
}

static void copy_segment(const char *dir, int64_t base, int64_t size)
{
    static uint8_t data[256 << 10];
    char *from = mem_printf("%s/%020lld.log", dir, (long long)base), *to = mem_printf("%s.copy", from);
    int in, out;
    must(io_open(&in, from, O_RDONLY, 0, &e));
    must(io_open(&out, to, O_WRONLY | O_CREAT | O_TRUNC, 0600, &e));
    for (int64_t at = 0; at < size;) {
        size_t n = size - at < (int64_t)sizeof data ? (size_t)(size - at) : sizeof data;
        must(io_pread(in, data, n, at, from, &e));
        must(io_pwrite(out, data, n, at, to, &e));
        at += (int64_t)n;
    }
    must(io_sync_data(out, to, &e));
    io_close(in);
    io_close(out);
    must(io_unlink(to, &e));
    mem_free(from);
    mem_free(to);
}

/* Bytes a second of copying the segments as they are. */
static double plain_copy(struct log *log, const char *dir)
{
    struct segment_info *list;
    size_t n;
    int64_t bytes = 0;
    must(log_segments(log, &list, &n, &e));
    int64_t start = clock_mono_ns();
    for (size_t i = 0; i + 1 < n; i++) {
        copy_segment(dir, list[i].base_offset, list[i].size);
        bytes += list[i].size;
    }
    mem_free(list);
    return (double)bytes / seconds_since(start);
}

static void bench(const char *base, const struct shape *s)
{
    char *dir = mem_printf("%s/bench-0", base);
    struct log *log = build(dir, s);
    struct clean_look look;
    struct clean_result out;
    struct cleaner *c = cleaner_new(&(struct cleaner_options){.map_bytes = 128u << 20}, &e);
    if (!c)
        exit(1);
    double copied = plain_copy(log, dir);
    int64_t start = clock_mono_ns();
    must(log_clean_look(log, 0, 0, INT64_MAX, &look, &e));
    must(log_clean(log, c, &(struct clean_args){look.first_dirty, look.first_uncleanable, 0}, &out, &e));
    double cleaned = (double)look.cleanable_bytes / seconds_since(start);
    printf("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"MiB/s\",\"reference\":\"MiB/s plain copy, synced\","
           "\"reference_value\":%.6g,\"ratio\":%.3f}\n",
           s->name, cleaned / MIB, copied / MIB, cleaned / copied);
    fflush(stdout);
    cleaner_free(c);
    must(log_close(log, false, &e));
    must(io_remove_tree(dir, &e));
    mem_free(dir);
}

/* ---- several threads ------------------------------------------------------------------------------------------------ */

struct target {
    struct broker *b;
    const char *topic;
};

static void produce(void *arg, uint8_t *data, size_t n)
{
    const struct target *t = arg;
    struct produce_request r = {.topic = t->topic, .data = data, .bytes = n, .built_here = true};
    must(broker_produce(t->b, &r, 1, false, &e));
}

static const char *const logs[] = {"a", "b", "c", "d"};
enum { LOGS = sizeof logs / sizeof logs[0] };

static void fill_logs(const char *dir, const struct shape *s)
{
    struct topic_config_entry config[] = {
        {"cleanup.policy", "compact"}, {"durability", "page-cache"}, {"segment.bytes", "8388608"}};
    struct broker *b;
    must(broker_open(&b, &(struct broker_options){.data_dir = dir, .cleaner_disabled = true}, &e));
    for (int i = 0; i < LOGS; i++) {
        struct target t = {b, logs[i]};
        must(broker_create_topic(b, logs[i], 1, config, 3, NULL, &e));
        make_records(s, TOTAL / LOGS, produce, &t);
    }
    must(broker_close(b, &e));
}

/* Bytes of values a second, of all logs. */
static double clean_logs(const char *dir, const struct shape *s, int threads)
{
    struct broker_options o = {.data_dir = dir, .cleaner_threads = threads, .cleaner_backoff_ms = 1};
    struct broker_stats stats = {0};
    struct broker *b;
    fill_logs(dir, s);
    must(broker_open(&b, &o, &e));
    struct waiter *w = waiter_new(b, &e);
    if (!w)
        exit(1);
    int64_t start = clock_mono_ns();
    for (broker_stats(b, &stats); stats.cleaner_passes < LOGS; broker_stats(b, &stats))
        waiter_wait(w, 1);
    double rate = (double)TOTAL / seconds_since(start);
    waiter_free(w);
    must(broker_close(b, &e));
    must(io_remove_tree(dir, &e));
    return rate;
}

static void bench_threads(const char *base)
{
    static const struct shape shape = {"", 1024, 5, CODEC_ZSTD};
    char *dir = mem_printf("%s/hub", base);
    double one = clean_logs(dir, &shape, 1), two = clean_logs(dir, &shape, 2);
    printf("{\"name\":\"compaction of four logs, two threads, 1 KiB zstd, half "
           "stays\",\"value\":%.6g,\"unit\":\"MiB/s\","
           "\"reference\":\"MiB/s one thread\",\"reference_value\":%.6g,\"ratio\":%.3f}\n",
           two / MIB, one / MIB, two / one);
    mem_free(dir);
}

int main(int argc, char **argv)
{
    static const struct shape shapes[] = {
        {"compaction, 1 KiB, one of ten stays", 1024, 1, CODEC_NONE},
        {"compaction, 1 KiB, nine of ten stay", 1024, 9, CODEC_NONE},
        {"compaction, 100 B, half stays", 100, 5, CODEC_NONE},
        {"compaction, 1 KiB zstd, half stays (bytes on disk)", 1024, 5, CODEC_ZSTD},
    };
    if (argc != 2) {
        fprintf(stderr, "usage: bench_clean DIR\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        bench(argv[1], &shapes[i]);
    bench_threads(argv[1]);
    return 0;
}
