/*
 * consumer_members: members of consumer groups: the tables, and what a member says of itself. Under the lock of the group's shard.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "group/consumer_internal.h"

/* ---- tables ---- */

struct cgroup *cgroup_new(struct group *g)
{
    struct cgroup *c = mem_calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->group = g;
    c->members = map_new();
    c->instances = map_new();
    if (c->members != NULL && c->instances != NULL)
        return c;
    cgroup_free(c);
    return NULL;
}

static void free_member(void *m)
{
    cmember_free(m);
}

void cgroup_free(struct cgroup *c)
{
    if (c == NULL)
        return;
    if (c->members != NULL)
        map_free(c->members, free_member);
    if (c->instances != NULL)
        map_free(c->instances, NULL);
    cremoved_free(&c->removed);
    cregexes_free(c);
    ctopics_free(&c->topics);
    mem_free(c);
}

int16_t cgroup_drop(struct groups *all, struct group *g)
{
    int16_t error = g->consumer != NULL ? cgroup_bury(all, g->consumer) : GROUP_OK;
    if (error != GROUP_OK)
        return error;
    cgroup_free(g->consumer);
    g->consumer = NULL;
    return GROUP_OK;
}

static struct cmember *look_up(const struct map *m, struct msg_string key)
{
    return key.n >= 0 ? map_get(m, key.n > 0 ? key.p : "", (size_t)key.n) : NULL;
}

struct cmember *cgroup_member(const struct cgroup *c, struct msg_string id)
{
    return look_up(c->members, id);
}

struct cmember *cgroup_instance(const struct cgroup *c, struct msg_string instance)
{
    return look_up(c->instances, instance);
}

int32_t cgroup_count(const struct cgroup *c)
{
    return (int32_t)map_count(c->members);
}

struct cmember *cgroup_next(const struct cgroup *c, size_t *pos)
{
    const void *key;
    size_t n;
    void *m;
    return map_next(c->members, pos, &key, &n, &m) ? m : NULL;
}

bool cgroup_put(struct cgroup *c, struct cmember *m)
{
    struct err e;
    if (map_put(c->members, m->id, strlen(m->id), m, &e) != ERR_OK)
        return false;
    if (m->instance != NULL && map_put(c->instances, m->instance, strlen(m->instance), m, &e) != ERR_OK) {
        map_remove(c->members, m->id, strlen(m->id));
        return false;
    }
    c->group->count++;
    cmember_mark(c, m, CDIRTY_MEMBER | CDIRTY_TARGET | CDIRTY_CURRENT);
    return true;
}

void cmember_mark(struct cgroup *c, struct cmember *m, uint8_t what)
{
    m->dirty |= what;
    c->dirty = true;
}

bool cgroup_name(struct cgroup *c, struct cmember *m, struct msg_string instance)
{
    struct err e;
    m->instance = string_copy(instance);
    return m->instance != NULL && map_put(c->instances, m->instance, strlen(m->instance), m, &e) == ERR_OK;
}

void cgroup_retire(struct cgroup *c, struct cmember *m)
{
    m->next_removed = c->removed.members;
    c->removed.members = m;
    c->dirty = true;
}

void cremoved_free(struct cremoved *r)
{
    for (struct cmember *m; (m = r->members) != NULL;) {
        r->members = m->next_removed;
        cmember_free(m);
    }
    for (struct cregex *x; (x = r->regexes) != NULL;) {
        r->regexes = x->next;
        cregex_free(x);
    }
}

void cremoved_join(struct cremoved *to, struct cremoved *from)
{
    struct cmember **members = &from->members;
    struct cregex **regexes = &from->regexes;
    while (*members != NULL)
        members = &(*members)->next_removed;
    while (*regexes != NULL)
        regexes = &(*regexes)->next;
    *members = to->members;
    *regexes = to->regexes;
    *to = *from;
    *from = (struct cremoved){NULL, NULL};
}

void cgroup_take(struct cgroup *c, struct cmember *m)
{
    map_remove(c->members, m->id, strlen(m->id));
    if (m->instance != NULL)
        map_remove(c->instances, m->instance, strlen(m->instance));
    c->group->count--;
}

/* ---- a member ---- */

struct cmember *cmember_new(struct msg_string id, struct msg_string instance)
{
    struct cmember *m = mem_calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->rebalance_ms = -1;
    m->session_end = m->revoke_end = m->join_end = m->sync_end = NEVER;
    m->id = string_copy(id);
    m->instance = instance.n >= 0 ? string_copy(instance) : NULL;
    if (m->id != NULL && (m->instance != NULL || instance.n < 0))
        return m;
    cmember_free(m);
    return NULL;
}

void cmember_free(struct cmember *m)
{
    if (m == NULL)
        return;
    mem_free(m->id);
    mem_free(m->instance);
    mem_free(m->rack);
    mem_free(m->client_id);
    mem_free(m->host);
    mem_free(m->assignor);
    mem_free(m->regex);
    mem_free(m->topics);
    mem_free(m->protocols);
    tp_set_free(&m->assigned);
    tp_set_free(&m->revoking);
    tp_set_free(&m->target);
    mem_free(m);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, each once, with the texts in the same block. */
static char **copy_topics(const struct msg_string *topics, int32_t n, int32_t *kept)
{
    size_t bytes = 0;
    for (int32_t i = 0; i < n; i++)
        bytes += (size_t)(topics[i].n > 0 ? topics[i].n : 0) + 1;
    char **list = mem_alloc((size_t)n * sizeof(char *) + bytes + 1);
    if (list == NULL)
        return NULL;
    char *at = (char *)(list + n);
    for (int32_t i = 0; i < n; i++) {
        size_t size = topics[i].n > 0 ? (size_t)topics[i].n : 0;
        list[i] = memcpy(at, size > 0 ? topics[i].p : "", size);
        at[size] = '\0';
        at += size + 1;
    }
    qsort(list, (size_t)n, sizeof(char *), by_text);
    *kept = 0;
    for (int32_t i = 0; i < n; i++)
        if (*kept == 0 || strcmp(list[*kept - 1], list[i]) != 0)
            list[(*kept)++] = list[i];
    return list;
}

static bool same_topics(const struct cmember *m, char *const *topics, int32_t n)
{
    if (m->topic_count != n)
        return false;
    for (int32_t i = 0; i < n; i++)
        if (strcmp(m->topics[i], topics[i]) != 0)
            return false;
    return true;
}

/* Texts that are to take the place of the member's; NULL: it keeps its own. */
struct texts {
    char *rack, *client_id, *host, *regex, *assignor, **topics;
    int32_t topic_count;
    struct group_protocol *protocols;
};

static void free_texts(struct texts *t)
{
    mem_free(t->rack);
    mem_free(t->client_id);
    mem_free(t->host);
    mem_free(t->regex);
    mem_free(t->assignor);
    mem_free(t->topics);
    mem_free(t->protocols);
}

static bool copy_text(struct msg_string from, char **to)
{
    return from.n < 0 || (*to = string_copy(from)) != NULL;
}

static bool copy_texts(const struct csaid *said, struct texts *t)
{
    return copy_text(said->rack, &t->rack) && copy_text(said->regex, &t->regex) &&
           copy_text(said->assignor, &t->assignor) && (t->client_id = string_copy(said->client_id)) != NULL &&
           (t->host = mem_strdup(said->host)) != NULL &&
           (said->topic_count < 0 ||
            (t->topics = copy_topics(said->topics, said->topic_count, &t->topic_count)) != NULL) &&
           (!said->classic || (t->protocols = protocols_copy(said->protocols, said->protocol_count)) != NULL);
}

/* Whether that changes anything. */
static bool put_text(char **to, char **from)
{
    bool changed = *from != NULL && (*to == NULL || strcmp(*to, *from) != 0);
    if (!changed)
        return false;
    mem_free(*to);
    *to = *from;
    *from = NULL;
    return true;
}

static bool same_protocols(const struct cmember *m, const struct csaid *said)
{
    if (m->classic != said->classic || (m->classic && m->protocol_count != said->protocol_count))
        return false;
    for (int32_t i = 0; m->classic && i < m->protocol_count; i++) {
        const struct group_protocol *a = &m->protocols[i], *b = &said->protocols[i];
        if (!string_same(a->name, b->name) || a->metadata.n != b->metadata.n ||
            (a->metadata.n > 0 && memcmp(a->metadata.p, b->metadata.p, (size_t)a->metadata.n) != 0))
            return false;
    }
    return true;
}

bool cmember_update(struct cmember *m, const struct csaid *said, bool *topics_changed, bool *regex_changed)
{
    struct texts t = {0};
    if (!copy_texts(said, &t)) {
        free_texts(&t);
        return false;
    }
    *topics_changed = t.topics != NULL && !same_topics(m, t.topics, t.topic_count);
    *regex_changed = t.regex != NULL && strcmp(t.regex, m->regex != NULL ? m->regex : "") != 0;
    if (t.topics != NULL) {
        mem_free(m->topics);
        m->topics = t.topics;
        m->topic_count = t.topic_count;
        t.topics = NULL;
    }
    bool changed = *topics_changed || *regex_changed || !same_protocols(m, said) ||
                   m->session_ms != said->session_ms ||
                   (said->rebalance_ms >= 0 && said->rebalance_ms != m->rebalance_ms);
    changed = put_text(&m->rack, &t.rack) || changed;
    changed = put_text(&m->client_id, &t.client_id) || changed;
    changed = put_text(&m->host, &t.host) || changed;
    changed = put_text(&m->regex, &t.regex) || changed;
    changed = put_text(&m->assignor, &t.assignor) || changed;
    if (changed)
        m->dirty |= CDIRTY_MEMBER;
    if (said->rebalance_ms >= 0)
        m->rebalance_ms = said->rebalance_ms;
    mem_free(m->protocols);
    m->protocols = t.protocols;
    m->classic = said->classic;
    m->protocol_count = said->classic ? said->protocol_count : 0;
    m->session_ms = said->session_ms;
    t.protocols = NULL;
    free_texts(&t);
    return true;
}
