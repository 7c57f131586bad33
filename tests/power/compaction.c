/*
 * compaction: see compaction.h. Entries are judged from the newest to the oldest.
 */
#include "tests/power/compaction.h"

#include <string.h>

bool entry_matches(const struct entry *e, const struct found *f)
{
    if (e->count != f->count || (e->base >= 0 && e->base != f->base))
        return false;
    if (e->kind != ENTRY_DATA)
        return (e->kind == f->kind || f->kind == ENTRY_EMPTIED) && e->producer == f->producer;
    if (f->kind != ENTRY_DATA)
        return false;
    if (f->there)
        return e->first == f->first;
    bool likely = e->base >= 0 || e->sure != OPTIONAL;
    return likely && e->producer == f->producer && (e->producer < 0 || e->sequence == f->sequence);
}

/* What of an entry counts for the keys of those before it. */
enum weight { NO_WEIGHT, MAYBE, CERTAIN };

struct judge {
    const struct model *m;
    const struct model_topic *t;
    const struct model_partition *p;
    const struct found_list *l;
    int64_t now_ms;
    enum weight later[RECORD_KEYS]; /* is there a later record of the key, old enough to be counted? */
    bool buried[RECORD_KEYS];       /* by a tombstone that went */
    const struct entry *risen;
};

static uint32_t records_there(const struct judge *j, const struct entry *e)
{
    if (!j->l)
        return model_all_records(e) & ~e->gone;
    for (size_t i = 0; i < j->l->n; i++)
        if (entry_matches(e, &j->l->list[i]))
            return j->l->list[i].there;
    return 0;
}

/* Is what it says committed? */
static enum weight weight_of(const struct judge *j, const struct entry *e)
{
    if (e->txn < 0)
        return CERTAIN;
    enum txn_outcome outcome = j->m->txns[e->txn].outcome;
    if (outcome == TXN_COMMITTED && !j->t->once_page_cache)
        return CERTAIN;
    return outcome == TXN_COMMITTED || outcome == TXN_COMMITTING ? MAYBE : NO_WEIGHT;
}

/* What page-cache topics have of a transaction may be in pieces, whose rest a recovery aborts. */
static bool may_be_aborted(const struct judge *j, const struct entry *e)
{
    if (e->txn < 0)
        return false;
    const struct model_txn *t = &j->m->txns[e->txn];
    return j->t->once_page_cache || (t->outcome != TXN_COMMITTED && t->outcome != TXN_OPEN) ||
           model_may_have_expired(t, j->now_ms);
}

static bool is_past(const struct judge *j, int64_t from_ms, int64_t by_ms)
{
    return j->now_ms - from_ms >= by_ms;
}

static void judge_record(struct judge *j, struct entry *e, int32_t k, uint32_t there)
{
    uint64_t number = e->first + (uint64_t)k;
    uint32_t bit = UINT32_C(1) << k;
    int key = record_key_index(number);
    int64_t oldest =
        e->timestamp < e->tried_ms ? e->timestamp : e->tried_ms; /* it may have got the append's */
    bool tombstone = record_is_tombstone(number);
    bool may = key < 0 || may_be_aborted(j, e) || j->later[key] != NO_WEIGHT ||
               (tombstone && is_past(j, e->tried_ms, j->t->delete_retention_min));
    if (!is_past(j, oldest, j->t->min_lag_min))
        return;
    if (may)
        e->may_go |= bit;
    enum weight weight = key < 0 ? NO_WEIGHT : weight_of(j, e);
    if (weight == NO_WEIGHT)
        return;
    if (there & bit) {
        if (weight == CERTAIN && j->buried[key] && j->l && e->base + k >= j->l->start)
            j->risen = e;
    } else if (!tombstone || !may) {
        return; /* counts for nothing any more: what superseded it does */
    } else if (weight == CERTAIN && e->sure == SURE) {
        j->buried[key] = true;
    } else {
        weight = MAYBE; /* it went, or never was */
    }
    j->later[key] = weight > j->later[key] ? weight : j->later[key];
}

/* A marker goes some time after the last record of its transaction; one that follows another of its kind ends nothing. */
static void judge_marker(struct judge *j, struct entry *e)
{
    bool needed = false;
    for (const struct entry *x = j->p->list; x < e && e->txn >= 0 && j->l; x++) {
        if (x->txn != e->txn)
            continue;
        needed = x->kind == ENTRY_DATA ? needed || records_there(j, x) : needed && x->gone;
    }
    e->may_go = !needed && is_past(j, e->tried_ms, j->t->delete_retention_min);
}

const struct entry *compaction_judge(struct model *m, int topic, int partition, int64_t now_ms,
                                     const struct found_list *l)
{
    struct model_topic *t = &m->topics[topic];
    struct model_partition *p = &t->parts[partition];
    struct judge j = {.m = m, .t = t, .p = p, .l = l, .now_ms = now_ms};
    for (size_t i = p->n; i-- > 0;) {
        struct entry *e = &p->list[i];
        e->may_go = 0;
        if (!t->once_compact)
            continue;
        if (e->kind != ENTRY_DATA) {
            judge_marker(&j, e);
            continue;
        }
        uint32_t there = records_there(&j, e);
        for (int32_t k = e->count; k-- > 0;)
            judge_record(&j, e, k, there);
    }
    return j.risen;
}
