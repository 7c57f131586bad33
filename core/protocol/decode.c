/*
 * decode: any message of any version, by its table. See message.h.
 *
 * Nothing is allocated for a count before the bytes that it would take at least are known to be there, and
 * the arena's cap bounds what small elements can grow to in memory.
 */
#include <string.h>

#include "protocol/message.h"
#include "protocol/table.h"
#include "protocol/wire.h"

struct reader {
    struct slice in;
    struct arena *arena;
    struct err *e;
    int16_t version;
    bool flexible;
};

/* What a field takes at least: a count that would need more than there is is refused before it is believed. */
static size_t least_bytes(const struct reader *r, const struct msg_field *f)
{
    switch (f->kind) {
    case MSG_STRING:
        return r->flexible ? 1 : 2;
    case MSG_BYTES:
    case MSG_RECORDS:
        return r->flexible ? 1 : 4;
    case MSG_STRUCT: {
        size_t n = r->flexible ? 1 : 0;
        for (unsigned i = 0; i < f->of->count; i++) {
            const struct msg_field *g = &f->of->fields[i];
            if (msg_in_version(g, r->version) && g->tag < 0)
                n += g->array ? (r->flexible ? 1 : 4) : msg_is_pointer(g) ? 1 : least_bytes(r, g);
        }
        return n > 0 ? n : 1;
    }
    default:
        return msg_element_size(f);
    }
}

/* -1 is null, as is to Kafka all that is below 0. `wide`: four bytes where the version is not flexible, else two. */
static int read_length(struct reader *r, bool wide, int32_t *n)
{
    int rc;
    if (r->flexible) {
        uint32_t plus_one = 0;
        rc = wire_uvarint32(&r->in, &plus_one, r->e);
        if (rc == ERR_OK && plus_one > INT32_MAX)
            rc = err_set(r->e, ERR_CORRUPT, "a length of %u", plus_one);
        *n = (int32_t)plus_one - 1;
    } else if (wide) {
        rc = slice_i32(&r->in, n, r->e);
    } else {
        int16_t narrow = 0;
        rc = slice_i16(&r->in, &narrow, r->e);
        *n = narrow;
    }
    if (*n < -1)
        *n = -1;
    return rc;
}

static int refuse_null(struct reader *r, const struct msg_field *f)
{
    return r->version >= f->null_since ? ERR_OK : err_set(r->e, ERR_INVALID, "may not be null");
}

static int read_message(struct reader *r, const struct msg_schema *s, void *m);

static int read_text(struct reader *r, const struct msg_field *f, struct msg_bytes *at)
{
    int rc = read_length(r, f->kind != MSG_STRING, &at->n);
    if (rc != ERR_OK)
        return rc;
    at->p = NULL;
    if (at->n < 0)
        return refuse_null(r, f);
    if (f->kind == MSG_STRING && at->n > MSG_STRING_MAX)
        return err_set(r->e, ERR_CORRUPT, "a string of %d bytes; at most %d", at->n, MSG_STRING_MAX);
    rc = slice_bytes(&r->in, (size_t)at->n, &at->p, r->e);
    return rc == ERR_OK && f->kind == MSG_STRING ? msg_hide_nuls(r->arena, at, r->e) : rc;
}

static int read_number(struct reader *r, int kind, void *at)
{
    uint8_t byte = 0;
    const uint8_t *p;
    int rc;
    switch (kind) {
    case MSG_BOOL:
        rc = slice_u8(&r->in, &byte, r->e);
        *(bool *)at = byte != 0;
        return rc;
    case MSG_INT8:
        return slice_u8(&r->in, at, r->e);
    case MSG_INT16:
    case MSG_UINT16:
        return slice_i16(&r->in, at, r->e);
    case MSG_INT32:
        return slice_i32(&r->in, at, r->e);
    case MSG_INT64:
    case MSG_FLOAT64:
        return slice_i64(&r->in, at, r->e);
    default:
        rc = slice_bytes(&r->in, sizeof(struct uuid), &p, r->e);
        if (rc == ERR_OK)
            memcpy(at, p, sizeof(struct uuid));
        return rc;
    }
}

/* A struct that may be null is a pointer in C. */
static int read_struct(struct reader *r, const struct msg_field *f, void *at)
{
    if (!msg_is_pointer(f))
        return read_message(r, f->of, at);
    uint8_t present = 0;
    int rc = ERR_OK;
    if (r->version >= f->null_since)
        rc = slice_u8(&r->in, &present, r->e);
    if (rc != ERR_OK || (int8_t)present < 0)
        return rc;
    void *m = arena_alloc(r->arena, f->of->size);
    if (m == NULL)
        return err_nomem(r->e);
    *(void **)at = m;
    return read_message(r, f->of, m);
}

static int read_element(struct reader *r, const struct msg_field *f, void *at)
{
    if (f->kind == MSG_STRUCT)
        return read_message(r, f->of, at);
    if (f->kind == MSG_STRING || f->kind == MSG_BYTES || f->kind == MSG_RECORDS)
        return read_text(r, f, at);
    return read_number(r, f->kind, at);
}

static int read_array(struct reader *r, const struct msg_field *f, struct msg_any_array *at)
{
    int32_t n = 0;
    int rc = read_length(r, true, &n);
    if (rc != ERR_OK)
        return rc;
    at->items = NULL;
    at->count = n;
    if (n < 0)
        return refuse_null(r, f);
    if (n == 0)
        return ERR_OK;
    at->count = 0;
    if ((size_t)n > slice_left(&r->in) / least_bytes(r, f))
        return err_set(r->e, ERR_TRUNCATED, "%d elements in %zu bytes", n, slice_left(&r->in));
    size_t size = msg_element_size(f);
    char *items = arena_alloc(r->arena, (size_t)n * size);
    if (items == NULL)
        return err_set(r->e, ERR_TOO_LARGE,
                       "%d elements of %zu bytes are more than a request may take in memory", n, size);
    at->items = items;
    for (int32_t i = 0; i < n; i++, items += size) {
        rc = read_element(r, f, items);
        if (rc != ERR_OK)
            return err_wrap(r->e, "element %d", i);
    }
    at->count = n;
    return ERR_OK;
}

static int read_field(struct reader *r, const struct msg_field *f, void *at)
{
    int rc = f->array                ? read_array(r, f, at)
             : f->kind == MSG_STRUCT ? read_struct(r, f, at)
                                     : read_element(r, f, at);
    return rc == ERR_OK ? ERR_OK : err_wrap(r->e, "%s", f->name);
}

static const struct msg_field *find_tagged(const struct reader *r, const struct msg_schema *s, uint32_t tag)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->fields[i].tag >= 0 && (uint32_t)s->fields[i].tag == tag &&
            msg_in_version(&s->fields[i], r->version))
            return &s->fields[i];
    return NULL;
}

static int read_tagged(struct reader *r, const struct msg_schema *s, void *m)
{
    uint32_t count = 0, tag = 0;
    int rc = wire_uvarint32(&r->in, &count, r->e);
    for (; rc == ERR_OK && count > 0; count--) {
        struct reader inner = *r;
        rc = wire_tagged(&r->in, &tag, &inner.in, r->e);
        if (rc != ERR_OK)
            return err_wrap(r->e, "tagged field");
        const struct msg_field *f = find_tagged(r, s, tag);
        if (f == NULL)
            continue;
        rc = read_field(&inner, f, (char *)m + f->offset);
        if (rc == ERR_OK && slice_left(&inner.in) > 0)
            rc = err_set(r->e, ERR_CORRUPT, "%s: %zu bytes too many in a tagged field", f->name,
                         slice_left(&inner.in));
    }
    return rc;
}

static int read_message(struct reader *r, const struct msg_schema *s, void *m)
{
    msg_init(s, m);
    for (unsigned i = 0; i < s->count; i++) {
        const struct msg_field *f = &s->fields[i];
        if (!msg_in_version(f, r->version) || f->tag >= 0)
            continue;
        int rc = read_field(r, f, (char *)m + f->offset);
        if (rc != ERR_OK)
            return rc;
    }
    return r->flexible ? read_tagged(r, s, m) : ERR_OK;
}

int msg_decode(const struct msg_schema *s, int16_t version, struct slice *in, struct arena *a, void *m,
               struct err *e)
{
    struct reader r = {.in = *in, .arena = a, .e = e, .version = version, .flexible = version >= s->flexible};
    int rc = read_message(&r, s, m);
    if (rc != ERR_OK)
        return err_wrap(e, "%s version %d", s->name, version);
    in->p = r.in.p;
    return ERR_OK;
}
