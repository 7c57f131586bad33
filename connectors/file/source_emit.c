/*
 * From bytes of a file to records at the host. Records, headers and spans are arrays that live as long as the task, so
 * that a line costs no allocation; the host copies the bytes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "connectors/file/source.h"

#define SCRATCH_MAX ((size_t)2 << 30) /* a JSON string may be six times as long as its line */

int read_setup(struct source *src, struct err *e)
{
    src->window_size = WINDOW_BYTES;
    src->window = mem_alloc(WINDOW_BYTES + PRINT_TAIL_MAX);
    src->frames = mem_calloc(1, sizeof(*src->frames));
    src->records = mem_calloc(FRAME_BATCH, sizeof(*src->records));
    if (src->o.headers) {
        src->headers = mem_calloc(FRAME_BATCH, sizeof(*src->headers));
        src->offset_text = mem_calloc(FRAME_BATCH, sizeof(*src->offset_text));
    }
    if (!src->window || !src->frames || !src->records ||
        (src->o.headers && (!src->headers || !src->offset_text)))
        return err_nomem(e);
    buf_init(&src->frames->scratch, SCRATCH_MAX);
    for (size_t i = 0; i < FRAME_BATCH; i++) {
        struct leat_record *r = &src->records[i];
        r->struct_size = sizeof(*r);
        r->partition = -1;
        r->timestamp = -1;
        if (src->o.headers) {
            r->headers = src->headers[i];
            r->header_count = 2;
            src->headers[i][0] = (struct leat_header){.key = "file.path", .key_len = strlen("file.path")};
            src->headers[i][1] = (struct leat_header){
                .key = "file.offset", .key_len = strlen("file.offset"), .value = src->offset_text[i]};
        }
    }
    return ERR_OK;
}

void read_cleanup(struct source *src)
{
    mem_free(src->window);
    if (src->frames)
        buf_free(&src->frames->scratch);
    mem_free(src->frames);
    mem_free(src->records);
    mem_free(src->headers);
    mem_free(src->offset_text);
    gunzip_free(src->unpack.reader);
    mem_free(src->unpack.data);
}

static const char *key_of(const struct source *src, const struct stream *s)
{
    const char *slash = strrchr(s->origin, '/');
    switch (src->o.key) {
    case KEY_PATH:
        return s->origin;
    case KEY_FILENAME:
        return slash ? slash + 1 : s->origin;
    case KEY_NONE:
        break;
    }
    return NULL;
}

static void fill_headers(struct source *src, const struct stream *s, size_t i, int64_t offset)
{
    struct leat_header *h = src->headers[i];
    h[0].value = s->origin;
    h[0].value_len = strlen(s->origin);
    h[1].value_len = (size_t)snprintf(src->offset_text[i], sizeof(src->offset_text[i]), "%" PRId64, offset);
}

/* Hands over the spans in `frames`. */
static int emit_frames(struct source *src, const struct stream *s, int64_t base)
{
    const struct frames *f = src->frames;
    const char *key = key_of(src, s);
    size_t key_len = key ? strlen(key) : 0;
    for (size_t i = 0; i < f->count; i++) {
        struct leat_record *r = &src->records[i];
        r->key = key;
        r->key_len = key_len;
        r->value = f->spans[i].data;
        r->value_len = f->spans[i].len;
        if (src->o.headers)
            fill_headers(src, s, i, base + (int64_t)f->spans[i].at);
    }
    src->emitted = true;
    return src->h->emit(src->t, src->records, f->count);
}

static void charge(struct source *src, size_t bytes)
{
    src->budget -= bytes < src->budget ? bytes : src->budget;
}

/* Only so many bytes are looked at as the poll may still emit; the first record of a poll may be larger. */
static size_t allowed(const struct source *src, size_t n)
{
    return src->budget < n ? src->budget : n;
}

int emit_bytes(struct source *src, struct stream *s, const uint8_t *data, size_t n, bool at_end, size_t *used,
               bool *full)
{
    struct frames *f = src->frames;
    struct err e;
    *used = 0;
    *full = false;
    f->mid = s->mid;
    while (*used < n) {
        size_t left = n - *used, len = allowed(src, left);
        bool all = len == left;
        int rc =
            frame_split(&src->o.framing, data + *used, len, all && at_end ? s->flush : FRAME_KEEP, f, &e);
        if (rc == ERR_OK && f->consumed == 0 && !all) {
            if (src->emitted) {
                *full = true;
                break;
            }
            rc = frame_split(&src->o.framing, data + *used, left, at_end ? s->flush : FRAME_KEEP, f, &e);
        }
        if (rc == ERR_NO_MEMORY)
            return src->h->fail(src->t, LEAT_RETRY, "%s: %s", s->path, e.text);
        if (rc != ERR_OK && src->emitted) { /* that goes first; the next poll begins here */
            *full = true;
            break;
        }
        if (rc != ERR_OK)
            return src->h->fail(src->t, LEAT_FAIL, "%s, line at byte %" PRId64 ": %s", s->path,
                                s->offset + (int64_t)*used, e.text);
        if (f->consumed == 0)
            break;
        int result = f->count > 0 ? emit_frames(src, s, s->offset + (int64_t)*used) : LEAT_OK;
        if (result != LEAT_OK)
            return result;
        src->dropped += (double)f->dropped_lines;
        charge(src, f->consumed);
        *used += f->consumed;
        if (src->budget == 0 && *used < n) {
            *full = true;
            break;
        }
    }
    s->mid = f->mid;
    return LEAT_OK;
}
