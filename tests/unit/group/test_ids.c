/*
 * Whom a group knows, by id: random changes beside a model, with memory and without.
 */
#include <errno.h>

#include "base/fault.h"
#include "group/internal.h"
#include "tests/lib/testkit.h"

#define IDS 300
#define KINDS 3
#define STEPS 20000

static const uint8_t secret[16] = {1, 2, 3};
static char names[IDS][16];
static struct id_link links[KINDS][IDS];
static bool there[KINDS][IDS];

static void check(const struct ids *ids)
{
    size_t n = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < IDS; i++) {
            struct msg_string id = msg_text(names[i], strlen(names[i]));
            assert_ptr_equal(ids_find(ids, (enum id_kind)kind, id), there[kind][i] ? &links[kind][i] : NULL);
            n += there[kind][i];
        }
    assert_int_equal(ids->count, n);
    assert_null(ids_find(ids, ID_MEMBER, MSG_NULL_STRING));
}

static void run(struct ids *ids)
{
    uint64_t seed = 7;
    memset(there, 0, sizeof there);
    for (int step = 0; step < STEPS; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int kind = (int)((seed >> 33) % KINDS), i = (int)((seed >> 40) % IDS);
        if (there[kind][i])
            ids_remove(ids, &links[kind][i]);
        else
            ids_add(ids, &links[kind][i], (enum id_kind)kind, names[i]);
        there[kind][i] = !there[kind][i];
        if (step % 200 == 0)
            check(ids);
    }
    check(ids);
}

static void test_found_by_id(void **state)
{
    (void)state;
    struct ids ids = {.secret = secret};
    for (int i = 1; i < IDS; i++) /* an empty one is as good as any */
        snprintf(names[i], sizeof names[i], "id-%d", i);
    run(&ids);
    assert_true(ids.size >= ids.count / 2);
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < IDS; i++)
            if (there[kind][i])
                ids_remove(&ids, &links[kind][i]);
    assert_null(ids.slots); /* who knows nobody takes no memory */
    fault_arm(FAULT_ALLOC, 1, ENOMEM, true);
    run(&ids);
    fault_disarm();
    assert_int_equal(ids.size, 0);
    ids_clear(&ids);
    memset(there, 0, sizeof there);
    check(&ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found_by_id)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
