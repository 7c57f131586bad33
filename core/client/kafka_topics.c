/*
 * kafka_topics: topics of a cluster, their partitions and offsets, through librdkafka. Any thread; each call waits for the
 * cluster, for at most some times KAFKA_LIMIT_MS.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/kafka.h"

enum { SETTLE_MS = 15000, LOOK_MS = 20, STEP_MS = 1000, SLACK_MS = 5000, GIVE_UP_MS = 5000, KNOWN_MS = 2000 };
enum { KEPT_MAX_MS = 3600000 }; /* librdkafka takes no more */

/* ---- requests ------------------------------------------------------------------------------------------------------ */

static int ask_metadata(struct kafka_client *k, rd_kafka_topic_t *rkt, const struct rd_kafka_metadata **md,
                        const char *what, struct err *e);

/*
 * How long librdkafka keeps a request. One to a group's coordinator that it gives up while it waits for a connection ends the process when
 * that comes (2.0.2 to 2.15 at least: rd_kafka_admin_coord_request finds no request, and rd_kafka_coord_req_fail answers it all the same:
 * "Assertion `eonce->refcnt > 0' failed"). So it keeps those as long as it can; whoever waits gives up before (kafka_request_wait).
 */
static int kept_ms(rd_kafka_admin_op_t op)
{
    bool of_coordinator = op == RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS ||
                          op == RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS ||
                          op == RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS ||
                          op == RD_KAFKA_ADMIN_OP_DELETEGROUPS ||
                          op == RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    return of_coordinator ? KEPT_MAX_MS : KAFKA_LIMIT_MS;
}

/* While no broker can be reached nothing further is asked: what is kept all comes at once when one can. */
static int reach(struct kafka_client *k, struct err *e)
{
    const struct rd_kafka_metadata *md;
    if (!kafka_is_down(&k->trouble, 0, e))
        return ERR_OK;
    int rc = ask_metadata(k, NULL, &md, "the cluster's metadata", e);
    if (rc == ERR_OK)
        rdk.metadata_destroy(md);
    return rc;
}

int kafka_request_new(struct kafka_client *k, struct kafka_request *r, rd_kafka_admin_op_t op, bool operation,
                      struct err *e)
{
    return kafka_request_through(k->any, k, r, op, operation, e);
}

int kafka_request_through(rd_kafka_t *rk, struct kafka_client *k, struct kafka_request *r,
                          rd_kafka_admin_op_t op, bool operation, struct err *e)
{
    char why[256];
    *r = (struct kafka_request){
        .k = k, .rk = rk, .queue = rdk.queue_new(rk), .options = rdk.AdminOptions_new(rk, op)};
    if (!r->queue || !r->options)
        return err_nomem(e);
    if (reach(k, e) != ERR_OK)
        return e->code;
    if (rdk.AdminOptions_set_request_timeout(r->options, kept_ms(op), why, sizeof why) ||
        (operation &&
         rdk.AdminOptions_set_operation_timeout(r->options, KAFKA_LIMIT_MS - 1000, why, sizeof why)))
        return err_set(e, ERR_INTERNAL, "librdkafka: %s", why);
    return ERR_OK;
}

int kafka_request_wait(struct kafka_request *r, const char *what, struct err *e)
{
    int64_t deadline = clock_mono_ms() + KAFKA_LIMIT_MS + SLACK_MS;
    if (r->event)
        rdk.event_destroy(r->event);
    while (!(r->event = rdk.queue_poll(r->queue, STEP_MS)) && clock_mono_ms() < deadline) {
        while (rdk.poll(r->rk, 0) > 0)
            ;
        if (kafka_is_down(&r->k->trouble, GIVE_UP_MS, e))
            return err_wrap(e, "cannot reach %s", r->k->servers);
    }
    if (!r->event)
        return err_set(e, ERR_TIMEOUT, "%s: the cluster did not answer within %d s", what,
                       KAFKA_LIMIT_MS / 1000);
    rd_kafka_resp_err_t code = rdk.event_error(r->event);
    if (code)
        return kafka_err(e, code, rdk.event_error_string(r->event), "%s", what);
    kafka_trouble_over(&r->k->trouble);
    return ERR_OK;
}

void kafka_request_free(struct kafka_request *r)
{
    if (r->event)
        rdk.event_destroy(r->event);
    if (r->options)
        rdk.AdminOptions_destroy(r->options);
    if (r->queue)
        rdk.queue_destroy(r->queue);
}

/* The error of the only topic of an answer. */
static int topic_outcome(const rd_kafka_topic_result_t **results, size_t n, const char *topic, struct err *e)
{
    if (n != 1)
        return err_set(e, ERR_INTERNAL, "topic %s: the answer has %zu topics", topic, n);
    rd_kafka_resp_err_t code = rdk.topic_result_error(results[0]);
    return code ? kafka_err(e, code, rdk.topic_result_error_string(results[0]), "topic %s", topic) : ERR_OK;
}

/* ---- what there is --------------------------------------------------------------------------------------------------- */

bool kafka_is_internal(const char *topic)
{
    return strncmp(topic, "__", 2) == 0;
}

/*
 * Metadata of one topic, or of all (`rkt` NULL). Every call that needs the cluster begins with it: where no broker could be
 * reached for GIVE_UP_MS, it does not wait as long as for one that is slow.
 */
static int ask_metadata(struct kafka_client *k, rd_kafka_topic_t *rkt, const struct rd_kafka_metadata **md,
                        const char *what, struct err *e)
{
    int64_t deadline = clock_mono_ms() + KAFKA_LIMIT_MS;
    for (;;) {
        rd_kafka_resp_err_t code = rdk.metadata(k->any, rkt == NULL, rkt, md, STEP_MS);
        while (rdk.poll(k->any, 0) > 0)
            ;
        if (!code) {
            kafka_trouble_over(&k->trouble);
            return ERR_OK;
        }
        if (kafka_is_down(&k->trouble, GIVE_UP_MS, e))
            return err_wrap(e, "cannot reach %s", k->servers);
        bool again = code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (!again || clock_mono_ms() >= deadline)
            return kafka_err(e, code, NULL, "%s", what);
    }
}

/* Asks once: the topic's error is in *code, and `md` is the caller's where there is none. */
static int look_once(struct kafka_client *k, rd_kafka_topic_t *rkt, const char *topic,
                     const struct rd_kafka_metadata **md, rd_kafka_resp_err_t *code, struct err *e)
{
    int rc = ask_metadata(k, rkt, md, topic, e);
    if (rc)
        return rc;
    *code = (*md)->topic_cnt == 1 ? (*md)->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (*code)
        rdk.metadata_destroy(*md);
    return ERR_OK;
}

/* Metadata of one topic, which is waited for a while if it is being made; `md` is the caller's to destroy on ERR_OK. */
static int look_at(struct kafka_client *k, const char *topic, const struct rd_kafka_metadata **md,
                   struct err *e)
{
    int64_t deadline = clock_mono_ms() + SETTLE_MS;
    rd_kafka_resp_err_t code;
    rd_kafka_topic_t *rkt = rdk.topic_new(k->any, topic, NULL);
    if (!rkt)
        return err_set(e, ERR_INVALID_TOPIC, "'%.249s' is not a topic's name", topic);
    int rc = look_once(k, rkt, topic, md, &code, e);
    while (rc == ERR_OK && code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE && clock_mono_ms() < deadline) {
        usleep(LOOK_MS * 1000);
        rc = look_once(k, rkt, topic, md, &code, e);
    }
    rdk.topic_destroy(rkt);
    if (rc || !code)
        return rc;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return err_set(e, ERR_UNKNOWN_TOPIC, "there is no topic \"%s\"", topic);
    return kafka_err(e, code, NULL, "topic %s", topic);
}

int kafka_partition_count(struct kafka_client *k, const char *topic, int32_t *count, struct err *e)
{
    const struct rd_kafka_metadata *md;
    int rc = look_at(k, topic, &md, e);
    if (rc)
        return rc;
    *count = md->topics[0].partition_cnt;
    rdk.metadata_destroy(md);
    return ERR_OK;
}

/* Waits until what was done shows: `partitions` with a leader, 0: none of them. Brokers learn of it one after another. */
static int settle(struct kafka_client *k, const char *topic, int32_t partitions, struct err *e)
{
    int64_t deadline = clock_mono_ms() + SETTLE_MS;
    for (;;) {
        const struct rd_kafka_metadata *md;
        int rc = look_at(k, topic, &md, e);
        if (rc && rc != ERR_UNKNOWN_TOPIC)
            return rc;
        int32_t led = 0;
        for (int i = 0; rc == ERR_OK && i < md->topics[0].partition_cnt; i++)
            led += partitions == 0 || md->topics[0].partitions[i].leader >= 0;
        if (rc == ERR_OK)
            rdk.metadata_destroy(md);
        if (partitions ? led > 0 && led >= partitions : rc == ERR_UNKNOWN_TOPIC)
            return ERR_OK;
        if (clock_mono_ms() >= deadline)
            return err_set(e, ERR_TIMEOUT, "topic %s: not all brokers know of the change yet", topic);
        usleep(LOOK_MS * 1000);
    }
}

/* ---- offsets ------------------------------------------------------------------------------------------------------------ */

/* The handle that sees what `isolation` does. */
static rd_kafka_t *seeing(struct kafka_client *k, enum isolation isolation, struct err *e)
{
    if (isolation == READ_UNCOMMITTED)
        return k->any;
    pthread_mutex_lock(&k->lock);
    if (!k->committed)
        k->committed = kafka_handle(k, RD_KAFKA_CONSUMER,
                                    (const struct kafka_need[]){{"isolation.level", "read_committed"}}, 1,
                                    NULL, &k->trouble, e);
    rd_kafka_t *rk = k->committed;
    pthread_mutex_unlock(&k->lock);
    return rk;
}

/* As kafka_partition_count, of the last topic as it was a moment ago: offsets are asked for partition by partition. */
static int known_count(struct kafka_client *k, const char *topic, int32_t *count, struct err *e)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&k->lock);
    bool known = strcmp(k->known.name, topic) == 0 && now - k->known_ms < KNOWN_MS;
    *count = k->known.partitions;
    pthread_mutex_unlock(&k->lock);
    int rc = known ? ERR_OK : kafka_partition_count(k, topic, count, e);
    if (known || rc)
        return rc;
    pthread_mutex_lock(&k->lock);
    snprintf(k->known.name, sizeof k->known.name, "%s", topic);
    k->known.partitions = *count;
    k->known_ms = now;
    pthread_mutex_unlock(&k->lock);
    return ERR_OK;
}

/*
 * What a broker says of a partition that it does not lead yet, or no longer. A topic that it does not know yet is one of these, as
 * offsets are asked for of topics that are known: the metadata's broker may have heard of it before the leader has.
 */
static bool leader_moves(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE || code == RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH ||
           code == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

/* Whether it is worth while to ask again, and not in vain, as the topic was deleted meanwhile. */
static bool settles(struct kafka_client *k, const char *topic, rd_kafka_resp_err_t code)
{
    struct err unused;
    int32_t count;
    return leader_moves(code) && (code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                                  kafka_partition_count(k, topic, &count, &unused) != ERR_UNKNOWN_TOPIC);
}

/*
 * Asks for the offsets of `timestamp`. What is wrong with one partition is told in it. A partition that was just made, or
 * whose broker just ended, has its leader in a moment.
 */
static int ask_offsets(struct kafka_client *k, rd_kafka_topic_partition_list_t *list, int64_t timestamp,
                       enum isolation isolation, const char *topic, struct err *e)
{
    int64_t deadline = clock_mono_ms() + SETTLE_MS;
    rd_kafka_t *rk = seeing(k, isolation, e);
    if (!rk)
        return e->code;
    for (;;) {
        for (int i = 0; i < list->cnt; i++) {
            list->elems[i].offset = timestamp;
            list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        rd_kafka_resp_err_t code = rdk.offsets_for_times(rk, list, KAFKA_LIMIT_MS);
        bool again = settles(k, topic, code);
        for (int i = 0; i < list->cnt; i++)
            again = again || settles(k, topic, list->elems[i].err);
        if (!again || clock_mono_ms() >= deadline)
            return code ? kafka_err(e, code, NULL, "offsets of topic %s", topic) : ERR_OK;
        usleep(LOOK_MS * 1000);
    }
}

int kafka_list_offset(struct client *c, const char *topic, int32_t partition, int64_t timestamp,
                      enum isolation isolation, int64_t *offset, int64_t *found_ts, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    int32_t count;
    if (timestamp < RD_KAFKA_OFFSET_BEGINNING)
        return err_set(e, ERR_UNSUPPORTED, "librdkafka does not ask for the timestamp %lld",
                       (long long)timestamp);
    int rc = known_count(k, topic, &count, e);
    if (rc)
        return rc;
    if (partition < 0 || partition >= count)
        return err_set(e, ERR_UNKNOWN_TOPIC, "topic \"%s\" has no partition %d", topic, partition);
    rd_kafka_topic_partition_list_t *list = rdk.topic_partition_list_new(1);
    rdk.topic_partition_list_add(list, topic, partition);
    rc = ask_offsets(k, list, timestamp, isolation, topic, e);
    if (rc == ERR_OK && list->elems[0].err)
        rc = kafka_err(e, list->elems[0].err, NULL, "%s-%d", topic, partition);
    *offset = list->elems[0].offset;
    *found_ts = -1; /* librdkafka keeps it to itself */
    rdk.topic_partition_list_destroy(list);
    return rc;
}

/* One kind of offset of all partitions that have a leader. */
static int fill_offsets(struct kafka_client *k, struct topic_info *t, int64_t timestamp,
                        enum isolation isolation, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rdk.topic_partition_list_new(t->partition_count);
    for (int32_t i = 0; i < t->partition_count; i++)
        if (!t->partitions[i].failed)
            rdk.topic_partition_list_add(list, t->name, i);
    int rc = list->cnt ? ask_offsets(k, list, timestamp, isolation, t->name, e) : ERR_OK;
    for (int i = 0; rc == ERR_OK && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        struct partition_info *p = &t->partitions[one->partition];
        if (one->err)
            rc = kafka_err(e, one->err, NULL, "%s-%d", t->name, one->partition);
        else if (timestamp == RD_KAFKA_OFFSET_BEGINNING)
            p->log_start_offset = one->offset;
        else if (isolation == READ_COMMITTED)
            p->last_stable_offset = one->offset;
        else
            p->high_watermark = p->end_offset = one->offset;
    }
    rdk.topic_partition_list_destroy(list);
    return rc;
}

static int fill_partitions(struct kafka_client *k, const rd_kafka_metadata_topic_t *from,
                           struct topic_info *t, struct err *e)
{
    t->partitions = mem_calloc((size_t)t->partition_count + 1, sizeof *t->partitions);
    if (!t->partitions)
        return err_nomem(e);
    for (int32_t i = 0; i < t->partition_count; i++)
        t->partitions[i] =
            (struct partition_info){.partition = i, .size = -1, .segments = -1, .disk = -1, .failed = true};
    for (int i = 0; i < from->partition_cnt; i++)
        if (from->partitions[i].id >= 0 && from->partitions[i].id < t->partition_count)
            t->partitions[from->partitions[i].id].failed = from->partitions[i].leader < 0;
    int rc = fill_offsets(k, t, RD_KAFKA_OFFSET_BEGINNING, READ_UNCOMMITTED, e);
    if (rc == ERR_OK)
        rc = fill_offsets(k, t, RD_KAFKA_OFFSET_END, READ_UNCOMMITTED, e);
    return rc ? rc : fill_offsets(k, t, RD_KAFKA_OFFSET_END, READ_COMMITTED, e);
}

static int take_topic(const rd_kafka_metadata_topic_t *from, struct topic_info *t, struct err *e)
{
    *t = (struct topic_info){.name = mem_strdup(from->topic),
                             .internal = kafka_is_internal(from->topic),
                             .partition_count = from->partition_cnt};
    return t->name ? ERR_OK : err_nomem(e);
}

int kafka_topic(struct client *c, const char *name, struct topic_info *out, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    const struct rd_kafka_metadata *md;
    int rc = look_at(k, name, &md, e);
    if (rc)
        return rc;
    rc = take_topic(&md->topics[0], out, e);
    if (rc == ERR_OK)
        rc = fill_partitions(k, &md->topics[0], out, e);
    rdk.metadata_destroy(md);
    if (rc == ERR_OK)
        rc = kafka_fill_configs(k, out, 1, e);
    if (rc)
        topic_info_free(out);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct topic_info *)a)->name, ((const struct topic_info *)b)->name);
}

int kafka_topics(struct client *c, struct topic_info **list, size_t *n, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    const struct rd_kafka_metadata *md;
    int rc = ask_metadata(k, NULL, &md, "the list of topics", e);
    if (rc)
        return rc;
    *n = 0;
    *list = mem_calloc((size_t)md->topic_cnt + 1, sizeof **list);
    rc = *list ? ERR_OK : err_nomem(e);
    for (int i = 0; rc == ERR_OK && i < md->topic_cnt; i++)
        if (md->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR &&
            (rc = take_topic(&md->topics[i], &(*list)[*n], e)) == ERR_OK)
            (*n)++;
    rdk.metadata_destroy(md);
    if (rc == ERR_OK) {
        qsort(*list, *n, sizeof **list, by_name);
        rc = kafka_fill_configs(k, *list, *n, e);
    }
    if (rc && *list)
        topic_infos_free(*list, *n);
    return rc;
}

/* ---- changes ------------------------------------------------------------------------------------------------------------ */

int kafka_create_topic(struct client *c, const char *name, int32_t partitions,
                       const struct topic_config_entry *config, size_t config_count, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    struct kafka_request r;
    char why[256];
    size_t n;
    rd_kafka_NewTopic_t *topic =
        rdk.NewTopic_new(name, partitions, -1 /* replicas: the brokers' */, why, sizeof why);
    if (!topic)
        return err_set(e, ERR_INVALID, "topic %s: %s", name, why);
    int rc = kafka_request_new(k, &r, RD_KAFKA_ADMIN_OP_CREATETOPICS, true, e);
    for (size_t i = 0; rc == ERR_OK && i < config_count; i++)
        if (rdk.NewTopic_set_config(topic, config[i].name, config[i].value))
            rc = err_set(e, ERR_INVALID, "topic %s: %s is not a setting", name, config[i].name);
    if (rc == ERR_OK) {
        rdk.CreateTopics(k->any, &topic, 1, r.options, r.queue);
        rc = kafka_request_wait(&r, name, e);
    }
    if (rc == ERR_OK) {
        const rd_kafka_topic_result_t **results =
            rdk.CreateTopics_result_topics(rdk.event_CreateTopics_result(r.event), &n);
        rc = topic_outcome(results, n, name, e);
    }
    kafka_request_free(&r);
    rdk.NewTopic_destroy(topic);
    return rc ? rc : settle(k, name, partitions > 0 ? partitions : 1, e);
}

int kafka_delete_topic(struct client *c, const char *name, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    struct kafka_request r;
    size_t n;
    int32_t count; /* the same words for a topic that is not there as elsewhere */
    int rc = kafka_partition_count(k, name, &count, e);
    if (rc)
        return rc;
    rd_kafka_DeleteTopic_t *topic = rdk.DeleteTopic_new(name);
    rc = kafka_request_new(k, &r, RD_KAFKA_ADMIN_OP_DELETETOPICS, true, e);
    if (rc == ERR_OK) {
        rdk.DeleteTopics(k->any, &topic, 1, r.options, r.queue);
        rc = kafka_request_wait(&r, name, e);
    }
    if (rc == ERR_OK) {
        const rd_kafka_topic_result_t **results =
            rdk.DeleteTopics_result_topics(rdk.event_DeleteTopics_result(r.event), &n);
        rc = topic_outcome(results, n, name, e);
    }
    kafka_request_free(&r);
    rdk.DeleteTopic_destroy(topic);
    return rc ? rc : settle(k, name, 0, e);
}

int kafka_add_partitions(struct client *c, const char *name, int32_t total, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    struct kafka_request r;
    char why[256];
    size_t n;
    rd_kafka_NewPartitions_t *more =
        rdk.NewPartitions_new(name, total > 0 ? (size_t)total : 0, why, sizeof why);
    if (!more)
        return err_set(e, ERR_INVALID_PARTITIONS, "topic %s: %s", name, why);
    int rc = kafka_request_new(k, &r, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, true, e);
    if (rc == ERR_OK) {
        rdk.CreatePartitions(k->any, &more, 1, r.options, r.queue);
        rc = kafka_request_wait(&r, name, e);
    }
    if (rc == ERR_OK) {
        const rd_kafka_topic_result_t **results =
            rdk.CreatePartitions_result_topics(rdk.event_CreatePartitions_result(r.event), &n);
        rc = topic_outcome(results, n, name, e);
    }
    kafka_request_free(&r);
    rdk.NewPartitions_destroy(more);
    return rc ? rc : settle(k, name, total, e);
}

/* ---- records ------------------------------------------------------------------------------------------------------------- */

static bool same_place(const struct record_deletion *d, const rd_kafka_topic_partition_t *p)
{
    return d->partition == p->partition && strcmp(d->topic, p->topic) == 0;
}

/* One request's deletions: what came of each is in it. */
static int delete_at_once(struct kafka_client *k, struct record_deletion *deletions, size_t n, struct err *e)
{
    struct kafka_request r;
    rd_kafka_topic_partition_list_t *list = rdk.topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++)
        if (!deletions[i].error.code)
            rdk.topic_partition_list_add(list, deletions[i].topic, deletions[i].partition)->offset =
                deletions[i].before < 0 ? RD_KAFKA_OFFSET_END : deletions[i].before;
    rd_kafka_DeleteRecords_t *request = rdk.DeleteRecords_new(list);
    int asked = list->cnt;
    rdk.topic_partition_list_destroy(list);
    int rc = kafka_request_new(k, &r, RD_KAFKA_ADMIN_OP_DELETERECORDS, true, e);
    if (rc == ERR_OK && asked) {
        rdk.DeleteRecords(k->any, &request, 1, r.options, r.queue);
        rc = kafka_request_wait(&r, "deleting records", e);
    }
    if (rc == ERR_OK && asked) {
        const rd_kafka_topic_partition_list_t *got =
            rdk.DeleteRecords_result_offsets(rdk.event_DeleteRecords_result(r.event));
        for (int i = 0; i < got->cnt; i++)
            for (size_t d = 0; d < n; d++)
                if (same_place(&deletions[d], &got->elems[i])) {
                    deletions[d].low = got->elems[i].offset;
                    if (got->elems[i].err)
                        kafka_err(&deletions[d].error, got->elems[i].err, NULL, "%s-%d", deletions[d].topic,
                                  deletions[d].partition);
                }
    }
    kafka_request_free(&r);
    rdk.DeleteRecords_destroy(request);
    return rc;
}

int kafka_delete_records(struct client *c, struct record_deletion *deletions, size_t n, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    int32_t count = 0;
    for (size_t i = 0; i < n; i++) { /* librdkafka waits long for the leader of what is not there */
        struct record_deletion *d = &deletions[i];
        err_clear(&d->error);
        int rc = i > 0 && strcmp(d->topic, deletions[i - 1].topic) == 0 && !deletions[i - 1].error.code
                     ? ERR_OK
                     : kafka_partition_count(k, d->topic, &count, &d->error);
        if (rc == ERR_OK && d->partition >= count)
            err_set(&d->error, ERR_UNKNOWN_TOPIC, "topic \"%s\" has no partition %d", d->topic, d->partition);
        else if (rc && rc != ERR_UNKNOWN_TOPIC) {
            *e = d->error;
            return rc;
        }
    }
    enum { AT_ONCE = 100 }; /* so that finding an answer's items stays cheap */
    int rc = ERR_OK;
    for (size_t from = 0; rc == ERR_OK && from < n; from += AT_ONCE)
        rc = delete_at_once(k, deletions + from, n - from < AT_ONCE ? n - from : AT_ONCE, e);
    return rc;
}
