/*
 * The engine with a target in memory: the same files however records are handed over, rounds, rotation, limits, what is
 * reported as stored, and every failure of target and memory.
 */
#include "kit/filer.h"

#include <errno.h>

#include "base/mem.h"
#include "tests/lib/testkit.h"
#include "tests/unit/file/fake_sink_host.h"

/* ---- a target in memory ---------------------------------------------------------------------------------------- */

struct memory_file {
    struct buf data;
    char name[256];
};

struct memory {
    struct buf log; /* "[next: name=contents ...]" of each round; contents as they came */
    int open, dropped, fail_commit;
};

static int memory_open(void *arg, const struct filer_file *f, void **handle, struct err *e)
{
    struct memory *m = arg;
    struct memory_file *file = mem_calloc(1, sizeof(*file));
    if (!file)
        return err_nomem(e);
    buf_init(&file->data, SIZE_MAX);
    snprintf(file->name, sizeof(file->name), "%s/%s+%d+%lld%s", f->encoded_partition, f->topic,
             (int)f->partition, (long long)f->start_offset, f->extension);
    m->open++;
    *handle = file;
    return ERR_OK;
}

static int memory_write(void *arg, void *handle, const void *data, size_t n, struct err *e)
{
    (void)arg;
    struct memory_file *file = handle;
    return buf_append(&file->data, data, n, e);
}

static void memory_close(struct memory *m, struct memory_file *file)
{
    m->open--;
    buf_free(&file->data);
    mem_free(file);
}

static int memory_commit(void *arg, const struct filer_round *round, struct err *e)
{
    struct memory *m = arg;
    if (m->fail_commit && m->fail_commit-- == 1)
        return err_set(e, ERR_REMOTE, "no");
    size_t before = m->log.len;
    int rc = buf_printf(&m->log, e, "[%lld:", (long long)round->next);
    for (size_t i = 0; i < round->count && rc == ERR_OK; i++) {
        struct memory_file *file = round->handles[i];
        assert_int_equal(round->files[i]->bytes_out, file->data.len);
        rc = buf_printf(&m->log, e, " %s*%lld..%lld=", file->name, (long long)round->files[i]->records,
                        (long long)round->files[i]->last_offset);
        if (rc == ERR_OK)
            rc = buf_append(&m->log, file->data.data, file->data.len, e);
    }
    if (rc == ERR_OK)
        rc = buf_u8(&m->log, ']', e);
    if (rc != ERR_OK) {
        m->log.len = before;
        return rc;
    }
    for (size_t i = 0; i < round->count; i++)
        memory_close(m, round->handles[i]);
    return ERR_OK;
}

static void memory_drop(void *arg, void *handle)
{
    struct memory *m = arg;
    m->dropped++;
    memory_close(m, handle);
}

static const struct filer_target memory_target = {memory_open, memory_write, memory_commit, memory_drop};

/* ---- rig ------------------------------------------------------------------------------------------------------- */

static int64_t now;
static int64_t read_now(void)
{
    return now;
}

struct rig {
    struct leat_task task;
    struct record_view view;
    struct memory memory;
    struct filer_config config;
    struct filer *filer;
};

static const char *const field_c[] = {"c"};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    r->task.value = LEAT_CONVERTER_JSON;
    record_view_init(&r->view, &fake_host, &r->task);
    buf_init(&r->memory.log, SIZE_MAX);
    now = 1763665200000;
    r->config =
        (struct filer_config){.encode = {.format = ENCODE_JSON},
                              .level = COMPRESS_LEVEL_DEFAULT,
                              .partitioner = {.fields = field_c, .field_count = 1, .clock = CLOCK_RECORD},
                              .now_ms = read_now};
    *state = r;
    return 0;
}

static void stop(struct rig *r)
{
    filer_free(r->filer);
    r->filer = NULL;
    assert_int_equal(r->memory.open, 0);
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    stop(r);
    buf_free(&r->memory.log);
    free(r);
    return 0;
}

static void start(struct rig *r, int64_t next)
{
    struct err e;
    assert_ok(filer_new(&r->config, &r->view, &memory_target, &r->memory, &r->filer, &e), &e);
    assert_ok(filer_assign(r->filer, "t", 0, next, "", &e), &e);
}

static void put(struct rig *r, int64_t offset, const char *value)
{
    struct err e;
    struct leat_record record = fake_record(0, offset, value);
    assert_ok(filer_put(r->filer, &record, 1, &e), &e);
}

static int64_t flush(struct rig *r, bool final, int64_t *next_ms)
{
    struct err e;
    int64_t unused;
    struct leat_offset o = {"t", 0, -7}; /* stays if there is nothing to report */
    assert_ok(filer_flush(r->filer, final, &o, 1, next_ms ? next_ms : &unused, &e), &e);
    return o.offset;
}

static void assert_log(struct rig *r, const char *expected)
{
    struct err e;
    assert_ok(buf_u8(&r->memory.log, 0, &e), &e);
    assert_string_equal((char *)r->memory.log.data, expected);
    buf_reset(&r->memory.log);
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

/* All formats and codecs: however the records come, the same rounds with the same bytes. */
static void run_split(struct rig *r, size_t batch, struct buf *out)
{
    struct err e;
    buf_reset(&r->memory.log);
    start(r, -1);
    static char text[3000][64];
    struct leat_record records[3000];
    for (int i = 0; i < 3000; i++) {
        snprintf(text[i], sizeof(text[i]), "{\"i\": %d, \"c\": %d, \"x\": %u}", i, i % 3,
                 (unsigned)i * 2654435761u);
        records[i] = fake_record(0, i, text[i]);
        records[i].timestamp = 1763665200000 + i * 1000;
    }
    for (size_t i = 0; i < 3000; i += batch) {
        size_t n = 3000 - i < batch ? 3000 - i : batch;
        assert_ok(filer_put(r->filer, records + i, n, &e), &e);
        now += 12345; /* the clock must not matter */
        flush(r, false, NULL);
    }
    stop(r);
    assert_ok(buf_append(out, r->memory.log.data, r->memory.log.len, &e), &e);
}

static void test_the_same_files_however_records_come(void **state)
{
    struct rig *r = *state;
    static const char *const columns[] = {"offset", "value.i"};
    r->config.encode.csv_columns = columns;
    r->config.encode.csv_column_count = 2;
    r->config.encode.csv_header = true;
    static const struct rotation_config rotations[] = {
        {.records = 700}, {.bytes = 9999}, {.interval_ms = 500000}};
    for (int i = 0; i < 3 * 3 * 3; i++) {
        r->config.encode.format = (enum encode_format)(i % 3);
        r->config.codec = (enum compress_codec)(i / 3 % 3);
        r->config.rotation = rotations[i / 9];
        r->config.partitioner.kind = i / 9 == 2 ? PARTITION_HOURLY : PARTITION_FIELD;
        struct buf first, again;
        buf_init(&first, SIZE_MAX);
        run_split(r, 3000, &first);
        assert_true(first.len > 1000);
        static const size_t batches[] = {1, 7, 699};
        for (size_t k = 0; k < 3; k++) {
            buf_init(&again, SIZE_MAX);
            run_split(r, batches[k], &again);
            assert_int_equal(first.len, again.len);
            assert_memory_equal(first.data, again.data, first.len);
            buf_free(&again);
        }
        buf_free(&first);
        start(r, -1);
        assert_true(filer_is_deterministic(r->filer));
        stop(r);
    }
}

static void test_rounds_hold_all_open_files(void **state)
{
    struct rig *r = *state;
    r->config.partitioner.kind = PARTITION_FIELD;
    r->config.rotation.records = 3;
    start(r, -1);
    assert_int_equal(flush(r, false, NULL), -7);
    put(r, 4, "{\"c\":1}");
    put(r, 5, "{\"c\":2}");
    assert_int_equal(flush(r, false, NULL), -7);
    put(r, 8, "{\"c\":1}");
    put(r, 9, "{\"c\":3}");
    assert_int_equal(flush(r, false, NULL), 9);
    assert_int_equal(filer_stats(r->filer).open, 1);
    assert_int_equal(filer_stats(r->filer).files, 2);
    assert_int_equal(filer_stats(r->filer).records, 3);
    stop(r);
    assert_int_equal(r->memory.dropped, 1);
    assert_log(r, "[9: c=1/t+0+4.json*2..8={\"c\":1}\n{\"c\":1}\n c=2/t+0+5.json*1..5={\"c\":2}\n]");
}

static void test_record_time_and_change_of_directory(void **state)
{
    struct rig *r = *state;
    r->config.partitioner.kind = PARTITION_HOURLY;
    r->config.rotation.interval_ms = 600000;
    r->config.rotation.on_partition_change = true;
    start(r, -1);
    static const int64_t minutes[] = {0, 9, 10, 50, 59, 60, 5, 61};
    for (int i = 0; i < 8; i++) {
        struct err e;
        struct leat_record record = fake_record(0, i, "0");
        record.timestamp = 1763665200000 + minutes[i] * 60000;
        assert_ok(filer_put(r->filer, &record, 1, &e), &e);
    }
    assert_int_equal(flush(r, false, NULL), 7);
    const char *h19 = "year=2025/month=11/day=20/hour=19", *h20 = "year=2025/month=11/day=20/hour=20";
    char expected[1024];
    snprintf(expected, sizeof(expected),
             "[2: %s/t+0+0.json*2..1=0\n0\n][3: %s/t+0+2.json*1..2=0\n][5: %s/t+0+3.json*2..4=0\n0\n]"
             "[6: %s/t+0+5.json*1..5=0\n][7: %s/t+0+6.json*1..6=0\n]",
             h19, h19, h19, h20, h19);
    assert_log(r, expected);
}

static void test_schedule_by_the_wall_clock(void **state)
{
    struct rig *r = *state;
    int64_t next_ms;
    r->config.rotation.schedule_ms = 60000;
    start(r, -1);
    assert_false(filer_is_deterministic(r->filer));
    now += 10000;
    assert_int_equal(flush(r, false, &next_ms), -7);
    assert_int_equal(next_ms, -1);
    put(r, 0, "0");
    flush(r, false, &next_ms);
    assert_int_equal(next_ms, 50000);
    now += 49999;
    assert_int_equal(flush(r, false, &next_ms), -7);
    now += 1;
    assert_int_equal(flush(r, false, &next_ms), 1);
    assert_int_equal(next_ms, -1);
    put(r, 1, "1");
    now += 60001;
    put(r, 2, "2"); /* found by a record that comes before a flush */
    assert_log(r, "[1: partition=0/t+0+0.json*1..0=0\n][2: partition=0/t+0+1.json*1..1=1\n]");
}

static void test_open_files_have_a_limit(void **state)
{
    struct rig *r = *state;
    r->config.partitioner.kind = PARTITION_FIELD;
    r->config.open_files_max = 2;
    start(r, -1);
    assert_true(filer_is_deterministic(r->filer));
    put(r, 0, "{\"c\":1}");
    put(r, 1, "{\"c\":2}");
    put(r, 2, "{\"c\":1}");
    assert_int_equal(filer_stats(r->filer).open, 2);
    put(r, 3, "{\"c\":3}");
    assert_int_equal(filer_stats(r->filer).open, 1);
    assert_int_equal(flush(r, false, NULL), 3);
    assert_log(r, "[3: c=1/t+0+0.json*2..2={\"c\":1}\n{\"c\":1}\n c=2/t+0+1.json*1..1={\"c\":2}\n]");
}

static void test_a_clean_stop(void **state)
{
    struct rig *r = *state;
    r->config.complete_on_stop = true;
    start(r, -1);
    put(r, 0, "0");
    assert_int_equal(flush(r, true, NULL), 1);
    assert_log(r, "[1: partition=0/t+0+0.json*1..0=0\n]");
}

static void test_ignored_records_are_stored_too(void **state)
{
    struct rig *r = *state;
    r->config.encode.nulls = ENCODE_NULLS_IGNORE;
    start(r, -1);
    put(r, 3, NULL);
    assert_int_equal(flush(r, false, NULL), 4);
    put(r, 4, "1");
    put(r, 5, NULL);
    assert_int_equal(flush(r, false, NULL), 4); /* not beyond the open file's first record */
}

static void test_tombstones_apart(void **state)
{
    struct rig *r = *state;
    struct err e;
    r->config.encode.nulls = ENCODE_NULLS_WRITE;
    r->config.tombstone_partition = "tombstone";
    r->config.rotation.records = 2;
    r->task.key = LEAT_CONVERTER_STRING;
    record_view_init(&r->view, &fake_host, &r->task);
    start(r, -1);
    put(r, 0, "1");
    struct leat_record gone = fake_record(0, 1, NULL);
    gone.key = "k";
    gone.key_len = 1;
    assert_ok(filer_put(r->filer, &gone, 1, &e), &e);
    assert_log(r, "[2: partition=0/t+0+0.json*1..0=1\n tombstone/t+0+1.keys.json*1..1=\"k\"\n]");
}

static void test_recovered_records_are_skipped(void **state)
{
    struct rig *r = *state;
    r->config.rotation.records = 1;
    start(r, 5);
    put(r, 3, "3");
    put(r, 4, "4");
    assert_int_equal(flush(r, false, NULL), 5);
    put(r, 5, "5");
    assert_log(r, "[6: partition=0/t+0+5.json*1..5=5\n]");
}

static void test_offsets_only_rise(void **state)
{
    struct rig *r = *state;
    struct err e;
    start(r, -1);
    put(r, 3, "3");
    struct leat_record again = fake_record(0, 3, "3"), other = fake_record(9, 0, "3");
    assert_code(filer_put(r->filer, &again, 1, &e), ERR_INVALID, &e);
    assert_string_equal(e.text, "t-0: offset 3 came after 3");
    assert_code(filer_put(r->filer, &other, 1, &e), ERR_UNKNOWN_TOPIC, &e);
}

static void test_a_failed_commit_stores_nothing(void **state)
{
    struct rig *r = *state;
    struct err e;
    r->config.rotation.records = 2;
    r->memory.fail_commit = 1;
    start(r, -1);
    put(r, 0, "0");
    struct leat_record record = fake_record(0, 1, "1");
    assert_code(filer_put(r->filer, &record, 1, &e), ERR_REMOTE, &e);
    stop(r);
    assert_int_equal(r->memory.dropped, 1);
    assert_int_equal(r->memory.log.len, 0);
}

static void run_without_memory(void *arg)
{
    struct rig *r = arg;
    struct err e;
    buf_reset(&r->memory.log);
    int rc = filer_new(&r->config, &r->view, &memory_target, &r->memory, &r->filer, &e);
    if (rc == ERR_OK)
        rc = filer_assign(r->filer, "t", 0, -1, "", &e);
    for (int i = 0; i < 4 && rc == ERR_OK; i++) {
        struct leat_record record = fake_record(0, i, i % 2 ? "{\"c\":1}" : "{\"c\":\"\\u0032\"}");
        rc = filer_put(r->filer, &record, 1, &e);
    }
    stop(r);
    if (rc == ERR_OK) {
        fault_disarm();
        assert_log(r, "[4: c=2/t+0+0.json*2..2={\"c\":\"\\u0032\"}\n{\"c\":\"\\u0032\"}\n "
                      "c=1/t+0+1.json*2..3={\"c\":1}\n{"
                      "\"c\":1}\n]");
    } else {
        assert_int_equal(rc, ERR_NO_MEMORY);
        assert_int_equal(r->memory.log.len, 0);
    }
}

static void test_without_memory(void **state)
{
    struct rig *r = *state;
    r->config.partitioner.kind = PARTITION_FIELD;
    r->config.rotation.records = 4;
    uint64_t nth = 1;
    for (;; nth++) {
        fault_arm(FAULT_ALLOC, nth, ENOMEM, false);
        run_without_memory(r);
        uint64_t passes = fault_passes(FAULT_ALLOC);
        fault_disarm();
        if (passes < nth)
            break;
    }
    assert_true(nth > 20);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_the_same_files_however_records_come),
        T(test_rounds_hold_all_open_files),
        T(test_record_time_and_change_of_directory),
        T(test_schedule_by_the_wall_clock),
        T(test_open_files_have_a_limit),
        T(test_a_clean_stop),
        T(test_ignored_records_are_stored_too),
        T(test_tombstones_apart),
        T(test_recovered_records_are_skipped),
        T(test_offsets_only_rise),
        T(test_a_failed_commit_stores_nothing),
        T(test_without_memory),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
