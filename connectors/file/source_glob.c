/*
 * Patterns of directories: `*`, `?` and `[...]` within a part, `**` as a part for any number of directories, none among them.
 * Neither matches a leading dot, and `**` does not follow symbolic links, so that it comes to an end. What is listed on
 * the way is watched, so that directories that appear later are noticed. Task thread only.
 */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "connectors/file/source.h"

#define DEPTH_MAX 64 /* directories below each other that a `**` stands for */

static bool is_wild(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strchr("*?[\\", s[i]))
            return true;
    return false;
}

static bool is_deep(const char *part, size_t n)
{
    return n == 2 && part[0] == '*' && part[1] == '*';
}

/* What follows the part and its slashes. */
static const char *behind(const char *part, size_t n)
{
    part += n;
    return part + strspn(part, "/");
}

/* ---- matching --------------------------------------------------------------------------------------------------- */

static bool match_part(const char *pattern, size_t pn, const char *text, size_t tn, int flags)
{
    char p[NAME_MAX * 4 + 1], t[NAME_MAX + 1];
    if (pn >= sizeof(p) || tn >= sizeof(t))
        return false;
    memcpy(p, pattern, pn);
    p[pn] = '\0';
    memcpy(t, text, tn);
    t[tn] = '\0';
    return fnmatch(p, t, flags) == 0;
}

static bool match_parts(const char *pattern, const char *path, int flags)
{
    while (*pattern) {
        size_t pn = strcspn(pattern, "/"), tn = strcspn(path, "/");
        if (is_deep(pattern, pn)) {
            pattern = behind(pattern, pn);
            for (;;) {
                if (match_parts(pattern, path, flags))
                    return true;
                tn = strcspn(path, "/");
                if (tn == 0 || ((flags & FNM_PERIOD) && *path == '.'))
                    return false;
                path = behind(path, tn);
            }
        }
        if (tn == 0 || !match_part(pattern, pn, path, tn, flags))
            return false;
        pattern = behind(pattern, pn);
        path = behind(path, tn);
    }
    return *path == '\0';
}

bool glob_match(const char *pattern, const char *path, bool hidden)
{
    if ((*pattern == '/') != (*path == '/'))
        return false;
    return match_parts(behind(pattern, 0), behind(path, 0), hidden ? 0 : FNM_PERIOD);
}

/* ---- finding ---------------------------------------------------------------------------------------------------- */

struct expansion {
    struct source *src;
    glob_each_fn *each;
    void *arg;
    struct found_list *out;
    char path[PATH_MAX]; /* so far; "" stands for the working directory */
    size_t len;
};

static int expand(struct expansion *x, const char *rest, int depth, struct err *e);

/* Appends a name; *was: the length before. False: too long. */
static bool enter(struct expansion *x, const char *name, size_t n, size_t *was)
{
    bool slash = x->len > 0 && x->path[x->len - 1] != '/';
    *was = x->len;
    if (x->len + slash + n >= sizeof(x->path))
        return false;
    if (slash)
        x->path[x->len++] = '/';
    memcpy(x->path + x->len, name, n);
    x->len += n;
    x->path[x->len] = '\0';
    return true;
}

static void leave(struct expansion *x, size_t was)
{
    x->len = was;
    x->path[was] = '\0';
}

static const char *here(const struct expansion *x)
{
    return x->len > 0 ? x->path : ".";
}

struct step {
    struct expansion *x;
    const char *part, *next; /* `next`: what of the pattern follows a directory that fits */
    size_t n;
    bool deep;
    int depth;
};

/* Is there a directory at the path so far? What may not be looked at may be one. *there: something is. */
static int is_directory(struct expansion *x, bool follow, bool *there, bool *yes, struct err *e)
{
    struct stat st;
    *yes = false;
    *there = (follow ? stat(x->path, &st) : lstat(x->path, &st)) == 0;
    if (!*there && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
        source_complain(x->src, x->path, strerror(errno));
        return scan_deny(x->out, x->path, e);
    }
    if (*there)
        source_well(x->src, x->path);
    *yes = *there && S_ISDIR(st.st_mode);
    return ERR_OK;
}

static int each_entry(void *arg, const char *name, uint64_t ino, struct err *e)
{
    (void)ino;
    struct step *s = arg;
    struct expansion *x = s->x;
    size_t n = strlen(name), was;
    bool fits = s->deep ? *name != '.' : match_part(s->part, s->n, name, n, FNM_PERIOD);
    if (!fits || !enter(x, name, n, &was))
        return ERR_OK;
    bool there, yes;
    int rc = is_directory(x, !s->deep, &there, &yes, e);
    if (rc == ERR_OK && yes)
        rc = expand(x, s->next, s->depth, e);
    leave(x, was);
    return rc;
}

static int list_here(struct step *s, struct err *e)
{
    struct expansion *x = s->x;
    bool whole;
    watch_named(x->src, here(x));
    int rc = list_directory(here(x), each_entry, s, &whole, e);
    if (rc == ERR_OK)
        source_well(x->src, here(x));
    if (rc == ERR_OK || rc == ERR_NO_MEMORY || rc == ERR_INTERRUPTED)
        return rc;
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    source_complain(x->src, here(x), e->text);
    return scan_deny(x->out, here(x), e);
}

/* A part without wildcards. */
static int expand_plain(struct expansion *x, const char *part, size_t n, const char *next, int depth,
                        struct err *e)
{
    size_t was;
    if (!enter(x, part, n, &was))
        return ERR_OK;
    bool there, yes;
    int rc = is_directory(x, true, &there, &yes, e);
    if (rc == ERR_OK && yes)
        rc = expand(x, next, depth, e);
    leave(x, was);
    if (!there)
        watch_named(x->src, here(x)); /* it may come */
    return rc;
}

static int expand(struct expansion *x, const char *rest, int depth, struct err *e)
{
    if (x->src->h->stopping(x->src->t))
        return err_set(e, ERR_INTERRUPTED, "stopped");
    if (*rest == '\0')
        return x->each(x->arg, here(x), e);
    size_t n = strcspn(rest, "/");
    const char *next = behind(rest, n);
    if (is_deep(rest, n)) {
        while (is_deep(next, strcspn(next, "/")))
            next = behind(next, 2);
        int rc = expand(x, next, 0, e);
        struct step deeper = {.x = x, .next = rest, .deep = true, .depth = depth + 1};
        return rc == ERR_OK && depth < DEPTH_MAX ? list_here(&deeper, e) : rc;
    }
    if (!is_wild(rest, n))
        return expand_plain(x, rest, n, next, depth, e);
    struct step s = {.x = x, .part = rest, .n = n, .next = next, .depth = depth};
    return list_here(&s, e);
}

int glob_directories(struct source *src, const char *pattern, glob_each_fn *each, void *arg,
                     struct found_list *out, struct err *e)
{
    struct expansion *x = mem_calloc(1, sizeof(*x));
    if (!x)
        return err_nomem(e);
    x->src = src;
    x->each = each;
    x->arg = arg;
    x->out = out;
    if (*pattern == '/')
        x->path[x->len++] = '/';
    int rc = expand(x, behind(pattern, 0), 0, e);
    mem_free(x);
    return rc;
}
