/*
 * pg_decode_time: date, time, timestamp, with and without zone, in all of time.precision.mode.
 *
 * Infinite timestamps are the numbers that Debezium gets from the JDBC driver. Infinite dates are the ends of int32, as in
 * the server itself: Debezium's are both far in the past, and differ between stream and snapshot.
 */
#include <string.h>

#include "kit/cdc/cdc_put.h"
#include "pg_calendar.h"
#include "pg_decode.h"

#define INFINITY_US INT64_C(9223372036825200000)
#define MINUS_INFINITY_US INT64_C(-9223372036832400000)

static int put_infinity(struct buf *out, enum pg_infinity infinity, struct err *e)
{
    return infinity == PG_INFINITY ? buf_append(out, "\"infinity\"", 10, e)
                                   : buf_append(out, "\"-infinity\"", 11, e);
}

int pg_encode_date(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    struct pg_moment m;
    if (!pg_parse_date(data, n, &m))
        return pg_bad(c, e, "no date");
    if (m.infinity != PG_FINITE)
        return cdc_put_int(out, m.infinity == PG_INFINITY ? INT32_MAX : INT32_MIN, e);
    return cdc_put_int(out, m.days, e);
}

int pg_encode_date_iso(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    struct pg_moment m;
    if (!pg_parse_date(data, n, &m))
        return pg_bad(c, e, "no date");
    if (m.infinity != PG_FINITE)
        return put_infinity(out, m.infinity, e);
    uint8_t *to = pg_room(out, PG_DATE_SIZE + 3, e);
    if (!to)
        return e->code;
    *to++ = '"';
    to = pg_put_date(to, &m);
    *to++ = 'Z';
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

static bool parse_time(const struct cdc_column *c, const void *data, size_t n, int64_t *us)
{
    if (!pg_parse_time(data, n, us))
        return false;
    if (c->b == 1 && *us == PG_DAY_US)
        *us = 0;
    return true;
}

static int put_time(const struct cdc_column *c, const void *data, size_t n, int64_t factor, int64_t divisor,
                    struct buf *out, struct err *e)
{
    int64_t us;
    if (!parse_time(c, data, n, &us))
        return pg_bad(c, e, "no time");
    return cdc_put_int(out, us * factor / divisor, e);
}

int pg_encode_time_ms(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    return put_time(c, data, n, 1, 1000, out, e);
}

int pg_encode_time_us(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    return put_time(c, data, n, 1, 1, out, e);
}

int pg_encode_time_ns(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    return put_time(c, data, n, 1000, 1, out, e);
}

/* "07:08:09.12Z" */
static int put_zulu(struct buf *out, int64_t us, struct err *e)
{
    uint8_t *to = pg_room(out, PG_TIME_SIZE + 3, e);
    if (!to)
        return e->code;
    *to++ = '"';
    to = pg_put_time(to, us, -1);
    *to++ = 'Z';
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

int pg_encode_time_iso(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    int64_t us;
    if (!parse_time(c, data, n, &us))
        return pg_bad(c, e, "no time");
    return put_zulu(out, us % PG_DAY_US, e); /* Java has no 24:00 in the text of a time */
}

int pg_encode_timetz(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    int64_t us;
    int32_t offset_s;
    if (!pg_parse_timetz(data, n, &us, &offset_s))
        return pg_bad(c, e, "no time with time zone");
    us = (us - (int64_t)offset_s * 1000000 + PG_DAY_US) % PG_DAY_US;
    return put_zulu(out, us, e);
}

/* ---- timestamp -------------------------------------------------------------------------------------------------- */

static int64_t epoch_us(const struct pg_moment *m)
{
    if (m->infinity != PG_FINITE)
        return m->infinity == PG_INFINITY ? INFINITY_US : MINUS_INFINITY_US;
    return pg_moment_us(m);
}

int pg_encode_timestamp_us(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                           struct err *e)
{
    struct pg_moment m;
    if (!pg_parse_timestamp(data, n, false, &m))
        return pg_bad(c, e, "no timestamp");
    return cdc_put_int(out, epoch_us(&m), e);
}

int pg_encode_timestamp_ms(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                           struct err *e)
{
    struct pg_moment m;
    if (!pg_parse_timestamp(data, n, false, &m))
        return pg_bad(c, e, "no timestamp");
    if (m.infinity != PG_FINITE)
        return cdc_put_int(out, epoch_us(&m) / 1000, e);
    return cdc_put_int(out, m.days * (PG_DAY_US / 1000) + m.us / 1000, e);
}

int pg_encode_timestamp_ns(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                           struct err *e)
{
    struct pg_moment m;
    if (!pg_parse_timestamp(data, n, false, &m))
        return pg_bad(c, e, "no timestamp");
    int64_t us = epoch_us(&m), ns;
    if (__builtin_mul_overflow(us, 1000, &ns))
        ns = us < 0 ? INT64_MIN : INT64_MAX;
    return cdc_put_int(out, ns, e);
}

static int put_iso(struct buf *out, const struct pg_moment *m, int digits, struct err *e)
{
    if (m->infinity != PG_FINITE)
        return put_infinity(out, m->infinity, e);
    uint8_t *to = pg_room(out, PG_DATE_SIZE + PG_TIME_SIZE + 4, e);
    if (!to)
        return e->code;
    *to++ = '"';
    to = pg_put_date(to, m);
    *to++ = 'T';
    to = pg_put_time(to, m->us, digits);
    *to++ = 'Z';
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

int pg_encode_timestamp_iso(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                            struct err *e)
{
    struct pg_moment m;
    if (!pg_parse_timestamp(data, n, false, &m))
        return pg_bad(c, e, "no timestamp");
    return put_iso(out, &m, -1, e);
}

int pg_encode_timestamptz(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                          struct err *e)
{
    struct pg_moment m;
    if (!pg_parse_timestamp(data, n, true, &m))
        return pg_bad(c, e, "no timestamp with time zone");
    return put_iso(out, &m, c->a, e);
}
