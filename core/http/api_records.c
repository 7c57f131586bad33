/*
 * api_records: reading and writing records over the hub's interface, one JSON object a line. Handlers; any
 * thread.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/internal.h"

#define READ_BYTES_DEFAULT (1 << 20)
#define WAIT_STEP_MS 200 /* how soon a stop of the hub interrupts a waiting reader */

/* ---- reading
 * ------------------------------------------------------------------------------------------------ */

static int headers_json(struct buf *out, const struct record *r, struct err *e)
{
    struct slice left = r->headers;
    struct record_header h;
    int rc = buf_str(out, "[", e);
    for (int32_t i = 0; rc == ERR_OK && i < r->header_count; i++) {
        rc = record_next_header(&left, &h, e);
        if (rc == ERR_OK)
            rc = buf_str(out, i ? ",{\"key\":" : "{\"key\":", e);
        if (rc == ERR_OK)
            rc = buf_json_str(out, h.key, (size_t)h.key_len, e);
        if (rc == ERR_OK)
            rc = buf_str(out, ",\"value\":", e);
        if (rc == ERR_OK)
            rc = json_put_bytes(out, h.value, h.value_len, e);
        if (rc == ERR_OK)
            rc = buf_str(out, "}", e);
    }
    return rc ? rc : buf_str(out, "]", e);
}

static int record_json(struct buf *out, const char *topic, int32_t partition, const struct record *r,
                       struct err *e)
{
    /* Topic names need no escaping: topic_name_check allows only letters, digits, '.', '_' and '-'. */
    int rc = buf_printf(
        out, e, "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld,\"key\":", topic,
        partition, (long long)r->offset, (long long)r->timestamp);
    if (rc == ERR_OK)
        rc = json_put_bytes(out, r->key, r->key ? r->key_len : -1, e);
    if (rc == ERR_OK)
        rc = buf_str(out, ",\"value\":", e);
    if (rc == ERR_OK)
        rc = json_put_bytes(out, r->value, r->value ? r->value_len : -1, e);
    if (rc == ERR_OK)
        rc = buf_str(out, ",\"headers\":", e);
    if (rc == ERR_OK)
        rc = headers_json(out, r, e);
    return rc ? rc : buf_str(out, "}\n", e);
}

/* "0:15,1:-2" as assignments; remembers the partitions in `partitions` for the answer. */
static int assign_all(struct consumer *consumer, const char *topic, const char *from, int32_t *partitions,
                      size_t max, size_t *n, struct err *e)
{
    *n = 0;
    while (*from) {
        int part, used = 0;
        long long offset;
        if (sscanf(from, "%d:%lld%n", &part, &offset, &used) != 2 || part < 0 || offset < CONSUMER_EARLIEST ||
            (from[used] != ',' && from[used] != '\0'))
            return err_set(e, ERR_INVALID, "from: '%.100s' is not PARTITION:OFFSET,...", from);
        if (*n == max)
            return err_set(e, ERR_INVALID, "from: more than %zu partitions", max);
        int rc = consumer_assign(consumer, topic, part, offset, e);
        if (rc)
            return rc;
        partitions[(*n)++] = part;
        from += used + (from[used] == ',');
    }
    return *n ? ERR_OK : err_set(e, ERR_INVALID, "from: PARTITION:OFFSET,... is needed");
}

static int read_some(struct call *c, struct consumer *consumer, int64_t wait_ms, int64_t max_bytes,
                     int64_t max_records, struct err *e)
{
    struct buf *out = &c->response->body;
    int64_t deadline = clock_mono_ms() + wait_ms, records = 0;
    for (;;) {
        struct consumed got;
        int64_t left = deadline - clock_mono_ms();
        int64_t wait = records ? 0 : left < 0 ? 0 : left < WAIT_STEP_MS ? left : WAIT_STEP_MS;
        int rc = consumer_poll(consumer, wait, &got, e);
        for (size_t i = 0; rc == ERR_OK && i < got.n; i++, records++)
            rc = record_json(out, got.topic, got.partition, &got.records[i], e);
        if (rc)
            return rc;
        bool enough = (int64_t)out->len >= max_bytes || records >= max_records;
        bool nothing_more = got.n == 0 && (records || left <= 0 || atomic_load(&c->api->interrupted));
        if (enough || nothing_more)
            return ERR_OK;
    }
}

/* GET: ?from=0:15,1:-2 &max_bytes= &max_records= &wait_ms= &isolation=read_uncommitted */
int api_records_read(struct call *c, struct err *e)
{
    enum { PARTITIONS_MAX = 200 }; /* what api_response.next has room for */
    int32_t partitions[PARTITIONS_MAX];
    size_t n;
    int64_t wait_ms, max_bytes, max_records;
    const char *from = call_query(c, "from"), *isolation = call_query(c, "isolation");
    int rc = call_query_int(c, "wait_ms", 0, 0, 60000, &wait_ms, e);
    if (rc == ERR_OK)
        rc = call_query_int(c, "max_bytes", READ_BYTES_DEFAULT, 1, 16 << 20, &max_bytes, e);
    if (rc == ERR_OK)
        rc = call_query_int(c, "max_records", INT64_MAX, 1, INT64_MAX, &max_records, e);
    if (rc)
        return rc;
    bool uncommitted = isolation && strcmp(isolation, "read_uncommitted") == 0;
    if (isolation && !uncommitted && strcmp(isolation, "read_committed") != 0)
        return err_set(e, ERR_INVALID, "isolation: '%.100s' is neither read_committed nor read_uncommitted",
                       isolation);
    struct consumer_options options = {
        .isolation = uncommitted ? READ_UNCOMMITTED : READ_COMMITTED,
        .fetch_bytes = (size_t)(max_bytes < READ_BYTES_DEFAULT ? max_bytes : READ_BYTES_DEFAULT)};
    struct consumer *consumer = consumer_open(c->api->o.client, &options, e);
    if (!consumer)
        return e->code;
    rc = assign_all(consumer, c->args[0], from ? from : "", partitions, PARTITIONS_MAX, &n, e);
    if (rc == ERR_OK)
        rc = read_some(c, consumer, wait_ms, max_bytes, max_records, e);
    size_t used = 0;
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        used += (size_t)snprintf(c->response->next + used, sizeof c->response->next - used, "%s%d:%lld",
                                 i ? "," : "", partitions[i],
                                 (long long)consumer_position(consumer, c->args[0], partitions[i]));
    if (rc == ERR_OK) {
        c->response->content_type = "application/x-ndjson";
        c->response->at_end = consumer_at_end(consumer);
    }
    consumer_close(consumer);
    return rc;
}

/* GET ?partition= &timestamp= : the offset for a time (or -1 end, -2 start, -3 newest timestamp). */
int api_offset_for(struct call *c, struct err *e)
{
    int64_t partition, timestamp, offset, found;
    int rc = call_query_int(c, "partition", 0, 0, INT32_MAX, &partition, e);
    if (rc == ERR_OK)
        rc = call_query_int(c, "timestamp", -1, -3, INT64_MAX, &timestamp, e);
    if (rc == ERR_OK)
        rc = client_list_offset(c->api->o.client, c->args[0], (int32_t)partition, timestamp, READ_COMMITTED,
                                &offset, &found, e);
    return rc ? rc
              : call_reply(
                    c, json_pack("{s:I, s:I}", "offset", (json_int_t)offset, "timestamp", (json_int_t)found),
                    e);
}

/* ---- writing
 * ------------------------------------------------------------------------------------------------ */

#define HEADERS_MAX 256

static void free_headers(struct record_header *h, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free((void *)(uintptr_t)h[i].value);
}

/* [{"key","value"},...] ; keys point into the JSON, values are copies. */
static int parse_headers(const json_t *list, struct record_header *out, size_t *n, struct err *e)
{
    *n = 0;
    if (!list || json_is_null(list))
        return ERR_OK;
    if (!json_is_array(list) || json_array_size(list) > HEADERS_MAX)
        return err_set(e, ERR_INVALID, "headers: is not a list of at most %d headers", HEADERS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i), *key = json_object_get(item, "key");
        uint8_t *value;
        size_t value_len;
        if (!json_is_string(key))
            return err_set(e, ERR_INVALID, "headers[%zu].key: is missing or not text", i);
        int rc = json_get_bytes(json_object_get(item, "value"), "headers.value", &value, &value_len, e);
        if (rc)
            return rc;
        out[(*n)++] = (struct record_header){json_string_value(key), (int32_t)json_string_length(key), value,
                                             value ? (int32_t)value_len : -1};
    }
    return ERR_OK;
}

static int int_member(const json_t *o, const char *name, int64_t fallback, int64_t *out, struct err *e)
{
    const json_t *v = json_object_get(o, name);
    *out = fallback;
    if (!v || json_is_null(v))
        return ERR_OK;
    if (!json_is_integer(v))
        return err_set(e, ERR_INVALID, "%s: is not a whole number", name);
    *out = json_integer_value(v);
    return ERR_OK;
}

static int write_record(struct producer *p, const char *topic, const json_t *o, struct err *e)
{
    struct record_header headers[HEADERS_MAX];
    size_t header_count = 0, key_len = 0, value_len = 0;
    uint8_t *key = NULL, *value = NULL;
    int64_t partition, timestamp;
    int rc = int_member(o, "partition", -1, &partition, e);
    if (rc == ERR_OK)
        rc = int_member(o, "timestamp", clock_wall_ms(), &timestamp, e);
    if (rc == ERR_OK && (partition < -1 || partition > INT32_MAX))
        rc = err_set(e, ERR_INVALID, "partition: %lld is out of range", (long long)partition);
    if (rc == ERR_OK)
        rc = json_get_bytes(json_object_get(o, "key"), "key", &key, &key_len, e);
    if (rc == ERR_OK)
        rc = json_get_bytes(json_object_get(o, "value"), "value", &value, &value_len, e);
    if (rc == ERR_OK)
        rc = parse_headers(json_object_get(o, "headers"), headers, &header_count, e);
    if (rc == ERR_OK)
        rc = producer_add(p, topic, (int32_t)partition, timestamp, key, key_len, value, value_len, headers,
                          (int32_t)header_count, e);
    free_headers(headers, header_count);
    mem_free(key);
    mem_free(value);
    return rc;
}

static int write_lines(struct call *c, struct producer *p, int64_t *records, struct err *e)
{
    const char *at = c->request->body, *end = at + c->request->body_bytes;
    for (*records = 0; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *line_end = newline ? newline : end;
        if (line_end > at) {
            json_error_t je;
            json_t *o = json_loadb(at, (size_t)(line_end - at), 0, &je);
            if (!o || !json_is_object(o)) {
                json_decref(o);
                return err_set(e, ERR_INVALID, "record %lld is not a JSON object", (long long)*records + 1);
            }
            int rc = write_record(p, c->args[0], o, e);
            json_decref(o);
            if (rc)
                return err_wrap(e, "record %lld", (long long)*records + 1);
            (*records)++;
        }
        at = line_end + 1;
    }
    return ERR_OK;
}

/*
 * POST, one record a line: {"partition"?, "key"?, "value"?, "headers"?, "timestamp"?}. All of the request's
 * records are written or, when one is refused, none.
 */
int api_records_write(struct call *c, struct err *e)
{
    struct topic_info topic; /* so that an unknown topic is told before the body is read */
    int rc = client_topic(c->api->o.client, c->args[0], &topic, e);
    if (rc)
        return rc;
    topic_info_free(&topic);
    const char *compression = call_query(c, "compression");
    struct producer_options options = {.codec_level = CODEC_LEVEL_DEFAULT};
    if (compression && !codec_parse(compression, &options.codec))
        return err_set(e, ERR_UNSUPPORTED_COMPRESSION,
                       "compression: '%.100s' is not none, gzip, snappy, lz4 or zstd", compression);
    struct producer *p = producer_open(c->api->o.client, &options, e);
    if (!p)
        return e->code;
    int64_t records;
    rc = write_lines(c, p, &records, e);
    if (rc == ERR_OK)
        rc = producer_flush(p, e);
    producer_close(p);
    return rc ? rc : call_reply(c, json_pack("{s:I}", "records", (json_int_t)records), e);
}
