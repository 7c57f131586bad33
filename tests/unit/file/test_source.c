/*
 * The file source through its public functions: what is read, once, in which order, by how many.
 */
#include "tests/unit/file/source_rig.h"

static void lines_growing_and_new_files(void **state)
{
    (void)state;
    append(dir, "a.log", "one\ntwo\r\n\nfour");
    struct leat_task *t = start("*.log");
    fake_start(t);
    fake_settle(t);
    expect(t, "one", "two", ""); /* the last line is not ended */
    append(dir, "a.log", "teen\nfive\n");
    fake_until(t, 5);
    assert_record(t, 3, "fourteen");
    append(dir, "b.log", "new\n");
    append(dir, "c.txt", "not ours\n");
    fake_until(t, 6);
    fake_settle(t);
    expect(t, "one", "two", "", "fourteen", "five", "new");
    fake_free(t);
}

static void restart_goes_on_at_the_position(void **state)
{
    (void)state;
    append_lines(dir, "a.log", "line ", 0, 1000);
    struct leat_task *t = start("a.log");
    t->poll_bytes = 3000;
    fake_start(t);
    while (t->records.count < 1000) {
        assert_int_equal(fake_poll(t), LEAT_OK);
        assert_true(t->most_bytes <= 3000);
        fake_restart(t);
    }
    fake_settle(t);
    assert_int_equal(t->records.count, 1000);
    assert_lines(t, 0, 1000, "line ", 0);
    fake_free(t);
}

static void failed_poll_is_read_again(void **state)
{
    (void)state;
    append_lines(dir, "a.log", "line ", 0, 5000);
    struct leat_task *t = start("a.log");
    t->poll_bytes = 10000;
    fake_start(t);
    for (size_t n = 1; t->records.count < 5000; n = n % 3 + 1) {
        t->fail_emit = n;
        int result = LEAT_OK;
        for (int i = 0; i < 4 && result == LEAT_OK; i++)
            result = fake_poll(t);
        t->fail_emit = 0;
        fake_restart(t);
        assert_int_equal(fake_poll(t), LEAT_OK);
    }
    fake_settle(t);
    assert_int_equal(t->records.count, 5000);
    assert_lines(t, 0, 5000, "line ", 0);
    fake_free(t);
}

static void start_at_end(void **state)
{
    (void)state;
    append(dir, "a.log", "old\nolder\nhal");
    struct leat_task *t = start("*.log");
    fake_set(t, "start", "end");
    fake_start(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 0);
    append(dir, "a.log", "f\nnew\n");
    append(dir, "b.log", "from its beginning\n");
    fake_until(t, 3);
    assert_record(t, 0, "half");
    fake_close(t);
    append(dir, "c.log", "came while down\n");
    append(dir, "a.log", "last\n");
    fake_start(t);
    fake_until(t, 5);
    fake_settle(t);
    assert_int_equal(t->records.count, 5);
    fake_free(t);
}

/* However long the line is that is being written, it is read as a whole. */
static void start_at_end_before_a_long_line(void **state)
{
    (void)state;
    char *half = malloc(200001);
    assert_non_null(half);
    memset(half, 'x', 200000);
    half[200000] = '\0';
    append(dir, "a.log", "old\n");
    append(dir, "a.log", half);
    struct leat_task *t = start("*.log");
    fake_set(t, "start", "end");
    fake_start(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 0);
    append(dir, "a.log", "end\nnew\n");
    fake_until(t, 2);
    assert_int_equal(t->records.items[0].len, 200003);
    assert_record(t, 1, "new");
    fake_free(t);
    free(half);
}

static void start_at_end_of_nothing(void **state)
{
    (void)state;
    struct leat_task *t = start("sub.log");
    fake_set(t, "start", "end");
    fake_start(t);
    fake_settle(t);
    fake_close(t);
    append(dir, "sub.log", "first\n"); /* came after the first look */
    fake_start(t);
    fake_until(t, 1);
    fake_free(t);
}

/* A task that comes later than another one has not looked at its files because that one has at its own. */
static void start_at_end_of_several_tasks(void **state)
{
    (void)state;
    char name[32];
    struct leat_task *t[2];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "f%c.log", 'a' + i);
        append(dir, name, "old\n");
    }
    for (int i = 0; i < 2; i++) {
        t[i] = start("*.log");
        fake_set(t[i], "start", "end");
        t[i]->index = i;
        t[i]->count = 2;
    }
    fake_start(t[0]);
    fake_settle(t[0]);
    for (size_t k = 0; k < t[0]->positions.count; k++) /* each is given the positions of all */
        fake_put(&t[1]->positions, t[0]->positions.items[k].partition, t[0]->positions.items[k].offset);
    fake_start(t[1]);
    fake_settle(t[1]);
    assert_int_equal(t[0]->records.count + t[1]->records.count, 0);
    for (int i = 0; i < 2; i++)
        fake_close(t[i]);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "g%c.log", 'a' + i);
        append(dir, name, "came while down\n");
    }
    size_t sum = 0;
    for (int i = 0; i < 2; i++) {
        fake_start(t[i]);
        fake_settle(t[i]);
        sum += t[i]->records.count;
    }
    assert_int_equal(sum, 20);
    for (int i = 0; i < 2; i++)
        fake_free(t[i]);
}

static void few_open_files(void **state)
{
    (void)state;
    char name[32], text[64];
    struct leat_task *t = start("*.log");
    fake_set(t, "open.files.max", "3");
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "f%d.log", i);
        append_lines(dir, name, name, 0, 100);
    }
    t->poll_bytes = 2000;
    fake_start(t);
    fake_until(t, 5000);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "f%d.log", i);
        append_lines(dir, name, name, 100, 102);
    }
    fake_until(t, 5100);
    for (int i = 0; i < 50; i++) { /* in order for each file */
        int next = 0;
        for (size_t k = 0; k < t->records.count; k++) {
            snprintf(text, sizeof(text), "f%d.log%d", i, next);
            next += strcmp(t->records.items[k].value, text) == 0;
        }
        assert_int_equal(next, 102);
    }
    fake_free(t);
}

static void files_take_turns(void **state)
{
    (void)state;
    append_lines(dir, "big.log", "a longer line of the big file ", 0, 100000);
    append_lines(dir, "z.log", "small ", 0, 10);
    struct leat_task *t = start("*.log");
    t->poll_bytes = 1 << 20;
    fake_start(t);
    assert_int_equal(fake_poll(t), LEAT_OK);
    bool small = false;
    for (size_t i = 0; i < t->records.count; i++)
        small |= strncmp(t->records.items[i].value, "small", 5) == 0;
    assert_true(small);
    assert_true(t->records.count < 100000);
    fake_free(t);
}

static void tasks_share_files(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "f%c%c.log", 'a' + i % 26, 'a' + i / 26);
        append(dir, name, "line\n");
        snprintf(name, sizeof(name), "f%c%c.log.1", 'a' + i % 26, 'a' + i / 26);
        append(dir, name, "earlier\n");
    }
    struct leat_task *t[3];
    size_t sum = 0;
    for (int i = 0; i < 3; i++) {
        t[i] = start("f*");
        t[i]->index = i;
        t[i]->count = 3;
        fake_start(t[i]);
        fake_settle(t[i]);
        assert_true(t[i]->records.count > 0);
        assert_int_equal(t[i]->records.count % 2, 0); /* a file and its predecessor: one task */
        sum += t[i]->records.count;
    }
    assert_int_equal(sum, 80);
    /* Positions of all are handed to each after a change of their number. */
    for (int i = 1; i < 3; i++)
        for (size_t k = 0; k < t[i]->positions.count; k++)
            fake_put(&t[0]->positions, t[i]->positions.items[k].partition, t[i]->positions.items[k].offset);
    fake_close(t[0]);
    fake_clear(&t[0]->records);
    t[0]->count = 1;
    fake_start(t[0]);
    fake_settle(t[0]);
    assert_int_equal(t[0]->records.count, 0);
    for (int i = 0; i < 3; i++)
        fake_free(t[i]);
}

static void gauges_are_set(void **state)
{
    (void)state;
    append(dir, "x.log", "one\npartial");
    struct leat_task *t = start("*.log");
    fake_start(t);
    fake_until(t, 1);
    for (int64_t end = clock_mono_ms() + TESTKIT_LIMIT_MS; t->partial_bytes == 0 && clock_mono_ms() < end;)
        assert_int_equal(fake_poll(t), LEAT_OK);
    assert_true(t->files == 1);
    assert_true(t->partial_bytes == 7);
    assert_true(t->bytes_behind == 7);
    fake_free(t);
}

static void stop_is_heeded(void **state)
{
    (void)state;
    append_lines(dir, "x.log", "line ", 0, 1000);
    struct leat_task *t = start("*.log");
    fake_start(t);
    t->stopping = true;
    assert_int_equal(fake_poll(t), LEAT_OK);
    assert_int_equal(t->records.count, 0);
    fake_free(t);
}

static void wrong_settings(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *text;
    } wrong[] = {
        {"paths", "/var/log/", "does not name a file"},
        {"multiline.pattern", "([", "not a regular expression"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct leat_task *t = start("x.log");
        fake_set(t, wrong[i].name, wrong[i].value);
        assert_int_equal(fake_open(t), LEAT_FAIL);
        assert_non_null(strstr(t->fail_text, wrong[i].text));
        assert_int_equal(file_source_connector.validate(t, &fake_host, &t->config), LEAT_FAIL);
        fake_free(t);
    }
    struct leat_task *t = start("x.log");
    fake_set(t, "paths", ","); /* two empty ones */
    assert_int_equal(fake_open(t), LEAT_FAIL);
    fake_set(t, "paths", at(dir, "x.log"));
    assert_int_equal(file_source_connector.check(t, &fake_host, &t->config), LEAT_OK);
    fake_put(&t->positions, "{\"file\":\"1-2-3\"}", "{\"offset\":7,\"path\":\"/x\"}");
    assert_int_equal(fake_open(t), LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "stored position"));
    fake_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(lines_growing_and_new_files),
        T(restart_goes_on_at_the_position),
        T(failed_poll_is_read_again),
        T(start_at_end),
        T(start_at_end_before_a_long_line),
        T(start_at_end_of_nothing),
        T(start_at_end_of_several_tasks),
        T(few_open_files),
        T(files_take_turns),
        T(tasks_share_files),
        T(gauges_are_set),
        T(stop_is_heeded),
        T(wrong_settings),
    };
    return run_watching(tests);
}
