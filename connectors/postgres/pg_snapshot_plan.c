/*
 * pg_snapshot_plan: which tables a snapshot reads, and in which order.
 *
 * Each row is read once, as the table whose changes the stream will bring: a table by ONLY, as its children are tables
 * themselves; where the publication publishes by the root, a partitioned table as one with all its partitions, else each
 * partition by itself. The order is Debezium's: by the first expression of table.include.list that matches, then by name.
 * Task's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "pg_snapshot.h"

/* A relation of the catalog, while the plan is made. Texts are the result's. */
struct relation {
    uint32_t oid;
    const char *schema, *name;
    const char *ancestors; /* ",12,34," from the nearest up; "" */
    bool partitioned, heap;
    bool captured;
    double estimate;
    char *id;
    size_t rank; /* index of the first expression of table.include.list that matches */
};

struct relations {
    PGresult *result;
    struct relation *all;
    size_t count;
};

static const char relations_sql[] =
    "SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', coalesce(a.amname = 'heap', false), c.reltuples, "
    "CASE WHEN c.relispartition THEN (SELECT ',' || string_agg(x.relid::oid::text, ',' ORDER BY x.n) || ',' "
    "FROM pg_partition_ancestors(c.oid) WITH ORDINALITY x(relid, n) WHERE x.relid <> c.oid) ELSE '' END "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am a ON a.oid = c.relam "
    "WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' "
    "AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";

static void relations_free(struct relations *r)
{
    for (size_t i = 0; i < r->count; i++)
        mem_free(r->all[i].id);
    mem_free(r->all);
    PQclear(r->result);
}

static bool is_true(const PGresult *r, int row, int column)
{
    return PQgetvalue(r, row, column)[0] == 't';
}

static int relations_read(struct pg_snapshot *s, struct relations *out, struct err *e)
{
    *out = (struct relations){0};
    out->result = pg_query(s->sql, e, "reading the list of tables", relations_sql, 0, NULL);
    if (!out->result)
        return e->code;
    int n = PQntuples(out->result);
    out->all = mem_calloc((size_t)n + 1, sizeof *out->all);
    if (!out->all)
        return err_nomem(e);
    for (int i = 0; i < n; i++) {
        struct relation *r = &out->all[i];
        r->oid = (uint32_t)strtoul(PQgetvalue(out->result, i, 0), NULL, 10);
        r->schema = PQgetvalue(out->result, i, 1);
        r->name = PQgetvalue(out->result, i, 2);
        r->partitioned = is_true(out->result, i, 3);
        r->heap = is_true(out->result, i, 4);
        r->estimate = strtod(PQgetvalue(out->result, i, 5), NULL);
        r->ancestors = PQgetvalue(out->result, i, 6);
        r->captured = cdc_captures(s->t->cdc, r->schema, r->name) &&
                      !cdc_is_signal_table(s->t->cdc, r->schema, r->name);
        r->id = mem_printf("%s.%s", r->schema, r->name);
        out->count++;
        if (!r->id)
            return err_nomem(e);
    }
    return ERR_OK;
}

static bool descends_from(const struct relation *r, uint32_t oid)
{
    char text[16];
    snprintf(text, sizeof text, ",%u,", oid);
    return strstr(r->ancestors, text) != NULL;
}

/* ---- which are tables of the events ------------------------------------------------------------------------------ */

/* Whether a captured relation matches `want` among those above it. */
static bool any_ancestor(const struct relations *all, const struct relation *r,
                         bool (*want)(const struct relation *a, const void *arg), const void *arg)
{
    if (!r->ancestors[0])
        return false;
    for (size_t i = 0; i < all->count; i++)
        if (all->all[i].partitioned && descends_from(r, all->all[i].oid) && want(&all->all[i], arg))
            return true;
    return false;
}

static bool is_captured(const struct relation *r, const void *arg)
{
    (void)arg;
    return r->captured;
}

static bool has_captured_partition(const struct relations *all, const struct relation *root)
{
    for (size_t i = 0; i < all->count; i++)
        if (!all->all[i].partitioned && all->all[i].captured && descends_from(&all->all[i], root->oid))
            return true;
    return false;
}

/*
 * A partitioned table of which the filters leave no partition is read itself also where partitions are published, as Debezium
 * does; its changes are then not captured either way.
 */
static bool is_table(const struct relations *all, const struct relation *r, bool by_root)
{
    if (!r->captured)
        return false;
    if (by_root)
        return !any_ancestor(all, r, is_captured, NULL);
    return !r->partitioned || !has_captured_partition(all, r);
}

static bool is_listed(const struct relation *r, const void *collections)
{
    return cdc_filter_matches(collections, r->id);
}

/* A partition is asked for by its root's name, too. */
static bool is_wanted(const struct relations *all, const struct relation *r, const struct cdc_filter *list)
{
    return !list || is_listed(r, list) || any_ancestor(all, r, is_listed, list);
}

static int published_by_root(struct pg_snapshot *s, bool *out, struct err *e)
{
    const char *name = s->t->host->get_str(s->t->config, "publication.name");
    PGresult *r = pg_query(s->sql, e, "reading the publication",
                           "SELECT pubviaroot FROM pg_publication WHERE pubname = $1", 1, &name);
    if (!r)
        return e->code;
    *out = PQntuples(r) == 1 && is_true(r, 0, 0);
    PQclear(r);
    return ERR_OK;
}

/* ---- order -------------------------------------------------------------------------------------------------------- */

static int by_order(const void *a, const void *b)
{
    const struct relation *x = *(const struct relation *const *)a, *y = *(const struct relation *const *)b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return strcmp(x->id, y->id);
}

static int by_rows(const void *a, const void *b)
{
    const struct relation *x = *(const struct relation *const *)a, *y = *(const struct relation *const *)b;
    if (x->estimate != y->estimate)
        return x->estimate < y->estimate ? -1 : 1;
    return by_order(a, b);
}

static int by_rows_down(const void *a, const void *b)
{
    const struct relation *x = *(const struct relation *const *)a, *y = *(const struct relation *const *)b;
    return x->estimate != y->estimate ? by_rows(b, a) : by_order(a, b);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int rank(struct pg_snapshot *s, struct relations *all, struct err *e)
{
    const char *const *items;
    size_t n = s->t->host->get_list(s->t->config, "table.include.list", &items);
    struct cdc_filter list;
    int rc = cdc_filter_read("table.include.list", items, n, &list, e);
    for (size_t i = 0; i < all->count && rc == ERR_OK; i++)
        while (all->all[i].rank < list.count &&
               !cdc_regex_matches(list.items[all->all[i].rank], all->all[i].id))
            all->all[i].rank++;
    if (rc == ERR_OK)
        cdc_filter_free(&list);
    return rc;
}

/* ---- the plan ----------------------------------------------------------------------------------------------------- */

void snap_table_free(struct snap_table *t)
{
    if (!t)
        return;
    snap_table_release(t);
    for (size_t i = 0; i < t->part_count; i++) {
        mem_free(t->parts[i].schema);
        mem_free(t->parts[i].name);
    }
    mem_free(t->parts);
    mem_free(t->schema);
    mem_free(t->name);
    mem_free(t->id);
    mem_free(t->select);
    mem_free(t);
}

void snap_plan_free(struct snap_plan *p)
{
    while (p->tables) {
        struct snap_table *t = p->tables;
        p->tables = t->next;
        snap_table_free(t);
    }
    mem_free(p->read_ids);
    mem_free(p->captured_ids);
    *p = (struct snap_plan){0};
}

static int add_part(struct pg_snapshot *s, struct snap_table *t, const struct relation *r, struct err *e)
{
    struct snap_part *parts = mem_realloc_array(t->parts, t->part_count + 1, sizeof *parts);
    if (!parts)
        return err_nomem(e);
    t->parts = parts;
    struct snap_part *p = &parts[t->part_count++];
    *p = (struct snap_part){.oid = r->oid, .heap = r->heap && s->t->server.version >= 140000};
    p->schema = mem_strdup(r->schema);
    p->name = mem_strdup(r->name);
    if (!p->schema || !p->name)
        return err_nomem(e);
    if (r->estimate < 0)
        t->estimate = -1;
    else if (t->estimate >= 0)
        t->estimate += r->estimate;
    return ERR_OK;
}

/* A SELECT of the user's: of the signal, or of the options. */
static int find_select(struct pg_snapshot *s, const struct snap_request *r, struct snap_table *t,
                       struct err *e)
{
    const char *select = NULL;
    for (size_t i = 0; i < r->condition_count && !select; i++)
        if (strcmp(r->conditions[i].collection, t->id) == 0)
            select = r->conditions[i].select;
    if (!select && !r->blocking)
        return snap_override(s->t, t->id, &t->select, e);
    t->select = select ? snap_select_dup(select) : NULL;
    return select && !t->select ? err_nomem(e) : ERR_OK;
}

static int add_table(struct pg_snapshot *s, const struct snap_request *r, const struct relations *all,
                     const struct relation *rel, struct snap_table ***tail, struct err *e)
{
    struct snap_table *t = mem_calloc(1, sizeof *t);
    if (!t)
        return err_nomem(e);
    **tail = t;
    *tail = &t->next;
    s->plan.count++;
    t->oid = rel->oid;
    t->schema = mem_strdup(rel->schema);
    t->name = mem_strdup(rel->name);
    t->id = mem_strdup(rel->id);
    if (!t->schema || !t->name || !t->id)
        return err_nomem(e);
    int rc = find_select(s, r, t, e);
    /* Read by a SELECT there is one part, whatever the table is. */
    if (rc != ERR_OK || t->select || !rel->partitioned)
        return rc == ERR_OK ? add_part(s, t, rel, e) : rc;
    for (size_t i = 0; i < all->count && rc == ERR_OK; i++)
        if (!all->all[i].partitioned && descends_from(&all->all[i], rel->oid))
            rc = add_part(s, t, &all->all[i], e);
    return rc;
}

/* ---- lists for notifications -------------------------------------------------------------------------------------- */

static int join(const char *const *ids, size_t n, char **out, struct err *e)
{
    struct buf b;
    buf_init(&b, SIZE_MAX / 2);
    int rc = buf_reserve(&b, 1, e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        if ((rc = buf_str(&b, ids[i], e)) == ERR_OK && i + 1 < n)
            rc = buf_u8(&b, ',', e);
    if (rc == ERR_OK && !(*out = mem_strndup((const char *)b.data, b.len)))
        rc = err_nomem(e);
    buf_free(&b);
    return rc;
}

struct placed {
    uint32_t bucket;
    size_t place; /* in the order of the plan, for those in one bucket */
    const char *id;
};

static int by_bucket(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->bucket != y->bucket)
        return x->bucket < y->bucket ? -1 : 1;
    return x->place < y->place ? -1 : 1;
}

/* Debezium lists the tables that are being read in the order of a java.util.HashSet. */
static int order_as_set(const char **ids, size_t n, struct err *e)
{
    size_t buckets = 16;
    struct placed *placed = mem_calloc(n + 1, sizeof *placed);
    if (!placed)
        return err_nomem(e);
    while (n > buckets / 4 * 3)
        buckets *= 2;
    for (size_t i = 0; i < n; i++) {
        uint32_t h = (uint32_t)java_string_hash(ids[i], strlen(ids[i]));
        placed[i] = (struct placed){(h ^ h >> 16) & (uint32_t)(buckets - 1), i, ids[i]};
    }
    if (n > 1)
        qsort(placed, n, sizeof *placed, by_bucket);
    for (size_t i = 0; i < n; i++)
        ids[i] = placed[i].id;
    mem_free(placed);
    return ERR_OK;
}

/* Both lists: of the tables that are read, and of those that were asked for (with the signal table), by name. */
static int list_ids(struct pg_snapshot *s, const struct relations *all, bool blocking, struct err *e)
{
    size_t n = 0, captured = 0;
    const char **ids = mem_calloc(s->plan.count + all->count + 1, sizeof *ids);
    if (!ids)
        return err_nomem(e);
    for (const struct snap_table *t = s->plan.tables; t; t = t->next)
        ids[n++] = t->id;
    int rc = order_as_set(ids, n, e);
    if (rc == ERR_OK)
        rc = join(ids, n, &s->plan.read_ids, e);
    for (size_t i = 0; i < all->count; i++)
        if (all->all[i].captured || cdc_is_signal_table(s->t->cdc, all->all[i].schema, all->all[i].name))
            ids[captured++] = all->all[i].id;
    if (captured > 1)
        qsort(ids, captured, sizeof *ids, by_name);
    if (rc == ERR_OK)
        rc = join(ids, blocking ? 0 : captured, &s->plan.captured_ids, e);
    mem_free(ids);
    return rc;
}

static int choose(struct pg_snapshot *s, const struct snap_request *r, struct relations *all,
                  const struct relation **chosen, size_t *n, struct err *e)
{
    bool by_root;
    /* As the choices of the option. */
    static int (*const orders[])(const void *, const void *) = {by_order, by_rows, by_rows_down};
    int64_t order = s->t->host->get_int(s->t->config, "snapshot.tables.order.by.row.count");
    int rc = published_by_root(s, &by_root, e);
    if (rc == ERR_OK)
        rc = rank(s, all, e);
    *n = 0;
    for (size_t i = 0; i < all->count && rc == ERR_OK; i++)
        if (is_table(all, &all->all[i], by_root) && is_wanted(all, &all->all[i], r->collections))
            chosen[(*n)++] = &all->all[i];
    if (rc == ERR_OK && *n > 1)
        qsort(chosen, *n, sizeof *chosen, orders[order]);
    return rc;
}

int snap_plan_make(struct pg_snapshot *s, const struct snap_request *r, struct err *e)
{
    struct relations all;
    const struct relation **chosen = NULL;
    size_t n = 0;
    struct snap_table **tail = &s->plan.tables;
    int rc = relations_read(s, &all, e);
    if (rc == ERR_OK && !(chosen = mem_calloc(all.count + 1, sizeof *chosen)))
        rc = err_nomem(e);
    if (rc == ERR_OK)
        rc = choose(s, r, &all, chosen, &n, e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = add_table(s, r, &all, chosen[i], &tail, e);
    if (rc == ERR_OK)
        rc = list_ids(s, &all, r->blocking, e);
    mem_free(chosen);
    relations_free(&all);
    return rc;
}
