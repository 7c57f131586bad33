/*
 * sink_util: a directory tree as text, for tests of the file sink. One thread.
 */
#ifndef LEAT_TESTS_SINK_UTIL_H
#define LEAT_TESTS_SINK_UTIL_H

#include <dirent.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "tests/lib/testkit.h"

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Calls `each` with every visible regular file below `dir`, in order of names. `prefix` is "" at first. */
static void walk_visible(const char *dir, const char *prefix,
                         void (*each)(void *, const char *, const char *), void *arg)
{
    struct dirent **list;
    int n = scandir(dir, &list, NULL, by_name);
    for (int i = 0; i < n; i++) {
        char path[4096], name[2048];
        snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
        snprintf(name, sizeof(name), "%s%s", prefix, list[i]->d_name);
        bool hidden = list[i]->d_name[0] == '.';
        struct stat st;
        free(list[i]);
        if (hidden || stat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            strcat(name, "/");
            walk_visible(path, name, each, arg);
        } else {
            each(arg, name, path);
        }
    }
    if (n >= 0)
        free(list);
}

static void append_listing(void *arg, const char *name, const char *path)
{
    struct err e;
    char *data;
    size_t n;
    struct buf *out = arg;
    assert_ok(io_read_file(path, 64u << 20, &data, &n, &e), &e);
    assert_ok(buf_printf(out, &e, "%s: ", name), &e);
    assert_ok(buf_append(out, data, n, &e), &e);
    mem_free(data);
}

/* "name: contents" of every visible file, NUL-terminated in out->data. */
static inline void list_files(const char *dir, struct buf *out)
{
    struct err e;
    buf_reset(out);
    walk_visible(dir, "", append_listing, out);
    assert_ok(buf_u8(out, 0, &e), &e);
    out->len--;
}

#define assert_files(dir, expected)                                                                          \
    do {                                                                                                     \
        struct buf assert_files_b;                                                                           \
        buf_init(&assert_files_b, 64u << 20);                                                                \
        list_files(dir, &assert_files_b);                                                                    \
        assert_string_equal((char *)assert_files_b.data, expected);                                          \
        buf_free(&assert_files_b);                                                                           \
    } while (0)

#endif
