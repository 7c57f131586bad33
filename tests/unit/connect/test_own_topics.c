/*
 * Sources that name their topics: what is made and how (topic.creation), and sinks that read topics by an expression, new ones
 * too. The source `namer` emits what signals tell it.
 */
#include "tests/unit/connect/hub.h"

static void apply(struct hub *h, const char *source, const char *pipeline)
{
    char text[1024];
    snprintf(text, sizeof(text), "pipelines: [{name: gen, %s source: {type: namer, total: 0, log: @/log%s}}]",
             pipeline, source);
    hub_apply(h, text);
}

static void emit(struct hub *h, const char *type, const char *value)
{
    struct err e;
    char used[WORKER_SIGNAL_ID_MAX];
    assert_ok(worker_signal(h->worker, "gen", NULL, type, value, WAIT_MS, used, &e), &e);
}

static bool exists(struct hub *h, const char *topic)
{
    struct topic_info info;
    struct err e;
    int rc = client_topic(h->client, topic, &info, &e);
    if (rc == ERR_OK)
        topic_info_free(&info);
    return rc == ERR_OK;
}

static bool is_there(struct hub *h, const void *topic)
{
    return exists(h, topic);
}

static const char *setting(const struct topic_info *info, const char *name)
{
    for (size_t i = 0; i < info->config_count; i++)
        if (strcmp(info->config[i].name, name) == 0)
            return info->config[i].value;
    return "";
}

static void assert_made(struct hub *h, const char *topic, int32_t partitions, const char *policy,
                        const char *retention)
{
    struct topic_info info;
    struct err e;
    hub_await(h, is_there, topic);
    assert_ok(client_topic(h->client, topic, &info, &e), &e);
    assert_int_equal(info.partition_count, partitions);
    assert_string_equal(setting(&info, "cleanup.policy"), policy);
    assert_string_equal(setting(&info, "retention.ms"), retention);
    topic_info_free(&info);
}

static void test_own_topic_is_made_when_written(void **state)
{
    struct hub *h = *state;
    apply(h, "", "");
    hub_await_state(h, "gen", TASK_RUNNING);
    emit(h, "to __heart.a", "x"); /* not one of the store's own */
    hub_await(h, is_there, "__heart.a");
    assert_false(exists(h, "gen"));
    emit(h, "say", "y");
    hub_await(h, is_there, "gen");
    char *text = NULL;
    do {
        free(text);
        text = hub_read(h, "gen", 0);
    } while (*text == 0);
    assert_string_equal(text, "y=y\n");
    free(text);
}

static void test_made_as_the_pipelines_topic(void **state)
{
    apply(*state, "", "topic: {name: own, partitions: 3, config: {retention.ms: 1h}},");
    emit(*state, "to other", "x");
    assert_made(*state, "other", 3, "", "3600000");
    assert_false(exists(*state, "own"));
}

/* Settings that a reload changed are those of topics that are made from then on. */
static void test_made_as_the_reload_says(void **state)
{
    apply(*state, "", "topic: {name: own, config: {retention.ms: 1h}},");
    emit(*state, "to before", "x");
    assert_made(*state, "before", 1, "", "3600000");
    apply(*state, "", "topic: {name: own, config: {retention.ms: 2h}},");
    emit(*state, "to after", "x");
    assert_made(*state, "after", 1, "", "7200000");
}

static void test_creation_groups(void **state)
{
    struct hub *h = *state;
    apply(h,
          ", topic.creation.groups: [big, small], topic.creation.default.cleanup.policy: compact,"
          " topic.creation.default.partitions: 2, topic.creation.default.replication.factor: 3,"
          " topic.creation.big.include: 'a\\..*, b\\..*', topic.creation.big.exclude: ['a\\.not.*'],"
          " topic.creation.big.partitions: 5, topic.creation.big.retention.ms: 2h,"
          " topic.creation.small.include: ['a\\..*']",
          "topic: {name: own, partitions: 3},");
    emit(h, "to a.x", "1");
    emit(h, "to b.y", "1");
    emit(h, "to a.nothing", "1");
    emit(h, "to c.z", "1");
    emit(h, "to xa.x", "1"); /* the whole name must match */
    assert_made(h, "a.x", 5, "", "7200000");
    assert_made(h, "b.y", 5, "", "7200000");
    assert_made(h, "a.nothing", 2, "", ""); /* of the group small, with the default's partitions */
    assert_made(h, "c.z", 2, "compact", "");
    assert_made(h, "xa.x", 2, "compact", "");
    emit(h, "say", "1");
    assert_made(h, "own", 3, "", ""); /* the pipeline's own is as the pipeline says */
}

static bool has_text(struct hub *h, const void *text)
{
    char *file = hub_file(h, "out");
    bool has = strstr(file, text) != NULL;
    mem_free(file);
    return has;
}

/* Topics that come later are read from their beginning; others, and internal ones, are not read. */
static void test_sinks_by_expression(void **state)
{
    struct hub *h = *state;
    struct err e;
    assert_ok(client_create_topic(h->client, "shop.old", 2, NULL, 0, &e), &e);
    apply(
        h, "",
        "topics.regex: '(shop|connect-|__consumer).*', sinks: [{type: capture, path: @/out, tasks.max: 2}],");
    emit(h, "to shop.old", "in-old");
    emit(h, "to shop.new", "in-new");
    emit(h, "to shopping", "in-shopping");
    emit(h, "to ashop", "not-read");
    hub_await(h, has_text, "in-old");
    hub_await(h, has_text, "in-shopping");
    hub_await(h, has_text, "in-new");
    assert_false(has_text(h, "not-read"));
    assert_false(has_text(h, "signal")); /* of connect-offsets */
    assert_code(worker_topic_idle(h->worker, "shop.any", &e), ERR_BUSY, &e);
    assert_ok(worker_topic_idle(h->worker, "ashop", &e), &e);
    assert_ok(worker_pause(h->worker, "gen-capture", true, &e), &e);
    hub_await_state(h, "gen-capture", TASK_PAUSED);
    assert_int_equal(hub_committed(h, "connect-gen-capture", "shop.new"), 2); /* with the commit's marker */
}

/* The pipeline's own topic is read once it is written. */
static void test_sinks_of_the_own_topic(void **state)
{
    struct hub *h = *state;
    apply(h, "", "topic: own, topics.regex: 'x.*', sinks: [{type: capture, path: @/out}],");
    hub_await_state(h, "gen-capture", TASK_RUNNING);
    emit(h, "say", "in-own");
    hub_await(h, has_text, "in-own");
}

static void test_a_changed_expression(void **state)
{
    struct hub *h = *state;
    apply(h, "", "topics.regex: 'a.*', sinks: [{type: capture, path: @/out}],");
    emit(h, "to bb", "in-b");
    hub_await(h, is_there, "bb");
    apply(h, "", "topics.regex: 'b.*', sinks: [{type: capture, path: @/out}],");
    hub_await(h, has_text, "in-b");
}

#define WITH_HUB(test) cmocka_unit_test_setup_teardown(test, hub_setup, hub_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HUB(test_own_topic_is_made_when_written),
        WITH_HUB(test_made_as_the_pipelines_topic),
        WITH_HUB(test_made_as_the_reload_says),
        WITH_HUB(test_creation_groups),
        WITH_HUB(test_sinks_by_expression),
        WITH_HUB(test_sinks_of_the_own_topic),
        WITH_HUB(test_a_changed_expression),
    };
    return cmocka_run_group_tests_name("own topics", tests, NULL, NULL);
}
