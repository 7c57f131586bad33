/*
 * Rows written by other threads: their events are those of cdc_change, in order, whole, by several threads at a time.
 */
#include <errno.h>
#include <pthread.h>

#include "tests/unit/kit/cdc_rig.h"

#define ROWS 3000 /* some batches */

static const struct cdc_origin at = {.ts_us = 1700000000123456, .snapshot = CDC_SNAPSHOT, .own = &rig_where};

static struct cdc_writer *writer(struct cdc_table *t)
{
    struct err e;
    struct cdc_writer *w = cdc_writer_new(rig.cdc, &e);
    assert_non_null(w);
    assert_true(cdc_writer_takes(t));
    cdc_writer_begin(w, t, &at);
    return w;
}

static struct cdc_events *events(void)
{
    struct err e;
    struct cdc_events *ev = cdc_events_new(&e);
    assert_non_null(ev);
    return ev;
}

static void add(struct cdc_writer *w, const char *const *row)
{
    struct err e;
    assert_int_equal(cdc_writer_add(w, rig_row(rig_cells[1], row), &e), ERR_OK);
}

/* The same row by cdc_change. */
static void change(struct cdc_table *t, const char *const *row)
{
    struct cdc_change ch = rig_change(t, 'r', NULL, row, NULL);
    ch.at = at;
    assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_OK);
}

/* The first records are the same as those that follow, but for the times. */
static void assert_twice(size_t n)
{
    rig_flush();
    assert_int_equal(rig.count, 2 * n);
    for (size_t i = 0; i < n; i++) {
        struct rig_record *a = &rig.records[i], *b = &rig.records[n + i];
        rig_hide_time(a->value);
        rig_hide_time(b->value);
        assert_string_equal(a->topic, b->topic);
        assert_string_equal(a->key, b->key);
        assert_string_equal(a->value, b->value);
        assert_string_equal(a->headers, b->headers);
    }
}

static void both_ways(void)
{
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string", "b:string");
    const char *const *rows[] = {ROW("1", "x\"y", NULL), ROW("2", NULL, "zz"),
                                 ROW("3", RIG_ABSENT, "\xc3\xa4")};
    struct cdc_writer *w = writer(t);
    struct cdc_events *ev = events();
    for (size_t i = 0; i < 3; i++)
        add(w, rows[i]);
    cdc_writer_exchange(w, ev);
    assert_int_equal(rig.count, 0);
    assert_int_equal(cdc_events_emit(rig.cdc, ev), LEAT_OK);
    assert_int_equal(rig.count, 3);
    for (size_t i = 0; i < 3; i++)
        change(t, rows[i]);
    assert_twice(3);
    cdc_events_free(ev);
    cdc_writer_free(w);
    cdc_table_free(t);
}

static void test_envelopes(void **state)
{
    (void)state;
    rig_open();
    both_ways();
}

static void test_envelopes_with_schemas(void **state)
{
    (void)state;
    rig.key_schemas = rig.value_schemas = true;
    rig_set("column.mask.hash.SHA-256.with.salt.s", "public.t.b");
    rig_open();
    both_ways();
}

static void test_unwrapped(void **state)
{
    (void)state;
    rig_set("transforms", "u");
    rig_set("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState");
    rig_set("transforms.u.add.fields", "op,source.snapshot");
    rig_set("transforms.u.add.headers", "source.lsn,op");
    rig_open();
    both_ways();
}

static void test_what_depends_on_a_value_is_not_taken(void **state)
{
    (void)state;
    rig_set("transforms", "u,o");
    rig_set("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState");
    rig_set("transforms.u.route.by.field", "a");
    rig_set("transforms.u.predicate", "t");
    rig_set("transforms.o.type", "io.debezium.transforms.outbox.EventRouter");
    rig_set("transforms.o.predicate", "o");
    rig_set("predicates", "t,o");
    rig_set("predicates.t.type", "org.apache.kafka.connect.transforms.predicates.TopicNameMatches");
    rig_set("predicates.t.pattern", "px.public.t");
    rig_set("predicates.o.type", "org.apache.kafka.connect.transforms.predicates.TopicNameMatches");
    rig_set("predicates.o.pattern", "px.public.o");
    rig_open();
    struct cdc_table *routed = rig_table("t", 1, "id:int32!", "a:string");
    struct cdc_table *outbox =
        rig_table("o", 1, "id:string!", "aggregatetype:string!", "aggregateid:string!", "payload:string");
    struct cdc_table *other = rig_table("x", 1, "id:int32!");
    assert_false(cdc_writer_takes(routed));
    assert_false(cdc_writer_takes(outbox));
    assert_true(cdc_writer_takes(other));
    cdc_table_free(routed);
    cdc_table_free(outbox);
    cdc_table_free(other);
}

static void bad_value(int code, int warnings)
{
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "n:int32");
    struct cdc_writer *w = writer(t);
    struct cdc_events *ev = events();
    struct err e;
    add(w, ROW("1", "1"));
    assert_int_equal(cdc_writer_add(w, rig_row(rig_cells[1], ROW("2", "bad")), &e), code);
    if (code != ERR_OK)
        assert_string_equal(e.text,
                            "public.t, op r at \"[null,\\\"100\\\"]\": column n: \"bad\" is no number");
    add(w, ROW("3", "3"));
    cdc_writer_exchange(w, ev);
    assert_int_equal(cdc_events_emit(rig.cdc, ev), LEAT_OK);
    assert_int_equal(rig.count, 2); /* whole ones */
    assert_string_equal(rig.records[1].key, "{\"id\":3}");
    assert_int_equal(rig.warnings, warnings);
    assert_int_equal(rig.failed, 0); /* that is for the task's thread to say */
    cdc_events_free(ev);
    cdc_writer_free(w);
    cdc_table_free(t);
}

static void test_a_bad_value(void **state)
{
    (void)state;
    bad_value(ERR_INVALID_RECORD, 0);
}

static void test_a_bad_value_is_left_out_if_told_so(void **state)
{
    (void)state;
    rig_set("event.processing.failure.handling.mode", "warn");
    bad_value(ERR_OK, 1);
}

static int64_t time_of(const char *value)
{
    int64_t ns;
    const char *p = strstr(value, "\"op\":\"r\"");
    assert_non_null(p);
    p = strstr(p, "\"ts_ns\":");
    assert_non_null(p);
    rig_digits(p, "\"ts_ns\":", &ns);
    return ns;
}

static void test_the_time_is_read_again_after_a_wait(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!");
    struct cdc_writer *w = writer(t);
    struct cdc_events *ev = events();
    add(w, ROW("1"));
    struct timespec before, now;
    clock_gettime(CLOCK_REALTIME, &before);
    do
        clock_gettime(CLOCK_REALTIME, &now);
    while (now.tv_nsec == before.tv_nsec);
    cdc_writer_waited(w);
    add(w, ROW("2"));
    for (int i = 0; i < 1000; i++) /* nor is it of the same moment for ever */
        add(w, ROW("3"));
    cdc_writer_exchange(w, ev);
    assert_int_equal(cdc_events_emit(rig.cdc, ev), LEAT_OK);
    int64_t first = time_of(rig.records[0].value), second = time_of(rig.records[1].value);
    assert_true(second > first);
    assert_true(second >= now.tv_sec * INT64_C(1000000000) + now.tv_nsec);
    assert_true(time_of(rig.records[1001].value) > second);
    cdc_events_free(ev);
    cdc_writer_free(w);
    cdc_table_free(t);
}

/* ---- threads ---------------------------------------------------------------------------------------------------------- */

struct hand {
    struct cdc_writer *w;
    struct cdc_events *full[ROWS];
    size_t count;
    char mark;
};

static void *write_rows(void *arg)
{
    struct hand *h = arg;
    struct err e;
    for (int i = 0; i < ROWS; i++) {
        char id[16], text[64];
        int n = snprintf(id, sizeof id, "%d", i), m = snprintf(text, sizeof text, "%c\"%d", h->mark, i);
        const struct cdc_cell row[] = {{id, (size_t)n, CDC_VALUE}, {text, (size_t)m, CDC_VALUE}};
        if (cdc_writer_add(h->w, row, &e) != ERR_OK)
            return h; /* failed */
        if (cdc_writer_full(h->w) || i == ROWS - 1) {
            if (!(h->full[h->count] = cdc_events_new(&e)))
                return h;
            cdc_writer_exchange(h->w, h->full[h->count++]);
        }
    }
    return NULL;
}

static void test_several_threads_and_one_table(void **state)
{
    (void)state;
    rig_set("column.mask.hash.SHA-256.with.salt.s", "public.t.a");
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string");
    static struct hand hands[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        hands[i] = (struct hand){.w = writer(t), .mark = (char)('a' + i)};
        assert_int_equal(pthread_create(&threads[i], NULL, write_rows, &hands[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        void *why;
        assert_int_equal(pthread_join(threads[i], &why), 0);
        assert_null(why);
    }
    change(t, ROW("-1", "x")); /* what the capture has goes first */
    for (int i = 0; i < 3; i++) {
        assert_true(hands[i].count > 1);
        for (size_t k = 0; k < hands[i].count; k++) {
            assert_true(cdc_events_memory(hands[i].full[k]) >= 256 << 10);
            assert_int_equal(cdc_events_emit(rig.cdc, hands[i].full[k]), LEAT_OK);
            cdc_events_free(hands[i].full[k]);
        }
        cdc_writer_free(hands[i].w);
    }
    assert_int_equal(rig.count, 1 + 3 * ROWS);
    assert_string_equal(rig.records[0].key, "{\"id\":-1}");
    size_t bytes = strlen(rig.records[0].key) + strlen(rig.records[0].value);
    for (int i = 0; i < 3 * ROWS; i++) {
        char key[32];
        snprintf(key, sizeof key, "{\"id\":%d}", i % ROWS);
        assert_string_equal(rig.records[1 + i].key, key);
        bytes += strlen(key) + strlen(rig.records[1 + i].value);
    }
    assert_int_equal(cdc_take_emitted(rig.cdc), bytes);
    cdc_table_free(t);
}

static void test_what_emit_answers_is_passed_on(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!");
    struct cdc_writer *w = writer(t);
    struct cdc_events *ev = events();
    add(w, ROW("1"));
    cdc_writer_exchange(w, ev);
    rig.fail_emit = LEAT_RETRY;
    assert_int_equal(cdc_events_emit(rig.cdc, ev), LEAT_RETRY);
    cdc_events_free(ev);
    cdc_writer_free(w);
    cdc_table_free(t);
}

/* ---- memory that runs out --------------------------------------------------------------------------------------------- */

static void once(void *arg)
{
    struct cdc_table *t = arg;
    struct err e;
    struct cdc_writer *w = cdc_writer_new(rig.cdc, &e);
    struct cdc_events *ev = w ? cdc_events_new(&e) : NULL;
    rig_forget();
    if (ev) {
        cdc_writer_begin(w, t, &at);
        int rc = cdc_writer_add(w, rig_row(rig_cells[1], ROW("1", "x")), &e);
        cdc_writer_exchange(w, ev);
        assert_int_equal(cdc_events_emit(rig.cdc, ev), LEAT_OK);
        assert_int_equal(rig.count, rc == ERR_OK);
    }
    if (!ev || rig.count == 0)
        assert_int_equal(e.code, ERR_NO_MEMORY);
    cdc_events_free(ev);
    cdc_writer_free(w);
}

static void test_memory_that_runs_out(void **state)
{
    (void)state;
    rig_set("column.mask.hash.SHA-256.with.salt.s", "public.t.a");
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string");
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, once, t) > 8);
    cdc_table_free(t);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_envelopes),
        CASE(test_envelopes_with_schemas),
        CASE(test_unwrapped),
        CASE(test_what_depends_on_a_value_is_not_taken),
        CASE(test_a_bad_value),
        CASE(test_a_bad_value_is_left_out_if_told_so),
        CASE(test_the_time_is_read_again_after_a_wait),
        CASE(test_several_threads_and_one_table),
        CASE(test_what_emit_answers_is_passed_on),
        CASE(test_memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
