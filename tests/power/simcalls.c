/*
 * simcalls: see simcalls.h. What is in the hands of all calls: the cut, paths, room; the clock and the random numbers; and
 * what a schedule does to the machine. The calls themselves: simfiles.c and simnames.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "tests/power/simstate.h"

_Thread_local const struct power_site *power_site;

struct sim_state sim;

/* ---- the start of every call -------------------------------------------------------------------------------------- */

void sim_trace(const char *what, const char *path, const char *more, int64_t a, int64_t b)
{
    if (sim.o.trace)
        fprintf(stderr, "%6llu   %s %s%s%s %lld %lld\n", (unsigned long long)sim.changes, what, path,
                *more ? " -> " : "", more, (long long)a, (long long)b);
}

int sim_fail(int errnum)
{
    errno = errnum;
    return -1;
}

bool sim_begin(const char *what, const char *path, const char *more, int64_t a, int64_t b, bool *last)
{
    sim.changes++;
    *last = false;
    if (sim.cut)
        return false;
    sim_trace(what, path, more, a, b);
    if (sim.cut_at && sim.changes == sim.cut_at) {
        if (sim.o.trace)
            fprintf(stderr, "%6llu   *** power is cut\n", (unsigned long long)sim.changes);
        sim.cut = *last = true;
    }
    return true;
}

/* ---- paths -------------------------------------------------------------------------------------------------------- */

struct sim_node *sim_find_parent(const char *path, const char **last)
{
    struct sim_node *at = sim.disk.root;
    const char *part = path + (*path == '/');
    for (const char *slash; at && (slash = strchr(part, '/')); part = slash + 1)
        at = at->dir ? sim_dir_find(at, part, (size_t)(slash - part)) : NULL;
    *last = part;
    return at && at->dir ? at : NULL;
}

struct sim_node *sim_lookup(const char *path)
{
    const char *last;
    struct sim_node *dir = sim_find_parent(path, &last);
    return !dir ? NULL : *last ? sim_dir_find(dir, last, strlen(last)) : dir;
}

struct descriptor *sim_descriptor(int fd)
{
    if (fd < FD_BASE || fd >= FD_BASE + FD_MAX || !sim.fds[fd - FD_BASE].node)
        abort(); /* a call beneath base/io that the simulation does not know made it, or it was closed */
    return &sim.fds[fd - FD_BASE];
}

/* ---- space -------------------------------------------------------------------------------------------------------- */

static int64_t blocks_of(int64_t bytes)
{
    return (bytes + SIM_BLOCK - 1) / SIM_BLOCK;
}

static int64_t used_blocks(const struct sim_node *dir)
{
    int64_t n = 0;
    for (size_t i = 0; i < dir->names.n; i++) {
        const struct sim_node *node = dir->names.list[i].node;
        int64_t bytes = (int64_t)node->live.n > node->reserved ? (int64_t)node->live.n : node->reserved;
        n += node->dir ? used_blocks(node) : blocks_of(bytes);
    }
    return n;
}

int64_t sim_length_limit(const struct sim_node *f)
{
    int64_t has = (int64_t)f->live.n > f->reserved ? (int64_t)f->live.n : f->reserved;
    if (!sim.o.blocks)
        return INT64_MAX;
    int64_t free_blocks = sim.o.blocks - used_blocks(sim.disk.root);
    return (blocks_of(has) + (free_blocks > 0 ? free_blocks : 0)) * SIM_BLOCK;
}

/* ---- clock and random numbers ---------------------------------------------------------------------------------------- */

ssize_t __wrap_getrandom(void *data, size_t n, unsigned flags);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
pid_t __wrap_getpid(void);

/* Its digits go into files, and a schedule takes the same way each time. */
pid_t __wrap_getpid(void)
{
    return 4711;
}

ssize_t __wrap_getrandom(void *data, size_t n, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)data)[i] = (uint8_t)rng_next(&sim.rng);
    return (ssize_t)n;
}

/* Every look at the clock takes a microsecond. */
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    (void)id;
    fiber_step();
    sim.clock_ns += 1000;
    *t = (struct timespec){.tv_sec = sim.clock_ns / 1000000000, .tv_nsec = sim.clock_ns % 1000000000};
    return 0;
}

void sim_clock_add_ms(int64_t ms)
{
    sim.clock_ns += ms * 1000000;
}

void sim_clock_set_ns(int64_t ns)
{
    if (ns > sim.clock_ns)
        sim.clock_ns = ns;
}

int64_t sim_clock_ns(void)
{
    return sim.clock_ns;
}

int64_t sim_clock_ms(void)
{
    int64_t ms = sim.clock_ns / 1000000;
    return ms;
}

/* ---- power ------------------------------------------------------------------------------------------------------------- */

static void close_all(void)
{
    for (int i = 0; i < FD_MAX; i++) {
        free(sim.fds[i].path);
        sim.fds[i] = (struct descriptor){0};
    }
}

void sim_start(uint64_t seed, const struct sim_options *o)
{
    sim.o = *o;
    sim.rng = (struct rng){seed ^ UINT64_C(0x5eed)};
    sim_disk_init(&sim.disk, seed);
    sim.changes = sim.cut_at = 0;
    sim.cut = false;
    sim.clock_ns = INT64_C(1700000000000) * 1000000;
}

void sim_end(void)
{
    close_all();
    sim_disk_free(&sim.disk);
}

void sim_cut_in(uint64_t n)
{
    sim.cut_at = n ? sim.changes + n : 0;
}

void sim_cut_now(void)
{
    sim.cut = true;
}

bool sim_is_cut(void)
{
    bool cut = sim.cut;
    return cut;
}

uint64_t sim_changes(void)
{
    uint64_t n = sim.changes;
    return n;
}

void sim_process_on(void)
{
    close_all();
    sim.cut = false;
    sim.cut_at = 0;
}

void sim_power_on(void)
{
    sim_disk_settle(&sim.disk);
    sim_process_on();
}

void sim_set_blocks(int64_t blocks)
{
    sim.o.blocks = blocks;
}

int64_t sim_used_blocks(void)
{
    int64_t n = used_blocks(sim.disk.root);
    return n;
}

/* ---- damage ------------------------------------------------------------------------------------------------------------ */

struct sim_node *sim_make(const char *path)
{
    const char *last;
    struct sim_node *dir = sim_find_parent(path, &last);
    struct sim_node *file = dir ? sim_node_new(&sim.disk, false) : NULL;
    if (dir) {
        sim_dir_set(&sim.disk, dir, last, file);
        sim_dir_sync(dir);
    }
    return file;
}

void sim_remove(const char *path)
{
    const char *last;
    struct sim_node *dir = sim_find_parent(path, &last);
    sim_dir_set(&sim.disk, dir, last, NULL);
    sim_dir_sync(dir);
}

static void each_below(struct sim_node *dir, const char *path,
                       void (*each)(void *arg, const char *path, struct sim_node *file), void *arg)
{
    for (size_t i = 0; i < dir->names.n; i++) {
        char child[1024];
        struct sim_node *node = dir->names.list[i].node;
        snprintf(child, sizeof child, "%.700s/%.255s", path, dir->names.list[i].name);
        if (node->dir)
            each_below(node, child, each, arg);
        else
            each(arg, child, node);
    }
}

void sim_each_file(void (*each)(void *arg, const char *path, struct sim_node *file), void *arg)
{
    each_below(sim.disk.root, "", each, arg);
}
