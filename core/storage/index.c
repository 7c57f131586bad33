/*
 * index: reading, searching and writing .index and .timeindex files by pread and pwrite, never by mmap: a truncated or
 * failing file then gives an error instead of a signal. See index.h for the lock.
 */
#include "storage/index.h"

#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#define TAIL_MAX 512u
#define PAGE_ENTRIES 340 /* entries read at once; 4 KiB of the larger kind */

size_t index_entry_size(enum index_kind kind)
{
    return kind == INDEX_OFFSET ? 8 : 12;
}

struct index_entry index_decode(enum index_kind kind, int64_t base, const uint8_t *p)
{
    if (kind == INDEX_OFFSET)
        return (struct index_entry){base + (int32_t)be32(p), (int32_t)be32(p + 4)};
    return (struct index_entry){(int64_t)be64(p), base + (int32_t)be32(p + 8)};
}

static void encode(enum index_kind kind, int64_t base, const struct index_entry *en, uint8_t *p)
{
    if (kind == INDEX_OFFSET) {
        put_be32(p, (uint32_t)(en->key - base));
        put_be32(p + 4, (uint32_t)en->value);
    } else {
        put_be64(p, (uint64_t)en->key);
        put_be32(p + 8, (uint32_t)(en->value - base));
    }
}

static int64_t entry_offset(enum index_kind kind, const struct index_entry *en)
{
    return kind == INDEX_OFFSET ? en->key : en->value;
}

void index_init(struct index *ix, enum index_kind kind, int64_t base)
{
    *ix = (struct index){.kind = kind, .base = base};
}

void index_free(struct index *ix)
{
    mem_free(ix->tail);
    ix->tail = NULL;
    ix->tail_count = ix->tail_cap = 0;
}

static int read_entries(enum index_kind kind, int64_t base, int fd, int64_t first, size_t n,
                        struct index_entry *out, const char *path, struct err *e)
{
    uint8_t raw[PAGE_ENTRIES * 12];
    size_t size = index_entry_size(kind);
    int rc = io_pread(fd, raw, n * size, first * (int64_t)size, path, e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        out[i] = index_decode(kind, base, raw + i * size);
    return rc;
}

static int load_last(struct index *ix, int fd, const char *path, struct err *e)
{
    if (ix->tail_count) {
        ix->last = ix->tail[ix->tail_count - 1];
        return ERR_OK;
    }
    if (ix->on_disk == 0)
        return ERR_OK;
    return read_entries(ix->kind, ix->base, fd, ix->on_disk - 1, 1, &ix->last, path, e);
}

int index_load(struct index *ix, int fd, const char *path, struct err *e)
{
    int64_t size;
    int rc = io_size(fd, &size, path, e);
    if (rc)
        return rc;
    if (size % (int64_t)index_entry_size(ix->kind))
        return err_set(e, ERR_CORRUPT, "%s: %lld bytes are no whole number of entries", path,
                       (long long)size);
    ix->on_disk = size / (int64_t)index_entry_size(ix->kind);
    return load_last(ix, fd, path, e);
}

/* Is `en` a possible successor of `last` (the first one where `first`)? */
static bool follows(const struct index *ix, const struct index_entry *last, bool first,
                    const struct index_entry *en, int64_t offset_end, int64_t position_end)
{
    int64_t offset = entry_offset(ix->kind, en);
    if (offset < ix->base || offset >= offset_end)
        return false;
    if (ix->kind == INDEX_OFFSET && (en->value < 0 || en->value >= position_end))
        return false;
    if (ix->kind == INDEX_TIME && en->key < 0)
        return false;
    /* Kafka preallocates with zeros. They do not ascend, and as the first entry they say nothing. */
    if (first)
        return ix->kind == INDEX_OFFSET ? en->value > 0 : en->key > 0;
    return en->key > last->key && en->value >= last->value;
}

int index_check(struct index *ix, int fd, int64_t offset_end, int64_t position_end, const char *path,
                struct err *e)
{
    int64_t size, entry_size = (int64_t)index_entry_size(ix->kind);
    int rc = io_size(fd, &size, path, e);
    if (rc)
        return rc;
    int64_t count = size / entry_size, kept = 0;
    struct index_entry page[PAGE_ENTRIES];
    bool good = true;
    ix->tail_count = 0;
    while (good && kept < count) {
        size_t n = count - kept < PAGE_ENTRIES ? (size_t)(count - kept) : PAGE_ENTRIES;
        rc = read_entries(ix->kind, ix->base, fd, kept, n, page, path, e);
        if (rc)
            return rc;
        for (size_t i = 0; i < n && good; i++) {
            good = follows(ix, &ix->last, kept == 0, &page[i], offset_end, position_end);
            if (good) {
                ix->last = page[i];
                kept++;
            }
        }
    }
    ix->on_disk = kept;
    return kept * entry_size == size ? ERR_OK : io_truncate(fd, kept * entry_size, path, e);
}

bool index_must_flush(const struct index *ix, uint32_t n)
{
    return ix->tail_count && ix->tail_count + n > TAIL_MAX;
}

int index_reserve(struct index *ix, uint32_t n, struct err *e)
{
    if (ix->tail_count + n <= ix->tail_cap)
        return ERR_OK;
    uint32_t cap = ix->tail_cap ? ix->tail_cap * 2 : 8;
    while (cap < ix->tail_count + n)
        cap *= 2;
    struct index_entry *tail = mem_realloc_array(ix->tail, cap, sizeof *tail);
    if (!tail)
        return err_nomem(e);
    ix->tail = tail;
    ix->tail_cap = cap;
    return ERR_OK;
}

void index_push(struct index *ix, int64_t key, int64_t value)
{
    if (index_count(ix) && key <= ix->last.key)
        return;
    ix->last = (struct index_entry){key, value};
    ix->tail[ix->tail_count++] = ix->last;
}

int index_flush(struct index *ix, int fd, const char *path, struct err *e)
{
    uint8_t raw[PAGE_ENTRIES * 12];
    size_t size = index_entry_size(ix->kind);
    uint32_t done = 0;
    while (done < ix->tail_count) {
        uint32_t n = ix->tail_count - done < PAGE_ENTRIES ? ix->tail_count - done : PAGE_ENTRIES;
        for (uint32_t i = 0; i < n; i++)
            encode(ix->kind, ix->base, &ix->tail[done + i], raw + i * size);
        int rc = io_pwrite(fd, raw, n * size, (ix->on_disk + done) * (int64_t)size, path, e);
        if (rc)
            return rc;
        done += n;
    }
    ix->on_disk += done;
    ix->tail_count = 0;
    return ERR_OK;
}

void index_release_tail(struct index *ix)
{
    if (ix->tail_count == 0)
        index_free(ix);
}

bool index_find_tail(const struct index *ix, int64_t key, struct index_entry *out)
{
    uint32_t low = 0, high = ix->tail_count; /* the first one with a larger key */
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (ix->tail[mid].key <= key)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0)
        return false;
    *out = ix->tail[low - 1];
    return true;
}

int index_find_disk(enum index_kind kind, int64_t base, int64_t count, int fd, int64_t key,
                    struct index_entry *out, bool *found, const char *path, struct err *e)
{
    struct index_entry page[PAGE_ENTRIES];
    *found = false;
    int64_t low = 0, high = count;
    /* Halve until one page is left: [low, high) holds the first larger entry or ends before it. */
    while (high - low > PAGE_ENTRIES) {
        int64_t mid = low + (high - low) / 2;
        int rc = read_entries(kind, base, fd, mid, 1, page, path, e);
        if (rc)
            return rc;
        if (page[0].key <= key)
            low = mid;
        else
            high = mid;
    }
    if (high == low)
        return ERR_OK;
    int rc = read_entries(kind, base, fd, low, (size_t)(high - low), page, path, e);
    for (int64_t i = high - low - 1; i >= 0 && rc == ERR_OK && !*found; i--)
        if (page[i].key <= key) {
            *out = page[i];
            *found = true;
        }
    return rc;
}

int index_truncate(struct index *ix, int fd, int64_t offset, const char *path, struct err *e)
{
    while (ix->tail_count && entry_offset(ix->kind, &ix->tail[ix->tail_count - 1]) >= offset)
        ix->tail_count--;
    int64_t keep = ix->on_disk;
    while (keep > 0) {
        struct index_entry page[PAGE_ENTRIES];
        size_t n = keep < PAGE_ENTRIES ? (size_t)keep : PAGE_ENTRIES;
        int rc = read_entries(ix->kind, ix->base, fd, keep - (int64_t)n, n, page, path, e);
        if (rc)
            return rc;
        size_t left = n;
        while (left && entry_offset(ix->kind, &page[left - 1]) >= offset)
            left--;
        keep -= (int64_t)(n - left);
        if (left)
            break;
    }
    if (keep != ix->on_disk) {
        int rc = io_truncate(fd, keep * (int64_t)index_entry_size(ix->kind), path, e);
        if (rc)
            return rc;
        ix->on_disk = keep;
    }
    return load_last(ix, fd, path, e);
}

bool index_full(const struct index *ix, int64_t max_bytes, int64_t extra)
{
    return index_count(ix) + extra > max_bytes / (int64_t)index_entry_size(ix->kind);
}
