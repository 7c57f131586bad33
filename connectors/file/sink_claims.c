/*
 * file sink: who writes what into a directory, and of which life of a topic it is. `<directory>/.leat/<connector>/` is held by
 * a lock as long as a task uses it; in it `<topic>.topic` says of a topic
 *
 *   {"id":"<topic id>","mark":".1a2b3c4d","names":"<path template and extension>"}
 *
 * The names are claimed by it: another connector with the same ones would overwrite what this one has delivered, also if this
 * one does not run now. The id tells a topic that was made anew, whose offsets begin again; its files get the mark. Claims are
 * taken one at a time under `<directory>/.leat/%lock`. Task thread only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include <jansson.h>

#include "base/io.h"
#include "base/mem.h"
#include "connectors/file/sink.h"

#define CLAIM_MAX (64u << 10)
#define LOCK_NAME "%lock" /* no connector's directory is called so: its % would be written %25 */

/* ---- locks ------------------------------------------------------------------------------------------------------ */

int claims_lock(int fd, bool wait)
{
    while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) != 0) {
        if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP || errno == EINVAL)
            return 0;
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

/* *fd -1 after an error. */
static int lock_file(const char *path, bool wait, int *fd, struct err *e)
{
    int rc = io_open(fd, path, O_RDWR | O_CREAT, 0644, e);
    if (rc != ERR_OK) {
        *fd = -1;
        return rc;
    }
    int errnum = claims_lock(*fd, wait);
    if (errnum == 0)
        return ERR_OK;
    io_close(*fd);
    *fd = -1;
    return errnum == EWOULDBLOCK ? err_set(e, ERR_BUSY, "%s is held by another task or hub", path)
                                 : err_sys(e, errnum, "cannot lock %s", path);
}

int claims_hold(struct rounds *r, int task, int *fd, struct err *e)
{
    char *path = mem_printf("%s/task-%d.lock", rounds_hidden(r), task);
    if (!path)
        return err_nomem(e);
    int rc = lock_file(path, false, fd, e);
    mem_free(path);
    return rc;
}

/* ---- one claim -------------------------------------------------------------------------------------------------- */

/* *out NULL: there is none. */
static int load_claim(const char *path, json_t **out, struct err *e)
{
    char *data;
    size_t n;
    *out = NULL;
    int rc = io_read_file(path, CLAIM_MAX, &data, &n, e);
    if (rc != ERR_OK)
        return rc == ERR_NOT_FOUND ? ERR_OK : rc;
    *out = json_loadb(data, n, 0, NULL);
    mem_free(data);
    return json_is_object(*out) ? ERR_OK : err_set(e, ERR_CORRUPT, "%s is not understood", path);
}

static int store_claim(const char *path, const struct claim *c, const char *names, struct err *e)
{
    json_t *o = json_pack("{s:s, s:s, s:s}", "id", c->id, "mark", c->mark, "names", names);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (!text)
        return err_set(e, ERR_INVALID_CONFIG, "path: names that are no UTF-8, or out of memory");
    int rc = io_replace_file(path, text, strlen(text), 0644, e);
    free(text);
    return rc;
}

static const char *text_of(json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text ? text : "";
}

/* ---- others ----------------------------------------------------------------------------------------------------- */

struct search {
    const char *root; /* <directory>/.leat */
    const char *own;  /* the last part of the hidden directory */
    const char *topic, *names;
};

static int look_at(void *arg, const char *name, struct err *e)
{
    const struct search *s = arg;
    if (strcmp(name, s->own) == 0 || strcmp(name, LOCK_NAME) == 0)
        return ERR_OK;
    char *path = mem_printf("%s/%s/%s.topic", s->root, name, s->topic);
    json_t *claim = NULL;
    int rc = path ? load_claim(path, &claim, e) : err_nomem(e);
    if (rc == ERR_OK && claim && strcmp(text_of(claim, "names"), s->names) == 0)
        rc = err_set(
            e, ERR_INVALID_CONFIG,
            "sink %s writes topic %s to files of the same names in the same directory: give each sink a "
            "directory, or put ${connector} into path; if %s is no more, remove %s",
            name, s->topic, name, path);
    json_decref(claim);
    mem_free(path);
    return rc;
}

/* ---- taking ----------------------------------------------------------------------------------------------------- */

/* What the state says, brought up to date with the topic's id. */
static int renew(const char *path, const char *id, const char *names, struct claim *c, bool *anew,
                 struct err *e)
{
    json_t *old;
    int rc = load_claim(path, &old, e);
    if (rc != ERR_OK)
        return rc;
    const char *was = text_of(old, "id");
    *anew = *was && *id && strcmp(was, id) != 0;
    snprintf(c->id, sizeof(c->id), "%s", *id ? id : was);
    snprintf(c->mark, sizeof(c->mark), "%s", text_of(old, "mark"));
    if (*anew)
        kit_topic_mark(id, c->mark);
    bool same = old && strcmp(was, c->id) == 0 && strcmp(text_of(old, "names"), names) == 0;
    json_decref(old);
    return same ? ERR_OK : store_claim(path, c, names, e);
}

int claims_take(struct rounds *r, const char *topic, const char *id, const char *names, bool shared,
                struct claim *c, bool *anew, struct err *e)
{
    *c = (struct claim){.topic = mem_strdup(topic)};
    const char *hidden = rounds_hidden(r);
    const char *own = strrchr(hidden, '/') + 1;
    char *root = mem_strndup(hidden, (size_t)(own - 1 - hidden));
    char *path = mem_printf("%s/%s.topic", hidden, topic);
    char *lock = root ? mem_printf("%s/%s", root, LOCK_NAME) : NULL;
    int fd = -1;
    int rc = c->topic && path && lock ? lock_file(lock, true, &fd, e) : err_nomem(e);
    if (rc == ERR_OK && !shared) {
        struct search s = {root, own, topic, names};
        rc = io_list(root, look_at, &s, e);
    }
    if (rc == ERR_OK)
        rc = renew(path, id ? id : "", names, c, anew, e);
    io_close(fd);
    mem_free(lock);
    mem_free(path);
    mem_free(root);
    if (rc != ERR_OK)
        claim_clear(c);
    return rc;
}

void claim_clear(struct claim *c)
{
    mem_free(c->topic);
    c->topic = NULL;
}

const struct claim *claims_find(const struct claims *c, const char *topic)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->items[i].topic, topic) == 0)
            return &c->items[i];
    return NULL;
}
