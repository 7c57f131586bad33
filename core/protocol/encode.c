/*
 * encode: any message in any version, by its table. See message.h.
 */
#include <assert.h>
#include <string.h>

#include "protocol/table.h"

struct writer {
    struct buf *out;
    struct err *e;
    int16_t version;
    bool flexible;
    size_t *marks; /* for records that lie elsewhere */
    size_t mark_count, mark_room;
};

static int write_message(struct writer *w, const struct msg_schema *s, const void *m);

/* n < 0 is null. `wide`: four bytes where the version is not flexible, else two. */
static int write_length(struct writer *w, const struct msg_field *f, int32_t n, bool wide)
{
    if (n < 0 && w->version < f->null_since)
        return err_set(w->e, ERR_INVALID, "may not be null");
    n = n < 0 ? -1 : n;
    if (!wide && n > MSG_STRING_MAX)
        return err_set(w->e, ERR_INVALID, "a string of %d bytes; at most %d", n, MSG_STRING_MAX);
    if (w->flexible)
        return buf_uvarint(w->out, (uint64_t)((int64_t)n + 1), w->e);
    return wide ? buf_i32(w->out, n, w->e) : buf_i16(w->out, (int16_t)n, w->e);
}

static int write_text(struct writer *w, const struct msg_field *f, const struct msg_bytes *v)
{
    if (f->kind == MSG_STRING) {
        int rc = write_length(w, f, msg_shown_length(v), false);
        return rc == ERR_OK ? msg_show_nuls(v, w->out, w->e) : rc;
    }
    int rc = write_length(w, f, v->n, true);
    if (rc == ERR_OK && f->kind == MSG_RECORDS && v->p == NULL && v->n > 0) {
        assert(w->mark_count < w->mark_room);
        w->marks[w->mark_count++] = w->out->len;
        return ERR_OK;
    }
    return rc == ERR_OK && v->n > 0 ? buf_append(w->out, v->p, (size_t)v->n, w->e) : rc;
}

static int write_element(struct writer *w, const struct msg_field *f, const void *at)
{
    int64_t wide;
    switch (f->kind) {
    case MSG_BOOL:
        return buf_u8(w->out, *(const bool *)at ? 1 : 0, w->e);
    case MSG_INT8:
        return buf_u8(w->out, *(const uint8_t *)at, w->e);
    case MSG_INT16:
    case MSG_UINT16:
        return buf_i16(w->out, *(const int16_t *)at, w->e);
    case MSG_INT32:
        return buf_i32(w->out, *(const int32_t *)at, w->e);
    case MSG_INT64:
    case MSG_FLOAT64:
        memcpy(&wide, at, sizeof wide);
        return buf_i64(w->out, wide, w->e);
    case MSG_UUID:
        return buf_append(w->out, at, sizeof(struct uuid), w->e);
    case MSG_STRUCT:
        return write_message(w, f->of, at);
    default:
        return write_text(w, f, at);
    }
}

static int write_array(struct writer *w, const struct msg_field *f, const struct msg_any_array *v)
{
    int rc = write_length(w, f, v->count, true);
    size_t size = msg_element_size(f);
    const char *item = v->items;
    for (int32_t i = 0; rc == ERR_OK && i < v->count; i++, item += size) {
        rc = write_element(w, f, item);
        if (rc != ERR_OK)
            err_wrap(w->e, "element %d", i);
    }
    return rc;
}

static int write_struct(struct writer *w, const struct msg_field *f, const void *at)
{
    if (!msg_is_pointer(f))
        return write_message(w, f->of, at);
    const void *m = *(const void *const *)at;
    if (w->version < f->null_since)
        return m != NULL ? write_message(w, f->of, m) : err_set(w->e, ERR_INVALID, "may not be null");
    int rc = buf_u8(w->out, m != NULL ? 1 : UINT8_MAX, w->e);
    return rc == ERR_OK && m != NULL ? write_message(w, f->of, m) : rc;
}

static int write_field(struct writer *w, const struct msg_field *f, const void *at)
{
    int rc = f->array                ? write_array(w, f, at)
             : f->kind == MSG_STRUCT ? write_struct(w, f, at)
                                     : write_element(w, f, at);
    return rc == ERR_OK ? ERR_OK : err_wrap(w->e, "%s", f->name);
}

/* The field's length is known when it is written: it is written without, and moved to make room. */
static int write_tagged_field(struct writer *w, const struct msg_field *f, const void *at)
{
    uint8_t length[10];
    int rc = buf_uvarint(w->out, (uint64_t)f->tag, w->e);
    size_t begin = w->out->len;
    if (rc == ERR_OK)
        rc = write_field(w, f, at);
    if (rc != ERR_OK)
        return rc;
    size_t size = w->out->len - begin, n = put_uvarint(length, size);
    rc = buf_reserve(w->out, n, w->e);
    if (rc != ERR_OK)
        return rc;
    uint8_t *p = w->out->data + begin;
    memmove(p + n, p, size);
    memcpy(p, length, n);
    w->out->len += n;
    return ERR_OK;
}

static bool is_sent(const struct writer *w, const struct msg_field *f, const void *m)
{
    return f->tag >= 0 && msg_in_version(f, w->version) && !msg_is_default(f, (const char *)m + f->offset);
}

static int write_tagged(struct writer *w, const struct msg_schema *s, const void *m)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < s->count; i++)
        count += is_sent(w, &s->fields[i], m);
    int rc = buf_uvarint(w->out, count, w->e);
    for (unsigned i = 0; rc == ERR_OK && i < s->count; i++)
        if (is_sent(w, &s->fields[i], m))
            rc = write_tagged_field(w, &s->fields[i], (const char *)m + s->fields[i].offset);
    return rc;
}

static int write_message(struct writer *w, const struct msg_schema *s, const void *m)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct msg_field *f = &s->fields[i];
        if (!msg_in_version(f, w->version) || f->tag >= 0)
            continue;
        int rc = write_field(w, f, (const char *)m + f->offset);
        if (rc != ERR_OK)
            return rc;
    }
    return w->flexible ? write_tagged(w, s, m) : ERR_OK;
}

int msg_encode_around(const struct msg_schema *s, int16_t version, const void *m, struct buf *out,
                      size_t *marks, size_t n, struct err *e)
{
    struct writer w = {.out = out,
                       .e = e,
                       .version = version,
                       .flexible = version >= s->flexible,
                       .marks = marks,
                       .mark_room = n};
    int rc = write_message(&w, s, m);
    if (rc != ERR_OK)
        return err_wrap(e, "%s version %d", s->name, version);
    assert(w.mark_count == n);
    return ERR_OK;
}

int msg_encode(const struct msg_schema *s, int16_t version, const void *m, struct buf *out, struct err *e)
{
    return msg_encode_around(s, version, m, out, NULL, 0, e);
}
