/*
 * assignment: see assignment.h. Its lock is held over calls to the client, never the other way round.
 */
#include "connect/assignment.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "base/thread.h"

struct assignment {
    struct client *client;
    char *const *topics;
    size_t topic_count;
    int tasks;
    pthread_mutex_t lock;
    int32_t *partitions; /* of each topic */
    int readers;         /* tasks inside */
    bool stale;          /* to be made anew once nobody is inside */
    _Atomic uint64_t generation;
};

struct assignment *assignment_new(struct client *c, char *const *topics, size_t n, int tasks, struct err *e)
{
    struct assignment *a = mem_calloc(1, sizeof(*a));
    int32_t *partitions = mem_calloc(n, sizeof(*partitions));
    if (a == NULL || partitions == NULL) {
        mem_free(a);
        mem_free(partitions);
        err_nomem(e);
        return NULL;
    }
    a->client = c;
    a->topics = topics;
    a->topic_count = n;
    a->tasks = tasks;
    a->partitions = partitions;
    a->stale = true;
    mutex_init(&a->lock);
    return a;
}

void assignment_free(struct assignment *a)
{
    if (a == NULL)
        return;
    pthread_mutex_destroy(&a->lock);
    mem_free(a->partitions);
    mem_free(a);
}

/* With the lock: reads the numbers of partitions; *changed tells whether one differs. */
static int look(struct assignment *a, bool *changed, struct err *e)
{
    *changed = false;
    for (size_t i = 0; i < a->topic_count; i++) {
        struct topic_info info;
        if (client_topic(a->client, a->topics[i], &info, e) != ERR_OK)
            return err_wrap(e, "topic %s", a->topics[i]);
        *changed = *changed || info.partition_count != a->partitions[i];
        a->partitions[i] = info.partition_count;
        topic_info_free(&info);
    }
    return ERR_OK;
}

static int share(const struct assignment *a, int index, struct assigned **list, size_t *n, struct err *e)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < a->topic_count; i++)
        total += (size_t)a->partitions[i];
    *n = 0;
    *list = mem_calloc(total / (size_t)a->tasks + 1, sizeof(**list));
    if (*list == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < a->topic_count; i++) {
        for (int32_t p = 0; p < a->partitions[i]; p++, at++) {
            if (at % (size_t)a->tasks == (size_t)index)
                (*list)[(*n)++] = (struct assigned){a->topics[i], p};
        }
    }
    return ERR_OK;
}

int assignment_enter(struct assignment *a, int index, struct assigned **list, size_t *n, uint64_t *generation,
                     struct err *e)
{
    bool changed;
    int rc = ERR_OK;
    *list = NULL;
    pthread_mutex_lock(&a->lock);
    if (a->stale && a->readers > 0)
        rc = err_set(e, ERR_BUSY, "other tasks have not left the last division of the partitions yet");
    else if (a->stale)
        rc = look(a, &changed, e);
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
    bool changed = false;
    pthread_mutex_lock(&a->lock);
    if (!a->stale && (look(a, &changed, &e) != ERR_OK || changed)) {
        a->stale = true;
        atomic_fetch_add(&a->generation, 1);
    }
    pthread_mutex_unlock(&a->lock);
}

bool assignment_old(struct assignment *a, uint64_t generation)
{
    return atomic_load_explicit(&a->generation, memory_order_relaxed) != generation;
}
