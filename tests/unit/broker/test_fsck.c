/*
 * fsck: a directory with everything in it is without findings; then each structure is damaged in turn, and the finding
 * must name the kind, the file and the place. Repairs leave a directory that opens and has no errors.
 */
#include "tests/unit/broker/fsck.h"

#include <dirent.h>
#include <unistd.h>

#include "base/diag.h"

#define T0 "logs/t-0/00000000000000000000"

/* ---- the directory that is damaged ---- */

static void transaction(struct fixture *f, const char *topic, int i, bool commit)
{
    int64_t id;
    int16_t epoch;
    struct txn_partition p = {topic, 0};
    assert_ok(broker_init_producer(f->b, "txn", 60000, &id, &epoch, &f->e), &f->e);
    assert_ok(broker_txn_add_partitions(f->b, "txn", id, epoch, &p, 1, &f->e), &f->e);
    struct produce_request r =
        make_request(f, topic, 0, "txn", i, 2, (struct batch_producer){id, epoch, 0, true});
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    assert_ok(broker_txn_end(f->b, "txn", id, epoch, commit, &f->e), &f->e);
}

/* Topic t: three segments, the first two of 20 batches of about 60 KiB; transactions; a group. Then a clean stop. */
static void fill(struct fixture *f)
{
    static const struct topic_config_entry config[] = {{"segment.bytes", "1048576"},
                                                       {"index.interval.bytes", "4096"}};
    struct group_offset offset = {.topic = "t", .partition = 0, .offset = 5};
    assert_ok(broker_create_topic(f->b, "t", 1, config, 2, NULL, &f->e), &f->e);
    create(f, "other", 2);
    f->key_bytes = 60000;
    for (int i = 0; i < 40; i++)
        produce(f, "t", 0, "v", i, 1);
    f->key_bytes = 0;
    for (int i = 0; i < 6; i++)
        transaction(f, "t", i, i % 2);
    produce(f, "other", 1, "o", 0, 3);
    assert_ok(broker_commit_offsets(f->b, "group", &offset, 1, &f->e), &f->e);
}

static int setup_filled(void **state)
{
    setup(state);
    struct fixture *f = *state;
    diag_setup(DIAG_OFF, DIAG_TEXT);
    fill(f);
    fixture_close(f);
    return 0;
}

static int teardown_filled(void **state)
{
    diag_setup(DIAG_INFO, DIAG_TEXT);
    return teardown(state);
}

/* What the tests begin with is kept beside and brought back. */
static void keep(struct fixture *f)
{
    char copy[1024];
    snprintf(copy, sizeof copy, "%s.kept", f->dir);
    copy_tree(f->dir, copy);
}

static void restore(struct fixture *f)
{
    char copy[1024];
    snprintf(copy, sizeof copy, "%s.kept", f->dir);
    copy_tree(copy, f->dir);
}

static void forget(struct fixture *f)
{
    char copy[1024];
    snprintf(copy, sizeof copy, "%s.kept", f->dir);
    assert_ok(io_remove_tree(copy, &f->e), &f->e);
}

/* ---- tests ---- */

static void a_sound_directory_has_no_findings(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    EXPECT(f, &s, CHECK_KIND_COUNT);
    assert_true(s.report.clean);
    assert_int_equal(s.report.topics, 4); /* and the two internal ones */
    assert_true(s.report.segments >= 7);
    fixture_open(f); /* what a start and a stop leave is sound, too */
    fixture_close(f);
    EXPECT(f, &s, CHECK_KIND_COUNT);
}

static void a_directory_in_use_is_refused(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    struct fsck_options o = {.data_dir = f->dir, .found = see, .arg = &s};
    fixture_open(f);
    assert_code(broker_fsck(&o, &s.report, &f->e), ERR_LOCKED, &f->e);
    char pid[32];
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_non_null(strstr(f->e.text, pid));
    fixture_close(f);
    o.data_dir = "/nonexistent";
    assert_code(broker_fsck(&o, &s.report, &f->e), ERR_NOT_FOUND, &f->e);
}

/* A bit anywhere in a batch of the middle of a sealed segment: header, record, and the fields outside of the CRC. */
static void every_bit_of_a_batch_counts(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    const char *name = "logs/other-1/00000000000000000000.log";
    fixture_open(f);
    for (int i = 0; i < 3; i++)
        produce(f, "other", 1, "x", i, 2);
    fixture_close(f);
    keep(f);
    long size = size_of(f, name), first = size / 4; /* about: the second batch begins somewhere behind it */
    for (long at = 0; at < size; at += 3) {
        flip(f, name, at, 8);
        run_fsck(f, &s);
        if (s.report.findings[CHECK_ERROR] + s.report.findings[CHECK_WARNING] == 0)
            fail_msg("a flipped bit at byte %ld was not found", at);
        if (s.counts[CHECK_DAMAGED_BATCH]) {
            assert_string_equal(s.path[CHECK_DAMAGED_BATCH], path_of(f, name));
            assert_true(s.last[CHECK_DAMAGED_BATCH].byte <= at);
            assert_true(at > first || s.last[CHECK_DAMAGED_BATCH].offset == 0);
        }
        flip(f, name, at, 8);
    }
    EXPECT(f, &s, CHECK_KIND_COUNT);
    forget(f);
}

static void each_structure(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    keep(f);
    flip(f, T0 ".log", 70000, 1);
    EXPECT(f, &s, CHECK_DAMAGED_BATCH);
    assert_int_equal(s.last[CHECK_DAMAGED_BATCH].offset, 1);
    assert_int_equal(s.last[CHECK_DAMAGED_BATCH].next_offset, 2);
    restore(f);
    flip(f, T0 ".log", 6, 1); /* base offset of the first batch: 65536 more */
    EXPECT(f, &s, CHECK_DAMAGED_BATCH);
    restore(f);
    flip(f, "logs/other-1/00000000000000000000.log", 15, 4); /* leader epoch */
    EXPECT(f, &s, CHECK_BAD_EPOCHS);
    restore(f);
    flip(f, T0 ".index", 3, 1); /* relative offset */
    EXPECT(f, &s, CHECK_BAD_INDEX);
    assert_int_equal(s.last[CHECK_BAD_INDEX].byte, 0);
    restore(f);
    flip(f, T0 ".index", 15, 1); /* position of the second entry */
    EXPECT(f, &s, CHECK_BAD_INDEX);
    assert_int_equal(s.last[CHECK_BAD_INDEX].byte, 8);
    restore(f);
    flip(f, T0 ".timeindex", 7, 2);
    EXPECT(f, &s, CHECK_BAD_TIME_INDEX);
    restore(f);
    flip(f, T0 ".timeindex", 11, 64); /* the batch there must be of another millisecond */
    EXPECT(f, &s, CHECK_BAD_TIME_INDEX);
    restore(f);
    forget(f);
}

/* Names of the last segment's files. */
static void find_last(struct fixture *f, const char *suffix, char out[300])
{
    char best[256] = "";
    DIR *d = opendir(path_of(f, "logs/t-0"));
    assert_non_null(d);
    for (const struct dirent *en; (en = readdir(d));)
        if (strstr(en->d_name, suffix) && strcmp(en->d_name, best) > 0)
            snprintf(best, sizeof best, "%s", en->d_name);
    closedir(d);
    assert_true(best[0]);
    snprintf(out, 300, "logs/t-0/%s", best);
}

static void transactions_and_producers(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    char txn[300], snapshot[300];
    find_last(f, ".txnindex", txn);
    find_last(f, ".snapshot", snapshot);
    keep(f);
    for (int field = 2; field < 26; field += 8) { /* producer, first offset, marker */
        flip(f, txn, 34 + field + 7, 1);
        EXPECT(f, &s, CHECK_BAD_TXN_INDEX);
        restore(f);
    }
    assert_int_equal(truncate(path_of(f, txn), 34), 0);
    EXPECT(f, &s, CHECK_BAD_TXN_INDEX);
    assert_non_null(strstr(s.text[CHECK_BAD_TXN_INDEX], "is missing"));
    restore(f);
    remove_name(f, txn);
    EXPECT(f, &s, CHECK_BAD_TXN_INDEX);
    assert_int_equal(s.counts[CHECK_BAD_TXN_INDEX], 3);
    restore(f);
    flip(f, snapshot, 20, 1);
    EXPECT(f, &s, CHECK_BAD_SNAPSHOT);
    assert_string_equal(s.path[CHECK_BAD_SNAPSHOT], path_of(f, snapshot));
    restore(f);
    put_file(f, snapshot, "");
    EXPECT(f, &s, CHECK_BAD_SNAPSHOT);
    restore(f);
    put_file(f, "logs/t-0/00000000000000000900.snapshot", "x");
    EXPECT(f, &s, CHECK_BAD_SNAPSHOT);
    restore(f);
    forget(f);
}

static void small_files(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    keep(f);
    put_file(f, "logs/t-0/leader-epoch-checkpoint", "0\nx\n");
    EXPECT(f, &s, CHECK_BAD_EPOCHS);
    restore(f);
    put_file(f, "logs/t-0/leader-epoch-checkpoint",
             "0\n1\n0 7\n"); /* says that nothing was written before 7 */
    EXPECT(f, &s, CHECK_BAD_EPOCHS);
    restore(f);
    flip(f, "logs/t-0/partition.metadata", 25, 1);
    EXPECT(f, &s, CHECK_BAD_PARTITION_METADATA);
    restore(f);
    put_file(f, "logs/recovery-point-offset-checkpoint", "0\n1\nt 0\n");
    EXPECT(f, &s, CHECK_BAD_CHECKPOINT);
    restore(f);
    remove_name(f, "logs/recovery-point-offset-checkpoint");
    EXPECT(f, &s, CHECK_BAD_CHECKPOINT);
    restore(f);
    put_file(f, "logs/recovery-point-offset-checkpoint", "0\n1\nt 0 1000\n");
    EXPECT(f, &s, CHECK_CHECKPOINT_BEYOND_END);
    assert_int_equal(s.last[CHECK_CHECKPOINT_BEYOND_END].next_offset, 1000);
    restore(f);
    put_file(f, "meta.properties", "version=1\n");
    EXPECT(f, &s, CHECK_BAD_META_PROPERTIES);
    restore(f);
    remove_name(f, "meta.properties");
    EXPECT(f, &s, CHECK_BAD_META_PROPERTIES);
    restore(f);
    forget(f);
}

static void names(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    keep(f);
    put_file(f, "logs/t-0/notes.txt", "x");
    put_file(f, "logs/what", "x");
    put_file(f, "core.1", "x");
    EXPECT(f, &s, CHECK_FOREIGN_FILE);
    assert_int_equal(s.counts[CHECK_FOREIGN_FILE], 3);
    restore(f);
    put_file(f, T0 ".log.deleted", "x");
    put_file(f, "logs/t-0/00000000000000000900.index", "x");
    assert_int_equal(mkdir(path_of(f, "logs/t-1.00000000000000000000000000000000-delete"), 0700), 0);
    EXPECT(f, &s, CHECK_LEFTOVER);
    assert_int_equal(s.counts[CHECK_LEFTOVER], 3);
    restore(f);
    put_file(f, T0 ".log.swap", "x");
    EXPECT(f, &s, CHECK_INTERRUPTED_COMPACTION);
    restore(f);
    assert_int_equal(mkdir(path_of(f, "logs/unknown-0"), 0700), 0);
    EXPECT(f, &s, CHECK_STRAY_DIRECTORY);
    restore(f);
    remove_name(f, "logs/other-1");
    EXPECT(f, &s, CHECK_MISSING_PARTITION);
    restore(f);
    remove_name(f, T0 ".index");
    remove_name(f, T0 ".timeindex");
    EXPECT(f, &s, CHECK_MISSING_INDEX);
    restore(f);
    remove_name(f, T0 ".log"); /* missing in the front: the log begins later, what lay beside is left over */
    EXPECT(f, &s, CHECK_LEFTOVER, CHECK_MISSING_SEGMENT);
    assert_int_equal(s.last[CHECK_MISSING_SEGMENT].offset, 0);
    restore(f);
    assert_int_equal(truncate(path_of(f, T0 ".log"), 0), 0);
    EXPECT(f, &s, CHECK_EMPTY_SEGMENT, CHECK_MISSING_SEGMENT, CHECK_BAD_INDEX, CHECK_BAD_TIME_INDEX);
    restore(f);
    forget(f);
}

static void metadata_and_journal(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    const char *meta = "logs/__cluster_metadata-0/00000000000000000000.log",
               *journal = "journal/00000000.journal";
    keep(f);
    flip(f, meta, 100, 1);
    EXPECT(f, &s, CHECK_DAMAGED_BATCH);
    assert_string_equal(s.last[CHECK_DAMAGED_BATCH].path ? s.path[CHECK_DAMAGED_BATCH] : "",
                        path_of(f, meta));
    restore(f);
    /* The same bytes again in its first record's place: a topic that comes twice. */
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", path_of(f, journal));
    flip(f, journal, 20, 1); /* the first block: its numbers are in the first record too */
    EXPECT(f, &s, CHECK_BAD_JOURNAL);
    restore(f);
    flip(f, journal, 4096 + 70, 1); /* the first record, while later ones are whole */
    remove_name(f, "logs/.kafka_cleanshutdown");
    run_fsck(f, &s);
    assert_false(s.report.clean);
    restore(f);
    forget(f);
}

/* After kill -9 the end may be torn, and no error is made of it. */
static void an_unclean_end_is_no_error(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    char log[300];
    find_last(f, ".log", log);
    keep(f);
    assert_int_equal(truncate(path_of(f, log), size_of(f, log) - 5), 0);
    EXPECT(f, &s, CHECK_TORN_TAIL, CHECK_BAD_SNAPSHOT);
    restore(f);
    remove_name(f, "logs/.kafka_cleanshutdown");
    put_file(f, "logs/recovery-point-offset-checkpoint", "0\n1\nt 0 40\n");
    assert_int_equal(truncate(path_of(f, log), size_of(f, log) - 5), 0);
    EXPECT(f, &s, CHECK_UNSYNCED_TAIL);
    assert_int_equal(s.report.findings[CHECK_ERROR], 0);
    restore(f);
    forget(f);
}

/* ---- repairs ---- */

/* Two kinds at once. */
static void mend_both(struct fixture *f, enum check_repair one, enum check_repair other, bool segments)
{
    int steps = 0;
    uint64_t left;
    struct fsck_repair_options o = {
        .data_dir = f->dir, .segments = segments, .step = see_step, .arg = &steps};
    o.kinds[one] = o.kinds[other] = true;
    assert_ok(broker_fsck_repair(&o, &left, &f->e), &f->e);
}

/* Values that can be read, from both sides of what is gone. */
static int count_values(struct fixture *f, int64_t from)
{
    struct buf out;
    int n = 1;
    read_all(f, "t", 0, from, READ_COMMITTED, &out);
    for (const char *p = (char *)out.data; *p; p++)
        n += *p == ',';
    buf_free(&out);
    return n;
}

static void damage_is_mended(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    uint64_t left;
    fixture_open(f);
    int all = count_values(f, 0);
    fixture_close(f);
    keep(f);
    for (int segments = 0; segments < 2; segments++) {
        flip(f, T0 ".log", 70000, 1);
        flip(f, T0 ".log", 200016, 1);
        long size = size_of(f, T0 ".log");
        assert_int_equal(mend(f, REPAIR_DAMAGE, segments, true, &left), 1);
        assert_int_equal(size_of(f, T0 ".log"), size);
        assert_true(mend(f, REPAIR_DAMAGE, segments, false, &left) >= 1);
        assert_int_equal(left, 0);
        run_fsck(f, &s);
        assert_int_equal(s.report.findings[CHECK_ERROR] + s.report.findings[CHECK_WARNING], 0);
        fixture_open(f);
        int64_t start, ts;
        assert_ok(broker_list_offset(f->b, "t", 0, -2, READ_COMMITTED, &start, &ts, &f->e), &f->e);
        assert_int_equal(start > 0, segments);
        int now = count_values(f, start);
        assert_int_equal(now, segments ? all - (int)start : all - 2);
        produce(f, "t", 0, "more", 0, 1);
        assert_int_equal(count_values(f, start), now + 1);
        fixture_close(f);
        EXPECT(f, &s, CHECK_KIND_COUNT);
        restore(f);
    }
    forget(f);
}

/* The last batches of all are gone: their offsets are not given to others. */
static void the_end_is_mended(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    const char *log = "logs/other-1/00000000000000000000.log";
    uint64_t left;
    keep(f);
    for (int how = 0; how < 3; how++) { /* damaged, kept or set aside; torn */
        if (how < 2)
            flip(f, log, -3, 1);
        else
            assert_int_equal(truncate(path_of(f, log), size_of(f, log) - 3), 0);
        assert_true(mend(f, how < 2 ? REPAIR_DAMAGE : REPAIR_TAIL, how == 1, false, &left) >= 1);
        fixture_open(f);
        int64_t offset = produce(f, "other", 1, "n", 0, 1);
        assert_int_equal(offset, 3);
        fixture_close(f);
        run_fsck(f, &s);
        assert_int_equal(s.report.findings[CHECK_ERROR], 0);
        restore(f);
    }
    forget(f);
}

/* Damage before a torn end in one segment. */
static void damage_and_the_end_are_mended(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    const char *log = "logs/other-1/00000000000000000000.log";
    fixture_open(f);
    for (int i = 0; i < 2; i++)
        produce(f, "other", 1, "x", i, 1);
    fixture_close(f);
    keep(f);
    for (int segments = 0; segments < 2; segments++) {
        flip(f, log, 65, 1);
        assert_int_equal(truncate(path_of(f, log), size_of(f, log) - 3), 0);
        run_fsck(f, &s);
        assert_int_equal(s.counts[CHECK_DAMAGED_BATCH], 1);
        assert_int_equal(s.counts[CHECK_TORN_TAIL], 1);
        mend_both(f, REPAIR_DAMAGE, REPAIR_TAIL, segments);
        fixture_open(f);
        assert_int_equal(produce(f, "other", 1, "n", 0, 1), 5);
        fixture_close(f);
        run_fsck(f, &s);
        assert_int_equal(s.report.findings[CHECK_ERROR], 0);
        restore(f);
    }
    forget(f);
}

/* A bit in the last batch's offset, which is outside of its checksum: the log seems to end far behind. */
static void the_last_offset_is_mended(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    const char *log = "logs/other-1/00000000000000000000.log";
    struct buf out;
    uint64_t left;
    fixture_open(f);
    long second = size_of(f, log);
    produce(f, "other", 1, "x", 0, 2);
    fixture_close(f);
    flip(f, log, second + 5, 16);
    run_fsck(f, &s);
    assert_int_equal(s.counts[CHECK_WRONG_OFFSET], 1);
    assert_string_equal(s.path[CHECK_WRONG_OFFSET], path_of(f, log));
    assert_int_equal(s.last[CHECK_WRONG_OFFSET].byte, second);
    assert_true(mend(f, REPAIR_DAMAGE, false, false, &left) >= 1);
    run_fsck(f, &s);
    assert_int_equal(s.report.findings[CHECK_ERROR] + s.report.findings[CHECK_WARNING], 0);
    fixture_open(f);
    assert_int_equal(produce(f, "other", 1, "n", 0, 1), 5);
    read_all(f, "other", 1, 0, READ_COMMITTED, &out);
    assert_string_equal((char *)out.data, "o0,o1,o2,x0,x1,n0");
    buf_free(&out);
}

/* With the journal the recovery points go aside; the log that lost its end must go on behind it all the same. */
static void the_end_is_mended_with_the_journal(void **state)
{
    struct fixture *f = *state;
    const char *log = "logs/other-1/00000000000000000000.log";
    keep(f);
    for (int how = 0; how < 3; how++) { /* as above */
        flip(f, "journal/00000000.journal", 20, 1);
        if (how < 2)
            flip(f, log, -3, 1);
        else
            assert_int_equal(truncate(path_of(f, log), size_of(f, log) - 3), 0);
        mend_both(f, REPAIR_JOURNAL, how < 2 ? REPAIR_DAMAGE : REPAIR_TAIL, how == 1);
        fixture_open(f);
        assert_int_equal(produce(f, "other", 1, "n", 0, 1), 3);
        fixture_close(f);
        restore(f);
    }
    forget(f);
}

static void derived_files_are_mended(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    char txn[300], snapshot[300];
    uint64_t left;
    find_last(f, ".txnindex", txn);
    find_last(f, ".snapshot", snapshot);
    fixture_open(f);
    int all = count_values(f, 0);
    fixture_close(f);
    flip(f, T0 ".index", 3, 1);
    flip(f, txn, 9, 1);
    flip(f, snapshot, 20, 1);
    put_file(f, T0 ".log.deleted", "x");
    assert_int_equal(mend(f, REPAIR_INDEXES, false, false, &left), 2);
    assert_int_equal(left, 1);
    assert_int_equal(mend(f, REPAIR_SNAPSHOTS, false, false, &left), 1);
    assert_int_equal(mend(f, REPAIR_LEFTOVERS, false, false, &left), 1);
    assert_int_equal(left, 0);
    fixture_open(f);
    assert_int_equal(count_values(f, 0), all);
    fixture_close(f);
    EXPECT(f, &s, CHECK_KIND_COUNT);
}

/* The file with the largest number. */
static void newest_journal(struct fixture *f, char out[64])
{
    uint64_t largest = 0;
    for (int slot = 0; slot < 10; slot++) {
        char name[64];
        uint8_t head[24];
        snprintf(name, sizeof name, "journal/%08d.journal", slot);
        FILE *file = fopen(path_of(f, name), "r");
        if (!file)
            continue;
        assert_int_equal(fread(head, 1, sizeof head, file), sizeof head);
        assert_int_equal(fclose(file), 0);
        if (be64(head + 16) > largest) {
            largest = be64(head + 16);
            memcpy(out, name, sizeof name);
        }
    }
    assert_true(largest > 0);
}

static void a_damaged_journal_is_set_aside(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    uint64_t left;
    fixture_open(f);
    for (int i = 0; i < 5; i++)
        produce(f, "t", 0, "j", i, 1);
    char copy[1024];
    snprintf(copy, sizeof copy, "%s.killed", f->dir);
    testkit_copy_running(f->dir, copy); /* as kill -9 would leave it */
    fixture_close(f);
    copy_tree(copy, f->dir);
    assert_ok(io_remove_tree(copy, &f->e), &f->e);
    run_fsck(f, &s);
    assert_false(s.report.clean);
    assert_true(s.report.journal_records >= 5);
    assert_int_equal(s.report.findings[CHECK_ERROR], 0);
    char name[64];
    newest_journal(f, name);
    flip(f, name, 4096 + 70, 1);
    assert_code(try_open(f), ERR_CORRUPT, &f->e);
    run_fsck(f, &s);
    assert_int_equal(s.counts[CHECK_BAD_JOURNAL], 1);
    assert_string_equal(s.path[CHECK_BAD_JOURNAL], path_of(f, name));
    assert_int_equal(s.last[CHECK_BAD_JOURNAL].byte, 4096);
    assert_int_equal(mend(f, REPAIR_JOURNAL, false, false, &left), 1);
    fixture_open(f);
    struct buf out;
    read_all(f, "t", 0, 40, READ_COMMITTED, &out);
    assert_non_null(strstr((char *)out.data, "j0,j1,j2,j3,j4"));
    buf_free(&out);
}

/* The same over two data directories: each has its own checkpoints, journal and clean stop; one is lost. */
static void several_directories(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    char second[600], log[700] = "";
    const char *dirs[] = {second};
    struct broker_options o = {.data_dir = f->dir, .data_dirs = dirs, .data_dir_count = 1};
    snprintf(second, sizeof second, "%s.second", f->dir);
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    create(f, "t", 2);
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < 3; i++)
            produce(f, "t", p, "v", i, 1);
    fixture_close(f);
    EXPECT(f, &s, CHECK_KIND_COUNT);
    assert_int_equal(s.report.partitions, 3);
    assert_true(s.report.clean);
    for (int p = 0; p < 2 && !log[0]; p++) {
        snprintf(log, sizeof log, "%s/logs/t-%d/00000000000000000000.log", second, p);
        if (!io_exists(log))
            log[0] = '\0';
    }
    assert_true(log[0]);
    char name[800];
    snprintf(name, sizeof name, "../%s", strrchr(second, '/') + 1);
    snprintf(name + strlen(name), sizeof name - strlen(name), "%s", log + strlen(second));
    flip(f, name, 65, 1);
    EXPECT(f, &s, CHECK_DAMAGED_BATCH);
    assert_string_equal(s.path[CHECK_DAMAGED_BATCH], log);
    uint64_t left;
    assert_true(mend(f, REPAIR_DAMAGE, false, false, &left) >= 1);
    assert_int_equal(left, 0);
    char aside[700];
    snprintf(aside, sizeof aside, "%s/set-aside", second);
    assert_true(io_exists(aside)); /* beside what it was taken from */
    run_fsck(f, &s);
    assert_int_equal(s.report.findings[CHECK_ERROR] + s.report.findings[CHECK_WARNING], 0);
    assert_ok(io_remove_tree(second, &f->e), &f->e);
    EXPECT(f, &s, CHECK_MISSING_DIRECTORY);
}

/* The page for 3 a.m. has a section for every finding, and the table for every repair. */
static void every_finding_is_explained(void **state)
{
    struct err e;
    char *page;
    size_t n;
    (void)state;
    assert_ok(io_read_file("docs/operations.md", 1 << 20, &page, &n, &e), &e);
    for (int k = 0; k < CHECK_KIND_COUNT; k++) {
        const char *name = check_kind_name((enum check_kind)k);
        bool found = false;
        for (char *line = page; line && !found; line = strchr(line + 1, '\n')) {
            size_t length = strcspn(line + 1, "\n");
            const char *at = strncmp(line, "\n### ", 5) == 0 ? strstr(line, name) : NULL;
            found = at && at <= line + length;
        }
        if (!found)
            fail_msg("docs/operations.md has no section for %s", name);
        assert_true(strlen(check_kind_meaning((enum check_kind)k)) > 10);
    }
    for (int r = REPAIR_NONE + 1; r < REPAIR_KINDS; r++) {
        char row[32];
        snprintf(row, sizeof row, "| `%s` |", check_repair_name((enum check_repair)r));
        assert_non_null(strstr(page, row));
    }
    mem_free(page);
}

struct told {
    uint64_t last, total;
    int times;
};

static int note_progress(void *arg, const char *partition, uint64_t bytes, uint64_t total, struct err *e)
{
    struct told *t = arg;
    (void)e;
    assert_non_null(strrchr(partition, '-'));
    assert_true(bytes > t->last && bytes <= total);
    assert_true(t->times == 0 || total == t->total);
    t->last = bytes;
    t->total = total;
    t->times++;
    return ERR_OK;
}

static int see_nothing(void *arg, const struct check_finding *f, struct err *e)
{
    (void)arg, (void)f, (void)e;
    return ERR_OK;
}

/* How much there is, is known from the start, of many small segments, too; leftovers, which are not read, do not count. */
static void progress_tells_how_much_is_left(void **state)
{
    struct fixture *f = *state;
    struct told t = {0};
    struct fsck_report r;
    struct fsck_options o = {.data_dir = f->dir, .found = see_nothing, .progress = note_progress, .arg = &t};
    assert_int_equal(mkdir(path_of(f, "logs/x-0.00000000000000000000000000000000-delete"), 0700), 0);
    put_file(f, "logs/x-0.00000000000000000000000000000000-delete/00000000000000000000.log", "not read");
    assert_ok(broker_fsck(&o, &r, &f->e), &f->e);
    assert_int_equal(t.times, 2);
    assert_int_equal(t.total, r.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_finding_is_explained),
        cmocka_unit_test_setup_teardown(a_sound_directory_has_no_findings, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(a_directory_in_use_is_refused, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(every_bit_of_a_batch_counts, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(each_structure, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(transactions_and_producers, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(small_files, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(names, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(metadata_and_journal, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(an_unclean_end_is_no_error, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(damage_is_mended, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(the_end_is_mended, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(damage_and_the_end_are_mended, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(the_last_offset_is_mended, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(the_end_is_mended_with_the_journal, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(derived_files_are_mended, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(several_directories, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_journal_is_set_aside, setup_filled, teardown_filled),
        cmocka_unit_test_setup_teardown(progress_tells_how_much_is_left, setup_filled, teardown_filled),
    };
    return cmocka_run_group_tests_name("fsck", tests, NULL, NULL);
}
