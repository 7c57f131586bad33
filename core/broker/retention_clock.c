/*
 * retention_clock: see retention_clock.h.
 */
#include "broker/retention_clock.h"

void retention_clock_start(struct retention_clock *c, int64_t written_ms, int64_t wall_ms, int64_t boot_ms)
{
    if (written_ms <= 0 || wall_ms - written_ms <= CLOCK_OFF_MS)
        return;
    c->known = true;
    c->ahead = written_ms - boot_ms;
}

int64_t retention_clock_now(struct retention_clock *c, int64_t wall_ms, int64_t boot_ms, int64_t *jumped)
{
    int64_t ahead = wall_ms - boot_ms;
    *jumped = 0;
    if (c->known && ahead - c->ahead > CLOCK_JUMP_MS) {
        if (!c->doubt) {
            c->doubt_since = boot_ms;
            *jumped = ahead - c->ahead;
        }
        c->doubt = boot_ms - c->doubt_since < CLOCK_HOLD_MS;
        if (c->doubt)
            return boot_ms + c->ahead;
    }
    c->known = true;
    c->doubt = false;
    c->ahead = ahead;
    return wall_ms;
}
