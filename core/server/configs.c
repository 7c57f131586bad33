/*
 * configs: DescribeConfigs: settings of topics, of groups, of this node as a broker, and the level of its diagnostics, with Kafka's names,
 * types and sources. In the pool: a broker has hundreds. KIP-133, KIP-226, KIP-412, KIP-569, KIP-848.
 */
#include "server/configs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/hash.h"
#include "base/mem.h"
#include "broker/group_config.h"

typedef struct msg_describe_configs_request_resource asked_resource;
typedef struct msg_describe_configs_response_result described;
typedef struct msg_describe_configs_response_resource_result row;
typedef struct msg_describe_configs_response_synonym synonym;

#define NO_EFFECT_DOC "A setting of Kafka's brokers that has no effect here."
#define FIXED_DOC "As it is on the one node that there is."

/* One resource that is being described. */
struct view {
    struct request *c;
    const struct msg_describe_configs_request *q;
    struct map *wanted; /* names; NULL: all */
    described *out;
    int32_t room;
    bool failed; /* no memory */
};

int8_t config_source_of(enum hub_layer layer)
{
    return layer == HUB_NODE ? SOURCE_NODE : layer == HUB_CLUSTER ? SOURCE_CLUSTER : SOURCE_FILE;
}

int8_t config_source_of_topic(const struct topic_setting *s)
{
    enum hub_layer layer;
    if (s->source == TOPIC_SETTING_OF_TOPIC)
        return SOURCE_TOPIC;
    return topic_setting_of_hub(s, &layer) != NULL ? config_source_of(layer) : SOURCE_DEFAULT;
}

int config_check_node(const char *name, int32_t node, struct err *e)
{
    char *end;
    long id = strtol(name, &end, 10);
    if (*name == '\0' || *end != '\0')
        return err_set(e, ERR_INVALID, "Node id must be an integer, but it is: %.100s", name);
    if (id != node)
        return err_set(e, ERR_INVALID, "Unexpected broker id, expected %d, but received %ld", node, id);
    return ERR_OK;
}

static struct msg_string borrowed(const char *text) /* of a table */
{
    return text != NULL ? msg_text(text, strlen(text)) : MSG_NULL_STRING;
}

static struct msg_string copied(const struct view *v, const char *text)
{
    return text != NULL ? api_text(v->c, text) : MSG_NULL_STRING;
}

static bool wanted(const struct view *v, const char *name)
{
    return v->wanted == NULL || map_get(v->wanted, name, strlen(name)) != NULL;
}

/* The next row, with room for all the synonyms that there can be; NULL: it is not wanted, or `failed`. */
static row *next_row(struct view *v, const char *name, int8_t type)
{
    if (!wanted(v, name) || v->out->configs.count == v->room)
        return NULL;
    row *r = &v->out->configs.items[v->out->configs.count];
    msg_init(&msg_schema_describe_configs_response_resource_result, r);
    r->documentation = MSG_NULL_STRING;
    r->synonyms.count = 0;
    r->synonyms.items = request_try_alloc(v->c, HUB_LAYERS + 2, sizeof *r->synonyms.items);
    v->failed = v->failed || r->synonyms.items == NULL;
    if (v->failed)
        return NULL;
    r->name = copied(v, name);
    r->config_type = type;
    v->out->configs.count++;
    return r;
}

static void add_synonym(row *r, struct msg_string name, struct msg_string value, int8_t source)
{
    r->synonyms.items[r->synonyms.count++] = (synonym){.name = name, .value = value, .source = source};
}

/* What the first synonym says is in force. */
static void settle(const struct view *v, row *r, const char *doc)
{
    if (r->synonyms.count > 0) {
        r->value = r->synonyms.items[0].value;
        r->config_source = r->synonyms.items[0].source;
    }
    if (!v->q->include_synonyms)
        r->synonyms.count = 0;
    if (v->q->include_documentation)
        r->documentation = borrowed(doc);
}

static bool make_room(struct view *v, size_t n)
{
    v->room = (int32_t)n;
    v->out->configs.items = request_try_alloc(v->c, n + 1, sizeof *v->out->configs.items);
    v->failed = v->out->configs.items == NULL;
    return !v->failed;
}

/* ---- topics ---- */

static int8_t type_of(const struct topic_config_def *d)
{
    switch (d->type) {
    case TOPIC_CONFIG_INT:
        return CONFIG_INT;
    case TOPIC_CONFIG_LONG:
        return CONFIG_LONG;
    case TOPIC_CONFIG_BOOL:
        return CONFIG_BOOL;
    case TOPIC_CONFIG_CHOICE:
        return CONFIG_STRING;
    case TOPIC_CONFIG_LIST:
        return CONFIG_LIST;
    case TOPIC_CONFIG_DOUBLE:
        return CONFIG_DOUBLE;
    default: /* TOPIC_CONFIG_REFUSED: by its default */
        return *d->default_value == 'f' ? CONFIG_BOOL : *d->default_value != '\0' ? CONFIG_LONG : CONFIG_LIST;
    }
}

static void topic_row(struct view *v, const struct topic_setting *s)
{
    row *r = next_row(v, s->def->name, type_of(s->def));
    if (r == NULL)
        return;
    if (s->source == TOPIC_SETTING_OF_TOPIC)
        add_synonym(r, r->name, copied(v, s->value), SOURCE_TOPIC);
    for (int i = 0; i < HUB_LAYERS; i++)
        if (s->hub_values[i] != NULL)
            add_synonym(r, borrowed(s->def->hub), copied(v, s->hub_values[i]),
                        config_source_of((enum hub_layer)i));
    if (s->def->hub != NULL && !broker_config_no_default(s->def->hub))
        add_synonym(r, borrowed(s->def->hub), borrowed(s->def->default_value), SOURCE_DEFAULT);
    if (r->synonyms.count == 0) {
        r->value = borrowed(s->def->default_value);
        r->config_source = SOURCE_DEFAULT;
    }
    settle(v, r, s->def->doc);
}

static int describe_topic(struct view *v, const char *name, struct err *e)
{
    struct topic_setting *list;
    size_t n;
    int rc = topic_name_check(name, e);
    if (rc == ERR_OK)
        rc = broker_topic_settings(v->c->server->broker, name, &list, &n, e);
    if (rc != ERR_OK)
        return rc;
    if (make_room(v, n))
        for (size_t i = 0; i < n; i++)
            topic_row(v, &list[i]);
    topic_settings_list_free(list, n);
    return ERR_OK;
}

/* ---- brokers ---- */

struct layers {
    struct topic_config_entry *list[HUB_LAYERS];
    size_t n[HUB_LAYERS];
};

static int load_layers(struct broker *b, struct layers *l, struct err *e)
{
    int rc = ERR_OK;
    *l = (struct layers){{0}, {0}};
    for (int i = 0; i < HUB_LAYERS && rc == ERR_OK; i++)
        rc = broker_hub_settings(b, (enum hub_layer)i, &l->list[i], &l->n[i], e);
    return rc;
}

static void free_layers(struct layers *l)
{
    for (int i = 0; i < HUB_LAYERS; i++)
        broker_hub_settings_free(l->list[i], l->n[i]);
}

static const char *layer_value(const struct layers *l, int layer, const char *name)
{
    for (size_t i = 0; i < l->n[layer]; i++)
        if (strcmp(l->list[layer][i].name, name) == 0)
            return l->list[layer][i].value;
    return NULL;
}

/* One that is a default of topics: it may have been set at run time, or in the configuration. */
static void default_row(struct view *v, const struct layers *l, const struct topic_config_def *d)
{
    row *r = next_row(v, d->hub, type_of(d));
    if (r == NULL)
        return;
    r->read_only = d->type == TOPIC_CONFIG_REFUSED;
    for (int i = 0; i < HUB_LAYERS; i++) {
        const char *value = layer_value(l, i, d->hub);
        if (value != NULL)
            add_synonym(r, r->name, copied(v, value), config_source_of((enum hub_layer)i));
    }
    if (!broker_config_no_default(d->hub))
        add_synonym(r, r->name, borrowed(d->default_value), SOURCE_DEFAULT);
    if (r->synonyms.count == 0) {
        r->value = MSG_NULL_STRING;
        r->config_source = SOURCE_DEFAULT;
    }
    settle(v, r, d->doc);
}

/* What is as it is because there is one node, or as the store itself knows it. NULL: nothing of the kind. */
static const char *own_value(const struct view *v, const char *name, char number[16])
{
    static const struct {
        const char *name, *value;
    } own[] = {
        {"offsets.topic.replication.factor", "1"},
        {"process.roles", "broker,controller"},
        {"transaction.state.log.min.isr", "1"},
        {"transaction.state.log.replication.factor", "1"},
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(own[i].name, name) == 0)
            return own[i].value;
    bool id = strcmp(name, "node.id") == 0 || strcmp(name, "broker.id") == 0;
    if (!id && strcmp(name, "num.network.threads") != 0)
        return NULL;
    snprintf(number, 16, "%d", id ? api_node(v->c) : v->c->server->loop_count);
    return number;
}

static struct msg_string data_dirs(const struct view *v)
{
    struct buf text;
    struct err e;
    int rc = ERR_OK;
    buf_init(&text, 1 << 20);
    for (size_t i = 0; i < broker_disk_count(v->c->server->broker) && rc == ERR_OK; i++) {
        const char *dir = api_log_dir(v->c, i);
        rc = dir != NULL ? buf_printf(&text, &e, "%s%s", i > 0 ? "," : "", dir) : err_nomem(&e);
    }
    const char *copy = rc == ERR_OK ? arena_dup(&v->c->arena, text.data, text.len) : NULL;
    struct msg_string out = copy != NULL ? msg_text(copy, text.len) : MSG_NULL_STRING;
    buf_free(&text);
    return out;
}

static const struct broker_config_value *of_hub(const struct view *v, const char *name)
{
    const struct server_options *o = &v->c->server->o;
    for (size_t i = 0; i < o->config_count; i++)
        if (strcmp(o->configs[i].name, name) == 0)
            return &o->configs[i];
    return NULL;
}

/* One that is fixed while the hub runs. */
static void fixed_row(struct view *v, const struct broker_config_def *d)
{
    char number[16];
    row *r = next_row(v, d->name, (int8_t)d->type);
    if (r == NULL)
        return;
    const struct broker_config_value *hub = of_hub(v, d->name);
    const char *own = hub == NULL || !hub->given ? own_value(v, d->name, number) : NULL;
    r->read_only = true;
    r->is_sensitive = d->type == CONFIG_PASSWORD;
    r->value = MSG_NULL_STRING;
    r->config_source = SOURCE_DEFAULT;
    if (strcmp(d->name, "log.dirs") == 0)
        add_synonym(r, r->name, data_dirs(v), SOURCE_FILE);
    else if (own != NULL)
        add_synonym(r, r->name, copied(v, own), SOURCE_FILE);
    else if (hub != NULL)
        add_synonym(r, r->name, copied(v, hub->value), hub->given ? SOURCE_FILE : SOURCE_DEFAULT);
    if (d->default_value != NULL && (r->synonyms.count == 0 || r->synonyms.items[0].source != SOURCE_DEFAULT))
        add_synonym(r, r->name, borrowed(d->default_value), SOURCE_DEFAULT);
    settle(v, r, hub != NULL ? hub->doc : own != NULL ? FIXED_DOC : NO_EFFECT_DOC);
}

/* What was set at run time under a name that nobody knows may be a secret of somebody's. */
static void unknown_rows(struct view *v, const struct layers *l, int layer)
{
    for (size_t i = 0; i < l->n[layer]; i++) {
        const char *name = l->list[layer][i].name;
        if (topic_config_of_hub(name) != NULL || broker_config_find(name) != NULL ||
            (layer == HUB_CLUSTER && layer_value(l, HUB_NODE, name) != NULL))
            continue;
        row *r = next_row(v, name, 0);
        if (r == NULL)
            continue;
        r->is_sensitive = r->read_only = true;
        add_synonym(r, r->name, MSG_NULL_STRING, config_source_of((enum hub_layer)layer));
        settle(v, r, NULL);
    }
}

static void node_rows(struct view *v, const struct layers *l)
{
    size_t n, m;
    const struct topic_config_def *defs = topic_config_defs(&n);
    const struct broker_config_def *fixed = broker_config_defs(&m);
    if (!make_room(v, n + m + l->n[HUB_NODE] + l->n[HUB_CLUSTER]))
        return;
    for (size_t i = 0; i < n; i++)
        if (defs[i].hub != NULL)
            default_row(v, l, &defs[i]);
    for (size_t i = 0; i < m; i++)
        fixed_row(v, &fixed[i]);
    unknown_rows(v, l, HUB_NODE);
    unknown_rows(v, l, HUB_CLUSTER);
}

/* What was set for the whole cluster, and nothing else. */
static void cluster_rows(struct view *v, struct layers *l)
{
    if (!make_room(v, l->n[HUB_CLUSTER]))
        return;
    for (size_t i = 0; i < l->n[HUB_CLUSTER]; i++) {
        const struct topic_config_entry *c = &l->list[HUB_CLUSTER][i];
        const struct topic_config_def *d = topic_config_of_hub(c->name);
        row *r = next_row(v, c->name, d != NULL ? type_of(d) : 0);
        if (r == NULL)
            continue;
        r->is_sensitive = r->read_only = d == NULL;
        add_synonym(r, r->name, d != NULL ? copied(v, c->value) : MSG_NULL_STRING, SOURCE_CLUSTER);
        settle(v, r, d != NULL ? d->doc : NULL);
    }
}

static int describe_broker(struct view *v, const char *name, struct err *e)
{
    struct layers l;
    int rc = *name == '\0' ? ERR_OK : config_check_node(name, api_node(v->c), e);
    if (rc != ERR_OK)
        return rc;
    rc = load_layers(v->c->server->broker, &l, e);
    if (rc == ERR_OK && *name == '\0')
        cluster_rows(v, &l);
    else if (rc == ERR_OK)
        node_rows(v, &l);
    free_layers(&l);
    return rc;
}

/* ---- groups ---- */

static void group_row(struct view *v, const struct group_config_def *d, const struct topic_config_entry *own,
                      size_t own_n)
{
    row *r = next_row(v, d->name, (int8_t)d->type);
    if (r == NULL)
        return;
    for (size_t i = 0; i < own_n; i++)
        if (strcmp(own[i].name, d->name) == 0)
            add_synonym(r, r->name, copied(v, own[i].value), SOURCE_GROUP);
    const struct broker_config_value *hub = d->hub != NULL ? of_hub(v, d->hub) : NULL;
    if (hub != NULL && hub->given)
        add_synonym(r, borrowed(d->hub), copied(v, hub->value), SOURCE_FILE);
    add_synonym(r, borrowed(d->hub != NULL ? d->hub : d->name), borrowed(d->default_value), SOURCE_DEFAULT);
    settle(v, r, d->doc);
}

/* Any group has them, also one that is not there. */
static int describe_group(struct view *v, const char *name, struct err *e)
{
    struct topic_config_entry *own;
    size_t n, count;
    const struct group_config_def *defs = group_config_defs(&count);
    if (*name == '\0')
        return err_set(e, ERR_INVALID, "Group name must not be empty");
    int rc = broker_group_settings(v->c->server->broker, name, &own, &n, e);
    if (rc != ERR_OK)
        return rc;
    if (make_room(v, count))
        for (size_t i = 0; i < count; i++)
            group_row(v, &defs[i], own, n);
    broker_hub_settings_free(own, n);
    return ERR_OK;
}

/* ---- diagnostics ---- */

/* The names of Kafka's levels. */
static int describe_logger(struct view *v, const char *name, struct err *e)
{
    static const char *const levels[] = {
        [DIAG_DEBUG] = "DEBUG", [DIAG_INFO] = "INFO", [DIAG_WARN] = "WARN", [DIAG_ERROR] = "ERROR"};
    int level = DIAG_DEBUG;
    int rc = *name == '\0' ? err_set(e, ERR_INVALID, "Broker id must not be empty")
                           : config_check_node(name, api_node(v->c), e);
    if (rc != ERR_OK || !make_room(v, 1))
        return rc;
    while (level < DIAG_OFF && !diag_enabled((enum diag_level)level))
        level++;
    row *r = next_row(v, ROOT_LOGGER, CONFIG_STRING);
    if (r != NULL) {
        r->value = borrowed(level < DIAG_OFF ? levels[level] : "FATAL");
        r->config_source = SOURCE_LOGGER;
        settle(v, r, NULL);
    }
    return ERR_OK;
}

/* ---- the request ---- */

/* The filter's names, for a look-up each. False: no memory. */
static bool take_filter(struct view *v, const asked_resource *q)
{
    struct err e;
    if (q->configuration_keys.count <= 0)
        return true;
    if ((v->wanted = map_new()) == NULL)
        return false;
    for (int32_t i = 0; i < q->configuration_keys.count; i++) {
        struct msg_string k = q->configuration_keys.items[i];
        int rc = map_put(v->wanted, k.n > 0 ? k.p : "", k.n > 0 ? (size_t)k.n : 0, v, &e);
        if (rc != ERR_OK && rc != ERR_EXISTS)
            return false;
    }
    return true;
}

static int describe(struct view *v, const asked_resource *q, struct err *e)
{
    const char *name = request_string(v->c, q->resource_name);
    if (name == NULL || !take_filter(v, q))
        return err_nomem(e);
    switch (q->resource_type) {
    case RESOURCE_TOPIC:
        return describe_topic(v, name, e);
    case RESOURCE_BROKER:
        return describe_broker(v, name, e);
    case RESOURCE_LOGGER:
        return describe_logger(v, name, e);
    case RESOURCE_GROUP:
        return describe_group(v, name, e);
    default:
        return err_set(e, ERR_INVALID, "Unsupported resource type: %d", q->resource_type);
    }
}

void api_describe_configs(struct request *c)
{
    const struct msg_describe_configs_request *q = c->asked;
    struct msg_describe_configs_response r;
    msg_init(&msg_schema_describe_configs_response, &r);
    r.results.items = request_alloc(c, (size_t)q->resources.count, sizeof *r.results.items);
    if (r.results.items == NULL)
        return;
    r.results.count = q->resources.count;
    for (int32_t i = 0; i < q->resources.count; i++) {
        struct err e = {0};
        described *out = &r.results.items[i];
        struct view v = {.c = c, .q = q, .out = out};
        msg_init(&msg_schema_describe_configs_response_result, out);
        out->resource_type = q->resources.items[i].resource_type;
        out->resource_name = q->resources.items[i].resource_name;
        out->error_code = err_kafka(describe(&v, &q->resources.items[i], &e));
        out->error_message = api_error_text(c, &e);
        if (v.wanted != NULL)
            map_free(v.wanted, NULL);
        if (v.failed) {
            request_close(c, (err_nomem(&e), &e));
            return;
        }
    }
    request_reply(c, &r);
}
