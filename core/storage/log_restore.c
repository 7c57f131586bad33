/*
 * log_restore: puts journaled bytes back into segment files, before the logs are opened. One thread.
 */
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "storage/log_internal.h"

#define CHUNK (64u << 10)

/* Are these bytes in the file already? */
static int same_bytes(int fd, const uint8_t *data, size_t n, int64_t position, const char *path, bool *same,
                      struct err *e)
{
    uint8_t there[CHUNK];
    *same = true;
    for (size_t at = 0; at < n && *same;) {
        size_t chunk = n - at < CHUNK ? n - at : CHUNK, got;
        int rc = io_pread_some(fd, there, chunk, position + (int64_t)at, &got, path, e);
        if (rc)
            return rc;
        *same = got == chunk && memcmp(there, data + at, chunk) == 0;
        at += chunk;
    }
    return ERR_OK;
}

int log_restore(const char *dir, int64_t segment_base, int64_t position, const void *data, size_t n,
                bool *changed, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    bool same;
    int fd;
    *changed = false;
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
    rc = same_bytes(fd, data, n, position, path, &same, e);
    /* Written in any case: after a sync that failed the kernel may show bytes that it will never write. */
    if (rc == ERR_OK)
        rc = io_pwrite(fd, data, n, position, path, e);
    *changed = rc == ERR_OK && !same;
    io_close(fd);
    return rc;
}
