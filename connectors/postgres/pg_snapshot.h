/*
 * pg_snapshot: what the parts of a snapshot share. The task's thread plans it (pg_snapshot_plan.c), compiles each table when
 * its turn comes (pg_snapshot_table.c), offers pieces of tables to readers (pg_snapshot_offer.c, pg_snapshot_pool.c) and emits
 * what they make of them, strictly in the planned order (pg_snapshot.c). Readers (pg_snapshot_reader.c) are threads with a
 * connection each that write the events; all connections see one snapshot of the database (pg_snapshot_open.c). Where it is
 * stands in the store (pg_snapshot_state.c).
 *
 * A table is read in pieces of consecutive blocks, by `ctid` ranges (PostgreSQL 14 on), in the order of the file: no index is
 * walked, tables without a key are no special case, and how far it is in one is a single `ctid`.
 */
#ifndef LEAT_PG_SNAPSHOT_H
#define LEAT_PG_SNAPSHOT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "kit/cdc/cdc_filter.h"
#include "pg_task.h"

#define SNAP_SQL_MAX (1u << 20) /* a statement: 1664 quoted names, or a SELECT of the user's */
#define SNAP_READERS_MAX 64

/* ---- what is to be read ----------------------------------------------------------------------------------------- */

/* What a table of a blocking snapshot is read by instead of its name. */
struct snap_condition {
    const char *collection; /* schema.table */
    const char *select;
};

struct snap_request {
    const char *exported; /* as of pg_snapshot_open */
    uint64_t lsn, last_commit;
    const char *space;                    /* member of the positions' partitions: "snapshot", "blocking" */
    bool blocking;                        /* asked for by a signal */
    bool fresh;                           /* does not go on with what is stored in the space */
    const struct cdc_filter *collections; /* NULL: all that are captured */
    const struct snap_condition *conditions;
    size_t condition_count;
};

/* A relation that has rows of its own: an ordinary table, or a partition. */
struct snap_part {
    struct snap_part *next_changed; /* its position is to be set at the end of the poll */
    char *schema, *name;
    uint32_t oid;
    bool heap;    /* can be read by blocks */
    bool changed; /* is in the list of those whose position is to be set */
    /* Read when the table's turn comes. */
    uint32_t filenode;
    uint64_t blocks, chunk_blocks;  /* chunk_blocks 0: read as a whole */
    double block_rows, block_bytes; /* of a block, about; the bytes with what is stored out of line */
    /* Progress, as stored. */
    bool done;
    bool read; /* all of it was read; it is done once the row that waits is emitted */
    uint64_t rows;
    uint32_t block, tuple; /* ctid of the last row in the store; 0, 0: none (tuples are counted from 1) */
    uint64_t xmin; /* oldest transaction that was running in the snapshot that all up to there was read in */
};

/* What change events call a table: one part, or a partitioned table with its partitions. */
struct snap_table {
    struct snap_table *next;
    uint32_t oid;
    char *schema, *name, *id; /* id: schema.name */
    char *select;             /* instead of the name: from options or a signal; NULL: none */
    bool all_columns;         /* are selected, not only those that events have */
    double estimate;          /* rows; < 0: unknown */
    struct snap_part *parts;
    size_t part_count;
    uint64_t rows;                    /* emitted, earlier attempts included */
    uint64_t event_rows, event_bytes; /* of those that readers wrote in this attempt */
    bool announced;
    int64_t started_ms;
    uint64_t started_rows;
    /* From compile to release. */
    struct cdc_table *table;
    uint16_t *
        map; /* column of the statement's rows behind the first -> of the table; UINT16_MAX: none of its columns */
    size_t selected;
    uint16_t *key; /* columns of the table's own key */
    size_t key_count;
    char *columns; /* quoted, each preceded by a comma; of a SELECT of the user's: all of it */
    struct pg_unchanged_view *unchanged; /* whose rows are to be learnt; NULL: none */
    struct cdc_cell *raw;                /* the statement's cells */
    struct cdc_cell
        *rows_cells[2]; /* the table's: of the row that waits, and of the one that is being read */
};

struct snap_plan {
    struct snap_table *tables;
    size_t count;
    /* For notifications, joined by commas: the tables that are read; all that are captured, "" in a blocking snapshot. */
    char *read_ids, *captured_ids;
};

/* ---- pieces and readers ----------------------------------------------------------------------------------------- */

/* Rows as COPY sent them, whole ones, or their events; owned by a chunk's list, then by who emits them. */
struct snap_block {
    struct snap_block *next;
    struct snap_reader *reader;  /* whose room it takes; NULL: nobody's any more */
    size_t room;                 /* how much */
    struct cdc_events *events;   /* NULL: rows */
    uint64_t rows;               /* of the events */
    uint32_t at_block, at_tuple; /* ctid of the last of them, if the piece moves */
    size_t len, cap;
    char data[];
};

/* A piece of a part. Guarded by the pool's lock but for what is set before it is offered. */
struct snap_chunk {
    struct snap_chunk *next;
    struct snap_table *table;
    struct snap_part *part;
    char *sql;
    struct cdc_origin at; /* of its rows, but the first and the last of a table */
    bool events;          /* are made by the reader; else its rows come as they are */
    bool changed_only;    /* of what an earlier snapshot read: what changed since */
    bool last;            /* of its part */
    struct snap_block *first, *last_block;
    bool finished;
};

/* Whether its rows move the part's position. */
static inline bool snap_chunk_moves(const struct snap_chunk *c)
{
    return c->part->heap && !c->changed_only;
}

struct snap_pool;

/* `connections` are in one snapshot each and become the pool's. Task's thread. */
int snap_pool_start(struct pg_task *t, PGconn **connections, size_t n, size_t budget, struct snap_pool **out,
                    struct err *e);
/* Ends the threads at once, also in the middle of a statement. NULL is fine. */
void snap_pool_stop(struct snap_pool *p);
/* Offers a piece to the readers; it stays the pool's until snap_pool_pop. */
void snap_pool_offer(struct snap_pool *p, struct snap_chunk *c);
size_t snap_pool_offered(const struct snap_pool *p); /* and not popped */
size_t snap_pool_readers(const struct snap_pool *p);

enum snap_next { SNAP_BLOCK, SNAP_FINISHED, SNAP_NOTHING, SNAP_STOPPED };
/*
 * What comes next of the oldest piece: a block (now the caller's, given back by snap_pool_give_back), or that it is finished. Waits up
 * to `ms` (SNAP_NOTHING), or until the task is asked to stop. Negative: a reader failed, `e` says how.
 */
int snap_pool_next(struct snap_pool *p, int64_t ms, struct snap_block **out, struct err *e);
struct snap_chunk *snap_pool_oldest(struct snap_pool *p);            /* NULL: none is offered */
void snap_pool_pop(struct snap_pool *p);                             /* frees the oldest; it is finished */
void snap_pool_give_back(struct snap_pool *p, struct snap_block *b); /* NULL is fine */
/* The caller keeps the block while it waits for others: it takes no room any more. */
void snap_pool_keep(struct snap_pool *p, struct snap_block *b);

/* ---- the whole -------------------------------------------------------------------------------------------------- */

struct pg_snapshot {
    struct pg_task *t;
    PGconn *sql; /* in the snapshot; for the catalog */
    const char *space;
    bool blocking;
    bool fresh; /* what is stored of another snapshot does not count; true until it is forgotten */
    struct snap_plan plan;
    struct snap_pool *pool;
    struct pg_position position;
    struct cdc_origin at;
    uint64_t xmin, xmax; /* of the snapshot, 64 bits */
    uint64_t as_of;      /* changes that commit from here on are not in it */
    uint64_t block_bytes;
    uint64_t chunk_rows;
    size_t budget;
    /* Where offering is, ahead of emitting. */
    struct snap_table *offer_table;
    size_t offer_part;
    uint64_t offer_block;
    bool offer_begun; /* the part's first piece was offered */
    /* Where emitting is. */
    struct snap_table *emit_table;
    struct snap_block *block; /* being read, of the oldest piece */
    char *row;                /* the next row in it */
    int free_cells;           /* which of rows_cells the next row goes to */
    struct {
        bool any;
        struct snap_table *table;
        struct snap_part *part;
        struct snap_block *block; /* the row is in it; NULL: in `block` */
        int cells;                /* index into rows_cells */
        uint32_t at_block, at_tuple;
        bool first, first_in_table;
        bool moves; /* the part's position */
    } waiting;
    struct snap_part *changed;
    bool announced;
    uint64_t rows, started_rows;
    int64_t started_ms, told_ms, status_ms;
};

int pg_snapshot_begin(struct pg_task *t, const struct snap_request *r, struct pg_snapshot **out);

/* pg_snapshot_offer.c: pieces are offered to the readers until there are enough of them. */
int snap_offer_ahead(struct pg_snapshot *s, struct err *e);

/* pg_snapshot_plan.c: which tables, in which order. */
int snap_plan_make(struct pg_snapshot *s, const struct snap_request *r, struct err *e);
void snap_plan_free(struct snap_plan *p);
void snap_table_free(struct snap_table *t); /* NULL is fine */

/*
 * pg_snapshot_table.c. The SELECT that the options give instead of a table's name, of mem_*; *out NULL: none.
 */
int snap_override(struct pg_task *t, const char *id, char **out, struct err *e);
/* A SELECT without the semicolon that may end it, of mem_*. NULL: out of memory. */
char *snap_select_dup(const char *select);
/* What the catalog says of a table, by its oid: columns, key, cdc_table, cells. */
int snap_table_describe(struct pg_task *task, PGconn *c, struct snap_table *t, struct err *e);
/* Its rows are to be learnt, if they can be (pg_unchanged_table). */
int snap_table_learn(struct pg_task *task, PGconn *c, struct snap_table *t, uint64_t as_of, struct err *e);
/* Describes a table and finds how large its parts are, and how far they were read. */
int snap_table_compile(struct pg_snapshot *s, struct snap_table *t, struct err *e);
void snap_table_release(struct snap_table *t); /* what compile made */
/* The cells of the row at `row`, the statement's in `raw`, the table's in `cells`; see pg_copy_split. Any thread. */
int snap_table_cells(const struct snap_table *t, char *row, char *end, struct cdc_cell *raw,
                     struct cdc_cell *cells, char **next, struct err *e);
/* The statement that reads blocks [from, to) of a part, behind the ctid where it is (to 0: to the end). Of mem_*; NULL: `e`. */
char *snap_table_sql(const struct snap_table *t, const struct snap_part *p, uint64_t from, uint64_t to,
                     struct err *e);
/* The one that reads what changed up to the ctid where it is, since it was read. */
char *snap_table_changed_sql(const struct pg_snapshot *s, const struct snap_table *t,
                             const struct snap_part *p, struct err *e);

/* pg_snapshot_state.c: positions. LEAT_OK or what host->fail returned, where they return int without `e`. */
int snap_state_load(struct pg_snapshot *s, struct snap_part *p, struct err *e);
int snap_state_set(struct pg_snapshot *s, const struct snap_part *p);
/* Forgets all parts' positions in the space, known tables or not. */
int snap_state_forget(struct pg_task *t, const char *space);

/* pg_snapshot_tell.c: notifications, log lines, gauges. */
int snap_tell_started(struct pg_snapshot *s);
int snap_tell_table(struct pg_snapshot *s, struct snap_table *t);
int snap_tell_table_done(struct pg_snapshot *s, struct snap_table *t);
int snap_tell_done(struct pg_snapshot *s);
int snap_tell_progress(struct pg_snapshot *s);

/* host->fail with the error's text: LEAT_RETRY where trying again may help. */
int snap_fail(struct pg_task *t, const struct err *e);

#endif
