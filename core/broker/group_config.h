/*
 * group_config: settings of consumer groups, Kafka's resource GROUP (KIP-848, KIP-1142). See group_config.c.
 */
#ifndef LEAT_BROKER_GROUP_CONFIG_H
#define LEAT_BROKER_GROUP_CONFIG_H

#include "broker/broker.h"
#include "broker/broker_config.h"

/* So many groups may have settings of their own, which are kept in memory. */
#define BROKER_GROUPS_SET_MAX 10000

struct group_config_def {
    const char *name;
    enum config_type type;
    const char *default_value;
    const char *hub;     /* Kafka's broker setting that is its default for all groups; NULL: there is none */
    const char *refused; /* Kafka has it, it has no effect here, and this is why: only the default is taken */
    const char *doc;
};
/* By name. */
const struct group_config_def *group_config_defs(size_t *count);

/* Whether one may be set so, by itself: ERR_INVALID_CONFIG. */
int group_config_check(const char *name, const char *value, struct err *e);

/* What a group's settings come to; -1: it says nothing. */
struct group_timing {
    int32_t session_ms, heartbeat_ms;
};
/* What the hub allows of them, and what groups have that say nothing. */
struct group_bounds {
    struct group_timing min, max, others;
};

/*
 * As broker_change_topic; the group need not be there. ERR_INVALID_CONFIG: what a setting may not be, or not together with the others.
 * Durable when it returns. The settings stay until somebody removes them, also when the group is deleted, as in Kafka.
 */
int broker_change_group(struct broker *b, const char *group, const struct config_change *changes, size_t n,
                        bool replace, bool try_only, const struct group_bounds *bounds, struct err *e);
/* What was set of a group (broker_hub_settings_free). */
int broker_group_settings(struct broker *b, const char *group, struct topic_config_entry **list, size_t *n,
                          struct err *e);
/* Under a leaf lock: for who holds the lock of a group. */
struct group_timing broker_group_timing(struct broker *b, const char *group);
/* The names of all groups with settings, in the arena. */
int broker_groups_set(struct broker *b, struct arena *a, const char *const **names, size_t *n, struct err *e);

struct group_configs;
/* For core/broker. NULL: no memory. */
struct group_configs *group_configs_new(void);
void group_configs_free(struct group_configs *g); /* NULL is fine */
/* One stored setting; NULL: removed. One that cannot be used is reported and passed over. One thread: start-up. */
int group_config_replay(struct group_configs *g, const char *group, const char *key, const char *value,
                        struct err *e);

#endif
