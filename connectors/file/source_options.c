/*
 * file source: its option table, and from checked options to struct source_options. Called on the task's thread, and
 * by `leat validate` without a task running.
 */
#include <fnmatch.h>
#include <string.h>

#include "base/mem.h"
#include "connectors/file/source.h"

#define FOLLOWED_BY(name) "Takes effect with `" name "`. "

const struct leat_option source_option_table[SOURCE_OPTIONS] = {
    {.name = "paths",
     .type = LEAT_LIST,
     .flags = LEAT_READS_PATH,
     .importance = LEAT_HIGH,
     .doc =
         "Files to read: paths, or patterns with `*`, `?` and `[...]` in any part of the path (a `*` does "
         "not match a "
         "`/` or a leading dot); `**` as a part stands for any number of directories, none among them, and "
         "does not "
         "follow symbolic links. Files may appear later. Either `paths` or `file` is needed.",
     .example = "[/var/log/app/*.log]"},
    {.name = "file",
     .type = LEAT_STRING,
     .flags = LEAT_READS_PATH,
     .importance = LEAT_HIGH,
     .doc = "One more path or pattern; the name that Kafka Connect's FileStreamSource uses.",
     .example = "/var/log/app.log"},
    {.name = "topic",
     .type = LEAT_STRING,
     .flags = LEAT_ACCEPTED,
     .importance = LEAT_LOW,
     .doc = "Accepted from Kafka Connect's FileStreamSource. The topic is the pipeline's."},
    {.name = "batch.size",
     .type = LEAT_INT,
     .default_value = "2000",
     .min = 1,
     .max = INT32_MAX,
     .flags = LEAT_ACCEPTED,
     .importance = LEAT_LOW,
     .doc = "Accepted from Kafka Connect's FileStreamSource. Batches are bounded by bytes here."},
    {.name = "rotated.paths",
     .type = LEAT_LIST,
     .importance = LEAT_LOW,
     .doc =
         "Where rotation moves files to, as paths or patterns like those of `paths`, if not beside the "
         "file that is "
         "written. A file there is read on if it was begun under `paths`, also after a restart; others are "
         "left alone.",
     .example = "[/var/log/archive/**/*.log*]"},
    {.name = "exclude",
     .type = LEAT_LIST,
     .importance = LEAT_MEDIUM,
     .doc = "Patterns of files not to read. One with a `/` is matched against the whole path, any other "
            "against the "
            "file's name; `**` as in `paths`.",
     .example = "[\"*.tmp\", \"/var/log/app/debug*\"]"},
    {.name = "start",
     .type = LEAT_CHOICE,
     .choices = "beginning|end",
     .default_value = "beginning",
     .importance = LEAT_HIGH,
     .doc = "Where to begin with the files that are there when a path is looked at for the first time: at "
            "their beginning, or "
            "after their last whole line. Files that appear later, or could not be looked at then, are read "
            "from "
            "their beginning."},
    {.name = "mode",
     .type = LEAT_CHOICE,
     .choices = "line|json|raw",
     .default_value = "line",
     .importance = LEAT_HIGH,
     .doc = "What a record is. `line`: a line without its end (LF or CR LF). `json`: a line that is one JSON "
            "value, byte for "
            "byte; blank lines are left out. `raw`: a piece of the file of at most `raw.chunk.bytes`; the "
            "pieces joined are "
            "the file, but where they are cut depends on when bytes arrived."},
    {.name = "line.max.bytes",
     .type = LEAT_SIZE,
     .default_value = "1000KiB",
     .min = 1,
     .max = 256 << 20,
     .importance = LEAT_MEDIUM,
     .doc = "The longest line, without its end. A record must fit, with its headers, into the topic's "
            "`max.message.bytes` (1 MiB unless set). Memory for a line of that size may be used."},
    {.name = "line.over",
     .type = LEAT_CHOICE,
     .choices = "split|truncate|skip|fail",
     .default_value = "split",
     .importance = LEAT_MEDIUM,
     .doc = "What to do with a line over `line.max.bytes`. `split`: records of that size, none of its bytes "
            "is lost. "
            "`truncate`: its first bytes, the rest is lost. `skip`: the line is lost. `fail`: the task stops "
            "before it."},
    {.name = "partial.timeout",
     .type = LEAT_DURATION,
     .default_value = "0",
     .min = 0,
     .max = INT32_MAX,
     .importance = LEAT_MEDIUM,
     .doc = "A last line without its end is a record after this time without new bytes; bytes that follow "
            "later are another "
            "record. 0: only when the file was rotated away or deleted."},
    {.name = "json.on.error",
     .type = LEAT_CHOICE,
     .choices = "fail|skip|string",
     .default_value = "fail",
     .importance = LEAT_MEDIUM,
     .doc = "In `json` mode, what to do with a line that is not JSON. `fail`: the task stops before it. "
            "`skip`: the line is "
            "lost (counted). `string`: it becomes a JSON string, invalid UTF-8 replaced."},
    {.name = "raw.chunk.bytes",
     .type = LEAT_SIZE,
     .default_value = "64KiB",
     .min = 1,
     .max = 64 << 20,
     .importance = LEAT_LOW,
     .doc = "The largest record in `raw` mode."},
    {.name = "multiline.pattern",
     .type = LEAT_STRING,
     .importance = LEAT_MEDIUM,
     .doc = "Joins lines to one record: a POSIX extended regular expression; a line that it matches belongs "
            "to its neighbour "
            "(see `multiline.match`). Only in `line` mode. Of a line the first 64 KiB are matched.",
     .example = "\"^[[:space:]]\""},
    {.name = "multiline.negate",
     .type = LEAT_BOOL,
     .default_value = "false",
     .importance = LEAT_MEDIUM,
     .doc = FOLLOWED_BY(
         "multiline.pattern") "A line that the pattern does *not* match belongs to its neighbour."},
    {.name = "multiline.match",
     .type = LEAT_CHOICE,
     .choices = "after|before",
     .default_value = "after",
     .importance = LEAT_MEDIUM,
     .doc = FOLLOWED_BY(
         "multiline.pattern") "The neighbour: `after`: the line comes after what it belongs to, as the "
                              "lines of a stack trace; `before`: it comes before, as a line ending in a "
                              "backslash."},
    {.name = "multiline.max.lines",
     .type = LEAT_INT,
     .default_value = "500",
     .min = 1,
     .max = INT32_MAX,
     .importance = LEAT_LOW,
     .doc = FOLLOWED_BY("multiline.pattern") "After so many lines a new record begins."},
    {.name = "multiline.max.bytes",
     .type = LEAT_SIZE,
     .default_value = "1000KiB",
     .min = 1,
     .max = 256 << 20,
     .importance = LEAT_LOW,
     .doc = FOLLOWED_BY(
         "multiline.pattern") "A record does not grow beyond this by joining; one line may be longer, up to "
                              "`line.max.bytes`."},
    {.name = "multiline.timeout",
     .type = LEAT_DURATION,
     .default_value = "5s",
     .min = 0,
     .max = INT32_MAX,
     .importance = LEAT_MEDIUM,
     .doc = FOLLOWED_BY(
         "multiline.pattern") "The lines at the end of a file are a record after this time without new "
                              "bytes. 0: only when the next record begins."},
    {.name = "headers",
     .type = LEAT_BOOL,
     .default_value = "false",
     .importance = LEAT_MEDIUM,
     .doc = "Adds the headers `file.path`, the path under which the file was first seen, and `file.offset`, "
            "where the record "
            "begins in the (uncompressed) file, as decimal text."},
    {.name = "key",
     .type = LEAT_CHOICE,
     .choices = "none|path|filename",
     .default_value = "none",
     .importance = LEAT_MEDIUM,
     .doc = "The record's key: none, or the path or name under which the file was first seen. Records of one "
            "key go to one "
            "partition, so with several partitions a file's order needs a key."},
    {.name = "gzip",
     .type = LEAT_CHOICE,
     .choices = "skip|read|plain",
     .default_value = "skip",
     .importance = LEAT_MEDIUM,
     .doc = "Files compressed by gzip, by content. `skip`: not read. `read`: their uncompressed content is "
            "read, from where "
            "reading was if it was begun before compression (`x.log.1.gz` for `x.log`). `plain`: read as "
            "they are."},
    {.name = "rotate.wait",
     .type = LEAT_DURATION,
     .default_value = "5s",
     .min = 0,
     .max = INT32_MAX,
     .importance = LEAT_LOW,
     .doc = "A file that was rotated away or deleted is given up after this time without new bytes; then a "
            "last line without "
            "its end is a record."},
    {.name = "forget.after",
     .type = LEAT_DURATION,
     .default_value = "1h",
     .min = 0,
     .max = 0,
     .importance = LEAT_LOW,
     .doc = "The position in a file that is gone is kept for so long, should the file come back; then it is "
            "removed."},
    {.name = "watch",
     .type = LEAT_CHOICE,
     .choices = "auto|inotify|poll",
     .default_value = "auto",
     .importance = LEAT_LOW,
     .doc = "How to learn of changes. `auto`: by inotify, and by polling on network file systems and where "
            "inotify's limits "
            "are reached. `inotify`: an error if it cannot be had."},
    {.name = "poll.interval",
     .type = LEAT_DURATION,
     .default_value = "500ms",
     .min = 1,
     .max = INT32_MAX,
     .importance = LEAT_LOW,
     .doc = "How often to look for changes when polling."},
    {.name = "rescan.interval",
     .type = LEAT_DURATION,
     .default_value = "10s",
     .min = 1,
     .max = INT32_MAX,
     .importance = LEAT_LOW,
     .doc = "How often to look at every file even if inotify told nothing."},
    {.name = "open.files.max",
     .type = LEAT_INT,
     .default_value = "256",
     .min = 1,
     .max = 1 << 20,
     .importance = LEAT_LOW,
     .doc = "Files held open by a task. Of a file that is not open, what was written after the last look is "
            "lost when it is "
            "deleted, or rotated to where no path leads."},
    {.name = "task.share",
     .type = LEAT_CHOICE,
     .choices = "path|directory",
     .default_value = "path",
     .importance = LEAT_LOW,
     .doc = "With more than one task, what decides the task of a file: its path without what rotation adds "
            "to it, or its "
            "directory. Choose `directory` if rotation renames files in a way of its own."},
};

/* ---- patterns --------------------------------------------------------------------------------------------------- */

static bool is_glob(const char *s)
{
    return strpbrk(s, "*?[\\") != NULL;
}

/* A `**` as a file's name stands for all files below. */
static bool pattern_init(struct pattern *p, const char *text)
{
    const char *slash = strrchr(text, '/');
    bool all_below = strcmp(slash ? slash + 1 : text, "**") == 0;
    p->text = mem_strdup(text);
    p->name = mem_strdup(all_below ? "*" : slash ? slash + 1 : text);
    if (all_below)
        p->dir = mem_strdup(text);
    else if (!slash)
        p->dir = mem_strdup(".");
    else
        p->dir = mem_strndup(text, slash == text ? 1 : (size_t)(slash - text));
    if (!p->text || !p->name || !p->dir)
        return false;
    p->dir_is_glob = is_glob(p->dir);
    return true;
}

/* Adds patterns that an option gave; there is room for them. */
static int add_patterns(struct source_options *o, const char *option, const char *const *texts, size_t n,
                        struct leat_task *t, const struct leat_host *h)
{
    for (size_t i = 0; i < n; i++) {
        const char *text = texts[i];
        size_t len = strlen(text);
        if (len == 0 || text[len - 1] == '/')
            return h->fail(t, LEAT_FAIL,
                           "%s: \"%s\" does not name a file; to read all of a directory write %s*", option,
                           text, text);
        struct pattern *p = &o->patterns[o->pattern_count++];
        p->aside = p->started = strcmp(option, "rotated.paths") == 0;
        if (!pattern_init(p, text))
            return h->fail(t, LEAT_RETRY, "out of memory");
    }
    return LEAT_OK;
}

static int read_patterns(struct source_options *o, struct leat_task *t, const struct leat_host *h,
                         const struct leat_config *c)
{
    const char *const *paths = NULL, *const *rotated = NULL;
    size_t n = h->get_list(c, "paths", &paths), m = h->get_list(c, "rotated.paths", &rotated);
    const char *file = h->get_str(c, "file");
    if (n == 0 && !file)
        return h->fail(t, LEAT_FAIL, "no file to read: set paths (or file)");
    o->patterns = mem_calloc(n + m + 1, sizeof(*o->patterns));
    if (!o->patterns)
        return h->fail(t, LEAT_RETRY, "out of memory");
    int rc = add_patterns(o, "paths", paths, n, t, h);
    if (rc == LEAT_OK && file)
        rc = add_patterns(o, "file", &file, 1, t, h);
    return rc == LEAT_OK ? add_patterns(o, "rotated.paths", rotated, m, t, h) : rc;
}

static bool name_matches(const char *pattern, const char *name)
{
    return fnmatch(pattern, name, FNM_PERIOD) == 0;
}

bool source_options_exclude(const struct source_options *o, const char *path)
{
    const char *slash = strrchr(path, '/');
    for (size_t i = 0; i < o->exclude_count; i++) {
        const char *x = o->exclude[i];
        const char *subject = strchr(x, '/') ? path : slash ? slash + 1 : path;
        if (glob_match(x, subject, true))
            return true;
    }
    return false;
}

bool source_options_match(const struct source_options *o, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || source_options_exclude(o, path))
        return false;
    size_t dir_len = slash == path ? 1 : (size_t)(slash - path);
    char *dir = mem_strndup(path, dir_len);
    bool found = false;
    for (size_t i = 0; dir && !found && i < o->pattern_count; i++) {
        const struct pattern *p = &o->patterns[i];
        found = !p->aside && name_matches(p->name, slash + 1) && glob_match(p->dir, dir, false);
    }
    mem_free(dir);
    return found;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static int read_multiline(struct source_options *o, struct leat_task *t, const struct leat_host *h,
                          const struct leat_config *c)
{
    struct framing *f = &o->framing;
    const char *pattern = h->get_str(c, "multiline.pattern");
    if (!pattern)
        return LEAT_OK;
    if (f->mode != FRAME_LINE)
        return h->fail(t, LEAT_FAIL, "multiline.pattern: only in mode line");
    int rc = regcomp(&f->pattern, pattern, REG_EXTENDED);
    if (rc != 0) {
        char text[256];
        regerror(rc, &f->pattern, text, sizeof(text));
        return h->fail(t, LEAT_FAIL, "multiline.pattern: \"%s\" is not a regular expression: %s", pattern,
                       text);
    }
    o->framing_set = true;
    f->multiline = true;
    f->negate = h->get_bool(c, "multiline.negate");
    f->before = h->get_int(c, "multiline.match") == 1;
    f->group_lines = (size_t)h->get_int(c, "multiline.max.lines");
    f->group_bytes = (size_t)h->get_int(c, "multiline.max.bytes");
    o->group_ms = h->get_int(c, "multiline.timeout");
    return LEAT_OK;
}

int source_options_read(struct source_options *o, struct leat_task *t, const struct leat_host *h,
                        const struct leat_config *c)
{
    memset(o, 0, sizeof(*o));
    int rc = read_patterns(o, t, h, c);
    if (rc != LEAT_OK)
        return rc;
    o->exclude_count = h->get_list(c, "exclude", &o->exclude);
    o->start = (enum source_start)h->get_int(c, "start");
    o->key = (enum source_key)h->get_int(c, "key");
    o->gzip = (enum source_gzip)h->get_int(c, "gzip");
    o->watch = (enum source_watch)h->get_int(c, "watch");
    o->share = (enum source_share)h->get_int(c, "task.share");
    o->headers = h->get_bool(c, "headers");
    o->partial_ms = h->get_int(c, "partial.timeout");
    o->rotate_ms = h->get_int(c, "rotate.wait");
    o->forget_ms = h->get_int(c, "forget.after");
    o->poll_ms = h->get_int(c, "poll.interval");
    o->rescan_ms = h->get_int(c, "rescan.interval");
    o->open_max = (size_t)h->get_int(c, "open.files.max");
    o->framing.mode = (enum frame_mode)h->get_int(c, "mode");
    o->framing.over = (enum frame_over)h->get_int(c, "line.over");
    o->framing.bad_json = (enum frame_bad)h->get_int(c, "json.on.error");
    o->framing.line_max = (size_t)h->get_int(c, "line.max.bytes");
    o->framing.chunk_max = (size_t)h->get_int(c, "raw.chunk.bytes");
    return read_multiline(o, t, h, c);
}

void source_options_free(struct source_options *o)
{
    for (size_t i = 0; i < o->pattern_count; i++) {
        mem_free(o->patterns[i].text);
        mem_free(o->patterns[i].dir);
        mem_free(o->patterns[i].name);
    }
    mem_free(o->patterns);
    if (o->framing_set)
        regfree(&o->framing.pattern);
    memset(o, 0, sizeof(*o));
}
