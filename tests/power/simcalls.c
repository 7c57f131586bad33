/*
 * simcalls: see simcalls.h. Here are descriptors, paths, errno, the cut, and the list of syncs.
 */
#include "tests/power/simcalls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/power/fibers.h"
#include "tests/power/sites.h"
#undef io_open

enum { FD_BASE = 100000, FD_MAX = 4096 };

_Thread_local const struct power_site *power_site;

struct descriptor {
    struct sim_node *node; /* NULL: free */
    char *path;
    bool through; /* O_DSYNC */
    const struct power_site *site;
};

/* What opendir gives: the names as they were then. */
struct listing {
    char **names;
    size_t n, at;
    struct dirent entry;
};

static struct {
    struct sim_disk disk;
    struct sim_options o;
    struct rng rng; /* what the calls themselves decide */
    struct descriptor fds[FD_MAX];
    uint64_t changes, cut_at;
    bool cut;
    int64_t clock_ns;
} sim;

static struct sim_sync syncs[SIM_SYNCS_MAX];
static size_t sync_count;

/* ---- the start of every call -------------------------------------------------------------------------------------- */

static void trace(const char *what, const char *path, const char *more, int64_t a, int64_t b)
{
    if (sim.o.trace)
        fprintf(stderr, "%6llu   %s %s%s%s %lld %lld\n", (unsigned long long)sim.changes, what, path,
                *more ? " -> " : "", more, (long long)a, (long long)b);
}

static int fail(int errnum)
{
    errno = errnum;
    return -1;
}

/* For a call that changes something. *last: the power fails while it runs: it may have happened or not. */
static bool begin(const char *what, const char *path, const char *more, int64_t a, int64_t b, bool *last)
{
    sim.changes++;
    *last = false;
    if (sim.cut)
        return false;
    trace(what, path, more, a, b);
    if (sim.cut_at && sim.changes == sim.cut_at) {
        if (sim.o.trace)
            fprintf(stderr, "%6llu   *** power is cut\n", (unsigned long long)sim.changes);
        sim.cut = *last = true;
    }
    return true;
}

/* ---- paths -------------------------------------------------------------------------------------------------------- */

static struct sim_node *find_parent(const char *path, const char **last)
{
    struct sim_node *at = sim.disk.root;
    const char *part = path + (*path == '/');
    for (const char *slash; at && (slash = strchr(part, '/')); part = slash + 1)
        at = at->dir ? sim_dir_find(at, part, (size_t)(slash - part)) : NULL;
    *last = part;
    return at && at->dir ? at : NULL;
}

static struct sim_node *find(const char *path)
{
    const char *last;
    struct sim_node *dir = find_parent(path, &last);
    return !dir ? NULL : *last ? sim_dir_find(dir, last, strlen(last)) : dir;
}

static struct descriptor *descriptor(int fd)
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

/* To which length the file may grow. */
static int64_t length_limit(const struct sim_node *f)
{
    int64_t has = (int64_t)f->live.n > f->reserved ? (int64_t)f->live.n : f->reserved;
    if (!sim.o.blocks)
        return INT64_MAX;
    int64_t free_blocks = sim.o.blocks - used_blocks(sim.disk.root);
    return (blocks_of(has) + (free_blocks > 0 ? free_blocks : 0)) * SIM_BLOCK;
}

/* ---- which sync ----------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* What a path is, without the names that differ from one run to the other. */
static void kind_of(const char *path, bool dir, char *out, size_t size)
{
    const char *last = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    bool metadata = strstr(path, "__cluster_metadata-0") != NULL;
    char name[96];
    snprintf(name, sizeof name, "%.90s", last);
    if (ends_with(name, ".tmp"))
        name[strlen(name) - 4] = '\0';
    if (dir && strcmp(name, "logs") != 0 && strcmp(name, "journal") != 0)
        snprintf(out, size, "%s directory", metadata ? "metadata" : strrchr(name, '-') ? "log" : "data");
    else if (dir)
        snprintf(out, size, "directory %s", name);
    else
        snprintf(out, size, "%s%s", metadata ? "metadata " : "",
                 *name >= '0' && *name <= '9' ? strchr(name, '.') : name);
}

/* Is it to be done? Counts it in any case. */
static bool note_sync(const struct power_site *site, const char *path, bool dir)
{
    char kind[96];
    size_t i = 0;
    if (!site) {
        fprintf(stderr, "a sync of %s by a call of base/io that tests/power/sites.h does not know\n", path);
        abort();
    }
    kind_of(path, dir, kind, sizeof kind);
    while (i < sync_count && (syncs[i].site != site || strcmp(syncs[i].kind, kind) != 0))
        i++;
    if (i == SIM_SYNCS_MAX)
        abort();
    if (i == sync_count) {
        sync_count++;
        syncs[i].site = site;
        snprintf(syncs[i].kind, sizeof syncs[i].kind, "%s", kind);
        snprintf(syncs[i].text, sizeof syncs[i].text, "%.60s:%d %.40s, %.60s", site->file, site->line,
                 site->function, kind);
    }
    syncs[i].calls++;
    return sim.o.leave_out != (int)i;
}

size_t sim_syncs(const struct sim_sync **list)
{
    *list = syncs;
    return sync_count;
}

/* ---- descriptors ---------------------------------------------------------------------------------------------------- */

int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
ssize_t __wrap_pread(int fd, void *data, size_t n, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t at);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_ftruncate(int fd, off_t n);
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
int __wrap_flock(int fd, int operation);
ssize_t __wrap_getrandom(void *data, size_t n, unsigned flags);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

static int add_descriptor(struct sim_node *node, const char *path, int flags)
{
    for (int i = 0; i < FD_MAX; i++)
        if (!sim.fds[i].node) {
            sim.fds[i] = (struct descriptor){node, strdup(path), (flags & O_DSYNC) == O_DSYNC, power_site};
            return FD_BASE + i;
        }
    return fail(EMFILE);
}

static int open_now(const char *path, int flags)
{
    const char *last;
    struct sim_node *dir = find_parent(path, &last);
    struct sim_node *node = find(path);
    bool cut;
    if (sim.cut)
        return fail(EIO);
    if (sim.o.no_direct && (flags & O_DIRECT))
        return fail(EINVAL);
    if (!node && (!dir || !(flags & O_CREAT)))
        return fail(ENOENT);
    if (node && (flags & O_EXCL))
        return fail(EEXIST);
    if (node && !node->dir == !!(flags & O_DIRECTORY))
        return fail(node->dir ? EISDIR : ENOTDIR);
    if (node && node->dir && (flags & O_ACCMODE) != O_RDONLY)
        return fail(EISDIR);
    if (!node) {
        if (!begin("create", path, "", 0, 0, &cut))
            return fail(EIO);
        node = sim_node_new(&sim.disk, false);
        sim_dir_set(&sim.disk, dir, last, node);
        if (cut)
            return fail(EIO);
    } else if ((flags & O_TRUNC) && node->live.n) {
        if (!begin("truncate", path, "", 0, 0, &cut))
            return fail(EIO);
        sim_file_set_length(node, 0);
        if (cut)
            return fail(EIO);
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
    struct descriptor *f = descriptor(fd);
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
        return fail(EINTR);
    return n <= first ? (ssize_t)n : (ssize_t)(first + rng_below(&sim.rng, (n - first + 511) / 512) * 512);
}

static ssize_t read_now(int fd, void *data, size_t n, off_t at)
{
    const struct sim_node *f = descriptor(fd)->node;
    if (sim.cut)
        return fail(EIO);
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
    struct descriptor *f = descriptor(fd);
    bool cut;
    ssize_t some = odd_length(n, at);
    if (some < 0)
        return some;
    int64_t limit = length_limit(f->node);
    if (at + some > limit && !(some = limit > at ? (ssize_t)(limit - at) : 0))
        return fail(ENOSPC);
    if (!begin(f->through ? "write through" : "write", f->path, "", at, some, &cut))
        return fail(EIO);
    if (f->through && !cut && note_sync(f->site, f->path, false))
        sim_file_write_through(f->node, at, data, (size_t)some);
    else
        sim_file_write(f->node, at, data, (size_t)some);
    return cut ? fail(EIO) : some;
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

static int sync_now(int fd)
{
    struct descriptor *f = descriptor(fd);
    bool cut;
    if (!begin("sync", f->path, "", 0, 0, &cut) || cut)
        return fail(EIO);
    if (!note_sync(power_site, f->path, f->node->dir)) {
        trace("(left out)", "", "", 0, 0);
        return 0;
    }
    if (f->node->dir)
        sim_dir_sync(f->node);
    else
        sim_file_sync(f->node);
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

int __wrap_fallocate(int fd, int mode, off_t at, off_t n)
{
    fiber_point();
    int rc = 0;
    struct sim_node *f = descriptor(fd)->node;
    if (mode != FALLOC_FL_KEEP_SIZE)
        abort();
    if (sim.cut)
        rc = fail(EIO);
    else if (at + n > length_limit(f))
        rc = fail(ENOSPC);
    else if (at + n > f->reserved)
        f->reserved = at + n;
    return rc;
}

int __wrap_ftruncate(int fd, off_t n)
{
    fiber_point();
    bool cut;
    struct descriptor *f = descriptor(fd);
    int rc = begin("truncate", f->path, "", n, 0, &cut) ? 0 : fail(EIO);
    if (!rc && (n != (off_t)f->node->live.n || f->node->reserved)) {
        sim_file_set_length(f->node, n);
        f->node->reserved = 0;
    }
    if (!rc && cut)
        rc = fail(EIO);
    return rc;
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

static int fill_stat(const struct sim_node *node, struct stat *st)
{
    if (sim.cut)
        return fail(EIO);
    if (!node)
        return fail(ENOENT);
    memset(st, 0, sizeof *st);
    st->st_mode = node->dir ? S_IFDIR | 0700 : S_IFREG | 0600;
    st->st_size = (off_t)node->live.n;
    return 0;
}

int __wrap_fstat(int fd, struct stat *st)
{
    int rc = fill_stat(descriptor(fd)->node, st);
    return rc;
}

int __wrap_stat(const char *path, struct stat *st)
{
    int rc = fill_stat(find(path), st);
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
    struct sim_node *dir = find_parent(from, &a), *other = find_parent(to, &b);
    const struct sim_node *node = find(from), *there = find(to);
    if (sim.cut)
        return fail(EIO);
    if (!node || !other)
        return fail(ENOENT);
    if (dir != other)
        abort(); /* the store renames within a directory only */
    if (there && there->dir && there->names.n)
        return fail(ENOTEMPTY);
    if (!begin("rename", from, to, 0, 0, &cut))
        return fail(EIO);
    sim_dir_rename(&sim.disk, dir, a, b);
    return cut ? fail(EIO) : 0;
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
    struct sim_node *parent = find_parent(path, &last), *node = find(path);
    if (sim.cut)
        return fail(EIO);
    if (!node)
        return fail(ENOENT);
    if (node->dir != dir)
        return fail(dir ? ENOTDIR : EISDIR);
    if (node->names.n)
        return fail(ENOTEMPTY);
    if (!begin("remove", path, "", 0, 0, &cut))
        return fail(EIO);
    sim_dir_set(&sim.disk, parent, last, NULL);
    return cut ? fail(EIO) : 0;
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
    struct sim_node *parent = find_parent(path, &last);
    if (sim.cut)
        return fail(EIO);
    if (find(path))
        return fail(EEXIST);
    if (!parent)
        return fail(ENOENT);
    if (!begin("mkdir", path, "", 0, 0, &cut))
        return fail(EIO);
    sim_dir_set(&sim.disk, parent, last, sim_node_new(&sim.disk, true));
    return cut ? fail(EIO) : 0;
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
    const struct sim_node *dir = find(path);
    if (sim.cut || !dir || !dir->dir) {
        fail(sim.cut ? EIO : dir ? ENOTDIR : ENOENT);
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

int __wrap_flock(int fd, int operation)
{
    (void)operation; /* one process, and a descriptor that is closed gives its lock back */
    int rc = descriptor(fd)->node ? 0 : -1;
    return rc;
}

/* ---- clock and random numbers ---------------------------------------------------------------------------------------- */

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

struct sim_node *sim_lookup(const char *path)
{
    return find(path);
}

struct sim_node *sim_make(const char *path)
{
    const char *last;
    struct sim_node *dir = find_parent(path, &last);
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
    struct sim_node *dir = find_parent(path, &last);
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
