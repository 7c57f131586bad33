/*
 * pg_incremental_options: option rows of incremental snapshots and signals, for the option table.
 */
#ifndef LEAT_PG_INCREMENTAL_OPTIONS_H
#define LEAT_PG_INCREMENTAL_OPTIONS_H

#define PG_INCREMENTAL_OPTIONS                                                                               \
    {.name = "incremental.snapshot.chunk.size",                                                              \
     .type = LEAT_INT,                                                                                       \
     .default_value = "1024",                                                                                \
     .min = 1,                                                                                               \
     .max = 1000000,                                                                                         \
     .importance = LEAT_MEDIUM,                                                                              \
     .doc = "Rows of a table that an incremental snapshot reads at a time; fewer where they are larger "     \
            "than snapshot.buffer.bytes."},                                                                  \
        {.name = "incremental.snapshot.watermarking.strategy",                                               \
         .type = LEAT_CHOICE,                                                                                \
         .choices = "insert_insert|insert_delete",                                                           \
         .default_value = "insert_insert",                                                                   \
         .importance = LEAT_LOW,                                                                             \
         .doc = "How the end of a chunk is marked in the signal table: by a second row, or by deleting the " \
                "first one, so that the table does not grow."},                                              \
        {.name = "incremental.snapshot.allow.schema.changes",                                                \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Always: a chunk over which a table changes is read again."},                                \
        {.name = "signal.enabled.channels",                                                                  \
         .type = LEAT_LIST,                                                                                  \
         .default_value = "source",                                                                          \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Where signals are taken from: `source` (rows of signal.data.collection), `kafka` (the "     \
                "topic signal.kafka.topic), `file` (signal.file). `leat signal` works in any case; `jmx` "   \
                "and `in-process` are accepted and stand for it.",                                           \
         .example = "source,kafka"},                                                                         \
        {.name = "signal.kafka.topic",                                                                       \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_LOW,                                                                             \
         .doc = "The topic of signals, in this hub: records whose key is topic.prefix and whose value is "   \
                "an object with `type`, `data` and optionally `id`. Without it `<topic.prefix>-signal`."},   \
        {.name = "signal.kafka.bootstrap.servers",                                                           \
         .type = LEAT_STRING,                                                                                \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "The topic is one of this hub."},                                                            \
        {.name = "signal.kafka.groupId",                                                                     \
         .type = LEAT_STRING,                                                                                \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Where reading of the topic is stands beside the source's position."},                       \
        {.name = "signal.kafka.poll.timeout.ms",                                                             \
         .type = LEAT_INT,                                                                                   \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "The task is woken when a signal comes."},                                                   \
        {.name = "signal.file",                                                                              \
         .type = LEAT_STRING,                                                                                \
         .default_value = "file-signals.txt",                                                                \
         .flags = LEAT_READS_PATH,                                                                           \
         .importance = LEAT_LOW,                                                                             \
         .doc = "The file of signals: an object with `id`, `type` and `data` a line. It is emptied when "    \
                "they were taken."},                                                                         \
        {.name = "signal.poll.interval.ms",                                                                  \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "5s",                                                                              \
         .min = 10,                                                                                          \
         .max = 86400000,                                                                                    \
         .importance = LEAT_LOW,                                                                             \
         .doc = "How often signal.file is looked at."},                                                      \
    {                                                                                                        \
        .name = "read.only", .type = LEAT_BOOL, .default_value = "false", .importance = LEAT_MEDIUM,         \
        .doc = "Incremental snapshots write nothing: what changed beside a chunk is told by the server's "   \
               "running transactions (pg_current_snapshot). Also done so without signal.data.collection, "   \
               "and where that table may not be written."                                                    \
    }

#endif
