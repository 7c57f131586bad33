/*
 * file sink: what the outside sees: option table, descriptor; and the table's reader. Any thread.
 */
#include <string.h>

#include "connectors/file/file.h"
#include "connectors/file/sink.h"
#include "kit/options.h"

static const struct leat_option sink_options[] = {
    {.name = "directory",
     .type = LEAT_STRING,
     .flags = LEAT_WRITES_PATH,
     .importance = LEAT_HIGH,
     .doc =
         "Where files go; made if missing. A hidden directory `.leat` in it holds unfinished files and what "
         "a restart "
         "needs to know. Two sinks of one topic need different directories or paths. Either this or `file` "
         "must be given.",
     .example = "/var/lib/leat/out"},
    {.name = "path",
     .type = LEAT_STRING,
     .default_value = "${topic}/${encoded_partition}/${topic}+${partition}+${start_offset:10}${extension}",
     .importance = LEAT_MEDIUM,
     .doc = "Names of the files below `directory`. Variables: `${topic}`, `${partition}`, `${start_offset}` "
            "(both with a "
            "width: `${start_offset:10}`), `${encoded_partition}` (what partitioner.class gives), "
            "`${extension}`, "
            "`${connector}`, and the time of the file's first record: `${yyyy}`, `${MM}`, `${dd}`, `${HH}`, "
            "`${mm}`, "
            "`${ss}`, `${timestamp:PATTERN}`. Topic, partition and start offset must be in it, so that no "
            "two files "
            "share a name.",
     .example = "${yyyy}/${MM}/${topic}-${partition}-${start_offset}${extension}"},
    {.name = "file",
     .type = LEAT_STRING,
     .flags = LEAT_WRITES_FILE,
     .importance = LEAT_HIGH,
     .doc = "One file to which everything is appended, as Kafka Connect's FileStreamSink does; it is not "
            "rolled and "
            "not compressed, `format` is `raw` unless given, and `tasks.max` must be 1.",
     .example = "/var/log/collected.log"},
    {.name = "sync.interval.ms",
     .type = LEAT_DURATION,
     .default_value = "1s",
     .max = 3600000,
     .importance = LEAT_LOW,
     .doc = "With `file`: how often what was appended is synced and its offsets are committed."},
    {.name = "open.files.max",
     .type = LEAT_INT,
     .default_value = "64",
     .min = 1,
     .max = 10000,
     .importance = LEAT_LOW,
     .doc =
         "Open files of a task over all its topic partitions; past it the topic partition with most of them "
         "completes its files. An open file takes up to 1.5 MiB of memory."},
    {.name = "flush.on.stop",
     .type = LEAT_BOOL,
     .default_value = "true",
     .importance = LEAT_LOW,
     .doc =
         "A clean stop completes the open files. `false` drops them; they are written anew from the topic."},
    KIT_OPTIONS_FORMAT("format"),
    KIT_OPTIONS_COMPRESSION("compression.type", "compression.level", "none"),
    KIT_OPTIONS_PARTITIONER,
    KIT_OPTIONS_ROTATION(0, "0", "128MiB", "5m"),
};

static const char *text_or_null(const struct leat_host *h, const struct leat_config *c, const char *name)
{
    const char *text = h->get_str(c, name);
    return text && *text ? text : NULL;
}

/* Paths from a template stay below the directory. */
static int check_path(const char *path, struct err *e)
{
    bool climbs = strcmp(path, "..") == 0 || strncmp(path, "../", 3) == 0 || strstr(path, "/../");
    if (*path == '/' || climbs || path[strlen(path) - (*path != 0)] == '/')
        return err_set(e, ERR_INVALID_CONFIG, "path: \"%s\" names no file below the directory", path);
    struct template *t;
    int rc = template_parse(path, NULL, &t, e);
    if (rc != ERR_OK)
        return err_wrap(e, "path");
    bool unique = template_has(t, TEMPLATE_TOPIC) && template_has(t, TEMPLATE_PARTITION) &&
                  template_has(t, TEMPLATE_START_OFFSET);
    template_free(t);
    if (!unique)
        return err_set(
            e, ERR_INVALID_CONFIG,
            "path: ${topic}, ${partition} and ${start_offset} must be in it, or files would share names");
    return ERR_OK;
}

int sink_settings_read(struct sink_settings *s, const struct leat_host *h, const struct leat_config *c,
                       struct err *e)
{
    static const struct kit_option_names names = {"format", "compression.type", "compression.level"};
    int rc = kit_options_read(h, c, &names, &s->filer, e);
    if (rc != ERR_OK)
        return rc;
    s->directory = text_or_null(h, c, "directory");
    s->file = text_or_null(h, c, "file");
    s->path = h->get_str(c, "path");
    s->sync_interval_ms = h->get_int(c, "sync.interval.ms");
    s->filer.open_files_task_max = h->get_int(c, "open.files.max");
    s->filer.complete_on_stop = h->get_bool(c, "flush.on.stop");
    if (!s->directory == !s->file)
        return err_set(e, ERR_INVALID_CONFIG, "either directory or file must be given%s",
                       s->file ? ", not both" : "");
    if (s->directory)
        return check_path(s->path, e);
    if (s->filer.codec != COMPRESS_NONE)
        return err_set(e, ERR_INVALID_CONFIG, "compression.type: a single growing file is not compressed");
    if (!h->is_set(c, "format"))
        s->filer.encode.format = ENCODE_RAW;
    return ERR_OK;
}

static const char *const sink_aliases[] = {
    "org.apache.kafka.connect.file.FileStreamSinkConnector",
    "FileStreamSinkConnector",
    "FileStreamSink",
    NULL,
};

const struct leat_connector file_sink_connector = {
    .struct_size = sizeof(struct leat_connector),
    .kind = LEAT_SINK,
    .type = "file",
    .aliases = sink_aliases,
    .summary = "Writes records to files: JSON lines, raw bytes or CSV, rolled, compressed, exactly once.",
    .doc =
        "Records of each topic partition go to files below `directory`, named by topic, partition and the "
        "offset of "
        "their first record, in directories that `partitioner.class` chooses. A file is complete after "
        "`flush.size` "
        "records, `rotate.size` bytes or at a time; only complete files are visible, and after a crash each "
        "record is "
        "in exactly one of them.\n"
        "\n"
        "With `file` instead of `directory` everything is appended to one file, as Kafka Connect's "
        "FileStreamSink "
        "does; after a crash the part that was not committed is cut off and written again.\n"
        "\n"
        "Files of a topic that was deleted and made anew, whose offsets begin again, have a mark before the "
        "extension "
        "(`t+0+0000000000.1a2b3c4d.json`), so that they replace none of the topic before it.\n"
        "\n"
        "An offset that is set back after a clean stop makes the sink write those records again. Right after "
        "a crash, "
        "one that is set back by less than the last round looks like the crash itself and is not; removing "
        "`.leat/<connector>` in the directory says that it is meant.",
    .example = "type: file\n"
               "directory: /var/lib/leat/out\n"
               "format: json\n"
               "compression.type: gzip\n"
               "rotate.size: 64MiB\n",
    .options = sink_options,
    .option_count = sizeof(sink_options) / sizeof(sink_options[0]),
    .exact = true,
    .validate = sink_validate,
    .check = sink_check,
    .sink = &sink_ops,
    .outlet = sink_outlet,
};
