/*
 * leat produce: lines of standard input as records. Lines are sent when a part is full or when no more input
 * waits, so that piping is fast and typing is immediate.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "http/json_bytes.h"

#define PART_BYTES (1 << 20)

struct sender {
    struct cli *c;
    struct hub *h;
    char *target;
    struct buf part;     /* JSON lines to send */
    const char *headers; /* JSON text of the headers, or NULL */
    const char *separator;
    bool json;
    int64_t partition, sent;
};

static int send_part(struct sender *s)
{
    struct hub_answer a;
    if (s->part.len == 0)
        return EXIT_FINE;
    if (!hub_call(s->h, "POST", s->target, (const char *)s->part.data, s->part.len, &a))
        return EXIT_BUSY;
    int rc = a.status > 399 ? hub_refused(&a) : EXIT_FINE;
    if (rc == EXIT_FINE) {
        json_t *j = json_loadb(a.body, a.bytes, 0, NULL);
        s->sent += json_integer_value(json_object_get(j, "records"));
        json_decref(j);
    } else if (s->sent) {
        cli_error(rc, "%lld records were written before this part", (long long)s->sent);
    }
    hub_answer_free(&a);
    buf_reset(&s->part);
    return rc;
}

static int add_line(struct sender *s, const char *line, size_t n, struct err *e)
{
    struct buf *b = &s->part;
    const char *split = s->separator ? memmem(line, n, s->separator, strlen(s->separator)) : NULL;
    const char *value = split ? split + strlen(s->separator) : line;
    if (s->json) {
        int rc = buf_append(b, line, n, e);
        return rc ? rc : buf_str(b, "\n", e);
    }
    int rc = buf_printf(b, e, "{\"partition\":%lld,\"key\":", (long long)s->partition);
    if (rc == ERR_OK)
        rc = json_put_bytes(b, line, split ? split - line : -1, e);
    if (rc == ERR_OK)
        rc = buf_str(b, ",\"value\":", e);
    if (rc == ERR_OK)
        rc = json_put_bytes(b, value, (int64_t)n - (value - line), e);
    if (rc == ERR_OK && s->headers)
        rc = buf_printf(b, e, ",\"headers\":%s", s->headers);
    return rc ? rc : buf_str(b, "}\n", e);
}

static bool more_input_waits(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* Reads standard input to its end. */
static int pump(struct sender *s)
{
    struct err e;
    struct buf in;
    int rc = EXIT_FINE;
    buf_init(&in, API_BODY_MAX);
    for (bool end = false; !end && rc == EXIT_FINE;) {
        if (buf_reserve(&in, 64 << 10, &e) != ERR_OK) {
            rc = cli_error(EXIT_FAILED, "a line is longer than %zu bytes", API_BODY_MAX);
            break;
        }
        ssize_t got = read(STDIN_FILENO, in.data + in.len, 64 << 10);
        if (got < 0) {
            rc = cli_error(EXIT_FAILED, "cannot read standard input");
            break;
        }
        end = got == 0;
        in.len += (size_t)got;
        size_t used = 0;
        while (used < in.len && rc == EXIT_FINE) {
            const uint8_t *newline = memchr(in.data + used, '\n', in.len - used);
            size_t n = newline ? (size_t)(newline - in.data) - used : in.len - used;
            if (!newline && !end)
                break;
            if (add_line(s, (const char *)in.data + used, n, &e) != ERR_OK)
                rc = cli_fail(&e);
            used += n + (newline ? 1 : 0);
            if (s->part.len >= PART_BYTES && rc == EXIT_FINE)
                rc = send_part(s);
        }
        memmove(in.data, in.data + used, in.len - used);
        in.len -= used;
        if (rc == EXIT_FINE && (end || !more_input_waits()))
            rc = send_part(s);
    }
    buf_free(&in);
    return rc;
}

/* --header NAME=VALUE ... as JSON text; NULL if none. Exits on bad ones. */
static char *headers_json(struct cli *c)
{
    const char *const *items;
    size_t n = cli_values(c, "header", &items);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const char *eq = strchr(items[i], '=');
        if (!eq)
            exit(cli_error(EXIT_USAGE, "--header: '%s' is not NAME=VALUE", items[i]));
        json_array_append_new(
            list, json_pack("{s:s%, s:s}", "key", items[i], (size_t)(eq - items[i]), "value", eq + 1));
    }
    char *text = n ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return text;
}

int cmd_produce(struct cli *c)
{
    int rc;
    const char *format = cli_value(c, "format"), *codec = cli_value(c, "compression");
    struct sender s = {
        .c = c, .separator = cli_value(c, "key-separator"), .json = format && strcmp(format, "json") == 0};
    if (!cli_number(c, "partition", -1, 0, INT32_MAX, &s.partition))
        return EXIT_USAGE;
    char *headers = headers_json(c),
         *rest = mem_printf("/records%s%s", codec ? "?compression=" : "", codec ? codec : "");
    s.headers = headers;
    s.h = hub_open(c, HUB_EXISTING, &rc);
    if (s.h) {
        s.target = hub_target("/hub/topics/", c->args[0], rest ? rest : "/records");
        buf_init(&s.part, API_BODY_MAX);
        rc = pump(&s);
        buf_free(&s.part);
        mem_free(s.target);
        hub_close(s.h);
    }
    if (rc == EXIT_FINE && cli_json(c))
        printf("{\"records\":%lld}\n", (long long)s.sent);
    else if (rc == EXIT_FINE && isatty(STDERR_FILENO))
        fprintf(stderr, "%lld record%s written\n", (long long)s.sent, s.sent == 1 ? "" : "s");
    free(headers);
    mem_free(rest);
    return rc;
}
