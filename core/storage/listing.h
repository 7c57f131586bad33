/*
 * listing: the files of a partition's directory, for whoever opens or checks it: an entry for each offset that names some, with
 * the kinds that are there. Names are Kafka's: 20 digits and a suffix (paths.h).
 */
#ifndef LEAT_STORAGE_LISTING_H
#define LEAT_STORAGE_LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { HAS_LOG = 1, HAS_INDEX = 2, HAS_TIME = 4, HAS_TXN = 8, HAS_SNAPSHOT = 16 };

struct listed {
    int64_t base;
    unsigned has; /* HAS_... */
};

struct listing {
    struct listed *list; /* ascending, one entry an offset */
    size_t n;
};

/*
 * Told of each name that is no entry's. `suffix` is what follows the offset in it; NULL: it does not begin with one. The file
 * may be removed here. An error ends the listing.
 */
typedef int listing_other(void *arg, const char *name, const char *suffix, struct err *e);

/* Fills *l, whatever it was; after an error it is empty. listing_free. Any thread; what changes meanwhile may be missed. */
int listing_read(struct listing *l, const char *dir, listing_other *other, void *arg, struct err *e);
void listing_free(struct listing *l);

/* The suffix of index number `k` of the three, whose bit is HAS_INDEX << k. */
#define LISTING_INDEXES 3
const char *listing_index_suffix(unsigned k);

#endif
