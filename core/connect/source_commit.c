/*
 * source_commit: when and how what a source emitted is committed, together with its positions.
 *
 * A commit is begun and not waited for: while it syncs, the next poll is made and appended behind it; so a source that is
 * fed record by record shares syncs as fast as the disk can do them. At most one is on its way while the plugin polls. If
 * one fails, the journal has failed, and with it all that follows: the attempt ends, and the next begins with the stored
 * positions. A source that wants to be told (`committed`) is polled again only after its commit; one that counts its polls
 * (`durable`) goes on.
 *
 * By default each poll is a transaction; with transaction.boundary=interval those of some time, or of so many bytes, are
 * gathered in one. Task's thread.
 */
#include "base/clock.h"
#include "base/diag.h"
#include "connect/positions.h"
#include "connect/source.h"

static bool gathered(const struct source_run *s)
{
    return s->records > 0 || positions_changed(s->positions) > 0;
}

/* In how many ms what was gathered is to be committed: at once if somebody waits for what a signal of theirs did. */
static int64_t due_in(const struct leat_task *t, const struct source_run *s)
{
    const struct connector_config *c = t->set->config;
    if (s->signal_poll != 0)
        return 0;
    int64_t left = c->gather_ms == 0 ? 0 : s->since_ms + c->gather_ms - clock_mono_ms();
    return left < 0 || s->bytes >= c->gather_bytes ? 0 : left;
}

/* Waits until the oldest commit is durable, and counts it. */
static int land(struct leat_task *t, struct source_run *s)
{
    struct err e;
    uint64_t records = s->flights[0].records, bytes = s->flights[0].bytes, polls = s->flights[0].polls;
    for (size_t i = 1; i < producer_in_flight(s->producer); i++)
        s->flights[i - 1] = s->flights[i];
    if (producer_commit_wait(s->producer, &e) != ERR_OK) {
        err_wrap(&e, "cannot commit %llu records", (unsigned long long)records);
        return task_fail_err(t, &e);
    }
    s->unacknowledged = true;
    s->durable = polls;
    source_signals_stored(t, s);
    task_progress(t, records, bytes);
    return LEAT_OK;
}

static int land_all_but(struct leat_task *t, struct source_run *s, size_t left)
{
    int rc = LEAT_OK;
    while (rc == LEAT_OK && producer_in_flight(s->producer) > left)
        rc = land(t, s);
    return rc;
}

/* Begins to commit what was gathered. */
static int begin(struct leat_task *t, struct source_run *s)
{
    struct err e;
    int rc = land_all_but(t, s, PRODUCER_IN_FLIGHT - 1);
    if (rc != LEAT_OK)
        return rc;
    if (positions_write(s->positions, s->producer, &e) != ERR_OK ||
        producer_commit_start(s->producer, &e) != ERR_OK) {
        err_wrap(&e, "cannot commit %llu records", (unsigned long long)s->records);
        return task_fail_err(t, &e);
    }
    positions_committed(s->positions);
    size_t last = producer_in_flight(s->producer) - 1;
    s->flights[last].records = s->records;
    s->flights[last].bytes = s->bytes;
    s->flights[last].polls = s->polls;
    s->records = s->bytes = 0;
    s->since_ms = -1;
    s->transaction++;
    return LEAT_OK;
}

/* Between polls nothing may be gathered that is not counted: then what was polled last is durable as well. */
static bool settled(const struct source_run *s)
{
    return !gathered(s) && producer_in_flight(s->producer) == 0;
}

static int tell_committed(struct leat_task *t, struct source_run *s, void *self)
{
    const struct leat_source_ops *ops = t->set->config->connector->source;
    if (ops->committed == NULL || !s->unacknowledged || !settled(s))
        return LEAT_OK;
    s->unacknowledged = false;
    task_call(t);
    return task_returned(t, ops->committed(self), "committed", false);
}

static int tell_durable(struct leat_task *t, struct source_run *s, void *self)
{
    int (*durable)(void *, uint64_t) = connector_durable(t->set->config->connector);
    if (settled(s))
        s->durable = s->polls;
    source_signals_stored(t, s);
    if (durable == NULL || s->told == s->durable)
        return LEAT_OK;
    s->told = s->durable;
    task_call(t);
    return task_returned(t, durable(self, s->told), "durable", false);
}

/* Between polls: tells the plugin what is durable. */
static int acknowledge(struct leat_task *t, struct source_run *s, void *self)
{
    bool waited = t->waited;
    int rc = tell_committed(t, s, self);
    rc = rc == LEAT_OK ? tell_durable(t, s, self) : rc;
    t->waited = waited;
    return rc;
}

int source_polled(struct leat_task *t, struct source_run *s, void *self)
{
    int rc = LEAT_OK;
    if (s->touched && s->since_ms < 0)
        s->since_ms = clock_mono_ms();
    if (gathered(s) && due_in(t, s) == 0)
        rc = begin(t, s);
    if (rc == LEAT_OK)
        rc = land_all_but(t, s, t->set->config->connector->source->committed == NULL ? 1 : 0);
    return rc == LEAT_OK ? acknowledge(t, s, self) : rc;
}

int source_commit_rest(struct leat_task *t, struct source_run *s, void *self)
{
    int rc = gathered(s) ? begin(t, s) : LEAT_OK;
    if (rc == LEAT_OK)
        rc = land_all_but(t, s, 0);
    return rc == LEAT_OK ? acknowledge(t, s, self) : rc;
}

void source_abandon(struct leat_task *t, struct source_run *s)
{
    struct err why = t->failure;
    bool whole = gathered(s) && !s->touched && s->failed == LEAT_OK;
    int rc = whole ? begin(t, s) : LEAT_OK;
    if (rc != LEAT_OK || land_all_but(t, s, 0) != LEAT_OK)
        diag_warn("connect", "%s: %s", t->label, t->failure.text);
    t->failure = why;
}

/* What this poll emitted so far is not whole yet; what earlier ones gathered can be committed if there is nothing of it. */
static int idle(struct leat_task *t, struct source_run *s, int64_t *again_ms)
{
    bool whole = gathered(s) && !s->touched;
    int rc = LEAT_OK;
    *again_ms = -1;
    if (whole && due_in(t, s) == 0) {
        rc = begin(t, s);
        whole = false;
    }
    if (rc == LEAT_OK)
        rc = land_all_but(t, s, 0);
    if (rc == LEAT_OK && whole)
        *again_ms = due_in(t, s);
    return rc;
}

int64_t source_idle(struct leat_task *t)
{
    struct source_run *s = t->source;
    int64_t again_ms = -1;
    if (s != NULL && s->polling && s->failed == LEAT_OK)
        s->failed = idle(t, s, &again_ms);
    return again_ms;
}

bool source_news(const struct leat_task *t)
{
    struct source_run *s = t->source;
    if (s == NULL || !s->polling || s->durable == s->woken_for ||
        connector_durable(t->set->config->connector) == NULL)
        return false;
    s->woken_for = s->durable;
    return s->durable > s->told;
}

bool source_failed(const struct leat_task *t)
{
    return t->source != NULL && t->source->failed != LEAT_OK;
}

int source_pause(struct leat_task *t, struct source_run *s, void *self, int64_t ms)
{
    int64_t again_ms;
    int rc = idle(t, s, &again_ms);
    rc = rc == LEAT_OK ? acknowledge(t, s, self) : rc;
    if (rc == LEAT_OK)
        task_sleep(t, again_ms >= 0 && again_ms < ms ? again_ms : ms);
    return rc;
}
