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
#include "broker/removal.h"
#include "broker/replay.h"

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

struct scan {
    struct disk *d;
    struct removal *gone; /* directories of deleted partitions */
    bool set_aside;       /* some of unknown ones were */
};

static int set_aside(struct scan *s, const char *dir, struct err *e)
{
    char *stray;
    int rc = log_stray_dir(dir, &stray, e);
    s->set_aside = true;
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

/* Under a name that no topic's directory has: file by file it could come back as another one's after a loss of power. */
static int take_away(struct scan *s, const char *dir, bool renamed, struct err *e)
{
    char *path = renamed ? mem_strdup(dir) : NULL;
    int rc = renamed ? path ? ERR_OK : err_nomem(e) : log_delete_dir(dir, &path, e);
    if (!rc)
        removal_push(&s->gone, path);
    return rc;
}

static int scan_dir(struct scan *s, const char *dir, const char *topic, int32_t partition, struct err *e)
{
    struct disk *d = s->d;
    struct broker *b = d->b;
    struct partition *p = known_partition(b, topic, partition);
    struct uuid id;
    bool says = dir_topic_id(dir, &id);
    if (p && (!says || memcmp(&id, &p->topic->id, sizeof id) == 0))
        return found(d, p, e);
    if (says && map_get(b->removed, id.b, sizeof id.b))
        return take_away(s, dir, false, e);
    return set_aside(s, dir, e);
}

static int scan_name(void *arg, const char *name, struct err *e)
{
    struct scan *s = arg;
    const struct disk *d = s->d;
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    int rc = ERR_OK;
    if (d->index == 0 && strcmp(name, META_TOPIC_NAME "-0") == 0)
        return ERR_OK;
    char *path = mem_printf("%s/%s", d->logs_dir, name);
    if (!path)
        return err_nomem(e);
    if (has_suffix(name, "-delete"))
        rc = take_away(s, path, true, e);
    else if (partition_dir_parse(name, topic, &partition))
        rc = scan_dir(s, path, topic, partition, e);
    mem_free(path);
    return rc;
}

/*
 * New names are durable before anything else is done: a directory that comes back under its old one without its
 * partition.metadata would be taken for a topic's that was made under that name meanwhile.
 */
int recovery_scan(struct disk *d, struct err *e)
{
    struct scan s = {.d = d};
    int rc = io_list(d->logs_dir, scan_name, &s, e);
    if (!rc && (s.gone || s.set_aside)) /* whoever renamed them may have been killed before a sync */
        rc = io_sync_dir(d->logs_dir, e);
    if (rc)
        removal_forget(s.gone);
    else
        removal_run(s.gone);
    return rc;
}

/* ---- logs ------------------------------------------------------------------------------------------------------------- */

/*
 * Logs are opened, which cuts them, but not flushed: what the journal has given back stays in it until upkeep releases
 * it, so that the time to start does not grow with the number of logs that were written to. Of a log that cannot be
 * opened they are set aside then.
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
    return replay_run(d, e);
}

int recovery_open(struct broker *b, struct err *e)
{
    return b->clean_start ? ERR_OK : partitions_each(b, recover_log, e);
}
