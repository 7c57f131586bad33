/*
 * Which stream does a file hold that a scan found and that is not known by its inode? In this order: a stored one of that
 * inode whose bytes are there; one of the same family (see name_live) whose bytes are there and whose own file is gone; none,
 * because it is a copy of a stream that we read elsewhere; a new one.
 */
#include <string.h>

#include "base/mem.h"
#include "connectors/file/source.h"

#define GZIP_MIN 18 /* bytes of the shortest gzip file; before it has them its content says nothing */

/* ---- files that hold nothing ------------------------------------------------------------------------------------ */

/* Why a file holds nothing to read; looked at again when the file or the streams have changed. */
struct ignored {
    int64_t size, mtime_ns;
    uint64_t generation, seen;
    struct stream
        *original; /* of which it is a copy; there as long as the generation is the same. NULL: of none */
};

/* Remembers that the file held nothing when the streams were as in `generation`. */
static int ignore(struct source *src, const struct found *f, uint64_t generation, struct stream *original,
                  struct err *e)
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
    *i = (struct ignored){f->size, f->mtime_ns, generation, src->scan_number, original};
    return original && original->lost ? order_twin(original, f->real, e) : ERR_OK;
}

/* Was it ignored and nothing has changed since? A copy may tell where its original would be by now. */
static int is_ignored(struct source *src, const struct found *f, bool *yes, struct err *e)
{
    uint64_t key[2] = {f->inode.dev, f->inode.ino};
    struct ignored *i = map_get(src->ignored, key, sizeof(key));
    *yes = i && i->size == f->size && i->mtime_ns == f->mtime_ns && i->generation == src->generation;
    if (!*yes)
        return ERR_OK;
    i->seen = src->scan_number;
    return i->original && i->original->lost ? order_twin(i->original, f->real, e) : ERR_OK;
}

void ignore_prune(struct source *src)
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

/* ---- likeness --------------------------------------------------------------------------------------------------- */

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

/*
 * Worth a comparison: rotation may have made this file of the stream's; or it was put in its place as a whole. A compressed
 * one that is not to be read may still tell where a file belongs that waits to be read and has no name any more.
 */
static bool may_hold(const struct source *src, const struct found *f, const struct probe *p,
                     const struct stream *s)
{
    if (strcmp(f->aside ? name_of(s->family) : s->family, f->aside ? name_of(f->family) : f->family) != 0)
        return false;
    if (p->gzip && src->o.gzip == GZIP_SKIP)
        return s->attached && s->lost && s->offset == 0;
    if (strcmp(s->real, f->real) != 0)
        return f->rotated || p->gzip;
    return !s->attached && s->head.len == PRINT_HEAD_MAX && !inode_same(&s->inode, &f->inode);
}

/* What is known of a file that was looked into. */
struct verdict {
    struct stream *holder;   /* its stream */
    struct stream *original; /* an attached stream of which it is a copy */
    struct stream *copied;   /* one whose file is gone, of which it is a copy with less than was emitted */
    bool again;              /* nothing may be concluded now */
};

static int match_content(struct source *src, const struct found *f, struct probe *p, struct verdict *v,
                         struct err *e)
{
    enum stream_table k = f->aside ? BY_NAME : BY_FAMILY; /* aside, whatever the directory */
    const char *key = f->aside ? name_of(f->family) : f->family;
    for (struct stream *s = stream_first(src, k, hash64(key, strlen(key))); s; s = s->next[k]) {
        enum likeness like = UNLIKE;
        if (!may_hold(src, f, p, s))
            continue;
        int rc = probe_likeness(src, p, s, &like, e);
        if (rc != ERR_OK)
            return rc;
        if (like == LIKE_COPY && s->listed == src->scan_number)
            like = LIKE_UNKNOWN; /* its own file is there, and comes first */
        if (like == LIKE_STALE)
            track_truncated(src, s);
        if (like == LIKE_STALE || like == LIKE_UNKNOWN) {
            v->again = true;
            return ERR_OK;
        }
        if (like == LIKE_COPY && strcmp(s->real, f->real) != 0 &&
            (!v->copied || s->offset > v->copied->offset))
            v->copied = s;
        else if (s->attached && like == LIKE_SAME)
            v->original = s;
        else if (like == LIKE_SAME && (!v->holder || s->offset > v->holder->offset))
            v->holder = s;
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

/* Keeps what is known of a copy for the time when the stream's own file is truncated. */
static int note_copy(struct source *src, const struct probe *p, struct stream *s, struct err *e)
{
    if (p->copy.size == 0 || (s->copy.size == p->copy.size && s->copy.tail.hash == p->copy.tail.hash))
        return ERR_OK;
    s->copy = p->copy;
    return stream_dirty(src, s, e);
}

/* The stream is in a copy from now on that does not have all that was emitted: what it lacks is in no file any more. */
static int go_back(struct source *src, struct probe *p, struct stream *s, struct err *e)
{
    int rc = probe_head(src, p, s, e);
    if (rc != ERR_OK)
        return rc;
    if (s->offset > p->copy.size) {
        s->offset = p->copy.size;
        s->tail = p->copy.tail;
        s->mid = false;
    }
    s->copy = (struct copy){0};
    return stream_dirty(src, s, e);
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
    return rc == ERR_OK ? stream_dirty(src, s, e) : rc;
}

static int match_probed(struct source *src, struct found *f, struct probe *p, struct verdict *v,
                        struct err *e)
{
    bool skipped = p->gzip && src->o.gzip == GZIP_SKIP;
    int rc = skipped ? ERR_OK : match_inode(src, f, p, &v->holder, e);
    if (rc == ERR_OK && !v->holder)
        rc = match_content(src, f, p, v, e);
    if (rc == ERR_OK && !v->again && v->original && f->primary)
        rc = note_copy(src, p, v->original, e);
    if (rc == ERR_OK && !v->again && !v->holder && !v->original && v->copied && f->primary) {
        rc = go_back(src, p, v->copied, e);
        v->holder = v->copied;
    }
    if (rc != ERR_OK || v->again)
        return rc;
    struct stream *s = v->holder;
    if (s) {
        bool same_file = inode_same(&s->inode, &f->inode);
        src->h->log(src->t, LEAT_DEBUG, "%s: goes on at byte %lld of %s%s", f->path, (long long)s->offset,
                    s->path, same_file ? "" : " (by content)");
        s->gzip = p->gzip;
        f->taken = true;
        rc = stream_claims(s, f, e);
        return rc == ERR_OK ? stream_attach(src, s, f, e) : rc;
    }
    /* An empty file of a rotated name may be a copy in its first moment. */
    if (skipped || v->original || !f->primary || (f->rotated && f->size == 0) ||
        (p->gzip && p->head_len < GZIP_MIN))
        return ERR_OK;
    if (f->rotated && !family_intact(src, f)) {
        v->again = true;
        return ERR_OK;
    }
    f->taken = true;
    return begin(src, f, p, e);
}

int match_file(struct source *src, struct found *f, struct err *e)
{
    bool ignored;
    int rc = is_ignored(src, f, &ignored, e);
    if (rc != ERR_OK || ignored)
        return rc;
    struct probe p;
    struct verdict v = {0};
    uint64_t generation = src->generation;
    rc = probe_open(src, &p, f, e);
    if (rc == ERR_OK) {
        rc = match_probed(src, f, &p, &v, e);
        struct stream *s = f->taken && rc == ERR_OK ? stream_attached_in(src, &f->inode) : NULL;
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
    return f->taken || v.again ? ERR_OK : ignore(src, f, generation, v.original, e);
}
