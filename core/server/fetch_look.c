/*
 * fetch_look: what there is of the partitions of a Fetch. What is found stays in its segment until it is sent.
 */
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "server/fetch_work.h"

#define FETCH_BYTES_MAX ((size_t)55 << 20) /* of an answer, whatever is asked for: Kafka's fetch.max.bytes */
#define READ_PIECE ((size_t)64 << 10)
#define ZSTD_SINCE 10   /* Fetch 10: KIP-110 */
#define LEADER_SINCE 16 /* KIP-951 */

void fetch_let_files_go(struct fetch_work *w)
{
    for (size_t i = 0; i < w->file_count; i++)
        log_range_release(&w->files[i].range);
    w->file_count = w->found_count = w->aborted_count = w->bytes = w->there = 0;
    w->hurry = false;
}

bool fetch_lock(struct fetch_work *w)
{
    if (w->session == NULL)
        return true;
    fetch_session_lock(w->session);
    if (w->session->epoch == w->session_epoch)
        return true;
    w->superseded = true;
    fetch_session_unlock(w->session);
    return false;
}

/*
 * Between two partitions. Another request of the session may wait for it in its loop, and is not to wait for the disk more than once. False: it goes on
 * with the session, of which nothing may be touched any more.
 */
static bool give_way(struct fetch_work *w)
{
    if (w->session == NULL || !io_is_patient())
        return true;
    fetch_session_give_way(w->session);
    w->superseded = w->session->epoch != w->session_epoch;
    return !w->superseded;
}

void fetch_unlock(struct fetch_work *w)
{
    if (w->session != NULL)
        fetch_session_unlock(w->session);
}

/* Room for one more of what is `size` bytes large; in the arena, doubling, so that it takes what the answer needs. */
static void *grow(struct request *c, void *list, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return list;
    size_t more = *room > 0 ? *room * 2 : 4;
    void *bigger = more <= REQUEST_ARENA_MAX / size ? arena_alloc(&c->arena, more * size) : NULL;
    if (bigger == NULL)
        return NULL;
    if (n > 0)
        memcpy(bigger, list, n * size);
    *room = more;
    return bigger;
}

/* Whether the client is told of it: always, but of a session only what is new. */
static bool is_told(const struct fetch_work *w, const struct fetch_part *p,
                    const struct msg_fetch_response_partition_data *out)
{
    return w->session == NULL || out->records.n > 0 || out->error_code != 0 ||
           out->diverging_epoch.epoch >= 0 || out->high_watermark != p->told_watermark ||
           out->log_start_offset != p->told_start;
}

static void set_error(struct msg_fetch_response_partition_data *out, int16_t code)
{
    out->error_code = code;
    out->high_watermark = out->last_stable_offset = out->log_start_offset = -1;
    if (code == err_kafka(ERR_UNKNOWN_TOPIC) || code == err_kafka(ERR_UNKNOWN_TOPIC_ID))
        out->aborted_transactions.count = 0; /* where Kafka does not come to what was asked */
}

/* The partition as it was found before, or as it is now. One that is gone although it was there before is told at once. */
static int16_t look(struct request *c, struct fetch_work *w, struct fetch_part *part,
                    const struct partition_ask *ask, struct partition_look *l)
{
    struct broker *b = c->server->broker;
    struct err e;
    int rc = part->p != NULL ? broker_partition_look(b, part->p, ask, l, &e) : ERR_UNKNOWN_TOPIC;
    if (rc == ERR_UNKNOWN_TOPIC) {
        bool gone = part->p != NULL;
        broker_partition_let_go(part->p);
        rc = broker_partition_find(b, part->topic->name, &part->topic->id, part->partition, &part->p, &e);
        if (rc == ERR_OK)
            rc = broker_partition_look(b, part->p, ask, l, &e);
        w->hurry |= gone && rc != ERR_OK;
    }
    w->cold |= rc == ERR_WOULD_WAIT;
    if (rc != ERR_UNKNOWN_TOPIC && rc != ERR_UNKNOWN_TOPIC_ID) {
        w->there++;
        w->hurry |= rc != ERR_OK;
    }
    return err_kafka(rc == ERR_UNKNOWN_TOPIC_ID && c->header.version < FETCH_IDS_SINCE ? ERR_UNKNOWN_TOPIC
                                                                                       : rc);
}

static size_t limit_of(const struct fetch_work *w, const struct fetch_part *part)
{
    size_t max = part->max_bytes > 0 ? (size_t)part->max_bytes : 0;
    max = max < w->size_left ? max : w->size_left;
    return max > 0 || w->bytes > 0 ? max
                                   : 1; /* the first batch of all goes out whole, however large (KIP-74) */
}

/* Why a partition that can be read is refused nevertheless, as Kafka's code; 0: it is not. */
static int16_t refusal(const struct request *c, const struct fetch_work *w, const struct fetch_part *part,
                       const struct partition_look *l)
{
    const struct msg_fetch_request *q = c->asked;
    if (l->codec == CODEC_ZSTD && c->header.version < ZSTD_SINCE)
        return err_kafka(ERR_UNSUPPORTED_COMPRESSION);
    if (q->replica_id >= 0 || q->replica_state.replica_id >= 0) /* there are no other replicas */
        return KAFKA_NOT_LEADER;
    /* Kafka stumbles over a negative limit where it reads; that of the whole is 0 after the first partition. */
    bool negative = part->max_bytes < 0 || (q->max_bytes < 0 && w->there == 1);
    return negative && l->range.bytes > 0 ? err_kafka(ERR_INTERNAL) : 0;
}

/* Who gets less than there is, as whole batches are sent, does not wait for more: Kafka counts the part of the next one that would fit. */
static void take_records(struct fetch_work *w, struct fetch_found *found, struct log_range *range, size_t max)
{
    if (range->bytes == 0 || (range->bytes > max && w->bytes > 0)) {
        w->hurry |= range->bytes > 0;
        log_range_release(range);
        return;
    }
    w->files[w->file_count++] = (struct reply_file){.topic = broker_partition_topic(found->part->p),
                                                    .partition = found->part->partition,
                                                    .range = *range,
                                                    .bytes = range->bytes};
    found->file = w->file_count;
    found->out.records = (struct msg_bytes){NULL, (int32_t)range->bytes};
    w->bytes += range->bytes;
    w->size_left -= range->bytes < w->size_left ? range->bytes : w->size_left;
}

/* There is room for one more. */
static void look_at(struct request *c, struct fetch_work *w, struct fetch_part *part)
{
    const struct msg_fetch_request *q = c->asked;
    struct fetch_found *found = &w->found[w->found_count];
    struct msg_fetch_response_partition_data *out = &found->out;
    struct partition_look l;
    struct partition_ask ask = {.offset = part->offset,
                                .max_bytes = limit_of(w, part),
                                .isolation = q->isolation_level == 1 ? READ_COMMITTED : READ_UNCOMMITTED,
                                .current_epoch = part->current_epoch,
                                .last_epoch = part->last_epoch};
    *found = (struct fetch_found){.part = part};
    msg_init(&msg_schema_fetch_response_partition_data, out);
    out->partition_index = part->partition;
    out->aborted_transactions.count =
        q->isolation_level == 1 ? 0 : -1; /* never null for who asks for committed records */
    out->records = (struct msg_bytes){(const uint8_t *)"", 0};
    int16_t code = look(c, w, part, &ask, &l);
    int16_t refused = code == 0 ? refusal(c, w, part, &l) : 0;
    if (refused != 0) {
        log_range_release(&l.range);
        code = refused;
        w->hurry = true;
    }
    if (code != 0) {
        set_error(out, code);
        if (code == KAFKA_NOT_LEADER && c->header.version >= LEADER_SINCE)
            out->current_leader = (struct msg_fetch_response_leader_id_and_epoch){
                api_node(c), api_leader_epoch(c, broker_partition_topic(part->p), part->partition)};
    } else {
        out->high_watermark = l.at.high_watermark;
        out->last_stable_offset = l.at.last_stable;
        out->log_start_offset = l.at.start;
        out->diverging_epoch.epoch = l.diverging_epoch;
        out->diverging_epoch.end_offset = l.diverging_end;
        int64_t end = q->isolation_level == 1 ? l.at.last_stable : l.at.high_watermark;
        w->hurry |= l.diverging_epoch >= 0 || (l.range.bytes > 0 && l.range.next_offset < end);
        take_records(w, found, &l.range, ask.max_bytes);
    }
    w->found_count += is_told(w, part, out);
}

int fetch_look(struct request *c, struct fetch_work *w, struct err *e)
{
    const struct msg_fetch_request *q = c->asked;
    int rc = ERR_OK;
    fetch_let_files_go(w);
    w->size_left = q->max_bytes > 0 ? (size_t)q->max_bytes : 0;
    w->size_left = w->size_left < FETCH_BYTES_MAX ? w->size_left : FETCH_BYTES_MAX;
    if (!fetch_lock(w))
        return ERR_OK;
    w->cold = false;
    for (struct fetch_part *p = fetch_parts_of(w)->first; rc == ERR_OK && p != NULL && !w->cold;
         p = give_way(w) ? p->next : NULL) {
        void *found = grow(c, w->found, w->found_count, &w->found_room, sizeof *w->found);
        void *files = grow(c, w->files, w->file_count, &w->file_room, sizeof *w->files);
        if (found == NULL || files == NULL) {
            rc = err_nomem(e);
            break;
        }
        w->found = found;
        w->files = files;
        look_at(c, w, p);
    }
    fetch_unlock(w);
    if (w->superseded)
        fetch_let_files_go(w);
    return w->cold ? err_set(e, ERR_WOULD_WAIT, "a disk would have to be waited for") : rc;
}

static int find_aborted(struct request *c, struct fetch_work *w, struct fetch_found *found, struct err *e)
{
    const struct log_range *range = &w->files[found->file - 1].range;
    struct aborted_txn *list;
    size_t n;
    int rc = broker_partition_aborted(c->server->broker, found->part->p, range->base_offset,
                                      range->next_offset, &list, &n, e);
    if (rc != ERR_OK)
        return rc;
    found->aborted = w->aborted_count;
    found->out.aborted_transactions.count = (int32_t)n;
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        void *room = grow(c, w->aborted, w->aborted_count, &w->aborted_room, sizeof *w->aborted);
        if (room == NULL) {
            rc = err_nomem(e);
            break;
        }
        w->aborted = room;
        w->aborted[w->aborted_count++] = (struct msg_fetch_response_aborted_transaction){
            .producer_id = list[i].producer_id, .first_offset = list[i].first_offset};
    }
    mem_free(list);
    return rc;
}

int fetch_find_aborted(struct request *c, struct fetch_work *w, struct err *e)
{
    const struct msg_fetch_request *q = c->asked;
    int rc = ERR_OK;
    if (q->isolation_level != 1 || w->file_count == 0 || !fetch_lock(w))
        return ERR_OK;
    for (size_t i = 0; rc == ERR_OK && !w->superseded && i < w->found_count; i++)
        if (w->found[i].file > 0) {
            rc = find_aborted(c, w, &w->found[i], e);
            give_way(w);
        }
    fetch_unlock(w);
    if (w->superseded)
        fetch_let_files_go(w);
    return rc;
}

bool fetch_is_cached(const struct fetch_work *w)
{
    for (size_t i = 0; i < w->file_count; i++)
        if (!io_is_cached(w->files[i].range.fd, w->files[i].range.position, w->files[i].bytes))
            return false;
    return true;
}

/* An error is met again where it is sent. */
void fetch_read_ahead(struct fetch_work *w)
{
    uint8_t piece[READ_PIECE];
    struct err e;
    for (size_t i = 0; i < w->file_count; i++)
        for (size_t at = 0, n; at < w->files[i].bytes; at += n) {
            n = w->files[i].bytes - at < sizeof piece ? w->files[i].bytes - at : sizeof piece;
            if (log_range_read(&w->files[i].range, at, piece, n, &e) != ERR_OK)
                break;
        }
}
