/*
 * journal_replay: reads the journal's files after a start and gives out what has to be restored. One thread, before
 * anything is written.
 *
 * Files are read in the order of their sequence numbers. Those up to the largest `released` number found in the newest
 * file are done with. A file that is followed by another one must hold every record up to the other's first; the newest
 * file ends at its first record that is not whole, unless a whole one of a later number stands behind it. That is not looked for where
 * the file itself is done with, as after a clean stop: it would be a read of the whole file.
 */
#include "storage/journal_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

struct reader {
    const struct journal_file *file;
    char *path;
    int fd;
    int64_t position;
    uint8_t *data; /* of the last record */
    size_t cap;
};

static void reader_close(struct reader *r)
{
    io_close(r->fd);
    mem_free(r->data);
    mem_free(r->path);
}

/* Takes the path over; NULL: there was no memory for it. */
static int reader_open_path(struct reader *r, char *path, const struct journal_file *f, struct err *e)
{
    *r = (struct reader){.file = f, .path = path, .fd = -1, .position = JOURNAL_BLOCK};
    if (!r->path)
        return err_nomem(e);
    int rc = io_open(&r->fd, r->path, O_RDONLY, 0, e);
    if (rc)
        reader_close(r);
    return rc;
}

static int reader_open(struct reader *r, const struct journal *j, const struct journal_file *f, struct err *e)
{
    return reader_open_path(r, journal_path(j, f->slot), f, e);
}

/* Reads the record at r->position. `*whole` is false where none with this file's number and a right CRC stands. */
static int read_record(struct reader *r, struct journal_record *rec, bool *whole, struct err *e)
{
    uint8_t header[JOURNAL_RECORD_HEADER];
    size_t got;
    *whole = false;
    int rc = io_pread_some(r->fd, header, sizeof header, r->position, &got, r->path, e);
    if (rc || got < sizeof header || !journal_record_decode(header, rec))
        return rc;
    size_t n = journal_padded(JOURNAL_RECORD_HEADER + (size_t)rec->payload);
    if (rec->file_sequence != r->file->sequence || (int64_t)n > r->file->bytes - r->position)
        return ERR_OK;
    if (n > r->cap) {
        mem_free(r->data);
        r->cap = 0;
        r->data = mem_alloc(n);
        if (!r->data)
            return err_nomem(e);
        r->cap = n;
    }
    rc = io_pread_some(r->fd, r->data, n, r->position, &got, r->path, e);
    if (rc == ERR_OK && got == n)
        *whole = journal_record_valid(r->data, rec);
    return rc;
}

/* A first block that is not understood: is that because a later program wrote it? */
static int check_version(const uint8_t block[JOURNAL_BLOCK], size_t got, const char *path, struct err *e)
{
    if (got == JOURNAL_BLOCK && memcmp(block, JOURNAL_FILE_MAGIC, 8) == 0 &&
        be32(block + 8) > JOURNAL_VERSION)
        return err_set(e, ERR_UNSUPPORTED, "%s has version %u, this program knows %u", path, be32(block + 8),
                       JOURNAL_VERSION);
    return ERR_OK;
}

int journal_file_load(const struct journal *j, struct journal_file *f, struct err *e)
{
    struct reader r;
    int rc = reader_open(&r, j, f, e);
    if (rc)
        return rc;
    uint8_t block[JOURNAL_BLOCK];
    size_t got = 0;
    rc = io_size(r.fd, &f->bytes, r.path, e);
    f->bytes = f->bytes / JOURNAL_BLOCK * JOURNAL_BLOCK;
    if (rc == ERR_OK)
        rc = io_pread_some(r.fd, block, sizeof block, 0, &got, r.path, e);
    if (rc == ERR_OK && (got < sizeof block || !journal_file_decode(block, f))) {
        f->sequence = f->first_record = f->released = 0;
        rc = check_version(block, got, r.path, e);
    }
    if (rc == ERR_OK && f->sequence == 0 && f->bytes > (int64_t)JOURNAL_BLOCK) {
        /* The first block may be damaged: the first record names the same numbers. */
        struct journal_record rec;
        bool whole = false;
        size_t n;
        uint8_t header[JOURNAL_RECORD_HEADER];
        rc = io_pread_some(r.fd, header, sizeof header, JOURNAL_BLOCK, &n, r.path, e);
        if (rc == ERR_OK && n == sizeof header && journal_record_decode(header, &rec)) {
            f->sequence = rec.file_sequence;
            rc = read_record(&r, &rec, &whole, e);
        }
        f->sequence = whole ? rec.file_sequence : 0;
        f->first_record = whole ? rec.sequence : 0;
        f->released = whole ? rec.released : 0;
    }
    reader_close(&r);
    return rc;
}

static int by_sequence(const void *a, const void *b)
{
    const struct journal_file *x = a, *y = b;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static int damage(const struct reader *r, uint64_t record, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "%s: record %llu at byte %lld is damaged and later ones are not", r->path,
                   (unsigned long long)record, (long long)r->position);
}

/* Does a whole record of this file with number >= `sequence` stand at or behind r->position? */
static int later_record(struct reader *r, uint64_t sequence, bool *found, struct err *e)
{
    struct journal_record rec;
    int64_t start = r->position;
    int rc = ERR_OK;
    *found = false;
    while (rc == ERR_OK && !*found && r->position + (int64_t)JOURNAL_BLOCK <= r->file->bytes) {
        rc = read_record(r, &rec, found, e);
        if (*found && rec.sequence < sequence)
            *found = false;
        r->position += JOURNAL_BLOCK;
    }
    r->position = start;
    return rc;
}

static int give_entries(const struct reader *r, const struct journal_record *rec, journal_entry_fn *entry,
                        void *arg, struct err *e)
{
    const uint8_t *p = r->data + JOURNAL_RECORD_HEADER;
    const uint8_t *end = p + rec->payload;
    int rc = ERR_OK;
    for (uint32_t i = 0; i < rec->entries && rc == ERR_OK; i++) {
        if (end - p < (ptrdiff_t)JOURNAL_ENTRY_HEADER ||
            be32(p + 52) > (size_t)(end - p) - JOURNAL_ENTRY_HEADER)
            return err_set(e, ERR_CORRUPT, "%s: entry %u of the record at byte %lld passes its end", r->path,
                           i, (long long)r->position);
        struct journal_entry en = {
            .segment_base = (int64_t)be64(p + 16),
            .position = (int64_t)be64(p + 24),
            .base_offset = (int64_t)be64(p + 32),
            .next_offset = (int64_t)be64(p + 40),
            .partition = (int32_t)be32(p + 48),
            .bytes = be32(p + 52),
            .data = p + JOURNAL_ENTRY_HEADER,
        };
        memcpy(en.topic_id.b, p, 16);
        p += JOURNAL_ENTRY_HEADER + en.bytes;
        rc = entry(arg, &en, e);
    }
    return rc;
}

struct replay {
    struct journal *j;
    journal_entry_fn *entry; /* NULL: only look */
    void *arg;
    uint64_t next_record; /* expected */
    uint64_t released;    /* largest seen */
};

/* Walks one file. `until`: number of the first record of the next file; 0 for the newest. */
static int replay_file(struct replay *p, const struct journal_file *f, uint64_t until, struct err *e)
{
    struct reader r;
    int rc = reader_open(&r, p->j, f, e);
    if (rc)
        return rc;
    p->next_record = f->first_record;
    if (f->released > p->released)
        p->released = f->released;
    while (!until || p->next_record < until) {
        struct journal_record rec;
        bool whole;
        rc = read_record(&r, &rec, &whole, e);
        if (rc)
            break;
        if (!whole || rec.sequence != p->next_record) {
            bool later = until != 0, done = f->sequence <= p->released; /* as journal_reset leaves it */
            if (!later && !done)
                rc = later_record(&r, p->next_record, &later, e);
            if (rc == ERR_OK && later)
                rc = damage(&r, p->next_record, e);
            break;
        }
        if (rec.released > p->released)
            p->released = rec.released;
        if (p->entry)
            rc = give_entries(&r, &rec, p->entry, p->arg, e);
        if (rc)
            break;
        p->next_record++;
        r.position += (int64_t)journal_padded(JOURNAL_RECORD_HEADER + (size_t)rec.payload);
    }
    reader_close(&r);
    return rc;
}

int journal_read_sealed(struct journal *j, uint64_t seal, journal_entry_fn *entry, void *arg, struct err *e)
{
    struct replay p = {.j = j, .entry = entry, .arg = arg};
    pthread_mutex_lock(&j->lock);
    size_t n = j->file_count;
    struct journal_file *files = mem_dup(j->files, n * sizeof *files);
    pthread_mutex_unlock(&j->lock);
    int rc = files ? ERR_OK : err_nomem(e);
    if (!rc)
        qsort(files, n, sizeof *files, by_sequence);
    for (size_t i = 0; i < n && !rc; i++)
        if (files[i].state == JOURNAL_SEALED && files[i].sequence <= seal)
            rc = replay_file(&p, &files[i], i + 1 < n ? files[i + 1].first_record : 0, e);
    mem_free(files);
    return rc;
}

static int aside_open(struct reader *r, struct journal_file *f, uint64_t number, struct err *e)
{
    uint8_t block[JOURNAL_BLOCK];
    size_t got;
    int rc = io_size(r->fd, &f->bytes, r->path, e);
    if (!rc)
        rc = io_pread_some(r->fd, block, sizeof block, 0, &got, r->path, e);
    if (rc || (got == sizeof block && journal_aside_decode(block, number, f)))
        return rc;
    rc = check_version(block, got, r->path, e);
    return rc ? rc
              : err_set(e, ERR_CORRUPT, "%s: the first block, at byte 0, is damaged, or the file's length",
                        r->path);
}

int journal_read_aside(const char *path, uint64_t number, journal_entry_fn *entry, void *arg, struct err *e)
{
    struct journal_file f = {0};
    struct journal_record rec;
    struct reader r;
    bool whole;
    int rc = reader_open_path(&r, mem_strdup(path), &f, e);
    if (rc)
        return rc;
    rc = aside_open(&r, &f, number, e);
    for (uint64_t next = 1; !rc && r.position < f.bytes; next++) {
        rc = read_record(&r, &rec, &whole, e);
        if (!rc && (!whole || rec.sequence != next))
            rc = err_set(e, ERR_CORRUPT, "%s: record %llu at byte %lld is damaged", path,
                         (unsigned long long)next, (long long)r.position);
        if (!rc)
            rc = give_entries(&r, &rec, entry, arg, e);
        if (!rc)
            r.position += (int64_t)journal_padded(JOURNAL_RECORD_HEADER + (size_t)rec.payload);
    }
    reader_close(&r);
    return rc;
}

/* Files up to the released number are free; the others must follow each other without a gap. */
static int mark_files(struct journal *j, uint64_t released, struct err *e)
{
    const struct journal_file *before = NULL;
    for (size_t i = 0; i < j->file_count; i++) {
        struct journal_file *f = &j->files[i];
        journal_set_state(j, f, f->sequence > released ? JOURNAL_SEALED : JOURNAL_FREE);
        if (f->state == JOURNAL_FREE)
            continue;
        if (before && f->sequence != before->sequence + 1)
            return err_set(e, ERR_CORRUPT, "%s: %s %llu", j->dir,
                           f->sequence == before->sequence ? "two files have the number"
                                                           : "no file has the number",
                           (unsigned long long)before->sequence + (f->sequence != before->sequence));
        before = f;
    }
    return ERR_OK;
}

/* A record that a killed process wrote but did not sync counts, so it must not vanish later. */
static int sync_file(const struct journal *j, const struct journal_file *f, struct err *e)
{
    struct reader r;
    int rc = reader_open(&r, j, f, e);
    if (rc)
        return rc;
    rc = io_sync_data(r.fd, r.path, e);
    reader_close(&r);
    return rc;
}

/* So that the disk is not waited for, file after file. */
static void read_ahead(const struct journal *j, size_t i)
{
    bool wanted = i < j->file_count && j->files[i].state == JOURNAL_SEALED;
    char *path = wanted ? journal_path(j, j->files[i].slot) : NULL;
    if (path)
        io_read_ahead(path);
    mem_free(path);
}

int journal_replay(struct journal *j, journal_entry_fn *entry, void *arg, struct err *e)
{
    if (j->replayed)
        return err_set(e, ERR_INTERNAL, "journal %s: replayed twice", j->dir);
    if (j->file_count)
        qsort(j->files, j->file_count, sizeof *j->files, by_sequence);
    struct replay p = {.j = j, .next_record = 1};
    const struct journal_file *newest = j->file_count ? &j->files[j->file_count - 1] : NULL;
    int rc = ERR_OK;
    if (newest && newest->sequence) {
        rc = replay_file(&p, newest, 0, e);
        j->next_file = newest->sequence + 1;
        j->next_record = p.next_record;
    }
    if (rc == ERR_OK)
        rc = mark_files(j, p.released, e);
    p.entry = entry;
    p.arg = arg;
    if (rc == ERR_OK && newest && newest->state == JOURNAL_FREE) /* it tells what is released */
        rc = sync_file(j, newest, e);
    for (size_t i = 0; i < j->file_count && rc == ERR_OK; i++) {
        if (j->files[i].state != JOURNAL_SEALED)
            continue;
        read_ahead(j, i + 1);
        read_ahead(j, i + 2);
        if ((rc = sync_file(j, &j->files[i], e)) == ERR_OK)
            rc = replay_file(&p, &j->files[i], i + 1 < j->file_count ? j->files[i + 1].first_record : 0, e);
    }
    if (rc)
        return err_wrap(e, "journal");
    j->released = j->released_synced = p.released;
    j->replayed = true;
    return ERR_OK;
}
