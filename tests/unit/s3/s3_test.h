/*
 * The sink driven as the worker would drive it, against tests/lib/s3/fake_s3.py.
 */
#ifndef LEAT_TESTS_S3_S3_TEST_H
#define LEAT_TESTS_S3_S3_TEST_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connectors/s3/s3_http.h"
#include "connectors/s3/sigv4.h"
#include "tests/unit/s3/fake_host.h"

/* ---- the server ----------------------------------------------------------------------------------------------- */

struct server {
    pid_t pid;
    int to, from; /* its standard input and output */
    int port;
    bool tls;
    struct http_client *http;
    struct http_response answer;
};

/* `tls_file`: key and certificate, `ca` the certificate; both NULL for plain HTTP. */
static inline void server_start_tls(struct server *s, const char *tls_file, const char *ca)
{
    const struct http_options o = {.connect_ms = 60000, .stall_ms = 600000, .ca_file = ca};
    int in[2], out[2];
    struct err e;
    char line[32] = "";

    setenv("no_proxy", "*", 1); /* what is on this machine is not reached through a proxy */
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execlp("python3", "python3", "tests/lib/s3/fake_s3.py", tls_file ? "--tls" : NULL, tls_file, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    s->to = in[1];
    s->from = out[0];
    for (size_t n = 0; n < sizeof line - 1 && !strchr(line, '\n'); n++)
        if (read(s->from, line + n, 1) != 1)
            fail_msg("tests/lib/s3/fake_s3.py does not start (run tests from the repository's root)");
    s->port = (int)strtol(line, NULL, 10);
    assert_in_range(s->port, 1, 65535);
    s->tls = tls_file != NULL;
    http_response_init(&s->answer);
    assert_ok(http_client_new(&o, &s->http, &e), &e);
}

static inline void server_start(struct server *s)
{
    server_start_tls(s, NULL, NULL);
}

static inline void server_stop(struct server *s)
{
    int status;

    close(s->to);
    close(s->from);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    http_client_free(s->http);
    http_response_free(&s->answer);
}

/* Sends a control request; the answer's text stays until the next one. */
static inline const char *__attribute__((format(printf, 5, 6)))
server_ask(struct server *s, const char *method, const char *body, size_t n, const char *fmt, ...)
{
    struct http_request q = {.method = method, .body = body, .body_len = n};
    char url[2048];
    struct err e;
    va_list ap;
    int used = snprintf(url, sizeof url, "%s://localhost:%d/-/", s->tls ? "https" : "http", s->port);

    va_start(ap, fmt);
    vsnprintf(url + used, sizeof url - (size_t)used, fmt, ap);
    va_end(ap);
    q.url = url;
    assert_ok(http_perform(s->http, &q, &s->answer, &e), &e);
    assert_int_equal(s->answer.status, 200);
    assert_ok(buf_u8(&s->answer.body, '\0', &e), &e);
    s->answer.body.len--;
    return (const char *)s->answer.body.data;
}

static inline void server_reset(struct server *s)
{
    server_ask(s, "POST", "", 0, "reset");
}

static inline void server_fault(struct server *s, const char *op, int nth, const char *what, int times)
{
    server_ask(s, "POST", "", 0, "fault?op=%s&nth=%d&do=%s&times=%d", op, nth, what, times);
}

static inline int count_lines(const char *text, const char *prefix)
{
    int n = 0;

    for (; text && *text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
        n += strncmp(text, prefix, strlen(prefix)) == 0;
    return n;
}

/* Runs a shell command, keeps its output (NUL-terminated) in `out`, and fails the test if it fails. */
static inline void __attribute__((format(printf, 2, 3))) shell(struct buf *out, const char *fmt, ...)
{
    char command[2048], piece[4096];
    struct err e;
    va_list ap;
    FILE *f;
    size_t n;

    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    f = popen(command, "r");
    assert_non_null(f);
    buf_reset(out);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        assert_ok(buf_append(out, piece, n, &e), &e);
    if (pclose(f) != 0)
        fail_msg("failed: %s", command);
    assert_ok(buf_u8(out, '\0', &e), &e);
    out->len--;
}

/* ---- the sink ------------------------------------------------------------------------------------------------- */

struct run {
    struct server *server;
    struct leat_config config;
    struct leat_task task;
    struct leat_offset assigned[2];
    size_t partitions;
    void *sink; /* NULL: not open */
    size_t value_size;
};

static inline void run_init(struct run *r, struct server *s)
{
    char url[64];

    memset(r, 0, sizeof *r);
    r->server = s;
    r->partitions = 1;
    r->value_size = 20;
    for (int i = 0; i < 2; i++)
        r->assigned[i] = (struct leat_offset){"t", i, 0};
    task_init(&r->task);
    fake_config_init(&r->config, fake_connector());
    if (s) {
        snprintf(url, sizeof url, "http://127.0.0.1:%d", s->port);
        fake_config_set(&r->config, "store.url", url);
    }
    fake_config_set(&r->config, "s3.bucket.name", "bucket");
    fake_config_set(&r->config, "s3.region", "us-east-1");
    fake_config_set(&r->config, "aws.access.key.id", "AKFAKE");
    fake_config_set(&r->config, "aws.secret.access.key", "fakesecret");
    fake_config_set(&r->config, "flush.size", "10");
    fake_config_set(&r->config, "s3.stall.timeout.ms", "10m"); /* who wants a stall to end says so */
    fake_config_set(&r->config, "s3.retry.backoff.ms", "1");
    fake_config_set(&r->config, "timezone", "UTC");
}

static inline int run_open(struct run *r)
{
    return fake_connector()->sink->open(&r->task, &fake_host, &r->config, r->assigned, r->partitions,
                                        &r->sink);
}

static inline void run_close(struct run *r)
{
    if (r->sink)
        fake_connector()->sink->close(r->sink);
    r->sink = NULL;
}

static inline void run_free(struct run *r)
{
    run_close(r);
    fake_config_free(&r->config);
}

/* The JSON text of the record at `offset`; pseudo-random letters, so that compression does not make it vanish. */
static inline size_t make_value(const struct run *r, int64_t offset, char *out, size_t size)
{
    uint64_t x = (uint64_t)offset * 0x9e3779b97f4a7c15u + 1;
    size_t n = (size_t)snprintf(out, size, "{\"n\":%lld,\"pad\":\"", (long long)offset);

    while (n + 2 < r->value_size && n + 2 < size) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out[n++] = (char)('a' + x % 26);
    }
    out[n++] = '"';
    out[n++] = '}';
    return n;
}

/* Puts records `from` to `to` - 1 of the partition, in batches of `batch`. */
static inline int run_put(struct run *r, int32_t partition, int64_t from, int64_t to, int64_t batch)
{
    enum { MAX = 64 };
    struct leat_record records[MAX];
    size_t size = r->value_size + 64;
    char *values = malloc(MAX * size);
    int rc = LEAT_OK;

    assert_non_null(values);
    while (from < to && rc == LEAT_OK) {
        int64_t n = to - from < batch ? to - from : batch;

        assert_true(n <= MAX);
        for (int64_t i = 0; i < n; i++)
            records[i] =
                (struct leat_record){.struct_size = sizeof *records,
                                     .topic = "t",
                                     .partition = partition,
                                     .offset = from + i,
                                     .timestamp = 1700000000000 + from + i,
                                     .value = values + (size_t)i * size,
                                     .value_len = make_value(r, from + i, values + (size_t)i * size, size)};
        rc = fake_connector()->sink->put(r->sink, records, (size_t)n);
        from += n;
    }
    free(values);
    return rc;
}

/* As the host does it: again when the sink wishes so, which is until what is on its way is stored. */
static inline int run_flush(struct run *r, bool final)
{
    int64_t next_ms;
    int rc;

    do {
        next_ms = -1;
        rc = fake_connector()->sink->flush(r->sink, final, r->assigned, r->partitions, &next_ms);
    } while (rc == LEAT_OK && next_ms >= 0 && next_ms < 1000);
    return rc;
}

/* Puts and flushes; the first failure of both. */
static inline int run_write(struct run *r, int32_t partition, int64_t from, int64_t to, int64_t batch)
{
    int rc = run_put(r, partition, from, to, batch);

    return rc == LEAT_OK ? run_flush(r, false) : rc;
}

/*
 * As the worker does it: from the stored offset on, again after each LEAT_RETRY, until records 0 to `to` - 1 were put and
 * flushed. Returns the number of starts, or -1 after LEAT_FAIL.
 */
static inline int run_all(struct run *r, int64_t to, int64_t batch)
{
    for (int starts = 1; starts < 10; starts++) {
        int rc = run_open(r);

        if (rc == LEAT_OK)
            rc = run_put(r, 0, r->assigned[0].offset, to, batch);
        if (rc == LEAT_OK)
            rc = run_flush(r, false);
        run_close(r);
        if (rc == LEAT_FAIL)
            return -1;
        if (rc == LEAT_OK)
            return starts;
    }
    fail_msg("no end of retries: %s", r->task.failure);
    return -1;
}

/* The lines of records `from` to `to` - 1. */
static inline void expected_lines(const struct run *r, int64_t from, int64_t to, struct buf *out)
{
    struct err e;

    for (; from < to; from++) {
        assert_ok(buf_reserve(out, r->value_size + 64, &e), &e);
        out->len += make_value(r, from, (char *)out->data + out->len, r->value_size + 64);
        assert_ok(buf_u8(out, '\n', &e), &e);
    }
}

static inline void assert_has_line(const char *text, const char *line)
{
    char needle[2048];
    size_t n = (size_t)snprintf(needle, sizeof needle, "%s\n", line);

    if (strncmp(text, needle, n) == 0)
        return;
    snprintf(needle, sizeof needle, "\n%s\n", line);
    if (!strstr(text, needle))
        fail_msg("not there: %s\nthere is:\n%s", line, text);
}

/* The object at `key` holds just the lines of records `from` to `to` - 1 and was written `times` times (0: any). */
static inline void assert_object(const struct run *r, const char *key, int64_t from, int64_t to, int times)
{
    char line[1200], hash[SIGV4_HASH_SIZE];
    const char *objects;
    struct buf want;

    buf_init(&want, 256 << 20);
    expected_lines(r, from, to, &want);
    sigv4_hash(want.data, want.len, hash);
    objects = server_ask(r->server, "GET", NULL, 0, "objects");
    snprintf(line, sizeof line, "%s\t%zu\t%s\t", key, want.len, hash);
    if (!strstr(objects, line))
        fail_msg("not there: %s\nthere is:\n%s", line, objects);
    if (times) {
        snprintf(line, sizeof line, "%s\t%zu\t%s\t%d", key, want.len, hash, times);
        assert_has_line(objects, line);
    }
    buf_free(&want);
}

static inline int object_count(struct server *s)
{
    return count_lines(server_ask(s, "GET", NULL, 0, "objects"), "");
}

static inline int upload_count(struct server *s)
{
    return count_lines(server_ask(s, "GET", NULL, 0, "uploads"), "");
}

#endif
