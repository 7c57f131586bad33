/*
 * scrub: damage below the recovery point is found without anybody reading it, is told once a pass, and nothing is told of a
 * sound directory, whatever goes on beside; a pass that was interrupted goes on; deleted topics and stops end it at once.
 */
#include "tests/unit/broker/helper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/diag.h"
#include "base/io.h"

static void open_scrubbed(struct fixture *f, int64_t interval_ms, int64_t bytes_per_s)
{
    struct broker_options o = {.data_dir = f->dir,
                               .journal_file_bytes = 1 << 20,
                               .scrub_interval_ms = interval_ms,
                               .scrub_bytes_per_s = bytes_per_s};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
}

/* Asks until the condition holds; the limit is for hangs only. */
static struct scrub_status wait_until(struct fixture *f, bool (*holds)(const struct scrub_status *s))
{
    struct scrub_status s;
    int64_t limit = clock_mono_ms() + TESTKIT_LIMIT_MS;
    for (;;) {
        assert_ok(broker_scrub_status(f->b, &s, &f->e), &f->e);
        if (holds(&s))
            return s;
        scrub_status_free(&s);
        assert_true(clock_mono_ms() < limit);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static bool pass_ended(const struct scrub_status *s)
{
    return !s->running && s->finished_ms > 0;
}

static bool is_reading(const struct scrub_status *s)
{
    return s->running && s->bytes > 0;
}

static void flip(struct fixture *f, const char *name, long at)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int c = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 1, file), c ^ 1);
    assert_int_equal(fclose(file), 0);
}

static int setup_closed(void **state)
{
    setup(state);
    struct fixture *f = *state;
    diag_setup(DIAG_OFF, DIAG_TEXT);
    create(f, "a", 1);
    create(f, "b", 2);
    for (int i = 0; i < 4; i++)
        produce(f, "b", 1, "value", i, 1);
    produce(f, "a", 0, "value", 0, 1);
    fixture_close(f);
    return 0;
}

static int teardown_scrub(void **state)
{
    diag_setup(DIAG_INFO, DIAG_TEXT);
    return teardown(state);
}

static void damage_is_found_without_a_reader(void **state)
{
    struct fixture *f = *state;
    char path[600];
    flip(f, "logs/b-1/00000000000000000000.log", 70); /* in the first batch */
    snprintf(path, sizeof path, "%s/logs/b-1/00000000000000000000.log", f->dir);
    open_scrubbed(f, 3600000, 0);
    struct scrub_status s = wait_until(f, pass_ended);
    assert_true(s.on && s.bytes > 0);
    assert_int_equal(s.errors, 1);
    assert_int_equal(s.warnings, 0);
    assert_int_equal(s.finding_count, 1);
    assert_string_equal(s.findings[0].kind, "damaged-batch");
    assert_string_equal(s.findings[0].partition, "b-1");
    assert_string_equal(s.findings[0].path, path);
    assert_int_equal(s.findings[0].byte, 0);
    assert_int_equal(s.findings[0].offset, 0);
    assert_int_equal(s.findings[0].next_offset, 1);
    assert_non_null(strstr(s.findings[0].text, "CRC"));
    int64_t finished = s.finished_ms;
    scrub_status_free(&s);
    fixture_close(f);
    open_scrubbed(f, 3600000, 0); /* the next one is due in an hour */
    assert_ok(broker_scrub_status(f->b, &s, &f->e), &f->e);
    assert_int_equal(s.finished_ms, finished);
    assert_false(s.running);
    assert_int_equal(s.bytes, 0);
    scrub_status_free(&s);
}

/* Appends, rolls, deletion and new topics beside passes that follow each other without a rest. */
static void nothing_is_told_of_a_sound_store_at_work(void **state)
{
    struct fixture *f = *state;
    static const struct topic_config_entry config[] = {{"segment.bytes", "1048576"},
                                                       {"retention.bytes", "2000000"}};
    open_scrubbed(f, 1, 1 << 30);
    assert_ok(broker_create_topic(f->b, "busy", 1, config, 2, NULL, &f->e), &f->e);
    f->key_bytes = 60000;
    for (int i = 0; i < 80; i++) {
        produce(f, "busy", 0, "v", i, 3);
        if (i % 20 == 10) {
            create(f, "short", 1);
            produce(f, "short", 0, "x", 0, 1);
            assert_ok(broker_delete_topic(f->b, "short", &f->e), &f->e);
        }
    }
    struct scrub_status s = wait_until(f, pass_ended);
    for (size_t i = 0; i < s.finding_count; i++)
        fail_msg("%s: %s: %s", s.findings[i].kind, s.findings[i].path, s.findings[i].text);
    scrub_status_free(&s);
}

/* So slow that one partition takes an hour: a deletion and the stop must not wait for it. */
static void a_slow_pass_holds_nobody_and_goes_on_later(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    create(f, "big", 1);
    f->key_bytes = 60000;
    for (int i = 0; i < 60; i++)
        produce(f, "big", 0, "v", i, 1);
    f->key_bytes = 0;
    fixture_close(f);
    open_scrubbed(f, 3600000, 1024);
    struct scrub_status s = wait_until(f, is_reading);
    int64_t started = s.started_ms;
    assert_int_equal(s.finished_ms, 0);
    scrub_status_free(&s);
    int64_t before = clock_mono_ms();
    assert_ok(broker_delete_topic(f->b, "big", &f->e), &f->e);
    fixture_close(f);
    assert_true(clock_mono_ms() - before < TESTKIT_LIMIT_MS);
    open_scrubbed(f, 3600000, 0);
    s = wait_until(f, pass_ended);
    assert_int_equal(s.started_ms, started); /* the same pass */
    scrub_status_free(&s);
}

static void it_can_be_off(void **state)
{
    struct fixture *f = *state;
    struct scrub_status s;
    fixture_open(f);
    assert_ok(broker_scrub_status(f->b, &s, &f->e), &f->e);
    assert_false(s.on);
    scrub_status_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(damage_is_found_without_a_reader, setup_closed, teardown_scrub),
        cmocka_unit_test_setup_teardown(nothing_is_told_of_a_sound_store_at_work, setup_closed,
                                        teardown_scrub),
        cmocka_unit_test_setup_teardown(a_slow_pass_holds_nobody_and_goes_on_later, setup_closed,
                                        teardown_scrub),
        cmocka_unit_test_setup_teardown(it_can_be_off, setup_closed, teardown_scrub),
    };
    return cmocka_run_group_tests_name("scrub", tests, NULL, NULL);
}
