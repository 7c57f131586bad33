/*
 * offsets_expire: committed offsets go, as in Kafka, offsets.retention.minutes after they were committed or, if that is later, after
 * the last who used their group has left it. Never those of a group in use, nor one with a change on its way. A group of which
 * nothing is left goes with them.
 *
 * Of a group that Kafka's clients use core/group knows the members, and is asked (broker_watch_groups): then those of topics that the members do not
 * read go, too. Who else uses a group says so (broker_group_hold). So that a restart does not forget it, the group gets a record of its own in
 * __consumer_offsets, Kafka's GroupMetadataValue: without a time while it is in use, with the time when it was left. Upkeep
 * writes them, soon when a group comes into use that has offsets, at the next check when it is left: what a stop or a crash
 * cuts off there only makes offsets stay.
 */
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "broker/offsets_cache.h"
#include "broker/upkeep.h"

#define CHANGES_MAX 1000 /* in one batch */
#define RETRY_MS 60000

/* ---- who uses a group ---------------------------------------------------------------------------------------------- */

int broker_group_hold(struct broker *b, const char *group, struct err *e)
{
    struct offsets *o = b->offsets;
    if (!*group || strlen(group) > INT16_MAX)
        return err_set(e, ERR_INVALID_GROUP, "a group's name is not empty and at most %d bytes", INT16_MAX);
    pthread_mutex_lock(&o->lock);
    struct group *g = offsets_group_get(o, text_of(group), e);
    bool tell = false;
    if (g) {
        g->holders++;
        tell = b->o.offsets_retention_ms > 0 && g->live > 0 && !g->recorded_use;
    }
    pthread_mutex_unlock(&o->lock);
    if (!g)
        return e->code;
    if (tell) {
        atomic_store(&o->unrecorded, true);
        upkeep_poke(b, 0);
    }
    return ERR_OK;
}

void broker_group_release(struct broker *b, const char *group)
{
    struct offsets *o = b->offsets;
    pthread_mutex_lock(&o->lock);
    struct group *g = offsets_group_find(o, group);
    if (--g->holders == 0) {
        g->left_ms = clock_wall_ms();
        offsets_group_settle(o, g);
    }
    pthread_mutex_unlock(&o->lock);
}

/* ---- who knows its members ----------------------------------------------------------------------------------------- */

void broker_watch_groups(struct broker *b, void (*fn)(void *arg, const char *group, struct group_usage *out),
                         void *arg)
{
    struct offsets *o = b->offsets;
    pthread_mutex_lock(&o->asking);
    o->watcher = fn;
    o->watcher_arg = arg;
    pthread_mutex_unlock(&o->asking);
}

/* usage->topics is to be freed. */
static int ask(struct offsets *o, const char *name, struct group_usage *usage, struct err *e)
{
    *usage = (struct group_usage){.use = GROUP_USE_UNKNOWN, .topics = map_new()};
    if (!usage->topics)
        return err_nomem(e);
    pthread_mutex_lock(&o->asking);
    if (o->watcher)
        o->watcher(o->watcher_arg, name, usage);
    pthread_mutex_unlock(&o->asking);
    return ERR_OK;
}

/* ---- what of a group is to be written ------------------------------------------------------------------------------ */

static bool is_read(const struct group_usage *u, const char *topic)
{
    return u->use == GROUP_USE_TOPICS && map_get(u->topics, topic, strlen(topic));
}

static bool is_expired(const struct broker *b, const struct group *g, const struct group_usage *u,
                       const struct offset_entry *en, int64_t now)
{
    if (en->offset == OFFSET_DELETED || en->pins > 0 || is_read(u, en->topic))
        return false;
    if (en->expire_ms >= 0)
        return now >= en->expire_ms;
    int64_t left = u->use == GROUP_USE_EMPTY && u->since_ms > g->left_ms ? u->since_ms
                   : u->use == GROUP_USE_TOPICS                          ? -1
                                                                         : g->left_ms;
    int64_t since = en->commit_ms > left ? en->commit_ms : left;
    return now > since && now - since >= b->o.offsets_retention_ms;
}

static int add(struct offset_change ***last, struct offset_change *c, struct err *e)
{
    if (!c)
        return e->code;
    **last = c;
    *last = &c->next;
    return ERR_OK;
}

/* Tombstones of what is expired. *left: how many offsets are not among them. */
static int choose_expired(struct broker *b, struct group *g, const struct group_usage *u, int64_t now,
                          struct offset_change ***last, size_t *left, struct err *e)
{
    size_t pos = 0, len, n = 0;
    const void *key;
    void *value;
    int rc = ERR_OK;
    while (!rc && n < CHANGES_MAX && map_next(g->entries, &pos, &key, &len, &value)) {
        if (!is_expired(b, g, u, value, now))
            continue;
        struct offset_change *c = offsets_change_of(g, value, e);
        if (!(rc = add(last, c, e))) {
            c->commit_ms = now;
            n++;
        }
    }
    *left = g->live - n;
    return rc;
}

/* Its record is to say something else. The generation and what else members left behind stay as they are. */
static struct offset_change *record_of(struct group *g, struct err *e)
{
    char *type = g->type ? mem_strdup(g->type) : NULL;
    struct offset_change *c = !g->type || type ? offsets_change_of(g, NULL, e) : NULL;
    if (!c) {
        mem_free(type);
        err_nomem(e);
        return NULL;
    }
    c->offset = 0;
    c->commit_ms = g->holders > 0 ? -1 : g->left_ms;
    c->generation = g->generation;
    c->metadata = type;
    return c;
}

/*
 * With the lock. A group in use only gets its record, and one that was left may lose offsets, too. The record of a group that has members is
 * theirs (core/group), and so is the end of one that had.
 */
static int choose(struct broker *b, struct group *g, const struct group_usage *u, int64_t now, bool expire,
                  struct offset_change ***last, struct err *e)
{
    bool members = u->use == GROUP_USE_TOPICS || u->use == GROUP_USE_ALL;
    size_t left = g->live;
    int rc = ERR_OK;
    if (g->holders == 0 && expire && u->use != GROUP_USE_ALL) {
        size_t others = g->pins;
        rc = choose_expired(b, g, u, now, last, &left, e);
        if (!rc && left == 0 && others == 0 && g->recorded && u->use == GROUP_USE_UNKNOWN)
            return add(last, offsets_change_of(g, NULL, e), e);
    }
    bool wrong = g->holders > 0 ? !g->recorded_use : g->recorded_use && expire;
    return rc || left == 0 || !wrong || members ? rc : add(last, record_of(g, e), e);
}

static void count(const struct offset_change *list, size_t *gone)
{
    for (; list; list = list->next)
        *gone += list->entry != NULL;
}

/* *again: there is more of it. */
static int look_at_group(struct broker *b, const char *name, int64_t now, bool expire, bool *again,
                         struct err *e)
{
    struct offsets *o = b->offsets;
    struct offset_change *list = NULL, **last = &list;
    struct group_usage usage;
    size_t gone = 0;
    *again = false;
    int rc = ask(o, name, &usage, e);
    if (rc)
        return rc;
    pthread_mutex_lock(&o->lock);
    struct group *g = offsets_group_find(o, name);
    rc = g ? choose(b, g, &usage, now, expire, &last, e) : ERR_OK;
    count(list, &gone);
    if (!rc && list)
        g->expiring = true;
    pthread_mutex_unlock(&o->lock);
    map_free(usage.topics, NULL);
    if (rc) {
        offsets_drop(b, list);
        return rc;
    }
    if (!list)
        return ERR_OK;
    rc = offsets_commit_changes(b, name, list, e);
    pthread_mutex_lock(&o->lock);
    g->expiring = false;
    pthread_cond_broadcast(&o->settled);
    offsets_group_settle(o, g);
    pthread_mutex_unlock(&o->lock);
    if (!rc && gone)
        diag_info("broker", "group %s: %zu committed offsets have expired", name, gone);
    *again = !rc && gone >= CHANGES_MAX;
    return rc;
}

/* ---- all groups ---------------------------------------------------------------------------------------------------- */

static int look_at_all(struct broker *b, int64_t now, bool expire, struct err *e)
{
    char **names;
    size_t n;
    int rc = offsets_group_names(b->offsets, false, &names, &n, e);
    for (size_t i = 0; !rc && i < n; i++)
        for (bool again = true; !rc && again;)
            rc = look_at_group(b, names[i], now, expire, &again, e);
    group_names_free(names, n);
    return rc;
}

int64_t offsets_expire(struct broker *b, int64_t now)
{
    struct offsets *o = b->offsets;
    struct err e;
    if (b->o.offsets_retention_ms == 0)
        return INT64_MAX;
    bool due = now >= o->next_check;
    if (!atomic_exchange(&o->unrecorded, false) && !due)
        return o->next_check;
    int rc = look_at_all(b, upkeep_wall(b), due, &e);
    if (rc)
        diag_warn("broker", "expiry of committed offsets is put off: %s", e.text);
    if (due || rc)
        o->next_check = now + (rc ? RETRY_MS : b->o.offsets_check_ms);
    return o->next_check;
}
