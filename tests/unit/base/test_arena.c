/*
 * The arena: bounded, aligned, keeps one chunk, gives back what is held.
 */
#include "base/arena.h"
#include "tests/lib/testkit.h"

static void test_the_arena_keeps_little(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20, NULL);
    assert_non_null(arena_alloc(&a, 500000));
    assert_non_null(arena_alloc(&a, 0));
    assert_null(arena_alloc(&a, 600000));
    assert_null(arena_alloc(&a, SIZE_MAX));
    arena_reset(&a);
    assert_int_equal(a.bytes, ARENA_CHUNK_BYTES);
    uint8_t *first = arena_alloc(&a, 100);
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 100), first);
    assert_int_equal((uintptr_t)arena_alloc(&a, 1) % 16, 0);
    arena_free(&a);
}

static void test_the_chunk_that_stays_may_be_small(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20, NULL);
    a.first = 1024;
    assert_non_null(arena_alloc(&a, 100));
    assert_int_equal(a.bytes, 1024);
    assert_non_null(arena_alloc(&a, 100000));
    arena_reset(&a);
    assert_int_equal(a.bytes, 1024);
    arena_free(&a);
    assert_non_null(arena_alloc(&a, 100000)); /* a large first need does not become it */
    arena_reset(&a);
    assert_int_equal(a.bytes, 1024);
    arena_free(&a);
}

static int released;

static void count(void *held)
{
    released += *(int *)held;
}

static void test_what_is_held_is_given_back_once(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20, NULL);
    int *n = arena_alloc(&a, sizeof *n);
    assert_non_null(n);
    *n = 1;
    a.held = n;
    a.release = count;
    arena_reset(&a);
    assert_int_equal(released, 1);
    arena_free(&a);
    assert_int_equal(released, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_arena_keeps_little),
        cmocka_unit_test(test_the_chunk_that_stays_may_be_small),
        cmocka_unit_test(test_what_is_held_is_given_back_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
