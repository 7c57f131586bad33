/*
 * s3_upload: what a target has handed over to its uploader, and what comes back. See s3_target_internal.h.
 */
#include "s3_target_internal.h"

#include <string.h>

#include "base/mem.h"

#define UPLOADS_MAX 16 /* on their way: bounds many small rounds; large ones are bounded by memory */

/* The jobs, in the uploader's thread. */

static int run_part(struct s3_job *job, struct err *e)
{
    struct upload *u = (struct upload *)job;

    return object_part(&u->file->object, &u->data, u->target->conditional, e);
}

/* Everything goes up before anything becomes visible, so that a failure mostly leaves a round unseen. */
static int run_round(struct s3_job *job, struct err *e)
{
    struct upload *u = (struct upload *)job;
    bool conditional = u->target->conditional;

    for (size_t i = 0; i < u->count; i++) {
        struct s3_file *f = u->files[i];

        if (f->in_parts && f->part.len && object_part(&f->object, &f->part, conditional, e))
            return e->code;
    }
    for (size_t i = 0; i < u->count; i++) {
        struct s3_file *f = u->files[i];

        if (f->in_parts ? object_complete(&f->object, conditional, e)
                        : object_put(&f->object, &f->part, conditional, e))
            return e->code;
    }
    return ERR_OK;
}

static bool is_round_of(const struct upload *u, const char *topic, int32_t partition)
{
    return !u->file && u->partition == partition && strcmp(u->topic, topic) == 0;
}

/* The round is in the store: while later ones of its partition are on their way, this much is. */
static void note_stored(struct s3_target *t, const struct upload *done)
{
    for (struct upload *u = t->uploads; u; u = u->next)
        if (is_round_of(u, done->topic, done->partition)) {
            u->before = done->end;
            return;
        }
}

static void free_upload(struct s3_target *t, struct upload *u)
{
    target_release_part(t, &u->data);
    mem_free(u->topic);
    mem_free(u);
}

/* What a finished upload leaves. Files of a round that failed may have unfinished uploads in the store. */
static void take_back(struct s3_target *t, struct upload *u)
{
    bool well = u->job.error.code == ERR_OK;

    t->uploads = u->next;
    if (!t->uploads)
        t->uploads_end = &t->uploads;
    if (!well && !t->failed.code)
        t->failed = u->job.error;
    if (!u->file && well) {
        t->objects += u->count;
        note_stored(t, u);
    }
    for (size_t i = 0; i < u->count; i++) {
        if (well) {
            target_free_file(t, u->files[i]);
        } else {
            u->files[i]->next = t->unfinished;
            t->unfinished = u->files[i];
        }
    }
    free_upload(t, u);
}

int target_reclaim(struct s3_target *t, struct err *e)
{
    struct s3_job *job;

    while ((job = uploader_take(t->uploader)))
        take_back(t, (struct upload *)job);
    if (t->failed.code)
        *e = t->failed;
    return t->failed.code;
}

int target_wait_for_one(struct s3_target *t, struct err *e)
{
    uploader_await(t->uploader, t->final ? NULL : t->config.wait, t->config.arg);
    return target_reclaim(t, e);
}

static struct upload *new_upload(struct s3_target *t, size_t files, int (*run)(struct s3_job *, struct err *))
{
    struct upload *u = mem_calloc(1, sizeof *u + files * sizeof(struct s3_file *));

    if (!u)
        return NULL;
    u->job.run = run;
    u->target = t;
    u->before = -1;
    buf_init(&u->data, t->part_size);
    return u;
}

static int give(struct s3_target *t, struct upload *u, struct err *e)
{
    while (uploader_count(t->uploader) >= UPLOADS_MAX)
        if (target_wait_for_one(t, e))
            return e->code;
    if (uploader_give(t->uploader, &u->job, e))
        return e->code;
    *t->uploads_end = u;
    t->uploads_end = &u->next;
    return ERR_OK;
}

int target_hand_over_part(struct s3_target *t, struct s3_file *f, struct err *e)
{
    struct upload *u = new_upload(t, 0, run_part);

    if (!u)
        return err_nomem(e);
    u->file = f;
    u->data = f->part;
    buf_init(&f->part, t->part_size);
    if (give(t, u, e) == ERR_OK) {
        f->in_parts = true;
        return ERR_OK;
    }
    f->part = u->data;
    buf_init(&u->data, t->part_size);
    free_upload(t, u);
    return e->code;
}

void target_unlink_file(struct s3_target *t, const struct s3_file *f)
{
    struct s3_file **list = &t->files;

    while (*list && *list != f)
        list = &(*list)->next;
    if (*list)
        *list = f->next;
}

int target_hand_over_round(struct s3_target *t, const struct filer_round *round, struct err *e)
{
    struct upload *u;

    if (target_reclaim(t, e))
        return e->code;
    u = new_upload(t, round->count, run_round);
    if (!u || !(u->topic = mem_strdup(round->topic))) {
        mem_free(u);
        return err_nomem(e);
    }
    u->partition = round->partition;
    u->end = round->next;
    for (size_t i = 0; i < round->count; i++)
        u->files[i] = round->handles[i];
    u->count = round->count;
    if (give(t, u, e)) {
        free_upload(t, u); /* the files stay open, to be dropped */
        return e->code;
    }
    for (size_t i = 0; i < u->count; i++)
        target_unlink_file(t, u->files[i]);
    return ERR_OK;
}

int s3_target_finish(struct s3_target *t, bool final, struct err *e)
{
    int rc = target_reclaim(t, e);

    t->final = final;
    while (rc == ERR_OK && uploader_count(t->uploader) > 0)
        rc = target_wait_for_one(t, e);
    t->final = false;
    return rc;
}

int s3_target_progress(struct s3_target *t, size_t *on_their_way, struct err *e)
{
    int rc = target_reclaim(t, e);

    *on_their_way = uploader_count(t->uploader);
    return rc;
}

void s3_target_hold_back(const struct s3_target *t, const struct leat_offset *before,
                         struct leat_offset *assigned, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct upload *u = t->uploads; /* the first round of the partition says it */

        while (u && !is_round_of(u, assigned[i].topic, assigned[i].partition))
            u = u->next;
        if (u)
            assigned[i].offset = u->before > before[i].offset ? u->before : before[i].offset;
    }
}
