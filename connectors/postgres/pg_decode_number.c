/*
 * pg_decode_number: real, double precision, numeric, money. Floating-point numbers are respelled digit by digit: the server
 * writes the shortest digits that read back the same, and so does Java.
 */
#include <stdlib.h>
#include <string.h>

#include "base/number_text.h"
#include "kit/cdc/cdc_put.h"
#include "pg_decode.h"

#define NUMBER_MAX 63

/* Digits without zeros around them; the first one stands for 10^exponent. */
struct spelled {
    bool negative;
    int exponent;
    size_t n;
    uint8_t digits[NUMBER_MAX];
};

static const uint8_t *take_exponent(const uint8_t *p, const uint8_t *end, int *value)
{
    bool minus = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    const uint8_t *start = p;
    int v = 0;
    for (; p < end && pg_is_digit(*p) && v < 10000; p++)
        v = v * 10 + (*p - '0');
    *value = minus ? -v : v;
    return p > start ? p : NULL;
}

/* -?digits[.digits][e[+-]digits] */
static bool spell(const uint8_t *p, size_t n, struct spelled *s)
{
    const uint8_t *end = p + n;
    *s = (struct spelled){.exponent = -1};
    if (n > NUMBER_MAX)
        return false;
    if (p < end && *p == '-') {
        s->negative = true;
        p++;
    }
    bool any = false, point = false;
    for (; p < end && (pg_is_digit(*p) || (*p == '.' && !point && any)); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        any = true;
        if (s->n == 0 && *p == '0') {
            s->exponent -= point;
            continue;
        }
        s->digits[s->n++] = *p;
        s->exponent += !point;
    }
    if (!any || p[-1] == '.')
        return false;
    if (p < end && *p == 'e') {
        int value;
        p = take_exponent(p + 1, end, &value);
        if (!p)
            return false;
        s->exponent += value;
    }
    while (s->n > 0 && s->digits[s->n - 1] == '0')
        s->n--;
    return p == end;
}

static uint8_t *put_zeros(uint8_t *to, int n)
{
    for (; n > 0; n--)
        *to++ = '0';
    return to;
}

static uint8_t *put_digits(uint8_t *to, const struct spelled *s, size_t from, size_t until)
{
    for (size_t i = from; i < until; i++)
        *to++ = i < s->n ? s->digits[i] : '0';
    return to;
}

static uint8_t *put_scientific(uint8_t *to, const struct spelled *s)
{
    *to++ = s->digits[0];
    *to++ = '.';
    to = put_digits(to, s, 1, s->n > 1 ? s->n : 2);
    *to++ = 'E';
    int x = s->exponent;
    if (x < 0) {
        *to++ = '-';
        x = -x;
    }
    if (x >= 100)
        *to++ = (uint8_t)('0' + x / 100);
    if (x >= 10)
        *to++ = (uint8_t)('0' + x / 10 % 10);
    *to++ = (uint8_t)('0' + x % 10);
    return to;
}

/* Double.toString: plain from 0.001 up to, not including, ten million. */
static int put_spelled(struct buf *out, const struct spelled *s, struct err *e)
{
    uint8_t *to = pg_room(out, NUMBER_MAX + 16, e);
    if (!to)
        return e->code;
    if (s->negative)
        *to++ = '-';
    if (s->n == 0) {
        memcpy(to, "0.0", 3);
        to += 3;
    } else if (s->exponent < -3 || s->exponent > 6) {
        to = put_scientific(to, s);
    } else if (s->exponent < 0) {
        *to++ = '0';
        *to++ = '.';
        to = put_zeros(to, -s->exponent - 1);
        to = put_digits(to, s, 0, s->n);
    } else {
        size_t whole = (size_t)s->exponent + 1;
        to = put_digits(to, s, 0, whole);
        *to++ = '.';
        to = put_digits(to, s, whole, s->n > whole ? s->n : whole + 1);
    }
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

/* Of the few numbers at the lower end Java writes two digits where one would do. */
static int put_denormal(struct buf *out, const uint8_t *p, size_t n, bool single, struct err *e)
{
    char text[NUMBER_MAX + 1];
    memcpy(text, p, n);
    text[n] = '\0';
    return text_double(out, single ? (double)strtof(text, NULL) : strtod(text, NULL), single, e);
}

/* NaN, Infinity, -Infinity: the same words in both worlds. */
static bool is_special(const uint8_t *p, size_t n)
{
    return (n == 3 && memcmp(p, "NaN", 3) == 0) || (n == 8 && memcmp(p, "Infinity", 8) == 0) ||
           (n == 9 && memcmp(p, "-Infinity", 9) == 0);
}

static int put_word(struct buf *out, const void *p, size_t n, bool bare, struct err *e)
{
    int rc = bare ? ERR_OK : buf_u8(out, '"', e);
    if (rc == ERR_OK)
        rc = buf_append(out, p, n, e);
    return rc == ERR_OK && !bare ? buf_u8(out, '"', e) : rc;
}

bool pg_put_number(struct buf *out, const uint8_t *p, size_t n, bool single, bool bare, int *rc,
                   struct err *e)
{
    struct spelled s;
    if (is_special(p, n)) {
        *rc = put_word(out, p, n, bare, e);
        return true;
    }
    if (!spell(p, n, &s) || (s.n && (s.exponent < -324 || s.exponent > 308)))
        return false;
    bool denormal = s.n == 1 && s.exponent < (single ? -42 : -321);
    *rc = denormal ? put_denormal(out, p, n, single, e) : put_spelled(out, &s, e);
    return true;
}

int pg_encode_float(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    int rc;
    if (!pg_put_number(out, data, n, c->a == 1, false, &rc, e))
        return pg_bad(c, e, "no floating-point number");
    return rc;
}

/* ---- numeric ---------------------------------------------------------------------------------------------------- */

#define NUMERIC_TEXT_MAX (131072 + 16383 + 2) /* digits before and behind the point, sign and point */

/* -?digits[.digits] */
static bool split(const uint8_t *p, size_t n, struct pg_digits *d)
{
    const uint8_t *end = p + n;
    *d = (struct pg_digits){0};
    if (n == 0 || n > NUMERIC_TEXT_MAX)
        return false;
    if (*p == '-') {
        d->negative = true;
        p++;
    }
    d->first = p;
    while (p < end && pg_is_digit(*p))
        p++;
    d->first_n = (size_t)(p - d->first);
    if (p < end && *p == '.') {
        d->second = ++p;
        while (p < end && pg_is_digit(*p))
            p++;
        d->second_n = (size_t)(p - d->second);
        if (d->second_n == 0)
            return false;
    }
    return p == end && d->first_n > 0;
}

/* Leaves exactly `scale` digits behind the point (of a negative one: cuts as many zeros). False: digits would be lost. */
static bool rescale(struct pg_digits *d, int32_t scale)
{
    while (d->second_n > 0 && (int64_t)d->second_n > scale && d->second[d->second_n - 1] == '0')
        d->second_n--;
    if ((int64_t)d->second_n > scale && d->second_n > 0)
        return false;
    if (scale >= 0) {
        d->zeros = (size_t)scale - d->second_n;
        return true;
    }
    size_t cut = (size_t) - (int64_t)scale;
    for (size_t i = 0; i < cut && d->first_n > 0; i++) {
        if (d->first[--d->first_n] != '0')
            return false;
    }
    return true;
}

/* What has no digits is null, and null in a column with a default is written as the default (Connect's converter does so). */
static int put_no_decimal(const struct cdc_column *c, struct buf *out, struct err *e)
{
    return buf_str(out, c->schema.def ? c->schema.def : "null", e);
}

int pg_encode_decimal(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    struct pg_digits d;
    if (is_special(data, n))
        return put_no_decimal(c, out, e);
    if (!split(data, n, &d))
        return pg_bad(c, e, "no numeric");
    if (!rescale(&d, c->b))
        return pg_bad(c, e, "numeric with more digits than its type has");
    return pg_put_unscaled(out, &d, e);
}

int pg_encode_variable(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    struct pg_digits d;
    if (is_special(data, n))
        return put_no_decimal(c, out, e);
    if (!split(data, n, &d))
        return pg_bad(c, e, "no numeric");
    while (d.second_n > 0 && d.second[d.second_n - 1] == '0')
        d.second_n--;
    int rc = buf_str(out, "{\"scale\":", e);
    if (rc == ERR_OK)
        rc = cdc_put_int(out, (int64_t)d.second_n, e);
    if (rc == ERR_OK)
        rc = buf_str(out, ",\"value\":", e);
    if (rc == ERR_OK)
        rc = pg_put_unscaled(out, &d, e);
    return rc == ERR_OK ? buf_u8(out, '}', e) : rc;
}

/* BigDecimal.doubleValue and Double.toString. Fifteen digits come back from a double as they were. */
static int put_double(struct buf *out, const uint8_t *p, size_t n, struct err *e)
{
    struct spelled s;
    if (spell(p, n, &s) && s.n <= 15 && s.exponent > -300 && s.exponent < 300) {
        s.negative = s.negative && s.n > 0;
        return put_spelled(out, &s, e);
    }
    uint8_t *copy = pg_room(out, n + 1, e);
    if (!copy)
        return e->code;
    memcpy(copy, p, n);
    copy[n] = '\0';
    double v = strtod((char *)copy, NULL);
    bool finite = v - v == 0;
    int rc = finite ? ERR_OK : buf_u8(out, '"', e);
    if (rc == ERR_OK)
        rc = text_double(out, v, false, e);
    return rc == ERR_OK && !finite ? buf_u8(out, '"', e) : rc;
}

int pg_encode_numeric_double(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                             struct err *e)
{
    struct pg_digits d;
    if (is_special(data, n))
        return put_word(out, data, n, false, e);
    if (!split(data, n, &d))
        return pg_bad(c, e, "no numeric");
    return put_double(out, data, n, e);
}

int pg_encode_numeric_text(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                           struct err *e)
{
    struct pg_digits d;
    if (is_special(data, n))
        return buf_str(out,
                       n == 3   ? "\"NAN\""
                       : n == 8 ? "\"POSITIVE_INFINITY\""
                                : "\"NEGATIVE_INFINITY\"",
                       e);
    if (!split(data, n, &d))
        return pg_bad(c, e, "no numeric");
    /* A default may have fewer digits than its column; values have as many. */
    size_t zeros = c->b > 0 && d.second_n < (size_t)c->b ? (size_t)c->b - d.second_n : 0;
    uint8_t *to = pg_room(out, n + zeros + 3, e);
    if (!to)
        return e->code;
    *to++ = '"';
    memcpy(to, data, n);
    to += n;
    if (zeros > 0 && d.second_n == 0)
        *to++ = '.';
    to = put_zeros(to, (int)zeros);
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

/* ---- money ------------------------------------------------------------------------------------------------------ */

#define MONEY_DIGITS 19
#define MONEY_TEXT                                                                                           \
    (MONEY_DIGITS + 2) /* with sign and point; fewer digits are filled up to PG_MONEY_SCALE_MAX + 1 */
_Static_assert(PG_MONEY_SCALE_MAX < MONEY_DIGITS, "filled up it is no longer");

/* The digits of the text under lc_monetary C, -$1,234.56 (`p` is behind the sign): 123456. Returns how many; 0: no money. */
static size_t money_digits(const uint8_t *p, const uint8_t *end, uint8_t out[MONEY_DIGITS])
{
    size_t k = 0;
    if (end - p < 5 || *p++ != '$' || end[-3] != '.')
        return 0;
    for (const uint8_t *point = end - 3; p < end; p++) {
        if (k > 0 && (p == point || (*p == ',' && p < point && pg_is_digit(p[-1]))))
            continue;
        if (!pg_is_digit(*p) || k == MONEY_DIGITS)
            return 0;
        out[k++] = *p;
    }
    return k;
}

/*
 * The server stores a whole number, of which lc_monetary C has the last two digits behind the point: the amount has the last
 * `scale` there. -$1,234.56 by scale 0: -123456. Returns the length; 0: no money.
 */
static size_t plain_money(const uint8_t *p, size_t n, int32_t scale, uint8_t out[MONEY_TEXT])
{
    const uint8_t *end = p + n;
    uint8_t digits[MONEY_DIGITS];
    bool negative = n > 0 && *p == '-';
    size_t count = money_digits(p + negative, end, digits), whole = (size_t)scale + 1, from = 0, k = 0;
    if (count == 0)
        return 0;
    while (count - from > whole && digits[from] == '0')
        from++;
    size_t all = count - from > whole ? count - from : whole;
    if (negative)
        out[k++] = '-';
    for (size_t left = all; left > 0; left--) {
        if (left == (size_t)scale)
            out[k++] = '.';
        out[k++] = left > count - from ? '0' : digits[count - left];
    }
    return k;
}

int pg_encode_money(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    uint8_t text[MONEY_TEXT];
    struct pg_digits d;
    size_t k = plain_money(data, n, c->a, text);
    if (k == 0 || !split(text, k, &d))
        return pg_bad(c, e, "no money");
    if (c->b >= c->a) {
        d.zeros = (size_t)(c->b - c->a);
        return pg_put_unscaled(out, &d, e);
    }
    /* Half of the last digit and more goes up, away from zero. */
    uint64_t v = 0, unit = 1;
    for (size_t i = 0; i < k; i++)
        if (pg_is_digit(text[i]))
            v = v * 10 + (uint64_t)(text[i] - '0');
    for (int32_t i = c->b; i < c->a; i++)
        unit *= 10;
    v = (v + unit / 2) / unit;
    uint8_t rounded[MONEY_DIGITS];
    size_t at = sizeof(rounded);
    do {
        rounded[--at] = (uint8_t)('0' + v % 10);
    } while ((v /= 10) > 0);
    d = (struct pg_digits){.negative = d.negative, .first = rounded + at, .first_n = sizeof(rounded) - at};
    return pg_put_unscaled(out, &d, e);
}

int pg_encode_money_double(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                           struct err *e)
{
    uint8_t text[MONEY_TEXT];
    size_t k = plain_money(data, n, c->a, text);
    return k ? put_double(out, text, k, e) : pg_bad(c, e, "no money");
}

int pg_encode_money_text(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                         struct err *e)
{
    uint8_t text[MONEY_TEXT];
    size_t k = plain_money(data, n, c->a, text);
    return k ? put_word(out, text, k, false, e) : pg_bad(c, e, "no money");
}
