/*
 * epochs: where each leader epoch of a partition began (KIP-101). Not thread-safe: the log's state lock guards it.
 */
#ifndef LEAT_STORAGE_EPOCHS_H
#define LEAT_STORAGE_EPOCHS_H

#include <stdbool.h>

#include "storage/checkpoint.h"

struct epochs {
    struct epoch_entry *list; /* ascending in both */
    size_t count, cap;
    bool dirty; /* differs from the file */
};

void epochs_free(struct epochs *c);
int epochs_reserve(struct epochs *c, size_t extra, struct err *e);
/* A batch of `epoch` stands at `offset`. Needs room for one entry; changes nothing where the epoch is known. */
void epochs_assign(struct epochs *c, int32_t epoch, int64_t offset);
void epochs_truncate_from_end(struct epochs *c, int64_t end);
void epochs_truncate_from_start(struct epochs *c, int64_t start);
int32_t epochs_latest(const struct epochs *c);             /* -1: none */
int32_t epochs_at(const struct epochs *c, int64_t offset); /* -1: not known */
void epochs_end_of(const struct epochs *c, int32_t epoch, int64_t log_end, int32_t *found, int64_t *end);

#endif
