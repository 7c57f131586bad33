/*
 * kit/filer: the engine of every sink that writes files or objects. It takes records of topic-partitions,
 * finds each its directory (partitioner), encodes and compresses it into the open file of that directory,
 * decides when the open files of a topic-partition are complete (rotation), has the target complete them
 * together ("a round"), and knows the offset up to which everything is stored. The target only opens, writes,
 * completes and drops byte streams.
 *
 * With deterministic rotation and partitioning (filer_is_deterministic) a replay from a stored offset gives
 * the same files with the same names and bytes. Otherwise the target has to make rounds exact itself.
 *
 * Task thread only.
 */
#ifndef LEAT_KIT_FILER_H
#define LEAT_KIT_FILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kit/compress.h"
#include "kit/encode.h"
#include "kit/partitioner.h"
#include "kit/rotation.h"
#include "leat/plugin.h"

struct filer_file {
    const char *topic;
    int32_t partition;
    const char *encoded_partition;
    const char *extension; /* all of it: ".json.gz"; begins with the mark */
    const char *mark;      /* of the topic-partition, see filer_assign; "" for none */
    int64_t start_offset;  /* of its first record */
    int64_t time_ms;       /* of its first record, by the timestamp extractor */
    /* known at commit: */
    int64_t last_offset;
    int64_t records;
    uint64_t bytes_in, bytes_out; /* before and after compression */
};

struct filer_round {
    const char *topic;
    int32_t partition;
    int64_t next; /* everything below is in this round's files or in earlier ones, or was ignored */
    size_t count;
    const struct filer_file *const *files;
    void *const *handles; /* handles[i] is what open gave for files[i] */
};

struct filer_target {
    /* Begins a file that nobody sees yet. The file's name strings stay valid until commit or drop. */
    int (*open)(void *arg, const struct filer_file *f, void **handle, struct err *e);
    /* Bytes in order, in pieces of COMPRESS_BLOCK where there are as many. */
    int (*write)(void *arg, void *handle, const void *data, size_t n, struct err *e);
    /* Makes all files of the round durable and visible, and gives up their handles; on error drop is called
     * for each. */
    int (*commit)(void *arg, const struct filer_round *round, struct err *e);
    /* Forgets an unfinished file. Must not fail; may leave something that the next open of the sink cleans
     * up. */
    void (*drop)(void *arg, void *handle);
};

struct filer_config {
    struct encode_config encode;
    enum compress_codec codec;
    int level;
    struct partitioner_config partitioner;
    struct rotation_config rotation; /* its zone is set by filer_new */
    const char *schedule_timezone;   /* of rotate.schedule.interval.ms; NULL: UTC */
    const char *extension;           /* instead of format's and codec's; NULL: those */
    const char *tombstone_partition; /* not NULL: with nulls `write`, their keys go to this directory, ".keys"
                                        files */
    int64_t open_files_max;          /* of one topic-partition, partitioner.max.open.files; <= 0: no limit */
    int64_t open_files_task_max; /* of the task: past it the partition with most files completes them; <= 0:
                                    off */
    bool complete_on_stop;       /* a clean stop completes the open files instead of dropping them */
    int64_t (*now_ms)(void);     /* NULL: the wall clock */
};

struct filer;

/* Copies what it needs; `view`, `target` and `arg` must outlive it. ERR_INVALID_CONFIG. */
int filer_new(const struct filer_config *c, const struct record_view *view, const struct filer_target *target,
              void *arg, struct filer **out, struct err *e);
/* Drops every open file. */
void filer_free(struct filer *f);

/*
 * Begins a topic-partition. `next`: records below it are in files already and are skipped when they come
 * again (a recovered round ahead of the committed offset); -1: none.
 * `mark` (copied; "" for none, else begins with a dot) comes before the extension of each of its files. It keeps apart the
 * files of a topic that was deleted and made anew, whose offsets begin again, and those delivered before. A sink keeps
 * with its state, for each topic, the id (kit_topic_id) and the mark: no state, or an old one without id: mark ""; the same id: the
 * same mark; another id: kit_topic_mark of that, stored before the first file is. Rounds or objects noted under another id
 * say nothing on offsets of the new topic. connectors/file/sink_claims.c does it.
 */
int filer_assign(struct filer *f, const char *topic, int32_t partition, int64_t next, const char *mark,
                 struct err *e);

/* The topic's id by the host, NULL if the host is too old to tell or there is none. Valid as leat_host.topic_id. */
const char *kit_topic_id(const struct leat_host *h, struct leat_task *t, const char *topic);
#define KIT_MARK_SIZE 10 /* "." and 8 hexadecimal digits, with the NUL */
void kit_topic_mark(const char *id, char mark[KIT_MARK_SIZE]);

/* As leat_sink_ops.put: all records of one topic-partition, in offset order. After an error only filer_free
 * may follow. */
int filer_put(struct filer *f, const struct leat_record *records, size_t n, struct err *e);

/* As leat_sink_ops.flush: completes what is due by the wall clock (final: see complete_on_stop), reports what
 * is stored. */
int filer_flush(struct filer *f, bool final, struct leat_offset *assigned, size_t n, int64_t *next_ms,
                struct err *e);

bool filer_is_deterministic(const struct filer *f);
const char *filer_extension(const struct filer *f);   /* of format and codec, without a mark */
const struct zone *filer_zone(const struct filer *f); /* the partitioner's, for names with times */

struct filer_stats {
    uint64_t files, records, bytes_in, bytes_out; /* completed */
    size_t open;                                  /* files open now */
};
struct filer_stats filer_stats(const struct filer *f);

#endif
