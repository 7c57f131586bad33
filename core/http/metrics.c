/*
 * metrics: figures in Prometheus' text format 0.0.4. Names follow its conventions: leat_, base units, _total
 * for counters.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/internal.h"

static int family(struct buf *out, const char *name, const char *type, const char *help, struct err *e)
{
    return buf_printf(out, e, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static int number(struct buf *out, double v, struct err *e)
{
    return isnan(v)   ? buf_str(out, "NaN", e)
           : isinf(v) ? buf_str(out, v > 0 ? "+Inf" : "-Inf", e)
                      : buf_printf(out, e, "%.17g", v);
}

static int simple(struct buf *out, const char *name, const char *type, const char *help, double value,
                  struct err *e)
{
    int rc = family(out, name, type, help, e);
    if (rc == ERR_OK)
        rc = buf_printf(out, e, "%s ", name);
    if (rc == ERR_OK)
        rc = number(out, value, e);
    return rc ? rc : buf_str(out, "\n", e);
}

/* "} VALUE", the end of a sample with labels. */
static int sample_end(struct buf *out, double value, struct err *e)
{
    int rc = buf_str(out, "} ", e);
    if (rc == ERR_OK)
        rc = number(out, value, e);
    return rc ? rc : buf_str(out, "\n", e);
}

/* Label values: backslash, quote and newline are escaped. */
static int label(struct buf *out, const char *name, const char *value, struct err *e)
{
    int rc = buf_printf(out, e, "%s=\"", name);
    for (; rc == ERR_OK && *value; value++) {
        if (*value == '\\' || *value == '"')
            rc = buf_u8(out, '\\', e);
        if (rc == ERR_OK)
            rc = *value == '\n' ? buf_str(out, "\\n", e) : buf_u8(out, (uint8_t)*value, e);
    }
    return rc ? rc : buf_str(out, "\"", e);
}

static int store_metrics(struct buf *out, const struct api_options *o, struct err *e)
{
    struct broker_stats s;
    broker_stats(o->broker, &s);
    const struct {
        const char *name, *type, *help;
        double value;
    } rows[] = {
        {"leat_uptime_seconds", "gauge", "Time since this process opened the data directory.",
         (double)(clock_wall_ms() - o->started_ms) / 1e3},
        {"leat_topics", "gauge", "Topics, internal ones included.", (double)s.topics},
        {"leat_partitions", "gauge", "Partitions of all topics.", (double)s.partitions},
        {"leat_open_files", "gauge", "Files of segments that are open.", (double)s.open_files},
        {"leat_open_files_max", "gauge", "How many may be (open.files.max).", (double)s.open_files_max},
        {"leat_throttled_seconds_total", "counter",
         "Time that appends waited for quota.produce.bytes.per.second.", (double)s.throttled_ns / 1e9},
        {"leat_append_batches_total", "counter", "Record batches appended.", (double)s.append_batches},
        {"leat_append_records_total", "counter", "Records appended.", (double)s.append_records},
        {"leat_append_bytes_total", "counter", "Bytes of batches appended.", (double)s.append_bytes},
        {"leat_fetch_bytes_total", "counter", "Bytes of batches read.", (double)s.fetch_bytes},
        {"leat_journal_syncs_total", "counter", "Syncs of the shared journal.", (double)s.syncs},
        {"leat_journal_sync_seconds_total", "counter", "Time spent in syncs of the journal.",
         (double)s.sync_ns_total / 1e9},
        {"leat_journal_appends_total", "counter", "Appends that those syncs made durable.",
         (double)s.commits_grouped},
        {"leat_journal_bytes_total", "counter", "Bytes written to the journal.", (double)s.journal_bytes},
        {"leat_direct_bytes_total", "counter", "Bytes of large appends, synced where they stand instead.",
         (double)s.direct_bytes},
        {"leat_cleaner_threads", "gauge", "Threads of the log cleaner.", (double)s.cleaner_threads},
        {"leat_cleaner_threads_at_work", "gauge", "Threads of the log cleaner that compact a log.",
         (double)s.cleaner_at_work},
        {"leat_cleaner_passes_total", "counter", "Passes of the log cleaner.", (double)s.cleaner_passes},
        {"leat_cleaner_read_bytes_total", "counter", "Bytes of batches that the log cleaner read.",
         (double)s.cleaner_bytes_read},
        {"leat_cleaner_written_bytes_total", "counter", "Bytes of batches that the log cleaner wrote.",
         (double)s.cleaner_bytes_written},
        {"leat_cleaner_freed_bytes_total", "counter", "Bytes that logs became smaller by compaction.",
         (double)s.cleaner_bytes_freed},
        {"leat_cleaner_memory_bytes", "gauge", "Memory that the log cleaner holds for the passes it makes.",
         (double)s.cleaner_memory},
        {"leat_uncleanable_partitions", "gauge", "Partitions that the log cleaner gave up; the log says why.",
         (double)s.uncleanable_partitions},
        {"leat_recovered_bytes", "gauge", "Bytes that were read again when the directory was opened.",
         (double)s.recovered_bytes},
        {"leat_cut_bytes", "gauge", "Bytes of torn tails that were cut when the directory was opened.",
         (double)s.cut_bytes},
    };
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < sizeof rows / sizeof rows[0]; i++)
        rc = simple(out, rows[i].name, rows[i].type, rows[i].help, rows[i].value, e);
    return rc;
}

static int scrub_metrics(struct buf *out, const struct api_options *o, struct err *e)
{
    struct scrub_status s;
    int rc = broker_scrub_status(o->broker, &s, e);
    if (rc)
        return rc;
    rc = simple(out, "leat_scrub_bytes_total", "counter",
                "Bytes of batches that the scrub has read and checked.", (double)s.bytes, e);
    if (rc == ERR_OK)
        rc = simple(out, "leat_scrub_finished_timestamp_seconds", "gauge",
                    "When the last pass of the scrub ended; 0: never.", (double)s.finished_ms / 1e3, e);
    if (rc == ERR_OK)
        rc = family(out, "leat_scrub_findings", "gauge",
                    "What the last pass found damaged, or the one that runs.", e);
    if (rc == ERR_OK)
        rc = buf_printf(
            out, e,
            "leat_scrub_findings{severity=\"error\"} %llu\nleat_scrub_findings{severity=\"warning\"} %llu\n",
            (unsigned long long)s.errors, (unsigned long long)s.warnings);
    scrub_status_free(&s);
    return rc;
}

enum disk_figure { DISK_TOTAL, DISK_FREE, DISK_PARTITIONS, DISK_LOW, DISK_FULL, DISK_FAILED, DISK_FIGURES };

static double disk_figure(const struct disk_info *d, enum disk_figure f)
{
    return f == DISK_TOTAL        ? (double)d->total_bytes
           : f == DISK_FREE       ? (double)d->free_bytes
           : f == DISK_PARTITIONS ? (double)d->partitions
           : f == DISK_LOW        ? (double)d->low
           : f == DISK_FULL       ? (double)d->full
                                  : (double)d->failed;
}

/* One figure of every data directory; what is not known is left out. */
static int disk_metric(struct buf *out, enum disk_figure f, struct broker *b, struct err *e)
{
    static const struct {
        const char *name, *help;
    } rows[DISK_FIGURES] = {
        {"leat_data_dir_size_bytes", "Size of the data directory's file system."},
        {"leat_data_dir_free_bytes", "Free space on the data directory's file system."},
        {"leat_data_dir_partitions", "Partitions in the data directory, of topics that are not internal."},
        {"leat_data_dir_low", "1 while free space is below the limits of space.warn."},
        {"leat_data_dir_full", "1 while appends are refused for want of space."},
        {"leat_data_dir_failed", "1 when the data directory is out of service until a restart."},
    };
    int rc = family(out, rows[f].name, "gauge", rows[f].help, e);
    for (size_t i = 0; rc == ERR_OK && i < broker_disk_count(b); i++) {
        struct disk_info d;
        broker_disk(b, i, &d);
        if (disk_figure(&d, f) < 0)
            continue;
        rc = buf_printf(out, e, "%s{", rows[f].name);
        if (rc == ERR_OK)
            rc = label(out, "dir", d.dir, e);
        if (rc == ERR_OK)
            rc = sample_end(out, disk_figure(&d, f), e);
    }
    return rc;
}

static int disk_metrics(struct buf *out, struct broker *b, struct err *e)
{
    int rc = ERR_OK;
    for (int f = 0; rc == ERR_OK && f < DISK_FIGURES; f++)
        rc = disk_metric(out, (enum disk_figure)f, b, e);
    return rc;
}

enum partition_figure { FIGURE_END, FIGURE_START, FIGURE_SIZE, PARTITION_FIGURES };

static int partition_metric(struct buf *out, enum partition_figure f, const struct topic_info *topics,
                            size_t n, struct err *e)
{
    static const struct {
        const char *name, *help;
    } rows[PARTITION_FIGURES] = {
        {"leat_partition_log_end_offset", "First offset that is not yet written."},
        {"leat_partition_log_start_offset", "First offset that can be read."},
        {"leat_partition_size_bytes", "Bytes in the partition's segments."},
    };
    int rc = family(out, rows[f].name, "gauge", rows[f].help, e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        for (int32_t k = 0; rc == ERR_OK && k < topics[i].partition_count; k++) {
            const struct partition_info *p = &topics[i].partitions[k];
            int64_t v = f == FIGURE_END ? p->end_offset : f == FIGURE_START ? p->log_start_offset : p->size;
            /* Topic names need no escaping (topic_name_check). */
            rc = buf_printf(out, e, "%s{topic=\"%s\",partition=\"%d\"} %lld\n", rows[f].name, topics[i].name,
                            p->partition, (long long)v);
        }
    return rc;
}

/* Every topic that is not internal with its partitions; topic_infos_free. */
static int gather_topics(struct broker *b, struct topic_info **out, size_t *n, struct err *e)
{
    struct topic_info *list;
    size_t all;
    *n = 0;
    int rc = broker_topics(b, &list, &all, e);
    if (rc)
        return rc;
    *out = mem_calloc(all + 1, sizeof **out);
    if (!*out)
        rc = err_nomem(e);
    for (size_t i = 0; rc == ERR_OK && i < all; i++) {
        if (list[i].internal)
            continue;
        rc = broker_topic(b, list[i].name, &(*out)[*n], e);
        if (rc == ERR_OK)
            ++*n;
        else if (rc == ERR_UNKNOWN_TOPIC)
            rc = ERR_OK; /* deleted meanwhile: then there is nothing to tell */
    }
    topic_infos_free(list, all);
    if (rc && *out)
        topic_infos_free(*out, *n);
    return rc;
}

/* Log size and offsets of every partition that is not internal. */
static int partition_metrics(struct buf *out, const struct api_options *o, struct err *e)
{
    struct topic_info *topics;
    size_t n;
    int rc = gather_topics(o->broker, &topics, &n, e);
    if (rc)
        return rc;
    for (int f = 0; rc == ERR_OK && f < PARTITION_FIGURES; f++)
        rc = partition_metric(out, (enum partition_figure)f, topics, n, e);
    topic_infos_free(topics, n);
    return rc;
}

static int task_labels(struct buf *out, const char *name, const struct task_status *t, struct err *e)
{
    int rc = buf_printf(out, e, "%s{", name);
    if (rc == ERR_OK)
        rc = label(out, "pipeline", t->pipeline, e);
    if (rc == ERR_OK)
        rc = buf_str(out, ",", e);
    if (rc == ERR_OK)
        rc = label(out, "connector", t->connector, e);
    return rc ? rc
              : buf_printf(out, e, ",kind=\"%s\",task=\"%d\"", t->kind == LEAT_SOURCE ? "source" : "sink",
                           t->index);
}

enum task_figure { FIGURE_RECORDS, FIGURE_BYTES, FIGURE_LAG, FIGURE_RESTARTS, FIGURE_UP, FIGURES };

static int task_metric(struct buf *out, enum task_figure f, const struct task_status *list, size_t n,
                       struct err *e)
{
    static const struct {
        const char *name, *type, *help;
    } rows[FIGURES] = {
        {"leat_task_records_total", "counter", "Records that the task read or wrote."},
        {"leat_task_bytes_total", "counter", "Bytes of keys and values that the task read or wrote."},
        {"leat_task_lag_records", "gauge", "Sinks: records between the task and the end of its partitions."},
        {"leat_task_restarts_total", "counter", "Restarts after failures."},
        {"leat_task_running", "gauge", "1 while the task runs, 0 when it is failed, paused or stopped."},
    };
    int rc = family(out, rows[f].name, rows[f].type, rows[f].help, e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        if (f == FIGURE_LAG && list[i].lag_records < 0)
            continue;
        double v = f == FIGURE_RECORDS    ? (double)list[i].records
                   : f == FIGURE_BYTES    ? (double)list[i].bytes
                   : f == FIGURE_LAG      ? (double)list[i].lag_records
                   : f == FIGURE_RESTARTS ? (double)list[i].restarts
                                          : list[i].state == TASK_RUNNING;
        rc = task_labels(out, rows[f].name, &list[i], e);
        if (rc == ERR_OK)
            rc = sample_end(out, v, e);
    }
    return rc;
}

/* Gauges that connectors set: leat_connector_gauge{...,name="bytes_behind"}. */
static int gauge_metrics(struct buf *out, const struct task_status *list, size_t n, struct err *e)
{
    int rc = family(out, "leat_connector_gauge", "gauge", "Figures that connectors report of themselves.", e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        for (size_t g = 0; rc == ERR_OK && g < list[i].gauge_count; g++) {
            rc = task_labels(out, "leat_connector_gauge", &list[i], e);
            if (rc == ERR_OK)
                rc = buf_str(out, ",", e);
            if (rc == ERR_OK)
                rc = label(out, "name", list[i].gauges[g].name, e);
            if (rc == ERR_OK)
                rc = sample_end(out, list[i].gauges[g].value, e);
        }
    return rc;
}

/* One number or truth of a row: leat_connector_status{...,about="snapshot",of="public.orders",name="rows"}. */
static int row_metric(struct buf *out, const struct task_status *t, const char *key, const char *name,
                      const json_t *value, struct err *e)
{
    size_t n = strcspn(key, " ");
    char about[64];
    if (!json_is_number(value) && !json_is_boolean(value))
        return ERR_OK;
    snprintf(about, sizeof about, "%.*s", (int)n, key);
    int rc = task_labels(out, "leat_connector_status", t, e);
    rc = rc ? rc : buf_u8(out, ',', e);
    rc = rc ? rc : label(out, "about", about, e);
    rc = rc ? rc : buf_u8(out, ',', e);
    rc = rc ? rc : label(out, "of", key + n + 1, e);
    rc = rc ? rc : buf_u8(out, ',', e);
    rc = rc ? rc : label(out, "name", name, e);
    return rc ? rc
              : sample_end(out, json_is_boolean(value) ? json_is_true(value) : json_number_value(value), e);
}

static int row_metrics(struct buf *out, const struct task_status *list, size_t n, struct err *e)
{
    int rc =
        family(out, "leat_connector_status", "gauge", "What connectors report of things by their names.", e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        for (size_t k = 0; rc == ERR_OK && k < list[i].row_count; k++) {
            const char *name;
            json_t *value, *row = json_loads(list[i].rows[k].json, 0, NULL);
            rc = row ? ERR_OK : err_nomem(e);
            json_object_foreach(row, name, value)
            {
                rc = rc ? rc : row_metric(out, &list[i], list[i].rows[k].key, name, value, e);
            }
            json_decref(row);
        }
    return rc;
}

int api_metrics(struct call *c, struct err *e)
{
    struct buf *out = &c->response->body;
    struct task_status *list = NULL;
    size_t n = 0;
    int rc = store_metrics(out, &c->api->o, e);
    if (rc == ERR_OK)
        rc = scrub_metrics(out, &c->api->o, e);
    if (rc == ERR_OK)
        rc = disk_metrics(out, c->api->o.broker, e);
    if (rc == ERR_OK)
        rc = partition_metrics(out, &c->api->o, e);
    if (rc == ERR_OK && c->api->o.worker)
        rc = worker_status(c->api->o.worker, &list, &n, e);
    for (int f = 0; rc == ERR_OK && f < FIGURES; f++)
        rc = task_metric(out, (enum task_figure)f, list, n, e);
    if (rc == ERR_OK)
        rc = gauge_metrics(out, list, n, e);
    if (rc == ERR_OK)
        rc = row_metrics(out, list, n, e);
    task_status_free(list, n);
    c->response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return rc;
}
