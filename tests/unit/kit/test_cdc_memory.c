/*
 * Each allocation fails once, from the options to the last record: the host is told, nothing leaks, and what comes are whole
 * changes, the same as without the fault.
 */
#include <errno.h>

#include "tests/unit/kit/cdc_rig.h"

static char *reference[64];
static size_t reference_count;

static int setup(void **state)
{
    rig_setup(state);
    rig_set("provide.transaction.metadata", "true");
    rig_set("table.include.list", "public.(o|t)");
    rig_set("column.exclude.list", "public.o.hidden");
    rig_set("message.key.columns", "public.x:a;public.y:b,c");
    rig_set("column.mask.with.2.chars", "public.o.kind");
    rig_set("column.mask.hash.SHA-256.with.salt.s", "public.o.tenant");
    rig_set("column.propagate.source.type", "public.o.id");
    rig_set("notification.enabled.channels", "sink,log");
    rig_set("notification.sink.topic.name", "notes");
    rig.key_schemas = rig.value_schemas = true;
    return 0;
}

static int teardown(void **state)
{
    while (reference_count > 0)
        free(reference[--reference_count]);
    return rig_teardown(state);
}

static bool worked(int rc)
{
    assert_true(rc == LEAT_OK || rc == LEAT_RETRY);
    return rc == LEAT_OK;
}

/* Every kind of record, until one cannot be made. True: all could. */
static bool feed(struct cdc_table *t)
{
    struct cdc_origin at = {.ts_us = 1700000000123456, .own = &rig_where};
    struct cdc_change c =
        rig_change(t, 'c', NULL, ROW("u1", "order", "17", "{\"a\":[1,{}]}", "t", "k", "h"), NULL);
    c.in_txn = true;
    c.at = at;
    if (!worked(cdc_begin(rig.cdc, &at)) || !worked(cdc_change(rig.cdc, &c)))
        return false;
    c = rig_change(t, 'u', ROW("u1", "order", "17", "x", "t", "k", "h"),
                   ROW("u2", "order", "17", "{\"b\":null}", "t", "k", "h"), NULL);
    c.in_txn = true;
    return worked(cdc_change(rig.cdc, &c)) && worked(cdc_message(rig.cdc, &at, true, "p", 1, RIG_CONTENT)) &&
           worked(cdc_end(rig.cdc, &at)) && worked(cdc_heartbeat(rig.cdc)) &&
           worked(cdc_notify(rig.cdc, "n", "STARTED", "Initial Snapshot", NULL));
}

/* A record as text in which nothing varies but digits of the present, which are cut away. */
static char *text_of(const struct rig_record *r)
{
    size_t n = strlen(r->topic) + (r->key ? strlen(r->key) : 4) + (r->value ? strlen(r->value) : 4) +
               strlen(r->headers) + 8,
           to = 0;
    char *text = malloc(n), *p = text;
    assert_non_null(text);
    snprintf(text, n, "%s %s %s %s", r->topic, r->key ? r->key : "null", r->value ? r->value : "null",
             r->headers);
    for (; *p; p++) {
        bool now = strncmp(p, "\"ts_", 4) == 0 || strncmp(p, "\"timestamp\":", 12) == 0;
        text[to++] = *p;
        if (now) {
            while (*p != ':' && p[1])
                text[to++] = *++p;
            while (p[1] >= '0' && p[1] <= '9')
                p++;
        }
    }
    text[to] = '\0';
    return text;
}

static void once(void *arg)
{
    const char *const columns[] = {
        "id:string!",    "aggregatetype:string!", "aggregateid:string!", "payload:string",
        "tenant:string", "kind:string",           "hidden:string",       NULL};
    bool *first = arg, all = false;
    rig_forget();
    rig.failed = 0;
    rig.cdc = cdc_new(&rig, &rig_host, &rig.config, &rig_dialect, "shop");
    struct cdc_table *t = rig.cdc ? rig_table_in("public", "o", 1, columns) : NULL;
    if (t) {
        all = feed(t);
        rig_flush();
    }
    assert_int_equal(rig.failed, all || (rig.cdc && !t) ? 0 : 1);
    for (size_t i = 0; i < rig.count; i++) {
        char *text = text_of(&rig.records[i]);
        if (*first) {
            assert_true(reference_count < 64);
            reference[reference_count++] = text;
            continue;
        }
        assert_true(i < reference_count);
        assert_string_equal(text, reference[i]);
        free(text);
    }
    if (all && !*first)
        assert_int_equal(rig.count, reference_count);
    cdc_table_free(t);
    cdc_free(rig.cdc);
    rig.cdc = NULL;
}

static void each_allocation(size_t records)
{
    bool first = true;
    once(&first);
    first = false;
    assert_int_equal(reference_count, records);
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, once, &first) > 60);
}

static void test_envelopes(void **state)
{
    (void)state;
    each_allocation(9);
}

static void test_unwrapped(void **state)
{
    (void)state;
    rig_set("transforms", "r,u");
    rig_set("transforms.r.type", "org.apache.kafka.connect.transforms.RegexRouter");
    rig_set("transforms.r.regex", "(.*)");
    rig_set("transforms.r.replacement", "r.$1");
    rig_set("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState");
    rig_set("transforms.u.delete.tombstone.handling.mode", "rewrite-with-tombstone");
    rig_set("transforms.u.add.fields", "op,source.lsn,after.tenant");
    rig_set("transforms.u.add.headers", "op,transaction.id");
    rig_set("transforms.u.route.by.field", "aggregatetype");
    each_allocation(9);
}

static void test_outbox(void **state)
{
    (void)state;
    rig_set("transforms", "o");
    rig_set("transforms.o.type", "io.debezium.transforms.outbox.EventRouter");
    rig_set("transforms.o.table.expand.json.payload", "true");
    rig_set("transforms.o.table.fields.additional.placement", "kind:envelope,tenant:header");
    each_allocation(7);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_envelopes),
        CASE(test_unwrapped),
        CASE(test_outbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
