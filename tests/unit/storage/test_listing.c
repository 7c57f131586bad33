/*
 * test_listing: which files of a partition's directory belong together.
 */
#include "kit.h"
#include "storage/listing.h"
#include "storage/paths.h"

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

static void touch(const char *dir, const char *name)
{
    char *path = join(dir, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
    free(path);
}

struct others {
    int with_offset, without;
    int after; /* so many are let pass, then an error; 0: all */
};

static int note_other(void *arg, const char *name, const char *suffix, struct err *e)
{
    struct others *o = arg;
    if (suffix)
        assert_string_equal(suffix, name + 20);
    o->with_offset += suffix != NULL;
    o->without += suffix == NULL;
    if (o->after && o->with_offset + o->without > o->after)
        return err_set(e, ERR_BUSY, "%s", name);
    return ERR_OK;
}

static void files_of_one_offset_are_one_entry(void **state)
{
    static const char *const names[] = {
        "00000000000000000100.log",       "00000000000000000000.timeindex", "00000000000000000000.log",
        "00000000000000000000.index",     "00000000000000000100.txnindex",  "00000000000000000100.index",
        "00000000000000000007.snapshot",  "00000000000000000100.snapshot",  "00000000000000000100.timeindex",
        "00000000000000000050.timeindex",
    };
    static const struct listed wanted[] = {
        {0, HAS_LOG | HAS_INDEX | HAS_TIME},
        {7, HAS_SNAPSHOT},
        {50, HAS_TIME},
        {100, HAS_LOG | HAS_INDEX | HAS_TIME | HAS_TXN | HAS_SNAPSHOT},
    };
    struct err e = {0};
    struct listing l;
    struct others o = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        touch(*state, names[i]);
    assert_ok(listing_read(&l, *state, note_other, &o, &e), &e);
    assert_int_equal(l.n, 4);
    for (size_t i = 0; i < l.n; i++) {
        assert_int_equal(l.list[i].base, wanted[i].base);
        assert_int_equal(l.list[i].has, wanted[i].has);
    }
    assert_int_equal(o.with_offset + o.without, 0);
    listing_free(&l);
    assert_null(l.list);
}

static void every_other_name_is_told(void **state)
{
    static const char *const names[] = {
        "00000000000000000000.log.deleted",
        "00000000000000000000.index.swap",
        "00000000000000000000",
        "00000000000000000000.logs",
        "0.log",
        "leader-epoch-checkpoint",
        "99999999999999999999.log", /* no offset can be so large */
    };
    struct err e = {0};
    struct listing l;
    struct others o = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        touch(*state, names[i]);
    assert_ok(listing_read(&l, *state, note_other, &o, &e), &e);
    assert_int_equal(l.n, 0);
    assert_int_equal(o.with_offset, 4);
    assert_int_equal(o.without, 3);
    listing_free(&l);
}

static void an_error_leaves_an_empty_listing(void **state)
{
    struct err e = {0};
    struct listing l;
    struct others o = {.after = 1};
    touch(*state, "00000000000000000000.log");
    touch(*state, "one");
    touch(*state, "two");
    assert_int_equal(listing_read(&l, *state, note_other, &o, &e), ERR_BUSY);
    assert_null(l.list);
    assert_int_equal(l.n, 0);
    char *gone = join(*state, "gone");
    assert_int_equal(listing_read(&l, gone, note_other, &o, &e), ERR_NOT_FOUND);
    assert_int_equal(l.n, 0);
    free(gone);
}

static void the_end_of_a_name(void **state)
{
    (void)state;
    assert_true(storage_name_ends(".log.swap", SWAP_SUFFIX));
    assert_true(storage_name_ends(".swap", SWAP_SUFFIX));
    assert_false(storage_name_ends("swap", SWAP_SUFFIX));
    assert_false(storage_name_ends(".swap.log", SWAP_SUFFIX));
    assert_string_equal(listing_index_suffix(0), INDEX_SUFFIX);
    assert_string_equal(listing_index_suffix(LISTING_INDEXES - 1), TXN_SUFFIX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_of_one_offset_are_one_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(every_other_name_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_leaves_an_empty_listing, setup, teardown),
        cmocka_unit_test(the_end_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
