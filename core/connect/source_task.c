/*
 * source_task: one attempt of a source: producer, stored positions, open; then poll and commit by turns; at
 * the end a last commit, or an abort. The fast path is source_emit: records go straight into the producer's
 * batches.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/hash.h"
#include "base/mem.h"
#include "connect/converter.h"
#include "connect/positions.h"
#include "connect/source.h"
#include "connect/topics.h"

#define KEYLESS_RUN_BYTES ((size_t)1 << 20) /* records without key go to one partition for so long */
#define IDLE_WAIT_MS 10                     /* after a poll that neither gave anything nor waited */

/* A topic that is written to, with its partitions looked up once. */
struct topic_targets {
    char *name;
    int32_t count, next; /* next: where records without key go */
    size_t run;          /* bytes that went there */
    struct producer_target *targets[];
};

struct source_run {
    struct producer *producer;
    struct positions *positions;
    struct map *topics;          /* struct topic_targets by name */
    struct topic_targets *main;  /* the pipeline's topic */
    struct topic_targets *other; /* the last other one used */
    struct record_header *headers;
    size_t header_cap;
    struct buf key, value;   /* converted */
    uint64_t records, bytes; /* since the last commit */
    bool polling;
    int failed; /* LEAT_RETRY or LEAT_FAIL: emit or set_position failed in this poll */
};

static void free_targets(void *p)
{
    struct topic_targets *tt = p;
    mem_free(tt->name);
    mem_free(tt);
}

/* ---- emit
 * --------------------------------------------------------------------------------------------------- */

static struct topic_targets *open_topic(struct leat_task *t, struct source_run *s, const char *name,
                                        struct err *e)
{
    struct topic_targets *tt = map_get(s->topics, name, strlen(name));
    if (tt != NULL)
        return tt;
    int32_t count;
    if (topics_ensure(t->set->client, t->set->pipeline, name, &count, e) != ERR_OK)
        return NULL;
    tt = mem_calloc(1, sizeof(*tt) + (size_t)count * sizeof(tt->targets[0]));
    if (tt == NULL) {
        err_nomem(e);
        return NULL;
    }
    tt->count = count;
    tt->next = t->index % count;
    tt->name = mem_strdup(name);
    if (tt->name == NULL) {
        err_nomem(e);
        goto err_after_targets;
    }
    for (int32_t i = 0; i < count; i++) {
        if (producer_target(s->producer, name, i, &tt->targets[i], e) != ERR_OK)
            goto err_after_targets;
    }
    if (map_put(s->topics, name, strlen(name), tt, e) != ERR_OK)
        goto err_after_targets;
    return tt;

err_after_targets:
    free_targets(tt);
    return NULL;
}

static struct topic_targets *find_topic(struct leat_task *t, struct source_run *s, const char *name,
                                        struct err *e)
{
    if (s->other != NULL && strcmp(s->other->name, name) == 0)
        return s->other;
    if (strcmp(name, POSITIONS_TOPIC) == 0 || strncmp(name, "__", 2) == 0) {
        err_set(e, ERR_INVALID_TOPIC, "a source must not write to the internal topic %s", name);
        return NULL;
    }
    s->other = open_topic(t, s, name, e);
    return s->other;
}

static struct producer_target *choose(struct topic_targets *tt, const struct leat_record *r, const void *key,
                                      size_t key_len, struct err *e)
{
    if (r->partition >= 0) {
        if (r->partition < tt->count)
            return tt->targets[r->partition];
        err_set(e, ERR_INVALID, "partition %d of %s, which has %d", r->partition, tt->name, tt->count);
        return NULL;
    }
    if (tt->count == 1)
        return tt->targets[0];
    if (key != NULL)
        return tt->targets[kafka_partition_for_key(key, key_len, tt->count)];
    tt->run += r->value_len + 1;
    if (tt->run > KEYLESS_RUN_BYTES) {
        tt->run = 0;
        tt->next = (tt->next + 1) % tt->count;
    }
    return tt->targets[tt->next];
}

static int convert_headers(struct source_run *s, const struct leat_record *r, struct err *e)
{
    if (r->headers == NULL || r->header_count > INT32_MAX)
        return err_set(e, ERR_INVALID, "a record with %zu headers at no address", r->header_count);
    if (r->header_count > s->header_cap) {
        struct record_header *headers = mem_realloc_array(s->headers, r->header_count, sizeof(*headers));
        if (headers == NULL)
            return err_nomem(e);
        s->headers = headers;
        s->header_cap = r->header_count;
    }
    for (size_t i = 0; i < r->header_count; i++) {
        const struct leat_header *h = &r->headers[i];
        if (h->key == NULL || h->key_len > BATCH_MAX_BYTES || h->value_len > BATCH_MAX_BYTES)
            return err_set(e, ERR_INVALID, "a record with a header without key, or too large");
        s->headers[i] = (struct record_header){h->key, (int32_t)h->key_len, h->value,
                                               h->value == NULL ? -1 : (int32_t)h->value_len};
    }
    return ERR_OK;
}

/* The bytes of a typed key or value, in `out`. */
static int convert(enum converter c, const char *what, const struct leat_value *v, struct buf *out,
                   const void **p, size_t *n, struct err *e)
{
    bool null;
    buf_reset(out);
    /* An empty text has an address too, which tells it from null. */
    if (converter_write(c, v, out, &null, e) != ERR_OK || buf_reserve(out, 1, e) != ERR_OK)
        return err_wrap(e, "the %s, by the %s converter", what, converter_name(c));
    *p = null ? NULL : out->data;
    *n = null ? 0 : out->len;
    return ERR_OK;
}

static int emit_one(struct leat_task *t, struct source_run *s, const struct leat_record *r, int64_t *now,
                    struct err *e)
{
    const void *key = r->key, *value = r->value;
    size_t key_len = key == NULL ? 0 : r->key_len, value_len = value == NULL ? 0 : r->value_len;
    if (r->struct_size != sizeof(*r))
        return err_set(e, ERR_INVALID, "a record whose struct_size is %u, not %zu", r->struct_size,
                       sizeof(*r));
    if (r->key_value != NULL &&
        convert(t->set->config->key_converter, "key", r->key_value, &s->key, &key, &key_len, e) != ERR_OK)
        return e->code;
    if (r->value_value != NULL && convert(t->set->config->value_converter, "value", r->value_value, &s->value,
                                          &value, &value_len, e) != ERR_OK)
        return e->code;
    if (r->header_count > 0 && convert_headers(s, r, e) != ERR_OK)
        return e->code;
    int64_t timestamp = r->timestamp;
    if (timestamp < 0) {
        if (timestamp != -1)
            return err_set(e, ERR_INVALID, "a record with timestamp %lld", (long long)timestamp);
        if (*now < 0)
            *now = clock_wall_ms();
        timestamp = *now;
    }
    struct topic_targets *tt = r->topic == NULL ? s->main : find_topic(t, s, r->topic, e);
    struct producer_target *target = tt == NULL ? NULL : choose(tt, r, key, key_len, e);
    if (target == NULL)
        return e->code;
    int rc = producer_add_to(s->producer, target, timestamp, key, key_len, value, value_len, s->headers,
                             (int32_t)r->header_count, e);
    if (rc == ERR_TOO_LARGE)
        err_wrap(e, "%zu bytes for topic %s, whose max.message.bytes is the limit", key_len + value_len,
                 tt->name);
    s->records++;
    s->bytes += key_len + value_len;
    return rc;
}

int source_emit(struct leat_task *t, const struct leat_record *records, size_t n)
{
    struct source_run *s = t->source;
    if (s == NULL || !s->polling)
        return task_fail(t, LEAT_FAIL, "emit is for a source's poll");
    if (s->failed != LEAT_OK)
        return s->failed;
    struct err e;
    int64_t now = -1;
    for (size_t i = 0; i < n; i++) {
        if (emit_one(t, s, &records[i], &now, &e) != ERR_OK) {
            err_wrap(&e, "cannot take record %zu of %zu", i + 1, n);
            return s->failed = task_fail_err(t, &e);
        }
    }
    return LEAT_OK;
}

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
    return t->source != NULL && positions_next(t->source->positions, cursor, partition, offset);
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
    struct topic_info info;
    if (client_topic(client, POSITIONS_TOPIC, &info, e) != ERR_OK)
        return e->code;
    int32_t count = info.partition_count;
    topic_info_free(&info);
    int64_t found, *ends = mem_calloc((size_t)count, sizeof(*ends));
    if (ends == NULL)
        return err_nomem(e);
    struct consumer *c = consumer_open(client, &(struct consumer_options){.isolation = READ_COMMITTED}, e);
    int rc = c == NULL ? e->code : ERR_OK;
    for (int32_t i = 0; rc == ERR_OK && i < count; i++) {
        rc = client_list_offset(client, POSITIONS_TOPIC, i, -1, READ_UNCOMMITTED, &ends[i], &found, e);
        if (rc == ERR_OK)
            rc = consumer_assign(c, POSITIONS_TOPIC, i, CONSUMER_EARLIEST, e);
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
    s->positions = positions_new(t->set->config->name, e);
    if (s->positions == NULL || load_positions(t, s, e) != ERR_OK)
        return e->code;
    s->main = open_topic(t, s, t->set->pipeline->topics[0], e);
    return s->main == NULL ? e->code : ERR_OK;
}

/* Aborts what is not committed. */
static void source_end(struct source_run *s)
{
    if (s->producer != NULL)
        producer_close(s->producer);
    positions_free(s->positions);
    if (s->topics != NULL)
        map_free(s->topics, free_targets);
    mem_free(s->headers);
    buf_free(&s->key);
    buf_free(&s->value);
}

/* Commits what the last poll gave. */
static int commit(struct leat_task *t, struct source_run *s, void *self)
{
    const struct leat_source_ops *ops = t->set->config->connector->source;
    struct err e;
    if (s->records == 0 && positions_changed(s->positions) == 0)
        return LEAT_OK;
    if (positions_write(s->positions, s->producer, &e) != ERR_OK ||
        producer_commit(s->producer, &e) != ERR_OK) {
        err_wrap(&e, "cannot commit %llu records", (unsigned long long)s->records);
        return task_fail_err(t, &e);
    }
    positions_committed(s->positions);
    task_progress(t, s->records, s->bytes);
    s->records = s->bytes = 0;
    if (ops->committed == NULL)
        return LEAT_OK;
    task_call(t);
    return task_returned(t, ops->committed(self), "committed", false);
}

static int poll_once(struct leat_task *t, struct source_run *s, void *self)
{
    const struct leat_source_ops *ops = t->set->config->connector->source;
    task_call(t);
    s->failed = LEAT_OK;
    s->polling = true;
    int polled = ops->poll(self);
    s->polling = false;
    /* A plugin that passes over a refused record must not lose it. */
    if (s->failed != LEAT_OK)
        return s->failed;
    polled = task_returned(t, polled, "poll", true);
    if (polled != LEAT_OK && polled != LEAT_END)
        return polled;
    bool nothing = s->records == 0 && positions_changed(s->positions) == 0;
    int rc = commit(t, s, self);
    if (rc == LEAT_OK && polled == LEAT_OK && nothing && !t->waited)
        task_sleep(t, IDLE_WAIT_MS);
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
    task_call(t);
    rc = task_returned(t, c->source->open(t, &task_host, t->set->config->options, &self), "open", false);
    if (rc == LEAT_OK) {
        diag_debug("connect", "%s: running", t->label);
        task_set_state(t, TASK_RUNNING);
        while (rc == LEAT_OK && !atomic_load(&t->stopping))
            rc = poll_once(t, &s, self);
        c->source->close(self);
    }
    t->source = NULL;

end:
    source_end(&s);
    return task_outcome_of(rc);
}
