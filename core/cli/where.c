/*
 * where: see where.h.
 */
#include "cli/where.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool ask(struct hub *h, const char *topic, int partition, int64_t timestamp, int64_t *offset,
                int *exit_code)
{
    char *rest = mem_printf("/offset?partition=%d&timestamp=%lld", partition, (long long)timestamp);
    if (!rest)
        cli_out_of_memory();
    char *target = hub_target("/hub/topics/", topic, rest);
    json_t *j = hub_json(h, "GET", target, NULL, exit_code);
    mem_free(rest);
    mem_free(target);
    *offset = json_integer_value(json_object_get(j, "offset"));
    json_decref(j);
    return j != NULL;
}

/* What is not there any more or not yet there counts as the beginning or the end: a reader whose offset does not
 * exist would start over. */
static bool clamp(struct hub *h, const char *topic, int partition, int64_t *offset, int *exit_code)
{
    int64_t start, end;
    if (!ask(h, topic, partition, -2, &start, exit_code) || !ask(h, topic, partition, -1, &end, exit_code))
        return false;
    *offset = *offset < start ? start : *offset > end ? end : *offset;
    return true;
}

bool where_resolve(struct hub *h, const char *topic, int partition, const char *where, int64_t *offset,
                   int *exit_code)
{
    int64_t ms;
    char *end;
    if (strcmp(where, "beginning") == 0 || strcmp(where, "start") == 0)
        return ask(h, topic, partition, -2, offset, exit_code);
    if (strcmp(where, "end") == 0)
        return ask(h, topic, partition, -1, offset, exit_code);
    *offset = strtoll(where, &end, 10);
    if (isdigit((unsigned char)where[0]) && *end == '\0')
        return clamp(h, topic, partition, offset, exit_code);
    if (!cli_parse_time(where, &ms)) {
        *exit_code = cli_error(
            EXIT_USAGE, "'%s' is not: beginning, end, an offset, a time (2026-11-20T19:00:00Z, -15m, @MS)",
            where);
        return false;
    }
    if (!ask(h, topic, partition, ms, offset, exit_code))
        return false;
    return *offset >= 0 || ask(h, topic, partition, -1, offset, exit_code);
}

static bool is_in(const int *list, int n, int value)
{
    for (int i = 0; i < n; i++)
        if (list[i] == value)
            return true;
    return false;
}

int where_partitions(struct cli *c, struct hub *h, const char *topic, int **list, int *exit_code)
{
    const char *const *items;
    size_t given = cli_values(c, "partition", &items);
    char *target = hub_target("/hub/topics/", topic, "");
    json_t *t = hub_json(h, "GET", target, NULL, exit_code);
    mem_free(target);
    if (!t)
        return -1;
    int total = (int)json_integer_value(json_object_get(t, "partition_count")), n = 0;
    json_decref(t);
    *list = mem_calloc((size_t)total + given + 1, sizeof **list);
    if (!*list)
        cli_out_of_memory();
    for (int p = 0; given == 0 && p < total; p++)
        (*list)[n++] = p;
    for (size_t i = 0; i < given; i++) {
        char *end;
        long p = strtol(items[i], &end, 10);
        if (end == items[i] || *end || p < 0 || p >= total) {
            *exit_code = cli_error(EXIT_USAGE, "--partition: %s has no partition '%s' (0 to %d)", topic,
                                   items[i], total - 1);
            mem_free(*list);
            return -1;
        }
        if (!is_in(*list, n, (int)p))
            (*list)[n++] = (int)p;
    }
    return n;
}
