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

enum { SEEDS_TO_LEARN = 400, SECONDS_MAX = 300, PLANTS_MAX = SIM_SYNCS_MAX + PLANT_BUGS };

/* Schedules of this mix meet it; the others too rarely. */
static const struct {
    const char *name;
    enum mix_kind mix;
} bugs[PLANT_BUGS] = {
    [PLANT_NONE] = {"none", MIX_ALL},
    [PLANT_EARLY_WATERMARK] = {"watermarks move before the journal is written, now and then", MIX_ALL},
    [PLANT_NO_FLUSH] = {"the journal is released and records are deleted without flushing the logs", MIX_ALL},
    [PLANT_LATE_MARK] = {"what came after the sync of the file system counts as synced", MIX_ALL},
    [PLANT_NO_CRC] = {"replay ignores the journal's CRC", MIX_TORN},
    [PLANT_NO_CUT] = {"recovery keeps what was not committed", MIX_ALL},
    [PLANT_ALWAYS_CLEAN] = {"recovery takes every stop for a clean one", MIX_ALL},
    [PLANT_NO_RESTORE] = {"recovery restores seven of eight journal entries", MIX_ALL},
    [PLANT_NO_DIRECT_SYNC] = {"large appends are referred to without a sync of their segments", MIX_DIRECT},
    [PLANT_TORN_STAYS] = {"the reference to a large append stays where the sync of its segment failed",
                          MIX_DIRECT},
    [PLANT_LAST_VALUE_GOES] = {"compaction takes one of 64 keys' last record", MIX_COMPACTED},
    [PLANT_ABORTED_COUNTS] = {"for compaction aborted records count", MIX_COMPACTED},
    [PLANT_TOMBSTONES_AT_ONCE] = {"tombstones go in the next pass", MIX_COMPACTED},
    [PLANT_SUPERSEDED_STAYS] = {"compaction leaves one of 64 records that it may take", MIX_COMPACTED},
    [PLANT_ABORTED_STAYS] = {"compaction leaves aborted records", MIX_COMPACTED},
    [PLANT_TOMBSTONES_STAY] = {"tombstones stay a day longer", MIX_COMPACTED},
    [PLANT_MARKERS_STAY] = {"compaction leaves markers of transactions without data", MIX_COMPACTED},
    [PLANT_CLEANED_ONCE] = {"no log is compacted a second time", MIX_COMPACTED},
};

/*
 * Syncs that no schedule misses, by function and kind of file, and why the store does them all the same. Rare ones need not be met
 * by the schedules that are run to learn.
 */
static const struct {
    const char *function, *kind, *reason;
} excused[] = {
    {"make_identity", "data directory", "opening the journal syncs the directory again"},
    {"sync_small_file", "partition.metadata", "without it the file is written anew; Kafka wants it"},
    {"sync_small_file", "metadata partition.metadata", "without it the file is written anew; Kafka wants it"},
    {"sync_small_file", "leader-epoch-checkpoint",
     "rare, made again from the batches; a torn one says nothing"},
    {"write_text", "leader-epoch-checkpoint", "made again from the batches; replication will need it"},
    {"write_text", "metadata leader-epoch-checkpoint", "made again from the batches"},
    {"write_text", "log directory", "the flush that it is part of syncs the directory again"},
    {"write_text", "metadata directory", "the flush that it is part of syncs the directory again"},
    {"write_offsets", "replication-offset-checkpoint", "only Kafka reads it"},
    {"fill_with_zeros", ".journal", "for speed: later syncs write data only"},
    {"removal_make_way", "directory logs", "rare, a deletion's rename failed: tests/unit/broker/test_topics"},
    {"recovery_scan", "directory logs", "rare, the same: tests/unit/broker/test_topics"},
    {"sync_one", ".index.deleted", "rare, of a segment that compaction replaced; a start removes it"},
    {"sync_one", ".timeindex.deleted", "rare, of a segment that compaction replaced; a start removes it"},
    {"sync_one", ".index", "what an entry says is compared with the batch before it is used"},
    {"sync_one", "metadata .index", "the metadata log is read as a whole"},
    {"sync_one", "metadata .timeindex", "the metadata log is read as a whole"},
    {"sync_names", "directory logs",
     "the metadata log's own: the start that makes it syncs the directory again, with the recovery points"},
    {"sync_names", "metadata directory", "the leader epochs' file, replaced just before, syncs it"},
    {"log_write_snapshot", ".snapshot", "a broken one is passed over, producers come from the batches"},
    {"log_write_snapshot", "metadata .snapshot", "there are no producers"},
    {"cut", "metadata directory", "there is one segment"},
    {"log_cut_resume", "metadata directory", "rare, there is one segment"},
    {"write_text", "compacted-offset-checkpoint",
     "rare, needed where the recovery point on disk is an older one: tests/unit/storage/test_clean_names"},
    {"write_offsets", "cleaner-offset-checkpoint", "without it the cleaner begins where it did before"},
    {"sync_one", ".index.cleaned", "what an entry says is compared with the batch before it is used"},
    {"make_swap", "log directory",
     "names keep their order; after a crash the swap is gone on with or undone"},
    {"settle_names", "log directory",
     "names keep their order; after a crash the swap is gone on with or undone"},
    {"remove_replaced", "log directory", "names keep their order; what is left is removed by the next start"},
    {"journal_drop_aside", "directory journal",
     "what comes back is below the recovery points; one that is then moved by hand would stop the start"},
    {"checkpoint_set_clean", ".kafka_cleanshutdown", "only that it is there counts"},
    {"checkpoint_set_clean", "directory logs", "without it the next start reads more, and loses nothing"},
};

/* Syncs that few schedules but those of this mix need. */
static const struct {
    const char *function, *kind;
    enum mix_kind mix;
} directed[] = {
    {"cut", "log directory", MIX_TAILS},
    {"log_cut_resume", "log directory", MIX_RECUT},
    {"cut_segment", "log directory", MIX_TAILS},
    {"rename_on", "directory logs", MIX_REMADE},
    {"sync_names", "log directory", MIX_DIRECT},
    {"sync_one", ".txnindex.cleaned", MIX_COMPACTED},
    {"sync_one", ".timeindex.cleaned", MIX_COMPACTED},
    {"sync_file", ".journal", MIX_TORN},
    {"journal_open", "directory journal", MIX_TORN},
};

/* Lines that these schedules do not reach. */
static const struct {
    const char *function, *reason;
} elsewhere[] = {
    {"disk_lines_write", "several data directories: --two, tests/unit/broker/test_disks"},
    {"add_dir", "several data directories: --two"},
    {"disks_open", "several data directories: --two"},
    {"write_offsets", "the second try, from a full disk's reserve: tests/unit/broker/test_space"},
    {"write_state", "how far the scrub is: without it it begins anew"},
    {"flush", "compaction: tests/unit/storage/test_clean_faults"},
    {"removal_make_way", "rare, a deletion's rename failed: tests/unit/broker/test_topics"},
};

#define HUNG "hangs" /* written by a plant's process instead of the number of schedules */

struct plant {
    const char *name;
    const char *excuse; /* NULL: it has to be noticed */
    bool hung;
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

/* An assertion of the store, a call that it should not have made, or more steps than a schedule takes (fibers.c). */
static void crashed(int sig)
{
    (void)sig;
    plants_caught(running, "crashes, or goes on without end");
}

/* By the clock nothing counts as noticed: a machine may be slow. */
static void hangs(int sig)
{
    (void)sig;
    ssize_t n = write(plants.out, HUNG, sizeof HUNG - 1);
    _exit(n < 0 ? 3 : 0);
}

static _Noreturn void run_plant(const struct plant *p, uint64_t seed, uint64_t seeds)
{
    if (!freopen("/dev/null", "w", stderr))
        _exit(3);
    signal(SIGABRT, crashed);
    signal(SIGSEGV, crashed);
    signal(SIGALRM, hangs);
    bugs_plant(p->options.bug);
    for (running = seed; running < seed + seeds; running++) {
        alarm(SECONDS_MAX);
        run_seed(running, &p->options);
    }
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
        p->hung = strcmp(line, HUNG) == 0;
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

static enum mix_kind mix_for(const struct sim_sync *s)
{
    const struct power_site *site = s->site;
    for (size_t i = 0; i < sizeof directed / sizeof directed[0]; i++)
        if (strcmp(directed[i].function, site->function) == 0 && strcmp(directed[i].kind, s->kind) == 0)
            return directed[i].mix;
    return MIX_ALL;
}

extern const struct power_site *const __start_power_sites[], *const __stop_power_sites[];

static bool is_a_site(const char *function)
{
    const struct power_site *const *s = __start_power_sites;
    while (s < __stop_power_sites && strcmp((*s)->function, function) != 0)
        s++;
    return s < __stop_power_sites;
}

static bool is_met(const char *function, const char *kind)
{
    const struct sim_sync *list;
    size_t n = sim_syncs(&list), i = 0;
    while (i < n && (strcmp(((const struct power_site *)list[i].site)->function, function) != 0 ||
                     strcmp(list[i].kind, kind) != 0))
        i++;
    if (i == n)
        printf("STALE   %s, %s\n          the table knows it and no schedule comes there\n", function, kind);
    return i < n;
}

/* What the tables say of syncs is of some that there are. */
static bool tables_hold(void)
{
    bool well = true;
    for (size_t i = 0; i < sizeof excused / sizeof excused[0]; i++) {
        bool rare = strncmp(excused[i].reason, "rare", 4) == 0 && is_a_site(excused[i].function);
        well = (rare || is_met(excused[i].function, excused[i].kind)) && well;
    }
    for (size_t i = 0; i < sizeof directed / sizeof directed[0]; i++)
        well = is_met(directed[i].function, directed[i].kind) && well;
    return well;
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
        plants.list[plants.n].options.mix = mix_for(&list[i]);
        plants.list[plants.n++].options.leave_out = (int)i;
    }
    for (int i = PLANT_NONE + 1; i < PLANT_BUGS; i++) {
        plants.list[plants.n] = (struct plant){.name = bugs[i].name, .options = *o};
        plants.list[plants.n].options.mix = bugs[i].mix;
        plants.list[plants.n++].options.bug = (enum plant_bug)i;
    }
}

static void keep_only(const char *only)
{
    size_t kept = 0;
    for (size_t i = 0; i < plants.n; i++)
        if (!only || strstr(plants.list[i].name, only))
            plants.list[kept++] = plants.list[i];
    plants.n = kept;
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
    if (p->hung)
        printf("HANGS   %s\n          a schedule takes minutes and few steps\n", p->name);
    else if (p->seeds)
        printf("%6llu  %-9s  %s\n          %s\n", (unsigned long long)p->seeds, mixes[p->options.mix].name,
               p->name, p->text);
    else
        printf("%s  %-9s  %s\n          %s\n", p->excuse ? "     -" : "MISSED", mixes[p->options.mix].name,
               p->name, p->excuse ? p->excuse : "no schedule notices");
    return !p->hung && (p->seeds || p->excuse);
}

bool plants_run(uint64_t seed, uint64_t seeds, unsigned jobs, const struct run_options *o, const char *only)
{
    bool well = true;
    for (int mix = 0; mix < MIX_KINDS; mix++)
        for (uint64_t i = 0; i < SEEDS_TO_LEARN; i++)
            run_seed(seed + i, &(struct run_options){.leave_out = -1, .mix = (enum mix_kind)mix});
    list_plants(o);
    keep_only(only);
    fflush(NULL);
    if (!run_list(seed, seeds, jobs)) {
        perror("plants");
        return false;
    }
    printf("schedules until a planted bug was noticed; left out is the sync in:\n");
    for (size_t i = 0; i < plants.n; i++)
        well = tell(&plants.list[i]) && well;
    return (only || (tables_hold() && all_reached())) && well;
}
