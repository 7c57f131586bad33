/*
 * frame: see source_frame.h. One function for each way of cutting; all go over the bytes once with memchr.
 */
#include <assert.h>
#include <string.h>

#include "connectors/file/source_frame.h"
#include "kit/jtext.h"

/* The bytes of one call. */
struct cut {
    const struct framing *f;
    const uint8_t *data;
    size_t n;
    size_t pos;
    enum frame_flush flush;
    struct frames *out;
    struct err *e;
};

/* A line as it lies in the bytes. */
struct line {
    size_t len;  /* without its end; of a line over the cap: at least line_max + 1 */
    size_t next; /* where the next one begins */
    enum { LINE_WHOLE, LINE_PARTIAL, LINE_OVER } is;
};

size_t frame_need(const struct framing *f)
{
    if (f->mode == FRAME_RAW)
        return f->chunk_max;
    size_t line = f->line_max + 4; /* CR, LF, and one to see that it is over */
    return f->multiline ? f->group_bytes + 2 + line : line;
}

static void put_span(struct cut *c, const uint8_t *data, size_t len, size_t at)
{
    assert(c->out->count < FRAME_BATCH);
    c->out->spans[c->out->count++] = (struct span){.data = data, .len = len, .at = at};
}

static inline struct line line_at(const struct cut *c, size_t pos)
{
    size_t left = c->n - pos, max = c->f->line_max;
    const uint8_t *p = c->data + pos;
    const uint8_t *nl = memchr(p, '\n', left);
    if (nl) {
        size_t len = (size_t)(nl - p);
        size_t next = pos + len + 1;
        if (len > 0 && nl[-1] == '\r')
            len--;
        return (struct line){len, next, len > max ? LINE_OVER : LINE_WHOLE};
    }
    /* One CR beyond the cap may still turn out to be half of the line's end. */
    bool over = left > max + 1 || (left == max + 1 && (p[max] != '\r' || c->flush == FRAME_ALL));
    if (!over && left > 0 && p[left - 1] == '\r' && c->flush != FRAME_ALL)
        left--; /* likewise */
    return (struct line){left, c->n, over ? LINE_OVER : LINE_PARTIAL};
}

static int cut_over(struct cut *c)
{
    const struct framing *f = c->f;
    if (f->over == FRAME_FAIL)
        return err_set(c->e, ERR_TOO_LARGE, "a line has more than %zu bytes", f->line_max);
    if (f->over != FRAME_SKIP)
        put_span(c, c->data + c->pos, f->line_max, c->pos);
    if (f->over != FRAME_SPLIT)
        c->out->dropped_lines++;
    c->pos += f->line_max;
    c->out->mid = true;
    return ERR_OK;
}

/* Within a line over the cap. False: more bytes are needed. */
static bool cut_mid(struct cut *c)
{
    const struct framing *f = c->f;
    if (f->over == FRAME_SPLIT) {
        struct line l = line_at(c, c->pos);
        if (l.is == LINE_PARTIAL && (c->flush != FRAME_ALL || l.len == 0))
            return false;
        bool over = l.is == LINE_OVER;
        if (l.len > 0)
            put_span(c, c->data + c->pos, over ? f->line_max : l.len, c->pos);
        c->pos = over ? c->pos + f->line_max : l.next;
        c->out->mid = l.is != LINE_WHOLE;
        return true;
    }
    const uint8_t *nl = memchr(c->data + c->pos, '\n', c->n - c->pos);
    c->out->mid = nl == NULL;
    c->pos = nl ? (size_t)(nl - c->data) + 1 : c->n;
    return true;
}

/* Nothing but JSON's white space. */
static bool is_blank(const uint8_t *p, size_t n)
{
    while (n && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
        p++, n--;
    return n == 0;
}

/* One whole line as a record. False with *rc: stop before it. */
static bool cut_json(struct cut *c, const struct line *l, int *rc)
{
    const uint8_t *p = c->data + c->pos;
    if (jtext_valid(p, l->len)) {
        put_span(c, p, l->len, c->pos);
        return true;
    }
    if (is_blank(p, l->len))
        return true;
    struct frames *out = c->out;
    switch (c->f->bad_json) {
    case FRAME_BAD_SKIP:
        out->dropped_lines++;
        return true;
    case FRAME_BAD_FAIL:
        *rc = err_set(c->e, ERR_INVALID_RECORD, "a line is not JSON");
        return false;
    case FRAME_BAD_STRING:
        break;
    }
    /* The scratch buffer holds one record, so such a record ends its batch. */
    if (out->scratch.len > 0)
        return false;
    *rc = buf_json_str(&out->scratch, (const char *)p, l->len, c->e);
    if (*rc == ERR_OK)
        put_span(c, out->scratch.data, out->scratch.len, c->pos);
    return *rc == ERR_OK;
}

static int cut_lines(struct cut *c)
{
    struct frames *out = c->out;
    int rc = ERR_OK;
    while (out->count < FRAME_BATCH && c->pos < c->n) {
        if (out->mid) {
            if (!cut_mid(c))
                break;
            continue;
        }
        struct line l = line_at(c, c->pos);
        if (l.is == LINE_OVER) {
            if ((rc = cut_over(c)) != ERR_OK)
                break;
            continue;
        }
        if (l.is == LINE_PARTIAL && c->flush != FRAME_ALL)
            break;
        if (c->f->mode == FRAME_LINE)
            put_span(c, c->data + c->pos, l.len, c->pos);
        else if (!cut_json(c, &l, &rc))
            break;
        c->pos = l.next;
    }
    return rc;
}

/* Does the line belong to its neighbour? */
static bool belongs(const struct cut *c, size_t pos, size_t len)
{
    regex_t pattern = c->f->pattern; /* re_search wants it writable; regexec wants a NUL at the end */
    regoff_t n = (regoff_t)(len < FRAME_REGEX_MAX ? len : FRAME_REGEX_MAX);
    bool match = re_search(&pattern, (const char *)c->data + pos, n, 0, n, NULL) >= 0;
    return match != c->f->negate;
}

/* The group that begins at pos: its end and whether that is final. */
struct group {
    size_t len;  /* without the end of its last line */
    size_t next; /* where the next one begins */
    bool ended;
};

static struct group group_at(const struct cut *c, size_t start)
{
    const struct framing *f = c->f;
    struct group g = {.next = start};
    for (size_t pos = start, lines = 0; pos < c->n; lines++) {
        struct line l = line_at(c, pos);
        bool too_much = lines == f->group_lines || pos + l.len - start > f->group_bytes;
        if (lines > 0 && (l.is == LINE_OVER || too_much)) {
            g.ended = true;
            return g;
        }
        if (l.is == LINE_PARTIAL && c->flush != FRAME_ALL)
            break;
        bool more = belongs(c, pos, l.len);
        if (!f->before && lines > 0 && !more) {
            g.ended = true;
            return g;
        }
        g.len = pos + l.len - start;
        g.next = pos = l.next;
        if (f->before && !more) {
            g.ended = true;
            return g;
        }
    }
    g.ended = c->flush != FRAME_KEEP && g.next > start;
    return g;
}

static int cut_groups(struct cut *c)
{
    struct frames *out = c->out;
    while (out->count < FRAME_BATCH && c->pos < c->n) {
        if (out->mid) {
            if (!cut_mid(c))
                break;
            continue;
        }
        if (line_at(c, c->pos).is == LINE_OVER) {
            int rc = cut_over(c);
            if (rc != ERR_OK)
                return rc;
            continue;
        }
        struct group g = group_at(c, c->pos);
        if (!g.ended)
            break;
        put_span(c, c->data + c->pos, g.len, c->pos);
        c->pos = g.next;
    }
    return ERR_OK;
}

static void cut_chunks(struct cut *c)
{
    while (c->out->count < FRAME_BATCH && c->pos < c->n) {
        size_t left = c->n - c->pos;
        size_t len = left < c->f->chunk_max ? left : c->f->chunk_max;
        put_span(c, c->data + c->pos, len, c->pos);
        c->pos += len;
    }
}

int frame_split(const struct framing *f, const uint8_t *data, size_t n, enum frame_flush flush,
                struct frames *out, struct err *e)
{
    struct cut c = {.f = f, .data = data, .n = n, .flush = flush, .out = out, .e = e};
    out->count = 0;
    out->dropped_lines = 0;
    buf_reset(&out->scratch);
    int rc = ERR_OK;
    if (f->mode == FRAME_RAW)
        cut_chunks(&c);
    else if (f->multiline)
        rc = cut_groups(&c);
    else
        rc = cut_lines(&c);
    out->consumed = c.pos;
    return c.pos > 0 ? ERR_OK : rc; /* what came before goes first; the next call fails */
}
