/*
 * walk: a log from its start to its high watermark, through one buffer of its own. Any thread.
 */
#include "broker/walk.h"

#include "base/buf.h"
#include "base/mem.h"

enum { WALK_BYTES = 1 << 20 };

typedef int batch_fn(void *arg, const uint8_t *data, const struct batch_header *h, struct err *e);

static int walk_range(const struct buf *in, int64_t from, int64_t *next, batch_fn *batch, void *arg,
                      struct err *e)
{
    for (size_t at = 0; at < in->len;) {
        struct batch_header h;
        int rc = batch_check(in->data + at, in->len - at, &h, e);
        if (rc)
            return rc;
        if (batch_last_offset(&h) >= from && (rc = batch(arg, in->data + at, &h, e)))
            return rc;
        *next = batch_last_offset(&h) + 1;
        at += batch_size(&h);
    }
    return ERR_OK;
}

static int read_range(const struct log_range *range, struct buf *in, struct err *e)
{
    buf_reset(in);
    int rc = buf_reserve(in, range->bytes, e);
    if (!rc)
        rc = log_range_read(range, 0, in->data, range->bytes, e);
    if (!rc)
        in->len = range->bytes;
    return rc;
}

int walk_batches(struct log *log, batch_fn *batch, void *arg, struct err *e)
{
    struct buf in;
    int64_t at = log_start_offset(log);
    int rc = ERR_OK;
    buf_init(&in, BATCH_MAX_BYTES + WALK_BYTES);
    while (!rc && at < log_high_watermark(log)) {
        struct log_range range;
        int64_t from = at;
        rc = log_locate(log, at, WALK_BYTES, READ_UNCOMMITTED, &range, e);
        if (rc)
            break;
        if (range.bytes == 0) {
            log_range_release(&range);
            break;
        }
        rc = read_range(&range, &in, e);
        log_range_release(&range);
        if (!rc)
            rc = walk_range(&in, from, &at, batch, arg, e);
        if (!rc && at <= from)
            rc = err_set(e, ERR_CORRUPT, "%s: reading stands still at offset %lld", log_name(log),
                         (long long)from);
    }
    buf_free(&in);
    return rc ? err_wrap(e, "%s, offset %lld", log_name(log), (long long)at) : ERR_OK;
}

int walk_records(const uint8_t *data, const struct batch_header *h, struct buf *scratch,
                 int (*record)(void *arg, const struct batch_header *h, const struct record *r,
                               struct err *e),
                 void *arg, struct err *e)
{
    struct batch_iter it;
    struct record r;
    int rc = batch_iter_init(&it, data, batch_size(h), scratch, e);
    while (!rc && !(rc = batch_iter_next(&it, &r, e)))
        rc = record(arg, h, &r, e);
    return rc == ERR_END ? ERR_OK : rc;
}
