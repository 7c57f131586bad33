/*
 * test_journal_aside: entries that are set aside come back ahead of the journal's, after it was released; all of the file is
 * whole or it is damage; every failing allocation, write and sync leaves all of them in one place or the other.
 */
#include "kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/thread.h"
#include "storage/check.h"
#include "storage/journal_internal.h"

enum { SEEN_MAX = 4096, STUCK = 3 }; /* what is copied is partition 3's */

struct seen {
    int64_t offsets[SEEN_MAX]; /* of the stuck partition, in the order in which they came */
    size_t n, others;
    uint64_t number; /* of the last file */
};

static int note(void *arg, const struct journal_entry *en, struct err *e)
{
    struct seen *s = arg;
    const uint8_t *data = en->data;
    (void)e;
    assert_int_equal(en->topic_id.b[0], 7);
    assert_int_equal(en->next_offset, en->base_offset + 1);
    assert_int_equal(en->position, en->base_offset * 2);
    for (size_t i = 0; i < en->bytes; i += 997)
        assert_int_equal(data[i], (uint8_t)((size_t)en->base_offset + i));
    s->others += en->partition != STUCK;
    if (en->partition != STUCK)
        return ERR_OK;
    assert_true(s->n < SEEN_MAX);
    s->offsets[s->n++] = en->base_offset;
    return ERR_OK;
}

static int note_aside(void *arg, uint64_t number, const struct journal_entry *en, struct err *e)
{
    struct seen *s = arg;
    assert_true(number >= s->number);
    s->number = number;
    assert_int_equal(en->partition, STUCK);
    return note(s, en, e);
}

static int try_open(struct journal **j, const char *dir, struct seen *aside, struct seen *rest, struct err *e)
{
    struct journal_options o = {.dir = dir, .file_bytes = 1 << 20, .record_bytes = 4 << 20};
    memset(aside, 0, sizeof *aside);
    memset(rest, 0, sizeof *rest);
    int rc = journal_open(j, &o, e);
    if (rc == ERR_OK)
        rc = journal_replay_asides(*j, note_aside, aside, e);
    if (rc == ERR_OK)
        rc = journal_replay(*j, note, rest, e);
    if (rc) {
        journal_close(*j);
        *j = NULL;
    }
    return rc;
}

static struct journal *reopen(const char *dir, struct seen *aside, struct seen *rest)
{
    struct journal *j;
    struct err e = {0};
    assert_ok(try_open(&j, dir, aside, rest, &e), &e);
    return j;
}

static int try_put(struct journal *j, int32_t partition, int64_t offset, size_t bytes, struct err *e)
{
    uint8_t *data = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)((size_t)offset + i);
    struct journal_entry en = {.topic_id.b[0] = 7,
                               .partition = partition,
                               .position = offset * 2,
                               .base_offset = offset,
                               .next_offset = offset + 1,
                               .data = data,
                               .bytes = bytes};
    int rc = journal_stage(j, &en, e);
    free(data);
    return rc ? rc : journal_commit(j, e);
}

static void put(struct journal *j, int32_t partition, int64_t offset, size_t bytes)
{
    struct err e = {0};
    assert_ok(try_put(j, partition, offset, bytes, &e), &e);
}

/* Six entries of the stuck partition in several files, others in between; the last of each stands in the current one. */
static void put_some(struct journal *j, int64_t first)
{
    for (int i = 0; i < 6; i++) {
        put(j, STUCK, first + i, i == 2 ? 1500000 : 300000);
        put(j, 1, i, 300000);
    }
    put(j, 1, 6, 800000); /* fits into no file that is begun */
}

static int choose_stuck(void *arg, const struct journal_entry *en, bool *copy, struct err *e)
{
    const int64_t *point = arg;
    (void)e;
    *copy = en->partition == STUCK && en->next_offset > *point;
    return ERR_OK;
}

static int try_set_aside(struct journal *j, uint64_t number, int64_t point, bool *any, struct err *e)
{
    uint64_t seal = journal_sealed(j);
    int rc = journal_set_aside(j, seal, number, choose_stuck, &point, any, e);
    return rc ? rc : journal_release(j, seal, e);
}

static bool set_aside(struct journal *j, uint64_t number, int64_t point)
{
    struct err e = {0};
    bool any = false;
    assert_ok(try_set_aside(j, number, point, &any, &e), &e);
    return any;
}

static void assert_offsets(const struct seen *s, int64_t from, int64_t to)
{
    assert_int_equal(s->n, to - from);
    for (size_t i = 0; i < s->n; i++)
        assert_int_equal(s->offsets[i], from + (int64_t)i);
}

static void path_of(const char *dir, uint64_t number, char path[512])
{
    snprintf(path, 512, "%s/%020llu.aside", dir, (unsigned long long)number);
}

static int setup(void **state)
{
    *state = testkit_dir();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    fault_disarm();
    testkit_remove_dir(*state);
    return 0;
}

static void they_come_back_after_the_release(void **state)
{
    struct seen aside, rest;
    struct err e = {0};
    char path[512];
    struct journal *j = reopen(*state, &aside, &rest);
    put_some(j, 0);
    assert_true(set_aside(j, 7, 1));
    put_some(j, 6);
    assert_true(set_aside(j, 9, 1));
    put(j, STUCK, 12, 100); /* a later record: what was released is known on disk */
    journal_close(j);
    j = reopen(*state, &aside, &rest);
    assert_offsets(&aside, 1, 12);
    assert_int_equal(aside.number, 9);
    assert_offsets(&rest, 12, 13);
    assert_int_equal(rest.others, 1);
    assert_ok(journal_drop_aside(j, 7, &e), &e);
    assert_ok(journal_drop_aside(j, 7, &e), &e); /* it is gone */
    journal_close(j);
    path_of(*state, 7, path);
    assert_false(io_exists(path));
    j = reopen(*state, &aside, &rest);
    assert_offsets(&aside, 6, 12);
    journal_close(j);
}

static void nothing_chosen_makes_no_file(void **state)
{
    struct seen aside, rest;
    char path[512];
    struct journal *j = reopen(*state, &aside, &rest);
    assert_false(set_aside(j, 1, 0)); /* nor is anything sealed yet */
    put_some(j, 0);
    assert_false(set_aside(j, 1, 6));
    path_of(*state, 1, path);
    assert_false(io_exists(path));
    journal_close(j);
}

/* Nothing of the current file is given out, whose end is being written. */
static void only_sealed_files_are_read(void **state)
{
    struct seen aside, rest;
    struct journal *j = reopen(*state, &aside, &rest);
    put_some(j, 0);
    put(j, STUCK, 6, 100);
    assert_true(set_aside(j, 1, 0));
    journal_close(j);
    j = reopen(*state, &aside, &rest);
    assert_offsets(&aside, 0, 6);
    assert_int_equal(rest.offsets[rest.n - 1], 6);
    journal_close(j);
}

static void change_byte(const char *path, long at)
{
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 4, f), c ^ 4);
    assert_int_equal(fclose(f), 0);
}

struct told {
    int bad;
    int64_t byte;
};

static int note_finding(void *arg, const struct check_finding *f, struct err *e)
{
    struct told *t = arg;
    (void)e;
    if (f->kind == CHECK_BAD_JOURNAL && t->bad++ == 0)
        t->byte = f->byte;
    return ERR_OK;
}

/* Opening and fsck say where. */
static void expect_damage(const char *dir, const char *path, int64_t byte)
{
    struct seen aside, rest;
    struct journal *j;
    struct told told = {0};
    struct check c = {.found = note_finding, .arg = &told};
    struct err e = {0};
    char at[64];
    uint64_t live;
    assert_code(try_open(&j, dir, &aside, &rest, &e), ERR_CORRUPT, &e);
    assert_non_null(strstr(e.text, path));
    snprintf(at, sizeof at, "at byte %lld", (long long)byte);
    assert_non_null(strstr(e.text, at));
    assert_ok(journal_inspect(dir, &c, NULL, &live, &e), &e);
    assert_true(told.bad >= 1);
    assert_int_equal(told.byte, byte);
}

static void damage_is_told_with_file_and_byte(void **state)
{
    struct seen aside, rest;
    struct err e = {0};
    char path[512];
    uint64_t live;
    struct journal *j = reopen(*state, &aside, &rest);
    put_some(j, 0);
    assert_true(set_aside(j, 5, 0));
    put(j, 1, 7, 100);
    journal_close(j);
    path_of(*state, 5, path);
    assert_ok(journal_inspect(*state, NULL, NULL, &live, &e), &e);
    assert_int_equal(live, 5); /* records: of 600 kB, 1.5 MB, 900 kB; and two of the current file */
    static const long places[][2] = {{2, 0}, {30, 0}, {44, 0}, {4096 + 9, 4096}, {4096 + 200000, 4096}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        change_byte(path, places[i][0]);
        expect_damage(*state, path, places[i][1]);
        change_byte(path, places[i][0]);
    }
    j = reopen(*state, &aside, &rest);
    assert_offsets(&aside, 0, 6);
    journal_close(j);
    /* Its last record is missing as if it had never been there. */
    int64_t size;
    int fd;
    assert_ok(io_open(&fd, path, O_RDWR, 0, &e), &e);
    assert_ok(io_size(fd, &size, path, &e), &e);
    io_close(fd);
    assert_int_equal(truncate(path, size - (int64_t)journal_padded(JOURNAL_RECORD_HEADER + 3 * 300056)), 0);
    expect_damage(*state, path, 0);
    assert_int_equal(truncate(path, 0), 0);
    expect_damage(*state, path, 0);
}

/* ---- any damage ---- */

static int show_entry(void *arg, const struct journal_sight *s, const struct journal_entry *en, struct err *e)
{
    return strstr(s->path, ".aside") ? note(arg, en, e) : ERR_OK;
}

struct any_damage {
    const char *dir;
    char path[512];
    uint8_t *data; /* of the whole file */
    size_t n;
    int told, silent; /* how often a start refused it, and did not */
};

/* Does fsck say what a start would? What is shown, or given out, is what was written. */
static void expect_agreement(struct any_damage *d)
{
    struct seen given = {0}, shown = {0};
    struct told told = {0};
    struct check c = {.found = note_finding, .arg = &told};
    struct journal_visitor v = {.entry = show_entry, .arg = &shown};
    struct err e = {0};
    uint64_t live;
    int rc = journal_read_aside(d->path, 5, note, &given, &e);
    assert_ok(journal_inspect(d->dir, &c, &v, &live, &e), &e);
    assert_int_equal(rc != ERR_OK, told.bad > 0);
    if (rc == ERR_OK)
        assert_offsets(&given, 0, 6);
    assert_true(shown.n <= 6 && given.n <= 6);
    assert_true(rc || shown.n == 6);
    d->told += rc != ERR_OK;
    d->silent += rc == ERR_OK;
}

static void write_file(const struct any_damage *d, const uint8_t *data, size_t n)
{
    struct err e;
    int fd;
    assert_ok(io_open(&fd, d->path, O_WRONLY | O_TRUNC, 0, &e), &e);
    assert_ok(n ? io_pwrite(fd, data, n, 0, d->path, &e) : ERR_OK, &e);
    io_close(fd);
}

/* Where the file says something, every byte is tried. */
static bool is_dense(size_t at)
{
    return at < 64 || (at >= JOURNAL_BLOCK && at < JOURNAL_BLOCK + 6 * 160 + 64);
}

static void fsck_says_of_any_damage_what_a_start_does(void **state)
{
    struct seen aside, rest;
    struct err e = {0};
    struct any_damage d = {.dir = *state};
    char *text;
    struct journal *j = reopen(*state, &aside, &rest);
    for (int i = 0; i < 6; i++)
        put(j, STUCK, i, 100);
    put(j, 1, 0, 1030000); /* in the next file */
    assert_true(set_aside(j, 5, 0));
    journal_close(j);
    path_of(*state, 5, d.path);
    assert_ok(io_read_file(d.path, 1 << 20, &text, &d.n, &e), &e);
    d.data = (uint8_t *)text;
    assert_int_equal(d.n, 2 * JOURNAL_BLOCK); /* the first block, and a record */
    for (size_t at = 0; at < d.n; at += is_dense(at) ? 1 : 61) {
        d.data[at] ^= (uint8_t)(1u << at % 8);
        write_file(&d, d.data, d.n);
        expect_agreement(&d);
        d.data[at] ^= (uint8_t)(1u << at % 8);
    }
    assert_true(d.told >= 48 + 6 * 150); /* what the first block says, and the record */
    assert_true(d.silent > 0);           /* padding */
    int silent = d.silent;
    for (size_t n = 0; n < d.n; n += 61) {
        write_file(&d, d.data, n);
        expect_agreement(&d);
    }
    assert_int_equal(d.silent, silent); /* a shorter one is never taken */
    write_file(&d, d.data, d.n);
    expect_agreement(&d);
    assert_int_equal(d.silent, silent + 1);
    mem_free(text);
}

/* ---- faults ---- */

struct fault_run {
    const char *dir;
};

static void run_with_fault(void *arg)
{
    const struct fault_run *run = arg;
    struct seen aside, rest;
    struct err e = {0};
    bool any = false;
    char dir[512];
    struct journal *j = NULL;
    snprintf(dir, sizeof dir, "%s/j", run->dir);
    int rc = try_open(&j, dir, &aside, &rest, &e);
    int64_t done = 0;
    for (; rc == ERR_OK && done < 6; done += rc == ERR_OK)
        rc = try_put(j, STUCK, done, 300000, &e);
    if (rc == ERR_OK)
        rc = try_set_aside(j, 4, 0, &any, &e);
    if (rc == ERR_OK)
        assert_true(any);
    if (j)
        journal_close(j);
    fault_disarm();
    j = reopen(dir, &aside, &rest);
    /* Whatever failed: all of it is in the one or the other, and what is in both is so in the same order. */
    int64_t next = 0;
    for (size_t i = 0; i < aside.n; i++)
        assert_int_equal(aside.offsets[i], next++);
    if (rest.n)
        assert_true(rest.offsets[0] <= next);
    next = rest.n ? rest.offsets[rest.n - 1] + 1 : next;
    assert_true(next == done || next == done + 1);
    journal_close(j);
    assert_ok(io_remove_tree(dir, &e), &e);
}

static void every_fault_keeps_them(void **state)
{
    static const enum fault_point points[] = {FAULT_ALLOC, FAULT_WRITE, FAULT_SYNC, FAULT_META, FAULT_READ};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        struct fault_run run = {*state};
        assert_true(testkit_each_fault(points[i], EIO, run_with_fault, &run) > 0);
    }
}

/* ---- threads ---- */

struct writer {
    struct journal *j;
    atomic_int written;
    atomic_bool done;
};

static void *write_on(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; i < 400; i++) {
        put(w->j, i % 4, i, 30000);
        atomic_store(&w->written, i + 1);
    }
    atomic_store(&w->done, true);
    return NULL;
}

/* Released again and again while it is written. */
static void beside_the_writer(void **state)
{
    struct seen aside, rest;
    pthread_t thread;
    struct writer w = {.j = reopen(*state, &aside, &rest)};
    uint64_t number = 1;
    assert_int_equal(pthread_create(&thread, NULL, write_on, &w), 0);
    while (!atomic_load(&w.done))
        number += set_aside(w.j, number, 0);
    pthread_join(thread, NULL);
    number += set_aside(w.j, number, 0);
    assert_true(number > 1);
    journal_close(w.j);
    journal_close(reopen(*state, &aside, &rest));
    int64_t next = STUCK;
    for (size_t i = 0; i < aside.n; i++, next += 4)
        assert_int_equal(aside.offsets[i], next);
    assert_true(rest.n > 0 && rest.offsets[0] <= next);
    assert_int_equal(rest.offsets[rest.n - 1], 399);
    for (size_t i = 1; i < rest.n; i++)
        assert_int_equal(rest.offsets[i], rest.offsets[i - 1] + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_come_back_after_the_release, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_chosen_makes_no_file, setup, teardown),
        cmocka_unit_test_setup_teardown(only_sealed_files_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_told_with_file_and_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(fsck_says_of_any_damage_what_a_start_does, setup, teardown),
        cmocka_unit_test_setup_teardown(every_fault_keeps_them, setup, teardown),
        cmocka_unit_test_setup_teardown(beside_the_writer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
