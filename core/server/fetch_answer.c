/*
 * fetch_answer: the answer of a Fetch, from what was found; and what a session is told by it.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/fetch_work.h"

typedef struct msg_fetch_response_fetchable_topic_response topic_response;

void fetch_answer_code(struct request *c, int16_t code)
{
    struct msg_fetch_response r;
    msg_init(&msg_schema_fetch_response, &r);
    r.error_code = code;
    request_reply(c, &r);
}

void fetch_refuse(struct request *c, int16_t code)
{
    const struct msg_fetch_request *q = c->asked;
    struct msg_fetch_response r;
    int32_t n = c->header.version < FETCH_IDS_SINCE ? q->topics.count : 0;
    msg_init(&msg_schema_fetch_response, &r);
    r.error_code = code;
    r.session_id = q->session_id;
    r.responses.items = request_alloc(c, (size_t)n, sizeof *r.responses.items);
    if (r.responses.items == NULL)
        return;
    for (int32_t i = 0; i < n; i++) {
        int32_t parts = q->topics.items[i].partitions.count;
        topic_response *t = &r.responses.items[r.responses.count++];
        t->topic = q->topics.items[i].topic;
        t->partitions.items = request_alloc(c, (size_t)parts, sizeof *t->partitions.items);
        if (t->partitions.items == NULL)
            return;
        for (int32_t k = 0; k < parts; k++) {
            struct msg_fetch_response_partition_data *out = &t->partitions.items[t->partitions.count++];
            msg_init(&msg_schema_fetch_response_partition_data, out);
            out->partition_index = q->topics.items[i].partitions.items[k].partition;
            out->error_code = code;
            out->high_watermark = out->last_stable_offset = out->log_start_offset = -1;
            out->records = (struct msg_bytes){(const uint8_t *)"", 0};
        }
    }
    request_reply(c, &r);
}

/* What is needed of partitions to send their records, also when the session has changed. */
static int fill_files(struct request *c, struct fetch_work *w, struct err *e)
{
    for (size_t i = 0; i < w->found_count; i++) {
        struct fetch_found *found = &w->found[i];
        if (found->file == 0)
            continue;
        struct reply_file *f = &w->files[found->file - 1];
        f->topic = arena_dup(&c->arena, f->topic, strlen(f->topic));
        if (f->topic == NULL)
            return err_nomem(e);
        if (found->out.aborted_transactions.count > 0)
            found->out.aborted_transactions.items = &w->aborted[found->aborted];
    }
    return ERR_OK;
}

static bool same_topic(const struct fetch_topic *a, const struct fetch_topic *b)
{
    return a == b || (memcmp(&a->id, &b->id, sizeof a->id) == 0 && strcmp(a->name, b->name) == 0);
}

/* Partitions of one topic that follow each other share its entry. */
static int group_by_topic(struct request *c, struct fetch_work *w, struct msg_fetch_response *r,
                          struct err *e)
{
    size_t topics = 0, n = w->found_count;
    for (size_t i = 0; i < n; i++)
        topics += i == 0 || !same_topic(w->found[i - 1].part->topic, w->found[i].part->topic);
    struct msg_fetch_response_partition_data *all = arena_alloc(&c->arena, n * sizeof *all);
    r->responses.items = arena_alloc(&c->arena, topics * sizeof *r->responses.items);
    if (all == NULL || r->responses.items == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++) {
        const struct fetch_topic *t = w->found[i].part->topic;
        if (i == 0 || !same_topic(w->found[i - 1].part->topic, t))
            r->responses.items[r->responses.count++] =
                (topic_response){.topic = msg_text(t->name, strlen(t->name)),
                                 .topic_id = t->id,
                                 .partitions = {.items = &all[i], .count = 0}};
        all[i] = w->found[i].out;
        r->responses.items[r->responses.count - 1].partitions.count++;
    }
    return ERR_OK;
}

/* An error, and an end that the client has to go back from, are told again and again until they are over. */
static void remember(struct fetch_parts *parts, struct fetch_work *w)
{
    for (size_t i = 0; i < w->found_count; i++) {
        const struct msg_fetch_response_partition_data *out = &w->found[i].out;
        struct fetch_part *p = w->found[i].part;
        p->told_watermark = out->diverging_epoch.epoch >= 0 ? -1 : out->high_watermark;
        p->told_start = out->log_start_offset;
        if (out->records.n > 0 && w->session != NULL)
            fetch_parts_to_end(parts, p); /* the others come first next time */
    }
}

static int fill(struct request *c, struct fetch_work *w, struct msg_fetch_response *r, struct err *e)
{
    msg_init(&msg_schema_fetch_response, r);
    int rc = fill_files(c, w, e);
    if (rc == ERR_OK)
        rc = group_by_topic(c, w, r, e);
    if (rc != ERR_OK)
        return rc;
    remember(fetch_parts_of(w), w);
    if (w->session != NULL)
        r->session_id = w->session->id;
    else if (w->make_session)
        r->session_id = fetch_session_make(c->server->fetch_sessions, &w->own,
                                           c->header.version >= FETCH_IDS_SINCE, clock_mono_ms());
    return ERR_OK;
}

void fetch_answer(struct request *c, struct fetch_work *w)
{
    struct msg_fetch_response r;
    struct err e;
    if (!fetch_lock(w)) {
        fetch_let_files_go(w);
        fetch_answer_code(c, KAFKA_FETCH_SESSION_EPOCH);
        return;
    }
    int rc = fill(c, w, &r, &e);
    if (rc == ERR_OK) {
        request_reply_files(c, &r, w->files, w->file_count);
    } else {
        fetch_let_files_go(w);
        request_close(c, &e);
    }
    fetch_unlock(w);
}
