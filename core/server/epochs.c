/*
 * epochs: OffsetForLeaderEpoch: where a leader epoch ended, for readers who look whether what they read is still there. In the pool, as
 * a log may have to be opened.
 */
#include "server/apis.h"

typedef struct msg_offset_for_leader_epoch_response_epoch_end_offset end_offset;

int32_t api_leader_epoch(const struct request *c, const char *topic, int32_t partition)
{
    struct err e;
    int32_t epoch;
    return broker_leader_epoch(c->server->broker, topic, partition, &epoch, &e) == ERR_OK ? epoch : 0;
}

int16_t api_check_epoch(const struct request *c, const char *topic, int32_t partition, int32_t asked)
{
    struct err e;
    int32_t current;
    int rc = asked == -1 ? ERR_OK : broker_leader_epoch(c->server->broker, topic, partition, &current, &e);
    if (asked != -1 && rc == ERR_OK) /* those below are epochs, too, and too old */
        rc = asked < -1 ? ERR_FENCED_EPOCH : broker_check_epoch(current, asked, &e);
    return err_kafka(rc);
}

static void find_end(struct request *c, const struct topic_brief *t, int16_t code,
                     const struct msg_offset_for_leader_epoch_request_offset_for_leader_partition *asked,
                     end_offset *out)
{
    struct err e;
    *out = (end_offset){.partition = asked->partition, .leader_epoch = -1, .end_offset = -1};
    if (code == 0)
        code = api_check_epoch(c, t->name, asked->partition, asked->current_leader_epoch);
    if (code == 0)
        code = err_kafka(broker_epoch_end(c->server->broker, t->name, asked->partition, asked->leader_epoch,
                                          &out->leader_epoch, &out->end_offset, &e));
    out->error_code = code;
}

void api_offset_for_leader_epoch(struct request *c)
{
    const struct msg_offset_for_leader_epoch_request *q = c->asked;
    struct msg_offset_for_leader_epoch_response r;
    msg_init(&msg_schema_offset_for_leader_epoch_response, &r);
    r.topics.items = request_alloc(c, (size_t)q->topics.count, sizeof *r.topics.items);
    if (r.topics.items == NULL)
        return;
    for (int32_t i = 0; i < q->topics.count; i++) {
        const struct msg_offset_for_leader_epoch_request_offset_for_leader_topic *t = &q->topics.items[i];
        struct msg_offset_for_leader_epoch_response_offset_for_leader_topic_result *out =
            &r.topics.items[r.topics.count++];
        int16_t code;
        const struct topic_brief *known = api_topic(c, t->topic, NULL, &code);
        out->topic = t->topic;
        out->partitions.items = request_alloc(c, (size_t)t->partitions.count, sizeof *out->partitions.items);
        if (out->partitions.items == NULL)
            return;
        for (int32_t k = 0; k < t->partitions.count; k++)
            find_end(c, known, code, &t->partitions.items[k],
                     &out->partitions.items[out->partitions.count++]);
    }
    request_reply(c, &r);
}
