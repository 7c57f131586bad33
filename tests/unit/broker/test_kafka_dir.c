/*
 * kafka_dir: import and export without a JVM (with one: tests/conformance). Our own log directory has KRaft's records, so it
 * serves as a source; the formatted directory is the one that was recorded from Kafka 4.3.1.
 */
#include "tests/unit/broker/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/io.h"
#include "broker/kafka_dir.h"
#include "broker/meta_image.h"

#define RECORDED "tests/data/segments/log-dir-files"

struct sides {
    char source[600], target[600];
    int notes, findings;
    char note[400];
};

static int take_note(void *arg, const char *text, struct err *e)
{
    struct sides *s = arg;
    (void)e;
    s->notes++;
    snprintf(s->note, sizeof s->note, "%s", text);
    return ERR_OK;
}

static int take_finding(void *arg, const struct check_finding *f, struct err *e)
{
    struct sides *s = arg;
    (void)e;
    assert_true(f->path && f->text);
    s->findings++;
    return ERR_OK;
}

static void run_command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run_command(const char *fmt, ...)
{
    char command[2400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    assert_int_equal(system(command), 0);
}

static void transaction(struct fixture *f, int i, bool commit)
{
    int64_t id;
    int16_t epoch;
    struct txn_partition p = {"t", 1};
    assert_ok(broker_init_producer(f->b, "txn", 60000, &id, &epoch, &f->e), &f->e);
    assert_ok(broker_txn_add_partitions(f->b, "txn", id, epoch, &p, 1, &f->e), &f->e);
    struct produce_request r =
        make_request(f, "t", 1, commit ? "c" : "a", i, 2, (struct batch_producer){id, epoch, 0, true});
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    assert_ok(broker_txn_end(f->b, "txn", id, epoch, commit, &f->e), &f->e);
}

static void fill(struct fixture *f)
{
    static const struct topic_config_entry config[] = {{"retention.ms", "123"}, {"durability", "page-cache"}};
    struct group_offset offset = {.topic = "t", .partition = 1, .offset = 3};
    create(f, "gone", 1);
    assert_ok(broker_create_topic(f->b, "t", 2, config, 2, NULL, &f->e), &f->e);
    assert_ok(broker_delete_topic(f->b, "gone", &f->e), &f->e);
    produce(f, "t", 0, "v", 0, 3);
    transaction(f, 0, true);
    transaction(f, 2, false);
    transaction(f, 4, true);
    assert_ok(broker_commit_offsets(f->b, "g", &offset, 1, &f->e), &f->e);
}

static void check_filled(struct fixture *f)
{
    struct topic_info t;
    int64_t offset;
    expect_all(f, "t", 0, READ_COMMITTED, "v0,v1,v2");
    expect_all(f, "t", 1, READ_COMMITTED, "c0,c1,<C>,<A>,c4,c5,<C>");
    assert_ok(broker_fetch_offset(f->b, "g", "t", 1, &offset, &f->e), &f->e);
    assert_int_equal(offset, 3);
    assert_code(broker_topic(f->b, "gone", &t, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
    assert_ok(broker_topic(f->b, "t", &t, &f->e), &f->e);
    assert_int_equal(t.partition_count, 2);
    topic_info_free(&t);
}

/* A directory as a Kafka broker would leave it, of what f holds. */
static void make_source(struct fixture *f, struct sides *s, bool killed)
{
    memset(s, 0, sizeof *s);
    snprintf(s->source, sizeof s->source, "%s.kafka", f->dir);
    snprintf(s->target, sizeof s->target, "%s.target", f->dir);
    fill(f);
    if (!killed)
        fixture_close(f);
    run_command("cp -a %s/logs %s && cp " RECORDED "/meta.properties %s/ && touch %s/.lock", f->dir,
                s->source, s->source, s->source);
    /* Kafka makes a directory for every partition, we for those that were written to. */
    run_command(
        "cd %s && for i in $(seq 0 49); do mkdir -p __consumer_offsets-$i __transaction_state-$i; done",
        s->source);
    if (killed)
        fixture_close(f);
}

static void remove_sides(struct sides *s)
{
    run_command("rm -rf %s %s", s->source, s->target);
}

static int import(struct sides *s, struct kafka_copy_report *r, struct err *e)
{
    const char *from[] = {s->source};
    struct kafka_import_options o = {.from = from,
                                     .from_count = 1,
                                     .data_dir = s->target,
                                     .found = take_finding,
                                     .note = take_note,
                                     .arg = s};
    return kafka_import(&o, r, e);
}

static void open_target(struct fixture *f, const struct sides *s, struct fixture *there)
{
    struct broker_options o = {.data_dir = s->target};
    *there = *f;
    assert_ok(broker_open(&there->b, &o, &f->e), &f->e);
}

static void an_import_has_everything(void **state)
{
    struct fixture *f = *state, there;
    struct sides s;
    struct kafka_copy_report r;
    for (int killed = 0; killed < 2; killed++) {
        make_source(f, &s, killed);
        run_command("cd %s && find . -type f -exec md5sum {} + | sort > %s.sum", s.source, s.source);
        assert_ok(import(&s, &r, &f->e), &f->e);
        assert_int_equal(r.clean, !killed);
        assert_int_equal(r.topics, 3); /* and the two internal ones */
        assert_int_equal(s.findings, 0);
        run_command("cd %s && md5sum --quiet -c %s.sum && rm %s.sum", s.source, s.source, s.source);
        open_target(f, &s, &there);
        check_filled(&there);
        int64_t id, later;
        int16_t epoch;
        assert_ok(broker_init_producer(there.b, NULL, 1000, &later, &epoch, &f->e), &f->e);
        fixture_open(f);
        assert_ok(broker_init_producer(f->b, "txn", 60000, &id, &epoch, &f->e), &f->e);
        assert_true(later > id); /* none is given twice */
        assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
        assert_int_equal(produce(&there, "t", 0, "n", 0, 1), 3);
        assert_ok(broker_close(there.b, &f->e), &f->e);
        assert_code(import(&s, &r, &f->e), ERR_EXISTS, &f->e);
        remove_sides(&s);
    }
}

static void damage_and_gaps_forbid_an_import(void **state)
{
    struct fixture *f = *state;
    struct sides s;
    struct kafka_copy_report r;
    make_source(f, &s, false);
    run_command("cp -a %s %s.kept", s.source, s.source);
    run_command("printf X | dd of=%s/t-0/00000000000000000000.log bs=1 seek=80 conv=notrunc status=none",
                s.source);
    assert_code(import(&s, &r, &f->e), ERR_CORRUPT, &f->e);
    assert_int_equal(s.findings, 1);
    assert_false(io_exists(s.target));
    run_command("rm -rf %s && cp -a %s.kept %s && rm -r %s/t-1", s.source, s.source, s.source, s.source);
    assert_code(import(&s, &r, &f->e), ERR_INVALID, &f->e);
    assert_non_null(strstr(f->e.text, "t-1"));
    run_command("rm -rf %s && cp -a %s.kept %s && rm -r %s/__cluster_metadata-0", s.source, s.source,
                s.source, s.source);
    assert_code(import(&s, &r, &f->e), ERR_INVALID, &f->e);
    run_command("rm -f %s/meta.properties", s.source);
    assert_code(import(&s, &r, &f->e), ERR_INVALID, &f->e);
    assert_false(io_exists(s.target));
    run_command("rm -rf %s.kept", s.source);
    remove_sides(&s);
}

/* Holds the lock as a broker does, until the pipe is closed. */
static pid_t hold_lock(const char *dir, int *release)
{
    int ready[2], stop[2];
    char path[700], byte;
    assert_int_equal(pipe(ready) + pipe(stop), 0);
    snprintf(path, sizeof path, "%s/.lock", dir);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDWR);
        close(stop[1]);
        if (fcntl(fd, F_SETLK, &lock) == 0 && write(ready[1], "x", 1) == 1)
            _exit(read(stop[0], &byte, 1) != 0);
        _exit(1);
    }
    close(ready[1]);
    close(stop[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *release = stop[1];
    return child;
}

static void a_broker_at_work_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct sides s;
    struct kafka_copy_report r;
    int release, status;
    make_source(f, &s, false);
    pid_t child = hold_lock(s.source, &release);
    assert_code(import(&s, &r, &f->e), ERR_BUSY, &f->e);
    char pid[32];
    snprintf(pid, sizeof pid, "pid %d", (int)child);
    assert_non_null(strstr(f->e.text, pid));
    close(release);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_ok(import(&s, &r, &f->e), &f->e);
    remove_sides(&s);
}

static int tries_done;

/* Whatever fails: a directory that is not complete is not one, and nothing of the source changes. */
static void import_once(void *arg)
{
    struct sides *s = arg;
    struct kafka_copy_report r;
    struct err e;
    char mark[700];
    int rc = import(s, &r, &e);
    fault_disarm();
    snprintf(mark, sizeof mark, "%s/meta.properties", s->target);
    bool there = io_exists(mark);
    assert_true(there || rc != ERR_OK);
    tries_done += rc == ERR_OK;
    if (there) { /* also where only the sync of its name failed */
        struct broker_options o = {.data_dir = s->target};
        struct fixture f = {.dir = s->target};
        assert_ok(broker_open(&f.b, &o, &e), &e);
        expect_all(&f, "t", 0, READ_COMMITTED, "v0,v1,v2");
        assert_ok(broker_close(f.b, &e), &e);
    }
    assert_ok(io_remove_tree(s->target, &e), &e);
}

static void an_import_that_fails_is_no_directory(void **state)
{
    static const enum fault_point points[] = {FAULT_ALLOC, FAULT_WRITE, FAULT_SYNC, FAULT_META};
    struct fixture *f = *state;
    struct sides s = {.notes = 0};
    snprintf(s.source, sizeof s.source, "%s.kafka", f->dir);
    snprintf(s.target, sizeof s.target, "%s.target", f->dir);
    create(f, "t", 1);
    produce(f, "t", 0, "v", 0, 3);
    fixture_close(f);
    run_command("cp -a %s/logs %s && cp " RECORDED "/meta.properties %s/", f->dir, s.source, s.source);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        tries_done = 0;
        assert_true(testkit_each_fault(points[i], points[i] == FAULT_ALLOC ? ENOMEM : EIO, import_once, &s) >
                    3);
        assert_int_equal(tries_done, 1);
    }
    remove_sides(&s);
}

/* ---- export ---- */

static int export_to(struct fixture *f, struct sides *s, struct kafka_copy_report *r)
{
    struct kafka_export_options o = {.data_dir = f->dir, .to = s->target, .note = take_note, .arg = s};
    return kafka_export(&o, r, &f->e);
}

static int no_bad(void *arg, const char *path, int64_t byte, int64_t offset, const struct err *why,
                  struct err *e)
{
    (void)arg;
    (void)byte;
    (void)offset;
    (void)e;
    fail_msg("%s: %s", path, why->text);
    return ERR_CORRUPT;
}

static void an_export_adds_topics_to_the_bootstrap_records(void **state)
{
    struct fixture *f = *state;
    struct sides s = {.notes = 0};
    struct kafka_copy_report r;
    struct meta_image image;
    char path[700];
    snprintf(s.target, sizeof s.target, "%s.target", f->dir);
    fill(f);
    fixture_close(f);
    assert_int_equal(mkdir(s.target, 0755), 0);
    assert_code(export_to(f, &s, &r), ERR_INVALID, &f->e); /* not formatted */
    run_command("cp " RECORDED "/meta.properties " RECORDED "/bootstrap.checkpoint %s/", s.target);
    assert_ok(export_to(f, &s, &r), &f->e);
    assert_int_equal(s.notes, 1);
    assert_non_null(strstr(s.note, "durability=page-cache is left out"));
    snprintf(path, sizeof path, "%s/bootstrap.checkpoint", s.target);
    assert_ok(meta_image_init(&image, &f->e), &f->e);
    assert_ok(meta_image_file(&image, path, 0, no_bad, NULL, &f->e), &f->e);
    const struct meta_topic *t = meta_image_topic(&image, "t");
    assert_non_null(t);
    assert_int_equal(t->partitions, 2);
    assert_int_equal(t->config_count, 1);
    assert_string_equal(t->config[0].value, "123");
    assert_null(meta_image_topic(&image, "gone"));
    assert_true(image.next_producer_id > 0);
    meta_image_free(&image);
    run_command("cmp %s/logs/t-1/00000000000000000000.log %s/t-1/00000000000000000000.log", f->dir, s.target);
    run_command("test -e %s/.kafka_cleanshutdown -a ! -e %s/__cluster_metadata-0", s.target, s.target);
    assert_code(export_to(f, &s, &r), ERR_EXISTS, &f->e); /* once */
    run_command("rm -rf %s", s.target);
    fixture_open(f);
    check_filled(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_import_has_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_and_gaps_forbid_an_import, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broker_at_work_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(an_import_that_fails_is_no_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(an_export_adds_topics_to_the_bootstrap_records, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests_name("kafka_dir", tests, NULL, NULL);
}
