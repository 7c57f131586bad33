/*
 * Fingerprints, and whether a file holds the bytes of a stream. Only as much as is needed is read: the beginning, and what
 * lies before the stream's position.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/mem.h"
#include "connectors/file/source.h"

#define SCAN_BYTES 65536

struct print print_of(const void *data, size_t n)
{
    return (struct print){.len = (uint32_t)n, .hash = hash64(data, n)};
}

bool print_matches(const struct print *p, const void *data)
{
    return p->len == 0 || hash64(data, p->len) == p->hash;
}

static int probe_stat(int fd, struct found *f, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_sys(e, errno, "cannot stat %s", f->real);
    if (st.st_ino != f->inode.ino || st.st_dev != f->inode.dev)
        return err_set(e, ERR_NOT_FOUND, "%s is another file now", f->real);
    f->size = st.st_size;
    f->mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    return ERR_OK;
}

int probe_open(struct source *src, struct probe *p, struct found *f, struct err *e)
{
    p->fd = -1;
    p->path = f->real;
    p->gzip = false;
    p->head_len = 0;
    int rc = io_open(&p->fd, f->real, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, e);
    if (rc == ERR_OK)
        rc = probe_stat(p->fd, f, e); /* it may have grown since it was listed */
    p->size = f->size;
    if (rc == ERR_OK)
        rc = io_pread_some(p->fd, p->head, sizeof(p->head), 0, &p->head_len, p->path, e);
    if (rc != ERR_OK) {
        probe_close(p);
        return rc;
    }
    static const uint8_t magic[3] = {0x1f, 0x8b, 8};
    bool short_gzip = p->head_len < sizeof(magic) && name_is_gzip(f->real);
    p->gzip = src->o.gzip != GZIP_PLAIN &&
              (short_gzip || (p->head_len >= sizeof(magic) && memcmp(p->head, magic, sizeof(magic)) == 0));
    return ERR_OK;
}

void probe_close(struct probe *p)
{
    io_close(p->fd);
    p->fd = -1;
}

/* ---- plain files ------------------------------------------------------------------------------------------------ */

/* The first part of a stream whose own file is at hand: both begin alike and are alike before the probe's end. */
static int prefix_of_plain(struct source *src, struct probe *p, struct stream *s, enum likeness *out,
                           struct err *e)
{
    uint8_t own[PRINT_HEAD_MAX], end[PRINT_TAIL_MAX];
    *out = UNLIKE;
    if (files_open(src, s, e) != ERR_OK)
        return ERR_OK; /* its own turn reports that */
    size_t got;
    int rc = io_pread_some(s->fd, own, p->head_len, 0, &got, s->real, e);
    if (rc != ERR_OK || got < p->head_len || memcmp(own, p->head, got) != 0)
        return rc;
    size_t n = p->size < PRINT_TAIL_MAX ? (size_t)p->size : PRINT_TAIL_MAX;
    size_t n_end;
    rc = io_pread_some(p->fd, end, n, p->size - (int64_t)n, &n_end, p->path, e);
    if (rc == ERR_OK)
        rc = io_pread_some(s->fd, own, n, p->size - (int64_t)n, &got, s->real, e);
    if (rc == ERR_OK && got == n && n_end == n && memcmp(own, end, n) == 0)
        *out = LIKE_PREFIX;
    return rc;
}

static int likeness_plain(struct source *src, struct probe *p, struct stream *s, enum likeness *out,
                          struct err *e)
{
    int64_t needed = s->offset > s->head.len ? s->offset : s->head.len;
    if (p->size < needed)
        return s->attached && !s->gzip ? prefix_of_plain(src, p, s, out, e) : ERR_OK;
    if (p->head_len < s->head.len || !print_matches(&s->head, p->head))
        return ERR_OK;
    uint8_t tail[PRINT_TAIL_MAX];
    size_t got;
    int rc = io_pread_some(p->fd, tail, s->tail.len, s->offset - s->tail.len, &got, p->path, e);
    if (rc == ERR_OK && got == s->tail.len && print_matches(&s->tail, tail))
        *out = LIKE_SAME;
    return rc;
}

/* ---- compressed files ------------------------------------------------------------------------------------------- */

/* The uncompressed bytes before `end`; fewer where the data ends earlier. */
struct tail_reader {
    struct gunzip *g;
    uint8_t head[PRINT_HEAD_MAX];
    size_t head_len;
    uint8_t tail[PRINT_TAIL_MAX]; /* the last tail_len bytes before `at` */
    size_t tail_len;
    int64_t at;
    int64_t line_end; /* after the last line feed seen */
    enum gunzip_state state;
    uint8_t data[SCAN_BYTES];
};

static void tail_take(struct tail_reader *r, const uint8_t *data, size_t n)
{
    if (r->head_len < sizeof(r->head)) {
        size_t more = sizeof(r->head) - r->head_len;
        more = n < more ? n : more;
        memcpy(r->head + r->head_len, data, more);
        r->head_len += more;
    }
    const uint8_t *nl = memrchr(data, '\n', n);
    if (nl)
        r->line_end = r->at + (nl - data) + 1;
    if (n >= sizeof(r->tail)) {
        memcpy(r->tail, data + n - sizeof(r->tail), sizeof(r->tail));
        r->tail_len = sizeof(r->tail);
    } else {
        size_t keep = sizeof(r->tail) - n;
        keep = r->tail_len < keep ? r->tail_len : keep;
        memmove(r->tail, r->tail + r->tail_len - keep, keep);
        memcpy(r->tail + keep, data, n);
        r->tail_len = keep + n;
    }
    r->at += (int64_t)n;
}

/* Up to `end`, or the end of the data, or until the task has to stop (ERR_INTERRUPTED). */
static int tail_read(struct source *src, struct tail_reader *r, struct probe *p, int64_t end, struct err *e)
{
    int rc = gunzip_restart(r->g, e);
    r->at = 0;
    r->line_end = 0;
    r->head_len = r->tail_len = 0;
    r->state = GUNZIP_MORE;
    while (rc == ERR_OK && r->at < end && r->state == GUNZIP_MORE) {
        size_t want = end - r->at < SCAN_BYTES ? (size_t)(end - r->at) : SCAN_BYTES, got = 0;
        rc = gunzip_read(r->g, p->fd, p->path, r->data, want, &got, &r->state, e);
        tail_take(r, r->data, got);
        if (rc == ERR_OK && src->h->stopping(src->t))
            rc = err_set(e, ERR_INTERRUPTED, "stopped");
    }
    return rc;
}

static struct tail_reader *tail_new(struct err *e)
{
    struct tail_reader *r = mem_calloc(1, sizeof(*r));
    if (r && (r->g = gunzip_new()))
        return r;
    mem_free(r);
    err_nomem(e);
    return NULL;
}

static void tail_free(struct tail_reader *r)
{
    gunzip_free(r->g);
    mem_free(r);
}

static int likeness_gzip(struct source *src, struct probe *p, struct stream *s, enum likeness *out,
                         struct err *e)
{
    struct tail_reader *r = tail_new(e);
    if (!r)
        return e->code;
    int64_t needed = s->offset > s->head.len ? s->offset : s->head.len;
    int rc = tail_read(src, r, p, s->head.len, e);
    bool whole = rc == ERR_OK && r->head_len >= s->head.len;
    bool alike = whole && print_matches(&s->head, r->head);
    if (rc == ERR_OK && alike) {
        rc = tail_read(src, r, p, s->offset, e);
        if (rc == ERR_OK && r->at == s->offset)
            *out = r->tail_len >= s->tail.len && print_matches(&s->tail, r->tail + r->tail_len - s->tail.len)
                       ? LIKE_SAME
                       : UNLIKE;
        else if (rc == ERR_OK && r->state == GUNZIP_SHORT && s->attached)
            *out = LIKE_PREFIX;
    } else if (rc == ERR_OK && !whole && r->state == GUNZIP_SHORT && s->attached && needed > 0) {
        *out = LIKE_PREFIX; /* so little is there that nothing can be said yet */
    }
    tail_free(r);
    return rc;
}

int probe_likeness(struct source *src, struct probe *p, struct stream *s, enum likeness *out, struct err *e)
{
    *out = UNLIKE;
    if (s->head.len == 0)
        return ERR_OK; /* it had no bytes yet: nothing to recognise */
    return p->gzip ? likeness_gzip(src, p, s, out, e) : likeness_plain(src, p, s, out, e);
}

int probe_head(struct source *src, struct probe *p, struct stream *s, struct err *e)
{
    if (!p->gzip) {
        s->head = print_of(p->head, p->head_len);
        return ERR_OK;
    }
    struct tail_reader *r = tail_new(e);
    if (!r)
        return e->code;
    int rc = tail_read(src, r, p, PRINT_HEAD_MAX, e);
    s->head = print_of(r->head, r->head_len);
    tail_free(r);
    return rc;
}

/* ---- start: end ------------------------------------------------------------------------------------------------- */

static int end_of_plain(struct probe *p, struct stream *s, bool lines, struct err *e)
{
    uint8_t data[SCAN_BYTES];
    size_t n = p->size < SCAN_BYTES ? (size_t)p->size : SCAN_BYTES, got;
    int rc = io_pread_some(p->fd, data, n, p->size - (int64_t)n, &got, p->path, e);
    if (rc != ERR_OK)
        return rc;
    const uint8_t *nl = memrchr(data, '\n', got);
    size_t upto = !lines || (!nl && p->size > SCAN_BYTES) ? got : nl ? (size_t)(nl - data) + 1 : 0;
    size_t tail = upto < PRINT_TAIL_MAX ? upto : PRINT_TAIL_MAX;
    s->offset = p->size - (int64_t)n + (int64_t)upto;
    s->tail = print_of(data + upto - tail, tail);
    return ERR_OK;
}

static int end_of_gzip(struct source *src, struct probe *p, struct stream *s, struct err *e)
{
    struct tail_reader *r = tail_new(e);
    if (!r)
        return e->code;
    int rc = tail_read(src, r, p, INT64_MAX, e);
    int64_t end = r->line_end;
    if (rc == ERR_OK && end != r->at) /* the last line is not ended */
        rc = tail_read(src, r, p, end, e);
    s->offset = end;
    s->tail = print_of(r->tail, r->tail_len);
    tail_free(r);
    return rc;
}

int probe_end(struct source *src, struct probe *p, struct stream *s, struct err *e)
{
    return p->gzip ? end_of_gzip(src, p, s, e) : end_of_plain(p, s, src->o.framing.mode != FRAME_RAW, e);
}
