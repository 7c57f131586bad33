/*
 * value: one option's value from text. Checks it against its row, and writes it in canonical YAML (durations in ms,
 * sizes in bytes, text in double quotes) that libcyaml loads. Any thread.
 */
#include "config/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const struct unit size_units[] = {
    {"TiB", (int64_t)1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
};

bool integer_parse(const char *text, int64_t *v)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (*digits < '0' || *digits > '9')
        return false;
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    *v = parsed;
    return *end == '\0' && errno == 0;
}

/* An integer and, after optional blanks, one of the units; without unit the integer itself. */
static bool parse_with_unit(const char *text, const struct unit *units, size_t n, int64_t *v)
{
    if (integer_parse(text, v))
        return true;
    size_t digits = strspn(text, "0123456789");
    char number[24];
    if (digits == 0 || digits >= sizeof(number))
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    const char *name = text + digits + strspn(text + digits, " ");
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, units[i].name) == 0)
            return integer_parse(number, v) && !__builtin_mul_overflow(*v, units[i].factor, v);
    return false;
}

bool duration_parse(const char *text, int64_t *ms)
{
    return parse_with_unit(text, duration_units, COUNT_OF(duration_units), ms);
}

bool size_parse(const char *text, int64_t *bytes)
{
    return parse_with_unit(text, size_units, COUNT_OF(size_units), bytes);
}

/* In the largest unit that divides it. */
static char *format_with_unit(int64_t v, const struct unit *units, size_t n, char *out, size_t size)
{
    for (size_t i = 0; i < n && v > 0; i++)
        if (v % units[i].factor == 0) {
            snprintf(out, size, "%" PRId64 "%s", v / units[i].factor, units[i].name);
            return out;
        }
    snprintf(out, size, "%" PRId64, v);
    return out;
}

char *duration_format(int64_t ms, char *out, size_t size)
{
    return format_with_unit(ms, duration_units, COUNT_OF(duration_units), out, size);
}

char *size_format(int64_t bytes, char *out, size_t size)
{
    /* 1000 bytes are "1000B", but plain numbers read better in tables: the last unit is left away */
    return format_with_unit(bytes, size_units, COUNT_OF(size_units) - 1, out, size);
}

bool choice_at(const char *choices, size_t i, const char **start, size_t *len)
{
    for (const char *p = choices; p; p = *p ? p + 1 : NULL) {
        size_t n = strcspn(p, "|");
        if (i-- == 0) {
            *start = p;
            *len = n;
            return true;
        }
        p += n;
        if (!*p)
            return false;
    }
    return false;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static char *bound_text(const struct leat_option *o, int64_t v, char *out, size_t size)
{
    if (o->type == LEAT_DURATION)
        return duration_format(v, out, size);
    if (o->type == LEAT_SIZE)
        return size_format(v, out, size);
    snprintf(out, size, "%" PRId64, v);
    return out;
}

static bool bounded(const struct leat_option *o)
{
    return o->min != 0 || o->max != 0;
}

static void range_text(const struct leat_option *o, char *why)
{
    char low[32], high[32];
    bound_text(o, o->min, low, sizeof(low));
    bound_text(o, o->max, high, sizeof(high));
    if (o->max == INT64_MAX)
        snprintf(why, CONFIG_WHY_MAX, "is out of range: at least %s", low);
    else
        snprintf(why, CONFIG_WHY_MAX, "is out of range: %s to %s", low, high);
}

static bool check_number(const struct leat_option *o, const char *text, int64_t *v, char *why)
{
    const char *expected = "is not a whole number";
    bool good;
    if (o->type == LEAT_DURATION) {
        good = duration_parse(text, v);
        expected = "is not a duration such as 500ms, 10s, 5m, 1h, 7d";
    } else if (o->type == LEAT_SIZE) {
        good = size_parse(text, v);
        expected = "is not a size such as 4096, 64KiB, 5MiB, 1GiB";
    } else {
        good = integer_parse(text, v);
    }
    if (!good) {
        snprintf(why, CONFIG_WHY_MAX, "%s", expected);
        return false;
    }
    /* without bounds: durations and sizes are never negative */
    bool low = bounded(o) ? *v < o->min : *v < 0 && o->type != LEAT_INT;
    if (!low && !(bounded(o) && *v > o->max))
        return true;
    if (bounded(o))
        range_text(o, why);
    else
        snprintf(why, CONFIG_WHY_MAX, "is negative");
    return false;
}

static bool check_double(const struct leat_option *o, const char *text, double *v, char *why)
{
    char *end;
    *v = strtod(text, &end);
    bool number = *text && strspn(text, "+-.0123456789eE") == strlen(text) && *end == '\0' && isfinite(*v);
    if (!number)
        snprintf(why, CONFIG_WHY_MAX, "is not a number");
    else if (bounded(o) && (*v < (double)o->min || *v > (double)o->max))
        range_text(o, why);
    else
        return true;
    return false;
}

static bool check_bool(const char *text, bool *v, char *why)
{
    *v = strcasecmp(text, "true") == 0;
    if (*v || strcasecmp(text, "false") == 0)
        return true;
    snprintf(why, CONFIG_WHY_MAX, "is neither true nor false");
    return false;
}

/* Up to 32 choices are considered for the nearest; they are copied, since they are not NUL-terminated. */
static void choice_hint(const char *choices, const char *text, char *why)
{
    char copies[32][64];
    const char *names[32];
    size_t n = 0, len;
    const char *start;
    for (size_t i = 0; n < COUNT_OF(names) && choice_at(choices, i, &start, &len); i++) {
        if (len >= sizeof(copies[0]))
            continue;
        memcpy(copies[n], start, len);
        copies[n][len] = '\0';
        names[n] = copies[n];
        n++;
    }
    const char *near = config_nearest(text, names, n);
    if (near) {
        snprintf(why, CONFIG_WHY_MAX, "is not known; did you mean \"%s\"?", near);
        return;
    }
    int used = snprintf(why, CONFIG_WHY_MAX, "%s", n == 1 ? "can only be " : "is none of ");
    for (size_t i = 0; used < CONFIG_WHY_MAX && choice_at(choices, i, &start, &len); i++)
        used +=
            snprintf(why + used, (size_t)(CONFIG_WHY_MAX - used), "%s%.*s", i ? ", " : "", (int)len, start);
}

/* In any case, as Kafka Connect's and Debezium's own. */
static bool check_choice(const char *choices, const char *text, char *why)
{
    const char *start;
    size_t len;
    for (size_t i = 0; choice_at(choices, i, &start, &len); i++)
        if (strlen(text) == len && strncasecmp(text, start, len) == 0)
            return true;
    choice_hint(choices, text, why);
    return false;
}

int value_check(const struct leat_option *o, const char *text, struct buf *yaml, bool *ok,
                char why[CONFIG_WHY_MAX], struct err *e)
{
    int64_t number;
    double real;
    bool flag;
    switch (o->type) {
    case LEAT_INT:
    case LEAT_DURATION:
    case LEAT_SIZE:
        *ok = check_number(o, text, &number, why);
        return *ok ? buf_printf(yaml, e, "%" PRId64, number) : ERR_OK;
    case LEAT_DOUBLE:
        *ok = check_double(o, text, &real, why);
        return *ok ? buf_printf(yaml, e, "%.17g", real) : ERR_OK;
    case LEAT_BOOL:
        *ok = check_bool(text, &flag, why);
        return *ok ? buf_str(yaml, flag ? "true" : "false", e) : ERR_OK;
    case LEAT_CHOICE:
        *ok = check_choice(o->choices, text, why);
        return *ok ? value_quote(text, yaml, e) : ERR_OK;
    case LEAT_STRING:
    case LEAT_LIST:
        *ok = value_utf8(text);
        if (!*ok)
            snprintf(why, CONFIG_WHY_MAX, "is not UTF-8");
        return *ok ? value_quote(text, yaml, e) : ERR_OK;
    }
    return err_set(e, ERR_INTERNAL, "option %s has the unknown type %d", o->name, (int)o->type);
}

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------- */

/* The code point at `p` and its length; 0 if it is not valid UTF-8 (RFC 3629). */
static size_t utf8_next(const unsigned char *p, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80             ? 1
               : (p[0] & 0xe0) == 0xc0 ? 2
               : (p[0] & 0xf0) == 0xe0 ? 3
               : (p[0] & 0xf8) == 0xf0 ? 4
                                       : 0;
    if (n < 2) {
        *code = p[0];
        return n;
    }
    uint32_t c = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) { /* a NUL ends this */
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    *code = c;
    return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

bool value_utf8(const char *text)
{
    uint32_t code;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = utf8_next(p, &code);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

int value_quote(const char *text, struct buf *yaml, struct err *e)
{
    int rc = buf_u8(yaml, '"', e);
    for (const unsigned char *p = (const unsigned char *)text; *p && rc == ERR_OK;) {
        uint32_t code;
        size_t n = utf8_next(p, &code);
        if (n == 0)
            return err_set(e, ERR_INTERNAL, "text that is not UTF-8 reached the YAML writer");
        if (code >= 0x80 || code < 0x20 || code == 0x7f)
            rc = buf_printf(yaml, e, "\\U%08X", code);
        else if (code == '"' || code == '\\')
            rc = buf_printf(yaml, e, "\\%c", (int)code);
        else
            rc = buf_u8(yaml, (uint8_t)code, e);
        p += n;
    }
    return rc ? rc : buf_u8(yaml, '"', e);
}

/* ---- for people -------------------------------------------------------------------------------------------------- */

/* Text as it is, in JSON's quotes if it would not stay on one line or its ends would not be seen. */
static int format_text(const char *s, struct buf *out, struct err *e)
{
    size_t n = strlen(s);
    bool plain = n > 0 && s[0] != ' ' && s[n - 1] != ' ' && s[0] != '"';
    for (size_t i = 0; i < n && plain; i++)
        plain = (unsigned char)s[i] >= 0x20 && s[i] != 0x7f;
    return plain ? buf_str(out, s, e) : buf_json_str(out, s, n, e);
}

int value_format(const struct leat_option *o, const struct slot *s, struct buf *out, struct err *e)
{
    char text[32];
    const char *start;
    size_t len;
    int rc;
    switch (o->type) {
    case LEAT_INT:
        return buf_printf(out, e, "%" PRId64, s->number);
    case LEAT_DURATION:
        return buf_str(out, duration_format(s->number, text, sizeof(text)), e);
    case LEAT_SIZE:
        return buf_str(out, size_format(s->number, text, sizeof(text)), e);
    case LEAT_DOUBLE:
        return buf_printf(out, e, "%.15g", s->real);
    case LEAT_BOOL:
        return buf_str(out, s->flag ? "true" : "false", e);
    case LEAT_CHOICE:
        if (!choice_at(o->choices, (size_t)s->number, &start, &len))
            return err_set(e, ERR_INTERNAL, "option %s has no choice %" PRId64, o->name, s->number);
        return buf_append(out, start, len, e);
    case LEAT_STRING:
        return format_text(s->text, out, e);
    case LEAT_LIST:
        rc = buf_u8(out, '[', e);
        for (uint64_t i = 0; i < s->count && rc == ERR_OK; i++) {
            rc = i ? buf_str(out, ", ", e) : ERR_OK;
            rc = rc ? rc : format_text(s->items[i], out, e);
        }
        return rc ? rc : buf_u8(out, ']', e);
    }
    return err_set(e, ERR_INTERNAL, "option %s has the unknown type %d", o->name, (int)o->type);
}
