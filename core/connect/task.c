/*
 * task: a task's thread: waits for its wish, attempts to run, and decides what follows from how that ended.
 * The other half, which asks, runs on the worker's callers. A task that failed for good or completed keeps
 * its thread, parked, until it is restarted or stopped. See README.md.
 */
#include "connect/task.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"

int task_init(struct leat_task *t, struct task_set *set, int index, bool threaded, struct err *e)
{
    *t = (struct leat_task){.set = set, .index = index, .wake_fd = -1, .state = TASK_UNASSIGNED};
    arena_init(&t->arena, ARENA_MAX_BYTES, t);
    buf_init(&t->text, TASK_TEXT_BYTES);
    retry_init(&t->retry, set->config->retry_backoff_ms, set->config->retry_backoff_max_ms,
               set->config->retry_max, (uint64_t)clock_mono_ns() * 2654435761u + (uint64_t)index);
    mutex_init(&t->lock);
    cond_init(&t->asked);
    t->label = mem_printf("%s-%d", set->config->name, index);
    if (t->label == NULL) {
        err_nomem(e);
        goto err_after_init;
    }
    if (threaded && (t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        err_sys(e, errno, "cannot make an eventfd for task %s", t->label);
        goto err_after_init;
    }
    bool takes = threaded && (connector_flags(set->config->connector) & LEAT_TAKES_SIGNALS);
    if (takes && (t->signals = signals_new(e)) == NULL)
        goto err_after_init;
    return ERR_OK;

err_after_init:
    task_destroy(t);
    return e->code;
}

void task_destroy(struct leat_task *t)
{
    if (t->signals != NULL)
        signals_close(t->signals);
    signals_unref(t->signals);
    status_rows_free(&t->rows);
    if (t->wake_fd >= 0)
        close(t->wake_fd);
    for (size_t i = 0; i < t->read_count; i++)
        mem_free(t->reads[i].topic);
    mem_free(t->reads);
    mem_free(t->error);
    mem_free(t->label);
    arena_free(&t->arena);
    buf_free(&t->text);
    pthread_cond_destroy(&t->asked);
    pthread_mutex_destroy(&t->lock);
}

/* ---- asking
 * ------------------------------------------------------------------------------------------------- */

static void notify(struct leat_task *t)
{
    if (t->set->changed != NULL)
        t->set->changed(t->set->changed_arg);
}

/* With the lock: whatever the task waits in ends. */
static void wake(struct leat_task *t)
{
    atomic_store(&t->stopping, true);
    uint64_t one = 1;
    /* An eventfd takes a write unless its counter is about to overflow, and then it is readable anyway. */
    if (write(t->wake_fd, &one, sizeof(one)) < 0)
        diag_debug("connect", "%s: wake-up: %s", t->label, strerror(errno));
    if (t->consumer != NULL)
        consumer_wake(t->consumer);
    pthread_cond_signal(&t->asked);
}

void task_ask(struct leat_task *t, enum task_wish wish)
{
    bool resumed = false;
    pthread_mutex_lock(&t->lock);
    if (t->wish != wish && t->wish != WISH_STOP) {
        t->wish = wish;
        if (wish == WISH_RUN)
            pthread_cond_signal(&t->asked);
        else
            wake(t);
        /* At once: from now on it may read its offsets or write its topic, of which it has neither to itself while PAUSED. */
        resumed = wish == WISH_RUN && t->state == TASK_PAUSED;
        if (resumed)
            t->state = TASK_UNASSIGNED;
    }
    pthread_mutex_unlock(&t->lock);
    if (resumed)
        notify(t);
}

void task_ask_restart(struct leat_task *t)
{
    pthread_mutex_lock(&t->lock);
    if (t->wish != WISH_STOP) {
        t->restart = true;
        wake(t);
    }
    pthread_mutex_unlock(&t->lock);
}

void task_nudge(struct leat_task *t)
{
    pthread_mutex_lock(&t->lock);
    if (t->consumer != NULL) {
        consumer_wake(t->consumer);
    } else if (t->state != TASK_RESTARTING) { /* a back-off lasts as long as it was said to */
        t->nudged = true;
        pthread_cond_signal(&t->asked);
    }
    pthread_mutex_unlock(&t->lock);
}

bool task_finished(struct leat_task *t)
{
    pthread_mutex_lock(&t->lock);
    bool finished = t->finished;
    pthread_mutex_unlock(&t->lock);
    return finished;
}

bool task_idle(struct leat_task *t)
{
    pthread_mutex_lock(&t->lock);
    bool idle = t->state == TASK_COMPLETED || t->state == TASK_FAILED || t->state == TASK_STOPPED;
    idle = idle && !t->restart;
    pthread_mutex_unlock(&t->lock);
    return idle;
}

/* ---- status
 * ------------------------------------------------------------------------------------------------- */

void task_set_state(struct leat_task *t, enum task_state state)
{
    pthread_mutex_lock(&t->lock);
    bool change = t->state != state;
    if (change && state == TASK_RUNNING)
        t->running_ms = clock_mono_ms();
    t->state = state;
    pthread_mutex_unlock(&t->lock);
    if (change)
        notify(t);
}

void task_set_error(struct leat_task *t, const char *error)
{
    char *copy = error == NULL ? NULL : mem_strdup(error);
    diag_one_line(copy); /* it may quote a server's answer */
    pthread_mutex_lock(&t->lock);
    char *old = t->error;
    t->error = copy;
    t->error_ms = error == NULL ? 0 : clock_wall_ms();
    pthread_mutex_unlock(&t->lock);
    mem_free(old);
}

void task_set_trouble(struct leat_task *t, const char *error)
{
    task_set_error(t, error);
    pthread_mutex_lock(&t->lock);
    t->error_stays = true;
    pthread_mutex_unlock(&t->lock);
}

int task_set_row(struct leat_task *t, const char *key, const char *json)
{
    struct err e;
    const char *problem = status_row_problem(key, json);
    if (problem != NULL)
        return task_fail(t, LEAT_FAIL, "a row of status: %s", problem);
    pthread_mutex_lock(&t->lock);
    int rc = status_rows_set(&t->rows, key, json, &e);
    pthread_mutex_unlock(&t->lock);
    return rc == ERR_OK ? LEAT_OK : task_fail_err(t, &e);
}

void task_clear_rows(struct leat_task *t)
{
    pthread_mutex_lock(&t->lock);
    status_rows_free(&t->rows);
    pthread_mutex_unlock(&t->lock);
}

void task_set_consumer(struct leat_task *t, struct consumer *c)
{
    pthread_mutex_lock(&t->lock);
    t->consumer = c;
    pthread_mutex_unlock(&t->lock);
}

/* It works: failures are counted anew, and the last one is no longer its state. (Only the task's thread writes `error`.) */
static void is_well(struct leat_task *t)
{
    retry_reset(&t->retry);
    if (t->error != NULL && !t->error_stays)
        task_set_error(t, NULL);
}

const char *task_error(const struct leat_task *t)
{
    bool lasts =
        !t->error_stays && t->state == TASK_RUNNING && clock_mono_ms() - t->running_ms >= t->retry.limit_ms;
    return lasts ? NULL : t->error;
}

void task_progress(struct leat_task *t, uint64_t records, uint64_t bytes)
{
    int64_t now = clock_mono_ms(), wall = clock_wall_ms();
    is_well(t);
    pthread_mutex_lock(&t->lock);
    meter_add(&t->meter, now, records, bytes);
    t->records += records;
    t->bytes += bytes;
    t->last_activity_ms = wall;
    pthread_mutex_unlock(&t->lock);
}

/* ---- failing
 * ------------------------------------------------------------------------------------------------ */

void task_call(struct leat_task *t)
{
    arena_reset(&t->arena);
    err_clear(&t->failure);
    t->failure.text[0] = 0;
    t->waited = false;
}

int task_fail(struct leat_task *t, int result, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->failure.text, sizeof(t->failure.text), fmt, ap);
    va_end(ap);
    t->failure.code = ERR_TASK;
    return result == LEAT_RETRY ? LEAT_RETRY : LEAT_FAIL;
}

int task_fail_err(struct leat_task *t, const struct err *e)
{
    return task_fail(t, e->retriable && !e->fatal ? LEAT_RETRY : LEAT_FAIL, "%s", e->text);
}

int task_returned(struct leat_task *t, int result, const char *function, bool may_end)
{
    if (result == LEAT_OK || (result == LEAT_END && may_end))
        return result;
    if (result != LEAT_RETRY && result != LEAT_FAIL)
        return task_fail(t, LEAT_FAIL, "the plugin's %s returned %d, which is not a result it may have",
                         function, result);
    if (t->failure.text[0] == 0)
        return task_fail(t, result, "the plugin's %s failed without saying why", function);
    return result;
}

enum task_outcome task_outcome_of(int result)
{
    return result == LEAT_OK      ? OUTCOME_ASKED
           : result == LEAT_END   ? OUTCOME_COMPLETED
           : result == LEAT_RETRY ? OUTCOME_RETRY
                                  : OUTCOME_FAILED;
}

int task_check(struct leat_task *t, bool connect)
{
    const struct leat_connector *c = t->set->config->connector;
    int rc = LEAT_OK;
    if (t->checked)
        return LEAT_OK;
    if (c->validate != NULL) {
        task_call(t);
        rc = task_returned(t, c->validate(t, &task_host, t->set->config->options), "validate", false);
    }
    if (rc == LEAT_OK && connect && c->check != NULL) {
        task_call(t);
        rc = task_returned(t, c->check(t, &task_host, t->set->config->options), "check", false);
    }
    t->checked = rc == LEAT_OK;
    return rc;
}

/* ---- the thread
 * --------------------------------------------------------------------------------------------- */

bool task_sleep(struct leat_task *t, int64_t ms)
{
    struct timespec deadline = clock_deadline_ms(ms);
    pthread_mutex_lock(&t->lock);
    bool in_time = true;
    while (!atomic_load(&t->stopping) && !t->nudged && in_time)
        in_time = cond_wait_until(&t->asked, &t->lock, &deadline);
    t->nudged = false;
    pthread_mutex_unlock(&t->lock);
    return atomic_load(&t->stopping);
}

/* Waits for the wish to run; false: to stop. Answers all that was asked before. */
static bool await_run(struct leat_task *t)
{
    pthread_mutex_lock(&t->lock);
    for (;;) {
        if (t->restart) {
            t->restart = t->parked = t->checked = false;
            t->state = TASK_RESTARTING;
            retry_reset(&t->retry);
        }
        if (t->wish == WISH_STOP || (t->wish == WISH_RUN && !t->parked))
            break;
        enum task_state now = t->parked ? t->state : t->wish == WISH_PAUSE ? TASK_PAUSED : TASK_UNASSIGNED;
        if (now != t->state) {
            t->state = now;
            pthread_mutex_unlock(&t->lock);
            notify(t);
            pthread_mutex_lock(&t->lock);
            continue;
        }
        pthread_cond_wait(&t->asked, &t->lock);
    }
    bool run = t->wish == WISH_RUN;
    if (run) {
        atomic_store(&t->stopping, false);
        uint64_t count;
        if (read(t->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
            diag_error("connect", "%s: cannot read its eventfd: %s", t->label, strerror(errno));
    }
    pthread_mutex_unlock(&t->lock);
    return run;
}

static void park(struct leat_task *t, enum task_state state)
{
    pthread_mutex_lock(&t->lock);
    t->parked = true;
    pthread_mutex_unlock(&t->lock);
    task_set_state(t, state);
    if (t->signals != NULL)
        signals_refuse(t->signals);
}

static void give_up(struct leat_task *t, const char *why)
{
    diag_error("connect", "%s: failed, stays stopped: %s", t->label, why);
    task_set_error(t, why);
    park(t, TASK_FAILED);
}

/* A failure that may pass: waits for the next try, or gives up. */
static void back_off(struct leat_task *t)
{
    int64_t ms;
    if (!retry_next(&t->retry, &ms)) {
        char text[ERR_TEXT_MAX + 64];
        snprintf(text, sizeof(text), "given up after %d retries: %s", t->retry.tries, t->failure.text);
        give_up(t, text);
        return;
    }
    diag_warn("connect", "%s: tries again in %lld ms: %s", t->label, (long long)ms, t->failure.text);
    task_set_error(t, t->failure.text);
    pthread_mutex_lock(&t->lock);
    t->restarts++;
    pthread_mutex_unlock(&t->lock);
    task_set_state(t, TASK_RESTARTING);
    task_sleep(t, ms);
}

static void finish(struct leat_task *t)
{
    pthread_mutex_lock(&t->lock);
    if (!t->parked)
        t->state = TASK_STOPPED;
    t->finished = true;
    pthread_mutex_unlock(&t->lock);
    if (t->signals != NULL)
        signals_close(t->signals);
    notify(t);
}

static void begin(struct leat_task *t)
{
    pthread_mutex_lock(&t->lock);
    t->error_stays = false;
    pthread_mutex_unlock(&t->lock);
    t->attempting = true;
}

static bool to_stop(struct leat_task *t)
{
    pthread_mutex_lock(&t->lock);
    bool stop = t->wish == WISH_STOP;
    pthread_mutex_unlock(&t->lock);
    return stop;
}

static void *task_main(void *arg)
{
    struct leat_task *t = arg;
    while (await_run(t)) {
        task_call(t);
        int64_t began = clock_mono_ms();
        bool source = t->set->config->connector->kind == LEAT_SOURCE;
        if (t->signals != NULL)
            signals_accept(t->signals);
        begin(t);
        enum task_outcome outcome = source ? source_attempt(t) : sink_attempt(t);
        t->attempting = false;
        task_clear_work_dir(t);
        /* What ran for long was well in between, even if nothing came. What ended well with a stop has nothing left to mend. */
        if (outcome == OUTCOME_COMPLETED || clock_mono_ms() - began >= t->retry.limit_ms ||
            (outcome == OUTCOME_ASKED && to_stop(t)))
            is_well(t);
        if (outcome == OUTCOME_COMPLETED) {
            diag_info("connect", "%s: completed", t->label);
            park(t, TASK_COMPLETED);
        } else if (outcome == OUTCOME_FAILED) {
            give_up(t, t->failure.text);
        } else if (outcome == OUTCOME_RETRY) {
            back_off(t);
        }
        task_call(t);
    }
    finish(t);
    return NULL;
}

int task_start(struct leat_task *t, struct err *e)
{
    return thread_start(&t->thread, t->label, task_main, t, e);
}
