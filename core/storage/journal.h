/*
 * journal: one sequential, preallocated, recycled file set a data directory, so that appends to many
 * partitions become durable with one sync. A record is atomic: after a crash all of its entries are replayed
 * or none.
 *
 * Written with O_DIRECT|O_DSYNC where the file system can, else write and fdatasync. One thread writes (the
 * commit stage). Bytes: docs/disk-format.md.
 */
#ifndef LEAT_STORAGE_JOURNAL_H
#define LEAT_STORAGE_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"

struct journal;

struct journal_options {
    const char *dir;
    size_t file_bytes;   /* of one file; default 64 MiB */
    size_t record_bytes; /* largest record, default 16 MiB; also the size of the staging buffer */
};

struct journal_entry {
    struct uuid topic_id;
    int32_t partition;
    int64_t segment_base;
    int64_t position; /* in the segment file */
    int64_t base_offset;
    int64_t next_offset; /* after the last batch */
    const void *data;    /* batches as they stand in the segment */
    size_t bytes;
};

/* Opens or creates; reads what is there but gives nothing out yet. */
int journal_open(struct journal **out, const struct journal_options *o, struct err *e);
void journal_close(struct journal *j);

/*
 * Gives every entry of every whole record out, oldest first, then the journal is ready for writing. Ends at
 * the first record that is not whole: that one was never acknowledged. A broken record with whole ones of a
 * later sequence behind it is damage: ERR_CORRUPT that names file and byte.
 */
int journal_replay(struct journal *j, int (*entry)(void *arg, const struct journal_entry *en, struct err *e),
                   void *arg, struct err *e);

/*
 * Staging: entries are copied into the current record. journal_stage answers ERR_TOO_LARGE when the record
 * has no room (commit first, or the entry can never fit). journal_commit writes and syncs the staged record;
 * when it returns OK everything staged is durable. An error is fatal: the journal takes no more.
 */
size_t journal_room(const struct journal *j); /* bytes of payload that still fit into this record */
int journal_stage(struct journal *j, const struct journal_entry *en, struct err *e);
int journal_commit(struct journal *j, struct err *e);

/*
 * Files fill up and are sealed by journal_commit. The owner, when sealed files wait: flushes every log that
 * has entries in them, writes the recovery points, and calls journal_release(j, seal) with the number it read
 * before flushing. Thread-safe against commit.
 */
uint64_t journal_sealed(struct journal *j); /* number of the newest sealed file; 0: none waits */
int journal_release(struct journal *j, uint64_t seal, struct err *e); /* files up to it may be overwritten */

/* After all logs are flushed (clean stop): nothing needs to be replayed. */
int journal_reset(struct journal *j, struct err *e);

struct journal_stats {
    uint64_t commits;
    uint64_t bytes;      /* payload */
    uint64_t file_bytes; /* on disk now */
};
void journal_stats(struct journal *j, struct journal_stats *s);

#endif
