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
            json_t *record = json_loadb(at, len, JSON_ALLOW_NUL, NULL);
            if (!record)
                cli_out_of_memory();
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
    struct err e;
    struct buf text;
    int *partitions, n = where_partitions(c, h, c->args[0], &partitions, exit_code);
    bool ok = n >= 0;
    if (n < 0)
        return NULL;
    if (n > API_READ_PARTITIONS_MAX) {
        *exit_code = cli_error(EXIT_USAGE, "%s has %d partitions: choose at most %d with --partition",
                               c->args[0], n, API_READ_PARTITIONS_MAX);
        ok = false;
    }
    buf_init(&text, API_NEXT_MAX);
    for (int i = 0; i < n && ok; i++) {
        int64_t offset;
        ok = where_resolve(h, c->args[0], partitions[i], from, &offset, exit_code);
        if (ok &&
            buf_printf(&text, &e, "%s%d:%lld", i ? "," : "", partitions[i], (long long)offset) != ERR_OK)
            cli_out_of_memory();
    }
    mem_free(partitions);
    if (ok && buf_u8(&text, 0, &e) != ERR_OK)
        cli_out_of_memory();
    if (ok)
        return (char *)text.data;
    buf_free(&text);
    return NULL;
}

/* One read from `next` on, of at most `max` records. False: *exit_code tells. */
static bool ask(struct cli *c, struct hub *h, const char *next, int wait_ms, int64_t max,
                struct hub_answer *a, int *exit_code)
{
    const char *isolation = cli_value(c, "isolation");
    char *rest = mem_printf("/records?from=%s&wait_ms=%d&max_records=%lld%s%s", next, wait_ms, (long long)max,
                            isolation ? "&isolation=" : "", isolation ? isolation : "");
    if (!rest)
        cli_out_of_memory();
    char *target = hub_target("/hub/topics/", c->args[0], rest);
    bool ok = hub_call(h, "GET", target, NULL, 0, a);
    mem_free(rest);
    mem_free(target);
    *exit_code = ok ? EXIT_FINE : EXIT_BUSY;
    if (ok && (a->status > 399 || !a->next)) {
        *exit_code = hub_refused(a);
        hub_answer_free(a);
        ok = false;
    }
    return ok;
}

/* Takes over `next`. */
static int consume(struct cli *c, struct hub *h, char *next, bool stop_at_end, int64_t max)
{
    const char *format = cli_value(c, "format");
    int rc = EXIT_FINE;
    format = format ? format : cli_json(c) ? "json" : "value";
    for (bool end = false; max > 0 && !end && rc == EXIT_FINE;) {
        struct hub_answer a;
        if (!ask(c, h, next, stop_at_end ? 0 : API_WAIT_MAX_MS, max, &a, &rc))
            break;
        max -= print_lines(&a, format, max);
        end = stop_at_end && a.at_end;
        mem_free(next);
        next = a.next;
        a.next = NULL;
        hub_answer_free(&a);
        rc = cli_flush();
    }
    mem_free(next);
    return rc;
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
    /* Without a hub nobody else can write: this process holds the directory. */
    bool stop_at_end = cli_flag(c, "exit-at-end") || !hub_is_running(h);
    char *next = start_positions(c, h, from ? from : stop_at_end ? "beginning" : "end", &rc);
    if (next)
        rc = consume(c, h, next, stop_at_end, max);
    hub_close(h);
    return rc;
}
