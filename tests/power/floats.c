/*
 * floats: markers whose place in a log nobody can foretell: those of a transaction whose time has passed, which upkeep, a
 * start or the next producer writes at any moment; and those of several data directories, which a start may write once more
 * where they are already. Such a transaction has no marker in the model before a reader finds one.
 */
#include "tests/power/match.h"

/* May this kind of marker be one of its? */
static bool fits(const struct world *w, const struct model_txn *t, enum entry_kind kind)
{
    if (!model_may_float(&w->model, t, sim_clock_ms()))
        return false;
    switch (t->outcome) {
    case TXN_COMMITTED:
        return kind != ENTRY_ABORT;
    case TXN_ABORTED:
    case TXN_ABORTING:
        return kind != ENTRY_COMMIT;
    case TXN_COMMITTING: /* nobody was told */
        return true;
    default:
        return kind != ENTRY_COMMIT && model_may_have_expired(t, sim_clock_ms());
    }
}

/* The one whose data stands before it and has no marker yet; -1: there is none. */
static int32_t open_before(const struct model_partition *p, int64_t producer, size_t k)
{
    while (k-- > 0) {
        const struct entry *e = &p->list[k];
        if (e->producer == producer && e->found)
            return e->kind == ENTRY_DATA ? e->txn : -1;
    }
    return -1;
}

/* One that joined: without data there, or ended once more. */
static int32_t any_that_joined(const struct world *w, int topic, int32_t partition, const struct found *f)
{
    for (size_t i = w->model.txn_count; i-- > 0;) {
        const struct model_txn *t = &w->model.txns[i];
        if (t->producer == f->producer && t->joined[topic][partition] && fits(w, t, f->kind))
            return (int32_t)i;
    }
    return -1;
}

int32_t floats_whose(struct world *w, int topic, int32_t partition, const struct found *f, size_t k)
{
    int32_t i = open_before(&w->model.topics[topic].parts[partition], f->producer, k);
    if (i >= 0 && !fits(w, &w->model.txns[i], f->kind))
        return -1;
    if (i < 0)
        i = any_that_joined(w, topic, partition, f);
    if (i < 0 || f->kind == ENTRY_EMPTIED || w->model.topics[topic].once_page_cache)
        return i;
    w->model.txns[i].floats = true;
    w->model.txns[i].outcome = f->kind == ENTRY_COMMIT ? TXN_COMMITTED : TXN_ABORTED;
    return i;
}
