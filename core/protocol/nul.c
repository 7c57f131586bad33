/*
 * nul: texts with a NUL inside, which Kafka's clients may send and Kafka keeps, where everybody else here has C strings. See message.h.
 */
#include <string.h>

#include "protocol/message.h"

#define HIDDEN_FIRST 0xC0
#define HIDDEN_SECOND 0x80

int msg_hide_nuls(struct arena *a, struct msg_bytes *text, struct err *e)
{
    size_t nuls = 0, at = 0;
    if (text->n <= 0 || memchr(text->p, 0, (size_t)text->n) == NULL)
        return ERR_OK;
    for (int32_t i = 0; i < text->n; i++)
        nuls += text->p[i] == 0;
    uint8_t *copy = arena_alloc(a, (size_t)text->n + nuls);
    if (copy == NULL)
        return err_nomem(e);
    for (int32_t i = 0; i < text->n; i++) {
        copy[at++] = text->p[i] != 0 ? text->p[i] : HIDDEN_FIRST;
        if (text->p[i] == 0)
            copy[at++] = HIDDEN_SECOND;
    }
    *text = (struct msg_bytes){copy, (int32_t)at};
    return ERR_OK;
}

/* The next hidden NUL, or the end. */
static const uint8_t *find_hidden(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (p = memchr(p, HIDDEN_FIRST, (size_t)(end - p))) != NULL) {
        if (end - p > 1 && p[1] == HIDDEN_SECOND)
            return p;
        p++;
    }
    return end;
}

int32_t msg_shown_length(const struct msg_bytes *text)
{
    int32_t n = text->n;
    if (n <= 0)
        return n;
    const uint8_t *end = text->p + text->n;
    for (const uint8_t *p = find_hidden(text->p, end); p < end; p = find_hidden(p + 2, end))
        n--;
    return n;
}

int msg_show_nuls(const struct msg_bytes *text, struct buf *out, struct err *e)
{
    if (text->n <= 0)
        return ERR_OK;
    const uint8_t *p = text->p, *end = p + text->n;
    for (;;) {
        const uint8_t *hidden = find_hidden(p, end);
        int rc = buf_append(out, p, (size_t)(hidden - p), e);
        if (rc != ERR_OK || hidden == end)
            return rc;
        rc = buf_u8(out, 0, e);
        if (rc != ERR_OK)
            return rc;
        p = hidden + 2;
    }
}
