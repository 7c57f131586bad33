/*
 * plants: shows that the schedules find what they are for. Each sync of the store is left out in turn, and some other bugs
 * are planted by the linker; a plant that no schedule notices fails the test, unless the table below says why it may.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/power/plants.h"
#include "tests/power/simcalls.h"
#include "tests/power/sites.h"

enum { SEEDS_TO_LEARN = 400, SECONDS_MAX = 120, PLANTS_MAX = SIM_SYNCS_MAX + PLANT_BUGS };

static const char *const bug_names[PLANT_BUGS] = {
    [PLANT_NONE] = "none",
    [PLANT_EARLY_WATERMARK] = "watermarks move before the journal is written, now and then",
    [PLANT_NO_FLUSH] = "the journal is released and records are deleted without flushing the logs",
    [PLANT_NO_CRC] = "replay ignores the journal's CRC",
    [PLANT_NO_CUT] = "recovery keeps what was not committed",
    [PLANT_ALWAYS_CLEAN] = "recovery takes every stop for a clean one",
    [PLANT_NO_RESTORE] = "recovery restores seven of eight journal entries",
};

/* Syncs that no schedule misses, by function and kind of file, and why the store does them all the same. */
static const struct {
    const char *function, *kind, *reason;
} excused[] = {
    {"make_identity", "data directory", "opening the journal syncs the directory again"},
    {"sync_metadata", "partition.metadata", "without it the file is written anew; Kafka wants it"},
    {"sync_metadata", "metadata partition.metadata", "without it the file is written anew; Kafka wants it"},
    {"write_text", "leader-epoch-checkpoint", "made again from the batches; replication will need it"},
    {"write_text", "metadata leader-epoch-checkpoint", "made again from the batches"},
    {"write_text", "log directory", "the flush that it is part of syncs the directory again"},
    {"write_text", "metadata directory", "the flush that it is part of syncs the directory again"},
    {"write_offsets", "replication-offset-checkpoint", "only Kafka reads it"},
    {"fill_with_zeros", ".journal", "for speed: later syncs write data only"},
    {"sync_one", ".index", "what an entry says is compared with the batch before it is used"},
    {"sync_one", "metadata .index", "the metadata log is read as a whole"},
    {"sync_one", "metadata .timeindex", "the metadata log is read as a whole"},
    {"sync_names", "metadata directory", "the leader epochs' file, replaced just before, syncs it"},
    {"log_write_snapshot", ".snapshot", "a broken one is passed over, producers come from the batches"},
    {"log_write_snapshot", "metadata .snapshot", "there are no producers"},
    {"log_delete_dir", "directory logs",
     "for page-cache topics that are made again at once, too rare for these schedules: parts of the old one "
     "came back"},
    {"cut", "log directory",
     "for page-cache topics, too rare for these schedules: what was cut came back behind new batches"},
    {"cut", "metadata directory", "there is one segment"},
    {"write_offsets", "cleaner-offset-checkpoint", "without it the cleaner begins where it did before"},
    {"sync_one", ".index.cleaned", "what an entry says is compared with the batch before it is used"},
    {"sync_one", ".txnindex.cleaned", "internal topics are read without it"},
    {"sync_one", ".timeindex.cleaned",
     "only internal topics are compacted here, and nobody looks into them by time"},
    {"write_text", "compacted-offset-checkpoint",
     "counts only where the recovery points are lost as well, which no loss of power does"},
    {"make_swap", "log directory",
     "names keep their order; after a crash the swap is gone on with or undone"},
    {"settle_names", "log directory",
     "names keep their order; after a crash the swap is gone on with or undone"},
    {"remove_replaced", "log directory", "names keep their order; what is left is removed by the next start"},
    {"checkpoint_set_clean", ".kafka_cleanshutdown", "only that it is there counts"},
    {"checkpoint_set_clean", "directory logs", "without it the next start reads more, and loses nothing"},
};

/* Lines that these schedules do not reach. */
static const struct {
    const char *function, *reason;
} elsewhere[] = {
    {"disk_lines_write", "several data directories: --two, tests/unit/broker/test_disks"},
    {"add_dir", "several data directories: --two"},
    {"disks_open", "several data directories: --two"},
    {"remove_replaced", "compaction: tests/unit/storage/test_clean_faults"},
    {"write_offsets", "the second try, from a full disk's reserve: tests/unit/broker/test_space"},
    {"write_state", "how far the scrub is: without it it begins anew"},
    {"settle_names", "compaction of several segments into one: tests/unit/storage/test_clean_faults"},
    {"make_swap", "compaction: tests/unit/storage/test_clean_faults"},
    {"flush", "compaction: tests/unit/storage/test_clean_faults"},
};

struct plant {
    const char *name;
    const char *excuse; /* NULL: it has to be noticed */
    struct run_options options;
    pid_t pid;
    int result;     /* pipe */
    uint64_t seeds; /* until it was caught; 0: never */
    char text[256];
};

static struct {
    struct plant list[PLANTS_MAX];
    size_t n;
    int out; /* of the process that runs one plant */
    uint64_t first;
} plants = {.out = -1};

/* ---- one plant, in its own process ---------------------------------------------------------------------------------- */

bool plants_caught(uint64_t seed, const char *text)
{
    if (plants.out < 0)
        return false;
    char line[256];
    int n = snprintf(line, sizeof line, "%llu %s", (unsigned long long)(seed - plants.first + 1), text);
    if (write(plants.out, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1) < 0)
        _exit(3);
    _exit(0);
}

static uint64_t running; /* the seed that is being tried */

/* An assertion of the store, or a call that it should not have made: noticed, too. */
static void crashed(int sig)
{
    plants_caught(running, sig == SIGALRM ? "does not end" : "crashes");
}

static _Noreturn void run_plant(const struct plant *p, uint64_t seed, uint64_t seeds)
{
    if (!freopen("/dev/null", "w", stderr))
        _exit(3);
    signal(SIGABRT, crashed);
    signal(SIGSEGV, crashed);
    signal(SIGALRM, crashed);
    alarm(SECONDS_MAX);
    bugs_plant(p->options.bug);
    for (running = seed; running < seed + seeds; running++)
        run_seed(running, &p->options);
    _exit(0);
}

static bool start(struct plant *p, uint64_t seed, uint64_t seeds)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    p->pid = fork();
    if (p->pid == 0) {
        close(ends[0]);
        plants.out = ends[1];
        plants.first = seed;
        run_plant(p, seed, seeds);
    }
    close(ends[1]);
    p->result = ends[0];
    return p->pid > 0;
}

static void finish(struct plant *p)
{
    char line[256] = {0}, *text;
    if (read(p->result, line, sizeof line - 1) > 0) {
        p->seeds = strtoull(line, &text, 10);
        snprintf(p->text, sizeof p->text, "%s", text);
    }
    close(p->result);
}

/* ---- all of them --------------------------------------------------------------------------------------------------------- */

static const char *excuse(const struct sim_sync *s)
{
    const struct power_site *site = s->site;
    for (size_t i = 0; i < sizeof excused / sizeof excused[0]; i++)
        if (strcmp(excused[i].function, site->function) == 0 && strcmp(excused[i].kind, s->kind) == 0)
            return excused[i].reason;
    return NULL;
}

static const char *is_elsewhere(const struct power_site *s)
{
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (strcmp(elsewhere[i].function, s->function) == 0)
            return elsewhere[i].reason;
    return NULL;
}

/* Every line that may sync was reached by the schedules that were run to learn. */
static bool all_reached(void)
{
    extern const struct power_site *const __start_power_sites[], *const __stop_power_sites[];
    const struct sim_sync *list;
    size_t n = sim_syncs(&list);
    bool well = true;
    for (const struct power_site *const *s = __start_power_sites; s < __stop_power_sites; s++) {
        size_t i = 0;
        while (i < n && list[i].site != *s)
            i++;
        const char *reason = i < n ? NULL : is_elsewhere(*s);
        if (i == n)
            printf("%s  %s:%d %s\n          %s\n", reason ? "     -" : "MISSED", (*s)->file, (*s)->line,
                   (*s)->function, reason ? reason : "no schedule comes there");
        well = well && (i < n || reason);
    }
    return well;
}

static void list_plants(const struct run_options *o)
{
    const struct sim_sync *list;
    size_t n = sim_syncs(&list);
    for (size_t i = 0; i < n; i++) {
        plants.list[plants.n] =
            (struct plant){.name = list[i].text, .excuse = excuse(&list[i]), .options = *o};
        plants.list[plants.n++].options.leave_out = (int)i;
    }
    for (int i = PLANT_NONE + 1; i < PLANT_BUGS; i++) {
        plants.list[plants.n] = (struct plant){.name = bug_names[i], .options = *o};
        plants.list[plants.n++].options.bug = (enum plant_bug)i;
    }
}

static bool run_list(uint64_t seed, uint64_t seeds, unsigned jobs)
{
    size_t started = 0, running_now = 0;
    while (started < plants.n || running_now) {
        while (started < plants.n && running_now < jobs) {
            struct plant *p = &plants.list[started++];
            if (!start(p, seed, p->excuse ? seeds / 10 : seeds))
                return false;
            running_now++;
        }
        pid_t pid = wait(NULL);
        for (size_t i = 0; i < started; i++)
            if (plants.list[i].pid == pid)
                finish(&plants.list[i]);
        running_now--;
    }
    return true;
}

static bool tell(const struct plant *p)
{
    if (p->seeds)
        printf("%6llu  %s\n          %s\n", (unsigned long long)p->seeds, p->name, p->text);
    else
        printf("%s  %s\n          %s\n", p->excuse ? "     -" : "MISSED", p->name,
               p->excuse ? p->excuse : "no schedule notices");
    return p->seeds || p->excuse;
}

bool plants_run(uint64_t seed, uint64_t seeds, unsigned jobs, const struct run_options *o)
{
    bool well = true;
    for (uint64_t i = 0; i < SEEDS_TO_LEARN; i++)
        run_seed(seed + i, o);
    list_plants(o);
    fflush(NULL);
    if (!run_list(seed, seeds, jobs)) {
        perror("plants");
        return false;
    }
    printf("schedules until a planted bug was noticed; left out is the sync in:\n");
    for (size_t i = 0; i < plants.n; i++)
        well = tell(&plants.list[i]) && well;
    return all_reached() && well;
}
