/*
 * Power is cut at hundreds of moments while producers, transactions, offsets, administration, retention and readers run
 * (power.h says what is left then). After each: the directory opens, everything acknowledged or seen by a reader is
 * there, transactions are whole or absent, and the store goes on. Often power is cut once more during that recovery.
 */
#include "tests/unit/broker/helper.h"
#include "tests/lib/power.h"

#include <stdatomic.h>

#include "base/diag.h"

enum { IMAGES = 24, RUNS = 4, ACKS_MAX = 1 << 17, VALUES_MAX = 1 << 16, TXN_PARTS = 3 };

enum ack_kind { ACK_RECORD, ACK_SEEN, ACK_LOW, ACK_TXN, ACK_OFFSET, ACK_CREATED, ACK_UNSURE, ACK_DELETED };
struct ack {
    enum ack_kind kind;
    const char *topic;
    int32_t partition;
    int64_t offset, value;
    struct uuid id; /* of a topic that comes and goes */
};

struct image {
    char *dir;
    size_t acks;
};

struct run {
    struct fixture *f;
    struct power power;
    unsigned seed;
    struct ack *acks; /* under the model's lock: what is in it when an image is cut came before */
    size_t ack_count;
    struct image images[IMAGES];
    size_t image_count;
    char *dir;
    atomic_bool done;
    _Atomic(int64_t) lowest; /* tried */
    _Atomic(int64_t) stored; /* tried */
};

static void tell_ack(struct run *r, struct ack a)
{
    pthread_mutex_lock(&r->power.lock);
    assert_true(r->ack_count < ACKS_MAX);
    r->acks[r->ack_count++] = a;
    pthread_mutex_unlock(&r->power.lock);
}

static void cut_power(void *arg)
{
    struct run *r = arg;
    static const unsigned lucks[] = {0, 2, 4, 7, 8};
    struct image *image = &r->images[r->image_count];
    char path[512];
    snprintf(path, sizeof path, "%s/image%zu", r->dir, r->image_count);
    power_image(&r->power, r->power.root, path, lucks[power_random(&r->power, 5)]);
    *image = (struct image){strdup(path), r->ack_count};
    if (++r->image_count < IMAGES)
        r->power.cut_at =
            r->power.events + 1 + power_random(&r->power, power_random(&r->power, 4) ? 300 : 20);
}

static size_t direct_bytes; /* from so much on an append is a large one; 0: none, as they are small */

static int open_at(struct fixture *f, const char *dir)
{
    struct broker_options o = {.data_dir = dir,
                               .journal_file_bytes = 1 << 20,
                               .direct_bytes = direct_bytes,
                               .retention_check_ms = 20,
                               .offsets_partitions = 3,
                               .txn_partitions = 2};
    return broker_open(&f->b, &o, &f->e);
}

/* ---- what is done -------------------------------------------------------------------------------------------------- */

struct worker {
    struct run *r;
    struct fixture f; /* own buffers, the run's broker */
    int rounds;
    pthread_t thread;
};

static int64_t put(struct worker *w, const char *topic, int32_t partition, int value, bool acked)
{
    int64_t offset = produce(&w->f, topic, partition, "", value, 1);
    if (acked)
        tell_ack(w->r, (struct ack){ACK_RECORD, topic, partition, offset, value, {{0}}});
    return offset;
}

static void *write_records(void *arg)
{
    struct worker *w = arg;
    w->f.key_bytes = 20000;
    for (int k = 0; k < w->rounds; k++) {
        put(w, "s", k % 2, k, true);
        put(w, "kept", 0, k, true);
        if (k % 7 == 0) /* a page-cache topic in one group with others */
            put(w, "cache", 0, k, false);
    }
    return NULL;
}

static const struct {
    const char *topic;
    int32_t partition;
} txn_parts[TXN_PARTS] = {{"a", 0}, {"a", 1}, {"b", 0}};

static int64_t producer_id;
static int16_t producer_epoch;
static int32_t sequence;

static void one_txn(struct worker *w, int k)
{
    struct fixture *f = &w->f;
    struct produce_request q[TXN_PARTS];
    struct txn_partition join[TXN_PARTS];
    size_t at[TXN_PARTS + 1] = {0};
    buf_reset(&f->batch);
    for (int i = 0; i < TXN_PARTS; i++)
        at[i + 1] = at[i] + add_batch(f, "", k, 1,
                                      (struct batch_producer){producer_id, producer_epoch, sequence, true});
    sequence++;
    for (int i = 0; i < TXN_PARTS; i++) {
        q[i] = (struct produce_request){.topic = txn_parts[i].topic,
                                        .partition = txn_parts[i].partition,
                                        .data = f->batch.data + at[i],
                                        .bytes = at[i + 1] - at[i],
                                        .built_here = true};
        join[i] = (struct txn_partition){txn_parts[i].topic, txn_parts[i].partition};
    }
    if (k % 3) {
        assert_ok(broker_txn_commit_all(f->b, "x", producer_id, producer_epoch, q, TXN_PARTS, &f->e), &f->e);
    } else {
        struct group_offset o = {.topic = "a", .offset = k, .leader_epoch = -1};
        bool commit = k % 4 != 0;
        assert_ok(broker_txn_add_partitions(f->b, "x", producer_id, producer_epoch, join, TXN_PARTS, &f->e),
                  &f->e);
        assert_ok(broker_produce(f->b, q, TXN_PARTS, k % 2, &f->e), &f->e);
        assert_ok(broker_txn_commit_offsets(f->b, "x", producer_id, producer_epoch, "txn", &o, 1, &f->e),
                  &f->e);
        assert_ok(broker_txn_end(f->b, "x", producer_id, producer_epoch, commit, &f->e), &f->e);
        if (!commit)
            return;
    }
    tell_ack(w->r, (struct ack){ACK_TXN, "a", 0, 0, k, {{0}}});
}

static void new_producer(struct fixture *f)
{
    assert_ok(broker_init_producer(f->b, "x", 60000, &producer_id, &producer_epoch, &f->e), &f->e);
    sequence = 0;
}

static void *write_txns(void *arg)
{
    struct worker *w = arg;
    w->f.key_bytes = 9000;
    for (int k = 0; k < w->rounds; k++) {
        if (k % 50 == 0)
            new_producer(&w->f);
        one_txn(w, k);
    }
    return NULL;
}

static void *write_offsets(void *arg)
{
    struct worker *w = arg;
    for (int k = 0; k < w->rounds; k++) {
        struct group_offset o = {.topic = "kept", .offset = k, .leader_epoch = -1, .metadata = "m"};
        atomic_store(&w->r->stored, k);
        assert_ok(broker_commit_offsets(w->f.b, "group", &o, 1, &w->f.e), &w->f.e);
        tell_ack(w->r, (struct ack){ACK_OFFSET, "kept", 0, k, 0, {{0}}});
    }
    return NULL;
}

/* The topic "fleeting" comes and goes under one name. */
static void come_and_go(struct worker *w, int k)
{
    struct ack a = {.topic = "fleeting"};
    tell_ack(w->r, (struct ack){.kind = ACK_UNSURE, .topic = a.topic});
    assert_ok(broker_create_topic(w->f.b, a.topic, 1, NULL, 0, &a.id, &w->f.e), &w->f.e);
    a.kind = ACK_CREATED;
    tell_ack(w->r, a);
    for (int i = 0; i < k % 4; i++) {
        a = (struct ack){ACK_RECORD, a.topic, 0, produce(&w->f, a.topic, 0, "", i, 1), i, a.id};
        tell_ack(w->r, a);
    }
    tell_ack(w->r, (struct ack){.kind = ACK_UNSURE, .topic = a.topic});
    if (k % 3 == 0)
        assert_ok(broker_add_partitions(w->f.b, a.topic, 2, &w->f.e), &w->f.e);
    assert_ok(broker_delete_topic(w->f.b, a.topic, &w->f.e), &w->f.e);
    tell_ack(w->r, (struct ack){.kind = ACK_DELETED, .topic = a.topic});
}

/* "mixed" changes its durability: what it has is durable once it is synced again. */
static void change_durability(struct worker *w, int *value)
{
    static const struct topic_config_entry cache = {"durability", "page-cache"},
                                           sync = {"durability", "sync"};
    int64_t offsets[3];
    put(w, "mixed", 0, (*value)++, true);
    assert_ok(broker_alter_topic(w->f.b, "mixed", &cache, 1, &w->f.e), &w->f.e);
    for (int i = 0; i < 3; i++)
        offsets[i] = put(w, "mixed", 0, *value + i, false);
    assert_ok(broker_alter_topic(w->f.b, "mixed", &sync, 1, &w->f.e), &w->f.e);
    for (int i = 0; i < 3; i++)
        tell_ack(w->r, (struct ack){ACK_RECORD, "mixed", 0, offsets[i], *value + i, {{0}}});
    *value += 3;
}

static void *administer(void *arg)
{
    struct worker *w = arg;
    int value = 0;
    for (int k = 0; k < w->rounds; k++) {
        int64_t end, ts, low;
        come_and_go(w, k);
        change_durability(w, &value);
        if (k % 4)
            continue;
        assert_ok(broker_list_offset(w->f.b, "kept", 0, -1, READ_UNCOMMITTED, &end, &ts, &w->f.e), &w->f.e);
        atomic_store(&w->r->lowest, end / 2);
        assert_ok(broker_delete_records(w->f.b, "kept", 0, end / 2, &low, &w->f.e), &w->f.e);
        tell_ack(w->r, (struct ack){ACK_LOW, "kept", 0, low, 0, {{0}}});
    }
    return NULL;
}

static void *watch_ends(void *arg)
{
    struct worker *w = arg;
    static const char *const topics[] = {"s", "kept", "a", "b"};
    int64_t told[4] = {0};
    for (unsigned k = 0; !atomic_load(&w->r->done); k++) {
        const char *topic = topics[k % 4];
        int64_t end, ts;
        assert_ok(broker_list_offset(w->f.b, topic, 0, -1, READ_UNCOMMITTED, &end, &ts, &w->f.e), &w->f.e);
        if (end > told[k % 4]) /* the same once more says nothing, and the list has an end */
            tell_ack(w->r, (struct ack){ACK_SEEN, topic, 0, end, 0, {{0}}});
        told[k % 4] = end;
        usleep(200); /* others are to have the processor; nothing depends on it */
    }
    return NULL;
}

/* ---- what must be there -------------------------------------------------------------------------------------------- */

struct content {
    int64_t start, end;
    int64_t offsets[VALUES_MAX];
    int values[VALUES_MAX];
    size_t n;
};

static void take_value(void *arg, const struct batch_header *h, const struct record *r)
{
    struct content *c = arg;
    char text[32] = {0};
    if (h->attributes & BATCH_CONTROL)
        return;
    assert_true(c->n < VALUES_MAX && r->value_len < (int32_t)sizeof text);
    memcpy(text, r->value, (size_t)r->value_len);
    c->offsets[c->n] = r->offset;
    c->values[c->n++] = atoi(text);
}

static void load_content(struct fixture *f, const char *topic, int32_t partition, struct content *c)
{
    int64_t ts;
    assert_ok(broker_list_offset(f->b, topic, partition, -2, READ_UNCOMMITTED, &c->start, &ts, &f->e), &f->e);
    assert_ok(broker_list_offset(f->b, topic, partition, -1, READ_UNCOMMITTED, &c->end, &ts, &f->e), &f->e);
    c->n = 0;
    each_record(f, topic, partition, c->start, READ_COMMITTED, take_value, c);
}

static int value_at(const struct content *c, int64_t offset)
{
    size_t lo = 0, hi = c->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (c->offsets[mid] < offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->n && c->offsets[lo] == offset ? c->values[lo] : -1;
}

static void expect_partition(struct run *r, size_t acks, struct fixture *f, const char *topic,
                             int32_t partition, const struct uuid *id)
{
    static struct content c;
    load_content(f, topic, partition, &c);
    for (size_t i = 1; i < c.n; i++) /* in their order, none twice */
        if (c.values[i] <= c.values[i - 1])
            fail_msg("%s-%d: %d after %d", topic, partition, c.values[i], c.values[i - 1]);
    for (size_t i = 0; i < acks; i++) {
        const struct ack *a = &r->acks[i];
        if (strcmp(a->topic, topic) != 0 || a->partition != partition)
            continue;
        if (a->kind == ACK_RECORD && a->offset >= c.start && (!id || memcmp(id, &a->id, sizeof *id) == 0) &&
            value_at(&c, a->offset) != a->value)
            fail_msg("%s-%d: offset %lld has %d, %lld was acknowledged; [%lld, %lld)", topic, partition,
                     (long long)a->offset, value_at(&c, a->offset), (long long)a->value, (long long)c.start,
                     (long long)c.end);
        if (a->kind == ACK_SEEN && a->offset > c.end)
            fail_msg("%s-%d: ends at %lld, readers saw %lld", topic, partition, (long long)c.end,
                     (long long)a->offset);
        if (a->kind == ACK_LOW && a->offset > c.start)
            fail_msg("%s-%d: starts at %lld, was deleted up to %lld", topic, partition, (long long)c.start,
                     (long long)a->offset);
    }
    if (strcmp(topic, "kept") == 0 && c.start > atomic_load(&r->lowest))
        fail_msg("%s starts at %lld, nobody deleted so much", topic, (long long)c.start);
}

static void expect_txns(struct run *r, size_t acks, struct fixture *f)
{
    static bool seen[TXN_PARTS][VALUES_MAX];
    static struct content c;
    int64_t stored;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < TXN_PARTS; i++) {
        load_content(f, txn_parts[i].topic, txn_parts[i].partition, &c);
        for (size_t k = 0; k < c.n; k++)
            seen[i][c.values[k]] = true;
    }
    for (int k = 0; k < VALUES_MAX; k++)
        if (seen[0][k] != seen[1][k] || seen[0][k] != seen[2][k])
            fail_msg("transaction %d: %d %d %d", k, seen[0][k], seen[1][k], seen[2][k]);
    int64_t expected = -1;
    for (int k = 0; k < VALUES_MAX; k += 3)
        expected = seen[0][k] ? k : expected;
    for (size_t i = 0; i < acks; i++)
        if (r->acks[i].kind == ACK_TXN && !seen[0][r->acks[i].value])
            fail_msg("transaction %lld was acknowledged", (long long)r->acks[i].value);
    assert_ok(broker_fetch_offset(f->b, "txn", "a", 0, &stored, &f->e), &f->e);
    if (stored != expected)
        fail_msg("offset %lld of the transactions' group, %lld expected", (long long)stored,
                 (long long)expected);
}

static void expect_offset(struct run *r, size_t acks, struct fixture *f)
{
    int64_t stored, acked = -1;
    for (size_t i = 0; i < acks; i++)
        if (r->acks[i].kind == ACK_OFFSET)
            acked = r->acks[i].offset;
    assert_ok(broker_fetch_offset(f->b, "group", "kept", 0, &stored, &f->e), &f->e);
    if (stored < acked || stored > atomic_load(&r->stored))
        fail_msg("offset %lld is stored, %lld was acknowledged", (long long)stored, (long long)acked);
}

static void expect_fleeting(struct run *r, size_t acks, struct fixture *f)
{
    const struct ack *last = NULL;
    struct topic_info t;
    for (size_t i = 0; i < acks; i++)
        if (strcmp(r->acks[i].topic, "fleeting") == 0 && r->acks[i].kind >= ACK_CREATED)
            last = &r->acks[i];
    int rc = broker_topic(f->b, "fleeting", &t, &f->e);
    if (rc) {
        assert_code(rc, ERR_UNKNOWN_TOPIC, &f->e);
        assert_true(!last || last->kind != ACK_CREATED);
        return;
    }
    assert_true(last && last->kind != ACK_DELETED);
    assert_true(last->kind != ACK_CREATED || memcmp(&t.id, &last->id, sizeof t.id) == 0);
    expect_partition(r, acks, f, "fleeting", 0, &t.id);
    topic_info_free(&t);
}

static void expect_everything(struct run *r, size_t acks, struct fixture *f)
{
    new_producer(f); /* aborts what was left open, else readers stop there */
    expect_txns(r, acks, f);
    for (int i = 0; i < TXN_PARTS; i++)
        expect_partition(r, acks, f, txn_parts[i].topic, txn_parts[i].partition, NULL);
    expect_partition(r, acks, f, "s", 0, NULL);
    expect_partition(r, acks, f, "s", 1, NULL);
    expect_partition(r, acks, f, "kept", 0, NULL);
    expect_partition(r, acks, f, "cache", 0, NULL);
    expect_partition(r, acks, f, "mixed", 0, NULL);
    expect_offset(r, acks, f);
    expect_fleeting(r, acks, f);
}

/* ---- rounds -------------------------------------------------------------------------------------------------------- */

static void go_on(struct fixture *f)
{
    produce(f, "s", 0, "", VALUES_MAX, 1);
    produce(f, "kept", 0, "", VALUES_MAX, 1);
}

/* An image that was cut while another one was being recovered. */
struct again {
    struct power power;
    char path[512];
    bool cut;
};

static void cut_again(void *arg)
{
    struct again *a = arg;
    power_image(&a->power, a->power.root, a->path, power_random(&a->power, 9));
    a->cut = true;
}

static void check_image(struct run *r, const struct image *image, unsigned depth)
{
    struct fixture f = {.dir = image->dir};
    struct again a = {.cut = false};
    buf_init(&f.batch, 64 << 20);
    if (depth) {
        snprintf(a.path, sizeof a.path, "%s-again", image->dir);
        power_start(&a.power, image->dir, (unsigned)rand_r(&r->seed), cut_again, &a);
        a.power.cut_at = 1 + (uint64_t)rand_r(&r->seed) % 150;
    }
    assert_ok(open_at(&f, image->dir), &f.e);
    expect_everything(r, image->acks, &f);
    if (!depth)
        go_on(&f);
    fixture_close(&f);
    if (depth)
        power_stop(&a.power);
    else {
        assert_ok(open_at(&f, image->dir), &f.e);
        expect_everything(r, image->acks, &f);
        fixture_close(&f);
    }
    buf_free(&f.batch);
    if (a.cut)
        check_image(r, &(struct image){a.path, image->acks}, depth - 1);
}

static void make_topics(struct fixture *f)
{
    static const struct topic_config_entry small[] = {{"segment.bytes", "1048576"}};
    static const struct topic_config_entry retained[] = {{"segment.bytes", "1048576"},
                                                         {"retention.bytes", "2000000"}};
    static const struct topic_config_entry cached[] = {{"durability", "page-cache"}};
    assert_ok(broker_create_topic(f->b, "s", 2, retained, 2, NULL, &f->e), &f->e);
    assert_ok(broker_create_topic(f->b, "kept", 1, small, 1, NULL, &f->e), &f->e);
    assert_ok(broker_create_topic(f->b, "cache", 1, cached, 1, NULL, &f->e), &f->e);
    create(f, "a", 2);
    create(f, "b", 1);
    create(f, "mixed", 1);
    new_producer(f);
}

static void run_once(unsigned seed)
{
    static void *(*const jobs[])(void *) = {write_records, write_txns, write_offsets, administer, watch_ends};
    static const int rounds[] = {250, 150, 250, 25, 0};
    struct worker workers[5];
    struct fixture f = {0};
    struct run r = {.f = &f, .seed = seed, .acks = calloc(ACKS_MAX, sizeof(struct ack))};
    char data[512];
    r.dir = testkit_dir();
    snprintf(data, sizeof data, "%s/data", r.dir);
    buf_init(&f.batch, 64 << 20);
    if (seed % 2) { /* followed from its first file on, or only after a clean stop */
        power_start(&r.power, data, seed, cut_power, &r);
        assert_ok(open_at(&f, data), &f.e);
        make_topics(&f);
    } else {
        assert_ok(open_at(&f, data), &f.e);
        make_topics(&f);
        fixture_close(&f);
        power_start(&r.power, data, seed, cut_power, &r);
        assert_ok(open_at(&f, data), &f.e);
        new_producer(&f);
    }
    pthread_mutex_lock(&r.power.lock);
    r.power.cut_at = r.power.events + 1 + seed % 300;
    pthread_mutex_unlock(&r.power.lock);
    for (int i = 0; i < 5; i++) {
        workers[i] = (struct worker){.r = &r, .f = {.b = f.b}, .rounds = rounds[i]};
        buf_init(&workers[i].f.batch, 64 << 20);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, jobs[i], &workers[i]), 0);
    }
    for (int i = 0; i < 5; i++) {
        atomic_store(&r.done, i == 4);
        pthread_join(workers[i].thread, NULL);
        buf_free(&workers[i].f.batch);
    }
    fixture_close(&f);
    power_stop(&r.power);
    for (size_t i = 0; i < r.image_count; i++) {
        check_image(&r, &r.images[i], i % 2);
        free(r.images[i].dir);
    }
    buf_free(&f.batch);
    free(r.acks);
    testkit_remove_dir(r.dir);
}

static void test_power_loss(void **state)
{
    const char *text = getenv("LEAT_TEST_SEED"), *runs = getenv("LEAT_TEST_RUNS");
    unsigned seed = text ? (unsigned)strtoul(text, NULL, 10) : (unsigned)clock_wall_ms();
    (void)state;
    for (int i = 0; i < (runs ? atoi(runs) : RUNS); i++) {
        static const size_t large_from[] = {0, 1, 200, 0};
        print_message("seed %u\n", seed + (unsigned)i);
        direct_bytes = large_from[(seed + (unsigned)i) % 4];
        run_once(seed + (unsigned)i);
    }
    direct_bytes = 0;
}

static void never(void *arg)
{
    (void)arg;
}

/* A deleted topic that was not in use is gone whatever is left of its files: nothing is set aside for somebody to see to. */
static void test_deleted_is_swept(void **state)
{
    static const struct topic_config_entry small[] = {{"segment.bytes", "1048576"}};
    char *base = testkit_dir(), data[512], image[600];
    struct fixture f = {.key_bytes = 60000};
    struct power power;
    (void)state;
    snprintf(data, sizeof data, "%s/data", base);
    buf_init(&f.batch, 1 << 20);
    assert_ok(open_at(&f, data), &f.e);
    assert_ok(broker_create_topic(f.b, "t", 1, small, 1, NULL, &f.e), &f.e);
    for (int i = 0; i < 80; i++) /* several segments: any file may be the last one to go */
        produce(&f, "t", 0, "", i, 1);
    fixture_close(&f);
    power_start(&power, data, 7, never, NULL);
    struct broker_options o = {.data_dir = data}; /* no retention soon: that would open the log */
    assert_ok(broker_open(&f.b, &o, &f.e), &f.e);
    assert_ok(broker_delete_topic(f.b, "t", &f.e), &f.e);
    for (int i = 0; i < 30; i++) {
        struct fixture after = {0};
        snprintf(image, sizeof image, "%s/image%d", base, i);
        pthread_mutex_lock(&power.lock);
        power_image(&power, power.root, image, 4);
        pthread_mutex_unlock(&power.lock);
        assert_ok(open_at(&after, image), &after.e);
        assert_int_equal(logs_named(image, "", "-stray"), 0);
        fixture_close(&after);
    }
    fixture_close(&f);
    power_stop(&power);
    buf_free(&f.batch);
    testkit_remove_dir(base);
}

enum { CUTS = 60 };

struct cuts {
    struct power power;
    const char *base;
    int n;
};

static void cut_each(void *arg)
{
    struct cuts *c = arg;
    char path[512];
    snprintf(path, sizeof path, "%s/image%d", c->base, c->n);
    power_image(&c->power, c->power.root, path, 8);
    if (++c->n < CUTS)
        c->power.cut_at = c->power.events + 1;
}

/* A stop at whatever point of a deletion: a new topic of the name does not begin with the old one's offsets. */
static void test_offsets_go_with_their_topic(void **state)
{
    static const struct group_offset o = {.topic = "t", .offset = 5, .leader_epoch = -1};
    char *base = testkit_dir(), data[512], image[600];
    struct fixture f = {0};
    static struct cuts c;
    int64_t stored;
    int unknown = 0;
    (void)state;
    c = (struct cuts){.base = base};
    snprintf(data, sizeof data, "%s/data", base);
    struct broker_options options = {.data_dir = data, .offsets_partitions = 1};
    assert_ok(broker_open(&f.b, &options, &f.e), &f.e);
    create(&f, "t", 1);
    assert_ok(broker_commit_offsets(f.b, "g", &o, 1, &f.e), &f.e);
    fixture_close(&f);
    power_start(&c.power, data, 7, cut_each, &c);
    assert_ok(broker_open(&f.b, &options, &f.e), &f.e);
    pthread_mutex_lock(&c.power.lock);
    c.power.cut_at = c.power.events + 1;
    pthread_mutex_unlock(&c.power.lock);
    assert_ok(broker_delete_topic(f.b, "t", &f.e), &f.e);
    power_stop(&c.power);
    fixture_close(&f);
    for (int i = 0; i < c.n; i++) {
        snprintf(image, sizeof image, "%s/image%d", base, i);
        options.data_dir = image;
        bool fresh = false;
        for (int round = 0; round < 2; round++) { /* also after a restart */
            assert_ok(broker_open(&f.b, &options, &f.e), &f.e);
            int rc = broker_create_topic(f.b, "t", 1, NULL, 0, NULL, &f.e);
            assert_ok(broker_fetch_offset(f.b, "g", "t", 0, &stored, &f.e), &f.e);
            fresh = fresh || rc == ERR_OK;
            assert_int_equal(stored, fresh ? -1 : 5);
            fixture_close(&f);
        }
        unknown += fresh;
    }
    assert_true(c.n > 3 && c.n < CUTS && unknown > 1);
    testkit_remove_dir(base);
}

/* A topic that is made anew under the name of one that is deleted has nothing of the other's checkpoints. */
static void test_made_anew(void **state)
{
    static struct content c;
    char *base = testkit_dir(), data[512], image[600];
    struct fixture f = {0};
    struct power power;
    int64_t low;
    (void)state;
    snprintf(data, sizeof data, "%s/data", base);
    buf_init(&f.batch, 1 << 20);
    assert_ok(open_at(&f, data), &f.e);
    create(&f, "t", 1);
    for (int i = 0; i < 20; i++)
        produce(&f, "t", 0, "", i, 1);
    assert_ok(broker_delete_records(f.b, "t", 0, 10, &low, &f.e), &f.e);
    fixture_close(&f);
    power_start(&power, data, 7, never, NULL);
    assert_ok(open_at(&f, data), &f.e);
    assert_ok(broker_delete_topic(f.b, "t", &f.e), &f.e);
    create(&f, "t", 1);
    for (int i = 0; i < 3; i++)
        produce(&f, "t", 0, "", 100 + i, 1);
    for (unsigned luck = 0; luck <= 8; luck += 4) {
        struct fixture after = {0};
        snprintf(image, sizeof image, "%s/image%u", base, luck);
        pthread_mutex_lock(&power.lock);
        power_image(&power, power.root, image, luck);
        pthread_mutex_unlock(&power.lock);
        assert_ok(open_at(&after, image), &after.e);
        load_content(&after, "t", 0, &c);
        assert_int_equal(c.start, 0);
        assert_int_equal(c.n, 3);
        assert_int_equal(c.values[2], 102);
        fixture_close(&after);
    }
    fixture_close(&f);
    power_stop(&power);
    buf_free(&f.batch);
    testkit_remove_dir(base);
}

/* What was kept by a clean stop is kept also when the file of recovery points is lost or broken. */
static void test_lost_recovery_points(void **state)
{
    static const char *const commands[] = {
        "rm logs/recovery-point-offset-checkpoint",
        "echo x > logs/recovery-point-offset-checkpoint",
        "truncate -s 8 logs/recovery-point-offset-checkpoint",
        "rm logs/*checkpoint; rm -r journal",
    };
    struct fixture *f = *state;
    char command[1200];
    create(f, "t", 2);
    for (int i = 0; i < 4; i++) {
        produce(f, "t", 0, "", 10 * i, 10);
        fixture_close(f);
        snprintf(command, sizeof command, "cd %s; %s", f->dir, commands[i]);
        assert_int_equal(system(command), 0);
        snprintf(command, sizeof command, "rm -f %s/logs/.kafka_cleanshutdown", f->dir);
        assert_int_equal(system(command), 0);
        fixture_open(f);
        int64_t end, ts;
        assert_ok(broker_list_offset(f->b, "t", 0, -1, READ_UNCOMMITTED, &end, &ts, &f->e), &f->e);
        assert_int_equal(end, 10 * i + 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_loss),
        cmocka_unit_test(test_deleted_is_swept),
        cmocka_unit_test(test_made_anew),
        cmocka_unit_test(test_offsets_go_with_their_topic),
        cmocka_unit_test_setup_teardown(test_lost_recovery_points, setup, teardown),
    };
    diag_setup(DIAG_ERROR, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
