/*
 * index: the offset and the time index of one segment (Kafka's .index and .timeindex). Entries ascend in key and value.
 * The newest entries of the active segment wait in memory (`tail`) and are written a page at a time, before a sync of
 * the segment, at a roll and at a clean close; what is lost with the process is made again by recovery.
 *
 * Not thread-safe: the segment's lock guards it. index_find_disk touches only the file and may run without.
 */
#ifndef LEAT_STORAGE_INDEX_H
#define LEAT_STORAGE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum index_kind {
    INDEX_OFFSET, /* key: last offset of a batch, value: position of the batch */
    INDEX_TIME,   /* key: largest timestamp so far, value: last offset of its batch */
};

struct index_entry {
    int64_t key;
    int64_t value;
};

struct index {
    enum index_kind kind;
    int64_t base;            /* of the segment; offsets are stored relative to it */
    int64_t on_disk;         /* entries in the file */
    struct index_entry last; /* where there is one */
    struct index_entry *tail;
    uint32_t tail_count, tail_cap;
};

void index_init(struct index *ix, enum index_kind kind, int64_t base);
void index_free(struct index *ix);
size_t index_entry_size(enum index_kind kind);
/* One entry from its bytes as they stand in the file. */
struct index_entry index_decode(enum index_kind kind, int64_t base, const uint8_t *p);
static inline int64_t index_count(const struct index *ix)
{
    return ix->on_disk + ix->tail_count;
}

/* Takes the file as it is: counts its entries and reads the last one. A size that is no multiple is ERR_CORRUPT. */
int index_load(struct index *ix, int fd, const char *path, struct err *e);

/*
 * Reads the whole file and keeps what ascends and is within the bounds: offsets >= base and < `offset_end`, and, of the
 * offset index, positions < `position_end`. The rest is cut from the file.
 */
int index_check(struct index *ix, int fd, int64_t offset_end, int64_t position_end, const char *path,
                struct err *e);

/* Is the tail so long that it should be written before `n` more entries come? */
bool index_must_flush(const struct index *ix, uint32_t n);
/* Room for `n` more entries in memory. Nothing changes on error. */
int index_reserve(struct index *ix, uint32_t n, struct err *e);
/* Needs room reserved. Entries whose key does not ascend are left out, as Kafka does with the time index. */
void index_push(struct index *ix, int64_t key, int64_t value);
int index_flush(struct index *ix, int fd, const char *path, struct err *e);
void index_release_tail(struct index *ix); /* gives the memory of an empty tail back */

/* Largest entry with key <= `key` among those in memory. False: not there, look on disk. */
bool index_find_tail(const struct index *ix, int64_t key, struct index_entry *out);
/* The same among the first `count` entries of the file. `*found` is false if all are larger. */
int index_find_disk(enum index_kind kind, int64_t base, int64_t count, int fd, int64_t key,
                    struct index_entry *out, bool *found, const char *path, struct err *e);

/* Removes entries whose offset is at or beyond `offset`. */
int index_truncate(struct index *ix, int fd, int64_t offset, const char *path, struct err *e);

bool index_full(const struct index *ix, int64_t max_bytes, int64_t extra);

#endif
