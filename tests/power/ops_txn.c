/*
 * ops_txn: transactions: in steps and all at once, committed, aborted, and left open by a producer whose successor comes.
 */
#include <string.h>

#include "base/mem.h"
#include "tests/power/ops.h"

enum { TIMEOUT_MS = 900000 };

static struct model_txn *open_txn(struct world *w, int id)
{
    int32_t i = w->model.ids[id].txn;
    return i < 0 ? NULL : &w->model.txns[i];
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
    t->unit = w->model.units++;
    t->outcome = commit ? TXN_COMMITTING : TXN_ABORTING;
    try_markers(w, txn, commit, true);
}

static void ended(struct world *w, int32_t txn, bool commit)
{
    struct model_txn *t = &w->model.txns[txn];
    t->outcome = commit ? TXN_COMMITTED : TXN_ABORTED;
    model_acknowledge_unit(w, t->unit);
    w->model.ids[t->id].txn = -1;
}

/* Markers that may be there: look. */
static bool look_for_markers(struct world *w, int32_t txn)
{
    const struct model_txn *t = &w->model.txns[txn];
    for (int i = 0; i < MODEL_TOPICS; i++)
        for (int32_t p = 0; p < w->model.topics[i].partitions; p++)
            if (t->joined[i][p] && !t->joined_surely[i][p])
                return check_recovered(w);
    return true;
}

static bool init_producer(struct world *w, int id)
{
    struct model_id *m = &w->model.ids[id];
    int32_t txn = m->txn;
    bool open =
        txn >= 0 && w->model.txns[txn].outcome != TXN_COMMITTED && w->model.txns[txn].outcome != TXN_ABORTED;
    world_say(w, "new producer for %s", world_id_name(id));
    bool unclear = open && w->model.txns[txn].outcome != TXN_OPEN; /* an end that left no trace */
    if (unclear)
        try_markers(w, txn, false, false);
    else if (open)
        try_end(w, txn, false);
    int rc = broker_init_producer(w->b, world_id_name(id), TIMEOUT_MS, &m->producer, &m->epoch, &w->e);
    if (world_gone(w, rc, "making a transactional producer"))
        return false;
    if (m->producer > w->model.largest_producer)
        w->model.largest_producer = m->producer;
    if (open && !unclear)
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
        m->txn = model_txn_new(&w->model, id, m->producer, m->epoch);
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
    batch_choose(w, &e);
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

static bool append(struct world *w, int id)
{
    const struct model_txn *t = open_txn(w, id);
    struct produce_request r[TARGETS_MAX];
    struct target at[TARGETS_MAX];
    uint64_t first[TARGETS_MAX];
    size_t n = 0;
    bool atomic = rng_once_in(&w->rng, 2);
    int32_t unit = atomic ? w->model.units++ : -1;
    for (int i = 0; i < MODEL_TOPICS; i++)
        for (int32_t p = 0; p < MODEL_PARTITIONS && n < TARGETS_MAX; p++)
            if (t->joined_surely[i][p] && !rng_once_in(&w->rng, 3)) {
                at[n] = (struct target){i, p};
                add_request(w, id, w->model.ids[id].txn, unit, &at[n], &r[n], &first[n]);
                n++;
            }
    int rc = n ? broker_produce(w->b, r, n, atomic, &w->e) : ERR_OK;
    bool on = !world_gone(w, rc, "appending in a transaction");
    for (size_t i = 0; i < n; i++) {
        if (on)
            model_acknowledge(w, &at[i], first[i], &r[i].appended);
        mem_free(r[i].data);
    }
    return on;
}

bool has_pending_offset(const struct world *w, int group, int topic)
{
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
    return !world_gone(w, rc, "adding an offset");
}

static void settle_offsets(struct world *w, int32_t txn, bool done)
{
    for (int g = 0; g < MODEL_GROUPS; g++)
        for (int t = 0; t < MODEL_TOPICS; t++) {
            struct model_offset *o = &w->model.offsets[g][t];
            int64_t value = w->model.txns[txn].offsets[g][t];
            if (value >= 0)
                *o = done ? (struct model_offset){value, -2, -1} : (struct model_offset){o->sure, value, txn};
        }
}

static bool end(struct world *w, int id, bool commit)
{
    int32_t txn = w->model.ids[id].txn;
    world_say(w, "%s: %s", world_id_name(id), commit ? "commit" : "abort");
    try_end(w, txn, commit);
    if (commit)
        settle_offsets(w, txn, false);
    int rc = broker_txn_end(w->b, world_id_name(id), w->model.ids[id].producer, w->model.ids[id].epoch,
                            commit, &w->e);
    if (world_gone(w, rc, "ending a transaction"))
        return false;
    ended(w, txn, commit);
    if (commit)
        settle_offsets(w, txn, true);
    return look_for_markers(w, txn);
}

/* Data, state and markers in one. */
static bool commit_all(struct world *w, int id)
{
    struct produce_request r[TARGETS_MAX];
    struct target at[TARGETS_MAX];
    uint64_t first[TARGETS_MAX];
    size_t n = 0, want = 1 + rng_below(&w->rng, TARGETS_MAX);
    int32_t txn = begin(w, id), unit = w->model.units;
    struct model_txn *t = &w->model.txns[txn];
    while (n < want && choose_target(w, true, &at[n])) {
        add_request(w, id, txn, unit, &at[n], &r[n], &first[n]);
        t->joined[at[n].topic][at[n].partition] = true;
        n++;
    }
    world_say(w, "%s: commit all", world_id_name(id));
    try_end(w, txn, true); /* takes the same unit */
    settle_offsets(w, txn, false);
    int rc = broker_txn_commit_all(w->b, world_id_name(id), w->model.ids[id].producer, w->model.ids[id].epoch,
                                   r, n, &w->e);
    bool on = !world_gone(w, rc, "committing a transaction");
    for (size_t i = 0; i < n; i++) {
        if (on)
            model_acknowledge(w, &at[i], first[i], &r[i].appended);
        mem_free(r[i].data);
    }
    if (on) {
        ended(w, txn, true);
        settle_offsets(w, txn, true);
    }
    return on && look_for_markers(w, txn);
}

/*
 * In two directories a transaction ends by markers that a recovery may write again, and its data is there before it is
 * decided: what the model knows of them does not hold. tests/unit/broker/test_disks_txn cuts the power there.
 */
bool op_txn(struct world *w)
{
    if (w->two)
        return true;
    int id = (int)rng_below(&w->rng, MODEL_IDS);
    if (w->model.ids[id].producer < 0 || rng_once_in(&w->rng, 20))
        return init_producer(w, id);
    bool open = open_txn(w, id) != NULL;
    switch (rng_below(&w->rng, open ? 8 : 4)) {
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
