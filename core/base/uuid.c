/*
 * uuid: see uuid.h. Text form as in org.apache.kafka.common.Uuid: base64url without padding.
 */
#include "base/uuid.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct uuid uuid_random(void)
{
    struct uuid u;
    do {
        if (getrandom(u.b, sizeof u.b, 0) != (ssize_t)sizeof u.b)
            abort(); /* cannot happen for 16 bytes after boot */
        u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40);
        u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80);
    } while (u.b[0] >> 2 == 62); /* '-' first would look like an option on command lines */
    return u;
}

char *uuid_text(const struct uuid *u, char out[UUID_TEXT_SIZE])
{
    size_t o = 0;
    for (size_t i = 0; i < 16; i += 3) {
        uint32_t v = (uint32_t)u->b[i] << 16;
        if (i + 2 < 16)
            v |= (uint32_t)u->b[i + 1] << 8 | u->b[i + 2];
        out[o++] = alphabet[v >> 18 & 63];
        out[o++] = alphabet[v >> 12 & 63];
        if (i + 2 < 16) {
            out[o++] = alphabet[v >> 6 & 63];
            out[o++] = alphabet[v & 63];
        }
    }
    out[o] = '\0';
    return out;
}

bool uuid_parse(const char *text, struct uuid *u)
{
    if (strlen(text) != UUID_TEXT_SIZE - 1)
        return false;
    uint32_t bits = 0;
    int have = 0;
    size_t o = 0;
    for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
        const char *c = strchr(alphabet, text[i]);
        if (!c)
            return false;
        bits = bits << 6 | (uint32_t)(c - alphabet);
        have += 6;
        if (have >= 8 && o < 16) {
            have -= 8;
            u->b[o++] = (uint8_t)(bits >> have);
        }
    }
    return (bits & ((1u << have) - 1)) == 0; /* the four bits left over */
}

bool uuid_is_zero(const struct uuid *u)
{
    static const struct uuid zero;
    return memcmp(u, &zero, sizeof zero) == 0;
}
