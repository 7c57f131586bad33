/*
 * What changes between two configurations, and which ones are equal; paths that make loops.
 */
#include "base/mem.h"
#include "config/internal.h"
#include "tests/lib/testkit.h"
#include "tests/unit/config/catalog.h"

static struct config *parse(const char *text)
{
    struct config *c;
    struct problems p;
    struct err e;
    problems_init(&p);
    int rc = config_parse(text, strlen(text), "f", &catalog, &c, &p, &e);
    if (p.count)
        fail_msg("%d:%d: %s", p.items[0].line, p.items[0].column, p.items[0].text);
    assert_ok(rc, &e);
    return c;
}

static char *plan(const struct config *from, const struct config *to)
{
    struct buf out;
    struct err e;
    buf_init(&out, 1 << 16);
    assert_ok(config_plan(from, to, &out, &e), &e);
    assert_ok(buf_u8(&out, 0, &e), &e);
    return (char *)out.data;
}

static const char before[] =
    "hub: {log.level: info}\n"
    "pipelines:\n"
    "  - name: gone\n"
    "    topics: x\n"
    "    sinks: [{type: 'null'}]\n"
    "  - name: web\n"
    "    source: {type: tail, paths: [/a, /b], poll.interval: 1s}\n"
    "    topic: {name: t, partitions: 2, config: {retention.ms: 1d, segment.bytes: 1GiB}}\n"
    "    sinks:\n"
    "      - {type: dir, directory: /o, flush.size: 100, password: old}\n"
    "      - {name: dropped, type: dir, directory: /p}\n"
    "      - {name: turned, type: dir, directory: /q, tasks.max: 2}\n";
static const char after[] = "hub: {log.level: debug, http.listen: \":8083\"}\n"
                            "pipelines:\n"
                            "  - name: web\n"
                            "    source: {type: tail, paths: [/a], poll.interval: 1000, tasks.max: 3}\n"
                            "    topic: {name: t, partitions: 4, config: {retention.ms: 2d, flush.ms: 5s}}\n"
                            "    topics: u\n"
                            "    compression: lz4\n"
                            "    sinks:\n"
                            "      - {type: dir, directory: /o, flush.size: 200, password: new, retries: 5}\n"
                            "      - {name: turned, type: 'null', tasks.max: 1}\n"
                            "      - {name: more, type: 'null'}\n"
                            "  - name: added\n"
                            "    source: {type: tail, paths: /c}\n"
                            "    sinks: [{type: 'null'}, {name: b, type: dir, directory: /z}]\n";

static void test_plan(void **state)
{
    (void)state;
    struct config *a = parse(before), *b = parse(after);
    char *text = plan(a, b);
    assert_string_equal(text, "~ hub (from the next start on): http.listen: (none) -> :8083\n"
                              "~ hub (from the next start on): log.level: info -> debug\n"
                              "+ pipeline added: source tail -> topic added -> sinks null (null), b (dir)\n"
                              "- pipeline gone\n"
                              "~ pipeline web: source: tasks.max: 1 -> 3\n"
                              "~ pipeline web: source: paths: [/a, /b] -> [/a]\n"
                              "~ pipeline web: topics: t -> t, u\n"
                              "~ pipeline web: topic t: partitions: 2 -> 4\n"
                              "~ pipeline web: topic t: retention.ms: 86400000 -> 172800000\n"
                              "~ pipeline web: topic t: flush.ms: (default) -> 5000\n"
                              "~ pipeline web: topic t: segment.bytes: 1073741824 -> (default)\n"
                              "~ pipeline web: compression: none -> lz4\n"
                              "~ pipeline web: sink dir: retries: -1 -> 5\n"
                              "~ pipeline web: sink dir: flush.size: 100 -> 200\n"
                              "~ pipeline web: sink dir: password: *** -> ***\n"
                              "- pipeline web: sink dropped (dir)\n"
                              "~ pipeline web: sink turned: type: dir -> null\n"
                              "~ pipeline web: sink turned: tasks.max: 2 -> 1\n"
                              "+ pipeline web: sink more (null)\n");
    mem_free(text);
    text = plan(a, a);
    assert_string_equal(text, "");
    mem_free(text);
    text = plan(NULL, b);
    assert_string_equal(
        text, "+ pipeline added: source tail -> topic added -> sinks null (null), b (dir)\n"
              "+ pipeline web: source tail -> topics t, u -> sinks dir (dir), turned (null), more (null)\n");
    mem_free(text);
    config_free(a);
    config_free(b);
}

/* A text that is longer than it may be keeps nobody from making the change. */
static void test_cut(void **state)
{
    (void)state;
    struct config *a = parse(before), *b = parse(after);
    char *whole = plan(a, b);
    for (size_t max = 10; max < 200; max++) {
        struct buf out;
        struct err e;
        buf_init(&out, max);
        assert_ok(buf_str(&out, "first\n", &e), &e);
        assert_ok(config_plan(a, b, &out, &e), &e);
        assert_true(out.len >= 10 && out.len <= max);
        assert_memory_equal(out.data + out.len - 5, "\n...\n", 5);
        assert_memory_equal(out.data + 6, whole, out.len - 10);
        buf_free(&out);
    }
    mem_free(whole);
    config_free(a);
    config_free(b);
}

static void test_keys_with_variable_parts(void **state)
{
    (void)state;
    struct config *a = parse("pipelines: [{name: p, source: {type: tail, paths: x, limit.d: 4, limit.a: 1, "
                             "limit.b: 2, mask.with.5.chars: [u, v]}}]\n");
    struct config *b = parse("pipelines: [{name: p, source: {type: tail, paths: x, limit.b: 3, limit.c: 3, "
                             "limit.d: 4, mask.with.5.chars: 'u, v', mask.with.6.chars: w}}]\n");
    char *text = plan(a, b);
    assert_string_equal(text, "~ pipeline p: source: limit.a: 1 -> (none)\n"
                              "~ pipeline p: source: limit.b: 2 -> 3\n"
                              "~ pipeline p: source: limit.c: (none) -> 3\n"
                              "~ pipeline p: source: mask.with.6.chars: (none) -> [w]\n");
    mem_free(text);
    assert_false(connector_config_equal(a->pipelines[0]->source, b->pipelines[0]->source));
    config_free(b);
    b = parse("pipelines: [{name: p, source: {type: tail, mask.with.5.chars: [u, v], limit.b: 2, "
              "limit.a: 1, limit.d: 4, paths: x}}]\n");
    assert_true(connector_config_equal(a->pipelines[0]->source, b->pipelines[0]->source));
    text = plan(a, b);
    assert_string_equal(text, "");
    mem_free(text);
    config_free(a);
    config_free(b);
}

static void test_expressions_and_creation(void **state)
{
    (void)state;
    static const char form[] =
        "pipelines: [{name: p, topics.regex: '%s', source: {type: db, topic.creation.groups: g, "
        "topic.creation.g.include: a, topic.creation.g.retention.ms: %s}, "
        "sinks: [{type: 'null'}]}]\n";
    char text[400];
    snprintf(text, sizeof(text), form, "x.*", "1h");
    struct config *a = parse(text);
    snprintf(text, sizeof(text), form, "y.*", "2h");
    struct config *b = parse(text);
    char *changes = plan(a, b);
    assert_string_equal(changes, "~ pipeline p: source: topic.creation.g.retention.ms: 1h -> 2h\n"
                                 "~ pipeline p: topics.regex: x.* -> y.*\n");
    mem_free(changes);
    changes = plan(NULL, a);
    assert_string_equal(changes, "+ pipeline p: source db -> topic p, x.* -> sink null (null)\n");
    mem_free(changes);
    assert_true(pipeline_config_equal(a->pipelines[0], a->pipelines[0]));
    assert_false(pipeline_config_equal(a->pipelines[0], b->pipelines[0]));
    assert_false(connector_config_equal(a->pipelines[0]->source, b->pipelines[0]->source));
    config_free(b);
    snprintf(text, sizeof(text), form, "x.*", "1h");
    b = parse(text);
    assert_true(pipeline_config_equal(a->pipelines[0], b->pipelines[0]));
    config_free(a);
    config_free(b);
}

/* What was said of a topic that the pipeline has no more is said of that one. */
static void test_only_an_expression_is_left(void **state)
{
    (void)state;
    struct config *a = parse("pipelines: [{name: p, topic: {name: t, partitions: 3, config: {flush.ms: 1}}, "
                             "sinks: [{type: 'null'}]}]\n");
    struct config *b = parse("pipelines: [{name: p, topics.regex: 't.*', sinks: [{type: 'null'}]}]\n");
    char *text = plan(a, b);
    assert_string_equal(text, "~ pipeline p: topics: t -> \n"
                              "~ pipeline p: topics.regex: (none) -> t.*\n"
                              "~ pipeline p: topic t: partitions: 3 -> (none)\n"
                              "~ pipeline p: topic t: flush.ms: 1 -> (default)\n");
    mem_free(text);
    config_free(a);
    config_free(b);
}

static void test_source_comes_and_goes(void **state)
{
    (void)state;
    struct config *a = parse("pipelines: [{name: p, topic: t, sinks: [{type: 'null'}]}]\n");
    struct config *b =
        parse("pipelines: [{name: p, topic: t, source: {type: tail, paths: x}, sinks: [{type: 'null'}]}]\n");
    char *text = plan(a, b);
    assert_string_equal(text, "+ pipeline p: source (tail)\n");
    mem_free(text);
    text = plan(b, a);
    assert_string_equal(text, "- pipeline p: source (tail)\n");
    mem_free(text);
    config_free(a);
    config_free(b);
}

#define SINK(options) "pipelines: [{name: p, topic: t, sinks: [{type: dir, directory: /o" options "}]}]\n"
#define PIPE(more) "pipelines: [{name: p, source: {type: tail, paths: /x}" more "}]\n"

static void test_equal(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {SINK(""), SINK(", name: dir, flush.size: 1000, tasks.max: 1"), true},
        {SINK(""), SINK(", value.converter: org.apache.kafka.connect.storage.StringConverter"), true},
        {SINK(""), SINK(", value.converter: json"), false},
        {SINK(""), SINK(", key.converter: bytes"), false},
        {SINK(""), SINK(", name: other"), false},
        {SINK(""), SINK(", tasks.max: 2"), false},
        {SINK(""), SINK(", paused: true"), false},
        {SINK(""), SINK(", retries: 1"), false},
        {SINK(""), SINK(", retry.backoff.ms: 2s"), false},
        {SINK(""), SINK(", retry.backoff.max.ms: 2m"), false},
        {SINK(", password: a"), SINK(", password: b"), false},
        {PIPE(""), PIPE(", topic: {name: p}, compression: none"), true},
        {PIPE(""), PIPE(", topic: {partitions: 1}"), false}, /* else the hub's num.partitions */
        {PIPE(""), PIPE(", topic: q"), false},
        {PIPE(""), PIPE(", topic: {partitions: 2}"), false},
        {PIPE(""), PIPE(", topics: [more]"), false},
        {PIPE(""), PIPE(", compression: gzip"), false},
        {PIPE(", sinks: [{type: 'null'}, {type: dir, directory: /o}]"),
         PIPE(", sinks: [{type: dir, directory: /o}, {type: 'null'}]"), true},
        {PIPE(""), PIPE(", sinks: [{type: 'null'}]"), false},
        {PIPE(""), PIPE(", topic: {config: {flush.ms: 1}}"), false},
        {PIPE(", topic: {config: {flush.ms: 1, segment.ms: 2}}"),
         PIPE(", topic: {config: {segment.ms: 2, flush.ms: 1}}"), true},
        {PIPE(", topic: {config: {flush.ms: 1}}"), PIPE(", topic: {config: {flush.ms: 2}}"), false},
        {"pipelines: [{name: p, topic: t, sinks: [{type: dir, directory: /o}]}]\n",
         "pipelines: [{name: p, topic: t, source: {type: tail, paths: x}, sinks: [{type: dir, directory: "
         "/o}]}]\n",
         false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct config *a = parse(cases[i].a), *b = parse(cases[i].b);
        if (pipeline_config_equal(a->pipelines[0], b->pipelines[0]) != cases[i].equal)
            fail_msg("case %zu", i);
        char *text = plan(a, b); /* must say something exactly when they differ */
        if ((*text == '\0') != cases[i].equal)
            fail_msg("case %zu: %s", i, text);
        mem_free(text);
        config_free(a);
        config_free(b);
    }
}

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *written;
        bool file, overlaps;
    } cases[] = {
        {"/out/*.log", "/out", false, true},
        {"/out/*.log", "/out/", false, true},
        {"/out/*.log", "/other", false, false},
        {"/out/*.log", "/out/deeper", false, false},
        {"/out/*", "/out/deeper", false, false},
        {"/out/*/x", "/out/deeper", false, true},
        {"/out/**", "/out/a/b/c", false, true},
        {"/**/c/*", "/out/a/b/c", false, true},
        {"/**/d/*", "/out/a/b/c", false, true}, /* below c there may be a d */
        {"/var/*/*.log", "/var/log", false, true},
        {"/var/[a-k]*/*.log", "/var/log", false, false},
        {"/out", "/out", false, true},
        {"/out/a.log", "/out", false, true},
        {"/outer/a.log", "/out", false, false},
        {"/out/../in/*", "/in", false, true},
        {"/./out//*", "/out", false, true},
        {"out/*", "./out", false, true},
        {"out/*", "/out", false, false},
        {"/data/x/*", "/data/${topic}", false, true},
        {"/data/x/*", "/data/%Y/b", false, false},
        {"/log/*.log", "/log/a.log", true, true},
        {"/log/*.log", "/log/a.txt", true, false},
        {"/log/a.log", "/log/a.log", true, true},
        {"/log/a.log/x", "/log/a.log", true, false},
        {"/*", "/", false, true},
        {"/a", "/a/b", true, false},
    };
    struct walk w;
    walk_init(&w, NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err e;
        const struct path *pattern = path_parse(&w, cases[i].pattern, &e);
        const struct path *written = path_parse(&w, cases[i].written, &e);
        assert_true(pattern && written);
        if (path_overlaps(pattern, written, cases[i].file) != cases[i].overlaps)
            fail_msg("%s and %s", cases[i].pattern, cases[i].written);
    }
    walk_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_keys_with_variable_parts),
        cmocka_unit_test(test_expressions_and_creation),
        cmocka_unit_test(test_only_an_expression_is_left),
        cmocka_unit_test(test_source_comes_and_goes),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
