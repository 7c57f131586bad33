/*
 * pg_decode_interval: interval (IntervalStyle postgres: "1 year 2 mons 3 days 04:05:06.789") as microseconds
 * (io.debezium.time.MicroDuration, a month being 30.4375 days) or as ISO 8601 with all six parts (Interval).
 */
#include <string.h>

#include "kit/cdc/cdc_put.h"
#include "pg_decode.h"

#define DAY_US INT64_C(86400000000)
#define MONTH_US INT64_C(2629800000000) /* 365.25 / 12 days */
#define HOURS_MAX INT64_C(2562047788)   /* in an int64 of microseconds */

struct interval {
    int64_t years, months, days;
    bool negative; /* hours and below */
    int64_t hours, minutes, seconds, us;
};

struct text {
    const uint8_t *p, *end;
};

static bool take(struct text *t, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(t->end - t->p) < n || memcmp(t->p, word, n) != 0)
        return false;
    t->p += n;
    return true;
}

/* Up to ten digits: no part of an interval has more. */
static bool take_number(struct text *t, int64_t *v)
{
    const uint8_t *start = t->p;
    *v = 0;
    while (t->p < t->end && pg_is_digit(*t->p)) {
        if (t->p - start == 10)
            return false;
        *v = *v * 10 + (*t->p++ - '0');
    }
    return t->p > start;
}

/* Behind the hours: ":05:06.789" */
static bool take_clock(struct text *t, int64_t hours, bool minus, struct interval *v)
{
    v->hours = hours;
    v->negative = minus;
    if (!take(t, ":") || !take_number(t, &v->minutes) || !take(t, ":") || !take_number(t, &v->seconds) ||
        hours > HOURS_MAX || v->minutes > 59 || v->seconds > 59)
        return false;
    if (take(t, ".")) {
        const uint8_t *start = t->p;
        for (int64_t unit = 100000; t->p < t->end && pg_is_digit(*t->p) && unit > 0; unit /= 10)
            v->us += (*t->p++ - '0') * unit;
        if (t->p == start)
            return false;
    }
    return t->p == t->end;
}

/* " 1 year", " -2 mons": the unit behind a number. */
static bool take_unit(struct text *t, int64_t number, struct interval *v)
{
    if (take(t, " year"))
        v->years = number;
    else if (take(t, " mon"))
        v->months = number;
    else if (take(t, " day"))
        v->days = number;
    else
        return false;
    take(t, "s");
    return t->p == t->end || take(t, " ");
}

static bool parse(const void *data, size_t n, struct interval *v)
{
    struct text t = {data, (const uint8_t *)data + n};
    *v = (struct interval){0};
    if (n == 0 || n > 96)
        return false;
    while (t.p < t.end) {
        bool minus = *t.p == '-';
        if (minus || *t.p == '+')
            t.p++;
        int64_t number;
        if (!take_number(&t, &number))
            return false;
        if (t.p < t.end && *t.p == ':')
            return take_clock(&t, number, minus, v);
        if (!take_unit(&t, minus ? -number : number, v))
            return false;
    }
    return t.p[-1] != ' ';
}

/* From PostgreSQL 17 on. 1: infinity; -1: -infinity; 0: neither. */
static int infinite(const void *data, size_t n)
{
    if (n == 8 && memcmp(data, "infinity", 8) == 0)
        return 1;
    return n == 9 && memcmp(data, "-infinity", 9) == 0 ? -1 : 0;
}

int pg_encode_interval(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    struct interval v;
    int sign = infinite(data, n);
    if (sign)
        return cdc_put_int(out, sign > 0 ? INT64_MAX : INT64_MIN, e);
    if (!parse(data, n, &v))
        return pg_bad(c, e, "no interval");
    int64_t clock = ((v.hours * 60 + v.minutes) * 60 + v.seconds) * 1000000 + v.us;
    __int128 us = (__int128)(v.years * 12 + v.months) * MONTH_US + (__int128)v.days * DAY_US +
                  (v.negative ? -clock : clock);
    return cdc_put_int(out, us > INT64_MAX ? INT64_MAX : us < INT64_MIN ? INT64_MIN : (int64_t)us, e);
}

static int put_part(struct buf *out, int64_t v, const char *unit, struct err *e)
{
    int rc = cdc_put_int(out, v, e);
    return rc == ERR_OK ? buf_str(out, unit, e) : rc;
}

/* "6.789S"", the sign as in "-1.5S". */
static int put_seconds(struct buf *out, const struct interval *v, struct err *e)
{
    uint8_t *to = pg_room(out, 16, e);
    if (!to)
        return e->code;
    if (v->negative && (v->seconds || v->us))
        *to++ = '-';
    if (v->seconds > 9)
        *to++ = (uint8_t)('0' + v->seconds / 10);
    *to++ = (uint8_t)('0' + v->seconds % 10);
    int64_t rest = v->us;
    if (rest)
        *to++ = '.';
    for (int64_t unit = 100000; rest; unit /= 10) {
        *to++ = (uint8_t)('0' + rest / unit);
        rest %= unit;
    }
    *to++ = 'S';
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

int pg_encode_interval_iso(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                           struct err *e)
{
    struct interval v;
    int infinity = infinite(data, n);
    if (infinity)
        return buf_str(out, infinity > 0 ? "\"infinity\"" : "\"-infinity\"", e);
    if (!parse(data, n, &v))
        return pg_bad(c, e, "no interval");
    int sign = v.negative ? -1 : 1;
    int rc = buf_str(out, "\"P", e);
    if (rc == ERR_OK)
        rc = put_part(out, v.years, "Y", e);
    if (rc == ERR_OK)
        rc = put_part(out, v.months, "M", e);
    if (rc == ERR_OK)
        rc = put_part(out, v.days, "DT", e);
    if (rc == ERR_OK)
        rc = put_part(out, sign * v.hours, "H", e);
    if (rc == ERR_OK)
        rc = put_part(out, sign * v.minutes, "M", e);
    return rc == ERR_OK ? put_seconds(out, &v, e) : rc;
}
