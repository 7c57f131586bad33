/*
 * leat kafka import, export: topics from an Apache Kafka broker's log directories, and to one.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/diag.h"
#include "broker/kafka_dir.h"
#include "cli/cli.h"
#include "http/json_bytes.h"

static int show_note(void *arg, const char *text, struct err *e)
{
    (void)arg;
    (void)e;
    fprintf(stderr, "leat: note: %s\n", text);
    return ERR_OK;
}

static int show_damage(void *arg, const struct check_finding *f, struct err *e)
{
    (void)arg;
    (void)e;
    fprintf(stderr, "leat: %s: %s, offset %lld: %s: byte %lld: %s\n", check_kind_name(f->kind),
            f->partition ? f->partition : "-", (long long)f->offset, f->path, (long long)f->byte, f->text);
    return ERR_OK;
}

static int show_report(struct cli *c, const struct kafka_copy_report *r, int64_t start_ms)
{
    if (cli_json(c))
        return print_json(json_pack("{s:I, s:I, s:I, s:I, s:b}", "topics", (json_int_t)r->topics,
                                    "partitions", (json_int_t)r->partitions, "records",
                                    (json_int_t)r->records, "bytes", (json_int_t)r->bytes, "clean",
                                    r->clean));
    printf("%llu topics, %llu partitions, %llu records, %s in %s\n", (unsigned long long)r->topics,
           (unsigned long long)r->partitions, (unsigned long long)r->records, show_bytes((double)r->bytes),
           show_duration(clock_mono_ms() - start_ms));
    if (!r->clean)
        printf("the broker had not been stopped cleanly: the first start reads everything again\n");
    return EXIT_FINE;
}

int cmd_kafka_import(struct cli *c)
{
    struct err e;
    struct kafka_copy_report r;
    int64_t start = clock_mono_ms();
    struct kafka_import_options o = {.from = (const char *const *)c->args,
                                     .from_count = (size_t)c->arg_count,
                                     .data_dir = cli_data_dir(c),
                                     .found = show_damage,
                                     .note = show_note};
    diag_setup(DIAG_WARN, DIAG_TEXT);
    return kafka_import(&o, &r, &e) == ERR_OK ? show_report(c, &r, start) : cli_fail(&e);
}

int cmd_kafka_export(struct cli *c)
{
    struct err e;
    struct kafka_copy_report r;
    int64_t start = clock_mono_ms();
    struct kafka_export_options o = {.data_dir = cli_data_dir(c), .to = c->args[0], .note = show_note};
    diag_setup(DIAG_WARN, DIAG_TEXT);
    int rc = cli_check_directory(o.data_dir);
    if (rc != -1)
        return rc;
    return kafka_export(&o, &r, &e) == ERR_OK ? show_report(c, &r, start) : cli_fail(&e);
}
