/*
 * s3_topics: see s3_topics.h.
 */
#include "s3_topics.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "s3_recover.h"

#define LOOKS 16 /* objects that are asked for their topic's id, at the most */

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

/* The mark that new objects need, given one that is there and names its topic. */
static void decide(struct s3_topic *t, const char *key, const struct s3_object_info *info)
{
    char mark[KIT_MARK_SIZE];

    kit_topic_mark(t->id, mark);
    if (strcmp(info->topic_id, t->id) != 0 || strstr(key, mark))
        memcpy(t->mark, mark, sizeof mark);
}

/* "Directories", which consoles make, are passed over. */
static bool ends_in(const char *key, const char *delim)
{
    size_t n = strlen(key), m = strlen(delim);

    return n >= m && strcmp(key + n - m, delim) == 0;
}

/* Goes by the first object that names a topic; those that do not are not ours. Of many some are looked at, over all of them. */
static int look_at(struct s3_topic *t, struct s3_api *api, const struct layout *l, const struct s3_keys *keys,
                   struct err *e)
{
    size_t looks = keys->n > LOOKS ? LOOKS : keys->n;

    for (size_t i = 0; i < looks; i++) {
        const char *key = keys->list[i == 0 ? 0 : i * (keys->n - 1) / (looks - 1)];
        struct s3_object_info info = {.size = 0};
        if (ends_in(key, l->directory_delim))
            continue;
        int rc = s3_head_object(api, key, &info, e);
        if (rc != ERR_OK && rc != ERR_NOT_FOUND) /* somebody deleted it meanwhile */
            return rc;
        if (rc == ERR_OK && info.topic_id[0]) {
            decide(t, key, &info);
            return ERR_OK;
        }
    }
    return ERR_OK;
}

int topics_learn(struct s3_topics *t, struct s3_api *api, const struct layout *l, const char *topic,
                 const char *id, struct err *e)
{
    struct s3_keys *keys;
    struct s3_topic *item;
    struct buf prefix;
    int rc = add(t, topic, id, &item, e);

    if (rc || !item->id[0])
        return rc;
    keys = mem_calloc(1, sizeof *keys);
    if (!keys)
        return err_nomem(e);
    buf_init(&prefix, 16 << 10);
    rc = recover_prefix(l, topic, &prefix, e);
    if (rc == ERR_OK)
        rc = s3_first_keys(api, (const char *)prefix.data, keys, e);
    buf_free(&prefix);
    if (rc == ERR_OK)
        rc = look_at(item, api, l, keys, e);
    s3_keys_free(keys);
    mem_free(keys);
    return rc;
}
