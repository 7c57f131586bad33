/*
 * check: looks at everything in a partition's directory, or in the journal's, and tells what is wrong, where, and what it
 * means. Reads only; never needs the log to be open. `leat fsck` and `leat log dump --verify` stand on it, and Kafka's own
 * directories can be checked as well as ours.
 *
 * One thread a check. What may change meanwhile (a hub at work) makes findings at the end of a log meaningless; below the
 * recovery point they hold.
 */
#ifndef LEAT_STORAGE_CHECK_H
#define LEAT_STORAGE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"

enum check_severity {
    CHECK_NOTE,    /* nothing is lost and nothing needs to be done */
    CHECK_WARNING, /* something derived is wrong; it can be made anew */
    CHECK_ERROR,   /* records, or what was known of them, are damaged or lost */
};

/* Which kind of repair mends it (leat fsck --repair). */
enum check_repair {
    REPAIR_NONE,
    REPAIR_INDEXES,
    REPAIR_SNAPSHOTS,
    REPAIR_LEFTOVERS,
    REPAIR_TAIL,
    REPAIR_DAMAGE,
    REPAIR_JOURNAL,
    REPAIR_KINDS,
};

/* kind, name, severity, repair, what it means. docs/operations.md has a section for each name. */
#define CHECK_KINDS(X)                                                                                       \
    X(DAMAGED_BATCH, "damaged-batch", ERROR, DAMAGE,                                                         \
      "bytes on disk are not what was written; reads of these offsets fail, what stands behind can be read") \
    X(WRONG_OFFSET, "wrong-offset", ERROR, DAMAGE,                                                           \
      "the batch is whole, but its offset does not fit those around it")                                     \
    X(WRONG_EPOCH, "wrong-epoch", WARNING, NONE,                                                             \
      "the batch is whole, but its leader epoch does not fit those around it; records are served")           \
    X(BAD_RECORDS, "bad-records", ERROR, DAMAGE,                                                             \
      "the checksum is right, but the records cannot be decoded: they were written so")                      \
    X(TORN_TAIL, "torn-tail", ERROR, TAIL,                                                                   \
      "the log ends inside a batch although it was stopped cleanly: its end was lost")                       \
    X(UNSYNCED_TAIL, "unsynced-tail", NOTE, NONE,                                                            \
      "after a crash, at the end of what was not known to be synced: the next start puts back what the "     \
      "journal has and cuts the rest, which was never acknowledged")                                         \
    X(SEGMENT_GAP, "segment-gap", NOTE, NONE,                                                                \
      "offsets between two segments have no records: compaction, or a segment that was set aside")           \
    X(MISSING_SEGMENT, "missing-segment", ERROR, NONE,                                                       \
      "offsets have no segment although the topic is not compacted: a file is gone, and its records with "   \
      "it")                                                                                                  \
    X(MISSING_INDEX, "missing-index", NOTE, NONE, "an index is missing; it is made anew when it is needed")  \
    X(BAD_INDEX, "bad-index", WARNING, INDEXES,                                                              \
      "the offset index does not fit the batches; reads check it and are only slower")                       \
    X(BAD_TIME_INDEX, "bad-time-index", WARNING, INDEXES,                                                    \
      "the time index does not fit the batches; looking up offsets by time may answer wrong")                \
    X(BAD_TXN_INDEX, "bad-txn-index", ERROR, INDEXES,                                                        \
      "the index of aborted transactions does not fit the batches; read_committed readers could see "        \
      "aborted records, or miss committed ones")                                                             \
    X(BAD_SNAPSHOT, "bad-snapshot", WARNING, SNAPSHOTS,                                                      \
      "a snapshot of the producers cannot be read or does not fit the batches")                              \
    X(BAD_EPOCHS, "bad-epochs", WARNING, NONE,                                                               \
      "leader-epoch-checkpoint cannot be read or does not fit the batches; it is made anew as they are "     \
      "read")                                                                                                \
    X(BAD_PARTITION_METADATA, "bad-partition-metadata", ERROR, NONE,                                         \
      "partition.metadata is damaged or names another topic; the partition cannot be opened")                \
    X(INTERRUPTED_COMPACTION, "interrupted-compaction", NOTE, NONE,                                          \
      "a compaction was interrupted; the next start finishes it")                                            \
    X(LEFTOVER, "leftover", NOTE, LEFTOVERS,                                                                 \
      "on its way out when the process ended; removed by the next start")                                    \
    X(FOREIGN_FILE, "foreign-file", NOTE, NONE, "nothing that belongs here; it is left alone")               \
    X(EMPTY_SEGMENT, "empty-segment", NOTE, NONE, "a segment without a batch that is not the last one")      \
    X(UNREADABLE, "unreadable", ERROR, NONE, "the operating system cannot read it: look at the disk")        \
    X(BAD_JOURNAL, "bad-journal", ERROR, JOURNAL,                                                            \
      "the journal is damaged before its end: acknowledged appends may be missing from it; the start fails") \
    X(TORN_JOURNAL, "torn-journal", NOTE, NONE,                                                              \
      "the journal's last record is not whole: it was being written and never acknowledged")                 \
    X(BAD_META_PROPERTIES, "bad-meta-properties", ERROR, NONE,                                               \
      "meta.properties is missing or names no cluster.id and directory.id; the directory cannot be opened")  \
    X(BAD_TOPIC_METADATA, "bad-topic-metadata", ERROR, NONE,                                                 \
      "a record of __cluster_metadata cannot be read: topics or settings are unknown, and the start fails")  \
    X(BAD_CHECKPOINT, "bad-checkpoint", WARNING, NONE,                                                       \
      "a checkpoint file is missing or damaged; the next start reads everything again and keeps every "      \
      "whole batch")                                                                                         \
    X(CHECKPOINT_BEYOND_END, "checkpoint-beyond-end", ERROR, NONE,                                           \
      "a checkpoint names an offset behind the end of the log: what stood there, and was synced, is gone")   \
    X(REFERENCE_BEYOND_END, "reference-beyond-end", ERROR, NONE,                                             \
      "the journal refers to appends behind the end of the log: they were synced there, and are gone")       \
    X(MISSING_PARTITION, "missing-partition", ERROR, NONE,                                                   \
      "the partition had records, and its directory is gone")                                                \
    X(MISSING_DIRECTORY, "missing-directory", ERROR, NONE,                                                   \
      "a further data directory is listed and is not there: is its disk mounted?")                           \
    X(STRAY_DIRECTORY, "stray-directory", NOTE, NONE,                                                        \
      "a partition of no known topic; the next start sets it aside as ...-stray")

enum check_kind {
#define X(kind, name, severity, repair, meaning) CHECK_##kind,
    CHECK_KINDS(X)
#undef X
        CHECK_KIND_COUNT
};

const char *check_kind_name(enum check_kind k);    /* "damaged-batch" */
const char *check_kind_meaning(enum check_kind k); /* one sentence */
enum check_severity check_kind_severity(enum check_kind k);
enum check_repair check_kind_repair(enum check_kind k);
const char *check_severity_name(enum check_severity s);          /* note, warning, error */
const char *check_repair_name(enum check_repair r);              /* "none", "indexes", ... */
bool check_repair_parse(const char *name, enum check_repair *r); /* not "none" */

struct check_finding {
    enum check_kind kind;
    const char *partition; /* "<topic>-<partition>", or NULL */
    const char *path;      /* file or directory */
    int64_t byte;          /* in the file; -1: the whole of it */
    int64_t offset;        /* first one concerned; -1: none */
    int64_t next_offset;   /* first one behind what is lost; -1: nothing is lost, or unknown */
    const char *text;      /* what was found, one line */
};

struct check {
    /* Called for every finding; what it points to is valid during the call. Non-zero ends the check with that code. */
    int (*found)(void *arg, const struct check_finding *f, struct err *e);
    /* Called after every MiB read; may be NULL. Non-zero ends the check. */
    int (*progress)(void *arg, uint64_t bytes, struct err *e);
    void *arg;
    void *progress_arg; /* for `progress`; NULL: `arg` */
    uint64_t bytes;     /* read so far, of batches */
    uint64_t told;      /* of which `progress` was told; its own */
};

/* Fills in a finding from printf-like arguments and gives it out. */
int check_tell(struct check *c, struct check_finding f, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

struct check_partition_args {
    const char *dir;
    const char *name;       /* "<topic>-<partition>" */
    struct uuid topic_id;   /* zero: any */
    bool clean;             /* the directory was stopped cleanly */
    int64_t recovery_point; /* what lies beyond may be torn if it was not; -1: unknown, everything may */
    bool gaps;              /* offsets may be missing: compaction, or a repair */
    int64_t log_start;      /* what lies below is gone for readers; 0: nothing */
    bool cold;    /* read sealed segments from the disk and leave nothing of them in the page cache */
    bool records; /* walk the records too, not only check CRCs */
};
struct check_partition_result {
    int64_t start, end; /* base of the first segment, end of the last good batch */
    /* Where that one is: its segment's base, the byte in it; -1: there is none. */
    int64_t last_segment, last_byte;
    /* Behind the last offsets that are in no batch: of compaction, of a repair, or of a file that is gone; 0: none are. */
    int64_t gaps_end;
    uint64_t batches, records;
    int segments;
};
/* Everything in one partition's directory. Errors are those of memory, of the callbacks, and a directory that is not there. */
int check_partition(struct check *c, const struct check_partition_args *args,
                    struct check_partition_result *out, struct err *e);

/* ---- the journal: journal_inspect.c ---- */

struct journal_entry;
struct journal_sight {
    const char *path;
    int64_t byte; /* of the record; 0: the file's first block */
    uint64_t file_sequence, record_sequence, released, first_record;
    uint32_t entries, payload;
    int64_t file_bytes;
    bool live; /* the next start reads it */
};
/* What a walk over the journal's files shows; each may be NULL. Files come in the order of their numbers. */
struct journal_visitor {
    int (*file)(void *arg, const struct journal_sight *s, struct err *e);
    int (*record)(void *arg, const struct journal_sight *s, struct err *e);
    int (*entry)(void *arg, const struct journal_sight *s, const struct journal_entry *en, struct err *e);
    void *arg;
};
/*
 * Walks the journal in `dir` as replay would, without changing it; what is damaged is told to `c` (may be NULL) and passed
 * over. `*live`: records that the next start would replay. A missing directory is fine.
 */
int journal_inspect(const char *dir, struct check *c, const struct journal_visitor *v, uint64_t *live,
                    struct err *e);

#endif
