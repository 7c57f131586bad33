/*
 * fsck_refs: the journal of the directory at hand, and what its entries without bytes say of the logs: everything of a partition below
 * an offset is synced where it stands (docs/disk-format.md). A start believes that, so it is held against the logs. See fsck.h.
 */
#include "broker/fsck_internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

enum { KEY_SIZE = 20 };

static void make_key(uint8_t key[KEY_SIZE], const struct uuid *topic_id, int32_t partition)
{
    memcpy(key, topic_id->b, sizeof topic_id->b);
    put_be32(key + sizeof topic_id->b, (uint32_t)partition);
}

static void free_ref(void *ref)
{
    struct fsck_ref *r = ref;
    mem_free(r->path);
    mem_free(r);
}

void fsck_refs_free(struct fsck *x)
{
    if (x->refs)
        map_free(x->refs, free_ref);
    x->refs = NULL;
}

static struct fsck_ref *new_ref(struct fsck *x, const uint8_t key[KEY_SIZE], struct err *e)
{
    struct fsck_ref *r = mem_calloc(1, sizeof *r);
    if (!r) {
        err_nomem(e);
        return NULL;
    }
    if (map_put(x->refs, key, KEY_SIZE, r, e)) {
        mem_free(r);
        return NULL;
    }
    return r;
}

/* Those that a start would read; of a partition's the last one says what the others do. */
static int see_entry(void *arg, const struct journal_sight *s, const struct journal_entry *en, struct err *e)
{
    struct fsck *x = arg;
    uint8_t key[KEY_SIZE];
    if (!s->live || en->bytes)
        return ERR_OK;
    make_key(key, &en->topic_id, en->partition);
    struct fsck_ref *r = map_get(x->refs, key, KEY_SIZE);
    if (!r && !(r = new_ref(x, key, e)))
        return e->code;
    if (r->path && r->end >= en->next_offset)
        return ERR_OK;
    mem_free(r->path);
    r->path = mem_strdup(s->path);
    r->byte = s->byte;
    r->end = en->next_offset;
    return r->path ? ERR_OK : err_nomem(e);
}

int fsck_check_journal(struct fsck *x, struct err *e)
{
    char *dir = mem_printf("%s/journal", x->dir);
    struct journal_visitor v = {.entry = see_entry, .arg = x};
    uint64_t live = 0;
    x->refs = map_new();
    int rc = dir && x->refs ? journal_inspect(dir, &x->check, &v, &live, e) : err_nomem(e);
    x->r->journal_records += live;
    mem_free(dir);
    return rc;
}

const struct fsck_ref *fsck_ref_of(const struct fsck *x, const struct uuid *topic_id, int32_t partition)
{
    uint8_t key[KEY_SIZE];
    make_key(key, topic_id, partition);
    struct fsck_ref *r = map_get(x->refs, key, KEY_SIZE);
    if (r)
        r->met = true;
    return r;
}

int fsck_compare_ref(struct fsck *x, const struct fsck_ref *r, const char *dir, const char *name, int64_t end,
                     struct err *e)
{
    end = end < 0 ? 0 : end; /* of a directory without a segment */
    if (r->end <= end)
        return ERR_OK;
    struct check_finding f = {CHECK_REFERENCE_BEYOND_END, name, dir, -1, end, r->end, NULL};
    return check_tell(&x->check, f, e,
                      "the log ends at offset %" PRId64 ", the record at byte %" PRId64
                      " of %s refers to what is below %" PRId64,
                      end, r->byte, r->path, r->end);
}

static int tell_missing(struct fsck *x, const struct meta_topic *t, int32_t partition,
                        const struct fsck_ref *r, struct err *e)
{
    char *name = mem_printf("%s-%" PRId32, t->name, partition);
    char *path = name ? mem_printf("%s/%s", x->logs, name) : NULL;
    struct check_finding f = {CHECK_MISSING_PARTITION, name, path, -1, 0, r->end, NULL};
    const int64_t *point = path ? map_get(x->points, name, strlen(name)) : NULL;
    int rc = path ? ERR_OK : err_nomem(e);
    if (!rc && (!point || *point == 0)) /* else the recovery point has told of it */
        rc = check_tell(&x->check, f, e,
                        "is not there; the record at byte %" PRId64 " of %s refers to offsets up to %" PRId64,
                        r->byte, r->path, r->end - 1);
    mem_free(path);
    mem_free(name);
    return rc;
}

int fsck_check_refs(struct fsck *x, struct err *e)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    int rc = ERR_OK;
    while (!rc && map_next(x->refs, &pos, &key, &len, &value)) {
        const struct fsck_ref *r = value;
        const uint8_t *k = key;
        const struct meta_topic *t = map_get(x->image.by_id, k, sizeof t->id.b);
        int32_t partition = (int32_t)be32(k + sizeof t->id.b);
        if (!r->met && t && partition >= 0 && partition < t->partitions) /* else it was deleted */
            rc = tell_missing(x, t, partition, r, e);
    }
    return rc;
}
