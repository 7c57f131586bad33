/*
 * consumer: assignments in turns over one read buffer and one waiter. One thread, but for consumer_wake.
 */
#include "client/consumer.h"

#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"

struct consumer *consumer_open(struct client *cl, const struct consumer_options *o, struct err *e)
{
    struct consumer *c = mem_calloc(1, sizeof *c);
    if (!c) {
        err_nomem(e);
        return NULL;
    }
    c->broker = cl->broker;
    c->isolation = o->isolation;
    c->fetch_bytes = o->fetch_bytes ? o->fetch_bytes : FETCH_BYTES_DEFAULT;
    buf_init(&c->in, BATCH_MAX_BYTES + c->fetch_bytes);
    if (o->group && !(c->group = mem_strdup(o->group)))
        err_nomem(e);
    else if ((c->waiter = waiter_new(c->broker, e)))
        return c;
    consumer_close(c);
    return NULL;
}

void consumer_close(struct consumer *c)
{
    if (!c)
        return;
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

/* ---- assignments ------------------------------------------------------------------------------------------------------ */

static struct assignment *find(struct consumer *c, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->list[i].partition == partition && strcmp(c->list[i].topic, topic) == 0)
            return &c->list[i];
    return NULL;
}

static int resolve(struct consumer *c, const char *topic, int32_t partition, int64_t *offset, struct err *e)
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

int consumer_assign(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct err *e)
{
    if (find(c, topic, partition))
        return err_set(e, ERR_EXISTS, "%s-%d is assigned already", topic, partition);
    int rc = resolve(c, topic, partition, &offset, e);
    if (rc)
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
    c->list[c->count++] = (struct assignment){.topic = name, .partition = partition, .position = offset};
    return ERR_OK;
}

int consumer_seek(struct consumer *c, const char *topic, int32_t partition, int64_t offset, struct err *e)
{
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

int64_t consumer_position(struct consumer *c, const char *topic, int32_t partition)
{
    struct assignment *a = find(c, topic, partition);
    return a ? a->position : -1;
}

bool consumer_at_end(struct consumer *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct assignment *a = &c->list[i];
        int64_t end, ts;
        struct err e;
        if (a->gone)
            continue;
        if (broker_list_offset(c->broker, a->topic, a->partition, -1, c->isolation, &end, &ts, &e)) {
            if (e.code == ERR_UNKNOWN_TOPIC)
                continue; /* deleted: nothing more comes */
            return false;
        }
        if (a->position < end)
            return false;
    }
    return true;
}

int consumer_commit(struct consumer *c, const struct group_offset *offsets, size_t n, struct err *e)
{
    if (!c->group)
        return err_set(e, ERR_INVALID_GROUP, "a consumer without group cannot commit");
    return broker_commit_offsets(c->broker, c->group, offsets, n, e);
}

/* ---- polling ------------------------------------------------------------------------------------------------------------ */

void consumer_wake(struct consumer *c)
{
    atomic_store(&c->woken, true);
    waiter_wake(c->waiter);
}

/* One round over the partitions, starting with the one whose turn it is, until one has something. */
static int look_around(struct consumer *c, struct err *e)
{
    for (size_t i = 0; i < c->count && !c->current; i++) {
        struct assignment *a = &c->list[c->turn];
        c->turn = (c->turn + 1) % c->count;
        if (a->gone)
            continue;
        int rc = consumer_read(c, a, e);
        if (rc == ERR_UNKNOWN_TOPIC) {
            a->gone = true;
            diag_warn("client", "%s-%d was deleted while being read", a->topic, a->partition);
        } else if (rc) {
            return rc;
        }
    }
    return ERR_OK;
}

/* Gives out what there is. Reads may hold nothing for the caller (markers, aborted records): then goes on. */
static int take(struct consumer *c, struct consumed *out, struct err *e)
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

int consumer_poll(struct consumer *c, int64_t ms, struct consumed *out, struct err *e)
{
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
