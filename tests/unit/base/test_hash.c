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

static void forget(int *order, size_t count, int k)
{
    size_t at = 0;
    while (order[at] != k)
        at++;
    memmove(order + at, order + at + 1, (count - at - 1) * sizeof *order);
}

static void the_map_agrees_with_a_model(void **state)
{
    (void)state;
    enum { KEYS = 500 };
    static int values[KEYS];
    bool there[KEYS] = {false};
    struct err e;
    struct map *m = map_new();
    int order[KEYS];
    size_t count = 0;
    srand(7);
    for (int step = 0; step < 50000; step++) {
        int k = rand() % KEYS;
        if (rand() % 2) {
            int rc = map_put(m, &k, sizeof k, &values[k], &e);
            assert_int_equal(rc, there[k] ? ERR_EXISTS : ERR_OK);
            if (!there[k])
                order[count++] = k;
            there[k] = true;
        } else {
            assert_ptr_equal(map_remove(m, &k, sizeof k), there[k] ? &values[k] : NULL);
            if (there[k])
                forget(order, count--, k);
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
        assert_true(seen < count);
        assert_int_equal(k, order[seen++]); /* as they were put, whatever the secret */
        assert_ptr_equal(value, &values[k]);
    }
    assert_int_equal(seen, count);
    assert_false(map_next(m, &pos, &key, &n, &value)); /* the end stays the end */
    for (int k = 0; k < KEYS; k++)
        assert_ptr_equal(map_get(m, &k, sizeof k), there[k] ? &values[k] : NULL);
    map_free(m, NULL);
}

/*
 * A put that walks over all others is what whoever makes names collide is after. n of one hash are n * (n - 1) / 2 slots too far;
 * with a secret hash it is less than one slot a key, and ten for each are as good as impossible.
 */
static void assert_spread(struct map *m, size_t n)
{
    assert_int_equal(map_count(m), n);
    assert_true(map_detours(m) < 10 * n);
    map_free(m, NULL);
}

/* These eight bytes bring FNV-1a's state to zero (Landon Curt Noll's list), and zeros after them leave it there. */
static void keys_with_one_hash_without_a_secret_are_spread(void **state)
{
    (void)state;
    enum { KEYS = 2000 };
    static uint8_t key[8 + KEYS] = {0xd5, 0x6b, 0xb9, 0x53, 0x42, 0x87, 0x08, 0x36};
    struct err e;
    struct map *m = map_new();
    for (size_t n = 8; n < sizeof key; n++) {
        assert_int_equal(hash64(key, n), hash64(key, 8));
        assert_int_equal(map_put(m, key, n, key, &e), ERR_OK);
    }
    assert_spread(m, KEYS);
}

/* What topics, groups and members may be called: of each 4096 names one would go to the first slot of a table of up to 4096. */
static void names_that_met_in_one_slot_are_spread(void **state)
{
    (void)state;
    enum { NAMES = 1000, SLOTS = 4096 };
    struct err e;
    struct map *m = map_new();
    char name[32];
    for (int i = 0; map_count(m) < NAMES; i++) {
        size_t n = (size_t)snprintf(name, sizeof name, "member-%d", i);
        if (hash64(name, n) % SLOTS == 0)
            assert_int_equal(map_put(m, name, n, m, &e), ERR_OK);
    }
    assert_spread(m, NAMES);
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

/* The values of the reference implementation, and of OpenSSL's SIPHASH with size 16. */
static void siphash_has_the_published_values(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint8_t hash[16];
    } known[] = {
        {0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93}},
        {1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45}},
        {7, {0xa1, 0xf1, 0xeb, 0xbe, 0xd8, 0xdb, 0xc1, 0x53, 0xc0, 0xb8, 0x4a, 0xa6, 0x1f, 0xf0, 0x82, 0x39}},
        {8, {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97, 0xb4}},
        {15,
         {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3, 0xd9}},
        {63,
         {0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97, 0x3f, 0xbd, 0x7c}},
    };
    uint8_t key[16], data[64], hash[16];
    for (int i = 0; i < 16; i++)
        key[i] = (uint8_t)i;
    for (int i = 0; i < 64; i++)
        data[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        siphash128(key, data, known[i].n, hash);
        assert_memory_equal(hash, known[i].hash, sizeof hash);
    }
}

/* Those of OpenSSL's SIPHASH with c-rounds 1, d-rounds 3, size 8. */
static void siphash13_has_the_known_values(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint8_t hash[8];
    } known[] = {
        {0, {0xdc, 0xc4, 0x0f, 0x05, 0x58, 0x01, 0xac, 0xab}},
        {1, {0x93, 0xca, 0x57, 0x7d, 0xf3, 0x9b, 0xf4, 0xc9}},
        {7, {0x40, 0x11, 0xb1, 0x9b, 0x98, 0x7d, 0x92, 0xd3}},
        {8, {0x8e, 0x9a, 0x29, 0x8d, 0x11, 0x95, 0x90, 0x36}},
        {15, {0x56, 0x99, 0x51, 0x2a, 0x6d, 0xd8, 0x20, 0xd3}},
        {63, {0xa8, 0xb3, 0xbb, 0xb7, 0x62, 0x90, 0x19, 0x9d}},
    };
    uint8_t key[16], data[64];
    for (int i = 0; i < 16; i++)
        key[i] = (uint8_t)i;
    for (int i = 0; i < 64; i++)
        data[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint64_t hash = siphash13(key, data, known[i].n);
        assert_memory_equal(&hash, known[i].hash, sizeof hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_has_the_published_values),
        cmocka_unit_test(kafka_hashes_have_the_contract_values),
        cmocka_unit_test(siphash_has_the_published_values),
        cmocka_unit_test(siphash13_has_the_known_values),
        cmocka_unit_test(the_map_agrees_with_a_model),
        cmocka_unit_test(keys_with_one_hash_without_a_secret_are_spread),
        cmocka_unit_test(names_that_met_in_one_slot_are_spread),
        cmocka_unit_test(a_failed_allocation_leaves_the_map_whole),
        cmocka_unit_test(uuids_print_as_kafkas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
