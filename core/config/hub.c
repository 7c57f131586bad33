/*
 * hub: the `hub:` section. One thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/internal.h"

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

static int check(struct mapping *m, const struct leat_config *options, struct err *e)
{
    const char *listen = options_str(options, "http.listen");
    if (listen && !listen_valid(listen))
        return origin_report(&m->origin, options_mark(options, "http.listen"), e,
                             "\"http.listen\": %s%s%s is not an address and port such as 127.0.0.1:8083",
                             options_hidden(options, "http.listen") ? "" : "\"",
                             options_hidden(options, "http.listen") ? "***" : listen,
                             options_hidden(options, "http.listen") ? "" : "\"");
    if (!*options_str(options, "data.dir"))
        return origin_report(&m->origin, options_mark(options, "data.dir"), e, "\"data.dir\" is empty");
    return ERR_OK;
}

int hub_config_fill(struct hub_config *h, struct leat_config *options, struct err *e)
{
    const char *const *path;
    const char *listen = options_str(options, "http.listen");
    h->options = options;
    h->plugin_path_count = options_list(options, "plugin.path", &path);
    h->data_dir = mem_strdup(options_str(options, "data.dir"));
    h->log_level = mem_strdup(options_str(options, "log.level"));
    h->log_format = mem_strdup(options_str(options, "log.format"));
    h->http_listen = listen ? mem_strdup(listen) : NULL;
    h->plugin_path = mem_calloc(h->plugin_path_count + 1, sizeof(*h->plugin_path));
    bool complete =
        h->data_dir && h->log_level && h->log_format && h->plugin_path && (h->http_listen || !listen);
    for (size_t i = 0; i < h->plugin_path_count && complete; i++)
        complete = (h->plugin_path[i] = mem_strdup(path[i])) != NULL;
    h->shutdown_ms = options_int(options, "shutdown.timeout");
    h->journal_file_bytes = (size_t)options_int(options, "journal.file.bytes");
    h->retention_check_ms = options_int(options, "retention.check.interval");
    if (complete)
        return ERR_OK;
    hub_config_free(h);
    return err_nomem(e);
}

void hub_config_free(struct hub_config *h)
{
    for (size_t i = 0; i < h->plugin_path_count && h->plugin_path; i++)
        mem_free(h->plugin_path[i]);
    mem_free(h->plugin_path);
    mem_free(h->data_dir);
    mem_free(h->http_listen);
    mem_free(h->log_level);
    mem_free(h->log_format);
    options_free(h->options);
    *h = (struct hub_config){0};
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
    rc = rc ? rc : options_build(table.rows, table.n, inputs, n, &m.origin, &options, e);
    if (rc || !options)
        return rc;
    rc = check(&m, options, e);
    if (rc) {
        options_free(options);
        return rc;
    }
    return hub_config_fill(&w->config->hub, options, e);
}
