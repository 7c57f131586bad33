/*
 * file sink: the filer's target that makes each byte stream a file: a temporary in the hidden directory, synced and moved
 * to its name when its round is committed. Task thread only.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "connectors/file/sink.h"

#define NAME_MAX_BYTES 8192u

struct files {
    struct rounds *rounds;
    const struct template *names;
    struct record_view task;
    const struct claims *claims;
    struct round_file *list; /* of a round */
    size_t list_cap;
    bool told; /* that files are replaced */
};

struct open_file {
    int fd;
    int64_t bytes;
    char *temporary;
    char *path;  /* relative */
    bool sealed; /* a round record may name the temporary */
};

int files_new(struct rounds *rounds, const struct record_view *task, const struct claims *claims,
              struct files **out, struct err *e)
{
    struct files *f = mem_calloc(1, sizeof(*f));
    *out = f;
    if (!f)
        return err_nomem(e);
    f->rounds = rounds;
    f->task = *task;
    f->claims = claims;
    return ERR_OK;
}

void files_set_names(struct files *f, const struct template *names)
{
    f->names = names;
}

void files_free(struct files *f)
{
    if (!f)
        return;
    mem_free(f->list);
    mem_free(f);
}

static void open_file_free(struct open_file *o)
{
    io_close(o->fd);
    mem_free(o->temporary);
    mem_free(o->path);
    mem_free(o);
}

/* A part of a name that no file system takes is found before anything is written. */
static int check_parts(const struct filer_file *file, const char *path, struct err *e)
{
    for (const char *p = path; *p; p += strspn(p, "/")) {
        size_t n = strcspn(p, "/");
        if (n > NAME_MAX)
            return err_set(e, ERR_INVALID_RECORD,
                           "%s-%" PRId32 "@%" PRId64 ": a name of %zu bytes, %d are possible: %.60s...",
                           file->topic, file->partition, file->start_offset, n, NAME_MAX, p);
        p += n;
    }
    return ERR_OK;
}

static int name_file(struct files *f, const struct filer_file *file, char **path, struct err *e)
{
    struct template_values v = {.topic = file->topic,
                                .partition = file->partition,
                                .start_offset = file->start_offset,
                                .encoded_partition = file->encoded_partition,
                                .time_ms = file->time_ms,
                                .connector = f->task.host->task_name(f->task.task),
                                .extension = file->extension};
    struct buf b;
    buf_init(&b, NAME_MAX_BYTES);
    int rc = template_format(f->names, &v, &b, e);
    if (rc == ERR_OK && !template_has(f->names, TEMPLATE_EXTENSION))
        rc = buf_str(&b, file->mark, e);
    if (rc == ERR_OK) {
        *path = mem_strndup((const char *)b.data, b.len);
        rc = *path ? check_parts(file, *path, e) : err_nomem(e);
    }
    buf_free(&b);
    return rc;
}

static int target_open(void *arg, const struct filer_file *file, void **handle, struct err *e)
{
    struct files *f = arg;
    struct open_file *o = mem_calloc(1, sizeof(*o));
    if (!o)
        return err_nomem(e);
    o->fd = -1;
    int rc = name_file(f, file, &o->path, e);
    if (rc == ERR_OK) {
        o->temporary = rounds_temporary(f->rounds, file->topic, file->partition);
        rc =
            o->temporary ? io_open(&o->fd, o->temporary, O_WRONLY | O_CREAT | O_EXCL, 0644, e) : err_nomem(e);
    }
    if (rc != ERR_OK) {
        open_file_free(o);
        return rc;
    }
    *handle = o;
    return ERR_OK;
}

static int target_write(void *arg, void *handle, const void *data, size_t n, struct err *e)
{
    (void)arg;
    struct open_file *o = handle;
    int rc = io_pwrite(o->fd, data, n, o->bytes, o->temporary, e);
    o->bytes += (int64_t)n;
    return rc;
}

static int list_reserve(struct files *f, size_t n, struct err *e)
{
    if (n <= f->list_cap)
        return ERR_OK;
    struct round_file *list = mem_realloc_array(f->list, n, sizeof(*list));
    if (!list)
        return err_nomem(e);
    f->list = list;
    f->list_cap = n;
    return ERR_OK;
}

/* Offsets were set back, so it is meant; a topic that was made anew has other names. Said once a task's life. */
static int tell_replaced(struct files *f, const char *path, struct err *e)
{
    struct stat st;
    if (f->told)
        return ERR_OK;
    char *target = mem_printf("%s/%s", rounds_directory(f->rounds), path);
    if (!target)
        return err_nomem(e);
    f->told = stat(target, &st) == 0;
    if (f->told)
        f->task.host->log(f->task.task, LEAT_WARN,
                          "%s and perhaps more is replaced, as offsets were set back", target);
    mem_free(target);
    return ERR_OK;
}

static int target_commit(void *arg, const struct filer_round *round, struct err *e)
{
    struct files *f = arg;
    int rc = list_reserve(f, round->count, e);
    for (size_t i = 0; i < round->count && rc == ERR_OK; i++) {
        struct open_file *o = round->handles[i];
        f->list[i] = (struct round_file){o->temporary, o->path, o->bytes};
        rc = io_sync(o->fd, o->temporary, e);
        if (rc == ERR_OK)
            rc = tell_replaced(f, o->path, e);
    }
    if (rc != ERR_OK)
        return rc;
    int64_t committed;
    bool sealed;
    rc = sink_committed(&f->task, round->topic, round->partition, &committed, e);
    if (rc != ERR_OK)
        return rc;
    const struct claim *claim = claims_find(f->claims, round->topic);
    rc = rounds_commit(f->rounds, round, claim ? claim->id : "", committed, f->list, &sealed, e);
    for (size_t i = 0; i < round->count; i++) {
        struct open_file *o = round->handles[i];
        o->sealed = sealed;
        if (rc == ERR_OK)
            open_file_free(o);
    }
    return rc;
}

static void target_drop(void *arg, void *handle)
{
    (void)arg;
    struct open_file *o = handle;
    struct err ignored; /* what stays is swept at the next open */
    if (!o->sealed)
        (void)io_unlink(o->temporary, &ignored);
    open_file_free(o);
}

const struct filer_target files_target = {
    .open = target_open,
    .write = target_write,
    .commit = target_commit,
    .drop = target_drop,
};
