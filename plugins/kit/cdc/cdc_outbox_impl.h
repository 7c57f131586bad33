/*
 * cdc_outbox_impl: an outbox table as EventRouter sees it, compiled in cdc_outbox_table.c and used in cdc_outbox.c.
 */
#ifndef LEAT_KIT_CDC_OUTBOX_IMPL_H
#define LEAT_KIT_CDC_OUTBOX_IMPL_H

#include "base/hash.h"
#include "kit/cdc/cdc_outbox.h"

/* A column of the table; NULL: it has none of this name. */
struct routed_column {
    const struct cdc_field *field;
    struct cdc_str schema; /* its own, without a field's name */
};

struct routed_placed {
    const struct cdc_placed *as;
    const struct cdc_field *field;
    struct cdc_str name;   /* of the envelope: `,"alias":` */
    struct cdc_str schema; /* likewise: `,{...,"field":"alias"}` */
};

struct cdc_routed {
    char *missing; /* a column that is not there, so that events fail; NULL: all are */
    struct routed_column id, key, payload_column, timestamp, version, route_by;
    struct routed_placed *placed;
    size_t placed_count;
    int64_t per_ms;    /* of the timestamp's unit */
    struct map *heads; /* struct cdc_str of `{"schema":..,"payload":` by the payload's schema and version */
    struct buf schema, payload; /* of a payload that was expanded */
};

/* Frees a struct cdc_str of `heads`. */
void cdc_routed_head_free(void *p);

#endif
