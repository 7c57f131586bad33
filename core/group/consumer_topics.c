/*
 * consumer_topics: what a consumer group is subscribed to: topics by name and by regular expression, as far as they exist; and the targets of
 * its members, computed from that. Under the lock of the group's shard.
 *
 * The hub's topics have a version. A group looks at them again when it is another one than that which it saw, which every heartbeat
 * compares; so a topic that is made, deleted or given partitions is noticed by the next heartbeat of any member.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "group/consumer_internal.h"

#define REGEXES_MAX 100 /* different ones in a group */

/* ---- names in a block ---- */

struct names {
    char **list;
    size_t n, room;
    bool failed;
};

static void add_name(struct names *to, const char *name)
{
    if (to->n == to->room) {
        size_t room = to->room > 0 ? 2 * to->room : 16;
        char **list = mem_realloc_array(to->list, room, sizeof(char *));
        to->failed = to->failed || list == NULL;
        if (list == NULL)
            return;
        to->list = list;
        to->room = room;
    }
    char *copy = mem_strdup(name);
    to->failed = to->failed || copy == NULL;
    if (copy != NULL)
        to->list[to->n++] = copy;
}

static void free_names(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(list[i]);
    mem_free(list);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- regular expressions ---- */

static struct cregex *find_regex(const struct cgroup *c, const char *text)
{
    struct cregex *r = c->regexes;
    while (r != NULL && strcmp(r->text, text) != 0)
        r = r->next;
    return r;
}

static const struct cregex *regex_of(const struct cgroup *c, const struct cmember *m)
{
    return m->regex != NULL && m->regex[0] != '\0' ? find_regex(c, m->regex) : NULL;
}

void cregex_free(struct cregex *r)
{
    topic_regex_free(r->compiled);
    free_names(r->topics, (size_t)r->topic_count);
    mem_free(r->text);
    mem_free(r);
}

void cregexes_free(struct cgroup *c)
{
    for (struct cregex *r; (r = c->regexes) != NULL;) {
        c->regexes = r->next;
        cregex_free(r);
    }
}

int16_t cgroup_regex(struct cgroup *c, struct msg_string text, struct err *e)
{
    int32_t count = 0;
    char *copy = string_copy(text);
    if (copy == NULL)
        return GROUP_NO_MEMORY;
    for (const struct cregex *r = c->regexes; r != NULL; r = r->next, count++)
        if (strcmp(r->text, copy) == 0) {
            mem_free(copy);
            return GROUP_OK;
        }
    struct cregex *r = mem_calloc(1, sizeof *r);
    if (count >= REGEXES_MAX)
        err_set(e, ERR_INVALID, "the group has %d other ones", REGEXES_MAX);
    else if (r == NULL)
        err_nomem(e);
    else if ((r->compiled = topic_regex_new(copy, e)) != NULL) {
        r->text = copy;
        r->next = c->regexes;
        c->regexes = r;
        return GROUP_OK;
    }
    mem_free(r);
    mem_free(copy);
    return e->code == ERR_INVALID ? GROUP_INVALID_REGEX : GROUP_NO_MEMORY;
}

static void drop_unused(struct cgroup *c)
{
    size_t pos = 0;
    for (struct cmember *m; c->regexes != NULL && (m = cgroup_next(c, &pos)) != NULL;) {
        struct cregex *r = m->regex != NULL ? find_regex(c, m->regex) : NULL;
        if (r != NULL)
            r->used = true;
    }
    for (struct cregex **at = &c->regexes, *r; (r = *at) != NULL;) {
        bool used = r->used;
        r->used = false;
        if (used) {
            at = &r->next;
        } else {
            *at = r->next;
            r->next = c->removed.regexes; /* until that is written */
            c->removed.regexes = r;
            c->dirty = true;
        }
    }
}

struct matching {
    const struct cregex *regex;
    struct names names;
};

static void match_one(void *to, const char *name)
{
    struct matching *m = to;
    if (topic_regex_matches(m->regex->compiled, name))
        add_name(&m->names, name);
}

static bool resolve(const struct groups *all, struct cregex *r)
{
    struct matching m = {.regex = r};
    all->o.topics.each(all->o.topics.arg, match_one, &m);
    if (m.names.failed) {
        free_names(m.names.list, m.names.n);
        return false;
    }
    if (m.names.n > 0)
        qsort(m.names.list, m.names.n, sizeof(char *), by_text);
    free_names(r->topics, (size_t)r->topic_count);
    r->topics = m.names.list;
    r->topic_count = (int32_t)m.names.n;
    return true;
}

/* ---- topics ---- */

void ctopics_free(struct ctopics *t)
{
    for (int32_t i = 0; i < t->n; i++)
        mem_free(t->list[i].name);
    mem_free(t->list);
    *t = (struct ctopics){NULL, 0};
}

static int topic_by_name(const void *a, const void *b)
{
    return strcmp(((const struct ctopic *)a)->name, ((const struct ctopic *)b)->name);
}

const struct ctopic *cgroup_topic(const struct cgroup *c, const char *name)
{
    struct ctopic key = {.name = (char *)(uintptr_t)name};
    return c->topics.n > 0 ? bsearch(&key, c->topics.list, (size_t)c->topics.n, sizeof key, topic_by_name)
                           : NULL;
}

static bool note(struct map *names, char *const *list, int32_t n)
{
    static char there;
    struct err e;
    for (int32_t i = 0; i < n; i++)
        if (map_get(names, list[i], strlen(list[i])) == NULL &&
            map_put(names, list[i], strlen(list[i]), &there, &e) != ERR_OK)
            return false;
    return true;
}

static bool note_all(const struct cgroup *c, struct map *names)
{
    size_t pos = 0;
    for (struct cmember *m; (m = cgroup_next(c, &pos)) != NULL;)
        if (!note(names, m->topics, m->topic_count))
            return false;
    for (const struct cregex *r = c->regexes; r != NULL; r = r->next)
        if (!note(names, r->topics, r->topic_count))
            return false;
    return true;
}

/* Those of the names that exist. */
static bool find_topics(const struct groups *all, const struct map *names, struct ctopics *out)
{
    size_t pos = 0, n;
    const void *key;
    void *value;
    out->list = mem_calloc(map_count(names) + 1, sizeof *out->list);
    while (out->list != NULL && map_next(names, &pos, &key, &n, &value)) {
        struct group_topic found;
        char *name = mem_strndup(key, n);
        if (name == NULL) {
            ctopics_free(out);
        } else if (all->o.topics.by_name(all->o.topics.arg, name, &found)) {
            out->list[out->n++] = (struct ctopic){name, found.id, found.partitions};
        } else {
            mem_free(name);
        }
    }
    if (out->n > 0)
        qsort(out->list, (size_t)out->n, sizeof *out->list, topic_by_name);
    return out->list != NULL;
}

/* 0 for none. */
static int64_t hash_of(const struct ctopics *t)
{
    uint64_t h = 0;
    for (int32_t i = 0; i < t->n; i++) {
        struct {
            uint64_t before, name;
            struct uuid id;
            int64_t partitions;
        } one = {h, hash64(t->list[i].name, strlen(t->list[i].name)), t->list[i].id, t->list[i].partitions};
        h = hash64(&one, sizeof one);
    }
    return (int64_t)h;
}

static void bump(struct cgroup *c)
{
    c->epoch++;
    c->dirty = c->dirty_epoch = true;
}

static bool look(const struct groups *all, struct cgroup *c, uint64_t version, struct ctopics *found)
{
    struct map *names = map_new();
    bool made = names != NULL;
    drop_unused(c);
    for (struct cregex *r = c->regexes; made && r != NULL; r = r->next)
        if (r->seen != version && (made = resolve(all, r))) {
            r->seen = version;
            r->dirty = c->dirty = true;
        }
    made = made && note_all(c, names) && find_topics(all, names, found);
    map_free(names, NULL);
    return made;
}

int16_t cgroup_look(struct groups *all, struct cgroup *c, bool changed)
{
    uint64_t version = all->o.topics.version(all->o.topics.arg);
    struct ctopics found = {NULL, 0};
    if (changed) { /* also if there is no memory for the rest: that is made up for by the next heartbeat */
        bump(c);
        c->seen = 0;
    }
    if (c->seen == version)
        return GROUP_OK;
    if (!look(all, c, version, &found))
        return GROUP_NO_MEMORY;
    c->seen = version;
    ctopics_free(&c->topics);
    c->topics = found;
    int64_t hash = hash_of(&found);
    bool first =
        c->epoch == 1; /* Kafka 4.3 counts both the first member and the first topics that it finds */
    if (hash != c->hash && (!changed || first))
        bump(c);
    c->hash = hash;
    return GROUP_OK;
}

bool cgroup_topics(const struct cgroup *c, struct map *topics)
{
    static char there;
    struct err e;
    for (int32_t i = 0; i < c->topics.n; i++) {
        int rc = map_put(topics, c->topics.list[i].name, strlen(c->topics.list[i].name), &there, &e);
        if (rc != ERR_OK && rc != ERR_EXISTS)
            return false;
    }
    return c->seen != 0;
}

/* ---- targets ---- */

const char *cgroup_assignor(const struct cgroup *c)
{
    size_t pos = 0;
    int32_t uniform = 0, range = 0;
    for (const struct cmember *m; (m = cgroup_next(c, &pos)) != NULL;) {
        uniform += m->assignor != NULL && strcmp(m->assignor, "uniform") == 0;
        range += m->assignor != NULL && strcmp(m->assignor, "range") == 0;
    }
    return range > uniform ? "range" : ASSIGN_DEFAULT;
}

/* What the assignor is given, in one arena. */
struct work {
    struct arena arena;
    struct assign assign;
    struct assign_topic *topics;
    int32_t *number; /* of each of the group's topics, in the order by id */
    struct cmember **members;
    struct assign_member *as;
};

static int topic_by_id(const void *a, const void *b)
{
    return memcmp(&((const struct assign_topic *)a)->id, &((const struct assign_topic *)b)->id,
                  sizeof(struct uuid));
}

static int member_by_id(const void *a, const void *b)
{
    return strcmp((*(struct cmember *const *)a)->id, (*(struct cmember *const *)b)->id);
}

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static bool list_topics(const struct cgroup *c, struct work *w)
{
    size_t n = (size_t)c->topics.n;
    w->topics = arena_alloc(&w->arena, n * sizeof *w->topics);
    w->number = arena_alloc(&w->arena, n * sizeof *w->number);
    if (w->topics == NULL || w->number == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        w->topics[i] = (struct assign_topic){c->topics.list[i].id, c->topics.list[i].partitions};
    if (n > 0)
        qsort(w->topics, n, sizeof *w->topics, topic_by_id);
    for (size_t i = 0; i < n; i++) {
        struct assign_topic key = {.id = c->topics.list[i].id};
        const struct assign_topic *at = bsearch(&key, w->topics, n, sizeof key, topic_by_id);
        w->number[i] = (int32_t)(at - w->topics);
    }
    w->assign.topics = w->topics;
    w->assign.topic_count = c->topics.n;
    return true;
}

static int32_t add_topics(const struct cgroup *c, const struct work *w, char *const *names, int32_t n,
                          int32_t *to, int32_t count)
{
    for (int32_t i = 0; i < n; i++) {
        const struct ctopic *t = cgroup_topic(c, names[i]);
        if (t != NULL)
            to[count++] = w->number[t - c->topics.list];
    }
    return count;
}

static bool list_member(const struct cgroup *c, struct work *w, const struct cmember *m,
                        struct assign_member *out)
{
    const struct cregex *r = regex_of(c, m);
    size_t most = (size_t)m->topic_count + (size_t)(r != NULL ? r->topic_count : 0);
    int32_t *topics = arena_alloc(&w->arena, most * sizeof *topics), n = 0, kept = 0;
    if (topics == NULL)
        return false;
    n = add_topics(c, w, m->topics, m->topic_count, topics, n);
    n = r != NULL ? add_topics(c, w, r->topics, r->topic_count, topics, n) : n;
    if (n > 0)
        qsort(topics, (size_t)n, sizeof *topics, by_number);
    for (int32_t i = 0; i < n; i++)
        if (kept == 0 || topics[kept - 1] != topics[i])
            topics[kept++] = topics[i];
    *out = (struct assign_member){
        .id = m->id, .instance = m->instance, .topics = topics, .topic_count = kept, .before = &m->target};
    return true;
}

static bool list_members(const struct cgroup *c, struct work *w)
{
    size_t n = (size_t)cgroup_count(c), pos = 0, at = 0;
    w->members = arena_alloc(&w->arena, n * sizeof(struct cmember *));
    w->as = arena_alloc(&w->arena, n * sizeof *w->as);
    if (w->members == NULL || w->as == NULL)
        return false;
    for (struct cmember *m; (m = cgroup_next(c, &pos)) != NULL;)
        w->members[at++] = m;
    if (n > 0)
        qsort(w->members, n, sizeof(struct cmember *), member_by_id);
    for (size_t i = 0; i < n; i++)
        if (!list_member(c, w, w->members[i], &w->as[i]))
            return false;
    w->assign.members = w->as;
    w->assign.member_count = (int32_t)n;
    return true;
}

int16_t cgroup_assign(struct cgroup *c)
{
    struct work w = {.members = NULL};
    if (c->assignment_epoch >= c->epoch)
        return GROUP_OK;
    arena_init(&w.arena, ARENA_MAX_BYTES, NULL);
    bool made = list_topics(c, &w) && list_members(c, &w) && assign_by_name(cgroup_assignor(c))(&w.assign);
    for (int32_t i = 0; made && i < w.assign.member_count; i++) {
        if (!tp_set_equal(&w.members[i]->target, &w.as[i].after))
            cmember_mark(c, w.members[i], CDIRTY_TARGET);
        tp_set_free(&w.members[i]->target);
        w.members[i]->target = w.as[i].after;
    }
    if (made) {
        c->assignment_epoch = c->epoch;
        c->dirty = c->dirty_target = true;
    }
    arena_free(&w.arena);
    return made ? GROUP_OK : GROUP_NO_MEMORY;
}
