/*
 * pg_calendar: see pg_calendar.h.
 */
#include "pg_calendar.h"

#include <string.h>

#define YEAR_MAX 5874897 /* of date */

struct text {
    const uint8_t *p, *end;
};

static bool take(struct text *t, char c)
{
    if (t->p == t->end || *t->p != (uint8_t)c)
        return false;
    t->p++;
    return true;
}

static bool take_two(struct text *t, int32_t most, int32_t *v)
{
    if (t->end - t->p < 2)
        return false;
    unsigned high = (unsigned)t->p[0] - '0', low = (unsigned)t->p[1] - '0';
    if (high > 9 || low > 9)
        return false;
    *v = (int32_t)(high * 10 + low);
    t->p += 2;
    return *v <= most;
}

static bool leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days from 1970-01-01, counting years from March so that the leap day is the last one. */
static int64_t days_of(int32_t year, int32_t month, int32_t day)
{
    int64_t y = (int64_t)year - (month < 3), era = floor_div(y, 400), of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, struct pg_moment *m)
{
    int64_t z = days + 719468, era = floor_div(z, 146097), of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), from_march = (5 * of_year + 2) / 153;
    m->day = (int32_t)(of_year - (153 * from_march + 2) / 5 + 1);
    m->month = (int32_t)(from_march < 10 ? from_march + 3 : from_march - 9);
    m->year = (int32_t)(y + era * 400 + (m->month < 3));
}

/* Year, month and day, without "BC", which stands at the very end. */
static bool take_date(struct text *t, struct pg_moment *m)
{
    const uint8_t *start = t->p;
    int32_t year = 0;
    while (t->p < t->end && (uint8_t)(*t->p - '0') < 10 && t->p - start < 7)
        year = year * 10 + (*t->p++ - '0');
    if (t->p - start < 4 || year == 0 || year > YEAR_MAX)
        return false;
    m->year = year;
    return take(t, '-') && take_two(t, 12, &m->month) && take(t, '-') && take_two(t, 31, &m->day) &&
           m->month > 0 && m->day > 0;
}

/* Takes " BC" off the end. */
static bool before_christ(struct text *t)
{
    if (t->end - t->p < 3 || memcmp(t->end - 3, " BC", 3) != 0)
        return false;
    t->end -= 3;
    return true;
}

static bool complete_date(struct pg_moment *m, bool bc)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (bc)
        m->year = 1 - m->year;
    if (m->day > lengths[m->month - 1] + (m->month == 2 && leap(m->year)))
        return false;
    m->days = days_of(m->year, m->month, m->day);
    return true;
}

static bool infinite(const struct text *t, struct pg_moment *m)
{
    size_t n = (size_t)(t->end - t->p);
    if (n == 8 && memcmp(t->p, "infinity", 8) == 0)
        m->infinity = PG_INFINITY;
    else if (n == 9 && memcmp(t->p, "-infinity", 9) == 0)
        m->infinity = PG_MINUS_INFINITY;
    return m->infinity != PG_FINITE;
}

/* ---- the usual form, at fixed places; whatever is not in it goes the long way, which also refuses ------------------ */

static unsigned digit(uint8_t c)
{
    return (unsigned)c - '0';
}

/* "2024-05-06" */
static bool plain_date(const uint8_t *p, struct pg_moment *m)
{
    unsigned y1 = digit(p[0]), y2 = digit(p[1]), y3 = digit(p[2]), y4 = digit(p[3]);
    unsigned m1 = digit(p[5]), m2 = digit(p[6]), d1 = digit(p[8]), d2 = digit(p[9]);
    bool digits = y1 <= 9 && y2 <= 9 && y3 <= 9 && y4 <= 9 && m1 <= 9 && m2 <= 9 && d1 <= 9 && d2 <= 9;
    m->year = (int32_t)(y1 * 1000 + y2 * 100 + y3 * 10 + y4);
    m->month = (int32_t)(m1 * 10 + m2);
    m->day = (int32_t)(d1 * 10 + d2);
    return digits && p[4] == '-' && p[7] == '-' && m->year > 0 && m->month > 0 && m->month <= 12 &&
           m->day > 0 && complete_date(m, false);
}

/* "07:08:09" below 24 hours */
static bool plain_clock(const uint8_t *p, int64_t *us)
{
    unsigned h1 = digit(p[0]), h2 = digit(p[1]), m1 = digit(p[3]), m2 = digit(p[4]), s1 = digit(p[6]),
             s2 = digit(p[7]);
    unsigned h = h1 * 10 + h2, m = m1 * 10 + m2, s = s1 * 10 + s2;
    *us = (int64_t)(h * 3600 + m * 60 + s) * 1000000;
    return h1 <= 2 && h2 <= 9 && h <= 23 && m1 <= 5 && m2 <= 9 && s1 <= 5 && s2 <= 9 && p[2] == ':' &&
           p[5] == ':';
}

/* ".123456" or nothing; *p stays behind it. */
static bool plain_fraction(const uint8_t **p, const uint8_t *end, int64_t *us)
{
    static const int32_t units[] = {0, 100000, 10000, 1000, 100, 10, 1};
    if (*p == end || **p != '.')
        return true;
    const uint8_t *start = ++*p;
    int64_t v = 0;
    while (*p < end && *p - start < 6 && digit(**p) <= 9)
        v = v * 10 + digit(*(*p)++);
    *us += v * units[*p - start];
    return *p > start;
}

/* "2024-05-06 07:08:09.12", of zoned ones with "+00" behind. */
static bool plain_timestamp(const uint8_t *p, size_t n, bool zoned, struct pg_moment *m)
{
    const uint8_t *end = p + n;
    if (n < 19 || p[10] != ' ' || !plain_date(p, m) || !plain_clock(p + 11, &m->us))
        return false;
    p += 19;
    if (!plain_fraction(&p, end, &m->us))
        return false;
    return zoned ? end - p == 3 && memcmp(p, "+00", 3) == 0 : p == end;
}

/* ---- texts ------------------------------------------------------------------------------------------------------ */

bool pg_parse_date(const uint8_t *p, size_t n, struct pg_moment *m)
{
    struct text t = {p, p + n};
    *m = (struct pg_moment){0};
    if (n == 10 && plain_date(p, m))
        return true;
    if (n > 32)
        return false;
    if (n && infinite(&t, m))
        return true;
    bool bc = n && before_christ(&t);
    return n && take_date(&t, m) && t.p == t.end && complete_date(m, bc);
}

static bool take_time(struct text *t, int64_t *us)
{
    int32_t hour, minute, second;
    if (!take_two(t, 24, &hour) || !take(t, ':') || !take_two(t, 59, &minute) || !take(t, ':') ||
        !take_two(t, 59, &second))
        return false;
    int64_t v = ((int64_t)hour * 3600 + minute * 60 + second) * 1000000;
    if (take(t, '.')) {
        const uint8_t *start = t->p;
        for (int32_t unit = 100000; t->p < t->end && (uint8_t)(*t->p - '0') < 10 && unit > 0; unit /= 10)
            v += (int64_t)(*t->p++ - '0') * unit;
        if (t->p == start)
            return false;
    }
    *us = v;
    return v <= PG_DAY_US;
}

/* +05, +05:45, -15:59:59 */
static bool take_offset(struct text *t, int32_t *offset_s)
{
    bool minus = t->p < t->end && *t->p == '-';
    int32_t hour, minute = 0, second = 0;
    if (!take(t, minus ? '-' : '+') || !take_two(t, 15, &hour))
        return false;
    if (take(t, ':') && !take_two(t, 59, &minute))
        return false;
    if (take(t, ':') && !take_two(t, 59, &second))
        return false;
    *offset_s = hour * 3600 + minute * 60 + second;
    if (minus)
        *offset_s = -*offset_s;
    return true;
}

bool pg_parse_time(const uint8_t *p, size_t n, int64_t *us)
{
    struct text t = {p, p + n};
    const uint8_t *rest = n >= 8 ? p + 8 : NULL;
    if (rest && plain_clock(p, us) && plain_fraction(&rest, p + n, us) && rest == p + n)
        return true;
    return n && take_time(&t, us) && t.p == t.end;
}

bool pg_parse_timetz(const uint8_t *p, size_t n, int64_t *us, int32_t *offset_s)
{
    struct text t = {p, p + n};
    return n && take_time(&t, us) && take_offset(&t, offset_s) && t.p == t.end;
}

/* Takes the offset off: the moment in UTC. */
static void to_utc(struct pg_moment *m, int32_t offset_s)
{
    int64_t us = m->us - (int64_t)offset_s * 1000000, shift = floor_div(us, PG_DAY_US);
    m->us = us - shift * PG_DAY_US;
    m->days += shift;
    if (shift)
        date_of(m->days, m);
}

bool pg_parse_timestamp(const uint8_t *p, size_t n, bool zoned, struct pg_moment *m)
{
    struct text t = {p, p + n};
    int32_t offset_s = 0;
    *m = (struct pg_moment){0};
    if (plain_timestamp(p, n, zoned, m))
        return true;
    *m = (struct pg_moment){0};
    if (n == 0 || n > 64)
        return false;
    if (infinite(&t, m))
        return true;
    bool bc = before_christ(&t);
    if (!take_date(&t, m) || !complete_date(m, bc))
        return false;
    if (t.p == t.end)
        return true;
    if (!take(&t, ' ') || !take_time(&t, &m->us) || m->us == PG_DAY_US)
        return false;
    if (zoned && !take_offset(&t, &offset_s))
        return false;
    to_utc(m, offset_s);
    return t.p == t.end;
}

int64_t pg_moment_us(const struct pg_moment *m)
{
    int64_t v;
    if (__builtin_mul_overflow(m->days, PG_DAY_US, &v) || __builtin_add_overflow(v, m->us, &v))
        return m->days < 0 ? INT64_MIN : INT64_MAX;
    return v;
}

static uint8_t *put_two(uint8_t *to, int32_t v)
{
    *to++ = (uint8_t)('0' + v / 10);
    *to++ = (uint8_t)('0' + v % 10);
    return to;
}

uint8_t *pg_put_date(uint8_t *to, const struct pg_moment *m)
{
    int32_t year = m->year;
    if (year > 9999)
        *to++ = '+';
    if (year < 0) {
        *to++ = '-';
        year = -year;
    }
    int32_t unit = 1000;
    while (year / unit > 9)
        unit *= 10;
    for (; unit > 0; unit /= 10)
        *to++ = (uint8_t)('0' + year / unit % 10);
    *to++ = '-';
    to = put_two(to, m->month);
    *to++ = '-';
    return put_two(to, m->day);
}

uint8_t *pg_put_time(uint8_t *to, int64_t us, int digits)
{
    int32_t s = (int32_t)(us / 1000000), rest = (int32_t)(us % 1000000);
    to = put_two(to, s / 3600);
    *to++ = ':';
    to = put_two(to, s / 60 % 60);
    *to++ = ':';
    to = put_two(to, s % 60);
    if (digits == 0 || (digits < 0 && rest == 0))
        return to;
    *to++ = '.';
    for (int32_t unit = 100000, i = 0; unit > 0 && (digits < 0 ? rest > 0 : i < digits); unit /= 10, i++) {
        *to++ = (uint8_t)('0' + rest / unit);
        rest %= unit;
    }
    return to;
}
