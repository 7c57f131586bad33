/*
 * features: the features of this node as ApiVersions tells them, all of them finalized for good (KIP-584), and UpdateFeatures. To offer a
 * feature: a row in the table, once what it means is whole.
 */
#include <stdio.h>
#include <string.h>

#include "server/apis.h"

#define EPOCH 1      /* of the finalized features: they never change */
#define ZERO_SINCE 4 /* older clients do not take a feature whose lowest version is 0 */

static const struct feature {
    const char *name;
    int16_t min, max;
    int16_t finalized; /* 0: not, so it is off */
} table[] = {
    {"group.version", 0, 1, 1},       /* KIP-848 */
    {"metadata.version", 7, 30, 30},  /* what Kafka 4.3 has: topic ids, directories of replicas, features */
    {"transaction.version", 0, 2, 2}, /* KIP-890 */
};

enum { COUNT = sizeof table / sizeof *table };

bool features_tell(struct request *c, struct msg_api_versions_response *r)
{
    r->supported_features.items = request_alloc(c, COUNT, sizeof *r->supported_features.items);
    if (r->supported_features.items == NULL)
        return false;
    r->finalized_features.items = request_alloc(c, COUNT, sizeof *r->finalized_features.items);
    if (r->finalized_features.items == NULL)
        return false;
    r->finalized_features_epoch = EPOCH;
    for (size_t i = 0; i < COUNT; i++) {
        struct msg_string name = msg_text(table[i].name, strlen(table[i].name));
        if (table[i].min > 0 || c->header.version >= ZERO_SINCE)
            r->supported_features.items[r->supported_features.count++] =
                (struct msg_api_versions_response_supported_feature_key){
                    .name = name, .min_version = table[i].min, .max_version = table[i].max};
        if (table[i].finalized > 0)
            r->finalized_features.items[r->finalized_features.count++] =
                (struct msg_api_versions_response_finalized_feature_key){
                    .name = name,
                    .max_version_level = table[i].finalized,
                    .min_version_level = table[i].finalized};
    }
    return true;
}

/* ---- UpdateFeatures ---- */

static const struct feature *find(struct msg_string name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (name.n >= 0 && strlen(table[i].name) == (size_t)name.n &&
            memcmp(table[i].name, name.p, (size_t)name.n) == 0)
            return &table[i];
    return NULL;
}

#define UPGRADE_TYPES 3 /* upgrade, safe and unsafe downgrade, from 1 on */

/* What is finalized stays: the same level again is fine. */
static int check_update(int32_t node, const struct msg_update_features_request_feature_update_key *u,
                        struct err *e)
{
    const struct feature *f = find(u->feature);
    int n = u->feature.n > 100 ? 100 : u->feature.n, level = u->max_version_level;
    char why[160];
    if (u->upgrade_type < 1 || u->upgrade_type > UPGRADE_TYPES)
        snprintf(why, sizeof why, "The controller does not support the given upgrade type.");
    else if (f == NULL)
        snprintf(why, sizeof why, "Local controller %d does not support this feature.", node);
    else if (level == f->finalized)
        return ERR_OK;
    else if (level < f->min || level > f->max)
        snprintf(why, sizeof why, "Local controller %d only supports versions %d-%d", node, f->min, f->max);
    else
        snprintf(why, sizeof why, "It stays at %d: levels are not changed here.", f->finalized);
    return err_set(e, ERR_INVALID,
                   "The update failed for all features since the following feature had an error: Invalid "
                   "update version %d for feature %.*s. %s",
                   level, n, u->feature.p, why);
}

/* All together, or none. */
void api_update_features(struct request *c)
{
    const struct msg_update_features_request *q = c->asked;
    struct msg_update_features_response r;
    struct err e = {0};
    msg_init(&msg_schema_update_features_response, &r);
    for (int32_t i = 0; i < q->feature_updates.count && e.code == ERR_OK; i++)
        check_update(api_node(c), &q->feature_updates.items[i], &e);
    r.error_code = e.code != ERR_OK ? KAFKA_INVALID_UPDATE_VERSION : 0;
    r.error_message = api_error_text(c, &e);
    int32_t n = e.code == ERR_OK ? q->feature_updates.count : 0;
    r.results.items = request_alloc(c, (size_t)n, sizeof *r.results.items);
    if (r.results.items == NULL)
        return;
    r.results.count = n;
    for (int32_t i = 0; i < n; i++)
        r.results.items[i] = (struct msg_update_features_response_updatable_feature_result){
            .feature = q->feature_updates.items[i].feature, .error_message = MSG_NULL_STRING};
    request_reply(c, &r);
}
