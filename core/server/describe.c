/*
 * describe: DescribeTopicPartitions, DescribeLogDirs, ListConfigResources, DescribeQuorum: what administrators look at. In the pool, as
 * topics may be many and cold.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "broker/group_config.h"
#include "server/configs.h"

/* ---- DescribeTopicPartitions (KIP-966) ---- */

#define PAGE_MAX 2000 /* of an answer, Kafka's max.request.partition.size.limit */

typedef struct msg_describe_topic_partitions_response_topic topic_answer;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names that are asked for, each once, in order; all topics' where none are. NULL: no memory. */
static const char **names_of(struct request *c, const struct msg_describe_topic_partitions_request *q,
                             size_t *n)
{
    struct topic_info *list = NULL;
    size_t all = 0, kept = 0;
    struct err e;
    if (q->topics.count == 0 && broker_topics(c->server->broker, &list, &all, &e) != ERR_OK)
        return NULL;
    size_t count = q->topics.count > 0 ? (size_t)q->topics.count : all;
    const char **names = request_try_alloc(c, count + 1, sizeof *names);
    for (size_t i = 0; names != NULL && i < count; i++) {
        names[i] = q->topics.count > 0 ? request_string(c, q->topics.items[i].name)
                                       : arena_dup(&c->arena, list[i].name, strlen(list[i].name));
        if (names[i] == NULL)
            names = NULL;
    }
    topic_infos_free(list, all);
    if (names == NULL)
        return NULL;
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    *n = kept;
    return names;
}

static bool tell_partitions(struct request *c, const char *name, int32_t from, int32_t to, topic_answer *out)
{
    out->partitions.items = request_try_alloc(c, (size_t)(to - from), sizeof *out->partitions.items);
    if (out->partitions.items == NULL)
        return false;
    for (int32_t i = from; i < to; i++) {
        struct msg_describe_topic_partitions_response_partition *p =
            &out->partitions.items[out->partitions.count++];
        msg_init(&msg_schema_describe_topic_partitions_response_partition, p);
        p->partition_index = i;
        p->leader_id = api_node(c);
        p->leader_epoch = api_leader_epoch(c, name, i);
        p->replica_nodes.items = p->isr_nodes.items = api_nodes(c);
        p->replica_nodes.count = p->isr_nodes.count = 1;
        p->eligible_leader_replicas.count = p->last_known_elr.count = 0;
    }
    return true;
}

/* One topic from its partition `from` on, `room` of them at most; *next is where to go on, -1: that was all. False: no memory. */
static bool tell_topic(struct request *c, const char *name, int32_t from, int32_t room, topic_answer *out,
                       int32_t *next)
{
    struct topic_brief t;
    struct err e;
    *next = -1;
    msg_init(&msg_schema_describe_topic_partitions_response_topic, out);
    out->name = msg_text(name, strlen(name));
    out->topic_authorized_operations = *name != '\0' ? TOPIC_OPERATIONS : NO_OPERATIONS;
    int rc = *name != '\0' ? topic_name_check(name, &e) : ERR_INTERNAL; /* as which Kafka stumbles over it */
    if (rc == ERR_OK)
        rc = broker_topic_brief(c->server->broker, name, &t, &e);
    out->error_code = err_kafka(rc);
    if (rc != ERR_OK)
        return true;
    out->topic_id = t.id;
    out->is_internal = t.internal;
    int32_t first = from < t.partitions ? from : t.partitions;
    int32_t last = t.partitions - first > room ? first + room : t.partitions;
    if (last < t.partitions)
        *next = last;
    return tell_partitions(c, name, first, last, out);
}

static bool tell_topics(struct request *c, const struct msg_describe_topic_partitions_request *q,
                        struct msg_describe_topic_partitions_response *r)
{
    size_t n, i = 0;
    const char **names = names_of(c, q, &n);
    const char *begin = q->cursor != NULL ? request_string(c, q->cursor->topic_name) : "";
    int32_t room = q->response_partition_limit < PAGE_MAX ? q->response_partition_limit : PAGE_MAX;
    int32_t next = -1;
    room = room > 0 ? room : 1;
    if (names == NULL || begin == NULL ||
        (r->topics.items = request_try_alloc(c, n, sizeof *r->topics.items)) == NULL)
        return false;
    while (i < n && strcmp(names[i], begin) < 0)
        i++;
    for (; i < n && room > 0 && next < 0; i++) {
        topic_answer *out = &r->topics.items[r->topics.count++];
        int32_t from = q->cursor != NULL && strcmp(names[i], begin) == 0 ? q->cursor->partition_index : 0;
        if (!tell_topic(c, names[i], from, room, out, &next))
            return false;
        room -= out->partitions.count;
    }
    if (next < 0 && i == n)
        return true;
    if ((r->next_cursor = request_try_alloc(c, 1, sizeof *r->next_cursor)) == NULL)
        return false;
    const char *at = next >= 0 ? names[i - 1] : names[i];
    r->next_cursor->topic_name = msg_text(at, strlen(at));
    r->next_cursor->partition_index = next >= 0 ? next : 0;
    return true;
}

static void no_memory(struct request *c)
{
    struct err e;
    err_nomem(&e);
    request_close(c, &e);
}

/* A cursor is at a partition, of one of the topics that are asked for. */
static bool cursor_fits(const struct msg_describe_topic_partitions_request *q)
{
    bool named = q->topics.count == 0;
    if (q->cursor == NULL)
        return true;
    struct msg_string at = q->cursor->topic_name;
    for (int32_t i = 0; i < q->topics.count && !named; i++)
        named = q->topics.items[i].name.n == at.n &&
                (at.n <= 0 || memcmp(q->topics.items[i].name.p, at.p, (size_t)at.n) == 0);
    return named && q->cursor->partition_index >= 0;
}

static bool tell_refused(struct request *c, const struct msg_describe_topic_partitions_request *q,
                         struct msg_describe_topic_partitions_response *r)
{
    r->topics.items = request_try_alloc(c, (size_t)q->topics.count, sizeof *r->topics.items);
    for (int32_t i = 0; r->topics.items != NULL && i < q->topics.count; i++) {
        topic_answer *out = &r->topics.items[r->topics.count++];
        msg_init(&msg_schema_describe_topic_partitions_response_topic, out);
        out->name = q->topics.items[i].name;
        out->error_code = KAFKA_INVALID_REQUEST;
    }
    return r->topics.items != NULL;
}

void api_describe_topic_partitions(struct request *c)
{
    const struct msg_describe_topic_partitions_request *q = c->asked;
    struct msg_describe_topic_partitions_response r;
    msg_init(&msg_schema_describe_topic_partitions_response, &r);
    if (cursor_fits(q) ? tell_topics(c, q, &r) : tell_refused(c, q, &r)) {
        request_reply(c, &r);
    } else {
        no_memory(c);
    }
}

/* ---- DescribeLogDirs (KIP-113, KIP-827) ---- */

typedef struct msg_describe_log_dirs_response_result dir_answer;

const char *api_log_dir(struct request *c, size_t disk)
{
    char *path = mem_printf("%s/logs", broker_disk_dir(c->server->broker, disk));
    const char *copy = path != NULL ? arena_dup(&c->arena, path, strlen(path)) : NULL;
    mem_free(path);
    return copy;
}

static bool tell_disk(struct request *c, size_t i, int32_t topics, dir_answer *out)
{
    struct disk_info d;
    const char *dir = api_log_dir(c, i);
    broker_disk(c->server->broker, i, &d);
    msg_init(&msg_schema_describe_log_dirs_response_result, out);
    out->error_code = d.failed ? err_kafka(ERR_DISK_FAILED) : 0;
    out->log_dir = msg_text(dir != NULL ? dir : "", dir != NULL ? strlen(dir) : 0);
    out->total_bytes = d.failed ? -1 : d.total_bytes;
    out->usable_bytes = d.failed ? -1 : d.free_bytes;
    out->topics.items = d.failed ? NULL : request_try_alloc(c, (size_t)topics, sizeof *out->topics.items);
    return dir != NULL && (d.failed || out->topics.items != NULL);
}

/* The topic's partitions in one directory, those of `wanted` (NULL: all). */
static bool tell_of_dir(struct request *c, const struct topic_info *t, int32_t disk, const bool *wanted,
                        dir_answer *out)
{
    int32_t n = 0;
    for (int32_t i = 0; i < t->partition_count; i++)
        n += t->partitions[i].disk == disk && (wanted == NULL || wanted[i]);
    if (n == 0 || out->error_code != 0)
        return true;
    struct msg_describe_log_dirs_response_topic *topic = &out->topics.items[out->topics.count];
    topic->partitions.items = request_try_alloc(c, (size_t)n, sizeof *topic->partitions.items);
    topic->name = api_text(c, t->name);
    if (topic->partitions.items == NULL)
        return false;
    for (int32_t i = 0; i < t->partition_count; i++)
        if (t->partitions[i].disk == disk && (wanted == NULL || wanted[i]))
            topic->partitions.items[topic->partitions.count++] =
                (struct msg_describe_log_dirs_response_partition){.partition_index = i,
                                                                  .partition_size = t->partitions[i].size};
    out->topics.count++;
    return true;
}

static bool tell_sizes(struct request *c, const char *name,
                       const struct msg_describe_log_dirs_request_describable_log_dir_topic *asked,
                       struct msg_describe_log_dirs_response *r)
{
    struct topic_info t;
    struct err e;
    int rc = broker_topic(c->server->broker, name, &t, &e);
    if (rc != ERR_OK)
        return rc != ERR_NO_MEMORY; /* one that is not there is left out */
    bool *wanted = asked != NULL ? request_try_alloc(c, (size_t)t.partition_count, sizeof *wanted) : NULL;
    bool good = asked == NULL || wanted != NULL;
    for (int32_t i = 0; good && asked != NULL && i < asked->partitions.count; i++) {
        int32_t p = asked->partitions.items[i];
        if (p >= 0 && p < t.partition_count)
            wanted[p] = true;
    }
    for (int32_t i = 0; good && i < r->results.count; i++)
        good = tell_of_dir(c, &t, i, wanted, &r->results.items[i]);
    topic_info_free(&t);
    return good;
}

static bool tell_named(struct request *c, const struct msg_describe_log_dirs_request *q,
                       struct msg_describe_log_dirs_response *r)
{
    struct map *seen = map_new();
    struct err e;
    bool good = seen != NULL;
    for (int32_t i = 0; good && i < q->topics.count; i++) {
        const char *name = request_string(c, q->topics.items[i].topic);
        int rc = name != NULL ? map_put(seen, name, strlen(name), seen, &e) : ERR_NO_MEMORY;
        if (rc == ERR_OK)
            good = tell_sizes(c, name, &q->topics.items[i], r);
        else
            good = rc == ERR_EXISTS;
    }
    if (seen != NULL)
        map_free(seen, NULL);
    return good;
}

static bool tell_all(struct request *c, struct topic_info *list, size_t n,
                     struct msg_describe_log_dirs_response *r)
{
    bool good = true;
    for (size_t i = 0; good && i < n; i++)
        good = tell_sizes(c, list[i].name, NULL, r);
    return good;
}

void api_describe_log_dirs(struct request *c)
{
    const struct msg_describe_log_dirs_request *q = c->asked;
    struct msg_describe_log_dirs_response r;
    struct topic_info *list = NULL;
    size_t n = 0, disks = broker_disk_count(c->server->broker);
    struct err e;
    bool all = q->topics.count < 0;
    msg_init(&msg_schema_describe_log_dirs_response, &r);
    bool good = !all || broker_topics(c->server->broker, &list, &n, &e) == ERR_OK;
    r.results.items = request_try_alloc(c, disks, sizeof *r.results.items);
    good = good && r.results.items != NULL;
    for (size_t i = 0; good && i < disks; i++, r.results.count++)
        good = tell_disk(c, i, all ? (int32_t)n : q->topics.count, &r.results.items[i]);
    good = good && (all ? tell_all(c, list, n, &r) : tell_named(c, q, &r));
    topic_infos_free(list, n);
    if (good)
        request_reply(c, &r);
    else
        no_memory(c);
}

/* ---- ListConfigResources (KIP-1142) ---- */

static bool type_asked(const struct msg_list_config_resources_request *q, int8_t type)
{
    for (int32_t i = 0; i < q->resource_types.count; i++)
        if (q->resource_types.items[i] == type)
            return true;
    return q->resource_types.count <= 0;
}

static bool types_known(const struct msg_list_config_resources_request *q)
{
    for (int32_t i = 0; i < q->resource_types.count; i++) {
        int8_t t = q->resource_types.items[i];
        if (t != RESOURCE_TOPIC && t != RESOURCE_BROKER && t != RESOURCE_LOGGER &&
            t != RESOURCE_CLIENT_METRICS && t != RESOURCE_GROUP)
            return false;
    }
    return true;
}

typedef struct msg_list_config_resources_response config_resources;

static void add_resource(config_resources *r, struct msg_string name, int8_t type)
{
    r->config_resources.items[r->config_resources.count++] =
        (struct msg_list_config_resources_response_config_resource){name, type};
}

/* Topics, groups with settings of their own, and what there is one of. Client metrics have none here. */
static bool list_resources(struct request *c, const struct topic_info *topics, size_t topic_count,
                           config_resources *r)
{
    const struct msg_list_config_resources_request *q = c->asked;
    const char *const *groups = NULL;
    size_t n = 0;
    struct err e;
    if (type_asked(q, RESOURCE_GROUP) &&
        broker_groups_set(c->server->broker, &c->arena, &groups, &n, &e) != ERR_OK)
        return false;
    r->config_resources.items = request_try_alloc(c, topic_count + n + 2, sizeof *r->config_resources.items);
    if (r->config_resources.items == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        add_resource(r, msg_text(groups[i], strlen(groups[i])), RESOURCE_GROUP);
    for (int8_t type = RESOURCE_BROKER; type <= RESOURCE_LOGGER; type = (int8_t)(type * 2))
        if (type_asked(q, type))
            add_resource(r, msg_text("1", 1), type);
    for (size_t i = 0; i < topic_count; i++)
        add_resource(r, api_text(c, topics[i].name), RESOURCE_TOPIC);
    return true;
}

/* Version 0 asks for client metrics only. */
void api_list_config_resources(struct request *c)
{
    const struct msg_list_config_resources_request *q = c->asked;
    config_resources r;
    struct topic_info *list = NULL;
    size_t n = 0;
    struct err e;
    bool newer = c->header.version >= 1;
    msg_init(&msg_schema_list_config_resources_response, &r);
    if (newer && !types_known(q)) {
        r.error_code = err_kafka(ERR_UNSUPPORTED);
        request_reply(c, &r);
        return;
    }
    bool good =
        !newer || !type_asked(q, RESOURCE_TOPIC) || broker_topics(c->server->broker, &list, &n, &e) == ERR_OK;
    good = good && (!newer || list_resources(c, list, n, &r));
    topic_infos_free(list, n);
    if (good)
        request_reply(c, &r);
    else
        no_memory(c);
}

/* ---- DescribeQuorum (KIP-595, KIP-836): a quorum of this node alone ---- */

static bool asks_for_metadata(const struct msg_describe_quorum_request *q)
{
    static const char name[] = "__cluster_metadata";
    return q->topics.count == 1 && q->topics.items[0].topic_name.n == (int32_t)strlen(name) &&
           memcmp(q->topics.items[0].topic_name.p, name, strlen(name)) == 0 &&
           q->topics.items[0].partitions.count == 1 &&
           q->topics.items[0].partitions.items[0].partition_index == 0;
}

typedef struct msg_describe_quorum_response_topic_data quorum_topic;
typedef struct msg_describe_quorum_response_partition_data quorum_partition;

/* What was asked for, each partition unknown. */
static bool tell_unknown(struct request *c, const struct msg_describe_quorum_request *q,
                         struct msg_describe_quorum_response *r)
{
    r->topics.items = request_try_alloc(c, (size_t)q->topics.count, sizeof *r->topics.items);
    for (int32_t i = 0; r->topics.items != NULL && i < q->topics.count; i++) {
        quorum_topic *t = &r->topics.items[r->topics.count++];
        int32_t n = q->topics.items[i].partitions.count;
        t->topic_name = q->topics.items[i].topic_name;
        t->partitions.items = request_try_alloc(c, (size_t)n, sizeof *t->partitions.items);
        if (t->partitions.items == NULL)
            return false;
        for (int32_t k = 0; k < n; k++)
            t->partitions.items[t->partitions.count++] =
                (quorum_partition){.partition_index = q->topics.items[i].partitions.items[k].partition_index,
                                   .error_code = err_kafka(ERR_UNKNOWN_TOPIC),
                                   .error_message = MSG_NULL_STRING};
    }
    return r->topics.items != NULL;
}

void api_describe_quorum(struct request *c)
{
    const struct msg_describe_quorum_request *q = c->asked;
    struct msg_describe_quorum_response r;
    struct disk_info disk;
    int64_t end = broker_metadata_end(c->server->broker), now = clock_wall_ms();
    broker_disk(c->server->broker, 0, &disk);
    struct msg_describe_quorum_response_replica_state voter = {.replica_id = api_node(c),
                                                               .log_end_offset = end,
                                                               .last_fetch_timestamp = now,
                                                               .last_caught_up_timestamp = now};
    struct msg_describe_quorum_response_listener listener = {.name =
                                                                 msg_text("PLAINTEXT", strlen("PLAINTEXT")),
                                                             .host = api_host(c),
                                                             .port = (uint16_t)api_port(c)};
    struct msg_describe_quorum_response_node node = {.node_id = api_node(c), .listeners = {&listener, 1}};
    quorum_partition p = {.leader_id = api_node(c),
                          .leader_epoch = 1,
                          .high_watermark = end,
                          .error_message = MSG_NULL_STRING,
                          .current_voters = {&voter, 1}};
    quorum_topic topic = {.partitions = {&p, 1}};
    uuid_parse(disk.id, &voter.replica_directory_id);
    msg_init(&msg_schema_describe_quorum_response, &r);
    if (!asks_for_metadata(q)) {
        if (tell_unknown(c, q, &r))
            request_reply(c, &r);
        else
            no_memory(c);
        return;
    }
    r.nodes.items = &node;
    r.nodes.count = 1;
    topic.topic_name = q->topics.items[0].topic_name;
    r.topics.items = &topic;
    r.topics.count = 1;
    request_reply(c, &r);
}
