/*
 * Configurations that are right: what comes out of them.
 */
#include "base/io.h"
#include "base/mem.h"
#include "tests/lib/testkit.h"
#include "tests/unit/config/catalog.h"

/* Parses text that must be right. */
static struct config *parse(const char *text)
{
    struct config *c;
    struct problems p;
    struct err e;
    problems_init(&p);
    int rc = config_parse(text, strlen(text), "test.yaml", &catalog, &c, &p, &e);
    for (size_t i = 0; i < p.count; i++)
        print_message("%s:%d:%d: %s\n", p.items[i].file, p.items[i].line, p.items[i].column, p.items[i].text);
    if (rc && rc != ERR_INVALID_CONFIG)
        print_message("%s\n", e.text);
    assert_int_equal(rc, ERR_OK);
    assert_int_equal(p.count, 0);
    problems_free(&p);
    return c;
}

static const char full[] = "hub:\n"
                           "  data.dir: /tmp/x\n"
                           "  plugin.path: [/a, \"/b,c\"]\n"
                           "  http.listen: 127.0.0.1:8083\n"
                           "  log.level: debug\n"
                           "  log.format: json\n"
                           "  shutdown.timeout: 5s\n"
                           "  journal.file.bytes: 16MiB\n"
                           "  retention.check.interval: 1m\n"
                           "pipelines:\n"
                           "  - name: web\n"
                           "    source:\n"
                           "      type: tail\n"
                           "      paths: /var/log/a.log, /var/log/b.log\n"
                           "      line.max.bytes: 64KiB\n"
                           "      poll.interval: 250\n"
                           "      tasks.max: \"4\"\n"
                           "    topic:\n"
                           "      name: web-logs\n"
                           "      partitions: 3\n"
                           "      config:\n"
                           "        retention.ms: 1000\n"
                           "        cleanup.policy: delete\n"
                           "    topics: [other]\n"
                           "    compression: zstd\n"
                           "    sinks:\n"
                           "      - type: dir\n"
                           "        directory: /out\n"
                           "        flush.size: 10\n"
                           "        ratio: 0.25\n"
                           "        sync: false\n"
                           "        value.converter: org.apache.kafka.connect.json.JsonConverter\n"
                           "        key.converter: bytes\n"
                           "        retries: 3\n"
                           "        retry.backoff.ms: 2s\n"
                           "        retry.backoff.max.ms: 10s\n"
                           "        paused: true\n"
                           "      - name: second\n"
                           "        type: dir\n"
                           "        directory: /out2\n"
                           "        fields: []\n"
                           "  - name: copy\n"
                           "    topics: a, b\n"
                           "    sinks: [{type: 'null'}]\n";

static void test_hub(void **state)
{
    (void)state;
    struct config *c = parse(full);
    const struct hub_config *h = &c->hub;
    assert_string_equal(h->data_dir, "/tmp/x");
    assert_int_equal(h->plugin_path_count, 2);
    assert_string_equal(h->plugin_path[1], "/b,c");
    assert_string_equal(h->http_listen, "127.0.0.1:8083");
    assert_string_equal(h->log_level, "debug");
    assert_string_equal(h->log_format, "json");
    assert_int_equal(h->shutdown_ms, 5000);
    assert_int_equal(h->journal_file_bytes, 16 << 20);
    assert_int_equal(h->retention_check_ms, 60000);
    assert_int_equal(h->offsets_retention_ms, 7 * 86400000); /* Kafka's defaults */
    assert_int_equal(h->offsets_check_ms, 600000);
    assert_int_equal(h->txn_id_expiration_ms, 7 * 86400000);
    assert_int_equal(h->txn_id_check_ms, 3600000);
    config_free(c);
}

static void expect_default(const char *yaml, const char *name, const char *value)
{
    char text[512];
    snprintf(text, sizeof text, "hub: {%s}\n", yaml);
    struct config *c = parse(text);
    const char *found = NULL;
    for (size_t i = 0; i < c->hub.default_count; i++)
        if (strcmp(c->hub.defaults[i].name, name) == 0)
            found = c->hub.defaults[i].value;
    if (!value)
        assert_null(found);
    else if (!found || strcmp(found, value) != 0)
        fail_msg("%s: %s is %s and not %s", yaml, name, found ? found : "not there", value);
    config_free(c);
}

/* Kafka's broker settings become defaults of topic settings; the shorter unit counts. */
static void test_topic_defaults(void **state)
{
    (void)state;
    expect_default("", "retention.ms", NULL);
    expect_default("log.cleanup.policy: 'compact,delete'", "cleanup.policy", "compact,delete");
    expect_default("log.cleaner.min.cleanable.ratio: 0.25", "min.cleanable.dirty.ratio", "0.25");
    expect_default("log.cleaner.delete.retention.ms: 2h", "delete.retention.ms", "7200000");
    expect_default("log.retention.ms: 5", "retention.ms", "5");
    expect_default("log.retention.ms: 2d", "retention.ms", "172800000");
    expect_default("log.retention.ms: -1", "retention.ms", "-1");
    expect_default("log.retention.hours: 168", "retention.ms", "604800000");
    expect_default("log.retention.hours: -1", "retention.ms", "-1");
    expect_default("log.retention.minutes: 2, log.retention.hours: 1", "retention.ms", "120000");
    expect_default("log.retention.hours: 1, log.retention.minutes: 2, log.retention.ms: 7", "retention.ms",
                   "7");
    expect_default("log.roll.hours: 1", "segment.ms", "3600000");
    expect_default("log.roll.ms: 5s, log.roll.hours: 1", "segment.ms", "5000");
    expect_default("log.roll.jitter.hours: 2", "segment.jitter.ms", "7200000");
    expect_default("log.segment.bytes: 16MiB", "segment.bytes", "16777216");
    expect_default("log.retention.bytes: -1", "retention.bytes", "-1");
    expect_default("message.max.bytes: 2MiB", "max.message.bytes", "2097152");
    expect_default("compression.type: zstd", "compression.type", "zstd");
    expect_default("compression.zstd.level: -7", "compression.zstd.level", "-7");
    expect_default("log.preallocate: true", "preallocate", "true");
    expect_default("log.index.size.max.bytes: 1KiB", "segment.index.bytes", "1024");
    struct config *c = parse("hub: {log.retention.check.interval.ms: 7s, num.partitions: 9}\n");
    assert_int_equal(c->hub.retention_check_ms, 7000);
    assert_int_equal(c->hub.num_partitions, 9);
    assert_int_equal(c->hub.default_count, 0);
    config_free(c);
}

static void expect_cleaner(const char *text, bool enabled, int threads)
{
    struct config *c = parse(text);
    assert_int_equal(c->hub.cleaner_enabled, enabled);
    assert_int_equal(c->hub.cleaner_threads, threads);
    config_free(c);
}

static void test_cleaner(void **state)
{
    (void)state;
    expect_cleaner("hub: {}\n", true, 1);
    expect_cleaner("hub: {log.cleaner.threads: 4, log.cleaner.dedupe.buffer.size: 4MiB}\n", true, 4);
    expect_cleaner("hub: {log.cleaner.threads: 0}\n", false, 0); /* as in Kafka: there is none */
    expect_cleaner("hub: {log.cleaner.threads: 2, log.cleaner.enable: false}\n", false, 2);
}

static void test_defaults(void **state)
{
    (void)state;
    const char *const texts[] = {"",       "# nothing\n",  "{}",
                                 "hub:\n", "pipelines:\n", "pipelines: []\nhub: {}\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct config *c = parse(texts[i]);
        assert_int_equal(c->pipeline_count, 0);
        assert_string_equal(c->hub.data_dir, "leat-data");
        assert_int_equal(c->hub.plugin_path_count, 0);
        assert_null(c->hub.http_listen);
        assert_string_equal(c->hub.log_level, "info");
        assert_string_equal(c->hub.log_format, "text");
        assert_int_equal(c->hub.shutdown_ms, 30000);
        assert_int_equal(c->hub.journal_file_bytes, 64 << 20);
        assert_int_equal(c->hub.retention_check_ms, 300000);
        config_free(c);
    }
}

static void test_pipeline(void **state)
{
    (void)state;
    struct config *c = parse(full);
    assert_int_equal(c->pipeline_count, 2);
    const struct pipeline_config *p = c->pipelines[1]; /* by name: copy, web */
    assert_string_equal(p->name, "web");
    assert_string_equal(p->file, "test.yaml");
    assert_int_equal(p->line, 11);
    assert_int_equal(p->topic_count, 2);
    assert_string_equal(p->topics[0], "web-logs");
    assert_string_equal(p->topics[1], "other");
    assert_int_equal(p->partitions, 3);
    assert_int_equal(p->topic_config_count, 2);
    assert_string_equal(p->topic_config[0].name, "retention.ms");
    assert_string_equal(p->topic_config[0].value, "1000");
    assert_int_equal(p->codec, CODEC_ZSTD);
    const struct connector_config *s = p->source;
    assert_string_equal(s->name, "web");
    assert_ptr_equal(s->connector, &tail_source);
    assert_int_equal(s->tasks_max, 4);
    assert_int_equal(s->line, 13);
    const char *const *paths;
    assert_int_equal(options_list(s->options, "paths", &paths), 2);
    assert_string_equal(paths[1], "/var/log/b.log");
    assert_int_equal(options_int(s->options, "line.max.bytes"), 65536);
    assert_int_equal(options_int(s->options, "poll.interval"), 250);
    assert_int_equal(options_int(s->options, "start"), 0);
    assert_string_equal(options_str(s->options, "start"), "beginning");
    assert_true(options_is_set(s->options, "paths"));
    assert_false(options_is_set(s->options, "start"));
    assert_int_equal(s->key_converter, CONVERTER_STRING);
    assert_int_equal(s->value_converter, CONVERTER_STRING);
    assert_int_equal(s->retry_max, -1);
    assert_int_equal(s->retry_backoff_ms, 1000);
    assert_int_equal(s->retry_backoff_max_ms, 60000);
    assert_int_equal(p->sink_count, 2);
    const struct connector_config *k = p->sinks[0];
    assert_string_equal(k->name, "web-dir");
    assert_int_equal(options_int(k->options, "flush.size"), 10);
    assert_true(options_double(k->options, "ratio") == 0.25);
    assert_false(options_bool(k->options, "sync"));
    assert_null(options_str(k->options, "password"));
    assert_int_equal(k->key_converter, CONVERTER_BYTES);
    assert_int_equal(k->value_converter, CONVERTER_JSON);
    assert_int_equal(k->retry_max, 3);
    assert_int_equal(k->retry_backoff_ms, 2000);
    assert_true(k->paused);
    assert_int_equal(options_list(k->options, "fields", &paths), 2);
    assert_string_equal(p->sinks[1]->name, "web-second");
    assert_int_equal(options_list(p->sinks[1]->options, "fields", &paths), 0);
    const struct pipeline_config *copy = c->pipelines[0];
    assert_null(copy->source);
    assert_int_equal(copy->topic_count, 2);
    assert_int_equal(copy->partitions, -1); /* the hub's num.partitions */
    assert_string_equal(copy->sinks[0]->name, "copy-null");
    config_free(c);
}

/* Where the pipeline does not say how, by what the source's records are like. */
static void test_compression(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum codec codec;
    } cases[] = {
        {"pipelines: [{name: p, source: {type: tail, paths: [/a]}}]\n", CODEC_NONE},
        {"pipelines: [{name: p, source: {type: db}}]\n", CODEC_GZIP},
        {"pipelines: [{name: p, compression: none, source: {type: db}}]\n", CODEC_NONE},
        {"pipelines: [{name: p, compression: lz4, source: {type: db}}]\n", CODEC_LZ4},
        {"pipelines: [{name: p, topics: a, sinks: [{type: 'null'}]}]\n", CODEC_NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *c = parse(cases[i].text);
        assert_int_equal(c->pipelines[0]->codec, cases[i].codec);
        config_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hub),      cmocka_unit_test(test_topic_defaults),
        cmocka_unit_test(test_cleaner),  cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_pipeline), cmocka_unit_test(test_compression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
