/*
 * simfiles: opening, reading, writing and syncing, as simcalls.h says; errno as the kernel sets it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/power/simstate.h"

int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
ssize_t __wrap_pread(int fd, void *data, size_t n, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t at);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_syncfs(int fd);
int __wrap_fstatfs(int fd, struct statfs *fs);
int __wrap_fstatvfs(int fd, struct statvfs *fs);
int __wrap_sync_file_range(int fd, off_t at, off_t n, unsigned int flags);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_ftruncate(int fd, off_t n);
int __wrap_flock(int fd, int operation);

static int add_descriptor(struct sim_node *node, const char *path, int flags)
{
    for (int i = 0; i < FD_MAX; i++)
        if (!sim.fds[i].node) {
            sim.fds[i] = (struct descriptor){node, strdup(path), (flags & O_DSYNC) == O_DSYNC, power_site};
            return FD_BASE + i;
        }
    return sim_fail(EMFILE);
}

static int open_now(const char *path, int flags)
{
    const char *last;
    struct sim_node *dir = sim_find_parent(path, &last);
    struct sim_node *node = sim_lookup(path);
    bool cut;
    if (sim.cut)
        return sim_fail(EIO);
    if (sim.o.no_direct && (flags & O_DIRECT))
        return sim_fail(EINVAL);
    if (!node && (!dir || !(flags & O_CREAT)))
        return sim_fail(ENOENT);
    if (node && (flags & O_EXCL))
        return sim_fail(EEXIST);
    if (node && !node->dir == !!(flags & O_DIRECTORY))
        return sim_fail(node->dir ? EISDIR : ENOTDIR);
    if (node && node->dir && (flags & O_ACCMODE) != O_RDONLY)
        return sim_fail(EISDIR);
    if (!node) {
        if (!sim_begin("create", path, "", 0, 0, &cut))
            return sim_fail(EIO);
        node = sim_node_new(&sim.disk, false);
        sim_dir_set(&sim.disk, dir, last, node);
        if (cut)
            return sim_fail(EIO);
    } else if ((flags & O_TRUNC) && node->live.n) {
        if (!sim_begin("truncate", path, "", 0, 0, &cut))
            return sim_fail(EIO);
        sim_file_set_length(node, 0);
        if (cut)
            return sim_fail(EIO);
    }
    return add_descriptor(node, path, flags);
}

int __wrap_open(const char *path, int flags, ...)
{
    fiber_point();
    int fd = open_now(path, flags);
    return fd;
}

int __real_close(int fd);
int __wrap_close(int fd)
{
    if (fd < FD_BASE) /* the test's own */
        return __real_close(fd);
    struct descriptor *f = sim_descriptor(fd);
    free(f->path);
    *f = (struct descriptor){0};
    return 0;
}

/*
 * Now and then a transfer is interrupted before it began, or ends early, at the end of a sector: -1, or how much to
 * transfer.
 */
static ssize_t odd_length(size_t n, off_t at)
{
    size_t first = SIM_SECTOR - (size_t)at % SIM_SECTOR; /* bytes up to the first place where it may end */
    if (!sim.o.odd || !rng_once_in(&sim.rng, 16))
        return (ssize_t)n;
    if (rng_once_in(&sim.rng, 2))
        return sim_fail(EINTR);
    return n <= first ? (ssize_t)n : (ssize_t)(first + rng_below(&sim.rng, (n - first + 511) / 512) * 512);
}

static ssize_t read_now(int fd, void *data, size_t n, off_t at)
{
    const struct sim_node *f = sim_descriptor(fd)->node;
    if (sim.cut)
        return sim_fail(EIO);
    size_t there = (size_t)at < f->live.n ? f->live.n - (size_t)at : 0;
    ssize_t some = there ? odd_length(n < there ? n : there, at) : 0;
    if (some > 0)
        memcpy(data, f->live.data + at, (size_t)some);
    return some;
}

ssize_t __wrap_pread(int fd, void *data, size_t n, off_t at)
{
    fiber_point();
    ssize_t got = read_now(fd, data, n, at);
    return got;
}

static ssize_t write_now(int fd, const uint8_t *data, size_t n, off_t at)
{
    struct descriptor *f = sim_descriptor(fd);
    bool cut;
    ssize_t some = odd_length(n, at);
    if (some < 0)
        return some;
    int64_t limit = sim_length_limit(f->node);
    if (at + some > limit && !(some = limit > at ? (ssize_t)(limit - at) : 0))
        return sim_fail(ENOSPC);
    if (!sim_begin(f->through ? "write through" : "write", f->path, "", at, some, &cut))
        return sim_fail(EIO);
    if (f->through && !cut && sim_note_sync(f->site, f->path, false))
        sim_file_write_through(f->node, at, data, (size_t)some);
    else
        sim_file_write(f->node, at, data, (size_t)some);
    return cut ? sim_fail(EIO) : some;
}

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += iov[i].iov_len;
    uint8_t *data = malloc(n + 1);
    n = 0;
    for (int i = 0; i < count; n += iov[i++].iov_len)
        if (iov[i].iov_len)
            memcpy(data + n, iov[i].iov_base, iov[i].iov_len);
    fiber_point();
    ssize_t some = write_now(fd, data, n, at);
    free(data);
    return some;
}

static void sync_node(struct sim_node *node)
{
    if (node->dir)
        sim_dir_sync(node);
    else
        sim_file_sync(node);
}

static int sync_now(int fd)
{
    struct descriptor *f = sim_descriptor(fd);
    bool cut;
    if (!sim_begin("sync", f->path, "", 0, 0, &cut) || cut)
        return sim_fail(EIO);
    if (!sim_note_sync(power_site, f->path, f->node->dir)) {
        sim_trace("(left out)", "", "", 0, 0);
        return 0;
    }
    sync_node(f->node);
    return 0;
}

int __wrap_fsync(int fd)
{
    fiber_point();
    int rc = sync_now(fd);
    return rc;
}

int __wrap_fdatasync(int fd)
{
    return __wrap_fsync(fd);
}

int __wrap_syncfs(int fd)
{
    fiber_point();
    const struct descriptor *f = sim_descriptor(fd);
    bool cut;
    if (!sim_begin("sync all", f->path, "", 0, 0, &cut) || cut)
        return sim_fail(EIO);
    if (!power_site) /* of those that promise nothing */
        return 0;
    if (!sim_note_sync(power_site, f->path, false)) {
        sim_trace("(left out)", "", "", 0, 0);
        return 0;
    }
    for (struct sim_node *node = sim.disk.all; node; node = node->next)
        sync_node(node);
    return 0;
}

/* One whose syncfs is trusted. */
int __wrap_fstatfs(int fd, struct statfs *fs)
{
    *fs = (struct statfs){.f_type = EXT4_SUPER_MAGIC};
    return sim.cut || !sim_descriptor(fd)->node ? sim_fail(EIO) : 0;
}

int __wrap_fstatvfs(int fd, struct statvfs *fs)
{
    *fs = (struct statvfs){.f_flag = 0};
    return sim.cut || !sim_descriptor(fd)->node ? sim_fail(EIO) : 0;
}

/* What it writes may be on disk then or not, as may all that was written and not synced. */
int __wrap_sync_file_range(int fd, off_t at, off_t n, unsigned int flags)
{
    (void)fd, (void)at, (void)n, (void)flags;
    fiber_point();
    return sim.cut ? sim_fail(EIO) : 0;
}

int __wrap_fallocate(int fd, int mode, off_t at, off_t n)
{
    fiber_point();
    int rc = 0;
    struct sim_node *f = sim_descriptor(fd)->node;
    if (mode != FALLOC_FL_KEEP_SIZE)
        abort();
    if (sim.cut)
        rc = sim_fail(EIO);
    else if (at + n > sim_length_limit(f))
        rc = sim_fail(ENOSPC);
    else if (at + n > f->reserved)
        f->reserved = at + n;
    return rc;
}

int __wrap_ftruncate(int fd, off_t n)
{
    fiber_point();
    bool cut;
    struct descriptor *f = sim_descriptor(fd);
    int rc = sim_begin("truncate", f->path, "", n, 0, &cut) ? 0 : sim_fail(EIO);
    if (!rc && (n != (off_t)f->node->live.n || f->node->reserved)) {
        sim_file_set_length(f->node, n);
        f->node->reserved = 0;
    }
    if (!rc && cut)
        rc = sim_fail(EIO);
    return rc;
}

int __wrap_flock(int fd, int operation)
{
    (void)operation; /* one process, and a descriptor that is closed gives its lock back */
    int rc = sim_descriptor(fd)->node ? 0 : -1;
    return rc;
}
