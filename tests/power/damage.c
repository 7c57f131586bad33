/*
 * damage: a store at rest loses or changes something on its disk: bits, ends and whole files, one at a time or a few. Then it
 * opens, or says why not; every record that it gives out is the right one, and what it cannot give it does not leave out
 * without a word.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "tests/power/ops.h"

static bool doubt;
static unsigned said; /* warnings and errors of the store since it was damaged */
static bool left_over;

bool told_of_leftovers(bool forget)
{
    bool told = left_over;
    left_over = told && !forget;
    return told;
}

static char complaint[512]; /* the first error that was told of while the power was on */

const char *told_of_error(void)
{
    return *complaint ? complaint : NULL;
}

void forget_errors(void)
{
    *complaint = '\0';
}

void __wrap_diag(enum diag_level level, const char *component, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void __wrap_diag(enum diag_level level, const char *component, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    said += level >= DIAG_WARN;
    left_over = left_over || strstr(fmt, "taking back a part of a failed group");
    bool first = level >= DIAG_ERROR && !*complaint && !sim_is_cut();
    if (!diag_enabled(level) && !first)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (first)
        snprintf(complaint, sizeof complaint, "%.500s", text);
    if (!diag_enabled(level))
        return;
    fprintf(stderr, "         %s: %s\n", component, text);
}

/* ---- doing it ------------------------------------------------------------------------------------------------------- */

struct choice {
    struct world *w;
    uint64_t seen;
    char path[1024];
    struct sim_node *file;
};

/* Any file that says something, each as likely as the others. */
static void choose(void *arg, const char *path, struct sim_node *file)
{
    struct choice *c = arg;
    if (file->live.n == 0 || !rng_once_in(&c->w->rng, ++c->seen))
        return;
    snprintf(c->path, sizeof c->path, "%s", path);
    c->file = file;
}

static void set_bytes(struct sim_node *f, const uint8_t *data, size_t n)
{
    sim_file_set_length(f, (int64_t)n);
    if (n)
        sim_file_write(f, 0, data, n);
    sim_file_sync(f);
}

static void flip(struct world *w, struct sim_node *f)
{
    size_t at = rng_below(&w->rng, f->live.n);
    uint8_t b = f->live.data[at] ^ (uint8_t)(1u << rng_below(&w->rng, 8));
    world_say(w, "damage: byte %zu, %d becomes %d", at, f->live.data[at], b);
    sim_file_write(f, (int64_t)at, &b, 1);
    sim_file_sync(f);
}

static void fill(struct world *w, struct sim_node *f)
{
    uint8_t garbage[SIM_SECTOR];
    size_t at = rng_below(&w->rng, f->live.n), n = 1 + rng_below(&w->rng, sizeof garbage);
    bool zeros = rng_once_in(&w->rng, 2);
    n = n > f->live.n - at ? f->live.n - at : n;
    for (size_t i = 0; i < n; i++)
        garbage[i] = zeros ? 0 : (uint8_t)rng_next(&w->rng);
    sim_file_write(f, (int64_t)at, garbage, n);
    sim_file_sync(f);
}

/*
 * Whether the journal's last record was torn or was damaged later cannot be told, and Kafka's checkpoints are numbers
 * without a checksum: nothing is expected of what they said.
 */
static bool is_open_to_doubt(const char *path)
{
    return strstr(path, "/journal/") != NULL || strstr(path, "-checkpoint") != NULL;
}

static void damage_one(struct world *w)
{
    struct choice c = {.w = w};
    sim_each_file(choose, &c);
    if (!c.file)
        return;
    unsigned how = (unsigned)rng_below(&w->rng, 10);
    size_t n = c.file->live.n;
    if (how < 5)
        flip(w, c.file);
    else if (how < 7)
        fill(w, c.file);
    else if (how == 7)
        set_bytes(c.file, NULL, 0);
    else if (how == 8)
        sim_file_set_length(c.file, (int64_t)rng_below(&w->rng, n));
    else
        sim_remove(c.path);
    sim_file_sync(c.file);
    doubt = doubt || is_open_to_doubt(c.path);
    world_say(w, "damage: %s %s", c.path,
              how < 5   ? "a bit"
              : how < 7 ? "some bytes"
              : how < 9 ? "its end"
                        : "is gone");
}

/* Files that nobody of ours made. */
static void add_foreign(struct world *w)
{
    static const char *const paths[] = {
        "/hub/data/notes.txt",
        "/hub/data/journal/core.1",
        "/hub/data/journal/99999999.journal",
        "/hub/data/logs/.fuse_hidden0001",
        "/hub/data/logs/t0-0/00000000000000000003.index",
        "/hub/data/logs/t1-0/00000000000000000001.snapshot",
        "/hub/data/logs/t0-1/00000000000000000000.log.deleted",
        "/hub/data/logs/t1-1/something.else",
        "/hub/data/logs/t2-0/00000000000000000000.cleaned",
    };
    uint8_t garbage[100];
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (uint8_t)rng_next(&w->rng);
    const char *path = paths[rng_below(&w->rng, sizeof paths / sizeof paths[0])];
    struct sim_node *f = sim_lookup(path) ? NULL : sim_make(path);
    world_say(w, "foreign: %s", path);
    if (f)
        set_bytes(f, garbage, rng_once_in(&w->rng, 2) ? sizeof garbage : 0);
}

/* ---- what comes of it ------------------------------------------------------------------------------------------------ */

static bool is_known(const struct model_partition *p, const struct found *f)
{
    for (size_t i = 0; i < p->n; i++)
        if (entry_matches(&p->list[i], f))
            return true;
    return false;
}

/*
 * No checksum covers a batch's offset: the last one of a page-cache log, of whose end nothing else tells, may have come to
 * another one by a single bit.
 */
static bool is_moved(const struct model_topic *t, const struct model_partition *p, const struct found_list *l,
                     const struct found *f)
{
    struct found at_home = *f;
    bool known = false;
    for (size_t i = 0; t->once_page_cache && f == &l->list[l->n - 1] && i < p->n && !known; i++) {
        at_home.base = p->list[i].base;
        known = entry_matches(&p->list[i], &at_home);
    }
    return known;
}

/* All its records, but for those that compaction may have taken. */
static bool is_listed(const struct found_list *l, const struct entry *e)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->list[i].base == e->base)
            return (model_all_records(e) & ~l->list[i].there & ~e->may_go & ~e->gone) == 0;
    return (model_all_records(e) & ~e->may_go & ~e->gone) == 0;
}

/* An error of a read is a report. Every batch that was given out before has been compared byte by byte. */
static void check_partition(struct world *w, int topic, int32_t partition)
{
    struct model_topic *t = &w->model.topics[topic];
    const struct model_partition *p = &t->parts[partition];
    struct found_list l = {0};
    bool whole = read_partition(w, topic, partition, READ_UNCOMMITTED, &l);
    compaction_judge(&w->model, topic, partition, sim_clock_ms(), &l);
    for (size_t i = 0; i < l.n; i++)
        if (!is_known(p, &l.list[i]) && !(t->once_page_cache && l.list[i].kind == ENTRY_ABORT) &&
            !is_moved(t, p, &l, &l.list[i]) && !said)
            world_fail(w, "%s-%d: offset %lld was never written so", world_topic_name(topic), partition,
                       (long long)l.list[i].base);
    for (size_t i = 0; whole && !said && i < p->n; i++) {
        const struct entry *e = &p->list[i];
        if (e->sure == SURE && e->base >= p->start_max && !is_listed(&l, e))
            world_fail(w, "%s-%d: offset %lld is missing and nothing was said", world_topic_name(topic),
                       partition, (long long)e->base);
    }
    found_free(&l);
}

static void check_damaged(struct world *w)
{
    world_allow_retention(w);
    for (int i = 0; i < MODEL_TOPICS; i++) {
        struct topic_info info;
        int rc = broker_topic(w->b, world_topic_name(i), &info, &w->e);
        if (rc == ERR_UNKNOWN_TOPIC && w->model.topics[i].presence == PRESENT && !said)
            world_fail(w, "topic %s is gone and nothing was said", world_topic_name(i));
        if (rc)
            continue;
        for (int32_t p = 0; p < info.partition_count && p < w->model.topics[i].partitions; p++)
            check_partition(w, i, p);
        topic_info_free(&info);
    }
    for (int g = 0; g < MODEL_GROUPS; g++)
        for (int t = 0; t < MODEL_TOPICS; t++) {
            const struct model_offset *o = &w->model.offsets[g][t];
            int64_t stored;
            int rc = broker_fetch_offset(w->b, world_group_name(g), world_topic_name(t), 0, &stored, &w->e);
            if (!rc && !said && stored != o->sure && o->maybe == -2)
                world_fail(w, "%s has offset %lld of %s instead of %lld and nothing was said",
                           world_group_name(g), (long long)stored, world_topic_name(t), (long long)o->sure);
        }
}

void damage_and_check(struct world *w, bool clean)
{
    w->faults = true;
    doubt = false;
    /* Nobody can know of what was not synced; and where that ends is only written down now and then. */
    for (int t = 0; !clean && t < MODEL_TOPICS; t++)
        for (int p = 0; p < MODEL_PARTITIONS; p++)
            w->model.topics[t].parts[p].synced = 0;
    model_lose_power(&w->model);
    if (rng_once_in(&w->rng, 4))
        add_foreign(w);
    for (unsigned n = rng_once_in(&w->rng, 3) ? 1 + (unsigned)rng_below(&w->rng, 4) : 1; n-- > 0;)
        damage_one(w);
    said = doubt;
    if (op_open(w)) {
        check_damaged(w);
        struct err e;
        broker_close(w->b, &e); /* what is damaged may keep it from being a clean one */
    } else if (!*w->e.text) {
        world_fail(w, "it does not open and does not say why");
    } else {
        world_say(w, "does not open: %s", w->e.text);
    }
    w->b = NULL;
}
