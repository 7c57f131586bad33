/*
 * cleaner: see cleaner.h; which log is next is cleaner_pick.c, a pass itself core/storage/clean.h. An error stops one log only: it
 * is said, and the log is left alone for a while if the error may pass, or else until a restart or a change of its topic's settings.
 *
 * Several threads share nothing but the choice of a log and the rate. A thread that has found a log wakes another one if there
 * are more, so as many work as there are logs to clean, and none wakes for nothing.
 */
#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/checkpoint.h"
#include "broker/cleaner_internal.h"
#include "broker/upkeep.h"

/* What was not used of the rate is good for so long, as work is not even (Kafka measures by pieces of this length). */
#define RATE_WINDOW_NS 300000000

/* ---- pace ---------------------------------------------------------------------------------------------------------- */

/* Lock held. Charges `bytes` to all; when the rate allows the one who did them to go on, clock_mono_ms. */
static int64_t charge(const struct broker *b, struct log_cleaner *c, size_t bytes)
{
    double rate = (double)b->o.cleaner_io_bytes_per_second;
    if (rate <= 0 || b->o.no_threads)
        return 0;
    int64_t from = clock_mono_ns() - RATE_WINDOW_NS;
    if (from < c->paid_ns)
        from = c->paid_ns;
    c->paid_ns = cleaner_later(from, (int64_t)((double)bytes / rate * 1e9));
    return c->paid_ns / 1000000;
}

static int pace(void *arg, size_t bytes, struct err *e)
{
    struct cleaning *me = arg;
    struct log_cleaner *c = me->b->cleaner;
    atomic_store(&me->memory, cleaner_memory(me->work));
    pthread_mutex_lock(&c->lock);
    int64_t until = charge(me->b, c, bytes);
    while (!c->stop && !atomic_load(&me->topic->deleted)) {
        int64_t left = until - clock_mono_ms();
        if (left <= 0)
            break;
        struct timespec deadline = clock_deadline_ms(left);
        cond_wait_until(&c->cond, &c->lock, &deadline);
    }
    bool ended = c->stop || atomic_load(&me->topic->deleted);
    pthread_mutex_unlock(&c->lock);
    return ended ? err_set(e, ERR_INTERRUPTED, "cleaning of %s was ended", me->topic->name) : ERR_OK;
}

bool cleaner_stopping(struct log_cleaner *c)
{
    pthread_mutex_lock(&c->lock);
    bool stop = c->stop;
    pthread_mutex_unlock(&c->lock);
    return stop;
}

/* ---- a pass -------------------------------------------------------------------------------------------------------- */

/*
 * Flushes what is to be cleaned, and puts the recovery points on disk: recovery then passes over what the journal has of
 * it. `look` is changed to what may be cleaned now.
 */
static int prepare(struct partition *p, struct log *log, struct clean_look *look, struct err *e)
{
    int rc = ERR_OK;
    if (log_recovery_point(log) < look->first_uncleanable)
        rc = partition_flush(p, e);
    int64_t below = checkpoint_point(p);
    if (!rc)
        rc = checkpoint_recovery(p->disk, e);
    return rc ? rc : log_clean_look(log, atomic_load(&p->cleaned_to), clock_wall_ms(), below, look, e);
}

static int clean(struct cleaning *me, struct clean_pick *it, struct clean_result *out, struct err *e)
{
    struct log_cleaner *c = me->b->cleaner;
    struct log *log = partition_log(it->p);
    *out = (struct clean_result){.end = it->look.first_dirty};
    int rc = prepare(it->p, log, &it->look, e);
    if (rc || it->look.cleanable_bytes == 0)
        return rc;
    me->topic = it->p->topic;
    struct clean_args args = {it->look.first_dirty, it->look.first_uncleanable, clock_wall_ms()};
    rc = log_clean(log, me->work, &args, out, e);
    upkeep_poke(me->b, log_next_removal(log)); /* of what was replaced */
    atomic_fetch_add(&c->bytes_read, (uint64_t)out->bytes_read);
    atomic_fetch_add(&c->bytes_written, (uint64_t)out->bytes_written);
    atomic_fetch_add(&c->bytes_freed, (uint64_t)(out->bytes_freed > 0 ? out->bytes_freed : 0));
    if (rc)
        return rc;
    atomic_fetch_add(&c->passes, 1);
    atomic_store(&it->p->cleaned_to, out->end);
    return checkpoint_cleaned(it->p->disk, e);
}

static void tell(struct log *log, const struct clean_pick *it, const struct clean_result *out)
{
    if (out->bytes_read)
        diag_info(
            "broker",
            "%s: compacted up to offset %lld: %lld of %lld records kept, %lld segments became %lld, %lld "
            "bytes freed%s",
            log_name(log), (long long)out->end, (long long)out->records_kept, (long long)out->records_read,
            (long long)out->segments_before, (long long)out->segments_after, (long long)out->bytes_freed,
            out->full && it->look.first_uncleanable > out->end ? "; the rest follows" : "");
}

/* Until when the log is left alone, clock_mono_ms. */
static int64_t failed(struct partition *p, int64_t now, const struct err *e)
{
    const char *topic = p->topic->name;
    disk_suspect(p->disk, e);
    if (e->code == ERR_INTERRUPTED || e->retriable) {
        if (e->code != ERR_INTERRUPTED)
            diag_warn("broker", "%s-%d cannot be compacted now: %s", topic, p->index, e->text);
        return cleaner_later(now, CLEANER_RETRY_MS);
    }
    atomic_store(&p->uncleanable, true);
    diag_error("broker",
               "%s-%d cannot be compacted and stays as it is until a restart or a change of its settings: %s",
               topic, p->index, e->text);
    return now;
}

static void clean_one(struct cleaning *me, struct clean_pick *it, int64_t now)
{
    struct clean_result out;
    struct err e = {0};
    int64_t after = now;
    atomic_fetch_add(&me->b->cleaner->at_work, 1);
    if (clean(me, it, &out, &e))
        after = failed(it->p, now, &e);
    else if (out.end > it->look.first_dirty)
        tell(partition_log(it->p), it, &out);
    else /* what the flush was to make possible waits for an acknowledgement */
        after = cleaner_later(now, me->b->o.cleaner_backoff_ms);
    atomic_fetch_sub(&me->b->cleaner->at_work, 1);
    cleaner_give_back(me->b, it->p, after);
}

static int64_t clean_all(struct cleaning *me, int64_t now)
{
    struct broker *b = me->b;
    int64_t next;
    for (;;) {
        struct clean_pick it;
        next = INT64_MAX;
        cleaner_pick(b, now, &it, &next);
        if (!it.p)
            break;
        if (it.more)
            log_cleaner_poke(b, now);
        clean_one(me, &it, now);
        if (cleaner_stopping(b->cleaner))
            break;
        if (!b->o.no_threads)
            now = clock_mono_ms();
    }
    cleaner_trim(me->work);
    atomic_store(&me->memory, 0);
    return next;
}

int64_t log_cleaner_round(struct broker *b, int64_t now)
{
    return b->o.cleaner_disabled ? INT64_MAX : clean_all(&b->cleaner->list[0], now);
}

/* ---- the threads --------------------------------------------------------------------------------------------------- */

static bool sleep_until(struct log_cleaner *c, int64_t at)
{
    pthread_mutex_lock(&c->lock);
    c->wake_at = at < c->wake_at ? at : c->wake_at;
    while (!c->stop && c->wake_at > clock_mono_ms()) {
        if (c->wake_at == INT64_MAX) {
            pthread_cond_wait(&c->cond, &c->lock);
            continue;
        }
        struct timespec deadline = clock_deadline_ms(c->wake_at - clock_mono_ms());
        cond_wait_until(&c->cond, &c->lock, &deadline);
    }
    c->wake_at = INT64_MAX;
    bool stop = c->stop;
    pthread_mutex_unlock(&c->lock);
    return !stop;
}

static void *run(void *arg)
{
    struct cleaning *me = arg;
    for (int64_t next = INT64_MAX; sleep_until(me->b->cleaner, next);)
        next = clean_all(me, clock_mono_ms());
    return NULL;
}

void log_cleaner_poke(struct broker *b, int64_t at_ms)
{
    struct log_cleaner *c = b->cleaner;
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->wake_at = at_ms < c->wake_at ? at_ms : c->wake_at;
    pthread_cond_broadcast(&c->cond);
    pthread_mutex_unlock(&c->lock);
}

void log_cleaner_segment_closed(struct broker *b)
{
    log_cleaner_poke(b, cleaner_later(clock_mono_ms(), b->o.cleaner_backoff_ms));
}

void log_cleaner_topic_changed(struct broker *b, struct topic *t)
{
    for (int32_t i = 0; i < t->count; i++)
        atomic_store(&t->partitions[i]->uncleanable, false);
    log_cleaner_segment_closed(b);
}

/* ---- start and stop ------------------------------------------------------------------------------------------------ */

/* Each has its part of the memory for keys, as in Kafka, so that no thread has to wait for another's. */
static int start_one(struct broker *b, struct cleaning *me, size_t of, struct err *e)
{
    struct cleaner_options o = {.map_bytes = b->o.cleaner_dedupe_bytes / of, .pace = pace, .arg = me};
    me->b = b;
    me->work = cleaner_new(&o, e);
    if (!me->work)
        return e->code;
    if (b->o.no_threads || b->o.cleaner_disabled)
        return ERR_OK;
    int rc = thread_start(&me->thread, "leat-cleaner", run, me, e);
    me->started = !rc;
    return rc;
}

int log_cleaner_start(struct broker *b, struct err *e)
{
    struct log_cleaner *c = mem_calloc(1, sizeof *c);
    size_t n = b->o.no_threads || b->o.cleaner_disabled ? 1 : (size_t)b->o.cleaner_threads;
    if (!c)
        return err_nomem(e);
    mutex_init(&c->lock);
    mutex_init(&c->picking);
    cond_init(&c->cond);
    /* Not at once: who opens a directory for one command does not want it cleaned. */
    c->wake_at = cleaner_later(clock_mono_ms(), b->o.cleaner_backoff_ms);
    b->cleaner = c;
    if (!(c->list = mem_calloc(n, sizeof *c->list)))
        return err_nomem(e);
    c->count = n;
    int rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = start_one(b, &c->list[i], n, e);
    return rc;
}

void log_cleaner_stop(struct broker *b)
{
    struct log_cleaner *c = b->cleaner;
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->cond);
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].started)
            pthread_join(c->list[i].thread, NULL);
        c->list[i].started = false;
    }
}

void log_cleaner_free(struct broker *b)
{
    struct log_cleaner *c = b->cleaner;
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        cleaner_free(c->list[i].work);
    mem_free(c->list);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->picking);
    pthread_cond_destroy(&c->cond);
    mem_free(c);
    b->cleaner = NULL;
}

void log_cleaner_figures(struct broker *b, struct broker_stats *s)
{
    const struct log_cleaner *c = b->cleaner;
    if (!c)
        return;
    s->cleaner_threads = b->o.cleaner_disabled ? 0 : c->count;
    s->cleaner_at_work = atomic_load(&c->at_work);
    s->cleaner_passes = atomic_load(&c->passes);
    s->cleaner_bytes_read = atomic_load(&c->bytes_read);
    s->cleaner_bytes_written = atomic_load(&c->bytes_written);
    s->cleaner_bytes_freed = atomic_load(&c->bytes_freed);
    for (size_t i = 0; i < c->count; i++)
        s->cleaner_memory += atomic_load(&c->list[i].memory);
}
