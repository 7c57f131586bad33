/*
 * replay: see replay.h. Reads in the caller's thread, before the broker's start; writing is replay_write's.
 */
#include "broker/replay.h"

#include "base/diag.h"
#include "base/files.h"
#include "base/mem.h"
#include "broker/aside.h"
#include "broker/replay_write.h"
#include "broker/store.h"

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

struct replay {
    struct disk *d;
    struct replay_writer *writer;
    uint64_t lost;          /* entries of partitions that never were, by the metadata */
    struct uuid lost_topic; /* of the last of them */
};

static int put_back(struct replay *r, struct partition *p, const struct journal_entry *en, struct err *e)
{
    int rc = replay_writer_add(r->writer, p, en, e);
    if (rc)
        return rc;
    p->exists = true;
    p->clean = false;
    atomic_store(&p->journaled, true);
    return ERR_OK;
}

/* Of a deleted topic; or else the end of the metadata is gone, as a topic is durable before anything is written to it. */
static void note_unknown(struct replay *r, const struct journal_entry *en)
{
    if (map_get(r->d->b->removed, en->topic_id.b, sizeof en->topic_id.b))
        return;
    r->lost++;
    r->lost_topic = en->topic_id;
}

static void tell_unknown(const struct replay *r)
{
    char id[UUID_TEXT_SIZE];
    uuid_text(&r->lost_topic, id);
    if (r->lost)
        diag_error("broker",
                   "%s: the journal has %llu appends to partitions that the metadata does not know, the last "
                   "one of topic "
                   "id %s: they cannot be put back; has __cluster_metadata-0 lost its end?",
                   r->d->dir, (unsigned long long)r->lost, id);
}

static int replay_entry(void *arg, const struct journal_entry *en, struct err *e)
{
    struct replay *r = arg;
    struct disk *d = r->d;
    struct topic *t = topics_by_id(&d->b->topics, &en->topic_id);
    if (!t || en->partition < 0 || en->partition >= t->count) {
        note_unknown(r, en);
        return ERR_OK;
    }
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
    if (en->bytes == 0 && en->next_offset > p->recovery_point)
        p->recovery_point = en->next_offset; /* a reference */
    if (en->next_offset <= p->recovery_point)
        return ERR_OK; /* synced; its segment may even be gone by retention */
    return put_back(r, p, en, e);
}

static int replay_aside(void *arg, uint64_t number, const struct journal_entry *en, struct err *e)
{
    struct replay *r = arg;
    int rc = asides_note(r->d, number, en, e);
    return rc ? rc : replay_entry(arg, en, e);
}

/* Others need some, too, and nothing that is open could be closed for them. */
static size_t files_to_keep(const struct broker *b)
{
    int32_t half = files_limit() / 2;
    return (size_t)(b->files.max < half ? b->files.max : half);
}

int replay_run(struct disk *d, struct err *e)
{
    struct replay r = {.d = d};
    int rc = replay_writer_start(&r.writer, files_to_keep(d->b), !d->b->o.no_threads, e);
    if (rc)
        return rc;
    rc = journal_replay_asides(d->journal, replay_aside, &r, e); /* what is in there is older */
    if (!rc)
        rc = journal_replay(d->journal, replay_entry, &r, e);
    rc = replay_writer_finish(r.writer, rc, e);
    tell_unknown(&r);
    return rc;
}
