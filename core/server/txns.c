/*
 * txns: AddOffsetsToTxn, TxnOffsetCommit, EndTxn: messages to the broker's coordinator and back. In the pool: what they say is durable
 * before it is answered.
 */
#include <string.h>

#include "broker/transactions.h"
#include "server/apis.h"

#define FENCED_SINCE 2    /* KIP-588: before, a fenced producer is told an invalid epoch */
#define ABORTABLE_SINCE 4 /* TxnOffsetCommit: KIP-890 */
#define SECOND_SINCE 5    /* EndTxn, TxnOffsetCommit: transaction version 2 */

int16_t txn_code_of(const struct request *c, int rc)
{
    bool fenced = rc == ERR_PRODUCER_FENCED || rc == ERR_INVALID_PRODUCER_EPOCH;
    return err_kafka(!fenced                             ? rc
                     : c->header.version >= FENCED_SINCE ? ERR_PRODUCER_FENCED
                                                         : ERR_INVALID_PRODUCER_EPOCH);
}

/* ---- AddOffsetsToTxn, EndTxn ---- */

static int no_id(struct err *e)
{
    return err_set(e, ERR_INVALID, "the transactional id is empty");
}

void api_add_offsets_to_txn(struct request *c)
{
    const struct msg_add_offsets_to_txn_request *q = c->asked;
    struct msg_add_offsets_to_txn_response r;
    struct err e;
    const char *id = request_string(c, q->transactional_id), *group = request_string(c, q->group_id);
    msg_init(&msg_schema_add_offsets_to_txn_response, &r);
    int rc = id == NULL || group == NULL ? err_nomem(&e)
             : *id == '\0'               ? no_id(&e)
                           : broker_txn_add_offsets(c->server->broker, id, q->producer_id, q->producer_epoch,
                                                    group, &e);
    r.error_code = txn_code_of(c, rc);
    request_reply(c, &r);
}

void api_end_txn(struct request *c)
{
    const struct msg_end_txn_request *q = c->asked;
    struct broker *b = c->server->broker;
    struct msg_end_txn_response r;
    struct err e;
    const char *id = request_string(c, q->transactional_id);
    int rc;
    msg_init(&msg_schema_end_txn_response, &r);
    if (id == NULL)
        rc = err_nomem(&e);
    else if (*id == '\0')
        rc = no_id(&e);
    else if (c->header.version >= SECOND_SINCE)
        rc = broker_txn_end_bumped(b, id, q->producer_id, q->producer_epoch, q->committed, &r.producer_id,
                                   &r.producer_epoch, &e);
    else
        rc = broker_txn_end(b, id, q->producer_id, q->producer_epoch, q->committed, &e);
    r.error_code = txn_code_of(c, rc);
    request_reply(c, &r);
}

/* ---- TxnOffsetCommit ---- */

static void take_offset(struct request *c, struct commits *w, const struct topic_brief *t, int16_t code,
                        const struct msg_txn_offset_commit_request_partition *p,
                        struct msg_txn_offset_commit_response_partition *out)
{
    struct group_offset o = {.partition = p->partition_index,
                             .offset = p->committed_offset,
                             .leader_epoch = p->committed_leader_epoch};
    out->partition_index = p->partition_index;
    commits_take(c, w, t, &o, p->committed_metadata, code, &out->error_code);
}

static bool take_offsets(struct request *c, const struct msg_txn_offset_commit_request *q, int16_t refused,
                         struct commits *w, struct msg_txn_offset_commit_response *r)
{
    size_t most = 0;
    for (int32_t i = 0; i < q->topics.count; i++)
        most += (size_t)q->topics.items[i].partitions.count;
    r->topics.items =
        commits_begin(c, w, most) ? request_alloc(c, (size_t)q->topics.count, sizeof *r->topics.items) : NULL;
    if (r->topics.items == NULL)
        return false;
    for (int32_t i = 0; i < q->topics.count; i++) {
        const struct msg_txn_offset_commit_request_topic *t = &q->topics.items[i];
        struct msg_txn_offset_commit_response_topic *out = &r->topics.items[r->topics.count++];
        int16_t code;
        const struct topic_brief *there = api_topic(c, t->name, NULL, &code);
        out->name = t->name;
        if (there != NULL && t->partitions.count == 0)
            r->topics.count--; /* nothing to tell of it */
        out->partitions.items = request_alloc(c, (size_t)t->partitions.count, sizeof *out->partitions.items);
        if (out->partitions.items == NULL)
            return false;
        for (int32_t k = 0; k < t->partitions.count; k++)
            take_offset(c, w, there, refused != 0 ? refused : code, &t->partitions.items[k],
                        &out->partitions.items[out->partitions.count++]);
    }
    return true;
}

/* Which partitions the offsets are of, as the group knows them. NULL: no memory. */
static struct tp_set *partitions_of(struct request *c, const struct msg_txn_offset_commit_request *q)
{
    struct tp_set *of = request_try_alloc(c, 1, sizeof *of);
    size_t n = 0;
    int16_t code;
    for (int32_t i = 0; i < q->topics.count; i++)
        n += (size_t)q->topics.items[i].partitions.count;
    if (of == NULL || (of->list = request_try_alloc(c, n, sizeof *of->list)) == NULL)
        return NULL;
    for (int32_t i = 0; i < q->topics.count; i++) {
        const struct msg_txn_offset_commit_request_topic *t = &q->topics.items[i];
        const struct topic_brief *there = api_topic(c, t->name, NULL, &code);
        for (int32_t k = 0; there != NULL && k < t->partitions.count; k++)
            of->list[of->n++] = (struct tp){there->id, t->partitions.items[k].partition_index, 0};
    }
    return of;
}

/* A producer that says on whose behalf it commits is fenced by that member's generation, too (KIP-447). */
static int16_t may_commit(struct request *c, const struct msg_txn_offset_commit_request *q)
{
    if (q->group_id.n == 0)
        return GROUP_INVALID_ID;
    if (q->generation_id < 0 && q->member_id.n == 0 && q->group_instance_id.n < 0)
        return 0;
    const struct tp_set *of = NULL;
    int16_t error;
    do {
        error = groups_may_commit(c->server->groups, q->group_id, q->member_id, q->group_instance_id,
                                  q->generation_id, of);
    } while ((error == GROUP_STALE_EPOCH || error == GROUP_ILLEGAL_GENERATION) && of == NULL &&
             (of = partitions_of(c, q)) != NULL);
    if (error == GROUP_STALE_EPOCH) /* the request knows of generations only */
        return GROUP_ILLEGAL_GENERATION;
    return commits_of_absent(c, q->group_id, error, GROUP_ILLEGAL_GENERATION);
}

static int commit_offsets(struct request *c, const struct msg_txn_offset_commit_request *q, const char *group,
                          const struct commits *w, struct err *e)
{
    struct broker *b = c->server->broker;
    const char *id = request_string(c, q->transactional_id);
    if (id == NULL || group == NULL)
        return err_nomem(e);
    if (*id == '\0')
        return no_id(e);
    if (c->header.version >= SECOND_SINCE)
        return broker_txn_commit_offsets(b, id, q->producer_id, q->producer_epoch, group, w->offsets, w->n,
                                         e);
    return broker_txn_commit_added_offsets(b, id, q->producer_id, q->producer_epoch, group, w->offsets, w->n,
                                           e);
}

static int16_t offset_code_of(const struct request *c, int rc)
{
    if (rc == ERR_PRODUCER_FENCED)
        return err_kafka(ERR_INVALID_PRODUCER_EPOCH);
    if (rc == ERR_INVALID_TXN_STATE && c->header.version >= ABORTABLE_SINCE)
        return KAFKA_TRANSACTION_ABORTABLE;
    return err_kafka(rc);
}

void api_txn_offset_commit(struct request *c)
{
    const struct msg_txn_offset_commit_request *q = c->asked;
    struct msg_txn_offset_commit_response r;
    struct commits w = {.refused = 0};
    struct err e;
    msg_init(&msg_schema_txn_offset_commit_response, &r);
    if (!take_offsets(c, q, may_commit(c, q), &w, &r))
        return;
    if (w.n > 0)
        commits_answer(&w, offset_code_of(c, commit_offsets(c, q, request_string(c, q->group_id), &w, &e)));
    request_reply(c, &r);
}
