/*
 * inotify: one watch a directory. Events only say where to look; every look is a stat or a read, and a scan now and then
 * looks at everything, so a lost event costs time and nothing else.
 */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
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
    int wd; /* below 0: cannot be watched */
};

struct watch {
    int fd;
    struct map *by_dir; /* struct watched, which it owns */
    struct map *by_wd;  /* the first of those with that number */
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
    w->fd = -1;
    src->watch = w;
    w->by_dir = map_new();
    w->by_wd = map_new();
    if (!w->by_dir || !w->by_wd)
        return err_nomem(e); /* watch_close frees */
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd >= 0)
        return ERR_OK;
    int errnum = errno;
    watch_close(src);
    if (src->o.watch == WATCH_INOTIFY)
        return err_sys(e, errnum, "cannot use inotify");
    src->h->log(src->t, LEAT_INFO, "polling, as inotify cannot be used: %s", strerror(errnum));
    return ERR_OK;
}

static void watched_free(void *arg)
{
    struct watched *d = arg;
    mem_free(d->dir);
    mem_free(d);
}

void watch_close(struct source *src)
{
    struct watch *w = src->watch;
    if (!w)
        return;
    io_close(w->fd);
    if (w->by_wd)
        map_free(w->by_wd, NULL);
    if (w->by_dir)
        map_free(w->by_dir, watched_free);
    mem_free(w);
    src->watch = NULL;
}

int watch_fd(const struct source *src)
{
    return src->watch ? src->watch->fd : -1;
}

static bool remember(struct watch *w, const char *dir, int wd)
{
    struct err ignored;
    struct watched *d = mem_calloc(1, sizeof(*d));
    if (!d || !(d->dir = mem_strdup(dir)))
        goto failed;
    d->wd = wd;
    if (map_put(w->by_dir, dir, strlen(dir), d, &ignored) != ERR_OK)
        goto failed;
    if (wd < 0 || map_get(w->by_wd, &wd, sizeof(wd)) ||
        map_put(w->by_wd, &wd, sizeof(wd), d, &ignored) == ERR_OK)
        return true;
    map_remove(w->by_dir, dir, strlen(dir));
failed:
    if (d)
        watched_free(d);
    return false;
}

void watch_directory(struct source *src, const char *dir)
{
    struct watch *w = src->watch;
    if (!w) {
        src->poll_too = true;
        return;
    }
    const struct watched *known = map_get(w->by_dir, dir, strlen(dir));
    if (known) {
        src->poll_too |= known->wd < 0;
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

void watch_named(struct source *src, const char *dir)
{
    char real[PATH_MAX];
    if (realpath(dir, real))
        watch_directory(src, real);
}

/* The directory is gone or elsewhere; what led to it by other paths too. */
static void forget(struct watch *w, int wd)
{
    map_remove(w->by_wd, &wd, sizeof(wd));
    for (bool again = true; again;) {
        size_t pos = 0, n;
        const void *key;
        void *value;
        again = false;
        while (!again && map_next(w->by_dir, &pos, &key, &n, &value)) {
            struct watched *d = value;
            if (d->wd != wd)
                continue;
            map_remove(w->by_dir, d->dir, strlen(d->dir));
            watched_free(d);
            again = true;
        }
    }
}

/* May a file of this name be one of ours, or a directory, or a link to one, lead to some? */
static bool concerns(const struct source *src, const struct inotify_event *ev)
{
    char live[NAME_MAX + 1];
    if (strlen(ev->name) > NAME_MAX)
        return false;
    bool rotated = name_live(ev->name, live), comes = ev->mask & (IN_CREATE | IN_MOVED_TO);
    for (size_t i = 0; i < src->o.pattern_count; i++) {
        const struct pattern *p = &src->o.patterns[i];
        if ((p->dir_is_glob && (comes || ev->mask & IN_ISDIR)) ||
            fnmatch(p->name, ev->name, FNM_PERIOD) == 0 ||
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
    const struct watched *d = map_get(w->by_wd, &ev->wd, sizeof(ev->wd));
    if (!d)
        return;
    bool known = wake_stream(src, d->dir, ev->name);
    if (!(known && ev->mask & IN_MODIFY) && (known || concerns(src, ev)))
        src->scan_wanted = true;
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
