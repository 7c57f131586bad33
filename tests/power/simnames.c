/*
 * simnames: asking for, making, renaming and removing names, as simcalls.h says; errno as the kernel sets it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/power/simstate.h"

/* What opendir gives: the names as they were then. */
struct listing {
    char **names;
    size_t n, at;
    struct dirent entry;
};

int __wrap_fstat(int fd, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_rmdir(const char *path);
DIR *__wrap_opendir(const char *path);
struct dirent *__wrap_readdir(DIR *d);
int __wrap_closedir(DIR *d);

static int fill_stat(const struct sim_node *node, struct stat *st)
{
    if (sim.cut)
        return sim_fail(EIO);
    if (!node)
        return sim_fail(ENOENT);
    memset(st, 0, sizeof *st);
    st->st_mode = node->dir ? S_IFDIR | 0700 : S_IFREG | 0600;
    st->st_size = (off_t)node->live.n;
    return 0;
}

int __wrap_fstat(int fd, struct stat *st)
{
    int rc = fill_stat(sim_descriptor(fd)->node, st);
    return rc;
}

int __wrap_stat(const char *path, struct stat *st)
{
    int rc = fill_stat(sim_lookup(path), st);
    return rc;
}

int __wrap_lstat(const char *path, struct stat *st)
{
    return __wrap_stat(path, st);
}

static int rename_now(const char *from, const char *to)
{
    const char *a, *b;
    bool cut;
    struct sim_node *dir = sim_find_parent(from, &a), *other = sim_find_parent(to, &b);
    const struct sim_node *node = sim_lookup(from), *there = sim_lookup(to);
    if (sim.cut)
        return sim_fail(EIO);
    if (!node || !other)
        return sim_fail(ENOENT);
    if (dir != other)
        abort(); /* the store renames within a directory only */
    if (there && there->dir && there->names.n)
        return sim_fail(ENOTEMPTY);
    if (!sim_begin("rename", from, to, 0, 0, &cut))
        return sim_fail(EIO);
    sim_dir_rename(&sim.disk, dir, a, b);
    return cut ? sim_fail(EIO) : 0;
}

int __wrap_rename(const char *from, const char *to)
{
    fiber_point();
    int rc = rename_now(from, to);
    return rc;
}

static int remove_now(const char *path, bool dir)
{
    const char *last;
    bool cut;
    struct sim_node *parent = sim_find_parent(path, &last), *node = sim_lookup(path);
    if (sim.cut)
        return sim_fail(EIO);
    if (!node)
        return sim_fail(ENOENT);
    if (node->dir != dir)
        return sim_fail(dir ? ENOTDIR : EISDIR);
    if (node->names.n)
        return sim_fail(ENOTEMPTY);
    if (!sim_begin("remove", path, "", 0, 0, &cut))
        return sim_fail(EIO);
    sim_dir_set(&sim.disk, parent, last, NULL);
    return cut ? sim_fail(EIO) : 0;
}

int __wrap_unlink(const char *path)
{
    fiber_point();
    int rc = remove_now(path, false);
    return rc;
}

int __wrap_rmdir(const char *path)
{
    fiber_point();
    int rc = remove_now(path, true);
    return rc;
}

static int mkdir_now(const char *path)
{
    const char *last;
    bool cut;
    struct sim_node *parent = sim_find_parent(path, &last);
    if (sim.cut)
        return sim_fail(EIO);
    if (sim_lookup(path))
        return sim_fail(EEXIST);
    if (!parent)
        return sim_fail(ENOENT);
    if (!sim_begin("mkdir", path, "", 0, 0, &cut))
        return sim_fail(EIO);
    sim_dir_set(&sim.disk, parent, last, sim_node_new(&sim.disk, true));
    return cut ? sim_fail(EIO) : 0;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    fiber_point();
    (void)mode;
    int rc = mkdir_now(path);
    return rc;
}

/* Names come in any order. */
static struct listing *list_now(const char *path)
{
    const struct sim_node *dir = sim_lookup(path);
    if (sim.cut || !dir || !dir->dir) {
        sim_fail(sim.cut ? EIO : dir ? ENOTDIR : ENOENT);
        return NULL;
    }
    struct listing *l = calloc(1, sizeof *l);
    l->names = calloc(dir->names.n + 1, sizeof *l->names);
    for (size_t i = 0; i < dir->names.n; i++) {
        size_t at = rng_below(&sim.rng, ++l->n);
        l->names[i] = l->names[at];
        l->names[at] = strdup(dir->names.list[i].name);
    }
    return l;
}

DIR *__wrap_opendir(const char *path)
{
    struct listing *l = list_now(path);
    return (DIR *)l;
}

struct dirent *__wrap_readdir(DIR *d)
{
    struct listing *l = (struct listing *)d;
    if (l->at == l->n)
        return NULL;
    snprintf(l->entry.d_name, sizeof l->entry.d_name, "%.255s", l->names[l->at++]);
    return &l->entry;
}

int __wrap_closedir(DIR *d)
{
    struct listing *l = (struct listing *)d;
    for (size_t i = 0; i < l->n; i++)
        free(l->names[i]);
    free(l->names);
    free(l);
    return 0;
}
