/*
 * dump: Kafka's recorded segments are shown as Kafka's own dump-log showed them, every line of JSON is an object, damage is
 * told and passed over, and everything in a data directory is known.
 */
#include "tests/unit/broker/helper.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "broker/dump.h"

#define SEGMENTS "tests/data/segments"

struct output {
    struct buf text;
    struct dump_report report;
    int lines, objects; /* of JSON */
};

static int take_line(void *arg, const char *text, size_t n, struct err *e)
{
    struct output *o = arg;
    o->lines++;
    assert_null(memchr(text, '\n', n));
    int rc = buf_append(&o->text, text, n, e);
    return rc ? rc : buf_append(&o->text, "\n", 1, e);
}

static int take_json(void *arg, const char *text, size_t n, struct err *e)
{
    struct output *o = arg;
    json_error_t je;
    json_t *j = json_loadb(text, n, JSON_ALLOW_NUL, &je);
    if (!j)
        fail_msg("%s: %.*s", je.text, (int)n, text);
    assert_non_null(json_string_value(json_object_get(j, "type")));
    json_decref(j);
    o->objects++;
    return take_line(arg, text, n, e);
}

static struct dump_options options(struct output *o, bool json)
{
    memset(o, 0, sizeof *o);
    buf_init(&o->text, 64 << 20);
    return (struct dump_options){
        .json = json, .records = true, .to = INT64_MAX, .line = json ? take_json : take_line, .arg = o};
}

static const char *text_of_output(struct output *o)
{
    struct err e;
    assert_ok(buf_u8(&o->text, 0, &e), &e);
    return (const char *)o->text.data;
}

/* ---- as Kafka shows it ---- */

/* Cuts what we show and Kafka's plain dump does not: values, and what the decoders say. */
static void cut_extras(char *line)
{
    static const char *const names[] = {" headerValues: ", " key: ", " group: ", " transactionalId: "};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *at = line[0] == '|' ? strstr(line, names[i]) : NULL;
        if (at)
            *at = '\0';
    }
}

static char *next_line(char **at)
{
    char *line = *at, *end = strchr(line, '\n');
    if (!*line)
        return NULL;
    *at = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    return line;
}

static void compare(const char *name, char *ours, char *theirs)
{
    char *a, *b;
    do {
        do
            b = next_line(&theirs);
        while (b && strncmp(b, "Dumping", 7) == 0);
        do
            a = next_line(&ours);
        while (a && strncmp(a, "Dumping", 7) == 0);
        if (a)
            cut_extras(a);
        if (!a != !b || (a && strcmp(a, b) != 0))
            fail_msg("%s:\n  %s\nKafka:\n  %s", name, a ? a : "(end)", b ? b : "(end)");
    } while (a);
}

static int compare_case(const char *name)
{
    struct err e;
    struct output o;
    char path[512], *theirs;
    size_t n;
    json_error_t je;
    snprintf(path, sizeof path, SEGMENTS "/%s/dump.txt", name);
    if (io_read_file(path, 16 << 20, &theirs, &n, &e))
        return 0;
    snprintf(path, sizeof path, SEGMENTS "/%s/expected.json", name);
    json_t *expected = json_load_file(path, JSON_ALLOW_NUL, &je);
    snprintf(path, sizeof path, SEGMENTS "/%s/%s-%d", name,
             json_string_value(json_object_get(expected, "topic")),
             (int)json_integer_value(json_object_get(expected, "partition")));
    struct dump_options d = options(&o, false);
    assert_ok(dump_partition(&d, path, &o.report, &e), &e);
    assert_int_equal(o.report.problems, 0);
    (void)text_of_output(&o);
    compare(name, (char *)o.text.data, theirs);
    buf_free(&o.text);
    d = options(&o, true);
    assert_ok(dump_path(&d, path, &o.report, &e), &e); /* with indexes and all */
    assert_true(o.objects > 3 && o.report.problems == 0);
    buf_free(&o.text);
    json_decref(expected);
    mem_free(theirs);
    return 1;
}

static void recorded_segments_are_shown_as_kafka_does(void **state)
{
    (void)state;
    int cases = 0;
    DIR *d = opendir(SEGMENTS);
    assert_non_null(d);
    for (const struct dirent *en; (en = readdir(d));)
        cases += en->d_name[0] != '.' && compare_case(en->d_name);
    closedir(d);
    assert_true(cases >= 20);
}

static void expect_in(const char *text, const char *want)
{
    if (!strstr(text, want))
        fail_msg("'%s' is not in:\n%s", want, text);
}

static void other_files_of_kafka(void **state)
{
    struct err e;
    struct output o;
    (void)state;
    struct dump_options d = options(&o, false);
    assert_ok(dump_path(&d, SEGMENTS "/log-dir-files", &o.report, &e), &e);
    const char *text = text_of_output(&o);
    expect_in(text, "metadataType: FEATURE_LEVEL_RECORD");
    expect_in(text, "cluster.id: ");
    expect_in(text, "topic: txn partition: 0 offset: ");
    buf_free(&o.text);
    d = options(&o, false);
    assert_ok(dump_path(&d, SEGMENTS "/txn/txn-0", &o.report, &e), &e);
    text = text_of_output(&o);
    expect_in(text, "version: 0 producerId: 2 firstOffset: 3 lastOffset: 5 lastStableOffset: 6\n");
    expect_in(text,
              "producerId: 2 producerEpoch: 0 coordinatorEpoch: 0 currentTxnFirstOffset: OptionalLong.empty");
    expect_in(text, "endTxnMarker: ABORT coordinatorEpoch: 0");
    buf_free(&o.text);
}

/* ---- ours ---- */

static void fill(struct fixture *f)
{
    struct group_offset offset = {.topic = "t", .partition = 0, .offset = 5, .metadata = "note"};
    int64_t id;
    int16_t epoch;
    struct txn_partition p = {"t", 0};
    create(f, "t", 1);
    for (int i = 0; i < 4; i++)
        produce(f, "t", 0, "value\t", i, 2);
    assert_ok(broker_init_producer(f->b, "pump", 60000, &id, &epoch, &f->e), &f->e);
    assert_ok(broker_txn_add_partitions(f->b, "pump", id, epoch, &p, 1, &f->e), &f->e);
    struct produce_request r =
        make_request(f, "t", 0, "txn", 0, 2, (struct batch_producer){id, epoch, 0, true});
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    assert_ok(broker_txn_end(f->b, "pump", id, epoch, false, &f->e), &f->e);
    assert_ok(broker_commit_offsets(f->b, "readers", &offset, 1, &f->e), &f->e);
}

static void everything_in_a_directory_is_shown(void **state)
{
    struct fixture *f = *state;
    struct output o;
    fill(f);
    for (int open = 1; open >= 0; open--) { /* beside the hub that has it open, and without */
        struct dump_options d = options(&o, false);
        assert_ok(dump_path(&d, f->dir, &o.report, &f->e), &f->e);
        const char *text = text_of_output(&o);
        assert_int_equal(o.report.problems, 0);
        expect_in(text, "metadataType: TOPIC_RECORD name: t topicId: ");
        expect_in(text, "metadataType: PARTITION_RECORD partitionId: 0 topicId: ");
        expect_in(text, "group: readers topic: t partition: 0 committedOffset: 5 leaderEpoch: ");
        expect_in(text, "transactionalId: pump producerId: ");
        expect_in(text, "state: Ongoing partitions: [t-0]");
        expect_in(text, "key: null payload: value\\x090\n");
        expect_in(text, "endTxnMarker: ABORT");
        expect_in(text, "Dumping ");
        expect_in(text, "lastOffset: 10 lastStableOffset: 11"); /* of the transaction index */
        expect_in(text, "number: ");
        expect_in(text, "| topicId: ");
        buf_free(&o.text);
        d = options(&o, true);
        assert_ok(dump_path(&d, f->dir, &o.report, &f->e), &f->e);
        assert_true(o.objects > 30 && o.objects == o.lines);
        buf_free(&o.text);
        if (open)
            fixture_close(f);
    }
}

static void damage_is_told_and_passed_over(void **state)
{
    struct fixture *f = *state;
    struct output o;
    char dir[512], path[600], want[700];
    fill(f);
    fixture_close(f);
    snprintf(dir, sizeof dir, "%s/logs/t-0", f->dir);
    snprintf(path, sizeof path, "%s/00000000000000000000.log", dir);
    FILE *file = fopen(path, "r+");
    assert_int_equal(fseek(file, 80, SEEK_SET), 0); /* in the first batch */
    assert_int_equal(fputc('!', file), '!');
    assert_int_equal(fclose(file), 0);
    struct dump_options d = options(&o, false);
    assert_ok(dump_partition(&d, dir, &o.report, &f->e), &f->e);
    const char *text = text_of_output(&o);
    assert_int_equal(o.report.problems, 1);
    snprintf(want, sizeof want, "! path: %s byte: 0 problem: batch at byte 0", path);
    expect_in(text, want);
    expect_in(text, "isvalid: false");
    expect_in(text, "offset 2\n");
    expect_in(text, "| offset: 2 CreateTime");
    assert_null(strstr(text, "| offset: 1 CreateTime"));
    buf_free(&o.text);
    d = options(&o, true);
    d.verify = true;
    assert_ok(dump_path(&d, f->dir, &o.report, &f->e), &f->e);
    assert_int_equal(o.lines, 1);
    text = text_of_output(&o);
    expect_in(text, "\"type\":\"problem\"");
    expect_in(text, "\"problem\":\"damaged-batch: batch at byte 0");
    buf_free(&o.text);
}

/* An entry of the index of aborted transactions that is plausible, and wrong by the batches. */
static void verifying_compares_the_files(void **state)
{
    struct fixture *f = *state;
    struct output o;
    char dir[512], path[600];
    fill(f);
    snprintf(dir, sizeof dir, "%s/logs/t-0", f->dir);
    for (int open = 1; open >= 0; open--) {
        struct dump_options d = options(&o, false);
        d.verify = true;
        assert_ok(dump_partition(&d, dir, &o.report, &f->e), &f->e);
        assert_int_equal(o.report.problems, 0);
        assert_true(o.report.batches >= 6 && o.report.records >= 11);
        buf_free(&o.text);
        if (open)
            fixture_close(f);
    }
    snprintf(path, sizeof path, "%s/00000000000000000000.txnindex", dir);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 9, SEEK_SET), 0); /* the producer */
    assert_int_equal(fputc(77, file), 77);
    assert_int_equal(fclose(file), 0);
    struct dump_options d = options(&o, false);
    d.verify = true;
    assert_ok(dump_path(&d, dir, &o.report, &f->e), &f->e);
    assert_int_equal(o.report.problems, 2); /* it is missing, and another is there */
    expect_in(text_of_output(&o), "problem: bad-txn-index: ");
    buf_free(&o.text);
}

/* A slash at the end, as shells put it there, changes nothing. */
static void a_slash_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct output o;
    char path[600];
    int lines[2];
    fill(f);
    fixture_close(f);
    for (int slash = 0; slash < 2; slash++) {
        struct dump_options d = options(&o, false);
        snprintf(path, sizeof path, "%s/journal%s", f->dir, slash ? "//" : "");
        assert_ok(dump_path(&d, path, &o.report, &f->e), &f->e);
        lines[slash] = o.lines;
        buf_free(&o.text);
    }
    assert_true(lines[0] > 0);
    assert_int_equal(lines[1], lines[0]);
    snprintf(path, sizeof path, "%s/logs/t-0/00000000000000000000.log", f->dir);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 5), 0); /* of a log that was stopped cleanly */
    snprintf(path, sizeof path, "%s/logs/t-0/", f->dir);
    struct dump_options d = options(&o, false);
    d.verify = true;
    assert_ok(dump_path(&d, path, &o.report, &f->e), &f->e);
    assert_true(o.report.problems > 0);
    expect_in(text_of_output(&o), "torn-tail");
    buf_free(&o.text);
}

static void offsets_and_names(void **state)
{
    struct fixture *f = *state;
    struct output o;
    char dir[512];
    fill(f);
    snprintf(dir, sizeof dir, "%s/logs/t-0", f->dir);
    struct dump_options d = options(&o, false);
    d.from = 3;
    d.to = 5;
    assert_ok(dump_partition(&d, dir, &o.report, &f->e), &f->e);
    const char *text = text_of_output(&o);
    assert_int_equal(o.report.batches, 2); /* 2 to 3, 4 to 5 */
    assert_int_equal(o.report.records, 2);
    expect_in(text, "| offset: 4 ");
    assert_null(strstr(text, "| offset: 2 "));
    buf_free(&o.text);
    d = options(&o, false);
    assert_code(dump_path(&d, "tests/unit/broker/test_dump.c", &o.report, &f->e), ERR_INVALID, &f->e);
    assert_code(dump_path(&d, "/nonexistent", &o.report, &f->e), ERR_NOT_FOUND, &f->e);
    buf_free(&o.text);
}

static void once(void *arg)
{
    struct output o;
    struct err e;
    struct dump_options d = options(&o, false);
    int rc = dump_path(&d, arg, &o.report, &e);
    if (rc != ERR_OK && rc != ERR_NO_MEMORY)
        assert_ok(rc, &e);
    fault_disarm();
    buf_free(&o.text);
}

static void without_memory_it_ends(void **state)
{
    struct fixture *f = *state;
    fill(f);
    fixture_close(f);
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, once, f->dir) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_segments_are_shown_as_kafka_does),
        cmocka_unit_test(other_files_of_kafka),
        cmocka_unit_test_setup_teardown(everything_in_a_directory_is_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_told_and_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(verifying_compares_the_files, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slash_at_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(offsets_and_names, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_it_ends, setup, teardown),
    };
    return cmocka_run_group_tests_name("dump", tests, NULL, NULL);
}
