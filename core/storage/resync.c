/*
 * resync: finds the next whole batch behind damaged bytes. See scan_resync in scan.h. One thread.
 */
#include "storage/scan.h"

#include <assert.h>
#include <string.h>

#include "base/io.h"
#include "storage/paths.h"

#define AT_MAGIC 16
#define MAGIC_V2 2

/* Where a search is; of the scan that it belongs to. */
struct search {
    const struct scan *s;
    int64_t ceiling;
    struct buf *big;
};

/* Could a batch with this header stand at `at`? `whole`: it must end within the range. */
static bool plausible(const struct search *x, int64_t floor, const uint8_t *p, int64_t at, bool whole,
                      struct batch_header *h)
{
    struct err e;
    return p[0] == 0 && p[AT_MAGIC] == MAGIC_V2 &&
           batch_header_decode(p, BATCH_HEADER_SIZE, h, &e) == ERR_OK && h->base_offset >= floor &&
           h->base_offset <= STORAGE_OFFSET_MAX && batch_last_offset(h) < x->ceiling &&
           (!whole || (int64_t)batch_size(h) <= x->s->end - at);
}

static int read_header(const struct search *x, int64_t at, uint8_t p[BATCH_HEADER_SIZE], bool *whole,
                       struct err *e)
{
    size_t got = 0;
    int64_t left = x->s->end - at;
    int rc = left < BATCH_HEADER_SIZE
                 ? ERR_OK
                 : io_pread_some(x->s->fd, p, BATCH_HEADER_SIZE, at, &got, x->s->path, e);
    *whole = rc == ERR_OK && got == BATCH_HEADER_SIZE;
    return rc;
}

/* Is what stands behind the batch the end (perhaps torn), or a batch that goes on? */
static int goes_on(const struct search *x, const struct batch_header *h, int64_t at, bool *yes, struct err *e)
{
    uint8_t p[BATCH_HEADER_SIZE];
    struct batch_header next;
    int64_t behind = at + (int64_t)batch_size(h);
    bool whole;
    int rc = read_header(x, behind, p, &whole, e);
    *yes = rc == ERR_OK && (!whole || plausible(x, batch_last_offset(h) + 1, p, behind, false, &next));
    return rc;
}

static int crc_right(const struct search *x, const struct batch_header *h, int64_t at, bool *right,
                     struct err *e)
{
    struct batch_header again;
    struct err why;
    buf_reset(x->big);
    int rc = buf_reserve(x->big, batch_size(h), e);
    if (rc == ERR_OK)
        rc = io_pread(x->s->fd, x->big->data, batch_size(h), at, x->s->path, e);
    *right = rc == ERR_OK && batch_check(x->big->data, batch_size(h), &again, &why) == ERR_OK;
    return rc;
}

/* Does a whole batch whose first bytes are `p` stand at `at`? */
static int try_at(const struct search *x, const uint8_t *p, int64_t at, struct batch_header *h, bool *found,
                  struct err *e)
{
    *found = false;
    if (!plausible(x, x->s->floor, p, at, true, h))
        return ERR_OK;
    int rc = goes_on(x, h, at, found, e);
    return rc == ERR_OK && *found ? crc_right(x, h, at, found, e) : rc;
}

/* Where the damaged batch's length is right, the next one stands behind it, whatever its values look like. */
static int try_next(const struct search *x, int64_t *at, struct batch_header *h, bool *found, struct err *e)
{
    uint8_t p[BATCH_HEADER_SIZE];
    struct batch_header damaged;
    bool whole;
    *found = false;
    int rc = read_header(x, x->s->position, p, &whole, e);
    if (rc || !whole || !plausible(x, x->s->floor, p, x->s->position, true, &damaged))
        return rc;
    *at = x->s->position + (int64_t)batch_size(&damaged);
    rc = read_header(x, *at, p, &whole, e);
    return rc == ERR_OK && whole ? try_at(x, p, *at, h, found, e) : rc;
}

/* Looks at every place in `n` bytes that stand at `at`; *place is the one found. */
static int search_bytes(const struct search *x, const uint8_t *bytes, size_t n, int64_t at, int64_t *place,
                        struct batch_header *h, bool *found, struct err *e)
{
    const uint8_t *last = bytes + n - BATCH_HEADER_SIZE + AT_MAGIC; /* of the magic bytes looked at */
    const uint8_t *p = bytes + AT_MAGIC;
    int rc = ERR_OK;
    *found = false;
    while (rc == ERR_OK && !*found && p <= last && (p = memchr(p, MAGIC_V2, (size_t)(last - p) + 1))) {
        *place = at + (p - AT_MAGIC - bytes);
        rc = try_at(x, p - AT_MAGIC, *place, h, found, e);
        p++;
    }
    return rc;
}

int scan_resync(struct scan *s, int64_t ceiling, struct batch_header *h, struct buf *big, struct err *e)
{
    assert(s->window_cap >= SCAN_RESYNC_WINDOW);
    struct search x = {.s = s, .ceiling = ceiling, .big = big};
    int64_t place = s->position;
    bool found;
    int rc = try_next(&x, &place, h, &found, e);
    s->window_len = 0; /* the window is used for the search */
    for (int64_t at = s->position + 1; rc == ERR_OK && !found && s->end - at >= BATCH_HEADER_SIZE;) {
        size_t want = s->end - at < (int64_t)s->window_cap ? (size_t)(s->end - at) : s->window_cap, got;
        rc = io_pread_some(s->fd, s->window, want, at, &got, s->path, e);
        if (rc || got < BATCH_HEADER_SIZE)
            break;
        rc = search_bytes(&x, s->window, got, at, &place, h, &found, e);
        at += (int64_t)got - BATCH_HEADER_SIZE + 1;
    }
    if (rc)
        return rc;
    s->position = found ? place : s->end;
    return found ? ERR_OK : err_set(e, ERR_END, "%s: no whole batch follows", s->path);
}
