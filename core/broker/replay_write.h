/*
 * replay_write: writes what a start puts back, beside the one who reads the journal. Each partition belongs to one thread, so a file's
 * bytes are written in the journal's order.
 */
#ifndef LEAT_BROKER_REPLAY_WRITE_H
#define LEAT_BROKER_REPLAY_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct partition;
struct journal_entry;
struct replay_writer;

/* Keeps `files` segments open at most. With `threads` false, or where none can be started, the caller's thread writes. */
int replay_writer_start(struct replay_writer **w, size_t files, bool threads, struct err *e);
/* Copies the entry's bytes. An error may be that of an earlier entry. By one thread. */
int replay_writer_add(struct replay_writer *w, struct partition *p, const struct journal_entry *en,
                      struct err *e);
/* Waits until all is written, and frees. `rc` and *e: the caller's own error, which is kept, or ERR_OK. */
int replay_writer_finish(struct replay_writer *w, int rc, struct err *e);

#endif
