/*
 * value: see value.h. A value is one arena object; growing arrays and maps leave their old tables to the
 * arena, at most as much again. Maps get a hash index from the ninth entry on, with a secret, so that hostile
 * JSON cannot make them quadratic.
 */
#include "connect/value.h"

#include <string.h>

#include "base/hash.h"

#define INDEX_FROM 9
#define DECIMAL_MAX_BYTES 65536

static struct leat_value *new_value(struct arena *a, enum leat_type type)
{
    struct leat_value *v = arena_alloc(a, sizeof(*v));
    if (v != NULL)
        *v = (struct leat_value){.type = type, .arena = a};
    return v;
}

struct leat_value *value_null(struct arena *a)
{
    return new_value(a, LEAT_TYPE_NULL);
}

struct leat_value *value_bool(struct arena *a, bool b)
{
    struct leat_value *v = new_value(a, LEAT_TYPE_BOOLEAN);
    if (v != NULL)
        v->i = b;
    return v;
}

struct leat_value *value_int(struct arena *a, enum leat_type type, int64_t i, struct err *e)
{
    bool fits;
    switch (type) {
    case LEAT_TYPE_INT8:
        fits = i == (int8_t)i;
        break;
    case LEAT_TYPE_INT16:
        fits = i == (int16_t)i;
        break;
    case LEAT_TYPE_INT32:
    case LEAT_TYPE_DATE:
        fits = i == (int32_t)i;
        break;
    case LEAT_TYPE_TIME:
        fits = i >= 0 && i < 86400000;
        break;
    case LEAT_TYPE_INT64:
    case LEAT_TYPE_TIMESTAMP:
        fits = true;
        break;
    default:
        err_set(e, ERR_INVALID, "%s is not an integer type", leat_type_name(type));
        return NULL;
    }
    if (!fits) {
        err_set(e, ERR_INVALID, "%lld does not fit into %s", (long long)i, leat_type_name(type));
        return NULL;
    }
    struct leat_value *v = new_value(a, type);
    if (v == NULL)
        err_nomem(e);
    else
        v->i = i;
    return v;
}

struct leat_value *value_float(struct arena *a, enum leat_type type, double d, struct err *e)
{
    if (type != LEAT_TYPE_FLOAT32 && type != LEAT_TYPE_FLOAT64) {
        err_set(e, ERR_INVALID, "%s is not a floating point type", leat_type_name(type));
        return NULL;
    }
    struct leat_value *v = new_value(a, type);
    if (v == NULL)
        err_nomem(e);
    else
        v->d = type == LEAT_TYPE_FLOAT32 ? (double)(float)d : d;
    return v;
}

struct leat_value *value_borrow(struct arena *a, enum leat_type type, const void *p, size_t n)
{
    struct leat_value *v = new_value(a, type);
    if (v != NULL) {
        v->bytes.p = p;
        v->bytes.n = n;
    }
    return v;
}

static struct leat_value *copied(struct arena *a, enum leat_type type, const void *p, size_t n)
{
    void *copy = arena_dup(a, p, n);
    return copy == NULL ? NULL : value_borrow(a, type, copy, n);
}

struct leat_value *value_string(struct arena *a, const char *s, size_t n)
{
    return copied(a, LEAT_TYPE_STRING, s, n);
}

struct leat_value *value_bytes(struct arena *a, const void *p, size_t n)
{
    return copied(a, LEAT_TYPE_BYTES, p, n);
}

struct leat_value *value_decimal(struct arena *a, const void *unscaled, size_t n, int32_t scale,
                                 struct err *e)
{
    if (n == 0 || n > DECIMAL_MAX_BYTES) {
        err_set(e, ERR_INVALID, "a decimal has 1 to %d bytes, not %zu", DECIMAL_MAX_BYTES, n);
        return NULL;
    }
    struct leat_value *v = copied(a, LEAT_TYPE_DECIMAL, unscaled, n);
    if (v == NULL)
        err_nomem(e);
    else
        v->scale = scale;
    return v;
}

struct leat_value *value_array(struct arena *a)
{
    return new_value(a, LEAT_TYPE_ARRAY);
}

struct leat_value *value_map(struct arena *a)
{
    return new_value(a, LEAT_TYPE_MAP);
}

struct leat_value *value_struct(struct arena *a, struct leat_schema *s, struct err *e)
{
    if (s == NULL || s->type != LEAT_TYPE_STRUCT) {
        err_set(e, ERR_INVALID, "a struct value needs a struct schema");
        return NULL;
    }
    struct leat_value *v = new_value(a, LEAT_TYPE_STRUCT);
    struct leat_value **items = arena_alloc(a, s->field_count * sizeof(struct leat_value *));
    if (v == NULL || items == NULL) {
        err_nomem(e);
        return NULL;
    }
    memset(items, 0, s->field_count * sizeof(struct leat_value *));
    v->many.items = items;
    v->many.count = (uint32_t)s->field_count;
    value_with_schema(v, s, e);
    return v;
}

/* Of the arena's values that hold a reference to a schema: at its reset. */
static void release_schemas(void *held)
{
    for (struct leat_value *v = held; v != NULL; v = v->next_schema)
        schema_unref(v->schema);
}

/* Takes the value out of that list. */
static void forget_schema_of(struct leat_value *v)
{
    struct leat_value *before = v->arena->held;
    if (before == v) {
        v->arena->held = v->next_schema;
        return;
    }
    while (before->next_schema != v)
        before = before->next_schema;
    before->next_schema = v->next_schema;
}

int value_with_schema(struct leat_value *v, struct leat_schema *s, struct err *e)
{
    if (s != NULL && s->type != v->type && !(v->type == LEAT_TYPE_NULL && s->optional))
        return err_set(e, ERR_INVALID, "a value of type %s cannot have a schema of type %s",
                       leat_type_name(v->type), leat_type_name(s->type));
    if (v->type == LEAT_TYPE_STRUCT && v->schema != NULL && s != v->schema)
        return err_set(e, ERR_INVALID, "a struct keeps the schema that it was made with");
    if (s == v->schema)
        return ERR_OK;
    if (v->schema == NULL) {
        v->next_schema = v->arena->held;
        v->arena->held = v;
        v->arena->release = release_schemas;
    } else if (s == NULL) {
        forget_schema_of(v);
    }
    schema_ref(s);
    schema_unref(v->schema);
    v->schema = s;
    return ERR_OK;
}

/* Doubles a table of `size`-byte rows when it is full. */
static int grow(struct leat_value *v, size_t size, struct err *e)
{
    if (v->many.count < v->many.cap)
        return ERR_OK;
    if (v->many.count >= VALUE_MAX_COUNT)
        return err_set(e, ERR_TOO_LARGE, "a value has at most %u items", VALUE_MAX_COUNT);
    uint32_t cap = v->many.cap == 0 ? 4 : v->many.cap * 2;
    void *rows = arena_alloc(v->arena, cap * size);
    if (rows == NULL)
        return err_nomem(e);
    if (v->many.count > 0)
        memcpy(rows, v->many.items, v->many.count * size);
    v->many.items = rows;
    v->many.cap = cap;
    return ERR_OK;
}

int value_push(struct leat_value *array, struct leat_value *item, struct err *e)
{
    if (array->type != LEAT_TYPE_ARRAY)
        return err_set(e, ERR_INVALID, "cannot append to a value of type %s", leat_type_name(array->type));
    if (item == NULL)
        return err_nomem(e); /* what the constructors give when memory is out */
    if (grow(array, sizeof(struct leat_value *), e) != ERR_OK)
        return e->code;
    array->many.items[array->many.count++] = item;
    return ERR_OK;
}

/* Of few entries all are looked at anyhow: the hash only saves comparisons, and the cheapest one does. */
static uint32_t hash_of(const struct leat_value *map, const char *name, size_t n)
{
    return (uint32_t)(map->many.index != NULL ? siphash13(hash_secret(), name, n) : hash64(name, n));
}

static bool entry_is(const struct value_entry *entry, uint32_t hash, const char *name, size_t n)
{
    return entry->hash == hash && entry->name_len == n && memcmp(entry->name, name, n) == 0;
}

static struct value_entry *find_entry(const struct leat_value *map, uint32_t hash, const char *name, size_t n)
{
    if (map->many.index == NULL) {
        for (uint32_t i = 0; i < map->many.count; i++) {
            if (entry_is(&map->many.entries[i], hash, name, n))
                return &map->many.entries[i];
        }
        return NULL;
    }
    for (uint32_t at = hash;; at++) {
        uint32_t slot = map->many.index[at & (map->many.index_size - 1)];
        if (slot == 0)
            return NULL;
        if (entry_is(&map->many.entries[slot - 1], hash, name, n))
            return &map->many.entries[slot - 1];
    }
}

void value_index_entry(struct leat_value *map, uint32_t number)
{
    uint32_t at = map->many.entries[number].hash, mask = map->many.index_size - 1;
    while (map->many.index[at & mask] != 0)
        at++;
    map->many.index[at & mask] = number + 1;
}

static int grow_index(struct leat_value *map, struct err *e)
{
    uint32_t count = map->many.count + 1;
    if (count < INDEX_FROM || count * 2 <= map->many.index_size)
        return ERR_OK;
    uint32_t size = map->many.index_size == 0 ? 32 : map->many.index_size * 2;
    uint32_t *index = arena_alloc(map->arena, size * sizeof(*index));
    if (index == NULL)
        return err_nomem(e);
    memset(index, 0, size * sizeof(*index));
    bool first = map->many.index == NULL;
    map->many.index = index;
    map->many.index_size = size;
    for (uint32_t i = 0; i < map->many.count; i++) {
        struct value_entry *entry = &map->many.entries[i];
        if (first)
            entry->hash = hash_of(map, entry->name, entry->name_len);
        value_index_entry(map, i);
    }
    return ERR_OK;
}

static int set_entry(struct leat_value *map, const char *name, size_t n, struct leat_value *item, bool copy,
                     struct err *e)
{
    if (n > UINT32_MAX)
        return err_set(e, ERR_TOO_LARGE, "a name of %zu bytes is too long", n);
    bool few = map->many.index == NULL;
    uint32_t hash = hash_of(map, name, n);
    struct value_entry *entry = find_entry(map, hash, name, n);
    if (entry != NULL) {
        entry->value = item;
        return ERR_OK;
    }
    if (grow(map, sizeof(struct value_entry), e) != ERR_OK || grow_index(map, e) != ERR_OK)
        return e->code;
    if (few && map->many.index != NULL)
        hash = hash_of(map, name, n);
    if (copy && (name = arena_dup(map->arena, name, n)) == NULL)
        return err_nomem(e);
    map->many.entries[map->many.count] = (struct value_entry){name, (uint32_t)n, hash, item};
    if (map->many.index != NULL)
        value_index_entry(map, map->many.count);
    map->many.count++;
    return ERR_OK;
}

static int set_field(struct leat_value *v, const char *name, size_t n, struct leat_value *item, struct err *e)
{
    int64_t i = schema_field_index(v->schema, name, n);
    const char *of = v->schema->name == NULL ? "the struct" : v->schema->name;
    if (i < 0)
        return err_set(e, ERR_INVALID, "%s has no field %.*s", of, (int)(n > 200 ? 200 : n), name);
    const struct leat_schema *want = v->schema->fields[i].schema;
    if (item->type == LEAT_TYPE_NULL ? !want->optional : item->type != want->type)
        return err_set(e, ERR_INVALID, "field %s of %s is %s%s, not %s", v->schema->fields[i].name, of,
                       leat_type_name(want->type), want->optional ? " (optional)" : "",
                       leat_type_name(item->type));
    v->many.items[i] = item;
    return ERR_OK;
}

int value_set(struct leat_value *v, const char *name, size_t n, struct leat_value *item, struct err *e)
{
    if (item == NULL)
        return err_nomem(e);
    if (v->type == LEAT_TYPE_STRUCT)
        return set_field(v, name, n, item, e);
    if (v->type == LEAT_TYPE_MAP)
        return set_entry(v, name, n, item, true, e);
    return err_set(e, ERR_INVALID, "a value of type %s has no fields", leat_type_name(v->type));
}

int value_set_borrowed(struct leat_value *map, const char *name, size_t n, struct leat_value *item,
                       struct err *e)
{
    return item == NULL ? err_nomem(e) : set_entry(map, name, n, item, false, e);
}

size_t value_count(const struct leat_value *v)
{
    return v->type == LEAT_TYPE_ARRAY || v->type == LEAT_TYPE_MAP || v->type == LEAT_TYPE_STRUCT
               ? v->many.count
               : 0;
}

const struct leat_value value_unset = {.type = LEAT_TYPE_NULL};

const struct leat_value *value_at(const struct leat_value *v, size_t i, const char **name, size_t *name_len)
{
    const char *n = NULL;
    size_t len = 0;
    const struct leat_value *item = NULL;
    if (i < value_count(v)) {
        if (v->type == LEAT_TYPE_MAP) {
            n = v->many.entries[i].name;
            len = v->many.entries[i].name_len;
            item = v->many.entries[i].value;
        } else {
            item = v->many.items[i];
        }
        if (v->type == LEAT_TYPE_STRUCT) {
            n = v->schema->fields[i].name;
            len = v->schema->fields[i].name_len;
            item = item == NULL ? &value_unset : item;
        }
    }
    if (name != NULL)
        *name = n;
    if (name_len != NULL)
        *name_len = len;
    return item;
}

const struct leat_value *value_find(const struct leat_value *v, const char *name, size_t n)
{
    if (v->type == LEAT_TYPE_MAP) {
        const struct value_entry *entry = find_entry(v, hash_of(v, name, n), name, n);
        return entry == NULL ? NULL : entry->value;
    }
    if (v->type != LEAT_TYPE_STRUCT)
        return NULL;
    int64_t i = schema_field_index(v->schema, name, n);
    return i < 0 ? NULL : value_at(v, (size_t)i, NULL, NULL);
}

bool value_has_bytes(const struct leat_value *v)
{
    return v->type == LEAT_TYPE_STRING || v->type == LEAT_TYPE_BYTES || v->type == LEAT_TYPE_DECIMAL;
}

bool value_has_int(const struct leat_value *v)
{
    return v->type == LEAT_TYPE_BOOLEAN || (v->type >= LEAT_TYPE_INT8 && v->type <= LEAT_TYPE_INT64) ||
           v->type >= LEAT_TYPE_DATE;
}
