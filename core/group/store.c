/*
 * store: groups' records on their way to the log and back at a start. See store.h and internal.h.
 */
#include "group/store.h"

#include <string.h>

#include "base/diag.h"
#include "base/mem.h"
#include "group/consumer_internal.h"

struct writing {
    struct groups *all;
    struct group *g;
    group_stored_fn *done;
    void *arg;
};

static int16_t code_of(const struct err *e)
{
    return e->code == ERR_OK ? GROUP_OK : e->code == ERR_TOO_LARGE ? GROUP_NO_MEMORY : GROUP_NOT_AVAILABLE;
}

static void one_less(struct groups *all)
{
    pthread_mutex_lock(&all->clock);
    if (atomic_fetch_sub(&all->writes, 1) == 1)
        pthread_cond_broadcast(&all->written);
    pthread_mutex_unlock(&all->clock);
}

/* A thread of the store's. */
static void written(void *arg, const struct err *e)
{
    struct writing *w = arg;
    struct groups *all = w->all;
    struct group *g = w->g;
    if (e->code != ERR_OK)
        diag_warn("kafka", "group %s: its state was not written: %s", g->id, e->text);
    struct shard *s = shard_lock(all, string_of(g->id));
    if (w->done != NULL)
        w->done(all, g, w->arg, code_of(e));
    if (--g->writes == 0 && g->gone)
        group_free(g);
    shard_unlock(s);
    mem_free(w);
    one_less(all);
}

int16_t group_store_records(struct groups *all, struct group *g, const struct group_record *records, size_t n,
                            group_stored_fn *done, void *arg)
{
    struct err e;
    if (all->o.store.write == NULL) {
        if (done != NULL)
            done(all, g, arg, GROUP_OK);
        return GROUP_OK;
    }
    struct writing *w = mem_calloc(1, sizeof *w);
    if (w == NULL)
        return GROUP_NO_MEMORY;
    *w = (struct writing){all, g, done, arg};
    g->writes++;
    atomic_fetch_add(&all->writes, 1);
    if (all->o.store.write(all->o.store.arg, g->id, records, n, written, w, &e) == ERR_OK) {
        g->recorded = true;
        return GROUP_OK;
    }
    diag_warn("kafka", "group %s: its state was not written: %s", g->id, e.text);
    g->writes--;
    mem_free(w);
    one_less(all);
    return code_of(&e);
}

void groups_wait_for_writes(struct groups *all)
{
    pthread_mutex_lock(&all->clock);
    while (atomic_load(&all->writes) > 0)
        pthread_cond_wait(&all->written, &all->clock);
    pthread_mutex_unlock(&all->clock);
}

/* ---- at start ---- */

/* By the version of its key. What nobody here knows stays in the log as it is. */
static int load_one(void *to, const struct group_record *r, struct err *e)
{
    struct slice in = slice_of(r->key, r->key_len);
    int16_t version;
    int rc = slice_i16(&in, &version, e);
    if (rc == ERR_OK && version == KEY_CLASSIC)
        rc = group_load_classic(to, r, e);
    else if (rc == ERR_OK && group_is_consumer_key(version))
        rc = group_load_consumer(to, r, e);
    if (rc != ERR_OK &&
        rc !=
            ERR_NO_MEMORY) { /* the group begins anew; what is not understood must not keep the hub from starting */
        diag_warn("kafka", "a group's record is passed over: %s", e->text);
        rc = ERR_OK;
    }
    return rc;
}

int groups_load(struct groups *all, struct err *e)
{
    int rc = all->o.store.load != NULL ? all->o.store.load(all->o.store.arg, load_one, all, e) : ERR_OK;
    if (rc == ERR_OK)
        groups_loaded(all);
    return rc;
}
