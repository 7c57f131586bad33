/*
 * Streams to whose file no path leads any more: read to the end through the open file, or where a link led to it; then
 * missed, and forgotten after a time.
 */
#include <string.h>

#include "base/clock.h"
#include "connectors/file/source.h"

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
    if (track_refresh(src, s, &grown, &e) != ERR_OK)
        stream_detach(src, s);
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
