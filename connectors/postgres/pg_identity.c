/*
 * pg_identity: see pg_identity.h. An item is <expression>:<identity>, where the expression is on schema.table and has neither
 * blank nor colon, and the identity DEFAULT, FULL, NOTHING or INDEX <name>. Task's thread.
 */
#include "pg_identity.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "kit/cdc/cdc_filter.h"
#include "pg_query.h"

#define OPTION "replica.identity.autoset.values"
#define NAME_BYTES 63 /* bytes of a name: NAMEDATALEN - 1 */
#define STATEMENT_BYTES 4096
#define LOCK_S "10" /* so long the table's lock is waited for: whoever comes behind us waits, too */

struct rule {
    struct cdc_filter tables;
    const char *words; /* as ALTER TABLE has them; NULL: an index */
    char kind;         /* pg_class.relreplident */
    char index[NAME_BYTES + 1];
};

struct rules {
    struct rule *items;
    size_t n;
};

/* ---- the option -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    char kind;
} kinds[] = {{"DEFAULT", 'd'}, {"FULL", 'f'}, {"NOTHING", 'n'}};

/* "INDEX name" */
static bool read_index(const char *text, size_t n, struct rule *out)
{
    if (n < 7 || strncasecmp(text, "INDEX ", 6) != 0)
        return false;
    text += 6;
    n -= 6;
    if (n > NAME_BYTES || memchr(text, ' ', n))
        return false;
    memcpy(out->index, text, n);
    out->kind = 'i';
    return true;
}

static bool read_identity(const char *text, size_t n, struct rule *out)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (n == strlen(kinds[i].name) && strncasecmp(text, kinds[i].name, n) == 0) {
            out->words = kinds[i].name;
            out->kind = kinds[i].kind;
            return true;
        }
    return read_index(text, n, out);
}

static int read_rule(const char *item, struct rule *out, struct err *e)
{
    while (isspace((unsigned char)*item))
        item++;
    size_t n = strlen(item), key = strcspn(item, " \t:");
    while (n > 0 && isspace((unsigned char)item[n - 1]))
        n--;
    if (key == 0 || item[key] != ':' || !read_identity(item + key + 1, n - key - 1, out))
        return err_set(e, ERR_INVALID_CONFIG,
                       OPTION ": '%s' is not <expression>:DEFAULT, :FULL, :NOTHING or :INDEX <name>", item);
    char *expression = mem_strndup(item, key);
    if (!expression)
        return err_nomem(e);
    const char *one = expression;
    int rc = cdc_filter_read(OPTION, &one, 1, &out->tables, e);
    mem_free(expression);
    return rc;
}

static void free_rules(struct rules *r)
{
    for (size_t i = 0; i < r->n; i++)
        cdc_filter_free(&r->items[i].tables);
    mem_free(r->items);
}

static int read_rules(const struct leat_host *h, const struct leat_config *c, struct rules *out,
                      struct err *e)
{
    const char *const *items;
    size_t n = h->get_list(c, OPTION, &items);
    *out = (struct rules){.items = mem_calloc(n + 1, sizeof *out->items), .n = n};
    if (!out->items)
        return err_nomem(e);
    int rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = read_rule(items[i], &out->items[i], e);
    if (rc != ERR_OK)
        free_rules(out);
    return rc;
}

int pg_identity_validate(const struct leat_host *host, const struct leat_config *config, struct err *e)
{
    struct rules rules;
    int rc = read_rules(host, config, &rules, e);
    if (rc == ERR_OK)
        free_rules(&rules);
    return rc;
}

/* ---- the tables -------------------------------------------------------------------------------------------------- */

static const char tables_sql[] =
    "SELECT n.nspname, c.relname, c.relreplident, coalesce((SELECT x.relname FROM pg_index i JOIN pg_class x "
    "ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident), '') FROM pg_class c JOIN "
    "pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND "
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast' ORDER BY 1, 2";

enum { SCHEMA, TABLE, KIND, INDEX };

static int find_rule(const struct rules *rules, const char *schema, const char *table,
                     const struct rule **out, struct err *e)
{
    char *name = mem_printf("%s.%s", schema, table);
    if (!name)
        return err_nomem(e);
    int rc = ERR_OK;
    *out = NULL;
    for (size_t i = 0; i < rules->n && rc == ERR_OK; i++) {
        if (!cdc_filter_matches(&rules->items[i].tables, name))
            continue;
        if (*out)
            rc = err_set(e, ERR_INVALID_CONFIG, OPTION ": more than one expression matches %s", name);
        *out = &rules->items[i];
    }
    mem_free(name);
    return rc;
}

static int statement(const struct rule *rule, const char *schema, const char *table, struct buf *b,
                     struct err *e)
{
    int rc = buf_str(b, "ALTER TABLE ", e);
    rc = rc ? rc : pg_quote_name(b, schema, e);
    rc = rc ? rc : buf_u8(b, '.', e);
    rc = rc ? rc : pg_quote_name(b, table, e);
    rc = rc ? rc : buf_str(b, rule->words ? " REPLICA IDENTITY " : " REPLICA IDENTITY USING INDEX ", e);
    rc = rc ? rc : rule->words ? buf_str(b, rule->words, e) : pg_quote_name(b, rule->index, e);
    return rc ? rc : buf_u8(b, '\0', e);
}

static int run(struct pg_task *t, const char *sql, struct err *e)
{
    PGresult *r = pg_query(t->sql, e, "cannot set the replica identity", sql, 0, NULL);
    PQclear(r);
    return r ? ERR_OK : e->code;
}

static int change(struct pg_task *t, const struct rule *rule, const char *schema, const char *table,
                  struct err *e)
{
    struct buf b;
    buf_init(&b, STATEMENT_BYTES);
    int rc = statement(rule, schema, table, &b, e);
    const char *sql = (const char *)b.data;
    if (rc == ERR_OK && run(t, sql, e) == ERR_OK) {
        t->host->log(t->task, LEAT_INFO, OPTION ": %s", sql);
    } else if (rc == ERR_OK && PQstatus(t->sql) == CONNECTION_OK &&
               PQtransactionStatus(t->sql) == PQTRANS_IDLE) {
        t->host->log(t->task, LEAT_WARN, OPTION ": %.400s; let somebody who may do it run: %.300s", e->text,
                     sql);
    } else if (rc == ERR_OK) {
        rc = e->code; /* the connection is lost, or we are asked to stop */
    }
    buf_free(&b);
    return rc;
}

static int set_all(struct pg_task *t, const struct rules *rules, struct err *e)
{
    PGresult *r = pg_query(t->sql, e, "cannot list the tables", tables_sql, 0, NULL);
    if (!r)
        return e->code;
    int rc = ERR_OK;
    for (int i = 0; i < PQntuples(r) && rc == ERR_OK; i++) {
        const char *schema = PQgetvalue(r, i, SCHEMA), *table = PQgetvalue(r, i, TABLE);
        const struct rule *rule = NULL;
        if (cdc_captures(t->cdc, schema, table))
            rc = find_rule(rules, schema, table, &rule, e);
        if (rc != ERR_OK || !rule ||
            (PQgetvalue(r, i, KIND)[0] == rule->kind && strcmp(PQgetvalue(r, i, INDEX), rule->index) == 0))
            continue;
        rc = change(t, rule, schema, table, e);
    }
    PQclear(r);
    return rc;
}

int pg_identity_set(struct pg_task *t, struct err *e)
{
    struct rules rules;
    int rc = read_rules(t->host, t->config, &rules, e);
    if (rc != ERR_OK)
        return rc;
    if (rules.n > 0) {
        rc = run(t, "SET lock_timeout = '" LOCK_S "s'", e);
        rc = rc ? rc : set_all(t, &rules, e);
        rc = rc ? rc : run(t, "RESET lock_timeout", e);
    }
    free_rules(&rules);
    return rc;
}
