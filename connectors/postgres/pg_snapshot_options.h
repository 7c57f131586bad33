/*
 * pg_snapshot_options: option rows of snapshots, for the option table.
 */
#ifndef LEAT_PG_SNAPSHOT_OPTIONS_H
#define LEAT_PG_SNAPSHOT_OPTIONS_H

#define SNAP_READERS_MAX 64

#define PG_SNAPSHOT_OPTIONS                                                                                  \
    {.name = "snapshot.include.collection.list",                                                             \
     .type = LEAT_LIST,                                                                                      \
     .importance = LEAT_MEDIUM,                                                                              \
     .doc = "Regular expressions of `schema.table`: the captured tables that a snapshot reads. Without it "  \
            "all are read.",                                                                                 \
     .example = "public.orders,public.item.*"},                                                              \
        {.name = "snapshot.select.statement.overrides",                                                      \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Tables (`schema.table`) whose rows a snapshot reads by a SELECT of yours: "                 \
                "`snapshot.select.statement.overrides.<schema>.<table>`. Its columns go by their names; "    \
                "after a crash in the middle all of its rows come again.",                                   \
         .example = "public.orders"},                                                                        \
        {.name = "snapshot.select.statement.overrides.*",                                                    \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_LOW,                                                                             \
         .doc = "The SELECT for a table of snapshot.select.statement.overrides.",                            \
         .example = "SELECT * FROM public.orders WHERE NOT deleted"},                                        \
        {.name = "snapshot.tables.order.by.row.count",                                                       \
         .type = LEAT_CHOICE,                                                                                \
         .choices = "disabled|ascending|descending",                                                         \
         .default_value = "disabled",                                                                        \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Reads small or large tables first, by the planner's estimate; else they are read in the "   \
                "order of table.include.list and of their names."},                                          \
        {.name = "snapshot.query.mode",                                                                      \
         .type = LEAT_STRING,                                                                                \
         .default_value = "select_all",                                                                      \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Captured columns are read; see snapshot.select.statement.overrides."},                      \
        {.name = "snapshot.max.threads",                                                                     \
         .type = LEAT_INT,                                                                                   \
         .default_value = "1",                                                                               \
         .min = 1,                                                                                           \
         .max = SNAP_READERS_MAX,                                                                            \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Connections that read tables side by side, also pieces of one table. All see the same "     \
                "snapshot; the order of the events does not depend on their number."},                       \
        {.name = "snapshot.chunk.rows",                                                                      \
         .type = LEAT_INT,                                                                                   \
         .default_value = "100000",                                                                          \
         .min = 1,                                                                                           \
         .max = 1000000000,                                                                                  \
         .importance = LEAT_LOW,                                                                             \
         .doc = "About how many rows of a table are read by one statement, by the planner's estimate; with " \
                "several threads fewer where their events would not fit into a thread's part of "            \
                "snapshot.buffer.bytes."},                                                                   \
        {.name = "snapshot.buffer.bytes",                                                                    \
         .type = LEAT_SIZE,                                                                                  \
         .default_value = "8MiB",                                                                            \
         .min = 1048576,                                                                                     \
         .max = 1073741824,                                                                                  \
         .importance = LEAT_LOW,                                                                             \
         .doc =                                                                                              \
             "Events and rows that the readers of a snapshot may be ahead of the store, all together; each " \
             "has a quarter of a MiB at least, and a larger row passes all the same."},                      \
    {                                                                                                        \
        .name = "snapshot.fetch.size", .type = LEAT_INT, .default_value = "10240", .min = 1,                 \
        .max = 2147483647, .flags = LEAT_ACCEPTED, .importance = LEAT_LOW,                                   \
        .doc = "Rows are streamed by COPY; snapshot.buffer.bytes bounds what is held of them."               \
    }

#endif
