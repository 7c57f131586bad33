/*
 * apis: the table of what is offered. To offer an api: its handler here and in apis.h, and docs/kafka-protocol.md.
 */
#include "server/apis.h"

#include <string.h>

/* The versions are Kafka 4.3.1's. Produce offers 0, as librdkafka would turn compression off without it, and takes 3 on. */
static const struct handler table[] = {
    {.key = MSG_KEY_produce,
     .min = 0,
     .max = 13,
     .accept = 3,
     .waits = true,
     .overlaps = true,
     .run = api_produce,
     .try = api_produce_try},
    {.key = MSG_KEY_fetch, .min = 4, .max = 18, .accept = 4, .run = api_fetch},
    {.key = MSG_KEY_list_offsets, .min = 1, .max = 11, .accept = 1, .waits = true, .run = api_list_offsets},
    {.key = MSG_KEY_metadata, .min = 0, .max = 13, .waits = true, .run = api_metadata},
    {.key = MSG_KEY_offset_commit, .min = 2, .max = 10, .accept = 2, .waits = true, .run = api_offset_commit},
    {.key = MSG_KEY_offset_fetch, .min = 1, .max = 10, .accept = 1, .run = api_offset_fetch},
    {.key = MSG_KEY_find_coordinator, .min = 0, .max = 6, .run = api_find_coordinator},
    {.key = MSG_KEY_join_group, .min = 0, .max = 9, .run = api_join_group},
    {.key = MSG_KEY_heartbeat, .min = 0, .max = 4, .run = api_heartbeat},
    {.key = MSG_KEY_leave_group, .min = 0, .max = 5, .run = api_leave_group},
    {.key = MSG_KEY_sync_group, .min = 0, .max = 5, .run = api_sync_group},
    {.key = MSG_KEY_describe_groups, .min = 0, .max = 6, .run = api_describe_groups},
    {.key = MSG_KEY_list_groups, .min = 0, .max = 5, .waits = true, .run = api_list_groups},
    {.key = MSG_KEY_sasl_handshake, .min = 0, .max = 1, .run = api_sasl_handshake},
    {.key = MSG_KEY_api_versions, .min = 0, .max = 4, .run = api_api_versions},
    {.key = MSG_KEY_create_topics, .min = 2, .max = 7, .accept = 2, .waits = true, .run = api_create_topics},
    {.key = MSG_KEY_delete_topics, .min = 1, .max = 6, .accept = 1, .waits = true, .run = api_delete_topics},
    {.key = MSG_KEY_delete_records, .min = 0, .max = 2, .waits = true, .run = api_delete_records},
    {.key = MSG_KEY_init_producer_id, .min = 0, .max = 5, .waits = true, .run = api_init_producer_id},
    {.key = MSG_KEY_offset_for_leader_epoch,
     .min = 2,
     .max = 4,
     .accept = 2,
     .waits = true,
     .run = api_offset_for_leader_epoch},
    {.key = MSG_KEY_add_partitions_to_txn,
     .min = 0,
     .max = 5,
     .waits = true,
     .run = api_add_partitions_to_txn},
    {.key = MSG_KEY_add_offsets_to_txn, .min = 0, .max = 4, .waits = true, .run = api_add_offsets_to_txn},
    {.key = MSG_KEY_end_txn, .min = 0, .max = 5, .waits = true, .run = api_end_txn},
    {.key = MSG_KEY_write_txn_markers,
     .min = 1,
     .max = 2,
     .accept = 1,
     .waits = true,
     .run = api_write_txn_markers},
    {.key = MSG_KEY_txn_offset_commit, .min = 0, .max = 5, .waits = true, .run = api_txn_offset_commit},
    {.key = MSG_KEY_describe_acls, .min = 1, .max = 3, .accept = 1, .run = api_describe_acls},
    {.key = MSG_KEY_create_acls, .min = 1, .max = 3, .accept = 1, .run = api_create_acls},
    {.key = MSG_KEY_delete_acls, .min = 1, .max = 3, .accept = 1, .run = api_delete_acls},
    {.key = MSG_KEY_describe_configs,
     .min = 1,
     .max = 4,
     .accept = 1,
     .waits = true,
     .run = api_describe_configs},
    {.key = MSG_KEY_alter_configs, .min = 0, .max = 2, .waits = true, .run = api_alter_configs},
    {.key = MSG_KEY_alter_replica_log_dirs,
     .min = 1,
     .max = 2,
     .accept = 1,
     .waits = true,
     .run = api_alter_replica_log_dirs},
    {.key = MSG_KEY_describe_log_dirs,
     .min = 1,
     .max = 5,
     .accept = 1,
     .waits = true,
     .run = api_describe_log_dirs},
    {.key = MSG_KEY_sasl_authenticate, .min = 0, .max = 2, .run = api_sasl_authenticate},
    {.key = MSG_KEY_create_partitions, .min = 0, .max = 3, .waits = true, .run = api_create_partitions},
    {.key = MSG_KEY_delete_groups, .min = 0, .max = 2, .waits = true, .run = api_delete_groups},
    {.key = MSG_KEY_elect_leaders, .min = 0, .max = 2, .waits = true, .run = api_elect_leaders},
    {.key = MSG_KEY_incremental_alter_configs,
     .min = 0,
     .max = 1,
     .waits = true,
     .run = api_incremental_alter_configs},
    {.key = MSG_KEY_alter_partition_reassignments,
     .min = 0,
     .max = 1,
     .waits = true,
     .run = api_alter_partition_reassignments},
    {.key = MSG_KEY_list_partition_reassignments,
     .min = 0,
     .max = 0,
     .run = api_list_partition_reassignments},
    {.key = MSG_KEY_describe_client_quotas, .min = 0, .max = 1, .run = api_describe_client_quotas},
    {.key = MSG_KEY_describe_user_scram_credentials,
     .min = 0,
     .max = 0,
     .run = api_describe_user_scram_credentials},
    {.key = MSG_KEY_describe_quorum, .min = 0, .max = 2, .waits = true, .run = api_describe_quorum},
    {.key = MSG_KEY_update_features, .min = 0, .max = 2, .run = api_update_features},
    {.key = MSG_KEY_offset_delete, .min = 0, .max = 0, .waits = true, .run = api_offset_delete},
    {.key = MSG_KEY_describe_cluster, .min = 0, .max = 2, .run = api_describe_cluster},
    {.key = MSG_KEY_describe_producers, .min = 0, .max = 0, .waits = true, .run = api_describe_producers},
    {.key = MSG_KEY_describe_transactions,
     .min = 0,
     .max = 0,
     .waits = true,
     .run = api_describe_transactions},
    {.key = MSG_KEY_list_transactions, .min = 0, .max = 2, .waits = true, .run = api_list_transactions},
    {.key = MSG_KEY_consumer_group_heartbeat,
     .min = 0,
     .max = 1,
     .waits = true,
     .run = api_consumer_group_heartbeat},
    {.key = MSG_KEY_consumer_group_describe, .min = 0, .max = 1, .run = api_consumer_group_describe},
    {.key = MSG_KEY_list_config_resources,
     .min = 0,
     .max = 1,
     .waits = true,
     .run = api_list_config_resources},
    {.key = MSG_KEY_describe_topic_partitions,
     .min = 0,
     .max = 0,
     .waits = true,
     .run = api_describe_topic_partitions},
};

const struct handler *handlers(size_t *n)
{
    *n = sizeof table / sizeof *table;
    return table;
}

const struct handler *handler_find(int16_t key)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].key == key)
            return &table[i];
    return NULL;
}

const struct topic_brief *api_topic(struct request *c, struct msg_string name, const struct uuid *id,
                                    int16_t *code)
{
    struct err e;
    struct topic_brief *t = arena_alloc(&c->arena, sizeof *t);
    char *text = name.n > 0 ? request_string(c, name) : NULL;
    int rc = t == NULL || (name.n > 0 && text == NULL) ? err_nomem(&e)
             : name.n > 0 || id == NULL
                 ? broker_topic_brief(c->server->broker, text != NULL ? text : "", t, &e)
                 : broker_topic_by_id(c->server->broker, id, t, &e);
    *code = err_kafka(rc);
    return rc == ERR_OK ? t : NULL;
}

struct msg_string api_text(struct request *c, const char *text)
{
    size_t n = strlen(text);
    const char *copy = arena_dup(&c->arena, text, n);
    return copy != NULL ? msg_text(copy, n) : msg_text("", 0);
}

const char *api_value(struct request *c, struct msg_string s)
{
    int32_t from = 0, to = s.n;
    while (from < to && (unsigned char)s.p[from] <= ' ')
        from++;
    while (to > from && (unsigned char)s.p[to - 1] <= ' ')
        to--;
    return arena_dup(&c->arena, from < to ? s.p + from : "", (size_t)(to > from ? to - from : 0));
}

struct msg_string api_error_text(struct request *c, const struct err *e)
{
    return e->code == ERR_OK ? MSG_NULL_STRING : api_text(c, e->text);
}

struct msg_string api_host(const struct request *c)
{
    const char *host = c->conn->listener->host;
    return msg_text(host, strlen(host));
}

int32_t api_port(const struct request *c)
{
    return c->conn->listener->told_port;
}
