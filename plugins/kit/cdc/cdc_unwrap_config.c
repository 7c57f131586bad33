/*
 * cdc_unwrap_config: options of ExtractNewRecordState, those from before Debezium 2.5 too, and what add.fields and add.headers name.
 */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "kit/cdc/cdc_unwrap_impl.h"

/* What the options said, until all are known. */
struct given {
    const char *mode, *old_mode;
    bool drop_tombstones, old;
    const char *field_prefix, *header_prefix, *fields, *headers;
};

static int read_bool(const struct cdc_transform *t, const struct cdc_named *o, bool *out, struct err *e)
{
    *out = strcasecmp(o->value, "true") == 0;
    if (!*out && strcasecmp(o->value, "false") != 0)
        return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.%s: \"%s\" is neither true nor false", t->alias,
                       o->name, o->value);
    return ERR_OK;
}

static int read_option(const struct cdc_transform *t, const struct cdc_named *o, struct given *g,
                       struct cdc_unwrap *u, struct err *e)
{
    const struct {
        const char *name, **text;
    } texts[] = {
        {"delete.tombstone.handling.mode", &g->mode},
        {"delete.handling.mode", &g->old_mode},
        {"add.fields", &g->fields},
        {"add.headers", &g->headers},
        {"add.fields.prefix", &g->field_prefix},
        {"add.headers.prefix", &g->header_prefix},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (strcmp(texts[i].name, o->name) == 0) {
            *texts[i].text = o->value;
            return ERR_OK;
        }
    if (strcmp(o->name, "route.by.field") == 0)
        return (u->route_by = mem_strdup(o->value)) ? ERR_OK : err_nomem(e);
    if (strcmp(o->name, "drop.tombstones") == 0) {
        g->old = true;
        return read_bool(t, o, &g->drop_tombstones, e);
    }
    bool ignored;
    /*
     * A NULL shows the default in either case, as the converter puts it there. What drop.fields.* drops is named by a header
     * that only a transform before this one could make, and there is none that does.
     */
    if (strcmp(o->name, "replace.null.with.default") == 0 || strcmp(o->name, "drop.fields.from.key") == 0 ||
        strcmp(o->name, "drop.fields.keep.schema.compatible") == 0)
        return read_bool(t, o, &ignored, e);
    if (strcmp(o->name, "drop.fields.header.name") == 0)
        return ERR_OK;
    return cdc_transform_unknown(t, o->name, e);
}

/* ---- deletes ---------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum cdc_unwrap_delete deletes;
    bool tombstones;
} modes[] = {
    {"tombstone", CDC_UNWRAP_NULL, false},
    {"delete-to-tombstone", CDC_UNWRAP_NULL, false},
    {"drop", CDC_UNWRAP_DROP, false},
    {"rewrite", CDC_UNWRAP_REWRITE, false},
    {"rewrite-with-tombstone", CDC_UNWRAP_REWRITE, true},
};

/* drop.tombstones and delete.handling.mode, which were two settings. */
static int read_old_mode(const struct cdc_transform *t, const struct given *g, struct cdc_unwrap *u,
                         struct err *e)
{
    const char *mode = g->old_mode ? g->old_mode : "drop";
    u->tombstones = g->old && !g->drop_tombstones;
    if (strcasecmp(mode, "drop") == 0)
        u->deletes = CDC_UNWRAP_DROP;
    else if (strcasecmp(mode, "rewrite") == 0)
        u->deletes = CDC_UNWRAP_REWRITE;
    else if (strcasecmp(mode, "none") == 0)
        u->deletes = CDC_UNWRAP_NULL;
    else
        return err_set(e, ERR_INVALID_CONFIG,
                       "transforms.%s.delete.handling.mode: \"%s\" is none of drop, rewrite, none", t->alias,
                       mode);
    return ERR_OK;
}

static int read_mode(const struct cdc_transform *t, const struct given *g, struct cdc_unwrap *u,
                     struct err *e)
{
    if (!g->mode && (g->old || g->old_mode))
        return read_old_mode(t, g, u, e);
    const char *mode = g->mode ? g->mode : "tombstone";
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
        if (strcasecmp(modes[i].name, mode) == 0) {
            u->deletes = modes[i].deletes;
            u->tombstones = modes[i].tombstones;
            return ERR_OK;
        }
    return err_set(
        e, ERR_INVALID_CONFIG,
        "transforms.%s.delete.tombstone.handling.mode: \"%s\" is none of tombstone, drop, rewrite, "
        "rewrite-with-tombstone, delete-to-tombstone",
        t->alias, mode);
}

/* ---- what is added ------------------------------------------------------------------------------------------------------------ */

/* Where a name without a struct is looked for. */
static enum cdc_add_of struct_of(const char *field)
{
    static const char *const top[] = {"op", "ts_ms", "ts_us", "ts_ns"};
    static const char *const block[] = {"id", "total_order", "data_collection_order"};
    for (size_t i = 0; i < sizeof(top) / sizeof(*top); i++)
        if (strcmp(top[i], field) == 0)
            return CDC_ADD_TOP;
    for (size_t i = 0; i < sizeof(block) / sizeof(*block); i++)
        if (strcmp(block[i], field) == 0)
            return CDC_ADD_TRANSACTION;
    return CDC_ADD_SOURCE;
}

static bool named_struct(const char *p, size_t n, enum cdc_add_of *out)
{
    static const char *const names[] = {[CDC_ADD_SOURCE] = "source",
                                        [CDC_ADD_TRANSACTION] = "transaction",
                                        [CDC_ADD_BEFORE] = "before",
                                        [CDC_ADD_AFTER] = "after"};
    for (int i = CDC_ADD_SOURCE; i <= CDC_ADD_AFTER; i++)
        if (strlen(names[i]) == n && memcmp(names[i], p, n) == 0) {
            *out = (enum cdc_add_of)i;
            return true;
        }
    return false;
}

struct adding {
    const struct cdc_transform *t;
    const char *option, *prefix;
    struct cdc_adds *to;
};

/* `field`, `struct.field`, each with `:name` behind it or not. */
static int add_one(void *arg, char *item, struct err *e)
{
    const struct adding *by = arg;
    struct cdc_adds *to = by->to;
    struct cdc_add *items = mem_realloc_array(to->items, to->count + 1, sizeof(*items));
    if (!items)
        return err_nomem(e);
    to->items = items;
    struct cdc_add *a = &items[to->count++];
    *a = (struct cdc_add){0};
    char *colon = strchr(item, ':'), *dot;
    if (colon)
        *colon = '\0';
    dot = strchr(item, '.');
    if (!*item || (colon && !colon[1]))
        return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.%s: an item without a name", by->t->alias,
                       by->option);
    if (dot && !named_struct(item, (size_t)(dot - item), &a->of))
        return err_set(
            e, ERR_INVALID_CONFIG,
            "transforms.%s.%s: \"%s\": the part before the dot is none of source, transaction, before, after",
            by->t->alias, by->option, item);
    if (!dot)
        a->of = struct_of(item);
    a->field = mem_strdup(dot ? dot + 1 : item);
    if (dot)
        *dot = '_';
    a->name = mem_printf("%s%s", by->prefix, colon ? colon + 1 : item);
    return a->field && a->name ? ERR_OK : err_nomem(e);
}

static int read_adds(struct adding by, const char *text, struct err *e)
{
    return text ? cdc_transform_items(text, add_one, &by, e) : ERR_OK;
}

int cdc_unwrap_read(const struct cdc_transform *t, struct cdc_config *out, struct err *e)
{
    if (out->unwrap)
        return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.type: ExtractNewRecordState is there already",
                       t->alias);
    struct cdc_unwrap *u = out->unwrap = mem_calloc(1, sizeof(*u));
    if (!u)
        return err_nomem(e);
    out->unwrap_stage = cdc_transform_stage(t, out);
    struct given g = {.drop_tombstones = true, .field_prefix = "__", .header_prefix = "__"};
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < t->count; i++)
        rc = read_option(t, &t->options[i], &g, u, e);
    rc = rc ? rc : read_mode(t, &g, u, e);
    rc = rc ? rc : read_adds((struct adding){t, "add.fields", g.field_prefix, &u->fields}, g.fields, e);
    return rc ? rc : read_adds((struct adding){t, "add.headers", g.header_prefix, &u->headers}, g.headers, e);
}

static void adds_free(struct cdc_adds *a)
{
    for (size_t i = 0; i < a->count; i++) {
        mem_free(a->items[i].field);
        mem_free(a->items[i].name);
    }
    mem_free(a->items);
}

void cdc_unwrap_free(struct cdc_unwrap *u)
{
    if (!u)
        return;
    adds_free(&u->fields);
    adds_free(&u->headers);
    mem_free(u->route_by);
    mem_free(u);
}
