/*
 * inotify: one watch a directory. Events only say where to look; every look is a stat or a read, and a scan now and then
 * looks at everything, so a lost event costs time and nothing else.
 */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "connectors/file/source.h"

#define EVENTS                                                                                               \
    (IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF |          \
     IN_MOVE_SELF | IN_ONLYDIR)

struct watched {
    char *dir;
    int wd;
};

struct watch {
    int fd;
    struct watched *items;
    size_t count, room;
};

/* File systems whose changes may be made by another machine. */
static bool is_remote(const char *dir)
{
    static const unsigned long remote[] = {
        0x6969 /* nfs */,        0x517b /* smb */,      0xff534d42 /* cifs */, 0xfe534d42 /* smb2 */,
        0x65735546 /* fuse */,   0x01021997 /* 9p */,   0x00c36400 /* ceph */, 0x5346414f /* afs */,
        0x0bd00bd0 /* lustre */, 0x47504653 /* gpfs */, 0x01161970 /* gfs2 */, 0x7461636f /* ocfs2 */,
    };
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return true;
    for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
        if ((unsigned long)fs.f_type == remote[i])
            return true;
    return false;
}

int watch_open(struct source *src, struct err *e)
{
    if (src->o.watch == WATCH_POLL)
        return ERR_OK;
    struct watch *w = mem_calloc(1, sizeof(*w));
    if (!w)
        return err_nomem(e);
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd >= 0) {
        src->watch = w;
        return ERR_OK;
    }
    int errnum = errno;
    mem_free(w);
    if (src->o.watch == WATCH_INOTIFY)
        return err_sys(e, errnum, "cannot use inotify");
    src->h->log(src->t, LEAT_INFO, "polling, as inotify cannot be used: %s", strerror(errnum));
    return ERR_OK;
}

void watch_close(struct source *src)
{
    struct watch *w = src->watch;
    if (!w)
        return;
    io_close(w->fd);
    for (size_t i = 0; i < w->count; i++)
        mem_free(w->items[i].dir);
    mem_free(w->items);
    mem_free(w);
    src->watch = NULL;
}

int watch_fd(const struct source *src)
{
    return src->watch ? src->watch->fd : -1;
}

static bool remember(struct watch *w, const char *dir, int wd)
{
    if (w->count == w->room) {
        size_t room = w->room ? w->room * 2 : 16;
        struct watched *grown = mem_realloc_array(w->items, room, sizeof(*grown));
        if (!grown)
            return false;
        w->items = grown;
        w->room = room;
    }
    char *copy = mem_strdup(dir);
    if (copy)
        w->items[w->count++] = (struct watched){copy, wd};
    return copy != NULL;
}

void watch_directory(struct source *src, const char *dir)
{
    struct watch *w = src->watch;
    if (!w) {
        src->poll_too = true;
        return;
    }
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->items[i].dir, dir) == 0) {
            src->poll_too |= w->items[i].wd < 0;
            return;
        }
    int wd = -1;
    if (src->o.watch == WATCH_INOTIFY || !is_remote(dir)) {
        wd = inotify_add_watch(w->fd, dir, EVENTS);
        if (wd < 0 && errno != ENOENT)
            src->h->log(src->t, LEAT_INFO, "%s: polled, as inotify cannot watch it: %s", dir,
                        strerror(errno));
        if (wd < 0 && errno == ENOENT)
            return;
    }
    src->poll_too |= wd < 0;
    if (!remember(w, dir, wd)) {
        src->poll_too = true;
        if (wd >= 0)
            inotify_rm_watch(w->fd, wd);
    }
}

static void forget(struct watch *w, int wd)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->items[i].wd == wd) {
            mem_free(w->items[i].dir);
            w->items[i--] = w->items[--w->count];
        }
}

/* May a file of this name be one of ours? */
static bool concerns(const struct source *src, const char *name)
{
    char live[NAME_MAX + 1];
    if (strlen(name) > NAME_MAX)
        return false;
    bool rotated = name_live(name, live);
    for (size_t i = 0; i < src->o.pattern_count; i++) {
        const struct pattern *p = &src->o.patterns[i];
        if (p->dir_is_glob || fnmatch(p->name, name, FNM_PERIOD) == 0 ||
            (rotated && fnmatch(p->name, live, FNM_PERIOD) == 0))
            return true;
    }
    return false;
}

/* A file in a watched directory was written to: true if we read it. */
static bool wake_stream(struct source *src, const char *dir, const char *name)
{
    char path[PATH_MAX];
    size_t d = strlen(dir), n = strlen(name);
    if (d + n + 2 > sizeof(path))
        return false;
    memcpy(path, dir, d);
    if (d > 1)
        path[d++] = '/';
    memcpy(path + d, name, n + 1);
    bool known = false;
    for (struct stream *s = stream_first(src, BY_REAL, hash64(path, d + n)); s; s = s->next[BY_REAL])
        if (s->attached && strcmp(s->real, path) == 0) {
            s->grown_ms = clock_mono_ms();
            s->flushed = FRAME_KEEP;
            stream_enqueue(src, s);
            known = true;
        }
    return known;
}

static void take_event(struct source *src, const struct inotify_event *ev)
{
    struct watch *w = src->watch;
    if (ev->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF))
        src->scan_wanted = true;
    if (ev->mask & (IN_IGNORED | IN_MOVE_SELF)) {
        if (ev->mask & IN_MOVE_SELF)
            inotify_rm_watch(w->fd, ev->wd);
        forget(w, ev->wd);
        return;
    }
    if (ev->len == 0)
        return;
    if (ev->mask & IN_ATTRIB) {
        src->scan_wanted |= map_count(src->complaints) > 0;
        return;
    }
    for (size_t i = 0; i < w->count; i++)
        if (w->items[i].wd == ev->wd) {
            bool known = wake_stream(src, w->items[i].dir, ev->name);
            if (!(known && ev->mask & IN_MODIFY) && (known || concerns(src, ev->name)))
                src->scan_wanted = true;
            return;
        }
}

void watch_drain(struct source *src)
{
    char data[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    if (!src->watch)
        return;
    for (int rounds = 0; rounds < 64 && src->watch; rounds++) {
        ssize_t n = read(src->watch->fd, data, sizeof(data));
        if (n <= 0)
            break; /* EAGAIN: all taken */
        for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
            const struct inotify_event *ev = (const void *)(data + at);
            take_event(src, ev);
            at += (ssize_t)(sizeof(*ev) + ev->len);
        }
    }
}
