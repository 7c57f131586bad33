/*
 * s3_recover: which unfinished uploads are ours, and their end. See s3_recover.h.
 */
#include "s3_recover.h"

#include <string.h>

#include "base/buf.h"

/* Moves *p behind `s` if it stands there. */
static bool eat(const char **p, const char *s)
{
    size_t n = strlen(s);

    if (strncmp(*p, s, n) != 0)
        return false;
    *p += n;
    return true;
}

/* Moves *p behind decimal digits; at least one. */
static bool eat_number(const char **p, int64_t *value)
{
    const char *start = *p;

    *value = 0;
    while (**p >= '0' && **p <= '9' && *p - start < 18)
        *value = *value * 10 + (*(*p)++ - '0');
    return *p > start;
}

static const char *last_segment(const char *key, const char *delim)
{
    const char *found;

    while ((found = strstr(key, delim)))
        key = found + strlen(delim);
    return key;
}

bool recover_is_ours(const struct layout *l, const char *key, const char *topic, int32_t partition)
{
    const char *p = last_segment(key, l->directory_delim);
    int64_t number, offset;

    return eat(&p, topic) && eat(&p, l->file_delim) && eat_number(&p, &number) && number == partition &&
           eat(&p, l->file_delim) && eat_number(&p, &offset) && (*p == '\0' || *p == '.');
}

struct sweep {
    struct s3_api *api;
    const struct layout *layout;
    const struct leat_offset *assigned;
    size_t n, aborted;
    const char *topic;
};

static int abort_if_ours(void *arg, const char *key, const char *upload_id, struct err *e)
{
    struct sweep *s = arg;

    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->assigned[i].topic, s->topic) != 0 ||
            !recover_is_ours(s->layout, key, s->topic, s->assigned[i].partition))
            continue;
        if (s3_abort_upload(s->api, key, upload_id, e))
            return e->code;
        s->aborted++;
        break;
    }
    return ERR_OK;
}

int recover_prefix(const struct layout *l, const char *topic, struct buf *out, struct err *e)
{
    bool dir = l->prefix && *l->prefix;

    buf_reset(out);
    if (dir && (buf_str(out, l->prefix, e) || buf_str(out, l->directory_delim, e)))
        return e->code;
    if (buf_str(out, topic, e) || buf_str(out, l->directory_delim, e))
        return e->code;
    return buf_u8(out, '\0', e);
}

static bool topic_before(const struct leat_offset *assigned, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(assigned[j].topic, assigned[i].topic) == 0)
            return true;
    return false;
}

int recover_uploads(struct s3_api *api, const struct layout *l, const struct leat_offset *assigned, size_t n,
                    size_t *aborted, struct err *e)
{
    struct sweep s = {.api = api, .layout = l, .assigned = assigned, .n = n};
    struct buf prefix;
    int rc = ERR_OK;

    buf_init(&prefix, 16 << 10);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        if (topic_before(assigned, i))
            continue;
        s.topic = assigned[i].topic;
        rc = recover_prefix(l, s.topic, &prefix, e);
        if (rc == ERR_OK)
            rc = s3_each_upload(api, (const char *)prefix.data, abort_if_ours, &s, e);
    }
    buf_free(&prefix);
    *aborted = s.aborted;
    return rc;
}
