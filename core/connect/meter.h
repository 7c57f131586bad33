/*
 * meter: how much passed in each of the last seconds. Not thread-safe: under its owner's lock.
 */
#ifndef LEAT_CONNECT_METER_H
#define LEAT_CONNECT_METER_H

#include <stdint.h>

#define METER_SLOTS 8
#define METER_WINDOW_S 5 /* whole seconds that a rate looks back; less than the slots */

struct meter {
    int64_t second[METER_SLOTS];
    uint64_t records[METER_SLOTS], bytes[METER_SLOTS];
};

void meter_add(struct meter *m, int64_t now_ms, uint64_t records, uint64_t bytes); /* monotonic time */
void meter_rates(const struct meter *m, int64_t now_ms, double *records_per_s, double *bytes_per_s);

#endif
