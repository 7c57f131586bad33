/*
 * Open files: at most open.files.max, least recently used closed first; and what was said about unreadable ones.
 */
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "connectors/file/source.h"

void source_complain(struct source *src, const char *path, const char *what)
{
    size_t n = strlen(path);
    struct err ignored;
    if (map_get(src->complaints, path, n) || map_count(src->complaints) >= COMPLAINTS_MAX)
        return;
    if (map_put(src->complaints, path, n, src, &ignored) == ERR_OK) /* else it is said again */
        src->h->log(src->t, LEAT_WARN, "%s%s%s; trying again", strstr(what, path) ? "" : path,
                    strstr(what, path) ? "" : ": ", what);
}

void source_well(struct source *src, const char *path)
{
    if (map_count(src->complaints) > 0 && map_remove(src->complaints, path, strlen(path)))
        src->h->log(src->t, LEAT_INFO, "%s: readable again", path);
}

void files_close(struct source *src, struct stream *s)
{
    if (s->fd < 0)
        return;
    io_close(s->fd);
    s->fd = -1;
    src->open_count--;
    link_remove(&s->lru);
}

/* Of a lost stream the open file is all there is, so it goes last. */
static void close_one(struct source *src)
{
    struct link *l = src->lru.next;
    while (l != &src->lru && link_stream(l, lru)->lost)
        l = l->next;
    files_close(src, link_stream(l == &src->lru ? src->lru.next : l, lru));
}

void files_adopt(struct source *src, struct stream *s, int *fd)
{
    if (s->fd >= 0 || src->open_count >= src->o.open_max)
        return;
    s->fd = *fd;
    *fd = -1;
    src->open_count++;
    link_append(&src->lru, &s->lru);
}

int files_open(struct source *src, struct stream *s, struct err *e)
{
    if (s->fd >= 0) {
        link_append(&src->lru, &s->lru);
        return ERR_OK;
    }
    while (src->open_count >= src->o.open_max)
        close_one(src);
    int fd;
    int rc = io_open(&fd, s->real, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, e);
    if (rc != ERR_OK)
        return rc;
    struct inode inode;
    int64_t size, mtime_ns;
    if (scan_stat_open(fd, &inode, &size, &mtime_ns) != 0 || !inode_same(&inode, &s->inode)) {
        io_close(fd);
        return err_set(e, ERR_NOT_FOUND, "%s is another file now", s->real);
    }
    s->fd = fd;
    src->open_count++;
    link_append(&src->lru, &s->lru);
    return ERR_OK;
}
