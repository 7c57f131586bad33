/*
 * server: start, stop, figures. See server.h.
 */
#include "server/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "server/fetch_session.h"
#include "server/internal.h"

#define DEFAULT_REQUEST_MAX ((int64_t)100 << 20)
#define DEFAULT_QUEUED_MAX ((int64_t)256 << 20)
#define DEFAULT_IDLE_MS 600000
#define DEFAULT_IO_THREADS 8
#define DEFAULT_SESSION_MIN_MS 6000
#define DEFAULT_SESSION_MAX_MS 1800000
#define DEFAULT_CONSUMER_SESSION_MS 45000
#define DEFAULT_CONSUMER_SESSION_MAX_MS 60000
#define DEFAULT_CONSUMER_HEARTBEAT_MS 5000
#define DEFAULT_CONSUMER_HEARTBEAT_MAX_MS 15000
#define NETWORK_THREADS_MAX 8
#define COMPLAIN_MS 1000

void server_complain(struct server *s, const char *peer, const struct err *why)
{
    int64_t now = clock_mono_ms(), last = atomic_load(&s->complained_ms);
    if (now - last >= COMPLAIN_MS && atomic_compare_exchange_strong(&s->complained_ms, &last, now))
        diag_warn("kafka", "%s: %s", peer, why->text);
}

/* IPv4 that came by a socket of IPv6 is IPv4. False: it came by a Unix socket. */
static bool peer_of(int fd, sa_family_t *family, uint8_t address[16], int *port)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    const struct sockaddr_in *in = (const struct sockaddr_in *)&a;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a;
    if (getpeername(fd, (struct sockaddr *)&a, &n) != 0 ||
        (a.ss_family != AF_INET && a.ss_family != AF_INET6))
        return false;
    bool mapped = a.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
    *family = mapped ? AF_INET : a.ss_family;
    *port = ntohs(in->sin_port); /* at the same place in both */
    if (a.ss_family == AF_INET)
        memcpy(address, &in->sin_addr, sizeof in->sin_addr);
    else
        memcpy(address, in6->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
    return true;
}

void server_peer_name(int fd, char *out, size_t size)
{
    sa_family_t family;
    uint8_t address[16];
    char host[INET6_ADDRSTRLEN];
    int port;
    if (!peer_of(fd, &family, address, &port) || inet_ntop(family, address, host, sizeof host) == NULL)
        snprintf(out, size, "unix");
    else
        snprintf(out, size, family == AF_INET6 ? "[%s]:%d" : "%s:%d", host, port);
}

void server_peer_host(int fd, char *out, size_t size)
{
    sa_family_t family;
    uint8_t a[16];
    int port;
    if (!peer_of(fd, &family, a, &port))
        snprintf(out, size, "/unix");
    else if (family == AF_INET)
        snprintf(out, size, "/%d.%d.%d.%d", a[0], a[1], a[2], a[3]);
    else
        snprintf(out, size, "/%x:%x:%x:%x:%x:%x:%x:%x", be16(a), be16(a + 2), be16(a + 4), be16(a + 6),
                 be16(a + 8), be16(a + 10), be16(a + 12), be16(a + 14));
}

static void set_consumer_defaults(struct server_options *o)
{
    if (o->group_consumer_session_ms == 0)
        o->group_consumer_session_ms = DEFAULT_CONSUMER_SESSION_MS;
    if (o->group_consumer_session_min_ms == 0)
        o->group_consumer_session_min_ms = DEFAULT_CONSUMER_SESSION_MS;
    if (o->group_consumer_session_max_ms == 0)
        o->group_consumer_session_max_ms = DEFAULT_CONSUMER_SESSION_MAX_MS;
    if (o->group_consumer_heartbeat_ms == 0)
        o->group_consumer_heartbeat_ms = DEFAULT_CONSUMER_HEARTBEAT_MS;
    if (o->group_consumer_heartbeat_min_ms == 0)
        o->group_consumer_heartbeat_min_ms = DEFAULT_CONSUMER_HEARTBEAT_MS;
    if (o->group_consumer_heartbeat_max_ms == 0)
        o->group_consumer_heartbeat_max_ms = DEFAULT_CONSUMER_HEARTBEAT_MAX_MS;
}

static void set_defaults(struct server_options *o)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (o->network_threads == 0)
        o->network_threads = cpus < 1 ? 1 : cpus > NETWORK_THREADS_MAX ? NETWORK_THREADS_MAX : (int32_t)cpus;
    if (o->io_threads == 0)
        o->io_threads = DEFAULT_IO_THREADS;
    if (o->request_max_bytes == 0)
        o->request_max_bytes = DEFAULT_REQUEST_MAX;
    if (o->queued_max_bytes == 0)
        o->queued_max_bytes = DEFAULT_QUEUED_MAX;
    if (o->idle_ms == 0)
        o->idle_ms = DEFAULT_IDLE_MS;
    if (o->group_session_min_ms == 0)
        o->group_session_min_ms = DEFAULT_SESSION_MIN_MS;
    if (o->group_session_max_ms == 0)
        o->group_session_max_ms = DEFAULT_SESSION_MAX_MS;
    set_consumer_defaults(o);
}

static int open_listeners(struct server *s, const struct server_options *o, struct err *e)
{
    if (o->advertised_count > 0 && o->advertised_count != o->listener_count)
        return err_set(e, ERR_INVALID_CONFIG, "advertised.listeners: %zu, for %zu listeners",
                       o->advertised_count, o->listener_count);
    s->listeners = mem_calloc(o->listener_count + 1, sizeof *s->listeners);
    int rc = s->listeners == NULL ? err_nomem(e) : ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < o->listener_count; i++) {
        s->listener_count++;
        rc = listener_open(&s->listeners[i], o->listeners[i],
                           o->advertised_count > 0 ? o->advertised[i] : NULL, e);
    }
    return rc;
}

static int start_loops(struct server *s, struct err *e)
{
    s->loops = mem_calloc((size_t)s->o.network_threads, sizeof *s->loops);
    if (s->loops == NULL)
        return err_nomem(e);
    s->loop_count = s->o.network_threads;
    for (int32_t i = 0; i < s->loop_count; i++)
        s->loops[i].epoll = s->loops[i].event = -1;
    /* The first accepts for all, so it comes last. */
    int rc = ERR_OK;
    for (int32_t i = s->loop_count - 1; rc == ERR_OK && i >= 0; i--) {
        rc = loop_start(&s->loops[i], s, i, e);
        s->loops_started += rc == ERR_OK;
    }
    return rc;
}

/* ---- groups' records are the broker's to keep ---- */

static int write_group(void *arg, const char *group, const struct group_record *records, size_t n,
                       void (*done)(void *done_arg, const struct err *e), void *done_arg, struct err *e)
{
    return broker_write_group(arg, group, records, n, done, done_arg, e);
}

static int load_groups(void *arg, int (*each)(void *to, const struct group_record *r, struct err *e),
                       void *to, struct err *e)
{
    return broker_take_group_records(arg, each, to, e);
}

static bool has_offsets(void *arg, const char *group)
{
    return broker_group_has_offsets(arg, group);
}

static int open_groups(struct server *s, struct err *e)
{
    struct group_options o = {.topics = consumer_topics(s),
                              .consumer_session_ms = s->o.group_consumer_session_ms,
                              .consumer_heartbeat_ms = s->o.group_consumer_heartbeat_ms,
                              .consumer_timing = consumer_timing,
                              .consumer_timing_arg = s,
                              .consumer_max_size = s->o.group_consumer_max_size,
                              .migration = (enum group_migration)s->o.group_migration,
                              .initial_delay_ms = s->o.group_initial_delay_ms,
                              .session_min_ms = s->o.group_session_min_ms,
                              .session_max_ms = s->o.group_session_max_ms,
                              .max_size = s->o.group_max_size,
                              .forget_check_ms = s->o.group_forget_check_ms,
                              .store = {write_group, load_groups, has_offsets, s->broker}};
    s->groups = groups_start(&o, e);
    if (s->groups == NULL)
        return e->code;
    broker_watch_groups(s->broker, groups_usage, s->groups);
    return ERR_OK;
}

int server_start(struct server **out, const struct server_options *o, struct err *e)
{
    struct server *s = mem_calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL)
        return err_nomem(e);
    s->o = *o;
    set_defaults(&s->o);
    s->broker = o->broker;
    atomic_store(&s->complained_ms, -COMPLAIN_MS);
    int rc = pool_start(&s->pool, s->o.io_threads, e);
    if (rc == ERR_OK)
        rc = open_groups(s, e);
    if (rc == ERR_OK)
        rc = (s->fetch_sessions = fetch_sessions_new(s->o.fetch_sessions, e)) == NULL ? e->code : ERR_OK;
    if (rc == ERR_OK)
        rc = open_listeners(s, o, e);
    if (rc == ERR_OK)
        rc = start_loops(s, e);
    if (rc != ERR_OK) {
        server_stop(s, 0);
        return rc;
    }
    for (size_t i = 0; i < s->listener_count; i++)
        if (s->listeners[i].port != 0)
            diag_info("kafka", "clients connect to %s:%d", s->listeners[i].host, s->listeners[i].told_port);
        else
            diag_info("kafka", "clients connect to unix:%s", s->listeners[i].path);
    *out = s;
    return ERR_OK;
}

static bool any_connection(struct server *s)
{
    return atomic_load(&s->connections) > 0;
}

static void wake_all(struct server *s)
{
    for (int32_t i = 0; i < s->loop_count; i++)
        if (s->loops[i].event >= 0)
            loop_wake(&s->loops[i]);
}

void server_stop(struct server *s, int64_t grace_ms)
{
    if (s == NULL)
        return;
    int64_t until = clock_mono_ms() + grace_ms;
    if (s->groups != NULL)
        groups_interrupt(s->groups);
    atomic_store(&s->stopping, true);
    wake_all(s);
    while (any_connection(s) && clock_mono_ms() < until)
        usleep(1000);
    atomic_store(&s->cut, true);
    wake_all(s);
    for (int32_t i = s->loop_count - s->loops_started; i < s->loop_count; i++)
        pthread_join(s->loops[i].thread, NULL);
    pool_stop(&s->pool);
    broker_watch_groups(s->broker, NULL, NULL);
    groups_stop(s->groups);
    for (int32_t i = 0; i < s->loop_count; i++)
        loop_stop(&s->loops[i]);
    fetch_sessions_free(s->fetch_sessions);
    for (size_t i = 0; i < s->listener_count; i++)
        listener_close(&s->listeners[i]);
    mem_free(s->loops);
    mem_free(s->listeners);
    mem_free(s);
}

struct groups *server_groups(const struct server *s)
{
    return s->groups;
}

int server_port(const struct server *s, size_t listener)
{
    return s->listeners[listener].port;
}

void server_stats(const struct server *s, struct server_stats *out)
{
    *out = (struct server_stats){.connections = atomic_load(&s->connections),
                                 .connections_total = atomic_load(&s->connections_total),
                                 .requests = atomic_load(&s->requests),
                                 .request_bytes = atomic_load(&s->request_bytes),
                                 .response_bytes = atomic_load(&s->response_bytes),
                                 .refused = atomic_load(&s->refused),
                                 .queued_bytes = (uint64_t)atomic_load(&s->queued)};
}
