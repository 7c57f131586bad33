/*
 * schema: see schema.h. Fields are found by a hash index from the ninth on; records of wide tables set every
 * field by name, so a linear search would be quadratic there.
 */
#include "connect/schema.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#define INDEX_FROM 9

const char *leat_type_name(enum leat_type type)
{
    static const char *const names[] = {"NULL",    "BOOLEAN", "INT8",   "INT16", "INT32",    "INT64",
                                        "FLOAT32", "FLOAT64", "STRING", "BYTES", "ARRAY",    "MAP",
                                        "STRUCT",  "DECIMAL", "DATE",   "TIME",  "TIMESTAMP"};
    return (unsigned)type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

struct leat_schema *schema_new(enum leat_type type, bool optional, const char *name, int version)
{
    if ((unsigned)type > LEAT_TYPE_TIMESTAMP)
        return NULL;
    struct leat_schema *s = mem_calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    *s = (struct leat_schema){
        .refs = 1, .type = type, .optional = optional, .version = version, .secret = hash_secret()};
    if (name != NULL && (s->name = mem_strdup(name)) == NULL) {
        mem_free(s);
        return NULL;
    }
    return s;
}

struct leat_schema *schema_array(struct leat_schema *items, bool optional)
{
    struct leat_schema *s = items == NULL ? NULL : schema_new(LEAT_TYPE_ARRAY, optional, NULL, 0);
    if (s != NULL)
        s->items = schema_ref(items);
    return s;
}

struct leat_schema *schema_map(struct leat_schema *keys, struct leat_schema *values, bool optional)
{
    struct leat_schema *s =
        keys == NULL || values == NULL ? NULL : schema_new(LEAT_TYPE_MAP, optional, NULL, 0);
    if (s != NULL) {
        s->keys = schema_ref(keys);
        s->values = schema_ref(values);
    }
    return s;
}

struct leat_schema *schema_ref(struct leat_schema *s)
{
    if (s != NULL)
        __atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void schema_unref(struct leat_schema *s)
{
    if (s == NULL || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < s->field_count; i++) {
        mem_free(s->fields[i].name);
        schema_unref(s->fields[i].schema);
    }
    for (size_t i = 0; i < s->parameter_count; i++) {
        mem_free(s->parameters[i].name);
        mem_free(s->parameters[i].value);
    }
    schema_unref(s->items);
    schema_unref(s->keys);
    schema_unref(s->values);
    mem_free(s->fields);
    mem_free(s->parameters);
    mem_free(s->index);
    mem_free(s->name);
    mem_free(s);
}

static bool field_is(const struct schema_field *f, const char *name, size_t n)
{
    return f->name_len == n && memcmp(f->name, name, n) == 0;
}

int64_t schema_field_index(const struct leat_schema *s, const char *name, size_t name_len)
{
    if (s->index == NULL) {
        for (size_t i = 0; i < s->field_count; i++) {
            if (field_is(&s->fields[i], name, name_len))
                return (int64_t)i;
        }
        return -1;
    }
    for (size_t at = siphash13(s->secret, name, name_len);; at++) {
        uint32_t slot = s->index[at & (s->index_size - 1)];
        if (slot == 0)
            return -1;
        if (field_is(&s->fields[slot - 1], name, name_len))
            return slot - 1;
    }
}

static void index_field(const struct leat_schema *s, uint32_t *index, size_t size,
                        const struct schema_field *f, size_t number)
{
    size_t at = siphash13(s->secret, f->name, f->name_len);
    while (index[at & (size - 1)] != 0)
        at++;
    index[at & (size - 1)] = (uint32_t)number + 1;
}

/* Room in the index for one field more, at most half full. */
static int grow_index(struct leat_schema *s, struct err *e)
{
    size_t count = s->field_count + 1;
    if (count < INDEX_FROM || count * 2 <= s->index_size)
        return ERR_OK;
    size_t size = s->index_size == 0 ? 32 : s->index_size * 2;
    uint32_t *index = mem_calloc(size, sizeof(*index));
    if (index == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < s->field_count; i++)
        index_field(s, index, size, &s->fields[i], i);
    mem_free(s->index);
    s->index = index;
    s->index_size = size;
    return ERR_OK;
}

int schema_add_field(struct leat_schema *s, const char *name, struct leat_schema *field, struct err *e)
{
    if (s == NULL || s->type != LEAT_TYPE_STRUCT || name == NULL || *name == 0 || field == NULL)
        return err_set(e, ERR_INVALID, "a field needs a struct schema, a name and a schema of its own");
    if (schema_field_index(s, name, strlen(name)) >= 0)
        return err_set(e, ERR_INVALID, "the schema has a field %s already", name);
    if (s->field_count >= SCHEMA_MAX_FIELDS)
        return err_set(e, ERR_INVALID, "a struct has at most %d fields", SCHEMA_MAX_FIELDS);
    if (grow_index(s, e) != ERR_OK)
        return e->code;
    /* Capacity doubles: the array is full when the count is a power of two. */
    if ((s->field_count & (s->field_count - 1)) == 0) {
        size_t cap = s->field_count == 0 ? 1 : s->field_count * 2;
        struct schema_field *fields = mem_realloc_array(s->fields, cap, sizeof(*fields));
        if (fields == NULL)
            return err_nomem(e);
        s->fields = fields;
    }
    char *copy = mem_strdup(name);
    if (copy == NULL)
        return err_nomem(e);
    struct schema_field *f = &s->fields[s->field_count];
    *f = (struct schema_field){copy, strlen(copy), schema_ref(field)};
    if (s->index != NULL)
        index_field(s, s->index, s->index_size, f, s->field_count);
    s->field_count++;
    return ERR_OK;
}

int schema_set_parameter(struct leat_schema *s, const char *name, const char *value, struct err *e)
{
    if (s == NULL || name == NULL || value == NULL)
        return err_set(e, ERR_INVALID, "a schema parameter needs a schema, a name and a value");
    char *copy = mem_strdup(value);
    if (copy == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < s->parameter_count; i++) {
        if (strcmp(s->parameters[i].name, name) == 0) {
            mem_free(s->parameters[i].value);
            s->parameters[i].value = copy;
            return ERR_OK;
        }
    }
    struct schema_parameter *p = mem_realloc_array(s->parameters, s->parameter_count + 1, sizeof(*p));
    if (p == NULL)
        goto err_after_copy;
    s->parameters = p;
    p[s->parameter_count].name = mem_strdup(name);
    if (p[s->parameter_count].name == NULL)
        goto err_after_copy;
    p[s->parameter_count++].value = copy;
    return ERR_OK;

err_after_copy:
    mem_free(copy);
    return err_nomem(e);
}

const char *schema_parameter(const struct leat_schema *s, const char *name)
{
    for (size_t i = 0; i < s->parameter_count; i++) {
        if (strcmp(s->parameters[i].name, name) == 0)
            return s->parameters[i].value;
    }
    return NULL;
}
