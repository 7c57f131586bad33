/*
 * paths: names of the files of a log directory, and the bounds of what they may say.
 */
#ifndef LEAT_STORAGE_PATHS_H
#define LEAT_STORAGE_PATHS_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define STORAGE_DIR_MAX 3072
#define STORAGE_PATH_MAX (STORAGE_DIR_MAX + 128)

/* No offset is ever trusted to be larger: relative offsets can then be added without overflow. */
#define STORAGE_OFFSET_MAX (INT64_MAX - (INT64_C(1) << 33))

#define LOG_SUFFIX ".log"
#define INDEX_SUFFIX ".index"
#define TIME_SUFFIX ".timeindex"
#define TXN_SUFFIX ".txnindex"
#define SNAPSHOT_SUFFIX ".snapshot"
#define DELETED_SUFFIX ".deleted"
#define CLEANED_SUFFIX ".cleaned" /* being made by the cleaner */
#define SWAP_SUFFIX ".swap"       /* complete, to take the place of what it was made from */

/* "<dir>/<20 digits><suffix><more>"; `out` has STORAGE_PATH_MAX bytes and `dir` at most STORAGE_DIR_MAX. */
static inline const char *storage_path(char *out, const char *dir, int64_t offset, const char *suffix,
                                       const char *more)
{
    snprintf(out, STORAGE_PATH_MAX, "%s/%020" PRId64 "%s%s", dir, offset, suffix, more);
    return out;
}

/* Splits "<20 digits><suffix>"; false for any other name. */
bool storage_name_parse(const char *name, int64_t *offset, const char **suffix);

/* Does a name, or a part of one, end with `ending`? Also where it is nothing else. */
bool storage_name_ends(const char *name, const char *ending);

/* Offsets of the files with this suffix in a directory, ascending (mem_free). */
struct err;
int storage_list(const char *dir, const char *suffix, int64_t **list, size_t *n, struct err *e);

#endif
