/*
 * members: a member and what it has said of itself. Under the lock of groups.
 */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "group/internal.h"

bool string_is(struct msg_string s, const char *text)
{
    if (text == NULL || s.n < 0)
        return text == NULL && s.n < 0;
    return strlen(text) == (size_t)s.n && (s.n == 0 || memcmp(s.p, text, (size_t)s.n) == 0);
}

bool string_same(struct msg_string a, struct msg_string b)
{
    return a.n == b.n && (a.n <= 0 || memcmp(a.p, b.p, (size_t)a.n) == 0);
}

struct msg_string string_of(const char *s)
{
    return s != NULL ? msg_text(s, strlen(s)) : MSG_NULL_STRING;
}

char *string_copy(struct msg_string s)
{
    return mem_strndup(s.n > 0 ? s.p : "", s.n > 0 ? (size_t)s.n : 0);
}

struct group_protocol *protocols_copy(const struct group_protocol *from, int32_t count)
{
    size_t bytes = 0, n = (size_t)count;
    for (size_t i = 0; i < n; i++)
        bytes += (size_t)from[i].name.n + (size_t)from[i].metadata.n;
    struct group_protocol *list = mem_alloc(n * sizeof *list + bytes + 1);
    if (list == NULL)
        return NULL;
    uint8_t *at = (uint8_t *)(list + n);
    for (size_t i = 0; i < n; i++) {
        size_t name = (size_t)from[i].name.n, size = (size_t)from[i].metadata.n;
        list[i].name = msg_text(memcpy(at, name > 0 ? from[i].name.p : "", name), name);
        at += name;
        list[i].metadata = (struct msg_bytes){
            memcpy(at, size > 0 ? from[i].metadata.p : (const uint8_t *)"", size), (int32_t)size};
        at += size;
    }
    return list;
}

static bool copy_protocols(struct member *m, const struct group_join *j)
{
    struct group_protocol *list = protocols_copy(j->protocols, j->protocol_count);
    if (list == NULL)
        return false;
    mem_free(m->protocols);
    m->protocols = list;
    m->protocol_count = j->protocol_count;
    return true;
}

void member_free(struct member *m)
{
    if (m == NULL)
        return;
    mem_free(m->id);
    mem_free(m->instance);
    mem_free(m->client_id);
    mem_free(m->host);
    mem_free(m->protocols);
    mem_free(m->assignment);
    mem_free(m);
}

struct member *member_new(const struct group_join *j, const char *id)
{
    struct member *m = mem_calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->id = mem_strdup(id);
    m->instance = j->instance.n >= 0 ? string_copy(j->instance) : NULL;
    m->client_id = string_copy(j->client_id);
    m->host = mem_strdup(j->host);
    m->session_ms = j->session_ms;
    m->rebalance_ms = j->rebalance_ms;
    if (m->id != NULL && m->client_id != NULL && m->host != NULL &&
        (m->instance != NULL || j->instance.n < 0) && copy_protocols(m, j))
        return m;
    member_free(m);
    return NULL;
}

bool member_update(struct member *m, const struct group_join *j)
{
    if (!copy_protocols(m, j))
        return false;
    m->session_ms = j->session_ms;
    m->rebalance_ms = j->rebalance_ms;
    return true;
}

bool member_same_protocols(const struct member *m, const struct group_join *j)
{
    if (m->protocol_count != j->protocol_count)
        return false;
    for (int32_t i = 0; i < m->protocol_count; i++) {
        const struct group_protocol *a = &m->protocols[i], *b = &j->protocols[i];
        if (!string_same(a->name, b->name) || a->metadata.n != b->metadata.n ||
            (a->metadata.n > 0 && memcmp(a->metadata.p, b->metadata.p, (size_t)a->metadata.n) != 0))
            return false;
    }
    return true;
}

const struct group_protocol *member_protocol(const struct member *m, struct msg_string name)
{
    for (int32_t i = 0; i < m->protocol_count; i++)
        if (string_same(m->protocols[i].name, name))
            return &m->protocols[i];
    return NULL;
}

struct member *group_member(const struct group *g, struct msg_string id)
{
    struct id_link *l = ids_find(&g->ids, ID_MEMBER, id);
    return l != NULL ? (struct member *)((char *)l - offsetof(struct member, by_id)) : NULL;
}

struct member *group_instance(const struct group *g, struct msg_string instance)
{
    struct id_link *l = ids_find(&g->ids, ID_INSTANCE, instance);
    return l != NULL ? (struct member *)((char *)l - offsetof(struct member, by_instance)) : NULL;
}

void member_add_ids(struct group *g, struct member *m)
{
    ids_add(&g->ids, &m->by_id, ID_MEMBER, m->id);
    if (m->instance != NULL)
        ids_add(&g->ids, &m->by_instance, ID_INSTANCE, m->instance);
}

void member_remove_ids(struct group *g, struct member *m)
{
    ids_remove(&g->ids, &m->by_id);
    if (m->instance != NULL)
        ids_remove(&g->ids, &m->by_instance);
}

void member_append(struct group *g, struct member *m)
{
    struct member **at = &g->members;
    while (*at != NULL)
        at = &(*at)->next;
    *at = m;
    g->count++;
    member_add_ids(g, m);
}
