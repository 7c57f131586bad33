/*
 * checkpoint: the small files of the log directory, in Kafka's formats.
 */
#ifndef LEAT_BROKER_CHECKPOINT_H
#define LEAT_BROKER_CHECKPOINT_H

#include "broker/store.h"

#define CHECKPOINT_RECOVERY "recovery-point-offset-checkpoint"
#define CHECKPOINT_START "log-start-offset-checkpoint"
#define CHECKPOINT_WATERMARK "replication-offset-checkpoint"

/* Reads the checkpoints into the partitions (start-up). A broken file counts as missing, with a warning. */
int checkpoint_read(struct broker *b, struct err *e);
/*
 * Recovery points of all partitions, never beyond what is committed: bytes of a group that is still being committed
 * may be on disk, but must be cut after a crash.
 */
int checkpoint_recovery(struct broker *b, struct err *e);
int64_t checkpoint_point(struct partition *p); /* what it would write now; -1: nothing */
int checkpoint_starts(struct broker *b, struct err *e);
int checkpoint_watermarks(struct broker *b, struct err *e);

/* The clean-stop marker: whether it is there, and taking it away durably. */
int checkpoint_take_clean(struct broker *b, bool *clean, struct err *e);
int checkpoint_set_clean(struct broker *b, struct err *e);

/* meta.properties: made with new ids if missing. */
int checkpoint_identity(struct broker *b, struct err *e);

/* "<topic>-<partition>": false if it is none. `topic` has TOPIC_NAME_MAX + 1 bytes. */
bool partition_dir_parse(const char *name, char *topic, int32_t *partition);

#endif
