/*
 * cdc_transforms: `transforms` and `transforms.<name>.*`: what becomes of events before they are records. The task's thread.
 */
#ifndef LEAT_KIT_CDC_TRANSFORMS_H
#define LEAT_KIT_CDC_TRANSFORMS_H

#include "kit/cdc/cdc_config.h"
#include "kit/cdc/cdc_impl.h"

/* Names of transforms or predicates as listed. */
struct cdc_aliases {
    const char *const *items;
    size_t count;
};

/*
 * `named`: all options that begin with transforms. or predicates.; ERR_INVALID_CONFIG: an unknown transform, predicate or option,
 * a value that does not fit, options of a name that is not listed.
 */
int cdc_transforms_read(struct cdc_aliases transforms, struct cdc_aliases predicates,
                        const struct cdc_named *named, size_t n, struct cdc_config *out, struct err *e);
void cdc_transforms_free(struct cdc_config *c);

/* What the routes from `first` up to `last` make of a topic's name; of mem_*. */
int cdc_route(const struct cdc_config *c, size_t first, size_t last, const char *topic, char **out,
              struct err *e);
/* The topic that a row names, and what the routes from `first` on make of it, put into the record. ERR_INVALID_RECORD: no
 * name that a topic can have. */
int cdc_route_record(struct cdc *c, const char *topic, size_t first, struct cdc_pending *r, struct err *e);

/* What a table's events need beyond the envelope's texts. */
int cdc_transforms_compile(struct cdc_table *t, struct err *e);
void cdc_transforms_table_free(struct cdc_table *t);
/* Writes the records of an event of a table that has transforms. */
int cdc_transforms_event(struct cdc *c, const struct cdc_event *ev, struct err *e);

/* One transform's options, without `transforms.<alias>.` and those that all have; for its reader. */
struct cdc_transform {
    const char *alias, *type;
    const struct cdc_named *options;
    size_t count;
    size_t order;
    struct cdc_when *when; /* its predicate, to be taken over */
};
/* Where it stands, with its predicate. */
struct cdc_stage cdc_transform_stage(const struct cdc_transform *t, const struct cdc_config *c);
/* Calls `each` for every item of a list with commas, without spaces around it; it may change the item's text. */
int cdc_transform_items(const char *text, int (*each)(void *arg, char *item, struct err *e), void *arg,
                        struct err *e);
/* ERR_INVALID_CONFIG: it has no such option. */
int cdc_transform_unknown(const struct cdc_transform *t, const char *option, struct err *e);

#endif
