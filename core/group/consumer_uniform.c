/*
 * consumer_uniform: the assignor `uniform`. See consumer_assign.h.
 *
 * Everybody keeps what it has and may have. Where all subscribed to the same, each has a quota then: who has more gives away, and what
 * nobody has fills up who has less, in order, so that the first assignment gives each a run of partitions. Where subscriptions
 * differ, what nobody has goes topic by topic to the subscriber with the least, and then partitions move from who has more to who
 * has at least two less, until that ends.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "group/consumer_assign.h"

#define NOBODY (-1)
#define ROUNDS_MAX 16 /* of moving: each about halves what is uneven */

struct state {
    struct assign *a;
    int32_t *first;       /* of each topic: where its partitions begin in `owner`; and the end of all */
    int32_t *owner;       /* of each partition: a member's number */
    int32_t *load;        /* of each member: its partitions */
    int32_t *subscribers; /* of all topics, one after the other, */
    int32_t *sub_first;   /* and where those of a topic begin */
    int32_t *order;       /* topics that have most partitions for a subscriber first */
};

static void free_state(struct state *s)
{
    mem_free(s->first);
    mem_free(s->owner);
    mem_free(s->load);
    mem_free(s->subscribers);
    mem_free(s->sub_first);
    mem_free(s->order);
}

static bool index_topics(struct state *s)
{
    const struct assign *a = s->a;
    size_t topics = (size_t)a->topic_count, wishes = 0;
    s->first = mem_calloc(topics + 1, sizeof *s->first);
    s->sub_first = mem_calloc(topics + 2, sizeof *s->sub_first);
    s->order = mem_calloc(topics + 1, sizeof *s->order);
    s->load = mem_calloc((size_t)a->member_count + 1, sizeof *s->load);
    if (s->first == NULL || s->sub_first == NULL || s->order == NULL || s->load == NULL)
        return false;
    for (int32_t t = 0; t < a->topic_count; t++)
        s->first[t + 1] = s->first[t] + a->topics[t].partitions;
    for (int32_t m = 0; m < a->member_count; m++)
        for (int32_t k = 0; k < a->members[m].topic_count; k++, wishes++)
            s->sub_first[a->members[m].topics[k] + 2]++;
    for (int32_t t = 0; t < a->topic_count; t++)
        s->sub_first[t + 2] += s->sub_first[t + 1];
    s->owner = mem_alloc((size_t)s->first[topics] * sizeof *s->owner + 1);
    s->subscribers = mem_calloc(wishes + 1, sizeof *s->subscribers);
    if (s->owner == NULL || s->subscribers == NULL)
        return false;
    for (int32_t m = 0; m < a->member_count; m++) /* sub_first[t + 1] moves on to the end of topic t's */
        for (int32_t k = 0; k < a->members[m].topic_count; k++)
            s->subscribers[s->sub_first[a->members[m].topics[k] + 1]++] = m;
    for (int32_t i = 0; i < s->first[topics]; i++)
        s->owner[i] = NOBODY;
    return true;
}

static int by_id(const void *id, const void *topic)
{
    return memcmp(id, ((const struct assign_topic *)topic)->id.b, sizeof(struct uuid));
}

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* What a member has and may keep. */
static void keep(struct state *s, int32_t number)
{
    const struct assign *a = s->a;
    const struct assign_member *m = &a->members[number];
    for (int32_t i = 0; i < m->before->n; i++) {
        const struct tp *p = &m->before->list[i];
        const struct assign_topic *t =
            bsearch(&p->topic, a->topics, (size_t)a->topic_count, sizeof *a->topics, by_id);
        int32_t index = t != NULL ? (int32_t)(t - a->topics) : NOBODY;
        if (t == NULL || p->partition < 0 || p->partition >= t->partitions ||
            s->owner[s->first[index] + p->partition] != NOBODY ||
            bsearch(&index, m->topics, (size_t)m->topic_count, sizeof index, by_number) == NULL)
            continue;
        s->owner[s->first[index] + p->partition] = number;
        s->load[number]++;
    }
}

/* ---- all subscribed to the same ---- */

static bool same_topics(const struct assign *a)
{
    for (int32_t m = 1; m < a->member_count; m++)
        if (a->members[m].topic_count != a->members[0].topic_count ||
            (a->members[0].topic_count > 0 &&
             memcmp(a->members[m].topics, a->members[0].topics,
                    (size_t)a->members[0].topic_count * sizeof *a->members[0].topics) != 0))
            return false;
    return true;
}

/* Who has more than the least quota now is the first to keep one more. */
static int32_t *quotas(const struct state *s, int32_t total)
{
    int32_t members = s->a->member_count, least = total / members, extra = total % members;
    int32_t *quota = mem_calloc((size_t)members, sizeof *quota);
    for (int32_t m = 0; quota != NULL && m < members; m++) {
        bool more = extra > 0 && s->load[m] > least;
        quota[m] = least + more;
        extra -= more;
    }
    for (int32_t m = 0; quota != NULL && extra > 0 && m < members; m++)
        if (quota[m] == least) {
            quota[m]++;
            extra--;
        }
    return quota;
}

static bool fill_quotas(struct state *s)
{
    int32_t total = s->first[s->a->topic_count], next = 0;
    int32_t *quota = quotas(s, total);
    for (int32_t i = total - 1; quota != NULL && i >= 0; i--) {
        int32_t m = s->owner[i];
        if (m == NOBODY || s->load[m] <= quota[m])
            continue;
        s->owner[i] = NOBODY;
        s->load[m]--;
    }
    for (int32_t i = 0; quota != NULL && i < total; i++) {
        if (s->owner[i] != NOBODY)
            continue;
        while (s->load[next] >= quota[next])
            next++;
        s->owner[i] = next;
        s->load[next]++;
    }
    mem_free(quota);
    return quota != NULL;
}

/* ---- subscriptions differ ---- */

static int32_t subscriber_count(const struct state *s, int32_t t)
{
    return s->sub_first[t + 1] - s->sub_first[t];
}

static int compare_topics(const struct state *s, int32_t x, int32_t y)
{
    int64_t nx = subscriber_count(s, x), ny = subscriber_count(s, y);
    int64_t a = s->a->topics[x].partitions * ny, b = s->a->topics[y].partitions * nx;
    return a != b ? (a > b ? -1 : 1) : nx != ny ? (nx < ny ? -1 : 1) : (x > y) - (x < y);
}

static void sift(const struct state *s, int32_t root, int32_t n)
{
    for (int32_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && compare_topics(s, s->order[child], s->order[child + 1]) < 0)
            child++;
        if (compare_topics(s, s->order[root], s->order[child]) >= 0)
            return;
        int32_t t = s->order[root];
        s->order[root] = s->order[child];
        s->order[child] = t;
    }
}

/* A heap sort, as the order depends on the state. */
static void sort_topics(struct state *s)
{
    int32_t n = s->a->topic_count;
    for (int32_t t = 0; t < n; t++)
        s->order[t] = t;
    for (int32_t i = n / 2; i-- > 0;)
        sift(s, i, n);
    for (int32_t end = n - 1; end > 0; end--) {
        int32_t t = s->order[0];
        s->order[0] = s->order[end];
        s->order[end] = t;
        sift(s, 0, end);
    }
}

static int32_t least_loaded(const struct state *s, int32_t t)
{
    int32_t best = NOBODY;
    for (int32_t i = s->sub_first[t]; i < s->sub_first[t + 1]; i++)
        if (best == NOBODY || s->load[s->subscribers[i]] < s->load[best])
            best = s->subscribers[i];
    return best;
}

static void give_rest(struct state *s, int32_t t)
{
    for (int32_t i = s->first[t]; i < s->first[t + 1]; i++) {
        if (s->owner[i] != NOBODY)
            continue;
        int32_t m = least_loaded(s, t);
        if (m == NOBODY)
            return;
        s->owner[i] = m;
        s->load[m]++;
    }
}

/* The partition of the topic whose owner has most. */
static int32_t most_loaded(const struct state *s, int32_t t)
{
    int32_t best = NOBODY;
    for (int32_t i = s->first[t]; i < s->first[t + 1]; i++)
        if (s->owner[i] != NOBODY && (best == NOBODY || s->load[s->owner[i]] >= s->load[s->owner[best]]))
            best = i;
    return best;
}

static bool even_out(struct state *s, int32_t t)
{
    bool moved = false;
    for (int32_t from, to; (from = most_loaded(s, t)) != NOBODY; moved = true) {
        to = least_loaded(s, t);
        if (s->load[s->owner[from]] - s->load[to] < 2)
            break;
        s->load[s->owner[from]]--;
        s->load[to]++;
        s->owner[from] = to;
    }
    return moved;
}

static void spread(struct state *s)
{
    bool moved = true;
    sort_topics(s);
    for (int32_t i = 0; i < s->a->topic_count; i++)
        give_rest(s, s->order[i]);
    for (int round = 0; moved && round < ROUNDS_MAX; round++) {
        moved = false;
        for (int32_t i = 0; i < s->a->topic_count; i++)
            moved = even_out(s, s->order[i]) || moved;
    }
}

/* ---- */

static bool tell(struct state *s)
{
    struct assign *a = s->a;
    for (int32_t m = 0; m < a->member_count; m++) {
        a->members[m].after =
            (struct tp_set){mem_alloc((size_t)s->load[m] * sizeof *a->members[m].after.list + 1), 0};
        if (a->members[m].after.list != NULL)
            continue;
        while (m-- > 0)
            tp_set_free(&a->members[m].after);
        return false;
    }
    for (int32_t t = 0; t < a->topic_count; t++)
        for (int32_t i = s->first[t]; i < s->first[t + 1]; i++)
            if (s->owner[i] != NOBODY) {
                struct tp_set *to = &a->members[s->owner[i]].after;
                to->list[to->n++] = (struct tp){a->topics[t].id, i - s->first[t], 0};
            }
    return true;
}

bool assign_uniform(struct assign *a)
{
    struct state s = {.a = a};
    bool made = a->member_count == 0 || index_topics(&s);
    for (int32_t m = 0; made && m < a->member_count; m++)
        keep(&s, m);
    if (made && a->member_count > 0 && same_topics(a) && a->members[0].topic_count == a->topic_count)
        made = fill_quotas(&s);
    else if (made && a->member_count > 0)
        spread(&s);
    made = made && (a->member_count == 0 || tell(&s));
    free_state(&s);
    return made;
}
