/*
 * Source positions: their records, what is read back, keys that others wrote, removal, transactions in the way, and that
 * failed allocations lose no position.
 */
#include <errno.h>
#include <pthread.h>

#include "connect/positions.h"
#include "connect/topics.h"
#include "tests/unit/connect/hub.h"

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static int setup(void **state)
{
    struct err e;
    int rc = hub_setup(state);
    struct hub *h = *state;
    assert_ok(client_create_topic(h->client, POSITIONS_TOPIC_DEFAULT, 1, NULL, 0, &e), &e);
    return rc;
}

/* What is stored, as a new attempt reads it. */
static int load(struct hub *h, const char *connector, struct positions **out, struct err *e)
{
    int64_t end, ts;
    *out = positions_new(connector, POSITIONS_TOPIC_DEFAULT, e);
    if (*out == NULL)
        return e->code;
    struct consumer *c = consumer_open(h->client, &(struct consumer_options){.isolation = READ_COMMITTED}, e);
    int rc = c == NULL ? e->code
                       : client_list_offset(h->client, POSITIONS_TOPIC_DEFAULT, 0, -1, READ_UNCOMMITTED, &end,
                                            &ts, e);
    if (rc == ERR_OK)
        rc = consumer_assign(c, POSITIONS_TOPIC_DEFAULT, 0, CONSUMER_EARLIEST, e);
    if (rc == ERR_OK)
        rc = positions_load(*out, c, &end, 1, never, NULL, e);
    consumer_close(c);
    if (rc != ERR_OK)
        positions_free(*out);
    return rc;
}

static struct positions *loaded(struct hub *h, const char *connector)
{
    struct positions *p;
    struct err e;
    assert_ok(load(h, connector, &p, &e), &e);
    return p;
}

static void store(struct hub *h, struct positions *p)
{
    struct err e;
    struct producer *producer =
        producer_open(h->client, &(struct producer_options){.transactional_id = "x"}, &e);
    assert_non_null(producer);
    assert_ok(positions_write(p, producer, &e), &e);
    assert_ok(producer_commit(producer, &e), &e);
    positions_committed(p);
    assert_int_equal(positions_changed(p), 0);
    producer_close(producer);
}

static void put_raw(struct hub *h, const char *key, const char *value)
{
    struct err e;
    struct producer *p = producer_open(h->client, &(struct producer_options){0}, &e);
    assert_ok(producer_add(p, POSITIONS_TOPIC_DEFAULT, 0, 1, key, strlen(key), value,
                           value == NULL ? 0 : strlen(value), NULL, 0, &e),
              &e);
    assert_ok(producer_flush(p, &e), &e);
    producer_close(p);
}

static void set(struct positions *p, const char *partition, const char *offset)
{
    struct err e;
    assert_ok(positions_set(p, partition, offset, &e), &e);
}

static const char *get(struct positions *p, const char *partition)
{
    struct err e;
    const char *offset = positions_get(p, partition, &e);
    assert_int_equal(e.code, ERR_OK);
    return offset;
}

static void test_round_trip(void **state)
{
    struct hub *h = *state;
    struct positions *p = loaded(h, "web \"one\"");
    set(p, "{\"path\":\"/a\"}", "{\"offset\":1}");
    set(p, " { \"n\" : 2 , \"path\" : \"/b\" } ", "{\"z\": 9007199254740993, \"a\": null}");
    assert_string_equal(get(p, "{\"path\":\"/b\",\"n\":2}"), "{\"z\":9007199254740993,\"a\":null}");
    assert_int_equal(positions_changed(p), 2);
    store(h, p);
    set(p, "{\"path\":\"/a\"}", "{\"offset\":2}");
    store(h, p);
    positions_free(p);
    char *text = hub_read(h, POSITIONS_TOPIC_DEFAULT, 0);
    assert_string_equal(
        text, "[\"web \\\"one\\\"\",{\"path\":\"/a\"}]={\"offset\":1}\n"
              "[\"web \\\"one\\\"\",{\"n\":2,\"path\":\"/b\"}]={\"z\":9007199254740993,\"a\":null}\n"
              "[\"web \\\"one\\\"\",{\"path\":\"/a\"}]={\"offset\":2}\n");
    free(text);
    p = loaded(h, "web \"one\"");
    assert_string_equal(get(p, "{\"path\": \"/a\"}"), "{\"offset\":2}");
    size_t cursor = 0, n = 0;
    const char *partition, *offset;
    while (positions_next(p, &cursor, &partition, &offset))
        n++;
    assert_int_equal(n, 2);
    positions_free(p);
    p = loaded(h, "web");
    assert_null(get(p, "{\"path\":\"/a\"}"));
    positions_free(p);
}

static void test_keys_of_others_stay_as_they_are(void **state)
{
    struct hub *h = *state;
    put_raw(h, "[\"c\",{\"z\":1,\"a\":\"x\"}]", "{\"pos\":1}");
    put_raw(h, "[\"c\", {\"other\": true}]", "{\"pos\":5}");
    struct positions *p = loaded(h, "c");
    assert_string_equal(get(p, "{\"a\":\"x\",\"z\":1}"), "{\"pos\":1}");
    set(p, "{\"a\":\"x\",\"z\":1}", "{\"pos\":2}");
    set(p, "{\"other\":true}", NULL);
    assert_null(get(p, "{\"other\":true}"));
    store(h, p);
    positions_free(p);
    char *text = hub_read(h, POSITIONS_TOPIC_DEFAULT, 0);
    assert_non_null(strstr(text, "[\"c\",{\"z\":1,\"a\":\"x\"}]={\"pos\":2}\n"));
    assert_non_null(strstr(text, "[\"c\", {\"other\": true}]=null\n"));
    free(text);
    p = loaded(h, "c");
    assert_null(get(p, "{\"other\":true}"));
    assert_string_equal(get(p, "{\"z\":1,\"a\":\"x\"}"), "{\"pos\":2}");
    positions_free(p);
}

static void test_records_that_are_no_positions(void **state)
{
    struct hub *h = *state;
    static const char *const keys[] = {"",          "x",      "[]",         "[\"c\"]",
                                       "[\"c\",1]", "[1,{}]", "{\"c\":{}}", "[\"c\",{\"a\":[]}]"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        put_raw(h, keys[i], "{\"pos\":1}");
    put_raw(h, "[\"c\",{\"a\":1}]", "{\"pos\":1}");
    put_raw(h, "[\"c\",{\"a\":1}]", "no JSON");
    put_raw(h, "[\"c\",{\"a\":1}]", "7");
    struct positions *p = loaded(h, "c");
    assert_string_equal(get(p, "{\"a\":1}"), "{\"pos\":1}");
    positions_free(p);
}

static void test_refusals(void **state)
{
    struct hub *h = *state;
    struct err e;
    struct positions *p = loaded(h, "c");
    static const char *const bad[] = {"", "x", "[]", "7", "\"s\"", "{\"a\":{}}", "{\"a\":[1]}", "{} {}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_code(positions_set(p, bad[i], "{}", &e), ERR_INVALID, &e);
        assert_code(positions_set(p, "{}", bad[i], &e), ERR_INVALID, &e);
        assert_null(positions_get(p, bad[i], &e));
        assert_int_equal(e.code, ERR_INVALID);
    }
    char *large = malloc(POSITION_MAX_BYTES + 32);
    snprintf(large, POSITION_MAX_BYTES + 32, "{\"a\":\"%0*d\"}", POSITION_MAX_BYTES, 1);
    assert_code(positions_set(p, large, "{}", &e), ERR_INVALID, &e);
    free(large);
    assert_int_equal(positions_changed(p), 0);
    positions_free(p);
}

static void test_many_that_come_and_go(void **state)
{
    struct hub *h = *state;
    struct positions *p = loaded(h, "c");
    char partition[64], offset[64];
    for (int i = 0; i < 2000; i++) {
        snprintf(partition, sizeof(partition), "{\"file\":%d}", i);
        snprintf(offset, sizeof(offset), "{\"pos\":%d}", i);
        set(p, partition, offset);
        if (i >= 10) {
            snprintf(partition, sizeof(partition), "{\"file\":%d}", i - 10);
            set(p, partition, NULL);
        }
        if (i % 50 == 49)
            store(h, p);
    }
    for (int round = 0; round < 2; round++) {
        size_t cursor = 0, n = 0;
        const char *one, *at;
        while (positions_next(p, &cursor, &one, &at))
            n++;
        assert_int_equal(n, 10);
        assert_string_equal(get(p, "{\"file\":1995}"), "{\"pos\":1995}");
        assert_null(get(p, "{\"file\":1}"));
        positions_free(p);
        p = loaded(h, "c");
    }
    positions_free(p);
}

static const char *setting(const struct topic_info *info, const char *name)
{
    for (size_t i = 0; i < info->config_count; i++)
        if (strcmp(info->config[i].name, name) == 0)
            return info->config[i].value;
    return "";
}

/* Also one that an earlier release made, which kept everything; but not against what somebody chose. */
static void test_the_topic_is_compacted(void **state)
{
    struct hub *h = *state;
    struct err e;
    struct topic_info info;
    const struct topic_config_entry chosen = {"cleanup.policy", "delete"};
    bool is_there;
    for (int i = 0; i < 2; i++) {
        assert_ok(topics_ensure_compacted(h->client, POSITIONS_TOPIC_DEFAULT, true, &is_there, &e), &e);
        assert_true(is_there);
        assert_ok(client_topic(h->client, POSITIONS_TOPIC_DEFAULT, &info, &e), &e);
        assert_string_equal(setting(&info, "cleanup.policy"), i ? "delete" : "compact");
        topic_info_free(&info);
        assert_ok(client_alter_topic(h->client, POSITIONS_TOPIC_DEFAULT, &chosen, 1, &e), &e);
    }
    assert_ok(topics_ensure_compacted(h->client, "other", false, &is_there, &e), &e);
    assert_false(is_there);
    assert_code(client_topic(h->client, "other", &info, &e), ERR_UNKNOWN_TOPIC, &e);
}

struct closing {
    struct producer *producer;
    struct timespec after;
};

static void *commit_later(void *arg)
{
    struct closing *c = arg;
    struct err e;
    nanosleep(&c->after, NULL);
    return producer_commit(c->producer, &e) == ERR_OK ? NULL : arg;
}

/* A position behind another's open transaction: reading waits until that ends, however long it takes. */
static void test_a_transaction_in_the_way(void **state)
{
    struct hub *h = *state;
    struct err e;
    /* So much that it goes to the log before the end of the transaction. */
    const struct producer_options slow = {.transactional_id = "other", .transaction_timeout_ms = 900000};
    struct producer *other = producer_open(h->client, &slow, &e);
    char *value = calloc(1, 900000);
    assert_ok(producer_add(other, POSITIONS_TOPIC_DEFAULT, 0, 1, "k", 1, value, 900000, NULL, 0, &e), &e);
    for (int i = 0; i < 60; i++)
        assert_ok(producer_add(other, POSITIONS_TOPIC_DEFAULT, 0, 1, "k", 1, value, 900000, NULL, 0, &e), &e);
    free(value);
    struct positions *p = positions_new("c", POSITIONS_TOPIC_DEFAULT, &e);
    set(p, "{\"a\":1}", "{\"pos\":77}");
    store(h, p);
    positions_free(p);
    int64_t stable, end, ts;
    assert_ok(client_list_offset(h->client, POSITIONS_TOPIC_DEFAULT, 0, -1, READ_COMMITTED, &stable, &ts, &e),
              &e);
    assert_ok(client_list_offset(h->client, POSITIONS_TOPIC_DEFAULT, 0, -1, READ_UNCOMMITTED, &end, &ts, &e),
              &e);
    assert_true(stable < end); /* the position is hidden for now */
    struct closing closing = {other, {.tv_nsec = 50000000}};
    pthread_t thread;
    void *failed;
    assert_int_equal(pthread_create(&thread, NULL, commit_later, &closing), 0);
    p = loaded(h, "c");
    assert_string_equal(get(p, "{\"a\":1}"), "{\"pos\":77}");
    positions_free(p);
    pthread_join(thread, &failed);
    assert_null(failed);
    producer_close(other);
}

static void load_once(void *arg)
{
    struct hub *h = arg;
    struct positions *p;
    struct err e;
    int rc = load(h, "c", &p, &e);
    if (rc != ERR_OK) {
        assert_code(rc, ERR_NO_MEMORY, &e);
        return;
    }
    /* The last pass may fail here instead; a position is there or it is an error, never silently absent. */
    const char *offset = positions_get(p, "{\"a\":19}", &e);
    if (offset != NULL)
        assert_string_equal(offset, "{\"pos\":19}");
    else
        assert_code(e.code, ERR_NO_MEMORY, &e);
    positions_free(p);
}

static void test_every_failed_allocation(void **state)
{
    struct hub *h = *state;
    char key[64], value[64];
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof(key), "[\"c\",{\"a\":%d}]", i);
        snprintf(value, sizeof(value), "{\"pos\":%d}", i);
        put_raw(h, key, value);
    }
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, load_once, h) > 30);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, hub_teardown)
    const struct CMUnitTest tests[] = {
        T(test_round_trip),
        T(test_keys_of_others_stay_as_they_are),
        T(test_records_that_are_no_positions),
        T(test_refusals),
        T(test_many_that_come_and_go),
        T(test_the_topic_is_compacted),
        T(test_a_transaction_in_the_way),
        T(test_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
