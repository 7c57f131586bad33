/*
 * store: struct broker, seen only inside core/broker.
 */
#ifndef LEAT_BROKER_STORE_H
#define LEAT_BROKER_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/uuid.h"
#include "broker/broker.h"
#include "broker/commit.h"
#include "broker/disk.h"
#include "broker/removal.h"
#include "broker/topic.h"
#include "storage/journal.h"
#include "storage/log.h"
#include "storage/page_cache.h"

struct group_configs;
struct offsets;
struct group_writes;
struct txns;
struct scrub;
struct upkeep;
struct log_cleaner;

/* See open_files.c. */
struct open_files {
    int max;
    atomic_int count;      /* of all logs */
    pthread_mutex_t evict; /* outside of the logs' locks; held over syncs */
    int reserve;           /* a file that does nothing but to make place */
    atomic_bool relieve;   /* there were not so many to be had */
    size_t hand;           /* where the next search begins; under `evict` */
    int64_t next_sweep;    /* upkeep's */
};

/* Appends that wait for their topic's rate (quota.c). */
struct delays {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool lifted; /* nobody waits any more */
};

struct broker {
    struct broker_options o;
    char *data_dir; /* the main one */
    char cluster_id[UUID_TEXT_SIZE];
    struct disk **disks; /* the main one first; constant once it is open */
    size_t disk_count;
    struct commit **stages; /* of those that are there */
    bool clean_start;       /* the last stop was clean, in all of them */

    pthread_mutex_t admin; /* outermost: changes of metadata, one at a time, held over their sync */
    bool offsets_stale;    /* groups may have offsets for deleted topics; under `admin` */
    struct topics topics;
    struct topic_defaults defaults;
    struct group_configs *group_configs;
    struct open_files files;
    struct page_cache page_cache;
    struct removals removals;
    struct delays delays;
    atomic_uint_fast64_t throttled_ns;
    struct log *meta;                            /* __cluster_metadata-0 */
    struct map *removed, *removed_names;         /* ids and names of deleted topics, while starting */
    int64_t next_producer_id, producer_id_limit; /* the rest of this process's block; under `admin` */

    struct upkeep *upkeep;
    struct log_cleaner *cleaner;
    struct scrub *scrub; /* NULL: turned off */
    struct offsets *offsets;
    struct group_writes *group_writes;
    struct txns *txns;

    atomic_uint_fast64_t append_batches, append_records, append_bytes, fetch_bytes;
    atomic_uint_fast64_t recovered_bytes, cut_bytes;
    int64_t start_ms;
};

#define OFFSETS_TOPIC "__consumer_offsets"
#define TXN_TOPIC "__transaction_state"
#define META_TOPIC_NAME "__cluster_metadata"

/* Makes an internal topic on its first use. `*partitions`: how many it has. */
int internal_topic(struct broker *b, const char *name, int32_t *partitions, struct err *e);

#endif
