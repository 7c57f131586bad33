/*
 * leat signal: asks something of a pipeline's running source; and what `leat status PIPELINE` shows beyond the table of tasks:
 * what connectors say of themselves and of things by their names.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/status.h"

#define MEMBERS_MAX 10 /* of a row that become columns; the rest is in --output json */

/* ---- leat signal ----------------------------------------------------------------------------------------------------- */

int cmd_signal(struct cli *c)
{
    int rc;
    int64_t seconds;
    json_t *data = NULL;
    json_error_t bad;
    if (!cli_number(c, "timeout", 10, 1, 600, &seconds))
        return EXIT_USAGE;
    if (c->arg_count == 3 && !(data = json_loads(c->args[2], JSON_REJECT_DUPLICATES, &bad)))
        return cli_error(EXIT_USAGE, "the data is no JSON object: %s, at column %d", bad.text, bad.column);
    if (data && !json_is_object(data)) {
        json_decref(data);
        return cli_error(EXIT_USAGE, "the data is no JSON object");
    }
    struct hub *h = hub_open(c, HUB_RUNNING, &rc);
    if (!h) {
        json_decref(data);
        return rc;
    }
    const char *id = cli_value(c, "id");
    json_t *body = json_pack("{s:o, s:o*, s:o*, s:I}", "type", cli_text(c->args[1]), "data", data, "id",
                             id ? cli_text(id) : NULL, "timeout_ms", (json_int_t)seconds * 1000);
    char *target = hub_target("/hub/pipelines/", c->args[0], "/signals");
    json_t *answer = hub_json(h, "POST", target, body, &rc);
    mem_free(target);
    hub_close(h);
    if (!answer)
        return rc;
    if (cli_json(c))
        return print_json(answer);
    printf("%s: taken, as signal %s\n", c->args[0], member_text(answer, "id"));
    json_decref(answer);
    return cli_flush();
}

/* ---- rows of status -------------------------------------------------------------------------------------------------- */

/* Members of all rows of a kind, in the order in which they are first seen. */
struct columns {
    const char *names[MEMBERS_MAX];
    bool text[MEMBERS_MAX]; /* some row has text there */
    size_t n;
};

static void see(struct columns *c, const char *name, const json_t *value)
{
    size_t i = 0;
    while (i < c->n && strcmp(c->names[i], name) != 0)
        i++;
    if (i == MEMBERS_MAX)
        return;
    if (i == c->n) {
        c->names[c->n] = name;
        c->text[c->n++] = false;
    }
    c->text[i] = c->text[i] || json_is_string(value) || json_is_boolean(value);
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

/* "held_bytes" becomes HELD, "rows_per_s" ROWS/S. */
static void title(const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    bool rate = ends_in(name, "_per_s");
    n -= rate ? 6 : ends_in(name, "_bytes") ? 6 : ends_in(name, "_ms") ? 3 : 0;
    n = n < size - 3 ? n : size - 3;
    for (size_t i = 0; i < n; i++)
        out[i] = name[i] == '_' ? ' ' : (char)toupper((unsigned char)name[i]);
    snprintf(out + n, size - n, "%s", rate ? "/S" : "");
}

static const char *cell(const char *name, const json_t *value)
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_boolean(value))
        return json_is_true(value) ? "yes" : "no";
    if (!json_is_number(value))
        return "-";
    double v = json_number_value(value);
    return ends_in(name, "_bytes") ? show_bytes(v)
           : ends_in(name, "_ms")  ? show_duration((int64_t)v)
           : json_is_integer(value) && !ends_in(name, "_per_s") && v < 1e6 && v > -1e6
               ? show_int(json_integer_value(value))
               : show_count(v);
}

static void print_kind(const char *kind, json_t *rows)
{
    struct columns c = {.n = 0};
    char heads[MEMBERS_MAX + 1][64], right[MEMBERS_MAX + 2] = "l";
    const char *titles[MEMBERS_MAX + 1] = {heads[0]}, *cells[MEMBERS_MAX + 1], *name, *member;
    json_t *row, *value;
    json_object_foreach(rows, name, row)
    {
        json_object_foreach(row, member, value)
        {
            see(&c, member, value);
        }
    }
    title(kind, heads[0], sizeof heads[0]);
    for (size_t i = 0; i < c.n; i++) {
        title(c.names[i], heads[i + 1], sizeof heads[i + 1]);
        titles[i + 1] = heads[i + 1];
        right[i + 1] = c.text[i] ? 'l' : 'r';
    }
    right[c.n + 1] = '\0';
    struct table *t = table_new(right, titles);
    json_object_foreach(rows, name, row)
    {
        cells[0] = name;
        for (size_t i = 0; i < c.n; i++)
            cells[i + 1] = cell(c.names[i], json_object_get(row, c.names[i]));
        table_cells(t, cells);
    }
    printf("\n");
    table_print(t);
}

void print_rows(const json_t *tasks)
{
    size_t i;
    json_t *task, *value;
    const char *name;
    json_array_foreach(tasks, i, task)
    {
        json_t *gauges = json_object_get(task, "gauges");
        if (json_object_size(gauges) > 0)
            printf("\n%s-%lld:", member_text(task, "connector"), (long long)member_int(task, "task"));
        const char *before = " ";
        json_object_foreach(gauges, name, value)
        {
            printf("%s%s %.15g", before, name, json_number_value(value));
            before = ", ";
        }
        if (json_object_size(gauges) > 0)
            printf("\n");
        json_object_foreach(json_object_get(task, "status"), name, value)
        {
            print_kind(name, value);
        }
    }
}
