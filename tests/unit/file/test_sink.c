/*
 * The file sink through its plugin interface: names, formats, rolling, stop and restart, one growing file, options.
 */
#include <errno.h>
#include <unistd.h>

#include "tests/unit/file/sink_rig.h"

static void test_files_are_named_and_rolled_by_count(void **state)
{
    struct rig *r = *state;
    configure(r, (struct fake_pair[]){{"flush.size", "2"}, {NULL, NULL}});
    assert_int_equal(open_at(r, -1), LEAT_OK);
    put(r, 0, 5, "{ \"a\" : 1 }");
    assert_int_equal(flush(r, false), -1);
    assert_files(r->dir, "");
    put(r, 0, 6, "[1,\n 2]");
    put(r, 0, 9, "\"x\"");
    assert_int_equal(flush(r, false), 7);
    assert_files(r->dir, "t/partition=0/t+0+0000000005.json: {\"a\":1}\n[1,2]\n");
    put(r, 1, 0, "true");
    assert_int_equal(flush(r, true), 10);
    close_sink(r);
    assert_files(r->dir, "t/partition=0/t+0+0000000005.json: {\"a\":1}\n[1,2]\n"
                         "t/partition=0/t+0+0000000009.json: \"x\"\n"
                         "t/partition=1/t+1+0000000000.json: true\n");
}

static void test_unfinished_files_vanish_without_a_clean_stop(void **state)
{
    struct rig *r = *state;
    configure(r, NULL);
    assert_int_equal(open_at(r, -1), LEAT_OK);
    put(r, 0, 0, "1");
    close_sink(r);
    assert_files(r->dir, "");
    configure(r, (struct fake_pair[]){{"flush.on.stop", "false"}, {NULL, NULL}});
    assert_int_equal(open_at(r, -1), LEAT_OK);
    put(r, 0, 0, "1");
    assert_int_equal(flush(r, true), -1);
    close_sink(r);
    assert_files(r->dir, "");
}

static void test_names_from_a_template(void **state)
{
    struct rig *r = *state;
    configure(r, (struct fake_pair[]){
                     {"path", "${yyyy}/${HH}${mm}/${topic}-${partition:3}-${start_offset}${extension}"},
                     {"timestamp.extractor", "Record"},
                     {"timezone", "Europe/Berlin"},
                     {"format", "raw"},
                     {"format.bytearray.extension", ".log"},
                     {NULL, NULL}});
    r->task.value = LEAT_CONVERTER_STRING;
    assert_int_equal(open_at(r, 0), LEAT_OK);
    put(r, 0, 1, "line");
    assert_int_equal(flush(r, true), 2);
    close_sink(r);
    assert_files(r->dir, "2025/2000/t-000-1.log: line\n");
}

static void test_directories_by_field(void **state)
{
    struct rig *r = *state;
    configure(r, (struct fake_pair[]){
                     {"partitioner.class", "io.confluent.connect.storage.partitioner.FieldPartitioner"},
                     {"partition.field.name", "c,n.x"},
                     {"flush.size", "4"},
                     {NULL, NULL}});
    assert_int_equal(open_at(r, 0), LEAT_OK);
    put(r, 0, 0, "{\"c\":\"de\",\"n\":{\"x\":1}}");
    put(r, 0, 1, "{\"c\":\"../fr\",\"n\":{\"x\":1}}");
    put(r, 0, 2, "{\"c\":\"de\",\"n\":{\"x\":true}}");
    assert_int_equal(flush(r, false), -1);
    put(r, 0, 3, "{\"c\":\"de\",\"n\":{\"x\":1},\"z\":null}");
    assert_int_equal(flush(r, false), 4);
    close_sink(r);
    assert_files(r->dir, "t/c=..%2Ffr/n.x=1/t+0+0000000001.json: {\"c\":\"../fr\",\"n\":{\"x\":1}}\n"
                         "t/c=de/n.x=1/t+0+0000000000.json: {\"c\":\"de\",\"n\":{\"x\":1}}\n"
                         "{\"c\":\"de\",\"n\":{\"x\":1},\"z\":null}\n"
                         "t/c=de/n.x=true/t+0+0000000002.json: {\"c\":\"de\",\"n\":{\"x\":true}}\n");
}

static void test_open_files_of_the_task_are_limited(void **state)
{
    struct rig *r = *state;
    configure(r, (struct fake_pair[]){{"partitioner.class", "field"},
                                      {"partition.field.name", "c"},
                                      {"open.files.max", "2"},
                                      {NULL, NULL}});
    assert_int_equal(open_at(r, 0), LEAT_OK);
    put(r, 0, 0, "{\"c\":1}");
    put(r, 0, 1, "{\"c\":2}");
    assert_files(r->dir, "");
    put(r, 1, 0, "{\"c\":3}"); /* partition 0 has most files and gives way */
    assert_int_equal(flush(r, false), 2);
    assert_files(r->dir, "t/c=1/t+0+0000000000.json: {\"c\":1}\nt/c=2/t+0+0000000001.json: {\"c\":2}\n");
    close_sink(r);
}

static void test_bad_json_fails_for_good_and_names_the_record(void **state)
{
    struct rig *r = *state;
    configure(r, NULL);
    assert_int_equal(open_at(r, 0), LEAT_OK);
    struct leat_record record = fake_record(0, 7, "{\"a\":}");
    assert_int_equal(file_sink_connector.sink->put(r->self, &record, 1), LEAT_FAIL);
    assert_string_equal(r->task.failure, "t-0@7: not valid JSON: value expected at byte 5");
    close_sink(r);
}

static void test_what_cannot_be_named_is_found_before_it_is_promised(void **state)
{
    struct rig *r = *state;
    configure(
        r, (struct fake_pair[]){{"partitioner.class", "field"}, {"partition.field.name", "c"}, {NULL, NULL}});
    assert_int_equal(open_at(r, 0), LEAT_OK);
    char value[400];
    snprintf(value, sizeof(value), "{\"c\":\"%0300d\"}", 7);
    struct leat_record record = fake_record(0, 4, value);
    assert_int_equal(file_sink_connector.sink->put(r->self, &record, 1), LEAT_FAIL);
    assert_non_null(strstr(r->task.failure, "t-0@4: a name of 302 bytes, 255 are possible: c=000"));
    close_sink(r);
    /* A file stands where a directory must be: the round is not committed, and goes through once it is gone. */
    char path[512];
    snprintf(path, sizeof(path), "%s/t", r->dir);
    fclose(fopen(path, "w"));
    assert_int_equal(open_at(r, 0), LEAT_OK);
    put(r, 0, 4, "{\"c\":1}");
    struct leat_offset assigned[] = {{"t", 0, 0}, {"t", 1, -1}};
    int64_t next_ms;
    assert_int_equal(file_sink_connector.sink->flush(r->self, true, assigned, 2, &next_ms), LEAT_FAIL);
    assert_int_equal(assigned[0].offset, 0);
    close_sink(r);
    unlink(path);
    assert_int_equal(open_at(r, 0), LEAT_OK);
    put(r, 0, 4, "{\"c\":1}");
    assert_int_equal(flush(r, true), 5);
    close_sink(r);
    assert_files(r->dir, "t/c=1/t+0+0000000004.json: {\"c\":1}\n");
}

static void test_a_full_disk_is_tried_again(void **state)
{
    struct rig *r = *state;
    configure(r, (struct fake_pair[]){{"flush.size", "1"}, {NULL, NULL}});
    assert_int_equal(open_at(r, 0), LEAT_OK);
    fault_arm(FAULT_WRITE, 1, ENOSPC, false);
    struct leat_record record = fake_record(0, 0, "1");
    assert_int_equal(file_sink_connector.sink->put(r->self, &record, 1), LEAT_RETRY);
    assert_non_null(strstr(r->task.failure, "No space left"));
    fault_disarm();
    close_sink(r);
    assert_int_equal(open_at(r, 0), LEAT_OK);
    put(r, 0, 0, "1");
    close_sink(r);
    assert_files(r->dir, "t/partition=0/t+0+0000000000.json: 1\n");
}

/* Puts `n` records from `from` on. */
static void put_run(struct rig *r, int64_t from, int n)
{
    for (int i = 0; i < n; i++)
        put(r, 0, from + i, "1");
}

static void test_an_offset_that_an_operator_sets_back_is_believed(void **state)
{
    struct rig *r = *state;
    configure(r, (struct fake_pair[]){{"flush.size", "2"}, {NULL, NULL}});
    assert_int_equal(open_at(r, -1), LEAT_OK);
    put_run(r, 0, 5);
    assert_int_equal(flush(r, true), 5);
    r->task.committed[0] = 5 + 1;
    close_sink(r);
    r->task.committed[0] = 0 + 1;
    assert_int_equal(open_at(r, 0), LEAT_OK); /* set back after a clean stop */
    put_run(r, 0, 5);
    assert_int_equal(flush(r, true), 5);
    close_sink(r); /* this time the commit did not happen: still at 0 */
    assert_int_equal(open_at(r, 0), LEAT_OK);
    assert_non_null(strstr(r->task.logged, "t-0: records from 0 to 4 are in files already"));
    assert_int_equal(flush(r, false), 5);
    close_sink(r);
}

static void test_an_offset_below_the_last_round_is_an_operators(void **state)
{
    struct rig *r = *state;
    configure(r, (struct fake_pair[]){{"flush.size", "2"}, {"flush.on.stop", "false"}, {NULL, NULL}});
    r->task.committed[0] = 10 + 1;
    assert_int_equal(open_at(r, 10), LEAT_OK);
    put_run(r, 10, 3);
    close_sink(r); /* killed: 10 to 11 are in a file, offset 10 is committed */
    assert_int_equal(open_at(r, 9), LEAT_OK);
    put_run(r, 9, 4);
    assert_int_equal(flush(r, false), 13);
    close_sink(r);
    assert_files(r->dir, "t/partition=0/t+0+0000000009.json: 1\n1\n"
                         "t/partition=0/t+0+0000000010.json: 1\n1\n" /* of the time before */
                         "t/partition=0/t+0+0000000011.json: 1\n1\n");
}

/* ---- one growing file ------------------------------------------------------------------------------------------ */

static void configure_growing(struct rig *r, char *path, size_t size)
{
    snprintf(path, size, "%s/out.log", r->dir);
    configure(r, (struct fake_pair[]){{"file", path}, {"sync.interval.ms", "0"}, {NULL, NULL}});
    r->task.value = LEAT_CONVERTER_STRING;
}

static void test_a_growing_file_goes_on_where_it_was(void **state)
{
    struct rig *r = *state;
    char path[512];
    configure_growing(r, path, sizeof(path));
    assert_int_equal(open_at(r, 0), LEAT_OK);
    put(r, 0, 0, "one");
    put(r, 1, 0, "two");
    assert_int_equal(flush(r, false), 1);
    assert_files(r->dir, "out.log: one\ntwo\n");
    put(r, 0, 1, "three");
    assert_int_equal(flush(r, true), 2);
    close_sink(r);
    assert_int_equal(open_at(r, 2), LEAT_OK);
    put(r, 0, 2, "four");
    assert_int_equal(flush(r, true), 3);
    close_sink(r);
    assert_files(r->dir, "out.log: one\ntwo\nthree\nfour\n");
}

static void test_a_growing_file_is_cut_to_what_was_committed(void **state)
{
    struct rig *r = *state;
    char path[512];
    configure_growing(r, path, sizeof(path));
    assert_int_equal(open_at(r, 0), LEAT_OK);
    put(r, 0, 0, "one");
    assert_int_equal(flush(r, false), 1);
    close_sink(r);
    FILE *f = fopen(path, "a");
    fputs("torn", f);
    fclose(f);
    /* The hub did not come to commit offset 1 either. */
    assert_int_equal(open_at(r, 0), LEAT_OK);
    assert_files(r->dir, "out.log: one\n");
    put(r, 0, 0, "one");
    put(r, 0, 1, "two");
    assert_int_equal(flush(r, false), 2);
    close_sink(r);
    assert_files(r->dir, "out.log: one\ntwo\n");
}

static void test_a_growing_file_keeps_what_was_there(void **state)
{
    struct rig *r = *state;
    char path[512];
    configure_growing(r, path, sizeof(path));
    FILE *f = fopen(path, "w");
    fputs("before\n", f);
    fclose(f);
    assert_int_equal(open_at(r, -1), LEAT_OK);
    put(r, 0, 0, "one");
    assert_int_equal(flush(r, true), 1);
    close_sink(r);
    assert_files(r->dir, "out.log: before\none\n");
    /* Rotated away by somebody: the new file begins empty, nothing is cut. */
    unlink(path);
    f = fopen(path, "w");
    fputs("a new file that is longer than the old one was\n", f);
    fclose(f);
    assert_int_equal(open_at(r, 1), LEAT_OK);
    put(r, 0, 1, "two");
    assert_int_equal(flush(r, true), 2);
    close_sink(r);
    assert_files(r->dir, "out.log: a new file that is longer than the old one was\ntwo\n");
}

static void test_a_growing_file_has_one_task(void **state)
{
    struct rig *r = *state;
    char path[512];
    configure_growing(r, path, sizeof(path));
    r->task.task_count = 2;
    assert_int_equal(open_at(r, 0), LEAT_FAIL);
    assert_string_equal(r->task.failure, "file: one growing file needs tasks.max 1");
}

/* ---- options --------------------------------------------------------------------------------------------------- */

static void refuse(struct rig *r, const struct fake_pair *pairs, const char *text)
{
    configure(r, pairs);
    assert_int_equal(file_sink_connector.validate(&r->task, &fake_host, &r->config), LEAT_FAIL);
    assert_string_equal(r->task.failure, text);
}

static void test_wrong_options_are_named(void **state)
{
    struct rig *r = *state;
    configure(r, NULL);
    assert_int_equal(file_sink_connector.validate(&r->task, &fake_host, &r->config), LEAT_OK);
    assert_int_equal(file_sink_connector.check(&r->task, &fake_host, &r->config), LEAT_OK);
    refuse(r, (struct fake_pair[]){{"format", "xml"}, {NULL, NULL}},
           "format: 'xml' is no format; there are json, raw and csv");
    refuse(r, (struct fake_pair[]){{"path", "${topic}/${partition}"}, {NULL, NULL}},
           "path: ${topic}, ${partition} and ${start_offset} must be in it, or files would share names");
    refuse(r, (struct fake_pair[]){{"path", "../${topic}"}, {NULL, NULL}},
           "path: \"../${topic}\" names no file below the directory");
    refuse(r, (struct fake_pair[]){{"path", "${topc}"}, {NULL, NULL}}, "path: a name has no variable 'topc'");
    refuse(r, (struct fake_pair[]){{"partitioner.class", "odd"}, {NULL, NULL}},
           "partitioner.class: 'odd' is unknown; there are default, field, time, daily and hourly");
    refuse(r, (struct fake_pair[]){{"partitioner.class", "field"}, {NULL, NULL}},
           "partition.field.name: the field partitioner needs it");
    refuse(r, (struct fake_pair[]){{"rotate.interval.ms", "5s"}, {NULL, NULL}},
           "rotate.interval.ms: needs a time-based partitioner");
    refuse(r, (struct fake_pair[]){{"timezone", "Europe/Nowhere"}, {NULL, NULL}},
           "timezone: unknown time zone 'Europe/Nowhere': there is no /usr/share/zoneinfo/Europe/Nowhere "
           "(package tzdata)");
    refuse(r, (struct fake_pair[]){{"compression.type", "gzip"}, {"compression.level", "12"}, {NULL, NULL}},
           "compression.level: gzip has the levels 0 to 9");
    refuse(r, (struct fake_pair[]){{"file", "/tmp/x"}, {"compression.type", "gzip"}, {NULL, NULL}},
           "compression.type: a single growing file is not compressed");
    refuse(r, (struct fake_pair[]){{"format", "csv"}, {"csv.columns", "value,valu"}, {NULL, NULL}},
           "csv.columns: 'valu' is none of key, value, topic, partition, offset, timestamp, value.FIELD");
    configure(r, (struct fake_pair[]){{"file", "/tmp/x"}, {"directory", "/tmp"}, {NULL, NULL}});
    assert_int_equal(file_sink_connector.validate(&r->task, &fake_host, &r->config), LEAT_FAIL);
    assert_string_equal(r->task.failure, "either directory or file must be given, not both");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_files_are_named_and_rolled_by_count),
        T(test_unfinished_files_vanish_without_a_clean_stop),
        T(test_names_from_a_template),
        T(test_directories_by_field),
        T(test_open_files_of_the_task_are_limited),
        T(test_bad_json_fails_for_good_and_names_the_record),
        T(test_what_cannot_be_named_is_found_before_it_is_promised),
        T(test_a_full_disk_is_tried_again),
        T(test_an_offset_that_an_operator_sets_back_is_believed),
        T(test_an_offset_below_the_last_round_is_an_operators),
        T(test_a_growing_file_goes_on_where_it_was),
        T(test_a_growing_file_is_cut_to_what_was_committed),
        T(test_a_growing_file_keeps_what_was_there),
        T(test_a_growing_file_has_one_task),
        T(test_wrong_options_are_named),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
