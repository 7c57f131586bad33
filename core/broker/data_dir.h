/*
 * data_dir: a data directory as a whole, for who opens it and for tools that look at one that nobody has opened.
 */
#ifndef LEAT_BROKER_DATA_DIR_H
#define LEAT_BROKER_DATA_DIR_H

#include <stdbool.h>

#include "base/err.h"
#include "base/uuid.h"

#define CLEAN_STOP_NAME ".kafka_cleanshutdown"
#define SET_ASIDE_NAME "set-aside"   /* what repairs took out */
#define WORK_DIR_NAME "work"         /* what tasks put aside while they run (core/connect) */
#define KEEP_DIR_NAME "kept"         /* what tasks keep from run to run (core/connect) */
#define DISK_RESERVE_NAME "reserve"  /* disk_space.c */
#define DISK_LIST_NAME "directories" /* in the main directory: disk_list.c */

/*
 * Locks the directory; ERR_LOCKED names the holder's pid. The lock is given back with io_close(*fd), or by the end of the
 * process. `make`: the lock file is made if missing; else a directory without one is nobody's, and *fd is -1.
 */
int data_dir_lock(const char *data_dir, bool make, int *fd, struct err *e);

/* Did a repair take something of this partition out? Then offsets of it may be missing. */
bool data_dir_repaired(const char *data_dir, const char *partition);

/* cluster.id and directory.id from the text of a meta.properties; false if one of them is missing. */
bool identity_parse(const char *text, struct uuid *cluster, struct uuid *directory);

#endif
