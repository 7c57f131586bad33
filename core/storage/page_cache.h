/*
 * page_cache: how much of what logs append stays in the system's page cache once it is on disk.
 *
 * As a rule the system decides, which keeps all that fits into memory. But on a virtual machine whose host takes unused memory back, each
 * fresh page of a file that grows costs some 20 us of the processor, ten times what writing it does (docs/design/0002-durable-appends.md):
 * there, logs live by what they have had already. Appends are watched for that; once their pages are found to be slow, or where the
 * operator sets a limit, flushes let go of what is on disk and further behind the log's end than its share of the limit. Nothing is lost by
 * that but time: a reader that comes later reads from the disk.
 *
 * Where readers come again and again, that time is more than the pages cost. So a log of which is read what was read and let go of before
 * keeps that much more, of the half of the machine's memory for all logs together; and less again once its readers need it no longer. A limit that the
 * operator has set stands. Any thread.
 */
#ifndef LEAT_STORAGE_PAGE_CACHE_H
#define LEAT_STORAGE_PAGE_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_CACHE_ALL (-1)
#define PAGE_CACHE_BY_COST 0

struct page_cache {
    int64_t limit;
    bool watched; /* limited once pages are slow */
    atomic_bool limited;
    _Atomic(uint32_t) logs, writes;
    _Atomic(uint32_t) turn, seen,
        before; /* of page_cache_flushed: those it was told of in this turn, and in the last one */
    _Atomic(int64_t) turn_bytes;
    _Atomic(uint64_t) pages, ns; /* of the writes that were timed since this was looked at last */
    int64_t spare;               /* bytes beyond the limit for logs that are read again */
    _Atomic(int64_t) lent;       /* of those */
};

/* Of one log; all zeros at first. */
struct page_share {
    uint32_t turn;         /* in which page_cache_flushed was told of it last; its caller's */
    int64_t flushed;       /* since what it has beyond the limit was judged last; the same */
    _Atomic(int64_t) more; /* bytes that it keeps beyond its share of the limit */
    _Atomic(int64_t) used; /* bytes that readers found there since then */
};

/* `limit`: bytes of all logs together, PAGE_CACHE_ALL: never, PAGE_CACHE_BY_COST: once pages are found to be slow. */
void page_cache_init(struct page_cache *c, int64_t limit);

/* So many logs are going to be flushed together, and share the limit from now on. */
void page_cache_share(struct page_cache *c, size_t logs);
/* How many that were. c: NULL is fine, for one. */
size_t page_cache_sharers(const struct page_cache *c);

/*
 * `n` bytes of a log were flushed. How many logs that is done for is counted anew in each turn, of four times the limit: so many share it, if
 * page_cache_share was told of fewer, as large appends are synced without it. What readers did not use of what it keeps beyond that goes back. One thread
 * a log at a time. c: NULL is fine.
 */
void page_cache_flushed(struct page_cache *c, struct page_share *of, int64_t n);

/* `n` bytes of a log were read, `behind` its end. `again`: not for the first time. c: NULL is fine. */
void page_cache_was_read(struct page_cache *c, struct page_share *of, int64_t behind, int64_t n, bool again);

/* The log is closed: what it had beyond the limit is for others. c: NULL is fine. */
void page_cache_leave(struct page_cache *c, struct page_share *of);

/* Bytes of one log that stay; INT64_MAX: all. c: NULL is fine. */
int64_t page_cache_keep(const struct page_cache *c, const struct page_share *of);

/* Before and after a write of `n` bytes at a log's end by this thread: some are timed. NULL is fine. */
int64_t page_cache_before(struct page_cache *c, size_t n);
void page_cache_after(struct page_cache *c, int64_t before, size_t n);

/* A write of `n` bytes took `ns` of the processor. */
void page_cache_note(struct page_cache *c, size_t n, int64_t ns);

#endif
