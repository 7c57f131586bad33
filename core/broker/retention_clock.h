/*
 * retention_clock: the time by which old data is deleted: the wall clock, but for a while not where that jumped forward.
 * Deleting cannot be taken back, and a clock that somebody set wrong can; so a jump is believed only after an hour, in which it
 * is warned of. A jump back, or one that is small, is believed at once: it only makes things stay. So is a clock found at a start,
 * unless it is far ahead of when something was written last: then it may be wrong, or the machine was off, and nobody can tell;
 * waiting for an hour does no harm. Pure; one thread.
 */
#ifndef LEAT_BROKER_RETENTION_CLOCK_H
#define LEAT_BROKER_RETENTION_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_JUMP_MS 600000  /* more than this at once is no clock that is being set right by little steps */
#define CLOCK_HOLD_MS 3600000 /* how long one goes by the old time after it */
#define CLOCK_OFF_MS 86400000 /* a start later than this after the last write is doubted */

struct retention_clock {
    bool known;
    bool doubt;          /* it has jumped, and is not believed yet */
    int64_t ahead;       /* what the believed wall clock is ahead of the boot clock */
    int64_t doubt_since; /* boot clock */
};

/* Before the first question: when something was written last before this start, by the wall clock of then; 0: not known. */
void retention_clock_start(struct retention_clock *c, int64_t written_ms, int64_t wall_ms, int64_t boot_ms);
/* `boot_ms` counts on, also while the machine sleeps (clock_boot_ms). *jumped: it has just been found ahead by so much. */
int64_t retention_clock_now(struct retention_clock *c, int64_t wall_ms, int64_t boot_ms, int64_t *jumped);

#endif
