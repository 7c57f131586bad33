/*
 * log_restore: puts journaled bytes back into segment files, before the logs are opened. One thread for each log.
 */
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "storage/log_internal.h"

int log_restore(const char *dir, int64_t segment_base, int64_t position, const void *data, size_t n,
                struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    if (strlen(dir) > STORAGE_DIR_MAX || segment_base < 0 || segment_base > STORAGE_OFFSET_MAX ||
        position < 0 || position > INT32_MAX)
        return err_set(e, ERR_INVALID, "cannot restore %zu bytes at byte %" PRId64 " of segment %" PRId64, n,
                       position, segment_base);
    storage_path(path, dir, segment_base, LOG_SUFFIX, "");
    int rc = io_open(&fd, path, O_RDWR, 0, e);
    if (rc == ERR_NOT_FOUND && position > 0)
        return ERR_OK; /* its start is not journaled any more, so it was synced once and has been deleted since */
    if (rc == ERR_NOT_FOUND) {
        rc = io_mkdirs(dir, 0700, e);
        if (rc == ERR_OK)
            rc = io_open(&fd, path, O_RDWR | O_CREAT, 0600, e);
    }
    if (rc)
        return rc;
    /* Written without a look at what is there: after a sync that failed the kernel may show bytes that it will never write. */
    rc = io_pwrite(fd, data, n, position, path, e);
    io_close(fd);
    return rc;
}
