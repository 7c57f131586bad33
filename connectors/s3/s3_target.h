/*
 * s3_target: the kit's filer writes byte streams here; each becomes an object. A stream is gathered in a part
 * buffer; what fits into one part is put at commit, the rest goes up as a multipart upload, invisible until
 * it is completed. Task thread only.
 */
#ifndef LEAT_S3_TARGET_H
#define LEAT_S3_TARGET_H

#include "kit/filer.h"
#include "s3_settings.h"

struct s3_target;

/* All arguments must outlive it. `log` gets warnings, such as an upload that could not be aborted. */
struct s3_target_config {
    const struct s3_settings *settings;
    struct s3_api *api;
    void (*log)(void *arg, const char *text);
    void *log_arg;
};

int s3_target_new(const struct s3_target_config *c, struct s3_target **out, struct err *e);
void s3_target_free(struct s3_target *t); /* all files are committed or dropped */

/* Objects are written conditionally (If-None-Match) from now on. */
void s3_target_set_conditional(struct s3_target *t, bool on);

/* The functions for filer_new; their `arg` is the target. */
extern const struct filer_target s3_filer_target;

/* Bytes in part buffers now, and objects written since the start. */
size_t s3_target_memory(const struct s3_target *t);
uint64_t s3_target_objects(const struct s3_target *t);

#endif
