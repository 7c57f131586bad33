/*
 * internal: what the implementations of core/client share: the tables of functions that client.c calls through. Each
 * implementation's own struct begins with one of these. Seen only inside core/client.
 */
#ifndef LEAT_CLIENT_INTERNAL_H
#define LEAT_CLIENT_INTERNAL_H

#include "client/client.h"

struct client_ops {
    void (*close)(struct client *c);
    int (*create_topic)(struct client *c, const char *name, int32_t partitions,
                        const struct topic_config_entry *config, size_t config_count, struct err *e);
    int (*delete_topic)(struct client *c, const char *name, struct err *e);
    int (*add_partitions)(struct client *c, const char *name, int32_t total, struct err *e);
    int (*check_config)(struct client *c, const char *name, const char *value, struct err *e);
    int (*alter_topic)(struct client *c, const char *name, const struct topic_config_entry *config,
                       size_t config_count, struct err *e);
    int (*topic)(struct client *c, const char *name, struct topic_info *out, struct err *e);
    int (*topic_brief)(struct client *c, const char *name, struct topic_brief *out, struct err *e);
    int (*topics)(struct client *c, struct topic_info **list, size_t *n, struct err *e);
    int (*settings)(struct client *c, const char *name, struct client_setting **list, size_t *n,
                    struct err *e);
    int (*segments)(struct client *c, const char *topic, int32_t partition, struct segment_info **list,
                    size_t *n, struct err *e);
    int (*delete_records)(struct client *c, struct record_deletion *deletions, size_t n, struct err *e);
    int (*list_offset)(struct client *c, const char *topic, int32_t partition, int64_t timestamp,
                       enum isolation isolation, int64_t *offset, int64_t *found_ts, struct err *e);
    int (*groups)(struct client *c, struct group_info **list, size_t *n, struct err *e);
    int (*group)(struct client *c, const char *group, struct group_info *out, struct err *e);
    int (*commit_offsets)(struct client *c, const char *group, const struct group_offset *offsets, size_t n,
                          struct err *e);
    int (*delete_group)(struct client *c, const char *group, struct err *e);
    int (*members)(struct client *c, const char *const *groups, size_t n, struct client_members **list,
                   struct err *e); /* NULL: not known here */
    int (*group_hold)(struct client *c, const char *group, struct err *e);
    void (*group_release)(struct client *c, const char *group);
    struct producer *(*producer_open)(struct client *c, const struct producer_options *o, struct err *e);
    struct consumer *(*consumer_open)(struct client *c, const struct consumer_options *o, struct err *e);
};

struct client {
    const struct client_ops *ops;
    const char *data_dir;
    const char *positions_topic, *targets_topic;
    /* Of partition_info.disk: the directory's name. NULL: nobody tells. */
    const char *(*disk_dir)(const struct client *c, int32_t disk);
};

struct producer_ops {
    void (*close)(struct producer *p);
    int (*add)(struct producer *p, const char *topic, int32_t partition, int64_t timestamp, const void *key,
               size_t key_len, const void *value, size_t value_len, const struct record_header *headers,
               int32_t header_count, struct err *e);
    int (*target)(struct producer *p, const char *topic, int32_t partition, struct producer_target **t,
                  struct err *e);
    int (*add_to)(struct producer *p, struct producer_target *t, int64_t timestamp, const void *key,
                  size_t key_len, const void *value, size_t value_len, const struct record_header *headers,
                  int32_t header_count, struct err *e);
    int (*partitions)(struct producer *p, const char *topic, int32_t *count, struct err *e);
    size_t (*pending_bytes)(const struct producer *p);
    size_t (*pending_records)(const struct producer *p);
    int (*flush)(struct producer *p, struct err *e);
    int (*commit_start)(struct producer *p, struct err *e);
    int (*commit_wait)(struct producer *p, struct err *e);
    size_t (*in_flight)(const struct producer *p);
    int (*abort)(struct producer *p, struct err *e);
};

struct producer {
    const struct producer_ops *ops;
    producer_delivered *delivered; /* NULL: nobody is told */
    void *delivered_arg;
};

struct consumer_ops {
    void (*close)(struct consumer *c);
    int (*assign)(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct err *e);
    int (*seek)(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct err *e);
    int64_t (*position)(struct consumer *c, const char *topic, int32_t partition);
    int (*poll)(struct consumer *c, int64_t ms, struct consumed *out, struct err *e);
    void (*wake)(struct consumer *c);
    bool (*at_end)(struct consumer *c);
    int (*trouble)(const struct consumer *c, struct err *e); /* NULL: none is left out */
    int (*commit)(struct consumer *c, const struct group_offset *offsets, size_t n, struct err *e);
};

struct consumer {
    const struct consumer_ops *ops;
};

struct producer *embedded_producer_open(struct broker *b, const struct producer_options *o, struct err *e);
struct consumer *embedded_consumer_open(struct broker *b, const struct consumer_options *o, struct err *e);

#endif
