/*
 * Files and directories, secrets, limits, aliases, and memory that runs out.
 */
#include "base/io.h"
#include "base/mem.h"
#include "config/internal.h"
#include "tests/lib/testkit.h"
#include "tests/unit/config/catalog.h"

static char *dir;

static int set_up(void **state)
{
    (void)state;
    dir = testkit_dir();
    return dir ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    testkit_remove_dir(dir);
    return 0;
}

static void write_file(const char *name, const void *text, size_t n)
{
    struct err e;
    char *path = mem_printf("%s/%s", dir, name);
    assert_ok(io_replace_file(path, text, n, 0600, &e), &e);
    mem_free(path);
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

/* Loads the directory or a file of it; the problems' lines with the directory's name as D. */
static struct config *load(const char *name, char *problems, size_t size)
{
    struct config *c;
    struct problems p;
    struct err e;
    char *path = mem_printf("%s%s%s", dir, *name ? "/" : "", name);
    problems_init(&p);
    int rc = config_load(path, &catalog, &c, &p, &e);
    size_t used = 0;
    problems[0] = '\0';
    if (rc && rc != ERR_INVALID_CONFIG)
        used += (size_t)snprintf(problems, size, "%s\n", err_name(rc));
    for (size_t i = 0; i < p.count; i++) {
        const char *file = p.items[i].file;
        const char *at = strstr(p.items[i].text, dir); /* other places are named in texts */
        const char *rest = at ? at + strlen(dir) : "";
        used += (size_t)snprintf(problems + used, size - used, "D%s:%d:%d: %.*s%s%s\n", file + strlen(dir),
                                 p.items[i].line, p.items[i].column,
                                 at ? (int)(at - p.items[i].text) : (int)strlen(p.items[i].text),
                                 p.items[i].text, at ? "D" : "", rest);
    }
    problems_free(&p);
    mem_free(path);
    return rc ? NULL : c;
}

#define A_PIPELINE(name)                                                                                     \
    "pipelines:\n  - name: " name "\n    topics: x\n    sinks: [{type: dir, directory: /o}]\n"

static void test_directory(void **state)
{
    (void)state;
    char problems[4096];
    write_text("b.yaml", A_PIPELINE("two"));
    write_text("a.yml", A_PIPELINE("one") "hub: {log.level: warn}\n");
    write_text(".hidden.yaml", "wrong");
    write_text("c.yaml~", "wrong");
    write_text("c.json", "wrong");
    struct config *c = load("", problems, sizeof(problems));
    assert_string_equal(problems, "");
    assert_non_null(c);
    assert_int_equal(c->pipeline_count, 2);
    assert_string_equal(c->pipelines[0]->name, "one");
    assert_string_equal(c->pipelines[1]->name, "two");
    assert_string_equal(c->hub.log_level, "warn");
    assert_string_equal(c->pipelines[1]->file + strlen(dir), "/b.yaml");
    config_free(c);
    c = load("b.yaml", problems, sizeof(problems));
    assert_non_null(c);
    assert_int_equal(c->pipeline_count, 1);
    config_free(c);

    write_text("c.yaml", "hub:\n  log.level: info\n" A_PIPELINE("one"));
    write_text("d.yaml", "- broken\n");
    assert_null(load("", problems, sizeof(problems)));
    assert_string_equal(problems,
                        "D/c.yaml:1:1: a second hub section; the first is at D/a.yml:5\n"
                        "D/c.yaml:4:11: pipeline \"one\": a second pipeline of this name; the first is at "
                        "D/a.yml:2\n"
                        "D/d.yaml:1:1: a mapping (key: value) is expected, not a list\n");
}

static void test_no_files(void **state)
{
    (void)state;
    char problems[512];
    assert_null(load("", problems, sizeof(problems)));
    assert_string_equal(problems, "D:0:0: the directory has no *.yaml and no *.yml file\n");
    assert_null(load("nothing.yaml", problems, sizeof(problems)));
    assert_string_equal(problems, "NOT_FOUND\n");
}

static void test_hub_only(void **state)
{
    (void)state;
    struct hub_config h;
    struct problems p;
    struct err e;
    write_text("f.yaml", "hub: {data.dir: /d}\npipelines: [{source: {type: unknown}}, 7]\nother: 1\n");
    char *path = mem_printf("%s/f.yaml", dir);
    problems_init(&p);
    assert_ok(config_load_hub(path, &h, &p, &e), &e);
    assert_string_equal(h.data_dir, "/d");
    assert_string_equal(h.log_level, "info");
    hub_config_free(&h);
    write_text("f.yaml", "hub: {data.dirr: /d}\n");
    assert_code(config_load_hub(path, &h, &p, &e), ERR_INVALID_CONFIG, &e);
    assert_int_equal(p.count, 1);
    assert_string_equal(p.items[0].text, "hub: unknown key \"data.dirr\"; did you mean \"data.dir\"?");
    hub_config_free(&h);
    problems_free(&p);
    mem_free(path);
}

static int check_example(void *arg, const char *name, struct err *e)
{
    struct hub_config h;
    struct problems p;
    char *path = mem_printf("config/examples/%s", name);
    problems_init(&p);
    int rc = config_load_hub(path, &h, &p, e);
    if (p.count)
        fail_msg("%s:%d:%d: %s", p.items[0].file, p.items[0].line, p.items[0].column, p.items[0].text);
    hub_config_free(&h);
    problems_free(&p);
    mem_free(path);
    *(int *)arg += 1;
    return rc;
}

/* The examples of the repository are YAML with a right hub section; `leat validate` looks at their connectors. */
static void test_examples(void **state)
{
    (void)state;
    struct err e;
    int n = 0;
    assert_ok(io_list("config/examples", check_example, &n, &e), &e);
    assert_true(n > 0);
}

/* ---- secrets ---------------------------------------------------------------------------------------------------- */

/* The text with its @, if there is one, standing for the directory; filled in, or ! and the reason. */
static char *filled(const char *text)
{
    const char *here = strchr(text, '@');
    char *raw = here ? mem_printf("%.*s%s%s", (int)(here - text), text, dir, here + 1) : mem_strdup(text);
    char *out, why[CONFIG_WHY_MAX];
    bool any, ok;
    struct err e;
    assert_ok(placeholder_fill(raw, &out, &any, &ok, why, &e), &e);
    if (!ok) {
        const char *at = strstr(why, dir);
        out = at ? mem_printf("!%.*sD%s", (int)(at - why), why, at + strlen(dir)) : mem_printf("!%s", why);
    }
    mem_free(raw);
    return out;
}

static void test_placeholders(void **state)
{
    (void)state;
    setenv("LEAT_TEST_SECRET", "hunter2", 1);
    setenv("LEAT_TEST_EMPTY", "", 1);
    setenv("LEAT_TEST_NESTED", "${env:LEAT_TEST_SECRET}", 1);
    setenv("LEAT_TEST_LATIN", "\xe9", 1);
    write_text("whole", "line one\nline two\n");
    write_text("crlf", "x\r\n");
    write_file("nul", "a\0b", 3);
    write_text(
        "p.properties",
        "# comment\n! too\n\nuser = bob\npass\\ word:a\\\n   b\\u00e9\\tc\n  last\nuser=eve\nempty=\n");
    static const struct {
        const char *text, *out;
    } cases[] = {
        {"plain $ {x} $$", "plain $ {x} $$"},
        {"${env:LEAT_TEST_SECRET}", "hunter2"},
        {"a${env:LEAT_TEST_SECRET}b${env:LEAT_TEST_EMPTY}c", "ahunter2bc"},
        {"${env:LEAT_TEST_NESTED}", "${env:LEAT_TEST_SECRET}"},
        {"$${env:LEAT_TEST_SECRET}", "${env:LEAT_TEST_SECRET}"},
        {"$$${env:LEAT_TEST_SECRET}", "$${env:LEAT_TEST_SECRET}"},
        {"${topic}/${start_offset:10}${timestamp:yyyy} ${",
         "${topic}/${start_offset:10}${timestamp:yyyy} ${"},
        {"${file:@/whole}", "line one\nline two"},
        {"${file:@/crlf}", "x"},
        {"${file:@/p.properties:user}", "eve"},
        {"${file:@/p.properties:pass word}", "ab\xc3\xa9\tc"},
        {"${file:@/p.properties:last}", ""},
        {"${file:@/p.properties:empty}", ""},
        {"${file:@/p.properties:none}", "!the file D/p.properties has no key none"},
        {"${file:@/nul}", "!the file D/nul is not UTF-8 text"},
        {"${file:@/missing}", "!cannot open D/missing: No such file or directory"},
        {"${file:}", "!${file:} names no file"},
        {"${env:}", "!the environment variable  is not set"},
        {"${env:LEAT_TEST_LATIN}", "!the environment variable LEAT_TEST_LATIN is not UTF-8"},
        {"${ENV:X}", "!${ENV:...} is not known; did you mean ${env:...}?"},
        {"${flie:X}", "!${flie:...} is not known; did you mean ${file:...}?"},
        {"${env:X", "!a ${ has no }"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *out = filled(cases[i].text);
        assert_string_equal(out, cases[i].out);
        mem_free(out);
    }
}

static void test_secrets_are_hidden(void **state)
{
    (void)state;
    char problems[4096];
    setenv("LEAT_TEST_SECRET", "hunter2", 1);
    write_text("f.yaml", "hub: {http.listen: \"${env:LEAT_TEST_SECRET}\"}\n"
                         "pipelines:\n  - name: a\n    topics: x\n    sinks:\n      - type: dir\n"
                         "        directory: \"/${env:LEAT_TEST_SECRET}\"\n        password: swordfish\n"
                         "        pin: swordfish\n        sync: \"${env:LEAT_TEST_SECRET}\"\n");
    assert_null(load("f.yaml", problems, sizeof(problems)));
    assert_null(strstr(problems, "hunter2"));
    assert_null(strstr(problems, "swordfish"));
    assert_non_null(strstr(problems, "\"pin\": *** is not a whole number"));
}

/* ---- limits ------------------------------------------------------------------------------------------------------- */

static void refused(const char *text, size_t n, const char *reason)
{
    struct config *c;
    struct problems p;
    struct err e;
    problems_init(&p);
    assert_code(config_parse(text, n, "f", &catalog, &c, &p, &e), ERR_INVALID_CONFIG, &e);
    assert_true(p.count >= 1 && p.count < 10);
    bool found = false;
    for (size_t i = 0; i < p.count; i++)
        found = found || strstr(p.items[i].text, reason);
    if (!found)
        fail_msg("%s instead of %s", p.items[0].text, reason);
    problems_free(&p);
}

static void test_limits(void **state)
{
    (void)state;
    size_t size = CONFIG_FILE_MAX;
    char *text = mem_alloc(size + 2);
    memset(text, '[', size);
    refused(text, size, "nested more than 16 deep");
    memset(text, ' ', size + 1);
    refused(text, size + 1, "at most 1048576 are read");
    for (size_t i = 0; i < size; i += 2)
        memcpy(text + i, i ? "1," : "[ ", 2);
    refused(text, size, "more than 100000 values");
    size_t used = 0;
    for (int i = 0; i <= CONFIG_ANCHORS_MAX; i++)
        used += (size_t)snprintf(text + used, size - used, "- &a%d x\n", i);
    refused(text, used, "more than 1000 anchors");
    used = (size_t)snprintf(text, size, "pipelines: [{name: a, sinks: [{type: 'null'}], topics: [");
    for (int i = 0; i <= CONFIG_TOPICS_MAX; i++)
        used += (size_t)snprintf(text + used, size - used, "t%d, ", i);
    used += (size_t)snprintf(text + used, size - used, "]}]\n");
    refused(text, used, "\"topics\": more than 10000");
    mem_free(text);
}

/* A list of ten times the one before it, and so on: little text, ten to the fifth sinks. */
static void test_alias_bomb(void **state)
{
    (void)state;
    struct buf b;
    struct err e;
    buf_init(&b, 1 << 20);
    assert_ok(
        buf_str(&b, "pipelines:\n  - &p {name: a, topics: x, sinks: [&s {type: dir, directory: /o}", &e), &e);
    for (int i = 0; i < 1000; i++)
        assert_ok(buf_str(&b, ", *s", &e), &e);
    assert_ok(buf_str(&b, "]}\n", &e), &e);
    size_t start = b.len;
    for (int i = 0; i < 1000; i++)
        assert_ok(buf_str(&b, "  - *p\n", &e), &e);
    struct config *c;
    struct problems p;
    problems_init(&p);
    assert_code(config_parse((char *)b.data, b.len, "f", &catalog, &c, &p, &e), ERR_INVALID_CONFIG, &e);
    bool found = false;
    for (size_t i = 0; i < p.count; i++)
        found = found || strstr(p.items[i].text, "too much text when aliases are followed");
    assert_true(found);
    assert_true(p.count < 200000);
    problems_free(&p);
    /* and one large text used again and again */
    b.len = start;
    buf_reset(&b);
    assert_ok(buf_str(&b, "pipelines:\n  - {name: p, topics: x, sinks: [{type: dir, directory: &d ", &e), &e);
    for (int i = 0; i < 5000; i++)
        assert_ok(buf_str(&b, "0123456789012345678901234567890123456789012345678901234567890123456789", &e),
                  &e);
    assert_ok(buf_str(&b, "}]}\n", &e), &e);
    for (int i = 0; i < 200; i++)
        assert_ok(buf_printf(&b, &e, "  - {name: p%d, topics: x, sinks: [{type: dir, directory: *d}]}\n", i),
                  &e);
    refused((char *)b.data, b.len, "too much text when aliases are followed");
    buf_free(&b);
}

static void test_aliases(void **state)
{
    (void)state;
    char problems[512];
    write_text("f.yaml",
               "pipelines:\n"
               "  - name: a\n    topics: &t [x, y]\n    sinks: &s\n      - {type: dir, directory: &d /o}\n"
               "  - name: b\n    topics: *t\n    sinks: *s\n"
               "  - name: c\n    topics: [*d2]\n    sinks: *s\n");
    assert_null(load("f.yaml", problems, sizeof(problems)));
    assert_string_equal(problems, "D/f.yaml:10:14: YAML: found undefined alias\n");
    write_text("f.yaml",
               "pipelines:\n"
               "  - name: a\n    topics: &t [x, y]\n    sinks: &s\n      - {type: dir, directory: &d /o}\n"
               "  - name: b\n    topics: *t\n    sinks: *s\n");
    struct config *c = load("f.yaml", problems, sizeof(problems));
    assert_string_equal(problems, "");
    assert_string_equal(c->pipelines[1]->topics[1], "y");
    assert_string_equal(options_str(c->pipelines[1]->sinks[0]->options, "directory"), "/o");
    config_free(c);
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

static const char whole[] =
    "hub: {plugin.path: [a, b], http.listen: \":1\"}\n"
    "pipelines:\n"
    "  - name: a\n"
    "    source: {type: tail, paths: [/in/*], start: end}\n"
    "    topic: {name: t, partitions: 2, config: {retention.ms: 7d, segment.bytes: 1GiB}}\n"
    "    topics: u, v\n"
    "    sinks:\n"
    "      - {type: dir, directory: \"${env:LEAT_TEST_SECRET}\", fields: [a, b]}\n"
    "      - {type: dir, name: two, directory: x}\n";
static const char faulty[] = "hub: {plugin.pth: [a, b], http.listen: \"1\"}\n"
                             "pipelines:\n"
                             "  - name: a\n"
                             "    source: {type: til, paths: [/in/*], start: end}\n"
                             "  - name: b\n"
                             "    source: {type: tail, paths: [/in/*], flush.sizes: 3}\n"
                             "    sinks: [{type: dir, directory: /in}, {type: dir}]\n"
                             "  - name: b\n"
                             "    topics: ${env:LEAT_TEST_UNSET}\n"
                             "  - name: loop\n"
                             "    source: {type: tail, paths: [/out/*]}\n"
                             "    sinks: [{type: dir, directory: /out}]\n";

/* With any allocation failing: no leak (by the sanitizer), and out of memory is said. */
static void parse_once(void *arg)
{
    const char *text = arg;
    struct config *c;
    struct problems p;
    struct err e;
    problems_init(&p);
    int rc = config_parse(text, strlen(text), "f", &catalog, &c, &p, &e);
    int expected = text == whole ? ERR_OK : ERR_INVALID_CONFIG;
    if (rc != expected)
        assert_code(rc, ERR_NO_MEMORY, &e);
    else if (text == whole)
        assert_int_equal(p.count, 0);
    else
        assert_int_equal(p.count, 10);
    if (rc)
        assert_null(c);
    if (c) {
        struct buf out;
        buf_init(&out, 1 << 20);
        rc = config_plan(NULL, c, &out, &e);
        rc = rc ? rc : options_print(c->pipelines[0]->source->options, &out, &e);
        rc = rc ? rc : config_json_schema(&catalog, &out, &e);
        if (rc)
            assert_code(rc, ERR_NO_MEMORY, &e);
        buf_free(&out);
    }
    config_free(c);
    problems_free(&p);
}

static void test_no_memory(void **state)
{
    (void)state;
    setenv("LEAT_TEST_SECRET", "/s", 1);
    unsetenv("LEAT_TEST_UNSET");
    assert_true(testkit_each_fault(FAULT_ALLOC, 0, parse_once, (void *)(uintptr_t)whole) > 100);
    assert_true(testkit_each_fault(FAULT_ALLOC, 0, parse_once, (void *)(uintptr_t)faulty) > 100);
}

static void load_once(void *arg)
{
    struct config *c;
    struct problems p;
    struct err e;
    problems_init(&p);
    int rc = config_load(arg, &catalog, &c, &p, &e);
    if (rc == ERR_OK)
        assert_int_equal(c->pipeline_count, 2);
    else
        assert_code(rc, ERR_NO_MEMORY, &e);
    config_free(c);
    problems_free(&p);
}

static void test_no_memory_directory(void **state)
{
    (void)state;
    write_text("a.yaml", A_PIPELINE("one"));
    write_text("b.yaml", A_PIPELINE("two"));
    assert_true(testkit_each_fault(FAULT_ALLOC, 0, load_once, dir) > 50);
}

static void load_unreadable(void *arg)
{
    struct config *c;
    struct problems p;
    struct err e;
    problems_init(&p);
    int rc = config_load(arg, &catalog, &c, &p, &e);
    assert_true(rc == ERR_OK || rc == ERR_IO);
    config_free(c);
    problems_free(&p);
}

static void test_unreadable(void **state)
{
    (void)state;
    write_text("a.yaml", A_PIPELINE("one"));
    assert_true(testkit_each_fault(FAULT_READ, 5, load_unreadable, dir) >= 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_directory),
        TEST(test_no_files),
        TEST(test_hub_only),
        TEST(test_examples),
        TEST(test_placeholders),
        TEST(test_secrets_are_hidden),
        TEST(test_limits),
        TEST(test_alias_bomb),
        TEST(test_aliases),
        TEST(test_no_memory),
        TEST(test_no_memory_directory),
        TEST(test_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
