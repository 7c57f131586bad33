/*
 * fsck: checks a data directory that nobody has opened, tells what is wrong, and mends it only when told. The work on one
 * partition is storage/check.h's; here is what belongs to the directory: identity, topics, checkpoints, journal, and names
 * that do not belong. One thread.
 */
#ifndef LEAT_BROKER_FSCK_H
#define LEAT_BROKER_FSCK_H

#include "storage/check.h"

struct fsck_options {
    const char *data_dir;
    bool records; /* walk the records of every batch too */
    /* Every finding as it is met; what it points to is valid during the call. */
    int (*found)(void *arg, const struct check_finding *f, struct err *e);
    /* Now and then; may be NULL. `partition` is what is being read, `total` about how many bytes there are (0: not known). */
    int (*progress)(void *arg, const char *partition, uint64_t bytes, uint64_t total, struct err *e);
    void *arg;
};

struct fsck_report {
    uint64_t findings[CHECK_ERROR + 1]; /* by severity */
    uint64_t topics, partitions, segments, batches, records, bytes;
    uint64_t journal_records; /* that the next start would replay */
    bool clean;               /* stopped cleanly */
};

/*
 * Checks everything; ERR_LOCKED if somebody has the directory open, ERR_NOT_FOUND if it is none. Findings are no error.
 * Nothing is changed but the pid in the lock file.
 */
int broker_fsck(const struct fsck_options *o, struct fsck_report *r, struct err *e);

struct fsck_repair_options {
    const char *data_dir;
    bool kinds[REPAIR_KINDS];
    bool segments; /* of damaged segments set the whole aside, instead of keeping what is good of them */
    bool dry_run;  /* only tell */
    /* Each step, before it is made. */
    int (*step)(void *arg, enum check_repair kind, const char *text, struct err *e);
    void *arg;
};

/*
 * Checks and mends what the kinds cover. Every step leaves the directory so that it can be opened or checked again; what is
 * taken out of a log goes to <data_dir>/set-aside. *left: errors and warnings that no step covers.
 */
int broker_fsck_repair(const struct fsck_repair_options *o, uint64_t *left, struct err *e);

#endif
