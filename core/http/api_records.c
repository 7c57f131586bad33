/*
 * api_records: reading and writing records over the hub's interface, one JSON object a line. Handlers; any
 * thread.
 */
#include <errno.h>
#include <stdlib.h>
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

/* Where a read stands: what the answer's X-Leat-Next says. */
struct reading {
    struct consumer *consumer;
    const char *topic;
    int64_t max_bytes, max_records, records;
    size_t n;
    bool cut; /* ended inside what a poll brought */
    struct place {
        int32_t partition;
        int64_t next;
    } places[API_READ_PARTITIONS_MAX];
};

/* "PARTITION:OFFSET", and the place after it. */
static bool parse_place(const char **at, int64_t *partition, int64_t *offset)
{
    char *end;
    errno = 0;
    *partition = strtoll(*at, &end, 10);
    if (end == *at || *end != ':' || *partition < 0 || *partition > INT32_MAX)
        return false;
    *at = end + 1;
    *offset = strtoll(*at, &end, 10);
    if (end == *at || (*end != ',' && *end != '\0') || errno || *offset < CONSUMER_EARLIEST)
        return false;
    *at = end + (*end == ',');
    return true;
}

static int assign_all(struct reading *r, const char *from, struct err *e)
{
    while (*from) {
        const char *item = from;
        int64_t partition, offset;
        if (!parse_place(&from, &partition, &offset))
            return err_set(e, ERR_INVALID, "from: '%.100s' is not PARTITION:OFFSET,...", item);
        if (r->n == API_READ_PARTITIONS_MAX)
            return err_set(e, ERR_INVALID, "from: more than %d partitions", API_READ_PARTITIONS_MAX);
        for (size_t i = 0; i < r->n; i++)
            if (r->places[i].partition == partition)
                return err_set(e, ERR_INVALID, "from: partition %lld is named twice", (long long)partition);
        int rc = consumer_assign(r->consumer, r->topic, (int32_t)partition, offset, e);
        if (rc)
            return rc;
        r->places[r->n++] = (struct place){(int32_t)partition, -1};
    }
    return r->n ? ERR_OK : err_set(e, ERR_INVALID, "from: PARTITION:OFFSET,... is needed");
}

static bool enough(const struct reading *r, const struct buf *out)
{
    return (int64_t)out->len >= r->max_bytes || r->records >= r->max_records;
}

/* Writes what a poll brought, or as much of it as was asked for. */
static int take(struct reading *r, const struct consumed *got, struct buf *out, struct err *e)
{
    struct place *place = r->places;
    while (got->n && place->partition != got->partition)
        place++;
    for (size_t i = 0; i < got->n; i++) {
        if (enough(r, out)) {
            place->next = got->records[i].offset;
            r->cut = true;
            return ERR_OK;
        }
        int rc = record_json(out, got->topic, got->partition, &got->records[i], e);
        if (rc)
            return rc;
        r->records++;
    }
    return ERR_OK;
}

static int read_some(struct call *c, struct reading *r, int64_t wait_ms, struct err *e)
{
    struct buf *out = &c->response->body;
    int64_t deadline = clock_mono_ms() + wait_ms;
    for (;;) {
        struct consumed got;
        int64_t left = deadline - clock_mono_ms();
        int64_t wait = r->records ? 0 : left < 0 ? 0 : left < WAIT_STEP_MS ? left : WAIT_STEP_MS;
        int rc = consumer_poll(r->consumer, wait, &got, e);
        if (rc == ERR_UNKNOWN_TOPIC && r->records > 0)
            return ERR_OK; /* what was read is given; who asks again is told */
        if (rc == ERR_OK)
            rc = take(r, &got, out, e);
        if (rc)
            return rc;
        bool nothing_more = got.n == 0 && (r->records || left <= 0 || atomic_load(&c->api->interrupted));
        if (enough(r, out) || nothing_more)
            return ERR_OK;
    }
}

static int answer_places(struct call *c, struct reading *r, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < r->n; i++) {
        const struct place *p = &r->places[i];
        int64_t next = p->next >= 0 ? p->next : consumer_position(r->consumer, r->topic, p->partition);
        rc = buf_printf(&c->response->next, e, "%s%d:%lld", i ? "," : "", p->partition, (long long)next);
    }
    if (rc == ERR_OK) {
        c->response->content_type = "application/x-ndjson";
        c->response->at_end = !r->cut && consumer_at_end(r->consumer);
    }
    return rc;
}

static int read_from(struct call *c, struct reading *r, bool uncommitted, int64_t wait_ms, struct err *e)
{
    const char *from = call_query(c, "from");
    struct consumer_options options = {
        .isolation = uncommitted ? READ_UNCOMMITTED : READ_COMMITTED,
        .fetch_bytes = (size_t)(r->max_bytes < READ_BYTES_DEFAULT ? r->max_bytes : READ_BYTES_DEFAULT)};
    r->consumer = consumer_open(c->api->o.client, &options, e);
    if (!r->consumer)
        return e->code;
    int rc = assign_all(r, from ? from : "", e);
    if (rc == ERR_OK)
        rc = read_some(c, r, wait_ms, e);
    if (rc == ERR_OK)
        rc = answer_places(c, r, e);
    consumer_close(r->consumer);
    return rc;
}

/* GET: ?from=0:15,1:-2 &max_bytes= &max_records= &wait_ms= &isolation=read_uncommitted */
int api_records_read(struct call *c, struct err *e)
{
    int64_t wait_ms, max_bytes, max_records;
    const char *isolation = call_query(c, "isolation");
    int rc = call_query_int(c, "wait_ms", 0, 0, API_WAIT_MAX_MS, &wait_ms, e);
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
    struct reading *r = mem_calloc(1, sizeof *r);
    if (!r)
        return err_nomem(e);
    r->topic = c->args[0];
    r->max_bytes = max_bytes;
    r->max_records = max_records;
    rc = read_from(c, r, uncommitted, wait_ms, e);
    mem_free(r);
    return rc;
}

/* GET ?partition= &timestamp= : the offset for a time (or -1 end, -2 start, -3 newest timestamp). */
int api_offset_for(struct call *c, struct err *e)
{
    int64_t partition, timestamp, offset, found;
    int rc = call_query_needed_int(c, "partition", 0, INT32_MAX, &partition, e);
    if (rc == ERR_OK)
        rc = call_query_needed_int(c, "timestamp", -3, INT64_MAX, &timestamp, e);
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
#define PENDING_MAX ((size_t)24 << 20) /* safely below the cap of producer_add */

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

/* A misspelt member would quietly be a null value. What consume prints may come back. */
static int check_members(const json_t *o, struct err *e)
{
    static const char *const known[] = {"partition", "timestamp", "key",   "value",
                                        "headers",   "topic",     "offset"};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)o, name, value)
    {
        size_t i = 0, n = sizeof known / sizeof known[0];
        while (i < n && strcmp(known[i], name) != 0)
            i++;
        if (i == n)
            return err_set(e, ERR_INVALID,
                           "'%.100s' is not one of: partition, timestamp, key, value, headers (and, without "
                           "effect, topic, offset)",
                           name);
    }
    return ERR_OK;
}

static int write_record(struct producer *p, const char *topic, const json_t *o, struct err *e)
{
    struct record_header headers[HEADERS_MAX];
    size_t header_count = 0, key_len = 0, value_len = 0;
    uint8_t *key = NULL, *value = NULL;
    int64_t partition, timestamp;
    int rc = check_members(o, e);
    if (rc == ERR_OK)
        rc = int_member(o, "partition", -1, &partition, e);
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

static int write_line(struct producer *p, const char *topic, const char *line, size_t n, struct err *e)
{
    json_t *o;
    int rc = call_json(line, n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &o, e);
    if (rc)
        return rc == ERR_INVALID ? err_wrap(e, "not a JSON object") : rc;
    /* Past the producer's cap it would flush by itself, and the request would no longer be all or none. */
    if (producer_pending_bytes(p) > PENDING_MAX)
        rc = err_set(e, ERR_TOO_LARGE, "the request's records do not fit into one write");
    else
        rc = json_is_object(o) ? write_record(p, topic, o, e) : err_set(e, ERR_INVALID, "not a JSON object");
    json_decref(o);
    return rc;
}

static int write_lines(struct call *c, struct producer *p, int64_t *records, struct err *e)
{
    const char *at = c->request->body, *end = at + c->request->body_bytes;
    for (*records = 0; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *line_end = newline ? newline : end;
        if (line_end > at) {
            int rc = write_line(p, c->args[0], at, (size_t)(line_end - at), e);
            if (rc)
                return err_wrap(e, "record %lld", (long long)*records + 1);
            (*records)++;
        }
        at = newline ? newline + 1 : end;
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
