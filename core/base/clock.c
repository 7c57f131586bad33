/*
 * clock: see clock.h.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>

static _Atomic(int64_t) wall_shift;

static int64_t read_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000 + atomic_load_explicit(&wall_shift, memory_order_relaxed);
}

void clock_shift_wall(int64_t ms)
{
    atomic_store(&wall_shift, ms);
}

int64_t clock_boot_ms(void)
{
    return read_ns(CLOCK_BOOTTIME) / 1000000;
}

int64_t clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_thread_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000;
}

struct timespec clock_deadline_ms(int64_t ms)
{
    int64_t now = clock_mono_ns(), at;
    /* "No limit" may come as a huge number of ms: a year is as good. */
    const int64_t year_ms = 366LL * 86400 * 1000;
    at = now + (ms > year_ms ? year_ms : ms) * 1000000;
    return (struct timespec){.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
}

char *clock_format_utc(int64_t wall_ms, char *out, size_t size)
{
    int64_t sec = wall_ms / 1000, ms = wall_ms % 1000;
    if (ms < 0) {
        ms += 1000;
        sec--;
    }
    time_t t = (time_t)sec;
    struct tm tm;
    if (!gmtime_r(&t, &tm) ||
        snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)ms) >= (int)size)
        snprintf(out, size, "%lld", (long long)wall_ms);
    return out;
}
