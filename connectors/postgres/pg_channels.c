/*
 * pg_channels: signals from the host (command line, HTTP, topic) and from a file, as Debezium's file channel: a line
 * {"id":..,"type":..,"data":{..}} each; what was taken is cut off once what became of it is durable. A crash between the two
 * makes them come again.
 */
#include "pg_channels.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define FILE_MAX (1u << 20) /* of the file; what is beyond is read the next time */

struct pg_channels {
    struct pg_task *t;
    bool table;
    const char *file; /* NULL: none */
    int64_t every_ms, looked_ms;
    int fd;              /* of the file while something that was taken is in it; -1: nothing is */
    size_t taken;        /* bytes at its begin, ... */
    uint64_t taken_poll; /* ... in that poll */
};

/* ---- open --------------------------------------------------------------------------------------------------------- */

static int open_topic(struct pg_task *t)
{
    const char *prefix = t->host->get_str(t->config, "topic.prefix");
    const char *topic = t->host->get_str(t->config, "signal.kafka.topic");
    char *made = topic && topic[0] ? mem_strdup(topic) : mem_printf("%s-signal", prefix);
    if (!made)
        return t->host->fail(t->task, LEAT_RETRY, "out of memory");
    int rc = t->host->signal_topic(t->task, made, prefix);
    mem_free(made);
    return rc;
}

static int open_channel(struct pg_channels *c, const char *name)
{
    struct pg_task *t = c->t;
    if (strcmp(name, "source") == 0) {
        c->table = true;
    } else if (strcmp(name, "kafka") == 0) {
        return open_topic(t);
    } else if (strcmp(name, "file") == 0) {
        c->file = t->host->get_str(t->config, "signal.file");
        c->every_ms = t->host->get_int(t->config, "signal.poll.interval.ms");
    } else if (strcmp(name, "jmx") != 0 && strcmp(name, "in-process") != 0) {
        return t->host->fail(
            t->task, LEAT_FAIL,
            "signal.enabled.channels: there is no channel %s; source, kafka and file are known", name);
    }
    return LEAT_OK;
}

int pg_channels_open(struct pg_task *t, struct pg_channels **out)
{
    const char *const *names;
    size_t n = t->host->get_list(t->config, "signal.enabled.channels", &names);
    struct pg_channels *c = mem_calloc(1, sizeof *c);
    if (!c)
        return t->host->fail(t->task, LEAT_RETRY, "out of memory");
    c->t = t;
    c->fd = -1;
    int rc = LEAT_OK;
    for (size_t i = 0; i < n && rc == LEAT_OK; i++)
        rc = open_channel(c, names[i]);
    if (rc != LEAT_OK) {
        pg_channels_close(c);
        return rc;
    }
    *out = c;
    return LEAT_OK;
}

void pg_channels_close(struct pg_channels *c)
{
    if (c && c->fd >= 0)
        close(c->fd);
    mem_free(c);
}

bool pg_channels_from_table(const struct pg_channels *c)
{
    return c->table;
}

/* ---- the file ----------------------------------------------------------------------------------------------------- */

static int take_line(struct pg_channels *c, const char *line, size_t n,
                     int (*take)(void *arg, const char *id, const char *type, const char *data), void *arg)
{
    json_error_t where;
    json_t *j = json_loadb(line, n, 0, &where), *data = json_object_get(j, "data");
    const char *id = json_string_value(json_object_get(j, "id"));
    const char *type = json_string_value(json_object_get(j, "type"));
    char *text = NULL;
    int rc = LEAT_OK;
    if (data && !json_is_null(data))
        text = json_is_string(data) ? strdup(json_string_value(data)) : json_dumps(data, JSON_COMPACT);
    if (type)
        rc = take(arg, id ? id : "", type, text);
    else
        c->t->host->log(c->t->task, LEAT_ERROR, "%s: a line is left out: %s", c->file,
                        j ? "it has no \"type\"" : where.text);
    free(text);
    json_decref(j);
    return rc;
}

static bool is_blank(const char *line, size_t n)
{
    size_t i = 0;
    while (i < n && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r'))
        i++;
    return i == n;
}

/* Whole lines of `n` bytes are taken; *taken: how many bytes that are. */
static int take_lines(struct pg_channels *c, const char *text, size_t n, bool complete, size_t *taken,
                      int (*take)(void *arg, const char *id, const char *type, const char *data), void *arg)
{
    int rc = LEAT_OK;
    *taken = 0;
    while (*taken < n && rc == LEAT_OK) {
        const char *line = text + *taken, *end = memchr(line, '\n', n - *taken);
        size_t len = end ? (size_t)(end - line) : n - *taken;
        if (!end && !complete)
            break;
        if (!is_blank(line, len))
            rc = take_line(c, line, len, take, arg);
        *taken += len + (end ? 1 : 0);
    }
    return rc;
}

/* What is behind what was taken moves to the front: read now, as more may have come while signals were taken. */
static bool cut_off(int fd, size_t taken)
{
    char part[4096];
    off_t to = 0;
    ssize_t n;
    while ((n = pread(fd, part, sizeof part, (off_t)taken + to)) > 0) {
        if (pwrite(fd, part, (size_t)n, to) != n)
            return false;
        to += n;
    }
    return n == 0 && ftruncate(fd, to) == 0;
}

static void tell_trouble(struct pg_channels *c)
{
    c->t->host->log(c->t->task, LEAT_ERROR, "signal.file %s: %s", c->file, strerror(errno));
}

static int poll_file(struct pg_channels *c,
                     int (*take)(void *arg, const char *id, const char *type, const char *data), void *arg)
{
    if (c->fd >= 0) /* what was taken is not durable yet */
        return LEAT_OK;
    int fd = open(c->file, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return LEAT_OK;
    char *text = fd < 0 ? NULL : mem_alloc(FILE_MAX + 1);
    ssize_t n = text ? pread(fd, text, FILE_MAX, 0) : -1;
    size_t taken = 0;
    int rc = LEAT_OK;
    if (n < 0)
        tell_trouble(c);
    if (n > 0) {
        text[n] = '\0';
        /* The last line may be one that is being written: a line that ends counts, or a whole object. */
        bool complete = n < FILE_MAX && text[n - 1] == '}';
        rc = take_lines(c, text, (size_t)n, complete, &taken, take, arg);
    }
    mem_free(text);
    if (rc == LEAT_OK && taken) {
        c->taken = taken;
        c->taken_poll = c->t->polls + 1;
        c->fd = fd;
    } else if (fd >= 0) {
        close(fd);
    }
    return rc;
}

void pg_channels_durable(struct pg_channels *c, uint64_t polls)
{
    if (c->fd < 0 || polls < c->taken_poll)
        return;
    if (!cut_off(c->fd, c->taken))
        tell_trouble(c);
    close(c->fd);
    c->fd = -1;
}

/* ---- all ---------------------------------------------------------------------------------------------------------- */

int pg_channels_poll(struct pg_channels *c,
                     int (*take)(void *arg, const char *id, const char *type, const char *data), void *arg)
{
    for (;;) {
        struct leat_signal s;
        int rc = c->t->host->next_signal(c->t->task, &s);
        if (rc != LEAT_OK)
            return rc;
        if (!s.type)
            break;
        rc = take(arg, s.id, s.type, s.data);
        if (rc != LEAT_OK)
            return rc;
    }
    int64_t now = clock_mono_ms();
    if (!c->file || (c->looked_ms && now - c->looked_ms < c->every_ms))
        return LEAT_OK;
    c->looked_ms = now;
    return poll_file(c, take, arg);
}

int64_t pg_channels_due_ms(const struct pg_channels *c)
{
    return c->file ? c->every_ms : -1;
}
