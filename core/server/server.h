/*
 * server: Kafka's wire protocol over TCP and Unix sockets, in front of a broker. Started and stopped by one
 * thread; everything else happens in threads of its own.
 */
#ifndef LEAT_SERVER_SERVER_H
#define LEAT_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct broker;
struct broker_config_value;
struct server;

struct server_options {
    struct broker *broker; /* must outlive the server */
    /* "PLAINTEXT://HOST:PORT" ("" for HOST: all addresses; port 0: a free one) or "PLAINTEXT://unix:/PATH". */
    const char *const *listeners;
    size_t listener_count;
    /* What clients are told, one for each listener or none: then a listener's own address, and of one on all
     * addresses this machine's name. */
    const char *const *advertised;
    size_t advertised_count;
    int32_t node_id;           /* of the one broker, as clients see it */
    int32_t network_threads;   /* 0: one for each processor, at most 8 */
    int32_t io_threads;        /* 0: 8; they run what waits for a disk */
    int64_t request_max_bytes; /* 0: 100 MiB, Kafka's socket.request.max.bytes */
    int64_t queued_max_bytes;  /* 0: 256 MiB; of all requests that were read and not answered */
    int64_t idle_ms;           /* 0: ten minutes, Kafka's connections.max.idle.ms */
    int32_t max_connections;   /* 0: no limit but that of open files */
    bool auto_create_topics;
    int32_t group_initial_delay_ms;                     /* Kafka's group.initial.rebalance.delay.ms */
    int32_t group_session_min_ms, group_session_max_ms; /* 0: 6 s, 30 min */
    int32_t group_max_size;                             /* 0: no limit */
    const struct broker_config_value *configs; /* the hub's own, for DescribeConfigs; must outlive it */
    size_t config_count;
    int32_t group_forget_check_ms; /* how often empty groups without offsets are looked for; 0: never */
    int32_t fetch_sessions;        /* at most; 0: none, clients go on without */
    /* Of consumer groups (KIP-848): Kafka's group.consumer.*; 0: 45 s, 5 s, no limit. */
    int32_t group_consumer_session_ms, group_consumer_heartbeat_ms, group_consumer_max_size;
    /* What a group's own settings may be; 0: 45 to 60 s, 5 to 15 s. */
    int32_t group_consumer_session_min_ms, group_consumer_session_max_ms;
    int32_t group_consumer_heartbeat_min_ms, group_consumer_heartbeat_max_ms;
    int32_t group_migration; /* enum group_migration */
};

/* Listens and serves. ERR_INVALID_CONFIG: an address; what bind and listen say. */
int server_start(struct server **out, const struct server_options *o, struct err *e);

/*
 * Listens no more, answers what was read, for at most `grace_ms`, then closes every connection and ends its
 * threads. Handlers that wait for the broker must be let go by it (broker_lift_delays).
 */
void server_stop(struct server *s, int64_t grace_ms);

/* The port of a TCP listener, 0 for a Unix socket. */
struct groups *server_groups(const struct server *s); /* good until server_stop */
int server_port(const struct server *s, size_t listener);

struct server_stats {
    uint64_t connections, connections_total; /* now; since the start */
    uint64_t requests, request_bytes, response_bytes;
    uint64_t refused; /* connections closed for what they sent */
    uint64_t queued_bytes;
};
void server_stats(const struct server *s, struct server_stats *out);

#endif
