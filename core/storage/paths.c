/*
 * paths: see paths.h. No state.
 */
#include "storage/paths.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"

bool storage_name_parse(const char *name, int64_t *offset, const char **suffix)
{
    int64_t v = 0;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9' || v > STORAGE_OFFSET_MAX / 10)
            return false;
        v = v * 10 + (name[i] - '0');
    }
    *offset = v;
    *suffix = name + 20;
    return v <= STORAGE_OFFSET_MAX;
}

bool storage_name_ends(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n >= m && memcmp(name + n - m, ending, m) == 0;
}

struct names {
    const char *suffix;
    int64_t *list;
    size_t n;
};

static int see_name(void *arg, const char *name, struct err *e)
{
    struct names *x = arg;
    int64_t offset;
    const char *suffix;
    if (!storage_name_parse(name, &offset, &suffix) || strcmp(suffix, x->suffix) != 0)
        return ERR_OK;
    if ((x->n & (x->n - 1)) == 0) { /* full at powers of two */
        int64_t *list = mem_realloc_array(x->list, x->n ? x->n * 2 : 1, sizeof *list);
        if (!list)
            return err_nomem(e);
        x->list = list;
    }
    x->list[x->n++] = offset;
    return ERR_OK;
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

int storage_list(const char *dir, const char *suffix, int64_t **list, size_t *n, struct err *e)
{
    struct names x = {.suffix = suffix};
    *list = NULL;
    *n = 0;
    int rc = strlen(dir) > STORAGE_DIR_MAX ? err_set(e, ERR_INVALID, "%.100s... is too long a name", dir)
                                           : io_list(dir, see_name, &x, e);
    if (rc) {
        mem_free(x.list);
        return rc;
    }
    if (x.n)
        qsort(x.list, x.n, sizeof *x.list, by_value);
    *list = x.list;
    *n = x.n;
    return ERR_OK;
}
