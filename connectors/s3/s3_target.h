/*
 * s3_target: the kit's filer writes byte streams here; each becomes an object. A stream is gathered in a part
 * buffer; what fits into one part is put at commit, the rest goes up as a multipart upload, invisible until
 * it is completed. Uploads go on beside the task, so a commit is only begun when the filer is told that it is done: what is
 * stored is less than the filer says, see s3_target_hold_back. Task thread only.
 */
#ifndef LEAT_S3_TARGET_H
#define LEAT_S3_TARGET_H

#include "kit/filer.h"
#include "s3_settings.h"
#include "s3_topics.h"

struct s3_target;

/*
 * All arguments must outlive it. `log` gets warnings, such as an upload that could not be aborted. `wait` sleeps until fd is
 * readable; false: the task is to stop.
 */
struct s3_target_config {
    const struct s3_settings *settings;
    struct s3_api *api;
    const struct s3_topics *topics;
    void (*log)(void *arg, const char *text);
    bool (*wait)(void *arg, int fd);
    void *arg;
};

int s3_target_new(const struct s3_target_config *c, struct s3_target **out, struct err *e);
/* Begins nothing more, and waits for what is being done. Before the filer drops its files. */
void s3_target_stop(struct s3_target *t);
void s3_target_free(struct s3_target *t); /* all files are committed or dropped */

/* Waits for all that is on its way; `final`: whatever is asked of the task. */
int s3_target_finish(struct s3_target *t, bool final, struct err *e);
/* Without waiting: the error of what failed, or how much is on its way. */
int s3_target_progress(struct s3_target *t, size_t *on_their_way, struct err *e);
/* Takes entries whose rounds are on their way back to what is stored: at least `before`, what was reported last. */
void s3_target_hold_back(const struct s3_target *t, const struct leat_offset *before,
                         struct leat_offset *assigned, size_t n);
/* In the uploader's thread: sleeps, unless the task is to stop. */
void s3_target_pause(struct s3_target *t, int64_t ms);

/* Objects are written conditionally (If-None-Match) from now on. */
void s3_target_set_conditional(struct s3_target *t, bool on);

/* The functions for filer_new; their `arg` is the target. */
extern const struct filer_target s3_filer_target;

/* Bytes in part buffers now, and objects written since the start. */
size_t s3_target_memory(const struct s3_target *t);
uint64_t s3_target_objects(const struct s3_target *t);

#endif
