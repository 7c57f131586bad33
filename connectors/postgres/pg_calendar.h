/*
 * pg_calendar: dates and times in the text of PostgreSQL (DateStyle ISO), without allocation or library calls.
 * Proleptic Gregorian calendar; the year 1 BC is 0. Any thread.
 */
#ifndef LEAT_PG_CALENDAR_H
#define LEAT_PG_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_DAY_US INT64_C(86400000000)

enum pg_infinity { PG_FINITE, PG_INFINITY, PG_MINUS_INFINITY };

struct pg_moment {
    enum pg_infinity infinity;
    int32_t year; /* with month and day: what the text says, before an offset is taken off */
    int32_t month, day;
    int64_t days; /* since 1970, UTC */
    int64_t us;   /* of the day, UTC; 0 of dates */
};

/* "2024-05-06", "0044-03-15 BC", "infinity". */
bool pg_parse_date(const uint8_t *p, size_t n, struct pg_moment *m);
/* "2024-05-06 07:08:09.12", with an offset ("+05:45") if `zoned`; a date alone is its midnight. */
bool pg_parse_timestamp(const uint8_t *p, size_t n, bool zoned, struct pg_moment *m);
/* "07:08:09.12" to "24:00:00": microseconds. */
bool pg_parse_time(const uint8_t *p, size_t n, int64_t *us);
/* "07:08:09.12+02:30:15": the time and how many seconds it is ahead of UTC. */
bool pg_parse_timetz(const uint8_t *p, size_t n, int64_t *us, int32_t *offset_s);

/* Microseconds since 1970; what does not fit is the nearest that does. */
int64_t pg_moment_us(const struct pg_moment *m);

/* ISO 8601 as Java has it: years of four digits at least, with a sign beyond 9999. Return behind what they wrote. */
uint8_t *pg_put_date(uint8_t *to, const struct pg_moment *m);
#define PG_DATE_SIZE 16
/* 07:08:09 and `digits` of the fraction; -1: as many as are not zero. */
uint8_t *pg_put_time(uint8_t *to, int64_t us, int digits);
#define PG_TIME_SIZE 16

#endif
