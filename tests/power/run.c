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
#include "base/mem.h"
#include "tests/power/cleaned.h"
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

/* From how many bytes on an append is a large one: all, some batches, or several of a round together; none, as they are small. */
static size_t choose_direct(struct world *w)
{
    static const size_t bytes[] = {1, 400, 2000, 0};
    return w->mix.direct ? bytes[rng_below(&w->rng, 4)] : 0;
}

bool op_open(struct world *w)
{
    static const char *const second[] = {"/hub/disk2"};
    struct broker_options o = {.data_dir = "/hub/data",
                               .data_dirs = second,
                               .data_dir_count = w->model.two ? 1 : 0,
                               .journal_file_bytes = JOURNAL_FILE,
                               .direct_bytes = choose_direct(w),
                               .many_holders = w->seed % 2, /* else there are never so many */
                               .journal_release_ms = 1,
                               .page_cache_bytes = 64 << 10,
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

/* ---- schedules ---------------------------------------------------------------------------------------------------------- */

/* Opens after whatever happened, and looks at everything. False: power was cut again meanwhile. */
static bool recover(struct world *w)
{
    if (!op_open(w) || !check_recovered(w))
        return false;
    w->loose = false;
    told_of_leftovers(true);
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
    w->faulty = true;
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

/* Without calls that fail nothing is damaged, and so nothing is an error, whenever the power is cut. */
static void check_untroubled(struct world *w)
{
    if (!w->faulty && told_of_error())
        world_fail(w, "the store told of an error: %s", told_of_error());
}

static void one_life(struct world *w)
{
    static const unsigned lives[] = {20, 200, 1000, 3000};
    unsigned ops = (unsigned)rng_below(&w->rng, w->mix.ops);
    bool soon = w->mix.start_cut && rng_once_in(&w->rng, 2);
    sim_cut_in(1 + rng_below(&w->rng, soon ? w->mix.start_cut : lives[rng_below(&w->rng, 4)]));
    bool on = recover(w);
    if (on && w->mix.cut)
        sim_cut_in(1 + rng_below(&w->rng, w->mix.cut));
    if (on)
        plan_faults(w);
    while (on && ops-- > 0)
        on = op_any(w);
    end_faults();
    if (w->b && !sim_is_cut() && rng_once_in(&w->rng, 3)) /* the power fails after a clean stop */
        op_close(w);
    w->faults = false;
    check_untroubled(w);
    lose(w, !rng_once_in(&w->rng, w->mix.killed ? 2 : 4));
}

/* Some batches to one synced partition, which is then written to no more. */
static bool fill_one(struct world *w, const struct target *at)
{
    struct entry e;
    bool on = true;
    for (unsigned n = 1 + (unsigned)rng_below(&w->rng, 4); on && n-- > 0;) {
        size_t bytes;
        batch_choose(w, at, &e);
        uint8_t *data = batch_make(w, &e, 0, &bytes);
        struct produce_request r = {
            .topic = world_topic_name(at->topic), .partition = at->partition, .data = data, .bytes = bytes};
        e.bytes = (int64_t)bytes;
        model_append(target_partition(w, at), &e);
        on = !world_gone(w, broker_produce(w->b, &r, 1, false, &w->e), "appending to one");
        mem_free(data);
        if (on)
            model_acknowledge(w, at, e.first, &r.appended);
    }
    return on;
}

/*
 * From the beginning the syncs of one log's files fail, and nothing else does. The journal is released meanwhile, several
 * times: what it has of that log must be there all the same.
 */
static void life_of_a_failing_log(struct world *w)
{
    char part[64];
    struct target at;
    unsigned ops = 20 + (unsigned)rng_below(&w->rng, 200);
    if (rng_once_in(&w->rng, 2))
        sim_cut_in(200 + rng_below(&w->rng, 5000));
    bool on = recover(w) && choose_target(w, true, &at);
    w->faults = w->loose = on;
    if (on) {
        snprintf(part, sizeof part, "/%s-%d/", world_topic_name(at.topic), at.partition);
        world_say(w, "syncs of %s fail", part);
        fault_arm_at(FAULT_SYNC, part, 1, EIO, true);
        w->faulty = true;
        on = fill_one(w, &at);
        w->shunned = at.topic;
    }
    while (on && ops-- > 0)
        on = op_any(w);
    end_faults();
    w->shunned = -1;
    w->faults = false;
    lose(w, !rng_once_in(&w->rng, 4));
}

static void world_init(struct world *w, uint64_t seed, const struct run_options *o)
{
    *w = (struct world){.seed = seed, .rng = rng_of(seed), .trace = o->trace, .shunned = -1};
    w->mix = mix_of(o->mix, &w->rng);
    struct sim_options s = {.trace = o->trace,
                            .odd = rng_once_in(&w->rng, 2),
                            .no_direct = rng_once_in(&w->rng, 6),
                            .leave_out = o->leave_out};
    diag_setup(o->trace ? DIAG_INFO : DIAG_OFF, DIAG_TEXT);
    model_init(&w->model);
    cleaned_watch(w);
    buf_init(&w->in, 64 << 20);
    buf_init(&w->scratch, 64 << 20);
    forget_errors();
    fibers_start(seed);
    sim_start(seed, &s);
}

static void world_free(struct world *w)
{
    sim_end();
    cleaned_watch(NULL);
    model_free(&w->model);
    buf_free(&w->in);
    buf_free(&w->scratch);
}

void run_seed(uint64_t seed, const struct run_options *o)
{
    struct world w;
    world_init(&w, seed, o);
    w.model.two = o->two;
    w.timeouts = true;
    for (unsigned lives = 1 + (unsigned)rng_below(&w.rng, w.mix.lives); lives-- > 0;)
        one_life(&w);
    for (unsigned lives = seed % 4 == 0 ? 1 + (unsigned)rng_below(&w.rng, 2) : 0; lives-- > 0;)
        life_of_a_failing_log(&w);
    /* A last time undisturbed; and once more, which gives the same. */
    if (!recover(&w))
        world_fail(&w, "power is cut without anybody having cut it");
    cleaned_expect_all(&w);
    if (!op_close(&w) || !op_open(&w) || !check_all(&w) || !op_close(&w))
        world_fail(&w, "power is cut without anybody having cut it");
    check_untroubled(&w);
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
