/*
 * s3_sink: the sink's task: start-up checks, cleaning up, and the kit's filer over s3_target. All of it runs on the task's
 * thread, but what s3_api asks while the target's uploader uses it: waiting, notices, and whether the task stops.
 *
 * Exactly once: a stored offset covers only objects that are complete; what comes after it is read again, and
 * gives objects of the same names and bytes, as names come from offsets and rotation from the records.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kit/options.h"
#include "leat/plugin.h"
#include "s3_recover.h"
#include "s3_settings.h"
#include "s3_sink.h"
#include "s3_target.h"

#define SETTLE_MS 20 /* without records for so long, uploads are waited for and their offsets reported */
#define STOP_GRACE_MS 5000 /* a request may go on for so long after the task was asked to stop */

struct s3_sink {
    const struct leat_host *host;
    struct leat_task *task;
    struct s3_settings settings;
    struct record_view view;
    struct s3_api *api;
    struct s3_topics topics;
    struct s3_target *target;
    struct filer *filer;
    bool by_clock; /* a replay may make other objects */
    bool idle;     /* nothing was put since the last flush */
    /* read by the uploader's thread, too: */
    _Atomic int64_t stop_seen_ms; /* when the wish to stop was first seen; 0: not yet */
    atomic_bool final;            /* the last flush: it may take its time */
    atomic_bool closing;          /* nothing is worth another try */
};

/* ---- what the parts below ask of the task
 * --------------------------------------------------------------------- */

/* Between tries. Once there is a target, it is its uploader that tries. */
static void on_wait(void *arg, int64_t ms)
{
    struct s3_sink *s = arg;

    if (s->target)
        s3_target_pause(s->target, ms);
    else
        s->host->wait(s->task, -1, ms);
}

static bool on_wait_fd(void *arg, int fd)
{
    struct s3_sink *s = arg;

    return s->host->wait(s->task, fd, -1) > 0 || !s->host->stopping(s->task);
}

static void on_notice(void *arg, const char *text)
{
    struct s3_sink *s = arg;

    s->host->log(s->task, LEAT_WARN, "%s", text);
}

static bool on_stopping(void *arg)
{
    struct s3_sink *s = arg;

    return s->closing || (!s->final && s->host->stopping(s->task));
}

static bool on_cancelled(void *arg)
{
    struct s3_sink *s = arg;

    if (!on_stopping(s))
        return false;
    if (!s->stop_seen_ms)
        s->stop_seen_ms = clock_mono_ms();
    return clock_mono_ms() - s->stop_seen_ms > STOP_GRACE_MS;
}

/* ---- opening
 * -------------------------------------------------------------------------------------------------- */

static int give_up(struct s3_sink *s, struct err *e)
{
    if (e->code == ERR_INTERRUPTED)
        e->retriable = true; /* the task stops: nothing is wrong with it */
    return kit_fail(s->host, s->task, e);
}

/* A client with these keys; nothing is sent yet. */
static int new_client(struct s3_sink *s, const struct s3_creds *creds, struct err *e)
{
    struct s3_config c = s->settings.s3;

    c.access_key = creds->access_key;
    c.secret_key = creds->secret_key;
    c.session_token = creds->session_token;
    c.wait = on_wait;
    c.notice = on_notice;
    c.stopping = on_stopping;
    c.http.cancelled = on_cancelled;
    c.arg = c.http.cancelled_arg = s;
    return s3_api_new(&c, &s->api, e);
}

static int find_store(struct s3_sink *s, struct err *e)
{
    struct s3_creds creds;
    int rc;

    if (creds_find(&s->settings.creds, &creds, e))
        return e->code;
    rc = new_client(s, &creds, e);
    creds_free(&creds);
    return rc;
}

static int abort_each(void *arg, const char *key, const char *upload_id, struct err *e)
{
    return s3_abort_upload(arg, key, upload_id, e);
}

/*
 * Begins an upload and aborts it: shows that keys may write, and leaves nothing. Nor does it leave what an earlier
 * check left that was killed in between.
 */
static int try_writing(struct s3_sink *s, struct err *e)
{
    const struct layout *l = &s->settings.layout;
    char upload_id[S3_UPLOAD_ID_SIZE];
    bool dir = l->prefix && *l->prefix;
    char *key = mem_printf("%s%s.leat-check", dir ? l->prefix : "", dir ? l->directory_delim : "");
    struct err ignored;
    int rc;

    if (!key)
        return err_nomem(e);
    rc = s3_create_upload(s->api, key, NULL, upload_id, e);
    if (rc == ERR_OK)
        rc = s3_abort_upload(s->api, key, upload_id, e);
    if (rc == ERR_OK)
        s3_each_upload(s->api, key, abort_each, s->api, &ignored); /* who may not list cannot clean up */
    mem_free(key);
    return rc;
}

/* Keys, bucket and region are right. Who may write but not list is asked to write instead. */
static int try_store(struct s3_sink *s, bool write, struct err *e)
{
    int rc = s3_check_bucket(s->api, e);

    if (rc == ERR_AUTHENTICATION && s3_access_denied(s->api)) {
        on_notice(s, e->text);
        rc = ERR_OK;
        write = true;
    }
    return rc == ERR_OK && write ? try_writing(s, e) : rc;
}

static int clean_up(struct s3_sink *s, const struct leat_offset *assigned, size_t n, struct err *e)
{
    size_t aborted = 0;
    int rc = recover_uploads(s->api, &s->settings.layout, assigned, n, &aborted, e);

    if (aborted)
        s->host->log(s->task, LEAT_INFO, "aborted %zu unfinished uploads of an earlier run", aborted);
    if (rc == ERR_OK || rc == ERR_NO_MEMORY || rc == ERR_INTERRUPTED || e->retriable)
        return rc;
    s->host->log(s->task, LEAT_WARN, "unfinished uploads of earlier runs stay: %s", e->text);
    return ERR_OK;
}

/* Are there objects of earlier topics of these names? */
static int learn_topics(struct s3_sink *s, const struct leat_offset *assigned, size_t n, struct err *e)
{
    int rc = ERR_OK;

    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        const char *name = assigned[i].topic;

        if (topics_find(&s->topics, name))
            continue;
        rc = topics_learn(&s->topics, s->api, &s->settings.layout, name, kit_topic_id(s->host, s->task, name),
                          e);
        if (rc && rc != ERR_NO_MEMORY && rc != ERR_INTERRUPTED && !e->retriable) {
            s->host->log(s->task, LEAT_WARN, "whether topic %s was made anew cannot be seen: %s", name,
                         e->text);
            rc = ERR_OK;
        }
        if (rc == ERR_OK && topics_find(&s->topics, name)->mark[0])
            s->host->log(
                s->task, LEAT_WARN,
                "topic %s was made anew since objects of it were written here: names of new objects have %s "
                "in them",
                name, topics_find(&s->topics, name)->mark);
    }
    return rc;
}

static int start_writing(struct s3_sink *s, const struct leat_offset *assigned, size_t n, struct err *e)
{
    struct s3_target_config c = {.settings = &s->settings,
                                 .api = s->api,
                                 .topics = &s->topics,
                                 .log = on_notice,
                                 .wait = on_wait_fd,
                                 .arg = s};

    if (s3_target_new(&c, &s->target, e) ||
        filer_new(&s->settings.filer, &s->view, &s3_filer_target, s->target, &s->filer, e))
        return e->code;
    s3_target_set_conditional(s->target, s->settings.conditional && s->by_clock);
    for (size_t i = 0; i < n; i++)
        if (filer_assign(s->filer, assigned[i].topic, assigned[i].partition, -1,
                         topics_find(&s->topics, assigned[i].topic)->mark, e))
            return e->code;
    return ERR_OK;
}

static void sink_close(void *self)
{
    struct s3_sink *s = self;

    s->closing = true;
    if (s->target)
        s3_target_stop(s->target);
    s->stop_seen_ms = 0; /* some time for aborting, too */
    filer_free(s->filer);
    s3_target_free(s->target);
    s3_api_free(s->api);
    topics_free(&s->topics);
    mem_free(s);
}

static int new_sink(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                    struct s3_sink **out, struct err *e)
{
    struct s3_sink *s = mem_calloc(1, sizeof *s);

    *out = s;
    if (!s)
        return err_nomem(e);
    s->host = h;
    s->task = t;
    record_view_init(&s->view, h, t);
    s->by_clock = s3_not_exact(h, c) != NULL;
    return s3_settings_read(h, c, &s->settings, e);
}

static int sink_open(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                     const struct leat_offset *assigned, size_t n, void **self)
{
    struct s3_sink *s = NULL;
    struct err e;
    int rc = new_sink(t, h, c, &s, &e);

    if (rc == ERR_OK)
        rc = find_store(s, &e);
    if (rc == ERR_OK)
        rc = try_store(s, false, &e);
    if (rc == ERR_OK)
        rc = clean_up(s, assigned, n, &e);
    if (rc == ERR_OK)
        rc = learn_topics(s, assigned, n, &e);
    if (rc == ERR_OK)
        rc = start_writing(s, assigned, n, &e);
    if (rc == ERR_OK) {
        *self = s;
        return LEAT_OK;
    }
    rc = kit_fail(h, t, &e);
    if (s)
        sink_close(s);
    return rc;
}

/* ---- running
 * -------------------------------------------------------------------------------------------------- */

static int sink_put(void *self, const struct leat_record *records, size_t n)
{
    struct s3_sink *s = self;
    struct err e;

    s->idle = false;
    return filer_put(s->filer, records, n, &e) ? give_up(s, &e) : LEAT_OK;
}

static void show_figures(struct s3_sink *s)
{
    struct s3_counts counts = s3_api_counts(s->api);

    s->host->gauge(s->task, "objects_written", (double)s3_target_objects(s->target));
    s->host->gauge(s->task, "files_open", (double)filer_stats(s->filer).open);
    s->host->gauge(s->task, "buffer_bytes", (double)s3_target_memory(s->target));
    s->host->gauge(s->task, "requests", (double)counts.requests);
    s->host->gauge(s->task, "requests_repeated", (double)counts.repeated);
    s->host->gauge(s->task, "bytes_sent", (double)counts.bytes_sent);
}

/* With nothing to build there is time to see uploads through. */
static int settle(struct s3_sink *s, bool final, int64_t *next_ms, struct err *e)
{
    size_t on_their_way;

    if (final || s->idle)
        return s3_target_finish(s->target, final, e);
    if (s3_target_progress(s->target, &on_their_way, e))
        return e->code;
    if (on_their_way > 0 && (*next_ms < 0 || *next_ms > SETTLE_MS))
        *next_ms = SETTLE_MS;
    return ERR_OK;
}

static int flush(struct s3_sink *s, bool final, struct leat_offset *assigned, size_t n, int64_t *next_ms,
                 struct err *e)
{
    struct leat_offset *before = mem_dup(assigned, n * sizeof *before);
    int rc = before || n == 0 ? ERR_OK : err_nomem(e);

    if (rc == ERR_OK)
        rc = filer_flush(s->filer, final, assigned, n, next_ms, e);
    if (rc == ERR_OK)
        rc = settle(s, final, next_ms, e);
    if (rc == ERR_OK)
        s3_target_hold_back(s->target, before, assigned, n);
    else if (before)
        memcpy(assigned, before, n * sizeof *before);
    mem_free(before);
    return rc;
}

static int sink_flush(void *self, bool final, struct leat_offset *assigned, size_t n, int64_t *next_ms)
{
    struct s3_sink *s = self;
    struct err e;
    int rc;

    s->final = final;
    rc = flush(s, final, assigned, n, next_ms, &e);
    s->final = false;
    s->idle = true;
    show_figures(s);
    return rc ? give_up(s, &e) : LEAT_OK;
}

/* ---- the connector
 * -------------------------------------------------------------------------------------------- */

/* All that a task would build short of asking for credentials and connecting. */
static int build_offline(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                         struct s3_sink **s, struct err *e)
{
    char nobody[] = "";
    const struct s3_creds creds = {.access_key = nobody, .secret_key = nobody};
    int rc = new_sink(t, h, c, s, e);

    if (rc == ERR_OK)
        rc = new_client(*s, &creds, e);
    return rc == ERR_OK ? start_writing(*s, NULL, 0, e) : rc;
}

int s3_sink_outlet(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                   bool *by_topic, char *out)
{
    struct s3_sink *s = NULL;
    struct err e;
    int rc = build_offline(t, h, c, &s, &e);

    *by_topic = true;
    if (rc == ERR_OK)
        snprintf(out, LEAT_OUTLET_SIZE, "%s%s%s/...%s", s3_api_where(s->api),
                 s->settings.layout.prefix && *s->settings.layout.prefix ? "/" : "",
                 s->settings.layout.prefix ? s->settings.layout.prefix : "", filer_extension(s->filer));
    rc = rc ? kit_fail(h, t, &e) : LEAT_OK;
    if (s)
        sink_close(s);
    return rc;
}

int s3_sink_validate(struct leat_task *t, const struct leat_host *h, const struct leat_config *c)
{
    struct s3_sink *s = NULL;
    struct err e;
    int rc = build_offline(t, h, c, &s, &e);

    rc = rc ? kit_fail(h, t, &e) : LEAT_OK;
    if (s)
        sink_close(s);
    return rc;
}

int s3_sink_check(struct leat_task *t, const struct leat_host *h, const struct leat_config *c)
{
    struct s3_sink *s = NULL;
    struct err e;
    int rc = new_sink(t, h, c, &s, &e);

    if (rc == ERR_OK)
        rc = find_store(s, &e);
    if (rc == ERR_OK)
        rc = try_store(s, true, &e);
    rc = rc ? kit_fail(h, t, &e) : LEAT_OK;
    if (s)
        sink_close(s);
    return rc;
}

const struct leat_sink_ops s3_sink_ops = {
    .open = sink_open, .put = sink_put, .flush = sink_flush, .close = sink_close};
