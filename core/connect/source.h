/*
 * source: what the parts of a running source task share, and what the host table needs of it. Task's thread.
 */
#ifndef LEAT_CONNECT_SOURCE_H
#define LEAT_CONNECT_SOURCE_H

#include <stdbool.h>

#include "base/buf.h"
#include "connect/task.h"

struct topic_targets;

struct source_run {
    struct producer *producer;
    struct positions *positions;
    struct map *topics;          /* struct topic_targets by name */
    struct topic_targets *main;  /* the pipeline's topic */
    struct topic_targets *other; /* the last other one used */
    struct record_header *headers;
    size_t header_cap;
    struct buf key, value; /* converted */
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
    } flights[PRODUCER_IN_FLIGHT];
    bool unacknowledged; /* something became durable since `committed` was called */
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
int source_pause(struct leat_task *t, struct source_run *s, int64_t ms);

#endif
