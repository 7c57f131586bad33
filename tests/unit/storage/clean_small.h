/*
 * clean_small: small logs for the tests of cleaning's single rules: one record a batch, a pass at a time, and what batches are
 * left.
 */
#ifndef LEAT_TESTS_STORAGE_CLEAN_SMALL_H
#define LEAT_TESTS_STORAGE_CLEAN_SMALL_H

#include "clean_kit.h"

static inline struct log_appended put_at(struct log *log, int64_t timestamp, const char *key,
                                         const char *value, const struct batch_producer *p)
{
    struct err e = {0};
    struct batch_builder *b =
        batch_builder_new(&(struct batch_options){.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT}, &e);
    struct batch_producer none = BATCH_NO_PRODUCER;
    struct log_append_args args = append_args();
    struct log_appended out;
    uint8_t *data;
    size_t n;
    assert_ok(
        batch_builder_add(b, timestamp, key, strlen(key), value, value ? strlen(value) : 0, NULL, 0, &e), &e);
    assert_ok(batch_builder_finish(b, p ? p : &none, &data, &n, &e), &e);
    assert_ok(log_append(log, data, n, &args, &out, &e), &e);
    log_set_high_watermark(log, out.last_offset + 1);
    batch_builder_free(b);
    return out;
}

static inline struct log_appended put(struct log *log, const char *key, const char *value,
                                      const struct batch_producer *p)
{
    return put_at(log, EPOCH_MS, key, value, p);
}

static inline void end_txn(struct log *log, int64_t id, bool commit)
{
    struct err e = {0};
    struct log_appended out;
    assert_ok(try_marker(log, id, 0, commit, &out, &e), &e);
    log_set_high_watermark(log, out.last_offset + 1);
}

static inline void roll(struct log *log)
{
    struct err e = {0};
    assert_ok(log_roll(log, true, &e), &e);
    assert_ok(log_flush(log, &e), &e);
}

static inline int try_clean(struct log *log, int64_t *checkpoint, int64_t now, size_t map, struct err *e)
{
    struct clean_look look;
    struct clean_result out;
    struct cleaner *c = cleaner_new(&(struct cleaner_options){.map_bytes = map}, e);
    assert_non_null(c);
    assert_ok(log_clean_look(log, *checkpoint, now, INT64_MAX, &look, e), e);
    int rc = log_clean(log, c, &(struct clean_args){look.first_dirty, look.first_uncleanable, now}, &out, e);
    *checkpoint = out.end;
    cleaner_free(c);
    return rc;
}

static inline void clean(struct log *log, int64_t *checkpoint, int64_t now)
{
    struct err e = {0};
    assert_ok(try_clean(log, checkpoint, now, 1 << 20, &e), &e);
}

/* The batches of a log, one letter each: d data, e data without records, m marker, x marker without its record; H: horizon. */
struct shape {
    char text[200];
    size_t n;
};

static inline void note_shape(struct model_reader *r, const uint8_t *data, const struct batch_header *h)
{
    struct shape *s = (struct shape *)(void *)r->aborted; /* the reader is only the carrier */
    bool control = h->attributes & BATCH_CONTROL;
    (void)data;
    s->text[s->n++] = control ? (h->record_count ? 'm' : 'x') : h->record_count ? 'd' : 'e';
    if (h->attributes & BATCH_DELETE_HORIZON)
        s->text[s->n++] = 'H';
    s->text[s->n] = 0;
}

static inline void expect_shape(struct log *log, const char *text)
{
    struct shape s = {0};
    struct model_reader r = {.aborted = (struct aborted_txn *)(void *)&s};
    model_walk(log, READ_UNCOMMITTED, note_shape, &r);
    assert_string_equal(s.text, text);
}

#endif
