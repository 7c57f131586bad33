/*
 * consumer_sets: see consumer_sets.h.
 */
#include "group/consumer_sets.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int tp_compare(const void *a, const void *b)
{
    const struct tp *x = a, *y = b;
    int order = memcmp(x->topic.b, y->topic.b, sizeof x->topic.b);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

void tp_set_sort(struct tp_set *s)
{
    int32_t kept = 0;
    if (s->n > 1)
        qsort(s->list, (size_t)s->n, sizeof *s->list, tp_compare);
    for (int32_t i = 0; i < s->n; i++)
        if (kept == 0 || tp_compare(&s->list[kept - 1], &s->list[i]) != 0)
            s->list[kept++] = s->list[i];
    s->n = kept;
}

void tp_set_free(struct tp_set *s)
{
    mem_free(s->list);
    *s = (struct tp_set){NULL, 0};
}

const struct tp *tp_set_find(const struct tp_set *s, const struct tp *p)
{
    return s->n > 0 ? bsearch(p, s->list, (size_t)s->n, sizeof *s->list, tp_compare) : NULL;
}

bool tp_set_has(const struct tp_set *s, const struct tp *p)
{
    return tp_set_find(s, p) != NULL;
}

bool tp_set_within(const struct tp_set *a, const struct tp_set *b)
{
    for (int32_t i = 0; i < a->n; i++)
        if (!tp_set_has(b, &a->list[i]))
            return false;
    return true;
}

bool tp_set_meet(const struct tp_set *a, const struct tp_set *b)
{
    for (int32_t i = 0; i < a->n; i++)
        if (tp_set_has(b, &a->list[i]))
            return true;
    return false;
}

bool tp_set_equal(const struct tp_set *a, const struct tp_set *b)
{
    return a->n == b->n && tp_set_within(a, b);
}

static bool room(struct tp_set *s, int32_t n)
{
    *s = (struct tp_set){mem_alloc((size_t)n * sizeof *s->list + 1), 0};
    return s->list != NULL;
}

bool tp_set_pick(const struct tp_set *a, const struct tp_set *b, bool in, struct tp_set *out)
{
    if (!room(out, a->n))
        return false;
    for (int32_t i = 0; i < a->n; i++)
        if (tp_set_has(b, &a->list[i]) == in)
            out->list[out->n++] = a->list[i];
    return true;
}

bool tp_set_join(const struct tp_set *a, const struct tp_set *b, struct tp_set *out)
{
    int32_t i = 0, k = 0;
    if (!room(out, a->n + b->n))
        return false;
    while (i < a->n || k < b->n) {
        int order = i == a->n ? 1 : k == b->n ? -1 : tp_compare(&a->list[i], &b->list[k]);
        out->list[out->n++] = order <= 0 ? a->list[i] : b->list[k];
        i += order <= 0;
        k += order >= 0;
    }
    return true;
}

bool tp_set_copy(const struct tp_set *a, struct tp_set *out)
{
    const struct tp_set none = {NULL, 0};
    return tp_set_pick(a, &none, false, out);
}
