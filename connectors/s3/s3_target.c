/*
 * s3_target: part buffers, uploads, and the commit of a round. See s3_target.h.
 */
#include "s3_target.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define ETAGS_STEP 64

struct s3_file {
    struct s3_file *next;
    char *key;
    struct template_values name; /* for another key; its strings are the filer's */
    struct buf part;
    char *upload_id; /* NULL: no part was uploaded yet */
    char (*etags)[S3_ETAG_SIZE];
    size_t parts;
    int64_t uploaded; /* bytes in the uploaded parts */
};

struct s3_target {
    struct s3_target_config config;
    struct s3_file *files;
    struct buf spare; /* a part buffer out of use, so that its memory is touched once only */
    size_t memory;    /* capacity of all part buffers and the spare one */
    uint64_t objects;
    bool conditional;
};

int s3_target_new(const struct s3_target_config *c, struct s3_target **out, struct err *e)
{
    struct s3_target *t = mem_calloc(1, sizeof *t);

    *out = t;
    if (!t)
        return err_nomem(e);
    t->config = *c;
    buf_init(&t->spare, c->settings->part_size);
    return ERR_OK;
}

void s3_target_free(struct s3_target *t)
{
    if (!t)
        return;
    buf_free(&t->spare);
    mem_free(t);
}

void s3_target_set_conditional(struct s3_target *t, bool on)
{
    t->conditional = on;
}

size_t s3_target_memory(const struct s3_target *t)
{
    return t->memory;
}

uint64_t s3_target_objects(const struct s3_target *t)
{
    return t->objects;
}

/* ---- files
 * --------------------------------------------------------------------------------------------------- */

static int make_key(struct s3_target *t, const struct template_values *name, char **out, struct err *e)
{
    struct buf text;
    int rc;

    *out = NULL;
    buf_init(&text, 64 << 10);
    rc = layout_format(&t->config.settings->layout, name, &text, e);
    if (rc == ERR_OK)
        rc = buf_str(&text, name->extension, e);
    if (rc == ERR_OK && text.len >= S3_KEY_SIZE)
        rc = err_set(e, ERR_TOO_LARGE, "an object's name would have %zu bytes, S3 allows %d: %.*s...",
                     text.len, S3_KEY_SIZE - 1, 200, (const char *)text.data);
    if (rc == ERR_OK && !(*out = mem_strndup((const char *)text.data, text.len)))
        rc = err_nomem(e);
    buf_free(&text);
    return rc;
}

/* Gives back the part's memory, or keeps it as the spare one. */
static void release_part(struct s3_target *t, struct buf *part)
{
    if (!t->spare.data && part->data) {
        t->spare = *part;
        buf_reset(&t->spare);
    } else {
        t->memory -= part->cap;
        buf_free(part);
    }
    buf_init(part, t->config.settings->part_size);
}

static void free_file(struct s3_target *t, struct s3_file *f)
{
    struct s3_file **link = &t->files;

    while (*link && *link != f)
        link = &(*link)->next;
    if (*link)
        *link = f->next;
    release_part(t, &f->part);
    mem_free(f->key);
    mem_free(f->upload_id);
    mem_free(f->etags);
    mem_free(f);
}

static int target_open(void *arg, const struct filer_file *file, void **handle, struct err *e)
{
    struct s3_target *t = arg;
    struct s3_file *f = mem_calloc(1, sizeof *f);

    *handle = NULL;
    if (!f)
        return err_nomem(e);
    f->name = (struct template_values){.topic = file->topic,
                                       .partition = file->partition,
                                       .start_offset = file->start_offset,
                                       .encoded_partition = file->encoded_partition,
                                       .time_ms = file->time_ms,
                                       .extension = file->extension};
    if (make_key(t, &f->name, &f->key, e)) {
        mem_free(f);
        return e->code;
    }
    f->part = t->spare;
    buf_init(&t->spare, t->config.settings->part_size);
    f->part.max = t->config.settings->part_size;
    f->next = t->files;
    t->files = f;
    *handle = f;
    return ERR_OK;
}

/* ---- uploading
 * ----------------------------------------------------------------------------------------------- */

/* Gives the file the first name behind its own that no object has. */
static int take_free_name(struct s3_target *t, struct s3_file *f, struct err *e)
{
    struct template_values name = f->name;

    for (int i = 0; i < t->config.settings->scan_limit; i++) {
        struct s3_object_info info;
        char *key;
        int rc;

        name.start_offset++;
        if (make_key(t, &name, &key, e))
            return e->code;
        rc = s3_head_object(t->config.api, key, &info, e);
        if (rc == ERR_NOT_FOUND) {
            mem_free(f->key);
            f->key = key;
            f->name = name;
            return ERR_OK;
        }
        mem_free(key);
        if (rc)
            return rc;
    }
    return err_set(e, ERR_EXISTS, "%s/%s and the %d names after it are taken (max.files.scan.limit)",
                   s3_api_where(t->config.api), f->key, t->config.settings->scan_limit);
}

static int begin_upload(struct s3_target *t, struct s3_file *f, struct err *e)
{
    char upload_id[S3_UPLOAD_ID_SIZE];
    int rc = ERR_OK;

    if (t->conditional) { /* the name is fixed from here on, so look before the data goes up */
        struct s3_object_info info;

        rc = s3_head_object(t->config.api, f->key, &info, e);
        if (rc == ERR_OK)
            rc = take_free_name(t, f, e);
        else if (rc == ERR_NOT_FOUND)
            rc = ERR_OK;
    }
    if (rc == ERR_OK)
        rc = s3_create_upload(t->config.api, f->key, upload_id, e);
    if (rc)
        return rc;
    f->upload_id = mem_strdup(upload_id);
    if (f->upload_id)
        return ERR_OK;
    s3_abort_upload(t->config.api, f->key, upload_id, e); /* best effort, what counts is the memory */
    return err_nomem(e);
}

static int upload_part(struct s3_target *t, struct s3_file *f, struct err *e)
{
    if (!f->upload_id && begin_upload(t, f, e))
        return e->code;
    if (f->parts == S3_PARTS_MAX)
        return err_set(e, ERR_TOO_LARGE,
                       "%s/%s would have more than %d parts: raise s3.part.size or rotate earlier",
                       s3_api_where(t->config.api), f->key, S3_PARTS_MAX);
    if (f->parts % ETAGS_STEP == 0) {
        char(*longer)[S3_ETAG_SIZE] = mem_realloc_array(f->etags, f->parts + ETAGS_STEP, sizeof *longer);

        if (!longer)
            return err_nomem(e);
        f->etags = longer;
    }
    if (s3_upload_part(t->config.api, f->key, f->upload_id, (int)f->parts + 1, f->part.data, f->part.len,
                       f->etags[f->parts], e))
        return e->code;
    f->parts++;
    f->uploaded += (int64_t)f->part.len;
    buf_reset(&f->part);
    return ERR_OK;
}

static struct s3_file *fullest_file(const struct s3_target *t)
{
    struct s3_file *best = NULL;

    for (struct s3_file *f = t->files; f; f = f->next)
        if (!best || f->part.len > best->part.len)
            best = f;
    return best;
}

/*
 * Makes room for `grow` more bytes of buffers below the limit: the spare buffer goes first, then the fullest part goes
 * up early. If that is `self`'s own part, its empty buffer is the room. Parts below S3's minimum stay, whatever the
 * limit says.
 */
static int make_room(struct s3_target *t, const struct s3_file *self, size_t grow, struct err *e)
{
    while (t->memory + grow > t->config.settings->memory_max) {
        struct s3_file *f = fullest_file(t);

        if (t->spare.data) {
            t->memory -= t->spare.cap;
            buf_free(&t->spare);
            continue;
        }
        if (!f || f->part.len < S3_PART_MIN)
            return ERR_OK;
        if (upload_part(t, f, e))
            return e->code;
        if (f == self)
            return ERR_OK;
        t->memory -= f->part.cap;
        buf_free(&f->part);
    }
    return ERR_OK;
}

/* As buf_reserve, but to a capacity that we choose: buffers are accounted for. */
static int set_capacity(struct buf *b, size_t cap, struct err *e)
{
    uint8_t *data = mem_realloc(b->data, cap);

    if (!data)
        return err_nomem(e);
    b->data = data;
    b->cap = cap;
    return ERR_OK;
}

/* What the buffer should grow to so that `n` more bytes fit: by half, less where the limits say so. */
static size_t wanted_capacity(const struct s3_target *t, const struct buf *part, size_t n)
{
    size_t need = part->len + n, cap = part->cap + part->cap / 2;
    size_t limit = t->config.settings->memory_max;
    size_t left = limit > t->memory ? part->cap + (limit - t->memory) : part->cap;

    if (cap > left)
        cap = left;
    if (cap > part->max)
        cap = part->max;
    return cap > need ? cap : need;
}

static int append(struct s3_target *t, struct s3_file *f, const void *data, size_t n, struct err *e)
{
    size_t before, grow = f->part.len + n;

    if (grow > f->part.cap && make_room(t, f, grow - f->part.cap, e))
        return e->code;
    if (f->part.len + n > f->part.cap) {
        before = f->part.cap;
        if (set_capacity(&f->part, wanted_capacity(t, &f->part, n), e))
            return e->code;
        t->memory += f->part.cap - before;
    }
    return buf_append(&f->part, data, n, e);
}

static int target_write(void *arg, void *handle, const void *data, size_t n, struct err *e)
{
    struct s3_target *t = arg;
    struct s3_file *f = handle;
    const uint8_t *p = data;

    while (n) {
        size_t room = t->config.settings->part_size - f->part.len, piece = n < room ? n : room;

        /* A full part goes up only when more follows, so that an object of exactly one part is a plain put.
         */
        if (room == 0) {
            if (upload_part(t, f, e))
                return e->code;
            continue;
        }
        if (append(t, f, p, piece, e))
            return e->code;
        p += piece;
        n -= piece;
    }
    return ERR_OK;
}

/* ---- commit and drop
 * ----------------------------------------------------------------------------------------- */

static int put_whole(struct s3_target *t, struct s3_file *f, struct err *e)
{
    const void *data = f->part.data ? (const void *)f->part.data : "";
    int rc = s3_put_object(t->config.api, f->key, data, f->part.len, t->conditional, e);

    /* Another object of that name: ours goes behind it. Between look and put the name may be taken again. */
    for (int i = 0; rc == ERR_EXISTS && t->conditional && i < t->config.settings->scan_limit; i++) {
        rc = take_free_name(t, f, e);
        if (rc == ERR_OK)
            rc = s3_put_object(t->config.api, f->key, data, f->part.len, true, e);
    }
    return rc;
}

static int complete(struct s3_target *t, struct s3_file *f, struct err *e)
{
    int rc = s3_complete_upload(t->config.api, f->key, f->upload_id, f->etags, f->parts, f->uploaded,
                                t->conditional, e);

    if (rc == ERR_EXISTS) /* taken since begin_upload looked: the next attempt looks again */
        e->retriable = true;
    if (rc == ERR_OK) {
        mem_free(f->upload_id);
        f->upload_id = NULL;
    }
    return rc;
}

/* Everything goes up before anything becomes visible, so that a failure mostly leaves a round unseen. */
static int target_commit(void *arg, const struct filer_round *round, struct err *e)
{
    struct s3_target *t = arg;

    for (size_t i = 0; i < round->count; i++) {
        struct s3_file *f = round->handles[i];

        if (f->upload_id && f->part.len && upload_part(t, f, e))
            return e->code;
    }
    for (size_t i = 0; i < round->count; i++) {
        struct s3_file *f = round->handles[i];

        if (f->upload_id ? complete(t, f, e) : put_whole(t, f, e))
            return e->code;
        t->objects++;
    }
    for (size_t i = 0; i < round->count; i++)
        free_file(t, round->handles[i]);
    return ERR_OK;
}

static void target_drop(void *arg, void *handle)
{
    struct s3_target *t = arg;
    struct s3_file *f = handle;
    struct err e;

    if (f->upload_id && s3_abort_upload(t->config.api, f->key, f->upload_id, &e)) {
        char text[ERR_TEXT_MAX + 100];

        snprintf(text, sizeof text, "an unfinished upload stays until the next start: %s", e.text);
        t->config.log(t->config.log_arg, text);
    }
    free_file(t, f);
}

const struct filer_target s3_filer_target = {
    .open = target_open, .write = target_write, .commit = target_commit, .drop = target_drop};
