/*
 * retry: see retry.h. Jitter keeps tasks that failed together from coming back together. One thread.
 */
#include "connect/retry.h"

void retry_init(struct retry *r, int64_t first_ms, int64_t limit_ms, int most, uint64_t seed)
{
    *r = (struct retry){.first_ms = first_ms < 1 ? 1 : first_ms, .most = most, .seed = seed | 1};
    r->limit_ms = limit_ms < r->first_ms ? r->first_ms : limit_ms;
}

void retry_reset(struct retry *r)
{
    r->tries = 0;
}

/* xorshift64: good enough to spread delays. */
static uint64_t next_random(struct retry *r)
{
    r->seed ^= r->seed << 13;
    r->seed ^= r->seed >> 7;
    r->seed ^= r->seed << 17;
    return r->seed;
}

bool retry_next(struct retry *r, int64_t *ms)
{
    if (r->most >= 0 && r->tries >= r->most)
        return false;
    int64_t delay = r->first_ms;
    for (int i = 0; i < r->tries && delay < r->limit_ms; i++)
        delay = delay > r->limit_ms / 2 ? r->limit_ms : delay * 2;
    r->tries += r->tries < INT32_MAX;
    *ms = delay - (int64_t)(next_random(r) % (uint64_t)(delay / 2 + 1));
    return true;
}
