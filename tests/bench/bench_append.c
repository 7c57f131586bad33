/*
 * bench_append: appends to the embedded store in all shapes: synced or not, small and large records, batches and partitions,
 * one writer and many, beside raw write + fdatasync of the same bytes in one file. Usage: bench_append DIR quick|full|many
 *
 * Each number of partitions has its own process, which ends without closing: stopping is another benchmark's. Writers use
 * broker_produce with batches that are built beforehand and by the process itself, so the store alone is measured; every
 * partition was appended to once before the clock starts. With `many` the writers are at work for some seconds before it, so that
 * steady work is measured: new partitions' first flush and the making of the journal's files are over.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "tests/bench/lib/bench.h"

enum { WRITERS_MAX = 64, TOUCH_AT_ONCE = 250 };

struct cell {
    bool synced;
    size_t record;
    size_t batch; /* about; 0: one record */
    int partitions, writers;
};

static const size_t batch_sizes[] = {0, 16 << 10, 64 << 10, 1 << 20};
enum { BATCH_SIZES = 4 };

static int batch_index(size_t batch)
{
    int i = 0;
    while (batch_sizes[i] != batch)
        i++;
    return i;
}

static double cell_seconds, limit_seconds;
/* What happens once to new partitions and to a new journal is left out, and several releases are in it. */
static bool steady;

/* Before the clock starts, and on the clock. Small appends take longer to fill the journal's files. */
struct span {
    double warm, counted;
};

static struct span span_of(const struct cell *cell)
{
    static const struct span spans[] = {{6, 15}, {5, 10}, {5, 6}, {1, 2}};
    return steady ? spans[batch_index(cell->batch)] : (struct span){0, cell_seconds};
}

#define WARM ((size_t)768 * MIB)

/* ---- limits -------------------------------------------------------------------------------------------------- */

static const size_t record_sizes[] = {100, 1024};

static struct limits {
    double over[BATCH_SIZES], growing[BATCH_SIZES]; /* bytes a second */
    double copy[2][BATCH_SIZES];
} limits;

static const char *batch_name(size_t batch)
{
    static const char *const names[BATCH_SIZES] = {"1 record", "16 KiB", "64 KiB", "1 MiB"};
    return names[batch_index(batch)];
}

/* One small record and its sync is one page. */
static void measure_limits(const uint8_t *data, bool not_synced)
{
    for (int i = 0; i < BATCH_SIZES; i++) {
        size_t bytes = batch_sizes[i] ? batch_sizes[i] : 4096;
        char name[96];
        bench_warm(WARM);
        limits.over[i] = bench_raw_sync(data, bytes, false, limit_seconds);
        limits.growing[i] = bench_raw_sync(data, bytes, true, limit_seconds);
        snprintf(name, sizeof name, "raw: write %s + fdatasync, new growing file",
                 i ? batch_name(bytes) : "4 KiB");
        bench_row(name, limits.growing[i], "syncs/s", "the same, file written over", limits.over[i]);
        for (int r = 0; not_synced && r < 2; r++) {
            bench_warm(WARM);
            limits.copy[r][i] = bench_raw_copy(
                data, record_sizes[r], batch_sizes[i] ? batch_sizes[i] : record_sizes[r], limit_seconds);
        }
    }
}

/* ---- one cell ------------------------------------------------------------------------------------------------ */

struct run {
    struct broker *b;
    const struct cell *cell;
    const char *topic;
    const uint8_t *batch;
    size_t bytes;
    atomic_bool stop;
};

struct writer {
    struct run *run;
    int number;
    pthread_t thread;
    atomic_uint_fast64_t appends;
};

static void append_one(struct run *r, uint8_t *batch, int32_t partition)
{
    struct err e;
    struct produce_request q = {
        .topic = r->topic, .partition = partition, .data = batch, .bytes = r->bytes, .built_here = true};
    bench_must(broker_produce(r->b, &q, 1, false, &e), &e);
}

static void *write_on(void *arg)
{
    struct writer *w = arg;
    struct run *r = w->run;
    uint8_t *batch = mem_dup(r->batch, r->bytes);
    for (uint64_t n = 0; !atomic_load_explicit(&r->stop, memory_order_relaxed);) {
        append_one(r, batch,
                   (int32_t)(((uint64_t)w->number + n * (uint64_t)r->cell->writers) %
                             (uint64_t)r->cell->partitions));
        atomic_store_explicit(&w->appends, ++n, memory_order_relaxed);
    }
    mem_free(batch);
    return NULL;
}

/* The content of every append: about `cell->batch` bytes of records. */
static uint8_t *build_batch(const struct cell *cell, const uint8_t *data, size_t *bytes)
{
    struct err e;
    struct batch_options o = {.level = CODEC_LEVEL_DEFAULT, .max_bytes = 2 * MIB};
    struct batch_builder *builder = batch_builder_new(&o, &e);
    uint8_t *built;
    bench_must(builder ? ERR_OK : e.code, &e);
    size_t records = 0;
    do {
        bench_must(batch_builder_add(builder, clock_wall_ms(), NULL, 0, data + records * cell->record % MIB,
                                     cell->record, NULL, 0, &e),
                   &e);
        records++;
    } while (batch_builder_bytes(builder) + cell->record + 16 <= cell->batch);
    bench_must(batch_builder_finish(builder, &BATCH_NO_PRODUCER, &built, bytes, &e), &e);
    uint8_t *copy = mem_dup(built, *bytes);
    batch_builder_free(builder);
    return copy;
}

static void report(const struct cell *cell, double appends, double seconds, uint64_t syncs, double bytes)
{
    char name[128];
    int i = batch_index(cell->batch);
    snprintf(name, sizeof name, "%s, %s of %zu B, %d writer%s, %d partition%s",
             cell->synced ? "synced" : "not synced", batch_name(cell->batch), cell->record, cell->writers,
             cell->writers > 1 ? "s" : "", cell->partitions, cell->partitions > 1 ? "s" : "");
    if (!cell->synced) {
        bench_row(name, bytes / seconds / (double)MIB, "MiB/s", "memcpy + CRC32C + write",
                  limits.copy[cell->record == 1024][i] / (double)MIB);
        return;
    }
    double unit = cell->batch ? (double)cell->batch / (double)MIB : 1;
    bench_row2(name, cell->batch ? bytes / seconds / (double)MIB : appends / seconds,
               cell->batch ? "MiB/s" : "appends/s", "raw write + fdatasync, file written over",
               limits.over[i] * unit, "raw write + fdatasync, growing file", limits.growing[i] * unit);
    if (cell->writers == 64 && syncs)
        bench_row("  appends a sync", appends / (double)syncs, "", "aim", 20);
}

static void start_writers(struct writer *writers, struct run *r)
{
    for (int i = 0; i < r->cell->writers; i++) {
        writers[i] = (struct writer){.run = r, .number = i};
        if (pthread_create(&writers[i].thread, NULL, write_on, &writers[i]) != 0)
            abort();
    }
}

static void stop_writers(struct writer *writers, struct run *r)
{
    atomic_store(&r->stop, true);
    for (int i = 0; i < r->cell->writers; i++)
        pthread_join(writers[i].thread, NULL);
}

static double appends_of(struct writer *writers, const struct run *r)
{
    uint64_t n = 0;
    for (int i = 0; i < r->cell->writers; i++)
        n += atomic_load_explicit(&writers[i].appends, memory_order_relaxed);
    return (double)n;
}

static void run_cell(struct broker *b, const struct cell *cell, const uint8_t *data)
{
    static struct writer writers[WRITERS_MAX];
    struct broker_stats before, after;
    struct span span = span_of(cell);
    bench_warm(WARM);
    struct run r = {.b = b, .cell = cell, .topic = cell->synced ? "synced" : "cached"};
    uint8_t *batch = build_batch(cell, data, &r.bytes);
    r.batch = batch;
    start_writers(writers, &r);
    usleep((useconds_t)(span.warm * 1e6));
    broker_stats(b, &before);
    double already = appends_of(writers, &r);
    int64_t start = clock_mono_ns();
    usleep((useconds_t)(span.counted * 1e6));
    double seconds = bench_since(start), appends = appends_of(writers, &r) - already;
    broker_stats(b, &after);
    stop_writers(writers, &r);
    report(cell, appends, seconds, after.syncs - before.syncs, appends * (double)r.bytes);
    mem_free(batch);
}

/* ---- one number of partitions -------------------------------------------------------------------------------- */

/* Makes the topic, and every partition's log by one append to it. */
static void make_topic(struct broker *b, const char *topic, int partitions, bool synced, const uint8_t *data)
{
    struct err e;
    struct cell cell = {.record = 100};
    struct topic_config_entry config = {"durability", synced ? "sync" : "page-cache"};
    struct produce_request q[TOUCH_AT_ONCE];
    size_t bytes;
    uint8_t *batch = build_batch(&cell, data, &bytes);
    bench_must(broker_create_topic(b, topic, partitions, &config, 1, NULL, &e), &e);
    int64_t start = clock_mono_ns();
    for (int at = 0; at < partitions; at += TOUCH_AT_ONCE) {
        int n = partitions - at < TOUCH_AT_ONCE ? partitions - at : TOUCH_AT_ONCE;
        for (int i = 0; i < n; i++)
            q[i] = (struct produce_request){
                .topic = topic, .partition = at + i, .data = mem_dup(batch, bytes), .bytes = bytes};
        bench_must(broker_produce(b, q, (size_t)n, true, &e), &e);
        for (int i = 0; i < n; i++)
            mem_free(q[i].data);
    }
    if (partitions > 1 && synced) {
        char name[96];
        snprintf(name, sizeof name, "first append to each of %d partitions", partitions);
        bench_row(name, bench_since(start) * 1000, "ms", "fdatasync for each",
                  partitions / limits.growing[0] * 1000);
    }
    mem_free(batch);
}

static bool wanted(const struct cell *c, int partitions, bool synced)
{
    return c->partitions == partitions && c->synced == synced;
}

static void run_child(const char *path, const struct cell *cells, size_t n, int partitions, bool synced,
                      const uint8_t *data)
{
    struct broker *b;
    struct err e;
    struct broker_options o = {.data_dir = path};
    bench_must(broker_open(&b, &o, &e), &e);
    make_topic(b, synced ? "synced" : "cached", partitions, synced, data);
    for (size_t i = 0; i < n; i++)
        if (wanted(&cells[i], partitions, synced))
            run_cell(b, &cells[i], data);
}

static void run_partitions(const struct cell *cells, size_t n, int partitions, bool synced,
                           const uint8_t *data)
{
    struct err e;
    char *path = mem_printf("%s/data", bench_dir);
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        run_child(path, cells, n, partitions, synced, data);
        _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
        exit(1);
    bench_must(io_remove_tree(path, &e), &e);
    mem_free(path);
    if (partitions >=
        1000) /* ext4 gives no inode out again within 5 s, and searches for others very slowly */
        sleep(6);
}

static void run_all(const struct cell *cells, size_t n, const uint8_t *data)
{
    static const int partition_counts[] = {1, 100, 1000, 10000};
    for (int p = 0; p < 4; p++)
        for (int synced = 1; synced >= 0; synced--)
            for (size_t i = 0; i < n; i++)
                if (wanted(&cells[i], partition_counts[p], synced)) {
                    run_partitions(cells, n, partition_counts[p], synced, data);
                    break;
                }
}

static const struct cell quick[] = {
    {true, 1024, 0, 1, 1},
    {true, 1024, 16 << 10, 1, 1},
    {true, 1024, 64 << 10, 1, 1},
    {true, 1024, 1 << 20, 1, 1},
    {true, 100, 0, 1, 64},
    {true, 1024, 0, 1, 64},
    {true, 1024, 16 << 10, 1, 64},
    {true, 1024, 64 << 10, 1, 64},
    {true, 1024, 1 << 20, 1, 64},
    {false, 1024, 0, 1, 1},
    {false, 100, 64 << 10, 1, 1},
    {false, 1024, 64 << 10, 1, 1},
    {false, 1024, 64 << 10, 1, 8},
    {true, 1024, 0, 100, 64},
    {true, 1024, 0, 1000, 64},
    {true, 1024, 0, 10000, 1},
    {true, 1024, 0, 10000, 64},
    {true, 1024, 16 << 10, 10000, 64},
    {true, 1024, 64 << 10, 10000, 64},
    {false, 1024, 0, 10000, 1},
    {false, 1024, 64 << 10, 10000, 1},
};

/* One partition and 10,000, each long enough for the journal to be given back several times. */
static const struct cell many[] = {
    {true, 1024, 0, 1, 64},
    {true, 1024, 16 << 10, 1, 64},
    {true, 1024, 64 << 10, 1, 64},
    {true, 1024, 1 << 20, 1, 64},
    {true, 1024, 0, 10000, 64},
    {true, 1024, 16 << 10, 10000, 64},
    {true, 1024, 64 << 10, 10000, 64},
    {true, 1024, 1 << 20, 10000, 64},
};

static size_t all_cells(struct cell *cells)
{
    static const int writers[] = {1, 4, 16, 64}, partitions[] = {1, 100, 1000, 10000};
    size_t n = 0;
    for (int p = 0; p < 4; p++)
        for (int synced = 0; synced < 2; synced++)
            for (int r = 0; r < 2; r++)
                for (int s = 0; s < BATCH_SIZES; s++)
                    for (int w = 0; w < 4; w++)
                        cells[n++] =
                            (struct cell){synced, record_sizes[r], batch_sizes[s], partitions[p], writers[w]};
    return n;
}

int main(int argc, char **argv)
{
    static struct cell all[256];
    if (argc != 3)
        return 2;
    bench_dir = argv[1];
    bool full = strcmp(argv[2], "full") == 0, only_many = strcmp(argv[2], "many") == 0;
    cell_seconds = full ? 0.5 : 0.8;
    steady = only_many;
    limit_seconds = only_many ? 0.5 : cell_seconds;
    uint8_t *data = bench_noise(4 * MIB);
    measure_limits(data, !only_many);
    if (full)
        run_all(all, all_cells(all), data);
    else if (only_many)
        run_all(many, sizeof many / sizeof *many, data);
    else
        run_all(quick, sizeof quick / sizeof *quick, data);
    mem_free(data);
    return 0;
}
