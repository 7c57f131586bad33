/*
 * err: the one error type. A function that can fail returns an `int` code (ERR_OK is 0) and fills a
 * caller-owned `struct err`, so that an error costs no allocation and keeps its text on the way up.
 *
 * The `kafka` column is the protocol error that a client gets for the code (0 none, -1 unknown).
 */
#ifndef LEAT_BASE_ERR_H
#define LEAT_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

/*   code              kafka retriable  text                                            */
#define ERR_CODES(X)                                                                                         \
    X(OK, 0, false, "no error")                                                                              \
    X(END, 0, false, "end of data")                                                                          \
    X(INTERNAL, -1, false, "internal error")                                                                 \
    X(NO_MEMORY, -1, true, "out of memory")                                                                  \
    X(IO, 56, false, "input/output error")                                                                   \
    X(NO_SPACE, 56, true, "no space left")                                                                   \
    X(FILES, 56, true, "too many files are open")                                                            \
    X(PERMISSION, 56, false, "permission denied")                                                            \
    X(LOG_FAILED, 56, false, "the log is out of service after an input/output error")                        \
    X(DISK_FAILED, 56, false, "the data directory is out of service")                                        \
    X(CORRUPT, 2, false, "corrupt data")                                                                     \
    X(TRUNCATED, 2, false, "data ends early")                                                                \
    X(INVALID, 42, false, "invalid argument")                                                                \
    X(INVALID_CONFIG, 40, false, "invalid configuration")                                                    \
    X(INVALID_RECORD, 87, false, "invalid record")                                                           \
    X(INVALID_TIMESTAMP, 32, false, "timestamp out of the accepted range")                                   \
    X(INVALID_TOPIC, 17, false, "invalid topic name")                                                        \
    X(INVALID_PARTITIONS, 37, false, "invalid number of partitions")                                         \
    X(INVALID_GROUP, 24, false, "invalid group id")                                                          \
    X(TOO_LARGE, 10, false, "too large")                                                                     \
    X(OVER_SEGMENT, 18, false, "larger than a segment")                                                      \
    X(UNSUPPORTED, 35, false, "not supported")                                                               \
    X(UNSUPPORTED_COMPRESSION, 76, false, "unsupported compression type")                                    \
    X(NOT_FOUND, -1, false, "not found")                                                                     \
    X(UNKNOWN_TOPIC, 3, true, "unknown topic or partition")                                                  \
    X(UNKNOWN_TOPIC_ID, 100, true, "unknown topic id")                                                       \
    X(UNKNOWN_GROUP, 69, false, "unknown group")                                                             \
    X(EXISTS, -1, false, "already exists")                                                                   \
    X(TOPIC_EXISTS, 36, false, "topic already exists")                                                       \
    X(GROUP_NOT_EMPTY, 68, false, "the group has active members")                                            \
    X(OFFSET_OUT_OF_RANGE, 1, false, "offset out of range")                                                  \
    X(OFFSET_METADATA_TOO_LARGE, 12, false, "offset metadata too large")                                     \
    X(NOT_ENOUGH_REPLICAS, 19, true, "too few replicas are in sync")                                         \
    X(QUOTA, 89, true, "the quota is used up")                                                               \
    X(FENCED_EPOCH, 74, false, "leader epoch is older than the current one")                                 \
    X(UNKNOWN_EPOCH, 75, true, "leader epoch is newer than the current one")                                 \
    X(OUT_OF_ORDER_SEQUENCE, 45, false, "sequence number out of order")                                      \
    X(INVALID_PRODUCER_EPOCH, 47, false, "producer epoch is older than the current one")                     \
    X(PRODUCER_FENCED, 90, false, "a newer producer took over the transactional id")                         \
    X(UNKNOWN_PRODUCER, 59, false, "unknown producer id")                                                    \
    X(INVALID_PRODUCER_MAPPING, 49, false, "producer id does not belong to the transactional id")            \
    X(INVALID_TXN_STATE, 48, false, "not possible in this state of the transaction")                         \
    X(INVALID_TXN_TIMEOUT, 50, false, "transaction timeout out of range")                                    \
    X(CONCURRENT_TRANSACTIONS, 51, true, "the previous transaction is still being completed")                \
    X(COORDINATOR_FENCED, 52, false, "a newer transaction coordinator took over")                            \
    X(UNKNOWN_TRANSACTIONAL_ID, 105, false, "unknown transactional id")                                      \
    X(LOCKED, -1, false, "held by another process")                                                          \
    X(BUSY, -1, true, "busy")                                                                                \
    X(WOULD_WAIT, -1, true, "the disk would have to be waited for")                                          \
    X(TIMEOUT, 7, true, "timed out")                                                                         \
    X(CLOSED, -1, false, "closed")                                                                           \
    X(INTERRUPTED, -1, false, "stopped on request")                                                          \
    X(CONNECTION, 13, true, "connection failed")                                                             \
    X(AUTHENTICATION, 58, false, "authentication failed")                                                    \
    X(REMOTE, -1, true, "the remote system answered with an error")                                          \
    X(PLUGIN, -1, false, "plugin does not fit")                                                              \
    X(TASK, -1, false, "task failed")

enum err_code {
#define X(name, kafka, retriable, text) ERR_##name,
    ERR_CODES(X)
#undef X
        ERR_COUNT
};

#define ERR_TEXT_MAX 768

struct err {
    int code;       /* enum err_code */
    bool retriable; /* trying the same again may succeed */
    bool fatal;     /* the process or log must not go on */
    char text[ERR_TEXT_MAX];
};

/* Sets code and text (printf-like); retriable comes from the code's row. Returns `code`. `e` is never NULL.
 */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Sets from an errno value: maps it to a code and appends ": <strerror>". Returns the code. */
int err_sys(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<context>: " before the text. Returns e->code, so that `return err_wrap(e, ...)` passes it up. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Out of memory, without formatting. Returns ERR_NO_MEMORY. */
int err_nomem(struct err *e);

void err_clear(struct err *e);

/* Names such as "OFFSET_OUT_OF_RANGE", the row's text, and the Kafka protocol code. Unknown codes are
 * INTERNAL. */
const char *err_name(int code);
const char *err_text(int code);
int16_t err_kafka(int code);
bool err_retriable(int code);

#endif
