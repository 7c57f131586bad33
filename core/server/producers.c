/*
 * producers: InitProducerId. In the pool: a transactional id's new epoch is durable before it is told.
 */
#include "broker/transactions.h"
#include "server/apis.h"

#define FENCED_SINCE 4 /* KIP-588 */

static int init(struct request *c, const struct msg_init_producer_id_request *q,
                struct msg_init_producer_id_response *r, struct err *e)
{
    struct producer_claim claim = {q->transaction_timeout_ms, q->producer_id, q->producer_epoch};
    if ((q->producer_id == -1) != (q->producer_epoch == -1))
        return err_set(e, ERR_INVALID, "a producer brings its id and its epoch, or neither");
    if (q->transactional_id.n < 0)
        return broker_init_producer(c->server->broker, NULL, 0, &r->producer_id, &r->producer_epoch, e);
    const char *id = request_string(c, q->transactional_id);
    if (id == NULL)
        return err_nomem(e);
    return broker_claim_producer(c->server->broker, id, &claim, &r->producer_id, &r->producer_epoch, e);
}

void api_init_producer_id(struct request *c)
{
    struct msg_init_producer_id_response r;
    struct err e;
    msg_init(&msg_schema_init_producer_id_response, &r);
    int rc = init(c, c->asked, &r, &e);
    if (rc == ERR_PRODUCER_FENCED && c->header.version < FENCED_SINCE)
        rc = ERR_INVALID_PRODUCER_EPOCH;
    r.error_code = err_kafka(rc);
    if (rc != ERR_OK) {
        r.producer_id = -1;
        r.producer_epoch = -1;
    }
    request_reply(c, &r);
}
