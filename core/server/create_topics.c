/*
 * create_topics: CreateTopics and CreatePartitions. In the pool: what they change is durable before it is told. Topics that are named
 * twice are answered once, refused, as Kafka does.
 */
#include <string.h>

#include "base/mem.h"
#include "server/configs.h"
#include "server/names.h"

#define CONFIGS_SINCE 5
#define CREATIONS_MAX 10000 /* that one request may make, Kafka's MAX_PARTITIONS_PER_BATCH */

struct refusal {
    int16_t code;
    struct err e;
};

static void refuse(struct refusal *r, int16_t code, const char *why)
{
    r->code = code;
    err_set(&r->e, ERR_INVALID, "%s", why);
}

/* ---- CreateTopics ---- */

typedef struct msg_create_topics_request_creatable_topic creatable;
typedef struct msg_create_topics_response_creatable_topic_result created;

/* Each partition from 0 on once, its one replica on this node. */
static void check_assignments(struct request *c, const creatable *t, struct refusal *r)
{
    bool *seen = request_try_alloc(c, (size_t)t->assignments.count, sizeof *seen);
    if (seen == NULL) {
        refuse(r, err_kafka(ERR_NO_MEMORY), "out of memory");
        return;
    }
    for (int32_t i = 0; i < t->assignments.count && r->code == 0; i++) {
        const struct msg_create_topics_request_creatable_replica_assignment *a = &t->assignments.items[i];
        int32_t p = a->partition_index;
        if (p < 0 || p >= t->assignments.count || seen[p])
            refuse(r, KAFKA_REPLICA_ASSIGNMENT,
                   "partitions should be a consecutive 0-based integer sequence, each once");
        else if (a->broker_ids.count != 1 || a->broker_ids.items[0] != api_node(c))
            refuse(r, KAFKA_REPLICA_ASSIGNMENT, "the one replica of a partition is on the one broker");
        else
            seen[p] = true;
    }
}

/* How many partitions: by number, by default (-1), or by the replicas that are told one by one. */
static int32_t count_of(struct request *c, const creatable *t, struct refusal *r)
{
    if (t->assignments.count == 0) {
        if (t->num_partitions == 0 || t->num_partitions < -1)
            refuse(r, err_kafka(ERR_INVALID_PARTITIONS), "the number of partitions must be larger than 0");
        else if (t->replication_factor != -1 && t->replication_factor != 1)
            refuse(r, KAFKA_REPLICATION_FACTOR, "there is one broker: the replication factor is 1");
        return t->num_partitions;
    }
    if (t->num_partitions != -1 || t->replication_factor != -1)
        refuse(r, KAFKA_INVALID_REQUEST,
               "assignments and a number of partitions or replicas exclude each other");
    else
        check_assignments(c, t, r);
    return t->assignments.count;
}

static struct topic_config_entry *configs_of(struct request *c, const creatable *t, size_t *n,
                                             struct refusal *r)
{
    struct topic_config_entry *list = request_try_alloc(c, (size_t)t->configs.count, sizeof *list);
    *n = 0;
    if (list == NULL)
        refuse(r, err_kafka(ERR_NO_MEMORY), "out of memory");
    for (int32_t i = 0; r->code == 0 && i < t->configs.count; i++) {
        const struct msg_create_topics_request_creatable_topic_config *x = &t->configs.items[i];
        if (x->value.n < 0) {
            refuse(r, err_kafka(ERR_INVALID_CONFIG), "a setting's value is null");
            break;
        }
        list[*n] = (struct topic_config_entry){request_string(c, x->name), api_value(c, x->value)};
        if (list[*n].name == NULL || list[*n].value == NULL)
            refuse(r, err_kafka(ERR_NO_MEMORY), "out of memory");
        else if (topic_config_check(list[*n].name, list[*n].value, &r->e) != ERR_OK)
            r->code = err_kafka(ERR_INVALID_CONFIG);
        ++*n;
    }
    return list;
}

/* What the topic has, as the answer tells from version 5 on. */
static void tell_configs(struct request *c, const struct topic_setting *list, size_t n, created *out)
{
    out->configs.items = arena_alloc(&c->arena, n * sizeof *out->configs.items);
    out->configs.count = out->configs.items != NULL ? (int32_t)n : -1;
    for (int32_t i = 0; i < out->configs.count; i++) {
        out->configs.items[i] = (struct msg_create_topics_response_creatable_topic_configs){
            .name = api_text(c, list[i].def->name),
            .value = api_text(c, list[i].value),
            .config_source = config_source_of_topic(&list[i])};
    }
}

static void make(struct request *c, const char *name, int32_t count, const struct topic_config_entry *configs,
                 size_t n, bool try_only, struct refusal *r, created *out)
{
    struct broker *b = c->server->broker;
    struct topic_setting *settings;
    struct topic_brief there;
    struct err e;
    size_t setting_count;
    int rc;
    if (try_only) {
        out->topic_id = uuid_random(); /* as Kafka does */
        rc = broker_try_topic(b, name, &count, configs, n, &settings, &setting_count, &r->e);
    } else {
        rc = broker_create_topic(b, name, count, configs, n, &out->topic_id, &r->e);
    }
    r->code = err_kafka(rc);
    if (rc != ERR_OK)
        return;
    if (!try_only) {
        if (broker_topic_brief(b, name, &there, &e) == ERR_OK)
            count = there.partitions;
        if (broker_topic_settings(b, name, &settings, &setting_count, &e) != ERR_OK)
            setting_count = 0; /* deleted already */
    }
    out->num_partitions = count;
    out->replication_factor = 1;
    if (setting_count > 0 && c->header.version >= CONFIGS_SINCE)
        tell_configs(c, settings, setting_count, out);
    if (setting_count > 0)
        topic_settings_list_free(settings, setting_count);
}

/* The coordinators' topics are there for whoever asks, whether they were needed already or not. */
static bool is_made_by_itself(const char *name)
{
    return strcmp(name, "__consumer_offsets") == 0 || strcmp(name, "__transaction_state") == 0;
}

static void create(struct request *c, const creatable *t, bool try_only, struct refusal *r, created *out)
{
    static const char metadata[] = "__cluster_metadata";
    struct topic_brief there;
    struct err e;
    size_t n = 0;
    const char *name = request_string(c, t->name);
    if (name == NULL)
        refuse(r, err_kafka(ERR_NO_MEMORY), "out of memory");
    else if (strcmp(name, metadata) == 0)
        refuse(r, KAFKA_INVALID_REQUEST, "Creation of internal topic __cluster_metadata is prohibited.");
    else if (topic_name_check(name, &r->e) != ERR_OK)
        r->code = err_kafka(ERR_INVALID_TOPIC);
    else if (is_made_by_itself(name) || broker_topic_brief(c->server->broker, name, &there, &e) == ERR_OK)
        r->code = err_kafka(err_set(&r->e, ERR_TOPIC_EXISTS, "Topic '%s' already exists.", name));
    int32_t count = r->code == 0 ? count_of(c, t, r) : 0;
    struct topic_config_entry *configs = r->code == 0 ? configs_of(c, t, &n, r) : NULL;
    if (r->code == 0)
        make(c, name, count, configs, n, try_only, r, out);
}

/* ---- the request ---- */

/* What one request may make, all topics together, and how long Kafka's controller may take: with none it does nothing. */
static int16_t refused_as_a_whole(int64_t partitions, int32_t timeout_ms, const char **why)
{
    *why = timeout_ms <= 0 ? "the timeout is 0: nothing was done"
                           : "Excessively large number of partitions per request.";
    return timeout_ms <= 0 ? err_kafka(ERR_TIMEOUT) : partitions > CREATIONS_MAX ? KAFKA_POLICY_VIOLATION : 0;
}

static int32_t text_place(struct names *names, struct msg_string name, int32_t n)
{
    return names_place(names, name.p, name.n > 0 ? (size_t)name.n : 0, n);
}

/* Which topic each answer is of; a negative one is named twice. NULL: no memory. */
static int32_t *answers_of(struct request *c, const struct msg_create_topics_request *q, int32_t *n)
{
    struct names names = {NULL};
    int32_t *of = request_try_alloc(c, (size_t)q->topics.count, sizeof *of);
    *n = 0;
    for (int32_t i = 0; of != NULL && i < q->topics.count; i++) {
        int32_t place = text_place(&names, q->topics.items[i].name, *n);
        if (place < 0)
            of = NULL;
        else if (place == *n)
            of[(*n)++] = i;
        else if (of[place] >= 0)
            of[place] = -of[place] - 1;
    }
    names_free(&names);
    return of;
}

void api_create_topics(struct request *c)
{
    const struct msg_create_topics_request *q = c->asked;
    struct msg_create_topics_response r;
    struct err e;
    int32_t n;
    int64_t partitions = 0;
    const char *why;
    msg_init(&msg_schema_create_topics_response, &r);
    const int32_t *of = answers_of(c, q, &n);
    r.topics.items = of != NULL ? request_try_alloc(c, (size_t)n, sizeof *r.topics.items) : NULL;
    if (r.topics.items == NULL) {
        request_close(c, (err_nomem(&e), &e));
        return;
    }
    for (int32_t i = 0; i < q->topics.count; i++)
        partitions += q->topics.items[i].assignments.count > 0 ? q->topics.items[i].assignments.count
                      : q->topics.items[i].num_partitions > 0  ? q->topics.items[i].num_partitions
                                                               : 1;
    int16_t whole = refused_as_a_whole(partitions, q->timeout_ms, &why);
    for (int32_t i = 0; i < n; i++) {
        created *out = &r.topics.items[r.topics.count++];
        const creatable *t = &q->topics.items[of[i] < 0 ? -(of[i] + 1) : of[i]];
        struct refusal no = {0};
        msg_init(&msg_schema_create_topics_response_creatable_topic_result, out);
        out->name = t->name;
        if (of[i] < 0)
            refuse(&no, KAFKA_INVALID_REQUEST, "Duplicate topic name.");
        else if (whole != 0)
            refuse(&no, whole, why);
        else
            create(c, t, q->validate_only, &no, out);
        out->error_code = no.code;
        out->error_message = no.code != 0 ? api_text(c, no.e.text) : MSG_NULL_STRING;
    }
    request_reply(c, &r);
}

/* ---- CreatePartitions ---- */

typedef struct msg_create_partitions_request_topic growth;
typedef struct msg_create_partitions_response_topic_result grown;

static void grow(struct request *c, const growth *t, bool try_only, struct refusal *r)
{
    int16_t code;
    const struct topic_brief *there = api_topic(c, t->name, NULL, &code);
    if (there == NULL)
        refuse(r, code, "there is no such topic");
    else if (t->count <= there->partitions)
        refuse(r, err_kafka(ERR_INVALID_PARTITIONS), "a topic can only get more partitions than it has");
    else if (t->count > BROKER_TOPIC_PARTITIONS_MAX)
        refuse(r, err_kafka(ERR_INVALID_PARTITIONS), "a topic has at most 10000 partitions");
    else if (t->assignments.count >= 0 && t->assignments.count != t->count - there->partitions)
        refuse(r, KAFKA_REPLICA_ASSIGNMENT, "each new partition is assigned, or none");
    for (int32_t i = 0; r->code == 0 && i < t->assignments.count; i++)
        if (t->assignments.items[i].broker_ids.count != 1 ||
            t->assignments.items[i].broker_ids.items[0] != api_node(c))
            refuse(r, KAFKA_REPLICA_ASSIGNMENT, "the one replica of a partition is on the one broker");
    if (r->code == 0 && !try_only)
        r->code = err_kafka(broker_add_partitions(c->server->broker, there->name, t->count, &r->e));
}

void api_create_partitions(struct request *c)
{
    const struct msg_create_partitions_request *q = c->asked;
    struct msg_create_partitions_response r;
    struct names names = {NULL};
    const char *why;
    struct err e;
    int16_t whole = refused_as_a_whole(0, q->timeout_ms, &why);
    msg_init(&msg_schema_create_partitions_response, &r);
    const growth **of = request_try_alloc(c, (size_t)q->topics.count, sizeof *of); /* NULL: named twice */
    r.results.items = request_try_alloc(c, (size_t)q->topics.count, sizeof *r.results.items);
    bool good = of != NULL && r.results.items != NULL;
    for (int32_t i = 0; good && i < q->topics.count; i++) {
        int32_t place = text_place(&names, q->topics.items[i].name, r.results.count);
        good = place >= 0;
        if (!good)
            break;
        of[place] = place == r.results.count ? &q->topics.items[i] : NULL;
        r.results.items[place].name = q->topics.items[i].name;
        r.results.count += place == r.results.count;
    }
    names_free(&names);
    if (!good) {
        request_close(c, (err_nomem(&e), &e));
        return;
    }
    for (int32_t i = 0; i < r.results.count; i++) {
        struct refusal no = {0};
        grown *out = &r.results.items[i];
        if (of[i] == NULL)
            refuse(&no, KAFKA_INVALID_REQUEST, "Duplicate topic name.");
        else if (whole != 0)
            refuse(&no, whole, why);
        else
            grow(c, of[i], q->validate_only, &no);
        out->error_code = no.code;
        out->error_message = no.code != 0 ? api_text(c, no.e.text) : MSG_NULL_STRING;
    }
    request_reply(c, &r);
}
