/*
 * check_internal: what the files of core/storage/check* share. See check.h.
 */
#ifndef LEAT_STORAGE_CHECK_INTERNAL_H
#define LEAT_STORAGE_CHECK_INTERNAL_H

#include "storage/check.h"
#include "storage/checkpoint.h"
#include "storage/index.h"
#include "storage/paths.h"
#include "storage/producers.h"
#include "storage/scan.h"

#define CHECK_WINDOW (256u << 10)

/* An aborted transaction that the batches of a segment tell of. */
struct check_abort {
    int64_t producer_id;
    int64_t first_offset; /* -1: it began before what is here, nobody knows where */
    int64_t last_offset;
};

struct partition_check {
    struct check *c;
    const struct check_partition_args *args;
    struct check_partition_result *out;
    struct buf big, scratch;
    uint8_t *window;
    bool stopped; /* behind here only the next start can tell */

    int64_t expected; /* offset after the last batch; -1: nothing seen yet */
    int64_t
        trusted; /* `expected` as it was before the last gap: a gap may be an offset that is wrong; -1: no gap */
    int64_t last_position, last_base; /* of the last batch */

    int64_t compacted; /* the cleaner was at work below this offset; 0: never */

    struct producers *producers;
    bool uncertain; /* producers are not all known: the log begins late, or damage hides some of it */
    struct check_abort *aborted; /* of this segment */
    size_t aborted_count;

    int64_t *snapshots; /* offsets, ascending */
    size_t snapshot_count, snapshot_at;

    char epoch_path[STORAGE_PATH_MAX];
    struct epoch_entry *epochs;
    size_t epoch_count, epoch_at;
    int32_t epoch;   /* of the last batch */
    bool epochs_bad; /* said */
};

/* One segment: its batches and what is derived from them. */
int check_segment(struct partition_check *p, int64_t base, int64_t next_base, bool last, struct err *e);

/* Snapshots at or below `offset` are compared with the producers as they are now. check_snapshot.c */
int check_snapshots_to(struct partition_check *p, int64_t offset, struct err *e);
/* Those that are left, behind the last batch. */
int check_last_snapshots(struct partition_check *p, struct err *e);
/* The producers as the snapshot at `base` tells them, where a log begins late. */
int check_first_snapshot(struct partition_check *p, int64_t base, struct err *e);

/* ---- check_index.c: one index beside the walk over its segment ---- */

struct index_check {
    enum index_kind kind;
    int64_t base;
    char path[STORAGE_PATH_MAX];
    uint8_t *data;
    int64_t count, at; /* entries, without the zeros of preallocation; the next one to be met */
    int64_t max_ts;
    int64_t wrong; /* entries that do not fit */
    int64_t wrong_at;
    char why[200]; /* the first one */
    bool missing;
    bool unreadable; /* said */
};

int index_check_open(struct index_check *x, struct partition_check *p, enum index_kind kind, int64_t base,
                     struct err *e);
void index_check_batch(struct index_check *x, const struct batch_header *h, int64_t position);
/* Offsets in [from, to) cannot be read: entries that name them are passed over. */
void index_check_lost(struct index_check *x, int64_t from, int64_t to);
/* Tells what was found. `end`: offset after the last batch; `size`: bytes of batches; `open`: later entries are fine. */
int index_check_close(struct index_check *x, struct partition_check *p, int64_t end, bool open,
                      struct err *e);

/* .txnindex against p->aborted. `open`: entries at or beyond `end` are fine. */
int txnindex_check(struct partition_check *p, int64_t base, int64_t end, bool open, struct err *e);

#endif
