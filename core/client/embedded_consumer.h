/*
 * embedded_consumer: what embedded_consumer.c (assignments, polling) and embedded_fetch.c (reading and decoding) share.
 */
#ifndef LEAT_CLIENT_EMBEDDED_CONSUMER_H
#define LEAT_CLIENT_EMBEDDED_CONSUMER_H

#include <stdatomic.h>

#include "base/buf.h"
#include "client/internal.h"

#define FETCH_BYTES_DEFAULT (1u << 20)

struct assignment {
    char *topic;
    int32_t partition;
    struct uuid topic_id; /* of the topic that was assigned: another one may have its name by now */
    int64_t position;     /* next to be given out */
    bool gone;            /* not read any more: the topic was deleted, or it is out of service; said once */
};

struct embedded_consumer {
    struct consumer base;
    struct broker *broker;
    char *group;
    enum isolation isolation;
    size_t fetch_bytes;
    bool go_on;
    struct err trouble; /* why a partition is out of service; ERR_OK: none is */
    struct waiter *waiter;
    atomic_bool woken; /* consumer_wake was called */
    struct assignment *list;
    size_t count, room;
    size_t turn; /* whose turn it is */

    /* What was read and not yet given out, of one assignment. */
    struct assignment *current; /* NULL: nothing */
    struct buf in;
    size_t at;
    int64_t end_offset; /* after what was read */
    struct aborted_txn *aborted;
    size_t aborted_count;

    /* What the last poll gave out. */
    struct record *records;
    size_t record_count, record_room;
    struct buf *scratch; /* one for each inflated batch of a poll */
    size_t scratch_used, scratch_room;
};

/* False: the topic was deleted, and if there is one of its name, it is another one. */
bool consumer_topic_there(const struct embedded_consumer *c, const struct assignment *a);
/* Reads for `a` from its position. Nothing there: c->current stays NULL. ERR_UNKNOWN_TOPIC: the topic was deleted. */
int consumer_read(struct embedded_consumer *c, struct assignment *a, struct err *e);
/* Decodes what a poll gives out from what was read; c->record_count may stay 0 (control records, aborted ones). */
int consumer_decode(struct embedded_consumer *c, struct err *e);
void consumer_forget_read(struct embedded_consumer *c);

#endif
