/*
 * clean_build: the map of the keys in a log's dirty part. What aborted transactions wrote does not count.
 */
#include "storage/clean_internal.h"

static bool is_dirty(const struct clean_pass *p, const struct clean_source *src)
{
    return src->next_base > p->args->first_dirty;
}

/* Where the walk for first_dirty begins. */
static int dirty_position(const struct clean_pass *p, const struct clean_source *src, int64_t *position,
                          struct err *e)
{
    *position = 0;
    if (p->args->first_dirty <= src->segment->base)
        return ERR_OK;
    int rc = segment_load(src->segment, src->size, e);
    return rc ? rc : segment_find_position(src->segment, p->args->first_dirty, src->size, position, e);
}

/* Counts records by the batches' headers: an upper bound of how many keys there are. */
static int count_records(struct clean_pass *p, const struct clean_source *src, int64_t *records,
                         struct err *e)
{
    struct clean_walk w;
    struct batch_header h;
    int64_t position;
    int rc = dirty_position(p, src, &position, e);
    if (rc == ERR_OK)
        rc = clean_walk_open(p, src, position, &w, e);
    while (rc == ERR_OK && (rc = scan_header(&w.scan, &h, e)) == ERR_OK) {
        if (!(h.attributes & BATCH_CONTROL))
            *records += h.record_count;
        rc = clean_pace(p->c, BATCH_HEADER_SIZE, e);
        scan_skip(&w.scan, &h);
    }
    return rc == ERR_END ? ERR_OK : rc == ERR_TRUNCATED ? e->code = ERR_CORRUPT : rc;
}

/* *full: the map took everything before p->latest + 1 and has no room for what stands there. */
static int put_records(struct clean_pass *p, const uint8_t *data, const struct batch_header *h, bool *full,
                       struct err *e)
{
    struct batch_iter it;
    struct record r;
    int rc = batch_iter_init(&it, data, batch_size(h), &p->c->scratch, e);
    while (rc == ERR_OK && (rc = batch_iter_next(&it, &r, e)) == ERR_OK) {
        if (!r.key || r.offset < p->args->first_dirty)
            continue;
        if (!clean_map_put(p->c->map, r.key, (size_t)r.key_len, r.offset)) {
            *full = true;
            p->latest = r.offset - 1;
            return ERR_OK;
        }
    }
    return rc == ERR_END ? ERR_OK : rc;
}

static int put_batch(struct clean_pass *p, const uint8_t *data, const struct batch_header *h, bool *full,
                     struct err *e)
{
    bool skip;
    if (batch_last_offset(h) < p->args->first_dirty)
        return ERR_OK; /* met because the index leads to a place before */
    int rc = h->attributes & BATCH_CONTROL ? clean_txns_marker(p->txns, h, data, NULL, &skip, e)
                                           : clean_txns_data(p->txns, h, &skip, e);
    if (rc == ERR_OK && !(h->attributes & BATCH_CONTROL) && !skip)
        rc = put_records(p, data, h, full, e);
    if (rc == ERR_OK && !*full && batch_last_offset(h) > p->latest)
        p->latest = batch_last_offset(h);
    return rc;
}

static int put_segment(struct clean_pass *p, const struct clean_source *src, bool *full, struct err *e)
{
    struct clean_walk w;
    struct batch_header h;
    const uint8_t *data;
    int64_t position, from = src->segment->base;
    int rc = dirty_position(p, src, &position, e);
    if (from < p->args->first_dirty)
        from = p->args->first_dirty;
    if (rc == ERR_OK)
        rc = clean_expect(p, from, src->next_base, e);
    if (rc == ERR_OK)
        rc = clean_walk_open(p, src, position, &w, e);
    while (rc == ERR_OK && !*full && (rc = clean_walk_next(&w, &h, &data, e)) == ERR_OK) {
        rc = put_batch(p, data, &h, full, e);
        if (rc && rc != ERR_INTERRUPTED)
            err_wrap(e, "%s: batch before byte %" PRId64, w.path, w.scan.position);
    }
    if (rc == ERR_END) { /* offsets may be missing at the end, too */
        p->latest = src->next_base - 1;
        rc = ERR_OK;
    }
    return rc;
}

int clean_build_map(struct clean_pass *p, struct err *e)
{
    int64_t records = 0;
    bool full = false;
    int rc = ERR_OK;
    for (size_t i = 0; i < p->sources.n && rc == ERR_OK; i++)
        if (is_dirty(p, &p->sources.list[i]))
            rc = count_records(p, &p->sources.list[i], &records, e);
    if (rc == ERR_OK)
        rc = clean_map_reset(p->c->map, records, p->c->o.map_bytes, e);
    for (size_t i = 0; i < p->sources.n && rc == ERR_OK && !full; i++)
        if (is_dirty(p, &p->sources.list[i]))
            rc = clean_unless_gone(p, i, 1, put_segment(p, &p->sources.list[i], &full, e), e);
    p->out->full = full;
    return rc;
}
