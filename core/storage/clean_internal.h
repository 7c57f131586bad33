/*
 * clean_internal: what the files of a cleaning pass share. See clean.h.
 */
#ifndef LEAT_STORAGE_CLEAN_INTERNAL_H
#define LEAT_STORAGE_CLEAN_INTERNAL_H

#include "storage/clean.h"
#include "storage/clean_map.h"
#include "storage/clean_txns.h"
#include "storage/log_internal.h"

struct cleaner {
    struct cleaner_options o;
    struct clean_map *map;
    struct batch_rewriter *rewriter; /* NULL between passes, as the rest */
    uint8_t *window;                 /* of reading */
    struct buf big;                  /* batches larger than the window */
    struct buf scratch;              /* inflated records */
    struct buf keep;                 /* a bit a record */
    struct buf out;                  /* not yet written */
    size_t owed;                     /* bytes that the pace was not told of yet */
};

/* A sealed segment as it was found, referenced. */
struct clean_source {
    struct segment *segment;
    int64_t size;
    int64_t next_base;
};

struct clean_sources {
    struct clean_source *list;
    size_t n;
};

/* All sealed segments, oldest first. */
int clean_take_sources(struct log *log, struct clean_sources *out, struct err *e);
void clean_release_sources(struct clean_sources *s);

struct clean_pass {
    struct log *log;
    struct cleaner *c;
    const struct clean_args *args;
    struct clean_result *out;
    struct log_config config;
    struct clean_sources sources; /* below first_uncleanable */
    struct clean_txns *txns;
    struct producer_info *producers; /* by id */
    size_t producer_count;
    int64_t latest; /* the map knows every key up to this offset */
};

/* So many bytes were read or written. */
int clean_pace(struct cleaner *c, size_t bytes, struct err *e);

/* The batches of one source, whole and with their CRC checked. */
struct clean_walk {
    struct clean_pass *pass;
    struct scan scan;
    char path[STORAGE_PATH_MAX];
};
int clean_walk_open(struct clean_pass *p, const struct clean_source *src, int64_t position,
                    struct clean_walk *w, struct err *e);
/* `*data` is good until the next call. ERR_END after the last; what is no whole batch is ERR_CORRUPT. */
int clean_walk_next(struct clean_walk *w, struct batch_header *h, const uint8_t **data, struct err *e);

/* Adds the aborted transactions that overlap [from, to) to those that the pass expects. */
int clean_expect(struct clean_pass *p, int64_t from, int64_t to, struct err *e);

/* clean_build.c: fills the map from first_dirty on, as far as it goes; sets p->latest. */
int clean_build_map(struct clean_pass *p, struct err *e);

/*
 * clean_copy.c: copies sources [first, first + n) into a new segment of the first one's base, in stage CLEANED, whose files
 * are synced. *out is NULL if it would be the same as the one source.
 */
int clean_copy(struct clean_pass *p, size_t first, size_t n, struct segment **out, struct err *e);
/*
 * Removes the files of a segment that was never swapped in, and frees it. What cannot be removed is told of, and ends cleaning:
 * beside a .cleaned the next start would drop every .swap behind it, though what that was made from is gone.
 */
int clean_discard(struct log *log, struct segment *s, struct err *e);

/*
 * clean_swap.c: puts the new segment in the place of sources [first, first + n). Takes the reference over. ERR_BUSY: they are
 * not there any more.
 */
int clean_swap(struct clean_pass *p, size_t first, size_t n, struct segment *fresh, struct err *e);
/*
 * What reading those sources came to. Retention may take segments away under a pass, and what their transaction indexes say is
 * gone with them: then what looks like damage is none, and it is ERR_BUSY.
 */
int clean_unless_gone(const struct clean_pass *p, size_t first, size_t n, int rc, struct err *e);

#endif
