/*
 * txn_records: records of __transaction_state (TransactionLogKey 0, TransactionLogValue 0 and 1). Pure functions.
 */
#include <string.h>

#include "broker/records.h"

static const char *const state_names[TXN_STATES] = {"Empty",        "Ongoing",          "PrepareCommit",
                                                    "PrepareAbort", "CompleteCommit",   "CompleteAbort",
                                                    "Dead",         "PrepareEpochFence"};

const char *txn_state_name(enum txn_state s)
{
    return s >= 0 && s < TXN_STATES ? state_names[s] : "Unknown";
}

int txn_key_encode(struct buf *out, struct text id, struct err *e)
{
    int rc = buf_i16(out, 0, e);
    return rc ? rc : text_put(out, id, e);
}

int txn_key_decode(const void *data, size_t n, struct text *id, struct err *e)
{
    struct slice s = slice_of(data, n);
    int16_t version;
    int rc = slice_i16(&s, &version, e);
    if (rc)
        return rc;
    if (version != 0)
        return err_set(e, ERR_UNSUPPORTED, "a transaction record's key has version %d", version);
    return text_get(&s, false, id, e);
}

typedef void each_fn(void *arg, size_t i, struct text *topic, int32_t *partition);

static bool text_same(struct text a, struct text b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* Length of the run of one topic that begins at `i`. */
static size_t topic_run(each_fn *each, void *arg, size_t i, size_t n)
{
    struct text first, t;
    int32_t p;
    each(arg, i, &first, &p);
    size_t end = i + 1;
    for (; end < n; end++) {
        each(arg, end, &t, &p);
        if (!text_same(first, t))
            break;
    }
    return end - i;
}

static int put_topics(struct buf *out, each_fn *each, void *arg, size_t n, struct err *e)
{
    size_t topics = 0;
    for (size_t i = 0; i < n; i += topic_run(each, arg, i, n))
        topics++;
    int rc = buf_uvarint(out, topics + 1, e);
    for (size_t i = 0; !rc && i < n;) {
        struct text topic;
        int32_t p;
        size_t run = topic_run(each, arg, i, n);
        each(arg, i, &topic, &p);
        if ((rc = text_put_compact(out, topic, e)) || (rc = buf_uvarint(out, run + 1, e)))
            break;
        for (size_t end = i + run; !rc && i < end; i++) {
            each(arg, i, &topic, &p);
            rc = buf_i32(out, p, e);
        }
        if (!rc)
            rc = buf_uvarint(out, 0, e);
    }
    return rc;
}

/* The tagged fields: absent where they have their defaults. */
enum { TAG_PREVIOUS_ID, TAG_NEXT_ID, TAG_CLIENT_VERSION };

static int put_id(struct buf *out, uint64_t tag, int64_t id, struct err *e)
{
    int rc = id < 0 ? ERR_OK : buf_uvarint(out, tag, e);
    if (rc || id < 0 || (rc = buf_uvarint(out, sizeof id, e)))
        return rc;
    return buf_i64(out, id, e);
}

static int put_tags(struct buf *out, const struct txn_value *v, struct err *e)
{
    uint64_t n = (v->previous_id >= 0) + (v->next_id >= 0) + (v->client_version != 0);
    int rc = buf_uvarint(out, n, e);
    if (rc || (rc = put_id(out, TAG_PREVIOUS_ID, v->previous_id, e)) ||
        (rc = put_id(out, TAG_NEXT_ID, v->next_id, e)) || v->client_version == 0)
        return rc;
    if ((rc = buf_uvarint(out, TAG_CLIENT_VERSION, e)) ||
        (rc = buf_uvarint(out, sizeof v->client_version, e)))
        return rc;
    return buf_i16(out, v->client_version, e);
}

int txn_value_encode(struct buf *out, const struct txn_value *v, each_fn *each, void *arg, size_t n,
                     struct err *e)
{
    int rc;
    if ((rc = buf_i16(out, 1, e)) || (rc = buf_i64(out, v->producer_id, e)) ||
        (rc = buf_i16(out, v->epoch, e)) || (rc = buf_i32(out, v->timeout_ms, e)) ||
        (rc = buf_u8(out, (uint8_t)v->state, e)))
        return rc;
    rc = n == 0 && v->state == TXN_EMPTY ? buf_uvarint(out, 0, e) : put_topics(out, each, arg, n, e);
    if (rc || (rc = buf_i64(out, v->update_ms, e)) || (rc = buf_i64(out, v->start_ms, e)))
        return rc;
    return put_tags(out, v, e);
}

/* An array's length: -1 null. Bounded by what is left, as every item takes a byte at least. */
static int get_count(struct slice *s, bool flexible, int64_t *count, struct err *e)
{
    int32_t classic;
    uint64_t compact;
    int rc = flexible ? slice_uvarint(s, &compact, e) : slice_i32(s, &classic, e);
    if (rc)
        return rc;
    if (flexible && compact > slice_left(s) + 1)
        return err_set(e, ERR_CORRUPT, "an array of %llu items in %zu bytes", (unsigned long long)compact,
                       slice_left(s));
    *count = flexible ? (int64_t)compact - 1 : classic;
    if (*count < -1 || (*count > 0 && (uint64_t)*count > slice_left(s)))
        return err_set(e, ERR_CORRUPT, "an array of %lld items in %zu bytes", (long long)*count,
                       slice_left(s));
    return ERR_OK;
}

static int next_topic(struct txn_value *v, struct slice *s, struct err *e)
{
    int64_t count;
    int rc = v->flexible ? text_get_compact(s, false, &v->topic, e) : text_get(s, false, &v->topic, e);
    if (rc || (rc = get_count(s, v->flexible, &count, e)))
        return rc;
    if (count < 0 || (uint64_t)count > slice_left(s) / 4)
        return err_set(e, ERR_CORRUPT, "a transaction lists %lld partitions in %zu bytes", (long long)count,
                       slice_left(s));
    v->partitions_left = (int32_t)count;
    v->topics_left--;
    return ERR_OK;
}

static int step(struct txn_value *v, struct slice *s, struct text *topic, int32_t *partition, struct err *e)
{
    int rc;
    while (v->partitions_left == 0) {
        if (v->topics_left <= 0)
            return ERR_END;
        if ((rc = next_topic(v, s, e)))
            return rc;
        if (v->partitions_left == 0 && v->flexible && (rc = skip_tags(s, e)))
            return rc;
    }
    *topic = v->topic;
    if ((rc = slice_i32(s, partition, e)))
        return rc;
    if (*partition < 0)
        return err_set(e, ERR_CORRUPT, "a transaction lists partition %d", *partition);
    if (--v->partitions_left == 0 && v->flexible)
        return skip_tags(s, e);
    return ERR_OK;
}

static int get_tag(struct slice *s, struct txn_value *v, struct err *e)
{
    uint64_t tag, n;
    const uint8_t *p;
    int rc;
    if ((rc = slice_uvarint(s, &tag, e)) || (rc = slice_uvarint(s, &n, e)) ||
        (rc = slice_bytes(s, (size_t)n, &p, e)))
        return rc;
    size_t size = tag == TAG_CLIENT_VERSION ? sizeof v->client_version : sizeof v->next_id;
    if (tag > TAG_CLIENT_VERSION)
        return ERR_OK; /* of two-phase commits (KIP-939), which we have not */
    if (n != size)
        return err_set(e, ERR_CORRUPT, "a transaction's tagged field %llu has %llu bytes",
                       (unsigned long long)tag, (unsigned long long)n);
    if (tag == TAG_CLIENT_VERSION)
        v->client_version = (int16_t)be16(p);
    else
        *(tag == TAG_PREVIOUS_ID ? &v->previous_id : &v->next_id) = (int64_t)be64(p);
    return ERR_OK;
}

static int get_tags(struct slice *s, struct txn_value *v, struct err *e)
{
    uint64_t n;
    int rc = slice_uvarint(s, &n, e);
    for (uint64_t i = 0; !rc && i < n; i++)
        rc = get_tag(s, v, e);
    return rc;
}

int txn_value_decode(const void *data, size_t n, struct txn_value *v, struct err *e)
{
    struct slice s = slice_of(data, n);
    int16_t version;
    uint8_t state;
    int rc = slice_i16(&s, &version, e);
    if (rc)
        return rc;
    if (version < 0 || version > 1)
        return err_set(e, ERR_UNSUPPORTED, "a transaction record's value has version %d", version);
    *v = (struct txn_value){.flexible = version == 1, .previous_id = -1, .next_id = -1};
    if ((rc = slice_i64(&s, &v->producer_id, e)) || (rc = slice_i16(&s, &v->epoch, e)) ||
        (rc = slice_i32(&s, &v->timeout_ms, e)) || (rc = slice_u8(&s, &state, e)) ||
        (rc = get_count(&s, v->flexible, &v->topics_left, e)))
        return rc;
    if (state >= TXN_STATES)
        return err_set(e, ERR_CORRUPT, "a transaction has state %u", state);
    v->state = (enum txn_state)state;
    struct txn_value walk = *v;
    v->topics = s;
    struct text topic;
    int32_t partition;
    while (!(rc = step(&walk, &s, &topic, &partition, e)))
        ;
    if (rc != ERR_END)
        return rc;
    if ((rc = slice_i64(&s, &v->update_ms, e)) || (rc = slice_i64(&s, &v->start_ms, e)))
        return rc;
    return v->flexible ? get_tags(&s, v, e) : ERR_OK;
}

int txn_value_next(struct txn_value *v, struct text *topic, int32_t *partition, struct err *e)
{
    return step(v, &v->topics, topic, partition, e);
}
