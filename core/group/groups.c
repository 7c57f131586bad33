/*
 * groups: the table of groups, which is spread over shards, and the one thread for time-outs: it sleeps until the first of all groups' is
 * due, and looks at the groups whose turn it is only. See group.h.
 */
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"
#include "group/consumer_internal.h"

/* ---- table ---- */

struct shard *shard_lock(struct groups *all, struct msg_string id)
{
    struct shard *s = &all->shards[hash64(id.n > 0 ? id.p : "", id.n > 0 ? (size_t)id.n : 0) % SHARDS];
    pthread_mutex_lock(&s->lock);
    return s;
}

void shard_unlock(struct shard *s)
{
    pthread_mutex_unlock(&s->lock);
}

struct group *shard_find(const struct shard *s, struct msg_string id)
{
    return map_get(s->by_id, id.n > 0 ? id.p : "", id.n > 0 ? (size_t)id.n : 0);
}

void pendings_free(struct group *g)
{
    for (struct pending *p; (p = g->pending) != NULL;) {
        g->pending = p->next;
        mem_free(p->id);
        mem_free(p);
    }
}

void group_free(struct group *g)
{
    ids_clear(&g->ids);
    for (struct member *m = g->members, *next; m != NULL; m = next) {
        next = m->next;
        member_free(m);
    }
    pendings_free(g);
    cgroup_free(g->consumer);
    mem_free(g->id);
    mem_free(g->type);
    mem_free(g->protocol);
    mem_free(g);
}

static void free_value(void *g)
{
    group_free(g);
}

struct group *shard_make(struct groups *all, struct shard *s, struct msg_string id)
{
    struct err e;
    struct group *g = shard_find(s, id);
    if (g != NULL)
        return g;
    g = mem_calloc(1, sizeof *g);
    if (g == NULL)
        return NULL;
    g->due.index = HEAP_OUT;
    g->ids.secret = all->secret.b;
    g->writing = -1;
    g->state_ms = clock_wall_ms();
    if ((g->id = string_copy(id)) != NULL && heap_reserve(&s->due, map_count(s->by_id) + 1, &e) == ERR_OK &&
        map_put(s->by_id, g->id, strlen(g->id), g, &e) == ERR_OK) {
        groups_due(all, g, clock_mono_ms()); /* whether anything came of it */
        return g;
    }
    group_free(g);
    return NULL;
}

void shard_drop(struct shard *s, struct group *g)
{
    map_remove(s->by_id, g->id, strlen(g->id));
    heap_take(&s->due, &g->due);
    g->gone = true;
    if (g->writes == 0)
        group_free(g);
}

/* ---- time ---- */

void groups_due(struct groups *all, struct group *g, int64_t at)
{
    struct shard *s = &all->shards[hash64(g->id, strlen(g->id)) % SHARDS];
    if (g->due.index == HEAP_OUT || at < g->due.at)
        heap_set(&s->due, &g->due, at);
    if (at >= atomic_load(&all->due))
        return;
    pthread_mutex_lock(&all->clock);
    if (at < atomic_load(&all->due)) {
        atomic_store(&all->due, at);
        pthread_cond_signal(&all->sooner);
    }
    pthread_mutex_unlock(&all->clock);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void drop_pending(struct group *g, int64_t now, int64_t *due)
{
    for (struct pending *p = g->pending, *next; p != NULL; p = next) {
        next = p->next;
        if (p->end > now)
            *due = sooner(*due, p->end);
        else
            pending_drop(g, p);
    }
}

/* One that waits for an answer is there. */
static bool is_expired(const struct member *m, int64_t now)
{
    return m->session_end <= now && m->join_done == NULL && m->sync_done == NULL;
}

static void drop_expired(struct groups *all, struct group *g, int64_t now)
{
    for (struct member *m = g->members, *next; m != NULL; m = next) {
        next = m->next;
        if (is_expired(m, now)) {
            group_remove(all, g, m);
            next = g->members; /* it may have been the last that a round waited for, which drops others */
        }
    }
}

/* Who has not asked for its assignment in time is gone. */
static void end_sync(struct groups *all, struct group *g)
{
    g->round_end = INT64_MAX;
    for (struct member *m = g->members; m != NULL; m = m->next)
        if (!m->synced) {
            group_remove(all, g, m);
            return; /* the others go with the new round */
        }
}

static bool assigns(const struct group *g)
{
    return g->state == GROUP_COMPLETING || g->state == GROUP_STABLE;
}

/* Does what is due; false: nothing is left of the group, and it is gone. */
static bool look_at(struct groups *all, struct shard *s, struct group *g, int64_t now)
{
    int64_t due = INT64_MAX;
    if (g->consumer != NULL)
        cgroup_look_at(all, g->consumer, now, &due);
    if (g->consumer != NULL && g->count > 0) {
        groups_due(all, g, due);
        return true;
    }
    drop_pending(g, now, &due);
    drop_expired(all, g, now);
    if (g->state == GROUP_PREPARING && g->round_end <= now)
        round_complete(all, g);
    else
        round_try(all, g); /* a pending one may have been the last that was missing */
    if (assigns(g) && g->round_end <= now)
        end_sync(all, g);
    if (g->state != GROUP_EMPTY)
        due = sooner(due, g->round_end > now ? g->round_end : now + 1);
    for (struct member *m = g->members; m != NULL; m = m->next)
        if (m->join_done == NULL && m->sync_done == NULL)
            due = sooner(due, m->session_end);
    if (due < INT64_MAX)
        groups_due(all, g, due);
    else if (g->state == GROUP_EMPTY && !g->recorded &&
             g->consumer == NULL) { /* somebody was given an id and never came with it */
        shard_drop(s, g);
        return false;
    }
    return true;
}

static int64_t look_at_due(struct groups *all, struct shard *s, int64_t now)
{
    int64_t next = INT64_MAX;
    pthread_mutex_lock(&s->lock);
    for (struct heap_node *n; (n = heap_first(&s->due)) != NULL;) {
        struct group *g = (struct group *)n; /* its first member */
        next = n->at;
        if (next > now)
            break;
        next = INT64_MAX;
        heap_take(&s->due, n);
        look_at(all, s, g, now);
    }
    pthread_mutex_unlock(&s->lock);
    return next;
}

/* ---- groups of which nothing is left ---- */

static bool is_left(struct groups *all, const struct group *g)
{
    return g->state == GROUP_EMPTY && g->count == 0 && g->pending == NULL && g->writes == 0 &&
           !all->o.store.has_offsets(all->o.store.arg, g->id);
}

static void forget_left(struct groups *all, struct shard *s)
{
    struct group *left = NULL, *next;
    size_t pos = 0, n;
    const void *key;
    void *value;
    pthread_mutex_lock(&s->lock);
    while (map_next(s->by_id, &pos, &key, &n, &value))
        if (is_left(all, value)) {
            struct group *g = value;
            g->next_left = left;
            left = g;
        }
    for (; left != NULL; left = next) {
        next = left->next_left;
        if (group_store_tombstone(all, left) == GROUP_OK) /* later, otherwise */
            shard_drop(s, left);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- the thread ---- */

static void wait_until_due(struct groups *all)
{
    int64_t due = atomic_load(&all->due);
    if (due == INT64_MAX) {
        pthread_cond_wait(&all->sooner, &all->clock);
    } else {
        struct timespec until = clock_deadline_ms(due - clock_mono_ms());
        cond_wait_until(&all->sooner, &all->clock, &until);
    }
}

static void *run(void *arg)
{
    struct groups *all = arg;
    pthread_mutex_lock(&all->clock);
    while (!all->stop) {
        int64_t now = clock_mono_ms(), due = INT64_MAX;
        if (atomic_load(&all->due) > now) {
            wait_until_due(all);
            continue;
        }
        atomic_store(&all->due, INT64_MAX); /* what is made due meanwhile counts, too */
        pthread_mutex_unlock(&all->clock);
        bool forget = now >= all->next_forget;
        for (size_t i = 0; i < SHARDS; i++) {
            if (forget)
                forget_left(all, &all->shards[i]);
            due = sooner(due, look_at_due(all, &all->shards[i], now));
        }
        if (forget)
            all->next_forget = now + all->o.forget_check_ms;
        due = sooner(due, all->next_forget);
        pthread_mutex_lock(&all->clock);
        if (due < atomic_load(&all->due))
            atomic_store(&all->due, due);
    }
    pthread_mutex_unlock(&all->clock);
    return NULL;
}

static void free_all(struct groups *all)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &all->shards[i];
        if (s->by_id != NULL)
            map_free(s->by_id, free_value);
        heap_free(&s->due);
        pthread_mutex_destroy(&s->lock);
    }
    pthread_cond_destroy(&all->sooner);
    pthread_cond_destroy(&all->written);
    pthread_mutex_destroy(&all->clock);
    mem_free(all);
}

struct groups *groups_start(const struct group_options *o, struct err *e)
{
    struct groups *all = mem_calloc(1, sizeof *all);
    if (all == NULL) {
        err_nomem(e);
        return NULL;
    }
    int rc = ERR_OK;
    all->o = *o;
    all->secret = uuid_random();
    atomic_store(&all->due, INT64_MAX);
    all->next_forget = INT64_MAX;
    if (o->forget_check_ms > 0 && o->store.has_offsets != NULL)
        atomic_store(&all->due, all->next_forget = clock_mono_ms() + o->forget_check_ms);
    mutex_init(&all->clock);
    cond_init(&all->sooner);
    cond_init(&all->written);
    for (size_t i = 0; i < SHARDS; i++) {
        mutex_init(&all->shards[i].lock);
        if ((all->shards[i].by_id = map_new()) == NULL)
            rc = err_nomem(e);
    }
    if (rc == ERR_OK)
        rc = groups_load(all, e);
    if (rc == ERR_OK)
        rc = thread_start(&all->thread, "groups", run, all, e);
    if (rc == ERR_OK)
        return all;
    free_all(all);
    return NULL;
}

static void interrupt_shard(struct shard *s)
{
    size_t pos = 0, n;
    const void *key;
    void *value;
    pthread_mutex_lock(&s->lock);
    while (map_next(s->by_id, &pos, &key, &n, &value))
        for (struct member *m = ((struct group *)value)->members; m != NULL; m = m->next) {
            if (m->join_done != NULL)
                join_fail(m->join_done, m->join_arg, GROUP_NOT_AVAILABLE, string_of(m->id));
            m->join_done = NULL;
            sync_fail(m, GROUP_NOT_AVAILABLE);
        }
    pthread_mutex_unlock(&s->lock);
}

void groups_interrupt(struct groups *all)
{
    atomic_store(&all->interrupted, true);
    for (size_t i = 0; i < SHARDS; i++)
        interrupt_shard(&all->shards[i]);
}

void groups_stop(struct groups *all)
{
    if (all == NULL)
        return;
    pthread_mutex_lock(&all->clock);
    all->stop = true;
    pthread_cond_signal(&all->sooner);
    pthread_mutex_unlock(&all->clock);
    pthread_join(all->thread, NULL);
    groups_wait_for_writes(all);
    free_all(all);
}
