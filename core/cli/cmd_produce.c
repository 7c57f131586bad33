/*
 * leat produce: lines of standard input as records. Lines are sent when a part is full or when no more input
 * waits, so that piping is fast and typing is immediate.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "http/json_bytes.h"

#define PART_BYTES (1 << 20)
#define READ_BYTES ((size_t)64 << 10)

struct sender {
    struct hub *h;
    char *target;
    struct buf part;    /* JSON lines to send */
    struct buf headers; /* JSON member of every record, or empty */
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
        cli_error(rc, "%lld records before these were written", (long long)s->sent);
    }
    hub_answer_free(&a);
    buf_reset(&s->part);
    return rc;
}

static int encode_line(struct sender *s, const char *line, size_t n, struct err *e)
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
    if (rc == ERR_OK && s->headers.len)
        rc = buf_append(b, s->headers.data, s->headers.len, e);
    return rc ? rc : buf_str(b, "}\n", e);
}

/* Adds a line to the part; sends what was there before when both do not fit. */
static int add_line(struct sender *s, const char *line, size_t n)
{
    struct err e;
    size_t before = s->part.len;
    int rc = encode_line(s, line, n, &e);
    if (rc == ERR_TOO_LARGE && before) {
        s->part.len = before;
        int sent = send_part(s);
        if (sent != EXIT_FINE)
            return sent;
        rc = encode_line(s, line, n, &e);
    }
    if (rc == ERR_TOO_LARGE)
        return cli_error(EXIT_FAILED,
                         "a line of %zu bytes does not fit into one request of %zu bytes as JSON", n,
                         API_BODY_MAX);
    if (rc)
        return cli_fail(&e);
    return s->part.len >= PART_BYTES ? send_part(s) : EXIT_FINE;
}

static bool more_input_waits(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* Adds the whole lines of [data, data + n), at the input's end also the last one without newline; *used tells how far it came. */
static int add_lines(struct sender *s, const char *data, size_t n, bool end, size_t *used)
{
    int rc = EXIT_FINE;
    for (*used = 0; *used < n && rc == EXIT_FINE;) {
        const char *newline = memchr(data + *used, '\n', n - *used);
        size_t len = newline ? (size_t)(newline - data) - *used : n - *used;
        if (!newline && !end)
            break;
        rc = add_line(s, data + *used, len);
        *used += len + (newline ? 1 : 0);
    }
    return rc;
}

/* Reads standard input to its end. */
static int pump(struct sender *s)
{
    struct err e;
    struct buf in;
    int rc = EXIT_FINE;
    buf_init(&in, API_BODY_MAX);
    for (bool end = false; !end && rc == EXIT_FINE;) {
        if (buf_reserve(&in, READ_BYTES, &e) != ERR_OK) {
            rc = e.code == ERR_TOO_LARGE
                     ? cli_error(EXIT_FAILED, "a line is longer than %zu bytes", API_BODY_MAX - READ_BYTES)
                     : cli_fail(&e);
            break;
        }
        ssize_t got = read(STDIN_FILENO, in.data + in.len, READ_BYTES);
        if (got < 0) {
            rc = cli_error(EXIT_FAILED, "cannot read standard input: %s", strerror(errno));
            break;
        }
        size_t used;
        end = got == 0;
        in.len += (size_t)got;
        rc = add_lines(s, (const char *)in.data, in.len, end, &used);
        memmove(in.data, in.data + used, in.len - used);
        in.len -= used;
        if (rc == EXIT_FINE && (end || !more_input_waits()))
            rc = send_part(s);
    }
    buf_free(&in);
    return rc;
}

/* --header NAME=VALUE ... as ",\"headers\":[...]"; nothing if none. An exit code, or -1 to go on. */
static int encode_headers(struct cli *c, struct buf *out)
{
    const char *const *items;
    struct err e;
    size_t n = cli_values(c, "header", &items);
    int rc = n ? buf_str(out, ",\"headers\":[", &e) : ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        const char *eq = strchr(items[i], '=');
        if (!eq || !bytes_are_text(items[i], (size_t)(eq - items[i])))
            return cli_error(EXIT_USAGE, "--header: '%s' is not NAME=VALUE", items[i]);
        rc = buf_str(out, i ? ",{\"key\":" : "{\"key\":", &e);
        if (rc == ERR_OK)
            rc = buf_json_str(out, items[i], (size_t)(eq - items[i]), &e);
        if (rc == ERR_OK)
            rc = buf_str(out, ",\"value\":", &e);
        if (rc == ERR_OK)
            rc = json_put_bytes(out, eq + 1, (int64_t)strlen(eq + 1), &e);
        if (rc == ERR_OK)
            rc = buf_str(out, "}", &e);
    }
    if (rc == ERR_OK && n)
        rc = buf_str(out, "]", &e);
    return rc ? cli_fail(&e) : -1;
}

/* What only makes sense for lines. */
static int check_options(struct cli *c, struct sender *s)
{
    static const char *const of_lines[] = {"key-separator", "header", "partition"};
    for (size_t i = 0; s->json && i < sizeof of_lines / sizeof of_lines[0]; i++)
        if (cli_flag(c, of_lines[i]))
            return cli_error(EXIT_USAGE, "--%s is for lines: with --format json each line says it itself",
                             of_lines[i]);
    if (s->separator && !*s->separator)
        return cli_error(EXIT_USAGE, "--key-separator: is empty");
    return cli_number(c, "partition", -1, 0, INT32_MAX, &s->partition) ? -1 : EXIT_USAGE;
}

static int produce(struct cli *c, struct sender *s)
{
    int rc;
    const char *codec = cli_value(c, "compression");
    char *rest = mem_printf("/records%s%s", codec ? "?compression=" : "", codec ? codec : "");
    if (!rest)
        cli_out_of_memory();
    s->h = hub_open(c, HUB_EXISTING, &rc);
    if (s->h) {
        s->target = hub_target("/hub/topics/", c->args[0], rest);
        rc = pump(s);
        mem_free(s->target);
        hub_close(s->h);
    }
    mem_free(rest);
    return rc;
}

int cmd_produce(struct cli *c)
{
    const char *format = cli_value(c, "format");
    struct sender s = {.separator = cli_value(c, "key-separator"),
                       .json = format && strcmp(format, "json") == 0};
    buf_init(&s.part, API_BODY_MAX);
    buf_init(&s.headers, API_BODY_MAX);
    int rc = check_options(c, &s);
    if (rc == -1)
        rc = encode_headers(c, &s.headers);
    if (rc == -1)
        rc = produce(c, &s);
    if (rc == EXIT_FINE && cli_json(c))
        printf("{\"records\":%lld}\n", (long long)s.sent);
    else if (rc == EXIT_FINE && isatty(STDERR_FILENO))
        fprintf(stderr, "%lld record%s written\n", (long long)s.sent, s.sent == 1 ? "" : "s");
    buf_free(&s.headers);
    buf_free(&s.part);
    return rc;
}
