/*
 * fetch_session: see fetch_session.h. Locks: a session (fetch_session_lock), then the cache's; a session's own mutex is a leaf.
 */
#include "server/fetch_session.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/broker.h"
#include "server/apis.h"

struct fetch_sessions {
    pthread_mutex_t lock;
    uint8_t secret[16];
    size_t slots;
    struct map *by_id;
    struct fetch_session *first, *last; /* by last use */
    size_t n;
    size_t parts; /* of all that are listed */
};

/* ---- parts of a session -------------------------------------------------------------------------------------------- */

static void topic_let_go(struct fetch_topic *t)
{
    if (--t->refs == 0)
        mem_free(t);
}

static void part_free(struct fetch_part *p)
{
    broker_partition_let_go(p->p);
    topic_let_go(p->topic);
    mem_free(p);
}

/* The session's own of a request's topic: one for all parts that come in at once. With one reference for the request. */
static struct fetch_topic *keep_topic(struct fetch_topic *t)
{
    size_t n = strlen(t->name) + 1;
    struct fetch_topic *own = t->kept;
    if (own != NULL || (own = mem_alloc(sizeof *own + n)) == NULL)
        return own;
    *own = (struct fetch_topic){.name = memcpy(own + 1, t->name, n), .id = t->id, .hash = t->hash, .refs = 1};
    return t->kept = own;
}

static int keep_part(struct fetch_parts *into, struct fetch_part *p, struct err *e)
{
    struct fetch_topic *topic = keep_topic(p->topic);
    struct fetch_part *own = topic != NULL ? mem_alloc(sizeof *own) : NULL;
    if (own == NULL)
        return err_nomem(e);
    *own = *p;
    own->topic = topic;
    topic->refs++;
    p->p = NULL; /* it is the session's now */
    fetch_parts_add(into, own);
    return ERR_OK;
}

static void let_topics_go(const struct fetch_parts *asked)
{
    for (struct fetch_part *p = asked->first; p != NULL; p = p->next) {
        if (p->topic->kept != NULL)
            topic_let_go(p->topic->kept);
        p->topic->kept = NULL;
    }
}

static int update(struct fetch_parts *parts, const struct fetch_parts *asked,
                  const struct fetch_part *forgotten, size_t n, struct err *e)
{
    int rc = fetch_parts_reserve(parts, parts->n + asked->n, e);
    for (struct fetch_part *p = asked->first; rc == ERR_OK && p != NULL; p = p->next) {
        struct fetch_part *have = fetch_parts_find(parts, p);
        if (have == NULL) {
            rc = keep_part(parts, p, e);
            continue;
        }
        have->offset = p->offset;
        have->max_bytes = p->max_bytes;
        have->current_epoch = p->current_epoch;
        have->last_epoch = p->last_epoch;
    }
    let_topics_go(asked);
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        struct fetch_part *have = fetch_parts_find(parts, &forgotten[i]);
        if (have == NULL)
            continue;
        fetch_parts_remove(parts, have);
        part_free(have);
    }
    return rc;
}

static void session_free(struct fetch_session *f)
{
    for (struct fetch_part *p = f->parts.first, *next; p != NULL; p = next) {
        next = p->next;
        part_free(p);
    }
    fetch_parts_drop_table(&f->parts);
    pthread_cond_destroy(&f->passed);
    pthread_mutex_destroy(&f->lock);
    mem_free(f);
}

/* ---- whose turn it is ---------------------------------------------------------------------------------------------- */

void fetch_session_lock(struct fetch_session *f)
{
    pthread_mutex_lock(&f->lock);
    for (uint64_t own = f->turns++; f->turn != own;)
        pthread_cond_wait(&f->passed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

void fetch_session_unlock(struct fetch_session *f)
{
    pthread_mutex_lock(&f->lock);
    if (++f->turn != f->turns)
        pthread_cond_broadcast(&f->passed);
    pthread_mutex_unlock(&f->lock);
}

void fetch_session_give_way(struct fetch_session *f)
{
    pthread_mutex_lock(&f->lock);
    bool wanted = f->turns - f->turn > 1;
    pthread_mutex_unlock(&f->lock);
    if (wanted) {
        fetch_session_unlock(f);
        fetch_session_lock(f);
    }
}

/* ---- the cache ------------------------------------------------------------------------------------------------------ */

struct fetch_sessions *fetch_sessions_new(int32_t slots, struct err *e)
{
    struct fetch_sessions *s = mem_calloc(1, sizeof *s);
    if (s == NULL || (s->by_id = map_new()) == NULL) {
        mem_free(s);
        err_nomem(e);
        return NULL;
    }
    struct uuid secret = uuid_random();
    memcpy(s->secret, secret.b, sizeof s->secret);
    s->slots = slots > 0 ? (size_t)slots : 0;
    mutex_init(&s->lock);
    return s;
}

const uint8_t *fetch_sessions_secret(const struct fetch_sessions *s)
{
    return s->secret;
}

size_t fetch_sessions_count(struct fetch_sessions *s)
{
    pthread_mutex_lock(&s->lock);
    size_t n = s->n;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static void unlink_session(struct fetch_sessions *s, struct fetch_session *f)
{
    *(f->before != NULL ? &f->before->next : &s->first) = f->next;
    *(f->next != NULL ? &f->next->before : &s->last) = f->before;
}

static void link_last(struct fetch_sessions *s, struct fetch_session *f)
{
    f->next = NULL;
    f->before = s->last;
    *(s->last != NULL ? &s->last->next : &s->first) = f;
    s->last = f;
}

/* Out of the cache; it goes with its last holder, or now. The cache's lock is held. */
static void remove_session(struct fetch_sessions *s, struct fetch_session *f)
{
    if (!f->listed)
        return;
    f->listed = false;
    unlink_session(s, f);
    map_remove(s->by_id, &f->id, sizeof f->id);
    s->n--;
    s->parts -= f->counted;
    if (f->holders == 0)
        session_free(f);
}

void fetch_sessions_free(struct fetch_sessions *s)
{
    if (s == NULL)
        return;
    while (s->first != NULL)
        remove_session(s, s->first);
    map_free(s->by_id, NULL);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

void fetch_session_release(struct fetch_sessions *s, struct fetch_session *f)
{
    pthread_mutex_lock(&s->lock);
    bool free = --f->holders == 0 && !f->listed;
    pthread_mutex_unlock(&s->lock);
    if (free)
        session_free(f);
}

struct fetch_session *fetch_session_hold(struct fetch_sessions *s, int32_t id)
{
    pthread_mutex_lock(&s->lock);
    struct fetch_session *f = map_get(s->by_id, &id, sizeof id);
    if (f != NULL)
        f->holders++;
    pthread_mutex_unlock(&s->lock);
    return f;
}

void fetch_session_close(struct fetch_sessions *s, int32_t id)
{
    pthread_mutex_lock(&s->lock);
    struct fetch_session *f = map_get(s->by_id, &id, sizeof id);
    if (f != NULL)
        remove_session(s, f);
    pthread_mutex_unlock(&s->lock);
}

/* Kafka's: the one that was not used for longest, if that is long; else the smallest of the old ones, if it is smaller. */
static struct fetch_session *choose_victim(struct fetch_sessions *s, size_t parts, int64_t now)
{
    if (s->first != NULL && now - s->first->used_ms > FETCH_SESSION_EVICT_MS)
        return s->first;
    struct fetch_session *smallest = NULL;
    for (struct fetch_session *f = s->first; f != NULL; f = f->next)
        if (f->evictable && (smallest == NULL || f->counted < smallest->counted ||
                             (f->counted == smallest->counted && f->id < smallest->id)))
            smallest = f;
    return smallest != NULL && smallest->counted < parts ? smallest : NULL;
}

static bool make_room(struct fetch_sessions *s, size_t parts, int64_t now)
{
    while (s->n >= s->slots || s->parts + parts > FETCH_SESSION_PARTITIONS_MAX) {
        struct fetch_session *victim = choose_victim(s, parts, now);
        if (victim == NULL)
            return false;
        remove_session(s, victim);
    }
    return true;
}

/* The session was used. False: all sessions together have too many partitions now, and it is out. */
static bool touch(struct fetch_sessions *s, struct fetch_session *f, size_t parts, int64_t now)
{
    pthread_mutex_lock(&s->lock);
    bool fits = true;
    if (f->listed) {
        s->parts += parts - f->counted;
        f->counted = parts;
        f->used_ms = now;
        f->evictable = now - f->created_ms > FETCH_SESSION_EVICT_MS;
        unlink_session(s, f);
        link_last(s, f);
        fits = s->parts <= FETCH_SESSION_PARTITIONS_MAX;
        if (!fits)
            remove_session(s, f);
    }
    pthread_mutex_unlock(&s->lock);
    return fits;
}

/* An id that nobody has, and nobody can guess. */
static int32_t new_id(const struct fetch_sessions *s)
{
    int32_t id;
    do {
        struct uuid u = uuid_random();
        id = (int32_t)(be32(u.b) & INT32_MAX);
    } while (id == 0 || map_get(s->by_id, &id, sizeof id) != NULL);
    return id;
}

int32_t fetch_session_make(struct fetch_sessions *s, struct fetch_parts *parts, bool by_id, int64_t now_ms)
{
    struct err e;
    if (s->slots == 0 || parts->n > FETCH_SESSION_PARTITIONS_MAX)
        return 0;
    pthread_mutex_lock(&s->lock);
    struct fetch_session *f = make_room(s, parts->n, now_ms) ? mem_calloc(1, sizeof *f) : NULL;
    if (f != NULL) {
        f->id = new_id(s);
        f->listed = map_put(s->by_id, &f->id, sizeof f->id, f, &e) == ERR_OK;
    }
    if (f == NULL || !f->listed) {
        pthread_mutex_unlock(&s->lock);
        mem_free(f);
        return 0;
    }
    mutex_init(&f->lock);
    cond_init(&f->passed);
    f->epoch = 1;
    f->by_id = by_id;
    f->created_ms = f->used_ms = now_ms;
    f->counted = parts->n;
    link_last(s, f);
    s->n++;
    s->parts += f->counted;
    int32_t id = f->id;
    if (update(&f->parts, parts, NULL, 0, &e) != ERR_OK) {
        remove_session(s, f);
        id = 0;
    }
    pthread_mutex_unlock(&s->lock);
    return id;
}

/* The session is locked. */
static int16_t begin(struct fetch_session *f, int32_t epoch, bool by_id, const struct fetch_parts *asked,
                     const struct fetch_part *forgotten, size_t n)
{
    struct err e;
    if (f->epoch != epoch)
        return KAFKA_FETCH_SESSION_EPOCH;
    if (f->by_id != by_id)
        return KAFKA_FETCH_SESSION_TOPIC_ID;
    f->epoch = epoch == INT32_MAX ? 1 : epoch + 1;
    return err_kafka(update(&f->parts, asked, forgotten, n, &e));
}

int16_t fetch_session_begin(struct fetch_sessions *s, int32_t id, int32_t epoch, bool by_id,
                            const struct fetch_parts *asked, const struct fetch_part *forgotten, size_t n,
                            int64_t now_ms, struct fetch_session **out, int32_t *now_epoch)
{
    struct fetch_session *f = fetch_session_hold(s, id);
    *out = NULL;
    if (f == NULL)
        return KAFKA_FETCH_SESSION_NOT_FOUND;
    fetch_session_lock(f);
    int16_t code = begin(f, epoch, by_id, asked, forgotten, n);
    size_t left = f->parts.n;
    *now_epoch = f->epoch;
    fetch_session_unlock(f);
    if (code == 0 && left > 0 && !touch(s, f, left, now_ms))
        code = KAFKA_FETCH_SESSION_NOT_FOUND; /* it begins anew, and will get none */
    else if (code == 0 && left > 0)
        *out = f;
    else if (code == 0 || code == err_kafka(ERR_NO_MEMORY))
        fetch_session_close(s, id);
    if (*out == NULL)
        fetch_session_release(s, f);
    return code;
}
