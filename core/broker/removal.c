/*
 * removal: see removal.h. Upkeep removes, without any lock; what fails then is said and left to the next start.
 */
#include "broker/removal.h"

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/store.h"
#include "broker/upkeep.h"

enum { AT_ONCE = 64 }; /* directories in a round: other upkeep is not to be late */

struct removal {
    struct removal *next;
    char *path;
    int64_t due; /* clock_mono_ms */
};

void removals_init(struct removals *r)
{
    mutex_init(&r->lock);
    r->list = NULL;
}

void removals_free(struct removals *r)
{
    removal_forget(r->list);
    pthread_mutex_destroy(&r->lock);
}

void removal_push(struct removal **list, char *path)
{
    struct removal *x = mem_calloc(1, sizeof *x);
    if (!x) {
        diag_warn("broker", "%s stays until the next start: out of memory", path);
        mem_free(path);
        return;
    }
    x->path = path;
    x->next = *list;
    *list = x;
}

static struct removal *take_first(struct removal **list)
{
    struct removal *x = *list;
    *list = x->next;
    return x;
}

static void free_one(struct removal *x)
{
    mem_free(x->path);
    mem_free(x);
}

void removal_forget(struct removal *list)
{
    while (list)
        free_one(take_first(&list));
}

void removal_run(struct removal *list)
{
    while (list) {
        struct removal *x = take_first(&list);
        struct err e;
        if (io_remove_tree(x->path, &e))
            diag_warn("broker", "%s; the next start tries again", e.text);
        free_one(x);
    }
}

void removals_add(struct broker *b, struct removal *list, int64_t due)
{
    struct removals *r = &b->removals;
    pthread_mutex_lock(&r->lock);
    while (list) {
        struct removal *x = take_first(&list);
        x->due = due;
        x->next = r->list;
        r->list = x;
    }
    pthread_mutex_unlock(&r->lock);
    upkeep_poke(b, due);
}

int64_t removals_round(struct broker *b, int64_t now)
{
    struct removals *r = &b->removals;
    struct removal *due = NULL;
    int64_t next = INT64_MAX;
    int n = 0;
    pthread_mutex_lock(&r->lock);
    for (struct removal **at = &r->list; *at;) {
        if ((*at)->due <= now && n < AT_ONCE) {
            struct removal *x = take_first(at);
            x->next = due;
            due = x;
            n++;
            continue;
        }
        next = (*at)->due < next ? (*at)->due : next;
        at = &(*at)->next;
    }
    pthread_mutex_unlock(&r->lock);
    removal_run(due);
    return next;
}
