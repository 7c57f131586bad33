/*
 * ops: what the operations of a schedule share.
 */
#ifndef LEAT_TESTS_POWER_OPS_H
#define LEAT_TESTS_POWER_OPS_H

#include "tests/power/world.h"

enum { TARGETS_MAX = 4 };

struct target {
    int topic;
    int32_t partition;
};

/* ---- batches.c */

/* A new batch; producer and transaction are the caller's. */
void batch_choose(struct world *w, const struct target *at, struct entry *e);
uint8_t *batch_make(struct world *w, const struct entry *e, int16_t epoch, size_t *n); /* mem_free */
/* What the producer sends next to this partition. */
int32_t next_sequence(const struct model_partition *p, int64_t producer);

/* A partition of a topic that is there; `synced`: of one that never was page-cache. False: there is none. */
bool choose_target(struct world *w, bool synced, struct target *out);
struct model_partition *target_partition(struct world *w, const struct target *t);

/* The store said where the records are that the model was told of as tried. */
void model_acknowledge(struct world *w, const struct target *at, uint64_t first,
                       const struct log_appended *appended);
void model_try_marker(struct world *w, const struct target *at, enum entry_kind kind, int32_t txn,
                      int32_t unit, enum certainty sure);
/*
 * The power failed, or the process was killed, while a part of a refused group was taken back: who does not know of it does not
 * sync that, and so the next loss of power may bring it back to a page-cache topic.
 */
void model_may_come_back(struct world *w, const struct target *at, uint64_t first);
/* It was refused: nothing of it is there. The second: the markers of the unit. */
void model_take_back(struct world *w, const struct target *at, uint64_t first);
void model_take_back_unit(struct world *w, int32_t unit);
/* What was tried as a unit is done: each entry stands behind the one before it, unless something may have come between. */
void model_acknowledge_unit(struct world *w, int32_t unit);

/* ---- the operations. False: the power is cut */

bool op_produce(struct world *w);       /* ops_produce.c */
bool op_produce_async(struct world *w); /* several under way at once */
bool op_refused(struct world *w);       /* with others, and taken back */
bool op_retry(struct world *w);         /* an idempotent producer sends its last batch again */
void async_forget(struct world *w);     /* after the store was closed */

bool op_txn(struct world *w); /* ops_txn.c */
/*
 * Has an open transaction an offset of the topic for the group (-1: any)? A commit of the same offset beside it is left out:
 * which of the two counts after a compaction is in docs/design/left.md.
 */
bool has_pending_offset(const struct world *w, int group, int topic);

bool op_create_topic(struct world *w); /* ops_topic.c */
bool op_delete_topic(struct world *w);
bool op_alter_topic(struct world *w);
bool op_add_partitions(struct world *w);
bool op_delete_records(struct world *w);

/* damage.c: the store is not open, after a clean stop or not, and is not used after */
void damage_and_check(struct world *w, bool clean);

#endif
