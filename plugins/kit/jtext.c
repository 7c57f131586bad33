/*
 * kit/jtext: one iterative scanner serves compaction, search and walking. Strings are skimmed eight bytes at
 * a time. Any thread.
 */
#include "kit/jtext.h"

#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>

struct scan {
    const uint8_t *begin, *p, *end;
    const uint8_t *run;  /* compacting: start of what is not yet copied */
    uint8_t *out;        /* compacting: where it goes; NULL: only look */
    const char *problem; /* set by the first mistake, which stands at `p` */
};

static bool bad(struct scan *s, const char *problem)
{
    s->problem = problem;
    return false;
}

static void copy_run(struct scan *s)
{
    size_t n = (size_t)(s->p - s->run);
    memcpy(s->out, s->run, n);
    s->out += n;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void skip_space(struct scan *s)
{
    if (s->p == s->end || *s->p > ' ')
        return;
    if (s->out)
        copy_run(s);
    while (s->p < s->end && is_space(*s->p))
        s->p++;
    s->run = s->p;
}

/* Length of the well-formed UTF-8 sequence at p (a byte >= 0x80), 0 if it is none. */
static size_t utf8_sequence(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    uint8_t c = p[0];
    if (c >= 0xc2 && c <= 0xdf)
        return left >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef) {
        uint8_t low = c == 0xe0 ? 0xa0 : 0x80, high = c == 0xed ? 0x9f : 0xbf;
        return left >= 3 && p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 ? 3 : 0;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        uint8_t low = c == 0xf0 ? 0x90 : 0x80, high = c == 0xf4 ? 0x8f : 0xbf;
        return left >= 4 && p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 && (p[3] & 0xc0) == 0x80 ? 4
                                                                                                          : 0;
    }
    return 0;
}

/* Advances over bytes that mean nothing special in a string. */
static const uint8_t *skim(const uint8_t *p, const uint8_t *end)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    while (end - p >= 8) {
        uint64_t x;
        memcpy(&x, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        x = __builtin_bswap64(x);
#endif
        uint64_t quote = x ^ (ones * '"'), slash = x ^ (ones * '\\');
        /* False alarms of these tests stand only above a true one, and the lowest is what counts. */
        uint64_t hit = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((x - ones * 0x20) & ~x) | x;
        hit &= tops;
        if (hit)
            return p + (__builtin_ctzll(hit) >> 3);
        p += 8;
    }
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool scan_escape(struct scan *s)
{
    size_t left = (size_t)(s->end - s->p);
    if (left < 2)
        return bad(s, "the text ends in a string");
    if (s->p[1] == 'u') {
        for (size_t i = 2; i < 6; i++) {
            if (i >= left || !is_hex(s->p[i]))
                return bad(s, "\\u without four hexadecimal digits");
        }
        s->p += 6;
        return true;
    }
    if (s->p[1] == 0 || !strchr("\"\\/bfnrt", s->p[1]))
        return bad(s, "unknown escape in a string");
    s->p += 2;
    return true;
}

/* At the opening quote; ends after the closing one. */
static bool scan_string(struct scan *s)
{
    s->p++;
    for (;;) {
        s->p = skim(s->p, s->end);
        if (s->p == s->end)
            return bad(s, "the text ends in a string");
        uint8_t c = *s->p;
        if (c == '"') {
            s->p++;
            return true;
        }
        if (c == '\\') {
            if (!scan_escape(s))
                return false;
        } else if (c < 0x20) {
            return bad(s, "control character in a string");
        } else {
            size_t n = utf8_sequence(s->p, s->end);
            if (!n)
                return bad(s, "invalid UTF-8");
            s->p += n;
        }
    }
}

static bool scan_digits(struct scan *s)
{
    const uint8_t *start = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > start || bad(s, "digit expected");
}

static bool scan_number(struct scan *s)
{
    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!scan_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!scan_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(struct scan *s, const char *word, size_t n)
{
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return bad(s, "value expected");
    s->p += n;
    return true;
}

static bool scan_scalar(struct scan *s)
{
    switch (*s->p) {
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true", 4);
    case 'f':
        return scan_word(s, "false", 5);
    case 'n':
        return scan_word(s, "null", 4);
    case '-':
    case '0' ... '9':
        return scan_number(s);
    default:
        return bad(s, "value expected");
    }
}

/* A member's name and colon. */
static bool scan_name(struct scan *s)
{
    skip_space(s);
    if (s->p == s->end || *s->p != '"')
        return bad(s, "name of a member expected");
    if (!scan_string(s))
        return false;
    skip_space(s);
    if (s->p == s->end || *s->p != ':')
        return bad(s, "':' expected");
    s->p++;
    return true;
}

/* Containers that are open: a bit each, set for an object. */
struct nesting {
    uint64_t bits[(JTEXT_DEPTH_MAX + 63) / 64];
    unsigned depth;
};

static bool nesting_push(struct nesting *n, bool object)
{
    if (n->depth == JTEXT_DEPTH_MAX)
        return false;
    uint64_t bit = UINT64_C(1) << (n->depth % 64), *word = &n->bits[n->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    n->depth++;
    return true;
}

static bool nesting_object(const struct nesting *n)
{
    unsigned top = n->depth - 1;
    return n->bits[top / 64] >> (top % 64) & 1;
}

/* After a value: closes what ends here. *more: a further value follows at p. */
static bool scan_after(struct scan *s, struct nesting *n, bool *more)
{
    *more = false;
    while (n->depth) {
        skip_space(s);
        if (s->p == s->end)
            return bad(s, "the text ends early");
        bool object = nesting_object(n);
        if (*s->p == ',') {
            s->p++;
            *more = true;
            return !object || scan_name(s);
        }
        if (*s->p != (object ? '}' : ']'))
            return bad(s, object ? "',' or '}' expected" : "',' or ']' expected");
        s->p++;
        n->depth--;
    }
    return true;
}

/* One value with all that is in it, from p (white space allowed) to just behind it. */
static bool scan_value(struct scan *s)
{
    struct nesting n;
    n.depth = 0;
    bool more = true;
    while (more) {
        skip_space(s);
        if (s->p == s->end)
            return bad(s, "the text ends early");
        uint8_t c = *s->p;
        if (c == '{' || c == '[') {
            if (!nesting_push(&n, c == '{'))
                return bad(s, "nested too deeply");
            s->p++;
            skip_space(s);
            if (s->p < s->end && *s->p == (c == '{' ? '}' : ']')) {
                s->p++;
                n.depth--;
            } else {
                if (c == '{' && !scan_name(s))
                    return false;
                continue;
            }
        } else if (!scan_scalar(s)) {
            return false;
        }
        if (!scan_after(s, &n, &more))
            return false;
    }
    return true;
}

/* No bytes may come as NULL, with which C forbids even to add nothing. */
static const uint8_t *start_of(const void *text, size_t n)
{
    return n ? text : (const uint8_t *)"";
}

int jtext_compact(struct buf *out, const void *text, size_t n, struct err *e)
{
    int rc = buf_reserve(out, n + 1, e); /* one more, so that there is memory to point to */
    if (rc != ERR_OK)
        return rc;
    const uint8_t *begin = start_of(text, n);
    struct scan s = {.begin = begin, .p = begin, .end = begin + n, .run = begin, .out = out->data + out->len};
    if (scan_value(&s)) {
        copy_run(&s);
        s.run = s.p;
        uint8_t *stop = s.out;
        skip_space(&s);
        if (s.p == s.end) {
            out->len = (size_t)(stop - out->data);
            return ERR_OK;
        }
        bad(&s, "more text after the value");
    }
    return err_set(e, ERR_INVALID_RECORD, "not valid JSON: %s at byte %zu", s.problem,
                   (size_t)(s.p - s.begin));
}

static enum jtext_type type_at(const uint8_t *p)
{
    switch (*p) {
    case '"':
        return JTEXT_STRING;
    case '{':
        return JTEXT_OBJECT;
    case '[':
        return JTEXT_ARRAY;
    case 't':
        return JTEXT_TRUE;
    case 'f':
        return JTEXT_FALSE;
    case 'n':
        return JTEXT_NULL;
    default:
        return JTEXT_NUMBER;
    }
}

static void token_set(struct jtext_token *t, enum jtext_type type, const uint8_t *p, const uint8_t *end)
{
    size_t quote = type == JTEXT_STRING;
    *t = (struct jtext_token){.type = type, .p = (const char *)p + quote, .n = (size_t)(end - p) - 2 * quote};
}

bool jtext_next(const void *text, size_t n, size_t *pos, struct jtext_token *name, struct jtext_token *value)
{
    const uint8_t *begin = start_of(text, n);
    struct scan s = {.begin = begin, .p = begin + *pos, .end = begin + n};
    skip_space(&s);
    if (s.p == s.end || *s.p != (*pos ? ',' : '{'))
        return false;
    s.p++;
    skip_space(&s);
    const uint8_t *name_at = s.p;
    if (s.p == s.end || *s.p != '"' || !scan_string(&s))
        return false;
    token_set(name, JTEXT_STRING, name_at, s.p);
    skip_space(&s);
    if (s.p == s.end || *s.p != ':')
        return false;
    s.p++;
    skip_space(&s);
    const uint8_t *value_at = s.p;
    if (!scan_value(&s))
        return false;
    token_set(value, type_at(value_at), value_at, s.p);
    *pos = (size_t)(s.p - begin);
    return true;
}

static unsigned hex4(const uint8_t *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i];
        v = v << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

static size_t utf8_put(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static bool has_hex4(const uint8_t *p, const uint8_t *end)
{
    return end - p >= 6 && p[0] == '\\' && p[1] == 'u' && is_hex(p[2]) && is_hex(p[3]) && is_hex(p[4]) &&
           is_hex(p[5]);
}

/* Decodes the escape at p (a backslash); returns behind it. What is no escape stands for itself. */
static const uint8_t *decode_escape(const uint8_t *p, const uint8_t *end, uint8_t out[4], size_t *n)
{
    static const char from[] = "bfnrt\"\\/", to[] = "\b\f\n\r\t\"\\/";
    if (has_hex4(p, end)) {
        uint32_t c = hex4(p + 2);
        p += 6;
        if (c >= 0xd800 && c <= 0xdbff && has_hex4(p, end)) {
            uint32_t low = hex4(p + 2);
            if (low >= 0xdc00 && low <= 0xdfff) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                p += 6;
            }
        }
        *n = utf8_put(out, c >= 0xd800 && c <= 0xdfff ? 0xfffd : c);
        return p;
    }
    const char *known = end - p >= 2 && p[1] ? strchr(from, p[1]) : NULL;
    out[0] = known ? (uint8_t)to[known - from] : p[0];
    *n = 1;
    return p + (known ? 2 : 1);
}

/* Whether the escaped string stands for `name`. */
static bool escaped_equals(const struct jtext_token *t, const char *name, size_t name_n)
{
    if (!memchr(t->p, '\\', t->n))
        return t->n == name_n && memcmp(t->p, name, name_n) == 0;
    const uint8_t *p = (const uint8_t *)t->p, *end = p + t->n;
    size_t at = 0;
    while (p < end) {
        uint8_t c[4] = {*p};
        size_t n = 1;
        p = *p == '\\' ? decode_escape(p, end, c, &n) : p + 1;
        if (name_n - at < n || memcmp(name + at, c, n) != 0)
            return false;
        at += n;
    }
    return at == name_n;
}

static bool find_member(const void *text, size_t n, const char *name, size_t name_n, struct jtext_token *out)
{
    struct jtext_token key, value;
    size_t pos = 0;
    bool found = false;
    while (jtext_next(text, n, &pos, &key, &value)) {
        if (escaped_equals(&key, name, name_n)) {
            *out = value;
            found = true;
        }
    }
    return found;
}

bool jtext_find(const void *text, size_t n, const char *path, struct jtext_token *out)
{
    for (;;) {
        size_t name_n = strcspn(path, ".");
        if (!find_member(text, n, path, name_n, out))
            return false;
        if (path[name_n] == '\0')
            return true;
        path += name_n + 1;
        if (out->type != JTEXT_OBJECT)
            return false;
        text = out->p;
        n = out->n;
    }
}

int jtext_unescape(struct buf *out, const char *text, size_t n, struct err *e)
{
    int rc = buf_reserve(out, n + 1, e); /* an escape is never shorter than what it stands for */
    if (rc != ERR_OK)
        return rc;
    const uint8_t *p = start_of(text, n), *end = p + n;
    uint8_t *to = out->data + out->len;
    while (p < end) {
        const uint8_t *slash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((slash ? slash : end) - p);
        memcpy(to, p, plain);
        to += plain;
        p += plain;
        if (slash) {
            size_t got;
            uint8_t c[4];
            p = decode_escape(p, end, c, &got);
            memcpy(to, c, got);
            to += got;
        }
    }
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

static int append_escaped(struct buf *out, uint8_t c, struct err *e)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    if (c >= 0x80)
        return buf_append(out, "\xef\xbf\xbd", 3, e);
    const char *known = c ? strchr(from, c) : NULL;
    if (!known)
        return buf_printf(out, e, "\\u%04x", c);
    const char pair[2] = {'\\', to[known - from]};
    return buf_append(out, pair, 2, e);
}

int jtext_string(struct buf *out, const void *text, size_t n, struct err *e)
{
    const uint8_t *p = start_of(text, n), *end = p + n, *run = p;
    size_t before = out->len;
    int rc = buf_reserve(out, n + 2, e);
    if (rc == ERR_OK)
        rc = buf_append(out, "\"", 1, e);
    while (rc == ERR_OK) {
        p = skim(p, end);
        size_t good = p < end && *p >= 0x80 ? utf8_sequence(p, end) : 0;
        if (good) {
            p += good;
            continue;
        }
        rc = buf_append(out, run, (size_t)(p - run), e);
        if (rc != ERR_OK || p == end)
            break;
        rc = append_escaped(out, *p, e);
        run = ++p;
    }
    if (rc == ERR_OK)
        rc = buf_append(out, "\"", 1, e);
    if (rc != ERR_OK)
        out->len = before;
    return rc;
}

int jtext_base64(struct buf *out, const void *data, size_t n, bool quoted, struct err *e)
{
    if (n > INT32_MAX / 2)
        return err_set(e, ERR_TOO_LARGE, "%zu bytes are too many for base64", n);
    size_t quotes = quoted ? 2 : 0;
    int rc = buf_reserve(out, (n + 2) / 3 * 4 + 1 + quotes, e); /* the library adds a NUL */
    if (rc != ERR_OK)
        return rc;
    uint8_t *to = out->data + out->len;
    if (quoted)
        *to++ = '"';
    to += EVP_EncodeBlock(to, data, (int)n);
    if (quoted)
        *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}
