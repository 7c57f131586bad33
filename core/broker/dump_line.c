/*
 * dump_line: makes one line of a dump, as text or JSON, from the same calls. See dump_internal.h.
 */
#include "broker/dump_internal.h"

#include <inttypes.h>
#include <string.h>

static void keep(struct dump *d, int rc)
{
    if (!d->failed)
        d->failed = rc;
}

/* Each step writes only while nothing has failed. */
#define PUT(d, call)                                                                                         \
    do {                                                                                                     \
        if (!(d)->failed)                                                                                    \
            keep(d, call);                                                                                   \
    } while (0)

void dump_begin(struct dump *d, const char *type, const char *lead)
{
    buf_reset(&d->line);
    d->failed = ERR_OK;
    d->first = true;
    if (d->o->json)
        PUT(d, buf_printf(&d->line, &d->why, "{\"type\":\"%s\"", type));
    else
        PUT(d, buf_str(&d->line, lead, &d->why));
}

static void name_of(struct dump *d, const char *name)
{
    if (d->o->json)
        PUT(d, buf_printf(&d->line, &d->why, ",\"%s\":", name));
    else
        PUT(d, buf_printf(&d->line, &d->why, "%s%s: ", d->first ? "" : " ", name));
    d->first = false;
}

void dump_int(struct dump *d, const char *name, int64_t v)
{
    name_of(d, name);
    PUT(d, buf_printf(&d->line, &d->why, "%" PRId64, v));
}

void dump_optional(struct dump *d, const char *name, int64_t v)
{
    name_of(d, name);
    if (v < 0)
        PUT(d, buf_str(&d->line, d->o->json ? "null" : "OptionalLong.empty", &d->why));
    else
        PUT(d, buf_printf(&d->line, &d->why, d->o->json ? "%" PRId64 : "OptionalLong[%" PRId64 "]", v));
}

void dump_bool(struct dump *d, const char *name, bool v)
{
    name_of(d, name);
    PUT(d, buf_str(&d->line, v ? "true" : "false", &d->why));
}

static bool is_text(const uint8_t *p, size_t n)
{
    size_t len;
    for (size_t i = 0; i < n; i += len)
        if ((len = utf8_length(p + i, n - i)) == 0)
            return false;
    return true;
}

static void put_base64(struct dump *d, const uint8_t *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n && !d->failed; i += 3) {
        size_t left = n - i;
        uint32_t v =
            (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
        char out[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
                       left > 2 ? digits[v & 63] : '='};
        PUT(d, buf_append(&d->line, out, 4, &d->why));
    }
}

static void put_json(struct dump *d, const uint8_t *p, size_t n)
{
    if (is_text(p, n)) {
        PUT(d, buf_json_str(&d->line, (const char *)p, n, &d->why));
        return;
    }
    PUT(d, buf_str(&d->line, "{\"base64\":\"", &d->why));
    put_base64(d, p, n);
    PUT(d, buf_str(&d->line, "\"}", &d->why));
}

/* Text as it is; control characters and what is no UTF-8 as \xNN, so that a record stays on its line. */
static void put_plain(struct dump *d, const uint8_t *p, size_t n)
{
    size_t plain = 0, i = 0;
    while (i < n && !d->failed) {
        size_t len = p[i] < 0x20 || p[i] == 0x7f ? 0 : utf8_length(p + i, n - i);
        if (len) {
            i += len;
            continue;
        }
        PUT(d, buf_append(&d->line, p + plain, i - plain, &d->why));
        PUT(d, buf_printf(&d->line, &d->why, "\\x%02x", p[i]));
        plain = ++i;
    }
    PUT(d, buf_append(&d->line, p + plain, n - plain, &d->why));
}

static void put_value(struct dump *d, const void *p, size_t n)
{
    if (!p)
        PUT(d, buf_str(&d->line, "null", &d->why));
    else if (d->o->json)
        put_json(d, p, n);
    else
        put_plain(d, p, n);
}

void dump_bytes(struct dump *d, const char *name, const void *p, size_t n)
{
    name_of(d, name);
    put_value(d, p, n);
}

void dump_text(struct dump *d, const char *name, const char *s)
{
    dump_bytes(d, name, s, s ? strlen(s) : 0);
}

void dump_list(struct dump *d, const char *name)
{
    name_of(d, name);
    PUT(d, buf_str(&d->line, "[", &d->why));
    d->first = true;
}

void dump_item(struct dump *d, const void *p, size_t n)
{
    if (!d->first)
        PUT(d, buf_str(&d->line, ",", &d->why));
    d->first = false;
    put_value(d, p, n);
}

void dump_list_end(struct dump *d)
{
    PUT(d, buf_str(&d->line, "]", &d->why));
    d->first = false;
}

int dump_end(struct dump *d, struct err *e)
{
    if (d->o->json)
        PUT(d, buf_str(&d->line, "}", &d->why));
    if (d->failed) {
        *e = d->why;
        return d->failed;
    }
    return d->o->line(d->o->arg, (const char *)d->line.data, d->line.len, e);
}

int dump_file_line(struct dump *d, const char *path, struct err *e)
{
    d->r->files++;
    if (d->o->verify)
        return ERR_OK;
    dump_begin(d, "file", "");
    dump_text(d, d->o->json ? "path" : "Dumping", path);
    if (!d->o->json && !d->failed) { /* Kafka writes it without the colon */
        static const char word[] = "Dumping";
        memmove(d->line.data + sizeof word - 1, d->line.data + sizeof word, d->line.len - sizeof word);
        d->line.len--;
    }
    return dump_end(d, e);
}

int dump_problem(struct dump *d, const char *path, int64_t byte, const char *text, struct err *e)
{
    size_t n = strlen(path);
    if (strncmp(text, path, n) == 0 && strncmp(text + n, ": ", 2) == 0)
        text += n + 2; /* errors from below name the file themselves */
    d->r->problems++;
    dump_begin(d, "problem", "! ");
    dump_text(d, "path", path);
    if (byte >= 0)
        dump_int(d, "byte", byte);
    dump_text(d, "problem", text);
    return dump_end(d, e);
}
