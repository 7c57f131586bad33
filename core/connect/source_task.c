/*
 * source_task: one attempt of a source: producer, stored positions, open; then polls and commits (source_commit.c); at the
 * end a last commit, or an abort. What a poll emits goes through source_emit.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/hash.h"
#include "base/mem.h"
#include "connect/positions.h"
#include "connect/source.h"

#define IDLE_WAIT_MS 10 /* after a poll that neither gave anything nor waited */

/* ---- positions
 * ---------------------------------------------------------------------------------------------- */

int source_set_position(struct leat_task *t, const char *partition, const char *offset)
{
    struct source_run *s = t->source;
    if (s == NULL || !s->polling || partition == NULL)
        return task_fail(t, LEAT_FAIL, "set_position is for a source's poll, and needs a partition");
    if (s->failed != LEAT_OK)
        return s->failed;
    struct err e;
    s->touched = true;
    if (positions_set(s->positions, partition, offset, &e) == ERR_OK)
        return LEAT_OK;
    return s->failed = task_fail_err(t, &e);
}

const char *source_get_position(struct leat_task *t, const char *partition)
{
    struct err e;
    if (t->source == NULL || partition == NULL)
        return NULL;
    const char *offset = positions_get(t->source->positions, partition, &e);
    if (e.code != ERR_OK)
        diag_error("connect", "%s: get_position: %s", t->label, e.text);
    return offset;
}

bool source_next_position(struct leat_task *t, size_t *cursor, const char **partition, const char **offset)
{
    bool more = t->source != NULL;
    do
        more = more && positions_next(t->source->positions, cursor, partition, offset);
    while (more && source_is_signal_position(*partition));
    return more;
}

static bool asked_to_stop(void *arg)
{
    struct leat_task *t = arg;
    return atomic_load(&t->stopping);
}

/*
 * Reads the stored positions up to what the topic ends with now. The end is the watermark, not the last
 * stable offset: behind another task's open transaction there may be a position of ours.
 */
static int load_positions(struct leat_task *t, struct source_run *s, struct err *e)
{
    struct client *client = t->set->client;
    const char *topic = client_positions_topic(client);
    struct topic_brief info;
    if (client_topic_brief(client, topic, &info, e) != ERR_OK)
        return e->code;
    int32_t count = info.partitions;
    int64_t found, *ends = mem_calloc((size_t)count, sizeof(*ends));
    if (ends == NULL)
        return err_nomem(e);
    struct consumer *c = consumer_open(client, &(struct consumer_options){.isolation = READ_COMMITTED}, e);
    int rc = c == NULL ? e->code : ERR_OK;
    for (int32_t i = 0; rc == ERR_OK && i < count; i++) {
        rc = client_list_offset(client, topic, i, -1, READ_UNCOMMITTED, &ends[i], &found, e);
        if (rc == ERR_OK)
            rc = consumer_assign(c, topic, i, CONSUMER_EARLIEST, e);
    }
    if (rc == ERR_OK) {
        task_set_consumer(t, c);
        rc = positions_load(s->positions, c, ends, count, asked_to_stop, t, e);
        task_set_consumer(t, NULL);
    }
    if (c != NULL)
        consumer_close(c);
    mem_free(ends);
    return rc;
}

/* ---- the run
 * ------------------------------------------------------------------------------------------------ */

static int source_start(struct leat_task *t, struct source_run *s, struct err *e)
{
    s->since_ms = -1;
    buf_init(&s->key, BATCH_MAX_BYTES);
    buf_init(&s->value, BATCH_MAX_BYTES);
    char *id = mem_printf("leat-%s", t->label);
    if (id == NULL || (s->topics = map_new()) == NULL) {
        mem_free(id);
        return err_nomem(e);
    }
    struct producer_options options = {
        .transactional_id = id, .codec = t->set->pipeline->codec, .codec_level = CODEC_LEVEL_DEFAULT};
    s->producer = producer_open(t->set->client, &options, e);
    mem_free(id);
    if (s->producer == NULL)
        return err_wrap(e, "cannot open a producer");
    s->positions = positions_new(t->set->config->name, client_positions_topic(t->set->client), e);
    if (s->positions == NULL || load_positions(t, s, e) != ERR_OK)
        return e->code;
    if (t->set->pipeline->own_topics) /* it may never write there */
        return ERR_OK;
    s->main = source_open_topic(t, s, t->set->pipeline->topics[0], e);
    return s->main == NULL ? e->code : ERR_OK;
}

/* Waits for commits that are on their way, so that the next attempt finds their positions; aborts what is not committed. */
static void source_end(struct source_run *s)
{
    if (s->producer != NULL)
        producer_close(s->producer);
    positions_free(s->positions);
    if (s->topics != NULL)
        map_free(s->topics, source_free_topic);
    mem_free(s->headers);
    buf_free(&s->key);
    buf_free(&s->value);
}

static int poll_once(struct leat_task *t, struct source_run *s, void *self)
{
    const struct leat_source_ops *ops = t->set->config->connector->source;
    task_call(t);
    s->failed = LEAT_OK;
    s->touched = false;
    s->polling = true;
    int polled = ops->poll(self);
    s->polling = false;
    /* A plugin that passes over a refused record must not lose it. */
    if (s->failed != LEAT_OK)
        return s->failed;
    polled = task_returned(t, polled, "poll", true);
    if (polled != LEAT_OK && polled != LEAT_END)
        return polled;
    s->polls++;
    int rc = polled == LEAT_END ? source_commit_rest(t, s, self) : source_polled(t, s, self);
    if (rc == LEAT_OK && polled == LEAT_OK && !s->touched && !t->waited)
        rc = source_pause(t, s, self, IDLE_WAIT_MS);
    return rc == LEAT_OK ? polled : rc;
}

enum task_outcome source_attempt(struct leat_task *t)
{
    const struct leat_connector *c = t->set->config->connector;
    struct source_run s = {0};
    struct err e;
    void *self = NULL;
    int rc = task_check(t, true);
    if (rc != LEAT_OK)
        return task_outcome_of(rc);
    if (source_start(t, &s, &e) != ERR_OK) {
        rc = e.code == ERR_INTERRUPTED ? LEAT_OK : task_fail_err(t, &e);
        goto end;
    }
    t->source = &s;
    task_clear_rows(t);
    task_call(t);
    rc = task_returned(t, c->source->open(t, &task_host, t->set->config->options, &self), "open", false);
    if (rc == LEAT_OK) {
        diag_debug("connect", "%s: running", t->label);
        task_drop_kept(t);
        task_set_state(t, TASK_RUNNING);
        while (rc == LEAT_OK && !atomic_load(&t->stopping))
            rc = poll_once(t, &s, self);
        if (rc == LEAT_OK)
            rc = source_commit_rest(t, &s, self);
        else if (rc != LEAT_END)
            source_abandon(t, &s);
        c->source->close(self);
    }
    t->source = NULL;
    source_end_signals(t, &s);

end:
    source_end(&s);
    return task_outcome_of(rc);
}
