/*
 * work_dir: directories of a task's own below the data directory. `work/<connector>-<task>` holds what need not outlive an
 * attempt to run, and is empty when one begins; what a killed hub left goes at the first apply, too. `kept/<connector>-<task>`
 * stays for as long as its connector is configured and its task asks for it.
 */
#include <stdio.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/data_dir.h"
#include "connect/task.h"

int work_dirs_clear(struct client *c, struct err *e)
{
    char *path = mem_printf("%s/" WORK_DIR_NAME, client_data_dir(c));
    int rc = path == NULL ? err_nomem(e) : io_remove_tree(path, e);
    mem_free(path);
    return rc;
}

static char *path_of(const struct leat_task *t, const char *kind)
{
    return mem_printf("%s/%s/%s", client_data_dir(t->set->client), kind, t->label);
}

/* *dir, made if it was not asked for yet in this attempt. */
static const char *ask_for(struct leat_task *t, const char *kind, bool empty, char **dir)
{
    struct err e;
    if (t->wake_fd < 0 || !t->attempting) {
        task_fail(t, LEAT_FAIL, "the directory %s is for a task that runs", kind);
        return NULL;
    }
    if (*dir != NULL)
        return *dir;
    char *path = path_of(t, kind);
    int rc = path == NULL ? err_nomem(&e) : empty ? io_remove_tree(path, &e) : ERR_OK;
    rc = rc == ERR_OK ? io_mkdirs(path, 0700, &e) : rc;
    if (rc != ERR_OK) {
        mem_free(path);
        err_wrap(&e, "the task's directory in %s", kind);
        task_fail_err(t, &e);
        return NULL;
    }
    *dir = path;
    return path;
}

const char *task_work_dir(struct leat_task *t)
{
    return ask_for(t, WORK_DIR_NAME, true, &t->work_dir);
}

void task_clear_work_dir(struct leat_task *t)
{
    struct err e;
    if (t->work_dir != NULL && io_remove_tree(t->work_dir, &e) != ERR_OK)
        diag_warn("connect", "%s: its work directory stays: %s", t->label, e.text);
    mem_free(t->work_dir);
    t->work_dir = NULL;
    mem_free(t->keep_dir);
    t->keep_dir = NULL;
}

/* ---- what is kept ---- */

const char *task_keep_dir(struct leat_task *t)
{
    return ask_for(t, KEEP_DIR_NAME, false, &t->keep_dir);
}

void task_drop_kept(struct leat_task *t)
{
    struct err e;
    if (t->keep_dir != NULL)
        return;
    char *path = path_of(t, KEEP_DIR_NAME);
    if ((path == NULL ? err_nomem(&e) : io_remove_tree(path, &e)) != ERR_OK)
        diag_warn("connect", "%s: what it kept before stays: %s", t->label, e.text);
    mem_free(path);
}

struct forgetting {
    const char *dir;
    bool (*there)(void *arg, const char *connector, int task);
    void *arg;
};

/* `<connector>-<task>`: the connector's own name may have hyphens, too. */
static int forget(void *arg, const char *name, struct err *e)
{
    struct forgetting *f = arg;
    const char *end = strrchr(name, '-');
    char *connector = mem_strndup(name, end == NULL ? strlen(name) : (size_t)(end - name));
    int task;
    if (connector == NULL)
        return err_nomem(e);
    bool stays = end != NULL && sscanf(end + 1, "%d", &task) == 1 && f->there(f->arg, connector, task);
    mem_free(connector);
    if (stays)
        return ERR_OK;
    char *path = mem_printf("%s/%s", f->dir, name);
    int rc = path == NULL ? err_nomem(e) : io_remove_tree(path, e);
    mem_free(path);
    return rc;
}

int keep_dirs_forget(struct client *c, bool (*there)(void *arg, const char *connector, int task), void *arg,
                     struct err *e)
{
    char *dir = mem_printf("%s/" KEEP_DIR_NAME, client_data_dir(c));
    if (dir == NULL)
        return err_nomem(e);
    struct forgetting f = {dir, there, arg};
    int rc = io_exists(dir) ? io_list(dir, forget, &f, e) : ERR_OK;
    mem_free(dir);
    return rc;
}
