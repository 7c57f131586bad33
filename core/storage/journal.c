/*
 * journal: staging and writing. Opened by the broker; see journal.h for which thread may call what.
 *
 * Two staging buffers take turns: one is filled under the lock while the other is being written without it. Files are
 * named by slot and carry a sequence number in their first block; a file that is released is written over from its
 * start under a new number, so what an earlier round left behind it is recognised by its old number.
 */
#include "storage/journal_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"

#define STAGE_MIN (256u << 10)

/* ---- opening ---- */

static int found_file(void *arg, const char *name, struct err *e)
{
    struct journal *j = arg;
    struct journal_file f = {0};
    char expected[32];
    if (sscanf(name, "%8u", &f.slot) != 1)
        return ERR_OK;
    snprintf(expected, sizeof expected, "%08u.journal", f.slot);
    if (strcmp(name, expected) != 0)
        return ERR_OK;
    int rc = journal_file_load(j, &f, e);
    return rc ? rc : journal_add_file(j, &f, e);
}

static int stage_init(struct journal_stage_buffer *s, struct err *e)
{
    s->data = mem_aligned(JOURNAL_BLOCK, STAGE_MIN);
    s->cap = STAGE_MIN;
    return s->data ? ERR_OK : err_nomem(e);
}

int journal_open(struct journal **out, const struct journal_options *o, struct err *e)
{
    *out = NULL;
    struct journal *j = mem_calloc(1, sizeof *j);
    if (!j)
        return err_nomem(e);
    mutex_init(&j->lock);
    mutex_init(&j->making);
    j->fd = -1;
    j->file_bytes = (int64_t)journal_padded(o->file_bytes ? o->file_bytes : 64u << 20);
    j->record_bytes = journal_padded(o->record_bytes ? o->record_bytes : 16u << 20);
    j->direct = true;
    j->next_file = 1;
    j->next_record = 1;
    j->dir = mem_strdup(o->dir);
    int rc = j->dir ? ERR_OK : err_nomem(e);
    if (rc == ERR_OK)
        rc = io_mkdirs(o->dir, 0700, e);
    /* The names of whatever a killed process left, too: files in here are written over without making names. */
    if (rc == ERR_OK)
        rc = io_sync_dir(o->dir, e);
    if (rc == ERR_OK)
        rc = io_sync_parent(o->dir, e);
    if (rc == ERR_OK)
        rc = stage_init(&j->stage[0], e);
    if (rc == ERR_OK)
        rc = stage_init(&j->stage[1], e);
    if (rc == ERR_OK)
        rc = io_list(o->dir, found_file, j, e);
    if (rc) {
        journal_close(j);
        return err_wrap(e, "journal");
    }
    *out = j;
    return ERR_OK;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    io_close(j->fd);
    for (int i = 0; i < 2; i++)
        mem_free(j->stage[i].data);
    mem_free(j->files);
    mem_free(j->dir);
    pthread_mutex_destroy(&j->making);
    pthread_mutex_destroy(&j->lock);
    mem_free(j);
}

/* ---- staging ---- */

/* Largest payload: the record with its header and padding fits the cap. */
static size_t payload_max(const struct journal *j)
{
    return j->record_bytes - JOURNAL_RECORD_HEADER;
}

size_t journal_room(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    size_t used = j->stage[j->filling].used + JOURNAL_ENTRY_HEADER;
    size_t max = payload_max(j);
    pthread_mutex_unlock(&j->lock);
    return used < max ? max - used : 0;
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
    memcpy(data, s->data, JOURNAL_RECORD_HEADER + s->used);
    mem_free(s->data);
    s->data = data;
    s->cap = cap;
    return ERR_OK;
}

/* Is there a file, or the rest of one, for the staged record grown to this size, behind the one that is written now? */
static bool has_file(struct journal *j, size_t record)
{
    const struct journal_stage_buffer *other = &j->stage[j->filling ^ 1];
    int64_t before = j->taken ? (int64_t)journal_padded(JOURNAL_RECORD_HEADER + other->used) : 0;
    int64_t left = j->left;
    const struct journal_file *next = NULL;
    if (left < before) {
        if (!(next = journal_free_file(j, (size_t)before, NULL)))
            return false;
        left = next->bytes - JOURNAL_BLOCK;
    }
    return (int64_t)record <= left - before || journal_free_file(j, record, next);
}

static size_t record_with(const struct journal *j, size_t more)
{
    size_t record = journal_padded(JOURNAL_RECORD_HEADER + j->stage[j->filling].used + more);
    return record < j->record_bytes ? record : j->record_bytes;
}

bool journal_fits(struct journal *j, size_t more)
{
    pthread_mutex_lock(&j->lock);
    bool fits = has_file(j, record_with(j, more));
    pthread_mutex_unlock(&j->lock);
    return fits;
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
    size_t used = s->used + JOURNAL_ENTRY_HEADER + en->bytes;
    if (used > payload_max(j))
        return err_set(e, ERR_TOO_LARGE, "the journal record is full: %zu of %zu bytes used, %zu wanted",
                       s->used, payload_max(j), en->bytes);
    size_t record = journal_padded(JOURNAL_RECORD_HEADER + used);
    if (j->no_space && !has_file(j, record))
        return err_set(e, ERR_NO_SPACE, "no space for another journal file in %s", j->dir);
    if (record > s->cap) {
        int rc = stage_grow(j, s, record, e);
        if (rc)
            return rc;
    }
    uint8_t *p = s->data + JOURNAL_RECORD_HEADER + s->used;
    memcpy(p, en->topic_id.b, 16);
    put_be64(p + 16, (uint64_t)en->segment_base);
    put_be64(p + 24, (uint64_t)en->position);
    put_be64(p + 32, (uint64_t)en->base_offset);
    put_be64(p + 40, (uint64_t)en->next_offset);
    put_be32(p + 48, (uint32_t)en->partition);
    put_be32(p + 52, (uint32_t)en->bytes);
    if (en->bytes)
        memcpy(p + JOURNAL_ENTRY_HEADER, en->data, en->bytes);
    s->used = used;
    s->entries++;
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
    struct journal_mark mark = {j->stage[j->filling].used, j->stage[j->filling].entries};
    pthread_mutex_unlock(&j->lock);
    return mark;
}

void journal_unstage(struct journal *j, struct journal_mark mark)
{
    pthread_mutex_lock(&j->lock);
    j->stage[j->filling].used = mark.used;
    j->stage[j->filling].entries = mark.entries;
    pthread_mutex_unlock(&j->lock);
}

bool journal_take(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    bool take = !j->taken && j->stage[j->filling].entries > 0;
    if (take) {
        j->taken = true;
        j->filling ^= 1;
    }
    pthread_mutex_unlock(&j->lock);
    return take;
}

void journal_trim(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    for (int i = 0; i < 2; i++) {
        struct journal_stage_buffer *s = &j->stage[i];
        bool idle = s->used == 0 && (i == j->filling || !j->taken);
        if (idle && s->cap > STAGE_MIN)
            madvise(s->data + STAGE_MIN, s->cap / JOURNAL_BLOCK * JOURNAL_BLOCK - STAGE_MIN, MADV_DONTNEED);
    }
    pthread_mutex_unlock(&j->lock);
}

/* ---- writing ---- */

/* Writes `s` as the next record. The buffer has room for the padding. */
static int write_record(struct journal *j, struct journal_stage_buffer *s, uint64_t released, struct err *e)
{
    size_t n = journal_padded(JOURNAL_RECORD_HEADER + s->used);
    if (j->fd < 0 || (int64_t)n > j->left) {
        int rc = journal_switch_file(j, n, e);
        if (rc)
            return rc;
    }
    struct journal_record r = {
        .entries = s->entries,
        .file_sequence = j->next_file - 1,
        .sequence = j->next_record,
        .released = released,
        .payload = (uint32_t)s->used,
    };
    memset(s->data + JOURNAL_RECORD_HEADER + s->used, 0, n - JOURNAL_RECORD_HEADER - s->used);
    journal_record_encode(s->data, &r);
    char path[256]; /* for messages only */
    snprintf(path, sizeof path, "%s/%08u.journal", j->dir, j->current_slot);
    int rc = journal_write_synced(j, s->data, n, j->position, path, e);
    if (rc)
        return rc;
    j->position += (int64_t)n;
    j->next_record++;
    pthread_mutex_lock(&j->lock);
    j->left -= (int64_t)n;
    journal_note_released(j, released);
    pthread_mutex_unlock(&j->lock);
    return ERR_OK;
}

int journal_write(struct journal *j, struct err *e)
{
    pthread_mutex_lock(&j->lock);
    struct journal_stage_buffer *s = &j->stage[j->filling ^ 1];
    bool taken = j->taken;
    bool failed = j->failed != NULL;
    uint64_t released = j->released;
    if (failed)
        *e = j->failure;
    pthread_mutex_unlock(&j->lock);
    if (failed)
        return e->code;
    if (!taken)
        return ERR_OK;
    int rc = write_record(j, s, released, e);
    pthread_mutex_lock(&j->lock);
    if (rc) {
        e->fatal = true;
        e->retriable = false;
        j->failure = *e;
        j->failed = &j->failure;
    } else {
        j->stats.commits++;
        j->stats.bytes += s->used;
        s->used = 0;
        s->entries = 0;
        j->taken = false;
    }
    pthread_mutex_unlock(&j->lock);
    return rc;
}

int journal_commit(struct journal *j, struct err *e)
{
    journal_take(j);
    return journal_write(j, e);
}

bool journal_wants_file(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    int64_t bytes = 0;
    for (size_t i = 0; i < j->file_count; i++)
        if (j->files[i].state == JOURNAL_CURRENT)
            bytes = j->files[i].bytes;
    bool wanted = !j->failed && bytes &&
                  (j->no_space || (j->left < bytes / 2 && !journal_free_file(j, JOURNAL_BLOCK, NULL)));
    pthread_mutex_unlock(&j->lock);
    return wanted;
}

int journal_prepare(struct journal *j, size_t more, struct err *e)
{
    pthread_mutex_lock(&j->making);
    pthread_mutex_lock(&j->lock);
    size_t record = record_with(j, more);
    bool asked = more && !j->failed && !has_file(j, record);
    pthread_mutex_unlock(&j->lock);
    int rc =
        asked || journal_wants_file(j) ? journal_make_file(j, asked ? record : JOURNAL_BLOCK, e) : ERR_OK;
    pthread_mutex_unlock(&j->making);
    return rc;
}

/* ---- releasing ---- */

uint64_t journal_sealed(struct journal *j)
{
    uint64_t newest = 0;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->file_count; i++)
        if (j->files[i].state == JOURNAL_SEALED && j->files[i].sequence > newest)
            newest = j->files[i].sequence;
    pthread_mutex_unlock(&j->lock);
    return newest;
}

/*
 * Takes a free file out of the list when there are more than a burst will need again; its slot, or -1. The largest stays:
 * what is staged may count on it.
 */
static int64_t surplus_file(struct journal *j)
{
    int64_t slot = -1, largest = 0;
    bool kept = false;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->file_count; i++)
        if (j->files[i].state == JOURNAL_FREE && j->files[i].bytes > largest)
            largest = j->files[i].bytes;
    for (size_t i = 0; i < j->file_count && j->stats.file_bytes > 4 * (uint64_t)j->file_bytes; i++) {
        struct journal_file *f = &j->files[i];
        if (f->state != JOURNAL_FREE || f->sequence + 1 == j->next_file)
            continue;
        if (f->sequence > j->released_synced)
            continue; /* a crash now would look for it: the disk does not say yet that it is released */
        if (f->bytes == largest && !kept) {
            kept = true;
            continue;
        }
        slot = f->slot;
        j->stats.file_bytes -= (uint64_t)f->bytes;
        *f = j->files[--j->file_count];
        break;
    }
    pthread_mutex_unlock(&j->lock);
    return slot;
}

int journal_release(struct journal *j, uint64_t seal, struct err *e)
{
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->file_count; i++) {
        struct journal_file *f = &j->files[i];
        if (f->state == JOURNAL_SEALED && f->sequence <= seal) {
            f->state = JOURNAL_FREE;
            if (f->sequence > j->released)
                j->released = f->sequence;
        }
    }
    pthread_mutex_unlock(&j->lock);
    int64_t slot;
    int rc = ERR_OK;
    while (rc == ERR_OK && (slot = surplus_file(j)) >= 0) {
        char *path = journal_path(j, (uint32_t)slot);
        rc = path ? io_unlink(path, e) : err_nomem(e);
        mem_free(path);
    }
    return rc;
}

int journal_reset(struct journal *j, struct err *e)
{
    if (j->failed) {
        *e = j->failure;
        return e->code;
    }
    if (!j->replayed || j->taken || j->stage[j->filling].entries)
        return err_set(e, ERR_INTERNAL, "journal %s: reset with entries that are not committed", j->dir);
    uint64_t newest = j->next_file - 1;
    if (j->fd < 0 && journal_sealed(j) == 0)
        return ERR_OK;
    int rc;
    if (j->fd < 0) { /* only files of an earlier run: a new file's first block says that they are done with */
        j->released = newest;
        rc = journal_switch_file(j, JOURNAL_BLOCK, e);
        newest = j->next_file - 1;
    } else {
        struct journal_stage_buffer *s = &j->stage[j->filling];
        rc = write_record(j, s, newest, e);
        newest = j->next_file - 1;
    }
    if (rc)
        return rc;
    journal_seal_current(j);
    return journal_release(j, newest, e);
}

void journal_stats(struct journal *j, struct journal_stats *s)
{
    pthread_mutex_lock(&j->lock);
    *s = j->stats;
    pthread_mutex_unlock(&j->lock);
}
