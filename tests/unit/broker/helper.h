/*
 * helper: what the broker's tests share: a broker in a private directory, batches, reading back.
 */
#ifndef LEAT_TESTS_BROKER_HELPER_H
#define LEAT_TESTS_BROKER_HELPER_H

#include "tests/lib/testkit.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/broker.h"

struct fixture {
    char *dir;
    struct broker *b;
    struct err e;
    struct buf batch; /* of the last make_batch */
    size_t key_bytes; /* of the records' keys; 0: null */
    bool two;         /* a second data directory, within the first one */
};

static inline int try_open(struct fixture *f)
{
    char second[512];
    const char *dirs[] = {second};
    snprintf(second, sizeof second, "%s/second", f->dir);
    struct broker_options o = {.data_dir = f->dir,
                               .data_dirs = dirs,
                               .data_dir_count = f->two ? 1 : 0,
                               .journal_file_bytes = 1 << 20};
    return broker_open(&f->b, &o, &f->e);
}

static inline void fixture_open(struct fixture *f)
{
    assert_ok(try_open(f), &f->e);
}

static inline void fixture_close(struct fixture *f)
{
    assert_ok(broker_close(f->b, &f->e), &f->e);
    f->b = NULL;
}

static inline void fixture_restart(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->dir = testkit_dir();
    buf_init(&f->batch, 64 << 20);
    fixture_open(f);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->b)
        fixture_close(f);
    buf_free(&f->batch);
    testkit_remove_dir(f->dir);
    free(f);
    return 0;
}

/* How many names below `data`/logs begin and end so. */
static inline int logs_named(const char *data, const char *begin, const char *end)
{
    char *logs = mem_printf("%s/logs", data);
    DIR *d = opendir(logs);
    int n = 0;
    assert_non_null(d);
    for (const struct dirent *x; (x = readdir(d));) {
        size_t len = strlen(x->d_name), tail = strlen(end);
        n += strncmp(x->d_name, begin, strlen(begin)) == 0 && len >= tail &&
             strcmp(x->d_name + len - tail, end) == 0;
    }
    closedir(d);
    mem_free(logs);
    return n;
}

/* Does the file system of the data directory tell of errors, so that many logs are synced by one sync of it? */
static inline bool syncs_together(struct fixture *f)
{
    uint64_t device;
    int fd;
    assert_ok(io_open(&fd, f->dir, O_RDONLY | O_DIRECTORY, 0, &f->e), &f->e);
    int rc = io_sync_fs_of(fd, &device, f->dir, &f->e);
    io_close(fd);
    return rc != ERR_UNSUPPORTED;
}

static inline void create(struct fixture *f, const char *topic, int32_t partitions)
{
    assert_ok(broker_create_topic(f->b, topic, partitions, NULL, 0, NULL, &f->e), &f->e);
}

/* One try at add_batch; ERR_NO_MEMORY if an armed fault hit it. */
static inline int try_add_batch(struct fixture *f, const char *prefix, int first, int n,
                                struct batch_producer p, size_t *bytes)
{
    struct batch_options o = {.level = CODEC_LEVEL_DEFAULT, .max_bytes = 60 << 20};
    struct batch_builder *builder = batch_builder_new(&o, &f->e);
    static char key[1 << 16];
    uint8_t *data;
    int rc = builder ? ERR_OK : f->e.code;
    for (int i = 0; !rc && i < n; i++) {
        char value[64];
        int len = snprintf(value, sizeof value, "%s%d", prefix, first + i);
        rc = batch_builder_add(builder, clock_wall_ms(), f->key_bytes ? key : NULL, f->key_bytes, value,
                               (size_t)len, NULL, 0, &f->e);
    }
    if (!rc)
        rc = batch_builder_finish(builder, &p, &data, bytes, &f->e);
    if (!rc)
        rc = buf_append(&f->batch, data, *bytes, &f->e);
    batch_builder_free(builder);
    return rc;
}

/* Appends one batch of `n` records "<prefix><i>" to f->batch. A fault armed for the broker may hit it, once. */
static inline size_t add_batch(struct fixture *f, const char *prefix, int first, int n,
                               struct batch_producer p)
{
    size_t bytes = 0;
    int rc = try_add_batch(f, prefix, first, n, p, &bytes);
    if (rc)
        rc = try_add_batch(f, prefix, first, n, p, &bytes);
    assert_ok(rc, &f->e);
    return bytes;
}

static inline struct produce_request make_request(struct fixture *f, const char *topic, int32_t partition,
                                                  const char *prefix, int first, int n,
                                                  struct batch_producer p)
{
    buf_reset(&f->batch);
    add_batch(f, prefix, first, n, p);
    return (struct produce_request){
        .topic = topic, .partition = partition, .data = f->batch.data, .bytes = f->batch.len};
}

static inline int64_t produce(struct fixture *f, const char *topic, int32_t partition, const char *prefix,
                              int first, int n)
{
    struct produce_request r = make_request(f, topic, partition, prefix, first, n, BATCH_NO_PRODUCER);
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    return r.appended.base_offset;
}

static inline bool is_aborted(struct fixture *f, const char *topic, int32_t partition,
                              const struct batch_header *h)
{
    struct aborted_txn *list;
    size_t n;
    bool found = false;
    if ((h->attributes & BATCH_CONTROL) || !(h->attributes & BATCH_TRANSACTIONAL))
        return false;
    assert_ok(
        broker_aborted(f->b, topic, partition, h->base_offset, batch_last_offset(h) + 1, &list, &n, &f->e),
        &f->e);
    for (size_t i = 0; i < n; i++)
        found = found || (list[i].producer_id == h->producer_id && list[i].first_offset <= h->base_offset &&
                          list[i].last_offset >= h->base_offset);
    mem_free(list);
    return found;
}

typedef void record_fn(void *arg, const struct batch_header *h, const struct record *r);

/* Calls for every record of a partition from `offset` on; READ_COMMITTED leaves aborted ones out. */
static inline void each_record(struct fixture *f, const char *topic, int32_t partition, int64_t offset,
                               enum isolation isolation, record_fn *fn, void *arg)
{
    struct buf in, scratch;
    buf_init(&in, 64 << 20);
    buf_init(&scratch, 64 << 20);
    for (;;) {
        struct log_range range;
        assert_ok(broker_locate(f->b, topic, partition, offset, 1 << 20, isolation, &range, &f->e), &f->e);
        buf_reset(&in);
        assert_ok(buf_reserve(&in, range.bytes + 1, &f->e), &f->e);
        if (range.bytes)
            assert_ok(log_range_read(&range, 0, in.data, range.bytes, &f->e), &f->e);
        size_t bytes = range.bytes;
        log_range_release(&range);
        if (bytes == 0)
            break;
        for (size_t at = 0; at < bytes;) {
            struct batch_iter it;
            struct record r;
            struct batch_header h;
            assert_ok(batch_check(in.data + at, bytes - at, &h, &f->e), &f->e);
            assert_ok(batch_iter_init(&it, in.data + at, bytes - at, &scratch, &f->e), &f->e);
            bool shown = isolation == READ_UNCOMMITTED || !is_aborted(f, topic, partition, &h);
            while (shown && batch_iter_next(&it, &r, &f->e) == ERR_OK)
                if (r.offset >= offset)
                    fn(arg, &h, &r);
            at += batch_size(&h);
            offset = batch_last_offset(&h) + 1;
        }
    }
    buf_free(&scratch);
    buf_free(&in);
}

static inline void join_value(void *arg, const struct batch_header *h, const struct record *r)
{
    struct buf *out = arg;
    struct err e;
    if (out->len)
        buf_str(out, ",", &e);
    if (h->attributes & BATCH_CONTROL)
        buf_str(out, r->key[3] == MARKER_COMMIT ? "<C>" : "<A>", &e);
    else
        buf_append(out, r->value, (size_t)r->value_len, &e);
}

/* Reads all values of a partition from `offset`, joined by commas, markers as <C> and <A>; READ_COMMITTED leaves
 * aborted ones out. Caller frees with buf_free. */
static inline void read_all(struct fixture *f, const char *topic, int32_t partition, int64_t offset,
                            enum isolation isolation, struct buf *out)
{
    buf_init(out, 64 << 20);
    each_record(f, topic, partition, offset, isolation, join_value, out);
    buf_u8(out, 0, &f->e);
}

static inline void expect_all(struct fixture *f, const char *topic, int32_t partition,
                              enum isolation isolation, const char *want)
{
    struct buf out;
    read_all(f, topic, partition, 0, isolation, &out);
    assert_string_equal((char *)out.data, want);
    buf_free(&out);
}

#endif
