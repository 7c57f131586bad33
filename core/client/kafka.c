/*
 * kafka: opening a cluster, handles of librdkafka and their properties, and what librdkafka says of connections. Any thread.
 */
#include "client/kafka.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"

enum { STEP_MS = 100 };
#define SCRAM_MENDED 0x02060100 /* rd_kafka_version */

/* ---- errors -------------------------------------------------------------------------------------------------------- */

static int code_of(rd_kafka_resp_err_t code)
{
    static const struct {
        rd_kafka_resp_err_t theirs;
        int ours;
    } rows[] = {
        {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERR_PERMISSION},
        {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ERR_PERMISSION},
        {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ERR_PERMISSION},
        {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ERR_PERMISSION},
        {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, ERR_AUTHENTICATION},
        {RD_KAFKA_RESP_ERR_INVALID_CONFIG, ERR_INVALID}, /* of a topic, not of our configuration */
        {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, ERR_INVALID},
        {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, ERR_PERMISSION},
        {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, ERR_BUSY},
        {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, ERR_BUSY},
        {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, ERR_BUSY},
        {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, ERR_BUSY},
        {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, ERR_BUSY},
        {RD_KAFKA_RESP_ERR_NOT_CONTROLLER, ERR_BUSY},
        {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, ERR_GROUP_NOT_EMPTY},
        {RD_KAFKA_RESP_ERR__TRANSPORT, ERR_CONNECTION},
        {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, ERR_CONNECTION},
        {RD_KAFKA_RESP_ERR__RESOLVE, ERR_CONNECTION},
        {RD_KAFKA_RESP_ERR__SSL, ERR_CONNECTION},
        {RD_KAFKA_RESP_ERR__AUTHENTICATION, ERR_AUTHENTICATION},
        {RD_KAFKA_RESP_ERR__TIMED_OUT, ERR_TIMEOUT},
        {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, ERR_TIMEOUT},
        {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, ERR_TIMEOUT},
        {RD_KAFKA_RESP_ERR__WAIT_COORD, ERR_BUSY},
        {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ERR_UNKNOWN_TOPIC},
        {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ERR_UNKNOWN_TOPIC},
        {RD_KAFKA_RESP_ERR__FENCED, ERR_PRODUCER_FENCED},
        {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, ERR_UNSUPPORTED},
        {RD_KAFKA_RESP_ERR__INVALID_ARG, ERR_INVALID},
        {RD_KAFKA_RESP_ERR__STATE, ERR_INVALID_TXN_STATE},
        {RD_KAFKA_RESP_ERR__QUEUE_FULL, ERR_BUSY},
        {RD_KAFKA_RESP_ERR__BAD_COMPRESSION, ERR_CORRUPT},
        {RD_KAFKA_RESP_ERR__BAD_MSG, ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].theirs == code)
            return rows[i].ours;
    for (int ours = 0; code > 0 && ours < ERR_COUNT; ours++)
        if (err_kafka(ours) == code)
            return ours;
    return ERR_REMOTE;
}

int kafka_err(struct err *e, rd_kafka_resp_err_t code, const char *text, const char *fmt, ...)
{
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return err_set(e, code_of(code), "%s: %s", what, text && *text ? text : rdk.err2str(code));
}

/* ---- what librdkafka says ---------------------------------------------------------------------------------------------- */

void kafka_trouble_init(struct kafka_trouble *t, bool quiet)
{
    *t = (struct kafka_trouble){.quiet = quiet};
    mutex_init(&t->lock);
}

void kafka_trouble_free(struct kafka_trouble *t)
{
    pthread_mutex_destroy(&t->lock);
}

void kafka_trouble_over(struct kafka_trouble *t)
{
    pthread_mutex_lock(&t->lock);
    t->down = false;
    err_clear(&t->last);
    pthread_mutex_unlock(&t->lock);
}

bool kafka_is_down(struct kafka_trouble *t, int64_t ms, struct err *e)
{
    pthread_mutex_lock(&t->lock);
    bool down = t->down && clock_mono_ms() - t->down_since >= ms;
    if (down)
        *e = t->last;
    pthread_mutex_unlock(&t->lock);
    return down;
}

/* From rd_kafka_poll and the like, in the thread that calls them. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_trouble *t = opaque;
    (void)rk;
    pthread_mutex_lock(&t->lock);
    /* That all are down says less than why the last one is. */
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || t->last.code == ERR_OK)
        err_set(&t->last, code_of(code), "%s", reason);
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !t->down) {
        t->down = true;
        t->down_since = clock_mono_ms();
    }
    pthread_mutex_unlock(&t->lock);
    if (!t->quiet)
        diag_warn("kafka", "%s", reason);
}

/* Syslog's levels; connections that fail come by on_error as well. From any of librdkafka's threads. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    bool told =
        strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0 || strcmp(facility, "CONFWARN") == 0;
    diag(told || level > 4 ? DIAG_DEBUG
         : level == 4      ? DIAG_INFO
                           : DIAG_WARN,
         "kafka", "%s: %s", facility, text);
}

/* ---- handles ------------------------------------------------------------------------------------------------------------- */

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e)
{
    char why[384];
    if (rdk.conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return ERR_OK;
    return err_set(e, ERR_INVALID_CONFIG, "librdkafka does not take %s: %s", name, why);
}

static bool is_set(const struct kafka_client *k, const char *name)
{
    size_t i = 0;
    while (i < k->property_count && strcmp(k->properties[i].name, name) != 0)
        i++;
    return i < k->property_count;
}

static int fill(rd_kafka_conf_t *conf, const struct kafka_client *k, const struct kafka_need *needs, size_t n,
                struct err *e)
{
    int rc = set(conf, "client.id", "leat", e);
    for (size_t i = 0; rc == ERR_OK && i < k->property_count; i++)
        rc = set(conf, k->properties[i].name, k->properties[i].value, e);
    if (rc == ERR_OK)
        rc = set(conf, "bootstrap.servers", k->servers, e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        bool only_default = needs[i].name[0] == '?';
        if (!only_default || !is_set(k, needs[i].name + 1))
            rc = set(conf, needs[i].name + only_default, needs[i].value, e);
    }
    return rc;
}

rd_kafka_t *kafka_handle(struct kafka_client *k, rd_kafka_type_t type, const struct kafka_need *needs,
                         size_t n, void (*delivered)(rd_kafka_t *, const rd_kafka_message_t *, void *),
                         struct kafka_trouble *opaque, struct err *e)
{
    char why[384];
    rd_kafka_conf_t *conf = rdk.conf_new();
    rdk.conf_set_opaque(conf, opaque);
    rdk.conf_set_error_cb(conf, on_error);
    rdk.conf_set_log_cb(conf, on_log);
    if (delivered)
        rdk.conf_set_dr_msg_cb(conf, delivered);
    if (fill(conf, k, needs, n, e) != ERR_OK) {
        rdk.conf_destroy(conf);
        return NULL;
    }
    rd_kafka_t *rk = rdk.new(type, conf, why, sizeof why); /* takes over conf on success */
    if (!rk) {
        rdk.conf_destroy(conf);
        err_set(e, ERR_INVALID_CONFIG, "librdkafka: %s", why);
    }
    return rk;
}

/* ---- opening and closing ---------------------------------------------------------------------------------------------- */

/* What readers, writers and transactions depend on. */
static int check_property(const char *name, struct err *e)
{
    static const char *const ours[] = {"bootstrap.servers",
                                       "metadata.broker.list",
                                       "acks",
                                       "request.required.acks",
                                       "auto.offset.reset",
                                       "enable.auto.commit",
                                       "auto.commit.enable",
                                       "enable.auto.offset.store",
                                       "enable.partition.eof",
                                       "enable.idempotence",
                                       "group.id",
                                       "isolation.level",
                                       "transactional.id",
                                       "compression.codec",
                                       "compression.type",
                                       "allow.auto.create.topics"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcmp(name, ours[i]) == 0)
            return err_set(e, ERR_INVALID_CONFIG, "the property %s is Leat's to set", name);
    return ERR_OK;
}

static int copy_options(struct kafka_client *k, const struct client_kafka_options *o, struct err *e)
{
    bool ok = (k->servers = mem_strdup(o->bootstrap_servers)) != NULL;
    if (ok && o->data_dir)
        ok = (k->data_dir = mem_strdup(o->data_dir)) != NULL;
    if (ok)
        ok = (k->positions_topic =
                  mem_strdup(o->positions_topic ? o->positions_topic : POSITIONS_TOPIC_DEFAULT)) != NULL;
    if (ok)
        ok = (k->targets_topic = mem_strdup(o->targets_topic ? o->targets_topic : TARGETS_TOPIC_DEFAULT)) !=
             NULL;
    if (ok)
        ok = (k->properties = mem_calloc(o->property_count + 1, sizeof *k->properties)) != NULL;
    for (size_t i = 0; ok && i < o->property_count; i++) {
        if (check_property(o->properties[i].name, e))
            return e->code;
        k->properties[i].name = mem_strdup(o->properties[i].name);
        k->properties[i].value = mem_strdup(o->properties[i].value);
        ok = k->properties[i].name && k->properties[i].value;
        k->property_count++;
    }
    return ok ? ERR_OK : err_nomem(e);
}

/*
 * A right password is refused, too: librdkafka before 2.6.1 repeats the client's nonce in SCRAM's last message, which Kafka's brokers
 * (3.8.1 and later) take no more.
 */
static void tell_scram(const struct kafka_client *k, struct err *e)
{
    bool scram = false;
    for (size_t i = 0; i < k->property_count; i++)
        scram = scram || (strncmp(k->properties[i].name, "sasl.mechanism", strlen("sasl.mechanism")) == 0 &&
                          strncmp(k->properties[i].value, "SCRAM-", strlen("SCRAM-")) == 0);
    if (!scram || e->code != ERR_AUTHENTICATION || rdk.version() >= SCRAM_MENDED)
        return;
    struct err said = *e;
    err_set(e, said.code, "%s; librdkafka %s cannot do SCRAM with newer brokers, 2.6.1 can", said.text,
            rdk.version_str());
}

/* Until a broker answers, or it is known that none does. */
static int connect_first(struct kafka_client *k, int64_t ms, struct err *e)
{
    int64_t deadline = clock_mono_ms() + (ms ? ms : KAFKA_LIMIT_MS);
    const struct rd_kafka_metadata *md;
    for (;;) {
        rd_kafka_resp_err_t rc = rdk.metadata(k->any, 0, NULL, &md, STEP_MS);
        if (rc == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rdk.metadata_destroy(md);
            kafka_trouble_over(&k->trouble);
            return ERR_OK;
        }
        while (rdk.poll(k->any, 0) > 0)
            ;
        struct err why = {0};
        bool down = kafka_is_down(&k->trouble, 0, &why);
        if (down && (ms == 0 || why.code == ERR_AUTHENTICATION || clock_mono_ms() >= deadline)) {
            *e = why;
            tell_scram(k, e);
            return err_wrap(e, "cannot reach %s", k->servers);
        }
        if (clock_mono_ms() >= deadline)
            return kafka_err(e, rc, NULL, "cannot reach %s", k->servers);
    }
}

static void kafka_close(struct client *c)
{
    struct kafka_client *k = kafka_of(c);
    if (k->spare_in)
        kafka_consumer_free(k->spare_in);
    if (k->spare_out)
        kafka_producer_free(k->spare_out);
    if (k->committed)
        rdk.destroy(k->committed);
    if (k->grouped)
        rdk.destroy(k->grouped);
    if (k->any)
        rdk.destroy(k->any);
    for (size_t i = 0; i < k->property_count; i++) {
        mem_free((void *)(uintptr_t)k->properties[i].name);
        mem_free((void *)(uintptr_t)k->properties[i].value);
    }
    mem_free(k->properties);
    mem_free(k->servers);
    mem_free(k->data_dir);
    mem_free(k->positions_topic);
    mem_free(k->targets_topic);
    kafka_trouble_free(&k->trouble);
    pthread_mutex_destroy(&k->lock);
    mem_free(k);
}

static const char *kafka_disk_dir(const struct client *c, int32_t disk)
{
    (void)c;
    (void)disk;
    return NULL;
}

static int kafka_segments(struct client *c, const char *topic, int32_t partition, struct segment_info **list,
                          size_t *n, struct err *e)
{
    (void)c;
    (void)list;
    (void)n;
    return err_set(e, ERR_UNSUPPORTED, "a cluster does not tell the segments of %s-%d", topic, partition);
}

/* The cluster has its own settings, and looks at them. */
static int kafka_check_config(struct client *c, const char *name, const char *value, struct err *e)
{
    (void)c;
    (void)name;
    (void)value;
    (void)e;
    return ERR_OK;
}

static int kafka_topic_brief(struct client *c, const char *name, struct topic_brief *out, struct err *e)
{
    *out = (struct topic_brief){.internal = kafka_is_internal(name)};
    snprintf(out->name, sizeof out->name, "%s", name);
    return kafka_partition_count(kafka_of(c), name, &out->partitions, e);
}

/* A cluster keeps the offsets of groups by its own rules. */
static int kafka_group_hold(struct client *c, const char *group, struct err *e)
{
    (void)c;
    (void)group;
    (void)e;
    return ERR_OK;
}

static void kafka_group_release(struct client *c, const char *group)
{
    (void)c;
    (void)group;
}

static const struct client_ops kafka_ops = {
    .close = kafka_close,
    .create_topic = kafka_create_topic,
    .delete_topic = kafka_delete_topic,
    .add_partitions = kafka_add_partitions,
    .check_config = kafka_check_config,
    .alter_topic = kafka_alter_topic,
    .topic = kafka_topic,
    .topics = kafka_topics,
    .topic_brief = kafka_topic_brief,
    .settings = kafka_settings,
    .segments = kafka_segments,
    .delete_records = kafka_delete_records,
    .list_offset = kafka_list_offset,
    .groups = kafka_groups,
    .group = kafka_group,
    .commit_offsets = kafka_commit_offsets,
    .delete_group = kafka_delete_group,
    .members = kafka_members,
    .group_hold = kafka_group_hold,
    .group_release = kafka_group_release,
    .producer_open = kafka_producer_open,
    .consumer_open = kafka_consumer_open,
};

struct client *client_kafka(const struct client_kafka_options *o, struct err *e)
{
    if (rdk_load(e) != ERR_OK)
        return NULL;
    struct kafka_client *k = mem_calloc(1, sizeof *k);
    if (!k) {
        err_nomem(e);
        return NULL;
    }
    mutex_init(&k->lock);
    k->quiet = o->connect_ms == 0;
    kafka_trouble_init(&k->trouble, k->quiet);
    if (copy_options(k, o, e) == ERR_OK &&
        (k->any = kafka_handle(k, RD_KAFKA_CONSUMER,
                               (const struct kafka_need[]){{"isolation.level", "read_uncommitted"}}, 1, NULL,
                               &k->trouble, e)) != NULL &&
        connect_first(k, o->connect_ms, e) == ERR_OK) {
        k->base =
            (struct client){&kafka_ops, k->data_dir, k->positions_topic, k->targets_topic, kafka_disk_dir};
        return &k->base;
    }
    kafka_close(&k->base);
    return NULL;
}
