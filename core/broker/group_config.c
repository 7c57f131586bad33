/*
 * group_config: what consumer groups have that do not go by the hub's settings, kept in the metadata log as KRaft keeps it, ConfigRecord
 * of a resource GROUP. Changed under the admin lock; read under a lock of its own, which is a leaf. A group need not be there to
 * have settings, and keeps them when it is deleted.
 *
 * A value is looked at when it is set. Should the hub's bounds be others later, the group's value stays and its user (core/server) keeps to
 * the bounds, as Kafka 4.3 does.
 */
#include "broker/group_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/meta.h"
#include "broker/store.h"

#define SESSION "consumer.session.timeout.ms"
#define HEARTBEAT "consumer.heartbeat.interval.ms"
#define NO_SHARE "there are no share groups"
#define NO_STREAMS "there are no groups of the streams protocol"
#define NO_INTERVAL "a new assignment is made as soon as something changes"
#define ONLY_DEFAULT "Only its default: "

static const struct group_config_def defs[] = {
    {"consumer.assignment.interval.ms", CONFIG_INT, "1000", "group.consumer.assignment.interval.ms",
     NO_INTERVAL, ONLY_DEFAULT NO_INTERVAL "."},
    {HEARTBEAT, CONFIG_INT, "5000", "group.consumer.heartbeat.interval.ms", NULL,
     "How often members of the group with group.protocol=consumer are to say that they are there; told with "
     "the answer to the next heartbeat."},
    {SESSION, CONFIG_INT, "45000", "group.consumer.session.timeout.ms", NULL,
     "A member of the group with group.protocol=consumer that is not heard of for so long is taken for gone; "
     "from its next heartbeat on."},
    {"share.assignment.interval.ms", CONFIG_INT, "1000", "group.share.assignment.interval.ms", NO_SHARE,
     ONLY_DEFAULT NO_SHARE "."},
    {"share.auto.offset.reset", CONFIG_STRING, "latest", NULL, NO_SHARE, ONLY_DEFAULT NO_SHARE "."},
    {"share.delivery.count.limit", CONFIG_INT, "5", "group.share.delivery.count.limit", NO_SHARE,
     ONLY_DEFAULT NO_SHARE "."},
    {"share.heartbeat.interval.ms", CONFIG_INT, "5000", "group.share.heartbeat.interval.ms", NO_SHARE,
     ONLY_DEFAULT NO_SHARE "."},
    {"share.isolation.level", CONFIG_STRING, "read_uncommitted", NULL, NO_SHARE, ONLY_DEFAULT NO_SHARE "."},
    {"share.partition.max.record.locks", CONFIG_INT, "2000", "group.share.partition.max.record.locks",
     NO_SHARE, ONLY_DEFAULT NO_SHARE "."},
    {"share.record.lock.duration.ms", CONFIG_INT, "30000", "group.share.record.lock.duration.ms", NO_SHARE,
     ONLY_DEFAULT NO_SHARE "."},
    {"share.renew.acknowledge.enable", CONFIG_BOOL, "true", NULL, NO_SHARE, ONLY_DEFAULT NO_SHARE "."},
    {"share.session.timeout.ms", CONFIG_INT, "45000", "group.share.session.timeout.ms", NO_SHARE,
     ONLY_DEFAULT NO_SHARE "."},
    {"streams.assignment.interval.ms", CONFIG_INT, "1000", "group.streams.assignment.interval.ms", NO_STREAMS,
     ONLY_DEFAULT NO_STREAMS "."},
    {"streams.heartbeat.interval.ms", CONFIG_INT, "5000", "group.streams.heartbeat.interval.ms", NO_STREAMS,
     ONLY_DEFAULT NO_STREAMS "."},
    {"streams.initial.rebalance.delay.ms", CONFIG_INT, "3000", "group.streams.initial.rebalance.delay.ms",
     NO_STREAMS, ONLY_DEFAULT NO_STREAMS "."},
    {"streams.num.standby.replicas", CONFIG_INT, "0", "group.streams.num.standby.replicas", NO_STREAMS,
     ONLY_DEFAULT NO_STREAMS "."},
    {"streams.session.timeout.ms", CONFIG_INT, "45000", "group.streams.session.timeout.ms", NO_STREAMS,
     ONLY_DEFAULT NO_STREAMS "."},
};
enum { DEF_COUNT = sizeof defs / sizeof defs[0] };

struct group_config {
    struct config_list list; /* empty: a change is under way that is its first */
    struct group_timing timing;
};

struct group_configs {
    pthread_mutex_t lock; /* a leaf */
    struct map *by_group; /* struct group_config */
};

const struct group_config_def *group_config_defs(size_t *count)
{
    *count = DEF_COUNT;
    return defs;
}

/* ---- values ---- */

/* As Java reads an int. */
static bool parse_int(const char *value, int32_t *out)
{
    char *end;
    errno = 0;
    bool digits = strspn(value + (*value == '-' || *value == '+'), "0123456789") > 0;
    long long v = strtoll(value, &end, 10);
    if (!digits || errno || *end || v < INT32_MIN || v > INT32_MAX)
        return false;
    *out = (int32_t)v;
    return true;
}

/* *number: 0 where it is no number that counts. */
static int check_value(const char *name, const char *value, int32_t *number, struct err *e)
{
    const struct group_config_def *d = NULL;
    *number = 0;
    for (size_t i = 0; i < DEF_COUNT && !d; i++)
        d = strcmp(defs[i].name, name) == 0 ? &defs[i] : NULL;
    if (!d)
        return err_set(e, ERR_INVALID_CONFIG, "Unknown group config name: %.100s", name);
    if (d->refused)
        return strcmp(value, d->default_value) == 0
                   ? ERR_OK
                   : err_set(e, ERR_INVALID_CONFIG, "%s: \"%.100s\" is not possible: %s", name, value,
                             d->refused);
    if (!parse_int(value, number) || *number < 1)
        return err_set(e, ERR_INVALID_CONFIG, "%s: \"%.100s\" is not a number between 1 and %d", name, value,
                       INT32_MAX);
    return ERR_OK;
}

int group_config_check(const char *name, const char *value, struct err *e)
{
    int32_t unused;
    return check_value(name, value, &unused, e);
}

static int32_t number_of(const struct config_list *l, const char *name)
{
    int32_t number = -1;
    const struct topic_config_entry *c = topic_config_entry_find(l->list, l->n, name);
    return c && parse_int(c->value, &number) ? number : -1;
}

static struct group_timing timing_of(const struct config_list *l)
{
    return (struct group_timing){.session_ms = number_of(l, SESSION),
                                 .heartbeat_ms = number_of(l, HEARTBEAT)};
}

/* One that the group says, against the hub's bounds, whose names are the same but for "min." and "max.". */
static int check_bounds(int32_t value, int32_t min, int32_t max, const char *what, struct err *e)
{
    if (value >= 0 && value < min)
        return err_set(e, ERR_INVALID_CONFIG,
                       "consumer.%s must be greater than or equal to group.consumer.min.%s, %d", what, what,
                       min);
    if (value >= 0 && value > max)
        return err_set(e, ERR_INVALID_CONFIG,
                       "consumer.%s must be less than or equal to group.consumer.max.%s, %d", what, what,
                       max);
    return ERR_OK;
}

static int check_together(const struct config_list *l, const struct group_bounds *b, struct err *e)
{
    struct group_timing t = timing_of(l);
    int rc =
        check_bounds(t.heartbeat_ms, b->min.heartbeat_ms, b->max.heartbeat_ms, "heartbeat.interval.ms", e);
    if (!rc)
        rc = check_bounds(t.session_ms, b->min.session_ms, b->max.session_ms, "session.timeout.ms", e);
    int32_t session = t.session_ms >= 0 ? t.session_ms : b->others.session_ms,
            heartbeat = t.heartbeat_ms >= 0 ? t.heartbeat_ms : b->others.heartbeat_ms;
    if (!rc && (t.session_ms >= 0 || t.heartbeat_ms >= 0) && session <= heartbeat)
        rc = err_set(e, ERR_INVALID_CONFIG, SESSION ", %d, must be greater than " HEARTBEAT ", %d", session,
                     heartbeat);
    return rc;
}

/* ---- the table ---- */

static void free_config(void *p)
{
    struct group_config *c = p;
    config_list_free(&c->list);
    mem_free(c);
}

struct group_configs *group_configs_new(void)
{
    struct group_configs *g = mem_calloc(1, sizeof *g);
    if (!g)
        return NULL;
    if (!(g->by_group = map_new())) {
        mem_free(g);
        return NULL;
    }
    mutex_init(&g->lock);
    return g;
}

void group_configs_free(struct group_configs *g)
{
    if (!g)
        return;
    map_free(g->by_group, free_config);
    pthread_mutex_destroy(&g->lock);
    mem_free(g);
}

static struct group_config *find(const struct group_configs *g, const char *group)
{
    return map_get(g->by_group, group, strlen(group));
}

/* The group's place, made if it has none yet. Its lock held. NULL: `e` says why. */
static struct group_config *place(struct group_configs *g, const char *group, struct err *e)
{
    struct group_config *c = find(g, group);
    if (c)
        return c;
    if (!(c = mem_calloc(1, sizeof *c))) {
        err_nomem(e);
        return NULL;
    }
    c->timing = timing_of(&c->list);
    if (map_put(g->by_group, group, strlen(group), c, e) == ERR_OK)
        return c;
    free_config(c);
    return NULL;
}

/* Takes the list over; a group without settings has no place. Its lock held. */
static void put(struct group_configs *g, const char *group, struct group_config *c, struct config_list list)
{
    config_list_free(&c->list);
    c->list = list;
    c->timing = timing_of(&c->list);
    if (c->list.n == 0) {
        map_remove(g->by_group, group, strlen(group));
        free_config(c);
    }
}

int group_config_replay(struct group_configs *g, const char *group, const char *key, const char *value,
                        struct err *e)
{
    struct err why;
    struct config_list merged;
    const struct topic_config_entry change = {key, value};
    if (value && group_config_check(key, value, &why) != ERR_OK) {
        diag_warn("broker", "the stored setting %s of group %s is passed over: %s", key, group, why.text);
        return ERR_OK;
    }
    struct group_config *c = place(g, group, e);
    if (!c)
        return e->code;
    int rc = topic_config_merge_list(c->list.list, c->list.n, &change, 1, &merged.list, &merged.n, e);
    if (rc == ERR_OK)
        put(g, group, c, merged);
    return rc;
}

/* ---- changes ---- */

static int push(struct config_list *out, const char *name, const char *value, struct err *e)
{
    char *n = mem_strdup(name), *v = value ? mem_strdup(value) : NULL;
    if (!n || (value && !v)) {
        mem_free(n);
        mem_free(v);
        return err_nomem(e);
    }
    out->list[out->n++] = (struct topic_config_entry){n, v};
    return ERR_OK;
}

static bool named(const struct config_change *changes, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(changes[i].name, name) == 0)
            return true;
    return false;
}

static int resolve_one(const struct config_change *c, const struct config_list *own, struct config_list *out,
                       struct err *e)
{
    if (c->op == CONFIG_DELETE)
        return topic_config_entry_find(own->list, own->n, c->name) ? push(out, c->name, NULL, e) : ERR_OK;
    if (c->op != CONFIG_SET)
        return err_set(e, ERR_INVALID_CONFIG, "Can't %s key %.100s because its type is not LIST.",
                       c->op == CONFIG_APPEND ? "APPEND to" : "SUBTRACT from", c->name);
    char text[16];
    int32_t number;
    int rc = check_value(c->name, c->value, &number, e);
    if (rc)
        return rc;
    snprintf(text, sizeof text, "%d", number); /* as it is described, without a sign or zeros before it */
    return push(out, c->name, number ? text : c->value, e);
}

/* What the changes come to, as config_changes_resolve does for settings of topics. */
static int resolve(const struct config_change *changes, size_t n, bool replace, const struct config_list *own,
                   struct config_list *out, struct err *e)
{
    *out = (struct config_list){.list = mem_calloc(own->n + n + 1, sizeof *out->list)};
    int rc = out->list ? ERR_OK : err_nomem(e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = resolve_one(&changes[i], own, out, e);
    for (size_t i = 0; !rc && replace && i < own->n; i++)
        if (!named(changes, n, own->list[i].name))
            rc = push(out, own->list[i].name, NULL, e);
    return rc;
}

static int append_changes(struct broker *b, const char *group, const struct config_list *entries,
                          struct err *e)
{
    struct meta_record *records = mem_calloc(entries->n + 1, sizeof *records);
    if (!records)
        return err_nomem(e);
    for (size_t i = 0; i < entries->n; i++)
        records[i] = meta_config_record(META_RESOURCE_GROUP, group, &entries->list[i]);
    int rc = meta_append(b, records, entries->n, e);
    mem_free(records);
    return rc;
}

/* Makes it durable and known; `merged` is taken over. What can fail comes before the log is written. */
static int publish(struct broker *b, const char *group, const struct config_list *entries,
                   struct config_list merged, struct err *e)
{
    struct group_configs *g = b->group_configs;
    pthread_mutex_lock(&g->lock);
    bool full = !find(g, group) && map_count(g->by_group) >= BROKER_GROUPS_SET_MAX;
    struct group_config *c = full ? NULL : place(g, group, e);
    pthread_mutex_unlock(&g->lock);
    int rc = full ? err_set(e, ERR_INVALID, "more than %d groups with settings", BROKER_GROUPS_SET_MAX)
             : c  ? append_changes(b, group, entries, e)
                  : e->code;
    if (!c) {
        config_list_free(&merged);
        return rc;
    }
    pthread_mutex_lock(&g->lock);
    if (rc == ERR_OK) {
        put(g, group, c, merged);
    } else {
        config_list_free(&merged);
        if (c->list.n == 0) /* made for this change */
            put(g, group, c, (struct config_list){0});
    }
    pthread_mutex_unlock(&g->lock);
    return rc;
}

int broker_change_group(struct broker *b, const char *group, const struct config_change *changes, size_t n,
                        bool replace, bool try_only, const struct group_bounds *bounds, struct err *e)
{
    struct config_list entries = {0}, merged = {0}, none = {0};
    pthread_mutex_lock(&b->admin); /* who changes it is alone: it may be read without its lock */
    const struct group_config *c = find(b->group_configs, group);
    const struct config_list *own = c ? &c->list : &none;
    int rc = resolve(changes, n, replace, own, &entries, e);
    if (!rc)
        rc = topic_config_merge_list(own->list, own->n, entries.list, entries.n, &merged.list, &merged.n, e);
    if (!rc)
        rc = check_together(&merged, bounds, e);
    if (rc || try_only || entries.n == 0)
        config_list_free(&merged);
    else
        rc = publish(b, group, &entries, merged, e);
    pthread_mutex_unlock(&b->admin);
    config_list_free(&entries);
    return rc;
}

/* ---- reading ---- */

int broker_group_settings(struct broker *b, const char *group, struct topic_config_entry **list, size_t *n,
                          struct err *e)
{
    pthread_mutex_lock(&b->group_configs->lock);
    const struct group_config *c = find(b->group_configs, group);
    int rc = topic_config_merge_list(c ? c->list.list : NULL, c ? c->list.n : 0, NULL, 0, list, n, e);
    pthread_mutex_unlock(&b->group_configs->lock);
    return rc;
}

struct group_timing broker_group_timing(struct broker *b, const char *group)
{
    struct group_timing t = {-1, -1};
    pthread_mutex_lock(&b->group_configs->lock);
    const struct group_config *c = find(b->group_configs, group);
    if (c)
        t = c->timing;
    pthread_mutex_unlock(&b->group_configs->lock);
    return t;
}

int broker_groups_set(struct broker *b, struct arena *a, const char *const **names, size_t *n, struct err *e)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    pthread_mutex_lock(&b->group_configs->lock);
    const char **list = arena_alloc(a, (map_count(b->group_configs->by_group) + 1) * sizeof *list);
    bool made = list != NULL;
    *n = 0;
    while (made && map_next(b->group_configs->by_group, &pos, &key, &len, &value)) {
        if (((const struct group_config *)value)->list.n == 0)
            continue;
        list[*n] = arena_dup(a, key, len);
        made = list[*n] != NULL;
        *n += made;
    }
    pthread_mutex_unlock(&b->group_configs->lock);
    *names = list;
    return made ? ERR_OK : err_nomem(e);
}
