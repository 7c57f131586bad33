/*
 * kit/joda: the part of Joda-Time's patterns that paths are made of, and text back to time. Any thread.
 */
#include "kit/partitioner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t run_length(const char *p)
{
    size_t n = 1;
    while (p[n] == p[0])
        n++;
    return n;
}

int joda_check(const char *pattern, struct err *e)
{
    for (const char *p = pattern; *p;) {
        if (*p == '\'') {
            const char *close = strchr(p + 1, '\'');
            if (!close)
                return err_set(e, ERR_INVALID_CONFIG, "pattern \"%s\": no closing quote", pattern);
            p = close + 1;
        } else if (is_letter(*p)) {
            size_t n = run_length(p);
            if (!strchr("yYMdDHmsSe", *p))
                return err_set(e, ERR_INVALID_CONFIG, "pattern \"%s\": letter '%c' is not supported", pattern,
                               *p);
            if (n > 9 || (*p == 'M' && n > 2))
                return err_set(e, ERR_INVALID_CONFIG, "pattern \"%s\": only digits, not \"%.*s\"", pattern,
                               (int)n, p);
            p += n;
        } else {
            p++;
        }
    }
    return ERR_OK;
}

static int append_number(struct buf *out, int64_t v, size_t width, struct err *e)
{
    char text[40];
    int n = snprintf(text, sizeof(text), "%0*" PRId64, (int)width, v);
    return buf_append(out, text, (size_t)n, e);
}

static int append_year(struct buf *out, int64_t year, size_t width, struct err *e)
{
    if (width == 2)
        return append_number(out, (year % 100 + 100) % 100, 2, e);
    return append_number(out, year, width, e);
}

static int append_fraction(struct buf *out, int ms, size_t width, struct err *e)
{
    char text[16];
    snprintf(text, sizeof(text), "%03d000000", ms);
    return buf_append(out, text, width, e);
}

static int append_letter(struct buf *out, char letter, size_t width, const struct civil *c, struct err *e)
{
    switch (letter) {
    case 'y':
    case 'Y':
        return append_year(out, c->year, width, e);
    case 'M':
        return append_number(out, c->month, width, e);
    case 'd':
        return append_number(out, c->day, width, e);
    case 'D':
        return append_number(out, c->day_of_year, width, e);
    case 'H':
        return append_number(out, c->hour, width, e);
    case 'm':
        return append_number(out, c->minute, width, e);
    case 's':
        return append_number(out, c->second, width, e);
    case 'S':
        return append_fraction(out, c->ms, width, e);
    default:
        return append_number(out, c->weekday, width, e);
    }
}

/* Quoted text from the opening quote on; returns behind the closing one. A quote twice stands for one. */
static const char *append_quoted(struct buf *out, const char *p, int *rc, struct err *e)
{
    if (p[1] == '\'') {
        *rc = buf_append(out, "'", 1, e);
        return p + 2;
    }
    for (;;) {
        const char *close = strchr(p + 1, '\'');
        if (!close) {
            *rc = err_set(e, ERR_INVALID_CONFIG, "no closing quote in a pattern");
            return p;
        }
        bool goes_on = close[1] == '\'';
        *rc = buf_append(out, p + 1, (size_t)(close - p - 1) + goes_on, e);
        if (!goes_on || *rc != ERR_OK)
            return close + 1;
        p = close + 1;
    }
}

int joda_format(struct buf *out, const char *pattern, int64_t utc_ms, const struct zone *zone, struct err *e)
{
    int64_t seconds = utc_ms / 1000 - (utc_ms % 1000 < 0);
    struct civil c;
    civil_from_ms(utc_ms + (zone ? zone_offset(zone, seconds) * INT64_C(1000) : 0), &c);
    int rc = ERR_OK;
    for (const char *p = pattern; *p && rc == ERR_OK;) {
        if (*p == '\'') {
            p = append_quoted(out, p, &rc, e);
        } else if (is_letter(*p)) {
            size_t n = run_length(p);
            rc = append_letter(out, *p, n > 9 ? 9 : n, &c, e);
            p += n;
        } else {
            rc = buf_append(out, p++, 1, e);
        }
    }
    return rc;
}

/* ---- text to time
 * ------------------------------------------------------------------------------------------- */

struct text {
    const char *p, *end;
};

static bool take(struct text *t, char c)
{
    if (t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

static bool take_digits(struct text *t, int digits, int *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++) {
        if (t->p == t->end || *t->p < '0' || *t->p > '9')
            return false;
        *out = *out * 10 + (*t->p++ - '0');
    }
    return true;
}

static bool take_fraction(struct text *t, int *ms)
{
    int digits = 0;
    *ms = 0;
    while (t->p < t->end && *t->p >= '0' && *t->p <= '9') {
        if (digits++ < 3)
            *ms = *ms * 10 + (*t->p - '0');
        t->p++;
    }
    for (int i = digits; i < 3; i++)
        *ms *= 10;
    return digits > 0;
}

/* Z, +hh:mm, +hhmm, +hh or nothing. */
static bool take_offset(struct text *t, int *seconds)
{
    *seconds = 0;
    if (t->p == t->end || take(t, 'Z'))
        return t->p == t->end;
    int sign = *t->p == '-' ? -1 : 1, h, m = 0;
    if (!take(t, '+') && !take(t, '-'))
        return false;
    if (!take_digits(t, 2, &h))
        return false;
    if (t->p < t->end && ((take(t, ':'), false) || !take_digits(t, 2, &m)))
        return false;
    *seconds = sign * (h * 3600 + m * 60);
    return h <= 18 && m <= 59 && t->p == t->end;
}

static bool iso_parse(struct text t, int64_t *ms)
{
    int year, month, day, hour = 0, minute = 0, second = 0, fraction = 0, offset = 0;
    if (!take_digits(&t, 4, &year) || !take(&t, '-') || !take_digits(&t, 2, &month) || !take(&t, '-') ||
        !take_digits(&t, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    if (t.p < t.end) {
        if (!take(&t, 'T') && !take(&t, ' '))
            return false;
        if (!take_digits(&t, 2, &hour) || !take(&t, ':') || !take_digits(&t, 2, &minute))
            return false;
        if (take(&t, ':')) {
            if (!take_digits(&t, 2, &second))
                return false;
            if ((take(&t, '.') || take(&t, ',')) && !take_fraction(&t, &fraction))
                return false;
        }
        if (!take_offset(&t, &offset) || hour > 24 || minute > 59 || second > 60)
            return false;
    }
    int64_t seconds = civil_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    *ms = seconds * 1000 + fraction;
    return true;
}

static bool decimal_parse(struct text t, int64_t *ms)
{
    bool negative = take(&t, '-');
    if (t.p == t.end || t.end - t.p > 18)
        return false;
    int64_t v = 0;
    for (; t.p < t.end; t.p++) {
        if (*t.p < '0' || *t.p > '9')
            return false;
        v = v * 10 + (*t.p - '0');
    }
    *ms = negative ? -v : v;
    return true;
}

bool time_parse(const char *text, size_t n, int64_t *ms)
{
    struct text t = {text, text + n};
    return decimal_parse(t, ms) || iso_parse(t, ms);
}
