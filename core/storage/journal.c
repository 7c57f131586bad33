/*
 * journal: opening, writing, releasing. Opened by the broker; see journal.h for which thread may call what.
 *
 * Two staging buffers take turns (journal_stage.c): one is filled under the lock while the other is being written without it.
 * Files are named by slot and carry a sequence number in their first block; a file that is released is written over from its
 * start under a new number, so what an earlier round left behind it is recognised by its old number.
 */
#include "storage/journal_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"

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
        return journal_aside_found(j, name, e);
    int rc = journal_file_load(j, &f, e);
    return rc ? rc : journal_add_file(j, &f, e);
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
    j->record_bytes = journal_padded(o->record_bytes ? o->record_bytes : 64u << 20);
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
        rc = journal_stage_init(&j->stage[0], e);
    if (rc == ERR_OK)
        rc = journal_stage_init(&j->stage[1], e);
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
    mem_free(j->asides);
    mem_free(j->dir);
    pthread_mutex_destroy(&j->making);
    pthread_mutex_destroy(&j->lock);
    mem_free(j);
}

/* ---- writing ---- */

/* Writes `r`, which stands in the buffer with room for its padding, as the next record. */
static int write_record(struct journal *j, const struct journal_stage_buffer *s,
                        const struct journal_staged *r, uint64_t released, struct err *e)
{
    uint8_t *data = s->data + r->at;
    size_t n = journal_record_bytes(r->used);
    if (j->fd < 0 || (int64_t)n > j->left) {
        int rc = journal_switch_file(j, n, e);
        if (rc)
            return rc;
    }
    struct journal_record record = {
        .entries = r->entries,
        .file_sequence = j->next_file - 1,
        .sequence = j->next_record,
        .released = released,
        .payload = (uint32_t)r->used,
    };
    memset(data + JOURNAL_RECORD_HEADER + r->used, 0, n - JOURNAL_RECORD_HEADER - r->used);
    journal_record_encode(data, &record);
    char path[256]; /* for messages only */
    snprintf(path, sizeof path, "%s/%08u.journal", j->dir, j->current_slot);
    int rc = journal_write_synced(j, data, n, j->position, path, e);
    if (rc)
        return rc;
    j->position += (int64_t)n;
    j->next_record++;
    pthread_mutex_lock(&j->lock);
    j->left -= (int64_t)n;
    j->stats.commits++;
    j->stats.bytes += r->used;
    journal_note_released(j, released);
    pthread_mutex_unlock(&j->lock);
    return ERR_OK;
}

/* The first part is durable before the second is begun, as it may be the end of a file. */
static int write_taken(struct journal *j, struct journal_stage_buffer *s, uint64_t released, struct err *e)
{
    int rc = s->closed.entries ? write_record(j, s, &s->closed, released, e) : ERR_OK;
    if (rc)
        return rc;
    pthread_mutex_lock(&j->lock);
    s->closed = (struct journal_staged){0}; /* it has its place: who looks for some counts it no more */
    pthread_mutex_unlock(&j->lock);
    return s->open.entries ? write_record(j, s, &s->open, released, e) : ERR_OK;
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
    int rc = write_taken(j, s, released, e);
    pthread_mutex_lock(&j->lock);
    if (rc) {
        e->fatal = true;
        e->retriable = false;
        j->failure = *e;
        j->failed = &j->failure;
    } else {
        s->closed = s->open = (struct journal_staged){0};
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
                  (j->no_space || (j->left < bytes / 2 && !journal_free_file(j, JOURNAL_BLOCK, NULL, 0)));
    pthread_mutex_unlock(&j->lock);
    return wanted;
}

bool journal_lacks_room(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    bool lacks = j->no_space;
    pthread_mutex_unlock(&j->lock);
    return lacks;
}

int journal_prepare(struct journal *j, size_t more, struct err *e)
{
    pthread_mutex_lock(&j->making);
    pthread_mutex_lock(&j->lock);
    size_t record = journal_record_with(j, more);
    bool asked = more && !j->failed && !journal_has_file(j, record);
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

uint64_t journal_sealed_bytes(struct journal *j)
{
    return atomic_load(&j->sealed_bytes);
}

size_t journal_file_bytes(const struct journal *j)
{
    return (size_t)j->file_bytes;
}

/*
 * Takes a free file out of the list when all together are larger than `keep`; its slot, or -1. The largest stays: what is
 * staged may count on it.
 */
static int64_t surplus_file(struct journal *j, uint64_t keep)
{
    int64_t slot = -1, largest = 0;
    bool kept = false;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->file_count; i++)
        if (j->files[i].state == JOURNAL_FREE && j->files[i].bytes > largest)
            largest = j->files[i].bytes;
    for (size_t i = 0; i < j->file_count && j->stats.file_bytes > keep; i++) {
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

/* Lock held. */
static uint64_t bytes_in_use(const struct journal *j)
{
    uint64_t in_use = 0;
    for (size_t i = 0; i < j->file_count; i++)
        in_use += j->files[i].state == JOURNAL_FREE ? 0 : (uint64_t)j->files[i].bytes;
    return in_use;
}

static void note_use(struct journal *j)
{
    j->uses[j->next_use++ % JOURNAL_USES] = bytes_in_use(j);
}

/*
 * Lock held. What was found in use lately will be needed again: making a file costs more than keeping it, and who
 * appends may have to wait for it.
 */
static uint64_t bytes_to_keep(const struct journal *j)
{
    uint64_t keep = 4 * (uint64_t)j->file_bytes, now = bytes_in_use(j);
    for (size_t i = 0; i < JOURNAL_USES; i++)
        keep = j->uses[i] > keep ? j->uses[i] : keep;
    return now > keep ? now : keep;
}

/* No file is made meanwhile: one that gets the slot's name before it is removed would go in its place. */
static int remove_surplus(struct journal *j, uint64_t keep, bool *more, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&j->making);
    int64_t slot = surplus_file(j, keep);
    *more = slot >= 0;
    if (*more) {
        char *path = journal_path(j, (uint32_t)slot);
        rc = path ? io_unlink(path, e) : err_nomem(e);
        mem_free(path);
    }
    pthread_mutex_unlock(&j->making);
    return rc;
}

static int remove_all_surplus(struct journal *j, uint64_t keep, struct err *e)
{
    int rc = ERR_OK;
    for (bool more = true; more && rc == ERR_OK;)
        rc = remove_surplus(j, keep, &more, e);
    return rc;
}

int journal_release(struct journal *j, uint64_t seal, struct err *e)
{
    pthread_mutex_lock(&j->lock);
    note_use(j);
    for (size_t i = 0; i < j->file_count; i++) {
        struct journal_file *f = &j->files[i];
        if (f->state == JOURNAL_SEALED && f->sequence <= seal) {
            journal_set_state(j, f, JOURNAL_FREE);
            if (f->sequence > j->released)
                j->released = f->sequence;
        }
    }
    uint64_t keep = bytes_to_keep(j);
    pthread_mutex_unlock(&j->lock);
    return remove_all_surplus(j, keep, e);
}

int journal_shrink(struct journal *j, bool at_once, struct err *e)
{
    pthread_mutex_lock(&j->lock);
    if (at_once)
        memset(j->uses, 0, sizeof j->uses);
    note_use(j);
    uint64_t keep = bytes_to_keep(j);
    pthread_mutex_unlock(&j->lock);
    return remove_all_surplus(j, keep, e);
}

int journal_reset(struct journal *j, struct err *e)
{
    if (j->failed) {
        *e = j->failure;
        return e->code;
    }
    if (!j->replayed || j->taken || journal_held(&j->stage[j->filling]))
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
        const struct journal_stage_buffer *s = &j->stage[j->filling];
        rc = write_record(j, s, &s->open, newest, e);
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
