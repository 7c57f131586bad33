/*
 * consumer_sets: sets of partitions: sorted lists without repeats, and what is done with them. Pure functions; lists are mem_alloc's, or
 * of whoever made them.
 */
#ifndef LEAT_GROUP_CONSUMER_SETS_H
#define LEAT_GROUP_CONSUMER_SETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"

struct tp {
    struct uuid topic;
    int32_t partition;
    int32_t epoch; /* a member has it since then (and may commit); 0 elsewhere, and not compared */
};

struct tp_set {
    struct tp *list; /* by topic, then partition */
    int32_t n;
};

int tp_compare(const void *a, const void *b); /* of struct tp */

/* Makes a set of a list, in place. */
void tp_set_sort(struct tp_set *s);
void tp_set_free(struct tp_set *s);                                       /* and is empty then */
const struct tp *tp_set_find(const struct tp_set *s, const struct tp *p); /* NULL: it is not there */
bool tp_set_has(const struct tp_set *s, const struct tp *p);
bool tp_set_within(const struct tp_set *a, const struct tp_set *b); /* all of `a` are in `b` */
bool tp_set_meet(const struct tp_set *a, const struct tp_set *b);   /* some are in both */
bool tp_set_equal(const struct tp_set *a, const struct tp_set *b);

/* Those of `a` that are in `b`, or, with `in` false, that are not; all of either. false: no memory, and `out` is empty. */
bool tp_set_pick(const struct tp_set *a, const struct tp_set *b, bool in, struct tp_set *out);
bool tp_set_join(const struct tp_set *a, const struct tp_set *b, struct tp_set *out);
bool tp_set_copy(const struct tp_set *a, struct tp_set *out);

#endif
