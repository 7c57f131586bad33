/*
 * journal_stage: the buffers in which the next record is put together, and which file it will stand in. Filled by any thread under
 * the journal's lock.
 *
 * What is staged is one record. Where that would leave much of the current file unused, as the next entries make it larger than the
 * rest of the file, it is closed and a second one begun, for the next file. Both are written by one journal_write.
 */
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/mem.h"
#include "storage/journal_internal.h"

#define STAGE_MIN (256u << 10)
#define SPLIT_FROM (2u << 20)

/* Largest payload: the record with its header and padding fits the cap. */
static size_t payload_max(const struct journal *j)
{
    return j->record_bytes - JOURNAL_RECORD_HEADER;
}

size_t journal_room(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    size_t used = j->stage[j->filling].open.used + JOURNAL_ENTRY_HEADER;
    size_t max = payload_max(j);
    pthread_mutex_unlock(&j->lock);
    return used < max ? max - used : 0;
}

size_t journal_held(const struct journal_stage_buffer *s)
{
    return s->open.entries ? s->open.at + journal_record_bytes(s->open.used) : s->open.at;
}

int journal_stage_init(struct journal_stage_buffer *s, struct err *e)
{
    s->data = mem_aligned(JOURNAL_BLOCK, STAGE_MIN);
    s->cap = STAGE_MIN;
    return s->data ? ERR_OK : err_nomem(e);
}

static int stage_grow(struct journal *j, struct journal_stage_buffer *s, size_t need, struct err *e)
{
    size_t cap = s->cap;
    while (cap < need)
        cap *= 2;
    if (cap > j->record_bytes)
        cap = j->record_bytes < need ? need : j->record_bytes;
    uint8_t *data = mem_aligned(JOURNAL_BLOCK, cap);
    if (!data)
        return err_nomem(e);
    mem_copy(data, s->data, journal_held(s)); /* a closed part may end where the buffer does */
    mem_free(s->data);
    s->data = data;
    s->cap = cap;
    return ERR_OK;
}

/* Where records are going to stand: in the rest of the current file, then in free ones. */
struct places {
    int64_t left;
    const struct journal_file *used[4];
    size_t n;
};

static bool place(struct journal *j, struct places *p, size_t record)
{
    if ((int64_t)record > p->left) {
        const struct journal_file *f = journal_free_file(j, record, p->used, p->n);
        if (!f)
            return false;
        p->used[p->n++] = f;
        p->left = f->bytes - JOURNAL_BLOCK;
    }
    p->left -= (int64_t)record;
    return true;
}

static bool place_staged(struct journal *j, struct places *p, const struct journal_staged *r)
{
    return r->entries == 0 || place(j, p, journal_record_bytes(r->used));
}

/* Those that are ahead of the open one. False: there is no file for them. */
static bool place_others(struct journal *j, struct places *p)
{
    const struct journal_stage_buffer *other = &j->stage[j->filling ^ 1];
    *p = (struct places){.left = j->left};
    if (j->taken && !(place_staged(j, p, &other->closed) && place_staged(j, p, &other->open)))
        return false;
    return place_staged(j, p, &j->stage[j->filling].closed);
}

bool journal_has_file(struct journal *j, size_t record)
{
    struct places p;
    return place_others(j, &p) && place(j, &p, record);
}

size_t journal_record_with(const struct journal *j, size_t more)
{
    size_t record = journal_record_bytes(j->stage[j->filling].open.used + more);
    return record < j->record_bytes ? record : j->record_bytes;
}

bool journal_fits(struct journal *j, size_t more)
{
    pthread_mutex_lock(&j->lock);
    bool fits = journal_has_file(j, journal_record_with(j, more));
    pthread_mutex_unlock(&j->lock);
    return fits;
}

/* Less than this stays unused at a file's end rather than cost a write of its own. */
static bool is_worth_a_write(size_t record)
{
    return record >= SPLIT_FROM;
}

void journal_group(struct journal *j, size_t bytes)
{
    struct places p;
    pthread_mutex_lock(&j->lock);
    struct journal_stage_buffer *s = &j->stage[j->filling];
    size_t record = journal_record_bytes(s->open.used);
    if (s->open.entries && !s->closed.entries && is_worth_a_write(record) && place_others(j, &p) &&
        (int64_t)record <= p.left && (int64_t)journal_record_bytes(s->open.used + bytes) > p.left) {
        s->closed = s->open;
        s->open = (struct journal_staged){.at = s->closed.at + record};
    }
    pthread_mutex_unlock(&j->lock);
}

static int stage_locked(struct journal *j, const struct journal_entry *en, struct err *e)
{
    struct journal_stage_buffer *s = &j->stage[j->filling];
    if (j->failed) {
        *e = *j->failed;
        return e->code;
    }
    if (!j->replayed)
        return err_set(e, ERR_INTERNAL, "journal %s: staged before it was replayed", j->dir);
    if (en->bytes > payload_max(j) - JOURNAL_ENTRY_HEADER)
        return err_set(e, ERR_TOO_LARGE, "%zu bytes can never fit into a journal record of %zu", en->bytes,
                       j->record_bytes);
    size_t used = s->open.used + JOURNAL_ENTRY_HEADER + en->bytes;
    if (used > payload_max(j))
        return err_set(e, ERR_TOO_LARGE, "the journal record is full: %zu of %zu bytes used, %zu wanted",
                       s->open.used, payload_max(j), en->bytes);
    size_t record = journal_record_bytes(used);
    if (j->no_space && !journal_has_file(j, record))
        return err_set(e, ERR_NO_SPACE, "no space for another journal file in %s", j->dir);
    if (s->open.at + record > s->cap) {
        int rc = stage_grow(j, s, s->open.at + record, e);
        if (rc)
            return rc;
    }
    journal_entry_encode(s->data + s->open.at + JOURNAL_RECORD_HEADER + s->open.used, en);
    s->open.used = used;
    s->open.entries++;
    if (journal_held(s) > s->most)
        s->most = journal_held(s);
    return ERR_OK;
}

int journal_stage(struct journal *j, const struct journal_entry *en, struct err *e)
{
    pthread_mutex_lock(&j->lock);
    int rc = stage_locked(j, en, e);
    pthread_mutex_unlock(&j->lock);
    return rc;
}

struct journal_mark journal_mark(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    const struct journal_staged *r = &j->stage[j->filling].open;
    struct journal_mark mark = {r->at, r->used, r->entries};
    pthread_mutex_unlock(&j->lock);
    return mark;
}

void journal_unstage(struct journal *j, struct journal_mark mark)
{
    pthread_mutex_lock(&j->lock);
    struct journal_stage_buffer *s = &j->stage[j->filling];
    if (s->open.at != mark.at) /* it was closed since */
        s->closed = (struct journal_staged){0};
    s->open = (struct journal_staged){mark.at, mark.used, mark.entries};
    pthread_mutex_unlock(&j->lock);
}

bool journal_take(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    bool take = !j->taken && journal_held(&j->stage[j->filling]) > 0;
    if (take) {
        j->taken = true;
        j->filling ^= 1;
    }
    pthread_mutex_unlock(&j->lock);
    return take;
}

static void drop_entries(uint8_t *data, struct journal_staged *r, const struct uuid *topic_id,
                         int32_t partition)
{
    uint8_t *start = data + r->at + JOURNAL_RECORD_HEADER, *to = start;
    for (const uint8_t *at = start, *end = start + r->used; at < end;) {
        size_t n = JOURNAL_ENTRY_HEADER + be32(at + 52);
        if (memcmp(at, topic_id->b, sizeof topic_id->b) == 0 && (int32_t)be32(at + 48) == partition) {
            r->entries--;
        } else {
            memmove(to, at, n);
            to += n;
        }
        at += n;
    }
    r->used = (size_t)(to - start);
}

void journal_drop(struct journal *j, const struct uuid *topic_id, int32_t partition)
{
    pthread_mutex_lock(&j->lock);
    struct journal_stage_buffer *s = &j->stage[j->filling ^ 1];
    if (j->taken) {
        drop_entries(s->data, &s->closed, topic_id, partition);
        drop_entries(s->data, &s->open, topic_id, partition);
    }
    pthread_mutex_unlock(&j->lock);
}

void journal_trim(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    for (int i = 0; i < 2; i++) {
        struct journal_stage_buffer *s = &j->stage[i];
        size_t keep = s->most > STAGE_MIN ? journal_padded(s->most) : STAGE_MIN;
        bool idle = journal_held(s) == 0 && (i == j->filling || !j->taken);
        if (idle && s->cap > keep)
            madvise(s->data + keep, s->cap / JOURNAL_BLOCK * JOURNAL_BLOCK - keep, MADV_DONTNEED);
        s->most = journal_held(s);
    }
    pthread_mutex_unlock(&j->lock);
}
