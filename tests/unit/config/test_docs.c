/*
 * The Markdown references: complete, and their samples are configurations that the reader takes. docs/configuration.md
 * says what the tables say (run from the repository's root; UPDATE_DOCS=1 writes it).
 */
#include "base/io.h"
#include "base/mem.h"
#include "config/docs.h"
#include "config/internal.h"
#include "tests/lib/testkit.h"
#include "tests/unit/config/catalog.h"

static char *reference_of(const struct leat_connector *c)
{
    struct buf out;
    struct err e;
    buf_init(&out, 1 << 20);
    assert_ok(config_docs_connector(c, &out, &e), &e);
    assert_ok(buf_u8(&out, 0, &e), &e);
    return (char *)out.data;
}

static void test_connector(void **state)
{
    (void)state;
    char *text = reference_of(&tail_source);
    assert_string_equal(
        text,
        "# The `tail` source\n\nFollows files\n\nReads lines.\n\n"
        "At least once: after a crash records may come again.\n\n"
        "Its `type` may also be the Kafka Connect class that it stands in for: "
        "`org.apache.kafka.connect.file.FileStreamSourceConnector`.\n\n"
        "The least that is needed:\n\n```yaml\nsource:\n  type: tail\n  paths: [/var/log/*.log]\n```\n\n"
        "Every option, with its default or an example (some exclude each other):\n\n```yaml\nsource:\n  "
        "type: tail\n  paths: "
        "/var/log/*.log\n"
        "  start: beginning\n  line.max.bytes: 1MiB\n  poll.interval: 1s\n  # mask.with.*.chars: a,b\n  # "
        "limit.*: (integer)\n```\n\n"
        "| option | type | default | values | importance | what it does |\n|---|---|---|---|---|---|\n"
        "| `paths` | list | required |  | high | Files to read. Example: `/var/log/*.log` |\n"
        "| `start` | choice | `beginning` | `beginning`, `end` | medium | Where a new file starts. |\n"
        "| `line.max.bytes` | size | `1MiB` | 16 to 64MiB | low | The longest line. |\n"
        "| `poll.interval` | duration | `1s` | 1ms to 1h | low | How often to look. |\n"
        "| `mask.with.*.chars` | list |  |  | low | Fields shown as so many stars. Example: `a,b` |\n"
        "| `limit.*` | integer |  | 1 to 9 | low | Of a field. |\n");
    mem_free(text);
    text = reference_of(&dir_sink);
    assert_non_null(strstr(text, "sinks:\n  - type: dir\n    directory: /out\n```"));
    assert_non_null(strstr(text, "    # password: (text)\n"));
    assert_non_null(strstr(text, "    directory: \"'out': /x y\"\n")); /* an example that would be no YAML */
    assert_non_null(strstr(text, "| `password` | text |  |  | medium | Secret: never shown. A secret. |\n"));
    mem_free(text);
}

/* The n-th ```yaml block as a pipeline. */
static char *sample(const char *text, int n, bool source)
{
    const char *at = text;
    for (int i = 0; i <= n; i++) {
        at = strstr(at, "```yaml\n");
        assert_non_null(at);
        at += strlen("```yaml\n");
    }
    const char *end = strstr(at, "```");
    struct buf out;
    struct err e;
    buf_init(&out, 1 << 16);
    assert_ok(buf_str(&out, "pipelines:\n- name: a\n", &e), &e);
    assert_ok(buf_str(&out, source ? "  topic: t\n" : "  topics: t\n", &e), &e);
    while (at < end) {
        size_t len = strcspn(at, "\n");
        assert_ok(buf_printf(&out, &e, "  %.*s\n", (int)len, at), &e);
        at += len + 1;
    }
    assert_ok(buf_u8(&out, 0, &e), &e);
    return (char *)out.data;
}

static void test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(catalog_all); i++) {
        bool source = catalog_all[i]->kind == LEAT_SOURCE;
        char *text = reference_of(catalog_all[i]);
        for (int n = 0; n < (catalog_all[i]->option_count ? 2 : 1); n++) {
            char *yaml = sample(text, n, source);
            struct config *c;
            struct problems p;
            struct err e;
            problems_init(&p);
            int rc = config_parse(yaml, strlen(yaml), "f", &catalog, &c, &p, &e);
            if (p.count)
                fail_msg("%d:%d: %s in\n%s", p.items[0].line, p.items[0].column, p.items[0].text, yaml);
            assert_ok(rc, &e);
            config_free(c);
            problems_free(&p);
            mem_free(yaml);
        }
        mem_free(text);
    }
}

static void test_splice(void **state)
{
    (void)state;
    static const struct {
        const char *text, *result;
    } cases[] = {
        {"a\n<!-- generated: x -->\nold\n<!-- end: x -->\nb\n",
         "a\n<!-- generated: x -->\n\nNEW\n<!-- end: x -->\nb\n"},
        {"<!-- generated: x -->\n<!-- end: x -->\n", "<!-- generated: x -->\n\nNEW\n<!-- end: x -->\n"},
        {"<!-- generated: y -->\n<!-- end: y -->\n", NULL},
        {"<!-- end: x -->\n<!-- generated: x -->\n", NULL},
        {" <!-- generated: x -->\n<!-- end: x -->\n", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf made, out;
        struct err e;
        buf_init(&made, 64);
        buf_init(&out, 1024);
        assert_ok(buf_str(&made, "NEW\n", &e), &e);
        int rc = config_docs_splice(cases[i].text, strlen(cases[i].text), "x", &made, &out, &e);
        assert_code(rc, cases[i].result ? ERR_OK : ERR_NOT_FOUND, &e);
        if (cases[i].result) {
            assert_int_equal(out.len, strlen(cases[i].result));
            assert_memory_equal(out.data, cases[i].result, out.len);
        }
        buf_free(&made);
        buf_free(&out);
    }
}

static void test_document(void **state)
{
    (void)state;
    static const char path[] = "docs/configuration.md";
    char *text;
    size_t n;
    struct buf made, out;
    struct err e;
    buf_init(&made, 1 << 20);
    buf_init(&out, 1 << 20);
    assert_ok(io_read_file(path, 1 << 20, &text, &n, &e), &e);
    assert_ok(config_docs_reference(&made, &e), &e);
    assert_ok(config_docs_splice(text, n, "reference", &made, &out, &e), &e);
    if (getenv("UPDATE_DOCS"))
        assert_ok(io_replace_file(path, out.data, out.len, 0644, &e), &e);
    else if (out.len != n || memcmp(out.data, text, n) != 0)
        fail_msg("%s is not what the option tables say; `make docs` writes it", path);
    mem_free(text);
    buf_free(&made);
    buf_free(&out);
}

static void reference_once(void *arg)
{
    (void)arg;
    struct buf out;
    struct err e;
    buf_init(&out, 1 << 20);
    int rc = config_docs_reference(&out, &e);
    if (rc == ERR_OK)
        rc = config_docs_connector(&dir_sink, &out, &e);
    if (rc)
        assert_code(rc, ERR_NO_MEMORY, &e);
    buf_free(&out);
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, 0, reference_once, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connector), cmocka_unit_test(test_samples),   cmocka_unit_test(test_splice),
        cmocka_unit_test(test_document),  cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
