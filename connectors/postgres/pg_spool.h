/*
 * pg_spool: transactions that come in pieces before they are committed, several of them interleaved: each in a file of its
 * own that has no name any more, so that nothing of it outlives the process. What aborted subtransactions wrote is left out
 * when it is read back. Task's thread.
 */
#ifndef LEAT_PG_SPOOL_H
#define LEAT_PG_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pg_spools; /* by transaction id */
struct pg_spool;

/* `dir`: where files are made; borrowed. NULL: out of memory. */
struct pg_spools *pg_spools_new(const char *dir);
void pg_spools_free(struct pg_spools *s);
size_t pg_spools_count(const struct pg_spools *s);
uint64_t pg_spools_bytes(const struct pg_spools *s);

/* The transaction's, begun if `first`. ERR_CORRUPT: it is there already, or is not. */
int pg_spools_get(struct pg_spools *s, uint32_t xid, bool first, struct pg_spool **out, struct err *e);
/* Takes it out: for reading it, or to drop it with pg_spool_free. ERR_CORRUPT: there is none. */
int pg_spools_take(struct pg_spools *s, uint32_t xid, struct pg_spool **out, struct err *e);

/* `xid`: of the subtransaction, 0: none. The bytes are copied. */
int pg_spool_add(struct pg_spool *s, uint32_t xid, uint64_t lsn, const void *message, size_t n,
                 struct err *e);
/* For now nothing more comes: gives the memory back. */
int pg_spool_pause(struct pg_spool *s, struct err *e);
/* The subtransaction's messages do not count, but for those that describe tables: the server counts on their having come. */
int pg_spool_abort(struct pg_spool *s, uint32_t subxid, struct err *e);

struct pg_spooled {
    const uint8_t *message; /* until the next call */
    size_t n;
    uint64_t lsn;
};

/* From the first message on, as often as one likes; after this nothing may be added. */
int pg_spool_rewind(struct pg_spool *s, struct err *e);
/* ERR_END: that was all. */
int pg_spool_next(struct pg_spool *s, struct pg_spooled *out, struct err *e);
void pg_spool_free(struct pg_spool *s); /* NULL: nothing */

#endif
