/*
 * io: file access with whole transfers, EINTR handled, errors named, and faults injected. Any thread.
 */
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io_watch.h"
#include "base/mem.h"

/* ---- for tests: io_watch.h ---- */

static void (*_Atomic watcher)(void *arg, struct io_event *ev);
static void *watcher_arg;

void io_watch(void (*fn)(void *arg, struct io_event *ev), void *arg)
{
    watcher_arg = arg;
    atomic_store(&watcher, fn);
}

static inline void tell(struct io_event *ev, bool done)
{
    void (*fn)(void *, struct io_event *) = atomic_load_explicit(&watcher, memory_order_relaxed);
    if (__builtin_expect(!fn, 1))
        return;
    ev->done = done;
    fn(watcher_arg, ev);
}

/* ---- files ---- */

int io_open(int *fd, const char *path, int flags, mode_t mode, struct err *e)
{
    *fd = -1;
    int fault = flags & O_CREAT ? fault_check(FAULT_META, path) : 0;
    if (fault)
        return err_sys(e, fault, "cannot create %s", path);
    do
        *fd = open(path, flags | O_CLOEXEC, mode);
    while (*fd < 0 && errno == EINTR);
    if (*fd < 0)
        return err_sys(e, errno, "cannot %s %s", flags & O_CREAT ? "create" : "open", path);
    tell(&(struct io_event){.op = IO_OP_OPEN, .fd = *fd, .flags = flags, .path = path}, true);
    return ERR_OK;
}

void io_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

#define CACHED_STRIDE ((size_t)128 << 10) /* what the kernel reads ahead at least */

static _Thread_local bool impatient;

void io_set_patient(bool patient)
{
    impatient = !patient;
}

bool io_is_patient(void)
{
    return !impatient;
}

/* As pread, but EAGAIN for an impatient thread where it would wait. */
static ssize_t read_at(int fd, void *data, size_t n, int64_t offset)
{
    struct iovec v = {data, n};
    ssize_t r = impatient ? preadv2(fd, &v, 1, offset, RWF_NOWAIT) : -1;
    return r < 0 && (!impatient || errno == EOPNOTSUPP) ? pread(fd, data, n, offset) : r;
}

bool io_is_cached(int fd, int64_t offset, size_t n)
{
    for (size_t at = 0; at < n; at += CACHED_STRIDE) {
        uint8_t byte;
        struct iovec v = {&byte, 1};
        if (preadv2(fd, &v, 1, offset + (int64_t)at, RWF_NOWAIT) < 0 && errno == EAGAIN)
            return false;
    }
    return true;
}

static int would_wait(const char *path, int64_t at, struct err *e)
{
    return err_set(e, ERR_WOULD_WAIT, "%s at byte %lld is not in memory", path, (long long)at);
}

int io_pread_some(int fd, void *data, size_t n, int64_t offset, size_t *got, const char *path, struct err *e)
{
    uint8_t *p = data;
    *got = 0;
    int fault = fault_check(FAULT_READ, path);
    if (fault == EAGAIN && impatient)
        return would_wait(path, offset, e);
    if (fault)
        return err_sys(e, fault, "cannot read %s at byte %lld", path, (long long)offset);
    while (*got < n) {
        ssize_t r = read_at(fd, p + *got, n - *got, offset + (int64_t)*got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0 && errno == EAGAIN)
            return would_wait(path, offset + (int64_t)*got, e);
        if (r < 0)
            return err_sys(e, errno, "cannot read %s at byte %lld", path,
                           (long long)(offset + (int64_t)*got));
        if (r == 0)
            break;
        *got += (size_t)r;
    }
    return ERR_OK;
}

int io_pread(int fd, void *data, size_t n, int64_t offset, const char *path, struct err *e)
{
    size_t got;
    int rc = io_pread_some(fd, data, n, offset, &got, path, e);
    if (rc == ERR_OK && got < n)
        rc = err_set(e, ERR_TRUNCATED, "%s ends at byte %lld, %zu bytes wanted at %lld", path,
                     (long long)(offset + (int64_t)got), n, (long long)offset);
    return rc;
}

int io_pwritev(int fd, struct iovec *iov, int iovcnt, int64_t offset, const char *path, struct err *e)
{
    int fault = fault_check(FAULT_WRITE, path);
    if (fault)
        return err_sys(e, fault, "cannot write %s at byte %lld", path, (long long)offset);
    struct io_event ev = {.op = IO_OP_WRITE, .fd = fd, .iov = iov, .iovcnt = iovcnt, .offset = offset};
    tell(&ev, false);
    while (iovcnt) {
        if (iov->iov_len == 0) {
            iov++, iovcnt--;
            continue;
        }
        ssize_t w = pwritev(fd, iov, iovcnt, offset);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return err_sys(e, w < 0 ? errno : EIO, "cannot write %s at byte %lld", path, (long long)offset);
        offset += w;
        for (; iovcnt && (size_t)w >= iov->iov_len; iov++, iovcnt--)
            w -= (ssize_t)iov->iov_len;
        if (iovcnt) {
            iov->iov_base = (uint8_t *)iov->iov_base + w;
            iov->iov_len -= (size_t)w;
        }
    }
    tell(&ev, true);
    return ERR_OK;
}

int io_pwrite(int fd, const void *data, size_t n, int64_t offset, const char *path, struct err *e)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = n};
    return io_pwritev(fd, &iov, 1, offset, path, e);
}

/* A sync that failed says nothing of what is on disk; trying again may succeed falsely. Hence fatal. */
static int sync_failed(struct err *e, int errnum, const char *path)
{
    err_sys(e, errnum, "cannot sync %s", path);
    e->fatal = true;
    return e->code;
}

static int sync_by(int (*call)(int fd), int fd, const char *path, struct err *e)
{
    int fault = fault_check(FAULT_SYNC, path);
    struct io_event ev = {.op = IO_OP_SYNC, .fd = fd};
    tell(&ev, false);
    if (fault || call(fd) != 0)
        return sync_failed(e, fault ? fault : errno, path);
    tell(&ev, true);
    return ERR_OK;
}

int io_sync_data(int fd, const char *path, struct err *e)
{
    return sync_by(fdatasync, fd, path, e);
}

int io_sync(int fd, const char *path, struct err *e)
{
    return sync_by(fsync, fd, path, e);
}

/* It cannot be had here: then all is left to the sync. */
static bool is_left_to_the_sync(int errnum)
{
    return errnum == ENOSYS || errnum == EPERM;
}

/* Bytes that cannot be written may be dropped as they are told of, and a sync after that finds nothing wrong: hence as final as its own errors. */
int io_write_out(int fd, int64_t offset, int64_t n, const char *path, struct err *e)
{
    const unsigned int all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    int rc = fault_check(FAULT_SYNC, path);
    if (rc)
        return sync_failed(e, rc, path);
    if (sync_file_range(fd, offset, n, all) == 0 || is_left_to_the_sync(errno))
        return ERR_OK;
    return sync_failed(e, errno, path);
}

int io_sync_dir(const char *dir, struct err *e)
{
    int fd;
    int rc = io_open(&fd, dir, O_RDONLY | O_DIRECTORY, 0, e);
    if (rc == ERR_OK) {
        rc = io_sync(fd, dir, e);
        io_close(fd);
    }
    return rc;
}

int io_sync_parent(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
    if (!dir)
        return err_nomem(e);
    int rc = io_sync_dir(dir, e);
    mem_free(dir);
    return rc;
}

void io_sync_fs(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    syncfs(fd); /* what it answers, the files' own syncs tell more precisely */
    close(fd);
}

/* See io.h. */
static bool syncfs_is_enough(int fd)
{
    static const long trusted[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC};
    struct utsname u;
    struct statfs fs;
    int major = 0, minor = 0;
    if (uname(&u) != 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2 || fstatfs(fd, &fs) != 0)
        return false;
    bool known = false;
    for (size_t i = 0; i < sizeof trusted / sizeof *trusted; i++)
        known = known || (long)fs.f_type == trusted[i];
    return known && (major > 5 || (major == 5 && minor >= 17));
}

bool io_is_on(int fd, uint64_t device)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (uint64_t)st.st_dev == device;
}

/* One that the system made read-only, as it met errors, says that there is nothing to do. */
static int sync_fs(int fd)
{
    struct statvfs fs;
    if (syncfs(fd) != 0 || fstatvfs(fd, &fs) != 0)
        return errno;
    return fs.f_flag & ST_RDONLY ? EROFS : 0;
}

int io_sync_fs_of(int fd, uint64_t *device, const char *path, struct err *e)
{
    struct stat st;
    int rc = fault_check(FAULT_SYNC, path);
    if (!syncfs_is_enough(fd) || (rc == 0 && io_check_written(fd, path, e) == ERR_UNSUPPORTED))
        return err_set(e, ERR_UNSUPPORTED, "%s: files of this file system must be synced one by one", path);
    if (rc == 0)
        rc = fstat(fd, &st) == 0 ? sync_fs(fd) : errno;
    if (rc) {
        err_sys(e, rc, "cannot sync the file system of %s", path);
        return e->code = e->code == ERR_UNSUPPORTED ? ERR_IO
                                                    : e->code; /* a write that failed may have any number */
    }
    *device = (uint64_t)st.st_dev;
    return ERR_OK;
}

int io_check_written(int fd, const char *path, struct err *e)
{
    int rc = fault_check(FAULT_SYNC, path);
    if (!rc && sync_file_range(fd, 0, 1, SYNC_FILE_RANGE_WAIT_BEFORE) != 0)
        rc = errno;
    if (rc && is_left_to_the_sync(rc))
        return err_set(e, ERR_UNSUPPORTED, "%s: only a sync tells of errors", path);
    return rc ? sync_failed(e, rc, path) : ERR_OK;
}

void io_read_ahead(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
    close(fd);
}

int io_allocate(int fd, int64_t offset, int64_t length, const char *path, struct err *e)
{
    int fault = fault_check(FAULT_WRITE, path);
    int rc = 0;
    do
        rc = fault ? fault : fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length) == 0 ? 0 : errno;
    while (rc == EINTR);
    return rc ? err_sys(e, rc, "cannot reserve %lld bytes in %s", (long long)length, path) : ERR_OK;
}

int io_truncate(int fd, int64_t length, const char *path, struct err *e)
{
    int fault = fault_check(FAULT_WRITE, path);
    struct io_event ev = {.op = IO_OP_TRUNCATE, .fd = fd, .offset = length};
    int rc = 0;
    if (fault == ENOSPC) /* cutting needs none */
        fault = 0;
    tell(&ev, false);
    do
        rc = fault ? fault : ftruncate(fd, length) == 0 ? 0 : errno;
    while (rc == EINTR);
    if (rc)
        return err_sys(e, rc, "cannot cut %s to %lld bytes", path, (long long)length);
    tell(&ev, true);
    return ERR_OK;
}

int io_size(int fd, int64_t *size, const char *path, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_sys(e, errno, "cannot stat %s", path);
    *size = st.st_size;
    return ERR_OK;
}

int io_modified(const char *path, int64_t *ms, struct err *e)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return err_sys(e, errno, "%s", path);
    *ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return ERR_OK;
}

#define FOLIO_MAX ((int64_t)2 << 20)

void io_forget_part(int fd, int64_t offset, int64_t n)
{
    int64_t more = offset < FOLIO_MAX ? offset : FOLIO_MAX;
    offset -= more;
    n += n ? more : 0;
    (void)posix_fadvise(fd, offset, n,
                        POSIX_FADV_DONTNEED); /* where it is not possible the cache stays as it is */
}

void io_forget(int fd)
{
    io_forget_part(fd, 0, 0); /* 0: to the end */
}

int io_space(const char *path, int64_t *total, int64_t *available, struct err *e)
{
    struct statvfs v;
    if (statvfs(path, &v) != 0)
        return err_sys(e, errno, "cannot tell the room on %s", path);
    *total = (int64_t)v.f_blocks * (int64_t)v.f_frsize;
    *available = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    return ERR_OK;
}

int io_rename(const char *from, const char *to, struct err *e)
{
    int fault = fault_check(FAULT_META, to);
    struct io_event ev = {.op = IO_OP_RENAME, .path = from, .to = to};
    tell(&ev, false);
    if (fault || rename(from, to) != 0)
        return err_sys(e, fault ? fault : errno, "cannot rename %s to %s", from, to);
    tell(&ev, true);
    return ERR_OK;
}

int io_unlink(const char *path, struct err *e)
{
    int fault = fault_check(FAULT_META, path);
    struct io_event ev = {.op = IO_OP_UNLINK, .path = path};
    tell(&ev, false);
    if (fault || unlink(path) != 0)
        return err_sys(e, fault ? fault : errno, "cannot remove %s", path);
    tell(&ev, true);
    return ERR_OK;
}

int io_mkdir(const char *path, mode_t mode, struct err *e)
{
    int fault = fault_check(FAULT_META, path);
    struct io_event ev = {.op = IO_OP_MKDIR, .path = path};
    tell(&ev, false);
    if (!fault && mkdir(path, mode) == 0) {
        tell(&ev, true);
        return ERR_OK;
    }
    int errnum = fault ? fault : errno;
    struct stat st;
    if (errnum == EEXIST && stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return ERR_OK;
        errnum = ENOTDIR;
    }
    return err_sys(e, errnum, "cannot make directory %s", path);
}

/* One level; `synced`: its name is made durable, unless it was there. */
static int make_level(const char *path, mode_t mode, bool synced, struct err *e)
{
    if (io_exists(path))
        return io_mkdir(path, mode, e); /* complains if it is no directory */
    int rc = io_mkdir(path, mode, e);
    return rc || !synced ? rc : io_sync_parent(path, e);
}

static int make_levels(const char *path, mode_t mode, bool synced, struct err *e)
{
    char *copy = mem_strdup(path);
    if (!copy)
        return err_nomem(e);
    int rc = ERR_OK;
    for (char *slash = strchr(copy + 1, '/'); slash && rc == ERR_OK; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        rc = io_exists(copy) ? ERR_OK : make_level(copy, mode, synced, e);
        *slash = '/';
    }
    mem_free(copy);
    return rc ? rc : make_level(path, mode, synced, e);
}

int io_mkdirs(const char *path, mode_t mode, struct err *e)
{
    return make_levels(path, mode, false, e);
}

int io_mkdirs_synced(const char *path, mode_t mode, struct err *e)
{
    return make_levels(path, mode, true, e);
}

bool io_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

int io_list(const char *dir, int (*each)(void *arg, const char *name, struct err *e), void *arg,
            struct err *e)
{
    DIR *d = opendir(dir);
    if (!d)
        return err_sys(e, errno, "cannot list %s", dir);
    int rc = ERR_OK;
    while (rc == ERR_OK) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        if (!entry) {
            if (errno)
                rc = err_sys(e, errno, "cannot list %s", dir);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = each(arg, entry->d_name, e);
    }
    closedir(d);
    return rc;
}

static int remove_entry(void *arg, const char *name, struct err *e)
{
    const char *dir = arg;
    char *path = mem_printf("%s/%s", dir, name);
    if (!path)
        return err_nomem(e);
    struct stat st;
    int rc = lstat(path, &st) != 0 ? err_sys(e, errno, "cannot stat %s", path)
             : S_ISDIR(st.st_mode) ? io_remove_tree(path, e)
                                   : io_unlink(path, e);
    mem_free(path);
    return rc;
}

int io_remove_tree(const char *path, struct err *e)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? ERR_OK : err_sys(e, errno, "cannot stat %s", path);
    if (!S_ISDIR(st.st_mode))
        return io_unlink(path, e);
    int rc = io_list(path, remove_entry, (void *)(uintptr_t)path, e);
    if (rc)
        return rc;
    int fault = fault_check(FAULT_META, path);
    struct io_event ev = {.op = IO_OP_RMDIR, .path = path};
    tell(&ev, false);
    if (fault || rmdir(path) != 0)
        return err_sys(e, fault ? fault : errno, "cannot remove directory %s", path);
    tell(&ev, true);
    return ERR_OK;
}

int io_read_file(const char *path, size_t max, char **data, size_t *len, struct err *e)
{
    int fd;
    int rc = io_open(&fd, path, O_RDONLY, 0, e);
    if (rc)
        return rc;
    int64_t size;
    char *p = NULL;
    rc = io_size(fd, &size, path, e);
    if (rc)
        goto opened;
    if ((uint64_t)size > max) {
        rc = err_set(e, ERR_TOO_LARGE, "%s has %lld bytes, at most %zu are read", path, (long long)size, max);
        goto opened;
    }
    /* Files such as those in /proc tell no size; read what comes, up to the cap. */
    size_t room = size ? (size_t)size : (max < 65536 ? max : 65536);
    p = mem_alloc(room + 1);
    if (!p) {
        rc = err_nomem(e);
        goto opened;
    }
    rc = io_pread_some(fd, p, room, 0, len, path, e);
    if (rc)
        goto opened;
    p[*len] = '\0';
    *data = p;
    p = NULL;
opened:
    mem_free(p);
    io_close(fd);
    return rc;
}

static int write_new(const char *path, const void *data, size_t n, mode_t mode, struct err *e)
{
    int fd;
    int rc = io_open(&fd, path, O_WRONLY | O_CREAT | O_TRUNC, mode, e);
    if (rc)
        return rc;
    rc = io_pwrite(fd, data, n, 0, path, e);
    if (rc == ERR_OK)
        rc = io_sync(fd, path, e);
    io_close(fd);
    return rc;
}

int io_replace_file(const char *path, const void *data, size_t n, mode_t mode, struct err *e)
{
    char *tmp = mem_printf("%s.tmp", path);
    if (!tmp)
        return err_nomem(e);
    int rc = write_new(tmp, data, n, mode, e);
    if (rc == ERR_OK)
        rc = io_rename(tmp, path, e);
    if (rc)
        unlink(tmp); /* best effort: the next replacement overwrites it */
    else
        rc = io_sync_parent(path, e);
    mem_free(tmp);
    return rc;
}
