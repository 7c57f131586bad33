/*
 * names: see names.h. One thread.
 */
#include "server/names.h"

#include "base/err.h"
#include "base/hash.h"

int32_t names_place(struct names *names, const void *p, size_t len, int32_t n)
{
    struct err e;
    if (names->first == NULL && (names->first = map_new()) == NULL)
        return -1;
    int rc = map_put(names->first, len > 0 ? p : "", len, (void *)((uintptr_t)n + 1), &e);
    if (rc == ERR_EXISTS)
        return (int32_t)((uintptr_t)map_get(names->first, len > 0 ? p : "", len) - 1);
    return rc == ERR_OK ? n : -1;
}

int32_t names_find(const struct names *names, const void *p, size_t len)
{
    const void *place = names->first != NULL ? map_get(names->first, len > 0 ? p : "", len) : NULL;
    return place != NULL ? (int32_t)((uintptr_t)place - 1) : -1;
}

void names_free(struct names *names)
{
    if (names->first != NULL)
        map_free(names->first, NULL);
}
