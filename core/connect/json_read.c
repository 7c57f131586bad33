/*
 * json_read: the JSON reader (RFC 8259) behind value_from_json. Recursive, bounded by VALUE_MAX_DEPTH; never
 * reads past the end it was given; memory comes from the arena, whose cap bounds it. No state of its own; any
 * thread.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connect/value_json.h"

struct reader {
    const uint8_t *start, *p, *end;
    struct arena *arena;
    bool borrow;
    int depth;
    struct err *e;
};

static struct leat_value *read_value(struct reader *r);

static struct leat_value *bad(struct reader *r, const char *what)
{
    err_set(r->e, ERR_INVALID, "not valid JSON at byte %zu: %s", (size_t)(r->p - r->start), what);
    return NULL;
}

static struct leat_value *made(struct reader *r, struct leat_value *v)
{
    if (v == NULL)
        err_nomem(r->e);
    return v;
}

static void skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
}

/* Steps over bytes that stand for themselves in a string, eight at a time. */
static const uint8_t *skip_plain(const uint8_t *p, const uint8_t *end)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    while (end - p >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
        /* A high bit shows a byte that is zero after the xor, below 0x20, or not ASCII. */
        if ((((quote - ones) & ~quote) | ((slash - ones) & ~slash) | (w - ones * 0x20) | w) & highs)
            break;
        p += 8;
    }
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static int hex4(const uint8_t *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = p[i] | 0x20;
        int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (uint8_t)c;
    } else if (c < 0x800) {
        *out++ = (uint8_t)(0xc0 | c >> 6);
        *out++ = (uint8_t)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (uint8_t)(0xe0 | c >> 12);
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        *out++ = (uint8_t)(0xf0 | c >> 18);
        *out++ = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (c & 0x3f));
    }
    return out;
}

/* After "\u": one code point, from a surrogate pair if need be; a lone surrogate is U+FFFD. */
static const uint8_t *decode_unicode(const uint8_t *p, uint8_t **out)
{
    uint32_t c = (uint32_t)hex4(p);
    p += 4;
    if (c >= 0xd800 && c < 0xdc00 && p[0] == '\\' && p[1] == 'u') {
        uint32_t low = (uint32_t)hex4(p + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            p += 6;
        }
    }
    if (c >= 0xd800 && c < 0xe000)
        c = 0xfffd;
    *out = put_utf8(*out, c);
    return p;
}

/* Decodes checked bytes [p, end) with escapes; the quote that follows makes looking ahead safe. */
static size_t decode(const uint8_t *p, const uint8_t *end, uint8_t *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint8_t *start = out;
    while (p < end) {
        if (*p != '\\') {
            *out++ = *p++;
        } else if (p[1] == 'u') {
            p = decode_unicode(p + 2, &out);
        } else {
            *out++ = (uint8_t)to[strchr(from, p[1]) - from];
            p += 2;
        }
    }
    return (size_t)(out - start);
}

/* Checks one escape at r->p. */
static bool check_escape(struct reader *r)
{
    size_t left = (size_t)(r->end - r->p);
    if (left >= 2 && r->p[1] == 'u' && left >= 6 && hex4(r->p + 2) >= 0) {
        r->p += 6;
        return true;
    }
    if (left >= 2 && r->p[1] != 0 && strchr("\"\\/bfnrt", r->p[1]) != NULL) {
        r->p += 2;
        return true;
    }
    bad(r, "unknown escape");
    return false;
}

/* Reads a string with its quotes; *out is borrowed or in the arena. */
static bool read_string(struct reader *r, const uint8_t **out, size_t *n)
{
    if (r->p >= r->end || *r->p != '"') {
        bad(r, "a string is expected");
        return false;
    }
    const uint8_t *start = ++r->p;
    bool escapes = false;
    for (;;) {
        r->p = skip_plain(r->p, r->end);
        if (r->p >= r->end) {
            bad(r, "the string does not end");
            return false;
        }
        if (*r->p == '"')
            break;
        if (*r->p == '\\') {
            escapes = true;
            if (!check_escape(r))
                return false;
            continue;
        }
        size_t len = *r->p < 0x20 ? 0 : utf8_length(r->p, (size_t)(r->end - r->p));
        if (len == 0) {
            bad(r, *r->p < 0x20 ? "a control character must be escaped" : "not UTF-8");
            return false;
        }
        r->p += len;
    }
    const uint8_t *end = r->p++;
    *out = start;
    *n = (size_t)(end - start);
    if (!escapes && r->borrow)
        return true;
    uint8_t *copy = arena_alloc(r->arena, *n + 1);
    if (copy == NULL) {
        err_nomem(r->e);
        return false;
    }
    if (escapes)
        *n = decode(start, end, copy);
    else
        memcpy(copy, start, *n);
    copy[*n] = 0;
    *out = copy;
    return true;
}

/* A number that the fast way cannot do exactly: the C library on a copy with an end. */
static struct leat_value *slow_number(struct reader *r, const uint8_t *start, size_t n)
{
    char small[64], *text = n < sizeof(small) ? small : arena_alloc(r->arena, n + 1);
    if (text == NULL)
        return made(r, NULL);
    memcpy(text, start, n);
    text[n] = 0;
    double d = strtod(text, NULL);
    if (isinf(d)) {
        r->p = start;
        return bad(r, "the number is out of range");
    }
    return value_float(r->arena, LEAT_TYPE_FLOAT64, d, r->e);
}

/* Digits at r->p into *v as long as they fit; counts them. False: none. */
static int read_digits(struct reader *r, uint64_t *v, bool *fits)
{
    int digits = 0;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++, digits += digits < INT32_MAX) {
        uint64_t d = (uint64_t)(*r->p - '0');
        if (*v > (UINT64_MAX - d) / 10)
            *fits = false;
        else
            *v = *v * 10 + d;
    }
    return digits;
}

static struct leat_value *read_number(struct reader *r)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const uint8_t *start = r->p;
    bool minus = *r->p == '-', fits = true, integer = true;
    uint64_t v = 0;
    r->p += minus;
    const uint8_t *first = r->p;
    int digits = read_digits(r, &v, &fits), fraction = 0;
    if (digits == 0 || (*first == '0' && digits > 1))
        return bad(r, digits == 0 ? "a digit is expected" : "a number must not start with 0");
    if (r->p < r->end && *r->p == '.') {
        r->p++;
        integer = false;
        if ((fraction = read_digits(r, &v, &fits)) == 0)
            return bad(r, "a digit is expected after the point");
    }
    int64_t exponent = 0;
    if (r->p < r->end && (*r->p | 0x20) == 'e') {
        integer = false;
        uint64_t x = 0;
        bool small = true, down = false;
        if (++r->p < r->end && (*r->p == '-' || *r->p == '+'))
            down = *r->p++ == '-';
        if (read_digits(r, &x, &small) == 0)
            return bad(r, "a digit is expected in the exponent");
        exponent = !small || x > 10000 ? 10000 : (int64_t)x;
        exponent = down ? -exponent : exponent;
    }
    if (integer && fits && v <= (uint64_t)INT64_MAX + minus)
        return value_int(r->arena, LEAT_TYPE_INT64, minus ? (int64_t)(0 - v) : (int64_t)v, r->e);
    exponent -= fraction;
    /* Both factors are exact as doubles, so the product or quotient is rounded once: the right result. */
    if (fits && v <= (uint64_t)1 << 53 && exponent >= -22 && exponent <= 22) {
        double d = exponent < 0 ? (double)v / powers[-exponent] : (double)v * powers[exponent];
        return value_float(r->arena, LEAT_TYPE_FLOAT64, minus ? -d : d, r->e);
    }
    return slow_number(r, start, (size_t)(r->p - start));
}

static bool read_word(struct reader *r, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return false;
    r->p += n;
    return true;
}

/* After an item: true when another follows, false at the closing bracket (r->p behind it) or, with *ok false,
 * on error. */
static bool another(struct reader *r, uint8_t close, bool *ok)
{
    skip_space(r);
    *ok = true;
    if (r->p < r->end && *r->p == ',') {
        r->p++;
        skip_space(r);
        return true;
    }
    if (r->p < r->end && *r->p == close) {
        r->p++;
        return false;
    }
    *ok = false;
    bad(r, close == ']' ? "',' or ']' is expected" : "',' or '}' is expected");
    return false;
}

static bool empty(struct reader *r, uint8_t close)
{
    r->p++;
    skip_space(r);
    if (r->p >= r->end || *r->p != close)
        return false;
    r->p++;
    return true;
}

static struct leat_value *read_array(struct reader *r)
{
    struct leat_value *array = made(r, value_array(r->arena));
    if (array == NULL || empty(r, ']'))
        return array;
    bool ok;
    do {
        struct leat_value *item = read_value(r);
        if (item == NULL || value_push(array, item, r->e) != ERR_OK)
            return NULL;
    } while (another(r, ']', &ok));
    return ok ? array : NULL;
}

static struct leat_value *read_object(struct reader *r)
{
    struct leat_value *map = made(r, value_map(r->arena));
    if (map == NULL || empty(r, '}'))
        return map;
    bool ok;
    do {
        const uint8_t *name;
        size_t n;
        if (!read_string(r, &name, &n))
            return NULL;
        skip_space(r);
        if (r->p >= r->end || *r->p != ':')
            return bad(r, "':' is expected");
        r->p++;
        struct leat_value *item = read_value(r);
        if (item == NULL || value_set_borrowed(map, (const char *)name, n, item, r->e) != ERR_OK)
            return NULL;
    } while (another(r, '}', &ok));
    return ok ? map : NULL;
}

static struct leat_value *read_nested(struct reader *r)
{
    if (r->depth == VALUE_MAX_DEPTH)
        return bad(r, "nested too deep");
    r->depth++;
    struct leat_value *v = *r->p == '{' ? read_object(r) : read_array(r);
    r->depth--;
    return v;
}

static struct leat_value *read_value(struct reader *r)
{
    skip_space(r);
    if (r->p >= r->end)
        return bad(r, "the text ends early");
    const uint8_t *s;
    size_t n;
    switch (*r->p) {
    case '{':
    case '[':
        return read_nested(r);
    case '"':
        return read_string(r, &s, &n) ? made(r, value_borrow(r->arena, LEAT_TYPE_STRING, s, n)) : NULL;
    case 't':
        return read_word(r, "true") ? made(r, value_bool(r->arena, true)) : bad(r, "unknown word");
    case 'f':
        return read_word(r, "false") ? made(r, value_bool(r->arena, false)) : bad(r, "unknown word");
    case 'n':
        return read_word(r, "null") ? made(r, value_null(r->arena)) : bad(r, "unknown word");
    default:
        return *r->p == '-' || (*r->p >= '0' && *r->p <= '9') ? read_number(r)
                                                              : bad(r, "a value is expected");
    }
}

struct leat_value *value_from_json(struct arena *a, const void *json, size_t n, unsigned flags, struct err *e)
{
    struct reader r = {.start = json, .p = json, .end = (const uint8_t *)json + n, .arena = a, .e = e};
    r.borrow = (flags & JSON_BORROW) != 0;
    if (n == 0)
        return made(&r, value_null(a));
    struct leat_value *v = read_value(&r);
    if (v == NULL || (flags & JSON_TRAILING))
        return v;
    skip_space(&r);
    return r.p == r.end ? v : bad(&r, "something follows the value");
}
