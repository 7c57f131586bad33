/*
 * A scan: what is found is given to the streams that it holds, what is not found any more is told to them, and their order is
 * settled. source_match.c says which stream a file holds, source_gone.c what becomes of one without a path, source_order.c
 * which is read first.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "connectors/file/source.h"

#define RESCANS 4

/* ---- the file of an attached stream ----------------------------------------------------------------------------- */

void track_truncated(struct source *src, struct stream *s)
{
    src->h->log(src->t, LEAT_INFO, "%s: truncated or written anew at byte %lld", s->path,
                (long long)s->offset);
    stream_detach(src, s);
    src->scan_now = true;
}

void track_size(struct source *src, struct stream *s, int64_t size, int64_t mtime_ns)
{
    if (size == s->size && (mtime_ns == s->mtime_ns || s->mtime_ns == 0)) {
        s->mtime_ns = mtime_ns; /* 0: the end was met by reading */
        return;
    }
    s->size = size;
    s->mtime_ns = mtime_ns;
    s->grown_ms = clock_mono_ms();
    s->flushed = FRAME_KEEP;
    s->complete = s->trouble = s->damaged = false;
    stream_enqueue(src, s);
}

int track_refresh(struct source *src, struct stream *s, bool *grown, struct err *e)
{
    struct inode inode;
    int64_t size, mtime_ns;
    *grown = false;
    int rc = files_open(src, s, e);
    if (rc != ERR_OK)
        return rc;
    int errnum = scan_stat_open(s->fd, &inode, &size, &mtime_ns);
    if (errnum != 0)
        return err_sys(e, errnum, "cannot stat %s", s->real);
    *grown = size != s->size || (mtime_ns != s->mtime_ns && s->mtime_ns != 0);
    track_size(src, s, size, mtime_ns);
    return ERR_OK;
}

/* A file found where we know its stream. */
static int keep(struct source *src, struct stream *s, struct found *f, struct err *e)
{
    if (!s->gzip && f->size < (s->offset > s->head.len ? s->offset : s->head.len)) {
        track_truncated(src, s);
        return ERR_OK;
    }
    f->taken = true;
    s->seen = src->scan_number;
    s->lost = false;
    mem_free(s->twin);
    s->twin = NULL;
    if (s->trouble && !s->damaged) {
        s->trouble = false;
        stream_enqueue(src, s);
    }
    track_size(src, s, f->size, f->mtime_ns);
    bool moved = strcmp(s->path, f->path) != 0 || strcmp(s->real, f->real) != 0;
    int rc = moved ? stream_claims(s, f, e) : ERR_OK;
    return moved && rc == ERR_OK ? stream_moved(src, s, f, e) : rc;
}

/* ---- the scan --------------------------------------------------------------------------------------------------- */

static int assign_all(struct source *src, struct found_list *list, struct err *e)
{
    struct found **open = mem_calloc(list->count + 1, sizeof(struct found *));
    if (!open)
        return err_nomem(e);
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].taken)
            open[n++] = &list->items[i];
    qsort(open, n, sizeof(struct found *), order_by_rank);
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < n && !src->scan_now; i++)
        rc = match_file(src, open[i], e);
    mem_free(open);
    return rc;
}

/* Of a stream that is not attached yet a copy is no successor while its own file is there: that is matched first. */
static void note_listed(struct source *src, const struct found *f)
{
    for (struct stream *s = stream_first(src, BY_INODE, stream_inode_hash(&f->inode)); s;
         s = s->next[BY_INODE])
        if (!s->attached && inode_same(&s->inode, &f->inode) && f->size >= s->offset)
            s->listed = src->scan_number;
}

static int keep_known(struct source *src, struct found_list *list, struct err *e)
{
    for (size_t i = 0; i < list->count; i++) {
        struct stream *s = stream_attached_in(src, &list->items[i].inode);
        int rc = s ? keep(src, s, &list->items[i], e) : ERR_OK;
        if (rc != ERR_OK)
            return rc;
        if (!s)
            note_listed(src, &list->items[i]);
    }
    for (size_t i = 0; i < src->stream_count; i++) {
        struct stream *s = src->streams[i];
        if (s->attached && s->seen != src->scan_number && !scan_is_denied(list, s->path))
            gone_lose(src, s);
    }
    return ERR_OK;
}

static int mark_started(struct source *src, const struct found_list *list, struct err *e)
{
    for (size_t i = 0; i < src->o.pattern_count; i++)
        if (!src->o.patterns[i].started && !scan_is_denied(list, src->o.patterns[i].dir) &&
            state_mark_started(src, &src->o.patterns[i]) != LEAT_OK)
            return err_set(e, ERR_TASK, "cannot store that a path was looked at");
    return ERR_OK;
}

static int scan_once(struct source *src, struct err *e)
{
    struct found_list list;
    src->scan_wanted = src->scan_now = src->begun = false;
    int rc = scan_files(src, &list, e);
    if (rc != ERR_OK)
        return rc;
    src->scan_number++;
    rc = keep_known(src, &list, e);
    if (rc == ERR_OK)
        rc = assign_all(src, &list, e);
    bool done = rc == ERR_OK && !src->scan_now; /* else something moved meanwhile */
    if (done)
        rc = order_place(src, &list, e);
    if (done && rc == ERR_OK)
        rc = gone_sweep(src, &list, e);
    if (done && rc == ERR_OK)
        rc = mark_started(src, &list, e);
    ignore_prune(src);
    scan_free(&list);
    return rc;
}

/* A stream that was begun is read only after one more scan (see must_wait), so that follows at once. */
int track_scan(struct source *src, struct err *e)
{
    int rc = scan_once(src, e);
    for (int i = 0; rc == ERR_OK && i < RESCANS && (src->begun || src->scan_now); i++)
        rc = scan_once(src, e);
    return rc;
}
