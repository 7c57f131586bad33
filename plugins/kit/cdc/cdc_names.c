/*
 * cdc_names: see cdc_names.h. Debezium counts UTF-16 units: a character beyond the basic plane counts twice.
 */
#include "kit/cdc/cdc_names.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define TOPIC_MAX 249

static bool ascii_alnum(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The character at *p; a byte that is no UTF-8 stands for itself. */
static uint32_t next(const uint8_t **p, const uint8_t *end)
{
    const uint8_t *s = *p;
    size_t n = utf8_length(s, (size_t)(end - s));
    *p += n ? n : 1;
    switch (n) {
    case 2:
        return (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
    case 3:
        return (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
    case 4:
        return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 | (uint32_t)(s[2] & 0x3f) << 6 |
               (s[3] & 0x3f);
    default:
        return s[0];
    }
}

/* Ends the text with a NUL and hands it over. */
static int finish(struct buf *b, int rc, char **out, struct err *e)
{
    if (rc == ERR_OK)
        rc = buf_u8(b, '\0', e);
    *out = rc == ERR_OK ? (char *)b->data : NULL;
    if (rc)
        buf_free(b);
    return rc;
}

int cdc_topic_name(const char *name, char **out, struct err *e)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    const uint8_t *p = (const uint8_t *)name, *end = p + strlen(name);
    int rc = ERR_OK;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return finish(&b, buf_append(&b, "__", strlen(name), e), out, e);
    while (rc == ERR_OK && p < end) {
        uint32_t c = next(&p, end);
        if (ascii_alnum(c) || c == '.' || c == '_' || c == '-')
            rc = buf_u8(&b, (uint8_t)c, e);
        else
            rc = buf_append(&b, "__", c > 0xffff ? 2 : 1, e);
    }
    if (b.len > TOPIC_MAX)
        b.len = TOPIC_MAX;
    return finish(&b, rc, out, e);
}

static int escape(struct buf *b, uint32_t c, struct err *e)
{
    if (c <= 0xffff)
        return buf_printf(b, e, "_u%04x", c);
    c -= 0x10000;
    return buf_printf(b, e, "_u%04x_u%04x", 0xd800 | c >> 10, 0xdc00 | (c & 0x3ff));
}

int cdc_adjust_name(enum cdc_adjust mode, bool field, const char *name, char **out, struct err *e)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    if (mode == CDC_ADJUST_NONE)
        return finish(&b, buf_str(&b, name, e), out, e);
    const uint8_t *p = (const uint8_t *)name, *end = p + strlen(name);
    bool unicode = mode == CDC_ADJUST_AVRO_UNICODE;
    int rc = ERR_OK;
    for (bool first = true; rc == ERR_OK && p < end; first = false) {
        uint32_t c = next(&p, end);
        bool digit = c >= '0' && c <= '9';
        if (first && digit && !unicode)
            rc = buf_u8(&b, '_', e);
        if (rc)
            break;
        if (unicode && (c == '_' || (first && digit)))
            rc = escape(&b, c, e);
        else if (ascii_alnum(c) || c == '_' || (c == '.' && !field))
            rc = buf_u8(&b, (uint8_t)c, e);
        else
            rc = unicode ? escape(&b, c, e) : buf_append(&b, "__", c > 0xffff ? 2 : 1, e);
    }
    return finish(&b, rc, out, e);
}
