/*
 * leat fsck: checks a data directory that no hub has open, explains what it finds, and mends it when told.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "broker/fsck.h"
#include "cli/cli.h"
#include "http/json_bytes.h"

#define PROGRESS_MS 500

struct show {
    struct cli *c;
    bool progress;
    int64_t start_ms, next_ms;
    bool line; /* a line of progress stands on the terminal */
};

static void clear_line(struct show *s)
{
    if (s->line)
        fputs("\r\033[K", stderr);
    s->line = false;
}

/* By what was read until now; "" where nobody can tell. */
static const char *time_left(const struct show *s, uint64_t bytes, uint64_t total, int64_t now, char text[64])
{
    text[0] = '\0';
    if (bytes > 0 && bytes < total) {
        double ms = (double)(now - s->start_ms) * (double)(total - bytes) / (double)bytes;
        snprintf(text, 64, ", about %s left", show_duration(ms < 9e15 ? (int64_t)ms : INT64_MAX));
    }
    return text;
}

static int show_progress(void *arg, const char *partition, uint64_t bytes, uint64_t total, struct err *e)
{
    struct show *s = arg;
    int64_t now = clock_mono_ms();
    (void)e;
    if (!s->progress || now < s->next_ms)
        return ERR_OK;
    s->next_ms = now + PROGRESS_MS;
    clear_line(s);
    char left[64];
    time_left(s, bytes, total, now, left);
    fprintf(stderr, "%s", show_bytes((double)bytes));
    if (total > 0)
        fprintf(stderr, " of %s", show_bytes((double)(total > bytes ? total : bytes)));
    fprintf(stderr, " read%s, in %s", left, partition ? partition : "-");
    fflush(stderr);
    s->line = true;
    return ERR_OK;
}

static void put_number(json_t *o, const char *name, int64_t v)
{
    if (v >= 0 && !json_put(o, name, json_integer(v)))
        cli_out_of_memory();
}

static void print_line(json_t *o)
{
    if (!o)
        cli_out_of_memory();
    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(o);
}

static void print_json_finding(const struct check_finding *f)
{
    json_t *o = json_pack(
        "{s:s, s:s, s:o, s:o, s:s, s:s}", "severity", check_severity_name(check_kind_severity(f->kind)),
        "kind", check_kind_name(f->kind), "path", json_text(f->path), "text", json_text(f->text), "meaning",
        check_kind_meaning(f->kind), "repair", check_repair_name(check_kind_repair(f->kind)));
    if (!o || (f->partition && !json_put(o, "partition", json_text(f->partition))))
        cli_out_of_memory();
    put_number(o, "byte", f->byte);
    put_number(o, "offset", f->offset);
    put_number(o, "next_offset", f->next_offset);
    print_line(o);
}

static void print_offsets(const struct check_finding *f)
{
    if (f->offset >= 0 && f->next_offset > f->offset + 1)
        printf(" offsets %lld to %lld", (long long)f->offset, (long long)f->next_offset - 1);
    else if (f->offset >= 0)
        printf(" offset %lld", (long long)f->offset);
}

static int show_finding(void *arg, const struct check_finding *f, struct err *e)
{
    struct show *s = arg;
    enum check_repair repair = check_kind_repair(f->kind);
    (void)e;
    clear_line(s);
    if (cli_json(s->c)) {
        print_json_finding(f);
        return ERR_OK;
    }
    printf("%s: %s:", check_severity_name(check_kind_severity(f->kind)), check_kind_name(f->kind));
    if (f->partition)
        printf(" %s", f->partition);
    print_offsets(f);
    printf("\n    %s", f->path);
    if (f->byte >= 0)
        printf(": byte %lld", (long long)f->byte);
    printf("\n    %s\n    %s%s%s%s\n", f->text, check_kind_meaning(f->kind),
           repair == REPAIR_NONE ? "" : " (leat fsck --repair ",
           repair == REPAIR_NONE ? "" : check_repair_name(repair), repair == REPAIR_NONE ? "" : ")");
    return ERR_OK;
}

static void print_summary(const struct cli *c, const struct fsck_report *r, int64_t ms)
{
    if (cli_json(c)) {
        print_line(json_pack("{s:{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}}", "summary",
                             "clean", r->clean, "errors", (json_int_t)r->findings[CHECK_ERROR], "warnings",
                             (json_int_t)r->findings[CHECK_WARNING], "notes",
                             (json_int_t)r->findings[CHECK_NOTE], "topics", (json_int_t)r->topics,
                             "partitions", (json_int_t)r->partitions, "segments", (json_int_t)r->segments,
                             "batches", (json_int_t)r->batches, "records", (json_int_t)r->records, "bytes",
                             (json_int_t)r->bytes, "journal_records", (json_int_t)r->journal_records, "ms",
                             (json_int_t)ms));
        return;
    }
    printf("%s: stopped %s\n", cli_data_dir(c), r->clean ? "cleanly" : "without a clean stop");
    if (!r->clean)
        printf("the next start replays %llu records of the journal\n",
               (unsigned long long)r->journal_records);
    printf("%llu topics, %llu partitions, %llu segments, %llu batches, %llu records, %s in %s\n",
           (unsigned long long)r->topics, (unsigned long long)r->partitions, (unsigned long long)r->segments,
           (unsigned long long)r->batches, (unsigned long long)r->records, show_bytes((double)r->bytes),
           show_duration(ms));
    printf("%llu errors, %llu warnings, %llu notes\n", (unsigned long long)r->findings[CHECK_ERROR],
           (unsigned long long)r->findings[CHECK_WARNING], (unsigned long long)r->findings[CHECK_NOTE]);
}

static int check(struct cli *c)
{
    struct err e;
    struct fsck_report r;
    int64_t start = clock_mono_ms();
    struct show s = {.c = c,
                     .progress = isatty(STDERR_FILENO) || cli_flag(c, "progress"),
                     .start_ms = start,
                     .next_ms = start + PROGRESS_MS};
    struct fsck_options o = {.data_dir = cli_data_dir(c),
                             .records = !cli_flag(c, "quick"),
                             .found = show_finding,
                             .progress = show_progress,
                             .arg = &s};
    int rc = broker_fsck(&o, &r, &e);
    clear_line(&s);
    if (rc != ERR_OK)
        return cli_fail(&e);
    print_summary(c, &r, clock_mono_ms() - start);
    return r.findings[CHECK_ERROR] || r.findings[CHECK_WARNING] ? EXIT_FAILED : EXIT_FINE;
}

/* ---- repairs ---- */

static int show_step(void *arg, enum check_repair kind, const char *text, struct err *e)
{
    const struct show *s = arg;
    (void)e;
    bool dry = cli_flag(s->c, "dry-run");
    if (cli_json(s->c))
        print_line(json_pack("{s:s, s:b, s:o}", "repair", check_repair_name(kind), "dry_run", dry, "text",
                             json_text(text)));
    else
        printf("%s%s\n", dry ? "would " : "", text);
    fflush(stdout); /* before it is done */
    return ERR_OK;
}

/* What --repair names, which may be lists with commas. */
static bool parse_kinds(struct cli *c, struct fsck_repair_options *o)
{
    const char *const *values;
    size_t n = cli_values(c, "repair", &values);
    for (size_t i = 0; i < n; i++)
        for (const char *at = values[i]; *at;) {
            char name[16];
            size_t len = strcspn(at, ",");
            enum check_repair kind;
            snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), at);
            if (strcmp(name, "segments") == 0)
                o->segments = true;
            else if (check_repair_parse(name, &kind))
                o->kinds[kind] = true;
            else
                return cli_error(EXIT_USAGE,
                                 "--repair: '%.*s' is not one of: indexes, snapshots, leftovers, tail, "
                                 "damage, segments, "
                                 "journal",
                                 (int)len, at) == EXIT_FINE;
            at += len + (at[len] == ',');
        }
    if (o->segments && o->kinds[REPAIR_DAMAGE])
        return cli_error(EXIT_USAGE, "--repair: damage and segments are two ways to mend the same") ==
               EXIT_FINE;
    return true;
}

static int repair(struct cli *c)
{
    struct err e;
    uint64_t left;
    struct show s = {.c = c};
    struct fsck_repair_options o = {
        .data_dir = cli_data_dir(c), .dry_run = cli_flag(c, "dry-run"), .step = show_step, .arg = &s};
    if (!parse_kinds(c, &o))
        return EXIT_USAGE;
    if (broker_fsck_repair(&o, &left, &e) != ERR_OK)
        return cli_fail(&e);
    if (left && !cli_json(c))
        printf("%llu findings need something else: leat fsck tells\n", (unsigned long long)left);
    return left ? EXIT_FAILED : EXIT_FINE;
}

int cmd_fsck(struct cli *c)
{
    const char *const *values;
    diag_setup(DIAG_ERROR, DIAG_TEXT);
    if (cli_values(c, "repair", &values))
        return repair(c);
    return cli_flag(c, "dry-run") ? cli_error(EXIT_USAGE, "--dry-run goes with --repair") : check(c);
}
