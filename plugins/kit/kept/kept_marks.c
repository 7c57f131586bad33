/*
 * kept_marks: the file `marks`: a head, then a ring of marks, each telling how long the log was when the source was at a
 * position. They are overwritten in place: one that is torn does not count, its neighbours do.
 */
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "kit/kept/kept_impl.h"

#define MAGIC "LEATMARK"
#define VERSION 1
#define FILE_BYTES (KEPT_MARKS_HEAD + KEPT_MARKS * KEPT_MARK_BYTES)

static int open_file(struct kept *k, int flags, struct err *e)
{
    char *path = mem_printf("%s/marks", k->dir);
    int rc = path ? io_open(&k->marks_fd, path, O_RDWR | flags, 0600, e) : err_nomem(e);
    mem_free(path);
    return rc;
}

static void encode_head(const struct kept *k, uint8_t head[KEPT_MARKS_HEAD])
{
    memset(head, 0, KEPT_MARKS_HEAD);
    memcpy(head, MAGIC, 8);
    put_be32(head + 8, VERSION);
    put_be32(head + 12, k->segment_bytes);
    memcpy(head + 16, k->id, KEPT_ID_BYTES);
    memcpy(head + 32, k->options.tag, KEPT_TAG_BYTES);
    put_be32(head + 60, crc32c(0, head, 60));
}

int kept_marks_make(struct kept *k, struct err *e)
{
    uint8_t head[KEPT_MARKS_HEAD];
    encode_head(k, head);
    int rc = open_file(k, O_CREAT | O_EXCL, e);
    return rc == ERR_OK ? io_pwrite(k->marks_fd, head, sizeof head, 0, k->dir, e) : rc;
}

int kept_marks_write(struct kept *k, const struct kept_mark *m, struct err *e)
{
    uint8_t b[KEPT_MARK_BYTES] = {0};
    put_be64(b, m->number);
    put_be32(b + 8, m->first);
    put_be32(b + 12, m->last);
    put_be32(b + 16, m->size);
    put_be64(b + 24, m->seq);
    for (int i = 0; i < 4; i++)
        put_be64(b + 32 + 8 * i, m->place.words[i]);
    put_be32(b + 76, crc32c(be32(k->id), b, 76));
    return io_pwrite(k->marks_fd, b, sizeof b,
                     KEPT_MARKS_HEAD + (int64_t)(m->number % KEPT_MARKS) * KEPT_MARK_BYTES, k->dir, e);
}

static bool decode(const struct kept *k, const uint8_t *b, struct kept_mark *m)
{
    m->number = be64(b);
    m->first = be32(b + 8);
    m->last = be32(b + 12);
    m->size = be32(b + 16);
    m->seq = be64(b + 24);
    for (int i = 0; i < 4; i++)
        m->place.words[i] = be64(b + 32 + 8 * i);
    return be32(b + 76) == crc32c(be32(k->id), b, 76);
}

/* Takes id from the head. */
static int read_head(struct kept *k, const uint8_t *head, size_t n, struct err *e)
{
    uint8_t want[KEPT_MARKS_HEAD];
    if (n < KEPT_MARKS_HEAD || memcmp(head, MAGIC, 8) != 0 || be32(head + 60) != crc32c(0, head, 60))
        return err_set(e, ERR_CORRUPT, "the file marks is damaged");
    memcpy(k->id, head + 16, KEPT_ID_BYTES);
    encode_head(k, want);
    return memcmp(head, want, sizeof want) == 0
               ? ERR_OK
               : err_set(e, ERR_INVALID, "they were kept under other settings, or of another server");
}

static bool same_place(const struct kept_place *a, const struct kept_place *b)
{
    return memcmp(a->words, b->words, sizeof a->words) == 0;
}

static int find(struct kept *k, const uint8_t *file, size_t n, const struct kept_place *at,
                struct kept_mark *out, struct err *e)
{
    bool found = false;
    struct kept_mark m;
    for (size_t i = KEPT_MARKS_HEAD; i + KEPT_MARK_BYTES <= n; i += KEPT_MARK_BYTES) {
        if (!decode(k, file + i, &m))
            continue;
        if (m.number >= k->mark_number)
            k->mark_number = m.number + 1;
        if (same_place(&m.place, at) && (!found || m.number > out->number)) {
            *out = m;
            found = true;
        }
    }
    return found ? ERR_OK : err_set(e, ERR_INVALID, "they are not of the position that is stored");
}

int kept_marks_open(struct kept *k, const struct kept_place *at, struct kept_mark *out, struct err *e)
{
    size_t n;
    int rc = open_file(k, 0, e);
    if (rc != ERR_OK)
        return rc;
    uint8_t *file = mem_alloc(FILE_BYTES);
    rc = file ? io_pread_some(k->marks_fd, file, FILE_BYTES, 0, &n, k->dir, e) : err_nomem(e);
    if (rc == ERR_OK)
        rc = read_head(k, file, n, e);
    if (rc == ERR_OK)
        rc = find(k, file, n, at, out, e);
    mem_free(file);
    return rc;
}
