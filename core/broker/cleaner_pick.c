/*
 * cleaner_pick: which log is cleaned next, and by whom. By Kafka's rule the dirtiest of those that want it; one at a time looks, and
 * what it takes is marked, so that no log is cleaned twice at once.
 */
#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "broker/cleaner_internal.h"

static void not_after(int64_t *next, int64_t at)
{
    if (at < *next)
        *next = at;
}

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
        not_after(next, cleaner_later(now, look->again_ms - clock_wall_ms()));
    /* Transactions and acknowledgements are not told of when they end. */
    if (look->waiting_bytes > 0 &&
        (look->overdue || dirty_ratio(look->cleanable_bytes + look->waiting_bytes, look->clean_bytes) > most))
        not_after(next, cleaner_later(now, b->o.cleaner_backoff_ms));
    return false;
}

static void consider(struct broker *b, struct partition *p, int64_t now, struct clean_pick *best,
                     int64_t *next)
{
    struct clean_look look;
    struct log *log;
    struct err e;
    if (!topic_settings(p->topic)->log.cleanup_compact || p->being_cleaned || atomic_load(&p->uncleanable) ||
        !disk_in_service(p->disk))
        return;
    if (now < p->clean_after) {
        not_after(next, p->clean_after);
        return;
    }
    if (partition_open(b, p, false, &log, &e) || !log)
        return; /* said when it failed */
    int rc = log_clean_look(log, atomic_load(&p->cleaned_to), clock_wall_ms(), INT64_MAX, &look, &e);
    if (rc) {
        diag_warn("broker", "%s: cannot tell what is to be cleaned: %s", log_name(log), e.text);
        p->clean_after = cleaner_later(now, CLEANER_RETRY_MS);
        not_after(next, p->clean_after);
        return;
    }
    if (!wants_cleaning(b, p, &look, now, next))
        return;
    double ratio = dirty_ratio(look.cleanable_bytes, look.clean_bytes);
    bool first = best->p == NULL;
    if (first || ratio > best->ratio)
        *best = (struct clean_pick){.p = p, .look = look, .ratio = ratio};
    best->more = !first;
}

/* Holds what it takes; the others are let go, so that deleting their topics need not wait for a pass. */
void cleaner_pick(struct broker *b, int64_t now, struct clean_pick *out, int64_t *next)
{
    struct log_cleaner *c = b->cleaner;
    struct partition **list;
    struct err e;
    size_t n;
    *out = (struct clean_pick){0};
    pthread_mutex_lock(&c->picking);
    if (topics_all(&b->topics, &list, &n, &e)) {
        not_after(next, cleaner_later(now, CLEANER_RETRY_MS));
        pthread_mutex_unlock(&c->picking);
        return;
    }
    for (size_t i = 0; i < n && !cleaner_stopping(c); i++)
        consider(b, list[i], now, out, next);
    if (out->p) {
        out->p->being_cleaned = true;
        partition_hold(out->p);
    }
    partitions_release(&b->topics, list, n);
    pthread_mutex_unlock(&c->picking);
}

void cleaner_give_back(struct broker *b, struct partition *p, int64_t after)
{
    struct log_cleaner *c = b->cleaner;
    pthread_mutex_lock(&c->picking);
    p->being_cleaned = false;
    p->clean_after = after;
    pthread_mutex_unlock(&c->picking);
    partition_release(&b->topics, p);
}
