/*
 * kit/template: names of files, parsed into parts once. Task thread only.
 */
#include "kit/template.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kit/partitioner.h"

#define PARTS_MAX 64

struct part {
    enum template_var var;
    int pad;
    char *text; /* TEXT: itself; TIME: its pattern */
};

struct template
{
    const struct zone *zone;
    struct part parts[PARTS_MAX];
    size_t count;
};

struct variable {
    const char *name;
    enum template_var var;
    const char *pattern;
};

static const struct variable variables[] = {
    {"topic", TEMPLATE_TOPIC, NULL},
    {"partition", TEMPLATE_PARTITION, NULL},
    {"start_offset", TEMPLATE_START_OFFSET, NULL},
    {"encoded_partition", TEMPLATE_ENCODED_PARTITION, NULL},
    {"connector", TEMPLATE_CONNECTOR, NULL},
    {"extension", TEMPLATE_EXTENSION, NULL},
    {"timestamp", TEMPLATE_TIME, "yyyyMMdd'T'HHmmss"},
    {"yyyy", TEMPLATE_TIME, "yyyy"},
    {"MM", TEMPLATE_TIME, "MM"},
    {"dd", TEMPLATE_TIME, "dd"},
    {"HH", TEMPLATE_TIME, "HH"},
    {"mm", TEMPLATE_TIME, "mm"},
    {"ss", TEMPLATE_TIME, "ss"},
};

static const struct variable *variable_find(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (strlen(variables[i].name) == n && memcmp(variables[i].name, name, n) == 0)
            return &variables[i];
    }
    return NULL;
}

static int part_add(struct template *t, enum template_var var, int pad, const char *text, size_t n,
                    struct err *e)
{
    if (t->count == PARTS_MAX)
        return err_set(e, ERR_INVALID_CONFIG, "more than %d parts in a name", PARTS_MAX);
    char *copy = NULL;
    if (text) {
        copy = mem_strndup(text, n);
        if (!copy)
            return err_nomem(e);
    }
    t->parts[t->count++] = (struct part){var, pad, copy};
    return ERR_OK;
}

static int bad_parameter(const char *inner, size_t n, struct err *e)
{
    return err_set(e, ERR_INVALID_CONFIG, "'%.*s' in a name is not understood", (int)n, inner);
}

/* ":10" of ours; ":padding=true" and ":unit=yyyy" of Aiven's. */
static int parse_parameter(const struct variable *v, const char *arg, size_t n, int *pad,
                           const char **pattern, size_t *pattern_n)
{
    if (v->var == TEMPLATE_TIME) {
        size_t skip = n > 5 && memcmp(arg, "unit=", 5) == 0 ? 5 : 0;
        *pattern = arg + skip;
        *pattern_n = n - skip;
        return *pattern_n > 0 ? ERR_OK : ERR_INVALID_CONFIG;
    }
    if (v->var != TEMPLATE_PARTITION && v->var != TEMPLATE_START_OFFSET)
        return ERR_INVALID_CONFIG;
    if (n > 8 && memcmp(arg, "padding=", 8) == 0) {
        bool padded = n == 12 && memcmp(arg + 8, "true", 4) == 0;
        *pad = !padded ? 0 : v->var == TEMPLATE_PARTITION ? 10 : 20;
        return padded || (n == 13 && memcmp(arg + 8, "false", 5) == 0) ? ERR_OK : ERR_INVALID_CONFIG;
    }
    for (size_t i = 0; i < n; i++) {
        if (arg[i] < '0' || arg[i] > '9')
            return ERR_INVALID_CONFIG;
        *pad = *pad * 10 + (arg[i] - '0');
        if (*pad > 20)
            return ERR_INVALID_CONFIG;
    }
    return n ? ERR_OK : ERR_INVALID_CONFIG;
}

static void trim(const char **p, size_t *n)
{
    while (*n && **p == ' ') {
        (*p)++;
        (*n)--;
    }
    while (*n && (*p)[*n - 1] == ' ')
        (*n)--;
}

/* What stands between the braces. */
static int parse_variable(struct template *t, const char *inner, size_t n, struct err *e)
{
    trim(&inner, &n);
    const char *colon = memchr(inner, ':', n);
    size_t name_n = colon ? (size_t)(colon - inner) : n;
    const struct variable *v = variable_find(inner, name_n);
    if (!v)
        return err_set(e, ERR_INVALID_CONFIG, "a name has no variable '%.*s'", (int)name_n, inner);
    int pad = 0;
    const char *pattern = v->pattern;
    size_t pattern_n = pattern ? strlen(pattern) : 0;
    if (colon && parse_parameter(v, colon + 1, n - name_n - 1, &pad, &pattern, &pattern_n) != ERR_OK)
        return bad_parameter(inner, n, e);
    int rc = part_add(t, v->var, pad, pattern, pattern_n, e);
    if (rc == ERR_OK && v->var == TEMPLATE_TIME)
        rc = joda_check(t->parts[t->count - 1].text, e);
    return rc;
}

/* A variable at p: its inside, and where the text goes on. NULL: there is none. */
static const char *variable_at(const char *p, const char **inner, size_t *n)
{
    bool aiven = p[0] == '{' && p[1] == '{';
    if (!aiven && !(p[0] == '$' && p[1] == '{'))
        return NULL;
    const char *close = strstr(p + 2, aiven ? "}}" : "}");
    *inner = p + 2;
    *n = close ? (size_t)(close - *inner) : 0;
    return close ? close + (aiven ? 2 : 1) : p;
}

static int parse_text(struct template *t, const char *text, struct err *e)
{
    const char *plain = text, *p = text;
    int rc = ERR_OK;
    while (*p && rc == ERR_OK) {
        const char *inner;
        size_t n;
        const char *next = variable_at(p, &inner, &n);
        bool dollar = p[0] == '$' && p[1] == '$';
        if (!next && !dollar) {
            p++;
            continue;
        }
        if (p > plain)
            rc = part_add(t, TEMPLATE_TEXT, 0, plain, (size_t)(p - plain), e);
        if (rc == ERR_OK && next == p)
            rc = err_set(e, ERR_INVALID_CONFIG, "no closing brace in \"%s\"", text);
        else if (rc == ERR_OK)
            rc = dollar ? part_add(t, TEMPLATE_TEXT, 0, "$", 1, e) : parse_variable(t, inner, n, e);
        p = dollar ? p + 2 : next;
        plain = p;
    }
    if (rc == ERR_OK && p > plain)
        rc = part_add(t, TEMPLATE_TEXT, 0, plain, (size_t)(p - plain), e);
    return rc;
}

int template_parse(const char *text, const struct zone *zone, struct template **out, struct err *e)
{
    *out = NULL;
    struct template *t = mem_calloc(1, sizeof(*t));
    if (!t)
        return err_nomem(e);
    t->zone = zone;
    int rc = parse_text(t, text, e);
    if (rc != ERR_OK) {
        template_free(t);
        return rc;
    }
    *out = t;
    return ERR_OK;
}

void template_free(struct template *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        mem_free(t->parts[i].text);
    mem_free(t);
}

bool template_has(const struct template *t, enum template_var var)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->parts[i].var == var)
            return true;
    }
    return false;
}

static int format_part(const struct template *t, const struct part *p, const struct template_values *v,
                       struct buf *out, struct err *e)
{
    switch (p->var) {
    case TEMPLATE_TEXT:
        return buf_str(out, p->text, e);
    case TEMPLATE_TOPIC:
        return buf_str(out, v->topic, e);
    case TEMPLATE_PARTITION:
        return buf_printf(out, e, "%0*" PRId32, p->pad, v->partition);
    case TEMPLATE_START_OFFSET:
        return buf_printf(out, e, "%0*" PRId64, p->pad, v->start_offset);
    case TEMPLATE_ENCODED_PARTITION:
        return buf_str(out, v->encoded_partition, e);
    case TEMPLATE_TIME:
        return joda_format(out, p->text, v->time_ms, t->zone, e);
    case TEMPLATE_CONNECTOR:
        return buf_str(out, v->connector, e);
    case TEMPLATE_EXTENSION:
        return buf_str(out, v->extension, e);
    }
    return err_set(e, ERR_INTERNAL, "template part %d", (int)p->var);
}

int template_format(const struct template *t, const struct template_values *v, struct buf *out, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < t->count && rc == ERR_OK; i++)
        rc = format_part(t, &t->parts[i], v, out, e);
    return rc;
}

int layout_format(const struct layout *l, const struct template_values *v, struct buf *out, struct err *e)
{
    const char *slash = l->directory_delim ? l->directory_delim : "/";
    const char *plus = l->file_delim ? l->file_delim : "+";
    int rc = ERR_OK;
    if (l->prefix && *l->prefix)
        rc = buf_printf(out, e, "%s%s", l->prefix, slash);
    if (rc != ERR_OK)
        return rc;
    return buf_printf(out, e, "%s%s%s%s%s%s%" PRId32 "%s%0*" PRId64, v->topic, slash, v->encoded_partition,
                      slash, v->topic, plus, v->partition, plus, l->zero_pad < 0 ? 10 : l->zero_pad,
                      v->start_offset);
}
