/*
 * leat consume: prints records as they come.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/where.h"
#include "http/json_bytes.h"

/* The very bytes of a record's key or value; nothing for null. */
static void put_member(const json_t *record, const char *name)
{
    struct err e;
    uint8_t *data;
    size_t n;
    if (json_get_bytes(json_object_get(record, name), name, &data, &n, &e) != ERR_OK)
        exit(cli_fail(&e));
    fwrite(data ? data : (const uint8_t *)"", 1, n, stdout);
    mem_free(data);
}

/* Prints the lines of an answer; returns how many, at most `max`. */
static int64_t print_lines(const struct hub_answer *a, const char *format, int64_t max)
{
    const char *at = a->body, *end = a->body + a->bytes;
    int64_t n = 0;
    for (; at < end && n < max; n++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = newline ? (size_t)(newline - at) : (size_t)(end - at);
        if (strcmp(format, "json") == 0) {
            fwrite(at, 1, len, stdout);
        } else {
            json_t *record = json_loadb(at, len, 0, NULL);
            if (strcmp(format, "key-value") == 0) {
                put_member(record, "key");
                putchar('\t');
            }
            put_member(record, "value");
            json_decref(record);
        }
        putchar('\n');
        at += len + 1;
    }
    return n;
}

static char *start_positions(struct cli *c, struct hub *h, const char *from, int *exit_code)
{
    int *partitions, n = where_partitions(c, h, c->args[0], &partitions, exit_code);
    if (n < 0)
        return NULL;
    char *text = mem_strdup("");
    for (int i = 0; i < n && text; i++) {
        int64_t offset;
        if (!where_resolve(h, c->args[0], partitions[i], from, &offset, exit_code)) {
            mem_free(text);
            mem_free(partitions);
            return NULL;
        }
        char *more = mem_printf("%s%s%d:%lld", text, i ? "," : "", partitions[i], (long long)offset);
        mem_free(text);
        text = more;
    }
    mem_free(partitions);
    if (!text)
        *exit_code = cli_error(EXIT_FAILED, "out of memory");
    return text;
}

static int consume(struct cli *c, struct hub *h, const char *positions, int64_t max)
{
    const char *format = cli_value(c, "format"), *isolation = cli_value(c, "isolation");
    bool stop_at_end = cli_flag(c, "exit-at-end");
    char next[4096];
    snprintf(next, sizeof next, "%s", positions);
    format = format ? format : cli_json(c) ? "json" : "value";
    while (max > 0) {
        struct hub_answer a;
        char *rest =
            mem_printf("/records?from=%s&wait_ms=%d&max_records=%lld%s%s", next, stop_at_end ? 0 : 30000,
                       (long long)max, isolation ? "&isolation=" : "", isolation ? isolation : "");
        char *target = hub_target("/hub/topics/", c->args[0], rest ? rest : "");
        mem_free(rest);
        bool ok = hub_call(h, "GET", target, NULL, 0, &a);
        mem_free(target);
        if (!ok)
            return EXIT_BUSY;
        if (a.status > 399) {
            int rc = hub_refused(&a);
            hub_answer_free(&a);
            return rc;
        }
        max -= print_lines(&a, format, max);
        memcpy(next, a.next, sizeof next);
        bool end = stop_at_end && a.at_end;
        hub_answer_free(&a);
        if (fflush(stdout) != 0)
            return cli_error(EXIT_FAILED, "cannot write to standard output");
        if (end)
            break;
    }
    return EXIT_FINE;
}

int cmd_consume(struct cli *c)
{
    int rc;
    int64_t max;
    const char *from = cli_value(c, "from");
    if (!cli_number(c, "max", INT64_MAX, 1, INT64_MAX, &max))
        return EXIT_USAGE;
    struct hub *h = hub_open(c, HUB_EXISTING, &rc);
    if (!h)
        return rc;
    char *positions = start_positions(c, h,
                                      from                         ? from
                                      : cli_flag(c, "exit-at-end") ? "beginning"
                                                                   : "end",
                                      &rc);
    if (positions)
        rc = consume(c, h, positions, max);
    mem_free(positions);
    hub_close(h);
    return rc;
}
