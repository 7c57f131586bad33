/*
 * simdisk: a disk in memory that loses what was not synced when its power is cut. README.md has its rules.
 *
 * The medium only: files, names, and for each of them what is durable and what has been changed since. Descriptors,
 * paths and errno are simcalls.c's.
 */
#ifndef LEAT_TESTS_POWER_SIMDISK_H
#define LEAT_TESTS_POWER_SIMDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/power/rng.h"

enum { SIM_SECTOR = 512, SIM_BLOCK = 4096 };

struct sim_bytes {
    uint8_t *data;
    size_t n, cap;
};

/* A write that was not synced; with `data` NULL a change of the length to `at`. */
struct sim_change {
    int64_t at;
    size_t n;
    uint8_t *data;
};

struct sim_node;

struct sim_name {
    char *name;
    struct sim_node *node;
};

/* A name that was set or, with `node` NULL, removed, and is not synced. Those of one renaming have one number. */
struct sim_naming {
    uint64_t number;
    char *name;
    struct sim_node *node;
};

struct sim_names {
    struct sim_name *list;
    size_t n;
};

struct sim_node {
    bool dir;
    struct sim_bytes live, durable; /* a file's */
    int64_t reserved;               /* by fallocate; space, not length */
    struct sim_change *changes;     /* in order */
    size_t change_count;
    struct sim_names names, durable_names; /* a directory's */
    struct sim_naming *namings;
    size_t naming_count;
    struct sim_node *next; /* all of the disk */
};

struct sim_disk {
    struct rng rng; /* decides what survives */
    struct sim_node *root, *all;
    uint64_t numbers; /* of namings */
};

void sim_disk_init(struct sim_disk *d, uint64_t seed);
void sim_disk_free(struct sim_disk *d);

/* The power was cut: what survives is decided, and is then all that there is. */
void sim_disk_settle(struct sim_disk *d);

/* ---- files */

struct sim_node *sim_node_new(struct sim_disk *d, bool dir);
void sim_file_write(struct sim_node *f, int64_t at, const void *data, size_t n);
void sim_file_set_length(struct sim_node *f, int64_t length);
void sim_file_sync(struct sim_node *f);
/* As a write through O_DSYNC: these bytes, and the length that is needed to read them, are durable. Nothing else is. */
void sim_file_write_through(struct sim_node *f, int64_t at, const void *data, size_t n);

/* ---- directories */

struct sim_node *sim_dir_find(const struct sim_node *dir, const char *name, size_t n);
void sim_dir_set(struct sim_disk *d, struct sim_node *dir, const char *name, struct sim_node *node);
void sim_dir_rename(struct sim_disk *d, struct sim_node *dir, const char *from, const char *to);
void sim_dir_sync(struct sim_node *dir);

#endif
