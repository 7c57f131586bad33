/*
 * client: the embedded implementation: administration passes straight to the broker in this process.
 */
#include "client/internal.h"

#include "base/mem.h"

struct client *client_embedded(struct broker *b, struct err *e)
{
    struct client *c = mem_calloc(1, sizeof *c);
    if (c)
        c->broker = b;
    else
        err_nomem(e);
    return c;
}

void client_close(struct client *c)
{
    mem_free(c);
}

int client_create_topic(struct client *c, const char *name, int32_t partitions,
                        const struct topic_config_entry *config, size_t config_count, struct err *e)
{
    return broker_create_topic(c->broker, name, partitions, config, config_count, NULL, e);
}

int client_delete_topic(struct client *c, const char *name, struct err *e)
{
    return broker_delete_topic(c->broker, name, e);
}

int client_add_partitions(struct client *c, const char *name, int32_t total, struct err *e)
{
    return broker_add_partitions(c->broker, name, total, e);
}

int client_alter_topic(struct client *c, const char *name, const struct topic_config_entry *config,
                       size_t config_count, struct err *e)
{
    return broker_alter_topic(c->broker, name, config, config_count, e);
}

int client_topic(struct client *c, const char *name, struct topic_info *out, struct err *e)
{
    return broker_topic(c->broker, name, out, e);
}

int client_topics(struct client *c, struct topic_info **list, size_t *n, struct err *e)
{
    return broker_topics(c->broker, list, n, e);
}

int client_delete_records(struct client *c, const char *topic, int32_t partition, int64_t offset,
                          int64_t *low, struct err *e)
{
    return broker_delete_records(c->broker, topic, partition, offset, low, e);
}

int client_list_offset(struct client *c, const char *topic, int32_t partition, int64_t timestamp,
                       enum isolation isolation, int64_t *offset, int64_t *found_ts, struct err *e)
{
    return broker_list_offset(c->broker, topic, partition, timestamp, isolation, offset, found_ts, e);
}

int client_groups(struct client *c, struct group_info **list, size_t *n, struct err *e)
{
    return broker_groups(c->broker, list, n, e);
}

int client_group(struct client *c, const char *group, struct group_info *out, struct err *e)
{
    return broker_group(c->broker, group, out, e);
}

int client_commit_offsets(struct client *c, const char *group, const struct group_offset *offsets, size_t n,
                          struct err *e)
{
    return broker_commit_offsets(c->broker, group, offsets, n, e);
}

int client_delete_group(struct client *c, const char *group, struct err *e)
{
    return broker_delete_group(c->broker, group, e);
}
