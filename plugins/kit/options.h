/*
 * kit/options: option rows that file-like sinks share, and their readers into the kit's configuration
 * structs. A sink puts the row macros into its table; the readers then find the options by these names.
 */
#ifndef LEAT_KIT_OPTIONS_H
#define LEAT_KIT_OPTIONS_H

#include "base/err.h"
#include "kit/filer.h"
#include "leat/plugin.h"

/* `format_name`: format or format.class. */
#define KIT_OPTIONS_FORMAT(format_name)                                                                      \
    {.name = format_name,                                                                                    \
     .type = LEAT_STRING,                                                                                    \
     .default_value = "json",                                                                                \
     .importance = LEAT_HIGH,                                                                                \
     .doc = "How records become bytes: `json` (one document a line), `raw` (value bytes and a separator), "  \
            "`csv`. "                                                                                        \
            "Confluent's class names of JsonFormat and ByteArrayFormat mean `json` and `raw`.",              \
     .example = "json"},                                                                                     \
        {.name = "format.bytearray.separator",                                                               \
         .type = LEAT_STRING,                                                                                \
         .default_value = "\\n",                                                                             \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "What `raw` puts after each value; `\\n`, `\\r`, `\\t`, `\\0`, `\\\\` and `\\xHH` are "      \
                "understood, empty "                                                                         \
                "is nothing."},                                                                              \
        {.name = "format.bytearray.extension",                                                               \
         .type = LEAT_STRING,                                                                                \
         .default_value = ".bin",                                                                            \
         .importance = LEAT_LOW,                                                                             \
         .doc = "File name extension of `raw`; a codec's own comes after it."},                              \
        {.name = "csv.columns",                                                                              \
         .type = LEAT_LIST,                                                                                  \
         .default_value = "value",                                                                           \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Columns of `csv`: `key`, `value`, `topic`, `partition`, `offset`, `timestamp` of the "      \
                "record, or "                                                                                \
                "`value.FIELD` for a field of its value (dots lead into nested objects).",                   \
         .example = "timestamp,value.user.name,value.amount"},                                               \
        {.name = "csv.header",                                                                               \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "false",                                                                           \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Opens each CSV file with a line of column names."},                                         \
        {.name = "csv.encoding",                                                                             \
         .type = LEAT_CHOICE,                                                                                \
         .default_value = "none",                                                                            \
         .choices = "none|base64",                                                                           \
         .importance = LEAT_LOW,                                                                             \
         .doc = "`base64` writes the columns `key` and `value` as Aiven's sinks do by default."},            \
    {                                                                                                        \
        .name = "behavior.on.null.values", .type = LEAT_CHOICE, .default_value = "fail",                     \
        .choices = "fail|ignore|write", .importance = LEAT_LOW,                                              \
        .doc = "A record without value: `fail` stops the task, `ignore` skips it, `write` writes it."        \
    }

/* `name`, `level_name`: compression.type, compression.level, or s3.compression.*. */
#define KIT_OPTIONS_COMPRESSION(codec_name, level_name, codec_default)                                       \
    {.name = codec_name,                                                                                     \
     .type = LEAT_CHOICE,                                                                                    \
     .default_value = codec_default,                                                                         \
     .choices = "none|gzip|zstd",                                                                            \
     .importance = LEAT_MEDIUM,                                                                              \
     .doc = "Compression of the files; adds `.gz` or `.zst` to their names."},                               \
    {                                                                                                        \
        .name = level_name, .type = LEAT_INT, .default_value = "-1", .min = -1, .max = 19,                   \
        .importance = LEAT_LOW, .doc = "Effort: 0 to 9 for gzip, 1 to 19 for zstd, -1 for a fast default."   \
    }

#define KIT_OPTIONS_PARTITIONER                                                                              \
    {.name = "partitioner.class",                                                                            \
     .type = LEAT_STRING,                                                                                    \
     .default_value = "default",                                                                             \
     .importance = LEAT_MEDIUM,                                                                              \
     .doc = "Directories within a topic's: `default` (`partition=0`), `field` (`f=value`, see "              \
            "partition.field.name), "                                                                        \
            "`daily` (`year=2026/month=11/day=20`), `hourly`, `time` (see path.format). Confluent's class "  \
            "names are "                                                                                     \
            "accepted.",                                                                                     \
     .example = "daily"},                                                                                    \
        {.name = "partition.field.name",                                                                     \
         .type = LEAT_LIST,                                                                                  \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Fields of the value that the `field` partitioner makes directories of; dots lead into "     \
                "nested objects.",                                                                           \
         .example = "country,user.plan"},                                                                    \
        {.name = "path.format",                                                                              \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Directories of the `time` partitioner, a Joda-Time pattern.",                               \
         .example = "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH"},                                            \
        {.name = "partition.duration.ms",                                                                    \
         .type = LEAT_DURATION,                                                                              \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Times are rounded down to this in the `time` partitioner before they are formatted.",       \
         .example = "1h"},                                                                                   \
        {.name = "timezone",                                                                                 \
         .type = LEAT_STRING,                                                                                \
         .default_value = "UTC",                                                                             \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Time zone of directories and of rotate.schedule.interval.ms, a name of the tz database.",   \
         .example = "Europe/Berlin"},                                                                        \
        {.name = "locale",                                                                                   \
         .type = LEAT_STRING,                                                                                \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Required by Confluent's time partitioners; without effect, as paths are written in digits " \
                "only."},                                                                                    \
        {.name = "timestamp.extractor",                                                                      \
         .type = LEAT_STRING,                                                                                \
         .default_value = "Wallclock",                                                                       \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Which time counts: `Wallclock`, `Record` (its timestamp) or `RecordField` (see "            \
                "timestamp.field). With "                                                                    \
                "`Wallclock` a replay may choose other directories.",                                        \
         .example = "Record"},                                                                               \
    {                                                                                                        \
        .name = "timestamp.field", .type = LEAT_STRING, .default_value = "timestamp",                        \
        .importance = LEAT_MEDIUM,                                                                           \
        .doc = "Field of the value with the time for `RecordField`: ms since 1970 or ISO 8601 text."         \
    }

#define KIT_ROTATION_MAX_MS 31622400000 /* a leap year */

#define KIT_OPTIONS_ROTATION(flush_size_flags, flush_size_default, size_default, schedule_default)           \
    {.name = "flush.size",                                                                                   \
     .type = LEAT_INT,                                                                                       \
     .default_value = flush_size_default,                                                                    \
     .flags = flush_size_flags,                                                                              \
     .importance = LEAT_HIGH,                                                                                \
     .doc = "Completes the open files of a topic partition at this many records; 0 for no limit.",           \
     .example = "100000"},                                                                                   \
        {.name = "rotate.size",                                                                              \
         .type = LEAT_SIZE,                                                                                  \
         .default_value = size_default,                                                                      \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Completes them when one has this many bytes before compression; 0 for no limit.",           \
         .example = "128MiB"},                                                                               \
        {.name = "rotate.interval.ms",                                                                       \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "-1",                                                                              \
         .min = -1,                                                                                          \
         .max = KIT_ROTATION_MAX_MS,                                                                         \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Completes them when a record comes whose time is this much after the first one's, or "      \
                "which belongs to "                                                                          \
                "another directory. Needs a time-based partitioner. -1: off."},                              \
        {.name = "rotate.schedule.interval.ms",                                                              \
         .type = LEAT_DURATION,                                                                              \
         .default_value = schedule_default,                                                                  \
         .min = -1,                                                                                          \
         .max = KIT_ROTATION_MAX_MS,                                                                         \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Completes them by the wall clock, in slots counted from midnight of `timezone`. -1: off."}, \
        {.name = "rotate.file.on.partition.change",                                                          \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "true",                                                                            \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Whether a change of directory counts for rotate.interval.ms."},                             \
    {                                                                                                        \
        .name = "partitioner.max.open.files", .type = LEAT_INT, .default_value = "32", .min = -1,            \
        .max = 100000, .importance = LEAT_LOW,                                                               \
        .doc = "Completes them before a topic partition would have more open files than this; -1 for no "    \
               "limit. An "                                                                                  \
               "open file takes up to 1 MiB of memory, in the S3 sink a part. (Confluent: -1.)"              \
    }

/* Names of the options that differ between sinks. */
struct kit_option_names {
    const char *format;
    const char *codec, *level;
};

/*
 * Reads all of the above into `out`; strings and lists are borrowed from `c`. ERR_INVALID_CONFIG names the
 * option: an unknown class, rotate.interval.ms without time-based partitioner, a level out of the codec's
 * range, ... For validate and open.
 */
int kit_options_read(const struct leat_host *h, const struct leat_config *c,
                     const struct kit_option_names *names, struct filer_config *out, struct err *e);

/* "json", "jsonl", "raw", "bytes", "bytearray", "csv" and Confluent's class names. */
int kit_format_parse(const char *name, enum encode_format *format, struct err *e);

/* Hands an error to the host: retriable ones and interruptions as LEAT_RETRY, others as LEAT_FAIL. */
int kit_fail(const struct leat_host *h, struct leat_task *t, const struct err *e);

#endif
