/*
 * regex: see regex.h.
 */
#include "config/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "base/mem.h"

#define STEPS_MAX 1000000 /* of a match: names are short, so only a pattern that explodes needs more */

struct regex {
    pcre2_code *code;
    pcre2_match_context *limits;
    char *text;
};

struct regex *regex_new(const char *pattern, struct err *e)
{
    int number;
    PCRE2_SIZE at;
    struct regex *r = mem_calloc(1, sizeof(*r));
    if (!r || !(r->text = mem_strdup(pattern)) || !(r->limits = pcre2_match_context_create(NULL))) {
        regex_free(r);
        err_nomem(e);
        return NULL;
    }
    pcre2_set_match_limit(r->limits, STEPS_MAX);
    r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                            PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF, &number, &at, NULL);
    if (!r->code) {
        PCRE2_UCHAR why[160];
        pcre2_get_error_message(number, why, sizeof(why));
        err_set(e, ERR_INVALID, "is no regular expression: %s at character %zu", (char *)why, (size_t)at + 1);
        regex_free(r);
        return NULL;
    }
    return r;
}

void regex_free(struct regex *r)
{
    if (!r)
        return;
    pcre2_code_free(r->code);
    pcre2_match_context_free(r->limits);
    mem_free(r->text);
    mem_free(r);
}

bool regex_matches(const struct regex *r, const char *name)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    bool matches = data && pcre2_match(r->code, (PCRE2_SPTR)name, strlen(name), 0, 0, data, r->limits) >= 0;
    pcre2_match_data_free(data);
    return matches;
}

const char *regex_text(const struct regex *r)
{
    return r->text;
}
