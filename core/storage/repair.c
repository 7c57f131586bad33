/*
 * repair: see repair.h.
 */
#include "storage/repair.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "storage/paths.h"
#include "storage/scan.h"

#define WINDOW (256u << 10)

int repair_drop_indexes(const char *dir, int64_t base, struct err *e)
{
    static const char *const suffixes[] = {INDEX_SUFFIX, TIME_SUFFIX, TXN_SUFFIX};
    char path[STORAGE_PATH_MAX];
    for (unsigned k = 0; k < 3; k++) {
        int rc = io_unlink(storage_path(path, dir, base, suffixes[k], ""), e);
        if (rc != ERR_OK && rc != ERR_NOT_FOUND)
            return rc;
    }
    return io_sync_dir(dir, e);
}

/* Copies the segment into `aside`, which is made; durable when it returns. */
static int keep_copy(const char *from, const char *aside, int64_t base, struct err *e)
{
    char to[STORAGE_PATH_MAX];
    int rc = strlen(aside) > STORAGE_DIR_MAX ? err_set(e, ERR_INVALID, "%.100s... is too long a name", aside)
                                             : io_mkdirs_synced(aside, 0700, e);
    if (rc == ERR_OK)
        rc = io_copy_file(from, storage_path(to, aside, base, LOG_SUFFIX, ""), 0600, e);
    return rc ? rc : io_sync_dir(aside, e);
}

/* An empty segment where the log is to go on. */
static int add_empty(const char *dir, int64_t base, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    int rc = io_open(&fd, storage_path(path, dir, base, LOG_SUFFIX, ""), O_WRONLY | O_CREAT, 0600, e);
    io_close(fd);
    return rc ? rc : io_sync_dir(dir, e);
}

/* ---- keeping what is good ---- */

struct keep {
    struct scan scan;
    const char *out_path;
    int in, out;
    int64_t next_base;
    int64_t written; /* bytes */
    int64_t floor;   /* offset after the last batch kept */
    /* The last batch, if there was a gap before it: its offset may be wrong. */
    bool doubtful;
    int64_t doubtful_at, before;
    struct batch_header doubted;
    struct repair_result *r;
    struct buf big, scratch;
};

static int write_batch(struct keep *k, const struct batch_header *h, const uint8_t *data, struct err *e)
{
    int rc = io_pwrite(k->out, data, batch_size(h), k->written, k->out_path, e);
    k->doubtful = h->base_offset > k->floor;
    k->doubtful_at = k->written;
    k->before = k->floor;
    k->doubted = *h;
    k->written += (int64_t)batch_size(h);
    k->floor = batch_last_offset(h) + 1;
    k->r->kept++;
    return rc;
}

/* The last batch's offset is wrong. It is put right where it then ends at `next` exactly, and dropped otherwise. */
static int put_right(struct keep *k, int64_t next, struct err *e)
{
    k->doubtful = false;
    k->floor = k->before;
    if (k->before + k->doubted.last_offset_delta + 1 == next) {
        uint8_t head[BATCH_HEADER_SIZE];
        int rc = io_pread(k->out, head, sizeof head, k->doubtful_at, k->out_path, e);
        batch_assign(head, k->before, k->doubted.leader_epoch);
        k->floor = next;
        return rc ? rc : io_pwrite(k->out, head, sizeof head, k->doubtful_at, k->out_path, e);
    }
    k->written = k->doubtful_at;
    k->r->kept--;
    k->r->dropped++;
    k->r->dropped_bytes += batch_size(&k->doubted);
    return io_truncate(k->out, k->written, k->out_path, e);
}

/*
 * The batch at the scan's position does not follow the last one, but it would follow the one before that: so the last
 * one's offset is wrong.
 */
static int settle_doubtful(struct keep *k, bool *settled, struct err *e)
{
    struct batch_header h;
    const uint8_t *data;
    struct err why;
    int64_t floor = k->scan.floor;
    *settled = false;
    if (!k->doubtful)
        return ERR_OK;
    k->scan.floor = k->before;
    int rc = scan_whole(&k->scan, &h, &k->big, &data, &why);
    if (rc != ERR_OK || h.base_offset >= floor) {
        k->scan.floor = floor;
        return ERR_OK;
    }
    *settled = true;
    return put_right(k, h.base_offset, e);
}

static int pass_damage(struct keep *k, struct err *e)
{
    struct batch_header h;
    bool settled;
    int rc = settle_doubtful(k, &settled, e);
    if (rc || settled)
        return rc;
    int64_t at = k->scan.position;
    rc = scan_resync(&k->scan, k->next_base, &h, &k->big, e);
    k->r->dropped++;
    k->r->dropped_bytes += (uint64_t)(k->scan.position - at);
    return rc;
}

static int copy_good(struct keep *k, struct err *e)
{
    int rc = ERR_OK;
    while (rc == ERR_OK) {
        struct batch_header h, again;
        const uint8_t *data;
        struct err why;
        rc = scan_whole(&k->scan, &h, &k->big, &data, &why);
        if (rc == ERR_OK && batch_last_offset(&h) >= k->next_base)
            rc = ERR_CORRUPT;
        if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED) {
            rc = pass_damage(k, e);
            continue;
        }
        if (rc) {
            *e = why;
            break;
        }
        /* Records that cannot be decoded would fail every reader. */
        rc = batch_validate(data, batch_size(&h), false, &k->scratch, &again, &why);
        if (rc == ERR_NO_MEMORY)
            return err_nomem(e);
        if (rc == ERR_OK) {
            rc = write_batch(k, &h, data, e);
        } else {
            rc = ERR_OK;
            k->r->dropped++;
            k->r->dropped_bytes += batch_size(&h);
        }
        scan_skip(&k->scan, &h);
    }
    return rc == ERR_END ? ERR_OK : rc;
}

int repair_keep_good(const char *dir, int64_t base, int64_t next_base, int64_t end, bool ended,
                     const char *aside, struct repair_result *r, struct err *e)
{
    char path[STORAGE_PATH_MAX], made[STORAGE_PATH_MAX];
    struct keep k = {.out_path = made, .in = -1, .out = -1, .next_base = next_base, .floor = base, .r = r};
    int64_t size = 0;
    uint8_t *window = mem_alloc(WINDOW);
    *r = (struct repair_result){0};
    buf_init(&k.big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    buf_init(&k.scratch, BATCH_MAX_INFLATED);
    storage_path(path, dir, base, LOG_SUFFIX, "");
    storage_path(made, dir, base, LOG_SUFFIX, ".cleaned"); /* a start removes it if this ends early */
    int rc = window ? keep_copy(path, aside, base, e) : err_nomem(e);
    if (rc == ERR_OK)
        rc = io_open(&k.in, path, O_RDONLY, 0, e);
    if (rc == ERR_OK)
        rc = io_size(k.in, &size, path, e);
    if (rc == ERR_OK)
        rc = io_open(&k.out, made, O_RDWR | O_CREAT | O_TRUNC, 0600, e);
    scan_init(&k.scan, k.in, path, 0, size, base, window, WINDOW);
    if (rc == ERR_OK)
        rc = copy_good(&k, e);
    if (rc == ERR_OK && ended && k.doubtful && k.floor > end)
        rc = put_right(&k, end, e);
    if (rc == ERR_OK)
        rc = io_sync(k.out, made, e);
    io_close(k.out);
    io_close(k.in);
    /* The indexes first: batches move, and what an index says would be wrong from then on. */
    if (rc == ERR_OK)
        rc = repair_drop_indexes(dir, base, e);
    if (rc == ERR_OK && next_base == INT64_MAX && end > k.floor)
        rc = add_empty(dir, end, e);
    if (rc == ERR_OK)
        rc = io_rename(made, path, e);
    if (rc == ERR_OK)
        rc = io_sync_dir(dir, e);
    buf_free(&k.scratch);
    buf_free(&k.big);
    mem_free(window);
    return rc;
}

/* ---- the others ---- */

int repair_set_aside(const char *dir, int64_t base, int64_t end, const char *aside, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int64_t *bases;
    size_t n;
    storage_path(path, dir, base, LOG_SUFFIX, "");
    int rc = storage_list(dir, LOG_SUFFIX, &bases, &n, e);
    if (rc)
        return rc;
    bool last = n && bases[n - 1] == base;
    mem_free(bases);
    rc = keep_copy(path, aside, base, e);
    if (rc == ERR_OK && last && end > base)
        rc = add_empty(dir, end, e);
    if (rc == ERR_OK)
        rc = repair_drop_indexes(dir, base, e);
    if (rc == ERR_OK)
        rc = io_unlink(path, e);
    return rc ? rc : io_sync_dir(dir, e);
}

int repair_cut(const char *dir, int64_t base, int64_t size, int64_t end, const char *aside, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    storage_path(path, dir, base, LOG_SUFFIX, "");
    int rc = keep_copy(path, aside, base, e);
    if (rc == ERR_OK && end > base)
        rc = add_empty(dir, end, e);
    if (rc == ERR_OK)
        rc = repair_drop_indexes(dir, base, e);
    if (rc == ERR_OK)
        rc = io_open(&fd, path, O_RDWR, 0, e);
    if (rc)
        return rc;
    rc = io_truncate(fd, size, path, e);
    if (rc == ERR_OK)
        rc = io_sync(fd, path, e);
    io_close(fd);
    return rc;
}
