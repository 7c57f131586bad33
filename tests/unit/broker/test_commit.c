/*
 * Who runs the rounds of the commit stage: the caller that waits, one of those who came meanwhile, the stage's thread for
 * what nobody waits for, and without a thread the next one who comes. And what all of them keep: order, grouping, room,
 * failure for good.
 */
#include "tests/unit/broker/helper.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/io_watch.h"
#include "broker/commit_internal.h"
#include "broker/store.h"
#include "broker/upkeep.h"

enum { WRITERS = 12 };

/* ---- watching the journal ---------------------------------------------------------------------------------------- */

static bool is_journal(int fd)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return strstr(path, "/journal/") != NULL;
}

struct seen {
    pthread_t by[64]; /* who wrote to the journal */
    atomic_int n;
    void (*first)(void *arg); /* called in the first write */
    void *arg;
};

static void note_write(void *arg, struct io_event *ev)
{
    struct seen *s = arg;
    if (ev->op != IO_OP_WRITE || ev->done || !is_journal(ev->fd))
        return;
    int i = atomic_fetch_add(&s->n, 1);
    assert_true(i < 64);
    s->by[i] = pthread_self();
    if (i == 0 && s->first)
        s->first(s->arg);
}

static void open_without_threads(struct fixture *f)
{
    struct broker_options o = {.data_dir = f->dir, .journal_file_bytes = 1 << 20, .no_threads = true};
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
}

static struct commit *stage_of(struct fixture *f)
{
    return f->b->disks[0]->commit;
}

/* Until what is asked for under the stage's lock holds. */
static void await(struct commit *c, bool (*holds)(const struct commit *c))
{
    bool there = false;
    while (!there) {
        sched_yield();
        pthread_mutex_lock(&c->lock);
        there = holds(c);
        pthread_mutex_unlock(&c->lock);
    }
}

/* One that has just begun takes what it finds, whoever waits for it. */
static bool thread_sleeps(const struct commit *c)
{
    return c->sleeping;
}

static void test_a_lone_writer_writes_itself(void **state)
{
    struct fixture *f = *state;
    struct seen s = {.n = 0};
    create(f, "t", 1);
    produce(f, "t", 0, "a", 0, 1); /* the first one also makes files */
    await(stage_of(f), thread_sleeps);
    io_watch(note_write, &s);
    for (int i = 1; i <= 5; i++)
        produce(f, "t", 0, "a", i, 1);
    io_watch(NULL, NULL);
    assert_int_equal(s.n, 5);
    for (int i = 0; i < s.n; i++)
        assert_true(pthread_equal(s.by[i], pthread_self()));
}

/* ---- many writers ------------------------------------------------------------------------------------------------- */

struct crowd;

struct member {
    struct crowd *c;
    int i;
};

struct crowd {
    struct fixture f[WRITERS]; /* own buffers, one broker */
    struct member members[WRITERS];
    pthread_t threads[WRITERS];
    int results[WRITERS];
    struct broker *b;
    uint64_t before; /* appends */
    bool fail;
};

static void *produce_one(void *arg)
{
    struct member *m = arg;
    struct fixture *f = &m->c->f[m->i];
    struct produce_request r = make_request(f, "t", m->i, "v", m->i, 1, BATCH_NO_PRODUCER);
    m->c->results[m->i] = broker_produce(f->b, &r, 1, false, &f->e);
    return NULL;
}

static void start_member(struct crowd *c, int i)
{
    c->members[i] = (struct member){c, i};
    assert_int_equal(pthread_create(&c->threads[i], NULL, produce_one, &c->members[i]), 0);
}

/* In the first one's write: the others start only now, so that none is in its round, and it waits until they have staged. */
static void gather(void *arg)
{
    struct crowd *c = arg;
    struct broker_stats s;
    for (int i = 1; i < WRITERS; i++)
        start_member(c, i);
    do {
        sched_yield();
        broker_stats(c->b, &s);
    } while (s.append_batches < c->before + WRITERS);
    if (c->fail)
        fault_arm(FAULT_WRITE, 1, EIO, true);
}

static void run_crowd(struct fixture *f, struct crowd *c, struct seen *s)
{
    struct broker_stats before;
    create(f, "t", WRITERS);
    for (int i = 0; i < WRITERS; i++)
        produce(f, "t", i, "first", 0, 1);
    broker_stats(f->b, &before);
    c->b = f->b;
    c->before = before.append_batches;
    s->first = gather;
    s->arg = c;
    io_watch(note_write, s);
    for (int i = 0; i < WRITERS; i++) {
        c->f[i].b = f->b;
        buf_init(&c->f[i].batch, 1 << 20);
    }
    start_member(c, 0);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(c->threads[i], NULL);
        buf_free(&c->f[i].batch);
    }
    io_watch(NULL, NULL);
    fault_disarm();
}

static bool is_member(const struct crowd *c, pthread_t t)
{
    for (int i = 0; i < WRITERS; i++)
        if (pthread_equal(c->threads[i], t))
            return true;
    return false;
}

/* One writes; all the others come while it does, and share the next sync, which one of them runs. */
static void check_shared_sync(struct fixture *f)
{
    static struct crowd c;
    struct seen s = {.n = 0};
    memset(&c, 0, sizeof c);
    run_crowd(f, &c, &s);
    assert_int_equal(s.n, 2);
    assert_true(is_member(&c, s.by[0]));
    for (int i = 0; i < WRITERS; i++)
        assert_ok(c.results[i], &c.f[i].e);
    for (int i = 0; i < WRITERS; i++) {
        char want[64];
        snprintf(want, sizeof want, "first0,v%d", i);
        expect_all(f, "t", i, READ_COMMITTED, want);
    }
}

static void test_those_who_come_meanwhile_share(void **state)
{
    check_shared_sync(*state);
}

static void test_sharing_without_a_thread(void **state)
{
    open_without_threads(*state);
    check_shared_sync(*state);
}

/* The second round cannot be written: the first one's caller is well, all the others learn of it, nobody hangs. */
static void test_failure_reaches_all(void **state)
{
    struct fixture *f = *state;
    static struct crowd c;
    struct seen s = {.n = 0};
    int well = 0;
    memset(&c, 0, sizeof c);
    c.fail = true;
    run_crowd(f, &c, &s);
    for (int i = 0; i < WRITERS; i++) {
        if (c.results[i] == ERR_OK)
            well++;
        else
            assert_code(c.results[i], ERR_IO, &c.f[i].e);
    }
    assert_int_equal(well, 1);
    assert_true(broker_failed(f->b, &f->e));
    assert_int_not_equal(broker_close(f->b, &f->e), ERR_OK);
    fixture_open(f);
}

/* ---- order -------------------------------------------------------------------------------------------------------- */

struct order {
    struct broker *b;
    pthread_mutex_t lock;
    int staged, done; /* done: only in callbacks, which come one after another */
    atomic_int left;
};

struct numbered {
    struct order *o;
    int number;
    struct produce_request r;
};

static void in_turn(void *arg, const struct err *e)
{
    struct numbered *n = arg;
    assert_int_equal(e->code, ERR_OK);
    assert_int_equal(n->number, n->o->done);
    n->o->done++;
    atomic_fetch_sub(&n->o->left, 1);
}

enum { EACH = 150, STAGERS = 3 };

static void *stage_numbered(void *arg)
{
    struct order *o = arg;
    struct fixture f = {.b = o->b};
    struct numbered *all = calloc(EACH, sizeof *all);
    buf_init(&f.batch, 1 << 20);
    for (int i = 0; i < EACH; i++) {
        all[i].o = o;
        all[i].r = make_request(&f, "t", i % 5, "x", i, 1, BATCH_NO_PRODUCER);
        pthread_mutex_lock(&o->lock);
        all[i].number = o->staged++;
        broker_produce_async(o->b, &all[i].r, 1, false, in_turn, &all[i]);
        pthread_mutex_unlock(&o->lock);
        if (i % 10 == 0) /* a waiter among them, which may run rounds */
            produce(&f, "other", 0, "y", i, 1);
    }
    while (atomic_load(&o->left) > 0)
        produce(&f, "other", 0, "z", 0, 1);
    buf_free(&f.batch);
    free(all);
    return NULL;
}

static void check_order(struct fixture *f)
{
    pthread_t threads[STAGERS];
    struct order o = {.b = f->b, .left = EACH * STAGERS};
    create(f, "t", 5);
    create(f, "other", 1);
    pthread_mutex_init(&o.lock, NULL);
    for (int i = 0; i < STAGERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, stage_numbered, &o), 0);
    for (int i = 0; i < STAGERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(o.done, EACH * STAGERS);
    pthread_mutex_destroy(&o.lock);
}

static void test_order_of_completion(void **state)
{
    check_order(*state);
}

static void test_order_without_a_thread(void **state)
{
    open_without_threads(*state);
    check_order(*state);
}

/* ---- room --------------------------------------------------------------------------------------------------------- */

enum { LARGE_RECORDS = 90, LARGE_BATCHES = 60 }; /* 54 MB */

/* Far more than the stage takes at once: whoever waits for room must get it, if need be by its own work. */
static void *produce_large(void *arg)
{
    struct member *m = arg;
    struct fixture *f = &m->c->f[m->i];
    f->key_bytes = 10000;
    for (int i = 0; i < LARGE_BATCHES; i++)
        add_batch(f, "v", i, LARGE_RECORDS, BATCH_NO_PRODUCER);
    struct produce_request r = {
        .topic = "t", .partition = m->i, .data = f->batch.data, .bytes = f->batch.len};
    m->c->results[m->i] = broker_produce(f->b, &r, 1, false, &f->e);
    return NULL;
}

static void check_room(struct fixture *f, int writers)
{
    static struct crowd c;
    struct member members[WRITERS];
    create(f, "t", writers);
    for (int i = 0; i < writers; i++) {
        memset(&c.f[i], 0, sizeof c.f[i]);
        c.f[i].b = f->b;
        buf_init(&c.f[i].batch, 64 << 20);
        members[i] = (struct member){&c, i};
        assert_int_equal(pthread_create(&c.threads[i], NULL, produce_large, &members[i]), 0);
    }
    for (int i = 0; i < writers; i++)
        pthread_join(c.threads[i], NULL);
    for (int i = 0; i < writers; i++) {
        struct topic_info info;
        assert_ok(c.results[i], &c.f[i].e);
        buf_free(&c.f[i].batch);
        assert_ok(broker_topic(f->b, "t", &info, &f->e), &f->e);
        assert_int_equal(info.partitions[i].high_watermark, LARGE_RECORDS * LARGE_BATCHES);
        topic_info_free(&info);
    }
}

static void test_room_with_a_thread(void **state)
{
    check_room(*state, 4);
}

static void test_room_without_a_thread(void **state)
{
    open_without_threads(*state);
    check_room(*state, 4);
}

static void test_room_for_one_without_a_thread(void **state)
{
    open_without_threads(*state);
    check_room(*state, 1);
}

/* ---- those who are on their way ------------------------------------------------------------------------------------ */

static bool somebody_guards(const struct commit *c)
{
    return c->guard;
}

static bool somebody_waits_for_room(const struct commit *c)
{
    return c->room_first;
}

static void begin_member(struct fixture *f, struct crowd *c, struct member *m, int i)
{
    memset(&c->f[i], 0, sizeof c->f[i]);
    c->f[i].b = f->b;
    buf_init(&c->f[i].batch, 1 << 20);
    *m = (struct member){c, i};
    assert_int_equal(pthread_create(&c->threads[i], NULL, produce_one, m), 0);
}

static void end_member(struct crowd *c, int i)
{
    pthread_join(c->threads[i], NULL);
    assert_ok(c->results[i], &c->f[i].e);
    buf_free(&c->f[i].batch);
}

#define AN_HOUR_NS INT64_C(3600000000000)

/* Nothing is written while one that has room may still stage; what ends that is that it gives its room back. */
static void test_a_round_waits_for_who_is_coming(void **state)
{
    struct fixture *f = *state;
    static struct crowd c;
    struct member m;
    struct seen s = {.n = 0};
    create(f, "t", 1);
    produce(f, "t", 0, "first", 0, 1);
    await(stage_of(f), thread_sleeps);
    stage_of(f)->gather_least_ns = AN_HOUR_NS;
    assert_ok(commit_reserve(stage_of(f), 1000, COMMIT_DATA, &f->e), &f->e);
    io_watch(note_write, &s);
    begin_member(f, &c, &m, 0);
    await(stage_of(f), somebody_guards);
    assert_int_equal(s.n, 0);
    commit_unreserve(stage_of(f), 1000);
    end_member(&c, 0);
    io_watch(NULL, NULL);
    assert_int_equal(s.n, 1);
    expect_all(f, "t", 0, READ_COMMITTED, "first0,v0");
}

static uint64_t records_written(struct fixture *f)
{
    struct broker_stats s;
    broker_stats(f->b, &s);
    return s.syncs;
}

/* Who finds no room waits as well, instead of writing what is there so far. */
static void test_who_waits_for_room_begins_no_small_round(void **state)
{
    struct fixture *f = *state;
    static struct crowd c;
    struct member m[2];
    struct commit *stage = stage_of(f);
    create(f, "t", 2);
    produce(f, "t", 0, "first", 0, 1);
    produce(f, "t", 1, "first", 0, 1);
    struct produce_request one = make_request(f, "t", 0, "v", 0, 1, BATCH_NO_PRODUCER);
    size_t rest =
        stage->soft - (one.bytes + COMMIT_ENTRY_OVERHEAD) * 3 / 2; /* leaves room for one of the two */
    await(stage, thread_sleeps);
    stage->gather_least_ns = AN_HOUR_NS;
    assert_ok(commit_reserve(stage, rest, COMMIT_DATA, &f->e), &f->e);
    uint64_t written = records_written(f);
    begin_member(f, &c, &m[0], 0);
    await(stage, somebody_guards);
    begin_member(f, &c, &m[1], 1);
    await(stage, somebody_waits_for_room);
    assert_int_equal(records_written(f), written);
    commit_unreserve(stage, rest);
    end_member(&c, 0);
    end_member(&c, 1);
    expect_all(f, "t", 0, READ_COMMITTED, "first0,v0");
    expect_all(f, "t", 1, READ_COMMITTED, "first0,v1");
}

/* One that is held up holds nobody up for long. */
static void test_who_does_not_come_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 1);
    assert_ok(commit_reserve(stage_of(f), 1000, COMMIT_DATA, &f->e), &f->e);
    for (int i = 0; i < 3; i++)
        produce(f, "t", 0, "v", i, 1);
    commit_unreserve(stage_of(f), 1000);
    expect_all(f, "t", 0, READ_COMMITTED, "v0,v1,v2");
}

/* Enough is enough: a round with many appends begins whoever is coming. */
static void test_a_large_group_waits_for_nobody(void **state)
{
    struct fixture *f = *state;
    struct produce_request r[30];
    size_t ends[31] = {0};
    create(f, "t", 30);
    stage_of(f)->gather_least_ns = AN_HOUR_NS;
    assert_ok(commit_reserve(stage_of(f), 1000, COMMIT_DATA, &f->e), &f->e);
    buf_reset(&f->batch);
    for (int i = 0; i < 30; i++)
        ends[i + 1] = ends[i] + add_batch(f, "v", i, 1, BATCH_NO_PRODUCER);
    for (int i = 0; i < 30; i++)
        r[i] = (struct produce_request){
            .topic = "t", .partition = i, .data = f->batch.data + ends[i], .bytes = ends[i + 1] - ends[i]};
    assert_ok(broker_produce(f->b, r, 30, true, &f->e), &f->e);
    commit_unreserve(stage_of(f), 1000);
}

/* ---- the journal's limit ------------------------------------------------------------------------------------------- */

/* Data waits until files were given back, and what the coordinators write does not, whoever was there first. */
static void test_data_waits_for_the_journal(void **state)
{
    struct fixture *f = *state;
    static struct crowd c;
    struct member m;
    struct broker_options o = {
        .data_dir = f->dir, .journal_file_bytes = 1 << 20, .journal_release_ms = INT32_MAX};
    struct group_offset offset = {.topic = "t", .partition = 0, .offset = 1, .leader_epoch = -1};
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    create(f, "t", 1);
    f->key_bytes = 60000;
    for (int i = 0; journal_sealed_bytes(f->b->disks[0]->journal) == 0; i++)
        produce(f, "t", 0, "v", i, 1);
    commit_limit_journal(stage_of(f), 1);
    begin_member(f, &c, &m, 0);
    await(stage_of(f), somebody_waits_for_room);
    assert_ok(broker_commit_offsets(f->b, "g", &offset, 1, &f->e), &f->e);
    await(stage_of(f), somebody_waits_for_room); /* still */
    assert_ok(upkeep_release_journal(f->b->disks[0], &f->e), &f->e);
    commit_limit_journal(stage_of(f), 1);
    end_member(&c, 0);
}

/* ---- which of the journal's files are done with -------------------------------------------------------------------- */

/* Two large appends, of which the second one's place is the next file, and one that waits: all while the first round is written. */
struct ending {
    struct fixture own[2];
    struct produce_request r[2];
    struct crowd *crowd;
    struct member *waits;
    struct fixture *f;
    atomic_bool begun;
    _Atomic(int64_t) too_early; /* commit_sealed when nothing of the second round was completed */
    sem_t done;
};

static struct journal *journal_of(struct fixture *f)
{
    return f->b->disks[0]->journal;
}

/* The round completes so slowly that the next one has ended the file meanwhile. */
static void complete_slowly(void *arg, const struct err *e)
{
    struct ending *x = arg;
    assert_int_equal(e->code, ERR_OK);
    while (journal_sealed(journal_of(x->f)) == 0)
        sched_yield();
    sem_post(&x->done);
}

static void look_at_sealed(void *arg, const struct err *e)
{
    struct ending *x = arg;
    assert_int_equal(e->code, ERR_OK);
    int64_t unseen = -1;
    atomic_compare_exchange_strong(&x->too_early, &unseen, (int64_t)commit_sealed(stage_of(x->f)));
    sem_post(&x->done);
}

static void begin_ending(void *arg, struct io_event *ev)
{
    struct ending *x = arg;
    struct broker_stats before, s;
    if (ev->op != IO_OP_WRITE || ev->done || !is_journal(ev->fd) || atomic_exchange(&x->begun, true))
        return;
    broker_stats(x->f->b, &before);
    for (int i = 0; i < 2; i++)
        broker_produce_async(x->f->b, &x->r[i], 1, false, look_at_sealed, x);
    begin_member(x->f, x->crowd, x->waits, 0);
    do {
        sched_yield();
        broker_stats(x->f->b, &s);
    } while (s.append_batches < before.append_batches + 3);
}

/* Its end may belong to a round of which nothing is completed yet: giving it back then would lose that in a crash. */
static void test_a_file_counts_when_all_in_it_is_completed(void **state)
{
    struct fixture *f = *state;
    static struct crowd c;
    struct member m;
    struct broker_options o = {.data_dir = f->dir,
                               .journal_file_bytes = 4 << 20,
                               .journal_release_ms = INT32_MAX,
                               .direct_bytes = 1 << 30};
    struct ending x = {.f = f, .crowd = &c, .waits = &m, .too_early = -1};
    sem_init(&x.done, 0, 0);
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    create(f, "t", 3);
    produce(f, "t", 0, "first", 0, 1);
    for (int i = 0; i < 2; i++) {
        x.own[i] = (struct fixture){.b = f->b, .key_bytes = 60000};
        buf_init(&x.own[i].batch, 8 << 20);
        for (int k = 0; k < 4 + i; k++)
            add_batch(&x.own[i], "large", k * 10, 10, BATCH_NO_PRODUCER);
        x.r[i] = (struct produce_request){
            .topic = "t", .partition = 1 + i, .data = x.own[i].batch.data, .bytes = x.own[i].batch.len};
    }
    struct produce_request slow = make_request(f, "t", 0, "slow", 0, 1, BATCH_NO_PRODUCER);
    io_watch(begin_ending, &x);
    broker_produce_async(f->b, &slow, 1, false, complete_slowly, &x);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sem_wait(&x.done), 0);
    end_member(&c, 0);
    assert_int_equal(x.too_early, 0);
    while (commit_sealed(stage_of(f)) != 1)
        sched_yield();
    fixture_close(f);
    io_watch(NULL, NULL);
    for (int i = 0; i < 2; i++)
        buf_free(&x.own[i].batch);
    sem_destroy(&x.done);
}

/* ---- those that are pushed ----------------------------------------------------------------------------------------- */

static void ring_when_done(void *arg, const struct err *e)
{
    assert_int_equal(e->code, ERR_OK);
    sem_post(arg);
}

static void test_what_is_pushed_together_shares_a_sync(void **state)
{
    struct fixture *f = *state;
    struct seen s = {.n = 0};
    struct produce_request r[3];
    struct fixture own[3] = {0};
    sem_t done;
    sem_init(&done, 0, 0);
    create(f, "t", 1);
    produce(f, "t", 0, "a", 0, 1); /* the first one also makes files */
    await(stage_of(f), thread_sleeps);
    io_watch(note_write, &s);
    for (int i = 0; i < 3; i++) {
        own[i].b = f->b;
        buf_init(&own[i].batch, 1 << 20);
        r[i] = make_request(&own[i], "t", 0, "v", i, 1, BATCH_NO_PRODUCER);
        assert_true(broker_produce_try(f->b, &r[i], 1, ring_when_done, &done));
    }
    broker_produce_push(f->b);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sem_wait(&done), 0);
    io_watch(NULL, NULL);
    assert_int_equal(s.n, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(r[i].appended.base_offset, 1 + i);
        buf_free(&own[i].batch);
    }
    sem_destroy(&done);
}

/* ---- without threads ---------------------------------------------------------------------------------------------- */

static void count_done(void *arg, const struct err *e)
{
    assert_int_equal(e->code, ERR_OK);
    (*(int *)arg)++;
}

static void test_unwaited_appends(void **state)
{
    struct fixture *f = *state;
    int done = 0;
    open_without_threads(f);
    create(f, "t", 1);
    struct produce_request r = make_request(f, "t", 0, "a", 0, 1, BATCH_NO_PRODUCER);
    broker_produce_async(f->b, &r, 1, false, count_done, &done);
    assert_int_equal(done, 0);
    expect_all(f, "t", 0, READ_UNCOMMITTED, ""); /* not synced, not shown */
    broker_step(f->b, clock_mono_ms());
    assert_int_equal(done, 1);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "a0");

    r = make_request(f, "t", 0, "a", 1, 1, BATCH_NO_PRODUCER);
    broker_produce_async(f->b, &r, 1, false, count_done, &done);
    assert_int_equal(done, 1);
    produce(f, "t", 0, "a", 2, 1); /* who waits completes what came before */
    assert_int_equal(done, 2);

    r = make_request(f, "t", 0, "a", 3, 1, BATCH_NO_PRODUCER);
    broker_produce_async(f->b, &r, 1, false, count_done, &done);
    assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e); /* waits for what holds the topic */
    assert_int_equal(done, 3);

    create(f, "u", 1);
    r = make_request(f, "u", 0, "b", 0, 1, BATCH_NO_PRODUCER);
    broker_produce_async(f->b, &r, 1, false, count_done, &done);
    fixture_close(f);
    assert_int_equal(done, 4);
    fixture_open(f);
    expect_all(f, "u", 0, READ_UNCOMMITTED, "b0");
}

/* Only when it is told that time has come: a transaction's timeout, retention. */
static void test_steps_of_upkeep(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config[] = {{"segment.bytes", "1048576"}, {"retention.bytes", "1000000"}};
    struct batch_producer p = {.transactional = true};
    struct txn_partition part = {"t", 0};
    int64_t id, start, ts, now;
    open_without_threads(f);
    assert_ok(broker_create_topic(f->b, "t", 1, config, 2, NULL, &f->e), &f->e);
    f->key_bytes = 60000;
    for (int i = 0; i < 30; i++)
        produce(f, "t", 0, "v", 3 * i, 3);
    f->key_bytes = 0;
    assert_ok(broker_init_producer(f->b, "x", 600000, &id, &p.epoch, &f->e), &f->e);
    p.id = id;
    assert_ok(broker_txn_add_partitions(f->b, "x", id, p.epoch, &part, 1, &f->e), &f->e);
    struct produce_request r = make_request(f, "t", 0, "txn", 0, 1, p);
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);

    now = clock_mono_ms();
    assert_true(broker_step(f->b, now) > now);
    assert_ok(broker_list_offset(f->b, "t", 0, -2, READ_COMMITTED, &start, &ts, &f->e), &f->e);
    assert_int_equal(start, 0);
    assert_ok(broker_list_offset(f->b, "t", 0, -1, READ_COMMITTED, &start, &ts, &f->e), &f->e);
    assert_int_equal(start, 90); /* held by the open transaction */

    broker_step(f->b, now + 3600000);
    assert_ok(broker_list_offset(f->b, "t", 0, -2, READ_COMMITTED, &start, &ts, &f->e), &f->e);
    assert_true(start > 0);
    assert_ok(broker_list_offset(f->b, "t", 0, -1, READ_COMMITTED, &start, &ts, &f->e), &f->e);
    assert_int_equal(start, 92); /* the record and its marker */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_lone_writer_writes_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_those_who_come_meanwhile_share, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sharing_without_a_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_reaches_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order_of_completion, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order_without_a_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room_with_a_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room_without_a_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room_for_one_without_a_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_round_waits_for_who_is_coming, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_waits_for_room_begins_no_small_round, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_does_not_come_is_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_large_group_waits_for_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data_waits_for_the_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_counts_when_all_in_it_is_completed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_pushed_together_shares_a_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unwaited_appends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_steps_of_upkeep, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
