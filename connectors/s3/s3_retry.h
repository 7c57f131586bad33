/*
 * s3_retry: what an answer of the object store means for the next step, and how long to wait before another
 * try. Pure functions, any thread.
 */
#ifndef LEAT_S3_RETRY_H
#define LEAT_S3_RETRY_H

#include <stdint.h>

#include "base/err.h"

#define RETRY_DELAY_MAX_MS 60000

struct retry_policy {
    int retries;        /* tries beyond the first: s3.part.retries */
    int64_t backoff_ms; /* s3.retry.backoff.ms */
};

enum s3_verdict {
    S3_DONE,      /* 2xx */
    S3_AGAIN,     /* the same request may succeed later */
    S3_EXISTS,    /* 412: an object of that name is there (conditional write) */
    S3_REPLAY,    /* this upload is lost, a new one may succeed */
    S3_PERMANENT, /* somebody has to change something first */
};

/* `code`: the <Code> of an error answer, "" if there is none. */
enum s3_verdict retry_verdict(int status, const char *code);

/*
 * Wait before try number `attempt` (1: the first repetition): uniformly random in [0, backoff *
 * 2^(attempt-1)] ("full jitter"), capped; at least what the server asked for. `random` is any 32-bit random
 * number.
 */
int64_t retry_delay_ms(const struct retry_policy *p, int attempt, int64_t retry_after_s, uint32_t random);

#endif
