/*
 * requests: see requests.h.
 */
#include "tests/bench/lib/requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "protocol/api.h"
#include "protocol/messages.h"
#include "tests/bench/lib/bench.h"

enum { PRODUCE = 9, FETCH = 12, COMMIT = 8, LIST_OFFSETS = 6, EARLIEST = -2, OFFSET_OUT_OF_RANGE = 1 };

static struct err e;

static struct made_request encode(int16_t key, int16_t version, const void *body)
{
    struct buf out;
    struct msg_request_header h = {.key = key, .version = version, .client_id = msg_text("bench", 5)};
    buf_init(&out, (size_t)64 << 20);
    bench_must(buf_i32(&out, 0, &e), &e);
    bench_must(msg_request_header_encode(&h, &out, &e), &e);
    bench_must(msg_encode(msg_api_find(key)->request, version, body, &out, &e), &e);
    put_be32(out.data, (uint32_t)(out.len - 4));
    return (struct made_request){out.data, out.len};
}

/* Where it is to be compressed half of each value is one text, as fields' names are. */
static uint8_t *make_value(const struct batch_shape *shape)
{
    static const char text[] = "\"customer_name\": ";
    uint8_t *value = bench_noise(shape->record_bytes);
    for (size_t at = 0; shape->codec != CODEC_NONE && at + 2 * sizeof text <= shape->record_bytes;
         at += 2 * sizeof text)
        memcpy(value + at, text, sizeof text - 1);
    return value;
}

static struct msg_bytes make_batch(const struct batch_shape *shape, int32_t *records)
{
    struct batch_options o = {
        .codec = shape->codec, .level = CODEC_LEVEL_DEFAULT, .max_bytes = shape->batch_bytes + 4096};
    struct batch_builder *b = batch_builder_new(&o, &e);
    uint8_t *value = make_value(shape), *data;
    size_t n;
    bench_must(b == NULL ? e.code : ERR_OK, &e);
    do
        bench_must(batch_builder_add(b, clock_wall_ms(), NULL, 0, value, shape->record_bytes, NULL, 0, &e),
                   &e);
    while (batch_builder_bytes(b) + shape->record_bytes < shape->batch_bytes);
    *records = batch_builder_count(b);
    bench_must(batch_builder_finish(b, &BATCH_NO_PRODUCER, &data, &n, &e), &e);
    struct msg_bytes copy = {mem_dup(data, n), (int32_t)n};
    batch_builder_free(b);
    mem_free(value);
    return copy;
}

struct made_request *requests_produce(const char *topic, int32_t partitions, const struct batch_shape *shape,
                                      int32_t *records)
{
    struct msg_produce_request q;
    struct msg_produce_request_partition_produce_data p = {.records = make_batch(shape, records)};
    struct msg_produce_request_topic_produce_data t = {.name = msg_text(topic, strlen(topic)),
                                                       .partition_data = {.items = &p, .count = 1}};
    msg_init(&msg_schema_produce_request, &q);
    q.acks = -1;
    q.timeout_ms = 30000;
    q.topic_data.items = &t;
    q.topic_data.count = 1;
    struct made_request *list = mem_calloc((size_t)partitions, sizeof *list);
    for (p.index = 0; p.index < partitions; p.index++)
        list[p.index] = encode(MSG_KEY_produce, PRODUCE, &q);
    return list;
}

struct made_request request_fetch(const char *topic, int32_t partition, int64_t offset, size_t max_bytes)
{
    struct msg_fetch_request q;
    struct msg_fetch_request_partition p;
    msg_init(&msg_schema_fetch_request, &q);
    msg_init(&msg_schema_fetch_request_partition, &p);
    p.partition = partition;
    p.fetch_offset = offset;
    p.partition_max_bytes = (int32_t)max_bytes;
    struct msg_fetch_request_topic t = {.topic = msg_text(topic, strlen(topic)),
                                        .partitions = {.items = &p, .count = 1}};
    q.max_wait_ms = 0;
    q.max_bytes = (int32_t)max_bytes;
    q.topics.items = &t;
    q.topics.count = 1;
    return encode(MSG_KEY_fetch, FETCH, &q);
}

struct made_request request_earliest(const char *topic, int32_t partition)
{
    struct msg_list_offsets_request q;
    struct msg_list_offsets_request_topic t;
    struct msg_list_offsets_request_partition p;
    msg_init(&msg_schema_list_offsets_request, &q);
    msg_init(&msg_schema_list_offsets_request_topic, &t);
    msg_init(&msg_schema_list_offsets_request_partition, &p);
    p.partition_index = partition;
    p.timestamp = EARLIEST;
    t.name = msg_text(topic, strlen(topic));
    t.partitions.items = &p;
    t.partitions.count = 1;
    q.replica_id = -1;
    q.topics.items = &t;
    q.topics.count = 1;
    return encode(MSG_KEY_list_offsets, LIST_OFFSETS, &q);
}

struct made_request *requests_commit(const char *topic, int32_t groups)
{
    struct msg_offset_commit_request q;
    struct msg_offset_commit_request_partition p;
    struct msg_offset_commit_request_topic t;
    struct made_request *list = mem_calloc((size_t)groups, sizeof *list);
    char group[32];
    msg_init(&msg_schema_offset_commit_request, &q);
    msg_init(&msg_schema_offset_commit_request_topic, &t);
    msg_init(&msg_schema_offset_commit_request_partition, &p);
    p.committed_offset = 1;
    t.name = msg_text(topic, strlen(topic));
    t.partitions.items = &p;
    t.partitions.count = 1;
    q.generation_id_or_member_epoch = -1;
    q.topics.items = &t;
    q.topics.count = 1;
    for (int32_t i = 0; i < groups; i++) {
        q.group_id = msg_text(group, (size_t)snprintf(group, sizeof group, "bench-%d", i));
        list[i] = encode(MSG_KEY_offset_commit, COMMIT, &q);
    }
    return list;
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */

static void *decode(int16_t key, int16_t version, struct arena *a, const uint8_t *frame, size_t n)
{
    const struct msg_api *api = msg_api_find(key);
    struct slice in = slice_of(frame, n);
    int32_t correlation;
    arena_reset(a);
    void *m = arena_alloc(a, api->response->size);
    bench_must(m == NULL ? err_nomem(&e) : ERR_OK, &e);
    bench_must(msg_response_header_decode(api, version, &in, &correlation, &e), &e);
    bench_must(msg_decode(api->response, version, &in, a, m, &e), &e);
    return m;
}

static void must_be_well(const char *api, int16_t code)
{
    if (code == 0)
        return;
    fprintf(stderr, "bench_kafka: %s answers with error %d\n", api, code);
    exit(1);
}

void answer_check_produce(struct arena *a, const uint8_t *frame, size_t n)
{
    const struct msg_produce_response *r = decode(MSG_KEY_produce, PRODUCE, a, frame, n);
    must_be_well("Produce", r->responses.items[0].partition_responses.items[0].error_code);
}

void answer_check_commit(struct arena *a, const uint8_t *frame, size_t n)
{
    const struct msg_offset_commit_response *r = decode(MSG_KEY_offset_commit, COMMIT, a, frame, n);
    must_be_well("OffsetCommit", r->topics.items[0].partitions.items[0].error_code);
}

int64_t answer_earliest(struct arena *a, const uint8_t *frame, size_t n)
{
    const struct msg_list_offsets_response *r = decode(MSG_KEY_list_offsets, LIST_OFFSETS, a, frame, n);
    must_be_well("ListOffsets", r->topics.items[0].partitions.items[0].error_code);
    return r->topics.items[0].partitions.items[0].offset;
}

size_t answer_fetched(struct arena *a, const uint8_t *frame, size_t n, int64_t *next_offset)
{
    const struct msg_fetch_response *r = decode(MSG_KEY_fetch, FETCH, a, frame, n);
    const struct msg_fetch_response_partition_data *p = &r->responses.items[0].partitions.items[0];
    size_t at = 0, size;
    if (p->error_code == OFFSET_OUT_OF_RANGE) {
        *next_offset = -1;
        return 0;
    }
    must_be_well("Fetch", p->error_code);
    for (; at + BATCH_HEADER_SIZE <= (size_t)p->records.n; at += size) {
        size = be32(p->records.p + at + 8) + BATCH_LENGTH_PREFIX;
        if (at + size > (size_t)p->records.n)
            break;
        *next_offset = (int64_t)be64(p->records.p + at) + (int64_t)be32(p->records.p + at + 23) + 1;
    }
    return at;
}
