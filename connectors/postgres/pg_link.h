/*
 * pg_link: the replication connection in COPY mode: messages in, status updates out, signs of life both ways. A thread of its
 * own, the keeper, sends the updates that are due while the task's thread is elsewhere, in a store that is slow, say; so the
 * server never ends the connection by wal_sender_timeout for that. If asked to it reads ahead, too, so that the server
 * goes on sending. The functions are for the task's thread.
 */
#ifndef LEAT_PG_LINK_H
#define LEAT_PG_LINK_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "leat/plugin.h"

struct pg_link;

struct pg_link_options {
    int64_t status_ms;  /* between status updates at most */
    int64_t sender_ms;  /* the server's wal_sender_timeout; 0: none */
    int64_t silence_ms; /* without a sign of the server for so long the connection counts as lost */
    bool confirm;       /* false: the slot is moved by others */
    uint64_t durable;   /* up to where the store holds all */
};

/* Takes the connection, on which COPY BOTH has begun, over; also if it fails. */
int pg_link_new(PGconn *c, const struct pg_link_options *o, struct pg_link **out, struct err *e);
/* Sends a last status update. */
void pg_link_free(struct pg_link *l); /* NULL: nothing */

struct pg_link_message {
    const uint8_t *data; /* a message of the output plugin, until the next call; NULL: a keepalive */
    size_t n;
    uint64_t lsn;    /* of the message; keepalive: up to where the server has read its log */
    int64_t sent_us; /* by the server's clock, since 1970 */
};

/* Never waits. *got false: nothing is there. ERR_CONNECTION: it ended; the text says how. */
int pg_link_fetch(struct pg_link *l, bool *got, struct pg_link_message *out, struct err *e);
/*
 * The server sends message by message, and who waits at the socket is woken for each, which costs both sides more than the message
 * does. So while much is coming it is left to it for so long, and then taken at once.
 */
int64_t pg_link_rest_ns(const struct pg_link *l);
/* Much is coming, and the task's thread goes elsewhere: until the next fetch the keeper reads a MiB ahead. */
void pg_link_read_ahead(struct pg_link *l);
/* The store holds all before this. Told to the server with the next update. */
void pg_link_durable(struct pg_link *l, uint64_t lsn);
/*
 * Sends what is due; finds out whether the server still is there. Once a poll. `listening`: fetch was called since the last time
 * until nothing was there; else silence says nothing of the server.
 */
int pg_link_tend(struct pg_link *l, bool listening, struct err *e);
int64_t pg_link_due_ms(const struct pg_link *l); /* when pg_link_tend wants to be called again, from now */
int pg_link_fd(const struct pg_link *l);

#endif
