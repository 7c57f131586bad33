/*
 * Single rules of cleaning: markers, batches without records, bounds, damage, what Kafka wrote; and every state in which an
 * interrupted swap, ours or Kafka's, can leave a directory.
 */
#include "clean_kit.h"

#include <errno.h>

/* ---- small logs ---------------------------------------------------------------------------------------------------- */

static struct log_appended put_at(struct log *log, int64_t timestamp, const char *key, const char *value,
                                  const struct batch_producer *p)
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

static struct log_appended put(struct log *log, const char *key, const char *value,
                               const struct batch_producer *p)
{
    return put_at(log, EPOCH_MS, key, value, p);
}

static void end_txn(struct log *log, int64_t id, bool commit)
{
    struct err e = {0};
    struct log_appended out;
    assert_ok(try_marker(log, id, 0, commit, &out, &e), &e);
    log_set_high_watermark(log, out.last_offset + 1);
}

static void roll(struct log *log)
{
    struct err e = {0};
    assert_ok(log_roll(log, true, &e), &e);
    assert_ok(log_flush(log, &e), &e);
}

static int try_clean(struct log *log, int64_t *checkpoint, int64_t now, size_t map, struct err *e)
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

static void clean(struct log *log, int64_t *checkpoint, int64_t now)
{
    struct err e = {0};
    assert_ok(try_clean(log, checkpoint, now, 1 << 20, &e), &e);
}

/* The batches of a log, one letter each: d data, e data without records, m marker, x marker without its record; H: horizon. */
struct shape {
    char text[200];
    size_t n;
};

static void note_shape(struct model_reader *r, const uint8_t *data, const struct batch_header *h)
{
    struct shape *s = (struct shape *)(void *)r->aborted; /* the reader is only the carrier */
    bool control = h->attributes & BATCH_CONTROL;
    (void)data;
    s->text[s->n++] = control ? (h->record_count ? 'm' : 'x') : h->record_count ? 'd' : 'e';
    if (h->attributes & BATCH_DELETE_HORIZON)
        s->text[s->n++] = 'H';
    s->text[s->n] = 0;
}

static void expect_shape(struct log *log, const char *text)
{
    struct shape s = {0};
    struct model_reader r = {.aborted = (struct aborted_txn *)(void *)&s};
    model_walk(log, READ_UNCOMMITTED, note_shape, &r);
    assert_string_equal(s.text, text);
}

/* A committed transaction whose record is overwritten: the marker outlives it by a pass and the horizon. */
static void markers(bool commit)
{
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct batch_producer p = {.id = 7, .epoch = 0, .base_sequence = 0, .transactional = true};
    struct err e = {0};
    int64_t checkpoint = 0;
    put(log, "k", "1", &p);
    end_txn(log, 7, commit);
    put(log, "k", "2", NULL);
    put(log, "other", "2", NULL);
    roll(log);
    log_expire_producers(log, INT64_MAX, 0); /* or its last batch would stay */
    clean(log, &checkpoint, 1000);
    expect_shape(log, "mdd"); /* data of it was seen in this pass */
    put(log, "a", "1", NULL);
    roll(log);
    clean(log, &checkpoint, 2000);
    expect_shape(log, "mHddd");
    put(log, "b", "1", NULL);
    roll(log);
    clean(log, &checkpoint, 3999); /* delete.retention.ms is 2000 */
    expect_shape(log, "mHdddd");
    put(log, "c", "1", NULL);
    roll(log);
    clean(log, &checkpoint, 4000);
    expect_shape(log, "ddddd");
    /* A tombstone likewise, but that the first pass counts. */
    put(log, "a", NULL, NULL);
    put(log, "last", "1", NULL);
    roll(log);
    clean(log, &checkpoint, 5000);
    expect_shape(log, "dddddHd");
    put(log, "last", "2", NULL);
    roll(log);
    clean(log, &checkpoint, 6999);
    expect_shape(log, "dddddHd");
    put(log, "last", "3", NULL);
    roll(log);
    clean(log, &checkpoint, 7000);
    expect_shape(log, "ddddd");
    struct aborted_txn *list;
    size_t n;
    assert_ok(log_aborted(log, 0, log_end_offset(log), &list, &n, &e), &e);
    assert_int_equal(n, 0);
    close_log(log, true);
    testkit_remove_dir(dir);
}

static void test_markers(void **state)
{
    (void)state;
    markers(true);
    markers(false);
}

/* What a producer sent last stays without its record, and so does the marker that tells an epoch. */
static void test_producers_are_remembered(void **state)
{
    char *dir = testkit_dir(), command[600];
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct batch_producer p = {.id = 8, .epoch = 0, .base_sequence = 41, .transactional = false};
    struct producer_info *list;
    struct err e = {0};
    struct log_appended out;
    size_t n;
    int64_t checkpoint = 0;
    (void)state;
    put(log, "k", "1", &p);
    assert_ok(try_marker(log, 9, 3, false, &out, &e), &e); /* of a producer without data */
    log_set_high_watermark(log, out.last_offset + 1);
    put(log, "k", "2", NULL);
    roll(log);
    for (int i = 0; i < 3; i++) {
        clean(log, &checkpoint, 1000 + 5000 * i);
        put(log, "k", "3", NULL);
        roll(log);
    }
    clean(log, &checkpoint, 100000);
    expect_shape(log, "exd");
    args.recovery_point = log_end_offset(log);
    close_log(log, false);
    snprintf(command, sizeof command, "rm -f %s/*.snapshot", dir);
    assert_int_equal(system(command), 0);
    log = open_log(&args, NULL); /* from the batches alone */
    assert_ok(log_producers(log, &list, &n, &e), &e);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(list[i].last_sequence, list[i].id == 8 ? 41 : -1);
        assert_int_equal(list[i].epoch, list[i].id == 8 ? 0 : 3);
    }
    mem_free(list);
    p.base_sequence = 42;
    put(log, "k", "4", &p);
    close_log(log, true);
    testkit_remove_dir(dir);
}

/* Nothing behind the first open transaction, `below`, or the active segment. */
static void test_bounds(void **state)
{
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct batch_producer p = {.id = 7, .epoch = 0, .base_sequence = 0, .transactional = true};
    struct clean_look look;
    struct err e = {0};
    int64_t checkpoint = 0;
    (void)state;
    for (int i = 0; i < 4; i++) {
        put(log, "k", "1", i == 2 ? &p : NULL);
        roll(log);
    }
    put(log, "k", "2", NULL); /* segments 0, 1, 2 (open transaction), 3, 4 (active) */
    assert_ok(log_clean_look(log, 0, 0, INT64_MAX, &look, &e), &e);
    assert_int_equal(look.first_uncleanable, 2);
    assert_true(look.waiting_bytes > 0 && look.waiting_bytes == look.cleanable_bytes);
    assert_ok(log_clean_look(log, 0, 0, 1, &look, &e), &e);
    assert_int_equal(look.first_uncleanable, 1);
    assert_ok(log_clean_look(log, 100, 0, INT64_MAX, &look, &e), &e);
    assert_int_equal(look.first_dirty, 0); /* a checkpoint beyond the end says nothing */
    assert_ok(log_set_start_offset(log, 1, &e), &e);
    assert_ok(log_clean_look(log, 0, 0, INT64_MAX, &look, &e), &e);
    assert_int_equal(look.first_dirty, 1);
    end_txn(log, 7, true);
    assert_ok(log_clean_look(log, 0, 0, INT64_MAX, &look, &e), &e);
    assert_int_equal(look.first_uncleanable, 4);
    /* Not flushed: what the journal has of it would be put back. */
    roll(log);
    put(log, "k", "3", NULL);
    assert_ok(log_roll(log, true, &e), &e);
    struct clean_args beyond = {1, log_end_offset(log), 0};
    struct clean_result out;
    struct cleaner *c = cleaner_new(&(struct cleaner_options){.map_bytes = 1 << 20}, &e);
    assert_code(log_clean(log, c, &beyond, &out, &e), ERR_INVALID, &e);
    cleaner_free(c);
    assert_ok(log_flush(log, &e), &e);
    clean(log, &checkpoint, 0);
    assert_int_equal(checkpoint, log_end_offset(log));
    close_log(log, true);
    testkit_remove_dir(dir);
}

/* Damage is told by file and byte, and nothing is touched. */
static void test_damage(void **state)
{
    char *dir = testkit_dir(), *path = join(dir, "00000000000000000001.log");
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct err e = {0};
    int64_t checkpoint = 0;
    (void)state;
    for (int i = 0; i < 4; i++) {
        put(log, "k", "1", NULL);
        roll(log);
    }
    damage_file(path, 65);
    assert_code(try_clean(log, &checkpoint, 0, 1 << 20, &e), ERR_CORRUPT, &e);
    assert_non_null(strstr(e.text, "00000000000000000001.log: batch at byte 0"));
    assert_int_equal(checkpoint, 0);
    damage_file(path, 65);
    expect_shape(log, "dddd");
    clean(log, &checkpoint, 0);
    expect_shape(log, "d");
    close_log(log, true);
    free(path);
    testkit_remove_dir(dir);
}

/* A map of few keys takes several passes, each of which gets on. */
static void test_many_keys_in_little_memory(void **state)
{
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct err e = {0};
    int64_t checkpoint = 0, end;
    int passes = 0;
    (void)state;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 100; i++) {
            char key[20];
            snprintf(key, sizeof key, "%d", i);
            put(log, key, "v", NULL);
        }
    roll(log);
    end = log_end_offset(log);
    for (; checkpoint < end; passes++) {
        int64_t before = checkpoint;
        assert_ok(try_clean(log, &checkpoint, 0, 300, &e), &e);
        assert_true(checkpoint > before);
    }
    assert_true(passes > 10);
    struct shape s = {0};
    struct model_reader r = {.aborted = (struct aborted_txn *)(void *)&s};
    model_walk(log, READ_UNCOMMITTED, note_shape, &r);
    assert_int_equal(s.n, 100);
    close_log(log, true);
    testkit_remove_dir(dir);
}

/* Readers that stopped in the middle of a segment go on in the one that took its place, and one that holds bytes keeps them. */
static void test_readers_in_the_middle(void **state)
{
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct log_range held, r;
    struct err e = {0};
    int64_t checkpoint = 0;
    uint8_t before[400], after[400];
    (void)state;
    for (int i = 0; i < 20; i++)
        put(log, i % 3 ? "often" : i % 2 ? "a" : "b", "a value that is not short", NULL);
    roll(log);
    for (int64_t at = 0; at < 18; at++) { /* where each of these ended is remembered */
        assert_ok(log_locate(log, at, 1, READ_UNCOMMITTED, &r, &e), &e);
        log_range_release(&r);
    }
    assert_ok(log_locate(log, 5, 400, READ_UNCOMMITTED, &held, &e), &e);
    assert_ok(log_range_read(&held, 0, before, held.bytes, &e), &e);
    clean(log, &checkpoint, 0);
    put(log, "c", "1", NULL);
    roll(log);
    clean(log, &checkpoint, 0); /* the name of the first one is used twice */
    assert_ok(log_range_read(&held, 0, after, held.bytes, &e), &e);
    assert_memory_equal(before, after, held.bytes);
    log_range_release(&held);
    static const int64_t left[] = {15, 18, 19, 20};
    for (int64_t at = 20; at >= 0; at--) { /* the remembered one first */
        int i = 0;
        while (left[i] < at)
            i++;
        assert_ok(log_locate(log, at, 1, READ_UNCOMMITTED, &r, &e), &e);
        assert_true(r.bytes > 0);
        assert_int_equal(r.base_offset, left[i]);
        log_range_release(&r);
    }
    close_log(log, true);
    testkit_remove_dir(dir);
}

static void test_index_of_another_transaction(void **state)
{
    char *dir = testkit_dir(), *path = join(dir, "00000000000000000000.txnindex");
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct batch_producer p = {.id = 7, .epoch = 0, .base_sequence = 0, .transactional = true};
    struct err e = {0};
    int64_t checkpoint = 0;
    (void)state;
    put(log, "k", "right", NULL);
    put(log, "k", "aborted", &p);
    end_txn(log, 7, false);
    roll(log);
    args.recovery_point = log_end_offset(log);
    args.clean = true;
    close_log(log, true);
    cut_file(path, 0); /* it would make the aborted record the last one of its key */
    log = open_log(&args, NULL);
    log_set_high_watermark(log, log_end_offset(log));
    assert_code(try_clean(log, &checkpoint, 0, 1 << 20, &e), ERR_CORRUPT, &e);
    assert_non_null(strstr(e.text, "transaction index"));
    expect_shape(log, "ddm");
    close_log(log, true);
    free(path);
    testkit_remove_dir(dir);
}

/* ---- what Kafka wrote ---------------------------------------------------------------------------------------------- */

enum { SEEN_MAX = 400 };
struct seen {
    struct {
        uint8_t *key, *value; /* value NULL: deleted */
        size_t key_len, value_len;
    } list[SEEN_MAX];
    size_t n;
    struct aborted_txn *aborted;
    size_t aborted_count;
};

static void see_record(struct seen *s, const struct record *r)
{
    size_t i = 0;
    while (i < s->n && (s->list[i].key_len != (size_t)r->key_len ||
                        memcmp(s->list[i].key, r->key, (size_t)r->key_len) != 0))
        i++;
    assert_true(i < SEEN_MAX);
    if (i == s->n) {
        s->n++;
        s->list[i].key = memcpy(malloc((size_t)r->key_len + 1), r->key, (size_t)r->key_len);
        s->list[i].key_len = (size_t)r->key_len;
        s->list[i].value = NULL;
    }
    free(s->list[i].value);
    s->list[i].value =
        r->value ? memcpy(malloc((size_t)r->value_len + 1), r->value, (size_t)r->value_len) : NULL;
    s->list[i].value_len = r->value ? (size_t)r->value_len : 0;
}

static void see_batch(struct model_reader *reader, const uint8_t *data, const struct batch_header *h)
{
    struct seen *s = (struct seen *)(void *)reader->aborted;
    struct err e = {0};
    struct batch_iter it;
    struct record r;
    struct buf scratch;
    if ((h->attributes & BATCH_CONTROL) || !model_visible(s->aborted, s->aborted_count, h))
        return;
    buf_init(&scratch, BATCH_MAX_INFLATED);
    assert_ok(batch_iter_init(&it, data, batch_size(h), &scratch, &e), &e);
    while (batch_iter_next(&it, &r, &e) == ERR_OK)
        see_record(s, &r);
    buf_free(&scratch);
}

static struct seen see(struct log *log)
{
    struct seen s = {0};
    struct err e = {0};
    struct model_reader r = {.aborted = (struct aborted_txn *)(void *)&s};
    assert_ok(log_aborted(log, 0, log_last_stable_offset(log), &s.aborted, &s.aborted_count, &e), &e);
    model_walk(log, READ_COMMITTED, see_batch, &r);
    mem_free(s.aborted);
    return s;
}

static void seen_free(struct seen *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->list[i].key);
        free(s->list[i].value);
    }
}

/* Every key has its value; what is deleted may be gone altogether. */
static void compare_seen(const struct seen *before, const struct seen *after)
{
    for (size_t i = 0; i < before->n; i++) {
        size_t k = 0;
        while (k < after->n &&
               (before->list[i].key_len != after->list[k].key_len ||
                memcmp(before->list[i].key, after->list[k].key, before->list[i].key_len) != 0))
            k++;
        assert_true(k < after->n || !before->list[i].value);
        if (k == after->n)
            continue;
        assert_int_equal(before->list[i].value_len, after->list[k].value_len);
        assert_int_equal(before->list[i].value == NULL, after->list[k].value == NULL);
        if (before->list[i].value)
            assert_memory_equal(before->list[i].value, after->list[k].value, before->list[i].value_len);
    }
    assert_true(after->n <= before->n);
}

static int64_t kafkas(const char *name)
{
    char *dir = testkit_dir(), from[300];
    snprintf(from, sizeof from, "tests/data/segments/%s", name);
    copy_dir(from, dir);
    struct log_open_args args = model_args(dir);
    memset(&args.topic_id, 0, sizeof args.topic_id);
    struct log *log = open_log(&args, NULL);
    struct err e = {0};
    int64_t checkpoint = 0, start = log_start_offset(log);
    log_set_high_watermark(log, log_end_offset(log));
    int64_t size = log_size(log);
    struct seen before = see(log);
    roll(log);
    for (int i = 0; i < 4; i++) { /* the later passes find tombstones and markers past their horizon */
        checkpoint = i == 0 ? 0 : start;
        clean(log, &checkpoint, EPOCH_MS * 2 + i * 100000);
        struct seen after = see(log);
        compare_seen(&before, &after);
        seen_free(&after);
    }
    int64_t saved = size - log_size(log);
    args.recovery_point = log_recovery_point(log);
    close_log(log, false);
    log = open_log(&args, NULL);
    log_set_high_watermark(log, log_end_offset(log));
    struct seen after = see(log);
    compare_seen(&before, &after);
    seen_free(&after);
    seen_free(&before);
    assert_ok(log_close(log, true, &e), &e);
    testkit_remove_dir(dir);
    return saved;
}

static void test_what_kafka_wrote(void **state)
{
    static const char *const logs[] = {"consumer-offsets-18/__consumer_offsets-18",
                                       "consumer-offsets-22/__consumer_offsets-22",
                                       "consumer-offsets-34/__consumer_offsets-34",
                                       "consumer-offsets-47/__consumer_offsets-47",
                                       "transaction-state-18/__transaction_state-18",
                                       "transaction-state-19/__transaction_state-19",
                                       "transaction-state-25/__transaction_state-25",
                                       "transaction-state-30/__transaction_state-30",
                                       "compacted/compacted-0",
                                       "idempotent/idempotent-0"};
    int64_t saved = 0;
    (void)state;
    for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++)
        saved += kafkas(logs[i]);
    assert_true(saved > 5000);
}

/* ---- states of a directory ----------------------------------------------------------------------------------------- */

/* Segments 0, 2, 4 with the records k=1 .. k=6; the cleaned one of 0 and 2 in `made`. */
static void build_two(const char *dir, const char *made)
{
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    int64_t checkpoint = 0;
    char text[16];
    for (int i = 1; i <= 6; i++) {
        snprintf(text, sizeof text, "%d", i);
        put(log, "k", text, NULL);
        if (i % 2 == 0 && i < 6)
            roll(log);
    }
    struct err e = {0};
    assert_ok(log_flush(log, &e), &e);
    copy_dir(dir, made);
    args.dir = made;
    close_log(log, true);
    args.recovery_point = 6;
    args.clean = true;
    log = open_log(&args, NULL);
    log_set_high_watermark(log, 6);
    clean(log, &checkpoint, 0);
    close_log(log, true);
}

struct names {
    const char *name; /* of the state */
    /* What is there: of segment 0 and 2 the old ones, and the stages of the new one's log and index. NULL: not. */
    const char *old_0, *old_2, *new_log, *new_index;
    bool damaged; /* the new log */
    bool is_new;  /* what is read then */
};

static void place(const char *from, const char *dir, const char *base, const char *kind, const char *stage)
{
    char a[700], b[700];
    if (!stage)
        return;
    snprintf(a, sizeof a, "%s/%s.%s", from, base, kind);
    snprintf(b, sizeof b, "%s/%s.%s%s", dir, base, kind, stage);
    copy_file(a, b);
}

static void check_state(const struct names *s, const char *old, const char *made, const char *dir)
{
    static const char base_0[] = "00000000000000000000", base_2[] = "00000000000000000002";
    char path[700], command[1500];
    struct err e = {0};
    print_message("%s\n", s->name);
    assert_ok(io_remove_tree(dir, &e), &e);
    copy_dir(old, dir);
    snprintf(command, sizeof command, "rm -f %s/%s.[lit]* %s/%s.[lit]*", dir, base_0, dir, base_2);
    assert_int_equal(system(command), 0);
    static const char *const indexes[] = {"index", "timeindex"};
    place(old, dir, base_0, "log", s->old_0);
    place(old, dir, base_2, "log", s->old_2);
    place(made, dir, base_0, "log", s->new_log);
    for (int i = 0; i < 2; i++) {
        place(old, dir, base_0, indexes[i], s->old_0);
        place(old, dir, base_2, indexes[i], s->old_2);
        place(made, dir, base_0, indexes[i], s->new_index);
    }
    snprintf(path, sizeof path, "%s/%s.log%s", dir, base_0, s->new_log ? s->new_log : "");
    if (s->damaged)
        damage_file(path, 65);
    struct log_open_args args = model_args(dir);
    args.recovery_point = 6;
    for (int i = 0; i < 2; i++) {
        struct log *log = open_log(&args, NULL);
        log_set_high_watermark(log, log_end_offset(log));
        assert_int_equal(log_end_offset(log), 6);
        expect_shape(log, s->is_new ? "ddd" : "dddddd");
        close_log(log, true);
        args.clean = true;
    }
    snprintf(command, sizeof command, "ls %s | grep -q 'swap\\|cleaned\\|deleted'", dir);
    assert_int_not_equal(system(command), 0);
}

static void test_every_state(void **state)
{
    static const struct names states[] = {
        {"made half", "", "", NULL, ".cleaned", false, false},
        {"made", "", "", ".cleaned", ".cleaned", false, false},
        {"log is swap, index not yet", "", "", ".swap", ".cleaned", false, false},
        {"index is swap, log not yet (no order kept)", "", "", ".cleaned", ".swap", false, false},
        {"all is swap", "", "", ".swap", ".swap", false, true},
        {"all is swap, indexes lost", "", "", ".swap", NULL, false, true},
        {"the first old one is deleted", ".deleted", "", ".swap", ".swap", false, true},
        {"and gone", NULL, "", ".swap", ".swap", false, true},
        {"both are deleted", ".deleted", ".deleted", ".swap", ".swap", false, true},
        {"both are gone", NULL, NULL, ".swap", ".swap", false, true},
        {"log in place, index not yet", NULL, ".deleted", "", ".swap", false, true},
        {"all in place", NULL, ".deleted", "", "", false, true},
        {"a damaged swap whose originals are there", "", "", ".swap", ".swap", true, false},
    };
    char *base = testkit_dir(), old[300], made[300], dir[300];
    (void)state;
    snprintf(old, sizeof old, "%s/old", base);
    snprintf(made, sizeof made, "%s/made", base);
    snprintf(dir, sizeof dir, "%s/t-0", base);
    build_two(old, made);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        check_state(&states[i], old, made, dir);
    testkit_remove_dir(base);
}

/* Without its original a damaged one is put in place, and the damage told where it is read. */
static void test_a_damaged_swap_alone(void **state)
{
    char *base = testkit_dir(), old[300], made[300], command[1500], *path;
    struct err e = {0};
    struct log_range r;
    (void)state;
    snprintf(old, sizeof old, "%s/old", base);
    snprintf(made, sizeof made, "%s/made", base);
    build_two(old, made);
    snprintf(command, sizeof command, "cd %s && for f in 00000000000000000000.[lit]*; do mv $f $f.swap; done",
             made);
    assert_int_equal(system(command), 0);
    path = join(made, "00000000000000000000.log.swap");
    damage_file(path, 8);
    struct log_open_args args = model_args(made);
    args.recovery_point = 6;
    struct log *log = open_log(&args, NULL);
    log_set_high_watermark(log, log_end_offset(log));
    assert_int_equal(log_end_offset(log), 6);
    assert_code(log_locate(log, 0, 1000, READ_UNCOMMITTED, &r, &e), ERR_CORRUPT, &e);
    assert_ok(log_locate(log, 4, 1000, READ_UNCOMMITTED, &r, &e), &e);
    log_range_release(&r);
    close_log(log, true);
    free(path);
    testkit_remove_dir(base);
}

/* The note of how far cleaning went stands for a lost recovery point; a broken one is only reported. */
static void test_compacted_end(void **state)
{
    char *base = testkit_dir(), old[300], made[300], *path;
    struct err e = {0};
    int64_t end;
    int fd;
    (void)state;
    snprintf(old, sizeof old, "%s/old", base);
    snprintf(made, sizeof made, "%s/made", base);
    build_two(old, made);
    assert_ok(log_compacted_end(old, &end, &e), &e);
    assert_int_equal(end, 0);
    assert_ok(log_compacted_end(made, &end, &e), &e);
    assert_int_equal(end, 4);
    struct log_open_args args = model_args(made); /* recovery point 0 */
    args.durable_end = 0;
    struct log *log = open_log(&args, NULL);
    assert_int_equal(log_end_offset(log), 4); /* what was never cleaned was not acknowledged */
    assert_ok(log_truncate_to(log, 2, &e), &e);
    assert_ok(log_compacted_end(made, &end, &e), &e);
    assert_true(end <= 2);
    close_log(log, true);
    path = join(made, "compacted-offset-checkpoint");
    static const char *const broken[] = {"",          "0\n",      "0\n1\n", "0\n1\n-5\n", "0\n1\n5\n6\n",
                                         "1\n1\n5\n", "0\n2\n5\n"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_ok(io_open(&fd, path, O_WRONLY | O_TRUNC, 0, &e), &e);
        assert_ok(io_pwrite(fd, broken[i], strlen(broken[i]), 0, path, &e), &e);
        io_close(fd);
        assert_ok(log_compacted_end(made, &end, &e), &e);
        assert_int_equal(end, 0);
    }
    free(path);
    testkit_remove_dir(base);
}

/* A tombstone whose timestamp is too far from any horizon: it stays, and does not keep the rest from being cleaned. */
static void test_a_timestamp_beyond_reason(void **state)
{
    struct err e = {0};
    int64_t checkpoint = 0;
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    (void)state;
    struct log *log = open_log(&args, NULL);
    put(log, "a", "1", NULL);
    put_at(log, INT64_MIN + 10, "gone", NULL, NULL);
    put(log, "a", "2", NULL);
    roll(log);
    for (int i = 0; i < 2; i++) {
        int64_t size = log_size(log);
        assert_ok(try_clean(log, &checkpoint, EPOCH_MS + i, 1 << 20, &e), &e);
        assert_int_equal(checkpoint, 3 * (i + 1));
        assert_true(i || log_size(log) < size);
        put(log, "a", "3", NULL);
        put(log, "b", "3", NULL);
        put(log, "b", "4", NULL);
        roll(log);
    }
    close_log(log, true);
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markers),
        cmocka_unit_test(test_producers_are_remembered),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_a_timestamp_beyond_reason),
        cmocka_unit_test(test_many_keys_in_little_memory),
        cmocka_unit_test(test_readers_in_the_middle),
        cmocka_unit_test(test_index_of_another_transaction),
        cmocka_unit_test(test_what_kafka_wrote),
        cmocka_unit_test(test_every_state),
        cmocka_unit_test(test_a_damaged_swap_alone),
        cmocka_unit_test(test_compacted_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
