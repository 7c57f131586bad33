/*
 * journal: one sequential, preallocated, recycled file set a data directory, so that appends to many partitions become
 * durable with one sync. A record is atomic: after a crash all of its entries are replayed or none.
 *
 * Written with O_DIRECT|O_DSYNC where the file system can, else write and fdatasync. Bytes: docs/disk-format.md.
 *
 * What may run at the same time. journal_open, journal_replay, journal_reset and journal_close run alone. The others:
 *   - journal_stage, journal_room, journal_take: any thread; they only copy and swap under the journal's own short lock.
 *     An owner that must know which entries a commit covers calls journal_stage and journal_take under its own lock.
 *   - journal_drop, journal_write, journal_commit, journal_trim: one thread at a time (the commit stage), beside all of the above: what
 *     is staged while journal_write runs goes into the next record.
 *   - journal_wants_file, journal_prepare: any thread, beside all of the above. A journal_write that needs the very file
 *     that is being made waits for it.
 *   - journal_sealed, journal_release, journal_stats: any thread (journal_release: one at a time), beside everything.
 *   - journal_set_aside, journal_drop_aside: whoever calls journal_release, and as that.
 */
#ifndef LEAT_STORAGE_JOURNAL_H
#define LEAT_STORAGE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"

struct journal;

struct journal_options {
    const char *dir;
    size_t file_bytes; /* of one file; 0: 64 MiB. The first files of a new journal are smaller */
    size_t
        record_bytes; /* largest record, 0: 64 MiB; each of the two staging buffers may hold that and a record before it */
};

struct journal_entry {
    struct uuid topic_id;
    int32_t partition;
    int64_t segment_base;
    int64_t position; /* in the segment file */
    int64_t base_offset;
    int64_t next_offset; /* after the last batch */
    const void *data;    /* batches as they stand in the segment */
    size_t bytes; /* 0: a reference; all of the partition below next_offset is synced where it stands */
};

/* Opens or creates; reads what is there but gives nothing out yet. */
int journal_open(struct journal **out, const struct journal_options *o, struct err *e);
void journal_close(struct journal *j); /* what is staged and not committed is dropped; NULL is fine */

/*
 * Gives every entry of every whole record out, oldest first, then the journal is ready for writing; must be called once.
 * Ends at the first record that is not whole: that one was never acknowledged. A broken record with whole ones of a
 * later sequence behind it is damage: ERR_CORRUPT that names file and byte. entry->data is valid during the call only.
 * The files that were replayed count as sealed: flush, then journal_release or journal_reset.
 */
int journal_replay(struct journal *j, int (*entry)(void *arg, const struct journal_entry *en, struct err *e),
                   void *arg, struct err *e);

/*
 * Staging: entries are copied into the current record. journal_stage answers ERR_TOO_LARGE when the record has no room
 * (commit first, or the entry can never fit), ERR_NO_SPACE when the disk has no room for another journal file (nothing
 * is lost, later attempts may succeed), or the sticky error after a failed write.
 */
size_t journal_room(struct journal *j); /* bytes of data that one more entry may have in this record */
int journal_stage(struct journal *j, const struct journal_entry *en, struct err *e);

/*
 * Before entries of so many bytes in all, with what is around them, that must be durable together: if the current file's rest
 * is too small for them and what is staged is not, that becomes a record of its own, so that the rest is used.
 */
void journal_group(struct journal *j, size_t bytes);

/* Takes back what was staged since the mark was taken. Only if journal_take did not run in between. */
struct journal_mark {
    size_t at, used;
    uint32_t entries;
};
struct journal_mark journal_mark(struct journal *j);
void journal_unstage(struct journal *j, struct journal_mark mark);

/*
 * journal_take closes the staged record and makes it the one that journal_write writes; false: nothing is staged, or the
 * record taken before is not written yet. journal_write writes and syncs it (nothing taken: does nothing; where journal_group
 * has divided it, one part after the other): when it returns OK everything in it is durable. An error is fatal: the journal takes no more, and answers it again from then
 * on. journal_commit is both in one.
 */
bool journal_take(struct journal *j);
/* Takes a partition's entries out of what was taken and is not written yet. By the committing thread. */
void journal_drop(struct journal *j, const struct uuid *topic_id, int32_t partition);
int journal_write(struct journal *j, struct err *e);
int journal_commit(struct journal *j, struct err *e);

/* May `more` bytes (entries and what is around them) be staged so that no commit has to make a file for them? */
bool journal_fits(struct journal *j, size_t more);

/*
 * journal_prepare makes the next file in advance, so that no commit waits for it, when journal_wants_file: the current one is
 * half full and none is free, or making one failed before. ERR_NO_SPACE and the like are not fatal: journal_stage answers
 * ERR_NO_SPACE once the current file is full, until this was called with better luck. With `more` it makes one also when
 * journal_fits says no. A commit that has to make its file and cannot fails for good, so who wants to outlive a full disk
 * stages only what journal_fits.
 */
bool journal_wants_file(struct journal *j);
int journal_prepare(struct journal *j, size_t more, struct err *e);
/* Gives the memory of the staging buffers back that was not needed since it was called last. */
void journal_trim(struct journal *j);

/*
 * Files fill up and are sealed by journal_write. The owner, when sealed files wait: flushes every log that has
 * entries in them, writes the recovery points, and calls journal_release(j, seal) with the number it read before
 * flushing.
 */
uint64_t journal_sealed(struct journal *j);         /* number of the newest sealed file; 0: none waits */
uint64_t journal_sealed_bytes(struct journal *j);   /* of all sealed files; takes no lock */
size_t journal_file_bytes(const struct journal *j); /* of a file that has its full size */
bool journal_lacks_room(struct journal *j); /* no further file could be made when that was tried last */
int journal_release(struct journal *j, uint64_t seal, struct err *e); /* files up to it may be overwritten */
/*
 * Removes free files that are more than was needed in any of the last eight calls of this and of journal_release, which does so, too; `at_once`: more
 * than is needed now. Four stay. The owner calls it from time to time, as releases may be rare; at once where nothing is appended, or
 * the disk's room is short. By the thread that releases. An error is one of removing a file.
 */
int journal_shrink(struct journal *j, bool at_once, struct err *e);

/* After all logs are flushed (clean stop): nothing needs to be replayed. */
int journal_reset(struct journal *j, struct err *e);

/*
 * Setting aside: a log that cannot be flushed may have its last appends in the journal only. Copied into a file of their own
 * they no longer keep the journal's files from being released. These files are read at a start ahead of the journal, by
 * their numbers: what they have is older.
 *
 * journal_set_aside asks of every entry of the sealed files up to `seal` whether it is to be copied; when it returns OK those
 * are durable, in the file of this number, which is larger than those of the others. `*any` false: there were none, and no
 * file was made. ERR_CORRUPT: a sealed file is damaged.
 */
int journal_set_aside(struct journal *j, uint64_t seal, uint64_t number,
                      int (*choose)(void *arg, const struct journal_entry *en, bool *copy, struct err *e),
                      void *arg, bool *any, struct err *e);
/* Before journal_replay: gives out every entry that was set aside, oldest first, with the number of its file. */
int journal_replay_asides(struct journal *j,
                          int (*entry)(void *arg, uint64_t number, const struct journal_entry *en,
                                       struct err *e),
                          void *arg, struct err *e);
/* Nothing in the file is needed any more. */
int journal_drop_aside(struct journal *j, uint64_t number, struct err *e);

struct journal_stats {
    uint64_t commits;    /* records, each of them a synced write */
    uint64_t bytes;      /* payload */
    uint64_t file_bytes; /* on disk now */
};
void journal_stats(struct journal *j, struct journal_stats *s);

#endif
