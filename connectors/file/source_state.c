/*
 * Positions as the host stores them. A stream's partition is {"file":"<id>"}, its id never changes; everything else is in
 * the offset object. {"paths":"<pattern>"} remembers that a pattern was looked at, so that `start` is not applied
 * to what appears later; of several tasks each has its own, {"paths":"<pattern>","task":<index>}.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "connectors/file/source.h"

#define STATE_MAX ((size_t)64 << 10)

#define NO_TASK (-1)

static int partition_text(struct buf *b, const char *kind, const char *name, int task, struct err *e)
{
    buf_init(b, STATE_MAX);
    int rc = buf_printf(b, e, "{\"%s\":", kind);
    if (rc == ERR_OK)
        rc = buf_json_str(b, name, strlen(name), e);
    if (rc == ERR_OK && task != NO_TASK)
        rc = buf_printf(b, e, ",\"task\":%d", task);
    if (rc == ERR_OK)
        rc = buf_append(b, "}", 2, e); /* with the NUL */
    return rc;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static bool is_utf8(const char *s)
{
    json_t *probe = json_string(s);
    json_decref(probe);
    return probe != NULL;
}

/* A path as "name":"path", or in hexadecimal as "name.hex" if JSON cannot hold it. */
static int path_text(struct buf *b, const char *name, const char *path, struct err *e)
{
    if (is_utf8(path)) {
        int rc = buf_printf(b, e, ",\"%s\":", name);
        return rc == ERR_OK ? buf_json_str(b, path, strlen(path), e) : rc;
    }
    int rc = buf_printf(b, e, ",\"%s.hex\":\"", name);
    for (const char *p = path; rc == ERR_OK && *p; p++)
        rc = buf_printf(b, e, "%02x", (unsigned char)*p);
    return rc == ERR_OK ? buf_str(b, "\"", e) : rc;
}

/* Was it rotated into another directory? Else its family follows from its path. */
static bool is_aside(const struct stream *s)
{
    size_t n = (size_t)(name_of(s->real) - s->real);
    return n != (size_t)(name_of(s->family) - s->family) || memcmp(s->real, s->family, n) != 0;
}

static int offset_text(struct buf *b, const struct stream *s, struct err *e)
{
    buf_init(b, STATE_MAX);
    int rc = buf_printf(b, e, "{\"offset\":%" PRId64 ",\"seq\":%" PRIu64, s->offset, s->seq);
    if (rc == ERR_OK)
        rc = path_text(b, "path", s->path, e);
    if (rc == ERR_OK && strcmp(s->origin, s->path) != 0)
        rc = path_text(b, "origin", s->origin, e);
    if (rc == ERR_OK && strcmp(s->real, s->path) != 0)
        rc = path_text(b, "real", s->real, e);
    if (rc == ERR_OK && is_aside(s))
        rc = path_text(b, "family", s->family, e);
    if (rc == ERR_OK)
        rc = buf_printf(b, e, ",\"inode\":\"%" PRIx64 ":%" PRIx64 ":%" PRIx64 "\"", s->inode.dev,
                        s->inode.ino, (uint64_t)s->inode.born);
    if (rc == ERR_OK)
        rc = buf_printf(b, e, ",\"head\":\"%" PRIu32 ":%" PRIx64 "\",\"tail\":\"%" PRIu32 ":%" PRIx64 "\"",
                        s->head.len, s->head.hash, s->tail.len, s->tail.hash);
    if (rc == ERR_OK && s->mid)
        rc = buf_str(b, ",\"mid\":true", e);
    if (rc == ERR_OK && s->gzip)
        rc = buf_str(b, ",\"gzip\":true", e);
    if (rc == ERR_OK && s->copy.size > 0)
        rc = buf_printf(b, e, ",\"copy\":\"%" PRId64 ":%" PRIu32 ":%" PRIx64 ":%" PRIu32 ":%" PRIx64 "\"",
                        s->copy.size, s->copy.head.len, s->copy.head.hash, s->copy.tail.len,
                        s->copy.tail.hash);
    if (rc == ERR_OK && s->gone_ms)
        rc = buf_printf(b, e, ",\"gone\":%" PRId64, s->gone_ms);
    return rc == ERR_OK ? buf_append(b, "}", 2, e) : rc;
}

static int store_one(struct source *src, const struct stream *s)
{
    struct err e;
    struct buf partition, offset;
    int rc = partition_text(&partition, "file", s->id, NO_TASK, &e);
    int rc2 = offset_text(&offset, s, &e);
    int result;
    if (rc != ERR_OK || rc2 != ERR_OK)
        result = src->h->fail(src->t, LEAT_RETRY, "%s: cannot store its position: %s", s->path, e.text);
    else
        result = src->h->set_position(src->t, (const char *)partition.data, (const char *)offset.data);
    buf_free(&partition);
    buf_free(&offset);
    return result;
}

int state_store(struct source *src)
{
    for (size_t i = 0; i < src->dirty_count; i++) {
        int result = store_one(src, src->dirty[i]);
        if (result != LEAT_OK)
            return result;
        src->dirty[i]->dirty = false;
    }
    src->dirty_count = 0;
    return LEAT_OK;
}

static int set_simple(struct source *src, const char *kind, const char *name, int task, const char *offset)
{
    struct err e;
    struct buf partition;
    int result;
    if (partition_text(&partition, kind, name, task, &e) != ERR_OK)
        result = src->h->fail(src->t, LEAT_RETRY, "cannot store a position: %s", e.text);
    else
        result = src->h->set_position(src->t, (const char *)partition.data, offset);
    buf_free(&partition);
    return result;
}

int state_forget(struct source *src, struct stream *s)
{
    int result = set_simple(src, "file", s->id, NO_TASK, NULL);
    if (result == LEAT_OK)
        stream_remove(src, s);
    return result;
}

int state_mark_started(struct source *src, struct pattern *p)
{
    int tasks = src->h->task_count(src->t);
    char offset[96];
    p->started = true;
    snprintf(offset, sizeof(offset), "{\"started\":%" PRId64 ",\"tasks\":%d}", clock_wall_ms(), tasks);
    return set_simple(src, "paths", p->text, tasks > 1 ? src->h->task_index(src->t) : NO_TASK, offset);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static char *unhex(const char *hex)
{
    size_t n = strlen(hex) / 2;
    char *out = mem_alloc(n + 1);
    for (size_t i = 0; out && i < n; i++) {
        unsigned v = 0;
        if (sscanf(hex + 2 * i, "%2x", &v) != 1)
            v = '?';
        out[i] = (char)v;
    }
    if (out)
        out[n] = '\0';
    return out;
}

/* The path under `name`, else a copy of `fallback`. NULL: out of memory, or neither is there. */
static char *load_path(const json_t *o, const char *name, const char *fallback)
{
    char hex_name[32];
    snprintf(hex_name, sizeof(hex_name), "%s.hex", name);
    const char *text = json_string_value(json_object_get(o, name));
    const char *hex = json_string_value(json_object_get(o, hex_name));
    if (hex)
        return unhex(hex);
    if (!text)
        text = fallback;
    return text ? mem_strdup(text) : NULL;
}

/* One that is missing says nothing about the file, and so fits all. */
static bool load_print(const json_t *o, const char *name, size_t max, struct print *p)
{
    const char *text = json_string_value(json_object_get(o, name));
    return !text || (sscanf(text, "%" SCNu32 ":%" SCNx64, &p->len, &p->hash) == 2 && p->len <= max);
}

static bool load_copy(const json_t *o, struct copy *c)
{
    const char *text = json_string_value(json_object_get(o, "copy"));
    return !text ||
           (sscanf(text, "%" SCNd64 ":%" SCNu32 ":%" SCNx64 ":%" SCNu32 ":%" SCNx64, &c->size, &c->head.len,
                   &c->head.hash, &c->tail.len, &c->tail.hash) == 5 &&
            c->head.len <= PRINT_HEAD_MAX && c->tail.len <= PRINT_TAIL_MAX && c->size >= c->tail.len);
}

/* False: not what we have written. */
static bool load_fields(struct stream *s, const json_t *o)
{
    const char *inode = json_string_value(json_object_get(o, "inode"));
    uint64_t born = 0;
    if (!inode || sscanf(inode, "%" SCNx64 ":%" SCNx64 ":%" SCNx64, &s->inode.dev, &s->inode.ino, &born) != 3)
        return false;
    s->inode.born = (int64_t)born;
    if (!load_print(o, "head", PRINT_HEAD_MAX, &s->head) ||
        !load_print(o, "tail", PRINT_TAIL_MAX, &s->tail) || !load_copy(o, &s->copy))
        return false;
    s->offset = json_integer_value(json_object_get(o, "offset"));
    s->seq = (uint64_t)json_integer_value(json_object_get(o, "seq"));
    s->gone_ms = json_integer_value(json_object_get(o, "gone"));
    s->mid = json_is_true(json_object_get(o, "mid"));
    s->gzip = json_is_true(json_object_get(o, "gzip"));
    return s->offset >= s->tail.len;
}

/* As source_scan.c makes it of a path. */
static void family_name(const char *real, char *family)
{
    size_t dir = (size_t)(name_of(real) - real);
    memcpy(family, real, dir);
    name_live(real + dir, family + dir);
}

static int load_paths(struct stream *s, const json_t *o, struct err *e)
{
    s->path = load_path(o, "path", NULL);
    s->origin = load_path(o, "origin", s->path);
    s->real = load_path(o, "real", s->path);
    s->family = load_path(o, "family", s->real);
    if (!s->path || !s->origin || !s->family)
        return err_nomem(e);
    if (strcmp(s->family, s->real) == 0)
        family_name(s->real, s->family);
    return ERR_OK;
}

static int load_stream(struct source *src, const char *id, const json_t *o, struct err *e)
{
    if (!json_object_get(o, "path") && !json_object_get(o, "path.hex"))
        return err_set(e, ERR_CORRUPT, "no path in it");
    struct stream *s = stream_restore(id, e);
    if (!s)
        return e->code;
    int rc = load_fields(s, o) ? load_paths(s, o, e) : err_set(e, ERR_CORRUPT, "a field is missing or wrong");
    if (rc == ERR_OK && scan_is_mine(src, s->family)) {
        rc = stream_add(src, s, e);
        if (rc == ERR_OK)
            return rc;
    }
    stream_free(s);
    return rc;
}

/*
 * As long as the number of tasks is the same a task's mark says that this one has looked at its share. Were there others, all
 * is taken as looked at: files that move from one task to another are not new.
 */
static void load_started(struct source *src, const char *text, const json_t *task, const json_t *offset)
{
    bool same = json_integer_value(json_object_get(offset, "tasks")) == src->h->task_count(src->t);
    if (task && same && json_integer_value(task) != src->h->task_index(src->t))
        return;
    for (size_t i = 0; i < src->o.pattern_count; i++)
        if (strcmp(src->o.patterns[i].text, text) == 0)
            src->o.patterns[i].started = true;
}

static int load_entry(struct source *src, const char *partition, const char *offset, struct err *e)
{
    json_t *p = json_loads(partition, 0, NULL), *o = json_loads(offset, 0, NULL);
    const char *id = json_string_value(json_object_get(p, "file"));
    const char *pattern = json_string_value(json_object_get(p, "paths"));
    int rc = ERR_OK;
    if (id && strlen(id) < sizeof(((struct stream *)0)->id) && json_is_object(o))
        rc = load_stream(src, id, o, e);
    else if (pattern)
        load_started(src, pattern, json_object_get(p, "task"), o);
    else
        rc = err_set(e, ERR_CORRUPT, "not a position of the file source");
    json_decref(p);
    json_decref(o);
    return rc;
}

int state_load(struct source *src, struct err *e)
{
    size_t cursor = 0;
    const char *partition, *offset;
    while (src->h->next_position(src->t, &cursor, &partition, &offset)) {
        int rc = load_entry(src, partition, offset, e);
        if (rc != ERR_OK)
            return err_wrap(e, "stored position %s", partition);
    }
    return ERR_OK;
}
