/*
 * group: appends to several partitions that become durable and visible together, and the single append, which is a
 * group of one. The one place where logs are appended to.
 */
#ifndef LEAT_BROKER_GROUP_H
#define LEAT_BROKER_GROUP_H

#include "broker/commit.h"
#include "broker/topic.h"

struct append {
    struct commit_item item; /* item.p is set by the caller and held; a staged append takes the hold over */
    void *data;              /* whole batches, changed in place */
    size_t bytes;
    enum log_origin origin;
    bool from_zero;              /* see log_append_args */
    bool journal;                /* room in the journal was reserved for it: append_prepare */
    void *owner;                 /* the caller's */
    struct log_refused *refused; /* may be NULL; see log_append_args */
    int64_t old_end;
    bool staged; /* out: its completion comes through the op */
    bool flush;  /* out: group_flush has something to look at; held once more until then */
    struct log_appended appended;
};

/* Fills in what to append where, and answers what to reserve for it: nothing if the topic is not journaled. */
size_t append_prepare(struct append *a, struct partition *p, void *data, size_t bytes,
                      enum log_origin origin);

/* How batches that this process built itself are appended: by header only, unless a setting needs every record. */
enum log_origin append_origin_built_here(const struct partition *p);

/*
 * Appends all or none, to partitions of one disk, and stages them for its commit stage as one record. `reserved` is used up on success and given
 * back on an error. Appends that need no journal are completed at once. `op->left` grows by one for each staged append
 * before anything can complete. After an error the holds are still the caller's; after success none is.
 */
int group_append(struct broker *b, struct append *appends, size_t n, size_t reserved, struct commit_op *op,
                 struct err *e);

/*
 * flush.messages, for the page-cache topics in a group that was staged: to be called after group_append, before the caller
 * gives its own part of the op back, holding nothing. Waits for syncs.
 */
int group_flush(struct broker *b, struct append *appends, size_t n, struct err *e);

/*
 * A place in the order of the partition's commit stage: all that was appended to the partition so far, and staged on its
 * disk, is done with when this part of `op` is. `item` must stay until then. A partition that is not open has nothing.
 */
int group_barrier(struct partition *p, struct commit_item *item, struct commit_op *op, struct err *e);

#endif
