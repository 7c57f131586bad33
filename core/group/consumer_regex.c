/*
 * consumer_regex: see consumer_regex.h.
 */
#include "group/consumer_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define STEPS_MAX 1000   /* with which a match is tried first */
#define STATES_ROOM 2048 /* numbers for the states of the other way */
#define COMPILED_MAX ((size_t)16 << 10)
#define REPEAT_MAX 1000 /* RE2's */
#define ESCAPES "aftnrvdDsSwWbBAzQEpPx0"

struct topic_regex {
    pcre2_code *code;
    pcre2_match_context *limits;
    pcre2_match_data *data;
};

/* ---- what RE2 has not ---- */

static int refuse(const char *what, struct err *e)
{
    return err_set(e, ERR_INVALID, "%s", what);
}

/* After a backslash: the end of what it escapes. */
static const char *escape(const char *p, struct err *e)
{
    if (isalnum((unsigned char)*p) && strchr(ESCAPES, *p) == NULL) {
        refuse("invalid escape sequence", e);
        return NULL;
    }
    if (*p != 'Q')
        return *p != '\0' ? p + 1 : p; /* the compiler says what is wrong with the end */
    const char *end = strstr(p, "\\E");
    return end != NULL ? end + 2 : p + strlen(p);
}

/* After "[": behind "]". */
static const char *set(const char *p, struct err *e)
{
    if (*p == '^')
        p++;
    if (*p == ']')
        p++;
    while (*p != '\0' && *p != ']') {
        const char *name = p[0] == '[' && p[1] == ':' ? strstr(p + 2, ":]") : NULL;
        if (*p == '\\')
            p = escape(p + 1, e);
        else
            p = name != NULL ? name + 2 : p + 1;
        if (p == NULL)
            return NULL;
    }
    return *p != '\0' ? p + 1 : p;
}

/* After "(": behind what says what kind of a group it is. */
static const char *group(const char *p, struct err *e)
{
    if (*p == '*') {
        refuse("missing argument to repetition operator", e);
        return NULL;
    }
    if (*p != '?')
        return p;
    p++;
    if (*p == 'P' && p[1] == '<')
        p++;
    if (*p == '<' && p[1] != '=' && p[1] != '!')
        return p + 1;
    size_t flags = strspn(p, "imsU-");
    if (p[flags] == ':' || (flags > 0 && p[flags] == ')'))
        return p + flags; /* ")" closes it */
    refuse("invalid or unsupported Perl syntax", e);
    return NULL;
}

/* At "{": behind "}" if it is a repetition. */
static const char *repetition(const char *p, struct err *e)
{
    char *end;
    long least = strtol(p + 1, &end, 10), most = least;
    if (!isdigit((unsigned char)p[1]))
        return p + 1;
    if (*end == ',' && end[1] != '}')
        most = strtol(end + 1, &end, 10);
    else if (*end == ',')
        end++;
    if (*end != '}')
        return p + 1;
    if (least > REPEAT_MAX || most > REPEAT_MAX) {
        refuse("invalid repeat count", e);
        return NULL;
    }
    return end + 1;
}

static int check(const char *p, struct err *e)
{
    bool repeats = false; /* what is before `p` is a repetition */
    while (p != NULL && *p != '\0') {
        bool after = repeats;
        repeats = *p == '*' || *p == '+' || *p == '?' || *p == '{';
        if (*p == '+' && after)
            return refuse("invalid nested repetition operator", e);
        if (*p == '\\') {
            p = escape(p + 1, e);
        } else if (*p == '[') {
            p = set(p + 1, e);
        } else if (*p == '(') {
            p = group(p + 1, e);
        } else if (*p == '{') {
            const char *next = repetition(p, e);
            repeats = next != p + 1;
            p = next;
        } else {
            p++;
        }
    }
    return p != NULL ? ERR_OK : e->code;
}

/* ---- */

static bool compile(struct topic_regex *r, const char *pattern, struct err *e)
{
    int number;
    PCRE2_SIZE at;
    size_t size;
    r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                            PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &number,
                            &at, NULL);
    if (r->code == NULL) {
        PCRE2_UCHAR why[160];
        pcre2_get_error_message(number, why, sizeof why);
        err_set(e, ERR_INVALID, "%s at character %zu", (const char *)why, (size_t)at + 1);
        return false;
    }
    if (pcre2_pattern_info(r->code, PCRE2_INFO_SIZE, &size) == 0 && size <= COMPILED_MAX)
        return true;
    err_set(e, ERR_INVALID, "expression too large");
    return false;
}

struct topic_regex *topic_regex_new(const char *pattern, struct err *e)
{
    if (strlen(pattern) > TOPIC_REGEX_MAX) {
        err_set(e, ERR_INVALID, "it is longer than %d bytes", TOPIC_REGEX_MAX);
        return NULL;
    }
    if (check(pattern, e) != ERR_OK)
        return NULL;
    struct topic_regex *r = mem_calloc(1, sizeof *r);
    if (r == NULL || (r->limits = pcre2_match_context_create(NULL)) == NULL ||
        (r->data = pcre2_match_data_create(1, NULL)) == NULL)
        err_nomem(e);
    else if (compile(r, pattern, e)) {
        pcre2_set_match_limit(r->limits, STEPS_MAX);
        return r;
    }
    topic_regex_free(r);
    return NULL;
}

void topic_regex_free(struct topic_regex *r)
{
    if (r == NULL)
        return;
    pcre2_code_free(r->code);
    pcre2_match_data_free(r->data);
    pcre2_match_context_free(r->limits);
    mem_free(r);
}

bool topic_regex_matches(const struct topic_regex *r, const char *name)
{
    int states[STATES_ROOM];
    int rc = pcre2_match(r->code, (PCRE2_SPTR)name, strlen(name), 0, 0, r->data, r->limits);
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT)
        rc = pcre2_dfa_match(r->code, (PCRE2_SPTR)name, strlen(name), 0, 0, r->data, NULL, states,
                             STATES_ROOM);
    return rc >= 0;
}
