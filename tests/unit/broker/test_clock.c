/*
 * A wall clock that jumps: what retention goes by, and a broker whose clock is set forward and back.
 */
#include "tests/unit/broker/helper.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/diag.h"
#include "broker/retention_clock.h"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)

static void test_what_is_believed(void **state)
{
    (void)state;
    static const struct {
        int64_t boot, wall, now;
        bool told;
    } steps[] = {
        {1000, 50 * DAY, 50 * DAY, false},
        {1000 + HOUR, 50 * DAY + HOUR, 50 * DAY + HOUR, false}, /* time goes by */
        {2 * HOUR, 50 * DAY + 2 * HOUR + 500000, 50 * DAY + 2 * HOUR + 500000,
         false},                                                  /* set right a little */
        {3 * HOUR, 60 * DAY, 50 * DAY + 3 * HOUR + 500000, true}, /* a jump */
        {3 * HOUR + 1, 60 * DAY + 1, 50 * DAY + 3 * HOUR + 500001, false},
        {3 * HOUR + 2, 50 * DAY + 3 * HOUR, 50 * DAY + 3 * HOUR, false}, /* and back */
        {4 * HOUR, 60 * DAY, 50 * DAY + 4 * HOUR - 2, true},             /* again */
        {5 * HOUR - 1, 60 * DAY + HOUR - 1, 50 * DAY + 5 * HOUR - 3, false},
        {5 * HOUR, 60 * DAY + HOUR, 60 * DAY + HOUR, false}, /* after an hour it is so */
        {6 * HOUR, DAY, DAY, false},                         /* back: at once */
        {7 * HOUR, DAY + HOUR, DAY + HOUR, false},
    };
    struct retention_clock c = {0};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int64_t jumped, now = retention_clock_now(&c, steps[i].wall, steps[i].boot, &jumped);
        if (now != steps[i].now || (jumped > 0) != steps[i].told)
            fail_msg("step %zu: %lld, told of %lld", i, (long long)now, (long long)jumped);
    }
}

/* What a start finds: when something was written last before it. */
static void test_what_a_start_believes(void **state)
{
    (void)state;
    static const struct {
        int64_t written, now, an_hour_later;
    } starts[] = {
        {0, 50 * DAY, 50 * DAY + HOUR},                /* a new directory */
        {50 * DAY - 1000, 50 * DAY, 50 * DAY + HOUR},  /* a restart */
        {49 * DAY, 50 * DAY, 50 * DAY + HOUR},         /* a day later */
        {49 * DAY - 1, 49 * DAY - 1, 50 * DAY + HOUR}, /* more: held for an hour */
        {DAY, DAY, 50 * DAY + HOUR},
        {60 * DAY, 50 * DAY, 50 * DAY + HOUR}, /* the clock was ahead then, or is behind now: things stay */
    };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct retention_clock c = {0};
        int64_t jumped;
        retention_clock_start(&c, starts[i].written, 50 * DAY, 7000);
        assert_int_equal(retention_clock_now(&c, 50 * DAY, 7000, &jumped), starts[i].now);
        assert_int_equal(jumped > 0, starts[i].now < 50 * DAY);
        int64_t held = retention_clock_now(&c, 50 * DAY + HOUR - 1, 7000 + HOUR - 1, &jumped);
        assert_int_equal(held, starts[i].now + HOUR - 1);
        assert_int_equal(retention_clock_now(&c, 50 * DAY + HOUR, 7000 + HOUR, &jumped),
                         starts[i].an_hour_later);
    }
}

static int64_t start_of(struct fixture *f)
{
    int64_t offset, ts;
    assert_ok(broker_list_offset(f->b, "t", 0, -2, READ_COMMITTED, &offset, &ts, &f->e), &f->e);
    return offset;
}

static void reopen(struct fixture *f)
{
    struct broker_options o = {.data_dir = f->dir, .journal_file_bytes = 1 << 20, .no_threads = true};
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
}

/* Stopped, and started when the checkpoints seem to have been written just now. */
static void reopen_soon(struct fixture *f)
{
    char *path = mem_printf("%s/logs/recovery-point-offset-checkpoint", f->dir);
    int64_t now = clock_wall_ms();
    struct timespec t = {.tv_sec = now / 1000}, times[2] = {t, t};
    struct broker_options o = {.data_dir = f->dir, .journal_file_bytes = 1 << 20, .no_threads = true};
    fixture_close(f);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    mem_free(path);
}

/*
 * Set a year ahead and back between two looks of retention: nothing is gone. From a start on it is the time that counts, but
 * not at once where nothing seems to have been written for long.
 */
static void test_broker(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config[] = {{"retention.ms", "86400000"},
                                          {"message.timestamp.type", "LogAppendTime"}};
    assert_ok(broker_create_topic(f->b, "t", 1, config, 2, NULL, &f->e), &f->e);
    reopen(f);
    produce(f, "t", 0, "v", 0, 3);
    int64_t later = clock_mono_ms() + HOUR;
    broker_step(f->b, later);
    assert_int_equal(start_of(f), 0);
    clock_shift_wall(365 * DAY);
    broker_step(f->b, later += HOUR);
    assert_int_equal(start_of(f), 0);
    produce(f, "t", 0, "v", 3, 3); /* with the wrong time */
    clock_shift_wall(0);
    broker_step(f->b, later += HOUR);
    assert_int_equal(start_of(f), 0);
    produce(f, "t", 0, "v", 6, 3);
    expect_all(f, "t", 0, READ_COMMITTED, "v0,v1,v2,v3,v4,v5,v6,v7,v8");
    int64_t offset, ts;
    assert_ok(broker_list_offset(f->b, "t", 0, clock_wall_ms() + DAY, READ_COMMITTED, &offset, &ts, &f->e),
              &f->e);
    assert_int_equal(offset, 3);
    clock_shift_wall(2 * DAY);
    reopen(f);
    broker_step(f->b, later += HOUR);
    assert_int_equal(start_of(f), 0);
    reopen_soon(f);
    broker_step(f->b, later += HOUR);
    /* What has a timestamp from the future holds the rest, as in Kafka. */
    assert_int_equal(start_of(f), 3);
    clock_shift_wall(0);
}

/* Producers are remembered over a jump, so that a batch sent again is known. */
static void test_producers(void **state)
{
    struct fixture *f = *state;
    int64_t id;
    int16_t epoch;
    create(f, "t", 1);
    reopen(f);
    assert_ok(broker_init_producer(f->b, NULL, 60000, &id, &epoch, &f->e), &f->e);
    int64_t later = clock_mono_ms();
    for (int i = 0; i < 3; i++) {
        struct produce_request r =
            make_request(f, "t", 0, "v", 0, 1, (struct batch_producer){id, epoch, 0, false});
        assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
        assert_int_equal(r.appended.duplicate, i > 0);
        clock_shift_wall(i == 0 ? 30 * DAY : -30 * DAY);
        broker_step(f->b, later += HOUR);
    }
    clock_shift_wall(0);
    expect_all(f, "t", 0, READ_COMMITTED, "v0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_believed),
        cmocka_unit_test(test_what_a_start_believes),
        cmocka_unit_test_setup_teardown(test_broker, setup, teardown),
        cmocka_unit_test_setup_teardown(test_producers, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
