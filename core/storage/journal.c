/*
 * journal: files, staging and writing. Opened by the broker; see journal.h for which thread may call what.
 *
 * Two staging buffers take turns: one is filled under the lock while the other is being written without it. Files are
 * named by slot and carry a sequence number in their first block; a file that is released is written over from its
 * start under a new number, so what an earlier round left behind it is recognised by its old number.
 */
#include "storage/journal_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"

#define STAGE_MIN (256u << 10)
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

/* ---- opening ---- */

static int add_file(struct journal *j, const struct journal_file *f, struct err *e)
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
    return rc ? rc : add_file(j, &f, e);
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

/* Is there a file, or the rest of the current one, for a record of this size? Only asked after making one failed. */
static bool has_room(const struct journal *j, size_t record)
{
    const struct journal_stage_buffer *other = &j->stage[j->filling ^ 1];
    int64_t left = j->left - (j->taken ? (int64_t)journal_padded(JOURNAL_RECORD_HEADER + other->used) : 0);
    if (!j->no_space || (int64_t)record <= left)
        return true;
    if (left < 0)
        return false; /* the record that is being written takes the next free file */
    for (size_t i = 0; i < j->file_count; i++)
        if (j->files[i].state == JOURNAL_FREE && j->files[i].bytes >= (int64_t)(record + JOURNAL_BLOCK))
            return true;
    return false;
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
    if (!has_room(j, record))
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

/* ---- files ---- */

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
static int make_file(struct journal *j, size_t record, struct err *e)
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
        rc = add_file(j, &f, e);
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

/*
 * The free file with the oldest content that is large enough, or NULL. Never the one with the newest number, which
 * alone says how much is released, unless it is the only file.
 */
static struct journal_file *free_file(struct journal *j, size_t record)
{
    struct journal_file *best = NULL;
    for (size_t i = 0; i < j->file_count; i++) {
        struct journal_file *f = &j->files[i];
        if (f->state != JOURNAL_FREE || f->bytes < (int64_t)(record + JOURNAL_BLOCK))
            continue;
        if (f->sequence && f->sequence + 1 == j->next_file && j->file_count > 1)
            continue;
        if (!best || f->sequence < best->sequence)
            best = f;
    }
    return best;
}

static void seal_current(struct journal *j)
{
    io_close(j->fd);
    j->fd = -1;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->file_count; i++)
        if (j->files[i].state == JOURNAL_CURRENT)
            j->files[i].state = JOURNAL_SEALED;
    j->left = 0;
    pthread_mutex_unlock(&j->lock);
}

static int write_synced(struct journal *j, const void *data, size_t n, int64_t at, const char *path,
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
        rc = write_synced(j, block, JOURNAL_BLOCK, 0, path, e);
    }
    mem_free(block);
    mem_free(path);
    return rc;
}

/* Seals the current file and starts a free one, which is made if there is none. */
static int switch_file(struct journal *j, size_t record, struct err *e)
{
    seal_current(j);
    for (int attempt = 0;; attempt++) {
        struct journal_file started;
        pthread_mutex_lock(&j->lock);
        struct journal_file *f = free_file(j, record);
        if (f) {
            f->sequence = j->next_file;
            f->first_record = j->next_record;
            f->released = j->released;
            f->state = JOURNAL_CURRENT;
            started = *f;
        }
        pthread_mutex_unlock(&j->lock);
        if (f) {
            j->next_file++;
            j->current_slot = started.slot;
            j->position = JOURNAL_BLOCK;
            int rc = start_file(j, &started, e);
            pthread_mutex_lock(&j->lock);
            j->left = started.bytes - JOURNAL_BLOCK;
            pthread_mutex_unlock(&j->lock);
            return rc;
        }
        if (attempt)
            return err_set(e, ERR_INTERNAL, "journal %s: no file for a record of %zu bytes", j->dir, record);
        int rc = make_file(j, record, e);
        if (rc)
            return rc;
    }
}

/* ---- writing ---- */

/* Writes `s` as the next record. The buffer has room for the padding. */
static int write_record(struct journal *j, struct journal_stage_buffer *s, uint64_t released, struct err *e)
{
    size_t n = journal_padded(JOURNAL_RECORD_HEADER + s->used);
    if (j->fd < 0 || (int64_t)n > j->left) {
        int rc = switch_file(j, n, e);
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
    int rc = write_synced(j, s->data, n, j->position, path, e);
    if (rc)
        return rc;
    j->position += (int64_t)n;
    j->next_record++;
    pthread_mutex_lock(&j->lock);
    j->left -= (int64_t)n;
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

int journal_prepare(struct journal *j, struct err *e)
{
    pthread_mutex_lock(&j->lock);
    int64_t bytes = 0;
    for (size_t i = 0; i < j->file_count; i++)
        if (j->files[i].state == JOURNAL_CURRENT)
            bytes = j->files[i].bytes;
    bool needed = !j->failed && bytes && j->left < bytes / 2 && !free_file(j, JOURNAL_BLOCK);
    pthread_mutex_unlock(&j->lock);
    return needed ? make_file(j, JOURNAL_BLOCK, e) : ERR_OK;
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

/* Takes a free file out of the list when there are more than a burst will need again; its slot, or -1. */
static int64_t surplus_file(struct journal *j)
{
    int64_t slot = -1;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->file_count && j->stats.file_bytes > 4 * (uint64_t)j->file_bytes; i++) {
        struct journal_file *f = &j->files[i];
        if (f->state != JOURNAL_FREE || f->sequence + 1 == j->next_file)
            continue;
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
        rc = switch_file(j, JOURNAL_BLOCK, e);
        newest = j->next_file - 1;
    } else {
        struct journal_stage_buffer *s = &j->stage[j->filling];
        rc = write_record(j, s, newest, e);
        newest = j->next_file - 1;
    }
    if (rc)
        return rc;
    seal_current(j);
    return journal_release(j, newest, e);
}

void journal_stats(struct journal *j, struct journal_stats *s)
{
    pthread_mutex_lock(&j->lock);
    *s = j->stats;
    pthread_mutex_unlock(&j->lock);
}
