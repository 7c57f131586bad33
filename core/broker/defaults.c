/*
 * defaults: what the hub gives to topics that do not say otherwise. The hub tells it at every start; it is kept in the
 * metadata log, as KRaft keeps a cluster's dynamic broker settings (ConfigRecord of the resource BROKER ""), so that a
 * command that opens the directory without a hub goes by the same retention and limits. One thread: start-up.
 */
#include "broker/defaults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/mem.h"
#include "broker/meta.h"

#define NUM_PARTITIONS "num.partitions"

static int replace(struct topic_defaults *d, const struct topic_config_entry *change, size_t n, struct err *e)
{
    struct topic_config_entry *merged;
    size_t count;
    int rc = topic_config_merge_list(d->list, d->n, change, n, &merged, &count, e);
    if (rc)
        return rc;
    topic_config_free(d->list, d->n);
    d->list = merged;
    d->n = count;
    return ERR_OK;
}

int defaults_replay(struct topic_defaults *d, const char *key, const char *value, struct err *e)
{
    struct err why;
    const struct topic_config_def *def = topic_config_of_hub(key);
    if (strcmp(key, NUM_PARTITIONS) == 0) {
        long n = value ? strtol(value, NULL, 10) : 1;
        d->partitions = n >= 1 && n <= TOPIC_PARTITIONS_MAX ? (int32_t)n : 1;
        return ERR_OK;
    }
    if (!def)
        return ERR_OK; /* a setting that Kafka knows and we do not go by */
    if (value && topic_config_check(def->name, value, &why)) {
        diag_warn("broker", "the stored default %s is passed over: %s", key, why.text);
        return ERR_OK;
    }
    const struct topic_config_entry change = {def->name, value};
    return replace(d, &change, 1, e);
}

static struct meta_record record_of(const char *key, const char *value)
{
    return (struct meta_record){.kind = META_CONFIG,
                                .resource = META_RESOURCE_BROKER,
                                .name = text_of(""),
                                .key = text_of(key),
                                .value = text_of(value)};
}

static int check_given(const struct topic_config_entry *given, size_t n, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < n && !rc; i++) {
        const struct topic_config_def *def = topic_config_find(given[i].name, e);
        rc = def ? topic_config_check(given[i].name, given[i].value, e) : e->code;
        if (!rc && !def->hub)
            rc = err_set(e, ERR_INVALID_CONFIG, "%s: only topics can have it", def->name);
    }
    return rc;
}

/* Records that turn what is stored into what was given; `records` has room for both lists and one more. */
static size_t differences(const struct topic_defaults *stored, const struct topic_config_entry *given,
                          size_t n, const char *partitions, struct meta_record *records)
{
    size_t count = 0;
    struct err unused;
    for (size_t i = 0; i < n; i++) {
        const struct topic_config_entry *was =
            topic_config_entry_find(stored->list, stored->n, given[i].name);
        if (!was || strcmp(was->value, given[i].value) != 0)
            records[count++] = record_of(topic_config_find(given[i].name, &unused)->hub, given[i].value);
    }
    for (size_t i = 0; i < stored->n; i++)
        if (!topic_config_entry_find(given, n, stored->list[i].name))
            records[count++] = record_of(topic_config_find(stored->list[i].name, &unused)->hub, NULL);
    if (strtol(partitions, NULL, 10) != stored->partitions)
        records[count++] = record_of(NUM_PARTITIONS, partitions);
    return count;
}

int defaults_take(struct broker *b, const struct broker_options *o, struct err *e)
{
    struct topic_defaults *d = &b->defaults;
    char partitions[16];
    int rc = check_given(o->defaults, o->default_count, e);
    if (rc)
        return rc;
    snprintf(partitions, sizeof partitions, "%d", o->num_partitions ? o->num_partitions : 1);
    struct meta_record *records = mem_calloc(d->n + o->default_count + 1, sizeof *records);
    if (!records)
        return err_nomem(e);
    size_t n = differences(d, o->defaults, o->default_count, partitions, records);
    if (n)
        rc = meta_append(b, records, n, e);
    mem_free(records);
    if (rc)
        return rc;
    topic_config_free(d->list, d->n);
    d->list = NULL;
    d->n = 0;
    d->partitions = o->num_partitions ? o->num_partitions : 1;
    return replace(d, o->defaults, o->default_count, e);
}
