/*
 * The file sink: topics that are made anew, and sinks that would write to the same names.
 */
#include <unistd.h>

#include "base/io.h"
#include "kit/filer.h"
#include "tests/unit/file/sink_rig.h"

static const char id_a[] = "AAAAAAAAAAAAAAAAAAAAAA", id_b[] = "BBBBBBBBBBBBBBBBBBBBBB";

static const char *mark_of(const char *id)
{
    static char mark[KIT_MARK_SIZE];
    kit_topic_mark(id, mark);
    return mark;
}

/* One record at `offset`, stored and committed. */
static void deliver(struct rig *r, const char *id, int64_t from, int64_t offset, const char *value)
{
    r->task.topic_id = id;
    r->task.committed[0] = from < 0 ? 0 : from + 1;
    if (open_at(r, from) != LEAT_OK)
        fail_msg("open: %s", r->task.failure);
    put(r, 0, offset, value);
    assert_int_equal(flush(r, true), offset + 1);
    r->task.committed[0] = offset + 2;
    close_sink(r);
}

static void test_a_topic_made_anew_overwrites_nothing(void **state)
{
    struct rig *r = *state;
    char expected[512];
    configure(r, NULL);
    deliver(r, id_a, -1, 0, "\"old\"");
    assert_string_equal(r->task.logged, "");
    deliver(r, id_b, -1, 0, "\"new\"");
    assert_non_null(strstr(r->task.logged, "made anew"));
    r->task.logged[0] = '\0';
    deliver(r, id_b, 1, 1, "\"newer\"");
    assert_string_equal(r->task.logged, "");
    snprintf(expected, sizeof(expected),
             "t/partition=0/t+0+0000000000%s.json: \"new\"\n"
             "t/partition=0/t+0+0000000000.json: \"old\"\n"
             "t/partition=0/t+0+0000000001%s.json: \"newer\"\n",
             mark_of(id_b), mark_of(id_b));
    assert_files(r->dir, expected);
}

static void test_names_without_an_extension_are_marked_too(void **state)
{
    struct rig *r = *state;
    char expected[512];
    configure(r, (struct fake_pair[]){{"path", "${topic}-${partition}-${start_offset}"}, {NULL, NULL}});
    deliver(r, id_a, -1, 0, "1");
    deliver(r, id_b, -1, 0, "2");
    snprintf(expected, sizeof(expected), "t-0-0: 1\nt-0-0%s: 2\n", mark_of(id_b));
    assert_files(r->dir, expected);
}

/* A round was made and its offset not committed: of the old topic. The new one's first records are no repetition. */
static void test_a_round_of_the_old_topic_skips_nothing_of_the_new(void **state)
{
    struct rig *r = *state;
    char expected[512];
    configure(r, (struct fake_pair[]){{"flush.size", "2"}, {NULL, NULL}});
    r->task.topic_id = id_a;
    assert_int_equal(open_at(r, -1), LEAT_OK);
    put(r, 0, 0, "1");
    put(r, 0, 1, "2");
    close_sink(r);
    r->task.topic_id = id_b;
    assert_int_equal(open_at(r, -1), LEAT_OK);
    put(r, 0, 0, "3");
    put(r, 0, 1, "4");
    assert_int_equal(flush(r, false), 2);
    close_sink(r);
    snprintf(expected, sizeof(expected),
             "t/partition=0/t+0+0000000000%s.json: 3\n4\nt/partition=0/t+0+0000000000.json: 1\n2\n",
             mark_of(id_b));
    assert_files(r->dir, expected);
}

static void test_a_growing_file_takes_all_of_a_new_topic(void **state)
{
    struct rig *r = *state;
    char path[512];
    snprintf(path, sizeof(path), "%s/all.log", r->dir);
    r->task.value = LEAT_CONVERTER_STRING;
    configure(r, (struct fake_pair[]){{"file", path}, {"sync.interval.ms", "0"}, {NULL, NULL}});
    r->task.topic_id = id_a;
    assert_int_equal(open_at(r, -1), LEAT_OK);
    put(r, 0, 0, "old");
    assert_int_equal(flush(r, false), 1); /* and dies before the hub has that */
    close_sink(r);
    assert_int_equal(open_at(r, -1), LEAT_OK);
    put(r, 0, 0, "old"); /* again: it is there */
    close_sink(r);
    r->task.topic_id = id_b;
    assert_int_equal(open_at(r, -1), LEAT_OK);
    put(r, 0, 0, "new");
    assert_int_equal(flush(r, true), 1);
    close_sink(r);
    assert_files(r->dir, "all.log: old\nnew\n");
}

/* Built for a hub that tells no ids; and state that such a one left is taken over. */
static void test_a_host_that_tells_no_ids(void **state)
{
    struct rig *r = *state;
    configure(r, NULL);
    deliver(r, NULL, -1, 0, "1");
    deliver(r, id_a, 1, 1, "2");
    deliver(r, NULL, 2, 2, "3");
    deliver(r, id_a, 3, 3, "4");
    assert_files(r->dir, "t/partition=0/t+0+0000000000.json: 1\nt/partition=0/t+0+0000000001.json: 2\n"
                         "t/partition=0/t+0+0000000002.json: 3\nt/partition=0/t+0+0000000003.json: 4\n");
    struct leat_host old = fake_host;
    old.struct_size = offsetof(struct leat_host, topic_id);
    assert_null(kit_topic_id(&old, &r->task, "t"));
    assert_string_equal(kit_topic_id(&fake_host, &r->task, "t"), id_a);
}

static void test_another_sink_of_the_same_names_is_refused(void **state)
{
    struct rig *r = *state;
    configure(r, NULL);
    deliver(r, id_a, -1, 0, "1");
    r->task.name = "other";
    assert_int_equal(open_at(r, -1), LEAT_FAIL);
    assert_non_null(strstr(r->task.failure, "sink web-out writes topic t to files of the same names"));
    assert_int_equal(open_at(r, -1), LEAT_FAIL); /* and has claimed nothing by that */
    assert_files(r->dir, "t/partition=0/t+0+0000000000.json: 1\n");
    configure(r, (struct fake_pair[]){{"path", "${connector}-${topic}-${partition}-${start_offset}"},
                                      {NULL, NULL}});
    deliver(r, id_a, -1, 0, "2");
    configure(r, (struct fake_pair[]){{"compression.type", "gzip"}, {NULL, NULL}}); /* .json.gz */
    deliver(r, id_a, -1, 0, "2");
    char claim[512];
    configure(r, NULL);
    snprintf(claim, sizeof(claim), "%s/.leat/web-out/t.topic", r->dir);
    assert_int_equal(unlink(claim), 0); /* as the message says */
    r->task.name = "third";
    deliver(r, id_a, -1, 5, "3");
}

static void test_a_directory_in_use_is_refused_for_now(void **state)
{
    struct rig *r = *state;
    configure(r, NULL);
    assert_int_equal(open_at(r, -1), LEAT_OK);
    void *first = r->self;
    assert_int_equal(open_at(r, -1), LEAT_RETRY);
    assert_non_null(strstr(r->task.failure, "is held by another task or hub"));
    r->task.task_index = 1; /* another task of the same sink is none of its business */
    r->task.task_count = 2;
    assert_int_equal(open_at(r, -1), LEAT_OK);
    close_sink(r);
    r->self = first;
    close_sink(r);
    r->task.task_index = 0;
    assert_int_equal(open_at(r, -1), LEAT_OK);
    close_sink(r);
}

static void test_a_growing_file_has_one_writer(void **state)
{
    struct rig *r = *state;
    char path[512];
    snprintf(path, sizeof(path), "%s/all.log", r->dir);
    configure(r, (struct fake_pair[]){{"file", path}, {NULL, NULL}});
    assert_int_equal(open_at(r, -1), LEAT_OK);
    void *first = r->self;
    r->task.name = "other";
    assert_int_equal(open_at(r, -1), LEAT_RETRY);
    assert_non_null(strstr(r->task.failure, "all.log is written by another sink"));
    r->self = first;
    close_sink(r);
}

/* What `leat validate` compares. */
static void assert_outlet(struct rig *r, const char *directory, const char *file, const char *path,
                          bool by_topic, const char *expected)
{
    char out[LEAT_OUTLET_SIZE] = "";
    bool got = false;
    struct fake_pair pairs[] = {
        {file ? "file" : "directory", file ? file : directory}, {path ? "path" : NULL, path}, {NULL, NULL}};
    fake_config_init(&r->config, &file_sink_connector);
    memcpy(r->config.pairs, pairs, sizeof(pairs));
    assert_int_equal(file_sink_connector.outlet(&r->task, &fake_host, &r->config, &got, out), LEAT_OK);
    assert_string_equal(out, expected);
    assert_int_equal(got, by_topic);
}

static void leave_file(const struct rig *r, const char *name, bool make)
{
    struct err e = {0};
    char *path;
    assert_true(asprintf(&path, "%s/.leat/web-out/%s", r->dir, name) > 0);
    if (make)
        assert_ok(io_replace_file(path, "x", 1, 0600, &e), &e);
    else
        assert_true(io_exists(path));
    free(path);
}

/* A task removes what an earlier one of its partitions left, and nothing of another task's, whose topic's name may begin alike. */
static void test_temporaries_of_another_task_stay(void **state)
{
    static const char *const others[] = {"t-1.eu-0.AbC.0.tmp", "t-1.eu-0.123.7.tmp", "t-10.AbC.0.tmp",
                                         "t-2.AbC.1.tmp"};
    struct rig *r = *state;
    char *own;
    r->task.task_count = 2;
    configure(r, NULL);
    assert_int_equal(open_at(r, -1), LEAT_OK);
    close_sink(r);
    leave_file(r, "t-1.AbC.12.tmp", true);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        leave_file(r, others[i], true);
    assert_int_equal(open_at(r, -1), LEAT_OK);
    close_sink(r);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        leave_file(r, others[i], false);
    assert_true(asprintf(&own, "%s/.leat/web-out/t-1.AbC.12.tmp", r->dir) > 0);
    assert_false(io_exists(own));
    free(own);
}

static void test_where_it_writes(void **state)
{
    struct rig *r = *state;
    const char *path = "${topic}/${partition}-${start_offset}${extension}";
    assert_outlet(r, "/out//a/./b/", NULL, path, true,
                  "/out/a/b/${topic}/${partition}-${start_offset}${extension} (.json)");
    assert_outlet(r, "out", NULL, "${connector}-${topic}-${partition}-${start_offset}", true, "");
    assert_outlet(r, NULL, "/var//log/x.log", NULL, false, "/var/log/x.log");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_topic_made_anew_overwrites_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_without_an_extension_are_marked_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_round_of_the_old_topic_skips_nothing_of_the_new, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_growing_file_takes_all_of_a_new_topic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_host_that_tells_no_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_sink_of_the_same_names_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_directory_in_use_is_refused_for_now, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_growing_file_has_one_writer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_temporaries_of_another_task_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_where_it_writes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
