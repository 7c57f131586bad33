/*
 * yaml: the walk's ground: loads a document by libyaml within limits, reads mappings and sequences with the places of
 * everything, and keeps the memory that lives as long as the walk. libyaml itself allocates with malloc. One thread.
 */
#include "config/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* ---- memory of the walk -------------------------------------------------------------------------------------------- */

struct block {
    struct block *next;
    max_align_t data[];
};

void walk_init(struct walk *w, const struct connector_catalog *catalog, struct problems *problems)
{
    *w = (struct walk){.catalog = catalog, .problems = problems};
}

void walk_free(struct walk *w)
{
    for (struct block *b = w->blocks, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    map_free(w->pipelines, NULL);
    map_free(w->connectors, NULL);
}

void *walk_alloc(struct walk *w, size_t size, struct err *e)
{
    struct block *b = mem_calloc(1, sizeof(*b) + size);
    if (!b) {
        err_nomem(e);
        return NULL;
    }
    b->next = w->blocks;
    w->blocks = b;
    return b->data;
}

char *walk_printf(struct walk *w, struct err *e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = n < 0 ? NULL : walk_alloc(w, (size_t)n + 1, e);
    if (!text)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

/* ---- loading ------------------------------------------------------------------------------------------------------- */

static struct mark mark_of(yaml_mark_t m)
{
    return (struct mark){(int)m.line + 1, (int)m.column + 1};
}

/* The reader names bytes, not marks. */
static struct mark mark_at_byte(const char *text, size_t n, size_t offset)
{
    struct mark m = {1, 1};
    for (size_t i = 0; i < n && i < offset; i++) {
        if (text[i] == '\n') {
            m.line++;
            m.column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            m.column++;
        }
    }
    return m;
}

static int report_syntax(struct walk *w, const yaml_parser_t *p, const char *text, size_t n, struct err *e)
{
    const struct origin o = {.problems = w->problems, .file = w->file};
    if (p->error == YAML_MEMORY_ERROR)
        return err_nomem(e);
    if (p->error == YAML_READER_ERROR)
        return origin_report(&o, mark_at_byte(text, n, p->problem_offset), e, "not UTF-8 text: %s",
                             p->problem);
    struct mark at = mark_of(p->problem_mark);
    size_t i = p->problem_mark.index;
    if (i < n && mark_at_byte(text, n, i).line == at.line && text[i] == '\t')
        return origin_report(&o, at, e, "a tab cannot indent in YAML; use spaces");
    if (p->context && p->context_mark.line != p->problem_mark.line)
        return origin_report(&o, at, e, "YAML: %s (%s from line %zu on)", p->problem, p->context,
                             p->context_mark.line + 1);
    return origin_report(&o, at, e, "YAML: %s", p->problem);
}

static bool has_anchor(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT           ? event->data.scalar.anchor != NULL
           : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor != NULL
           : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.anchor != NULL
                                                      : false;
}

/* A first look at the events, which needs no memory for what they build: refuses what is too deep or too much. */
static int check_limits(struct walk *w, const char *text, size_t n, bool *ok, struct err *e)
{
    const struct origin o = {.problems = w->problems, .file = w->file};
    yaml_parser_t parser;
    *ok = false;
    if (!yaml_parser_initialize(&parser))
        return err_nomem(e);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    size_t depth = 0, nodes = 0, anchors = 0, documents = 0;
    int rc = ERR_OK;
    for (bool more = true; more && rc == ERR_OK;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            rc = report_syntax(w, &parser, text, n, e);
            break;
        }
        bool opens = event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
        depth += opens;
        depth -= event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        nodes += opens || event.type == YAML_SCALAR_EVENT || event.type == YAML_ALIAS_EVENT;
        anchors += has_anchor(&event);
        documents += event.type == YAML_DOCUMENT_START_EVENT;
        struct mark at = mark_of(event.start_mark);
        more = false;
        if (depth > CONFIG_DEPTH_MAX)
            rc = origin_report(&o, at, e, "nested more than %d deep", CONFIG_DEPTH_MAX);
        else if (nodes > CONFIG_NODES_MAX)
            rc = origin_report(&o, at, e, "more than %d values", CONFIG_NODES_MAX);
        else if (anchors > CONFIG_ANCHORS_MAX)
            rc = origin_report(&o, at, e, "more than %d anchors", CONFIG_ANCHORS_MAX);
        else if (documents > 1)
            rc = origin_report(&o, at, e, "a second YAML document; a file has one");
        else if (event.type == YAML_STREAM_END_EVENT)
            *ok = true;
        else
            more = true;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return rc;
}

int walk_load(struct walk *w, const char *text, size_t n, yaml_document_t *doc, bool *loaded, struct err *e)
{
    const struct origin o = {.problems = w->problems, .file = w->file};
    *loaded = false;
    if (n > CONFIG_FILE_MAX)
        return origin_report(&o, (struct mark){0, 0}, e, "has %zu bytes, at most %zu are read", n,
                             CONFIG_FILE_MAX);
    bool ok;
    int rc = check_limits(w, text, n, &ok, e);
    if (rc || !ok)
        return rc;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return err_nomem(e);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    *loaded = yaml_parser_load(&parser, doc);
    if (!*loaded) /* what only composing sees, such as an alias without anchor */
        rc = report_syntax(w, &parser, text, n, e);
    yaml_parser_delete(&parser);
    return rc;
}

void walk_unload(yaml_document_t *doc)
{
    yaml_document_delete(doc);
}

/* ---- nodes --------------------------------------------------------------------------------------------------------- */

struct mark node_mark(const yaml_node_t *n)
{
    return mark_of(n->start_mark);
}

bool node_is_null(const yaml_node_t *n)
{
    if (n->type != YAML_SCALAR_NODE || n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < COUNT_OF(nulls); i++)
        if (strcmp((const char *)n->data.scalar.value, nulls[i]) == 0)
            return true;
    return false;
}

const char *node_kind(const yaml_node_t *n)
{
    return n->type == YAML_SEQUENCE_NODE  ? "a list"
           : n->type == YAML_MAPPING_NODE ? "a mapping"
                                          : "a single value";
}

int walk_visit(struct walk *w, size_t n, struct mark at, bool *ok, struct err *e)
{
    bool before = w->visits <= CONFIG_VISITS_MAX;
    w->visits += n;
    *ok = w->visits <= CONFIG_VISITS_MAX;
    if (*ok || !before)
        return ERR_OK;
    const struct origin o = {.problems = w->problems, .file = w->file};
    return origin_report(&o, at, e, "too much text when aliases are followed");
}

static int read_key(struct mapping *m, struct map *seen, const yaml_node_t *key, yaml_node_t *value,
                    struct err *e)
{
    struct mark at = node_mark(key);
    const char *text = (const char *)key->data.scalar.value;
    if (key->type != YAML_SCALAR_NODE || strlen(text) != key->data.scalar.length || node_is_null(key))
        return origin_report(&m->origin, at, e, "a key must be plain text");
    struct entry *en = &m->items[m->count];
    *en = (struct entry){.key = text, .key_at = at, .value = value, .at = node_mark(value)};
    const struct entry *first = map_get(seen, text, strlen(text));
    if (first)
        return origin_report(&m->origin, at, e, "\"%s\" is given twice; first in line %d", text,
                             first->key_at.line);
    int rc = map_put(seen, text, strlen(text), en, e);
    m->count += rc == ERR_OK;
    return rc;
}

int mapping_read(struct walk *w, yaml_document_t *doc, yaml_node_t *n, struct mark at, const char *what,
                 struct mapping *m, struct err *e)
{
    *m = (struct mapping){.doc = doc,
                          .origin = {.problems = w->problems, .file = w->file, .what = what, .at = at}};
    if (node_is_null(n))
        return ERR_OK;
    if (n->type != YAML_MAPPING_NODE)
        return origin_report(&m->origin, node_mark(n), e, "a mapping (key: value) is expected, not %s",
                             node_kind(n));
    m->origin.at = node_mark(n);
    yaml_node_pair_t *first = n->data.mapping.pairs.start, *end = n->data.mapping.pairs.top;
    bool ok;
    int rc = walk_visit(w, (size_t)(end - first), m->origin.at, &ok, e);
    if (rc || !ok)
        return rc;
    struct map *seen = map_new();
    m->items = seen ? walk_alloc(w, (size_t)(end - first + 1) * sizeof(*m->items), e) : NULL;
    if (!m->items) {
        map_free(seen, NULL);
        return err_nomem(e);
    }
    for (yaml_node_pair_t *p = first; p < end && rc == ERR_OK; p++)
        rc = read_key(m, seen, yaml_document_get_node(doc, p->key), yaml_document_get_node(doc, p->value), e);
    map_free(seen, NULL);
    return rc;
}

struct entry *mapping_find(struct mapping *m, const char *key)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->items[i].key, key) == 0)
            return &m->items[i];
    return NULL;
}

int sequence_read(struct walk *w, struct mapping *m, struct entry *en, yaml_node_t ***nodes, size_t *n,
                  struct err *e)
{
    *nodes = NULL;
    *n = 0;
    if (node_is_null(en->value))
        return ERR_OK;
    if (en->value->type != YAML_SEQUENCE_NODE)
        return origin_report(&m->origin, en->at, e, "\"%s\": a list is expected, not %s", en->key,
                             node_kind(en->value));
    yaml_node_item_t *first = en->value->data.sequence.items.start, *end = en->value->data.sequence.items.top;
    bool ok;
    int rc = walk_visit(w, (size_t)(end - first), en->at, &ok, e);
    if (rc || !ok)
        return rc;
    *nodes = walk_alloc(w, (size_t)(end - first + 1) * sizeof(**nodes), e);
    if (!*nodes)
        return ERR_NO_MEMORY;
    for (yaml_node_item_t *i = first; i < end; i++)
        (*nodes)[(*n)++] = yaml_document_get_node(m->doc, *i);
    return ERR_OK;
}

int entry_text(struct walk *w, struct mapping *m, struct entry *en, const char **text, bool *hidden,
               struct err *e)
{
    bool ok;
    *text = NULL;
    en->bad = true;
    const yaml_node_t *n = en->value;
    if (node_is_null(n))
        return origin_report(&m->origin, en->at, e, "\"%s\" has no value", en->key);
    if (n->type != YAML_SCALAR_NODE)
        return origin_report(&m->origin, en->at, e, "\"%s\" takes one value, not %s", en->key, node_kind(n));
    const char *raw = (const char *)n->data.scalar.value;
    if (strlen(raw) != n->data.scalar.length)
        return origin_report(&m->origin, en->at, e, "\"%s\" holds a NUL character", en->key);
    int rc = walk_visit(w, n->data.scalar.length / 64, en->at, &ok, e);
    if (rc || !ok)
        return rc;
    char why[CONFIG_WHY_MAX], *value;
    bool filled;
    rc = placeholder_fill(raw, &value, &filled, &ok, why, e);
    if (rc)
        return rc;
    if (!ok)
        return origin_report(&m->origin, en->at, e, "\"%s\": %s", en->key, why);
    *text = walk_printf(w, e, "%s", value);
    if (hidden)
        *hidden = filled;
    mem_free(value);
    en->bad = false;
    return *text ? ERR_OK : ERR_NO_MEMORY;
}
