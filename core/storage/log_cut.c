/*
 * log_cut: a mark in the log's directory while its end is being taken back.
 *
 * A process that is killed between the removal of files and the sync of that leaves a log that looks whole to the next one,
 * as the kernel has forgotten nothing. What is appended then stands where the removed records stood, and a loss of power
 * could bring those back behind it. The mark tells the next start that what it sees is not yet what the disk has. It needs no
 * sync itself: where the power goes, nothing is pending any more. Append lock held, or nobody else knows the log.
 */
#include <fcntl.h>

#include "base/diag.h"
#include "base/io.h"
#include "storage/log_internal.h"

static const char *mark_path(const struct log *log, char path[STORAGE_PATH_MAX])
{
    snprintf(path, STORAGE_PATH_MAX, "%s/" CUT_FILE, log->dir->path);
    return path;
}

void log_cut_begin(struct log *log)
{
    char path[STORAGE_PATH_MAX];
    struct err e;
    int fd;
    if (io_open(&fd, mark_path(log, path), O_WRONLY | O_CREAT, 0600, &e) == ERR_OK)
        io_close(fd);
    else /* the cut itself has no need of it */
        diag_warn("storage", "%s: the end is taken back without a mark of it: %s", log->name, e.text);
}

int log_cut_end(struct log *log, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int rc = io_unlink(mark_path(log, path), e);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

int log_cut_resume(struct log *log, struct err *e)
{
    int rc = segment_sync(log_active(log), false, e);
    if (rc == ERR_OK)
        rc = io_sync_dir(log->dir->path, e);
    return rc ? rc : log_cut_end(log, e);
}
