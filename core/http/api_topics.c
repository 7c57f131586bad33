/*
 * api_topics: topics over the hub's interface. Handlers; any thread.
 */
#include <string.h>

#include "base/mem.h"
#include "http/internal.h"

/* Below 0: not known, of a cluster that does not tell. */
static json_t *known(int64_t v)
{
    return v < 0 ? json_null() : json_integer(v);
}

static json_t *partition_json(struct client *client, const struct partition_info *p)
{
    const char *dir = client_disk_dir(client, p->disk);
    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:b}", "partition", p->partition,
                     "log_start_offset", (json_int_t)p->log_start_offset, "high_watermark",
                     (json_int_t)p->high_watermark, "last_stable_offset", (json_int_t)p->last_stable_offset,
                     "end_offset", (json_int_t)p->end_offset, "size", known(p->size), "segments",
                     known(p->segments), "data_dir", dir ? json_text(dir) : json_null(), "failed", p->failed);
}

static json_t *config_json(const struct topic_info *t)
{
    json_t *config = json_object();
    for (size_t i = 0; i < t->config_count && config; i++)
        if (!json_put(config, t->config[i].name, json_text(t->config[i].value))) {
            json_decref(config);
            config = NULL;
        }
    return config;
}

static json_t *partitions_json(struct client *client, const struct topic_info *t)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < t->partition_count && list; i++)
        if (json_array_append_new(list, partition_json(client, &t->partitions[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

static json_t *topic_json(struct client *client, const struct topic_info *t)
{
    static const struct uuid unknown;
    char id[UUID_TEXT_SIZE];
    bool has_id = memcmp(&t->id, &unknown, sizeof unknown) != 0;
    json_t *o = json_pack("{s:s, s:s?, s:b, s:i, s:o}", "name", t->name, "id",
                          has_id ? uuid_text(&t->id, id) : NULL, "internal", t->internal, "partition_count",
                          (int)t->partition_count, "config", config_json(t));
    if (o && t->partitions && !json_put(o, "partitions", partitions_json(client, t))) {
        json_decref(o);
        o = NULL;
    }
    return o;
}

/* A query parameter that is true or false. */
static int query_flag(const struct call *c, const char *name, bool *out, struct err *e)
{
    const char *flag = call_query(c, name);
    *out = flag && strcmp(flag, "true") == 0;
    if (flag && !*out && strcmp(flag, "false") != 0)
        return err_set(e, ERR_INVALID, "%s: '%.100s' is neither true nor false", name, flag);
    return ERR_OK;
}

/* GET ?internal=true : internal topics too. */
int api_topics_list(struct call *c, struct err *e)
{
    struct topic_info *list;
    size_t n;
    bool internal;
    int rc = query_flag(c, "internal", &internal, e);
    if (rc == ERR_OK)
        rc = client_topics(c->api->o.client, &list, &n, e);
    if (rc)
        return rc;
    json_t *out = json_array();
    for (size_t i = 0; i < n && out; i++)
        if ((internal || !list[i].internal) &&
            json_array_append_new(out, topic_json(c->api->o.client, &list[i])) != 0) {
            json_decref(out);
            out = NULL;
        }
    topic_infos_free(list, n);
    return call_reply(c, out, e);
}

/* One of {"name", "value", "source", "default", "hub"}: what DescribeConfigs tells, under our words for the sources. */
static json_t *setting_json(const struct client_setting *s)
{
    static const char *const sources[] = {[TOPIC_SETTING_OF_TOPIC] = "topic",
                                          [TOPIC_SETTING_OF_HUB] = "hub",
                                          [TOPIC_SETTING_DEFAULT] = "default"};
    return json_pack("{s:s, s:o, s:s, s:s?, s:s?, s:s?}", "name", s->name, "value",
                     s->value ? json_text(s->value) : json_null(), "source", sources[s->source], "default",
                     s->default_value, "hub_setting", s->hub_setting, "hub_value", s->hub_value);
}

static json_t *settings_json(const struct client_setting *list, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n && out; i++)
        if (json_array_append_new(out, setting_json(&list[i])) != 0) {
            json_decref(out);
            out = NULL;
        }
    return out;
}

static int segments_json(struct client *client, const char *topic, int32_t partition, json_t **out,
                         struct err *e)
{
    struct segment_info *list;
    size_t n;
    int rc = client_segments(client, topic, partition, &list, &n, e);
    if (rc)
        return rc;
    *out = json_array();
    for (size_t i = 0; i < n && *out; i++) {
        json_t *s =
            json_pack("{s:I, s:I, s:I, s:I, s:b}", "base_offset", (json_int_t)list[i].base_offset, "size",
                      (json_int_t)list[i].size, "first_timestamp", (json_int_t)list[i].first_timestamp,
                      "max_timestamp", (json_int_t)list[i].max_timestamp, "active", list[i].active);
        if (json_array_append_new(*out, s) != 0) {
            json_decref(*out);
            *out = NULL;
        }
    }
    mem_free(list);
    return *out ? ERR_OK : err_nomem(e);
}

/* Adds "segment_list" to each partition; a partition out of service has none. */
static int add_segments(struct call *c, const struct topic_info *t, json_t *topic, struct err *e)
{
    json_t *partitions = json_object_get(topic, "partitions");
    int rc = ERR_OK;
    for (int32_t i = 0; i < t->partition_count && rc == ERR_OK; i++) {
        json_t *list = NULL;
        if (t->partitions[i].failed)
            continue;
        rc = segments_json(c->api->o.client, t->name, i, &list, e);
        if (rc == ERR_OK && !json_put(json_array_get(partitions, (size_t)i), "segment_list", list))
            rc = err_nomem(e);
    }
    return rc;
}

/* GET ?segments=true : with each partition's segments. */
int api_topic_get(struct call *c, struct err *e)
{
    struct topic_info t;
    struct client_setting *settings;
    size_t n;
    bool segments;
    int rc = query_flag(c, "segments", &segments, e);
    if (rc == ERR_OK)
        rc = client_topic(c->api->o.client, c->args[0], &t, e);
    if (rc)
        return rc;
    rc = client_settings(c->api->o.client, c->args[0], &settings, &n, e);
    if (rc) {
        topic_info_free(&t);
        return rc;
    }
    json_t *o = topic_json(c->api->o.client, &t);
    if (o && segments && (rc = add_segments(c, &t, o, e)))
        json_decref(o);
    topic_info_free(&t);
    if (!rc && o && !json_put(o, "settings", settings_json(settings, n))) {
        json_decref(o);
        o = NULL;
    }
    client_settings_free(settings, n);
    return rc ? rc : call_reply(c, o, e);
}

/*
 * {"config": {name: value}} as checked entries that point into the JSON; null values are back-to-default.
 */
static int config_entries(struct client *client, const json_t *body, struct topic_config_entry **entries,
                          size_t *n, struct err *e)
{
    const json_t *config = json_object_get(body, "config");
    *entries = NULL;
    *n = 0;
    if (!config)
        return ERR_OK;
    if (!json_is_object(config))
        return err_set(e, ERR_INVALID, "config: is not an object of names and values");
    *entries = mem_calloc(json_object_size(config) + 1, sizeof **entries);
    if (!*entries)
        return err_nomem(e);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)config, name, value)
    {
        int rc = json_is_string(value) ? client_check_config(client, name, json_string_value(value), e)
                 : json_is_null(value)
                     ? ERR_OK
                     : err_set(e, ERR_INVALID, "config: the value of %.200s is neither text nor null", name);
        if (rc) {
            mem_free(*entries);
            return rc;
        }
        (*entries)[(*n)++] = (struct topic_config_entry){name, json_string_value(value)};
    }
    return ERR_OK;
}

static int body_int(const json_t *body, const char *name, int64_t fallback, int64_t min, int64_t max,
                    int64_t *out, struct err *e)
{
    const json_t *v = json_object_get(body, name);
    *out = fallback;
    if (!v)
        return ERR_OK;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
        return err_set(e, ERR_INVALID, "%s: is not a whole number from %lld to %lld", name, (long long)min,
                       (long long)max);
    *out = json_integer_value(v);
    return ERR_OK;
}

/* A new topic has its defaults anyway. */
static size_t without_nulls(struct topic_config_entry *entries, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (entries[i].value)
            entries[kept++] = entries[i];
    return kept;
}

int api_topic_create(struct call *c, struct err *e)
{
    json_t *body;
    struct topic_config_entry *config;
    size_t n;
    int64_t partitions;
    int rc = call_body(c, &body, e);
    if (rc)
        return rc;
    const char *name = json_string_value(json_object_get(body, "name"));
    if (!name) {
        rc = err_set(e, ERR_INVALID, "name: is missing or not text");
        goto have_body;
    }
    rc = body_int(body, "partitions", -1, -1, INT32_MAX, &partitions, e);
    if (rc == ERR_OK)
        rc = config_entries(c->api->o.client, body, &config, &n, e);
    if (rc)
        goto have_body;
    n = without_nulls(config, n);
    c->args[0] = mem_strdup(name); /* the answer is that of GET of the new topic */
    rc = c->args[0] ? client_create_topic(c->api->o.client, name, (int32_t)partitions, config, n, e)
                    : err_nomem(e);
    mem_free(config);
    if (rc == ERR_OK)
        rc = api_topic_get(c, e);
    if (rc == ERR_OK)
        c->response->status = 201;
have_body:
    json_decref(body);
    return rc;
}

int api_topic_delete(struct call *c, struct err *e)
{
    /* A source at work would make the topic anew, and its sinks would meet their old file names again. */
    int rc = c->api->o.worker ? worker_topic_idle(c->api->o.worker, c->args[0], e) : ERR_OK;
    if (rc == ERR_OK)
        rc = client_delete_topic(c->api->o.client, c->args[0], e);
    return rc ? rc : call_reply_empty(c);
}

int api_topic_alter(struct call *c, struct err *e)
{
    json_t *body;
    struct topic_config_entry *config;
    size_t n;
    int64_t partitions;
    int rc = call_body(c, &body, e);
    if (rc)
        return rc;
    rc = body_int(body, "partitions", -1, 1, INT32_MAX, &partitions, e);
    if (rc == ERR_OK)
        rc = config_entries(c->api->o.client, body, &config, &n, e);
    if (rc)
        goto have_body;
    if (partitions != -1)
        rc = client_add_partitions(c->api->o.client, c->args[0], (int32_t)partitions, e);
    if (rc == ERR_OK && n)
        rc = client_alter_topic(c->api->o.client, c->args[0], config, n, e);
    mem_free(config);
    if (rc == ERR_OK)
        rc = api_topic_get(c, e);
have_body:
    json_decref(body);
    return rc;
}
