/*
 * fuzz_segment: bytes from outside as a segment file. Bit 0 of the first byte opens it as after a clean stop, bit 1 makes
 * the batches' checksums right, bit 2 cleans it twice, as a compacted log; the second byte is the recovery point. Whatever stands there: the log opens, its readers
 * get whole batches in ascending order or an error, it takes an append, and opens again with that append in it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/clean.h"
#include "storage/log.h"
#include "tests/fuzz/fuzz.h"

static void write_segment(const uint8_t *data, size_t n, bool fix)
{
    struct err e = {0};
    char path[128];
    int fd;
    uint8_t *copy = mem_dup(data, n);
    require(copy && io_remove_tree(directory(), &e) == ERR_OK && io_mkdirs(directory(), 0700, &e) == ERR_OK);
    if (fix)
        fix_batch_checksums(copy, n);
    snprintf(path, sizeof path, "%s/00000000000000000000.log", directory());
    require(io_open(&fd, path, O_WRONLY | O_CREAT, 0600, &e) == ERR_OK);
    require(io_pwrite(fd, copy, n, 0, path, &e) == ERR_OK);
    io_close(fd);
    mem_free(copy);
}

static void read_all(struct log *log)
{
    struct err e = {0};
    int64_t next = log_start_offset(log), end = log_end_offset(log), offset, ts;
    while (next < end) {
        struct log_range r;
        if (log_locate(log, next, 1000, READ_UNCOMMITTED, &r, &e) != ERR_OK || r.bytes == 0)
            break;
        require(r.next_offset > next && r.next_offset <= end && r.base_offset < r.next_offset);
        next = r.next_offset;
        log_range_release(&r);
    }
    (void)log_offset_for_time(log, 1700000000000, &offset, &ts, &e);
    (void)log_max_timestamp(log, &offset, &ts, &e);
    struct aborted_txn *list;
    size_t count;
    if (log_aborted(log, 0, INT64_MAX, &list, &count, &e) == ERR_OK)
        mem_free(list);
}

static int append_one(struct log *log)
{
    struct err e = {0};
    struct log_appended out;
    struct log_append_args args = {
        .origin = LOG_FROM_CLIENT,
        .max_message_bytes = 1 << 20,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = INT64_MAX,
    };
    struct batch_options o = {.level = CODEC_LEVEL_DEFAULT};
    struct batch_builder *b = batch_builder_new(&o, &e);
    uint8_t *batch;
    size_t n;
    require(b && batch_builder_add(b, 1700000000000, "k", 1, "v", 1, NULL, 0, &e) == ERR_OK);
    require(batch_builder_finish(b, &BATCH_NO_PRODUCER, &batch, &n, &e) == ERR_OK);
    int rc = log_append(log, batch, n, &args, &out, &e);
    batch_builder_free(b);
    return rc;
}

/* A pass is made or refused; what is left can be read in any case, and the log has the same end. */
static void clean(struct log *log)
{
    struct err e = {0};
    struct clean_look look;
    struct clean_result out;
    struct cleaner *c = cleaner_new(&(struct cleaner_options){.map_bytes = 4096}, &e);
    require(c && log_roll(log, true, &e) == ERR_OK && log_flush(log, &e) == ERR_OK);
    int64_t end = log_end_offset(log), now = 1800000000000, at = 0;
    for (int i = 0; i < 2; i++, now += 200000000) {
        require(log_clean_look(log, i ? 0 : at, now, INT64_MAX, &look, &e) == ERR_OK);
        struct clean_args args = {look.first_dirty, look.first_uncleanable, now};
        if (log_clean(log, c, &args, &out, &e) == ERR_OK)
            require(out.end >= look.first_dirty && out.end <= look.first_uncleanable);
        else
            require(!e.fatal && out.end == look.first_dirty);
        at = out.end;
        require(log_end_offset(log) == end);
        read_all(log);
    }
    cleaner_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err e = {0};
    struct log *log;
    struct log_recovery report;
    if (n < 2 || n > 65536)
        return 0;
    write_segment(data + 2, n - 2, data[0] & 2);
    struct log_open_args a = {
        .dir = directory(), .name = "fuzz-0", .config = log_config_default(), .durable_end = -1};
    a.config.index_interval_bytes = 100;
    a.config.segment_bytes = INT32_MAX;
    a.clean = data[0] & 1;
    a.recovery_point = data[1];
    require(log_open(&log, &a, &report, &e) == ERR_OK);
    log_set_high_watermark(log, INT64_MAX);
    read_all(log);
    if (data[0] & 4)
        clean(log);
    int appended = append_one(log);
    int64_t end = log_end_offset(log);
    require(log_close(log, true, &e) == ERR_OK);
    a.clean = true;
    a.recovery_point = end;
    require(log_open(&log, &a, &report, &e) == ERR_OK);
    require(appended != ERR_OK || log_end_offset(log) == end);
    require(log_close(log, false, &e) == ERR_OK);
    require(io_remove_tree(directory(), &e) == ERR_OK);
    return 0;
}
