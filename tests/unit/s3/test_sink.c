/*
 * The sink when the store behaves: names, contents, offsets, parts, replay, conditions.
 */
#include <zlib.h>

#include "plugins/kit/filer.h"
#include "tests/unit/s3/one_server.h"

#define MIB (1 << 20)

static void test_plain_objects(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_int_equal(run_put(&r, 0, 0, 9, 4), LEAT_OK);
    assert_int_equal(run_flush(&r, false), LEAT_OK);
    assert_int_equal(r.assigned[0].offset, 0);
    assert_int_equal(object_count(&server), 0);
    assert_int_equal(run_put(&r, 0, 9, 25, 7), LEAT_OK);
    assert_int_equal(run_flush(&r, false), LEAT_OK);
    assert_int_equal(r.assigned[0].offset, 20);
    run_close(&r);
    assert_int_equal(object_count(&server), 2);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 10, 1);
    assert_object(&r, P0 "t+0+0000000010.json", 10, 20, 1);
    assert_int_equal(upload_count(&server), 0);
    run_free(&r);
}

/* A clean stop drops what is open unless asked to complete it. */
static void test_stop(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_int_equal(run_put(&r, 0, 0, 5, 5), LEAT_OK);
    assert_int_equal(run_flush(&r, true), LEAT_OK);
    assert_int_equal(r.assigned[0].offset, 0);
    run_close(&r);
    assert_int_equal(object_count(&server), 0);
    fake_config_set(&r.config, "flush.on.stop", "true");
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_int_equal(run_put(&r, 0, 0, 5, 5), LEAT_OK);
    r.task.stopping = true;
    assert_int_equal(run_flush(&r, true), LEAT_OK);
    assert_int_equal(r.assigned[0].offset, 5);
    run_close(&r);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 5, 1);
    run_free(&r);
}

/* More than a part: 3 parts, and a replay of the whole writes the same again. */
static void test_multipart_and_replay(void **state)
{
    struct run r;
    const char *log;

    (void)state;
    run_init(&r, &server);
    r.value_size = 1 * MIB;
    fake_config_set(&r.config, "s3.part.size", "5MiB");
    fake_config_set(&r.config, "flush.size", "13");
    assert_int_equal(run_all(&r, 13, 5), 1);
    assert_int_equal(r.assigned[0].offset, 13);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 13, 1);
    log = server_ask(&server, "GET", NULL, 0, "log");
    assert_int_equal(count_lines(log, "part\t200"), 3);
    assert_int_equal(count_lines(log, "put\t"), 0);
    assert_int_equal(upload_count(&server), 0);
    r.assigned[0].offset = 0; /* a crash before the offset was stored */
    assert_int_equal(run_all(&r, 13, 3), 1);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 13, 2);
    assert_int_equal(object_count(&server), 1);
    run_free(&r);
}

/* With part 1 stuck the next ones are built all the same, as far as memory goes, and a stop does not wait for it. */
static void test_parts_are_built_beside_uploads(void **state)
{
    struct run r;
    int64_t next_ms = -1;

    (void)state;
    run_init(&r, &server);
    r.value_size = 1 * MIB;
    fake_config_set(&r.config, "s3.part.size", "5MiB");
    fake_config_set(&r.config, "flush.size", "100");
    fake_config_set(&r.config, "s3.stall.timeout.ms", "1h");
    assert_int_equal(run_open(&r), LEAT_OK);
    server_fault(&server, "part", 1, "stall", 1);
    assert_int_equal(run_put(&r, 0, 0, 13, 1), LEAT_OK);
    assert_int_equal(fake_connector()->sink->flush(r.sink, false, r.assigned, 1, &next_ms), LEAT_OK);
    assert_in_range(next_ms, 0, 1000); /* to be asked again soon */
    r.task.stopping = true;
    run_free(&r);
    assert_int_equal(object_count(&server), 0);
    assert_int_equal(upload_count(&server), 0); /* it was aborted */
}

/* Objects go up while the next ones are built; what is reported is what is stored. */
static void test_offsets_wait_for_objects(void **state)
{
    struct run r;
    int64_t next_ms = -1;

    (void)state;
    run_init(&r, &server);
    fake_config_set(&r.config, "s3.stall.timeout.ms", "1h");
    r.partitions = 2;
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_int_equal(run_write(&r, 0, 0, 20, 10), LEAT_OK);
    assert_int_equal(r.assigned[0].offset, 20);
    server_fault(&server, "put", 1, "stall", 1);
    assert_int_equal(run_put(&r, 0, 20, 45, 5), LEAT_OK);
    assert_int_equal(run_put(&r, 1, 0, 10, 5), LEAT_OK);
    assert_int_equal(fake_connector()->sink->flush(r.sink, false, r.assigned, 2, &next_ms), LEAT_OK);
    assert_int_equal(r.assigned[0].offset, 20);
    assert_int_equal(r.assigned[1].offset, 0);
    r.task.stopping = true;
    assert_int_equal(run_flush(&r, false), LEAT_RETRY);
    assert_int_equal(r.assigned[0].offset, 20);
    run_close(&r);
    r.task.stopping = false;
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_int_equal(run_put(&r, 0, 20, 45, 25), LEAT_OK);
    assert_int_equal(run_write(&r, 1, 0, 10, 5), LEAT_OK);
    assert_int_equal(r.assigned[0].offset, 40);
    assert_int_equal(r.assigned[1].offset, 10);
    assert_object(&r, P0 "t+0+0000000030.json", 30, 40, 1);
    run_free(&r);
}

static void write_as(struct run *r, const char *topic_id, int64_t to)
{
    r->task.topic_id = topic_id;
    r->assigned[0].offset = 0;
    assert_int_equal(run_all(r, to, 5), 1);
}

/* Offsets of a topic that was made anew begin again; its objects stand beside those of the old one, in the same names always. */
static void test_topic_made_anew(void **state)
{
    char key_b[64], key_c[64], mark[KIT_MARK_SIZE];
    struct run r;

    (void)state;
    run_init(&r, &server);
    r.value_size = 1 * MIB; /* multipart uploads, too */
    fake_config_set(&r.config, "s3.part.size", "5MiB");
    kit_topic_mark("id-b", mark);
    snprintf(key_b, sizeof key_b, P0 "t+0+0000000000%s.json", mark);
    kit_topic_mark("id-c", mark);
    snprintf(key_c, sizeof key_c, P0 "t+0+0000000000%s.json", mark);
    write_as(&r, "id-a", 10);
    write_as(&r, "id-a", 10); /* a replay */
    assert_object(&r, P0 "t+0+0000000000.json", 0, 10, 2);
    assert_null(strstr(r.task.log, "made anew"));
    r.value_size = 20;
    write_as(&r, "id-b", 20);
    assert_non_null(strstr(r.task.log, "topic t was made anew"));
    write_as(&r, "id-b", 20);
    assert_object(&r, key_b, 0, 10, 2);
    write_as(&r, "id-c", 10);
    assert_object(&r, key_c, 0, 10, 1);
    assert_object(&r, key_b, 0, 10, 2);
    assert_int_equal(object_count(&server), 4);
    r.value_size = 1 * MIB;
    assert_object(&r, P0 "t+0+0000000000.json", 0, 10, 2);
    run_free(&r);
}

/* Objects of others may stand before ours: the "directory" that consoles make, and Kafka Connect's of before. */
static void test_topic_made_anew_behind_others(void **state)
{
    char key[64], mark[KIT_MARK_SIZE];
    struct run r;

    (void)state;
    run_init(&r, &server);
    kit_topic_mark("id-b", mark);
    snprintf(key, sizeof key, P0 "t+0+0000000000%s.json", mark);
    server_ask(&server, "POST", "", 0, "object?key=topics/t/");
    for (int i = 0; i < 40; i++)
        server_ask(&server, "POST", "other", 5, "object?key=topics/t/older/%02d.json", i);
    write_as(&r, "id-a", 10);
    write_as(&r, "id-b", 20);
    assert_non_null(strstr(r.task.log, "topic t was made anew"));
    write_as(&r, "id-b", 20);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 10, 1);
    assert_object(&r, key, 0, 10, 2);
    run_free(&r);
}

/* What has no topic's id is replaced, as ever; who may not look is told so. */
static void test_topic_that_cannot_be_known(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    server_ask(&server, "POST", "other", 5, "object?key=topics/t/partition%%3D0/t%%2B0%%2B0000000000.json");
    write_as(&r, "id-a", 10);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 10, 2);
    server_ask(&server, "POST", "", 0, "set?deny=head");
    write_as(&r, "id-b", 10);
    assert_non_null(strstr(r.task.log, "whether topic t was made anew cannot be seen"));
    assert_object(&r, P0 "t+0+0000000000.json", 0, 10, 3);
    run_free(&r);
}

static void outlet_of(struct run *r, char out[LEAT_OUTLET_SIZE])
{
    bool by_topic = false;

    out[0] = '\0';
    assert_int_equal(fake_connector()->outlet(&r->task, &fake_host, &r->config, &by_topic, out), LEAT_OK);
    assert_true(by_topic);
}

/* Two sinks are in each other's way in one place with one extension, however it is written. */
static void test_outlet(void **state)
{
    static char a[LEAT_OUTLET_SIZE], b[LEAT_OUTLET_SIZE];
    struct run r;

    (void)state;
    run_init(&r, NULL);
    fake_config_set(&r.config, "store.url", "http://localhost:9000");
    outlet_of(&r, a);
    assert_string_equal(a, "http://localhost:9000/bucket/topics/....json");
    fake_config_set(&r.config, "store.url", "http://localhost:9000/");
    fake_config_set(&r.config, "partitioner.class", "hourly");
    outlet_of(&r, b);
    assert_string_equal(a, b);
    fake_config_set(&r.config, "s3.compression.type", "gzip");
    outlet_of(&r, b);
    assert_string_not_equal(a, b);
    fake_config_set(&r.config, "s3.compression.type", "none");
    fake_config_set(&r.config, "topics.dir", "");
    outlet_of(&r, b);
    assert_string_equal(b, "http://localhost:9000/bucket/....json");
    run_free(&r);
}

/* Whether it is exact depends on the clock alone. */
static void test_exactness(void **state)
{
    static const struct {
        const char *name, *value, *more, *more_value, *why;
    } cases[] = {
        {"flush.on.stop", "true", "rotate.size", "1MiB", NULL},
        {"rotate.schedule.interval.ms", "1m", "flush.size", "5", "rotate.schedule.interval.ms"},
        {"partitioner.class", "hourly", "timestamp.extractor", "Record", NULL},
        {"partitioner.class", "hourly", "timestamp.extractor", "Wallclock", "timestamp.extractor"},
        {"partitioner.class", "default", "timestamp.extractor", "Wallclock", NULL},
        {"directory.delim", "", "rotate.schedule.interval.ms", "1m", NULL}, /* told as an error elsewhere */
    };

    (void)state;
    assert_true(fake_connector()->exact);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why;
        struct run r;

        run_init(&r, NULL);
        fake_config_set(&r.config, cases[i].name, cases[i].value);
        fake_config_set(&r.config, cases[i].more, cases[i].more_value);
        why = fake_connector()->not_exact(&fake_host, &r.config);
        assert_int_equal(why != NULL, cases[i].why != NULL);
        if (why)
            assert_non_null(strstr(why, cases[i].why));
        run_free(&r);
    }
}

/* What a clean stop completed and did not report is replaced by what a replay makes of it, not written beside it. */
static void test_replay_of_a_stop(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    fake_config_set(&r.config, "flush.on.stop", "true");
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_int_equal(run_put(&r, 0, 0, 7, 7), LEAT_OK);
    assert_int_equal(run_flush(&r, true), LEAT_OK);
    run_close(&r);
    r.assigned[0].offset = 0; /* a crash before the offset was stored */
    assert_int_equal(run_all(&r, 10, 5), 1);
    assert_int_equal(object_count(&server), 1);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 10, 2);
    run_free(&r);
}

static void test_many_small_objects(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    fake_config_set(&r.config, "flush.size", "1");
    assert_int_equal(run_all(&r, 300, 50), 1);
    assert_int_equal(r.assigned[0].offset, 300);
    assert_int_equal(object_count(&server), 300);
    assert_object(&r, P0 "t+0+0000000299.json", 299, 300, 1);
    run_free(&r);
}

/* An object of exactly one part needs no multipart upload; one byte more does. */
static void test_part_boundary(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    r.value_size = 5 * MIB - 1; /* and the newline */
    fake_config_set(&r.config, "s3.part.size", "5MiB");
    fake_config_set(&r.config, "flush.size", "1");
    assert_int_equal(run_all(&r, 1, 1), 1);
    assert_int_equal(count_lines(server_ask(&server, "GET", NULL, 0, "log"), "create\t"), 0);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 1, 1);
    r.value_size = 5 * MIB;
    assert_int_equal(run_all(&r, 2, 1), 1);
    assert_int_equal(count_lines(server_ask(&server, "GET", NULL, 0, "log"), "part\t200"), 2);
    assert_object(&r, P0 "t+0+0000000001.json", 1, 2, 1);
    run_free(&r);
}

/* A stop in the middle of an upload leaves nothing; a crash there is cleaned up by the next start, and only ours is. */
static void test_unfinished_uploads(void **state)
{
    const char *uploads;
    struct run r;

    (void)state;
    run_init(&r, &server);
    r.value_size = 1 * MIB;
    fake_config_set(&r.config, "s3.part.size", "5MiB");
    fake_config_set(&r.config, "flush.size", "100");
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_int_equal(run_write(&r, 0, 0, 7, 1), LEAT_OK); /* waits for the part that goes up */
    assert_int_equal(upload_count(&server), 1);
    run_close(&r);
    assert_int_equal(upload_count(&server), 0);
    server_ask(&server, "POST", "", 0, "upload?key=topics/t/partition%%3D0/t%%2B0%%2B0000000000.json");
    server_ask(&server, "POST", "", 0, "upload?key=topics/t/partition%%3D0/t%%2B0%%2B0000000007.json.gz");
    server_ask(&server, "POST", "", 0, "upload?key=topics/t/a%%3D%%20%%2B%%26/t%%2B0%%2B0000000007.json.gz");
    server_ask(&server, "POST", "", 0, "upload?key=topics/t/partition%%3D1/t%%2B1%%2B0000000007.json");
    server_ask(&server, "POST", "", 0, "upload?key=topics/t/partition%%3D0/mine");
    server_ask(&server, "POST", "", 0, "upload?key=topics/t2/partition%%3D0/t%%2B0%%2B0000000007.json");
    assert_int_equal(run_open(&r), LEAT_OK);
    uploads = server_ask(&server, "GET", NULL, 0, "uploads");
    assert_int_equal(count_lines(uploads, ""), 3);
    assert_int_equal(count_lines(uploads, "topics/t/partition=1/t+1+0000000007.json"), 1);
    assert_int_equal(count_lines(uploads, "topics/t/partition=0/mine"), 1);
    assert_int_equal(count_lines(uploads, "topics/t2/"), 1);
    run_free(&r);
}

/* Who may not list uploads writes all the same. */
static void test_cleaning_not_allowed(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    server_ask(&server, "POST", "", 0, "set?deny=uploads");
    assert_int_equal(run_all(&r, 10, 10), 1);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 10, 1);
    assert_non_null(strstr(r.task.log, "WARN unfinished uploads of earlier runs stay"));
    run_free(&r);
}

static void test_two_partitions(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    r.partitions = 2;
    r.assigned[1].offset = 100;
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_int_equal(run_put(&r, 0, 0, 8, 8), LEAT_OK);
    assert_int_equal(run_put(&r, 1, 100, 115, 8), LEAT_OK);
    assert_int_equal(run_put(&r, 0, 8, 12, 8), LEAT_OK);
    assert_int_equal(run_flush(&r, false), LEAT_OK);
    assert_int_equal(r.assigned[0].offset, 10);
    assert_int_equal(r.assigned[1].offset, 110);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 10, 1);
    assert_object(&r, "topics/t/partition=1/t+1+0000000100.json", 100, 110, 1);
    run_free(&r);
}

static void test_names(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    fake_config_set(&r.config, "topics.dir", "");
    fake_config_set(&r.config, "file.delim", "~");
    fake_config_set(&r.config, "filename.offset.zero.pad.width", "3");
    fake_config_set(&r.config, "format.class", "io.confluent.connect.s3.format.bytearray.ByteArrayFormat");
    assert_int_equal(run_all(&r, 10, 10), 1);
    assert_object(&r, "t/partition=0/t~0~000.bin", 0, 10, 1);
    run_free(&r);
}

/* Directories from a field: every value is an object of its own, and strange values stay inside theirs. */
static void test_field_partitioner(void **state)
{
    struct leat_record records[4];
    static const char *const values[] = {"{\"f\":\"a b\"}", "{\"f\":\"../x\"}", "{\"f\":\"\xc3\xbc&+?\"}",
                                         "{\"f\":\"a b\"}"};
    const char *objects;
    struct run r;

    (void)state;
    run_init(&r, &server);
    fake_config_set(&r.config, "partitioner.class", "field");
    fake_config_set(&r.config, "partition.field.name", "f");
    fake_config_set(&r.config, "flush.size", "4");
    for (int i = 0; i < 4; i++)
        records[i] = (struct leat_record){.struct_size = sizeof *records,
                                          .topic = "t",
                                          .offset = i,
                                          .value = values[i],
                                          .value_len = strlen(values[i])};
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_int_equal(fake_connector()->sink->put(r.sink, records, 4), LEAT_OK);
    assert_int_equal(run_flush(&r, false), LEAT_OK);
    assert_int_equal(r.assigned[0].offset, 4);
    objects = server_ask(&server, "GET", NULL, 0, "objects");
    assert_int_equal(count_lines(objects, ""), 3);
    assert_int_equal(count_lines(objects, "topics/t/f=a b/t+0+0000000000.json\t24\t"), 1);
    assert_int_equal(count_lines(objects, "topics/t/f=\xc3\xbc&+?/t+0+0000000002.json\t"), 1);
    assert_int_equal(count_lines(objects, "topics/t/f="), 3);
    assert_null(strstr(objects, "f=../"));
    run_free(&r);
}

/* The gzip object of 0..9 has the lines of records 0..9, and the same bytes whatever the batches were. */
static void test_gzip(void **state)
{
    static const char key[] = "object?key=topics/t/partition%%3D0/t%%2B0%%2B0000000000.json.gz";
    z_stream z = {0};
    struct buf want, got, first;
    struct run r;
    struct err e;

    (void)state;
    run_init(&r, &server);
    r.value_size = 100000;
    fake_config_set(&r.config, "s3.compression.type", "gzip");
    assert_int_equal(run_all(&r, 10, 10), 1);
    buf_init(&want, 16 << 20);
    buf_init(&got, 16 << 20);
    buf_init(&first, 16 << 20);
    expected_lines(&r, 0, 10, &want);
    server_ask(&server, "GET", NULL, 0, key);
    assert_ok(buf_append(&first, server.answer.body.data, server.answer.body.len, &e), &e);
    assert_ok(buf_reserve(&got, want.len + 1, &e), &e);
    z.next_in = first.data;
    z.avail_in = (unsigned)first.len;
    z.next_out = got.data;
    z.avail_out = (unsigned)got.cap;
    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, want.len);
    assert_memory_equal(got.data, want.data, want.len);
    inflateEnd(&z);
    r.assigned[0].offset = 0;
    assert_int_equal(run_all(&r, 10, 3), 1);
    server_ask(&server, "GET", NULL, 0, key);
    assert_int_equal(server.answer.body.len, first.len);
    assert_memory_equal(server.answer.body.data, first.data, first.len);
    buf_free(&want);
    buf_free(&got);
    buf_free(&first);
    run_free(&r);
}

/* Beyond buffer.memory.bytes the largest open file goes up early, and its object is the same. */
static void test_memory_limit(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    r.value_size = 1 * MIB;
    r.partitions = 2;
    fake_config_set(&r.config, "flush.size", "12");
    fake_config_set(&r.config, "buffer.memory.bytes", "12MiB");
    assert_int_equal(run_open(&r), LEAT_OK);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(run_put(&r, 0, i, i + 1, 1), LEAT_OK);
        assert_int_equal(run_put(&r, 1, i, i + 1, 1), LEAT_OK);
    }
    assert_int_equal(run_flush(&r, false), LEAT_OK);
    assert_true(count_lines(server_ask(&server, "GET", NULL, 0, "log"), "part\t200") >= 2);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 12, 1);
    assert_object(&r, "topics/t/partition=1/t+1+0000000000.json", 0, 12, 1);
    run_free(&r);
}

static void set_wallclock(struct run *r)
{
    fake_config_set(&r->config, "partitioner.class", "time");
    fake_config_set(&r->config, "path.format", "'w'");
    fake_config_set(&r->config, "partition.duration.ms", "1h");
    fake_config_set(&r->config, "timestamp.extractor", "Wallclock");
}

/* By the wall clock: what is there is not replaced; the same is recognised; a store without conditions replaces. */
static void test_conditional_put(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    set_wallclock(&r);
    server_ask(&server, "POST", "other", 5, "object?key=topics/t/w/t%%2B0%%2B0000000000.json");
    server_ask(&server, "POST", "other", 5, "object?key=topics/t/w/t%%2B0%%2B0000000001.json");
    assert_int_equal(run_all(&r, 10, 10), 1);
    assert_object(&r, "topics/t/w/t+0+0000000002.json", 0, 10, 1);
    assert_int_equal(object_count(&server), 3);
    r.assigned[0].offset = 10;
    server_fault(&server, "put", 1, "lost", 1);
    assert_int_equal(run_all(&r, 20, 10), 1);
    assert_object(&r, "topics/t/w/t+0+0000000010.json", 10, 20, 1);
    assert_int_equal(object_count(&server), 4);
    server_ask(&server, "POST", "", 0, "set?conditional=none");
    server_ask(&server, "POST", "other", 5, "object?key=topics/t/w/t%%2B0%%2B0000000020.json");
    assert_int_equal(run_all(&r, 30, 10), 1);
    assert_object(&r, "topics/t/w/t+0+0000000020.json", 20, 30, 2);
    run_free(&r);
}

static void test_conditional_multipart(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    set_wallclock(&r);
    r.value_size = 1 * MIB;
    fake_config_set(&r.config, "s3.part.size", "5MiB");
    server_ask(&server, "POST", "other", 5, "object?key=topics/t/w/t%%2B0%%2B0000000000.json");
    assert_int_equal(run_all(&r, 10, 10), 1);
    assert_object(&r, "topics/t/w/t+0+0000000001.json", 0, 10, 1);
    server_fault(&server, "complete", 1, "lost", 1);
    assert_int_equal(run_all(&r, 20, 10), 1);
    assert_object(&r, "topics/t/w/t+0+0000000010.json", 10, 20, 1);
    assert_int_equal(object_count(&server), 3);
    assert_int_equal(upload_count(&server), 0);
    run_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plain_objects),
        TEST(test_stop),
        TEST(test_multipart_and_replay),
        TEST(test_parts_are_built_beside_uploads),
        TEST(test_offsets_wait_for_objects),
        TEST(test_many_small_objects),
        TEST(test_exactness),
        TEST(test_replay_of_a_stop),
        TEST(test_topic_made_anew),
        TEST(test_topic_made_anew_behind_others),
        TEST(test_topic_that_cannot_be_known),
        TEST(test_outlet),
        TEST(test_part_boundary),
        TEST(test_unfinished_uploads),
        TEST(test_cleaning_not_allowed),
        TEST(test_two_partitions),
        TEST(test_names),
        TEST(test_field_partitioner),
        TEST(test_gzip),
        TEST(test_memory_limit),
        TEST(test_conditional_put),
        TEST(test_conditional_multipart),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start, stop);
}
