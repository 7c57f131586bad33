/*
 * defaults: what the hub gives to topics that do not say otherwise, in layers (enum hub_layer), each kept in the metadata log as KRaft
 * keeps a cluster's dynamic broker settings, ConfigRecord of a resource BROKER: "1" of this node, "" of the cluster, and "file" what
 * the hub's configuration said when it last ran, so that a command that opens the directory without a hub goes by the same
 * retention and limits. The hub tells the file's at every start (one thread: start-up); the others are changed under the admin lock.
 *
 * Until there were layers the file's settings were kept under "". "file" is written at every hub's first start, with num.partitions:
 * where it is missing, "" is what a file said.
 */
#include "broker/defaults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/mem.h"
#include "broker/broker_config.h"
#include "broker/meta.h"

#define NUM_PARTITIONS "num.partitions"

static const char *const resources[] = {[HUB_NODE] = "1", [HUB_CLUSTER] = "", [HUB_FILE] = "file"};

void defaults_free(struct topic_defaults *d)
{
    for (int i = 0; i < HUB_LAYERS; i++)
        config_list_free(&d->layers[i]);
    topic_config_free(d->list, d->n);
    d->list = NULL;
    d->n = 0;
}

static const struct topic_config_entry *of_layers(const struct config_list *layers, const char *hub)
{
    const struct topic_config_entry *found = NULL;
    for (int i = 0; i < HUB_LAYERS && !found; i++)
        found = topic_config_entry_find(layers[i].list, layers[i].n, hub);
    return found;
}

/* What the layers come to. */
static int in_force(const struct config_list *layers, struct config_list *out, struct err *e)
{
    size_t count, n = 0;
    const struct topic_config_def *defs = topic_config_defs(&count);
    struct topic_config_entry *list = mem_calloc(count + 1, sizeof *list);
    if (!list)
        return err_nomem(e);
    for (size_t i = 0; i < count; i++) {
        const struct topic_config_entry *found = defs[i].hub ? of_layers(layers, defs[i].hub) : NULL;
        if (found)
            list[n++] = (struct topic_config_entry){defs[i].name, found->value};
    }
    int rc = topic_config_merge_list(list, n, NULL, 0, &out->list, &out->n, e); /* a copy */
    mem_free(list);
    return rc;
}

/* Takes the lists over, also after an error. */
static int replace(struct topic_defaults *d, enum hub_layer layer, struct config_list with, struct err *e)
{
    struct config_list layers[HUB_LAYERS], now;
    memcpy(layers, d->layers, sizeof layers);
    layers[layer] = with;
    int rc = in_force(layers, &now, e);
    if (rc) {
        config_list_free(&with);
        return rc;
    }
    config_list_free(&d->layers[layer]);
    d->layers[layer] = with;
    topic_config_free(d->list, d->n);
    d->list = now.list;
    d->n = now.n;
    return ERR_OK;
}

/* ---- start ------------------------------------------------------------------------------------------------------ */

int defaults_replay(struct topic_defaults *d, const char *resource, const char *key, const char *value,
                    struct err *e)
{
    struct err why;
    struct config_list merged;
    const struct topic_config_def *def = topic_config_of_hub(key);
    int layer = 0;
    while (layer < HUB_LAYERS && strcmp(resources[layer], resource) != 0)
        layer++;
    if (layer == HUB_LAYERS)
        return ERR_OK;
    d->marked = d->marked || layer == HUB_FILE;
    if (strcmp(key, NUM_PARTITIONS) == 0) {
        long n = value ? strtol(value, NULL, 10) : 1;
        d->partitions = n >= 1 && n <= TOPIC_PARTITIONS_MAX ? (int32_t)n : 1;
        return ERR_OK;
    }
    if (def && value && topic_config_check(def->name, value, &why)) {
        diag_warn("broker", "the stored default %s is passed over: %s", key, why.text);
        return ERR_OK;
    }
    const struct topic_config_entry change = {key, value};
    int rc = topic_config_merge_list(d->layers[layer].list, d->layers[layer].n, &change, 1, &merged.list,
                                     &merged.n, e);
    return rc ? rc : replace(d, (enum hub_layer)layer, merged, e);
}

static struct meta_record record_of(enum hub_layer layer, const char *key, const char *value)
{
    const struct topic_config_entry c = {key, value};
    return meta_config_record(META_RESOURCE_BROKER, resources[layer], &c);
}

/* What the options give, by the names of the hub's settings. */
static int given_list(const struct broker_options *o, struct config_list *out, struct err *e)
{
    struct topic_config_entry *list = mem_calloc(o->default_count + 1, sizeof *list);
    int rc = list ? ERR_OK : err_nomem(e);
    for (size_t i = 0; i < o->default_count && !rc; i++) {
        const struct topic_config_def *def = topic_config_find(o->defaults[i].name, e);
        rc = def ? topic_config_check(def->name, o->defaults[i].value, e) : e->code;
        if (!rc && !def->hub)
            rc = err_set(e, ERR_INVALID_CONFIG, "%s: only topics can have it", def->name);
        if (!rc)
            list[i] = (struct topic_config_entry){def->hub, o->defaults[i].value};
    }
    if (!rc)
        rc = topic_config_merge_list(list, o->default_count, NULL, 0, &out->list, &out->n, e);
    mem_free(list);
    return rc;
}

/* Records that turn what is stored into what was given; `records` has room for all lists and two more. */
static size_t differences(const struct topic_defaults *d, const struct config_list *given,
                          const char *partitions, struct meta_record *records)
{
    size_t count = 0;
    const struct config_list *stored = &d->layers[HUB_FILE], *older = &d->layers[HUB_CLUSTER];
    for (size_t i = 0; i < given->n; i++) {
        const struct topic_config_entry *was =
            topic_config_entry_find(stored->list, stored->n, given->list[i].name);
        if (!was || strcmp(was->value, given->list[i].value) != 0)
            records[count++] = record_of(HUB_FILE, given->list[i].name, given->list[i].value);
    }
    for (size_t i = 0; i < stored->n; i++)
        if (!topic_config_entry_find(given->list, given->n, stored->list[i].name))
            records[count++] = record_of(HUB_FILE, stored->list[i].name, NULL);
    if (!d->marked || strtol(partitions, NULL, 10) != d->partitions)
        records[count++] = record_of(HUB_FILE, NUM_PARTITIONS, partitions);
    for (size_t i = 0; i < older->n && !d->marked; i++)
        records[count++] = record_of(HUB_CLUSTER, older->list[i].name, NULL);
    return count;
}

int defaults_take(struct broker *b, const struct broker_options *o, struct err *e)
{
    struct topic_defaults *d = &b->defaults;
    struct config_list given;
    char partitions[16];
    int rc = given_list(o, &given, e);
    if (rc)
        return rc;
    snprintf(partitions, sizeof partitions, "%d", o->num_partitions ? o->num_partitions : 1);
    size_t room = d->layers[HUB_FILE].n + d->layers[HUB_CLUSTER].n + given.n + 2;
    struct meta_record *records = mem_calloc(room, sizeof *records);
    size_t n = records ? differences(d, &given, partitions, records) : 0;
    rc = !records ? err_nomem(e) : n ? meta_append(b, records, n, e) : ERR_OK;
    mem_free(records);
    if (rc) {
        config_list_free(&given);
        return rc;
    }
    if (!d->marked)
        config_list_free(&d->layers[HUB_CLUSTER]);
    d->marked = true;
    d->partitions = o->num_partitions ? o->num_partitions : 1;
    return replace(d, HUB_FILE, given, e);
}

/* ---- at run time ------------------------------------------------------------------------------------------------ */

static int check_changeable(const struct config_change *c, struct err *e)
{
    const struct topic_config_def *d = topic_config_of_hub(c->name);
    bool known = broker_config_find(c->name) != NULL;
    if (c->op != CONFIG_DELETE && ((d && d->type == TOPIC_CONFIG_REFUSED) || (!d && known)))
        return err_set(e, ERR_INVALID, "Cannot update these configs dynamically: Set(%.100s)", c->name);
    if (strlen(c->name) > BROKER_CONFIG_NAME_MAX || (c->value && strlen(c->value) > BROKER_CONFIG_VALUE_MAX))
        return err_set(e, ERR_INVALID, "a broker setting's name has at most %d bytes, its value %d",
                       BROKER_CONFIG_NAME_MAX, BROKER_CONFIG_VALUE_MAX);
    return ERR_OK;
}

static int append_changes(struct broker *b, enum hub_layer layer, const struct config_list *entries,
                          struct err *e)
{
    struct meta_record *records = mem_calloc(entries->n + 1, sizeof *records);
    if (!records)
        return err_nomem(e);
    for (size_t i = 0; i < entries->n; i++)
        records[i] = record_of(layer, entries->list[i].name, entries->list[i].value);
    int rc = meta_append(b, records, entries->n, e);
    mem_free(records);
    return rc;
}

/* Everything that can fail comes before the change is durable. */
static int change_layer(struct broker *b, enum hub_layer layer, const struct config_list *entries,
                        bool try_only, struct err *e)
{
    struct topic_defaults *d = &b->defaults, next = {.partitions = d->partitions};
    struct config_list merged, now = {0}, older = d->layers[layer];
    struct topic_settings **settings = NULL;
    size_t n = 0;
    int rc =
        topic_config_merge_list(older.list, older.n, entries->list, entries->n, &merged.list, &merged.n, e);
    if (rc)
        return rc;
    memcpy(next.layers, d->layers, sizeof next.layers);
    next.layers[layer] = merged;
    if (merged.n > BROKER_CONFIGS_MAX)
        rc = err_set(e, ERR_INVALID, "more than %d settings of brokers", BROKER_CONFIGS_MAX);
    if (!rc && !(rc = in_force(next.layers, &now, e))) {
        next.list = now.list;
        next.n = now.n;
        rc = topic_settings_for_all(b, &next, &settings, &n, e);
    }
    if (!rc && !try_only && entries->n)
        rc = append_changes(b, layer, entries, e);
    if (rc || try_only || entries->n == 0) {
        topic_settings_list_discard(settings, n);
        config_list_free(&now);
        config_list_free(&merged);
        return rc;
    }
    struct config_list was = {d->list, d->n};
    pthread_rwlock_wrlock(&b->topics.lock);
    d->layers[layer] = merged;
    d->list = now.list;
    d->n = now.n;
    pthread_rwlock_unlock(&b->topics.lock);
    config_list_free(&older);
    config_list_free(&was);
    topic_settings_publish_all(b, settings, n);
    return ERR_OK;
}

int broker_change_hub(struct broker *b, enum hub_layer layer, const struct config_change *changes, size_t n,
                      bool replace_all, bool try_only, struct err *e)
{
    struct config_list entries = {0};
    int rc = n > BROKER_CONFIGS_MAX
                 ? err_set(e, ERR_INVALID, "more than %d settings of a broker at once", BROKER_CONFIGS_MAX)
                 : ERR_OK;
    for (size_t i = 0; i < n && !rc; i++)
        rc = check_changeable(&changes[i], e);
    if (rc)
        return rc;
    pthread_mutex_lock(&b->admin);
    rc = config_changes_resolve(changes, n, replace_all, true, &b->defaults.layers[layer], &b->defaults,
                                &entries, e);
    if (!rc)
        rc = change_layer(b, layer, &entries, try_only, e);
    pthread_mutex_unlock(&b->admin);
    config_list_free(&entries);
    return rc;
}

int broker_hub_settings(struct broker *b, enum hub_layer layer, struct topic_config_entry **list, size_t *n,
                        struct err *e)
{
    pthread_rwlock_rdlock(&b->topics.lock);
    const struct config_list *l = &b->defaults.layers[layer];
    int rc = topic_config_merge_list(l->list, l->n, NULL, 0, list, n, e);
    pthread_rwlock_unlock(&b->topics.lock);
    return rc;
}

void broker_hub_settings_free(struct topic_config_entry *list, size_t n)
{
    topic_config_free(list, n);
}
