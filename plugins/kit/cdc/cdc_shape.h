/*
 * kit/cdc/cdc_shape: what types JSON text has, as Kafka Connect's schemas could say it: learnt from all values of it together. Of
 * an array the items have one shape, and numbers widen. Any thread; holds no state.
 */
#ifndef LEAT_KIT_CDC_SHAPE_H
#define LEAT_KIT_CDC_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "kit/jtext.h"

/* In the order in which numbers widen. */
enum cdc_shape_kind {
    CDC_SHAPE_NOTHING, /* nulls alone */
    CDC_SHAPE_BOOLEAN,
    CDC_SHAPE_INT32,
    CDC_SHAPE_INT64,
    CDC_SHAPE_DOUBLE,
    CDC_SHAPE_STRING,
    CDC_SHAPE_ARRAY,
    CDC_SHAPE_STRUCT,
};

/* Names of Connect's types. */
extern const char *const cdc_shape_types[];

struct map;

/* All zero: of nothing yet. */
struct cdc_shape {
    enum cdc_shape_kind kind;
    char *name; /* of a struct's field; no NUL in it */
    struct cdc_shape
        *items; /* fields of a struct, in the order in which they came; the one item of an array */
    size_t count, room;
    struct map *index; /* of a struct with many fields: place + 1 by name */
};

void cdc_shape_clear(struct cdc_shape *s);

/* Adds what the value has. ERR_INVALID_RECORD: it cannot be told, or not beside what was seen. `s` is to be cleared then, too. */
int cdc_shape_learn(struct cdc_shape *s, const struct jtext_token *t, struct err *e);

/*
 * The struct's field of this name. Members mostly come in the order in which they came first: `next` is looked at before others.
 * False: there is none.
 */
bool cdc_shape_find(const struct cdc_shape *s, const void *name, size_t n, size_t next, size_t *at);

#endif
