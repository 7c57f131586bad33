/*
 * retry: how long to wait before the next try: doubling from the first delay up to a limit, with jitter.
 */
#ifndef LEAT_CONNECT_RETRY_H
#define LEAT_CONNECT_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry {
    int64_t first_ms, limit_ms;
    int most;  /* tries in a row; -1: for ever */
    int tries; /* since the last reset */
    uint64_t seed;
};

void retry_init(struct retry *r, int64_t first_ms, int64_t limit_ms, int most, uint64_t seed);
/* Something went well: the next failure is the first again. */
void retry_reset(struct retry *r);
/* Counts a failure. False: that was the last try; else *ms is between half the doubled delay and all of it.
 */
bool retry_next(struct retry *r, int64_t *ms);

#endif
