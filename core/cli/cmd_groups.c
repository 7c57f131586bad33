/*
 * leat groups: list, lag, reset, delete.
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

int cmd_groups_list(struct cli *c)
{
    static const char *const titles[] = {"GROUP", "PARTITIONS", "LAG"};
    int rc;
    json_t *list = ask_groups(c, "/hub/groups", &rc), *g, *o;
    if (!list || cli_json(c))
        return list ? print_json(list) : rc;
    struct table *t = table_new("lrr", titles);
    size_t i, k;
    json_array_foreach(list, i, g)
    {
        int64_t lag = 0;
        json_array_foreach(json_object_get(g, "offsets"), k, o) lag += member_int(o, "lag");
        table_row(t, member_text(g, "group"),
                  show_int((int64_t)json_array_size(json_object_get(g, "offsets"))), show_int(lag));
    }
    table_print(t);
    json_decref(list);
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
                  end ? show_int(json_integer_value(end)) : "topic is gone",
                  end ? show_int(member_int(o, "lag")) : "-", show_ago(member_int(o, "commit_ms")));
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
