/*
 * kafka_send: parcels into the cluster: flushes, transactions, and parts of large ones. librdkafka retries for as long as
 * message.timeout.ms; what it gives up then is the flush's or commit's error.
 *
 * A commit that was started belongs to the sender's thread until it is over; all else waits for those first and runs in the
 * caller's. So one thread at a time uses the handle, and delivery reports come in it.
 *
 * A transaction that fails is aborted, and then nothing can be stored through this producer any more: whoever used it opens
 * another, which fences this one, and goes on with what the cluster has. So a commit of which the outcome is not known
 * neither loses nor repeats a record.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"
#include "client/kafka_producer.h"

enum {
    QUEUE_STEP_MS = 50,
    MESSAGE_MS = 30000,
    SLACK_MS = 10000,
    END_MS = 60000,
    ABORT_MS = 5000,
    VU_MAX = 8
};

/* ---- the handle ------------------------------------------------------------------------------------------------------------- */

/* From rd_kafka_poll, rd_kafka_flush and the like, in the thread that sends. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct kafka_producer *p = opaque; /* it begins with the handle's opaque */
    struct entry *en = m->_private;
    struct parcel *x = p->sending;
    (void)rk;
    if (!x)
        return; /* of a parcel that was given up */
    x->left--;
    if (!m->err)
        en->offset = m->offset < 0 ? 0 : m->offset;
    else if (x->error.code == ERR_OK)
        kafka_err(&x->error, m->err, NULL, "%s-%d", en->target->topic->name, m->partition);
}

/* Takes librdkafka's error, which may be NULL; it is freed. */
static int take_error(rd_kafka_error_t *error, const char *what, struct err *e)
{
    if (!error)
        return ERR_OK;
    kafka_err(e, rdk.error_code(error), rdk.error_string(error), "%s", what);
    rdk.error_destroy(error);
    return e->code;
}

int kafka_send_open(struct kafka_producer *p, struct err *e)
{
    char timeout[16], level[16];
    snprintf(timeout, sizeof timeout, "%d", p->timeout_ms);
    snprintf(level, sizeof level, "%d", p->codec_level);
    struct kafka_need needs[10] = {{"enable.idempotence", "true"},
                                   {"compression.codec", codec_name(p->codec)},
                                   {"?linger.ms", "1"},
                                   {"?queue.buffering.max.messages", "1000000"},
                                   {"?queue.buffering.max.kbytes", "131072"},
                                   {"?message.max.bytes", "104857600"},
                                   {"?message.timeout.ms", "30000"}};
    size_t n = 7;
    if (p->codec_level != CODEC_LEVEL_DEFAULT)
        needs[n++] = (struct kafka_need){"compression.level", level};
    if (p->transactional_id) {
        needs[n++] = (struct kafka_need){"transactional.id", p->transactional_id};
        needs[n++] = (struct kafka_need){"transaction.timeout.ms", timeout};
    }
    p->rk = kafka_handle(p->k, RD_KAFKA_PRODUCER, needs, n, on_delivery, &p->trouble, e);
    if (!p->rk)
        return e->code;
    if (!p->transactional_id)
        return ERR_OK;
    int rc = take_error(rdk.init_transactions(p->rk, KAFKA_LIMIT_MS), p->transactional_id, e);
    while (rdk.poll(p->rk, 0) > 0)
        ;
    struct err why;
    if (rc == ERR_TIMEOUT && kafka_is_down(&p->trouble, 0, &why)) { /* says more than that it took too long */
        *e = why;
        rc = err_wrap(e, "cannot reach %s", p->k->servers);
    }
    return rc;
}

/* ---- parcels ------------------------------------------------------------------------------------------------------------------ */

static rd_kafka_headers_t *headers_of(const struct parcel *x, const struct entry *en, struct err *e)
{
    size_t at = en->at + (size_t)(en->key_len > 0 ? en->key_len : 0) +
                (size_t)(en->value_len > 0 ? en->value_len : 0);
    struct slice left = slice_of(x->bytes.data + at, en->header_bytes);
    rd_kafka_headers_t *headers = rdk.headers_new((size_t)en->header_count);
    struct record_header h;
    int rc = headers ? ERR_OK : err_nomem(e);
    for (int32_t i = 0; rc == ERR_OK && i < en->header_count; i++) {
        rc = record_next_header(&left, &h, e);
        if (rc == ERR_OK && rdk.header_add(headers, h.key, h.key_len, h.value, h.value_len))
            rc = err_nomem(e);
    }
    if (rc == ERR_OK)
        return headers;
    if (headers)
        rdk.headers_destroy(headers);
    return NULL;
}

static int send_entry(struct kafka_producer *p, const struct parcel *x, struct entry *en, int64_t deadline,
                      struct err *e)
{
    static char none[1]; /* an empty value is not null */
    uint8_t *key = x->bytes.data ? x->bytes.data + en->at : (uint8_t *)none;
    uint8_t *value = key + (en->key_len > 0 ? en->key_len : 0);
    rd_kafka_vu_t vus[VU_MAX] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = en->target->topic->rkt},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = en->target->partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = en->timestamp},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = en},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {en->key_len < 0 ? NULL : key, en->key_len < 0 ? 0 : (size_t)en->key_len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {en->value_len < 0 ? NULL : value, en->value_len < 0 ? 0 : (size_t)en->value_len}}};
    size_t n = 7;
    if (en->header_count) {
        rd_kafka_headers_t *headers = headers_of(x, en, e);
        if (!headers)
            return e->code;
        vus[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers};
    }
    for (;;) {
        rd_kafka_error_t *error = rdk.produceva(p->rk, vus, n);
        if (!error)
            return ERR_OK;
        bool full = rdk.error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL && clock_mono_ms() < deadline;
        if (full) {
            rdk.error_destroy(error);
            rdk.poll(p->rk, QUEUE_STEP_MS);
            continue;
        }
        if (n > 7)
            rdk.headers_destroy(vus[7].u.headers);
        return take_error(error, en->target->topic->name, e);
    }
}

/* Gives to librdkafka what is not stored yet, and waits until it has told of all of it. */
static int send_all(struct kafka_producer *p, struct parcel *x, struct err *e)
{
    int64_t deadline = clock_mono_ms() + MESSAGE_MS + SLACK_MS;
    int rc = ERR_OK;
    err_clear(&x->error);
    x->left = 0;
    p->sending = x;
    for (size_t i = 0; rc == ERR_OK && i < x->count; i++) {
        if (x->entries[i].offset >= 0)
            continue;
        rc = send_entry(p, x, &x->entries[i], deadline, e);
        x->left += rc == ERR_OK;
    }
    int64_t left = deadline - clock_mono_ms();
    rdk.flush(p->rk, (int)(left > 0 ? left : 1));
    if (x->left) { /* message.timeout.ms of the user's is longer than we wait */
        rdk.purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rdk.flush(p->rk, SLACK_MS);
    }
    p->sending = NULL;
    if (rc == ERR_OK && x->error.code) {
        *e = x->error;
        rc = e->code;
    }
    if (rc == ERR_OK && x->left)
        rc = err_set(e, ERR_TIMEOUT, "%zu of %zu records were not acknowledged in time", x->left, x->count);
    return rc;
}

/* Tells of what is durable now. */
static void report(const struct kafka_producer *p, const struct parcel *x)
{
    for (size_t i = 0; p->base.delivered && i < x->count; i++) {
        const struct entry *en = &x->entries[i];
        p->base.delivered(p->base.delivered_arg, en->target->topic->name, en->target->partition, en->offset,
                          1);
    }
}

/* Only what could not be stored stays. Its bytes are not moved: they go with the parcel. */
static void keep_rest(struct parcel *x)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->count; i++)
        if (x->entries[i].offset < 0)
            x->entries[kept++] = x->entries[i];
    x->count = kept;
    if (kept == 0)
        parcel_empty(x);
}

int kafka_flush(struct producer *base, struct err *e)
{
    struct kafka_producer *p = kafka_producer_of(base);
    char why[256];
    if (p->transactional_id)
        return err_set(e, ERR_INVALID_TXN_STATE, "a transactional producer commits instead of flushing");
    if (p->broken.code) {
        *e = p->broken;
        return e->code;
    }
    if (p->filling->count == 0)
        return ERR_OK;
    int rc = send_all(p, p->filling, e);
    /* Of what it did not tell now it would tell later, of another parcel's. */
    if (rc && (p->filling->left || rdk.fatal_error(p->rk, why, sizeof why)))
        p->broken = *e;
    if (rc == ERR_OK)
        report(p, p->filling);
    keep_rest(p->filling);
    p->generation++;
    return rc;
}

/* ---- transactions -------------------------------------------------------------------------------------------------------------- */

/* Again while it may succeed. */
static int end_transaction(struct kafka_producer *p, bool commit, struct err *e)
{
    int64_t deadline = clock_mono_ms() + END_MS;
    for (;;) {
        rd_kafka_error_t *error =
            commit ? rdk.commit_transaction(p->rk, KAFKA_LIMIT_MS) : rdk.abort_transaction(p->rk, ABORT_MS);
        /* Aborting is kindness: the next producer or transaction.timeout.ms does it, too. */
        bool again = commit && error && rdk.error_is_retriable(error) && clock_mono_ms() < deadline;
        if (!again)
            return take_error(error, commit ? "the end of the transaction" : "aborting", e);
        rdk.error_destroy(error);
    }
}

/* Sends the parcel as a part of the transaction, which it begins if there is none. */
static int send_part(struct kafka_producer *p, struct parcel *x, struct err *e)
{
    if (!p->txn_open) {
        int rc = take_error(rdk.begin_transaction(p->rk), "the beginning of a transaction", e);
        if (rc)
            return rc;
        p->txn_open = true;
        p->began_ms = clock_mono_ms();
    }
    return send_all(p, x, e);
}

static int abort_open(struct kafka_producer *p, struct err *e)
{
    if (!p->txn_open)
        return ERR_OK;
    int rc = end_transaction(p, false, e);
    p->txn_open = false;
    return rc;
}

/*
 * What a new producer can mend is worth another attempt; that somebody else has the transactional id is not. But to the
 * cluster a transaction that took too long was fenced, too: by itself.
 */
static void judge(const struct kafka_producer *p, struct err *e)
{
    char why[384];
    rd_kafka_resp_err_t fatal = rdk.fatal_error(p->rk, why, sizeof why);
    if (fatal) /* that records were purged is only its consequence */
        kafka_err(e, fatal, why, "transactional id %s", p->transactional_id);
    bool fenced = e->code == ERR_PRODUCER_FENCED || e->code == ERR_INVALID_PRODUCER_EPOCH;
    if (fenced && clock_mono_ms() - p->began_ms >= p->timeout_ms) {
        err_set(e, ERR_TIMEOUT,
                "the transaction took longer than %d ms, and the cluster aborted it (transaction.timeout.ms)",
                p->timeout_ms);
        return;
    }
    e->retriable = e->retriable || e->code == ERR_INVALID_TXN_STATE || e->code == ERR_UNKNOWN_PRODUCER ||
                   e->code == ERR_INVALID_PRODUCER_MAPPING || e->code == ERR_OUT_OF_ORDER_SEQUENCE;
}

/* A whole transaction, or the last part of one. After an error nothing of it is visible, or its fate is not known. */
static int send_commit(struct kafka_producer *p, struct parcel *x, struct err *e)
{
    struct err ignored;
    int rc = send_part(p, x, e);
    if (rc == ERR_OK)
        rc = end_transaction(p, true, e);
    if (rc == ERR_OK) {
        p->txn_open = false;
        return rc;
    }
    abort_open(p, &ignored); /* a fenced one cannot; its successor did */
    judge(p, e);
    return e->code;
}

/* ---- the sender ------------------------------------------------------------------------------------------------------------------ */

/* The oldest that is not over; NULL: none. Under the lock. */
static struct parcel *next_flight(const struct kafka_producer *p)
{
    for (size_t i = 0; i < p->flight_count; i++)
        if (!p->flights[i]->over)
            return p->flights[i];
    return NULL;
}

static void *run_sender(void *arg)
{
    struct kafka_producer *p = arg;
    struct err failed = {0}; /* what follows one that failed fails, too */
    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct parcel *x = next_flight(p);
        if (!x && p->ending)
            break;
        if (!x) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        if (!failed.code)
            send_commit(p, x, &failed);
        pthread_mutex_lock(&p->lock);
        x->error = failed;
        x->over = true;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int kafka_commit_wait(struct producer *base, struct err *e)
{
    struct kafka_producer *p = kafka_producer_of(base);
    if (p->flight_count == 0)
        return ERR_OK;
    pthread_mutex_lock(&p->lock);
    struct parcel *x = p->flights[0];
    while (!x->over)
        pthread_cond_wait(&p->changed, &p->lock);
    for (size_t i = 1; i < p->flight_count; i++)
        p->flights[i - 1] = p->flights[i];
    p->flight_count--;
    pthread_mutex_unlock(&p->lock);
    int rc = x->error.code;
    if (rc)
        *e = p->broken = x->error;
    else
        report(p, x);
    parcel_empty(x);
    if (p->spare)
        parcel_free(x);
    else
        p->spare = x;
    return rc;
}

size_t kafka_in_flight(const struct producer *base)
{
    return kafka_producer_of(base)->flight_count;
}

/* All that was started is over; the first error of it. */
static int land_all(struct kafka_producer *p, struct err *e)
{
    int rc = ERR_OK;
    struct err later;
    while (p->flight_count > 0) {
        int one = kafka_commit_wait(&p->base, rc ? &later : e);
        rc = rc ? rc : one;
    }
    return rc;
}

static int usable(const struct kafka_producer *p, struct err *e)
{
    if (p->broken.code) {
        *e = p->broken;
        return e->code;
    }
    return p->must_abort ? err_set(e, ERR_INVALID_TXN_STATE,
                                   "a part of this transaction could not be stored; it can only be aborted")
                         : ERR_OK;
}

int kafka_commit_start(struct producer *base, struct err *e)
{
    struct kafka_producer *p = kafka_producer_of(base);
    if (!p->transactional_id)
        return err_set(e, ERR_INVALID_TXN_STATE, "this producer has no transactional id to commit with");
    int rc = usable(p, e);
    /* txn_open is the sender's while something is on its way, which has all of its transaction. */
    if (rc || (p->filling->count == 0 && (p->flight_count > 0 || !p->txn_open)))
        return rc;
    if (p->flight_count == PRODUCER_IN_FLIGHT && (rc = kafka_commit_wait(base, e)) != ERR_OK)
        return rc;
    struct parcel *next = p->spare ? p->spare : parcel_new(e);
    if (!next)
        return e->code;
    if (!p->started && (rc = thread_start(&p->sender, "kafka-commit", run_sender, p, e)) != ERR_OK) {
        p->spare = next;
        return rc;
    }
    p->started = true;
    p->spare = NULL;
    pthread_mutex_lock(&p->lock);
    p->flights[p->flight_count++] = p->filling;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    p->filling = next;
    p->generation++;
    return ERR_OK;
}

int kafka_relieve(struct kafka_producer *p, struct err *e)
{
    if (!p->transactional_id)
        return kafka_flush(&p->base, e);
    int rc = usable(p, e);
    if (rc == ERR_OK)
        rc = land_all(p, e);
    if (rc)
        return rc;
    rc = send_part(p, p->filling, e);
    p->must_abort = rc != ERR_OK;
    if (rc == ERR_OK)
        parcel_empty(p->filling); /* of a large transaction only the last part is reported */
    return rc;
}

int kafka_abort(struct producer *base, struct err *e)
{
    struct kafka_producer *p = kafka_producer_of(base);
    struct err ignored;
    parcel_empty(p->filling);
    if (!p->transactional_id)
        return ERR_OK;
    land_all(p, &ignored);
    int rc = abort_open(p, e);
    if (rc)
        p->broken = *e;
    p->must_abort = false;
    return rc;
}

void kafka_send_close(struct kafka_producer *p)
{
    struct err ignored; /* an open transaction that cannot be aborted now is aborted by its timeout */
    while (p->flight_count > 0)
        kafka_commit_wait(&p->base, &ignored);
    if (p->started) {
        pthread_mutex_lock(&p->lock);
        p->ending = true;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->sender, NULL);
    }
    if (p->rk)
        abort_open(p, &ignored);
}
