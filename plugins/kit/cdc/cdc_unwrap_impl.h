/*
 * cdc_unwrap_impl: what the two parts of ExtractNewRecordState share: its options as read, and a table's form of them.
 */
#ifndef LEAT_KIT_CDC_UNWRAP_IMPL_H
#define LEAT_KIT_CDC_UNWRAP_IMPL_H

#include "kit/cdc/cdc_unwrap.h"

/* What becomes of a delete: a null value, nothing, or the row as it was with __deleted. */
enum cdc_unwrap_delete { CDC_UNWRAP_NULL, CDC_UNWRAP_DROP, CDC_UNWRAP_REWRITE };

enum cdc_add_of { CDC_ADD_TOP, CDC_ADD_SOURCE, CDC_ADD_TRANSACTION, CDC_ADD_BEFORE, CDC_ADD_AFTER };

struct cdc_add {
    enum cdc_add_of of;
    char *field;
    char *name; /* with prefix */
};

struct cdc_adds {
    struct cdc_add *items;
    size_t count;
};

struct cdc_unwrap {
    enum cdc_unwrap_delete deletes;
    bool tombstones; /* those that follow deletes are kept */
    struct cdc_adds fields, headers;
    char *route_by; /* NULL: none */
};

#endif
