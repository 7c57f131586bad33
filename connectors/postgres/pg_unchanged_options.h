/*
 * pg_unchanged_options: option rows of last known values, for the connector's option table.
 */
#ifndef LEAT_PG_UNCHANGED_OPTIONS_H
#define LEAT_PG_UNCHANGED_OPTIONS_H

#include "kit/kept/kept.h"
#include "leat/plugin.h"

#define PG_UNCHANGED_OPTIONS                                                                                 \
    {.name = "unavailable.value.fill",                                                                       \
     .type = LEAT_CHOICE,                                                                                    \
     .default_value = "none",                                                                                \
     .choices = "none|last_known",                                                                           \
     .importance = LEAT_MEDIUM,                                                                              \
     .doc =                                                                                                  \
         "`last_known`: a large value that did not change, and that the database did not send, is filled "   \
         "in from what was seen of the row before: in changes and in snapshots. It is the value as of that " \
         "change; where that is not certain the placeholder stays. What is not known can be made known by "  \
         "an incremental snapshot. Values are kept in files below `data.dir`, as they came, also of "        \
         "columns that are hashed. Not with `stream.origin: none`. Needs nothing where the replica "         \
         "identity is FULL."},                                                                               \
        {.name = "unavailable.value.fill.disk.bytes",                                                        \
         .type = LEAT_SIZE,                                                                                  \
         .default_value = "1GiB",                                                                            \
         .min = KEPT_DISK_MIN,                                                                               \
         .max = KEPT_DISK_MAX,                                                                               \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Disk space for last known values. The oldest go when it is full; one larger than a 128th "  \
                "of it is not kept. With another size they begin anew."},                                    \
    {                                                                                                        \
        .name = "unavailable.value.fill.memory.bytes", .type = LEAT_SIZE, .default_value = "16MiB",          \
        .min = KEPT_MEMORY_MIN, .max = INT64_C(4) << 30, .importance = LEAT_LOW,                             \
        .doc =                                                                                               \
            "Memory for the index of last known values, up to 57,000 a MiB, counted in powers of two. The "  \
            "oldest go when it is full. While it grows it needs half as much more."                          \
    }

#endif
