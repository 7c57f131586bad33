/*
 * pgoutput: one message of logical replication out of its bytes. A message is read front to back by a reader that remembers
 * its first shortage; each message must end where its bytes end, as anything else means that it was misread. No state, any
 * thread. Formats: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html.
 */
#include "pgoutput.h"

#include <string.h>

#include "base/buf.h"

#define TRUNCATE_CASCADE 1
#define TRUNCATE_RESTART_IDENTITY 2
#define COLUMN_IS_KEY 1
#define MESSAGE_TRANSACTIONAL 1

struct in {
    const uint8_t *start, *p, *end;
    const char *wrong; /* NULL: all was well so far */
};

/* The first thing that is wrong counts; after it every read gives zeros. */
static void spoil(struct in *in, const char *wrong)
{
    if (!in->wrong)
        in->wrong = wrong;
}

static inline bool has(struct in *in, size_t n)
{
    if (!in->wrong && (size_t)(in->end - in->p) >= n)
        return true;
    spoil(in, "ends early");
    return false;
}

static inline uint8_t take_u8(struct in *in)
{
    return has(in, 1) ? *in->p++ : 0;
}

static inline uint16_t take_u16(struct in *in)
{
    if (!has(in, 2))
        return 0;
    in->p += 2;
    return be16(in->p - 2);
}

static inline uint32_t take_u32(struct in *in)
{
    if (!has(in, 4))
        return 0;
    in->p += 4;
    return be32(in->p - 4);
}

static inline uint64_t take_u64(struct in *in)
{
    if (!has(in, 8))
        return 0;
    in->p += 8;
    return be64(in->p - 8);
}

static int64_t take_time(struct in *in)
{
    int64_t us = (int64_t)take_u64(in), out;
    if (__builtin_add_overflow(us, PG_EPOCH_US, &out)) {
        spoil(in, "has a time out of range");
        return 0;
    }
    return out;
}

static const char *take_text(struct in *in)
{
    const uint8_t *nul = in->wrong ? NULL : memchr(in->p, 0, (size_t)(in->end - in->p));
    if (!nul) {
        spoil(in, "has a text without end");
        return "";
    }
    const char *text = (const char *)in->p;
    in->p = nul + 1;
    return text;
}

/* Returns how many cells, which are in `cells`. */
static uint16_t take_tuple(struct in *in, struct cdc_cell *cells)
{
    uint16_t n = take_u16(in);
    if (n > PG_COLUMNS_MAX) {
        spoil(in, "has more columns than a table can have");
        return 0;
    }
    for (uint16_t i = 0; i < n; i++) {
        struct cdc_cell *c = &cells[i];
        c->data = NULL;
        c->len = 0;
        switch (take_u8(in)) {
        case 't': {
            uint32_t len = take_u32(in);
            if (!has(in, len))
                return 0;
            c->data = in->p;
            c->len = len;
            c->state = CDC_VALUE;
            in->p += len;
            break;
        }
        case 'n':
            c->state = CDC_NULL;
            break;
        case 'u':
            c->state = CDC_UNCHANGED;
            break;
        default:
            spoil(in, "has a value of unknown kind");
            return 0;
        }
    }
    return n;
}

static void read_change(struct in *in, const struct pgoutput_room *room, struct pgoutput *out)
{
    out->relation = take_u32(in);
    uint8_t kind = take_u8(in);
    if (out->type != PGOUTPUT_INSERT && (kind == 'K' || kind == 'O')) {
        out->old_kind = (char)kind;
        out->column_count = take_tuple(in, room->old);
        out->old = room->old;
        if (out->type == PGOUTPUT_DELETE)
            return;
        kind = take_u8(in);
    }
    if (kind != 'N' || out->type == PGOUTPUT_DELETE) {
        spoil(in, "has a row of unknown kind");
        return;
    }
    uint16_t n = take_tuple(in, room->new_);
    if (out->old && n != out->column_count)
        spoil(in, "has rows of different length");
    out->column_count = n;
    out->new_ = room->new_;
}

static void read_relation(struct in *in, const struct pgoutput_room *room, struct pgoutput *out)
{
    out->relation = take_u32(in);
    out->schema = take_text(in);
    out->name = take_text(in);
    out->identity = (char)take_u8(in);
    out->column_count = take_u16(in);
    if (out->column_count > PG_COLUMNS_MAX) {
        spoil(in, "has more columns than a table can have");
        out->column_count = 0;
    }
    for (uint16_t i = 0; i < out->column_count; i++) {
        struct pgoutput_column *c = &room->columns[i];
        c->key = take_u8(in) & COLUMN_IS_KEY;
        c->name = take_text(in);
        c->type = take_u32(in);
        c->typmod = (int32_t)take_u32(in);
    }
    out->columns = room->columns;
    /* pg_catalog is sent as an empty name. */
    if (!out->schema[0])
        out->schema = "pg_catalog";
    if (!in->wrong && (!out->identity || !strchr("dnfi", out->identity)))
        spoil(in, "has an unknown replica identity");
}

static void read_truncate(struct in *in, struct pgoutput *out)
{
    uint32_t n = take_u32(in);
    uint8_t flags = take_u8(in);
    out->cascade = flags & TRUNCATE_CASCADE;
    out->restart_identity = flags & TRUNCATE_RESTART_IDENTITY;
    if (!has(in, (size_t)n * 4))
        return;
    out->relations = in->p;
    out->relation_count = n;
    in->p += (size_t)n * 4;
}

static void read_message(struct in *in, struct pgoutput *out)
{
    out->transactional = take_u8(in) & MESSAGE_TRANSACTIONAL;
    out->lsn = take_u64(in);
    out->prefix = take_text(in);
    uint32_t len = take_u32(in);
    if (!has(in, len))
        return;
    out->content = in->p;
    out->content_len = len;
    in->p += len;
}

/* Commit, prepare and their like: flags, two LSNs, a time. */
static void read_end(struct in *in, struct pgoutput *out)
{
    take_u8(in); /* flags: none are defined */
    out->lsn = take_u64(in);
    out->end_lsn = take_u64(in);
    out->ts_us = take_time(in);
}

static void read_stream_abort(struct in *in, struct pgoutput *out, int version)
{
    out->xid = take_u32(in);
    out->subxid = take_u32(in);
    /* Servers add where and when it was aborted if asked for parallel streaming (version 4). */
    if (version >= 4 && !in->wrong && in->p < in->end) {
        out->lsn = take_u64(in);
        out->ts_us = take_time(in);
    }
}

/* Two-phase commit: only told apart, so that whoever reads the stream can say that he refuses it. */
static void read_prepared(struct in *in, struct pgoutput *out)
{
    if (out->type == PGOUTPUT_BEGIN_PREPARE) {
        out->lsn = take_u64(in);
        out->end_lsn = take_u64(in);
        out->ts_us = take_time(in);
    } else if (out->type == PGOUTPUT_ROLLBACK_PREPARED) {
        take_u8(in);
        out->lsn = take_u64(in);
        out->end_lsn = take_u64(in);
        take_time(in); /* of the prepare */
        out->ts_us = take_time(in);
    } else {
        read_end(in, out);
    }
    out->xid = take_u32(in);
    take_text(in); /* the global id */
}

static const struct {
    uint8_t letter, since; /* the protocol version that brought it */
    bool in_stream_xid;    /* carries an xid inside of a stream */
    const char *name;
} messages[] = {
    [PGOUTPUT_BEGIN] = {'B', 1, false, "begin"},
    [PGOUTPUT_MESSAGE] = {'M', 1, true, "message"},
    [PGOUTPUT_COMMIT] = {'C', 1, false, "commit"},
    [PGOUTPUT_ORIGIN] = {'O', 1, false, "origin"},
    [PGOUTPUT_RELATION] = {'R', 1, true, "relation"},
    [PGOUTPUT_TYPE] = {'Y', 1, true, "type"},
    [PGOUTPUT_INSERT] = {'I', 1, true, "insert"},
    [PGOUTPUT_UPDATE] = {'U', 1, true, "update"},
    [PGOUTPUT_DELETE] = {'D', 1, true, "delete"},
    [PGOUTPUT_TRUNCATE] = {'T', 1, true, "truncate"},
    [PGOUTPUT_STREAM_START] = {'S', 2, false, "stream start"},
    [PGOUTPUT_STREAM_STOP] = {'E', 2, false, "stream stop"},
    [PGOUTPUT_STREAM_COMMIT] = {'c', 2, false, "stream commit"},
    [PGOUTPUT_STREAM_ABORT] = {'A', 2, false, "stream abort"},
    [PGOUTPUT_BEGIN_PREPARE] = {'b', 3, false, "begin prepare"},
    [PGOUTPUT_PREPARE] = {'P', 3, false, "prepare"},
    [PGOUTPUT_COMMIT_PREPARED] = {'K', 3, false, "commit prepared"},
    [PGOUTPUT_ROLLBACK_PREPARED] = {'r', 3, false, "rollback prepared"},
    [PGOUTPUT_STREAM_PREPARE] = {'p', 3, false, "stream prepare"},
};
#define MESSAGE_COUNT (sizeof messages / sizeof *messages)

/* By letter: the type + 1; 0: none. */
static const uint8_t types[256] = {
    ['B'] = PGOUTPUT_BEGIN + 1,           ['M'] = PGOUTPUT_MESSAGE + 1,
    ['C'] = PGOUTPUT_COMMIT + 1,          ['O'] = PGOUTPUT_ORIGIN + 1,
    ['R'] = PGOUTPUT_RELATION + 1,        ['Y'] = PGOUTPUT_TYPE + 1,
    ['I'] = PGOUTPUT_INSERT + 1,          ['U'] = PGOUTPUT_UPDATE + 1,
    ['D'] = PGOUTPUT_DELETE + 1,          ['T'] = PGOUTPUT_TRUNCATE + 1,
    ['S'] = PGOUTPUT_STREAM_START + 1,    ['E'] = PGOUTPUT_STREAM_STOP + 1,
    ['c'] = PGOUTPUT_STREAM_COMMIT + 1,   ['A'] = PGOUTPUT_STREAM_ABORT + 1,
    ['b'] = PGOUTPUT_BEGIN_PREPARE + 1,   ['P'] = PGOUTPUT_PREPARE + 1,
    ['K'] = PGOUTPUT_COMMIT_PREPARED + 1, ['r'] = PGOUTPUT_ROLLBACK_PREPARED + 1,
    ['p'] = PGOUTPUT_STREAM_PREPARE + 1,
};

const char *pgoutput_name(enum pgoutput_type type)
{
    return (size_t)type < MESSAGE_COUNT ? messages[type].name : "unknown";
}

static void read_body(struct in *in, int version, const struct pgoutput_room *room, struct pgoutput *out)
{
    switch (out->type) {
    case PGOUTPUT_BEGIN:
        out->lsn = take_u64(in);
        out->ts_us = take_time(in);
        out->xid = take_u32(in);
        break;
    case PGOUTPUT_COMMIT:
        read_end(in, out);
        break;
    case PGOUTPUT_INSERT:
    case PGOUTPUT_UPDATE:
    case PGOUTPUT_DELETE:
        read_change(in, room, out);
        break;
    case PGOUTPUT_RELATION:
        read_relation(in, room, out);
        break;
    case PGOUTPUT_TRUNCATE:
        read_truncate(in, out);
        break;
    case PGOUTPUT_MESSAGE:
        read_message(in, out);
        break;
    case PGOUTPUT_ORIGIN:
        out->lsn = take_u64(in);
        out->name = take_text(in);
        break;
    case PGOUTPUT_TYPE:
        out->relation = take_u32(in);
        out->schema = take_text(in);
        out->name = take_text(in);
        break;
    case PGOUTPUT_STREAM_START:
        out->xid = take_u32(in);
        out->first_segment = take_u8(in) & 1;
        break;
    case PGOUTPUT_STREAM_STOP:
        break;
    case PGOUTPUT_STREAM_COMMIT:
        out->xid = take_u32(in);
        read_end(in, out);
        break;
    case PGOUTPUT_STREAM_ABORT:
        read_stream_abort(in, out, version);
        break;
    case PGOUTPUT_BEGIN_PREPARE:
    case PGOUTPUT_PREPARE:
    case PGOUTPUT_COMMIT_PREPARED:
    case PGOUTPUT_ROLLBACK_PREPARED:
    case PGOUTPUT_STREAM_PREPARE:
        read_prepared(in, out);
        break;
    }
}

int pgoutput_decode(const void *message, size_t n, int version, bool in_stream,
                    const struct pgoutput_room *room, struct pgoutput *out, struct err *e)
{
    const uint8_t *p = message;
    if (n == 0)
        return err_set(e, ERR_CORRUPT, "an empty message of logical replication");
    uint8_t type = types[p[0]];
    if (type == 0 || messages[type - 1].since > version)
        return err_set(e, ERR_UNSUPPORTED,
                       "message 0x%02x of logical replication is unknown in protocol version %d", p[0],
                       version);
    struct in in = {.start = p, .p = p + 1, .end = p + n};
    *out = (struct pgoutput){.type = (enum pgoutput_type)(type - 1)};
    if (in_stream && messages[type - 1].in_stream_xid)
        out->xid = take_u32(&in);
    read_body(&in, version, room, out);
    if (!in.wrong && in.p != in.end)
        spoil(&in, "goes on behind its end");
    if (in.wrong)
        return err_set(e, ERR_CORRUPT, "the %s message of %zu bytes %s, at byte %zu", messages[type - 1].name,
                       n, in.wrong, (size_t)(in.p - in.start));
    return ERR_OK;
}
