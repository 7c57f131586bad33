/*
 * Reads what Kafka wrote: every batch of every recorded segment, record by record, against what a Kafka
 * client saw.
 */
#include "tests/lib/testkit.h"

#include <dirent.h>
#include <jansson.h>
#include <sys/stat.h>

#include "record/record.h"

#define SEGMENTS "tests/data/segments"
#define SCRATCH_MAX (64u << 20)

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted names in `dir` that `wanted` takes; freed with names_free. */
static char **names_in(const char *dir, bool (*wanted)(const char *dir, const char *name), size_t *count)
{
    DIR *d = opendir(dir);
    if (!d)
        fail_msg("no directory %s: run from the top of the repository", dir);
    char **names = NULL;
    *count = 0;
    for (struct dirent *entry; (entry = readdir(d));)
        if (entry->d_name[0] != '.' && wanted(dir, entry->d_name)) {
            names = realloc(names, (*count + 1) * sizeof *names);
            names[(*count)++] = strdup(entry->d_name);
        }
    closedir(d);
    if (*count)
        qsort(names, *count, sizeof *names, by_name);
    return names;
}

static void names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static bool is_directory(const char *dir, const char *name)
{
    char path[1024];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_log(const char *dir, const char *name)
{
    (void)dir;
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".log") == 0;
}

static uint8_t *read_whole(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*n + 1);
    assert_int_equal(fread(data, 1, *n, f), *n);
    fclose(f);
    return data;
}

/* Compares bytes with a JSON string, null, or {"hex": ...}. */
static bool same_bytes(json_t *expected, const uint8_t *data, int32_t n)
{
    if (json_is_null(expected))
        return data == NULL && n == -1;
    if (!data || n < 0)
        return false;
    const char *hex = json_string_value(json_object_get(expected, "hex"));
    if (!hex)
        return json_string_length(expected) == (size_t)n &&
               memcmp(json_string_value(expected), data, (size_t)n) == 0;
    if (strlen(hex) != 2 * (size_t)n)
        return false;
    for (int32_t i = 0; i < n; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1 || byte != data[i])
            return false;
    }
    return true;
}

static void check_headers(json_t *expected, const struct record *r)
{
    struct slice left = r->headers;
    struct record_header h;
    struct err e = {0};
    assert_int_equal(json_array_size(expected), r->header_count);
    for (int32_t i = 0; i < r->header_count; i++) {
        json_t *pair = json_array_get(expected, (size_t)i);
        assert_ok(record_next_header(&left, &h, &e), &e);
        assert_true(same_bytes(json_array_get(pair, 0), (const uint8_t *)h.key, h.key_len));
        assert_true(same_bytes(json_array_get(pair, 1), h.value, h.value_len));
    }
    assert_code(record_next_header(&left, &h, &e), ERR_END, &e);
}

static void check_record(json_t *expected, const struct batch_header *h, const struct record *r)
{
    bool append_time = h->attributes & BATCH_LOG_APPEND_TIME;
    assert_int_equal(json_integer_value(json_object_get(expected, "offset")), r->offset);
    assert_int_equal(json_integer_value(json_object_get(expected, "timestamp")), r->timestamp);
    assert_string_equal(json_string_value(json_object_get(expected, "timestamp_type")),
                        append_time ? "LogAppendTime" : "CreateTime");
    assert_int_equal(json_integer_value(json_object_get(expected, "leader_epoch")), h->leader_epoch);
    assert_true(same_bytes(json_object_get(expected, "key"), r->key, r->key_len));
    assert_true(same_bytes(json_object_get(expected, "value"), r->value, r->value_len));
    check_headers(json_object_get(expected, "headers"), r);
}

struct progress {
    json_t *records;
    size_t seen;  /* of them */
    int64_t next; /* offset */
    struct buf scratch;
};

static void check_batch(const uint8_t *data, size_t n, struct progress *p, size_t *size)
{
    struct batch_header h;
    struct batch_iter it;
    struct record r;
    struct err e = {0};
    int rc;
    assert_ok(batch_check(data, n, &h, &e), &e);
    assert_ok(batch_validate(data, n, false, &p->scratch, &h, &e), &e);
    assert_true(h.base_offset >= p->next);
    assert_ok(batch_iter_init(&it, data, n, &p->scratch, &e), &e);
    while ((rc = batch_iter_next(&it, &r, &e)) == ERR_OK) {
        if (h.attributes & BATCH_CONTROL)
            continue;
        json_t *expected = json_array_get(p->records, p->seen++);
        assert_non_null(expected);
        check_record(expected, &h, &r);
    }
    assert_code(rc, ERR_END, &e);
    p->next = batch_last_offset(&h) + 1;
    *size = batch_size(&h);
}

static void check_partition(const char *dir, struct progress *p)
{
    size_t count;
    char **logs = names_in(dir, is_log, &count);
    for (size_t i = 0; i < count; i++) {
        char path[2048];
        size_t n, size;
        snprintf(path, sizeof path, "%s/%s", dir, logs[i]);
        uint8_t *data = read_whole(path, &n);
        for (size_t at = 0; at < n; at += size)
            check_batch(data + at, n - at, p, &size);
        free(data);
    }
    assert_true(count > 0);
    names_free(logs, count);
}

static void check_case(const char *name)
{
    char dir[512], path[1024];
    size_t count;
    json_error_t why;
    snprintf(dir, sizeof dir, "%s/%s", SEGMENTS, name);
    snprintf(path, sizeof path, "%s/expected.json", dir);
    json_t *expected = json_load_file(path, JSON_ALLOW_NUL, &why);
    if (!expected)
        fail_msg("%s: %s", path, why.text);
    char **partitions = names_in(dir, is_directory, &count);
    assert_int_equal(count, 1);
    snprintf(path, sizeof path, "%s/%s", dir, partitions[0]);
    struct progress p = {.records = json_object_get(expected, "records")};
    buf_init(&p.scratch, SCRATCH_MAX);
    check_partition(path, &p);
    assert_int_equal(p.seen, json_array_size(p.records));
    assert_int_equal(p.next, json_integer_value(json_object_get(expected, "high_watermark")));
    buf_free(&p.scratch);
    names_free(partitions, count);
    json_decref(expected);
}

static void test_every_case_reads_as_kafkas_client_saw_it(void **state)
{
    (void)state;
    size_t count, checked = 0;
    char **cases = names_in(SEGMENTS, is_directory, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(cases[i], "log-dir-files") == 0)
            continue;
        print_message("  %s\n", cases[i]);
        check_case(cases[i]);
        checked++;
    }
    assert_int_equal(checked, 25);
    names_free(cases, count);
}

/* The first batch of a case's first segment with all of its file after it; free(). */
static uint8_t *load(const char *path, size_t *n)
{
    char full[1024];
    snprintf(full, sizeof full, "%s/%s", SEGMENTS, path);
    return read_whole(full, n);
}

static void test_markers_are_kafkas_byte_for_byte(void **state)
{
    (void)state;
    size_t n, markers = 0;
    struct err e = {0};
    struct batch_header h;
    uint8_t *data = load("txn/txn-0/00000000000000000002.log", &n);
    for (size_t at = 0; at < n; at += batch_size(&h)) {
        assert_ok(batch_check(data + at, n - at, &h, &e), &e);
        if (!(h.attributes & BATCH_CONTROL))
            continue;
        int16_t type;
        int32_t epoch;
        assert_ok(marker_decode(data + at, n - at, &type, &epoch, &e), &e);
        assert_int_equal(epoch, 0);
        struct buf ours;
        buf_init(&ours, 4096);
        assert_ok(marker_build(&ours, h.producer_id, h.producer_epoch, type == MARKER_COMMIT, epoch,
                               h.max_timestamp, &e),
                  &e);
        batch_assign(ours.data, h.base_offset, h.leader_epoch);
        assert_int_equal(ours.len, batch_size(&h));
        assert_memory_equal(ours.data, data + at, ours.len);
        buf_free(&ours);
        markers++;
    }
    assert_int_equal(markers, 5);
    free(data);
}

/* What librdkafka encoded, encoded again from the decoded records, must be the same bytes. */
static void test_builder_writes_what_librdkafka_wrote(void **state)
{
    (void)state;
    static const char *const files[] = {
        "headers-nulls/headers-nulls-0/00000000000000000000.log",
        "codec-none/codec-none-0/00000000000000000000.log",
        "idempotent/idempotent-0/00000000000000000000.log",
    };
    struct err e = {0};
    struct batch_builder *b = batch_builder_new(&(struct batch_options){0}, &e);
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        size_t n;
        struct batch_iter it;
        uint8_t *data = load(files[f], &n);
        for (size_t at = 0; at < n; at += batch_size(&it.header)) {
            struct record r;
            assert_ok(batch_iter_init(&it, data + at, n - at, NULL, &e), &e);
            while (batch_iter_next(&it, &r, &e) == ERR_OK) {
                struct record_header headers[8];
                struct slice left = r.headers;
                for (int32_t i = 0; i < r.header_count; i++)
                    assert_ok(record_next_header(&left, &headers[i], &e), &e);
                assert_ok(batch_builder_add(b, r.timestamp, r.key, (size_t)r.key_len, r.value,
                                            (size_t)r.value_len, headers, r.header_count, &e),
                          &e);
            }
            const struct batch_header *h = &it.header;
            uint8_t *ours;
            size_t size;
            assert_ok(batch_builder_finish(b,
                                           &(struct batch_producer){h->producer_id, h->producer_epoch,
                                                                    h->base_sequence, false},
                                           &ours, &size, &e),
                      &e);
            batch_assign(ours, h->base_offset, h->leader_epoch);
            assert_int_equal(size, batch_size(h));
            assert_memory_equal(ours, data + at, size);
        }
        free(data);
    }
    batch_builder_free(b);
}

static void test_log_append_time_is_kafkas(void **state)
{
    (void)state;
    size_t n;
    struct err e = {0};
    struct batch_header h;
    uint8_t *data = load("append-time/append-time-0/00000000000000000000.log", &n);
    assert_ok(batch_check(data, n, &h, &e), &e);
    size_t size = batch_size(&h);
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    copy[22] &= (uint8_t)~BATCH_LOG_APPEND_TIME;
    memset(copy + 17, 0, 4);
    memset(copy + 35, 0, 8);
    batch_set_log_append_time(copy, h.max_timestamp);
    assert_memory_equal(copy, data, size);
    free(copy);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_case_reads_as_kafkas_client_saw_it),
        cmocka_unit_test(test_markers_are_kafkas_byte_for_byte),
        cmocka_unit_test(test_builder_writes_what_librdkafka_wrote),
        cmocka_unit_test(test_log_append_time_is_kafkas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
