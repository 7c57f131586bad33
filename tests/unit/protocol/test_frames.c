/*
 * Every request and response that was recorded between real clients and Apache Kafka, in each version: it
 * decodes to its end, and what was decoded encodes to the same bytes.
 */
#include <dirent.h>

#include "protocol/api.h"
#include "protocol/messages.h"
#include "tests/lib/testkit.h"

#define FRAMES "tests/data/frames"

struct seen {
    int messages;
    uint32_t versions[100]; /* a bit each, by key */
};

static size_t unhex(const char *text, uint8_t *out)
{
    size_t n = 0;
    unsigned byte;
    for (; sscanf(text, "%2x", &byte) == 1; text += 2)
        out[n++] = (uint8_t)byte;
    return n;
}

/* The protocol of Streams groups (KIP-1071), which we do not offer. */
static bool is_left_out(const char *key)
{
    return strcmp(key, "88") == 0;
}

/* Kafka ignores bytes after a request, and one client sends some. */
static size_t surplus_of(const char *path, const struct msg_request_header *h)
{
    return strstr(path, "librdkafka-2.0.2") != NULL && h->key == MSG_KEY_list_groups && h->version == 4 ? 1
                                                                                                        : 0;
}

/* The body is decoded, and encoded behind what `out` has. */
static void again(const struct msg_schema *s, int16_t version, struct slice *in, struct buf *out)
{
    struct err e = {0};
    struct arena a;
    struct buf json;
    arena_init(&a, 1 << 20, NULL);
    buf_init(&json, 1 << 20);
    void *m = arena_alloc(&a, s->size);
    assert_ok(msg_decode(s, version, in, &a, m, &e), &e);
    assert_ok(msg_encode(s, version, m, out, &e), &e);
    assert_ok(msg_json(s, version, m, &json, &e), &e);
    buf_free(&json);
    arena_free(&a);
}

static void check_request(const char *path, const uint8_t *bytes, size_t n, struct msg_request_header *h)
{
    struct err e = {0};
    struct buf out;
    struct slice in = slice_of(bytes, n);
    buf_init(&out, 1 << 20);
    assert_ok(msg_request_header_decode(&in, h, &e), &e);
    if (h->api == NULL && h->key == MSG_KEY_api_versions) {
        h->api = msg_api_find(h->key); /* newer than ours: KIP-511 has it answered in version 0 */
        h->version = 0;
        return;
    }
    if (h->api == NULL)
        fail_msg("%s: key %d version %d is not known", path, h->key, h->version);
    assert_ok(msg_request_header_encode(h, &out, &e), &e);
    again(h->api->request, h->version, &in, &out);
    size_t surplus = surplus_of(path, h);
    assert_int_equal(slice_left(&in), surplus);
    assert_int_equal(out.len, n - surplus);
    assert_memory_equal(out.data, bytes, n - surplus);
    buf_free(&out);
}

static void check_response(const uint8_t *bytes, size_t n, const struct msg_request_header *h)
{
    struct err e = {0};
    struct buf out;
    struct slice in = slice_of(bytes, n);
    int32_t correlation;
    buf_init(&out, 1 << 20);
    assert_ok(msg_response_header_decode(h->api, h->version, &in, &correlation, &e), &e);
    assert_int_equal(correlation, h->correlation);
    assert_ok(msg_response_header_encode(h->api, h->version, correlation, &out, &e), &e);
    again(h->api->response, h->version, &in, &out);
    assert_int_equal(slice_left(&in), 0);
    assert_int_equal(out.len, n);
    assert_memory_equal(out.data, bytes, n);
    buf_free(&out);
}

static void check_file(const char *path, struct seen *seen)
{
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, in) > 0) {
        char *save, *fields[5];
        for (int i = 0; i < 5; i++) {
            fields[i] = strtok_r(i == 0 ? line : NULL, "\t\n", &save);
            assert_non_null(fields[i]);
        }
        if (is_left_out(fields[0]))
            continue;
        uint8_t *bytes = malloc(room);
        assert_non_null(bytes);
        struct msg_request_header h;
        check_request(path, bytes, unhex(fields[3], bytes), &h);
        assert_int_equal(h.key, strtol(fields[0], NULL, 10));
        long version = strtol(fields[1], NULL, 10);
        assert_true(h.version == version || (h.version == 0 && version > h.api->max));
        assert_string_equal(h.api->name, fields[2]);
        if (strcmp(fields[4], "-") != 0)
            check_response(bytes, unhex(fields[4], bytes), &h);
        seen->messages++;
        seen->versions[h.key] |= 1u << h.version;
        free(bytes);
    }
    free(line);
    fclose(in);
}

static void test_recorded_frames(void **state)
{
    (void)state;
    struct seen seen = {0};
    DIR *dir = opendir(FRAMES);
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        char path[512];
        snprintf(path, sizeof path, FRAMES "/%s", d->d_name);
        if (strstr(d->d_name, ".tsv") != NULL)
            check_file(path, &seen);
    }
    closedir(dir);
    int versions = 0;
    for (int i = 0; i < 100; i++)
        versions += __builtin_popcount(seen.versions[i]);
    print_message("%d frames, %d versions\n", seen.messages, versions);
    assert_true(seen.messages > 250 && versions > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recorded_frames)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
