/*
 * scrub: see scrub.h.
 */
#include "broker/scrub.h"

#include "broker/data_dir.h"
#include "broker/disk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"
#include "storage/check.h"

#define SCRUB_BYTES_PER_S (INT64_C(16) << 20)
#define SAVE_MS 10000 /* the place is written no more often */
#define RETRY_MS 60000

struct scrub {
    pthread_t thread;
    bool started;
    struct broker *b;
    int64_t interval_ms, bytes_per_s;

    pthread_mutex_t lock; /* leaf; the rest */
    pthread_cond_t cond;
    bool stop;
    bool running;
    int64_t started_ms, finished_ms;  /* wall clock, of the last pass; 0: none */
    uint64_t bytes;                   /* read, since the process began */
    uint64_t counts[CHECK_ERROR + 1]; /* findings of the pass at hand or, between passes, of the last one */
    struct scrub_finding *findings;
    size_t finding_count;

    /* the thread's own */
    char place[TOPIC_NAME_MAX + 16]; /* the last partition that is done; "": none of this pass */
    int64_t saved_ms;
};

/* ---- the place ---- */

static char *state_path(const struct scrub *s)
{
    return mem_printf("%s/" SCRUB_FILE, s->b->data_dir);
}

static void read_state(struct scrub *s)
{
    char *path = state_path(s), *text = NULL;
    struct err e;
    size_t n;
    long long started, finished;
    if (path && io_read_file(path, 4096, &text, &n, &e) == ERR_OK &&
        sscanf(text, "version=1\nstarted=%lld\nfinished=%lld\nplace=%264s", &started, &finished, s->place) >=
            2 &&
        started > 0 && finished >= 0) {
        s->started_ms = started;
        s->finished_ms = finished;
    }
    mem_free(text);
    mem_free(path);
}

/* Only a convenience: where it cannot be written, a restart begins anew. */
static void write_state(struct scrub *s, bool now)
{
    struct err e;
    int64_t ms = clock_mono_ms();
    char text[TOPIC_NAME_MAX + 128];
    if (!now && ms - s->saved_ms < SAVE_MS)
        return;
    s->saved_ms = ms;
    int n = snprintf(text, sizeof text, "version=1\nstarted=%" PRId64 "\nfinished=%" PRId64 "\nplace=%s\n",
                     s->started_ms, s->finished_ms, s->place);
    char *path = state_path(s);
    if (path && io_replace_file(path, text, (size_t)n, 0644, &e) != ERR_OK)
        diag_warn("broker", "scrub: %s", e.text);
    mem_free(path);
}

/* ---- waiting ---- */

/* False when it is to stop. */
static bool wait_ms(struct scrub *s, int64_t ms)
{
    struct timespec deadline = clock_deadline_ms(ms);
    pthread_mutex_lock(&s->lock);
    while (!s->stop && cond_wait_until(&s->cond, &s->lock, &deadline))
        ;
    bool go_on = !s->stop;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

/* What the current partition has cost so far, against what it may. */
struct pace {
    struct scrub *s;
    int64_t since_ms;
    uint64_t told;
};

static int keep_pace(void *arg, uint64_t bytes, struct err *e)
{
    struct pace *p = arg;
    struct scrub *s = p->s;
    pthread_mutex_lock(&s->lock);
    s->bytes += bytes - p->told;
    pthread_mutex_unlock(&s->lock);
    p->told = bytes;
    int64_t due = p->since_ms + (int64_t)(bytes / (uint64_t)s->bytes_per_s * 1000) +
                  (int64_t)(bytes % (uint64_t)s->bytes_per_s * 1000 / (uint64_t)s->bytes_per_s);
    int64_t left = due - clock_mono_ms();
    return wait_ms(s, left > 0 ? left : 0) ? ERR_OK : err_set(e, ERR_INTERRUPTED, "the hub stops");
}

/* ---- one partition ---- */

struct target {
    char name[TOPIC_NAME_MAX + 16];
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition; /* -1: the metadata log */
};

struct look {
    char *dir;
    struct check_partition_args args;
    struct scrub_finding *list;
    size_t n;
};

static int gather(void *arg, const struct check_finding *f, struct err *e)
{
    struct look *l = arg;
    if (check_kind_severity(f->kind) == CHECK_NOTE)
        return ERR_OK;
    if (l->n == SCRUB_FINDINGS_MAX)
        return ERR_OK; /* there is more than enough to look at */
    struct scrub_finding *list = mem_realloc_array(l->list, l->n + 1, sizeof *list);
    if (!list)
        return err_nomem(e);
    l->list = list;
    struct scrub_finding *x = &l->list[l->n++];
    *x = (struct scrub_finding){.error = check_kind_severity(f->kind) == CHECK_ERROR,
                                .kind = check_kind_name(f->kind),
                                .byte = f->byte,
                                .offset = f->offset,
                                .next_offset = f->next_offset,
                                .found_ms = clock_wall_ms()};
    snprintf(x->partition, sizeof x->partition, "%s", f->partition ? f->partition : "");
    x->path = mem_strdup(f->path);
    x->text = mem_strdup(f->text);
    return x->path && x->text ? ERR_OK : err_nomem(e);
}

static void free_findings(struct scrub_finding *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(list[i].path);
        mem_free(list[i].text);
    }
    mem_free(list);
}

static void forget_look(struct look *l)
{
    free_findings(l->list, l->n);
    mem_free(l->dir);
    *l = (struct look){0};
}

/* Where the partition is now and what of it is on disk for good. ERR_UNKNOWN_TOPIC: deleted; ERR_END: nothing is there. */
static int find(struct broker *b, const struct target *t, struct look *l, struct err *e)
{
    struct partition *p;
    l->args = (struct check_partition_args){.gaps = true, .name = t->name, .records = true, .cold = true};
    if (t->partition < 0) {
        l->dir = mem_printf("%s/logs/" META_TOPIC_NAME "-0", b->data_dir);
        l->args.recovery_point = log_recovery_point(b->meta);
    } else {
        int rc = topic_acquire(b, t->topic, t->partition, &p, e);
        if (rc)
            return rc;
        pthread_mutex_lock(&p->lock);
        struct log *log = partition_log(p);
        bool exists = p->exists;
        l->dir = exists ? partition_dir(p) : NULL;
        l->args.topic_id = p->topic->id;
        l->args.gaps = p->topic->internal || topic_settings(p->topic)->log.cleanup_compact ||
                       data_dir_repaired(p->disk->dir, t->name);
        l->args.recovery_point = log ? log_recovery_point(log) : p->recovery_point;
        l->args.log_start = log ? log_start_offset(log) : p->start_offset;
        pthread_mutex_unlock(&p->lock);
        partition_release(&b->topics, p);
        if (!exists)
            return err_set(e, ERR_END, "%s was never written to", t->name);
    }
    l->args.dir = l->dir;
    return l->dir ? ERR_OK : err_nomem(e);
}

static int look_at(struct scrub *s, const struct target *t, struct look *l, struct err *e)
{
    struct pace pace = {.s = s, .since_ms = clock_mono_ms()};
    struct check c = {.found = gather, .progress = keep_pace, .arg = l};
    struct check_partition_result result;
    int rc = find(s->b, t, l, e);
    if (rc)
        return rc;
    c.progress_arg = &pace;
    rc = check_partition(&c, &l->args, &result, e);
    return rc ? rc : keep_pace(&pace, c.bytes, e); /* what is left of the last MiB */
}

static bool same(const struct scrub_finding *a, const struct scrub_finding *b)
{
    return a->kind == b->kind && a->byte == b->byte && strcmp(a->path, b->path) == 0;
}

static void report(struct scrub *s, struct scrub_finding *f)
{
    enum diag_level level = f->error ? DIAG_ERROR : DIAG_WARN;
    diag(level, "broker", "scrub: %s, %s, offset %" PRId64 ": %s: byte %" PRId64 ": %s (docs/operations.md)",
         f->kind, f->partition, f->offset, f->path, f->byte, f->text);
    pthread_mutex_lock(&s->lock);
    s->counts[f->error ? CHECK_ERROR : CHECK_WARNING]++;
    if (s->finding_count < SCRUB_FINDINGS_MAX) {
        s->findings[s->finding_count++] = *f;
        f->path = f->text = NULL; /* given away */
    }
    pthread_mutex_unlock(&s->lock);
}

/* ERR_INTERRUPTED: to stop. Other errors are said, and the next partition's turn comes. */
static int scrub_partition(struct scrub *s, const struct target *t, struct err *e)
{
    struct look first = {0}, second = {0};
    int rc = look_at(s, t, &first, e);
    if (!rc && first.n && !(rc = look_at(s, t, &second, e)))
        for (size_t i = 0; i < second.n; i++) {
            bool again = false;
            for (size_t k = 0; k < first.n && !again; k++)
                again = same(&first.list[k], &second.list[i]);
            if (again)
                report(s, &second.list[i]);
        }
    forget_look(&first);
    forget_look(&second);
    /* Deleted, never written to, or a file that retention or compaction took away: the next pass looks again. */
    if (rc == ERR_UNKNOWN_TOPIC || rc == ERR_END || rc == ERR_NOT_FOUND)
        rc = ERR_OK;
    if (rc && rc != ERR_INTERRUPTED) {
        diag_warn("broker", "scrub: %s: %s", t->name, e->text);
        rc = ERR_OK;
    }
    return rc;
}

/* ---- a pass ---- */

static int by_name(const void *a, const void *b)
{
    const struct target *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int list_targets(struct broker *b, struct target **out, size_t *n, struct err *e)
{
    struct partition **list;
    size_t count;
    int rc = topics_all(&b->topics, &list, &count, e);
    if (rc)
        return rc;
    struct target *t = mem_calloc(count + 1, sizeof *t);
    for (size_t i = 0; i < count && t; i++) {
        snprintf(t[i].topic, sizeof t[i].topic, "%s", list[i]->topic->name);
        t[i].partition = list[i]->index;
        snprintf(t[i].name, sizeof t[i].name, "%s-%d", t[i].topic, list[i]->index);
    }
    partitions_release(&b->topics, list, count);
    if (!t)
        return err_nomem(e);
    snprintf(t[count].name, sizeof t[count].name, META_TOPIC_NAME "-0");
    t[count].partition = -1;
    qsort(t, count + 1, sizeof *t, by_name);
    *out = t;
    *n = count + 1;
    return ERR_OK;
}

static void begin_pass(struct scrub *s)
{
    bool anew = s->started_ms == 0 || s->finished_ms >= s->started_ms;
    pthread_mutex_lock(&s->lock);
    s->running = true;
    if (anew)
        s->started_ms = clock_wall_ms();
    free_findings(s->findings, s->finding_count);
    s->findings = mem_calloc(SCRUB_FINDINGS_MAX, sizeof *s->findings);
    s->finding_count = 0;
    memset(s->counts, 0, sizeof s->counts);
    pthread_mutex_unlock(&s->lock);
    if (anew)
        s->place[0] = '\0';
    write_state(s, true);
}

static void end_pass(struct scrub *s, bool whole)
{
    pthread_mutex_lock(&s->lock);
    s->running = false;
    if (whole) {
        int64_t now = clock_wall_ms();
        s->finished_ms = now > s->started_ms ? now : s->started_ms;
    }
    pthread_mutex_unlock(&s->lock);
    write_state(s, true);
}

/* ERR_INTERRUPTED: to stop. */
static int pass(struct scrub *s, struct err *e)
{
    struct target *list;
    size_t n;
    int rc = list_targets(s->b, &list, &n, e);
    if (rc)
        return rc;
    begin_pass(s);
    if (!s->findings)
        rc = err_nomem(e);
    for (size_t i = 0; i < n && !rc; i++) {
        if (strcmp(list[i].name, s->place) <= 0)
            continue; /* done before the restart */
        if ((rc = scrub_partition(s, &list[i], e)))
            break;
        snprintf(s->place, sizeof s->place, "%s", list[i].name);
        write_state(s, false);
    }
    mem_free(list);
    end_pass(s, !rc);
    return rc;
}

static int64_t due_in(const struct scrub *s)
{
    if (s->started_ms == 0 || s->finished_ms < s->started_ms)
        return 0; /* never, or not to its end */
    int64_t left = s->started_ms + s->interval_ms - clock_wall_ms();
    return left < 0 ? 0 : left > s->interval_ms ? s->interval_ms : left; /* a clock that was set back */
}

static void *run(void *arg)
{
    struct scrub *s = arg;
    thread_be_nice();
    while (wait_ms(s, due_in(s))) {
        struct err e;
        int rc = pass(s, &e);
        if (rc == ERR_INTERRUPTED)
            break;
        if (rc) {
            diag_warn("broker", "scrub: %s", e.text);
            if (!wait_ms(s, RETRY_MS))
                break;
        }
    }
    return NULL;
}

/* ---- from outside ---- */

int scrub_start(struct broker *b, struct err *e)
{
    if (b->o.scrub_interval_ms == 0 || b->o.no_threads)
        return ERR_OK;
    struct scrub *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_nomem(e);
    s->b = b;
    s->interval_ms = b->o.scrub_interval_ms;
    s->bytes_per_s = b->o.scrub_bytes_per_s ? b->o.scrub_bytes_per_s : SCRUB_BYTES_PER_S;
    mutex_init(&s->lock);
    cond_init(&s->cond);
    read_state(s);
    b->scrub = s;
    int rc = thread_start(&s->thread, "leat-scrub", run, s, e);
    s->started = !rc;
    return rc; /* freed with the broker */
}

void scrub_stop(struct broker *b)
{
    struct scrub *s = b->scrub;
    if (!s || !s->started)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    s->started = false;
}

void scrub_free(struct broker *b)
{
    struct scrub *s = b->scrub;
    if (!s)
        return;
    free_findings(s->findings, s->finding_count);
    pthread_cond_destroy(&s->cond);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
    b->scrub = NULL;
}

int broker_scrub_status(struct broker *b, struct scrub_status *out, struct err *e)
{
    struct scrub *s = b->scrub;
    *out = (struct scrub_status){0};
    if (!s)
        return ERR_OK;
    pthread_mutex_lock(&s->lock);
    *out = (struct scrub_status){
        .on = true,
        .running = s->running,
        .started_ms = s->started_ms,
        .finished_ms = s->finished_ms,
        .bytes = s->bytes,
        .errors = s->counts[CHECK_ERROR],
        .warnings = s->counts[CHECK_WARNING],
    };
    int rc = ERR_OK;
    out->findings = s->finding_count ? mem_calloc(s->finding_count, sizeof *out->findings) : NULL;
    if (s->finding_count && !out->findings)
        rc = err_nomem(e);
    for (size_t i = 0; i < s->finding_count && !rc; i++) {
        struct scrub_finding *f = &out->findings[out->finding_count++];
        *f = s->findings[i];
        f->path = mem_strdup(f->path);
        f->text = mem_strdup(f->text);
        if (!f->path || !f->text)
            rc = err_nomem(e);
    }
    pthread_mutex_unlock(&s->lock);
    if (rc)
        scrub_status_free(out);
    return rc;
}

void scrub_status_free(struct scrub_status *s)
{
    free_findings(s->findings, s->finding_count);
    *s = (struct scrub_status){0};
}
