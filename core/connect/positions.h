/*
 * positions: a connector's source positions: what is stored of them in the topic of positions, in Kafka
 * Connect's form (key ["<connector>",{partition}], value {offset}, compact JSON), and what the current poll
 * changes. One thread.
 */
#ifndef LEAT_CONNECT_POSITIONS_H
#define LEAT_CONNECT_POSITIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "client/client.h"

#define POSITION_MAX_BYTES 65536 /* of a partition's or offset's JSON */

struct positions;
/* NULL: out of memory. */
struct positions *positions_new(const char *connector, const char *topic, struct err *e);
void positions_free(struct positions *p);

/*
 * Reads what is committed, by `c`, which has all partitions of the topic assigned from their start, up to
 * `ends[i]` of partition i. ERR_INTERRUPTED once `stopping` says so, ERR_TIMEOUT when another's open
 * transaction stays in the way.
 */
int positions_load(struct positions *p, struct consumer *c, const int64_t *ends, int32_t partitions,
                   bool (*stopping)(void *arg), void *arg, struct err *e);

/* `offset` NULL removes. ERR_INVALID: not objects of scalars. */
int positions_set(struct positions *p, const char *partition, const char *offset, struct err *e);
/* NULL: none, or not a proper partition, then with `e` set. Valid until the next call. */
const char *positions_get(struct positions *p, const char *partition, struct err *e);
/* One after another, from *cursor = 0; sets in between are fine, commits are not. */
bool positions_next(const struct positions *p, size_t *cursor, const char **partition, const char **offset);

size_t positions_changed(const struct positions *p); /* how many were set since the last commit */
/* Adds what was set to the producer's transaction. */
int positions_write(struct positions *p, struct producer *producer, struct err *e);
void positions_committed(struct positions *p);

#endif
