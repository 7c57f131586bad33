/*
 * leat log dump: what is in the files of a store, without a hub and beside a running one.
 */
#include <errno.h>
#include <stdio.h>

#include "base/diag.h"
#include "base/io.h"
#include "broker/dump.h"
#include "cli/cli.h"

static int print_line(void *arg, const char *text, size_t n, struct err *e)
{
    (void)arg;
    if (fwrite(text, 1, n, stdout) != n || putchar('\n') == EOF)
        return err_sys(e, errno ? errno : EIO, "standard output");
    return ERR_OK;
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
        int rc = topic ? dump_topic(&o, cli_data_dir(c), what, (int32_t)partition, &r, &e)
                       : dump_path(&o, what, &r, &e);
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
