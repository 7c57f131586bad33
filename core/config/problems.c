/*
 * problems: the list of everything that is wrong with a configuration, and the nearest known name to a misspelt one.
 * A list belongs to one thread; it owns its texts.
 */
#include "config/internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/mem.h"

#define NEAREST_MAX 96 /* longer names are not compared */

void problems_init(struct problems *p)
{
    p->items = NULL;
    p->count = 0;
}

void problems_free(struct problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        mem_free(p->items[i].file);
        mem_free(p->items[i].text);
    }
    mem_free(p->items);
    problems_init(p);
}

__attribute__((format(printf, 1, 0))) static char *format_text(const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *text = n < 0 ? NULL : mem_alloc((size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, args);
    return text;
}

/* Takes over `text` (NULL: out of memory). */
static int add_text(struct problems *p, const char *file, int line, int column, char *text)
{
    char *name = text ? mem_strdup(file ? file : "") : NULL;
    diag_one_line(text); /* whatever a server or a file name put into it */
    if (!name)
        goto err_after_text;
    struct problem *items = mem_realloc_array(p->items, p->count + 1, sizeof(*items));
    if (!items)
        goto err_after_name;
    p->items = items;
    p->items[p->count++] = (struct problem){.file = name, .line = line, .column = column, .text = text};
    return ERR_OK;

err_after_name:
    mem_free(name);
err_after_text:
    mem_free(text);
    return ERR_NO_MEMORY;
}

int problems_add(struct problems *p, const char *file, int line, int column, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = format_text(fmt, args);
    va_end(args);
    return add_text(p, file, line, column, text);
}

int origin_report(const struct origin *o, struct mark at, struct err *e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = format_text(fmt, args);
    va_end(args);
    if (text && o->what && *o->what) {
        char *full = mem_printf("%s: %s", o->what, text);
        mem_free(text);
        text = full;
    }
    return add_text(o->problems, o->file, at.line, at.column, text) ? err_nomem(e) : ERR_OK;
}

static int compare(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    int c = strcmp(x->file, y->file);
    if (c == 0)
        c = (x->line > y->line) - (x->line < y->line);
    if (c == 0)
        c = (x->column > y->column) - (x->column < y->column);
    return c ? c : strcmp(x->text, y->text);
}

void problems_sort(struct problems *p)
{
    if (p->count > 1)
        qsort(p->items, p->count, sizeof(*p->items), compare);
}

int problem_print(const struct problem *p, struct buf *out, struct err *e)
{
    int rc = ERR_OK;
    if (*p->file)
        rc = buf_str(out, p->file, e);
    if (rc == ERR_OK && *p->file && p->line > 0)
        rc = p->column > 0 ? buf_printf(out, e, ":%d:%d", p->line, p->column)
                           : buf_printf(out, e, ":%d", p->line);
    if (rc == ERR_OK && *p->file)
        rc = buf_str(out, ": ", e);
    return rc ? rc : buf_str(out, p->text, e);
}

/* ---- nearest ---------------------------------------------------------------------------------------------------- */

static char fold(char c)
{
    return c == '_' || c == '-' ? '.' : (char)tolower((unsigned char)c);
}

/* Damerau-Levenshtein with adjacent swaps (optimal string alignment) over folded characters. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][NEAREST_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            bool same = fold(a[i - 1]) == fold(b[j - 1]);
            size_t d = last[j - 1] + !same;
            d = last[j] + 1 < d ? last[j] + 1 : d;
            d = now[j - 1] + 1 < d ? now[j - 1] + 1 : d;
            bool swapped =
                i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]);
            if (swapped && before[j - 2] + 1 < d)
                d = before[j - 2] + 1;
            now[j] = d;
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[m];
}

const char *config_nearest(const char *name, const char *const *names, size_t n)
{
    size_t len = strlen(name);
    if (len == 0 || len > NEAREST_MAX)
        return NULL;
    const char *best = NULL;
    size_t best_distance = len < 4 ? 2 : len / 3 + 1; /* must be under this */
    for (size_t i = 0; i < n; i++) {
        size_t m = strlen(names[i]);
        size_t apart = m > len ? m - len : len - m;
        if (m > NEAREST_MAX || apart >= best_distance)
            continue;
        size_t d = distance(name, len, names[i], m);
        if (d < best_distance) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}
