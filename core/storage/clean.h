/*
 * clean: compaction of one log: of each key the last record stays. As Kafka's cleaner works (KIP-58, KIP-534; what 4.3.1
 * was seen to do): a map of the keys in the dirty part, then every segment below its end is copied without the records
 * that the map knows a later one for, small segments together, and the copies take the place of the originals.
 *
 * Offsets never change, and order does not. Left in place are: the last batch of a producer that is remembered (without
 * records if they are gone), so that its sequence survives; the last batch of each new segment, so that segments go on
 * where the one before ends; tombstones and the markers of transactions without data until their delete horizon, which
 * stands in their batch. Aborted transactions' data goes. Bytes and states on disk: docs/disk-format.md.
 *
 * No threads here: log_clean runs in its caller's, beside appends and reads, which it never holds up for longer than the
 * exchange of a few pointers. One log_clean at a time for a log. Retention, deleting records and truncation wait for a swap.
 */
#ifndef LEAT_STORAGE_CLEAN_H
#define LEAT_STORAGE_CLEAN_H

#include "storage/log.h"

struct cleaner_options {
    size_t map_bytes; /* of the map of keys at most: 30 bytes a key; a pass ends where it is full */
    /*
     * Called after every piece of work with the bytes read and written since: may sleep, in order to hold a rate, and
     * ends the pass with an error. Holds nothing that others wait for. NULL: never.
     */
    int (*pace)(void *arg, size_t bytes, struct err *e);
    void *arg;
};

/* Working memory, kept from log to log until cleaner_trim. One thread. */
struct cleaner;
struct cleaner *cleaner_new(const struct cleaner_options *o, struct err *e);
void cleaner_free(struct cleaner *c); /* NULL is fine */
void cleaner_trim(struct cleaner *c); /* gives back what only a pass needs */
size_t cleaner_memory(const struct cleaner *c);

/* What there is to clean in a log. */
struct clean_look {
    int64_t first_dirty;       /* what was asked for, or the log's start if that lies outside of it */
    int64_t first_uncleanable; /* base of the first segment that has to stay as it is for now */
    int64_t clean_bytes;       /* of the segments below first_dirty */
    int64_t cleanable_bytes;   /* of those from there to first_uncleanable */
    int64_t waiting_bytes; /* of sealed ones behind: for a sync, a transaction's end, min.compaction.lag.ms */
    int64_t again_ms;      /* wall clock: when time alone lets or makes more be cleaned; INT64_MAX: never */
    bool overdue;          /* something dirty is older than max.compaction.lag.ms */
};

/*
 * `checkpoint`: everything below was cleaned before. `below`: only segments that end there or before count as cleanable.
 * Before log_clean that must be the recovery point that is on disk, because recovery passes over what the journal has of
 * them; INT64_MAX tells what a flush would make possible. Nothing is cleanable once the policy does not say compact. Reads at
 * most the indexes.
 */
int log_clean_look(struct log *log, int64_t checkpoint, int64_t now_ms, int64_t below, struct clean_look *out,
                   struct err *e);

struct clean_args {
    int64_t first_dirty, first_uncleanable; /* of a look */
    int64_t now_ms;
};

struct clean_result {
    int64_t end; /* everything below is clean: the next checkpoint */
    bool full;   /* the map was: more of what the look found is left */
    int64_t bytes_read, bytes_written, bytes_freed;
    int64_t records_read, records_kept;
    int64_t segments_before, segments_after;
};

/*
 * One pass. After an error each group of segments is the old one or the new one, and `end` is not moved. ERR_CORRUPT:
 * damage, named by file and byte. ERR_BUSY: segments went meanwhile, try again. ERR_INTERRUPTED and the like: the pace's.
 * A failed sync of names is fatal (e->fatal) and the log out of service; a failed sync of a copy is not.
 */
int log_clean(struct log *log, struct cleaner *c, const struct clean_args *args, struct clean_result *out,
              struct err *e);

#endif
