/*
 * dump_batches: the batches of a segment and their records. See dump_internal.h.
 */
#include "broker/dump_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "storage/scan.h"

#define WINDOW (256u << 10)

struct view {
    struct dump *d;
    const char *path;
    enum dump_decoder decoder;
    struct scan scan;
    struct buf big, scratch;
};

static const char *time_name(const struct batch_header *h)
{
    return h->attributes & BATCH_LOG_APPEND_TIME ? "LogAppendTime" : "CreateTime";
}

static int32_t sequence_plus(int32_t sequence, int64_t n)
{
    return sequence < 0 ? -1 : (int32_t)((sequence + n) & INT32_MAX);
}

static int show_batch(struct view *v, const struct batch_header *h, bool valid, struct err *e)
{
    struct dump *d = v->d;
    bool horizon = h->attributes & BATCH_DELETE_HORIZON;
    dump_begin(d, "batch", "");
    dump_int(d, "baseOffset", h->base_offset);
    dump_int(d, "lastOffset", batch_last_offset(h));
    dump_int(d, "count", h->record_count);
    dump_int(d, "baseSequence", h->base_sequence);
    dump_int(d, "lastSequence", sequence_plus(h->base_sequence, h->last_offset_delta));
    dump_int(d, "producerId", h->producer_id);
    dump_int(d, "producerEpoch", h->producer_epoch);
    dump_int(d, "partitionLeaderEpoch", h->leader_epoch);
    dump_bool(d, "isTransactional", h->attributes & BATCH_TRANSACTIONAL);
    dump_bool(d, "isControl", h->attributes & BATCH_CONTROL);
    dump_optional(d, "deleteHorizonMs", horizon ? h->base_timestamp : -1);
    dump_int(d, "position", v->scan.position);
    dump_int(d, time_name(h), h->max_timestamp);
    dump_int(d, "size", (int64_t)batch_size(h));
    dump_int(d, "magic", 2);
    dump_text(d, "compresscodec", codec_name(batch_codec(h)));
    dump_int(d, "crc", h->crc);
    dump_bool(d, "isvalid", valid);
    return dump_end(d, e);
}

/* ---- records ---- */

/* Keys as Kafka shows them, then the values. *bad: a header is malformed. */
static void show_headers(struct dump *d, const struct record *r, bool *bad)
{
    struct record_header h;
    struct err why;
    int rc;
    dump_list(d, "headerKeys");
    struct slice left = r->headers;
    while ((rc = record_next_header(&left, &h, &why)) == ERR_OK)
        dump_item(d, h.key, (size_t)h.key_len);
    *bad = rc != ERR_END;
    dump_list_end(d);
}

static void show_header_values(struct dump *d, const struct record *r)
{
    struct record_header h;
    struct err why;
    struct slice left = r->headers;
    dump_list(d, "headerValues");
    while (record_next_header(&left, &h, &why) == ERR_OK)
        dump_item(d, h.value, h.value ? (size_t)h.value_len : 0);
    dump_list_end(d);
}

static void show_marker(struct dump *d, const struct record *r)
{
    int16_t type = r->key_len >= 4 ? (int16_t)be16(r->key + 2) : -1;
    if ((type == MARKER_ABORT || type == MARKER_COMMIT) && r->value_len >= 6) {
        dump_text(d, "endTxnMarker", type == MARKER_COMMIT ? "COMMIT" : "ABORT");
        dump_int(d, "coordinatorEpoch", (int32_t)be32(r->value + 2));
    } else {
        dump_int(d, "controlType", type); /* KRaft's: leader change, snapshot header and footer, voters */
    }
}

static int show_record(struct view *v, const struct batch_header *h, const struct record *r, struct err *e)
{
    struct dump *d = v->d;
    bool bad;
    d->r->records++;
    dump_begin(d, "record", "| ");
    dump_int(d, "offset", r->offset);
    dump_int(d, time_name(h), r->timestamp);
    dump_int(d, "keySize", r->key ? r->key_len : -1);
    dump_int(d, "valueSize", r->value ? r->value_len : -1);
    dump_int(d, "sequence", sequence_plus(h->base_sequence, r->offset - h->base_offset));
    show_headers(d, r, &bad);
    if (h->attributes & BATCH_CONTROL) {
        show_marker(d, r);
    } else {
        if (r->header_count)
            show_header_values(d, r);
        if (v->decoder != DUMP_PLAIN)
            dump_decoded(d, v->decoder, r);
        else {
            dump_bytes(d, "key", r->key, r->key ? (size_t)r->key_len : 0);
            dump_bytes(d, "payload", r->value, r->value ? (size_t)r->value_len : 0);
        }
    }
    int rc = d->o->verify ? ERR_OK : dump_end(d, e);
    return rc || !bad ? rc
                      : dump_problem(d, v->path, v->scan.position, "a record's headers are malformed", e);
}

static int walk_records(struct view *v, const struct batch_header *h, const uint8_t *data, struct err *e)
{
    struct batch_iter it;
    struct record r;
    struct err why;
    int rc = batch_iter_init(&it, data, batch_size(h), &v->scratch, &why);
    while (rc == ERR_OK && (rc = batch_iter_next(&it, &r, &why)) == ERR_OK) {
        int shown = r.offset < v->d->o->from || r.offset >= v->d->o->to ? ERR_OK : show_record(v, h, &r, e);
        if (shown)
            return shown;
    }
    if (rc == ERR_END)
        return ERR_OK;
    if (rc == ERR_NO_MEMORY)
        return err_nomem(e);
    return dump_problem(v->d, v->path, v->scan.position, why.text, e);
}

/* ---- batches ---- */

static int take_batch(struct view *v, const struct batch_header *h, const uint8_t *data, struct err *e)
{
    const struct dump_options *o = v->d->o;
    if (batch_last_offset(h) < o->from || h->base_offset >= o->to)
        return ERR_OK;
    v->d->r->batches++;
    int rc = o->verify ? ERR_OK : show_batch(v, h, true, e);
    return rc || !(o->records || o->verify) ? rc : walk_records(v, h, data, e);
}

/* The header of what is damaged is shown where it can be, as Kafka does; then the problem, then what follows. */
static int pass_damage(struct view *v, const struct err *why, struct err *e)
{
    struct batch_header h;
    struct err ignored;
    char text[ERR_TEXT_MAX];
    int64_t at = v->scan.position;
    int rc = ERR_OK;
    if (!v->d->o->verify && scan_header(&v->scan, &h, &ignored) == ERR_OK)
        rc = show_batch(v, &h, false, e);
    if (rc)
        return rc;
    int found = scan_resync(&v->scan, INT64_MAX, &h, &v->big, e);
    if (found != ERR_OK && found != ERR_END)
        return found;
    if (found == ERR_OK)
        snprintf(text, sizeof text,
                 "%.500s; the next whole batch stands at byte %" PRId64 ", offset %" PRId64, why->text,
                 v->scan.position, h.base_offset);
    else
        snprintf(text, sizeof text, "%.500s; no whole batch follows", why->text);
    rc = dump_problem(v->d, v->path, at, text, e);
    return rc ? rc : found == ERR_END ? err_set(&ignored, ERR_END, "end") : ERR_OK;
}

/* Beside a hub at work the end of a file may be a batch that is just being written: has it grown meanwhile? */
static bool has_grown(struct view *v)
{
    struct err ignored;
    int64_t size;
    if (io_size(v->scan.fd, &size, v->path, &ignored) != ERR_OK || size <= v->scan.end)
        return false;
    v->scan.end = size;
    v->scan.window_len = 0;
    return true;
}

static int walk(struct view *v, struct err *e)
{
    int rc = ERR_OK;
    while (rc == ERR_OK) {
        struct batch_header h;
        const uint8_t *data;
        struct err why;
        rc = scan_whole(&v->scan, &h, &v->big, &data, &why);
        if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED) {
            rc = has_grown(v) ? ERR_OK : pass_damage(v, &why, e);
            continue;
        }
        if (rc == ERR_END || (rc == ERR_OK && h.base_offset >= v->d->o->to))
            break;
        if (rc) {
            rc = rc == ERR_IO ? dump_problem(v->d, v->path, v->scan.position, why.text, e) : (*e = why, rc);
            break;
        }
        rc = take_batch(v, &h, data, e);
        scan_skip(&v->scan, &h);
    }
    return rc == ERR_END ? ERR_OK : rc;
}

int dump_batches(struct dump *d, const char *path, int64_t base, enum dump_decoder decoder, struct err *e)
{
    struct view v = {.d = d, .path = path, .decoder = decoder};
    int64_t size = 0;
    int fd;
    int rc = dump_file_line(d, path, e);
    if (rc == ERR_OK)
        rc = io_open(&fd, path, O_RDONLY, 0, e);
    if (rc)
        return rc;
    buf_init(&v.big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    buf_init(&v.scratch, BATCH_MAX_INFLATED);
    uint8_t *window = mem_alloc(WINDOW);
    rc = window ? io_size(fd, &size, path, e) : err_nomem(e);
    scan_init(&v.scan, fd, path, 0, size, base, window, WINDOW);
    if (rc == ERR_OK && !d->o->verify && !d->o->json) {
        dump_begin(d, "segment", "");
        dump_int(d, "Log starting offset", base);
        rc = dump_end(d, e);
    }
    if (rc == ERR_OK)
        rc = walk(&v, e);
    mem_free(window);
    buf_free(&v.scratch);
    buf_free(&v.big);
    io_close(fd);
    return rc;
}
