/*
 * commit_room: the bounded room of the staging buffer. Whoever appends reserves first, holding no lock of a partition, and is
 * served in order of arrival; the room it needs may be taken by what the caller itself has staged, so it runs rounds
 * instead of waiting for somebody to do so.
 */
#include "base/thread.h"
#include "broker/commit_internal.h"

size_t commit_capacity(const struct commit *c)
{
    return c->capacity;
}

static bool has_room(const struct commit *c, size_t bytes)
{
    size_t used = c->staged + c->reserved;
    return used == 0 || used + bytes <= c->soft;
}

static void leave(struct commit *c, struct room_wait *w)
{
    c->room_first = w->next;
    if (!c->room_first)
        c->room_last = &c->room_first;
    pthread_cond_signal(&w->cond);
}

void commit_grant(struct commit *c)
{
    struct room_wait *w;
    while ((w = c->room_first) && has_room(c, w->bytes)) {
        c->reserved += w->bytes;
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

static void wait_for_room(struct commit *c, size_t bytes, bool *granted)
{
    struct room_wait w = {.bytes = bytes};
    cond_init(&w.cond);
    *c->room_last = &w;
    c->room_last = &w.next;
    commit_grant(c);
    while (!w.granted && !w.refused) {
        if (commit_can_round(c))
            commit_round(c);
        else
            pthread_cond_wait(&w.cond, &c->lock);
    }
    pthread_cond_destroy(&w.cond);
    *granted = w.granted;
}

int commit_reserve(struct commit *c, size_t bytes, struct err *e)
{
    bool granted = false;
    if (bytes > c->capacity)
        return err_set(e, ERR_TOO_LARGE, "%zu bytes do not fit into one journal record of %zu", bytes,
                       c->capacity);
    pthread_mutex_lock(&c->lock);
    if (c->make_file && !c->threaded)
        commit_try_file(c);
    int rc = commit_need_file(c, c->reserved + bytes, e);
    if (!rc && !c->room_first && has_room(c, bytes)) {
        c->reserved += bytes;
        granted = true;
    } else if (!rc) {
        wait_for_room(c, bytes, &granted);
    }
    if (!rc && !granted)
        rc = commit_failure(c, e);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

void commit_unreserve(struct commit *c, size_t bytes)
{
    if (bytes == 0)
        return;
    pthread_mutex_lock(&c->lock);
    c->reserved -= bytes;
    commit_grant(c);
    pthread_mutex_unlock(&c->lock);
}
