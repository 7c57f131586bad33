/*
 * kit: what the storage tests share: making batches, opening logs in private directories, walking what a log gives out.
 */
#ifndef LEAT_TESTS_STORAGE_KIT_H
#define LEAT_TESTS_STORAGE_KIT_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/testkit.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "record/record.h"
#include "storage/log.h"

#define EPOCH_MS INT64_C(1700000000000)

struct batch_spec {
    int records;       /* 0: 1 */
    int64_t timestamp; /* of the first record; 0: EPOCH_MS; each further one is 1 ms later */
    size_t value;      /* bytes of a value; 0: 100 */
    struct batch_producer producer;
    bool has_producer;
};

/* A batch with base offset 0; freed with mem_free. */
static inline uint8_t *make_batch(const struct batch_spec *spec, size_t *n)
{
    struct err e = {0};
    struct batch_options o = {.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT};
    struct batch_builder *b = batch_builder_new(&o, &e);
    assert_non_null(b);
    size_t size = spec->value ? spec->value : 100;
    char *value = malloc(size);
    assert_non_null(value);
    memset(value, 'v', size);
    for (int i = 0; i < (spec->records ? spec->records : 1); i++)
        assert_ok(batch_builder_add(b, (spec->timestamp ? spec->timestamp : EPOCH_MS) + i, "key", 3, value,
                                    size, NULL, 0, &e),
                  &e);
    uint8_t *data;
    struct batch_producer p = spec->has_producer ? spec->producer : BATCH_NO_PRODUCER;
    assert_ok(batch_builder_finish(b, &p, &data, n, &e), &e);
    uint8_t *copy = mem_dup(data, *n);
    assert_non_null(copy);
    batch_builder_free(b);
    free(value);
    return copy;
}

static inline struct log_append_args append_args(void)
{
    return (struct log_append_args){
        .origin = LOG_FROM_CLIENT,
        .now_ms = EPOCH_MS,
        .max_message_bytes = 1 << 20,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = INT64_MAX,
    };
}

static inline int try_append(struct log *log, const struct batch_spec *spec, struct log_appended *out,
                             struct err *e)
{
    size_t n;
    uint8_t *batch = make_batch(spec, &n);
    struct log_append_args args = append_args();
    int rc = log_append(log, batch, n, &args, out, e);
    mem_free(batch);
    return rc;
}

/* Appends one batch of `records` records; returns its base offset. */
static inline int64_t append(struct log *log, int records)
{
    struct err e = {0};
    struct log_appended out;
    assert_ok(try_append(log, &(struct batch_spec){.records = records}, &out, &e), &e);
    return out.base_offset;
}

static inline int try_marker_from(struct log *log, enum log_origin origin, int64_t id, int16_t epoch,
                                  int32_t coordinator_epoch, bool commit, struct log_appended *out,
                                  struct err *e)
{
    struct buf b;
    buf_init(&b, 4096);
    int rc = marker_build(&b, id, epoch, commit, coordinator_epoch, EPOCH_MS, e);
    struct log_append_args args = append_args();
    args.origin = origin;
    if (rc == ERR_OK)
        rc = log_append(log, b.data, b.len, &args, out, e);
    buf_free(&b);
    return rc;
}

static inline int try_marker(struct log *log, int64_t id, int16_t epoch, bool commit,
                             struct log_appended *out, struct err *e)
{
    return try_marker_from(log, LOG_FROM_COORDINATOR, id, epoch, 0, commit, out, e);
}

static inline struct log_open_args open_args(const char *dir)
{
    struct log_open_args a = {.dir = dir, .name = "t-0", .config = log_config_default(), .durable_end = -1};
    a.topic_id.b[0] = 7;
    return a;
}

static inline struct log *open_log(const struct log_open_args *a, struct log_recovery *report)
{
    struct log *log;
    struct err e = {0};
    assert_ok(log_open(&log, a, report, &e), &e);
    return log;
}

static inline void close_log(struct log *log, bool clean)
{
    struct err e = {0};
    assert_ok(log_close(log, clean, &e), &e);
}

/* What one walk over the log gives: offsets of batches in order, each checked. */
struct walked {
    int batches;
    int64_t first, next; /* first base offset, end; -1/from if nothing */
};

static inline int try_walk(struct log *log, int64_t from, size_t max_bytes, enum isolation isolation,
                           struct walked *w, struct err *e)
{
    *w = (struct walked){.first = -1, .next = from};
    for (;;) {
        struct log_range r;
        int rc = log_locate(log, w->next, max_bytes, isolation, &r, e);
        if (rc || r.bytes == 0) {
            log_range_release(&r);
            return rc;
        }
        uint8_t *data = malloc(r.bytes);
        assert_non_null(data);
        rc = log_range_read(&r, 0, data, r.bytes, e);
        for (size_t at = 0; rc == ERR_OK && at < r.bytes;) {
            struct batch_header h;
            assert_ok(batch_check(data + at, r.bytes - at, &h, e), e);
            assert_true(batch_last_offset(&h) >= w->next);
            if (w->first < 0)
                w->first = h.base_offset;
            w->batches++;
            w->next = batch_last_offset(&h) + 1;
            at += batch_size(&h);
        }
        if (rc == ERR_OK)
            assert_int_equal(w->next, r.next_offset);
        free(data);
        log_range_release(&r);
        if (rc)
            return rc;
    }
}

static inline struct walked walk_log(struct log *log, int64_t from)
{
    struct err e = {0};
    struct walked w;
    assert_ok(try_walk(log, from, 4096, READ_UNCOMMITTED, &w, &e), &e);
    return w;
}

static inline void copy_file(const char *from, const char *to)
{
    struct err e = {0};
    char *data;
    size_t n;
    int fd;
    assert_ok(io_read_file(from, 256u << 20, &data, &n, &e), &e);
    assert_ok(io_open(&fd, to, O_WRONLY | O_CREAT | O_TRUNC, 0600, &e), &e);
    assert_ok(io_pwrite(fd, data, n, 0, to, &e), &e);
    io_close(fd);
    mem_free(data);
}

static inline void copy_dir(const char *from, const char *to)
{
    struct err e = {0};
    assert_ok(io_mkdirs(to, 0700, &e), &e);
    DIR *d = opendir(from);
    assert_non_null(d);
    for (const struct dirent *en; (en = readdir(d));) {
        char a[1024], b[1024];
        if (en->d_name[0] == '.')
            continue;
        snprintf(a, sizeof a, "%s/%s", from, en->d_name);
        snprintf(b, sizeof b, "%s/%s", to, en->d_name);
        copy_file(a, b);
    }
    closedir(d);
}

static inline int64_t file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

/* Flips a bit. */
static inline void damage_file(const char *path, int64_t at)
{
    struct err e = {0};
    int fd;
    uint8_t b;
    assert_ok(io_open(&fd, path, O_RDWR, 0, &e), &e);
    assert_ok(io_pread(fd, &b, 1, at, path, &e), &e);
    b ^= 0x40;
    assert_ok(io_pwrite(fd, &b, 1, at, path, &e), &e);
    io_close(fd);
}

static inline void cut_file(const char *path, int64_t size)
{
    struct err e = {0};
    int fd;
    assert_ok(io_open(&fd, path, O_RDWR, 0, &e), &e);
    assert_ok(io_truncate(fd, size, path, &e), &e);
    io_close(fd);
}

static inline char *join(const char *dir, const char *name)
{
    char *p; /* not by mem_printf, which a test may let fail */
    assert_true(asprintf(&p, "%s/%s", dir, name) > 0);
    return p;
}

#endif
