/*
 * DescribeConfigs, AlterConfigs, IncrementalAlterConfigs: names, values and sources as Kafka tells them, changes and their errors.
 */
#include "base/diag.h"
#include "broker/group_config.h"
#include "tests/unit/server/client.h"

typedef struct msg_describe_configs_response_result described;
typedef struct msg_describe_configs_response_resource_result row;

static struct msg_string text(const char *s)
{
    return s != NULL ? msg_text(s, strlen(s)) : MSG_NULL_STRING;
}

static const described *describe(struct rig *r, int8_t type, const char *name, const char *key)
{
    struct msg_string only = text(key);
    struct msg_describe_configs_request_resource resource = {.resource_type = type,
                                                             .resource_name = text(name)};
    struct msg_describe_configs_request q;
    msg_init(&msg_schema_describe_configs_request, &q);
    resource.configuration_keys.count = key != NULL ? 1 : -1;
    resource.configuration_keys.items = &only;
    q.resources.items = &resource;
    q.resources.count = 1;
    q.include_synonyms = q.include_documentation = true;
    const struct msg_describe_configs_response *a = ask(r, r->fd, MSG_KEY_describe_configs, 4, &q);
    assert_int_equal(a->results.count, 1);
    return a->results.items;
}

/* "value/source/read-only/type name=value/source ..." of a setting, or its absence. */
static void expect(struct rig *r, int8_t type, const char *resource, const char *name, const char *seen)
{
    const described *d = describe(r, type, resource, name);
    char now[512] = "none";
    assert_int_equal(d->error_code, 0);
    if (d->configs.count > 0) {
        const row *x = d->configs.items;
        snprintf(now, sizeof now, "%.*s/%d/%d/%d", x->value.n < 0 ? 4 : x->value.n,
                 x->value.n < 0 ? "null" : x->value.p, x->config_source, x->read_only, x->config_type);
        for (int32_t i = 0; i < x->synonyms.count; i++) {
            size_t at = strlen(now);
            snprintf(now + at, sizeof now - at, " %.*s=%.*s/%d", x->synonyms.items[i].name.n,
                     x->synonyms.items[i].name.p,
                     x->synonyms.items[i].value.n < 0 ? 0 : x->synonyms.items[i].value.n,
                     x->synonyms.items[i].value.p, x->synonyms.items[i].source);
        }
    }
    assert_string_equal(now, seen);
}

static int16_t change(struct rig *r, int8_t type, const char *resource, const char *name, int8_t op,
                      const char *value, bool try_only)
{
    struct msg_incremental_alter_configs_request_alterable_config one = {
        .name = text(name), .config_operation = op, .value = text(value)};
    struct msg_incremental_alter_configs_request_alter_configs_resource a = {.resource_type = type,
                                                                             .resource_name = text(resource)};
    struct msg_incremental_alter_configs_request q;
    msg_init(&msg_schema_incremental_alter_configs_request, &q);
    a.configs.items = &one;
    a.configs.count = 1;
    q.resources.items = &a;
    q.resources.count = 1;
    q.validate_only = try_only;
    const struct msg_incremental_alter_configs_response *out =
        ask(r, r->fd, MSG_KEY_incremental_alter_configs, 1, &q);
    assert_int_equal(out->responses.count, 1);
    return out->responses.items[0].error_code;
}

static char four[] = "4", million[] = "104857600", session[] = "50000";
static const struct broker_config_value of_hub[] = {
    {"num.io.threads", four, true, "Threads."},
    {"socket.request.max.bytes", million, false, NULL},
    {"group.consumer.session.timeout.ms", session, true, NULL}};
static const struct server_options with_hub = {
    .configs = of_hub, .config_count = 3, .group_consumer_session_ms = 50000};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    rig_start(r, with_hub);
    r->fd = rig_connect(r);
    make_topic(r, "t", 1);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    rig_stop(*state);
    free(*state);
    return 0;
}

enum { TOPIC = 2, BROKER = 4, LOGGER = 8, GROUP = 32 };

static void test_topics(void **state)
{
    struct rig *r = *state;
    expect(r, TOPIC, "t", "retention.ms", "604800000/5/0/5");
    expect(r, TOPIC, "t", "cleanup.policy", "delete/5/0/7 log.cleanup.policy=delete/5");
    expect(r, TOPIC, "t", "min.cleanable.dirty.ratio", "0.5/5/0/6 log.cleaner.min.cleanable.ratio=0.5/5");
    expect(r, TOPIC, "t", "remote.storage.enable", "false/5/0/1");
    expect(r, TOPIC, "t", "nobody.knows", "none");
    assert_int_equal(change(r, TOPIC, "t", "cleanup.policy", 2, "compact", true), 0);
    assert_int_equal(change(r, TOPIC, "t", "cleanup.policy", 2, "compact", false), 0);
    expect(r, TOPIC, "t", "cleanup.policy",
           "delete,compact/1/0/7 cleanup.policy=delete,compact/1 log.cleanup.policy=delete/5");
    assert_int_equal(change(r, TOPIC, "t", "cleanup.policy", 3, "delete", false), 0);
    assert_int_equal(change(r, TOPIC, "t", "retention.ms", 0, "1000", false), 0);
    expect(r, TOPIC, "t", "retention.ms", "1000/1/0/5 retention.ms=1000/1");
    assert_int_equal(change(r, TOPIC, "t", "retention.ms", 1, NULL, false), 0);
    expect(r, TOPIC, "t", "retention.ms", "604800000/5/0/5");
    assert_int_equal(describe(r, TOPIC, "no", NULL)->error_code, 3);
    assert_int_equal(describe(r, TOPIC, "not good", NULL)->error_code, 17);
    assert_int_equal(describe(r, 3, "t", NULL)->error_code, 42);
}

static void test_changes_that_are_refused(void **state)
{
    struct rig *r = *state;
    const struct {
        int8_t type;
        const char *resource, *name;
        int8_t op;
        const char *value;
        int16_t code;
    } cases[] = {
        {TOPIC, "t", "retention.ms", 2, "1", 40},
        {TOPIC, "t", "retention.ms", 0, "x", 40},
        {TOPIC, "t", "nobody.knows", 0, "1", 40},
        {TOPIC, "t", "nobody.knows", 1, NULL, 0},
        {TOPIC, "t", "retention.ms", 0, NULL, 42},
        {TOPIC, "t", "retention.ms", 7, "1", -1},
        {TOPIC, "", "retention.ms", 0, "1", 42},
        {TOPIC, "no", "retention.ms", 0, "1", 3},
        {TOPIC, "not good", "retention.ms", 0, "1", 17},
        {BROKER, "2", "log.retention.ms", 0, "1", 42},
        {BROKER, "x", "log.retention.ms", 0, "1", 42},
        {BROKER, "1", "num.io.threads", 0, "1", 42},
        {BROKER, "1", "log.retention.ms", 0, "x", 42},
        {LOGGER, "1", "root", 0, "LOUD", 40},
        {LOGGER, "1", "no.such.logger", 0, "INFO", 40},
        {BROKER, "1", "num.io.threads", 1, NULL, 0},
        {BROKER, "1", "log.retention.ms", 9, "1", 42},
        {LOGGER, "1", "root", 1, NULL, 42},
        {GROUP, "", "consumer.session.timeout.ms", 0, "50000", 42},
        {GROUP, "g", "consumer.session.timeout.ms", 0, "44999", 40},
        {GROUP, "g", "consumer.session.timeout.ms", 0, "60001", 40},
        {GROUP, "g", "consumer.session.timeout.ms", 0, "x", 40},
        {GROUP, "g", "consumer.session.timeout.ms", 0, "", 40},
        {GROUP, "g", "consumer.session.timeout.ms", 0, "50000000000", 40},
        {GROUP, "g", "consumer.session.timeout.ms", 0, NULL, 42},
        {GROUP, "g", "consumer.session.timeout.ms", 1, NULL, 0},
        {GROUP, "g", "consumer.session.timeout.ms", 2, "50000", 40},
        {GROUP, "g", "consumer.session.timeout.ms", 3, "50000", 40},
        {GROUP, "g", "consumer.session.timeout.ms", 7, "50000", -1},
        {GROUP, "g", "consumer.heartbeat.interval.ms", 0, "4999", 40},
        {GROUP, "g", "consumer.heartbeat.interval.ms", 0, "15001", 40},
        {GROUP, "g", "consumer.heartbeat.interval.ms", 0, "-1", 40},
        {GROUP, "g", "consumer.assignment.interval.ms", 0, "0", 40},
        {GROUP, "g", "share.auto.offset.reset", 0, "earliest", 40},
        {GROUP, "g", "streams.num.standby.replicas", 0, "1", 40},
        {GROUP, "g", "nobody.knows", 0, "1", 40},
        {GROUP, "g", "nobody.knows", 1, NULL, 0},
        {64, "x", "y", 0, "z", 42},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int16_t code =
            change(r, cases[i].type, cases[i].resource, cases[i].name, cases[i].op, cases[i].value, false);
        if (code != cases[i].code)
            fail_msg("case %zu: %d", i, code);
    }
}

/* The groups with settings of their own, "g,h". */
static void expect_groups(struct rig *r, const char *names)
{
    char now[64] = "";
    int8_t type = GROUP;
    struct msg_list_config_resources_request q;
    msg_init(&msg_schema_list_config_resources_request, &q);
    q.resource_types.items = &type;
    q.resource_types.count = 1;
    const struct msg_list_config_resources_response *a = ask(r, r->fd, MSG_KEY_list_config_resources, 1, &q);
    for (int32_t i = 0; i < a->config_resources.count; i++) {
        size_t at = strlen(now);
        assert_int_equal(a->config_resources.items[i].resource_type, GROUP);
        snprintf(now + at, sizeof now - at, "%s%.*s", at > 0 ? "," : "",
                 a->config_resources.items[i].resource_name.n, a->config_resources.items[i].resource_name.p);
    }
    assert_string_equal(now, names);
}

#define SESSION "consumer.session.timeout.ms"
#define HEARTBEAT "consumer.heartbeat.interval.ms"

static void test_groups(void **state)
{
    struct rig *r = *state;
    size_t n;
    group_config_defs(&n);
    assert_int_equal(n, 17); /* as many as Kafka 4.3.1 has */
    assert_int_equal(describe(r, GROUP, "g", NULL)->configs.count, n);
    assert_int_equal(describe(r, GROUP, "", NULL)->error_code, 42);
    expect(r, GROUP, "g", SESSION,
           "50000/4/0/3 group.consumer.session.timeout.ms=50000/4 group.consumer.session.timeout.ms=45000/5");
    expect(r, GROUP, "g", HEARTBEAT, "5000/5/0/3 group.consumer.heartbeat.interval.ms=5000/5");
    expect(r, GROUP, "g", "share.auto.offset.reset", "latest/5/0/2 share.auto.offset.reset=latest/5");
    expect(r, GROUP, "g", "share.renew.acknowledge.enable",
           "true/5/0/1 share.renew.acknowledge.enable=true/5");
    expect_groups(r, "");
    assert_int_equal(change(r, GROUP, "g", HEARTBEAT, 0, "6000", true), 0);
    expect_groups(r, "");
    assert_int_equal(change(r, GROUP, "g", HEARTBEAT, 0, "+6000", false), 0);
    expect(r, GROUP, "g", HEARTBEAT,
           "6000/8/0/3 consumer.heartbeat.interval.ms=6000/8 group.consumer.heartbeat.interval.ms=5000/5");
    expect(r, GROUP, "h", HEARTBEAT, "5000/5/0/3 group.consumer.heartbeat.interval.ms=5000/5");
    assert_int_equal(change(r, GROUP, "g", SESSION, 0, "60000", false), 0);
    assert_int_equal(change(r, GROUP, "g", "streams.num.standby.replicas", 0, "0", false), 0);
    assert_int_equal(change(r, GROUP, "g", HEARTBEAT, 1, NULL, false), 0);
    expect_groups(r, "g");
    rig_close(r);
    rig_open(r, with_hub);
    r->fd = rig_connect(r);
    expect_groups(r, "g");
    expect(r, GROUP, "g", HEARTBEAT, "5000/5/0/3 group.consumer.heartbeat.interval.ms=5000/5");
    expect(r, GROUP, "g", SESSION,
           "60000/8/0/3 consumer.session.timeout.ms=60000/8 group.consumer.session.timeout.ms=50000/4 "
           "group.consumer.session.timeout.ms=45000/5");
    assert_int_equal(change(r, GROUP, "g", SESSION, 1, NULL, false), 0);
    assert_int_equal(change(r, GROUP, "g", "streams.num.standby.replicas", 1, NULL, false), 0);
    expect_groups(r, ""); /* nothing of it is set any more */
    rig_close(r);
    rig_open(r, with_hub);
    r->fd = rig_connect(r);
    expect_groups(r, "");
}

/* A resource, or a setting, that is named twice. */
static void test_named_twice(void **state)
{
    struct rig *r = *state;
    struct msg_incremental_alter_configs_request_alterable_config two[] = {
        {.name = text("retention.ms"), .value = text("5")},
        {.name = text("retention.ms"), .value = text("6")}};
    struct msg_incremental_alter_configs_request_alter_configs_resource a[2] = {
        {.resource_type = TOPIC, .resource_name = text("t")},
        {.resource_type = TOPIC, .resource_name = text("t")}};
    struct msg_incremental_alter_configs_request q;
    msg_init(&msg_schema_incremental_alter_configs_request, &q);
    a[0].configs.items = a[1].configs.items = two;
    a[0].configs.count = 2;
    a[1].configs.count = 1;
    q.resources.items = a;
    for (int n = 1; n <= 2; n++) {
        q.resources.count = n;
        const struct msg_incremental_alter_configs_response *out =
            ask(r, r->fd, MSG_KEY_incremental_alter_configs, 0, &q);
        assert_int_equal(out->responses.count, n);
        for (int i = 0; i < n; i++)
            assert_int_equal(out->responses.items[i].error_code, 42);
    }
    expect(r, TOPIC, "t", "retention.ms", "604800000/5/0/5");
}

static void test_brokers(void **state)
{
    struct rig *r = *state;
    size_t n, m;
    topic_config_defs(&n);
    broker_config_defs(&m);
    expect(r, BROKER, "1", "log.retention.ms", "null/5/0/5");
    expect(r, BROKER, "1", "log.retention.bytes", "-1/5/0/5 log.retention.bytes=-1/5");
    expect(r, BROKER, "1", "log.retention.hours", "168/5/1/3 log.retention.hours=168/5");
    expect(r, BROKER, "1", "num.io.threads", "4/4/1/3 num.io.threads=4/4 num.io.threads=8/5");
    expect(r, BROKER, "1", "socket.request.max.bytes",
           "104857600/5/1/3 socket.request.max.bytes=104857600/5");
    expect(r, BROKER, "1", "node.id", "1/4/1/3 node.id=1/4");
    struct msg_string doc = describe(r, BROKER, "1", "num.io.threads")->configs.items[0].documentation;
    assert_true(doc.n == 8 && memcmp(doc.p, "Threads.", 8) == 0);
    expect(r, BROKER, "1", "ssl.key.password", "null/5/1/9");
    assert_true(describe(r, BROKER, "1", NULL)->configs.count > 330);
    assert_int_equal(describe(r, BROKER, "2", NULL)->error_code, 42);
    assert_int_equal(describe(r, BROKER, "", NULL)->configs.count, 0);
    assert_int_equal(change(r, BROKER, "", "log.retention.ms", 0, "70000", false), 0);
    assert_int_equal(change(r, BROKER, "1", "log.retention.ms", 0, "60000", false), 0);
    expect(r, BROKER, "1", "log.retention.ms",
           "60000/2/0/5 log.retention.ms=60000/2 log.retention.ms=70000/3");
    expect(r, BROKER, "", "log.retention.ms", "70000/3/0/5 log.retention.ms=70000/3");
    expect(r, TOPIC, "t", "retention.ms", "60000/2/0/5 log.retention.ms=60000/2 log.retention.ms=70000/3");
    assert_int_equal(change(r, BROKER, "1", "my.own", 0, "secret", false), 0);
    expect(r, BROKER, "1", "my.own", "null/2/1/0 my.own=/2");
    assert_int_equal(describe(r, BROKER, "", NULL)->configs.count, 1);
}

/* AlterConfigs of a group; and that its settings are looked at together. */
static void test_a_group_all_anew(void **state)
{
    struct rig *r = *state;
    struct msg_alter_configs_request_alterable_config two[] = {
        {.name = text(SESSION), .value = text("45000")}, {.name = text(HEARTBEAT), .value = text("5000")}};
    struct msg_alter_configs_request_resource a = {.resource_type = GROUP, .resource_name = text("g")};
    struct msg_alter_configs_request q;
    struct server_options o = with_hub;
    rig_close(r);
    o.group_consumer_heartbeat_max_ms = 100000;
    rig_open(r, o);
    r->fd = rig_connect(r);
    msg_init(&msg_schema_alter_configs_request, &q);
    a.configs.items = two;
    a.configs.count = 2;
    q.resources.items = &a;
    q.resources.count = 1;
    const struct msg_alter_configs_response *out = ask(r, r->fd, MSG_KEY_alter_configs, 2, &q);
    assert_int_equal(out->responses.items[0].error_code, 0);
    assert_int_equal(change(r, GROUP, "g", HEARTBEAT, 0, "45000", false),
                     40); /* not below the session's time */
    assert_int_equal(change(r, GROUP, "g", HEARTBEAT, 0, "44999", false), 0);
    a.configs.items = two + 1;
    a.configs.count = 1;
    out = ask(r, r->fd, MSG_KEY_alter_configs, 2, &q);
    assert_int_equal(out->responses.items[0].error_code, 0);
    expect(r, GROUP, "g", HEARTBEAT,
           "5000/8/0/3 consumer.heartbeat.interval.ms=5000/8 group.consumer.heartbeat.interval.ms=5000/5");
    expect(r, GROUP, "g", SESSION,
           "50000/4/0/3 group.consumer.session.timeout.ms=50000/4 group.consumer.session.timeout.ms=45000/5");
    a.configs.count = 0;
    out = ask(r, r->fd, MSG_KEY_alter_configs, 2, &q);
    assert_int_equal(out->responses.items[0].error_code, 0);
    expect_groups(r, "");
}

/* AlterConfigs: what is not named goes. */
static void test_all_anew(void **state)
{
    struct rig *r = *state;
    struct msg_alter_configs_request_alterable_config one = {.name = text("retention.bytes"),
                                                             .value = text("7")};
    struct msg_alter_configs_request_resource a = {.resource_type = TOPIC, .resource_name = text("t")};
    struct msg_alter_configs_request q;
    msg_init(&msg_schema_alter_configs_request, &q);
    assert_int_equal(change(r, TOPIC, "t", "retention.ms", 0, "1000", false), 0);
    a.configs.items = &one;
    a.configs.count = 1;
    q.resources.items = &a;
    q.resources.count = 1;
    for (int16_t version = 0; version <= 2; version++) {
        q.validate_only = version == 0;
        const struct msg_alter_configs_response *out = ask(r, r->fd, MSG_KEY_alter_configs, version, &q);
        assert_int_equal(out->responses.items[0].error_code, 0);
        expect(r, TOPIC, "t", "retention.ms",
               version == 0 ? "1000/1/0/5 retention.ms=1000/1" : "604800000/5/0/5");
    }
    expect(r, TOPIC, "t", "retention.bytes", "7/1/0/5 retention.bytes=7/1 log.retention.bytes=-1/5");
}

static void test_the_logger(void **state)
{
    struct rig *r = *state;
    diag_set_level(DIAG_WARN);
    expect(r, LOGGER, "1", NULL, "WARN/6/0/2");
    assert_int_equal(change(r, LOGGER, "1", "root", 0, "error", false), 0);
    expect(r, LOGGER, "1", NULL, "ERROR/6/0/2");
    assert_false(diag_enabled(DIAG_WARN));
    diag_set_level(DIAG_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_topics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes_that_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_named_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_brokers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_group_all_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_logger, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
