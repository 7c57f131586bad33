/*
 * file sink, inside: what its parts share. One `struct sink` a task, used by that task's thread only.
 *
 *   sink.c          connector, open, put, flush, close     sink_rounds.c   rounds that survive a crash
 *   sink_options.c  option table, descriptor                sink_append.c   one file that only grows
 *   sink_files.c    files in a directory (filer's target)  sink_claims.c   whose names they are
 */
#ifndef LEAT_FILE_SINK_H
#define LEAT_FILE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kit/filer.h"
#include "kit/template.h"
#include "leat/plugin.h"

/* ---- options --------------------------------------------------------------------------------------------------- */

/* Strings are borrowed from the task's configuration. */
struct sink_settings {
    const char *directory; /* NULL: `file` is set */
    const char *file;
    const char *path; /* template */
    int64_t sync_interval_ms;
    struct filer_config filer;
};
/* ERR_INVALID_CONFIG names the option. Touches nothing outside. */
int sink_settings_read(struct sink_settings *s, const struct leat_host *h, const struct leat_config *c,
                       struct err *e);

/* ---- the hub ---------------------------------------------------------------------------------------------------- */

/* What is committed for a partition of the task; `arg` is its struct record_view. A rounds_committed_fn. */
int sink_committed(void *arg, const char *topic, int32_t partition, int64_t *offset, struct err *e);

/* ---- rounds: the hidden directory ------------------------------------------------------------------------------ */

/*
 * <directory>/.leat/<connector>/ holds unfinished files (*.tmp) and a round record for each topic-partition
 * (<topic>-<partition>.round): which finished temporaries become which files, and the offset that is stored with them.
 * The record is the commit point; what it says is done again after a crash.
 */
struct rounds;
int rounds_open(const char *directory, const char *connector, struct rounds **out, struct err *e);
void rounds_free(struct rounds *r);
const char *rounds_directory(const struct rounds *r);
const char *rounds_hidden(const struct rounds *r); /* <directory>/.leat/<connector> */

/*
 * Finishes the last round of a topic-partition if a crash came between; `id`: of the topic that is there now, "": unknown. What
 * was noted of an earlier topic of that name is finished, and says nothing of offsets. *next: the offset up to which records are in files,
 * if that is beyond `committed` and the difference is a crash's and not an operator's; else -1. A crash leaves a committed
 * offset that is not below the one of when the round was made.
 */
int rounds_recover(struct rounds *r, const char *topic, int32_t partition, const char *id, int64_t committed,
                   int64_t *next, struct err *e);
/* Removes left-over temporaries of the topic-partitions, or of everybody. Only after rounds_recover of each. */
int rounds_sweep(struct rounds *r, const struct leat_offset *assigned, size_t n, bool everybody,
                 struct err *e);

/* A new temporary's full path, unique over all lives of the task. mem_free; NULL: out of memory. */
char *rounds_temporary(struct rounds *r, const char *topic, int32_t partition);

/* A finished, synced temporary and the path of its file relative to the directory. */
struct round_file {
    const char *temporary; /* as rounds_temporary gave it */
    const char *path;
    int64_t bytes;
};
/*
 * Commits a round. `committed`: what is committed in the hub at this moment. *sealed turns true as soon as the record may be
 * on disk: from then on the temporaries belong to the record, even if an error follows; recovery finishes them.
 */
int rounds_commit(struct rounds *r, const struct filer_round *round, const char *id, int64_t committed,
                  const struct round_file *files, bool *sealed, struct err *e);

/* Removes the records of rounds whose offsets are committed by now, so that an offset set back later is believed. */
typedef int rounds_committed_fn(void *arg, const char *topic, int32_t partition, int64_t *offset,
                                struct err *e);
int rounds_settle(struct rounds *r, rounds_committed_fn *committed, void *arg, struct err *e);

/* A small durable state file in the hidden directory, for the append mode. *data NULL: there is none. mem_free. */
int rounds_load(struct rounds *r, const char *name, char **data, size_t *n, struct err *e);
int rounds_store(struct rounds *r, const char *name, const void *data, size_t n, struct err *e);

/* ---- claims: whose names they are ------------------------------------------------------------------------------- */

#define TOPIC_ID_SIZE 33 /* as leat_host.topic_id, with the NUL */

struct claim {
    char *topic;
    char id[TOPIC_ID_SIZE]; /* "": unknown */
    char mark[KIT_MARK_SIZE];
};
/* Locks an open file, for as long as it is open. 0 also where the file system has no locks; else errno, EWOULDBLOCK: held. */
int claims_lock(int fd, bool wait);
/* Holds the hidden directory for this task as long as *fd is open; ERR_BUSY (retriable): another one does. */
int claims_hold(struct rounds *r, int task, int *fd, struct err *e);
/*
 * Claims a topic's names for this connector and finds its mark. `names` says how files are named; `shared`: it is in the names
 * which connector wrote them. *anew: the topic was made anew since. ERR_INVALID_CONFIG: another connector has these names.
 */
int claims_take(struct rounds *r, const char *topic, const char *id, const char *names, bool shared,
                struct claim *c, bool *anew, struct err *e);
void claim_clear(struct claim *c);

struct claims {
    struct claim *items;
    size_t n;
};
const struct claim *claims_find(const struct claims *c, const char *topic); /* NULL: none */

/* ---- files in a directory -------------------------------------------------------------------------------------- */

struct files;
/* All that is handed in must outlive it; `names` before the first file. */
int files_new(struct rounds *rounds, const struct record_view *task, const struct claims *claims,
              struct files **out, struct err *e);
void files_set_names(struct files *f, const struct template *names);
void files_free(struct files *f);
extern const struct filer_target files_target; /* its `arg` is the struct files */

/* ---- one file that only grows ---------------------------------------------------------------------------------- */

struct append;
int append_open(const struct sink_settings *s, const struct record_view *view, struct rounds *rounds,
                const struct leat_offset *assigned, size_t n, struct append **out, struct err *e);
void append_free(struct append *a);
/* What is in force in the hub by now goes into the state. For a clean end. */
int append_settle(struct append *a, struct err *e);
int append_put(struct append *a, const struct leat_record *records, size_t n, struct err *e);
int append_flush(struct append *a, bool final, struct leat_offset *assigned, size_t n, int64_t *next_ms,
                 struct err *e);

/* ---- the connector (sink.c), for its descriptor ---------------------------------------------------------------- */

extern const struct leat_sink_ops sink_ops;
int sink_validate(struct leat_task *t, const struct leat_host *h, const struct leat_config *c);
int sink_check(struct leat_task *t, const struct leat_host *h, const struct leat_config *c);
int sink_outlet(struct leat_task *t, const struct leat_host *h, const struct leat_config *c, bool *by_topic,
                char *out);

#endif
