/*
 * What consumer groups are tested over: a hub's topics, a store in memory, and the groups, which are opened anew at will.
 */
#ifndef LEAT_TESTS_UNIT_GROUP_HUB_H
#define LEAT_TESTS_UNIT_GROUP_HUB_H

#include <semaphore.h>

#include "base/mem.h"
#include "group/consumer.h"
#include "tests/lib/testkit.h"
#include "tests/unit/group/store.h"

/* ---- the hub's topics ---- */

#define TOPICS_MAX 6

static struct group_topic topics[TOPICS_MAX]; /* partitions 0: there is none */
static uint64_t changes;                      /* of the topics */

static inline uint64_t topics_version(void *arg)
{
    (void)arg;
    return changes;
}

static inline bool by_name(void *arg, const char *name, struct group_topic *out)
{
    (void)arg;
    for (int i = 0; i < TOPICS_MAX; i++)
        if (topics[i].partitions > 0 && strcmp(topics[i].name, name) == 0) {
            *out = topics[i];
            return true;
        }
    return false;
}

static inline bool by_id(void *arg, const struct uuid *id, struct group_topic *out)
{
    (void)arg;
    for (int i = 0; i < TOPICS_MAX; i++)
        if (topics[i].partitions > 0 && memcmp(&topics[i].id, id, sizeof *id) == 0) {
            *out = topics[i];
            return true;
        }
    return false;
}

static inline void each(void *arg, void (*fn)(void *to, const char *name), void *to)
{
    (void)arg;
    for (int i = 0; i < TOPICS_MAX; i++)
        if (topics[i].partitions > 0)
            fn(to, topics[i].name);
}

/* Topic "t<i>", made anew if it was not there; 0 partitions: deleted. */
static inline void set_topic(int i, int32_t partitions)
{
    if (topics[i].partitions == 0)
        topics[i].id = uuid_random();
    snprintf(topics[i].name, sizeof topics[i].name, "t%d", i);
    topics[i].partitions = partitions;
    changes++;
}

/* ---- groups ---- */

static struct groups *all;
static struct fake_store store;
static struct group_options options;

static inline void open_groups(void)
{
    struct err e = {0};
    all = groups_start(&options, &e);
    assert_non_null(all);
}

static inline void start(int32_t session_ms, int32_t max_size, enum group_migration migration)
{
    options = (struct group_options){.session_min_ms = 10,
                                     .session_max_ms = 100000,
                                     .topics = {topics_version, by_name, by_id, each, NULL},
                                     .consumer_session_ms = session_ms,
                                     .consumer_heartbeat_ms = 777,
                                     .consumer_max_size = max_size,
                                     .migration = migration,
                                     .store = fake_store_of(&store)};
    memset(topics, 0, sizeof topics);
    changes = 1;
    fake_store_init(&store);
    open_groups();
}

static inline int set_up(void **state)
{
    (void)state;
    start(100000, 0, GROUP_MIGRATE_BOTH);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    groups_stop(all);
    fake_store_free(&store);
    return 0;
}

static inline void restart(void)
{
    groups_stop(all);
    open_groups();
}

static inline struct msg_string text(const char *s)
{
    return s != NULL ? msg_text(s, strlen(s)) : MSG_NULL_STRING;
}

/* ---- a heartbeat, and its answer, which is waited for ---- */

static inline void answered(void *bell)
{
    sem_post(bell);
}

static inline void heartbeat(const struct consumer_heartbeat *q, struct arena *a, struct consumer_beat *b)
{
    sem_t bell;
    sem_init(&bell, 0, 0);
    consumer_heartbeat(all, q, a, b, answered, &bell);
    while (sem_wait(&bell) != 0)
        ;
    sem_destroy(&bell);
}

#endif
