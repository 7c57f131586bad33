/*
 * check: the table of findings, and what a partition's directory holds: every file is looked at. Batches are walked in
 * check_walk.c, indexes compared in check_index.c. See check.h.
 */
#include "storage/check_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "storage/listing.h"
#include "storage/log_internal.h"

static const struct {
    const char *name, *meaning;
    enum check_severity severity;
    enum check_repair repair;
} kinds[CHECK_KIND_COUNT] = {
#define X(kind, name, severity, repair, meaning) {name, meaning, CHECK_##severity, REPAIR_##repair},
    CHECK_KINDS(X)
#undef X
};

const char *check_kind_name(enum check_kind k)
{
    return kinds[k].name;
}

const char *check_kind_meaning(enum check_kind k)
{
    return kinds[k].meaning;
}

enum check_severity check_kind_severity(enum check_kind k)
{
    return kinds[k].severity;
}

enum check_repair check_kind_repair(enum check_kind k)
{
    return kinds[k].repair;
}

const char *check_severity_name(enum check_severity s)
{
    static const char *const names[] = {"note", "warning", "error"};
    return names[s];
}

static const char *const repair_names[REPAIR_KINDS] = {"none", "indexes", "snapshots", "leftovers",
                                                       "tail", "damage",  "journal"};

const char *check_repair_name(enum check_repair r)
{
    return repair_names[r];
}

bool check_repair_parse(const char *name, enum check_repair *r)
{
    for (int i = REPAIR_NONE + 1; i < REPAIR_KINDS; i++)
        if (strcmp(repair_names[i], name) == 0) {
            *r = (enum check_repair)i;
            return true;
        }
    return false;
}

int check_tell(struct check *c, struct check_finding f, struct err *e, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    /* Errors from below begin with the path, which the finding has already. */
    size_t n = strlen(f.path);
    f.text = strncmp(text, f.path, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
    return c->found(c->arg, &f, e);
}

/* ---- what is in the directory ---- */

static int tell_file(struct partition_check *p, enum check_kind kind, const char *name, const char *text,
                     struct err *e)
{
    char path[STORAGE_PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", p->args->dir, name) >= (int)sizeof path)
        return err_set(e, ERR_INVALID, "%s: a name of %zu bytes", p->args->dir, strlen(name));
    struct check_finding f = {kind, p->args->name, path, -1, -1, -1, NULL};
    return check_tell(p->c, f, e, "%s", text);
}

static int foreign_file(struct partition_check *p, const char *name, struct err *e)
{
    static const char *const known[] = {EPOCH_FILE, METADATA_FILE, COMPACTED_FILE, CUT_FILE, "quorum-state"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i]) == 0)
            return ERR_OK;
    if (storage_name_ends(name, ".tmp"))
        return tell_file(p, CHECK_LEFTOVER, name, "a file that was being written", e);
    /* KRaft's own: snapshots of the metadata. */
    if (storage_name_ends(name, ".checkpoint"))
        return ERR_OK;
    return tell_file(p, CHECK_FOREIGN_FILE, name, "is no file of a partition", e);
}

static int other_file(void *arg, const char *name, const char *suffix, struct err *e)
{
    struct partition_check *p = arg;
    if (suffix && (storage_name_ends(suffix, DELETED_SUFFIX) || storage_name_ends(suffix, CLEANED_SUFFIX)))
        return tell_file(p, CHECK_LEFTOVER, name, "a deleted or half-made file", e);
    if (suffix && storage_name_ends(suffix, SWAP_SUFFIX))
        return tell_file(p, CHECK_INTERRUPTED_COMPACTION, name,
                         "a compacted segment that is not in place yet", e);
    return foreign_file(p, name, e);
}

static int tell_orphans(struct partition_check *p, const struct listed *f, struct err *e)
{
    int rc = ERR_OK;
    for (unsigned k = 0; k < LISTING_INDEXES && rc == ERR_OK; k++) {
        char name[64];
        if (!(f->has & (HAS_INDEX << k)))
            continue;
        snprintf(name, sizeof name, "%020" PRId64 "%s", f->base, listing_index_suffix(k));
        rc = tell_file(p, CHECK_LEFTOVER, name, "an index without its segment", e);
    }
    return rc;
}

/* ---- the small files ---- */

static int check_metadata(struct partition_check *p, struct err *e)
{
    struct uuid id;
    struct err why;
    char path[STORAGE_PATH_MAX], has[UUID_TEXT_SIZE], wanted[UUID_TEXT_SIZE];
    snprintf(path, sizeof path, "%s/" METADATA_FILE, p->args->dir);
    struct check_finding f = {CHECK_BAD_PARTITION_METADATA, p->args->name, path, -1, -1, -1, NULL};
    int rc = partition_metadata_read(path, &id, &why);
    if (rc == ERR_NOT_FOUND || rc == ERR_NO_MEMORY) /* missing: it is made again */
        return rc == ERR_NO_MEMORY ? err_nomem(e) : ERR_OK;
    if (rc)
        return check_tell(p->c, f, e, "%s", why.text);
    if (uuid_is_zero(&p->args->topic_id) || memcmp(&id, &p->args->topic_id, sizeof id) == 0)
        return ERR_OK;
    return check_tell(p->c, f, e, "says topic id %s, the topic has %s", uuid_text(&id, has),
                      uuid_text(&p->args->topic_id, wanted));
}

static int load_epochs(struct partition_check *p, struct err *e)
{
    struct err why;
    snprintf(p->epoch_path, sizeof p->epoch_path, "%s/" EPOCH_FILE, p->args->dir);
    int rc = epoch_file_read(p->epoch_path, &p->epochs, &p->epoch_count, &why);
    if (rc == ERR_NO_MEMORY)
        return err_nomem(e);
    p->epochs_bad = rc != ERR_OK;
    struct check_finding f = {CHECK_BAD_EPOCHS, p->args->name, p->epoch_path, -1, -1, -1, NULL};
    return rc ? check_tell(p->c, f, e, "%s", why.text) : ERR_OK;
}

/* ---- all of it ---- */

static int walk_segments(struct partition_check *p, const struct listing *l, struct err *e)
{
    size_t segments = 0, seen = 0;
    int rc = ERR_OK;
    for (size_t i = 0; i < l->n; i++)
        segments += (l->list[i].has & HAS_LOG) != 0;
    for (size_t i = 0; i < l->n && rc == ERR_OK && !p->stopped; i++) {
        const struct listed *f = &l->list[i];
        if (!(f->has & HAS_LOG)) {
            rc = tell_orphans(p, f, e);
            continue;
        }
        int64_t next_base = INT64_MAX;
        for (size_t k = i + 1; k < l->n && next_base == INT64_MAX; k++)
            if (l->list[k].has & HAS_LOG)
                next_base = l->list[k].base;
        rc = check_segment(p, f->base, next_base, ++seen == segments, e);
    }
    p->out->segments = (int)segments;
    return rc;
}

static int gather_snapshots(struct partition_check *p, const struct listing *l, struct err *e)
{
    p->snapshots = mem_calloc(l->n + 1, sizeof *p->snapshots);
    if (!p->snapshots)
        return err_nomem(e);
    for (size_t i = 0; i < l->n; i++)
        if (l->list[i].has & HAS_SNAPSHOT)
            p->snapshots[p->snapshot_count++] = l->list[i].base;
    return ERR_OK;
}

int check_partition(struct check *c, const struct check_partition_args *args,
                    struct check_partition_result *out, struct err *e)
{
    struct partition_check p = {.c = c, .args = args, .out = out, .expected = -1, .trusted = -1, .epoch = -1};
    struct listing l = {0};
    *out = (struct check_partition_result){.start = -1, .end = -1, .last_segment = -1, .last_byte = -1};
    if (strlen(args->dir) > STORAGE_DIR_MAX)
        return err_set(e, ERR_INVALID, "directory name of %zu bytes is longer than %d", strlen(args->dir),
                       STORAGE_DIR_MAX);
    buf_init(&p.big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    buf_init(&p.scratch, BATCH_MAX_INFLATED);
    p.window = mem_alloc(CHECK_WINDOW);
    p.producers = producers_new();
    int rc = p.window && p.producers ? listing_read(&l, args->dir, other_file, &p, e) : err_nomem(e);
    if (rc == ERR_OK)
        rc = check_metadata(&p, e);
    if (rc == ERR_OK)
        rc = load_epochs(&p, e);
    if (rc == ERR_OK)
        rc = log_compacted_end(args->dir, &p.compacted, e);
    if (rc == ERR_OK)
        rc = gather_snapshots(&p, &l, e);
    if (rc == ERR_OK)
        rc = walk_segments(&p, &l, e);
    if (rc == ERR_OK)
        rc = check_last_snapshots(&p, e);
    producers_free(p.producers);
    mem_free(p.window);
    mem_free(p.snapshots);
    mem_free(p.epochs);
    mem_free(p.aborted);
    buf_free(&p.big);
    buf_free(&p.scratch);
    listing_free(&l);
    return rc;
}
