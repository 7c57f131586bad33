/*
 * file source: the connector, and the life of its task: open, poll, close. See source.h for the other parts and README.md
 * for how files are followed.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "connectors/file/file.h"
#include "connectors/file/source.h"

#define DRAIN_MS 50    /* while there is enough to read, events are taken so often */
#define BLOCKED_MS 100 /* longest sleep while a stream waits for another */
#define GAUGE_MS 1000
#define SCAN_SHARE 10 /* scanning may take one part in so many of the time */

static int failed(struct source *src, int rc, const struct err *e)
{
    return src->h->fail(src->t, rc == ERR_CORRUPT ? LEAT_FAIL : LEAT_RETRY, "%s", e->text);
}

/* ---- open and close --------------------------------------------------------------------------------------------- */

static void source_close(void *self)
{
    struct source *src = self;
    watch_close(src);
    while (src->stream_count > 0)
        stream_remove(src, src->streams[src->stream_count - 1]);
    mem_free(src->streams);
    mem_free(src->dirty);
    read_cleanup(src);
    if (src->ignored)
        map_free(src->ignored, mem_free);
    if (src->complaints)
        map_free(src->complaints, NULL);
    if (src->odd)
        map_free(src->odd, NULL);
    source_options_free(&src->o);
    mem_free(src);
}

static int source_open(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                       void **self)
{
    struct err e;
    struct source *src = mem_calloc(1, sizeof(*src));
    if (!src)
        return h->fail(t, LEAT_RETRY, "out of memory");
    src->t = t;
    src->h = h;
    link_init(&src->queue);
    link_init(&src->lru);
    link_init(&src->pending);
    int result = source_options_read(&src->o, t, h, c);
    if (result != LEAT_OK)
        goto opened;
    src->ignored = map_new();
    src->complaints = map_new();
    src->odd = map_new();
    int rc = src->ignored && src->complaints && src->odd ? read_setup(src, &e) : err_nomem(&e);
    if (rc == ERR_OK)
        rc = watch_open(src, &e);
    if (rc == ERR_OK)
        rc = state_load(src, &e);
    if (rc == ERR_OK) {
        src->scan_wanted = true;
        *self = src;
        return LEAT_OK;
    }
    result = failed(src, rc, &e);
opened:
    source_close(src);
    return result;
}

/* ---- poll ------------------------------------------------------------------------------------------------------- */

static int64_t scan_interval(const struct source *src)
{
    return src->poll_too ? src->o.poll_ms : src->o.rescan_ms;
}

static int scan_if_due(struct source *src, int64_t now)
{
    bool wanted = src->scan_wanted && now - src->scanned_ms >= src->scan_cost_ms * SCAN_SHARE;
    if (!wanted && !src->scan_now && src->scan_number > 0 && now - src->scanned_ms < scan_interval(src))
        return LEAT_OK;
    struct err e;
    src->poll_too = false;
    int rc = track_scan(src, &e);
    src->scanned_ms = clock_mono_ms();
    src->scan_cost_ms = src->scanned_ms - now;
    if (rc == ERR_OK || rc == ERR_INTERRUPTED)
        return LEAT_OK;
    return rc == ERR_TASK ? LEAT_RETRY : failed(src, rc, &e);
}

/* What the time since its last growth makes of a stream's end; *next_ms: when that may change. */
static enum frame_flush flush_wanted(const struct source *src, const struct stream *s, int64_t now,
                                     int64_t *next_ms)
{
    const struct source_options *o = &src->o;
    int64_t idle = now - s->grown_ms;
    int64_t all = stream_rotated(s) ? o->rotate_ms : o->partial_ms > 0 ? o->partial_ms : INT64_MAX;
    if (stream_rotated(s) && o->partial_ms > 0 && o->partial_ms < all)
        all = o->partial_ms;
    int64_t group = o->framing.multiline && o->group_ms > 0 ? o->group_ms : INT64_MAX;
    if (idle >= all)
        return FRAME_ALL;
    if (all - idle < *next_ms)
        *next_ms = all - idle;
    if (idle >= group)
        return FRAME_GROUP;
    if (group - idle < *next_ms)
        *next_ms = group - idle;
    return FRAME_KEEP;
}

/* Streams that time completes; *next_ms: when to come again at the latest. */
static void tend_pending(struct source *src, int64_t now, int64_t *next_ms)
{
    for (struct link *l = src->pending.next, *next; l != &src->pending; l = next) {
        struct stream *s = link_stream(l, pending);
        next = l->next;
        if (!link_alone(&s->queue))
            continue; /* its turn comes first */
        bool grown = false;
        struct err e;
        if (s->lost && track_refresh(src, s, &grown, &e) != ERR_OK) {
            stream_detach(src, s);
            continue;
        }
        if (grown)
            continue;
        if (s->lost && src->o.poll_ms < *next_ms)
            *next_ms = src->o.poll_ms;
        enum frame_flush flush = flush_wanted(src, s, now, next_ms);
        if (flush > s->flushed && s->partial > 0) {
            s->flush = flush;
            stream_enqueue(src, s);
        } else if (s->lost && flush == FRAME_ALL) {
            stream_detach(src, s); /* read to its end */
            src->scan_wanted = true;
        }
    }
}

static int read_queue(struct source *src)
{
    const struct stream *blocked = NULL;
    while (!link_alone(&src->queue) && src->budget > 0 && !src->scan_now && !src->h->stopping(src->t)) {
        struct stream *s = link_stream(src->queue.next, queue);
        enum turn turn;
        if (s == blocked)
            break; /* all that are left wait for something */
        link_remove(&s->queue);
        int result = read_turn(src, s, &turn);
        if (result != LEAT_OK)
            return result;
        if (turn == TURN_FULL) {
            link_prepend(&src->queue, &s->queue);
            break;
        }
        if (turn == TURN_BLOCKED && !blocked)
            blocked = s;
        else if (turn != TURN_BLOCKED)
            blocked = NULL;
        if (turn != TURN_IDLE)
            stream_enqueue(src, s);
    }
    return LEAT_OK;
}

static void set_gauges(struct source *src, int64_t now)
{
    if (now - src->gauged_ms < GAUGE_MS)
        return;
    src->gauged_ms = now;
    double files = 0, behind = 0, partial = 0;
    for (size_t i = 0; i < src->stream_count; i++) {
        const struct stream *s = src->streams[i];
        if (!s->attached)
            continue;
        files++;
        partial += (double)s->partial;
        if (!s->gzip && s->size > s->offset)
            behind += (double)(s->size - s->offset);
    }
    src->h->gauge(src->t, "files", files);
    src->h->gauge(src->t, "bytes_behind", behind);
    src->h->gauge(src->t, "partial_bytes", partial);
    src->h->gauge(src->t, "unreadable_files", (double)map_count(src->complaints));
    src->h->gauge(src->t, "dropped_lines", src->dropped);
}

static void rest(struct source *src, int64_t next_ms)
{
    int64_t due = src->scanned_ms + scan_interval(src) - clock_mono_ms();
    if (src->scan_wanted || src->scan_now)
        due = src->scanned_ms + src->scan_cost_ms * SCAN_SHARE + 1 - clock_mono_ms();
    if (due < next_ms)
        next_ms = due;
    if (!link_alone(&src->queue) && next_ms > BLOCKED_MS)
        next_ms = BLOCKED_MS;
    if (next_ms > 0)
        src->h->wait(src->t, watch_fd(src), next_ms);
}

static int source_poll(void *self)
{
    struct source *src = self;
    int64_t now = clock_mono_ms(), next_ms = INT64_MAX;
    src->budget = src->h->poll_bytes(src->t);
    src->emitted = false;
    if (link_alone(&src->queue) || now - src->drained_ms >= DRAIN_MS) {
        src->drained_ms = now;
        watch_drain(src);
    }
    int result = scan_if_due(src, now);
    if (result != LEAT_OK)
        return result;
    tend_pending(src, clock_mono_ms(), &next_ms);
    result = read_queue(src);
    bool moved = src->emitted || src->dirty_count > 0;
    if (result == LEAT_OK)
        result = state_store(src);
    set_gauges(src, now);
    if (result == LEAT_OK && !moved)
        rest(src, next_ms);
    return result;
}

/* ---- checks ----------------------------------------------------------------------------------------------------- */

static int source_validate(struct leat_task *t, const struct leat_host *h, const struct leat_config *c)
{
    struct source_options o;
    int result = source_options_read(&o, t, h, c);
    source_options_free(&o);
    return result;
}

/* A directory that is missing may come; one that may not be listed is an error now. */
static int check_directory(struct leat_task *t, const struct leat_host *h, const char *dir)
{
    if (access(dir, R_OK | X_OK) == 0)
        return LEAT_OK;
    if (errno == ENOENT) {
        h->log(t, LEAT_WARN, "%s: no such directory yet", dir);
        return LEAT_OK;
    }
    return h->fail(t, LEAT_RETRY, "%s: %s", dir, strerror(errno));
}

static int source_check(struct leat_task *t, const struct leat_host *h, const struct leat_config *c)
{
    struct source_options o;
    int result = source_options_read(&o, t, h, c);
    for (size_t i = 0; result == LEAT_OK && i < o.pattern_count; i++) {
        const struct pattern *p = &o.patterns[i];
        if (!p->dir_is_glob)
            result = check_directory(t, h, p->dir);
    }
    source_options_free(&o);
    return result;
}

/* ---- the connector ---------------------------------------------------------------------------------------------- */

static const struct leat_source_ops source_ops = {
    .open = source_open,
    .poll = source_poll,
    .close = source_close,
};

static const char *const aliases[] = {
    "org.apache.kafka.connect.file.FileStreamSourceConnector",
    "FileStreamSourceConnector",
    "FileStreamSource",
    NULL,
};

const struct leat_connector file_source_connector = {
    .struct_size = sizeof(struct leat_connector),
    .kind = LEAT_SOURCE,
    .type = "file",
    .aliases = aliases,
    .summary = "Reads files as they grow, each line once.",
    .doc = "Follows files named by paths and patterns: new ones, ones that grow, and ones that are rotated "
           "by renaming, by\n"
           "copying and truncating, or by compression. Positions are stored in the same transaction as the "
           "records, so\n"
           "that every line is read once, also over crashes and rotations while Leat was down.\n"
           "\n"
           "A file is known by its device, inode and time of birth and by fingerprints of its first bytes "
           "and of those\n"
           "before the position; not by its name.\n",
    .example = "type: file\npaths: [/var/log/app/*.log]\n",
    .options = source_option_table,
    .option_count = SOURCE_OPTIONS,
    .exact = true,
    .validate = source_validate,
    .check = source_check,
    .source = &source_ops,
};
