/*
 * kit/kept: the last known values of columns, by table, key and column, in files of a source's own (leat_host.keep_dir), for
 * changes that come without a value that did not change. It is a log of what was put and removed, with an index in memory.
 *
 * It is tied to the source's position: each poll ends with a mark that names it, and opening takes back whatever is behind the
 * last mark of the position that the store has. Without such a mark, or where anything is damaged, it begins anew, empty: a
 * value that is not there is only missed, one that is not right must never be given out. Nothing is synced: what a power
 * failure takes is noticed by the marks and checksums. Formats: docs/disk-format.md. One thread, the task's.
 *
 * Room is bounded by memory_bytes (the index, for some 55,000 values a MiB) and disk_bytes (the log); what is over it goes, the
 * oldest first. After an error of put, remove, note, mark or durable the files may not tell all: kept_abandon.
 */
#ifndef LEAT_KIT_KEPT_H
#define LEAT_KIT_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define KEPT_TAG_BYTES 16
#define KEPT_KEY_MAX 16384
#define KEPT_DISK_MIN (UINT64_C(16) << 20)
#define KEPT_DISK_MAX (UINT64_C(32) << 30)
#define KEPT_MEMORY_MIN (UINT64_C(1) << 20)

struct kept;

struct kept_options {
    const char *dir; /* exists; nothing else is in it */
    uint64_t disk_bytes, memory_bytes;
    uint8_t tag[KEPT_TAG_BYTES]; /* of all that the values depend on: with another one it begins anew */
};

/* A position, as the source has it; compared as a whole. */
struct kept_place {
    uint64_t words[4];
};

struct kept_key {
    uint32_t table;
    uint16_t column;
    const void *data; /* of the row; up to KEPT_KEY_MAX bytes */
    size_t n;
};

struct kept_value {
    uint64_t lsn; /* as given when it was put */
    uint64_t seq; /* order in which values were put */
    size_t n;
    uint64_t at; /* where it is: until the next put, remove or note */
    uint32_t crc;
};

struct kept_stats {
    uint64_t values, bytes; /* now, of the log as a whole */
    uint64_t dropped;       /* values that went as there was no more room */
    uint64_t damaged;       /* that could not be read back */
};

/*
 * Goes on with what is there as of `at`, or begins anew: then kept_why tells the reason, if there was something. Files are
 * made with the first value. ERR_IO and the like: nothing is opened.
 */
int kept_open(const struct kept_options *o, const struct kept_place *at, struct kept **out, struct err *e);
const char *kept_why(const struct kept *k); /* NULL: it went on, or nothing was there */
void kept_close(struct kept *k);            /* as a crash would; NULL: nothing */
/* Closes and removes all files. */
int kept_abandon(struct kept *k, struct err *e);

/* The largest value that can be put. */
size_t kept_value_max(const struct kept *k);
/* The next put's number. */
uint64_t kept_seq(const struct kept *k);
/* Takes the place of what is there. */
int kept_put(struct kept *k, const struct kept_key *key, uint64_t lsn, const void *value, size_t n,
             struct err *e);
/* Fine if nothing is there. */
int kept_remove(struct kept *k, const struct kept_key *key, struct err *e);
/* ERR_NOT_FOUND: nothing is there, or it is damaged, and then it is not there any more. Other codes are the disk's. */
int kept_find(struct kept *k, const struct kept_key *key, struct kept_value *out, struct err *e);
/* Appends the bytes of what was found to `out`; likewise. */
int kept_read(struct kept *k, const struct kept_key *key, const struct kept_value *v, struct buf *out,
              struct err *e);

/* Bytes by a table's number that stay until other ones are noted. ERR_TOO_LARGE: there is no room for so many. */
int kept_note(struct kept *k, uint32_t table, const void *data, size_t n, struct err *e);
/* NULL: none. Until the next note of the table. */
const void *kept_noted(const struct kept *k, uint32_t table, size_t *n);

/* The poll of this number (1, 2 ...) ends with the source at `at`. */
int kept_mark(struct kept *k, const struct kept_place *at, uint64_t poll, struct err *e);
/* So many polls are in the store: what earlier ones alone needed goes. */
int kept_durable(struct kept *k, uint64_t polls, struct err *e);

struct kept_stats kept_stats(const struct kept *k);

#endif
