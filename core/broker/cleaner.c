/*
 * cleaner: see cleaner.h; a pass itself is core/storage/clean.h. An error stops one log only: it is said, and the log is
 * left alone for a while if the error may pass, or else until a restart or a change of its topic's settings.
 */
#include "broker/cleaner.h"

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/checkpoint.h"
#include "storage/clean.h"

#define RETRY_MS 60000

struct log_cleaner {
    pthread_t thread;
    pthread_mutex_t lock; /* leaf */
    pthread_cond_t cond;  /* work, a stop, or a topic that is deleted */
    bool stop, started;
    int64_t wake_at; /* clock_mono_ms */

    /* The cleaning thread's. */
    struct cleaner *work;
    struct topic *current;
    int64_t paced_from; /* clock_mono_ns */
    double paced;       /* bytes since then */

    atomic_uint_fast64_t passes, bytes_read, bytes_written, bytes_freed;
    atomic_size_t memory;
};

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t ms, int64_t by)
{
    return by > INT64_MAX - ms ? INT64_MAX : ms + by;
}

/* ---- pace ---------------------------------------------------------------------------------------------------------- */

/* Lock held. When the rate allows to go on, clock_mono_ms. */
static int64_t pace_until(const struct broker *b, const struct log_cleaner *c)
{
    double rate = (double)b->o.cleaner_io_bytes_per_second;
    return rate > 0 ? (c->paced_from + (int64_t)(c->paced / rate * 1e9)) / 1000000 : 0;
}

static int pace(void *arg, size_t bytes, struct err *e)
{
    struct broker *b = arg;
    struct log_cleaner *c = b->cleaner;
    atomic_store(&c->memory, cleaner_memory(c->work));
    pthread_mutex_lock(&c->lock);
    c->paced += (double)bytes;
    int64_t until = b->o.no_threads ? 0 : pace_until(b, c);
    while (!c->stop && !atomic_load(&c->current->deleted)) {
        int64_t left = until - clock_mono_ms();
        if (left <= 0)
            break;
        struct timespec deadline = clock_deadline_ms(left);
        cond_wait_until(&c->cond, &c->lock, &deadline);
    }
    bool ended = c->stop || atomic_load(&c->current->deleted);
    pthread_mutex_unlock(&c->lock);
    return ended ? err_set(e, ERR_INTERRUPTED, "cleaning of %s was ended", c->current->name) : ERR_OK;
}

static bool stopping(struct log_cleaner *c)
{
    pthread_mutex_lock(&c->lock);
    bool stop = c->stop;
    pthread_mutex_unlock(&c->lock);
    return stop;
}

/* ---- which log ----------------------------------------------------------------------------------------------------- */

struct candidate {
    struct partition *p; /* NULL: nothing is to be cleaned */
    struct clean_look look;
    double ratio;
};

/* The dirty part of what was and could be cleaned. */
static double dirty_ratio(int64_t dirty, int64_t clean)
{
    return dirty > 0 ? (double)dirty / (double)(dirty + clean) : 0;
}

/* Kafka's rule: more than the ratio is dirty, or something dirty is too old. *next: when to look again. */
static bool wants_cleaning(struct broker *b, const struct partition *p, const struct clean_look *look,
                           int64_t now, int64_t *next)
{
    double most = topic_settings(p->topic)->min_cleanable_ratio;
    if (look->cleanable_bytes > 0 &&
        (look->overdue || dirty_ratio(look->cleanable_bytes, look->clean_bytes) > most))
        return true;
    if (look->again_ms != INT64_MAX)
        *next = earlier(*next, later(now, look->again_ms - clock_wall_ms()));
    /* Transactions and acknowledgements are not told of when they end. */
    if (look->waiting_bytes > 0 &&
        (look->overdue || dirty_ratio(look->cleanable_bytes + look->waiting_bytes, look->clean_bytes) > most))
        *next = earlier(*next, later(now, b->o.cleaner_backoff_ms));
    return false;
}

static void consider(struct broker *b, struct partition *p, int64_t now, struct candidate *best,
                     int64_t *next)
{
    struct clean_look look;
    struct log *log;
    struct err e;
    if (!topic_settings(p->topic)->log.cleanup_compact || atomic_load(&p->uncleanable) ||
        !disk_in_service(p->disk))
        return;
    if (now < p->clean_after) {
        *next = earlier(*next, p->clean_after);
        return;
    }
    if (partition_open(b, p, false, &log, &e) || !log)
        return; /* said when it failed */
    int rc = log_clean_look(log, atomic_load(&p->cleaned_to), clock_wall_ms(), INT64_MAX, &look, &e);
    if (rc) {
        diag_warn("broker", "%s: cannot tell what is to be cleaned: %s", log_name(log), e.text);
        p->clean_after = later(now, RETRY_MS);
        *next = earlier(*next, p->clean_after);
        return;
    }
    double ratio = dirty_ratio(look.cleanable_bytes, look.clean_bytes);
    if (wants_cleaning(b, p, &look, now, next) && (!best->p || ratio > best->ratio))
        *best = (struct candidate){p, look, ratio};
}

/* The dirtiest log, held; the others are let go, so that deleting their topics need not wait for a pass. */
static void pick(struct broker *b, int64_t now, struct candidate *best, int64_t *next)
{
    struct partition **list;
    struct err e;
    size_t n;
    *best = (struct candidate){0};
    if (topics_all(&b->topics, &list, &n, &e)) {
        *next = earlier(*next, later(now, RETRY_MS));
        return;
    }
    for (size_t i = 0; i < n && !stopping(b->cleaner); i++)
        consider(b, list[i], now, best, next);
    if (best->p)
        partition_hold(best->p);
    partitions_release(&b->topics, list, n);
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

static int clean(struct broker *b, struct candidate *it, struct clean_result *out, struct err *e)
{
    struct log_cleaner *c = b->cleaner;
    struct log *log = partition_log(it->p);
    *out = (struct clean_result){.end = it->look.first_dirty};
    int rc = prepare(it->p, log, &it->look, e);
    if (rc || it->look.cleanable_bytes == 0)
        return rc;
    c->current = it->p->topic;
    c->paced_from = clock_mono_ns();
    c->paced = 0;
    struct clean_args args = {it->look.first_dirty, it->look.first_uncleanable, clock_wall_ms()};
    rc = log_clean(log, c->work, &args, out, e);
    atomic_fetch_add(&c->bytes_read, (uint64_t)out->bytes_read);
    atomic_fetch_add(&c->bytes_written, (uint64_t)out->bytes_written);
    atomic_fetch_add(&c->bytes_freed, (uint64_t)(out->bytes_freed > 0 ? out->bytes_freed : 0));
    if (rc)
        return rc;
    atomic_fetch_add(&c->passes, 1);
    atomic_store(&it->p->cleaned_to, out->end);
    return checkpoint_cleaned(it->p->disk, e);
}

static void tell(struct log *log, const struct candidate *it, const struct clean_result *out)
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

static void failed(struct partition *p, int64_t now, const struct err *e)
{
    const char *topic = p->topic->name;
    if (e->fatal) /* of reading errors the disk is not suspected */
        disk_suspect(p->disk, e);
    if (e->code == ERR_INTERRUPTED || e->retriable) {
        p->clean_after = later(now, RETRY_MS);
        if (e->code != ERR_INTERRUPTED)
            diag_warn("broker", "%s-%d cannot be compacted now: %s", topic, p->index, e->text);
        return;
    }
    atomic_store(&p->uncleanable, true);
    diag_error("broker",
               "%s-%d cannot be compacted and stays as it is until a restart or a change of its settings: %s",
               topic, p->index, e->text);
}

static void clean_one(struct broker *b, struct candidate *it, int64_t now)
{
    struct clean_result out;
    struct err e = {0};
    if (clean(b, it, &out, &e))
        failed(it->p, now, &e);
    else if (out.end > it->look.first_dirty)
        tell(partition_log(it->p), it, &out);
    else /* what the flush was to make possible waits for an acknowledgement */
        it->p->clean_after = later(now, b->o.cleaner_backoff_ms);
    partition_release(&b->topics, it->p);
}

int64_t log_cleaner_round(struct broker *b, int64_t now)
{
    struct log_cleaner *c = b->cleaner;
    int64_t next;
    if (b->o.cleaner_disabled)
        return INT64_MAX;
    for (;;) {
        struct candidate it;
        next = INT64_MAX;
        pick(b, now, &it, &next);
        if (!it.p)
            break;
        clean_one(b, &it, now);
        if (stopping(c))
            break;
        if (!b->o.no_threads)
            now = clock_mono_ms();
    }
    cleaner_trim(c->work);
    atomic_store(&c->memory, 0);
    return next;
}

/* ---- the thread ---------------------------------------------------------------------------------------------------- */

static bool sleep_until(struct log_cleaner *c, int64_t at)
{
    pthread_mutex_lock(&c->lock);
    c->wake_at = earlier(c->wake_at, at);
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
    struct broker *b = arg;
    /* Not at once: who opens a directory for one command does not want it cleaned. */
    for (int64_t next = later(clock_mono_ms(), b->o.cleaner_backoff_ms); sleep_until(b->cleaner, next);)
        next = log_cleaner_round(b, clock_mono_ms());
    return NULL;
}

void log_cleaner_poke(struct broker *b, int64_t at_ms)
{
    struct log_cleaner *c = b->cleaner;
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->wake_at = earlier(c->wake_at, at_ms);
    pthread_cond_broadcast(&c->cond);
    pthread_mutex_unlock(&c->lock);
}

void log_cleaner_segment_closed(struct broker *b)
{
    log_cleaner_poke(b, later(clock_mono_ms(), b->o.cleaner_backoff_ms));
}

void log_cleaner_topic_changed(struct broker *b, struct topic *t)
{
    for (int32_t i = 0; i < t->count; i++)
        atomic_store(&t->partitions[i]->uncleanable, false);
    log_cleaner_segment_closed(b);
}

int log_cleaner_start(struct broker *b, struct err *e)
{
    struct log_cleaner *c = mem_calloc(1, sizeof *c);
    if (!c)
        return err_nomem(e);
    mutex_init(&c->lock);
    cond_init(&c->cond);
    c->wake_at = INT64_MAX;
    b->cleaner = c;
    struct cleaner_options o = {.map_bytes = b->o.cleaner_dedupe_bytes, .pace = pace, .arg = b};
    c->work = cleaner_new(&o, e);
    if (!c->work)
        return e->code;
    if (b->o.no_threads || b->o.cleaner_disabled)
        return ERR_OK;
    int rc = thread_start(&c->thread, "leat-cleaner", run, b, e);
    c->started = !rc;
    return rc;
}

void log_cleaner_stop(struct broker *b)
{
    struct log_cleaner *c = b->cleaner;
    if (!c || !c->started)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->cond);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    c->started = false;
}

void log_cleaner_free(struct broker *b)
{
    struct log_cleaner *c = b->cleaner;
    if (!c)
        return;
    cleaner_free(c->work);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->cond);
    mem_free(c);
    b->cleaner = NULL;
}

void log_cleaner_figures(struct broker *b, struct broker_stats *s)
{
    const struct log_cleaner *c = b->cleaner;
    if (!c)
        return;
    s->cleaner_passes = atomic_load(&c->passes);
    s->cleaner_bytes_read = atomic_load(&c->bytes_read);
    s->cleaner_bytes_written = atomic_load(&c->bytes_written);
    s->cleaner_bytes_freed = atomic_load(&c->bytes_freed);
    s->cleaner_memory = atomic_load(&c->memory);
}
