/*
 * The examples build outside the tree against the installed header, with nothing else of Leat, and run.
 */
#include <spawn.h>
#include <sys/wait.h>

#include "tests/unit/connect/hub.h"

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
    char command[3 * PATH_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    pid_t pid;
    int status;
    char sh[] = "sh", c[] = "-c", *const argv[] = {sh, c, command, NULL};
    assert_int_equal(posix_spawnp(&pid, "sh", NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("%s", command);
}

/* Builds the examples and opens the worker with them in place of the test plugins. */
static void use_examples(struct hub *h)
{
    struct err e;
    run("mkdir -p %s/include/leat %s/plugins && cp plugins/include/leat/plugin.h %s/include/leat/ && "
        "cp -r plugins/examples %s/",
        h->dir, h->dir, h->dir, h->dir);
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "counter" : "lines";
        run("env -u MAKEFLAGS -u MAKELEVEL make -s -C %s/examples/%s CPPFLAGS=-I%s/include CFLAGS='-O1 -Wall "
            "-Wextra -Werror' "
            "&& cp %s/examples/%s/%s.so %s/plugins/",
            h->dir, name, h->dir, h->dir, name, name, h->dir);
    }
    worker_free(h->worker);
    plugins_close(h->plugins);
    char path[PATH_MAX];
    const char *dirs[] = {path};
    snprintf(path, sizeof(path), "%s/plugins", h->dir);
    assert_ok(plugins_open(dirs, 1, &h->plugins, &e), &e);
    assert_int_equal(plugins_count(h->plugins), 2);
    for (size_t i = 0; i < 2; i++) {
        if (plugins_at(h->plugins, i).refused != NULL)
            fail_msg("%s: %s", plugins_at(h->plugins, i).file, plugins_at(h->plugins, i).refused);
    }
    assert_ok(worker_new(h->client, h->plugins, &h->worker, &e), &e);
}

static void test_examples_build_and_run(void **state)
{
    struct hub *h = *state;
    use_examples(h);
    static const char text[] = "pipelines: [{name: numbers, source: {type: counter, interval: 1ms},"
                               " sinks: [{name: out, type: lines, path: @/out.txt}]}]";
    struct err e;
    hub_apply(h, text);
    hub_await_lines(h, "out.txt", 20);
    assert_ok(worker_stop(h->worker, WAIT_MS, &e), &e);
    worker_free(h->worker);
    assert_ok(worker_new(h->client, h->plugins, &h->worker, &e), &e);
    hub_apply(h, text);
    hub_await_lines(h, "out.txt", 60);
    assert_ok(worker_stop(h->worker, WAIT_MS, &e), &e);
    char *lines = hub_file(h, "out.txt"), *at = lines;
    for (int i = 0; *at != 0; i++) {
        assert_int_equal(strtol(at, &at, 10), i);
        assert_int_equal(*at++, '\n');
    }
    mem_free(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_examples_build_and_run, hub_setup, hub_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
