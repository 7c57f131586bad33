/*
 * journal_aside: entries that are set aside, so that the journal's files can be released although a log cannot be flushed.
 * Written by whoever releases the files, read at a start ahead of the journal.
 *
 * A file has the form of one of the journal's, and is whole: it is written under another name, synced and renamed, so there
 * is no torn end, and what is not whole in it is damage. Files are numbered; the larger number has the later entries.
 */
#include "storage/journal_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#define TMP_SUFFIX ".tmp"
/* A record is written when it has so many bytes of entries; one entry may be larger. */
#define RECORD_BYTES (1u << 20)

static char *aside_path(const struct journal *j, uint64_t number, const char *suffix)
{
    return mem_printf("%s/%020" PRIu64 JOURNAL_ASIDE_SUFFIX "%s", j->dir, number, suffix);
}

bool journal_aside_name(const char *name, uint64_t *number)
{
    char expected[40];
    if (sscanf(name, "%20" SCNu64, number) != 1)
        return false;
    snprintf(expected, sizeof expected, "%020" PRIu64 JOURNAL_ASIDE_SUFFIX, *number);
    return strcmp(name, expected) == 0;
}

bool journal_aside_decode(const uint8_t block[JOURNAL_BLOCK], uint64_t number, struct journal_file *f)
{
    return journal_file_decode(block, f) && f->sequence == number && be64(block + 40) == (uint64_t)f->bytes;
}

/* ---- writing ---- */

struct writer {
    int (*choose)(void *arg, const struct journal_entry *en, bool *copy, struct err *e);
    void *arg;
    uint64_t number;
    char *path; /* while it is written */
    int fd;     /* -1: nothing was chosen yet */
    int64_t position;
    uint64_t next_record;
    struct buf record; /* header and entries of the next one */
    uint32_t entries;
};

static int write_record(struct writer *w, struct err *e)
{
    size_t used = w->record.len, n = journal_padded(used);
    int rc = buf_reserve(&w->record, n - used, e);
    if (rc)
        return rc;
    struct journal_record r = {
        .entries = w->entries,
        .file_sequence = w->number,
        .sequence = w->next_record,
        .payload = (uint32_t)(used - JOURNAL_RECORD_HEADER),
    };
    memset(w->record.data + used, 0, n - used);
    journal_record_encode(w->record.data, &r);
    rc = io_pwrite(w->fd, w->record.data, n, w->position, w->path, e);
    w->position += (int64_t)n;
    w->next_record++;
    w->entries = 0;
    w->record.len = JOURNAL_RECORD_HEADER;
    return rc;
}

static int begin(struct writer *w, struct err *e)
{
    int rc = buf_reserve(&w->record, JOURNAL_RECORD_HEADER, e);
    if (!rc)
        rc = io_open(&w->fd, w->path, O_WRONLY | O_CREAT | O_TRUNC, 0600, e);
    w->record.len = JOURNAL_RECORD_HEADER;
    return rc;
}

static int take_entry(void *arg, const struct journal_entry *en, struct err *e)
{
    struct writer *w = arg;
    bool copy = false;
    size_t bytes = JOURNAL_ENTRY_HEADER + en->bytes;
    int rc = w->choose(w->arg, en, &copy, e);
    if (rc || !copy)
        return rc;
    if (w->fd < 0)
        rc = begin(w, e);
    if (!rc && w->entries && w->record.len + bytes > RECORD_BYTES)
        rc = write_record(w, e);
    if (!rc)
        rc = buf_reserve(&w->record, bytes, e);
    if (rc)
        return rc;
    journal_entry_encode(w->record.data + w->record.len, en);
    w->record.len += bytes;
    w->entries++;
    return ERR_OK;
}

/* The first block last: it has the length. */
static int finish(struct writer *w, const char *path, struct err *e)
{
    uint8_t block[JOURNAL_BLOCK];
    int rc = write_record(w, e);
    struct journal_file f = {.sequence = w->number, .first_record = 1, .bytes = w->position};
    journal_file_encode(block, &f);
    if (!rc)
        rc = io_pwrite(w->fd, block, sizeof block, 0, w->path, e);
    if (!rc)
        rc = io_sync(w->fd, w->path, e);
    return rc ? rc : io_rename(w->path, path, e);
}

int journal_set_aside(struct journal *j, uint64_t seal, uint64_t number,
                      int (*choose)(void *arg, const struct journal_entry *en, bool *copy, struct err *e),
                      void *arg, bool *any, struct err *e)
{
    struct writer w = {.choose = choose,
                       .arg = arg,
                       .number = number,
                       .fd = -1,
                       .position = JOURNAL_BLOCK,
                       .next_record = 1};
    char *path = aside_path(j, number, "");
    w.path = aside_path(j, number, TMP_SUFFIX);
    buf_init(&w.record, j->record_bytes + RECORD_BYTES);
    int rc = path && w.path ? journal_read_sealed(j, seal, take_entry, &w, e) : err_nomem(e);
    *any = w.fd >= 0;
    if (!rc && *any)
        rc = finish(&w, path, e);
    if (rc && *any) {
        struct err ignored; /* the first one is to be told; the next start removes it, too */
        io_unlink(w.path, &ignored);
    }
    io_close(w.fd);
    if (!rc && *any)
        rc = io_sync_dir(j->dir, e);
    buf_free(&w.record);
    mem_free(w.path);
    mem_free(path);
    return rc ? err_wrap(e, "setting entries of the journal aside") : ERR_OK;
}

/* ---- reading ---- */

bool journal_aside_unfinished(const char *name)
{
    uint64_t number;
    char plain[40];
    size_t n = strlen(name), m = strlen(TMP_SUFFIX);
    if (n <= m || n - m >= sizeof plain || strcmp(name + n - m, TMP_SUFFIX) != 0)
        return false;
    memcpy(plain, name, n - m);
    plain[n - m] = '\0';
    return journal_aside_name(plain, &number);
}

int journal_aside_found(struct journal *j, const char *name, struct err *e)
{
    uint64_t number;
    if (journal_aside_unfinished(name)) {
        char *path = mem_printf("%s/%s", j->dir, name);
        int rc = path ? io_unlink(path, e) : err_nomem(e);
        mem_free(path);
        return rc;
    }
    if (!journal_aside_name(name, &number))
        return ERR_OK;
    uint64_t *asides = mem_realloc_array(j->asides, j->aside_count + 1, sizeof *asides);
    if (!asides)
        return err_nomem(e);
    j->asides = asides;
    j->asides[j->aside_count++] = number;
    return ERR_OK;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

struct giver {
    int (*entry)(void *arg, uint64_t number, const struct journal_entry *en, struct err *e);
    void *arg;
    uint64_t number;
};

static int give(void *arg, const struct journal_entry *en, struct err *e)
{
    const struct giver *g = arg;
    return g->entry(g->arg, g->number, en, e);
}

int journal_replay_asides(struct journal *j,
                          int (*entry)(void *arg, uint64_t number, const struct journal_entry *en,
                                       struct err *e),
                          void *arg, struct err *e)
{
    int rc = ERR_OK;
    if (j->aside_count)
        qsort(j->asides, j->aside_count, sizeof *j->asides, by_number);
    for (size_t i = 0; i < j->aside_count && !rc; i++) {
        struct giver g = {entry, arg, j->asides[i]};
        char *path = aside_path(j, g.number, "");
        rc = path ? journal_read_aside(path, g.number, give, &g, e) : err_nomem(e);
        mem_free(path);
    }
    return rc ? err_wrap(e, "journal") : ERR_OK;
}

int journal_drop_aside(struct journal *j, uint64_t number, struct err *e)
{
    char *path = aside_path(j, number, "");
    int rc = path ? io_unlink(path, e) : err_nomem(e);
    mem_free(path);
    if (rc == ERR_NOT_FOUND)
        rc = ERR_OK;
    return rc ? rc : io_sync_dir(j->dir, e);
}
