/*
 * pg_spool: a file is a row of frames: length of the message, subtransaction, LSN, message. Written through a buffer
 * that is written out when it is full, read back through one as large, or as the largest message.
 */
#include "pg_spool.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"

#define FRAME_BYTES 16
#define BUFFER_BYTES (256 << 10)
#define MESSAGE_MAX (UINT32_C(1) << 30) /* PostgreSQL's own limit of an allocation */

struct pg_spools {
    const char *dir;
    struct map *by_xid;
    uint64_t bytes;
};

struct pg_spool {
    struct pg_spools *set;
    uint32_t xid;
    int fd;
    uint64_t size; /* what was written out */
    struct buf buf;
    uint32_t *aborted; /* subtransactions; sorted when reading begins */
    size_t aborted_count, aborted_room;
    bool reading;
    uint64_t file_at; /* reading: what follows the buffer's content */
    size_t at;        /* reading: within the buffer */
};

/* ---- the set ---------------------------------------------------------------------------------------------------- */

struct pg_spools *pg_spools_new(const char *dir)
{
    struct pg_spools *s = mem_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->dir = dir;
    s->by_xid = map_new();
    if (!s->by_xid) {
        mem_free(s);
        return NULL;
    }
    return s;
}

static void free_value(void *spool)
{
    pg_spool_free(spool);
}

void pg_spools_free(struct pg_spools *s)
{
    if (!s)
        return;
    map_free(s->by_xid, free_value);
    mem_free(s);
}

size_t pg_spools_count(const struct pg_spools *s)
{
    return map_count(s->by_xid);
}

uint64_t pg_spools_bytes(const struct pg_spools *s)
{
    return s->bytes;
}

/* Has its name only for as long as it takes to remove it. */
static int open_file(const char *dir, uint32_t xid, int *fd, struct err *e)
{
    char *path = mem_printf("%s/transaction-%" PRIu32, dir, xid);
    if (!path)
        return err_nomem(e);
    int rc = io_open(fd, path, O_RDWR | O_CREAT | O_EXCL, 0600, e);
    if (rc == ERR_OK)
        rc = io_unlink(path, e); /* if that fails the caller closes it */
    mem_free(path);
    return rc;
}

static int begin(struct pg_spools *set, uint32_t xid, struct pg_spool **out, struct err *e)
{
    struct pg_spool *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_nomem(e);
    s->set = set;
    s->xid = xid;
    s->fd = -1;
    buf_init(&s->buf, BUFFER_BYTES);
    int rc = open_file(set->dir, xid, &s->fd, e);
    if (rc == ERR_OK)
        rc = map_put(set->by_xid, &xid, sizeof xid, s, e);
    if (rc == ERR_OK)
        *out = s;
    else
        pg_spool_free(s);
    return rc;
}

int pg_spools_get(struct pg_spools *s, uint32_t xid, bool first, struct pg_spool **out, struct err *e)
{
    *out = map_get(s->by_xid, &xid, sizeof xid);
    if (*out && !first)
        return ERR_OK;
    if (*out || !first)
        return err_set(e, ERR_CORRUPT, "the streamed transaction %" PRIu32 " %s", xid,
                       *out ? "begins twice" : "goes on without having begun");
    return begin(s, xid, out, e);
}

int pg_spools_take(struct pg_spools *s, uint32_t xid, struct pg_spool **out, struct err *e)
{
    *out = map_remove(s->by_xid, &xid, sizeof xid);
    return *out ? ERR_OK
                : err_set(e, ERR_CORRUPT, "the streamed transaction %" PRIu32 " ends without having begun",
                          xid);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static int write_bytes(struct pg_spool *s, const void *data, size_t n, struct err *e)
{
    if (io_pwrite(s->fd, data, n, (int64_t)s->size, s->set->dir, e) != ERR_OK)
        return err_wrap(e, "cannot spool the transaction %" PRIu32, s->xid);
    s->size += n;
    s->set->bytes += n;
    return ERR_OK;
}

static int write_out(struct pg_spool *s, struct err *e)
{
    int rc = s->buf.len ? write_bytes(s, s->buf.data, s->buf.len, e) : ERR_OK;
    buf_reset(&s->buf);
    return rc;
}

int pg_spool_add(struct pg_spool *s, uint32_t xid, uint64_t lsn, const void *message, size_t n, struct err *e)
{
    uint8_t frame[FRAME_BYTES];
    if (n > MESSAGE_MAX)
        return err_set(e, ERR_TOO_LARGE, "a message of %zu bytes of the transaction %" PRIu32, n, s->xid);
    put_be32(frame, (uint32_t)n);
    put_be32(frame + 4, xid);
    put_be64(frame + 8, lsn);
    if (s->buf.len + FRAME_BYTES + n > BUFFER_BYTES && write_out(s, e) != ERR_OK)
        return e->code;
    if (FRAME_BYTES + n > BUFFER_BYTES)
        return write_bytes(s, frame, sizeof frame, e) == ERR_OK ? write_bytes(s, message, n, e) : e->code;
    int rc = buf_append(&s->buf, frame, sizeof frame, e);
    return rc == ERR_OK ? buf_append(&s->buf, message, n, e) : rc;
}

int pg_spool_abort(struct pg_spool *s, uint32_t subxid, struct err *e)
{
    if (s->aborted_count == s->aborted_room) {
        size_t room = s->aborted_room ? s->aborted_room * 2 : 16;
        uint32_t *grown = mem_realloc_array(s->aborted, room, sizeof *grown);
        if (!grown)
            return err_nomem(e);
        s->aborted = grown;
        s->aborted_room = room;
    }
    s->aborted[s->aborted_count++] = subxid;
    return ERR_OK;
}

int pg_spool_pause(struct pg_spool *s, struct err *e)
{
    int rc = write_out(s, e);
    buf_free(&s->buf);
    return rc;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int pg_spool_rewind(struct pg_spool *s, struct err *e)
{
    if (!s->reading && write_out(s, e) != ERR_OK)
        return e->code;
    if (s->aborted_count)
        qsort(s->aborted, s->aborted_count, sizeof *s->aborted, by_number);
    s->reading = true; /* the buffer has what was read from now on */
    buf_reset(&s->buf);
    s->file_at = 0;
    s->at = 0;
    return ERR_OK;
}

/* Makes the next `n` bytes those at data + at. */
static int have(struct pg_spool *s, size_t n, struct err *e)
{
    size_t kept = s->buf.len - s->at;
    if (kept >= n)
        return ERR_OK;
    uint64_t left = s->size - s->file_at;
    if (left < n - kept)
        return err_set(e, ERR_CORRUPT, "the spooled transaction %" PRIu32 " ends within a message", s->xid);
    if (kept)
        memmove(s->buf.data, s->buf.data + s->at, kept);
    s->at = 0;
    s->buf.len = kept;
    s->buf.max = n > BUFFER_BYTES ? n : BUFFER_BYTES;
    /* A buffer that grew for one large message goes with it. */
    if (s->buf.cap > s->buf.max) {
        struct buf smaller;
        buf_init(&smaller, s->buf.max);
        if (buf_append(&smaller, s->buf.data, kept, e) != ERR_OK)
            return e->code;
        buf_free(&s->buf);
        s->buf = smaller;
    }
    size_t more = s->buf.max - kept < left ? s->buf.max - kept : (size_t)left;
    if (buf_reserve(&s->buf, more, e) != ERR_OK ||
        io_pread(s->fd, s->buf.data + kept, more, (int64_t)s->file_at, s->set->dir, e) != ERR_OK)
        return err_wrap(e, "cannot read the spooled transaction %" PRIu32, s->xid);
    s->buf.len += more;
    s->file_at += more;
    return ERR_OK;
}

static bool counts(const struct pg_spool *s, uint32_t xid, uint8_t type)
{
    if (s->aborted_count == 0 || xid == s->xid || xid == 0 || type == 'R' || type == 'Y')
        return true;
    return !bsearch(&xid, s->aborted, s->aborted_count, sizeof xid, by_number);
}

int pg_spool_next(struct pg_spool *s, struct pg_spooled *out, struct err *e)
{
    for (;;) {
        if (s->at == s->buf.len && s->file_at == s->size)
            return ERR_END;
        if (have(s, FRAME_BYTES, e) != ERR_OK)
            return e->code;
        const uint8_t *frame = s->buf.data + s->at;
        size_t n = be32(frame);
        uint32_t xid = be32(frame + 4);
        out->lsn = be64(frame + 8);
        s->at += FRAME_BYTES;
        if (have(s, n, e) != ERR_OK)
            return e->code;
        out->message = s->buf.data + s->at;
        out->n = n;
        s->at += n;
        if (n > 0 && counts(s, xid, out->message[0]))
            return ERR_OK;
    }
}

void pg_spool_free(struct pg_spool *s)
{
    if (!s)
        return;
    s->set->bytes -= s->size;
    io_close(s->fd);
    buf_free(&s->buf);
    mem_free(s->aborted);
    mem_free(s);
}
