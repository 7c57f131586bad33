/*
 * commands: the table of subcommands. Parsing, help, completion and docs/command-line.md come from it.
 */
#include "cli/cli.h"

#define OPTIONS(list) .options = (list), .option_count = sizeof(list) / sizeof((list)[0])

/* Of the commands that work on any Kafka cluster. */
#define CLUSTER_OPTIONS                                                                                      \
    {"bootstrap-server", 'b', "HOST:PORT[,...]", "work on this Kafka cluster instead of a data directory",   \
     NULL},                                                                                                  \
        {"command-config", 0, "FILE", "librdkafka's properties for it, name=value a line (TLS, SASL, ...)",  \
         NULL},                                                                                              \
    {                                                                                                        \
        "command-property", 'X', "NAME=VALUE", "one such property (repeatable)", NULL                        \
    }

static const struct cli_option run_options[] = {
    {"plugin-path", 'p', "DIR", "look for plugins here (repeatable; default: beside the program)", NULL},
    {"http-listen", 'l', "HOST:PORT", "also serve health, metrics and all topics here, read-only, to anybody",
     NULL},
    {"listeners", 0, "ADDRESS[,...]",
     "without FILE: serve Kafka's clients here (default: PLAINTEXT://127.0.0.1:9092)", NULL},
    {"log-level", 0, "LEVEL", "diagnostics from this level on: debug, info, warn, error or off",
     "debug info warn error off"},
    {"log-format", 0, "FORMAT", "diagnostics as text or json", "text json"},
    {"progress", 0, NULL, "print a line of figures every two seconds", NULL},
    {"until-done", 0, NULL, "stop when every source has ended and every sink has read all there is", NULL},
};
static const struct cli_option validate_options[] = {
    {"plugin-path", 'p', "DIR", "look for plugins here (repeatable)", NULL},
    {"connect", 'c', NULL, "also try sources and targets", NULL},
};
static const struct cli_option plan_options[] = {
    {"detailed-exit-code", 0, NULL, "exit with 6 when something would change", NULL},
};
static const struct cli_option plugin_options[] = {
    {"plugin-path", 'p', "DIR", "look for plugins here (repeatable)", NULL},
    {"kind", 'k', "KIND", "only sources or sinks", "source sink"},
};
static const struct cli_option schema_options[] = {
    {"plugin-path", 'p', "DIR", "look for plugins here (repeatable)", NULL},
};
static const struct cli_option topics_list_options[] = {
    {"internal", 'i', NULL, "show internal topics too", NULL},
    CLUSTER_OPTIONS,
};
static const struct cli_option topics_create_options[] = {
    {"partitions", 'n', "N", "number of partitions (default 1)", NULL},
    {"config", 'c', "NAME=VALUE", "topic setting (repeatable)", NULL},
    {"if-not-exists", 0, NULL, "an existing topic is fine", NULL},
    CLUSTER_OPTIONS,
};
static const struct cli_option topics_describe_options[] = {
    {"all", 'a', NULL, "show the settings that have their defaults too", NULL},
    {"segments", 's', NULL, "show the segments of each partition too", NULL},
    CLUSTER_OPTIONS,
};
static const struct cli_option topics_delete_options[] = {
    {"if-exists", 0, NULL, "a missing topic is fine", NULL},
    CLUSTER_OPTIONS,
};
static const struct cli_option topics_delete_records_options[] = {
    {"partition", 'p', "N", "of this partition", NULL},
    {"offset", 0, "OFFSET", "those below this offset; end (or -1) for all there are", NULL},
    {"offset-json-file", 'f', "FILE", "of the partitions that this file names", NULL},
    CLUSTER_OPTIONS,
};
static const struct cli_option topics_configure_options[] = {
    {"config", 'c', "NAME=VALUE", "set (repeatable)", NULL},
    {"reset", 'r', "NAME", "back to the default (repeatable)", NULL},
    {"partitions", 'n', "N", "grow to this many partitions", NULL},
    CLUSTER_OPTIONS,
};
static const struct cli_option produce_options[] = {
    {"key-separator", 'k', "TEXT", "split each line at the first TEXT into key and value", NULL},
    {"header", 'H', "NAME=VALUE", "header of every record (repeatable)", NULL},
    {"partition", 'p', "N", "write to this partition", NULL},
    {"format", 'f', "FORMAT", "lines, or json: one object a line as consume prints them", "lines json"},
    {"compression", 'z', "CODEC", "compress batches", "none gzip snappy lz4 zstd"},
    CLUSTER_OPTIONS,
};
static const struct cli_option consume_options[] = {
    {"from", 's', "WHERE", "beginning, end, an offset, or a UTC time (2026-11-20T19:00:00Z, -15m, @MS)",
     NULL},
    {"partition", 'p', "N", "only this partition (repeatable)", NULL},
    {"max", 'n', "N", "stop after N records", NULL},
    {"exit-at-end", 'e', NULL, "stop at the end instead of waiting for more", NULL},
    {"format", 'f', "FORMAT", "value, key-value (tab between) or json (one object a line)",
     "value key-value json"},
    {"isolation", 0, "LEVEL", "read_committed or read_uncommitted", "read_committed read_uncommitted"},
    CLUSTER_OPTIONS,
};
static const struct cli_option groups_options[] = {
    CLUSTER_OPTIONS,
};
static const struct cli_option groups_reset_options[] = {
    {"topic", 't', "TOPIC", "the topic", NULL},
    {"partition", 'p', "N", "only this partition (repeatable)", NULL},
    {"to", 's', "WHERE", "beginning, end, an offset, or a time", NULL},
    CLUSTER_OPTIONS,
};
static const struct cli_option status_options[] = {
    {"watch", 'w', NULL, "show again every second until interrupted", NULL},
};
static const struct cli_option signal_options[] = {
    {"id", 'i', "ID", "of the signal, where notifications and events name it (default: made up)", NULL},
    {"timeout", 't', "SECONDS", "how long the source may take until it takes it (default 10)", NULL},
};
static const struct cli_option restart_options[] = {
    {"task", 't', "N", "only this task", NULL},
};
static const struct cli_option fsck_options[] = {
    {"repair", 'r', "KIND",
     "mend: indexes, snapshots, leftovers, tail, damage, segments, journal (repeatable)", NULL},
    {"dry-run", 'n', NULL, "with --repair: only say what would be done", NULL},
    {"quick", 'q', NULL, "check batches by their checksums only, do not decode their records", NULL},
    {"progress", 0, NULL, "say on standard error how far it is, also where that is no terminal", NULL},
};
static const struct cli_option log_dump_options[] = {
    {"partition", 'p', "N", "of a topic, only this partition", NULL},
    {"records", 'r', NULL, "show records too, with keys, values and headers", NULL},
    {"from", 's', "OFFSET", "nothing below this offset", NULL},
    {"to", 't', "OFFSET", "nothing at or above this offset", NULL},
    {"verify", 0, NULL, "check everything, indexes against batches too, and show only what is wrong", NULL},
};
static const struct cli_option docs_options[] = {
    {"plugin-path", 'p', "DIR", "look for plugins here (repeatable)", NULL},
    {"write", 'w', "DIR", "write the generated pages below DIR", NULL},
    {"check", 0, "DIR", "fail if the pages below DIR differ from what would be written", NULL},
};

static const struct cli_command commands[] = {
    {"run", "[FILE|DIR]", 0, 1,
     "run the pipelines of a YAML file or of a directory of them, or a broker without",
     "Without FILE there are no pipelines: a broker for Kafka's clients on --listeners.\n\n"
     "SIGTERM and Ctrl-C drain and commit, a second one stops at once; SIGHUP reads the files again and "
     "changes only\n"
     "what changed. The data directory is hub: data.dir of the file unless --data-dir is given.",
     OPTIONS(run_options), .run = cmd_run},
    {"validate", "FILE|DIR", 1, 1, "check pipelines without running them", NULL, OPTIONS(validate_options),
     .run = cmd_validate},
    {"plan", "FILE|DIR", 1, 1, "show what a changed file would change in the running hub", NULL,
     OPTIONS(plan_options), .run = cmd_plan},
    {"reload", "", 0, 0, "let the running hub read its files again", NULL, NULL, 0, .run = cmd_reload},
    {"status", "[PIPELINE]", 0, 1, "pipelines, tasks, rates, lag and last errors of the running hub",
     "With a pipeline: also what its connectors say of themselves, such as how far a snapshot's tables are.",
     OPTIONS(status_options), .run = cmd_status},
    {"signal", "PIPELINE TYPE [DATA]", 2, 3, "ask something of a pipeline's running source",
     "Returns when the source has taken it. TYPE is what its connector knows, such as execute-snapshot; DATA "
     "is a "
     "JSON object,\n"
     "such as {\"data-collections\": [\"public.orders\"]}.",
     OPTIONS(signal_options), .run = cmd_signal},
    {"pause", "CONNECTOR", 1, 1, "stop a connector's tasks until resumed, over restarts too", NULL, NULL, 0,
     .run = cmd_pause},
    {"resume", "CONNECTOR", 1, 1, "start a paused connector again", NULL, NULL, 0, .run = cmd_resume},
    {"restart", "CONNECTOR", 1, 1, "restart a connector's tasks, failed ones too", NULL,
     OPTIONS(restart_options), .run = cmd_restart},
    {"topics list", "", 0, 0, "list topics", NULL, OPTIONS(topics_list_options), .run = cmd_topics_list},
    {"topics create", "TOPIC", 1, 1, "create a topic", NULL, OPTIONS(topics_create_options),
     .run = cmd_topics_create},
    {"topics describe", "TOPIC", 1, 1, "show a topic's partitions and settings", NULL,
     OPTIONS(topics_describe_options), .run = cmd_topics_describe},
    {"topics configure", "TOPIC", 1, 1, "change a topic's settings or number of partitions", NULL,
     OPTIONS(topics_configure_options), .run = cmd_topics_configure},
    {"topics delete", "TOPIC", 1, 1, "delete a topic and its records", NULL, OPTIONS(topics_delete_options),
     .run = cmd_topics_delete},
    {"topics delete-records", "[TOPIC]", 0, 1, "delete the oldest records of a partition",
     "They are gone for good when the command ends. A file is that of Kafka's kafka-delete-records:\n"
     "{\"partitions\": [{\"topic\": \"t\", \"partition\": 0, \"offset\": 3}], \"version\": 1}",
     OPTIONS(topics_delete_records_options), .run = cmd_topics_delete_records},
    {"produce", "TOPIC", 1, 1, "write the lines of standard input as records",
     "With --format json each line is an object: partition, key, value, headers, timestamp, all optional. A "
     "value that is\n"
     "not text is {\"base64\": ...}.",
     OPTIONS(produce_options), .run = cmd_produce},
    {"consume", "TOPIC", 1, 1, "print records",
     "Starts at the end, or with --exit-at-end at the beginning, unless --from says otherwise. Without a "
     "running hub\n"
     "nothing more can come, so it is always --exit-at-end. With --format json a key, value or header that "
     "is "
     "not UTF-8\n"
     "is {\"base64\": ...}.",
     OPTIONS(consume_options), .run = cmd_consume},
    {"groups list", "", 0, 0, "list consumer groups", NULL, OPTIONS(groups_options), .run = cmd_groups_list},
    {"groups describe", "GROUP", 1, 1, "show a group's state, members and what each reads", NULL,
     OPTIONS(groups_options), .run = cmd_groups_describe},
    {"groups lag", "GROUP", 1, 1, "show a group's offsets and how far it is behind", NULL,
     OPTIONS(groups_options), .run = cmd_groups_lag},
    {"groups reset", "GROUP", 1, 1, "set a group's offsets", NULL, OPTIONS(groups_reset_options),
     .run = cmd_groups_reset},
    {"groups delete", "GROUP", 1, 1, "forget a group's offsets", NULL, OPTIONS(groups_options),
     .run = cmd_groups_delete},
    {"fsck", "", 0, 0, "check a data directory that no hub has open, and mend it when told",
     "Checks every batch, record, index, snapshot, checkpoint and journal record, and explains each finding "
     "with "
     "topic,\n"
     "partition, offset, file and byte. Nothing is changed without --repair; docs/operations.md says what "
     "each finding "
     "means\n"
     "and what to do. Exit code 1: there are errors or warnings. --repair damage writes a damaged segment "
     "anew with "
     "what is\n"
     "good of it, segments takes it out as a whole; what is taken out goes to set-aside in the data "
     "directory.",
     OPTIONS(fsck_options), .run = cmd_fsck},
    {"log dump", "FILE|DIR|TOPIC", 1, -1, "show what is in the files of a store, ours or Kafka's",
     "Segments, indexes, snapshots, checkpoints, the journal; records of the internal topics are decoded. "
     "Reads only, with "
     "or\n"
     "without a running hub. A name that is no file or directory is a topic. Damage is told (\"! path ... "
     "byte ...\") and "
     "passed\n"
     "over, and makes the exit code 1. With --output json each line is one object.",
     OPTIONS(log_dump_options), .run = cmd_log_dump},
    {"kafka import", "DIR", 1, -1, "make a data directory of the log directories of an Apache Kafka broker",
     "Copies topics, records, offsets of groups and states of transactions, with topic ids and settings, "
     "from a stopped or "
     "killed\n"
     "broker (KRaft) into a new data directory; the broker's own directories are only read. Name all of its "
     "log.dirs. Every "
     "batch\n"
     "is checked first. docs/kafka.md has the steps.",
     NULL, 0, .run = cmd_kafka_import},
    {"kafka export", "DIR", 1, 1, "copy everything into a formatted log directory of an Apache Kafka broker",
     "DIR was made by kafka-storage.sh format and not used yet. The broker has all topics from its first "
     "start on. "
     "docs/kafka.md\n"
     "has the steps.",
     NULL, 0, .run = cmd_kafka_export},
    {"plugins list", "", 0, 0, "list plugins and their connectors", NULL, OPTIONS(plugin_options),
     .run = cmd_plugins_list},
    {"plugins describe", "TYPE", 1, 1, "show a connector's options", NULL, OPTIONS(plugin_options),
     .run = cmd_plugins_describe},
    {"schema", "", 0, 0, "print the JSON Schema of the configuration, for editors", NULL,
     OPTIONS(schema_options), .run = cmd_schema},
    {"completion", "SHELL", 1, 1, "print completion for bash or zsh", "bash: source <(leat completion bash)",
     NULL, 0, .run = cmd_completion},
    {"version", "", 0, 0, "print the version", NULL, NULL, 0, .run = cmd_version},
    {"docs", "", 0, 0, "write or check the generated pages of docs", NULL, OPTIONS(docs_options),
     .hidden = true, .run = cmd_docs},
};

const struct cli_command *cli_commands(size_t *n)
{
    *n = sizeof commands / sizeof commands[0];
    return commands;
}
