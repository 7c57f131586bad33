/*
 * leat status, pause, resume, restart, reload: the running hub.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/load.h"
#include "cli/status.h"

static void print_errors(const json_t *tasks)
{
    size_t i;
    json_t *t;
    json_array_foreach(tasks, i, t)
    {
        if (json_object_get(t, "error"))
            printf("\n%s-%lld: %s  (%s)\n", member_text(t, "connector"), (long long)member_int(t, "task"),
                   member_text(t, "error"), show_ago(member_int(t, "error_ms")));
    }
}

/* Connectors that might deliver once, but not with their options. */
static void print_inexact(const json_t *tasks)
{
    size_t i;
    json_t *t;
    json_array_foreach(tasks, i, t)
    {
        if (member_int(t, "task") == 0 && json_object_get(t, "not_exact"))
            printf("\n%s: at least once, not exactly: %s\n", member_text(t, "connector"),
                   member_text(t, "not_exact"));
    }
}

/* "scrub: ..." and what it found: damage is shown whatever else there is to show. */
static void print_scrub(const json_t *scrub)
{
    const char *state = member_text(scrub, "state");
    int64_t finished = member_int(scrub, "finished_ms");
    size_t i;
    json_t *f;
    if (strcmp(state, "off") == 0)
        return;
    printf("scrub: %s, last complete pass %s, %s read; %lld errors, %lld warnings\n", state,
           show_ago(finished), show_bytes(member_number(scrub, "bytes")),
           (long long)member_int(scrub, "errors"), (long long)member_int(scrub, "warnings"));
    json_array_foreach(json_object_get(scrub, "findings"), i, f)
        printf("  %s: %s: %s, offset %lld\n    %s: byte %lld: %s\n", member_text(f, "severity"),
               member_text(f, "kind"), member_text(f, "partition"), (long long)member_int(f, "offset"),
               member_text(f, "path"), (long long)member_int(f, "byte"), member_text(f, "text"));
}

static const char *data_dir_state(const json_t *d)
{
    return json_is_true(json_object_get(d, "failed")) ? "out of service"
           : json_is_true(json_object_get(d, "full")) ? "full, appends are refused"
           : json_is_true(json_object_get(d, "low"))  ? "low on space"
                                                      : "ok";
}

/* Where there are several, or something is wrong with the one. */
static void print_data_dirs(const json_t *dirs)
{
    static const char *const titles[] = {"DATA DIRECTORY", "PARTITIONS", "FREE", "SIZE", "STATE"};
    size_t i;
    json_t *d;
    bool tell = json_array_size(dirs) > 1;
    json_array_foreach(dirs, i, d) tell = tell || strcmp(data_dir_state(d), "ok") != 0;
    if (!tell)
        return;
    struct table *t = table_new("lrrrl", titles);
    json_array_foreach(dirs, i, d)
        table_row(t, member_text(d, "dir"), show_int(member_int(d, "partitions")),
                  member_int(d, "free_bytes") < 0 ? "-" : show_bytes(member_number(d, "free_bytes")),
                  member_int(d, "total_bytes") < 0 ? "-" : show_bytes(member_number(d, "total_bytes")),
                  data_dir_state(d));
    table_print(t);
    json_array_foreach(dirs, i, d)
    {
        if (json_object_get(d, "error"))
            printf("\n%s: %s\n", member_text(d, "dir"), member_text(d, "error"));
    }
    printf("\n");
}

static void print_tasks(const json_t *tasks)
{
    static const char *const titles[] = {"PIPELINE", "CONNECTOR", "TYPE",    "TASK", "STATE",
                                         "RECORDS",  "REC/S",     "BYTES/S", "LAG",  "ACTIVE"};
    size_t i;
    json_t *task;
    struct table *t = table_new("lllrlrrrrl", titles);
    json_array_foreach(tasks, i, task)
    {
        char type[64];
        int64_t lag = member_int(task, "lag");
        char state[64];
        snprintf(state, sizeof state, "%s%s", member_text(task, "state"),
                 json_object_get(task, "paused_by") && strcmp(member_text(task, "state"), "PAUSED") == 0
                     ? " (by command)"
                     : "");
        snprintf(type, sizeof type, "%s %s", member_text(task, "type"), member_text(task, "kind"));
        table_row(t, member_text(task, "pipeline"), member_text(task, "connector"), type,
                  show_int(member_int(task, "task")), state, show_count(member_number(task, "records")),
                  show_count(member_number(task, "records_per_s")),
                  show_bytes(member_number(task, "bytes_per_s")), lag < 0 ? "-" : show_count((double)lag),
                  show_ago(member_int(task, "last_activity_ms")));
    }
    table_print(t);
    print_inexact(tasks);
    print_errors(tasks);
}

static void print_status(const json_t *s)
{
    const json_t *store = json_object_get(s, "store");
    printf("leat %s  pid %lld  up %s  %s\nstore: %.0f topic%s, %.0f partition%s, %s appended, %s syncs\n",
           member_text(s, "version"), (long long)member_int(s, "pid"),
           show_duration(member_int(s, "uptime_ms")), member_text(s, "data_dir"),
           member_number(store, "topics"), member_int(store, "topics") == 1 ? "" : "s",
           member_number(store, "partitions"), member_int(store, "partitions") == 1 ? "" : "s",
           show_bytes(member_number(store, "append_bytes")), show_count(member_number(store, "syncs")));
    print_scrub(json_object_get(store, "scrub"));
    printf("\n");
    print_data_dirs(json_object_get(s, "data_dirs"));
    if (json_array_size(json_object_get(s, "tasks")) == 0) {
        printf("no pipelines\n");
        return;
    }
    print_tasks(json_object_get(s, "tasks"));
}

/* Those of the pipeline alone; NULL after saying that there is no such pipeline. */
static json_t *tasks_of(const json_t *s, const char *pipeline, int *rc)
{
    json_t *found = json_array(), *task;
    size_t i;
    json_array_foreach(json_object_get(s, "tasks"), i, task)
    {
        if (strcmp(member_text(task, "pipeline"), pipeline) == 0 && json_array_append(found, task) != 0)
            cli_out_of_memory();
    }
    if (json_array_size(found) > 0)
        return found;
    json_decref(found);
    *rc = cli_error(EXIT_MISSING, "there is no pipeline %s", pipeline);
    return NULL;
}

static int show_pipeline(struct cli *c, json_t *s)
{
    int rc;
    json_t *tasks = tasks_of(s, c->args[0], &rc);
    json_decref(s);
    if (!tasks || cli_json(c))
        return tasks ? print_json(json_pack("{s:o}", "tasks", tasks)) : rc;
    print_tasks(tasks);
    print_rows(tasks);
    json_decref(tasks);
    return cli_flush();
}

static int show_once(struct cli *c, struct hub *h)
{
    int rc;
    json_t *s = hub_json(h, "GET", "/hub/status", NULL, &rc);
    if (s && c->arg_count > 0)
        return show_pipeline(c, s);
    if (!s || cli_json(c))
        return s ? print_json(s) : rc;
    print_status(s);
    json_decref(s);
    return cli_flush();
}

int cmd_status(struct cli *c)
{
    int rc;
    struct hub *h = hub_open(c, HUB_RUNNING, &rc);
    if (!h)
        return rc;
    rc = show_once(c, h);
    while (rc == EXIT_FINE && cli_flag(c, "watch")) {
        sleep(1);
        if (!cli_json(c))
            fputs(isatty(STDOUT_FILENO) ? "\033[H\033[J" : "\n", stdout);
        rc = show_once(c, h);
    }
    hub_close(h);
    return rc;
}

/* One request about the connector of the command line; `said` tells people that it was done. */
static int connector_call(struct cli *c, const char *method, const char *action, const char *said)
{
    int rc;
    struct hub *h = hub_open(c, HUB_RUNNING, &rc);
    if (!h)
        return rc;
    char *target = hub_target("/hub/connectors/", c->args[0], action);
    json_decref(hub_json(h, method, target, NULL, &rc));
    mem_free(target);
    hub_close(h);
    if (rc != EXIT_FINE || cli_json(c))
        return rc;
    printf("%s: %s\n", c->args[0], said);
    return cli_flush();
}

int cmd_pause(struct cli *c)
{
    return connector_call(c, "PUT", "/pause", "paused until leat resume, over restarts of the hub too");
}

int cmd_resume(struct cli *c)
{
    return connector_call(c, "PUT", "/resume", "resumed");
}

int cmd_restart(struct cli *c)
{
    int64_t task;
    char action[64] = "/restart";
    if (!cli_number(c, "task", -1, 0, INT32_MAX, &task))
        return EXIT_USAGE;
    if (task >= 0)
        snprintf(action, sizeof action, "/restart?task=%lld", (long long)task);
    return connector_call(c, "POST", action, "asked to restart");
}

/* Prints the "changes" of an answer. */
static int show_changes(struct cli *c, json_t *answer, int when_changed)
{
    const char *changes = json_string_value(json_object_get(answer, "changes"));
    int rc = changes && *changes ? when_changed : EXIT_FINE;
    if (cli_json(c))
        return print_json(answer) == EXIT_FINE ? rc : EXIT_FAILED;
    printf("%s", changes && *changes ? changes : "no changes\n");
    json_decref(answer);
    return rc;
}

int cmd_reload(struct cli *c)
{
    int rc;
    struct hub *h = hub_open(c, HUB_RUNNING, &rc);
    if (!h)
        return rc;
    json_t *answer = hub_json(h, "POST", "/hub/reload", NULL, &rc);
    hub_close(h);
    return answer ? show_changes(c, answer, EXIT_FINE) : rc;
}

int cmd_plan(struct cli *c)
{
    int rc;
    char *path = load_path(c->args[0], &rc);
    if (!path)
        return rc;
    struct hub *h = hub_open(c, HUB_RUNNING, &rc);
    if (h) {
        json_t *answer = hub_json(h, "POST", "/hub/plan", json_pack("{s:o}", "path", cli_text(path)), &rc);
        hub_close(h);
        if (answer)
            rc = show_changes(c, answer, cli_flag(c, "detailed-exit-code") ? EXIT_CHANGES : EXIT_FINE);
    }
    free(path);
    return rc;
}
