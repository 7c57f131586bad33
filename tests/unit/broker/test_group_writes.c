/*
 * Groups' own records: written in order by whoever must not wait, found again after a stop and after a kill; what they say to the expiry
 * of offsets.
 */
#include "tests/unit/broker/helper.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/thread.h"
#include "broker/records.h"

#define DAY_MS ((int64_t)86400000)

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t change;
    int done, failed;
};

static struct waiting waiting;
static int64_t shifted, mono;

static void written(void *arg, const struct err *e)
{
    struct waiting *w = arg;
    pthread_mutex_lock(&w->lock);
    w->done++;
    w->failed += e->code != ERR_OK;
    pthread_cond_signal(&w->change);
    pthread_mutex_unlock(&w->lock);
}

static void wait_for(int n)
{
    pthread_mutex_lock(&waiting.lock);
    while (waiting.done < n)
        pthread_cond_wait(&waiting.change, &waiting.lock);
    waiting.done = 0;
    pthread_mutex_unlock(&waiting.lock);
}

static void reopen(struct fixture *f)
{
    struct broker_options o = {.data_dir = f->dir,
                               .journal_file_bytes = 1 << 20,
                               .offsets_retention_ms = DAY_MS,
                               .offsets_check_ms = 1,
                               .offsets_partitions = 3};
    if (f->b)
        fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
}

static int begin(void **state)
{
    mutex_init(&waiting.lock);
    cond_init(&waiting.change);
    waiting.done = waiting.failed = 0;
    shifted = mono = 0;
    setup(state);
    reopen(*state);
    create(*state, "t", 2);
    return 0;
}

static void put(struct fixture *f, const char *group, const char *key, size_t key_len, const char *value,
                size_t n)
{
    struct group_record r = {key, key_len, value, n};
    assert_ok(broker_write_group(f->b, group, &r, 1, written, &waiting, &f->e), &f->e);
}

#define KEY(version, name) "\0" version name, sizeof("\0" version name) - 1
#define VALUE(text) text, sizeof(text) - 1

struct seen {
    char keys[64][16];
    char values[64][80];
    size_t lengths[64];
    int n;
};

static int see(void *to, const struct group_record *r, struct err *e)
{
    struct seen *s = to;
    (void)e;
    assert_true(r->key_len < 16 && r->value_len <= 80);
    memcpy(s->keys[s->n], r->key, r->key_len);
    memcpy(s->values[s->n], r->value, r->value_len);
    s->lengths[s->n++] = r->value_len;
    return ERR_OK;
}

static struct seen take(struct fixture *f)
{
    struct seen s = {.n = 0};
    assert_ok(broker_take_group_records(f->b, see, &s, &f->e), &f->e);
    return s;
}

static void commit(struct fixture *f, const char *group, int64_t offset)
{
    struct group_offset o = {.topic = "t", .offset = offset, .leader_epoch = -1};
    assert_ok(broker_commit_offsets(f->b, group, &o, 1, &f->e), &f->e);
}

static void test_what_was_written_is_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(take(f).n, 0);
    put(f, "g", KEY("\5", "one"), VALUE("first"));
    commit(f, "g", 7); /* beside them */
    put(f, "g", KEY("\3", "two"), VALUE("second"));
    put(f, "g", KEY("\5", "one"), VALUE("third"));
    put(f, "g", KEY("\7", "gone"), VALUE("fourth"));
    put(f, "g", KEY("\7", "gone"), NULL, 0);
    struct group_record both[] = {{KEY("\6", "a"), VALUE("fifth")}, {KEY("\6", "b"), VALUE("")}};
    assert_ok(broker_write_group(f->b, "g", both, 2, written, &waiting, &f->e), &f->e);
    wait_for(6);
    assert_int_equal(waiting.failed, 0);
    for (int round = 0; round < 2; round++) {
        reopen(f);
        struct seen s = take(f);
        assert_int_equal(s.n, 4); /* in the order in which they were written */
        assert_memory_equal(s.values[0], "second", 6);
        assert_memory_equal(s.keys[1], "\0\5one", 5);
        assert_memory_equal(s.values[1], "third", 5);
        assert_memory_equal(s.values[2], "fifth", 5);
        assert_memory_equal(s.keys[3], "\0\6b", 3);
        assert_int_equal(s.lengths[3], 0);
        assert_int_equal(take(f).n, 0); /* once */
    }
    assert_true(broker_group_has_offsets(f->b, "g"));
    assert_false(broker_group_has_offsets(f->b, "h"));
}

static void test_many(void **state)
{
    struct fixture *f = *state;
    char group[16], value[16];
    for (int i = 0; i < 300; i++) {
        snprintf(group, sizeof group, "g%d", i % 30);
        snprintf(value, sizeof value, "%d", i);
        char key[24] = "\0\5";
        snprintf(key + 2, 20, "%s", group);
        put(f, group, key, 2 + strlen(group), value, strlen(value));
    }
    wait_for(300);
    reopen(f);
    struct seen s = take(f);
    assert_int_equal(s.n, 30);
    for (int i = 0; i < 30; i++) /* of each group the last one */
        assert_int_equal(atoi(s.values[i]), 270 + atoi(s.keys[i] + 3));
}

static void test_refusals(void **state)
{
    struct fixture *f = *state;
    char key[64];
    struct buf out;
    buf_init(&out, 100);
    assert_ok(group_key_offset(&out, text_of("g"), text_of("t"), 0, &f->e), &f->e);
    memcpy(key, out.data, out.len);
    put(f, "g", key, out.len, VALUE("not by this way"));
    put(f, "g", "", 0, VALUE("no key"));
    buf_free(&out);
    wait_for(2);
    assert_int_equal(waiting.failed, 2);
    assert_false(broker_group_has_offsets(f->b, "g"));
}

/* ---- expiry by what the members' side says --------------------------------------------------------------------------- */

static struct group_usage said;

static void say(void *arg, const char *group, struct group_usage *out)
{
    struct err e;
    assert_null(arg);
    assert_string_equal(group, "g");
    out->use = said.use;
    out->since_ms = said.since_ms;
    if (said.use == GROUP_USE_TOPICS)
        assert_int_equal(map_put(out->topics, "t", 1, out->topics, &e), 0);
}

static void commit_to(struct fixture *f, const char *topic)
{
    struct group_offset o = {.topic = topic, .offset = 5, .leader_epoch = -1};
    assert_ok(broker_commit_offsets(f->b, "g", &o, 1, &f->e), &f->e);
}

static int64_t fetch(struct fixture *f, const char *topic)
{
    int64_t offset = -2;
    assert_ok(broker_fetch_offset(f->b, "g", topic, 0, &offset, &f->e), &f->e);
    return offset;
}

static void pass(struct fixture *f, int64_t ms)
{
    shifted += ms;
    clock_shift_wall(shifted);
    mono += 10;
    broker_step(f->b, clock_mono_ms() + mono);
}

/* In steps that are believed. */
static void pass_days(struct fixture *f, int64_t ms)
{
    for (int64_t step = 400000; ms > 0; ms -= step)
        pass(f, ms < step ? ms : step);
}

static void reopen_stepped(struct fixture *f)
{
    struct broker_options o = {.data_dir = f->dir,
                               .journal_file_bytes = 1 << 20,
                               .no_threads = true,
                               .offsets_retention_ms = 300000,
                               .offsets_check_ms = 1,
                               .offsets_partitions = 1};
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    broker_step(f->b, clock_mono_ms());
}

static void test_members_say_what_expires(void **state)
{
    struct fixture *f = *state;
    reopen_stepped(f);
    create(f, "u", 1);
    broker_watch_groups(f->b, say, NULL);
    commit_to(f, "t");
    commit_to(f, "u");
    said = (struct group_usage){.use = GROUP_USE_ALL};
    pass_days(f, 600000);
    assert_int_equal(fetch(f, "u"), 5);
    said.use = GROUP_USE_TOPICS; /* which is no longer subscribed to u */
    pass_days(f, 10);
    assert_int_equal(fetch(f, "t"), 5);
    assert_int_equal(fetch(f, "u"), -1);
    said = (struct group_usage){.use = GROUP_USE_EMPTY, .since_ms = clock_wall_ms()};
    pass_days(f, 200000);
    assert_int_equal(fetch(f, "t"), 5);
    pass_days(f, 200000);
    assert_int_equal(fetch(f, "t"), -1);
    commit_to(f, "t");
    pass_days(f, 10);
    assert_int_equal(fetch(f, "t"), 5);
    broker_watch_groups(f->b, NULL, NULL);
    pass_days(f, 400000);
    assert_int_equal(fetch(f, "t"), -1);
    clock_shift_wall(0);
}

/* A group that members left, and that a pipeline uses now: its generation stays in the record. */
static void test_the_generation_stays(void **state)
{
    struct fixture *f = *state;
    static const char value[] = "\0\3\0\10consumer\0\0\0\7\xff\xff\xff\xff\0\0\1\0\0\0\0\0\0\0\0\0";
    put(f, "g", KEY("\2", "\0\1g"), VALUE(value));
    commit_to(f, "t");
    wait_for(1);
    reopen_stepped(f);
    assert_ok(broker_group_hold(f->b, "g", &f->e), &f->e);
    pass(f, 10);
    broker_group_release(f->b, "g");
    reopen_stepped(f);
    struct seen s = take(f);
    assert_int_equal(s.n, 1);
    struct group_value v;
    assert_ok(group_value_decode(s.values[0], s.lengths[0], &v, &f->e), &f->e);
    assert_int_equal(v.generation, 7);
    assert_int_equal(v.state_ms, -1); /* in use */
    assert_int_equal(v.protocol_type.n, 8);
    clock_shift_wall(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_written_is_found, begin, teardown),
        cmocka_unit_test_setup_teardown(test_many, begin, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, begin, teardown),
        cmocka_unit_test_setup_teardown(test_members_say_what_expires, begin, teardown),
        cmocka_unit_test_setup_teardown(test_the_generation_stays, begin, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
