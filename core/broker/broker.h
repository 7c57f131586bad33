/*
 * broker: topics, partitions, produce, fetch, groups' offsets and transactions over one data directory, as
 * functions that know nothing of sockets. The pipelines inside the process (core/client) and, later, Kafka's
 * clients (core/server) use the same ones.
 *
 * All functions may be called from any thread unless they say otherwise. Those that wait for the disk say so.
 */
#ifndef LEAT_BROKER_BROKER_H
#define LEAT_BROKER_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"
#include "record/record.h"
#include "storage/log.h"

struct broker;

struct topic_config_entry {
    const char *name;  /* Kafka's topic setting */
    const char *value; /* NULL: back to the default (alter only) */
};

struct broker_options {
    const char *data_dir;           /* the main directory; made if missing */
    size_t journal_file_bytes;      /* 0: default 64 MiB */
    int64_t retention_check_ms;     /* 0: default 300000, Kafka's log.retention.check.interval.ms */
    int64_t producer_expiration_ms; /* 0: default 86400000, Kafka's producer.id.expiration.ms */
    int32_t open_files_max;         /* of segments; 0: by the process's limit */
    int32_t offsets_partitions;     /* 0: default 50; used when __consumer_offsets is first made */
    int32_t txn_partitions;         /* 0: default 50; likewise __transaction_state */
    int64_t offsets_segment_bytes, txn_segment_bytes; /* 0: default 100 MiB; likewise their segment.bytes */

    /*
     * What topics have that do not say otherwise, by the names of topic settings; internal topics excepted. They are
     * remembered in the directory: who opens it with defaults_known false goes by what was given last.
     */
    bool defaults_known;
    const struct topic_config_entry *defaults;
    size_t default_count;
    int32_t num_partitions;    /* of a topic that is made without a number; 0: 1 */
    bool no_threads;           /* for simulations: see broker_step */
    int64_t scrub_interval_ms; /* everything is read and checked once in so long; 0: never */
    int64_t scrub_bytes_per_s; /* and no faster than this; 0: 16 MiB */

    /*
     * Further data directories, one a disk; none: those that were used last. A new one must be empty. One that was used and
     * holds partitions must stay among them.
     */
    const char *const *data_dirs;
    size_t data_dir_count;
    bool
        allow_missing_dirs; /* starts without those that are not there; their partitions are out of service */
    int64_t space_warn_bytes;   /* a warning when less than this, */
    int32_t space_warn_percent; /* and less than this, is free; 0: defaults 1 GiB and 5; one negative: none */

    bool cleaner_disabled;               /* Kafka's log.cleaner.enable=false: nothing is compacted */
    size_t cleaner_dedupe_bytes;         /* 0: default 128 MiB; memory for the keys of a pass, at most */
    int64_t cleaner_io_bytes_per_second; /* read and written by the cleaner; 0: no limit */
    int64_t cleaner_backoff_ms;          /* 0: default 15000 */
};

/*
 * Locks the directories (ERR_LOCKED names the holder's pid; ERR_DISK_FAILED a directory that is missing), recovers, starts the commit stage's and upkeep's threads. Also
 * aborts nothing: open transactions wait for their producer or their timeout.
 */
int broker_open(struct broker **out, const struct broker_options *o, struct err *e);
/* Waits for pending commits, closes every log cleanly, unlocks. Frees in any case. */
int broker_close(struct broker *b, struct err *e);

/*
 * Only of a broker opened with no_threads, which starts no thread of its own: what a caller waits for is written and synced
 * in that caller's thread, in the same way as otherwise; so with one calling thread every write and sync comes in an order
 * that depends on the calls alone. Appends that nobody waits for (broker_produce_async, broker_txn_add_partitions) are
 * completed by whoever waits next, or here; and upkeep (journal, flush.ms, retention, transactions' timeouts) happens only
 * here: what is due at `now_ms`, on clock_mono_ms's scale. Returns when the next is due, INT64_MAX for nothing.
 */
int64_t broker_step(struct broker *b, int64_t now_ms);

const char *broker_data_dir(const struct broker *b);
const char *broker_cluster_id(const struct broker *b);

/* ---- topics
 * ------------------------------------------------------------------------------------------------- */

/* Settings that a topic can have here, for help, validation and docs. Kafka's names, types and defaults. */
enum topic_config_type {
    TOPIC_CONFIG_INT,
    TOPIC_CONFIG_LONG,
    TOPIC_CONFIG_BOOL,
    TOPIC_CONFIG_CHOICE,
    TOPIC_CONFIG_LIST, /* one or more of the choices, separated by commas */
    TOPIC_CONFIG_DOUBLE,
    TOPIC_CONFIG_REFUSED, /* Kafka has it, we do not: only the default is taken */
};
struct topic_config_def {
    const char *name;
    enum topic_config_type type;
    const char *default_value;
    int64_t min, max;
    const char *choices; /* "a,b", for CHOICE and LIST */
    const char *hub;     /* Kafka's broker setting that is its default for all topics; NULL: there is none */
    const char *refused; /* for REFUSED: why */
    const char *doc;
    int into; /* how and where the broker keeps it; its own business */
    size_t offset;
};
const struct topic_config_def *topic_config_defs(size_t *count);
/* ERR_INVALID_CONFIG says what is wrong and, for an unknown name, the nearest known one. */
int topic_config_check(const char *name, const char *value, struct err *e);
/* The setting whose default for all topics the hub's setting of this name is, or NULL. */
const struct topic_config_def *topic_config_of_hub(const char *hub_name);

int topic_name_check(const char *name, struct err *e); /* ERR_INVALID_TOPIC */

/* Durable when it returns. ERR_TOPIC_EXISTS, ERR_INVALID_*. `partitions` -1: num_partitions. */
int broker_create_topic(struct broker *b, const char *name, int32_t partitions,
                        const struct topic_config_entry *config, size_t config_count, struct uuid *id,
                        struct err *e);
int broker_delete_topic(struct broker *b, const char *name, struct err *e);
int broker_add_partitions(struct broker *b, const char *name, int32_t total, struct err *e);
/* An append that meets a change of `durability` may answer ERR_BUSY, which is retriable. */
int broker_alter_topic(struct broker *b, const char *name, const struct topic_config_entry *config,
                       size_t config_count, struct err *e);

struct partition_info {
    int32_t partition;
    int64_t log_start_offset, high_watermark, last_stable_offset, end_offset;
    int64_t size; /* bytes */
    int32_t segments;
    int32_t disk; /* its data directory: broker_disk */
    bool failed;
};
struct topic_info {
    char *name;
    struct uuid id;
    bool internal;
    int32_t partition_count;
    struct partition_info *partitions; /* NULL in listings */
    size_t config_count;
    struct topic_config_entry *config; /* only what was set */
};
int broker_topic(struct broker *b, const char *name, struct topic_info *out,
                 struct err *e);                                                         /* with partitions */
int broker_topics(struct broker *b, struct topic_info **list, size_t *n, struct err *e); /* by name */

/* Every setting of a topic as it is in force, in the order of topic_config_defs. */
enum topic_setting_source { TOPIC_SETTING_OF_TOPIC, TOPIC_SETTING_OF_HUB, TOPIC_SETTING_DEFAULT };
struct topic_setting {
    const struct topic_config_def *def;
    enum topic_setting_source source;
    char *value;
    char *hub_value; /* the hub's default, if it gives one */
};
int broker_topic_settings(struct broker *b, const char *name, struct topic_setting **list, size_t *n,
                          struct err *e);
void topic_settings_list_free(struct topic_setting *list, size_t n);
/* Only how many partitions, and the largest batch that may be appended now: a look-up in memory. */
int broker_topic_limits(struct broker *b, const char *name, int32_t *partitions, int64_t *max_message_bytes,
                        struct err *e);
/* Segments of one partition, oldest first (mem_free); none where nothing was ever written. */
int broker_segments(struct broker *b, const char *topic, int32_t partition, struct segment_info **list,
                    size_t *n, struct err *e);
void topic_info_free(struct topic_info *t);
void topic_infos_free(struct topic_info *list, size_t n);

/* Deletes records below `offset` (-1: the high watermark); *low is the new log start. */
int broker_delete_records(struct broker *b, const char *topic, int32_t partition, int64_t offset,
                          int64_t *low, struct err *e);

/* ---- produce
 * ------------------------------------------------------------------------------------------------ */

struct produce_request {
    const char *topic;
    int32_t partition;
    void *data; /* whole batches, changed in place */
    size_t bytes;
    bool built_here; /* by this process's own builder: the records are not validated once more */
    /* filled in: */
    struct log_appended appended;
    struct err error; /* of this partition; code ERR_OK if appended */
};

/*
 * Appends to one or more partitions. With `atomic` either all appends become durable and visible together or
 * none is made (the client's flushes and large transactions; ERR_TOO_LARGE past broker_atomic_max); where the partitions lie
 * in several data directories that holds for each directory's part by itself, and only a transaction spans them. Waits until what was appended
 * is as durable as the topics ask. Returns ERR_OK if every request's error is ERR_OK, else the first error's
 * code.
 */
int broker_produce(struct broker *b, struct produce_request *requests, size_t n, bool atomic, struct err *e);

/* For a stop: appends no longer wait for quota.produce.bytes.per.second, those that do go on at once. */
void broker_lift_delays(struct broker *b);

/* What an atomic group may hold at most, with 256 bytes added for each request and each partition. */
size_t broker_atomic_max(const struct broker *b);

/*
 * As above without waiting: `done(arg, e)` is called once, from whichever thread commits it or before the
 * return, and must not block nor call the broker. The requests must stay valid until then; their data need not after the return.
 */
void broker_produce_async(struct broker *b, struct produce_request *requests, size_t n, bool atomic,
                          void (*done)(void *arg, const struct err *e), void *arg);

/* ---- fetch
 * -------------------------------------------------------------------------------------------------- */

/* Finds bytes as log_locate does; ERR_UNKNOWN_TOPIC etc. Release the range with log_range_release. */
int broker_locate(struct broker *b, const char *topic, int32_t partition, int64_t offset, size_t max_bytes,
                  enum isolation isolation, struct log_range *out, struct err *e);
int broker_aborted(struct broker *b, const char *topic, int32_t partition, int64_t from, int64_t to,
                   struct aborted_txn **list, size_t *n, struct err *e);

/* Kafka's special timestamps: -1 latest (watermark or last stable offset), -2 earliest, -3 max timestamp;
 * else >= ts. */
int broker_list_offset(struct broker *b, const char *topic, int32_t partition, int64_t timestamp,
                       enum isolation isolation, int64_t *offset, int64_t *found_ts, struct err *e);

/*
 * waiter: wakes a reader when a watched partition has something new. Signalled whenever a watched partition's
 * watermark or last stable offset moves, the topic is deleted, or waiter_wake is called. Cheap when nothing
 * waits.
 */
struct waiter;
struct waiter *waiter_new(struct broker *b, struct err *e);
void waiter_free(struct waiter *w);
int waiter_watch(struct waiter *w, const char *topic, int32_t partition, struct err *e);
/* Waits until signalled since the last return, or `ms` passed (-1: no limit). True if signalled. One thread.
 */
bool waiter_wait(struct waiter *w, int64_t ms);
void waiter_wake(struct waiter *w); /* any thread */

/* ---- groups' committed offsets
 * ------------------------------------------------------------------------------ */

struct group_offset {
    const char *topic;
    int32_t partition;
    int64_t offset;       /* next to read; -1 from a fetch: none committed; commit of -1 deletes the entry */
    int32_t leader_epoch; /* -1: unknown */
    const char *metadata; /* may be NULL */
    int64_t commit_ms;    /* out only */
};
/* Durable when it returns. Only for groups without live members of a Kafka client. */
int broker_commit_offsets(struct broker *b, const char *group, const struct group_offset *offsets, size_t n,
                          struct err *e);
int broker_fetch_offset(struct broker *b, const char *group, const char *topic, int32_t partition,
                        int64_t *offset, struct err *e);
struct group_info {
    char *group;
    size_t count;
    struct group_offset *offsets;
};
int broker_group(struct broker *b, const char *group, struct group_info *out,
                 struct err *e); /* ERR_UNKNOWN_GROUP */
int broker_groups(struct broker *b, struct group_info **list, size_t *n, struct err *e); /* by name */
int broker_delete_group(struct broker *b, const char *group, struct err *e);
void group_info_free(struct group_info *g);
void group_infos_free(struct group_info *list, size_t n);

/* ---- transactions (KIP-98, KIP-890's checks where they cost nothing)
 * ------------------------------------------ */

/*
 * New epoch for the transactional id (aborting what its predecessor left open), or a fresh producer id if
 * `transactional_id` is NULL. Waits until durable.
 */
int broker_init_producer(struct broker *b, const char *transactional_id, int32_t timeout_ms,
                         int64_t *producer_id, int16_t *epoch, struct err *e);

struct txn_partition {
    const char *topic;
    int32_t partition;
};
/* Must come before the first transactional batch for the partition. Does not wait: the journal keeps the
 * order. */
int broker_txn_add_partitions(struct broker *b, const char *transactional_id, int64_t producer_id,
                              int16_t epoch, const struct txn_partition *partitions, size_t n, struct err *e);
/* Offsets that become visible when the transaction commits. Joins their partition; waits for a sync. */
int broker_txn_commit_offsets(struct broker *b, const char *transactional_id, int64_t producer_id,
                              int16_t epoch, const char *group, const struct group_offset *offsets, size_t n,
                              struct err *e);
/* Writes markers and state as one atomic group; waits for its one sync. */
int broker_txn_end(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                   bool commit, struct err *e);

/*
 * A whole transaction of the process itself in one atomic group and one sync: the state record, `requests`
 * (batches built with the producer's id, epoch and sequences), the markers. Equivalent to add_partitions,
 * produce, txn_end(commit).
 */
int broker_txn_commit_all(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                          struct produce_request *requests, size_t n, struct err *e);
/*
 * The same without waiting for the sync. On an error nothing was appended and `done` is not called. Else the offsets are
 * known, what is staged later is durable only with this, and `done(arg, e)` is called once, from whichever thread runs the
 * round, another caller's perhaps, or before the return; it must neither block nor call the broker, and may take no lock that
 * anybody holds who calls the broker. The requests and their data need not stay valid after the return.
 * Where partitions lie in several data directories it waits for everything; what was appended before an error is aborted then.
 */
int broker_txn_commit_all_async(struct broker *b, const char *transactional_id, int64_t producer_id,
                                int16_t epoch, struct produce_request *requests, size_t n,
                                void (*done)(void *arg, const struct err *e), void *arg, struct err *e);

struct txn_info {
    char *transactional_id;
    int64_t producer_id;
    int16_t epoch;
    const char *state; /* Kafka's names: Empty, Ongoing, PrepareCommit, ... */
    int32_t timeout_ms;
    int64_t start_ms; /* -1: none open */
};
int broker_txns(struct broker *b, struct txn_info **list, size_t *n, struct err *e);
void txn_infos_free(struct txn_info *list, size_t n);

/* ---- figures
 * ------------------------------------------------------------------------------------------------ */

struct broker_stats {
    uint64_t append_batches, append_records, append_bytes;
    uint64_t fetch_bytes;
    uint64_t syncs; /* journal commits */
    uint64_t sync_ns_total;
    uint64_t commits_grouped; /* appends that shared syncs */
    uint64_t journal_bytes;
    uint64_t topics, partitions;
    uint64_t cleaner_passes, cleaner_bytes_read, cleaner_bytes_written, cleaner_bytes_freed;
    uint64_t cleaner_memory;         /* bytes that it holds now */
    uint64_t uncleanable_partitions; /* that it gave up */
    uint64_t recovered_bytes, cut_bytes;
    int64_t start_ms;                    /* how long opening took */
    uint64_t open_files, open_files_max; /* of segments */
    uint64_t throttled_ns;               /* appends waited so long for quota.produce.bytes.per.second */
};
void broker_stats(struct broker *b, struct broker_stats *s);

/* A data directory. `i` is below broker_disk_count; 0 is the main one. */
struct disk_info {
    const char *dir; /* good until the broker is closed */
    char id[UUID_TEXT_SIZE];
    int32_t partitions; /* of topics that are not internal */
    bool failed;        /* out of service until a restart; `why` tells */
    struct err why;
    int64_t total_bytes, free_bytes; /* of its file system; -1: unknown */
    bool low;                        /* less is free than the warning's limits */
    bool full;                       /* appends are refused for want of room */
};
size_t broker_disk_count(const struct broker *b);
void broker_disk(struct broker *b, size_t i, struct disk_info *out);
const char *broker_disk_dir(const struct broker *b, size_t i); /* without a look at the disk */

/* What the background scrub (scrub.h) does and found in its last pass, or in the one that runs. */
struct scrub_finding {
    bool error;               /* else a warning */
    const char *kind;         /* a name of storage/check.h; constant */
    char partition[249 + 16]; /* "<topic>-<partition>" */
    char *path, *text;
    int64_t byte, offset, next_offset; /* -1: none */
    int64_t found_ms;
};
struct scrub_status {
    bool on, running;
    int64_t started_ms, finished_ms; /* wall clock; 0: never */
    uint64_t bytes;                  /* read since the process began */
    uint64_t errors, warnings;
    struct scrub_finding *findings; /* the first hundred */
    size_t finding_count;
};
int broker_scrub_status(struct broker *b, struct scrub_status *out, struct err *e);
void scrub_status_free(struct scrub_status *s);

/* A write or sync of the main directory's journal failed: nothing is appended any more until a restart. `why` then tells. */
bool broker_failed(struct broker *b, struct err *why);

#endif
