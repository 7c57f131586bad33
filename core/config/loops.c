/*
 * loops: pipelines that feed themselves: a sink writes a file or below a directory, a source reads there, and what it reads comes
 * to that sink again, perhaps over other pipelines. Known from the options that connectors mark LEAT_READS_PATH,
 * LEAT_WRITES_PATH and LEAT_WRITES_FILE. A link is a sink that some source sees; a loop is a circle of links. One thread.
 */
#include <string.h>

#include "base/mem.h"
#include "config/internal.h"

/* ---- links ----------------------------------------------------------------------------------------------------------- */

/* A path or pattern of a source. */
struct reader {
    const struct pipeline_config *pipeline;
    const struct leat_option *option;
    const char *text;
    const struct path *path;
};
struct link {
    const struct pipeline_config *writer; /* the sink's pipeline */
    const struct connector_config *sink;
    const char *written;
    bool file, secret;
    const struct reader *by;
};
struct links {
    struct reader *readers;
    size_t reader_count;
    struct link *items;
    size_t count;
};

/* The values of an option if its row has one of `flags`. */
static size_t paths_of(const struct leat_config *c, const struct leat_option *o, uint32_t flags,
                       const char **single, const char *const **paths)
{
    *paths = single;
    if (!(o->flags & flags))
        return 0;
    if (o->type == LEAT_LIST)
        return options_list(c, o->name, paths);
    *single = o->type == LEAT_STRING ? options_str(c, o->name) : NULL;
    return *single != NULL;
}

static int add_reader(struct walk *w, struct links *l, struct reader r, struct err *e)
{
    r.path = path_parse(w, r.text, e);
    struct reader *all = r.path ? mem_realloc_array(l->readers, l->reader_count + 1, sizeof(*all)) : NULL;
    if (!all)
        return err_nomem(e);
    l->readers = all;
    all[l->reader_count++] = r;
    return ERR_OK;
}

static int add_readers(struct walk *w, struct links *l, const struct pipeline_config *p, struct err *e)
{
    const struct leat_config *o = p->source ? p->source->options : NULL;
    const struct leat_option *row;
    int rc = ERR_OK;
    for (size_t k = 0; o && (row = options_row(o, k)) && rc == ERR_OK; k++) {
        const char *single, *const *paths;
        size_t n = paths_of(o, row, LEAT_READS_PATH, &single, &paths);
        for (size_t i = 0; i < n && rc == ERR_OK; i++)
            rc = add_reader(w, l, (struct reader){.pipeline = p, .option = row, .text = paths[i]}, e);
    }
    return rc;
}

/* Once for a sink and a source, over however many paths. */
static int add_link(struct links *l, struct link link, struct err *e)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].sink == link.sink && l->items[i].by->pipeline == link.by->pipeline)
            return ERR_OK;
    struct link *items = mem_realloc_array(l->items, l->count + 1, sizeof(*items));
    if (!items)
        return err_nomem(e);
    l->items = items;
    items[l->count++] = link;
    return ERR_OK;
}

static int link_path(struct walk *w, struct links *l, struct link link, struct err *e)
{
    const struct path *written = path_parse(w, link.written, e);
    int rc = written ? ERR_OK : ERR_NO_MEMORY;
    for (size_t i = 0; i < l->reader_count && rc == ERR_OK && l->count <= CONFIG_LINKS_MAX; i++) {
        link.by = &l->readers[i];
        if (path_overlaps(link.by->path, written, link.file))
            rc = add_link(l, link, e);
    }
    return rc;
}

static int link_sink(struct walk *w, struct links *l, const struct pipeline_config *writer,
                     const struct connector_config *sink, struct err *e)
{
    int rc = ERR_OK;
    const struct leat_option *row;
    for (size_t k = 0; (row = options_row(sink->options, k)) && rc == ERR_OK; k++) {
        const char *single, *const *paths;
        size_t n = paths_of(sink->options, row, LEAT_WRITES_PATH | LEAT_WRITES_FILE, &single, &paths);
        for (size_t i = 0; i < n && rc == ERR_OK; i++) {
            struct link link = {.writer = writer, .sink = sink, .written = paths[i]};
            link.file = row->flags & LEAT_WRITES_FILE;
            link.secret = options_hidden(sink->options, row->name);
            rc = link_path(w, l, link, e);
        }
    }
    return rc;
}

static int links_make(struct walk *w, struct links *l, const struct config *c, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < c->pipeline_count && rc == ERR_OK; i++)
        rc = add_readers(w, l, c->pipelines[i], e);
    for (size_t i = 0; i < c->pipeline_count && rc == ERR_OK && l->reader_count; i++)
        for (size_t k = 0; k < c->pipelines[i]->sink_count && rc == ERR_OK; k++)
            rc = link_sink(w, l, c->pipelines[i], c->pipelines[i]->sinks[k], e);
    return rc;
}

/* What `a`'s source reads comes to `b`'s sink. */
static bool follows(const struct link *a, const struct link *b)
{
    const char *topic = a->by->pipeline->topics[0];
    for (size_t i = 0; i < b->writer->topic_count; i++)
        if (strcmp(topic, b->writer->topics[i]) == 0)
            return true;
    return b->writer->regex && regex_matches(b->writer->regex, topic);
}

/* ---- circles --------------------------------------------------------------------------------------------------------- */

/* The circle's text: from the first link's source over the others' and back. `before[i]` leads backwards to `first`. */
static int print_circle(const struct links *l, const size_t *before, size_t first, size_t last,
                        struct buf *out, struct err *e)
{
    const struct link *a = &l->items[first];
    int rc = ERR_OK;
    if (last != first)
        rc = print_circle(l, before, first, before[last], out, e);
    const struct link *b = &l->items[last];
    bool hidden = options_hidden(b->by->pipeline->source->options, b->by->option->name);
    if (rc == ERR_OK && last == first)
        rc = buf_printf(out, e, "sink %s writes %s", a->sink->name, a->secret ? "***" : a->written);
    else if (rc == ERR_OK)
        rc = buf_printf(out, e, ", sink %s writes %s", b->sink->name, b->secret ? "***" : b->written);
    if (rc == ERR_OK)
        rc = buf_printf(out, e, ", source of pipeline %s reads %s into topic %s", b->by->pipeline->name,
                        hidden ? "***" : b->by->text, b->by->pipeline->topics[0]);
    return rc;
}

static int report_circle(struct walk *w, const struct links *l, const size_t *before, size_t first,
                         size_t last, struct err *e)
{
    struct buf text;
    buf_init(&text, CONFIG_FILE_MAX);
    const struct link *a = &l->items[first];
    const struct origin o = {.problems = w->problems, .file = a->by->pipeline->source->file};
    int rc = print_circle(l, before, first, last, &text, e);
    rc = rc ? rc : buf_printf(&text, e, ", which sink %s reads", a->sink->name);
    rc = rc ? rc : buf_append(&text, "", 1, e);
    if (rc == ERR_OK)
        rc = origin_report(&o, options_mark(a->by->pipeline->source->options, a->by->option->name), e,
                           "a loop: %s", (const char *)text.data);
    buf_free(&text);
    return rc;
}

/* The shortest circle through `first` over later links only, so that each is reported once. */
static int search(struct walk *w, const struct links *l, size_t first, size_t *before, size_t *queue,
                  struct err *e)
{
    size_t head = 0, tail = 0;
    for (size_t i = 0; i < l->count; i++)
        before[i] = SIZE_MAX;
    queue[tail++] = first;
    while (head < tail) {
        size_t at = queue[head++];
        if (follows(&l->items[at], &l->items[first]))
            return report_circle(w, l, before, first, at, e);
        for (size_t i = first + 1; i < l->count; i++)
            if (before[i] == SIZE_MAX && follows(&l->items[at], &l->items[i])) {
                before[i] = at;
                queue[tail++] = i;
            }
    }
    return ERR_OK;
}

int loops_find(struct walk *w, struct err *e)
{
    struct links l = {0};
    int rc = links_make(w, &l, w->config, e);
    if (rc == ERR_OK && l.count > CONFIG_LINKS_MAX) {
        const struct origin o = {.problems = w->problems, .file = l.items[0].sink->file};
        rc = origin_report(&o, (struct mark){0, 0}, e,
                           "sources read what sinks write in more than %d places, too many to "
                           "look for loops",
                           CONFIG_LINKS_MAX);
    } else if (rc == ERR_OK && l.count) {
        size_t *before = walk_alloc(w, l.count * sizeof(*before), e);
        size_t *queue = before ? walk_alloc(w, l.count * sizeof(*queue), e) : NULL;
        rc = queue ? ERR_OK : ERR_NO_MEMORY;
        for (size_t i = 0; i < l.count && rc == ERR_OK; i++)
            rc = search(w, &l, i, before, queue, e);
    }
    mem_free(l.items);
    mem_free(l.readers);
    return rc;
}
