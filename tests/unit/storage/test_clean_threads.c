/*
 * Cleaning beside appends, readers, look-ups, flushes and the deletion of records. Run it under SANITIZE=thread too. What it
 * checks: readers get whole batches in ascending order, and of each key at the end the last value.
 */
#include "clean_kit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"

enum { BATCHES = 4000, KEYS = 50, PASSES_MIN = 3 };

/* From one pass to the next: each that comes in the middle of one ends it, and where passes are slow none would ever get through. */
#define DELETIONS_MAX 5

struct shared {
    struct log *log;
    atomic_bool done;
    atomic_int passes;
    const char *_Atomic failure; /* cmocka's assertions belong to the main thread */
    int64_t last[KEYS];          /* the appender's: offset of each key's last record */
};

static void complain(struct shared *sh, const char *what, const struct err *e)
{
    const char *none = NULL;
    if (atomic_compare_exchange_strong(&sh->failure, &none, what))
        print_message("%s: %s\n", what, e->text);
    atomic_store(&sh->done, true);
}

static void *append_keys(void *arg)
{
    struct shared *sh = arg;
    struct err e = {0};
    struct batch_builder *b =
        batch_builder_new(&(struct batch_options){.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT}, &e);
    struct log_append_args args = append_args();
    struct batch_producer none = BATCH_NO_PRODUCER;
    for (int i = 0; b && !atomic_load(&sh->failure) && (i < BATCHES || atomic_load(&sh->passes) < PASSES_MIN);
         i++) {
        char key[32];
        uint8_t *data;
        size_t n;
        struct log_appended out;
        size_t key_len = model_key(i * 7 % KEYS, key);
        int rc = batch_builder_add(b, EPOCH_MS + i, key, key_len, "value", 5, NULL, 0, &e);
        if (rc == ERR_OK)
            rc = batch_builder_finish(b, &none, &data, &n, &e);
        if (rc == ERR_OK)
            rc = log_append(sh->log, data, n, &args, &out, &e);
        if (rc != ERR_OK) {
            complain(sh, "append", &e);
            break;
        }
        sh->last[i * 7 % KEYS] = out.last_offset;
        log_set_high_watermark(sh->log, out.last_offset + 1);
        /* Segments that are not flushed keep their files open. */
        while (out.last_offset - log_recovery_point(sh->log) > 1000 && !atomic_load(&sh->failure))
            sched_yield();
    }
    batch_builder_free(b);
    atomic_store(&sh->done, true);
    return NULL;
}

/* Whole batches in ascending order; the log's start may pass the reader. */
static int read_on(struct shared *sh, int64_t *next, struct err *e)
{
    struct log_range r;
    uint8_t data[4096];
    int rc = log_locate(sh->log, *next, 2000, READ_COMMITTED, &r, e);
    if (rc == ERR_OFFSET_OUT_OF_RANGE) {
        *next = log_start_offset(sh->log);
        return ERR_OK;
    }
    if (rc == ERR_OK && r.bytes)
        rc = log_range_read(&r, 0, data, r.bytes, e);
    for (size_t at = 0; rc == ERR_OK && at < r.bytes;) {
        struct batch_header h;
        rc = batch_check(data + at, r.bytes - at, &h, e);
        if (rc == ERR_OK && batch_last_offset(&h) < *next)
            rc = err_set(e, ERR_INTERNAL, "offset %lld after %lld", (long long)h.base_offset,
                         (long long)*next);
        if (rc == ERR_OK) {
            *next = batch_last_offset(&h) + 1;
            at += batch_size(&h);
        }
    }
    if (rc == ERR_OK && r.bytes == 0 && r.next_offset >= log_high_watermark(sh->log))
        *next = log_start_offset(sh->log); /* once more from the start */
    log_range_release(&r);
    return rc;
}

static void *read_round(void *arg)
{
    struct shared *sh = arg;
    struct err e = {0};
    int64_t next = 0;
    while (!atomic_load(&sh->done))
        if (read_on(sh, &next, &e) != ERR_OK)
            complain(sh, "read", &e);
    return NULL;
}

static void *look_up(void *arg)
{
    struct shared *sh = arg;
    struct err e = {0};
    unsigned seed = 5;
    while (!atomic_load(&sh->done)) {
        int64_t offset, found;
        if (log_offset_for_time(sh->log, EPOCH_MS + rand_r(&seed) % BATCHES, &offset, &found, &e) != ERR_OK)
            complain(sh, "time", &e);
        if (log_max_timestamp(sh->log, &offset, &found, &e) != ERR_OK)
            complain(sh, "max timestamp", &e);
    }
    return NULL;
}

/* Until so many offsets were appended since the last time; false at the end. */
static bool wait_for_appends(struct shared *sh, int64_t *at, int64_t n)
{
    while (!atomic_load(&sh->done) && log_end_offset(sh->log) < *at + n)
        sched_yield();
    *at = log_end_offset(sh->log);
    return !atomic_load(&sh->done);
}

static void *delete_records(void *arg)
{
    struct shared *sh = arg;
    struct err e = {0};
    int deleted, passes = 0, since = 0;
    for (int64_t at = 0; wait_for_appends(sh, &at, 100);) {
        int now = atomic_load(&sh->passes);
        since = now == passes ? since + 1 : 0;
        passes = now;
        if (since > DELETIONS_MAX)
            continue;
        int64_t start = log_start_offset(sh->log), point = log_recovery_point(sh->log);
        if (start + 10 < point && log_set_start_offset(sh->log, start + 5, &e) != ERR_OK)
            complain(sh, "delete records", &e);
        if (log_apply_retention(sh->log, EPOCH_MS, point, &deleted, &e) != ERR_OK)
            complain(sh, "retention", &e);
        log_close_idle(sh->log);
    }
    return NULL;
}

static int one_pass(struct shared *sh, struct cleaner *c, int64_t *checkpoint, struct err *e)
{
    struct clean_look look;
    struct clean_result out;
    int rc = log_flush(sh->log, e);
    if (rc == ERR_OK)
        rc = log_clean_look(sh->log, *checkpoint, EPOCH_MS, log_recovery_point(sh->log), &look, e);
    if (rc || look.first_uncleanable <= look.first_dirty)
        return rc;
    struct clean_args args = {look.first_dirty, look.first_uncleanable, EPOCH_MS};
    rc = log_clean(sh->log, c, &args, &out, e);
    if (rc == ERR_BUSY)
        return ERR_OK; /* deletion came first */
    *checkpoint = out.end;
    atomic_fetch_add(&sh->passes, rc == ERR_OK);
    return rc;
}

static void *clean_all(void *arg)
{
    struct shared *sh = arg;
    struct err e = {0};
    int64_t checkpoint = 0, at = 0;
    struct cleaner *c = cleaner_new(&(struct cleaner_options){.map_bytes = 1 << 20}, &e);
    while (c && wait_for_appends(sh, &at, 200))
        if (one_pass(sh, c, &checkpoint, &e) != ERR_OK)
            complain(sh, "clean", &e);
    cleaner_free(c);
    return NULL;
}

struct seen {
    int64_t last[KEYS];
};

static void note_keys(struct seen *seen, const uint8_t *data, const struct batch_header *h)
{
    struct err e = {0};
    struct batch_iter it;
    struct record r;
    assert_ok(batch_iter_init(&it, data, batch_size(h), NULL, &e), &e);
    while (batch_iter_next(&it, &r, &e) == ERR_OK)
        for (int k = 0; k < KEYS; k++) {
            char key[32];
            if ((size_t)r.key_len == model_key(k, key) && memcmp(r.key, key, (size_t)r.key_len) == 0)
                seen->last[k] = r.offset;
        }
}

static struct seen seen_now;

static void note_batch(struct model_reader *r, const uint8_t *data, const struct batch_header *h)
{
    (void)r;
    note_keys(&seen_now, data, h);
}

static void test_beside_everything(void **state)
{
    static void *(*const work[])(void *) = {append_keys, clean_all, read_round,
                                            read_round,  look_up,   delete_records};
    enum { THREADS = sizeof work / sizeof work[0] };
    pthread_t threads[THREADS];
    struct err e = {0};
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    struct shared sh = {.log = open_log(&args, NULL)};
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_ok(thread_start(&threads[i], "work", work[i], &sh, &e), &e);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_null(sh.failure);
    assert_true(sh.passes >= PASSES_MIN);
    memset(&seen_now, 0xff, sizeof seen_now);
    struct model_reader r = {0};
    model_walk(sh.log, READ_COMMITTED, note_batch, &r);
    for (int k = 0; k < KEYS; k++)
        if (sh.last[k] >= log_start_offset(sh.log))
            assert_int_equal(seen_now.last[k], sh.last[k]);
    close_log(sh.log, true);
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
