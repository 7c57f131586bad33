/*
 * broker_config: the table of Kafka's broker settings. See broker_config.c.
 */
#ifndef LEAT_BROKER_BROKER_CONFIG_H
#define LEAT_BROKER_BROKER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

/* What can be set at run time, of names that nobody knows among others. */
#define BROKER_CONFIGS_MAX 256
#define BROKER_CONFIG_NAME_MAX 249
#define BROKER_CONFIG_VALUE_MAX 32767

/* Kafka's numbers (DescribeConfigs, KIP-569). */
enum config_type {
    CONFIG_BOOL = 1,
    CONFIG_STRING,
    CONFIG_INT,
    CONFIG_SHORT,
    CONFIG_LONG,
    CONFIG_DOUBLE,
    CONFIG_LIST,
    CONFIG_CLASS,
    CONFIG_PASSWORD
};
struct broker_config_def {
    const char *name;
    enum config_type type;
    const char *default_value; /* NULL: none */
};
/* By name. */
const struct broker_config_def *broker_config_defs(size_t *count);
const struct broker_config_def *broker_config_find(const char *name);
/* A setting that the hub has under the name, for describing. */
struct broker_config_value {
    const char *name; /* borrowed from a table */
    char *value;
    bool given; /* by the hub's configuration; else its default there */
    const char *doc;
};
/* Whether a broker's setting that is the default of topics has itself none: another one, in other units, stands behind it. */
bool broker_config_no_default(const char *name);

#endif
