/*
 * Which files there are now: those that match `paths`, and beside them those whose names say that they were rotated
 * from such a file. Each file (inode) once, under the first path that leads to it.
 */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "connectors/file/source.h"

#define SCAN_TRIES 5
#define ODD_MAX 1000

/* A scan of one directory. */
struct walk {
    struct source *src;
    struct found_list *out;
    struct map *by_inode; /* (dev, ino) -> index + 1 */
    const struct pattern *p;
    const char *dir;
    char *real_dir;
    bool denied; /* its files may not be looked at */
};

static void inode_key(const struct inode *i, uint64_t key[2])
{
    key[0] = i->dev;
    key[1] = i->ino;
}

static void from_statx(const struct statx *x, struct inode *inode, int64_t *size, int64_t *mtime_ns)
{
    inode->dev = makedev(x->stx_dev_major, x->stx_dev_minor);
    inode->ino = x->stx_ino;
    inode->born =
        x->stx_mask & STATX_BTIME ? x->stx_btime.tv_sec * INT64_C(1000000000) + x->stx_btime.tv_nsec : 0;
    *size = (int64_t)x->stx_size;
    *mtime_ns = x->stx_mtime.tv_sec * INT64_C(1000000000) + x->stx_mtime.tv_nsec;
}

static int stat_path(const char *path, int flags, struct statx *x)
{
    return statx(AT_FDCWD, path, flags, STATX_BASIC_STATS | STATX_BTIME, x) == 0 ? 0 : errno;
}

int scan_stat(const char *path, struct inode *inode, int64_t *size, int64_t *mtime_ns)
{
    struct statx x;
    int errnum = stat_path(path, 0, &x);
    if (errnum == 0 && !S_ISREG(x.stx_mode))
        errnum = ENOENT;
    if (errnum == 0)
        from_statx(&x, inode, size, mtime_ns);
    return errnum;
}

int scan_stat_open(int fd, struct inode *inode, int64_t *size, int64_t *mtime_ns)
{
    struct statx x;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &x) != 0)
        return errno;
    if (!S_ISREG(x.stx_mode))
        return ENOENT;
    from_statx(&x, inode, size, mtime_ns);
    return 0;
}

bool scan_is_mine(const struct source *src, const char *family)
{
    int count = src->h->task_count(src->t);
    if (count <= 1)
        return true;
    size_t n = strlen(family);
    const char *slash = strrchr(family, '/');
    if (src->o.share == SHARE_DIRECTORY && slash)
        n = (size_t)(slash - family);
    return hash64(family, n) % (uint64_t)count == (uint64_t)src->h->task_index(src->t);
}

static void found_clear(struct found *f)
{
    mem_free(f->path);
    mem_free(f->real);
    mem_free(f->family);
}

void scan_free(struct found_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        found_clear(&l->items[i]);
    mem_free(l->items);
    for (size_t i = 0; i < l->denied_count; i++)
        mem_free(l->denied[i]);
    mem_free(l->denied);
    if (l->torn_families)
        map_free(l->torn_families, NULL);
    memset(l, 0, sizeof(*l));
}

int scan_deny(struct found_list *l, const char *path, struct err *e)
{
    if (l->denied_count == l->denied_room) {
        size_t room = l->denied_room ? l->denied_room * 2 : 8;
        char **grown = mem_realloc_array(l->denied, room, sizeof(char *));
        if (!grown)
            return err_nomem(e);
        l->denied = grown;
        l->denied_room = room;
    }
    char *copy = mem_strdup(path);
    if (!copy)
        return err_nomem(e);
    l->denied[l->denied_count++] = copy;
    return ERR_OK;
}

bool scan_is_denied(const struct found_list *l, const char *path)
{
    for (size_t i = 0; i < l->denied_count; i++) {
        size_t n = strlen(l->denied[i]);
        if (strncmp(path, l->denied[i], n) == 0 &&
            (path[n] == '/' || path[n] == '\0' || l->denied[i][n - 1] == '/'))
            return true;
    }
    return false;
}

bool scan_is_torn(const struct found_list *l, const struct stream *s)
{
    return l->torn_all ||
           (l->torn_families && map_get(l->torn_families, &s->hash[BY_FAMILY], sizeof(uint64_t)));
}

static char *join(const char *dir, const char *name)
{
    return mem_printf(strcmp(dir, "/") == 0 ? "%s%s" : "%s/%s", dir, name);
}

/* <directory>/<name while it was written> of a path without links. */
static char *family_of(const char *real, bool *rotated)
{
    char *family = mem_strdup(real);
    const char *slash = strrchr(real, '/');
    if (family)
        *rotated = name_live(slash ? slash + 1 : real, family + (slash ? slash + 1 - real : 0));
    return family;
}

/* realpath, but by mem_alloc; NULL with *rc when out of memory, NULL and ERR_OK when it does not resolve. */
static char *real_of(const char *path, int *rc, struct err *e)
{
    char *real = realpath(path, NULL);
    char *copy = real ? mem_strdup(real) : NULL;
    if (real && !copy)
        *rc = err_nomem(e);
    free(real);
    return copy;
}

/* Adds the file, or marks the one that is there already. Takes f's strings in any case. */
static int add_found(struct walk *w, struct found *f, struct err *e)
{
    uint64_t key[2];
    inode_key(&f->inode, key);
    uintptr_t at = (uintptr_t)map_get(w->by_inode, key, sizeof(key));
    if (at) {
        struct found *other = &w->out->items[at - 1];
        if ((f->primary && !other->primary) ||
            (other->aside && !f->aside)) { /* the path that is asked for wins */
            f->from_end |= other->from_end;
            struct found swap = *other;
            *other = *f;
            *f = swap;
        }
        found_clear(f);
        return ERR_OK;
    }
    int rc = ERR_OK;
    if (w->out->count == w->out->room) {
        size_t room = w->out->room ? w->out->room * 2 : 64;
        struct found *grown = mem_realloc_array(w->out->items, room, sizeof(*grown));
        if (grown) {
            w->out->items = grown;
            w->out->room = room;
        } else {
            rc = err_nomem(e);
        }
    }
    if (rc == ERR_OK)
        rc = map_put(w->by_inode, key, sizeof(key), (void *)(w->out->count + 1), e);
    if (rc != ERR_OK)
        found_clear(f);
    else
        w->out->items[w->out->count++] = *f;
    return rc;
}

static int note_torn(struct walk *w, const char *name, struct err *e)
{
    bool rotated;
    char *real = join(w->real_dir, name), *family = real ? family_of(real, &rotated) : NULL;
    struct found_list *l = w->out;
    if (!l->torn_families)
        l->torn_families = map_new();
    int rc = ERR_OK;
    if (!family || !l->torn_families)
        rc = err_nomem(e);
    uint64_t key = rc == ERR_OK ? hash64(family, strlen(family)) : 0;
    if (rc == ERR_OK && !map_get(l->torn_families, &key, sizeof(key)))
        rc = map_put(l->torn_families, &key, sizeof(key), w->src, e);
    l->torn = true;
    mem_free(real);
    mem_free(family);
    return rc;
}

/*
 * The directory told `listed`, the file has `now` (0: is gone): it was renamed since, and another took its name. It cannot
 * come back to that name, so where the same difference is met again it means nothing: what is mounted there has another inode
 * than what it covers, and some file systems number files in directories otherwise.
 */
static int note_moved(struct walk *w, const char *name, const char *path, uint64_t listed, uint64_t now,
                      struct err *e)
{
    uint64_t key[3] = {hash64(path, strlen(path)), listed, now};
    if (map_get(w->src->odd, key, sizeof(key)))
        return ERR_OK;
    if (map_count(w->src->odd) >= ODD_MAX) {
        struct map *empty = map_new();
        if (!empty)
            return err_nomem(e);
        map_free(w->src->odd, NULL);
        w->src->odd = empty;
    }
    int rc = map_put(w->src->odd, key, sizeof(key), w->src, e);
    return rc == ERR_OK ? note_torn(w, name, e) : rc;
}

static int look_at(struct walk *w, const char *name, const char *path, uint64_t ino, bool primary,
                   struct err *e)
{
    struct statx x = {0};
    int errnum = stat_path(path, AT_SYMLINK_NOFOLLOW, &x);
    uint64_t now = errnum == 0 ? x.stx_ino : 0;
    int rc = now != ino ? note_moved(w, name, path, ino, now, e) : ERR_OK;
    if (rc != ERR_OK)
        return rc;
    bool is_link = errnum == 0 && S_ISLNK(x.stx_mode);
    if (is_link)
        errnum = stat_path(path, 0, &x);
    if (errnum == ELOOP) { /* leads nowhere, as a dangling link does */
        source_complain(w->src, path, strerror(errnum));
    } else if (errnum != 0 && errnum != ENOENT && errnum != ENOTDIR) {
        source_complain(w->src, is_link ? path : w->dir, strerror(errnum));
        rc = is_link || !w->denied ? scan_deny(w->out, is_link ? path : w->dir, e) : ERR_OK;
        if (rc != ERR_OK)
            return rc;
        w->denied = true;
    } else if (is_link) {
        source_well(w->src, path);
    }
    if (errnum != 0 || !S_ISREG(x.stx_mode))
        return ERR_OK;
    struct found f = {.primary = primary, .aside = w->p->aside};
    f.from_end = primary && w->src->o.start == START_END && !w->p->started;
    from_statx(&x, &f.inode, &f.size, &f.mtime_ns);
    f.real = is_link ? real_of(path, &rc, e) : join(w->real_dir, name);
    if (is_link && !f.real)
        return rc; /* without an error the link has just gone */
    char *slash = is_link ? strrchr(f.real, '/') : NULL;
    if (slash && slash > f.real) { /* its changes happen elsewhere */
        *slash = '\0';
        watch_directory(w->src, f.real);
        *slash = '/';
    }
    f.path = mem_strdup(path);
    f.family = f.real ? family_of(f.real, &f.rotated) : NULL;
    if (!f.path || !f.real || !f.family) {
        found_clear(&f);
        return err_nomem(e);
    }
    f.rotated |= f.aside;
    if (!f.aside && !scan_is_mine(w->src, f.family)) {
        found_clear(&f);
        return ERR_OK;
    }
    return add_found(w, &f, e);
}

static int each_name(void *arg, const char *name, uint64_t ino, struct err *e)
{
    struct walk *w = arg;
    char live[NAME_MAX + 1];
    if (strlen(name) > NAME_MAX)
        return ERR_OK;
    bool fits = fnmatch(w->p->name, name, FNM_PERIOD) == 0, primary = fits && !w->p->aside;
    if (!fits && (w->p->aside || !name_live(name, live) || fnmatch(w->p->name, live, FNM_PERIOD) != 0))
        return ERR_OK;
    char *path = join(w->dir, name);
    if (!path)
        return err_nomem(e);
    int rc = source_options_exclude(&w->src->o, path) ? ERR_OK : look_at(w, name, path, ino, primary, e);
    mem_free(path);
    return rc;
}

/* When names in a directory changed last; 0: unknown. */
static int64_t names_changed(const char *dir)
{
    struct statx x;
    struct inode inode;
    int64_t size, mtime_ns = 0;
    if (stat_path(dir, 0, &x) == 0)
        from_statx(&x, &inode, &size, &mtime_ns);
    return mtime_ns;
}

/* A glob_each_fn. */
static int walk_directory(void *arg, const char *dir, struct err *e)
{
    struct walk *w = arg;
    int rc = ERR_OK;
    w->dir = dir;
    w->denied = false;
    w->real_dir = real_of(dir, &rc, e);
    if (!w->real_dir) {
        w->src->poll_too = true; /* until it is there */
        if (rc == ERR_OK && errno != ENOENT && errno != ENOTDIR) {
            source_complain(w->src, dir, strerror(errno));
            return scan_deny(w->out, dir, e);
        }
        return rc;
    }
    watch_directory(w->src, w->real_dir);
    bool whole = true;
    int64_t before = names_changed(dir);
    rc = list_directory(dir, each_name, w, &whole, e);
    if (!whole && names_changed(dir) != before)
        w->out->torn = w->out->torn_all = true;
    mem_free(w->real_dir);
    if (rc == ERR_OK && !w->denied)
        source_well(w->src, dir);
    if (rc == ERR_NOT_FOUND || rc == ERR_NO_MEMORY || rc == ERR_OK)
        return rc == ERR_NO_MEMORY ? rc : ERR_OK;
    source_complain(w->src, dir, e->text);
    return scan_deny(w->out, dir, e);
}

static int walk_pattern(struct walk *w, struct err *e)
{
    if (!w->p->dir_is_glob)
        return walk_directory(w, w->p->dir, e);
    return glob_directories(w->src, w->p->dir, walk_directory, w, w->out, e);
}

static int scan_once(struct source *src, struct found_list *out, struct err *e)
{
    memset(out, 0, sizeof(*out));
    struct walk w = {.src = src, .out = out, .by_inode = map_new()};
    if (!w.by_inode)
        return err_nomem(e);
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < src->o.pattern_count; i++) {
        w.p = &src->o.patterns[i];
        rc = walk_pattern(&w, e);
    }
    map_free(w.by_inode, NULL);
    if (rc != ERR_OK)
        scan_free(out);
    return rc;
}

/*
 * Where a file has left its name since the listing, another one may be there now, the newer of two, and the one that left
 * may be found nowhere. So all is listed again, until every file was where it was listed, or the tries are used up.
 */
int scan_files(struct source *src, struct found_list *out, struct err *e)
{
    for (int tries = 0;; tries++) {
        int rc = scan_once(src, out, e);
        if (rc != ERR_OK || !out->torn || tries == SCAN_TRIES)
            return rc;
        scan_free(out);
    }
}
