/*
 * clean_copy: what of each batch stays, and the new segment made of that. The rules are Kafka's (RecordFilter of its cleaner
 * and MemoryRecords.filterTo), but that every new segment, not only a pass's last, keeps its last batch.
 */
#include "storage/clean_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"

#define WRITE_BYTES (256u << 10)
#define SYNC_BYTES (16 << 20) /* often, so that no sync is so large that others' wait for it */

struct copy {
    struct clean_pass *pass;
    struct segment *fresh;
    int fd;
    char path[STORAGE_PATH_MAX];
    int64_t written, synced;
    bool changed; /* differs from its source */
};

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static int flush(struct copy *c, struct err *e)
{
    struct buf *out = &c->pass->c->out;
    if (out->len == 0)
        return ERR_OK;
    int rc = io_pwrite(c->fd, out->data, out->len, c->written, c->path, e);
    if (rc)
        return rc;
    c->written += (int64_t)out->len;
    c->pass->out->bytes_written += (int64_t)out->len;
    rc = clean_pace(c->pass->c, out->len, e);
    buf_reset(out);
    if (rc == ERR_OK && c->written - c->synced >= SYNC_BYTES) {
        rc = io_sync_data(c->fd, c->path, e);
        c->synced = c->written;
    }
    return rc;
}

static int put(struct copy *c, const uint8_t *data, const struct batch_header *h, struct err *e)
{
    struct buf *out = &c->pass->c->out;
    int64_t position = c->written + (int64_t)out->len;
    if (position + (int64_t)batch_size(h) > INT32_MAX)
        return err_set(e, ERR_TOO_LARGE, "%s would be larger than a segment can be", c->path);
    int rc = segment_reserve_index(c->fresh, 1, e);
    if (rc == ERR_OK)
        rc = buf_append(out, data, batch_size(h), e);
    if (rc)
        return rc;
    segment_note_batch(c->fresh, h, position);
    c->pass->out->records_kept += h->attributes & BATCH_CONTROL ? 0 : h->record_count;
    return out->len >= WRITE_BYTES ? flush(c, e) : ERR_OK;
}

/* ---- what stays ---------------------------------------------------------------------------------------------------- */

/* Is it what tells where its producer is? */
static bool last_of_producer(const struct clean_pass *p, const struct batch_header *h)
{
    size_t low = 0, high = p->producer_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (p->producers[mid].id < h->producer_id)
            low = mid + 1;
        else
            high = mid;
    }
    if (h->producer_id < 0 || low == p->producer_count || p->producers[low].id != h->producer_id)
        return false;
    if (p->producers[low].last_offset >= 0)
        return p->producers[low].last_offset == batch_last_offset(h);
    return (h->attributes & BATCH_CONTROL) && p->producers[low].epoch == h->producer_epoch;
}

static bool stays(const struct clean_pass *p, const struct batch_header *h, const struct record *r)
{
    if (r->offset > p->latest)
        return true;
    if (!r->key || r->offset < clean_map_get(p->c->map, r->key, (size_t)r->key_len))
        return false;
    return r->value || !(h->attributes & BATCH_DELETE_HORIZON) || p->args->now_ms < h->base_timestamp;
}

struct verdict {
    int32_t kept;
    bool tombstones;
};

/* Judges every record: a bit each in the cleaner's `keep`. */
static int judge(struct clean_pass *p, struct batch_iter it, struct verdict *v, struct err *e)
{
    struct buf *keep = &p->c->keep;
    struct record r;
    size_t bytes = (size_t)it.header.record_count / 8 + 1;
    *v = (struct verdict){0};
    buf_reset(keep);
    int rc = buf_reserve(keep, bytes, e);
    if (rc)
        return rc;
    memset(keep->data, 0, bytes);
    for (size_t i = 0; (rc = batch_iter_next(&it, &r, e)) == ERR_OK; i++) {
        if (!(it.header.attributes & BATCH_CONTROL) && !stays(p, &it.header, &r))
            continue;
        keep->data[i / 8] |= (uint8_t)(1u << i % 8);
        v->kept++;
        v->tombstones |= !r.value;
    }
    return rc == ERR_END ? ERR_OK : rc;
}

/* Writes the batch anew; `it` stands at its first record, NULL: without records. */
static int put_anew(struct copy *c, const struct batch_header *h, struct batch_iter *it, int64_t horizon,
                    struct err *e)
{
    struct batch_rewriter *w = c->pass->c->rewriter;
    struct record r;
    struct batch_header made;
    uint8_t *data;
    size_t n;
    int rc = ERR_OK;
    batch_rewriter_begin(w, h, horizon);
    for (size_t i = 0; it && rc == ERR_OK && (rc = batch_iter_next(it, &r, e)) == ERR_OK; i++)
        if (c->pass->c->keep.data[i / 8] & 1u << i % 8)
            rc = batch_rewriter_add(w, &r, e);
    if (rc == ERR_OK || rc == ERR_END)
        rc = batch_rewriter_finish(w, &data, &n, e);
    if (rc == ERR_OK)
        rc = batch_header_decode(data, n, &made, e);
    if (rc)
        return rc;
    c->changed = true;
    return put(c, data, &made, e);
}

static int64_t new_horizon(const struct clean_pass *p)
{
    int64_t by = p->config.delete_retention_ms;
    return by > INT64_MAX - p->args->now_ms ? INT64_MAX : p->args->now_ms + by;
}

/* `unneeded`: the data of an aborted transaction, or a marker whose transaction has no data any more. */
static int put_filtered(struct copy *c, const uint8_t *data, const struct batch_header *h, bool unneeded,
                        bool keep_empty, struct err *e)
{
    struct clean_pass *p = c->pass;
    bool control = h->attributes & BATCH_CONTROL;
    int64_t horizon = h->attributes & BATCH_DELETE_HORIZON ? h->base_timestamp : -1;
    bool discard = unneeded && (!control || (horizon >= 0 && horizon <= p->args->now_ms));
    struct verdict v = {0};
    struct batch_iter it;
    int rc = ERR_OK;
    if (!discard)
        rc = batch_iter_init(&it, data, batch_size(h), &p->c->scratch, e);
    if (rc == ERR_OK && !discard)
        rc = judge(p, it, &v, e);
    if (rc)
        return rc;
    if (v.kept == 0) {
        c->changed |= !keep_empty;
        if (!keep_empty)
            return ERR_OK;
        return h->record_count ? put_anew(c, h, NULL, -1, e) : put(c, data, h, e);
    }
    bool set = horizon < 0 && (v.tombstones || (control && unneeded));
    if (v.kept == h->record_count && !set)
        return put(c, data, h, e);
    rc = put_anew(c, h, &it, set ? new_horizon(p) : horizon, e);
    /* No delta reaches from the horizon, or from the first record left, to a time beyond all reason: the batch stays as it is. */
    return rc == ERR_INVALID_TIMESTAMP ? put(c, data, h, e) : rc;
}

static int copy_batch(struct copy *c, const uint8_t *data, const struct batch_header *h, bool last,
                      struct err *e)
{
    struct clean_pass *p = c->pass;
    bool unneeded;
    int rc = h->attributes & BATCH_CONTROL ? clean_txns_marker(p->txns, h, data, c->fresh, &unneeded, e)
                                           : clean_txns_data(p->txns, h, &unneeded, e);
    p->out->records_read += h->attributes & BATCH_CONTROL ? 0 : h->record_count;
    return rc ? rc : put_filtered(c, data, h, unneeded, last || last_of_producer(p, h), e);
}

/* ---- segments ------------------------------------------------------------------------------------------------------ */

/* `last`: it is the last source of its group that has any batch. */
static int copy_source(struct copy *c, const struct clean_source *src, bool last, struct err *e)
{
    struct clean_walk w;
    struct batch_header h;
    const uint8_t *data;
    int rc = clean_expect(c->pass, src->segment->base, src->next_base, e);
    if (rc == ERR_OK)
        rc = clean_walk_open(c->pass, src, 0, &w, e);
    while (rc == ERR_OK && (rc = clean_walk_next(&w, &h, &data, e)) == ERR_OK) {
        rc = copy_batch(c, data, &h, last && w.scan.position >= src->size, e);
        if (rc && rc != ERR_INTERRUPTED)
            err_wrap(e, "%s: batch before byte %" PRId64, w.path, w.scan.position);
    }
    return rc == ERR_END ? ERR_OK : rc;
}

static int begin(struct copy *c, int64_t base, struct err *e)
{
    struct log *log = c->pass->log;
    c->fresh = segment_new(log->dir, base, c->pass->config.index_interval_bytes, e);
    if (!c->fresh)
        return e->code;
    atomic_store(&c->fresh->stage, SEGMENT_CLEANED);
    buf_reset(&c->pass->c->out);
    int rc = segment_create(c->fresh, e);
    if (rc == ERR_OK)
        rc = segment_fd(c->fresh, FILE_LOG, false, &c->fd, e);
    segment_path(c->fresh, FILE_LOG, c->path);
    return rc;
}

/* Everything durable but the names. */
static int finish(struct copy *c, struct err *e)
{
    struct segment *s = c->fresh;
    int rc = flush(c, e);
    s->size = c->written;
    s->allocated = c->written;
    segment_set_sealed(s, true);
    if (rc == ERR_OK)
        rc = segment_flush_indexes(s, true, e);
    if (rc == ERR_OK)
        rc = segment_sync(s, true, e);
    if (rc)
        return rc;
    atomic_store(&s->data_dirty, false);
    s->index_dirty = false;
    segment_cool(s);
    return ERR_OK;
}

int clean_discard(struct log *log, struct segment *s, struct err *e)
{
    int rc = segment_remove(s, e);
    segment_unref(s);
    if (rc) {
        atomic_store(&log->cleaning_left, true);
        diag_warn("storage", "%s; the next start removes it", e->text);
    }
    return rc;
}

int clean_copy(struct clean_pass *p, size_t first, size_t n, struct segment **out, struct err *e)
{
    struct copy c = {.pass = p, .changed = n > 1};
    struct err why;
    size_t last = first + n - 1;
    *out = NULL;
    while (last > first && p->sources.list[last].size == 0)
        last--;
    int rc = begin(&c, p->sources.list[first].segment->base, e);
    for (size_t i = first; i < first + n && rc == ERR_OK; i++)
        rc = copy_source(&c, &p->sources.list[i], i == last, e);
    if (rc == ERR_OK && c.changed && (rc = finish(&c, e)) == ERR_OK) {
        *out = c.fresh;
        return ERR_OK;
    }
    if (c.fresh && clean_discard(p->log, c.fresh, &why) != ERR_OK && rc == ERR_OK) {
        *e = why; /* none of the groups behind it may be swapped in */
        rc = why.code;
    }
    if (rc)
        e->fatal = false; /* nothing but the copy is lost, whatever failed */
    return rc;
}
