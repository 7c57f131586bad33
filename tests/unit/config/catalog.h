/*
 * catalog: connectors that exist only as tables, for the tests and the fuzz target of config.
 */
#ifndef TESTS_CONFIG_CATALOG_H
#define TESTS_CONFIG_CATALOG_H

#include <string.h>

#include "config/config.h"

static const struct leat_option tail_rows[] = {
    {.name = "paths",
     .type = LEAT_LIST,
     .flags = LEAT_REQUIRED | LEAT_READS_PATH,
     .importance = LEAT_HIGH,
     .doc = "Files to read.",
     .example = "/var/log/*.log"},
    {.name = "start",
     .type = LEAT_CHOICE,
     .choices = "beginning|end",
     .default_value = "beginning",
     .importance = LEAT_MEDIUM,
     .doc = "Where a new file starts."},
    {.name = "line.max.bytes",
     .type = LEAT_SIZE,
     .default_value = "1MiB",
     .min = 16,
     .max = 64 << 20,
     .importance = LEAT_LOW,
     .doc = "The longest line."},
    {.name = "poll.interval",
     .type = LEAT_DURATION,
     .default_value = "1s",
     .min = 1,
     .max = 3600000,
     .importance = LEAT_LOW,
     .doc = "How often to look."},
    {.name = "mask.with.*.chars",
     .type = LEAT_LIST,
     .importance = LEAT_LOW,
     .doc = "Fields shown as so many stars.",
     .example = "a,b"},
    {.name = "limit.*", .type = LEAT_INT, .min = 1, .max = 9, .importance = LEAT_LOW, .doc = "Of a field."},
};
static const char *const tail_aliases[] = {"org.apache.kafka.connect.file.FileStreamSourceConnector", NULL};
static const struct leat_connector tail_source = {
    .struct_size = sizeof(struct leat_connector),
    .kind = LEAT_SOURCE,
    .type = "tail",
    .aliases = tail_aliases,
    .summary = "Follows files",
    .doc = "Reads lines.",
    .example = "type: tail\npaths: [/var/log/*.log]\n",
    .options = tail_rows,
    .option_count = sizeof(tail_rows) / sizeof(tail_rows[0]),
};

static const struct leat_connector db_source = {
    .struct_size = sizeof(struct leat_connector),
    .kind = LEAT_SOURCE,
    .type = "db",
    .summary = "Names its topics",
    .doc = "Reads tables.",
    .example = "type: db\n",
    .flags = LEAT_NAMES_TOPICS | LEAT_WRITES_SCHEMAS | LEAT_RECORDS_ALIKE,
};

static const struct leat_option dir_rows[] = {
    {.name = "directory",
     .type = LEAT_STRING,
     .flags = LEAT_REQUIRED | LEAT_WRITES_PATH,
     .importance = LEAT_HIGH,
     .doc = "Where files go.",
     .example = "'out': /x y"},
    {.name = "flush.size",
     .type = LEAT_INT,
     .default_value = "1000",
     .min = 1,
     .max = INT64_MAX,
     .importance = LEAT_HIGH,
     .doc = "Records a file."},
    {.name = "ratio",
     .type = LEAT_DOUBLE,
     .default_value = "0.5",
     .min = 0,
     .max = 1,
     .importance = LEAT_LOW,
     .doc = "A fraction."},
    {.name = "sync",
     .type = LEAT_BOOL,
     .default_value = "true",
     .importance = LEAT_LOW,
     .doc = "Whether to sync."},
    {.name = "password",
     .type = LEAT_STRING,
     .flags = LEAT_SECRET,
     .importance = LEAT_MEDIUM,
     .doc = "A secret."},
    {.name = "pin",
     .type = LEAT_INT,
     .flags = LEAT_SECRET,
     .min = 0,
     .max = 9999,
     .importance = LEAT_LOW,
     .doc = "A secret number."},
    {.name = "fields",
     .type = LEAT_LIST,
     .default_value = "key, value",
     .importance = LEAT_LOW,
     .doc = "Which parts."},
};
static const struct leat_connector dir_sink = {
    .struct_size = sizeof(struct leat_connector),
    .kind = LEAT_SINK,
    .type = "dir",
    .summary = "Writes files",
    .doc = "Files with a pipe | in the text.",
    .example = "type: dir\ndirectory: /out\n",
    .options = dir_rows,
    .option_count = sizeof(dir_rows) / sizeof(dir_rows[0]),
};

static const struct leat_connector null_sink = {
    .struct_size = sizeof(struct leat_connector),
    .kind = LEAT_SINK,
    .type = "null",
    .summary = "Drops records",
    .example = "type: \"null\"\n",
};

static const struct leat_connector *const catalog_all[] = {&tail_source, &dir_sink, &null_sink, &db_source};

static const struct leat_connector *catalog_at(void *arg, size_t i)
{
    (void)arg;
    return i < sizeof(catalog_all) / sizeof(catalog_all[0]) ? catalog_all[i] : NULL;
}

static const struct leat_connector *catalog_find(void *arg, enum leat_kind kind, const char *type)
{
    const struct leat_connector *c;
    for (size_t i = 0; (c = catalog_at(arg, i)); i++) {
        if (c->kind != kind)
            continue;
        if (strcmp(c->type, type) == 0)
            return c;
        for (size_t k = 0; c->aliases && c->aliases[k]; k++)
            if (strcmp(c->aliases[k], type) == 0)
                return c;
    }
    return NULL;
}

static const struct connector_catalog catalog = {.find = catalog_find, .at = catalog_at};

#endif
