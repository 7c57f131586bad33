/*
 * What our codec makes of messages that Kafka wrote (Messages.java): for each line with key, version, "request" or
 * "response" and the bytes in hexadecimal, a line with what they encode to again and our JSON of them. Without
 * standard input's lines, with the argument "apis": every api as KEY:MIN-MAX.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/api.h"

#define MESSAGE_MAX ((size_t)64 << 20)

static int fail(const char *line, const struct err *e)
{
    fprintf(stderr, "%.80s: %s\n", line, e->text);
    return 1;
}

static int print_apis(void)
{
    for (size_t i = 0; i < msg_api_count; i++)
        printf("%d:%d-%d\n", msg_apis[i].key, msg_apis[i].min, msg_apis[i].max);
    return 0;
}

static size_t unhex(const char *text, uint8_t *out)
{
    size_t n = 0;
    unsigned byte;
    for (; sscanf(text, "%2x", &byte) == 1; text += 2)
        out[n++] = (uint8_t)byte;
    return n;
}

static int answer(const struct msg_schema *s, int16_t version, struct slice in, struct arena *a,
                  struct buf *out, struct err *e)
{
    size_t at = 0;
    void *m = arena_alloc(a, s->size);
    if (m == NULL)
        return err_nomem(e);
    int rc = msg_decode(s, version, &in, a, m, e);
    if (rc == ERR_OK && slice_left(&in) > 0)
        rc = err_set(e, ERR_CORRUPT, "%zu bytes are left over", slice_left(&in));
    if (rc == ERR_OK)
        rc = msg_encode(s, version, m, out, e);
    for (; rc == ERR_OK && at < out->len; at++)
        printf("%02x", out->data[at]);
    buf_reset(out);
    if (rc == ERR_OK)
        rc = msg_json(s, version, m, out, e);
    if (rc == ERR_OK)
        printf("\t%.*s\n", (int)out->len, (const char *)out->data);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "apis") == 0)
        return print_apis();
    char *line = NULL, side[16], at = 0;
    size_t room = 0;
    int rc = 0;
    struct arena arena;
    struct buf out;
    struct err e = {0};
    arena_init(&arena, MESSAGE_MAX, NULL);
    buf_init(&out, MESSAGE_MAX);
    while (rc == 0 && getline(&line, &room, stdin) > 0) {
        int key, version, begin = 0;
        if (sscanf(line, "%d %d %15s%c%n", &key, &version, side, &at, &begin) != 4)
            return fail(line, &e);
        const struct msg_api *api = msg_api_find((int16_t)key);
        uint8_t *bytes = malloc(room);
        if (api == NULL || bytes == NULL)
            return fail(line, &e);
        buf_reset(&out);
        arena_reset(&arena);
        struct slice in = slice_of(bytes, unhex(line + begin, bytes));
        const struct msg_schema *s = strcmp(side, "request") == 0 ? api->request : api->response;
        if (answer(s, (int16_t)version, in, &arena, &out, &e) != ERR_OK)
            rc = fail(line, &e);
        free(bytes);
    }
    free(line);
    buf_free(&out);
    arena_free(&arena);
    return rc;
}
