/*
 * disk: one data directory of a broker, which usually means one disk: its lock and identity, journal, commit stage,
 * checkpoints and mark of a clean stop; and whether it is in service.
 *
 * disks[0] is the main directory: it has the metadata, the hub's socket, the internal topics, and `directories`, the list of
 * the others. Each disk commits on its own, so that several sync at the same time. When one of the others fails, its
 * partitions refuse appends until a restart and all else goes on; when the main one fails, nothing is appended any more.
 */
#ifndef LEAT_BROKER_DISK_H
#define LEAT_BROKER_DISK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"
#include "broker/broker.h"
#include "storage/log_parent.h"
#include "broker/commit.h"

struct aside;
struct journal;
struct log;

struct disk {
    struct broker *b;
    int32_t index;
    char *dir, *logs_dir;
    struct uuid id;
    int lock_fd;
    bool missing;       /* known, but not there: it has no journal and no stage */
    bool listed;        /* named by the options, or by `directories` where they name none */
    bool clean_start;   /* the last stop was clean */
    bool points_known;  /* the recovery points on disk are complete */
    int64_t written_ms; /* wall clock when they were written before this start; 0: never */

    pthread_mutex_t checkpoints; /* one writer of the checkpoint files at a time */
    bool checkpoints_stale;  /* they may name deleted topics: no new partition comes here; under `admin` */
    struct log_parent names; /* of the logs' directories in logs_dir */
    struct journal *journal;
    struct aside *asides; /* what is set aside beside the journal; of whoever releases that, see aside.h */
    struct commit *commit;
    atomic_int partitions; /* of topics that are not internal; changed under `admin` */

    atomic_bool unclean; /* while stopping: some log of it could not be closed well */
    atomic_bool failed;
    pthread_mutex_t lock; /* leaf: the reason */
    struct err why;

    atomic_bool full;     /* an append was refused for want of room, */
    atomic_bool accepted; /* and one went well since */
    struct {
        int64_t total, free; /* bytes; -1: unknown */
        int64_t refused_ms;  /* clock_mono_ms of the last refusal */
        bool low;
    } space; /* under `lock` */

    bool fs_synced;       /* of whoever releases the journal: just now, */
    bool fs_doubtful;     /* and not the last time, */
    uint64_t device;      /* for io_is_on */
    size_t holders;       /* how many logs it flushed for the last release, or a start found to be flushed */
    uint64_t released;    /* upkeep's: newest journal file given back, */
    int64_t sealed_since; /* when it saw the first full one behind that; 0: there was none */
    int64_t next_release; /* not before; after a failure */
};

/*
 * Opens the directories that the options name, or else those that `directories` lists: each locked, known by its
 * directory.id. One that is known and is not there, or has another directory's id, becomes a disk that is `missing`.
 */
int disks_open(struct broker *b, const struct broker_options *o, struct err *e);
/*
 * When the metadata are known: a missing disk that no partition needs is forgotten; for another one the start fails with an
 * error that names it, unless the options allow to go on without it. Then writes `directories`.
 */
int disks_settle(struct broker *b, struct err *e);
void disks_free(struct broker *b);
void disks_run(struct broker *b); /* commit_run of every stage */

struct disk *disk_by_id(struct broker *b, const struct uuid *id); /* NULL: none */
/* Where a new partition goes: the disk that takes new ones and has the fewest, Kafka's rule; internal topics: the main one. */
struct disk *disk_for_new(struct broker *b, bool internal);

static inline bool disk_in_service(const struct disk *d)
{
    return !atomic_load_explicit(&d->failed, memory_order_relaxed);
}

/* Is it in service, and can a new partition's name mean nothing old in its checkpoints? Under `admin`. */
static inline bool disk_takes_new(const struct disk *d)
{
    return disk_in_service(d) && !d->checkpoints_stale;
}

/* The error that everything gets which a disk out of service refuses: ERR_DISK_FAILED with the reason. */
int disk_refusal(struct disk *d, struct err *e);
/* Takes it out of service. The first reason stays. Any thread, holding no stage's lock. */
void disk_fail(struct disk *d, const struct err *why);
/*
 * To be called with an error of writing below the directory: where it says that the disk can no longer be relied on, a disk
 * other than the main one is taken out of service. (On the main one the log alone is: it would take everything with it.)
 */
void disk_suspect(struct disk *d, const struct err *why);

/*
 * To be called with an error of reading, of `log` or of what is below the directory otherwise (NULL). Kafka takes the directory
 * offline when a read fails with an I/O error (KIP-112), and so do we; of the main one the log alone, as above.
 */
void disk_suspect_read(struct disk *d, struct log *log, const struct err *why);

/* ---- disk_space.c ---- */

/* Looks how much room there is, and says it when it gets low, or no longer is. `now`: clock_mono_ms. */
void disk_space_check(struct disk *d, int64_t now);
/* Gives the reserve up, after ERR_NO_SPACE of something that makes room; false: there is none. */
bool disk_use_reserve(struct disk *d);
/* An append was refused with ERR_NO_SPACE; one went well. */
void disk_refused(struct disk *d, const struct err *why);
static inline void disk_accepted(struct disk *d)
{
    if (__builtin_expect(atomic_load_explicit(&d->full, memory_order_relaxed), 0))
        atomic_store(&d->accepted, true);
}
/* Is `free` of `total` bytes less than `bytes` and than `percent`? It takes a quarter more to be no longer low. */
bool space_is_low(bool was, int64_t total, int64_t free, int64_t bytes, int percent);

/* Room in its stage, as commit_reserve, or ERR_DISK_FAILED; 0 bytes need none of it. */
int disk_reserve(struct disk *d, size_t bytes, enum commit_urgency urgency, struct err *e);

#endif
