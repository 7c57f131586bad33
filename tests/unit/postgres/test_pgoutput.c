/*
 * The decoder of logical replication, over what a server sent (tests/data/pgoutput) and over what it could not have sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "connectors/postgres/pgoutput.h"

#define MESSAGES_MAX 512

static struct pgoutput_column columns[PG_COLUMNS_MAX];
static struct cdc_cell old_cells[PG_COLUMNS_MAX], new_cells[PG_COLUMNS_MAX];
static const struct pgoutput_room room = {columns, old_cells, new_cells};

struct message {
    uint8_t *bytes;
    size_t n;
    bool in_stream;
};

struct recording {
    int version;
    size_t count;
    struct message messages[MESSAGES_MAX];
};

static struct recording *load(int version)
{
    struct recording *r = calloc(1, sizeof *r);
    char path[64];
    static char line[1 << 16];
    snprintf(path, sizeof path, "tests/data/pgoutput/version%d.hex", version);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    bool in_stream = false;
    while (fgets(line, sizeof line, f)) {
        size_t n = strcspn(line, "\n") / 2;
        assert_true(r->count < MESSAGES_MAX);
        struct message *m = &r->messages[r->count++];
        /* Of the very size, so that the address sanitizer sees a read behind it. */
        m->bytes = malloc(n);
        m->n = n;
        for (size_t i = 0; i < n; i++) {
            unsigned byte;
            assert_int_equal(sscanf(line + 2 * i, "%2x", &byte), 1);
            m->bytes[i] = (uint8_t)byte;
        }
        if (m->bytes[0] == 'E')
            in_stream = false;
        m->in_stream = in_stream;
        if (m->bytes[0] == 'S')
            in_stream = true;
    }
    fclose(f);
    r->version = version;
    return r;
}

static void release(struct recording *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->messages[i].bytes);
    free(r);
}

static int decode(const struct recording *r, size_t i, struct pgoutput *out, struct err *e)
{
    const struct message *m = &r->messages[i];
    return pgoutput_decode(m->bytes, m->n, r->version, m->in_stream, &room, out, e);
}

/* The next message of this type from *i on, decoded; *i is behind it then. */
static struct pgoutput next(const struct recording *r, size_t *i, enum pgoutput_type type)
{
    struct pgoutput m;
    struct err e;
    while (*i < r->count) {
        if (decode(r, (*i)++, &m, &e) != ERR_OK)
            fail_msg("message %zu: %s", *i - 1, e.text);
        if (m.type == type)
            return m;
    }
    fail_msg("no %s message", pgoutput_name(type));
    return m;
}

static void assert_cell(const struct cdc_cell *c, const char *text)
{
    if (!text) {
        assert_int_equal(c->state, CDC_NULL);
        return;
    }
    assert_int_equal(c->state, CDC_VALUE);
    assert_int_equal(c->len, strlen(text));
    assert_memory_equal(c->data, text, c->len);
}

/* ---- version 1 -------------------------------------------------------------------------------------------------- */

static void test_begin_and_commit(void **state)
{
    (void)state;
    struct recording *r = load(1);
    size_t i = 0;
    struct pgoutput b = next(r, &i, PGOUTPUT_BEGIN), c = next(r, &i, PGOUTPUT_COMMIT);
    assert_int_equal(b.xid, 739);
    assert_int_equal(b.lsn, c.lsn);
    assert_int_equal(c.end_lsn, c.lsn + 48);
    assert_int_equal(b.ts_us, c.ts_us);
    assert_true(b.ts_us > INT64_C(1700000000000000) && b.ts_us < INT64_C(2000000000000000));
    release(r);
}

static void test_relation(void **state)
{
    (void)state;
    struct recording *r = load(1);
    size_t i = 0;
    struct pgoutput y = next(r, &i, PGOUTPUT_TYPE), m = next(r, &i, PGOUTPUT_RELATION);
    assert_string_equal(y.schema, "public");
    assert_string_equal(y.name, "mood");
    assert_string_equal(m.schema, "public");
    assert_string_equal(m.name, "t");
    assert_int_equal(m.identity, 'd');
    assert_int_equal(m.column_count, 4);
    assert_string_equal(m.columns[0].name, "id");
    assert_true(m.columns[0].key && !m.columns[1].key);
    assert_int_equal(m.columns[0].type, 23);
    assert_int_equal(m.columns[0].typmod, -1);
    assert_int_equal(m.columns[2].type, y.relation);
    assert_int_equal(m.columns[3].typmod, (8 << 16 | 2) + 4);
    m = next(r, &i, PGOUTPUT_RELATION);
    assert_int_equal(m.identity, 'f');
    m = next(r, &i, PGOUTPUT_RELATION);
    assert_int_equal(m.identity, 'i');
    release(r);
}

static void test_rows(void **state)
{
    (void)state;
    struct recording *r = load(1);
    size_t i = 0;
    struct pgoutput m = next(r, &i, PGOUTPUT_INSERT);
    assert_int_equal(m.column_count, 4);
    assert_null(m.old);
    assert_cell(&m.new_[0], "1");
    assert_cell(&m.new_[3], "1.50");
    m = next(r, &i, PGOUTPUT_INSERT);
    assert_cell(&m.new_[1], NULL);
    m = next(r, &i, PGOUTPUT_UPDATE);
    assert_int_equal(m.old_kind, 0);
    assert_null(m.old);
    assert_cell(&m.new_[1], "zwei");
    m = next(r, &i, PGOUTPUT_UPDATE);
    assert_int_equal(m.old_kind, 'K');
    assert_cell(&m.old[0], "2");
    assert_cell(&m.old[1], NULL);
    assert_cell(&m.new_[0], "3");
    m = next(r, &i, PGOUTPUT_DELETE);
    assert_int_equal(m.old_kind, 'K');
    assert_null(m.new_);
    assert_cell(&m.old[0], "3");
    m = next(r, &i, PGOUTPUT_UPDATE);
    assert_int_equal(m.old_kind, 'O');
    assert_cell(&m.old[1], "x");
    assert_cell(&m.new_[1], "y");
    assert_cell(&m.new_[2], "\\x00ff");
    release(r);
}

static void test_unchanged_toast(void **state)
{
    (void)state;
    struct recording *r = load(1);
    struct pgoutput m;
    size_t i = 0, found = 0;
    struct err e;
    for (; i < r->count; i++) {
        assert_int_equal(decode(r, i, &m, &e), ERR_OK);
        for (size_t c = 0; m.new_ && c < m.column_count; c++)
            found += m.new_[c].state == CDC_UNCHANGED;
    }
    assert_int_equal(found, 1);
    release(r);
}

static void test_truncate(void **state)
{
    (void)state;
    struct recording *r = load(1);
    size_t i = 0;
    struct pgoutput m = next(r, &i, PGOUTPUT_TRUNCATE);
    assert_int_equal(m.relation_count, 2);
    assert_true(m.cascade && !m.restart_identity);
    assert_int_not_equal(be32(m.relations), be32(m.relations + 4));
    m = next(r, &i, PGOUTPUT_TRUNCATE);
    assert_int_equal(m.relation_count, 1);
    assert_true(!m.cascade && m.restart_identity);
    release(r);
}

static void test_messages_and_origin(void **state)
{
    (void)state;
    struct recording *r = load(1);
    size_t i = 0;
    struct pgoutput a = next(r, &i, PGOUTPUT_MESSAGE), b = next(r, &i, PGOUTPUT_MESSAGE);
    const struct pgoutput *in = a.transactional ? &a : &b, *non = a.transactional ? &b : &a;
    assert_string_equal(in->prefix, "pre");
    assert_int_equal(in->content_len, 5);
    assert_memory_equal(in->content, "hello", 5);
    assert_false(non->transactional);
    assert_string_equal(non->prefix, "non");
    assert_int_equal(non->content_len, 2);
    i = 0;
    struct pgoutput o = next(r, &i, PGOUTPUT_ORIGIN);
    assert_string_equal(o.name, "other");
    assert_int_equal(o.lsn, 0x1234);
    release(r);
}

/* ---- versions 2 and 3 ------------------------------------------------------------------------------------------- */

static void test_stream(void **state)
{
    (void)state;
    struct recording *r = load(2);
    size_t i = 0;
    struct pgoutput start = next(r, &i, PGOUTPUT_STREAM_START), m = next(r, &i, PGOUTPUT_INSERT);
    assert_true(start.first_segment);
    assert_int_equal(m.xid, start.xid);
    struct pgoutput again = next(r, &i, PGOUTPUT_STREAM_START);
    assert_false(again.first_segment);
    assert_int_equal(again.xid, start.xid);
    m = next(r, &i, PGOUTPUT_INSERT);
    assert_int_not_equal(m.xid, start.xid); /* of the subtransaction */
    struct pgoutput abort = next(r, &i, PGOUTPUT_STREAM_ABORT);
    assert_int_equal(abort.xid, start.xid);
    assert_int_equal(abort.subxid, m.xid);
    struct pgoutput commit = next(r, &i, PGOUTPUT_STREAM_COMMIT);
    assert_int_equal(commit.xid, start.xid);
    assert_true(commit.end_lsn > commit.lsn);
    release(r);
}

static void test_two_phase_is_told_apart(void **state)
{
    (void)state;
    struct recording *r = load(3);
    static const enum pgoutput_type types[] = {PGOUTPUT_BEGIN_PREPARE, PGOUTPUT_PREPARE,
                                               PGOUTPUT_COMMIT_PREPARED, PGOUTPUT_ROLLBACK_PREPARED,
                                               PGOUTPUT_STREAM_PREPARE};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        size_t i = 0;
        struct pgoutput m = next(r, &i, types[t]);
        assert_true(m.xid > 0 && m.end_lsn > 0);
    }
    release(r);
}

/* ---- what is no message ----------------------------------------------------------------------------------------- */

/* Each message cut anywhere is refused, and so is each with a byte more. */
static void test_cut_and_longer(void **state)
{
    (void)state;
    for (int version = 1; version <= 3; version++) {
        struct recording *r = load(version);
        struct pgoutput m;
        struct err e;
        for (size_t i = 0; i < r->count; i++) {
            const struct message *x = &r->messages[i];
            for (size_t n = 0; n < x->n; n++) {
                uint8_t *cut = malloc(n);
                memcpy(cut, x->bytes, n);
                assert_int_equal(pgoutput_decode(cut, n, version, x->in_stream, &room, &m, &e), ERR_CORRUPT);
                free(cut);
            }
            uint8_t *longer = malloc(x->n + 1);
            memcpy(longer, x->bytes, x->n);
            longer[x->n] = 0;
            assert_int_equal(pgoutput_decode(longer, x->n + 1, version, x->in_stream, &room, &m, &e),
                             ERR_CORRUPT);
            free(longer);
        }
        release(r);
    }
}

static int decode_bytes(const void *bytes, size_t n, int version, struct err *e)
{
    struct pgoutput m;
    return pgoutput_decode(bytes, n, version, false, &room, &m, e);
}

static void test_unknown(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(decode_bytes("Q", 1, 4, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "0x51"));
    assert_int_equal(decode_bytes("E", 1, 1, &e), ERR_UNSUPPORTED); /* streams came with version 2 */
    assert_int_equal(decode_bytes("E", 1, 2, &e), ERR_OK);
    /* More columns than there can be; a value and a row of unknown kind; an unknown identity; a time beyond ours. */
    assert_int_equal(decode_bytes("I\0\0\0\1N\6\x81", 8, 1, &e), ERR_CORRUPT);
    assert_int_equal(decode_bytes("I\0\0\0\1N\0\1x", 9, 1, &e), ERR_CORRUPT);
    assert_int_equal(decode_bytes("I\0\0\0\1K\0\0", 8, 1, &e), ERR_CORRUPT);
    assert_int_equal(decode_bytes("D\0\0\0\1N\0\0", 8, 1, &e), ERR_CORRUPT);
    assert_int_equal(decode_bytes("U\0\0\0\1K\0\1nN\0\0", 12, 1, &e), ERR_CORRUPT);
    assert_int_equal(decode_bytes("R\0\0\0\1a\0b\0z\0\0", 12, 1, &e), ERR_CORRUPT);
    assert_int_equal(decode_bytes("B\0\0\0\0\0\0\0\1\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\1", 21, 1, &e),
                     ERR_CORRUPT);
    assert_non_null(strstr(e.text, "begin"));
}

/* Version 4 may tell where a transaction was aborted; an empty schema is pg_catalog. */
static void test_version_4(void **state)
{
    (void)state;
    struct pgoutput m;
    struct err e;
    const char aborted[] = "A\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0";
    assert_int_equal(pgoutput_decode(aborted, 9, 4, false, &room, &m, &e), ERR_OK);
    assert_int_equal(m.lsn, 0);
    assert_int_equal(pgoutput_decode(aborted, sizeof aborted, 4, false, &room, &m, &e), ERR_OK);
    assert_int_equal(m.subxid, 2);
    assert_int_equal(m.lsn, 3);
    assert_int_equal(pgoutput_decode(aborted, sizeof aborted, 3, false, &room, &m, &e), ERR_CORRUPT);
    assert_int_equal(pgoutput_decode("Y\0\0\0\x17\0int4\0", 11, 4, false, &room, &m, &e), ERR_OK);
    assert_int_equal(pgoutput_decode("R\0\0\0\x17\0x\0n\0\0", 11, 4, false, &room, &m, &e), ERR_OK);
    assert_string_equal(m.schema, "pg_catalog");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begin_and_commit),
        cmocka_unit_test(test_relation),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_unchanged_toast),
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_messages_and_origin),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_two_phase_is_told_apart),
        cmocka_unit_test(test_cut_and_longer),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_version_4),
    };
    return cmocka_run_group_tests_name("pgoutput", tests, NULL, NULL);
}
