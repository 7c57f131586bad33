/*
 * defaults: the hub's defaults of topic settings, and what else was set at run time. See defaults.c.
 */
#ifndef LEAT_BROKER_DEFAULTS_H
#define LEAT_BROKER_DEFAULTS_H

#include "broker/store.h"

/* One stored setting of a broker, by Kafka's name; NULL: removed. What cannot be used is reported and passed over. */
int defaults_replay(struct topic_defaults *d, const char *resource, const char *key, const char *value,
                    struct err *e);
/* Makes what the options give the defaults, durably where they differ from what is stored. */
int defaults_take(struct broker *b, const struct broker_options *o, struct err *e);
void defaults_free(struct topic_defaults *d);

/*
 * The settings that every topic but the internal ones would have with these defaults, in the table's order, and that they have from now
 * on (which takes the list over). Admin lock held.
 */
int topic_settings_for_all(struct broker *b, const struct topic_defaults *defaults,
                           struct topic_settings ***out, size_t *out_n, struct err *e);
void topic_settings_publish_all(struct broker *b, struct topic_settings **list, size_t n);
void topic_settings_list_discard(struct topic_settings **list, size_t n);

#endif
