/*
 * dump: shows what is in the files of a store, ours or Kafka's, as lines of text or JSON: for `leat log dump`. Reads only, and
 * may run beside a hub at work; what is damaged is told and passed over. Text has the fields of Kafka's own dump-log, in its
 * order, and more behind them. One thread.
 */
#ifndef LEAT_BROKER_DUMP_H
#define LEAT_BROKER_DUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct dump_options {
    bool json;        /* one object a line */
    bool records;     /* the records of each batch, with keys, values and headers */
    bool verify;      /* only what is wrong; a partition's files are compared with each other */
    int64_t from, to; /* batches with offsets in [from, to) */
    /* A finished line, without its end. Non-zero ends the dump with that code. */
    int (*line)(void *arg, const char *text, size_t n, struct err *e);
    void *arg;
};

struct dump_report {
    uint64_t files, batches, records;
    uint64_t problems;
};

/*
 * One file, or every file in a directory and those below it, in the order of their names. A file is known by its name;
 * unknown ones are passed over in directories and are ERR_INVALID if named. Records of __cluster_metadata,
 * __consumer_offsets and __transaction_state are decoded, by the name of their directory.
 */
int dump_path(const struct dump_options *o, const char *path, struct dump_report *r, struct err *e);
/* Only the segments of one partition's directory. */
int dump_partition(const struct dump_options *o, const char *dir, struct dump_report *r, struct err *e);

/* The segments of a topic's partitions, or of one (-1: all), found in a data directory and those that it lists. */
int dump_topic(const struct dump_options *o, const char *data_dir, const char *topic, int32_t partition,
               struct dump_report *r, struct err *e);

#endif
