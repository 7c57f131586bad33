/*
 * each: see each.h. The threads live as long as the call; the caller's own is one of them, so the work is done even where
 * none can be started.
 */
#include "broker/each.h"

#include "base/thread.h"

/* They wait for the disk most of the time. */
enum { THREADS_MAX = 16, PARTITIONS_A_THREAD = 16 };

struct each {
    struct broker *b;
    int (*work)(struct broker *b, struct partition *p, struct err *e);
    struct partition **list; /* NULL: those of all topics */
    size_t n;
    pthread_mutex_t lock; /* leaf: what follows */
    size_t pos;           /* in the list, or in the table of topics */
    struct topic *topic;
    int32_t next;
    int rc;
    struct err *first;
};

static struct partition *next_of_topics(struct each *w)
{
    const void *key;
    size_t len;
    void *value;
    while (!w->topic || w->next == w->topic->count) {
        w->topic = NULL;
        w->next = 0;
        if (!map_next(w->b->topics.by_name, &w->pos, &key, &len, &value))
            return NULL;
        w->topic = value;
    }
    return w->topic->partitions[w->next++];
}

static struct partition *next_partition(struct each *w)
{
    struct partition *p = NULL;
    pthread_mutex_lock(&w->lock);
    if (!w->list)
        p = next_of_topics(w);
    else if (w->pos < w->n)
        p = w->list[w->pos++];
    pthread_mutex_unlock(&w->lock);
    return p;
}

static void *work_on(void *arg)
{
    struct each *w = arg;
    for (struct partition *p; (p = next_partition(w));) {
        struct err e;
        int rc = w->work(w->b, p, &e);
        if (!rc)
            continue;
        pthread_mutex_lock(&w->lock);
        if (!w->rc) {
            w->rc = rc;
            *w->first = e;
        }
        pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

static size_t count(struct broker *b)
{
    size_t pos = 0, len, n = 0;
    const void *key;
    void *value;
    while (map_next(b->topics.by_name, &pos, &key, &len, &value))
        n += (size_t)((struct topic *)value)->count;
    return n;
}

static int work_with(struct each *w)
{
    pthread_t threads[THREADS_MAX];
    struct err ignored;
    size_t n = 0, wanted = w->b->o.no_threads ? 0 : w->n / PARTITIONS_A_THREAD;
    if (wanted > THREADS_MAX)
        wanted = THREADS_MAX;
    mutex_init(&w->lock);
    while (n < wanted && thread_start(&threads[n], "leat-logs", work_on, w, &ignored) == ERR_OK)
        n++;
    work_on(w);
    while (n > 0)
        pthread_join(threads[--n], NULL);
    pthread_mutex_destroy(&w->lock);
    return w->rc;
}

int partitions_each(struct broker *b, int (*work)(struct broker *b, struct partition *p, struct err *e),
                    struct err *e)
{
    if (!b->topics.by_name)
        return ERR_OK;
    struct each w = {.b = b, .work = work, .n = count(b), .first = e};
    return work_with(&w);
}

int partitions_each_of(struct broker *b, struct partition **list, size_t n,
                       int (*work)(struct broker *b, struct partition *p, struct err *e), struct err *e)
{
    struct each w = {.b = b, .work = work, .list = list, .n = n, .first = e};
    return work_with(&w);
}
