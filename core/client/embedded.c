/*
 * embedded: a client of the broker in this process: administration passes straight to it.
 */
#include "client/internal.h"

#include "base/mem.h"

struct embedded_client {
    struct client base;
    struct broker *broker;
};

static struct broker *broker_of(const struct client *c)
{
    return ((const struct embedded_client *)c)->broker;
}

static void embedded_close(struct client *c)
{
    mem_free(c);
}

static const char *embedded_disk_dir(const struct client *c, int32_t disk)
{
    return broker_disk_dir(broker_of(c), (size_t)disk);
}

static int embedded_create_topic(struct client *c, const char *name, int32_t partitions,
                                 const struct topic_config_entry *config, size_t config_count, struct err *e)
{
    return broker_create_topic(broker_of(c), name, partitions, config, config_count, NULL, e);
}

static int embedded_delete_topic(struct client *c, const char *name, struct err *e)
{
    return broker_delete_topic(broker_of(c), name, e);
}

static int embedded_add_partitions(struct client *c, const char *name, int32_t total, struct err *e)
{
    return broker_add_partitions(broker_of(c), name, total, e);
}

static int embedded_alter_topic(struct client *c, const char *name, const struct topic_config_entry *config,
                                size_t config_count, struct err *e)
{
    return broker_alter_topic(broker_of(c), name, config, config_count, e);
}

static int embedded_topic(struct client *c, const char *name, struct topic_info *out, struct err *e)
{
    return broker_topic(broker_of(c), name, out, e);
}

static int embedded_topics(struct client *c, struct topic_info **list, size_t *n, struct err *e)
{
    return broker_topics(broker_of(c), list, n, e);
}

static int embedded_list_offset(struct client *c, const char *topic, int32_t partition, int64_t timestamp,
                                enum isolation isolation, int64_t *offset, int64_t *found_ts, struct err *e)
{
    return broker_list_offset(broker_of(c), topic, partition, timestamp, isolation, offset, found_ts, e);
}

static int embedded_groups(struct client *c, struct group_info **list, size_t *n, struct err *e)
{
    return broker_groups(broker_of(c), list, n, e);
}

static int embedded_group(struct client *c, const char *group, struct group_info *out, struct err *e)
{
    return broker_group(broker_of(c), group, out, e);
}

static int embedded_commit_offsets(struct client *c, const char *group, const struct group_offset *offsets,
                                   size_t n, struct err *e)
{
    return broker_commit_offsets(broker_of(c), group, offsets, n, e);
}

static int embedded_delete_group(struct client *c, const char *group, struct err *e)
{
    return broker_delete_group(broker_of(c), group, e);
}

static int embedded_group_hold(struct client *c, const char *group, struct err *e)
{
    return broker_group_hold(broker_of(c), group, e);
}

static void embedded_group_release(struct client *c, const char *group)
{
    broker_group_release(broker_of(c), group);
}

static int embedded_check_config(struct client *c, const char *name, const char *value, struct err *e)
{
    (void)c;
    return topic_config_check(name, value, e);
}

static int embedded_topic_brief(struct client *c, const char *name, struct topic_brief *out, struct err *e)
{
    return broker_topic_brief(broker_of(c), name, out, e);
}

static int embedded_segments(struct client *c, const char *topic, int32_t partition,
                             struct segment_info **list, size_t *n, struct err *e)
{
    return broker_segments(broker_of(c), topic, partition, list, n, e);
}

static int embedded_delete_records(struct client *c, struct record_deletion *deletions, size_t n,
                                   struct err *e)
{
    return broker_delete_records_of(broker_of(c), deletions, n, e);
}

static char *copy(const char *text, bool *ok)
{
    char *s = text ? mem_strdup(text) : NULL;
    *ok = *ok && (s || !text);
    return s;
}

static int embedded_settings(struct client *c, const char *name, struct client_setting **list, size_t *n,
                             struct err *e)
{
    struct topic_setting *from;
    enum hub_layer unused;
    int rc = broker_topic_settings(broker_of(c), name, &from, n, e);
    if (rc)
        return rc;
    bool ok = (*list = mem_calloc(*n + 1, sizeof **list)) != NULL;
    for (size_t i = 0; ok && i < *n; i++)
        (*list)[i] = (struct client_setting){.name = copy(from[i].def->name, &ok),
                                             .value = copy(from[i].value, &ok),
                                             .default_value = copy(from[i].def->default_value, &ok),
                                             .hub_setting = copy(from[i].def->hub, &ok),
                                             .hub_value = copy(topic_setting_of_hub(&from[i], &unused), &ok),
                                             .source = from[i].source};
    topic_settings_list_free(from, *n);
    if (ok)
        return ERR_OK;
    if (*list)
        client_settings_free(*list, *n);
    return err_nomem(e);
}

static struct producer *embedded_new_producer(struct client *c, const struct producer_options *o,
                                              struct err *e)
{
    return embedded_producer_open(broker_of(c), o, e);
}

static struct consumer *embedded_new_consumer(struct client *c, const struct consumer_options *o,
                                              struct err *e)
{
    return embedded_consumer_open(broker_of(c), o, e);
}

static const struct client_ops embedded_ops = {
    .close = embedded_close,
    .create_topic = embedded_create_topic,
    .delete_topic = embedded_delete_topic,
    .add_partitions = embedded_add_partitions,
    .alter_topic = embedded_alter_topic,
    .topic = embedded_topic,
    .topics = embedded_topics,
    .list_offset = embedded_list_offset,
    .groups = embedded_groups,
    .group = embedded_group,
    .commit_offsets = embedded_commit_offsets,
    .delete_group = embedded_delete_group,
    .group_hold = embedded_group_hold,
    .group_release = embedded_group_release,
    .check_config = embedded_check_config,
    .topic_brief = embedded_topic_brief,
    .settings = embedded_settings,
    .segments = embedded_segments,
    .delete_records = embedded_delete_records,
    .producer_open = embedded_new_producer,
    .consumer_open = embedded_new_consumer,
};

struct client *client_embedded(struct broker *b, struct err *e)
{
    struct embedded_client *c = mem_calloc(1, sizeof *c);
    if (!c) {
        err_nomem(e);
        return NULL;
    }
    c->base = (struct client){&embedded_ops, broker_data_dir(b), POSITIONS_TOPIC_DEFAULT,
                              TARGETS_TOPIC_DEFAULT, embedded_disk_dir};
    c->broker = b;
    return &c->base;
}
