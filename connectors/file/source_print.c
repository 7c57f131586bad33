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
#define SAMPLES 16 /* places at which two files are compared */

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
    struct inode inode;
    int errnum = scan_stat_open(fd, &inode, &f->size, &f->mtime_ns);
    if (errnum != 0)
        return err_sys(e, errnum, "cannot stat %s", f->real);
    if (!inode_same(&inode, &f->inode))
        return err_set(e, ERR_NOT_FOUND, "%s is another file now", f->real);
    return ERR_OK;
}

int probe_open(struct source *src, struct probe *p, struct found *f, struct err *e)
{
    p->fd = -1;
    p->path = f->real;
    p->gzip = false;
    p->head_len = 0;
    p->copy.size = 0;
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

static int print_in_file(const struct stream *s, const struct print *p, int64_t at, bool *there,
                         struct err *e)
{
    uint8_t data[PRINT_HEAD_MAX];
    size_t n;
    int rc = io_pread_some(s->fd, data, p->len, at, &n, s->real, e);
    *there = rc == ERR_OK && n == p->len && print_matches(p, data);
    return rc;
}

enum likeness print_intact(struct source *src, struct stream *s)
{
    struct err e;
    bool there = true;
    int rc = files_open(src, s, &e);
    if (rc == ERR_OK && !s->gzip)
        rc = print_in_file(s, &s->head, 0, &there, &e);
    if (rc == ERR_OK && !s->gzip && there)
        rc = print_in_file(s, &s->tail, s->offset - s->tail.len, &there, &e);
    if (rc == ERR_OK)
        return there ? LIKE_SAME : LIKE_STALE;
    if (rc == ERR_NOT_FOUND)
        src->scan_now = true; /* it was moved since the listing */
    else
        source_complain(src, s->path, e.text);
    return LIKE_UNKNOWN;
}

/* What a file has that turned out to be a copy. */
static int copy_of_plain(struct probe *p, struct err *e)
{
    uint8_t tail[PRINT_TAIL_MAX];
    size_t n = p->size < PRINT_TAIL_MAX ? (size_t)p->size : PRINT_TAIL_MAX, got = 0;
    int rc = io_pread_some(p->fd, tail, n, p->size - (int64_t)n, &got, p->path, e);
    size_t head = p->size < (int64_t)p->head_len ? (size_t)p->size : p->head_len;
    p->copy =
        (struct copy){rc == ERR_OK && got == n ? p->size : 0, print_of(p->head, head), print_of(tail, got)};
    return rc;
}

/*
 * A copy that was met before the stream's file was truncated may have less than was emitted, if lines came between. It may
 * have grown since it was met, which its first bytes then have to vouch for.
 */
static bool copy_may_be(const struct stream *s, int64_t size)
{
    int64_t emitted = s->offset > s->head.len ? s->offset : s->head.len;
    return s->copy.size > 0 && size < emitted &&
           (size == s->copy.size || (size > s->copy.size && s->copy.head.len == PRINT_HEAD_MAX));
}

static int known_copy_plain(struct probe *p, const struct stream *s, enum likeness *out, struct err *e)
{
    const struct copy *c = &s->copy;
    uint8_t tail[PRINT_TAIL_MAX];
    size_t got = 0;
    if (!copy_may_be(s, p->size) || p->head_len < c->head.len || !print_matches(&c->head, p->head))
        return ERR_OK;
    int rc = io_pread_some(p->fd, tail, c->tail.len, c->size - c->tail.len, &got, p->path, e);
    if (rc != ERR_OK || got < c->tail.len || !print_matches(&c->tail, tail))
        return rc;
    rc = copy_of_plain(p, e);
    if (rc == ERR_OK && p->copy.size > 0)
        *out = LIKE_COPY;
    return rc;
}

/* Both files at one place. */
static int alike_at(const struct probe *p, const struct stream *s, int64_t at, size_t n, bool *alike,
                    struct err *e)
{
    uint8_t a[PRINT_TAIL_MAX], b[PRINT_TAIL_MAX];
    size_t got_a = 0, got_b = 0;
    int rc = io_pread_some(p->fd, a, n, at, &got_a, p->path, e);
    if (rc == ERR_OK)
        rc = io_pread_some(s->fd, b, n, at, &got_b, s->real, e);
    *alike = rc == ERR_OK && got_a == n && got_b == n && memcmp(a, b, n) == 0;
    return rc;
}

/*
 * A copy is alike all over, while two files of one program may only begin alike: so samples of its bytes
 * are compared, the last ones among them.
 */
static int compare_plain(struct source *src, struct probe *p, struct stream *s, enum likeness *out,
                         struct err *e)
{
    struct stat st;
    *out = print_intact(src, s);
    if (*out != LIKE_SAME)
        return ERR_OK;
    if (fstat(s->fd, &st) != 0)
        return err_sys(e, errno, "cannot stat %s", s->real);
    size_t n = p->size < PRINT_TAIL_MAX ? (size_t)p->size : PRINT_TAIL_MAX;
    bool alike = p->size <= st.st_size; /* a copy never has more than its original */
    for (int i = 0; alike && i <= SAMPLES; i++) {
        int rc = alike_at(p, s, (p->size - (int64_t)n) * i / SAMPLES, n, &alike, e);
        if (rc != ERR_OK)
            return rc;
    }
    *out = alike ? LIKE_SAME : UNLIKE;
    return alike ? copy_of_plain(p, e) : ERR_OK;
}

int probe_holds(const struct probe *p, const struct stream *s, bool *yes, struct err *e)
{
    uint8_t tail[PRINT_TAIL_MAX];
    size_t got = 0;
    *yes = false;
    if (p->size < s->offset || p->head_len < s->head.len || !print_matches(&s->head, p->head))
        return ERR_OK;
    int rc = io_pread_some(p->fd, tail, s->tail.len, s->offset - s->tail.len, &got, p->path, e);
    *yes = rc == ERR_OK && got == s->tail.len && print_matches(&s->tail, tail);
    return rc;
}

static int likeness_plain(struct source *src, struct probe *p, struct stream *s, enum likeness *out,
                          struct err *e)
{
    int64_t needed = s->offset > s->head.len ? s->offset : s->head.len;
    bool own_file = s->attached && !s->gzip;
    if (p->head_len >= s->head.len && !print_matches(&s->head, p->head))
        return ERR_OK;
    if (p->size < needed && !s->attached)
        return known_copy_plain(p, s, out, e);
    if (p->size < needed)
        return own_file ? compare_plain(src, p, s, out, e) : ERR_OK;
    bool holds;
    int rc = probe_holds(p, s, &holds, e);
    if (rc != ERR_OK || !holds)
        return rc;
    if (own_file)
        return compare_plain(src, p, s, out, e);
    *out = s->attached && s->offset < PRINT_HEAD_MAX ? UNLIKE : LIKE_SAME;
    return ERR_OK;
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

static int tail_restart(struct tail_reader *r, struct err *e)
{
    r->at = 0;
    r->line_end = 0;
    r->head_len = r->tail_len = 0;
    r->state = GUNZIP_MORE;
    return gunzip_restart(r->g, e);
}

/* Up to `end`, or the end of the data, or until the task has to stop (ERR_INTERRUPTED). */
static int tail_read(struct source *src, struct tail_reader *r, struct probe *p, int64_t end, struct err *e)
{
    int rc = tail_restart(r, e);
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

static void copy_of_gzip(struct probe *p, const struct tail_reader *r)
{
    p->copy = (struct copy){r->at, print_of(r->head, r->head_len), print_of(r->tail, r->tail_len)};
}

/* Of a stream whose own file is at hand every byte is compared. */
static int compare_gzip(struct source *src, struct probe *p, struct stream *s, struct tail_reader *r,
                        enum likeness *out, struct err *e)
{
    uint8_t own[SCAN_BYTES];
    int rc = tail_restart(r, e);
    *out = UNLIKE;
    while (rc == ERR_OK && r->state == GUNZIP_MORE) {
        size_t got = 0, got_own = 0;
        rc = gunzip_read(r->g, p->fd, p->path, r->data, SCAN_BYTES, &got, &r->state, e);
        if (rc == ERR_OK)
            rc = io_pread_some(s->fd, own, got, r->at, &got_own, s->real, e);
        if (rc != ERR_OK || got_own < got || memcmp(own, r->data, got) != 0)
            return rc; /* a copy never has more than its original */
        tail_take(r, r->data, got);
        if (src->h->stopping(src->t))
            return err_set(e, ERR_INTERRUPTED, "stopped");
    }
    if (rc != ERR_OK || (r->at == 0 && r->state != GUNZIP_SHORT))
        return rc;
    copy_of_gzip(p, r);
    *out = LIKE_SAME;
    return rc;
}

static bool head_fits(const struct tail_reader *r, const struct print *head)
{
    return r->head_len >= head->len && print_matches(head, r->head);
}

/* Does what was read last end so? */
static bool tail_fits(const struct tail_reader *r, const struct print *tail)
{
    return r->tail_len >= tail->len && print_matches(tail, r->tail + r->tail_len - tail->len);
}

/* As known_copy_plain; one that is still being written is looked at again. */
static int known_copy_gzip(struct source *src, struct probe *p, const struct stream *s, struct tail_reader *r,
                           enum likeness *out, struct err *e)
{
    const struct copy *c = &s->copy;
    if (c->size == 0)
        return ERR_OK;
    int rc = tail_read(src, r, p, c->head.len, e); /* mostly it is not alike, which this tells */
    if (rc != ERR_OK || !head_fits(r, &c->head))
        return rc;
    rc = tail_read(src, r, p, c->size, e);
    if (rc != ERR_OK || r->at != c->size || !tail_fits(r, &c->tail))
        return rc;
    rc = tail_read(src, r, p, INT64_MAX, e);
    if (rc != ERR_OK || !copy_may_be(s, r->at))
        return rc;
    copy_of_gzip(p, r);
    *out = r->state == GUNZIP_END ? LIKE_COPY : LIKE_UNKNOWN;
    return rc;
}

static int likeness_gzip(struct source *src, struct probe *p, struct stream *s, enum likeness *out,
                         struct err *e)
{
    if (s->attached && s->gzip && s->offset < PRINT_HEAD_MAX)
        return ERR_OK;
    struct tail_reader *r = tail_new(e);
    if (!r)
        return e->code;
    int rc = ERR_OK;
    if (s->attached && !s->gzip) {
        *out = print_intact(src, s);
        if (*out == LIKE_SAME)
            rc = compare_gzip(src, p, s, r, out, e);
        goto opened;
    }
    rc = tail_read(src, r, p, s->head.len, e);
    bool begins = rc == ERR_OK && head_fits(r, &s->head);
    if (begins)
        rc = tail_read(src, r, p, s->offset, e);
    if (rc == ERR_OK && begins && r->at == s->offset && tail_fits(r, &s->tail))
        *out = LIKE_SAME;
    else if (rc == ERR_OK && !s->attached)
        rc = known_copy_gzip(src, p, s, r, out, e);
opened:
    tail_free(r);
    return rc;
}

/* As long as a stream's beginning is short its own file may tell more by now. */
static int refresh_head(struct source *src, struct stream *s, struct err *e)
{
    uint8_t head[PRINT_HEAD_MAX];
    size_t n = 0;
    if (!s->attached || s->gzip || s->head.len == PRINT_HEAD_MAX ||
        (s->head.len > 0 && s->size <= s->head.len) || files_open(src, s, e) != ERR_OK)
        return ERR_OK;
    int rc = io_pread_some(s->fd, head, sizeof(head), 0, &n, s->real, e);
    if (rc != ERR_OK || n <= s->head.len || !print_matches(&s->head, head))
        return rc;
    if (s->head.len == 0)
        s->marked = src->scan_number;
    stream_head(s, head, n);
    return stream_dirty(src, s, e);
}

int probe_likeness(struct source *src, struct probe *p, struct stream *s, enum likeness *out, struct err *e)
{
    *out = UNLIKE;
    size_t n = s->first_len < p->head_len ? s->first_len : p->head_len;
    if (!p->gzip && memcmp(s->first, p->head, n) != 0)
        return ERR_OK; /* mostly, and at no cost */
    int rc = refresh_head(src, s, e);
    if (rc != ERR_OK || s->head.len == 0)
        return rc; /* it had no bytes yet: nothing to recognise */
    return p->gzip ? likeness_gzip(src, p, s, out, e) : likeness_plain(src, p, s, out, e);
}

int probe_head(struct source *src, struct probe *p, struct stream *s, struct err *e)
{
    if (!p->gzip) {
        stream_head(s, p->head, p->head_len);
        return ERR_OK;
    }
    struct tail_reader *r = tail_new(e);
    if (!r)
        return e->code;
    int rc = tail_read(src, r, p, PRINT_HEAD_MAX, e);
    stream_head(s, r->head, r->head_len);
    tail_free(r);
    return rc;
}

/* ---- start: end ------------------------------------------------------------------------------------------------- */

/* Behind the last line feed; at the file's end where none is among its last `most` bytes. */
static int last_line_end(struct probe *p, int64_t most, int64_t *end, struct err *e)
{
    uint8_t data[SCAN_BYTES];
    int64_t at = p->size, stop = p->size > most ? p->size - most : 0;
    *end = stop == 0 ? 0 : p->size;
    while (at > stop) {
        size_t n = at - stop < SCAN_BYTES ? (size_t)(at - stop) : SCAN_BYTES, got;
        at -= (int64_t)n;
        int rc = io_pread_some(p->fd, data, n, at, &got, p->path, e);
        const uint8_t *nl = rc == ERR_OK ? memrchr(data, '\n', got) : NULL;
        if (nl)
            *end = at + (nl - data) + 1;
        if (rc != ERR_OK || nl)
            return rc;
    }
    return ERR_OK;
}

static int end_of_plain(struct source *src, struct probe *p, struct stream *s, struct err *e)
{
    uint8_t tail[PRINT_TAIL_MAX];
    size_t got = 0;
    int64_t end = p->size;
    int rc = src->o.framing.mode == FRAME_RAW ? ERR_OK
                                              : last_line_end(p, (int64_t)src->o.framing.line_max + 1, &end,
                                                              e); /* a longer one is cut anyhow */
    size_t n = end < PRINT_TAIL_MAX ? (size_t)end : PRINT_TAIL_MAX;
    if (rc == ERR_OK)
        rc = io_pread_some(p->fd, tail, n, end - (int64_t)n, &got, p->path, e);
    s->offset = end;
    s->tail = print_of(tail, got);
    return rc;
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
    return p->gzip ? end_of_gzip(src, p, s, e) : end_of_plain(src, p, s, e);
}
