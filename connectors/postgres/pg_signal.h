/*
 * pg_signal: what a signal asks for, out of its columns (or a message's members) `type` and `data`. Any thread.
 */
#ifndef LEAT_PG_SIGNAL_H
#define LEAT_PG_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum pg_signal_kind {
    PG_SIGNAL_EXECUTE,
    PG_SIGNAL_STOP,
    PG_SIGNAL_PAUSE,
    PG_SIGNAL_RESUME,
    PG_SIGNAL_LOG,
    PG_SIGNAL_WINDOW_OPEN,
    PG_SIGNAL_WINDOW_CLOSE,
};

struct pg_signal_condition {
    char *collection; /* schema.table, or an expression for several */
    char *filter;     /* incremental: a condition; blocking: a SELECT */
};

struct pg_signal {
    enum pg_signal_kind kind;
    bool blocking;      /* execute, stop */
    char **collections; /* regular expressions; none in a stop: all */
    size_t collection_count;
    struct pg_signal_condition *conditions;
    size_t condition_count;
    char *surrogate_key; /* NULL: none */
    char *message;       /* log */
};

/*
 * `data` may be NULL where nothing is needed. ERR_UNSUPPORTED: a type that we do not know; ERR_INVALID: data that makes no
 * sense, the text says where.
 */
int pg_signal_parse(const char *type, const char *data, struct pg_signal *out, struct err *e);
void pg_signal_clear(struct pg_signal *s);

#endif
