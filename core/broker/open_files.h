/*
 * open_files: the bound on open segment files, and giving back what logs at rest do not need. See open_files.c.
 */
#ifndef LEAT_BROKER_OPEN_FILES_H
#define LEAT_BROKER_OPEN_FILES_H

#include "broker/store.h"

/* `max` 0: what the process's limit leaves after a part for everything else. */
void open_files_init(struct open_files *f, int32_t max);
void open_files_free(struct open_files *f);

/* The partition is used now. Any thread; a load where it was used a moment ago. */
void open_files_used(struct broker *b, struct partition *p);

/*
 * Before files are opened, with no lock held: when there are as many as there may be, those of logs that were not used for
 * the longest time are closed, which may wait for syncs. Nothing is promised where readers hold all of them.
 */
void open_files_make_room(struct broker *b);
bool open_files_short(struct broker *b); /* whether that may have to close some */
/* After ERR_FILES, which others' files may have brought about: upkeep closes more than the bound asks for. Any thread. */
void open_files_relieve(struct broker *b);

/* Upkeep's: closes the files of logs that were not used since the last time. Returns when to come again. */
int64_t open_files_sweep(struct broker *b, struct partition **list, size_t n, int64_t now);

#endif
