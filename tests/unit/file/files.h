/* What tests of the file source do to files. Paths are relative to `dir`. */
#ifndef LEAT_TESTS_FILES_H
#define LEAT_TESTS_FILES_H

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/unit/file/fake_host.h"

FAKE const char *at(const char *dir, const char *name)
{
    static _Thread_local char paths[8][512];
    static _Thread_local int next;
    char *p = paths[next++ % 8];
    snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
    return p;
}

FAKE void put(const char *dir, const char *name, int flags, const char *text)
{
    int fd = open(at(dir, name), O_WRONLY | O_CREAT | flags, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

FAKE void append(const char *dir, const char *name, const char *text)
{
    put(dir, name, O_APPEND, text);
}

FAKE void overwrite(const char *dir, const char *name, const char *text)
{
    put(dir, name, O_TRUNC, text);
}

FAKE void move(const char *dir, const char *from, const char *to)
{
    assert_int_equal(rename(at(dir, from), at(dir, to)), 0);
}

FAKE void drop(const char *dir, const char *name)
{
    assert_int_equal(unlink(at(dir, name)), 0);
}

FAKE char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, *n, f), *n);
    p[*n] = '\0';
    fclose(f);
    return p;
}

FAKE void copy(const char *dir, const char *from, const char *to)
{
    size_t n;
    char *p = slurp(at(dir, from), &n);
    FILE *f = fopen(at(dir, to), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
    free(p);
}

/* Writes <name>.gz beside the file, as gzip does; the file stays. */
FAKE void compress_beside(const char *dir, const char *name)
{
    char gz[512];
    snprintf(gz, sizeof(gz), "%s/%s.gz", dir, name);
    size_t n;
    char *p = slurp(at(dir, name), &n);
    gzFile f = gzopen(gz, "wb1");
    assert_non_null(f);
    for (size_t done = 0; done < n;) {
        unsigned part = (unsigned)(n - done < 4096 ? n - done : 4096);
        assert_int_equal(gzwrite(f, p + done, part), (int)part);
        done += part;
    }
    assert_int_equal(gzclose(f), Z_OK);
    free(p);
}

/* Lines "<prefix><from>" ... "<prefix><to - 1>", long enough that few make a fingerprint. */
FAKE void append_lines(const char *dir, const char *name, const char *prefix, int from, int to)
{
    int fd = open(at(dir, name), O_WRONLY | O_CREAT | O_APPEND, 0644);
    assert_true(fd >= 0);
    for (int i = from; i < to; i++) {
        char line[200];
        int n = snprintf(line, sizeof(line), "%s%d\n", prefix, i);
        assert_int_equal(write(fd, line, (size_t)n), n);
    }
    close(fd);
}

/* Records number first..last - 1 are the lines that append_lines wrote for from... */
FAKE void assert_lines(struct leat_task *t, size_t first, size_t last, const char *prefix, int from)
{
    assert_true(last <= t->records.count);
    for (size_t i = first; i < last; i++) {
        char line[200];
        snprintf(line, sizeof(line), "%s%d", prefix, from + (int)(i - first));
        assert_string_equal(t->records.items[i].value, line);
    }
}

#endif
