/*
 * placeholder: secrets and other values from outside. ${env:NAME} is a variable of the environment, ${file:PATH} a whole
 * file without its last newline, ${file:PATH:KEY} an entry of a Java properties file (Kafka's FileConfigProvider). $${
 * stands for ${ itself. Any other ${...} is left as it is, since connectors use it in templates, unless it looks like one
 * of ours misspelt. What is filled in is not looked at again. Any thread; nobody may change the environment meanwhile.
 */
#include "config/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"

static int why_not(bool *ok, char *why, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int why_not(bool *ok, char *why, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, CONFIG_WHY_MAX, fmt, args);
    va_end(args);
    *ok = false;
    return ERR_OK;
}

static int fill_env(const char *name, struct buf *out, bool *ok, char *why, struct err *e)
{
    const char *value = *name ? getenv(name) : NULL;
    if (!value)
        return why_not(ok, why, "the environment variable %s is not set", name);
    if (!value_utf8(value))
        return why_not(ok, why, "the environment variable %s is not UTF-8", name);
    return buf_str(out, value, e);
}

/* ---- properties files ---------------------------------------------------------------------------------------------- */

/* One escape after a backslash at *p; *p is moved behind it. */
static int unescape(const char **p, struct buf *out, struct err *e)
{
    static const char from[] = "tnrf", to[] = "\t\n\r\f";
    char c = *(*p)++;
    if (c == 'u' && strspn(*p, "0123456789abcdefABCDEF") >= 4) {
        char hex[5] = {(*p)[0], (*p)[1], (*p)[2], (*p)[3], '\0'};
        unsigned long code = strtoul(hex, NULL, 16);
        *p += 4;
        if (code < 0x80)
            return buf_u8(out, (uint8_t)code, e);
        int rc = code < 0x800 ? buf_u8(out, (uint8_t)(0xc0 | code >> 6), e)
                              : buf_u8(out, (uint8_t)(0xe0 | code >> 12), e);
        if (rc == ERR_OK && code >= 0x800)
            rc = buf_u8(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)), e);
        return rc ? rc : buf_u8(out, (uint8_t)(0x80 | (code & 0x3f)), e);
    }
    const char *known = c ? strchr(from, c) : NULL;
    if (c == '\0')
        (*p)--;
    return c ? buf_u8(out, (uint8_t)(known ? to[known - from] : c), e) : ERR_OK;
}

/* The next key or value into `out`: up to a line's end, for keys also up to =, : or a blank. */
static int properties_part(const char **p, bool key, struct buf *out, struct err *e)
{
    buf_reset(out);
    int rc = ERR_OK;
    while (**p && **p != '\n' && **p != '\r' && !(key && strchr("=: \t\f", **p)) && rc == ERR_OK) {
        if (**p != '\\') {
            rc = buf_u8(out, (uint8_t) * (*p)++, e);
            continue;
        }
        (*p)++;
        if (**p == '\n' || **p == '\r') { /* the line goes on */
            *p += (*p)[0] == '\r' && (*p)[1] == '\n' ? 2 : 1;
            *p += strspn(*p, " \t\f");
        } else {
            rc = unescape(p, out, e);
        }
    }
    return rc ? rc : buf_append(out, "", 1, e);
}

/* The value of `key` (the last one wins) into `value`. */
static int properties_find(const char *text, const char *key, struct buf *value, bool *found, struct err *e)
{
    struct buf name, read;
    buf_init(&name, CONFIG_FILE_MAX + 1);
    buf_init(&read, CONFIG_FILE_MAX + 1);
    int rc = ERR_OK;
    *found = false;
    for (const char *p = text; rc == ERR_OK;) {
        p += strspn(p, " \t\f\r\n");
        if (!*p)
            break;
        if (*p == '#' || *p == '!') {
            p += strcspn(p, "\r\n");
            continue;
        }
        rc = properties_part(&p, true, &name, e);
        p += strspn(p, " \t\f");
        if (*p == '=' || *p == ':')
            p += 1 + strspn(p + 1, " \t\f");
        rc = rc ? rc : properties_part(&p, false, &read, e);
        if (rc == ERR_OK && strcmp((const char *)name.data, key) == 0) {
            *found = true;
            buf_reset(value);
            rc = buf_append(value, read.data, read.len, e);
        }
    }
    buf_free(&name);
    buf_free(&read);
    return rc;
}

static int fill_property(const char *path, const char *text, const char *key, struct buf *out, bool *ok,
                         char *why, struct err *e)
{
    struct buf value;
    buf_init(&value, CONFIG_FILE_MAX + 1);
    bool found;
    int rc = properties_find(text, key, &value, &found, e);
    if (rc == ERR_OK && !found)
        rc = why_not(ok, why, "the file %s has no key %s", path, key);
    else if (rc == ERR_OK && (strlen((char *)value.data) + 1 != value.len || !value_utf8((char *)value.data)))
        rc = why_not(ok, why, "the value of %s in the file %s is not UTF-8 text", key, path);
    else if (rc == ERR_OK)
        rc = buf_str(out, (char *)value.data, e);
    buf_free(&value);
    return rc;
}

/* `path` is changed. */
static int fill_file(char *path, struct buf *out, bool *ok, char *why, struct err *e)
{
    char *key = strchr(path, ':');
    if (key)
        *key++ = '\0';
    if (!*path)
        return why_not(ok, why, "${file:} names no file");
    char *text;
    size_t n;
    struct err failed;
    int rc = io_read_file(path, CONFIG_FILE_MAX, &text, &n, &failed);
    if (rc == ERR_NO_MEMORY)
        return err_nomem(e);
    if (rc)
        return why_not(ok, why, "%s", failed.text);
    if (strlen(text) != n || !value_utf8(text)) {
        rc = why_not(ok, why, "the file %s is not UTF-8 text", path);
    } else if (key) {
        rc = fill_property(path, text, key, out, ok, why, e);
    } else {
        if (n && text[n - 1] == '\n')
            n--;
        if (n && text[n - 1] == '\r')
            n--;
        rc = buf_append(out, text, n, e);
    }
    mem_free(text);
    return rc;
}

/* `inner` is what stands between ${ and }; it is changed. *taken false: it is not ours, leave it. */
static int fill_one(char *inner, struct buf *out, bool *taken, bool *ok, char *why, struct err *e)
{
    static const char *const providers[] = {"env", "file"};
    char *colon = strchr(inner, ':');
    size_t word = strspn(inner, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    *taken = false;
    if (!colon || inner + word != colon)
        return ERR_OK;
    *colon = '\0';
    const char *near = config_nearest(inner, providers, COUNT_OF(providers));
    *taken = near != NULL;
    if (!near)
        return ERR_OK;
    if (strcmp(inner, near) != 0)
        return why_not(ok, why, "${%s:...} is not known; did you mean ${%s:...}?", inner, near);
    return near == providers[0] ? fill_env(colon + 1, out, ok, why, e)
                                : fill_file(colon + 1, out, ok, why, e);
}

/* At "${": fills it in or copies it, and moves *p behind what was used. */
static int fill_at(const char **p, struct buf *out, bool *filled, bool *ok, char *why, struct err *e)
{
    const char *end = strchr(*p, '}');
    bool taken = false;
    if (!end) {
        if (strncmp(*p, "${env:", 6) == 0 || strncmp(*p, "${file:", 7) == 0)
            return why_not(ok, why, "a ${ has no }");
    } else {
        char *inner = mem_strndup(*p + 2, (size_t)(end - *p) - 2);
        if (!inner)
            return err_nomem(e);
        int rc = fill_one(inner, out, &taken, ok, why, e);
        mem_free(inner);
        if (rc)
            return rc;
    }
    *filled |= taken;
    const char *from = *p;
    *p = taken ? end + 1 : *p + 2;
    return taken ? ERR_OK : buf_append(out, from, 2, e);
}

int placeholder_fill(const char *raw, char **out, bool *filled, bool *ok, char why[CONFIG_WHY_MAX],
                     struct err *e)
{
    struct buf text;
    buf_init(&text, CONFIG_SECTION_MAX);
    *out = NULL;
    *filled = false;
    *ok = true;
    int rc = ERR_OK;
    for (const char *p = raw; *p && *ok && rc == ERR_OK;) {
        if (strncmp(p, "$${", 3) == 0) {
            rc = buf_str(&text, "${", e);
            p += 3;
        } else if (strncmp(p, "${", 2) == 0) {
            rc = fill_at(&p, &text, filled, ok, why, e);
        } else {
            size_t n = 1 + strcspn(p + 1, "$");
            rc = buf_append(&text, p, n, e);
            p += n;
        }
    }
    rc = rc ? rc : buf_append(&text, "", 1, e);
    if (rc == ERR_TOO_LARGE)
        rc = why_not(ok, why, "the value grows too large");
    if (rc == ERR_OK && *ok)
        *out = (char *)text.data;
    else
        buf_free(&text);
    return rc;
}
