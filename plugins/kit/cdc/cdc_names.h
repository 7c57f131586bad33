/*
 * cdc_names: names of topics, schemas and fields as Debezium adjusts them. All results are of mem_*. Any thread.
 */
#ifndef LEAT_KIT_CDC_NAMES_H
#define LEAT_KIT_CDC_NAMES_H

#include <stdbool.h>

#include "base/err.h"

enum cdc_adjust { CDC_ADJUST_NONE, CDC_ADJUST_AVRO, CDC_ADJUST_AVRO_UNICODE };
#define CDC_ADJUST_CHOICES "none|avro|avro_unicode"

/* A topic's name: what is not in [A-Za-z0-9._-] becomes _ (each UTF-16 unit one), cut at 249; "." and ".." too. */
int cdc_topic_name(const char *name, char **out, struct err *e);
/*
 * schema.name.adjustment.mode, field.name.adjustment.mode. avro: letters, digits, _ (and dots in a schema's name) stay, others
 * become _, a digit at the beginning gets one before it. avro_unicode: others become _uXXXX, and so does _ itself.
 */
int cdc_adjust_name(enum cdc_adjust mode, bool field, const char *name, char **out, struct err *e);

#endif
