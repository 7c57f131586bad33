/*
 * log_parent: see log_parent.h.
 */
#include "storage/log_parent.h"

#include "base/io.h"
#include "base/thread.h"

void log_parent_init(struct log_parent *p, const char *path)
{
    *p = (struct log_parent){.path = path};
    atomic_init(&p->made, 0);
    mutex_init(&p->lock);
}

void log_parent_free(struct log_parent *p)
{
    pthread_mutex_destroy(&p->lock);
}

uint64_t log_parent_made(struct log_parent *p)
{
    return atomic_fetch_add(&p->made, 1) + 1;
}

/* Only a sync that was tried says something about names; one that found no file to open does not. */
static int sync_now(struct log_parent *p, struct err *e)
{
    uint64_t upto = atomic_load(&p->made); /* what is made from here on may come too late for it */
    int rc = io_sync_dir(p->path, e);
    if (rc == ERR_OK) {
        p->synced = upto;
    } else if (e->fatal) {
        p->failed = true;
        p->why = *e;
    }
    return rc;
}

int log_parent_sync(struct log_parent *p, uint64_t made, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&p->lock);
    if (p->failed && p->synced < made) {
        *e = p->why;
        rc = e->code;
    } else if (p->synced < made) {
        rc = sync_now(p, e);
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}
