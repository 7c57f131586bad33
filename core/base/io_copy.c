/*
 * io_copy: copying a file, sharing its blocks where the file system can. See io.h.
 */
#include "base/io.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "base/mem.h"

#define COPY_BYTES ((size_t)1 << 20)

static int copy_bytes(int in, int out, const char *from, const char *to, struct err *e)
{
    uint8_t *chunk = mem_alloc(COPY_BYTES);
    size_t got = 1;
    int rc = chunk ? ERR_OK : err_nomem(e);
    for (int64_t at = 0; rc == ERR_OK && got; at += (int64_t)got) {
        rc = io_pread_some(in, chunk, COPY_BYTES, at, &got, from, e);
        if (rc == ERR_OK && got)
            rc = io_pwrite(out, chunk, got, at, to, e);
    }
    mem_free(chunk);
    return rc;
}

int io_copy_file(const char *from, const char *to, mode_t mode, struct err *e)
{
    int in, out;
    int rc = io_open(&in, from, O_RDONLY, 0, e);
    if (rc)
        return rc;
    rc = io_open(&out, to, O_WRONLY | O_CREAT | O_EXCL, mode, e);
    if (rc == ERR_OK && ioctl(out, FICLONE, in) != 0) /* not on this file system, or not across two */
        rc = copy_bytes(in, out, from, to, e);
    if (rc == ERR_OK)
        rc = io_sync(out, to, e);
    io_close(out);
    io_close(in);
    return rc;
}
