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
#include "broker/fsck.h"
#include "broker/group_config.h"
#include "broker/kafka_dir.h"
#include "broker/meta_image.h"
#include "broker/walk.h"

#define RECORDED "tests/data/segments/log-dir-files"
#define SESSION "consumer.session.timeout.ms"
#define HEARTBEAT "consumer.heartbeat.interval.ms"

struct sides {
    char source[600], target[600];
    int notes, findings;
    char note[400];      /* the last one */
    bool broker_setting; /* was told of */
};

static int take_note(void *arg, const char *text, struct err *e)
{
    struct sides *s = arg;
    (void)e;
    s->notes++;
    snprintf(s->note, sizeof s->note, "%s", text);
    s->broker_setting |= strstr(text, "log.retention.ms=-1 of Kafka's brokers") != NULL;
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
    static const struct config_change own[] = {{HEARTBEAT, CONFIG_SET, "6000"},
                                               {SESSION, CONFIG_SET, "50000"}},
                                      no_more = {SESSION, CONFIG_DELETE, NULL};
    static const struct group_bounds bounds = {{45000, 5000}, {60000, 15000}, {45000, 5000}};
    assert_ok(broker_change_group(f->b, "g", own, 2, false, false, &bounds, &f->e), &f->e);
    assert_ok(broker_change_group(f->b, "gone", own, 2, false, false, &bounds, &f->e), &f->e);
    assert_ok(broker_change_group(f->b, "gone", own, 0, true, false, &bounds, &f->e), &f->e);
    assert_ok(broker_change_group(f->b, "g", &no_more, 1, false, false, &bounds, &f->e), &f->e);
}

static void check_groups(struct fixture *f)
{
    const char *const *names;
    size_t n;
    struct arena a;
    struct group_timing t = broker_group_timing(f->b, "g");
    assert_int_equal(t.heartbeat_ms, 6000);
    assert_int_equal(t.session_ms, -1);
    arena_init(&a, 1 << 16, NULL);
    assert_ok(broker_groups_set(f->b, &a, &names, &n, &f->e), &f->e);
    assert_int_equal(n, 1);
    assert_string_equal(names[0], "g");
    arena_free(&a);
}

static void check_filled(struct fixture *f)
{
    check_groups(f);
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

static int no_such_finding(void *arg, const struct check_finding *f, struct err *e)
{
    (void)arg, (void)e;
    if (f->kind == CHECK_BAD_INDEX || f->kind == CHECK_BAD_TIME_INDEX || f->kind == CHECK_MISSING_SEGMENT)
        fail_msg("%s: %s: %s", check_kind_name(f->kind), f->path, f->text);
    return ERR_OK;
}

/* Retention that Kafka's brokers gave stays behind: who imports is told what the hub will do. */
static void an_import_tells_of_defaults(void **state)
{
    struct fixture *f = *state;
    struct sides s;
    struct kafka_copy_report r;
    static const struct config_change change = {"log.retention.ms", CONFIG_SET, "-1"};
    assert_ok(broker_change_hub(f->b, HUB_CLUSTER, &change, 1, false, false, &f->e), &f->e);
    create(f, "forever", 1);
    produce(f, "forever", 0, "v", 0, 1);
    make_source(f, &s, false);
    assert_ok(import(&s, &r, &f->e), &f->e);
    assert_true(s.broker_setting);
    assert_non_null(strstr(s.note, "1 topics have no retention.ms of their own"));
    remove_sides(&s);
    fixture_open(f);
}

/* Entries of an index as Kafka of before 0.11 wrote them on a follower are none of ours; fsck does not complain of what was imported. */
static void indexes_of_old_are_made_anew(void **state)
{
    struct fixture *f = *state;
    struct sides s;
    struct kafka_copy_report r;
    struct fsck_report report;
    static const struct topic_config_entry config[] = {{"index.interval.bytes", "4096"}};
    assert_ok(broker_create_topic(f->b, "old", 1, config, 1, NULL, &f->e), &f->e);
    f->key_bytes = 3000;
    for (int i = 0; i < 20; i++)
        produce(f, "old", 0, "v", i, 1);
    f->key_bytes = 0;
    make_source(f, &s, false);
    run_command(
        "printf '\\177' | dd of=%s/old-0/00000000000000000000.index bs=1 seek=3 conv=notrunc status=none",
        s.source);
    assert_ok(import(&s, &r, &f->e), &f->e);
    struct fsck_options o = {.data_dir = s.target, .records = true, .found = no_such_finding};
    assert_ok(broker_fsck(&o, &report, &f->e), &f->e);
    remove_sides(&s);
    fixture_open(f);
}

/* A topic that was compacted once and is no more: between its segments offsets may be missing. */
static void gaps_of_a_former_compaction_are_taken(void **state)
{
    struct fixture *f = *state, there;
    struct sides s;
    struct kafka_copy_report r;
    struct fsck_report report;
    static const struct topic_config_entry config[] = {{"segment.bytes", "1048576"}};
    assert_ok(broker_create_topic(f->b, "old", 1, config, 1, NULL, &f->e), &f->e);
    f->key_bytes = 60000;
    for (int i = 0; i < 40; i++)
        produce(f, "old", 0, "v", i, 1);
    f->key_bytes = 0;
    make_source(f, &s, false);
    run_command("cd %s/old-0 && second=$(ls *.log | sed -n 2p) && rm ${second%%.log}.*", s.source);
    assert_ok(import(&s, &r, &f->e), &f->e);
    struct fsck_options o = {.data_dir = s.target, .records = true, .found = no_such_finding};
    assert_ok(broker_fsck(&o, &report, &f->e), &f->e);
    open_target(f, &s, &there);
    assert_int_equal(produce(&there, "old", 0, "n", 0, 1), 40);
    assert_ok(broker_close(there.b, &f->e), &f->e);
    remove_sides(&s);
    fixture_open(f);
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

struct leaders {
    int32_t node, top_epoch;
    int partitions;
};

static int see_partition(void *arg, const struct batch_header *h, const struct record *rec, struct err *e)
{
    struct leaders *l = arg;
    struct meta_record r;
    (void)h;
    assert_ok(meta_decode(rec->value, (size_t)rec->value_len, &r, e), e);
    if (r.kind == META_PARTITION) {
        assert_int_equal(r.node, l->node);
        l->top_epoch = r.leader_epoch > l->top_epoch ? r.leader_epoch : l->top_epoch;
        l->partitions++;
    }
    return ERR_OK;
}

/* Every partition in a file of metadata is led by the node, in epochs up to this one. */
static void expect_leaders(const char *path, int32_t node, int32_t top_epoch, struct err *e)
{
    struct leaders l = {.node = node};
    struct batch_header h;
    struct buf scratch;
    size_t n;
    char *data;
    assert_ok(io_read_file(path, 1 << 20, &data, &n, e), e);
    buf_init(&scratch, 1 << 20);
    for (size_t at = 0; at < n; at += batch_size(&h)) {
        assert_ok(batch_check(data + at, n - at, &h, e), e);
        if (!(h.attributes & BATCH_CONTROL))
            assert_ok(walk_records((uint8_t *)data + at, &h, &scratch, see_partition, &l, e), e);
    }
    assert_true(l.partitions > 2);
    assert_int_equal(l.top_epoch, top_epoch);
    buf_free(&scratch);
    mem_free(data);
}

/* A store that is full and closed, and where an export of it puts its metadata. */
static void begin_export(struct fixture *f, struct sides *s, char *checkpoint, size_t size)
{
    snprintf(s->target, sizeof s->target, "%s.target", f->dir);
    snprintf(checkpoint, size, "%s/bootstrap.checkpoint", s->target);
    fill(f);
    fixture_close(f);
}

/* Of which node.id the directory is that was formatted. */
static void an_export_is_for_the_node_of_the_directory(void **state)
{
    struct fixture *f = *state;
    struct sides s = {.notes = 0};
    struct kafka_copy_report r;
    char path[700];
    begin_export(f, &s, path, sizeof path);
    for (int32_t node = 0; node < 3; node++) {
        assert_int_equal(mkdir(s.target, 0755), 0);
        run_command("cp " RECORDED "/bootstrap.checkpoint %s/ && sed s/node.id=1/node.id=%d/ " RECORDED
                    "/meta.properties >%s/meta.properties",
                    s.target, node, s.target);
        assert_ok(export_to(f, &s, &r), &f->e);
        expect_leaders(path, node, 0, &f->e);
        run_command("rm -rf %s", s.target);
    }
    assert_int_equal(mkdir(s.target, 0755), 0);
    run_command("sed s/node.id=1/node.id=one/ " RECORDED "/meta.properties >%s/meta.properties", s.target);
    assert_code(export_to(f, &s, &r), ERR_INVALID, &f->e);
    assert_non_null(strstr(f->e.text, "node.id=one"));
    run_command("rm -rf %s", s.target);
    fixture_open(f);
}

/* Committed offsets carry them: a client would take a lower one of its partition for old. */
static void an_export_goes_on_with_the_leader_epochs(void **state)
{
    struct fixture *f = *state;
    struct sides s = {.notes = 0};
    struct kafka_copy_report r;
    char path[700];
    begin_export(f, &s, path, sizeof path);
    run_command("printf '0\\n2\\n0 0\\n57 2\\n' >%s/logs/t-0/leader-epoch-checkpoint", f->dir);
    assert_int_equal(mkdir(s.target, 0755), 0);
    run_command("cp " RECORDED "/meta.properties " RECORDED "/bootstrap.checkpoint %s/", s.target);
    assert_ok(export_to(f, &s, &r), &f->e);
    expect_leaders(path, 1, 57, &f->e);
    run_command("rm -rf %s", s.target);
    fixture_open(f);
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
    const struct meta_group *g = map_get(image.groups, "g", 1);
    assert_non_null(g);
    assert_int_equal(map_count(image.groups), 1);
    assert_int_equal(g->config_count, 1);
    assert_string_equal(g->config[0].name, HEARTBEAT);
    assert_string_equal(g->config[0].value, "6000");
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
        cmocka_unit_test_setup_teardown(an_import_tells_of_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(indexes_of_old_are_made_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(gaps_of_a_former_compaction_are_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_and_gaps_forbid_an_import, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broker_at_work_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(an_import_that_fails_is_no_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(an_export_is_for_the_node_of_the_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(an_export_goes_on_with_the_leader_epochs, setup, teardown),
        cmocka_unit_test_setup_teardown(an_export_adds_topics_to_the_bootstrap_records, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests_name("kafka_dir", tests, NULL, NULL);
}
