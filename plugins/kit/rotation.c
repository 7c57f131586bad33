/*
 * kit/rotation: pure decisions on counts and times. Task thread only.
 */
#include "kit/rotation.h"

#define DAY_MS INT64_C(86400000)

void rotation_init(struct rotation *r, const struct rotation_config *c)
{
    r->config = c;
    rotation_reset(r);
}

void rotation_reset(struct rotation *r)
{
    r->records = 0;
    r->largest = 0;
    r->first_time = INT64_MIN;
    r->next_scheduled = INT64_MAX;
}

bool rotation_before(const struct rotation *r, int64_t time_ms, bool changed, int64_t now_ms)
{
    if (r->records == 0)
        return false;
    const struct rotation_config *c = r->config;
    if (c->interval_ms > 0) {
        if (c->on_partition_change && changed)
            return true;
        int64_t since;
        if (__builtin_sub_overflow(time_ms, r->first_time, &since))
            since = time_ms > r->first_time ? INT64_MAX : INT64_MIN;
        if (since >= c->interval_ms)
            return true;
    }
    return rotation_due(r, now_ms);
}

bool rotation_add(struct rotation *r, int64_t time_ms, int64_t file_bytes, int64_t now_ms)
{
    const struct rotation_config *c = r->config;
    if (r->records++ == 0) {
        r->first_time = time_ms;
        if (c->schedule_ms > 0)
            r->next_scheduled = rotation_next_boundary(now_ms, c->schedule_ms, c->zone);
    }
    if (file_bytes > r->largest)
        r->largest = file_bytes;
    return (c->records > 0 && r->records >= c->records) || (c->bytes > 0 && r->largest >= c->bytes);
}

bool rotation_due(const struct rotation *r, int64_t now_ms)
{
    return now_ms >= r->next_scheduled;
}

int64_t rotation_wait_ms(const struct rotation *r, int64_t now_ms)
{
    if (r->next_scheduled == INT64_MAX)
        return -1;
    return r->next_scheduled > now_ms ? r->next_scheduled - now_ms : 0;
}

static int64_t floor_to(int64_t v, int64_t unit)
{
    int64_t rest = v % unit;
    return v - (rest < 0 ? rest + unit : rest);
}

int64_t rotation_next_boundary(int64_t now_ms, int64_t interval_ms, const struct zone *zone)
{
    int64_t local = now_ms + (zone ? zone_offset(zone, floor_to(now_ms, 1000) / 1000) * INT64_C(1000) : 0);
    int64_t midnight = floor_to(local, DAY_MS);
    int64_t next_midnight = midnight + DAY_MS;
    int64_t slot = interval_ms >= DAY_MS ? next_midnight
                                         : midnight + ((local - midnight) / interval_ms + 1) * interval_ms;
    if (slot > next_midnight)
        slot = next_midnight;
    int64_t utc = zone ? zone_to_utc_ms(zone, slot) : slot;
    /* Where the clock was put back the boundary's earlier reading may be past already. */
    return utc > now_ms ? utc : now_ms + (slot - local);
}
