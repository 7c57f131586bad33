/*
 * status_rows: see status_rows.h.
 */
#include "connect/status_rows.h"

#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static bool is_flat(json_t *o)
{
    const char *name;
    json_t *value;
    bool flat = json_is_object(o);
    json_object_foreach(o, name, value)
    {
        flat = flat && !json_is_object(value) && !json_is_array(value);
    }
    return flat;
}

static bool is_utf8(const char *s)
{
    size_t n = strlen(s), step;
    for (; n > 0 && (step = utf8_length((const uint8_t *)s, n)) > 0; n -= step)
        s += step;
    return n == 0;
}

const char *status_row_problem(const char *key, const char *json)
{
    if (key == NULL || *key == ' ' || strchr(key, ' ') == NULL || strlen(key) > STATUS_KEY_MAX)
        return "its key is not a kind, a blank and a name, of at most 512 bytes";
    if (!is_utf8(key))
        return "its key is not UTF-8";
    if (json == NULL)
        return NULL;
    if (strlen(json) > STATUS_JSON_MAX)
        return "its text has more than 4096 bytes";
    json_t *o = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    bool flat = is_flat(o);
    json_decref(o);
    return flat ? NULL : "its text is no JSON object of scalars";
}

/* Where the key is or would be. */
static size_t place_of(const struct status_rows *r, const char *key, bool *there)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(r->items[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *there = low < r->count && strcmp(r->items[low].key, key) == 0;
    return low;
}

static void remove_at(struct status_rows *r, size_t i)
{
    mem_free(r->items[i].key);
    mem_free(r->items[i].json);
    memmove(&r->items[i], &r->items[i + 1], (--r->count - i) * sizeof(r->items[0]));
}

static int insert_at(struct status_rows *r, size_t i, struct status_row row, struct err *e)
{
    if (r->count == STATUS_ROWS_MAX)
        return err_set(e, ERR_TOO_LARGE, "more than %d rows of status", STATUS_ROWS_MAX);
    if (r->count == r->room) {
        size_t room = r->room == 0 ? 16 : r->room * 2;
        struct status_row *more = mem_realloc_array(r->items, room, sizeof(*more));
        if (more == NULL)
            return err_nomem(e);
        r->items = more;
        r->room = room;
    }
    memmove(&r->items[i + 1], &r->items[i], (r->count++ - i) * sizeof(row));
    r->items[i] = row;
    return ERR_OK;
}

int status_rows_set(struct status_rows *r, const char *key, const char *json, struct err *e)
{
    bool there;
    size_t i = place_of(r, key, &there);
    if (json == NULL) {
        if (there)
            remove_at(r, i);
        return ERR_OK;
    }
    struct status_row row = {there ? NULL : mem_strdup(key), mem_strdup(json)};
    int rc = row.json == NULL || (!there && row.key == NULL) ? err_nomem(e) : ERR_OK;
    if (rc == ERR_OK && there) {
        mem_free(r->items[i].json);
        r->items[i].json = row.json;
        return ERR_OK;
    }
    rc = rc == ERR_OK ? insert_at(r, i, row, e) : rc;
    if (rc != ERR_OK) {
        mem_free(row.key);
        mem_free(row.json);
    }
    return rc;
}

void status_copies_free(struct status_row *rows, size_t n)
{
    for (size_t i = 0; rows != NULL && i < n; i++) {
        mem_free(rows[i].key);
        mem_free(rows[i].json);
    }
    mem_free(rows);
}

void status_rows_free(struct status_rows *r)
{
    status_copies_free(r->items, r->count);
    *r = (struct status_rows){0};
}

int status_rows_copy(const struct status_rows *r, struct status_row **out, size_t *n, struct err *e)
{
    *n = 0;
    *out = NULL;
    if (r->count == 0)
        return ERR_OK;
    struct status_row *rows = mem_calloc(r->count, sizeof(*rows));
    if (rows == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < r->count; i++) {
        rows[i].key = mem_strdup(r->items[i].key);
        rows[i].json = mem_strdup(r->items[i].json);
        if (rows[i].key == NULL || rows[i].json == NULL) {
            status_copies_free(rows, i + 1);
            return err_nomem(e);
        }
    }
    *out = rows;
    *n = r->count;
    return ERR_OK;
}
