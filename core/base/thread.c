/*
 * thread: see thread.h. Signals are blocked in every thread but main, which handles them.
 */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int thread_start(pthread_t *t, const char *name, void *(*run)(void *), void *arg, struct err *e)
{
    sigset_t all, old;
    pthread_attr_t attr;
    sigfillset(&all);
    /* A fault must still kill the process at the place where it happens. */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    pthread_attr_init(&attr);
    /* Only touched pages count; plugins' libraries (TLS, regex) want room. */
    pthread_attr_setstacksize(&attr, 1 << 20);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(t, &attr, run, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (rc)
        return err_sys(e, rc, "cannot start thread %s", name);
    char shown[16];
    strncpy(shown, name, sizeof shown - 1);
    shown[sizeof shown - 1] = '\0';
    pthread_setname_np(*t, shown);
    return ERR_OK;
}

void thread_be_nice(void)
{
    enum {
        WHO_PROCESS = 1,
        CLASS_IDLE = 3,
        CLASS_SHIFT = 13
    }; /* of ioprio_set(2), which glibc does not wrap */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    (void)syscall(SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE << CLASS_SHIFT);
}

void mutex_init(pthread_mutex_t *m)
{
    if (pthread_mutex_init(m, NULL) != 0)
        abort(); /* only on misuse: Linux mutexes take no resources */
}

void cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (pthread_cond_init(c, &attr) != 0)
        abort();
    pthread_condattr_destroy(&attr);
}

bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *deadline)
{
    return pthread_cond_timedwait(c, m, deadline) != ETIMEDOUT;
}
