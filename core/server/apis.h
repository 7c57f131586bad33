/*
 * apis: the handlers, one for each api that is offered, and what they share. A handler gets a request with its decoded request and answers
 * it; which thread runs it says its row in apis.c.
 */
#ifndef LEAT_SERVER_APIS_H
#define LEAT_SERVER_APIS_H

#include "server/internal.h"

/* What somebody may do whom nobody authorizes: everything, as bits of Kafka's AclOperation (KIP-430). */
#define TOPIC_OPERATIONS 3576
#define CLUSTER_OPERATIONS 8096
#define GROUP_OPERATIONS 3400
#define NO_OPERATIONS INT32_MIN /* not asked for */

/* Kafka's codes that ours have no own one for. */
enum {
    KAFKA_NOT_LEADER = 6,
    KAFKA_REPLICATION_FACTOR = 38,
    KAFKA_REPLICA_ASSIGNMENT = 39,
    KAFKA_REQUIRED_ACKS = 21,
    KAFKA_INVALID_REQUEST = 42,
    KAFKA_POLICY_VIOLATION = 44,
    KAFKA_TXN_ID_AUTHORIZATION = 53,
    KAFKA_NOT_ATTEMPTED = 55,
    KAFKA_FETCH_SESSION_NOT_FOUND = 70,
    KAFKA_FETCH_SESSION_EPOCH = 71,
    KAFKA_FETCH_SESSION_TOPIC_ID = 106,
    KAFKA_ILLEGAL_SASL_STATE = 34,
    KAFKA_SECURITY_DISABLED = 54,
    KAFKA_LOG_DIR_NOT_FOUND = 57,
    KAFKA_ELECTION_NOT_NEEDED = 84,
    KAFKA_NO_REASSIGNMENT = 85,
    KAFKA_RESOURCE_NOT_FOUND = 91,
    KAFKA_DUPLICATE_RESOURCE = 92,
    KAFKA_INVALID_UPDATE_VERSION = 95,
    KAFKA_TRANSACTION_ABORTABLE = 120,
};

/* The one broker's id, and the array of it that replicas are. */
static inline int32_t api_node(const struct request *c)
{
    return c->server->o.node_id;
}
static inline int32_t *api_nodes(const struct request *c)
{
    return &c->server->o.node_id;
}

void api_api_versions(struct request *c);
void api_metadata(struct request *c);
void api_describe_cluster(struct request *c);
void api_produce(struct request *c);
bool api_produce_try(struct request *c);
void api_fetch(struct request *c);
void api_list_offsets(struct request *c);
void api_offset_for_leader_epoch(struct request *c);
void api_create_topics(struct request *c);
void api_delete_topics(struct request *c);
void api_create_partitions(struct request *c);
void api_delete_records(struct request *c);
void api_find_coordinator(struct request *c);
void api_init_producer_id(struct request *c);
void api_add_partitions_to_txn(struct request *c);
void api_add_offsets_to_txn(struct request *c);
void api_end_txn(struct request *c);
void api_txn_offset_commit(struct request *c);
void api_write_txn_markers(struct request *c);
void api_describe_producers(struct request *c);
void api_describe_transactions(struct request *c);
void api_list_transactions(struct request *c);
void api_join_group(struct request *c);
void api_sync_group(struct request *c);
void api_heartbeat(struct request *c);
void api_leave_group(struct request *c);
void api_describe_groups(struct request *c);
void api_list_groups(struct request *c);
void api_delete_groups(struct request *c);
void api_consumer_group_heartbeat(struct request *c);
void api_consumer_group_describe(struct request *c);
void api_offset_commit(struct request *c);
void api_offset_fetch(struct request *c);
void api_offset_delete(struct request *c);
void api_describe_configs(struct request *c);
void api_alter_configs(struct request *c);
void api_incremental_alter_configs(struct request *c);
void api_describe_topic_partitions(struct request *c);
void api_describe_log_dirs(struct request *c);
void api_list_config_resources(struct request *c);
void api_describe_quorum(struct request *c);
void api_update_features(struct request *c);
void api_describe_acls(struct request *c);
void api_create_acls(struct request *c);
void api_delete_acls(struct request *c);
void api_sasl_handshake(struct request *c);
void api_sasl_authenticate(struct request *c);
void api_describe_client_quotas(struct request *c);
void api_describe_user_scram_credentials(struct request *c);
void api_elect_leaders(struct request *c);
void api_alter_partition_reassignments(struct request *c);
void api_list_partition_reassignments(struct request *c);
void api_alter_replica_log_dirs(struct request *c);

/* The topic that a request names, or tells by its id where the name is empty; NULL and the error's code otherwise. In the arena. */
const struct topic_brief *api_topic(struct request *c, struct msg_string name, const struct uuid *id,
                                    int16_t *code);

/* The leader epoch of a partition, as descriptions tell it; where it cannot be read, 0. */
int32_t api_leader_epoch(const struct request *c, const char *topic, int32_t partition);
/* Whether the leader epoch that a client knows (-1: it does not say) is the partition's: 0, or the error's code. */
int16_t api_check_epoch(const struct request *c, const char *topic, int32_t partition, int32_t asked);

/* Whether Kafka knows the isolation level: to others it answers an unknown server error. */
static inline bool api_is_isolation(int8_t level)
{
    return level == 0 || level == 1;
}

/* A setting's value as Kafka takes it, without blanks around it. In the arena; NULL: no memory. */
const char *api_value(struct request *c, struct msg_string s);
/* Text of the arena's for an answer. */
struct msg_string api_text(struct request *c, const char *text);
struct msg_string api_error_text(struct request *c, const struct err *e); /* null for ERR_OK */

/* Offsets of a request that may be committed, and where their outcome goes. */
struct commits {
    struct group_offset *offsets;
    int16_t **answers; /* error codes in the response */
    size_t n;
    int16_t
        refused; /* why the group takes none; what is wrong with a topic or partition is told before that */
};
bool commits_begin(struct request *c, struct commits *w,
                   size_t most); /* false: no memory, and it is answered */
/* Takes the offset in, or says in *answer why not; `code` is why not already, `t` the topic where it is 0. */
void commits_take(struct request *c, struct commits *w, const struct topic_brief *t,
                  const struct group_offset *o, struct msg_string metadata, int16_t code, int16_t *answer);
/* Why a member may not commit: `absent` for GROUP_NOT_FOUND, unless the group is there by offsets of others. */
int16_t commits_of_absent(struct request *c, struct msg_string group, int16_t refused, int16_t absent);
void commits_answer(const struct commits *w, int16_t code);

/* The features of the node into the answer (features.c); false: no memory, and the request was closed. */
bool features_tell(struct request *c, struct msg_api_versions_response *r);
/* Where a data directory's partitions are, as clients are told. In the arena; NULL: no memory. */
const char *api_log_dir(struct request *c, size_t disk);
/* A transaction's outcome as the request's version has it: who is fenced was told an invalid epoch before version 2 (KIP-588). */
int16_t txn_code_of(const struct request *c, int rc);

/* This node as the listener's clients are to know it. */
struct msg_string api_host(const struct request *c);
int32_t api_port(const struct request *c);

#endif
