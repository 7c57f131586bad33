/*
 * value: typed values in an arena, with or without schema; conversions to and from JSON are in value_json.h.
 * Values are built and read by one thread, and die with their arena. Behind leat_host's value_* functions.
 */
#ifndef LEAT_CONNECT_VALUE_H
#define LEAT_CONNECT_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/arena.h"
#include "connect/schema.h"
#include "leat/plugin.h"

#define VALUE_MAX_DEPTH 128                 /* of nesting, when walking */
#define VALUE_MAX_COUNT ((uint32_t)1 << 24) /* items or entries of one value */

struct value_entry {
    const char *name;
    uint32_t name_len;
    uint32_t hash;
    struct leat_value *value;
};

struct leat_value {
    enum leat_type type;
    int32_t scale;                  /* of a decimal */
    struct leat_schema *schema;     /* NULL: none; holds a reference */
    struct leat_value *next_schema; /* arena's list of values with a schema */
    struct arena *arena;
    union {
        int64_t i; /* booleans, INT*, DATE, TIME, TIMESTAMP */
        double d;
        struct {
            const uint8_t *p;
            size_t n;
        } bytes; /* strings, bytes, decimals */
        struct {
            union {
                struct leat_value **items;   /* arrays; structs by field number, NULL: not set */
                struct value_entry *entries; /* maps, in the order of the first set */
            };
            uint32_t count, cap;
            uint32_t *index; /* entry numbers + 1 by hash, once there are more than a few */
            uint32_t index_size;
        } many;
    };
};

/* All give NULL when the arena is out of memory. Bytes are copied. */
struct leat_value *value_null(struct arena *a);
struct leat_value *value_bool(struct arena *a, bool v);
/* ERR_INVALID: not an integer type, or out of its range. */
struct leat_value *value_int(struct arena *a, enum leat_type type, int64_t v, struct err *e);
struct leat_value *value_float(struct arena *a, enum leat_type type, double v, struct err *e);
struct leat_value *value_string(struct arena *a, const char *s, size_t n);
struct leat_value *value_bytes(struct arena *a, const void *p, size_t n);
/* STRING, BYTES or DECIMAL whose bytes stay the caller's and outlive the value. */
struct leat_value *value_borrow(struct arena *a, enum leat_type type, const void *p, size_t n);
struct leat_value *value_decimal(struct arena *a, const void *unscaled, size_t n, int32_t scale,
                                 struct err *e);
struct leat_value *value_array(struct arena *a);
struct leat_value *value_map(struct arena *a);
struct leat_value *value_struct(struct arena *a, struct leat_schema *s, struct err *e);

int value_push(struct leat_value *array, struct leat_value *item, struct err *e);
/*
 * Sets or replaces. On a struct the field must exist and its value be of the field's type, or null where that
 * is allowed. The name is copied on a map.
 */
int value_set(struct leat_value *v, const char *name, size_t n, struct leat_value *item, struct err *e);
/* As value_set on a map, for a name that outlives it. */
int value_set_borrowed(struct leat_value *map, const char *name, size_t n, struct leat_value *item,
                       struct err *e);
/* A new reference of its own; ERR_INVALID when the type is another. NULL takes the schema away. */
int value_with_schema(struct leat_value *v, struct leat_schema *s, struct err *e);

/* Items, entries or fields; 0 for others. */
size_t value_count(const struct leat_value *v);
/* Item i or NULL past the end; a field that is not set is a null value. Name: entries and fields only, else
 * NULL. */
const struct leat_value *value_at(const struct leat_value *v, size_t i, const char **name, size_t *name_len);
const struct leat_value *value_find(const struct leat_value *v, const char *name,
                                    size_t n); /* NULL: not there */
bool value_has_bytes(const struct leat_value *v);
bool value_has_int(const struct leat_value *v);

/* What value_at gives for a field that is not set: null. */
extern const struct leat_value value_unset;

/* Puts an entry of a map that has an index into it. */
void value_index_entry(struct leat_value *map, uint32_t number);

#endif
