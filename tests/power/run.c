/*
 * run: a schedule from its seed: some lives of a store, each ended by a loss of power or a clean stop.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/fault.h"
#include "tests/power/fibers.h"
#include "tests/power/ops.h"
#include "tests/power/run.h"

enum { JOURNAL_FILE = 64 << 10, INTERNAL_PARTITIONS = 2 };

/* ---- telling ------------------------------------------------------------------------------------------------------- */

_Noreturn void world_fail(struct world *w, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    run_failed(w->seed, text);
}

void world_say(struct world *w, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (!w->trace)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "%6llu %s\n", (unsigned long long)sim_changes(), text);
}

bool world_gone(struct world *w, int rc, const char *what)
{
    if (sim_is_cut() || (rc && w->faults))
        return true;
    if (rc)
        world_fail(w, "%s: %s", what, w->e.text);
    return false;
}

const char *world_topic_name(int topic)
{
    static const char *const names[MODEL_TOPICS] = {"t0", "t1", "t2", "t3", "t4"};
    return names[topic];
}

const char *world_group_name(int group)
{
    return group ? "g1" : "g0";
}

const char *world_id_name(int id)
{
    return id ? "x1" : "x0";
}

/* ---- the store's life --------------------------------------------------------------------------------------------------- */

bool op_open(struct world *w)
{
    static const char *const second[] = {"/hub/disk2"};
    struct broker_options o = {.data_dir = "/hub/data",
                               .data_dirs = second,
                               .data_dir_count = w->two ? 1 : 0,
                               .journal_file_bytes = JOURNAL_FILE,
                               .retention_check_ms = 700,
                               .cleaner_backoff_ms = 400,
                               .cleaner_dedupe_bytes = 1 << 20,
                               .offsets_partitions = INTERNAL_PARTITIONS,
                               .txn_partitions = INTERNAL_PARTITIONS};
    world_say(w, "open");
    return !world_gone(w, broker_open(&w->b, &o, &w->e), "opening");
}

bool op_close(struct world *w)
{
    world_say(w, "close");
    int rc = broker_close(w->b, &w->e);
    w->b = NULL;
    if (world_gone(w, rc, "closing"))
        return false;
    for (int t = 0; t < MODEL_TOPICS; t++)
        for (int p = 0; p < MODEL_PARTITIONS; p++)
            w->model.topics[t].parts[p].synced = model_end(&w->model.topics[t].parts[p]);
    return true;
}

static bool restart_clean(struct world *w)
{
    if (!op_close(w) || !op_open(w))
        return false;
    if (rng_once_in(&w->rng, 3))
        sim_cut_in(1 + rng_below(&w->rng, 30));
    return check_recovered(w);
}

/* A topic goes and another one of its name comes. */
static bool replace_topic(struct world *w)
{
    if (rng_once_in(&w->rng, 2))
        sim_cut_in(1 + rng_below(&w->rng, 60));
    return op_delete_topic(w) && op_create_topic(w);
}

static bool commit_offset(struct world *w)
{
    struct target at;
    int group = (int)rng_below(&w->rng, MODEL_GROUPS);
    if (!choose_target(w, false, &at) || has_pending_offset(w, group, at.topic))
        return true;
    struct group_offset o = {.topic = world_topic_name(at.topic),
                             .offset = rng_once_in(&w->rng, 8) ? -1 : (int64_t)rng_below(&w->rng, 1000),
                             .leader_epoch = -1};
    struct model_offset *m = &w->model.offsets[group][at.topic];
    world_say(w, "%s commits offset %lld of %s", world_group_name(group), (long long)o.offset, o.topic);
    m->maybe = o.offset;
    int rc = broker_commit_offsets(w->b, world_group_name(group), &o, 1, &w->e);
    if (world_gone(w, rc, "committing an offset"))
        return false;
    *m = (struct model_offset){o.offset, -2, -1};
    return true;
}

static bool pass_time(struct world *w)
{
    sim_clock_add_ms(rng_between(&w->rng, 1, 3000));
    return true;
}

void world_allow_retention(struct world *w)
{
    for (int t = 0; t < MODEL_TOPICS; t++)
        model_allow_retention(&w->model.topics[t], sim_clock_ms());
}

bool op_any(struct world *w)
{
    static const struct {
        unsigned weight;
        bool (*op)(struct world *w);
    } ops[] = {
        {30, op_produce},       {8, op_produce_async},  {4, op_retry},        {20, op_txn},
        {8, commit_offset},     {4, op_create_topic},   {2, op_delete_topic}, {3, op_alter_topic},
        {2, op_add_partitions}, {3, op_delete_records}, {6, pass_time},       {2, check_recovered},
        {2, restart_clean},     {2, replace_topic},
    };
    unsigned total = 0;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        total += ops[i].weight;
    unsigned at = (unsigned)rng_below(&w->rng, total);
    size_t i = 0;
    while (at >= ops[i].weight)
        at -= ops[i++].weight;
    world_allow_retention(w);
    return ops[i].op(w);
}

/* ---- schedules ---------------------------------------------------------------------------------------------------------- */

/* Opens after whatever happened, and looks at everything. False: power was cut again meanwhile. */
static bool recover(struct world *w)
{
    if (!op_open(w) || !check_recovered(w))
        return false;
    w->loose = false;
    return op_init_producers(w) && check_all(w);
}

/* The power fails, or only the process is killed: then the kernel keeps what it has, of page-cache topics, too. */
static void lose(struct world *w, bool power)
{
    sim_cut_now();
    world_allow_retention(w);
    struct err ignored;
    if (w->b)
        broker_close(w->b, &ignored); /* cannot do anything any more but free its memory */
    w->b = NULL;
    async_forget(w);
    model_lose_process(&w->model);
    if (power) {
        model_lose_power(&w->model);
        sim_power_on();
    } else {
        sim_process_on();
    }
    world_say(w, power ? "power is back" : "killed");
}

/* From some call on, one fails, or all of its kind, or two kinds; or the disk is full. Errors end the life, not the test. */
static void plan_faults(struct world *w)
{
    static const enum fault_point points[] = {FAULT_WRITE, FAULT_SYNC, FAULT_READ, FAULT_META};
    w->faults = w->loose = rng_once_in(&w->rng, 4);
    if (!w->faults)
        return;
    if (rng_once_in(&w->rng, 4))
        sim_set_blocks(sim_used_blocks() + 1 + (int64_t)rng_below(&w->rng, 60));
    for (unsigned n = 1 + (unsigned)rng_below(&w->rng, 2); n-- > 0;) {
        enum fault_point point = points[rng_below(&w->rng, 4)];
        bool write = point == FAULT_WRITE || point == FAULT_META;
        int errnum = write && rng_once_in(&w->rng, 2) ? ENOSPC : EIO;
        uint64_t nth = 1 + rng_below(&w->rng, point == FAULT_READ ? 3000 : 150);
        world_say(w, "fault %d in call %llu, error %d", (int)point, (unsigned long long)nth, errnum);
        fault_arm(point, nth, errnum, rng_once_in(&w->rng, 4));
    }
}

static void end_faults(void)
{
    fault_disarm();
    sim_set_blocks(0);
}

static void one_life(struct world *w)
{
    static const unsigned lives[] = {20, 200, 1000, 3000};
    unsigned ops = (unsigned)rng_below(&w->rng, 60);
    sim_cut_in(1 + rng_below(&w->rng, lives[rng_below(&w->rng, 4)]));
    bool on = recover(w);
    if (on)
        plan_faults(w);
    while (on && ops-- > 0)
        on = op_any(w);
    end_faults();
    if (w->b && !sim_is_cut() && rng_once_in(&w->rng, 3)) /* the power fails after a clean stop */
        op_close(w);
    w->faults = false;
    lose(w, !rng_once_in(&w->rng, 4));
}

static void world_init(struct world *w, uint64_t seed, const struct run_options *o)
{
    *w = (struct world){.seed = seed, .rng = rng_of(seed), .trace = o->trace};
    struct sim_options s = {.trace = o->trace,
                            .odd = rng_once_in(&w->rng, 2),
                            .no_direct = rng_once_in(&w->rng, 6),
                            .leave_out = o->leave_out};
    diag_setup(o->trace ? DIAG_INFO : DIAG_OFF, DIAG_TEXT);
    model_init(&w->model);
    buf_init(&w->in, 64 << 20);
    buf_init(&w->scratch, 64 << 20);
    fibers_start(seed);
    sim_start(seed, &s);
}

static void world_free(struct world *w)
{
    sim_end();
    model_free(&w->model);
    buf_free(&w->in);
    buf_free(&w->scratch);
}

void run_seed(uint64_t seed, const struct run_options *o)
{
    struct world w;
    world_init(&w, seed, o);
    w.two = o->two;
    for (unsigned lives = 1 + (unsigned)rng_below(&w.rng, 6); lives-- > 0;)
        one_life(&w);
    /* A last time undisturbed; and once more, which gives the same. */
    if (!recover(&w) || !op_close(&w) || !op_open(&w) || !check_all(&w) || !op_close(&w))
        world_fail(&w, "power is cut without anybody having cut it");
    world_free(&w);
}

void run_damage(uint64_t seed, const struct run_options *o)
{
    struct world w;
    world_init(&w, seed, o);
    bool on = recover(&w);
    for (unsigned ops = 5 + (unsigned)rng_below(&w.rng, 60); on && ops-- > 0;)
        on = op_any(&w);
    bool clean = on && rng_once_in(&w.rng, 2) && op_close(&w);
    lose(&w, rng_once_in(&w.rng, 4));
    damage_and_check(&w, clean);
    world_free(&w);
}
