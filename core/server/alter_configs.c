/*
 * alter_configs: AlterConfigs and IncrementalAlterConfigs. What they change is durable and in force before it is told, so they run in the
 * pool. The checks of a request's form are Kafka's, in its order: resources named twice, then each one's settings. KIP-133, KIP-339,
 * KIP-412.
 */
#include <string.h>
#include <strings.h>

#include "base/diag.h"
#include "base/hash.h"
#include "base/mem.h"
#include "broker/group_config.h"
#include "server/configs.h"

/* One resource of either request. */
struct alteration {
    int8_t type;
    struct msg_string resource;
    struct config_change *changes;
    size_t n;
    bool unknown_op;
    struct msg_string null_name; /* the first setting without a value that needs one */
    bool null_value;
    bool twice; /* another one of the request names the same */
};

static struct config_change change_of(struct request *c, struct alteration *a, struct msg_string name,
                                      int8_t op, struct msg_string value)
{
    a->unknown_op = a->unknown_op || op < CONFIG_SET || op > CONFIG_SUBTRACT;
    if (value.n < 0 && op != CONFIG_DELETE && !a->null_value) {
        a->null_value = true;
        a->null_name = name;
    }
    return (struct config_change){.name = request_string(c, name),
                                  .op = (enum config_op)op,
                                  .value = op != CONFIG_DELETE && value.n >= 0 ? api_value(c, value) : NULL};
}

/* ---- one resource ---- */

/* Whether a setting is named twice. */
static int check_once(const struct alteration *a, struct err *e)
{
    struct map *names = map_new();
    int rc = names != NULL ? ERR_OK : err_nomem(e);
    for (size_t i = 0; i < a->n && rc == ERR_OK; i++) {
        rc = map_put(names, a->changes[i].name, strlen(a->changes[i].name), names, e);
        if (rc == ERR_EXISTS)
            rc = err_set(e, ERR_INVALID, "Error due to duplicate config keys");
    }
    if (names != NULL)
        map_free(names, NULL);
    return rc;
}

static int check_form(const struct alteration *a, struct err *e)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->changes[i].name == NULL)
            return err_nomem(e);
    if (a->null_value)
        return err_set(e, ERR_INVALID, "Null value not supported for : %.*s",
                       a->null_name.n > 100 ? 100 : a->null_name.n, a->null_name.p);
    for (size_t i = 0; i < a->n; i++)
        if (a->changes[i].value == NULL && a->changes[i].op != CONFIG_DELETE)
            return err_nomem(e);
    return check_once(a, e);
}

/* The level of the one logger that there is. */
static int change_logger(const struct alteration *a, bool try_only, struct err *e)
{
    static const struct {
        const char *name;
        enum diag_level level;
    } levels[] = {{"TRACE", DIAG_DEBUG}, {"DEBUG", DIAG_DEBUG}, {"INFO", DIAG_INFO},
                  {"WARN", DIAG_WARN},   {"ERROR", DIAG_ERROR}, {"FATAL", DIAG_OFF}};
    enum { COUNT = sizeof levels / sizeof *levels };
    size_t k = COUNT;
    for (size_t i = 0; i < a->n; i++) {
        const struct config_change *x = &a->changes[i];
        if (x->op == CONFIG_APPEND || x->op == CONFIG_SUBTRACT)
            return err_set(e, ERR_INVALID, "%s operation is not allowed for the BROKER_LOGGER resource",
                           x->op == CONFIG_APPEND ? "APPEND" : "SUBTRACT");
        if (strcmp(x->name, ROOT_LOGGER) != 0)
            return err_set(e, ERR_INVALID_CONFIG, "Logger %.100s does not exist!", x->name);
        if (x->op == CONFIG_DELETE)
            return err_set(e, ERR_INVALID, "Removing the log level of the root logger is not allowed");
        for (k = 0; k < COUNT && strcasecmp(levels[k].name, x->value) != 0;)
            k++;
        if (k == COUNT)
            return err_set(e, ERR_INVALID_CONFIG,
                           "Cannot set the log level of %s to %.100s as it is not a supported log level",
                           x->name, x->value);
    }
    if (!try_only && k < COUNT)
        diag_set_level(levels[k].level);
    return ERR_OK;
}

static int change_group(struct request *c, const struct alteration *a, const char *name, bool replace,
                        bool try_only, struct err *e)
{
    const struct server_options *o = &c->server->o;
    const struct group_bounds bounds = {
        .min = {o->group_consumer_session_min_ms, o->group_consumer_heartbeat_min_ms},
        .max = {o->group_consumer_session_max_ms, o->group_consumer_heartbeat_max_ms},
        .others = {o->group_consumer_session_ms, o->group_consumer_heartbeat_ms}};
    if (*name == '\0')
        return err_set(e, ERR_INVALID, "Default group resources are not allowed.");
    return broker_change_group(c->server->broker, name, a->changes, a->n, replace, try_only, &bounds, e);
}

static int change(struct request *c, const struct alteration *a, const char *name, bool replace,
                  bool try_only, struct err *e)
{
    struct broker *b = c->server->broker;
    int rc;
    switch (a->type) {
    case RESOURCE_TOPIC:
        if (*name == '\0')
            return err_set(e, ERR_INVALID, "Default topic resources are not allowed.");
        rc = topic_name_check(name, e);
        return rc != ERR_OK ? rc : broker_change_topic(b, name, a->changes, a->n, replace, try_only, e);
    case RESOURCE_BROKER:
        rc = *name == '\0' ? ERR_OK : config_check_node(name, api_node(c), e);
        return rc != ERR_OK ? rc
                            : broker_change_hub(b, *name == '\0' ? HUB_CLUSTER : HUB_NODE, a->changes, a->n,
                                                replace, try_only, e);
    case RESOURCE_LOGGER:
        if (replace)
            return err_set(e, ERR_INVALID,
                           "Broker logging configurations are changed by "
                           "IncrementalAlterConfigs only");
        rc = config_check_node(name, api_node(c), e);
        return rc != ERR_OK ? rc : change_logger(a, try_only, e);
    case RESOURCE_GROUP:
        return change_group(c, a, name, replace, try_only, e);
    default:
        return err_set(e, ERR_INVALID, "Unexpected resource type %d.", a->type);
    }
}

/* What became of it: Kafka's code, -1 for an operation that nobody knows. */
static int16_t apply(struct request *c, const struct alteration *a, bool replace, bool try_only,
                     struct err *e)
{
    const char *name = request_string(c, a->resource);
    int rc = name == NULL ? err_nomem(e)
             : a->twice   ? err_set(e, ERR_INVALID, "Each resource must appear at most once.")
                          : check_form(a, e);
    if (rc == ERR_OK && a->unknown_op)
        rc = err_set(e, a->type == RESOURCE_TOPIC || a->type == RESOURCE_GROUP ? ERR_INTERNAL : ERR_INVALID,
                     "Unknown operation");
    if (rc == ERR_OK)
        rc = change(c, a, name, replace, try_only, e);
    return err_kafka(rc);
}

/* ---- the requests ---- */

/* Marks the resources that are named twice, which are refused, each of them. */
static int mark_twice(struct request *c, struct alteration *list, size_t n, struct err *e)
{
    struct map *seen = map_new();
    int rc = seen != NULL ? ERR_OK : err_nomem(e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        size_t len = list[i].resource.n > 0 ? (size_t)list[i].resource.n : 0;
        uint8_t *key = arena_alloc(&c->arena, len + 1);
        if (key == NULL) {
            rc = err_nomem(e);
            break;
        }
        key[0] = (uint8_t)list[i].type;
        if (len > 0)
            memcpy(key + 1, list[i].resource.p, len);
        rc = map_put(seen, key, len + 1, &list[i], e);
        if (rc == ERR_EXISTS) {
            struct alteration *first = map_get(seen, key, len + 1);
            first->twice = list[i].twice = true;
            rc = ERR_OK;
        }
    }
    if (seen != NULL)
        map_free(seen, NULL);
    return rc;
}

static struct alteration *alterations(struct request *c, size_t n)
{
    return request_alloc(c, n, sizeof(struct alteration));
}

static bool room_for(struct request *c, struct alteration *a, int32_t n)
{
    a->n = n > 0 ? (size_t)n : 0;
    a->changes = request_alloc(c, a->n, sizeof *a->changes);
    return a->changes != NULL;
}

typedef struct msg_alter_configs_response_resource_response outcome;

/* Makes the changes, one resource after the other; NULL: no memory, and the request was closed. */
static outcome *apply_all(struct request *c, struct alteration *list, size_t n, bool replace, bool try_only)
{
    struct err e;
    outcome *out = request_alloc(c, n, sizeof *out);
    if (out == NULL)
        return NULL;
    if (mark_twice(c, list, n, &e) != ERR_OK) {
        request_close(c, &e);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        err_clear(&e);
        out[i] = (outcome){.error_code = apply(c, &list[i], replace, try_only, &e),
                           .resource_type = list[i].type,
                           .resource_name = list[i].resource};
        out[i].error_message = api_error_text(c, &e);
    }
    return out;
}

void api_incremental_alter_configs(struct request *c)
{
    const struct msg_incremental_alter_configs_request *q = c->asked;
    struct msg_incremental_alter_configs_response r;
    size_t n = (size_t)q->resources.count;
    struct alteration *list = alterations(c, n);
    if (list == NULL)
        return;
    for (size_t i = 0; i < n; i++) {
        const struct msg_incremental_alter_configs_request_alter_configs_resource *a = &q->resources.items[i];
        list[i].type = a->resource_type;
        list[i].resource = a->resource_name;
        if (!room_for(c, &list[i], a->configs.count))
            return;
        for (size_t k = 0; k < list[i].n; k++)
            list[i].changes[k] = change_of(c, &list[i], a->configs.items[k].name,
                                           a->configs.items[k].config_operation, a->configs.items[k].value);
    }
    outcome *out = apply_all(c, list, n, false, q->validate_only);
    if (out == NULL)
        return;
    msg_init(&msg_schema_incremental_alter_configs_response, &r);
    r.responses.items = request_alloc(c, n, sizeof *r.responses.items);
    if (r.responses.items == NULL)
        return;
    r.responses.count = (int32_t)n;
    for (size_t i = 0; i < n; i++)
        r.responses.items[i] =
            (struct msg_incremental_alter_configs_response_alter_configs_resource_response){
                .error_code = out[i].error_code,
                .error_message = out[i].error_message,
                .resource_type = out[i].resource_type,
                .resource_name = out[i].resource_name};
    request_reply(c, &r);
}

void api_alter_configs(struct request *c)
{
    const struct msg_alter_configs_request *q = c->asked;
    struct msg_alter_configs_response r;
    size_t n = (size_t)q->resources.count;
    struct alteration *list = alterations(c, n);
    if (list == NULL)
        return;
    for (size_t i = 0; i < n; i++) {
        const struct msg_alter_configs_request_resource *a = &q->resources.items[i];
        list[i].type = a->resource_type;
        list[i].resource = a->resource_name;
        if (!room_for(c, &list[i], a->configs.count))
            return;
        for (size_t k = 0; k < list[i].n; k++)
            list[i].changes[k] =
                change_of(c, &list[i], a->configs.items[k].name, CONFIG_SET, a->configs.items[k].value);
    }
    msg_init(&msg_schema_alter_configs_response, &r);
    r.responses.items = apply_all(c, list, n, true, q->validate_only);
    if (r.responses.items == NULL)
        return;
    r.responses.count = (int32_t)n;
    request_reply(c, &r);
}
