/*
 * kafka_dir: bringing topics in from the log directories of an Apache Kafka broker, and out to one: `leat kafka import` and
 * `leat kafka export`. Segment files are the same on both sides and are copied; what differs is where topics are recorded
 * (docs/kafka.md). The side that is read is never changed. One thread; nobody has either side open.
 */
#ifndef LEAT_BROKER_KAFKA_DIR_H
#define LEAT_BROKER_KAFKA_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "storage/check.h"

struct kafka_copy_report {
    uint64_t topics, partitions, records, bytes;
    bool clean; /* import: the broker had been stopped cleanly */
};

struct kafka_import_options {
    const char *const *from; /* the broker's log.dirs, all of them */
    size_t from_count;
    const char *data_dir; /* made; must not be there yet, or be empty */
    /* What was found damaged in the source: then nothing is imported. */
    int (*found)(void *arg, const struct check_finding *f, struct err *e);
    /* What cannot be taken over as it is: settings. */
    int (*note)(void *arg, const char *text, struct err *e);
    void *arg;
};

/*
 * Every batch is read and checked before it is copied. ERR_CORRUPT: there are findings. ERR_BUSY: the broker runs.
 * ERR_INVALID: no KRaft metadata, or partitions that are in none of the directories. The data directory counts as one only
 * when everything is in it.
 */
int kafka_import(const struct kafka_import_options *o, struct kafka_copy_report *r, struct err *e);

struct kafka_export_options {
    const char *data_dir;
    const char *to; /* a log directory that Kafka's storage tool has formatted and no broker has used */
    int (*note)(void *arg, const char *text, struct err *e);
    void *arg;
};

/* Copies every topic, with offsets of groups and states of transactions; the new broker knows them from its first start. */
int kafka_export(const struct kafka_export_options *o, struct kafka_copy_report *r, struct err *e);

/* ---- what the two share ---- */

/* A property's value from the text of a properties file (mem_free); NULL in *out if it is not there. */
int kafka_property(const char *text, const char *key, char **out, struct err *e);
/* ERR_BUSY if a Java process holds `<dir>/.lock`. */
int kafka_check_unlocked(const char *dir, struct err *e);
/*
 * Copies the files of one partition's directory, those that a start would remove left out, and those that `skip` has (paths; may
 * be NULL); synced. *bytes grows.
 */
int kafka_copy_partition(const char *from, const char *to, const struct map *skip, uint64_t *bytes,
                         struct err *e);
/* One checkpoint file in `to` from those of all the log directories. */
int kafka_merge_checkpoint(const char *const *dirs, size_t n, const char *name, const char *to,
                           struct err *e);
/* The partition's directory in the first of the log directories that has it (mem_free); NULL: none has. */
int kafka_find_partition(const char *const *dirs, size_t n, const char *name, char **dir, struct err *e);
/*
 * Metadata records as batches at the end of a buffer: `out`, `offset` and `epoch` are the caller's to set, the first record
 * gets `offset`, and it is the next free one at the end. kafka_records_end is to be called in any case, with the code so far.
 */
struct meta_record;
struct kafka_records {
    struct buf *out;
    int64_t offset;
    int32_t epoch;
    struct batch_builder *builder;
    struct buf frame;
    int64_t now;
};
int kafka_records_begin(struct kafka_records *w, struct err *e);
int kafka_records_put(struct kafka_records *w, const struct meta_record *r, struct err *e);
int kafka_records_end(struct kafka_records *w, int rc, struct err *e);

int kafka_tell(int (*note)(void *arg, const char *text, struct err *e), void *arg, struct err *e,
               const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
