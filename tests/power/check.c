/*
 * check: compares what is in the store with the model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/power/world.h"

/* ---- topics ------------------------------------------------------------------------------------------------------- */

static bool has_settings(const struct topic_info *info, const struct model_settings *s)
{
    struct settings_list want;
    settings_list(s, &want);
    size_t same = 0;
    for (size_t i = 0; i < want.n; i++)
        for (size_t k = 0; k < info->config_count; k++)
            same += strcmp(info->config[k].name, want.list[i].name) == 0 &&
                    strcmp(info->config[k].value, want.list[i].value) == 0;
    return same == want.n && info->config_count == want.n;
}

static void take_topic(struct world *w, int topic, const struct topic_info *info)
{
    struct model_topic *t = &w->model.topics[topic];
    if (t->presence == ABSENT)
        world_fail(w, "topic %s is there and was deleted or never made", info->name);
    if (t->id_known && memcmp(t->id, info->id.b, sizeof t->id) != 0)
        world_fail(w, "topic %s has another id than it was made with", info->name);
    memcpy(t->id, info->id.b, sizeof t->id);
    t->id_known = true;
    if (info->partition_count != t->partitions && info->partition_count != t->partitions_max)
        world_fail(w, "topic %s has %d partitions instead of %d", info->name, info->partition_count,
                   t->partitions);
    t->partitions = t->partitions_max = info->partition_count;
    if (t->changing && has_settings(info, &t->next))
        t->settings = t->next;
    else if (!has_settings(info, &t->settings))
        world_fail(w, "topic %s has other settings than were made", info->name);
    t->changing = false;
    t->presence = PRESENT;
}

static bool check_topics(struct world *w)
{
    for (int i = 0; i < MODEL_TOPICS; i++) {
        struct model_topic *t = &w->model.topics[i];
        struct topic_info info;
        int rc = broker_topic(w->b, world_topic_name(i), &info, &w->e);
        if (rc == ERR_OK) {
            take_topic(w, i, &info);
            topic_info_free(&info);
        } else if (rc != ERR_UNKNOWN_TOPIC) {
            if (world_gone(w, rc, "describing a topic"))
                return false;
        } else if (t->presence == PRESENT) {
            world_fail(w, "topic %s is gone", world_topic_name(i));
        } else {
            model_topic_clear(&w->model, i);
            for (int g = 0; g < MODEL_GROUPS; g++)
                w->model.offsets[g][i] = (struct model_offset){-1, -2, -1};
        }
    }
    return true;
}

/* ---- a partition's batches ------------------------------------------------------------------------------------------ */

struct units {
    bool *found, *missing; /* by unit */
};

static bool is_match(const struct entry *e, const struct found *f)
{
    if (e->kind != f->kind || e->count != f->count || (e->base >= 0 && e->base != f->base))
        return false;
    return e->kind == ENTRY_DATA ? e->first == f->first : e->producer == f->producer;
}

static bool may_be_missing(const struct model_partition *p, const struct entry *e)
{
    return e->sure != SURE || (e->base >= 0 && e->base + e->count <= p->start_max);
}

static void note_missing(struct model_topic *t, struct model_partition *p, struct entry *e, struct units *u)
{
    bool trimmed = e->base >= 0 && e->base + e->count <= p->start_max;
    e->found = false;
    if (e->unit >= 0 && !trimmed && e->sure != OPTIONAL && !t->once_page_cache)
        u->missing[e->unit] = true;
}

static void describe(const struct entry *e, char *out, size_t size)
{
    static const char *const kinds[] = {"records", "commit marker", "abort marker"};
    snprintf(out, size, "%s %llu+%d of offset %lld", kinds[e->kind], (unsigned long long)e->first, e->count,
             (long long)e->base);
}

/* Recovery ends what it finds open in page-cache topics by markers that the model does not know of. */
static bool is_unknown_marker(const struct model_topic *t, const struct found *f)
{
    return t->once_page_cache && f->kind == ENTRY_ABORT;
}

static void insert_entry(struct model_partition *p, size_t at, const struct found *f)
{
    struct entry e = {.kind = f->kind,
                      .sure = OPTIONAL,
                      .base = f->base,
                      .count = f->count,
                      .bytes = f->bytes,
                      .producer = f->producer,
                      .timestamp = f->timestamp,
                      .unit = -1,
                      .txn = -1,
                      .found = true};
    model_append(p, &e);
    memmove(&p->list[at + 1], &p->list[at], (p->n - 1 - at) * sizeof *p->list);
    p->list[at] = e;
}

/* The entry for `f`, from `k` on; those in between are not there. */
static size_t find_entry(struct world *w, int topic, int32_t partition, const struct found *f, size_t k,
                         bool *skipped, struct units *u)
{
    struct model_topic *t = &w->model.topics[topic];
    struct model_partition *p = &t->parts[partition];
    char text[128];
    for (; k < p->n && !is_match(&p->list[k], f); k++) {
        struct entry *e = &p->list[k];
        if (!may_be_missing(p, e)) {
            if (is_unknown_marker(t, f)) {
                insert_entry(p, k, f);
                return k;
            }
            describe(e, text, sizeof text);
            world_fail(w, "%s-%d: offset %lld has %s%llu+%d, %s was acknowledged before it",
                       world_topic_name(topic), partition, (long long)f->base,
                       f->kind == ENTRY_DATA ? "records " : "marker of producer ",
                       (unsigned long long)(f->kind == ENTRY_DATA ? f->first : (uint64_t)f->producer),
                       f->count, text);
        }
        *skipped = *skipped || (e->sure == UNSURE && e->base + e->count > p->start_max);
        note_missing(t, p, e, u);
    }
    if (k < p->n)
        return k;
    if (!is_unknown_marker(t, f))
        world_fail(w, "%s-%d: offset %lld has %s %llu+%d, which nobody wrote there or which was gone once",
                   world_topic_name(topic), partition, (long long)f->base,
                   f->kind == ENTRY_DATA ? "records" : "a marker of producer",
                   (unsigned long long)(f->kind == ENTRY_DATA ? f->first : (uint64_t)f->producer), f->count);
    insert_entry(p, k, f);
    return k;
}

/* What was deleted may come back, as its deletion was not synced. */
static void forget_missing(struct model_partition *p, const struct found_list *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].found || (p->list[i].base >= 0 && p->list[i].base + p->list[i].count <= l->start))
            p->list[kept++] = p->list[i];
    p->n = kept;
    if (p->start_max > l->end)
        p->start_max = l->end;
}

static void match(struct world *w, int topic, int32_t partition, const struct found_list *l, struct units *u)
{
    struct model_partition *p = &w->model.topics[topic].parts[partition];
    const char *name = world_topic_name(topic);
    char text[128];
    bool skipped = false;
    size_t k = 0;
    int64_t next = l->start;
    /* Of a page-cache topic whole segments may be lost: then what was written first may be what is missing. */
    if (w->model.topics[topic].once_page_cache && l->start > p->start_max) {
        for (size_t i = 0; i < p->n && p->list[i].base < l->start; i++)
            if (!may_be_missing(p, &p->list[i]))
                world_fail(w, "%s-%d: offset %lld was synced and is lost, the log starts at %lld", name,
                           partition, (long long)p->list[i].base, (long long)l->start);
        p->start_max = l->start;
    }
    if (l->start < p->start_min || l->start > p->start_max)
        world_fail(w, "%s-%d: starts at %lld, deleted were records up to %lld at least, %lld at most", name,
                   partition, (long long)l->start, (long long)p->start_min, (long long)p->start_max);
    for (size_t i = 0; i < l->n; i++) {
        const struct found *f = &l->list[i];
        if (f->base > next && f->base > p->start_max)
            world_fail(w, "%s-%d: offset %lld follows %lld", name, partition, (long long)f->base,
                       (long long)next);
        next = f->base + f->count;
        k = find_entry(w, topic, partition, f, k, &skipped, u);
        struct entry *e = &p->list[k++];
        if (skipped && !w->loose && e->sure != OPTIONAL)
            world_fail(w, "%s-%d: offset %lld is there without what came before it", name, partition,
                       (long long)f->base);
        e->base = f->base;
        e->bytes = f->bytes;
        e->sure = SURE;
        e->found = true;
        if (e->unit >= 0 && !w->model.topics[topic].once_page_cache)
            u->found[e->unit] = true;
    }
    for (; k < p->n; k++) {
        if (!may_be_missing(p, &p->list[k])) {
            describe(&p->list[k], text, sizeof text);
            world_fail(w, "%s-%d: %s was acknowledged and is lost, the log ends at %lld", name, partition,
                       text, (long long)l->end);
        }
        note_missing(&w->model.topics[topic], p, &p->list[k], u);
    }
    if (next != l->end)
        world_fail(w, "%s-%d: the last record is before %lld, the end is %lld", name, partition,
                   (long long)next, (long long)l->end);
    forget_missing(p, l);
}

/* ---- looking things up ---------------------------------------------------------------------------------------------- */

static bool check_time(struct world *w, int topic, int32_t partition, const struct found_list *l)
{
    const struct found *any = &l->list[rng_below(&w->rng, l->n)];
    int64_t ts = any->timestamp + rng_between(&w->rng, -1, any->count), want = -1, offset, found_ts;
    for (size_t i = 0; i < l->n && want < 0; i++)
        for (int32_t k = 0; k < l->list[i].count && want < 0; k++) {
            const struct found *f = &l->list[i];
            bool old = f->timestamp + (f->append_time ? 0 : k) < ts || f->base + k < l->start;
            want = old ? -1 : f->base + k;
        }
    int rc = broker_list_offset(w->b, world_topic_name(topic), partition, ts, READ_UNCOMMITTED, &offset,
                                &found_ts, &w->e);
    if (world_gone(w, rc, "looking for a timestamp"))
        return false;
    if (offset != want && start_moved(w, world_topic_name(topic), partition, l->start))
        return true;
    if (offset != want && w->trace)
        for (size_t i = 0; i < l->n; i++)
            world_say(w, "offset %lld: %d of kind %d, timestamp %lld%s", (long long)l->list[i].base,
                      l->list[i].count, l->list[i].kind, (long long)l->list[i].timestamp,
                      l->list[i].append_time ? " append" : "");
    if (offset != want)
        world_fail(w, "%s-%d: timestamp %lld is found at offset %lld instead of %lld",
                   world_topic_name(topic), partition, (long long)ts, (long long)offset, (long long)want);
    return true;
}

static bool check_offset(struct world *w, int topic, int32_t partition, const struct found_list *l)
{
    const struct found *f = &l->list[rng_below(&w->rng, l->n)];
    int64_t offset = f->base + (int64_t)rng_below(&w->rng, (uint64_t)f->count);
    struct log_range r;
    if (offset < l->start)
        return true;
    int rc = broker_locate(w->b, world_topic_name(topic), partition, offset, 1, READ_UNCOMMITTED, &r, &w->e);
    if (rc == ERR_OFFSET_OUT_OF_RANGE && start_moved(w, world_topic_name(topic), partition, l->start))
        return true;
    if (world_gone(w, rc, "looking for an offset"))
        return false;
    if (r.base_offset != f->base || r.next_offset != f->base + f->count)
        world_fail(w, "%s-%d: offset %lld is looked for in the batch [%lld, %lld) instead of [%lld, %lld)",
                   world_topic_name(topic), partition, (long long)offset, (long long)r.base_offset,
                   (long long)r.next_offset, (long long)f->base, (long long)(f->base + f->count));
    log_range_release(&r);
    return true;
}

static bool check_lookups(struct world *w, int topic, int32_t partition, const struct found_list *l)
{
    for (int i = 0; i < 2 && l->n; i++)
        if (!check_time(w, topic, partition, l) || !check_offset(w, topic, partition, l))
            return false;
    return true;
}

/* What belongs together is there as a whole or not at all; that also tells how transactions ended. */
static void settle_units(struct world *w, const struct units *u)
{
    for (int32_t i = 0; i < w->model.units; i++)
        if (u->found[i] && u->missing[i])
            world_fail(w, "unit %d, which belongs together, is there in part", i);
    for (size_t i = 0; i < w->model.txn_count; i++) {
        struct model_txn *t = &w->model.txns[i];
        if (t->unit < 0 || (t->outcome != TXN_COMMITTING && t->outcome != TXN_ABORTING))
            continue;
        if (u->found[t->unit])
            t->outcome = t->outcome == TXN_COMMITTING ? TXN_COMMITTED : TXN_ABORTED;
        else if (u->missing[t->unit])
            t->outcome = TXN_OPEN;
    }
}

/* All is read before any is compared: where power fails in between, the model has learned nothing by halves. */
static bool check_logs(struct world *w, struct units *u)
{
    struct found_list lists[MODEL_TOPICS][MODEL_PARTITIONS] = {0};
    bool on = true;
    for (int t = 0; on && t < MODEL_TOPICS; t++)
        for (int32_t p = 0; on && p < w->model.topics[t].partitions; p++)
            on = read_partition(w, t, p, READ_UNCOMMITTED, &lists[t][p]);
    world_allow_retention(w);
    for (int t = 0; on && t < MODEL_TOPICS; t++)
        for (int32_t p = 0; p < w->model.topics[t].partitions; p++)
            match(w, t, p, &lists[t][p], u);
    if (on)
        settle_units(w, u);
    for (int t = 0; t < MODEL_TOPICS; t++)
        for (int32_t p = 0; p < MODEL_PARTITIONS; p++) {
            on = on && (p >= w->model.topics[t].partitions || check_lookups(w, t, p, &lists[t][p]));
            found_free(&lists[t][p]);
        }
    return on;
}

/* ---- transactions and offsets ------------------------------------------------------------------------------------------ */

static bool check_stored_offset(struct world *w, int group, int topic)
{
    struct model_offset *o = &w->model.offsets[group][topic];
    int64_t stored;
    int rc = broker_fetch_offset(w->b, world_group_name(group), world_topic_name(topic), 0, &stored, &w->e);
    if (world_gone(w, rc, "fetching an offset"))
        return false;
    enum txn_outcome outcome = o->txn >= 0 ? w->model.txns[o->txn].outcome : TXN_COMMITTING;
    bool may_new = o->maybe != -2 && (outcome == TXN_COMMITTING || outcome == TXN_COMMITTED);
    bool may_old = o->maybe == -2 || outcome != TXN_COMMITTED;
    if (!(may_new && stored == o->maybe) && !(may_old && stored == o->sure))
        world_fail(w, "%s has offset %lld of %s; %lld was acknowledged%s", world_group_name(group),
                   (long long)stored, world_topic_name(topic), (long long)o->sure,
                   o->maybe == -2 ? "" : ", a change was under way");
    *o = (struct model_offset){stored, -2, -1};
    return true;
}

static bool check_offsets(struct world *w)
{
    for (int g = 0; g < MODEL_GROUPS; g++)
        for (int t = 0; t < MODEL_TOPICS; t++)
            if (!check_stored_offset(w, g, t))
                return false;
    return true;
}

bool check_recovered(struct world *w)
{
    size_t n = (size_t)w->model.units + 1;
    struct units u = {calloc(n, sizeof *u.found), calloc(n, sizeof *u.missing)};
    bool on = check_topics(w) && check_logs(w, &u) && check_offsets(w);
    free(u.found);
    free(u.missing);
    return on;
}

/* ---- what readers of committed records get ------------------------------------------------------------------------------ */

static bool is_shown(const struct world *w, const struct entry *e)
{
    return e->kind == ENTRY_DATA && (e->txn < 0 || w->model.txns[e->txn].outcome == TXN_COMMITTED);
}

static bool is_unclear(const struct world *w, const struct entry *e)
{
    return e->txn >= 0 && w->model.txns[e->txn].outcome == TXN_COMMITTING;
}

static bool check_committed(struct world *w, int topic, int32_t partition, struct found_list *l)
{
    const struct model_partition *p = &w->model.topics[topic].parts[partition];
    size_t k = 0;
    if (!read_partition(w, topic, partition, READ_COMMITTED, l))
        return false;
    for (size_t i = 0; i < l->n; i++) {
        const struct found *f = &l->list[i];
        if (f->kind != ENTRY_DATA)
            continue;
        while (k < p->n && (p->list[k].base < f->base) &&
               (!is_shown(w, &p->list[k]) || p->list[k].base + p->list[k].count <= p->start_max))
            k++;
        if (k == p->n || !is_match(&p->list[k], f) ||
            !(is_shown(w, &p->list[k]) || is_unclear(w, &p->list[k])))
            world_fail(w, "%s-%d: offset %lld is shown as committed, expected was %lld",
                       world_topic_name(topic), partition, (long long)f->base,
                       k < p->n ? (long long)p->list[k].base : -1LL);
        k++;
    }
    for (; k < p->n; k++)
        if (is_shown(w, &p->list[k]) && p->list[k].base + p->list[k].count > p->start_max)
            world_fail(w, "%s-%d: offset %lld was committed and is not shown", world_topic_name(topic),
                       partition, (long long)p->list[k].base);
    return true;
}

bool check_all(struct world *w)
{
    struct found_list l = {0};
    bool on = check_recovered(w);
    for (int t = 0; on && t < MODEL_TOPICS; t++)
        for (int32_t p = 0; on && p < w->model.topics[t].partitions; p++)
            if (!w->model.topics[t].once_page_cache)
                on = check_committed(w, t, p, &l);
    found_free(&l);
    return on;
}
