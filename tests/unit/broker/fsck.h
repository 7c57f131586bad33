/*
 * fsck: what the tests of checking and mending share: findings, and files of a data directory that are changed.
 */
#ifndef LEAT_TESTS_BROKER_FSCK_H
#define LEAT_TESTS_BROKER_FSCK_H

#include "tests/unit/broker/helper.h"

#include <sys/stat.h>

#include "base/io.h"
#include "broker/fsck.h"

struct seen {
    struct fsck_report report;
    int counts[CHECK_KIND_COUNT];
    struct check_finding last[CHECK_KIND_COUNT];
    char path[CHECK_KIND_COUNT][512], text[CHECK_KIND_COUNT][256];
};

static inline int see(void *arg, const struct check_finding *f, struct err *e)
{
    struct seen *s = arg;
    (void)e;
    s->counts[f->kind]++;
    s->last[f->kind] = *f;
    snprintf(s->path[f->kind], sizeof s->path[0], "%s", f->path);
    snprintf(s->text[f->kind], sizeof s->text[0], "%s", f->text);
    return ERR_OK;
}

static inline void run_fsck(struct fixture *f, struct seen *s)
{
    struct fsck_options o = {.data_dir = f->dir, .records = true, .found = see, .arg = s};
    memset(s, 0, sizeof *s);
    assert_ok(broker_fsck(&o, &s->report, &f->e), &f->e);
}

/* Exactly these kinds were found, with CHECK_KIND_COUNT at the end. */
static inline void expect(struct fixture *f, struct seen *s, const enum check_kind *kinds)
{
    run_fsck(f, s);
    bool wanted[CHECK_KIND_COUNT] = {false};
    for (; *kinds != CHECK_KIND_COUNT; kinds++)
        wanted[*kinds] = true;
    for (int k = 0; k < CHECK_KIND_COUNT; k++)
        if (wanted[k] != (s->counts[k] > 0))
            fail_msg("%s was%s found: %s: %s", check_kind_name((enum check_kind)k), wanted[k] ? " not" : "",
                     s->path[k], s->text[k]);
}
#define EXPECT(f, s, ...) expect(f, s, (const enum check_kind[]){__VA_ARGS__, CHECK_KIND_COUNT})

static inline char *path_of(const struct fixture *f, const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return path;
}

static inline void flip(struct fixture *f, const char *name, long at, int bits)
{
    FILE *file = fopen(path_of(f, name), "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    int c = fgetc(file);
    assert_int_equal(fseek(file, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    assert_int_equal(fputc(c ^ bits, file), c ^ bits);
    assert_int_equal(fclose(file), 0);
}

static inline void put_file(struct fixture *f, const char *name, const char *text)
{
    FILE *file = fopen(path_of(f, name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline long size_of(const struct fixture *f, const char *name)
{
    struct stat st;
    return stat(path_of(f, name), &st) == 0 ? (long)st.st_size : -1;
}

static inline void remove_name(struct fixture *f, const char *name)
{
    assert_ok(io_remove_tree(path_of(f, name), &f->e), &f->e);
}

static inline void copy_tree(const char *from, const char *to)
{
    char command[2200];
    snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
    assert_int_equal(system(command), 0);
}

static inline int see_step(void *arg, enum check_repair kind, const char *text, struct err *e)
{
    int *steps = arg;
    (void)e;
    (void)kind;
    assert_true(text[0]);
    (*steps)++;
    return ERR_OK;
}

static inline int mend(struct fixture *f, enum check_repair kind, bool segments, bool dry_run, uint64_t *left)
{
    int steps = 0;
    struct fsck_repair_options o = {
        .data_dir = f->dir, .segments = segments, .dry_run = dry_run, .step = see_step, .arg = &steps};
    o.kinds[kind] = !segments;
    assert_ok(broker_fsck_repair(&o, left, &f->e), &f->e);
    return steps;
}

#endif
