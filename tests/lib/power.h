/*
 * power: what a loss of power leaves of a directory. A model of it follows every change that base/io makes (io_watch):
 * what was synced stays, of the rest a random part: any sectors of any write, any truncation, and of the changes of
 * names in a directory the first few (file systems keep their order). Images are cut at chosen moments while the
 * program goes on.
 *
 * One model at a time. Its lock is a leaf.
 */
#ifndef LEAT_TESTS_POWER_H
#define LEAT_TESTS_POWER_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io_watch.h"

enum { POWER_SECTOR = 512, POWER_FDS = 4096 };

struct power_node;

/* A change of a file (write, truncation) or of a directory (a name set, or with node NULL removed). */
struct power_op {
    uint64_t seq;
    bool complete;
    bool cut;
    int64_t offset; /* CUT: the length */
    size_t n;
    uint8_t *data;
    char *name;
    struct power_node *node;
};

struct power_name {
    char *name;
    struct power_node *node;
};

struct power_names {
    struct power_name *list;
    size_t n;
};

struct power_node {
    bool dir;
    uint8_t *data; /* durable */
    size_t n;
    struct power_names live, durable;
    struct power_op *ops; /* not synced, in order */
    size_t op_count;
    struct power_node *next; /* all of the model */
};

struct power {
    pthread_mutex_t lock;
    char *root_path;
    struct power_node *root, *all;
    struct {
        struct power_node *node;
        bool direct_sync;
    } fds[POWER_FDS];
    uint64_t seq, events, cut_at; /* an image is cut at this event */
    unsigned seed;
    void (*on_cut)(void *arg); /* under the lock */
    void *arg;
};

/* ---- nodes --------------------------------------------------------------------------------------------------------- */

static inline struct power_node *power_node_new(struct power *m, bool dir)
{
    struct power_node *node = calloc(1, sizeof *node);
    node->dir = dir;
    node->next = m->all;
    m->all = node;
    return node;
}

static inline struct power_node *power_name_get(const struct power_names *names, const char *name, size_t n)
{
    for (size_t i = 0; i < names->n; i++)
        if (strlen(names->list[i].name) == n && memcmp(names->list[i].name, name, n) == 0)
            return names->list[i].node;
    return NULL;
}

static inline void power_name_set(struct power_names *names, const char *name, struct power_node *node)
{
    size_t i = 0;
    while (i < names->n && strcmp(names->list[i].name, name) != 0)
        i++;
    if (i == names->n && !node)
        return;
    if (i == names->n) {
        names->list = realloc(names->list, (names->n + 1) * sizeof *names->list);
        names->list[names->n++] = (struct power_name){strdup(name), node};
    } else if (node) {
        names->list[i].node = node;
    } else {
        free(names->list[i].name);
        names->list[i] = names->list[--names->n];
    }
}

static inline void power_names_free(struct power_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->list[i].name);
    free(names->list);
    *names = (struct power_names){0};
}

/* The directory that holds `path` and the last part of it; NULL: not below the root. */
static inline struct power_node *power_parent(struct power *m, const char *path, const char **last)
{
    size_t n = strlen(m->root_path);
    if (strncmp(path, m->root_path, n) != 0 || path[n] != '/')
        return NULL;
    struct power_node *at = m->root;
    const char *part = path + n + 1;
    for (const char *slash; at && (slash = strchr(part, '/')); part = slash + 1)
        at = power_name_get(&at->live, part, (size_t)(slash - part));
    *last = part;
    return at;
}

static inline struct power_node *power_find(struct power *m, const char *path)
{
    const char *last;
    if (strcmp(path, m->root_path) == 0)
        return m->root;
    struct power_node *dir = power_parent(m, path, &last);
    return dir ? power_name_get(&dir->live, last, strlen(last)) : NULL;
}

static inline struct power_op *power_op_add(struct power *m, struct power_node *node)
{
    node->ops = realloc(node->ops, (node->op_count + 1) * sizeof *node->ops);
    node->ops[node->op_count] = (struct power_op){.seq = m->seq};
    return &node->ops[node->op_count++];
}

static inline void power_name_op(struct power *m, struct power_node *dir, const char *name,
                                 struct power_node *node)
{
    struct power_op *op = power_op_add(m, dir);
    op->complete = true;
    op->name = strdup(name);
    op->node = node;
    power_name_set(&dir->live, name, node);
}

/* ---- syncs --------------------------------------------------------------------------------------------------------- */

static inline void power_grow(uint8_t **data, size_t *n, size_t to)
{
    if (to > *n) {
        *data = realloc(*data, to);
        memset(*data + *n, 0, to - *n);
        *n = to;
    }
}

static inline void power_apply(uint8_t **data, size_t *n, const struct power_op *op)
{
    if (op->cut) {
        power_grow(data, n, (size_t)op->offset);
        *n = (size_t)op->offset;
    } else {
        power_grow(data, n, (size_t)op->offset + op->n);
        memcpy(*data + op->offset, op->data, op->n);
    }
}

/* What was complete when the sync began is durable. */
static inline void power_sync(struct power_node *node, uint64_t seq)
{
    size_t kept = 0;
    for (size_t i = 0; i < node->op_count; i++) {
        struct power_op *op = &node->ops[i];
        if (!op->complete || op->seq > seq) {
            node->ops[kept++] = *op;
            continue;
        }
        if (node->dir)
            power_name_set(&node->durable, op->name, op->node);
        else
            power_apply(&node->data, &node->n, op);
        free(op->data);
        free(op->name);
    }
    node->op_count = kept;
}

/* ---- the image ----------------------------------------------------------------------------------------------------- */

static inline unsigned power_random(struct power *m, unsigned n)
{
    return (unsigned)rand_r(&m->seed) % n;
}

static inline void power_write_image(const char *path, const uint8_t *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n)
        abort();
    close(fd);
}

/* `luck` of 8: how much of what was not synced is there. */
static inline void power_image_file(struct power *m, struct power_node *node, const char *path, unsigned luck)
{
    size_t n = node->n;
    uint8_t *data = malloc(n + 1);
    if (n)
        memcpy(data, node->data, n);
    for (size_t i = 0; i < node->op_count; i++) {
        struct power_op op = node->ops[i];
        if (power_random(m, 8) < luck) {
            power_apply(&data, &n, &op);
        } else if (luck && !op.cut && power_random(m, 2)) {
            for (size_t at = 0; at < op.n; at += POWER_SECTOR) {
                struct power_op part = op;
                part.offset += (int64_t)at;
                part.data += at;
                part.n = op.n - at < POWER_SECTOR ? op.n - at : POWER_SECTOR;
                if (power_random(m, 2))
                    power_apply(&data, &n, &part);
            }
        }
    }
    power_write_image(path, data, n);
    free(data);
}

static inline void power_image(struct power *m, struct power_node *dir, const char *path, unsigned luck)
{
    struct power_names names = {0};
    char child[4096];
    mkdir(path, 0700);
    for (size_t i = 0; i < dir->durable.n; i++)
        power_name_set(&names, dir->durable.list[i].name, dir->durable.list[i].node);
    size_t keep = luck == 8 ? dir->op_count : luck ? power_random(m, (unsigned)dir->op_count + 1) : 0;
    for (size_t i = 0; i < dir->op_count; i++) /* both halves of a renaming have one number */
        if (i < keep || (i && keep && dir->ops[i].seq == dir->ops[keep - 1].seq))
            power_name_set(&names, dir->ops[i].name, dir->ops[i].node);
    for (size_t i = 0; i < names.n; i++) {
        snprintf(child, sizeof child, "%s/%s", path, names.list[i].name);
        if (names.list[i].node->dir)
            power_image(m, names.list[i].node, child, luck);
        else
            power_image_file(m, names.list[i].node, child, luck);
    }
    power_names_free(&names);
}

/* ---- following ----------------------------------------------------------------------------------------------------- */

static inline void power_open(struct power *m, const struct io_event *ev)
{
    const char *last;
    struct power_node *dir = power_parent(m, ev->path, &last), *node = power_find(m, ev->path);
    if (ev->fd >= POWER_FDS)
        abort();
    if (!node && dir && (ev->flags & O_CREAT)) {
        node = power_node_new(m, false);
        power_name_op(m, dir, last, node);
    } else if (node && (ev->flags & O_TRUNC)) {
        struct power_op *op = power_op_add(m, node);
        op->cut = op->complete = true;
    }
    m->fds[ev->fd].node = node;
    m->fds[ev->fd].direct_sync = (ev->flags & O_DSYNC) == O_DSYNC;
}

static inline void power_change(struct power *m, struct io_event *ev)
{
    struct power_node *node = m->fds[ev->fd].node;
    if (!node)
        return;
    if (ev->done) {
        for (size_t i = 0; i < node->op_count; i++)
            if (node->ops[i].seq == (uint64_t)(uintptr_t)ev->note)
                node->ops[i].complete = true;
        if (m->fds[ev->fd].direct_sync)
            power_sync(node, UINT64_MAX);
        return;
    }
    struct power_op *op = power_op_add(m, node);
    ev->note = (void *)(uintptr_t)op->seq;
    op->offset = ev->offset;
    op->cut = ev->op == IO_OP_TRUNCATE;
    for (int i = 0; !op->cut && i < ev->iovcnt; i++) {
        op->data = realloc(op->data, op->n + ev->iov[i].iov_len + 1);
        memcpy(op->data + op->n, ev->iov[i].iov_base, ev->iov[i].iov_len);
        op->n += ev->iov[i].iov_len;
    }
}

static inline void power_rename(struct power *m, const struct io_event *ev)
{
    const char *from, *to;
    struct power_node *dir = power_parent(m, ev->path, &from), *other = power_parent(m, ev->to, &to);
    struct power_node *node = dir ? power_find(m, ev->path) : NULL;
    if (!node)
        return;
    if (dir != other)
        abort(); /* nobody does that */
    power_name_op(m, dir, to, node);
    power_name_op(m, dir, from, NULL);
}

static inline void power_event(void *arg, struct io_event *ev)
{
    struct power *m = arg;
    const char *last;
    struct power_node *dir;
    pthread_mutex_lock(&m->lock);
    m->seq++;
    if (ev->op == IO_OP_OPEN) {
        power_open(m, ev);
    } else if (ev->op == IO_OP_WRITE || ev->op == IO_OP_TRUNCATE) {
        power_change(m, ev);
    } else if (ev->op == IO_OP_SYNC) {
        if (!ev->done)
            ev->note = (void *)(uintptr_t)m->seq;
        else if (m->fds[ev->fd].node)
            power_sync(m->fds[ev->fd].node, (uint64_t)(uintptr_t)ev->note);
    } else if (ev->done && ev->op == IO_OP_RENAME) {
        power_rename(m, ev);
    } else if (ev->done && (dir = power_parent(m, ev->path, &last))) {
        power_name_op(m, dir, last, ev->op == IO_OP_MKDIR ? power_node_new(m, true) : NULL);
    }
    if (++m->events == m->cut_at)
        m->on_cut(m->arg);
    pthread_mutex_unlock(&m->lock);
}

/* ---- its life ------------------------------------------------------------------------------------------------------ */

static inline void power_load(struct power *m, struct power_node *dir, const char *path)
{
    char child[4096];
    struct stat st;
    DIR *d = opendir(path);
    for (struct dirent *en; d && (en = readdir(d));) {
        if (strcmp(en->d_name, ".") == 0 || strcmp(en->d_name, "..") == 0)
            continue;
        snprintf(child, sizeof child, "%s/%s", path, en->d_name);
        if (lstat(child, &st) != 0)
            abort();
        struct power_node *node = power_node_new(m, S_ISDIR(st.st_mode));
        power_name_set(&dir->durable, en->d_name, node);
        power_name_set(&dir->live, en->d_name, node);
        if (node->dir) {
            power_load(m, node, child);
            continue;
        }
        int fd = open(child, O_RDONLY);
        node->n = (size_t)st.st_size;
        node->data = malloc(node->n + 1);
        if (fd < 0 || read(fd, node->data, node->n) != (ssize_t)node->n)
            abort();
        close(fd);
    }
    if (d)
        closedir(d);
}

/* Follows `root`, whose present content counts as synced. */
static inline void power_start(struct power *m, const char *root, unsigned seed, void (*on_cut)(void *arg),
                               void *arg)
{
    memset(m, 0, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    m->root_path = strdup(root);
    m->root = power_node_new(m, true);
    m->seed = seed;
    m->on_cut = on_cut;
    m->arg = arg;
    power_load(m, m->root, root);
    io_watch(power_event, m);
}

static inline void power_stop(struct power *m)
{
    io_watch(NULL, NULL);
    for (struct power_node *node = m->all, *next; node; node = next) {
        next = node->next;
        for (size_t i = 0; i < node->op_count; i++) {
            free(node->ops[i].data);
            free(node->ops[i].name);
        }
        power_names_free(&node->live);
        power_names_free(&node->durable);
        free(node->ops);
        free(node->data);
        free(node);
    }
    pthread_mutex_destroy(&m->lock);
    free(m->root_path);
}

#endif
