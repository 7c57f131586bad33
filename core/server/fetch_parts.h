/*
 * fetch_parts: partitions as a fetch asks for them, in the order in which they are looked at, and found by topic and number. Those of a
 * session live as long as it does, those of another request in its arena. Not thread-safe.
 */
#ifndef LEAT_SERVER_FETCH_PARTS_H
#define LEAT_SERVER_FETCH_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"

struct partition;

/* Named by clients either by name or by id. */
struct fetch_topic {
    const char *name;         /* "": by id */
    struct uuid id;           /* zeros: by name */
    uint64_t hash;            /* fetch_hash_topic */
    size_t refs;              /* parts of a session that have it; of a request's not counted */
    struct fetch_topic *kept; /* of a request's, while a session takes it in: its own copy */
};

struct fetch_part {
    struct fetch_part *before, *next;
    struct fetch_topic *topic;
    uint64_t hash;       /* fetch_hash_part */
    struct partition *p; /* the broker's, once it was found: let go of by whoever frees this */
    int32_t partition;
    int32_t current_epoch, last_epoch; /* -1: not said */
    int32_t max_bytes;
    int64_t offset;
    int64_t told_watermark, told_start; /* what the client knows from a session's last answer; -1: nothing */
};

struct fetch_parts {
    struct fetch_part *first, *last;
    size_t n;
    struct fetch_part **slots; /* open addressing; NULL: they are few, and searched one by one */
    size_t size;               /* a power of two */
};

/* Clients choose names: with a secret nobody can choose such that collide. */
uint64_t fetch_hash_topic(const uint8_t secret[16], const char *name, const struct uuid *id);
uint64_t fetch_hash_part(const uint8_t secret[16], const struct fetch_topic *topic, int32_t partition);

/* Room for `n` in all, on the heap. ERR_NO_MEMORY: as before. */
int fetch_parts_reserve(struct fetch_parts *s, size_t n, struct err *e);
void fetch_parts_drop_table(struct fetch_parts *s); /* the parts are the owner's */
/* The one of the same topic and number as `key`, of which topic, hash and number count. NULL: none. */
struct fetch_part *fetch_parts_find(const struct fetch_parts *s, const struct fetch_part *key);
void fetch_parts_add(struct fetch_parts *s,
                     struct fetch_part *p); /* at the end; it is not there, and there is room */
void fetch_parts_remove(struct fetch_parts *s, struct fetch_part *p);
void fetch_parts_to_end(struct fetch_parts *s, struct fetch_part *p);

#endif
