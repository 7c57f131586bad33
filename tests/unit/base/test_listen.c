/*
 * Unix sockets that listen: what may be in the way, and what must not be removed.
 */
#include "../../lib/testkit.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/listen.h"
#include "base/socket_path.h"

static char *path_in(const char *dir)
{
    char *path;
    assert_true(asprintf(&path, "%s/hub.sock", dir) > 0);
    return path;
}

static bool answers(const char *path)
{
    struct err e = {0};
    struct socket_path p;
    assert_ok(socket_path_open(&p, path, &e), &e);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool well = connect(fd, (const struct sockaddr *)&p.address, sizeof p.address) == 0;
    close(fd);
    socket_path_close(&p);
    return well;
}

static void test_a_new_one(void **state)
{
    (void)state;
    struct err e = {0};
    struct stat st;
    int fd;
    char *dir = testkit_dir(), *path = path_in(dir);
    assert_ok(listen_local(path, &fd, &e), &e);
    assert_true(answers(path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    close(fd);
    free(path);
    testkit_remove_dir(dir);
}

static void test_one_that_was_left(void **state)
{
    (void)state;
    struct err e = {0};
    int before, fd;
    char *dir = testkit_dir(), *path = path_in(dir);
    assert_ok(listen_local(path, &before, &e), &e);
    close(before); /* as by a kill: the name stays */
    assert_true(io_exists(path));
    assert_ok(listen_local(path, &fd, &e), &e);
    assert_true(answers(path));
    close(fd);
    free(path);
    testkit_remove_dir(dir);
}

static void test_one_that_is_in_use(void **state)
{
    (void)state;
    struct err e = {0};
    int first, second;
    char *dir = testkit_dir(), *path = path_in(dir);
    assert_ok(listen_local(path, &first, &e), &e);
    assert_code(listen_local(path, &second, &e), ERR_EXISTS, &e);
    assert_non_null(strstr(e.text, "another process listens on"));
    assert_int_equal(second, -1);
    assert_true(answers(path));
    close(first);
    free(path);
    testkit_remove_dir(dir);
}

static void test_a_file_stays(void **state)
{
    (void)state;
    struct err e = {0};
    int fd;
    char *dir = testkit_dir(), *path = path_in(dir), *text;
    size_t n;
    assert_ok(io_replace_file(path, "precious", 8, 0600, &e), &e);
    assert_code(listen_local(path, &fd, &e), ERR_EXISTS, &e);
    assert_non_null(strstr(e.text, "is not a socket"));
    assert_ok(io_read_file(path, 100, &text, &n, &e), &e);
    assert_string_equal(text, "precious");
    free(text);
    free(path);
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_one),
        cmocka_unit_test(test_one_that_was_left),
        cmocka_unit_test(test_one_that_is_in_use),
        cmocka_unit_test(test_a_file_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
