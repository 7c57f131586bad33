/*
 * schema: Kafka Connect's schemas: a type, whether null is allowed, a name with version, parameters, and what
 * the type is made of. Built by one thread, immutable once a value uses it, then shared; the count of
 * references is atomic.
 */
#ifndef LEAT_CONNECT_SCHEMA_H
#define LEAT_CONNECT_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "leat/plugin.h"

#define SCHEMA_MAX_FIELDS 65536

struct schema_field {
    char *name;
    size_t name_len;
    struct leat_schema *schema;
};
struct schema_parameter {
    char *name, *value;
};
struct leat_schema {
    uint32_t refs;
    enum leat_type type;
    bool optional;
    int version; /* 0: none */
    char *name;  /* NULL: none */
    struct schema_parameter *parameters;
    size_t parameter_count;
    struct leat_schema *items, *keys, *values; /* of arrays and maps */
    struct schema_field *fields;               /* of structs, in order */
    size_t field_count;
    uint32_t *index; /* field numbers + 1 by hash, once there are more than a few */
    size_t index_size;
    const uint8_t *secret; /* of the hash: records bring schemas, too */
};

const char *leat_type_name(enum leat_type type); /* "INT64", in Connect's words */

/* All give a new reference or NULL (out of memory, or a part that is NULL). Parts keep a reference of their
 * own. */
struct leat_schema *schema_new(enum leat_type type, bool optional, const char *name, int version);
struct leat_schema *schema_array(struct leat_schema *items, bool optional);
struct leat_schema *schema_map(struct leat_schema *keys, struct leat_schema *values, bool optional);
struct leat_schema *schema_ref(struct leat_schema *s);
void schema_unref(struct leat_schema *s); /* NULL is fine */

/* ERR_INVALID: not a struct, no name, a name that is there already, too many. */
int schema_add_field(struct leat_schema *s, const char *name, struct leat_schema *field, struct err *e);
int schema_set_parameter(struct leat_schema *s, const char *name, const char *value, struct err *e);

/* The number of the field, or -1. */
int64_t schema_field_index(const struct leat_schema *s, const char *name, size_t name_len);
/* NULL: not set. */
const char *schema_parameter(const struct leat_schema *s, const char *name);

#endif
