/*
 * pg_source: the task. open decides (pg_start) and begins; each poll is a piece of the snapshot or of the stream; between
 * them heartbeats. Whatever fails is told to the host, which opens the task anew with growing pauses if it may pass.
 */
#include "pg_source.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kit/options.h"
#include "pg_action.h"
#include "pg_dialect.h"
#include "pg_messages.h"
#include "pg_start.h"
#include "pg_stream.h"
#include "pg_task.h"
#include "pg_unchanged.h"
#include "pg_watch.h"

#define DROP_MS 15000 /* that a stop waits for the slot to be dropped */

struct pg_source {
    struct pg_task t;
    struct pg_plan plan;
    struct pg_watch watch;
    struct pg_action action;
    int64_t beat_ms; /* when the next heartbeat is due; of clock_mono_ms */
    bool complete;   /* the snapshot was all there was to do */
};

int pg_sql(struct pg_task *t, struct err *e)
{
    if (t->sql && PQstatus(t->sql) == CONNECTION_OK) {
        if (PQtransactionStatus(t->sql) != PQTRANS_ACTIVE)
            return ERR_OK;
        /* A statement that took too long still runs: nothing else can be asked over this connection. */
        pg_cancel(t->sql);
    }
    pg_disconnect(&t->sql);
    return pg_connect(t->task, t->host, t->settings, PG_SQL, &t->sql, e);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static int fail(struct pg_source *s, const struct err *e)
{
    return kit_fail(s->t.host, s->t.task, e);
}

static void drop_slot(struct pg_source *s)
{
    struct err e;
    int rc = pg_sql(&s->t, &e);
    if (rc == ERR_OK) {
        pg_go_on(s->t.sql, DROP_MS);
        rc = pg_slot_drop(&s->t, &e);
    }
    if (rc != ERR_OK)
        s->t.host->log(s->t.task, LEAT_WARN, "slot.drop.on.stop: %s", e.text);
}

static void release(struct pg_source *s)
{
    struct pg_task *t = &s->t;
    pg_stream_close(t->stream);
    pg_snapshot_close(t->snapshot);
    pg_incremental_close(t->incremental);
    pg_unchanged_close(t->unchanged);
    pg_watch_close(&s->watch);
    pg_action_close(&s->action);
    pg_disconnect(&s->plan.repl);
    pg_disconnect(&t->sql);
    if (t->cdc)
        cdc_free(t->cdc);
    if (t->types)
        pg_types_free(t->types);
    pg_settings_free(t->settings);
    mem_free(s);
}

static void source_close(void *self)
{
    struct pg_source *s = self;
    pg_stream_close(s->t.stream);
    s->t.stream = NULL;
    if (s->plan.stream && s->t.host->stopping(s->t.task) &&
        s->t.host->get_bool(s->t.config, "slot.drop.on.stop"))
        drop_slot(s);
    release(s);
}

static void pause_for(struct pg_source *s, const char *option)
{
    const struct leat_host *h = s->t.host;
    int64_t end = clock_mono_ms() + h->get_int(s->t.config, option), left;
    while (!h->stopping(s->t.task) && (left = end - clock_mono_ms()) > 0)
        h->wait(s->t.task, -1, left);
}

static int begin_stream(struct pg_source *s)
{
    PGconn *repl = s->plan.repl;
    if (s->plan.snapshot)
        pause_for(s, "streaming.delay.ms");
    s->plan.repl = NULL;
    return pg_stream_open(&s->t, repl, &s->t.stream);
}

static int begin(struct pg_source *s)
{
    struct pg_task *t = &s->t;
    struct err e;
    t->settings = pg_settings_new(t->host, t->config, &e);
    if (!t->settings)
        return fail(s, &e);
    t->types = pg_types_new(t->host, t->config, &e);
    if (!t->types)
        return fail(s, &e);
    t->cdc =
        cdc_new(t->task, t->host, t->config, &pg_dialect, t->host->get_str(t->config, "database.dbname"));
    if (!t->cdc)
        return LEAT_RETRY; /* its options were checked (pg_source_validate): memory ran out */
    int rc = pg_load_position(t);
    if (rc != LEAT_OK)
        return rc;
    if (!t->stored.any && pg_start_reads_first(t))
        pause_for(s, "snapshot.delay.ms");
    if (pg_start(t, &s->plan, &e) != ERR_OK)
        return fail(s, &e);
    if (s->plan.stream && (rc = pg_unchanged_open(t)) != LEAT_OK)
        return rc;
    if (s->plan.stream && (rc = pg_incremental_open(t, &t->incremental)) != LEAT_OK)
        return rc;
    if (!s->plan.snapshot)
        return s->plan.stream ? begin_stream(s) : LEAT_OK;
    const char *exported = s->plan.exported[0] ? s->plan.exported : NULL;
    return pg_snapshot_open(t, exported, t->stored.lsn_commit, &t->snapshot);
}

static int source_open(struct leat_task *task, const struct leat_host *h, const struct leat_config *c,
                       void **self)
{
    struct pg_source *s = mem_calloc(1, sizeof *s);
    if (!s)
        return h->fail(task, LEAT_RETRY, "out of memory");
    s->t.task = task;
    s->t.host = h;
    s->t.config = c;
    int rc = begin(s);
    if (rc != LEAT_OK) {
        release(s);
        return rc;
    }
    s->beat_ms = clock_mono_ms() + cdc_heartbeat_interval_ms(s->t.cdc);
    *self = s;
    return LEAT_OK;
}

/* ---- heartbeats ------------------------------------------------------------------------------------------------- */

/* *due_ms: until the next; -1: there are none. */
static int beat(struct pg_source *s, int64_t *due_ms)
{
    int64_t every = cdc_heartbeat_interval_ms(s->t.cdc), now = clock_mono_ms();
    pg_action_look(&s->t, &s->action);
    *due_ms = -1;
    if (every <= 0)
        return LEAT_OK;
    int rc = LEAT_OK;
    if (now >= s->beat_ms) {
        const char *sql = s->t.host->get_str(s->t.config, "heartbeat.action.query");
        s->beat_ms = now + every;
        rc = cdc_heartbeat(s->t.cdc);
        if (rc == LEAT_OK && sql && sql[0])
            pg_action_send(&s->t, &s->action, sql);
    }
    *due_ms = s->beat_ms - now;
    return rc;
}

/* ---- polls ------------------------------------------------------------------------------------------------------ */

/* With its first piece the store learns that there is a snapshot, with its last that it is over. */
static int poll_snapshot(struct pg_source *s)
{
    struct pg_task *t = &s->t;
    bool done, first = !t->stored.any;
    int rc = pg_snapshot_poll(t->snapshot, &done);
    if (rc != LEAT_OK || (!done && !first))
        return rc;
    if (done) {
        pg_snapshot_close(t->snapshot);
        t->snapshot = NULL;
        t->stored.snapshot = false;
        s->complete = !s->plan.stream;
    }
    return pg_store_position(t);
}

/* -1: never */
static int64_t sooner(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int64_t due_of_others(const struct pg_source *s)
{
    return sooner(pg_incremental_due_ms(s->t.incremental), pg_watch_due_ms(&s->watch));
}

/* Between transactions what signals ask for is done; while a blocking snapshot is, the stream rests. */
static int poll_stream(struct pg_source *s, int64_t due_ms)
{
    struct pg_task *t = &s->t;
    bool idle;
    int rc = t->stream ? LEAT_OK : begin_stream(s);
    if (rc == LEAT_OK)
        rc = pg_incremental_blocks(t->incremental)
                 ? pg_stream_rest(t->stream)
                 : pg_stream_poll(t->stream, sooner(due_ms, due_of_others(s)), &idle);
    if (rc == LEAT_OK && pg_stream_between(t->stream))
        rc = pg_incremental_step(t->incremental);
    if (rc == LEAT_OK)
        rc = cdc_flush(t->cdc);
    if (rc == LEAT_OK)
        pg_stream_polled(t->stream, t->polls + 1);
    return rc;
}

static int source_poll(void *self)
{
    struct pg_source *s = self;
    int64_t due_ms;
    if (s->complete || s->plan.done)
        return LEAT_END;
    int rc = beat(s, &due_ms);
    if (rc == LEAT_OK && s->plan.stream)
        rc = pg_watch_look(&s->t, &s->watch);
    if (rc == LEAT_OK)
        rc = s->t.snapshot ? poll_snapshot(s) : poll_stream(s, due_ms);
    if (rc == LEAT_OK && s->t.unchanged)
        rc = pg_unchanged_polled(s->t.unchanged, s->t.polls + 1);
    if (rc == LEAT_OK)
        s->t.polls++;
    return rc;
}

static int source_durable(void *self, uint64_t polls)
{
    struct pg_source *s = self;
    if (s->t.stream)
        pg_stream_durable(s->t.stream, polls);
    if (s->t.unchanged)
        pg_unchanged_durable(s->t.unchanged, polls);
    if (s->t.incremental)
        pg_incremental_durable(s->t.incremental, polls);
    return LEAT_OK;
}

const struct leat_source_ops pg_source_ops = {
    .open = source_open,
    .poll = source_poll,
    .close = source_close,
    .durable = source_durable,
};

int pg_source_validate(struct leat_task *t, const struct leat_host *h, const struct leat_config *c)
{
    struct err e;
    struct pg_settings *settings = pg_settings_new(h, c, &e);
    struct pg_messages *messages = settings ? pg_messages_new(h, c, &e) : NULL;
    int rc = messages ? pg_start_validate(h, c, &e) : e.code;
    if (rc == ERR_OK)
        rc = pg_unchanged_validate(h, c, &e);
    pg_messages_free(messages);
    pg_settings_free(settings);
    return rc == ERR_OK ? cdc_validate(t, h, c) : kit_fail(h, t, &e);
}
