/*
 * In which order the streams of a family are read: by `seq`. A stream of which something was emitted has its place for good.
 * The others get theirs with each scan that found all of their family at one moment, as only then their names and times can be
 * compared; until there was such a scan they are not read (must_wait in source_read.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "connectors/file/source.h"

/* What tells how old a file of a family is. */
struct age {
    bool live; /* is written now */
    int64_t mtime_ns, born;
    const char *name, *family; /* without directories */
};

static struct age age_of(const struct stream *s)
{
    const char *real = s->lost && s->twin ? s->twin : s->real;
    return (struct age){.live = !s->lost && strcmp(s->real, s->family) == 0,
                        .mtime_ns = s->mtime_ns,
                        .born = s->inode.born,
                        .name = name_of(real),
                        .family = name_of(s->family)};
}

static struct age age_of_found(const struct found *f)
{
    return (struct age){.live = !f->rotated,
                        .mtime_ns = f->mtime_ns,
                        .born = f->inode.born,
                        .name = name_of(f->real),
                        .family = name_of(f->family)};
}

/* x.log-20260101, not x.log.1, x.log.2.gz */
static bool is_dated(const struct age *a)
{
    size_t n = strlen(a->family);
    if (strcmp(a->name, a->family) == 0)
        return false;
    if (strncmp(a->name, a->family, n) != 0 || a->name[n] != '.')
        return true;
    const char *end = a->name + n;
    size_t digits = strspn(end + 1, "0123456789");
    return digits == 0 || digits >= 6 || (end[digits + 1] != '\0' && end[digits + 1] != '.');
}

/*
 * Below 0: `a` is older. What was rotated is older than what is written now; else by the last change. Of files that were last
 * changed in the same tick of the clock the higher number is older; of those with a date the one that was made first.
 */
static int age_compare(const struct age *a, const struct age *b)
{
    if (a->live != b->live)
        return a->live - b->live;
    if (a->mtime_ns != b->mtime_ns)
        return a->mtime_ns < b->mtime_ns ? -1 : 1;
    bool dated = is_dated(a);
    if (dated != is_dated(b))
        return dated ? -1 : 1;
    if (!dated)
        return strverscmp(b->name, a->name);
    if (a->born != b->born && a->born != 0 && b->born != 0)
        return a->born < b->born ? -1 : 1;
    return strverscmp(a->name, b->name);
}

int order_by_rank(const void *a, const void *b)
{
    const struct found *x = *(struct found *const *)a, *y = *(struct found *const *)b;
    int x_rank = x->rotated + name_is_gzip(x->real), y_rank = y->rotated + name_is_gzip(y->real);
    if (x_rank != y_rank)
        return x_rank - y_rank;
    struct age x_age = age_of_found(x), y_age = age_of_found(y);
    return age_compare(&x_age, &y_age);
}

/* By family, and within one by age. */
static int by_family(const void *a, const void *b)
{
    const struct stream *x = *(struct stream *const *)a, *y = *(struct stream *const *)b;
    int families = strcmp(x->family, y->family);
    if (families != 0)
        return families;
    struct age x_age = age_of(x), y_age = age_of(y);
    int ages = age_compare(&x_age, &y_age);
    return ages != 0 ? ages : x->seq < y->seq ? -1 : x->seq > y->seq;
}

static bool is_unread(const struct stream *s)
{
    return s->attached && s->offset == 0;
}

/* The last place that a stream of the family has for good. */
static uint64_t last_begun(struct source *src, const struct stream *s)
{
    uint64_t last = 0;
    for (struct stream *o = stream_first(src, BY_FAMILY, s->hash[BY_FAMILY]); o; o = o->next[BY_FAMILY])
        if (o->attached && o->offset > 0 && o->seq > last && strcmp(o->family, s->family) == 0)
            last = o->seq;
    return last;
}

/* Sees to it that `seq` goes up within each family, from the ones that were begun on. */
static int number(struct source *src, struct stream **sorted, size_t n, struct err *e)
{
    int rc = ERR_OK;
    uint64_t last = 0;
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        struct stream *s = sorted[i];
        if (i == 0 || strcmp(s->family, sorted[i - 1]->family) != 0)
            last = last_begun(src, s);
        if (s->seq <= last) {
            s->seq = ++src->last_seq;
            rc = stream_dirty(src, s, e);
        }
        last = s->seq;
    }
    return rc;
}

/* New streams, and any whose name or time has changed before something of them was emitted. */
static int place_unread(struct source *src, const struct found_list *list, struct err *e)
{
    struct stream **unread = mem_calloc(src->stream_count + 1, sizeof(struct stream *));
    if (!unread)
        return err_nomem(e);
    size_t n = 0;
    for (size_t i = 0; i < src->stream_count; i++)
        if (is_unread(src->streams[i]) && !scan_is_torn(list, src->streams[i]))
            unread[n++] = src->streams[i];
    qsort(unread, n, sizeof(struct stream *), by_family);
    int rc = number(src, unread, n, e);
    mem_free(unread);
    return rc;
}

int order_place(struct source *src, const struct found_list *list, struct err *e)
{
    size_t unread = 0;
    for (size_t i = 0; i < src->stream_count; i++) {
        struct stream *s = src->streams[i];
        if (!s->attached || scan_is_torn(list, s))
            continue;
        s->sound = src->scan_number;
        unread += is_unread(s);
    }
    return unread > 0 ? place_unread(src, list, e) : ERR_OK;
}

int order_twin(struct stream *s, const char *real, struct err *e)
{
    if (s->twin && strcmp(s->twin, real) == 0)
        return ERR_OK;
    char *copy = mem_strdup(real);
    if (!copy)
        return err_nomem(e);
    mem_free(s->twin);
    s->twin = copy;
    return ERR_OK;
}
