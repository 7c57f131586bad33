/*
 * log_restore: puts journaled bytes back into segment files, before the logs are opened. One thread for each log.
 */
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "storage/log_internal.h"

static int open_segment(int *fd, const char *path, const char *dir, int64_t position, struct err *e)
{
    int rc = io_open(fd, path, O_RDWR, 0, e);
    if (rc != ERR_NOT_FOUND)
        return rc;
    if (position > 0)
        return ERR_OK; /* its start is not journaled any more, so it was synced once and has been deleted since */
    rc = io_mkdirs(dir, 0700, e);
    return rc ? rc : io_open(fd, path, O_RDWR | O_CREAT, 0600, e);
}

int log_restore(int *fd, const char *dir, int64_t segment_base, int64_t position, const void *data, size_t n,
                struct err *e)
{
    char path[STORAGE_PATH_MAX];
    if (strlen(dir) > STORAGE_DIR_MAX || segment_base < 0 || segment_base > STORAGE_OFFSET_MAX ||
        position < 0 || position > INT32_MAX)
        return err_set(e, ERR_INVALID, "cannot restore %zu bytes at byte %" PRId64 " of segment %" PRId64, n,
                       position, segment_base);
    storage_path(path, dir, segment_base, LOG_SUFFIX, "");
    int rc = *fd < 0 ? open_segment(fd, path, dir, position, e) : ERR_OK;
    /* Written without a look at what is there: after a sync that failed the kernel may show bytes that it will never write. */
    return rc || *fd < 0 ? rc : io_pwrite(*fd, data, n, position, path, e);
}
