/*
 * clean_txns: which batches belong to aborted transactions, and which markers are no longer needed, while a log is walked
 * from its start: Kafka's rules. Knows of the aborted ones from the transaction indexes, of the others by their batches.
 * One thread.
 */
#ifndef LEAT_STORAGE_CLEAN_TXNS_H
#define LEAT_STORAGE_CLEAN_TXNS_H

#include <stdbool.h>
#include <stddef.h>

#include "record/record.h"
#include "storage/log.h"
#include "storage/segment.h"

struct clean_txns;

struct clean_txns *clean_txns_new(struct err *e); /* NULL on error */
void clean_txns_free(struct clean_txns *t);       /* NULL is fine */

/* Aborted transactions that overlap what is walked next; more than once does no harm. */
int clean_txns_expect(struct clean_txns *t, const struct aborted_txn *list, size_t n, struct err *e);

/* A data batch comes by: is it aborted? */
int clean_txns_data(struct clean_txns *t, const struct batch_header *h, bool *aborted, struct err *e);

/*
 * A control batch comes by. *unneeded: no data of its transaction was met, so that it can go once its horizon passed. An
 * aborted transaction that is still needed goes into `index`, which may be NULL. ERR_CORRUPT: the marker aborts what the
 * transaction indexes do not know of.
 */
int clean_txns_marker(struct clean_txns *t, const struct batch_header *h, const void *data,
                      struct segment *index, bool *unneeded, struct err *e);

#endif
