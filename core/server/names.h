/*
 * names: which names, or ids, of a request come for the first time, so that what is named twice is answered once. See names.c.
 */
#ifndef LEAT_SERVER_NAMES_H
#define LEAT_SERVER_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct map;

/* All zeros at first; the bytes are borrowed. */
struct names {
    struct map *first;
};

/* The place of a name in an answer that has `n` so far: `n` if it is new, else where it is; -1: no memory. */
int32_t names_place(struct names *names, const void *p, size_t len, int32_t n);
/* Where one is that is there, -1: it is not. */
int32_t names_find(const struct names *names, const void *p, size_t len);
void names_free(struct names *names);

#endif
