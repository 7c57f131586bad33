/*
 * walk: reads a whole log batch by batch; how the internal topics are loaded at start.
 */
#ifndef LEAT_BROKER_WALK_H
#define LEAT_BROKER_WALK_H

#include "storage/log.h"

/* Calls for every batch up to the high watermark; stops at the first error. */
int walk_batches(struct log *log,
                 int (*batch)(void *arg, const uint8_t *data, const struct batch_header *h, struct err *e),
                 void *arg, struct err *e);

/* Calls for every record of one batch. `scratch` is for inflating. */
int walk_records(const uint8_t *data, const struct batch_header *h, struct buf *scratch,
                 int (*record)(void *arg, const struct batch_header *h, const struct record *r,
                               struct err *e),
                 void *arg, struct err *e);

#endif
