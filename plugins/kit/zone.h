/*
 * kit/zone: time zones from the system's tzdata, read by ourselves because glibc's localtime knows one zone a
 * process and no safe way to change it. TZif versions 1 to 4 (RFC 8536) with the POSIX rule at its end. A
 * zone is immutable once loaded; any thread.
 */
#ifndef LEAT_KIT_ZONE_H
#define LEAT_KIT_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct zone;

/*
 * `name`: "Europe/Berlin" (below $TZDIR or /usr/share/zoneinfo), "UTC", "Z", or a fixed offset "+02:00".
 * ERR_INVALID_CONFIG: no such zone.
 */
int zone_load(const char *name, struct zone **out, struct err *e);
/* From TZif bytes; ERR_CORRUPT. For zone_load and tests. */
int zone_parse(const void *data, size_t n, struct zone **out, struct err *e);
void zone_free(struct zone *z);

/* Seconds east of UTC that hold at `utc_s` (since 1970). */
int32_t zone_offset(const struct zone *z, int64_t utc_s);

/* UTC ms since 1970 of a local time in ms since the local 1970. In a gap the offset before it, in an overlap
 * the earlier. */
int64_t zone_to_utc_ms(const struct zone *z, int64_t local_ms);

/* Calendar fields of a time that already is local. */
struct civil {
    int64_t year;
    int month, day; /* 1-based */
    int hour, minute, second, ms;
    int day_of_year; /* 1-based */
    int weekday;     /* 1 Monday .. 7 Sunday */
};
void civil_from_ms(int64_t local_ms, struct civil *out);
int64_t civil_days(int64_t year, int month, int day); /* since 1970-01-01 */

#endif
