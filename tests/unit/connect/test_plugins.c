/*
 * The plugin host: what loads, what is refused and with which words, how connectors are found, and that every failed
 * allocation leaves nothing behind.
 */
#include "tests/lib/testkit.h"

#include <errno.h>
#include <fcntl.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "connect/connect.h"
#include "connect/plugin_check.h"
#include "tests/unit/connect/plugin_dir.h"

/* ---- directories -------------------------------------------------------------------------------------------- */

static void put_file(const char *dir, const char *name, const void *data, size_t n)
{
    struct err e;
    char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_ok(io_replace_file(path, data, n, 0600, &e), &e);
}

static void copy_plugin(const char *dir, const char *name, const char *as)
{
    struct err e;
    char path[2 * PATH_MAX], *data;
    size_t n;
    snprintf(path, sizeof(path), "%s/%s.so", plugin_dir(), name);
    assert_ok(io_read_file(path, 64 << 20, &data, &n, &e), &e);
    put_file(dir, as, data, n);
    mem_free(data);
}

static struct plugin_info find_file(struct plugins *p, const char *name)
{
    for (size_t i = 0; i < plugins_count(p); i++) {
        struct plugin_info info = plugins_at(p, i);
        if (strcmp(strrchr(info.file, '/') + 1, name) == 0)
            return info;
    }
    fail_msg("%s is not in the list", name);
    return (struct plugin_info){0};
}

static void assert_refused(struct plugins *p, const char *name, const char *why)
{
    struct plugin_info info = find_file(p, name);
    assert_non_null(info.refused);
    assert_null(info.connectors);
    if (strstr(info.refused, why) == NULL)
        fail_msg("%s: '%s' does not say '%s'", name, info.refused, why);
}

static void test_a_directory_with_all_kinds(void **state)
{
    (void)state;
    struct err e;
    struct plugins *p;
    char *dir = testkit_dir();
    copy_plugin(dir, "generator", "a.so");
    copy_plugin(dir, "generator", "b.so");
    copy_plugin(dir, "capture", "c.so");
    copy_plugin(dir, "no_symbol", "no_symbol.so");
    copy_plugin(dir, "wrong_abi", "wrong_abi.so");
    copy_plugin(dir, "wrong_magic", "wrong_magic.so");
    copy_plugin(dir, "small_struct", "small_struct.so");
    copy_plugin(dir, "unresolved", "unresolved.so");
    put_file(dir, "text.so", "hello", 5);
    put_file(dir, "empty.so", "", 0);
    put_file(dir, "cut.so", "\177ELF\2\1\1", 7);
    put_file(dir, "readme.txt", "hello", 5);
    const char *dirs[] = {dir, "/nonexistent/plugins"};
    assert_ok(plugins_open(dirs, 2, &p, &e), &e);
    assert_int_equal(plugins_count(p), 12);
    struct plugin_info a = find_file(p, "a.so");
    assert_null(a.refused);
    assert_string_equal(a.name, "generator");
    assert_string_equal(a.version, "1.2.3");
    assert_string_equal(a.built_for, "test");
    assert_int_equal(a.connector_count, 2);
    assert_null(find_file(p, "c.so").refused);
    assert_refused(p, "b.so", "the source generator (or an alias of it) is offered by");
    assert_refused(p, "b.so", "/a.so already");
    assert_refused(p, "no_symbol.so", "it has no symbol leat_plugin, so it is not a plugin of Leat");
    assert_refused(p, "wrong_abi.so",
                   "it was built for plugin ABI version 7, this is Leat " LEAT_VERSION " with version 1");
    assert_refused(p, "wrong_magic.so", "its symbol leat_plugin is no plugin descriptor: magic is 0x");
    assert_refused(p, "small_struct.so", "its descriptor has 16 bytes, fewer than the");
    assert_refused(p, "unresolved.so", "function_that_nobody_has");
    assert_refused(p, "text.so", "it is not a shared object");
    assert_refused(p, "empty.so", "it is not a shared object");
    assert_refused(p, "cut.so", "it cannot be loaded: ");
    assert_refused(p, "plugins", "No such file or directory");
    plugins_close(p);
    testkit_remove_dir(dir);
}

static void test_finding_connectors(void **state)
{
    (void)state;
    struct err e;
    struct plugins *p;
    const char *dirs[] = {plugin_dir()};
    assert_ok(plugins_open(dirs, 1, &p, &e), &e);
    struct connector_catalog c = plugins_catalog(p);
    const struct leat_connector *generator = c.find(c.arg, LEAT_SOURCE, "generator");
    assert_non_null(generator);
    assert_ptr_equal(c.find(c.arg, LEAT_SOURCE, "org.example.GeneratorConnector"), generator);
    assert_ptr_equal(c.find(c.arg, LEAT_SOURCE, "GeneratorConnector"), generator);
    assert_ptr_equal(c.find(c.arg, LEAT_SOURCE, "Generator"), generator);
    assert_null(c.find(c.arg, LEAT_SINK, "generator"));
    assert_null(c.find(c.arg, LEAT_SOURCE, "Gen"));
    assert_null(c.find(c.arg, LEAT_SOURCE, "Connector"));
    assert_non_null(c.find(c.arg, LEAT_SINK, "capture"));
    assert_non_null(c.at(c.arg, 0));
    assert_non_null(c.at(c.arg, 4));
    assert_null(c.at(c.arg, 5));
    plugins_close(p);
}

static void open_once(void *arg)
{
    struct err e;
    struct plugins *p;
    const char *const dirs[] = {arg};
    int rc = plugins_open(dirs, 1, &p, &e);
    if (rc != ERR_OK) {
        assert_int_equal(rc, ERR_NO_MEMORY);
        assert_null(p);
    }
    plugins_close(p);
}

static void test_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, open_once, (void *)(uintptr_t)plugin_dir()) > 10);
}

/* ---- descriptors that do not fit ------------------------------------------------------------------------------ */

static int ok_open(struct leat_task *t, const struct leat_host *h, const struct leat_config *c, void **self)
{
    (void)t, (void)h, (void)c, (void)self;
    return LEAT_OK;
}
static int ok_poll(void *self)
{
    (void)self;
    return LEAT_OK;
}
static void ok_close(void *self)
{
    (void)self;
}
static int ok_durable(void *self, uint64_t polls)
{
    (void)self;
    (void)polls;
    return LEAT_OK;
}
static const struct leat_source_ops good_ops = {
    .open = ok_open, .poll = ok_poll, .close = ok_close, .durable = ok_durable};
static const struct leat_sink_ops no_sink_ops;

static struct leat_option option;
static struct leat_option pair[2];
static struct leat_connector connector;
static const struct leat_connector *connectors[1];
static struct leat_plugin plugin;

/* A plugin that fits, to be spoilt in one place. */
static void make_good(void)
{
    option = (struct leat_option){
        .name = "an.option", .type = LEAT_INT, .default_value = "5", .doc = "An option."};
    connector = (struct leat_connector){.struct_size = sizeof(connector),
                                        .kind = LEAT_SOURCE,
                                        .type = "thing",
                                        .summary = "A thing.",
                                        .options = &option,
                                        .option_count = 1,
                                        .source = &good_ops};
    connectors[0] = &connector;
    plugin = (struct leat_plugin){LEAT_PLUGIN_HEADER, .name = "thing",          .version = "1",
                                  .built_for = "9.9", .connectors = connectors, .connector_count = 1};
}

static void assert_unfit(const char *why)
{
    struct err e;
    err_clear(&e);
    assert_code(plugin_check(&plugin, &e), ERR_PLUGIN, &e);
    if (strstr(e.text, why) == NULL)
        fail_msg("'%s' does not say '%s'", e.text, why);
    make_good();
}

static void test_frames_that_do_not_fit(void **state)
{
    (void)state;
    struct err e;
    make_good();
    assert_ok(plugin_check(&plugin, &e), &e);
    plugin.struct_size += 64; /* grown at its end since: fine */
    connector.struct_size += 64;
    assert_ok(plugin_check(&plugin, &e), &e);
    connector.struct_size = offsetof(struct leat_connector, not_exact); /* built for an older one: fine */
    assert_ok(plugin_check(&plugin, &e), &e);
    connector.flags = LEAT_WRITES_SCHEMAS; /* of an older one neither is looked at, they may not be there */
    assert_int_equal(connector_flags(&connector), 0);
    assert_null(connector_durable(&connector));
    connector.struct_size = sizeof(connector);
    assert_int_equal(connector_flags(&connector), LEAT_WRITES_SCHEMAS);
    assert_ptr_equal(connector_durable(&connector), ok_durable);
    assert_ok(plugin_check(&plugin, &e), &e);
    connector.flags = 0x80000000 | LEAT_TAKES_SIGNALS;
    assert_unfit("connector thing: it has unknown flags 0x80000002");
    plugin.host_size++;
    assert_unfit("it was built for a newer Leat (9.9): its host table has");
    plugin.version = NULL;
    assert_unfit("its descriptor lacks name, version or built_for");
    plugin.name = "two\nlines";
    assert_unfit("contains control characters");
    plugin.connector_count = 0;
    assert_unfit("it offers no connector");
    plugin.connector_count = 1 << 30;
    assert_unfit("it claims to offer 1073741824 connectors");
    connectors[0] = NULL;
    assert_unfit("connector 1 is NULL");
    connector.struct_size = 8;
    assert_unfit("its descriptor has 8 bytes, fewer than");
    connector.kind = (enum leat_kind)9;
    assert_unfit("connector thing: it is neither a source nor a sink but 9");
    connector.type = "two words";
    assert_unfit("it has no proper type");
    connector.summary = NULL;
    assert_unfit("it has no summary of one line");
    connector.source = NULL;
    assert_unfit("a source needs source operations");
    connector.kind = LEAT_SINK;
    assert_unfit("a sink needs sink operations");
    connector.kind = LEAT_SINK;
    connector.source = NULL;
    connector.sink = &no_sink_ops;
    assert_unfit("its sink operations lack open, put, flush or close");
    connector.option_count = 1 << 20;
    assert_unfit("it claims to have 1048576 options");
}

static void test_options_that_do_not_fit(void **state)
{
    (void)state;
    make_good();
    option.name = "";
    assert_unfit("connector thing: option 1 has no proper name");
    option.type = (enum leat_option_type)99;
    assert_unfit("option an.option has the unknown type 99");
    option.importance = (enum leat_importance)7;
    assert_unfit("option an.option has the unknown importance 7");
    option.flags = 0x8000;
    assert_unfit("option an.option has unknown flags 0x8000");
    option.flags = LEAT_REQUIRED;
    assert_unfit("option an.option is required and has a default");
    option.flags = LEAT_REQUIRED | LEAT_ACCEPTED;
    option.default_value = NULL;
    assert_unfit("option an.option is required and without effect");
    option.doc = NULL;
    assert_unfit("option an.option has no doc");
    option.min = 5;
    option.max = 4;
    assert_unfit("option an.option has a range of 5 to 4");
    option.type = LEAT_STRING;
    option.max = 4;
    assert_unfit("option an.option has a range and is not a number");
    option.type = LEAT_CHOICE;
    assert_unfit("option an.option is a choice without proper choices ('')");
    option.type = LEAT_CHOICE;
    option.choices = "a||b";
    assert_unfit("option an.option is a choice without proper choices ('a||b')");
    option.type = LEAT_CHOICE;
    option.choices = "a|b|a";
    assert_unfit("option an.option is a choice without proper choices ('a|b|a')");
    option.choices = "a|b";
    assert_unfit("option an.option has choices and is not a choice");
    option.flags = LEAT_READS_PATH;
    assert_unfit("option an.option is marked as a path");
    option.default_value = "five";
    assert_unfit("option an.option: its default 'five' does not fit");
    option.type = LEAT_CHOICE;
    option.choices = "a|b";
    assert_unfit("option an.option: its default '5' does not fit");
    option.min = 6;
    option.max = 9;
    assert_unfit("option an.option: its default '5' does not fit");
    option.example = "x";
    assert_unfit("option an.option: its example 'x' does not fit");
    option.name = "tasks.max";
    assert_unfit("option tasks.max has a name that every connector has already");
    option.name = "*.b";
    option.default_value = NULL;
    assert_unfit("option *.b: a * may not come first");
    option.name = "a.**";
    option.default_value = NULL;
    assert_unfit("option a.**: a * may not come first, nor right behind another");
    option.name = "a.*";
    assert_unfit("option a.* has a * in its name and is required or has a default");
    option.name = "tasks.*";
    option.default_value = NULL;
    assert_unfit("option tasks.* has a name that every connector has already");
    option.name = "a.*.b";
    option.default_value = NULL;
    option.example = "x";
    assert_unfit("option a.*.b: its example 'x' does not fit");
    pair[0] = pair[1] = option;
    connector.options = pair;
    connector.option_count = 2;
    assert_unfit("two options have the name an.option");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_directory_with_all_kinds), cmocka_unit_test(test_finding_connectors),
        cmocka_unit_test(test_every_failed_allocation),    cmocka_unit_test(test_frames_that_do_not_fit),
        cmocka_unit_test(test_options_that_do_not_fit),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
