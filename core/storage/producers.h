/*
 * producers: what one partition remembers of its idempotent and transactional producers: the last five batches of each
 * (KIP-98), epochs, open transactions and the last stable offset, and the snapshots of all that.
 *
 * An append is all or nothing: each batch is checked and applied, which cannot fail and notes how to undo it; when a
 * later step of the append fails, what was applied is undone, newest first. Not thread-safe: the log's append lock guards
 * it; what readers need (producers_first_unstable) the log copies under its state lock.
 */
#ifndef LEAT_STORAGE_PRODUCERS_H
#define LEAT_STORAGE_PRODUCERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "record/record.h"
#include "storage/log.h"

#define PRODUCER_BATCHES 5

struct producer_batch {
    int32_t last_sequence;
    int32_t offset_delta;
    int64_t last_offset;
    int64_t timestamp; /* the largest of its records */
};

struct txn;

struct producer {
    int64_t id;
    int64_t last_timestamp;
    struct txn *txn; /* open transaction, or NULL */
    int32_t coordinator_epoch;
    int16_t epoch; /* -1: nothing is known */
    uint8_t count; /* of batches, oldest first */
    bool fresh;    /* made by a check, nothing is applied yet */
    struct producer_batch batches[PRODUCER_BATCHES];
};

struct producers;

struct producers *producers_new(void); /* NULL: out of memory */
void producers_free(struct producers *p);
void producers_clear(struct producers *p);
size_t producers_count(const struct producers *p);

/* What a completed transaction was: to be written to the transaction index if aborted. */
struct txn_end {
    int64_t producer_id;
    int64_t first_offset; /* -1: the marker ended nothing */
    int64_t last_offset;  /* of the marker */
    bool aborted;
    int64_t last_stable_offset; /* once the marker is there */
};

/* How to take one batch back. */
struct producer_undo {
    struct producer before;
};

/*
 * Check of the data batch `h`, whose base offset is assigned, and room for its effect. `strict`: a client's batch, whose
 * sequence must follow. `*duplicate` is the remembered batch if it was sent before (then it is not to be applied).
 * ERR_OUT_OF_ORDER_SEQUENCE, ERR_INVALID_PRODUCER_EPOCH, ERR_INVALID_TXN_STATE, ERR_NO_MEMORY: nothing has changed.
 */
enum producer_check {
    PRODUCER_TRUST, /* replay and replication: whatever stands there happened */
    PRODUCER_EPOCH, /* the coordinator's own: of data the epoch only, it numbers all batches 0; its markers always hold */
    PRODUCER_ASKED, /* a marker that somebody asks for: the producer's and the coordinator's epochs must not be older */
    PRODUCER_BUMPED, /* likewise of transaction version 2 (KIP-1228): beyond the epoch of the transaction that it ends */
    PRODUCER_STRICT, /* a client's */
    PRODUCER_FROM_ZERO, /* likewise in a transaction of version 2 (KIP-890): sequences of who is not known begin with 0 */
};
int producers_check_data(struct producers *p, const struct batch_header *h, enum producer_check check,
                         const struct producer_batch **duplicate, struct err *e);
/* Right after its check. `undo` may be NULL. */
void producers_apply_data(struct producers *p, const struct batch_header *h, struct producer_undo *undo);

/* Same for a marker. `end` says what it completes. ERR_INVALID_PRODUCER_EPOCH, ERR_COORDINATOR_FENCED. An epoch never goes back. */
int producers_check_marker(struct producers *p, const struct batch_header *h, int16_t type,
                           int32_t coordinator_epoch, enum producer_check check, struct txn_end *end,
                           struct err *e);
void producers_apply_marker(struct producers *p, const struct batch_header *h, int32_t coordinator_epoch,
                            struct producer_undo *undo);

/* Newest first; producers_settle must not have run in between. */
void producers_undo(struct producers *p, const struct producer_undo *undo);

/* First offset of the oldest transaction that is open, or whose marker is not below the watermark. -1: none. */
int64_t producers_first_unstable(const struct producers *p);
/* Transactions whose marker is below `high_watermark` are settled. */
void producers_settle(struct producers *p, int64_t high_watermark);

void producers_expire(struct producers *p, int64_t now_ms, int64_t expiration_ms);
int producers_list(const struct producers *p, struct producer_info **list, size_t *n, struct err *e);

/* Snapshot (Kafka's format, version 1). Transactions that are complete are not in it. */
int producers_encode(const struct producers *p, struct buf *out, struct err *e);
/* Into an empty `p`. ERR_CORRUPT leaves it empty. */
int producers_decode(struct producers *p, const void *data, size_t n, const char *path, struct err *e);

#endif
