/*
 * defaults: the hub's defaults of topic settings. See defaults.c.
 */
#ifndef LEAT_BROKER_DEFAULTS_H
#define LEAT_BROKER_DEFAULTS_H

#include "broker/store.h"

/* One stored setting, by its broker name; NULL: removed. What cannot be used is reported and passed over. */
int defaults_replay(struct topic_defaults *d, const char *key, const char *value, struct err *e);
/* Makes what the options give the defaults, durably where they differ from what is stored. */
int defaults_take(struct broker *b, const struct broker_options *o, struct err *e);

#endif
