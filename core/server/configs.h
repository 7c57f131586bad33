/*
 * configs: what describing and altering configurations share. Kafka's numbers: ConfigResource.Type, ConfigEntry.ConfigSource (KIP-133,
 * KIP-226, KIP-569).
 */
#ifndef LEAT_SERVER_CONFIGS_H
#define LEAT_SERVER_CONFIGS_H

#include "broker/broker_config.h"
#include "server/apis.h"

enum resource_type {
    RESOURCE_TOPIC = 2,
    RESOURCE_BROKER = 4,
    RESOURCE_LOGGER = 8,
    RESOURCE_CLIENT_METRICS = 16,
    RESOURCE_GROUP = 32,
};

enum config_source {
    SOURCE_TOPIC = 1,
    SOURCE_NODE = 2,
    SOURCE_CLUSTER = 3,
    SOURCE_FILE = 4,
    SOURCE_DEFAULT = 5,
    SOURCE_LOGGER = 6,
    SOURCE_GROUP = 8,
};

#define ROOT_LOGGER "root" /* there is one level of diagnostics, for all parts of the hub */

/* The source that a setting of the hub has as DescribeConfigs tells it. */
int8_t config_source_of(enum hub_layer layer);
/* The source of a topic's setting. */
int8_t config_source_of_topic(const struct topic_setting *s);
/* The node that a resource names, if it is a broker or its loggers: ERR_OK for this one, ERR_INVALID. */
int config_check_node(const char *name, int32_t node, struct err *e);

#endif
