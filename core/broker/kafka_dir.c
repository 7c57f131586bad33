/*
 * kafka_dir: what import and export share. See kafka_dir.h.
 */
#include "broker/kafka_dir.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/meta.h"
#include "storage/checkpoint.h"
#include "storage/paths.h"

#define BATCH_BYTES (4u << 20)
#define BATCH_RECORDS 5000 /* a batch is applied as a whole: Kafka takes at most 10,000 */
#define RECORD_OVERHEAD 64

int kafka_property(const char *text, const char *key, char **out, struct err *e)
{
    size_t n = strlen(key);
    *out = NULL;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) != 0 || line[n] != '=')
            continue;
        *out = mem_strndup(line + n + 1, strcspn(line + n + 1, "\r\n"));
        return *out ? ERR_OK : err_nomem(e);
    }
    return ERR_OK;
}

/* Java's FileChannel.lock is a POSIX record lock: seen by whoever asks, whichever process it is. */
int kafka_check_unlocked(const char *dir, struct err *e)
{
    int fd;
    char *path = mem_printf("%s/.lock", dir);
    if (!path)
        return err_nomem(e);
    int rc = io_open(&fd, path, O_RDONLY, 0, e);
    mem_free(path);
    if (rc)
        return rc == ERR_NOT_FOUND ? ERR_OK : rc;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        rc = err_set(e, ERR_BUSY, "%s is in use by the Kafka broker with pid %ld; stop it first", dir,
                     (long)lock.l_pid);
    io_close(fd);
    return rc;
}

struct copy {
    const char *from, *to;
    const struct map *skip;
    uint64_t *bytes;
};

/*
 * Segments with their indexes, snapshots, epochs, metadata; nothing that is on its way out or half made. What a compaction
 * was putting in place counts: the first start finishes it.
 */
static bool belongs(const char *name)
{
    static const char *const suffixes[] = {LOG_SUFFIX, INDEX_SUFFIX, TIME_SUFFIX, TXN_SUFFIX,
                                           SNAPSHOT_SUFFIX};
    int64_t base;
    const char *suffix;
    if (!storage_name_parse(name, &base, &suffix))
        return strcmp(name, "leader-epoch-checkpoint") == 0 || strcmp(name, "partition.metadata") == 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t n = strlen(suffixes[i]);
        if (strncmp(suffix, suffixes[i], n) == 0 &&
            (suffix[n] == '\0' || strcmp(suffix + n, SWAP_SUFFIX) == 0))
            return true;
    }
    return false;
}

static int copy_one(void *arg, const char *name, struct err *e)
{
    const struct copy *c = arg;
    int fd = -1;
    int64_t size = 0;
    if (!belongs(name))
        return ERR_OK;
    char *from = mem_printf("%s/%s", c->from, name), *to = mem_printf("%s/%s", c->to, name);
    bool skipped = from && c->skip && map_get(c->skip, from, strlen(from));
    int rc = from && to ? ERR_OK : err_nomem(e);
    if (!rc && !skipped)
        rc = io_copy_file(from, to, 0600, e);
    if (!rc && !skipped)
        rc = io_open(&fd, to, O_RDONLY, 0, e);
    if (!rc && !skipped)
        rc = io_size(fd, &size, to, e);
    io_close(fd);
    *c->bytes += (uint64_t)size;
    mem_free(to);
    mem_free(from);
    return rc;
}

int kafka_copy_partition(const char *from, const char *to, const struct map *skip, uint64_t *bytes,
                         struct err *e)
{
    struct copy c = {from, to, skip, bytes};
    int rc = io_mkdir(to, 0755, e);
    if (!rc)
        rc = io_list(from, copy_one, &c, e);
    return rc ? rc : io_sync_dir(to, e);
}

int kafka_tell(int (*note)(void *arg, const char *text, struct err *e), void *arg, struct err *e,
               const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return note(arg, text, e);
}

/* Adds what one directory's file says. */
static int add_offsets(const char *dir, const char *name, struct offset_entry **all, size_t *total,
                       struct err *e)
{
    struct offset_entry *list;
    size_t n;
    char *path = mem_printf("%s/%s", dir, name);
    int rc = path ? offset_file_read(path, &list, &n, e) : err_nomem(e);
    mem_free(path);
    if (rc == ERR_CORRUPT) /* Kafka makes it empty at first */
        return ERR_OK;
    if (rc || n == 0)
        return rc;
    struct offset_entry *more = mem_realloc_array(*all, *total + n, sizeof *more);
    if (!more) {
        offset_file_free(list, n);
        return err_nomem(e);
    }
    memcpy(more + *total, list, n * sizeof *more);
    *all = more;
    *total += n;
    mem_free(list); /* the names went over */
    return ERR_OK;
}

int kafka_merge_checkpoint(const char *const *dirs, size_t n, const char *name, const char *to, struct err *e)
{
    struct offset_entry *all = NULL;
    size_t total = 0;
    int rc = ERR_OK;
    for (size_t i = 0; i < n && !rc; i++)
        rc = add_offsets(dirs[i], name, &all, &total, e);
    char *path = mem_printf("%s/%s", to, name);
    if (!rc)
        rc = path ? offset_file_write(path, all, total, e) : err_nomem(e);
    mem_free(path);
    offset_file_free(all, total);
    return rc;
}

int kafka_find_partition(const char *const *dirs, size_t n, const char *name, char **dir, struct err *e)
{
    *dir = NULL;
    for (size_t i = 0; i < n && !*dir; i++) {
        char *path = mem_printf("%s/%s", dirs[i], name);
        if (!path)
            return err_nomem(e);
        if (io_exists(path))
            *dir = path;
        else
            mem_free(path);
    }
    return ERR_OK;
}

/* ---- metadata records ---- */

int kafka_records_begin(struct kafka_records *w, struct err *e)
{
    struct batch_options o = {.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT, .max_bytes = BATCH_BYTES};
    w->now = clock_wall_ms();
    buf_init(&w->frame, 1 << 20);
    w->builder = batch_builder_new(&o, e);
    return w->builder ? ERR_OK : e->code;
}

static int flush_batch(struct kafka_records *w, struct err *e)
{
    uint8_t *data;
    size_t n;
    int32_t count = batch_builder_count(w->builder);
    if (count == 0)
        return ERR_OK;
    int rc = batch_builder_finish(w->builder, &BATCH_NO_PRODUCER, &data, &n, e);
    if (rc)
        return rc;
    batch_assign(data, w->offset, w->epoch);
    w->offset += count;
    return buf_append(w->out, data, n, e);
}

int kafka_records_put(struct kafka_records *w, const struct meta_record *r, struct err *e)
{
    buf_reset(&w->frame);
    int rc = meta_encode(&w->frame, r, e);
    bool full = batch_builder_count(w->builder) >= BATCH_RECORDS ||
                (batch_builder_count(w->builder) > 0 &&
                 batch_builder_bytes(w->builder) + w->frame.len + RECORD_OVERHEAD > BATCH_BYTES);
    if (!rc && full)
        rc = flush_batch(w, e);
    return rc ? rc : batch_builder_add(w->builder, w->now, NULL, 0, w->frame.data, w->frame.len, NULL, 0, e);
}

int kafka_records_end(struct kafka_records *w, int rc, struct err *e)
{
    if (!rc)
        rc = flush_batch(w, e);
    batch_builder_free(w->builder);
    buf_free(&w->frame);
    return rc;
}
