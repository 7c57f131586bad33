/*
 * model: see model.h.
 */
#include "tests/power/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/power/compaction.h"
#include "tests/power/rng.h"

void model_init(struct model *m)
{
    memset(m, 0, sizeof *m);
    for (int g = 0; g < MODEL_GROUPS; g++)
        for (int t = 0; t < MODEL_TOPICS; t++)
            m->offsets[g][t] = (struct model_offset){-1, -2, -1};
    for (int i = 0; i < MODEL_IDS; i++)
        m->ids[i].producer = m->ids[i].txn = -1;
    for (int i = 0; i < MODEL_PRODUCERS; i++)
        m->producers[i] = -1;
    m->largest_producer = -1;
}

void model_free(struct model *m)
{
    for (int t = 0; t < MODEL_TOPICS; t++)
        for (int p = 0; p < MODEL_PARTITIONS; p++)
            free(m->topics[t].parts[p].list);
    free(m->txns);
}

struct entry *model_append(struct model_partition *p, const struct entry *e)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 16;
        p->list = realloc(p->list, p->cap * sizeof *p->list);
        if (!p->list)
            abort();
    }
    p->list[p->n] = *e;
    return &p->list[p->n++];
}

void model_drop_entry(struct model_partition *p, size_t i)
{
    memmove(&p->list[i], &p->list[i + 1], (--p->n - i) * sizeof *p->list);
}

int32_t model_txn_new(struct model *m, int id, int64_t now_ms)
{
    const struct model_id *producer = &m->ids[id];
    if (m->txn_count == m->txn_cap) {
        m->txn_cap = m->txn_cap ? m->txn_cap * 2 : 16;
        m->txns = realloc(m->txns, m->txn_cap * sizeof *m->txns);
        if (!m->txns)
            abort();
    }
    struct model_txn *t = &m->txns[m->txn_count];
    *t = (struct model_txn){.outcome = TXN_OPEN,
                            .id = id,
                            .producer = producer->producer,
                            .epoch = producer->epoch,
                            .begun_ms = now_ms,
                            .timeout_ms = producer->timeout_ms,
                            .unit = -1};
    for (int g = 0; g < MODEL_GROUPS; g++)
        for (int i = 0; i < MODEL_TOPICS; i++)
            t->offsets[g][i] = -1;
    return (int32_t)m->txn_count++;
}

bool model_may_have_expired(const struct model_txn *t, int64_t now_ms)
{
    return t->outcome != TXN_COMMITTED && t->outcome != TXN_ABORTED && now_ms - t->begun_ms >= t->timeout_ms;
}

bool model_may_float(const struct model *m, const struct model_txn *t, int64_t now_ms)
{
    return m->two || t->floats || model_may_have_expired(t, now_ms);
}

bool model_has_floats(const struct model *m, int topic, int partition, int64_t now_ms)
{
    for (size_t i = 0; i < m->txn_count; i++)
        if (m->txns[i].joined[topic][partition] && model_may_float(m, &m->txns[i], now_ms))
            return true;
    return false;
}

int64_t model_end(const struct model_partition *p)
{
    for (size_t i = p->n; i-- > 0;)
        if (p->list[i].base >= 0)
            return p->list[i].base + p->list[i].count;
    return 0;
}

void model_topic_clear(struct model *m, int topic)
{
    struct model_topic *t = &m->topics[topic];
    for (int p = 0; p < MODEL_PARTITIONS; p++) {
        free(t->parts[p].list);
        t->parts[p] = (struct model_partition){0};
    }
    for (int i = 0; i < MODEL_IDS; i++)
        memset(m->ids[i].sequence[topic], 0, sizeof m->ids[i].sequence[topic]);
    for (size_t i = 0; i < m->txn_count; i++)
        for (int p = 0; p < MODEL_PARTITIONS; p++)
            m->txns[i].joined_surely[topic][p] = false; /* one of the same name may get a marker */
    *t = (struct model_topic){.presence = ABSENT};
}

uint32_t model_all_records(const struct entry *e)
{
    return (UINT32_C(1) << e->count) - 1;
}

void model_note_settings(struct model_topic *t, const struct model_settings *s)
{
    t->once_page_cache = t->once_page_cache || s->page_cache;
    t->once_append_time = t->once_append_time || s->append_time;
    if (t->presence != PRESENT)
        t->segment_entries_max = s->segment_entries;
    else if (s->segment_entries == 0 || t->segment_entries_max == 0)
        t->segment_entries_max = 0;
    else if (s->segment_entries > t->segment_entries_max)
        t->segment_entries_max = s->segment_entries;
    if (!s->compact) { /* a pass may be under way, which takes its lag when it begins to copy */
        t->min_lag_min = s->min_lag_ms < t->min_lag_min ? s->min_lag_ms : t->min_lag_min;
        return;
    }
    if (!t->once_compact || s->delete_retention_ms < t->delete_retention_min)
        t->delete_retention_min = s->delete_retention_ms;
    if (!t->once_compact || s->min_lag_ms < t->min_lag_min)
        t->min_lag_min = s->min_lag_ms;
    t->once_compact = true;
}

/* Of what compaction left of it, if it took what it may. -1: there is nothing that has a time. */
static int64_t newest_timestamp(const struct entry *e)
{
    uint32_t left = model_all_records(e) & ~e->may_go & ~e->gone;
    return left ? e->timestamp + 31 - __builtin_clz(left) : -1;
}

/* What there may be of markers that nobody has seen yet. */
enum { UNSEEN_MARKERS = 16, MARKER_BYTES = 78 };

static void allow_one(const struct model_settings *s, struct model_partition *p, bool append_time,
                      int64_t now_ms, bool floats)
{
    int64_t next = p->start_max;
    int64_t after = floats ? UNSEEN_MARKERS * MARKER_BYTES : 0; /* bytes that stay if all up to here goes */
    if (s->compact_only)
        return;
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].base < 0 || p->list[i].base + p->list[i].count > p->start_max)
            after += p->list[i].bytes;
    for (size_t i = 0; i < p->n; i++) {
        const struct entry *e = &p->list[i];
        if (e->base < 0 && e->sure != UNSURE)
            continue;
        /* One that is under way may have been appended, and have gone since. */
        int64_t last = (e->base < 0 ? next : e->base) + e->count;
        /* Unseen ones may stand before the next one that is known. */
        bool known = i + 1 < p->n && p->list[i + 1].base >= 0;
        int64_t end = known ? p->list[i + 1].base : last + (floats ? UNSEEN_MARKERS : 0);
        next = end;
        if (last > p->start_max) {
            after -= e->bytes;
            bool old = append_time || now_ms - newest_timestamp(e) > s->retention_ms;
            if (!(s->retention_bytes >= 0 && after >= s->retention_bytes) && !(s->retention_ms >= 0 && old))
                break;
        }
        if (end > p->start_max && (s->retention_bytes >= 0 || s->retention_ms >= 0))
            p->start_max = end;
    }
}

void model_allow_retention(struct model *m, int topic, int64_t now_ms)
{
    struct model_topic *t = &m->topics[topic];
    for (int p = 0; p < MODEL_PARTITIONS; p++) {
        bool floats = model_has_floats(m, topic, p, now_ms);
        compaction_judge(m, topic, p, now_ms, NULL);
        allow_one(&t->settings, &t->parts[p], t->once_append_time, now_ms, floats);
        if (t->changing)
            allow_one(&t->next, &t->parts[p], t->once_append_time, now_ms, floats);
    }
}

void model_note_flush_messages(const struct model_topic *t, struct model_partition *p)
{
    int64_t end = model_end(p);
    if (!t->settings.page_cache || !t->settings.flush_messages)
        return;
    /* Fewer records than that are unsynced, and what is synced ends with a batch. */
    for (size_t i = 0; i < p->n; i++) {
        const struct entry *e = &p->list[i];
        if (e->base >= 0 && end - e->base < t->settings.flush_messages) {
            if (e->base > p->synced)
                p->synced = e->base;
            return;
        }
    }
    p->synced = end;
}

void model_lose_power(struct model *m)
{
    for (int t = 0; t < MODEL_TOPICS; t++)
        for (int p = 0; m->topics[t].settings.page_cache && p < MODEL_PARTITIONS; p++) {
            struct model_partition *part = &m->topics[t].parts[p];
            for (size_t i = 0; i < part->n; i++)
                if (part->list[i].sure != OPTIONAL &&
                    (part->list[i].base < 0 || part->list[i].base + part->list[i].count > part->synced))
                    part->list[i].sure = UNSURE;
        }
}

void model_lose_process(struct model *m)
{
    for (int i = 0; i < MODEL_IDS; i++)
        m->ids[i].producer = -1;
    for (size_t i = 0; i < m->txn_count; i++) /* joining waits for no sync */
        memset(m->txns[i].joined_surely, 0, sizeof m->txns[i].joined_surely);
}

/* ---- records ------------------------------------------------------------------------------------------------------- */

static struct rng about(uint64_t number)
{
    return (struct rng){number * UINT64_C(0x2545f4914f6cdd1d) + 17};
}

int record_key_index(uint64_t number)
{
    struct rng r = about(number);
    bool none = rng_once_in(&r, 4) && !(number & RECORD_KEYED);
    return none ? -1 : (int)rng_below(&r, RECORD_KEYS);
}

size_t record_key(uint64_t number, char key[RECORD_KEY_MAX])
{
    int index = record_key_index(number);
    return index < 0 ? 0 : (size_t)snprintf(key, RECORD_KEY_MAX, "key-%d", index);
}

bool record_is_tombstone(uint64_t number)
{
    struct rng r = about(number * 3);
    return (number & RECORD_KEYED) && rng_once_in(&r, 4);
}

size_t record_value(uint64_t number, uint8_t *value)
{
    struct rng r = about(~number);
    size_t n = 8 + rng_below(&r, 120);
    if (rng_once_in(&r, 8))
        n += rng_below(&r, 6000);
    if (rng_once_in(&r, 200))
        n += rng_below(&r, 30000);
    for (int i = 0; i < 8; i++)
        value[i] = (uint8_t)(number >> (56 - 8 * i));
    uint64_t word = 0;
    for (size_t i = 8; i < n; i++) {
        if (i % 8 == 0)
            word = rng_next(&r);
        value[i] = (uint8_t)(word >> (i % 8 * 8));
    }
    return n;
}

bool record_number(const uint8_t *value, size_t n, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < 8 && i < n; i++)
        *number = *number << 8 | value[i];
    return n >= 8;
}
