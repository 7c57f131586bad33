/*
 * pattern: rows of option tables whose name has variable parts, each written as * and standing for one or more characters
 * (column.mask.with.*.chars). The options of a mapping get a row of their own for each such key that is given, so that they
 * are checked, compared and shown as others are. Any thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/options.h"

bool pattern_is(const char *name)
{
    return strchr(name, '*') != NULL;
}

/* Goes back to the last star only: what it took can grow, what stars before it took need not. */
bool pattern_matches(const char *pattern, const char *name)
{
    const char *star = NULL, *taken = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            taken = ++name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++taken;
        } else {
            return false;
        }
    }
    return *pattern == '\0';
}

/* The more is fixed in a pattern, the better it knows what a name means. */
static size_t fixed_part(const char *pattern)
{
    size_t n = 0;
    for (; *pattern; pattern++)
        n += *pattern != '*';
    return n;
}

const struct leat_option *option_find(const struct leat_option *table, size_t n, const char *name)
{
    const struct leat_option *best = NULL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
        if (pattern_is(table[i].name) && pattern_matches(table[i].name, name) &&
            (!best || fixed_part(table[i].name) > fixed_part(best->name)))
            best = &table[i];
    }
    return best;
}

static size_t count(const char *text, char c)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == c;
    return n;
}

/* How many of the key's parts between dots each star takes: the last one what is over, the others one. */
static size_t parts_over(const char *pattern, const char *key)
{
    size_t of_pattern = count(pattern, '.'), of_key = count(key, '.');
    return of_key > of_pattern ? of_key - of_pattern : 0;
}

/* Part by part: a star gets what stands in its place in the key. */
char *pattern_like(const char *pattern, const char *key)
{
    size_t stars = count(pattern, '*'), over = parts_over(pattern, key);
    char *out = mem_alloc(strlen(pattern) + strlen(key) + 1), *to = out;
    if (!out)
        return NULL;
    for (;;) {
        size_t n = strcspn(pattern, "."), k = strcspn(key, ".");
        bool star = n == 1 && *pattern == '*';
        if (star && --stars == 0)
            for (; over > 0 && key[k]; over--)
                k += 1 + strcspn(key + k + 1, ".");
        const char *from = star && k > 0 ? key : pattern;
        size_t len = star && k > 0 ? k : n;
        memcpy(to, from, len);
        to += len;
        pattern += n;
        key += k + (key[k] == '.');
        if (!*pattern)
            break;
        *to++ = *pattern++;
    }
    *to = '\0';
    return out;
}

int pattern_regex(const char *pattern, struct buf *out, struct err *e)
{
    int rc = buf_u8(out, '^', e);
    for (; *pattern && rc == ERR_OK; pattern++) {
        if (*pattern == '*')
            rc = buf_str(out, ".+", e);
        else if (*pattern == '.')
            rc = buf_str(out, "\\.", e);
        else
            rc = buf_u8(out, (uint8_t)*pattern, e);
    }
    return rc ? rc : buf_u8(out, '$', e);
}

/* ---- names that are near --------------------------------------------------------------------------------------------- */

/* Of a pattern the first part is asked for by itself: what its star takes is as near as can be in any case. */
static bool may_be_meant(const char *pattern, const char *key)
{
    char ours[64], theirs[64];
    size_t n = strcspn(pattern, "."), k = strcspn(key, ".");
    if (!strchr(pattern, '*') || pattern[0] == '*')
        return true;
    if (n >= sizeof ours || k >= sizeof theirs)
        return false;
    memcpy(ours, pattern, n);
    memcpy(theirs, key, k);
    ours[n] = theirs[k] = '\0';
    const char *const one[] = {ours};
    return strcmp(ours, theirs) == 0 || config_nearest(theirs, one, 1);
}

int option_nearest(const char *key, const struct table *tables, size_t table_n, const char *const *others,
                   char **near, struct err *e)
{
    size_t n = 0, room = 0;
    for (size_t i = 0; i < table_n; i++)
        room += tables[i].n;
    for (const char *const *o = others; *o; o++)
        room++;
    char **names = mem_calloc(room + 1, sizeof(*names));
    *near = NULL;
    if (!names)
        return err_nomem(e);
    int rc = ERR_OK;
    for (size_t i = 0; i < table_n; i++)
        for (size_t k = 0; k < tables[i].n && rc == ERR_OK; k++) {
            if (!may_be_meant(tables[i].rows[k].name, key))
                continue;
            names[n] = pattern_like(tables[i].rows[k].name, key);
            rc = names[n++] ? ERR_OK : err_nomem(e);
        }
    for (const char *const *o = others; *o && rc == ERR_OK; o++) {
        names[n] = mem_strdup(*o);
        rc = names[n++] ? ERR_OK : err_nomem(e);
    }
    const char *found = rc ? NULL : config_nearest(key, (const char *const *)names, n);
    if (found) {
        *near = mem_strdup(found);
        rc = *near ? ERR_OK : err_nomem(e);
    }
    for (size_t i = 0; i < n; i++)
        mem_free(names[i]);
    mem_free(names);
    return rc;
}

/* ---- rows for keys that are given ------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct leat_option *)a)->name, ((const struct leat_option *)b)->name);
}

void rows_free(struct leat_option *rows, size_t base, size_t n)
{
    for (size_t i = base; rows && i < n; i++)
        mem_free((char *)(uintptr_t)rows[i].name);
    mem_free(rows);
}

int rows_expand(const struct leat_option *table, size_t base, const struct input *inputs, size_t input_n,
                struct leat_option **rows, size_t *n, struct err *e)
{
    *rows = NULL;
    *n = base;
    for (size_t i = 0; i < input_n; i++) {
        const struct leat_option *row = option_find(table, base, inputs[i].name);
        if (!row || !pattern_is(row->name))
            continue;
        if (!*rows) {
            *rows = mem_calloc(base + input_n, sizeof(**rows));
            if (!*rows)
                return err_nomem(e);
            memcpy(*rows, table, base * sizeof(*table));
        }
        (*rows)[*n] = *row;
        (*rows)[*n].name = mem_strdup(inputs[i].name);
        if (!(*rows)[*n].name) {
            rows_free(*rows, base, *n);
            *rows = NULL;
            return err_nomem(e);
        }
        (*n)++;
    }
    if (*rows)
        qsort(*rows + base, *n - base, sizeof(**rows), by_name);
    return ERR_OK;
}
