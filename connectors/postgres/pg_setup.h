/*
 * pg_setup: what has to be there before changes can be followed: a server that logs enough, a publication, a slot. Makes what
 * is missing, and says which statement mends what it may not. Task's thread.
 */
#ifndef LEAT_PG_SETUP_H
#define LEAT_PG_SETUP_H

#include "pg_task.h"

#define PG_VERSION_MIN 130000

#define PG_FAILOVER_SINCE 170000
#define PG_FAILOVER_REFUSED "slot.failover needs PostgreSQL 17"

#define PG_TWO_PHASE_REFUSED                                                                                 \
    "that is refused, as what was prepared and confirmed would not come again after a restart: use another " \
    "slot.name, or drop the slot and let it be made anew"

#define PG_STANDBY_SINCE 160000 /* of which changes can be read; %d: the server's version */
#define PG_STANDBY_REFUSED                                                                                   \
    "the server is a standby, and changes can be read from one as of PostgreSQL 16 (this is %d): name the "  \
    "primary in database.hostname, or both, of which the one that can write is taken"

/* Fills in t->server but for the slot; ERR_UNSUPPORTED: too old; ERR_INVALID_CONFIG: wal_level. Uses t->sql. */
int pg_setup_server(struct pg_task *t, struct err *e);
/* t->server.system_id, timeline and end, over a replication connection. */
int pg_setup_identify(struct pg_task *t, PGconn *repl, struct err *e);

/* By publication.autocreate.mode. */
int pg_publication_ensure(struct pg_task *t, struct err *e);

/* ---- the slot --------------------------------------------------------------------------------------------------- */

enum pg_slot_state {
    PG_SLOT_MISSING,
    PG_SLOT_FINE,
    PG_SLOT_LOST, /* invalidated: the log that it needs is gone */
};

struct pg_slot {
    enum pg_slot_state state;
    bool failover; /* standbys keep it (PostgreSQL 17 on) */
    uint64_t confirmed;
    char why[128]; /* of a lost one */
};

/*
 * Looks at it; sets t->server.slot_confirmed. ERR_BUSY: somebody else reads it (may pass); ERR_INVALID_CONFIG: it is not one
 * that can be used (plugin, database, two-phase).
 */
int pg_slot_look(struct pg_task *t, struct pg_slot *out, struct err *e);

#define PG_SNAPSHOT_NAME_SIZE 64
/*
 * Makes it and exports its snapshot, which lives as long as nothing else is done with `repl`. Waits twice for the transactions that
 * run, as the slot is made beside a helper (pg_slot_helper.c).
 */
int pg_slot_create(struct pg_task *t, PGconn *repl, uint64_t *consistent,
                   char snapshot[PG_SNAPSHOT_NAME_SIZE], struct err *e);
/*
 * One that is there, as slot.failover asks for: from now on standbys keep it. What stands in the way is a warning, as the stream goes
 * on without.
 */
void pg_slot_set_failover(struct pg_task *t, PGconn *repl, const struct pg_slot *slot);
/* A missing one is fine. Waits a moment for whoever reads it to be gone. */
int pg_slot_drop(struct pg_task *t, struct err *e);

/*
 * Before the slot: one beside it, which lives as long as *helper, to be disconnected. NULL: it is made without, which is a warning
 * where the server has no room for one.
 */
int pg_slot_helper_make(struct pg_task *t, PGconn **helper, struct err *e);
/* After it was made: from then on the server decodes it right from its first transaction on. */
int pg_slot_helper_mend(const struct pg_task *t, PGconn *helper, uint64_t consistent, struct err *e);

/* ---- the stream ------------------------------------------------------------------------------------------------- */

/* START_REPLICATION at `lsn`; *version: of the protocol; *in_progress: transactions may come before their commit. */
int pg_setup_start(struct pg_task *t, PGconn *repl, uint64_t lsn, int *version, bool *in_progress,
                   struct err *e);
/*
 * The server says that it does not know a table's file (from 16 on a filenumber, before a filenode) or its columns, at the same place each time. There are two causes: PostgreSQL (seen with 15.18,
 * not with 15.20) cannot decode some transactions in progress that are rolled back in part before they are committed; and of what was
 * committed while a slot was made it does not know (pg_slot_helper.c). The first passes if transactions come at their commit, the
 * second does not.
 */
bool pg_setup_cannot_decode(const struct err *e);
/* Streams that begin from now on have all transactions at their commit, until the process ends; true for the first time. Any thread. */
bool pg_setup_whole_transactions(void);
/* Whether we move the slot (lsn.flush.mode). */
bool pg_setup_confirms(const struct pg_task *t);

#endif
