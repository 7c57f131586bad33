/*
 * test_journal: what is committed comes back after a crash, whole records only, in order; damage is told from a torn end;
 * files are recycled; every failing allocation, write and sync leaves what was committed.
 */
#include "kit.h"

#include <pthread.h>

#include "base/io_watch.h"
#include "base/thread.h"
#include "storage/journal_internal.h"

#define MAX_SEEN 4096

struct seen {
    int64_t offsets[MAX_SEEN];
    size_t n;
    size_t bytes;
};

static int note(void *arg, const struct journal_entry *en, struct err *e)
{
    struct seen *s = arg;
    const uint8_t *data = en->data;
    (void)e;
    assert_true(s->n < MAX_SEEN);
    assert_int_equal(en->partition, (int32_t)(en->base_offset % 7));
    assert_int_equal(en->position, en->base_offset * 3);
    assert_int_equal(en->next_offset, en->base_offset + 1);
    assert_int_equal(en->topic_id.b[15], 9);
    for (size_t i = 0; i < en->bytes; i++)
        assert_int_equal(data[i], (uint8_t)((size_t)en->base_offset + i));
    s->offsets[s->n++] = en->base_offset;
    s->bytes += en->bytes;
    return ERR_OK;
}

static int try_stage(struct journal *j, int64_t offset, size_t bytes, struct err *e)
{
    uint8_t *data = malloc(bytes + 1);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)((size_t)offset + i);
    struct journal_entry en = {
        .partition = (int32_t)(offset % 7),
        .segment_base = 5,
        .position = offset * 3,
        .base_offset = offset,
        .next_offset = offset + 1,
        .data = data,
        .bytes = bytes,
    };
    en.topic_id.b[15] = 9;
    int rc = journal_stage(j, &en, e);
    free(data);
    return rc;
}

static void commit_one(struct journal *j, int64_t offset, size_t bytes)
{
    struct err e = {0};
    assert_ok(try_stage(j, offset, bytes, &e), &e);
    assert_ok(journal_commit(j, &e), &e);
}

static int try_open(struct journal **j, const char *dir, struct seen *s, struct err *e)
{
    struct journal_options o = {.dir = dir, .file_bytes = 1 << 20, .record_bytes = 1 << 20};
    memset(s, 0, sizeof *s);
    int rc = journal_open(j, &o, e);
    if (rc == ERR_OK)
        rc = journal_replay(*j, note, s, e);
    if (rc) {
        journal_close(*j);
        *j = NULL;
    }
    return rc;
}

static struct journal *open_journal(const char *dir, struct seen *s)
{
    struct journal *j;
    struct err e = {0};
    journal_close(NULL);
    assert_ok(try_open(&j, dir, s, &e), &e);
    return j;
}

static void assert_seen(const struct seen *s, int64_t from, size_t n)
{
    assert_int_equal(s->n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(s->offsets[i], from + (int64_t)i);
}

static int setup(void **state)
{
    *state = testkit_dir();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    testkit_remove_dir(*state);
    return 0;
}

static void what_is_committed_comes_back(void **state)
{
    struct err e = {0};
    struct seen s;
    struct journal *j = open_journal(*state, &s);
    assert_seen(&s, 0, 0);
    for (int i = 0; i < 10; i += 2) { /* two entries a record */
        assert_ok(try_stage(j, i, 100, &e), &e);
        assert_ok(try_stage(j, i + 1, 5000, &e), &e);
        assert_ok(journal_commit(j, &e), &e);
    }
    assert_ok(try_stage(j, 10, 100, &e), &e); /* staged and never committed */
    journal_close(j);
    for (int again = 0; again < 2; again++) { /* a second crash before anything new is written */
        j = open_journal(*state, &s);
        assert_seen(&s, 0, 10);
        journal_close(j);
    }
    j = open_journal(*state, &s);
    commit_one(j, 10, 7);
    journal_close(j);
    j = open_journal(*state, &s);
    assert_seen(&s, 0, 11);
    assert_ok(journal_reset(j, &e), &e);
    commit_one(j, 11, 7);
    journal_close(j);
    j = open_journal(*state, &s);
    assert_seen(&s, 11, 1);
    assert_ok(journal_reset(j, &e), &e);
    journal_close(j);
    j = open_journal(*state, &s);
    assert_seen(&s, 0, 0);
    journal_close(j);
}

static void stages_while_a_record_is_taken(void **state)
{
    struct err e = {0};
    struct seen s;
    struct journal *j = open_journal(*state, &s);
    assert_false(journal_take(j));
    assert_ok(journal_write(j, &e), &e);
    assert_ok(try_stage(j, 0, 10, &e), &e);
    assert_true(journal_take(j));
    assert_false(journal_take(j));
    assert_ok(try_stage(j, 1, 10, &e), &e);
    assert_false(journal_take(j)); /* the first is not written */
    assert_ok(journal_write(j, &e), &e);
    journal_close(j);
    j = open_journal(*state, &s);
    assert_seen(&s, 0, 1);
    journal_close(j);
}

static void records_have_a_cap(void **state)
{
    struct err e = {0};
    struct seen s;
    struct journal *j = open_journal(*state, &s);
    size_t room = journal_room(j);
    assert_code(try_stage(j, 0, room + 1, &e), ERR_TOO_LARGE, &e);
    assert_ok(try_stage(j, 0, room, &e), &e);
    assert_int_equal(journal_room(j), 0);
    assert_code(try_stage(j, 1, 1, &e), ERR_TOO_LARGE, &e);
    assert_ok(journal_commit(j, &e), &e);
    journal_trim(j);
    commit_one(j, 1, 300000);
    journal_close(j);
    j = open_journal(*state, &s);
    assert_seen(&s, 0, 2);
    journal_close(j);
}

static void files_are_recycled(void **state)
{
    struct err e = {0};
    struct seen s;
    struct journal_stats stats;
    struct journal *j = open_journal(*state, &s);
    int64_t next = 0, kept = 0;
    for (int round = 0; round < 40; round++) {
        uint64_t seal = journal_sealed(j);
        int64_t before = next;
        for (int i = 0; i < 10; i++)
            commit_one(j, next++, 100000);
        assert_ok(journal_prepare(j, 0, &e), &e);
        if (journal_sealed(j) != seal) {
            assert_ok(journal_release(j, journal_sealed(j), &e), &e);
            kept = before; /* at most this round's entries are in the current file */
        }
    }
    journal_stats(j, &stats);
    assert_true(stats.file_bytes <= 4 << 20);
    assert_int_equal(stats.commits, 400);
    journal_close(j);
    j = open_journal(*state, &s);
    assert_true(s.n > 0 && s.n < 60);
    assert_int_equal(s.offsets[s.n - 1], next - 1);
    assert_true(s.offsets[0] >= kept - 20);
    for (size_t i = 1; i < s.n; i++)
        assert_int_equal(s.offsets[i], s.offsets[i - 1] + 1);
    journal_close(j);
}

static char *first_file(const char *dir)
{
    return join(dir, "00000000.journal");
}

static void a_torn_last_record_never_was(void **state)
{
    struct seen s;
    struct journal *j = open_journal(*state, &s);
    commit_one(j, 0, 100);
    commit_one(j, 1, 6000);
    journal_close(j);
    char *path = first_file(*state), *copy = join(*state, "copy");
    copy_file(path, copy);
    /* record 1 starts at block 2 and has two blocks; every byte of it counts, those of the padding do not */
    for (int64_t at = 2 * 4096; at < 2 * 4096 + 64 + 56 + 6000; at += at < 2 * 4096 + 130 ? 1 : 97) {
        bool reserved = at >= 2 * 4096 + 40 && at < 2 * 4096 + 64;
        copy_file(copy, path);
        damage_file(path, at);
        j = open_journal(*state, &s);
        assert_seen(&s, 0, reserved ? 2 : 1);
        journal_close(j);
    }
    copy_file(copy, path);
    damage_file(path, 4096 + 70); /* the first record: the second shows that it was committed */
    struct err e = {0};
    assert_code(try_open(&j, *state, &s, &e), ERR_CORRUPT, &e);
    assert_non_null(strstr(e.text, "00000000.journal"));
    assert_non_null(strstr(e.text, "byte 4096"));
    mem_free(path);
    mem_free(copy);
}

static void a_damaged_file_header_loses_nothing(void **state)
{
    struct seen s;
    struct journal *j = open_journal(*state, &s);
    commit_one(j, 0, 100);
    commit_one(j, 1, 100);
    journal_close(j);
    char *path = first_file(*state);
    damage_file(path, 20);
    j = open_journal(*state, &s);
    assert_seen(&s, 0, 2);
    journal_close(j);
    mem_free(path);
}

/* While the surplus file with the last name is removed another thread wants a file: it would get the same name. */
struct removing {
    struct journal *j;
    int met, made;
};

static bool is_last_name(const struct journal *j, const char *path)
{
    uint32_t slot = (uint32_t)strtoul(strrchr(path, '/') + 1, NULL, 10);
    for (size_t i = 0; i < j->file_count; i++)
        if (j->files[i].slot > slot)
            return false;
    return true;
}

static void want_file(void *arg, struct io_event *ev)
{
    struct removing *r = arg;
    struct err e = {0};
    if (ev->op != IO_OP_UNLINK || ev->done || !is_last_name(r->j, ev->path))
        return;
    r->met++;
    if (pthread_mutex_trylock(&r->j->making) != 0)
        return; /* that thread waits */
    pthread_mutex_unlock(&r->j->making);
    assert_ok(journal_prepare(r->j, 1 << 20, &e), &e); /* larger than any that is there */
    r->made++;
}

static void a_surplus_file_takes_no_new_one_along(void **state)
{
    struct err e = {0};
    struct seen s;
    struct removing r = {.j = open_journal(*state, &s)};
    int64_t next = 0;
    for (uint64_t seal = 10; seal <= 20;
         seal += 10) { /* in the end the last name is free, and the newest file is another */
        while (journal_sealed(r.j) < seal)
            commit_one(r.j, next++, 500000);
        assert_ok(journal_release(r.j, seal, &e), &e);
    }
    commit_one(r.j, next++, 100);
    io_watch(want_file, &r);
    assert_ok(journal_shrink(r.j, true, &e), &e);
    io_watch(NULL, NULL);
    assert_true(r.met > 0);
    for (size_t i = 0; i < r.j->file_count; i++) {
        char *path = journal_path(r.j, r.j->files[i].slot);
        assert_true(io_exists(path));
        mem_free(path);
    }
    assert_int_equal(r.made, 0);
    journal_close(r.j);
}

static uint64_t file_bytes(struct journal *j)
{
    struct journal_stats stats;
    journal_stats(j, &stats);
    return stats.file_bytes;
}

/* Commits until so many files are sealed. */
static void seal_files(struct journal *j, int64_t *next, uint64_t files)
{
    while (journal_sealed_bytes(j) < files << 20)
        commit_one(j, (*next)++, 500000);
}

static void files_that_were_needed_lately_are_kept(void **state)
{
    struct err e = {0};
    struct seen s;
    struct journal *j = open_journal(*state, &s);
    int64_t next = 0;
    seal_files(j, &next, 10);
    assert_ok(journal_release(j, journal_sealed(j), &e), &e);
    uint64_t most = file_bytes(j);
    assert_true(most > 10 << 20);
    for (unsigned i = 1; i < JOURNAL_USES; i++) {
        seal_files(j, &next, 2);
        assert_ok(journal_release(j, journal_sealed(j), &e), &e);
        assert_int_equal(file_bytes(j), most);
    }
    seal_files(j, &next, 2); /* no release of those that count needed more */
    assert_ok(journal_release(j, journal_sealed(j), &e), &e);
    assert_int_equal(file_bytes(j), 4 << 20);
    journal_close(j);
}

static void what_is_not_needed_now_is_removed_when_told(void **state)
{
    struct err e = {0};
    struct seen s;
    struct journal *j = open_journal(*state, &s);
    int64_t next = 0;
    seal_files(j, &next, 10);
    uint64_t most = file_bytes(j);
    assert_ok(journal_shrink(j, true, &e), &e);
    assert_int_equal(file_bytes(j), most);
    assert_ok(journal_release(j, journal_sealed(j), &e), &e);
    commit_one(j, next++, 100); /* says that they are released */
    assert_int_equal(file_bytes(j), most);
    assert_ok(journal_shrink(j, true, &e), &e);
    assert_int_equal(file_bytes(j), 4 << 20);
    journal_close(j);
    j = open_journal(*state, &s);
    assert_int_equal(s.offsets[s.n - 1], next - 1);
    journal_close(j);
}

/* Fills three files, so that each holds some records; releases none. */
static void fill_three(const char *dir)
{
    struct seen s;
    struct err e = {0};
    struct journal_options o = {.dir = dir, .file_bytes = 1 << 20, .record_bytes = 1 << 20};
    struct journal *j;
    assert_ok(journal_open(&j, &o, &e), &e);
    assert_ok(journal_replay(j, note, &s, &e), &e);
    int64_t next = 0;
    while (journal_sealed(j) < 2)
        commit_one(j, next++, 200000);
    journal_close(j);
}

static void a_missing_or_damaged_middle_file_is_reported(void **state)
{
    struct seen s;
    struct err e = {0};
    struct journal *j;
    fill_three(*state);
    char *middle = join(*state, "00000001.journal"), *copy = join(*state, "copy");
    copy_file(middle, copy);
    int64_t bytes = file_size(middle);
    damage_file(middle, 4096 + 100);
    assert_code(try_open(&j, *state, &s, &e), ERR_CORRUPT, &e);
    assert_non_null(strstr(e.text, "00000001.journal"));
    copy_file(copy, middle);
    unlink(middle);
    assert_code(try_open(&j, *state, &s, &e), ERR_CORRUPT, &e);
    copy_file(copy, middle);
    cut_file(middle, bytes / 2);
    assert_code(try_open(&j, *state, &s, &e), ERR_CORRUPT, &e);
    copy_file(copy, middle);
    j = open_journal(*state, &s);
    assert_true(s.n > 10);
    journal_close(j);
    mem_free(middle);
    mem_free(copy);
}

static void stale_records_of_a_recycled_file_stay_hidden(void **state)
{
    struct err e = {0};
    struct seen s;
    struct journal *j = open_journal(*state, &s);
    for (int i = 0; i < 10; i++)
        commit_one(j, i, 100);
    assert_ok(journal_reset(j, &e), &e);
    /* With one file there is no other choice than to write over its start. */
    commit_one(j, 100, 100);
    journal_close(j);
    char *second = join(*state, "00000001.journal");
    assert_int_equal(file_size(second), -1);
    j = open_journal(*state, &s);
    assert_seen(&s, 100, 1);
    journal_close(j);
    mem_free(second);
}

static void copy_block(const char *from, const char *to, long block)
{
    uint8_t data[4096];
    FILE *in = fopen(from, "r"), *out = fopen(to, "r+");
    assert_true(in && out);
    assert_int_equal(fseek(in, block * (long)sizeof data, SEEK_SET), 0);
    assert_int_equal(fseek(out, block * (long)sizeof data, SEEK_SET), 0);
    assert_int_equal(fread(data, sizeof data, 1, in), 1);
    assert_int_equal(fwrite(data, sizeof data, 1, out), 1);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* Three records in a file; the third is what a clean stop leaves, or one as the others. Then a fifth one, of another such file. */
static int open_with_a_gap(const char *dir, bool clean, struct err *e)
{
    struct seen s;
    struct journal *j, *longer;
    char *one = join(dir, clean ? "clean" : "unclean"), *other = join(dir, clean ? "longer" : "longest");
    char *to = join(one, "00000000.journal"), *from = join(other, "00000000.journal");
    j = open_journal(one, &s);
    longer = open_journal(other, &s);
    for (int i = 0; i < 5; i++) {
        commit_one(longer, i, 100);
        if (i < (clean ? 2 : 3))
            commit_one(j, i, 100);
    }
    if (clean)
        assert_ok(journal_reset(j, e), e);
    journal_close(j);
    journal_close(longer);
    copy_block(from, to, 5);
    int rc = try_open(&j, one, &s, e);
    if (!rc)
        assert_seen(&s, 0, 0);
    journal_close(rc ? NULL : j);
    mem_free(one);
    mem_free(other);
    mem_free(to);
    mem_free(from);
    return rc;
}

/* What stands behind the end that a clean stop wrote is of no account, and is not read. */
static void nothing_is_looked_for_behind_a_clean_end(void **state)
{
    struct err e = {0};
    assert_code(open_with_a_gap(*state, false, &e), ERR_CORRUPT, &e);
    assert_ok(open_with_a_gap(*state, true, &e), &e);
}

/* ---- faults ---- */

struct fault_run {
    const char *dir;
    enum fault_point point;
};

/* Opens, commits entries until one fails; whatever was committed must be there afterwards, in order. */
static void run_with_fault(void *arg)
{
    const struct fault_run *run = arg;
    struct err e = {0};
    struct seen s;
    struct journal *j;
    int64_t committed = 0;
    char *dir = join(run->dir, "j");
    int rc = try_open(&j, dir, &s, &e);
    bool opened = rc == ERR_OK;
    for (int i = 0; i < 8 && rc == ERR_OK; i++) {
        rc = try_stage(j, committed, 300000, &e);
        if (rc == ERR_NO_MEMORY) { /* not fatal: the entry is just not in */
            rc = try_stage(j, committed, 300000, &e);
            assert_ok(rc, &e);
        }
        if (rc == ERR_OK)
            rc = journal_commit(j, &e);
        committed += rc == ERR_OK;
    }
    if (opened && rc) {
        struct err again = {0};
        assert_true(e.fatal);
        assert_int_equal(try_stage(j, committed, 10, &again), rc); /* sticky */
        assert_int_equal(journal_commit(j, &again), rc);
    }
    if (opened)
        journal_close(j);
    fault_disarm();
    j = open_journal(dir, &s);
    /* The failed record may be there too: its write was not confirmed, which says nothing about the disk. */
    assert_true(s.n == (size_t)committed || s.n == (size_t)committed + 1);
    assert_seen(&s, 0, s.n);
    commit_one(j, (int64_t)s.n, 100);
    journal_close(j);
    mem_free(dir);
    char *fresh = join(run->dir, "j");
    assert_ok(io_remove_tree(fresh, &e), &e);
    mem_free(fresh);
}

static void every_fault_keeps_what_was_committed(void **state)
{
    static const enum fault_point points[] = {FAULT_ALLOC, FAULT_WRITE, FAULT_SYNC, FAULT_META, FAULT_READ};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        struct fault_run run = {.dir = *state, .point = points[i]};
        assert_true(testkit_each_fault(points[i], EIO, run_with_fault, &run) > 0 || points[i] == FAULT_SYNC);
    }
}

static void a_full_disk_is_met_before_staging(void **state)
{
    struct err e = {0};
    struct seen s;
    struct journal *j = open_journal(*state, &s);
    commit_one(j, 0, 900000);
    for (int i = 1; i < 4; i++)
        commit_one(j, i, 300000);
    fault_arm(FAULT_WRITE, 1, ENOSPC, true);
    int rc = journal_prepare(j, 0, &e);
    fault_disarm();
    if (rc == ERR_OK)
        return; /* nothing was needed: the first file is larger than thought */
    assert_code(rc, ERR_NO_SPACE, &e);
    while ((rc = try_stage(j, 4, 300000, &e)) == ERR_OK)
        assert_ok(journal_commit(j, &e), &e);
    assert_code(rc, ERR_NO_SPACE, &e);
    assert_false(e.fatal);
    assert_ok(journal_prepare(j, 0, &e), &e); /* the disk has room again */
    assert_ok(try_stage(j, 4, 300000, &e), &e);
    assert_ok(journal_commit(j, &e), &e);
    journal_close(j);
}

/* ---- threads ---- */

struct shared {
    struct journal *j;
    pthread_mutex_t lock;
    int64_t next;
    bool stop;
};

static void *stage_many(void *arg)
{
    struct shared *sh = arg;
    struct err e = {0};
    for (;;) {
        pthread_mutex_lock(&sh->lock);
        bool more = sh->next < 2000;
        if (more && journal_room(sh->j) > 2000 && try_stage(sh->j, sh->next, 1000, &e) == ERR_OK)
            sh->next++;
        pthread_mutex_unlock(&sh->lock);
        if (!more)
            return NULL;
    }
}

static void stages_beside_commits(void **state)
{
    struct err e = {0};
    struct seen s;
    struct shared sh = {.j = open_journal(*state, &s)};
    mutex_init(&sh.lock);
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        assert_ok(thread_start(&t[i], "stage", stage_many, &sh, &e), &e);
    for (bool more = true; more;) {
        assert_ok(journal_commit(sh.j, &e), &e);
        assert_ok(journal_prepare(sh.j, 0, &e), &e);
        pthread_mutex_lock(&sh.lock);
        more = sh.next < 2000;
        pthread_mutex_unlock(&sh.lock);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    assert_ok(journal_commit(sh.j, &e), &e);
    journal_close(sh.j);
    sh.j = open_journal(*state, &s);
    assert_seen(&s, 0, 2000);
    journal_close(sh.j);
    pthread_mutex_destroy(&sh.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_committed_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(stages_while_a_record_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(records_have_a_cap, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_recycled, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_were_needed_lately_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_needed_now_is_removed_when_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_surplus_file_takes_no_new_one_along, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_last_record_never_was, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_header_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_or_damaged_middle_file_is_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(stale_records_of_a_recycled_file_stay_hidden, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_looked_for_behind_a_clean_end, setup, teardown),
        cmocka_unit_test_setup_teardown(every_fault_keeps_what_was_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_met_before_staging, setup, teardown),
        cmocka_unit_test_setup_teardown(stages_beside_commits, setup, teardown),
    };
    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
