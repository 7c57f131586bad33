/*
 * fsck_repair: what `leat fsck --repair` does. First everything is checked and the findings that the given kinds cover are
 * gathered; then each is mended, one file at a time. See fsck.h.
 */
#include "broker/fsck.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/data_dir.h"
#include "storage/checkpoint.h"
#include "storage/journal.h"
#include "storage/paths.h"
#include "storage/repair.h"

struct work {
    enum check_repair kind;
    char *partition; /* or NULL */
    char *path;
    char *root; /* the data directory that the file lies in */
    int64_t byte, offset;
    int64_t next; /* offsets below it were given, by all that was found of the file; -1: unknown */
};

struct repair {
    const struct fsck_repair_options *o;
    struct fsck_report report;
    struct work *list;
    size_t n;
    uint64_t left;
    int64_t now_ms; /* names the directories for what is set aside */
};

/* ---- gathering ---- */

static bool covered(const struct repair *x, const struct check_finding *f)
{
    enum check_repair kind = check_kind_repair(f->kind);
    return kind != REPAIR_NONE && (x->o->kinds[kind] || (kind == REPAIR_DAMAGE && x->o->segments));
}

static struct work *known(const struct repair *x, enum check_repair kind, const char *path)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->list[i].kind == kind && strcmp(x->list[i].path, path) == 0)
            return &x->list[i];
    return NULL;
}

/* What of the path comes before the last /logs/ or /journal/; a file of the data directory itself: its directory. */
static char *root_of(const char *path)
{
    static const char *const parts[] = {"/logs/", "/journal/"};
    size_t n = 0;
    for (size_t i = 0; i < 2; i++)
        for (const char *at = path; (at = strstr(at, parts[i])); at++)
            n = (size_t)(at - path) > n ? (size_t)(at - path) : n;
    const char *slash = strrchr(path, '/');
    return mem_strndup(path, n ? n : slash ? (size_t)(slash - path) : 0);
}

static int gather(void *arg, const struct check_finding *f, struct err *e)
{
    struct repair *x = arg;
    enum check_repair kind = check_kind_repair(f->kind);
    if (!covered(x, f)) {
        x->left += check_kind_severity(f->kind) != CHECK_NOTE;
        return ERR_OK;
    }
    struct work *same = known(x, kind, f->path);
    if (same) {
        same->next = f->next_offset > same->next ? f->next_offset : same->next;
        return ERR_OK;
    }
    struct work *list = mem_realloc_array(x->list, x->n + 1, sizeof *list);
    if (!list)
        return err_nomem(e);
    x->list = list;
    char *root = root_of(f->path);
    struct work w = {.root = root,
                     .kind = kind,
                     .path = mem_strdup(f->path),
                     .byte = f->byte,
                     .offset = f->offset,
                     .next = f->next_offset};
    w.partition = f->partition ? mem_strdup(f->partition) : NULL;
    x->list[x->n++] = w;
    return w.path && w.root && (w.partition || !f->partition) ? ERR_OK : err_nomem(e);
}

/* ---- steps ---- */

static int step(struct repair *x, const struct work *w, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static int step(struct repair *x, const struct work *w, struct err *e, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return x->o->step(x->o->arg, w->kind, text, e);
}

/* Directory of the file and offset in its name. */
static int place_of(const struct work *w, char **dir, int64_t *base, struct err *e)
{
    const char *suffix, *slash = strrchr(w->path, '/');
    if (!slash || !storage_name_parse(slash + 1, base, &suffix))
        return err_set(e, ERR_INTERNAL, "%s: is no file of a segment", w->path);
    *dir = mem_strndup(w->path, (size_t)(slash - w->path));
    return *dir ? ERR_OK : err_nomem(e);
}

static int64_t next_base(const char *dir, int64_t base, struct err *e, int *rc)
{
    int64_t *bases, next = INT64_MAX;
    size_t n;
    *rc = storage_list(dir, LOG_SUFFIX, &bases, &n, e);
    for (size_t i = 0; *rc == ERR_OK && i < n; i++)
        if (bases[i] > base && bases[i] < next)
            next = bases[i];
    if (*rc == ERR_OK)
        mem_free(bases);
    return next;
}

static char *aside_dir(const struct repair *x, const struct work *w)
{
    return mem_printf("%s/" SET_ASIDE_NAME "/%" PRId64 "/%s", w->root, x->now_ms,
                      w->partition ? w->partition : "");
}

/* Then the log ended at its recovery point. */
static bool stopped_cleanly(const struct work *w)
{
    char *mark = mem_printf("%s/logs/" CLEAN_STOP_NAME, w->root);
    bool clean = mark && io_exists(mark);
    mem_free(mark);
    return clean;
}

/* Where the partition's offsets must go on at the least: what was given may be known by the journal alone. */
static int recovery_point(const struct work *w, int64_t *point, struct err *e)
{
    struct offset_entry *list;
    size_t n;
    struct err why;
    char *path = mem_printf("%s/logs/" CHECKPOINT_RECOVERY, w->root);
    *point = 0;
    if (!path)
        return err_nomem(e);
    int rc = offset_file_read(path, &list, &n, &why);
    mem_free(path);
    if (rc)
        return rc == ERR_NO_MEMORY ? err_nomem(e) : ERR_OK; /* broken: nobody knows */
    for (size_t i = 0; i < n; i++) {
        char *name = mem_printf("%s-%d", list[i].topic, list[i].partition);
        if (!name)
            rc = err_nomem(e);
        else if (strcmp(name, w->partition) == 0)
            *point = list[i].offset;
        mem_free(name);
    }
    offset_file_free(list, n);
    if (w->next > *point && !stopped_cleanly(w))
        *point = w->next;
    return rc;
}

static int do_indexes(struct repair *x, const struct work *w, const char *dir, int64_t base, struct err *e)
{
    int rc = step(x, w, e,
                  "%s: remove the indexes of segment %" PRId64 ", which are made anew when the log is opened",
                  w->partition, base);
    return rc || x->o->dry_run ? rc : repair_drop_indexes(dir, base, e);
}

static int do_damage(struct repair *x, const struct work *w, const char *dir, int64_t base, const char *aside,
                     struct err *e)
{
    struct repair_result r;
    int64_t point;
    int rc = recovery_point(w, &point, e);
    if (rc)
        return rc;
    if (x->o->segments) {
        rc = step(x, w, e, "%s: set segment %" PRId64 " aside to %s; its offsets have no records then",
                  w->partition, base, aside);
        return rc || x->o->dry_run ? rc
                                   : repair_set_aside(dir, base, point > base ? point : base + 1, aside, e);
    }
    int64_t next = next_base(dir, base, e, &rc);
    if (!rc)
        rc = step(x, w, e,
                  "%s: write segment %" PRId64 " anew with its whole batches only; as it was goes to %s",
                  w->partition, base, aside);
    if (rc || x->o->dry_run)
        return rc;
    rc = repair_keep_good(dir, base, next, point, point > 0 && stopped_cleanly(w), aside, &r, e);
    return rc ? rc
              : step(x, w, e,
                     "%s: segment %" PRId64 ": %" PRIu64 " batches kept, %" PRIu64 " bytes in %" PRIu64
                     " places dropped",
                     w->partition, base, r.kept, r.dropped_bytes, r.dropped);
}

static int do_tail(struct repair *x, const struct work *w, const char *dir, int64_t base, const char *aside,
                   struct err *e)
{
    int64_t point;
    int rc = recovery_point(w, &point, e);
    if (!rc)
        rc = step(x, w, e, "%s: cut segment %" PRId64 " at byte %" PRId64 "; as it was goes to %s",
                  w->partition, base, w->byte, aside);
    if (rc || x->o->dry_run)
        return rc;
    return repair_cut(dir, base, w->byte, point > w->offset ? point : -1, aside, e);
}

static int remove_path(const char *path, struct err *e)
{
    int rc = io_remove_tree(path, e);
    return rc ? rc : io_sync_parent(path, e);
}

static int do_removal(struct repair *x, const struct work *w, struct err *e)
{
    int rc = step(x, w, e, "remove %s", w->path);
    return rc || x->o->dry_run ? rc : remove_path(w->path, e);
}

static int move_aside(const char *from, const char *to, struct err *e)
{
    int rc = io_exists(from) ? io_rename(from, to, e) : ERR_OK;
    if (rc == ERR_OK && io_exists(to))
        rc = io_sync_parent(to, e);
    return rc ? rc : io_sync_parent(from, e);
}

/*
 * Without its journal nobody can tell what was acknowledged beyond the recovery points. So they go too: then the next start
 * keeps every whole batch. The points go first, so that a crash in between cuts nothing.
 */
static int do_journal(struct repair *x, const struct work *w, struct err *e)
{
    char *aside = aside_dir(x, w); /* with a slash at its end */
    char *journal = mem_printf("%s/journal", w->root),
         *points = mem_printf("%s/logs/" CHECKPOINT_RECOVERY, w->root);
    char *to = aside ? mem_printf("%sjournal", aside) : NULL;
    char *points_to = aside ? mem_printf("%s" CHECKPOINT_RECOVERY, aside) : NULL;
    int rc = journal && to && points && points_to ? ERR_OK : err_nomem(e);
    if (!rc)
        rc = step(x, w, e,
                  "set the journal and %s aside to %s; the next start reads everything and keeps every whole "
                  "batch, also of transactions that were not completed",
                  CHECKPOINT_RECOVERY, aside);
    if (!rc && !x->o->dry_run) {
        aside[strlen(aside) - 1] = '\0';
        rc = io_mkdirs_synced(aside, 0700, e);
        rc = rc ? rc : move_aside(points, points_to, e);
        rc = rc ? rc : move_aside(journal, to, e);
    }
    mem_free(points_to);
    mem_free(to);
    mem_free(points);
    mem_free(journal);
    mem_free(aside);
    return rc;
}

/* ---- what the next start will write into a segment ---- */

struct awaited {
    struct uuid topic_id; /* zero: not known */
    int32_t partition;
    int64_t base;
    bool found;
};

static int look_for(void *arg, const struct journal_sight *s, const struct journal_entry *en, struct err *e)
{
    struct awaited *a = arg;
    (void)e;
    a->found |= s->live && en->bytes && en->partition == a->partition && en->segment_base == a->base &&
                (uuid_is_zero(&a->topic_id) || memcmp(&en->topic_id, &a->topic_id, sizeof a->topic_id) == 0);
    return ERR_OK;
}

/* Has the journal appends that belong into the segment, at places that a repair would move? */
static int awaits_journal(const struct work *w, const char *dir, int64_t base, bool *yes, struct err *e)
{
    char topic[TOPIC_NAME_MAX + 1];
    struct awaited a = {.base = base};
    struct journal_visitor v = {.entry = look_for, .arg = &a};
    struct err unknown;
    uint64_t live;
    char *journal = mem_printf("%s/journal", w->root), *metadata = mem_printf("%s/partition.metadata", dir);
    int rc = journal && metadata ? ERR_OK : err_nomem(e);
    if (!rc && partition_metadata_read(metadata, &a.topic_id, &unknown))
        a.topic_id = (struct uuid){{0}};
    if (!rc && partition_dir_parse(w->partition, topic, &a.partition))
        rc = journal_inspect(journal, NULL, &v, &live, e);
    *yes = a.found;
    mem_free(metadata);
    mem_free(journal);
    return rc;
}

/* It is going to be set aside: then nothing of it is put back. */
static bool journal_goes(const struct repair *x, const char *root)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->list[i].kind == REPAIR_JOURNAL && strcmp(x->list[i].root, root) == 0)
            return true;
    return false;
}

static int put_off(struct repair *x, const struct work *w, int64_t base, struct err *e)
{
    x->left++;
    return step(x, w, e,
                "%s: segment %" PRId64 " is left as it is: the journal has appends to it. Start the hub and "
                "stop it, then mend",
                w->partition, base);
}

static int do_segment(struct repair *x, const struct work *w, struct err *e)
{
    char *dir = NULL, *aside = aside_dir(x, w);
    int64_t base;
    bool awaits = false;
    int rc = aside ? place_of(w, &dir, &base, e) : err_nomem(e);
    if (!rc && w->kind != REPAIR_INDEXES && !journal_goes(x, w->root))
        rc = awaits_journal(w, dir, base, &awaits, e);
    if (!rc && awaits)
        rc = put_off(x, w, base, e);
    else if (!rc && w->kind == REPAIR_INDEXES)
        rc = do_indexes(x, w, dir, base, e);
    else if (!rc && w->kind == REPAIR_DAMAGE)
        rc = do_damage(x, w, dir, base, aside, e);
    else if (!rc)
        rc = do_tail(x, w, dir, base, aside, e);
    mem_free(dir);
    mem_free(aside);
    return rc;
}

static int do_work(struct repair *x, const struct work *w, struct err *e)
{
    switch (w->kind) {
    case REPAIR_INDEXES:
    case REPAIR_DAMAGE:
    case REPAIR_TAIL:
        return do_segment(x, w, e);
    case REPAIR_SNAPSHOTS:
    case REPAIR_LEFTOVERS:
        return do_removal(x, w, e);
    default:
        return do_journal(x, w, e);
    }
}

static void free_work(struct work *w)
{
    mem_free(w->path);
    mem_free(w->partition);
    mem_free(w->root);
}

/* Is this done by what is to be done for another finding? */
static bool covers(const struct work *w, const struct work *other)
{
    if (w->kind == REPAIR_JOURNAL) /* its findings lie in several of its files; it goes as a whole, once */
        return other->kind == REPAIR_JOURNAL && strcmp(w->root, other->root) == 0;
    /* A segment that is written anew, or goes, has no torn end any more. */
    return w->kind == REPAIR_DAMAGE && other->kind == REPAIR_TAIL && strcmp(w->path, other->path) == 0;
}

static void merge_work(struct repair *x)
{
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++) {
        bool seen = false;
        for (size_t k = 0; k < x->n && !seen; k++)
            seen = (k < n || k > i) && covers(&x->list[k], &x->list[i]);
        if (seen)
            free_work(&x->list[i]);
        else
            x->list[n++] = x->list[i];
    }
    x->n = n;
}

/* The journal comes last: with it go the recovery points, from which the others know where offsets must go on. */
static int do_all(struct repair *x, struct err *e)
{
    int rc = ERR_OK;
    for (int journals = 0; journals < 2; journals++)
        for (size_t i = 0; i < x->n && !rc; i++)
            if ((x->list[i].kind == REPAIR_JOURNAL) == journals)
                rc = do_work(x, &x->list[i], e);
    return rc;
}

/* The main directory's lock is enough: who opens one of the others has it. */
int broker_fsck_repair(const struct fsck_repair_options *o, uint64_t *left, struct err *e)
{
    struct repair x = {.o = o, .now_ms = clock_wall_ms()};
    struct fsck_options check = {.data_dir = o->data_dir, .records = true, .found = gather, .arg = &x};
    int fd = -1;
    int rc = broker_fsck(&check, &x.report, e);
    if (!rc) {
        merge_work(&x);
        rc = data_dir_lock(o->data_dir, false, &fd, e);
    }
    if (!rc)
        rc = do_all(&x, e);
    *left = x.left;
    for (size_t i = 0; i < x.n; i++)
        free_work(&x.list[i]);
    mem_free(x.list);
    io_close(fd);
    return rc;
}
