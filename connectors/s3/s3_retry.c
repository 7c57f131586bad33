/*
 * s3_retry: verdicts and backoff. See s3_retry.h. The codes are those of "Error responses", Amazon S3 API
 * reference.
 */
#include "s3_retry.h"

#include <stddef.h>
#include <string.h>

/* Codes whose status alone would say otherwise. */
static const struct {
    const char *code;
    enum s3_verdict verdict;
} special[] = {
    /* 400: the body did not arrive, or not as it was sent */
    {"RequestTimeout", S3_AGAIN},
    {"IncompleteBody", S3_AGAIN},
    {"BadDigest", S3_AGAIN},
    {"XAmzContentSHA256Mismatch", S3_AGAIN},
    {"XAmzContentChecksumMismatch", S3_AGAIN},
    /* 400/403/503: throttling under its several names */
    {"SlowDown", S3_AGAIN},
    {"Throttling", S3_AGAIN},
    {"ThrottlingException", S3_AGAIN},
    {"RequestLimitExceeded", S3_AGAIN},
    {"RequestThrottled", S3_AGAIN},
    {"TooManyRequests", S3_AGAIN},
    {"BandwidthLimitExceeded", S3_AGAIN},
    /* also inside a 200 of CompleteMultipartUpload */
    {"InternalError", S3_AGAIN},
    {"ServiceUnavailable", S3_AGAIN},
    {"ServerBusy", S3_AGAIN},
    /* 409 */
    {"OperationAborted", S3_AGAIN},
    {"ConditionalRequestConflict", S3_AGAIN},
    /* somebody aborted the upload, or the store lost or garbled a part */
    {"NoSuchUpload", S3_REPLAY},
    {"InvalidPart", S3_REPLAY},
    {"InvalidPartOrder", S3_REPLAY},
    {"PreconditionFailed", S3_EXISTS},
    {"NotImplemented", S3_PERMANENT},
};

enum s3_verdict retry_verdict(int status, const char *code)
{
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (strcmp(code, special[i].code) == 0)
            return special[i].verdict;
    if (status >= 200 && status < 300)
        return code[0] ? S3_AGAIN : S3_DONE; /* CompleteMultipartUpload may fail after its 200 went out */
    if (status == 412)
        return S3_EXISTS;
    if (status == 408 || status == 429 || (status >= 500 && status != 501))
        return S3_AGAIN;
    return S3_PERMANENT;
}

int64_t retry_delay_ms(const struct retry_policy *p, int attempt, int64_t retry_after_s, uint32_t random)
{
    int64_t limit = p->backoff_ms < 0 ? 0 : p->backoff_ms, delay;

    for (int i = 1; i < attempt && limit < RETRY_DELAY_MAX_MS; i++)
        limit *= 2;
    if (limit > RETRY_DELAY_MAX_MS)
        limit = RETRY_DELAY_MAX_MS;
    delay = (int64_t)((uint64_t)random % ((uint64_t)limit + 1));
    if (retry_after_s > 0) {
        int64_t asked = retry_after_s > RETRY_DELAY_MAX_MS / 1000 ? RETRY_DELAY_MAX_MS : retry_after_s * 1000;

        if (delay < asked)
            delay = asked;
    }
    return delay;
}
