/*
 * pg_copy: COPY's text format. A column ends with a tab, a row with a line feed, and neither is ever in a value: there they
 * are escaped with a backslash. Most values have none, so that they are found and not touched.
 */
#include "pg_copy.h"

#include <stdbool.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* What stands for the letter behind a backslash; others stand for themselves. */
static char meaning_of(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    default:
        return letter;
    }
}

/* The next tab, line feed or backslash; `end` if there is none. */
static char *find_special(char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i tab = _mm_set1_epi8('\t'), feed = _mm_set1_epi8('\n'), slash = _mm_set1_epi8('\\');
    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, slash),
                                   _mm_or_si128(_mm_cmpeq_epi8(x, tab), _mm_cmpeq_epi8(x, feed)));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p < end && *p != '\t' && *p != '\n' && *p != '\\')
        p++;
    return p;
}

/* Resolves escapes from the backslash at `p` up to the tab or line feed that ends the value; its end in *value_end. */
static char *resolve(char *p, const char *end, char **value_end)
{
    char *out = p;
    for (; p < end && *p != '\t' && *p != '\n'; p++) {
        if (*p == '\\' && p + 1 < end && p[1] != '\n')
            *out++ = meaning_of(*++p);
        else
            *out++ = *p;
    }
    *value_end = out;
    return p;
}

int pg_copy_split(char *row, char *end, struct cdc_cell *cells, size_t n, char **next, struct err *e)
{
    char *p = row;
    for (size_t i = 0; i < n; i++) {
        char *start = p, *value_end;
        p = value_end = find_special(p, end);
        enum cdc_state state = CDC_VALUE;
        if (p < end && *p == '\\') {
            if (p == start && end - p > 2 && p[1] == 'N' && (p[2] == '\t' || p[2] == '\n')) {
                state = CDC_NULL;
                p += 2;
            } else {
                p = resolve(p, end, &value_end);
            }
        }
        if (p == end)
            return err_set(e, ERR_CORRUPT, "COPY sent a row that does not end");
        if ((*p == '\n') != (i + 1 == n))
            return err_set(e, ERR_CORRUPT, "COPY sent a row of %s than %zu columns",
                           *p == '\n' ? "fewer" : "more", n);
        cells[i].data = start;
        cells[i].len = (size_t)(value_end - start);
        cells[i].state = state;
        p++;
    }
    *next = p;
    return ERR_OK;
}

static bool parse_ctid(const struct cdc_cell *c, uint32_t *block, uint32_t *tuple)
{
    const char *p = c->data, *end = p + c->len;
    uint64_t v[2] = {0, 0};
    if (c->state != CDC_VALUE || c->len < 5 || *p != '(' || end[-1] != ')')
        return false;
    int i = 0;
    for (p++; p < end - 1; p++) {
        if (*p == ',')
            i++;
        else if (*p >= '0' && *p <= '9' && v[i] <= UINT32_MAX)
            v[i] = v[i] * 10 + (uint64_t)(*p - '0');
        else
            return false;
        if (i > 1)
            return false;
    }
    if (i != 1 || v[0] > UINT32_MAX || v[1] > UINT16_MAX)
        return false;
    *block = (uint32_t)v[0];
    *tuple = (uint32_t)v[1];
    return true;
}

int pg_copy_ctid(const struct cdc_cell *c, uint32_t *block, uint32_t *tuple, struct err *e)
{
    return parse_ctid(c, block, tuple) ? ERR_OK : err_set(e, ERR_CORRUPT, "COPY sent no ctid");
}
