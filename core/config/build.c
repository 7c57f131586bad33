/*
 * build: from the texts of a mapping to checked options. Every value is filled in (placeholder.c), checked (value.c) and
 * written in canonical form, defaults too; when nothing was wrong libcyaml loads it (options.c). Any thread.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/options.h"

/* As written, on one line and not too long; for messages. */
static const char *shown(const struct leat_option *o, const char *raw, char *out, size_t size)
{
    if (o->flags & LEAT_SECRET)
        return "***";
    size_t n = strlen(raw), room = size - 6;
    size_t used = n < room ? n : room;
    while (used < n && used > 0 && ((unsigned char)raw[used] & 0xc0) == 0x80)
        used--; /* not inside a UTF-8 sequence */
    out[0] = '"';
    for (size_t i = 0; i < used; i++)
        out[i + 1] = (unsigned char)raw[i] < 0x20 ? ' ' : raw[i];
    snprintf(out + used + 1, 6, "%s\"", used < n ? "..." : "");
    return out;
}

/* One scalar: `*ok` false after a problem. */
static int build_scalar(const struct leat_option *o, const struct scalar *s, const struct origin *origin,
                        struct option_info *info, struct buf *yaml, bool *ok, struct err *e)
{
    char why[CONFIG_WHY_MAX], value[96], *text;
    bool filled;
    int rc = placeholder_fill(s->text, &text, &filled, ok, why, e);
    if (rc)
        return rc;
    if (!*ok)
        return origin_report(origin, s->at, e, "\"%s\": %s", o->name, why);
    info->filled |= filled;
    rc = value_check(o, text, yaml, ok, why, e);
    if (rc == ERR_OK && *ok && origin->check)
        *ok = origin->check(o->name, text, why);
    mem_free(text);
    if (rc || *ok)
        return rc;
    return origin_report(origin, s->at, e, "\"%s\": %s %s", o->name, shown(o, s->text, value, sizeof(value)),
                         why);
}

/*
 * A list written as one text: parts between commas without blanks around; empty ones are left away. Not `*ok`: `why` tells
 * what is wrong with `bad`, the caller's to free.
 */
static int build_split(const struct leat_option *o, const char *text, const struct origin *origin,
                       struct buf *yaml, char **bad, char *why, struct err *e)
{
    char *copy = mem_strdup(text), *rest = copy, *part;
    if (!copy)
        return err_nomem(e);
    int rc = ERR_OK;
    bool first = true, ok = true;
    *bad = NULL;
    while (rc == ERR_OK && !*bad && (part = strsep(&rest, ","))) {
        part += strspn(part, " \t\n");
        size_t n = strlen(part);
        while (n && strchr(" \t\n", part[n - 1]))
            part[--n] = '\0';
        if (n == 0)
            continue;
        rc = first ? ERR_OK : buf_str(yaml, ", ", e);
        rc = rc ? rc : value_check(o, part, yaml, &ok, why, e);
        if (rc == ERR_OK && ok && origin && origin->check)
            ok = origin->check(o->name, part, why);
        if (rc == ERR_OK && !ok && !(*bad = mem_strdup(part)))
            rc = err_nomem(e);
        first = false;
    }
    mem_free(copy);
    return rc;
}

/* What was filled in may be a secret, so it is shown as written. */
static int build_text_list(const struct leat_option *o, const struct input *in, const struct origin *origin,
                           struct option_info *info, struct buf *yaml, bool *ok, struct err *e)
{
    char why[CONFIG_WHY_MAX], value[96], *text, *bad = NULL;
    bool filled;
    int rc = placeholder_fill(in->items[0].text, &text, &filled, ok, why, e);
    if (rc)
        return rc;
    if (!*ok)
        return origin_report(origin, in->at, e, "\"%s\": %s", o->name, why);
    info->filled |= filled;
    rc = build_split(o, text, origin, yaml, &bad, why, e);
    mem_free(text);
    *ok = !bad;
    if (rc == ERR_OK && bad)
        rc = origin_report(origin, in->at, e, "\"%s\": %s %s", o->name,
                           shown(o, filled ? in->items[0].text : bad, value, sizeof(value)), why);
    mem_free(bad);
    return rc;
}

static int build_list(const struct leat_option *o, const struct input *in, const struct origin *origin,
                      struct option_info *info, struct buf *yaml, bool *ok, struct err *e)
{
    int rc = buf_u8(yaml, '[', e);
    bool all = true;
    for (size_t i = 0; i < in->count && rc == ERR_OK && in->list; i++) {
        rc = i ? buf_str(yaml, ", ", e) : ERR_OK;
        rc = rc ? rc : build_scalar(o, &in->items[i], origin, info, yaml, ok, e);
        all = all && *ok;
    }
    if (rc == ERR_OK && !in->list)
        rc = build_text_list(o, in, origin, info, yaml, &all, e);
    *ok = all;
    return rc ? rc : buf_u8(yaml, ']', e);
}

/* A list's items, or the one text, filled in. They are good. */
static int plain_text(const struct input *in, char **out, struct err *e)
{
    char why[CONFIG_WHY_MAX], *part;
    bool filled, ok;
    struct buf text;
    buf_init(&text, CONFIG_SECTION_MAX);
    int rc = ERR_OK;
    for (size_t i = 0; i < in->count && rc == ERR_OK; i++) {
        rc = placeholder_fill(in->items[i].text, &part, &filled, &ok, why, e);
        if (rc == ERR_OK && ok) {
            rc = i ? buf_u8(&text, ',', e) : ERR_OK;
            rc = rc ? rc : buf_str(&text, part, e);
            mem_free(part);
        }
    }
    rc = rc ? rc : buf_append(&text, "", 1, e);
    *out = rc ? NULL : mem_strdup((const char *)text.data);
    buf_free(&text);
    return rc ? rc : *out ? ERR_OK : err_nomem(e);
}

static int build_given(const struct leat_option *o, const struct input *in, const struct origin *origin,
                       struct option_info *info, struct buf *yaml, bool *ok, struct err *e)
{
    info->present = info->set = true;
    info->at = in->at;
    if (o->type == LEAT_LIST)
        return build_list(o, in, origin, info, yaml, ok, e);
    return build_scalar(o, &in->items[0], origin, info, yaml, ok, e);
}

/* Defaults are the table's, so a wrong one is the table's mistake. */
static int build_default(const struct leat_option *o, struct option_info *info, struct buf *yaml,
                         struct err *e)
{
    char why[CONFIG_WHY_MAX], *bad = NULL;
    bool ok = true;
    info->present = true;
    int rc = o->type == LEAT_LIST ? buf_u8(yaml, '[', e) : ERR_OK;
    if (rc == ERR_OK)
        rc = o->type == LEAT_LIST ? build_split(o, o->default_value, NULL, yaml, &bad, why, e)
                                  : value_check(o, o->default_value, yaml, &ok, why, e);
    if (rc == ERR_OK && (!ok || bad))
        rc = err_set(e, ERR_PLUGIN, "the default of option %s, \"%s\", %s", o->name, o->default_value, why);
    mem_free(bad);
    return rc ? rc : o->type == LEAT_LIST ? buf_u8(yaml, ']', e) : ERR_OK;
}

static const struct input *input_find(const struct input *inputs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(inputs[i].name, name) == 0)
            return &inputs[i];
    return NULL;
}

/* Writes one row's line; `*good` turns false after a problem. */
static int build_row(struct leat_config *c, size_t i, const struct input *in, const struct origin *origin,
                     struct buf *yaml, bool *good, struct err *e)
{
    const struct leat_option *o = &c->table[i];
    if (i < c->base && pattern_is(o->name)) /* its keys have rows of their own */
        return ERR_OK;
    if (!in && (o->flags & LEAT_REQUIRED)) {
        *good = false;
        return origin_report(origin, origin->at, e, "\"%s\" is missing", o->name);
    }
    if (in && in->bad)
        *good = false;
    if ((in && in->bad) || (!in && !o->default_value))
        return ERR_OK;
    bool ok = true;
    int rc = value_quote(o->name, yaml, e);
    rc = rc ? rc : buf_str(yaml, ": ", e);
    if (rc == ERR_OK)
        rc = in ? build_given(o, in, origin, &c->info[i], yaml, &ok, e)
                : build_default(o, &c->info[i], yaml, e);
    if (rc == ERR_OK && ok && i >= c->base)
        rc = plain_text(in, &c->texts[i - c->base], e);
    *good = *good && ok;
    return rc ? rc : buf_u8(yaml, '\n', e);
}

int options_build(const struct leat_option *table, size_t table_n, const struct input *inputs, size_t n,
                  const struct origin *origin, struct leat_config **out, struct err *e)
{
    *out = NULL;
    struct leat_config *c = options_alloc(table, table_n, inputs, n, e);
    if (!c)
        return e->code;
    struct buf yaml;
    buf_init(&yaml, CONFIG_SECTION_MAX);
    bool good = true;
    int rc = buf_str(&yaml, "---\n", e);
    for (size_t i = 0; i < c->n && rc == ERR_OK; i++)
        rc = build_row(c, i, input_find(inputs, n, c->table[i].name), origin, &yaml, &good, e);
    if (rc == ERR_OK && yaml.len == 4)
        rc = buf_str(&yaml, "{}\n", e);
    if (rc == ERR_TOO_LARGE) {
        good = false;
        rc = origin_report(origin, origin->at, e, "the values are larger than %zu bytes together",
                           CONFIG_SECTION_MAX);
    }
    if (rc == ERR_OK && good)
        rc = options_load(c, yaml.data, yaml.len, e);
    buf_free(&yaml);
    if (rc == ERR_OK && good)
        *out = c;
    else
        options_free(c);
    return rc;
}

/* ---- from name and value pairs --------------------------------------------------------------------------------------- */

static int check_name(const struct leat_option *table, size_t table_n, const struct input *inputs, size_t i,
                      const struct origin *origin, struct err *e)
{
    if (input_find(inputs, i, inputs[i].name))
        return origin_report(origin, origin->at, e, "\"%s\" is given twice", inputs[i].name);
    if (option_find(table, table_n, inputs[i].name))
        return ERR_OK;
    static const char *const no_others[] = {NULL};
    const struct table all = {table, table_n};
    char *near;
    int rc = option_nearest(inputs[i].name, &all, 1, no_others, &near, e);
    if (rc == ERR_OK)
        rc = near ? origin_report(origin, origin->at, e, "unknown key \"%s\"; did you mean \"%s\"?",
                                  inputs[i].name, near)
                  : origin_report(origin, origin->at, e, "unknown key \"%s\"", inputs[i].name);
    mem_free(near);
    return rc;
}

struct leat_config *options_new(const struct leat_option *table, size_t table_n,
                                const struct option_text *items, size_t n, struct problems *p, struct err *e)
{
    struct leat_config *c = NULL;
    const struct origin origin = {.problems = p};
    size_t before = p->count;
    struct input *inputs = mem_calloc(n + 1, sizeof(*inputs));
    struct scalar *scalars = mem_calloc(n + 1, sizeof(*scalars));
    int rc = inputs && scalars ? ERR_OK : err_nomem(e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        scalars[i].text = items[i].value;
        inputs[i] = (struct input){.name = items[i].name, .items = &scalars[i], .count = 1};
        rc = check_name(table, table_n, inputs, i, &origin, e);
    }
    if (rc == ERR_OK)
        rc = options_build(table, table_n, inputs, n, &origin, &c, e);
    if (rc == ERR_OK && p->count > before) {
        options_free(c);
        c = NULL;
        err_set(e, ERR_INVALID_CONFIG, "%s", p->items[before].text);
    }
    mem_free(inputs);
    mem_free(scalars);
    return c;
}
