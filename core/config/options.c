/*
 * options: the checked options of one mapping. The option table becomes a libcyaml schema over an array of slots, one a
 * row; libcyaml loads the canonical YAML that options_build (build.c) wrote into it. Immutable once made, so that
 * threads share it. The table is borrowed: it must outlive the options (a plugin's lives until plugins_close).
 */
#include "config/options.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* For libcyaml: size 0 frees. */
static void *cyaml_memory(void *ctx, void *p, size_t size)
{
    (void)ctx;
    if (size)
        return mem_realloc(p, size);
    mem_free(p);
    return NULL;
}

/* Without log: its messages would quote values, which may be secrets. */
static const cyaml_config_t cyaml_setup = {
    .mem_fn = cyaml_memory,
    .flags = CYAML_CFG_NO_ALIAS,
};

static const cyaml_schema_value_t list_item = {
    .type = CYAML_STRING,
    .flags = CYAML_FLAG_POINTER,
    .data_size = sizeof(char),
    .string = {.min = 0, .max = CYAML_UNLIMITED},
};

/* ---- the schema of a table ----------------------------------------------------------------------------------------- */

/* Counts what the choices of all rows need. */
static void choices_count(const struct leat_config *c, size_t *names, size_t *bytes)
{
    const char *start;
    size_t len;
    *names = *bytes = 0;
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; c->table[i].type == LEAT_CHOICE && choice_at(c->table[i].choices, k, &start, &len);
             k++) {
            *names += 1;
            *bytes += len + 1;
        }
}

static void field_choices(const struct leat_option *o, cyaml_schema_field_t *f, cyaml_strval_t **names,
                          char **text)
{
    const char *start;
    size_t len;
    f->value.enumeration.strings = *names;
    for (size_t k = 0; choice_at(o->choices, k, &start, &len); k++) {
        memcpy(*text, start, len);
        (*text)[len] = '\0';
        *(*names)++ = (cyaml_strval_t){.str = *text, .val = (int64_t)k};
        *text += len + 1;
        f->value.enumeration.count++;
    }
}

/* What libcyaml does with one row; the slot's member decides over offset and size. */
static void field_of(const struct leat_option *o, size_t i, cyaml_schema_field_t *f)
{
    size_t slot = i * sizeof(struct slot);
    unsigned flags = o->flags & LEAT_REQUIRED ? CYAML_FLAG_DEFAULT : CYAML_FLAG_OPTIONAL;
    f->key = o->name;
    f->data_offset = (uint32_t)(slot + offsetof(struct slot, number));
    f->value.type = CYAML_INT;
    f->value.data_size = sizeof(int64_t);
    switch (o->type) {
    case LEAT_INT:
    case LEAT_DURATION:
    case LEAT_SIZE:
        break;
    case LEAT_CHOICE:
        f->value.type = CYAML_ENUM;
        flags |= CYAML_FLAG_STRICT | CYAML_FLAG_CASE_INSENSITIVE;
        break;
    case LEAT_DOUBLE:
        f->value.type = CYAML_FLOAT;
        f->value.data_size = sizeof(double);
        f->data_offset = (uint32_t)(slot + offsetof(struct slot, real));
        break;
    case LEAT_BOOL:
        f->value.type = CYAML_BOOL;
        f->value.data_size = sizeof(bool);
        f->data_offset = (uint32_t)(slot + offsetof(struct slot, flag));
        break;
    case LEAT_STRING:
        f->value = list_item;
        f->data_offset = (uint32_t)(slot + offsetof(struct slot, text));
        flags |= CYAML_FLAG_POINTER;
        break;
    case LEAT_LIST:
        f->value.type = CYAML_SEQUENCE;
        f->value.data_size = sizeof(char *);
        f->value.sequence.entry = &list_item;
        f->value.sequence.max = CYAML_UNLIMITED;
        f->data_offset = (uint32_t)(slot + offsetof(struct slot, items));
        f->count_offset = (uint32_t)(slot + offsetof(struct slot, count));
        f->count_size = sizeof(uint64_t);
        flags |= CYAML_FLAG_POINTER;
        break;
    }
    f->value.flags = (enum cyaml_flag)flags;
}

struct leat_config *options_alloc(const struct leat_option *table, size_t base, const struct input *inputs,
                                  size_t input_n, struct err *e)
{
    struct leat_config *c = mem_calloc(1, sizeof(*c));
    if (!c || rows_expand(table, base, inputs, input_n, &c->own, &c->n, e) != ERR_OK) {
        mem_free(c);
        err_nomem(e);
        return NULL;
    }
    size_t names, bytes, n = c->n;
    c->base = base;
    c->table = table = c->own ? c->own : table;
    choices_count(c, &names, &bytes);
    c->info = mem_calloc(n + 1, sizeof(*c->info));
    c->fields = mem_calloc(n + 1, sizeof(*c->fields)); /* the last, with key NULL, ends it */
    c->choices = mem_calloc(names + 1, sizeof(*c->choices));
    c->choice_text = mem_alloc(bytes + 1);
    c->texts = mem_calloc(n - base + 1, sizeof(*c->texts));
    if (!c->info || !c->fields || !c->choices || !c->choice_text || !c->texts) {
        options_free(c);
        err_nomem(e);
        return NULL;
    }
    cyaml_strval_t *next = c->choices;
    char *text = c->choice_text;
    for (size_t i = 0; i < n; i++) {
        field_of(&table[i], i, &c->fields[i]);
        if (table[i].type == LEAT_CHOICE)
            field_choices(&table[i], &c->fields[i], &next, &text);
    }
    c->schema = (cyaml_schema_value_t){
        .type = CYAML_MAPPING,
        .flags = CYAML_FLAG_POINTER,
        .data_size = (uint32_t)(n * sizeof(struct slot)),
        .mapping = {.fields = c->fields},
    };
    return c;
}

int options_load(struct leat_config *c, const void *yaml, size_t n, struct err *e)
{
    if (c->n == 0)
        return ERR_OK;
    cyaml_data_t *slots = NULL;
    cyaml_err_t failed = cyaml_load_data(yaml, n, &cyaml_setup, &c->schema, &slots, NULL);
    c->slots = slots;
    if (failed == CYAML_ERR_OOM || failed == CYAML_ERR_LIBYAML_PARSER_INIT)
        return err_nomem(e);
    if (failed)
        return err_set(e, ERR_INTERNAL, "libcyaml refused checked options: %s", cyaml_strerror(failed));
    return ERR_OK;
}

void options_free(struct leat_config *c)
{
    if (!c)
        return;
    if (c->slots)
        cyaml_free(&cyaml_setup, &c->schema, c->slots, 0);
    mem_free(c->info);
    mem_free(c->fields);
    mem_free(c->choices);
    mem_free(c->choice_text);
    for (size_t i = c->base; c->texts && i < c->n; i++)
        mem_free(c->texts[i - c->base]);
    mem_free(c->texts);
    rows_free(c->own, c->base, c->n);
    mem_free(c);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static size_t index_of(const struct leat_config *c, const char *name)
{
    const struct leat_option *o = option_find(c->table, c->n, name);
    assert(o && "an option that is not in the table was asked for");
    return (size_t)(o - c->table);
}

const char *options_str(const struct leat_config *c, const char *name)
{
    size_t i = index_of(c, name);
    assert(c->table[i].type == LEAT_STRING || c->table[i].type == LEAT_CHOICE);
    if (!c->info[i].present)
        return NULL;
    if (c->table[i].type == LEAT_STRING)
        return c->slots[i].text;
    return c->fields[i].value.enumeration.strings[c->slots[i].number].str;
}

int64_t options_int(const struct leat_config *c, const char *name)
{
    size_t i = index_of(c, name);
    enum leat_option_type t = c->table[i].type;
    assert(t == LEAT_INT || t == LEAT_DURATION || t == LEAT_SIZE || t == LEAT_CHOICE);
    return c->slots[i].number;
}

double options_double(const struct leat_config *c, const char *name)
{
    size_t i = index_of(c, name);
    assert(c->table[i].type == LEAT_DOUBLE);
    return c->slots[i].real;
}

bool options_bool(const struct leat_config *c, const char *name)
{
    size_t i = index_of(c, name);
    assert(c->table[i].type == LEAT_BOOL);
    return c->slots[i].flag;
}

size_t options_list(const struct leat_config *c, const char *name, const char *const **items)
{
    size_t i = index_of(c, name);
    assert(c->table[i].type == LEAT_LIST);
    *items = (const char *const *)c->slots[i].items;
    return (size_t)c->slots[i].count;
}

bool options_is_set(const struct leat_config *c, const char *name)
{
    return c->info[index_of(c, name)].set;
}

bool options_next(const struct leat_config *c, size_t *cursor, const char **name, const char **value)
{
    size_t i = c->base + *cursor;
    if (i >= c->n)
        return false;
    *name = c->table[i].name;
    *value = c->texts[*cursor];
    (*cursor)++;
    return true;
}

bool options_hidden(const struct leat_config *c, const char *name)
{
    size_t i = index_of(c, name);
    return c->info[i].filled || (c->table[i].flags & LEAT_SECRET);
}

struct mark options_mark(const struct leat_config *c, const char *name)
{
    return c->info[index_of(c, name)].at;
}

const struct leat_option *options_row(const struct leat_config *c, size_t i)
{
    return i < c->n ? &c->table[i] : NULL;
}

/* ---- comparing and printing ---------------------------------------------------------------------------------------- */

/* The i-th of a and the k-th of b. */
static bool options_same(const struct leat_config *a, size_t i, const struct leat_config *b, size_t k)
{
    if (a->info[i].present != b->info[k].present)
        return false;
    if (!a->info[i].present)
        return true;
    const struct slot *x = &a->slots[i], *y = &b->slots[k];
    bool same = x->number == y->number && x->flag == y->flag && x->count == y->count;
    same = same && memcmp(&x->real, &y->real, sizeof(x->real)) == 0;
    if (same && x->text)
        same = strcmp(x->text, y->text) == 0;
    for (uint64_t j = 0; j < x->count && same; j++)
        same = strcmp(x->items[j], y->items[j]) == 0;
    return same;
}

bool options_equal(const struct leat_config *a, const struct leat_config *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++)
        same = strcmp(a->table[i].name, b->table[i].name) == 0 && a->table[i].type == b->table[i].type &&
               options_same(a, i, b, i);
    return same;
}

int options_format(const struct leat_config *c, size_t i, struct buf *out, struct err *e)
{
    if (!c->info[i].present)
        return buf_str(out, "(none)", e);
    if (c->info[i].filled || (c->table[i].flags & LEAT_SECRET))
        return buf_str(out, "***", e);
    return value_format(&c->table[i], &c->slots[i], out, e);
}

int options_print(const struct leat_config *c, struct buf *out, struct err *e)
{
    int rc = ERR_OK;
    const char *last = "";
    /* the next name in order each time: tables are short, and this needs no memory */
    for (;;) {
        const struct leat_option *next = NULL;
        for (size_t i = 0; i < c->n; i++) {
            const char *name = c->table[i].name;
            if (c->info[i].set && strcmp(name, last) > 0 && (!next || strcmp(name, next->name) < 0))
                next = &c->table[i];
        }
        if (!next || rc)
            return rc;
        last = next->name;
        rc = buf_printf(out, e, "%s: ", next->name);
        rc = rc ? rc : options_format(c, (size_t)(next - c->table), out, e);
        rc = rc ? rc : buf_u8(out, '\n', e);
    }
}

/* The i-th of a and the k-th of b, which have the same name; past the end: it is not there. */
static int diff_one(const struct leat_config *a, size_t i, const struct leat_config *b, size_t k,
                    const char *prefix, struct buf *out, struct err *e)
{
    int rc = buf_printf(out, e, "%s%s: ", prefix, i < a->n ? a->table[i].name : b->table[k].name);
    rc = rc ? rc : i < a->n ? options_format(a, i, out, e) : buf_str(out, "(none)", e);
    rc = rc ? rc : buf_str(out, " -> ", e);
    rc = rc ? rc : k < b->n ? options_format(b, k, out, e) : buf_str(out, "(none)", e);
    return rc ? rc : buf_u8(out, '\n', e);
}

int options_diff(const struct leat_config *a, const struct leat_config *b, const char *prefix,
                 bool (*skip)(const void *arg, const char *name), const void *arg, struct buf *out,
                 struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < a->base && rc == ERR_OK; i++)
        if (!options_same(a, i, b, i) && !(skip && skip(arg, a->table[i].name)))
            rc = diff_one(a, i, b, i, prefix, out, e);
    /* what patterns match is sorted by name */
    for (size_t i = a->base, k = b->base; rc == ERR_OK && (i < a->n || k < b->n);) {
        int c = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->table[i].name, b->table[k].name);
        if (c != 0 || !options_same(a, i, b, k))
            rc = diff_one(a, c <= 0 ? i : a->n, b, c >= 0 ? k : b->n, prefix, out, e);
        i += c <= 0;
        k += c >= 0;
    }
    return rc;
}
