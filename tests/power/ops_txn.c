/*
 * ops_txn: transactions: in steps and all at once, committed, aborted, left open by a producer whose successor comes or until
 * their time has passed.
 */
#include <sched.h>
#include <string.h>

#include "base/mem.h"
#include "broker/transactions.h"
#include "tests/power/ops.h"

enum { TIMEOUT_MS = 900000, TRIES_MAX = 1000 };

static struct model_txn *open_txn(struct world *w, int id)
{
    int32_t i = w->model.ids[id].txn;
    return i < 0 ? NULL : &w->model.txns[i];
}

/* Nobody can say where its markers are going to be; see floats.c. From now on it is known of it. */
static bool has_no_place(const struct world *w, struct model_txn *t)
{
    t->floats = t->floats || w->model.two || model_may_have_expired(t, sim_clock_ms());
    return t->floats;
}

/* An answer that says that the transaction was ended by others; right only if its time may have passed. */
static bool was_ended(struct world *w, int id, int rc)
{
    struct model_txn *t = open_txn(w, id);
    bool ended = rc == ERR_PRODUCER_FENCED || rc == ERR_INVALID_PRODUCER_EPOCH ||
                 rc == ERR_CONCURRENT_TRANSACTIONS || rc == ERR_INVALID_TXN_STATE;
    if (!ended || sim_is_cut() || !t || !model_may_have_expired(t, sim_clock_ms()))
        return false;
    world_say(w, "%s: its time has passed", world_id_name(id));
    t->floats = true;
    t->outcome = TXN_ABORTING;
    w->model.ids[id].producer = -1;
    return true;
}

/* ---- producers ---------------------------------------------------------------------------------------------------------- */

static bool has_records(const struct model_partition *p, int32_t txn)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].txn == txn && p->list[i].kind == ENTRY_DATA)
            return true;
    return false;
}

/* Markers in every partition that joined; where that is not certain, perhaps. */
static void try_markers(struct world *w, int32_t txn, bool commit, bool certain)
{
    struct model_txn *t = &w->model.txns[txn];
    for (int i = 0; i < MODEL_TOPICS; i++)
        for (int32_t p = 0; p < w->model.topics[i].partitions; p++) {
            struct target at = {i, p};
            bool known = has_records(target_partition(w, &at), txn) && !w->model.topics[i].once_page_cache;
            bool sure = certain && (t->joined_surely[i][p] || known);
            if (t->joined[i][p])
                model_try_marker(w, &at, commit ? ENTRY_COMMIT : ENTRY_ABORT, txn, sure ? t->unit : -1,
                                 sure ? UNSURE : OPTIONAL);
        }
}

static void try_end(struct world *w, int32_t txn, bool commit)
{
    struct model_txn *t = &w->model.txns[txn];
    t->outcome = commit ? TXN_COMMITTING : TXN_ABORTING;
    if (t->floats)
        return;
    t->unit = w->model.units++;
    try_markers(w, txn, commit, true);
}

static void ended(struct world *w, int32_t txn, bool commit)
{
    struct model_txn *t = &w->model.txns[txn];
    t->outcome = commit ? TXN_COMMITTED : TXN_ABORTED;
    if (t->unit >= 0)
        model_acknowledge_unit(w, t->unit);
    w->model.ids[t->id].txn = -1;
}

/* Markers that may be there: look. */
static bool look_for_markers(struct world *w, int32_t txn)
{
    const struct model_txn *t = &w->model.txns[txn];
    for (int i = 0; i < MODEL_TOPICS; i++)
        for (int32_t p = 0; p < w->model.topics[i].partitions; p++)
            if (t->joined[i][p] &&
                (!t->joined_surely[i][p] || t->floats || model_has_floats(&w->model, i, p, sim_clock_ms())))
                return check_recovered(w);
    return true;
}

static void choose_timeout(struct world *w, int id)
{
    bool is_short = w->timeouts && rng_once_in(&w->rng, 3);
    w->model.ids[id].timeout_ms = is_short ? (int32_t)rng_between(&w->rng, 1, 4000) : TIMEOUT_MS;
}

/* Who comes while the last transaction is being ended is told to try again. */
static int ask_for_producer(struct world *w, int id)
{
    struct model_id *m = &w->model.ids[id];
    int rc = ERR_CONCURRENT_TRANSACTIONS;
    for (int i = 0; i < TRIES_MAX && rc == ERR_CONCURRENT_TRANSACTIONS && !sim_is_cut(); i++) {
        rc = broker_init_producer(w->b, world_id_name(id), m->timeout_ms, &m->producer, &m->epoch, &w->e);
        if (rc == ERR_CONCURRENT_TRANSACTIONS) {
            sim_clock_add_ms(10);
            sched_yield();
        }
    }
    return rc;
}

static bool init_producer(struct world *w, int id)
{
    struct model_id *m = &w->model.ids[id];
    int32_t txn = m->txn;
    struct model_txn *t = txn >= 0 ? &w->model.txns[txn] : NULL;
    bool open = t && t->outcome != TXN_COMMITTED && t->outcome != TXN_ABORTED;
    bool unclear = open && t->outcome != TXN_OPEN; /* an end that left no trace */
    choose_timeout(w, id);
    world_say(w, "new producer for %s, its transactions may take %d ms", world_id_name(id), m->timeout_ms);
    if (open && has_no_place(w, t))
        t->outcome = t->outcome == TXN_COMMITTING ? TXN_COMMITTING : TXN_ABORTING;
    else if (unclear)
        try_markers(w, txn, false, false);
    else if (open)
        try_end(w, txn, false);
    int rc = ask_for_producer(w, id);
    if (world_gone(w, rc, "making a transactional producer"))
        return false;
    if (m->producer > w->model.largest_producer)
        w->model.largest_producer = m->producer;
    if (open && (!unclear || (t->floats && t->outcome == TXN_ABORTING)))
        ended(w, txn, false);
    m->txn = -1;
    memset(m->sequence, 0, sizeof m->sequence);
    return !open || look_for_markers(w, txn);
}

bool op_init_producers(struct world *w)
{
    for (int id = 0; id < MODEL_IDS; id++)
        if (!init_producer(w, id))
            return false;
    return true;
}

/* ---- steps -------------------------------------------------------------------------------------------------------------- */

static int32_t begin(struct world *w, int id)
{
    struct model_id *m = &w->model.ids[id];
    if (m->txn < 0)
        m->txn = model_txn_new(&w->model, id, sim_clock_ms());
    return m->txn;
}

static bool join(struct world *w, int id)
{
    struct txn_partition joins[TARGETS_MAX];
    struct target at[TARGETS_MAX];
    size_t n = 0, want = 1 + rng_below(&w->rng, TARGETS_MAX);
    while (n < want && choose_target(w, !rng_once_in(&w->rng, 6), &at[n])) {
        joins[n] = (struct txn_partition){world_topic_name(at[n].topic), at[n].partition};
        world_say(w, "%s: %s-%d joins", world_id_name(id), joins[n].topic, joins[n].partition);
        n++;
    }
    if (!n)
        return true;
    int32_t txn = begin(w, id);
    for (size_t i = 0; i < n; i++)
        w->model.txns[txn].joined[at[i].topic][at[i].partition] = true;
    int rc = broker_txn_add_partitions(w->b, world_id_name(id), w->model.ids[id].producer,
                                       w->model.ids[id].epoch, joins, n, &w->e);
    if (was_ended(w, id, rc))
        return true;
    if (world_gone(w, rc, "adding partitions"))
        return false;
    for (size_t i = 0; i < n; i++)
        w->model.txns[txn].joined_surely[at[i].topic][at[i].partition] = true;
    return true;
}

/* A batch of the transaction, told of to the model. */
static void add_request(struct world *w, int id, int32_t txn, int32_t unit, const struct target *at,
                        struct produce_request *r, uint64_t *first)
{
    struct model_id *m = &w->model.ids[id];
    struct entry e;
    size_t n;
    batch_choose(w, at, &e);
    e.producer = m->producer;
    e.sequence = m->sequence[at->topic][at->partition];
    m->sequence[at->topic][at->partition] += e.count;
    e.txn = txn;
    e.unit = unit;
    uint8_t *data = batch_make(w, &e, m->epoch, &n);
    *r = (struct produce_request){.topic = world_topic_name(at->topic),
                                  .partition = at->partition,
                                  .data = data,
                                  .bytes = n,
                                  .built_here = rng_once_in(&w->rng, 2)};
    *first = e.first;
    e.bytes = (int64_t)n;
    model_append(target_partition(w, at), &e);
    world_say(w, "%s: records %llu to %s-%d", world_id_name(id), (unsigned long long)e.first, r->topic,
              r->partition);
}

/* What the answers to the requests of a transaction say of its records. */
static void settle_requests(struct world *w, const struct target *at, const uint64_t *first,
                            struct produce_request *r, size_t n, bool on, bool lost)
{
    for (size_t i = 0; i < n; i++) {
        if (on && lost && r[i].error.code)
            model_take_back(w, &at[i], first[i]);
        else if (on)
            model_acknowledge(w, &at[i], first[i], &r[i].appended);
        mem_free(r[i].data);
    }
}

static bool append(struct world *w, int id)
{
    const struct model_txn *t = open_txn(w, id);
    struct produce_request r[TARGETS_MAX];
    struct target at[TARGETS_MAX];
    uint64_t first[TARGETS_MAX];
    size_t n = 0;
    bool atomic = rng_once_in(&w->rng, 2);
    int32_t unit = atomic && !w->model.two ? w->model.units++ : -1;
    for (int i = 0; i < MODEL_TOPICS; i++)
        for (int32_t p = 0; p < MODEL_PARTITIONS && n < TARGETS_MAX; p++)
            if (t->joined_surely[i][p] && !rng_once_in(&w->rng, 3)) {
                at[n] = (struct target){i, p};
                add_request(w, id, w->model.ids[id].txn, unit, &at[n], &r[n], &first[n]);
                n++;
            }
    int rc = n ? broker_produce(w->b, r, n, atomic, &w->e) : ERR_OK;
    bool lost = was_ended(w, id, rc), on = lost || !world_gone(w, rc, "appending in a transaction");
    settle_requests(w, at, first, r, n, on, lost);
    return on;
}

bool has_pending_offset(const struct world *w, int group, int topic)
{
    for (int g = 0; g < MODEL_GROUPS; g++) /* one that is decided and not yet shown */
        if ((group < 0 || g == group) && w->model.offsets[g][topic].txn >= 0)
            return true;
    for (int i = 0; i < MODEL_IDS; i++)
        for (int g = 0; w->model.ids[i].txn >= 0 && g < MODEL_GROUPS; g++)
            if ((group < 0 || g == group) && w->model.txns[w->model.ids[i].txn].offsets[g][topic] >= 0)
                return true;
    return false;
}

static bool add_offset(struct world *w, int id)
{
    struct target at;
    int group = (int)rng_below(&w->rng, MODEL_GROUPS);
    if (!choose_target(w, false, &at) || has_pending_offset(w, group, at.topic))
        return true;
    struct group_offset o = {
        .topic = world_topic_name(at.topic), .offset = (int64_t)rng_below(&w->rng, 1000), .leader_epoch = -1};
    world_say(w, "%s: offset %lld of %s for %s", world_id_name(id), (long long)o.offset, o.topic,
              world_group_name(group));
    int32_t txn = begin(w, id);
    w->model.txns[txn].offsets[group][at.topic] = o.offset;
    int rc = broker_txn_commit_offsets(w->b, world_id_name(id), w->model.ids[id].producer,
                                       w->model.ids[id].epoch, world_group_name(group), &o, 1, &w->e);
    return was_ended(w, id, rc) || !world_gone(w, rc, "adding an offset");
}

static void settle_offsets(struct world *w, int32_t txn, bool done)
{
    done = done && !(w->model.two && w->faults); /* see check_stored_offset */
    for (int g = 0; g < MODEL_GROUPS; g++)
        for (int t = 0; t < MODEL_TOPICS; t++) {
            struct model_offset *o = &w->model.offsets[g][t];
            int64_t value = w->model.txns[txn].offsets[g][t];
            if (value >= 0)
                *o = done ? (struct model_offset){value, -2, -1} : (struct model_offset){o->sure, value, txn};
        }
}

/* An end that was refused: the transaction was aborted meanwhile, or will be. */
static void take_back_end(struct world *w, int id)
{
    struct model_txn *t = open_txn(w, id);
    if (t->unit >= 0)
        model_take_back_unit(w, t->unit);
    t->unit = -1;
}

/* By either version; after the second the producer has another epoch. */
static int ask_for_end(struct world *w, int id, bool commit, bool bumped)
{
    struct model_id *m = &w->model.ids[id];
    int64_t next_id;
    int16_t next_epoch;
    if (!bumped)
        return broker_txn_end(w->b, world_id_name(id), m->producer, m->epoch, commit, &w->e);
    int rc = broker_txn_end_bumped(w->b, world_id_name(id), m->producer, m->epoch, commit, &next_id,
                                   &next_epoch, &w->e);
    if (rc == ERR_OK) {
        m->producer = next_id;
        m->epoch = next_epoch;
        memset(m->sequence, 0, sizeof m->sequence);
    }
    return rc;
}

static bool end(struct world *w, int id, bool commit)
{
    int32_t txn = w->model.ids[id].txn;
    bool bumped = rng_once_in(&w->rng, 2);
    world_say(w, "%s: %s, version %d", world_id_name(id), commit ? "commit" : "abort", bumped ? 2 : 1);
    has_no_place(w, &w->model.txns[txn]);
    try_end(w, txn, commit);
    if (commit)
        settle_offsets(w, txn, false);
    int rc = ask_for_end(w, id, commit, bumped);
    if (was_ended(w, id, rc)) {
        take_back_end(w, id);
        return check_recovered(w);
    }
    if (world_gone(w, rc, "ending a transaction"))
        return false;
    ended(w, txn, commit);
    if (commit)
        settle_offsets(w, txn, true);
    return look_for_markers(w, txn);
}

/* Data, state and markers in one; over several directories one after the other. */
static bool commit_all(struct world *w, int id)
{
    struct produce_request r[TARGETS_MAX];
    struct target at[TARGETS_MAX];
    uint64_t first[TARGETS_MAX];
    size_t n = 0, want = 1 + rng_below(&w->rng, TARGETS_MAX);
    int32_t txn = begin(w, id);
    struct model_txn *t = &w->model.txns[txn];
    int32_t unit = has_no_place(w, t) ? -1 : w->model.units; /* that of its end */
    while (n < want && choose_target(w, true, &at[n])) {
        add_request(w, id, txn, unit, &at[n], &r[n], &first[n]);
        t->joined[at[n].topic][at[n].partition] = true;
        n++;
    }
    world_say(w, "%s: commit all", world_id_name(id));
    try_end(w, txn, true);
    settle_offsets(w, txn, false);
    int rc = broker_txn_commit_all(w->b, world_id_name(id), w->model.ids[id].producer, w->model.ids[id].epoch,
                                   r, n, &w->e);
    bool lost = was_ended(w, id, rc), on = lost || !world_gone(w, rc, "committing a transaction");
    settle_requests(w, at, first, r, n, on, lost);
    if (lost)
        take_back_end(w, id);
    if (on && !lost) {
        ended(w, txn, true);
        settle_offsets(w, txn, true);
    }
    return on && look_for_markers(w, txn);
}

bool op_txn(struct world *w)
{
    int id = (int)rng_below(&w->rng, MODEL_IDS);
    struct model_txn *t = open_txn(w, id);
    /* Sometimes the producer does not know yet that its time has passed. */
    bool over = t && (t->outcome != TXN_OPEN ||
                      (model_may_have_expired(t, sim_clock_ms()) && !rng_once_in(&w->rng, 3)));
    if (w->model.ids[id].producer < 0 || over || rng_once_in(&w->rng, 20))
        return init_producer(w, id);
    switch (rng_below(&w->rng, t ? 8 : 4)) {
    case 0:
        return commit_all(w, id);
    case 1:
        return add_offset(w, id);
    case 2:
    case 3:
        return join(w, id);
    case 4:
    case 5:
        return append(w, id);
    default:
        return end(w, id, !rng_once_in(&w->rng, 3));
    }
}
