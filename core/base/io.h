/*
 * io: the only place where core touches files, so that tests can make any write, sync, read or change of
 * names fail (fault.h). EINTR and short transfers are handled here. `path` is used for error text only where
 * an fd is given. Any thread.
 */
#ifndef LEAT_BASE_IO_H
#define LEAT_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"

/* open(2) with O_CLOEXEC. `*fd` is -1 on error. ENOENT gives ERR_NOT_FOUND, EEXIST ERR_EXISTS. */
int io_open(int *fd, const char *path, int flags, mode_t mode, struct err *e);
void io_close(int fd); /* -1 is fine; never used to learn of a write error: sync first */

/* Reads exactly `n` bytes at `offset`; fewer at the end of the file is ERR_TRUNCATED. */
/*
 * From now on this thread reads only what is in the page cache: io_pread and io_pread_some of anything else answer ERR_WOULD_WAIT,
 * having read nothing that counts. Where the system cannot tell they wait as ever.
 */
void io_set_patient(bool patient);
bool io_is_patient(void); /* a thread is, until it says otherwise */
/* Whether the bytes are in the page cache, as far as looking at some of them tells. */
bool io_is_cached(int fd, int64_t offset, size_t n);
int io_pread(int fd, void *data, size_t n, int64_t offset, const char *path, struct err *e);
/* Reads up to `n` bytes; `*got` tells how many (0 at the end of the file). */
int io_pread_some(int fd, void *data, size_t n, int64_t offset, size_t *got, const char *path, struct err *e);

/* Writes all bytes at `offset`. On error an unknown part may be written. */
int io_pwrite(int fd, const void *data, size_t n, int64_t offset, const char *path, struct err *e);
/* As io_pwrite from several buffers. `iov` is changed. */
int io_pwritev(int fd, struct iovec *iov, int iovcnt, int64_t offset, const char *path, struct err *e);

int io_sync_data(int fd, const char *path, struct err *e); /* fdatasync; error is fatal=true */
int io_sync(int fd, const char *path, struct err *e);      /* fsync; error is fatal=true */
/*
 * Has `n` bytes written out and waits for that, for less to be left to a sync that is going to follow: it makes nothing durable. A write that
 * failed is told here instead of by that sync, and so is fatal=true as well. sync_file_range(2).
 */
int io_write_out(int fd, int64_t offset, int64_t n, const char *path, struct err *e);
int io_sync_dir(const char *dir, struct err *e);     /* makes names in `dir` durable; error is fatal=true */
int io_sync_parent(const char *path, struct err *e); /* makes the name `path` durable; error is fatal=true */

/*
 * Has the file system of `dir` write out all it holds back (syncfs), so that many files' own syncs find little left to do.
 * Promises nothing by itself: each file must still be synced, and tells of its errors then.
 */
void io_sync_fs(const char *dir);

/*
 * Makes all that was written to the file system of `fd`, a file's, durable: bytes, lengths and names. It tells of what went wrong with any file of it since the
 * last call, or since `fd` was opened, and so is kept open by whoever relies on that; which file it was, those tell (io_check_written). Other programs'
 * files count, too, hence no error is fatal. *device: of which file system that holds, for io_is_on. ERR_UNSUPPORTED where it means less than that: before
 * Linux 5.17, which hid errors of a file system's own, and but on ext4, XFS and Btrfs (FUSE and CIFS do nothing, overlayfs tells no errors). syncfs(2).
 */
int io_sync_fs_of(int fd, uint64_t *device, const char *path, struct err *e);
bool io_is_on(int fd, uint64_t device);
/*
 * After that: ERR_OK if all that had been written to the file is durable. An error is fatal=true as one of io_sync_data, which would have told it, and will
 * not any more; ERR_UNSUPPORTED: only io_sync_data can tell. sync_file_range(2).
 */
int io_check_written(int fd, const char *path, struct err *e);

/* Has the system read the whole file into memory beside what the caller does, which is going to read it. Promises nothing. */
void io_read_ahead(const char *path);

/* Reserves space without changing the length (fallocate KEEP_SIZE). ERR_UNSUPPORTED where the file system
 * can't. */
int io_allocate(int fd, int64_t offset, int64_t length, const char *path, struct err *e);
int io_truncate(int fd, int64_t length, const char *path, struct err *e);
int io_size(int fd, int64_t *size, const char *path, struct err *e);

/* When the file's content was last changed, in ms since 1970. */
int io_modified(const char *path, int64_t *ms, struct err *e);

/*
 * Lets go of what the page cache has of the file, or of a part of it, and is on disk already: the next read comes from there. A wish
 * only. The system lets go of whole folios (up to 2 MiB), so that what a part ends with may go with the part that follows it.
 */
void io_forget(int fd);
void io_forget_part(int fd, int64_t offset, int64_t n);
/* Bytes of the file system that `path` is on, and of them free to use. */
int io_space(const char *path, int64_t *total, int64_t *available, struct err *e);

int io_rename(const char *from, const char *to, struct err *e);
int io_unlink(const char *path, struct err *e);              /* a missing file is ERR_NOT_FOUND */
int io_mkdir(const char *path, mode_t mode, struct err *e);  /* an existing directory is fine */
int io_mkdirs(const char *path, mode_t mode, struct err *e); /* with parents */
int io_mkdirs_synced(const char *path, mode_t mode,
                     struct err *e);                 /* the same, and the new names are durable */
int io_remove_tree(const char *path, struct err *e); /* a missing one is fine */
bool io_exists(const char *path);

/* Calls `each` with every name but . and .. in no particular order; stops at its first non-zero code. */
int io_list(const char *dir, int (*each)(void *arg, const char *name, struct err *e), void *arg,
            struct err *e);

/* Whole small file into a NUL-terminated buffer of the caller (mem_free); over `max` bytes is ERR_TOO_LARGE.
 */
int io_read_file(const char *path, size_t max, char **data, size_t *len, struct err *e);

/*
 * Copies a file to a name that is not there yet (ERR_EXISTS), and syncs the bytes; the new name is the caller's to sync. The
 * two share blocks where the file system can do that. After an error a part may be there.
 */
int io_copy_file(const char *from, const char *to, mode_t mode, struct err *e);

/* Replaces `path` durably: temporary file beside it, write, fsync, rename, fsync of the directory. */
int io_replace_file(const char *path, const void *data, size_t n, mode_t mode, struct err *e);

#endif
