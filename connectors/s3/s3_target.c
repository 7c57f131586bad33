/*
 * s3_target: part buffers, and what goes up when. See s3_target.h. What happens to a file in the store is s3_object.c.
 *
 * A full part and a round of complete files are handed over to the uploader (s3_uploader.h) and taken back when they are
 * over. While parts of a file are on their way, the file's object is the uploader's, its part buffer the task's.
 */
#include "s3_target.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "s3_target_internal.h"

/* Two parts fit into the memory, so that one is built while the other goes up; but none is below S3's minimum. */
static size_t part_size_of(const struct s3_settings *s)
{
    size_t half = s->memory_max / 2;

    if (half < S3_PART_MIN)
        half = S3_PART_MIN;
    return s->part_size < half ? s->part_size : half;
}

int s3_target_new(const struct s3_target_config *c, struct s3_target **out, struct err *e)
{
    struct s3_target *t = mem_calloc(1, sizeof *t);

    *out = t;
    if (!t)
        return err_nomem(e);
    t->config = *c;
    t->part_size = part_size_of(c->settings);
    t->uploads_end = &t->uploads;
    buf_init(&t->spare, t->part_size);
    return uploader_new(&t->uploader, e);
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

void s3_target_pause(struct s3_target *t, int64_t ms)
{
    uploader_pause(t->uploader, ms);
}

/* ---- files
 * --------------------------------------------------------------------------------------------------- */

void target_release_part(struct s3_target *t, struct buf *part)
{
    if (!t->spare.data && part->data) {
        t->spare = *part;
        buf_reset(&t->spare);
    } else {
        t->memory -= part->cap;
        buf_free(part);
    }
    buf_init(part, t->part_size);
}

/* An empty part gets the spare buffer, if there is one. */
static void take_spare(struct s3_target *t, struct buf *part)
{
    if (part->data || !t->spare.data)
        return;
    *part = t->spare;
    buf_init(&t->spare, t->part_size);
}

void target_free_file(struct s3_target *t, struct s3_file *f)
{
    target_release_part(t, &f->part);
    object_free(&f->object);
    mem_free(f);
}

static int target_open(void *arg, const struct filer_file *file, void **handle, struct err *e)
{
    struct s3_target *t = arg;
    struct s3_file *f = mem_calloc(1, sizeof *f);

    *handle = NULL;
    if (!f)
        return err_nomem(e);
    if (object_init(&f->object, &t->config, file, e)) {
        object_free(&f->object);
        mem_free(f);
        return e->code;
    }
    buf_init(&f->part, t->part_size);
    take_spare(t, &f->part);
    f->next = t->files;
    t->files = f;
    *handle = f;
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
 * Makes room for `grow` more bytes of buffers below the limit: what went up meanwhile is room, then the spare buffer goes,
 * then the oldest upload is waited for, then the fullest part goes up early. Parts below S3's minimum stay, whatever the
 * limit says.
 */
static int make_room(struct s3_target *t, size_t grow, struct err *e)
{
    while (t->memory + grow > t->config.settings->memory_max) {
        struct s3_file *f;

        if (target_reclaim(t, e))
            return e->code;
        if (t->spare.data) {
            t->memory -= t->spare.cap;
            buf_free(&t->spare);
            continue;
        }
        if (uploader_count(t->uploader) > 0) {
            if (target_wait_for_one(t, e))
                return e->code;
            continue;
        }
        f = fullest_file(t);
        if (!f || f->part.len < S3_PART_MIN)
            return ERR_OK;
        if (target_hand_over_part(t, f, e))
            return e->code;
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
    size_t before, need;

    take_spare(t, &f->part);
    need = f->part.len + n;
    if (need > f->part.cap && make_room(t, need - f->part.cap, e))
        return e->code;
    take_spare(t, &f->part); /* this very part may have gone up */
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

    if (target_reclaim(t, e))
        return e->code;
    while (n) {
        size_t room = t->part_size - f->part.len, piece = n < room ? n : room;

        /* A full part goes up only when more follows, so that an object of exactly one part is a plain put.
         */
        if (room == 0) {
            if (target_hand_over_part(t, f, e))
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

static int target_commit(void *arg, const struct filer_round *round, struct err *e)
{
    return target_hand_over_round(arg, round, e);
}

static void abort_file(struct s3_target *t, struct s3_file *f)
{
    struct err e;

    if (object_abort(&f->object, &e)) {
        char text[ERR_TEXT_MAX + 100];

        snprintf(text, sizeof text, "an unfinished upload stays until the next start: %s", e.text);
        t->config.log(t->config.arg, text);
    }
    target_free_file(t, f);
}

/* Only when nothing goes on any more; what is on its way must not outlive its file. */
static void target_drop(void *arg, void *handle)
{
    struct s3_target *t = arg;

    s3_target_stop(t);
    target_unlink_file(t, handle);
    abort_file(t, handle);
}

void s3_target_stop(struct s3_target *t)
{
    struct err ignored;

    if (!t->uploader)
        return;
    uploader_stop(t->uploader);
    target_reclaim(t, &ignored);
}

void s3_target_free(struct s3_target *t)
{
    if (!t)
        return;
    s3_target_stop(t);
    while (t->unfinished) {
        struct s3_file *f = t->unfinished;

        t->unfinished = f->next;
        abort_file(t, f);
    }
    uploader_free(t->uploader);
    buf_free(&t->spare);
    mem_free(t);
}

const struct filer_target s3_filer_target = {
    .open = target_open, .write = target_write, .commit = target_commit, .drop = target_drop};
