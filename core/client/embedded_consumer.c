/*
 * embedded_consumer: assignments in turns over one read buffer and one waiter. One thread, but for consumer_wake.
 */
#include "client/embedded_consumer.h"

#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"

static void consumer_free(struct embedded_consumer *c)
{
    waiter_free(c->waiter);
    consumer_forget_read(c);
    for (size_t i = 0; i < c->count; i++)
        mem_free(c->list[i].topic);
    for (size_t i = 0; i < c->scratch_room; i++)
        buf_free(&c->scratch[i]);
    mem_free(c->scratch);
    mem_free(c->records);
    mem_free(c->list);
    buf_free(&c->in);
    mem_free(c->group);
    mem_free(c);
}

static void embedded_close(struct consumer *base)
{
    struct embedded_consumer *c = (struct embedded_consumer *)base;
    if (c->group)
        broker_group_release(c->broker, c->group);
    consumer_free(c);
}

/* ---- assignments ------------------------------------------------------------------------------------------------------ */

static struct assignment *find(struct embedded_consumer *c, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->list[i].partition == partition && strcmp(c->list[i].topic, topic) == 0)
            return &c->list[i];
    return NULL;
}

static int resolve(struct embedded_consumer *c, const char *topic, int32_t partition, int64_t *offset,
                   struct err *e)
{
    int64_t ts;
    if (*offset == CONSUMER_STORED) {
        int64_t stored = -1;
        int rc = c->group ? broker_fetch_offset(c->broker, c->group, topic, partition, &stored, e) : ERR_OK;
        if (rc || stored >= 0) {
            *offset = stored;
            return rc;
        }
        *offset = CONSUMER_EARLIEST;
    }
    if (*offset >= 0)
        return ERR_OK;
    if (*offset != CONSUMER_EARLIEST && *offset != CONSUMER_LATEST)
        return err_set(e, ERR_INVALID, "%lld is not a place to read from", (long long)*offset);
    return broker_list_offset(c->broker, topic, partition, *offset, c->isolation, offset, &ts, e);
}

/* False: the error is the caller's. */
static bool leave_out(struct embedded_consumer *c, const char *topic, int32_t partition, struct err *e)
{
    if (!c->go_on || (e->code != ERR_DISK_FAILED && e->code != ERR_LOG_FAILED))
        return false;
    err_wrap(e, "%s-%d is left out", topic, partition);
    diag_warn("client", "%s", e->text);
    if (c->trouble.code == ERR_OK)
        c->trouble = *e;
    return true;
}

static int embedded_assign(struct consumer *base, const char *topic, int32_t partition, int64_t offset,
                           struct err *e)
{
    struct embedded_consumer *c = (struct embedded_consumer *)base;
    if (find(c, topic, partition))
        return err_set(e, ERR_EXISTS, "%s-%d is assigned already", topic, partition);
    struct topic_brief known; /* before anything is read of it */
    int rc = broker_topic_brief(c->broker, topic, &known, e);
    if (!rc)
        rc = resolve(c, topic, partition, &offset, e);
    bool out = rc && leave_out(c, topic, partition, e);
    if (rc && !out)
        return rc;
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 8;
        size_t current = c->current ? (size_t)(c->current - c->list) : 0;
        struct assignment *more = mem_realloc_array(c->list, room, sizeof *more);
        if (!more)
            return err_nomem(e);
        c->current = c->current ? &more[current] : NULL;
        c->list = more;
        c->room = room;
    }
    char *name = mem_strdup(topic);
    if (!name)
        return err_nomem(e);
    if ((rc = waiter_watch(c->waiter, topic, partition, e))) {
        mem_free(name);
        return rc;
    }
    c->list[c->count++] = (struct assignment){.topic = name,
                                              .partition = partition,
                                              .topic_id = known.id,
                                              .position = out ? 0 : offset,
                                              .gone = out};
    return ERR_OK;
}

static int embedded_seek(struct consumer *base, const char *topic, int32_t partition, int64_t offset,
                         struct err *e)
{
    struct embedded_consumer *c = (struct embedded_consumer *)base;
    struct assignment *a = find(c, topic, partition);
    if (!a)
        return err_set(e, ERR_NOT_FOUND, "%s-%d is not assigned", topic, partition);
    int rc = resolve(c, topic, partition, &offset, e);
    if (rc)
        return rc;
    if (c->current == a)
        consumer_forget_read(c);
    a->position = offset;
    return ERR_OK;
}

static int64_t embedded_position(struct consumer *base, const char *topic, int32_t partition)
{
    struct embedded_consumer *c = (struct embedded_consumer *)base;
    struct assignment *a = find(c, topic, partition);
    return a ? a->position : -1;
}

static bool embedded_at_end(struct consumer *base)
{
    struct embedded_consumer *c = (struct embedded_consumer *)base;
    for (size_t i = 0; i < c->count; i++) {
        const struct assignment *a = &c->list[i];
        int64_t end, ts;
        struct err e;
        if (a->gone || !consumer_topic_there(c, a))
            continue; /* deleted: nothing more comes */
        if (broker_list_offset(c->broker, a->topic, a->partition, -1, c->isolation, &end, &ts, &e)) {
            if (e.code == ERR_UNKNOWN_TOPIC)
                continue;
            return false;
        }
        if (a->position < end)
            return false;
    }
    return true;
}

static int embedded_trouble(const struct consumer *base, struct err *e)
{
    *e = ((const struct embedded_consumer *)base)->trouble;
    return e->code;
}

static int embedded_commit(struct consumer *base, const struct group_offset *offsets, size_t n, struct err *e)
{
    struct embedded_consumer *c = (struct embedded_consumer *)base;
    if (!c->group)
        return err_set(e, ERR_INVALID_GROUP, "a consumer without group cannot commit");
    return broker_commit_offsets(c->broker, c->group, offsets, n, e);
}

/* ---- polling ------------------------------------------------------------------------------------------------------------ */

static void embedded_wake(struct consumer *base)
{
    struct embedded_consumer *c = (struct embedded_consumer *)base;
    atomic_store(&c->woken, true);
    waiter_wake(c->waiter);
}

/* One round over the partitions, starting with the one whose turn it is, until one has something. */
static int look_around(struct embedded_consumer *c, struct err *e)
{
    for (size_t i = 0; i < c->count && !c->current; i++) {
        struct assignment *a = &c->list[c->turn];
        c->turn = (c->turn + 1) % c->count;
        if (a->gone)
            continue;
        int rc = consumer_read(c, a, e);
        if (rc == ERR_UNKNOWN_TOPIC) {
            a->gone = true;
            err_set(e, rc, "%s-%d was deleted while being read", a->topic, a->partition);
            diag_warn("client", "%s", e->text);
            return rc;
        }
        if (rc && !(a->gone = leave_out(c, a->topic, a->partition, e)))
            return rc;
    }
    return ERR_OK;
}

/* Gives out what there is. Reads may hold nothing for the caller (markers, aborted records): then goes on. */
static int take(struct embedded_consumer *c, struct consumed *out, struct err *e)
{
    out->n = 0;
    do {
        int rc = c->current ? ERR_OK : look_around(c, e);
        if (rc || !c->current)
            return rc;
        struct assignment *a = c->current;
        if ((rc = consumer_decode(c, e)))
            return rc;
        if (c->record_count > 0)
            *out = (struct consumed){a->topic, a->partition, c->records, c->record_count, a->position};
    } while (out->n == 0);
    return ERR_OK;
}

static int embedded_poll(struct consumer *base, int64_t ms, struct consumed *out, struct err *e)
{
    struct embedded_consumer *c = (struct embedded_consumer *)base;
    int64_t deadline = ms < 0 ? INT64_MAX : clock_mono_ms() + ms;
    memset(out, 0, sizeof *out);
    for (;;) {
        int rc = take(c, out, e);
        if (rc || out->n > 0)
            return rc;
        int64_t left = ms < 0 ? -1 : deadline - clock_mono_ms();
        if (ms >= 0 && left <= 0)
            return ERR_OK;
        waiter_wait(c->waiter, left);
        if (atomic_exchange(&c->woken, false))
            return ERR_OK;
    }
}

static const struct consumer_ops embedded_ops = {
    .close = embedded_close,
    .assign = embedded_assign,
    .seek = embedded_seek,
    .position = embedded_position,
    .poll = embedded_poll,
    .wake = embedded_wake,
    .at_end = embedded_at_end,
    .trouble = embedded_trouble,
    .commit = embedded_commit,
};

struct consumer *embedded_consumer_open(struct broker *b, const struct consumer_options *o, struct err *e)
{
    struct embedded_consumer *c = mem_calloc(1, sizeof *c);
    if (!c) {
        err_nomem(e);
        return NULL;
    }
    c->base.ops = &embedded_ops;
    c->broker = b;
    c->isolation = o->isolation;
    c->go_on = o->go_on;
    c->fetch_bytes = o->fetch_bytes ? o->fetch_bytes : FETCH_BYTES_DEFAULT;
    buf_init(&c->in, BATCH_MAX_BYTES + c->fetch_bytes);
    if (o->group && !(c->group = mem_strdup(o->group)))
        err_nomem(e);
    else if ((c->waiter = waiter_new(c->broker, e)) &&
             (!c->group || broker_group_hold(c->broker, c->group, e) == ERR_OK))
        return &c->base;
    consumer_free(c);
    return NULL;
}
