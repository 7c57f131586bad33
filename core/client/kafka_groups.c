/*
 * kafka_groups: groups' committed offsets in a cluster, through librdkafka's requests of administration. They are committed
 * for a group without members, as Leat's own tasks share partitions out by themselves. Any thread.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/kafka.h"

enum { GROUPS_AT_ONCE = 50 }; /* requests on their way: one asks about one group only */
enum { SETTLE_MS = 10000, LOOK_MS = 100 };

static int group_outcome(const rd_kafka_group_result_t *result, const char *group, struct err *e)
{
    const rd_kafka_error_t *error = rdk.group_result_error(result);
    if (!error)
        return ERR_OK;
    rd_kafka_resp_err_t code = rdk.error_code(error);
    if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
        return err_set(e, ERR_UNKNOWN_GROUP, "there is no group \"%s\"", group);
    return kafka_err(e, code, rdk.error_string(error), "group %s", group);
}

/* The first error of an answer's partitions. */
static int partitions_outcome(const rd_kafka_group_result_t *result, const char *group, struct err *e)
{
    const rd_kafka_topic_partition_list_t *list = rdk.group_result_partitions(result);
    for (int i = 0; list && i < list->cnt; i++)
        if (list->elems[i].err)
            return kafka_err(e, list->elems[i].err, NULL, "group %s, %s-%d", group, list->elems[i].topic,
                             list->elems[i].partition);
    return ERR_OK;
}

/* The coordinator moves or has just started (as with the first group of a cluster): its answer is waited for, a while. */
static bool again(int64_t since, int rc)
{
    if (rc != ERR_BUSY || clock_mono_ms() - since >= SETTLE_MS)
        return false;
    usleep(LOOK_MS * 1000);
    return true;
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

static int by_partition(const void *a, const void *b)
{
    const struct group_offset *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);
    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static int take_offsets(const rd_kafka_group_result_t *from, struct group_info *g, struct err *e)
{
    const rd_kafka_topic_partition_list_t *list = rdk.group_result_partitions(from);
    int count = list ? list->cnt : 0;
    int rc = group_outcome(from, rdk.group_result_name(from), e);
    if (rc == ERR_OK)
        rc = partitions_outcome(from, g->group, e);
    if (rc == ERR_OK && !(g->offsets = mem_calloc((size_t)count + 1, sizeof *g->offsets)))
        rc = err_nomem(e);
    for (int i = 0; rc == ERR_OK && i < count; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        if (one->offset < 0)
            continue;
        struct group_offset *o = &g->offsets[g->count++];
        *o = (struct group_offset){
            .topic = mem_strdup(one->topic),
            .partition = one->partition,
            .offset = one->offset,
            .leader_epoch = -1,
            .commit_ms = -1, /* not told */
            .metadata = one->metadata_size ? mem_strndup(one->metadata, one->metadata_size) : NULL};
        if (!o->topic || (one->metadata_size && !o->metadata))
            rc = err_nomem(e);
    }
    if (rc == ERR_OK)
        qsort(g->offsets, g->count, sizeof *g->offsets, by_partition);
    return rc;
}

static void forget_offsets(struct group_info *g)
{
    struct group_info had = {.offsets = g->offsets, .count = g->count};
    group_info_free(&had);
    g->offsets = NULL;
    g->count = 0;
}

static struct group_info *named(struct group_info *list, size_t n, const char *group)
{
    size_t i = 0;
    while (i < n && strcmp(list[i].group, group) != 0)
        i++;
    return i < n ? &list[i] : NULL;
}

/*
 * The handle that asks for offsets. An answer that says "another coordinator" or "not yet", as a broker gives that has just
 * started, makes librdkafka (2.0.2 to 2.15 at least: rd_kafka_handle_OffsetFetch) give its handle's own group something to do,
 * by way of a NULL pointer where the handle has none. So this one has a group. It never joins, and any would do: the first that
 * is asked for is one that we may look at, presumably.
 */
static rd_kafka_t *grouped(struct kafka_client *k, const char *group, struct err *e)
{
    pthread_mutex_lock(&k->lock);
    if (!k->grouped)
        k->grouped =
            kafka_handle(k, RD_KAFKA_CONSUMER,
                         (const struct kafka_need[]){{"group.id", group}, {"enable.auto.commit", "false"}}, 2,
                         NULL, &k->trouble, e);
    rd_kafka_t *rk = k->grouped;
    pthread_mutex_unlock(&k->lock);
    return rk;
}

/* Fills in the offsets of groups whose names are there: all of them asked for, then all answers taken. */
static int fill_once(struct kafka_client *k, struct group_info *list, size_t n, struct err *e)
{
    struct kafka_request r = {0};
    rd_kafka_t *rk = grouped(k, list[0].group, e);
    int rc =
        rk ? kafka_request_through(rk, k, &r, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, false, e) : e->code;
    size_t asked = 0, count;
    for (; rc == ERR_OK && asked < n; asked++) {
        rd_kafka_ListConsumerGroupOffsets_t *ask = rdk.ListConsumerGroupOffsets_new(list[asked].group, NULL);
        rdk.ListConsumerGroupOffsets(rk, &ask, 1, r.options, r.queue);
        rdk.ListConsumerGroupOffsets_destroy(ask);
    }
    for (size_t i = 0; rc == ERR_OK && i < asked; i++) {
        rc = kafka_request_wait(&r, "offsets of groups", e);
        const rd_kafka_group_result_t **got =
            rc ? NULL
               : rdk.ListConsumerGroupOffsets_result_groups(
                     rdk.event_ListConsumerGroupOffsets_result(r.event), &count);
        struct group_info *g = got && count == 1 ? named(list, n, rdk.group_result_name(got[0])) : NULL;
        if (g)
            rc = take_offsets(got[0], g, e);
    }
    kafka_request_free(&r);
    return rc;
}

static int fill_some(struct kafka_client *k, struct group_info *list, size_t n, struct err *e)
{
    int64_t since = clock_mono_ms();
    int rc;
    while (again(since, rc = fill_once(k, list, n, e)))
        for (size_t i = 0; i < n; i++)
            forget_offsets(&list[i]);
    return rc;
}

static int take_names(const rd_kafka_event_t *event, struct group_info **list, size_t *n, struct err *e)
{
    size_t count, failed;
    const rd_kafka_ListConsumerGroups_result_t *result =
        rdk.event_ListConsumerGroups_result((rd_kafka_event_t *)(uintptr_t)event);
    const rd_kafka_ConsumerGroupListing_t **groups = rdk.ListConsumerGroups_result_valid(result, &count);
    const rd_kafka_error_t **errors = rdk.ListConsumerGroups_result_errors(result, &failed);
    *n = 0;
    if (failed) /* a broker did not tell: the list would not be whole */
        return kafka_err(e, rdk.error_code(errors[0]), rdk.error_string(errors[0]), "the list of groups");
    *list = mem_calloc(count + 1, sizeof **list);
    if (!*list)
        return err_nomem(e);
    for (; *n < count; ++*n)
        if (!((*list)[*n].group = mem_strdup(rdk.ConsumerGroupListing_group_id(groups[*n]))))
            return err_nomem(e);
    return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct group_info *)a)->group, ((const struct group_info *)b)->group);
}

int kafka_groups(struct client *c, struct group_info **list, size_t *n, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    struct kafka_request r;
    *list = NULL;
    *n = 0;
    int rc = kafka_request_new(k, &r, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, false, e);
    if (rc == ERR_OK) {
        rdk.ListConsumerGroups(k->any, r.options, r.queue);
        rc = kafka_request_wait(&r, "the list of groups", e);
    }
    if (rc == ERR_OK)
        rc = take_names(r.event, list, n, e);
    kafka_request_free(&r);
    if (rc == ERR_OK)
        qsort(*list, *n, sizeof **list, by_name);
    for (size_t from = 0; rc == ERR_OK && from < *n; from += GROUPS_AT_ONCE)
        rc = fill_some(k, *list + from, *n - from < GROUPS_AT_ONCE ? *n - from : GROUPS_AT_ONCE, e);
    if (rc && *list)
        group_infos_free(*list, *n);
    return rc;
}

int kafka_group(struct client *c, const char *group, struct group_info *out, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    *out = (struct group_info){.group = mem_strdup(group)};
    int rc = out->group ? fill_some(k, out, 1, e) : err_nomem(e);
    if (rc == ERR_OK && out->count == 0)
        rc = err_set(e, ERR_UNKNOWN_GROUP, "there is no group \"%s\"", group);
    if (rc)
        group_info_free(out);
    return rc;
}

int kafka_stored_offset(struct kafka_client *k, const char *group, const char *topic, int32_t partition,
                        int64_t *offset, struct err *e)
{
    struct group_info g = {.group = mem_strdup(group)};
    int rc = g.group ? fill_some(k, &g, 1, e) : err_nomem(e);
    *offset = -1;
    for (size_t i = 0; rc == ERR_OK && i < g.count; i++)
        if (g.offsets[i].partition == partition && strcmp(g.offsets[i].topic, topic) == 0)
            *offset = g.offsets[i].offset;
    group_info_free(&g);
    return rc;
}

/* ---- writing ----------------------------------------------------------------------------------------------------------- */

static int alter(struct kafka_client *k, const char *group, const rd_kafka_topic_partition_list_t *list,
                 struct err *e)
{
    struct kafka_request r;
    size_t n;
    rd_kafka_AlterConsumerGroupOffsets_t *change = rdk.AlterConsumerGroupOffsets_new(group, list);
    int rc = kafka_request_new(k, &r, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, false, e);
    if (rc == ERR_OK) {
        rdk.AlterConsumerGroupOffsets(k->any, &change, 1, r.options, r.queue);
        rc = kafka_request_wait(&r, group, e);
    }
    if (rc == ERR_OK) {
        const rd_kafka_group_result_t **got = rdk.AlterConsumerGroupOffsets_result_groups(
            rdk.event_AlterConsumerGroupOffsets_result(r.event), &n);
        for (size_t i = 0; rc == ERR_OK && i < n; i++)
            if ((rc = group_outcome(got[i], group, e)) == ERR_OK)
                rc = partitions_outcome(got[i], group, e);
    }
    kafka_request_free(&r);
    rdk.AlterConsumerGroupOffsets_destroy(change);
    return rc;
}

static int forget(struct kafka_client *k, const char *group, const rd_kafka_topic_partition_list_t *list,
                  struct err *e)
{
    struct kafka_request r;
    size_t n;
    rd_kafka_DeleteConsumerGroupOffsets_t *change = rdk.DeleteConsumerGroupOffsets_new(group, list);
    int rc = kafka_request_new(k, &r, RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS, false, e);
    if (rc == ERR_OK) {
        rdk.DeleteConsumerGroupOffsets(k->any, &change, 1, r.options, r.queue);
        rc = kafka_request_wait(&r, group, e);
    }
    if (rc == ERR_OK) {
        const rd_kafka_group_result_t **got = rdk.DeleteConsumerGroupOffsets_result_groups(
            rdk.event_DeleteConsumerGroupOffsets_result(r.event), &n);
        for (size_t i = 0; rc == ERR_OK && i < n; i++)
            if ((rc = group_outcome(got[i], group, e)) == ERR_OK)
                rc = partitions_outcome(got[i], group, e);
    }
    kafka_request_free(&r);
    rdk.DeleteConsumerGroupOffsets_destroy(change);
    return rc;
}

static int commit_once(struct client *c, const char *group, const struct group_offset *offsets, size_t n,
                       struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    rd_kafka_topic_partition_list_t *kept = rdk.topic_partition_list_new((int)n),
                                    *gone = rdk.topic_partition_list_new(1);
    int rc = ERR_OK;
    for (size_t i = 0; i < n; i++) {
        rd_kafka_topic_partition_t *one = rdk.topic_partition_list_add(
            offsets[i].offset < 0 ? gone : kept, offsets[i].topic, offsets[i].partition);
        one->offset = offsets[i].offset < 0 ? RD_KAFKA_OFFSET_INVALID : offsets[i].offset;
    }
    if (kept->cnt)
        rc = alter(k, group, kept, e);
    if (rc == ERR_OK && gone->cnt)
        rc = forget(k, group, gone, e);
    rdk.topic_partition_list_destroy(kept);
    rdk.topic_partition_list_destroy(gone);
    return rc;
}

int kafka_commit_offsets(struct client *c, const char *group, const struct group_offset *offsets, size_t n,
                         struct err *e)
{
    int64_t since = clock_mono_ms();
    int rc;
    do
        rc = commit_once(c, group, offsets, n, e);
    while (again(since, rc));
    return rc;
}

static int delete_once(struct client *c, const char *group, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    struct kafka_request r;
    size_t n;
    rd_kafka_DeleteGroup_t *gone = rdk.DeleteGroup_new(group);
    int rc = kafka_request_new(k, &r, RD_KAFKA_ADMIN_OP_DELETEGROUPS, false, e);
    if (rc == ERR_OK) {
        rdk.DeleteGroups(k->any, &gone, 1, r.options, r.queue);
        rc = kafka_request_wait(&r, group, e);
    }
    if (rc == ERR_OK) {
        const rd_kafka_group_result_t **got =
            rdk.DeleteGroups_result_groups(rdk.event_DeleteGroups_result(r.event), &n);
        for (size_t i = 0; rc == ERR_OK && i < n; i++)
            rc = group_outcome(got[i], group, e);
    }
    kafka_request_free(&r);
    rdk.DeleteGroup_destroy(gone);
    return rc;
}

int kafka_delete_group(struct client *c, const char *group, struct err *e)
{
    int64_t since = clock_mono_ms();
    int rc;
    do
        rc = delete_once(c, group, e);
    while (again(since, rc));
    return rc;
}
