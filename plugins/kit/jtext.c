/*
 * kit/jtext: one iterative scanner serves compaction, search and walking; what is inside of strings is in jtext_string.c.
 * Any thread.
 */
#include "kit/jtext.h"

#include <stdint.h>
#include <string.h>

#include "kit/jtext_impl.h"

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

static bool scan_escape(struct scan *s)
{
    size_t left = (size_t)(s->end - s->p);
    if (left < 2)
        return bad(s, "the text ends in a string");
    if (s->p[1] == 'u') {
        for (size_t i = 2; i < 6; i++) {
            if (i >= left || !jtext_is_hex(s->p[i]))
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
        s->p = jtext_skim(s->p, s->end);
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
            size_t n = jtext_utf8(s->p, s->end);
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

int jtext_compact(struct buf *out, const void *text, size_t n, struct err *e)
{
    int rc = buf_reserve(out, n + 1, e); /* one more, so that there is memory to point to */
    if (rc != ERR_OK)
        return rc;
    const uint8_t *begin = jtext_start(text, n);
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

bool jtext_valid(const void *text, size_t n)
{
    const uint8_t *begin = jtext_start(text, n);
    struct scan s = {.begin = begin, .p = begin, .end = begin + n};
    if (!scan_value(&s))
        return false;
    skip_space(&s);
    return s.p == s.end;
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
    const uint8_t *begin = jtext_start(text, n);
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

bool jtext_next_item(const void *text, size_t n, size_t *pos, struct jtext_token *item)
{
    const uint8_t *begin = jtext_start(text, n);
    struct scan s = {.begin = begin, .p = begin + *pos, .end = begin + n};
    skip_space(&s);
    if (s.p == s.end || *s.p != (*pos ? ',' : '['))
        return false;
    s.p++;
    skip_space(&s);
    const uint8_t *at = s.p;
    if (s.p == s.end || !scan_value(&s))
        return false;
    token_set(item, type_at(at), at, s.p);
    *pos = (size_t)(s.p - begin);
    return true;
}

static bool find_member(const void *text, size_t n, const char *name, size_t name_n, struct jtext_token *out)
{
    struct jtext_token key, value;
    size_t pos = 0;
    bool found = false;
    while (jtext_next(text, n, &pos, &key, &value)) {
        if (jtext_equals(&key, name, name_n)) {
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
