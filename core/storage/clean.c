/*
 * clean: a cleaning pass from its start to its end. See clean.h; building the map, copying and swapping have files of
 * their own.
 */
#include "storage/clean_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/mem.h"

#define WINDOW (256u << 10)
#define PACE_BYTES (128u << 10)
#define OUT_BYTES_MAX ((size_t)BATCH_MAX_BYTES + (1u << 20))

/* ---- working memory ------------------------------------------------------------------------------------------------ */

struct cleaner *cleaner_new(const struct cleaner_options *o, struct err *e)
{
    struct cleaner *c = mem_calloc(1, sizeof *c);
    if (!c) {
        err_nomem(e);
        return NULL;
    }
    c->o = *o;
    buf_init(&c->big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    buf_init(&c->scratch, BATCH_MAX_INFLATED);
    buf_init(&c->keep, BATCH_MAX_INFLATED / 8);
    buf_init(&c->out, OUT_BYTES_MAX);
    c->map = clean_map_new(e);
    if (c->map)
        return c;
    mem_free(c);
    return NULL;
}

void cleaner_trim(struct cleaner *c)
{
    clean_map_release(c->map);
    batch_rewriter_free(c->rewriter);
    mem_free(c->window);
    c->rewriter = NULL;
    c->window = NULL;
    buf_free(&c->big);
    buf_free(&c->scratch);
    buf_free(&c->keep);
    buf_free(&c->out);
}

void cleaner_free(struct cleaner *c)
{
    if (!c)
        return;
    cleaner_trim(c);
    clean_map_free(c->map);
    mem_free(c);
}

size_t cleaner_memory(const struct cleaner *c)
{
    return clean_map_bytes(c->map) + c->big.cap + c->scratch.cap + c->keep.cap + c->out.cap +
           (c->window ? WINDOW : 0);
}

static int make_ready(struct cleaner *c, struct err *e)
{
    if (!c->window && !(c->window = mem_alloc(WINDOW)))
        return err_nomem(e);
    if (!c->rewriter && !(c->rewriter = batch_rewriter_new(e)))
        return e->code;
    buf_reset(&c->out);
    return ERR_OK;
}

int clean_pace(struct cleaner *c, size_t bytes, struct err *e)
{
    c->owed += bytes;
    if (!c->o.pace || c->owed < PACE_BYTES)
        return ERR_OK;
    bytes = c->owed;
    c->owed = 0;
    return c->o.pace(c->o.arg, bytes, e);
}

/* ---- sources ------------------------------------------------------------------------------------------------------- */

int clean_take_sources(struct log *log, struct clean_sources *out, struct err *e)
{
    *out = (struct clean_sources){0};
    pthread_mutex_lock(&log->state);
    size_t n = log->count - 1;
    out->list = n ? mem_calloc(n, sizeof *out->list) : NULL;
    int rc = n && !out->list ? err_nomem(e) : ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        struct segment *s = segment_ref(log->segments[i]);
        out->list[out->n++] = (struct clean_source){s, s->size, log->segments[i + 1]->base};
    }
    pthread_mutex_unlock(&log->state);
    return rc;
}

void clean_release_sources(struct clean_sources *s)
{
    for (size_t i = 0; i < s->n; i++)
        segment_release(s->list[i].segment);
    mem_free(s->list);
    *s = (struct clean_sources){0};
}

static void keep_below(struct clean_sources *s, int64_t offset)
{
    while (s->n && s->list[s->n - 1].next_base > offset)
        segment_release(s->list[--s->n].segment);
}

int clean_walk_open(struct clean_pass *p, const struct clean_source *src, int64_t position,
                    struct clean_walk *w, struct err *e)
{
    int fd;
    int rc = segment_fd(src->segment, FILE_LOG, false, &fd, e);
    w->pass = p;
    if (rc == ERR_OK)
        scan_init(&w->scan, fd, segment_path(src->segment, FILE_LOG, w->path), position, src->size,
                  src->segment->base, p->c->window, WINDOW);
    return rc;
}

int clean_walk_next(struct clean_walk *w, struct batch_header *h, const uint8_t **data, struct err *e)
{
    struct batch_header checked;
    int rc = scan_header(&w->scan, h, e);
    if (rc == ERR_OK)
        rc = scan_batch(&w->scan, h, &w->pass->c->big, data, e);
    if (rc == ERR_OK && batch_check(*data, batch_size(h), &checked, e) != ERR_OK)
        rc = err_set(e, ERR_CORRUPT, "%s: batch at byte %" PRId64 ": %s", w->path, w->scan.position, e->text);
    if (rc == ERR_OK) {
        w->pass->out->bytes_read += (int64_t)batch_size(h);
        rc = clean_pace(w->pass->c, batch_size(h), e);
    }
    if (rc == ERR_OK)
        scan_skip(&w->scan, h);
    return rc == ERR_TRUNCATED ? e->code = ERR_CORRUPT : rc; /* sealed segments end at whole batches */
}

int clean_expect(struct clean_pass *p, int64_t from, int64_t to, struct err *e)
{
    struct aborted_txn *list;
    size_t n;
    int rc = log_aborted(p->log, from, to, &list, &n, e);
    if (rc == ERR_OK)
        rc = clean_txns_expect(p->txns, list, n, e);
    mem_free(list);
    return rc;
}

/* ---- looking ------------------------------------------------------------------------------------------------------- */

struct bounds {
    int64_t start, end, limit; /* nothing at or beyond the limit may be cleaned */
    struct log_config config;
};

static void take_bounds(struct log *log, int64_t below, struct bounds *b)
{
    pthread_mutex_lock(&log->state);
    b->start = log->start;
    b->end = log->end;
    b->limit = log->watermark;
    if (log->first_unstable >= 0 && log->first_unstable < b->limit)
        b->limit = log->first_unstable;
    if (below < b->limit)
        b->limit = below;
    b->config = log->config;
    pthread_mutex_unlock(&log->state);
}

static int64_t later(int64_t ms, int64_t by)
{
    return by > INT64_MAX - ms ? INT64_MAX : ms + by;
}

/* Is this dirty segment too young? */
static int too_young(const struct clean_source *src, const struct bounds *b, int64_t now_ms,
                     struct clean_look *out, bool *young, struct err *e)
{
    int64_t newest, offset;
    *young = false;
    if (b->config.min_compaction_lag_ms <= 0)
        return ERR_OK;
    int rc = segment_load(src->segment, src->size, e);
    segment_max_timestamp(src->segment, &newest, &offset);
    int64_t old_at = newest < 0 ? INT64_MIN : later(newest, b->config.min_compaction_lag_ms);
    *young = rc == ERR_OK && old_at > now_ms;
    if (*young && old_at < out->again_ms)
        out->again_ms = old_at;
    return rc;
}

static int too_old(const struct clean_source *src, const struct bounds *b, int64_t now_ms,
                   struct clean_look *out, struct err *e)
{
    int64_t first;
    if (b->config.max_compaction_lag_ms == INT64_MAX)
        return ERR_OK;
    int rc = segment_read_first_timestamp(src->segment, src->size, &first, e);
    if (rc || first < 0)
        return rc;
    int64_t due = later(first, b->config.max_compaction_lag_ms > 0 ? b->config.max_compaction_lag_ms : 0);
    if (due < now_ms)
        out->overdue = true;
    else if (due < out->again_ms)
        out->again_ms = later(due, 1);
    return ERR_OK;
}

static int look_at(const struct clean_source *src, const struct bounds *b, int64_t now_ms,
                   struct clean_look *out, struct err *e)
{
    bool dirty = src->next_base > out->first_dirty, young = false;
    int rc = ERR_OK;
    if (dirty && out->first_uncleanable == INT64_MAX && src->next_base <= b->limit)
        rc = too_young(src, b, now_ms, out, &young, e);
    if (rc == ERR_OK && dirty)
        rc = too_old(src, b, now_ms, out, e);
    if (rc)
        return rc;
    if (out->first_uncleanable == INT64_MAX && (src->next_base > b->limit || young))
        out->first_uncleanable = src->segment->base;
    if (out->first_uncleanable != INT64_MAX)
        out->waiting_bytes += src->size;
    else if (dirty)
        out->cleanable_bytes += src->size;
    if (src->segment->base < out->first_dirty)
        out->clean_bytes += src->size;
    return ERR_OK;
}

int log_clean_look(struct log *log, int64_t checkpoint, int64_t now_ms, int64_t below, struct clean_look *out,
                   struct err *e)
{
    struct clean_sources sources = {0};
    struct bounds b;
    int rc = log_enter(log, e);
    if (rc)
        return rc;
    take_bounds(log, below, &b);
    if (!b.config.cleanup_compact) /* no longer: its lags say nothing either */
        b.limit = INT64_MIN;
    *out = (struct clean_look){.first_dirty = checkpoint, .again_ms = INT64_MAX};
    if (checkpoint < b.start || checkpoint > b.end)
        out->first_dirty = b.start;
    out->first_uncleanable = INT64_MAX;
    rc = clean_take_sources(log, &sources, e);
    for (size_t i = 0; i < sources.n && rc == ERR_OK; i++)
        rc = look_at(&sources.list[i], &b, now_ms, out, e);
    if (out->first_uncleanable == INT64_MAX)
        out->first_uncleanable = sources.n ? sources.list[sources.n - 1].next_base : out->first_dirty;
    clean_release_sources(&sources);
    log_leave(log);
    return rc;
}

/* ---- cleaning ------------------------------------------------------------------------------------------------------ */

static int by_id(const void *a, const void *b)
{
    const struct producer_info *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int begin_txns(struct clean_pass *p, struct err *e)
{
    clean_txns_free(p->txns);
    p->txns = clean_txns_new(e);
    return p->txns ? ERR_OK : e->code;
}

/* How many sources from `first` on go into one new segment: Kafka's rule, by what they are now. */
static int group_size(const struct clean_pass *p, size_t first, size_t end, size_t *n, struct err *e)
{
    const struct clean_source *list = p->sources.list;
    int64_t bytes = 0, entries = 0;
    for (*n = 0; first + *n < end; ++*n) {
        const struct clean_source *src = &list[first + *n];
        int rc = segment_load(src->segment, src->size, e);
        if (rc)
            return rc;
        bytes += src->size;
        entries += segment_index_entries(src->segment);
        bool fits = bytes <= p->config.segment_bytes &&
                    entries * 12 <= p->config.segment_index_bytes && /* both indexes */
                    src->next_base - 1 - list[first].segment->base <= INT32_MAX;
        if (*n && !fits)
            break;
    }
    return ERR_OK;
}

static int clean_group(struct clean_pass *p, size_t first, size_t n, struct err *e)
{
    struct segment *fresh;
    int rc = clean_copy(p, first, n, &fresh, e);
    if (rc || !fresh)
        return clean_unless_gone(p, first, n, rc, e);
    int64_t before = 0, after = fresh->size;
    for (size_t i = 0; i < n; i++)
        before += p->sources.list[first + i].size;
    rc = clean_swap(p, first, n, fresh, e);
    if (rc == ERR_OK)
        p->out->bytes_freed += before - after;
    return rc;
}

static int clean_groups(struct clean_pass *p, struct err *e)
{
    size_t end = 0, n;
    int rc = ERR_OK;
    while (end < p->sources.n && p->sources.list[end].segment->base <= p->latest)
        end++;
    for (size_t first = 0; first < end && rc == ERR_OK; first += n) {
        rc = group_size(p, first, end, &n, e);
        if (rc == ERR_OK)
            rc = clean_group(p, first, n, e);
        p->out->segments_before += (int64_t)n;
        p->out->segments_after++;
    }
    return rc;
}

static int run(struct clean_pass *p, struct err *e)
{
    int rc = begin_txns(p, e);
    if (rc == ERR_OK)
        rc = clean_build_map(p, e);
    if (rc || p->latest < p->args->first_dirty)
        return rc;
    rc = begin_txns(p, e);
    if (rc == ERR_OK)
        rc = clean_groups(p, e);
    if (rc == ERR_OK)
        p->out->end = p->latest + 1;
    return rc;
}

static int prepare(struct clean_pass *p, struct err *e)
{
    struct log *log = p->log;
    struct bounds b;
    int rc = log_check_usable(log, e);
    take_bounds(log, log_recovery_point(log), &b);
    p->config = b.config;
    if (rc == ERR_OK && atomic_load(&log->cleaning_left))
        rc = err_set(
            e, ERR_IO,
            "%s: files of an earlier cleaning could not be renamed or removed; the next start does it",
            log->name);
    if (rc == ERR_OK && p->args->first_uncleanable > b.limit)
        rc = err_set(e, ERR_INVALID, "%s: cannot clean up to offset %" PRId64 ", only below %" PRId64,
                     log->name, p->args->first_uncleanable, b.limit);
    if (rc == ERR_OK)
        rc = make_ready(p->c, e);
    if (rc == ERR_OK)
        rc = clean_take_sources(log, &p->sources, e);
    keep_below(&p->sources, p->args->first_uncleanable);
    if (rc == ERR_OK)
        rc = log_producers(log, &p->producers, &p->producer_count, e);
    if (rc == ERR_OK && p->producer_count)
        qsort(p->producers, p->producer_count, sizeof *p->producers, by_id);
    return rc;
}

int log_clean(struct log *log, struct cleaner *c, const struct clean_args *args, struct clean_result *out,
              struct err *e)
{
    struct clean_pass p = {.log = log, .c = c, .args = args, .out = out, .latest = -1};
    *out = (struct clean_result){.end = args->first_dirty};
    int rc = log_enter(log, e);
    if (rc)
        return rc;
    bool twice = atomic_exchange(&log->cleaning, true);
    assert(!twice);
    (void)twice;
    rc = prepare(&p, e);
    if (rc == ERR_OK)
        rc = run(&p, e);
    clean_release_sources(&p.sources);
    clean_txns_free(p.txns);
    mem_free(p.producers);
    atomic_store(&log->cleaning, false);
    log_leave(log);
    return rc;
}
