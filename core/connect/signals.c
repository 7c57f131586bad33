/*
 * signals: the mailbox of a task. See signals.h.
 */
#include "connect/signals.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

#define REFUSAL "the task does not run any more"

enum answer { NONE_YET, STORED, REFUSED };

struct letter {
    struct letter *next;
    struct signal signal; /* with texts of its own */
    enum answer *answer;  /* of the caller that waits; NULL: nobody does */
    uint64_t poll;        /* that took it */
};

struct signals {
    pthread_mutex_t lock; /* a leaf */
    pthread_cond_t change;
    int fd;
    int users;
    bool closed, refusing;
    size_t count;         /* of those that wait to be taken */
    struct letter *first; /* of them */
    struct letter *taken; /* the first that was, and is not stored yet */
    struct letter *given; /* taken last: its texts stay */
    bool given_over;      /* it is in no list any more */
};

static void free_letter(struct letter *l)
{
    if (l == NULL)
        return;
    mem_free((char *)(uintptr_t)l->signal.id);
    mem_free((char *)(uintptr_t)l->signal.type);
    mem_free((char *)(uintptr_t)l->signal.data);
    mem_free(l);
}

static void free_list(struct letter *first)
{
    for (struct letter *l = first, *next; l != NULL; l = next) {
        next = l->next;
        free_letter(l);
    }
}

static struct letter *new_letter(const struct signal *signal, struct err *e)
{
    struct letter *l = mem_calloc(1, sizeof(*l));
    if (l == NULL) {
        err_nomem(e);
        return NULL;
    }
    l->signal = *signal;
    l->signal.id = mem_strdup(signal->id);
    l->signal.type = mem_strdup(signal->type);
    l->signal.data = signal->data == NULL ? NULL : mem_strdup(signal->data);
    if (l->signal.id == NULL || l->signal.type == NULL || (signal->data != NULL && l->signal.data == NULL)) {
        free_letter(l);
        err_nomem(e);
        return NULL;
    }
    return l;
}

struct signals *signals_new(struct err *e)
{
    struct signals *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        err_nomem(e);
        return NULL;
    }
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->fd < 0) {
        err_sys(e, errno, "cannot make an eventfd for signals");
        mem_free(s);
        return NULL;
    }
    s->users = 1;
    mutex_init(&s->lock);
    cond_init(&s->change);
    return s;
}

struct signals *signals_ref(struct signals *s)
{
    pthread_mutex_lock(&s->lock);
    s->users++;
    pthread_mutex_unlock(&s->lock);
    return s;
}

void signals_unref(struct signals *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    bool last = --s->users == 0;
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    free_list(s->first);
    free_list(s->taken);
    if (s->given_over)
        free_letter(s->given);
    close(s->fd);
    pthread_cond_destroy(&s->change);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

void signals_close(struct signals *s)
{
    pthread_mutex_lock(&s->lock);
    s->closed = true;
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock);
}

int signals_fd(const struct signals *s)
{
    return s->fd;
}

void signals_seen(struct signals *s)
{
    uint64_t count;
    ssize_t n = read(s->fd, &count, sizeof(count)); /* nothing to read is fine, too */
    (void)n;
}

void signals_poke(struct signals *s)
{
    uint64_t one = 1;
    ssize_t n = write(s->fd, &one, sizeof(one)); /* fails only when it is readable anyway */
    (void)n;
}

/* With the lock. */
static void append(struct letter **list, struct letter *l)
{
    while (*list != NULL)
        list = &(*list)->next;
    *list = l;
}

static void add(struct signals *s, struct letter *l)
{
    append(&s->first, l);
    s->count++;
    signals_poke(s);
}

/* With the lock: one that is in no list any more. */
static void dispose(struct signals *s, struct letter *l)
{
    if (l == s->given)
        s->given_over = true;
    else
        free_letter(l);
}

/* With the lock; frees it. False: it was taken. */
static bool take_back(struct signals *s, const struct letter *l)
{
    for (struct letter **at = &s->first; *at != NULL; at = &(*at)->next) {
        if (*at == l) {
            struct letter *gone = *at;
            *at = gone->next;
            s->count--;
            dispose(s, gone);
            pthread_cond_broadcast(&s->change); /* there is room */
            return true;
        }
    }
    return false;
}

/* With the lock: nobody waits for it any more. */
static int give_up(struct signals *s, struct letter *l, int64_t ms, struct err *e)
{
    if (take_back(s, l))
        return s->closed ? err_set(e, ERR_CLOSED, "the task has ended without taking it")
                         : err_set(e, ERR_TIMEOUT, "the task did not take it within %lld ms", (long long)ms);
    l->answer = NULL;
    return s->closed ? err_set(e, ERR_CLOSED,
                               "the task has taken it and ended before that was stored: it may be done")
                     : err_set(e, ERR_TIMEOUT,
                               "the task took it, and that was not stored within %lld ms: it may be done",
                               (long long)ms);
}

int signals_post(struct signals *s, const char *id, const char *type, const char *data, int64_t ms,
                 struct err *e)
{
    struct timespec deadline = clock_deadline_ms(ms);
    enum answer answer = NONE_YET;
    bool in_time = true;
    struct letter *l = new_letter(&(struct signal){.id = id, .type = type, .data = data}, e);
    if (l == NULL)
        return e->code;
    pthread_mutex_lock(&s->lock);
    if (s->closed || s->refusing || s->count >= SIGNALS_WAITING_MAX) {
        bool closed = s->closed, refusing = s->refusing;
        pthread_mutex_unlock(&s->lock);
        free_letter(l);
        return closed     ? err_set(e, ERR_CLOSED, "the task has ended")
               : refusing ? err_set(e, ERR_BUSY, REFUSAL)
                          : err_set(e, ERR_BUSY, "%d signals are waiting already", SIGNALS_WAITING_MAX);
    }
    l->answer = &answer;
    add(s, l);
    while (answer == NONE_YET && !s->closed && in_time)
        in_time = cond_wait_until(&s->change, &s->lock, &deadline);
    int rc = answer == STORED    ? ERR_OK
             : answer == REFUSED ? err_set(e, ERR_BUSY, REFUSAL)
                                 : give_up(s, l, ms, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

bool signals_take(struct signals *s, uint64_t poll, struct signal *out)
{
    pthread_mutex_lock(&s->lock);
    struct letter *l = s->first;
    if (s->given_over)
        free_letter(s->given);
    s->given_over = false;
    s->given = l;
    if (l != NULL) {
        s->first = l->next;
        s->count--;
        l->next = NULL;
        l->poll = poll;
        append(&s->taken, l);
        pthread_cond_broadcast(&s->change); /* there is room */
        *out = l->signal;
    }
    pthread_mutex_unlock(&s->lock);
    return l != NULL;
}

void signals_stored(struct signals *s, uint64_t polls)
{
    pthread_mutex_lock(&s->lock);
    while (s->taken != NULL && s->taken->poll <= polls) {
        struct letter *l = s->taken;
        s->taken = l->next;
        if (l->answer != NULL)
            *l->answer = STORED;
        dispose(s, l);
    }
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock);
}

void signals_give_back(struct signals *s)
{
    struct letter *again = NULL;
    pthread_mutex_lock(&s->lock);
    for (struct letter *l = s->taken, *next; l != NULL; l = next) {
        next = l->next;
        l->next = NULL;
        if (l->answer == NULL) { /* one from a topic, which is read again, or whose caller was told */
            dispose(s, l);
            continue;
        }
        append(&again, l);
        s->count++;
    }
    s->taken = NULL;
    if (again != NULL) {
        append(&again, s->first);
        s->first = again;
        signals_poke(s);
    }
    pthread_mutex_unlock(&s->lock);
}

void signals_accept(struct signals *s)
{
    pthread_mutex_lock(&s->lock);
    s->refusing = false;
    pthread_mutex_unlock(&s->lock);
}

void signals_refuse(struct signals *s)
{
    pthread_mutex_lock(&s->lock);
    s->refusing = true;
    for (struct letter **at = &s->first; *at != NULL;) {
        struct letter *l = *at;
        if (l->answer == NULL) {
            at = &l->next;
            continue;
        }
        *l->answer = REFUSED;
        *at = l->next;
        s->count--;
        dispose(s, l);
    }
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the reader's side ----------------------------------------------------------------------------------------------- */

bool signals_put(struct signals *s, const struct signal *signal, const atomic_bool *stop, struct err *e)
{
    struct letter *l = new_letter(signal, e);
    if (l == NULL)
        return false;
    pthread_mutex_lock(&s->lock);
    while (!atomic_load(stop) && s->count >= SIGNALS_WAITING_MAX)
        pthread_cond_wait(&s->change, &s->lock);
    bool put = !atomic_load(stop);
    if (put)
        add(s, l);
    pthread_mutex_unlock(&s->lock);
    if (!put) {
        free_letter(l);
        err_set(e, ERR_INTERRUPTED, "asked to stop");
    }
    return put;
}

void signals_wake(struct signals *s, atomic_bool *stop)
{
    pthread_mutex_lock(&s->lock);
    atomic_store(stop, true);
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock);
}

void signals_drop_topic(struct signals *s)
{
    pthread_mutex_lock(&s->lock);
    for (struct letter **at = &s->first; *at != NULL;) {
        struct letter *l = *at;
        if (!l->signal.from_topic) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        s->count--;
        dispose(s, l);
    }
    pthread_mutex_unlock(&s->lock);
}
