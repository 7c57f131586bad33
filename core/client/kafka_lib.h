/*
 * kafka_lib: librdkafka, loaded when a cluster is first named: a program that names none neither needs it nor pays for it.
 * The functions are called as rdk.produceva(...) for rd_kafka_produceva(...); their types come from its header.
 */
#ifndef LEAT_CLIENT_KAFKA_LIB_H
#define LEAT_CLIENT_KAFKA_LIB_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"

#define RDK_FUNCTIONS(X)                                                                                     \
    X(err2str)                                                                                               \
    X(conf_new)                                                                                              \
    X(conf_set)                                                                                              \
    X(conf_destroy)                                                                                          \
    X(conf_set_opaque)                                                                                       \
    X(conf_set_error_cb)                                                                                     \
    X(conf_set_log_cb)                                                                                       \
    X(conf_set_dr_msg_cb)                                                                                    \
    X(new)                                                                                                   \
    X(destroy)                                                                                               \
    X(destroy_flags)                                                                                         \
    X(opaque)                                                                                                \
    X(poll)                                                                                                  \
    X(fatal_error)                                                                                           \
    X(metadata)                                                                                              \
    X(metadata_destroy)                                                                                      \
    X(topic_new)                                                                                             \
    X(topic_name)                                                                                            \
    X(topic_destroy)                                                                                         \
    X(topic_partition_list_new)                                                                              \
    X(topic_partition_list_add)                                                                              \
    X(topic_partition_list_copy)                                                                             \
    X(topic_partition_list_destroy)                                                                          \
    X(offsets_for_times)                                                                                     \
    X(queue_new)                                                                                             \
    X(queue_destroy)                                                                                         \
    X(queue_poll)                                                                                            \
    X(queue_yield)                                                                                           \
    X(consume_start_queue)                                                                                   \
    X(consume_stop)                                                                                          \
    X(consume_batch_queue)                                                                                   \
    X(last_error)                                                                                            \
    X(message_destroy)                                                                                       \
    X(message_timestamp)                                                                                     \
    X(message_headers)                                                                                       \
    X(message_errstr)                                                                                        \
    X(header_get_all)                                                                                        \
    X(headers_new)                                                                                           \
    X(headers_destroy)                                                                                       \
    X(header_add)                                                                                            \
    X(produceva)                                                                                             \
    X(flush)                                                                                                 \
    X(purge)                                                                                                 \
    X(init_transactions)                                                                                     \
    X(begin_transaction)                                                                                     \
    X(commit_transaction)                                                                                    \
    X(abort_transaction)                                                                                     \
    X(error_code)                                                                                            \
    X(error_string)                                                                                          \
    X(error_is_fatal)                                                                                        \
    X(error_is_retriable)                                                                                    \
    X(error_txn_requires_abort)                                                                              \
    X(error_destroy)                                                                                         \
    X(event_error)                                                                                           \
    X(event_error_string)                                                                                    \
    X(event_destroy)                                                                                         \
    X(AdminOptions_new)                                                                                      \
    X(AdminOptions_destroy)                                                                                  \
    X(AdminOptions_set_request_timeout)                                                                      \
    X(AdminOptions_set_operation_timeout)                                                                    \
    X(topic_result_error)                                                                                    \
    X(topic_result_error_string)                                                                             \
    X(group_result_error)                                                                                    \
    X(group_result_name)                                                                                     \
    X(group_result_partitions)                                                                               \
    X(NewTopic_new)                                                                                          \
    X(NewTopic_set_config)                                                                                   \
    X(NewTopic_destroy)                                                                                      \
    X(CreateTopics)                                                                                          \
    X(event_CreateTopics_result)                                                                             \
    X(CreateTopics_result_topics)                                                                            \
    X(DeleteTopic_new)                                                                                       \
    X(DeleteTopic_destroy)                                                                                   \
    X(DeleteTopics)                                                                                          \
    X(event_DeleteTopics_result)                                                                             \
    X(DeleteTopics_result_topics)                                                                            \
    X(NewPartitions_new)                                                                                     \
    X(NewPartitions_destroy)                                                                                 \
    X(CreatePartitions)                                                                                      \
    X(event_CreatePartitions_result)                                                                         \
    X(CreatePartitions_result_topics)                                                                        \
    X(ConfigResource_new)                                                                                    \
    X(ConfigResource_destroy)                                                                                \
    X(ConfigResource_set_config)                                                                             \
    X(ConfigResource_name)                                                                                   \
    X(ConfigResource_configs)                                                                                \
    X(ConfigResource_error)                                                                                  \
    X(ConfigResource_error_string)                                                                           \
    X(ConfigEntry_name)                                                                                      \
    X(ConfigEntry_value)                                                                                     \
    X(ConfigEntry_source)                                                                                    \
    X(ConfigEntry_synonyms)                                                                                  \
    X(DescribeConfigs)                                                                                       \
    X(event_DescribeConfigs_result)                                                                          \
    X(DescribeConfigs_result_resources)                                                                      \
    X(AlterConfigs)                                                                                          \
    X(event_AlterConfigs_result)                                                                             \
    X(AlterConfigs_result_resources)                                                                         \
    X(DeleteRecords_new)                                                                                     \
    X(DeleteRecords_destroy)                                                                                 \
    X(DeleteRecords)                                                                                         \
    X(event_DeleteRecords_result)                                                                            \
    X(DeleteRecords_result_offsets)                                                                          \
    X(ListConsumerGroups)                                                                                    \
    X(event_ListConsumerGroups_result)                                                                       \
    X(ListConsumerGroups_result_valid)                                                                       \
    X(ListConsumerGroups_result_errors)                                                                      \
    X(ConsumerGroupListing_group_id)                                                                         \
    X(ConsumerGroupListing_state)                                                                            \
    X(consumer_group_state_name)                                                                             \
    X(version)                                                                                               \
    X(version_str)                                                                                           \
    X(DescribeConsumerGroups)                                                                                \
    X(event_DescribeConsumerGroups_result)                                                                   \
    X(DescribeConsumerGroups_result_groups)                                                                  \
    X(ConsumerGroupDescription_error)                                                                        \
    X(ConsumerGroupDescription_state)                                                                        \
    X(ConsumerGroupDescription_group_id)                                                                     \
    X(ConsumerGroupDescription_partition_assignor)                                                           \
    X(ConsumerGroupDescription_member_count)                                                                 \
    X(ConsumerGroupDescription_member)                                                                       \
    X(MemberDescription_consumer_id)                                                                         \
    X(MemberDescription_group_instance_id)                                                                   \
    X(MemberDescription_client_id)                                                                           \
    X(MemberDescription_host)                                                                                \
    X(MemberDescription_assignment)                                                                          \
    X(MemberAssignment_partitions)                                                                           \
    X(ListConsumerGroupOffsets_new)                                                                          \
    X(ListConsumerGroupOffsets_destroy)                                                                      \
    X(ListConsumerGroupOffsets)                                                                              \
    X(event_ListConsumerGroupOffsets_result)                                                                 \
    X(ListConsumerGroupOffsets_result_groups)                                                                \
    X(AlterConsumerGroupOffsets_new)                                                                         \
    X(AlterConsumerGroupOffsets_destroy)                                                                     \
    X(AlterConsumerGroupOffsets)                                                                             \
    X(event_AlterConsumerGroupOffsets_result)                                                                \
    X(AlterConsumerGroupOffsets_result_groups)                                                               \
    X(DeleteConsumerGroupOffsets_new)                                                                        \
    X(DeleteConsumerGroupOffsets_destroy)                                                                    \
    X(DeleteConsumerGroupOffsets)                                                                            \
    X(event_DeleteConsumerGroupOffsets_result)                                                               \
    X(DeleteConsumerGroupOffsets_result_groups)                                                              \
    X(DeleteGroup_new)                                                                                       \
    X(DeleteGroup_destroy)                                                                                   \
    X(DeleteGroups)                                                                                          \
    X(event_DeleteGroups_result)                                                                             \
    X(DeleteGroups_result_groups)

struct rdk {
#define X(name) __typeof__(rd_kafka_##name) *name;
    RDK_FUNCTIONS(X)
#undef X
};

extern struct rdk rdk; /* after rdk_load: constant */

/* Loads it once; any thread. ERR_PLUGIN: not installed, or too old, with what to do. It stays loaded. */
int rdk_load(struct err *e);

#endif
