/*
 * A codec for scripts: reads a JSON object a line, writes one a line. Bytes and records are hexadecimal.
 *   {"do": "apis"}                                            {"Produce": [0, 3, 13], ...}: key, lowest and highest version
 *   {"do": "request", "key": 0, "version": 9, "body": {...}}  {"bytes": "..."}: header and body; absent fields have their defaults
 *   {"do": "response", "key": 0, "version": 9, "bytes": ""}   {"correlation": 1, "left": 0, "body": {...}}
 *   {"do": "batch", "values": ["a", null], ...}               {"bytes": "..."}: a record batch
 *   {"do": "seal", "bytes": "..."}                            {"bytes": "..."}: a batch with its checksum made anew
 * What cannot be done: {"error": "..."}.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "protocol/api.h"
#include "protocol/table.h"
#include "record/record.h"

#define LINE_MAX_BYTES ((size_t)256 << 20)
#define CRC_AT 17 /* of a batch; what it covers begins behind it */

struct work {
    struct arena arena;
    struct buf out;
    struct err e;
};

static int64_t number_of(json_t *j, const char *name, int64_t otherwise)
{
    const json_t *v = json_object_get(j, name);
    return v != NULL ? json_integer_value(v) : otherwise;
}

static int unhex(struct work *w, const char *text, struct msg_bytes *out)
{
    size_t n = text != NULL ? strlen(text) / 2 : 0;
    uint8_t *bytes = arena_alloc(&w->arena, n);
    unsigned byte;
    if (text == NULL || bytes == NULL)
        return err_set(&w->e, ERR_INVALID, "bytes are given as hexadecimal text");
    for (size_t i = 0; i < n; i++, bytes[i - 1] = (uint8_t)byte)
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return err_set(&w->e, ERR_INVALID, "not hexadecimal");
    *out = (struct msg_bytes){bytes, (int32_t)n};
    return ERR_OK;
}

static void print_bytes(const void *bytes, size_t n)
{
    printf("{\"bytes\": \"");
    for (size_t i = 0; i < n; i++)
        printf("%02x", ((const uint8_t *)bytes)[i]);
    puts("\"}");
}

/* ---- JSON to a message ---- */

static int take_struct(struct work *w, const struct msg_schema *s, int16_t version, json_t *j, void *m);

static void take_number(const struct msg_field *f, json_t *j, void *at)
{
    int64_t n = json_integer_value(j);
    switch (f->kind) {
    case MSG_BOOL:
        *(bool *)at = json_is_true(j);
        break;
    case MSG_INT8:
        *(int8_t *)at = (int8_t)n;
        break;
    case MSG_INT16:
    case MSG_UINT16:
        *(int16_t *)at = (int16_t)n;
        break;
    case MSG_INT32:
        *(int32_t *)at = (int32_t)n;
        break;
    case MSG_INT64:
        *(int64_t *)at = n;
        break;
    default:
        *(double *)at = json_number_value(j);
        break;
    }
}

static int take_element(struct work *w, const struct msg_field *f, int16_t version, json_t *j, void *at)
{
    bool bytes = f->kind == MSG_BYTES || f->kind == MSG_RECORDS;
    if ((bytes || f->kind == MSG_STRING) && json_is_null(j)) {
        *(struct msg_string *)at = MSG_NULL_STRING;
        return ERR_OK;
    }
    if (bytes)
        return unhex(w, json_string_value(j), at);
    if (f->kind == MSG_STRING && json_is_string(j))
        *(struct msg_string *)at = msg_text(json_string_value(j), json_string_length(j));
    else if (f->kind == MSG_STRUCT)
        return take_struct(w, f->of, version, j, at);
    else if (f->kind == MSG_UUID ? !json_is_string(j) || !uuid_parse(json_string_value(j), at)
                                 : f->kind == MSG_STRING || !(json_is_number(j) || json_is_boolean(j)))
        return err_set(&w->e, ERR_INVALID, "%s: not a value of its type", f->name);
    else if (f->kind != MSG_UUID)
        take_number(f, j, at);
    return ERR_OK;
}

static int take_array(struct work *w, const struct msg_field *f, int16_t version, json_t *j,
                      struct msg_any_array *at)
{
    size_t n = json_array_size(j), size = msg_element_size(f);
    at->count = json_is_null(j) ? -1 : (int32_t)n;
    at->items =
        f->kind == MSG_STRUCT ? msg_array(f->of, &w->arena, (int32_t)n) : arena_alloc(&w->arena, n * size);
    if (at->items == NULL || !(json_is_array(j) || json_is_null(j)))
        return err_set(&w->e, ERR_INVALID, "%s: not an array", f->name);
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        rc = take_element(w, f, version, json_array_get(j, i), (char *)at->items + i * size);
    return rc;
}

static int take_value(struct work *w, const struct msg_field *f, int16_t version, json_t *j, void *at)
{
    if (f->array)
        return take_array(w, f, version, j, at);
    if (!msg_is_pointer(f))
        return take_element(w, f, version, j, at);
    if (json_is_null(j))
        return ERR_OK;
    void *m = msg_array(f->of, &w->arena, 1);
    *(void **)at = m;
    return m == NULL ? err_nomem(&w->e) : take_struct(w, f->of, version, j, m);
}

/* The field of the name; where versions differ in its type, that of this version. */
static const struct msg_field *field_of(const struct msg_schema *s, int16_t version, const char *name)
{
    const struct msg_field *found = NULL;
    for (unsigned i = 0; i < s->count; i++)
        if (strcasecmp(s->fields[i].name, name) == 0 &&
            (found == NULL || msg_in_version(&s->fields[i], version)))
            found = &s->fields[i];
    return found;
}

static int take_struct(struct work *w, const struct msg_schema *s, int16_t version, json_t *j, void *m)
{
    const char *name;
    json_t *value;
    int rc = json_is_object(j) ? ERR_OK : err_set(&w->e, ERR_INVALID, "%s: not an object", s->name);
    json_object_foreach(j, name, value)
    {
        const struct msg_field *f = field_of(s, version, name);
        if (rc == ERR_OK && f == NULL)
            rc = err_set(&w->e, ERR_INVALID, "%s has no field %s", s->name, name);
        if (rc == ERR_OK)
            rc = take_value(w, f, version, value, (char *)m + f->offset);
    }
    return rc;
}

/* ---- what can be asked for ---- */

static const struct msg_api *api_of(struct work *w, json_t *j)
{
    const struct msg_api *api = msg_api_find((int16_t)number_of(j, "key", -1));
    int64_t version = number_of(j, "version", 0);
    if (api == NULL || version < api->min || version > api->max)
        err_set(&w->e, ERR_UNSUPPORTED, "there is no such api and version");
    return api != NULL && version >= api->min && version <= api->max ? api : NULL;
}

static int print_apis(void)
{
    for (size_t i = 0; i < msg_api_count; i++)
        printf("%s\"%s\": [%d, %d, %d]", i == 0 ? "{" : ", ", msg_apis[i].name, msg_apis[i].key,
               msg_apis[i].min, msg_apis[i].max);
    puts("}");
    return ERR_OK;
}

static int request(struct work *w, json_t *j)
{
    const struct msg_api *api = api_of(w, j);
    struct msg_string client = {NULL, 0};
    if (api == NULL)
        return w->e.code;
    int16_t version = (int16_t)number_of(j, "version", 0);
    if (json_object_get(j, "client") != NULL)
        client.p = json_string_value(json_object_get(j, "client"));
    client.n = client.p != NULL ? (int32_t)strlen(client.p) : -1;
    struct msg_request_header h = {.key = api->key,
                                   .version = version,
                                   .correlation = (int32_t)number_of(j, "correlation", 0),
                                   .client_id = client};
    void *m = msg_array(api->request, &w->arena, 1);
    int rc =
        m == NULL ? err_nomem(&w->e) : take_struct(w, api->request, version, json_object_get(j, "body"), m);
    if (rc == ERR_OK)
        rc = msg_request_header_encode(&h, &w->out, &w->e);
    if (rc == ERR_OK)
        rc = msg_encode(api->request, version, m, &w->out, &w->e);
    if (rc == ERR_OK)
        print_bytes(w->out.data, w->out.len);
    return rc;
}

static int response(struct work *w, json_t *j)
{
    const struct msg_api *api = api_of(w, j);
    struct msg_bytes bytes;
    int32_t correlation;
    int16_t version = (int16_t)number_of(j, "version", 0);
    if (api == NULL || unhex(w, json_string_value(json_object_get(j, "bytes")), &bytes) != ERR_OK)
        return w->e.code;
    struct slice in = slice_of(bytes.p, (size_t)bytes.n);
    void *m = msg_array(api->response, &w->arena, 1);
    int rc =
        m == NULL ? err_nomem(&w->e) : msg_response_header_decode(api, version, &in, &correlation, &w->e);
    if (rc == ERR_OK)
        rc = msg_decode(api->response, version, &in, &w->arena, m, &w->e);
    if (rc == ERR_OK)
        rc = msg_json(api->response, version, m, &w->out, &w->e);
    if (rc == ERR_OK)
        printf("{\"correlation\": %d, \"left\": %zu, \"body\": %.*s}\n", correlation, slice_left(&in),
               (int)w->out.len, (const char *)w->out.data);
    return rc;
}

static int batch(struct work *w, json_t *j)
{
    struct batch_options o = {.codec = (enum codec)number_of(j, "codec", 0), .level = CODEC_LEVEL_DEFAULT};
    struct batch_producer p = {number_of(j, "producerId", -1), (int16_t)number_of(j, "epoch", -1),
                               (int32_t)number_of(j, "sequence", -1),
                               json_is_true(json_object_get(j, "transactional"))};
    const json_t *values = json_object_get(j, "values"), *key = json_object_get(j, "recordKey");
    struct batch_builder *b = batch_builder_new(&o, &w->e);
    uint8_t *data;
    size_t n;
    int rc = b == NULL ? w->e.code : ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < json_array_size(values); i++) {
        const json_t *v = json_array_get(values, i);
        rc = batch_builder_add(b, number_of(j, "timestamp", 1700000000000), json_string_value(key),
                               json_string_length(key), json_string_value(v), json_string_length(v), NULL, 0,
                               &w->e);
    }
    if (rc == ERR_OK)
        rc = batch_builder_finish(b, &p, &data, &n, &w->e);
    if (rc == ERR_OK)
        print_bytes(data, n);
    batch_builder_free(b);
    return rc;
}

static int seal(struct work *w, json_t *j)
{
    struct msg_bytes bytes;
    int rc = unhex(w, json_string_value(json_object_get(j, "bytes")), &bytes);
    if (rc == ERR_OK && bytes.n < BATCH_HEADER_SIZE)
        rc = err_set(&w->e, ERR_TRUNCATED, "no whole header");
    if (rc != ERR_OK)
        return rc;
    rc = buf_append(&w->out, bytes.p, (size_t)bytes.n, &w->e);
    if (rc == ERR_OK) {
        put_be32(w->out.data + CRC_AT, crc32c(0, bytes.p + CRC_AT + 4, (size_t)bytes.n - CRC_AT - 4));
        print_bytes(w->out.data, w->out.len);
    }
    return rc;
}

static int answer(struct work *w, json_t *j)
{
    const char *what = json_string_value(json_object_get(j, "do"));
    return what == NULL                    ? err_set(&w->e, ERR_INVALID, "not an object that says what to do")
           : strcmp(what, "apis") == 0     ? print_apis()
           : strcmp(what, "request") == 0  ? request(w, j)
           : strcmp(what, "response") == 0 ? response(w, j)
           : strcmp(what, "batch") == 0    ? batch(w, j)
           : strcmp(what, "seal") == 0     ? seal(w, j)
                                           : err_set(&w->e, ERR_INVALID, "unknown: %s", what);
}

static void print_error(struct work *w)
{
    struct err e;
    buf_reset(&w->out);
    if (buf_json_str(&w->out, w->e.text, strlen(w->e.text), &e) == ERR_OK)
        printf("{\"error\": %.*s}\n", (int)w->out.len, (const char *)w->out.data);
}

int main(void)
{
    struct work w = {.e = {0}};
    char *line = NULL;
    size_t room = 0;
    arena_init(&w.arena, LINE_MAX_BYTES, NULL);
    buf_init(&w.out, LINE_MAX_BYTES);
    while (getline(&line, &room, stdin) > 0) {
        json_t *j = json_loads(line, JSON_ALLOW_NUL, NULL);
        arena_reset(&w.arena);
        buf_reset(&w.out);
        if (answer(&w, j) != ERR_OK)
            print_error(&w);
        fflush(stdout);
        json_decref(j);
    }
    free(line);
    buf_free(&w.out);
    arena_free(&w.arena);
    return 0;
}
