/*
 * bugs: what the linker can plant in the store besides a sync left out: these functions stand before its own ones of the
 * same names (tests/power/wrap), and do what a mistake would.
 */
#include "broker/checkpoint.h"
#include "storage/clean_internal.h"
#include "storage/journal_internal.h"
#include "storage/log.h"
#include "tests/power/plants.h"

static enum plant_bug planted;

void bugs_plant(enum plant_bug bug)
{
    planted = bug;
}

int __real_journal_write(struct journal *j, struct err *e);
int __wrap_journal_write(struct journal *j, struct err *e);
int __wrap_journal_write(struct journal *j, struct err *e)
{
    static unsigned calls;
    return planted == PLANT_EARLY_WATERMARK && ++calls % 4 == 0 ? ERR_OK : __real_journal_write(j, e);
}

int __real_partition_flush(struct partition *p, struct err *e);
int __wrap_partition_flush(struct partition *p, struct err *e);
int __wrap_partition_flush(struct partition *p, struct err *e)
{
    return planted == PLANT_NO_FLUSH ? ERR_OK : __real_partition_flush(p, e);
}

int __real_log_flush_synced(struct log *log, uint64_t device, struct err *e);
int __wrap_log_flush_synced(struct log *log, uint64_t device, struct err *e);
int __wrap_log_flush_synced(struct log *log, uint64_t device, struct err *e)
{
    if (planted == PLANT_NO_FLUSH)
        return ERR_OK;
    if (planted == PLANT_LATE_MARK && log_mark_for_sync(log, e))
        return e->code;
    return __real_log_flush_synced(log, device, e);
}

bool __real_journal_record_valid(const uint8_t *record, const struct journal_record *r);
bool __wrap_journal_record_valid(const uint8_t *record, const struct journal_record *r);
bool __wrap_journal_record_valid(const uint8_t *record, const struct journal_record *r)
{
    return planted == PLANT_NO_CRC || __real_journal_record_valid(record, r);
}

int __real_log_open(struct log **out, const struct log_open_args *args, struct log_recovery *report,
                    struct err *e);
int __wrap_log_open(struct log **out, const struct log_open_args *args, struct log_recovery *report,
                    struct err *e);
int __wrap_log_open(struct log **out, const struct log_open_args *args, struct log_recovery *report,
                    struct err *e)
{
    struct log_open_args changed = *args;
    if (planted == PLANT_NO_CUT)
        changed.durable_end = -1;
    if (planted == PLANT_ALWAYS_CLEAN)
        changed.clean = true;
    return __real_log_open(out, &changed, report, e);
}

int __real_log_restore(int *fd, const char *dir, int64_t segment_base, int64_t position, const void *data,
                       size_t n, struct err *e);
int __wrap_log_restore(int *fd, const char *dir, int64_t segment_base, int64_t position, const void *data,
                       size_t n, struct err *e);
int __wrap_log_restore(int *fd, const char *dir, int64_t segment_base, int64_t position, const void *data,
                       size_t n, struct err *e)
{
    static unsigned calls;
    return planted == PLANT_NO_RESTORE && ++calls % 8 == 0
               ? ERR_OK
               : __real_log_restore(fd, dir, segment_base, position, data, n, e);
}

int __real_log_sync_appends(struct log *log, struct err *e);
int __wrap_log_sync_appends(struct log *log, struct err *e);
int __wrap_log_sync_appends(struct log *log, struct err *e)
{
    return planted == PLANT_NO_DIRECT_SYNC ? ERR_OK : __real_log_sync_appends(log, e);
}

void __real_journal_drop(struct journal *j, const struct uuid *topic_id, int32_t partition);
void __wrap_journal_drop(struct journal *j, const struct uuid *topic_id, int32_t partition);
void __wrap_journal_drop(struct journal *j, const struct uuid *topic_id, int32_t partition)
{
    if (planted != PLANT_TORN_STAYS)
        __real_journal_drop(j, topic_id, partition);
}

int __real_log_clean_look(struct log *log, int64_t checkpoint, int64_t now_ms, int64_t below,
                          struct clean_look *out, struct err *e);
int __wrap_log_clean_look(struct log *log, int64_t checkpoint, int64_t now_ms, int64_t below,
                          struct clean_look *out, struct err *e);
int __wrap_log_clean_look(struct log *log, int64_t checkpoint, int64_t now_ms, int64_t below,
                          struct clean_look *out, struct err *e)
{
    int rc = __real_log_clean_look(log, checkpoint, now_ms, below, out, e);
    if (planted == PLANT_CLEANED_ONCE && checkpoint > 0)
        out->cleanable_bytes = 0;
    return rc;
}

int64_t __real_clean_map_get(const struct clean_map *m, const void *key, size_t n);
int64_t __wrap_clean_map_get(const struct clean_map *m, const void *key, size_t n);
int64_t __wrap_clean_map_get(const struct clean_map *m, const void *key, size_t n)
{
    static unsigned calls;
    if (planted == PLANT_LAST_VALUE_GOES && ++calls % 64 == 0)
        return INT64_MAX;
    if (planted == PLANT_SUPERSEDED_STAYS && ++calls % 64 == 0)
        return -1;
    return __real_clean_map_get(m, key, n);
}

static bool building; /* the map; else the log is copied */

int __real_clean_build_map(struct clean_pass *p, struct err *e);
int __wrap_clean_build_map(struct clean_pass *p, struct err *e);
int __wrap_clean_build_map(struct clean_pass *p, struct err *e)
{
    building = true;
    int rc = __real_clean_build_map(p, e);
    building = false;
    return rc;
}

int __real_clean_txns_data(struct clean_txns *t, const struct batch_header *h, bool *aborted, struct err *e);
int __wrap_clean_txns_data(struct clean_txns *t, const struct batch_header *h, bool *aborted, struct err *e);
int __wrap_clean_txns_data(struct clean_txns *t, const struct batch_header *h, bool *aborted, struct err *e)
{
    int rc = __real_clean_txns_data(t, h, aborted, e);
    if (planted == PLANT_ABORTED_COUNTS || (planted == PLANT_ABORTED_STAYS && !building))
        *aborted = false;
    return rc;
}

int __real_clean_txns_marker(struct clean_txns *t, const struct batch_header *h, const void *data,
                             struct segment *index, bool *unneeded, struct err *e);
int __wrap_clean_txns_marker(struct clean_txns *t, const struct batch_header *h, const void *data,
                             struct segment *index, bool *unneeded, struct err *e);
int __wrap_clean_txns_marker(struct clean_txns *t, const struct batch_header *h, const void *data,
                             struct segment *index, bool *unneeded, struct err *e)
{
    int rc = __real_clean_txns_marker(t, h, data, index, unneeded, e);
    if (planted == PLANT_MARKERS_STAY)
        *unneeded = false;
    return rc;
}

void __real_batch_rewriter_begin(struct batch_rewriter *w, const struct batch_header *of, int64_t horizon_ms);
void __wrap_batch_rewriter_begin(struct batch_rewriter *w, const struct batch_header *of, int64_t horizon_ms);
void __wrap_batch_rewriter_begin(struct batch_rewriter *w, const struct batch_header *of, int64_t horizon_ms)
{
    if (planted == PLANT_TOMBSTONES_AT_ONCE && horizon_ms > 0)
        horizon_ms = 0;
    if (planted == PLANT_TOMBSTONES_STAY && horizon_ms > 0)
        horizon_ms += 86400000;
    __real_batch_rewriter_begin(w, of, horizon_ms);
}
