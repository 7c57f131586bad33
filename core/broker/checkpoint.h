/*
 * checkpoint: the small files of a disk's log directory, in Kafka's formats. Each names that disk's partitions only.
 */
#ifndef LEAT_BROKER_CHECKPOINT_H
#define LEAT_BROKER_CHECKPOINT_H

#include "broker/store.h"

#define CHECKPOINT_RECOVERY "recovery-point-offset-checkpoint"
#define CHECKPOINT_START "log-start-offset-checkpoint"
#define CHECKPOINT_CLEANED "cleaner-offset-checkpoint"
#define CHECKPOINT_WATERMARK "replication-offset-checkpoint"

/* Reads the checkpoints into the partitions (start-up). A broken file counts as missing, with a warning. */
int checkpoint_read(struct disk *d, struct err *e);
/*
 * Recovery points of all partitions, never beyond what is committed: bytes of a group that is still being committed
 * may be on disk, but must be cut after a crash.
 */
int checkpoint_recovery(struct disk *d, struct err *e);
int checkpoint_all_recovery(struct broker *b, struct err *e); /* of every disk in service */
int64_t checkpoint_point(struct partition *p);                /* what it would write now; -1: nothing */
int checkpoint_starts(struct disk *d, struct err *e);
int checkpoint_watermarks(struct disk *d, struct err *e);
int checkpoint_cleaned(struct disk *d, struct err *e);

/* The clean-stop marker: whether it is there, and taking it away durably. */
int checkpoint_take_clean(struct disk *d, bool *clean, struct err *e);
int checkpoint_set_clean(struct disk *d, struct err *e);

/*
 * meta.properties: made with a new directory.id if missing. The main disk's cluster.id becomes the broker's; another disk
 * with another cluster.id is ERR_INVALID.
 */
int checkpoint_identity(struct disk *d, struct err *e);
/* The directory.id in a directory's meta.properties; ERR_NOT_FOUND: there is none. */
int checkpoint_directory_id(const char *dir, struct uuid *id, struct err *e);

/* "<topic>-<partition>": false if it is none. `topic` has TOPIC_NAME_MAX + 1 bytes. */
bool partition_dir_parse(const char *name, char *topic, int32_t *partition);

#endif
