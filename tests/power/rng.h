/*
 * rng: the numbers that decide a schedule. One seed, one sequence, on every machine (splitmix64).
 */
#ifndef LEAT_TESTS_POWER_RNG_H
#define LEAT_TESTS_POWER_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Far from those of the neighbours: with a mere seed for a state the sequence of the next one would be the same, a step on. */
static inline struct rng rng_of(uint64_t seed)
{
    struct rng r = {seed ^ UINT64_C(0xd1b54a32d192ed03)};
    return (struct rng){rng_next(&r) ^ seed << 32};
}

/* In [0, n); n > 0. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
    return rng_next(r) % n;
}

/* In [lo, hi]. */
static inline int64_t rng_between(struct rng *r, int64_t lo, int64_t hi)
{
    return lo + (int64_t)rng_below(r, (uint64_t)(hi - lo) + 1);
}

/* True once in `n` times. */
static inline bool rng_once_in(struct rng *r, uint64_t n)
{
    return rng_below(r, n) == 0;
}

#endif
