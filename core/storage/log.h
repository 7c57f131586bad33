/*
 * log: one partition's log: segments with offset, time and transaction index, producer state, leader epochs.
 *
 * A log starts no thread and knows no socket. Appends, truncation and deletion are serialised by the log's
 * own lock; reads run beside them. Nothing here syncs on append: the owner makes bytes durable, through the
 * journal or log_flush, and then moves the high watermark. Kafka's file names and bytes: docs/disk-format.md.
 */
#ifndef LEAT_STORAGE_LOG_H
#define LEAT_STORAGE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"
#include "record/record.h"

struct log;

struct log_config {               /* the log's part of a topic's settings, under Kafka's names and defaults */
    int64_t segment_bytes;        /* 1 GiB */
    int64_t segment_ms;           /* 7 d; compares record timestamps, as Kafka does */
    int64_t segment_jitter_ms;    /* 0 */
    int32_t segment_index_bytes;  /* 10 MiB */
    int32_t index_interval_bytes; /* 4096 */
    int64_t retention_ms;         /* -1: forever */
    int64_t retention_bytes;      /* negative: no limit */
    int64_t file_delete_delay_ms; /* 1 min */
    bool cleanup_delete;          /* cleanup.policy contains delete */
    bool cleanup_compact;         /* cleanup.policy contains compact: records need keys; see clean.h */
    int64_t delete_retention_ms;  /* 1 d: how long a tombstone stays once it was cleaned */
    int64_t min_compaction_lag_ms; /* 0: younger records are not cleaned */
    int64_t max_compaction_lag_ms; /* INT64_MAX: older ones are, however little is dirty */
    bool preallocate;
};
struct log_config log_config_default(void);

/* What opening a log found and did; for the diagnostics log and for tests. */
struct log_recovery {
    int64_t scanned_bytes;   /* read again because they were not known to be synced */
    int64_t cut_bytes;       /* torn tail */
    int64_t cut_from_offset; /* first offset that is gone; -1: nothing cut */
    int indexes_rebuilt;
};

struct log_open_args {
    const char *dir;      /* "<logs>/<topic>-<partition>"; made if missing */
    const char *name;     /* "<topic>-<partition>", for messages */
    struct uuid topic_id; /* written to partition.metadata, or compared with it (ERR_CORRUPT on mismatch) */
    struct log_config config;
    int64_t recovery_point;   /* offsets below are known to be synced */
    int64_t log_start_offset; /* from the checkpoint; 0 if none */
    bool clean;               /* the last stop was clean: no scan, indexes and snapshots are trusted */
    /*
     * Of a log whose appends are journaled: nothing at or beyond this offset was ever acknowledged, cut it.
     * -1: not journaled, keep every valid batch.
     */
    int64_t durable_end;
    atomic_int
        *open_files; /* counts the files that segments have open; outlives them. NULL: nobody wants to know */
    struct log_parent
        *parent; /* of `dir`, whose logs share its syncs; outlives them. NULL: it stands alone */
    struct page_cache *page_cache; /* outlives them; NULL: the system's affair */
};

/* Opens or creates. Damage before the recovery point is reported by diag and stays unserved; not an error
 * here. */
int log_open(struct log **out, const struct log_open_args *args, struct log_recovery *report, struct err *e);

/*
 * Of a log that is not open yet: ERR_CORRUPT, naming file and byte, if it is damaged and whole batches follow the damage,
 * so that opening would cut more than a torn tail. A missing directory is fine.
 */
int log_check_middle(const char *dir, struct err *e);

/*
 * Closes. `clean`: indexes trimmed, producer snapshot written, everything synced, so that the next open with
 * clean=true need not scan; the error says what was not made durable. The log is freed in any case.
 */
int log_close(struct log *log, bool clean, struct err *e);

/*
 * Renames the directory to "<name>.<uuid>-delete", which *renamed then is (mem_free; NULL after an error), and frees the log
 * once the last reader left. The owner syncs the directory above, so that the old name does not come back, and then removes
 * it with all that is in it, at once or later. What still has it at the next start is removed there.
 */
int log_delete(struct log *log, char **renamed, struct err *e);
/* The same for one that is not open. */
int log_delete_dir(const char *dir, char **renamed, struct err *e);
/* Of one that belongs to no topic, and stays: "<name>.<uuid>-stray", which Kafka leaves alone as well. */
int log_stray_dir(const char *dir, char **renamed, struct err *e);

enum log_origin {
    LOG_FROM_CLIENT,      /* validated deeply, producer sequences checked */
    LOG_FROM_COORDINATOR, /* markers and internal topics of this process: trusted structure, sequences checked
                           */
    LOG_FROM_ADMIN, /* a marker that an administrator asks for: as the coordinator's, with both epochs checked */
    LOG_FROM_ADMIN_V2, /* likewise, of transaction version 2: see PRODUCER_BUMPED */
    LOG_FROM_LEADER,   /* replication: offsets and epochs are already assigned, kept as they are */
};

/* Which records of a batch are why it was refused, as numbers in it; the first so many. */
#define LOG_REFUSED_MAX 1000
struct log_refused {
    int32_t *list; /* mem_free */
    size_t n, room;
};

struct log_append_args {
    enum log_origin origin;
    int32_t leader_epoch;
    int64_t now_ms; /* for LogAppendTime and producer expiry */
    int64_t max_message_bytes;
    bool log_append_time;
    bool from_zero; /* a client's batch of a transaction of version 2: see PRODUCER_FROM_ZERO */
    int64_t timestamp_before_max_ms; /* INT64_MAX: no limit */
    int64_t timestamp_after_max_ms;
    struct log_refused *refused; /* of a client's batch; NULL: nobody wants to know */
};

struct log_appended {
    int64_t base_offset; /* of the first batch */
    int64_t last_offset; /* of the last batch */
    int64_t append_time; /* LogAppendTime; of a duplicate the largest timestamp of what is there; else -1 */
    int64_t log_start_offset;
    bool duplicate;       /* the producer sent this before: nothing written, offsets are the first time's */
    int64_t segment_base; /* where the bytes went: name of the segment, */
    int64_t position;     /* and byte in it */
    size_t bytes;
};

/*
 * Appends one or more batches in `data`, which is changed in place (offsets, epoch, perhaps append time). All
 * or nothing: after an error the log is as before. A failed write that cannot be undone puts the log out of
 * service (ERR_LOG_FAILED from then on). Readers do not see the bytes before log_set_high_watermark.
 */
int log_append(struct log *log, void *data, size_t n, const struct log_append_args *args,
               struct log_appended *out, struct err *e);

/*
 * Puts back journaled bytes at their place while recovering, before log_open. Nothing is done where the segment is not there and they
 * are not its first. Of one log by one thread. *fd: -1, or what the last call for the segment left there, for the caller to close.
 */
int log_restore(int *fd, const char *dir, int64_t segment_base, int64_t position, const void *data, size_t n,
                struct err *e);

int64_t log_start_offset(struct log *log);
int64_t log_end_offset(struct log *log);
int64_t log_high_watermark(struct log *log);
int64_t log_last_stable_offset(struct log *log); /* <= high watermark */
int64_t log_size(struct log *log);               /* bytes in segments */
int64_t log_recovery_point(struct log *log);
const char *log_name(struct log *log);

/* Only moves up, never past the end. Any thread; takes only the log's own lock. */
void log_set_high_watermark(struct log *log, int64_t offset);

/* Takes the log out of service: every later append and flush answers ERR_LOG_FAILED. Reads below the
 * watermark go on. */
void log_fail(struct log *log, const struct err *why);
bool log_failed(struct log *log);
/* ERR_LOG_FAILED with the reason, or ERR_OK. */
int log_check_usable(struct log *log, struct err *e);

/* ---- reading
 * ------------------------------------------------------------------------------------------------ */

/* Consecutive bytes of one segment file, held until released even if the segment is deleted meanwhile. */
struct log_range {
    int fd;
    int64_t position;
    size_t bytes;        /* whole batches */
    int64_t base_offset; /* of the first batch: may be below the offset asked for */
    int64_t next_offset; /* after the last batch */
    void *hold;
};

enum isolation { READ_UNCOMMITTED, READ_COMMITTED };

/*
 * Finds the batch with `offset` (or the next one, where compaction left a gap) and what follows it in the
 * same segment: as many whole batches as fit in `max_bytes`, at least one, none beyond the high watermark
 * (READ_UNCOMMITTED) or last stable offset (READ_COMMITTED). bytes = 0: nothing there yet, reading goes on at next_offset
 * (beyond `offset` only where what was between is lost). Only headers are looked at: whoever decodes checks the CRC. ERR_CORRUPT where an offset is lost to damage names file and byte, and the offset at
 * which reading can go on.
 * `offset` outside [start, end] is ERR_OFFSET_OUT_OF_RANGE. Consecutive reads need no index look-up.
 */
int log_locate(struct log *log, int64_t offset, size_t max_bytes, enum isolation isolation,
               struct log_range *out, struct err *e);
/* Reads range bytes [from, from + n) into `dst`. */
int log_range_read(const struct log_range *r, size_t from, void *dst, size_t n, struct err *e);
/* Where its first batch stands, for messages: "FILE: byte N". Only of a range with bytes. */
void log_range_place(const struct log_range *r, char *out, size_t size);
void log_range_release(struct log_range *r);
/* Is the range of this log, and not of another one of its name? */
bool log_holds(const struct log *log, const struct log_range *r);

struct aborted_txn {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;        /* of the marker */
    int64_t last_stable_offset; /* once the marker was there */
};
/* Aborted transactions that overlap [from, to). `*list` is the caller's (mem_free), may be NULL if `*n` is 0.
 */
int log_aborted(struct log *log, int64_t from, int64_t to, struct aborted_txn **list, size_t *n,
                struct err *e);

/*
 * First record with timestamp >= `timestamp` below the high watermark. Not found: *offset = -1, *found_ts =
 * -1.
 */
int log_offset_for_time(struct log *log, int64_t timestamp, int64_t *offset, int64_t *found_ts,
                        struct err *e);
/* Record with the largest timestamp; -1/-1 in an empty log. */
int log_max_timestamp(struct log *log, int64_t *offset, int64_t *timestamp, struct err *e);

/* ---- upkeep
 * ------------------------------------------------------------------------------------------------- */

/*
 * Syncs segment data up to the end it had when called; then that is the recovery point. An error of a sync is fatal
 * (e->fatal) and the log failed; after any other error the recovery point stays and a later flush may succeed.
 */
int log_flush(struct log *log, struct err *e);
/*
 * The same for who acknowledges appends by it, one after the other, instead of journaling their bytes: snapshots of producers, which
 * only make the next opening faster, are written more rarely. After any error what was appended is not known to be durable.
 */
int log_sync_appends(struct log *log, struct err *e);
/*
 * For who syncs the file system before flushing many logs: writes what the first flush of a log would, so that this has only
 * to look that it is synced. What is not written here the flush writes.
 */
int log_write_ahead(struct log *log, struct err *e);
/*
 * The same caller's: how far the log is before the file system is synced. Its bytes are written out and waited for, as what fails with that is told to nobody else (an
 * error is as final as a failed sync, and the log failed), and as a sync of the file system hands the disk all at once, for which the journal would wait.
 * And log_flush for after that, which as a rule has only to ask whether it went
 * well for this log. The recovery point is the mark then. `device`: of io_sync_fs_of, which was called in between and ERR_OK; a log that is elsewhere is flushed.
 */
int log_mark_for_sync(struct log *log, struct err *e);
int log_flush_synced(struct log *log, uint64_t device, struct err *e);

/* Starts a new segment if segment_ms says so of the records that are there or `force`; writes a producer snapshot. */
int log_roll(struct log *log, bool force, struct err *e);

/*
 * Of a log that is not open: the offset below which segments may have been replaced by log_clean, 0 if none were. All of
 * that is synced, and what a journal has of it must not be put back: it stands elsewhere now.
 */
int log_compacted_end(const char *dir, int64_t *end, struct err *e);

/*
 * Deletes whole segments by retention_ms, retention_bytes and the start offset, none that reaches beyond `below`: what the
 * owner's recovery would put back. The active one goes after a new one was started. *deleted counts them. Their files are
 * removed after file_delete_delay_ms, by log_remove_deleted, when the last reader has left, or when the log is closed.
 */
int log_apply_retention(struct log *log, int64_t now_ms, int64_t below, int *deleted, struct err *e);

/* When files of deleted segments are due to be removed (clock_mono_ms); INT64_MAX: none. Any thread, no lock. */
int64_t log_next_removal(struct log *log);
/* Removes those that are due at `now_ms`, of clock_mono_ms. */
void log_remove_deleted(struct log *log, int64_t now_ms);

/* Records below `offset` are gone for readers; whole segments below it are deleted. */
int log_set_start_offset(struct log *log, int64_t offset, struct err *e);

/* Removes everything at and beyond `offset`, for good: waits for a sync; and rebuilds producer state. */
int log_truncate_to(struct log *log, int64_t offset, struct err *e);

void log_set_config(struct log *log, const struct log_config *config);

/*
 * Closes files and gives memory back that a log at rest does not need; they come back when it is used. Files that are not
 * synced stay open. Any thread.
 */
void log_close_idle(struct log *log);
int log_open_files(struct log *log);

/* ---- producers and epochs
 * ----------------------------------------------------------------------------------- */

struct producer_info {
    int64_t id;
    int16_t epoch;
    int32_t last_sequence;
    int64_t last_offset;
    int64_t last_timestamp;
    int32_t coordinator_epoch;
    int64_t txn_first_offset; /* -1: no open transaction */
};
int log_producers(struct log *log, struct producer_info **list, size_t *n, struct err *e); /* mem_free */
void log_expire_producers(struct log *log, int64_t now_ms, int64_t expiration_ms);

/* OffsetForLeaderEpoch (KIP-101, KIP-279): largest epoch <= `epoch` and where it ended. -1/-1 if none. */
void log_epoch_end(struct log *log, int32_t epoch, int32_t *found_epoch, int64_t *end_offset);
int32_t log_latest_epoch(struct log *log);             /* -1: none */
int32_t log_epoch_at(struct log *log, int64_t offset); /* that wrote the offset; -1: not known */

struct segment_info {
    int64_t base_offset;
    int64_t size;
    int64_t first_timestamp;
    int64_t max_timestamp;
    bool active;
};
int log_segments(struct log *log, struct segment_info **list, size_t *n, struct err *e); /* mem_free */

#endif
