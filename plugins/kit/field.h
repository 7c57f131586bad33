/*
 * kit/field: one look at a record's value for all kinds of records: JSON bytes, plain bytes, typed values.
 * Task thread only.
 */
#ifndef LEAT_KIT_FIELD_H
#define LEAT_KIT_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "leat/plugin.h"

/* How to read records; made once at open by record_view_init. */
struct record_view {
    const struct leat_host *host;
    struct leat_task *task;
    enum leat_converter key, value; /* what bytes are taken for */
};

/* Asks the host for the converters; a host that is too old for that means bytes. */
void record_view_init(struct record_view *v, const struct leat_host *host, struct leat_task *task);

enum field_kind {
    FIELD_ABSENT,
    FIELD_NULL,
    FIELD_BOOL,
    FIELD_INT,
    FIELD_FLOAT,
    FIELD_STRING,
    FIELD_TIMESTAMP,
    FIELD_OTHER
};

/* `text`, n: the value as text: true, 42, 1.5, the string itself (unescaped); JSON text of FIELD_OTHER. */
struct field {
    enum field_kind kind;
    int64_t i; /* BOOL, INT; TIMESTAMP: ms since 1970 */
    const char *text;
    size_t n;
};

/* True if the record has neither value bytes nor a typed value other than null. */
bool record_value_is_null(const struct record_view *v, const struct leat_record *r);

/*
 * The field at `path` (dots between nested names) of the record's value. Its text may live in `scratch`
 * (which it resets) or in the record. A value that is no object, map or struct gives FIELD_ABSENT
 * (bytes are looked into as JSON only where value.converter says that they are). Errors:
 * ERR_NO_MEMORY, ERR_INVALID_RECORD.
 */
int record_field(const struct record_view *v, const struct leat_record *r, const char *path,
                 struct buf *scratch, struct field *out, struct err *e);

/* "topic-partition@offset" for messages; `out` has at least 300 bytes. Returns `out`. */
char *record_name(const struct leat_record *r, char *out, size_t size);

#endif
