/*
 * fetch_session: incremental fetch sessions (KIP-227): what a client asks for is kept, and it sends and gets only what changed. Kafka's
 * rules of ids, epochs and eviction. Any thread.
 *
 * A session that a request works with is held; its parts are looked at while it is locked, and belong to the request only as long as
 * its epoch is the one that the request began with.
 */
#ifndef LEAT_SERVER_FETCH_SESSION_H
#define LEAT_SERVER_FETCH_SESSION_H

#include <pthread.h>

#include "server/fetch_parts.h"

#define FETCH_SESSION_EVICT_MS                                                                               \
    120000 /* Kafka's: an older one gives way to a larger, one not used for so long to any */
#define FETCH_SESSION_PARTITIONS_MAX 500000 /* of all sessions together: some 60 MiB */

struct fetch_session {
    pthread_mutex_t lock; /* leaf: the turns */
    pthread_cond_t passed;
    uint64_t turns, turn; /* how many were taken, and which it is: whose it is has `epoch` and `parts` */
    int32_t epoch;        /* of the next request */
    struct fetch_parts parts;
    int32_t id;
    bool by_id; /* topics are named by id */
    /* under the cache's lock: */
    struct fetch_session *before, *next; /* the one that was used longest ago first */
    bool listed;                         /* in the cache; else it goes with its last holder */
    bool evictable;                      /* was used when it was old enough to give way */
    size_t holders;
    size_t counted; /* parts */
    int64_t created_ms, used_ms;
};

struct fetch_sessions;
struct fetch_sessions *fetch_sessions_new(int32_t slots, struct err *e); /* 0: none is ever made */
void fetch_sessions_free(struct fetch_sessions *s);                      /* nobody holds one */
const uint8_t *fetch_sessions_secret(const struct fetch_sessions *s);    /* 16 bytes, for the hashes */
size_t fetch_sessions_count(struct fetch_sessions *s);

/*
 * A new session of what `parts` asks for and was told; what was found of them goes over to it. Its id, and 0 if there is no room:
 * the client goes on without. `now_ms`: clock_mono_ms.
 */
int32_t fetch_session_make(struct fetch_sessions *s, struct fetch_parts *parts, bool by_id, int64_t now_ms);

/*
 * The request with `epoch` begins: parts that are new or ask for something else come in, those of `forgotten` (`n`; topic, hash and number
 * count) go. 0 and the session in *out, held, with *epoch what it is during the request; or NULL if nothing is left of it, and it
 * is closed. Else Kafka's error: 70, 71, 106, -1.
 */
int16_t fetch_session_begin(struct fetch_sessions *s, int32_t id, int32_t epoch, bool by_id,
                            const struct fetch_parts *asked, const struct fetch_part *forgotten, size_t n,
                            int64_t now_ms, struct fetch_session **out, int32_t *now_epoch);
struct fetch_session *fetch_session_hold(struct fetch_sessions *s, int32_t id); /* NULL: it is not there */
void fetch_session_release(struct fetch_sessions *s, struct fetch_session *f);
void fetch_session_close(struct fetch_sessions *s, int32_t id); /* if it is there */

/* Of one that is held: who comes first has it first. */
void fetch_session_lock(struct fetch_session *f);
void fetch_session_unlock(struct fetch_session *f);
/* Locked, as before; but all who have waited for it have had it, and one of them may go on with the session. */
void fetch_session_give_way(struct fetch_session *f);

#endif
