/* Checksums and hashes against published values; the map against a model. */
#include "tests/lib/testkit.h"

#include "base/hash.h"
#include "base/uuid.h"

static void crc32c_has_the_published_values(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa); /* RFC 3720 B.4 */
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
}

static void kafka_hashes_have_the_contract_values(void **state)
{
    (void)state;
    assert_int_equal((int32_t)murmur2("21", 2), -973932308);
    assert_int_equal((int32_t)murmur2("foobar", 6), -790332482);
    assert_int_equal((int32_t)murmur2("", 0), 275646681);
    assert_int_equal(java_string_hash("test", 4), 3556498);
    assert_int_equal(kafka_coordinator_partition("test", 50), 48);
    assert_int_equal(kafka_coordinator_partition("my-group", 50), 12);
    assert_int_equal(java_string_hash("\xf0\x9f\x98\x80", 4), 31 * 0xd83d + 0xde00);
    assert_int_equal(kafka_partition_for_key("foobar", 6, 7), (-790332482 & 0x7fffffff) % 7);
}

static void the_map_agrees_with_a_model(void **state)
{
    (void)state;
    enum { KEYS = 500 };
    static int values[KEYS];
    bool there[KEYS] = {false};
    struct err e;
    struct map *m = map_new();
    size_t count = 0;
    srand(7);
    for (int step = 0; step < 50000; step++) {
        int k = rand() % KEYS;
        if (rand() % 2) {
            int rc = map_put(m, &k, sizeof k, &values[k], &e);
            assert_int_equal(rc, there[k] ? ERR_EXISTS : ERR_OK);
            count += !there[k];
            there[k] = true;
        } else {
            assert_ptr_equal(map_remove(m, &k, sizeof k), there[k] ? &values[k] : NULL);
            count -= there[k];
            there[k] = false;
        }
        assert_int_equal(map_count(m), count);
    }
    size_t seen = 0, pos = 0, n;
    const void *key;
    void *value;
    while (map_next(m, &pos, &key, &n, &value)) {
        int k;
        memcpy(&k, key, sizeof k);
        assert_true(there[k]);
        assert_ptr_equal(value, &values[k]);
        seen++;
    }
    assert_int_equal(seen, count);
    for (int k = 0; k < KEYS; k++)
        assert_ptr_equal(map_get(m, &k, sizeof k), there[k] ? &values[k] : NULL);
    map_free(m, NULL);
}

static void fill_map(void *arg)
{
    (void)arg;
    static int value;
    struct err e;
    struct map *m = map_new();
    if (!m)
        return;
    int put = 0;
    while (put < 100 && map_put(m, &put, sizeof put, &value, &e) == ERR_OK)
        put++;
    assert_true(put == 100 || e.code == ERR_NO_MEMORY);
    assert_int_equal(map_count(m), put);
    for (int k = 0; k < put; k++)
        assert_ptr_equal(map_get(m, &k, sizeof k), &value);
    map_free(m, NULL);
}

static void a_failed_allocation_leaves_the_map_whole(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, 12, fill_map, NULL) > 100);
}

static void uuids_print_as_kafkas(void **state)
{
    (void)state;
    struct uuid u, back;
    char text[UUID_TEXT_SIZE];
    for (int i = 0; i < 16; i++)
        u.b[i] = (uint8_t)(i * 17);
    assert_string_equal(uuid_text(&u, text), "ABEiM0RVZneImaq7zN3u_w");
    assert_true(uuid_parse(text, &back));
    assert_memory_equal(&u, &back, sizeof u);
    assert_false(uuid_parse("ABEiM0RVZneImaq7zN3u_", &back));
    assert_false(uuid_parse("ABEiM0RVZneImaq7zN3u_*", &back));
    assert_false(uuid_parse("ABEiM0RVZneImaq7zN3u_x", &back)); /* bits beyond the sixteenth byte */
    for (int i = 0; i < 1000; i++) {
        u = uuid_random();
        assert_true(uuid_text(&u, text)[0] != '-');
        assert_true(uuid_parse(text, &back));
        assert_memory_equal(&u, &back, sizeof u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_has_the_published_values),
        cmocka_unit_test(kafka_hashes_have_the_contract_values),
        cmocka_unit_test(the_map_agrees_with_a_model),
        cmocka_unit_test(a_failed_allocation_leaves_the_map_whole),
        cmocka_unit_test(uuids_print_as_kafkas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
