/*
 * assignment: see assignment.h. Its lock is held over calls to the client, never the other way round.
 */
#include "connect/assignment.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"

struct assignment {
    struct client *client;
    char *const *topics;
    size_t topic_count;
    int tasks;
    pthread_mutex_t lock;
    struct seen {
        struct uuid id;
        int32_t partitions;
    } * seen;    /* each topic, when the division was made */
    int readers; /* tasks inside */
    bool stale;  /* to be made anew once nobody is inside */
    _Atomic uint64_t generation;
};

struct assignment *assignment_new(struct client *c, char *const *topics, size_t n, int tasks, struct err *e)
{
    struct assignment *a = mem_calloc(1, sizeof(*a));
    struct seen *seen = mem_calloc(n, sizeof(*seen));
    if (a == NULL || seen == NULL) {
        mem_free(a);
        mem_free(seen);
        err_nomem(e);
        return NULL;
    }
    a->client = c;
    a->topics = topics;
    a->topic_count = n;
    a->tasks = tasks;
    a->seen = seen;
    a->stale = true;
    mutex_init(&a->lock);
    return a;
}

void assignment_free(struct assignment *a)
{
    if (a == NULL)
        return;
    pthread_mutex_destroy(&a->lock);
    mem_free(a->seen);
    mem_free(a);
}

/* With the lock: looks at the topics; *changed: one has more partitions now, or is another of the same name. */
static int look(struct assignment *a, bool *changed, struct err *e)
{
    *changed = false;
    for (size_t i = 0; i < a->topic_count; i++) {
        struct topic_info info;
        if (client_topic(a->client, a->topics[i], &info, e) != ERR_OK)
            return err_wrap(e, "topic %s", a->topics[i]);
        struct seen *seen = &a->seen[i];
        *changed = *changed || info.partition_count != seen->partitions ||
                   memcmp(&info.id, &seen->id, sizeof(info.id)) != 0;
        *seen = (struct seen){info.id, info.partition_count};
        topic_info_free(&info);
    }
    return ERR_OK;
}

static int share(const struct assignment *a, int index, struct assigned **list, size_t *n, struct err *e)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < a->topic_count; i++)
        total += (size_t)a->seen[i].partitions;
    *n = 0;
    *list = mem_calloc(total / (size_t)a->tasks + 1, sizeof(**list));
    if (*list == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < a->topic_count; i++) {
        for (int32_t p = 0; p < a->seen[i].partitions; p++, at++) {
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
