/*
 * kept_log: the segments. Records are appended to the last one through a buffer; when it is full a new one begins, with all
 * notes at its head. When there are too many the oldest goes out of use: if less than half of its values still count they are
 * written once more, else they go. The order matters: a removal may only be forgotten when all before it are.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "kit/kept/kept_impl.h"

#define OUT_BYTES ((size_t)256 << 10)
#define WINDOW_BYTES ((size_t)64 << 10)

char *kept_path(const struct kept *k, uint32_t no)
{
    return mem_printf("%s/log-%010" PRIu32, k->dir, no);
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

int kept_bytes(struct kept *k, uint64_t at, void *data, size_t n, struct err *e)
{
    struct kept_segment *s = kept_segment_of(k, at);
    uint32_t offset = (uint32_t)at;
    size_t buffered = s == kept_current(k) ? k->out.len : 0;
    uint32_t written = s->size - (uint32_t)buffered;
    if (n == 0)
        return ERR_OK;
    if (offset < written)
        return io_pread(s->fd, data, n, offset, k->dir, e);
    if (n > buffered - (offset - written))
        return err_set(e, ERR_CORRUPT, "a kept value ends behind its log");
    memcpy(data, k->out.data + (offset - written), n);
    return ERR_OK;
}

/* Makes window what stands at `offset`, `need` bytes or as many as there are. */
static int look(struct kept *k, const struct kept_segment *s, uint32_t offset, size_t need, struct err *e)
{
    size_t n = need > WINDOW_BYTES ? need : WINDOW_BYTES;
    if (n > s->size - offset)
        n = s->size - offset;
    buf_reset(&k->window);
    if (buf_reserve(&k->window, n, e) != ERR_OK)
        return e->code;
    k->window.len = n;
    return io_pread(s->fd, k->window.data, n, offset, k->dir, e);
}

static int corrupt(const struct kept_segment *s, uint32_t offset, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "log-%010" PRIu32 " is damaged at byte %" PRIu32, s->no, offset);
}

int kept_scan(struct kept *k, const struct kept_segment *s,
              int (*each)(void *arg, const struct kept_record *r, uint64_t at, struct err *e), void *arg,
              struct err *e)
{
    uint32_t offset = KEPT_SEGMENT_HEAD, begin = offset; /* begin: of the window */
    buf_reset(&k->window);
    while (offset < s->size) {
        struct kept_record r;
        size_t need, at = offset - begin, left = at < k->window.len ? k->window.len - at : 0;
        const uint8_t *p = left ? k->window.data + at : NULL;
        int rc = kept_record_decode(p, left, kept_seed(k->id, s->no, offset), &r, &need, e);
        if (rc == ERR_TRUNCATED && need <= s->size - offset && need > left) {
            if (look(k, s, offset, need, e) != ERR_OK)
                return e->code;
            begin = offset;
            continue;
        }
        if (rc != ERR_OK || kept_record_size(&r) > s->size - offset)
            return corrupt(s, offset, e);
        rc = each(arg, &r, (uint64_t)s->no << 32 | offset, e);
        if (rc != ERR_OK)
            return rc;
        offset += (uint32_t)kept_record_size(&r);
    }
    return ERR_OK;
}

/* ---- writing -------------------------------------------------------------------------------------------------------- */

int kept_flush(struct kept *k, struct err *e)
{
    if (!k->out.len)
        return ERR_OK;
    struct kept_segment *s = kept_current(k);
    int rc = io_pwrite(s->fd, k->out.data, k->out.len, s->size - (uint32_t)k->out.len, k->dir, e);
    buf_reset(&k->out);
    return rc;
}

static int put_bytes(struct kept *k, const void *data, size_t n, struct err *e)
{
    struct kept_segment *s = kept_current(k);
    int rc = k->out.len + n > OUT_BYTES ? kept_flush(k, e) : ERR_OK;
    if (rc == ERR_OK)
        rc = n > OUT_BYTES ? io_pwrite(s->fd, data, n, s->size, k->dir, e) : buf_append(&k->out, data, n, e);
    if (rc == ERR_OK)
        s->size += (uint32_t)n;
    return rc;
}

/* At the end of the last segment, where there is room. */
static int put_record(struct kept *k, struct kept_record *r, const void *value, uint64_t *at, struct err *e)
{
    uint8_t head[KEPT_RECORD_HEAD];
    struct kept_segment *s = kept_current(k);
    *at = (uint64_t)s->no << 32 | s->size;
    r->value_crc = crc32c(0, value, r->value_len);
    kept_record_encode(r, kept_seed(k->id, s->no, s->size), head);
    k->touched = true;
    /* What is in the buffer is so in one piece: kept_bytes counts on it. */
    int rc = k->out.len + kept_record_size(r) > OUT_BYTES ? kept_flush(k, e) : ERR_OK;
    if (rc == ERR_OK)
        rc = put_bytes(k, head, sizeof head, e);
    if (rc == ERR_OK && r->key_len)
        rc = put_bytes(k, r->key, r->key_len, e);
    if (rc == ERR_OK && r->value_len)
        rc = put_bytes(k, value, r->value_len, e);
    s->puts += r->type == KEPT_PUT;
    return rc;
}

int kept_add_segment(struct kept *k, uint32_t no, int fd, uint32_t size, struct err *e)
{
    if (k->count == k->room) {
        size_t room = k->room ? k->room * 2 : 8;
        struct kept_segment *grown = mem_realloc_array(k->segments, room, sizeof *grown);
        if (!grown)
            return err_nomem(e);
        k->segments = grown;
        k->room = room;
    }
    k->segments[k->count++] =
        (struct kept_segment){.no = no, .size = size, .fd = fd, .retired_in = UINT64_MAX};
    return ERR_OK;
}

static int put_notes(struct kept *k, struct err *e)
{
    size_t pos = 0, n;
    const void *table;
    void *value;
    int rc = ERR_OK;
    while (rc == ERR_OK && map_next(k->notes, &pos, &table, &n, &value)) {
        const struct kept_noted_bytes *b = value;
        struct kept_record r = {.type = KEPT_NOTE, .value_len = (uint32_t)b->n};
        uint64_t at;
        memcpy(&r.table, table, sizeof r.table);
        rc = put_record(k, &r, b->data, &at, e);
    }
    return rc;
}

static int new_segment(struct kept *k, struct err *e)
{
    uint8_t head[KEPT_SEGMENT_HEAD];
    uint32_t no = k->count ? kept_current(k)->no + 1 : 1, previous = k->count ? kept_current(k)->size : 0;
    int fd = -1, rc = k->count ? kept_flush(k, e) : ERR_OK;
    char *path = kept_path(k, no);
    if (rc == ERR_OK)
        rc = path ? io_open(&fd, path, O_RDWR | O_CREAT | O_EXCL, 0600, e) : err_nomem(e);
    mem_free(path);
    if (rc == ERR_OK && (rc = kept_add_segment(k, no, fd, 0, e)) != ERR_OK)
        io_close(fd);
    if (rc != ERR_OK)
        return rc;
    kept_segment_encode(k->id, no, previous, head);
    rc = put_bytes(k, head, sizeof head, e);
    return rc == ERR_OK ? put_notes(k, e) : rc;
}

int kept_make(struct kept *k, struct err *e)
{
    int rc = kept_marks_make(k, e);
    if (rc == ERR_OK)
        rc = new_segment(k, e);
    k->made = rc == ERR_OK;
    return rc;
}

/* ---- segments that go ------------------------------------------------------------------------------------------------ */

struct retiring {
    struct kept *k;
    bool copy;
};

static void drop(struct kept *k, struct kept_slot *s)
{
    kept_index_remove(&k->index, s);
    k->dropped++;
}

/* Writes the value once more. False: it cannot be read, or there is no room left. */
static int copy_value(struct kept *k, const struct kept_record *r, uint64_t from, bool *copied, uint64_t *at,
                      struct err *e)
{
    struct kept_record again = *r;
    *copied = false;
    if (kept_current(k)->size + kept_record_size(r) > k->segment_bytes / 4 * 3)
        return ERR_OK;
    buf_reset(&k->copy);
    if (buf_reserve(&k->copy, r->value_len + 1, e) != ERR_OK ||
        kept_bytes(k, from + KEPT_RECORD_HEAD + r->key_len, k->copy.data, r->value_len, e) != ERR_OK)
        return e->code;
    if (crc32c(0, k->copy.data, r->value_len) != r->value_crc) {
        k->damaged++;
        return ERR_OK;
    }
    *copied = true;
    return put_record(k, &again, k->copy.data, at, e);
}

static int retire_record(void *arg, const struct kept_record *r, uint64_t at, struct err *e)
{
    struct retiring *x = arg;
    struct kept_slot *slot = r->type == KEPT_PUT ? kept_index_find(&x->k->index, r->hash) : NULL;
    if (!slot || slot->at != at)
        return ERR_OK;
    bool copied = false;
    uint64_t now;
    if (x->copy && copy_value(x->k, r, at, &copied, &now, e) != ERR_OK)
        return e->code;
    if (!copied) {
        drop(x->k, slot);
        return ERR_OK;
    }
    slot->at = now;
    kept_current(x->k)->live++;
    return ERR_OK;
}

static int retire(struct kept *k, bool may_copy, struct err *e)
{
    struct kept_segment *s = &k->segments[k->retired];
    struct retiring x = {k, may_copy && s->live * 2 <= s->puts};
    const struct kept_segment old = *s; /* the list may not move, but its last one grows */
    int rc = kept_scan(k, &old, retire_record, &x, e);
    k->segments[k->retired].retired_in = 0; /* of the poll that is under way */
    k->retired++;
    k->touched = true;
    return rc;
}

static int roll(struct kept *k, struct err *e)
{
    int rc = new_segment(k, e);
    while (rc == ERR_OK && k->count - k->retired > KEPT_SEGMENTS - KEPT_SPARE)
        rc = retire(k, true, e);
    return rc;
}

int kept_evict(struct kept *k, struct err *e)
{
    int rc = k->count - k->retired < 2 ? roll(k, e) : ERR_OK;
    return rc == ERR_OK ? retire(k, false, e) : rc;
}

int kept_append(struct kept *k, struct kept_record *r, const void *key, const void *value, uint64_t *at,
                struct err *e)
{
    int rc = k->made ? ERR_OK : kept_make(k, e);
    r->key = key;
    while (rc == ERR_OK && kept_current(k)->size + kept_record_size(r) > k->segment_bytes)
        rc = roll(k, e);
    return rc == ERR_OK ? put_record(k, r, value, at, e) : rc;
}
