/*
 * Consumer groups in many random schedules of members that come, go, lose answers and change their minds while topics come and go, in which no
 * partition is ever two members', epochs do not go back, and all is assigned in the end; and without memory at any one place.
 */
#include <errno.h>

#include "tests/unit/group/client.h"

#define CLIENTS 6

static struct client clients[CLIENTS];
static bool alive[CLIENTS];
static int born;

static void check_owners(unsigned seed)
{
    for (int i = 0; i < CLIENTS; i++)
        for (int k = i + 1; k < CLIENTS; k++)
            if (tp_set_meet(&clients[i].owned, &clients[k].owned))
                fail_msg("seed %u: %s and %s own the same", seed, clients[i].id, clients[k].id);
}

static void change_subscription(struct client *m)
{
    static char names[TOPICS_MAX][16];
    static const char *const patterns[] = {"t[0-2]", "t.*", "t(1|3|5)"};
    m->name_count = 0;
    m->regex = rand() % 3 == 0 ? patterns[rand() % 3] : "";
    for (int i = 0; i < TOPICS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        if (rand() % 2 == 0)
            m->names[m->name_count++] = text(names[i]);
    }
}

static void be_born(int i)
{
    clients[i] = client_of("", NULL, NULL);
    snprintf(clients[i].id, sizeof clients[i].id, "m%d", born++);
    clients[i].assignor = rand() % 3 == 0 ? "range" : NULL;
    change_subscription(&clients[i]);
    alive[i] = true;
}

static void ask(struct client *m, bool full, bool lost, unsigned seed)
{
    int32_t before = m->epoch;
    struct consumer_heartbeat q = question_of(m, full || m->error != 0);
    send(m, &q, lost);
    if (lost) { /* like a client after a time-out: all is said again next time */
        m->error = -1;
        return;
    }
    if (m->error == GROUP_FENCED_EPOCH || m->error == GROUP_UNKNOWN_MEMBER) {
        forget(m); /* gives up all, and comes anew */
        m->epoch = 0;
        return;
    }
    assert_int_equal(m->error, 0);
    if (m->epoch < before)
        fail_msg("seed %u: the epoch went back", seed);
}

static void step(unsigned seed)
{
    int i = rand() % CLIENTS, what = rand() % 100;
    struct client *m = &clients[i];
    if (rand() % 60 == 0)
        restart();
    if (what < 4) {
        set_topic(rand() % TOPICS_MAX, 0);
    } else if (what < 8) {
        int t = rand() % TOPICS_MAX;
        set_topic(t, topics[t].partitions + 1 + rand() % 4);
    } else if (!alive[i]) {
        be_born(i);
    } else if (what < 12 && m->epoch > 0) {
        forget(m); /* before it says that it goes, as clients do */
        assert_int_equal(leave(m, CONSUMER_LEAVE), 0);
        alive[i] = false;
    } else if (what < 17) {
        change_subscription(m);
        ask(m, true, false, seed);
    } else if (what < 25) {
        ask(m, rand() % 2 == 0, true, seed);
    } else if (what < 70) {
        ask(m, rand() % 4 == 0, false, seed);
    } else if (what < 85) {
        revoke(m);
    } else if (m->error == 0) {
        take(m);
    }
    check_owners(seed);
}

/* Everybody beats and does as it is told; then all that anybody wants is somebody's. */
static void settle(unsigned seed)
{
    for (int round = 0; round < 40; round++)
        for (int i = 0; i < CLIENTS; i++)
            if (alive[i]) {
                ask(&clients[i], false, false, seed);
                revoke(&clients[i]);
                ask(&clients[i], false, false, seed);
                take(&clients[i]);
                check_owners(seed);
            }
    const char *word = state_now();
    if (strcmp(word, "Stable") != 0 && strcmp(word, "Empty") != 0 && strcmp(word, "none") != 0)
        fail_msg("seed %u: %s in the end", seed, word);
    int32_t owned = 0, wanted = 0;
    bool wants[TOPICS_MAX] = {false};
    for (int i = 0; i < CLIENTS; i++) {
        owned += alive[i] ? clients[i].owned.n : 0;
        for (int t = 0; alive[i] && t < TOPICS_MAX; t++) {
            bool matched = strcmp(clients[i].regex, "t.*") == 0 ||
                           (strcmp(clients[i].regex, "t[0-2]") == 0 && t < 3) ||
                           (strcmp(clients[i].regex, "t(1|3|5)") == 0 && t % 2 == 1);
            for (int k = 0; k < clients[i].name_count; k++)
                matched = matched || clients[i].names[k].p[1] == '0' + t;
            wants[t] = wants[t] || matched;
        }
    }
    for (int t = 0; t < TOPICS_MAX; t++)
        wanted += wants[t] ? topics[t].partitions : 0;
    if (owned != wanted)
        fail_msg("seed %u: %d of %d are owned in the end", seed, owned, wanted);
}

static void test_random_schedules(void **state)
{
    for (unsigned seed = 1; seed <= 150; seed++) {
        srand(seed);
        memset(clients, 0, sizeof clients);
        memset(alive, 0, sizeof alive);
        for (int i = 0; i < 300; i++)
            step(seed);
        settle(seed);
        for (int i = 0; i < CLIENTS; i++)
            forget(&clients[i]);
        tear_down(state);
        set_up(state);
    }
    no_view();
}

/* No memory at any one place: an error, and everything goes on. */
static void test_no_memory(void **state)
{
    uint64_t met = 0;
    for (uint64_t nth = 1; met + 1 == nth; nth++) {
        options.store = (struct group_store){.write = NULL}; /* the store of tests cannot be without memory */
        restart();
        struct client a = client_of("a", "t0", NULL), b = client_of("b", NULL, NULL);
        set_topic(0, 3);
        turn(&a);
        b.regex = "t.*";
        fault_arm(FAULT_ALLOC, nth, ENOMEM, false);
        for (int i = 0; i < 2; i++) {
            struct consumer_heartbeat q = question_of(&b, true);
            send(&b, &q, true);
            q = question_of(&a, true);
            send(&a, &q, true);
        }
        met += fault_passes(FAULT_ALLOC) >= nth;
        fault_disarm();
        for (int i = 0; i < 6; i++) {
            assert_int_equal(beat_full(&a), 0);
            take(&a);
            turn(&b);
        }
        assert_int_equal(a.owned.n + b.owned.n, 3);
        assert_false(tp_set_meet(&a.owned, &b.owned));
        assert_string_equal(state_now(), "Stable");
        no_view();
        forget(&a);
        forget(&b);
        tear_down(state);
        set_up(state);
    }
    assert_true(met > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(test_random_schedules),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
