/*
 * s3_target_internal: what s3_target.c (files and their part buffers) and s3_upload.c (what is on its way) share.
 *
 * While parts of a file are on their way, the file's object is the uploader's, its part buffer the task's. A round takes its
 * files along.
 */
#ifndef LEAT_S3_TARGET_INTERNAL_H
#define LEAT_S3_TARGET_INTERNAL_H

#include "s3_object.h"
#include "s3_target.h"
#include "s3_uploader.h"

struct s3_file {
    struct s3_file *next;
    struct s3_object object;
    struct buf part;
    bool in_parts; /* at least one part was handed over */
};

/* A part, or a round with its files. */
struct upload {
    struct s3_job job;
    struct upload *next;
    struct s3_target *target;
    struct s3_file *file; /* of a part; NULL: a round */
    struct buf data;
    char *topic;
    int32_t partition;
    int64_t end;    /* what is stored with this round */
    int64_t before; /* what was stored with the round before, while both were on their way; -1: not known */
    size_t count;
    struct s3_file *files[];
};

struct s3_target {
    struct s3_target_config config;
    struct s3_uploader *uploader;
    struct upload *uploads, **uploads_end; /* on their way, the oldest first */
    struct err failed;                     /* of the first that did: nothing goes on */
    struct s3_file *files;                 /* open */
    struct s3_file *unfinished;            /* of failed rounds: to be aborted */
    struct buf spare; /* a part buffer out of use, so that its memory is touched once only */
    size_t memory;    /* capacity of all part buffers and the spare one */
    size_t part_size;
    uint64_t objects;
    bool final; /* see s3_target_finish */
    bool conditional;
};

/* ---- buffers (s3_target.c) */

/* Gives back the part's memory, or keeps it as the spare one. */
void target_release_part(struct s3_target *t, struct buf *part);
void target_free_file(struct s3_target *t, struct s3_file *f);

/* ---- uploads (s3_upload.c) */

/* Takes back what is over. The error of what failed. */
int target_reclaim(struct s3_target *t, struct err *e);
/* Waits for the oldest upload, and takes back. */
int target_wait_for_one(struct s3_target *t, struct err *e);
/* The part goes up; the file goes on with an empty one. */
int target_hand_over_part(struct s3_target *t, struct s3_file *f, struct err *e);
void target_unlink_file(struct s3_target *t, const struct s3_file *f); /* it is not open any more */
/* The round's files go up and become visible. On success they are not open any more. */
int target_hand_over_round(struct s3_target *t, const struct filer_round *round, struct err *e);

#endif
