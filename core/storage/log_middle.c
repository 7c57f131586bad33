/*
 * log_middle: tells damage in the middle of a log from a torn tail, before the log is opened: for a log whose later batches
 * must not be cut on account of earlier ones. See log_check_middle in log.h. Reads only; one thread.
 */
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#define WINDOW (256u << 10)

struct middle {
    const char *dir;
    struct buf big;
    uint8_t *window;
    bool damaged;    /* met; what follows decides */
    struct err why;  /* where and what it is */
    int64_t next;    /* offset expected next */
    int64_t trusted; /* offset before the last gap: a gap may be an offset that is wrong */
};

static int whole_follows(const struct middle *m, const struct scan *s, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "%.500s; whole batches follow it, at byte %" PRId64 " of %s", m->why.text,
                   s->position, strrchr(s->path, '/') + 1);
}

/* Damage at the scan's position, told by `e`. ERR_CORRUPT if a whole batch stands behind it, ERR_END if none does. */
static int look_behind(struct middle *m, struct scan *s, struct err *e)
{
    struct batch_header h;
    const uint8_t *data;
    m->damaged = true;
    m->why = *e;
    if (m->trusted >= 0 && m->trusted < s->floor) {
        /* An offset that is too large makes the next batch look wrong. */
        s->floor = m->trusted;
        if (scan_whole(s, &h, &m->big, &data, e) == ERR_OK)
            return whole_follows(m, s, e);
    }
    int rc = scan_resync(s, INT64_MAX, &h, &m->big, e);
    return rc == ERR_OK ? whole_follows(m, s, e) : rc;
}

static int check_segment(struct middle *m, int64_t base, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    struct scan s;
    struct batch_header h;
    const uint8_t *data;
    int64_t size;
    int fd;
    int rc = io_open(&fd, storage_path(path, m->dir, base, LOG_SUFFIX, ""), O_RDONLY, 0, e);
    if (rc)
        return rc;
    rc = io_size(fd, &size, path, e);
    if (m->next < base)
        m->next = base;
    scan_init(&s, fd, path, 0, size, base, m->window, WINDOW);
    while (rc == ERR_OK && (rc = scan_whole(&s, &h, &m->big, &data, e)) == ERR_OK) {
        if (m->damaged) {
            rc = whole_follows(m, &s, e);
            break;
        }
        if (h.base_offset > m->next)
            m->trusted = m->next;
        m->next = batch_last_offset(&h) + 1;
        scan_skip(&s, &h);
    }
    if ((rc == ERR_CORRUPT || rc == ERR_TRUNCATED) && !m->damaged)
        rc = look_behind(m, &s, e);
    io_close(fd);
    return rc == ERR_END ? ERR_OK : rc;
}

int log_check_middle(const char *dir, struct err *e)
{
    struct middle m = {.dir = dir, .trusted = -1};
    int64_t *bases = NULL;
    size_t n = 0;
    if (!io_exists(dir))
        return ERR_OK;
    buf_init(&m.big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    m.window = mem_alloc(WINDOW);
    int rc = m.window ? storage_list(dir, LOG_SUFFIX, &bases, &n, e) : err_nomem(e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = check_segment(&m, bases[i], e);
    mem_free(bases);
    mem_free(m.window);
    buf_free(&m.big);
    return rc;
}
