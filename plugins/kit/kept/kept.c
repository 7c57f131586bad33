/*
 * kept: values put, found and removed; marks. See kept.h.
 */
#include "kit/kept/kept.h"

#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "kit/kept/kept_impl.h"

#define COPY_KEEP ((size_t)1 << 20) /* memory beyond this is given back after a large value */

size_t kept_value_max(const struct kept *k)
{
    return k->segment_bytes / 8;
}

uint64_t kept_seq(const struct kept *k)
{
    return k->seq;
}

static uint64_t hash_of(const struct kept *k, const struct kept_key *key)
{
    uint8_t of_row[16];
    siphash128(k->id, key->data, key->n, of_row);
    uint64_t h = be64(of_row) ^ ((uint64_t)key->table << 16 | key->column) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    return h ? h : 1;
}

/* ---- values --------------------------------------------------------------------------------------------------------- */

/* The newest of its hash is now at `at`. */
static int point(struct kept *k, uint64_t hash, uint64_t at, struct err *e)
{
    struct kept_slot *slot = kept_index_find(&k->index, hash);
    int rc = ERR_OK;
    if (slot) {
        kept_segment_of(k, slot->at)->live--;
        slot->at = at;
    } else {
        rc = kept_index_add(&k->index, hash, at, e);
    }
    if (rc == ERR_OK)
        kept_segment_of(k, at)->live++;
    return rc;
}

int kept_put(struct kept *k, const struct kept_key *key, uint64_t lsn, const void *value, size_t n,
             struct err *e)
{
    if (n > kept_value_max(k) || key->n > KEPT_KEY_MAX)
        return err_set(e, ERR_TOO_LARGE, "a value of %zu bytes with a key of %zu", n, key->n);
    struct kept_record r = {.type = KEPT_PUT,
                            .column = key->column,
                            .table = key->table,
                            .key_len = (uint32_t)key->n,
                            .value_len = (uint32_t)n,
                            .lsn = lsn,
                            .seq = k->seq,
                            .hash = hash_of(k, key)};
    uint64_t at;
    int rc = ERR_OK;
    if (kept_index_full(&k->index) && !kept_index_find(&k->index, r.hash))
        rc = kept_evict(k, e);
    if (rc == ERR_OK)
        rc = kept_append(k, &r, key->data, value, &at, e);
    if (rc == ERR_OK)
        rc = point(k, r.hash, at, e);
    k->seq++;
    return rc;
}

static int remove_hash(struct kept *k, uint64_t hash, struct err *e)
{
    struct kept_record r = {.type = KEPT_REMOVE, .hash = hash};
    uint64_t at;
    int rc = kept_append(k, &r, NULL, NULL, &at, e);
    /* Making room for it may have taken the value already. */
    struct kept_slot *slot = kept_index_find(&k->index, hash);
    if (rc == ERR_OK && slot) {
        kept_segment_of(k, slot->at)->live--;
        kept_index_remove(&k->index, slot);
    }
    return rc;
}

int kept_remove(struct kept *k, const struct kept_key *key, struct err *e)
{
    if (!k->index.count)
        return ERR_OK;
    /* Of two keys with one hash the other's value goes: it is missed, and that is all. */
    uint64_t hash = hash_of(k, key);
    return kept_index_find(&k->index, hash) ? remove_hash(k, hash, e) : ERR_OK;
}

static int not_found(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "nothing is kept of this key");
}

static int damaged(struct kept *k, uint64_t hash, struct err *e)
{
    k->damaged++;
    return remove_hash(k, hash, e) == ERR_OK ? not_found(e) : e->code;
}

int kept_find(struct kept *k, const struct kept_key *key, struct kept_value *out, struct err *e)
{
    uint8_t head[KEPT_RECORD_HEAD + KEPT_KEY_MAX];
    struct kept_record r;
    size_t need;
    if (!k->index.count || key->n > KEPT_KEY_MAX)
        return not_found(e);
    uint64_t hash = hash_of(k, key);
    const struct kept_slot *slot = kept_index_find(&k->index, hash);
    if (!slot)
        return not_found(e);
    uint64_t at = slot->at;
    const struct kept_segment *s = kept_segment_of(k, at);
    /* A key of another length makes a checksum of other bytes; so its head is looked at first. */
    size_t n = KEPT_RECORD_HEAD + key->n;
    if (n > s->size - (uint32_t)at)
        return not_found(e);
    if (kept_bytes(k, at, head, n, e) != ERR_OK)
        return e->code;
    if (be32(head + 12) != key->n || be32(head + 8) != key->table || be16(head + 6) != key->column)
        return not_found(e);
    if (kept_record_decode(head, n, kept_seed(k->id, s->no, (uint32_t)at), &r, &need, e) != ERR_OK)
        return damaged(k, hash, e);
    if (memcmp(r.key, key->data, key->n) != 0)
        return not_found(e);
    *out = (struct kept_value){.lsn = r.lsn, .seq = r.seq, .n = r.value_len, .at = at, .crc = r.value_crc};
    return ERR_OK;
}

int kept_read(struct kept *k, const struct kept_key *key, const struct kept_value *v, struct buf *out,
              struct err *e)
{
    if (v->n > kept_value_max(k))
        return damaged(k, hash_of(k, key), e);
    if (buf_reserve(out, v->n + 1, e) != ERR_OK ||
        kept_bytes(k, v->at + KEPT_RECORD_HEAD + key->n, out->data + out->len, v->n, e) != ERR_OK)
        return e->code == ERR_TRUNCATED ? damaged(k, hash_of(k, key), e) : e->code;
    if (crc32c(0, out->data + out->len, v->n) != v->crc)
        return damaged(k, hash_of(k, key), e);
    out->len += v->n;
    return ERR_OK;
}

/* ---- notes ---------------------------------------------------------------------------------------------------------- */

int kept_set_note(struct kept *k, uint32_t table, const void *data, size_t n, struct err *e)
{
    struct kept_noted_bytes *b = mem_alloc(sizeof *b + n);
    if (!b)
        return err_nomem(e);
    b->n = n;
    memcpy(b->data, data, n);
    struct kept_noted_bytes *old = map_remove(k->notes, &table, sizeof table);
    if (old)
        k->notes_bytes -= KEPT_RECORD_HEAD + old->n;
    mem_free(old);
    int rc = map_put(k->notes, &table, sizeof table, b, e);
    if (rc == ERR_OK)
        k->notes_bytes += KEPT_RECORD_HEAD + n;
    else
        mem_free(b);
    return rc;
}

int kept_note(struct kept *k, uint32_t table, const void *data, size_t n, struct err *e)
{
    struct kept_record r = {.type = KEPT_NOTE, .table = table, .value_len = (uint32_t)n};
    uint64_t at;
    if (k->notes_bytes + KEPT_RECORD_HEAD + n > k->segment_bytes / 8)
        return err_set(e, ERR_TOO_LARGE, "there are too many tables for disk_bytes");
    int rc = kept_set_note(k, table, data, n, e);
    return rc == ERR_OK ? kept_append(k, &r, NULL, data, &at, e) : rc;
}

const void *kept_noted(const struct kept *k, uint32_t table, size_t *n)
{
    const struct kept_noted_bytes *b = map_get(k->notes, &table, sizeof table);
    *n = b ? b->n : 0;
    return b ? b->data : NULL;
}

/* ---- marks ---------------------------------------------------------------------------------------------------------- */

int kept_mark(struct kept *k, const struct kept_place *at, uint64_t poll, struct err *e)
{
    if (!k->made || (!k->touched && memcmp(at->words, k->marked.words, sizeof at->words) == 0))
        return ERR_OK;
    struct kept_mark m = {.number = k->mark_number++,
                          .first = k->segments[k->retired].no,
                          .last = kept_current(k)->no,
                          .size = kept_current(k)->size,
                          .seq = k->seq,
                          .place = *at};
    int rc = kept_flush(k, e);
    if (rc == ERR_OK)
        rc = kept_marks_write(k, &m, e);
    for (size_t i = 0; i < k->retired; i++)
        if (k->segments[i].retired_in == 0)
            k->segments[i].retired_in = poll;
    k->marked = *at;
    k->touched = false;
    if (k->copy.cap > COPY_KEEP)
        buf_free(&k->copy);
    return rc;
}

int kept_durable(struct kept *k, uint64_t polls, struct err *e)
{
    int rc = ERR_OK;
    size_t n = 0;
    while (rc == ERR_OK && n < k->retired && k->segments[n].retired_in &&
           k->segments[n].retired_in <= polls) {
        char *path = kept_path(k, k->segments[n].no);
        rc = path ? io_unlink(path, e) : err_nomem(e);
        mem_free(path);
        if (rc != ERR_OK)
            break;
        io_close(k->segments[n++].fd);
    }
    if (n == 0)
        return rc;
    k->retired -= n;
    k->count -= n;
    memmove(k->segments, k->segments + n, k->count * sizeof *k->segments);
    return rc;
}

struct kept_stats kept_stats(const struct kept *k)
{
    struct kept_stats s = {.values = k->index.count, .dropped = k->dropped, .damaged = k->damaged};
    for (size_t i = 0; i < k->count; i++)
        s.bytes += k->segments[i].size;
    return s;
}
