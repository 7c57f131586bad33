/*
 * test_fixtures: opens every partition directory recorded from Kafka 4.3.1 in three ways (as Kafka left it, as after a
 * crash, and without any index) and compares what comes out with what a Kafka consumer saw; then compares the files that
 * we would have written with Kafka's, byte by byte.
 */
#include "kit.h"

#include <jansson.h>

#define SEGMENTS "tests/data/segments"

enum how { AS_LEFT, AS_CRASHED, WITHOUT_INDEXES, HOWS };

struct expected {
    json_t *root;
    int64_t start, watermark, stable;
};

static bool is_visible(const struct aborted_txn *list, size_t n, const struct batch_header *h)
{
    for (size_t i = 0; i < n; i++)
        if ((h->attributes & BATCH_TRANSACTIONAL) && list[i].producer_id == h->producer_id &&
            list[i].first_offset <= h->base_offset && h->base_offset <= list[i].last_offset)
            return false;
    return true;
}

static bool same(json_t *value, const uint8_t *data, int32_t n)
{
    if (json_is_null(value))
        return data == NULL;
    if (json_is_string(value))
        return data && (size_t)n == json_string_length(value) &&
               memcmp(data, json_string_value(value), (size_t)n) == 0;
    const char *hex = json_string_value(json_object_get(value, "hex"));
    if (!hex || !data || strlen(hex) != (size_t)n * 2)
        return false;
    for (int32_t i = 0; i < n; i++) {
        unsigned b;
        if (sscanf(hex + 2 * i, "%2x", &b) != 1 || b != data[i])
            return false;
    }
    return true;
}

/* Checks the records of one batch; *i is the index of the next expected one. */
static void check_batch(const struct expected *x, const uint8_t *data, size_t n,
                        const struct aborted_txn *aborted, size_t aborted_count, size_t *i)
{
    struct err e = {0};
    struct batch_iter it;
    struct record r;
    struct buf scratch;
    buf_init(&scratch, 64u << 20);
    assert_ok(batch_iter_init(&it, data, n, &scratch, &e), &e);
    bool visible = is_visible(aborted, aborted_count, &it.header);
    int rc = ERR_OK;
    while (!(it.header.attributes & BATCH_CONTROL) && (rc = batch_iter_next(&it, &r, &e)) == ERR_OK) {
        json_t *want = json_array_get(json_object_get(x->root, "records"), (*i)++);
        assert_non_null(want);
        assert_int_equal(r.offset, json_integer_value(json_object_get(want, "offset")));
        assert_int_equal(r.timestamp, json_integer_value(json_object_get(want, "timestamp")));
        assert_int_equal(it.header.leader_epoch, json_integer_value(json_object_get(want, "leader_epoch")));
        assert_true(same(json_object_get(want, "key"), r.key, r.key_len));
        assert_true(same(json_object_get(want, "value"), r.value, r.value_len));
        bool expected = json_is_true(json_object_get(want, "visible_read_committed"));
        assert_int_equal(visible && r.offset < x->stable, expected);
    }
    if (rc != ERR_END)
        assert_ok(rc, &e);
    buf_free(&scratch);
}

static void check_records(struct log *log, const struct expected *x)
{
    struct err e = {0};
    struct aborted_txn *aborted;
    size_t aborted_count, i = 0;
    assert_ok(log_aborted(log, 0, x->watermark, &aborted, &aborted_count, &e), &e);
    for (int64_t next = x->start; next < x->watermark;) {
        struct log_range r;
        assert_ok(log_locate(log, next, 1 << 20, READ_UNCOMMITTED, &r, &e), &e);
        if (r.bytes == 0)
            break; /* compaction took what was last */
        uint8_t *data = malloc(r.bytes);
        assert_ok(log_range_read(&r, 0, data, r.bytes, &e), &e);
        for (size_t at = 0; at < r.bytes;) {
            struct batch_header h;
            assert_ok(batch_check(data + at, r.bytes - at, &h, &e), &e);
            check_batch(x, data + at, batch_size(&h), aborted, aborted_count, &i);
            at += batch_size(&h);
        }
        next = r.next_offset;
        free(data);
        log_range_release(&r);
    }
    assert_int_equal(i, json_array_size(json_object_get(x->root, "records")));
    mem_free(aborted);
}

static void remove_indexes(const char *dir)
{
    DIR *d = opendir(dir);
    for (const struct dirent *en; (en = readdir(d));)
        if (strstr(en->d_name, "index") || strstr(en->d_name, ".snapshot")) {
            char *path = join(dir, en->d_name);
            unlink(path);
            mem_free(path);
        }
    closedir(d);
}

static void check_partition(const char *from, const struct expected *x, enum how how)
{
    char *dir = testkit_dir();
    char *copy = join(dir, "p-0");
    copy_dir(from, copy);
    if (how == WITHOUT_INDEXES)
        remove_indexes(copy);
    struct log_recovery report;
    struct log_open_args a = open_args(copy);
    memset(&a.topic_id, 0, sizeof a.topic_id);
    a.clean = how != AS_CRASHED;
    a.recovery_point = a.clean ? x->watermark : 0;
    struct log *log = open_log(&a, &report);
    assert_int_equal(log_start_offset(log), x->start);
    assert_int_equal(log_end_offset(log), x->watermark);
    assert_int_equal(report.cut_bytes, 0);
    assert_int_equal(report.scanned_bytes, how == AS_CRASHED ? log_size(log) : 0);
    if (how == AS_LEFT)
        assert_int_equal(report.indexes_rebuilt, 0);
    log_set_high_watermark(log, x->watermark);
    assert_int_equal(log_last_stable_offset(log), x->stable);
    check_records(log, x);
    close_log(log, true);
    testkit_remove_dir(dir);
    mem_free(copy);
}

/* Calls `each` with the path of every recorded partition directory. */
static void each_partition(void (*each)(const char *dir, const struct expected *x))
{
    int cases = 0;
    DIR *d = opendir(SEGMENTS);
    assert_non_null(d);
    for (const struct dirent *en; (en = readdir(d));) {
        char path[512], dir[1024];
        json_error_t je;
        snprintf(path, sizeof path, SEGMENTS "/%s/expected.json", en->d_name);
        if (en->d_name[0] == '.' || access(path, R_OK) != 0)
            continue;
        struct expected x = {.root = json_load_file(path, JSON_ALLOW_NUL, &je)};
        assert_non_null(x.root);
        x.start = json_integer_value(json_object_get(x.root, "log_start_offset"));
        x.watermark = json_integer_value(json_object_get(x.root, "high_watermark"));
        x.stable = json_integer_value(json_object_get(x.root, "read_committed_end"));
        snprintf(dir, sizeof dir, SEGMENTS "/%s/%s-%d", en->d_name,
                 json_string_value(json_object_get(x.root, "topic")),
                 (int)json_integer_value(json_object_get(x.root, "partition")));
        each(dir, &x);
        json_decref(x.root);
        cases++;
    }
    closedir(d);
    assert_true(cases >= 20);
}

static void read_all_ways(const char *dir, const struct expected *x)
{
    for (int how = 0; how < HOWS; how++)
        check_partition(dir, x, (enum how)how);
}

static void every_partition_reads_as_kafka_read_it(void **state)
{
    (void)state;
    each_partition(read_all_ways);
}

/* ---- the files themselves ---- */

static void assert_same_file(const char *a, const char *b)
{
    struct err e = {0};
    char *x, *y;
    size_t n, m;
    assert_ok(io_read_file(a, 64u << 20, &x, &n, &e), &e);
    assert_ok(io_read_file(b, 64u << 20, &y, &m, &e), &e);
    if (n != m || memcmp(x, y, n) != 0)
        fail_msg("%s (%zu bytes) and %s (%zu bytes) differ", a, n, b, m);
    mem_free(x);
    mem_free(y);
}

/*
 * After a crash and without indexes we write all of them anew: they must come out as Kafka's. index.interval.bytes was
 * 256 in the topic multi-segment.
 */
static void rebuild_and_compare(const char *from, const struct expected *x)
{
    if (strstr(from, "compacted") || strstr(from, "epochs") || strstr(from, "consumer-offsets-34"))
        return; /* the cleaner indexes by other rules; each of several clean stops added an entry */
    char *dir = testkit_dir();
    char *copy = join(dir, "p-0");
    copy_dir(from, copy);
    remove_indexes(copy);
    struct log_open_args a = open_args(copy);
    memset(&a.topic_id, 0, sizeof a.topic_id);
    if (strstr(from, "multi-segment"))
        a.config.index_interval_bytes = 256;
    (void)x;
    close_log(open_log(&a, NULL), true);
    DIR *d = opendir(from);
    for (const struct dirent *en; (en = readdir(d));) {
        /* The epoch begun by the last restart wrote nothing, so no batch tells of it. */
        if (en->d_name[0] == '.' || strstr(en->d_name, "leader-epoch"))
            continue;
        char *was = join(from, en->d_name), *is = join(copy, en->d_name);
        assert_same_file(was, is);
        mem_free(was);
        mem_free(is);
    }
    closedir(d);
    testkit_remove_dir(dir);
    mem_free(copy);
}

static void indexes_and_snapshots_come_out_as_kafkas(void **state)
{
    (void)state;
    each_partition(rebuild_and_compare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_partition_reads_as_kafka_read_it),
        cmocka_unit_test(indexes_and_snapshots_come_out_as_kafkas),
    };
    return cmocka_run_group_tests_name("fixtures", tests, NULL, NULL);
}
