/*
 * pg_options_start: option rows: what is read first. Names and defaults are Debezium's where it has them.
 */
#ifndef LEAT_PG_OPTIONS_START_H
#define LEAT_PG_OPTIONS_START_H

#include "leat/plugin.h"

#define PG_OPTIONS_START                                                                                     \
    {.name = "snapshot.mode",                                                                                \
     .type = LEAT_CHOICE,                                                                                    \
     .default_value = "initial",                                                                             \
     .choices = "initial|always|initial_only|no_data|never|when_needed|exported|configuration_based",        \
     .importance = LEAT_HIGH,                                                                                \
     .doc = "Whether the tables are read before changes are followed. `initial`: unless there is a "         \
            "stored position. `always`: at each start. `initial_only`: as initial, and then the task "       \
            "is done. `no_data` (once `never`): no. `when_needed`: as initial, and also if what "            \
            "happened since is lost. `exported`: an older name of initial. `configuration_based`: see "      \
            "there."},                                                                                       \
        {.name = "snapshot.mode.configuration.based.snapshot.data",                                          \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .importance = LEAT_LOW,                                                                             \
         .doc = "With `configuration_based`: whether tables are read, as with initial."},                    \
        {.name = "snapshot.mode.configuration.based.snapshot.schema",                                        \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Tables are described as their rows come."},                                                 \
        {.name = "snapshot.mode.configuration.based.start.stream",                                           \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .importance = LEAT_LOW,                                                                             \
         .doc = "With `configuration_based`: whether changes are followed."},                                \
        {.name = "snapshot.mode.configuration.based.snapshot.on.data.error",                                 \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .importance = LEAT_LOW,                                                                             \
         .doc = "With `configuration_based`: whether tables are read if changes are lost, as with "          \
                "when_needed."},                                                                             \
        {.name = "snapshot.mode.configuration.based.snapshot.on.schema.error",                               \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "There is no stored schema that could be wrong."},                                           \
        {.name = "snapshot.isolation.mode",                                                                  \
         .type = LEAT_STRING,                                                                                \
         .default_value = "serializable",                                                                    \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Rows are those of one moment: of the snapshot that the slot exports."},                     \
        {.name = "snapshot.locking.mode",                                                                    \
         .type = LEAT_STRING,                                                                                \
         .default_value = "none",                                                                            \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Reading takes no lock but that of a SELECT."},                                              \
        {.name = "snapshot.lock.timeout.ms",                                                                 \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "10s",                                                                             \
         .min = 0,                                                                                           \
         .max = 86400000,                                                                                    \
         .importance = LEAT_LOW,                                                                             \
         .doc = "How long a snapshot waits for a lock of others. Then it lets go of its own, for which "     \
                "they may be waiting, and goes on from a new snapshot behind what is stored. 0: no limit. "  \
                "A shorter lock_timeout of the session stays."},                                             \
        {.name = "snapshot.delay.ms",                                                                        \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "0",                                                                               \
         .min = 0,                                                                                           \
         .max = 86400000,                                                                                    \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Waits before tables are read for the first time."},                                         \
    {                                                                                                        \
        .name = "streaming.delay.ms", .type = LEAT_DURATION, .default_value = "0", .min = 0,                 \
        .max = 86400000, .importance = LEAT_LOW,                                                             \
        .doc = "Waits after tables were read, before changes are followed."                                  \
    }

#endif
