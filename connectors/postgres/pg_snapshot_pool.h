/*
 * pg_snapshot_pool: what the readers of a snapshot (pg_snapshot_reader.c) share with who consumes what they read
 * (pg_snapshot_pool.c).
 */
#ifndef LEAT_PG_SNAPSHOT_POOL_H
#define LEAT_PG_SNAPSHOT_POOL_H

#include "pg_snapshot.h"

#define SNAP_BLOCK_BYTES ((size_t)256 << 10)

struct snap_reader {
    struct snap_pool *pool;
    pthread_t thread;
    bool started;
    PGconn *conn;
    PGcancel *cancel;
    size_t held;              /* bytes of blocks that are read and not given back; the pool's lock */
    struct snap_chunk *chunk; /* being read; the pool's lock */
    /* The reader's own: */
    uint32_t checked;         /* oid of the part whose file was looked at */
    struct snap_block *block; /* rows, being filled */
    struct cdc_writer *writer;
    struct cdc_cell *raw, *cells; /* of the row that is written: the statement's, the table's */
    bool any;                     /* the piece had a row */
    struct {
        char *row; /* of libpq; it is not known yet whether it is the piece's last. NULL: none */
        size_t n;
    } waiting;
    struct {
        uint64_t rows; /* that the writer has */
        char ctid[24]; /* of the last one */
        size_t ctid_len;
    } written;
};

struct snap_pool {
    struct pg_task *t;
    pthread_mutex_t lock;
    pthread_cond_t work; /* there is a piece to take, or room, or an end */
    int event;           /* the task's thread waits for it */
    bool quit;
    bool failed;
    struct err error; /* of the first reader that failed */
    struct snap_chunk *oldest, *newest, *untaken;
    size_t offered;
    struct snap_block *spare_rows, *spare_events;
    size_t room; /* bytes a reader */
    size_t count;
    struct snap_reader readers[];
};

/* ---- for readers -------------------------------------------------------------------------------------------------- */

/* An empty block with room for `n` bytes of rows; of SNAP_BLOCK_BYTES they are used again. NULL: out of memory. */
struct snap_block *snap_block_rows(struct snap_pool *p, size_t n);
/* One whose events are empty. NULL: `e`. */
struct snap_block *snap_block_events(struct snap_pool *p, struct err *e);
void snap_block_free(struct snap_block *b); /* and those behind it */
/* The block joins the piece that is being read; then waits until there is room for another. False: the end. */
bool snap_pool_hand_over(struct snap_reader *r, struct snap_block *b);
void snap_pool_tell(struct snap_pool *p); /* wakes the task's thread */

void *snap_reader_run(void *reader);

#endif
