/*
 * Streams to whose file no path leads any more: read to the end through the open file, or where a link led to it; then
 * missed, and forgotten after a time.
 */
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "connectors/file/source.h"

/* Does it have the old one's end, too? Then it has what was not read of that. */
static bool has_the_end(const struct probe *p, const struct stream *s)
{
    uint8_t a[PRINT_TAIL_MAX], b[PRINT_TAIL_MAX];
    size_t n = s->size < PRINT_TAIL_MAX ? (size_t)s->size : PRINT_TAIL_MAX, got_a = 0, got_b = 0;
    int64_t at = s->size - (int64_t)n;
    struct err e;
    return io_pread_some(p->fd, a, n, at, &got_a, p->path, &e) == ERR_OK && got_a == n &&
           io_pread_some(s->fd, b, n, at, &got_b, s->real, &e) == ERR_OK && got_b == n &&
           memcmp(a, b, n) == 0;
}

/* Is there a file at its path now that has all that it had, as rsync and `sed -i` leave one? Then it goes on in that one. */
static bool is_replaced(struct source *src, const struct stream *s)
{
    struct found f = {.real = s->real};
    struct probe p;
    struct err e;
    bool same = false;
    if (s->gzip || s->head.len < PRINT_HEAD_MAX || scan_stat(s->real, &f.inode, &f.size, &f.mtime_ns) != 0 ||
        f.size < s->size || stream_attached_in(src, &f.inode) || probe_open(src, &p, &f, &e) != ERR_OK)
        return false;
    int rc = probe_holds(&p, s, &same, &e);
    same = rc == ERR_OK && same && has_the_end(&p, s);
    probe_close(&p);
    return same;
}

/* An attached stream that no path led to. */
void gone_lose(struct source *src, struct stream *s)
{
    struct inode inode;
    int64_t size, mtime_ns;
    if (scan_stat(s->real, &inode, &size, &mtime_ns) == 0 && inode_same(&inode, &s->inode) &&
        source_options_match(&src->o, s->origin)) { /* a symbolic link turned to another file */
        track_size(src, s, size, mtime_ns);
        s->lost = true;
        link_append(&src->pending, &s->pending);
        return;
    }
    if (s->fd < 0) {
        stream_detach(src, s);
        src->scan_now = true; /* it may have been compressed since the listing */
        return;
    }
    if (!s->lost)
        s->grown_ms = clock_mono_ms();
    s->lost = true;
    link_append(&src->pending, &s->pending);
    bool grown;
    struct err e;
    if (track_refresh(src, s, &grown, &e) != ERR_OK) {
        stream_detach(src, s);
    } else if (is_replaced(src, s)) {
        stream_detach(src, s);
        src->scan_now = true;
    }
}

static int miss(struct source *src, struct stream *s, int64_t now, struct err *e)
{
    if (s->gone_ms == 0) {
        s->gone_ms = now;
        if (!s->gzip && s->size > s->offset)
            src->h->log(src->t, LEAT_WARN, "%s: gone with %lld bytes not read", s->path,
                        (long long)(s->size - s->offset));
        return stream_dirty(src, s, e);
    }
    return ERR_OK;
}

/*
 * No path leads to the file, yet it is where it was: a symbolic link that is among `paths` was turned to another one.
 * What it has beyond the position is read. True: it is not gone.
 */
static int revisit(struct source *src, struct stream *s, bool *there, struct err *e)
{
    struct found f = {.path = s->path, .real = s->real, .family = s->family, .rotated = true};
    *there = s->gone_ms == 0 && source_options_match(&src->o, s->origin) &&
             scan_stat(s->real, &f.inode, &f.size, &f.mtime_ns) == 0 && inode_same(&f.inode, &s->inode);
    if (!*there || (f.size == s->size && f.mtime_ns == s->mtime_ns))
        return ERR_OK;
    int rc = match_file(src, &f, e);
    *there = s->attached;
    if (rc == ERR_OK && s->attached) {
        s->lost = true;
        link_append(&src->pending, &s->pending);
    }
    return rc;
}

int gone_sweep(struct source *src, const struct found_list *list, struct err *e)
{
    int64_t now = clock_wall_ms();
    size_t gone = 0;
    struct stream *oldest = NULL;
    for (size_t i = src->stream_count; i-- > 0;) {
        struct stream *s = src->streams[i];
        if (s->attached || (s->gone_ms == 0 && scan_is_denied(list, s->path)))
            continue;
        bool there;
        int rc = revisit(src, s, &there, e);
        if (rc == ERR_OK && !there)
            rc = miss(src, s, now, e);
        if (rc != ERR_OK)
            return rc;
        if (there)
            continue;
        if (now - s->gone_ms >= src->o.forget_ms && s->gone_ms != now) {
            if (state_forget(src, s) != LEAT_OK)
                return err_set(e, ERR_TASK, "cannot remove a position");
            continue;
        }
        gone++;
        if (!oldest || s->gone_ms < oldest->gone_ms)
            oldest = s;
    }
    if (gone > GONE_MAX && state_forget(src, oldest) != LEAT_OK)
        return err_set(e, ERR_TASK, "cannot remove a position");
    return ERR_OK;
}
