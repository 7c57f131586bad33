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

#include "base/arena.h"
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
    const char *data_dir;       /* the main directory; made if missing */
    size_t journal_file_bytes;  /* 0: default 64 MiB */
    int64_t journal_release_ms; /* full files are given back after so long at the latest; 0: default 10000 */
    int64_t retention_check_ms; /* 0: default 300000, Kafka's log.retention.check.interval.ms */
    int64_t producer_expiration_ms; /* 0: default 86400000, Kafka's producer.id.expiration.ms */
    int64_t page_cache_bytes;       /* of what is on disk, see storage/page_cache.h */
    int32_t open_files_max;         /* of segments; 0: by the process's limit */
    /* What nobody has used for so long goes, Kafka's offsets.retention.minutes and transactional.id.expiration.ms; 0: never. */
    int64_t offsets_retention_ms, txn_id_expiration_ms;
    int64_t
        offsets_check_ms; /* how often that is looked for; 0: 600000, offsets.retention.check.interval.ms */
    int32_t txn_timeout_max_ms; /* of clients' transactions; 0: 900000, Kafka's transaction.max.timeout.ms */
    int64_t txn_id_check_ms;    /* 0: 3600000, transaction.remove.expired.transaction.cleanup.interval.ms */
    int32_t offsets_partitions; /* 0: default 50; used when __consumer_offsets is first made */
    int32_t txn_partitions;     /* 0: default 50; likewise __transaction_state */
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
    size_t direct_bytes;       /* for simulations: from so much on an append is a large one; 0: the default */
    size_t many_holders;       /* for simulations: so many logs are synced together; 0: the default */
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
    int32_t cleaner_threads;             /* 0: default 1; not used with no_threads */
    size_t cleaner_dedupe_bytes;         /* 0: default 128 MiB; memory for keys of all its threads, at most */
    int64_t cleaner_io_bytes_per_second; /* read and written by all its threads; 0: no limit */
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
int64_t
broker_metadata_end(const struct broker *b); /* where the log of changes of topics and settings ends */

/* ---- topics
 * ------------------------------------------------------------------------------------------------- */

/* Settings that a topic can have here, for help, validation and docs. Kafka's names, types and defaults. */
enum topic_config_type {
    TOPIC_CONFIG_INT,
    TOPIC_CONFIG_LONG,
    TOPIC_CONFIG_BOOL,
    TOPIC_CONFIG_CHOICE,
    TOPIC_CONFIG_LIST, /* any of the choices, separated by commas */
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

struct topic_setting;
#define BROKER_TOPIC_PARTITIONS_MAX 10000
/* Durable when it returns. ERR_TOPIC_EXISTS, ERR_INVALID_*. `partitions` -1: num_partitions. */
int broker_create_topic(struct broker *b, const char *name, int32_t partitions,
                        const struct topic_config_entry *config, size_t config_count, struct uuid *id,
                        struct err *e);
/*
 * Whether that would do, and what the topic would have: *partitions and its settings (topic_settings_list_free). The same errors, but for
 * those of the disk.
 */
int broker_try_topic(struct broker *b, const char *name, int32_t *partitions,
                     const struct topic_config_entry *config, size_t config_count,
                     struct topic_setting **list, size_t *n, struct err *e);
int broker_delete_topic(struct broker *b, const char *name, struct err *e);
int broker_add_partitions(struct broker *b, const char *name, int32_t total, struct err *e);
/* An append that meets a change of `durability` may answer ERR_BUSY, which is retriable. */
int broker_alter_topic(struct broker *b, const char *name, const struct topic_config_entry *config,
                       size_t config_count, struct err *e);

/*
 * What the hub gives to topics that do not say otherwise comes in layers, the first that has a setting counts: what was set at
 * run time for this node, or for the whole cluster (KIP-226), and the hub's configuration file.
 */
enum hub_layer { HUB_NODE, HUB_CLUSTER, HUB_FILE, HUB_LAYERS };

/* Changes of settings as Kafka's clients ask for them (KIP-133, KIP-339). */
enum config_op { CONFIG_SET, CONFIG_DELETE, CONFIG_APPEND, CONFIG_SUBTRACT };
struct config_change {
    const char *name;
    enum config_op op;
    const char *value; /* not NULL but for CONFIG_DELETE */
};
/*
 * `changes` name every setting once at most; deleting one that is not set, or that nobody knows, is no error. CONFIG_APPEND and
 * CONFIG_SUBTRACT are for lists, of what is in force. `replace`: what is set and not named goes. `try_only`: says only
 * whether it would do. ERR_INVALID_CONFIG, ERR_UNKNOWN_TOPIC, ERR_INVALID_TOPIC (internal); waits for a sync.
 */
int broker_change_topic(struct broker *b, const char *name, const struct config_change *changes, size_t n,
                        bool replace, bool try_only, struct err *e);

/*
 * Changes what was set at run time, HUB_NODE or HUB_CLUSTER, as broker_change_topic does; by Kafka's names of broker settings. Topics go by
 * it at once. Names that nobody knows are kept, as Kafka does. ERR_INVALID: one that cannot be changed at run time.
 */
int broker_change_hub(struct broker *b, enum hub_layer layer, const struct config_change *changes, size_t n,
                      bool replace_all, bool try_only, struct err *e);
/* A layer's settings, by Kafka's names. The caller's. */
int broker_hub_settings(struct broker *b, enum hub_layer layer, struct topic_config_entry **list, size_t *n,
                        struct err *e);
void broker_hub_settings_free(struct topic_config_entry *list, size_t n);

struct partition_info {
    int32_t partition;
    int64_t log_start_offset, high_watermark, last_stable_offset, end_offset;
    int64_t size; /* bytes */
    int32_t segments;
    int32_t leader_epoch; /* of the hub's own partitions only */
    int32_t disk;         /* its data directory: broker_disk */
    bool failed;          /* that, or its log, is out of service */
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
    char *hub_values[HUB_LAYERS]; /* the hub's defaults; NULL where it gives none */
};
/* The hub's default that counts, and the layer that gives it; NULL: there is none. */
const char *topic_setting_of_hub(const struct topic_setting *s, enum hub_layer *layer);
int broker_topic_settings(struct broker *b, const char *name, struct topic_setting **list, size_t *n,
                          struct err *e);
void topic_settings_list_free(struct topic_setting *list, size_t n);
/* Only how many partitions, and the largest batch that may be appended now: a look-up in memory. */
int broker_topic_limits(struct broker *b, const char *name, int32_t *partitions, int64_t *max_message_bytes,
                        struct err *e);
/* What a client asks first of a topic: a look-up in memory, by name or by id. ERR_UNKNOWN_TOPIC, ERR_UNKNOWN_TOPIC_ID. */
#define BROKER_TOPIC_NAME_MAX 249
struct topic_brief {
    char name[BROKER_TOPIC_NAME_MAX + 1];
    struct uuid id;
    int32_t partitions;
    bool internal;
};
int broker_topic_brief(struct broker *b, const char *name, struct topic_brief *out, struct err *e);
int broker_topic_by_id(struct broker *b, const struct uuid *id, struct topic_brief *out, struct err *e);
/* Another one, and never 0, as soon as a topic or a partition has come or gone: cheap to compare. */
uint64_t broker_topics_version(struct broker *b);
/* Every topic's name, in no order, with the table of topics locked: `fn` is not to be long, nor to call the broker. */
void broker_each_topic(struct broker *b, void (*fn)(void *arg, const char *name), void *arg);
/* Segments of one partition, oldest first (mem_free); none where nothing was ever written. */
int broker_segments(struct broker *b, const char *topic, int32_t partition, struct segment_info **list,
                    size_t *n, struct err *e);
void topic_info_free(struct topic_info *t);
void topic_infos_free(struct topic_info *list, size_t n);

/* Deletes records below `offset` (-1: the high watermark); *low is the new log start. */
int broker_delete_records(struct broker *b, const char *topic, int32_t partition, int64_t offset,
                          int64_t *low, struct err *e);

/* The same of many partitions, with the checkpoints of each disk written once for all. */
struct record_deletion {
    const char *topic;
    int32_t partition;
    int64_t before; /* -1: the high watermark */
    int64_t low;    /* out: the new log start */
    struct err
        error; /* out: ERR_OK, or why nothing is known to be deleted here; the others are not kept by it */
};
/* ERR_NO_MEMORY: nothing was done. */
int broker_delete_records_of(struct broker *b, struct record_deletion *deletions, size_t n, struct err *e);

/* ---- produce
 * ------------------------------------------------------------------------------------------------ */

struct produce_request {
    const char *topic;
    int32_t partition;
    const char *transactional_id; /* of a client's transactional batches; NULL: their producer id tells */
    bool txn_joined; /* of transaction version 2: the partition joined by itself (broker_txn_join) */
    void *data;      /* whole batches, changed in place */
    size_t bytes;
    bool built_here; /* by this process's own builder: the records are not validated once more */
    /* filled in: */
    struct log_appended appended;
    struct err
        error; /* of this partition; code ERR_OK if appended, else of `appended` log_start_offset may be there: -1 if not */
    bool by_coordinator; /* the error is the transaction coordinator's: the log was not asked */
    /* In, may be NULL; out: the records of a single batch that are why it was refused. Its list is the caller's (mem_free). */
    struct log_refused *refused;
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

/*
 * The same for who must not wait, not even for room: false if something would have to be waited for, or takes long, and nothing
 * was done then. The caller calls broker_produce_push soon after the last of several such calls; until then what they appended may
 * stay unwritten, so that it shares a sync.
 */
bool broker_produce_try(struct broker *b, struct produce_request *requests, size_t n,
                        void (*done)(void *arg, const struct err *e), void *arg);
void broker_produce_push(struct broker *b);

/* ---- fetch
 * -------------------------------------------------------------------------------------------------- */

/* Finds bytes as log_locate does; ERR_UNKNOWN_TOPIC etc. Release the range with log_range_release. */
int broker_locate(struct broker *b, const char *topic, int32_t partition, int64_t offset, size_t max_bytes,
                  enum isolation isolation, struct log_range *out, struct err *e);
/*
 * Reads of a located range as log_range_read does. An error of the disk takes it out of service: whoever reads what the broker
 * located does it through this.
 */
int broker_read(struct broker *b, const char *topic, int32_t partition, const struct log_range *range,
                size_t from, void *dst, size_t n, struct err *e);
/* Where a partition's log begins and ends, for readers. */
struct partition_offsets {
    int64_t start, high_watermark, last_stable;
};

/*
 * A partition that is looked at again and again, found once. Its memory stays until it is let go of; its topic may be deleted
 * meanwhile, which each look tells (ERR_UNKNOWN_TOPIC).
 */
struct partition;
/* By name, or by id where `topic` is empty: ERR_UNKNOWN_TOPIC, ERR_UNKNOWN_TOPIC_ID. */
int broker_partition_find(struct broker *b, const char *topic, const struct uuid *id, int32_t partition,
                          struct partition **out, struct err *e);
void broker_partition_let_go(struct partition *p); /* NULL is fine */
const char *broker_partition_topic(const struct partition *p);
/* What a reader asks of it, and gets: KIP-320's checks, then what log_locate finds. */
struct partition_ask {
    int64_t offset;
    size_t max_bytes; /* 0: only whether the offset is there, and the watermarks */
    enum isolation isolation;
    int32_t current_epoch; /* of the leader, as the reader knows it; -1: it does not say */
    int32_t last_epoch;    /* of the last record that it read; -1: likewise */
};
struct partition_look {
    struct partition_offsets at;
    enum codec codec;       /* compression.type; CODEC_COUNT: as producers have it */
    struct log_range range; /* to be released, unless there was an error */
    int32_t
        diverging_epoch; /* -1: none. What the reader has of later epochs, and from `diverging_end` on, is not in the log */
    int64_t diverging_end;
};
/* ERR_FENCED_EPOCH, ERR_UNKNOWN_EPOCH, ERR_OFFSET_OUT_OF_RANGE; others as broker_locate; ERR_WOULD_WAIT: see io_set_patient. */
int broker_partition_look(struct broker *b, struct partition *p, const struct partition_ask *ask,
                          struct partition_look *out, struct err *e);
int broker_partition_aborted(struct broker *b, struct partition *p, int64_t from, int64_t to,
                             struct aborted_txn **list, size_t *n,
                             struct err *e); /* as log_aborted; ERR_WOULD_WAIT */

/*
 * Leader epochs (KIP-101, KIP-279): that of the partition now; that which wrote an offset (-1: not known; past the end: the
 * current one); and the largest one not above `epoch` with the offset where it ended, -1 and -1 where `epoch` is above the current one.
 */
int broker_leader_epoch(struct broker *b, const char *topic, int32_t partition, int32_t *epoch,
                        struct err *e);
int broker_epoch_at(struct broker *b, const char *topic, int32_t partition, int64_t offset, int32_t *epoch,
                    struct err *e);
int broker_epoch_end(struct broker *b, const char *topic, int32_t partition, int32_t epoch, int32_t *found,
                     int64_t *end, struct err *e);
/* ERR_FENCED_EPOCH, ERR_UNKNOWN_EPOCH: `asked` is not the current one. -1 is fine. */
int broker_check_epoch(int32_t current, int32_t asked, struct err *e);

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
/* Of ones that were found, as many as room was made for, once and before. One that is deleted is not: look at it. */
int waiter_reserve(struct waiter *w, size_t n, struct err *e);
void waiter_watch_found(struct waiter *w, struct partition *p);
/* Waits until signalled since the last return, or `ms` passed (-1: no limit). True if signalled. One thread.
 */
bool waiter_wait(struct waiter *w, int64_t ms);
void waiter_wake(struct waiter *w); /* any thread */
/*
 * Instead of a thread that waits: `fn(arg)` is called when it is signalled for the first time since waiter_wait(w, 0), from whatever
 * thread signals; it may take leaf locks only. To be set before anything is watched. After waiter_free it is not called.
 */
void waiter_on_wake(struct waiter *w, void (*fn)(void *arg), void *arg);

/* ---- groups' committed offsets
 * ------------------------------------------------------------------------------ */

struct group_offset {
    const char *topic;
    int32_t partition;
    int64_t offset;       /* next to read; -1 from a fetch: none committed; commit of -1 deletes the entry */
    int32_t leader_epoch; /* -1: unknown */
    const char *metadata; /* may be NULL */
    int64_t commit_ms;    /* out only */
    int64_t
        retention_ms; /* in only: how long it stays, as older clients may ask; 0: as the hub's settings say */
    bool pending;     /* out only: an open transaction is to change it */
};
/* Durable when it returns. Only for groups without live members of a Kafka client. */
int broker_commit_offsets(struct broker *b, const char *group, const struct group_offset *offsets, size_t n,
                          struct err *e);
int broker_fetch_offset(struct broker *b, const char *group, const char *topic, int32_t partition,
                        int64_t *offset, struct err *e);
/* Looks up each topic and partition that is named; without what is committed its offset is -1. The metadata are the arena's. */
int broker_fetch_offsets(struct broker *b, const char *group, struct group_offset *offsets, size_t n,
                         struct arena *a, struct err *e);
/* Forgets those of them that are committed. Durable when it returns. */
int broker_delete_offsets(struct broker *b, const char *group, const struct group_offset *offsets, size_t n,
                          struct err *e);
struct group_info {
    char *group;
    size_t count;
    struct group_offset *offsets;
};
int broker_group(struct broker *b, const char *group, struct group_info *out,
                 struct err *e); /* ERR_UNKNOWN_GROUP */
int broker_groups(struct broker *b, struct group_info **list, size_t *n, struct err *e); /* by name */
/* The names alone, sorted; group_names_free. */
int broker_group_names(struct broker *b, char ***names, size_t *n, struct err *e);
void group_names_free(char **names, size_t n);
int broker_delete_group(struct broker *b, const char *group, struct err *e);
/*
 * Whoever uses a group holds it: offsets of a group that is held do not expire, and of one that was only as long after as its
 * commits would. Any number of holders; waits for the expiry of the group, if it is under way. Any thread.
 */
int broker_group_hold(struct broker *b, const char *group, struct err *e);
void broker_group_release(struct broker *b, const char *group); /* of what was held */
/* Has it any, or a change of one on its way? A leaf lock. */
bool broker_group_has_offsets(struct broker *b, const char *group);
/* The same without what is on its way: as it would be shown. */
bool broker_group_shows_offsets(struct broker *b, const char *group);

/*
 * What may expire of the offsets of a group that Kafka's clients use, as who knows its members (core/group) says. Called by upkeep, which
 * holds nothing then; it must not call the broker.
 */
enum group_use {
    GROUP_USE_UNKNOWN, /* there is no such group there */
    GROUP_USE_EMPTY,   /* nobody is a member since `since_ms` (wall clock) */
    GROUP_USE_TOPICS,  /* its members read `topics`; of others offsets may expire */
    GROUP_USE_ALL,     /* nothing may */
};
struct group_usage {
    enum group_use use;
    int64_t since_ms;
    struct map *topics; /* a set of names, to be filled */
};
/* NULL: nobody is asked, from the return on. */
void broker_watch_groups(struct broker *b, void (*fn)(void *arg, const char *group, struct group_usage *out),
                         void *arg);

/* ---- groups' own records
 * ------------------------------------------------------------------------------------ */

/* A record of __consumer_offsets that is no committed offset: bytes of core/group's. */
struct group_record {
    const void *key;
    size_t key_len;
    const void *value; /* NULL: a tombstone */
    size_t value_len;
};
/*
 * Appends the records to the group's partition as one batch, in the order of the calls for this group; they are copied. `done(arg, e)` is called once
 * from a thread of the broker's that holds nothing, not before the return, when they are durable or given up; it must not wait, nor call
 * the broker except for what takes leaf locks only. Takes a leaf lock itself. After an error `done` is not called. No calls while the broker is closed.
 */
int broker_write_group(struct broker *b, const char *group, const struct group_record *records, size_t n,
                       void (*done)(void *arg, const struct err *e), void *arg, struct err *e);
/* The newest of each key that was there when the broker was opened, without tombstones, in the order of the log. Once: then they are forgotten. */
int broker_take_group_records(struct broker *b,
                              int (*each)(void *to, const struct group_record *r, struct err *e), void *to,
                              struct err *e);
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
/* The same of the partition where the group's offsets are kept: Kafka's AddOffsetsToTxn. broker_txn_commit_offsets joins it by itself, too. */
int broker_txn_add_offsets(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                           const char *group, struct err *e);
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

/* A transactional id that is held does not expire (see broker_group_hold). It must be known. */
int broker_txn_hold(struct broker *b, const char *transactional_id, struct err *e);
void broker_txn_release(struct broker *b, const char *transactional_id);

struct txn_info_partition {
    char *topic;
    int32_t partition;
};
struct txn_info {
    char *transactional_id;
    int64_t producer_id;
    int16_t epoch;
    const char *state; /* Kafka's names: Empty, Ongoing, PrepareCommit, ... */
    int32_t timeout_ms;
    int64_t start_ms; /* -1: none open */
    int64_t began_ms; /* the same, also of one that is over; -1: there was none */
    /* broker_txn only: */
    struct txn_info_partition *partitions; /* of the open one, by topic */
    size_t partition_count;
};
int broker_txns(struct broker *b, struct txn_info **list, size_t *n, struct err *e); /* by id */
/* One of them; ERR_UNKNOWN_TRANSACTIONAL_ID. For txn_infos_free. */
int broker_txn(struct broker *b, const char *transactional_id, struct txn_info **info, struct err *e);
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
    uint64_t direct_bytes; /* of large appends, synced in their segments instead */
    uint64_t topics, partitions;
    uint64_t cleaner_passes, cleaner_bytes_read, cleaner_bytes_written, cleaner_bytes_freed;
    uint64_t cleaner_memory;                   /* bytes that it holds now */
    uint64_t cleaner_threads, cleaner_at_work; /* how many there are, and clean a log now */
    uint64_t uncleanable_partitions;           /* that it gave up */
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
/* Which of them a partition lies in. ERR_UNKNOWN_TOPIC. */
int broker_partition_disk(struct broker *b, const char *topic, int32_t partition, int32_t *disk,
                          struct err *e);
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
