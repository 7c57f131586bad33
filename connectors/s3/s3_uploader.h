/*
 * s3_uploader: a thread beside the task's that does jobs one after another, so that the next part is built while the last
 * one goes up. The thread is there from the first job on. After a job that failed no other is begun.
 *
 * All functions are the task thread's, but uploader_pause, which belongs to jobs.
 */
#ifndef LEAT_S3_UPLOADER_H
#define LEAT_S3_UPLOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct s3_job {
    struct s3_job *next;
    int (*run)(struct s3_job *job, struct err *e); /* in the uploader's thread */
    struct err
        error; /* when it is over: its own, or that of the one before which it was not begun; code ERR_OK */
};

struct s3_uploader;

int uploader_new(struct s3_uploader **out, struct err *e);
/* After uploader_stop, with every job taken. */
void uploader_free(struct s3_uploader *u);

/* Jobs are done in the order of giving. ERR_NO_MEMORY, ERR_IO: no thread; the job stays the caller's. */
int uploader_give(struct s3_uploader *u, struct s3_job *job, struct err *e);
/* The oldest job if it is over: the caller's again. NULL: none is. */
struct s3_job *uploader_take(struct s3_uploader *u);
size_t uploader_count(const struct s3_uploader *u); /* given and not taken */
/*
 * Until the oldest job is over. `wait(arg, fd)` sleeps until fd is readable, and answers false when the task is to stop:
 * from then on pauses are cut short and the rest is waited for. NULL: without such a question.
 */
void uploader_await(struct s3_uploader *u, bool (*wait)(void *arg, int fd), void *arg);

/* In a job: sleeps for `ms`, unless the task is to stop. */
void uploader_pause(struct s3_uploader *u, int64_t ms);

/* Nothing more is begun; the running job is waited for. What was not begun is over, as ERR_INTERRUPTED. */
void uploader_stop(struct s3_uploader *u);

#endif
