/*
 * tables_clients: the rows of `hub:` that are about Kafka's clients, addresses, connections, groups, and about a Kafka
 * cluster that pipelines use instead of the hub's own store. Constant.
 */
#include "client/client.h"
#include "config/internal.h"
#include "config/settings.h"

static const struct leat_option rows[] = {
    {
        .name = "listeners",
        .type = LEAT_LIST,
        .importance = LEAT_HIGH,
        .doc = "Addresses on which Kafka's clients are served: PLAINTEXT://HOST:PORT, without HOST on all "
               "addresses of this machine, or PLAINTEXT://unix:/PATH. Without it there are none. Whoever "
               "reaches an "
               "address can read and write every topic; there is no authentication yet.",
        .example = "PLAINTEXT://127.0.0.1:9092",
    },
    {
        .name = "advertised.listeners",
        .type = LEAT_LIST,
        .importance = LEAT_MEDIUM,
        .doc = "What clients are told to connect to, one for each of `listeners`. Without it a listener's "
               "own address, and "
               "this machine's name for one on all addresses.",
        .example = "PLAINTEXT://kafka.example.org:9092",
    },
    {
        .name = "node.id",
        .type = LEAT_INT,
        .default_value = "1",
        .min = 0,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc =
            "The id of the one broker that Kafka's clients see (in Kafka also broker.id). What they remember "
            "of it, as the brokers that settings were changed of, goes by this number.",
    },
    {
        .name = "auto.create.topics.enable",
        .type = LEAT_BOOL,
        .default_value = "true",
        .importance = LEAT_MEDIUM,
        .doc = "Whether a topic that a Kafka client asks for, and that is not there, is made, where the "
               "client allows it.",
    },
    {
        .name = "num.network.threads",
        .type = LEAT_INT,
        .min = 1,
        .max = 64,
        .importance = LEAT_LOW,
        .doc = "Threads that serve Kafka clients' connections. Without this: one for each processor, at most "
               "eight.",
    },
    {
        .name = "num.io.threads",
        .type = LEAT_INT,
        .default_value = "8",
        .min = 1,
        .max = 256,
        .importance = LEAT_LOW,
        .doc = "Threads that run Kafka clients' requests which wait for a disk.",
    },
    {
        .name = "socket.request.max.bytes",
        .type = LEAT_SIZE,
        .default_value = "100MiB",
        .min = 1024,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "The largest request that is taken from a Kafka client.",
    },
    {
        .name = "queued.max.request.bytes",
        .type = LEAT_SIZE,
        .default_value = "256MiB",
        .min = 1 << 20,
        .max = (int64_t)1 << 40,
        .importance = LEAT_LOW,
        .doc = "Memory for requests that were read and not answered, of all Kafka clients together; beyond "
               "it connections "
               "are not read until others were answered, and one of which a part of a request came, and less "
               "than 64 KiB in five seconds, is closed.",
    },
    {
        .name = "connections.max.idle.ms",
        .type = LEAT_DURATION,
        .default_value = "10m",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "A Kafka client's connection on which nothing came or went for so long is closed.",
    },
    {
        .name = "max.connections",
        .type = LEAT_INT,
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "How many connections of Kafka clients there may be; beyond it new ones are closed. Without "
               "this: as many as "
               "files may be open.",
    },
    {
        .name = "max.incremental.fetch.session.cache.slots",
        .type = LEAT_INT,
        .default_value = "1000",
        .min = 0,
        .max = 100000,
        .importance = LEAT_LOW,
        .doc = "How many fetch sessions of Kafka clients are kept, in which a consumer asks only for what "
               "changed. "
               "Where there are more consumers the larger and older ones keep theirs, and the others ask for "
               "everything each time.",
    },
    {
        .name = "transaction.max.timeout.ms",
        .type = LEAT_DURATION,
        .default_value = "15m",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "The longest `transaction.timeout.ms` that a Kafka client may ask for: so long an open "
               "transaction may keep what "
               "comes after it from readers with `isolation.level=read_committed`.",
    },
    {
        .name = "group.initial.rebalance.delay.ms",
        .type = LEAT_DURATION,
        .default_value = "3s",
        .min = 0,
        .max = INT32_MAX,
        .importance = LEAT_MEDIUM,
        .doc = "How long a consumer group of Kafka clients that was empty waits for further members before "
               "the first "
               "assignment; each that comes lets it wait so long again.",
    },
    {
        .name = "group.min.session.timeout.ms",
        .type = LEAT_DURATION,
        .default_value = "6s",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "The shortest `session.timeout.ms` that a member of such a group may ask for.",
    },
    {
        .name = "group.max.session.timeout.ms",
        .type = LEAT_DURATION,
        .default_value = "30m",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "The longest.",
    },
    {
        .name = "group.max.size",
        .type = LEAT_INT,
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "How many members such a group may have. Without this: any number.",
    },
    {
        .name = "group.consumer.session.timeout.ms",
        .type = LEAT_DURATION,
        .default_value = "45s",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_MEDIUM,
        .doc = "A member of a group with `group.protocol=consumer` that is not heard of for so long is taken "
               "for gone, and others get its partitions.",
    },
    {
        .name = "group.consumer.heartbeat.interval.ms",
        .type = LEAT_DURATION,
        .default_value = "5s",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_MEDIUM,
        .doc = "How often such members are to say that they are there. A member learns of a change of its "
               "assignment by this.",
    },
    {
        .name = "group.consumer.min.session.timeout.ms",
        .type = LEAT_DURATION,
        .default_value = "45s",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "The shortest `consumer.session.timeout.ms` that a group with `group.protocol=consumer` may "
               "have for itself (`kafka-configs.sh --entity-type groups`).",
    },
    {
        .name = "group.consumer.max.session.timeout.ms",
        .type = LEAT_DURATION,
        .default_value = "60s",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "The longest `consumer.session.timeout.ms`.",
    },
    {
        .name = "group.consumer.min.heartbeat.interval.ms",
        .type = LEAT_DURATION,
        .default_value = "5s",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "The shortest `consumer.heartbeat.interval.ms` that a group with `group.protocol=consumer` "
               "may have for itself.",
    },
    {
        .name = "group.consumer.max.heartbeat.interval.ms",
        .type = LEAT_DURATION,
        .default_value = "15s",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "The longest `consumer.heartbeat.interval.ms`.",
    },
    {
        .name = "group.consumer.max.size",
        .type = LEAT_INT,
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "How many members a group with `group.protocol=consumer` may have. Without this: any number.",
    },
    {
        .name = "group.consumer.migration.policy",
        .type = LEAT_CHOICE,
        .choices = "bidirectional|upgrade|downgrade|disabled",
        .default_value = "bidirectional",
        .importance = LEAT_LOW,
        .doc =
            "Whether a group whose members have joined becomes one of the other protocol: with the first "
            "member with "
            "`group.protocol=consumer` (`upgrade`), when the last such one has gone (`downgrade`), or both. "
            "A group without members takes any.",
    },
    {
        .name = "client",
        .type = LEAT_CHOICE,
        .choices = "embedded|kafka",
        .default_value = "embedded",
        .importance = LEAT_HIGH,
        .doc = "Where the topics of pipelines are: in the hub's own store (`embedded`), or in a Kafka "
               "cluster (`kafka`; "
               "docs/kafka.md). "
               "With `kafka` the data directory keeps what plugins keep, and what `listeners` serve.",
    },
    {
        .name = "bootstrap.servers",
        .type = LEAT_LIST,
        .importance = LEAT_HIGH,
        .doc = "Addresses of brokers of the cluster, for `client: kafka`.",
        .example = "kafka1:9092, kafka2:9092",
    },
    {
        .name = "kafka.*",
        .type = LEAT_STRING,
        .flags = LEAT_SECRET,
        .importance = LEAT_MEDIUM,
        .doc = "A property of librdkafka for the connections to the cluster (TLS, SASL, time-outs), by its "
               "name there "
               "after `kafka.`. Those "
               "that records' safety depends on are refused.",
        .example = "SASL_SSL",
    },
    {
        .name = "cluster.connect.timeout",
        .type = LEAT_DURATION,
        .default_value = "60s",
        .min = 1,
        .max = INT32_MAX,
        .importance = LEAT_LOW,
        .doc = "How long a start waits for the cluster to answer before it fails.",
    },
    {
        .name = "offset.storage.topic",
        .type = LEAT_STRING,
        .default_value = POSITIONS_TOPIC_DEFAULT,
        .importance = LEAT_MEDIUM,
        .doc = "Topic of the cluster that keeps how far sources are, as Kafka Connect keeps it. Hubs that "
               "share a cluster may "
               "share it if "
               "their pipelines have different names. The hub's own store always has `connect-offsets`.",
    },
    {
        .name = "config.storage.topic",
        .type = LEAT_STRING,
        .default_value = TARGETS_TOPIC_DEFAULT,
        .importance = LEAT_MEDIUM,
        .doc = "Topic of the cluster that keeps which connectors were paused. Not to be shared with a Kafka "
               "Connect that "
               "runs. "
               "The hub's own store always has `connect-configs`.",
    },
};

const struct leat_option *hub_client_options(size_t *n)
{
    *n = sizeof rows / sizeof *rows;
    return rows;
}
