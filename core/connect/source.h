/*
 * source: what the parts of a running source task share, and what the host table needs of it. Task's thread.
 */
#ifndef LEAT_CONNECT_SOURCE_H
#define LEAT_CONNECT_SOURCE_H

#include <stdbool.h>

#include "base/buf.h"
#include "connect/task.h"

struct topic_targets;
struct signal_reader;

struct source_run {
    struct producer *producer;
    struct positions *positions;
    struct map *topics;          /* struct topic_targets by name */
    struct topic_targets *main;  /* the pipeline's topic; NULL: not written yet */
    struct topic_targets *other; /* the last other one used */
    struct record_header *headers;
    size_t header_cap;
    struct buf key, value;        /* converted */
    struct signal_reader *reader; /* of a topic of signals; NULL: none */
    char *signal_topic;
    uint64_t signal_poll; /* the last one that took a signal that is not stored yet; 0: none is open */
    bool polling;
    bool touched; /* this poll emitted something or set a position */
    int failed;   /* LEAT_RETRY or LEAT_FAIL: emit, set_position or a commit failed in this poll */
    /* the transaction that is being gathered: */
    uint64_t transaction; /* counts them */
    uint64_t records, bytes;
    int64_t since_ms; /* clock_mono_ms at the end of its first poll that gave something; -1: none did */
    /* those on their way, the oldest first: */
    struct {
        uint64_t records, bytes;
        uint64_t polls; /* with it so many polls are durable */
    } flights[PRODUCER_IN_FLIGHT];
    bool unacknowledged; /* something became durable since `committed` was called */
    uint64_t polls;      /* that ended well, since open */
    uint64_t durable;    /* so many of them are durable */
    uint64_t told;       /* and so many the plugin knows of */
    uint64_t woken_for;  /* `durable` when the plugin's wait was ended for it */
};

/* ---- for the host table ----------------------------------------------------------------------------------------- */

int source_emit(struct leat_task *t, const struct leat_record *records, size_t n);
int source_set_position(struct leat_task *t, const char *partition, const char *offset);
const char *source_get_position(struct leat_task *t, const char *partition);
bool source_next_position(struct leat_task *t, size_t *cursor, const char **partition, const char **offset);
/* A commit failed inside the plugin's poll, which should end. */
bool source_failed(const struct leat_task *t);
/*
 * The plugin waits in its poll: there is time to see commits through, and what was gathered before this poll may be due.
 * Returns in how many ms at most to be called again, -1: no wish. See source_failed.
 */
int64_t source_idle(struct leat_task *t);
/* More is durable than the plugin, which wants to be told (`durable`), knows of. True once: it may wait again all the same. */
bool source_news(const struct leat_task *t);

/* leat_host.next_signal and signal_topic (source_signals.c). */
int source_next_signal(struct leat_task *t, struct leat_signal *out);
int source_signal_topic(struct leat_task *t, const char *topic, const char *key);
/* After more became durable: whoever sent a signal by command is told. */
void source_signals_stored(struct leat_task *t, struct source_run *s);
void source_end_signals(struct leat_task *t, struct source_run *s);
/* A position of ours, not of the plugin. */
bool source_is_signal_position(const char *partition);

/* ---- records (source_emit.c) ------------------------------------------------------------------------------------ */

struct topic_targets *source_open_topic(struct leat_task *t, struct source_run *s, const char *name,
                                        struct err *e);
void source_free_topic(void *topic_targets);

/* ---- commits (source_commit.c). LEAT_OK, or what task_fail returned ---------------------------------------------- */

/* After a poll that went well: begins a commit if one is due. */
int source_polled(struct leat_task *t, struct source_run *s, void *self);
/* Commits whatever there is and waits for all of it. */
int source_commit_rest(struct leat_task *t, struct source_run *s, void *self);
/* After a failure, whose text is kept: what was on its way is waited for; what was gathered goes if the failed poll gave none. */
void source_abandon(struct leat_task *t, struct source_run *s);
/* Waits for at most `ms`, as the plugin's poll neither gave anything nor waited. */
int source_pause(struct leat_task *t, struct source_run *s, void *self, int64_t ms);

#endif
