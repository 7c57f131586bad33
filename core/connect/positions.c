/*
 * positions: see positions.h. Partitions are compared as canonical JSON: compact, names in byte order. The
 * key of an entry that is stored already keeps its bytes, whoever wrote them, so that compaction finds the
 * old ones. An entry that was removed stays in the table, without offset, until the next commit.
 */
#include "connect/positions.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/hash.h"
#include "base/mem.h"
#include "connect/value_json.h"

#define ARENA_BYTES ((size_t)4 << 20)
#define LOAD_TIMEOUT_MS 90000 /* a dead owner's transaction is aborted after 60 s */

struct position {
    char *partition; /* canonical */
    char *key;       /* the record's, once known */
    size_t key_len;
    char *offset; /* NULL: none */
    bool changed;
};
struct positions {
    char *connector, *topic;
    struct position **items;
    size_t count, cap, changed, removed;
    struct map *by_partition;
    struct arena arena;
    struct buf text;
};

struct positions *positions_new(const char *connector, const char *topic, struct err *e)
{
    struct positions *p = mem_calloc(1, sizeof(*p));
    if (p == NULL) {
        err_nomem(e);
        return NULL;
    }
    arena_init(&p->arena, ARENA_BYTES, NULL);
    buf_init(&p->text, ARENA_BYTES);
    p->connector = mem_strdup(connector);
    p->topic = mem_strdup(topic);
    p->by_partition = map_new();
    if (p->connector == NULL || p->topic == NULL || p->by_partition == NULL) {
        positions_free(p);
        err_nomem(e);
        return NULL;
    }
    return p;
}

static void position_free(struct position *one)
{
    mem_free(one->partition);
    mem_free(one->key);
    mem_free(one->offset);
    mem_free(one);
}

void positions_free(struct positions *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++)
        position_free(p->items[i]);
    mem_free(p->items);
    if (p->by_partition != NULL)
        map_free(p->by_partition, NULL);
    mem_free(p->connector);
    mem_free(p->topic);
    arena_free(&p->arena);
    buf_free(&p->text);
    mem_free(p);
}

/* The text of an object of scalars, compact, in p->text with a NUL. */
static int canonical(struct positions *p, const struct leat_value *v, const char *what, struct err *e)
{
    if (v->type != LEAT_TYPE_MAP)
        return err_set(e, ERR_INVALID, "a source %s is a JSON object", what);
    for (size_t i = 0; i < value_count(v); i++) {
        enum leat_type type = value_at(v, i, NULL, NULL)->type;
        if (type == LEAT_TYPE_MAP || type == LEAT_TYPE_ARRAY)
            return err_set(e, ERR_INVALID, "a source %s holds scalars only", what);
    }
    buf_reset(&p->text);
    if (value_to_json(v, &p->text, e) != ERR_OK || buf_u8(&p->text, 0, e) != ERR_OK)
        return e->code;
    p->text.len--;
    return ERR_OK;
}

/* Parses and brings into canonical form; names are sorted for a partition only. */
static int normalize(struct positions *p, const char *json, bool partition, struct err *e)
{
    const char *what = partition ? "partition" : "offset";
    size_t n = strnlen(json, POSITION_MAX_BYTES + 1);
    if (n > POSITION_MAX_BYTES)
        return err_set(e, ERR_INVALID, "a source %s has at most %d bytes", what, POSITION_MAX_BYTES);
    arena_reset(&p->arena);
    struct leat_value *v = value_from_json(&p->arena, json, n, JSON_BORROW, e);
    if (v == NULL)
        return err_wrap(e, "source %s", what);
    if (partition)
        value_sort_names(v);
    return canonical(p, v, what, e);
}

/* The entry of the partition in p->text; made if there is none. */
static struct position *entry_of(struct positions *p, bool make, struct err *e)
{
    struct position *one = map_get(p->by_partition, p->text.data, p->text.len);
    if (one != NULL || !make)
        return one;
    if (p->count == p->cap) {
        size_t cap = p->cap == 0 ? 16 : p->cap * 2;
        struct position **items = mem_realloc_array(p->items, cap, sizeof(struct position *));
        if (items == NULL)
            goto err_nothing;
        p->items = items;
        p->cap = cap;
    }
    one = mem_calloc(1, sizeof(*one));
    if (one == NULL)
        goto err_nothing;
    one->partition = mem_strndup((const char *)p->text.data, p->text.len);
    if (one->partition == NULL || map_put(p->by_partition, p->text.data, p->text.len, one, e) != ERR_OK)
        goto err_after_entry;
    p->items[p->count++] = one;
    p->removed++;
    return one;

err_after_entry:
    position_free(one);
err_nothing:
    err_nomem(e);
    return NULL;
}

/* Takes over `offset`. */
static void replace_offset(struct positions *p, struct position *one, char *offset)
{
    p->removed -= one->offset == NULL;
    p->removed += offset == NULL;
    mem_free(one->offset);
    one->offset = offset;
}

int positions_set(struct positions *p, const char *partition, const char *offset, struct err *e)
{
    if (normalize(p, partition, true, e) != ERR_OK)
        return e->code;
    struct position *one = entry_of(p, true, e);
    if (one == NULL)
        return e->code;
    char *copy = NULL;
    if (offset != NULL) {
        if (normalize(p, offset, false, e) != ERR_OK)
            return e->code;
        if ((copy = mem_strndup((const char *)p->text.data, p->text.len)) == NULL)
            return err_nomem(e);
    }
    replace_offset(p, one, copy);
    p->changed += !one->changed;
    one->changed = true;
    return ERR_OK;
}

const char *positions_get(struct positions *p, const char *partition, struct err *e)
{
    err_clear(e);
    if (normalize(p, partition, true, e) != ERR_OK)
        return NULL;
    struct position *one = entry_of(p, false, e);
    return one == NULL ? NULL : one->offset;
}

bool positions_next(const struct positions *p, size_t *cursor, const char **partition, const char **offset)
{
    while (*cursor < p->count) {
        const struct position *one = p->items[(*cursor)++];
        if (one->offset != NULL) {
            *partition = one->partition;
            *offset = one->offset;
            return true;
        }
    }
    return false;
}

size_t positions_changed(const struct positions *p)
{
    return p->changed;
}

/* ["<connector>",{partition}] */
static int make_key(struct positions *p, struct position *one, struct err *e)
{
    if (one->key != NULL)
        return ERR_OK;
    buf_reset(&p->text);
    int rc = buf_u8(&p->text, '[', e);
    if (rc == ERR_OK)
        rc = buf_json_str(&p->text, p->connector, strlen(p->connector), e);
    if (rc == ERR_OK)
        rc = buf_printf(&p->text, e, ",%s]", one->partition);
    if (rc != ERR_OK)
        return rc;
    one->key = mem_dup(p->text.data, p->text.len);
    one->key_len = p->text.len;
    return one->key == NULL ? err_nomem(e) : ERR_OK;
}

int positions_write(struct positions *p, struct producer *producer, struct err *e)
{
    int64_t now = clock_wall_ms();
    size_t left = p->changed;
    for (size_t i = 0; left > 0 && i < p->count; i++) {
        struct position *one = p->items[i];
        if (!one->changed)
            continue;
        left--;
        size_t n = one->offset == NULL ? 0 : strlen(one->offset);
        if (make_key(p, one, e) != ERR_OK || producer_add(producer, p->topic, -1, now, one->key, one->key_len,
                                                          one->offset, n, NULL, 0, e) != ERR_OK)
            return err_wrap(e, "source position");
    }
    return ERR_OK;
}

/* Entries without offset go once they are many. */
static void drop_removed(struct positions *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct position *one = p->items[i];
        if (one->offset != NULL) {
            p->items[kept++] = one;
            continue;
        }
        map_remove(p->by_partition, one->partition, strlen(one->partition));
        position_free(one);
    }
    p->count = kept;
    p->removed = 0;
}

void positions_committed(struct positions *p)
{
    for (size_t i = 0; p->changed > 0 && i < p->count; i++) {
        p->changed -= p->items[i]->changed;
        p->items[i]->changed = false;
    }
    if (p->removed >= 64 && p->removed > p->count / 2)
        drop_removed(p);
}

/* ---- loading
 * ------------------------------------------------------------------------------------------------ */

/* One record of the topic; those of other connectors and what is not of this form are passed over. */
static int load_record(struct positions *p, const struct record *r, struct err *e)
{
    arena_reset(&p->arena);
    if (r->key == NULL || r->key_len > 2 * POSITION_MAX_BYTES || r->value_len > POSITION_MAX_BYTES)
        return ERR_OK;
    struct leat_value *key = value_from_json(&p->arena, r->key, (size_t)r->key_len, JSON_BORROW, e);
    if (key == NULL && e->code == ERR_NO_MEMORY)
        return e->code;
    if (key == NULL || key->type != LEAT_TYPE_ARRAY || key->many.count != 2)
        return ERR_OK;
    const struct leat_value *name = key->many.items[0];
    size_t n = strlen(p->connector);
    if (name->type != LEAT_TYPE_STRING || name->bytes.n != n || memcmp(name->bytes.p, p->connector, n) != 0)
        return ERR_OK;
    value_sort_names(key->many.items[1]);
    if (canonical(p, key->many.items[1], "partition", e) != ERR_OK)
        goto passed_over;
    struct position *one = entry_of(p, true, e);
    if (one == NULL)
        return e->code;
    mem_free(one->key);
    one->key = mem_dup(r->key, (size_t)r->key_len);
    one->key_len = (size_t)r->key_len;
    if (one->key == NULL)
        return err_nomem(e);
    if (r->value == NULL) {
        replace_offset(p, one, NULL);
        return ERR_OK;
    }
    struct leat_value *value = value_from_json(&p->arena, r->value, (size_t)r->value_len, JSON_BORROW, e);
    if (value == NULL || canonical(p, value, "offset", e) != ERR_OK)
        goto passed_over;
    char *offset = mem_strndup((const char *)p->text.data, p->text.len);
    if (offset == NULL)
        return err_nomem(e);
    replace_offset(p, one, offset);
    return ERR_OK;

passed_over:
    if (e->code == ERR_NO_MEMORY)
        return e->code;
    diag_warn("connect", "%s: the position at %s offset %lld is not readable: %s", p->connector, p->topic,
              (long long)r->offset, e->text);
    return ERR_OK;
}

static bool reached(const struct positions *p, struct consumer *c, const int64_t *ends, int32_t partitions)
{
    for (int32_t i = 0; i < partitions; i++) {
        if (consumer_position(c, p->topic, i) < ends[i])
            return false;
    }
    return true;
}

int positions_load(struct positions *p, struct consumer *c, const int64_t *ends, int32_t partitions,
                   bool (*stopping)(void *arg), void *arg, struct err *e)
{
    int64_t deadline = clock_mono_ms() + LOAD_TIMEOUT_MS, wait = 0;
    while (!reached(p, c, ends, partitions)) {
        if (stopping(arg))
            return err_set(e, ERR_INTERRUPTED, "stopped on request");
        if (clock_mono_ms() > deadline)
            return err_set(e, ERR_TIMEOUT, "a transaction that stays open is in the way of reading %s",
                           p->topic);
        struct consumed got;
        if (consumer_poll(c, wait, &got, e) != ERR_OK)
            return err_wrap(e, "cannot read %s", p->topic);
        wait = got.n == 0 ? 1000 : 0; /* what is there comes without waiting */
        for (size_t i = 0; i < got.n; i++) {
            if (load_record(p, &got.records[i], e) != ERR_OK)
                return e->code;
        }
    }
    return ERR_OK;
}
