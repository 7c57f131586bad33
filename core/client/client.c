/*
 * client: the public functions, each passed to the implementation that was opened: embedded*.c or kafka*.c.
 */
#include "client/internal.h"

#include "base/mem.h"

void client_close(struct client *c)
{
    c->ops->close(c);
}

const char *client_data_dir(const struct client *c)
{
    return c->data_dir;
}

const char *client_positions_topic(const struct client *c)
{
    return c->positions_topic;
}

const char *client_targets_topic(const struct client *c)
{
    return c->targets_topic;
}

const char *client_disk_dir(const struct client *c, int32_t disk)
{
    return c->disk_dir(c, disk);
}

int client_create_topic(struct client *c, const char *name, int32_t partitions,
                        const struct topic_config_entry *config, size_t config_count, struct err *e)
{
    return c->ops->create_topic(c, name, partitions, config, config_count, e);
}

int client_delete_topic(struct client *c, const char *name, struct err *e)
{
    return c->ops->delete_topic(c, name, e);
}

int client_add_partitions(struct client *c, const char *name, int32_t total, struct err *e)
{
    return c->ops->add_partitions(c, name, total, e);
}

int client_check_config(struct client *c, const char *name, const char *value, struct err *e)
{
    return c->ops->check_config(c, name, value, e);
}

int client_topic_brief(struct client *c, const char *name, struct topic_brief *out, struct err *e)
{
    return c->ops->topic_brief(c, name, out, e);
}

int client_alter_topic(struct client *c, const char *name, const struct topic_config_entry *config,
                       size_t config_count, struct err *e)
{
    return c->ops->alter_topic(c, name, config, config_count, e);
}

int client_topic(struct client *c, const char *name, struct topic_info *out, struct err *e)
{
    return c->ops->topic(c, name, out, e);
}

int client_topics(struct client *c, struct topic_info **list, size_t *n, struct err *e)
{
    return c->ops->topics(c, list, n, e);
}

int client_settings(struct client *c, const char *name, struct client_setting **list, size_t *n,
                    struct err *e)
{
    return c->ops->settings(c, name, list, n, e);
}

int client_segments(struct client *c, const char *topic, int32_t partition, struct segment_info **list,
                    size_t *n, struct err *e)
{
    return c->ops->segments(c, topic, partition, list, n, e);
}

int client_list_offset(struct client *c, const char *topic, int32_t partition, int64_t timestamp,
                       enum isolation isolation, int64_t *offset, int64_t *found_ts, struct err *e)
{
    return c->ops->list_offset(c, topic, partition, timestamp, isolation, offset, found_ts, e);
}

int client_groups(struct client *c, struct group_info **list, size_t *n, struct err *e)
{
    return c->ops->groups(c, list, n, e);
}

int client_group(struct client *c, const char *group, struct group_info *out, struct err *e)
{
    return c->ops->group(c, group, out, e);
}

int client_commit_offsets(struct client *c, const char *group, const struct group_offset *offsets, size_t n,
                          struct err *e)
{
    return c->ops->commit_offsets(c, group, offsets, n, e);
}

int client_delete_group(struct client *c, const char *group, struct err *e)
{
    return c->ops->delete_group(c, group, e);
}

int client_members(struct client *c, const char *const *groups, size_t n, struct client_members **list,
                   struct err *e)
{
    if (!c->ops->members)
        return err_set(e, ERR_UNSUPPORTED, "members of groups are not the store's to know");
    return c->ops->members(c, groups, n, list, e);
}

static void member_free(struct client_member *m)
{
    for (size_t i = 0; i < m->partition_count; i++)
        mem_free(m->partitions[i].topic);
    mem_free(m->partitions);
    mem_free(m->member);
    mem_free(m->instance);
    mem_free(m->client_id);
    mem_free(m->host);
}

void client_members_free(struct client_members *list, size_t n)
{
    for (size_t i = 0; list && i < n; i++) {
        for (size_t k = 0; k < list[i].count; k++)
            member_free(&list[i].members[k]);
        mem_free(list[i].members);
        mem_free(list[i].group);
        mem_free(list[i].state);
        mem_free(list[i].assignor);
        mem_free(list[i].untold);
    }
    mem_free(list);
}

int client_group_hold(struct client *c, const char *group, struct err *e)
{
    return c->ops->group_hold(c, group, e);
}

void client_group_release(struct client *c, const char *group)
{
    c->ops->group_release(c, group);
}

struct producer *producer_open(struct client *c, const struct producer_options *o, struct err *e)
{
    return c->ops->producer_open(c, o, e);
}

int producer_add(struct producer *p, const char *topic, int32_t partition, int64_t timestamp, const void *key,
                 size_t key_len, const void *value, size_t value_len, const struct record_header *headers,
                 int32_t header_count, struct err *e)
{
    return p->ops->add(p, topic, partition, timestamp, key, key_len, value, value_len, headers, header_count,
                       e);
}

int producer_target(struct producer *p, const char *topic, int32_t partition, struct producer_target **t,
                    struct err *e)
{
    return p->ops->target(p, topic, partition, t, e);
}

int producer_add_to(struct producer *p, struct producer_target *t, int64_t timestamp, const void *key,
                    size_t key_len, const void *value, size_t value_len, const struct record_header *headers,
                    int32_t header_count, struct err *e)
{
    return p->ops->add_to(p, t, timestamp, key, key_len, value, value_len, headers, header_count, e);
}

int producer_partitions(struct producer *p, const char *topic, int32_t *count, struct err *e)
{
    return p->ops->partitions(p, topic, count, e);
}

size_t producer_pending_bytes(const struct producer *p)
{
    return p->ops->pending_bytes(p);
}

size_t producer_pending_records(const struct producer *p)
{
    return p->ops->pending_records(p);
}

int producer_flush(struct producer *p, struct err *e)
{
    return p->ops->flush(p, e);
}

int producer_abort(struct producer *p, struct err *e)
{
    return p->ops->abort(p, e);
}

int producer_commit_start(struct producer *p, struct err *e)
{
    return p->ops->commit_start(p, e);
}

int producer_commit_wait(struct producer *p, struct err *e)
{
    return p->ops->commit_wait(p, e);
}

size_t producer_in_flight(const struct producer *p)
{
    return p->ops->in_flight(p);
}

struct consumer *consumer_open(struct client *c, const struct consumer_options *o, struct err *e)
{
    return c->ops->consumer_open(c, o, e);
}

int consumer_assign(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct err *e)
{
    return c->ops->assign(c, topic, partition, offset, e);
}

int consumer_seek(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct err *e)
{
    return c->ops->seek(c, topic, partition, offset, e);
}

int64_t consumer_position(struct consumer *c, const char *topic, int32_t partition)
{
    return c->ops->position(c, topic, partition);
}

int consumer_poll(struct consumer *c, int64_t ms, struct consumed *out, struct err *e)
{
    return c->ops->poll(c, ms, out, e);
}

void consumer_wake(struct consumer *c)
{
    c->ops->wake(c);
}

bool consumer_at_end(struct consumer *c)
{
    return c->ops->at_end(c);
}

int consumer_trouble(const struct consumer *c, struct err *e)
{
    return c->ops->trouble == NULL ? ERR_OK : c->ops->trouble(c, e);
}

int consumer_commit(struct consumer *c, const struct group_offset *offsets, size_t n, struct err *e)
{
    return c->ops->commit(c, offsets, n, e);
}

int client_delete_records(struct client *c, struct record_deletion *deletions, size_t n, struct err *e)
{
    return c->ops->delete_records(c, deletions, n, e);
}

void client_settings_free(struct client_setting *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(list[i].name);
        mem_free(list[i].value);
        mem_free(list[i].default_value);
        mem_free(list[i].hub_setting);
        mem_free(list[i].hub_value);
    }
    mem_free(list);
}

void producer_close(struct producer *p)
{
    if (p)
        p->ops->close(p);
}

int producer_commit(struct producer *p, struct err *e)
{
    int rc = p->ops->commit_start(p, e);
    while (!rc && p->ops->in_flight(p) > 0)
        rc = p->ops->commit_wait(p, e);
    return rc;
}

void producer_on_delivery(struct producer *p, producer_delivered *fn, void *arg)
{
    p->delivered = fn;
    p->delivered_arg = arg;
}

void consumer_close(struct consumer *c)
{
    if (c)
        c->ops->close(c);
}
