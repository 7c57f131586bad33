/*
 * kit/options: from a task's options to the engine's configuration. Task thread only.
 */
#include "kit/options.h"

#include <string.h>
#include <strings.h>

int kit_format_parse(const char *name, enum encode_format *format, struct err *e)
{
    static const struct {
        const char *name;
        enum encode_format format;
    } names[] = {
        {"json", ENCODE_JSON},
        {"jsonl", ENCODE_JSON},
        {"JsonFormat", ENCODE_JSON},
        {"raw", ENCODE_RAW},
        {"bytes", ENCODE_RAW},
        {"bytearray", ENCODE_RAW},
        {"ByteArrayFormat", ENCODE_RAW},
        {"StringFormat", ENCODE_RAW},
        {"csv", ENCODE_CSV},
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(dot ? dot + 1 : name, names[i].name) == 0) {
            *format = names[i].format;
            return ERR_OK;
        }
    }
    return err_set(e, ERR_INVALID_CONFIG, "'%s' is no format; there are json, raw and csv", name);
}

static int read_encode(const struct leat_host *h, const struct leat_config *c, const char *format_name,
                       struct filer_config *out, struct err *e)
{
    struct encode_config *x = &out->encode;
    int rc = kit_format_parse(h->get_str(c, format_name), &x->format, e);
    if (rc != ERR_OK)
        return err_wrap(e, "%s", format_name);
    x->nulls = (enum encode_nulls)h->get_int(c, "behavior.on.null.values");
    x->separator = h->get_str(c, "format.bytearray.separator");
    x->csv_column_count = h->get_list(c, "csv.columns", &x->csv_columns);
    x->csv_header = h->get_bool(c, "csv.header");
    x->csv_base64 = h->get_int(c, "csv.encoding") == 1;
    if (x->format == ENCODE_RAW)
        out->extension = h->get_str(c, "format.bytearray.extension");
    return ERR_OK;
}

static int read_partitioner(const struct leat_host *h, const struct leat_config *c,
                            struct partitioner_config *out, struct err *e)
{
    const char *kind = h->get_str(c, "partitioner.class"), *clock = h->get_str(c, "timestamp.extractor");
    if (!partitioner_kind_parse(kind, &out->kind))
        return err_set(e, ERR_INVALID_CONFIG,
                       "partitioner.class: '%s' is unknown; there are default, field, time, daily and hourly",
                       kind);
    if (!partitioner_clock_parse(clock, &out->clock))
        return err_set(e, ERR_INVALID_CONFIG,
                       "timestamp.extractor: '%s' is unknown; there are Wallclock, Record and RecordField",
                       clock);
    out->field_count = h->get_list(c, "partition.field.name", &out->fields);
    out->path_format = h->get_str(c, "path.format");
    out->duration_ms = h->is_set(c, "partition.duration.ms") ? h->get_int(c, "partition.duration.ms") : 0;
    out->timezone = h->get_str(c, "timezone");
    out->timestamp_field = h->get_str(c, "timestamp.field");
    return ERR_OK;
}

int kit_options_read(const struct leat_host *h, const struct leat_config *c,
                     const struct kit_option_names *names, struct filer_config *out, struct err *e)
{
    memset(out, 0, sizeof(*out));
    int rc = read_encode(h, c, names->format, out, e);
    if (rc == ERR_OK)
        rc = read_partitioner(h, c, &out->partitioner, e);
    if (rc != ERR_OK)
        return rc;
    out->codec = (enum compress_codec)h->get_int(c, names->codec);
    out->level = (int)h->get_int(c, names->level);
    if (out->codec == COMPRESS_GZIP && out->level > 9)
        return err_set(e, ERR_INVALID_CONFIG, "%s: gzip has the levels 0 to 9", names->level);
    if (out->codec == COMPRESS_ZSTD && out->level == 0)
        return err_set(e, ERR_INVALID_CONFIG, "%s: zstd has the levels 1 to 19", names->level);
    out->rotation.records = h->get_int(c, "flush.size");
    out->rotation.bytes = h->get_int(c, "rotate.size");
    out->rotation.interval_ms = h->get_int(c, "rotate.interval.ms");
    out->rotation.schedule_ms = h->get_int(c, "rotate.schedule.interval.ms");
    out->rotation.on_partition_change = h->get_bool(c, "rotate.file.on.partition.change");
    out->schedule_timezone = out->partitioner.timezone;
    out->open_files_max = h->get_int(c, "partitioner.max.open.files");
    return ERR_OK;
}

int kit_fail(const struct leat_host *h, struct leat_task *t, const struct err *e)
{
    /* A task that was interrupted did not fail: it goes on when it may run again. */
    return h->fail(t, e->retriable || e->code == ERR_INTERRUPTED ? LEAT_RETRY : LEAT_FAIL, "%s", e->text);
}
