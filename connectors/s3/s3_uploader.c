/*
 * s3_uploader: see s3_uploader.h. One lock, a leaf; the jobs run without it.
 */
#include "s3_uploader.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

struct s3_uploader {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* anything below */
    struct s3_job *waiting, **waiting_end;
    struct s3_job *over, **over_end;
    bool stop, hurry;
    struct err failed; /* of the first job that did */
    /* the task thread's: */
    pthread_t thread;
    bool started;
    size_t count;
    int fd; /* eventfd: readable since a job was over */
};

int uploader_new(struct s3_uploader **out, struct err *e)
{
    struct s3_uploader *u = mem_calloc(1, sizeof *u);

    *out = NULL;
    if (!u)
        return err_nomem(e);
    u->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (u->fd < 0) {
        err_sys(e, errno, "cannot make an eventfd");
        mem_free(u);
        return e->code;
    }
    mutex_init(&u->lock);
    cond_init(&u->changed);
    u->waiting_end = &u->waiting;
    u->over_end = &u->over;
    *out = u;
    return ERR_OK;
}

void uploader_free(struct s3_uploader *u)
{
    if (!u)
        return;
    close(u->fd);
    pthread_cond_destroy(&u->changed);
    pthread_mutex_destroy(&u->lock);
    mem_free(u);
}

/* With the lock. */
static struct s3_job *next_waiting(struct s3_uploader *u)
{
    struct s3_job *job = u->waiting;

    u->waiting = job->next;
    if (!u->waiting)
        u->waiting_end = &u->waiting;
    job->next = NULL;
    return job;
}

/* With the lock. */
static void set_over(struct s3_uploader *u, struct s3_job *job)
{
    uint64_t one = 1;

    *u->over_end = job;
    u->over_end = &job->next;
    pthread_cond_broadcast(&u->changed);
    /* It takes a write unless its counter is about to overflow, and then it is readable anyway. */
    if (write(u->fd, &one, sizeof one) < 0)
        return;
}

static void *run(void *arg)
{
    struct s3_uploader *u = arg;

    pthread_mutex_lock(&u->lock);
    while (!u->stop) {
        struct s3_job *job;

        if (!u->waiting) {
            pthread_cond_wait(&u->changed, &u->lock);
            continue;
        }
        job = next_waiting(u);
        if (u->failed.code) {
            job->error = u->failed;
        } else {
            pthread_mutex_unlock(&u->lock);
            if (job->run(job, &job->error) == ERR_OK)
                err_clear(&job->error); /* an earlier try may have left its words */
            pthread_mutex_lock(&u->lock);
            u->failed = job->error;
        }
        set_over(u, job);
    }
    while (u->waiting) {
        struct s3_job *job = next_waiting(u);

        err_set(&job->error, ERR_INTERRUPTED, "not begun before the task stopped");
        set_over(u, job);
    }
    pthread_mutex_unlock(&u->lock);
    return NULL;
}

int uploader_give(struct s3_uploader *u, struct s3_job *job, struct err *e)
{
    if (!u->started && thread_start(&u->thread, "s3-upload", run, u, e))
        return e->code;
    u->started = true;
    u->count++;
    job->next = NULL;
    err_clear(&job->error);
    pthread_mutex_lock(&u->lock);
    *u->waiting_end = job;
    u->waiting_end = &job->next;
    pthread_cond_broadcast(&u->changed);
    pthread_mutex_unlock(&u->lock);
    return ERR_OK;
}

struct s3_job *uploader_take(struct s3_uploader *u)
{
    struct s3_job *job;

    pthread_mutex_lock(&u->lock);
    job = u->over;
    if (job) {
        u->over = job->next;
        if (!u->over)
            u->over_end = &u->over;
        job->next = NULL;
        u->count--;
    }
    pthread_mutex_unlock(&u->lock);
    return job;
}

size_t uploader_count(const struct s3_uploader *u)
{
    return u->count;
}

static void hurry(struct s3_uploader *u)
{
    pthread_mutex_lock(&u->lock);
    u->hurry = true;
    pthread_cond_broadcast(&u->changed);
    pthread_mutex_unlock(&u->lock);
}

static bool any_over(struct s3_uploader *u)
{
    bool any;

    pthread_mutex_lock(&u->lock);
    any = u->over != NULL;
    pthread_mutex_unlock(&u->lock);
    return any;
}

void uploader_await(struct s3_uploader *u, bool (*wait)(void *arg, int fd), void *arg)
{
    uint64_t events;
    bool asked = false;

    while (u->count > 0 && wait && !asked && !any_over(u)) {
        if (!wait(arg, u->fd)) {
            hurry(u);
            asked = true;
        }
        if (read(u->fd, &events, sizeof events) < 0 && errno != EAGAIN)
            break; /* it cannot fail; if it did, the loop below waits all the same */
    }
    pthread_mutex_lock(&u->lock);
    while (u->count > 0 && !u->over)
        pthread_cond_wait(&u->changed, &u->lock);
    pthread_mutex_unlock(&u->lock);
}

void uploader_pause(struct s3_uploader *u, int64_t ms)
{
    struct timespec deadline = clock_deadline_ms(ms);

    pthread_mutex_lock(&u->lock);
    while (!u->hurry && cond_wait_until(&u->changed, &u->lock, &deadline))
        ;
    pthread_mutex_unlock(&u->lock);
}

void uploader_stop(struct s3_uploader *u)
{
    if (!u->started)
        return;
    pthread_mutex_lock(&u->lock);
    u->stop = u->hurry = true;
    pthread_cond_broadcast(&u->changed);
    pthread_mutex_unlock(&u->lock);
    pthread_join(u->thread, NULL);
    u->started = false;
}
