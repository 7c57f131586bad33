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
#include "cli/load.h"
#include "http/server.h"

#define REPEAT_MS 300

struct run {
    struct cli *c;
    char *path; /* of the configuration, absolute */
    struct hub_config hub;
    struct plugins *plugins;
    struct broker *broker;
    struct client *client;
    struct worker *worker;
    struct api *api;
    struct http_server *server;
    /* events, under the lock: */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop, reload;
    int64_t stop_ms; /* when stop was first asked for */
    pthread_mutex_t apply; /* one reload at a time: SIGHUP or the interface */
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

static void *wait_for_signals(void *arg)
{
    struct run *r = arg;
    sigset_t set;
    watched_signals(&set);
    for (;;) {
        int sig;
        if (sigwait(&set, &sig) != 0)
            continue;
        pthread_mutex_lock(&r->lock);
        if (sig == SIGHUP) {
            r->reload = true;
        } else if (r->stop && clock_mono_ms() - r->stop_ms < REPEAT_MS) {
            /* The same wish twice: a terminal and a parent process may each have sent it. */
        } else if (r->stop) {
            diag_warn("hub", "stopping at once: what was not committed is read again at the next start");
            _exit(128 + sig);
        } else {
            diag_info("hub", "stopping: draining and committing (again to stop at once)");
            r->stop = true;
            r->stop_ms = clock_mono_ms();
        }
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

/* Loads and validates; problems come as text with ERR_INVALID_CONFIG. */
static int load(struct run *r, const char *path, struct config **out, struct err *e)
{
    struct problems problems;
    struct buf text;
    struct connector_catalog catalog = plugins_catalog(r->plugins);
    problems_init(&problems);
    *out = NULL;
    int rc = config_load(path, &catalog, out, &problems, e);
    if (rc == ERR_OK)
        rc = plugins_validate(r->plugins, *out, false, &problems, e);
    if (problems.count) {
        struct err ignored;
        problems_sort(&problems);
        buf_init(&text, sizeof e->text - 1); /* what fits: the first ones */
        load_problems_text(&problems, &text, &ignored);
        rc = err_set(e, ERR_INVALID_CONFIG, "%zu problem%s:\n%.*s", problems.count,
                     problems.count == 1 ? "" : "s", (int)text.len, text.data ? (const char *)text.data : "");
        buf_free(&text);
    }
    problems_free(&problems);
    if (rc) {
        config_free(*out);
        *out = NULL;
    }
    return rc;
}

static int reload(void *arg, struct buf *text, struct err *e)
{
    struct run *r = arg;
    struct config *config;
    pthread_mutex_lock(&r->apply);
    int rc = load(r, r->path, &config, e);
    if (rc == ERR_OK) {
        rc = worker_apply(r->worker, config, text, e);
        if (rc)
            config_free(config);
    }
    pthread_mutex_unlock(&r->apply);
    if (rc)
        return rc;
    /* Lines of the plan one by one: a diagnostic is one line. */
    for (const char *p = text->data ? (const char *)text->data : ""; text->len && *p;) {
        size_t n = strcspn(p, "\n");
        diag_info("hub", "reload: %.*s", (int)n, p);
        p += n + (p[n] == '\n');
    }
    return ERR_OK;
}

static int plan(void *arg, const char *path, struct buf *text, struct err *e)
{
    struct run *r = arg;
    struct config *config;
    pthread_mutex_lock(&r->apply);
    int rc = load(r, path, &config, e);
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
    buf_init(&text, 1 << 20);
    notify_manager("RELOADING=1");
    if (buf_reserve(&text, 1, &e) != ERR_OK || reload(r, &text, &e) != ERR_OK)
        diag_error("hub", "reload: what runs goes on unchanged: %s", e.text);
    else if (text.len == 0)
        diag_info("hub", "reload: no changes");
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
    const char *dir = cli_value(r->c, "data-dir");
    struct broker_options bo = {.data_dir = dir               ? dir
                                            : r->hub.data_dir ? r->hub.data_dir
                                                              : cli_data_dir(r->c),
                                .journal_file_bytes = r->hub.journal_file_bytes,
                                .retention_check_ms = r->hub.retention_check_ms};
    int rc = broker_open(&r->broker, &bo, e);
    if (rc)
        return rc;
    r->client = client_embedded(r->broker, e);
    return r->client ? ERR_OK : e->code;
}

static int start_interface(struct run *r, struct err *e)
{
    struct api_options ao = {.broker = r->broker,
                             .client = r->client,
                             .worker = r->worker,
                             .started_ms = clock_wall_ms(),
                             .arg = r,
                             .reload = reload,
                             .plan = plan};
    const char *listen = cli_value(r->c, "http-listen");
    char *socket_path = mem_printf("%s/leat.sock", broker_data_dir(r->broker));
    r->api = api_new(&ao, e);
    int rc = !socket_path ? err_nomem(e) : !r->api ? e->code : ERR_OK;
    if (rc == ERR_OK)
        rc = http_server_start(&r->server, r->api, socket_path, listen ? listen : r->hub.http_listen, e);
    mem_free(socket_path);
    return rc;
}

static int start(struct run *r, struct err *e)
{
    struct config *config;
    int64_t began = clock_mono_ns();
    int rc = load_plugins(r->c, &r->hub, &r->plugins, e);
    if (rc == ERR_OK)
        rc = load(r, r->path, &config, e);
    if (rc)
        return rc;
    rc = start_store(r, e);
    if (rc == ERR_OK)
        rc = worker_new(r->client, r->plugins, &r->worker, e);
    if (rc == ERR_OK)
        rc = worker_apply(r->worker, config, NULL, e);
    if (rc) {
        config_free(config);
        return rc;
    }
    size_t pipelines = config->pipeline_count;
    rc = start_interface(r, e);
    if (rc)
        return rc;
    char tcp[64] = "";
    if (http_server_port(r->server))
        snprintf(tcp, sizeof tcp, ", http port %d", http_server_port(r->server));
    diag_info("hub", "leat %s runs %zu pipeline%s on %s (pid %d%s), started in %lld ms", LEAT_VERSION,
              pipelines, pipelines == 1 ? "" : "s", broker_data_dir(r->broker), (int)getpid(), tcp,
              (long long)(clock_mono_ns() - began) / 1000000);
    return ERR_OK;
}

/* The first error, or what came before. */
static int shut_down(struct run *r, int code)
{
    struct err e;
    int64_t ms = r->hub.shutdown_ms > 0 ? r->hub.shutdown_ms : 30000;
    if (r->api)
        api_interrupt(r->api);
    http_server_stop(r->server);
    api_free(r->api);
    if (r->worker && worker_stop(r->worker, ms, &e) != ERR_OK) {
        /* A task that hangs in a plugin cannot be taken away under it; its transaction is simply not
         * committed. */
        diag_error("hub", "%s", e.text);
        _exit(EXIT_FAILED);
    }
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
    free(r->path);
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
    for (size_t i = 0; i < n; i++)
        printf("%-24s %-10s %8s records %10s/s%s%s%s%s\n", list[i].connector, task_state_name(list[i].state),
               show_count((double)list[i].records), show_bytes(list[i].bytes_per_s),
               list[i].lag_records >= 0 ? "  lag " : "",
               list[i].lag_records >= 0 ? show_count((double)list[i].lag_records) : "",
               list[i].state == TASK_FAILED ? "  " : "",
               list[i].state == TASK_FAILED && list[i].error ? list[i].error : "");
    putchar('\n');
    fflush(stdout);
    task_status_free(list, n);
}

static void wait_until_stopped(struct run *r)
{
    bool progress = cli_flag(r->c, "progress"), until_done = cli_flag(r->c, "until-done");
    struct err e;
    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        bool again = r->reload;
        r->reload = false;
        if (!again && !progress && !until_done) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        pthread_mutex_unlock(&r->lock);
        if (again)
            reload_by_signal(r);
        bool done = until_done && worker_wait_idle(r->worker, progress ? 0 : 200, &e) == ERR_OK;
        if (progress && !again)
            show_progress(r);
        pthread_mutex_lock(&r->lock);
        if (done)
            break;
        if (progress && !r->stop && !r->reload) {
            struct timespec at = clock_deadline_ms(2000);
            cond_wait_until(&r->changed, &r->lock, &at);
        }
    }
    r->stop = true;
    pthread_mutex_unlock(&r->lock);
}

static int hub_section(struct run *r)
{
    struct err e;
    struct problems problems;
    problems_init(&problems);
    int rc = config_load_hub(r->path, &r->hub, &problems, &e);
    if (problems.count) {
        load_show_problems(r->c, &problems);
        return EXIT_CONFIG;
    }
    problems_free(&problems);
    return rc ? cli_fail(&e) : -1;
}

int cmd_run(struct cli *c)
{
    struct run r = {.c = c, .path = realpath(c->args[0], NULL)};
    struct err e;
    sigset_t set;
    pthread_t signals;
    if (!r.path)
        return cli_error(EXIT_MISSING, "there is no %s", c->args[0]);
    int code = hub_section(&r);
    if (code == -1)
        code = set_up_diagnostics(&r);
    if (code != -1) {
        hub_config_free(&r.hub);
        free(r.path);
        return code;
    }
    mutex_init(&r.lock);
    mutex_init(&r.apply);
    cond_init(&r.changed);
    watched_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    /* The signal thread ends with the process: it owns nothing and waits in sigwait. */
    if (thread_start(&signals, "signals", wait_for_signals, &r, &e) != ERR_OK || pthread_detach(signals) != 0)
        return cli_fail(&e);
    if (start(&r, &e) != ERR_OK)
        return shut_down(&r, cli_fail(&e));
    notify_manager("READY=1");
    wait_until_stopped(&r);
    notify_manager("STOPPING=1");
    code = shut_down(&r, EXIT_FINE);
    diag_info("hub", "stopped");
    return code;
}
