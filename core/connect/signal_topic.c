/*
 * signal_topic: the reader of a topic of signals, as Debezium's Kafka channel has them: the key says whom a signal is for, the
 * value is an object with id (optional), type and data. It reads ahead into the mailbox; where to go on after a restart is
 * stored by whoever takes a signal, together with what became of it, so that none is lost or done twice. A thread of its own.
 */
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"
#include "connect/signals.h"
#include "connect/topics.h"

struct signal_reader {
    struct signals *box;
    struct consumer *consumer;
    char *label, *topic, *key;
    pthread_t thread;
    atomic_bool stop; /* set under the mailbox's lock */
    pthread_mutex_t lock;
    struct err error; /* under lock; code ERR_OK: none */
};

/* ---- one record ------------------------------------------------------------------------------------------------------ */

/* What is wrong with it, or NULL. An object's text is in *dumped, of malloc. */
static const char *parse(const json_t *o, const char **id, const char **type, const char **data,
                         char **dumped)
{
    const json_t *d = json_object_get(o, "data"), *named = json_object_get(o, "id");
    *type = json_string_value(json_object_get(o, "type"));
    *id = json_string_value(named);
    *data = *dumped = NULL;
    if (!json_is_object(o))
        return "its value is no JSON object";
    if (*type == NULL || **type == 0 || strlen(*type) > SIGNAL_NAME_MAX)
        return "its type is missing, or no text of at most 255 bytes";
    if (named != NULL && !json_is_null(named) && (*id == NULL || strlen(*id) > SIGNAL_NAME_MAX))
        return "its id is no text of at most 255 bytes";
    if (d == NULL || json_is_null(d))
        return NULL;
    if (!json_is_string(d) && !json_is_object(d))
        return "its data is neither an object nor text";
    if (json_is_object(d))
        *dumped = json_dumps(d, JSON_COMPACT);
    *data = json_is_object(d) ? *dumped : json_string_value(d);
    return *data == NULL ? "there is no memory for it" : NULL;
}

/* False: to stop, or no memory, which is in `e`. */
static bool pass_on(struct signal_reader *r, int32_t partition, const struct record *record, struct err *e)
{
    char made_id[64], *dumped = NULL;
    const char *id = NULL, *type = NULL, *data = NULL, *wrong;
    json_t *o = record->value == NULL || (size_t)record->value_len > SIGNAL_DATA_MAX
                    ? NULL
                    : json_loadb((const char *)record->value, (size_t)record->value_len, 0, NULL);
    wrong = o == NULL ? "its value is no JSON" : parse(o, &id, &type, &data, &dumped);
    bool go_on = true;
    if (wrong != NULL) {
        diag_warn("connect", "%s: the record at %s-%d offset %lld is no signal and is passed over: %s",
                  r->label, r->topic, partition, (long long)record->offset, wrong);
    } else {
        if (id == NULL || *id == 0) {
            snprintf(made_id, sizeof(made_id), "%d-%lld", partition, (long long)record->offset);
            id = made_id;
        }
        go_on = signals_put(r->box,
                            &(struct signal){.id = id,
                                             .type = type,
                                             .data = data,
                                             .from_topic = true,
                                             .partition = partition,
                                             .next_offset = record->offset + 1},
                            &r->stop, e);
    }
    free(dumped);
    json_decref(o);
    return go_on;
}

static bool is_ours(const struct signal_reader *r, const struct record *record)
{
    size_t n = strlen(r->key);
    return record->key != NULL && (size_t)record->key_len == n && memcmp(record->key, r->key, n) == 0;
}

/* ---- the thread ------------------------------------------------------------------------------------------------------ */

static void *reader_main(void *arg)
{
    struct signal_reader *r = arg;
    struct err e;
    int rc = ERR_OK;
    while (rc == ERR_OK && !atomic_load(&r->stop)) {
        struct consumed got;
        rc = consumer_poll(r->consumer, -1, &got, &e);
        for (size_t i = 0; rc == ERR_OK && i < got.n; i++) {
            if (is_ours(r, &got.records[i]) && !pass_on(r, got.partition, &got.records[i], &e))
                rc = e.code;
        }
    }
    if (rc != ERR_OK && rc != ERR_INTERRUPTED) {
        pthread_mutex_lock(&r->lock);
        r->error = e;
        pthread_mutex_unlock(&r->lock);
        signals_poke(r->box);
    }
    return NULL;
}

static void free_reader(struct signal_reader *r)
{
    if (r->consumer != NULL)
        consumer_close(r->consumer);
    pthread_mutex_destroy(&r->lock);
    mem_free(r->label);
    mem_free(r->topic);
    mem_free(r->key);
    mem_free(r);
}

int signal_reader_start(struct client *c, struct signals *s, const char *label, const char *topic,
                        const char *key, const int64_t *offsets, int32_t partitions,
                        struct signal_reader **out, struct err *e)
{
    struct signal_reader *r = mem_calloc(1, sizeof(*r));
    *out = NULL;
    if (r == NULL)
        return err_nomem(e);
    mutex_init(&r->lock);
    err_clear(&r->error);
    r->box = s;
    r->label = mem_strdup(label);
    r->topic = mem_strdup(topic);
    r->key = mem_strdup(key);
    int rc = r->label == NULL || r->topic == NULL || r->key == NULL ? err_nomem(e) : ERR_OK;
    if (rc == ERR_OK) {
        r->consumer = consumer_open(c, &(struct consumer_options){.isolation = READ_COMMITTED}, e);
        rc = r->consumer == NULL ? e->code : ERR_OK;
    }
    for (int32_t i = 0; rc == ERR_OK && i < partitions; i++) {
        int64_t from = topics_place(c, label, topic, i, offsets[i]);
        rc = consumer_assign(r->consumer, topic, i, from < 0 ? CONSUMER_EARLIEST : from, e);
    }
    if (rc == ERR_OK)
        rc = thread_start(&r->thread, label, reader_main, r, e);
    if (rc != ERR_OK) {
        free_reader(r);
        return rc;
    }
    *out = r;
    return ERR_OK;
}

void signal_reader_stop(struct signal_reader *r)
{
    if (r == NULL)
        return;
    signals_wake(r->box, &r->stop);
    consumer_wake(r->consumer);
    pthread_join(r->thread, NULL);
    signals_drop_topic(r->box);
    free_reader(r);
}

int signal_reader_error(struct signal_reader *r, struct err *e)
{
    pthread_mutex_lock(&r->lock);
    *e = r->error;
    pthread_mutex_unlock(&r->lock);
    return e->code;
}
