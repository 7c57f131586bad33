/*
 * make_store: fills a data directory with everything that the store can write, for Kafka to read.
 *   make_store DIR [killed]
 * Topics: codec-<name> (200 records each, with null keys and values and with headers), txn (transactions, every third one
 * aborted), idem (an idempotent producer), segments (several, with index entries), trimmed (begins at 60), compacted. Groups: plain, which has
 * settings of its own, and txn-group, whose offsets are committed in transactions. With `killed` the process ends without closing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "broker/group_config.h"

#define FIRST_MS INT64_C(1700000000000)

static struct broker *broker;
static struct err e;

static void require(int rc, const char *what)
{
    if (rc == ERR_OK)
        return;
    fprintf(stderr, "make_store: %s: %s\n", what, e.text);
    exit(1);
}

static void create(const char *name, int32_t partitions, const char *setting, const char *value)
{
    const struct topic_config_entry config = {setting, value};
    require(broker_create_topic(broker, name, partitions, &config, setting ? 1 : 0, NULL, &e), name);
}

/* Number `i` of a topic: every tenth key and every 25th value are null, every fifth record has two headers. */
static void add_record(struct batch_builder *b, int i, size_t padding)
{
    static char value[70000];
    char key[16], header[16];
    int key_len = snprintf(key, sizeof key, "k%d", i % 10);
    int value_len = snprintf(value, 64, "v%d", i);
    int header_len = snprintf(header, sizeof header, "%d", i);
    const struct record_header headers[] = {{"h", 1, (const uint8_t *)header, header_len},
                                            {"n", 1, NULL, -1}};
    memset(value + value_len, '.', padding);
    require(batch_builder_add(b, FIRST_MS + i * 1000, i % 10 == 9 ? NULL : key, (size_t)key_len,
                              i % 25 == 24 ? NULL : value, (size_t)value_len + padding, headers,
                              i % 5 == 0 ? 2 : 0, &e),
            "add");
}

static void produce(const char *topic, int32_t partition, enum codec codec, struct batch_producer p,
                    int first, int n, size_t padding)
{
    struct batch_options o = {.codec = codec, .level = CODEC_LEVEL_DEFAULT};
    struct batch_builder *b = batch_builder_new(&o, &e);
    struct produce_request r = {.topic = topic, .partition = partition};
    uint8_t *data;
    require(b ? ERR_OK : e.code, "builder");
    for (int i = 0; i < n; i++)
        add_record(b, first + i, padding);
    require(batch_builder_finish(b, &p, &data, &r.bytes, &e), "finish");
    r.data = data;
    require(broker_produce(broker, &r, 1, false, &e), topic);
    batch_builder_free(b);
}

static void codecs(void)
{
    for (int codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
        char name[32];
        snprintf(name, sizeof name, "codec-%s", codec_name((enum codec)codec));
        create(name, 1, NULL, NULL);
        for (int i = 0; i < 200; i += 50)
            produce(name, 0, (enum codec)codec, BATCH_NO_PRODUCER, i, 50, 0);
    }
}

/* Transaction i writes records 10 i and 10 i + 1 to each partition, and commits unless i is a multiple of three. */
static void transactions(void)
{
    create("txn", 2, NULL, NULL);
    for (int i = 0; i < 10; i++) {
        static const struct txn_partition parts[] = {{"txn", 0}, {"txn", 1}};
        struct group_offset offset = {.topic = "codec-none", .partition = 0, .offset = i};
        int64_t id;
        int16_t epoch;
        require(broker_init_producer(broker, i % 2 ? "odd" : "even", 60000, &id, &epoch, &e), "init");
        require(broker_txn_add_partitions(broker, i % 2 ? "odd" : "even", id, epoch, parts, 2, &e),
                "add partitions");
        for (int32_t p = 0; p < 2; p++)
            produce("txn", p, CODEC_NONE, (struct batch_producer){id, epoch, 0, true}, 10 * i, 2, 0);
        require(
            broker_txn_commit_offsets(broker, i % 2 ? "odd" : "even", id, epoch, "txn-group", &offset, 1, &e),
            "offsets");
        require(broker_txn_end(broker, i % 2 ? "odd" : "even", id, epoch, i % 3 != 0, &e), "end");
    }
}

/* 80 records of 60 KiB under eight keys, of which the cleaner has left the last ones; waits until it has. */
static void compacted(void)
{
    static const struct topic_config_entry config[] = {
        {"cleanup.policy", "compact"}, {"segment.bytes", "1048576"}, {"min.cleanable.dirty.ratio", "0.01"}};
    struct broker_stats s;
    require(broker_create_topic(broker, "compacted", 1, config, 3, NULL, &e), "compacted");
    for (int i = 0; i < 80; i++)
        produce("compacted", 0, CODEC_NONE, BATCH_NO_PRODUCER, i % 8, 1, 60000);
    int64_t limit = clock_mono_ms() + 60000;
    do {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        broker_stats(broker, &s);
    } while (s.cleaner_bytes_freed < (2 << 20) && clock_mono_ms() < limit);
    if (s.cleaner_bytes_freed < (2 << 20))
        exit(fprintf(stderr, "make_store: the cleaner freed nothing\n"));
}

static void others(void)
{
    struct group_offset offset = {.topic = "codec-none", .partition = 0, .offset = 17, .metadata = "note"};
    int64_t id, low;
    int16_t epoch;
    create("idem", 1, NULL, NULL);
    require(broker_init_producer(broker, NULL, 60000, &id, &epoch, &e), "init");
    for (int i = 0; i < 40; i += 10)
        produce("idem", 0, CODEC_NONE, (struct batch_producer){id, epoch, i, false}, i, 10, 0);
    create("segments", 1, "segment.bytes", "1048576");
    for (int i = 0; i < 60; i++)
        produce("segments", 0, CODEC_NONE, BATCH_NO_PRODUCER, i, 1, 60000);
    create("trimmed", 1, NULL, NULL);
    for (int i = 0; i < 100; i += 20)
        produce("trimmed", 0, CODEC_LZ4, BATCH_NO_PRODUCER, i, 20, 0);
    require(broker_delete_records(broker, "trimmed", 0, 60, &low, &e), "delete records");
    require(broker_commit_offsets(broker, "plain", &offset, 1, &e), "commit");
    const struct config_change own = {"consumer.session.timeout.ms", CONFIG_SET, "50000"};
    const struct group_bounds bounds = {{45000, 5000}, {60000, 15000}, {45000, 5000}};
    require(broker_change_group(broker, "plain", &own, 1, false, false, &bounds, &e), "settings of a group");
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    struct broker_options o = {
        .data_dir = argv[1], .offsets_partitions = 5, .txn_partitions = 5, .cleaner_backoff_ms = 1};
    diag_setup(DIAG_WARN, DIAG_TEXT);
    require(broker_open(&broker, &o, &e), argv[1]);
    codecs();
    transactions();
    others();
    compacted();
    if (argc > 2)
        _exit(0);
    require(broker_close(broker, &e), "close");
    return 0;
}
