/*
 * client: what pipelines and the command line use to reach topics. One interface; `embedded` calls
 * core/broker in this process, `kafka` reaches any Kafka cluster through librdkafka.
 *
 * A producer and a consumer belong to one thread each; a client is shared.
 */
#ifndef LEAT_CLIENT_CLIENT_H
#define LEAT_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "broker/broker.h" /* topic_info, group_info and topic_config_entry: plain data */
#include "record/record.h"

struct client;
struct client *client_embedded(struct broker *b, struct err *e); /* the broker outlives it */

/* A property of librdkafka, by its name there. */
struct client_property {
    const char *name, *value;
};
struct client_kafka_options {
    const char *bootstrap_servers; /* HOST:PORT,... */
    const struct client_property *properties;
    size_t property_count;
    const char *data_dir;                        /* client_data_dir; NULL: no files are kept */
    const char *positions_topic, *targets_topic; /* NULL: the defaults */
    /* How long a cluster that cannot be reached is tried; 0: until every address was tried once. */
    int64_t connect_ms;
};
/*
 * Loads librdkafka and waits until a broker answers. ERR_PLUGIN: librdkafka is not installed; ERR_INVALID_CONFIG: a property
 * that it does not take; ERR_CONNECTION, ERR_AUTHENTICATION. What else differs is in docs/design/0007-kafka-backend.md.
 */
struct client *client_kafka(const struct client_kafka_options *o, struct err *e);

void client_close(struct client *c);
/* The local directory for files of whoever uses the client: the broker's main data directory. As long as the client. */
const char *client_data_dir(const struct client *c);
/*
 * Connect's offset.storage.topic and config.storage.topic: where sources' positions are kept, and which connectors are
 * paused. As long as the client.
 */
#define POSITIONS_TOPIC_DEFAULT "connect-offsets"
#define TARGETS_TOPIC_DEFAULT "connect-configs"
const char *client_positions_topic(const struct client *c);
const char *client_targets_topic(const struct client *c);
/* The directory of partition_info.disk; NULL where the cluster does not tell. */
const char *client_disk_dir(const struct client *c, int32_t disk);

/* ---- administration: as the broker functions of the same name
 * ------------------------------------------------ */
int client_create_topic(struct client *c, const char *name, int32_t partitions,
                        const struct topic_config_entry *config, size_t config_count, struct err *e);
int client_delete_topic(struct client *c, const char *name, struct err *e);
int client_add_partitions(struct client *c, const char *name, int32_t total, struct err *e);
/* What can be known of a topic's setting without asking anybody: its name and its kind of value. */
int client_check_config(struct client *c, const char *name, const char *value, struct err *e);
int client_alter_topic(struct client *c, const char *name, const struct topic_config_entry *config,
                       size_t config_count, struct err *e);
int client_topic(struct client *c, const char *name, struct topic_info *out, struct err *e);
/* What is cheap to know of it. A cluster's topics have no id here. */
int client_topic_brief(struct client *c, const char *name, struct topic_brief *out, struct err *e);
int client_topics(struct client *c, struct topic_info **list, size_t *n, struct err *e);
/*
 * Every setting of a topic as it is in force. TOPIC_SETTING_OF_HUB: the hub's or the cluster's brokers' configuration says
 * so, by `hub_setting`. NULL: not known or not there.
 */
struct client_setting {
    char *name, *value, *default_value, *hub_setting, *hub_value;
    enum topic_setting_source source;
};
int client_settings(struct client *c, const char *name, struct client_setting **list, size_t *n,
                    struct err *e);
void client_settings_free(struct client_setting *list, size_t n);
/* ERR_UNSUPPORTED of a cluster, which does not tell. */
int client_segments(struct client *c, const char *topic, int32_t partition, struct segment_info **list,
                    size_t *n, struct err *e);
int client_delete_records(struct client *c, struct record_deletion *deletions, size_t n, struct err *e);
int client_list_offset(struct client *c, const char *topic, int32_t partition, int64_t timestamp,
                       enum isolation isolation, int64_t *offset, int64_t *found_ts, struct err *e);
int client_groups(struct client *c, struct group_info **list, size_t *n, struct err *e);
int client_group(struct client *c, const char *group, struct group_info *out, struct err *e);
int client_commit_offsets(struct client *c, const char *group, const struct group_offset *offsets, size_t n,
                          struct err *e);
int client_delete_group(struct client *c, const char *group, struct err *e);
/*
 * Who is in groups of these names, each named once, and what each member reads. In the order of the names; client_members_free. ERR_UNSUPPORTED
 * of the built-in store, where core/group knows.
 */
struct client_member_partition {
    char *topic;
    int32_t partition;
};
struct client_member {
    char *member, *instance, *client_id, *host; /* instance NULL: not static */
    struct client_member_partition *partitions;
    size_t partition_count;
};
struct client_members {
    char *group, *state, *assignor; /* state NULL: not known */
    const char *type;               /* NULL: not known */
    char *untold;                   /* why the members are not told; NULL: they are */
    bool there;
    struct client_member *members;
    size_t count;
};
int client_members(struct client *c, const char *const *groups, size_t n, struct client_members **list,
                   struct err *e);
void client_members_free(struct client_members *list, size_t n); /* NULL does nothing */
int client_group_hold(struct client *c, const char *group, struct err *e);
void client_group_release(struct client *c, const char *group);

/* ---- producing
 * ---------------------------------------------------------------------------------------------- */

struct producer_options {
    const char *transactional_id;   /* NULL: no transactions, each flush stands alone */
    int32_t transaction_timeout_ms; /* 0: 60000 */
    enum codec codec;
    int32_t codec_level;
    size_t
        batch_bytes; /* of a batch of several records at most; 0: 1 MiB - 12. A larger record has its own */
};
struct producer;
/* With a transactional id: fences its predecessor (broker_init_producer). The id does not expire until it is closed. */
struct producer *producer_open(struct client *c, const struct producer_options *o,
                               struct err *e); /* NULL on error */
/* What was not flushed is dropped, an open transaction aborted. */
void producer_close(struct producer *p);

/*
 * Adds a record. partition -1: by murmur2 of the key, or round robin a batch at a time without key. Bytes are
 * copied. Batches that are full are kept until flush or commit, up to a cap of 32 MiB: then, in a
 * transaction, they are appended (not yet visible), else flushed.
 */
int producer_add(struct producer *p, const char *topic, int32_t partition, int64_t timestamp, const void *key,
                 size_t key_len, const void *value, size_t value_len, const struct record_header *headers,
                 int32_t header_count, struct err *e);
/* As producer_add for one topic-partition looked up once; the hot path of tasks. */
struct producer_target;
int producer_target(struct producer *p, const char *topic, int32_t partition, struct producer_target **t,
                    struct err *e);
int producer_add_to(struct producer *p, struct producer_target *t, int64_t timestamp, const void *key,
                    size_t key_len, const void *value, size_t value_len, const struct record_header *headers,
                    int32_t header_count, struct err *e);
/* How many partitions the topic has now. */
int producer_partitions(struct producer *p, const char *topic, int32_t *count, struct err *e);
size_t producer_pending_bytes(const struct producer *p);
size_t producer_pending_records(const struct producer *p);

/* Makes everything added durable and visible. Without transactions. Waits. */
int producer_flush(struct producer *p, struct err *e);
/* Everything added since the last commit or abort becomes durable and visible together. Waits for one sync.
 */
int producer_commit(struct producer *p, struct err *e);
int producer_abort(struct producer *p, struct err *e);

/*
 * The same in two steps, so that the next transaction is built while this one syncs. Start: what was added is in its order
 * and becomes durable, or nothing does; an error leaves everything added, as with producer_commit; one of
 * ERR_TOO_LARGE is retriable where max.message.bytes was lowered: by another producer, who fits its batches into that. At most
 * PRODUCER_IN_FLIGHT are on their way: one more waits for the oldest. Wait: for the oldest; what is on its way when one
 * fails fails too, and from then on every start and flush does. Nothing on its way: ERR_OK.
 */
#define PRODUCER_IN_FLIGHT 2
int producer_commit_start(struct producer *p, struct err *e);
int producer_commit_wait(struct producer *p, struct err *e);
size_t producer_in_flight(const struct producer *p); /* started and not waited for */

/* Called when a flush or commit is durable with the offsets given out, if set. */
typedef void producer_delivered(void *arg, const char *topic, int32_t partition, int64_t base_offset,
                                int64_t records);
void producer_on_delivery(struct producer *p, producer_delivered *fn, void *arg);

/* ---- consuming
 * ---------------------------------------------------------------------------------------------- */

struct consumer_options {
    const char *group; /* for stored offsets, which do not expire until it is closed; NULL: none */
    enum isolation isolation;
    size_t fetch_bytes; /* at most this much a poll; 0: 1 MiB; one batch always fits */
    bool go_on; /* partitions that are out of service until a restart are left out: consumer_trouble */
};
struct consumer;
struct consumer *consumer_open(struct client *c, const struct consumer_options *o, struct err *e);
void consumer_close(struct consumer *c);

#define CONSUMER_EARLIEST (-2)
#define CONSUMER_LATEST (-1)
#define CONSUMER_STORED (-1001) /* the group's committed offset, else earliest */
/* Assigns one more partition. `offset`: from there, or CONSUMER_*. */
int consumer_assign(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct err *e);
int consumer_seek(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct err *e);
int64_t consumer_position(struct consumer *c, const char *topic,
                          int32_t partition); /* next to be given out */

/*
 * Waits up to `ms` (-1: no limit) for records; `*n` = 0 when the time passed or consumer_wake was called.
 * What comes is of one topic-partition, in offset order, without control records, without aborted ones under
 * READ_COMMITTED. The records and their bytes stay valid until the next poll. Partitions take turns. An
 * offset that is gone (retention) moves to the earliest and is reported by diag. ERR_UNKNOWN_TOPIC, once for each partition: its topic was deleted,
 * though there may be another of its name; the other partitions go on. (One of a cluster is waited for.)
 */
struct consumed {
    const char *topic;
    int32_t partition;
    const struct record *records;
    size_t n;
    int64_t next_offset; /* to commit after these */
};
int consumer_poll(struct consumer *c, int64_t ms, struct consumed *out, struct err *e);
void consumer_wake(struct consumer *c); /* any thread */

/* Why a partition is left out, the first one that is; ERR_OK: none is. */
int consumer_trouble(const struct consumer *c, struct err *e);

/* Every assigned partition was read up to its end as of now. */
bool consumer_at_end(struct consumer *c);

/* Stores offsets for the group. Durable when it returns. */
int consumer_commit(struct consumer *c, const struct group_offset *offsets, size_t n, struct err *e);

#endif
