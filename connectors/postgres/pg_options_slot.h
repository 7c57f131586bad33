/*
 * pg_options_slot: option rows: publication, slot and stream. Names and defaults are Debezium's where it has them.
 */
#ifndef LEAT_PG_OPTIONS_SLOT_H
#define LEAT_PG_OPTIONS_SLOT_H

#include "leat/plugin.h"

#define PG_OPTIONS_SLOT                                                                                      \
    {.name = "plugin.name",                                                                                  \
     .type = LEAT_CHOICE,                                                                                    \
     .default_value = "pgoutput",                                                                            \
     .choices = "pgoutput",                                                                                  \
     .importance = LEAT_MEDIUM,                                                                              \
     .doc = "The output plugin: the one that PostgreSQL has. A slot of decoderbufs cannot be gone on "       \
            "with."},                                                                                        \
        {.name = "slot.name",                                                                                \
         .type = LEAT_STRING,                                                                                \
         .default_value = "debezium",                                                                        \
         .importance = LEAT_HIGH,                                                                            \
         .doc = "The replication slot: lower-case letters, digits, underscores. It is made if it is not "    \
                "there. Each pipeline needs one of its own.",                                                \
         .example = "leat_shop"},                                                                            \
        {.name = "slot.drop.on.stop",                                                                        \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Whether the slot is dropped when the task stops. What happens until it starts again is "    \
                "then lost: the next start fails, or with snapshot.mode when_needed reads the tables "       \
                "anew."},                                                                                    \
        {.name = "slot.failover",                                                                            \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Makes the slot one that standbys keep too (PostgreSQL 17 on), so that a failover loses "    \
                "nothing; also one that is there. Standbys need sync_replication_slots."},                   \
        {.name = "slot.stream.params",                                                                       \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_LOW,                                                                             \
         .doc =                                                                                              \
             "More options for the output plugin: `name=value` separated by semicolons. Refused is what "    \
             "the source gives it itself (proto_version, publication_names, messages; streaming and origin " \
             "where stream.large.transactions and stream.origin ask for them) and what it cannot read "      \
             "(binary and two_phase, unless they are false).",                                               \
         .example = "binary=false"},                                                                         \
        {.name = "slot.max.retries",                                                                         \
         .type = LEAT_INT,                                                                                   \
         .default_value = "6",                                                                               \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "The task starts again by itself; see retries."},                                            \
        {.name = "slot.retry.delay.ms",                                                                      \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "10s",                                                                             \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "The task waits by itself; see retry.backoff.ms."},                                          \
        {.name = "publication.name",                                                                         \
         .type = LEAT_STRING,                                                                                \
         .default_value = "dbz_publication",                                                                 \
         .importance = LEAT_HIGH,                                                                            \
         .doc = "The publication: which tables the server sends changes of.",                                \
         .example = "leat_shop"},                                                                            \
        {.name = "publication.autocreate.mode",                                                              \
         .type = LEAT_CHOICE,                                                                                \
         .default_value = "all_tables",                                                                      \
         .choices = "all_tables|disabled|filtered|no_tables",                                                \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "How a publication that is not there is made: for all tables (needs a superuser), for "      \
                "those that are captured (needs their owner; later ones are added at the next start), "      \
                "without tables, or not at all: `disabled` fails then."},                                    \
        {.name = "publish.via.partition.root",                                                               \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Whether a publication that is made sends changes of partitions as those of their root."},   \
        {.name = "replica.identity.autoset.values",                                                          \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "What REPLICA IDENTITY captured tables are given when the task starts, each as "             \
                "`<expression>:DEFAULT`, `:FULL`, `:NOTHING` or `:INDEX <name>`; the expression is on "      \
                "schema.table. Only a table's owner can change it.",                                         \
         .example = "public.orders:FULL,public.items_.*:INDEX items_key"},                                   \
        {.name = "message.prefix.include.list",                                                              \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Regular expressions: logical messages (pg_logical_emit_message; PostgreSQL 14 on) are "     \
                "published whose prefix matches one."},                                                      \
        {.name = "message.prefix.exclude.list",                                                              \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Regular expressions: logical messages are published whose prefix matches none."},           \
        {.name = "stream.large.transactions",                                                                \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "true",                                                                            \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Whether the server (14 on) sends large transactions before they are committed: they are "   \
                "kept in a file until then, and the server need not keep them."},                            \
        {.name = "stream.protocol.version",                                                                  \
         .type = LEAT_INT,                                                                                   \
         .default_value = "0",                                                                               \
         .min = 0,                                                                                           \
         .max = 4,                                                                                           \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Version of pgoutput's protocol; 0: the newest that the server has (4 from PostgreSQL 16 "   \
                "on, 3 of 15, 2 of 14, 1 of 13). With 1 no transaction is sent before its commit."},         \
        {.name = "stream.origin",                                                                            \
         .type = LEAT_CHOICE,                                                                                \
         .default_value = "any",                                                                             \
         .choices = "any|none",                                                                              \
         .importance = LEAT_LOW,                                                                             \
         .doc = "`none`: changes that came to the database by replication from elsewhere are left out; by "  \
                "the server from PostgreSQL 16 on, before by Leat."},                                        \
        {.name = "stream.timeout.ms",                                                                        \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "2m",                                                                              \
         .min = 1000,                                                                                        \
         .max = 86400000,                                                                                    \
         .importance = LEAT_LOW,                                                                             \
         .doc = "A server that says nothing for so long, also when asked, counts as gone: the task "         \
                "connects anew. At least twice its wal_sender_timeout."},                                    \
        {.name = "status.update.interval.ms",                                                                \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "10s",                                                                             \
         .min = 10,                                                                                          \
         .max = 3600000,                                                                                     \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "How often the server is told what is stored, and may forget. Also how often the position "  \
                "is stored while nothing comes."},                                                           \
        {.name = "lsn.flush.mode",                                                                           \
         .type = LEAT_CHOICE,                                                                                \
         .default_value = "connector",                                                                       \
         .choices = "connector|manual|connector_and_driver",                                                 \
         .importance = LEAT_LOW,                                                                             \
         .doc = "`manual`: the slot is not moved, somebody else does it. The others: it follows what the "   \
                "store holds."},                                                                             \
        {.name = "flush.lsn.source",                                                                         \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "true",                                                                            \
         .importance = LEAT_LOW,                                                                             \
         .doc = "The older name: false is lsn.flush.mode manual."},                                          \
        {.name = "lsn.flush.timeout.ms",                                                                     \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "30s",                                                                             \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Telling the server takes no time here; see stream.timeout.ms."},                            \
        {.name = "lsn.flush.timeout.action",                                                                 \
         .type = LEAT_STRING,                                                                                \
         .default_value = "fail",                                                                            \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Belongs to lsn.flush.timeout.ms."},                                                         \
        {.name = "offset.mismatch.strategy",                                                                 \
         .type = LEAT_CHOICE,                                                                                \
         .default_value = "trust_offset",                                                                    \
         .choices = "trust_offset|no_validation|trust_slot|trust_greater_lsn",                               \
         .importance = LEAT_LOW,                                                                             \
         .doc = "If the slot is ahead of the stored position, changes may be lost: the task fails, or "      \
                "with `trust_slot` and `trust_greater_lsn` goes on where the slot is. `no_validation` is "   \
                "not offered silently: it means `trust_offset`."},                                           \
    {                                                                                                        \
        .name = "xmin.fetch.interval.ms", .type = LEAT_DURATION, .default_value = "0", .max = 86400000,      \
        .importance = LEAT_LOW,                                                                              \
        .doc = "How often the slot's catalog_xmin is asked for, which source.xmin then tells; 0: never, "    \
               "it is null.",                                                                                \
    }

#endif
