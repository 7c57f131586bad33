/*
 * A check that bytes are one JSON value (RFC 8259), without building it: the values pass through as they came, so a
 * tree would be thrown away. Nesting is bounded, not recursive.
 */
#include <string.h>

#include "connectors/file/source_frame.h"

#define JSON_DEPTH_MAX 512

struct scan {
    const uint8_t *p, *end;
    uint8_t object[JSON_DEPTH_MAX / 8]; /* bit a level: object or array */
    size_t depth;
};

static void skip_blank(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
        s->p++;
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool scan_escape(struct scan *s)
{
    if (s->p == s->end)
        return false;
    uint8_t c = *s->p++;
    if (c == 'u') {
        for (int i = 0; i < 4; i++, s->p++)
            if (s->p == s->end || !is_hex(*s->p))
                return false;
        return true;
    }
    return c != 0 && strchr("\"\\/bfnrt", c) != NULL;
}

/* At the byte after the opening quote. */
static bool scan_string(struct scan *s)
{
    while (s->p < s->end) {
        uint8_t c = *s->p++;
        if (c == '"')
            return true;
        if (c < 0x20 || (c == '\\' && !scan_escape(s)))
            return false;
    }
    return false;
}

static bool scan_digits(struct scan *s)
{
    const uint8_t *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
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

static bool scan_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool in_object(const struct scan *s)
{
    return s->object[(s->depth - 1) / 8] >> ((s->depth - 1) % 8) & 1;
}

static bool push(struct scan *s, bool object)
{
    if (s->depth == JSON_DEPTH_MAX)
        return false;
    uint8_t bit = (uint8_t)(1u << (s->depth % 8));
    uint8_t *byte = &s->object[s->depth / 8];
    *byte = (uint8_t)(object ? *byte | bit : *byte & ~bit);
    s->depth++;
    return true;
}

static bool scan_key(struct scan *s)
{
    skip_blank(s);
    if (s->p == s->end || *s->p++ != '"' || !scan_string(s))
        return false;
    skip_blank(s);
    return s->p < s->end && *s->p++ == ':';
}

/* Opens containers until a scalar or an empty container has been read. */
static bool scan_to_scalar(struct scan *s)
{
    for (;;) {
        skip_blank(s);
        if (s->p == s->end)
            return false;
        uint8_t c = *s->p;
        if (c != '{' && c != '[')
            break;
        s->p++;
        if (!push(s, c == '{'))
            return false;
        skip_blank(s);
        if (s->p < s->end && *s->p == (c == '{' ? '}' : ']')) {
            s->p++;
            s->depth--;
            return true;
        }
        if (c == '{' && !scan_key(s))
            return false;
    }
    switch (*s->p) {
    case '"':
        s->p++;
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        return scan_number(s);
    }
}

bool json_is_value(const uint8_t *p, size_t n)
{
    struct scan s = {.p = p, .end = p + n};
    for (;;) {
        if (!scan_to_scalar(&s))
            return false;
        for (;;) { /* close what ends here */
            skip_blank(&s);
            if (s.depth == 0)
                return s.p == s.end;
            if (s.p == s.end)
                return false;
            bool object = in_object(&s);
            uint8_t c = *s.p++;
            if (c == (object ? '}' : ']')) {
                s.depth--;
                continue;
            }
            if (c != ',' || (object && !scan_key(&s)))
                return false;
            break;
        }
    }
}

bool json_is_blank(const uint8_t *p, size_t n)
{
    struct scan s = {.p = p, .end = p + n};
    skip_blank(&s);
    return s.p == s.end;
}
