/*
 * quota: what a topic may store and how fast it may be written, where its settings say so. See quota.c.
 */
#ifndef LEAT_BROKER_QUOTA_H
#define LEAT_BROKER_QUOTA_H

#include "broker/store.h"

void quota_init(struct quota *q);
void quota_free(struct quota *q);

/*
 * `bytes` are about to be appended to the held partition's topic, which has a quota: ERR_QUOTA where they would be too many;
 * otherwise they take their turn in the topic's rate, and with `wait` that is waited for. No lock is held.
 */
int quota_admit(struct broker *b, const struct partition *p, const struct topic_settings *s, size_t bytes,
                bool wait, struct err *e);

/* Whoever waits for this topic's rate goes on: its settings have changed or it is deleted. */
void quota_wake(struct broker *b, struct topic *t);

static inline bool quota_is_set(const struct topic_settings *s)
{
    return s->quota_stored_bytes >= 0 || s->quota_rate > 0;
}

#endif
