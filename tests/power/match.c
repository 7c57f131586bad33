/*
 * match: compares what a reader found in a partition with the model, which goes on from there.
 */
#include <stdio.h>
#include <string.h>

#include "tests/power/match.h"

static bool is_trimmed(const struct model_partition *p, const struct entry *e)
{
    return e->base >= 0 && e->base + e->count <= p->start_max;
}

/*
 * Nobody was told of it when the power failed, so its place is not known; but it went with its segment if there is room for it below the
 * log's start, behind what is known to be before it.
 */
static bool fits_below_start(const struct model_partition *p, const struct entry *e)
{
    int64_t next = -1;
    const struct entry *all = p->list, *end = p->list + p->n;
    for (; all <= e; all++)
        next = all->base >= 0 ? all->base + all->count : next >= 0 ? next + all->count : -1;
    while (all < end && all->base < 0)
        all++;
    return next >= 0 && next <= p->start_found && (all == end || all->base >= next);
}

static bool may_be_trimmed(const struct model_partition *p, const struct entry *e)
{
    return is_trimmed(p, e) || (e->sure == UNSURE && fits_below_start(p, e));
}

/* Is everything that it lacks what compaction may have taken? */
static bool may_be_compacted(const struct entry *e)
{
    uint32_t all = e->kind == ENTRY_DATA ? model_all_records(e) : 1;
    return (all & ~e->gone & ~e->may_go) == 0;
}

static bool may_be_missing(const struct model_partition *p, const struct entry *e)
{
    return e->sure != SURE || is_trimmed(p, e) || may_be_compacted(e);
}

static void note_missing(struct model_topic *t, struct model_partition *p, struct entry *e, struct units *u)
{
    e->found = false;
    if (e->unit >= 0 && !may_be_trimmed(p, e) && e->sure != OPTIONAL && !t->once_page_cache &&
        !may_be_compacted(e))
        u->missing[e->unit] = true;
}

static void describe(const struct entry *e, char *out, size_t size)
{
    static const char *const kinds[] = {"records", "commit marker", "abort marker"};
    snprintf(out, size, "%s %llu+%d of offset %lld", kinds[e->kind], (unsigned long long)e->first, e->count,
             (long long)e->base);
}

static void describe_found(const struct found *f, char *out, size_t size)
{
    static const char *const kinds[] = {"records", "a commit marker", "an abort marker", "an emptied marker"};
    snprintf(out, size, "%s %llu+%d of producer %lld", kinds[f->kind], (unsigned long long)f->first, f->count,
             (long long)f->producer);
}

static void tell_partition(struct world *w, const struct model_partition *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct entry *e = &p->list[i];
        world_say(
            w,
            "offset %lld: kind %d, certainty %d, transaction %d, gone %x, may go %x, must %x, tried at %lld",
            (long long)e->base, e->kind, e->sure, e->txn, e->gone, e->may_go, e->must_go,
            (long long)e->tried_ms);
        for (int32_t k = 0; k < e->count && e->kind == ENTRY_DATA; k++)
            world_say(w, "  record %llu: key %d%s", (unsigned long long)e->first + (uint64_t)k,
                      record_key_index(e->first + (uint64_t)k),
                      record_is_tombstone(e->first + (uint64_t)k) ? ", tombstone" : "");
    }
}

static void insert_entry(struct model_partition *p, size_t at, const struct found *f, int32_t txn)
{
    struct entry e = {.kind = f->kind == ENTRY_EMPTIED ? ENTRY_ABORT : f->kind,
                      .sure = OPTIONAL,
                      .base = f->base,
                      .count = f->count,
                      .bytes = f->bytes,
                      .producer = f->producer,
                      .timestamp = f->timestamp,
                      .unit = -1,
                      .txn = txn,
                      .found = true};
    model_append(p, &e);
    memmove(&p->list[at + 1], &p->list[at], (p->n - 1 - at) * sizeof *p->list);
    p->list[at] = e;
}

/*
 * A marker that was not foretold. In page-cache topics recovery ends what it finds open by such. Inserts it at `k`; false: it
 * has no business there.
 */
static bool take_marker(struct world *w, int topic, int32_t partition, const struct found *f, size_t k)
{
    const struct model_topic *t = &w->model.topics[topic];
    struct model_partition *p = &w->model.topics[topic].parts[partition];
    if (f->kind == ENTRY_DATA)
        return false;
    bool in_pieces = t->once_page_cache && (f->kind != ENTRY_COMMIT || w->model.two);
    int32_t txn = floats_whose(w, topic, partition, f, k);
    if (txn < 0 && !in_pieces)
        return false;
    insert_entry(p, k, f, txn);
    return true;
}

static bool may_be_passed(const struct model_partition *p, size_t k, size_t to)
{
    while (k < to && may_be_missing(p, &p->list[k]))
        k++;
    return k == to;
}

/* The entry for `f`, from `k` on; those in between are not there. */
static size_t find_entry(struct world *w, int topic, int32_t partition, const struct found *f, size_t k,
                         bool *skipped, struct units *u)
{
    struct model_topic *t = &w->model.topics[topic];
    struct model_partition *p = &t->parts[partition];
    char text[128], other[128];
    size_t at = k;
    describe_found(f, other, sizeof other);
    while (at < p->n && !entry_matches(&p->list[at], f))
        at++;
    /* A later marker of the same producer, whose place is not known, is not this one if what is before it has to be there. */
    if ((at == p->n || !may_be_passed(p, k, at)) && take_marker(w, topic, partition, f, k))
        return k;
    if (at == p->n) {
        tell_partition(w, p);
        world_fail(w, "%s-%d: offset %lld has %s, which nobody wrote there or which was gone once",
                   world_topic_name(topic), partition, (long long)f->base, other);
    }
    for (; k < at; k++) {
        struct entry *e = &p->list[k];
        describe(e, text, sizeof text);
        if (!may_be_missing(p, e))
            tell_partition(w, p);
        if (!may_be_missing(p, e))
            world_fail(w, "%s-%d: offset %lld has %s, %s was acknowledged before it", world_topic_name(topic),
                       partition, (long long)f->base, other, text);
        *skipped = *skipped || (e->sure == UNSURE && !may_be_trimmed(p, e) && !may_be_compacted(e));
        note_missing(t, p, e, u);
    }
    return k;
}

/* What compaction left of a batch. */
static void match_records(struct world *w, int topic, int32_t partition, const struct found *f,
                          struct entry *e)
{
    uint32_t missing = model_all_records(e) & ~f->there & ~e->gone;
    char text[128];
    describe(e, text, sizeof text);
    if (f->there & e->gone)
        world_fail(w, "%s-%d: %s has records again that were gone (%x of them)", world_topic_name(topic),
                   partition, text, f->there & e->gone);
    if (w->trace && ((missing & ~e->may_go) || (f->there & e->due)))
        tell_partition(w, &w->model.topics[topic].parts[partition]);
    if (e->kind == ENTRY_DATA && (missing & ~e->may_go) &&
        !is_trimmed(&w->model.topics[topic].parts[partition], e))
        world_fail(w, "%s-%d: %s lacks records that were to stay (%x of them)", world_topic_name(topic),
                   partition, text, missing & ~e->may_go);
    if (f->there & e->due)
        world_fail(w, "%s-%d: %s has records that a pass of compaction had to take (%x of them)",
                   world_topic_name(topic), partition, text, f->there & e->due);
    e->gone |= missing;
}

/*
 * Where calls fail, what a page-cache topic's log has of a refused append may fail to be taken back. The store says so, and
 * the log is out of service; but whether the rest is on disk no journal tells.
 */
static bool may_return(const struct world *w, const struct model_topic *t, const struct entry *e)
{
    return w->loose && told_of_leftovers(false) && t->once_page_cache && e->kind == ENTRY_DATA &&
           e->sure != SURE && e->base < 0;
}

/*
 * Compaction leaves of a producer its last batch, if only the header. Of a page-cache topic that one may be lost; then a
 * snapshot may know of the one before it, which compaction has taken.
 */
static void note_hazy(const struct world *w, const struct model_topic *t, struct model_partition *p,
                      const struct entry *e)
{
    for (int i = 0; t->once_page_cache && i < MODEL_PRODUCERS; i++)
        if (e->kind == ENTRY_DATA && e->producer >= 0 && e->producer == w->model.producers[i] &&
            may_be_compacted(e))
            p->hazy |= UINT32_C(1) << i;
}

/* What was deleted may come back, as its deletion was not synced. */
static void forget_missing(struct world *w, struct model_topic *t, struct model_partition *p,
                           const struct found_list *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct entry *e = &p->list[i];
        bool returns = !e->found && (may_return(w, t, e) || e->sure == OPTIONAL) && e->kind == ENTRY_DATA;
        if (returns) {
            e->sure = OPTIONAL;
            e->producer = -1; /* which knows nothing of it */
        }
        if (e->found || returns || (e->base >= 0 && e->base + e->count <= l->start))
            p->list[kept++] = *e;
        else
            note_hazy(w, t, p, e);
    }
    p->n = kept;
    if (p->start_max > l->end)
        p->start_max = l->end;
}

static void match_start(struct world *w, int topic, int32_t partition, const struct found_list *l)
{
    struct model_partition *p = &w->model.topics[topic].parts[partition];
    const char *name = world_topic_name(topic);
    p->start_found = l->start;
    /* Of a page-cache topic whole segments may be lost: then what was written first may be what is missing. */
    if (w->model.topics[topic].once_page_cache && l->start > p->start_max) {
        for (size_t i = 0; i < p->n && p->list[i].base < l->start; i++)
            if (!may_be_missing(p, &p->list[i]))
                world_fail(w, "%s-%d: offset %lld was synced and is lost, the log starts at %lld", name,
                           partition, (long long)p->list[i].base, (long long)l->start);
        p->start_max = l->start;
    }
    if (l->start < p->start_min || l->start > p->start_max) {
        tell_partition(w, p);
        world_fail(w, "%s-%d: starts at %lld, deleted were records up to %lld at least, %lld at most", name,
                   partition, (long long)l->start, (long long)p->start_min, (long long)p->start_max);
    }
}

static void match_one(struct world *w, int topic, int32_t partition, const struct found *f, size_t *k,
                      bool *skipped, struct units *u)
{
    struct model_topic *t = &w->model.topics[topic];
    *k = find_entry(w, topic, partition, f, *k, skipped, u);
    struct entry *e = &t->parts[partition].list[(*k)++];
    if (*skipped && !w->loose && e->sure != OPTIONAL)
        world_fail(w, "%s-%d: offset %lld is there without what came before it", world_topic_name(topic),
                   partition, (long long)f->base);
    e->base = f->base;
    e->bytes = f->bytes;
    e->sure = SURE;
    e->found = true;
    if (e->unit >= 0 && !t->once_page_cache)
        u->found[e->unit] = true;
    if (t->once_compact)
        match_records(w, topic, partition, f, e);
}

/* What is left of the model has no counterpart. */
static void match_end(struct world *w, int topic, int32_t partition, const struct found_list *l, size_t k,
                      struct units *u)
{
    struct model_partition *p = &w->model.topics[topic].parts[partition];
    char text[128];
    for (; k < p->n; k++) {
        if (!may_be_missing(p, &p->list[k])) {
            describe(&p->list[k], text, sizeof text);
            world_fail(w, "%s-%d: %s was acknowledged and is lost, the log ends at %lld",
                       world_topic_name(topic), partition, text, (long long)l->end);
        }
        note_missing(&w->model.topics[topic], p, &p->list[k], u);
    }
}

void match_partition(struct world *w, int topic, int32_t partition, const struct found_list *l,
                     struct units *u)
{
    struct model_topic *t = &w->model.topics[topic];
    struct model_partition *p = &t->parts[partition];
    const char *name = world_topic_name(topic);
    bool skipped = false;
    size_t k = 0;
    int64_t next = l->start;
    const struct entry *risen = compaction_judge(&w->model, topic, partition, sim_clock_ms(), l);
    if (risen)
        tell_partition(w, p);
    if (risen)
        world_fail(w, "%s-%d: offset %lld has a record that is older than a tombstone that went", name,
                   partition, (long long)risen->base);
    match_start(w, topic, partition, l);
    for (size_t i = 0; i < l->n; i++) {
        const struct found *f = &l->list[i];
        if (f->base > next && f->base > p->start_max && !t->once_compact)
            world_fail(w, "%s-%d: offset %lld follows %lld", name, partition, (long long)f->base,
                       (long long)next);
        next = f->base + f->count;
        match_one(w, topic, partition, f, &k, &skipped, u);
    }
    match_end(w, topic, partition, l, k, u);
    if (next != l->end)
        world_fail(w, "%s-%d: the last record is before %lld, the end is %lld", name, partition,
                   (long long)next, (long long)l->end);
    forget_missing(w, t, p, l);
}
