/*
 * cdc_unwrap: io.debezium.transforms.ExtractNewRecordState: the row itself as the record's value, with fields and headers added
 * from the envelope. The task's thread; events also a writer's.
 */
#ifndef LEAT_KIT_CDC_UNWRAP_H
#define LEAT_KIT_CDC_UNWRAP_H

#include "kit/cdc/cdc_impl.h"
#include "kit/cdc/cdc_transforms.h"

int cdc_unwrap_read(const struct cdc_transform *t, struct cdc_config *out, struct err *e);
void cdc_unwrap_free(struct cdc_unwrap *u);

/* What is made once a table: the schema of its values, where the added fields come from. */
int cdc_unwrap_compile(struct cdc_table *t, struct err *e);
void cdc_unwrapped_free(struct cdc_unwrapped *u);
/* Whether a column's value names the topics of its records. */
bool cdc_unwrap_routes(const struct cdc_table *t);
/* Writes what the event becomes: a record, two, or none. */
int cdc_unwrap_event(struct cdc *c, const struct cdc_event *ev, struct err *e);

#endif
