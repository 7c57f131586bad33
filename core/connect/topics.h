/*
 * topics: makes the topics that pipelines write to. Any thread; waits for the disk.
 */
#ifndef LEAT_CONNECT_TOPICS_H
#define LEAT_CONNECT_TOPICS_H

#include "client/client.h"
#include "config/config.h"

/* Makes `name` with the pipeline's partitions and settings unless it is there; *partitions: how many it has.
 */
int topics_ensure(struct client *c, const struct pipeline_config *p, const char *name, int32_t *partitions,
                  struct err *e);

/*
 * A topic of the worker's own, compacted as Kafka Connect has it. One that an earlier release made, which kept everything,
 * is changed. Made if missing only with `make`; *is_there: there is one now.
 */
int topics_ensure_compacted(struct client *c, const char *name, bool make, bool *is_there, struct err *e);

/*
 * Everything a configuration needs: topics[0] of each pipeline with a source, with its settings brought up to
 * date, and the topic of the source positions. Another number of partitions than configured stays and is
 * warned about.
 */
int topics_prepare(struct client *c, const struct config *config, struct err *e);

#endif
