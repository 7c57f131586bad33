/*
 * simdisk: see simdisk.h. A node's live state is always its durable one with all of its changes applied.
 */
#include "tests/power/simdisk.h"

#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
    if (!p)
        abort(); /* a test without memory cannot go on */
    return p;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

static void bytes_set_length(struct sim_bytes *b, size_t n)
{
    if (n > b->cap) {
        b->cap = n + n / 2 + SIM_SECTOR;
        b->data = must(realloc(b->data, b->cap));
    }
    if (n > b->n)
        memset(b->data + b->n, 0, n - b->n);
    b->n = n;
}

static void bytes_write(struct sim_bytes *b, int64_t at, const void *data, size_t n)
{
    if (n == 0)
        return;
    if ((size_t)at + n > b->n)
        bytes_set_length(b, (size_t)at + n);
    memcpy(b->data + at, data, n);
}

static void bytes_copy(struct sim_bytes *to, const struct sim_bytes *from)
{
    to->n = 0;
    bytes_set_length(to, from->n);
    if (from->n)
        memcpy(to->data, from->data, from->n);
}

static void bytes_apply(struct sim_bytes *b, const struct sim_change *c)
{
    if (c->data)
        bytes_write(b, c->at, c->data, c->n);
    else
        bytes_set_length(b, (size_t)c->at);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

struct sim_node *sim_node_new(struct sim_disk *d, bool dir)
{
    struct sim_node *node = must(calloc(1, sizeof *node));
    node->dir = dir;
    node->next = d->all;
    d->all = node;
    return node;
}

static void push_change(struct sim_node *f, int64_t at, const void *data, size_t n)
{
    if ((f->change_count & (f->change_count - 1)) == 0)
        f->changes =
            must(realloc(f->changes, (f->change_count ? f->change_count * 2 : 1) * sizeof *f->changes));
    struct sim_change *c = &f->changes[f->change_count++];
    *c = (struct sim_change){.at = at, .n = n};
    if (data)
        c->data = memcpy(must(malloc(n + 1)), data, n);
}

void sim_file_write(struct sim_node *f, int64_t at, const void *data, size_t n)
{
    bytes_write(&f->live, at, data, n);
    push_change(f, at, data, n);
}

void sim_file_set_length(struct sim_node *f, int64_t length)
{
    bytes_set_length(&f->live, (size_t)length);
    push_change(f, length, NULL, 0);
}

static void drop_changes(struct sim_node *f)
{
    for (size_t i = 0; i < f->change_count; i++)
        free(f->changes[i].data);
    f->change_count = 0;
}

void sim_file_sync(struct sim_node *f)
{
    for (size_t i = 0; i < f->change_count; i++)
        bytes_apply(&f->durable, &f->changes[i]);
    drop_changes(f);
}

/*
 * A length that becomes durable out of turn takes with it what earlier writes left behind it; what was written before
 * and is still waiting must not come back over newer bytes.
 */
static void clip_changes(struct sim_node *f, size_t count, int64_t from, int64_t to)
{
    for (size_t i = 0; i < count; i++) {
        struct sim_change *c = &f->changes[i];
        int64_t end = c->at + (int64_t)c->n;
        if (!c->data || end <= from || c->at >= to)
            continue;
        if (end >
            to) { /* what stands behind becomes a change of its own; where in the order does not matter now */
            push_change(f, to, f->changes[i].data + (to - f->changes[i].at), (size_t)(end - to));
            c = &f->changes[i];
        }
        c->n = c->at < from ? (size_t)(from - c->at) : 0;
    }
}

void sim_file_write_through(struct sim_node *f, int64_t at, const void *data, size_t n)
{
    bytes_write(&f->live, at, data, n);
    for (size_t i = 0; i < f->change_count; i++)
        if (!f->changes[i].data) {
            int64_t length = f->changes[i].at;
            bytes_set_length(&f->durable, (size_t)length);
            clip_changes(f, i, length, INT64_MAX);
            f->changes[i].data = must(malloc(1)); /* done with: an empty write */
            f->changes[i].n = 0;
        }
    clip_changes(f, f->change_count, at, at + (int64_t)n);
    bytes_write(&f->durable, at, data, n);
}

/* ---- names --------------------------------------------------------------------------------------------------------- */

static void names_set(struct sim_names *names, const char *name, struct sim_node *node)
{
    size_t i = 0;
    while (i < names->n && strcmp(names->list[i].name, name) != 0)
        i++;
    if (i < names->n && node) {
        names->list[i].node = node;
    } else if (i < names->n) {
        free(names->list[i].name);
        names->list[i] = names->list[--names->n];
    } else if (node) {
        names->list = must(realloc(names->list, (names->n + 1) * sizeof *names->list));
        names->list[names->n++] = (struct sim_name){must(strdup(name)), node};
    }
}

static void names_free(struct sim_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->list[i].name);
    free(names->list);
    *names = (struct sim_names){0};
}

struct sim_node *sim_dir_find(const struct sim_node *dir, const char *name, size_t n)
{
    for (size_t i = 0; i < dir->names.n; i++)
        if (strncmp(dir->names.list[i].name, name, n) == 0 && dir->names.list[i].name[n] == '\0')
            return dir->names.list[i].node;
    return NULL;
}

static void push_naming(struct sim_disk *d, struct sim_node *dir, const char *name, struct sim_node *node)
{
    dir->namings = must(realloc(dir->namings, (dir->naming_count + 1) * sizeof *dir->namings));
    dir->namings[dir->naming_count++] = (struct sim_naming){d->numbers, must(strdup(name)), node};
    names_set(&dir->names, name, node);
}

void sim_dir_set(struct sim_disk *d, struct sim_node *dir, const char *name, struct sim_node *node)
{
    d->numbers++;
    push_naming(d, dir, name, node);
}

void sim_dir_rename(struct sim_disk *d, struct sim_node *dir, const char *from, const char *to)
{
    struct sim_node *node = sim_dir_find(dir, from, strlen(from));
    d->numbers++;
    push_naming(d, dir, to, node);
    push_naming(d, dir, from, NULL);
}

static void drop_namings(struct sim_node *dir)
{
    for (size_t i = 0; i < dir->naming_count; i++)
        free(dir->namings[i].name);
    dir->naming_count = 0;
}

void sim_dir_sync(struct sim_node *dir)
{
    for (size_t i = 0; i < dir->naming_count; i++)
        names_set(&dir->durable_names, dir->namings[i].name, dir->namings[i].node);
    drop_namings(dir);
}

/* ---- the cut -------------------------------------------------------------------------------------------------------- */

/* How the changes of one file, or of the names in one directory, fare. */
enum fate { NOTHING, EVERYTHING, FIRST_ONES, ANY, FATES };

static enum fate choose_fate(struct sim_disk *d)
{
    return (enum fate)rng_below(&d->rng, FATES);
}

/* Any of its sectors, each as a whole; and the length perhaps without the bytes. */
static void tear(struct sim_disk *d, struct sim_bytes *b, const struct sim_change *c)
{
    size_t chance = 1 + rng_below(&d->rng, 3);
    if (rng_once_in(&d->rng, 4) && (size_t)c->at + c->n > b->n)
        bytes_set_length(b, (size_t)c->at + c->n);
    for (size_t from = 0, n; from < c->n; from += n) {
        n = SIM_SECTOR - (size_t)(c->at + (int64_t)from) % SIM_SECTOR;
        n = n > c->n - from ? c->n - from : n;
        if (rng_below(&d->rng, 4) < chance)
            bytes_write(b, c->at + (int64_t)from, c->data + from, n);
    }
}

static void settle_file(struct sim_disk *d, struct sim_node *f, enum fate fate)
{
    size_t first = rng_below(&d->rng, f->change_count + 1);
    for (size_t i = 0; i < f->change_count; i++) {
        const struct sim_change *c = &f->changes[i];
        bool whole = fate == EVERYTHING || (fate == FIRST_ONES && i < first) ||
                     (fate == ANY && rng_once_in(&d->rng, 2));
        bool torn = (fate == FIRST_ONES && i == first) || (fate == ANY && rng_once_in(&d->rng, 2));
        if (whole)
            bytes_apply(&f->durable, c);
        else if (torn && c->data)
            tear(d, &f->durable, c);
    }
    drop_changes(f);
    bytes_copy(&f->live, &f->durable);
}

/* The first ones: file systems with a journal keep the order of a directory's changes. */
static void settle_names(struct sim_disk *d, struct sim_node *dir, enum fate fate)
{
    size_t first = rng_below(&d->rng, dir->naming_count + 1);
    size_t kept = fate == EVERYTHING ? dir->naming_count : fate == NOTHING ? 0 : first;
    for (size_t i = 0; i < dir->naming_count; i++) {
        const struct sim_naming *c = &dir->namings[i];
        if (i == kept && i > 0 && dir->namings[i - 1].number == c->number)
            kept++; /* both halves of a renaming or none */
        if (i < kept)
            names_set(&dir->durable_names, c->name, c->node);
    }
    drop_namings(dir);
    names_free(&dir->names);
    for (size_t i = 0; i < dir->durable_names.n; i++)
        names_set(&dir->names, dir->durable_names.list[i].name, dir->durable_names.list[i].node);
}

void sim_disk_settle(struct sim_disk *d)
{
    /* One cut in four treats all alike: what was not synced is gone, or all of it is there. */
    bool alike = rng_once_in(&d->rng, 4);
    enum fate all = rng_once_in(&d->rng, 2) ? NOTHING : EVERYTHING;
    for (struct sim_node *node = d->all; node; node = node->next) {
        node->reserved = 0;
        if (node->change_count)
            settle_file(d, node, alike ? all : choose_fate(d));
        if (node->naming_count)
            settle_names(d, node, alike ? all : choose_fate(d));
    }
}

/* ---- its life ---------------------------------------------------------------------------------------------------- */

void sim_disk_init(struct sim_disk *d, uint64_t seed)
{
    *d = (struct sim_disk){.rng = {seed}};
    d->root = sim_node_new(d, true);
}

void sim_disk_free(struct sim_disk *d)
{
    for (struct sim_node *node = d->all, *next; node; node = next) {
        next = node->next;
        drop_changes(node);
        drop_namings(node);
        names_free(&node->names);
        names_free(&node->durable_names);
        free(node->changes);
        free(node->namings);
        free(node->live.data);
        free(node->durable.data);
        free(node);
    }
    *d = (struct sim_disk){0};
}
