/*
 * assignment: see assignment.h. Its lock is held over calls to the client, never the other way round.
 */
#include "connect/assignment.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "connect/topics.h"

struct seen {
    char *topic;
    struct uuid id;
    int32_t partitions;
};

struct division {
    struct seen *topics;
    size_t count, room;
};

struct assignment {
    struct client *client;
    const struct pipeline_config *pipeline;
    int tasks;
    pthread_mutex_t lock;
    struct division now;         /* as it was made */
    int readers;                 /* tasks inside */
    bool stale;                  /* to be made anew once nobody is inside */
    _Atomic uint64_t generation; /* from 1 */
};

struct assignment *assignment_new(struct client *c, const struct pipeline_config *p, int tasks, struct err *e)
{
    struct assignment *a = mem_calloc(1, sizeof(*a));
    if (a == NULL) {
        err_nomem(e);
        return NULL;
    }
    a->client = c;
    a->pipeline = p;
    a->tasks = tasks;
    a->stale = true;
    atomic_init(&a->generation, 1);
    mutex_init(&a->lock);
    return a;
}

static void division_free(struct division *d)
{
    for (size_t i = 0; i < d->count; i++)
        mem_free(d->topics[i].topic);
    mem_free(d->topics);
    *d = (struct division){0};
}

void assignment_free(struct assignment *a)
{
    if (a == NULL)
        return;
    pthread_mutex_destroy(&a->lock);
    division_free(&a->now);
    mem_free(a);
}

/* ---- looking at the topics ------------------------------------------------------------------------------------------- */

static int add(struct division *d, const struct uuid *id, int32_t partitions, const char *name, struct err *e)
{
    if (d->count == d->room) {
        size_t room = d->room == 0 ? 8 : d->room * 2;
        struct seen *more = mem_realloc_array(d->topics, room, sizeof(*more));
        if (more == NULL)
            return err_nomem(e);
        d->topics = more;
        d->room = room;
    }
    d->topics[d->count] = (struct seen){mem_strdup(name), *id, partitions};
    return d->topics[d->count++].topic == NULL ? err_nomem(e) : ERR_OK;
}

/* Those that the pipeline names must be there, but for one that its source may never write. */
static int add_named(const struct assignment *a, struct division *d, struct err *e)
{
    const struct pipeline_config *p = a->pipeline;
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < p->topic_count; i++) {
        struct topic_brief info;
        rc = client_topic_brief(a->client, p->topics[i], &info, e);
        if (rc == ERR_UNKNOWN_TOPIC && i == 0 && p->own_topics) {
            rc = ERR_OK;
            continue;
        }
        if (rc != ERR_OK)
            return err_wrap(e, "topic %s", p->topics[i]);
        rc = add(d, &info.id, info.partitions, p->topics[i], e);
    }
    return rc;
}

static bool is_named(const struct pipeline_config *p, const char *topic)
{
    for (size_t i = 0; i < p->topic_count; i++)
        if (strcmp(p->topics[i], topic) == 0)
            return true;
    return false;
}

static int add_matching(const struct assignment *a, struct division *d, struct err *e)
{
    const struct pipeline_config *p = a->pipeline;
    struct topic_info *list;
    size_t n;
    int rc = client_topics(a->client, &list, &n, e);
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        if (!topics_internal(a->client, list[i].name) && !is_named(p, list[i].name) &&
            regex_matches(p->regex, list[i].name))
            rc = add(d, &list[i].id, list[i].partition_count, list[i].name, e);
    topic_infos_free(list, n);
    return rc;
}

static int by_name(const void *x, const void *y)
{
    return strcmp(((const struct seen *)x)->topic, ((const struct seen *)y)->topic);
}

/* The topics as they are now: the named ones in their order, then the others by name. */
static int look(const struct assignment *a, struct division *d, struct err *e)
{
    *d = (struct division){0};
    int rc = add_named(a, d, e);
    size_t named = d->count;
    if (rc == ERR_OK && a->pipeline->regex != NULL)
        rc = add_matching(a, d, e);
    if (rc != ERR_OK)
        division_free(d);
    else if (d->count > named + 1)
        qsort(d->topics + named, d->count - named, sizeof(d->topics[0]), by_name);
    return rc;
}

static bool same(const struct division *x, const struct division *y)
{
    if (x->count != y->count)
        return false;
    for (size_t i = 0; i < x->count; i++) {
        const struct seen *s = &x->topics[i], *t = &y->topics[i];
        if (strcmp(s->topic, t->topic) != 0 || s->partitions != t->partitions ||
            memcmp(&s->id, &t->id, sizeof(s->id)) != 0)
            return false;
    }
    return true;
}

/* ---- dividing -------------------------------------------------------------------------------------------------------- */

static int share(const struct assignment *a, int index, struct assigned **list, size_t *n, struct err *e)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < a->now.count; i++)
        total += (size_t)a->now.topics[i].partitions;
    *n = 0;
    *list = mem_calloc(total / (size_t)a->tasks + 1, sizeof(**list));
    if (*list == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < a->now.count; i++) {
        const struct seen *s = &a->now.topics[i];
        for (int32_t p = 0; p < s->partitions; p++, at++) {
            if (at % (size_t)a->tasks == (size_t)index)
                (*list)[(*n)++] = (struct assigned){s->topic, p, s->id};
        }
    }
    return ERR_OK;
}

int assignment_enter(struct assignment *a, int index, struct assigned **list, size_t *n, uint64_t *generation,
                     struct err *e)
{
    struct division next;
    int rc = ERR_OK;
    *list = NULL;
    pthread_mutex_lock(&a->lock);
    if (a->stale && a->readers > 0) {
        rc = err_set(e, ERR_BUSY, "other tasks have not left the last division of the partitions yet");
    } else if (a->stale && (rc = look(a, &next, e)) == ERR_OK) {
        division_free(&a->now);
        a->now = next;
    }
    if (rc == ERR_OK)
        rc = share(a, index, list, n, e);
    if (rc == ERR_OK) {
        a->stale = false;
        a->readers++;
        *generation = atomic_load(&a->generation);
    }
    pthread_mutex_unlock(&a->lock);
    return rc;
}

void assignment_leave(struct assignment *a)
{
    pthread_mutex_lock(&a->lock);
    a->readers--;
    pthread_mutex_unlock(&a->lock);
}

void assignment_refresh(struct assignment *a)
{
    struct err e;
    struct division next = {0};
    pthread_mutex_lock(&a->lock);
    if (!a->stale && (look(a, &next, &e) != ERR_OK || !same(&a->now, &next))) {
        a->stale = true;
        atomic_fetch_add(&a->generation, 1);
    }
    pthread_mutex_unlock(&a->lock);
    division_free(&next);
}

bool assignment_old(struct assignment *a, uint64_t generation)
{
    return atomic_load_explicit(&a->generation, memory_order_relaxed) != generation;
}
