/*
 * assignment: which task of a sink reads which partitions: of all partitions of its topics, in order, every
 * task-count-th. A new division begins only when every task has left the old one, so that a partition never has two
 * readers. Tasks enter, notice changes while they read, and leave. Any thread.
 */
#ifndef LEAT_CONNECT_ASSIGNMENT_H
#define LEAT_CONNECT_ASSIGNMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"
#include "client/client.h"
#include "config/config.h"

struct assigned {
    const char *topic; /* the assignment's, until assignment_leave */
    int32_t partition;
    struct uuid topic_id; /* all zeros: of a cluster, which does not tell */
};

struct assignment;
/* Of the pipeline's topics: those it names, and those that match its topics.regex when a division is made. */
struct assignment *assignment_new(struct client *c, const struct pipeline_config *p, int tasks,
                                  struct err *e);
void assignment_free(struct assignment *a);

/*
 * Takes the share of task `index`; mem_free(*list), also when it is empty. ERR_UNKNOWN_TOPIC: a topic does not exist
 * (yet). ERR_BUSY: others have not left the last division yet; try again soon.
 */
int assignment_enter(struct assignment *a, int index, struct assigned **list, size_t *n, uint64_t *generation,
                     struct err *e);
void assignment_leave(struct assignment *a);

/* Generations count from 1: 0 is old. Looks at the topics again; a difference makes the division old. Errors make it old as well. */
void assignment_refresh(struct assignment *a);
bool assignment_old(struct assignment *a, uint64_t generation);

#endif
