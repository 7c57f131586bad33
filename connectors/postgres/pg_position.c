/*
 * pg_position: the source position in its stored form: Debezium's members, so that either can go on where the other stopped,
 * and ours beside. docs/design/0004-postgres-cdc.md. Task's thread.
 */
#include "pg_task.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kit/jtext.h"

#define OFFSET_BYTES 640
#define NUMBER_DIGITS_MAX 19 /* of what Connect calls a long */

/* {"server":"<topic.prefix>"}, of mem_*. */
static char *partition_text(const struct pg_task *t, struct err *e)
{
    const char *prefix = t->host->get_str(t->config, "topic.prefix");
    struct buf b;
    buf_init(&b, 65536);
    if (buf_str(&b, "{\"server\":", e) != ERR_OK || buf_json_str(&b, prefix, strlen(prefix), e) != ERR_OK ||
        buf_append(&b, "}", 2, e) != ERR_OK) {
        buf_free(&b);
        return NULL;
    }
    return (char *)b.data;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static bool number(const char *text, const char *name, uint64_t *out)
{
    struct jtext_token v;
    *out = 0;
    if (!jtext_find(text, strlen(text), name, &v) || v.type != JTEXT_NUMBER || v.n == 0 ||
        v.n > NUMBER_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9') {
            *out = 0;
            return false;
        }
        *out = *out * 10 + (uint64_t)(v.p[i] - '0');
    }
    return true;
}

static bool is_there(const char *text, const char *name, struct jtext_token *v)
{
    return jtext_find(text, strlen(text), name, v) && v->type != JTEXT_NULL && v->type != JTEXT_FALSE;
}

static void read_system(const char *text, struct pg_stored *s)
{
    struct jtext_token v;
    if (is_there(text, "system", &v) && v.type == JTEXT_STRING && v.n < sizeof s->system_id)
        memcpy(s->system_id, v.p, v.n);
}

/*
 * Debezium's: lsn_commit is the end of the last transaction that it was done with, lsn the row it was at, which may be within the
 * next one; lsn_proc becomes sequence[0]. Before the first commit there is lsn alone: where its snapshot was.
 */
static void read_debezium(const char *text, uint64_t lsn, struct pg_stored *s)
{
    uint64_t proc, commit;
    bool has_proc = number(text, "lsn_proc", &proc), has_commit = number(text, "lsn_commit", &commit);
    s->lsn_commit = has_commit ? commit : has_proc ? proc : lsn;
    s->last_commit = has_proc ? proc : 0;
    if (lsn > s->lsn_commit)
        s->skip_lsn = lsn;
}

/* False: no position of either. */
static bool read_offset(const char *text, struct pg_stored *s)
{
    struct jtext_token v;
    uint64_t lsn, ts, xid, timeline;
    if (!number(text, "lsn", &lsn) || lsn == 0)
        return false;
    s->any = true;
    if (is_there(text, "system", &v)) {
        read_system(text, s);
        if (number(text, "timeline", &timeline) && timeline <= UINT32_MAX)
            s->timeline = (uint32_t)timeline;
        if (!number(text, "lsn_commit", &s->lsn_commit))
            return false;
        number(text, "last_commit", &s->last_commit);
        if (number(text, "partial_lsn", &s->partial_lsn))
            number(text, "partial", &s->partial);
        number(text, "skip_lsn", &s->skip_lsn);
        s->snapshot = is_there(text, "snapshot", &v);
    } else if (is_there(text, "snapshot", &v) &&
               !(is_there(text, "snapshot_completed", &v) || is_there(text, "last_snapshot_record", &v))) {
        /* Debezium was in the middle of its snapshot, which it would begin anew; so do we. */
        memset(s, 0, sizeof *s);
        return true;
    } else {
        read_debezium(text, lsn, s);
    }
    if (number(text, "ts_usec", &ts))
        s->ts_us = (int64_t)ts;
    if (number(text, "txId", &xid))
        s->xid = (uint32_t)xid;
    return true;
}

int pg_load_position(struct pg_task *t)
{
    struct err e;
    memset(&t->stored, 0, sizeof t->stored);
    char *partition = partition_text(t, &e);
    if (!partition)
        return t->host->fail(t->task, LEAT_RETRY, "%s", e.text);
    const char *text = t->host->get_position(t->task, partition);
    bool fine = !text || read_offset(text, &t->stored);
    mem_free(partition);
    if (!fine)
        return t->host->fail(t->task, LEAT_FAIL, "the stored position %.200s is not one of this connector",
                             text);
    return LEAT_OK;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static int offset_text(const struct pg_stored *s, char *out)
{
    char partial[96] = "", last[48] = "", skip[48] = "", timeline[32] = "";
    if (s->partial_lsn)
        snprintf(partial, sizeof partial, ",\"partial_lsn\":%" PRIu64 ",\"partial\":%" PRIu64, s->partial_lsn,
                 s->partial);
    if (s->last_commit)
        snprintf(last, sizeof last, ",\"last_commit\":%" PRIu64, s->last_commit);
    if (s->skip_lsn)
        snprintf(skip, sizeof skip, ",\"skip_lsn\":%" PRIu64, s->skip_lsn);
    if (s->timeline)
        snprintf(timeline, sizeof timeline, ",\"timeline\":%" PRIu32, s->timeline);
    return snprintf(out, OFFSET_BYTES,
                    "{\"lsn_proc\":%" PRIu64 ",\"lsn\":%" PRIu64 ",\"lsn_commit\":%" PRIu64
                    ",\"txId\":%" PRIu32 ",\"ts_usec\":%" PRId64
                    ",\"messageType\":\"COMMIT\"%s%s%s%s,\"system\":\"%s\"%s}",
                    s->lsn_commit, s->lsn_commit, s->lsn_commit, s->xid, s->ts_us, partial, last, skip,
                    s->snapshot ? ",\"snapshot\":true" : "", s->system_id, timeline);
}

int pg_store_position(struct pg_task *t)
{
    struct err e;
    char offset[OFFSET_BYTES];
    char *partition = partition_text(t, &e);
    if (!partition)
        return t->host->fail(t->task, LEAT_RETRY, "%s", e.text);
    t->stored.any = true;
    offset_text(&t->stored, offset);
    int rc = t->host->set_position(t->task, partition, offset);
    mem_free(partition);
    return rc;
}
