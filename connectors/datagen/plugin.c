/*
 * datagen: a source that makes its own records, for trying things out and for load tests. Record n is a function of n and
 * the options, and the position is n, so that a restart goes on exactly where it was.
 *
 * Task thread only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "leat/plugin.h"

#define PARTITION "{\"generator\":0}"
#define RECORD_MAX 65536 /* of record.bytes */
#define BATCH 256        /* records handed over at a time */

enum format { FORMAT_LOG, FORMAT_JSON };

struct datagen {
    struct leat_task *task;
    const struct leat_host *host;
    enum format format;
    int64_t rate, count, bytes; /* rate 0: as fast as it goes; count 0: for ever */
    uint64_t next;
    int64_t started_ns; /* when `first` was due */
    uint64_t first;
    char *text; /* BATCH records of `stride` bytes */
    size_t stride;
};

/* ---- contents ----------------------------------------------------------------------------------------------- */

static uint64_t mixed(uint64_t n)
{
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9u;
    n = (n ^ n >> 27) * 0x94d049bb133111ebu;
    return n ^ n >> 31;
}

static size_t make_record(const struct datagen *d, uint64_t n, char *out)
{
    static const char *const methods[] = {"GET", "GET", "GET", "POST", "PUT", "DELETE"};
    static const char *const paths[] = {"/",      "/orders",        "/orders/17",   "/cart",
                                        "/login", "/search?q=leat", "/img/mill.png"};
    static const int statuses[] = {200, 200, 200, 200, 201, 204, 304, 404, 500};
    uint64_t r = mixed(n + 1);
    const char *method = methods[r % 6], *path = paths[r / 6 % 7];
    int status = statuses[r / 42 % 9], ms = (int)(r / 378 % 900) + 1, user = (int)(r / 340200 % 10000);
    int len = d->format == FORMAT_LOG
                  ? snprintf(out, d->stride, "request %" PRIu64 ": %s %s -> %d in %d ms, user %d", n, method,
                             path, status, ms, user)
                  : snprintf(out, d->stride,
                             "{\"id\":%" PRIu64
                             ",\"method\":\"%s\",\"path\":\"%s\",\"status\":%d,\"ms\":%d,\"user\":%d}",
                             n, method, path, status, ms, user);
    size_t have = (size_t)len < d->stride ? (size_t)len : d->stride - 1, want = (size_t)d->bytes;
    if (have >= want)
        return have;
    /* Padding: behind a log line as it is, in JSON before the closing brace, which blanks may precede. */
    if (d->format == FORMAT_JSON)
        have--;
    memset(out + have, d->format == FORMAT_JSON ? ' ' : '.', want - have);
    if (d->format == FORMAT_JSON)
        out[want - 1] = '}';
    return want;
}

/* ---- the task ----------------------------------------------------------------------------------------------- */

static void source_close(void *self)
{
    struct datagen *d = self;
    mem_free(d->text);
    mem_free(d);
}

static int source_open(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                       void **self)
{
    struct datagen *d = mem_calloc(1, sizeof *d);
    if (!d)
        return h->fail(t, LEAT_RETRY, "out of memory");
    d->task = t;
    d->host = h;
    d->format = (enum format)h->get_int(c, "format");
    d->rate = h->get_int(c, "rate");
    d->count = h->get_int(c, "count");
    d->bytes = h->get_int(c, "record.bytes");
    d->stride = (size_t)(d->bytes > 512 ? d->bytes : 512) + 1;
    d->text = mem_alloc(BATCH * d->stride);
    const char *position = h->get_position(t, PARTITION);
    if (!d->text) {
        source_close(d);
        return h->fail(t, LEAT_RETRY, "out of memory");
    }
    if (position && sscanf(position, "{\"next\":%" SCNu64 "}", &d->next) != 1) {
        source_close(d);
        return h->fail(t, LEAT_FAIL, "the stored position %s is not one of this connector", position);
    }
    d->first = d->next;
    d->started_ns = clock_mono_ns();
    *self = d;
    return LEAT_OK;
}

/* How many records are due now, at most one hand-over. */
static uint64_t due(const struct datagen *d)
{
    uint64_t n = BATCH;
    if (d->rate) {
        double passed = (double)(clock_mono_ns() - d->started_ns) / 1e9;
        uint64_t until = d->first + (uint64_t)(passed * (double)d->rate);
        n = until > d->next ? until - d->next : 0;
    }
    if (d->count && n > (uint64_t)d->count - d->next)
        n = (uint64_t)d->count - d->next;
    return n < BATCH ? n : BATCH;
}

static int hand_over(struct datagen *d, uint64_t n, size_t *bytes)
{
    struct leat_record records[BATCH];
    for (uint64_t i = 0; i < n; i++) {
        char *text = d->text + i * d->stride;
        size_t len = make_record(d, d->next + i, text);
        records[i] = (struct leat_record){.struct_size = sizeof records[i],
                                          .partition = -1,
                                          .timestamp = -1,
                                          .value = text,
                                          .value_len = len};
        *bytes += len;
    }
    int rc = d->host->emit(d->task, records, n);
    if (rc == LEAT_OK)
        d->next += n;
    return rc;
}

static int source_poll(void *self)
{
    struct datagen *d = self;
    size_t bytes = 0;
    if (d->count && d->next >= (uint64_t)d->count)
        return LEAT_END;
    uint64_t n;
    while ((n = due(d)) == 0) {
        d->host->wait(d->task, -1, d->rate >= 1000 ? 1 : 1000 / d->rate + 1);
        if (d->host->stopping(d->task))
            return LEAT_OK;
    }
    for (; n && bytes < d->host->poll_bytes(d->task); n = due(d)) {
        int rc = hand_over(d, n, &bytes);
        if (rc)
            return rc;
    }
    char position[64];
    snprintf(position, sizeof position, "{\"next\":%" PRIu64 "}", d->next);
    return d->host->set_position(d->task, PARTITION, position);
}

/* ---- what it tells of itself -------------------------------------------------------------------------------- */

static const struct leat_option options[] = {
    {.name = "rate",
     .type = LEAT_INT,
     .default_value = "10",
     .min = 0,
     .max = 100000000,
     .importance = LEAT_HIGH,
     .doc = "Records a second; 0 for as many as the store takes."},
    {.name = "count",
     .type = LEAT_INT,
     .default_value = "0",
     .min = 0,
     .max = INT64_MAX,
     .importance = LEAT_MEDIUM,
     .doc = "How many records to make in all, restarts included; then the task completes. 0: it never ends."},
    {.name = "format",
     .type = LEAT_CHOICE,
     .choices = "log|json",
     .default_value = "log",
     .importance = LEAT_MEDIUM,
     .doc = "Lines of an access log, or the same as JSON objects."},
    {.name = "record.bytes",
     .type = LEAT_SIZE,
     .default_value = "0",
     .min = 0,
     .max = RECORD_MAX,
     .importance = LEAT_LOW,
     .doc = "Pads records to this size; shorter ones only, none is cut."},
};

static const struct leat_source_ops ops = {.open = source_open, .poll = source_poll, .close = source_close};

static const struct leat_connector source = {
    .struct_size = sizeof source,
    .kind = LEAT_SOURCE,
    .type = "datagen",
    .summary = "Makes its own records, for demonstrations and load tests.",
    .doc = "Record *n* depends on *n* and the options only, and the stored position is *n*: after a restart "
           "the sequence "
           "goes on without a gap or a repetition.",
    .example = "type: datagen\nrate: 100\nformat: json",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .exact = true,
    .source = &ops,
};

LEAT_EXPORT extern const struct leat_plugin leat_plugin;
const struct leat_plugin leat_plugin = {
    LEAT_PLUGIN_HEADER,
    .name = "datagen",
    .version = LEAT_VERSION,
    .built_for = LEAT_VERSION,
    .connectors = (const struct leat_connector *const[]){&source},
    .connector_count = 1,
};
