/*
 * paths: whether a pattern that a source reads may match what a sink writes, by their parts alone: nothing is looked up
 * in the file system but the current directory. Paths are parsed once and live as long as the walk. One thread.
 */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/internal.h"

#define PARTS_MAX 64 /* deeper paths are not compared */

struct path {
    const char *parts[PARTS_MAX];
    size_t n;
    bool comparable;
};

/* Without "." and "..", in place. False: too many parts. */
static bool split(char *text, struct path *p)
{
    char *rest = text, *part;
    while ((part = strsep(&rest, "/"))) {
        if (*part == '\0' || strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            p->n -= p->n > 0;
            continue;
        }
        if (p->n == PARTS_MAX)
            return false;
        p->parts[p->n++] = part;
    }
    return true;
}

const struct path *path_parse(struct walk *w, const char *text, struct err *e)
{
    char *here = *text == '/' ? NULL : getcwd(NULL, 0);
    char *full = walk_printf(w, e, "%s/%s", here ? here : "", text);
    free(here);
    struct path *p = full ? walk_alloc(w, sizeof(*p), e) : NULL;
    if (p)
        p->comparable = split(full, p);
    return p;
}

static bool part_matches(const char *pattern, const char *written)
{
    if (strcmp(pattern, written) == 0 || strpbrk(written, "{$%*"))
        return true;
    return strpbrk(pattern, "*?[\\") && fnmatch(pattern, written, 0) == 0;
}

/*
 * reach[j]: the first i parts of the pattern may stand for the first j of the path that is written. What a sink makes
 * below a directory is anybody's guess, so there it is enough if the directory is used up.
 */
bool path_overlaps(const struct path *pattern, const struct path *written, bool file)
{
    bool reach[PARTS_MAX + 1] = {true}, any = pattern->comparable && written->comparable;
    size_t m = written->n;
    for (size_t i = 0; i < pattern->n && any; i++) {
        bool deep = strcmp(pattern->parts[i], "**") == 0;
        if (reach[m] && !file)
            return true;
        any = false;
        /* backwards, so that the last row's are still there; ** also reaches on from what it reached */
        for (size_t j = m + 1; !deep && j-- > 0;) {
            reach[j] = j && reach[j - 1] && part_matches(pattern->parts[i], written->parts[j - 1]);
            any |= reach[j];
        }
        for (size_t j = 0; deep && j <= m; j++) {
            reach[j] = reach[j] || (j && reach[j - 1]);
            any |= reach[j];
        }
    }
    if (!any || !reach[m])
        return false;
    /* used up together: the file, or a directory that the source is given by name (a pattern means files beside it) */
    const char *last = pattern->n ? pattern->parts[pattern->n - 1] : "";
    return file || !strpbrk(last, "*?[") || strcmp(last, "**") == 0;
}
