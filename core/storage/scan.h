/*
 * scan: walks the batches of a segment file by their headers. Header reads go through one window, so that small batches
 * cost few system calls, and large ones are skipped without reading them. One thread.
 */
#ifndef LEAT_STORAGE_SCAN_H
#define LEAT_STORAGE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "record/record.h"

struct scan {
    int fd;
    const char *path;
    int64_t position; /* of the next batch */
    int64_t end;      /* nothing is read at or beyond it */
    int64_t floor;    /* batches must have base offsets >= this one; moves up */
    uint8_t *window;
    size_t window_cap;
    int64_t window_at;
    size_t window_len;
    bool sparse; /* the last batch was large: read only a header next */
};

/* `window` is the caller's, at least BATCH_HEADER_SIZE bytes. */
void scan_init(struct scan *s, int fd, const char *path, int64_t position, int64_t end, int64_t floor,
               uint8_t *window, size_t window_cap);

/*
 * Header of the batch at s->position. ERR_END at the end, ERR_TRUNCATED where the file or the range ends inside the
 * batch, ERR_CORRUPT where no plausible batch stands; the text names file and byte.
 */
int scan_header(struct scan *s, struct batch_header *h, struct err *e);

/* The whole batch whose header was just read: in the window, or read into `big`. Its CRC is not checked. */
int scan_batch(struct scan *s, const struct batch_header *h, struct buf *big, const uint8_t **data,
               struct err *e);

/* Both, and the CRC checked: ERR_CORRUPT too where it is wrong. `big` has room for any batch. */
int scan_whole(struct scan *s, struct batch_header *h, struct buf *big, const uint8_t **data, struct err *e);

/* Goes to the next batch. */
void scan_skip(struct scan *s, const struct batch_header *h);

/*
 * After damage at s->position: goes to the next whole batch behind it, with offsets in [s->floor, ceiling), and gives its
 * header out. ERR_END: there is none. A value may hold what looks like a batch: one counts only if the file ends behind
 * it or what could be the next batch follows. The window must have SCAN_RESYNC_WINDOW bytes at least. resync.c
 */
#define SCAN_RESYNC_WINDOW 4096
int scan_resync(struct scan *s, int64_t ceiling, struct batch_header *h, struct buf *big, struct err *e);

#endif
