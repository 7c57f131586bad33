/*
 * foreign: see foreign.h. Reads names only. Called while opening, by one thread.
 */
#include "broker/foreign.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "broker/checkpoint.h"

struct found {
    bool meta;  /* meta.properties: Kafka's directories have one, too */
    bool logs;  /* logs/: ours is made before meta.properties */
    bool kafka; /* what Kafka has in its log directory and we have below logs/ */
    char other[256];
};

/* Names that a first start may have made before meta.properties, and what a file system brings along. */
static bool is_early(const char *name)
{
    static const char *const names[] = {"lock", "meta.properties.tmp", "lost+found"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool is_kafkas(const char *name)
{
    static const char *const names[] = {CHECKPOINT_RECOVERY,    CHECKPOINT_START, CHECKPOINT_WATERMARK,
                                        "bootstrap.checkpoint", ".lock",          CHECKPOINT_CLEANED};
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return partition_dir_parse(name, topic, &partition);
}

static int look_at(void *arg, const char *name, struct err *e)
{
    struct found *f = arg;
    (void)e;
    if (strcmp(name, "meta.properties") == 0)
        f->meta = true;
    else if (strcmp(name, "logs") == 0)
        f->logs = true;
    else if (is_kafkas(name))
        f->kafka = true;
    else if (!is_early(name) && !f->other[0])
        snprintf(f->other, sizeof f->other, "%s", name);
    return ERR_OK;
}

int foreign_check(const char *dir, struct err *e)
{
    struct found f = {0};
    int rc = io_list(dir, look_at, &f, e);
    if (rc || (f.meta && f.logs))
        return rc;
    if (f.meta || f.kafka)
        return err_set(
            e, ERR_INVALID,
            "%s is a log directory of Apache Kafka and no data directory; `leat kafka import` brings its "
            "topics into one",
            dir);
    if (f.other[0])
        return err_set(e, ERR_INVALID,
                       "%s holds \"%s\" and is no data directory; data.dir must be empty or ours", dir,
                       f.other);
    return ERR_OK;
}
