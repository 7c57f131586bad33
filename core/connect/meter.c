/*
 * meter: a ring of seconds. See meter.h.
 */
#include "connect/meter.h"

void meter_add(struct meter *m, int64_t now_ms, uint64_t records, uint64_t bytes)
{
    int64_t second = now_ms / 1000 + 1; /* never the 0 of an unused slot */
    int slot = (int)(second % METER_SLOTS);
    if (m->second[slot] != second) {
        m->second[slot] = second;
        m->records[slot] = m->bytes[slot] = 0;
    }
    m->records[slot] += records;
    m->bytes[slot] += bytes;
}

void meter_rates(const struct meter *m, int64_t now_ms, double *records_per_s, double *bytes_per_s)
{
    int64_t second = now_ms / 1000 + 1;
    uint64_t records = 0, bytes = 0;
    for (int i = 0; i < METER_SLOTS; i++) {
        if (m->second[i] == 0 || m->second[i] >= second || m->second[i] < second - METER_WINDOW_S)
            continue;
        records += m->records[i];
        bytes += m->bytes[i];
    }
    *records_per_s = (double)records / METER_WINDOW_S;
    *bytes_per_s = (double)bytes / METER_WINDOW_S;
}
