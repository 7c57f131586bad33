/*
 * replicas: ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments, AlterReplicaLogDirs, as a cluster of one node answers
 * them: its replicas are where they are, in sync and leaders. From memory; any thread. KIP-183, KIP-455, KIP-460, KIP-113.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "server/configs.h"

/* How many partitions a topic has; -1: there is no such topic, or no memory. */
static int32_t partitions_of(struct request *c, struct msg_string name)
{
    int16_t code;
    const struct topic_brief *t = api_topic(c, name, NULL, &code);
    return t != NULL ? t->partitions : -1;
}

static bool is_there(int32_t count, int32_t partition)
{
    return partition >= 0 && partition < count;
}

/* Why a partition is unknown, as a controller says it. */
static struct msg_string unknown_text(struct request *c, struct msg_string topic, int32_t count,
                                      int32_t partition)
{
    char text[400];
    if (count < 0)
        snprintf(text, sizeof text, "No such topic as %.*s",
                 topic.n > 300 ? 300
                 : topic.n > 0 ? topic.n
                               : 0,
                 topic.p);
    else
        snprintf(text, sizeof text, "No such partition as %.*s-%d",
                 topic.n > 300 ? 300
                 : topic.n > 0 ? topic.n
                               : 0,
                 topic.p, partition);
    return api_text(c, text);
}

/* ---- ElectLeaders ---- */

#define UNCLEAN 1 /* the last election type that there is */

static bool elect_of(struct request *c, bool known,
                     const struct msg_elect_leaders_request_topic_partitions *t,
                     struct msg_elect_leaders_response_replica_election_result *out)
{
    int32_t count = partitions_of(c, t->topic);
    out->topic = t->topic;
    out->partition_result.items =
        request_alloc(c, (size_t)t->partitions.count, sizeof *out->partition_result.items);
    if (out->partition_result.items == NULL)
        return false;
    out->partition_result.count = t->partitions.count;
    for (int32_t i = 0; i < t->partitions.count; i++) {
        int32_t p = t->partitions.items[i];
        struct msg_elect_leaders_response_partition_result *r = &out->partition_result.items[i];
        bool there = is_there(count, p);
        r->partition_id = p;
        r->error_code = !known  ? KAFKA_INVALID_REQUEST
                        : there ? KAFKA_ELECTION_NOT_NEEDED
                                : err_kafka(ERR_UNKNOWN_TOPIC);
        r->error_message = !known || there ? MSG_NULL_STRING : unknown_text(c, t->topic, count, p);
    }
    return true;
}

/* Of all partitions none is told, as each has the leader that it should have. */
void api_elect_leaders(struct request *c)
{
    const struct msg_elect_leaders_request *q = c->asked;
    struct msg_elect_leaders_response r;
    int32_t n = q->topic_partitions.count > 0 ? q->topic_partitions.count : 0;
    bool known = q->election_type >= 0 && q->election_type <= UNCLEAN;
    msg_init(&msg_schema_elect_leaders_response, &r);
    r.error_code = known ? 0 : KAFKA_INVALID_REQUEST;
    r.replica_election_results.items = request_alloc(c, (size_t)n, sizeof *r.replica_election_results.items);
    if (r.replica_election_results.items == NULL)
        return;
    r.replica_election_results.count = n;
    for (int32_t i = 0; i < n; i++)
        if (!elect_of(c, known, &q->topic_partitions.items[i], &r.replica_election_results.items[i]))
            return;
    request_reply(c, &r);
}

/* ---- reassignments ---- */

typedef struct msg_alter_partition_reassignments_request_reassignable_partition move;
typedef struct msg_alter_partition_reassignments_response_reassignable_partition_response moved;

/* Only where a partition is already it can be put. */
static void reassign(struct request *c, struct msg_string topic, int32_t count, const move *m, moved *out)
{
    struct err e = {0};
    out->partition_index = m->partition_index;
    out->error_message = MSG_NULL_STRING;
    if (!is_there(count, m->partition_index)) {
        out->error_code = err_kafka(ERR_UNKNOWN_TOPIC);
        out->error_message = unknown_text(c, topic, count, m->partition_index);
        return;
    }
    if (m->replicas.count < 0) {
        out->error_code = KAFKA_NO_REASSIGNMENT;
        return;
    }
    if (m->replicas.count == 0)
        err_set(&e, ERR_INVALID, "The manual partition assignment includes an empty replica list.");
    for (int32_t i = 0; i < m->replicas.count && e.code == ERR_OK; i++)
        if (m->replicas.items[i] != api_node(c))
            err_set(&e, ERR_INVALID,
                    "The manual partition assignment includes broker %d, but no such broker is registered.",
                    m->replicas.items[i]);
        else if (i > 0)
            err_set(&e, ERR_INVALID, "The manual partition assignment includes the broker %d more than once.",
                    api_node(c));
    out->error_code = e.code != ERR_OK ? KAFKA_REPLICA_ASSIGNMENT : 0;
    out->error_message = api_error_text(c, &e);
}

void api_alter_partition_reassignments(struct request *c)
{
    const struct msg_alter_partition_reassignments_request *q = c->asked;
    struct msg_alter_partition_reassignments_response r;
    msg_init(&msg_schema_alter_partition_reassignments_response, &r);
    r.error_message = MSG_NULL_STRING;
    r.allow_replication_factor_change = q->allow_replication_factor_change;
    r.responses.items = request_alloc(c, (size_t)q->topics.count, sizeof *r.responses.items);
    if (r.responses.items == NULL)
        return;
    r.responses.count = q->topics.count;
    for (int32_t i = 0; i < q->topics.count; i++) {
        int32_t n = q->topics.items[i].partitions.count;
        int32_t count = partitions_of(c, q->topics.items[i].name);
        r.responses.items[i].name = q->topics.items[i].name;
        r.responses.items[i].partitions.items =
            request_alloc(c, (size_t)n, sizeof *r.responses.items[i].partitions.items);
        if (r.responses.items[i].partitions.items == NULL)
            return;
        r.responses.items[i].partitions.count = n;
        for (int32_t k = 0; k < n; k++)
            reassign(c, q->topics.items[i].name, count, &q->topics.items[i].partitions.items[k],
                     &r.responses.items[i].partitions.items[k]);
    }
    request_reply(c, &r);
}

void api_list_partition_reassignments(struct request *c)
{
    struct msg_list_partition_reassignments_response r;
    msg_init(&msg_schema_list_partition_reassignments_response, &r);
    r.error_message = MSG_NULL_STRING;
    request_reply(c, &r);
}

/* ---- AlterReplicaLogDirs: partitions do not move between directories ---- */

/* The number of the directory that has this path, -1: none has. */
static int32_t disk_of_path(struct request *c, struct msg_string path)
{
    size_t disks = broker_disk_count(c->server->broker);
    for (size_t i = 0; i < disks; i++) {
        const char *dir = api_log_dir(c, i);
        if (dir != NULL && path.n >= 0 && strlen(dir) == (size_t)path.n &&
            memcmp(dir, path.p, (size_t)path.n) == 0)
            return (int32_t)i;
    }
    return -1;
}

static bool move_topic(struct request *c, int32_t disk,
                       const struct msg_alter_replica_log_dirs_request_alter_replica_log_dir_topic *t,
                       struct msg_alter_replica_log_dirs_response_alter_replica_log_dir_topic_result *out)
{
    int32_t count = partitions_of(c, t->name);
    const char *name = request_string(c, t->name);
    out->topic_name = t->name;
    out->partitions.items = request_try_alloc(c, (size_t)t->partitions.count, sizeof *out->partitions.items);
    if (out->partitions.items == NULL || name == NULL)
        return false;
    out->partitions.count = t->partitions.count;
    for (int32_t i = 0; i < t->partitions.count; i++) {
        int32_t p = t->partitions.items[i], at = -1;
        struct err e;
        int16_t code = 0;
        if (disk < 0)
            code = KAFKA_LOG_DIR_NOT_FOUND;
        else if (!is_there(count, p) || broker_partition_disk(c->server->broker, name, p, &at, &e) != ERR_OK)
            code = err_kafka(ERR_UNKNOWN_TOPIC);
        else if (at != disk)
            code = KAFKA_POLICY_VIOLATION;
        out->partitions.items[i] =
            (struct msg_alter_replica_log_dirs_response_alter_replica_log_dir_partition_result){p, code};
    }
    return true;
}

void api_alter_replica_log_dirs(struct request *c)
{
    const struct msg_alter_replica_log_dirs_request *q = c->asked;
    struct msg_alter_replica_log_dirs_response r;
    size_t n = 0;
    struct err e;
    for (int32_t i = 0; i < q->dirs.count; i++)
        n += (size_t)q->dirs.items[i].topics.count;
    msg_init(&msg_schema_alter_replica_log_dirs_response, &r);
    r.results.items = request_try_alloc(c, n, sizeof *r.results.items);
    bool good = r.results.items != NULL;
    for (int32_t i = 0; good && i < q->dirs.count; i++) {
        int32_t disk = disk_of_path(c, q->dirs.items[i].path);
        for (int32_t k = 0; good && k < q->dirs.items[i].topics.count; k++)
            good =
                move_topic(c, disk, &q->dirs.items[i].topics.items[k], &r.results.items[r.results.count++]);
    }
    if (good)
        request_reply(c, &r);
    else
        request_close(c, (err_nomem(&e), &e));
}
