/*
 * scan: see scan.h.
 */
#include "storage/scan.h"

#include "base/io.h"
#include "storage/paths.h"

#define SPARSE_READ 256

void scan_init(struct scan *s, int fd, const char *path, int64_t position, int64_t end, int64_t floor,
               uint8_t *window, size_t window_cap)
{
    *s = (struct scan){
        .fd = fd,
        .path = path,
        .position = position,
        .end = end,
        .floor = floor,
        .window = window,
        .window_cap = window_cap,
    };
}

/* Bytes of the window from s->position on; reads them if fewer than `need` are there. */
static int fill(struct scan *s, size_t need, const uint8_t **p, size_t *n, struct err *e)
{
    int64_t from = s->position - s->window_at;
    if (from < 0 || from + (int64_t)need > (int64_t)s->window_len) {
        int64_t left = s->end - s->position;
        size_t want = s->sparse && need < SPARSE_READ ? SPARSE_READ : s->window_cap;
        if (want > s->window_cap)
            want = s->window_cap;
        if ((int64_t)want > left)
            want = (size_t)left;
        s->window_len = 0;
        int rc = io_pread_some(s->fd, s->window, want, s->position, &s->window_len, s->path, e);
        if (rc)
            return rc;
        s->window_at = s->position;
        from = 0;
    }
    *p = s->window + from;
    *n = s->window_len - (size_t)from;
    return ERR_OK;
}

int scan_header(struct scan *s, struct batch_header *h, struct err *e)
{
    const uint8_t *p;
    size_t n;
    if (s->position >= s->end)
        return err_set(e, ERR_END, "end of %s", s->path);
    int rc = fill(s, BATCH_HEADER_SIZE, &p, &n, e);
    if (rc)
        return rc;
    if (n < BATCH_HEADER_SIZE)
        return err_set(e, ERR_TRUNCATED, "%s ends inside the batch header at byte %lld", s->path,
                       (long long)s->position);
    rc = batch_header_decode(p, n, h, e);
    if (rc)
        return err_set(e, ERR_CORRUPT, "%s: no batch at byte %lld: %s", s->path, (long long)s->position,
                       e->text);
    if (h->base_offset < s->floor || h->base_offset > STORAGE_OFFSET_MAX)
        return err_set(e, ERR_CORRUPT,
                       "%s: the batch at byte %lld has offset %lld, at least %lld is expected", s->path,
                       (long long)s->position, (long long)h->base_offset, (long long)s->floor);
    if ((int64_t)batch_size(h) > s->end - s->position)
        return err_set(e, ERR_TRUNCATED, "%s ends inside the batch of %zu bytes at byte %lld", s->path,
                       batch_size(h), (long long)s->position);
    return ERR_OK;
}

int scan_batch(struct scan *s, const struct batch_header *h, struct buf *big, const uint8_t **data,
               struct err *e)
{
    size_t size = batch_size(h), n;
    if (size <= s->window_cap) {
        const uint8_t *p;
        bool sparse = s->sparse;
        s->sparse = false;
        int rc = fill(s, size, &p, &n, e);
        s->sparse = sparse;
        if (rc)
            return rc;
        if (n >= size) {
            *data = p;
            return ERR_OK;
        }
        return err_set(e, ERR_TRUNCATED, "%s ends inside the batch of %zu bytes at byte %lld", s->path, size,
                       (long long)s->position);
    }
    buf_reset(big);
    int rc = buf_reserve(big, size, e);
    if (rc == ERR_OK)
        rc = io_pread(s->fd, big->data, size, s->position, s->path, e);
    *data = big->data;
    return rc;
}

int scan_whole(struct scan *s, struct batch_header *h, struct buf *big, const uint8_t **data, struct err *e)
{
    struct batch_header again;
    int rc = scan_header(s, h, e);
    if (rc == ERR_OK)
        rc = scan_batch(s, h, big, data, e);
    if (rc == ERR_OK && batch_check(*data, batch_size(h), &again, e) != ERR_OK)
        rc = err_set(e, ERR_CORRUPT, "%s: batch at byte %lld: %s", s->path, (long long)s->position, e->text);
    return rc;
}

void scan_skip(struct scan *s, const struct batch_header *h)
{
    size_t size = batch_size(h);
    s->position += (int64_t)size;
    s->floor = batch_last_offset(h) + 1;
    s->sparse = size * 2 > s->window_cap;
}
