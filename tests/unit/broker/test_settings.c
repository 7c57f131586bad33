/*
 * Topics' settings: where a value comes from, the hub's defaults, what is refused, and what compression.type and
 * min.insync.replicas do to appends.
 */
#include "tests/unit/broker/helper.h"

#include "base/diag.h"

static const struct topic_setting *find(const struct topic_setting *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].def->name, name) == 0)
            return &list[i];
    fail_msg("no setting %s", name);
    return NULL;
}

static void expect_setting(struct fixture *f, const char *topic, const char *name, const char *value,
                           enum topic_setting_source source)
{
    struct topic_setting *list;
    size_t n;
    assert_ok(broker_topic_settings(f->b, topic, &list, &n, &f->e), &f->e);
    const struct topic_setting *s = find(list, n, name);
    assert_string_equal(s->value, value);
    assert_int_equal(s->source, source);
    topic_settings_list_free(list, n);
}

static int open_with(struct fixture *f, const struct topic_config_entry *defaults, size_t n,
                     int32_t partitions)
{
    struct broker_options o = {.data_dir = f->dir,
                               .journal_file_bytes = 1 << 20,
                               .defaults_known = true,
                               .defaults = defaults,
                               .default_count = n,
                               .num_partitions = partitions};
    return broker_open(&f->b, &o, &f->e);
}

/* Kafka 4.3.1's DescribeConfigs of a topic that says nothing: name and default. */
static const char *const kafka[][2] = {
    {"cleanup.policy", "delete"},
    {"delete.retention.ms", "86400000"},
    {"max.compaction.lag.ms", "9223372036854775807"},
    {"min.cleanable.dirty.ratio", "0.5"},
    {"min.compaction.lag.ms", "0"},
    {"compression.gzip.level", "-1"},
    {"compression.lz4.level", "9"},
    {"compression.type", "producer"},
    {"compression.zstd.level", "3"},
    {"file.delete.delay.ms", "60000"},
    {"flush.messages", "9223372036854775807"},
    {"flush.ms", "9223372036854775807"},
    {"follower.replication.throttled.replicas", ""},
    {"index.interval.bytes", "4096"},
    {"leader.replication.throttled.replicas", ""},
    {"local.retention.bytes", "-2"},
    {"local.retention.ms", "-2"},
    {"max.message.bytes", "1048588"},
    {"message.timestamp.after.max.ms", "3600000"},
    {"message.timestamp.before.max.ms", "9223372036854775807"},
    {"message.timestamp.type", "CreateTime"},
    {"min.insync.replicas", "1"},
    {"preallocate", "false"},
    {"remote.log.copy.disable", "false"},
    {"remote.log.delete.on.disable", "false"},
    {"remote.storage.enable", "false"},
    {"retention.bytes", "-1"},
    {"retention.ms", "604800000"},
    {"segment.bytes", "1073741824"},
    {"segment.index.bytes", "10485760"},
    {"segment.jitter.ms", "0"},
    {"segment.ms", "604800000"},
    {"unclean.leader.election.enable", "false"},
};

static void test_kafka_has_the_same_defaults(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    for (size_t i = 0; i < sizeof kafka / sizeof *kafka; i++) {
        struct topic_config_entry same = {kafka[i][0], kafka[i][1]};
        expect_setting(f, "t", kafka[i][0], kafka[i][1], TOPIC_SETTING_DEFAULT);
        assert_ok(broker_alter_topic(f->b, "t", &same, 1, &f->e), &f->e); /* what Kafka reports can be set */
        expect_setting(f, "t", kafka[i][0], kafka[i][1], TOPIC_SETTING_OF_TOPIC);
    }
}

static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        bool good;
    } cases[] = {
        {"cleanup.policy", "compact", true},
        {"cleanup.policy", "compact,delete", true},
        {"cleanup.policy", "delete, compact", true},
        {"cleanup.policy", "delete,delete", false},
        {"cleanup.policy", "", true},
        {"cleanup.policy", "compact,", false},
        {"delete.retention.ms", "-1", false},
        {"max.compaction.lag.ms", "0", false},
        {"max.compaction.lag.ms", "1", true},
        {"min.compaction.lag.ms", "-1", false},
        {"min.cleanable.dirty.ratio", "0", true},
        {"min.cleanable.dirty.ratio", "1.0", true},
        {"min.cleanable.dirty.ratio", "1.01", false},
        {"min.cleanable.dirty.ratio", "-0.1", false},
        {"min.cleanable.dirty.ratio", "nan", false},
        {"min.cleanable.dirty.ratio", "0.5x", false},
        {"min.cleanable.dirty.ratio", "", false},
        {"compression.gzip.level", "9", true},
        {"compression.gzip.level", "1", true},
        {"compression.gzip.level", "0", false},
        {"compression.gzip.level", "10", false},
        {"compression.gzip.level", "-2", false},
        {"compression.lz4.level", "0", false},
        {"compression.lz4.level", "17", true},
        {"compression.zstd.level", "-131072", true},
        {"compression.zstd.level", "23", false},
        {"compression.type", "none", false},
        {"compression.type", "uncompressed", true},
        {"compression.type", "snappy", true},
        {"file.delete.delay.ms", "-1", false},
        {"file.delete.delay.ms", "0", true},
        {"flush.messages", "0", false},
        {"min.insync.replicas", "0", false},
        {"min.insync.replicas", "3", true},
        {"preallocate", "TRUE", true},
        {"preallocate", "1", false},
        {"retention.bytes", "-5", true},
        {"retention.ms", "-2", false},
        {"retention.ms", "0", true},
        {"retention.ms", "9223372036854775808", false},
        {"segment.bytes", "1048575", false},
        {"segment.bytes", "2147483648", false},
        {"segment.jitter.ms", "-1", false},
        {"segment.ms", "0", false},
        {"segment.index.bytes", "3", false},
        {"remote.storage.enable", "true", false},
        {"remote.log.copy.disable", "true", false},
        {"local.retention.ms", "1000", false},
        {"leader.replication.throttled.replicas", "*", false},
        {"unclean.leader.election.enable", "true", true},
    };
    struct err e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if ((topic_config_check(cases[i].name, cases[i].value, &e) == ERR_OK) != cases[i].good)
            fail_msg("%s=%s", cases[i].name, cases[i].value);
    assert_code(topic_config_check("remote.storage.enable", "true", &e), ERR_INVALID_CONFIG, &e);
    assert_non_null(strstr(e.text, "tiered storage"));
    assert_code(topic_config_check("retention.m", "1", &e), ERR_INVALID_CONFIG, &e);
    assert_non_null(strstr(e.text, "retention.ms"));
}

/* Kafka refuses that, too. */
static void test_lags_that_contradict(void **state)
{
    struct fixture *f = *state;
    const struct topic_config_entry lags[] = {{"min.compaction.lag.ms", "1000"},
                                              {"max.compaction.lag.ms", "999"}};
    assert_code(broker_create_topic(f->b, "t", 1, lags, 2, NULL, &f->e), ERR_INVALID_CONFIG, &f->e);
    create(f, "t", 1);
    assert_ok(broker_alter_topic(f->b, "t", lags, 1, &f->e), &f->e);
    assert_code(broker_alter_topic(f->b, "t", lags + 1, 1, &f->e), ERR_INVALID_CONFIG, &f->e);
}

static void test_hub_defaults(void **state)
{
    struct fixture *f = *state;
    const struct topic_config_entry first[] = {{"retention.ms", "5000"}, {"max.message.bytes", "2000"}};
    const struct topic_config_entry second[] = {{"retention.ms", "7000"}};
    const struct topic_config_entry own = {"retention.ms", "1000"}, back = {"retention.ms", NULL};
    create(f, "old", 1);
    fixture_close(f);
    assert_ok(open_with(f, first, 2, 3), &f->e);
    assert_ok(broker_create_topic(f->b, "own", -1, &own, 1, NULL, &f->e), &f->e);
    expect_setting(f, "old", "retention.ms", "5000", TOPIC_SETTING_OF_HUB);
    expect_setting(f, "own", "retention.ms", "1000", TOPIC_SETTING_OF_TOPIC);
    expect_setting(f, "own", "max.message.bytes", "2000", TOPIC_SETTING_OF_HUB);
    struct topic_info info;
    assert_ok(broker_topic(f->b, "own", &info, &f->e), &f->e);
    assert_int_equal(info.partition_count, 3);
    topic_info_free(&info);
    assert_ok(broker_alter_topic(f->b, "own", &back, 1, &f->e), &f->e);
    expect_setting(f, "own", "retention.ms", "5000", TOPIC_SETTING_OF_HUB);
    f->key_bytes = 4000;
    struct produce_request r = make_request(f, "old", 0, "v", 0, 1, BATCH_NO_PRODUCER);
    assert_code(broker_produce(f->b, &r, 1, false, &f->e), ERR_TOO_LARGE, &f->e);
    /* A command that opens the directory without a hub goes by the same. */
    fixture_restart(f);
    expect_setting(f, "old", "retention.ms", "5000", TOPIC_SETTING_OF_HUB);
    assert_code(broker_produce(f->b, &r, 1, false, &f->e), ERR_TOO_LARGE, &f->e);
    assert_ok(broker_create_topic(f->b, "later", -1, NULL, 0, NULL, &f->e), &f->e);
    assert_ok(broker_topic(f->b, "later", &info, &f->e), &f->e);
    assert_int_equal(info.partition_count, 3);
    topic_info_free(&info);
    /* What the hub no longer says is Kafka's default again. */
    fixture_close(f);
    assert_ok(open_with(f, second, 1, 0), &f->e);
    expect_setting(f, "old", "retention.ms", "7000", TOPIC_SETTING_OF_HUB);
    expect_setting(f, "old", "max.message.bytes", "1048588", TOPIC_SETTING_DEFAULT);
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    fixture_close(f);
    assert_ok(open_with(f, NULL, 0, 0), &f->e);
    expect_setting(f, "old", "retention.ms", "604800000", TOPIC_SETTING_DEFAULT);
    fixture_restart(f);
    expect_setting(f, "old", "retention.ms", "604800000", TOPIC_SETTING_DEFAULT);
}

/* ---- changes at run time ---- */

static int change_hub(struct fixture *f, enum hub_layer layer, const char *name, enum config_op op,
                      const char *value)
{
    const struct config_change c = {name, op, value};
    return broker_change_hub(f->b, layer, &c, 1, false, false, &f->e);
}

static void expect_layer(struct fixture *f, enum hub_layer layer, const char *text)
{
    struct topic_config_entry *list;
    size_t n;
    char seen[512] = "";
    assert_ok(broker_hub_settings(f->b, layer, &list, &n, &f->e), &f->e);
    for (size_t i = 0; i < n; i++)
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s=%s ", list[i].name, list[i].value);
    broker_hub_settings_free(list, n);
    assert_string_equal(seen, text);
}

/* A node's own counts before the cluster's, and that before the file's; topics that are there go by it at once, and after a restart. */
static void test_hub_settings_change(void **state)
{
    struct fixture *f = *state;
    const struct topic_config_entry file[] = {{"max.message.bytes", "2000"}};
    const struct topic_config_entry own = {"retention.ms", "1"};
    fixture_close(f);
    assert_ok(open_with(f, file, 1, 3), &f->e);
    create(f, "t", 1);
    assert_ok(broker_create_topic(f->b, "own", 1, &own, 1, NULL, &f->e), &f->e);
    f->key_bytes = 4000;
    struct produce_request r = make_request(f, "t", 0, "v", 0, 1, BATCH_NO_PRODUCER);
    assert_code(broker_produce(f->b, &r, 1, false, &f->e), ERR_TOO_LARGE, &f->e);
    assert_ok(change_hub(f, HUB_CLUSTER, "message.max.bytes", CONFIG_SET, "9000"), &f->e);
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    assert_ok(change_hub(f, HUB_NODE, "message.max.bytes", CONFIG_SET, "3000"), &f->e);
    assert_code(broker_produce(f->b, &r, 1, false, &f->e), ERR_TOO_LARGE, &f->e);
    assert_ok(change_hub(f, HUB_CLUSTER, "log.retention.ms", CONFIG_SET, "70000"), &f->e);
    assert_ok(change_hub(f, HUB_CLUSTER, "log.cleanup.policy", CONFIG_APPEND, "compact"), &f->e);
    expect_setting(f, "own", "retention.ms", "1", TOPIC_SETTING_OF_TOPIC);
    for (int again = 0; again < 3; again++) {
        expect_setting(f, "t", "max.message.bytes", "3000", TOPIC_SETTING_OF_HUB);
        expect_setting(f, "t", "retention.ms", "70000", TOPIC_SETTING_OF_HUB);
        expect_setting(f, "t", "cleanup.policy", "delete,compact", TOPIC_SETTING_OF_HUB);
        expect_layer(f, HUB_NODE, "message.max.bytes=3000 ");
        expect_layer(f, HUB_CLUSTER,
                     "message.max.bytes=9000 log.retention.ms=70000 "
                     "log.cleanup.policy=delete,compact ");
        expect_layer(f, HUB_FILE, "message.max.bytes=2000 ");
        fixture_close(f); /* once with what the file says, then as a command without a hub */
        assert_ok(again == 0 ? open_with(f, file, 1, 3) : try_open(f), &f->e);
    }
    assert_ok(change_hub(f, HUB_NODE, "message.max.bytes", CONFIG_DELETE, NULL), &f->e);
    assert_ok(broker_change_hub(f->b, HUB_CLUSTER, NULL, 0, true, false, &f->e), &f->e);
    expect_layer(f, HUB_CLUSTER, "");
    expect_setting(f, "t", "max.message.bytes", "2000", TOPIC_SETTING_OF_HUB);
    expect_setting(f, "t", "retention.ms", "604800000", TOPIC_SETTING_DEFAULT);
}

static void test_hub_settings_that_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct config_change try = {"log.retention.ms", CONFIG_SET, "5"};
    const struct topic_config_entry lag = {"min.compaction.lag.ms", "1000"};
    assert_ok(broker_create_topic(f->b, "t", 1, &lag, 1, NULL, &f->e), &f->e);
    assert_code(change_hub(f, HUB_NODE, "log.retention.ms", CONFIG_SET, "x"), ERR_INVALID, &f->e);
    assert_code(change_hub(f, HUB_NODE, "log.retention.ms", CONFIG_APPEND, "1"), ERR_INVALID_CONFIG, &f->e);
    assert_code(change_hub(f, HUB_NODE, "num.io.threads", CONFIG_SET, "1"), ERR_INVALID, &f->e);
    assert_code(change_hub(f, HUB_NODE, "log.local.retention.ms", CONFIG_SET, "-2"), ERR_INVALID, &f->e);
    /* A topic that could not be so. */
    assert_code(change_hub(f, HUB_NODE, "log.cleaner.max.compaction.lag.ms", CONFIG_SET, "10"),
                ERR_INVALID_CONFIG, &f->e);
    assert_non_null(strstr(f->e.text, "topic t"));
    assert_ok(broker_change_hub(f->b, HUB_NODE, &try, 1, false, true, &f->e), &f->e); /* a try only */
    assert_ok(change_hub(f, HUB_NODE, "somebody.elses", CONFIG_SET, "kept"), &f->e);
    fixture_restart(f);
    expect_layer(f, HUB_NODE, "somebody.elses=kept ");
    expect_setting(f, "t", "retention.ms", "604800000", TOPIC_SETTING_DEFAULT);
}

/* Directories of before there were layers have the file's settings where now the cluster's are. */
static void test_older_hub_defaults(void **state)
{
    struct fixture *f = *state;
    const struct topic_config_entry file[] = {{"retention.ms", "5"}};
    create(f, "t", 1);
    assert_ok(change_hub(f, HUB_CLUSTER, "log.retention.ms", CONFIG_SET, "7000"), &f->e);
    fixture_restart(f); /* no hub was here: "file" is not there yet */
    expect_setting(f, "t", "retention.ms", "7000", TOPIC_SETTING_OF_HUB);
    fixture_close(f);
    assert_ok(open_with(f, file, 1, 0), &f->e);
    expect_layer(f, HUB_CLUSTER, "");
    expect_setting(f, "t", "retention.ms", "5", TOPIC_SETTING_OF_HUB);
}

static void test_changes_of_a_topic(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    const struct config_change first[] = {{"retention.ms", CONFIG_SET, "5000"},
                                          {"cleanup.policy", CONFIG_APPEND, " compact , delete"},
                                          {"segment.ms", CONFIG_DELETE, NULL},
                                          {"nobody.knows", CONFIG_DELETE, NULL}};
    const struct config_change subtract = {"cleanup.policy", CONFIG_SUBTRACT, "delete"};
    const struct config_change wrong[] = {{"retention.bytes", CONFIG_SET, "7"},
                                          {"nobody.knows", CONFIG_SET, "1"}};
    assert_ok(broker_change_topic(f->b, "t", first, 4, false, true, &f->e), &f->e);
    expect_setting(f, "t", "retention.ms", "604800000", TOPIC_SETTING_DEFAULT);
    assert_ok(broker_change_topic(f->b, "t", first, 4, false, false, &f->e), &f->e);
    expect_setting(f, "t", "cleanup.policy", "delete,compact", TOPIC_SETTING_OF_TOPIC);
    assert_ok(broker_change_topic(f->b, "t", &subtract, 1, false, false, &f->e), &f->e);
    assert_code(broker_change_topic(f->b, "t", wrong, 2, false, false, &f->e), ERR_INVALID_CONFIG, &f->e);
    fixture_restart(f);
    expect_setting(f, "t", "cleanup.policy", "compact", TOPIC_SETTING_OF_TOPIC);
    expect_setting(f, "t", "retention.ms", "5000", TOPIC_SETTING_OF_TOPIC);
    expect_setting(f, "t", "retention.bytes", "-1", TOPIC_SETTING_DEFAULT);
    assert_ok(broker_change_topic(f->b, "t", wrong, 1, true, false, &f->e), &f->e); /* the others go */
    expect_setting(f, "t", "cleanup.policy", "delete", TOPIC_SETTING_DEFAULT);
    expect_setting(f, "t", "retention.bytes", "7", TOPIC_SETTING_OF_TOPIC);
    assert_code(broker_change_topic(f->b, "no", wrong, 1, true, false, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
}

static void test_wrong_hub_defaults(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    static const struct topic_config_entry wrong[] = {{"retention.ms", "x"},
                                                      {"retenton.ms", "1"},
                                                      {"durability", "page-cache"},
                                                      {"remote.storage.enable", "true"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_code(open_with(f, &wrong[i], 1, 0), ERR_INVALID_CONFIG, &f->e);
        assert_null(f->b);
    }
    fixture_open(f);
}

/* The hub's defaults are not for the coordinators' own topics. */
static void test_internal_topics_keep_their_settings(void **state)
{
    struct fixture *f = *state;
    const struct topic_config_entry defaults[] = {{"min.insync.replicas", "2"}, {"compression.type", "zstd"}};
    struct group_offset offset = {.topic = "t", .offset = 4};
    int64_t got;
    create(f, "t", 1);
    fixture_close(f);
    assert_ok(open_with(f, defaults, 2, 0), &f->e);
    assert_ok(broker_commit_offsets(f->b, "g", &offset, 1, &f->e), &f->e);
    assert_ok(broker_fetch_offset(f->b, "g", "t", 0, &got, &f->e), &f->e);
    assert_int_equal(got, 4);
    expect_setting(f, "__consumer_offsets", "min.insync.replicas", "1", TOPIC_SETTING_DEFAULT);
    expect_setting(f, "t", "min.insync.replicas", "2", TOPIC_SETTING_OF_HUB);
    fixture_close(f);
    assert_ok(open_with(f, NULL, 0, 0), &f->e);
}

/* ---- appends ---- */

static void set(struct fixture *f, const char *topic, const char *name, const char *value)
{
    struct topic_config_entry c = {name, value};
    assert_ok(broker_alter_topic(f->b, topic, &c, 1, &f->e), &f->e);
}

/* As in Kafka 4, no more are asked for than there are. */
static void test_min_insync_replicas(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    set(f, "t", "min.insync.replicas", "2");
    struct produce_request r = make_request(f, "t", 0, "v", 0, 1, BATCH_NO_PRODUCER);
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "v0");
}

struct seen {
    enum codec codec;
    int batches;
};

static void note_codec(void *arg, const struct batch_header *h, const struct record *r)
{
    struct seen *s = arg;
    if (r->offset == h->base_offset && !(h->attributes & BATCH_CONTROL)) {
        s->codec = batch_codec(h);
        s->batches++;
    }
}

static struct seen codec_from(struct fixture *f, const char *topic, int64_t offset)
{
    struct seen s = {CODEC_COUNT, 0};
    each_record(f, topic, 0, offset, READ_UNCOMMITTED, note_codec, &s);
    return s;
}

static void test_compression_type(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"uncompressed", "gzip", "snappy", "lz4", "zstd"};
    struct topic_config_entry big = {"max.message.bytes", "4000000"};
    assert_ok(broker_create_topic(f->b, "t", 1, &big, 1, NULL, &f->e), &f->e);
    f->key_bytes = 500;
    int64_t size = 0, next = 0;
    for (int c = 0; c < CODEC_COUNT; c++) {
        set(f, "t", "compression.type", names[c]);
        for (int atomic = 0; atomic < 2; atomic++) {
            struct produce_request r = make_request(f, "t", 0, "v", 0, 100, BATCH_NO_PRODUCER);
            void *data = r.data;
            size_t bytes = r.bytes;
            assert_ok(broker_produce(f->b, &r, 1, atomic, &f->e), &f->e);
            assert_ptr_equal(r.data, data); /* the caller's own again */
            assert_int_equal(r.bytes, bytes);
            assert_int_equal(r.appended.base_offset, next);
            struct seen s = codec_from(f, "t", next);
            assert_int_equal(s.batches, 1);
            assert_int_equal(s.codec, c);
            next += 100;
        }
        struct topic_info info;
        assert_ok(broker_topic(f->b, "t", &info, &f->e), &f->e);
        assert_true(c == CODEC_NONE || info.partitions[0].size - size < 60000);
        size = info.partitions[0].size;
        topic_info_free(&info);
    }
    set(f, "t", "compression.type", "producer");
    produce(f, "t", 0, "v", 0, 10);
    assert_int_equal(codec_from(f, "t", next).codec, CODEC_NONE);
}

/* A level is used: the best takes less than the fastest. */
static void test_compression_level(void **state)
{
    struct fixture *f = *state;
    size_t bytes[2];
    create(f, "t", 1);
    set(f, "t", "compression.type", "zstd");
    for (int i = 0; i < 2; i++) {
        set(f, "t", "compression.zstd.level", i ? "22" : "-100000");
        struct produce_request r = make_request(f, "t", 0, "value value ", 0, 3000, BATCH_NO_PRODUCER);
        assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
        bytes[i] = r.appended.bytes;
    }
    assert_true(bytes[1] < bytes[0]);
}

/* Batches keep their producer's numbers: what is sent twice is known. */
static void test_compressed_duplicates(void **state)
{
    struct fixture *f = *state;
    int64_t id;
    int16_t epoch;
    create(f, "t", 1);
    set(f, "t", "compression.type", "lz4");
    assert_ok(broker_init_producer(f->b, NULL, 60000, &id, &epoch, &f->e), &f->e);
    for (int i = 0; i < 2; i++) {
        struct produce_request r =
            make_request(f, "t", 0, "v", 0, 3, (struct batch_producer){id, epoch, 0, false});
        assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
        assert_int_equal(r.appended.base_offset, 0);
        assert_int_equal(r.appended.duplicate, i);
    }
    expect_all(f, "t", 0, READ_UNCOMMITTED, "v0,v1,v2");
}

static void test_compressed_transaction(void **state)
{
    struct fixture *f = *state;
    int64_t id;
    int16_t epoch;
    create(f, "t", 1);
    set(f, "t", "compression.type", "gzip");
    assert_ok(broker_init_producer(f->b, "x", 60000, &id, &epoch, &f->e), &f->e);
    struct produce_request r =
        make_request(f, "t", 0, "v", 0, 3, (struct batch_producer){id, epoch, 0, true});
    void *data = r.data;
    assert_ok(broker_txn_commit_all(f->b, "x", id, epoch, &r, 1, &f->e), &f->e);
    assert_ptr_equal(r.data, data);
    assert_int_equal(codec_from(f, "t", 0).codec, CODEC_GZIP);
    expect_all(f, "t", 0, READ_COMMITTED, "v0,v1,v2,<C>");
}

/* Damage is refused and not sealed with a new CRC; a batch that grows too large in the new codec is refused, too. */
static void test_compression_refuses(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    set(f, "t", "compression.type", "zstd");
    struct produce_request r = make_request(f, "t", 0, "v", 0, 3, BATCH_NO_PRODUCER);
    ((uint8_t *)r.data)[r.bytes - 2] ^= 1;
    assert_code(broker_produce(f->b, &r, 1, false, &f->e), ERR_CORRUPT, &f->e);
    set(f, "t", "compression.type", "uncompressed");
    set(f, "t", "max.message.bytes", "3000");
    struct err e;
    struct batch_options o = {.codec = CODEC_ZSTD, .level = CODEC_LEVEL_DEFAULT};
    struct batch_builder *builder = batch_builder_new(&o, &e);
    static const char zeros[5000];
    uint8_t *packed;
    assert_ok(batch_builder_add(builder, clock_wall_ms(), NULL, 0, zeros, sizeof zeros, NULL, 0, &e), &e);
    assert_ok(batch_builder_finish(builder, &BATCH_NO_PRODUCER, &packed, &r.bytes, &e), &e);
    r.data = packed;
    assert_true(r.bytes < 3000);
    assert_code(broker_produce(f->b, &r, 1, false, &f->e), ERR_TOO_LARGE, &f->e);
    batch_builder_free(builder);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "");
}

/* Changed while it is in use: the next append and the next look at retention go by it. */
static void test_changes_take_effect(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    f->key_bytes = 60000;
    for (int i = 0; i < 10; i++)
        produce(f, "t", 0, "v", 3 * i, 3);
    struct topic_info info;
    assert_ok(broker_topic(f->b, "t", &info, &f->e), &f->e);
    assert_int_equal(info.partitions[0].segments, 1);
    topic_info_free(&info);
    set(f, "t", "segment.bytes", "1048576");
    produce(f, "t", 0, "v", 30, 3);
    assert_ok(broker_topic(f->b, "t", &info, &f->e), &f->e);
    assert_int_equal(info.partitions[0].segments, 2);
    topic_info_free(&info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kafka_has_the_same_defaults, setup, teardown),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test_setup_teardown(test_lags_that_contradict, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hub_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hub_settings_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hub_settings_that_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older_hub_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes_of_a_topic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_hub_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_internal_topics_keep_their_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_min_insync_replicas, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compression_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compression_level, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compressed_duplicates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compressed_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compression_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes_take_effect, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
