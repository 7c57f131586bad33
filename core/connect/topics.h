/*
 * topics: makes the topics that pipelines write to. Any thread; waits for the disk.
 */
#ifndef LEAT_CONNECT_TOPICS_H
#define LEAT_CONNECT_TOPICS_H

#include "client/client.h"
#include "config/config.h"

/* The store's and the worker's own topics, which no source writes and no expression matches. */
bool topics_internal(const struct client *c, const char *name);

/*
 * Makes `name` unless it is there, with the pipeline's partitions and settings, or as topic.creation of its source says;
 * *partitions: how many it has.
 */
int topics_ensure(struct client *c, const struct pipeline_config *p, const char *name, int32_t *partitions,
                  struct err *e);

/*
 * A topic of the worker's own, compacted as Kafka Connect has it. One that an earlier release made, which kept everything,
 * is changed. Made if missing only with `make`; *is_there: there is one now.
 */
int topics_ensure_compacted(struct client *c, const char *name, bool make, bool *is_there, struct err *e);

/*
 * Where reading goes on that was at `offset` when it was stored, for `who`. One beyond the partition's end, which holds for no record that
 * is there, as of a topic of this name that was deleted since, gives -1: from the beginning. -1 stays.
 */
int64_t topics_place(struct client *c, const char *who, const char *topic, int32_t partition, int64_t offset);

/*
 * Everything a configuration needs: topics[0] of each pipeline with a source, with its settings brought up to
 * date, and the topic of the source positions. Another number of partitions than configured stays and is
 * warned about.
 */
int topics_prepare(struct client *c, const struct config *config, struct err *e);

#endif
