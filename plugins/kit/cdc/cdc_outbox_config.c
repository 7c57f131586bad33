/*
 * cdc_outbox_config: options of EventRouter.
 */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "kit/cdc/cdc_outbox.h"

/* One of the names with | between; its index, or an error. */
static int read_choice(const struct cdc_transform *t, const struct cdc_named *o, const char *choices,
                       int *out, struct err *e)
{
    *out = 0;
    for (const char *p = choices; *p; (*out)++) {
        size_t n = strcspn(p, "|");
        if (strlen(o->value) == n && strncasecmp(o->value, p, n) == 0)
            return ERR_OK;
        p += n + (p[n] == '|');
    }
    return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.%s: \"%s\" is none of %s", t->alias, o->name,
                   o->value, choices);
}

static int replace(char **text, const char *value, struct err *e)
{
    mem_free(*text);
    *text = value && *value ? mem_strdup(value) : NULL;
    return *text || !value || !*value ? ERR_OK : err_nomem(e);
}

/* ---- placements --------------------------------------------------------------------------------------------------------------- */

struct placing {
    const struct cdc_transform *t;
    struct cdc_outbox *o;
};

/* column:place or column:place:alias */
static int place(void *arg, char *item, struct err *e)
{
    const struct placing *to = arg;
    struct cdc_outbox *o = to->o;
    char *rest = item, *column = strsep(&rest, ":"), *where = strsep(&rest, ":"),
         *alias = rest ? rest : column;
    static const char *const places[] = {"header", "envelope", "partition"};
    int which = 0;
    while (which < 3 && where && strcasecmp(places[which], where) != 0)
        which++;
    if (!*column || !where || which == 3 || !*alias || strchr(alias, ':'))
        return err_set(e, ERR_INVALID_CONFIG,
                       "transforms.%s.table.fields.additional.placement: an item has to be column:place or "
                       "column:place:alias, place one of header, envelope, partition",
                       to->t->alias);
    struct cdc_placed *placed = mem_realloc_array(o->placed, o->placed_count + 1, sizeof(*placed));
    if (!placed)
        return err_nomem(e);
    o->placed = placed;
    struct cdc_placed *p = &placed[o->placed_count++];
    *p = (struct cdc_placed){mem_strdup(column), mem_strdup(alias), (enum cdc_place)which};
    o->envelope |= which == CDC_PLACE_ENVELOPE;
    return p->column && p->alias ? ERR_OK : err_nomem(e);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------ */

static int read_switch(const struct cdc_transform *t, const struct cdc_named *o, struct cdc_outbox *out,
                       bool *known, struct err *e)
{
    const struct {
        const char *name, *choices;
        bool *to;
    } switches[] = {
        {"table.expand.json.payload", "false|true", &out->expand},
        {"route.tombstone.on.empty.payload", "false|true", &out->tombstones},
        {"table.json.payload.null.behavior", "ignore|optional_bytes", &out->keep_nulls},
        {"table.fields.additional.error.on.missing", "false|true", &out->missing_fails},
        {"table.field.additional.missing", "ignore|error", &out->missing_fails},
    };
    for (size_t i = 0; i < sizeof(switches) / sizeof(*switches); i++) {
        if (strcmp(switches[i].name, o->name) != 0)
            continue;
        int which;
        *known = true;
        if (read_choice(t, o, switches[i].choices, &which, e) != ERR_OK)
            return e->code;
        *switches[i].to = which != 0;
    }
    return ERR_OK;
}

static int read_option(const struct cdc_transform *t, const struct cdc_named *o, struct cdc_outbox *out,
                       const char **regex, struct err *e)
{
    const struct {
        const char *name;
        char **to;
    } texts[] = {
        {"table.field.event.id", &out->id},
        {"table.field.event.key", &out->key},
        {"table.field.event.payload", &out->payload},
        {"table.field.event.timestamp", &out->timestamp},
        {"table.field.event.schema.version", &out->version},
        {"route.by.field", &out->route_by},
        {"route.topic.replacement", &out->replacement},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (strcmp(texts[i].name, o->name) == 0)
            return replace(texts[i].to, o->value, e);
    if (strcmp(o->name, "route.topic.regex") == 0) {
        *regex = o->value;
        return ERR_OK;
    }
    if (strcmp(o->name, "table.fields.additional.placement") == 0)
        return cdc_transform_items(o->value, place, &(struct placing){t, out}, e);
    if (strcmp(o->name, "table.op.invalid.behavior") == 0) {
        int which;
        int rc = read_choice(t, o, "warn|error|fatal", &which, e);
        out->invalid = which;
        return rc;
    }
    bool known = false;
    int rc = read_switch(t, o, out, &known, e);
    return known ? rc : cdc_transform_unknown(t, o->name, e);
}

static int defaults(struct cdc_outbox *o, struct err *e)
{
    o->missing_fails = true;
    int rc = replace(&o->id, "id", e);
    rc = rc ? rc : replace(&o->key, "aggregateid", e);
    rc = rc ? rc : replace(&o->payload, "payload", e);
    rc = rc ? rc : replace(&o->route_by, "aggregatetype", e);
    return rc ? rc : replace(&o->replacement, "outbox.event.${routedByValue}", e);
}

int cdc_outbox_read(const struct cdc_transform *t, struct cdc_config *out, struct err *e)
{
    if (out->outbox)
        return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.type: there is an EventRouter already",
                       t->alias);
    struct cdc_outbox *o = out->outbox = mem_calloc(1, sizeof(*o));
    if (!o)
        return err_nomem(e);
    out->outbox_stage = cdc_transform_stage(t, out);
    const char *regex = "(?<routedByValue>.*)";
    int rc = defaults(o, e);
    for (size_t i = 0; rc == ERR_OK && i < t->count; i++)
        rc = read_option(t, &t->options[i], o, &regex, e);
    if (rc == ERR_OK && (!o->id || !o->key || !o->payload || !o->route_by || !o->replacement))
        rc = err_set(e, ERR_INVALID_CONFIG,
                     "transforms.%s: the columns id, key, payload, route.by.field and "
                     "route.topic.replacement must not be empty",
                     t->alias);
    char *name = rc ? NULL : mem_printf("transforms.%s.route.topic.regex", t->alias);
    if (rc == ERR_OK)
        rc = name ? cdc_regex_new(name, regex, strlen(regex), false, &o->regex, e) : err_nomem(e);
    mem_free(name);
    return rc;
}

void cdc_outbox_free(struct cdc_outbox *o)
{
    if (!o)
        return;
    char *texts[] = {o->id, o->key, o->payload, o->timestamp, o->version, o->route_by, o->replacement};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        mem_free(texts[i]);
    for (size_t i = 0; i < o->placed_count; i++) {
        mem_free(o->placed[i].column);
        mem_free(o->placed[i].alias);
    }
    mem_free(o->placed);
    cdc_regex_free(o->regex);
    mem_free(o);
}
