/*
 * dump: which file is what, and the order of a directory. See dump.h.
 */
#include "broker/dump_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/disk_internal.h"
#include "broker/store.h"
#include "storage/paths.h"

#define DEPTH_MAX 8

static bool has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcmp(s + n - m, suffix) == 0;
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* By the name of the directory that the file lies in. */
static enum dump_decoder decoder_for(const char *path)
{
    static const struct {
        const char *topic;
        enum dump_decoder decoder;
    } topics[] = {
        {META_TOPIC_NAME, DUMP_METADATA}, {OFFSETS_TOPIC, DUMP_OFFSETS}, {TXN_TOPIC, DUMP_TRANSACTIONS}};
    const char *end = last_name(path);
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        size_t n = strlen(topics[i].topic);
        const char *at = path;
        while ((at = strstr(at, topics[i].topic)) && at < end) {
            if ((at == path || at[-1] == '/') && at[n] == '-')
                return topics[i].decoder;
            at += n;
        }
    }
    return DUMP_PLAIN;
}

/* A file named after its first offset. *known is false for other suffixes. */
static int dump_numbered(struct dump *d, const char *path, int64_t base, const char *suffix, bool *known,
                         struct err *e)
{
    *known = true;
    if (strcmp(suffix, LOG_SUFFIX) == 0)
        return dump_batches(d, path, base, decoder_for(path), e);
    if (strcmp(suffix, INDEX_SUFFIX) == 0)
        return dump_index(d, path, base, false, e);
    if (strcmp(suffix, TIME_SUFFIX) == 0)
        return dump_index(d, path, base, true, e);
    if (strcmp(suffix, TXN_SUFFIX) == 0)
        return dump_txnindex(d, path, e);
    if (strcmp(suffix, SNAPSHOT_SUFFIX) == 0)
        return dump_snapshot(d, path, e);
    if (has_suffix(suffix, ".checkpoint")) /* a snapshot of KRaft: "<offset>-<epoch>.checkpoint" */
        return dump_batches(d, path, 0, DUMP_METADATA, e);
    *known = false;
    return ERR_OK;
}

static int dump_file(struct dump *d, const char *path, bool *known, struct err *e)
{
    const char *name = last_name(path), *suffix;
    int64_t base;
    *known = true;
    if (storage_name_parse(name, &base, &suffix))
        return dump_numbered(d, path, base, suffix, known, e);
    if (strcmp(name, "bootstrap.checkpoint") == 0)
        return dump_batches(d, path, 0, DUMP_METADATA, e);
    if (strcmp(name, "leader-epoch-checkpoint") == 0)
        return dump_epochs(d, path, e);
    if (has_suffix(name, "-offset-checkpoint"))
        return dump_offsets_file(d, path, e);
    if (strcmp(name, "partition.metadata") == 0)
        return dump_metadata_file(d, path, e);
    if (strcmp(name, "meta.properties") == 0)
        return dump_properties(d, path, e);
    *known = false;
    return ERR_OK;
}

/* ---- directories ---- */

struct names {
    char **list;
    size_t n;
};

static int see_name(void *arg, const char *name, struct err *e)
{
    struct names *x = arg;
    char **list = mem_realloc_array(x->list, x->n + 1, sizeof *list);
    if (!list)
        return err_nomem(e);
    x->list = list;
    x->list[x->n] = mem_strdup(name);
    return x->list[x->n++] ? ERR_OK : err_nomem(e);
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static int dump_any(struct dump *d, const char *path, int depth, bool named, struct err *e);

static int dump_dir(struct dump *d, const char *dir, int depth, struct err *e)
{
    struct names x = {0};
    int64_t *bases;
    size_t segments;
    if (strcmp(last_name(dir), "journal") == 0)
        return dump_journal(d, dir, e);
    if (d->o->verify && storage_list(dir, LOG_SUFFIX, &bases, &segments, e) == ERR_OK) {
        mem_free(bases);
        if (segments)
            return dump_verify(d, dir, e);
    }
    if (depth > DEPTH_MAX)
        return err_set(e, ERR_INVALID, "%s: directories below each other without end", dir);
    int rc = io_list(dir, see_name, &x, e);
    if (!rc && x.n)
        qsort(x.list, x.n, sizeof *x.list, by_text);
    for (size_t i = 0; i < x.n && !rc; i++) {
        char *path = mem_printf("%s/%s", dir, x.list[i]);
        rc = path ? dump_any(d, path, depth + 1, false, e) : err_nomem(e);
        mem_free(path);
    }
    for (size_t i = 0; i < x.n; i++)
        mem_free(x.list[i]);
    mem_free(x.list);
    return rc;
}

/* `named`: the caller asked for this very one; else what vanished meanwhile, or is unknown, is passed over. */
static int dump_any(struct dump *d, const char *path, int depth, bool named, struct err *e)
{
    struct stat st;
    bool known;
    if (stat(path, &st) != 0)
        return named ? err_set(e, ERR_NOT_FOUND, "there is no %s", path) : ERR_OK;
    if (S_ISDIR(st.st_mode))
        return dump_dir(d, path, depth, e);
    int rc = S_ISREG(st.st_mode) ? dump_file(d, path, &known, e) : (known = false, ERR_OK);
    if (rc == ERR_NOT_FOUND && !named)
        return ERR_OK;
    if (!rc && !known && named)
        return err_set(e, ERR_INVALID,
                       "%s is no file of a store that a name tells (a journal is shown as a directory)",
                       path);
    return rc;
}

static int run(const struct dump_options *o, struct dump_report *r, const char *path, bool segments,
               struct err *e)
{
    struct dump d = {.o = o, .r = r};
    int64_t *bases = NULL;
    size_t n = 0;
    char file[STORAGE_PATH_MAX];
    buf_init(&d.line, DUMP_LINE_MAX);
    int rc = segments && o->verify ? dump_verify(&d, path, e)
             : segments            ? storage_list(path, LOG_SUFFIX, &bases, &n, e)
                                   : dump_any(&d, path, 0, true, e);
    for (size_t i = 0; i < n && !rc; i++) {
        if (i + 1 < n && bases[i + 1] <= o->from)
            continue; /* all of it lies below */
        storage_path(file, path, bases[i], LOG_SUFFIX, "");
        rc = dump_batches(&d, file, bases[i], decoder_for(file), e);
        rc = rc == ERR_NOT_FOUND ? ERR_OK : rc; /* retention was faster */
    }
    mem_free(bases);
    buf_free(&d.line);
    return rc;
}

int dump_path(const struct dump_options *o, const char *path, struct dump_report *r, struct err *e)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') /* as shells complete it: what it is, its last name tells */
        n--;
    char *name = mem_strndup(path, n);
    int rc = name ? run(o, r, name, false, e) : err_nomem(e);
    mem_free(name);
    return rc;
}

int dump_partition(const struct dump_options *o, const char *dir, struct dump_report *r, struct err *e)
{
    return run(o, r, dir, true, e);
}

/* ---- a topic ---- */

struct found {
    const char *logs, *topic;
    int32_t wanted; /* -1: all */
    struct found_partition {
        int32_t index;
        char *dir;
    } * list;
    size_t n;
};

static int see_directory(void *arg, const char *name, struct err *e)
{
    struct found *f = arg;
    char topic[TOPIC_NAME_MAX + 1];
    int32_t index;
    if (!partition_dir_parse(name, topic, &index) || strcmp(topic, f->topic) != 0 ||
        (f->wanted >= 0 && index != f->wanted))
        return ERR_OK;
    struct found_partition *list = mem_realloc_array(f->list, f->n + 1, sizeof *list);
    if (!list)
        return err_nomem(e);
    f->list = list;
    f->list[f->n] = (struct found_partition){index, mem_printf("%s/%s", f->logs, name)};
    return f->list[f->n++].dir ? ERR_OK : err_nomem(e);
}

static int look_into(struct found *f, const char *data_dir, struct err *e)
{
    char *logs = mem_printf("%s/logs", data_dir);
    int rc = logs ? ERR_OK : err_nomem(e);
    f->logs = logs;
    if (!rc && io_exists(logs))
        rc = io_list(logs, see_directory, f, e);
    mem_free(logs);
    return rc;
}

static int by_index(const void *a, const void *b)
{
    const struct found_partition *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

int dump_topic(const struct dump_options *o, const char *data_dir, const char *topic, int32_t partition,
               struct dump_report *r, struct err *e)
{
    struct found f = {.topic = topic, .wanted = partition};
    struct disk_lines lines;
    int rc = disk_lines_read(data_dir, &lines, e);
    if (rc)
        return rc;
    rc = look_into(&f, data_dir, e);
    for (size_t i = 0; i < lines.n && !rc; i++)
        rc = look_into(&f, lines.list[i].dir, e);
    disk_lines_free(&lines);
    if (!rc && f.n == 0)
        rc = err_set(e, ERR_NOT_FOUND,
                     "%s: there is no such file or directory, and nothing of such a topic in %s", topic,
                     data_dir);
    if (f.n)
        qsort(f.list, f.n, sizeof *f.list, by_index);
    for (size_t i = 0; i < f.n && !rc; i++)
        rc = dump_partition(o, f.list[i].dir, r, e);
    for (size_t i = 0; i < f.n; i++)
        mem_free(f.list[i].dir);
    mem_free(f.list);
    return rc;
}
