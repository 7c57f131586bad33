/*
 * pg_incremental: what the parts of incremental snapshots share. Task's thread.
 *
 * A signal becomes a request: tables to be read, one after the other, in chunks by key. While a chunk is read changes go on;
 * a window tells which of those that the stream brings may be older or newer than the chunk's rows: its low watermark is
 * before the read, its high one after it. Rows whose key comes by the stream within the window are left to the stream; the
 * others are emitted where the high watermark comes. (Andreakis, Papapanagiotou: "DBLog: A Watermark Based Change-Data-Capture
 * Framework", 2020.)
 */
#ifndef LEAT_PG_INCREMENTAL_H
#define LEAT_PG_INCREMENTAL_H

#include "base/hash.h"
#include "pg_channels.h"
#include "pg_signal.h"
#include "pg_snapshot.h"
#include "pg_task.h"

#define INC_RECENT                                                                                           \
    64 /* more sessions than can be between the commit in the log and its being visible, of any server that is well */
#define INC_KEY_MAX 32 /* INDEX_MAX_KEYS */

/* ---- requests ----------------------------------------------------------------------------------------------------- */

struct inc_table {
    struct inc_table *next;
    char *id;        /* schema.table */
    char *condition; /* incremental: and-ed to the chunks; blocking: a SELECT; NULL: none */
};

struct inc_request {
    struct inc_request *next;
    char *id; /* the signal's */
    bool blocking, started;
    char *surrogate;          /* column that is read by instead of the key; NULL: the key */
    struct inc_table *tables; /* left to be read, the current one first */
};

/* Of the first table of the first request. */
struct inc_progress {
    size_t n;                                   /* columns of the key; 0: the table's reading has not begun */
    char *last[INC_KEY_MAX], *max[INC_KEY_MAX]; /* text of key values; last[0] NULL: nothing was read */
    uint64_t rows;
};

/* What is stored: pg_incremental_state.c. */
struct inc_state {
    struct inc_request *requests;
    struct inc_progress progress;
    bool paused;
};

int inc_state_load(struct pg_task *t, struct inc_state *s, struct err *e);
/* Sets the position. LEAT_OK or what host->fail returned. */
int inc_state_store(struct pg_task *t, const struct inc_state *s);
/* ERR_TOO_LARGE: there would be no room for it and for how far its tables are. */
int inc_state_fits(const struct inc_state *s, struct err *e);
void inc_state_clear(struct inc_state *s);
void inc_progress_clear(struct inc_progress *p);
void inc_table_free(struct inc_table *t);
void inc_request_free(struct inc_request *r);
/* The request's tables, or those of the list, joined by commas, of mem_*; NULL: out of memory. */
char *inc_table_ids(const struct inc_table *tables);

/* ---- a table and its chunks: pg_incremental_source.c, pg_incremental_chunk.c ------------------------------------------------------------------------------ */

/* A table made ready to be read by key. */
struct inc_source {
    struct snap_table *table;
    uint32_t oid;
    bool partitioned;
    char version[40]; /* changes with the table's description */
    /* Positions in the rows that are read: what it is read by, and what is compared with changes of the stream. */
    uint16_t key[INC_KEY_MAX], identity[INC_KEY_MAX];
    size_t key_count, identity_count;
    bool ties; /* rows may have the same key, as it is a surrogate */
};

struct inc_chunk {
    struct buf text;
    struct cdc_cell *cells; /* rows * columns */
    size_t rows, columns;
    bool *gone;       /* came by the stream */
    struct map *keys; /* identity -> row + 1 */
};

/* The table of that name, compiled anew where its description changed. ERR_NOT_FOUND: there is none that is captured. */
int inc_source_open(struct pg_task *t, PGconn *sql, const char *id, const char *surrogate,
                    struct inc_source *s, struct err *e);
void inc_source_close(struct inc_source *s);
/* Reads the largest key into p->max (p->n stays 0: there are no rows). */
int inc_read_max(PGconn *sql, const struct inc_source *s, const struct inc_table *t, struct inc_progress *p,
                 struct err *e);
/* Reads up to `limit` rows behind p->last, fewer if they are more than `bytes` large. */
int inc_read_chunk(PGconn *sql, const struct inc_source *s, const struct inc_table *t,
                   const struct inc_progress *p, uint64_t limit, size_t bytes, struct inc_chunk *out,
                   struct err *e);
/* p->last becomes the key of the chunk's last row. */
int inc_chunk_end(const struct inc_source *s, const struct inc_chunk *c, struct inc_progress *p,
                  struct err *e);
/*
 * Takes the row with that identity out: `cells` are those of a row of `table` as the stream describes it. False: the row does
 * not say what its identity is.
 */
bool inc_chunk_remove(struct inc_chunk *c, const struct inc_source *s, const struct cdc_table *table,
                      const struct cdc_cell *cells);
void inc_chunk_remove_all(struct inc_chunk *c);
void inc_chunk_clear(struct inc_chunk *c);

/* ---- watermarks: pg_watermark.c ----------------------------------------------------------------------------------- */

enum inc_strategy { INC_INSERT_INSERT, INC_INSERT_DELETE, INC_READ_ONLY };

struct inc_window {
    enum inc_strategy strategy;
    bool waiting;     /* a chunk was read, the high watermark is to come */
    bool open;        /* the low watermark came */
    bool stale;       /* the chunk must be read again */
    char id[40];      /* uuid */
    char opened[48];  /* when, as text */
    uint32_t signals; /* oid of the signal table */
    /* Transactions that the chunk may not have seen: from low_xmax on, or of low_running. Older than low_xmin: seen. */
    uint64_t low_xmin, low_xmax;
    uint32_t *low_running;
    size_t low_count;
    uint64_t high_lsn; /* the stream is past the chunk here */
};

/*
 * Begins a window. `recent`: transactions of the stream of late (0: none); those that are found to be over long since are taken
 * out. ERR_BUSY: one of them is not visible to others yet, try again soon.
 */
int inc_window_low(struct pg_task *t, PGconn *sql, uint32_t *recent, size_t n, struct inc_window *w,
                   struct err *e);
/* The chunk was read. */
int inc_window_high(struct pg_task *t, PGconn *sql, struct inc_window *w, struct err *e);
/* Whether a change by this transaction may be newer than what the chunk saw. */
bool inc_window_concerns(const struct inc_window *w, uint32_t xid);
void inc_window_clear(struct inc_window *w);

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

struct pg_incremental {
    struct pg_task *t;
    struct inc_state state;
    struct inc_source source;
    struct inc_chunk chunk;
    struct inc_window window;
    uint64_t chunk_rows, limit; /* limit: of the current table, less where its rows are large */
    size_t chunk_bytes;
    struct pg_position last;     /* of the last change of the stream */
    uint32_t recent[INC_RECENT]; /* its last transactions */
    unsigned recent_at;
    bool busy; /* the window could not begin */
    struct pg_snapshot *blocking;
    struct pg_channels *channels;
};

/* pg_incremental_window.c. LEAT_OK or what host->fail returned. */
/* Reads the next chunk between two watermarks; i->busy: it could not begin yet. */
int inc_read_window(struct pg_incremental *i);
/* The stream is past the chunk: what is left of it is emitted, or it is to be read again. */
int inc_close_window(struct pg_incremental *i);

/* pg_incremental_blocking.c. A poll of the blocking snapshot that is the first request, or of its beginning (i->busy likewise). */
int inc_step_blocking(struct pg_incremental *i);

/* pg_incremental_signal.c. Takes a signal up. */
int inc_take_signal(struct pg_incremental *i, const char *id, const struct pg_signal *s);

/* pg_incremental_tell.c: notifications. LEAT_OK or what host->fail returned. */
/* The row of `leat status` of the first table; it goes when the table is done. */
int inc_tell_status(struct pg_incremental *i, bool is_done);
int inc_tell_started(struct pg_incremental *i, const struct inc_request *r);
/* `last`: the key of the last row of the chunk that was read. */
int inc_tell_progress(struct pg_incremental *i, char *const *last);
int inc_tell_table_done(struct pg_incremental *i, const char *status);
int inc_tell_completed(struct pg_incremental *i, const struct inc_request *r);
/* PAUSED, RESUMED, ABORTED; `tables` NULL: none are listed. */
int inc_tell_event(struct pg_incremental *i, const char *id, const char *type,
                   const struct inc_table *tables);

#endif
