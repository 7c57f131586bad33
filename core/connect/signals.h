/*
 * signals: what is asked of a running source from outside, on its way to the plugin (leat_host.next_signal): a mailbox of a
 * task, filled by callers of worker_signal, who wait until theirs is taken for good: until what the poll that took it set and
 * emitted is durable. A poll that fails gives back what it took. And by a reader of a topic of signals.
 */
#ifndef LEAT_CONNECT_SIGNALS_H
#define LEAT_CONNECT_SIGNALS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "client/client.h"

#define SIGNALS_WAITING_MAX 64 /* in a mailbox; beyond, callers are refused and the topic's reader waits */
#define SIGNAL_DATA_MAX ((size_t)1 << 20)
#define SIGNAL_NAME_MAX 255 /* bytes of an id or a type */

/* ---- the mailbox. Any thread, unless said otherwise ------------------------------------------------------------------ */

struct signals;
struct signals *signals_new(struct err *e); /* with one user; NULL on error */
struct signals *signals_ref(struct signals *s);
void signals_unref(struct signals *s);
/* Whoever waits gives up, and nothing is taken in any more. */
void signals_close(struct signals *s);
int signals_fd(
    const struct signals *s); /* readable once something has come; signals_seen makes it unreadable */
void signals_seen(struct signals *s);

/*
 * Puts one in and waits until it is taken for good. `data` may be NULL. ERR_TIMEOUT: it was not within `ms`; the text tells whether
 * it is gone again, or was taken all the same. ERR_BUSY: the mailbox is full, or the task failed for good; ERR_CLOSED: the task has ended.
 */
int signals_post(struct signals *s, const char *id, const char *type, const char *data, int64_t ms,
                 struct err *e);

struct signal {
    const char *id, *type, *data; /* data NULL: none */
    bool from_topic;
    int32_t partition;
    int64_t next_offset; /* of the topic's reader: after this one */
};
/* Takes the oldest in this poll, of which the numbers grow; its texts stay until the next is taken. False: there is none. One taker. */
bool signals_take(struct signals *s, uint64_t poll, struct signal *out);
/* What was taken in the polls up to this one is stored: callers are told. Polls that come count from 1 again after give_back. */
void signals_stored(struct signals *s, uint64_t polls);
/* Nobody will take them until accept: who waits, or comes, is told (ERR_BUSY). */
void signals_refuse(struct signals *s);
void signals_accept(struct signals *s);
/* The attempt has ended: what it took and did not store is there again, in its order, for the callers that still wait. */
void signals_give_back(struct signals *s);

/* ---- the reader of a topic (signal_topic.c). Task's thread ---------------------------------------------------------- */

struct signal_reader;
/*
 * Reads records with this key into the mailbox, from `offsets[i]` of partition i on (-1: the beginning), on a thread of its own.
 * `s` outlives it. A record that is no signal is passed over with a warning.
 */
int signal_reader_start(struct client *c, struct signals *s, const char *label, const char *topic,
                        const char *key, const int64_t *offsets, int32_t partitions,
                        struct signal_reader **out, struct err *e);
/* Ends the thread; what it put in and nobody took is taken back. NULL: nothing. */
void signal_reader_stop(struct signal_reader *r);
/* ERR_OK while it reads, else why it ended. */
int signal_reader_error(struct signal_reader *r, struct err *e);

/* For the reader: waits for room. False: `stop` was set and signals_wake called. */
bool signals_put(struct signals *s, const struct signal *signal, const atomic_bool *stop, struct err *e);
void signals_drop_topic(struct signals *s);
void signals_wake(struct signals *s, atomic_bool *stop);
void signals_poke(struct signals *s); /* makes the fd readable */

#endif
