/*
 * consumer_range: the assignor `range`, and the table of assignors. See consumer_assign.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "group/consumer_assign.h"

assign_fn *assign_by_name(const char *name)
{
    return strcmp(name, "uniform") == 0 ? assign_uniform : strcmp(name, "range") == 0 ? assign_range : NULL;
}

static int by_instance(const void *a, const void *b)
{
    const struct assign_member *x = *(struct assign_member *const *)a, *y = *(struct assign_member *const *)b;
    if (x->instance != NULL && y->instance != NULL)
        return strcmp(x->instance, y->instance);
    if (x->instance != NULL || y->instance != NULL)
        return x->instance != NULL ? -1 : 1;
    return strcmp(x->id, y->id);
}

/* How far a topic is given away. */
struct range {
    int32_t subscribers;
    int32_t met; /* subscribers that have theirs */
};

static int32_t begin_of(const struct range *r, int32_t partitions, int32_t k)
{
    int32_t least = partitions / r->subscribers, extra = partitions % r->subscribers;
    return k * least + (k < extra ? k : extra);
}

static bool give(const struct assign *a, struct range *ranges, struct assign_member *m)
{
    int32_t n = 0;
    for (int32_t i = 0; i < m->topic_count; i++) {
        const struct range *r = &ranges[m->topics[i]];
        int32_t partitions = a->topics[m->topics[i]].partitions;
        n += begin_of(r, partitions, r->met + 1) - begin_of(r, partitions, r->met);
    }
    m->after.list = mem_alloc((size_t)n * sizeof *m->after.list + 1);
    if (m->after.list == NULL)
        return false;
    for (int32_t i = 0; i < m->topic_count; i++) {
        const struct assign_topic *t = &a->topics[m->topics[i]];
        struct range *r = &ranges[m->topics[i]];
        int32_t p = begin_of(r, t->partitions, r->met);
        r->met++;
        for (int32_t end = begin_of(r, t->partitions, r->met); p < end; p++)
            m->after.list[m->after.n++] = (struct tp){t->id, p, 0};
    }
    return true; /* in order, as topics are by id */
}

bool assign_range(struct assign *a)
{
    struct assign_member **order = mem_calloc((size_t)a->member_count + 1, sizeof(struct assign_member *));
    struct range *ranges = mem_calloc((size_t)a->topic_count + 1, sizeof *ranges);
    bool made = order != NULL && ranges != NULL;
    for (int32_t i = 0; made && i < a->member_count; i++) {
        order[i] = &a->members[i];
        for (int32_t k = 0; k < a->members[i].topic_count; k++)
            ranges[a->members[i].topics[k]].subscribers++;
    }
    if (made)
        qsort(order, (size_t)a->member_count, sizeof(struct assign_member *), by_instance);
    for (int32_t i = 0; made && i < a->member_count; i++)
        made = give(a, ranges, order[i]);
    for (int32_t i = 0; !made && i < a->member_count; i++)
        tp_set_free(&a->members[i].after);
    mem_free(order);
    mem_free(ranges);
    return made;
}
