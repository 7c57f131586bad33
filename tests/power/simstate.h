/*
 * simstate: what the files that answer the calls share: the disk and the descriptors, the start of every call, paths.
 */
#ifndef LEAT_TESTS_POWER_SIMSTATE_H
#define LEAT_TESTS_POWER_SIMSTATE_H

#include "tests/power/fibers.h"
#include "tests/power/simcalls.h"
#include "tests/power/sites.h"
#undef io_open

enum { FD_BASE = 100000, FD_MAX = 4096 };

struct descriptor {
    struct sim_node *node; /* NULL: free */
    char *path;
    bool through; /* O_DSYNC */
    const struct power_site *site;
};

struct sim_state {
    struct sim_disk disk;
    struct sim_options o;
    struct rng rng; /* what the calls themselves decide */
    struct descriptor fds[FD_MAX];
    uint64_t changes, cut_at;
    bool cut;
    int64_t clock_ns;
};
extern struct sim_state sim;

/* ---- simcalls.c */

void sim_trace(const char *what, const char *path, const char *more, int64_t a, int64_t b);
int sim_fail(int errnum); /* sets errno; -1 */
/* For a call that changes something. *last: the power fails while it runs: it may have happened or not. */
bool sim_begin(const char *what, const char *path, const char *more, int64_t a, int64_t b, bool *last);

/* The directory that it is or would be in, and its name there. */
struct sim_node *sim_find_parent(const char *path, const char **last);

struct descriptor *sim_descriptor(int fd); /* an open one */

/* To which length the file may grow. */
int64_t sim_length_limit(const struct sim_node *f);

/* ---- simsyncs.c: is it to be done? Counts it in any case. */
bool sim_note_sync(const struct power_site *site, const char *path, bool dir);

#endif
