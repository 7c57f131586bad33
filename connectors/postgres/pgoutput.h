/*
 * pgoutput: messages of PostgreSQL's logical replication (protocol versions 1 to 4) out of their bytes, without copies.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html. Any thread; holds no state.
 */
#ifndef LEAT_PGOUTPUT_H
#define LEAT_PGOUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kit/cdc/cdc.h"

#define PG_COLUMNS_MAX 1664 /* MaxTupleAttributeNumber */

/* Microseconds between 1970 and Postgres' 2000. */
#define PG_EPOCH_US INT64_C(946684800000000)

enum pgoutput_type {
    PGOUTPUT_BEGIN,
    PGOUTPUT_MESSAGE,
    PGOUTPUT_COMMIT,
    PGOUTPUT_ORIGIN,
    PGOUTPUT_RELATION,
    PGOUTPUT_TYPE,
    PGOUTPUT_INSERT,
    PGOUTPUT_UPDATE,
    PGOUTPUT_DELETE,
    PGOUTPUT_TRUNCATE,
    PGOUTPUT_STREAM_START,
    PGOUTPUT_STREAM_STOP,
    PGOUTPUT_STREAM_COMMIT,
    PGOUTPUT_STREAM_ABORT,
    PGOUTPUT_BEGIN_PREPARE,
    PGOUTPUT_PREPARE,
    PGOUTPUT_COMMIT_PREPARED,
    PGOUTPUT_ROLLBACK_PREPARED,
    PGOUTPUT_STREAM_PREPARE,
};

struct pgoutput_column {
    const char *name; /* NUL-terminated, in the message */
    uint32_t type;    /* oid */
    int32_t typmod;
    bool key; /* part of the replica identity */
};

/* What the caller provides: room for columns and cells, PG_COLUMNS_MAX each. */
struct pgoutput_room {
    struct pgoutput_column *columns;
    struct cdc_cell *old, *new_;
};

struct pgoutput {
    enum pgoutput_type type;
    uint32_t xid;    /* begin, stream start/commit/abort; of each change inside of a stream */
    uint32_t subxid; /* stream abort */
    uint64_t
        lsn; /* begin: final lsn; commit, stream commit: commit lsn; message: its lsn; origin: its commit lsn */
    uint64_t end_lsn;          /* commit, stream commit */
    int64_t ts_us;             /* begin, commit, stream commit: commit time since 1970 */
    bool first_segment;        /* stream start */
    uint32_t relation;         /* oid: relation, insert, update, delete */
    const char *schema, *name; /* relation, type: namespace and name; origin: name */
    char identity;             /* relation: d n f i */
    const struct pgoutput_column *columns;
    uint16_t column_count; /* relation; insert, update, delete: cells in a tuple */
    char old_kind;         /* update, delete: 'K' key, 'O' whole old row, 0 none */
    const struct cdc_cell *old,
        *new_;                /* in the room; of 'K' columns that are not in the key are CDC_NULL as sent */
    const uint8_t *relations; /* truncate: big-endian oids */
    uint32_t relation_count;
    bool cascade, restart_identity; /* truncate */
    bool transactional;             /* message */
    const char *prefix;             /* message */
    const uint8_t *content;
    uint32_t content_len;
};

/*
 * Decodes one message. `in_stream`: between stream start and stop, where changes carry an xid (version 2 on).
 * ERR_CORRUPT names the message and the byte; ERR_UNSUPPORTED an unknown type.
 */
int pgoutput_decode(const void *message, size_t n, int version, bool in_stream,
                    const struct pgoutput_room *room, struct pgoutput *out, struct err *e);

/* "insert", "stream start" ... for texts. */
const char *pgoutput_name(enum pgoutput_type type);

#endif
