/*
 * txnindex: the aborted transactions whose marker is in a segment, in the order of the markers. Bytes:
 * docs/disk-format.md. The segment's lock is taken here; writing needs the log's append lock too.
 */
#include <fcntl.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/log.h"
#include "storage/producers.h"
#include "storage/segment.h"

#define TXN_ENTRY TXNINDEX_ENTRY
#define TXN_VERSION 0
#define PAGE_ENTRIES 120

static int open_txn(struct segment *s, int flags, int *fd, char *path, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int rc = segment_fd_locked(s, FILE_TXN, flags, fd, e);
    segment_path(s, FILE_TXN, path);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static int64_t count(struct segment *s)
{
    pthread_mutex_lock(&s->lock);
    int64_t n = s->txn_entries;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void txnindex_publish(struct segment *s, int64_t entries)
{
    pthread_mutex_lock(&s->lock);
    s->txn_entries = entries;
    pthread_mutex_unlock(&s->lock);
}

int txnindex_load(struct segment *s, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    int64_t size;
    int rc = open_txn(s, 0, &fd, path, e);
    if (rc == ERR_OK)
        rc = io_size(fd, &size, path, e);
    if (rc == ERR_OK)
        txnindex_publish(s, size / TXN_ENTRY);
    return rc;
}

int txnindex_write(struct segment *s, int64_t nth, const struct txn_end *end, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    uint8_t d[TXN_ENTRY];
    put_be16(d, TXN_VERSION);
    put_be64(d + 2, (uint64_t)end->producer_id);
    put_be64(d + 10, (uint64_t)end->first_offset);
    put_be64(d + 18, (uint64_t)end->last_offset);
    put_be64(d + 26, (uint64_t)end->last_stable_offset);
    int rc = open_txn(s, O_CREAT, &fd, path, e);
    if (rc == ERR_OK)
        rc = io_pwrite(fd, d, sizeof d, (count(s) + nth) * TXN_ENTRY, path, e);
    if (rc == ERR_OK)
        s->txn_dirty = true;
    return rc;
}

int txnindex_decode(const uint8_t *d, int64_t i, const char *path, struct aborted_txn *t, struct err *e)
{
    *t = (struct aborted_txn){
        .producer_id = (int64_t)be64(d + 2),
        .first_offset = (int64_t)be64(d + 10),
        .last_offset = (int64_t)be64(d + 18),
        .last_stable_offset = (int64_t)be64(d + 26),
    };
    /* The marker comes after a record at least; zeros, which a loss of power may leave, are no entry. */
    if (be16(d) != TXN_VERSION || t->producer_id < 0 || t->first_offset < 0 ||
        t->last_offset <= t->first_offset)
        return err_set(e, ERR_CORRUPT, "%s: entry %lld at byte %lld is no aborted transaction", path,
                       (long long)i, (long long)i * TXN_ENTRY);
    return ERR_OK;
}

static int add(struct aborted_txn **list, size_t *n, const struct aborted_txn *t, struct err *e)
{
    if ((*n & (*n - 1)) == 0) { /* full at powers of two */
        struct aborted_txn *more = mem_realloc_array(*list, *n ? *n * 2 : 1, sizeof *more);
        if (!more)
            return err_nomem(e);
        *list = more;
    }
    (*list)[(*n)++] = *t;
    return ERR_OK;
}

/* Number of the first entry whose marker is at or beyond `from`: markers ascend. */
static int first_entry(int fd, int64_t total, int64_t from, int64_t *first, const char *path, struct err *e)
{
    int64_t low = 0, high = total;
    while (low < high) {
        uint8_t d[TXN_ENTRY];
        struct aborted_txn t;
        int64_t mid = low + (high - low) / 2;
        int rc = io_pread(fd, d, sizeof d, mid * TXN_ENTRY, path, e);
        if (rc == ERR_OK)
            rc = txnindex_decode(d, mid, path, &t, e);
        if (rc)
            return rc;
        if (t.last_offset < from)
            low = mid + 1;
        else
            high = mid;
    }
    *first = low;
    return ERR_OK;
}

int txnindex_collect(struct segment *s, int64_t from, int64_t to, struct aborted_txn **list, size_t *n,
                     bool *complete, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    uint8_t page[PAGE_ENTRIES * TXN_ENTRY];
    int fd;
    int64_t total = count(s), first = 0;
    *complete = false;
    if (total == 0)
        return ERR_OK;
    int rc = open_txn(s, 0, &fd, path, e);
    if (rc == ERR_OK)
        rc = first_entry(fd, total, from, &first, path, e);
    for (int64_t i = first; i < total && rc == ERR_OK && !*complete; i++) {
        int64_t in_page = (i - first) % PAGE_ENTRIES, left = total - i;
        const uint8_t *d = page + in_page * TXN_ENTRY;
        struct aborted_txn t;
        if (in_page == 0)
            rc = io_pread(fd, page, (size_t)(left < PAGE_ENTRIES ? left : PAGE_ENTRIES) * TXN_ENTRY,
                          i * TXN_ENTRY, path, e);
        if (rc == ERR_OK)
            rc = txnindex_decode(d, i, path, &t, e);
        if (rc == ERR_OK && t.first_offset < to)
            rc = add(list, n, &t, e);
        /* What is completed after this marker began at or behind the stable offset of then. */
        *complete = rc == ERR_OK && t.last_stable_offset >= to;
    }
    return rc;
}

int txnindex_truncate(struct segment *s, int64_t offset, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    uint8_t d[TXN_ENTRY];
    int fd;
    int64_t total = count(s), keep = total;
    if (total == 0)
        return ERR_OK;
    int rc = open_txn(s, O_CREAT, &fd, path, e);
    while (keep > 0 && rc == ERR_OK) {
        struct aborted_txn t;
        rc = io_pread(fd, d, sizeof d, (keep - 1) * TXN_ENTRY, path, e);
        if (rc == ERR_OK && txnindex_decode(d, keep - 1, path, &t, e) == ERR_OK && t.last_offset < offset)
            break;
        keep--; /* beyond the cut, or never completely written */
    }
    if (rc == ERR_OK && keep < total) {
        s->txn_dirty = true;
        rc = io_truncate(fd, keep * TXN_ENTRY, path, e);
    }
    if (rc == ERR_OK)
        txnindex_publish(s, keep);
    return rc;
}
