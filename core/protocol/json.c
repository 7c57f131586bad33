/*
 * json: any message as JSON, by its table, as Kafka's own converters write it. See message.h.
 */
#include <ctype.h>
#include <openssl/evp.h>

#include "base/number_text.h"
#include "protocol/table.h"

struct printer {
    struct buf *out;
    struct err *e;
    int16_t version;
};

static int print_message(struct printer *p, const struct msg_schema *s, const void *m);

static int print_base64(struct printer *p, const struct msg_bytes *v)
{
    size_t n = ((size_t)v->n + 2) / 3 * 4;
    int rc = buf_reserve(p->out, n + 3, p->e); /* the quotes, and the zero that EVP puts at the end */
    if (rc != ERR_OK)
        return rc;
    uint8_t *at = p->out->data + p->out->len;
    at[0] = '"';
    EVP_EncodeBlock(at + 1, v->p, v->n);
    at[n + 1] = '"';
    p->out->len += n + 2;
    return ERR_OK;
}

static int print_string(struct printer *p, const struct msg_bytes *v)
{
    if (v->n < 0)
        return buf_str(p->out, "null", p->e);
    if (msg_shown_length(v) == v->n)
        return buf_json_str(p->out, v->n > 0 ? (const char *)v->p : "", (size_t)v->n, p->e);
    struct buf shown;
    buf_init(&shown, (size_t)v->n);
    int rc = msg_show_nuls(v, &shown, p->e);
    if (rc == ERR_OK)
        rc = buf_json_str(p->out, (const char *)shown.data, shown.len, p->e);
    buf_free(&shown);
    return rc;
}

static int print_element(struct printer *p, const struct msg_field *f, const void *at)
{
    const struct msg_bytes *v = at;
    char text[UUID_TEXT_SIZE];
    switch (f->kind) {
    case MSG_BOOL:
        return buf_str(p->out, *(const bool *)at ? "true" : "false", p->e);
    case MSG_FLOAT64:
        return text_double(p->out, *(const double *)at, false, p->e);
    case MSG_UUID:
        return buf_json_str(p->out, uuid_text(at, text), UUID_TEXT_SIZE - 1, p->e);
    case MSG_STRING:
        return print_string(p, v);
    case MSG_BYTES:
        return v->n < 0 ? buf_str(p->out, "null", p->e) : print_base64(p, v);
    case MSG_RECORDS:
        return v->n < 0 ? buf_str(p->out, "null", p->e) : text_int(p->out, v->n, p->e);
    case MSG_STRUCT:
        return print_message(p, f->of, at);
    default:
        return text_int(p->out, msg_number(f, at), p->e);
    }
}

static int print_array(struct printer *p, const struct msg_field *f, const struct msg_any_array *v)
{
    if (v->count < 0)
        return buf_str(p->out, "null", p->e);
    const char *item = v->items;
    int rc = buf_u8(p->out, '[', p->e);
    for (int32_t i = 0; rc == ERR_OK && i < v->count; i++, item += msg_element_size(f)) {
        if (i > 0)
            rc = buf_u8(p->out, ',', p->e);
        if (rc == ERR_OK)
            rc = print_element(p, f, item);
    }
    return rc == ERR_OK ? buf_u8(p->out, ']', p->e) : rc;
}

static int print_value(struct printer *p, const struct msg_field *f, const void *at)
{
    if (f->array)
        return print_array(p, f, at);
    if (!msg_is_pointer(f))
        return print_element(p, f, at);
    const void *m = *(const void *const *)at;
    return m == NULL ? buf_str(p->out, "null", p->e) : print_message(p, f->of, m);
}

/* "topicId" of TopicId; of records only the size is told. */
static int print_name(struct printer *p, const struct msg_field *f, const void *at)
{
    bool size = f->kind == MSG_RECORDS && ((const struct msg_bytes *)at)->n >= 0;
    return buf_printf(p->out, p->e, "\"%c%s%s\":", tolower((unsigned char)f->name[0]), f->name + 1,
                      size ? "SizeInBytes" : "");
}

static int print_message(struct printer *p, const struct msg_schema *s, const void *m)
{
    int rc = buf_u8(p->out, '{', p->e);
    bool first = true;
    for (unsigned i = 0; rc == ERR_OK && i < s->count; i++) {
        const struct msg_field *f = &s->fields[i];
        const void *at = (const char *)m + f->offset;
        if (!msg_in_version(f, p->version) || (f->tag >= 0 && msg_is_default(f, at)))
            continue;
        if (!first)
            rc = buf_u8(p->out, ',', p->e);
        if (rc == ERR_OK)
            rc = print_name(p, f, at);
        if (rc == ERR_OK)
            rc = print_value(p, f, at);
        first = false;
    }
    return rc == ERR_OK ? buf_u8(p->out, '}', p->e) : rc;
}

int msg_json(const struct msg_schema *s, int16_t version, const void *m, struct buf *out, struct err *e)
{
    struct printer p = {.out = out, .e = e, .version = version};
    return print_message(&p, s, m);
}
