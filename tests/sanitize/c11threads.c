/*
 * c11threads: C's threads, mutexes and conditions by POSIX's, for the thread sanitizer: it knows those only, and a thread that glibc's
 * thrd_create makes (librdkafka does) ends the program in its runtime. Linked into every program of SANITIZE=thread; glibc's types of both
 * kinds are the same ones (C11 7.26, nptl).
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "mutexes");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "conditions");
_Static_assert(sizeof(thrd_t) == sizeof(pthread_t), "threads");

#define SEEN __attribute__((visibility("default")))

struct start {
    thrd_start_t run;
    void *arg;
};

static int outcome(int error)
{
    switch (error) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    case EBUSY:
        return thrd_busy;
    default:
        return thrd_error;
    }
}

static void *begin(void *arg)
{
    struct start s = *(struct start *)arg;
    free(arg);
    return (void *)(intptr_t)s.run(s.arg);
}

SEEN int thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
    struct start *s = malloc(sizeof *s);
    if (!s)
        return thrd_nomem;
    *s = (struct start){run, arg};
    int error = pthread_create(thread, NULL, begin, s);
    if (error)
        free(s);
    return outcome(error);
}

SEEN int thrd_join(thrd_t thread, int *result)
{
    void *value = NULL;
    int error = pthread_join(thread, &value);
    if (result)
        *result = (int)(intptr_t)value;
    return outcome(error);
}

SEEN int thrd_detach(thrd_t thread)
{
    return outcome(pthread_detach(thread));
}

SEEN int mtx_init(mtx_t *m, int type)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    if (type & mtx_recursive)
        pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    int error = pthread_mutex_init((pthread_mutex_t *)m, &attr);
    pthread_mutexattr_destroy(&attr);
    return outcome(error);
}

SEEN void mtx_destroy(mtx_t *m)
{
    pthread_mutex_destroy((pthread_mutex_t *)m);
}

SEEN int mtx_lock(mtx_t *m)
{
    return outcome(pthread_mutex_lock((pthread_mutex_t *)m));
}

SEEN int mtx_trylock(mtx_t *m)
{
    return outcome(pthread_mutex_trylock((pthread_mutex_t *)m));
}

SEEN int mtx_unlock(mtx_t *m)
{
    return outcome(pthread_mutex_unlock((pthread_mutex_t *)m));
}

SEEN int cnd_init(cnd_t *c)
{
    return outcome(pthread_cond_init((pthread_cond_t *)c, NULL));
}

SEEN void cnd_destroy(cnd_t *c)
{
    pthread_cond_destroy((pthread_cond_t *)c);
}

SEEN int cnd_signal(cnd_t *c)
{
    return outcome(pthread_cond_signal((pthread_cond_t *)c));
}

SEEN int cnd_broadcast(cnd_t *c)
{
    return outcome(pthread_cond_broadcast((pthread_cond_t *)c));
}

SEEN int cnd_wait(cnd_t *c, mtx_t *m)
{
    return outcome(pthread_cond_wait((pthread_cond_t *)c, (pthread_mutex_t *)m));
}

SEEN int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m, const struct timespec *restrict until)
{
    return outcome(pthread_cond_timedwait((pthread_cond_t *)c, (pthread_mutex_t *)m, until));
}
