/*
 * Streams: their life, and the tables that find them by inode, family and path. Tables are intrusive, so that putting
 * a stream into one cannot fail.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "connectors/file/source.h"

void link_init(struct link *l)
{
    l->prev = l->next = l;
}

bool link_alone(const struct link *l)
{
    return l->next == l;
}

void link_remove(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    link_init(l);
}

void link_append(struct link *head, struct link *l)
{
    link_remove(l);
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

void link_prepend(struct link *head, struct link *l)
{
    link_append(head->next, l);
}

bool inode_same(const struct inode *a, const struct inode *b)
{
    return a->dev == b->dev && a->ino == b->ino && (a->born == b->born || a->born == 0 || b->born == 0);
}

uint64_t stream_inode_hash(const struct inode *i)
{
    uint64_t key[2] = {i->dev, i->ino};
    return hash64(key, sizeof(key));
}

/* ---- tables ----------------------------------------------------------------------------------------------------- */

struct stream *stream_first(struct source *src, enum stream_table k, uint64_t hash)
{
    return src->buckets[k][hash % STREAM_BUCKETS];
}

static void table_add(struct source *src, struct stream *s, enum stream_table k, uint64_t hash)
{
    struct stream **bucket = &src->buckets[k][hash % STREAM_BUCKETS];
    s->hash[k] = hash;
    s->next[k] = *bucket;
    *bucket = s;
}

static void table_remove(struct source *src, struct stream *s, enum stream_table k)
{
    struct stream **at = &src->buckets[k][s->hash[k] % STREAM_BUCKETS];
    while (*at && *at != s)
        at = &(*at)->next[k];
    if (*at)
        *at = s->next[k];
}

static void tables_add(struct source *src, struct stream *s)
{
    table_add(src, s, BY_INODE, stream_inode_hash(&s->inode));
    table_add(src, s, BY_FAMILY, hash64(s->family, strlen(s->family)));
    const char *name = name_of(s->family);
    table_add(src, s, BY_NAME, hash64(name, strlen(name)));
    table_add(src, s, BY_REAL, hash64(s->real, strlen(s->real)));
}

static void tables_remove(struct source *src, struct stream *s)
{
    for (int k = 0; k < STREAM_TABLES; k++)
        table_remove(src, s, k);
}

struct stream *stream_attached_in(struct source *src, const struct inode *inode)
{
    uint64_t hash = stream_inode_hash(inode);
    for (struct stream *s = stream_first(src, BY_INODE, hash); s; s = s->next[BY_INODE])
        if (s->attached && inode_same(&s->inode, inode))
            return s;
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static struct stream *stream_alloc(void)
{
    struct stream *s = mem_calloc(1, sizeof(*s));
    if (s) {
        s->fd = -1;
        link_init(&s->queue);
        link_init(&s->lru);
        link_init(&s->pending);
    }
    return s;
}

struct stream *stream_new(struct source *src, const struct found *f, struct err *e)
{
    struct stream *s = stream_alloc();
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    uint64_t now = (uint64_t)clock_wall_ms();
    s->seq = src->last_seq = now > src->last_seq ? now : src->last_seq + 1;
    snprintf(s->id, sizeof(s->id), "%" PRIx64 "-%" PRIx64 "-%" PRIx64, f->inode.dev, f->inode.ino, s->seq);
    s->inode = f->inode;
    s->origin = mem_strdup(f->path);
    s->path = mem_strdup(f->path);
    s->real = mem_strdup(f->real);
    s->family = mem_strdup(f->family);
    if (s->origin && s->path && s->real && s->family)
        return s;
    stream_free(s);
    err_nomem(e);
    return NULL;
}

struct stream *stream_restore(const char *id, struct err *e)
{
    struct stream *s = stream_alloc();
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    snprintf(s->id, sizeof(s->id), "%s", id);
    return s;
}

void stream_free(struct stream *s)
{
    if (!s)
        return;
    mem_free(s->origin);
    mem_free(s->path);
    mem_free(s->real);
    mem_free(s->family);
    mem_free(s->twin);
    mem_free(s);
}

int stream_add(struct source *src, struct stream *s, struct err *e)
{
    if (src->stream_count == src->stream_room) {
        size_t room = src->stream_room ? src->stream_room * 2 : 64;
        struct stream **grown = mem_realloc_array(src->streams, room, sizeof(struct stream *));
        if (!grown)
            return err_nomem(e);
        src->streams = grown;
        src->stream_room = room;
    }
    if (s->seq > src->last_seq)
        src->last_seq = s->seq;
    s->index = src->stream_count;
    src->streams[src->stream_count++] = s;
    tables_add(src, s);
    return ERR_OK;
}

void stream_remove(struct source *src, struct stream *s)
{
    stream_detach(src, s);
    tables_remove(src, s);
    for (size_t i = 0; s->dirty && i < src->dirty_count; i++)
        if (src->dirty[i] == s)
            src->dirty[i] = src->dirty[--src->dirty_count];
    struct stream *last = src->streams[--src->stream_count];
    src->streams[s->index] = last;
    last->index = s->index;
    stream_free(s);
}

int stream_claims(const struct stream *s, struct found *f, struct err *e)
{
    if (!f->aside || strcmp(s->family, f->family) == 0)
        return ERR_OK;
    char *family = mem_strdup(s->family);
    if (!family)
        return err_nomem(e);
    mem_free(f->family);
    f->family = family;
    return ERR_OK;
}

int stream_moved(struct source *src, struct stream *s, const struct found *f, struct err *e)
{
    char *path = mem_strdup(f->path), *real = mem_strdup(f->real), *family = mem_strdup(f->family);
    if (!path || !real || !family) {
        mem_free(path);
        mem_free(real);
        mem_free(family);
        return err_nomem(e);
    }
    tables_remove(src, s);
    mem_free(s->path);
    mem_free(s->real);
    mem_free(s->family);
    s->path = path;
    s->real = real;
    s->family = family;
    s->inode = f->inode;
    tables_add(src, s);
    return stream_dirty(src, s, e);
}

void stream_head(struct stream *s, const void *data, size_t n)
{
    s->head = print_of(data, n);
    s->first_len = n < FIRST_BYTES ? n : FIRST_BYTES;
    memcpy(s->first, data, s->first_len);
}

int stream_attach(struct source *src, struct stream *s, const struct found *f, struct err *e)
{
    if (strcmp(s->path, f->path) != 0 || strcmp(s->real, f->real) != 0 || !inode_same(&s->inode, &f->inode) ||
        s->gone_ms != 0) {
        int rc = stream_moved(src, s, f, e);
        if (rc != ERR_OK)
            return rc;
    }
    mem_free(s->twin);
    s->twin = NULL;
    s->attached = true;
    s->fresh = true;
    s->lost = s->complete = s->trouble = s->damaged = false;
    s->gone_ms = 0;
    s->seen = src->scan_number;
    s->size = f->size;
    s->mtime_ns = f->mtime_ns;
    s->grown_ms = clock_mono_ms();
    s->flush = s->flushed = FRAME_KEEP;
    stream_enqueue(src, s);
    return ERR_OK;
}

void stream_detach(struct source *src, struct stream *s)
{
    files_close(src, s);
    if (src->unpack.owner == s)
        src->unpack.owner = NULL;
    link_remove(&s->queue);
    link_remove(&s->pending);
    s->attached = s->lost = s->trouble = false;
    s->partial = 0;
    src->generation++;
}

void stream_enqueue(struct source *src, struct stream *s)
{
    if (s->attached && link_alone(&s->queue))
        link_append(&src->queue, &s->queue);
}

int stream_dirty(struct source *src, struct stream *s, struct err *e)
{
    if (s->dirty)
        return ERR_OK;
    if (src->dirty_count == src->dirty_room) {
        size_t room = src->dirty_room ? src->dirty_room * 2 : 64;
        struct stream **grown = mem_realloc_array(src->dirty, room, sizeof(struct stream *));
        if (!grown)
            return err_nomem(e);
        src->dirty = grown;
        src->dirty_room = room;
    }
    src->dirty[src->dirty_count++] = s;
    s->dirty = true;
    return ERR_OK;
}

/*
 * A scan before the look at its first bytes may have missed an older file, as the file may have been rotated between. If
 * no scan is sound for long, as files are renamed faster than they can be opened, order is given up for progress.
 */
bool stream_placed(const struct source *src, const struct stream *s)
{
    uint64_t since = s->marked > s->sound ? s->marked : s->sound;
    return s->sound > s->marked || src->scan_number > since + UNSOUND_MAX;
}

bool stream_rotated(const struct stream *s)
{
    return s->lost || s->complete || strcmp(s->path, s->origin) != 0;
}
