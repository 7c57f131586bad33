/*
 * config: reads a file, a directory of files, or text; joins what the sections' readers made, or gives their problems.
 * The result is immutable. One thread reads one configuration.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "config/internal.h"

void config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->pipeline_count; i++)
        pipeline_config_free(c->pipelines[i]);
    mem_free(c->pipelines);
    hub_config_free(&c->hub);
    mem_free(c);
}

/* ---- one text -------------------------------------------------------------------------------------------------------- */

static int read_root(struct walk *w, yaml_document_t *doc, yaml_node_t *root, struct err *e)
{
    static const char *const known[] = {"hub", "pipelines", NULL};
    struct mapping m;
    int rc = mapping_read(w, doc, root, node_mark(root), NULL, &m, e);
    for (size_t i = 0; i < m.count && rc == ERR_OK; i++) {
        struct entry *en = &m.items[i];
        bool hub = strcmp(en->key, "hub") == 0, pipelines = strcmp(en->key, "pipelines") == 0;
        if (hub)
            rc = hub_read(w, doc, en, e);
        else if (pipelines && !w->hub_only)
            rc = pipelines_read(w, doc, &m, en, e);
        en->skip = hub || pipelines || w->hub_only;
    }
    struct input *inputs;
    size_t n;
    /* no table: all that is left is unknown */
    return rc ? rc : section_inputs(w, &m, NULL, 0, known, false, &inputs, &n, e);
}

static int read_text(struct walk *w, const char *text, size_t n, const char *name, struct err *e)
{
    yaml_document_t doc;
    bool loaded;
    w->visits = 0;
    w->file = walk_printf(w, e, "%s", name);
    int rc = w->file ? walk_load(w, text, n, &doc, &loaded, e) : ERR_NO_MEMORY;
    if (rc || !loaded)
        return rc;
    yaml_node_t *root = yaml_document_get_root_node(&doc);
    if (root)
        rc = read_root(w, &doc, root, e);
    walk_unload(&doc);
    return rc;
}

/* ---- files ----------------------------------------------------------------------------------------------------------- */

static int read_file(struct walk *w, const char *path, struct err *e)
{
    char *text;
    size_t n;
    int rc = io_read_file(path, CONFIG_FILE_MAX, &text, &n, e);
    if (rc)
        return rc;
    rc = read_text(w, text, n, path, e);
    mem_free(text);
    return rc;
}

struct listing {
    char **names;
    size_t count;
};

static int list_one(void *arg, const char *name, struct err *e)
{
    struct listing *l = arg;
    const char *dot = strrchr(name, '.');
    if (name[0] == '.' || !dot || (strcmp(dot, ".yaml") != 0 && strcmp(dot, ".yml") != 0))
        return ERR_OK;
    if (l->count == CONFIG_FILES_MAX)
        return err_set(e, ERR_TOO_LARGE, "more than %d configuration files", CONFIG_FILES_MAX);
    char **names = mem_realloc_array(l->names, l->count + 1, sizeof(char *));
    if (!names)
        return err_nomem(e);
    l->names = names;
    names[l->count] = mem_strdup(name);
    if (!names[l->count])
        return err_nomem(e);
    l->count++;
    return ERR_OK;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static int read_directory(struct walk *w, const char *dir, struct err *e)
{
    struct listing l = {0};
    int rc = io_list(dir, list_one, &l, e);
    if (rc == ERR_OK && l.count == 0 &&
        problems_add(w->problems, dir, 0, 0, "the directory has no *.yaml and no *.yml file"))
        rc = err_nomem(e);
    if (l.count)
        qsort(l.names, l.count, sizeof(*l.names), compare_names);
    size_t len = strlen(dir);
    for (size_t i = 0; i < l.count && rc == ERR_OK; i++) {
        const char *path =
            walk_printf(w, e, "%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/", l.names[i]);
        rc = path ? read_file(w, path, e) : ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < l.count; i++)
        mem_free(l.names[i]);
    mem_free(l.names);
    return rc;
}

static int read_path(struct walk *w, const char *path, struct err *e)
{
    int fd;
    struct err not_one;
    int rc = io_open(&fd, path, O_RDONLY | O_DIRECTORY, 0, &not_one);
    if (rc == ERR_NO_MEMORY)
        return err_nomem(e);
    if (rc)
        return read_file(w, path, e); /* which says better what is wrong */
    io_close(fd);
    return read_directory(w, path, e);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------- */

static int compare_pipelines(const void *a, const void *b)
{
    struct pipeline_config *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int default_hub(struct hub_config *h, struct problems *problems, struct err *e)
{
    size_t n;
    const struct leat_option *rows = hub_options(&n);
    struct leat_config *options = options_new(rows, n, NULL, 0, problems, e);
    return options ? hub_config_fill(h, options, e) : e->code;
}

/* What can be said only when everything is read. */
static int finish(struct walk *w, struct err *e)
{
    struct config *c = w->config;
    if (c->pipeline_count)
        qsort(c->pipelines, c->pipeline_count, sizeof(*c->pipelines), compare_pipelines);
    int rc = loops_find(w, e);
    if (rc == ERR_OK && w->problems->count == 0 && !c->hub.options)
        rc = default_hub(&c->hub, w->problems, e);
    return rc;
}

/* Of a path, or of a text with a name. */
struct input_text {
    const char *path;
    const char *text;
    size_t n;
    const char *name;
};

static int load(const struct input_text *in, const struct connector_catalog *catalog, bool hub_only,
                struct config **out, struct problems *problems, struct err *e)
{
    struct walk w;
    size_t before = problems->count;
    *out = NULL;
    walk_init(&w, catalog, problems);
    w.hub_only = hub_only;
    w.config = mem_calloc(1, sizeof(*w.config));
    int rc = w.config ? ERR_OK : err_nomem(e);
    if (rc == ERR_OK)
        rc = in->path ? read_path(&w, in->path, e) : read_text(&w, in->text, in->n, in->name, e);
    rc = rc ? rc : finish(&w, e);
    walk_free(&w);
    problems_sort(problems);
    if (rc == ERR_OK && problems->count > before)
        rc = err_set(e, ERR_INVALID_CONFIG, "%zu problem%s in the configuration", problems->count - before,
                     problems->count - before == 1 ? "" : "s");
    if (rc)
        config_free(w.config);
    else
        *out = w.config;
    return rc;
}

int config_load(const char *path, const struct connector_catalog *catalog, struct config **out,
                struct problems *problems, struct err *e)
{
    const struct input_text in = {.path = path};
    return load(&in, catalog, false, out, problems, e);
}

int config_parse(const char *text, size_t n, const char *name, const struct connector_catalog *catalog,
                 struct config **out, struct problems *problems, struct err *e)
{
    const struct input_text in = {.text = text, .n = n, .name = name};
    return load(&in, catalog, false, out, problems, e);
}

int config_load_hub(const char *path, struct hub_config *out, struct problems *problems, struct err *e)
{
    const struct input_text in = {.path = path};
    struct config *c;
    *out = (struct hub_config){0};
    int rc = load(&in, NULL, true, &c, problems, e);
    if (rc)
        return rc;
    *out = c->hub;
    c->hub = (struct hub_config){0};
    config_free(c);
    return ERR_OK;
}

/* ---- equality -------------------------------------------------------------------------------------------------------- */

bool connector_config_equal(const struct connector_config *a, const struct connector_config *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a->name, b->name) == 0 && a->connector->kind == b->connector->kind &&
           strcmp(a->connector->type, b->connector->type) == 0 && options_equal(a->options, b->options) &&
           a->tasks_max == b->tasks_max && a->key_converter == b->key_converter &&
           a->value_converter == b->value_converter && a->paused == b->paused &&
           a->key_schemas == b->key_schemas && a->value_schemas == b->value_schemas &&
           a->retry_backoff_ms == b->retry_backoff_ms && a->retry_backoff_max_ms == b->retry_backoff_max_ms &&
           a->retry_max == b->retry_max && a->gather_ms == b->gather_ms &&
           a->gather_bytes == b->gather_bytes &&
           creation_equal(a->creation, b->creation, a->common, b->common);
}

/* The order of sinks and of settings means nothing. */
static bool sinks_equal(const struct pipeline_config *a, const struct pipeline_config *b)
{
    if (a->sink_count != b->sink_count)
        return false;
    for (size_t i = 0; i < a->sink_count; i++) {
        bool found = false; /* names are unique, and belong to the equality */
        for (size_t k = 0; k < b->sink_count && !found; k++)
            found = connector_config_equal(a->sinks[i], b->sinks[k]);
        if (!found)
            return false;
    }
    return true;
}

bool topic_configs_equal(const struct pipeline_config *a, const struct pipeline_config *b)
{
    if (a->topic_config_count != b->topic_config_count)
        return false;
    for (size_t i = 0; i < a->topic_config_count; i++) {
        bool found = false;
        for (size_t k = 0; k < b->topic_config_count && !found; k++)
            found = strcmp(a->topic_config[i].name, b->topic_config[k].name) == 0 &&
                    strcmp(a->topic_config[i].value, b->topic_config[k].value) == 0;
        if (!found)
            return false;
    }
    return true;
}

bool regexes_equal(const struct regex *a, const struct regex *b)
{
    return a && b ? strcmp(regex_text(a), regex_text(b)) == 0 : a == b;
}

bool pipeline_config_equal(const struct pipeline_config *a, const struct pipeline_config *b)
{
    bool same = strcmp(a->name, b->name) == 0 && a->topic_count == b->topic_count &&
                a->partitions == b->partitions && regexes_equal(a->regex, b->regex) && a->codec == b->codec &&
                topic_configs_equal(a, b) && connector_config_equal(a->source, b->source) &&
                sinks_equal(a, b);
    for (size_t i = 0; i < a->topic_count && same; i++)
        same = strcmp(a->topics[i], b->topics[i]) == 0;
    return same;
}
