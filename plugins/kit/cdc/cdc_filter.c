/*
 * cdc_filter: expressions by PCRE2, compiled once with its JIT where there is one. What java.util.regex and PCRE2 read alike
 * (all that table lists use) is passed on as it is.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "kit/cdc/cdc_filter.h"

#include <ctype.h>
#include <pcre2.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define TEXT_MAX 65536 /* of a replaced name */

struct cdc_regex {
    pcre2_code *code;
    pcre2_match_data *match;
    char *option;
};

int cdc_regex_new(const char *option, const char *pattern, size_t n, bool fold, struct cdc_regex **out,
                  struct err *e)
{
    *out = NULL;
    struct cdc_regex *r = mem_calloc(1, sizeof(*r));
    if (!r || !(r->option = mem_strdup(option))) {
        cdc_regex_free(r);
        return err_nomem(e);
    }
    int code;
    PCRE2_SIZE at;
    uint32_t flags = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    r->code = pcre2_compile((PCRE2_SPTR)pattern, n, flags | (fold ? PCRE2_CASELESS : 0), &code, &at, NULL);
    if (!r->code) {
        PCRE2_UCHAR why[128];
        pcre2_get_error_message(code, why, sizeof(why));
        cdc_regex_free(r);
        return err_set(e, ERR_INVALID_CONFIG, "%s: the regular expression \"%.*s\": %s at character %zu",
                       option, (int)n, pattern, (const char *)why, (size_t)at + 1);
    }
    pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without it the interpreter matches */
    r->match = pcre2_match_data_create_from_pattern(r->code, NULL);
    if (!r->match) {
        cdc_regex_free(r);
        return err_nomem(e);
    }
    *out = r;
    return ERR_OK;
}

void cdc_regex_free(struct cdc_regex *r)
{
    if (!r)
        return;
    pcre2_match_data_free(r->match);
    pcre2_code_free(r->code);
    mem_free(r->option);
    mem_free(r);
}

/*
 * What the JIT makes has 32 KiB of stack: a text of some thousand characters, such as the prefix of a logical message, can need more
 * where alternatives are repeated. The interpreter takes memory instead.
 */
static int match(const struct cdc_regex *r, const char *text, uint32_t *flags)
{
    *flags = 0;
    int rc = pcre2_match(r->code, (PCRE2_SPTR)text, strlen(text), 0, *flags, r->match, NULL);
    if (rc != PCRE2_ERROR_JIT_STACKLIMIT)
        return rc;
    *flags = PCRE2_NO_JIT;
    return pcre2_match(r->code, (PCRE2_SPTR)text, strlen(text), 0, *flags, r->match, NULL);
}

bool cdc_regex_matches(const struct cdc_regex *r, const char *text)
{
    uint32_t flags;
    return match(r, text, &flags) >= 0;
}

int cdc_regex_replace(const struct cdc_regex *r, const char *text, const char *replacement, char **out,
                      struct err *e)
{
    uint32_t flags;
    *out = NULL;
    if (match(r, text, &flags) < 0)
        return ERR_OK;
    flags |= PCRE2_SUBSTITUTE_OVERFLOW_LENGTH | PCRE2_SUBSTITUTE_UNSET_EMPTY;
    PCRE2_SIZE n = strlen(text) + strlen(replacement) + 256;
    for (;;) {
        char *to = mem_alloc(n);
        if (!to)
            return err_nomem(e);
        int rc = pcre2_substitute(r->code, (PCRE2_SPTR)text, strlen(text), 0, flags, r->match, NULL,
                                  (PCRE2_SPTR)replacement, strlen(replacement), (PCRE2_UCHAR *)to, &n);
        if (rc >= 0) {
            *out = to;
            return ERR_OK;
        }
        mem_free(to);
        if (rc != PCRE2_ERROR_NOMEMORY || n > TEXT_MAX) {
            PCRE2_UCHAR why[128];
            pcre2_get_error_message(rc, why, sizeof(why));
            return err_set(e, ERR_INVALID_CONFIG, "%s: the replacement \"%s\": %s", r->option, replacement,
                           (const char *)why);
        }
    }
}

/* ---- lists --------------------------------------------------------------------------------------------------------- */

static int add(struct cdc_filter *f, const char *option, const char *p, size_t n, struct err *e)
{
    while (n && isspace((unsigned char)*p))
        p++, n--;
    while (n && isspace((unsigned char)p[n - 1]))
        n--;
    if (n == 0)
        return ERR_OK;
    struct cdc_regex **items = mem_realloc_array(f->items, f->count + 1, sizeof(*items));
    if (!items)
        return err_nomem(e);
    f->items = items;
    int rc = cdc_regex_new(option, p, n, true, &f->items[f->count], e);
    if (rc == ERR_OK)
        f->count++;
    return rc;
}

/* A comma that an odd number of backslashes stands before belongs to the expression. */
static bool escaped(const char *begin, const char *comma)
{
    size_t n = 0;
    while (comma > begin && *--comma == '\\')
        n++;
    return n % 2;
}

int cdc_filter_parse(const char *option, const char *text, struct cdc_filter *out, struct err *e)
{
    *out = (struct cdc_filter){0};
    int rc = ERR_OK;
    const char *begin = text;
    for (const char *p = text; rc == ERR_OK; p++) {
        if (*p && (*p != ',' || escaped(begin, p)))
            continue;
        rc = add(out, option, begin, (size_t)(p - begin), e);
        if (!*p)
            break;
        begin = p + 1;
    }
    if (rc)
        cdc_filter_free(out);
    return rc;
}

int cdc_filter_read(const char *option, const char *const *items, size_t n, struct cdc_filter *out,
                    struct err *e)
{
    *out = (struct cdc_filter){0};
    struct buf joined;
    buf_init(&joined, 1 << 20);
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        rc = buf_str(&joined, items[i], e);
        if (rc == ERR_OK && i + 1 < n &&
            escaped((const char *)joined.data, (const char *)joined.data + joined.len))
            rc = buf_u8(&joined, ',', e);
        else if (rc == ERR_OK) {
            rc = add(out, option, (const char *)joined.data, joined.len, e);
            buf_reset(&joined);
        }
    }
    buf_free(&joined);
    if (rc)
        cdc_filter_free(out);
    return rc;
}

void cdc_filter_free(struct cdc_filter *f)
{
    for (size_t i = 0; i < f->count; i++)
        cdc_regex_free(f->items[i]);
    mem_free(f->items);
    *f = (struct cdc_filter){0};
}

bool cdc_filter_matches(const struct cdc_filter *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (cdc_regex_matches(f->items[i], name))
            return true;
    return false;
}
