/*
 * journal_files: the bytes of the journal's files, and their life: made of zeros, started, sealed, released, started again.
 * Called by the committing thread, and by whoever makes a file in advance beside it; what they share is under the journal's
 * locks.
 */
#include "storage/journal_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"

#define FILE_MIN (4 << 20)
#define FILL_CHUNK (256u << 10)

char *journal_path(const struct journal *j, uint32_t slot)
{
    return mem_printf("%s/%08u.journal", j->dir, slot);
}

/* ---- encoding ---- */

void journal_file_encode(uint8_t block[JOURNAL_BLOCK], const struct journal_file *f)
{
    memset(block, 0, JOURNAL_BLOCK);
    memcpy(block, JOURNAL_FILE_MAGIC, 8);
    put_be32(block + 8, JOURNAL_VERSION);
    put_be32(block + 12, JOURNAL_BLOCK);
    put_be64(block + 16, f->sequence);
    put_be64(block + 24, f->first_record);
    put_be64(block + 32, f->released);
    put_be64(block + 40, (uint64_t)f->bytes);
    put_be32(block + 48, crc32c(0, block, 48));
}

bool journal_file_decode(const uint8_t block[JOURNAL_BLOCK], struct journal_file *f)
{
    if (memcmp(block, JOURNAL_FILE_MAGIC, 8) != 0 || be32(block + 48) != crc32c(0, block, 48))
        return false;
    f->sequence = be64(block + 16);
    f->first_record = be64(block + 24);
    f->released = be64(block + 32);
    return f->sequence != 0 && be32(block + 8) == JOURNAL_VERSION && be32(block + 12) == JOURNAL_BLOCK;
}

static uint32_t record_crc(const uint8_t *record, uint32_t payload)
{
    return crc32c(crc32c(0, record + JOURNAL_RECORD_HEADER, payload), record, 36);
}

void journal_record_encode(uint8_t *record, struct journal_record *r)
{
    memset(record, 0, JOURNAL_RECORD_HEADER);
    put_be32(record, JOURNAL_RECORD_MAGIC);
    put_be32(record + 4, r->entries);
    put_be64(record + 8, r->file_sequence);
    put_be64(record + 16, r->sequence);
    put_be64(record + 24, r->released);
    put_be32(record + 32, r->payload);
    r->crc = record_crc(record, r->payload);
    put_be32(record + 36, r->crc);
}

bool journal_record_decode(const uint8_t header[JOURNAL_RECORD_HEADER], struct journal_record *r)
{
    r->entries = be32(header + 4);
    r->file_sequence = be64(header + 8);
    r->sequence = be64(header + 16);
    r->released = be64(header + 24);
    r->payload = be32(header + 32);
    r->crc = be32(header + 36);
    return be32(header) == JOURNAL_RECORD_MAGIC && (uint64_t)r->entries * JOURNAL_ENTRY_HEADER <= r->payload;
}

bool journal_record_valid(const uint8_t *record, const struct journal_record *r)
{
    return record_crc(record, r->payload) == r->crc;
}

void journal_entry_encode(uint8_t *p, const struct journal_entry *en)
{
    memcpy(p, en->topic_id.b, 16);
    put_be64(p + 16, (uint64_t)en->segment_base);
    put_be64(p + 24, (uint64_t)en->position);
    put_be64(p + 32, (uint64_t)en->base_offset);
    put_be64(p + 40, (uint64_t)en->next_offset);
    put_be32(p + 48, (uint32_t)en->partition);
    put_be32(p + 52, (uint32_t)en->bytes);
    if (en->bytes)
        mem_copy_out(p + JOURNAL_ENTRY_HEADER, en->data, en->bytes);
}

/* ---- files ---- */

int journal_add_file(struct journal *j, const struct journal_file *f, struct err *e)
{
    if (j->file_count == JOURNAL_FILES_MAX)
        return err_set(e, ERR_TOO_LARGE, "%s has more than %u journal files", j->dir, JOURNAL_FILES_MAX);
    if (j->file_count == j->file_cap) {
        size_t cap = j->file_cap ? j->file_cap * 2 : 4;
        struct journal_file *files = mem_realloc_array(j->files, cap, sizeof *files);
        if (!files)
            return err_nomem(e);
        j->files = files;
        j->file_cap = cap;
    }
    j->files[j->file_count++] = *f;
    j->stats.file_bytes += (uint64_t)f->bytes;
    return ERR_OK;
}

/* Opens for direct I/O, and without where the file system has none. */
static int open_file(struct journal *j, const char *path, int flags, int *fd, struct err *e)
{
    if (j->direct) {
        int rc = io_open(fd, path, flags | O_DIRECT, 0600, e);
        if (rc == ERR_OK || rc == ERR_NOT_FOUND || rc == ERR_EXISTS || rc == ERR_NO_SPACE)
            return rc;
        j->direct = false;
    }
    return io_open(fd, path, flags & ~O_DSYNC, 0600, e);
}

static int fill_with_zeros(int fd, int64_t bytes, const char *path, struct err *e)
{
    uint8_t *zeros = mem_aligned(JOURNAL_BLOCK, FILL_CHUNK);
    if (!zeros)
        return err_nomem(e);
    memset(zeros, 0, FILL_CHUNK);
    int rc = io_allocate(fd, 0, bytes, path, e);
    if (rc == ERR_UNSUPPORTED)
        rc = ERR_OK;
    for (int64_t at = 0; at < bytes && rc == ERR_OK; at += FILL_CHUNK) {
        size_t n = bytes - at < (int64_t)FILL_CHUNK ? (size_t)(bytes - at) : FILL_CHUNK;
        rc = io_pwrite(fd, zeros, n, at, path, e);
    }
    if (rc == ERR_OK)
        rc = io_sync(fd, path, e);
    mem_free(zeros);
    return rc;
}

/* Small at first, so that an idle hub takes little disk; each further file is as large as all before. */
static int64_t next_size(const struct journal *j, size_t record)
{
    int64_t size = (int64_t)j->stats.file_bytes;
    if (size < FILE_MIN)
        size = FILE_MIN;
    if (size > j->file_bytes)
        size = j->file_bytes;
    int64_t need = (int64_t)(record + JOURNAL_BLOCK);
    return size < need ? need : size;
}

static uint32_t unused_slot(const struct journal *j)
{
    uint32_t slot = 0;
    for (size_t i = 0; i < j->file_count; i++)
        if (j->files[i].slot >= slot)
            slot = j->files[i].slot + 1;
    return slot;
}

/* Makes one more file of zeros; it is free afterwards. On error nothing is left. */
int journal_make_file(struct journal *j, size_t record, struct err *e)
{
    pthread_mutex_lock(&j->lock);
    struct journal_file f = {.slot = unused_slot(j), .bytes = next_size(j, record), .state = JOURNAL_FREE};
    pthread_mutex_unlock(&j->lock);
    char *path = journal_path(j, f.slot);
    if (!path)
        return err_nomem(e);
    int fd;
    int rc = open_file(j, path, O_RDWR | O_CREAT | O_TRUNC, &fd, e);
    if (rc)
        goto named;
    rc = fill_with_zeros(fd, f.bytes, path, e);
    if (rc == ERR_IO && j->direct) { /* perhaps no O_DIRECT here; the file is disposable, so try without */
        io_close(fd);
        j->direct = false;
        rc = open_file(j, path, O_RDWR | O_TRUNC, &fd, e);
        if (rc)
            goto named;
        rc = fill_with_zeros(fd, f.bytes, path, e);
    }
    io_close(fd);
    if (rc == ERR_OK)
        rc = io_sync_dir(j->dir, e);
    if (rc == ERR_OK) {
        pthread_mutex_lock(&j->lock);
        rc = journal_add_file(j, &f, e);
        pthread_mutex_unlock(&j->lock);
    }
    if (rc) {
        struct err ignored; /* the first error is the one to report; a file of zeros left behind is reused */
        io_unlink(path, &ignored);
    }
named:
    mem_free(path);
    pthread_mutex_lock(&j->lock);
    j->no_space = rc != ERR_OK;
    pthread_mutex_unlock(&j->lock);
    return rc;
}

static bool is_among(const struct journal_file *f, const struct journal_file *const *list, size_t n)
{
    size_t i = 0;
    while (i < n && list[i] != f)
        i++;
    return i < n;
}

/*
 * The free file with the oldest content that is large enough, or NULL. Never the one with the newest number, which
 * alone says how much is released, unless it is the only file.
 */
struct journal_file *journal_free_file(struct journal *j, size_t record,
                                       const struct journal_file *const *but, size_t n)
{
    struct journal_file *best = NULL;
    for (size_t i = 0; i < j->file_count; i++) {
        struct journal_file *f = &j->files[i];
        if (is_among(f, but, n) || f->state != JOURNAL_FREE || f->bytes < (int64_t)(record + JOURNAL_BLOCK))
            continue;
        if (f->sequence && f->sequence + 1 == j->next_file && j->file_count > 1)
            continue;
        if (!best || f->sequence < best->sequence)
            best = f;
    }
    return best;
}

void journal_set_state(struct journal *j, struct journal_file *f, enum journal_file_state state)
{
    if (f->state == JOURNAL_SEALED)
        atomic_fetch_sub(&j->sealed_bytes, (uint64_t)f->bytes);
    f->state = state;
    if (state == JOURNAL_SEALED)
        atomic_fetch_add(&j->sealed_bytes, (uint64_t)f->bytes);
}

void journal_seal_current(struct journal *j)
{
    io_close(j->fd);
    j->fd = -1;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->file_count; i++)
        if (j->files[i].state == JOURNAL_CURRENT)
            journal_set_state(j, &j->files[i], JOURNAL_SEALED);
    j->left = 0;
    pthread_mutex_unlock(&j->lock);
}

int journal_write_synced(struct journal *j, const void *data, size_t n, int64_t at, const char *path,
                         struct err *e)
{
    int rc = io_pwrite(j->fd, data, n, at, path, e);
    if (rc == ERR_OK && !j->direct)
        rc = io_sync_data(j->fd, path, e);
    return rc;
}

/*
 * Opens the file and writes its first block. A file system that opens with O_DIRECT and then refuses aligned transfers
 * is found out by a read, so that an error of a write is always an error.
 */
static int start_file(struct journal *j, const struct journal_file *f, struct err *e)
{
    char *path = journal_path(j, f->slot);
    uint8_t *block = mem_aligned(JOURNAL_BLOCK, JOURNAL_BLOCK);
    int rc = path && block ? ERR_OK : err_nomem(e);
    if (rc == ERR_OK)
        rc = open_file(j, path, O_RDWR | O_DSYNC, &j->fd, e);
    if (rc == ERR_OK && j->direct && io_pread(j->fd, block, JOURNAL_BLOCK, 0, path, e) != ERR_OK) {
        j->direct = false;
        io_close(j->fd);
        rc = open_file(j, path, O_RDWR, &j->fd, e);
    }
    if (rc == ERR_OK) {
        journal_file_encode(block, f);
        rc = journal_write_synced(j, block, JOURNAL_BLOCK, 0, path, e);
    }
    mem_free(block);
    mem_free(path);
    return rc;
}

/* Takes the free file that fits, under its next number; false: there is none. */
static bool take_free_file(struct journal *j, size_t record, struct journal_file *out)
{
    pthread_mutex_lock(&j->lock);
    struct journal_file *f = journal_free_file(j, record, NULL, 0);
    if (f) {
        f->sequence = j->next_file++;
        f->first_record = j->next_record;
        f->released = j->released;
        f->state = JOURNAL_CURRENT;
        *out = *f;
        j->left = f->bytes - JOURNAL_BLOCK;
    }
    pthread_mutex_unlock(&j->lock);
    return f != NULL;
}

/* A file that is being made in advance is waited for. */
static int take_or_make_file(struct journal *j, size_t record, struct journal_file *out, struct err *e)
{
    int rc = ERR_OK;
    if (take_free_file(j, record, out))
        return ERR_OK;
    pthread_mutex_lock(&j->making);
    bool taken = take_free_file(j, record, out);
    if (!taken && !(rc = journal_make_file(j, record, e)))
        taken = take_free_file(j, record, out);
    pthread_mutex_unlock(&j->making);
    if (!rc && !taken)
        rc = err_set(e, ERR_INTERNAL, "journal %s: no file for a record of %zu bytes", j->dir, record);
    return rc;
}

/* Seals the current file and starts a free one, which is made if there is none. */
int journal_switch_file(struct journal *j, size_t record, struct err *e)
{
    struct journal_file started;
    journal_seal_current(j);
    int rc = take_or_make_file(j, record, &started, e);
    if (rc)
        return rc;
    j->current_slot = started.slot;
    j->position = JOURNAL_BLOCK;
    rc = start_file(j, &started, e);
    if (rc)
        return rc;
    pthread_mutex_lock(&j->lock);
    journal_note_released(j, started.released);
    pthread_mutex_unlock(&j->lock);
    return ERR_OK;
}
