/*
 * cleaned: see cleaned.h. The linker puts log_clean of this file before the store's.
 */
#include "tests/power/cleaned.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "storage/clean.h"

static struct world *watched;

void cleaned_watch(struct world *w)
{
    watched = w;
}

static bool known_log(struct log *log, int *topic, int32_t *partition)
{
    const char *name = log_name(log), *dash = strrchr(name, '-');
    for (*topic = 0; watched && *topic < MODEL_TOPICS; ++*topic) {
        const char *known = world_topic_name(*topic);
        if ((size_t)(dash - name) == strlen(known) && memcmp(name, known, strlen(known)) == 0) {
            *partition = (int32_t)strtol(dash + 1, NULL, 10);
            return *partition < MODEL_PARTITIONS;
        }
    }
    return false;
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- a pass begins -------------------------------------------------------------------------------------------------- */

/* Does the marker end nothing that is there? An earlier one that surely is has ended what stands before that. */
static bool has_no_data(const struct model_partition *p, const struct entry *marker)
{
    for (const struct entry *e = marker; e-- > p->list;)
        if (e->txn == marker->txn && (e->kind == ENTRY_DATA || (e->sure == SURE && !e->gone)))
            return e->kind != ENTRY_DATA;
    return true;
}

static bool has_tombstone(const struct entry *e)
{
    uint32_t left = model_all_records(e) & ~e->gone & ~e->must_go;
    for (int32_t k = 0; k < e->count; k++)
        if ((left & UINT32_C(1) << k) && record_is_tombstone(e->first + (uint64_t)k))
            return true;
    return false;
}

static int64_t delete_retention(const struct model_settings *s)
{
    return s->compact ? s->delete_retention_ms : MODEL_DELETE_RETENTION_MS;
}

static int64_t horizon_by(const struct model_topic *t, int64_t now_ms)
{
    int64_t now = delete_retention(&t->settings), next = t->changing ? delete_retention(&t->next) : 0;
    return now_ms + at_most(now, next);
}

/* A pass may say of whatever no pass has met yet that it stays so long. */
static void raise_horizons(struct model_partition *p, int64_t horizon_ms)
{
    for (size_t i = 0; i < p->n; i++)
        if (!p->list[i].horizon_known)
            p->list[i].horizon_ms = at_most(p->list[i].horizon_ms, horizon_ms);
}

static void begin_pass(struct model_partition *p)
{
    p->cleaning = true;
    for (size_t i = 0; i < p->n; i++) {
        struct entry *e = &p->list[i];
        e->dataless = e->kind != ENTRY_DATA && e->txn >= 0 && has_no_data(p, e);
    }
}

/* ---- a pass has ended ----------------------------------------------------------------------------------------------- */

static bool is_over(const struct entry *e, int64_t now_ms)
{
    return e->horizon_known && now_ms >= e->horizon_ms;
}

/*
 * Entries from the newest to the oldest; `later`: a later record of the key is there, below the end, and counts. Nothing is
 * asked of records before `start`, which readers do not get. Of a topic that was `once_page_cache` the marker may have been lost, and what a
 * transaction wrote, committed as it was, counts as aborted then.
 */
static void judge_data(const struct model *m, struct entry *e, bool once_page_cache, int64_t start,
                       int64_t end, int64_t now_ms, bool later[RECORD_KEYS])
{
    enum txn_outcome outcome = e->txn < 0 ? TXN_COMMITTED : m->txns[e->txn].outcome;
    for (int32_t k = e->count; k-- > 0;) {
        uint32_t bit = UINT32_C(1) << k;
        uint64_t number = e->first + (uint64_t)k;
        int key = record_key_index(number);
        if (e->base + k < start || e->base + k >= end || (e->gone & bit))
            continue;
        if (key < 0 || later[key] || outcome == TXN_ABORTED ||
            (record_is_tombstone(number) && is_over(e, now_ms)))
            e->must_go |= bit;
        if (key >= 0 && e->sure == SURE && outcome == TXN_COMMITTED && (e->txn < 0 || !once_page_cache))
            later[key] = true;
    }
}

static void end_pass(const struct model *m, struct model_partition *p, bool once_page_cache, int64_t end,
                     int64_t now_ms)
{
    bool later[RECORD_KEYS] = {false};
    p->clean_end = at_most(p->clean_end, end);
    for (size_t i = p->n; i-- > 0;) {
        struct entry *e = &p->list[i];
        if (e->base < 0 || e->base >= end)
            continue;
        if (e->kind == ENTRY_DATA)
            judge_data(m, e, once_page_cache, p->start_max, end, now_ms, later);
        else if (is_over(e, now_ms))
            e->must_go = 1;
        if (e->base + e->count <= end)
            e->horizon_known = e->horizon_known ||
                               (e->kind == ENTRY_DATA ? e->sure == SURE && has_tombstone(e) : e->dataless);
    }
}

int __real_log_clean(struct log *log, struct cleaner *c, const struct clean_args *args,
                     struct clean_result *out, struct err *e);
int __wrap_log_clean(struct log *log, struct cleaner *c, const struct clean_args *args,
                     struct clean_result *out, struct err *e);
int __wrap_log_clean(struct log *log, struct cleaner *c, const struct clean_args *args,
                     struct clean_result *out, struct err *e)
{
    int topic;
    int32_t partition;
    if (!known_log(log, &topic, &partition))
        return __real_log_clean(log, c, args, out, e);
    struct model *m = &watched->model;
    struct model_partition *p = &m->topics[topic].parts[partition];
    raise_horizons(p, horizon_by(&m->topics[topic], args->now_ms));
    begin_pass(p);
    int rc = __real_log_clean(log, c, args, out, e);
    p->cleaning = false;
    if (rc == ERR_OK && !sim_is_cut())
        end_pass(m, p, m->topics[topic].once_page_cache, out->end, args->now_ms);
    return rc;
}

/* ---- meanwhile ------------------------------------------------------------------------------------------------------ */

void cleaned_read(struct model_partition *p)
{
    for (size_t i = 0; i < p->n; i++)
        p->list[i].due = p->list[i].must_go;
}

void cleaned_alter(struct model_topic *t, int64_t now_ms)
{
    for (int i = 0; i < MODEL_PARTITIONS; i++)
        if (t->parts[i].cleaning)
            raise_horizons(&t->parts[i], horizon_by(t, now_ms));
}

/* ---- in the end ----------------------------------------------------------------------------------------------------- */

enum {
    STEP_MS = 10,
    STEPS = 20000,
    BEHIND_THE_INDEX = 2
}; /* batches of a segment that have no entry there */

/* Up to where compaction must have come; 0: nobody knows. The segment that is written to is left alone. */
static int64_t due_end(const struct model_topic *t, const struct model_partition *p)
{
    const struct model_settings *s = &t->settings;
    bool at_once = s->dirty_ratio == 0 || s->max_lag_ms > 0;
    if (t->presence != PRESENT || !s->compact || !at_once || t->once_page_cache ||
        t->segment_entries_max == 0)
        return 0;
    size_t active = (size_t)t->segment_entries_max + BEHIND_THE_INDEX;
    return p->n > active && p->list[p->n - active].base > p->start_max ? p->list[p->n - active].base : 0;
}

static bool is_behind(const struct world *w, int *topic, int *partition)
{
    for (*topic = 0; *topic < MODEL_TOPICS; ++*topic)
        for (*partition = 0; *partition < MODEL_PARTITIONS; ++*partition) {
            const struct model_topic *t = &w->model.topics[*topic];
            if (t->parts[*partition].clean_end < due_end(t, &t->parts[*partition]))
                return true;
        }
    return false;
}

void cleaned_expect_all(struct world *w)
{
    int topic, partition;
    for (int i = 0; i < STEPS && is_behind(w, &topic, &partition); i++) {
        world_allow_retention(w);
        sim_clock_add_ms(STEP_MS);
        sched_yield();
    }
    if (is_behind(w, &topic, &partition))
        world_fail(w, "%s-%d: is compacted up to offset %lld, and should be up to %lld",
                   world_topic_name(topic), partition,
                   (long long)w->model.topics[topic].parts[partition].clean_end,
                   (long long)due_end(&w->model.topics[topic], &w->model.topics[topic].parts[partition]));
}
