/*
 * quota: Leat's own settings quota.stored.bytes and quota.produce.bytes.per.second, of a topic as a whole.
 *
 * Stored: a number that only grows with what is admitted, and is set right by asking every log when it would pass the quota,
 * at most once a second. So appends of a topic below its quota cost an addition, and what retention, compaction and
 * delete-records free is known within a second. Reads, deletions and retention never ask.
 *
 * Rate: each append takes the time that its bytes need at that rate, beginning where the append before it ended, with a
 * second's worth saved up while nothing comes. Appends wait for their turn in the order in which they came; none is refused.
 *
 * Internal topics have no quota: nothing that the coordinators write comes here.
 */
#include "broker/quota.h"

#include "base/clock.h"
#include "base/thread.h"

#define SECOND_NS INT64_C(1000000000)
#define MEASURE_MS 1000

void quota_init(struct quota *q)
{
    mutex_init(&q->lock);
    q->measured_ms = -1;
}

void quota_free(struct quota *q)
{
    pthread_mutex_destroy(&q->lock);
}

/* ---- stored ------------------------------------------------------------------------------------------------------ */

/* Bytes in the segments of all partitions; one that cannot be opened is out of service and counts nothing. */
static int64_t measure(struct broker *b, const struct topic *t)
{
    int64_t bytes = 0;
    struct err unused;
    struct partition *p;
    for (int32_t i = 0; topic_acquire(b, t->name, i, &p, &unused) == ERR_OK; i++) {
        struct log *log;
        if (partition_open(b, p, false, &log, &unused) == ERR_OK && log)
            bytes += log_size(log);
        partition_release(&b->topics, p);
    }
    return bytes;
}

static int check_stored(struct broker *b, struct topic *t, int64_t quota, int64_t bytes, struct err *e)
{
    struct quota *q = &t->quota;
    int rc = ERR_OK;
    pthread_mutex_lock(&q->lock); /* outside of the partitions' locks */
    int64_t now = clock_mono_ms();
    if (q->measured_ms < 0 || (q->stored > quota - bytes && now - q->measured_ms >= MEASURE_MS)) {
        q->stored = measure(b, t);
        q->measured_ms = now;
    }
    if (q->stored > quota - bytes)
        rc = err_set(e, ERR_QUOTA,
                     "topic %s: it has %lld bytes, and %lld more are beyond its quota.stored.bytes %lld",
                     t->name, (long long)q->stored, (long long)bytes, (long long)quota);
    else
        q->stored += bytes;
    pthread_mutex_unlock(&q->lock);
    return rc;
}

/* ---- rate ---------------------------------------------------------------------------------------------------------- */

/* Takes the turn of so many bytes; returns when it begins (clock_mono_ns). */
static int64_t take_turn(struct quota *q, int64_t rate, int64_t bytes, uint64_t *wakes)
{
    int64_t now = clock_mono_ns();
    pthread_mutex_lock(&q->lock);
    if (q->next_ns < now - SECOND_NS)
        q->next_ns = now - SECOND_NS;
    int64_t turn = q->next_ns;
    q->next_ns += (int64_t)((double)bytes / (double)rate * (double)SECOND_NS);
    *wakes = q->wakes;
    pthread_mutex_unlock(&q->lock);
    return turn;
}

static bool woken(struct quota *q, uint64_t wakes)
{
    pthread_mutex_lock(&q->lock);
    bool yes = q->wakes != wakes;
    pthread_mutex_unlock(&q->lock);
    return yes;
}

/* Whose topic is being deleted, which waits for it, does not wait, whether it came before or after the waking. */
static void wait_for_turn(struct broker *b, struct topic *t, int64_t turn, uint64_t wakes)
{
    struct quota *q = &t->quota;
    int64_t start = clock_mono_ns(), left;
    pthread_mutex_lock(&b->delays.lock);
    while (!b->delays.lifted && !woken(q, wakes) && !atomic_load(&t->deleted) &&
           (left = turn - clock_mono_ns()) > 0) {
        struct timespec deadline = clock_deadline_ms(left / 1000000 + 1);
        cond_wait_until(&b->delays.cond, &b->delays.lock, &deadline);
    }
    pthread_mutex_unlock(&b->delays.lock);
    atomic_fetch_add_explicit(&b->throttled_ns, (uint64_t)(clock_mono_ns() - start), memory_order_relaxed);
}

void quota_wake(struct broker *b, struct topic *t)
{
    pthread_mutex_lock(&b->delays.lock);
    pthread_mutex_lock(&t->quota.lock);
    t->quota.wakes++;
    t->quota.next_ns = 0;
    t->quota.measured_ms = -1;
    pthread_mutex_unlock(&t->quota.lock);
    pthread_cond_broadcast(&b->delays.cond);
    pthread_mutex_unlock(&b->delays.lock);
}

void broker_lift_delays(struct broker *b)
{
    pthread_mutex_lock(&b->delays.lock);
    b->delays.lifted = true;
    pthread_cond_broadcast(&b->delays.cond);
    pthread_mutex_unlock(&b->delays.lock);
}

int quota_admit(struct broker *b, const struct partition *p, const struct topic_settings *s, size_t bytes,
                bool wait, struct err *e)
{
    struct quota *q = &p->topic->quota;
    uint64_t wakes;
    int rc = s->quota_stored_bytes >= 0 ? check_stored(b, p->topic, s->quota_stored_bytes, (int64_t)bytes, e)
                                        : ERR_OK;
    if (rc || s->quota_rate <= 0)
        return rc;
    int64_t turn = take_turn(q, s->quota_rate, (int64_t)bytes, &wakes);
    if (wait && turn > clock_mono_ns())
        wait_for_turn(b, p->topic, turn, wakes);
    return ERR_OK;
}
