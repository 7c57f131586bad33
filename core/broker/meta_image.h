/*
 * meta_image: the topics that a metadata log tells of, read from its files alone: for tools that look at a directory which
 * nobody has opened, ours or Kafka's. One thread.
 */
#ifndef LEAT_BROKER_META_IMAGE_H
#define LEAT_BROKER_META_IMAGE_H

#include "base/hash.h"
#include "broker/meta.h"

struct meta_topic {
    char *name;
    struct uuid id;
    int32_t partitions;
    struct topic_config_entry *config; /* what was set */
    size_t config_count;
};

struct meta_group {
    char *name;
    struct topic_config_entry *config; /* what was set; NULL values: removed */
    size_t config_count;
};

struct meta_image {
    struct map *by_id;   /* 16 bytes -> struct meta_topic, owned */
    struct map *by_name; /* name -> the same */
    struct map *removed; /* ids of topics that were removed; the values mean nothing */
    struct map *groups;  /* name -> struct meta_group, owned: of which settings were ever told */
    struct topic_config_entry
        *brokers; /* what was set of brokers, of one or by default; NULL values: removed */
    size_t broker_count;
    int64_t next_producer_id;
    uint64_t records;
};

int meta_image_init(struct meta_image *m, struct err *e);
void meta_image_free(struct meta_image *m);

/* One record of the log. */
int meta_image_apply(struct meta_image *m, const struct meta_record *r, struct err *e);

/* A place in the log that could not be read, told by `why`. Non-zero ends the reading with that code. */
typedef int meta_bad_fn(void *arg, const char *path, int64_t byte, int64_t offset, const struct err *why,
                        struct err *e);

/* Every record of one file of batches: a segment, or a snapshot of KRaft. Records below `from` are passed over. */
int meta_image_file(struct meta_image *m, const char *path, int64_t from, meta_bad_fn *bad, void *arg,
                    struct err *e);
/* Every segment of a metadata log's directory; batches that are damaged are told and passed over. Missing: no topics. */
int meta_image_dir(struct meta_image *m, const char *dir, int64_t from, meta_bad_fn *bad, void *arg,
                   struct err *e);

struct meta_topic *meta_image_topic(const struct meta_image *m, const char *name); /* NULL: unknown */

#endif
