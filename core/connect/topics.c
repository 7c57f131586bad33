/*
 * topics: see topics.h.
 */
#include "connect/topics.h"

#include <string.h>

#include "base/diag.h"
#include "base/mem.h"
#include "connect/positions.h"
#include "connect/targets.h"

bool topics_internal(const struct client *c, const char *name)
{
    const char *const names[] = {client_positions_topic(c), client_targets_topic(c), "__consumer_offsets",
                                 "__transaction_state", "__cluster_metadata"};
    bool internal = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        internal = internal || strcmp(name, names[i]) == 0;
    return internal;
}

/* The pipeline's own topic as it says; others by topic.creation, where there is any of that. */
static int create(struct client *c, const struct pipeline_config *p, const char *name, struct err *e)
{
    const struct topic_creation *creation = p->source == NULL ? NULL : p->source->creation;
    if (creation == NULL || strcmp(name, p->topics[0]) == 0)
        return client_create_topic(c, name, p->partitions, p->topic_config, p->topic_config_count, e);
    const struct creation_group *g = creation_find(creation, name);
    return client_create_topic(c, name, g->partitions, g->config, g->config_count, e);
}

int topics_ensure(struct client *c, const struct pipeline_config *p, const char *name, int32_t *partitions,
                  struct err *e)
{
    struct topic_brief info;
    int rc = client_topic_brief(c, name, &info, e);
    if (rc == ERR_UNKNOWN_TOPIC) {
        rc = create(c, p, name, e);
        bool made = rc == ERR_OK;
        if (made || rc == ERR_TOPIC_EXISTS) /* another task was faster */
            rc = client_topic_brief(c, name, &info, e);
        if (made && rc == ERR_OK)
            diag_info("connect", "pipeline %s: made topic %s with %d partition%s", p->name, name,
                      info.partitions, info.partitions == 1 ? "" : "s");
    }
    if (rc != ERR_OK)
        return err_wrap(e, "pipeline %s, topic %s", p->name, name);
    *partitions = info.partitions;
    return ERR_OK;
}

static const char *setting_of(const struct topic_info *info, const char *name)
{
    for (size_t i = 0; i < info->config_count; i++) {
        if (strcmp(info->config[i].name, name) == 0)
            return info->config[i].value;
    }
    return NULL;
}

/* Settings in the pipeline that the topic has otherwise. Settings that the pipeline does not name stay. */
static int update_settings(struct client *c, const struct pipeline_config *p, const char *name,
                           const struct topic_info *info, struct err *e)
{
    struct topic_config_entry *changes = mem_calloc(p->topic_config_count + 1, sizeof(*changes));
    size_t n = 0;
    if (changes == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < p->topic_config_count; i++) {
        const struct topic_config_entry *want = &p->topic_config[i];
        const char *have = setting_of(info, want->name);
        if (want->value != NULL && (have == NULL || strcmp(have, want->value) != 0))
            changes[n++] = *want;
    }
    int rc = n == 0 ? ERR_OK : client_alter_topic(c, name, changes, n, e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        diag_info("connect", "pipeline %s: topic %s: %s is now %s", p->name, name, changes[i].name,
                  changes[i].value);
    mem_free(changes);
    return rc;
}

static int prepare_topic(struct client *c, const struct pipeline_config *p, struct err *e)
{
    const char *name = p->topics[0];
    int32_t count;
    if (topics_ensure(c, p, name, &count, e) != ERR_OK)
        return e->code;
    if (p->partitions > 0 && count != p->partitions)
        diag_warn("connect", "pipeline %s: topic %s keeps its %d partitions; the configuration says %d",
                  p->name, name, count, p->partitions);
    if (p->topic_config_count == 0)
        return ERR_OK;
    struct topic_info info;
    int rc = client_topic(c, name, &info, e);
    if (rc == ERR_OK) {
        rc = update_settings(c, p, name, &info, e);
        topic_info_free(&info);
    }
    return rc == ERR_OK ? rc : err_wrap(e, "pipeline %s, topic %s", p->name, name);
}

/* The segment that is written to is not compacted: a smaller one makes the next start read less. */
int topics_ensure_compacted(struct client *c, const char *name, bool make, bool *is_there, struct err *e)
{
    static const struct topic_config_entry compacted[] = {{"cleanup.policy", "compact"},
                                                          {"segment.bytes", "16777216"}};
    struct topic_info info;
    int rc = client_topic(c, name, &info, e);
    *is_there = rc == ERR_OK || make;
    if (rc == ERR_UNKNOWN_TOPIC) /* one partition is enough for one process */
        return make ? client_create_topic(c, name, 1, compacted, 2, e) : ERR_OK;
    if (rc != ERR_OK)
        return rc;
    if (setting_of(&info, "cleanup.policy") == NULL) {
        rc = client_alter_topic(c, name, compacted, 2, e);
        if (rc == ERR_OK)
            diag_info("connect", "topic %s is compacted from now on", name);
    }
    topic_info_free(&info);
    return rc;
}

int64_t topics_place(struct client *c, const char *who, const char *topic, int32_t partition, int64_t offset)
{
    int64_t end, found;
    struct err e;
    if (offset < 0 ||
        client_list_offset(c, topic, partition, -1, READ_UNCOMMITTED, &end, &found, &e) != ERR_OK ||
        offset <= end) /* who reads meets an error again */
        return offset;
    diag_warn("connect",
              "%s: %s-%d ends at offset %lld, before the stored %lld: it is read from its beginning", who,
              topic, partition, (long long)end, (long long)offset);
    return -1;
}

int topics_prepare(struct client *c, const struct config *config, struct err *e)
{
    bool positions = false;
    for (size_t i = 0; i < config->pipeline_count; i++) {
        const struct pipeline_config *p = config->pipelines[i];
        if (p->source == NULL)
            continue;
        bool is_there;
        const char *topic = client_positions_topic(c);
        if (!positions && topics_ensure_compacted(c, topic, true, &is_there, e) != ERR_OK)
            return err_wrap(e, "topic %s", topic);
        positions = true;
        if (!p->own_topics && prepare_topic(c, p, e) != ERR_OK)
            return e->code;
    }
    return ERR_OK;
}
