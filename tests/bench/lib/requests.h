/*
 * requests: Kafka requests that are made beforehand, and what their answers say. For bench_kafka. An error ends the program.
 */
#ifndef LEAT_TESTS_BENCH_REQUESTS_H
#define LEAT_TESTS_BENCH_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "record/record.h"

struct made_request {
    uint8_t *bytes; /* with its length; mem_free */
    size_t n;
};

/* What is in a batch: so many records of so many bytes as fit into batch_bytes, before they are compressed. */
struct batch_shape {
    enum codec codec;
    size_t batch_bytes, record_bytes;
};

/* Produce 9 with acks=all, a batch into each of `partitions`: an array of them. *records: of a batch. */
struct made_request *requests_produce(const char *topic, int32_t partitions, const struct batch_shape *shape,
                                      int32_t *records);
struct made_request request_fetch(const char *topic, int32_t partition, int64_t offset, size_t max_bytes);
/* ListOffsets 6: where the partition begins. */
struct made_request request_earliest(const char *topic, int32_t partition);
/* OffsetCommit 8 of one partition by each of `groups` groups without members: an array of them. */
struct made_request *requests_commit(const char *topic, int32_t groups);

/* All: `frame` is an answer without its length; what is decoded goes into the arena, which is reset. */
void answer_check_produce(struct arena *a, const uint8_t *frame, size_t n);
void answer_check_commit(struct arena *a, const uint8_t *frame, size_t n);
int64_t answer_earliest(struct arena *a, const uint8_t *frame, size_t n);
/* Bytes of whole batches in the answer, and the offset behind them; 0: none. *next_offset -1: retention was faster. */
size_t answer_fetched(struct arena *a, const uint8_t *frame, size_t n, int64_t *next_offset);

#endif
