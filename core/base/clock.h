/*
 * clock: wall clock and monotonic clock. Any thread.
 */
#ifndef LEAT_BASE_CLOCK_H
#define LEAT_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

int64_t clock_wall_ms(void); /* since 1970, UTC; may jump */
int64_t clock_boot_ms(void); /* never goes back, and counts while the machine sleeps */
int64_t clock_mono_ns(void); /* never goes back */
int64_t clock_mono_ms(void);
int64_t clock_thread_ns(void); /* of the processor that this thread has had */

/* For tests: from now on the wall clock is `ms` beside the system's, as if somebody had set it. 0: the system's again. */
void clock_shift_wall(int64_t ms);

/* Absolute CLOCK_MONOTONIC time `ms` from now, for thread_cond_wait_until. */
struct timespec clock_deadline_ms(int64_t ms);

/* "2026-11-20T19:13:02.123Z"; `out` has at least 32 bytes. Returns `out`. */
char *clock_format_utc(int64_t wall_ms, char *out, size_t size);

#endif
