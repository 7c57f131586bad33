/*
 * recovery: see recovery.h. Single-threaded, before the threads start.
 */
#include "broker/recovery.h"

#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/each.h"

/* ---- directories --------------------------------------------------------------------------------------------------- */

static bool has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcmp(s + n - m, suffix) == 0;
}

/* The topic id that a log directory says it belongs to. False: it says nothing (yet). */
static bool dir_topic_id(const char *dir, struct uuid *id)
{
    struct err e;
    size_t len;
    char *text = NULL, value[UUID_TEXT_SIZE] = {0};
    char *path = mem_printf("%s/partition.metadata", dir);
    bool found = false;
    if (path && !io_read_file(path, 4096, &text, &len, &e)) {
        const char *at = strstr(text, "topic_id: ");
        if (at) {
            memcpy(value, at + 10, strnlen(at + 10, UUID_TEXT_SIZE - 1));
            found = uuid_parse(value, id);
        }
    }
    mem_free(text);
    mem_free(path);
    return found;
}

static int set_aside(const char *dir, struct err *e)
{
    char *stray = mem_printf("%s-stray", dir);
    if (!stray)
        return err_nomem(e);
    int rc = io_exists(stray) ? err_set(e, ERR_EXISTS, "%s is in the way of setting %s aside", stray, dir)
                              : io_rename(dir, stray, e);
    if (!rc)
        diag_warn("broker", "%s belongs to no known topic; it is now %s", dir, stray);
    mem_free(stray);
    return rc;
}

static struct partition *known_partition(struct broker *b, const char *topic, int32_t partition)
{
    struct topic *t = topics_by_name(&b->topics, topic);
    return t && partition < t->count ? t->partitions[partition] : NULL;
}

/* A partition lies where its directory is, whatever the metadata say. */
static int found(struct disk *d, struct partition *p, struct err *e)
{
    if (p->exists)
        return err_set(e, ERR_CORRUPT,
                       "%s-%d is in two data directories, %s and %s: one of them must be moved away",
                       p->topic->name, p->index, p->disk->dir, d->dir);
    if (p->topic->internal && d->index != 0)
        return err_set(e, ERR_CORRUPT,
                       "%s-%d is in %s, but internal topics belong into the main directory %s",
                       p->topic->name, p->index, d->dir, d->b->data_dir);
    p->exists = true;
    p->moved = p->disk != d;
    partition_place(p, d);
    return ERR_OK;
}

static int scan_dir(struct disk *d, const char *dir, const char *topic, int32_t partition, struct err *e)
{
    struct broker *b = d->b;
    struct partition *p = known_partition(b, topic, partition);
    struct uuid id;
    bool says = dir_topic_id(dir, &id);
    if (p && (!says || memcmp(&id, &p->topic->id, sizeof id) == 0))
        return found(d, p, e);
    if (says && map_get(b->removed, id.b, sizeof id.b))
        return io_remove_tree(dir, e);
    return set_aside(dir, e);
}

static int scan_name(void *arg, const char *name, struct err *e)
{
    struct disk *d = arg;
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    int rc = ERR_OK;
    if (d->index == 0 && strcmp(name, META_TOPIC_NAME "-0") == 0)
        return ERR_OK;
    char *path = mem_printf("%s/%s", d->logs_dir, name);
    if (!path)
        return err_nomem(e);
    if (has_suffix(name, "-delete"))
        rc = io_remove_tree(path, e);
    else if (partition_dir_parse(name, topic, &partition))
        rc = scan_dir(d, path, topic, partition, e);
    mem_free(path);
    return rc;
}

int recovery_scan(struct disk *d, struct err *e)
{
    return io_list(d->logs_dir, scan_name, d, e);
}

/* ---- journal --------------------------------------------------------------------------------------------------------- */

/* Even if its recovery point was lost: what was compacted is synced, and stands elsewhere in its files by now. */
static int know_compacted(struct partition *p, struct err *e)
{
    int64_t end;
    char *dir = partition_dir(p);
    int rc = dir ? log_compacted_end(dir, &end, e) : err_nomem(e);
    if (!rc && end > p->recovery_point)
        p->recovery_point = end;
    mem_free(dir);
    return rc;
}

static int replay_entry(void *arg, const struct journal_entry *en, struct err *e)
{
    struct disk *d = arg;
    struct topic *t = topics_by_id(&d->b->topics, &en->topic_id);
    bool changed = false;
    if (!t || en->partition < 0 || en->partition >= t->count)
        return ERR_OK; /* its topic was deleted */
    struct partition *p = t->partitions[en->partition];
    if (p->disk != d)
        return err_set(
            e, ERR_CORRUPT,
            "%s-%d lies in %s, but the journal of %s has unsynced data of it: move it back, it can "
            "be moved after a clean stop only",
            t->name, p->index, p->disk->dir, d->dir);
    int rc = p->journaled_end < 0 ? know_compacted(p, e) : ERR_OK;
    if (rc)
        return rc;
    if (en->next_offset > p->journaled_end)
        p->journaled_end = en->next_offset;
    if (en->next_offset <= p->recovery_point)
        return ERR_OK; /* synced; its segment may even be gone by retention */
    char *dir = partition_dir(p);
    rc = dir ? log_restore(dir, en->segment_base, en->position, en->data, en->bytes, &changed, e)
             : err_nomem(e);
    mem_free(dir);
    if (rc)
        return err_wrap(e, "putting back offset %lld of %s-%d", (long long)en->base_offset, t->name,
                        p->index);
    p->exists = true;
    p->clean = false;
    atomic_store(&p->journaled, true);
    if (changed)
        atomic_fetch_add(&d->b->recovered_bytes, en->bytes);
    return ERR_OK;
}

/*
 * Logs are opened, which cuts them, but not flushed: what the journal has given back stays in it until upkeep releases
 * it, so that the time to start does not grow with the number of logs that were written to. A log that cannot be opened
 * stays out of service, and keeps the journal from being released.
 */
static int recover_log(struct broker *b, struct partition *p, struct err *e)
{
    struct log *log;
    if (!p->disk->clean_start)
        partition_open(b, p, false, &log, e); /* which says what is wrong */
    return ERR_OK;
}

int recovery_run(struct disk *d, struct err *e)
{
    struct partition **list;
    size_t n;
    int rc = topics_all(&d->b->topics, &list, &n, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++)
        if (list[i]->disk == d)
            list[i]->clean = d->clean_start;
    partitions_release(&d->b->topics, list, n);
    return journal_replay(d->journal, replay_entry, d, e);
}

int recovery_open(struct broker *b, struct err *e)
{
    return b->clean_start ? ERR_OK : partitions_each(b, recover_log, e);
}
