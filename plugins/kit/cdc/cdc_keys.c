/*
 * cdc_keys: see cdc_keys.h. The table's expression ends at the item's last colon, so that it may have (?:groups).
 */
#include "kit/cdc/cdc_keys.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define OPTION "message.key.columns"

struct piece {
    const char *p;
    size_t n;
};

static struct piece trim(const char *p, size_t n)
{
    while (n && isspace((unsigned char)*p))
        p++, n--;
    while (n && isspace((unsigned char)p[n - 1]))
        n--;
    return (struct piece){p, n};
}

static int add(struct cdc_filter *f, struct piece table, struct piece column, struct err *e)
{
    if (table.n == 0 || column.n == 0)
        return err_set(e, ERR_INVALID_CONFIG, OPTION ": an empty name of a %s", table.n ? "column" : "table");
    struct cdc_regex **items = mem_realloc_array(f->items, f->count + 1, sizeof(*items));
    char *text = mem_printf("(?:%.*s)\\.(?:%.*s)", (int)table.n, table.p, (int)column.n, column.p);
    if (items)
        f->items = items;
    int rc = items && text ? cdc_regex_new(OPTION, text, strlen(text), true, &f->items[f->count], e)
                           : err_nomem(e);
    if (rc == ERR_OK)
        f->count++;
    mem_free(text);
    return rc;
}

static int item(struct cdc_filter *f, struct piece all, struct err *e)
{
    const char *colon = memrchr(all.p, ':', all.n), *end = all.p + all.n;
    if (!colon)
        return err_set(e, ERR_INVALID_CONFIG, OPTION ": \"%.*s\" has no colon between table and columns",
                       (int)all.n, all.p);
    struct piece table = trim(all.p, (size_t)(colon - all.p));
    for (const char *begin = colon + 1;;) {
        const char *comma = memchr(begin, ',', (size_t)(end - begin));
        const char *to = comma ? comma : end;
        if (add(f, table, trim(begin, (size_t)(to - begin)), e) != ERR_OK)
            return e->code;
        if (!comma)
            return ERR_OK;
        begin = comma + 1;
    }
}

int cdc_keys_parse(const char *text, struct cdc_filter *out, struct err *e)
{
    *out = (struct cdc_filter){0};
    int rc = ERR_OK;
    for (const char *p = text ? text : ""; rc == ERR_OK && *p;) {
        size_t n = strcspn(p, ";");
        struct piece all = trim(p, n);
        p += n + (p[n] == ';');
        if (all.n)
            rc = item(out, all, e);
    }
    if (rc)
        cdc_filter_free(out);
    return rc;
}
