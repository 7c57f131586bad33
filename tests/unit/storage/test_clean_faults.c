/*
 * Cleaning that fails or is cut short anywhere: readers have the old segments or the new ones, now and after the next start,
 * and the next pass leaves what an undisturbed one would have.
 */
#include "clean_kit.h"

#include "../../lib/power.h"

struct scene {
    char *base;
    char dir[512], work[512], image[512]; /* as built; where it is cleaned; what is left of that */
    struct log_open_args args;            /* of `work` */
    struct model before, after;
    int cut;
};

/* A log that was cleaned once and has new dirty segments. */
static void build(struct scene *s, unsigned seed)
{
    struct err e = {0};
    memset(s, 0, sizeof *s);
    s->base = testkit_dir();
    snprintf(s->dir, sizeof s->dir, "%s/built/t-0", s->base);
    snprintf(s->work, sizeof s->work, "%s/work/t-0", s->base);
    snprintf(s->image, sizeof s->image, "%s/image", s->base);
    struct log_open_args args = model_args(s->dir);
    struct model *m = &s->before;
    struct cleaner *c = cleaner_new(&(struct cleaner_options){.map_bytes = 1 << 20}, &e);
    *m = (struct model){.log = open_log(&args, NULL), .seed = seed, .now = EPOCH_MS};
    for (int i = 0; i < 90; i++)
        model_step(m);
    for (int i = 3; i < MODEL_PRODUCERS; i++)
        model_end_txn(m, i, i == 3);
    assert_ok(log_roll(m->log, true, &e), &e);
    assert_true(model_pass(m, c, &args.config));
    for (int i = 0; i < 60; i++)
        model_step(m);
    for (int i = 3; i < MODEL_PRODUCERS; i++)
        model_end_txn(m, i, i == 3);
    assert_ok(log_roll(m->log, true, &e), &e);
    model_step(m);
    m->now += 1000000; /* horizons have passed */
    assert_ok(log_flush(m->log, &e), &e);
    args.recovery_point = log_recovery_point(m->log);
    close_log(m->log, true);
    cleaner_free(c);
    m->log = NULL;
    s->args = args;
    s->args.dir = s->work;
    s->args.clean = true;
}

static void unbuild(struct scene *s)
{
    model_free(&s->before);
    if (s->after.records)
        model_free(&s->after);
    testkit_remove_dir(s->base);
}

static struct log *open_at(const struct scene *s, const char *dir, bool clean)
{
    struct log_open_args args = s->args;
    args.dir = dir;
    args.clean = clean;
    struct log *log = open_log(&args, NULL);
    log_set_high_watermark(log, log_end_offset(log));
    return log;
}

static struct log *open_copy(struct scene *s)
{
    struct err e = {0};
    assert_ok(io_remove_tree(s->work, &e), &e);
    copy_dir(s->dir, s->work);
    return open_at(s, s->work, true);
}

static int clean_once(struct log *log, const struct model *m, struct clean_result *out, struct err *e)
{
    struct clean_look look;
    struct cleaner *c = cleaner_new(&(struct cleaner_options){.map_bytes = 1 << 20}, e);
    if (!c)
        return e->code;
    int rc = log_clean_look(log, m->checkpoint, m->now, INT64_MAX, &look, e);
    if (rc == ERR_OK)
        rc =
            log_clean(log, c, &(struct clean_args){look.first_dirty, look.first_uncleanable, m->now}, out, e);
    cleaner_free(c);
    return rc;
}

/* What the undisturbed pass leaves. */
static void learn(struct scene *s)
{
    struct err e = {0};
    struct cleaner *c = cleaner_new(&(struct cleaner_options){.map_bytes = 1 << 20}, &e);
    s->after = model_copy(&s->before);
    s->after.log = open_copy(s);
    model_verify(&s->before, s->after.log);
    assert_true(model_pass(&s->after, c, &s->args.config));
    model_verify(&s->after, s->after.log);
    close_log(s->after.log, true);
    cleaner_free(c);
}

/* Opened again, there is the one or the other; and the next pass finishes what was begun. */
static void check_again(struct scene *s, const char *dir, bool clean)
{
    struct err e = {0};
    struct clean_result out;
    struct log *log = open_at(s, dir, clean);
    model_verify_between(&s->before, &s->after, log);
    assert_ok(clean_once(log, &s->before, &out, &e), &e);
    assert_int_equal(out.end, s->after.checkpoint);
    model_verify(&s->after, log);
    close_log(log, true);
    log = open_at(s, dir, true);
    model_verify(&s->after, log);
    close_log(log, true);
}

/* One fault, or everything from it on, as when the process or the disk goes. */
static uint64_t each_fault(struct scene *s, enum fault_point point, int errnum, bool sticky)
{
    for (uint64_t nth = 1;; nth += TESTKIT_STEP(nth)) {
        struct err e = {0};
        struct clean_result out;
        struct log *log = open_copy(s);
        fault_arm(point, nth, errnum, sticky);
        int rc = clean_once(log, &s->before, &out, &e);
        uint64_t passes = fault_passes(point);
        fault_disarm();
        if (rc == ERR_OK)
            model_verify(&s->after, log);
        else
            model_verify_between(&s->before, &s->after, log);
        if (rc == ERR_OK && passes >= nth && point != FAULT_META)
            fail_msg("fault %llu of point %d was not told", (unsigned long long)nth, point);
        close_log(log, false);
        check_again(s, s->work, false);
        if (passes < nth)
            return nth - 1;
    }
}

static void test_faults(void **state)
{
    struct scene s;
    (void)state;
    build(&s, 7);
    learn(&s);
    for (int sticky = 0; sticky < 2; sticky++) {
        assert_true(each_fault(&s, FAULT_META, EIO, sticky) > 10);
        assert_true(each_fault(&s, FAULT_SYNC, EIO, sticky) > 5);
        assert_true(each_fault(&s, FAULT_WRITE, ENOSPC, sticky) > 3);
    }
    assert_true(each_fault(&s, FAULT_READ, EIO, false) > 3);
    assert_true(each_fault(&s, FAULT_ALLOC, ENOMEM, false) > 10);
    unbuild(&s);
}

/* ---- power --------------------------------------------------------------------------------------------------------- */

struct outage {
    struct power power;
    struct scene *scene;
    unsigned luck;
};

static void on_cut(void *arg)
{
    struct outage *o = arg;
    power_image(&o->power, o->power.root, o->scene->image, o->luck);
}

/* At every event of the pass, with nothing, something and everything of what was not synced. */
static void test_power_loss(void **state)
{
    struct scene s;
    char root[512], image[600];
    (void)state;
    build(&s, 11);
    learn(&s);
    snprintf(root, sizeof root, "%s/work", s.base);
    snprintf(image, sizeof image, "%s/t-0", s.image);
    uint64_t events = UINT64_MAX;
    for (uint64_t at = 1; at <= events; at += TESTKIT_STEP(at)) {
        struct err e = {0};
        struct clean_result out;
        struct outage o = {.scene = &s, .luck = (unsigned)(at * 5 % 9)};
        struct log *log = open_copy(&s);
        assert_ok(io_remove_tree(s.image, &e), &e);
        power_start(&o.power, root, (unsigned)at, on_cut, &o);
        o.power.cut_at = at;
        assert_ok(clean_once(log, &s.before, &out, &e), &e);
        bool cut = o.power.events >= at;
        events = o.power.events;
        close_log(log, false);
        power_stop(&o.power);
        if (cut)
            check_again(&s, image, false);
    }
    assert_true(events > 30);
    unbuild(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_power_loss),
    };
    testkit_dirs_in_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
