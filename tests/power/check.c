/*
 * check: compares what is in the store with the model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/power/match.h"

enum { TRIES_MAX = 4 };

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

/*
 * A topic whose deletion was acknowledged leaves nothing that has its name: a start would set that aside for somebody to see to.
 * Where the deletion was cut short, and took away or never had synced what says whose the directory is, it has to.
 */
static void check_no_strays(struct world *w)
{
    static const char *const dirs[] = {"/hub/data/logs", "/hub/disk2/logs"};
    for (size_t d = 0; d < sizeof dirs / sizeof dirs[0]; d++) {
        const struct sim_node *logs = sim_lookup(dirs[d]);
        for (size_t i = 0; logs && i < logs->names.n; i++) {
            const char *name = logs->names.list[i].name, *end = strrchr(name, '-');
            for (int t = 0; end && strcmp(end, "-stray") == 0 && t < MODEL_TOPICS; t++)
                if (strncmp(name, world_topic_name(t), 2) == 0 && !w->model.cut_short[t])
                    world_fail(w, "%s was set aside, though %s was deleted properly", name,
                               world_topic_name(t));
        }
    }
}

static bool check_topics(struct world *w)
{
    for (int i = 0; i < MODEL_TOPICS; i++) {
        struct model_topic *t = &w->model.topics[i];
        struct topic_info info;
        w->model.cut_short[i] |= t->presence == GOING || w->faulty;
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
    check_no_strays(w);
    return true;
}

/* ---- looking things up ---------------------------------------------------------------------------------------------- */

/* Retention and compaction run by themselves: is what was found no longer what is there? */
static bool has_changed(struct world *w, int topic, int32_t partition, const struct found_list *l)
{
    struct found_list now = {0};
    bool on = read_partition(w, topic, partition, READ_UNCOMMITTED, &now);
    bool same = on && now.n == l->n && now.start == l->start;
    for (size_t i = 0; same && i < l->n; i++)
        same = now.list[i].base == l->list[i].base && now.list[i].there == l->list[i].there;
    found_free(&now);
    return !same;
}

static bool is_record_from(const struct found *f, int32_t k, int64_t ts, int64_t start)
{
    return (f->there & UINT32_C(1) << k) && f->timestamp + (f->append_time ? 0 : k) >= ts &&
           f->base + k >= start;
}

static void tell_list(struct world *w, const struct found_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        world_say(w, "offset %lld: %d (%x) of kind %d, timestamp %lld%s", (long long)l->list[i].base,
                  l->list[i].count, l->list[i].there, l->list[i].kind, (long long)l->list[i].timestamp,
                  l->list[i].append_time ? " append" : "");
}

static bool check_time(struct world *w, int topic, int32_t partition, const struct found_list *l)
{
    const struct found *any = &l->list[rng_below(&w->rng, l->n)];
    int64_t ts = any->timestamp + rng_between(&w->rng, -1, any->count), want = -1, offset, found_ts;
    for (size_t i = 0; i < l->n && want < 0; i++)
        for (int32_t k = 0; k < l->list[i].count && want < 0; k++)
            want = is_record_from(&l->list[i], k, ts, l->start) ? l->list[i].base + k : -1;
    int rc = broker_list_offset(w->b, world_topic_name(topic), partition, ts, READ_UNCOMMITTED, &offset,
                                &found_ts, &w->e);
    if (world_gone(w, rc, "looking for a timestamp"))
        return false;
    if (offset == want || has_changed(w, topic, partition, l))
        return true;
    tell_list(w, l);
    world_fail(w, "%s-%d: timestamp %lld is found at offset %lld instead of %lld", world_topic_name(topic),
               partition, (long long)ts, (long long)offset, (long long)want);
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
    bool right = r.base_offset == f->base && r.next_offset == f->base + f->count;
    log_range_release(&r);
    if (!right && !has_changed(w, topic, partition, l))
        world_fail(w, "%s-%d: offset %lld is looked for in the batch [%lld, %lld) instead of [%lld, %lld)",
                   world_topic_name(topic), partition, (long long)offset, (long long)r.base_offset,
                   (long long)r.next_offset, (long long)f->base, (long long)(f->base + f->count));
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

/*
 * A reader may be so slow that a value and the tombstone behind it go between its two reads: then it got the value and never
 * the tombstone. Who reads again gets neither.
 */
static bool read_again(struct world *w, int topic, int32_t partition, struct found_list *l)
{
    bool on = true;
    for (int i = 0; on && i < TRIES_MAX; i++) {
        if (!compaction_judge(&w->model, topic, partition, sim_clock_ms(), l))
            break;
        on = read_partition(w, topic, partition, READ_UNCOMMITTED, l);
    }
    return on;
}

/* All is read before any is compared: where power fails in between, the model has learned nothing by halves. */
static bool check_logs(struct world *w, struct units *u)
{
    struct found_list lists[MODEL_TOPICS][MODEL_PARTITIONS] = {0};
    bool on = true;
    for (int t = 0; on && t < MODEL_TOPICS; t++)
        for (int32_t p = 0; on && p < w->model.topics[t].partitions; p++)
            on = read_partition(w, t, p, READ_UNCOMMITTED, &lists[t][p]) && read_again(w, t, p, &lists[t][p]);
    world_allow_retention(w);
    for (int t = 0; on && t < MODEL_TOPICS; t++)
        for (int32_t p = 0; p < w->model.topics[t].partitions; p++)
            match_partition(w, t, p, &lists[t][p], u);
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
    /* A commit over two directories is decided first and shown once its markers are written: with faults later. */
    bool late = w->model.two && w->faults && o->txn >= 0;
    bool may_old = o->maybe == -2 || outcome != TXN_COMMITTED || late;
    if (!(may_new && stored == o->maybe) && !(may_old && stored == o->sure))
        world_fail(w, "%s has offset %lld of %s; %lld was acknowledged%s", world_group_name(group),
                   (long long)stored, world_topic_name(topic), (long long)o->sure,
                   o->maybe == -2 ? "" : ", a change was under way");
    if (!late)
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

/* It is all there that readers of committed records get of this one, and compaction cannot have taken it. */
static bool must_be_shown(const struct world *w, const struct model_partition *p, const struct entry *e)
{
    return is_shown(w, e) && e->base + e->count > p->start_max &&
           (model_all_records(e) & ~e->gone & ~e->may_go) != 0;
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
    compaction_judge(&w->model, topic, partition, sim_clock_ms(), l);
    for (size_t i = 0; i < l->n; i++) {
        const struct found *f = &l->list[i];
        if (f->kind != ENTRY_DATA)
            continue;
        while (k < p->n && p->list[k].base < f->base && !must_be_shown(w, p, &p->list[k]))
            k++;
        if (k == p->n || !entry_matches(&p->list[k], f) ||
            (f->there && !is_shown(w, &p->list[k]) && !is_unclear(w, &p->list[k])))
            world_fail(w, "%s-%d: offset %lld is shown as committed, expected was %lld",
                       world_topic_name(topic), partition, (long long)f->base,
                       k < p->n ? (long long)p->list[k].base : -1LL);
        k++;
    }
    for (; k < p->n; k++)
        if (must_be_shown(w, p, &p->list[k]))
            world_fail(w, "%s-%d: offset %lld was committed and is not shown", world_topic_name(topic),
                       partition, (long long)p->list[k].base);
    return true;
}

/* Every transaction with data has ended, as far as it is not under way. */
static void check_ended(struct world *w, int topic, int32_t partition)
{
    const struct model_partition *p = &w->model.topics[topic].parts[partition];
    for (size_t i = 0; i < p->n; i++) {
        const struct entry *e = &p->list[i];
        const struct model_txn *t = e->kind == ENTRY_DATA && e->txn >= 0 ? &w->model.txns[e->txn] : NULL;
        if (t && t->floats && t->outcome != TXN_COMMITTED && t->outcome != TXN_ABORTED &&
            w->model.ids[t->id].txn != e->txn && e->base + e->count > p->start_max &&
            e->gone != model_all_records(e))
            world_fail(w, "%s-%d: the transaction of offset %lld has no end", world_topic_name(topic),
                       partition, (long long)e->base);
    }
}

bool check_all(struct world *w)
{
    struct found_list l = {0};
    bool on = check_recovered(w);
    for (int t = 0; on && t < MODEL_TOPICS; t++)
        for (int32_t p = 0; on && p < w->model.topics[t].partitions; p++)
            if (!w->model.topics[t].once_page_cache) {
                check_ended(w, t, p);
                on = check_committed(w, t, p, &l);
            }
    found_free(&l);
    return on;
}
