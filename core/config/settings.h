/*
 * settings: the store's topic settings as options of the configuration. See settings.c.
 */
#ifndef LEAT_CONFIG_SETTINGS_H
#define LEAT_CONFIG_SETTINGS_H

#include "config/config.h"

#define SETTING_CHOICES_MAX 128

/* A row of the store's table as an option; its choices are written to `choices`. */
struct leat_option setting_option(const struct topic_config_def *d, char choices[SETTING_CHOICES_MAX]);
/* Kafka's settings in ms and bytes are plain numbers; here they may be written with units as everything else. */
const char *setting_in_units(const struct topic_config_def *d, const char *value, char number[24]);

/* The hub's options without the defaults of topics (tables.c). */
const struct leat_option *hub_own_options(size_t *n);
const struct leat_option *hub_client_options(size_t *n); /* likewise, about Kafka clients */
/*
 * What `hub:` says of topics' defaults, by the names of topic settings (which are borrowed). The caller's
 * (hub_defaults_free), after an error too.
 */
int hub_defaults(const struct leat_config *options, struct topic_config_entry **list, size_t *n,
                 struct err *e);
void hub_defaults_free(struct topic_config_entry *list, size_t n);

struct broker_config_value;
/* What `hub:` has under the names of Kafka's broker settings, given or by default. The caller's, after an error too. */
int hub_described(const struct leat_config *options, struct broker_config_value **list, size_t *n,
                  struct err *e);
void hub_described_free(struct broker_config_value *list, size_t n);

#endif
