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

/* A list written as one text: parts between commas without blanks around; empty ones are left away. */
static int build_split(const struct leat_option *o, const char *text, struct buf *yaml, bool *ok, char *why,
                       struct err *e)
{
    char *copy = mem_strdup(text), *rest = copy, *part;
    if (!copy)
        return err_nomem(e);
    int rc = ERR_OK;
    bool first = true;
    *ok = true;
    while (rc == ERR_OK && *ok && (part = strsep(&rest, ","))) {
        part += strspn(part, " \t\n");
        size_t n = strlen(part);
        while (n && strchr(" \t\n", part[n - 1]))
            part[--n] = '\0';
        if (n == 0)
            continue;
        rc = first ? ERR_OK : buf_str(yaml, ", ", e);
        rc = rc ? rc : value_check(o, part, yaml, ok, why, e);
        first = false;
    }
    mem_free(copy);
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
    if (rc == ERR_OK && !in->list) {
        char why[CONFIG_WHY_MAX], *text;
        bool filled;
        rc = placeholder_fill(in->items[0].text, &text, &filled, &all, why, e);
        if (rc)
            return rc;
        info->filled |= filled;
        if (all)
            rc = build_split(o, text, yaml, &all, why, e);
        mem_free(text);
        if (rc == ERR_OK && !all)
            rc = origin_report(origin, in->at, e, "\"%s\": %s", o->name, why);
    }
    *ok = all;
    return rc ? rc : buf_u8(yaml, ']', e);
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
    char why[CONFIG_WHY_MAX];
    bool ok = true;
    info->present = true;
    int rc = o->type == LEAT_LIST ? buf_u8(yaml, '[', e) : ERR_OK;
    if (rc == ERR_OK)
        rc = o->type == LEAT_LIST ? build_split(o, o->default_value, yaml, &ok, why, e)
                                  : value_check(o, o->default_value, yaml, &ok, why, e);
    if (rc == ERR_OK && !ok)
        return err_set(e, ERR_PLUGIN, "the default of option %s, \"%s\", %s", o->name, o->default_value, why);
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
    *good = *good && ok;
    return rc ? rc : buf_u8(yaml, '\n', e);
}

int options_build(const struct leat_option *table, size_t table_n, const struct input *inputs, size_t n,
                  const struct origin *origin, struct leat_config **out, struct err *e)
{
    *out = NULL;
    struct leat_config *c = options_alloc(table, table_n);
    if (!c)
        return err_nomem(e);
    struct buf yaml;
    buf_init(&yaml, CONFIG_SECTION_MAX);
    bool good = true;
    int rc = buf_str(&yaml, "---\n", e);
    for (size_t i = 0; i < table_n && rc == ERR_OK; i++)
        rc = build_row(c, i, input_find(inputs, n, table[i].name), origin, &yaml, &good, e);
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
    const char **names = mem_alloc((table_n + 1) * sizeof(*names));
    if (!names)
        return err_nomem(e);
    for (size_t k = 0; k < table_n; k++)
        names[k] = table[k].name;
    const char *near = config_nearest(inputs[i].name, names, table_n);
    mem_free(names);
    return near ? origin_report(origin, origin->at, e, "unknown key \"%s\"; did you mean \"%s\"?",
                                inputs[i].name, near)
                : origin_report(origin, origin->at, e, "unknown key \"%s\"", inputs[i].name);
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
