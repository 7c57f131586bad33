/*
 * commits: what OffsetCommit and TxnOffsetCommit have in common: which of the offsets in a request may go to the broker.
 */
#include "server/apis.h"

#define METADATA_MAX 4096 /* Kafka's offset.metadata.max.bytes */

bool commits_begin(struct request *c, struct commits *w, size_t most)
{
    w->n = 0;
    w->offsets = request_alloc(c, most, sizeof *w->offsets);
    w->answers = w->offsets != NULL ? request_alloc(c, most, sizeof *w->answers) : NULL;
    return w->answers != NULL;
}

void commits_take(struct request *c, struct commits *w, const struct topic_brief *t,
                  const struct group_offset *o, struct msg_string metadata, int16_t code, int16_t *answer)
{
    *answer = code != 0                                           ? code
              : o->partition < 0 || o->partition >= t->partitions ? err_kafka(ERR_UNKNOWN_TOPIC)
              : w->refused != 0                                   ? w->refused
              : metadata.n > METADATA_MAX                         ? err_kafka(ERR_OFFSET_METADATA_TOO_LARGE)
                                                                  : 0;
    if (*answer != 0)
        return;
    w->answers[w->n] = answer;
    w->offsets[w->n] = *o;
    w->offsets[w->n].topic = t->name;
    w->offsets[w->n++].metadata = request_string(c, metadata);
}

int16_t commits_of_absent(struct request *c, struct msg_string group, int16_t refused, int16_t absent)
{
    if (refused != GROUP_NOT_FOUND)
        return refused;
    const char *name = request_string(c, group);
    return name != NULL && broker_group_has_offsets(c->server->broker, name) ? GROUP_UNKNOWN_MEMBER : absent;
}

void commits_answer(const struct commits *w, int16_t code)
{
    for (size_t i = 0; i < w->n; i++)
        *w->answers[i] = code;
}
