/*
 * check_walk: walks the batches of one segment: checksums, records, order of offsets and epochs; feeds the comparison of
 * indexes and snapshots. See check.h.
 */
#include "storage/check_internal.h"

#include <fcntl.h>
#include <inttypes.h>

#include "base/io.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#define PROGRESS_BYTES (1u << 20)

struct walk {
    struct partition_check *p;
    struct scan scan;
    struct index_check offsets, times;
    char path[STORAGE_PATH_MAX];
    int64_t base, next_base;
    bool last;
    bool torn; /* the end of this segment is for the next start to find */
};

static struct check_finding finding(const struct walk *w, enum check_kind kind, int64_t byte, int64_t offset)
{
    return (struct check_finding){kind, w->p->args->name, w->path, byte, offset, -1, NULL};
}

static int told_in(struct walk *w, struct err *e)
{
    struct check *c = w->p->c;
    if (!c->progress || c->bytes - c->told < PROGRESS_BYTES)
        return ERR_OK;
    c->told = c->bytes;
    return c->progress(c->progress_arg ? c->progress_arg : c->arg, c->bytes, e);
}

/* ---- one batch ---- */

static int check_epoch(struct walk *w, const struct batch_header *h, struct err *e)
{
    struct partition_check *p = w->p;
    if (h->leader_epoch < p->epoch)
        return check_tell(p->c, finding(w, CHECK_WRONG_EPOCH, w->scan.position, h->base_offset), e,
                          "leader epoch %d behind epoch %d", h->leader_epoch, p->epoch);
    p->epoch = h->leader_epoch;
    if (p->epochs_bad || h->leader_epoch < 0 || batch_last_offset(h) < p->args->log_start)
        return ERR_OK;
    while (p->epoch_at + 1 < p->epoch_count && p->epochs[p->epoch_at + 1].epoch <= h->leader_epoch)
        p->epoch_at++;
    const struct epoch_entry *en = p->epoch_at < p->epoch_count ? &p->epochs[p->epoch_at] : NULL;
    if (en && en->epoch == h->leader_epoch && en->start <= batch_last_offset(h))
        return ERR_OK;
    if (!p->args->clean && h->base_offset >= p->args->recovery_point)
        return ERR_OK; /* written with the next flush */
    p->epochs_bad = true;
    struct check_finding f = {CHECK_BAD_EPOCHS, p->args->name, p->epoch_path, -1, h->base_offset, -1, NULL};
    return check_tell(p->c, f, e, "does not know that leader epoch %d wrote offset %" PRId64, h->leader_epoch,
                      h->base_offset);
}

static int note_abort(struct partition_check *p, const struct txn_end *end, struct err *e)
{
    if ((p->aborted_count & (p->aborted_count - 1)) == 0) {
        struct check_abort *more =
            mem_realloc_array(p->aborted, p->aborted_count ? p->aborted_count * 2 : 1, sizeof *more);
        if (!more)
            return err_nomem(e);
        p->aborted = more;
    }
    p->aborted[p->aborted_count++] =
        (struct check_abort){end->producer_id, end->first_offset, end->last_offset};
    return ERR_OK;
}

static int replay(struct walk *w, const struct batch_header *h, const uint8_t *data, struct err *e)
{
    struct partition_check *p = w->p;
    struct txn_end end;
    struct err why;
    int rc = log_replay_batch(p->producers, h, data, INT64_MAX, &end, &why);
    if (rc == ERR_CORRUPT)
        return check_tell(p->c, finding(w, CHECK_BAD_RECORDS, w->scan.position, h->base_offset), e, "%s",
                          why.text);
    if (rc) {
        *e = why;
        return rc;
    }
    return end.aborted ? note_abort(p, &end, e) : ERR_OK;
}

static int take_batch(struct walk *w, const struct batch_header *h, const uint8_t *data, struct err *e)
{
    struct partition_check *p = w->p;
    int rc = check_epoch(w, h, e);
    if (h->base_offset > p->expected)
        p->out->gaps_end = h->base_offset;
    if (rc == ERR_OK)
        rc = check_snapshots_to(p, h->base_offset, e);
    if (rc == ERR_OK)
        rc = replay(w, h, data, e);
    index_check_batch(&w->offsets, h, w->scan.position);
    index_check_batch(&w->times, h, w->scan.position);
    p->trusted = h->base_offset > p->expected ? p->expected : -1;
    p->expected = batch_last_offset(h) + 1;
    p->last_position = w->scan.position;
    p->last_base = h->base_offset;
    p->out->batches++;
    p->out->records += (uint64_t)h->record_count;
    p->out->end = p->expected;
    p->out->last_segment = w->base;
    p->out->last_byte = w->scan.position;
    return rc;
}

/* ---- damage ---- */

/* The batch at the scan's position, whole and of this segment. */
static int next_batch(struct walk *w, struct batch_header *h, const uint8_t **data, struct err *e)
{
    struct scan *s = &w->scan;
    int rc = scan_whole(s, h, &w->p->big, data, e);
    if (rc == ERR_OK && batch_last_offset(h) >= w->next_base)
        rc = err_set(e, ERR_CORRUPT,
                     "%s: the batch at byte %" PRId64 " has offset %" PRId64
                     ", which belongs to the next segment",
                     s->path, s->position, h->base_offset);
    return rc;
}

/* Is it not the batch here that is wrong, but the offset of the one before it, outside of any CRC? */
static int offset_before(struct walk *w, bool *yes, struct err *e)
{
    struct partition_check *p = w->p;
    struct batch_header h;
    const uint8_t *data;
    struct err why;
    int64_t floor = w->scan.floor;
    *yes = false;
    if (p->trusted < 0 || p->trusted >= floor)
        return ERR_OK;
    w->scan.floor = p->trusted;
    if (next_batch(w, &h, &data, &why) != ERR_OK) {
        w->scan.floor = floor;
        return ERR_OK;
    }
    *yes = true;
    struct check_finding f = finding(w, CHECK_WRONG_OFFSET, p->last_position, p->last_base);
    f.next_offset = h.base_offset;
    p->expected = h.base_offset;
    p->trusted = -1;
    p->uncertain = true;
    return check_tell(p->c, f, e, "a batch with offset %" PRId64 " stands before one with %" PRId64,
                      p->last_base, h.base_offset);
}

/* Nothing whole follows in this segment. */
static int damaged_end(struct walk *w, int64_t at, int64_t lost, const struct err *why, struct err *e)
{
    struct partition_check *p = w->p;
    bool torn = w->last && p->args->clean && why->code == ERR_TRUNCATED;
    struct check_finding f = finding(w, torn ? CHECK_TORN_TAIL : CHECK_DAMAGED_BATCH, at, lost);
    f.next_offset = !w->last ? w->next_base : p->args->recovery_point > lost ? p->args->recovery_point : -1;
    if (f.next_offset > p->out->end)
        p->out->end = f.next_offset; /* told here, once */
    w->torn = true;
    index_check_lost(&w->offsets, lost, INT64_MAX);
    index_check_lost(&w->times, lost, INT64_MAX);
    p->uncertain = true;
    if (!w->last)
        p->expected = w->next_base;
    return check_tell(p->c, f, e,
                      "%s; no whole batch follows in this file, its last %" PRId64 " bytes are lost",
                      why->text, w->scan.end - at);
}

static int unsynced_end(struct walk *w, int64_t at, int64_t lost, const struct err *why, struct err *e)
{
    w->torn = w->p->stopped = true;
    return check_tell(w->p->c, finding(w, CHECK_UNSYNCED_TAIL, at, lost), e, "%s", why->text);
}

/* Damage at the scan's position, told by `why`. Goes behind it; ERR_END where nothing follows. */
static int pass_damage(struct walk *w, const struct err *why, struct err *e)
{
    struct partition_check *p = w->p;
    struct batch_header h;
    struct err ignored;
    int64_t at = w->scan.position, lost = w->scan.floor;
    bool passed, unsynced = !p->args->clean && lost >= p->args->recovery_point;
    int rc = offset_before(w, &passed, e);
    if (rc || passed)
        return rc;
    if (unsynced && p->args->recovery_point >= 0)
        return (rc = unsynced_end(w, at, lost, why, e)) ? rc : err_set(&ignored, ERR_END, "end");
    rc = scan_resync(&w->scan, w->next_base, &h, &p->big, e);
    if (rc == ERR_END) {
        rc = unsynced && w->last ? unsynced_end(w, at, lost, why, e) : damaged_end(w, at, lost, why, e);
        return rc ? rc : err_set(&ignored, ERR_END, "end");
    }
    if (rc)
        return rc;
    struct check_finding f = finding(w, CHECK_DAMAGED_BATCH, at, lost);
    f.next_offset = h.base_offset;
    index_check_lost(&w->offsets, lost, h.base_offset);
    index_check_lost(&w->times, lost, h.base_offset);
    p->expected = h.base_offset;
    p->trusted = -1;
    p->uncertain = true;
    return check_tell(p->c, f, e,
                      "%s; %" PRId64 " bytes are damaged, the next whole batch stands at byte %" PRId64 "%s",
                      why->text, w->scan.position - at, w->scan.position,
                      unsynced ? ": the next start would cut everything from the damage on" : "");
}

/* Are the records of a batch with a right CRC what they should be? */
static int check_records(struct walk *w, const struct batch_header *h, const uint8_t *data, struct err *e)
{
    struct batch_header again;
    struct err why;
    if (!w->p->args->records)
        return ERR_OK;
    int rc = batch_validate(data, batch_size(h), false, &w->p->scratch, &again, &why);
    if (rc == ERR_OK || rc == ERR_NO_MEMORY)
        return rc == ERR_OK ? rc : err_nomem(e);
    struct check_finding f = finding(w, CHECK_BAD_RECORDS, w->scan.position, h->base_offset);
    f.next_offset = batch_last_offset(h) + 1;
    return check_tell(w->p->c, f, e, "%s", why.text);
}

/* ---- the segment ---- */

static int walk_batches(struct walk *w, struct err *e)
{
    struct batch_header h;
    const uint8_t *data;
    int rc = ERR_OK;
    while (rc == ERR_OK) {
        struct err why;
        rc = next_batch(w, &h, &data, &why);
        if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED) {
            rc = pass_damage(w, &why, e);
            continue;
        }
        if (rc) {
            *e = why;
            break;
        }
        w->p->c->bytes += batch_size(&h);
        rc = check_records(w, &h, data, e);
        if (rc == ERR_OK)
            rc = take_batch(w, &h, data, e);
        if (rc == ERR_OK)
            rc = told_in(w, e);
        scan_skip(&w->scan, &h);
    }
    return rc == ERR_END ? ERR_OK : rc;
}

/* In a log that is not compacted a gap is a file that is gone; after a crash the next start settles it. */
static struct check_finding gap_before(const struct walk *w)
{
    const struct partition_check *p = w->p;
    bool unsynced = !p->args->clean && p->expected >= p->args->recovery_point;
    bool fine = p->args->gaps || unsynced || p->expected < p->compacted;
    struct check_finding f = finding(w, fine ? CHECK_SEGMENT_GAP : CHECK_MISSING_SEGMENT, -1, p->expected);
    f.next_offset = w->base;
    return f;
}

static int begin(struct walk *w, int64_t size, struct err *e)
{
    struct partition_check *p = w->p;
    p->aborted_count = 0;
    int rc = ERR_OK;
    if (p->expected < 0) {
        p->out->start = p->out->end = p->expected = w->base;
        if (w->base > 0)
            rc = check_first_snapshot(p, w->base, e);
    } else if (w->base > p->expected)
        rc = check_tell(p->c, gap_before(w), e, "offsets %" PRId64 " to %" PRId64 " are in no segment",
                        p->expected, w->base - 1);
    else if (w->base < p->expected)
        rc = check_tell(p->c, finding(w, CHECK_WRONG_OFFSET, -1, w->base), e,
                        "begins at offset %" PRId64 ", the segment before it reaches to %" PRId64, w->base,
                        p->expected - 1);
    if (w->base > p->expected)
        p->out->gaps_end = w->base;
    p->expected = w->base;
    if (rc == ERR_OK && size == 0 && !w->last)
        rc = check_tell(p->c, finding(w, CHECK_EMPTY_SEGMENT, -1, w->base), e, "has no bytes");
    return rc;
}

static int check_derived(struct walk *w, struct err *e)
{
    struct partition_check *p = w->p;
    bool open = w->torn || (w->last && !p->args->clean);
    int rc = index_check_close(&w->offsets, p, p->out->end, open, e);
    if (rc == ERR_OK)
        rc = index_check_close(&w->times, p, p->out->end, open, e);
    if (rc || w->offsets.missing || w->times.missing)
        return rc; /* opening makes all three anew then */
    return txnindex_check(p, w->base, p->out->end, open, e);
}

/* The system cannot read a file: that is a finding, and the rest is looked at. */
static int unreadable(struct walk *w, int rc, struct err *e)
{
    struct err why = *e;
    if (rc != ERR_IO && rc != ERR_PERMISSION)
        return rc;
    w->p->uncertain = true;
    return check_tell(w->p->c, finding(w, CHECK_UNREADABLE, w->scan.position, w->p->expected), e, "%s",
                      why.text);
}

int check_segment(struct partition_check *p, int64_t base, int64_t next_base, bool last, struct err *e)
{
    struct walk *w = mem_calloc(1, sizeof *w);
    int64_t size = 0;
    int fd = -1;
    if (!w)
        return err_nomem(e);
    *w = (struct walk){.p = p, .base = base, .next_base = next_base, .last = last};
    storage_path(w->path, p->args->dir, base, LOG_SUFFIX, "");
    int rc = io_open(&fd, w->path, O_RDONLY, 0, e);
    if (rc == ERR_OK)
        rc = io_size(fd, &size, w->path, e);
    bool cold = p->args->cold && !last;
    if (rc == ERR_OK && cold)
        io_forget(fd); /* what the cache has says nothing of the disk */
    scan_init(&w->scan, fd, w->path, 0, size, base, p->window, CHECK_WINDOW);
    if (rc) {
        rc = unreadable(w, rc, e);
        goto done;
    }
    rc = begin(w, size, e);
    if (rc == ERR_OK)
        rc = index_check_open(&w->offsets, p, INDEX_OFFSET, base, e);
    if (rc == ERR_OK)
        rc = index_check_open(&w->times, p, INDEX_TIME, base, e);
    if (rc == ERR_OK && (rc = walk_batches(w, e)) != ERR_OK)
        rc = unreadable(w, rc, e);
    if (rc == ERR_OK)
        rc = check_derived(w, e);
    if (cold)
        io_forget(fd);
done:
    mem_free(w->offsets.data);
    mem_free(w->times.data);
    mem_free(w);
    io_close(fd);
    return rc;
}
