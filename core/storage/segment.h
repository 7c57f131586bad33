/*
 * segment: the files of one segment (.log, .index, .timeindex, .txnindex), opened when needed and closed when unused.
 *
 * References: the log's list holds one, every reader one. The last one that leaves closes the files, and removes them if
 * the segment was deleted meanwhile. `lock` guards files and indexes; `size` belongs to the log's state lock, the writer's
 * fields to its append lock.
 */
#ifndef LEAT_STORAGE_SEGMENT_H
#define LEAT_STORAGE_SEGMENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "storage/index.h"
#include "storage/paths.h"
#include "storage/scan.h"

/* Path of the log's directory, shared by its segments, some of which may outlive the log. */
struct log_dir {
    atomic_int refs;
    atomic_int open;   /* files that its segments have open */
    atomic_int *total; /* the same of all logs; the owner's, NULL: not counted */
    char path[];
};
struct log_dir *log_dir_new(const char *path, atomic_int *total, struct err *e);
void log_dir_release(struct log_dir *d);

enum segment_file { FILE_LOG, FILE_INDEX, FILE_TIME, FILE_TXN, FILE_KINDS };

/* What is behind the names of a segment's files. */
enum segment_stage {
    SEGMENT_LIVE,
    SEGMENT_CLEANED,
    SEGMENT_SWAP,
    SEGMENT_DELETED,
    SEGMENT_NAMELESS /* was deleted, and then another one of its base, whose files have the names now */
};

struct segment {
    struct log_dir *dir;
    int64_t base;
    atomic_int refs;
    atomic_bool warm; /* active, or read last: files stay open though nobody uses them */

    int64_t size;   /* bytes of whole batches; log's state lock, and append lock to change it */
    int64_t before; /* bytes of the log's segments before it, as they were when it came; the same */

    pthread_mutex_t lock;
    int fd[FILE_KINDS];
    _Atomic(enum segment_stage) stage;
    bool pinned;           /* files stay open, whoever comes and goes */
    bool sealed;           /* not the active one: a reader may rebuild its indexes */
    bool loaded;           /* indexes and max_ts are known */
    int32_t interval;      /* bytes between index entries */
    int64_t max_ts;        /* largest timestamp, -1: none */
    int64_t max_ts_offset; /* last offset of its batch */
    struct index offsets, times;
    int64_t txn_entries; /* in .txnindex */

    /* append lock */
    _Atomic(int64_t)
        forgotten; /* bytes from the start that the page cache was made to let go of, and nobody read since */
    _Atomic(int64_t) read_far; /* bytes read of it, in all, beyond what the page cache is to keep */
    int64_t written_out;       /* bytes from the start that segment_write_out was through with; flush lock */
    int64_t allocated;         /* bytes reserved on disk from the start, 0: unknown */
    int64_t since_index;       /* bytes since the last index entry */
    int64_t first_ts;          /* max timestamp of the first batch; -1: unknown or none */
    int64_t created_ms;        /* clock_wall_ms; of one that was found on disk, when that was */
    int64_t jitter_ms;         /* taken off segment_ms */
    atomic_bool data_dirty; /* .log differs from what was synced last; its descriptor stays open until then */
    bool index_dirty;
    atomic_bool txn_dirty;
    /*
     * Its indexes were cut, or that a process did that ended, and this is not synced yet: a loss of power could bring back
     * entries that look like those of what was written meanwhile. The next sync of the active segment takes them along.
     */
    atomic_bool indexes_cut;

    /* of a deleted one whose files wait for their removal: the log keeps a reference until then */
    bool waits; /* `lock` */
    struct segment *next_deleted;
    int64_t remove_at;
};

struct segment *segment_new(struct log_dir *dir, int64_t base, int32_t interval, struct err *e);
struct segment *segment_ref(struct segment *s);
/* For readers: also closes the files if nobody else uses them. */
void segment_release(struct segment *s);
/* Gives a reference up; with the last one the segment is freed. NULL is fine. */
void segment_unref(struct segment *s);

/* Path of one of its files as it is named now; `out` has STORAGE_PATH_MAX bytes. */
const char *segment_path(struct segment *s, enum segment_file kind, char *out);

/*
 * Opens the file if it is not open; the descriptor is valid while the caller holds a reference, or for the writer while
 * the segment is warm. Made if missing with `create`.
 */
int segment_fd(struct segment *s, enum segment_file kind, bool create, int *fd, struct err *e);
/* The same with the segment's lock held; `flags` are added to O_RDWR. */
int segment_fd_locked(struct segment *s, enum segment_file kind, int flags, int *fd, struct err *e);
/* Closes one file if only the log refers to the segment. The segment's lock held. */
void segment_close_file_locked(struct segment *s, enum segment_file kind);
/* Both indexes of the active one, which are opened when they are written again. */
void segment_close_indexes(struct segment *s);
/* Closes what is open if only the log refers to the segment. Append lock held. */
void segment_cool(struct segment *s);

/* A deleted one's files wait from here on, on disk: with the last reader they are closed. Or no longer, with whom they go. */
void segment_set_waiting(struct segment *s, bool waits);

/* Makes empty files, replacing what a failed attempt left. */
int segment_create(struct segment *s, struct err *e);

/* Renames the files to .deleted; they go with the last reference. */
int segment_mark_deleted(struct segment *s, struct err *e);

/*
 * Renames all files. After an error they have the old names; where that could not be had (e->fatal) the stage tells the
 * log's, and the others are found only while they are open.
 */
int segment_set_stage(struct segment *s, enum segment_stage stage, struct err *e);

/* Opens all files, and keeps them open while `pinned`. */
int segment_pin(struct segment *s, struct err *e);
/* Closes nothing any more before the end: to be called before the list's reference goes, as then none tells whether others read. */
void segment_leave_open(struct segment *s);
void segment_unpin(struct segment *s);

/* Removes its files, the log first; goes on after an error, which it returns. */
int segment_remove(struct segment *s, struct err *e);

/* Cuts the files behind `size` bytes; index entries at or beyond `offset` go too. */
int segment_truncate(struct segment *s, int64_t size, int64_t offset, struct err *e);

/* Syncs .log and .txnindex, with `indexes` the others too. */
int segment_sync(struct segment *s, bool indexes, struct err *e);

/*
 * Writes out the first `size` bytes of .log, so that little is left to the sync: piece by piece, as the disk would make everybody else wait who
 * syncs meanwhile, the journal above all, for as long as it takes to write what one sync of many bytes hands it at once. Flush lock held.
 */
int segment_write_out(struct segment *s, int64_t size, struct err *e);
/* The last piece, too, and as if it had not been: for a sync of all that tells how that went. Flush lock held. */
int segment_write_out_whole(struct segment *s, int64_t size, struct err *e);

/*
 * Makes the page cache let go of what is on disk of the first `size` bytes of .log, but for the last `keep`; of so many bytes at `most`, as a GiB takes
 * 100 ms: the next call goes on. Its descriptor is opened where it is not. Flush lock held.
 */
void segment_forget(struct segment *s, int64_t size, int64_t keep, int64_t most);

/* Once the file system was synced: are the bytes of the .log durable that it had before? As io_check_written says. */
int segment_check_written(struct segment *s, struct err *e);

/* The page cache has its bytes from `from` on again, or some of them. Any thread. */
void segment_was_read(struct segment *s, int64_t from);

/* ---- segment_index.c ---- */

/* Loads the indexes of a sealed segment as they are on disk; rebuilds them if they are missing or implausible. */
int segment_load(struct segment *s, int64_t size, struct err *e);

/* Makes offset and time index anew from the batch headers below `size`; passes over damage. */
int segment_rebuild_indexes(struct segment *s, int64_t size, struct err *e);

/* Position from which a walk finds the batch with `offset`: at or before it. */
int segment_find_position(struct segment *s, int64_t offset, int64_t size, int64_t *position, struct err *e);
/* Offset from which a walk finds the first batch with max timestamp >= `timestamp`. */
int segment_find_time(struct segment *s, int64_t timestamp, int64_t *offset, struct err *e);

/* Room for index entries of `batches` batches. Nothing changes on error. */
int segment_reserve_index(struct segment *s, uint32_t batches, struct err *e);
/* A batch was written at `position`: bookkeeping of timestamps and indexes. Needs the room; cannot fail. */
void segment_note_batch(struct segment *s, const struct batch_header *h, int64_t position);
/* Writes entries that wait in memory, with `final` also the last entry of the time index. */
int segment_flush_indexes(struct segment *s, bool final, struct err *e);

int64_t segment_index_entries(struct segment *s); /* of a loaded one, in its offset index */
/* Has one of the indexes reached `max_bytes`? */
bool segment_index_full(struct segment *s, int64_t max_bytes);
/* Makes sure that first_ts is known. Append lock held. */
int segment_first_timestamp(struct segment *s, struct err *e);
/* How long a segment waits to be rolled, by a record with `timestamp`: Kafka's timeWaitedForRoll. first_ts is known. */
int64_t segment_waited(const struct segment *s, int64_t timestamp, int64_t now_ms);
/* Largest timestamp of the first batch of a sealed segment; -1: none or damaged. Any thread. */
int segment_read_first_timestamp(struct segment *s, int64_t size, int64_t *timestamp, struct err *e);
/* Largest timestamp and the last offset of its batch, of a loaded segment. */
void segment_max_timestamp(struct segment *s, int64_t *timestamp, int64_t *offset);
/* No more appends: readers may rebuild its indexes. Or the other way round. */
void segment_set_sealed(struct segment *s, bool sealed);
void segment_set_interval(struct segment *s, int32_t interval);
/*
 * Prepares the indexes for a walk that begins at *position, the last entry below `offset_end`; the walk notes every batch
 * from there on. What is at or beyond `offset_end`, does not ascend or points at nothing is cut from the files; *rebuilt
 * tells if an index had to be given up altogether.
 */
int segment_open_indexes(struct segment *s, int64_t offset_end, int64_t size, int64_t *position,
                         bool *rebuilt, struct err *e);
/*
 * After a crash: the time index may have lost the entries that came with those of the offset index. Cuts the offset index,
 * and with it *position, back to what both know of.
 */
int segment_even_indexes(struct segment *s, int64_t *position, struct err *e);

/* ---- txnindex.c: Kafka's .txnindex, 34 bytes an aborted transaction ---- */

struct txn_end;
struct aborted_txn;
#define TXNINDEX_ENTRY 34
/* Entry number `i` from its bytes. ERR_CORRUPT names the place. */
int txnindex_decode(const uint8_t *d, int64_t i, const char *path, struct aborted_txn *t, struct err *e);
int txnindex_load(struct segment *s, struct err *e); /* counts what is in the file */
/* Writes an entry as number `s->txn_entries + nth`; it counts after txnindex_publish. */
int txnindex_write(struct segment *s, int64_t nth, const struct txn_end *end, struct err *e);
void txnindex_publish(struct segment *s, int64_t entries);
/* Adds those that overlap [from, to) to the list. *complete: none that follows can. */
int txnindex_collect(struct segment *s, int64_t from, int64_t to, struct aborted_txn **list, size_t *n,
                     bool *complete, struct err *e);
/* Removes entries whose marker is at or beyond `offset`. */
int txnindex_truncate(struct segment *s, int64_t offset, struct err *e);

#endif
