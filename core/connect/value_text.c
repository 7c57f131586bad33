/*
 * value_text: values as Java's toString has them, for the string converter: {a=1}, [1, x], Struct{a=1},
 * Thu Jan 01 00:00:00 UTC 1970. Any thread.
 */
#include <time.h>

#include "connect/value_json.h"

static int write_text(struct buf *out, const struct leat_value *v, int depth, struct err *e);

static int write_many(struct buf *out, const struct leat_value *v, int depth, struct err *e)
{
    bool array = v->type == LEAT_TYPE_ARRAY, structure = v->type == LEAT_TYPE_STRUCT, first = true;
    int rc = buf_str(out, array ? "[" : structure ? "Struct{" : "{", e);
    for (size_t i = 0; rc == ERR_OK && i < v->many.count; i++) {
        const char *name;
        size_t n;
        const struct leat_value *item = value_at(v, i, &name, &n);
        if (structure && item->type == LEAT_TYPE_NULL)
            continue; /* Struct.toString leaves out what is null */
        if (!first)
            rc = buf_str(out, structure ? "," : ", ", e);
        first = false;
        if (rc == ERR_OK && !array && (rc = buf_append(out, name, n, e)) == ERR_OK)
            rc = buf_u8(out, '=', e);
        if (rc == ERR_OK)
            rc = write_text(out, item, depth + 1, e);
    }
    return rc == ERR_OK ? buf_u8(out, array ? ']' : '}', e) : rc;
}

/* java.util.Date.toString in UTC. */
static int write_date(struct buf *out, int64_t ms, struct err *e)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = ms / 1000 - (ms % 1000 < 0);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL)
        return err_set(e, ERR_INVALID, "the time %lld is out of range", (long long)ms);
    return buf_printf(out, e, "%s %s %02d %02d:%02d:%02d UTC %lld", days[tm.tm_wday], months[tm.tm_mon],
                      tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, 1900LL + tm.tm_year);
}

static int write_text(struct buf *out, const struct leat_value *v, int depth, struct err *e)
{
    if (depth > VALUE_MAX_DEPTH)
        return err_set(e, ERR_INVALID, "the value is nested deeper than %d", VALUE_MAX_DEPTH);
    switch (v->type) {
    case LEAT_TYPE_NULL:
        return buf_append(out, "null", 4, e);
    case LEAT_TYPE_BOOLEAN:
        return v->i ? buf_append(out, "true", 4, e) : buf_append(out, "false", 5, e);
    case LEAT_TYPE_FLOAT32:
    case LEAT_TYPE_FLOAT64:
        return text_double(out, v->d, v->type == LEAT_TYPE_FLOAT32, e);
    case LEAT_TYPE_STRING:
        return buf_append(out, v->bytes.p, v->bytes.n, e);
    case LEAT_TYPE_BYTES:
        return err_set(e, ERR_INVALID,
                       "the string converter cannot write BYTES; use the bytes or json converter");
    case LEAT_TYPE_DECIMAL:
        return text_decimal(out, v->bytes.p, v->bytes.n, v->scale, e);
    case LEAT_TYPE_ARRAY:
    case LEAT_TYPE_MAP:
    case LEAT_TYPE_STRUCT:
        return write_many(out, v, depth, e);
    case LEAT_TYPE_DATE:
        return write_date(out, v->i * 86400000, e);
    case LEAT_TYPE_TIME:
    case LEAT_TYPE_TIMESTAMP:
        return write_date(out, v->i, e);
    default:
        return text_int(out, v->i, e);
    }
}

int value_to_text(const struct leat_value *v, struct buf *out, struct err *e)
{
    return write_text(out, v, 0, e);
}
