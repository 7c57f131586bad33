/*
 * bugs: what the linker can plant in the store besides a sync left out: these functions stand before its own ones of the
 * same names (tests/power/wrap), and do what a mistake would.
 */
#include "broker/checkpoint.h"
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

int __real_log_restore(const char *dir, int64_t segment_base, int64_t position, const void *data, size_t n,
                       bool *changed, struct err *e);
int __wrap_log_restore(const char *dir, int64_t segment_base, int64_t position, const void *data, size_t n,
                       bool *changed, struct err *e);
int __wrap_log_restore(const char *dir, int64_t segment_base, int64_t position, const void *data, size_t n,
                       bool *changed, struct err *e)
{
    static unsigned calls;
    *changed = false;
    return planted == PLANT_NO_RESTORE && ++calls % 8 == 0
               ? ERR_OK
               : __real_log_restore(dir, segment_base, position, data, n, changed, e);
}
