/*
 * topic_config: the table of settings that a topic can have: Kafka's names, types, defaults and limits, and our own. What
 * Kafka has and we cannot do is there too, with the reason, and takes nothing but its default. Pure; how values are
 * understood is in topic_settings.c.
 */
#include <string.h>

#include "broker/topic.h"

/* A batch goes into the journal as part of one record, so this is what the record can take. */
#define MESSAGE_BYTES_MAX (60 << 20)
#define FOREVER "9223372036854775807"

#define INTO(kind, member) TOPIC_CONFIG_INTO_##kind, offsetof(struct topic_settings, member)
#define NOWHERE TOPIC_CONFIG_INTO_NOTHING, 0
#define CODECS "uncompressed,gzip,snappy,lz4,zstd,producer" /* in the order of enum codec */
#define NO_TIERS "there is no tiered storage here; everything is local"

static const struct topic_config_def defs[] = {
    {"cleanup.policy", TOPIC_CONFIG_LIST, "delete", 0, 0, "delete,compact", "log.cleanup.policy", NULL,
     "What happens to old segments. delete: they go by retention.ms and retention.bytes. compact: of each "
     "key "
     "the last record stays, and every record must have a key. Both can be had at once; with neither "
     "(empty) they stay.",
     INTO(CLEANUP, log)},
    {"compression.gzip.level", TOPIC_CONFIG_INT, "-1", -1, 9, NULL, "compression.gzip.level", NULL,
     "Level with compression.type=gzip: 1 to 9, or -1 for the codec's own.", INTO(I32_NOT_0, gzip_level)},
    {"compression.lz4.level", TOPIC_CONFIG_INT, "9", 1, 17, NULL, "compression.lz4.level", NULL,
     "Level with compression.type=lz4.", INTO(I32, lz4_level)},
    {"compression.type", TOPIC_CONFIG_CHOICE, "producer", 0, 0, CODECS, "compression.type", NULL,
     "How batches are stored: as the producer compressed them, or in this codec; a batch that comes "
     "otherwise "
     "is compressed anew when it is appended. One that is in the codec already is kept, whatever its level.",
     INTO(CODEC, codec)},
    {"compression.zstd.level", TOPIC_CONFIG_INT, "3", -131072, 22, NULL, "compression.zstd.level", NULL,
     "Level with compression.type=zstd.", INTO(I32, zstd_level)},
    {"delete.retention.ms", TOPIC_CONFIG_LONG, "86400000", 0, INT64_MAX, NULL,
     "log.cleaner.delete.retention.ms", NULL,
     "With compact: how long a tombstone (a record without a value) stays after it was first cleaned, so "
     "that "
     "readers can see what was deleted.",
     INTO(I64, log.delete_retention_ms)},
    {"durability", TOPIC_CONFIG_CHOICE, "sync", 0, 0, "sync,page-cache", NULL, NULL,
     "Leat's own. sync: acknowledged when it is on disk, by group commit. page-cache: acknowledged when the "
     "kernel has it; power loss may take what flush.ms and flush.messages do not cover, a killed process "
     "takes "
     "nothing.",
     INTO(IS_FIRST_CHOICE, synced)},
    {"file.delete.delay.ms", TOPIC_CONFIG_LONG, "60000", 0, INT64_MAX, NULL, "log.segment.delete.delay.ms",
     NULL,
     "How long the files of a segment that retention, delete-records or compaction removed stay on disk, "
     "renamed to "
     ".deleted, and the directories of a topic's partitions after it was deleted, renamed to -delete. A "
     "start removes them "
     "at once.",
     INTO(I64, log.file_delete_delay_ms)},
    {"flush.messages", TOPIC_CONFIG_LONG, FOREVER, 1, INT64_MAX, NULL, "log.flush.interval.messages", NULL,
     "With durability=page-cache: sync the log after so many records, before they are acknowledged.",
     INTO(I64, flush_messages)},
    {"flush.ms", TOPIC_CONFIG_LONG, FOREVER, 0, INT64_MAX, NULL, "log.flush.interval.ms", NULL,
     "With durability=page-cache: sync the log at most so long after an append.", INTO(I64, flush_ms)},
    {"follower.replication.throttled.replicas", TOPIC_CONFIG_REFUSED, "", 0, 0, NULL, NULL,
     "one node has no followers to throttle", "Only its default: there is no replication yet.", NOWHERE},
    {"index.interval.bytes", TOPIC_CONFIG_INT, "4096", 0, INT32_MAX, NULL, "log.index.interval.bytes", NULL,
     "A batch gets an index entry when so many bytes were appended since the last one.",
     INTO(I32, log.index_interval_bytes)},
    {"leader.replication.throttled.replicas", TOPIC_CONFIG_REFUSED, "", 0, 0, NULL, NULL,
     "one node has no followers to throttle", "Only its default: there is no replication yet.", NOWHERE},
    {"local.retention.bytes", TOPIC_CONFIG_REFUSED, "-2", 0, 0, NULL, "log.local.retention.bytes", NO_TIERS,
     "Only its default, which means retention.bytes: there is no tiered storage.", NOWHERE},
    {"local.retention.ms", TOPIC_CONFIG_REFUSED, "-2", 0, 0, NULL, "log.local.retention.ms", NO_TIERS,
     "Only its default, which means retention.ms: there is no tiered storage.", NOWHERE},
    {"max.compaction.lag.ms", TOPIC_CONFIG_LONG, FOREVER, 1, INT64_MAX, NULL,
     "log.cleaner.max.compaction.lag.ms", NULL,
     "With compact: what is older is cleaned whatever min.cleanable.dirty.ratio says; segments are closed in "
     "time for that.",
     INTO(I64, log.max_compaction_lag_ms)},
    {"max.message.bytes", TOPIC_CONFIG_INT, "1048588", 0, MESSAGE_BYTES_MAX, NULL, "message.max.bytes", NULL,
     "Largest batch, compressed, with its header. Kafka's limit is 2 GiB; here a batch must fit into one "
     "record of the journal.",
     INTO(I64, max_message_bytes)},
    {"message.timestamp.after.max.ms", TOPIC_CONFIG_LONG, "3600000", 0, INT64_MAX, NULL,
     "log.message.timestamp.after.max.ms", NULL,
     "How far a record's timestamp may lie after the broker's clock (CreateTime).",
     INTO(I64, timestamp_after_max_ms)},
    {"message.timestamp.before.max.ms", TOPIC_CONFIG_LONG, FOREVER, 0, INT64_MAX, NULL,
     "log.message.timestamp.before.max.ms", NULL,
     "How far a record's timestamp may lie before the broker's clock (CreateTime).",
     INTO(I64, timestamp_before_max_ms)},
    {"message.timestamp.type", TOPIC_CONFIG_CHOICE, "CreateTime", 0, 0, "CreateTime,LogAppendTime",
     "log.message.timestamp.type", NULL,
     "Whether records keep the producer's timestamp or get the time of the append.",
     INTO(IS_SECOND_CHOICE, log_append_time)},
    {"min.cleanable.dirty.ratio", TOPIC_CONFIG_DOUBLE, "0.5", 0, 1, NULL, "log.cleaner.min.cleanable.ratio",
     NULL,
     "With compact: a log is cleaned once more than this part of its closed segments was not cleaned before. "
     "Less means less space for the same keys, and more work.",
     INTO(DOUBLE, min_cleanable_ratio)},
    {"min.compaction.lag.ms", TOPIC_CONFIG_LONG, "0", 0, INT64_MAX, NULL, "log.cleaner.min.compaction.lag.ms",
     NULL, "With compact: records stay as they are at least so long after their timestamp.",
     INTO(I64, log.min_compaction_lag_ms)},
    {"min.insync.replicas", TOPIC_CONFIG_INT, "1", 1, INT32_MAX, NULL, "min.insync.replicas", NULL,
     "How many replicas must have an append before it is acknowledged. There is one, and as in Kafka 4 no "
     "more than there are "
     "are asked for: it is kept and told, and changes nothing.",
     NOWHERE},
    {"preallocate", TOPIC_CONFIG_BOOL, "false", 0, 1, NULL, "log.preallocate", NULL,
     "Reserve a segment's whole space with its first append, if there is so much, instead of in growing "
     "pieces.",
     INTO(BOOL, log.preallocate)},
    {"quota.produce.bytes.per.second", TOPIC_CONFIG_LONG, "-1", -1, INT64_MAX, NULL, NULL, NULL,
     "Leat's own. Appends to the topic wait so that no more than this is written in a second; none is lost. "
     "At least "
     "64 KiB; -1: as fast as it goes.",
     INTO(RATE, quota_rate)},
    {"quota.stored.bytes", TOPIC_CONFIG_LONG, "-1", -1, INT64_MAX, NULL, NULL, NULL,
     "Leat's own. Appends that would make the segments of all partitions larger than this are refused; "
     "reads, "
     "deletions and retention go on. -1: no limit.",
     INTO(I64, quota_stored_bytes)},
    {"remote.log.copy.disable", TOPIC_CONFIG_REFUSED, "false", 0, 0, NULL, NULL, NO_TIERS,
     "Only its default: there is no tiered storage.", NOWHERE},
    {"remote.log.delete.on.disable", TOPIC_CONFIG_REFUSED, "false", 0, 0, NULL, NULL, NO_TIERS,
     "Only its default: there is no tiered storage.", NOWHERE},
    {"remote.storage.enable", TOPIC_CONFIG_REFUSED, "false", 0, 0, NULL, NULL, NO_TIERS,
     "Only its default: there is no tiered storage.", NOWHERE},
    {"retention.bytes", TOPIC_CONFIG_LONG, "-1", INT64_MIN, INT64_MAX, NULL, "log.retention.bytes", NULL,
     "Delete the oldest segments of a partition while what is left has at least so many bytes; negative: no "
     "limit.",
     INTO(I64, log.retention_bytes)},
    {"retention.ms", TOPIC_CONFIG_LONG, "604800000", -1, INT64_MAX, NULL, "log.retention.ms", NULL,
     "Delete segments whose largest timestamp is so long ago (the file's last change where no record has a "
     "timestamp), the active one too, after a new one was started; -1: keep forever.",
     INTO(I64, log.retention_ms)},
    {"segment.bytes", TOPIC_CONFIG_INT, "1073741824", 1048576, INT32_MAX, NULL, "log.segment.bytes", NULL,
     "A segment that would grow past this is closed and a new one started.", INTO(I64, log.segment_bytes)},
    {"segment.index.bytes", TOPIC_CONFIG_INT, "10485760", 4, INT32_MAX, NULL, "log.index.size.max.bytes",
     NULL, "Largest offset index; a segment whose index is full is closed.",
     INTO(I32, log.segment_index_bytes)},
    {"segment.jitter.ms", TOPIC_CONFIG_LONG, "0", 0, INT64_MAX, NULL, "log.roll.jitter.ms", NULL,
     "Each segment's segment.ms is shortened by a random time up to this, so that not all partitions start "
     "new ones at once.",
     INTO(I64, log.segment_jitter_ms)},
    {"segment.ms", TOPIC_CONFIG_LONG, "604800000", 1, INT64_MAX, NULL, "log.roll.ms", NULL,
     "A new segment is started when a record is so much newer than the segment's first; where records have "
     "no "
     "timestamps, when the segment is so old.",
     INTO(I64, log.segment_ms)},
    {"unclean.leader.election.enable", TOPIC_CONFIG_BOOL, "false", 0, 1, NULL,
     "unclean.leader.election.enable", NULL,
     "Accepted, without effect on one node: the only replica is always the leader, and in sync.", NOWHERE},
};

enum { DEF_COUNT = sizeof defs / sizeof defs[0] };

const struct topic_config_def *topic_config_defs(size_t *count)
{
    *count = DEF_COUNT;
    return defs;
}

/* Levenshtein distance, for names of sane length. */
static size_t distance(const char *a, const char *b)
{
    enum { LIMIT = 64 };
    size_t row[LIMIT + 1];
    size_t an = strlen(a), bn = strlen(b);
    if (an > LIMIT || bn > LIMIT)
        return SIZE_MAX;
    for (size_t j = 0; j <= bn; j++)
        row[j] = j;
    for (size_t i = 1; i <= an; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= bn; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[bn];
}

static int unknown_name(const char *name, struct err *e)
{
    const char *nearest = NULL;
    size_t best = 5; /* farther away it is no misspelling */
    for (size_t i = 0; i < DEF_COUNT; i++) {
        size_t d = distance(name, defs[i].name);
        if (d < best) {
            best = d;
            nearest = defs[i].name;
        }
    }
    return nearest ? err_set(e, ERR_INVALID_CONFIG, "unknown topic setting \"%s\"; did you mean \"%s\"?",
                             name, nearest)
                   : err_set(e, ERR_INVALID_CONFIG, "unknown topic setting \"%s\"", name);
}

const struct topic_config_def *topic_config_find(const char *name, struct err *e)
{
    for (size_t i = 0; i < DEF_COUNT; i++)
        if (strcmp(defs[i].name, name) == 0)
            return &defs[i];
    unknown_name(name, e);
    return NULL;
}

const struct topic_config_def *topic_config_of_hub(const char *hub_name)
{
    for (size_t i = 0; i < DEF_COUNT; i++)
        if (defs[i].hub && strcmp(defs[i].hub, hub_name) == 0)
            return &defs[i];
    return NULL;
}
