/*
 * s3_topics: whether a topic was deleted and made anew since objects of it were written here, so that its offsets, and with
 * them the objects' names, begin again. The bucket itself tells: every object has its topic's id in its metadata. Objects of a
 * topic whose first object with an id has another one get a mark into their names (kit/filer.h); so they do from then on, as that
 * object either still is another's, or has the mark. Task thread only.
 */
#ifndef LEAT_S3_TOPICS_H
#define LEAT_S3_TOPICS_H

#include "kit/filer.h"
#include "kit/template.h"
#include "s3_api.h"

struct s3_topic {
    char *name;
    char id[64];              /* "": the host does not tell */
    char mark[KIT_MARK_SIZE]; /* "": none */
};

struct s3_topics {
    struct s3_topic *items;
    size_t n;
};

/* Looks into the bucket. `id` may be NULL. The topic is known afterwards, without a mark if that failed. */
int topics_learn(struct s3_topics *t, struct s3_api *api, const struct layout *l, const char *topic,
                 const char *id, struct err *e);
const struct s3_topic *topics_find(const struct s3_topics *t, const char *topic); /* NULL: not known */
void topics_free(struct s3_topics *t);

#endif
