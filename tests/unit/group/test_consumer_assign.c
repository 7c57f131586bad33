/*
 * The assignors, regular expressions and sets of consumer groups, by themselves.
 */
#include "base/mem.h"
#include "group/consumer_assign.h"
#include "group/consumer_regex.h"
#include "tests/lib/testkit.h"

#define MEMBERS_MAX 20
#define TOPICS_MAX 8

/* ---- a group to be assigned ---- */

static struct assign_topic topics[TOPICS_MAX];
static struct assign_member members[MEMBERS_MAX];
static struct tp_set before[MEMBERS_MAX];
static char ids[MEMBERS_MAX][16];
static int32_t wishes[MEMBERS_MAX][TOPICS_MAX];
static struct assign work;

static void begin(int32_t topic_count, const int32_t *partitions, int32_t member_count)
{
    memset(topics, 0, sizeof topics);
    memset(members, 0, sizeof members);
    memset(before, 0, sizeof before);
    for (int32_t t = 0; t < topic_count; t++)
        topics[t] = (struct assign_topic){{{(uint8_t)(t + 1)}}, partitions[t]};
    for (int32_t m = 0; m < member_count; m++) {
        snprintf(ids[m], sizeof ids[m], "m%02d", m);
        members[m] = (struct assign_member){.id = ids[m], .topics = wishes[m], .before = &before[m]};
    }
    work = (struct assign){topics, topic_count, members, member_count};
}

static void wish(int32_t m, int32_t t)
{
    wishes[m][members[m].topic_count++] = t;
}

static void wish_all(void)
{
    for (int32_t m = 0; m < work.member_count; m++)
        for (int32_t t = 0; t < work.topic_count; t++)
            wish(m, t);
}

static bool wishes_for(int32_t m, int32_t t)
{
    for (int32_t i = 0; i < members[m].topic_count; i++)
        if (members[m].topics[i] == t)
            return true;
    return false;
}

/* The result is what is assigned from now on. */
static void accept(void)
{
    for (int32_t m = 0; m < MEMBERS_MAX; m++) {
        tp_set_free(&before[m]);
        before[m] = members[m].after;
        members[m].after = (struct tp_set){NULL, 0};
    }
}

static void end(void)
{
    accept();
    for (int32_t m = 0; m < MEMBERS_MAX; m++)
        tp_set_free(&before[m]);
}

/* "t:p t:p" in order. */
static const char *result(int32_t m)
{
    static char text[512];
    size_t n = 0;
    text[0] = '\0';
    for (int32_t i = 0; i < members[m].after.n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%d:%d", i > 0 ? " " : "",
                              members[m].after.list[i].topic.b[0] - 1, members[m].after.list[i].partition);
    return text;
}

/* Every partition that somebody wants has exactly one owner, who wants it. */
static void check_whole(void)
{
    for (int32_t t = 0; t < work.topic_count; t++)
        for (int32_t p = 0; p < topics[t].partitions; p++) {
            int owners = 0, wanted = 0;
            for (int32_t m = 0; m < work.member_count; m++) {
                struct tp key = {topics[t].id, p, 0};
                bool has = tp_set_has(&members[m].after, &key);
                assert_true(!has || wishes_for(m, t));
                owners += has;
                wanted += wishes_for(m, t);
            }
            assert_int_equal(owners, wanted > 0);
        }
}

static void size_range(int32_t *least, int32_t *most)
{
    *least = INT32_MAX;
    *most = 0;
    for (int32_t m = 0; m < work.member_count; m++) {
        *least = members[m].after.n < *least ? members[m].after.n : *least;
        *most = members[m].after.n > *most ? members[m].after.n : *most;
    }
}

static int32_t kept(void)
{
    int32_t n = 0;
    for (int32_t m = 0; m < work.member_count; m++)
        for (int32_t i = 0; i < before[m].n; i++)
            n += tp_set_has(&members[m].after, &before[m].list[i]);
    return n;
}

/* ---- tests ---- */

static void test_range(void **state)
{
    (void)state;
    begin(2, (const int32_t[]){3, 3}, 2); /* Kafka's own example */
    wish_all();
    assert_true(assign_range(&work));
    assert_string_equal(result(0), "0:0 0:1 1:0 1:1");
    assert_string_equal(result(1), "0:2 1:2");
    end();
    begin(1, (const int32_t[]){3}, 4); /* more members than partitions */
    wish_all();
    assert_true(assign_range(&work));
    assert_string_equal(result(2), "0:2");
    assert_string_equal(result(3), "");
    end();
    begin(3, (const int32_t[]){3, 3, 2}, 3); /* not all want the same */
    wish(0, 0);
    wish(0, 1);
    wish(1, 2);
    wish(2, 1);
    wish(2, 2);
    assert_true(assign_range(&work));
    assert_string_equal(result(0), "0:0 0:1 0:2 1:0 1:1");
    assert_string_equal(result(1), "2:0");
    assert_string_equal(result(2), "1:2 2:1");
    end();
    begin(1, (const int32_t[]){3}, 3); /* static ones first, by instance */
    wish_all();
    members[1].instance = "b";
    members[2].instance = "a";
    assert_true(assign_range(&work));
    assert_string_equal(result(2), "0:0");
    assert_string_equal(result(1), "0:1");
    assert_string_equal(result(0), "0:2");
    end();
}

static void test_uniform(void **state)
{
    (void)state;
    begin(2, (const int32_t[]){3, 3}, 2);
    wish_all();
    assert_true(assign_uniform(&work));
    assert_string_equal(result(0), "0:0 0:1 0:2");
    assert_string_equal(result(1), "1:0 1:1 1:2");
    accept();
    work.member_count = 3; /* a third one comes: one partition of each goes */
    snprintf(ids[2], sizeof ids[2], "m02");
    members[2] = (struct assign_member){.id = ids[2], .topics = wishes[2], .before = &before[2]};
    wish(2, 0);
    wish(2, 1);
    assert_true(assign_uniform(&work));
    assert_string_equal(result(0), "0:0 0:1");
    assert_string_equal(result(1), "1:0 1:1");
    assert_string_equal(result(2), "0:2 1:2");
    accept();
    topics[0].partitions = 5; /* and partitions: nothing moves */
    assert_true(assign_uniform(&work));
    assert_int_equal(kept(), 6);
    check_whole();
    accept();
    topics[1].partitions = 1; /* a topic made anew, smaller */
    assert_true(assign_uniform(&work));
    check_whole();
    end();
    begin(1, (const int32_t[]){2}, 1); /* what a log may say that is not as it should be */
    wish_all();
    struct tp odd[] = {{topics[0].id, -1, 0}, {topics[0].id, INT32_MAX, 0}, {{{9}}, 0, 0}};
    before[0] = (struct tp_set){mem_dup(odd, sizeof odd), 3};
    assert_true(assign_uniform(&work));
    assert_string_equal(result(0), "0:0 0:1");
    end();
    begin(0, NULL, 2);
    assert_true(assign_uniform(&work));
    assert_int_equal(members[0].after.n, 0);
    end();
    work.member_count = 0;
    assert_true(assign_uniform(&work));
    assert_true(assign_range(&work));
}

/* Random groups that change: whole, even, and nothing moves that need not. */
static void test_random_groups(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        srand(seed);
        int32_t partitions[TOPICS_MAX], topic_count = 1 + rand() % TOPICS_MAX,
                                        member_count = 1 + rand() % MEMBERS_MAX, total = 0;
        bool same = seed % 2 == 0;
        for (int32_t t = 0; t < topic_count; t++)
            total += partitions[t] = 1 + rand() % 12;
        begin(topic_count, partitions, member_count);
        for (int32_t m = 0; m < member_count; m++)
            for (int32_t t = 0; t < topic_count; t++)
                if (same || rand() % 2 == 0)
                    wish(m, t);
        for (int round = 0; round < 4; round++) {
            int32_t least, most, had = 0;
            assert_true(assign_uniform(&work));
            check_whole();
            size_range(&least, &most);
            if (same)
                assert_true(most - least <= 1);
            if (same && round > 0) { /* who lost one had more than it may */
                int32_t quota = total / work.member_count;
                for (int32_t m = 0; m < work.member_count; m++)
                    assert_true(before[m].n > quota || tp_set_within(&before[m], &members[m].after));
            }
            accept();
            assert_true(assign_uniform(&work)); /* again: nothing moves */
            had = 0;
            for (int32_t m = 0; m < work.member_count; m++)
                had += before[m].n;
            assert_int_equal(kept(), had);
            accept();
            if (work.member_count > 1) { /* the last one leaves */
                work.member_count--;
                tp_set_free(&before[work.member_count]);
            }
        }
        assert_true(assign_range(&work));
        check_whole();
        end();
    }
}

static void no_memory_once(void *arg)
{
    (void)arg;
    begin(3, (const int32_t[]){4, 5, 6}, 3);
    wish_all();
    members[2].topic_count = 1;
    bool made = assign_uniform(&work);
    for (int32_t m = 0; m < 3; m++)
        assert_true(made || members[m].after.list == NULL);
    end();
    begin(3, (const int32_t[]){4, 5, 6}, 3);
    wish_all();
    if (assign_range(&work))
        check_whole();
    end();
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, 0, no_memory_once, NULL) > 5);
}

static bool matches(const char *pattern, const char *name)
{
    struct err e;
    struct topic_regex *r = topic_regex_new(pattern, &e);
    assert_ok(r != NULL ? ERR_OK : e.code, &e);
    bool is = topic_regex_matches(r, name);
    topic_regex_free(r);
    return is;
}

static void test_regular_expressions(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "(",
        "[a",
        "a**",
        "*a",
        "(?=a)b",
        "(?!a)b",
        "(?<=a)b",
        "(?<!a)b",
        "(?>a)",
        "a++",
        "(a)\\1",
        "\\k<x>",
        "a{1001}",
        "(?(1)a)",
        "(?R)",
        "(*FAIL)",
        "a\\",
        "[\\i]",
        "\\Ka",
        "(?P=n)",
        "(?P>n)",
        "a{2}+",
        "((ab{1000}){1000}c){1000}",
        "(?#c)",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct err e;
        struct topic_regex *r = topic_regex_new(refused[i], &e);
        if (r != NULL)
            fail_msg("%s was taken", refused[i]);
        assert_int_equal(e.code, ERR_INVALID);
    }
    assert_true(matches("foo.*", "foobar"));
    assert_false(matches("foo", "foobar")); /* the whole name */
    assert_false(matches("oo.*", "foobar"));
    assert_true(matches("a|b.*", "bcd"));
    assert_true(matches("^t-[0-9]{1,3}$", "t-12"));
    assert_true(matches("(?i)ABC", "abc"));
    assert_true(matches("(?:a|b)+?(?P<n>c)(?<m>d)", "abcd"));
    assert_true(matches("[[:alpha:]_]+\\.\\w+", "db.table_1"));
    assert_true(matches("\\Qa.b\\E.*", "a.bc"));
    assert_false(matches("\\Qa.b\\E.*", "axbc"));
    assert_true(matches("x{,2}", "x{,2}")); /* no repetition */
    assert_true(matches("[]+]+", "]+"));
}

/* A pattern that makes others go back for ever: the answer is there at once, and right. */
static void test_a_pattern_that_explodes(void **state)
{
    (void)state;
    char name[250];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_true(matches("(a+)+", name));
    assert_true(matches("(a|aa)+", name));
    assert_true(matches("(.*a){11,}", name));
    name[sizeof name - 2] = 'b';
    assert_false(matches("(a+)+", name));
    assert_false(matches("(a|aa)+", name));
    assert_false(matches("(a|a|a|a|a|a)*", name));
    assert_true(matches("(a+)+b", name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_random_groups),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_regular_expressions),
        cmocka_unit_test(test_a_pattern_that_explodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
