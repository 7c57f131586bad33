/* Copies of many bytes: as memcpy's, wherever source and target stand to each other, and nothing beyond them is touched. */
#include "tests/lib/testkit.h"

#include "base/mem.h"

enum { PAGE = 4096, LARGEST = 3 * PAGE + 77, ROOM = LARGEST + 4 * PAGE, GUARD = 0xa5 };

static void copies_are_whole(void (*copy)(void *to, const void *from, size_t n))
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 1023, 1024, 1025, 2047, 2048, 2049, PAGE, LARGEST};
    static const size_t starts[] = {0, 1, 15, 16, 63, 64, PAGE - 1};
    uint8_t *from = mem_aligned(PAGE, ROOM), *to = mem_aligned(PAGE, ROOM), *expected = mem_alloc(ROOM);
    assert_true(from && to && expected);
    for (size_t i = 0; i < ROOM; i++)
        from[i] = (uint8_t)(i * 31 + i / 256);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t a = 0; a < sizeof starts / sizeof *starts; a++)
            for (size_t b = 0; b < sizeof starts / sizeof *starts; b++) {
                memset(to, GUARD, ROOM);
                memset(expected, GUARD, ROOM);
                memcpy(expected + starts[b], from + starts[a], sizes[s]);
                copy(to + starts[b], from + starts[a], sizes[s]);
                assert_memory_equal(to, expected, ROOM);
            }
    mem_free(from);
    mem_free(to);
    mem_free(expected);
}

static void in_pieces(void **state)
{
    (void)state;
    copies_are_whole(mem_copy);
}

static void past_the_cache(void **state)
{
    (void)state;
    copies_are_whole(mem_copy_out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_pieces),
        cmocka_unit_test(past_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
