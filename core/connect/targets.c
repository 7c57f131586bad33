/*
 * targets: see targets.h.
 */
#include "connect/targets.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "connect/topics.h"

#define KEY_PREFIX "target-state-"
#define PREFIX_LEN (sizeof(KEY_PREFIX) - 1)
#define PAUSED_VALUE "{\"state\":\"PAUSED\",\"state.v2\":\"PAUSED\"}"

/* Holds the paused ones; a value says nothing. */
struct targets {
    struct map *paused;
};

void targets_free(struct targets *t)
{
    if (t == NULL)
        return;
    if (t->paused != NULL)
        map_free(t->paused, NULL);
    mem_free(t);
}

bool targets_paused(const struct targets *t, const char *connector)
{
    return map_get(t->paused, connector, strlen(connector)) != NULL;
}

static int note(struct targets *t, const char *name, size_t n, bool paused, struct err *e)
{
    if (!paused)
        map_remove(t->paused, name, n);
    else if (map_get(t->paused, name, n) == NULL)
        return map_put(t->paused, name, n, t, e);
    return ERR_OK;
}

/* Other records of the topic, such as a Kafka Connect of old left, are passed over. */
static int load_record(struct targets *t, const struct record *r, struct err *e)
{
    if (r->key == NULL || (size_t)r->key_len <= PREFIX_LEN || memcmp(r->key, KEY_PREFIX, PREFIX_LEN) != 0)
        return ERR_OK;
    bool paused = r->value != NULL && (size_t)r->value_len == strlen(PAUSED_VALUE) &&
                  memcmp(r->value, PAUSED_VALUE, (size_t)r->value_len) == 0;
    return note(t, (const char *)r->key + PREFIX_LEN, (size_t)r->key_len - PREFIX_LEN, paused, e);
}

static int read_all(struct client *c, struct targets *t, struct err *e)
{
    struct consumer *consumer = consumer_open(c, &(struct consumer_options){.isolation = READ_COMMITTED}, e);
    if (consumer == NULL)
        return e->code;
    int rc = consumer_assign(consumer, client_targets_topic(c), 0, CONSUMER_EARLIEST, e);
    while (rc == ERR_OK && !consumer_at_end(consumer)) {
        struct consumed got;
        rc = consumer_poll(consumer, 0, &got, e);
        for (size_t i = 0; rc == ERR_OK && i < got.n; i++)
            rc = load_record(t, &got.records[i], e);
    }
    consumer_close(consumer);
    return rc;
}

int targets_load(struct client *c, struct targets **out, struct err *e)
{
    struct topic_brief info;
    struct targets *t = mem_calloc(1, sizeof(*t));
    *out = NULL;
    if (t == NULL || (t->paused = map_new()) == NULL) {
        targets_free(t);
        return err_nomem(e);
    }
    int rc = client_topic_brief(c, client_targets_topic(c), &info, e);
    if (rc == ERR_OK) {
        rc = read_all(c, t, e);
    } else if (rc == ERR_UNKNOWN_TOPIC) {
        rc = ERR_OK;
    }
    if (rc != ERR_OK) {
        targets_free(t);
        return err_wrap(e, "topic %s", client_targets_topic(c));
    }
    *out = t;
    return ERR_OK;
}

int targets_store(struct client *c, const char *connector, bool paused, struct err *e)
{
    struct producer_options options = {.codec_level = CODEC_LEVEL_DEFAULT};
    bool is_there = false;
    char *key = mem_printf(KEY_PREFIX "%s", connector);
    struct producer *p = NULL;
    /* Made when there is something to store. */
    int rc = key == NULL ? err_nomem(e)
                         : topics_ensure_compacted(c, client_targets_topic(c), paused, &is_there, e);
    if (rc == ERR_OK && is_there && (p = producer_open(c, &options, e)) == NULL)
        rc = e->code;
    if (rc == ERR_OK && is_there)
        rc = producer_add(p, client_targets_topic(c), 0, clock_wall_ms(), key, strlen(key),
                          paused ? PAUSED_VALUE : NULL, paused ? strlen(PAUSED_VALUE) : 0, NULL, 0, e);
    if (rc == ERR_OK && is_there)
        rc = producer_flush(p, e);
    producer_close(p);
    mem_free(key);
    return rc == ERR_OK ? rc : err_wrap(e, "cannot store whether %s is paused", connector);
}

void targets_set(struct targets *t, const char *connector, bool paused)
{
    struct err e;
    note(t, connector, strlen(connector), paused, &e);
}

char *targets_unwanted(const struct targets *t, bool (*wanted)(void *arg, const char *connector), void *arg)
{
    size_t pos = 0, n;
    const void *key;
    void *value;
    while (map_next(t->paused, &pos, &key, &n, &value)) {
        char *name = mem_strndup(key, n);
        if (name == NULL || !wanted(arg, name))
            return name;
        mem_free(name);
    }
    return NULL;
}
