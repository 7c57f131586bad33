/*
 * pg_plugin: what the shared object exports: the option table and the connector.
 */
#include "kit/cdc/cdc_options.h"
#include "pg_check.h"
#include "pg_incremental_options.h"
#include "pg_options_accepted.h"
#include "pg_options_connect.h"
#include "pg_options_slot.h"
#include "pg_options_start.h"
#include "pg_options_types.h"
#include "pg_snapshot_options.h"
#include "pg_source.h"
#include "pg_unchanged_options.h"

static const struct leat_option options[] = {
    PG_OPTIONS_CONNECT,     CDC_OPTIONS,      PG_OPTIONS_SLOT,      PG_OPTIONS_START,    PG_SNAPSHOT_OPTIONS,
    PG_INCREMENTAL_OPTIONS, PG_OPTIONS_TYPES, PG_UNCHANGED_OPTIONS, PG_OPTIONS_ACCEPTED,
};

static const char *const aliases[] = {"io.debezium.connector.postgresql.PostgresConnector", NULL};

const struct leat_connector pg_source_connector = {
    .struct_size = sizeof(struct leat_connector),
    .kind = LEAT_SOURCE,
    .type = "postgres",
    .aliases = aliases,
    .summary = "Follows the changes of a PostgreSQL database, as Debezium writes them.",
    .doc =
        "Reads the tables, then follows their changes by logical replication (pgoutput, PostgreSQL 13 on). "
        "Each change is "
        "an event in the topic `<topic.prefix>.<schema>.<table>`, in the form of Debezium's; Debezium's "
        "settings and its "
        "stored positions are understood, so that a connector can be moved here as it is. How the events "
        "differ is "
        "listed in `debezium-differences.md`.\n\n"
        "Each change is published once, in the order of the commits, also over crashes of either side: "
        "events and position "
        "are one transaction of the store. The slot is confirmed only after the store holds the events; an "
        "idle "
        "database never holds WAL. Large transactions are kept in a file until they are committed.\n\n"
        "A publication's row filters and column lists (PostgreSQL 15 on) hold for changes, which the "
        "server sends, and, as with Debezium, not for snapshots, which read the tables: a warning at each "
        "start, and of `leat validate --connect`, names such tables. For the same rows in both give the "
        "table a SELECT with the filter in `snapshot.select.statement.overrides`, and signals for "
        "incremental snapshots the filter in `additional-conditions`; for the same columns name those "
        "that are not published in `column.exclude.list`.\n\n"
        "The database needs `wal_level = logical`; the role the right to replicate and to read the tables. "
        "What is missing is said, with the statement that mends it. While the slot is made, for which the "
        "transactions that run then are waited for twice, a second, temporary one stands beside it, with a "
        "connection of its own: `max_replication_slots` and `max_wal_senders` need room for one more at that "
        "moment. Where there is none, and on a standby, the slot is made without, with a warning on the "
        "former: PostgreSQL may then decode wrong what is written into tables that are created, truncated or "
        "altered in that moment.\n\n"
        "A slot that was made by others while tables were altered may be such a one: the task fails (`could "
        "not map filenode`), or, with `snapshot.mode: when_needed`, drops it and reads the tables again.",
    .example = "type: postgres\n"
               "database.hostname: db.example.org\n"
               "database.user: leat\n"
               "database.password: ${env:PG_PASSWORD}\n"
               "database.dbname: shop\n"
               "topic.prefix: shop\n"
               "slot.name: leat_shop\n"
               "publication.name: leat_shop\n"
               "table.include.list: public.*\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .exact = true,
    .validate = pg_source_validate,
    .check = pg_check,
    .source = &pg_source_ops,
    .flags = LEAT_WRITES_SCHEMAS | LEAT_TAKES_SIGNALS | LEAT_NAMES_TOPICS | LEAT_RECORDS_ALIKE,
};

static const struct leat_connector *const connectors[] = {&pg_source_connector};

LEAT_EXPORT const struct leat_plugin leat_plugin;
const struct leat_plugin leat_plugin = {
    LEAT_PLUGIN_HEADER,        .name = "postgres",       .version = LEAT_VERSION,
    .built_for = LEAT_VERSION, .connectors = connectors, .connector_count = 1,
};
