/*
 * api_deletions: removing the oldest records of partitions. Handlers; any thread.
 */
#include "base/mem.h"
#include "http/internal.h"

enum { DELETIONS_MAX = 1000 }; /* in one call: it holds all of their topics meanwhile */

/* DELETE ?partition= &before= : -1 is everything there is. */
int api_records_delete(struct call *c, struct err *e)
{
    int64_t partition, before;
    int rc = call_query_needed_int(c, "partition", 0, INT32_MAX, &partition, e);
    if (rc == ERR_OK)
        rc = call_query_needed_int(c, "before", -1, INT64_MAX, &before, e);
    if (rc)
        return rc;
    struct record_deletion one = {.topic = c->args[0], .partition = (int32_t)partition, .before = before};
    rc = client_delete_records(c->api->o.client, &one, 1, e);
    if (rc == ERR_OK && one.error.code) {
        *e = one.error;
        rc = e->code;
    }
    return rc ? rc : call_reply(c, json_pack("{s:I}", "log_start_offset", (json_int_t)one.low), e);
}

static int take_deletion(const json_t *item, struct record_deletion *x, struct err *e)
{
    const json_t *partition = json_object_get(item, "partition"), *offset = json_object_get(item, "offset");
    x->topic = json_string_value(json_object_get(item, "topic"));
    if (!x->topic)
        return err_set(e, ERR_INVALID, "topic: is missing or not text");
    if (!json_is_integer(partition) || json_integer_value(partition) < 0 ||
        json_integer_value(partition) > INT32_MAX)
        return err_set(e, ERR_INVALID, "partition: is not a partition's number");
    if (!json_is_integer(offset) || json_integer_value(offset) < -1)
        return err_set(e, ERR_INVALID, "offset: is not an offset, or -1 for the end");
    x->partition = (int32_t)json_integer_value(partition);
    x->before = json_integer_value(offset);
    return ERR_OK;
}

/* What became of one, in the order of the request: its new start, or an error as any other call answers it. */
static json_t *deletion_json(const struct record_deletion *x)
{
    json_t *o = json_pack("{s:s, s:i}", "topic", x->topic, "partition", (int)x->partition);
    bool done = o && (x->error.code ? json_put(o, "code", json_text(err_name(x->error.code))) &&
                                          json_put(o, "message", json_text(x->error.text))
                                    : json_put(o, "log_start_offset", json_integer(x->low)));
    if (!done) {
        json_decref(o);
        o = NULL;
    }
    return o;
}

static json_t *deletions_json(const struct record_deletion *list, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n && out; i++)
        if (json_array_append_new(out, deletion_json(&list[i])) != 0) {
            json_decref(out);
            out = NULL;
        }
    return out ? json_pack("{s:o}", "partitions", out) : NULL;
}

/* Kafka's file of kafka-delete-records as the body. What cannot be deleted keeps none of the others. */
int api_records_delete_many(struct call *c, struct err *e)
{
    json_t *body;
    int rc = call_body(c, &body, e);
    if (rc)
        return rc;
    const json_t *items = json_object_get(body, "partitions");
    size_t n = json_array_size(items);
    struct record_deletion *list = NULL;
    if (n == 0 || n > DELETIONS_MAX)
        rc = err_set(e, ERR_INVALID, "partitions: is not a list of 1 to %d", DELETIONS_MAX);
    else if (!(list = mem_calloc(n, sizeof *list)))
        rc = err_nomem(e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        if ((rc = take_deletion(json_array_get(items, i), &list[i], e)) != ERR_OK)
            err_wrap(e, "partitions[%zu]", i);
    if (rc == ERR_OK)
        rc = client_delete_records(c->api->o.client, list, n, e);
    if (rc == ERR_OK)
        rc = call_reply(c, deletions_json(list, n), e);
    mem_free(list);
    json_decref(body);
    return rc;
}
