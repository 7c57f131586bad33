/*
 * s3_recover: at the start of a task, aborts what earlier runs left unfinished. Task thread only.
 */
#ifndef LEAT_S3_RECOVER_H
#define LEAT_S3_RECOVER_H

#include "leat/plugin.h"
#include "s3_settings.h"

/*
 * Is `key` an object that a task which writes (topic, partition) would write? By its last path segment,
 * <topic><file.delim><partition><file.delim><offset><extension>; the directory depends on records.
 */
bool recover_is_ours(const struct layout *l, const char *key, const char *topic, int32_t partition);

/*
 * Aborts the unfinished uploads of the assigned partitions. `*aborted` counts them. Who may not list uploads
 * gets the error; nothing depends on this but the bill for the parts.
 */
int recover_uploads(struct s3_api *api, const struct layout *l, const struct leat_offset *assigned, size_t n,
                    size_t *aborted, struct err *e);

/* <topics.dir>/<topic>/ with a NUL. */
int recover_prefix(const struct layout *l, const char *topic, struct buf *out, struct err *e);

#endif
