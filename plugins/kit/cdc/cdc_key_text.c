/*
 * cdc_key_text: see cdc_key_text.h. It goes by the key's JSON, as that was made by the columns' encoders: what differs are a few
 * schemas, found by their names.
 */
#include "kit/cdc/cdc_key_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kit/jtext.h"

#define TEXT_MAX ((size_t)1 << 30)
#define DECIMAL_BYTES_MAX 65536 /* of an unscaled value: PostgreSQL's largest numeric has 61,000 */
#define DAY_MS INT64_C(86400000)

#define CONNECT "org.apache.kafka.connect.data."

/* ---- decimals --------------------------------------------------------------------------------------------------------------- */

/* Divides the number in `n` bytes, big-endian, by ten in place; the remainder. */
static unsigned divide_by_ten(uint8_t *number, size_t n)
{
    unsigned rest = 0;
    for (size_t i = 0; i < n; i++) {
        rest = rest << 8 | number[i];
        number[i] = (uint8_t)(rest / 10);
        rest %= 10;
    }
    return rest;
}

static void negate(uint8_t *number, size_t n)
{
    unsigned carry = 1;
    while (n-- > 0) {
        carry += (uint8_t)~number[n];
        number[n] = (uint8_t)carry;
        carry >>= 8;
    }
}

/* The digits, the last one first, without leading zeros but of zero itself. The number is used up. */
static int digits_of(uint8_t *number, size_t n, struct buf *digits, struct err *e)
{
    size_t from = 0;
    int rc = ERR_OK;
    do {
        while (from < n && number[from] == 0)
            from++;
        rc = buf_u8(digits, (uint8_t)('0' + divide_by_ten(number + from, n - from)), e);
        while (from < n && number[from] == 0)
            from++;
    } while (rc == ERR_OK && from < n);
    return rc;
}

/* java.math.BigDecimal.toString: plain, or with an exponent where the scale is negative or the number very small. */
static int place_point(const struct buf *digits, int64_t scale, struct buf *out, struct err *e)
{
    int64_t count = (int64_t)digits->len, exponent = count - 1 - scale;
    bool plain = scale >= 0 && exponent >= -6;
    int rc = ERR_OK;
    int64_t whole = plain ? count - scale : 1; /* digits before the point */
    if (whole <= 0)
        rc = buf_str(out, "0.", e);
    for (int64_t i = whole; plain && rc == ERR_OK && i < 0; i++)
        rc = buf_u8(out, '0', e);
    for (int64_t i = 0; rc == ERR_OK && i < count; i++) {
        if (i == whole && i > 0)
            rc = buf_u8(out, '.', e);
        rc = rc ? rc : buf_u8(out, digits->data[count - 1 - i], e);
    }
    if (rc || plain || exponent == 0)
        return rc;
    return buf_printf(out, e, "E%+" PRId64, exponent);
}

int cdc_decimal_text(const void *data, size_t n, int32_t scale, struct buf *out, struct err *e)
{
    if (n == 0 || n > DECIMAL_BYTES_MAX)
        return err_set(e, ERR_INVALID_RECORD, "a decimal of %zu bytes", n);
    struct buf number, digits;
    buf_init(&number, DECIMAL_BYTES_MAX);
    buf_init(&digits, DECIMAL_BYTES_MAX * 3);
    int rc = buf_append(&number, data, n, e);
    if (rc == ERR_OK && number.data[0] & 0x80) {
        negate(number.data, n);
        rc = buf_u8(out, '-', e);
    }
    rc = rc ? rc : digits_of(number.data, n, &digits, e);
    rc = rc ? rc : place_point(&digits, scale, out, e);
    buf_free(&number);
    buf_free(&digits);
    return rc;
}

/* ---- values ----------------------------------------------------------------------------------------------------------------- */

static int base64_bytes(const char *p, size_t n, struct buf *out, struct err *e)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < n && p[i] != '='; i++) {
        const char *at = strchr(letters, p[i]);
        if (!at || !*at)
            return err_set(e, ERR_INVALID_RECORD, "base64 with the byte 0x%02x", (uint8_t)p[i]);
        bits = bits << 6 | (uint32_t)(at - letters);
        if (i % 4)
            rc = buf_u8(out, (uint8_t)(bits >> (6 - 2 * (i % 4))), e);
    }
    return rc;
}

static int32_t scale_of(const struct cdc_schema *s)
{
    const char *at = s->parameters ? strstr(s->parameters, "\"scale\":\"") : NULL;
    return at ? (int32_t)strtol(at + 9, NULL, 10) : 0;
}

static int put_decimal(const struct cdc_schema *s, const struct jtext_token *v, struct buf *out,
                       struct err *e)
{
    struct buf bytes;
    buf_init(&bytes, DECIMAL_BYTES_MAX);
    int rc = base64_bytes(v->p, v->n, &bytes, e);
    rc = rc ? rc : cdc_decimal_text(bytes.data, bytes.len, scale_of(s), out, e);
    buf_free(&bytes);
    return rc;
}

/* Values.dateFormatFor: the first day is a time, a midnight a date. Before 1970 Kafka shows the time alone; here it is whole. */
static int put_moment(int64_t ms, bool is_time, struct buf *out, struct err *e)
{
    int64_t in_day = ms % DAY_MS;
    time_t seconds = (time_t)((ms - in_day) / 1000 - (in_day < 0) * (DAY_MS / 1000));
    struct tm t;
    in_day += in_day < 0 ? DAY_MS : 0;
    if (!gmtime_r(&seconds, &t))
        return err_set(e, ERR_INVALID_RECORD, "the time %" PRId64 " is out of range", ms);
    char day[48] = "", moment[32] = "";
    if (!is_time)
        snprintf(day, sizeof(day), "%04d-%02d-%02d", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
    if (is_time || in_day)
        snprintf(moment, sizeof(moment), "%s%02d:%02d:%02d.%03dZ", is_time ? "" : "T",
                 (int)(in_day / 3600000), (int)(in_day / 60000 % 60), (int)(in_day / 1000 % 60),
                 (int)(in_day % 1000));
    return buf_printf(out, e, "%s%s", day, moment);
}

/* Only quotes and backslashes are escaped. `v`: a JSON string's inside. */
static int put_string(const struct jtext_token *v, struct buf *out, struct err *e)
{
    struct buf plain;
    buf_init(&plain, TEXT_MAX);
    int rc = jtext_unescape(&plain, v->p, v->n, e);
    rc = rc ? rc : buf_u8(out, '"', e);
    for (size_t i = 0; rc == ERR_OK && i < plain.len; i++) {
        if (plain.data[i] == '"' || plain.data[i] == '\\')
            rc = buf_u8(out, '\\', e);
        rc = rc ? rc : buf_u8(out, plain.data[i], e);
    }
    buf_free(&plain);
    return rc ? rc : buf_u8(out, '"', e);
}

/* Objects and arrays: as they are, but for their strings. */
static int put_nested(const struct jtext_token *v, struct buf *out, struct err *e)
{
    const char *p = v->p, *end = v->p + v->n;
    int rc = ERR_OK;
    while (rc == ERR_OK && p < end) {
        if (*p != '"') {
            rc = buf_u8(out, (uint8_t)*p++, e);
            continue;
        }
        const char *from = ++p;
        while (p < end && *p != '"')
            p += *p == '\\' ? 2 : 1;
        struct jtext_token inside = {JTEXT_STRING, from, (size_t)(p - from)};
        rc = put_string(&inside, out, e);
        p++;
    }
    return rc;
}

static bool is_named(const struct cdc_schema *s, const char *name)
{
    return s->name && strcmp(s->name, name) == 0;
}

static int put_value(const struct cdc_schema *s, const struct jtext_token *v, struct buf *out, struct err *e)
{
    if (v->type == JTEXT_NUMBER && is_named(s, CONNECT "Date"))
        return put_moment(strtoll(v->p, NULL, 10) * DAY_MS, false, out, e);
    if (v->type == JTEXT_NUMBER && (is_named(s, CONNECT "Time") || is_named(s, CONNECT "Timestamp")))
        return put_moment(strtoll(v->p, NULL, 10), is_named(s, CONNECT "Time"), out, e);
    if (v->type == JTEXT_STRING && is_named(s, CONNECT "Decimal"))
        return put_decimal(s, v, out, e);
    if (v->type == JTEXT_STRING && (strcmp(s->type, "\"float\"") == 0 || strcmp(s->type, "\"double\"") == 0))
        return buf_append(out, v->p, v->n, e); /* NaN, Infinity */
    if (v->type == JTEXT_STRING)
        return put_string(v, out, e);
    return v->type == JTEXT_OBJECT || v->type == JTEXT_ARRAY ? put_nested(v, out, e)
                                                             : buf_append(out, v->p, v->n, e);
}

int cdc_key_text(const struct cdc_table *t, const void *json, size_t n, struct buf *out, struct err *e)
{
    struct jtext_token name, value;
    size_t pos = 0;
    int rc = buf_u8(out, '{', e);
    for (size_t i = 0; rc == ERR_OK && i < t->key.count && jtext_next(json, n, &pos, &name, &value); i++) {
        rc = i ? buf_u8(out, ',', e) : ERR_OK;
        rc = rc ? rc : put_string(&name, out, e);
        rc = rc ? rc : buf_u8(out, ':', e);
        rc = rc ? rc : put_value(&t->key.items[i].column->schema, &value, out, e);
    }
    return rc ? rc : buf_u8(out, '}', e);
}
