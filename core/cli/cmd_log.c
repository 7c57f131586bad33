/*
 * leat log dump: what is in the files of a store, without a hub and beside a running one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/dump.h"
#include "cli/cli.h"

static int print_line(void *arg, const char *text, size_t n, struct err *e)
{
    (void)arg;
    if (fwrite(text, 1, n, stdout) != n || putchar('\n') == EOF)
        return err_sys(e, errno ? errno : EIO, "standard output");
    return ERR_OK;
}

/* A topic's partitions by number, from the directories that are there: no hub is asked. */
struct found {
    const char *topic;
    int64_t wanted; /* -1: all */
    long *list;
    size_t n;
};

static int see_directory(void *arg, const char *name, struct err *e)
{
    struct found *f = arg;
    size_t n = strlen(f->topic);
    char *end;
    if (strncmp(name, f->topic, n) != 0 || name[n] != '-' || name[n + 1] < '0' || name[n + 1] > '9')
        return ERR_OK;
    long partition = strtol(name + n + 1, &end, 10);
    if (*end || (f->wanted >= 0 && partition != f->wanted))
        return ERR_OK;
    long *list = mem_realloc_array(f->list, f->n + 1, sizeof *list);
    if (!list)
        return err_nomem(e);
    f->list = list;
    f->list[f->n++] = partition;
    return ERR_OK;
}

static int by_number(const void *a, const void *b)
{
    const long *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static int dump_topic(struct cli *c, const struct dump_options *o, const char *topic, int64_t partition,
                      struct dump_report *r, struct err *e)
{
    struct found f = {.topic = topic, .wanted = partition};
    char *logs = mem_printf("%s/logs", cli_data_dir(c));
    if (!logs)
        cli_out_of_memory();
    int rc = io_exists(logs) ? io_list(logs, see_directory, &f, e) : ERR_OK;
    if (!rc && f.n == 0)
        rc =
            err_set(e, ERR_NOT_FOUND,
                    "%s: there is no such file or directory, and nothing of such a topic in %s", topic, logs);
    if (!rc)
        qsort(f.list, f.n, sizeof *f.list, by_number);
    for (size_t i = 0; i < f.n && !rc; i++) {
        char *dir = mem_printf("%s/%s-%ld", logs, topic, f.list[i]);
        if (!dir)
            cli_out_of_memory();
        rc = dump_partition(o, dir, r, e);
        mem_free(dir);
    }
    mem_free(f.list);
    mem_free(logs);
    return rc;
}

int cmd_log_dump(struct cli *c)
{
    struct err e;
    struct dump_report r = {0};
    struct dump_options o = {.json = cli_json(c),
                             .records = cli_flag(c, "records"),
                             .verify = cli_flag(c, "verify"),
                             .line = print_line};
    int64_t partition;
    if (!cli_number(c, "from", 0, 0, INT64_MAX, &o.from) ||
        !cli_number(c, "to", INT64_MAX, 0, INT64_MAX, &o.to) ||
        !cli_number(c, "partition", -1, 0, INT32_MAX, &partition))
        return EXIT_USAGE;
    diag_setup(DIAG_ERROR, DIAG_TEXT);
    for (int i = 0; i < c->arg_count; i++) {
        const char *what = c->args[i];
        bool topic = partition >= 0 || !io_exists(what);
        int rc = topic ? dump_topic(c, &o, what, partition, &r, &e) : dump_path(&o, what, &r, &e);
        if (rc && ferror(stdout))
            return EXIT_FAILED; /* said, where it matters, when what is left is sent out */
        if (rc)
            return cli_fail(&e);
    }
    if (o.verify && !o.json)
        printf("%llu files, %llu batches, %llu records: %llu problems\n", (unsigned long long)r.files,
               (unsigned long long)r.batches, (unsigned long long)r.records, (unsigned long long)r.problems);
    return r.problems ? EXIT_FAILED : EXIT_FINE;
}
