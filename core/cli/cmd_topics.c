/*
 * leat topics: list, create, describe, configure, delete.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

static const char *text_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "-";
}

static int64_t int_of(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static void print_list(const json_t *list)
{
    static const char *const titles[] = {"TOPIC", "PARTITIONS", "SETTINGS"};
    struct table *t = table_new("lrl", titles);
    size_t i;
    json_t *topic, *value;
    const char *name;
    json_array_foreach(list, i, topic)
    {
        char settings[1024] = "";
        size_t used = 0;
        json_object_foreach(json_object_get(topic, "config"), name, value)
        {
            int n = snprintf(settings + used, sizeof settings - used, "%s%s=%s", used ? " " : "", name,
                             json_string_value(value));
            used += (size_t)n < sizeof settings - used ? (size_t)n : sizeof settings - used - 1;
        }
        table_row(t, text_of(topic, "name"), show_int(int_of(topic, "partition_count")), settings);
    }
    table_print(t);
}

static int answer_list(struct cli *c, json_t *list)
{
    if (cli_json(c))
        return print_json(list);
    print_list(list);
    json_decref(list);
    return EXIT_FINE;
}

int cmd_topics_list(struct cli *c)
{
    int rc;
    struct hub *h = hub_open(c, HUB_EXISTING, &rc);
    if (!h)
        return rc;
    json_t *list =
        hub_json(h, "GET", cli_flag(c, "internal") ? "/hub/topics?internal=1" : "/hub/topics", NULL, &rc);
    hub_close(h);
    return list ? answer_list(c, list) : rc;
}

static void print_topic(const json_t *topic)
{
    static const char *const titles[] = {"PARTITION", "START", "END", "STABLE", "SIZE", "SEGMENTS", "STATE"};
    const char *name;
    size_t i;
    json_t *value, *p;
    printf("%s  id %s  %lld partition%s%s\n", text_of(topic, "name"), text_of(topic, "id"),
           (long long)int_of(topic, "partition_count"), int_of(topic, "partition_count") == 1 ? "" : "s",
           json_is_true(json_object_get(topic, "internal")) ? "  internal" : "");
    json_object_foreach(json_object_get(topic, "config"), name, value)
        printf("  %s = %s\n", name, json_string_value(value));
    struct table *t = table_new("rrrrrrl", titles);
    json_array_foreach(json_object_get(topic, "partitions"), i, p)
        table_row(t, show_int(int_of(p, "partition")), show_int(int_of(p, "log_start_offset")),
                  show_int(int_of(p, "high_watermark")), show_int(int_of(p, "last_stable_offset")),
                  show_bytes((double)int_of(p, "size")), show_int(int_of(p, "segments")),
                  json_is_true(json_object_get(p, "failed")) ? "out of service" : "ok");
    table_print(t);
}

static int answer_topic(struct cli *c, json_t *topic)
{
    if (cli_json(c))
        return print_json(topic);
    print_topic(topic);
    json_decref(topic);
    return EXIT_FINE;
}

/* One request about the named topic, its answer printed as a topic. */
static int topic_call(struct cli *c, const char *method, json_t *body, bool create)
{
    int rc;
    struct hub *h = hub_open(c, create ? HUB_CREATED : HUB_EXISTING, &rc);
    if (!h) {
        json_decref(body);
        return rc;
    }
    char *target = create ? mem_strdup("/hub/topics") : hub_target("/hub/topics/", c->args[0], "");
    json_t *topic = hub_json(h, method, target, body, &rc);
    mem_free(target);
    hub_close(h);
    return topic ? answer_topic(c, topic) : rc;
}

int cmd_topics_describe(struct cli *c)
{
    return topic_call(c, "GET", NULL, false);
}

/* --config NAME=VALUE ... and --reset NAME ... as {"config": {...}}; NULL after saying what is wrong. */
static json_t *config_body(struct cli *c)
{
    const char *const *items;
    json_t *config = json_object(), *body;
    size_t n = cli_values(c, "config", &items);
    for (size_t i = 0; i < n; i++) {
        const char *eq = strchr(items[i], '=');
        char *name = eq ? mem_strndup(items[i], (size_t)(eq - items[i])) : NULL;
        if (!name) {
            cli_error(EXIT_USAGE, "--config: '%s' is not NAME=VALUE", items[i]);
            json_decref(config);
            return NULL;
        }
        json_object_set_new(config, name, json_string(eq + 1));
        mem_free(name);
    }
    n = cli_values(c, "reset", &items);
    for (size_t i = 0; i < n; i++)
        json_object_set_new(config, items[i], json_null());
    body = json_pack("{s:o}", "config", config);
    return body;
}

static bool add_partitions(struct cli *c, json_t *body)
{
    int64_t partitions;
    if (!cli_number(c, "partitions", -1, 1, 1000000, &partitions))
        return false;
    if (partitions > 0)
        json_object_set_new(body, "partitions", json_integer(partitions));
    return true;
}

/* --if-not-exists, --if-exists: look first, through the same door. */
static bool topic_exists(struct cli *c)
{
    int rc;
    struct hub_answer a;
    struct hub *h = hub_open(c, HUB_CREATED, &rc);
    if (!h)
        return false;
    char *target = hub_target("/hub/topics/", c->args[0], "");
    bool there = hub_call(h, "GET", target, NULL, 0, &a) && a.status == 200;
    hub_answer_free(&a);
    mem_free(target);
    hub_close(h);
    return there;
}

int cmd_topics_create(struct cli *c)
{
    json_t *body = config_body(c);
    if (!body || !add_partitions(c, body)) {
        json_decref(body);
        return EXIT_USAGE;
    }
    if (cli_flag(c, "if-not-exists") && topic_exists(c)) {
        json_decref(body);
        return cmd_topics_describe(c);
    }
    json_object_set_new(body, "name", json_string(c->args[0]));
    return topic_call(c, "POST", body, true);
}

int cmd_topics_configure(struct cli *c)
{
    json_t *body = config_body(c);
    if (!body || !add_partitions(c, body)) {
        json_decref(body);
        return EXIT_USAGE;
    }
    if (json_object_size(json_object_get(body, "config")) == 0 && !json_object_get(body, "partitions")) {
        json_decref(body);
        return cli_error(EXIT_USAGE, "nothing to change: give --config, --reset or --partitions");
    }
    return topic_call(c, "PATCH", body, false);
}

int cmd_topics_delete(struct cli *c)
{
    int rc;
    if (cli_flag(c, "if-exists") && !topic_exists(c))
        return EXIT_FINE;
    struct hub *h = hub_open(c, HUB_EXISTING, &rc);
    if (!h)
        return rc;
    char *target = hub_target("/hub/topics/", c->args[0], "");
    json_decref(hub_json(h, "DELETE", target, NULL, &rc));
    mem_free(target);
    hub_close(h);
    return rc;
}
