/*
 * The names in a directory with the inodes they lead to, all of one moment: no rename happens while the kernel answers one
 * getdents64, as it holds the directory's lock. readdir asks with a small buffer and again for the rest, so that a file
 * renamed meanwhile is missed, or met twice. Any thread; no state.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "connectors/file/source.h"

#define LIST_BYTES ((size_t)64 << 10)
#define LIST_BYTES_MAX ((size_t)16 << 20) /* a larger directory is listed in parts */
#define ENTRY_MAX 4096                    /* any entry fits into that */

struct listing {
    int fd;
    const char *dir;
    char *data;
    size_t len, room;
    bool more; /* `data` is not all */
};

/* One call's worth of entries behind those in `data`; *got 0: there are no more. */
static int list_part(struct listing *l, size_t *got, struct err *e)
{
    ssize_t n = getdents64(l->fd, l->data + l->len, l->room - l->len);
    if (n < 0)
        return err_sys(e, errno, "cannot list %s", l->dir);
    *got = (size_t)n;
    l->len += (size_t)n;
    return ERR_OK;
}

/* From the beginning on. `more` is set if one call could not give all. */
static int list_first(struct listing *l, bool *larger_helps, struct err *e)
{
    size_t first, second = 0;
    l->len = 0;
    if (lseek(l->fd, 0, SEEK_SET) < 0)
        return err_sys(e, errno, "cannot list %s", l->dir);
    int rc = list_part(l, &first, e);
    bool full = l->room - l->len < ENTRY_MAX;
    if (rc == ERR_OK && !full)
        rc = list_part(l, &second, e);
    l->more = full || second > 0;
    *larger_helps = l->room < LIST_BYTES_MAX && (full || first > l->room / 2);
    return rc;
}

/* Everything, if a buffer can be made large enough that one call gives all of it. */
static int list_read(struct listing *l, struct err *e)
{
    for (l->room = LIST_BYTES;; l->room *= 4) {
        bool larger_helps;
        char *grown = mem_realloc(l->data, l->room);
        if (!grown)
            return err_nomem(e);
        l->data = grown;
        int rc = list_first(l, &larger_helps, e);
        if (rc != ERR_OK || !l->more || !larger_helps)
            return rc;
    }
}

static int list_names(const struct listing *l, list_each_fn *each, void *arg, struct err *e)
{
    int rc = ERR_OK;
    for (size_t at = 0; rc == ERR_OK && at < l->len;) {
        const struct dirent64 *d = (const void *)(l->data + at);
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            rc = each(arg, d->d_name, d->d_ino, e);
        at += d->d_reclen;
    }
    return rc;
}

int list_directory(const char *dir, list_each_fn *each, void *arg, bool *whole, struct err *e)
{
    struct listing l = {.dir = dir};
    int rc = io_open(&l.fd, dir, O_RDONLY | O_DIRECTORY, 0, e);
    if (rc != ERR_OK)
        return rc;
    rc = list_read(&l, e);
    *whole = !l.more;
    if (rc == ERR_OK)
        rc = list_names(&l, each, arg, e);
    for (size_t got = 1; rc == ERR_OK && l.more && got > 0;) {
        l.len = 0;
        rc = list_part(&l, &got, e);
        if (rc == ERR_OK)
            rc = list_names(&l, each, arg, e);
    }
    mem_free(l.data);
    io_close(l.fd);
    return rc;
}
