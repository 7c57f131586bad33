/*
 * err: codes, their names and texts, and the caller-owned error object. No state; any thread.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
    int16_t kafka;
    bool retriable;
} rows[ERR_COUNT] = {
#define X(name, kafka, retriable, text) {#name, text, kafka, retriable},
    ERR_CODES(X)
#undef X
};

static int known(int code)
{
    return code >= 0 && code < ERR_COUNT ? code : ERR_INTERNAL;
}

const char *err_name(int code)
{
    return rows[known(code)].name;
}

const char *err_text(int code)
{
    return rows[known(code)].text;
}

int16_t err_kafka(int code)
{
    return rows[known(code)].kafka;
}

bool err_retriable(int code)
{
    return rows[known(code)].retriable;
}

static void start(struct err *e, int code)
{
    e->code = known(code);
    e->retriable = rows[e->code].retriable;
    e->fatal = false;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    /* The arguments may point into e->text, so format beside it. */
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    start(e, code);
    memcpy(e->text, text, sizeof text);
    return e->code;
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOMEM:
        return ERR_NO_MEMORY;
    case EMFILE:
    case ENFILE:
        return ERR_FILES;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_PERMISSION;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EOPNOTSUPP:
    case ENOSYS:
        return ERR_UNSUPPORTED;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_CONNECTION;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_IO;
    }
}

int err_sys(struct err *e, int errnum, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX], reason[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    start(e, code_of_errno(errnum));
    const char *why = strerror_r(errnum, reason, sizeof reason);
    if (snprintf(e->text, sizeof e->text, "%s: %s", text, why) >= (int)sizeof e->text)
        e->text[sizeof e->text - 1] = '\0';
    return e->code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char context[ERR_TEXT_MAX], old[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(context, sizeof context, fmt, ap);
    va_end(ap);
    memcpy(old, e->text, sizeof old);
    if (snprintf(e->text, sizeof e->text, "%s: %s", context, old) >= (int)sizeof e->text)
        e->text[sizeof e->text - 1] = '\0';
    return e->code;
}

int err_nomem(struct err *e)
{
    start(e, ERR_NO_MEMORY);
    strcpy(e->text, rows[ERR_NO_MEMORY].text);
    return ERR_NO_MEMORY;
}

void err_clear(struct err *e)
{
    start(e, ERR_OK);
    e->text[0] = '\0';
}
