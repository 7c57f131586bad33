/*
 * pg_unchanged: each change is looked at, in the order of the commits: a value that is large enough is put, whatever else became of
 * a column removes what was kept, and what did not change is found. The hot path of tables that have such columns.
 */
#include "pg_unchanged_impl.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#define VALUE_MIN 20 /* a TOAST pointer takes 18 bytes: what is not larger stays in the row */
#define POINTER_BYTES 18
#define VALUES_KEEP ((size_t)1 << 20) /* memory beyond this is given back after a large row */

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

static const struct cdc_cell *cell_of(const struct cdc_cell *row, const struct cdc_cell *or_, uint16_t at)
{
    return row[at].state == CDC_UNCHANGED && or_ ? &or_[at] : &row[at];
}

/* False: the row does not say what its key is. */
static bool write_key(const struct pg_unchanged_view *v, const struct cdc_cell *row,
                      const struct cdc_cell *or_, struct buf *out)
{
    struct err e;
    buf_reset(out);
    for (size_t i = 0; i < v->key_count; i++) {
        const struct cdc_cell *c = cell_of(row, or_, v->key[i]);
        if (c->state != CDC_VALUE || c->len > KEPT_KEY_MAX || buf_i32(out, (int32_t)c->len, &e) != ERR_OK ||
            buf_append(out, c->data, c->len, &e) != ERR_OK)
            return false;
    }
    return out->len <= KEPT_KEY_MAX;
}

static struct kept_key key_of(const struct pg_unchanged_view *v, const struct unchanged_item *item,
                              const struct buf *row)
{
    return (struct kept_key){
        .table = v->table->oid, .column = item->number, .data = row->data, .n = row->len};
}

/* ---- the store ------------------------------------------------------------------------------------------------------- */

static void drop(struct pg_unchanged *u, const struct kept_key *key)
{
    struct err e;
    if (u->store && kept_remove(u->store, key, &e) != ERR_OK)
        unchanged_give_up(u, &e);
}

static void keep(struct pg_unchanged *u, const struct pg_unchanged_view *v, const struct kept_key *key,
                 uint64_t lsn, const void *data, size_t n)
{
    struct err e;
    if (!u->store || !unchanged_table_use(u, v->table))
        return;
    if (n > kept_value_max(u->store)) {
        u->counts.too_large++;
        drop(u, key);
    } else if (kept_put(u->store, key, lsn, data, n, &e) != ERR_OK) {
        unchanged_give_up(u, &e);
    }
}

/* Whether something is kept that counts, now or for later changes. */
static bool find(struct pg_unchanged *u, const struct pg_unchanged_view *v, const struct unchanged_item *item,
                 const struct kept_key *key, struct kept_value *out)
{
    struct err e;
    const struct unchanged_table *t = v->table;
    if (!u->store || !t->used)
        return false;
    int rc = kept_find(u->store, key, out, &e);
    if (rc != ERR_OK && rc != ERR_NOT_FOUND)
        unchanged_give_up(u, &e);
    if (rc != ERR_OK || out->seq < t->floor)
        return false;
    const struct unchanged_column *c = out->seq < t->segment ? unchanged_column_find(t, item->number) : NULL;
    return out->seq >= t->segment || (c && out->lsn >= c->since);
}

/* Appends it to u->values. */
static bool read(struct pg_unchanged *u, const struct kept_key *key, const struct kept_value *found)
{
    struct err e;
    int rc = kept_read(u->store, key, found, &u->values, &e);
    if (rc != ERR_OK && rc != ERR_NOT_FOUND)
        unchanged_give_up(u, &e);
    return rc == ERR_OK;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

/* Upper estimate of what the server needs for the row. */
static bool is_wide(const struct pg_unchanged_view *v, const struct cdc_cell *row)
{
    size_t sum = 0;
    for (size_t i = 0; i < v->cell_count; i++)
        sum += row[i].state == CDC_VALUE ? row[i].len : POINTER_BYTES;
    for (size_t i = 0; i < v->item_count; i++) {
        const struct cdc_cell *c = &row[v->items[i].at];
        if (c->state == CDC_VALUE)
            sum += (size_t)(v->items[i].weight - 1) * c->len;
    }
    return sum >= v->wide;
}

/* Whether the server may have it out of line. `wide`: of its row; -1: not looked at yet. */
static bool is_large(const struct pg_unchanged_view *v, const struct cdc_cell *row,
                     const struct unchanged_item *item, int *wide)
{
    size_t n = row[item->at].len;
    if (n <= VALUE_MIN / item->weight)
        return false;
    if (n * item->weight >= v->wide / 4)
        return true;
    if (*wide < 0)
        *wide = is_wide(v, row);
    return *wide;
}

struct change {
    struct pg_unchanged *u;
    struct pg_unchanged_view *v;
    struct cdc_cell *row;
    char op;
    bool moved; /* u->old_key is another one */
    uint64_t lsn;
    int wide;
};

/*
 * A value that was put before it was known since when the catalog says what it says, and is right for a change behind that point: from
 * now on it is as of this change, so that it outlives the next description of the table.
 */
static void confirm(struct change *x, const struct unchanged_item *item, const struct kept_key *key,
                    const struct kept_value *found)
{
    const struct unchanged_column *c = unchanged_column_find(x->v->table, item->number);
    if (c && found->lsn < c->since && x->lsn >= c->since)
        keep(x->u, x->v, key, x->lsn, x->u->values.data + item->filled_at, found->n);
}

/* A column that was not sent: the value is put in its place if it is known, and goes to the new key. */
static void take_unchanged(struct change *x, struct unchanged_item *item)
{
    struct pg_unchanged *u = x->u;
    struct kept_key key = key_of(x->v, item, &u->key),
                    from = key_of(x->v, item, x->moved ? &u->old_key : &u->key);
    struct kept_value found;
    size_t at = u->values.len;
    bool known =
        x->op != 'c' && find(u, x->v, item, &from, &found) && found.lsn <= x->lsn && read(u, &from, &found);
    if (known) {
        u->counts.filled++;
        item->filled_at = at;
        item->filled_n = found.n;
    } else {
        u->counts.left++;
    }
    item->filled = known;
    if (x->moved && known)
        keep(u, x->v, &key, x->lsn, u->values.data + at, found.n);
    else if (x->moved || x->op == 'c')
        drop(u, &key);
    else if (known)
        confirm(x, item, &key, &found);
}

static void take_columns(struct change *x)
{
    for (size_t i = 0; i < x->v->item_count; i++) {
        const struct unchanged_item *item = &x->v->items[i];
        const struct cdc_cell *cell = &x->row[item->at];
        struct kept_key key = key_of(x->v, item, &x->u->key);
        if (cell->state == CDC_UNCHANGED)
            continue;
        if (cell->state == CDC_VALUE && is_large(x->v, x->row, item, &x->wide))
            keep(x->u, x->v, &key, x->lsn, cell->data, cell->len);
        else
            drop(x->u, &key);
    }
}

/* What was kept under a key goes. */
static void drop_row(struct pg_unchanged *u, const struct pg_unchanged_view *v, const struct buf *key)
{
    for (size_t i = 0; i < v->item_count; i++) {
        struct kept_key k = key_of(v, &v->items[i], key);
        drop(u, &k);
    }
}

/* When all values are read, as their bytes move while there come more. */
static void fill_in(const struct change *x)
{
    for (size_t i = 0; i < x->v->item_count; i++) {
        const struct unchanged_item *item = &x->v->items[i];
        struct cdc_cell *c = &x->row[item->at];
        if (c->state == CDC_UNCHANGED && item->filled)
            *c = (struct cdc_cell){
                .data = x->u->values.data + item->filled_at, .len = item->filled_n, .state = CDC_VALUE};
    }
}

static void take_row(struct change *x)
{
    struct pg_unchanged_view *v = x->v;
    take_columns(x);
    for (size_t i = 0; i < v->item_count; i++)
        if (x->row[v->items[i].at].state == CDC_UNCHANGED)
            take_unchanged(x, &v->items[i]);
    if (x->moved)
        drop_row(x->u, v, &x->u->old_key);
    fill_in(x);
}

/* Of a table of which nothing is kept: whether the row has anything to keep or to miss. */
static bool is_of_interest(const struct pg_unchanged_view *v, const struct cdc_cell *row)
{
    int wide = -1;
    for (size_t i = 0; i < v->item_count; i++) {
        const struct cdc_cell *c = &row[v->items[i].at];
        if (c->state == CDC_UNCHANGED || (c->state == CDC_VALUE && is_large(v, row, &v->items[i], &wide)))
            return true;
    }
    return false;
}

static void count_left(struct pg_unchanged *u, size_t n, const struct cdc_cell *row)
{
    for (size_t i = 0; i < n; i++)
        u->counts.left += row[i].state == CDC_UNCHANGED;
}

void pg_unchanged_change(struct pg_unchanged *u, struct pg_unchanged_view *v, char op, struct cdc_cell *new_,
                         const struct cdc_cell *old, uint64_t commit_lsn)
{
    if (!v->table || !u->store) {
        if (new_)
            count_left(u, v->cell_count, new_);
        return;
    }
    if (!v->item_count || (!v->table->used && (!new_ || !is_of_interest(v, new_))))
        return;
    if (u->values.cap > VALUES_KEEP)
        buf_free(&u->values);
    buf_reset(&u->values);
    if ((old && !write_key(v, old, NULL, &u->old_key)) || (new_ && !write_key(v, new_, old, &u->key))) {
        unchanged_table_forget(u, v->table);
        if (new_)
            count_left(u, v->cell_count, new_);
        return;
    }
    if (!new_) {
        drop_row(u, v, &u->old_key);
        return;
    }
    struct change x = {.u = u, .v = v, .row = new_, .op = op, .lsn = commit_lsn, .wide = -1};
    x.moved = old && (u->key.len != u->old_key.len || memcmp(u->key.data, u->old_key.data, u->key.len) != 0);
    take_row(&x);
}

void pg_unchanged_truncate(struct pg_unchanged *u, const struct pg_unchanged_view *v)
{
    if (v->table)
        unchanged_table_forget(u, v->table);
}

/* ---- rows of snapshots ------------------------------------------------------------------------------------------------ */

bool pg_unchanged_learns(const struct pg_unchanged_view *v)
{
    return v && v->table && v->item_count;
}

void pg_unchanged_learn(struct pg_unchanged *u, const struct pg_unchanged_view *v,
                        const struct cdc_cell *cells, uint64_t as_of)
{
    int wide = -1;
    if (!u->store || !pg_unchanged_learns(v) || !write_key(v, cells, NULL, &u->key))
        return;
    for (size_t i = 0; i < v->item_count; i++) {
        const struct unchanged_item *item = &v->items[i];
        const struct cdc_cell *c = &cells[item->at];
        struct kept_key key = key_of(v, item, &u->key);
        struct kept_value found;
        if (c->state != CDC_VALUE || !is_large(v, cells, item, &wide))
            continue;
        /* What the stream has brought is right, and for changes before `as_of`, too. */
        if (!find(u, v, item, &key, &found))
            keep(u, v, &key, as_of, c->data, c->len);
    }
}
