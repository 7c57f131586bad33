/*
 * fsck_internal: what the files of fsck share. See fsck.h.
 */
#ifndef LEAT_BROKER_FSCK_INTERNAL_H
#define LEAT_BROKER_FSCK_INTERNAL_H

#include "broker/fsck.h"
#include "broker/meta_image.h"
#include "storage/journal.h"

/* The last reference of a partition in the journal that a start would read. */
struct fsck_ref {
    int64_t end; /* all below it is synced in the segments */
    char *path;  /* the record: its file, */
    int64_t byte;
    bool met; /* the partition's directory is there */
};

struct fsck {
    const struct fsck_options *o;
    struct fsck_report *r;
    struct check check;
    const char *dir; /* the data directory at hand: the main one, then those that it lists */
    char *logs;      /* of it */
    bool clean;
    struct meta_image image;
    bool topics_known;           /* the image is complete */
    struct map *points, *starts; /* "<topic>-<partition>" -> int64_t, owned */
    bool points_bad;
    struct map *refs; /* topic id and partition -> struct fsck_ref, owned */
    struct map *seen; /* names of the partition directories that are there */
    const char *now;  /* what is being read */
    uint64_t total;   /* bytes that there are to read; 0: not known */
};

/* A finding that concerns a file or directory as a whole. */
int fsck_tell(struct fsck *x, enum check_kind kind, const char *partition, const char *path, const char *text,
              struct err *e);
bool fsck_has_suffix(const char *s, const char *suffix);

/* ---- fsck_refs.c ---- */

/* The journal itself; gathers x->refs. */
int fsck_check_journal(struct fsck *x, struct err *e);
void fsck_refs_free(struct fsck *x);
/* What the journal refers to of a partition whose directory is there; NULL: nothing. */
const struct fsck_ref *fsck_ref_of(const struct fsck *x, const struct uuid *topic_id, int32_t partition);
/* Does the log reach as far? */
int fsck_compare_ref(struct fsck *x, const struct fsck_ref *r, const char *dir, const char *name, int64_t end,
                     struct err *e);
/* After all directories were met: those that are not there. */
int fsck_check_refs(struct fsck *x, struct err *e);

/* fsck_logs.c: checks what is in x->logs. `main_dir`: the topics are described there. */
int fsck_check_logs(struct fsck *x, bool main_dir, struct err *e);
/* fsck_size.c: sets x->total, for progress. Nothing is told: what cannot be read now is met by the check. ERR_NO_MEMORY only. */
int fsck_measure(struct fsck *x, struct err *e);

#endif
