/*
 * journal_inspect: walks the journal's files as a start would, but changes nothing and goes on behind damage. For fsck and
 * log dump; see check.h. One thread; nobody writes the files meanwhile, or what it says of their end means nothing.
 */
#include "storage/check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/journal_internal.h"
#include "storage/paths.h"

struct seen_file {
    char *path;
    struct journal_file f;
};

struct inspection {
    const char *dir;
    struct check *c;
    const struct journal_visitor *v;
    struct seen_file *files;
    size_t count;
    struct seen_file *asides; /* what was set aside */
    size_t aside_count;
    uint64_t released; /* files up to this number need not be replayed */
    uint64_t live;
};

/* One file's reading place. */
struct place {
    struct inspection *x;
    const struct seen_file *file;
    bool aside; /* it was set aside, and is read until it is removed */
    int fd;
    int64_t position;
    uint8_t *data; /* of the last record */
    size_t cap;
    struct journal_record record;
};

static int tell(const struct place *p, enum check_kind kind, const char *text, struct err *e)
{
    if (!p->x->c)
        return ERR_OK;
    struct check_finding f = {kind, NULL, p->file->path, p->position, -1, -1, NULL};
    return check_tell(p->x->c, f, e, "%s", text);
}

static struct journal_sight sight(const struct place *p, bool record)
{
    const struct journal_file *f = &p->file->f;
    struct journal_sight s = {
        .path = p->file->path,
        .byte = record ? p->position : 0,
        .file_sequence = f->sequence,
        .record_sequence = record ? p->record.sequence : 0,
        .released = record ? p->record.released : f->released,
        .first_record = f->first_record,
        .entries = record ? p->record.entries : 0,
        .payload = record ? p->record.payload : 0,
        .file_bytes = f->bytes,
        .live = p->aside || f->sequence > p->x->released,
    };
    return s;
}

/* ---- records ---- */

/* *whole: a record of this file with a right checksum stands at the position. *begun: at least its header does. */
static int read_record(struct place *p, bool *whole, bool *begun, struct err *e)
{
    uint8_t header[JOURNAL_RECORD_HEADER];
    size_t got;
    *whole = *begun = false;
    int rc = io_pread_some(p->fd, header, sizeof header, p->position, &got, p->file->path, e);
    if (rc || got < sizeof header || !journal_record_decode(header, &p->record))
        return rc;
    size_t n = journal_padded(JOURNAL_RECORD_HEADER + (size_t)p->record.payload);
    if (p->record.file_sequence != p->file->f.sequence || (int64_t)n > p->file->f.bytes - p->position)
        return ERR_OK;
    *begun = true;
    if (n > p->cap) {
        mem_free(p->data);
        p->cap = 0;
        p->data = mem_alloc(n);
        if (!p->data)
            return err_nomem(e);
        p->cap = n;
    }
    rc = io_pread_some(p->fd, p->data, n, p->position, &got, p->file->path, e);
    *whole = rc == ERR_OK && got == n && journal_record_valid(p->data, &p->record);
    return rc;
}

/* Goes to the next whole record with a number above `after`; the end of the file if there is none. */
static int find_record(struct place *p, uint64_t after, bool *found, struct err *e)
{
    bool begun;
    int rc = ERR_OK;
    *found = false;
    for (p->position += JOURNAL_BLOCK;
         rc == ERR_OK && p->position + (int64_t)JOURNAL_BLOCK <= p->file->f.bytes;
         p->position += JOURNAL_BLOCK) {
        rc = read_record(p, found, &begun, e);
        if (*found && p->record.sequence > after)
            return rc;
    }
    *found = false;
    return rc;
}

static int show_entries(const struct place *p, struct err *e)
{
    const uint8_t *at = p->data + JOURNAL_RECORD_HEADER, *end = at + p->record.payload;
    struct journal_sight s = sight(p, true);
    int rc = ERR_OK;
    for (uint32_t i = 0; i < p->record.entries && rc == ERR_OK; i++) {
        if (end - at < (ptrdiff_t)JOURNAL_ENTRY_HEADER ||
            be32(at + 52) > (size_t)(end - at) - JOURNAL_ENTRY_HEADER)
            return tell(p, CHECK_BAD_JOURNAL, "an entry passes the end of its record", e);
        struct journal_entry en = {
            .segment_base = (int64_t)be64(at + 16),
            .position = (int64_t)be64(at + 24),
            .base_offset = (int64_t)be64(at + 32),
            .next_offset = (int64_t)be64(at + 40),
            .partition = (int32_t)be32(at + 48),
            .bytes = be32(at + 52),
            .data = at + JOURNAL_ENTRY_HEADER,
        };
        memcpy(en.topic_id.b, at, 16);
        at += JOURNAL_ENTRY_HEADER + en.bytes;
        if (p->x->v && p->x->v->entry)
            rc = p->x->v->entry(p->x->v->arg, &s, &en, e);
    }
    return rc;
}

static int show_record(const struct place *p, struct err *e)
{
    struct journal_sight s = sight(p, true);
    int rc = p->x->v && p->x->v->record ? p->x->v->record(p->x->v->arg, &s, e) : ERR_OK;
    return rc ? rc : show_entries(p, e);
}

/* ---- files ---- */

static int open_place(struct place *p, struct inspection *x, const struct seen_file *file, struct err *e)
{
    *p = (struct place){.x = x, .file = file, .fd = -1, .position = JOURNAL_BLOCK};
    return io_open(&p->fd, file->path, O_RDONLY, 0, e);
}

static void close_place(struct place *p)
{
    io_close(p->fd);
    mem_free(p->data);
}

/* What is expected at the position is not there. *more: a later record is, at the position now. */
static int pass_damage(struct place *p, uint64_t expected, uint64_t until, bool begun, bool *more,
                       struct err *e)
{
    char text[160];
    int64_t at = p->position;
    int rc = find_record(p, expected, more, e);
    int64_t found = p->position;
    p->position = at;
    if (rc)
        return rc;
    bool damaged = *more || until > expected, live = p->file->f.sequence > p->x->released;
    snprintf(text, sizeof text,
             damaged ? "record %llu is damaged or missing and later ones are not"
                     : "record %llu is not whole",
             (unsigned long long)expected);
    if (live && (damaged || begun))
        rc = tell(p, damaged ? CHECK_BAD_JOURNAL : CHECK_TORN_JOURNAL, text, e);
    p->position = found;
    return rc;
}

/* `until`: number of the next file's first record; 0 for the newest. `show`: else only *released is looked for. */
static int walk_file(struct inspection *x, const struct seen_file *file, uint64_t until, bool show,
                     struct err *e)
{
    struct place p;
    uint64_t expected = file->f.first_record;
    int rc = open_place(&p, x, file, e);
    if (file->f.released > x->released)
        x->released = file->f.released;
    struct journal_sight s = sight(&p, false);
    if (rc == ERR_OK && show && x->v && x->v->file)
        rc = x->v->file(x->v->arg, &s, e);
    while (rc == ERR_OK && (until == 0 || expected < until)) {
        bool whole, begun, more = true;
        rc = read_record(&p, &whole, &begun, e);
        if (rc == ERR_OK && (!whole || p.record.sequence != expected)) {
            if (!show)
                rc = find_record(&p, expected, &more, e);
            else
                rc = pass_damage(&p, expected, until, begun && !whole, &more, e);
        }
        if (rc || !more)
            break;
        expected = p.record.sequence + 1;
        if (p.record.released > x->released)
            x->released = p.record.released;
        if (show) {
            x->live += file->f.sequence > x->released && p.record.entries > 0;
            rc = show_record(&p, e);
        }
        p.position += (int64_t)journal_padded(JOURNAL_RECORD_HEADER + (size_t)p.record.payload);
    }
    close_place(&p);
    return rc;
}

/* The numbers of a file: from its first block or, where that is broken, from its first record. */
static int load_file(struct inspection *x, struct seen_file *file, struct err *e)
{
    struct place p;
    uint8_t block[JOURNAL_BLOCK];
    size_t got = 0;
    bool whole = false, begun;
    int rc = open_place(&p, x, file, e);
    if (rc == ERR_OK)
        rc = io_size(p.fd, &file->f.bytes, file->path, e);
    if (rc == ERR_OK)
        rc = io_pread_some(p.fd, block, sizeof block, 0, &got, file->path, e);
    if (rc || (got == sizeof block && journal_file_decode(block, &file->f)))
        goto done;
    file->f.sequence = file->f.first_record = file->f.released = 0;
    if (got == sizeof block && be64(block) == 0)
        goto done; /* of zeros: never used */
    p.position = 0;
    rc = tell(&p, CHECK_BAD_JOURNAL, "the first block is damaged; its first record is used instead", e);
    p.position = JOURNAL_BLOCK;
    if (rc == ERR_OK)
        rc = io_pread_some(p.fd, block, JOURNAL_RECORD_HEADER, JOURNAL_BLOCK, &got, file->path, e);
    if (rc == ERR_OK && got == JOURNAL_RECORD_HEADER && journal_record_decode(block, &p.record)) {
        file->f.sequence = p.record.file_sequence;
        rc = read_record(&p, &whole, &begun, e);
    }
    file->f.sequence = whole ? p.record.file_sequence : 0;
    file->f.first_record = whole ? p.record.sequence : 0;
    file->f.released = whole ? p.record.released : 0;
done:
    close_place(&p);
    return rc;
}

/* In *list, which takes the path over. NULL: no memory. */
static struct seen_file *add_file(struct seen_file **list, size_t *n, char *path, struct journal_file f,
                                  struct err *e)
{
    struct seen_file *files = mem_realloc_array(*list, *n + 1, sizeof *files);
    if (!files) {
        mem_free(path);
        err_nomem(e);
        return NULL;
    }
    *list = files;
    files[*n] = (struct seen_file){.path = path, .f = f};
    return &files[(*n)++];
}

/* A name that is no file of the journal. */
static int see_other(struct inspection *x, const char *name, char *path, struct err *e)
{
    uint64_t number;
    struct check_finding f = {CHECK_FOREIGN_FILE, NULL, path, -1, -1, -1, NULL};
    if (journal_aside_name(name, &number))
        return add_file(&x->asides, &x->aside_count, path, (struct journal_file){.sequence = number}, e)
                   ? ERR_OK
                   : e->code;
    bool unfinished = journal_aside_unfinished(name);
    if (unfinished)
        f.kind = CHECK_LEFTOVER;
    int rc = x->c ? check_tell(x->c, f, e, "%s",
                               unfinished ? "a file that was being written" : "is no file of the journal")
                  : ERR_OK;
    mem_free(path);
    return rc;
}

static int see_name(void *arg, const char *name, struct err *e)
{
    struct inspection *x = arg;
    unsigned slot;
    char suffix[16] = "", *path = mem_printf("%s/%s", x->dir, name);
    if (!path)
        return err_nomem(e);
    bool ours =
        strlen(name) == 16 && sscanf(name, "%8u%15s", &slot, suffix) == 2 && strcmp(suffix, ".journal") == 0;
    if (!ours)
        return see_other(x, name, path, e);
    struct seen_file *file = add_file(&x->files, &x->count, path, (struct journal_file){.slot = slot}, e);
    return file ? load_file(x, file, e) : e->code;
}

static int by_sequence(const void *a, const void *b)
{
    const struct seen_file *x = a, *y = b;
    return x->f.sequence < y->f.sequence ? -1 : x->f.sequence > y->f.sequence;
}

/* Files that must be replayed follow each other without a gap. */
static int check_numbers(struct inspection *x, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 1; i < x->count && rc == ERR_OK; i++) {
        uint64_t before = x->files[i - 1].f.sequence, now = x->files[i].f.sequence;
        if (before <= x->released || now == before + 1 || !x->c)
            continue;
        struct check_finding f = {CHECK_BAD_JOURNAL, NULL, x->files[i].path, 0, -1, -1, NULL};
        rc = check_tell(x->c, f, e,
                        now == before ? "two files have the number %llu" : "no file has the number %llu",
                        (unsigned long long)(now == before ? before : before + 1));
    }
    return rc;
}

static int walk_files(struct inspection *x, struct err *e)
{
    int rc = x->count && x->files[x->count - 1].f.sequence
                 ? walk_file(x, &x->files[x->count - 1], 0, false, e)
                 : ERR_OK;
    if (rc == ERR_OK)
        rc = check_numbers(x, e);
    for (size_t i = 0; i < x->count && rc == ERR_OK; i++) {
        uint64_t until = i + 1 < x->count ? x->files[i + 1].f.first_record : 0;
        if (x->files[i].f.sequence)
            rc = walk_file(x, &x->files[i], until, true, e);
    }
    return rc;
}

/* ---- what was set aside ---- */

/* Its first block; the walk goes by the name's number if that is damaged. */
static int check_head(struct place *p, struct seen_file *file, struct err *e)
{
    uint8_t block[JOURNAL_BLOCK];
    size_t got;
    struct journal_file f = {0};
    int rc = io_size(p->fd, &f.bytes, file->path, e);
    if (rc == ERR_OK)
        rc = io_pread_some(p->fd, block, sizeof block, 0, &got, file->path, e);
    file->f.bytes = f.bytes;
    file->f.first_record = 1;
    if (rc || (got == sizeof block && journal_aside_decode(block, file->f.sequence, &f)))
        return rc;
    p->position = 0;
    rc = tell(p, CHECK_BAD_JOURNAL, "the first block is damaged, or the file's length", e);
    p->position = JOURNAL_BLOCK;
    return rc;
}

/* The records follow each other up to the end of the file. */
static int walk_aside(struct inspection *x, struct seen_file *file, struct err *e)
{
    struct place p;
    uint64_t expected = 1;
    int rc = open_place(&p, x, file, e);
    p.aside = true;
    if (rc == ERR_OK)
        rc = check_head(&p, file, e);
    struct journal_sight s = sight(&p, false);
    if (rc == ERR_OK && x->v && x->v->file)
        rc = x->v->file(x->v->arg, &s, e);
    while (rc == ERR_OK && p.position < file->f.bytes) {
        bool whole, begun;
        rc = read_record(&p, &whole, &begun, e);
        if (rc == ERR_OK && (!whole || p.record.sequence != expected)) {
            rc = tell(&p, CHECK_BAD_JOURNAL, "a record is damaged or missing", e);
            whole = false;
            if (rc == ERR_OK)
                rc = find_record(&p, expected, &whole, e);
        }
        if (rc || !whole)
            break;
        expected = p.record.sequence + 1;
        x->live++;
        rc = show_record(&p, e);
        p.position += (int64_t)journal_padded(JOURNAL_RECORD_HEADER + (size_t)p.record.payload);
    }
    close_place(&p);
    return rc;
}

static int walk_asides(struct inspection *x, struct err *e)
{
    int rc = ERR_OK;
    if (x->aside_count)
        qsort(x->asides, x->aside_count, sizeof *x->asides, by_sequence);
    for (size_t i = 0; i < x->aside_count && rc == ERR_OK; i++)
        rc = walk_aside(x, &x->asides[i], e);
    return rc;
}

static void free_files(struct seen_file *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(list[i].path);
    mem_free(list);
}

int journal_inspect(const char *dir, struct check *c, const struct journal_visitor *v, uint64_t *live,
                    struct err *e)
{
    struct inspection x = {.dir = dir, .c = c, .v = v};
    int rc = io_exists(dir) ? io_list(dir, see_name, &x, e) : ERR_OK;
    if (rc == ERR_OK && x.count)
        qsort(x.files, x.count, sizeof *x.files, by_sequence);
    if (rc == ERR_OK)
        rc = walk_asides(&x, e);
    if (rc == ERR_OK)
        rc = walk_files(&x, e);
    *live = x.live;
    free_files(x.files, x.count);
    free_files(x.asides, x.aside_count);
    return rc;
}
