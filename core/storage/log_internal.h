/*
 * log_internal: what the files of one partition's log share.
 *
 * Locks, outermost first: `shape` (removing and replacing sealed segments; held over the syncs of a swap), `flush` (one
 * flush at a time; held over syncs), `append` (serialises everything that changes the
 * log; held over writes and never over a sync, but for truncation and closing), `state` (what is in memory; never held
 * over I/O), a segment's own lock.
 */
#ifndef LEAT_STORAGE_LOG_INTERNAL_H
#define LEAT_STORAGE_LOG_INTERNAL_H

#include <inttypes.h>
#include <pthread.h>

#include "storage/epochs.h"
#include "storage/log.h"
#include "storage/log_parent.h"
#include "storage/page_cache.h"
#include "storage/paths.h"
#include "storage/producers.h"
#include "storage/segment.h"

#define LOG_HINTS 4
#define SNAPSHOT_MAX (1u << 30)
#define SNAPSHOT_LAG (1 << 20)           /* a flush writes a snapshot once so much was appended, */
#define SNAPSHOT_LAG_APPENDS (256 << 20) /* and log_sync_appends, for each round, after so much */
#define METADATA_FILE "partition.metadata"

/* Where a reader stopped: the next sequential read starts here without a look at the index. */
struct read_hint {
    int64_t offset;
    int64_t segment_base;
    int64_t position;
    int64_t from; /* from here to `position` the page cache may have what was read last */
};

/* How far a log had come before its file system was synced. */
struct sync_mark {
    bool set;
    int64_t base, size; /* of the active segment */
    int64_t end;
    uint64_t cuts, names;
};

struct log {
    struct log_dir *dir;
    struct log_parent *parent; /* NULL: none is shared */
    struct page_cache *page_cache;
    char *name;
    struct uuid topic_id;

    pthread_mutex_t shape;
    pthread_mutex_t flush;
    pthread_mutex_t append;

    pthread_mutex_t state;
    pthread_cond_t idle; /* signalled when `busy` falls to 0 while somebody waits */
    unsigned busy;       /* readers inside a call */
    bool closing;
    bool failed;
    struct err *why; /* NULL where there was no memory for it */
    struct log_config config;
    struct segment **segments; /* ascending; the last one is active */
    size_t count, cap;
    int64_t start, end, watermark, first_unstable, recovery_point;
    int64_t bytes;
    uint64_t
        cuts; /* truncations and swaps so far: a reader that meets nonsense looks whether it raced with one */
    struct read_hint hints[LOG_HINTS];
    unsigned next_hint;
    struct segment *warm; /* sealed segment that was read last, referenced; or NULL */
    struct producers *producers;
    struct epochs epochs;

    _Atomic(int64_t)
        next_removal; /* clock_mono_ms when files of a deleted segment are due; INT64_MAX: none are */
    /* shape lock */
    int64_t compacted_end; /* as on disk: segments below may have been replaced */

    atomic_bool cleaning; /* there is one pass at a time */
    /* Files of a cleaning could not be renamed or removed. The next opening does it; until then nothing is cleaned. */
    atomic_bool cleaning_left;

    struct page_share page_share; /* flushes are told of under the flush lock */

    /* append lock */
    struct sync_mark mark;
    struct segment *deleted; /* out of the log, whose files are not removed yet */
    int64_t warned_future;   /* base + 1 of the segment whose timestamps from the future were told of */
    int64_t told_gap;        /* state lock: where the segment behind the gap starts that was told of last */
    int64_t snapshot_lag;    /* bytes appended since the newest snapshot */
    bool pristine;           /* what a clean close leaves is on disk already */
    bool names_dirty;        /* directory entries are not synced */
    uint64_t names;          /* changes of them so far */
    bool parent_dirty;       /* the directory's own name is not */
    uint64_t parent_made;    /* then: which one of the parent's names it is */
    bool metadata_dirty;     /* partition.metadata is not */
    bool epochs_written;     /* log_write_ahead made leader-epoch-checkpoint, which is not synced */
};

static inline struct segment *log_active(const struct log *log)
{
    return log->segments[log->count - 1];
}

/* Append lock held, or nobody else knows the log; and held until they are changed. */
static inline void log_names_changed(struct log *log)
{
    log->names_dirty = true;
    log->names++;
}

/* Readers' calls stand between these; log_close and log_delete wait for them. ERR_CLOSED once closing. */
int log_enter(struct log *log, struct err *e);
void log_leave(struct log *log);

/* Index of the last segment with base <= offset. State lock held. */
size_t log_segment_index(const struct log *log, int64_t offset);

/* Room for one more segment in the list. */
int log_reserve_segment(struct log *log, struct err *e);

/* ---- log_snapshot.c: producer snapshots on disk, and replay of what stands in segments ---- */

int log_encode_snapshot(struct log *log, struct buf *out, struct err *e); /* takes the state lock */
/* Writes encoded bytes as the snapshot at `offset`. */
int log_write_snapshot(struct log *log, int64_t offset, const struct buf *bytes, bool sync, struct err *e);
/*
 * Newest readable snapshot with offset <= `limit` into the empty `p`; *offset is -1 if there is none. Broken ones are
 * reported and passed over, and so are those from before the first segment: what ended the transactions that they say are
 * open may be deleted.
 */
int log_load_snapshot(struct log *log, int64_t limit, struct producers *p, int64_t *offset, struct err *e);
/*
 * Removes snapshots below `from` and above `to`, and in between all that are at no segment's base but the two newest:
 * those were written by flushes.
 */
int log_trim_snapshots(struct log *log, int64_t from, int64_t to, struct err *e);

/*
 * Effect of one batch that stands in the log. `data` is the whole batch; needed for control batches only. Transactions
 * whose marker is below `watermark` are settled; while opening nothing waits for one: INT64_MAX.
 */
int log_replay_batch(struct producers *p, const struct batch_header *h, const void *data, int64_t watermark,
                     struct txn_end *end, struct err *e);
/*
 * Walks the batches with offsets in [from, to) by their headers. With `index`, aborted transactions are added to its
 * transaction index. Passes over damage.
 */
int log_replay(struct log *log, struct producers *p, int64_t from, int64_t to, int64_t watermark,
               struct segment *index, struct err *e);

/* ---- clean_names.c: what cleaning leaves in a directory ---- */

/* Finishes or drops what an interrupted swap left, as Kafka does. Before the segments are looked for; one thread. */
int log_finish_swaps(struct log *log, struct err *e);
/* Raises or lowers compacted_end, durably. Shape lock held. */
int log_set_compacted_end(struct log *log, int64_t offset, struct err *e);

/* ---- log_recover.c ---- */
int log_recover(struct log *log, const struct log_open_args *args, struct log_recovery *report,
                struct err *e);

/* ---- log_cut.c; append lock held, or nobody else knows the log ---- */

/* Before anything of a log's end is removed. That it could not be marked is told of, and no reason not to go on. */
void log_cut_begin(struct log *log);
/* When what was taken back is durably gone. */
int log_cut_end(struct log *log, struct err *e);
/* What a process that ended had taken back is made durable. */
int log_cut_resume(struct log *log, struct err *e);

/* ---- log_upkeep.c, log_retention.c; append lock held ---- */
int log_roll_locked(struct log *log, const struct buf *snapshot, struct err *e);
int64_t log_roll_jitter(const struct log_config *c);
/* Gives back the space reserved behind the active segment's end; takes the append lock. */
int log_trim_active(struct log *log, struct err *e);
/* Starts a segment at `base`, >= the end, which becomes the end. */
int log_add_segment(struct log *log, int64_t base, struct err *e);
/* Gives up the reference of a deleted segment that is no longer in the list: its files go after the delay, or at once. */
void log_let_go(struct log *log, struct segment *s, bool at_once);
/* Gives up those of a list of waiting ones, which nobody else can reach any more; needs no lock. */
void log_drop_waiting(struct segment *list);
/* Takes the oldest segment, not the active one, out of the log. */
int log_drop_first(struct log *log, struct err *e);
/* Takes the newest one out; the one before it becomes active again. */
int log_drop_last(struct log *log, struct err *e);
/* log_flush; `final`: also everything that a clean close leaves behind. Flush lock held, append lock not. */
int log_flush_all(struct log *log, bool final, struct err *e);

#endif
