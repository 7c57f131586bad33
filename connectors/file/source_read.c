/*
 * A stream's turn: reads at most one window of its file from its position on, emits, moves the position.
 *
 * Every read begins a little before the position and is compared with what was there, and is compared again after
 * the read, so that a file truncated and written anew, even beyond the position, even meanwhile, is noticed.
 */
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "connectors/file/source.h"

static int memory(struct source *src, const struct stream *s)
{
    return src->h->fail(src->t, LEAT_RETRY, "%s: out of memory", s->path);
}

/* The file cannot be read now. The stream stays; a later scan or its next turn tries again. */
static int trouble(struct source *src, struct stream *s, int rc, const struct err *e, enum turn *turn)
{
    *turn = TURN_IDLE;
    if (rc == ERR_NO_MEMORY)
        return memory(src, s);
    if (rc == ERR_NOT_FOUND) { /* moved or gone since the scan */
        *turn = TURN_BLOCKED;
        src->scan_now = true;
        return LEAT_OK;
    }
    source_complain(src, s->path, e->text);
    s->trouble = true;
    s->damaged = rc == ERR_CORRUPT;
    return LEAT_OK;
}

/* `data` lies at the position and `before` bytes of the file lie before it in memory. */
static int advance(struct source *src, struct stream *s, const uint8_t *data, size_t before, size_t used)
{
    struct err e;
    const uint8_t *end = data + used;
    size_t n = before + used < PRINT_TAIL_MAX ? before + used : PRINT_TAIL_MAX;
    s->offset += (int64_t)used;
    s->fresh = false;
    if (s->trouble)
        source_well(src, s->path);
    s->trouble = false;
    s->tail = print_of(end - n, n);
    return stream_dirty(src, s, &e) == ERR_OK ? LEAT_OK : memory(src, s);
}

/* The first bytes, as far as they are there: file or memory that begins at offset 0. */
static void grow_head(struct stream *s, const uint8_t *from_start, size_t n)
{
    if (s->head.len < PRINT_HEAD_MAX && n > s->head.len)
        stream_head(s, from_start, n < PRINT_HEAD_MAX ? n : PRINT_HEAD_MAX);
}

/* The end of the file was met at `size`, which a scan has not seen yet. */
static void note_size(struct stream *s, int64_t size)
{
    if (s->size == size)
        return;
    s->size = size;
    s->mtime_ns = 0;
    s->grown_ms = clock_mono_ms();
    s->flushed = FRAME_KEEP;
}

/* What remains at the end of the file and what may complete it. */
static void note_rest(struct source *src, struct stream *s, size_t rest)
{
    s->partial = rest;
    if (s->flush > s->flushed)
        s->flushed = s->flush;
    s->flush = FRAME_KEEP;
    if (rest > 0 || s->lost)
        link_append(&src->pending, &s->pending);
    else
        link_remove(&s->pending);
}

/* ---- plain files ------------------------------------------------------------------------------------------------ */

static bool window_grow(struct source *src)
{
    size_t size = src->window_size * 2, need = frame_need(&src->o.framing);
    if (size > need + WINDOW_BYTES)
        size = need + WINDOW_BYTES;
    uint8_t *grown = mem_realloc(src->window, size + PRINT_TAIL_MAX);
    if (!grown)
        return false;
    src->window = grown;
    src->window_size = size;
    return true;
}

/* After a long line the memory goes back. */
static void window_shrink(struct source *src)
{
    if (src->window_size == WINDOW_BYTES)
        return;
    uint8_t *smaller = mem_realloc(src->window, WINDOW_BYTES + PRINT_TAIL_MAX);
    if (!smaller)
        return;
    src->window = smaller;
    src->window_size = WINDOW_BYTES;
}

/* Is the file's content at the window's place still what the window says? */
static int verify(struct source *src, struct stream *s, int64_t from, size_t got, bool *same, struct err *e)
{
    uint8_t again[PRINT_HEAD_MAX];
    size_t n = got < sizeof(again) ? got : sizeof(again), n_again;
    int rc = io_pread_some(s->fd, again, n, from, &n_again, s->real, e);
    *same = rc == ERR_OK && n_again == n && memcmp(again, src->window, n) == 0;
    return rc;
}

/* Fills the window. *fits: the bytes before the position are what they were. */
static int window_read(struct source *src, struct stream *s, size_t *got, bool *fits, struct err *e)
{
    size_t tail = s->tail.len;
    int64_t from = s->offset - (int64_t)tail;
    *fits = false;
    int rc = io_pread_some(s->fd, src->window, tail + src->window_size, from, got, s->real, e);
    if (rc != ERR_OK || *got < tail || !print_matches(&s->tail, src->window))
        return rc;
    if (from == 0 && (*got < s->head.len || !print_matches(&s->head, src->window)))
        return rc;
    return *got > tail ? verify(src, s, from, *got, fits, e) : (*fits = true, rc);
}

/* As long as the head is short it is read again with each turn; never for long, as it grows with the file. */
static int head_read(struct source *src, struct stream *s, size_t got, struct err *e)
{
    if (s->head.len == PRINT_HEAD_MAX)
        return ERR_OK;
    if (s->offset == (int64_t)s->tail.len) {
        if (s->head.len == 0 && got > 0)
            s->marked = src->scan_number;
        grow_head(s, src->window, got);
        return ERR_OK;
    }
    uint8_t head[PRINT_HEAD_MAX];
    size_t n;
    int rc = io_pread_some(s->fd, head, sizeof(head), 0, &n, s->real, e);
    if (rc == ERR_OK && n >= s->head.len && print_matches(&s->head, head))
        grow_head(s, head, n);
    return rc;
}

static int turn_plain(struct source *src, struct stream *s, enum turn *turn)
{
    struct err e;
    size_t n = 0, used = 0;
    bool fits = false, full = false, at_end = false;
    int rc = files_open(src, s, &e);
    while (rc == ERR_OK) {
        size_t got = 0, tail = s->tail.len;
        rc = window_read(src, s, &got, &fits, &e);
        if (rc == ERR_OK && fits)
            rc = head_read(src, s, got, &e);
        if (rc != ERR_OK || !fits)
            break;
        const uint8_t *data = src->window + tail;
        n = got - tail;
        if (s->fresh && !stream_placed(src, s)) { /* it was empty before */
            *turn = TURN_AGAIN;
            return LEAT_OK;
        }
        at_end = n < src->window_size;
        int result = emit_bytes(src, s, data, n, at_end, &used, &full);
        if (result == LEAT_OK && used > 0)
            result = advance(src, s, data, tail, used);
        if (result != LEAT_OK)
            return result;
        if (used > 0 || full || at_end)
            break;
        if (!window_grow(src))
            return memory(src, s);
    }
    if (rc != ERR_OK)
        return trouble(src, s, rc, &e, turn);
    if (!fits) {
        track_truncated(src, s);
        *turn = TURN_IDLE;
        return LEAT_OK;
    }
    window_shrink(src);
    if (at_end && !full) {
        note_size(s, s->offset + (int64_t)(n - used));
        note_rest(src, s, n - used);
    }
    *turn = full ? TURN_FULL : at_end ? TURN_IDLE : TURN_AGAIN;
    return LEAT_OK;
}

/* ---- compressed files ------------------------------------------------------------------------------------------- */

static void unpack_release(struct unpack *u)
{
    gunzip_free(u->reader);
    mem_free(u->data);
    memset(u, 0, sizeof(*u));
}

static int unpack_more(struct unpack *u, const struct stream *s, struct err *e)
{
    size_t got = 0;
    enum gunzip_state state;
    int rc = gunzip_read(u->reader, s->fd, s->real, u->data + u->len, u->room - u->len, &got, &state, e);
    u->len += got;
    u->ended = state == GUNZIP_END;
    u->stuck = state == GUNZIP_SHORT;
    return rc;
}

/* Drops what lies before `from`. */
static void unpack_drop(struct unpack *u, int64_t from)
{
    size_t n = from - u->base < (int64_t)u->len ? (size_t)(from - u->base) : u->len;
    memmove(u->data, u->data + n, u->len - n);
    u->len -= n;
    u->base += (int64_t)n;
}

/* Makes the stream the one that is uncompressed, up to where its position is. *fits: its bytes were met there. */
static int unpack_acquire(struct source *src, struct stream *s, bool *fits, struct err *e)
{
    struct unpack *u = &src->unpack;
    *fits = true;
    if (u->owner == s)
        return ERR_OK;
    unpack_release(u);
    u->room = WINDOW_BYTES + PRINT_TAIL_MAX;
    u->reader = gunzip_new();
    u->data = mem_alloc(u->room);
    if (!u->reader || !u->data)
        return err_nomem(e);
    int64_t from = s->offset - s->tail.len;
    int rc = ERR_OK;
    while (rc == ERR_OK && !u->ended && !u->stuck && u->base + (int64_t)u->len < s->offset) {
        unpack_drop(u, from);
        rc = unpack_more(u, s, e);
        if (rc == ERR_OK && src->h->stopping(src->t))
            rc = err_set(e, ERR_INTERRUPTED, "stopped");
    }
    unpack_drop(u, from);
    *fits = u->base == from && u->len >= s->tail.len && print_matches(&s->tail, u->data);
    if (rc == ERR_OK && *fits)
        u->owner = s;
    return rc;
}

/* One window of an acquired stream. */
static int unpack_emit(struct source *src, struct stream *s, enum turn *turn, struct err *e, int *result)
{
    struct unpack *u = &src->unpack;
    unpack_drop(u, s->offset - s->tail.len);
    if (u->len == u->room) {
        size_t room = u->room * 2;
        uint8_t *grown = mem_realloc(u->data, room);
        if (!grown)
            return err_nomem(e);
        u->data = grown;
        u->room = room;
    }
    int rc = unpack_more(u, s, e);
    if (rc != ERR_OK)
        return rc;
    size_t before = (size_t)(s->offset - u->base), n = u->len - before, used = 0;
    bool full = false;
    if (u->base == 0)
        grow_head(s, u->data, u->len);
    if (u->ended)
        s->flush = FRAME_ALL;
    *result = emit_bytes(src, s, u->data + before, n, u->ended || u->stuck, &used, &full);
    if (*result == LEAT_OK && used > 0)
        *result = advance(src, s, u->data + before, before, used);
    *turn = full ? TURN_FULL : TURN_AGAIN;
    if (*result != LEAT_OK || full || (used > 0 && used < n) || !(u->ended || u->stuck))
        return ERR_OK;
    if (gunzip_trailing(u->reader))
        src->h->log(src->t, LEAT_WARN, "%s: what stands behind the gzip data is passed over", s->path);
    s->complete = u->ended;
    note_rest(src, s, n - used);
    unpack_release(u);
    *turn = TURN_IDLE;
    return ERR_OK;
}

static int turn_gzip(struct source *src, struct stream *s, enum turn *turn)
{
    struct err e;
    bool fits = true;
    int result = LEAT_OK;
    *turn = TURN_BLOCKED;
    if (src->unpack.owner && src->unpack.owner != s)
        return LEAT_OK;
    int rc = files_open(src, s, &e);
    if (rc == ERR_OK)
        rc = unpack_acquire(src, s, &fits, &e);
    if (rc == ERR_OK && fits)
        rc = unpack_emit(src, s, turn, &e, &result);
    if (rc == ERR_OK && fits)
        return result;
    unpack_release(&src->unpack);
    *turn = TURN_IDLE;
    if (rc == ERR_INTERRUPTED)
        return LEAT_OK;
    if (rc == ERR_OK)
        track_truncated(src, s);
    return rc == ERR_OK ? LEAT_OK : trouble(src, s, rc, &e, turn);
}

/* ---- order within a family -------------------------------------------------------------------------------------- */

/*
 * An older stream of the same family with something left to read. What was written to it before `s` was begun is known: a scan
 * has looked at its size since (stream_placed), and if there was more it waits in the queue.
 */
static bool holds_back(struct source *src, const struct stream *s, const struct stream *older)
{
    if (older == s || !older->attached || older->trouble || older->seq > s->seq ||
        strcmp(older->family, s->family) != 0)
        return false;
    if (!link_alone(&older->queue))
        return true;
    return older->partial > 0 && stream_rotated(older) && older->flushed != FRAME_ALL &&
           clock_mono_ms() - older->grown_ms < src->o.rotate_ms;
}

/*
 * What was written before a rotation comes before what was written after. Between the listing of a directory and the first
 * look into a file it may have been rotated; only a listing after that look is sure to show what came before it.
 */
static bool must_wait(struct source *src, const struct stream *s)
{
    if (!stream_placed(src, s)) {
        src->scan_now = true;
        return true;
    }
    for (struct stream *o = stream_first(src, BY_FAMILY, s->hash[BY_FAMILY]); o; o = o->next[BY_FAMILY])
        if (holds_back(src, s, o))
            return true;
    return false;
}

int read_turn(struct source *src, struct stream *s, enum turn *turn)
{
    if (s->fresh && must_wait(src, s)) {
        *turn = TURN_BLOCKED;
        return LEAT_OK;
    }
    return s->gzip ? turn_gzip(src, s, turn) : turn_plain(src, s, turn);
}
