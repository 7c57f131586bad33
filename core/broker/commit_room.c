/*
 * commit_room: the bounded room of the staging buffer. Whoever appends reserves first, holding no lock of a partition, and is
 * served in order of arrival; the room it needs may be taken by what the caller itself has staged, so it runs rounds
 * instead of waiting for somebody to do so. The same place is where data waits for the journal to be given back, when it has
 * grown too long to be read again after a crash.
 */
#include "base/thread.h"
#include "broker/commit_internal.h"

size_t commit_capacity(const struct commit *c)
{
    return c->capacity;
}

static bool has_room(const struct commit *c, size_t bytes, enum commit_urgency urgency)
{
    size_t used = c->staged + c->reserved;
    if (urgency == COMMIT_DATA && c->journal_limit && journal_sealed_bytes(c->journal) >= c->journal_limit)
        return false;
    return used == 0 || used + bytes <= c->soft;
}

static void grant(struct commit *c, size_t bytes)
{
    c->reserved += bytes;
    c->coming++;
}

static void leave(struct commit *c, struct room_wait *w)
{
    c->room_first = w->next;
    pthread_cond_signal(&w->cond);
}

void commit_grant(struct commit *c)
{
    struct room_wait *w;
    while ((w = c->room_first) && has_room(c, w->bytes, w->urgency)) {
        grant(c, w->bytes);
        w->granted = true;
        leave(c, w);
    }
}

void commit_refuse(struct commit *c)
{
    struct room_wait *w;
    while ((w = c->room_first)) {
        w->refused = true;
        leave(c, w);
    }
}

/* Coordinators before all data, which may wait for what they do. */
static void queue(struct commit *c, struct room_wait *w)
{
    struct room_wait **at = &c->room_first;
    while (*at && (w->urgency == COMMIT_DATA || (*at)->urgency == COMMIT_COORDINATOR))
        at = &(*at)->next;
    w->next = *at;
    *at = w;
}

void commit_pass_guard(struct commit *c)
{
    c->guard = NULL;
    if (c->room_first)
        pthread_cond_signal(&c->room_first->cond);
    else if (!commit_wake_waiter(c))
        commit_wake_thread(c);
}

/* As others do, a round that gathers is waited for: until its time is over, if nobody else looks then. */
static void await_room(struct commit *c, struct room_wait *w)
{
    int64_t until = commit_can_round(c) && !c->guard ? c->gather_until : 0;
    struct timespec deadline = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    if (!until) {
        pthread_cond_wait(&w->cond, &c->lock);
        return;
    }
    c->guard = w;
    cond_wait_until(&w->cond, &c->lock, &deadline);
    if (c->guard == w && w->granted)
        commit_pass_guard(c);
    else if (c->guard == w)
        c->guard = NULL;
}

static void wait_for_room(struct commit *c, size_t bytes, enum commit_urgency urgency, bool *granted)
{
    struct room_wait w = {.bytes = bytes, .urgency = urgency};
    cond_init(&w.cond);
    queue(c, &w);
    commit_grant(c);
    while (!w.granted && !w.refused) {
        if (commit_can_round(c) && !commit_gathers(c))
            commit_round(c);
        else
            await_room(c, &w);
    }
    pthread_cond_destroy(&w.cond);
    *granted = w.granted;
}

void commit_limit_journal(struct commit *c, uint64_t bytes)
{
    pthread_mutex_lock(&c->lock);
    c->journal_limit = bytes;
    commit_grant(c);
    pthread_mutex_unlock(&c->lock);
}

int commit_reserve(struct commit *c, size_t bytes, enum commit_urgency urgency, struct err *e)
{
    bool granted = false;
    if (bytes > c->capacity)
        return err_set(e, ERR_TOO_LARGE, "%zu bytes do not fit into one journal record of %zu", bytes,
                       c->capacity);
    pthread_mutex_lock(&c->lock);
    if (c->make_file && !c->threaded)
        commit_try_file(c);
    int rc = commit_need_file(c, c->reserved + bytes, e);
    if (!rc && !c->room_first && has_room(c, bytes, urgency)) {
        grant(c, bytes);
        granted = true;
    } else if (!rc) {
        wait_for_room(c, bytes, urgency, &granted);
    }
    if (!rc && !granted)
        rc = commit_failure(c, e);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

bool commit_try_reserve(struct commit *c, const size_t *bytes, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += bytes[i];
    pthread_mutex_lock(&c->lock);
    bool fits = !c->failed && !c->room_first && total <= c->capacity &&
                journal_fits(c->journal, c->reserved + total) && has_room(c, total, COMMIT_DATA);
    for (size_t i = 0; fits && i < n; i++)
        if (bytes[i] > 0)
            grant(c, bytes[i]);
    pthread_mutex_unlock(&c->lock);
    return fits;
}

void commit_unreserve(struct commit *c, size_t bytes)
{
    if (bytes == 0)
        return;
    pthread_mutex_lock(&c->lock);
    c->reserved -= bytes;
    commit_grant(c);
    commit_came(c, false);
    pthread_mutex_unlock(&c->lock);
}
