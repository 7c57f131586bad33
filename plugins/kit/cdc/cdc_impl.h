/*
 * cdc_impl: what the parts of the event kit share. A capture (struct cdc) collects records in a buffer (struct cdc_batch) and
 * hands them to the host many at a time; a table (struct cdc_table) is the compiled form of which a change needs copies only.
 */
#ifndef LEAT_KIT_CDC_IMPL_H
#define LEAT_KIT_CDC_IMPL_H

#include "base/hash.h"
#include "kit/cdc/cdc.h"
#include "kit/cdc/cdc_config.h"
#include "kit/cdc/cdc_put.h"

/* ---- records not yet handed over (cdc_record.c) ---------------------------------------------------------------------- */

#define CDC_RECORD_MAX                                                                                       \
    ((size_t)2 << 30) /* bytes of one batch: two images of a row of 1 GiB have to be told as too large */
#define CDC_BATCH_BYTES ((size_t)256 << 10) /* handed over at so many bytes */
#define CDC_BATCH_KEEP ((size_t)4 << 20)    /* memory beyond this is given back after a large record */
#define CDC_BATCH_RECORDS 1024
#define CDC_NOTHING SIZE_MAX

/* A part of the batch's bytes, as those may move; at CDC_NOTHING: null. */
struct cdc_part {
    size_t at, n;
};

struct cdc_header {
    const char *key; /* outlives the batch */
    size_t key_len;
    struct cdc_part value;
};

struct cdc_pending {
    const char *topic; /* outlives the batch; NULL: topic_at */
    size_t topic_at;   /* NUL-terminated in the bytes */
    struct cdc_part key, value;
    int64_t timestamp;
    int32_t partition;
    uint32_t header_at, header_count; /* of batch->headers */
    bool context;                     /* the context headers, if there are no others */
};

struct cdc_batch {
    struct buf bytes;
    struct cdc_pending *pending;
    struct leat_record *records;
    struct cdc_header *headers;
    struct leat_header *given;
    size_t count, header_count, header_room;
};

/* Where the batch stood, to take back what an event has added. */
struct cdc_mark {
    size_t bytes, count, headers;
};

/* ---- tables (cdc_table.c) -------------------------------------------------------------------------------------------- */

/* A field of a struct that a row is written as. */
struct cdc_field {
    struct cdc_str name; /* `,"a":`; the first `{"a":` */
    struct cdc_str null, unchanged, absent;
    const struct cdc_column *column;
    const struct cdc_mask_rule *mask; /* NULL: written as it is */
    uint32_t index;                   /* of its cell */
};

struct cdc_fields {
    struct cdc_field *items;
    size_t count;
};

/* Events of one table, over all its descriptions, within a transaction. Lives as long as the capture. */
struct cdc_collection {
    char *name; /* schema.table */
    uint64_t count;
    uint64_t transaction; /* which one `count` is of */
    bool warned_key;
};

struct cdc_unwrapped; /* cdc_unwrap.c */
struct cdc_routed;    /* cdc_outbox.c */

struct cdc_table {
    struct cdc *cdc;
    struct cdc_table_spec spec;
    struct cdc_fields value, key;
    const char *topic;              /* as named, for schemas; the capture's */
    const char *routed_topic;       /* where records go; the capture's */
    char *schema_json, *table_json; /* for write_source */
    struct cdc_collection *collection;
    struct cdc_str row_schema;       /* fields of the value: `{..},{..}` */
    struct cdc_str value_name;       /* <topic>.Value, adjusted, as JSON */
    struct cdc_str before;           /* `{"before":`, behind the schema if values have theirs */
    struct cdc_str key_head;         /* "" or `{"schema":..,"payload":` */
    struct cdc_unwrapped *unwrapped; /* NULL: events as they are */
    struct cdc_routed *routed;       /* likewise */
};

/*
 * Writes a row as an object. Where a cell is CDC_UNCHANGED, `old` (NULL: none) may have its value. ERR_INVALID_RECORD names the
 * column. (cdc_row.c)
 */
int cdc_fields_write(struct cdc *c, const struct cdc_fields *f, const struct cdc_cell *row,
                     const struct cdc_cell *old, struct buf *out, struct err *e);
/* One field's value, without its name. */
int cdc_field_write(struct cdc *c, const struct cdc_field *f, const struct cdc_cell *cell, struct buf *out,
                    struct err *e);
/* A cell, or the old one that it stands for. */
static inline const struct cdc_cell *cdc_cell_of(const struct cdc_cell *row, const struct cdc_cell *old,
                                                 uint32_t i)
{
    if (row[i].state == CDC_UNCHANGED && old && (old[i].state == CDC_VALUE || old[i].state == CDC_NULL))
        return &old[i];
    return &row[i];
}

/* The value's field of a column; NULL: it has none. */
const struct cdc_field *cdc_field_of(const struct cdc_table *t, const char *column);

/* ---- the capture ------------------------------------------------------------------------------------------------------ */

enum { CDC_CONTEXT_HEADERS = 4 };

struct cdc {
    struct leat_task *task;
    const struct leat_host *host;
    const struct cdc_dialect *dialect;
    struct cdc_config config;
    struct cdc_batch batch;
    struct buf scratch, scratch2; /* for texts that are hashed, taken apart, or looked at */
    struct buf aside;             /* of transforms: pieces of an event that is written otherwise */
    struct map *topics;           /* names of topics that tables have; kept, as records point to them */
    struct map *collections;      /* struct cdc_collection by name */
    char *db, *db_json;
    const char *heartbeat_topic, *transaction_topic, *message_topic; /* of `topics` */
    char run_id[37], task_id[12];
    struct leat_header context[CDC_CONTEXT_HEADERS];
    struct cdc_str source_head;                 /* `,"source":{"version":..,"ts_ms":` */
    struct cdc_str source_db;                   /* `,"db":"x","sequence":` */
    struct cdc_str source_schema, block_schema; /* fields of an envelope's schema */
    /* The source's members that rows of a transaction have in common, and what they are of. */
    struct buf source_before, source_times;
    int64_t source_ts_us;
    enum cdc_snapshot source_snapshot;
    bool source_made;
    /* The transaction under way. */
    bool muted;
    uint64_t transaction, total;
    struct cdc_collection **touched;
    size_t touched_count, touched_room;
    size_t emitted;
    /* Of a writer's: how the events of a run of rows end, which is made anew every so many (cdc_writer.c). */
    struct {
        bool kept;
        unsigned left; /* 0: to be made */
        struct buf text;
    } ending;
};

/* A UUID as text: version 4 (random) or 7 (beginning with the time). */
void cdc_uuid(int version, char out[37]);

/* Reports `e` to the host, as what the capture's functions return. */
int cdc_fail(struct cdc *c, const struct err *e);

/* ---- records (cdc_record.c) ------------------------------------------------------------------------------------------- */

int cdc_batch_init(struct cdc_batch *b, struct err *e);
void cdc_batch_free(struct cdc_batch *b);
struct cdc_mark cdc_mark(const struct cdc *c);
void cdc_take_back(struct cdc *c, struct cdc_mark m);

/* A record with null key and value, for `topic`, which outlives the batch (NULL: the caller sets topic_at). */
struct cdc_pending *cdc_record(struct cdc *c, const char *topic, struct err *e);
/* Ends a part that began at `at`. */
static inline struct cdc_part cdc_part_from(const struct cdc *c, size_t at)
{
    return (struct cdc_part){at, c->batch.bytes.len - at};
}
/* Adds a header to the newest record; `key` outlives the batch. */
int cdc_header(struct cdc *c, struct cdc_pending *r, const char *key, size_t key_len, struct cdc_part value,
               struct err *e);
/* The context headers, behind what the newest record has; `more`: others will follow. */
int cdc_context(struct cdc *c, struct cdc_pending *r, bool more, struct err *e);
/* Only between events. */
bool cdc_batch_full(const struct cdc_batch *b);
/* Hands the batch over if it is full. */
int cdc_flush_full(struct cdc *c);

/* ---- pieces of events (cdc_source.c, cdc_event.c) ---------------------------------------------------------------------- */

/* `{"version":...}` of an event at `at`; `schema`, `table` JSON strings. */
int cdc_source_write(struct cdc *c, const struct cdc_origin *at, const char *schema, const char *table,
                     struct buf *out, struct err *e);
/* Texts that sources have in common, and the schemas of source and transaction block. */
int cdc_source_init(struct cdc *c, struct err *e);
/* Processing time: digits of ns since 1970. */
#define CDC_NS_DIGITS 19
size_t cdc_now(char out[CDC_DIGITS]);
/* ,"op":"c","ts_ms":..,"ts_us":..,"ts_ns":.. of the processing time. */
int cdc_times_write(char op, struct buf *out, struct err *e);

/* A topic's name that lives as long as the capture; tables that come and go share it. */
int cdc_topic(struct cdc *c, const char *name, const char **out, struct err *e);

/* As cdc_change, without handing anything over, and of any op. ERR_OK also where a bad value's change is left out. */
int cdc_write(struct cdc *c, const struct cdc_change *ch, struct err *e);

/* One event of a table, decided upon: what a change becomes. */
struct cdc_event {
    struct cdc_table *table;
    const struct cdc_origin *at;
    const struct cdc_cell *before, *after, *old; /* old: for cells of `after` that did not change */
    struct cdc_part key;                         /* at CDC_NOTHING: null */
    struct cdc_part moved_key;                   /* text of the other key, if `moved` */
    const char *moved; /* header of a changed key: __debezium.newkey, oldkey; NULL: none */
    char op;
    bool in_txn, tombstone;
};
/* The headers of an event, on its newest record: of a changed key, and the context; `more`: others will follow. */
int cdc_event_headers(struct cdc *c, const struct cdc_event *ev, struct cdc_pending *r, bool more,
                      struct err *e);
/* What comes behind `after` in an envelope. */
int cdc_envelope_end(struct cdc *c, const struct cdc_event *ev, struct buf *out, struct err *e);
/* The same, as it was for the row before, where it is kept (cdc_writer.c). */
int cdc_ending_write(struct cdc *c, const struct cdc_event *ev, struct buf *out, struct err *e);
/* The transaction's block of the event, or null. */
int cdc_event_block(struct cdc *c, const struct cdc_event *ev, struct buf *out, struct err *e);

/* ---- transactions (cdc_transaction.c) ---------------------------------------------------------------------------------- */

/* Counts an event of a collection, and takes the newest one back. */
int cdc_count(struct cdc *c, struct cdc_collection *of, struct err *e);
void cdc_uncount(struct cdc *c, struct cdc_collection *of);
/* The block of the event that was counted last. */
int cdc_block_write(struct cdc *c, const struct cdc_origin *at, const struct cdc_collection *of,
                    struct buf *out, struct err *e);
struct cdc_collection *cdc_collection(struct cdc *c, const char *name, struct err *e);

/* ---- names and texts (cdc_columns.c, cdc_table.c) ------------------------------------------------------------------------------------------------------------ */

#define CDC_NAME_SIZE 4096 /* of db.schema.table.column; databases allow some 64 characters a part */
/* The parts with dots between; a, c and d may be NULL. Returns `out`. */
const char *cdc_name_of(char out[CDC_NAME_SIZE], const char *a, const char *b, const char *c, const char *d);

/* Takes what `b` has as text of mem_*; the buffer is empty after. */
int cdc_str_take(struct buf *b, struct cdc_str *out, struct err *e);
void cdc_str_free(struct cdc_str *s);

#endif
