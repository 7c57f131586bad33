/*
 * Which stream does a file hold? Each scan answers that for every file found, in this order: the stream that we know in
 * that inode; a stored one of that inode whose bytes are there; one of the same family (see name_live) whose bytes are
 * there and whose own file is gone; none, because it is a copy of a stream that we read elsewhere; a new one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "connectors/file/source.h"

#define RESCANS 4

/* Why a file holds nothing to read; looked at again when the file or the streams have changed. */
struct ignored {
    int64_t size, mtime_ns;
    uint64_t generation, seen;
};

/* Remembers that the file held nothing when the streams were as in `generation`. */
static int ignore(struct source *src, const struct found *f, uint64_t generation, struct err *e)
{
    uint64_t key[2] = {f->inode.dev, f->inode.ino};
    struct ignored *i = map_get(src->ignored, key, sizeof(key));
    if (!i) {
        i = mem_calloc(1, sizeof(*i));
        if (!i)
            return err_nomem(e);
        int rc = map_put(src->ignored, key, sizeof(key), i, e);
        if (rc != ERR_OK) {
            mem_free(i);
            return rc;
        }
    }
    *i = (struct ignored){f->size, f->mtime_ns, generation, src->scan_number};
    return ERR_OK;
}

/* Was it ignored and nothing has changed since? */
static bool is_ignored(struct source *src, const struct found *f)
{
    uint64_t key[2] = {f->inode.dev, f->inode.ino};
    struct ignored *i = map_get(src->ignored, key, sizeof(key));
    if (!i || i->size != f->size || i->mtime_ns != f->mtime_ns || i->generation != src->generation)
        return false;
    i->seen = src->scan_number;
    return true;
}

static void prune_ignored(struct source *src)
{
    bool again = true;
    while (again) {
        size_t pos = 0, n;
        const void *key;
        void *value;
        again = false;
        while (!again && map_next(src->ignored, &pos, &key, &n, &value)) {
            struct ignored *i = value;
            if (i->seen == src->scan_number)
                continue;
            uint64_t copy[2];
            memcpy(copy, key, sizeof(copy));
            mem_free(map_remove(src->ignored, copy, sizeof(copy)));
            again = true;
        }
    }
}

/* ---- the file of an attached stream ----------------------------------------------------------------------------- */

void track_truncated(struct source *src, struct stream *s)
{
    src->h->log(src->t, LEAT_INFO, "%s: truncated or written anew at byte %lld", s->path,
                (long long)s->offset);
    stream_detach(src, s);
    src->scan_now = true;
}

static void note_size(struct source *src, struct stream *s, int64_t size, int64_t mtime_ns)
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
    note_size(src, s, size, mtime_ns);
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
    if (s->trouble && !s->damaged) {
        s->trouble = false;
        stream_enqueue(src, s);
    }
    note_size(src, s, f->size, f->mtime_ns);
    bool moved = strcmp(s->path, f->path) != 0 || strcmp(s->real, f->real) != 0;
    return moved ? stream_moved(src, s, f, e) : ERR_OK;
}

/* An attached stream that no path led to. */
static void lose(struct source *src, struct stream *s)
{
    struct inode inode;
    int64_t size, mtime_ns;
    if (scan_stat(s->real, &inode, &size, &mtime_ns) == 0 && inode_same(&inode, &s->inode) &&
        source_options_match(&src->o, s->origin)) { /* a symbolic link turned to another file */
        note_size(src, s, size, mtime_ns);
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

/* ---- files whose stream is not known yet ------------------------------------------------------------------------ */

struct age {
    bool live; /* is written now */
    int64_t mtime_ns, born;
    const char *real, *family;
};

static struct age age_of(const struct stream *s)
{
    return (struct age){!s->lost && strcmp(s->real, s->family) == 0, s->mtime_ns, s->inode.born, s->real,
                        s->family};
}

/* x.log-20260101, not x.log.1, x.log.2.gz */
static bool is_dated(struct age a)
{
    size_t n = strlen(a.family);
    if (strcmp(a.real, a.family) == 0)
        return false;
    if (strncmp(a.real, a.family, n) != 0 || a.real[n] != '.')
        return true;
    const char *end = a.real + n;
    size_t digits = strspn(end + 1, "0123456789");
    return digits == 0 || digits >= 6 || (end[digits + 1] != '\0' && end[digits + 1] != '.');
}

/*
 * Of one family: what was rotated is older than what is written now; else by the last change. Of files that were last changed
 * in the same tick of the clock the higher number is older; of those with a date the one that was made first.
 */
static bool is_older(struct age a, struct age b)
{
    if (a.live != b.live)
        return b.live;
    if (a.mtime_ns != b.mtime_ns)
        return a.mtime_ns < b.mtime_ns;
    if (is_dated(a) && is_dated(b) && a.born != b.born && a.born != 0 && b.born != 0)
        return a.born < b.born;
    return strverscmp(a.real, b.real) > 0;
}

/* Originals first, so that copies can be compared with them; let_pass sees to the order of reading. */
static int by_rank(const void *a, const void *b)
{
    const struct found *x = *(struct found *const *)a, *y = *(struct found *const *)b;
    int x_rank = x->rotated + name_is_gzip(x->real), y_rank = y->rotated + name_is_gzip(y->real);
    if (x_rank != y_rank)
        return x_rank - y_rank;
    struct age x_age = {!x->rotated, x->mtime_ns, x->inode.born, x->real, x->family};
    struct age y_age = {!y->rotated, y->mtime_ns, y->inode.born, y->real, y->family};
    return is_older(x_age, y_age) ? -1 : is_older(y_age, x_age);
}

static struct stream *attached_in(struct source *src, const struct inode *inode)
{
    uint64_t hash = stream_inode_hash(inode);
    for (struct stream *s = stream_first(src, BY_INODE, hash); s; s = s->next[BY_INODE])
        if (s->attached && inode_same(&s->inode, inode))
            return s;
    return NULL;
}

/* A stored stream of this inode with its bytes in place. */
static int match_inode(struct source *src, const struct found *f, struct probe *p, struct stream **out,
                       struct err *e)
{
    uint64_t hash = stream_inode_hash(&f->inode);
    for (struct stream *s = stream_first(src, BY_INODE, hash); s; s = s->next[BY_INODE]) {
        enum likeness like = UNLIKE;
        if (s->attached || !inode_same(&s->inode, &f->inode))
            continue;
        int rc = probe_likeness(src, p, s, &like, e);
        if (rc != ERR_OK)
            return rc;
        bool same_birth = s->inode.born != 0 && s->inode.born == f->inode.born;
        if (s->head.len == 0 && s->offset == 0 && (same_birth || strcmp(s->real, f->real) == 0))
            like = LIKE_SAME; /* it was empty */
        if (like == LIKE_SAME && (!*out || s->offset > (*out)->offset))
            *out = s;
    }
    return ERR_OK;
}

/* Worth a comparison: rotation may have made this file of the stream's; or it was put in its place as a whole. */
static bool may_hold(const struct found *f, const struct probe *p, const struct stream *s)
{
    if (strcmp(s->family, f->family) != 0)
        return false;
    if (strcmp(s->real, f->real) != 0)
        return f->rotated || p->gzip;
    return !s->attached && s->head.len == PRINT_HEAD_MAX && !inode_same(&s->inode, &f->inode);
}

static int match_content(struct source *src, const struct found *f, struct probe *p, struct stream **out,
                         bool *copy, bool *again, struct err *e)
{
    uint64_t hash = hash64(f->family, strlen(f->family));
    for (struct stream *s = stream_first(src, BY_FAMILY, hash); s; s = s->next[BY_FAMILY]) {
        enum likeness like = UNLIKE;
        if (!may_hold(f, p, s))
            continue;
        int rc = probe_likeness(src, p, s, &like, e);
        if (rc != ERR_OK)
            return rc;
        if (like == LIKE_STALE)
            track_truncated(src, s);
        if (like == LIKE_STALE || like == LIKE_UNKNOWN) {
            *again = true;
            return ERR_OK;
        }
        if (s->attached && like == LIKE_SAME)
            *copy = true;
        else if (like == LIKE_SAME && (!*out || s->offset > (*out)->offset))
            *out = s;
    }
    return ERR_OK;
}

/*
 * A file that rotation made is compared with the streams of its family. Of a stream whose file was truncated meanwhile it
 * may be a copy of what is there now, and would look like something new. False: look again, at once or with the next scan.
 */
static bool family_intact(struct source *src, const struct found *f)
{
    uint64_t hash = hash64(f->family, strlen(f->family));
    for (struct stream *s = stream_first(src, BY_FAMILY, hash); s; s = s->next[BY_FAMILY]) {
        if (!s->attached || strcmp(s->real, f->family) != 0)
            continue;
        enum likeness like = print_intact(src, s);
        if (like == LIKE_STALE)
            track_truncated(src, s);
        if (like != LIKE_SAME)
            return false;
    }
    return true;
}

/* Comes before `s`, though its file was changed later and nothing was emitted of it. */
static bool is_too_early(struct source *src, struct stream *o, const struct stream *s)
{
    bool grown;
    struct err e;
    if (o == s || !o->attached || !o->fresh || o->offset != 0 || o->seq > s->seq ||
        strcmp(o->family, s->family) != 0)
        return false;
    if (!o->gzip && track_refresh(src, o, &grown, &e) != ERR_OK)
        src->scan_now = true; /* it was moved since */
    return is_older(age_of(s), age_of(o));
}

static struct stream *too_early(struct source *src, const struct stream *s)
{
    struct stream *first = NULL;
    for (struct stream *o = stream_first(src, BY_FAMILY, s->hash[BY_FAMILY]); o; o = o->next[BY_FAMILY])
        if (is_too_early(src, o, s) && (!first || o->seq < first->seq))
            first = o;
    return first;
}

/*
 * A file found only now may be older than one of its family that was begun, but of which nothing was emitted yet: such
 * a one comes after it.
 */
static int let_pass(struct source *src, struct stream *s, struct err *e)
{
    struct stream *o;
    while ((o = too_early(src, s)) != NULL) {
        if (print_intact(src, o) == LIKE_STALE) {
            track_truncated(src, o);
            continue;
        }
        o->seq = ++src->last_seq;
        int rc = stream_dirty(src, o, e);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static int begin(struct source *src, const struct found *f, struct probe *p, struct err *e)
{
    struct stream *s = stream_new(src, f, e);
    if (!s)
        return e->code;
    s->gzip = p->gzip;
    int rc = probe_head(src, p, s, e);
    if (rc == ERR_OK && f->from_end && f->size > 0)
        rc = probe_end(src, p, s, e);
    if (rc == ERR_OK)
        rc = stream_add(src, s, e);
    if (rc != ERR_OK) {
        stream_free(s);
        return rc;
    }
    src->h->log(src->t, LEAT_DEBUG, "%s: begun at byte %lld", f->path, (long long)s->offset);
    s->marked = src->scan_number;
    src->begun = true;
    rc = stream_attach(src, s, f, e);
    if (rc == ERR_OK)
        rc = stream_dirty(src, s, e);
    return rc == ERR_OK ? let_pass(src, s, e) : rc;
}

static int assign_probed(struct source *src, struct found *f, struct probe *p, bool *taken, bool *again,
                         struct err *e)
{
    struct stream *s = NULL;
    bool copy = false;
    if (p->gzip && src->o.gzip == GZIP_SKIP)
        return ERR_OK;
    int rc = match_inode(src, f, p, &s, e);
    if (rc == ERR_OK && !s)
        rc = match_content(src, f, p, &s, &copy, again, e);
    if (rc != ERR_OK || *again)
        return rc;
    if (s) {
        bool same_file = inode_same(&s->inode, &f->inode);
        src->h->log(src->t, LEAT_DEBUG, "%s: goes on at byte %lld of %s%s", f->path, (long long)s->offset,
                    s->path, same_file ? "" : " (by content)");
        s->gzip = p->gzip;
        *taken = true;
        rc = stream_attach(src, s, f, e);
        if (rc != ERR_OK || s->offset > 0)
            return rc;
        s->seq = ++src->last_seq; /* nothing was emitted of it: its age is that of its file now */
        rc = stream_dirty(src, s, e);
        return rc == ERR_OK ? let_pass(src, s, e) : rc;
    }
    /* An empty file of a rotated name may be a copy in its first moment. */
    if (copy || !f->primary || (f->rotated && f->size == 0) || (p->gzip && p->head_len < 18))
        return ERR_OK;
    if (f->rotated && !family_intact(src, f)) {
        *again = true;
        return ERR_OK;
    }
    *taken = true;
    return begin(src, f, p, e);
}

static int assign(struct source *src, struct found *f, struct err *e)
{
    if (is_ignored(src, f))
        return ERR_OK;
    struct probe p;
    bool again = false;
    uint64_t generation = src->generation;
    int rc = probe_open(src, &p, f, e);
    if (rc == ERR_OK) {
        rc = assign_probed(src, f, &p, &f->taken, &again, e);
        struct stream *s = f->taken && rc == ERR_OK ? attached_in(src, &f->inode) : NULL;
        if (s && s->size > s->offset)
            files_adopt(src, s, &p.fd); /* what is to be read stays readable wherever the file goes */
        probe_close(&p);
    }
    if (rc == ERR_NO_MEMORY || rc == ERR_INTERRUPTED)
        return rc;
    if (rc == ERR_NOT_FOUND) { /* moved since it was listed */
        src->scan_now = true;
        return ERR_OK;
    }
    if (rc != ERR_OK) {
        source_complain(src, f->path, e->text); /* and tried again at the next scan */
        return ERR_OK;
    }
    source_well(src, f->path);
    return f->taken || again ? ERR_OK : ignore(src, f, generation, e);
}

static int assign_all(struct source *src, struct found_list *list, struct err *e)
{
    struct found **open = mem_calloc(list->count + 1, sizeof(struct found *));
    if (!open)
        return err_nomem(e);
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].taken)
            open[n++] = &list->items[i];
    qsort(open, n, sizeof(struct found *), by_rank);
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < n && !src->scan_now; i++)
        rc = assign(src, open[i], e);
    mem_free(open);
    return rc;
}

/* ---- what is gone ----------------------------------------------------------------------------------------------- */

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
    int rc = assign(src, &f, e);
    *there = s->attached;
    if (rc == ERR_OK && s->attached) {
        s->lost = true;
        link_append(&src->pending, &s->pending);
    }
    return rc;
}

static int sweep(struct source *src, const struct found_list *list, struct err *e)
{
    int64_t now = clock_wall_ms();
    size_t gone = 0;
    struct stream *oldest = NULL;
    for (size_t i = src->stream_count; i-- > 0;) {
        struct stream *s = src->streams[i];
        if (s->attached || (list->incomplete && s->gone_ms == 0))
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

static int keep_known(struct source *src, struct found_list *list, struct err *e)
{
    for (size_t i = 0; i < list->count; i++) {
        struct stream *s = attached_in(src, &list->items[i].inode);
        int rc = s ? keep(src, s, &list->items[i], e) : ERR_OK;
        if (rc != ERR_OK)
            return rc;
    }
    for (size_t i = 0; i < src->stream_count; i++) {
        struct stream *s = src->streams[i];
        if (s->attached && s->seen != src->scan_number && !list->incomplete)
            lose(src, s);
    }
    return ERR_OK;
}

static int mark_started(struct source *src, const struct found_list *list, struct err *e)
{
    for (size_t i = 0; !list->incomplete && i < src->o.pattern_count; i++)
        if (!src->o.patterns[i].started && state_mark_started(src, &src->o.patterns[i]) != LEAT_OK)
            return err_set(e, ERR_TASK, "cannot store that a path was looked at");
    return ERR_OK;
}

static void note_sound(struct source *src, const struct found_list *list)
{
    for (size_t i = 0; i < src->stream_count; i++)
        if (src->streams[i]->attached && !scan_is_torn(list, src->streams[i]))
            src->streams[i]->sound = src->scan_number;
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
        note_sound(src, &list);
    if (done)
        rc = sweep(src, &list, e);
    if (done && rc == ERR_OK)
        rc = mark_started(src, &list, e);
    prune_ignored(src);
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
