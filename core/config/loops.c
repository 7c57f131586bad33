/*
 * loops: pipelines that feed themselves: a sink writes a file or below a directory, a source reads there, and what it reads comes
 * to that sink again, perhaps over other pipelines. Known from the options that connectors mark LEAT_READS_PATH,
 * LEAT_WRITES_PATH and LEAT_WRITES_FILE. A link is a sink that some source sees; a loop is a circle of links. One thread.
 */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/internal.h"

/* ---- paths ----------------------------------------------------------------------------------------------------------- */

#define PARTS_MAX 64 /* deeper paths are not compared */

/* The parts of an absolute path without "." and "..", in place. False: too many. */
static bool split_path(char *path, const char **parts, size_t *n)
{
    char *rest = path, *part;
    while ((part = strsep(&rest, "/"))) {
        if (*part == '\0' || strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            *n -= *n > 0;
            continue;
        }
        if (*n == PARTS_MAX)
            return false;
        parts[(*n)++] = part;
    }
    return true;
}

/* A copy that begins at the root. */
static char *absolute(const char *path)
{
    if (*path == '/')
        return mem_strdup(path);
    char *here = getcwd(NULL, 0);
    char *full = mem_printf("%s/%s", here ? here : "", path);
    free(here);
    return full;
}

static bool part_matches(const char *pattern, const char *written)
{
    return strpbrk(written, "{$%*") || fnmatch(pattern, written, 0) == 0;
}

/*
 * reach[j]: the first i parts of the pattern may stand for the first j of the path that is written. What a sink makes
 * below a directory is anybody's guess, so there it is enough if the directory is used up.
 */
static bool parts_overlap(const char *const *pattern, size_t n, const char *const *written, size_t m,
                          bool file)
{
    bool reach[PARTS_MAX + 1] = {true};
    for (size_t i = 0; i < n; i++) {
        bool next[PARTS_MAX + 1] = {false};
        bool deep = strcmp(pattern[i], "**") == 0;
        if (reach[m] && !file)
            return true;
        for (size_t j = 0; j <= m; j++) {
            if (deep && (reach[j] || (j && next[j - 1])))
                next[j] = true;
            else if (!deep && j && reach[j - 1] && part_matches(pattern[i], written[j - 1]))
                next[j] = true;
        }
        memcpy(reach, next, sizeof(reach));
    }
    /* used up together: the file, or a directory that the source is given by name (a pattern means files beside it) */
    return reach[m] &&
           (file || n == 0 || !strpbrk(pattern[n - 1], "*?[") || strcmp(pattern[n - 1], "**") == 0);
}

int path_overlaps(const char *pattern, const char *written, bool file, bool *overlaps, struct err *e)
{
    const char *p[PARTS_MAX], *d[PARTS_MAX];
    size_t n = 0, m = 0;
    char *from = absolute(pattern), *to = absolute(written);
    int rc = from && to ? ERR_OK : err_nomem(e);
    *overlaps =
        rc == ERR_OK && split_path(from, p, &n) && split_path(to, d, &m) && parts_overlap(p, n, d, m, file);
    mem_free(from);
    mem_free(to);
    return rc;
}

/* ---- links ----------------------------------------------------------------------------------------------------------- */

struct link {
    const struct pipeline_config *writer; /* the sink's pipeline */
    const struct connector_config *sink;
    const char *written;
    bool file;
    const struct pipeline_config *reader; /* the source's */
    const char *pattern;
    const struct leat_option *option; /* of the source, for its place */
    bool secret;
};
struct links {
    struct link *items;
    size_t count;
};

/* The values of a marked STRING or LIST option. */
static size_t paths_of(const struct leat_config *c, const struct leat_option *o, const char **single,
                       const char *const **paths)
{
    if (o->type == LEAT_LIST)
        return options_list(c, o->name, paths);
    *single = o->type == LEAT_STRING ? options_str(c, o->name) : NULL;
    *paths = single;
    return *single != NULL;
}

static int try_link(struct links *l, struct link link, struct err *e)
{
    bool overlaps;
    int rc = path_overlaps(link.pattern, link.written, link.file, &overlaps, e);
    if (rc || !overlaps || l->count > CONFIG_LINKS_MAX)
        return rc;
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].sink == link.sink && l->items[i].reader == link.reader)
            return ERR_OK;
    struct link *items = mem_realloc_array(l->items, l->count + 1, sizeof(*items));
    if (!items)
        return err_nomem(e);
    l->items = items;
    items[l->count++] = link;
    return ERR_OK;
}

/* Links from one path that a sink writes to every source that sees it. */
static int link_sources(struct links *l, const struct config *c, struct link link, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < c->pipeline_count && rc == ERR_OK; i++) {
        link.reader = c->pipelines[i];
        const struct leat_config *o = link.reader->source ? link.reader->source->options : NULL;
        for (size_t k = 0; o && (link.option = options_row(o, k)) && rc == ERR_OK; k++) {
            const char *single, *const *paths;
            size_t n = link.option->flags & LEAT_READS_PATH ? paths_of(o, link.option, &single, &paths) : 0;
            for (size_t p = 0; p < n && rc == ERR_OK; p++) {
                link.pattern = paths[p];
                rc = try_link(l, link, e);
            }
        }
    }
    return rc;
}

static int link_sink(struct links *l, const struct config *c, const struct pipeline_config *writer,
                     const struct connector_config *sink, struct err *e)
{
    int rc = ERR_OK;
    const struct leat_option *row;
    for (size_t k = 0; (row = options_row(sink->options, k)) && rc == ERR_OK; k++) {
        const char *single, *const *paths;
        size_t n = row->flags & (LEAT_WRITES_PATH | LEAT_WRITES_FILE)
                       ? paths_of(sink->options, row, &single, &paths)
                       : 0;
        for (size_t p = 0; p < n && rc == ERR_OK; p++) {
            struct link link = {.writer = writer, .sink = sink, .written = paths[p]};
            link.file = row->flags & LEAT_WRITES_FILE;
            link.secret = options_hidden(sink->options, row->name);
            rc = link_sources(l, c, link, e);
        }
    }
    return rc;
}

static int links_make(struct links *l, const struct config *c, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < c->pipeline_count && rc == ERR_OK; i++)
        for (size_t k = 0; k < c->pipelines[i]->sink_count && rc == ERR_OK; k++)
            rc = link_sink(l, c, c->pipelines[i], c->pipelines[i]->sinks[k], e);
    return rc;
}

/* What `a`'s source reads comes to `b`'s sink. */
static bool follows(const struct link *a, const struct link *b)
{
    for (size_t i = 0; i < b->writer->topic_count; i++)
        if (strcmp(a->reader->topics[0], b->writer->topics[i]) == 0)
            return true;
    return false;
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
    bool hidden = options_hidden(b->reader->source->options, b->option->name);
    if (rc == ERR_OK && last == first)
        rc = buf_printf(out, e, "sink %s writes %s", a->sink->name, a->secret ? "***" : a->written);
    else if (rc == ERR_OK)
        rc = buf_printf(out, e, ", sink %s writes %s", b->sink->name, b->secret ? "***" : b->written);
    if (rc == ERR_OK)
        rc = buf_printf(out, e, ", source of pipeline %s reads %s into topic %s", b->reader->name,
                        hidden ? "***" : b->pattern, b->reader->topics[0]);
    return rc;
}

static int report_circle(struct walk *w, const struct links *l, const size_t *before, size_t first,
                         size_t last, struct err *e)
{
    struct buf text;
    buf_init(&text, CONFIG_FILE_MAX);
    const struct link *a = &l->items[first];
    const struct origin o = {.problems = w->problems, .file = a->reader->source->file};
    int rc = print_circle(l, before, first, last, &text, e);
    rc = rc ? rc : buf_printf(&text, e, ", which sink %s reads", a->sink->name);
    rc = rc ? rc : buf_append(&text, "", 1, e);
    if (rc == ERR_OK)
        rc = origin_report(&o, options_mark(a->reader->source->options, a->option->name), e, "a loop: %s",
                           (const char *)text.data);
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
    int rc = links_make(&l, w->config, e);
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
    return rc;
}
