/*
 * leat run: the hub. Opens the data directory, starts the pipelines and the HTTP interface, and waits for
 * signals.
 *
 * Threads: main waits for events; one thread waits for signals, so that a second SIGTERM stops the process
 * even while main drains. Shutdown, in order: interface, worker (drains, commits), client, broker (clean
 * close), plugins.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/broker_config.h"
#include "cli/load.h"
#include "cli/run.h"
#include "config/settings.h"
#include "http/server.h"
#include "group/group.h"
#include "server/server.h"

#define REPEAT_MS 300
#define GRACE_MS 15000        /* beyond the drain */
#define CLIENTS_GRACE_MS 3000 /* for what Kafka clients have asked and was not answered */
#define TEXT_MAX ((size_t)1 << 20)

#define PROGRESS_MS 2000 /* between two lines of figures */
#define DONE_MS 100      /* between two looks whether all is done */

struct run {
    struct cli *c;
    struct run_config config;
    struct hub_config hub;
    struct plugins *plugins;
    struct broker *broker;
    struct client *client;
    struct worker *worker;
    struct api *api;
    struct http_server *server;
    struct server *kafka;                /* NULL: no listeners */
    struct broker_config_value *configs; /* what it describes */
    size_t config_count;
    /* events, under the lock: */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop, reload;
    int64_t stop_ms;       /* when stop was first asked for */
    pthread_mutex_t apply; /* one reload at a time: SIGHUP or the interface */
    int64_t shutdown_ms;   /* how long tasks may drain */
    bool looked, done;     /* --until-done: sources have ended, and sinks were told to look; all have */
};

/* ---- signals
 * ------------------------------------------------------------------------------------------------ */

static void watched_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

/* SIGTERM or SIGINT, under the lock. */
static void ask_to_stop(struct run *r, int sig)
{
    if (r->stop && clock_mono_ms() - r->stop_ms < REPEAT_MS)
        return; /* the same wish twice: a terminal and a parent process may each have sent it */
    if (r->stop) {
        diag_warn("hub", "stopping at once: what was not committed is read again at the next start");
        _exit(128 + sig);
    }
    diag_info("hub", "stopping: draining and committing (again to stop at once)");
    r->stop = true;
    r->stop_ms = clock_mono_ms();
}

static void *wait_for_signals(void *arg)
{
    struct run *r = arg;
    sigset_t set;
    bool stopping = false;
    watched_signals(&set);
    for (;;) {
        /* The drain has its own limit; this one is for whatever else may hang on the way down, such as a
         * reload that waits for a task. */
        struct timespec limit = {.tv_sec = (r->shutdown_ms + GRACE_MS) / 1000};
        int sig = stopping ? sigtimedwait(&set, NULL, &limit) : sigwaitinfo(&set, NULL);
        if (sig < 0 && errno == EAGAIN) {
            diag_error("hub", "not stopped after %lld s: giving up", (long long)limit.tv_sec);
            _exit(EXIT_FAILED);
        }
        if (sig < 0)
            continue;
        pthread_mutex_lock(&r->lock);
        if (sig == SIGHUP)
            r->reload = true;
        else
            ask_to_stop(r, sig);
        stopping = r->stop;
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

/* systemd's notification protocol (sd_notify(3)): one datagram. Nothing happens outside systemd. */
static void notify_manager(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (!path || !*path || strlen(path) >= sizeof a.sun_path)
        return;
    size_t n = strlen(path);
    memcpy(a.sun_path, path, n);
    if (path[0] == '@')
        a.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, text, strlen(text), 0, (struct sockaddr *)&a,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
        diag_warn("hub", "cannot notify the service manager: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
}

/* ---- configuration
 * ------------------------------------------------------------------------------------------ */

/* Loads `path`, or what the hub was started with (NULL), and validates it. ERR_INVALID_CONFIG: `problems` tells all. */
static int load(struct run *r, const char *path, struct config **out, struct problems *problems,
                struct err *e)
{
    struct connector_catalog catalog = plugins_catalog(r->plugins);
    *out = NULL;
    int rc = path ? config_load(path, &catalog, out, problems, e)
                  : run_config_load(&r->config, &catalog, out, problems, e);
    if (rc == ERR_OK)
        rc = plugins_validate(r->plugins, *out, false, problems, NULL, e);
    if (problems->count) {
        problems_sort(problems);
        rc = err_set(e, ERR_INVALID_CONFIG, "the configuration has %zu problem%s", problems->count,
                     problems->count == 1 ? "" : "s");
    }
    if (rc) {
        config_free(*out);
        *out = NULL;
    }
    return rc;
}

/* The same with the problems as text. */
static int load_or_tell(struct run *r, const char *path, struct config **out, struct buf *text, struct err *e)
{
    struct problems problems;
    struct err full; /* then the first problems must do */
    problems_init(&problems);
    int rc = load(r, path, out, &problems, e);
    if (problems.count)
        load_problems_text(&problems, text, &full);
    problems_free(&problems);
    return rc;
}

/* Text of several lines as diagnostics of one line each. */
static void tell_lines(enum diag_level level, const struct buf *text)
{
    const char *at = (const char *)text->data, *end = at + text->len;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
        diag(level, "hub", "reload: %.*s", (int)(stop - at), at);
        at = newline ? newline + 1 : end;
    }
}

static int reload(void *arg, struct buf *text, struct err *e)
{
    struct run *r = arg;
    struct config *config;
    pthread_mutex_lock(&r->apply);
    int rc = load_or_tell(r, NULL, &config, text, e);
    if (rc == ERR_OK) {
        rc = worker_apply(r->worker, config, text, e);
        if (rc)
            config_free(config);
    }
    pthread_mutex_unlock(&r->apply);
    tell_lines(rc ? DIAG_ERROR : DIAG_INFO, text);
    if (rc)
        diag_error("hub", "reload: what runs goes on unchanged: %s", e->text);
    else if (text->len == 0)
        diag_info("hub", "reload: no changes");
    return rc;
}

static int plan(void *arg, const char *path, struct buf *text, struct err *e)
{
    struct run *r = arg;
    struct config *config;
    pthread_mutex_lock(&r->apply); /* the worker's configuration stays while nobody applies another */
    int rc = load_or_tell(r, path, &config, text, e);
    if (rc == ERR_OK)
        rc = config_plan(worker_config(r->worker), config, text, e);
    config_free(config);
    pthread_mutex_unlock(&r->apply);
    return rc;
}

static void reload_by_signal(struct run *r)
{
    struct err e;
    struct buf text;
    buf_init(&text, TEXT_MAX);
    notify_manager("RELOADING=1");
    reload(r, &text, &e); /* tells what came of it */
    notify_manager("READY=1");
    buf_free(&text);
}

/* ---- start and stop
 * ----------------------------------------------------------------------------------------- */

static int set_up_diagnostics(struct run *r)
{
    const char *level = cli_value(r->c, "log-level"), *format = cli_value(r->c, "log-format");
    enum diag_level l = DIAG_INFO;
    level = level ? level : r->hub.log_level;
    format = format ? format : r->hub.log_format;
    if (level && !diag_level_parse(level, &l))
        return cli_error(EXIT_CONFIG, "log level '%s' is not known", level);
    diag_setup(l, format && strcmp(format, "json") == 0 ? DIAG_JSON : DIAG_TEXT);
    return -1;
}

static int start_store(struct run *r, struct err *e)
{
    bool by_file =
        !cli_value(r->c, "data-dir") && r->hub.options && options_is_set(r->hub.options, "data.dir");
    struct broker_options bo = {.data_dir = by_file ? r->hub.data_dir : cli_data_dir(r->c),
                                .data_dirs = (const char *const *)r->hub.data_dirs,
                                .data_dir_count = r->hub.data_dir_count,
                                .allow_missing_dirs = r->hub.start_without_dirs,
                                .space_warn_bytes = r->hub.space_warn_bytes ? r->hub.space_warn_bytes : -1,
                                .space_warn_percent =
                                    r->hub.space_warn_percent ? r->hub.space_warn_percent : -1,
                                .journal_file_bytes = r->hub.journal_file_bytes,
                                .retention_check_ms = r->hub.retention_check_ms,
                                .page_cache_bytes = r->hub.page_cache_bytes,
                                .open_files_max = r->hub.open_files_max,
                                .scrub_interval_ms = r->hub.scrub_interval_ms,
                                .scrub_bytes_per_s = r->hub.scrub_bytes_per_s,
                                .producer_expiration_ms = r->hub.producer_expiration_ms,
                                .offsets_retention_ms = r->hub.offsets_retention_ms,
                                .offsets_check_ms = r->hub.offsets_check_ms,
                                .txn_id_expiration_ms = r->hub.txn_id_expiration_ms,
                                .txn_timeout_max_ms = r->hub.txn_timeout_max_ms,
                                .txn_id_check_ms = r->hub.txn_id_check_ms,
                                .cleaner_disabled = !r->hub.cleaner_enabled,
                                .cleaner_threads = r->hub.cleaner_threads,
                                .cleaner_dedupe_bytes = r->hub.cleaner_dedupe_bytes,
                                .cleaner_io_bytes_per_second = r->hub.cleaner_io_bytes_per_second,
                                .cleaner_backoff_ms = r->hub.cleaner_backoff_ms,
                                .offsets_segment_bytes = r->hub.offsets_segment_bytes,
                                .txn_segment_bytes = r->hub.txn_segment_bytes,
                                .defaults_known = true,
                                .defaults = r->hub.defaults,
                                .default_count = r->hub.default_count,
                                .num_partitions = r->hub.num_partitions};
    int rc = broker_open(&r->broker, &bo, e);
    if (rc)
        return rc;
    r->client = run_client(&r->hub, r->broker, e);
    return r->client ? ERR_OK : e->code;
}

/* Takes the addresses, so that what is wrong with them is known before a task runs. */
static int open_interface(struct run *r, struct err *e)
{
    const char *listen = cli_value(r->c, "http-listen") ? cli_value(r->c, "http-listen") : r->hub.http_listen;
    char *socket_path = mem_printf("%s/leat.sock", broker_data_dir(r->broker));
    int rc = socket_path ? http_server_listen(&r->server, socket_path, listen, e) : err_nomem(e);
    if (rc == ERR_OK && listen)
        diag_warn("hub",
                  "http.listen: whoever reaches %s can read every topic, the status and the metrics, without "
                  "authentication and without encryption; nothing can be changed there",
                  listen);
    mem_free(socket_path);
    return rc;
}

static int serve_interface(struct run *r, struct err *e)
{
    struct api_options ao = {.broker = r->broker,
                             .client = r->client,
                             .groups = r->kafka ? server_groups(r->kafka) : NULL,
                             .worker = r->worker,
                             .started_ms = clock_wall_ms(),
                             .arg = r,
                             .reload = reload,
                             .plan = plan};
    r->api = api_new(&ao, e);
    return r->api ? http_server_serve(r->server, r->api, e) : e->code;
}

static int32_t migration_of(const char *policy)
{
    return strcmp(policy, "upgrade") == 0     ? GROUP_MIGRATE_UP
           : strcmp(policy, "downgrade") == 0 ? GROUP_MIGRATE_DOWN
           : strcmp(policy, "disabled") == 0  ? GROUP_MIGRATE_NOT
                                              : GROUP_MIGRATE_BOTH;
}

/* Kafka's clients. */
static int serve_clients(struct run *r, struct err *e)
{
    const struct leat_config *o = r->hub.options;
    struct server_options so = {.broker = r->broker};
    if (o == NULL || !options_is_set(o, "listeners"))
        return ERR_OK;
    so.listener_count = options_list(o, "listeners", &so.listeners);
    so.advertised_count = options_is_set(o, "advertised.listeners")
                              ? options_list(o, "advertised.listeners", &so.advertised)
                              : 0;
    so.node_id = (int32_t)options_int(o, "node.id");
    so.network_threads =
        options_is_set(o, "num.network.threads") ? (int32_t)options_int(o, "num.network.threads") : 0;
    so.io_threads = (int32_t)options_int(o, "num.io.threads");
    so.request_max_bytes = options_int(o, "socket.request.max.bytes");
    so.queued_max_bytes = options_int(o, "queued.max.request.bytes");
    so.idle_ms = options_int(o, "connections.max.idle.ms");
    so.max_connections =
        options_is_set(o, "max.connections") ? (int32_t)options_int(o, "max.connections") : 0;
    so.group_initial_delay_ms = (int32_t)options_int(o, "group.initial.rebalance.delay.ms");
    so.group_session_min_ms = (int32_t)options_int(o, "group.min.session.timeout.ms");
    so.group_session_max_ms = (int32_t)options_int(o, "group.max.session.timeout.ms");
    so.group_max_size = options_is_set(o, "group.max.size") ? (int32_t)options_int(o, "group.max.size") : 0;
    int rc = hub_described(o, &r->configs, &r->config_count, e);
    if (rc)
        return rc;
    so.configs = r->configs;
    so.config_count = r->config_count;
    so.group_forget_check_ms =
        (int32_t)(r->hub.offsets_check_ms < INT32_MAX ? r->hub.offsets_check_ms : INT32_MAX);
    so.fetch_sessions = (int32_t)options_int(o, "max.incremental.fetch.session.cache.slots");
    so.group_consumer_session_ms = (int32_t)options_int(o, "group.consumer.session.timeout.ms");
    so.group_consumer_heartbeat_ms = (int32_t)options_int(o, "group.consumer.heartbeat.interval.ms");
    so.group_consumer_session_min_ms = (int32_t)options_int(o, "group.consumer.min.session.timeout.ms");
    so.group_consumer_session_max_ms = (int32_t)options_int(o, "group.consumer.max.session.timeout.ms");
    so.group_consumer_heartbeat_min_ms = (int32_t)options_int(o, "group.consumer.min.heartbeat.interval.ms");
    so.group_consumer_heartbeat_max_ms = (int32_t)options_int(o, "group.consumer.max.heartbeat.interval.ms");
    so.group_consumer_max_size =
        options_is_set(o, "group.consumer.max.size") ? (int32_t)options_int(o, "group.consumer.max.size") : 0;
    so.group_migration = migration_of(options_str(o, "group.consumer.migration.policy"));
    so.auto_create_topics = options_bool(o, "auto.create.topics.enable");
    return server_start(&r->kafka, &so, e);
}

static void tell_started(struct run *r, size_t pipelines, int64_t began_ns)
{
    char tcp[64] = "";
    if (http_server_port(r->server))
        snprintf(tcp, sizeof tcp, ", http port %d", http_server_port(r->server));
    diag_info("hub", "leat %s runs %zu pipeline%s on %s (pid %d%s), started in %lld ms", LEAT_VERSION,
              pipelines, pipelines == 1 ? "" : "s", broker_data_dir(r->broker), (int)getpid(), tcp,
              (long long)(clock_mono_ns() - began_ns) / 1000000);
}

/* Starts everything for `config`, which the worker takes over. */
static int start_with(struct run *r, struct config *config, struct err *e)
{
    int64_t began = clock_mono_ns();
    size_t pipelines = config->pipeline_count;
    int rc = start_store(r, e);
    if (rc == ERR_OK)
        rc = open_interface(r, e);
    if (rc == ERR_OK)
        rc = serve_clients(r, e); /* an address that cannot be had is known before a task runs, likewise */
    if (rc == ERR_OK)
        rc = worker_new(r->client, r->plugins, &r->worker, e);
    if (rc == ERR_OK)
        rc = worker_apply(r->worker, config, NULL, e);
    if (rc) {
        config_free(config);
        return rc;
    }
    rc = serve_interface(r, e);
    if (rc == ERR_OK)
        tell_started(r, pipelines, began);
    return rc;
}

/* An exit code, or -1 to go on. */
static int start(struct run *r)
{
    struct err e;
    struct config *config = NULL;
    struct problems problems;
    problems_init(&problems);
    int rc = load_plugins(r->c, &r->hub, &r->plugins, &e);
    if (rc == ERR_OK)
        rc = load(r, NULL, &config, &problems, &e);
    if (problems.count) {
        load_show_problems(r->c, &problems, NULL);
        return EXIT_CONFIG;
    }
    problems_free(&problems);
    if (rc == ERR_OK)
        rc = start_with(r, config, &e);
    return rc ? cli_fail(&e) : -1;
}

/*
 * --until-done, after the tasks' end: those that failed are told; then it was not a success. One that was stopped while it was to try again did
 * not deliver what was left, such as a sink whose final flush failed.
 */
static int outcome(struct run *r)
{
    struct err e;
    struct task_status *list;
    size_t n, failed = 0;
    if (worker_status(r->worker, &list, &n, &e) != ERR_OK)
        return cli_fail(&e);
    for (size_t i = 0; i < n; i++)
        if (list[i].state == TASK_FAILED || (list[i].state == TASK_STOPPED && list[i].error)) {
            cli_error(EXIT_FAILED, "%s-%d failed: %s", list[i].connector, list[i].index,
                      list[i].error ? list[i].error : "no reason given");
            failed++;
        }
    task_status_free(list, n);
    return failed ? EXIT_FAILED : EXIT_FINE;
}

/* The first error, or what came before. */
static int shut_down(struct run *r, int code)
{
    struct err e;
    if (r->api)
        api_interrupt(r->api);
    if (r->worker) /* their callers would hold up the interface's end, and that the tasks' */
        worker_close_signals(r->worker);
    if (r->broker) /* what requests and tasks hold is to be written before the time is over */
        broker_lift_delays(r->broker);
    http_server_stop(r->server); /* before what its requests look at */
    api_free(r->api);
    server_stop(r->kafka, CLIENTS_GRACE_MS);
    hub_described_free(r->configs, r->config_count);
    if (r->worker && worker_stop(r->worker, r->shutdown_ms, &e) != ERR_OK) {
        /* A task that hangs in a plugin cannot be taken away under it; its transaction is simply not
         * committed. */
        diag_error("hub", "%s", e.text);
        _exit(EXIT_FAILED);
    }
    if (r->done)
        code = outcome(r);
    if (r->worker)
        worker_free(r->worker);
    if (r->client)
        client_close(r->client);
    if (r->broker && broker_close(r->broker, &e) != ERR_OK) {
        diag_error("hub", "%s", e.text);
        code = EXIT_FAILED;
    }
    if (r->plugins)
        plugins_close(r->plugins);
    hub_config_free(&r->hub);
    run_config_free(&r->config);
    return code;
}

/* ---- waiting
 * ------------------------------------------------------------------------------------------------ */

/* One line of figures for people who watch. */
static void show_progress(struct run *r)
{
    struct err e;
    struct task_status *list;
    size_t n;
    if (worker_status(r->worker, &list, &n, &e) != ERR_OK) {
        diag_warn("hub", "%s", e.text);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s-%d", list[i].connector, list[i].index);
        printf("%-24s %-10s %8s records %10s/s%s%s%s%s\n", name, task_state_name(list[i].state),
               show_count((double)list[i].records), show_bytes(list[i].bytes_per_s),
               list[i].lag_records >= 0 ? "  lag " : "",
               list[i].lag_records >= 0 ? show_count((double)list[i].lag_records) : "",
               list[i].state == TASK_FAILED ? "  " : "",
               list[i].state == TASK_FAILED && list[i].error ? list[i].error : "");
    }
    putchar('\n');
    fflush(stdout);
    task_status_free(list, n);
}

/* Whether every task of `kind` has ended; a sink that has read all there is, of every topic that it is to read, has too. */
static bool all_ended(const struct run *r, enum leat_kind kind)
{
    struct err e;
    struct task_status *list;
    size_t n;
    if (worker_status(r->worker, &list, &n, &e) != ERR_OK) {
        diag_warn("hub", "%s", e.text);
        return false;
    }
    bool all = true;
    for (size_t i = 0; i < n; i++) {
        enum task_state s = list[i].state;
        bool ended = s == TASK_COMPLETED || s == TASK_FAILED || s == TASK_STOPPED;
        ended =
            ended || (kind == LEAT_SINK && s == TASK_RUNNING && list[i].lag_records == 0 && list[i].current);
        all = all && (list[i].kind != kind || ended);
    }
    task_status_free(list, n);
    return all;
}

/*
 * Sources first: only when they have ended nothing more comes, and what the sinks' lag says stays true. Of the topics that sources made
 * some may be newer than the sinks' last look at them.
 */
static bool all_done(struct run *r)
{
    bool ended = all_ended(r, LEAT_SOURCE);
    if (ended && !r->looked)
        worker_look(r->worker);
    r->looked = ended;
    return ended && all_ended(r, LEAT_SINK);
}

/* Until a signal or, with --until-done, the tasks' end. */
static void wait_until_stopped(struct run *r)
{
    bool progress = cli_flag(r->c, "progress"), until_done = cli_flag(r->c, "until-done"), done = false;
    int64_t shown_ms = clock_mono_ms(); /* nothing has moved yet */
    pthread_mutex_lock(&r->lock);
    while (!r->stop && !done) {
        bool again = r->reload;
        r->reload = false;
        if (!again && !progress && !until_done) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        pthread_mutex_unlock(&r->lock);
        if (again)
            reload_by_signal(r);
        done = until_done && all_done(r);
        if (progress && !again && clock_mono_ms() - shown_ms >= PROGRESS_MS) {
            show_progress(r);
            shown_ms = clock_mono_ms();
        }
        pthread_mutex_lock(&r->lock);
        if (!r->stop && !r->reload && !done) {
            struct timespec at = clock_deadline_ms(until_done ? DONE_MS : PROGRESS_MS);
            cond_wait_until(&r->changed, &r->lock, &at);
        }
    }
    pthread_mutex_unlock(&r->lock);
    r->done = done;
}

static int hub_section(struct run *r)
{
    struct err e;
    struct problems problems;
    problems_init(&problems);
    int rc = run_config_hub(&r->config, &r->hub, &problems, &e);
    if (problems.count) {
        load_show_problems(r->c, &problems, NULL);
        return EXIT_CONFIG;
    }
    problems_free(&problems);
    return rc ? cli_fail(&e) : -1;
}

static int start_signals(struct run *r, struct err *e)
{
    sigset_t set;
    pthread_t signals;
    watched_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int rc = thread_start(&signals, "signals", wait_for_signals, r, e);
    if (rc == ERR_OK)
        pthread_detach(signals); /* ends with the process: it owns nothing and waits */
    return rc;
}

int cmd_run(struct cli *c)
{
    static struct run r; /* not on the stack: the thread of signals looks at it until the process ends */
    struct err e;
    r.c = c;
    int code = run_config_find(c, &r.config);
    if (code == -1)
        code = hub_section(&r);
    if (code == -1)
        code = set_up_diagnostics(&r);
    r.shutdown_ms = r.hub.shutdown_ms > 0 ? r.hub.shutdown_ms : 30000;
    mutex_init(&r.lock);
    mutex_init(&r.apply);
    cond_init(&r.changed);
    if (code == -1 && start_signals(&r, &e) != ERR_OK)
        code = cli_fail(&e);
    if (code == -1)
        code = start(&r);
    if (code != -1)
        return shut_down(&r, code);
    notify_manager("READY=1");
    wait_until_stopped(&r);
    notify_manager("STOPPING=1");
    code = shut_down(&r, EXIT_FINE);
    diag_info("hub", "stopped");
    return code;
}
