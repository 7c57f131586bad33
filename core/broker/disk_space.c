/*
 * disk_space: room on a disk: told in time when it gets low, and that appends are refused when it is full. Nothing is decided
 * by these figures: whether an append finds room is found out by the append. Any thread; the figures are under the disk's lock.
 *
 * What makes room again, deleting a topic, retention, needs a little room itself, for metadata and checkpoints: the file
 * `reserve` holds it, and is given up for that.
 */
#include <fcntl.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/data_dir.h"
#include "broker/disk_internal.h"
#include "broker/store.h"

#define WARN_BYTES ((int64_t)1 << 30)
enum { WARN_PERCENT = 5 };
/* Full is no longer said when an append went well and none was refused for so long. */
#define FULL_SETTLE_MS 5000

#define RESERVE_BYTES ((int64_t)1 << 20)

static char *reserve_path(const struct disk *d)
{
    return mem_printf("%s/" DISK_RESERVE_NAME, d->dir);
}

/* Where it cannot be made, as without fallocate, there is none. */
static void make_reserve(struct disk *d)
{
    char *path = reserve_path(d);
    struct err e;
    int fd = -1;
    bool missing = path && !io_exists(path);
    if (missing && io_open(&fd, path, O_WRONLY | O_CREAT, 0600, &e) == ERR_OK &&
        io_allocate(fd, 0, RESERVE_BYTES, path, &e) != ERR_OK)
        io_unlink(path, &e);
    io_close(fd);
    mem_free(path);
}

bool disk_use_reserve(struct disk *d)
{
    char *path = reserve_path(d);
    struct err e;
    bool used = path && io_unlink(path, &e) == ERR_OK;
    if (used)
        diag_warn("broker", "%s is full: its reserve is used to make room", d->dir);
    mem_free(path);
    return used;
}

bool space_is_low(bool was, int64_t total, int64_t free, int64_t bytes, int percent)
{
    int64_t limit = total / 100 * percent;
    limit = bytes < limit ? bytes : limit;
    return free < (was ? limit + limit / 4 : limit); /* some more room before it is taken back */
}

static void say_low(const struct disk *d, bool low)
{
    if (low)
        diag_warn("broker", "space is low: %lld MiB of %lld MiB are free in %s",
                  (long long)(d->space.free >> 20), (long long)(d->space.total >> 20), d->dir);
    else
        diag_info("broker", "space is no longer low: %lld MiB of %lld MiB are free in %s",
                  (long long)(d->space.free >> 20), (long long)(d->space.total >> 20), d->dir);
}

static void update_low(struct disk *d)
{
    const struct broker_options *o = &d->b->o;
    int64_t bytes = o->space_warn_bytes ? o->space_warn_bytes : WARN_BYTES;
    int percent = o->space_warn_percent ? o->space_warn_percent : WARN_PERCENT;
    bool low =
        bytes > 0 && percent > 0 && space_is_low(d->space.low, d->space.total, d->space.free, bytes, percent);
    if (low != d->space.low)
        say_low(d, low);
    d->space.low = low;
}

static void update_full(struct disk *d, int64_t now)
{
    bool works = atomic_load(&d->accepted) && now - d->space.refused_ms >= FULL_SETTLE_MS;
    if (!atomic_load(&d->full) || !works)
        return;
    atomic_store(&d->full, false);
    diag_info("broker", "appends to %s work again", d->dir);
}

void disk_space_check(struct disk *d, int64_t now)
{
    struct err e;
    int64_t total, free;
    bool known = !d->missing && io_space(d->dir, &total, &free, &e) == ERR_OK;
    pthread_mutex_lock(&d->lock);
    d->space.total = known ? total : -1;
    d->space.free = known ? free : -1;
    if (known)
        update_low(d);
    update_full(d, now);
    bool roomy = known && !atomic_load(&d->full) && free >= 4 * RESERVE_BYTES && disk_in_service(d);
    pthread_mutex_unlock(&d->lock);
    if (roomy)
        make_reserve(d);
}

void disk_refused(struct disk *d, const struct err *why)
{
    pthread_mutex_lock(&d->lock);
    d->space.refused_ms = clock_mono_ms();
    atomic_store(&d->accepted, false);
    if (!atomic_exchange(&d->full, true))
        diag_error("broker", "%s is full, appends are refused: %s", d->dir, why->text);
    pthread_mutex_unlock(&d->lock);
}
