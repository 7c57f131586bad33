/*
 * power: runs schedules in parallel processes. See README.md.
 *
 *   power [--seed N] [--seeds N] [--jobs N] [--trace] [--mix NAME] [--plants [--only TEXT] | --damage | --two]
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/power/plants.h"
#include "tests/power/run.h"
#include "tests/power/simcalls.h"

static bool damage;
static struct run_options options = {.leave_out = -1};

/* What of the stage these schedules are, as make takes it. */
static void tell_again(uint64_t seed)
{
    fprintf(stderr, "  again: make power %s%s", damage ? "DAMAGE=1 " : "", options.two ? "TWO=1 " : "");
    if (options.mix != MIX_ALL)
        fprintf(stderr, "MIX=%s ", mixes[options.mix].name);
    fprintf(stderr, "SEED=%llu SEEDS=1; with TRACE=1 every call is told\n", (unsigned long long)seed);
}

_Noreturn void run_failed(uint64_t seed, const char *text)
{
    plants_caught(seed, text);
    fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, text);
    tell_again(seed);
    exit(1);
}

static int run_share(uint64_t seed, uint64_t seeds, unsigned jobs, unsigned job)
{
    for (uint64_t i = job; i < seeds; i += jobs)
        (damage ? run_damage : run_seed)(seed + i, &options);
    return 0;
}

static bool run_all(uint64_t seed, uint64_t seeds, unsigned jobs)
{
    bool well = true;
    for (unsigned job = 0; job < jobs; job++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(run_share(seed, seeds, jobs, job));
        if (pid < 0) {
            perror("fork");
            return false;
        }
    }
    int status;
    while (wait(&status) > 0) {
        if (WIFSIGNALED(status))
            fprintf(stderr, "a process that ran schedules was ended by signal %d\n", WTERMSIG(status));
        well = well && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    return well;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"seed", required_argument, NULL, 's'}, {"seeds", required_argument, NULL, 'n'},
        {"jobs", required_argument, NULL, 'j'}, {"trace", no_argument, NULL, 't'},
        {"plants", no_argument, NULL, 'p'},     {"damage", no_argument, NULL, 'd'},
        {"two", no_argument, NULL, '2'},        {"mix", required_argument, NULL, 'm'},
        {"only", required_argument, NULL, 'o'}, {0}};
    uint64_t seed = 1, seeds = 1000;
    unsigned jobs = 2;
    bool plants = false;
    const char *only = NULL;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (c == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (c == 'n')
            seeds = strtoull(optarg, NULL, 10);
        else if (c == 'j')
            jobs = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 't')
            options.trace = true;
        else if (c == 'p')
            plants = true;
        else if (c == 'd')
            damage = true;
        else if (c == '2')
            options.two = true;
        else if (c == 'o')
            only = optarg;
        else if (c == 'm' && mix_by_name(optarg, &options.mix))
            continue;
        else
            return 2;
    }
    if (plants)
        return plants_run(seed, seeds, jobs, &options, only) ? 0 : 1;
    if (!run_all(seed, seeds, jobs ? jobs : 1))
        return 1;
    printf("%s, mix %s: %llu schedules from seed %llu on\n",
           damage        ? "damage"
           : options.two ? "two data directories"
                         : "power",
           mixes[options.mix].name, (unsigned long long)seeds, (unsigned long long)seed);
    return 0;
}
