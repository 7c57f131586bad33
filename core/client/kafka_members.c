/*
 * kafka_members: who is in a cluster's groups, and what each reads, as librdkafka tells it: of consumer groups of the classic protocol. Of
 * others (KIP-848 before its 2.10, share groups) it tells their names and states only. Any thread.
 */
#include <string.h>

#include "base/mem.h"
#include "client/kafka.h"

enum { GROUPS_AT_ONCE = 50 };            /* librdkafka sends a request for each, all at once */
#define TELLS_CONSUMER_GROUPS 0x020a0000 /* from this version on, those of KIP-848, too */

static char *copy(const char *text, bool *made)
{
    char *to = mem_strdup(text ? text : "");
    *made = *made && to;
    return to;
}

static struct client_members *named(struct client_members *list, size_t n, const char *group)
{
    size_t i = 0;
    while (i < n && strcmp(list[i].group, group) != 0)
        i++;
    return i < n ? &list[i] : NULL;
}

static int take_member(const rd_kafka_MemberDescription_t *from, struct client_member *m, struct err *e)
{
    const rd_kafka_MemberAssignment_t *assigned = rdk.MemberDescription_assignment(from);
    const rd_kafka_topic_partition_list_t *list = assigned ? rdk.MemberAssignment_partitions(assigned) : NULL;
    size_t count = list ? (size_t)list->cnt : 0;
    const char *instance = rdk.MemberDescription_group_instance_id(from);
    bool made = true;
    m->member = copy(rdk.MemberDescription_consumer_id(from), &made);
    m->client_id = copy(rdk.MemberDescription_client_id(from), &made);
    m->host = copy(rdk.MemberDescription_host(from), &made);
    m->instance = instance ? copy(instance, &made) : NULL;
    if (!made || !(m->partitions = mem_calloc(count + 1, sizeof *m->partitions)))
        return err_nomem(e);
    for (; made && m->partition_count < count; m->partition_count++)
        m->partitions[m->partition_count] =
            (struct client_member_partition){.topic = copy(list->elems[m->partition_count].topic, &made),
                                             .partition = list->elems[m->partition_count].partition};
    return made ? ERR_OK : err_nomem(e);
}

/* Nothing of one that is gone, or is of another protocol: Kafka says the same of both. */
static int take_group(const rd_kafka_ConsumerGroupDescription_t *from, struct client_members *g,
                      struct err *e)
{
    const rd_kafka_error_t *error = rdk.ConsumerGroupDescription_error(from);
    rd_kafka_consumer_group_state_t state = rdk.ConsumerGroupDescription_state(from);
    rd_kafka_resp_err_t code = error ? rdk.error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    size_t count = rdk.ConsumerGroupDescription_member_count(from);
    bool made = true;
    if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND ||
        (!error && state == RD_KAFKA_CONSUMER_GROUP_STATE_DEAD))
        return ERR_OK;
    if (error && code != RD_KAFKA_RESP_ERR__INVALID_ARG)
        return kafka_err(e, code, rdk.error_string(error), "group %s", g->group);
    g->there = true;
    if (error) { /* its members are something else than consumers: Connect's workers, say */
        g->untold = copy(rdk.error_string(error), &made);
        return made ? ERR_OK : err_nomem(e);
    }
    g->type = rdk.version() < TELLS_CONSUMER_GROUPS ? "classic" : NULL;
    g->state = copy(rdk.consumer_group_state_name(state), &made);
    g->assignor = copy(rdk.ConsumerGroupDescription_partition_assignor(from), &made);
    if (!made || !(g->members = mem_calloc(count + 1, sizeof *g->members)))
        return err_nomem(e);
    int rc = ERR_OK;
    for (; g->count < count && rc == ERR_OK; g->count++)
        rc = take_member(rdk.ConsumerGroupDescription_member(from, g->count), &g->members[g->count], e);
    return rc;
}

static int describe(struct kafka_client *k, struct client_members *list, size_t n, struct err *e)
{
    const char *names[GROUPS_AT_ONCE];
    struct kafka_request r;
    size_t count = 0;
    const rd_kafka_ConsumerGroupDescription_t **got = NULL;
    for (size_t i = 0; i < n; i++)
        names[i] = list[i].group;
    int rc = kafka_request_new(k, &r, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, false, e);
    if (rc == ERR_OK) {
        rdk.DescribeConsumerGroups(k->any, names, n, r.options, r.queue);
        rc = kafka_request_wait(&r, "members of groups", e);
    }
    if (rc == ERR_OK)
        got = rdk.DescribeConsumerGroups_result_groups(rdk.event_DescribeConsumerGroups_result(r.event),
                                                       &count);
    for (size_t i = 0; rc == ERR_OK && i < count; i++) {
        struct client_members *g = named(list, n, rdk.ConsumerGroupDescription_group_id(got[i]));
        if (g)
            rc = take_group(got[i], g, e);
    }
    kafka_request_free(&r);
    return rc;
}

/* Those of which nothing was told, though they are there: as the list of all groups has them. */
static int list_rest(struct kafka_client *k, struct client_members *list, size_t n, struct err *e)
{
    struct kafka_request r;
    size_t count = 0;
    const rd_kafka_ConsumerGroupListing_t **all = NULL;
    bool made = true;
    int rc = kafka_request_new(k, &r, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, false, e);
    if (rc == ERR_OK) {
        rdk.ListConsumerGroups(k->any, r.options, r.queue);
        rc = kafka_request_wait(&r, "the list of groups", e);
    }
    if (rc == ERR_OK)
        all = rdk.ListConsumerGroups_result_valid(rdk.event_ListConsumerGroups_result(r.event), &count);
    for (size_t i = 0; made && i < count; i++) {
        struct client_members *g = named(list, n, rdk.ConsumerGroupListing_group_id(all[i]));
        if (!g || g->there)
            continue;
        g->there = true;
        g->state = copy(rdk.consumer_group_state_name(rdk.ConsumerGroupListing_state(all[i])), &made);
        g->untold =
            mem_printf("librdkafka %s tells members of groups of the classic protocol only, and this is none",
                       rdk.version_str());
        made = made && g->untold;
    }
    kafka_request_free(&r);
    return made ? rc : err_nomem(e);
}

int kafka_members(struct client *c, const char *const *groups, size_t n, struct client_members **out,
                  struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    struct client_members *list = mem_calloc(n + 1, sizeof *list);
    bool made = list != NULL, all = true;
    *out = NULL;
    for (size_t i = 0; made && i < n; i++)
        list[i].group = copy(groups[i], &made);
    int rc = made ? ERR_OK : err_nomem(e);
    for (size_t from = 0; rc == ERR_OK && from < n; from += GROUPS_AT_ONCE)
        rc = describe(k, list + from, n - from < GROUPS_AT_ONCE ? n - from : GROUPS_AT_ONCE, e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        all = all && list[i].there;
    if (rc == ERR_OK && !all)
        rc = list_rest(k, list, n, e);
    if (rc == ERR_OK)
        *out = list;
    else
        client_members_free(list, n);
    return rc;
}
