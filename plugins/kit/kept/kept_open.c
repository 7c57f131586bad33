/*
 * kept_open: what is there is gone through, up to the mark of the stored position, and the index made of it; what is behind
 * that is cut off. Anything that does not fit, down to a missing byte, and all of it is given up: kept.h says why.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <fcntl.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "kit/kept/kept_impl.h"

/* ---- names ------------------------------------------------------------------------------------------------------------- */

struct naming {
    const char *dir;
    uint32_t first, last; /* segments that stay; first > last: nothing does */
};

static bool stays(const struct naming *x, const char *name)
{
    char want[KEPT_NAME_MAX];
    if (x->first > x->last)
        return false;
    if (strcmp(name, "marks") == 0)
        return true;
    if (strncmp(name, "log-", 4) != 0)
        return false;
    unsigned long no = strtoul(name + 4, NULL, 10);
    snprintf(want, sizeof want, "log-%010lu", no);
    return strcmp(name, want) == 0 && no >= x->first && no <= x->last;
}

static int remove_name(void *arg, const char *name, struct err *e)
{
    const struct naming *x = arg;
    if (stays(x, name))
        return ERR_OK;
    char *path = mem_printf("%s/%s", x->dir, name);
    int rc = path ? io_remove_tree(path, e) : err_nomem(e);
    mem_free(path);
    return rc;
}

static int remove_others(const struct kept *k, uint32_t first, uint32_t last, struct err *e)
{
    struct naming x = {k->dir, first, last};
    return io_list(k->dir, remove_name, &x, e);
}

/* ---- going through --------------------------------------------------------------------------------------------------------- */

static int take_note(struct kept *k, const struct kept_record *r, uint64_t at, struct err *e)
{
    uint8_t *data = mem_alloc((size_t)r->value_len + 1);
    if (!data)
        return err_nomem(e);
    int rc = kept_bytes(k, at + KEPT_RECORD_HEAD + r->key_len, data, r->value_len, e);
    if (rc == ERR_OK && crc32c(0, data, r->value_len) != r->value_crc)
        rc = err_set(e, ERR_CORRUPT, "a note's checksum is wrong");
    if (rc == ERR_OK)
        rc = kept_set_note(k, r->table, data, r->value_len, e);
    mem_free(data);
    return rc;
}

static int take_record(void *arg, const struct kept_record *r, uint64_t at, struct err *e)
{
    struct kept *k = arg;
    struct kept_segment *s = kept_segment_of(k, at);
    if (r->type == KEPT_NOTE)
        return take_note(k, r, at, e);
    struct kept_slot *slot = kept_index_find(&k->index, r->hash);
    if (slot)
        kept_segment_of(k, slot->at)->live--;
    if (r->type == KEPT_REMOVE) {
        if (slot)
            kept_index_remove(&k->index, slot);
        return ERR_OK;
    }
    s->puts++;
    s->live++;
    if (r->seq >= k->seq)
        k->seq = r->seq + 1;
    if (slot) {
        slot->at = at;
        return ERR_OK;
    }
    if (!kept_index_full(&k->index))
        return kept_index_add(&k->index, r->hash, at, e);
    s->live--; /* less memory than it was written with */
    k->dropped++;
    return ERR_OK;
}

/* `last`: its size if it is the last one, else 0. */
static int open_segment(struct kept *k, uint32_t no, uint32_t last, struct err *e)
{
    uint8_t head[KEPT_SEGMENT_HEAD];
    int fd = -1;
    int64_t size = 0;
    uint32_t previous = 0;
    char *path = kept_path(k, no);
    int rc = path ? io_open(&fd, path, O_RDWR, 0, e) : err_nomem(e);
    if (rc == ERR_OK)
        rc = io_size(fd, &size, path, e);
    if (rc == ERR_OK && (size < KEPT_SEGMENT_HEAD || size > k->segment_bytes || size < last))
        rc = err_set(e, ERR_CORRUPT, "log-%010" PRIu32 " has %" PRId64 " bytes", no, size);
    if (rc == ERR_OK)
        rc = io_pread(fd, head, sizeof head, 0, path, e);
    if (rc == ERR_OK &&
        (!kept_segment_decode(head, k->id, no, &previous) || (k->count && previous != kept_current(k)->size)))
        rc = err_set(e, ERR_CORRUPT, "log-%010" PRIu32 " does not fit the one before it", no);
    if (rc == ERR_OK && last && size > last)
        rc = io_truncate(fd, last, path, e);
    mem_free(path);
    if (rc == ERR_OK)
        rc = kept_add_segment(k, no, fd, last ? last : (uint32_t)size, e);
    if (rc != ERR_OK)
        io_close(fd);
    return rc;
}

static int load(struct kept *k, const struct kept_mark *m, struct err *e)
{
    int rc = ERR_OK;
    if (m->last < m->first || m->last - m->first > 2 * KEPT_SEGMENTS || m->last == UINT32_MAX ||
        m->size < KEPT_SEGMENT_HEAD)
        return err_set(e, ERR_CORRUPT, "a mark makes no sense");
    for (uint32_t no = m->first; no <= m->last && rc == ERR_OK; no++)
        rc = open_segment(k, no, no == m->last ? m->size : 0, e);
    for (size_t i = 0; i < k->count && rc == ERR_OK; i++)
        rc = kept_scan(k, &k->segments[i], take_record, k, e);
    if (m->seq > k->seq)
        k->seq = m->seq;
    k->marked = m->place;
    k->made = true;
    return rc == ERR_OK ? remove_others(k, m->first, m->last, e) : rc;
}

/* ---- open and close ------------------------------------------------------------------------------------------------------- */

void kept_drop_memory(struct kept *k)
{
    for (size_t i = 0; i < k->count; i++)
        io_close(k->segments[i].fd);
    k->count = k->retired = 0;
    io_close(k->marks_fd);
    k->marks_fd = -1;
    buf_reset(&k->out);
    kept_index_free(&k->index);
    map_free(k->notes, mem_free);
    k->notes = NULL;
    k->notes_bytes = 0;
    k->made = k->touched = false;
    k->mark_number = 0;
}

int kept_clear(struct kept *k, struct err *e)
{
    kept_drop_memory(k);
    struct uuid id = uuid_random();
    memcpy(k->id, id.b, KEPT_ID_BYTES);
    k->seq = 0;
    k->notes = map_new();
    int rc = k->notes ? ERR_OK : err_nomem(e);
    return rc == ERR_OK ? remove_others(k, 1, 0, e) : rc;
}

static bool of_the_files(int code)
{
    return code == ERR_CORRUPT || code == ERR_TRUNCATED || code == ERR_INVALID || code == ERR_NOT_FOUND;
}

static int go_on(struct kept *k, const struct kept_place *at, struct err *e)
{
    struct kept_mark m;
    int rc = kept_marks_open(k, at, &m, e);
    bool there = rc != ERR_NOT_FOUND;
    if (rc == ERR_OK)
        rc = load(k, &m, e);
    if (rc == ERR_OK || !of_the_files(rc))
        return rc;
    if (there)
        snprintf(k->why, sizeof k->why, "%.*s", (int)sizeof k->why - 1, e->text);
    return kept_clear(k, e);
}

int kept_open(const struct kept_options *o, const struct kept_place *at, struct kept **out, struct err *e)
{
    struct kept *k = mem_calloc(1, sizeof *k);
    if (!k)
        return err_nomem(e);
    k->options = *o;
    k->marks_fd = -1;
    k->segment_bytes = (uint32_t)(o->disk_bytes / KEPT_SEGMENTS);
    k->dir = mem_strdup(o->dir);
    k->notes = map_new();
    buf_init(&k->out, SIZE_MAX / 2);
    buf_init(&k->copy, SIZE_MAX / 2);
    buf_init(&k->window, SIZE_MAX / 2);
    kept_index_init(&k->index, o->memory_bytes);
    int rc = k->dir && k->notes ? go_on(k, at, e) : err_nomem(e);
    if (rc != ERR_OK) {
        kept_close(k);
        return rc;
    }
    *out = k;
    return ERR_OK;
}

const char *kept_why(const struct kept *k)
{
    return k->why[0] ? k->why : NULL;
}

void kept_close(struct kept *k)
{
    if (!k)
        return;
    kept_drop_memory(k);
    mem_free(k->segments);
    buf_free(&k->out);
    buf_free(&k->copy);
    buf_free(&k->window);
    mem_free(k->dir);
    mem_free(k);
}

int kept_abandon(struct kept *k, struct err *e)
{
    int rc = kept_clear(k, e);
    kept_close(k);
    return rc;
}
