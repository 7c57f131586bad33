/*
 * fibers: see fibers.h. All fibers share one thread, so locks are only tried: who does not get one lets the others go on.
 */
#include "tests/power/fibers.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#include "tests/power/rng.h"
#include "tests/power/simcalls.h"
#include "tests/power/sites.h"
#undef io_open

enum { FIBERS_MAX = 16, STACK_BYTES = 1 << 20, SPINS_MAX = 1000000, STEPS_MAX = 20000000 };

struct fiber {
    bool used, done;
    ucontext_t context;
    void *stack; /* kept for the next one */
    void *(*run)(void *);
    void *arg;
    const void *waits_for;         /* NULL: may go on */
    int64_t deadline_ns;           /* INT64_MAX: none */
    const struct power_site *site; /* of the call that it is in */
};

static struct {
    struct rng rng;
    struct fiber list[FIBERS_MAX]; /* the first is the schedule itself */
    int current;
    unsigned spins; /* turns without anything that goes on */
    uint64_t steps; /* of the schedule */
} fibers;

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_join(pthread_t t, void **result);
int __wrap_pthread_setname_np(pthread_t t, const char *name);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *l);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *l);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *deadline);
int __wrap_pthread_cond_signal(pthread_cond_t *c);
int __wrap_pthread_cond_broadcast(pthread_cond_t *c);
int __wrap_sem_wait(sem_t *s);
int __wrap_sem_clockwait(sem_t *s, clockid_t clock, const struct timespec *deadline);
int __wrap_sem_post(sem_t *s);
int __wrap_sched_yield(void);

void fibers_start(uint64_t seed)
{
    for (int i = 1; i < FIBERS_MAX; i++)
        if (fibers.list[i].used && !fibers.list[i].done)
            abort(); /* a thread of the last schedule was not joined */
    fibers.rng = (struct rng){seed};
    fibers.list[0] = (struct fiber){.used = true, .deadline_ns = INT64_MAX};
    fibers.current = 0;
    fibers.spins = 0;
    fibers.steps = 0;
}

/* ---- turns --------------------------------------------------------------------------------------------------------- */

static bool may_run(const struct fiber *f)
{
    return f->used && !f->done && (!f->waits_for || f->deadline_ns <= sim_clock_ns());
}

static void switch_to(int next)
{
    struct fiber *from = &fibers.list[fibers.current], *to = &fibers.list[next];
    if (from == to)
        return;
    from->site = power_site;
    fibers.current = next;
    swapcontext(&from->context, &to->context);
    power_site = from->site;
}

static _Noreturn void stuck(const char *how)
{
    fprintf(stderr, "the store's threads %s\n", how);
    abort();
}

/* Counted, not timed: the same on every machine. */
void fiber_step(void)
{
    if (++fibers.steps > STEPS_MAX)
        stuck("go on without end");
}

/* The clock goes on to when the first one wants to be woken. */
static void jump(void)
{
    int64_t first = INT64_MAX;
    for (int i = 0; i < FIBERS_MAX; i++)
        if (fibers.list[i].used && !fibers.list[i].done && fibers.list[i].deadline_ns < first)
            first = fibers.list[i].deadline_ns;
    if (first == INT64_MAX)
        stuck("all wait for each other");
    sim_clock_set_ns(first);
}

/* Somebody who may goes on; perhaps the caller. */
static void turn(void)
{
    int ready[FIBERS_MAX], n = 0;
    fiber_step();
    for (;;) {
        for (int i = 0; i < FIBERS_MAX; i++)
            if (may_run(&fibers.list[i]))
                ready[n++] = i;
        if (n)
            break;
        jump();
    }
    switch_to(ready[rng_below(&fibers.rng, (uint64_t)n)]);
}

void fiber_point(void)
{
    fibers.spins = 0;
    fiber_step();
    if (rng_once_in(&fibers.rng, 4))
        turn();
}

/* Nothing can go on here before another one did something. */
static void spin(void)
{
    if (++fibers.spins > SPINS_MAX)
        stuck("wait for a lock that nobody gives back");
    turn();
}

/* ---- threads -------------------------------------------------------------------------------------------------------- */

static void begin(void)
{
    struct fiber *f = &fibers.list[fibers.current];
    f->run(f->arg);
    f->done = true;
    turn();
    abort(); /* nobody goes back to one that is done */
}

static bool prepare(struct fiber *f)
{
    if (getcontext(&f->context) != 0)
        return false;
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&f->context, begin, 0);
    return true;
}

static void *new_stack(void)
{
    void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED || mprotect(stack, 4096, PROT_NONE) != 0)
        abort();
    return stack;
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    (void)attr;
    int i = 1;
    while (i < FIBERS_MAX && fibers.list[i].used)
        i++;
    if (i == FIBERS_MAX)
        return EAGAIN;
    struct fiber *f = &fibers.list[i];
    void *stack = f->stack ? f->stack : new_stack();
    *f = (struct fiber){.used = true, .stack = stack, .run = run, .arg = arg, .deadline_ns = INT64_MAX};
    if (!prepare(f))
        return EAGAIN;
    *t = (pthread_t)i;
    return 0;
}

int __wrap_pthread_join(pthread_t t, void **result)
{
    struct fiber *f = &fibers.list[t];
    if (result)
        *result = NULL;
    while (!f->done)
        spin();
    f->used = false;
    return 0;
}

int __wrap_pthread_setname_np(pthread_t t, const char *name)
{
    (void)t;
    (void)name;
    return 0;
}

/* ---- what blocks ------------------------------------------------------------------------------------------------------ */

int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
    while (pthread_mutex_trylock(m) != 0)
        spin();
    return 0;
}

int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
    while (pthread_rwlock_tryrdlock(l) != 0)
        spin();
    return 0;
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
    while (pthread_rwlock_trywrlock(l) != 0)
        spin();
    return 0;
}

/* False: the deadline passed. */
static bool sleep_on(const void *what, int64_t deadline_ns)
{
    struct fiber *f = &fibers.list[fibers.current];
    f->waits_for = what;
    f->deadline_ns = deadline_ns;
    fibers.spins = 0;
    turn();
    bool woken = !f->waits_for;
    f->waits_for = NULL;
    f->deadline_ns = INT64_MAX;
    return woken;
}

static int wait_for(pthread_cond_t *c, pthread_mutex_t *m, int64_t deadline_ns)
{
    pthread_mutex_unlock(m);
    int rc = sleep_on(c, deadline_ns) ? 0 : ETIMEDOUT;
    __wrap_pthread_mutex_lock(m);
    return rc;
}

int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    return wait_for(c, m, INT64_MAX);
}

static int64_t time_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *deadline)
{
    return wait_for(c, m, time_ns(deadline));
}

/* Any one of those who wait. */
static void wake_one(const void *what)
{
    struct fiber *chosen = NULL;
    uint64_t n = 0;
    for (int i = 0; i < FIBERS_MAX; i++)
        if (fibers.list[i].used && fibers.list[i].waits_for == what && rng_once_in(&fibers.rng, ++n))
            chosen = &fibers.list[i];
    if (chosen)
        chosen->waits_for = NULL;
}

int __wrap_pthread_cond_signal(pthread_cond_t *c)
{
    wake_one(c);
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *c)
{
    for (int i = 0; i < FIBERS_MAX; i++)
        if (fibers.list[i].used && fibers.list[i].waits_for == c)
            fibers.list[i].waits_for = NULL;
    return 0;
}

int __wrap_sem_wait(sem_t *s)
{
    while (sem_trywait(s) != 0)
        sleep_on(s, INT64_MAX);
    return 0;
}

int __wrap_sem_clockwait(sem_t *s, clockid_t clock, const struct timespec *deadline)
{
    (void)clock;
    while (sem_trywait(s) != 0)
        if (!sleep_on(s, time_ns(deadline))) {
            errno = ETIMEDOUT;
            return -1;
        }
    return 0;
}

int __real_sem_post(sem_t *s);
int __wrap_sem_post(sem_t *s)
{
    int rc = __real_sem_post(s);
    wake_one(s);
    return rc;
}

int __wrap_sched_yield(void)
{
    spin();
    return 0;
}
