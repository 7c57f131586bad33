/*
 * s3_topics: see s3_topics.h.
 */
#include "s3_topics.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "s3_recover.h"

const struct s3_topic *topics_find(const struct s3_topics *t, const char *topic)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->items[i].name, topic) == 0)
            return &t->items[i];
    return NULL;
}

void topics_free(struct s3_topics *t)
{
    for (size_t i = 0; i < t->n; i++)
        mem_free(t->items[i].name);
    mem_free(t->items);
    *t = (struct s3_topics){0};
}

static int add(struct s3_topics *t, const char *topic, const char *id, struct s3_topic **out, struct err *e)
{
    struct s3_topic *more = mem_realloc_array(t->items, t->n + 1, sizeof *more);
    char *name = mem_strdup(topic);

    if (more)
        t->items = more;
    if (!more || !name) {
        mem_free(name);
        return err_nomem(e);
    }
    *out = &t->items[t->n++];
    **out = (struct s3_topic){.name = name};
    snprintf((*out)->id, sizeof(*out)->id, "%s", id ? id : "");
    return ERR_OK;
}

/* The mark that new objects need, given the first of those that are there. Objects that say nothing are not ours. */
static void decide(struct s3_topic *t, const char *key, const struct s3_object_info *info)
{
    char mark[KIT_MARK_SIZE];

    kit_topic_mark(t->id, mark);
    if (info->topic_id[0] && (strcmp(info->topic_id, t->id) != 0 || strstr(key, mark)))
        memcpy(t->mark, mark, sizeof mark);
}

int topics_learn(struct s3_topics *t, struct s3_api *api, const struct layout *l, const char *topic,
                 const char *id, struct err *e)
{
    char key[S3_KEY_SIZE] = "";
    struct s3_object_info info;
    struct s3_topic *item;
    struct buf prefix;
    int rc = add(t, topic, id, &item, e);

    if (rc || !item->id[0])
        return rc;
    buf_init(&prefix, 16 << 10);
    rc = recover_prefix(l, topic, &prefix, e);
    if (rc == ERR_OK)
        rc = s3_first_key(api, (const char *)prefix.data, key, e);
    buf_free(&prefix);
    if (rc || !key[0])
        return rc;
    rc = s3_head_object(api, key, &info, e);
    if (rc == ERR_OK)
        decide(item, key, &info);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc; /* somebody deleted it meanwhile */
}
