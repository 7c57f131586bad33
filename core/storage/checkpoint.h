/*
 * checkpoint: Kafka's small text files: `0`, a count, one line an entry. Used for recovery-point-, log-start- and
 * replication-offset-checkpoint of a log directory and for leader-epoch-checkpoint of a partition. Replaced durably: a
 * reader finds the old file or the new one. Any thread; one writer a file.
 */
#ifndef LEAT_STORAGE_CHECKPOINT_H
#define LEAT_STORAGE_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"

struct offset_entry {
    char *topic; /* of the list: freed by offset_file_free */
    int32_t partition;
    int64_t offset;
};

/* A missing file is an empty list; a malformed one ERR_CORRUPT naming file and line. */
int offset_file_read(const char *path, struct offset_entry **list, size_t *n, struct err *e);
void offset_file_free(struct offset_entry *list, size_t n);
int offset_file_write(const char *path, const struct offset_entry *list, size_t n, struct err *e);

#define EPOCH_FILE "leader-epoch-checkpoint"
struct epoch_entry {
    int32_t epoch;
    int64_t start;
};
int epoch_file_read(const char *path, struct epoch_entry **list, size_t *n, struct err *e); /* mem_free */
int epoch_file_write(const char *path, const struct epoch_entry *list, size_t n, struct err *e);
/*
 * The file of one epoch that began at offset 0, not synced. Torn by a crash it is malformed, never another epoch or offset.
 * ERR_EXISTS if there is one.
 */
int epoch_file_make(const char *path, int32_t epoch, struct err *e);

/* One offset. A missing file is 0. */
#define COMPACTED_FILE "compacted-offset-checkpoint"
int compacted_file_read(const char *path, int64_t *offset, struct err *e);
int compacted_file_write(const char *path, int64_t offset, struct err *e);

/* Empty; there while a log's end is being taken back (log_cut.c). Kafka, too, removes what ends so. */
#define CUT_FILE "cut.deleted"

/* partition.metadata. Read: ERR_NOT_FOUND when it is missing or empty (its write was cut short), ERR_CORRUPT. */
int partition_metadata_read(const char *path, struct uuid *topic_id, struct err *e);
int partition_metadata_write(const char *path, const struct uuid *topic_id, struct err *e); /* not synced */

#endif
