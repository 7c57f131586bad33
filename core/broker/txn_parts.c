/*
 * txn_parts: the sorted set of partitions of a transaction. Pure data.
 */
#include <string.h>

#include "base/mem.h"
#include "broker/txn.h"

static int order(const struct txn_part *a, struct text topic, int32_t partition)
{
    size_t n = strlen(a->topic);
    int c = memcmp(a->topic, topic.p, n < topic.n ? n : topic.n);
    if (c == 0 && n != topic.n)
        c = n < topic.n ? -1 : 1;
    return c ? c : (a->partition > partition) - (a->partition < partition);
}

/* Where it is or belongs. */
static bool locate(const struct txn_parts *p, struct text topic, int32_t partition, size_t *at)
{
    size_t lo = 0, hi = p->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = order(&p->list[mid], topic, partition);
        if (c == 0) {
            *at = mid;
            return true;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *at = lo;
    return false;
}

bool txn_parts_have(const struct txn_parts *p, const char *topic, int32_t partition)
{
    size_t at;
    return locate(p, text_of(topic), partition, &at);
}

int txn_parts_add(struct txn_parts *p, struct text topic, int32_t partition, struct err *e)
{
    size_t at;
    if (locate(p, topic, partition, &at))
        return ERR_OK;
    char *name = mem_strndup(topic.p, topic.n);
    struct txn_part *list = name ? mem_realloc_array(p->list, p->n + 1, sizeof *list) : NULL;
    if (!list) {
        mem_free(name);
        return err_nomem(e);
    }
    p->list = list;
    memmove(&list[at + 1], &list[at], (p->n - at) * sizeof *list);
    list[at] = (struct txn_part){name, partition};
    p->n++;
    return ERR_OK;
}

int txn_parts_copy(const struct txn_parts *from, struct txn_parts *to, struct err *e)
{
    int rc = ERR_OK;
    *to = (struct txn_parts){0};
    for (size_t i = 0; !rc && i < from->n; i++)
        rc = txn_parts_add(to, text_of(from->list[i].topic), from->list[i].partition, e);
    if (rc)
        txn_parts_free(to);
    return rc;
}

void txn_parts_free(struct txn_parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        mem_free(p->list[i].topic);
    mem_free(p->list);
    *p = (struct txn_parts){0};
}
