/*
 * s3_sink: the functions of the connector, for its descriptor in s3_plugin.c.
 */
#ifndef LEAT_S3_SINK_H
#define LEAT_S3_SINK_H

#include "leat/plugin.h"

extern const struct leat_sink_ops s3_sink_ops;

int s3_sink_validate(struct leat_task *t, const struct leat_host *h, const struct leat_config *c);
/* Endpoint, bucket, first directory and extension: with these in common, objects of one topic have common names. */
int s3_sink_outlet(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                   bool *by_topic, char *out);
int s3_sink_check(struct leat_task *t, const struct leat_host *h, const struct leat_config *c);

#endif
