/*
 * leat groups: list, describe, lag, reset, delete.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/where.h"

static json_t *ask_groups(struct cli *c, const char *target, int *rc)
{
    struct hub *h = hub_open(c, HUB_EXISTING, rc);
    if (!h)
        return NULL;
    json_t *j = hub_json(h, "GET", target, NULL, rc);
    hub_close(h);
    return j;
}

/* "-" where it is not known, as of a group that only ever had offsets. */
static const char *text_or_dash(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text && *text ? text : "-";
}

/* How many there are; of some groups of a cluster nobody tells. */
static const char *members_text(const json_t *g)
{
    const json_t *members = json_object_get(g, "members");
    return json_is_null(members) ? "-" : show_int((int64_t)json_array_size(members));
}

int cmd_groups_list(struct cli *c)
{
    static const char *const titles[] = {"GROUP", "STATE", "TYPE", "MEMBERS", "PARTITIONS", "LAG"};
    int rc;
    json_t *list = ask_groups(c, "/hub/groups", &rc), *g, *o;
    if (!list || cli_json(c))
        return list ? print_json(list) : rc;
    struct table *t = table_new("lllrrr", titles);
    size_t i, k;
    json_array_foreach(list, i, g)
    {
        int64_t lag = 0;
        json_array_foreach(json_object_get(g, "offsets"), k, o) lag += member_int(o, "lag");
        table_row(t, member_text(g, "group"), text_or_dash(g, "state"), text_or_dash(g, "type"),
                  members_text(g), show_int((int64_t)json_array_size(json_object_get(g, "offsets"))),
                  show_int(lag));
    }
    table_print(t);
    json_decref(list);
    return EXIT_FINE;
}

/* The member that is assigned the partition; NULL: nobody is. */
static const json_t *member_of(const json_t *g, const char *topic, int64_t partition)
{
    json_t *m, *p;
    size_t i, k;
    json_array_foreach(json_object_get(g, "members"), i, m)
    {
        json_array_foreach(json_object_get(m, "partitions"), k, p)
        {
            if (member_int(p, "partition") == partition && strcmp(member_text(p, "topic"), topic) == 0)
                return m;
        }
    }
    return NULL;
}

static const json_t *offset_of(const json_t *g, const char *topic, int64_t partition)
{
    json_t *o;
    size_t i;
    json_array_foreach(json_object_get(g, "offsets"), i, o)
    {
        if (member_int(o, "partition") == partition && strcmp(member_text(o, "topic"), topic) == 0)
            return o;
    }
    return NULL;
}

/* A partition with its offset and member, either of which may be NULL. */
static void describe_row(struct table *t, const json_t *p, const json_t *o, const json_t *m)
{
    const json_t *end = json_object_get(o, "end_offset");
    table_row(t, member_text(p, "topic"), show_int(member_int(p, "partition")),
              o ? show_int(member_int(o, "offset")) : "-", end ? show_int(json_integer_value(end)) : "-",
              end ? show_int(member_int(o, "lag")) : "-", text_or_dash(m, "member"), text_or_dash(m, "host"),
              text_or_dash(m, "client_id"));
}

static void describe_members(struct table *t, const json_t *g)
{
    json_t *m, *p;
    size_t i, k;
    json_array_foreach(json_object_get(g, "members"), i, m)
    {
        json_array_foreach(json_object_get(m, "partitions"), k, p)
        {
            if (!offset_of(g, member_text(p, "topic"), member_int(p, "partition")))
                describe_row(t, p, NULL, m);
        }
        if (json_array_size(json_object_get(m, "partitions")) == 0)
            table_row(t, "-", "-", "-", "-", "-", text_or_dash(m, "member"), text_or_dash(m, "host"),
                      text_or_dash(m, "client_id"));
    }
}

/* Partitions with offsets, then those that members have and nothing was committed of, then members that have none. */
int cmd_groups_describe(struct cli *c)
{
    static const char *const titles[] = {"TOPIC", "PARTITION", "OFFSET", "END",
                                         "LAG",   "MEMBER",    "HOST",   "CLIENT"};
    int rc;
    char *target = hub_target("/hub/groups/", c->args[0], "");
    json_t *g = ask_groups(c, target, &rc), *o;
    mem_free(target);
    if (!g || cli_json(c))
        return g ? print_json(g) : rc;
    printf("group %s  state %s  type %s  assignor %s  members %s\n", c->args[0], text_or_dash(g, "state"),
           text_or_dash(g, "type"), text_or_dash(g, "assignor"), members_text(g));
    if (json_object_get(g, "members_untold"))
        printf("members are not told: %s\n", member_text(g, "members_untold"));
    struct table *t = table_new("lrrrrlll", titles);
    size_t i;
    json_array_foreach(json_object_get(g, "offsets"), i, o)
    {
        describe_row(t, o, o, member_of(g, member_text(o, "topic"), member_int(o, "partition")));
    }
    describe_members(t, g);
    table_print(t);
    json_decref(g);
    return EXIT_FINE;
}

int cmd_groups_lag(struct cli *c)
{
    static const char *const titles[] = {"TOPIC", "PARTITION", "OFFSET", "END", "LAG", "COMMITTED"};
    int rc;
    char *target = hub_target("/hub/groups/", c->args[0], "");
    json_t *g = ask_groups(c, target, &rc), *o;
    mem_free(target);
    if (!g || cli_json(c))
        return g ? print_json(g) : rc;
    struct table *t = table_new("lrrrrl", titles);
    size_t i;
    json_array_foreach(json_object_get(g, "offsets"), i, o)
    {
        const json_t *end = json_object_get(o, "end_offset");
        table_row(t, member_text(o, "topic"), show_int(member_int(o, "partition")),
                  show_int(member_int(o, "offset")),
                  end                           ? show_int(json_integer_value(end))
                  : json_object_get(o, "error") ? "out of service"
                                                : "topic is gone",
                  end ? show_int(member_int(o, "lag")) : "-",
                  json_is_integer(json_object_get(o, "commit_ms")) ? show_ago(member_int(o, "commit_ms"))
                                                                   : "-");
    }
    table_print(t);
    json_decref(g);
    return EXIT_FINE;
}

/* {"offsets": [...]} for --partition and --to; NULL after saying what is wrong. */
static json_t *new_offsets(struct cli *c, struct hub *h, const char *topic, const char *to, int *rc)
{
    int *partitions, n = where_partitions(c, h, topic, &partitions, rc);
    if (n < 0)
        return NULL;
    json_t *offsets = json_array();
    for (int i = 0; i < n && offsets; i++) {
        int64_t offset;
        if (!where_resolve(h, topic, partitions[i], to, &offset, rc)) {
            json_decref(offsets);
            offsets = NULL;
        } else if (json_array_append_new(offsets,
                                         json_pack("{s:o, s:i, s:I}", "topic", cli_text(topic), "partition",
                                                   partitions[i], "offset", (json_int_t)offset)) != 0) {
            cli_out_of_memory();
        }
    }
    mem_free(partitions);
    return offsets ? json_pack("{s:o}", "offsets", offsets) : NULL;
}

static int reset(struct cli *c, struct hub *h, const char *topic, const char *to)
{
    int rc = EXIT_FAILED;
    json_t *body = new_offsets(c, h, topic, to, &rc), *o;
    if (!body)
        return rc;
    char *target = hub_target("/hub/groups/", c->args[0], "/offsets");
    json_decref(hub_json(h, "PUT", target, json_incref(body), &rc));
    mem_free(target);
    size_t i = 0;
    if (rc == EXIT_FINE && cli_json(c))
        return print_json(body);
    for (; rc == EXIT_FINE && (o = json_array_get(json_object_get(body, "offsets"), i)) != NULL; i++)
        printf("%s %s-%lld -> %lld\n", c->args[0], topic, (long long)member_int(o, "partition"),
               (long long)member_int(o, "offset"));
    json_decref(body);
    return rc;
}

int cmd_groups_reset(struct cli *c)
{
    int rc;
    const char *topic = cli_value(c, "topic"), *to = cli_value(c, "to");
    if (!topic || !to)
        return cli_error(EXIT_USAGE, "--topic and --to are needed");
    struct hub *h = hub_open(c, HUB_EXISTING, &rc);
    if (!h)
        return rc;
    rc = reset(c, h, topic, to);
    hub_close(h);
    return rc;
}

int cmd_groups_delete(struct cli *c)
{
    int rc;
    struct hub *h = hub_open(c, HUB_EXISTING, &rc);
    if (!h)
        return rc;
    char *target = hub_target("/hub/groups/", c->args[0], "");
    json_decref(hub_json(h, "DELETE", target, NULL, &rc));
    mem_free(target);
    hub_close(h);
    return rc;
}
