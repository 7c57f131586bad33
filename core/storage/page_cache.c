/*
 * page_cache: see page_cache.h.
 */
#include "storage/page_cache.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"

enum {
    PAGE = 4096,
    LEAST_BYTES = 1024, /* of a smaller write the call itself is what costs */
    ONE_OF = 8,         /* so many writes is timed */
    ENOUGH_PAGES = 512, /* to judge by */
    TURN_LIMITS = 4,
    JUDGED_AFTER = 2, /* times what a log keeps */
    SLOW_NS = 8000,   /* a page. Written to memory that is there one costs 1 us, by pieces of 1 KiB 4 */
};

#define NOT_TIMED (-1)
#define LIMIT_OF_SLOW ((int64_t)256 << 20)

static int64_t half_of_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    return pages > 0 ? pages * (sysconf(_SC_PAGESIZE) / 2) : 0;
}

void page_cache_init(struct page_cache *c, int64_t limit)
{
    c->spare = limit == PAGE_CACHE_BY_COST ? half_of_memory() : 0;
    atomic_init(&c->lent, 0);
    c->limit = limit > 0 ? limit : LIMIT_OF_SLOW;
    c->watched = limit == PAGE_CACHE_BY_COST;
    atomic_init(&c->limited, limit > 0);
    atomic_init(&c->logs, 1);
    atomic_init(&c->turn, 1);
    atomic_init(&c->seen, 0);
    atomic_init(&c->before, 0);
    atomic_init(&c->turn_bytes, 0);
    atomic_init(&c->writes, 0);
    atomic_init(&c->pages, 0);
    atomic_init(&c->ns, 0);
}

void page_cache_share(struct page_cache *c, size_t logs)
{
    atomic_store(&c->logs, logs < 1 ? 1 : logs > UINT32_MAX ? UINT32_MAX : (uint32_t)logs);
}

size_t page_cache_sharers(const struct page_cache *c)
{
    return c ? atomic_load_explicit(&c->logs, memory_order_relaxed) : 1;
}

static int64_t share(const struct page_cache *c)
{
    uint32_t together = atomic_load(&c->logs), before = atomic_load(&c->before);
    return c->limit / (together > before ? together : before);
}

/* Half of it, or all. Flushes and those who close files do it side by side. */
static void give_back(struct page_cache *c, struct page_share *of, bool all)
{
    int64_t more = atomic_load(&of->more);
    while (!atomic_compare_exchange_weak(&of->more, &more, all ? 0 : more / 2))
        ;
    atomic_fetch_sub(&c->lent, all ? more : more - more / 2);
}

/* What a log has beyond the limit is worth it while readers find as much there as it is, in the time in which it is made anew some times. */
static void judge(struct page_cache *c, struct page_share *of, int64_t n)
{
    int64_t more = atomic_load_explicit(&of->more, memory_order_relaxed);
    of->flushed = more ? of->flushed + n : 0;
    if (!more || of->flushed < JUDGED_AFTER * (share(c) + more))
        return;
    of->flushed = 0;
    if (atomic_exchange(&of->used, 0) < more)
        give_back(c, of, false);
}

/* Where it could not reach as far back as readers do, more would be kept of what nobody reads. */
static void lend(struct page_cache *c, struct page_share *of, int64_t missing, int64_t n)
{
    int64_t lent = atomic_load(&c->lent);
    while (missing <= c->spare - lent && n <= c->spare - lent)
        if (atomic_compare_exchange_weak(&c->lent, &lent, lent + n)) {
            atomic_fetch_add(&of->more, n);
            return;
        }
}

void page_cache_was_read(struct page_cache *c, struct page_share *of, int64_t behind, int64_t n, bool again)
{
    if (!c || !c->spare || !atomic_load_explicit(&c->limited, memory_order_relaxed))
        return;
    int64_t least = share(c), keep = least + atomic_load(&of->more);
    if (behind > keep && again)
        lend(c, of, behind - keep, n);
    else if (behind > least && behind <= keep)
        atomic_fetch_add(&of->used, n);
}

void page_cache_leave(struct page_cache *c, struct page_share *of)
{
    if (c)
        give_back(c, of, true);
}

void page_cache_flushed(struct page_cache *c, struct page_share *of, int64_t n)
{
    if (!c)
        return;
    judge(c, of, n);
    uint32_t now = atomic_load(&c->turn);
    if (of->turn != now) {
        of->turn = now;
        atomic_fetch_add(&c->seen, 1);
    }
    if (atomic_fetch_add(&c->turn_bytes, n) + n < TURN_LIMITS * c->limit ||
        !atomic_compare_exchange_strong(&c->turn, &now, now + 1))
        return; /* it goes on, or another thread ends it */
    atomic_store(&c->turn_bytes, 0);
    atomic_store(&c->before, atomic_exchange(&c->seen, 0));
}

int64_t page_cache_keep(const struct page_cache *c, const struct page_share *of)
{
    if (!c || !atomic_load_explicit(&c->limited, memory_order_relaxed))
        return INT64_MAX;
    return share(c) + atomic_load_explicit(&of->more, memory_order_relaxed);
}

int64_t page_cache_before(struct page_cache *c, size_t n)
{
    if (!c || !c->watched || n < LEAST_BYTES || atomic_load_explicit(&c->limited, memory_order_relaxed) ||
        atomic_fetch_add_explicit(&c->writes, 1, memory_order_relaxed) % ONE_OF)
        return NOT_TIMED;
    return clock_thread_ns();
}

void page_cache_after(struct page_cache *c, int64_t before, size_t n)
{
    if (before != NOT_TIMED)
        page_cache_note(c, n, clock_thread_ns() - before);
}

void page_cache_note(struct page_cache *c, size_t n, int64_t ns)
{
    atomic_fetch_add(&c->ns, (uint64_t)(ns > 0 ? ns : 0));
    if (atomic_fetch_add(&c->pages, (n + PAGE - 1) / PAGE) < ENOUGH_PAGES)
        return;
    uint64_t pages = atomic_exchange(&c->pages, 0), taken = atomic_exchange(&c->ns, 0);
    if (pages < ENOUGH_PAGES || taken / pages < SLOW_NS || atomic_exchange(&c->limited, true))
        return; /* quick, or another thread was first */
    diag_info("storage",
              "memory for the page cache is slow to get on this machine, %.1f us a page: of what is appended "
              "and on disk "
              "%lld MiB stay in it from now on (page.cache.bytes)",
              (double)taken / (double)pages / 1000, (long long)(c->limit >> 20));
}
