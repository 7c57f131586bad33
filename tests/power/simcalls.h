/*
 * simcalls: the system calls beneath base/io, the clock and the random numbers, answered by a simulated disk. The linker
 * puts them in the place of the C library's (tests/power/wrap), so the store's own code is what ships.
 *
 * One simulation at a time, in one thread (fibers.h).
 */
#ifndef LEAT_TESTS_POWER_SIMCALLS_H
#define LEAT_TESTS_POWER_SIMCALLS_H

#include "tests/power/simdisk.h"

/* A place in the store that syncs one kind of file: "core/storage/segment.c:251 sync_one .log". */
struct sim_sync {
    char text[192];
    const void *site; /* struct power_site */
    char kind[96];
    uint64_t calls;
};

enum { SIM_SYNCS_MAX = 256 };

struct sim_options {
    bool trace;     /* tell every call on stderr */
    bool odd;       /* now and then a transfer is short or interrupted */
    int64_t blocks; /* of SIM_BLOCK bytes that the disk has; 0: no limit */
    bool no_direct; /* the file system knows no O_DIRECT */
    int leave_out;  /* number of the sync that is left out; -1: none */
};

/* An empty disk; the present one is gone. */
void sim_start(uint64_t seed, const struct sim_options *o);
void sim_end(void);

/* Power fails in the n-th call from now on that changes anything; 0: never. From then on every call fails. */
void sim_cut_in(uint64_t n);
void sim_cut_now(void);
bool sim_is_cut(void);
uint64_t sim_changes(void); /* calls so far that changed anything or would have */
/* Power is back: what survived is there, descriptors are gone. */
void sim_power_on(void);
/* It was only the process that was killed: the same, but the disk is as it was. */
void sim_process_on(void);

void sim_set_blocks(int64_t blocks); /* as in the options, from now on */
int64_t sim_used_blocks(void);

void sim_clock_add_ms(int64_t ms);
int64_t sim_clock_ms(void);
void sim_clock_set_ns(int64_t ns); /* never back */
int64_t sim_clock_ns(void);

/* The syncs that were met, in all simulations of this process. */
size_t sim_syncs(const struct sim_sync **list);

/* ---- for damage: while no file is open. Paths from "/" on; NULL: there is none */
struct sim_node *sim_lookup(const char *path);
struct sim_node *sim_make(const char *path); /* a file, if its directory is there; NULL: it is not */
void sim_remove(const char *path);
/* Calls for every file. */
void sim_each_file(void (*each)(void *arg, const char *path, struct sim_node *file), void *arg);

#endif
