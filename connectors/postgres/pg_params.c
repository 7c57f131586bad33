/*
 * pg_params: see pg_params.h. What pgoutput takes: https://www.postgresql.org/docs/current/protocol-logical-replication.html.
 * What is not known here is the server's to judge: later versions have more.
 */
#include "pg_params.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "pg_conn.h"

#define OPTION "slot.stream.params"

/* ---- what is refused --------------------------------------------------------------------------------------------- */

static bool never(const struct leat_host *h, const struct leat_config *c, const char *value)
{
    (void)h;
    (void)c;
    (void)value;
    return false;
}

/* Any other than these the server takes for true, or refuses. */
static bool is_off(const char *value)
{
    return strcasecmp(value, "false") == 0 || strcasecmp(value, "off") == 0;
}

static bool if_off(const struct leat_host *h, const struct leat_config *c, const char *value)
{
    (void)h;
    (void)c;
    return is_off(value);
}

static bool unless_streamed(const struct leat_host *h, const struct leat_config *c, const char *value)
{
    (void)value;
    return !h->get_bool(c, "stream.large.transactions") || h->get_int(c, "stream.protocol.version") == 1;
}

static bool unless_origin(const struct leat_host *h, const struct leat_config *c, const char *value)
{
    (void)value;
    return strcmp(h->get_str(c, "stream.origin"), "none") != 0;
}

static const struct {
    const char *name;
    bool (*allowed)(const struct leat_host *h, const struct leat_config *c, const char *value);
    const char *why;
} rules[] = {
    {"binary", if_off, "the source reads values as text only"},
    /* It would mark the slot for good (PostgreSQL 15 on). */
    {"two_phase", if_off, "what was prepared and confirmed would not come again after a restart"},
    {"proto_version", never, "stream.protocol.version says it"},
    {"publication_names", never, "publication.name says it"},
    {"messages", never,
     "logical messages are always asked for; message.prefix.include.list and message.prefix.exclude.list say "
     "which "
     "are published"},
    {"streaming", unless_streamed,
     "stream.large.transactions, which is true, says it; where that is false it can be given here"},
    {"origin", unless_origin, "stream.origin: none says it"},
};

static int judge(const struct leat_host *h, const struct leat_config *c, const char *name, const char *value,
                 struct err *e)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcasecmp(name, rules[i].name) == 0 && !rules[i].allowed(h, c, value))
            return err_set(e, ERR_INVALID_CONFIG, OPTION ": '%s=%s' cannot be given: %s", name, value,
                           rules[i].why);
    return ERR_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    for (size_t n = strlen(text); n > 0 && isspace((unsigned char)text[n - 1]);)
        text[--n] = '\0';
    return text;
}

static int add_item(struct pg_params *p, char *item, struct err *e)
{
    char *value = strchr(item, '=');
    if (!value || value == item)
        return err_set(e, ERR_INVALID_CONFIG, OPTION ": '%s' is not name=value", item);
    *value++ = '\0';
    const char *name = trim(item);
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->items[i].name, name) == 0)
            return err_set(e, ERR_INVALID_CONFIG, OPTION ": '%s' is given twice", name);
    if (p->n == PG_PARAMS_MAX)
        return err_set(e, ERR_INVALID_CONFIG, OPTION ": there are more than %d", PG_PARAMS_MAX);
    p->items[p->n].name = name;
    p->items[p->n++].value = trim(value);
    return ERR_OK;
}

int pg_params_read(const struct leat_host *host, const struct leat_config *config, struct pg_params *out,
                   struct err *e)
{
    const char *given = host->get_str(config, OPTION);
    char *rest = NULL;
    int rc = ERR_OK;
    *out = (struct pg_params){.n = 0};
    if (!given)
        return ERR_OK;
    if (!(out->text = mem_strdup(given)))
        return err_nomem(e);
    for (char *item = strtok_r(out->text, ";", &rest); item && rc == ERR_OK;
         item = strtok_r(NULL, ";", &rest)) {
        item = trim(item);
        if (*item && (rc = add_item(out, item, e)) == ERR_OK)
            rc = judge(host, config, out->items[out->n - 1].name, out->items[out->n - 1].value, e);
    }
    if (rc != ERR_OK)
        pg_params_free(out);
    return rc;
}

void pg_params_free(struct pg_params *p)
{
    mem_free(p->text);
    *p = (struct pg_params){.n = 0};
}

/* ---- to the server ----------------------------------------------------------------------------------------------- */

static bool streams(const struct pg_params *p, size_t i)
{
    return strcasecmp(p->items[i].name, "streaming") == 0 && !is_off(p->items[i].value);
}

bool pg_params_stream(const struct pg_params *p)
{
    size_t i = 0;
    while (i < p->n && !streams(p, i))
        i++;
    return i < p->n;
}

int pg_params_write(const struct pg_params *p, bool whole, struct buf *b, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < p->n && rc == ERR_OK; i++)
        if (!(whole && streams(p, i)) && (rc = buf_str(b, ", ", e)) == ERR_OK &&
            (rc = pg_quote_name(b, p->items[i].name, e)) == ERR_OK && (rc = buf_str(b, " ", e)) == ERR_OK)
            rc = pg_quote_text(b, p->items[i].value, e);
    return rc;
}

void pg_params_explain(const struct pg_params *p, struct err *e)
{
    const char *said =
        strstr(e->text, ": "); /* behind the slot's name, which may have the parameter's in it */
    for (size_t i = 0; said && i < p->n; i++)
        if (strstr(said, p->items[i].name)) {
            err_wrap(e, OPTION ": '%s=%s'", p->items[i].name, p->items[i].value);
            if (strstr(e->text, "unrecognized pgoutput option")) {
                e->code = ERR_INVALID_CONFIG;
                e->retriable = false;
            }
            return;
        }
}
