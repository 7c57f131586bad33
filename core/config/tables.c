/*
 * tables: the option tables of the hub, of pipelines, of topics, and those that every connector has. Constant.
 */
#include "config/docs.h"
#include "config/internal.h"
#include "config/settings.h"

#define DAY ((int64_t)86400000)

static const struct leat_option hub_rows[] = {
    {
        .name = "data.dir",
        .type = LEAT_STRING,
        .default_value = "leat-data",
        .importance = LEAT_HIGH,
        .doc = "Directory of the topic store; made if missing. A relative path starts where the hub was "
               "started. One "
               "process can use it at a time.",
        .example = "/var/lib/leat",
    },
    {
        .name = "data.dirs",
        .type = LEAT_LIST,
        .importance = LEAT_MEDIUM,
        .doc = "Further data directories beside `data.dir`, one a disk: partitions are spread over all of "
               "them, and a disk "
               "that fails takes its own ones out of service only. Each is empty at first. They are "
               "remembered in "
               "`data.dir`; one that holds partitions cannot be left out again.",
        .example = "/mnt/disk2/leat, /mnt/disk3/leat",
    },
    {
        .name = "data.dirs.missing",
        .type = LEAT_CHOICE,
        .choices = "fail|start",
        .default_value = "fail",
        .importance = LEAT_LOW,
        .doc = "When one of `data.dirs` is not there (not mounted, or another disk): `fail` to start, or "
               "`start` without it, "
               "its partitions being out of service until a restart with it.",
    },
    {
        .name = "space.warn.bytes",
        .type = LEAT_SIZE,
        .default_value = "1GiB",
        .importance = LEAT_LOW,
        .doc = "A warning, once, when less than this and less than `space.warn.percent` is free on the disk "
               "of a data "
               "directory; `leat status`, /health and metrics tell it as long as it is so. 0: none.",
    },
    {
        .name = "space.warn.percent",
        .type = LEAT_INT,
        .default_value = "5",
        .max = 100,
        .importance = LEAT_LOW,
        .doc = "See `space.warn.bytes`. 0: none.",
    },
    {
        .name = "plugin.path",
        .type = LEAT_LIST,
        .importance = LEAT_MEDIUM,
        .doc = "Directories with connector plugins (*.so). Without it: the plugins beside the program or, "
               "installed, "
               "under lib/leat/plugins.",
        .example = "/usr/local/lib/leat/plugins, /opt/leat-plugins",
    },
    {
        .name = "http.listen",
        .type = LEAT_STRING,
        .importance = LEAT_MEDIUM,
        .doc =
            "Address and port on which the hub's HTTP interface, /metrics and /health are served by TCP, "
            "besides the "
            "Unix socket in the data directory. Without it there is the Unix socket only. Whoever reaches "
            "the "
            "address can read everything, topics too, without authentication; nothing can be changed there.",
        .example = "127.0.0.1:8083",
    },
    {
        .name = "log.level",
        .type = LEAT_CHOICE,
        .choices = "debug|info|warn|error|off",
        .default_value = "info",
        .importance = LEAT_LOW,
        .doc = "The least important diagnostics that are written to standard error.",
    },
    {
        .name = "log.format",
        .type = LEAT_CHOICE,
        .choices = "text|json",
        .default_value = "text",
        .importance = LEAT_LOW,
        .doc = "Diagnostics as lines of text or as a JSON object a line.",
    },
    {
        .name = "shutdown.timeout",
        .type = LEAT_DURATION,
        .default_value = "30s",
        .min = 1,
        .max = DAY,
        .importance = LEAT_MEDIUM,
        .doc = "How long a SIGTERM waits for tasks to finish and commit what they hold.",
    },
    {
        .name = "journal.file.bytes",
        .type = LEAT_SIZE,
        .default_value = "64MiB",
        .min = 1 << 20,
        .max = (int64_t)1 << 32,
        .importance = LEAT_LOW,
        .doc =
            "Size of a journal file. Larger ones make checkpoints rarer and recovery after a crash longer. "
            "Appends wait when 16 of them are full of what is not yet synced in its own place.",
    },
    {
        .name = "scrub.interval",
        .type = LEAT_DURATION,
        .default_value = "7d",
        .min = 0,
        .max = 3650 * DAY,
        .importance = LEAT_LOW,
        .doc = "Everything in the store is read and checked once in so long, by a thread of low priority; "
               "what is damaged "
               "is told by status, metrics and diagnostics. 0: never.",
    },
    {
        .name = "scrub.bytes.per.second",
        .type = LEAT_SIZE,
        .default_value = "16MiB",
        .min = 1024,
        .max = (int64_t)1 << 40,
        .importance = LEAT_LOW,
        .doc = "The scrub reads no faster than this.",
    },
    {
        .name = "retention.check.interval",
        .type = LEAT_DURATION,
        .default_value = "5m",
        .min = 100,
        .max = DAY,
        .importance = LEAT_LOW,
        .doc = "How often topics are looked through for segments that are past their retention "
               "(the older name of log.retention.check.interval.ms, which counts if both are given).",
    },
    {
        .name = "page.cache.bytes",
        .type = LEAT_SIZE,
        .min = 0,
        .max = (int64_t)1 << 50,
        .importance = LEAT_LOW,
        .doc = "How much of what is appended and on disk stays in the system's page cache for readers that "
               "lag, of all partitions together; "
               "what they read later comes from the disk. 0: the system decides. Without this: the system "
               "decides, but where its "
               "memory is found to be slow to get (a virtual machine whose host takes unused memory back: 20 "
               "us a page, ten times what "
               "writing it costs), 256MiB, and more of partitions whose readers read again what was let go "
               "of, up to half of the memory.",
    },
    {
        .name = "open.files.max",
        .type = LEAT_INT,
        .min = 16,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "How many files of segments may be open. Beyond it those of partitions that were not used for "
               "the "
               "longest time are closed, after a sync. Without this: three quarters of the process's limit "
               "(RLIMIT_NOFILE, which is raised as far as it may be), and at least 256 less than it.",
    },
    {
        .name = "log.retention.check.interval.ms",
        .type = LEAT_DURATION,
        .min = 1,
        .max = INT64_MAX,
        .importance = LEAT_LOW,
        .doc =
            "How often topics are looked through for segments that are past their retention. Without this: "
            "`retention.check.interval`.",
    },
    {
        .name = "producer.id.expiration.ms",
        .type = LEAT_DURATION,
        .default_value = "1d",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc =
            "How long after its last batch a partition remembers an idempotent producer, so that it tells a "
            "batch that is sent twice.",
    },
    {
        .name = "offsets.retention.minutes",
        .type = LEAT_INT,
        .default_value = "10080",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_MEDIUM,
        .doc = "How long committed offsets stay after they were committed and their group was last in use. "
               "Those of "
               "the sinks that run here, paused and failed ones among them, do not expire. As long a time as "
               "it takes "
               "until somebody comes back who was away.",
    },
    {
        .name = "offsets.retention.check.interval.ms",
        .type = LEAT_DURATION,
        .default_value = "10m",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "How often committed offsets are looked through for those that have expired.",
    },
    {
        .name = "transactional.id.expiration.ms",
        .type = LEAT_DURATION,
        .default_value = "7d",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc =
            "How long a transactional id without an open transaction is remembered after it was last used. "
            "Those of the sources that run here do not expire.",
    },
    {
        .name = "transaction.remove.expired.transaction.cleanup.interval.ms",
        .type = LEAT_DURATION,
        .default_value = "1h",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "How often transactional ids are looked through for those that have expired.",
    },
    {
        .name = "log.cleaner.enable",
        .type = LEAT_BOOL,
        .default_value = "true",
        .importance = LEAT_MEDIUM,
        .doc = "Whether topics with `cleanup.policy=compact`, the internal ones among them, are compacted. "
               "Without it they only grow.",
    },
    {
        .name = "log.cleaner.threads",
        .type = LEAT_INT,
        .default_value = "1",
        .min = 0,
        .max = 1000,
        .importance = LEAT_MEDIUM,
        .doc =
            "How many logs are compacted at the same time. More are of use where one processor does not keep "
            "up, or with several disks. 0: none, as without `log.cleaner.enable`.",
    },
    {
        .name = "log.cleaner.dedupe.buffer.size",
        .type = LEAT_SIZE,
        .default_value = "128MiB",
        .min = 1 << 20,
        .max = (int64_t)1 << 40,
        .importance = LEAT_MEDIUM,
        .doc = "Memory that the cleaner takes at most for the keys of its passes, 30 bytes a key; taken "
               "while it "
               "works, and no more than it needs. Each of `log.cleaner.threads` has its equal part, at least "
               "1 MiB. A log with more keys takes several passes.",
    },
    {
        .name = "log.cleaner.io.max.bytes.per.second",
        .type = LEAT_SIZE,
        .min = 1,
        .max = INT64_MAX,
        .importance = LEAT_MEDIUM,
        .doc = "What all the cleaner's threads together read and write at most in a second. Without this: no "
               "limit.",
        .example = "50MiB",
    },
    {
        .name = "log.cleaner.backoff.ms",
        .type = LEAT_DURATION,
        .default_value = "15s",
        .min = 1,
        .max = DAY,
        .importance = LEAT_LOW,
        .doc =
            "How long after a start, or after a segment of a compacted topic was closed, the cleaner looks "
            "for work.",
    },
    {
        .name = "offsets.topic.segment.bytes",
        .type = LEAT_SIZE,
        .default_value = "100MiB",
        .min = 1 << 20,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "`segment.bytes` of __consumer_offsets, when it is first made. Smaller ones are compacted "
               "sooner, and a start reads less.",
    },
    {
        .name = "transaction.state.log.segment.bytes",
        .type = LEAT_SIZE,
        .default_value = "100MiB",
        .min = 1 << 20,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "`segment.bytes` of __transaction_state, when it is first made.",
    },
    {
        .name = "num.partitions",
        .type = LEAT_INT,
        .default_value = "1",
        .min = 1,
        .max = 10000,
        .importance = LEAT_MEDIUM,
        .doc = "Number of partitions of topics that are made without one.",
    },
    {
        .name = "log.retention.minutes",
        .type = LEAT_INT,
        .min = -1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "As `log.retention.ms`, in minutes; counts where that is not given. -1: keep for ever.",
    },
    {
        .name = "log.retention.hours",
        .type = LEAT_INT,
        .min = -1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "As `log.retention.ms`, in hours; counts where neither that nor `log.retention.minutes` is "
               "given. -1: keep for ever.",
    },
    {
        .name = "log.roll.hours",
        .type = LEAT_INT,
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "As `log.roll.ms`, in hours; counts where that is not given.",
    },
    {
        .name = "log.roll.jitter.hours",
        .type = LEAT_INT,
        .min = 0,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "As `log.roll.jitter.ms`, in hours; counts where that is not given.",
    },
};

static const struct leat_option pipeline_rows[] = {
    {
        .name = "name",
        .type = LEAT_STRING,
        .flags = LEAT_REQUIRED,
        .importance = LEAT_HIGH,
        .doc = "Unique among all pipelines; letters, digits, dot, dash and underscore. Positions are stored "
               "under it: a "
               "pipeline with another name starts anew.",
        .example = "web-logs",
    },
    {
        .name = "topic",
        .type = LEAT_STRING,
        .importance = LEAT_HIGH,
        .doc = "The topic that the source writes and the sinks read, made if missing: its name, or a mapping "
               "with its "
               "settings. With a source and without this, the topic has the pipeline's name.",
        .example = "web-logs",
    },
    {
        .name = "topics",
        .type = LEAT_LIST,
        .importance = LEAT_MEDIUM,
        .doc = "Topics that the sinks read besides `topic`, such as those that other pipelines write.",
        .example = "web-logs, app-logs",
    },
    {
        .name = "topics.regex",
        .type = LEAT_STRING,
        .importance = LEAT_MEDIUM,
        .doc = "Topics that the sinks read besides those: all whose whole name this regular expression "
               "matches, also such as "
               "come later (within seconds), but not internal ones. Needed, or `topics`, where the source "
               "names its "
               "topics itself, as those of databases do.",
        .example = "shop\\.public\\..*",
    },
    {
        .name = "compression",
        .type = LEAT_CHOICE,
        .choices = "none|gzip|snappy|lz4|zstd",
        .importance = LEAT_MEDIUM,
        .doc =
            "How the batches are compressed that the source writes. Without this: not at all; `gzip` where "
            "the source's "
            "records repeat one another, as change events of a database do (`postgres`).",
        .example = "zstd",
    },
};

static const struct leat_option topic_rows[] = {
    {
        .name = "name",
        .type = LEAT_STRING,
        .importance = LEAT_HIGH,
        .doc = "The topic's name. Without it: the pipeline's.",
        .example = "web-logs",
    },
    {
        .name = "partitions",
        .type = LEAT_INT,
        .min = 1,
        .max = 10000,
        .importance = LEAT_MEDIUM,
        .doc = "Number of partitions when the topic is made; without this the hub's num.partitions. A topic "
               "that "
               "exists keeps its number.",
    },
};

/* The index modulo 3 is enum converter. */
#define CONVERTER_CHOICES                                                                                    \
    "bytes|string|json|org.apache.kafka.connect.converters.ByteArrayConverter|"                              \
    "org.apache.kafka.connect.storage.StringConverter|org.apache.kafka.connect.json.JsonConverter"

#define CONVERTER_DOC                                                                                        \
    "How typed values become bytes in the topic (sources) and bytes become typed values (sinks): `bytes` "   \
    "as they are, "                                                                                          \
    "`string` UTF-8 text, `json` JSON without schemas. Bytes that nobody asks to see typed go through "      \
    "unchanged. "                                                                                            \
    "Kafka Connect's class names mean the same."

/* Rows of connector_rows at its beginning that only sinks have, and at its end that only sources have. */
enum { SINK_ROWS = 1, SOURCE_ROWS = 9 };

static const struct leat_option connector_rows[] = {
    /* first, since only sinks have it */
    {
        .name = "name",
        .type = LEAT_STRING,
        .importance = LEAT_MEDIUM,
        .doc = "Of a sink, unique in its pipeline; without it the type. Offsets are stored under it: a sink "
               "with "
               "another name starts anew. A source has the pipeline's name.",
        .example = "archive",
    },
    {
        .name = "type",
        .type = LEAT_STRING,
        .flags = LEAT_REQUIRED,
        .importance = LEAT_HIGH,
        .doc = "Which connector: its type, or the name of the Kafka Connect class that it stands in for.",
        .example = "file",
    },
    {
        .name = "tasks.max",
        .type = LEAT_INT,
        .default_value = "1",
        .min = 1,
        .max = 1000,
        .importance = LEAT_MEDIUM,
        .doc = "At most so many tasks (threads) share the work. A sink never has more than its topics have "
               "partitions.",
    },
    {
        .name = "key.converter",
        .type = LEAT_CHOICE,
        .choices = CONVERTER_CHOICES,
        .default_value = "string",
        .importance = LEAT_LOW,
        .doc = "As value.converter, for keys.",
    },
    {
        .name = "key.converter.schemas.enable",
        .type = LEAT_BOOL,
        .default_value = "false",
        .importance = LEAT_LOW,
        .doc = "As value.converter.schemas.enable, for keys.",
    },
    {
        .name = "value.converter",
        .type = LEAT_CHOICE,
        .choices = CONVERTER_CHOICES,
        .default_value = "string",
        .importance = LEAT_MEDIUM,
        .doc = CONVERTER_DOC,
    },
    {
        .name = "value.converter.schemas.enable",
        .type = LEAT_BOOL,
        .default_value = "false",
        .importance = LEAT_LOW,
        .doc = "With `json`: each value has its schema beside it, as Kafka Connect's JsonConverter writes "
               "it. Only sources that "
               "say so can do that; for others this can only be false. There it is true by default if the "
               "converter is given "
               "as `org.apache.kafka.connect.json.JsonConverter`.",
    },
    {
        .name = "paused",
        .type = LEAT_BOOL,
        .default_value = "false",
        .importance = LEAT_LOW,
        .doc = "True: the connector is there, but does nothing. `leat pause` does the same, whatever stands "
               "here, until "
               "`leat resume`.",
    },
    {
        .name = "retry.backoff.ms",
        .type = LEAT_DURATION,
        .default_value = "1s",
        .min = 1,
        .max = DAY,
        .importance = LEAT_LOW,
        .doc =
            "Pause before a task that failed transiently starts again; doubles with every failure in a row.",
    },
    {
        .name = "retry.backoff.max.ms",
        .type = LEAT_DURATION,
        .default_value = "1m",
        .min = 1,
        .max = DAY,
        .importance = LEAT_LOW,
        .doc = "The longest such pause.",
    },
    {
        .name = "retries",
        .type = LEAT_INT,
        .default_value = "-1",
        .min = -1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "After so many transient failures in a row the task stays failed. -1: it tries for ever.",
    },
    /* last, since only sources have them */
    {
        .name = "transaction.boundary",
        .type = LEAT_CHOICE,
        .choices = "poll|interval",
        .default_value = "poll",
        .importance = LEAT_LOW,
        .doc = "Of a source: what becomes durable and visible together, with its position. `poll`: what the "
               "source "
               "gave at once; nothing waits for more. `interval`: what it gave within "
               "`transaction.boundary.interval.ms`; "
               "fewer syncs for a source that is fed record by record, but later.",
    },
    {
        .name = "transaction.boundary.interval.ms",
        .type = LEAT_DURATION,
        .default_value = "100ms",
        .min = 1,
        .max = 30000,
        .importance = LEAT_LOW,
        .doc = "Of a source, with `transaction.boundary: interval`: for how long at most records are "
               "gathered, from the "
               "first.",
    },
    {
        .name = "transaction.boundary.bytes",
        .type = LEAT_SIZE,
        .default_value = "4MiB",
        .min = 1,
        .max = 16 << 20,
        .importance = LEAT_LOW,
        .doc = "Of a source, with `transaction.boundary: interval`: so many bytes are committed before the "
               "time is over.",
    },
    {
        .name = "topic.creation.groups",
        .type = LEAT_LIST,
        .importance = LEAT_LOW,
        .doc = "Of a source whose records name their topics: groups of topics that are made in ways of their "
               "own. The "
               "first that takes a topic decides, else the group `default`, which need not be named here. A "
               "topic that "
               "exists is left as it is.",
        .example = "compacted, big",
    },
    {
        .name = "topic.creation.*.include",
        .type = LEAT_LIST,
        .importance = LEAT_LOW,
        .doc = "Regular expressions, each for a topic's whole name: what the group takes.",
        .example = "shop\\.public\\..*",
    },
    {
        .name = "topic.creation.*.exclude",
        .type = LEAT_LIST,
        .importance = LEAT_LOW,
        .doc = "Regular expressions: what it does not take all the same.",
    },
    {
        .name = "topic.creation.*.partitions",
        .type = LEAT_INT,
        .min = -1,
        .max = 10000,
        .importance = LEAT_LOW,
        .doc = "Number of partitions of the group's topics; -1: the hub's num.partitions. Without it that of "
               "the group "
               "`default`.",
    },
    {
        .name = "topic.creation.*.replication.factor",
        .type = LEAT_INT,
        .min = -1,
        .max = INT16_MAX,
        .flags = LEAT_ACCEPTED,
        .importance = LEAT_LOW,
        .doc = "A hub of one node keeps one copy.",
    },
    {
        .name = "topic.creation.*.*",
        .type = LEAT_STRING,
        .importance = LEAT_LOW,
        .doc = "Any topic setting of the group's topics, as in `config:` of a topic "
               "(`topic.creation.default.cleanup.policy`). Where there is no topic.creation at all, they are "
               "made as the "
               "pipeline's `topic:` says.",
        .example = "compact",
    },
};

const struct leat_option *hub_own_options(size_t *n)
{
    *n = COUNT_OF(hub_rows);
    return hub_rows;
}

const struct leat_option *pipeline_options(size_t *n)
{
    *n = COUNT_OF(pipeline_rows);
    return pipeline_rows;
}

const struct leat_option *topic_options(size_t *n)
{
    *n = COUNT_OF(topic_rows);
    return topic_rows;
}

const struct leat_option *connector_common_options(size_t *n)
{
    *n = COUNT_OF(connector_rows);
    return connector_rows;
}

const struct leat_option *connector_options_of(enum leat_kind kind, size_t *n)
{
    *n = COUNT_OF(connector_rows) - (kind == LEAT_SOURCE ? SINK_ROWS : SOURCE_ROWS);
    return connector_rows + (kind == LEAT_SOURCE ? SINK_ROWS : 0);
}
