/*
 * Topics: created, described, changed, deleted, and all of that after a restart; names and settings that are refused;
 * the lock of the directory.
 */
#include "tests/unit/broker/helper.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/io_watch.h"
#include "broker/store.h"

static int check_code(const char *name, const char *value)
{
    struct err e;
    return topic_config_check(name, value, &e);
}

static void test_config_table(void **state)
{
    size_t n;
    const struct topic_config_def *defs = topic_config_defs(&n);
    struct err e;
    (void)state;
    assert_true(n > 10);
    for (size_t i = 0; i < n; i++) {
        assert_ok(topic_config_check(defs[i].name, defs[i].default_value, &e), &e);
        assert_true(i == 0 || strcmp(defs[i - 1].name, defs[i].name) < 0);
    }
    assert_int_equal(check_code("retention.ms", "-1"), ERR_OK);
    assert_int_equal(check_code("retention.ms", "-2"), ERR_INVALID_CONFIG);
    assert_int_equal(check_code("retention.ms", "12x"), ERR_INVALID_CONFIG);
    assert_int_equal(check_code("retention.ms", ""), ERR_INVALID_CONFIG);
    assert_int_equal(check_code("retention.ms", "99999999999999999999"), ERR_INVALID_CONFIG);
    assert_int_equal(check_code("segment.bytes", "1048575"), ERR_INVALID_CONFIG);
    assert_int_equal(check_code("preallocate", "yes"), ERR_INVALID_CONFIG);
    assert_int_equal(check_code("durability", "page-cache"), ERR_OK);
    assert_int_equal(check_code("durability", "none"), ERR_INVALID_CONFIG);
    assert_int_equal(check_code("cleanup.policy", "compact"), ERR_OK);
    assert_int_equal(check_code("cleanup.policy", "compacted"), ERR_INVALID_CONFIG);
    assert_code(topic_config_check("retention.mss", "1", &e), ERR_INVALID_CONFIG, &e);
    assert_non_null(strstr(e.text, "\"retention.ms\""));
}

static void test_names(void **state)
{
    struct err e;
    char name[252];
    (void)state;
    assert_int_equal(topic_name_check("a.B_c-9", &e), ERR_OK);
    assert_int_equal(topic_name_check("", &e), ERR_INVALID_TOPIC);
    assert_int_equal(topic_name_check(".", &e), ERR_INVALID_TOPIC);
    assert_int_equal(topic_name_check("..", &e), ERR_INVALID_TOPIC);
    assert_int_equal(topic_name_check("a/b", &e), ERR_INVALID_TOPIC);
    assert_int_equal(topic_name_check("a b", &e), ERR_INVALID_TOPIC);
    memset(name, 'x', sizeof name);
    name[249] = '\0';
    assert_int_equal(topic_name_check(name, &e), ERR_OK);
    name[249] = 'x';
    name[250] = '\0';
    assert_int_equal(topic_name_check(name, &e), ERR_INVALID_TOPIC);
}

static void test_create_and_restart(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config[] = {{"retention.ms", "1000"}, {"segment.bytes", "2000000"}};
    struct uuid id;
    struct topic_info info;
    assert_ok(broker_create_topic(f->b, "t", 3, config, 2, &id, &f->e), &f->e);
    assert_code(broker_create_topic(f->b, "t", 3, NULL, 0, NULL, &f->e), ERR_TOPIC_EXISTS, &f->e);
    assert_code(broker_create_topic(f->b, "u.v", 0, NULL, 0, NULL, &f->e), ERR_INVALID_PARTITIONS, &f->e);
    create(f, "u.v", -1);
    assert_code(broker_create_topic(f->b, "u_v", 1, NULL, 0, NULL, &f->e), ERR_INVALID_TOPIC, &f->e);
    assert_code(broker_create_topic(f->b, "__consumer_offsets", 1, NULL, 0, NULL, &f->e), ERR_INVALID_TOPIC,
                &f->e);
    config[0].value = "x";
    assert_code(broker_create_topic(f->b, "w", 3, config, 2, &id, &f->e), ERR_INVALID_CONFIG, &f->e);
    for (int round = 0; round < 2; round++) {
        assert_ok(broker_topic(f->b, "t", &info, &f->e), &f->e);
        assert_string_equal(info.name, "t");
        assert_memory_equal(&info.id, &id, sizeof id);
        assert_int_equal(info.partition_count, 3);
        assert_int_equal(info.config_count, 2);
        assert_string_equal(info.config[0].name, "retention.ms");
        assert_string_equal(info.config[0].value, "1000");
        assert_int_equal(info.partitions[2].partition, 2);
        assert_int_equal(info.partitions[2].end_offset, 0);
        topic_info_free(&info);
        fixture_restart(f);
    }
    struct topic_info *list;
    size_t n;
    assert_ok(broker_topics(f->b, &list, &n, &f->e), &f->e);
    assert_int_equal(n, 2);
    assert_string_equal(list[0].name, "t");
    assert_string_equal(list[1].name, "u.v");
    assert_int_equal(list[1].partition_count, 1);
    topic_infos_free(list, n);
}

static void test_alter(void **state)
{
    struct fixture *f = *state;
    struct topic_info info;
    create(f, "t", 1);
    produce(f, "t", 0, "v", 0, 3);
    struct topic_config_entry set[] = {{"retention.ms", "5"}, {"durability", "page-cache"}};
    assert_ok(broker_alter_topic(f->b, "t", set, 2, &f->e), &f->e);
    produce(f, "t", 0, "v", 3, 3);
    struct topic_config_entry unset[] = {{"durability", NULL}};
    assert_ok(broker_alter_topic(f->b, "t", unset, 1, &f->e), &f->e);
    produce(f, "t", 0, "v", 6, 1);
    struct topic_config_entry wrong[] = {{"durabilty", NULL}};
    assert_code(broker_alter_topic(f->b, "t", wrong, 1, &f->e), ERR_INVALID_CONFIG, &f->e);
    assert_code(broker_alter_topic(f->b, "no", set, 2, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
    fixture_restart(f);
    assert_ok(broker_topic(f->b, "t", &info, &f->e), &f->e);
    assert_int_equal(info.config_count, 1);
    assert_string_equal(info.config[0].name, "retention.ms");
    topic_info_free(&info);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "v0,v1,v2,v3,v4,v5,v6");
}

static void test_max_message_bytes(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config = {"max.message.bytes", "200"};
    assert_ok(broker_create_topic(f->b, "small", 1, &config, 1, NULL, &f->e), &f->e);
    for (int built_here = 0; built_here < 2; built_here++) {
        struct produce_request r = make_request(f, "small", 0, "a-value-", 0, 30, BATCH_NO_PRODUCER);
        r.built_here = built_here;
        assert_code(broker_produce(f->b, &r, 1, false, &f->e), ERR_TOO_LARGE, &f->e);
        assert_int_equal(r.error.code, ERR_TOO_LARGE);
    }
    produce(f, "small", 0, "v", 0, 1);
    expect_all(f, "small", 0, READ_UNCOMMITTED, "v0");
}

static void test_add_partitions(void **state)
{
    struct fixture *f = *state;
    struct topic_info info;
    create(f, "t", 2);
    assert_code(broker_add_partitions(f->b, "t", 2, &f->e), ERR_INVALID_PARTITIONS, &f->e);
    assert_ok(broker_add_partitions(f->b, "t", 5, &f->e), &f->e);
    produce(f, "t", 4, "v", 0, 1);
    fixture_restart(f);
    assert_ok(broker_topic(f->b, "t", &info, &f->e), &f->e);
    assert_int_equal(info.partition_count, 5);
    assert_int_equal(info.partitions[4].end_offset, 1);
    topic_info_free(&info);
}

static bool dir_exists(struct fixture *f, const char *name)
{
    char path[512];
    struct stat st;
    snprintf(path, sizeof path, "%s/logs/%s", f->dir, name);
    return stat(path, &st) == 0;
}

static void test_delete(void **state)
{
    struct fixture *f = *state;
    struct group_offset o = {.topic = "t", .partition = 0, .offset = 1, .leader_epoch = -1};
    int64_t offset;
    create(f, "t", 1);
    produce(f, "t", 0, "old", 0, 3);
    assert_ok(broker_commit_offsets(f->b, "g", &o, 1, &f->e), &f->e);
    assert_true(dir_exists(f, "t-0"));
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    assert_false(dir_exists(f, "t-0"));
    assert_code(broker_delete_topic(f->b, "t", &f->e), ERR_UNKNOWN_TOPIC, &f->e);
    assert_ok(broker_fetch_offset(f->b, "g", "t", 0, &offset, &f->e), &f->e);
    assert_int_equal(offset, -1);
    create(f, "t", 1);
    produce(f, "t", 0, "new", 0, 1);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "new0");
    fixture_restart(f);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "new0");
    assert_code(broker_delete_topic(f->b, "__consumer_offsets", &f->e), ERR_INVALID_TOPIC, &f->e);
}

static int marked_for_removal(struct fixture *f)
{
    return logs_named(f->dir, "", "-delete");
}

/* Files go after file.delete.delay.ms, or when the next start finds them; meanwhile the name is free. */
static void test_deleted_files_wait(void **state)
{
    struct fixture *f = *state;
    static const struct topic_config_entry at_once = {"file.delete.delay.ms", "0"};
    fixture_close(f);
    struct broker_options o = {.data_dir = f->dir, .journal_file_bytes = 1 << 20, .no_threads = true};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    create(f, "t", 3);
    for (int32_t p = 0; p < 2; p++) /* the third has no directory */
        produce(f, "t", p, "old", 0, 1);
    int64_t before = clock_mono_ms();
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    assert_int_equal(marked_for_removal(f), 2);
    create(f, "t", 1);
    produce(f, "t", 0, "new", 0, 1);
    int64_t next = removals_round(f->b, before + 59999);
    assert_true(next >= before + 60000 && next <= clock_mono_ms() + 60000);
    assert_int_equal(marked_for_removal(f), 2);
    assert_true(removals_round(f->b, next) == INT64_MAX);
    assert_int_equal(marked_for_removal(f), 0);
    expect_all(f, "t", 0, READ_COMMITTED, "new0");
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    fixture_close(f);
    assert_int_equal(marked_for_removal(f), 1);
    fixture_open(f);
    assert_int_equal(marked_for_removal(f), 0);
    assert_ok(broker_create_topic(f->b, "t", 1, &at_once, 1, NULL, &f->e), &f->e);
    produce(f, "t", 0, "v", 0, 1);
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    assert_int_equal(marked_for_removal(f), 0);
}

/* Where room is short they do not wait: the topic is deleted to make some. */
static void test_deleted_files_make_room(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    struct broker_options o = {.data_dir = f->dir,
                               .journal_file_bytes = 1 << 20,
                               .space_warn_percent = 100,
                               .space_warn_bytes = INT64_MAX,
                               .no_threads = true};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    create(f, "t", 1);
    produce(f, "t", 0, "v", 0, 1);
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    assert_int_equal(marked_for_removal(f), 0);
}

/* Where the new names cannot be made durable nothing is removed: a part could come back under the old name. */
static void test_deletion_that_cannot_be_synced(void **state)
{
    struct fixture *f = *state;
    static const struct topic_config_entry at_once = {"file.delete.delay.ms", "0"};
    assert_ok(broker_create_topic(f->b, "t", 1, &at_once, 1, NULL, &f->e), &f->e);
    produce(f, "t", 0, "v", 0, 1);
    char *logs = mem_printf("%s/logs", f->dir);
    fault_arm_at(FAULT_SYNC, logs, 2, EIO, false); /* the first is that of the metadata log */
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    assert_true(fault_passes(FAULT_SYNC) >= 2);
    fault_disarm();
    assert_int_equal(marked_for_removal(f), 1);
    fixture_restart(f);
    assert_int_equal(marked_for_removal(f), 0);
    mem_free(logs);
}

/* Makes the topic; how many syncs below `logs` it took. */
static unsigned long creation_syncs(struct fixture *f, const char *logs)
{
    fault_arm_at(FAULT_SYNC, logs, 1000000, EIO, false);
    create(f, "t", 1);
    unsigned long n = fault_passes(FAULT_SYNC);
    fault_disarm();
    return n;
}

/* A directory that could not be renamed is not there any more, durably, when a topic of its name is made; else none is made. */
static void test_deletion_that_cannot_rename(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    produce(f, "t", 0, "old", 0, 1);
    char *dir = mem_printf("%s/logs/t-0", f->dir), *logs = mem_printf("%s/logs", f->dir);
    fault_arm_at(FAULT_META, dir, 1, EIO, true);
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    assert_true(io_exists(dir));
    assert_code(broker_create_topic(f->b, "t", 1, NULL, 0, NULL, &f->e), ERR_IO, &f->e);
    assert_non_null(strstr(f->e.text, "is in the way"));
    fault_disarm();
    unsigned long syncs = creation_syncs(f, logs);
    assert_false(io_exists(dir));
    produce(f, "t", 0, "new", 0, 1);
    expect_all(f, "t", 0, READ_COMMITTED, "new0");
    assert_int_equal(syncs, 2); /* the directory's, and the metadata log's */
    mem_free(logs);
    mem_free(dir);
}

/* In the order in which they came first: a directory renamed, the directory above synced, a file removed. */
struct order {
    const char *logs;
    int renamed, synced, removed, n;
    bool late; /* something else was done before that sync */
};

static void note_order(void *arg, struct io_event *ev)
{
    struct order *o = arg;
    char link[64], path[512];
    if (!ev->done)
        return;
    if (ev->op == IO_OP_RENAME && (strstr(ev->to, "-delete") || strstr(ev->to, "-stray")))
        o->renamed = ++o->n;
    else if (ev->op != IO_OP_OPEN && ev->op != IO_OP_SYNC)
        o->late = o->late || (o->renamed && !o->synced);
    if (ev->op == IO_OP_UNLINK && !o->removed && strstr(ev->path, "/t-0"))
        o->removed = ++o->n;
    if (ev->op != IO_OP_SYNC || !o->renamed || o->synced)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", ev->fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    if (strcmp(path, o->logs) == 0)
        o->synced = ++o->n;
    else
        o->late = true;
}

/* A start that finds it renames it, durably, before it removes the first file: it could come back as a new topic's. */
static void test_leftover_of_a_start(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    produce(f, "t", 0, "old", 0, 1);
    char *dir = mem_printf("%s/logs/t-0", f->dir), *logs = mem_printf("%s/logs", f->dir);
    struct order o = {.logs = logs};
    fault_arm_at(FAULT_META, dir, 1, EIO, true);
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    fault_disarm();
    fixture_close(f);
    assert_true(io_exists(dir));
    io_watch(note_order, &o);
    fixture_open(f);
    io_watch(NULL, NULL);
    assert_int_equal(o.renamed, 1);
    assert_int_equal(o.synced, 2);
    assert_int_equal(o.removed, 3);
    assert_int_equal(marked_for_removal(f), 0);
    mem_free(logs);
    mem_free(dir);
}

/* It is renamed, but not durably: then no topic is made, and nothing is removed before the next start. */
static void test_leftover_that_cannot_be_synced(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    produce(f, "t", 0, "old", 0, 1);
    char *dir = mem_printf("%s/logs/t-0", f->dir), *logs = mem_printf("%s/logs", f->dir);
    fault_arm_at(FAULT_META, dir, 1, EIO, true);
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    assert_code(broker_create_topic(f->b, "t", 1, NULL, 0, NULL, &f->e), ERR_IO, &f->e);
    fault_disarm();
    fault_arm_at(FAULT_SYNC, logs, 1, EIO, false);
    assert_code(broker_create_topic(f->b, "t", 1, NULL, 0, NULL, &f->e), ERR_IO, &f->e);
    fault_disarm();
    removals_round(f->b, INT64_MAX);
    assert_int_equal(marked_for_removal(f), 1);
    fixture_restart(f);
    assert_int_equal(marked_for_removal(f), 0);
    mem_free(logs);
    mem_free(dir);
}

/* Many go in several rounds, so that other upkeep is not late. */
static void test_many_deleted_at_once(void **state)
{
    struct fixture *f = *state;
    struct removal *list = NULL;
    fixture_close(f);
    struct broker_options o = {.data_dir = f->dir, .journal_file_bytes = 1 << 20, .no_threads = true};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    for (int i = 0; i < 100; i++) {
        char *path = mem_printf("%s/logs/t-%d.0-delete", f->dir, i);
        assert_int_equal(mkdir(path, 0700), 0);
        removal_push(&list, path);
    }
    removals_add(f->b, list, 1000);
    assert_true(removals_round(f->b, 1000) == 1000);
    int left = marked_for_removal(f);
    assert_in_range(left, 1, 99);
    assert_true(removals_round(f->b, 1000) == INT64_MAX);
    assert_int_equal(marked_for_removal(f), 0);
}

static void test_lazy_directories(void **state)
{
    struct fixture *f = *state;
    create(f, "wide", 50);
    assert_false(dir_exists(f, "wide-0"));
    produce(f, "wide", 7, "v", 0, 1);
    assert_true(dir_exists(f, "wide-7"));
    assert_false(dir_exists(f, "wide-8"));
    expect_all(f, "wide", 8, READ_COMMITTED, "");
    assert_false(dir_exists(f, "wide-8"));
}

static void test_second_process(void **state)
{
    struct fixture *f = *state;
    char pid[32];
    struct broker *other;
    struct broker_options o = {.data_dir = f->dir};
    assert_code(broker_open(&other, &o, &f->e), ERR_LOCKED, &f->e);
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_non_null(strstr(f->e.text, pid));
    pid_t child = fork();
    if (child == 0) {
        struct err e;
        int rc = broker_open(&other, &o, &e);
        _exit(rc == ERR_LOCKED && strstr(e.text, pid) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A directory that nobody knows; the next start sets it aside. */
static void leave_stranger(struct fixture *f, const char *name)
{
    char path[700];
    snprintf(path, sizeof path, "%s/logs/%s", f->dir, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void test_strangers(void **state)
{
    struct fixture *f = *state;
    char longest[TOPIC_NAME_MAX + 3] = {0}, shortened[202] = {0};
    memset(longest, 'x', TOPIC_NAME_MAX);
    memcpy(shortened, longest, 200);
    strcat(shortened, ".");
    strcat(longest, "-0");
    create(f, "t", 1);
    produce(f, "t", 0, "v", 0, 1);
    for (int i = 1; i <= 2; i++) { /* another one of the same name later is in no start's way */
        fixture_close(f);
        leave_stranger(f, "unknown-3");
        leave_stranger(f, "gone-1.abc-delete");
        leave_stranger(f, longest);
        fixture_open(f);
        assert_int_equal(logs_named(f->dir, "unknown-3.", "-stray"), i);
        assert_int_equal(logs_named(f->dir, shortened, "-stray"), i);
        assert_false(dir_exists(f, "unknown-3"));
        assert_false(dir_exists(f, "gone-1.abc-delete"));
        assert_false(dir_exists(f, longest));
    }
    expect_all(f, "t", 0, READ_COMMITTED, "v0");
}

/* Else it could come back under a name that is a new topic's by then. */
static void test_a_strangers_new_name_is_durable(void **state)
{
    struct fixture *f = *state;
    char *logs = mem_printf("%s/logs", f->dir);
    struct order o = {.logs = logs};
    fixture_close(f);
    leave_stranger(f, "u-0");
    io_watch(note_order, &o);
    fixture_open(f);
    io_watch(NULL, NULL);
    assert_int_equal(o.renamed, 1);
    assert_int_equal(o.synced, 2);
    assert_false(o.late);
    mem_free(logs);
}

static void test_delete_records(void **state)
{
    struct fixture *f = *state;
    int64_t low, offset, ts;
    struct log_range range;
    create(f, "t", 1);
    for (int i = 0; i < 10; i++)
        produce(f, "t", 0, "v", i, 1);
    assert_ok(broker_delete_records(f->b, "t", 0, 4, &low, &f->e), &f->e);
    assert_int_equal(low, 4);
    assert_code(broker_delete_records(f->b, "t", 0, 11, &low, &f->e), ERR_OFFSET_OUT_OF_RANGE, &f->e);
    assert_code(broker_locate(f->b, "t", 0, 3, 1000, READ_COMMITTED, &range, &f->e), ERR_OFFSET_OUT_OF_RANGE,
                &f->e);
    fixture_restart(f);
    assert_ok(broker_list_offset(f->b, "t", 0, -2, READ_COMMITTED, &offset, &ts, &f->e), &f->e);
    assert_int_equal(offset, 4);
    assert_ok(broker_delete_records(f->b, "t", 0, -1, &low, &f->e), &f->e);
    assert_int_equal(low, 10);
}

/* Many at once: the checkpoints are written once for all, what fails keeps none of the others, and what is answered holds. */
static void test_delete_records_of_many(void **state)
{
    struct fixture *f = *state;
    enum { PARTITIONS = 20 };
    struct record_deletion list[PARTITIONS + 3];
    int64_t offset, ts;
    create(f, "t", PARTITIONS + 1);
    for (int32_t p = 0; p < PARTITIONS; p++)
        for (int i = 0; i < 5; i++)
            produce(f, "t", p, "v", i, 1);
    for (int32_t p = 0; p < PARTITIONS; p++)
        list[p] = (struct record_deletion){.topic = "t", .partition = p, .before = p % 2 ? 3 : -1};
    list[3].before = 6;
    list[PARTITIONS] = (struct record_deletion){.topic = "no", .before = 1};
    list[PARTITIONS + 1] = (struct record_deletion){.topic = "__consumer_offsets", .before = 1};
    list[PARTITIONS + 2] = (struct record_deletion){.topic = "t", .partition = PARTITIONS, .before = -1};
    fault_arm_at(FAULT_META, "offset-checkpoint", UINT64_MAX, EIO, false);
    assert_ok(broker_delete_records_of(f->b, list, PARTITIONS + 3, &f->e), &f->e);
    assert_in_range(fault_passes(FAULT_META), 2,
                    8); /* a file made and renamed, once each of recovery points and starts */
    fault_disarm();
    assert_int_equal(list[3].error.code, ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(list[PARTITIONS].error.code, ERR_UNKNOWN_TOPIC);
    assert_int_equal(list[PARTITIONS + 1].error.code, ERR_INVALID_TOPIC);
    assert_int_equal(list[PARTITIONS + 2].error.code, ERR_OK); /* nothing was ever written there */
    assert_int_equal(list[PARTITIONS + 2].low, 0);
    for (int round = 0; round < 2; round++) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            assert_ok(broker_list_offset(f->b, "t", p, -2, READ_COMMITTED, &offset, &ts, &f->e), &f->e);
            assert_int_equal(offset, p == 3 ? 0 : p % 2 ? 3 : 5);
            if (p != 3)
                assert_int_equal(list[p].low, offset);
        }
        fixture_restart(f);
    }
}

/* A checkpoint that cannot be written is the error of all whose deletion it would have made durable. */
static void test_delete_records_without_checkpoints(void **state)
{
    struct fixture *f = *state;
    struct record_deletion list[2] = {{.topic = "t", .before = 1},
                                      {.topic = "t", .partition = 1, .before = 1}};
    create(f, "t", 2);
    for (int32_t p = 0; p < 2; p++)
        produce(f, "t", p, "v", 0, 1);
    fault_arm_at(FAULT_WRITE, "recovery-point-offset-checkpoint", 1, EIO, true);
    assert_ok(broker_delete_records_of(f->b, list, 2, &f->e), &f->e);
    fault_disarm();
    for (int32_t p = 0; p < 2; p++) {
        assert_int_equal(list[p].error.code, ERR_IO);
        expect_all(f, "t", p, READ_COMMITTED, "v0"); /* nothing is deleted */
    }
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int c = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 4, file), c ^ 4);
    assert_int_equal(fclose(file), 0);
}

/* Cutting at the damage would take the topics away that were made later. */
static void test_damaged_metadata_stops_the_start(void **state)
{
    struct fixture *f = *state;
    char path[512];
    struct stat st;
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        create(f, name, 1);
    }
    fixture_close(f);
    snprintf(path, sizeof path, "%s/logs/__cluster_metadata-0/00000000000000000000.log", f->dir);
    assert_int_equal(stat(path, &st), 0);
    flip(path, 80);
    assert_code(try_open(f), ERR_CORRUPT, &f->e);
    assert_non_null(strstr(f->e.text, path));
    assert_non_null(strstr(f->e.text, "byte 0"));
    struct stat now;
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(now.st_size, st.st_size); /* nothing was cut */
    flip(path, 80);
    flip(path, (long)st.st_size - 1); /* a torn tail: the last change was never answered */
    fixture_open(f);
    struct topic_info t;
    assert_ok(broker_topic(f->b, "t1", &t, &f->e), &f->e);
    topic_info_free(&t);
    assert_code(broker_topic(f->b, "t2", &t, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
}

static void test_segments(void **state)
{
    struct fixture *f = *state;
    struct segment_info *list;
    size_t n;
    create(f, "t", 2);
    assert_ok(broker_segments(f->b, "t", 0, &list, &n, &f->e), &f->e);
    assert_int_equal(n, 0);
    produce(f, "t", 0, "v", 0, 3);
    assert_ok(broker_segments(f->b, "t", 0, &list, &n, &f->e), &f->e);
    assert_int_equal(n, 1);
    assert_true(list[0].active && list[0].size > 0);
    mem_free(list);
    assert_code(broker_segments(f->b, "t", 2, &list, &n, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
}

/* Memory runs out at any point of a change: the change is refused, or was made, and the next ones are. */
static void test_short_of_memory(void **state)
{
    struct fixture *f = *state;
    char name[16];
    int refused = 0, kept = 0;
    bool done = false;
    for (int i = 1; !done; i++) {
        struct topic_info t;
        snprintf(name, sizeof name, "t%d", i);
        fault_arm(FAULT_ALLOC, (uint64_t)i, ENOMEM, false);
        int rc = broker_create_topic(f->b, name, 1, NULL, 0, NULL, &f->e);
        done = fault_passes(FAULT_ALLOC) < (uint64_t)i;
        fault_disarm();
        bool made = rc == ERR_OK;
        if (!made)
            assert_code(rc, ERR_NO_MEMORY, &f->e);
        refused += !made;
        create(f, "next", 1);
        assert_ok(broker_delete_topic(f->b, "next", &f->e), &f->e);
        rc = broker_topic(f->b, name, &t, &f->e);
        assert_int_equal(rc == ERR_OK, made);
        if (!rc)
            topic_info_free(&t);
        kept += !rc;
    }
    fixture_restart(f);
    struct broker_stats s;
    broker_stats(f->b, &s);
    assert_true(refused > 10);
    assert_int_equal(s.topics, kept); /* nothing that was refused is there */
}

/* The file of leader epochs is made anew where it is broken; the partition is in service. */
static void test_broken_epochs_are_no_failure(void **state)
{
    struct fixture *f = *state;
    struct topic_info t;
    char path[600];
    create(f, "t", 1);
    produce(f, "t", 0, "v", 0, 3);
    fixture_close(f);
    snprintf(path, sizeof path, "%s/logs/t-0/leader-epoch-checkpoint", f->dir);
    assert_ok(io_replace_file(path, "0\nx\n", 4, 0600, &f->e), &f->e);
    fixture_open(f);
    assert_ok(broker_topic(f->b, "t", &t, &f->e), &f->e);
    assert_false(t.partitions[0].failed);
    assert_int_equal(t.partitions[0].end_offset, 3);
    assert_int_equal(t.partitions[0].leader_epoch, 0);
    topic_info_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_table),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_damaged_metadata_stops_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create_and_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_max_message_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_add_partitions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleted_files_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deletion_that_cannot_be_synced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deletion_that_cannot_rename, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leftover_that_cannot_be_synced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleted_files_make_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leftover_of_a_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_deleted_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lazy_directories, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_strangers_new_name_is_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete_records_of_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete_records_without_checkpoints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_epochs_are_no_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
