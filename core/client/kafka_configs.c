/*
 * kafka_configs: settings of a cluster's topics through librdkafka. A cluster that does not tell them (too old, or not to
 * this user) has topics without settings. Any thread.
 */
#include <string.h>

#include "base/diag.h"
#include "base/mem.h"
#include "client/kafka.h"

enum { TOPICS_AT_ONCE = 500 };

/* Asks for the settings of topics; their resources are in r->event in some order. */
static int describe(struct kafka_client *k, struct kafka_request *r, const struct topic_info *topics,
                    size_t n, struct err *e)
{
    rd_kafka_ConfigResource_t **resources = mem_calloc(n + 1, sizeof *resources);
    if (!resources)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++)
        resources[i] = rdk.ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics[i].name);
    rdk.DescribeConfigs(k->any, resources, n, r->options, r->queue);
    for (size_t i = 0; i < n; i++)
        rdk.ConfigResource_destroy(resources[i]);
    mem_free(resources);
    return kafka_request_wait(r, "settings of topics", e);
}

static bool set_by_somebody(const rd_kafka_ConfigEntry_t *entry)
{
    return rdk.ConfigEntry_source(entry) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG;
}

static int take_configs(struct topic_info *t, const rd_kafka_ConfigResource_t *from, struct err *e)
{
    size_t n;
    const rd_kafka_ConfigEntry_t **entries = rdk.ConfigResource_configs(from, &n);
    if (!(t->config = mem_calloc(n + 1, sizeof *t->config)))
        return err_nomem(e);
    for (size_t i = 0; i < n; i++) {
        const char *value = rdk.ConfigEntry_value(entries[i]);
        if (!set_by_somebody(entries[i]))
            continue;
        struct topic_config_entry *c = &t->config[t->config_count++];
        *c = (struct topic_config_entry){mem_strdup(rdk.ConfigEntry_name(entries[i])),
                                         mem_strdup(value ? value : "")};
        if (!c->name || !c->value)
            return err_nomem(e);
    }
    return ERR_OK;
}

/* True of errors that mean that nothing is told here. */
static bool untold(int code)
{
    return code == ERR_UNSUPPORTED || code == ERR_PERMISSION || code == ERR_UNKNOWN_TOPIC;
}

static int fill_some(struct kafka_client *k, struct topic_info *topics, size_t n, struct err *e)
{
    struct kafka_request r;
    size_t count = 0;
    int rc = kafka_request_new(k, &r, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, false, e);
    if (rc == ERR_OK)
        rc = describe(k, &r, topics, n, e);
    const rd_kafka_ConfigResource_t **resources =
        rc ? NULL : rdk.DescribeConfigs_result_resources(rdk.event_DescribeConfigs_result(r.event), &count);
    for (size_t i = 0; rc == ERR_OK && i < count; i++) {
        size_t t = i; /* the order of the request, as far as any broker was seen */
        if (t >= n || strcmp(topics[t].name, rdk.ConfigResource_name(resources[i])) != 0)
            for (t = 0; t < n && strcmp(topics[t].name, rdk.ConfigResource_name(resources[i])) != 0; t++)
                ;
        rd_kafka_resp_err_t code = rdk.ConfigResource_error(resources[i]);
        if (t == n)
            continue;
        if (!code)
            rc = take_configs(&topics[t], resources[i], e);
        else if (!untold(kafka_err(e, code, rdk.ConfigResource_error_string(resources[i]),
                                   "settings of topic %s", topics[t].name)))
            rc = e->code;
    }
    kafka_request_free(&r);
    if (!untold(rc))
        return rc;
    diag_debug("kafka", "%s", e->text);
    return ERR_OK;
}

int kafka_fill_configs(struct kafka_client *k, struct topic_info *topics, size_t n, struct err *e)
{
    int rc = ERR_OK;
    for (size_t from = 0; rc == ERR_OK && from < n; from += TOPICS_AT_ONCE)
        rc = fill_some(k, topics + from, n - from < TOPICS_AT_ONCE ? n - from : TOPICS_AT_ONCE, e);
    return rc;
}

/* ---- all settings of one topic ------------------------------------------------------------------------------------------ */

static char *copy(const char *text, bool *ok)
{
    char *s = text ? mem_strdup(text) : NULL;
    *ok = *ok && (s || !text);
    return s;
}

static int take_setting(const rd_kafka_ConfigEntry_t *from, struct client_setting *s, struct err *e)
{
    bool ok = true;
    size_t n;
    const rd_kafka_ConfigEntry_t **synonyms = rdk.ConfigEntry_synonyms(from, &n);
    rd_kafka_ConfigSource_t source = rdk.ConfigEntry_source(from);
    s->name = copy(rdk.ConfigEntry_name(from), &ok);
    s->value = copy(rdk.ConfigEntry_value(from), &ok);
    s->source = set_by_somebody(from)                             ? TOPIC_SETTING_OF_TOPIC
                : source == RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG ? TOPIC_SETTING_DEFAULT
                                                                  : TOPIC_SETTING_OF_HUB;
    for (size_t i = 0; i < n; i++) { /* by precedence */
        rd_kafka_ConfigSource_t of = rdk.ConfigEntry_source(synonyms[i]);
        if (of == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG)
            continue;
        if (!s->hub_setting) {
            s->hub_setting = copy(rdk.ConfigEntry_name(synonyms[i]), &ok);
            if (of != RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG)
                s->hub_value = copy(rdk.ConfigEntry_value(synonyms[i]), &ok);
        }
        if (of == RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG && !s->default_value)
            s->default_value = copy(rdk.ConfigEntry_value(synonyms[i]), &ok);
    }
    if (s->source == TOPIC_SETTING_DEFAULT && !s->default_value)
        s->default_value = copy(s->value, &ok);
    return ok ? ERR_OK : err_nomem(e);
}

static int take_settings(const rd_kafka_ConfigResource_t *from, struct client_setting **list, size_t *n,
                         struct err *e)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rdk.ConfigResource_configs(from, &count);
    *list = mem_calloc(count + 1, sizeof **list);
    int rc = *list ? ERR_OK : err_nomem(e);
    for (*n = 0; rc == ERR_OK && *n < count; ++*n)
        rc = take_setting(entries[*n], &(*list)[*n], e);
    if (rc && *list)
        client_settings_free(*list, *n);
    return rc;
}

/* The only resource of an answer, or its error. */
static const rd_kafka_ConfigResource_t *only(const rd_kafka_ConfigResource_t **resources, size_t n,
                                             const char *name, struct err *e)
{
    rd_kafka_resp_err_t code = n == 1 ? rdk.ConfigResource_error(resources[0]) : RD_KAFKA_RESP_ERR__FAIL;
    if (!code)
        return resources[0];
    kafka_err(e, code, n == 1 ? rdk.ConfigResource_error_string(resources[0]) : NULL, "settings of topic %s",
              name);
    return NULL;
}

static int describe_one(struct kafka_client *k, struct kafka_request *r, const char *name,
                        const rd_kafka_ConfigResource_t **out, struct err *e)
{
    size_t n;
    char *copied = mem_strdup(name);
    if (!copied)
        return err_nomem(e);
    int rc = describe(k, r, &(const struct topic_info){.name = copied}, 1, e);
    mem_free(copied);
    if (rc)
        return rc;
    const rd_kafka_ConfigResource_t **got =
        rdk.DescribeConfigs_result_resources(rdk.event_DescribeConfigs_result(r->event), &n);
    *out = only(got, n, name, e);
    return *out ? ERR_OK : e->code;
}

int kafka_settings(struct client *c, const char *name, struct client_setting **list, size_t *n, struct err *e)
{
    struct kafka_request r;
    const rd_kafka_ConfigResource_t *got;
    *list = NULL;
    *n = 0;
    int rc = kafka_request_new(kafka_of(c), &r, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, false, e);
    if (rc == ERR_OK)
        rc = describe_one(kafka_of(c), &r, name, &got, e);
    if (rc == ERR_OK)
        rc = take_settings(got, list, n, e);
    kafka_request_free(&r);
    return untold(rc) && rc != ERR_UNKNOWN_TOPIC ? ERR_OK : rc;
}

/* ---- changes --------------------------------------------------------------------------------------------------------------- */

static const struct topic_config_entry *named(const struct topic_config_entry *list, size_t n,
                                              const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

/* What the topic is to have: what it has, with the changes. Those without value are back to their defaults. */
static void merge(rd_kafka_ConfigResource_t *to, const rd_kafka_ConfigResource_t *from,
                  const struct topic_config_entry *changes, size_t n)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rdk.ConfigResource_configs(from, &count);
    for (size_t i = 0; i < count; i++) {
        const char *name = rdk.ConfigEntry_name(entries[i]), *value = rdk.ConfigEntry_value(entries[i]);
        if (set_by_somebody(entries[i]) && value && !named(changes, n, name))
            rdk.ConfigResource_set_config(to, name, value);
    }
    for (size_t i = 0; i < n; i++)
        if (changes[i].value)
            rdk.ConfigResource_set_config(to, changes[i].name, changes[i].value);
}

/*
 * librdkafka 2.0 can only replace all of a topic's settings: they are read before. Who changes the same topic between
 * loses the change.
 */
int kafka_alter_topic(struct client *c, const char *name, const struct topic_config_entry *config,
                      size_t config_count, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    struct kafka_request read, write = {0};
    const rd_kafka_ConfigResource_t *got;
    rd_kafka_ConfigResource_t *wanted = NULL;
    size_t n;
    int rc = kafka_request_new(k, &read, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, false, e);
    if (rc == ERR_OK)
        rc = describe_one(k, &read, name, &got, e);
    if (rc == ERR_OK)
        rc = kafka_request_new(k, &write, RD_KAFKA_ADMIN_OP_ALTERCONFIGS, false, e);
    if (rc == ERR_OK) {
        wanted = rdk.ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
        merge(wanted, got, config, config_count);
        rdk.AlterConfigs(k->any, &wanted, 1, write.options, write.queue);
        rc = kafka_request_wait(&write, name, e);
    }
    if (rc == ERR_OK) {
        const rd_kafka_ConfigResource_t **done =
            rdk.AlterConfigs_result_resources(rdk.event_AlterConfigs_result(write.event), &n);
        rc = only(done, n, name, e) ? ERR_OK : e->code;
    }
    if (wanted)
        rdk.ConfigResource_destroy(wanted);
    kafka_request_free(&read);
    kafka_request_free(&write);
    return rc;
}
