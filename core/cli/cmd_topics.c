/*
 * leat topics: list, create, describe, configure, delete.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "http/json_bytes.h"

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
        table_row(t, member_text(topic, "name"), show_int(member_int(topic, "partition_count")), settings);
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
        hub_json(h, "GET", cli_flag(c, "internal") ? "/hub/topics?internal=true" : "/hub/topics", NULL, &rc);
    hub_close(h);
    return list ? answer_list(c, list) : rc;
}

/* As Kafka's DescribeConfigs: settings and who says so; only those that somebody did say, or `all`. */
static void print_settings(const json_t *settings, bool all)
{
    static const char *const titles[] = {"SETTING", "VALUE", "SOURCE"};
    struct table *t = NULL;
    size_t i;
    json_t *s;
    json_array_foreach(settings, i, s)
    {
        char from[96];
        bool hub = strcmp(member_text(s, "source"), "hub") == 0;
        if (!all && strcmp(member_text(s, "source"), "default") == 0)
            continue;
        t = t ? t : table_new("lll", titles);
        snprintf(from, sizeof from, "%s%s%s", member_text(s, "source"), hub ? ": " : "",
                 hub ? member_text(s, "hub_setting") : "");
        table_row(t, member_text(s, "name"), member_text(s, "value"), from);
    }
    if (t)
        table_print(t);
}

/* What a cluster does not tell is null. */
static const char *show_known(const json_t *p, const char *name, bool bytes)
{
    if (!json_is_integer(json_object_get(p, name)))
        return "-";
    return bytes ? show_bytes((double)member_int(p, name)) : show_int(member_int(p, name));
}

static void print_topic(const json_t *topic, bool all_settings)
{
    static const char *const titles[] = {"PARTITION", "START",    "END",   "STABLE",
                                         "SIZE",      "SEGMENTS", "STATE", "DATA DIRECTORY"};
    size_t i;
    json_t *p;
    bool has_id = json_is_string(json_object_get(topic, "id"));
    printf("%s%s%s  %lld partition%s%s\n", member_text(topic, "name"), has_id ? "  id " : "",
           has_id ? member_text(topic, "id") : "", (long long)member_int(topic, "partition_count"),
           member_int(topic, "partition_count") == 1 ? "" : "s",
           json_is_true(json_object_get(topic, "internal")) ? "  internal" : "");
    print_settings(json_object_get(topic, "settings"), all_settings);
    struct table *t = table_new("rrrrrrll", titles);
    json_array_foreach(json_object_get(topic, "partitions"), i, p) table_row(
        t, show_int(member_int(p, "partition")), show_int(member_int(p, "log_start_offset")),
        show_int(member_int(p, "high_watermark")), show_int(member_int(p, "last_stable_offset")),
        show_known(p, "size", true), show_known(p, "segments", false),
        json_is_true(json_object_get(p, "failed")) ? "out of service" : "ok", member_text(p, "data_dir"));
    table_print(t);
}

static const char *show_time(int64_t ms, char out[32])
{
    return ms < 0 ? "-" : clock_format_utc(ms, out, 32);
}

/* Of an answer with segments; without, there is nothing to print. */
static void print_segments(const json_t *topic)
{
    bool any = false;
    static const char *const titles[] = {"PARTITION", "SEGMENT", "SIZE", "FIRST BATCH", "NEWEST RECORD", ""};
    char first[32], newest[32];
    size_t i, k;
    json_t *p, *s;
    json_array_foreach(json_object_get(topic, "partitions"), i, p) any =
        any || json_object_get(p, "segment_list");
    if (!any)
        return;
    printf("\n");
    struct table *t = table_new("rrrlll", titles);
    json_array_foreach(json_object_get(topic, "partitions"), i, p)
    {
        json_array_foreach(json_object_get(p, "segment_list"), k, s) table_row(
            t, show_int(member_int(p, "partition")), show_int(member_int(s, "base_offset")),
            show_bytes((double)member_int(s, "size")), show_time(member_int(s, "first_timestamp"), first),
            show_time(member_int(s, "max_timestamp"), newest),
            json_is_true(json_object_get(s, "active")) ? "active" : "");
    }
    table_print(t);
}

static int answer_topic(struct cli *c, json_t *topic)
{
    if (cli_json(c))
        return print_json(topic);
    print_topic(topic, cli_flag(c, "all"));
    print_segments(topic);
    json_decref(topic);
    return EXIT_FINE;
}

/* One request about the named topic, its answer printed as a topic. */
static int topic_call(struct cli *c, struct hub *h, const char *method, const char *target, json_t *body)
{
    int rc;
    json_t *topic = hub_json(h, method, target, body, &rc);
    return topic ? answer_topic(c, topic) : rc;
}

int cmd_topics_describe(struct cli *c)
{
    int rc;
    struct hub *h = hub_open(c, HUB_EXISTING, &rc);
    if (!h)
        return rc;
    char *target = hub_target("/hub/topics/", c->args[0], cli_flag(c, "segments") ? "?segments=true" : "");
    rc = topic_call(c, h, "GET", target, NULL);
    mem_free(target);
    hub_close(h);
    return rc;
}

/* --config NAME=VALUE ... and --reset NAME ... as {"config": {...}}; NULL after saying what is wrong. */
static json_t *config_body(struct cli *c)
{
    const char *const *items;
    json_t *config = json_object();
    size_t n = cli_values(c, "config", &items);
    for (size_t i = 0; i < n; i++) {
        const char *eq = strchr(items[i], '=');
        if (!eq || eq == items[i]) {
            cli_error(EXIT_USAGE, "--config: '%s' is not NAME=VALUE", items[i]);
            json_decref(config);
            return NULL;
        }
        char *name = mem_strndup(items[i], (size_t)(eq - items[i]));
        json_decref(cli_text(items[i]));
        if (!name || !json_put(config, name, cli_text(eq + 1)))
            cli_out_of_memory();
        mem_free(name);
    }
    n = cli_values(c, "reset", &items);
    for (size_t i = 0; i < n; i++) {
        json_decref(cli_text(items[i]));
        if (!json_put(config, items[i], json_null()))
            cli_out_of_memory();
    }
    json_t *body = json_pack("{s:o}", "config", config);
    if (!body)
        cli_out_of_memory();
    return body;
}

static bool add_partitions(struct cli *c, json_t *body)
{
    int64_t partitions;
    if (!cli_number(c, "partitions", -1, 1, 1000000, &partitions))
        return false;
    if (partitions > 0 && !json_put(body, "partitions", json_integer(partitions)))
        cli_out_of_memory();
    return true;
}

/* For --if-not-exists and --if-exists: looks first, through the same door. An exit code, or -1 to go on. */
static int look(struct hub *h, const char *target, bool *there)
{
    struct hub_answer a;
    if (!hub_call(h, "GET", target, NULL, 0, &a))
        return EXIT_BUSY;
    int rc = a.status == 200 || a.status == 404 ? -1 : hub_refused(&a);
    *there = a.status == 200;
    hub_answer_free(&a);
    return rc;
}

static int create(struct cli *c, struct hub *h, json_t *body)
{
    char *target = hub_target("/hub/topics/", c->args[0], "");
    bool there = false;
    int rc = cli_flag(c, "if-not-exists") ? look(h, target, &there) : -1;
    if (rc == -1)
        rc = there ? topic_call(c, h, "GET", target, NULL)
                   : topic_call(c, h, "POST", "/hub/topics", json_incref(body));
    mem_free(target);
    return rc;
}

int cmd_topics_create(struct cli *c)
{
    int rc = EXIT_USAGE;
    json_t *body = config_body(c);
    if (body && add_partitions(c, body)) {
        if (!json_put(body, "name", cli_text(c->args[0])))
            cli_out_of_memory();
        struct hub *h = hub_open(c, HUB_CREATED, &rc);
        if (h)
            rc = create(c, h, body);
        hub_close(h);
    }
    json_decref(body);
    return rc;
}

int cmd_topics_configure(struct cli *c)
{
    int rc = EXIT_USAGE;
    json_t *body = config_body(c);
    if (body && add_partitions(c, body)) {
        bool nothing =
            json_object_size(json_object_get(body, "config")) == 0 && !json_object_get(body, "partitions");
        if (nothing)
            rc = cli_error(EXIT_USAGE, "nothing to change: give --config, --reset or --partitions");
        char *target = hub_target("/hub/topics/", c->args[0], "");
        struct hub *h = nothing ? NULL : hub_open(c, HUB_EXISTING, &rc);
        if (h)
            rc = topic_call(c, h, "PATCH", target, json_incref(body));
        hub_close(h);
        mem_free(target);
    }
    json_decref(body);
    return rc;
}

int cmd_topics_delete(struct cli *c)
{
    int rc;
    bool there = true;
    struct hub *h = hub_open(c, HUB_EXISTING, &rc);
    if (!h)
        return rc;
    char *target = hub_target("/hub/topics/", c->args[0], "");
    rc = cli_flag(c, "if-exists") ? look(h, target, &there) : -1;
    if (rc == -1 && there)
        json_decref(hub_json(h, "DELETE", target, NULL, &rc));
    else if (rc == -1)
        rc = EXIT_FINE;
    mem_free(target);
    hub_close(h);
    return rc;
}
