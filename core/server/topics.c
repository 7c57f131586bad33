/*
 * topics: DeleteTopics and DeleteRecords. In the pool: what they change is durable before it is told.
 */
#include <string.h>

#include "base/mem.h"
#include "server/apis.h"
#include "server/names.h"

/* ---- DeleteTopics ---- */

typedef struct msg_delete_topics_response_deletable_topic_result deleted;

static struct msg_string constant(const char *text)
{
    return msg_text(text, strlen(text));
}

static void delete_one(struct request *c, struct msg_string name, const struct uuid *id, deleted *out)
{
    struct err e = {0};
    int16_t code;
    const struct topic_brief *t = api_topic(c, name, id, &code);
    if (t != NULL) {
        out->name = api_text(c, t->name);
        out->topic_id = t->id;
        code = err_kafka(broker_delete_topic(c->server->broker, t->name, &e));
    }
    out->error_code = code;
    out->error_message = api_error_text(c, &e);
}

static void refuse(deleted *out, int16_t code, const char *why)
{
    out->error_code = code;
    out->error_message = constant(why);
}

/* One topic of the request, whichever version's. */
struct named {
    struct msg_string name;
    struct uuid id;
    bool by_id;
};

static struct named named_at(const struct request *c, const struct msg_delete_topics_request *q, int32_t i)
{
    if (c->header.version < 6)
        return (struct named){.name = q->topic_names.items[i]};
    return (struct named){.name = q->topics.items[i].name,
                          .id = q->topics.items[i].topic_id,
                          .by_id = !uuid_is_zero(&q->topics.items[i].topic_id)};
}

#define DROPPED INT16_MIN /* an entry that another one stands for */

/* A topic that is asked for by its name and by its id is refused, once: where its id is. */
static void merge(struct request *c, const struct names *ids, struct msg_delete_topics_response *r)
{
    int32_t kept = 0;
    for (int32_t i = 0; ids->first != NULL && i < r->responses.count; i++) {
        deleted *x = &r->responses.items[i];
        int16_t code;
        if (x->error_code != 0 || !uuid_is_zero(&x->topic_id))
            continue;
        const struct topic_brief *t = api_topic(c, x->name, NULL, &code);
        int32_t place = t != NULL ? names_find(ids, t->id.b, sizeof t->id.b) : -1;
        if (place < 0)
            continue;
        r->responses.items[place].name = x->name;
        refuse(&r->responses.items[place], KAFKA_INVALID_REQUEST,
               "The provided topic name maps to an ID that was already supplied.");
        x->error_code = DROPPED;
    }
    for (int32_t i = 0; i < r->responses.count; i++)
        if (r->responses.items[i].error_code != DROPPED)
            r->responses.items[kept++] = r->responses.items[i];
    r->responses.count = kept;
}

/* An entry for each name and each id; those that come twice, or are neither or both, are refused now. False: no memory. */
static bool entries(struct request *c, const struct msg_delete_topics_request *q, int32_t n,
                    struct msg_delete_topics_response *r)
{
    struct names names = {NULL}, ids = {NULL};
    bool good = true;
    for (int32_t i = 0; good && i < n; i++) {
        struct named t = named_at(c, q, i);
        bool both = t.by_id == (t.name.n >= 0);
        size_t len = t.name.n > 0 ? (size_t)t.name.n : 0;
        int32_t place =
            both      ? r->responses.count
            : t.by_id ? names_place(&ids, q->topics.items[i].topic_id.b, sizeof t.id.b, r->responses.count)
                      : names_place(&names, t.name.p, len, r->responses.count);
        good = place >= 0;
        if (!good)
            break;
        deleted *out = &r->responses.items[place];
        out->name = t.name;
        out->topic_id = t.id;
        out->error_message = MSG_NULL_STRING;
        if (both)
            refuse(out, KAFKA_INVALID_REQUEST,
                   t.by_id ? "You may not specify both topic name and topic id."
                           : "Neither topic name nor id were specified.");
        else if (place < r->responses.count)
            refuse(out, KAFKA_INVALID_REQUEST, t.by_id ? "Duplicate topic id." : "Duplicate topic name.");
        r->responses.count += place == r->responses.count;
    }
    if (good)
        merge(c, &ids, r);
    names_free(&names);
    names_free(&ids);
    return good;
}

/* With no time at all Kafka's controller does nothing. */
void api_delete_topics(struct request *c)
{
    const struct msg_delete_topics_request *q = c->asked;
    struct msg_delete_topics_response r;
    struct err e;
    int32_t n = c->header.version >= 6 ? q->topics.count : q->topic_names.count;
    msg_init(&msg_schema_delete_topics_response, &r);
    r.responses.items = request_try_alloc(c, (size_t)n, sizeof *r.responses.items);
    if (r.responses.items == NULL || !entries(c, q, n, &r)) {
        request_close(c, (err_nomem(&e), &e));
        return;
    }
    for (int32_t i = 0; i < r.responses.count; i++) {
        deleted *out = &r.responses.items[i];
        if (out->error_code == 0 && q->timeout_ms <= 0)
            refuse(out, err_kafka(ERR_TIMEOUT), "the timeout is 0: nothing was done");
        else if (out->error_code == 0)
            delete_one(c, out->name, uuid_is_zero(&out->topic_id) ? NULL : &out->topic_id, out);
    }
    request_reply(c, &r);
}

/* ---- DeleteRecords ---- */

static size_t count_deletions(const struct msg_delete_records_request *q)
{
    size_t n = 0;
    for (int32_t i = 0; i < q->topics.count; i++)
        n += (size_t)q->topics.items[i].partitions.count;
    return n;
}

/* Fails as a whole for want of memory only. */
static bool delete_records(struct request *c, const struct msg_delete_records_request *q,
                           struct record_deletion *all, size_t n)
{
    struct err e;
    size_t at = 0;
    for (int32_t i = 0; i < q->topics.count; i++) {
        const char *name = request_string(c, q->topics.items[i].name);
        for (int32_t k = 0; k < q->topics.items[i].partitions.count; k++) {
            const struct msg_delete_records_request_partition *p = &q->topics.items[i].partitions.items[k];
            all[at++] = (struct record_deletion){
                .topic = name != NULL ? name : "", .partition = p->partition_index, .before = p->offset};
        }
    }
    if (broker_delete_records_of(c->server->broker, all, n, &e) == ERR_OK)
        return true;
    request_close(c, &e);
    return false;
}

/* Of topics that are only compacted nothing is deleted: KIP-107's policy violation. */
static int16_t deletion_code(const struct err *e)
{
    return e->code == ERR_INVALID_CONFIG ? KAFKA_POLICY_VIOLATION : err_kafka(e->code);
}

void api_delete_records(struct request *c)
{
    const struct msg_delete_records_request *q = c->asked;
    struct msg_delete_records_response r;
    size_t n = count_deletions(q), at = 0;
    struct record_deletion *all = request_alloc(c, n, sizeof *all);
    msg_init(&msg_schema_delete_records_response, &r);
    if (all == NULL ||
        (r.topics.items = request_alloc(c, (size_t)q->topics.count, sizeof *r.topics.items)) == NULL ||
        !delete_records(c, q, all, n))
        return;
    for (int32_t i = 0; i < q->topics.count; i++) {
        if (q->topics.items[i].partitions.count == 0)
            continue;
        struct msg_delete_records_response_topic_result *out = &r.topics.items[r.topics.count++];
        out->name = q->topics.items[i].name;
        out->partitions.count = q->topics.items[i].partitions.count;
        out->partitions.items =
            request_alloc(c, (size_t)out->partitions.count, sizeof *out->partitions.items);
        if (out->partitions.items == NULL)
            return;
        for (int32_t k = 0; k < out->partitions.count; k++, at++)
            out->partitions.items[k] = (struct msg_delete_records_response_partition_result){
                .partition_index = all[at].partition,
                .low_watermark = all[at].error.code == ERR_OK ? all[at].low : -1,
                .error_code = deletion_code(&all[at].error)};
    }
    request_reply(c, &r);
}
