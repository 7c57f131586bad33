/*
 * dump_files: indexes, snapshots, checkpoints and the journal. See dump_internal.h.
 */
#include "broker/dump_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "storage/check.h"
#include "storage/checkpoint.h"
#include "storage/index.h"
#include "storage/journal.h"
#include "storage/producers.h"
#include "storage/segment.h"

#define FILE_MAX (64u << 20)

/* Reads a small file as a whole after its line was written. *data stays NULL where it cannot be read, which is told. */
static int read_whole(struct dump *d, const char *path, char **data, size_t *n, struct err *e)
{
    struct err why;
    *data = NULL;
    *n = 0;
    int rc = dump_file_line(d, path, e);
    if (rc)
        return rc;
    rc = io_read_file(path, FILE_MAX, data, n, &why);
    if (rc == ERR_NO_MEMORY)
        return err_nomem(e);
    return rc ? dump_problem(d, path, -1, why.text, e) : ERR_OK;
}

/* A reader of the other kinds answered `rc`: told, unless it is the memory. */
static int told(struct dump *d, const char *path, int rc, const struct err *why, struct err *e)
{
    if (rc == ERR_NO_MEMORY)
        return err_nomem(e);
    return rc ? dump_problem(d, path, -1, why->text, e) : ERR_OK;
}

/* ---- indexes ---- */

static int index_entry_line(struct dump *d, const struct index_entry *en, bool time, struct err *e)
{
    if (d->o->verify)
        return ERR_OK;
    dump_begin(d, time ? "timeindex" : "index", "");
    dump_int(d, time ? "timestamp" : "offset", en->key);
    dump_int(d, time ? "offset" : "position", en->value);
    return dump_end(d, e);
}

int dump_index(struct dump *d, const char *path, int64_t base, bool time, struct err *e)
{
    enum index_kind kind = time ? INDEX_TIME : INDEX_OFFSET;
    size_t size = index_entry_size(kind), n;
    static const uint8_t zeros[16];
    struct index_entry last = {-1, -1};
    char *data;
    int rc = read_whole(d, path, &data, &n, e);
    for (size_t at = 0; rc == ERR_OK && n - at >= size; at += size) {
        const uint8_t *p = (const uint8_t *)data + at;
        if (memcmp(p, zeros, size) == 0)
            break; /* preallocated */
        struct index_entry en = index_decode(kind, base, p);
        rc = index_entry_line(d, &en, time, e);
        if (rc == ERR_OK && (en.key <= last.key || en.value < last.value))
            rc = dump_problem(d, path, (int64_t)at, "the entry does not ascend", e);
        last = en;
    }
    if (rc == ERR_OK && n % size)
        rc = dump_problem(d, path, (int64_t)(n - n % size), "the last entry is not whole", e);
    mem_free(data);
    return rc;
}

int dump_txnindex(struct dump *d, const char *path, struct err *e)
{
    char *data;
    size_t n;
    int rc = read_whole(d, path, &data, &n, e);
    for (size_t at = 0; rc == ERR_OK && n - at >= TXNINDEX_ENTRY; at += TXNINDEX_ENTRY) {
        const uint8_t *p = (const uint8_t *)data + at;
        struct aborted_txn t;
        struct err why;
        if (txnindex_decode(p, (int64_t)(at / TXNINDEX_ENTRY), path, &t, &why)) {
            rc = dump_problem(d, path, (int64_t)at, "no aborted transaction", e);
            continue;
        }
        dump_begin(d, "txnindex", "");
        dump_int(d, "version", (int16_t)be16(p));
        dump_int(d, "producerId", t.producer_id);
        dump_int(d, "firstOffset", t.first_offset);
        dump_int(d, "lastOffset", t.last_offset);
        dump_int(d, "lastStableOffset", (int64_t)be64(p + 26));
        rc = d->o->verify ? ERR_OK : dump_end(d, e);
    }
    if (rc == ERR_OK && n % TXNINDEX_ENTRY)
        rc = dump_problem(d, path, (int64_t)(n - n % TXNINDEX_ENTRY), "the last entry is not whole", e);
    mem_free(data);
    return rc;
}

/* ---- snapshots ---- */

static int by_id(const void *a, const void *b)
{
    const struct producer_info *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int show_producers(struct dump *d, const struct producers *p, struct err *e)
{
    struct producer_info *list;
    size_t n;
    int rc = producers_list(p, &list, &n, e);
    if (rc == ERR_OK && n)
        qsort(list, n, sizeof *list, by_id);
    for (size_t i = 0; i < n && rc == ERR_OK && !d->o->verify; i++) {
        dump_begin(d, "producer", "");
        dump_int(d, "producerId", list[i].id);
        dump_int(d, "producerEpoch", list[i].epoch);
        dump_int(d, "coordinatorEpoch", list[i].coordinator_epoch);
        dump_optional(d, "currentTxnFirstOffset", list[i].txn_first_offset);
        dump_int(d, "lastTimestamp", list[i].last_timestamp);
        dump_int(d, "lastSequence", list[i].last_sequence);
        dump_int(d, "lastOffset", list[i].last_offset);
        rc = dump_end(d, e);
    }
    mem_free(list);
    return rc;
}

int dump_snapshot(struct dump *d, const char *path, struct err *e)
{
    char *data;
    size_t n;
    struct err why;
    int rc = read_whole(d, path, &data, &n, e);
    struct producers *p = producers_new();
    if (rc == ERR_OK && !p)
        rc = err_nomem(e);
    if (rc == ERR_OK && data) {
        rc = told(d, path, producers_decode(p, data, n, path, &why), &why, e);
        if (rc == ERR_OK)
            rc = show_producers(d, p, e);
    }
    producers_free(p);
    mem_free(data);
    return rc;
}

/* ---- text files ---- */

int dump_offsets_file(struct dump *d, const char *path, struct err *e)
{
    struct offset_entry *list;
    size_t n;
    struct err why;
    int rc = dump_file_line(d, path, e);
    if (rc)
        return rc;
    rc = told(d, path, offset_file_read(path, &list, &n, &why), &why, e);
    for (size_t i = 0; i < n && rc == ERR_OK && !d->o->verify; i++) {
        dump_begin(d, "offset", "");
        dump_text(d, "topic", list[i].topic);
        dump_int(d, "partition", list[i].partition);
        dump_int(d, "offset", list[i].offset);
        rc = dump_end(d, e);
    }
    offset_file_free(list, n);
    return rc;
}

int dump_epochs(struct dump *d, const char *path, struct err *e)
{
    struct epoch_entry *list;
    size_t n;
    struct err why;
    int rc = dump_file_line(d, path, e);
    if (rc)
        return rc;
    rc = told(d, path, epoch_file_read(path, &list, &n, &why), &why, e);
    for (size_t i = 0; i < n && rc == ERR_OK && !d->o->verify; i++) {
        dump_begin(d, "epoch", "");
        dump_int(d, "epoch", list[i].epoch);
        dump_int(d, "startOffset", list[i].start);
        rc = dump_end(d, e);
    }
    mem_free(list);
    return rc;
}

int dump_metadata_file(struct dump *d, const char *path, struct err *e)
{
    struct uuid id;
    struct err why;
    char text[UUID_TEXT_SIZE];
    int rc = dump_file_line(d, path, e);
    if (rc)
        return rc;
    int read = partition_metadata_read(path, &id, &why);
    if (read || d->o->verify)
        return told(d, path, read, &why, e);
    dump_begin(d, "partitionMetadata", "");
    dump_int(d, "version", 0);
    dump_text(d, "topicId", uuid_text(&id, text));
    return dump_end(d, e);
}

int dump_properties(struct dump *d, const char *path, struct err *e)
{
    char *data, *save;
    size_t n;
    int rc = read_whole(d, path, &data, &n, e);
    if (rc || !data || d->o->verify) {
        mem_free(data);
        return rc;
    }
    dump_begin(d, "properties", "");
    for (char *line = strtok_r(data, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
        char *eq = strchr(line, '=');
        if (*line == '#' || !eq || strpbrk(line, "\"\\"))
            continue;
        *eq = '\0';
        dump_text(d, line, eq + 1);
    }
    mem_free(data);
    return dump_end(d, e);
}

/* ---- the journal ---- */

static int journal_file(void *arg, const struct journal_sight *s, struct err *e)
{
    struct dump *d = arg;
    int rc = dump_file_line(d, s->path, e);
    if (rc || d->o->verify)
        return rc;
    dump_begin(d, "journalFile", "");
    dump_int(d, "number", (int64_t)s->file_sequence);
    dump_int(d, "firstRecord", (int64_t)s->first_record);
    dump_int(d, "released", (int64_t)s->released);
    dump_int(d, "bytes", s->file_bytes);
    return dump_end(d, e);
}

static int journal_record(void *arg, const struct journal_sight *s, struct err *e)
{
    struct dump *d = arg;
    if (d->o->verify)
        return ERR_OK;
    dump_begin(d, "journalRecord", "");
    dump_int(d, "record", (int64_t)s->record_sequence);
    dump_int(d, "position", s->byte);
    dump_int(d, "entries", s->entries);
    dump_int(d, "size", s->payload);
    dump_int(d, "released", (int64_t)s->released);
    return dump_end(d, e);
}

static int journal_entry(void *arg, const struct journal_sight *s, const struct journal_entry *en,
                         struct err *e)
{
    struct dump *d = arg;
    char id[UUID_TEXT_SIZE];
    (void)s;
    if (d->o->verify)
        return ERR_OK;
    dump_begin(d, "journalEntry", "| ");
    dump_text(d, "topicId", uuid_text(&en->topic_id, id));
    dump_int(d, "partition", en->partition);
    dump_int(d, "segment", en->segment_base);
    dump_int(d, "position", en->position);
    dump_int(d, "baseOffset", en->base_offset);
    dump_int(d, "lastOffset", en->next_offset - 1);
    if (en->bytes)
        dump_int(d, "size", (int64_t)en->bytes);
    else
        dump_bool(d, "reference", true);
    return dump_end(d, e);
}

static int journal_problem(void *arg, const struct check_finding *f, struct err *e)
{
    struct dump *d = arg;
    if (check_kind_severity(f->kind) == CHECK_NOTE)
        return ERR_OK; /* its end, while a hub writes on */
    return dump_problem(d, f->path, f->byte, f->text, e);
}

int dump_journal(struct dump *d, const char *dir, struct err *e)
{
    struct check c = {.found = journal_problem, .arg = d};
    struct journal_visitor v = {journal_file, journal_record, journal_entry, d};
    uint64_t live;
    return journal_inspect(dir, &c, &v, &live, e);
}
