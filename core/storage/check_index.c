/*
 * check_index: offset, time and transaction index of a segment against its batches. The indexes are read as a whole, and
 * met entry by entry as the batches go by. See check_internal.h.
 */
#include "storage/check_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/log.h"
#include "storage/segment.h"

#define INDEX_MAX (64u << 20)

static enum check_kind kind_of(const struct index_check *x)
{
    return x->kind == INDEX_OFFSET ? CHECK_BAD_INDEX : CHECK_BAD_TIME_INDEX;
}

static struct check_finding finding(const struct partition_check *p, enum check_kind kind, const char *path,
                                    int64_t byte)
{
    return (struct check_finding){kind, p->args->name, path, byte, -1, -1, NULL};
}

static struct index_entry entry(const struct index_check *x, int64_t i)
{
    return index_decode(x->kind, x->base, x->data + (size_t)i * index_entry_size(x->kind));
}

/* Kafka preallocates with zeros, and cuts them at a roll or a clean stop. */
static void drop_zeros(struct index_check *x)
{
    size_t size = index_entry_size(x->kind);
    static const uint8_t zeros[16];
    while (x->count && memcmp(x->data + (size_t)(x->count - 1) * size, zeros, size) == 0)
        x->count--;
}

int index_check_open(struct index_check *x, struct partition_check *p, enum index_kind kind, int64_t base,
                     struct err *e)
{
    size_t n = 0, size = index_entry_size(kind);
    struct err why;
    char *data = NULL;
    *x = (struct index_check){.kind = kind, .base = base, .max_ts = -1, .wrong_at = -1};
    storage_path(x->path, p->args->dir, base, kind == INDEX_OFFSET ? INDEX_SUFFIX : TIME_SUFFIX, "");
    int rc = io_read_file(x->path, INDEX_MAX, &data, &n, &why);
    x->data = (uint8_t *)data;
    if (rc == ERR_NO_MEMORY)
        return err_nomem(e);
    x->missing = rc == ERR_NOT_FOUND;
    x->unreadable = rc != ERR_OK && !x->missing;
    if (x->missing)
        return check_tell(p->c, finding(p, CHECK_MISSING_INDEX, x->path, -1), e, "is not there");
    if (rc)
        return check_tell(p->c, finding(p, kind_of(x), x->path, -1), e, "%s", why.text);
    x->count = (int64_t)(n / size);
    drop_zeros(x);
    if (n % size == 0 || !p->args->clean)
        return ERR_OK; /* after a crash the last entry may be torn */
    x->unreadable = true;
    return check_tell(p->c, finding(p, kind_of(x), x->path, (int64_t)(n - n % size)), e,
                      "%zu bytes are no whole number of entries", n);
}

static void __attribute__((format(printf, 2, 3))) wrong(struct index_check *x, const char *fmt, ...)
{
    va_list ap;
    if (x->wrong++ == 0) {
        x->wrong_at = x->at;
        va_start(ap, fmt);
        vsnprintf(x->why, sizeof x->why, fmt, ap);
        va_end(ap);
    }
}

static void meet_offset(struct index_check *x, const struct batch_header *h, int64_t position)
{
    for (; x->at < x->count; x->at++) {
        struct index_entry en = entry(x, x->at);
        int64_t last = batch_last_offset(h);
        if (en.key > last)
            return;
        if (en.key == last && en.value == position)
            continue;
        wrong(x, "says that a batch that ends at offset %" PRId64 " stands at byte %" PRId64, en.key,
              en.value);
    }
}

static void meet_time(struct index_check *x, const struct batch_header *h)
{
    if (h->max_timestamp > x->max_ts)
        x->max_ts = h->max_timestamp;
    for (; x->at < x->count; x->at++) {
        struct index_entry en = entry(x, x->at);
        if (en.value > batch_last_offset(h))
            return;
        if (en.value >= h->base_offset && en.key == h->max_timestamp && en.key == x->max_ts)
            continue;
        wrong(x, "says that %" PRId64 " is the largest timestamp up to offset %" PRId64, en.key, en.value);
    }
}

void index_check_batch(struct index_check *x, const struct batch_header *h, int64_t position)
{
    if (x->missing || x->unreadable)
        return;
    if (x->kind == INDEX_OFFSET)
        meet_offset(x, h, position);
    else
        meet_time(x, h);
}

void index_check_lost(struct index_check *x, int64_t from, int64_t to)
{
    for (; !x->missing && !x->unreadable && x->at < x->count; x->at++) {
        struct index_entry en = entry(x, x->at);
        int64_t offset = x->kind == INDEX_OFFSET ? en.key : en.value;
        if (offset >= to)
            return;
        if (offset < from)
            wrong(x, "has an entry for offset %" PRId64 " where none is due", offset);
    }
}

int index_check_close(struct index_check *x, struct partition_check *p, int64_t end, bool open, struct err *e)
{
    if (x->missing || x->unreadable)
        return ERR_OK;
    for (; x->at < x->count; x->at++) {
        struct index_entry en = entry(x, x->at);
        int64_t offset = x->kind == INDEX_OFFSET ? en.key : en.value;
        if (open && offset >= end)
            break;
        wrong(x, "has an entry for offset %" PRId64 ", the log ends at %" PRId64, offset, end);
    }
    if (x->wrong == 0)
        return ERR_OK;
    int64_t byte = x->wrong_at * (int64_t)index_entry_size(x->kind);
    return check_tell(p->c, finding(p, kind_of(x), x->path, byte), e,
                      "entry %" PRId64 " %s; %" PRId64 " of %" PRId64 " entries are wrong", x->wrong_at,
                      x->why, x->wrong, x->count);
}

/* ---- aborted transactions ---- */

/* Entries and what the batches say, both in the order of the markers. */
struct txn_compare {
    struct partition_check *p;
    const char *path;
    int64_t end;
    bool open;
    size_t due; /* of p->aborted */
};

static struct check_finding txn_finding(const struct txn_compare *x, int64_t byte, int64_t offset)
{
    struct check_finding f = finding(x->p, CHECK_BAD_TXN_INDEX, x->path, byte);
    f.offset = offset;
    return f;
}

/* What the batches tell of before the marker at `before`, without an entry. */
static int tell_missing(struct txn_compare *x, int64_t before, int64_t byte, struct err *e)
{
    const struct partition_check *p = x->p;
    int rc = ERR_OK;
    for (; rc == ERR_OK && x->due < p->aborted_count && p->aborted[x->due].last_offset < before; x->due++) {
        const struct check_abort *a = &p->aborted[x->due];
        bool unsynced = !p->args->clean && a->last_offset >= p->args->recovery_point;
        if (a->first_offset < 0 || unsynced)
            continue; /* nothing of it is left, or its start is not known; or the next start reads it again */
        rc = check_tell(p->c, txn_finding(x, byte, a->first_offset), e,
                        "producer %" PRId64 "'s transaction from offset %" PRId64 " to its abort at %" PRId64
                        " is missing",
                        a->producer_id, a->first_offset, a->last_offset);
    }
    return rc;
}

static int compare_entry(struct txn_compare *x, const struct aborted_txn *t, int64_t byte, struct err *e)
{
    const struct partition_check *p = x->p;
    if (x->open && t->last_offset >= x->end)
        return ERR_OK;
    int rc = tell_missing(x, t->last_offset, byte, e);
    if (rc)
        return rc;
    const struct check_abort *a = x->due < p->aborted_count ? &p->aborted[x->due] : NULL;
    /* Compaction may have removed the transaction's first batches. */
    if (a && a->last_offset == t->last_offset && a->producer_id == t->producer_id &&
        (a->first_offset < 0 || t->first_offset <= a->first_offset)) {
        x->due++;
        return ERR_OK;
    }
    return check_tell(p->c, txn_finding(x, byte, t->first_offset), e,
                      "says that producer %" PRId64 " aborted offsets %" PRId64 " to %" PRId64
                      ", the batches do not",
                      t->producer_id, t->first_offset, t->last_offset);
}

int txnindex_check(struct partition_check *p, int64_t base, int64_t end, bool open, struct err *e)
{
    char path[STORAGE_PATH_MAX], *data = NULL;
    struct err why;
    size_t n = 0;
    struct txn_compare x = {.p = p, .path = path, .end = end, .open = open};
    int rc = io_read_file(storage_path(path, p->args->dir, base, TXN_SUFFIX, ""), INDEX_MAX, &data, &n, &why);
    if (rc == ERR_NO_MEMORY)
        return err_nomem(e);
    if (rc != ERR_OK && rc != ERR_NOT_FOUND)
        return check_tell(p->c, txn_finding(&x, -1, -1), e, "%s", why.text);
    rc = ERR_OK;
    for (size_t at = 0; rc == ERR_OK && n - at >= TXNINDEX_ENTRY; at += TXNINDEX_ENTRY) {
        struct aborted_txn t;
        if (txnindex_decode((const uint8_t *)data + at, (int64_t)(at / TXNINDEX_ENTRY), path, &t, &why))
            rc = open ? ERR_OK : check_tell(p->c, txn_finding(&x, (int64_t)at, -1), e, "%s", why.text);
        else if (!p->uncertain)
            rc = compare_entry(&x, &t, (int64_t)at, e);
    }
    if (rc == ERR_OK && n % TXNINDEX_ENTRY && !open)
        rc = check_tell(p->c, txn_finding(&x, (int64_t)(n - n % TXNINDEX_ENTRY), -1), e,
                        "%zu bytes are no whole number of entries", n);
    if (rc == ERR_OK && !p->uncertain)
        rc = tell_missing(&x, INT64_MAX, (int64_t)n, e);
    mem_free(data);
    return rc;
}
