/*
 * source_signals: signals for a running source: out of the task's mailbox, and the positions of those that come from a topic,
 * kept among the source's own as {"partition":0,"signal.topic":"<topic>"} and hidden from the plugin. Task's thread.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "connect/positions.h"
#include "connect/signals.h"
#include "connect/source.h"

#define PLACE_FORM "{\"partition\":%d,\"signal.topic\":\"%s\"}" /* topics' names need no escapes */
#define PLACE_MAX 512

bool source_is_signal_position(const char *partition)
{
    return strstr(partition, "\"signal.topic\":") != NULL;
}

static int note_place(struct leat_task *t, const struct signal *signal)
{
    char partition[PLACE_MAX], offset[64];
    snprintf(partition, sizeof(partition), PLACE_FORM, signal->partition, t->source->signal_topic);
    snprintf(offset, sizeof(offset), "{\"offset\":%lld}", (long long)signal->next_offset);
    return source_set_position(t, partition, offset);
}

int source_next_signal(struct leat_task *t, struct leat_signal *out)
{
    struct source_run *s = t->source;
    struct signal signal;
    struct err e;
    *out = (struct leat_signal){0};
    if (t->signals == NULL)
        return task_fail(t, LEAT_FAIL, "next_signal is for connectors with LEAT_TAKES_SIGNALS");
    if (s == NULL || !s->polling)
        return task_fail(t, LEAT_FAIL, "next_signal is for a source's poll");
    if (s->reader != NULL && signal_reader_error(s->reader, &e) != ERR_OK) {
        err_wrap(&e, "cannot read signals from topic %s", s->signal_topic);
        return task_fail_err(t, &e);
    }
    if (!signals_take(t->signals, s->polls + 1, &signal))
        return LEAT_OK;
    s->signal_poll = s->polls + 1;
    *out = (struct leat_signal){.id = signal.id, .type = signal.type, .data = signal.data};
    return signal.from_topic ? note_place(t, &signal) : LEAT_OK;
}

/* How many partitions the topic has; made with one if it is missing. */
static int ensure(struct client *c, const char *topic, int32_t *partitions, struct err *e)
{
    struct topic_info info;
    int rc = client_topic(c, topic, &info, e);
    if (rc == ERR_UNKNOWN_TOPIC) {
        rc = client_create_topic(c, topic, 1, NULL, 0, e);
        if (rc == ERR_OK || rc == ERR_TOPIC_EXISTS)
            rc = client_topic(c, topic, &info, e);
    }
    if (rc != ERR_OK)
        return rc;
    *partitions = info.partition_count;
    topic_info_free(&info);
    return ERR_OK;
}

static int stored_places(struct source_run *s, const char *topic, int64_t *offsets, int32_t partitions,
                         struct err *e)
{
    for (int32_t i = 0; i < partitions; i++) {
        char partition[PLACE_MAX];
        long long stored;
        snprintf(partition, sizeof(partition), PLACE_FORM, i, topic);
        err_clear(e);
        const char *text = positions_get(s->positions, partition, e);
        if (text == NULL && e->code != ERR_OK)
            return e->code;
        offsets[i] = text != NULL && sscanf(text, "{\"offset\":%lld}", &stored) == 1 ? stored : -1;
    }
    return ERR_OK;
}

int source_signal_topic(struct leat_task *t, const char *topic, const char *key)
{
    struct source_run *s = t->source;
    struct err e;
    int32_t partitions = 0;
    int64_t *offsets = NULL;
    if (t->signals == NULL || s == NULL || s->polling || s->reader != NULL || key == NULL)
        return task_fail(
            t, LEAT_FAIL,
            "signal_topic is for open, once, of a source with LEAT_TAKES_SIGNALS, and needs a key");
    int rc = topic_name_check(topic == NULL ? "" : topic, &e);
    rc = rc == ERR_OK ? ensure(t->set->client, topic, &partitions, &e) : rc;
    if (rc == ERR_OK && (offsets = mem_calloc((size_t)partitions, sizeof(*offsets))) == NULL)
        rc = err_nomem(&e);
    rc = rc == ERR_OK ? stored_places(s, topic, offsets, partitions, &e) : rc;
    if (rc == ERR_OK && (s->signal_topic = mem_strdup(topic)) == NULL)
        rc = err_nomem(&e);
    if (rc == ERR_OK)
        rc = signal_reader_start(t->set->client, t->signals, t->label, topic, key, offsets, partitions,
                                 &s->reader, &e);
    mem_free(offsets);
    if (rc == ERR_OK)
        return LEAT_OK;
    err_wrap(&e, "the topic of signals %s", topic == NULL ? "" : topic);
    return task_fail_err(t, &e);
}

void source_signals_stored(struct leat_task *t, struct source_run *s)
{
    if (s->signal_poll == 0)
        return;
    signals_stored(t->signals, s->durable);
    if (s->signal_poll <= s->durable)
        s->signal_poll = 0;
}

void source_end_signals(struct leat_task *t, struct source_run *s)
{
    if (t->signals != NULL)
        signals_give_back(t->signals);
    signal_reader_stop(s->reader);
    mem_free(s->signal_topic);
    s->reader = NULL;
    s->signal_topic = NULL;
}
