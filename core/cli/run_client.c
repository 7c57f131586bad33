/*
 * run_client: see run.h. A cluster is waited for: it may start at the same time.
 */
#include <string.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/mem.h"
#include "cli/run.h"

#define PREFIX "kafka."
#define SERVERS_MAX ((size_t)64 << 10)

/* The addresses as one list, NUL-terminated. */
static int join(const struct leat_config *options, struct buf *out, struct err *e)
{
    const char *const *items;
    size_t n = options_list(options, "bootstrap.servers", &items);
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        rc = buf_printf(out, e, "%s%s", i ? "," : "", items[i]);
    return rc ? rc : buf_u8(out, 0, e);
}

static int properties(const struct leat_config *options, struct client_property **list, size_t *n,
                      struct err *e)
{
    const char *name, *value;
    for (size_t cursor = 0; options_next(options, &cursor, &name, &value);) {
        if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        struct client_property *more = mem_realloc_array(*list, *n + 1, sizeof *more);
        if (!more)
            return err_nomem(e);
        *list = more;
        more[(*n)++] = (struct client_property){name + strlen(PREFIX), value};
    }
    return ERR_OK;
}

static struct client *open_cluster(const struct leat_config *options, struct broker *b, struct err *e)
{
    struct client *c = NULL;
    struct client_property *list = NULL;
    struct buf servers;
    size_t n = 0;
    buf_init(&servers, SERVERS_MAX);
    if (join(options, &servers, e) == ERR_OK && properties(options, &list, &n, e) == ERR_OK) {
        struct client_kafka_options o = {.bootstrap_servers = (const char *)servers.data,
                                         .properties = list,
                                         .property_count = n,
                                         .data_dir = broker_data_dir(b),
                                         .positions_topic = options_str(options, "offset.storage.topic"),
                                         .targets_topic = options_str(options, "config.storage.topic"),
                                         .connect_ms = options_int(options, "cluster.connect.timeout")};
        c = client_kafka(&o, e);
    }
    if (c)
        diag_info("hub", "pipelines use the Kafka cluster at %s", (const char *)servers.data);
    mem_free(list);
    buf_free(&servers);
    return c;
}

struct client *run_client(const struct hub_config *hub, struct broker *b, struct err *e)
{
    bool kafka = hub->options && strcmp(options_str(hub->options, "client"), "kafka") == 0;
    return kafka ? open_cluster(hub->options, b, e) : client_embedded(b, e);
}
