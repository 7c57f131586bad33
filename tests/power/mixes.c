/*
 * mixes: see mixes.h.
 */
#include "tests/power/mixes.h"

#include <string.h>

#include "tests/power/ops.h"

const struct mix mixes[MIX_KINDS] = {
    [MIX_ALL] = {.name = "all",
                 .weight = {[OP_PRODUCE] = 30,
                            [OP_PRODUCE_ASYNC] = 8,
                            [OP_RETRY] = 4,
                            [OP_REFUSED] = 2,
                            [OP_TXN] = 20,
                            [OP_COMMIT_OFFSET] = 8,
                            [OP_CREATE_TOPIC] = 4,
                            [OP_DELETE_TOPIC] = 2,
                            [OP_ALTER_TOPIC] = 3,
                            [OP_ADD_PARTITIONS] = 2,
                            [OP_DELETE_RECORDS] = 3,
                            [OP_PASS_TIME] = 6,
                            [OP_CHECK] = 2,
                            [OP_RESTART] = 2,
                            [OP_REPLACE_TOPIC] = 2},
                 .lives = 6,
                 .ops = 60,
                 .topics = MODEL_TOPICS},
    [MIX_TORN] =
        {.name = "torn",
         .weight = {[OP_PRODUCE] = 10, [OP_PRODUCE_ASYNC] = 30, [OP_TXN] = 10, [OP_CREATE_TOPIC] = 10},
         .lives = 16,
         .ops = 12,
         .cut = 40,
         .topics = MODEL_TOPICS,
         .journaled = true},
    [MIX_TAILS] =
        {.name = "tails",
         .weight = {[OP_PRODUCE] = 20, [OP_REFUSED] = 12, [OP_CREATE_TOPIC] = 10, [OP_PASS_TIME] = 1},
         .lives = 32,
         .ops = 5,
         .topics = 1,
         .page_cache = true},
    [MIX_RECUT] = {.name = "recut",
                   .weight = {[OP_PRODUCE] = 20, [OP_CREATE_TOPIC] = 10},
                   .lives = 32,
                   .ops = 8,
                   .start_cut = 48,
                   .topics = 1,
                   .page_cache = true,
                   .short_segments = true,
                   .killed = true},
    [MIX_REMADE] = {.name = "remade",
                    .weight = {[OP_PRODUCE] = 20, [OP_CREATE_TOPIC] = 10, [OP_REPLACE_TOPIC] = 20},
                    .lives = 12,
                    .ops = 12,
                    .topics = 2,
                    .page_cache = true},
    [MIX_COMPACTED] =
        {.name = "compacted",
         .weight =
             {[OP_PRODUCE] = 20, [OP_TXN] = 30, [OP_CREATE_TOPIC] = 5, [OP_PASS_TIME] = 10, [OP_CHECK] = 2},
         .lives = 6,
         .ops = 80,
         .topics = 2,
         .journaled = true,
         .compacted = true},
    [MIX_RECOVERED] =
        {.name = "recovered",
         .weight = {[OP_PRODUCE] = 30, [OP_TXN] = 10, [OP_CREATE_TOPIC] = 10, [OP_PASS_TIME] = 10},
         .lives = 24,
         .ops = 60,
         .cut = 600,
         .start_cut = 200,
         .topics = 1,
         .journaled = true,
         .compacted = true},
    [MIX_DIRECT] =
        {.name = "direct",
         .weight = {[OP_PRODUCE] = 30,
                    [OP_PRODUCE_ASYNC] = 20,
                    [OP_RETRY] = 4,
                    [OP_REFUSED] = 4,
                    [OP_TXN] = 10,
                    [OP_CREATE_TOPIC] = 10,
                    [OP_DELETE_RECORDS] = 2,
                    [OP_PASS_TIME] = 4},
         .lives = 12,
         .ops = 30,
         .cut = 200,
         .topics = 2,
         .journaled = true,
         .direct = true},
    [MIX_VARIED] = {.name = "varied"}, /* see make_up */
};

/* Any operation often, now and then, or never; the same of what else a mix says. */
static struct mix make_up(struct rng *rng)
{
    static const uint8_t factors[] = {0, 1, 1, 2, 8};
    static const unsigned lives[] = {3, 6, 12, 24}, cuts[] = {0, 0, 60, 600}, starts[] = {0, 0, 40, 400};
    struct mix m = {.name = mixes[MIX_VARIED].name};
    for (int i = 0; i < OPS; i++)
        m.weight[i] = (uint8_t)(mixes[MIX_ALL].weight[i] * factors[rng_below(rng, 5)]);
    m.weight[OP_PRODUCE] += 10;
    m.weight[OP_CREATE_TOPIC] += 4;
    m.lives = lives[rng_below(rng, 4)];
    m.ops = 240 / m.lives;
    m.cut = cuts[rng_below(rng, 4)];
    m.start_cut = starts[rng_below(rng, 4)];
    m.topics = (int)rng_between(rng, 1, MODEL_TOPICS);
    m.page_cache = rng_once_in(rng, 8);
    m.journaled = !m.page_cache && rng_once_in(rng, 3);
    m.compacted = !m.page_cache && rng_once_in(rng, 3);
    m.short_segments = rng_once_in(rng, 3);
    m.direct = rng_once_in(rng, 3);
    return m;
}

struct mix mix_of(enum mix_kind kind, struct rng *rng)
{
    return kind == MIX_VARIED ? make_up(rng) : mixes[kind];
}

bool mix_by_name(const char *name, enum mix_kind *kind)
{
    for (int i = 0; i < MIX_KINDS; i++)
        if (strcmp(mixes[i].name, name) == 0) {
            *kind = (enum mix_kind)i;
            return true;
        }
    return false;
}

static bool restart_clean(struct world *w)
{
    if (w->shunned >= 0) /* it could not be clean */
        return true;
    if (!op_close(w) || !op_open(w))
        return false;
    if (rng_once_in(&w->rng, 3))
        sim_cut_in(1 + rng_below(&w->rng, 30));
    return check_recovered(w);
}

/* A topic goes and another one of its name comes; the power fails in between, or later. */
static bool replace_topic(struct world *w)
{
    bool between = rng_once_in(&w->rng, 2);
    if (!between && rng_once_in(&w->rng, 2))
        sim_cut_in(1 + rng_below(&w->rng, 60));
    if (!op_delete_topic(w))
        return false;
    if (between)
        sim_cut_in(1 + rng_below(&w->rng, 6));
    return op_create_topic(w);
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
        model_allow_retention(&w->model, t, sim_clock_ms());
}

bool op_any(struct world *w)
{
    static bool (*const ops[OPS])(struct world * w) = {
        [OP_PRODUCE] = op_produce,
        [OP_PRODUCE_ASYNC] = op_produce_async,
        [OP_RETRY] = op_retry,
        [OP_REFUSED] = op_refused,
        [OP_TXN] = op_txn,
        [OP_COMMIT_OFFSET] = commit_offset,
        [OP_CREATE_TOPIC] = op_create_topic,
        [OP_DELETE_TOPIC] = op_delete_topic,
        [OP_ALTER_TOPIC] = op_alter_topic,
        [OP_ADD_PARTITIONS] = op_add_partitions,
        [OP_DELETE_RECORDS] = op_delete_records,
        [OP_PASS_TIME] = pass_time,
        [OP_CHECK] = check_recovered,
        [OP_RESTART] = restart_clean,
        [OP_REPLACE_TOPIC] = replace_topic,
    };
    unsigned total = 0, i = 0;
    for (unsigned k = 0; k < OPS; k++)
        total += w->mix.weight[k];
    unsigned at = (unsigned)rng_below(&w->rng, total);
    while (at >= w->mix.weight[i])
        at -= w->mix.weight[i++];
    world_allow_retention(w);
    return ops[i](w);
}
