/*
 * kit/jtext: JSON text without a tree: check it, compact it, pick fields out of it. RFC 8259; nesting is
 * bounded. Any thread; holds no state. (Named jtext because jansson, which plugins may use too, owns json_*.)
 */
#ifndef LEAT_KIT_JTEXT_H
#define LEAT_KIT_JTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define JTEXT_DEPTH_MAX 1000

/*
 * Appends the one JSON value in `text` to `out` without insignificant white space, so on one line. Everything
 * else stays as it is (number spelling, escapes, order and repetition of keys). ERR_INVALID_RECORD says what
 * is wrong at which byte; `out` is then as before.
 */
int jtext_compact(struct buf *out, const void *text, size_t n, struct err *e);

/* Exactly one JSON value, with white space around it at most. */
bool jtext_valid(const void *text, size_t n);

enum jtext_type {
    JTEXT_NONE,
    JTEXT_NULL,
    JTEXT_FALSE,
    JTEXT_TRUE,
    JTEXT_NUMBER,
    JTEXT_STRING,
    JTEXT_OBJECT,
    JTEXT_ARRAY
};

/* A value inside the text it was found in: strings without their quotes, still escaped. */
struct jtext_token {
    enum jtext_type type;
    const char *p;
    size_t n;
};

/*
 * Finds the field named by `path` (names of nested objects, joined with dots) in JSON text that need not be
 * compact. Of a repeated key the last one counts, as in Connect. False: the text is no object or has no such
 * field, or is malformed before or at it.
 */
bool jtext_find(const void *text, size_t n, const char *path, struct jtext_token *out);

/*
 * Walks the members of the object in `text`: start with *pos = 0. `name` stays escaped. False at the end, if
 * the text is no object, or where it is malformed.
 */
bool jtext_next(const void *text, size_t n, size_t *pos, struct jtext_token *name, struct jtext_token *value);

/* Likewise the items of the array in `text`. */
bool jtext_next_item(const void *text, size_t n, size_t *pos, struct jtext_token *item);

/* Whether the escaped string stands for `name`. */
bool jtext_equals(const struct jtext_token *t, const char *name, size_t name_n);

/* Appends what an escaped string (JTEXT_STRING's p, n) stands for, as UTF-8; lone surrogates become U+FFFD.
 */
int jtext_unescape(struct buf *out, const char *p, size_t n, struct err *e);

/* Appends the bytes as a JSON string with its quotes; what is no UTF-8 becomes U+FFFD. */
int jtext_string(struct buf *out, const void *text, size_t n, struct err *e);

/* Appends the base64 (RFC 4648, padded) of the bytes, as a JSON string if `quoted`. */
int jtext_base64(struct buf *out, const void *data, size_t n, bool quoted, struct err *e);

#endif
