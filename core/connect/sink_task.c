/*
 * sink_task: one attempt of a sink: takes its share of the partitions, opens, then reads, puts and flushes by turns, and
 * commits what flush reports as stored for good to the group connect-<connector>. A record is given again after any end
 * that comes before that commit.
 */
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "connect/assignment.h"
#include "connect/task.h"
#include "connect/topics.h"

#define PUT_RECORDS ((size_t)4096) /* at most in one put: they stay in the cache */
#define COMMIT_MS 200              /* offsets are committed at most so often, each costs a sync */
#define LOOK_MS 5000       /* how often the topics are looked at again, and the longest wait for records */
#define TOPIC_WAIT_MS 1000 /* between looks for a topic that does not exist yet */
#define BUSY_WAIT_MS 20

struct sink_run {
    struct consumer *consumer;
    struct assigned *share;
    size_t share_count;
    uint64_t generation;
    struct leat_offset *offsets; /* what flush reported, by share */
    int64_t *given;              /* offset after the last record put; -1: nothing yet */
    int64_t *passed;             /* before it every record was put: given, or further over what holds none */
    int64_t *committed;
    const char *group;           /* the set's */
    struct leat_record *records; /* of one put */
    int64_t next_commit_ms, next_look_ms;
    uint64_t put_records, put_bytes; /* since they were last counted */
    bool told;                       /* which partition is left out */
};

/* ---- offsets ------------------------------------------------------------------------------------------------ */

/*
 * Whether the topic is the one that this task was given: it may have been deleted, and made anew, since. What is known of the old one's
 * records is nothing that may be stored for the new one's.
 */
static bool still_there(struct leat_task *t, const struct assigned *a)
{
    struct topic_brief now;
    struct err e;
    return uuid_is_zero(&a->topic_id) || (client_topic_brief(t->set->client, a->topic, &now, &e) == ERR_OK &&
                                          memcmp(&now.id, &a->topic_id, sizeof(now.id)) == 0);
}

/* The group's committed offsets; -1 where there is none. */
static int load_offsets(struct leat_task *t, struct sink_run *s, struct err *e)
{
    struct group_info group;
    for (size_t i = 0; i < s->share_count; i++) {
        s->offsets[i] = (struct leat_offset){s->share[i].topic, s->share[i].partition, -1};
        s->committed[i] = s->given[i] = s->passed[i] = -1;
    }
    int rc = client_group(t->set->client, s->group, &group, e);
    if (rc == ERR_UNKNOWN_GROUP)
        return ERR_OK;
    if (rc != ERR_OK)
        return err_wrap(e, "group %s", s->group);
    for (size_t k = 0; k < group.count; k++) {
        for (size_t i = 0; i < s->share_count; i++) {
            if (s->share[i].partition == group.offsets[k].partition &&
                strcmp(s->share[i].topic, group.offsets[k].topic) == 0)
                s->offsets[i].offset = s->committed[i] = group.offsets[k].offset;
        }
    }
    group_info_free(&group);
    for (size_t i = 0; i < s->share_count; i++) {
        const struct assigned *a = &s->share[i];
        /* A cluster is not asked: a partition without a leader would hold up the start. */
        if (!uuid_is_zero(&a->topic_id))
            s->offsets[i].offset = s->committed[i] =
                topics_place(t->set->client, s->group, a->topic, a->partition, s->committed[i]);
    }
    return ERR_OK;
}

/*
 * One entry that flush moved. It may be ahead of what was given, as a plugin's own state may be ahead of the group's
 * offset after a crash, but not behind what it reported before, nor beyond what is there.
 */
static int check_moved(struct leat_task *t, const struct sink_run *s, size_t i, int64_t before)
{
    const struct leat_offset *o = &s->offsets[i];
    const struct assigned *a = &s->share[i];
    if (o->topic != a->topic || o->partition != a->partition)
        return task_fail(t, LEAT_FAIL, "the plugin's flush changed entry %zu from %s-%d to another partition",
                         i, a->topic, a->partition);
    if (o->offset == before || (o->offset > before && o->offset <= s->given[i]) || !still_there(t, a))
        return LEAT_OK;
    struct err e;
    int64_t end, found;
    int rc =
        client_list_offset(t->set->client, a->topic, a->partition, -1, READ_UNCOMMITTED, &end, &found, &e);
    if (rc == ERR_DISK_FAILED || rc == ERR_LOG_FAILED)
        end = INT64_MAX; /* it is left out: where it ends cannot be asked */
    else if (rc != ERR_OK)
        return task_fail_err(t, &e);
    if (o->offset > before && o->offset <= end)
        return LEAT_OK;
    return task_fail(
        t, LEAT_FAIL,
        "the plugin's flush reported %s-%d as stored up to offset %lld; it had reported %lld before, and "
        "the partition ends at %lld",
        a->topic, a->partition, (long long)o->offset, (long long)before, (long long)end);
}

static int check_offsets(struct leat_task *t, const struct sink_run *s, const struct leat_offset *before)
{
    int rc = LEAT_OK;
    for (size_t i = 0; rc == LEAT_OK && i < s->share_count; i++)
        rc = check_moved(t, s, i, before[i].offset);
    return rc;
}

/*
 * What to commit for entry i. Once everything given is stored, what the reading has passed since, such as the ends of
 * transactions, need not be read again.
 */
static int64_t stored_up_to(const struct sink_run *s, size_t i)
{
    int64_t stored = s->offsets[i].offset;
    return stored >= 0 && stored == s->given[i] && s->passed[i] > stored ? s->passed[i] : stored;
}

static int commit(struct leat_task *t, struct sink_run *s)
{
    struct group_offset *moved = mem_calloc(s->share_count + 1, sizeof(*moved));
    size_t n = 0;
    struct err e;
    if (moved == NULL) {
        err_nomem(&e);
        return task_fail_err(t, &e);
    }
    for (size_t i = 0; i < s->share_count; i++) {
        int64_t stored = stored_up_to(s, i);
        if (stored > s->committed[i] && still_there(t, &s->share[i]))
            moved[n++] = (struct group_offset){.topic = s->share[i].topic,
                                               .partition = s->share[i].partition,
                                               .offset = stored,
                                               .leader_epoch = -1};
    }
    int rc = n == 0 ? ERR_OK : consumer_commit(s->consumer, moved, n, &e);
    for (size_t i = 0, k = 0; rc == ERR_OK && k < n; i++) {
        if (s->share[i].topic == moved[k].topic && s->share[i].partition == moved[k].partition)
            s->committed[i] = moved[k++].offset;
    }
    mem_free(moved);
    if (rc != ERR_OK) {
        err_wrap(&e, "cannot commit offsets of group %s", s->group);
        return task_fail_err(t, &e);
    }
    if (n > 0)
        task_progress(t, 0, 0);
    return LEAT_OK;
}

/*
 * Calls flush and takes in what it reports. An exact sink's report is committed before the next put: its own state spans
 * what was not yet committed only once. Others are committed now and then, or at once if `final`.
 */
static int flush(struct leat_task *t, struct sink_run *s, void *self, bool final, int64_t *next_ms)
{
    const struct leat_sink_ops *ops = t->set->config->connector->sink;
    task_call(t);
    struct leat_offset *before = mem_dup(s->offsets, s->share_count * sizeof(*before));
    if (before == NULL)
        return task_fail(t, LEAT_RETRY, "out of memory");
    *next_ms = -1;
    int rc = task_returned(t, ops->flush(self, final, s->offsets, s->share_count, next_ms), "flush", false);
    if (rc == LEAT_OK)
        rc = check_offsets(t, s, before);
    if (rc != LEAT_OK) /* nothing of a report that failed is believed */
        memcpy(s->offsets, before, s->share_count * sizeof(*before));
    mem_free(before);
    int64_t now = clock_mono_ms(), early = s->next_commit_ms - now;
    if (rc != LEAT_OK)
        return rc;
    if (!final && early > 0 &&
        !t->set->exact) { /* to be called again then, if there is something to commit */
        bool moved = false;
        for (size_t i = 0; i < s->share_count; i++)
            moved = moved || s->offsets[i].offset > s->committed[i];
        if (moved && (*next_ms < 0 || *next_ms > early))
            *next_ms = early;
        return LEAT_OK;
    }
    s->next_commit_ms = now + COMMIT_MS;
    return commit(t, s);
}

/* ---- putting ------------------------------------------------------------------------------------------------ */

static int decode_headers(struct leat_task *t, const struct record *from, struct leat_record *to,
                          struct err *e)
{
    struct slice left = from->headers;
    struct leat_header *headers = arena_alloc(&t->arena, (size_t)from->header_count * sizeof(*headers));
    if (headers == NULL)
        return err_nomem(e);
    for (int32_t i = 0; i < from->header_count; i++) {
        struct record_header h;
        if (record_next_header(&left, &h, e) != ERR_OK)
            return e->code;
        headers[i] = (struct leat_header){h.key, (size_t)h.key_len, h.value,
                                          h.value == NULL ? 0 : (size_t)h.value_len};
    }
    to->headers = headers;
    to->header_count = (size_t)from->header_count;
    return ERR_OK;
}

static int convert(struct leat_task *t, struct sink_run *s, const struct consumed *got, size_t from, size_t n,
                   struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        const struct record *r = &got->records[from + i];
        struct leat_record *to = &s->records[i];
        *to = (struct leat_record){.struct_size = sizeof(*to),
                                   .partition = got->partition,
                                   .topic = got->topic,
                                   .offset = r->offset,
                                   .timestamp = r->timestamp,
                                   .key = r->key,
                                   .key_len = r->key == NULL ? 0 : (size_t)r->key_len,
                                   .value = r->value,
                                   .value_len = r->value == NULL ? 0 : (size_t)r->value_len};
        s->put_bytes += to->key_len + to->value_len;
        if (r->header_count > 0 && decode_headers(t, r, to, e) != ERR_OK)
            return e->code;
    }
    s->put_records += n;
    return ERR_OK;
}

static size_t share_index(const struct sink_run *s, const struct consumed *got)
{
    size_t i = 0;
    while (s->share[i].partition != got->partition || strcmp(s->share[i].topic, got->topic) != 0)
        i++;
    return i;
}

/* Puts what one poll of the consumer gave, in parts. */
static int put(struct leat_task *t, struct sink_run *s, void *self, const struct consumed *got)
{
    const struct leat_sink_ops *ops = t->set->config->connector->sink;
    size_t share = share_index(s, got);
    struct err e;
    for (size_t from = 0; from < got->n && !atomic_load(&t->stopping);) {
        size_t n = got->n - from < PUT_RECORDS ? got->n - from : PUT_RECORDS;
        task_call(t);
        if (convert(t, s, got, from, n, &e) != ERR_OK) {
            err_wrap(&e, "%s-%d", got->topic, got->partition);
            return task_fail_err(t, &e);
        }
        int rc = task_returned(t, ops->put(self, s->records, n), "put", false);
        if (rc != LEAT_OK)
            return rc;
        from += n;
        s->given[share] = s->passed[share] = got->records[from - 1].offset + 1;
        if (from == got->n)
            s->passed[share] = got->next_offset;
    }
    return LEAT_OK;
}

/* After a read that gave nothing, when nothing is left to put: whatever was passed held no record for this sink. */
static void pass_gaps(struct sink_run *s)
{
    for (size_t i = 0; i < s->share_count; i++) {
        int64_t position = consumer_position(s->consumer, s->share[i].topic, s->share[i].partition);
        if (position > s->passed[i])
            s->passed[i] = position;
    }
}

/* Counts what was put, and shows how far the reading is. */
static void show_progress(struct leat_task *t, struct sink_run *s)
{
    int64_t now = clock_mono_ms(), wall = clock_wall_ms();
    pthread_mutex_lock(&t->lock);
    if (s->put_records > 0) {
        meter_add(&t->meter, now, s->put_records, s->put_bytes);
        t->records += s->put_records;
        t->bytes += s->put_bytes;
        t->last_activity_ms = wall;
    }
    for (size_t i = 0; i < t->read_count && i < s->share_count; i++) {
        if (s->passed[i] > t->reads[i].next)
            t->reads[i].next = s->passed[i];
    }
    pthread_mutex_unlock(&t->lock);
    s->put_records = s->put_bytes = 0;
}

/* ---- the run ------------------------------------------------------------------------------------------------ */

/* Replaces what the status shows as read by this task. */
static int show_reads(struct leat_task *t, struct sink_run *s, struct err *e)
{
    struct task_reads *reads = mem_calloc(s->share_count + 1, sizeof(*reads));
    size_t n = 0;
    if (reads == NULL)
        return err_nomem(e);
    for (; n < s->share_count; n++) {
        int64_t next = s->offsets[n].offset;
        reads[n] =
            (struct task_reads){mem_strdup(s->share[n].topic), s->share[n].partition, next < 0 ? 0 : next};
        if (reads[n].topic == NULL)
            break;
    }
    bool whole = n == s->share_count;
    pthread_mutex_lock(&t->lock);
    if (whole) {
        struct task_reads *old = t->reads;
        size_t old_count = t->read_count;
        t->reads = reads;
        t->read_count = n;
        t->division = s->generation;
        reads = old;
        n = old_count;
    }
    pthread_mutex_unlock(&t->lock);
    for (size_t i = 0; i < n; i++)
        mem_free(reads[i].topic);
    mem_free(reads);
    return whole ? ERR_OK : err_nomem(e);
}

static int sink_start(struct leat_task *t, struct sink_run *s, struct err *e)
{
    s->group = t->set->group;
    s->offsets = mem_calloc(s->share_count + 1, sizeof(*s->offsets));
    s->given = mem_calloc(s->share_count + 1, sizeof(*s->given));
    s->passed = mem_calloc(s->share_count + 1, sizeof(*s->passed));
    s->committed = mem_calloc(s->share_count + 1, sizeof(*s->committed));
    s->records = mem_calloc(PUT_RECORDS, sizeof(*s->records));
    if (s->offsets == NULL || s->given == NULL || s->passed == NULL || s->committed == NULL ||
        s->records == NULL)
        return err_nomem(e);
    struct consumer_options options = {.group = s->group, .isolation = READ_COMMITTED, .go_on = true};
    s->consumer = consumer_open(t->set->client, &options, e);
    if (s->consumer == NULL || load_offsets(t, s, e) != ERR_OK || show_reads(t, s, e) != ERR_OK)
        return e->code;
    for (size_t i = 0; i < s->share_count; i++) {
        int64_t from = s->offsets[i].offset < 0 ? CONSUMER_EARLIEST : s->offsets[i].offset;
        if (consumer_assign(s->consumer, s->share[i].topic, s->share[i].partition, from, e) != ERR_OK)
            return err_wrap(e, "%s-%d", s->share[i].topic, s->share[i].partition);
    }
    task_set_consumer(t, s->consumer);
    return ERR_OK;
}

static void sink_end(struct leat_task *t, struct sink_run *s)
{
    task_set_consumer(t, NULL);
    if (s->consumer != NULL)
        consumer_close(s->consumer);
    mem_free(s->offsets);
    mem_free(s->given);
    mem_free(s->passed);
    mem_free(s->committed);
    mem_free(s->records);
}

/* Whether to leave the division, having looked at the topics if it is time. */
static bool must_leave(struct leat_task *t, struct sink_run *s)
{
    int64_t now = clock_mono_ms();
    if (now >= s->next_look_ms) {
        assignment_refresh(t->set->assignment);
        s->next_look_ms = now + LOOK_MS;
    }
    return atomic_load(&t->stopping) || assignment_old(t->set->assignment, s->generation);
}

/* Partitions whose disk is out of service keep no others from being delivered. */
static void tell_trouble(struct leat_task *t, struct sink_run *s)
{
    struct err e;
    if (s->told || consumer_trouble(s->consumer, &e) == ERR_OK)
        return;
    task_set_trouble(t, e.text);
    s->told = true;
}

static int sink_loop(struct leat_task *t, struct sink_run *s, void *self)
{
    struct err e;
    int64_t next_ms = -1;
    tell_trouble(t, s); /* of what was assigned: the first poll may wait long */
    while (!must_leave(t, s)) {
        struct consumed got;
        int64_t wait = next_ms < 0 || next_ms > LOOK_MS ? LOOK_MS : next_ms < 1 ? 1 : next_ms;
        int rc = LEAT_OK;
        if (consumer_poll(s->consumer, wait, &got, &e) != ERR_OK) {
            assignment_refresh(t->set->assignment);
            if (e.code == ERR_UNKNOWN_TOPIC && assignment_old(t->set->assignment, s->generation))
                break; /* one is no more: what was put of it and of the others is seen through */
            rc = task_fail_err(t, &e);
        } else if (got.n > 0) {
            rc = put(t, s, self, &got);
        } else {
            pass_gaps(s);
        }
        tell_trouble(t, s);
        show_progress(t, s);
        if (rc == LEAT_OK && !atomic_load(&t->stopping))
            rc = flush(t, s, self, false, &next_ms);
        if (rc != LEAT_OK)
            return rc;
    }
    return flush(t, s, self, true, &next_ms);
}

/* With a share: opens the plugin, runs it, closes it. */
static int sink_session(struct leat_task *t, struct sink_run *s)
{
    const struct leat_sink_ops *ops = t->set->config->connector->sink;
    void *self = NULL;
    struct err e;
    int rc = task_check(t, true);
    if (rc != LEAT_OK)
        return rc;
    if (sink_start(t, s, &e) != ERR_OK)
        return task_fail_err(t, &e);
    task_call(t);
    rc =
        task_returned(t, ops->open(t, &task_host, t->set->config->options, s->offsets, s->share_count, &self),
                      "open", false);
    if (rc != LEAT_OK)
        return rc;
    task_set_state(t, TASK_RUNNING);
    rc = sink_loop(t, s, self);
    ops->close(self);
    if (rc == LEAT_OK)
        return rc;
    /* What was reported before the failure is stored for good: commit it, and keep the first reason. */
    struct err first = t->failure;
    if (commit(t, s) != LEAT_OK)
        diag_warn("connect", "%s: %s", t->label, t->failure.text);
    t->failure = first;
    return rc;
}

/* Waits for topics that do not exist yet, showing which, and for other tasks to leave an old division. */
static int enter(struct leat_task *t, struct sink_run *s)
{
    struct err e;
    bool told = false;
    for (;;) {
        int rc =
            assignment_enter(t->set->assignment, t->index, &s->share, &s->share_count, &s->generation, &e);
        if (rc == ERR_OK) {
            if (told)
                task_set_error(t, NULL);
            return LEAT_OK;
        }
        if (rc != ERR_UNKNOWN_TOPIC && rc != ERR_BUSY)
            return task_fail_err(t, &e);
        if (rc == ERR_UNKNOWN_TOPIC && !told) {
            diag_warn("connect", "%s: waits until there is such a topic: %s", t->label, e.text);
            task_set_error(t, e.text);
            task_set_state(t, TASK_UNASSIGNED);
            told = true;
        }
        if (task_sleep(t, rc == ERR_BUSY ? BUSY_WAIT_MS : TOPIC_WAIT_MS))
            return LEAT_END;
    }
}

enum task_outcome sink_attempt(struct leat_task *t)
{
    struct sink_run s = {0};
    int rc = enter(t, &s);
    if (rc != LEAT_OK)
        return rc == LEAT_END ? OUTCOME_ASKED : task_outcome_of(rc);
    struct err e;
    if (s.share_count > 0) {
        rc = sink_session(t, &s);
    } else if (show_reads(t, &s, &e) != ERR_OK) {
        rc = task_fail_err(t, &e);
    } else { /* more tasks than partitions */
        task_set_state(t, TASK_RUNNING);
        while (!must_leave(t, &s))
            task_sleep(t, LOOK_MS);
    }
    sink_end(t, &s);
    assignment_leave(t->set->assignment);
    mem_free(s.share);
    return task_outcome_of(rc);
}
