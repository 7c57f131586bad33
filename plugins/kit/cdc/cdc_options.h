/*
 * cdc_options: option rows that Debezium's connectors share, for a connector's table: CDC_OPTIONS,. Names and defaults are
 * Debezium's.
 */
#ifndef LEAT_KIT_CDC_OPTIONS_H
#define LEAT_KIT_CDC_OPTIONS_H

#include "leat/plugin.h"

#define CDC_LISTS                                                                                            \
    "Regular expressions, separated by commas (or a YAML list); each must match the whole name, case does "  \
    "not matter. "

#define CDC_OPTIONS                                                                                          \
    CDC_OPTIONS_TOPICS, CDC_OPTIONS_FILTERS, CDC_OPTIONS_COLUMNS, CDC_OPTIONS_EVENTS, CDC_OPTIONS_SIGNS

#define CDC_OPTIONS_TOPICS                                                                                   \
    {.name = "topic.prefix",                                                                                 \
     .type = LEAT_STRING,                                                                                    \
     .flags = LEAT_REQUIRED,                                                                                 \
     .importance = LEAT_HIGH,                                                                                \
     .doc = "Name of the database in events (source.name), first part of all topics' names, and of the "     \
            "stored position. A "                                                                            \
            "source with another prefix begins anew.",                                                       \
     .example = "shop"},                                                                                     \
        {.name = "topic.delimiter",                                                                          \
         .type = LEAT_STRING,                                                                                \
         .default_value = ".",                                                                               \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Between the parts of a topic's name."},                                                     \
        {.name = "topic.heartbeat.prefix",                                                                   \
         .type = LEAT_STRING,                                                                                \
         .default_value = "__debezium-heartbeat",                                                            \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Heartbeats go to the topic `<topic.heartbeat.prefix>.<topic.prefix>`."},                    \
        {.name = "topic.transaction",                                                                        \
         .type = LEAT_STRING,                                                                                \
         .default_value = "transaction",                                                                     \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Transaction metadata goes to the topic `<topic.prefix>.<topic.transaction>`."},             \
        {.name = "topic.naming.strategy",                                                                    \
         .type = LEAT_CHOICE,                                                                                \
         .choices = "io.debezium.schema.SchemaTopicNamingStrategy|"                                          \
                    "io.debezium.schema.DefaultTopicNamingStrategy",                                         \
         .default_value = "io.debezium.schema.SchemaTopicNamingStrategy",                                    \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "The names of topics are always prefix, schema and table; transforms may change them."},     \
        {.name = "schema.name.adjustment.mode",                                                              \
         .type = LEAT_CHOICE,                                                                                \
         .choices = "none|avro|avro_unicode",                                                                \
         .default_value = "none",                                                                            \
         .importance = LEAT_LOW,                                                                             \
         .doc = "What becomes of characters in schemas' names that Avro does not have: nothing, `_`, or "    \
                "`_uXXXX`."},                                                                                \
    {                                                                                                        \
        .name = "field.name.adjustment.mode", .type = LEAT_CHOICE, .choices = "none|avro|avro_unicode",      \
        .default_value = "none", .importance = LEAT_LOW,                                                     \
        .doc = "Likewise of names of fields, that is of columns."                                            \
    }

#define CDC_OPTIONS_FILTERS                                                                                  \
    {.name = "table.include.list",                                                                           \
     .type = LEAT_LIST,                                                                                      \
     .importance = LEAT_HIGH,                                                                                \
     .doc = "Tables to capture, as `schema.table`; without it all that table.exclude.list does not name. "   \
            "" CDC_LISTS,                                                                                    \
     .example = "public\\.orders,public\\.customers"},                                                       \
        {.name = "table.exclude.list",                                                                       \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Tables not to capture; not together with table.include.list. " CDC_LISTS},                  \
        {.name = "schema.include.list",                                                                      \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Schemas whose tables are captured; without it all. " CDC_LISTS},                            \
        {.name = "schema.exclude.list",                                                                      \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Schemas whose tables are not captured; not together with schema.include.list. " CDC_LISTS}, \
        {.name = "database.include.list",                                                                    \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Databases whose tables are captured; without it all that the connection sees. " CDC_LISTS}, \
        {.name = "database.exclude.list",                                                                    \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Databases whose tables are not captured. " CDC_LISTS},                                      \
        {.name = "column.include.list",                                                                      \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Columns that values have, as `schema.table.column`; without it all. Keys keep theirs. "     \
                "" CDC_LISTS},                                                                               \
    {                                                                                                        \
        .name = "column.exclude.list", .type = LEAT_LIST, .importance = LEAT_MEDIUM,                         \
        .doc = "Columns that values do not have; not together with column.include.list. Keys keep theirs. "  \
               "" CDC_LISTS,                                                                                 \
        .example = "public\\.customers\\.(password|token)"                                                   \
    }

#define CDC_OPTIONS_COLUMNS                                                                                  \
    {.name = "message.key.columns",                                                                          \
     .type = LEAT_STRING,                                                                                    \
     .importance = LEAT_MEDIUM,                                                                              \
     .doc = "Other keys than the primary key: `schema.table:column,column` separated by semicolons, the "    \
            "table a regular "                                                                               \
            "expression.",                                                                                   \
     .example = "public.orders:customer,number;public.lines:id"},                                            \
        {.name = "column.propagate.source.type",                                                             \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Columns whose fields tell the column's type, length and scale as parameters of their "      \
                "schema. " CDC_LISTS},                                                                       \
        {.name = "datatype.propagate.source.type",                                                           \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Likewise all columns of a type, as `schema.table.TYPE`. " CDC_LISTS,                        \
         .example = ".+\\.NUMERIC"},                                                                         \
        {.name = "column.mask.with.*.chars",                                                                 \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Columns of text that show so many asterisks instead of their values. " CDC_LISTS,           \
         .example = "public\\.customers\\.email"},                                                           \
        {.name = "column.mask.hash.*.with.salt.*",                                                           \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Columns of text that show a hash of salt and value, in hex digits; the name has algorithm " \
                "and salt: "                                                                                 \
                "`column.mask.hash.SHA-256.with.salt.x` (of the value as Java serializes it) or "            \
                "`column.mask.hash.v2.SHA-256.with.salt.x` (of its UTF-8 bytes). " CDC_LISTS},               \
        {.name = "column.truncate.to.*.chars",                                                               \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Columns of text that are cut at so many characters, counted as Java does. " CDC_LISTS},     \
    {                                                                                                        \
        .name = "unavailable.value.placeholder", .type = LEAT_STRING,                                        \
        .default_value = "__debezium_unavailable_value", .importance = LEAT_LOW,                             \
        .doc = "Stands for a value that did not change and that the database did not send, in the form "     \
               "that the type of its column allows. With the prefix `hex:` its bytes in hexadecimal digits." \
    }

#define CDC_OPTIONS_EVENTS                                                                                   \
    {.name = "tombstones.on.delete",                                                                         \
     .type = LEAT_BOOL,                                                                                      \
     .default_value = "true",                                                                                \
     .importance = LEAT_MEDIUM,                                                                              \
     .doc = "Whether a delete is followed by a record with the key and a null value, which lets "            \
            "compaction drop the key."},                                                                     \
        {.name = "skipped.operations",                                                                       \
         .type = LEAT_LIST,                                                                                  \
         .default_value = "t",                                                                               \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Changes that make no events: c (inserts), u (updates), d (deletes), t (truncates), or "     \
                "none.",                                                                                     \
         .example = "none"},                                                                                 \
        {.name = "skip.messages.without.change",                                                             \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Whether updates that change no captured column make no event. Needs the row as it was: "    \
                "REPLICA IDENTITY FULL."},                                                                   \
        {.name = "provide.transaction.metadata",                                                             \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Whether events tell their transaction and the order within, and BEGIN and END go to a "     \
                "topic of their own."},                                                                      \
        {.name = "extended.headers.enabled",                                                                 \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "true",                                                                            \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Whether records have the headers `__debezium.context.*`."},                                 \
        {.name = "event.processing.failure.handling.mode",                                                   \
         .type = LEAT_CHOICE,                                                                                \
         .choices = "fail|warn|skip|ignore",                                                                 \
         .default_value = "fail",                                                                            \
         .importance = LEAT_LOW,                                                                             \
         .doc = "What happens to a change with a value that cannot be rendered: the task fails, or the "     \
                "change is left "                                                                            \
                "out, with a warning in the log or without."},                                               \
        {.name = "predicates",                                                                               \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Names of predicates, each with a `predicates.<name>.type`, which is "                       \
                "org.apache.kafka.connect.transforms.predicates.TopicNameMatches, and a `pattern`. A "       \
                "transform with a "                                                                          \
                "`predicate` (and `negate: true`) is for the topics that it names (does not name)."},        \
        {.name = "predicates.*",                                                                             \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Type and pattern of a predicate."},                                                         \
        {.name = "transforms.*",                                                                             \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "`transforms.<name>.type` and the options of that transform."},                              \
    {                                                                                                        \
        .name = "transforms", .type = LEAT_LIST, .importance = LEAT_MEDIUM,                                  \
        .doc =                                                                                               \
            "Names of transforms, applied in this order; each has a `transforms.<name>.type` and options "   \
            "of its own: "                                                                                   \
            "io.debezium.transforms.ExtractNewRecordState, io.debezium.transforms.outbox.EventRouter, "      \
            "org.apache.kafka.connect.transforms.RegexRouter."                                               \
    }

#define CDC_OPTIONS_SIGNS                                                                                    \
    {.name = "heartbeat.interval.ms",                                                                        \
     .type = LEAT_DURATION,                                                                                  \
     .default_value = "0",                                                                                   \
     .importance = LEAT_MEDIUM,                                                                              \
     .doc = "How often a heartbeat record is written; 0: never."},                                           \
        {.name = "heartbeat.action.query",                                                                   \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_LOW,                                                                             \
         .doc = "A statement that is run in the database at each heartbeat."},                               \
        {.name = "notification.enabled.channels",                                                            \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Where notifications of snapshots go: sink (a topic), log; jmx is accepted and without "     \
                "effect."},                                                                                  \
        {.name = "notification.sink.topic.name",                                                             \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_LOW,                                                                             \
         .doc = "The topic of the notification channel sink."},                                              \
    {                                                                                                        \
        .name = "signal.data.collection", .type = LEAT_STRING, .importance = LEAT_MEDIUM,                    \
        .doc = "The table that signals are written to, as `schema.table`. It is captured without being "     \
               "listed."                                                                                     \
    }

#endif
