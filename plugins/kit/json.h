/*
 * kit/json: JSON text without a tree: check it, compact it, pick fields out of it. RFC 8259; nesting is
 * bounded. Any thread; holds no state.
 */
#ifndef LEAT_KIT_JSON_H
#define LEAT_KIT_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define JSON_DEPTH_MAX 1000

/*
 * Appends the one JSON value in `text` to `out` without insignificant white space, so on one line. Everything
 * else stays as it is (number spelling, escapes, order and repetition of keys). ERR_INVALID_RECORD says what
 * is wrong at which byte; `out` is then as before.
 */
int json_compact(struct buf *out, const void *text, size_t n, struct err *e);

enum json_type {
    JSON_NONE,
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_OBJECT,
    JSON_ARRAY
};

/* A value inside the text it was found in: strings without their quotes, still escaped. */
struct json_token {
    enum json_type type;
    const char *p;
    size_t n;
};

/*
 * Finds the field named by `path` (names of nested objects, joined with dots) in JSON text that need not be
 * compact. Of a repeated key the last one counts, as in Connect. False: the text is no object or has no such
 * field, or is malformed before or at it.
 */
bool json_find(const void *text, size_t n, const char *path, struct json_token *out);

/*
 * Walks the members of the object in `text`: start with *pos = 0. `name` stays escaped. False at the end, if
 * the text is no object, or where it is malformed.
 */
bool json_next(const void *text, size_t n, size_t *pos, struct json_token *name, struct json_token *value);

/* Appends what an escaped string (JSON_STRING's p, n) stands for, as UTF-8; lone surrogates become U+FFFD. */
int json_unescape(struct buf *out, const char *p, size_t n, struct err *e);

/* Appends the bytes as a JSON string with its quotes; what is no UTF-8 becomes U+FFFD. */
int json_string(struct buf *out, const void *text, size_t n, struct err *e);

/* Appends the base64 (RFC 4648, padded) of the bytes, as a JSON string if `quoted`. */
int json_base64(struct buf *out, const void *data, size_t n, bool quoted, struct err *e);

#endif
