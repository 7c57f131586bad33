/*
 * file sink: the connector. Records go to files in a directory (the kit's filer over sink_files.c) or to one growing file
 * (sink_append.c); either way exactly once over crashes. Task thread only.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "connectors/file/file.h"
#include "connectors/file/sink.h"
#include "kit/options.h"

struct sink {
    const struct leat_host *host;
    struct leat_task *task;
    struct record_view view;
    struct sink_settings settings;
    bool ended; /* the last flush was the final one */
    struct rounds *rounds;
    int lock; /* of the hidden directory; -1: none */
    struct claims claims;
    struct append *append; /* or the three below */
    struct template *names;
    struct files *files;
    struct filer *filer;
};

static void sink_free(struct sink *s)
{
    if (!s)
        return;
    filer_free(s->filer); /* before its target */
    append_free(s->append);
    files_free(s->files);
    template_free(s->names);
    rounds_free(s->rounds);
    for (size_t i = 0; i < s->claims.n; i++)
        claim_clear(&s->claims.items[i]);
    mem_free(s->claims.items);
    io_close(s->lock);
    mem_free(s);
}

int sink_committed(void *arg, const char *topic, int32_t partition, int64_t *offset, struct err *e)
{
    const struct record_view *v = arg;
    if (v->host->committed(v->task, topic, partition, offset) == LEAT_OK)
        return ERR_OK;
    return err_set(e, ERR_BUSY, "cannot learn what is committed of %s-%d", topic, (int)partition);
}

/* What is wrong with a directory may be put right: it is made anew, or made writable; so that is tried again. */
static int give_up(struct sink *s, struct err *e)
{
    e->retriable |= e->code == ERR_NOT_FOUND || e->code == ERR_PERMISSION;
    return kit_fail(s->host, s->task, e);
}

/* The directory of `path`, "." if it names none. mem_free; NULL: out of memory. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
}

static int open_rounds(struct sink *s, const char *directory, struct err *e)
{
    int rc = rounds_open(directory, s->host->task_name(s->task), &s->rounds, e);
    return rc == ERR_OK ? claims_hold(s->rounds, s->host->task_index(s->task), &s->lock, e) : rc;
}

static int open_append(struct sink *s, const struct leat_offset *assigned, size_t n, struct err *e)
{
    if (s->host->task_count(s->task) > 1)
        return err_set(e, ERR_INVALID_CONFIG, "file: one growing file needs tasks.max 1");
    char *directory = directory_of(s->settings.file);
    if (!directory)
        return err_nomem(e);
    int rc = open_rounds(s, directory, e);
    mem_free(directory);
    if (rc == ERR_OK)
        rc = append_open(&s->settings, &s->view, s->rounds, assigned, n, &s->append, e);
    return rc;
}

/* How files are named but for what comes from records. mem_free; NULL: out of memory. */
static char *names_text(const struct sink_settings *s, const struct filer *f)
{
    return mem_printf("%s (%s)", s->path, filer_extension(f));
}

/* The claim of a topic, taken if it is the first time. */
static int claim(struct sink *s, const char *topic, const struct claim **out, struct err *e)
{
    *out = claims_find(&s->claims, topic);
    if (*out)
        return ERR_OK;
    struct claim *more = mem_realloc_array(s->claims.items, s->claims.n + 1, sizeof(*more));
    if (!more)
        return err_nomem(e);
    s->claims.items = more;
    char *names = names_text(&s->settings, s->filer);
    bool anew = false;
    int rc = names ? claims_take(s->rounds, topic, kit_topic_id(s->host, s->task, topic), names,
                                 template_has(s->names, TEMPLATE_CONNECTOR), &more[s->claims.n], &anew, e)
                   : err_nomem(e);
    mem_free(names);
    if (rc != ERR_OK)
        return rc;
    *out = &more[s->claims.n++];
    if (anew)
        s->host->log(
            s->task, LEAT_WARN,
            "topic %s was made anew since files of it were written here: names of new files have %s in them",
            topic, (*out)->mark);
    return ERR_OK;
}

static int assign(struct sink *s, const struct leat_offset *o, struct err *e)
{
    int64_t next;
    const struct claim *c;
    int rc = claim(s, o->topic, &c, e);
    if (rc == ERR_OK)
        rc = rounds_recover(s->rounds, o->topic, o->partition, c->id, o->offset, &next, e);
    if (rc == ERR_OK)
        rc = filer_assign(s->filer, o->topic, o->partition, next, c->mark, e);
    if (rc == ERR_OK && next >= 0)
        s->host->log(s->task, LEAT_INFO,
                     "%s-%d: records from %lld to %lld are in files already (a crash before their offset was "
                     "committed); they are not written again",
                     o->topic, (int)o->partition, (long long)o->offset, (long long)next - 1);
    return rc;
}

static int open_directory(struct sink *s, const struct leat_offset *assigned, size_t n, struct err *e)
{
    int rc = open_rounds(s, s->settings.directory, e);
    if (rc == ERR_OK)
        rc = files_new(s->rounds, &s->view, &s->claims, &s->files, e);
    if (rc == ERR_OK)
        rc = filer_new(&s->settings.filer, &s->view, &files_target, s->files, &s->filer, e);
    if (rc == ERR_OK)
        rc = template_parse(s->settings.path, filer_zone(s->filer), &s->names, e);
    if (rc != ERR_OK)
        return rc;
    files_set_names(s->files, s->names);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = assign(s, &assigned[i], e);
    if (rc == ERR_OK)
        rc = rounds_sweep(s->rounds, assigned, n, s->host->task_count(s->task) == 1, e);
    return rc;
}

static int sink_open(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                     const struct leat_offset *assigned, size_t n, void **self)
{
    struct err e;
    struct sink *s = mem_calloc(1, sizeof(*s));
    int rc = s ? ERR_OK : err_nomem(&e);
    if (rc == ERR_OK) {
        s->host = h;
        s->task = t;
        s->lock = -1;
        record_view_init(&s->view, h, t);
        rc = sink_settings_read(&s->settings, h, c, &e);
    }
    if (rc == ERR_OK)
        rc = s->settings.file ? open_append(s, assigned, n, &e) : open_directory(s, assigned, n, &e);
    if (rc != ERR_OK) {
        rc = s ? give_up(s, &e) : kit_fail(h, t, &e);
        sink_free(s);
        return rc;
    }
    *self = s;
    return LEAT_OK;
}

static int sink_put(void *self, const struct leat_record *records, size_t n)
{
    struct sink *s = self;
    struct err e;
    int rc = s->append ? append_put(s->append, records, n, &e) : filer_put(s->filer, records, n, &e);
    return rc == ERR_OK ? LEAT_OK : give_up(s, &e);
}

static void show(struct sink *s)
{
    struct filer_stats stats = filer_stats(s->filer);
    s->host->gauge(s->task, "files_completed", (double)stats.files);
    s->host->gauge(s->task, "files_open", (double)stats.open);
    s->host->gauge(s->task, "bytes_written", (double)stats.bytes_out);
}

static int sink_flush(void *self, bool final, struct leat_offset *assigned, size_t n, int64_t *next_ms)
{
    struct sink *s = self;
    struct err e;
    int rc = s->append ? append_flush(s->append, final, assigned, n, next_ms, &e)
                       : filer_flush(s->filer, final, assigned, n, next_ms, &e);
    if (rc != ERR_OK)
        return give_up(s, &e);
    s->ended = final;
    if (s->filer)
        show(s);
    return LEAT_OK;
}

/* After a clean end the worker has committed what the last flush reported. */
static void sink_close(void *self)
{
    struct sink *s = self;
    struct err e;
    int rc = ERR_OK;
    if (s->ended)
        rc =
            s->append ? append_settle(s->append, &e) : rounds_settle(s->rounds, sink_committed, &s->view, &e);
    if (rc != ERR_OK)
        s->host->log(s->task, LEAT_WARN, "an offset that is set back now may be taken for a crash: %s",
                     e.text);
    sink_free(s);
}

/* Everything that can be said without looking outside: builds the engine and throws it away. */
int sink_validate(struct leat_task *t, const struct leat_host *h, const struct leat_config *c)
{
    struct err e;
    struct sink_settings s;
    struct record_view view = {h, t, LEAT_CONVERTER_BYTES, LEAT_CONVERTER_BYTES};
    struct filer *f = NULL;
    int rc = sink_settings_read(&s, h, c, &e);
    if (rc == ERR_OK)
        rc = filer_new(&s.filer, &view, &files_target, NULL, &f, &e);
    filer_free(f);
    return rc == ERR_OK ? LEAT_OK : kit_fail(h, t, &e);
}

/* Without what may be written in more than one way: double slashes, "/./", a slash at the end. */
static void copy_path(const char *path, char *out, size_t size)
{
    size_t n = 0;
    for (const char *p = path; *p && n + 1 < size; p++) {
        bool empty = *p == '/' && n > 0 && out[n - 1] == '/';
        if (empty || (*p == '.' && n > 0 && out[n - 1] == '/' && (p[1] == '/' || p[1] == '\0')))
            continue;
        out[n++] = *p;
    }
    while (n > 1 && out[n - 1] == '/')
        n--;
    out[n] = '\0';
}

int sink_outlet(struct leat_task *t, const struct leat_host *h, const struct leat_config *c, bool *by_topic,
                char *out)
{
    struct err e;
    struct sink_settings s;
    struct record_view view = {h, t, LEAT_CONVERTER_BYTES, LEAT_CONVERTER_BYTES};
    struct filer *f = NULL;
    struct template *names = NULL;
    int rc = sink_settings_read(&s, h, c, &e);
    if (rc == ERR_OK)
        copy_path(s.file ? s.file : s.directory, out, LEAT_OUTLET_SIZE);
    if (rc != ERR_OK || s.file)
        return rc == ERR_OK ? LEAT_OK : kit_fail(h, t, &e);
    rc = filer_new(&s.filer, &view, &files_target, NULL, &f, &e);
    if (rc == ERR_OK)
        rc = template_parse(s.path, NULL, &names, &e);
    char *text = rc == ERR_OK ? names_text(&s, f) : NULL;
    if (rc == ERR_OK && !text)
        rc = err_nomem(&e);
    size_t n = strlen(out);
    if (rc == ERR_OK && template_has(names, TEMPLATE_CONNECTOR))
        *out = '\0'; /* no other sink has such names */
    else if (rc == ERR_OK)
        snprintf(out + n, LEAT_OUTLET_SIZE - n, "/%s", text);
    *by_topic = true;
    mem_free(text);
    template_free(names);
    filer_free(f);
    return rc == ERR_OK ? LEAT_OK : kit_fail(h, t, &e);
}

/* Whether the nearest directory that exists can be written to. */
int sink_check(struct leat_task *t, const struct leat_host *h, const struct leat_config *c)
{
    struct err e;
    struct sink_settings s;
    if (sink_settings_read(&s, h, c, &e) != ERR_OK)
        return kit_fail(h, t, &e);
    char *path = s.directory ? mem_strdup(s.directory) : directory_of(s.file);
    while (path && !io_exists(path)) {
        char *up = directory_of(path);
        mem_free(path);
        path = up;
    }
    int rc = path ? LEAT_OK : LEAT_RETRY;
    if (!path)
        h->fail(t, LEAT_RETRY, "out of memory");
    else if (access(path, W_OK | X_OK) != 0)
        rc = h->fail(t, LEAT_FAIL, "%s cannot be written to", path);
    mem_free(path);
    return rc;
}

const struct leat_sink_ops sink_ops = {
    .open = sink_open,
    .put = sink_put,
    .flush = sink_flush,
    .close = sink_close,
};
