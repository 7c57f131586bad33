/*
 * file sink: one file that only grows. A state file in the hidden directory holds the length up to which the file is
 * committed and the offsets that belong to it; what is beyond that after a crash is cut and written again. Task thread only.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "connectors/file/sink.h"
#include "kit/encode.h"

#define PENDING_BYTES (256u << 10)
#define STATE_NAME "append.state"
#define TAIL_BYTES 4096 /* before the committed end, known by their checksum */

struct append_part {
    char *topic;
    char id[TOPIC_ID_SIZE]; /* "": unknown */
    int32_t partition;
    int64_t next;       /* behind the last record taken; -1: none */
    int64_t skip_below; /* in the file already */
    int64_t committed;  /* in the hub, as of when the state was stored */
    bool moved;         /* since then */
};

struct append {
    struct rounds *rounds;
    struct record_view task;
    struct encoder *encoder;
    char *path;
    int fd;
    int64_t length;         /* written so far; `pending` follows */
    int64_t inode, born_ns; /* born: 0 where the file system does not know */
    struct buf pending;
    bool dirty;
    int64_t sync_interval_ms, synced_ms; /* monotonic */
    struct append_part *parts;
    size_t part_n;
};

static struct append_part *part_find(struct append *a, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < a->part_n; i++) {
        if (a->parts[i].partition == partition && strcmp(a->parts[i].topic, topic) == 0)
            return &a->parts[i];
    }
    return NULL;
}

/* ---- state ----------------------------------------------------------------------------------------------------- */

/* Checksum of what stands before `end`; tells our file from another one that took its name and inode. */
static int tail_crc(struct append *a, int64_t end, uint32_t *crc, struct err *e)
{
    uint8_t tail[TAIL_BYTES];
    size_t n = end < TAIL_BYTES ? (size_t)end : TAIL_BYTES;
    int rc = io_pread(a->fd, tail, n, end - (int64_t)n, a->path, e);
    if (rc == ERR_OK)
        *crc = crc32c(0, tail, n);
    return rc;
}

static int store_state(struct append *a, struct err *e)
{
    uint32_t crc;
    int rc = tail_crc(a, a->length, &crc, e);
    if (rc != ERR_OK)
        return rc;
    json_t *offsets = json_array();
    for (size_t i = 0; i < a->part_n; i++) {
        const struct append_part *p = &a->parts[i];
        json_array_append_new(offsets, json_pack("{s:s, s:s, s:i, s:I, s:I}", "topic", p->topic, "id", p->id,
                                                 "partition", (int)p->partition, "committed",
                                                 (json_int_t)p->committed, "next", (json_int_t)p->next));
    }
    bool complete = json_array_size(offsets) == a->part_n;
    json_t *state =
        json_pack("{s:I, s:I, s:I, s:I, s:o}", "inode", (json_int_t)a->inode, "born", (json_int_t)a->born_ns,
                  "length", (json_int_t)a->length, "crc", (json_int_t)crc, "offsets", offsets);
    char *text = state && complete ? json_dumps(state, JSON_COMPACT) : NULL;
    json_decref(state);
    if (!text)
        return err_nomem(e);
    rc = rounds_store(a->rounds, STATE_NAME, text, strlen(text), e);
    free(text);
    return rc;
}

static void take_offsets(struct append *a, json_t *offsets)
{
    for (size_t i = 0; i < json_array_size(offsets); i++) {
        const char *topic, *id = "";
        int partition;
        json_int_t committed, next;
        if (json_unpack(json_array_get(offsets, i), "{s:s, s?s, s:i, s:I, s:I}", "topic", &topic, "id", &id,
                        "partition", &partition, "committed", &committed, "next", &next) != 0)
            continue;
        struct append_part *p = part_find(a, topic, partition);
        if (p && *p->id && *id && strcmp(p->id, id) != 0)
            continue; /* of an earlier topic of that name */
        if (p && p->committed >= committed && p->committed < next)
            p->next = p->skip_below = (int64_t)next;
    }
}

struct committed {
    json_int_t inode, born, length, crc;
    json_t *offsets;
};

/* *same: the file is the one that was committed, with at least what was committed in it. */
static int is_same_file(struct append *a, const struct committed *c, bool *same, struct err *e)
{
    *same = false;
    if (c->inode != a->inode || c->born != a->born_ns || c->length < 0 || c->length > a->length)
        return ERR_OK;
    uint32_t crc;
    int rc = tail_crc(a, (int64_t)c->length, &crc, e);
    *same = rc == ERR_OK && crc == (uint32_t)c->crc;
    return rc;
}

/* Cuts what was not committed, and learns what was. A file that is not the one of the state is kept whole. */
static int recover(struct append *a, struct err *e)
{
    char *data;
    size_t n;
    int rc = rounds_load(a->rounds, STATE_NAME, &data, &n, e);
    if (rc != ERR_OK || !data)
        return rc;
    struct committed c;
    bool same;
    json_t *state = json_loadb(data, n, 0, NULL);
    if (!state || json_unpack(state, "{s:I, s:I, s:I, s:I, s:o}", "inode", &c.inode, "born", &c.born,
                              "length", &c.length, "crc", &c.crc, "offsets", &c.offsets) != 0) {
        rc = err_set(e, ERR_CORRUPT, "the state of %s is not understood", a->path);
    } else {
        take_offsets(a, c.offsets);
        rc = is_same_file(a, &c, &same, e);
        if (rc == ERR_OK && same && c.length < a->length) {
            rc = io_truncate(a->fd, (int64_t)c.length, a->path, e);
            a->length = (int64_t)c.length;
        }
    }
    json_decref(state);
    mem_free(data);
    return rc;
}

/* ---- open ------------------------------------------------------------------------------------------------------ */

static int set_parts(struct append *a, const struct leat_offset *assigned, size_t n, struct err *e)
{
    a->parts = mem_calloc(n ? n : 1, sizeof(*a->parts));
    if (!a->parts)
        return err_nomem(e);
    for (; a->part_n < n; a->part_n++) {
        int64_t committed = assigned[a->part_n].offset;
        struct append_part *p = &a->parts[a->part_n];
        *p = (struct append_part){.partition = assigned[a->part_n].partition,
                                  .next = committed,
                                  .skip_below = committed,
                                  .committed = committed};
        p->topic = mem_strdup(assigned[a->part_n].topic);
        if (!p->topic)
            return err_nomem(e);
        const char *id = kit_topic_id(a->task.host, a->task.task, p->topic);
        snprintf(p->id, sizeof(p->id), "%s", id ? id : "");
    }
    return ERR_OK;
}

static int open_file(struct append *a, struct err *e)
{
    int rc = io_open(&a->fd, a->path, O_RDWR | O_CREAT, 0644, e);
    if (rc != ERR_OK)
        return rc;
    struct statx st;
    if (statx(a->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) != 0)
        return err_sys(e, errno, "cannot stat %s", a->path);
    if (!S_ISREG(st.stx_mode))
        return err_set(e, ERR_INVALID_CONFIG, "file: %s is not a regular file", a->path);
    int errnum = claims_lock(a->fd, false);
    if (errnum != 0)
        return errnum == EWOULDBLOCK ? err_set(e, ERR_BUSY, "%s is written by another sink", a->path)
                                     : err_sys(e, errnum, "cannot lock %s", a->path);
    a->inode = (int64_t)st.stx_ino;
    a->born_ns = st.stx_mask & STATX_BTIME ? st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec : 0;
    a->length = (int64_t)st.stx_size;
    rc = recover(a, e);
    if (rc == ERR_OK)
        rc = io_sync_dir(rounds_directory(a->rounds), e);
    /* Known from now on: where our bytes begin. */
    return rc == ERR_OK ? store_state(a, e) : rc;
}

int append_open(const struct sink_settings *s, const struct record_view *view, struct rounds *rounds,
                const struct leat_offset *assigned, size_t n, struct append **out, struct err *e)
{
    *out = NULL;
    struct append *a = mem_calloc(1, sizeof(*a));
    if (!a)
        return err_nomem(e);
    a->fd = -1;
    a->rounds = rounds;
    a->task = *view;
    a->sync_interval_ms = s->sync_interval_ms;
    a->synced_ms = clock_mono_ms();
    buf_init(&a->pending, ENCODE_RECORD_MAX + PENDING_BYTES);
    a->path = mem_strdup(s->file);
    int rc = a->path ? set_parts(a, assigned, n, e) : err_nomem(e);
    if (rc == ERR_OK)
        rc = encoder_new(&s->filer.encode, view, &a->encoder, e);
    if (rc == ERR_OK)
        rc = open_file(a, e);
    if (rc == ERR_OK && a->length == 0)
        rc = encoder_begin(a->encoder, &a->pending, e);
    if (rc != ERR_OK) {
        append_free(a);
        return rc;
    }
    *out = a;
    return ERR_OK;
}

void append_free(struct append *a)
{
    if (!a)
        return;
    io_close(a->fd);
    encoder_free(a->encoder);
    buf_free(&a->pending);
    for (size_t i = 0; i < a->part_n; i++)
        mem_free(a->parts[i].topic);
    mem_free(a->parts);
    mem_free(a->path);
    mem_free(a);
}

/* ---- records --------------------------------------------------------------------------------------------------- */

static int write_pending(struct append *a, struct err *e)
{
    if (a->pending.len == 0)
        return ERR_OK;
    int rc = io_pwrite(a->fd, a->pending.data, a->pending.len, a->length, a->path, e);
    if (rc != ERR_OK)
        return rc;
    a->length += (int64_t)a->pending.len;
    if (a->pending.cap > 4 * PENDING_BYTES) {
        buf_free(&a->pending); /* a huge record does not stay in memory */
        return ERR_OK;
    }
    buf_reset(&a->pending);
    return ERR_OK;
}

int append_put(struct append *a, const struct leat_record *records, size_t n, struct err *e)
{
    if (n == 0)
        return ERR_OK;
    struct append_part *p = part_find(a, records[0].topic, records[0].partition);
    if (!p)
        return err_set(e, ERR_UNKNOWN_TOPIC, "%s-%d is not assigned", records[0].topic,
                       (int)records[0].partition);
    int rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        if (records[i].offset < p->skip_below)
            continue;
        rc = encoder_record(a->encoder, &records[i], &a->pending, e);
        if (rc == ERR_END)
            rc = ERR_OK;
        if (rc == ERR_OK && a->pending.len >= PENDING_BYTES)
            rc = write_pending(a, e);
        p->next = records[i].offset + 1;
        a->dirty = p->moved = true;
    }
    return rc;
}

/* Learns what is committed of the partitions that moved, or of all. */
static int learn_committed(struct append *a, bool all, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < a->part_n && rc == ERR_OK; i++) {
        struct append_part *p = &a->parts[i];
        if (p->moved || all)
            rc = sink_committed(&a->task, p->topic, p->partition, &p->committed, e);
        p->moved = false;
    }
    return rc;
}

int append_settle(struct append *a, struct err *e)
{
    if (a->dirty)
        return ERR_OK; /* not a clean end: the state tells how far the file is good */
    int rc = learn_committed(a, true, e);
    return rc == ERR_OK ? store_state(a, e) : rc;
}

static int commit(struct append *a, struct err *e)
{
    int rc = write_pending(a, e);
    if (rc == ERR_OK)
        rc = io_sync_data(a->fd, a->path, e);
    if (rc == ERR_OK)
        rc = learn_committed(a, false, e);
    if (rc == ERR_OK)
        rc = store_state(a, e);
    if (rc != ERR_OK)
        return rc;
    a->dirty = false;
    a->synced_ms = clock_mono_ms();
    return ERR_OK;
}

int append_flush(struct append *a, bool final, struct leat_offset *assigned, size_t n, int64_t *next_ms,
                 struct err *e)
{
    *next_ms = -1;
    if (a->dirty) {
        int64_t wait = a->synced_ms + a->sync_interval_ms - clock_mono_ms();
        if (!final && wait > 0) {
            *next_ms = wait; /* what is pending waits too: little is seen that a crash would take back */
            return ERR_OK;
        }
        int rc = commit(a, e);
        if (rc != ERR_OK)
            return rc;
    }
    for (size_t i = 0; i < n; i++) {
        struct append_part *p = part_find(a, assigned[i].topic, assigned[i].partition);
        if (p && p->next >= 0)
            assigned[i].offset = p->next;
    }
    return ERR_OK;
}
