/*
 * kafka: a client of any Kafka cluster, through librdkafka: what its files share. docs/design/0007-kafka-backend.md has the
 * shape. kafka.c opens and closes, kafka_topics.c and kafka_configs.c are administration, kafka_groups.c groups' offsets, kafka_members.c who is in them,
 * kafka_consumer.c reading, kafka_producer.c and kafka_send.c writing.
 *
 * Any thread may use a client; every call has a limit of time (KAFKA_LIMIT_MS).
 */
#ifndef LEAT_CLIENT_KAFKA_H
#define LEAT_CLIENT_KAFKA_H

#include <pthread.h>

#include "client/internal.h"
#include "client/kafka_lib.h"

#define KAFKA_LIMIT_MS 30000 /* of one request to the cluster, with librdkafka's own attempts */
#define KAFKA_DOWN_MS                                                                                        \
    10000 /* so long nothing is read before a reader says that the cluster cannot be reached */

/* What went wrong with a handle's connections lately; librdkafka goes on trying. */
struct kafka_trouble {
    pthread_mutex_t lock;
    bool quiet; /* told by errors of calls only, not by diag */
    bool down;  /* no broker could be reached since `said` was reset */
    int64_t down_since;
    struct err last; /* ERR_OK: nothing */
};

struct kafka_client {
    struct client base;
    char *servers, *data_dir, *positions_topic, *targets_topic;
    struct client_property *properties; /* copies */
    size_t property_count;
    bool quiet;
    struct kafka_trouble trouble;
    rd_kafka_t *any; /* administration; offsets of all that is written */
    pthread_mutex_t lock;
    rd_kafka_t *committed;      /* offsets of what is committed; opened when asked for */
    rd_kafka_t *grouped;        /* offsets of groups; opened when asked for */
    struct consumer *spare_in;  /* a reader without group that was closed: the next one may go on with it */
    struct producer *spare_out; /* a producer without transactions, likewise */
    struct topic_brief known;   /* the topic that was asked for last, and when */
    int64_t known_ms;
};

static inline struct kafka_client *kafka_of(struct client *c)
{
    return (struct kafka_client *)c;
}

void kafka_trouble_init(struct kafka_trouble *t, bool quiet);
void kafka_trouble_free(struct kafka_trouble *t);
/* Something came: what was is over. */
void kafka_trouble_over(struct kafka_trouble *t);
/* Whether no broker could be reached for `ms` now; `e` gets what was said last. */
bool kafka_is_down(struct kafka_trouble *t, int64_t ms, struct err *e);

/* What a handle needs; with a '?' before its name only where the user's properties say nothing. */
struct kafka_need {
    const char *name, *value;
};
/* A handle with the client's properties and `needs`. `opaque` begins with a struct kafka_trouble. NULL on error. */
rd_kafka_t *kafka_handle(struct kafka_client *k, rd_kafka_type_t type, const struct kafka_need *needs,
                         size_t n, void (*delivered)(rd_kafka_t *, const rd_kafka_message_t *, void *),
                         struct kafka_trouble *opaque, struct err *e);

/* Sets the error of ours that is nearest to librdkafka's: "<what>: <text>". `text` NULL: its own. */
int kafka_err(struct err *e, rd_kafka_resp_err_t code, const char *text, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- requests of administration ---------------------------------------------------------------------------------- */

struct kafka_request {
    struct kafka_client *k;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
    rd_kafka_event_t *event;
};
/* Prepares; `operation`: how long the cluster may work at it is told as well. kafka_request_free in any case. */
int kafka_request_new(struct kafka_client *k, struct kafka_request *r, rd_kafka_admin_op_t op, bool operation,
                      struct err *e);
/* The same through another handle of the client's. */
int kafka_request_through(rd_kafka_t *rk, struct kafka_client *k, struct kafka_request *r,
                          rd_kafka_admin_op_t op, bool operation, struct err *e);
/* Waits for the answer; an error of the whole request is told as "<what>: ...". */
int kafka_request_wait(struct kafka_request *r, const char *what, struct err *e);
void kafka_request_free(struct kafka_request *r);

/* Kafka's own topics, by their names. */
bool kafka_is_internal(const char *topic);
/* How many partitions the topic has; ERR_UNKNOWN_TOPIC. Asks the cluster. */
int kafka_partition_count(struct kafka_client *k, const char *topic, int32_t *count, struct err *e);

/* ---- operations (client_ops) ---------------------------------------------------------------------------------------- */

int kafka_create_topic(struct client *c, const char *name, int32_t partitions,
                       const struct topic_config_entry *config, size_t config_count, struct err *e);
int kafka_delete_topic(struct client *c, const char *name, struct err *e);
int kafka_add_partitions(struct client *c, const char *name, int32_t total, struct err *e);
int kafka_topic(struct client *c, const char *name, struct topic_info *out, struct err *e);
int kafka_topics(struct client *c, struct topic_info **list, size_t *n, struct err *e);
int kafka_delete_records(struct client *c, struct record_deletion *deletions, size_t n, struct err *e);
int kafka_list_offset(struct client *c, const char *topic, int32_t partition, int64_t timestamp,
                      enum isolation isolation, int64_t *offset, int64_t *found_ts, struct err *e);

int kafka_alter_topic(struct client *c, const char *name, const struct topic_config_entry *config,
                      size_t config_count, struct err *e);
int kafka_settings(struct client *c, const char *name, struct client_setting **list, size_t *n,
                   struct err *e);
/* Fills in what was set of each topic; nothing where the cluster does not tell. */
int kafka_fill_configs(struct kafka_client *k, struct topic_info *topics, size_t n, struct err *e);

int kafka_groups(struct client *c, struct group_info **list, size_t *n, struct err *e);
int kafka_group(struct client *c, const char *group, struct group_info *out, struct err *e);
int kafka_commit_offsets(struct client *c, const char *group, const struct group_offset *offsets, size_t n,
                         struct err *e);
int kafka_members(struct client *c, const char *const *groups, size_t n, struct client_members **list,
                  struct err *e);
int kafka_delete_group(struct client *c, const char *group, struct err *e);
/* The group's offset of one partition, -1: none. */
int kafka_stored_offset(struct kafka_client *k, const char *group, const char *topic, int32_t partition,
                        int64_t *offset, struct err *e);

struct producer *kafka_producer_open(struct client *c, const struct producer_options *o, struct err *e);
struct consumer *kafka_consumer_open(struct client *c, const struct consumer_options *o, struct err *e);
/* For good; kafka_client.spare_* are closed with it. */
void kafka_producer_free(struct producer *p);
void kafka_consumer_free(struct consumer *c);

#endif
