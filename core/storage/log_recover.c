/*
 * log_recover: what opening does with the files that are there. One thread; nobody else knows the log yet.
 *
 * Below the recovery point everything is synced and trusted. From it on every batch is read and its CRC checked, and the
 * log is cut at the first one that is not whole, or at the durable end. Indexes, producer state and leader epochs of what
 * is read again are made again. Damage below the recovery point is never cut away: it is reported, stays where it is, and
 * reads that meet it fail.
 */
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/listing.h"
#include "storage/log_internal.h"

#define WINDOW (256u << 10)

/* ---- what is in the directory ---- */

static int remove_file(struct log *log, const char *name, struct err *e)
{
    char *path = mem_printf("%s/%s", log->dir->path, name);
    int rc = path ? io_unlink(path, e) : err_nomem(e);
    mem_free(path);
    return rc;
}

struct sweep {
    struct log *log;
    bool interrupted; /* files of the cleaner were met */
    bool cut;         /* an earlier process took the end back and may not have synced that */
};

/* Deleted segments' files go; whoever held them open is gone. */
static int other_file(void *arg, const char *name, const char *suffix, struct err *e)
{
    struct sweep *w = arg;
    w->cut |= strcmp(name, CUT_FILE) == 0;
    if (!suffix)
        return ERR_OK;
    if (storage_name_ends(suffix, DELETED_SUFFIX))
        return remove_file(w->log, name, e);
    w->interrupted |= storage_name_ends(suffix, CLEANED_SUFFIX) || storage_name_ends(suffix, SWAP_SUFFIX);
    return ERR_OK;
}

static int remove_orphans(struct log *log, const struct listed *f, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int rc = ERR_OK;
    for (unsigned k = 0; k < LISTING_INDEXES && rc == ERR_OK; k++)
        if (f->has & (HAS_INDEX << k))
            rc = io_unlink(storage_path(path, log->dir->path, f->base, listing_index_suffix(k), ""), e);
    return rc;
}

static int add_segment(struct log *log, const struct listed *f, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    int rc = log_reserve_segment(log, e);
    if (rc)
        return rc;
    struct segment *s = segment_new(log->dir, f->base, log->config.index_interval_bytes, e);
    if (!s)
        return e->code;
    rc = segment_fd(s, FILE_LOG, false, &fd, e);
    if (rc == ERR_OK)
        rc = io_size(fd, &s->size, segment_path(s, FILE_LOG, path), e);
    if (rc == ERR_OK && (f->has & HAS_TXN))
        rc = txnindex_load(s, e);
    if (rc) {
        segment_unref(s);
        return rc;
    }
    s->created_ms = clock_wall_ms();
    s->jitter_ms = log_roll_jitter(&log->config);
    segment_set_sealed(s, true);
    s->allocated = INT64_MAX; /* unknown: trimmed when the segment is sealed or closed */
    log->segments[log->count++] = s;
    log->bytes += s->size;
    segment_cool(s);
    return ERR_OK;
}

/* Leaves in *l what has a log, an entry a segment. *cut: the mark of log_cut.c is there. */
static int find_segments(struct log *log, struct listing *l, bool *cut, struct err *e)
{
    struct sweep w = {.log = log};
    int rc = listing_read(l, log->dir->path, other_file, &w, e);
    if (rc == ERR_OK && w.interrupted) {
        rc = log_finish_swaps(log, e);
        listing_free(l);
        if (rc == ERR_OK)
            rc = listing_read(l, log->dir->path, other_file, &w, e);
    }
    size_t n = 0;
    for (size_t i = 0; i < l->n && rc == ERR_OK; i++) {
        if (!(l->list[i].has & HAS_LOG)) {
            rc = remove_orphans(log, &l->list[i], e);
            continue;
        }
        rc = add_segment(log, &l->list[i], e);
        l->list[n++] = l->list[i];
    }
    l->n = n;
    *cut = w.cut;
    return rc;
}

/* ---- reading again ---- */

struct recovery {
    struct log *log;
    const struct log_open_args *args;
    struct log_recovery *report;
    int64_t point;    /* batches at or beyond are checked */
    int64_t snapshot; /* producers hold everything below this offset */
    int64_t txn_from; /* aborted transactions with markers from here on are added to the transaction index */
    int64_t next;     /* offset after the last good batch */
    uint8_t *window;
    struct buf big;
};

/* Aborted transactions of a segment whose indexes are gone, up to `to`. */
static int rebuild_txnindex(struct recovery *r, struct segment *s, int64_t to, struct err *e)
{
    struct producers *p = producers_new();
    int64_t offset;
    if (!p)
        return err_nomem(e);
    int rc = log_load_snapshot(r->log, s->base, p, &offset, e);
    if (rc == ERR_OK)
        rc = txnindex_truncate(s, s->base, e);
    log_names_changed(r->log);
    if (rc == ERR_OK)
        rc = log_replay(r->log, p, offset < 0 ? 0 : offset, to, INT64_MAX, s, e);
    producers_free(p);
    return rc;
}

/* Segments that are trusted: only what is missing altogether is made again; the rest is looked at when it is used. */
static int prepare_sealed(struct recovery *r, struct segment *s, unsigned has, int64_t next_base,
                          struct err *e)
{
    if ((has & HAS_INDEX) && (has & HAS_TIME))
        return ERR_OK;
    diag_info("storage", "%s: segment %" PRId64 " has no index, building it", r->log->name, s->base);
    r->report->indexes_rebuilt++;
    int rc = segment_rebuild_indexes(s, s->size, e);
    if (rc == ERR_OK)
        rc = rebuild_txnindex(r, s, next_base, e);
    if (rc == ERR_OK)
        segment_cool(s);
    return rc;
}

/* Takes one batch over into indexes, epochs and producers. */
static int take_batch(struct recovery *r, struct segment *s, struct scan *scan, const struct batch_header *h,
                      struct err *e)
{
    const uint8_t *data = NULL;
    struct txn_end end = {.first_offset = -1};
    bool checked = batch_last_offset(h) >= r->point && !r->args->clean;
    int rc = ERR_OK;
    if (checked || ((h->attributes & BATCH_CONTROL) && h->producer_id >= 0))
        rc = scan_batch(scan, h, &r->big, &data, e);
    if (rc == ERR_OK && checked) {
        struct batch_header again;
        rc = batch_check(data, batch_size(h), &again, e);
        if (rc)
            return err_set(e, ERR_CORRUPT, "%s: batch at byte %" PRId64 ": %s", scan->path, scan->position,
                           e->text);
        r->report->scanned_bytes += (int64_t)batch_size(h);
    }
    if (rc == ERR_OK && h->base_offset >= r->snapshot)
        rc = log_replay_batch(r->log->producers, h, data, INT64_MAX, &end, e);
    if (rc == ERR_OK && end.aborted && end.first_offset >= 0 && end.last_offset >= r->txn_from) {
        rc = txnindex_write(s, 0, &end, e);
        if (rc == ERR_OK)
            txnindex_publish(s, s->txn_entries + 1);
    }
    if (rc == ERR_OK)
        rc = segment_reserve_index(s, 1, e);
    if (rc == ERR_OK)
        rc = epochs_reserve(&r->log->epochs, 1, e);
    if (rc)
        return rc;
    segment_note_batch(s, h, scan->position);
    epochs_assign(&r->log->epochs, h->leader_epoch, h->base_offset);
    return ERR_OK;
}

/* Walks to the end of what is good. *good is the position there; *why is ERR_OK if that is the end of the file. */
static int walk_segment(struct recovery *r, struct segment *s, int64_t position, int64_t next_base,
                        int64_t *good, int *why, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    struct scan scan;
    struct batch_header h;
    int fd;
    int rc = segment_fd(s, FILE_LOG, false, &fd, e);
    if (rc)
        return rc;
    scan_init(&scan, fd, segment_path(s, FILE_LOG, path), position, s->size, s->base, r->window, WINDOW);
    r->next = s->base;
    while ((rc = scan_header(&scan, &h, e)) == ERR_OK) {
        if (h.base_offset >= next_base) {
            rc = err_set(e, ERR_CORRUPT,
                         "%s: the batch at byte %" PRId64 " has offset %" PRId64
                         ", which belongs to the next segment",
                         path, scan.position, h.base_offset);
            break;
        }
        if (r->args->durable_end >= 0 && batch_last_offset(&h) >= r->args->durable_end) {
            rc = err_set(e, ERR_TRUNCATED, "%s: what follows byte %" PRId64 " was never acknowledged", path,
                         scan.position);
            break;
        }
        rc = take_batch(r, s, &scan, &h, e);
        if (rc)
            break;
        r->next = batch_last_offset(&h) + 1;
        scan_skip(&scan, &h);
    }
    *good = scan.position;
    *why = rc == ERR_END ? ERR_OK : rc;
    return rc == ERR_END || rc == ERR_CORRUPT || rc == ERR_TRUNCATED ? ERR_OK : rc;
}

/* Cuts what stands behind the last batch of a segment; for good, as another loss of power must not bring it back. */
static int cut_tail(struct recovery *r, struct segment *s, int64_t good, struct err *e)
{
    int rc = segment_truncate(s, good, r->next, e);
    if (rc == ERR_OK)
        rc = segment_sync(s, false, e);
    if (rc)
        return rc;
    r->log->bytes -= s->size - good;
    r->report->cut_bytes += s->size - good;
    s->size = good;
    return ERR_OK;
}

/* Cuts the segment behind `good`, and everything after it. */
static int cut(struct recovery *r, size_t i, int64_t good, const struct err *because, struct err *e)
{
    struct log *log = r->log;
    struct segment *s = log->segments[i];
    struct err why = *because; /* what follows may use `e` */
    int64_t before = r->report->cut_bytes;
    int rc = ERR_OK;
    log_cut_begin(log);
    while (rc == ERR_OK && log->count > i + 1) {
        r->report->cut_bytes += log_active(log)->size;
        rc = log_drop_last(log, e);
    }
    if (rc == ERR_OK)
        rc = cut_tail(r, s, good, e);
    if (rc == ERR_OK)
        rc = io_sync_dir(log->dir->path, e);
    if (rc == ERR_OK)
        rc = log_cut_end(log, e);
    if (rc)
        return rc;
    r->report->cut_from_offset = r->next;
    diag_warn("storage", "%s: cut %" PRId64 " bytes from offset %" PRId64 " on: %s", log->name,
              r->report->cut_bytes - before, r->next, why.text);
    return ERR_OK;
}

/* Indexes of the segment where reading starts, and producers as of there. */
static int prepare_first(struct recovery *r, struct segment *s, unsigned has, int64_t *position,
                         struct err *e)
{
    struct log *log = r->log;
    int64_t end = r->args->clean ? INT64_MAX : r->point;
    bool rebuilt;
    int rc = segment_open_indexes(s, end > s->base ? end : s->base, s->size, position, &rebuilt, e);
    if (rc == ERR_OK && !r->args->clean)
        rc = segment_even_indexes(s, position, e);
    bool missing = s->size && s->base < end && (!(has & HAS_INDEX) || !(has & HAS_TIME));
    if (rc == ERR_OK && (rebuilt || missing))
        r->report->indexes_rebuilt++;
    if (rc == ERR_OK)
        rc = txnindex_truncate(s, end, e);
    if (rc == ERR_OK && missing)
        rc = rebuild_txnindex(r, s, end, e);
    if (rc == ERR_OK)
        rc = log_load_snapshot(log, end, log->producers, &r->snapshot, e);
    if (rc)
        return rc;
    r->txn_from = end;
    /* Producers below the place where reading starts come from headers alone. */
    int64_t from = *position ? s->offsets.last.key : s->base;
    if (r->snapshot < 0)
        r->snapshot = 0;
    if (r->snapshot < from) {
        rc = log_replay(log, log->producers, r->snapshot, from, INT64_MAX, NULL, e);
        r->snapshot = from;
    }
    return rc;
}

/* The state at the start of a segment that is read from its start. */
static int prepare_next(struct recovery *r, struct segment *s, struct err *e)
{
    int64_t position;
    bool rebuilt;
    struct buf snapshot;
    buf_init(&snapshot, SNAPSHOT_MAX);
    int rc = segment_open_indexes(s, s->base, s->size, &position, &rebuilt, e);
    if (rc == ERR_OK)
        rc = txnindex_truncate(s, s->base, e);
    if (rc == ERR_OK)
        rc = log_encode_snapshot(r->log, &snapshot, e);
    if (rc == ERR_OK)
        rc = log_write_snapshot(r->log, s->base, &snapshot, false, e);
    buf_free(&snapshot);
    return rc;
}

static void mark_dirty(struct segment *s)
{
    atomic_store(&s->data_dirty, true);
    atomic_store(&s->txn_dirty, true);
    atomic_store(&s->indexes_cut, true);
    s->index_dirty = true;
}

/* Reads segment `i`. *stop: the log ends here. */
static int recover_segment(struct recovery *r, size_t i, int64_t position, bool *stop, struct err *e)
{
    struct log *log = r->log;
    struct segment *s = log->segments[i];
    int64_t next_base = i + 1 < log->count ? log->segments[i + 1]->base : INT64_MAX;
    int64_t good;
    int why;
    int rc = walk_segment(r, s, position, next_base, &good, &why, e);
    if (rc)
        return rc;
    if (!r->args->clean)
        mark_dirty(s);
    if (why == ERR_OK && next_base != INT64_MAX && r->next < next_base && next_base > r->point &&
        !r->args->clean) {
        why = ERR_TRUNCATED;
        err_set(e, ERR_TRUNCATED,
                "segment %" PRId64 " ends at offset %" PRId64 ", the next one starts at %" PRId64, s->base,
                r->next, next_base);
    }
    if (why == ERR_OK)
        return ERR_OK;
    if (r->next >= r->point && r->next == next_base) {
        /* Nothing is missing: bytes that were cut here before the next segment began are back, as the cut was not synced. */
        diag_warn("storage", "%s: %s; the next segment goes on at offset %" PRId64, log->name, e->text,
                  next_base);
        return cut_tail(r, s, good, e);
    }
    *stop = r->next >= r->point;
    if (*stop)
        return cut(r, i, good, e, e);
    diag_error("storage", "%s: damage below the recovery point %" PRId64 ", not served: %s", log->name,
               r->point, e->text);
    return ERR_OK;
}

/*
 * Where reading starts. A segment that ends at the recovery point may have been the active one when that was written: its
 * data is synced, its indexes are not.
 */
static size_t first_segment(const struct recovery *r)
{
    const struct log *log = r->log;
    if (r->args->clean)
        return log->count - 1;
    size_t i = log_segment_index(log, r->point);
    return i > 0 && log->segments[i]->base >= r->point ? i - 1 : i;
}

static int recover_segments(struct recovery *r, const struct listing *l, struct err *e)
{
    struct log *log = r->log;
    size_t first = first_segment(r);
    int rc = ERR_OK;
    for (size_t i = 0; i < first && rc == ERR_OK; i++)
        rc = prepare_sealed(r, log->segments[i], l->list[i].has, log->segments[i + 1]->base, e);
    bool stop = false;
    for (size_t i = first; i < log->count && rc == ERR_OK && !stop; i++) {
        struct segment *s = log->segments[i];
        int64_t position = 0;
        rc = i == first ? prepare_first(r, s, l->list[i].has, &position, e) : prepare_next(r, s, e);
        if (rc == ERR_OK)
            rc = recover_segment(r, i, position, &stop, e);
        if (rc == ERR_OK && i + 1 < log->count)
            rc = segment_flush_indexes(s, true, e);
    }
    return rc;
}

/* After the walk: which segment takes appends, and from where on. */
static int set_ends(struct recovery *r, struct err *e)
{
    struct log *log = r->log;
    int64_t start = r->args->log_start_offset;
    struct segment *s = log_active(log);
    log->end = r->next;
    int64_t known =
        r->args->durable_end > r->args->recovery_point ? r->args->durable_end : r->args->recovery_point;
    if (known > log->end)
        diag_error("storage", "%s: ends at offset %" PRId64 ", %" PRId64 " was acknowledged", log->name,
                   log->end, known);
    if (r->args->clean && r->args->recovery_point && log->end > r->args->recovery_point)
        diag_error("storage", "%s: ends at offset %" PRId64 ", at the clean stop it was %" PRId64, log->name,
                   log->end, r->args->recovery_point);
    int rc = ERR_OK;
    /* Damage hides the rest of the segment, or files are lost: no offset is given out twice. */
    int64_t next = log->end < r->point ? r->point : log->end;
    if (next < start)
        next = start;
    segment_set_sealed(s, next != log->end);
    atomic_store(&s->warm, next == log->end);
    for (size_t i = 1; i < log->count; i++)
        log->segments[i]->before = log->segments[i - 1]->before + log->segments[i - 1]->size;
    if (next != log->end)
        rc = log_add_segment(log, next, e);
    if (rc)
        return rc;
    if (log->segments[0]->base > start && known > start)
        diag_warn("storage",
                  "%s: starts at offset %" PRId64 " instead of %" PRId64
                  ": what is between was being deleted when the process ended, or is lost",
                  log->name, log->segments[0]->base, start);
    log->start = start > log->segments[0]->base ? start : log->segments[0]->base;
    log->watermark = log->start;
    log->recovery_point = r->point < log->end ? r->point : log->end;
    while (rc == ERR_OK && log->count > 1 && log->segments[1]->base <= log->start)
        rc = log_drop_first(log, e);
    /* After a crash, files may have been made by log_restore whose names are not synced. */
    log->names_dirty |= !r->args->clean;
    log->parent_dirty |= !r->args->clean;
    log->pristine = r->args->clean && next == r->next && r->snapshot == log->end && !log->names_dirty &&
                    !log->epochs.dirty && r->report->cut_bytes == 0 && r->report->indexes_rebuilt == 0;
    producers_settle(log->producers, log->end);
    log->first_unstable = producers_first_unstable(log->producers);
    epochs_truncate_from_end(&log->epochs, log->end + 1);
    epochs_truncate_from_start(&log->epochs, log->start);
    return rc ? rc : log_trim_snapshots(log, log->segments[0]->base, log->end, e);
}

int log_recover(struct log *log, const struct log_open_args *args, struct log_recovery *report, struct err *e)
{
    struct listing l = {0};
    struct recovery r = {.log = log, .args = args, .report = report, .point = args->recovery_point};
    bool cut_before;
    buf_init(&r.big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    int rc = find_segments(log, &l, &cut_before, e);
    r.window = rc == ERR_OK ? mem_alloc(WINDOW) : NULL;
    if (rc == ERR_OK && !r.window)
        rc = err_nomem(e);
    if (rc == ERR_OK && log->count == 0) {
        /*
         * What is below the recovery point was there, and went: the last of it by retention perhaps, whose new segment's name
         * was not on disk yet. No offset of it is given to another record.
         */
        r.next = args->log_start_offset > r.point ? args->log_start_offset : r.point;
        r.point = r.next;
        rc = log_add_segment(log, r.next, e);
    } else if (rc == ERR_OK) {
        /* Snapshots beyond the recovery point may tell of batches that are gone. */
        if (!args->clean)
            rc = log_trim_snapshots(log, 0, r.point, e);
        if (rc == ERR_OK)
            rc = recover_segments(&r, &l, e);
    }
    if (rc == ERR_OK && cut_before)
        rc = log_cut_resume(log, e);
    if (rc == ERR_OK)
        rc = set_ends(&r, e);
    if (rc == ERR_OK)
        segment_close_indexes(
            log_active(log)); /* of thousands of logs they would be more files than may be open */
    mem_free(r.window);
    buf_free(&r.big);
    listing_free(&l);
    return rc;
}
