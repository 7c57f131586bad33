/*
 * file sink: rounds that survive a crash. See sink.h for the layout; README.md tells why this is exact. Task thread only.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "connectors/file/sink.h"

#define RECORD_MAX (64u << 20) /* of a round record: 100,000 files of 300 bytes are half of it */

/* A topic-partition's round record that is on disk. */
struct last_round {
    char *topic;
    int32_t partition;
    int64_t next;
};

struct rounds {
    struct last_round *last;
    size_t last_n;
    char *directory;
    char *hidden; /* <directory>/.leat/<connector> */
    char token
        [UUID_TEXT_SIZE]; /* of this life; a round record never names another life's temporaries by chance */
    uint64_t counter;
};

/* ---- directories ----------------------------------------------------------------------------------------------- */

/* A name that is one path segment. */
static int append_segment(struct buf *out, const char *name, struct err *e)
{
    int rc = ERR_OK;
    for (const char *p = name; *p && rc == ERR_OK; p++) {
        bool plain = *p != '/' && *p != '%' && (uint8_t)*p > ' ' && (*p != '.' || p != name);
        rc = plain ? buf_u8(out, (uint8_t)*p, e) : buf_printf(out, e, "%%%02X", (uint8_t)*p);
    }
    return rc;
}

static int set_hidden(struct rounds *r, const char *connector, struct err *e)
{
    struct buf b;
    buf_init(&b, 4096 + strlen(r->directory));
    int rc = buf_printf(&b, e, "%s/.leat/", r->directory);
    if (rc == ERR_OK)
        rc = append_segment(&b, connector, e);
    if (rc == ERR_OK) {
        r->hidden = mem_strndup((const char *)b.data, b.len);
        rc = r->hidden ? ERR_OK : err_nomem(e);
    }
    buf_free(&b);
    return rc;
}

/* Syncs `dir` and everything above it up to the sink's directory. `dir` is changed. */
static int sync_upwards(const struct rounds *r, char *dir, struct err *e)
{
    size_t top = strlen(r->directory);
    int rc = io_sync_dir(dir, e);
    while (rc == ERR_OK && strlen(dir) > top) {
        char *slash = strrchr(dir, '/');
        *slash = '\0';
        rc = io_sync_dir(dir, e);
    }
    return rc;
}

/* Makes `path` with its parents, each name durable in its parent. */
static int make_durable(const char *path, struct err *e)
{
    if (io_exists(path))
        return ERR_OK;
    const char *slash = strrchr(path, '/');
    char *parent = slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
    if (!parent)
        return err_nomem(e);
    int rc = make_durable(parent, e);
    if (rc == ERR_OK)
        rc = io_mkdir(path, 0755, e);
    if (rc == ERR_OK)
        rc = io_sync_dir(parent, e);
    mem_free(parent);
    return rc;
}

int rounds_open(const char *directory, const char *connector, struct rounds **out, struct err *e)
{
    *out = NULL;
    struct rounds *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return err_nomem(e);
    struct uuid token = uuid_random();
    uuid_text(&token, r->token);
    r->directory = mem_strdup(directory);
    int rc = r->directory ? ERR_OK : err_nomem(e);
    for (size_t n = rc == ERR_OK ? strlen(r->directory) : 0; n > 1 && r->directory[n - 1] == '/';)
        r->directory[--n] = '\0';
    if (rc == ERR_OK)
        rc = set_hidden(r, connector, e);
    if (rc == ERR_OK)
        rc = make_durable(r->hidden, e);
    char *copy = rc == ERR_OK ? mem_strdup(r->hidden) : NULL;
    if (rc == ERR_OK)
        rc = copy ? sync_upwards(r, copy, e) : err_nomem(e);
    mem_free(copy);
    if (rc != ERR_OK) {
        rounds_free(r);
        return rc;
    }
    *out = r;
    return ERR_OK;
}

void rounds_free(struct rounds *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->last_n; i++)
        mem_free(r->last[i].topic);
    mem_free(r->last);
    mem_free(r->directory);
    mem_free(r->hidden);
    mem_free(r);
}

const char *rounds_directory(const struct rounds *r)
{
    return r->directory;
}

const char *rounds_hidden(const struct rounds *r)
{
    return r->hidden;
}

char *rounds_temporary(struct rounds *r, const char *topic, int32_t partition)
{
    return mem_printf("%s/%s-%" PRId32 ".%s.%" PRIu64 ".tmp", r->hidden, topic, partition, r->token,
                      r->counter++);
}

/* ---- small files ----------------------------------------------------------------------------------------------- */

int rounds_load(struct rounds *r, const char *name, char **data, size_t *n, struct err *e)
{
    *data = NULL;
    char *path = mem_printf("%s/%s", r->hidden, name);
    if (!path)
        return err_nomem(e);
    int rc = io_read_file(path, RECORD_MAX, data, n, e);
    mem_free(path);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

int rounds_store(struct rounds *r, const char *name, const void *data, size_t n, struct err *e)
{
    char *path = mem_printf("%s/%s", r->hidden, name);
    if (!path)
        return err_nomem(e);
    int rc = io_replace_file(path, data, n, 0644, e);
    mem_free(path);
    return rc;
}

/* ---- which records there are ----------------------------------------------------------------------------------- */

static int last_note(struct rounds *r, const char *topic, int32_t partition, int64_t next, struct err *e)
{
    for (size_t i = 0; i < r->last_n; i++) {
        if (r->last[i].partition == partition && strcmp(r->last[i].topic, topic) == 0) {
            r->last[i].next = next;
            return ERR_OK;
        }
    }
    struct last_round *more = mem_realloc_array(r->last, r->last_n + 1, sizeof(*more));
    if (!more)
        return err_nomem(e);
    r->last = more;
    more[r->last_n] = (struct last_round){mem_strdup(topic), partition, next};
    if (!more[r->last_n].topic)
        return err_nomem(e);
    r->last_n++;
    return ERR_OK;
}

static int remove_record(struct rounds *r, const char *topic, int32_t partition, struct err *e)
{
    char *path = mem_printf("%s/%s-%" PRId32 ".round", r->hidden, topic, partition);
    if (!path)
        return err_nomem(e);
    int rc = io_unlink(path, e);
    mem_free(path);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

int rounds_settle(struct rounds *r, rounds_committed_fn *committed, void *arg, struct err *e)
{
    for (size_t i = 0; i < r->last_n; i++) {
        const struct last_round *l = &r->last[i];
        int64_t offset;
        int rc = committed(arg, l->topic, l->partition, &offset, e);
        if (rc == ERR_OK && offset >= l->next)
            rc = remove_record(r, l->topic, l->partition, e);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

/* ---- finishing ------------------------------------------------------------------------------------------------- */

/* Makes the directories of a file. */
static int make_place(struct rounds *r, const char *path, struct err *e)
{
    char *dir = mem_printf("%s/%s", r->directory, path);
    if (!dir)
        return err_nomem(e);
    *strrchr(dir, '/') = '\0';
    int rc = io_mkdirs(dir, 0755, e);
    mem_free(dir);
    return rc;
}

/* Moves a temporary to its place. In a recovery it may have been moved already, even taken away by a reader since. */
static int finish_file(struct rounds *r, const struct round_file *f, bool again, struct err *e)
{
    struct stat st;
    if (again && stat(f->temporary, &st) != 0)
        return errno == ENOENT ? ERR_OK : err_sys(e, errno, "cannot look at %s", f->temporary);
    if (again && st.st_size != f->bytes)
        return err_set(e, ERR_CORRUPT, "%s has %lld bytes instead of %lld", f->temporary,
                       (long long)st.st_size, (long long)f->bytes);
    int rc = again ? make_place(r, f->path, e) : ERR_OK;
    if (rc != ERR_OK)
        return rc;
    char *target = mem_printf("%s/%s", r->directory, f->path);
    rc = target ? io_rename(f->temporary, target, e) : err_nomem(e);
    mem_free(target);
    return rc;
}

static bool same_directory(const char *a, const char *b)
{
    const char *x = strrchr(a, '/'), *y = strrchr(b, '/');
    size_t n = x ? (size_t)(x - a) : 0;
    return n == (y ? (size_t)(y - b) : 0) && memcmp(a, b, n) == 0;
}

static int sync_directory_of(struct rounds *r, const char *path, struct err *e)
{
    char *dir = mem_printf("%s/%s", r->directory, path);
    if (!dir)
        return err_nomem(e);
    *strrchr(dir, '/') = '\0';
    int rc = sync_upwards(r, dir, e);
    mem_free(dir);
    return rc;
}

/* Every file to its place, then the directories. */
static int finish(struct rounds *r, const struct round_file *files, size_t n, bool again, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = finish_file(r, &files[i], again, e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        if (i == 0 || !same_directory(files[i].path, files[i - 1].path))
            rc = sync_directory_of(r, files[i].path, e);
    }
    return rc;
}

/* ---- the record ------------------------------------------------------------------------------------------------ */

static json_t *record_json(const struct filer_round *round, const char *id, int64_t committed,
                           const struct round_file *files)
{
    json_t *list = json_array();
    for (size_t i = 0; i < round->count; i++) {
        const char *name = strrchr(files[i].temporary, '/') + 1;
        json_array_append_new(list, json_pack("{s:s, s:s%, s:I}", "temporary", name, "path", files[i].path,
                                              strlen(files[i].path), "bytes", (json_int_t)files[i].bytes));
    }
    json_t *record = json_pack("{s:s, s:s, s:i, s:I, s:I, s:o}", "topic", round->topic, "id", id, "partition",
                               (int)round->partition, "committed", (json_int_t)committed, "next",
                               (json_int_t)round->next, "files", list);
    if (record && json_array_size(json_object_get(record, "files")) == round->count)
        return record;
    json_decref(record);
    return NULL;
}

static int store_record(struct rounds *r, const struct filer_round *round, const char *id, int64_t committed,
                        const struct round_file *files, bool *sealed, struct err *e)
{
    json_t *record = record_json(round, id, committed, files);
    char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    json_decref(record);
    char *name = mem_printf("%s-%" PRId32 ".round", round->topic, round->partition);
    int rc;
    if (!text || !name) {
        rc = err_set(e, ERR_INVALID_RECORD, "%s-%d: a file name that is no UTF-8, or out of memory",
                     round->topic, (int)round->partition);
    } else {
        *sealed = true;
        rc = rounds_store(r, name, text, strlen(text), e);
    }
    mem_free(name);
    free(text);
    return rc;
}

int rounds_commit(struct rounds *r, const struct filer_round *round, const char *id, int64_t committed,
                  const struct round_file *files, bool *sealed, struct err *e)
{
    *sealed = false;
    int rc = ERR_OK;
    /* Before the commit point: what cannot be made must not be promised. */
    for (size_t i = 0; i < round->count && rc == ERR_OK; i++)
        rc = make_place(r, files[i].path, e);
    if (rc == ERR_OK)
        rc = store_record(r, round, id, committed, files, sealed, e);
    if (rc == ERR_OK)
        rc = finish(r, files, round->count, false, e);
    return rc == ERR_OK ? last_note(r, round->topic, round->partition, round->next, e) : rc;
}

static int finish_again(struct rounds *r, json_t *list, struct err *e)
{
    size_t n = json_array_size(list), i = 0;
    struct round_file *files = mem_calloc(n ? n : 1, sizeof(*files));
    if (!files)
        return err_nomem(e);
    int rc = ERR_OK;
    for (; i < n && rc == ERR_OK; i++) {
        const char *temporary, *path;
        json_int_t bytes;
        if (json_unpack(json_array_get(list, i), "{s:s, s:s, s:I}", "temporary", &temporary, "path", &path,
                        "bytes", &bytes) != 0)
            rc = err_set(e, ERR_CORRUPT, "a file's entry is not understood");
        else if (!(files[i].temporary = mem_printf("%s/%s", r->hidden, temporary)))
            rc = err_nomem(e);
        files[i].path = path;
        files[i].bytes = (int64_t)bytes;
    }
    if (rc == ERR_OK)
        rc = finish(r, files, n, true, e);
    for (size_t k = 0; k < i; k++)
        mem_free((void *)(uintptr_t)files[k].temporary);
    mem_free(files);
    return rc;
}

/* Was the record made of an earlier topic of this name? Records of old say nothing of it. */
static bool is_of_another(json_t *record, const char *id)
{
    const char *was = json_string_value(json_object_get(record, "id"));
    return was && *was && *id && strcmp(was, id) != 0;
}

int rounds_recover(struct rounds *r, const char *topic, int32_t partition, const char *id, int64_t committed,
                   int64_t *next, struct err *e)
{
    *next = -1;
    char *name = mem_printf("%s-%" PRId32 ".round", topic, partition);
    if (!name)
        return err_nomem(e);
    char *data;
    size_t n;
    json_t *record = NULL, *files;
    json_int_t was_committed, was_next;
    int rc = rounds_load(r, name, &data, &n, e);
    if (rc != ERR_OK || !data)
        goto named;
    record = json_loadb(data, n, 0, NULL);
    if (!record || json_unpack(record, "{s:I, s:I, s:o}", "committed", &was_committed, "next", &was_next,
                               "files", &files) != 0)
        rc = err_set(e, ERR_CORRUPT, "not a round record");
    else
        rc = finish_again(r, files, e);
    if (rc != ERR_OK)
        err_wrap(e, "%s/%s", r->hidden, name);
    else if (committed >= was_committed && committed < was_next && !is_of_another(record, id))
        rc = last_note(r, topic, partition, *next = (int64_t)was_next, e);
    else
        rc = remove_record(r, topic, partition, e);
    json_decref(record);
    mem_free(data);
named:
    mem_free(name);
    return rc;
}

/* ---- left-overs ------------------------------------------------------------------------------------------------ */

struct sweep {
    struct rounds *rounds;
    const struct leat_offset *assigned;
    size_t n;
    bool everybody;
};

/* "TOKEN.NUMBER.tmp". Another topic's name may begin as this one's does and go on with a dot: orders-1 and orders-1.eu-0. */
static bool ends_as_temporary(const char *rest)
{
    const char *number = strchr(rest, '.');
    return number && number[1] != '.' && strcmp(number + 1 + strspn(number + 1, "0123456789"), ".tmp") == 0;
}

static bool is_assigned(const struct sweep *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        char prefix[512];
        int len = snprintf(prefix, sizeof(prefix), "%s-%" PRId32 ".", s->assigned[i].topic,
                           s->assigned[i].partition);
        if (strncmp(name, prefix, (size_t)len) == 0 && ends_as_temporary(name + len))
            return true;
    }
    return false;
}

static int sweep_one(void *arg, const char *name, struct err *e)
{
    struct sweep *s = arg;
    size_t n = strlen(name);
    if (n < 4 || strcmp(name + n - 4, ".tmp") != 0 || !(s->everybody || is_assigned(s, name)))
        return ERR_OK;
    char *path = mem_printf("%s/%s", s->rounds->hidden, name);
    if (!path)
        return err_nomem(e);
    int rc = io_unlink(path, e);
    mem_free(path);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

int rounds_sweep(struct rounds *r, const struct leat_offset *assigned, size_t n, bool everybody,
                 struct err *e)
{
    struct sweep s = {r, assigned, n, everybody};
    return io_list(r->hidden, sweep_one, &s, e);
}
