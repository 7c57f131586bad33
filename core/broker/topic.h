/*
 * topic: the table of topics and partitions in memory, their settings, and the lazy opening of logs.
 *
 * Holding: topic_acquire marks a partition's topic busy until partition_release; deletion waits for that, so a log
 * pointer is good while its partition is held. Waiters keep only the memory of a topic (topic_ref).
 */
#ifndef LEAT_BROKER_TOPIC_H
#define LEAT_BROKER_TOPIC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/err.h"
#include "base/uuid.h"
#include "broker/broker.h"
#include "storage/log.h"

#define TOPIC_NAME_MAX BROKER_TOPIC_NAME_MAX
#define TOPIC_PARTITIONS_MAX BROKER_TOPIC_PARTITIONS_MAX

struct disk;
struct watch;

/* A topic's settings, decoded. Immutable once published; older ones live as long as the topic. */
struct topic_settings {
    struct log_config log;
    int64_t max_message_bytes;
    int64_t timestamp_before_max_ms, timestamp_after_max_ms;
    int64_t flush_ms, flush_messages;
    enum codec codec; /* CODEC_COUNT: as the producer has it */
    int32_t gzip_level, lz4_level, zstd_level;
    double min_cleanable_ratio;
    int64_t quota_stored_bytes, quota_rate; /* -1: none */
    bool log_append_time;
    bool synced; /* durability=sync */
    struct topic_settings *older;
};

/* A batch of the largest size is then no longer than some minutes. */
#define QUOTA_RATE_MIN 65536

/* Where the value of a row of the table goes in struct topic_settings. */
enum topic_config_into {
    TOPIC_CONFIG_INTO_NOTHING,
    TOPIC_CONFIG_INTO_I64,
    TOPIC_CONFIG_INTO_I32,
    TOPIC_CONFIG_INTO_I32_NOT_0, /* 0 is not one of those between min and max */
    TOPIC_CONFIG_INTO_BOOL,
    TOPIC_CONFIG_INTO_IS_FIRST_CHOICE,
    TOPIC_CONFIG_INTO_IS_SECOND_CHOICE,
    TOPIC_CONFIG_INTO_DOUBLE,
    TOPIC_CONFIG_INTO_CLEANUP, /* the two policies of a log_config */
    TOPIC_CONFIG_INTO_CODEC,   /* number of the choice */
    TOPIC_CONFIG_INTO_RATE,    /* -1 or at least QUOTA_RATE_MIN */
};

struct config_list {
    struct topic_config_entry *list;
    size_t n;
};

/* The hub's defaults. Changed under `admin` and the table's lock, once the broker is open. */
struct topic_defaults {
    struct topic_config_entry *list; /* those in force, by the names of topic settings */
    size_t n;
    struct config_list layers[HUB_LAYERS]; /* by Kafka's names of broker settings */
    int32_t partitions;
    bool marked; /* replay: the file's layer is told from the cluster's (defaults.c) */
};

/* NULL: ERR_INVALID_CONFIG, with the nearest known name. */
const struct topic_config_def *topic_config_find(const char *name, struct err *e);
/*
 * Parses what is in force: `config`, else the `defaults` (may be NULL), else Kafka's. Internal topics take nothing from the
 * hub's defaults.
 */
int topic_settings_make(const struct topic_defaults *defaults, const struct topic_config_entry *config,
                        size_t n, bool internal, struct topic_settings **out, struct err *e);

/*
 * What changes come to: an entry for each that is one, NULL values remove (config_list_free). `own`: what is set where they are to be
 * made, `of_hub` by the names of the hub's settings, else of topics'. Checks the values of those that we know; ERR_INVALID_CONFIG.
 */
int config_changes_resolve(const struct config_change *changes, size_t n, bool replace, bool of_hub,
                           const struct config_list *own, const struct topic_defaults *defaults,
                           struct config_list *out, struct err *e);
void config_list_free(struct config_list *l);

/* Every setting of a topic that has these, as broker_topic_settings tells it. Whoever calls holds the admin or the table's lock. */
int topic_settings_describe(const struct topic_config_entry *config, size_t config_n, bool internal,
                            const struct topic_defaults *defaults, struct topic_setting **list, size_t *n,
                            struct err *e);

struct topic;

/* What commit_direct.c keeps of a partition: the first ones under the stage's lock, the others of whoever runs a round. */
struct direct {
    uint64_t round;       /* when something was staged last; the stage's number */
    size_t bytes, before; /* staged for that round, and for the one before that had something of it */
    bool on;              /* of that round: what is staged goes direct */

    uint64_t synced; /* in this round */
    bool full;       /* there was no room for that sync's small files */
    bool torn; /* such a sync failed: what is in the log may have a gap, and nothing more is committed */
};

struct partition {
    struct topic *topic;
    int32_t index;
    struct disk *disk;         /* where it lies; constant once it is visible */
    _Atomic(struct log *) log; /* NULL until opened */
    pthread_mutex_t lock;      /* opening; appends, from the log's append to the staging for the journal */

    /* How to open the log; from start-up, under `lock` later. */
    atomic_bool exists; /* its directory is there */
    bool clean;         /* the last stop was clean */
    bool moved;         /* it was put into this directory, whose checkpoints do not know it */
    bool failed;        /* opening failed; said once */
    bool sync_failed;   /* by a sync: what its files say the disk may not have */
    int64_t recovery_point, start_offset;
    int64_t journaled_end;  /* end of the last entry that recovery replayed; -1: none */
    _Atomic(int32_t) epoch; /* leader epoch of what is appended; -1: nobody looked yet */

    _Atomic(int64_t) cleaned_to; /* compacted below; 0: never */
    atomic_bool uncleanable;     /* said once; until a restart or a change of settings */
    bool being_cleaned;          /* the cleaner's, under its `picking`: by one of its threads; */
    int64_t clean_after;         /* likewise: not before, after an error that may pass */
    bool unflushable;            /* upkeep's own: its last release of the journal could not flush it */
    uint64_t aside_seal; /* likewise: what the journal's files up to this one had of it was set aside */

    atomic_bool recent;           /* used since open_files.c looked last */
    atomic_bool stuck;            /* its files could not be closed, which was said; until it is used again */
    atomic_int pending;           /* staged appends that are not yet committed */
    atomic_bool dirty;            /* appended since the last flush */
    atomic_bool journaled;        /* since the start or before it, whatever the topic's durability is now */
    _Atomic(int64_t) dirty_since; /* clock_mono_ms */
    struct direct direct;

    pthread_mutex_t watch_lock; /* leaf */
    _Atomic(struct watch *) watches;
};

/* What quota.c keeps of a topic; `lock` is outside of the partitions' locks. */
struct quota {
    pthread_mutex_t lock;
    int64_t stored;      /* bytes when it was measured and what was admitted since */
    int64_t measured_ms; /* clock_mono_ms; -1: never */
    int64_t next_ns;     /* clock_mono_ns when the next append's turn is */
    uint64_t wakes;
};

struct topic {
    char *name;
    struct uuid id;
    bool internal;
    atomic_bool visible; /* its creation is durable */
    atomic_bool deleted;
    atomic_int refs;     /* memory */
    atomic_int busy;     /* partitions held */
    int32_t announced;   /* replay: partitions that records told of, */
    struct uuid *placed; /* and the directories that they name */
    int32_t count;       /* this and the rest: under the table's lock */
    struct partition **partitions;
    _Atomic(struct topic_settings *) settings; /* the newest */
    struct topic_config_entry *config;
    size_t config_count;
    struct quota quota;
};

struct topic *topic_new(const char *name, const struct uuid *id, struct err *e); /* refs 1; no partitions */
void topic_ref(struct topic *t);
void topic_unref(struct topic *t);
bool topic_is_internal(const char *name);
/* Room for partitions up to `total`, made but not yet counted in t->count: topic_grow_commit takes them over. */
int topic_grow(struct topic *t, int32_t total, struct partition ***grown, struct err *e);
void topic_grow_commit(struct topic *t, int32_t total, struct partition **grown);
void topic_grow_undo(struct topic *t, int32_t total, struct partition **grown);
/* The topic's config with `change` applied (NULL values remove). The result is freed by topic_config_free. */
int topic_config_merge(const struct topic *t, const struct topic_config_entry *change, size_t n,
                       struct topic_config_entry **out, size_t *out_n, struct err *e);
void topic_config_free(struct topic_config_entry *config, size_t n);
/* The last entry of this name, or NULL. */
const struct topic_config_entry *topic_config_entry_find(const struct topic_config_entry *list, size_t n,
                                                         const char *name);
/* A list with `change` applied; the topic's in topic_config_merge. */
int topic_config_merge_list(const struct topic_config_entry *list, size_t list_n,
                            const struct topic_config_entry *change, size_t n,
                            struct topic_config_entry **out, size_t *out_n, struct err *e);

static inline const struct topic_settings *topic_settings(const struct topic *t)
{
    return atomic_load_explicit(&t->settings, memory_order_acquire);
}

/* ---- table ---------------------------------------------------------------------------------------------------- */

struct topics {
    pthread_rwlock_t lock;
    struct map *by_name, *by_id;
    _Atomic(uint64_t) changes; /* of what outside sees of them: topics_changed */
    pthread_mutex_t idle_lock; /* for the deleter, who waits until a topic is no longer busy */
    pthread_cond_t idle;
};

int topics_init(struct topics *t, struct err *e);
void topics_free(struct topics *t);
int topics_put(struct topics *t, struct topic *topic, struct err *e);
void topics_remove(struct topics *t, struct topic *topic);
struct topic *topics_by_id(struct topics *t, const struct uuid *id); /* start-up, or the lock held */
struct topic *topics_by_name(struct topics *t, const char *name);    /* start-up, or admin lock held */
void topics_changed(struct topics *t); /* a topic or partitions have come or gone: broker_topics_version */
void topics_wait_idle(struct topics *t, struct topic *topic);
/* One that may be changed or deleted: ERR_UNKNOWN_TOPIC, ERR_INVALID_TOPIC for the internal ones. Admin lock held. */
int topic_find_for_change(struct broker *b, const char *name, struct topic **t, struct err *e);

/* Every partition of every topic, each held: released by the caller through partitions_release. */
int topics_all(struct topics *t, struct partition ***list, size_t *n, struct err *e);
void partitions_release(struct topics *t, struct partition **list, size_t n);

int topic_acquire(struct broker *b, const char *topic, int32_t partition, struct partition **out,
                  struct err *e);
void partition_hold(struct partition *p); /* once more, of one that is held */
/* Of one whose topic's memory is kept. False: it is deleted, and not held. */
bool partition_try_hold(struct topics *t, struct partition *p);
void partition_release(struct topics *t, struct partition *p);

/* ---- partition -------------------------------------------------------------------------------------------------- */

struct log *partition_log(struct partition *p); /* NULL: not opened */
/* Puts it on a disk, which counts it; NULL: on none. Under `admin`, or while starting. */
void partition_place(struct partition *p, struct disk *d);
/* Opens if need be. `*log` is NULL if there is nothing on disk and `create` is false. */
int partition_open(struct broker *b, struct partition *p, bool create, struct log **log, struct err *e);
int partition_open_locked(struct broker *b, struct partition *p, bool create, struct log **log,
                          struct err *e);
char *partition_dir(const struct partition *p); /* mem_free; NULL: out of memory */
/*
 * The leader epoch that appends to it are of: there is one leader and no election, so that of what is there already, which
 * another broker may have written (leat kafka import), or 0. Its topic is held. ERR_IO, ERR_CORRUPT: the file of epochs.
 */
int partition_epoch(struct partition *p, int32_t *epoch, struct err *e);
/* After an unclean stop and not opened since: what is in its files may be unsynced. */
bool partition_unsynced(struct partition *p);
/* Flushes and settles the dirty marks. */
int partition_flush(struct partition *p, struct err *e);
/* After a sync of the file system, see log_flush_synced; the log is open. What is to be flushed for flush.ms still is. */
int partition_flush_synced(struct partition *p, uint64_t device, struct err *e);

/* Wakes whoever watches. Takes only leaf locks. */
void partition_notify(struct partition *p);

#endif
