/*
 * hub: the `hub:` section. One thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/internal.h"
#include "config/settings.h"

#define CLEANER_BYTES_MIN (1 << 20)
#define MINUTE ((int64_t)60000)

static const char *const no_others[] = {NULL};

/* host:port, [v6]:port or :port. */
static bool listen_valid(const char *text)
{
    const char *colon = strrchr(text, ':');
    int64_t port;
    if (!colon || !integer_parse(colon + 1, &port) || port < 0 || port > 65535)
        return false;
    size_t host = (size_t)(colon - text);
    bool v6 = memchr(text, ':', host) != NULL;
    if (v6)
        return host > 2 && text[0] == '[' && colon[-1] == ']';
    return strcspn(text, " /[]") >= host;
}

/* What is wrong with one of Kafka's listeners, [PLAINTEXT://]HOST:PORT or [PLAINTEXT://]unix:/PATH; NULL: nothing. */
static const char *listener_fault(const char *text, bool advertised)
{
    static const char plain[] = "PLAINTEXT://";
    if (strncmp(text, plain, strlen(plain)) == 0)
        text += strlen(plain);
    else if (strstr(text, "://"))
        return "has another security protocol than PLAINTEXT, which is the only one that there is";
    if (!advertised && strncmp(text, "unix:", 5) == 0)
        return text[5] ? NULL : "names no socket";
    return listen_valid(text) ? NULL : "is not an address and port such as PLAINTEXT://127.0.0.1:9092";
}

/* Kafka's broker takes no 0 as the time for all topics, though a single topic may have it. */
static bool retention_valid(const char *name, const char *value)
{
    int64_t v;
    bool time = strcmp(name, "log.retention.ms") == 0 || strcmp(name, "log.retention.minutes") == 0 ||
                strcmp(name, "log.retention.hours") == 0;
    return !time || !duration_parse(value, &v) || v != 0;
}

static bool check(const char *name, const char *value, char *why)
{
    const struct topic_config_def *d = topic_config_of_hub(name);
    struct err reason;
    char number[24];
    bool listen = strcmp(name, "http.listen") == 0, dir = strcmp(name, "data.dir") == 0;
    bool advertised = strcmp(name, "advertised.listeners") == 0,
         listener = advertised || strcmp(name, "listeners") == 0;
    const char *fault = listener ? listener_fault(value, advertised) : NULL;
    if (listen && !listen_valid(value))
        snprintf(why, CONFIG_WHY_MAX, "is not an address and port such as 127.0.0.1:8083");
    else if (fault)
        snprintf(why, CONFIG_WHY_MAX, "%s", fault);
    else if ((dir || strcmp(name, "data.dirs") == 0) && !*value)
        snprintf(why, CONFIG_WHY_MAX, "names no directory");
    else if (strncmp(name, "log.retention.", 14) == 0 && !retention_valid(name, value))
        snprintf(why, CONFIG_WHY_MAX, "is not possible: at least 1, or -1 to keep records for ever");
    else if (d && topic_config_check(d->name, setting_in_units(d, value, number), &reason))
        snprintf(why, CONFIG_WHY_MAX, "is refused (%.200s)", reason.text);
    else
        return true;
    return false;
}

static void list_free(char **list, size_t n)
{
    for (size_t i = 0; i < n && list; i++)
        mem_free(list[i]);
    mem_free(list);
}

static char **list_copy(const char *const *list, size_t n)
{
    char **copy = mem_calloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n && copy; i++)
        if (!(copy[i] = mem_strdup(list[i]))) {
            list_free(copy, n);
            return NULL;
        }
    return copy;
}

static int64_t page_cache_bytes(struct leat_config *options)
{
    if (!options_is_set(options, "page.cache.bytes"))
        return 0;
    int64_t bytes = options_int(options, "page.cache.bytes");
    return bytes ? bytes : -1;
}

int hub_config_fill(struct hub_config *h, struct leat_config *options, struct err *e)
{
    const char *const *path, *const *dirs;
    const char *listen = options_str(options, "http.listen");
    h->options = options;
    h->plugin_path_count = options_list(options, "plugin.path", &path);
    h->data_dir_count = options_list(options, "data.dirs", &dirs);
    h->data_dirs = list_copy(dirs, h->data_dir_count);
    h->data_dir = mem_strdup(options_str(options, "data.dir"));
    h->log_level = mem_strdup(options_str(options, "log.level"));
    h->log_format = mem_strdup(options_str(options, "log.format"));
    h->http_listen = listen ? mem_strdup(listen) : NULL;
    h->plugin_path = list_copy(path, h->plugin_path_count);
    bool complete = h->data_dir && h->data_dirs && h->log_level && h->log_format && h->plugin_path &&
                    (h->http_listen || !listen);
    h->start_without_dirs = strcmp(options_str(options, "data.dirs.missing"), "start") == 0;
    h->space_warn_bytes = options_int(options, "space.warn.bytes");
    h->space_warn_percent = (int32_t)options_int(options, "space.warn.percent");
    h->shutdown_ms = options_int(options, "shutdown.timeout");
    h->journal_file_bytes = (size_t)options_int(options, "journal.file.bytes");
    h->retention_check_ms = options_is_set(options, "log.retention.check.interval.ms")
                                ? options_int(options, "log.retention.check.interval.ms")
                                : options_int(options, "retention.check.interval");
    h->scrub_interval_ms = options_int(options, "scrub.interval");
    h->scrub_bytes_per_s = options_int(options, "scrub.bytes.per.second");
    h->producer_expiration_ms = options_int(options, "producer.id.expiration.ms");
    h->offsets_retention_ms = options_int(options, "offsets.retention.minutes") * MINUTE;
    h->offsets_check_ms = options_int(options, "offsets.retention.check.interval.ms");
    h->txn_timeout_max_ms = (int32_t)options_int(options, "transaction.max.timeout.ms");
    h->txn_id_expiration_ms = options_int(options, "transactional.id.expiration.ms");
    h->txn_id_check_ms = options_int(options, "transaction.remove.expired.transaction.cleanup.interval.ms");
    h->page_cache_bytes = page_cache_bytes(options);
    h->open_files_max =
        options_is_set(options, "open.files.max") ? (int32_t)options_int(options, "open.files.max") : 0;
    h->num_partitions = (int32_t)options_int(options, "num.partitions");
    h->cleaner_threads = (int32_t)options_int(options, "log.cleaner.threads");
    h->cleaner_enabled = options_bool(options, "log.cleaner.enable") && h->cleaner_threads > 0;
    h->cleaner_dedupe_bytes = (size_t)options_int(options, "log.cleaner.dedupe.buffer.size");
    h->cleaner_io_bytes_per_second = options_is_set(options, "log.cleaner.io.max.bytes.per.second")
                                         ? options_int(options, "log.cleaner.io.max.bytes.per.second")
                                         : 0;
    h->cleaner_backoff_ms = options_int(options, "log.cleaner.backoff.ms");
    h->offsets_segment_bytes = options_int(options, "offsets.topic.segment.bytes");
    h->txn_segment_bytes = options_int(options, "transaction.state.log.segment.bytes");
    int rc = complete ? hub_defaults(options, &h->defaults, &h->default_count, e) : err_nomem(e);
    if (rc)
        hub_config_free(h);
    return rc;
}

void hub_config_free(struct hub_config *h)
{
    list_free(h->plugin_path, h->plugin_path_count);
    list_free(h->data_dirs, h->data_dir_count);
    hub_defaults_free(h->defaults, h->default_count);
    mem_free(h->data_dir);
    mem_free(h->http_listen);
    mem_free(h->log_level);
    mem_free(h->log_format);
    options_free(h->options);
    *h = (struct hub_config){0};
}

/* Each thread has its part of the memory; Kafka asks for as much of it. */
static int check_cleaner(const struct origin *o, const struct leat_config *options, struct err *e)
{
    int64_t threads = options_int(options, "log.cleaner.threads");
    int64_t bytes = options_int(options, "log.cleaner.dedupe.buffer.size");
    if (threads == 0 || bytes / threads >= CLEANER_BYTES_MIN)
        return ERR_OK;
    return origin_report(o, options_mark(options, "log.cleaner.threads"), e,
                         "\"log.cleaner.threads\": \"%" PRId64 "\" leaves less than 1 MiB of "
                         "log.cleaner.dedupe.buffer.size for each",
                         threads);
}

/* What is about a cluster is only there where one is used, and says where it is. */
static int check_client(const struct origin *o, const struct leat_config *options, struct err *e)
{
    bool kafka = strcmp(options_str(options, "client"), "kafka") == 0;
    const char *const cluster[] = {"bootstrap.servers", "offset.storage.topic", "config.storage.topic",
                                   "cluster.connect.timeout"};
    const char *name, *value, *of_cluster = NULL;
    size_t cursor = 0;
    if (kafka && !options_is_set(options, "bootstrap.servers"))
        return origin_report(o, options_mark(options, "client"), e,
                             "\"client\": kafka needs \"bootstrap.servers\"");
    for (size_t i = 0; !kafka && i < sizeof cluster / sizeof cluster[0]; i++)
        if (options_is_set(options, cluster[i]) && options_mark(options, cluster[i]).line)
            of_cluster = cluster[i];
    if (!kafka && options_next(options, &cursor, &name, &value))
        of_cluster = name;
    return of_cluster ? origin_report(o, options_mark(options, of_cluster), e,
                                      "\"%s\" is for \"client\": kafka", of_cluster)
                      : ERR_OK;
}

int hub_read(struct walk *w, yaml_document_t *doc, struct entry *en, struct err *e)
{
    const struct origin o = {.problems = w->problems, .file = w->file};
    if (w->hub_file)
        return origin_report(&o, en->key_at, e, "a second hub section; the first is at %s:%d", w->hub_file,
                             w->hub_line);
    w->hub_file = walk_printf(w, e, "%s", w->file);
    w->hub_line = en->key_at.line;
    if (!w->hub_file)
        return ERR_NO_MEMORY;
    struct table table;
    table.rows = hub_options(&table.n);
    struct mapping m;
    struct input *inputs;
    struct leat_config *options = NULL;
    size_t n;
    int rc = mapping_read(w, doc, en->value, en->key_at, "hub", &m, e);
    rc = rc ? rc : section_inputs(w, &m, &table, 1, no_others, false, &inputs, &n, e);
    m.origin.check = check;
    rc = rc ? rc : options_build(table.rows, table.n, inputs, n, &m.origin, &options, e);
    rc = rc || !options ? rc : check_cleaner(&m.origin, options, e);
    rc = rc || !options ? rc : check_client(&m.origin, options, e);
    return rc || !options ? rc : hub_config_fill(&w->config->hub, options, e);
}
