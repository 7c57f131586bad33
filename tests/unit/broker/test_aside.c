/*
 * A log that cannot be flushed keeps nobody else's journal: what there is of it is set aside, the rest is given back, and
 * after a loss of power that leaves nothing unsynced all is there. When nothing of it is needed any more it goes.
 */
#include "tests/unit/broker/helper.h"
#include "tests/lib/power.h"

#include "base/diag.h"
#include "base/fault.h"
#include "base/io.h"
#include "broker/store.h"
#include "broker/fsck.h"

/* ---- lives ------------------------------------------------------------------------------------------------------- */

static struct power power;

static int try_open_stepped(struct fixture *f)
{
    struct broker_options o = {.data_dir = f->dir, .journal_file_bytes = 1 << 20, .no_threads = true};
    return broker_open(&f->b, &o, &f->e);
}

static void open_stepped(struct fixture *f)
{
    assert_ok(try_open_stepped(f), &f->e);
}

static void begin(struct fixture *f)
{
    power_start(&power, f->dir, 1, NULL, NULL);
    open_stepped(f);
}

/* The process ends and nothing stays but what was synced. */
static void lose_power(struct fixture *f)
{
    char image[512];
    struct err ignored;
    snprintf(image, sizeof image, "%s.image", f->dir);
    power_image(&power, power.root, image, 0);
    power_stop(&power);
    broker_close(f->b, &ignored);
    f->b = NULL;
    fault_disarm();
    assert_ok(io_remove_tree(f->dir, &f->e), &f->e);
    assert_ok(io_rename(image, f->dir, &f->e), &f->e);
}

static int setup_two_topics(void **state)
{
    int rc = setup(state);
    create(*state, "good", 1);
    create(*state, "bad", 2);
    fixture_close(*state);
    return rc;
}

static int teardown_disarmed(void **state)
{
    fault_disarm();
    return teardown(state);
}

/* More than two files of the journal. */
static void write_much(struct fixture *f)
{
    f->key_bytes = 60000;
    for (int i = 0; i < 16; i++)
        produce(f, "good", 0, "v", 3 * i, 3);
    f->key_bytes = 0;
}

static struct journal *journal_of(struct fixture *f)
{
    return f->b->disks[0]->journal;
}

static void step(struct fixture *f)
{
    static int64_t later = 0;
    broker_step(f->b, clock_mono_ms() + (later += 600000));
}

/* What waits is given back. */
static void release(struct fixture *f)
{
    write_much(f);
    assert_true(journal_sealed_bytes(journal_of(f)) > 0);
    step(f);
    assert_int_equal(journal_sealed_bytes(journal_of(f)), 0);
}

struct names {
    int n;
    char last[64];
};

static int see_name(void *arg, const char *name, struct err *e)
{
    struct names *s = arg;
    (void)e;
    if (!strstr(name, ".aside"))
        return ERR_OK;
    s->n++;
    snprintf(s->last, sizeof s->last, "%s", name);
    return ERR_OK;
}

/* How many files there are, and the name of one. */
static struct names asides(struct fixture *f)
{
    char path[512];
    struct names s = {0};
    snprintf(path, sizeof path, "%s/journal", f->dir);
    assert_ok(io_list(path, see_name, &s, &f->e), &f->e);
    return s;
}

/* b0, b1 and b2 stand in different files of the journal. */
static void write_bad(struct fixture *f)
{
    for (int i = 0; i < 3; i++) {
        produce(f, "bad", 0, "b", i, 1);
        write_much(f);
    }
}

static void fail_syncs_of_bad(void)
{
    fault_arm_at(FAULT_SYNC, "/bad-0/", 1, EIO, true);
}

/* ---- tests --------------------------------------------------------------------------------------------------------- */

static void test_a_failed_log_is_set_aside(void **state)
{
    struct fixture *f = *state;
    begin(f);
    write_bad(f);
    produce(f, "bad", 1, "c", 0, 1);
    fail_syncs_of_bad();
    for (int i = 0; i < 4; i++)
        release(f);
    assert_int_equal(asides(f).n, 1); /* it has all since the first time */
    expect_all(f, "bad", 0, READ_COMMITTED, "b0,b1,b2");
    lose_power(f);

    begin(f);
    expect_all(f, "bad", 0, READ_COMMITTED, "b0,b1,b2");
    expect_all(f, "bad", 1, READ_COMMITTED, "c0");
    produce(f, "bad", 0, "b", 3, 1);
    release(f);
    assert_int_equal(asides(f).n, 0);
    lose_power(f);
    open_stepped(f);
    expect_all(f, "bad", 0, READ_COMMITTED, "b0,b1,b2,b3");
}

/* It fails in each of three lives, has more each time, and power is lost each time. */
static void test_it_fails_again(void **state)
{
    struct fixture *f = *state;
    begin(f);
    write_bad(f);
    for (int life = 0; life < 3; life++) {
        fail_syncs_of_bad();
        release(f);
        assert_int_equal(asides(f).n, life + 1);
        release(f);
        assert_int_equal(asides(f).n, life + 1);
        lose_power(f);
        begin(f);
        produce(f, "bad", 0, "b", 3 + life, 1);
    }
    expect_all(f, "bad", 0, READ_COMMITTED, "b0,b1,b2,b3,b4,b5");
    step(f);
    assert_int_equal(asides(f).n, 0);
    lose_power(f);
    open_stepped(f);
    expect_all(f, "bad", 0, READ_COMMITTED, "b0,b1,b2,b3,b4,b5");
}

/* One that cannot be opened after a start may have its data in the journal only, too. */
static void test_one_that_cannot_be_opened(void **state)
{
    struct fixture *f = *state;
    begin(f);
    write_bad(f);
    lose_power(f);
    power_start(&power, f->dir, 1, NULL, NULL);
    fault_arm_at(FAULT_READ, "/bad-0/", 1, EIO, true); /* it is put back, and not opened */
    open_stepped(f);
    release(f);
    release(f);
    assert_int_equal(asides(f).n, 1);
    lose_power(f);
    begin(f);
    expect_all(f, "bad", 0, READ_COMMITTED, "b0,b1,b2");
    release(f);
    assert_int_equal(asides(f).n, 0);
    lose_power(f);
    open_stepped(f);
}

static void test_its_topic_is_deleted(void **state)
{
    struct fixture *f = *state;
    begin(f);
    write_bad(f);
    fail_syncs_of_bad();
    release(f);
    assert_int_equal(asides(f).n, 1);
    assert_ok(broker_delete_topic(f->b, "bad", &f->e), &f->e);
    fault_disarm();
    create(f, "bad", 2);
    produce(f, "bad", 0, "new", 0, 1);
    lose_power(f); /* before it was removed: nothing of it comes into the new topic */
    begin(f);
    expect_all(f, "bad", 0, READ_COMMITTED, "new0");
    release(f);
    assert_int_equal(asides(f).n, 0);
    power_stop(&power);
}

static void test_a_clean_stop_leaves_none(void **state)
{
    struct fixture *f = *state;
    begin(f);
    write_bad(f);
    fail_syncs_of_bad();
    release(f);
    assert_int_not_equal(broker_close(f->b, &f->e), ERR_OK); /* says that not all is well */
    f->b = NULL;
    fault_disarm();
    power_stop(&power);
    assert_int_equal(asides(f).n, 1);
    open_stepped(f);
    fixture_close(f);
    assert_int_equal(asides(f).n, 0);
    open_stepped(f);
    expect_all(f, "bad", 0, READ_COMMITTED, "b0,b1,b2");
}

/* What may pass is waited for: nothing is set aside, and nothing given back. */
static void test_what_passes_is_waited_for(void **state)
{
    struct fixture *f = *state;
    begin(f);
    write_bad(f);
    fault_arm_at(FAULT_WRITE, ".aside", 1, ENOSPC, true);
    fault_arm_at(FAULT_SYNC, "/bad-0/", 1, EIO, true);
    step(f); /* no room to set it aside */
    assert_true(journal_sealed_bytes(journal_of(f)) > 0);
    assert_int_equal(asides(f).n, 0);
    fault_arm_at(FAULT_WRITE, NULL, 0, 0, false);
    step(f);
    assert_int_equal(journal_sealed_bytes(journal_of(f)), 0);
    assert_int_equal(asides(f).n, 1);
    lose_power(f);
    open_stepped(f);
    expect_all(f, "bad", 0, READ_COMMITTED, "b0,b1,b2");
}

/* ---- fsck ------------------------------------------------------------------------------------------------------------ */

struct found {
    int bad, leftovers, others;
    int64_t byte;
    char path[512];
};

static int note_finding(void *arg, const struct check_finding *c, struct err *e)
{
    struct found *s = arg;
    (void)e;
    if (!strstr(c->path, ".aside")) {
        s->others += check_kind_severity(c->kind) == CHECK_ERROR;
        return ERR_OK;
    }
    s->bad += c->kind == CHECK_BAD_JOURNAL;
    s->leftovers += c->kind == CHECK_LEFTOVER;
    s->byte = c->byte;
    snprintf(s->path, sizeof s->path, "%s", c->path);
    return ERR_OK;
}

static struct found run_fsck(struct fixture *f, uint64_t *records)
{
    struct fsck_report r = {0};
    struct found s = {0};
    struct fsck_options o = {.data_dir = f->dir, .records = true, .found = note_finding, .arg = &s};
    assert_ok(broker_fsck(&o, &r, &f->e), &f->e);
    assert_int_equal(s.others, 0);
    *records = r.journal_records;
    return s;
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int c = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 1, file), c ^ 1);
    assert_int_equal(fclose(file), 0);
}

static void test_damage_is_told(void **state)
{
    struct fixture *f = *state;
    char path[640], unfinished[700];
    uint64_t records;
    begin(f);
    write_bad(f);
    fail_syncs_of_bad();
    release(f);
    lose_power(f);
    snprintf(path, sizeof path, "%s/journal/%s", f->dir, asides(f).last);
    snprintf(unfinished, sizeof unfinished, "%s.tmp", path);
    FILE *tmp = fopen(unfinished, "w");
    assert_non_null(tmp);
    assert_int_equal(fclose(tmp), 0);
    struct found s = run_fsck(f, &records);
    assert_int_equal(s.bad, 0);
    assert_int_equal(s.leftovers, 1);
    assert_true(records >= 1);
    static const long places[][2] = {{20, 0}, {4096 + 70, 4096}};
    for (int i = 0; i < 2; i++) {
        flip(path, places[i][0]);
        s = run_fsck(f, &records);
        assert_int_equal(s.bad, 1);
        assert_int_equal(s.byte, places[i][1]);
        assert_string_equal(s.path, path);
        assert_code(try_open_stepped(f), ERR_CORRUPT, &f->e);
        assert_non_null(strstr(f->e.text, path));
        flip(path, places[i][0]);
    }
    open_stepped(f);
    assert_false(io_exists(unfinished));
    expect_all(f, "bad", 0, READ_COMMITTED, "b0,b1,b2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_failed_log_is_set_aside, setup_two_topics, teardown_disarmed),
        cmocka_unit_test_setup_teardown(test_it_fails_again, setup_two_topics, teardown_disarmed),
        cmocka_unit_test_setup_teardown(test_one_that_cannot_be_opened, setup_two_topics, teardown_disarmed),
        cmocka_unit_test_setup_teardown(test_its_topic_is_deleted, setup_two_topics, teardown_disarmed),
        cmocka_unit_test_setup_teardown(test_a_clean_stop_leaves_none, setup_two_topics, teardown_disarmed),
        cmocka_unit_test_setup_teardown(test_what_passes_is_waited_for, setup_two_topics, teardown_disarmed),
        cmocka_unit_test_setup_teardown(test_damage_is_told, setup_two_topics, teardown_disarmed),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
