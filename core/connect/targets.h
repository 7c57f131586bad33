/*
 * targets: which connectors were paused from outside, over restarts of the hub: records of config.storage.topic in
 * Kafka Connect's form (key target-state-<connector>, value {"state":"PAUSED","state.v2":"PAUSED"}; none or null: as the
 * configuration says). Not thread-safe; see README.md for who may call.
 */
#ifndef LEAT_CONNECT_TARGETS_H
#define LEAT_CONNECT_TARGETS_H

#include <stdbool.h>

#include "base/err.h"
#include "client/client.h"

struct targets;
/* Reads what is stored; nothing is, if there is no such topic. Waits for the disk. */
int targets_load(struct client *c, struct targets **out, struct err *e);
void targets_free(struct targets *t);

bool targets_paused(const struct targets *t, const char *connector);

/* Stores it; durable when it returns, and not yet seen by targets_paused. Makes the topic when it is first needed. */
int targets_store(struct client *c, const char *connector, bool paused, struct err *e);
/* What was stored is so from now on. Without memory a pause holds, but not over the next apply. */
void targets_set(struct targets *t, const char *connector, bool paused);

/* The next paused connector whose name `wanted` refuses: the caller's to free; NULL: none, or out of memory. */
char *targets_unwanted(const struct targets *t, bool (*wanted)(void *arg, const char *connector), void *arg);

#endif
