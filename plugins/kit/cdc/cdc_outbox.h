/*
 * cdc_outbox: io.debezium.transforms.outbox.EventRouter: rows that are inserted into an outbox table become records of their
 * own: key, topic, payload and headers from its columns. The task's thread.
 */
#ifndef LEAT_KIT_CDC_OUTBOX_H
#define LEAT_KIT_CDC_OUTBOX_H

#include "kit/cdc/cdc_impl.h"
#include "kit/cdc/cdc_transforms.h"

enum cdc_place { CDC_PLACE_HEADER, CDC_PLACE_ENVELOPE, CDC_PLACE_PARTITION };

/* An item of table.fields.additional.placement. */
struct cdc_placed {
    char *column, *alias;
    enum cdc_place place;
};

struct cdc_outbox {
    char *id, *key, *payload, *timestamp, *version, *route_by; /* columns; timestamp and version NULL: none */
    char *replacement;
    struct cdc_regex *regex;
    struct cdc_placed *placed;
    size_t placed_count;
    bool envelope; /* something is placed there: the value is a struct */
    bool missing_fails, expand, keep_nulls, tombstones;
    enum { CDC_INVALID_WARN, CDC_INVALID_ERROR, CDC_INVALID_FATAL } invalid;
};

int cdc_outbox_read(const struct cdc_transform *t, struct cdc_config *out, struct err *e);
void cdc_outbox_free(struct cdc_outbox *o);

/* Finds the columns; a table without them fails when an event of it comes. */
int cdc_outbox_compile(struct cdc_table *t, struct err *e);
void cdc_routed_free(struct cdc_routed *r);
int cdc_outbox_event(struct cdc *c, const struct cdc_event *ev, struct err *e);

#endif
