/*
 * api_hub: health, status, reload, plan and the handling of connectors. Handlers; any thread.
 */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/internal.h"

#define TEXT_MAX ((size_t)1 << 20) /* of a plan, or of a configuration's problems */

static const char *disk_problem(const struct disk_info *d)
{
    return d->failed ? "is out of service until a restart"
           : d->full ? "is full, appends to it are refused"
           : d->low  ? "is low on space"
                     : NULL;
}

/* What is wrong with the data directories, one sentence each; nothing if all is well. */
static int disk_problems(struct broker *b, struct buf *out, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < broker_disk_count(b); i++) {
        struct disk_info d;
        broker_disk(b, i, &d);
        const char *problem = disk_problem(&d);
        if (problem)
            rc = buf_printf(out, e, "%sThe data directory %s %s%s%s.", out->len ? " " : "", d.dir, problem,
                            d.failed ? ": " : "", d.failed ? d.why.text : "");
    }
    return rc || out->len == 0 ? rc : buf_u8(out, 0, e);
}

/*
 * Connect's answers (KIP-1017): 200 while this process can serve, 500 when its store takes no more appends; and between them
 * "degraded", with 200, as a restart would not help a disk that is full or failed.
 */
int api_health(struct call *c, struct err *e)
{
    struct err why;
    struct buf problems;
    if (broker_failed(c->api->o.broker, &why)) {
        c->response->status = 500;
        return call_reply(c, json_pack("{s:s, s:s}", "status", "unhealthy", "message", why.text), e);
    }
    buf_init(&problems, TEXT_MAX);
    int rc = disk_problems(c->api->o.broker, &problems, e);
    if (rc == ERR_OK && problems.len)
        rc = call_reply(
            c,
            json_pack("{s:s, s:o}", "status", "degraded", "message", json_text((const char *)problems.data)),
            e);
    else if (rc == ERR_OK)
        rc = call_reply(c,
                        json_pack("{s:s, s:s}", "status", "healthy", "message",
                                  "Worker has completed startup and is "
                                  "ready to handle requests."),
                        e);
    buf_free(&problems);
    return rc;
}

static json_t *disk_json(struct broker *b, size_t i)
{
    struct disk_info d;
    broker_disk(b, i, &d);
    json_t *o =
        json_pack("{s:o, s:s, s:b, s:i, s:I, s:I, s:b, s:b, s:b}", "dir", json_text(d.dir), "id", d.id,
                  "main", i == 0, "partitions", (int)d.partitions, "total_bytes", (json_int_t)d.total_bytes,
                  "free_bytes", (json_int_t)d.free_bytes, "low", d.low, "full", d.full, "failed", d.failed);
    if (o && d.failed && !json_put(o, "error", json_text(d.why.text))) {
        json_decref(o);
        o = NULL;
    }
    return o;
}

static json_t *disks_json(struct broker *b)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < broker_disk_count(b); i++)
        if (json_array_append_new(list, disk_json(b, i)) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

static json_t *gauges_json(const struct task_status *t)
{
    json_t *gauges = json_object();
    for (size_t i = 0; i < t->gauge_count && gauges; i++) {
        if (!isfinite(t->gauges[i].value)) /* JSON has no such numbers */
            continue;
        if (!json_put(gauges, t->gauges[i].name, json_real(t->gauges[i].value))) {
            json_decref(gauges);
            gauges = NULL;
        }
    }
    return gauges;
}

static json_t *task_json(const struct task_status *t)
{
    json_t *o = json_pack(
        "{s:o, s:o, s:s, s:s, s:i, s:b, s:s*, s:s, s:I, s:I, s:f, s:f, s:I, s:I, s:i, s:o, s:o}", "pipeline",
        json_text(t->pipeline), "connector", json_text(t->connector), "kind",
        t->kind == LEAT_SOURCE ? "source" : "sink", "type", t->type, "task", t->index, "exact", t->exact,
        "not_exact", t->not_exact, "state", task_state_name(t->state), "records", (json_int_t)t->records,
        "bytes", (json_int_t)t->bytes, "records_per_s", t->records_per_s, "bytes_per_s", t->bytes_per_s,
        "lag", (json_int_t)t->lag_records, "last_activity_ms", (json_int_t)t->last_activity_ms, "restarts",
        (int)t->restarts, "gauges", gauges_json(t), "status", task_rows_json(t));
    if (o && t->held && !json_put(o, "paused_by", json_string("command"))) {
        json_decref(o);
        return NULL;
    }
    /* The text may quote a file name or a server's answer in whatever encoding. */
    if (o && t->error &&
        (!json_put(o, "error", json_text(t->error)) || !json_put(o, "error_ms", json_integer(t->error_ms)))) {
        json_decref(o);
        o = NULL;
    }
    return o;
}

static int tasks_json(struct worker *w, json_t **out, struct err *e)
{
    *out = json_array();
    if (!*out)
        return err_nomem(e);
    if (!w)
        return ERR_OK;
    struct task_status *list = NULL;
    size_t n = 0;
    int rc = worker_status(w, &list, &n, e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        if (json_array_append_new(*out, task_json(&list[i])) != 0)
            rc = err_nomem(e);
    task_status_free(list, n);
    if (rc)
        json_decref(*out);
    return rc;
}

static json_t *scrub_findings_json(const struct scrub_status *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->finding_count && list; i++) {
        const struct scrub_finding *f = &s->findings[i];
        json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I}", "severity",
                              f->error ? "error" : "warning", "kind", f->kind, "partition",
                              json_text(f->partition), "path", json_text(f->path), "text", json_text(f->text),
                              "byte", (json_int_t)f->byte, "offset", (json_int_t)f->offset, "next_offset",
                              (json_int_t)f->next_offset, "found_ms", (json_int_t)f->found_ms);
        if (json_array_append_new(list, o) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static int scrub_json(struct broker *b, json_t **out, struct err *e)
{
    struct scrub_status s;
    int rc = broker_scrub_status(b, &s, e);
    if (rc)
        return rc;
    *out = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "state",
                     !s.on       ? "off"
                     : s.running ? "running"
                                 : "waiting",
                     "started_ms", (json_int_t)s.started_ms, "finished_ms", (json_int_t)s.finished_ms,
                     "bytes", (json_int_t)s.bytes, "errors", (json_int_t)s.errors, "warnings",
                     (json_int_t)s.warnings, "findings", scrub_findings_json(&s));
    scrub_status_free(&s);
    return *out ? ERR_OK : err_nomem(e);
}

int api_status(struct call *c, struct err *e)
{
    const struct api_options *o = &c->api->o;
    struct broker_stats s;
    json_t *tasks, *scrub;
    int rc = tasks_json(o->worker, &tasks, e);
    if (rc)
        return rc;
    if ((rc = scrub_json(o->broker, &scrub, e))) {
        json_decref(tasks);
        return rc;
    }
    broker_stats(o->broker, &s);
    json_t *cleaner = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "threads", (json_int_t)s.cleaner_threads, "at_work",
        (json_int_t)s.cleaner_at_work, "passes", (json_int_t)s.cleaner_passes, "bytes_read",
        (json_int_t)s.cleaner_bytes_read, "bytes_written", (json_int_t)s.cleaner_bytes_written, "bytes_freed",
        (json_int_t)s.cleaner_bytes_freed, "memory_bytes", (json_int_t)s.cleaner_memory,
        "uncleanable_partitions", (json_int_t)s.uncleanable_partitions);
    json_t *store = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "topics", (json_int_t)s.topics, "partitions",
        (json_int_t)s.partitions, "append_records", (json_int_t)s.append_records, "append_bytes",
        (json_int_t)s.append_bytes, "fetch_bytes", (json_int_t)s.fetch_bytes, "syncs", (json_int_t)s.syncs,
        "journal_bytes", (json_int_t)s.journal_bytes, "recovered_bytes", (json_int_t)s.recovered_bytes,
        "cut_bytes", (json_int_t)s.cut_bytes, "scrub", scrub);
    return call_reply(c,
                      json_pack("{s:s, s:b, s:i, s:I, s:o, s:o, s:s, s:I, s:o, s:o, s:o}", "version",
                                LEAT_VERSION, "running", o->worker != NULL, "pid", (int)getpid(), "uptime_ms",
                                (json_int_t)(clock_wall_ms() - o->started_ms), "data_dir",
                                json_text(broker_data_dir(o->broker)), "data_dirs", disks_json(o->broker),
                                "cluster_id", broker_cluster_id(o->broker), "store_open_ms",
                                (json_int_t)s.start_ms, "store", store, "cleaner", cleaner, "tasks", tasks),
                      e);
}

/* What reload and plan have written: the answer, or more about the error. */
static int reply_changes(struct call *c, int rc, struct buf *text, struct err *e)
{
    struct buf *out = &c->response->body;
    if (rc) {
        c->details = *text; /* gives up the memory */
        return rc;
    }
    rc = buf_str(out, "{\"changes\":", e);
    if (rc == ERR_OK)
        rc = buf_json_str(out, text->data ? (const char *)text->data : "", text->len, e);
    if (rc == ERR_OK)
        rc = buf_str(out, "}\n", e);
    buf_free(text);
    return rc;
}

int api_reload(struct call *c, struct err *e)
{
    int rc = call_need_worker(c, e);
    if (rc)
        return rc;
    struct buf text;
    buf_init(&text, TEXT_MAX);
    rc = c->api->o.reload(c->api->o.arg, &text, e);
    return reply_changes(c, rc, &text, e);
}

int api_plan(struct call *c, struct err *e)
{
    json_t *body;
    int rc = call_need_worker(c, e);
    if (rc == ERR_OK)
        rc = call_body(c, &body, e);
    if (rc)
        return rc;
    const char *path = json_string_value(json_object_get(body, "path"));
    struct buf text;
    buf_init(&text, TEXT_MAX);
    rc = path && path[0] == '/' ? c->api->o.plan(c->api->o.arg, path, &text, e)
                                : err_set(e, ERR_INVALID, "path: is missing or not an absolute path");
    json_decref(body);
    return reply_changes(c, rc, &text, e);
}

int api_restart(struct call *c, struct err *e)
{
    int64_t task;
    int rc = call_need_worker(c, e);
    if (rc == ERR_OK)
        rc = call_query_int(c, "task", -1, 0, INT32_MAX, &task, e);
    if (rc == ERR_OK)
        rc = worker_restart(c->api->o.worker, c->args[0], (int)task, e);
    return rc ? rc : call_reply_empty(c);
}

static int pause_or_resume(struct call *c, bool pause, struct err *e)
{
    int rc = call_need_worker(c, e);
    if (rc == ERR_OK)
        rc = worker_pause(c->api->o.worker, c->args[0], pause, e);
    if (rc)
        return rc;
    c->response->status = 202;
    return ERR_OK;
}

int api_pause(struct call *c, struct err *e)
{
    return pause_or_resume(c, true, e);
}

int api_resume(struct call *c, struct err *e)
{
    return pause_or_resume(c, false, e);
}
