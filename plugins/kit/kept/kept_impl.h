/*
 * kept_impl: what the files of kept share. See kept.h.
 */
#ifndef LEAT_KIT_KEPT_IMPL_H
#define LEAT_KIT_KEPT_IMPL_H

#include "base/hash.h"
#include "kit/kept/kept.h"

/* ---- records (kept_record.c) ------------------------------------------------------------------------------------------ */

#define KEPT_ID_BYTES 16
#define KEPT_RECORD_HEAD 48
#define KEPT_SEGMENT_HEAD 44
#define KEPT_MARKS_HEAD 64
#define KEPT_MARK_BYTES 80
#define KEPT_MARKS                                                                                           \
    1024 /* polls that may be under way or gathered; with more the log is not found again after a crash */
#define KEPT_SEGMENTS                                                                                        \
    16 /* that disk_bytes is divided into; of these so many are kept for what waits to be removed: */
#define KEPT_SPARE 2
#define KEPT_NAME_MAX 32

enum kept_type { KEPT_PUT = 1, KEPT_REMOVE = 2, KEPT_NOTE = 3 };

struct kept_record {
    enum kept_type type;
    uint16_t column;
    uint32_t table, key_len, value_len, value_crc;
    uint64_t lsn, seq, hash;
    const uint8_t *key; /* behind the head */
};

/* Where a record stands decides its checksum, so that what was left of others is not taken for it. */
uint32_t kept_seed(const uint8_t id[KEPT_ID_BYTES], uint32_t segment, uint32_t offset);
void kept_record_encode(const struct kept_record *r, uint32_t seed, uint8_t head[KEPT_RECORD_HEAD]);
/*
 * The record at `p`, of which `n` bytes are there. *need: bytes of its head and key, to be given if n is less (ERR_TRUNCATED).
 * ERR_CORRUPT: there is none.
 */
int kept_record_decode(const uint8_t *p, size_t n, uint32_t seed, struct kept_record *out, size_t *need,
                       struct err *e);
static inline uint64_t kept_record_size(const struct kept_record *r)
{
    return KEPT_RECORD_HEAD + (uint64_t)r->key_len + r->value_len;
}

/* Of a segment. `previous`: size of the one before it, 0: it is the first of all. */
void kept_segment_encode(const uint8_t id[KEPT_ID_BYTES], uint32_t no, uint32_t previous,
                         uint8_t head[KEPT_SEGMENT_HEAD]);
bool kept_segment_decode(const uint8_t head[KEPT_SEGMENT_HEAD], const uint8_t id[KEPT_ID_BYTES], uint32_t no,
                         uint32_t *previous);

/* ---- the index (kept_index.c): hash -> place --------------------------------------------------------------------------- */

struct kept_slot {
    uint64_t hash; /* 0: empty */
    uint64_t at;   /* segment << 32 | offset */
};

struct kept_index {
    struct kept_slot *slots;
    size_t room, count, room_max; /* room: a power of two, or 0 */
};

void kept_index_init(struct kept_index *x, uint64_t memory_bytes);
void kept_index_free(struct kept_index *x);
struct kept_slot *kept_index_find(const struct kept_index *x, uint64_t hash); /* NULL: not there */
bool kept_index_full(const struct kept_index *x);
/* A hash that is not there yet; the index is not full. */
int kept_index_add(struct kept_index *x, uint64_t hash, uint64_t at, struct err *e);
void kept_index_remove(struct kept_index *x, struct kept_slot *s);

/* ---- the log (kept_log.c, kept_open.c, kept_marks.c) -------------------------------------------------------------------- */

struct kept_segment {
    uint32_t no, size; /* size: with what is still in the buffer */
    int fd;
    uint64_t puts, live;
    uint64_t retired_in; /* poll with which it went out of use; UINT64_MAX: the current one */
};

struct kept_noted_bytes {
    size_t n;
    uint8_t data[];
};

struct kept {
    struct kept_options options;
    char *dir;
    uint8_t id[KEPT_ID_BYTES]; /* of this log; also the key of hashes */
    uint32_t segment_bytes;
    bool made; /* there are files */
    int marks_fd;
    uint64_t mark_number; /* of the next mark */
    struct kept_place marked;
    uint64_t marked_seq;
    bool touched;                  /* since the last mark */
    struct kept_segment *segments; /* consecutive, the oldest first; the first `retired` wait to be removed */
    size_t count, room, retired;
    struct buf out; /* end of the last segment, not written yet */
    struct kept_index index;
    struct map *notes; /* struct kept_noted_bytes by table */
    size_t notes_bytes;
    struct buf copy, window; /* window: what a scan has read ahead */
    uint64_t seq;
    uint64_t dropped, damaged;
    char why[256];
};

char *kept_path(const struct kept *k, uint32_t no); /* of mem_*; NULL: out of memory */
static inline struct kept_segment *kept_current(struct kept *k)
{
    return &k->segments[k->count - 1];
}
static inline struct kept_segment *kept_segment_of(struct kept *k, uint64_t at)
{
    return &k->segments[(uint32_t)(at >> 32) - k->segments[0].no];
}

/* Makes marks and the first segment. */
int kept_make(struct kept *k, struct err *e);
int kept_add_segment(struct kept *k, uint32_t no, int fd, uint32_t size, struct err *e);
/* *at: where it went. Makes room by new segments, and old ones go. */
int kept_append(struct kept *k, struct kept_record *r, const void *key, const void *value, uint64_t *at,
                struct err *e);
int kept_flush(struct kept *k, struct err *e);
/* The oldest segment that is in use goes, with its values. */
int kept_evict(struct kept *k, struct err *e);
/* Bytes at a place, from file or buffer. */
int kept_bytes(struct kept *k, uint64_t at, void *data, size_t n, struct err *e);
/* Each record of the segment in its order. ERR_CORRUPT where something else stands. */
int kept_scan(struct kept *k, const struct kept_segment *s,
              int (*each)(void *arg, const struct kept_record *r, uint64_t at, struct err *e), void *arg,
              struct err *e);
int kept_set_note(struct kept *k, uint32_t table, const void *data, size_t n, struct err *e);
/* Forgets and removes all. */
int kept_clear(struct kept *k, struct err *e);
void kept_drop_memory(struct kept *k); /* of all that is open */

struct kept_mark {
    uint64_t number;
    uint32_t first, last, size; /* segments in use; size of the last one */
    uint64_t seq;
    struct kept_place place;
};

int kept_marks_make(struct kept *k, struct err *e);
int kept_marks_write(struct kept *k, const struct kept_mark *m, struct err *e);
/*
 * Opens the file, takes k->id from it and finds the newest mark of `at`; k->mark_number becomes the next one's. ERR_NOT_FOUND: there
 * is no file; ERR_CORRUPT, ERR_INVALID: why it does not count.
 */
int kept_marks_open(struct kept *k, const struct kept_place *at, struct kept_mark *out, struct err *e);

#endif
