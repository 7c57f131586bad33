/*
 * check_snapshot: producer snapshots against the producers that the batches tell of. See check_internal.h.
 */
#include "storage/check_internal.h"

#include <inttypes.h>

#include "base/io.h"
#include "base/mem.h"
#include "storage/log_internal.h"
#include "storage/producers_internal.h"

static int read_snapshot(const struct partition_check *p, int64_t offset, struct producers *into, char *path,
                         struct err *e)
{
    char *data;
    size_t n;
    int rc = io_read_file(storage_path(path, p->args->dir, offset, SNAPSHOT_SUFFIX, ""), SNAPSHOT_MAX, &data,
                          &n, e);
    if (rc)
        return rc;
    rc = producers_decode(into, data, n, path, e);
    mem_free(data);
    return rc;
}

static bool same(const struct producer *a, const struct producer_info *b)
{
    const struct producer_batch *last = a->count ? &a->batches[a->count - 1] : NULL;
    return a->epoch == b->epoch && (last ? last->last_sequence : -1) == b->last_sequence &&
           (last ? last->last_offset : -1) == b->last_offset;
}

/*
 * Producers that expired, or whose batches retention took, are in one of the two only; where both know one they must
 * agree, and the snapshot must have every open transaction.
 */
static int compare(struct partition_check *p, const struct producers *snapshot, const char *path,
                   struct err *e)
{
    struct producer_info *list;
    size_t n;
    int rc = producers_list(snapshot, &list, &n, e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        const struct producer *ours = producers_find(p->producers, list[i].id);
        struct check_finding f = {CHECK_BAD_SNAPSHOT, p->args->name, path, -1, list[i].last_offset, -1, NULL};
        if (ours && !same(ours, &list[i]))
            rc = check_tell(p->c, f, e, "producer %" PRId64 " is not as the batches tell", list[i].id);
        else if (!ours && list[i].last_offset >= p->out->start)
            rc = check_tell(p->c, f, e, "producer %" PRId64 " wrote no batch that is here", list[i].id);
    }
    mem_free(list);
    if (rc == ERR_OK && producers_first_unstable(p->producers) != producers_first_unstable(snapshot)) {
        struct check_finding f = {CHECK_BAD_SNAPSHOT, p->args->name, path, -1, -1, -1, NULL};
        rc =
            check_tell(p->c, f, e, "first open transaction at offset %" PRId64 ", by the batches at %" PRId64,
                       producers_first_unstable(snapshot), producers_first_unstable(p->producers));
    }
    return rc;
}

/*
 * `known`: the batches below it were all read. Where some are missing, as a compaction leaves it, they tell less than the
 * snapshot, which was made before.
 */
static int check_snapshot(struct partition_check *p, int64_t offset, bool known, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    struct err why;
    struct producers *snapshot = producers_new();
    if (!snapshot)
        return err_nomem(e);
    int rc = read_snapshot(p, offset, snapshot, path, &why);
    bool unsynced = !p->args->clean && offset > p->args->recovery_point;
    struct check_finding f = {CHECK_BAD_SNAPSHOT, p->args->name, path, -1, offset, -1, NULL};
    if (rc == ERR_NO_MEMORY)
        rc = err_nomem(e);
    else if (unsynced)
        rc = ERR_OK; /* the next start removes it */
    else if (rc)
        rc = check_tell(p->c, f, e, "%s", why.text);
    else if (known && !p->uncertain && p->out->gaps_end == 0)
        rc = compare(p, snapshot, path, e);
    else if (!known)
        rc = check_tell(p->c, f, e, "tells of offset %" PRId64 ", the log ends at %" PRId64, offset,
                        p->out->end);
    producers_free(snapshot);
    return rc;
}

int check_snapshots_to(struct partition_check *p, int64_t offset, struct err *e)
{
    int rc = ERR_OK;
    while (rc == ERR_OK && p->snapshot_at < p->snapshot_count && p->snapshots[p->snapshot_at] <= offset)
        rc = check_snapshot(p, p->snapshots[p->snapshot_at++], true, e);
    return rc;
}

int check_last_snapshots(struct partition_check *p, struct err *e)
{
    int rc = check_snapshots_to(p, p->expected, e);
    while (rc == ERR_OK && !p->stopped && p->snapshot_at < p->snapshot_count)
        rc = check_snapshot(p, p->snapshots[p->snapshot_at++], false, e);
    return rc;
}

int check_first_snapshot(struct partition_check *p, int64_t base, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    struct err why;
    int rc = read_snapshot(p, base, p->producers, path, &why);
    if (rc == ERR_NO_MEMORY)
        return err_nomem(e);
    p->uncertain = rc != ERR_OK; /* missing or broken: told when its turn comes */
    while (p->snapshot_at < p->snapshot_count && p->snapshots[p->snapshot_at] < base)
        p->snapshot_at++; /* older than the log: nobody reads them */
    return ERR_OK;
}
