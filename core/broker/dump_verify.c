/*
 * dump_verify: `leat log dump --verify` of a partition's directory: batches, indexes and snapshots are compared with each
 * other as fsck does, beside a hub at work too. See dump_internal.h.
 */
#include "broker/dump_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/data_dir.h"
#include "storage/check.h"
#include "storage/checkpoint.h"

static int tell(void *arg, const struct check_finding *f, struct err *e)
{
    char text[ERR_TEXT_MAX];
    if (check_kind_severity(f->kind) == CHECK_NOTE)
        return ERR_OK;
    snprintf(text, sizeof text, "%s: %.600s", check_kind_name(f->kind), f->text);
    return dump_problem(arg, f->path, f->byte, text, e);
}

/* What the log directory's checkpoint says of the partition; -1: nothing is known. */
static int recovery_point(const char *logs, const char *name, int64_t *point, struct err *e)
{
    struct offset_entry *list = NULL;
    size_t n = 0;
    char *path = mem_printf("%s/" CHECKPOINT_RECOVERY, logs);
    *point = -1;
    int rc = path ? offset_file_read(path, &list, &n, e) : err_nomem(e);
    mem_free(path);
    for (size_t i = 0; i < n && !rc; i++) {
        size_t topic = strlen(list[i].topic);
        char number[16];
        snprintf(number, sizeof number, "-%d", list[i].partition);
        if (strncmp(name, list[i].topic, topic) == 0 && strcmp(name + topic, number) == 0)
            *point = list[i].offset;
    }
    offset_file_free(list, n);
    return rc == ERR_NO_MEMORY ? rc : ERR_OK; /* a broken file is told where it is looked at */
}

int dump_verify(struct dump *d, const char *dir, struct err *e)
{
    struct check c = {.found = tell, .arg = d};
    struct check_partition_result result;
    const char *slash = strrchr(dir, '/');
    char *logs = slash ? mem_strndup(dir, (size_t)(slash - dir)) : mem_strdup(".");
    char *clean = logs ? mem_printf("%s/" CLEAN_STOP_NAME, logs) : NULL;
    struct check_partition_args args = {
        .dir = dir, .gaps = true, .name = slash ? slash + 1 : dir, .records = true};
    int rc = clean ? recovery_point(logs, args.name, &args.recovery_point, e) : err_nomem(e);
    args.clean = clean && io_exists(clean);
    if (!rc)
        rc = check_partition(&c, &args, &result, e);
    if (!rc) {
        d->r->files += (uint64_t)result.segments;
        d->r->batches += result.batches;
        d->r->records += result.records;
    }
    mem_free(clean);
    mem_free(logs);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc; /* deleted meanwhile */
}
