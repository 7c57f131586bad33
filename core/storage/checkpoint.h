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

/* leader-epoch-checkpoint */
struct epoch_entry {
    int32_t epoch;
    int64_t start;
};
int epoch_file_read(const char *path, struct epoch_entry **list, size_t *n, struct err *e); /* mem_free */
int epoch_file_write(const char *path, const struct epoch_entry *list, size_t n, struct err *e);

/* compacted-offset-checkpoint: one offset. A missing file is 0. */
int compacted_file_read(const char *path, int64_t *offset, struct err *e);
int compacted_file_write(const char *path, int64_t offset, struct err *e);

/* partition.metadata. Read: ERR_NOT_FOUND when it is missing or empty (its write was cut short), ERR_CORRUPT. */
int partition_metadata_read(const char *path, struct uuid *topic_id, struct err *e);
int partition_metadata_write(const char *path, const struct uuid *topic_id, struct err *e); /* not synced */

#endif
