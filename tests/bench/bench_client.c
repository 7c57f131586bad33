/*
 * bench_client: the embedded store by way of the producer and the consumer, which build and decode the batches; beside what the
 * disk and the memory give in the same run. Usage: bench_client DIR
 */
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "client/client.h"
#include "tests/bench/lib/bench.h"

#define TOTAL ((size_t)512 * MIB)

static struct err e;

/* ---- the store ---------------------------------------------------------------------------------------------- */

struct store {
    struct broker *broker;
    struct client *client;
};

static struct store open_store(void)
{
    struct store s;
    char *path = mem_printf("%s/data", bench_dir);
    struct broker_options o = {.data_dir = path};
    bench_must(io_remove_tree(path, &e), &e);
    bench_must(broker_open(&s.broker, &o, &e), &e);
    s.client = client_embedded(s.broker, &e);
    if (!s.client)
        bench_must(e.code, &e);
    mem_free(path);
    return s;
}

static void close_store(struct store *s)
{
    client_close(s->client);
    bench_must(broker_close(s->broker, &e), &e);
}

static void create(struct store *s, const char *topic, const char *durability)
{
    struct topic_config_entry config = {"durability", durability};
    bench_must(client_create_topic(s->client, topic, 1, &config, 1, &e), &e);
}

/* Adds records of `size` bytes, flushing after each `flush` bytes of them: values' bytes a second. */
static double append(struct store *s, const char *topic, const uint8_t *data, size_t size, size_t flush,
                     size_t total)
{
    struct producer_options o = {.codec_level = CODEC_LEVEL_DEFAULT};
    struct producer *p = producer_open(s->client, &o, &e);
    struct producer_target *t;
    if (!p)
        bench_must(e.code, &e);
    bench_must(producer_target(p, topic, 0, &t, &e), &e);
    int64_t start = clock_mono_ns(), now = clock_wall_ms();
    size_t at = 0, pending = 0;
    for (; at < total; at += size) {
        bench_must(producer_add_to(p, t, now, NULL, 0, data + at % (MIB - size), size, NULL, 0, &e), &e);
        pending += size;
        if (pending >= flush) {
            bench_must(producer_flush(p, &e), &e);
            pending = 0;
        }
    }
    bench_must(producer_flush(p, &e), &e);
    double rate = (double)at / bench_since(start);
    producer_close(p);
    return rate;
}

/* Records a second, decoded. */
static double consume(struct store *s, const char *topic)
{
    struct consumer_options o = {.isolation = READ_COMMITTED};
    struct consumer *c = consumer_open(s->client, &o, &e);
    if (!c)
        bench_must(e.code, &e);
    bench_must(consumer_assign(c, topic, 0, 0, &e), &e);
    size_t records = 0;
    int64_t start = clock_mono_ns();
    for (;;) {
        struct consumed got;
        bench_must(consumer_poll(c, 0, &got, &e), &e);
        if (got.n == 0)
            break;
        records += got.n;
    }
    double rate = (double)records / bench_since(start);
    consumer_close(c);
    return rate;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    bench_dir = argv[1];
    uint8_t *data = bench_noise(MIB * 4);
    bench_warm(2 * TOTAL);
    double sync_4k = bench_raw_sync(data, 4096, false, 0.5);
    double sync_1m = bench_raw_sync(data, MIB, true, 0.5);
    double copy_1k = bench_raw_copy(data, 1024, 64 << 10, 0.5) / MIB;
    double copy_100 = bench_raw_copy(data, 100, 64 << 10, 0.5) / MIB;

    struct store s = open_store();
    create(&s, "lone", "sync");
    create(&s, "sync1k", "sync");
    create(&s, "sync100", "sync");
    create(&s, "cache1k", "page-cache");
    create(&s, "cache100", "page-cache");
    bench_row("producer: one 1 KiB record a sync", append(&s, "lone", data, 1024, 1024, 5000 * 1024) / 1024,
              "records/s", "write 4 KiB + fdatasync, file written over", sync_4k);
    bench_warm(2 * TOTAL);
    bench_row("producer: 1 KiB records, 1 MiB a sync", append(&s, "sync1k", data, 1024, MIB, TOTAL) / MIB,
              "MiB/s", "write 1 MiB + fdatasync, growing file", sync_1m);
    bench_warm(2 * TOTAL);
    bench_row("producer: 100 B records, 1 MiB a sync", append(&s, "sync100", data, 100, MIB, TOTAL / 2) / MIB,
              "MiB/s", "write 1 MiB + fdatasync, growing file", sync_1m);
    bench_warm(2 * TOTAL);
    bench_row("producer: 1 KiB records, not synced", append(&s, "cache1k", data, 1024, MIB, TOTAL) / MIB,
              "MiB/s", "memcpy + CRC32C + write", copy_1k);
    bench_warm(2 * TOTAL);
    bench_row("producer: 100 B records, not synced", append(&s, "cache100", data, 100, MIB, TOTAL / 2) / MIB,
              "MiB/s", "memcpy + CRC32C + write", copy_100);
    bench_row("consumer: 100 B records, decoded", consume(&s, "cache100") * 100 / MIB, "MiB/s",
              "memcpy + CRC32C + write", copy_100);
    close_store(&s);
    mem_free(data);
    return 0;
}
