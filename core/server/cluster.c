/*
 * cluster: ApiVersions, Metadata, DescribeCluster, FindCoordinator: what a client asks to find its way.
 */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "server/apis.h"

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A client's name or version: letters, digits, dots and dashes, the latter two not at the ends (KIP-511). */
static bool is_software(struct msg_string s)
{
    if (s.n < 1 || !is_alphanumeric(s.p[0]) || !is_alphanumeric(s.p[s.n - 1]))
        return false;
    for (int32_t i = 1; i < s.n; i++)
        if (!is_alphanumeric(s.p[i]) && s.p[i] != '.' && s.p[i] != '-')
            return false;
    return true;
}

#define SOFTWARE_SINCE 3

void api_api_versions(struct request *c)
{
    size_t n;
    const struct handler *h = handlers(&n);
    const struct msg_api_versions_request *q = c->asked;
    struct msg_api_versions_response r;
    msg_init(&msg_schema_api_versions_response, &r);
    if (c->header.version >= SOFTWARE_SINCE &&
        (!is_software(q->client_software_name) || !is_software(q->client_software_version))) {
        r.error_code = KAFKA_INVALID_REQUEST;
        request_reply(c, &r);
        return;
    }
    r.api_keys.items = request_alloc(c, n, sizeof *r.api_keys.items);
    if (r.api_keys.items == NULL)
        return;
    r.api_keys.count = (int32_t)n;
    for (size_t i = 0; i < n; i++)
        r.api_keys.items[i] = (struct msg_api_versions_response_api_version){
            .api_key = h[i].key, .min_version = h[i].min, .max_version = h[i].max};
    if (features_tell(c, &r))
        request_reply(c, &r);
}

/* ---- Metadata ---- */

#define ASKED_BY_ID_SINCE 12 /* KIP-516 */

typedef struct msg_metadata_response_topic metadata_topic;

static int fill_partitions(struct request *c, const char *topic, int32_t count, metadata_topic *out)
{
    out->partitions.items = request_alloc(c, (size_t)count, sizeof *out->partitions.items);
    if (out->partitions.items == NULL)
        return ERR_NO_MEMORY;
    out->partitions.count = count;
    for (int32_t i = 0; i < count; i++) {
        out->partitions.items[i] = (struct msg_metadata_response_partition){
            .partition_index = i, .leader_id = api_node(c), .leader_epoch = api_leader_epoch(c, topic, i)};
        out->partitions.items[i].replica_nodes.items = out->partitions.items[i].isr_nodes.items =
            api_nodes(c);
        out->partitions.items[i].replica_nodes.count = out->partitions.items[i].isr_nodes.count = 1;
    }
    return ERR_OK;
}

static int32_t topic_operations(const struct request *c)
{
    const struct msg_metadata_request *q = c->asked;
    return q->include_topic_authorized_operations ? TOPIC_OPERATIONS : NO_OPERATIONS;
}

static int fill_topic(struct request *c, const struct topic_brief *t, metadata_topic *out)
{
    out->topic_authorized_operations = topic_operations(c);
    out->error_code = 0;
    out->name = api_text(c, t->name);
    out->topic_id = t->id;
    out->is_internal = t->internal;
    return fill_partitions(c, t->name, t->partitions, out);
}

/* Made if the client allows it and the hub does. */
static int find_or_make(struct request *c, const char *name, bool may_make, struct topic_brief *t,
                        struct err *e)
{
    struct broker *b = c->server->broker;
    struct uuid id;
    int rc = topic_name_check(name, e);
    if (rc == ERR_OK)
        rc = broker_topic_brief(b, name, t, e);
    if (rc != ERR_UNKNOWN_TOPIC || !may_make)
        return rc;
    rc = broker_create_topic(b, name, -1, NULL, 0, &id, e);
    return rc == ERR_OK || rc == ERR_TOPIC_EXISTS ? broker_topic_brief(b, name, t, e) : rc;
}

static int named_topic(struct request *c, const struct msg_metadata_request_topic *asked, bool by_id,
                       bool may_make, metadata_topic *out)
{
    struct err e;
    struct topic_brief t;
    out->topic_authorized_operations = NO_OPERATIONS;
    const char *name = by_id ? NULL : request_string(c, asked->name);
    int rc;
    if (by_id)
        rc = broker_topic_by_id(c->server->broker, &asked->topic_id, &t, &e);
    else
        rc = name == NULL ? err_nomem(&e) : find_or_make(c, name, may_make, &t, &e);
    if (rc == ERR_OK)
        return fill_topic(c, &t, out);
    out->error_code = err_kafka(rc);
    out->name = by_id ? MSG_NULL_STRING : asked->name;
    out->topic_id = asked->topic_id;
    return ERR_OK;
}

/* By ids, if there is any: then what is told by its name alone is not looked at, as in Kafka. */
static bool names_an_id(const struct msg_metadata_request *q)
{
    bool any = false;
    for (int32_t i = 0; !any && i < q->topics.count; i++)
        any = !uuid_is_zero(&q->topics.items[i].topic_id);
    return any;
}

/* What is wrong with the request as a whole, as Kafka's code; 0: nothing. Names may be null since there are ids, which can be asked for two
 * versions later. */
static int16_t refused_as_a_whole(const struct request *c, const struct msg_metadata_request *q)
{
    bool ids = names_an_id(q), nameless = false;
    for (int32_t i = 0; !nameless && i < q->topics.count; i++)
        nameless = q->topics.items[i].name.n < 0;
    if (c->header.version < ASKED_BY_ID_SINCE)
        return nameless || ids ? KAFKA_INVALID_REQUEST : 0;
    return nameless && !ids ? err_kafka(ERR_INTERNAL) : 0;
}

/* Each topic with the error, and nothing of the cluster. */
static void refuse_metadata(struct request *c, const struct msg_metadata_request *q, int16_t code)
{
    struct msg_metadata_response r;
    msg_init(&msg_schema_metadata_response, &r);
    r.topics.items = request_alloc(c, (size_t)q->topics.count, sizeof *r.topics.items);
    if (r.topics.items == NULL)
        return;
    r.topics.count = q->topics.count;
    for (int32_t i = 0; i < q->topics.count; i++) {
        const struct msg_metadata_request_topic *asked = &q->topics.items[i];
        r.topics.items[i] = (metadata_topic){.error_code = code,
                                             .name = asked->name.n < 0 ? msg_text("", 0) : asked->name,
                                             .topic_id = asked->topic_id,
                                             .topic_authorized_operations = NO_OPERATIONS};
    }
    r.error_code = code;
    request_reply(c, &r);
}

/* What was answered already, by name and by id: a request may name very many. */
struct seen {
    struct map *names, *ids;
};

/* ERR_EXISTS: it was. */
static int see(struct seen *seen, const struct msg_metadata_request_topic *t, bool by_id, struct err *e)
{
    static char there;
    if (by_id)
        return map_put(seen->ids, t->topic_id.b, sizeof t->topic_id.b, &there, e);
    return map_put(seen->names, t->name.n > 0 ? t->name.p : "", t->name.n > 0 ? (size_t)t->name.n : 0, &there,
                   e);
}

static int each_named(struct request *c, const struct msg_metadata_request *q, struct seen *seen,
                      struct msg_metadata_response *r)
{
    bool may_make = q->allow_auto_topic_creation && c->server->o.auto_create_topics;
    bool by_id = names_an_id(q);
    for (int32_t i = 0; i < q->topics.count; i++) {
        struct err e;
        if (by_id && uuid_is_zero(&q->topics.items[i].topic_id))
            continue;
        int rc = see(seen, &q->topics.items[i], by_id, &e);
        if (rc == ERR_EXISTS)
            continue;
        if (rc != ERR_OK) {
            request_close(c, &e);
            return rc;
        }
        if (named_topic(c, &q->topics.items[i], by_id, may_make, &r->topics.items[r->topics.count++]) !=
            ERR_OK)
            return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

static int named_topics(struct request *c, const struct msg_metadata_request *q,
                        struct msg_metadata_response *r)
{
    struct seen seen = {map_new(), map_new()};
    struct err e;
    int rc = ERR_NO_MEMORY;
    if (seen.names == NULL || seen.ids == NULL)
        request_close(c, (err_nomem(&e), &e));
    else if ((r->topics.items = request_alloc(c, (size_t)q->topics.count, sizeof *r->topics.items)) != NULL)
        rc = each_named(c, q, &seen, r);
    if (seen.names != NULL)
        map_free(seen.names, NULL);
    if (seen.ids != NULL)
        map_free(seen.ids, NULL);
    return rc;
}

static int all_topics(struct request *c, struct msg_metadata_response *r)
{
    struct topic_info *list;
    size_t n;
    struct err e;
    if (broker_topics(c->server->broker, &list, &n, &e) != ERR_OK) {
        request_close(c, &e);
        return e.code;
    }
    r->topics.items = request_alloc(c, n, sizeof *r->topics.items);
    int rc = r->topics.items == NULL ? ERR_NO_MEMORY : ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        metadata_topic *out = &r->topics.items[r->topics.count++];
        out->topic_authorized_operations = topic_operations(c);
        out->name = api_text(c, list[i].name);
        out->topic_id = list[i].id;
        out->is_internal = list[i].internal;
        rc = fill_partitions(c, list[i].name, list[i].partition_count, out);
    }
    topic_infos_free(list, n);
    return rc;
}

void api_metadata(struct request *c)
{
    const struct msg_metadata_request *q = c->asked;
    struct msg_metadata_response r;
    struct msg_metadata_response_broker self = {
        .node_id = api_node(c), .host = api_host(c), .port = api_port(c), .rack = MSG_NULL_STRING};
    const char *id = broker_cluster_id(c->server->broker);
    int16_t refused = refused_as_a_whole(c, q);
    if (refused != 0) {
        refuse_metadata(c, q, refused);
        return;
    }
    msg_init(&msg_schema_metadata_response, &r);
    r.brokers.items = &self;
    r.brokers.count = 1;
    r.cluster_id = msg_text(id, strlen(id));
    r.controller_id = api_node(c);
    if (q->include_cluster_authorized_operations)
        r.cluster_authorized_operations = CLUSTER_OPERATIONS;
    bool all = q->topics.count < 0 || (c->header.version == 0 && q->topics.count == 0);
    if ((all ? all_topics(c, &r) : named_topics(c, q, &r)) == ERR_OK) /* else it is answered */
        request_reply(c, &r);
}

void api_describe_cluster(struct request *c)
{
    const struct msg_describe_cluster_request *q = c->asked;
    struct msg_describe_cluster_response r;
    struct msg_describe_cluster_response_broker self = {
        .broker_id = api_node(c), .host = api_host(c), .port = api_port(c), .rack = MSG_NULL_STRING};
    const char *id = broker_cluster_id(c->server->broker);
    msg_init(&msg_schema_describe_cluster_response, &r);
    r.endpoint_type = 1;
    if (q->include_cluster_authorized_operations)
        r.cluster_authorized_operations = CLUSTER_OPERATIONS;
    if (q->endpoint_type == 1) {
        r.cluster_id = msg_text(id, strlen(id));
        r.controller_id = api_node(c);
        r.brokers.items = &self;
        r.brokers.count = 1;
    } else {
        r.error_code =
            q->endpoint_type == 2 ? 114 : 115; /* MISMATCHED_, UNSUPPORTED_ENDPOINT_TYPE (KIP-919) */
        r.error_message = msg_text("this is a broker's listener", strlen("this is a broker's listener"));
    }
    request_reply(c, &r);
}

/* ---- FindCoordinator: there is one node ---- */

void api_find_coordinator(struct request *c)
{
    const struct msg_find_coordinator_request *q = c->asked;
    struct msg_find_coordinator_response r;
    msg_init(&msg_schema_find_coordinator_response, &r);
    bool known = q->key_type == 0 || q->key_type == 1;
    int16_t code = known ? 0 : KAFKA_INVALID_REQUEST;
    r.error_code = code;
    r.node_id = known ? api_node(c) : -1;
    r.host = known ? api_host(c) : msg_text("", 0);
    r.port = known ? api_port(c) : -1;
    r.coordinators.items = request_alloc(c, (size_t)q->coordinator_keys.count, sizeof *r.coordinators.items);
    if (r.coordinators.items == NULL)
        return;
    r.coordinators.count = q->coordinator_keys.count;
    for (int32_t i = 0; i < r.coordinators.count; i++)
        r.coordinators.items[i] =
            (struct msg_find_coordinator_response_coordinator){.key = q->coordinator_keys.items[i],
                                                               .node_id = r.node_id,
                                                               .host = r.host,
                                                               .port = r.port,
                                                               .error_code = code,
                                                               .error_message = MSG_NULL_STRING};
    request_reply(c, &r);
}
