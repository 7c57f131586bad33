/*
 * ops_produce: appends: alone, together, many under way, and sent again.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/power/ops.h"

enum { FUTURE_MS = 2 * 60 * 60 * 1000 }; /* more than message.timestamp.after.max.ms */

struct sent {
    struct target at[TARGETS_MAX];
    struct produce_request requests[TARGETS_MAX];
    uint64_t first[TARGETS_MAX];
    size_t n;
    bool atomic;
    atomic_bool done;
    struct err error;
};

static struct sent flying[8];
static size_t flying_count;

/* An idempotent producer, made when it is first needed; -1 for none, or for one whose sequence nobody knows. False: the power is cut. */
static bool choose_producer(struct world *w, const struct target *at, int64_t *producer)
{
    *producer = -1;
    if (!rng_once_in(&w->rng, 3))
        return true;
    uint64_t i = rng_below(&w->rng, MODEL_PRODUCERS);
    int64_t *known = &w->model.producers[i];
    if (target_partition(w, at)->hazy & UINT32_C(1) << i)
        return true;
    if (*known < 0) {
        int64_t id;
        int16_t epoch;
        int rc = broker_init_producer(w->b, NULL, 0, &id, &epoch, &w->e);
        if (world_gone(w, rc, "making a producer id"))
            return false;
        if (id <= w->model.largest_producer)
            world_fail(w, "producer id %lld is given out again", (long long)id);
        w->model.largest_producer = *known = id;
    }
    *producer = *known;
    return true;
}

static bool add_request(struct world *w, struct sent *s, int32_t unit)
{
    struct entry e;
    struct target at;
    if (!choose_target(w, false, &at))
        return true;
    for (size_t i = 0; i < s->n; i++) /* one of a kind: results are told apart by partition */
        if (s->at[i].topic == at.topic && s->at[i].partition == at.partition)
            return true;
    batch_choose(w, &at, &e);
    if (!choose_producer(w, &at, &e.producer))
        return false;
    if (e.producer >= 0)
        e.sequence = next_sequence(target_partition(w, &at), e.producer);
    e.unit = unit;
    size_t n;
    uint8_t *data = batch_make(w, &e, 0, &n);
    s->at[s->n] = at;
    s->first[s->n] = e.first;
    s->requests[s->n++] = (struct produce_request){.topic = world_topic_name(at.topic),
                                                   .partition = at.partition,
                                                   .data = data,
                                                   .bytes = n,
                                                   .built_here = rng_once_in(&w->rng, 2)};
    e.bytes = (int64_t)n;
    model_append(target_partition(w, &at), &e);
    return true;
}

static bool fill(struct world *w, struct sent *s)
{
    size_t want = rng_once_in(&w->rng, 2) ? 1 : 1 + rng_below(&w->rng, TARGETS_MAX);
    s->n = 0;
    s->atomic =
        rng_once_in(&w->rng, 2) && !w->model.two; /* over several directories only transactions are whole */
    int32_t unit = s->atomic && want > 1 ? w->model.units++ : -1;
    for (size_t i = 0; i < want; i++)
        if (!add_request(w, s, unit))
            return false;
    for (size_t i = 0; i < s->n; i++)
        world_say(w, "append records %llu to %s-%d%s", (unsigned long long)s->first[i],
                  world_topic_name(s->at[i].topic), s->at[i].partition, s->atomic ? ", together" : "");
    return true;
}

static void free_data(struct sent *s)
{
    for (size_t i = 0; i < s->n; i++)
        mem_free(s->requests[i].data);
    s->n = 0;
}

static void acknowledge(struct world *w, struct sent *s)
{
    for (size_t i = 0; i < s->n; i++)
        model_acknowledge(w, &s->at[i], s->first[i], &s->requests[i].appended);
}

bool op_produce(struct world *w)
{
    static struct sent s;
    bool on = fill(w, &s);
    if (on && s.n) {
        int rc = broker_produce(w->b, s.requests, s.n, s.atomic, &w->e);
        on = !world_gone(w, rc, "appending");
        if (on)
            acknowledge(w, &s);
    }
    free_data(&s);
    return on;
}

/* One that the store has to refuse: it is too far in the future. The model is not told. */
static bool add_refused(struct world *w, struct sent *s)
{
    struct entry e;
    struct target *at = &s->at[s->n];
    if (!choose_target(w, false, at) || w->model.topics[at->topic].settings.append_time)
        return false;
    if (at->topic == s->at[0].topic && at->partition == s->at[0].partition)
        return false;
    batch_choose(w, at, &e);
    e.timestamp = sim_clock_ms() + FUTURE_MS;
    size_t n;
    uint8_t *data = batch_make(w, &e, 0, &n);
    s->requests[s->n++] = (struct produce_request){
        .topic = world_topic_name(at->topic), .partition = at->partition, .data = data, .bytes = n};
    return true;
}

/* Appends that belong together, one of which is refused: what was appended before it is taken back and stays so. */
bool op_refused(struct world *w)
{
    static struct sent s;
    s.n = 0;
    if (w->faults || w->model.two)
        return true;
    bool on = add_request(w, &s, w->model.units++);
    if (on && s.n) {
        /* Retention that is under way may count them, and deletes more than it would have without. */
        model_allow_retention(&w->model, s.at[0].topic, sim_clock_ms());
        int rc = add_refused(w, &s) ? broker_produce(w->b, s.requests, s.n, true, &w->e) : ERR_OK;
        on = !sim_is_cut();
        if (on && s.n > 1 && rc != ERR_INVALID_TIMESTAMP)
            world_fail(w, "records that are too far in the future: %s", rc ? w->e.text : "are taken");
        if (on)
            model_take_back(w, &s.at[0], s.first[0]);
        else
            model_may_come_back(w, &s.at[0], s.first[0]);
        world_say(w, "records %llu for %s-%d are refused with others", (unsigned long long)s.first[0],
                  world_topic_name(s.at[0].topic), s.at[0].partition);
    }
    free_data(&s);
    return on;
}

static void when_done(void *arg, const struct err *e)
{
    struct sent *s = arg;
    s->error = *e;
    atomic_store(&s->done, true);
}

void async_forget(struct world *w)
{
    (void)w;
    for (size_t i = 0; i < flying_count; i++)
        free_data(&flying[i]);
    flying_count = 0;
}

bool op_produce_async(struct world *w)
{
    size_t n = 2 + rng_below(&w->rng, 6);
    bool on = true;
    while (on && flying_count < n) {
        struct sent *s = &flying[flying_count++];
        on = fill(w, s);
        atomic_store(&s->done, !on);
        if (on)
            broker_produce_async(w->b, s->requests, s->n, s->atomic, when_done, s);
    }
    for (size_t i = 0; i < flying_count; i++)
        while (!atomic_load(&flying[i].done))
            sched_yield();
    for (size_t i = 0; on && i < flying_count; i++) {
        w->e = flying[i].error;
        on = !world_gone(w, flying[i].error.code, "appending");
        if (on)
            acknowledge(w, &flying[i]);
    }
    async_forget(w);
    return on;
}

/* The last batch of an idempotent producer in a partition, if it is still there. */
static struct entry *last_sent(struct model_partition *p)
{
    struct entry *e = p->n ? &p->list[p->n - 1] : NULL;
    return e && e->kind == ENTRY_DATA && e->producer >= 0 && e->txn < 0 && e->base >= p->start_max ? e : NULL;
}

bool op_retry(struct world *w)
{
    struct target at;
    if (!choose_target(w, false, &at))
        return true;
    const struct entry *e = last_sent(target_partition(w, &at));
    /* Once the topic is compacted it takes no records without a key. */
    if (!e || (w->model.topics[at.topic].settings.compact && !(e->first & RECORD_KEYED)))
        return true;
    size_t n;
    uint8_t *data = batch_make(w, e, 0, &n);
    struct produce_request r = {
        .topic = world_topic_name(at.topic), .partition = at.partition, .data = data, .bytes = n};
    world_say(w, "append records %llu to %s-%d again", (unsigned long long)e->first, r.topic, r.partition);
    int rc = broker_produce(w->b, &r, 1, false, &w->e);
    mem_free(data);
    if (world_gone(w, rc, "appending again"))
        return false;
    if (!r.appended.duplicate || r.appended.base_offset != e->base)
        world_fail(w, "%s-%d: records %llu at offset %lld, sent again, went to offset %lld",
                   world_topic_name(at.topic), at.partition, (unsigned long long)e->first, (long long)e->base,
                   (long long)r.appended.base_offset);
    return true;
}
