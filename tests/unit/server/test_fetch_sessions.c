/*
 * Incremental fetch sessions (KIP-227): ids and epochs, which session gives way to which, what an answer leaves out, two requests in
 * one session; and random schedules, each answer of which is compared with one made from scratch.
 */
#include <sched.h>
#include <semaphore.h>

#include "base/io_watch.h"
#include "server/fetch_session.h"
#include "server/internal.h"
#include "tests/unit/server/client.h"

#define TOPICS 3
#define PARTITIONS 3

/* ---- the wire ----------------------------------------------------------------------------------------------------- */

/* A Fetch in a session, of one partition of `topic`, or of none where it is NULL. */
static struct msg_fetch_request *in_session(struct rig *r, int32_t id, int32_t epoch, const char *topic,
                                            int64_t offset)
{
    struct msg_fetch_request *q = make_fetch(r, topic != NULL ? topic : "t", 0, offset, 0, 1 << 20);
    q->session_id = id;
    q->session_epoch = epoch;
    if (topic == NULL)
        q->topics.count = 0;
    return q;
}

static struct msg_fetch_response *ask_session(struct rig *r, int16_t version, struct msg_fetch_request *q,
                                              int16_t code, int32_t topics)
{
    struct msg_fetch_response *a = ask(r, r->fd, MSG_KEY_fetch, version, q);
    assert_int_equal(a->error_code, code);
    assert_int_equal(a->responses.count, topics);
    if (code != 0)
        assert_int_equal(a->session_id, 0);
    return a;
}

static void produce_one(struct rig *r, const char *topic, int32_t partition)
{
    void *a =
        ask(r, r->fd, MSG_KEY_produce, 9, make_produce(r, topic, partition, -1, make_batch(r, "value", 5)));
    assert_int_equal(PRODUCED(a)->error_code, 0);
}

static void test_ids_and_epochs(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){.fetch_sessions = 10});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 2);
    int32_t id = ask_session(&r, 12, in_session(&r, 0, 0, "t", 0), 0, 1)->session_id;
    assert_true(id > 0);
    assert_int_equal(ask_session(&r, 12, in_session(&r, id, 1, NULL, 0), 0, 0)->session_id, id);
    ask_session(&r, 12, in_session(&r, id, 1, NULL, 0), 71, 0);
    ask_session(&r, 12, in_session(&r, id, 3, NULL, 0), 71, 0);
    ask_session(&r, 12, in_session(&r, id + 1, 2, NULL, 0), 70, 0);
    ask_session(&r, 12, in_session(&r, 0, 2, NULL, 0), 70, 0);
    ask_session(&r, 13, in_session(&r, id, 2, NULL, 0), 106, 0);
    produce_one(&r, "t", 0);
    struct msg_fetch_response *a = ask_session(&r, 12, in_session(&r, id, 2, NULL, 0), 0, 1);
    assert_int_equal(FETCHED(a)->high_watermark, 1);
    assert_true(FETCHED(a)->records.n > 0);
    ask_session(&r, 12, in_session(&r, id, 3, "t", 1), 0, 0); /* it has that; the watermark was told */
    int32_t other = ask_session(&r, 12, in_session(&r, id, 0, "t", 1), 0, 1)->session_id;
    assert_true(other > 0 && other != id);
    ask_session(&r, 12, in_session(&r, id, 4, NULL, 0), 70, 0); /* the full request closed it */
    assert_int_equal(ask_session(&r, 12, in_session(&r, other, -1, NULL, 0), 0, 0)->session_id, 0);
    ask_session(&r, 12, in_session(&r, other, 1, NULL, 0), 70, 0);
    /* all is forgotten: that is the end of it */
    id = ask_session(&r, 7, in_session(&r, 0, 0, "t", 1), 0, 1)->session_id;
    struct msg_fetch_request *q = in_session(&r, id, 1, NULL, 0);
    int32_t partition = 0;
    struct msg_fetch_request_forgotten_topic gone = {.topic = msg_text("t", 1),
                                                     .partitions = {.items = &partition, .count = 1}};
    q->forgotten_topics_data.items = &gone;
    q->forgotten_topics_data.count = 1;
    assert_int_equal(ask_session(&r, 7, q, 0, 0)->session_id, 0);
    ask_session(&r, 7, in_session(&r, id, 2, NULL, 0), 70, 0);
    /* by ids */
    id = ask_session(&r, 18, in_session(&r, 0, 0, "t", 1), 0, 1)->session_id;
    ask_session(&r, 18, in_session(&r, id, 1, NULL, 0), 0, 0);
    ask_session(&r, 12, in_session(&r, id, 2, NULL, 0), 106, 0);
    ask_session(&r, 18, in_session(&r, id, 2, NULL, 0), 0, 0);
    rig_stop(&r);
}

static void test_without_slots(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){.fetch_sessions = 0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    assert_int_equal(ask_session(&r, 12, in_session(&r, 0, 0, "t", 0), 0, 1)->session_id, 0);
    rig_stop(&r);
}

/* Errors are told each time, and what is well again is told once more. */
static void test_a_topic_that_goes_and_comes(void **state)
{
    (void)state;
    struct err e = {0};
    struct rig r;
    rig_start(&r, (struct server_options){.fetch_sessions = 10});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    int32_t id = ask_session(&r, 12, in_session(&r, 0, 0, "t", 0), 0, 1)->session_id;
    assert_ok(broker_delete_topic(r.broker, "t", &e), &e);
    for (int32_t i = 1; i < 4; i++) {
        struct msg_fetch_response *a = ask_session(&r, 12, in_session(&r, id, i, NULL, 0), 0, 1);
        assert_int_equal(FETCHED(a)->error_code, 3);
        assert_int_equal(FETCHED(a)->high_watermark, -1);
    }
    make_topic(&r, "t", 1);
    struct msg_fetch_response *a = ask_session(&r, 12, in_session(&r, id, 4, NULL, 0), 0, 1);
    assert_int_equal(FETCHED(a)->error_code, 0);
    assert_int_equal(FETCHED(a)->high_watermark, 0);
    ask_session(&r, 12, in_session(&r, id, 5, NULL, 0), 0, 0);
    rig_stop(&r);
}

/* A request of the session comes by another connection while one waits: it goes on, and the one that waited is told so. */
static void test_two_requests_in_one_session(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){.fetch_sessions = 10, .network_threads = 2});
    int reader = rig_connect(&r);
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    int32_t id = ask_session(&r, 12, in_session(&r, 0, 0, "t", 0), 0, 1)->session_id;
    struct server_stats before, now;
    server_stats(r.server, &before);
    struct msg_fetch_request *q = in_session(&r, id, 1, NULL, 0);
    q->max_wait_ms = LIMIT_MS;
    put_request(&r, MSG_KEY_fetch, 12, q);
    int32_t correlation = r.correlation;
    send_requests(&r, reader);
    do /* until it was read; then it is soon waiting, or comes second: both are fine */
        server_stats(r.server, &now);
    while (now.requests == before.requests);
    struct msg_fetch_request *second = in_session(&r, id, 2, NULL, 0);
    struct msg_fetch_response *a = ask(&r, r.fd, MSG_KEY_fetch, 12, second);
    while (a->error_code == 71) /* it came first */
        a = ask(&r, r.fd, MSG_KEY_fetch, 12, second);
    assert_int_equal(a->error_code, 0);
    assert_int_equal(a->session_id, id);
    produce_one(&r, "t", 0);
    a = get_answer(&r, reader, MSG_KEY_fetch, 12, correlation);
    assert_int_equal(a->error_code, 71);
    assert_int_equal(a->session_id, 0);
    close(reader);
    rig_stop(&r);
}

/* ---- two requests, of which the pool looks after one ---- */

#define CLOSED 4 /* partitions of "cold", whose logs nobody has opened */

struct pool_look {
    struct rig r;
    struct fetch_session *session;
    int32_t id;
    int reader;
    int32_t fetch; /* correlation of what it asked */
    sem_t reached, answered;
    int opened[CLOSED]; /* files, by the pool's only thread */
};

static bool somebody_waits(struct fetch_session *f)
{
    pthread_mutex_lock(&f->lock);
    bool waits = f->turns - f->turn > 1;
    pthread_mutex_unlock(&f->lock);
    return waits;
}

/* Of the first log the opening takes until the other request waits for the session, of the one after the next until that is answered. */
static void open_late(void *arg, struct io_event *ev)
{
    struct pool_look *l = arg;
    char name[32];
    bool pool = ev->op == IO_OP_OPEN && pthread_getname_np(pthread_self(), name, sizeof name) == 0 &&
                strcmp(name, "kafka-io") == 0;
    for (int i = 0; pool && i < CLOSED; i++) {
        snprintf(name, sizeof name, "/cold-%d/", i);
        if (strstr(ev->path, name) == NULL || l->opened[i]++ > 0)
            continue;
        if (i == 0)
            sem_post(&l->reached);
        while (i == 0 && !somebody_waits(l->session))
            sched_yield();
        if (i == 2)
            sem_wait(&l->answered);
    }
}

/* All of "cold" comes into a session, and the pool is about to open the first log. */
static void begin_look(struct pool_look *l)
{
    struct rig *r = &l->r;
    const struct server_options one_thread = {.network_threads = 1, .io_threads = 1, .fetch_sessions = 4};
    rig_start(r, one_thread);
    r->fd = rig_connect(r);
    make_topic(r, "t", 1);
    make_topic(r, "cold", CLOSED);
    for (int32_t i = 0; i < CLOSED; i++)
        produce_one(r, "cold", i);
    rig_close(r);
    sem_init(&l->reached, 0, 0);
    sem_init(&l->answered, 0, 0);
    io_watch(open_late, l);
    rig_open(r, one_thread);
    l->reader = rig_connect(r);
    r->fd = rig_connect(r);
    l->id = ask_session(r, 12, in_session(r, 0, 0, "t", 0), 0, 1)->session_id;
    l->session = fetch_session_hold(r->server->fetch_sessions, l->id);
    assert_non_null(l->session);
    struct msg_fetch_request *q = in_session(r, l->id, 1, "cold", 0);
    struct msg_fetch_request_partition all[CLOSED];
    for (int32_t i = 0; i < CLOSED; i++) {
        all[i] = q->topics.items[0].partitions.items[0];
        all[i].partition = i;
    }
    q->topics.items[0].partitions.items = all;
    q->topics.items[0].partitions.count = CLOSED;
    put_request(r, MSG_KEY_fetch, 12, q);
    l->fetch = r->correlation;
    send_requests(r, l->reader);
    sem_wait(&l->reached);
}

static void end_look(struct pool_look *l)
{
    fetch_session_release(l->r.server->fetch_sessions, l->session);
    close(l->reader);
    rig_stop(&l->r);
    io_watch(NULL, NULL);
    sem_destroy(&l->reached);
    sem_destroy(&l->answered);
}

/* The other one does not go on with the session: it is told so between two partitions, and the look goes on to its end. */
static void test_a_look_gives_way(void **state)
{
    (void)state;
    struct pool_look l = {.id = 0};
    begin_look(&l);
    ask_session(&l.r, 12, in_session(&l.r, l.id, 9, NULL, 0), 71, 0);
    sem_post(&l.answered);
    struct msg_fetch_response *a = get_answer(&l.r, l.reader, MSG_KEY_fetch, 12, l.fetch);
    assert_int_equal(a->error_code, 0);
    assert_int_equal(a->responses.count, 1);
    assert_int_equal(a->responses.items[0].partitions.count, CLOSED);
    for (int32_t i = 0; i < CLOSED; i++) {
        assert_int_equal(a->responses.items[0].partitions.items[i].partition_index, i);
        assert_true(a->responses.items[0].partitions.items[i].records.n > 0);
    }
    ask_session(&l.r, 12, in_session(&l.r, l.id, 2, NULL, 0), 0, 1);
    end_look(&l);
}

/* The other one goes on with it, without the partition that was looked at last, and one that the look was to come to, and does not. */
static void test_a_look_is_given_up(void **state)
{
    (void)state;
    struct pool_look l = {.id = 0};
    begin_look(&l);
    struct msg_fetch_request *q = in_session(&l.r, l.id, 2, NULL, 0);
    int32_t partitions[] = {0, 2};
    struct msg_fetch_request_forgotten_topic gone = {.topic = msg_text("cold", 4),
                                                     .partitions = {.items = partitions, .count = 2}};
    q->forgotten_topics_data.items = &gone;
    q->forgotten_topics_data.count = 1;
    struct msg_fetch_response *a = ask_session(&l.r, 12, q, 0, 1);
    assert_int_equal(a->responses.items[0].partitions.count, 2);
    for (int32_t i = 0; i < 2; i++) {
        assert_int_equal(a->responses.items[0].partitions.items[i].partition_index, 2 * i + 1);
        assert_true(a->responses.items[0].partitions.items[i].records.n > 0);
    }
    a = get_answer(&l.r, l.reader, MSG_KEY_fetch, 12, l.fetch);
    assert_int_equal(a->error_code, 71);
    assert_int_equal(l.opened[2], 0);
    end_look(&l);
}

/* ---- the cache ---------------------------------------------------------------------------------------------------- */

static int32_t make(struct fetch_sessions *s, size_t n, int64_t now)
{
    struct fetch_topic t = {.name = "t"};
    struct fetch_part *list = calloc(n, sizeof *list);
    struct fetch_parts parts = {0};
    struct err e = {0};
    assert_non_null(list);
    t.hash = fetch_hash_topic(fetch_sessions_secret(s), t.name, &t.id);
    assert_ok(fetch_parts_reserve(&parts, n, &e), &e);
    for (size_t i = 0; i < n; i++) {
        list[i] = (struct fetch_part){.topic = &t, .partition = (int32_t)i};
        list[i].hash = fetch_hash_part(fetch_sessions_secret(s), &t, (int32_t)i);
        fetch_parts_add(&parts, &list[i]);
    }
    int32_t id = fetch_session_make(s, &parts, false, now);
    fetch_parts_drop_table(&parts);
    free(list);
    return id;
}

static int16_t use(struct fetch_sessions *s, int32_t id, int32_t epoch, int64_t now)
{
    struct fetch_parts none = {0};
    struct fetch_session *f;
    int32_t began;
    int16_t code = fetch_session_begin(s, id, epoch, false, &none, NULL, 0, now, &f, &began);
    if (f != NULL)
        fetch_session_release(s, f);
    return code;
}

static void test_which_session_gives_way(void **state)
{
    (void)state;
    struct err e = {0};
    struct fetch_sessions *s = fetch_sessions_new(3, &e);
    const int64_t later = FETCH_SESSION_EVICT_MS + 1;
    int32_t a = make(s, 10, 0), b = make(s, 20, 0), c = make(s, 30, 0);
    assert_true(a > 0 && b > 0 && c > 0);
    assert_int_equal(make(s, 100, FETCH_SESSION_EVICT_MS), 0); /* nobody was idle or old for long enough */
    assert_int_equal(use(s, b, 1, later), 0); /* in use, and old enough now to give way to a larger one */
    assert_int_equal(use(s, c, 1, later), 0);
    int32_t d = make(s, 5, later); /* of the idle one's place, however small */
    assert_true(d > 0);
    assert_int_equal(use(s, a, 1, later), 70);
    assert_int_equal(make(s, 20, later), 0); /* no larger than the smallest that may give way */
    int32_t f = make(s, 21, later);
    assert_true(f > 0);
    assert_int_equal(use(s, b, 2, later), 70);
    assert_int_equal(use(s, c, 2, later), 0);
    assert_int_equal(use(s, d, 1, later), 0); /* the smallest, but too young */
    assert_int_equal(use(s, f, 1, later), 0);
    assert_int_equal(fetch_sessions_count(s), 3);
    fetch_sessions_free(s);
}

static void test_partitions_of_all_sessions(void **state)
{
    (void)state;
    struct err e = {0};
    struct fetch_sessions *s = fetch_sessions_new(1000, &e);
    const size_t half = FETCH_SESSION_PARTITIONS_MAX / 2;
    assert_int_equal(make(s, FETCH_SESSION_PARTITIONS_MAX + 1, 0), 0);
    int32_t a = make(s, half, 0), b = make(s, half, 1);
    assert_true(a > 0 && b > 0);
    assert_int_equal(make(s, 1, 2), 0);
    assert_true(make(s, 1, FETCH_SESSION_EVICT_MS + 1) > 0);
    assert_int_equal(use(s, a, 1, 3), 70);
    assert_int_equal(use(s, b, 1, 3), 0);
    fetch_sessions_free(s);
}

/* A session that was removed while somebody works with it. */
static void test_held_and_closed(void **state)
{
    (void)state;
    struct err e = {0};
    struct fetch_sessions *s = fetch_sessions_new(3, &e);
    struct fetch_parts none = {0};
    struct fetch_session *f;
    int32_t epoch, id = make(s, 20, 0);
    assert_int_equal(fetch_session_begin(s, id, 1, false, &none, NULL, 0, 0, &f, &epoch), 0);
    assert_int_equal(epoch, 2);
    fetch_session_close(s, id);
    assert_int_equal(fetch_sessions_count(s), 0);
    assert_int_equal(f->parts.n, 20);
    fetch_session_release(s, f);
    fetch_sessions_free(s);
}

/* ---- random schedules --------------------------------------------------------------------------------------------- */

/* What a client believes of a partition, and what the model knows that it was told. */
struct follower {
    bool followed;
    int64_t offset;
    int32_t max_bytes;
    int64_t told_watermark, told_start;
    int order; /* the lower ones are looked at first */
};

struct schedule {
    struct rig r;
    uint64_t seed;
    int16_t version;
    bool there[TOPICS];
    struct follower at[TOPICS][PARTITIONS];
    int32_t id, epoch;
    int next_order;
};

static uint32_t roll(struct schedule *s, uint32_t n)
{
    s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(s->seed >> 33) % n;
}

static const char *topic_name(int t)
{
    static const char *const names[TOPICS] = {"a", "b", "c"};
    return names[t];
}

static void change_something(struct schedule *s)
{
    struct err e = {0};
    int t = (int)roll(s, TOPICS);
    int32_t p = (int32_t)roll(s, PARTITIONS);
    int64_t low;
    uint32_t what = roll(s, 20);
    if (what == 0 && s->version < 13) { /* made anew it has another id, which this client does not know */
        assert_ok(s->there[t] ? broker_delete_topic(s->r.broker, topic_name(t), &e) : ERR_OK, &e);
        if (!s->there[t])
            make_topic(&s->r, topic_name(t), PARTITIONS);
        s->there[t] = !s->there[t];
    } else if (what < 4 && s->there[t]) {
        assert_ok(broker_delete_records(s->r.broker, topic_name(t), p, -1, &low, &e), &e);
    } else if (s->there[t]) {
        produce_one(&s->r, topic_name(t), p);
    }
}

/* What a request without a session gets for the partition alone. */
static struct msg_fetch_response_partition_data from_scratch(struct schedule *s, int t, int32_t p,
                                                             size_t *left, bool first)
{
    struct follower *f = &s->at[t][p];
    struct msg_fetch_response *a = ask(&s->r, s->r.fd, MSG_KEY_fetch, s->version,
                                       make_fetch(&s->r, topic_name(t), p, f->offset, 0, f->max_bytes));
    struct msg_fetch_response_partition_data d = *FETCHED(a);
    size_t most = (size_t)f->max_bytes < *left ? (size_t)f->max_bytes : *left, n = 0;
    while (n <
           (size_t)d.records.n) { /* as many batches as fit, of the first partition with any at least one */
        size_t size = be32(d.records.p + n + 8) + 12;
        if (n + size > most && !(first && n == 0))
            break;
        n += size;
    }
    d.records.n = (int32_t)n;
    *left -= n < *left ? n : *left;
    return d;
}

/* The next partition by order; false: there is none. */
static bool next_of(const struct schedule *s, int after, int *t, int32_t *p)
{
    int best = INT32_MAX;
    for (int i = 0; i < TOPICS; i++)
        for (int32_t k = 0; k < PARTITIONS; k++)
            if (s->at[i][k].followed && s->at[i][k].order > after && s->at[i][k].order < best) {
                best = s->at[i][k].order;
                *t = i;
                *p = k;
            }
    return best < INT32_MAX;
}

struct expected {
    int t;
    int32_t p;
    struct msg_fetch_response_partition_data data;
};

/* What the answer must have in it, in its order; and the model goes on. */
static int expect(struct schedule *s, size_t max_bytes, bool full, struct expected *list)
{
    int n = 0, t = 0;
    int32_t p = 0;
    size_t left = max_bytes;
    bool first = true;
    for (int after = -1; next_of(s, after, &t, &p); after = s->at[t][p].order) {
        struct follower *f = &s->at[t][p];
        struct msg_fetch_response_partition_data d = from_scratch(s, t, p, &left, first);
        first = first && d.records.n == 0;
        bool told = full || d.records.n > 0 || d.error_code != 0 || d.high_watermark != f->told_watermark ||
                    d.log_start_offset != f->told_start;
        if (told)
            list[n++] = (struct expected){t, p, d};
    }
    for (int i = 0; i < n; i++) {
        struct follower *f = &s->at[list[i].t][list[i].p];
        f->told_watermark = list[i].data.high_watermark;
        f->told_start = list[i].data.log_start_offset;
        if (list[i].data.records.n > 0 && !full)
            f->order = s->next_order++;
    }
    return n;
}

/* The client goes on behind what it got, or elsewhere, or gives a partition up. Fills the request with what changed. */
static void change_followed(struct schedule *s, bool full, struct msg_fetch_request *q)
{
    struct msg_fetch_request_topic *topics = arena_alloc(&s->r.arena, TOPICS * sizeof *topics);
    struct msg_fetch_request_forgotten_topic *gone = arena_alloc(&s->r.arena, TOPICS * sizeof *gone);
    q->topics.items = topics;
    q->topics.count = 0;
    q->forgotten_topics_data.items = gone;
    for (int t = 0; t < TOPICS; t++) {
        struct err e;
        struct topic_brief brief = {.partitions = 0};
        broker_topic_brief(s->r.broker, topic_name(t), &brief, &e);
        struct msg_fetch_request_topic *out = &topics[q->topics.count];
        struct msg_fetch_request_forgotten_topic *away = &gone[q->forgotten_topics_data.count];
        msg_init(&msg_schema_fetch_request_topic, out);
        *away = (struct msg_fetch_request_forgotten_topic){.topic = msg_text(topic_name(t), 1),
                                                           .topic_id = brief.id};
        out->topic = msg_text(topic_name(t), 1);
        out->topic_id = brief.id;
        out->partitions.items = arena_alloc(&s->r.arena, PARTITIONS * sizeof *out->partitions.items);
        away->partitions.items = arena_alloc(&s->r.arena, PARTITIONS * sizeof *away->partitions.items);
        for (int32_t p = 0; p < PARTITIONS; p++) {
            struct follower *f = &s->at[t][p];
            bool had = f->followed;
            uint32_t what = roll(s, 8);
            if (what == 0)
                f->followed = !f->followed;
            if (had && !f->followed && !full)
                away->partitions.items[away->partitions.count++] = p;
            if (!f->followed || (had && what != 1 && !full))
                continue;
            f->offset = roll(s, 6);
            f->max_bytes = (int32_t)roll(s, 300);
            if (!had || full) {
                f->told_watermark = f->told_start = -1;
                f->order = s->next_order++;
            }
            struct msg_fetch_request_partition *ask = &out->partitions.items[out->partitions.count++];
            msg_init(&msg_schema_fetch_request_partition, ask);
            ask->partition = p;
            ask->fetch_offset = f->offset;
            ask->partition_max_bytes = f->max_bytes;
        }
        q->topics.count += out->partitions.count > 0;
        q->forgotten_topics_data.count += away->partitions.count > 0;
    }
}

static void compare(struct schedule *s, const struct msg_fetch_response *a, const struct expected *list,
                    int n)
{
    int i = 0;
    for (int32_t t = 0; t < a->responses.count; t++) {
        const struct msg_fetch_response_fetchable_topic_response *topic = &a->responses.items[t];
        for (int32_t k = 0; k < topic->partitions.count; k++, i++) {
            const struct msg_fetch_response_partition_data *got = &topic->partitions.items[k];
            assert_true(i < n);
            assert_int_equal(got->partition_index, list[i].p);
            if (s->version < 13)
                assert_memory_equal(topic->topic.p, topic_name(list[i].t), 1);
            assert_int_equal(got->error_code, list[i].data.error_code);
            assert_int_equal(got->high_watermark, list[i].data.high_watermark);
            assert_int_equal(got->log_start_offset, list[i].data.log_start_offset);
            assert_int_equal(got->records.n, list[i].data.records.n);
        }
    }
    assert_int_equal(i, n);
}

static bool follows_any(const struct schedule *s)
{
    int t;
    int32_t p;
    return next_of(s, -1, &t, &p);
}

static void run_schedule(uint64_t seed, int16_t version)
{
    struct schedule s = {.seed = seed, .version = version};
    rig_start(&s.r, (struct server_options){.fetch_sessions = 10});
    s.r.fd = rig_connect(&s.r);
    for (int t = 0; t < TOPICS; t++) {
        make_topic(&s.r, topic_name(t), PARTITIONS);
        s.there[t] = true;
    }
    for (int step = 0; step < 120; step++) {
        struct expected list[TOPICS * PARTITIONS];
        for (uint32_t i = roll(&s, 4); i > 0; i--)
            change_something(&s);
        bool full = s.id == 0 || roll(&s, 15) == 0;
        struct msg_fetch_request *q = make_fetch(&s.r, "a", 0, 0, 0, (int32_t)roll(&s, 1000));
        q->session_id = s.id;
        q->session_epoch = full ? 0 : s.epoch;
        change_followed(&s, full, q);
        size_t max_bytes = (size_t)q->max_bytes;
        put_request(&s.r, MSG_KEY_fetch, version, q); /* its answer is expected by what is there now */
        struct buf wire = s.r.out;
        buf_init(&s.r.out, 256 << 20);
        int32_t correlation = s.r.correlation;
        bool any = follows_any(&s);
        int n = expect(&s, max_bytes, full || !any, list);
        send_all(s.r.fd, wire.data, wire.len);
        buf_free(&wire);
        struct msg_fetch_response *a = get_answer(&s.r, s.r.fd, MSG_KEY_fetch, version, correlation);
        assert_int_equal(a->error_code, 0);
        compare(&s, a, list, n);
        assert_int_equal(a->session_id != 0, full || any);
        s.id = any ? a->session_id : 0;
        s.epoch = full ? 1 : s.epoch + 1;
        arena_reset(&s.r.arena);
    }
    rig_stop(&s.r);
}

static void test_random_schedules(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        run_schedule(seed, seed % 2 == 0 ? 12 : 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_and_epochs),
        cmocka_unit_test(test_without_slots),
        cmocka_unit_test(test_a_topic_that_goes_and_comes),
        cmocka_unit_test(test_two_requests_in_one_session),
        cmocka_unit_test(test_a_look_gives_way),
        cmocka_unit_test(test_a_look_is_given_up),
        cmocka_unit_test(test_which_session_gives_way),
        cmocka_unit_test(test_partitions_of_all_sessions),
        cmocka_unit_test(test_held_and_closed),
        cmocka_unit_test(test_random_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
