/*
 * kit/cdc: change events as Debezium writes them, for connectors of databases. A connector describes its tables (columns
 * with schema and an encoder each), hands over changes as cells, and gets records emitted: envelope, keys, tombstones, key
 * changes as delete and create, transaction metadata, filters, masks, topic names, unwrap and outbox. JSON goes straight
 * from the cell into the record; no tree in between, no allocation per record once the buffers have grown.
 *
 * Source of formats: docs/design/0004-postgres-cdc.md; Debezium 3.5 as recorded in tests/data/debezium. All functions are
 * for the task's thread unless said otherwise. Functions that return `int` without `struct err` return LEAT_OK or what
 * host->fail returned.
 */
#ifndef LEAT_KIT_CDC_H
#define LEAT_KIT_CDC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "leat/plugin.h"

/* The release of Debezium whose events these are: `source.version`. */
#define CDC_FORMAT_VERSION "3.5.0.Final"

/* ---- cells and columns ------------------------------------------------------------------------------------------ */

enum cdc_state {
    CDC_NULL,
    CDC_VALUE,
    CDC_UNCHANGED, /* a large value that the server did not send as it did not change (Postgres' TOAST) */
    CDC_ABSENT,    /* not part of what was logged: of a `before` with the key only */
};

/* A column's value in a row, as the database sent it; borrowed. */
struct cdc_cell {
    const void *data;
    size_t len;
    enum cdc_state state;
};

/* A Connect schema as JsonConverter renders it. Texts are JSON, ready to be written; NULL: the member is not there. */
struct cdc_schema {
    char *type;   /* "\"int32\"", "\"array\"" ... */
    char *nested; /* "\"items\":{...}", "\"fields\":[...]" */
    bool optional;
    char *name;       /* without quotes and escapes: io.debezium.time.Date */
    int version;      /* 0: none */
    char *doc;        /* without quotes */
    char *parameters; /* members without braces: "\"scale\":\"2\"" */
    char *def;        /* the default's JSON; NULL: none */
};

struct cdc_column;
/* Appends the JSON of a value (state CDC_VALUE). ERR_INVALID_RECORD says what is wrong with it. */
typedef int (*cdc_encode)(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                          struct err *e);
/* Appends the value as text for hashing, truncating, keys of the outbox; NULL: the data is the text. */
typedef int (*cdc_text)(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                        struct err *e);

/* Filled in by the connector; cdc_table_new takes it over. Every text is of mem_*. */
struct cdc_column {
    char *name;
    struct cdc_schema schema;
    cdc_encode encode;
    cdc_text text;
    const void *type; /* the connector's own: what encode needs beyond a, b, item; outlives the table */
    int32_t a, b;     /* likewise: precision, scale, length */
    struct cdc_column *item; /* of arrays: the element, encoded by its own encode; NULL: no array */
    char *unchanged;         /* JSON for CDC_UNCHANGED (the placeholder in this column's type) */
    char *absent;            /* JSON for CDC_ABSENT */
    char *source_type; /* column.propagate.source.type: VARCHAR, INT4 ...; upper case, as Debezium has it */
    int32_t source_length, source_scale; /* -1: none */
    bool generated;                      /* is not in change events of this database: left out */
};

void cdc_column_clear(struct cdc_column *c);

/* A table as the connector found it. */
struct cdc_table_spec {
    char *db, *schema, *table; /* as the database spells them; MySQL has no schema: NULL */
    struct cdc_column *columns;
    size_t column_count;
    uint32_t *key; /* indexes of the key's columns in the key's order; none: no key */
    size_t key_count;
};

void cdc_table_spec_clear(struct cdc_table_spec *s);

/* ---- a task's capture ------------------------------------------------------------------------------------------- */

enum cdc_snapshot {
    CDC_STREAMED, /* "false" */
    CDC_SNAPSHOT, /* "true" */
    CDC_FIRST,
    CDC_FIRST_IN_TABLE,
    CDC_LAST_IN_TABLE,
    CDC_LAST,
    CDC_INCREMENTAL,
};

/* Where and when a change happened. `own` is the dialect's (struct pg_position). Borrowed. */
struct cdc_origin {
    int64_t ts_us; /* database time, since 1970 */
    enum cdc_snapshot snapshot;
    const void *own;
};

/* What differs between databases in the events. Static. */
struct cdc_dialect {
    const char *connector;     /* "postgresql" */
    const char *source_schema; /* io.debezium.connector.postgresql.Source */
    const char *
        source_fields; /* JSON of the schemas of the members that write_source adds, each beginning with a comma */
    const char *message_value_schema; /* io.debezium.connector.postgresql.MessageValue; NULL: no messages */
    const char *message_key_schema;
    /* `"sequence"`'s value: JSON text or null. */
    int (*write_sequence)(const struct cdc_origin *o, struct buf *out, struct err *e);
    /*
     * Members behind ts_ns, each beginning with a comma: ,"schema":..,"table":..,"txId":.. `schema` and `table` are JSON
     * strings with quotes, made once a table; "\"\"" for messages.
     */
    int (*write_source)(const struct cdc_origin *o, const char *schema, const char *table, struct buf *out,
                        struct err *e);
    /* The transaction's id as text that needs no escapes, with what the event at `o` adds to it (Postgres: "txid:lsn"). */
    int (*write_txn_id)(const struct cdc_origin *o, struct buf *out, struct err *e);
};

struct cdc;
struct cdc_table;

/* Reads the options of CDC_OPTIONS (cdc_options.h) from `config`. `db`: source.db. NULL after host->fail. */
struct cdc *cdc_new(struct leat_task *t, const struct leat_host *host, const struct leat_config *config,
                    const struct cdc_dialect *dialect, const char *db);
void cdc_free(struct cdc *c);

/* What `leat validate` can say of the options alone: regexes, masks, transforms. LEAT_OK or after host->fail. */
int cdc_validate(struct leat_task *t, const struct leat_host *host, const struct leat_config *config);

/* By the table, schema, database lists. `schema` NULL where the dialect has none. The signal table counts as captured. */
bool cdc_captures(const struct cdc *c, const char *schema, const char *table);
/* The filter as the database could evaluate it is the connector's business; this is the whole truth. */
bool cdc_captures_column(const struct cdc *c, const char *schema, const char *table, const char *column);
bool cdc_is_signal_table(const struct cdc *c, const char *schema, const char *table);

/*
 * Compiles a table: takes the contents of `spec` over (it is empty after, also on failure). Applies column filters, masks,
 * message.key.columns, propagated types; makes the schema texts and the topic's name. Cells of its rows are in the order of
 * spec->columns, including those that are filtered out.
 */
struct cdc_table *cdc_table_new(struct cdc *c, struct cdc_table_spec *spec, struct err *e);
void cdc_table_free(struct cdc_table *t);
const char *cdc_table_topic(const struct cdc_table *t);
size_t cdc_table_columns(const struct cdc_table *t); /* of the spec */
const struct cdc_column *cdc_table_column(const struct cdc_table *t, size_t i);
bool cdc_table_has_key(const struct cdc_table *t);
/* Whether events have the column's value, or what a hash or a cut makes of it: not if it is filtered out or has a fixed mask. */
bool cdc_table_shows(const struct cdc_table *t, size_t i);
/* Appends the key's payload JSON ({"id":1}), without schema, of a row. For the window of incremental snapshots. */
int cdc_table_key(const struct cdc_table *t, const struct cdc_cell *row, struct buf *out, struct err *e);

/* ---- changes ---------------------------------------------------------------------------------------------------- */

struct cdc_change {
    struct cdc_table *table;
    char op;                       /* c r u d t */
    const struct cdc_cell *before; /* NULL: none; a cell for each column of the spec */
    const struct cdc_cell *after;  /* likewise */
    /*
     * u: the old key where it was sent (else NULL), the other cells CDC_ABSENT: a changed key becomes d and c. Cells of `after`
     * that are CDC_UNCHANGED are taken from here or from `before` where they are there.
     */
    const struct cdc_cell *key_before;
    struct cdc_origin at;
    bool
        in_txn; /* between cdc_begin and cdc_end: gets a transaction block and counts, if provide.transaction.metadata */
};

/* Emits what the change becomes: nothing (skipped), one record, or several. */
int cdc_change(struct cdc *c, const struct cdc_change *change);
/* What a logical message says, as JSON, and the type in its schema ("bytes", "string"): by binary.handling.mode. Borrowed. */
struct cdc_content {
    const char *type, *json;
    size_t n;
};

/* A logical message (op m); not `in_txn`: non-transactional. */
int cdc_message(struct cdc *c, const struct cdc_origin *at, bool in_txn, const char *prefix,
                size_t prefix_len, const struct cdc_content *content);
/* Transaction boundaries; records only with provide.transaction.metadata. */
int cdc_begin(struct cdc *c, const struct cdc_origin *at);
int cdc_end(struct cdc *c, const struct cdc_origin *at);
/*
 * While muted, changes are counted (orders of the transaction metadata) and not emitted: for what the store already has
 * of a transaction that is sent again after a restart.
 */
void cdc_mute(struct cdc *c, bool muted);

/*
 * A heartbeat record, and notifications (notification.enabled.channels: sink, log). `id` NULL: one is made. `data`: pairs of
 * additional_data without connector_name, ended by NULL; at most 15, of two that Java would put into one bucket the first first.
 */
int cdc_heartbeat(struct cdc *c);
int cdc_notify(struct cdc *c, const char *id, const char *type, const char *aggregate,
               const char *const *data);
int64_t cdc_heartbeat_interval_ms(const struct cdc *c); /* 0: off */

/* Hands what is buffered to the host: before poll returns and before set_position. */
int cdc_flush(struct cdc *c);
/* Bytes of keys and values since the last call: for host->poll_bytes. */
size_t cdc_take_emitted(struct cdc *c);

/* ---- rows written by other threads ------------------------------------------------------------------------------ */

/*
 * A snapshot's rows are made events of by the threads that read them, each by a writer of its own; the task's thread emits what
 * they wrote. A writer shares the capture's options and tables, which must not change or be freed while it writes.
 */
struct cdc_writer;
struct cdc_events; /* what a writer wrote; one thread's at a time */

/* Task's thread. NULL: `e`. */
struct cdc_writer *cdc_writer_new(const struct cdc *c, struct err *e);
void cdc_writer_free(struct cdc_writer *w);
/* Whether a writer can write the table's events: not where one depends on others, or on an expression that it matches. */
bool cdc_writer_takes(const struct cdc_table *t);

/* The rest: the writer's thread. Rows of this table follow, read at `at`, whose `own` stays until the next. */
void cdc_writer_begin(struct cdc_writer *w, struct cdc_table *t, const struct cdc_origin *at);
/*
 * Adds the event (op r) of a row, or leaves it out where that is what options say of a value that cannot be written. Processing times are those of a row shortly before;
 * after a wait for rows cdc_writer_waited says so.
 */
int cdc_writer_add(struct cdc_writer *w, const struct cdc_cell *row, struct err *e);
void cdc_writer_waited(struct cdc_writer *w);
/* It has so much that it should be handed on. */
bool cdc_writer_full(const struct cdc_writer *w);
/* Exchanges what it has for `ev`, which is new or was emitted. */
void cdc_writer_exchange(struct cdc_writer *w, struct cdc_events *ev);

/* Any thread. NULL: `e`. */
struct cdc_events *cdc_events_new(struct err *e);
void cdc_events_free(struct cdc_events *ev);
size_t cdc_events_memory(const struct cdc_events *ev); /* bytes that it takes */
/* Task's thread. Emits them behind what the capture has; they are empty then. */
int cdc_events_emit(struct cdc *c, struct cdc_events *ev);

#endif
