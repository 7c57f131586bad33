/*
 * section: the entries of a mapping as inputs for option tables: knows each key, or says which one is near; checks that
 * a value is one, or a list where the option takes one. One thread.
 */
#include "config/internal.h"

#include <string.h>

#include "base/mem.h"

static const struct leat_option *find_row(const struct table *tables, size_t table_n, const char *name)
{
    const struct leat_option *row = NULL;
    for (size_t i = 0; i < table_n && !row; i++)
        row = option_find(tables[i].rows, tables[i].n, name);
    return row;
}

/* Spellings of Kafka Connect whose name here is not near. */
static const char *known_elsewhere(const char *key)
{
    return strcmp(key, "connector.class") == 0    ? "type"
           : strcmp(key, "compression.type") == 0 ? "compression"
                                                  : NULL;
}

/* The nearest of all names that are known here, as long as the walk; NULL: none is near. */
static int nearest(struct walk *w, const char *key, const struct table *tables, size_t table_n,
                   const char *const *others, const char **near, struct err *e)
{
    const char *elsewhere = known_elsewhere(key);
    const struct leat_option *row = elsewhere ? find_row(tables, table_n, elsewhere) : NULL;
    *near = row ? row->name : NULL;
    if (row)
        return ERR_OK;
    char *found;
    int rc = option_nearest(key, tables, table_n, others, &found, e);
    if (rc || !found)
        return rc;
    *near = walk_printf(w, e, "%s", found);
    mem_free(found);
    return *near ? ERR_OK : ERR_NO_MEMORY;
}

/*
 * Notes in `in` what was probably meant, so that it is not reported as missing too; else `in` stays without name. With
 * `lenient` only what is surely wrong is reported.
 */
static int unknown_key(struct walk *w, struct mapping *m, const struct entry *en, const struct table *tables,
                       size_t table_n, const char *const *others, bool lenient, struct input *in,
                       struct err *e)
{
    const char *near;
    if (lenient && !known_elsewhere(en->key))
        return ERR_OK;
    int rc = nearest(w, en->key, tables, table_n, others, &near, e);
    if (rc)
        return rc;
    if (!near)
        return origin_report(&m->origin, en->key_at, e, "unknown key \"%s\"", en->key);
    if (!mapping_find(m, near))
        *in = (struct input){.name = near, .bad = true};
    return origin_report(&m->origin, en->key_at, e, "unknown key \"%s\"; did you mean \"%s\"?", en->key,
                         near);
}

/* `*s` without text after a problem. */
static int scalar_of(struct walk *w, struct mapping *m, const struct entry *en, const yaml_node_t *n,
                     struct scalar *s, struct err *e)
{
    s->at = node_mark(n);
    s->text = NULL;
    if (node_is_null(n))
        return origin_report(&m->origin, s->at, e, "\"%s\" has no value", en->key);
    if (n->type != YAML_SCALAR_NODE)
        return origin_report(&m->origin, s->at, e, "\"%s\" takes text in its list, not %s", en->key,
                             node_kind(n));
    const char *text = (const char *)n->data.scalar.value;
    if (strlen(text) != n->data.scalar.length)
        return origin_report(&m->origin, s->at, e, "\"%s\" holds a NUL character", en->key);
    bool ok;
    int rc = walk_visit(w, n->data.scalar.length / 64, s->at, &ok, e);
    if (rc == ERR_OK && ok)
        s->text = text;
    return rc;
}

static int input_of(struct walk *w, struct mapping *m, struct entry *en, const struct leat_option *row,
                    struct input *in, struct err *e)
{
    yaml_node_t **nodes = &en->value;
    size_t n = 1;
    bool list = en->value->type == YAML_SEQUENCE_NODE;
    *in = (struct input){.name = en->key, .key_at = en->key_at, .at = en->at, .list = list, .bad = true};
    if (en->bad)
        return ERR_OK;
    if (en->value->type == YAML_MAPPING_NODE || (list && row->type != LEAT_LIST))
        return origin_report(&m->origin, en->at, e, "\"%s\" takes %s, not %s", en->key,
                             row->type == LEAT_LIST ? "a list" : "one value", node_kind(en->value));
    int rc = list ? sequence_read(w, m, en, &nodes, &n, e) : ERR_OK;
    struct scalar *scalars = rc ? NULL : walk_alloc(w, (n + 1) * sizeof(*scalars), e);
    if (!scalars)
        return rc ? rc : ERR_NO_MEMORY;
    in->bad = false;
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        rc = scalar_of(w, m, en, nodes[i], &scalars[i], e);
        in->bad = in->bad || !scalars[i].text;
    }
    in->items = scalars;
    in->count = n;
    return rc;
}

int section_inputs(struct walk *w, struct mapping *m, const struct table *tables, size_t table_n,
                   const char *const *others, bool lenient, struct input **inputs, size_t *n, struct err *e)
{
    int rc = ERR_OK;
    *n = 0;
    *inputs = walk_alloc(w, (m->count + 1) * sizeof(**inputs), e);
    if (!*inputs)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < m->count && rc == ERR_OK; i++) {
        struct entry *en = &m->items[i];
        if (en->skip)
            continue;
        const struct leat_option *row = find_row(tables, table_n, en->key);
        struct input *in = &(*inputs)[*n];
        rc = row ? input_of(w, m, en, row, in, e)
                 : unknown_key(w, m, en, tables, table_n, others, lenient, in, e);
        *n += in->name != NULL;
    }
    return rc;
}
