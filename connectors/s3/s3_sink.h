/*
 * s3_sink: the functions of the connector, for its descriptor in s3_plugin.c.
 */
#ifndef LEAT_S3_SINK_H
#define LEAT_S3_SINK_H

#include "leat/plugin.h"

extern const struct leat_sink_ops s3_sink_ops;

int s3_sink_validate(struct leat_task *t, const struct leat_host *h, const struct leat_config *c);
int s3_sink_check(struct leat_task *t, const struct leat_host *h, const struct leat_config *c);

#endif
