/*
 * leat topics delete-records: removes what lies below an offset, of one partition or of those that a file names, which
 * is the file of Kafka's kafka-delete-records: {"partitions": [{"topic", "partition", "offset"}], "version": 1}.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/cli.h"

#define OFFSETS_FILE_MAX ((size_t)16 << 20)

enum { AT_ONCE = 1000 }; /* items in one call, as many as the hub takes */

/* A list of {"topic", "partition", "offset"} with one item a partition; offset -1 is the end. */

static int add(json_t *list, json_t *topic, int64_t partition, int64_t offset)
{
    json_t *item = json_pack("{s:o, s:I, s:I}", "topic", topic, "partition", (json_int_t)partition, "offset",
                             (json_int_t)offset);
    if (json_array_append_new(list, item) != 0)
        cli_out_of_memory();
    return -1;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static int check_item(const char *path, size_t i, const json_t *item)
{
    const json_t *partition = json_object_get(item, "partition"), *offset = json_object_get(item, "offset");
    if (!json_is_string(json_object_get(item, "topic")))
        return cli_error(EXIT_USAGE, "%s: partitions[%zu]: \"topic\" is missing or not text", path, i);
    if (!json_is_integer(partition) || json_integer_value(partition) < 0 ||
        json_integer_value(partition) > INT32_MAX)
        return cli_error(EXIT_USAGE, "%s: partitions[%zu]: \"partition\" is not a partition's number", path,
                         i);
    if (!json_is_integer(offset) || json_integer_value(offset) < -1)
        return cli_error(EXIT_USAGE, "%s: partitions[%zu]: \"offset\" is not an offset, or -1 for the end",
                         path, i);
    return -1;
}

/* Notes the item's partition; true if it was there before. */
static bool noted(struct map *seen, const json_t *item)
{
    struct err e;
    char *key = mem_printf("%s-%" PRId64, member_text(item, "topic"), member_int(item, "partition"));
    if (!key)
        cli_out_of_memory();
    bool before = map_get(seen, key, strlen(key)) != NULL;
    if (!before && map_put(seen, key, strlen(key), seen, &e))
        cli_out_of_memory();
    mem_free(key);
    return before;
}

static int take_items(const char *path, const json_t *root, json_t *list)
{
    const json_t *partitions = json_object_get(root, "partitions"),
                 *version = json_object_get(root, "version");
    size_t i;
    json_t *item;
    if (version && json_integer_value(version) != 1)
        return cli_error(EXIT_USAGE, "%s: \"version\" is not 1", path);
    if (!json_is_array(partitions))
        return cli_error(EXIT_USAGE, "%s: has no list \"partitions\"", path);
    struct map *seen = map_new();
    int rc = -1;
    if (!seen)
        cli_out_of_memory();
    json_array_foreach(partitions, i, item)
    {
        rc = check_item(path, i, item);
        if (rc == -1 && noted(seen, item))
            rc = cli_error(EXIT_USAGE, "%s: partitions[%zu]: %s-%" PRId64 " is there twice", path, i,
                           member_text(item, "topic"), member_int(item, "partition"));
        if (rc != -1)
            break;
        add(list, json_incref(json_object_get(item, "topic")), member_int(item, "partition"),
            member_int(item, "offset"));
    }
    map_free(seen, NULL);
    return rc;
}

static int read_file(const char *path, json_t *list)
{
    struct err e;
    json_error_t where;
    char *text;
    size_t n;
    if (io_read_file(path, OFFSETS_FILE_MAX, &text, &n, &e))
        return cli_fail(&e);
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    mem_free(text);
    if (!root)
        return cli_error(EXIT_USAGE, "%s:%d:%d: %s", path, where.line, where.column, where.text);
    int rc = take_items(path, root, list);
    json_decref(root);
    return rc;
}

/* ---- the command line --------------------------------------------------------------------------------------------- */

static int one_partition(struct cli *c, json_t *list)
{
    int64_t partition, offset;
    const char *end = cli_value(c, "offset");
    if (!cli_number(c, "partition", -1, 0, INT32_MAX, &partition))
        return EXIT_USAGE;
    if (c->arg_count == 0 || partition < 0 || !end)
        return cli_error(EXIT_USAGE, "a topic, --partition and --offset are needed, or --offset-json-file");
    if (strcmp(end, "end") == 0)
        offset = -1;
    else if (!cli_number(c, "offset", -1, -1, INT64_MAX, &offset))
        return EXIT_USAGE;
    return add(list, cli_text(c->args[0]), partition, offset);
}

static int read_targets(struct cli *c, json_t *list)
{
    const char *path = cli_value(c, "offset-json-file");
    if (!path)
        return one_partition(c, list);
    if (c->arg_count || cli_value(c, "partition") || cli_value(c, "offset"))
        return cli_error(EXIT_USAGE, "--offset-json-file names topics, partitions and offsets itself");
    return read_file(path, list);
}

/* Takes over what the hub answered for one item: its new start, or the error, which is said. */
static int take_answer(json_t *item, const json_t *answer)
{
    json_t *start = json_object_get(answer, "log_start_offset");
    if (!start && json_object_get(answer, "message"))
        return hub_refusal(answer);
    if (!json_is_integer(start))
        return cli_error(EXIT_FAILED, "the hub's answer has no log_start_offset");
    if (json_object_set(item, "log_start_offset", start) != 0)
        cli_out_of_memory();
    return EXIT_FINE;
}

/* Asks for items [from, to) in one call, so that the store writes its checkpoints once for all of them. */
static int delete_some(struct hub *h, json_t *list, size_t from, size_t to)
{
    int rc, first = EXIT_FINE;
    json_t *body = json_pack("{s:[]}", "partitions"), *part = json_object_get(body, "partitions");
    for (size_t i = from; i < to; i++)
        if (!body || json_array_append(part, json_array_get(list, i)) != 0)
            cli_out_of_memory();
    json_t *answer = hub_json(h, "POST", "/hub/records/delete", body, &rc);
    if (!answer)
        return rc;
    const json_t *answers = json_object_get(answer, "partitions");
    for (size_t i = from; i < to; i++) {
        rc = take_answer(json_array_get(list, i), json_array_get(answers, i - from));
        first = first ? first : rc;
    }
    json_decref(answer);
    return first;
}

static int delete_all(struct hub *h, json_t *list)
{
    int first = EXIT_FINE;
    size_t n = json_array_size(list);
    for (size_t from = 0; from < n; from += AT_ONCE) {
        int rc = delete_some(h, list, from, from + AT_ONCE < n ? from + AT_ONCE : n);
        first = first ? first : rc;
    }
    return first;
}

static int print_results(struct cli *c, json_t *list)
{
    static const char *const titles[] = {"TOPIC", "PARTITION", "START"};
    size_t i;
    json_t *item;
    if (cli_json(c))
        return print_json(json_incref(list));
    struct table *t = table_new("lrr", titles);
    json_array_foreach(list, i, item) table_row(
        t, member_text(item, "topic"), show_int(member_int(item, "partition")),
        json_object_get(item, "log_start_offset") ? show_int(member_int(item, "log_start_offset")) : "-");
    table_print(t);
    return EXIT_FINE;
}

/* What fails is said, and the others are done all the same; the first failure decides the exit code. */
int cmd_topics_delete_records(struct cli *c)
{
    json_t *list = json_array();
    if (!list)
        cli_out_of_memory();
    int rc = read_targets(c, list);
    struct hub *h = rc == -1 ? hub_open(c, HUB_EXISTING, &rc) : NULL;
    if (!h) {
        json_decref(list);
        return rc;
    }
    int first = delete_all(h, list);
    hub_close(h);
    rc = print_results(c, list);
    json_decref(list);
    return first ? first : rc;
}
