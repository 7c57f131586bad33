/*
 * pg_options_accepted: option rows: of Debezium, and without effect here. Names and defaults are Debezium's where it has them.
 */
#ifndef LEAT_PG_OPTIONS_ACCEPTED_H
#define LEAT_PG_OPTIONS_ACCEPTED_H

#include "leat/plugin.h"

#define PG_OPTIONS_ACCEPTED                                                                                  \
    {.name = "max.batch.size",                                                                               \
     .type = LEAT_INT,                                                                                       \
     .default_value = "2048",                                                                                \
     .flags = LEAT_ACCEPTED,                                                                                 \
     .importance = LEAT_LOW,                                                                                 \
     .doc = "What one transaction of the store holds is bounded by bytes."},                                 \
        {.name = "max.queue.size",                                                                           \
         .type = LEAT_INT,                                                                                   \
         .default_value = "8192",                                                                            \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "There is no queue between reading and writing."},                                           \
        {.name = "max.queue.size.in.bytes",                                                                  \
         .type = LEAT_SIZE,                                                                                  \
         .default_value = "0",                                                                               \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "There is no queue between reading and writing."},                                           \
        {.name = "poll.interval.ms",                                                                         \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "500",                                                                             \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Changes are written as they come."},                                                        \
        {.name = "errors.max.retries",                                                                       \
         .type = LEAT_INT,                                                                                   \
         .default_value = "-1",                                                                              \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "See retries."},                                                                             \
        {.name = "retriable.restart.connector.wait.ms",                                                      \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "10s",                                                                             \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "See retry.backoff.ms."},                                                                    \
        {.name = "schema.refresh.mode",                                                                      \
         .type = LEAT_STRING,                                                                                \
         .default_value = "columns_diff",                                                                    \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "The server tells when a table changes, and it is described anew then."},                    \
        {.name = "custom.metric.tags",                                                                       \
         .type = LEAT_STRING,                                                                                \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Metrics have the labels of all tasks."},                                                    \
        {.name = "topic.cache.size",                                                                         \
         .type = LEAT_INT,                                                                                   \
         .default_value = "10000",                                                                           \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Names of topics are made once a table."},                                                   \
        {.name = "executor.shutdown.timeout.ms",                                                             \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "4s",                                                                              \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "A stop ends waiting at once."},                                                             \
        {.name = "guardrail.collections.max",                                                                \
         .type = LEAT_INT,                                                                                   \
         .default_value = "0",                                                                               \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "A table costs some KiB here once rows of it come."},                                        \
    {                                                                                                        \
        .name = "guardrail.collections.limit.action", .type = LEAT_STRING, .default_value = "warn",          \
        .flags = LEAT_ACCEPTED, .importance = LEAT_LOW, .doc = "Belongs to guardrail.collections.max."       \
    }

#endif
