/*
 * A store of groups' records in memory, for tests: a thread of its own writes what it was given, unless it is held up; writes can be
 * made to fail. What was written stays for the next groups_start.
 */
#ifndef LEAT_TESTS_UNIT_GROUP_STORE_H
#define LEAT_TESTS_UNIT_GROUP_STORE_H

#include <pthread.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"
#include "group/group.h"
#include "tests/lib/testkit.h"

struct fake_write {
    struct fake_write *next;
    struct group_record *records;
    size_t n;
    void (*done)(void *arg, const struct err *e);
    void *arg;
};

struct fake_store {
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct map *records; /* by key */
    struct fake_write *first, **last;
    bool held, failing, refusing, stop;
    bool offsets;     /* every group has some */
    int writes;       /* taken so far */
    int let, carried; /* how many are carried out although it is held; how many were, with their ends told */
    pthread_t thread;
};

static inline void fake_record_free(void *p)
{
    struct group_record *r = p;
    mem_free((void *)(uintptr_t)r->key);
    mem_free((void *)(uintptr_t)r->value);
    mem_free(r);
}

static inline struct group_record *fake_copy(const struct group_record *r)
{
    struct group_record *c = mem_calloc(1, sizeof *c);
    *c = (struct group_record){mem_dup(r->key, r->key_len), r->key_len,
                               r->value != NULL ? mem_dup(r->value, r->value_len) : NULL, r->value_len};
    return c;
}

/* With the lock, which is given up for the caller's function. */
static inline void fake_carry_out(struct fake_store *s, struct fake_write *w)
{
    struct err e = {0};
    if (s->failing)
        err_set(&e, ERR_IO, "told to fail");
    for (size_t i = 0; i < w->n; i++) {
        struct group_record *r = &w->records[i], *old;
        if (!s->failing) {
            if ((old = map_remove(s->records, r->key, r->key_len)) != NULL)
                fake_record_free(old);
            if (r->value != NULL)
                assert_int_equal(map_put(s->records, r->key, r->key_len, fake_copy(r), &e), 0);
        }
        mem_free((void *)(uintptr_t)r->key);
        mem_free((void *)(uintptr_t)r->value);
    }
    pthread_mutex_unlock(&s->lock);
    w->done(w->arg, &e);
    mem_free(w->records);
    mem_free(w);
    pthread_mutex_lock(&s->lock);
    s->carried++;
    pthread_cond_broadcast(&s->change);
}

static inline void *fake_run(void *arg)
{
    struct fake_store *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stop || s->first != NULL) {
        struct fake_write *w = s->first;
        if (w == NULL || (s->held && s->let == 0 && !s->stop)) {
            pthread_cond_wait(&s->change, &s->lock);
            continue;
        }
        s->let -= s->let > 0;
        if ((s->first = w->next) == NULL)
            s->last = &s->first;
        fake_carry_out(s, w);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static inline int fake_write(void *arg, const char *group, const struct group_record *records, size_t n,
                             void (*done)(void *arg, const struct err *e), void *done_arg, struct err *e)
{
    struct fake_store *s = arg;
    (void)group;
    pthread_mutex_lock(&s->lock);
    if (s->refusing) {
        pthread_mutex_unlock(&s->lock);
        return err_nomem(e);
    }
    struct fake_write *w = mem_calloc(1, sizeof *w);
    *w =
        (struct fake_write){.records = mem_calloc(n, sizeof *records), .n = n, .done = done, .arg = done_arg};
    for (size_t i = 0; i < n; i++) {
        struct group_record *copy = fake_copy(&records[i]);
        w->records[i] = *copy;
        mem_free(copy);
    }
    *s->last = w;
    s->last = &w->next;
    s->writes++;
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock);
    return ERR_OK;
}

static inline int fake_load(void *arg, int (*each)(void *to, const struct group_record *r, struct err *e),
                            void *to, struct err *e)
{
    struct fake_store *s = arg;
    size_t pos = 0, n;
    const void *key;
    void *value;
    int rc = ERR_OK;
    while (rc == ERR_OK && map_next(s->records, &pos, &key, &n, &value))
        rc = each(to, value, e);
    return rc;
}

static inline bool fake_has_offsets(void *arg, const char *group)
{
    struct fake_store *s = arg;
    (void)group;
    pthread_mutex_lock(&s->lock);
    bool has = s->offsets;
    pthread_mutex_unlock(&s->lock);
    return has;
}

static inline void fake_store_init(struct fake_store *s)
{
    struct err e;
    memset(s, 0, sizeof *s);
    mutex_init(&s->lock);
    cond_init(&s->change);
    s->last = &s->first;
    s->records = map_new();
    assert_int_equal(thread_start(&s->thread, "fake-store", fake_run, s, &e), 0);
}

static inline void fake_store_free(struct fake_store *s)
{
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    map_free(s->records, fake_record_free);
    pthread_cond_destroy(&s->change);
    pthread_mutex_destroy(&s->lock);
}

static inline void fake_store_set(struct fake_store *s, bool *flag, bool value)
{
    pthread_mutex_lock(&s->lock);
    *flag = value;
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock);
}

/* Of a store that is held up: the next write that waits, to its end. */
static inline void fake_store_let_one(struct fake_store *s)
{
    pthread_mutex_lock(&s->lock);
    assert_non_null(s->first);
    int until = s->carried + 1;
    s->let = 1;
    pthread_cond_broadcast(&s->change);
    while (s->carried < until)
        pthread_cond_wait(&s->change, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static inline struct group_store fake_store_of(struct fake_store *s)
{
    return (struct group_store){fake_write, fake_load, fake_has_offsets, s};
}

#endif
